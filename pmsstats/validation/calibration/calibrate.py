"""Compare a generator's moments with the published ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from pmsstats.errors import DesignError, PMSStatsError
from pmsstats.results import Exclusion, exclude
from pmsstats.seeds import Seed, as_seed_sequence
from pmsstats.validation.calibration.moments import Attrition, MomentValue
from pmsstats.validation.calibration.published import PublishedInterval, published_interval
from pmsstats.validation.calibration.result import COLUMNS, CalibrationResult
from pmsstats.validation.calibration.target import CalibrationTarget
from pmsstats.validation.calibration.targets import NOT_COMPARED, TARGETS
from pmsstats.validation.cohort_arrays import outcome_measures
from pmsstats.validation.cohorts import CohortPlan, check_generator, generate_cohorts
from pmsstats.validation.protocol import CohortGenerator
from pmsstats.validation.studies import Studies, cut_studies

__all__ = ["calibrate"]

_FEWEST = 100


def calibrate(
    generator: CohortGenerator,
    config: Any,
    seed: Seed,
    *,
    n: int = 20_000,
    targets: Iterable[CalibrationTarget] | None = None,
) -> CalibrationResult:
    """Compare a generator's moments with the published ones, all under one set of parameters.

    Parameters
    ----------
    generator : CohortGenerator
        Called as ``generator(config, seed)``.
    config : StudyConfig
        The population; it is narrowed to the inclusion criteria of each study by its
        ``for_study``, and nothing else is changed.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Root.
    n : int, default 20000
        Subjects for each study, shared out as in the study.
    targets : iterable of CalibrationTarget, optional
        All that are declared by default.

    Returns
    -------
    CalibrationResult
        Value, published interval, and whether it holds the value.

    Raises
    ------
    DesignError
        If `n` is too small, or generator or config are of another kind.
    """
    check_generator(generator, config)
    if isinstance(n, bool) or not isinstance(n, int) or n < _FEWEST:
        raise DesignError(f"`n` must be a whole number of at least {_FEWEST}, got {n!r}.")
    chosen = TARGETS if targets is None else tuple(targets)
    root = as_seed_sequence(seed)
    rows = [_row(target, generator, config, root, n) for target in chosen]
    left_out = pd.DataFrame(list(NOT_COMPARED.items()), columns=["record", "reason"])
    moments = pd.DataFrame(rows, columns=list(COLUMNS))
    return CalibrationResult(
        moments=moments, left_out=left_out, n=n, exclusions=_not_possible(moments)
    )


def _not_possible(moments: pd.DataFrame) -> tuple[Exclusion, ...]:
    """Record the moments that could not be had."""
    missing = moments[moments["value"].isna()]
    return tuple(
        part
        for reason, rows in missing.groupby("reason", sort=False)
        for part in exclude("calibration", "row", str(reason), rows["record"])
    )


def _studies(
    target: CalibrationTarget, generator: CohortGenerator, config: Any, seed: Seed, n: int
) -> Studies:
    """Make a large cohort like that of a target's study, with the measures that it reads."""
    design = target.design
    leaves = isinstance(target.moment, Attrition)
    plan = CohortPlan(
        years=design.years, rated=leaves or bool(target.moment.outcomes),
        treatments=design.treatments, age=design.age, edss=design.edss,
        duration=design.duration, relapse_free_years=design.relapse_free_years,
        sites=design.sites, conversion=design.conversion,
    )  # fmt: skip
    sizes = {name: max(round(n * size / design.n_subjects), 2) for name, size in design.groups}
    names = set(target.moment.measures)
    for outcome in target.moment.outcomes:
        names |= set(outcome_measures(outcome))
    made = generate_cohorts(
        generator, config, plan, sizes=sizes, measures=tuple(sorted(names)), seed=seed,
        purpose=("calibration",), complete=not leaves,
    )  # fmt: skip
    return cut_studies(made, tuple(sizes.items()), 1)


def _row(
    target: CalibrationTarget, generator: CohortGenerator, config: Any, seed: Seed, n: int
) -> dict[str, Any]:
    """Compare one target."""
    try:
        found = target.moment.value(_studies(target, generator, config, seed, n))
    except PMSStatsError as exc:
        return _describe(target) | {"reason": f"not possible: {exc}"}
    interval = _interval(target, found)
    inside = interval.holds(found.value)
    return _describe(target) | {
        "value": found.value,
        "std_error": found.std_error,
        "published_low": interval.low,
        "published_high": interval.high,
        "basis": interval.basis,
        "inside": inside,
        "reason": "" if inside else (target.why or "no reason known"),
    }


def _interval(target: CalibrationTarget, found: MomentValue) -> PublishedInterval:
    """Return the published interval of a target."""
    if target.printed is not None or target.published is None:
        low, high = target.printed or (float("nan"), float("nan"))
        return PublishedInterval(low=low, high=high, basis="printed range")
    return published_interval(
        target.record, kind=target.moment.kind, value=target.published,
        factor=target.factor, n=target.n_persons, spread=found.spread,
    )  # fmt: skip


def _describe(target: CalibrationTarget) -> dict[str, Any]:
    """Return what is known of a target before anything is computed."""
    found = target.record
    return {
        "record": target.record_id,
        "moment": target.moment.describe(),
        "population": found.population,
        "source": found.citation.short,
        "verified": found.verified,
        "units": target.moment.units,
        "n_persons": target.n_persons,
        "published": target.published,
        "inside": False,
    }
