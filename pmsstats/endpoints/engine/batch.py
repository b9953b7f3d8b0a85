"""Many trials at once: the same scan, without a cohort for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pmsstats.cohort import Measure, default_dictionary
from pmsstats.endpoints.definitions.presets import progression_rule
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.engine.batch_input import BatchVisits, read_arrays, read_frame
from pmsstats.endpoints.engine.imputation import imputes_last_visit
from pmsstats.endpoints.engine.rule_scan import event_times, scan_rule
from pmsstats.endpoints.engine.scan_plan import AT_RISK, STATUSES
from pmsstats.endpoints.engine.visit_table import BoolArray, FloatArray, IntArray, visit_table
from pmsstats.errors import DesignError
from pmsstats.seeds import Seed, as_seed_sequence, stream

__all__ = ["ProgressionBatch", "derive_progression_batch", "trial_seed"]

ROWS_AT_ONCE = 20_000
"""About so many visits are worked on together: they stay in the processor's cache."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ProgressionBatch:
    """Time to event of all subjects of many trials, sorted by trial and subject.

    Parameters
    ----------
    trial, subject : ndarray, shape (n_rows,)
        Labels from the frame, or numbers from 0 where the visits were arrays.
    status : ndarray of int, shape (n_rows,)
        0 for subjects at risk; why not for the others, see :meth:`not_at_risk`. All that follows
        is 0, false or empty for these.
    duration : ndarray of int, shape (n_rows,)
        Days from time zero, the first baseline, to event or last visit.
    event : ndarray of bool, shape (n_rows,)
        Whether the event was seen.
    interval_left, interval_right : ndarray of float, shape (n_rows,)
        The event came after the first and up to the second (infinite if it was not seen), in days
        from time zero.
    day_baseline : ndarray of int, shape (n_rows,)
        Day of time zero.
    relapse_class : ndarray of int, shape (n_rows,)
        Of the event: 1 RAW, 2 PIRA, 3 undetermined, 0 where events are not told apart.
    rule : ProgressionRule
        The definition.
    """

    trial: NDArray[Any]
    subject: NDArray[Any]
    status: NDArray[np.int8]
    duration: IntArray
    event: BoolArray
    interval_left: FloatArray
    interval_right: FloatArray
    day_baseline: IntArray
    relapse_class: NDArray[np.int8]
    rule: ProgressionRule

    @property
    def at_risk(self) -> BoolArray:
        """Whether a subject has a baseline that may serve and a value after it."""
        return self.status == AT_RISK

    def not_at_risk(self) -> dict[str, int]:
        """Count the subjects that are not at risk.

        Returns
        -------
        dict
            Number by reason; without those that do not occur.
        """
        counts = np.bincount(self.status, minlength=len(STATUSES))
        return {
            reason: int(n)
            for code, (reason, n) in enumerate(zip(STATUSES, counts, strict=True))
            if n and code != AT_RISK
        }

    def table(self) -> pd.DataFrame:
        """Return the subjects at risk as a table.

        Returns
        -------
        pandas.DataFrame
            Columns ``trial subject_id duration event interval_left interval_right day_baseline
            relapse_class``.
        """
        keep = self.at_risk
        names = ("trial", "duration", "event", "interval_left", "interval_right", "day_baseline",
                 "relapse_class")  # fmt: skip
        frame = pd.DataFrame({name: getattr(self, name)[keep] for name in names})
        frame.insert(1, "subject_id", self.subject[keep])
        return frame


def trial_seed(seed: Seed, trial: Any) -> np.random.SeedSequence:
    """Return the seed of one trial of a batch.

    Parameters
    ----------
    seed : int, SeedSequence or Generator
        That of the batch.
    trial : int or str
        The trial's label.

    Returns
    -------
    numpy.random.SeedSequence
        With it, :func:`~pmsstats.endpoints.derivation.progression.derive_progression` on the trial
        alone draws the same.
    """
    label = int(trial) if isinstance(trial, int | np.integer) else str(trial)
    return as_seed_sequence(stream(seed, "trial", label))


def derive_progression_batch(
    visits: pd.DataFrame | ArrayLike,
    rule: ProgressionRule | str,
    *,
    day: ArrayLike | None = None,
    columns: Mapping[str, ArrayLike] | None = None,
    relapses: pd.DataFrame | None = None,
    measure: Measure | None = None,
    seed: Seed | None = None,
    n_jobs: int = 1,
) -> ProgressionBatch:
    """Derive time to confirmed progression in many (simulated) trials at once.

    Parameters
    ----------
    visits : pandas.DataFrame or array_like, shape (n_trials, n_subjects, n_visits)
        A frame has one row per visit in any order: ``trial``, ``subject_id``, ``day``, the rule's
        outcome, and what other columns the rule names. An array has the values of the outcome,
        NaN where a visit was missed.
    rule : ProgressionRule or str
        The definition, or the name of a preset such as ``"cdp24"``.
    day : array_like of int, optional
        Needed for arrays: study days of a shape that broadcasts to that of the values, such as
        (n_visits,), ascending in the last axis.
    columns : mapping of str to array_like, optional
        For arrays: other columns that the rule names, of the same shape as the values.
    relapses : pandas.DataFrame, optional
        One row per relapse: ``trial``, ``subject_id`` and ``day``; for arrays, the first two are
        numbers from 0. None by default.
    measure : Measure, optional
        The outcome's entry in the data dictionary, by default the package's own: it says which
        direction is worse.
    seed : int, SeedSequence or Generator, optional
        Needed where the rule draws, see
        :func:`~pmsstats.endpoints.derivation.progression.derive_progression`; each trial draws
        with :func:`trial_seed`.
    n_jobs : int, default 1
        Threads; the result does not depend on them.

    Returns
    -------
    ProgressionBatch
        Each trial as if derived alone.

    Raises
    ------
    DesignError
        If shapes or days do not fit, a subject has two visits on one day, relapses belong to
        nobody, or the rule needs a seed.
    SchemaError
        If a column that the rule names is missing or holds texts.

    Examples
    --------
    >>> values = [[[4.0, 5.0, 5.0], [4.0, 5.0, 4.0]]]
    >>> derive_progression_batch(values, "cdp12", day=[0, 84, 168]).event.tolist()
    [True, False]
    """
    rule = progression_rule(rule) if isinstance(rule, str) else rule
    measure = measure or default_dictionary().get(rule.outcome)
    measure = measure or Measure(name=rule.outcome, label=rule.outcome)
    _check_n_jobs(n_jobs)
    if isinstance(visits, pd.DataFrame) and not (day is None and columns is None):
        raise DesignError(
            "`day` and `columns` belong to arrays; a frame has its own columns. Leave them out."
        )
    source = (
        read_frame(visits, rule.outcome, relapses)
        if isinstance(visits, pd.DataFrame)
        else read_arrays(visits, rule.outcome, day, columns or {}, relapses)
    )
    root = None if seed is None else as_seed_sequence(seed)

    def derive(part: tuple[int, int]) -> dict[str, NDArray[Any]]:
        return _derive_part(source, part, rule, measure, root)

    parts = _run(derive, source.parts(ROWS_AT_ONCE), n_jobs)
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return ProgressionBatch(
        trial=np.repeat(source.trials, source.n_subjects_by_trial),
        subject=source.subject_labels,
        rule=rule,
        **found,
    )


def _check_n_jobs(n_jobs: int) -> None:
    """Refuse what is no number of threads."""
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int | np.integer) or n_jobs < 1:
        raise DesignError(f"`n_jobs` must be a number of threads of at least 1, got {n_jobs!r}.")


def _run(
    derive: Callable[[tuple[int, int]], dict[str, NDArray[Any]]],
    parts: list[tuple[int, int]],
    n_jobs: int,
) -> list[dict[str, NDArray[Any]]]:
    """Derive the parts, in their order, in so many threads."""
    if n_jobs == 1:
        return [derive(part) for part in parts]
    with ThreadPoolExecutor(max_workers=n_jobs) as pool:
        return list(pool.map(derive, parts))


def _derive_part(
    source: BatchVisits,
    part: tuple[int, int],
    rule: ProgressionRule,
    measure: Measure,
    seed: np.random.SeedSequence | None,
) -> dict[str, NDArray[Any]]:
    """Derive some neighbouring trials."""
    rows = source.read(*part)
    table = visit_table(
        rows.columns,
        measure,
        subject=rows.subject,
        subject_ids=np.empty(rows.n_subjects, dtype=object),
        relapse_subject=rows.relapse_subject,
        relapse_day=rows.relapse_day,
    )
    scan = scan_rule(table, rule, imputes=_imputes(source, part, rule, seed))
    times, onset = event_times(scan), scan.found.subjects.event
    relapse_class = np.zeros(len(onset), dtype=np.int8)
    relapse_class[times.event] = scan.events_at(onset[times.event]).relapse_class
    at_risk = times.at_risk
    base = scan.plan.base_row
    return {
        "status": scan.status,
        "duration": np.where(at_risk, times.duration, 0),
        "event": times.event,
        "interval_left": np.where(at_risk, times.interval_left, 0.0),
        "interval_right": np.where(at_risk, times.interval_right, 0.0),
        "day_baseline": np.where(at_risk, np.append(table.day, 0)[base], 0),
        "relapse_class": relapse_class,
    }


def _imputes(
    source: BatchVisits,
    part: tuple[int, int],
    rule: ProgressionRule,
    seed: np.random.SeedSequence | None,
) -> BoolArray | None:
    """Draw for whom a change at the last visit is taken as confirmed, trial by trial."""
    if rule.impute_last_visit in (0, 1):
        return None
    return np.concatenate(
        [
            imputes_last_visit(
                rule,
                source.subject_texts(trial),
                None if seed is None else trial_seed(seed, source.trials[trial]),
            )
            for trial in range(*part)
        ]
    )
