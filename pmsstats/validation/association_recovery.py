"""How near the methods of an association come to the truth, and what their intervals cover."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import joblib
import numpy as np
import pandas as pd

from pmsstats.association import AssociationSpec, associate
from pmsstats.association.spec import DEFAULT_METHODS, METHODS, Method, exposure
from pmsstats.cohort import Cohort
from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.cohort.schema import Measure
from pmsstats.endpoints import EndpointResult, derive_endpoint
from pmsstats.errors import ConvergenceError, DesignError, EvidenceUncheckedWarning
from pmsstats.models.events.survival import CoxSpec, fit_cox
from pmsstats.seeds import Seed, as_seed_sequence
from pmsstats.validation.association_recovery_result import (
    RECOVERY_COLUMNS,
    AssociationRecoveryResult,
)

__all__ = ["check_association"]

_PURPOSE_TRUTH, _PURPOSE_REPLICATE = 0, 1
_AT_ONCE = 5
"""Replicates handed out together; what a replicate holds does not depend on it."""
_FEWEST_REPLICATES = 10
_FEWEST_TRUTH = 1000
_STEP_DAYS = 91.3125
"""Length of the steps on which the true current value is taken as constant."""


class TruthGenerator(Protocol):
    """A function that makes a cohort and knows the truth behind it."""

    def __call__(self, config: Any, seed: Seed, *, n_subjects: int) -> Any:
        """Make a cohort whose ``.truth.subjects`` holds ``<measure>_baseline`` and ``_slope``.

        Parameters
        ----------
        config : object
            Whatever the generator takes.
        seed : int, numpy.random.SeedSequence or numpy.random.Generator
            The same seed gives the same cohort.
        n_subjects : int
            How many.

        Returns
        -------
        Cohort
            With its truth.
        """


def check_association(
    generator: TruthGenerator,
    config: Any,
    measure: str,
    outcome: str | Mapping[str, Any] | Any,
    seed: Seed,
    *,
    methods: tuple[Method, ...] = DEFAULT_METHODS,
    n_subjects: int = 400,
    n_replicates: int = 100,
    n_truth: int = 20_000,
    n_jobs: int = 1,
    **options: Any,
) -> AssociationRecoveryResult:
    """Try every method of :func:`pmsstats.associate` on many cohorts whose truth is known.

    Parameters
    ----------
    generator : callable
        Called as ``generator(config, seed, n_subjects=n)``; gives a cohort with ``.truth``.
    config : object
        Handed to the generator.
    measure : str
        Measure whose trajectory is asked about; its true courses must be straight lines.
    outcome : rule, str or mapping
        As :func:`pmsstats.endpoints.derive_endpoint` takes it.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Root of all random numbers.
    methods : tuple of str
        Keys of :data:`pmsstats.association.spec.METHODS`.
    n_subjects : int, default 400
        Of each replicate.
    n_replicates : int, default 100
        Cohorts analysed.
    n_truth : int, default 20000
        Subjects of the cohort on whose latent courses the truth is measured.
    n_jobs : int, default 1
        Processes; the result does not depend on them.
    **options
        Handed to :func:`pmsstats.associate`.

    Returns
    -------
    AssociationRecoveryResult
        One row per method: truth, bias, spread, coverage, each with its Monte Carlo error.

    Raises
    ------
    DesignError
        If a number is too small, an option is unknown, or the generator has no truth for the
        measure.

    Notes
    -----
    The truth of methods on slopes is the log hazard ratio per SD of the *true* slope in a Cox model
    of `n_truth` subjects; of methods on values, per SD of the true baseline, with the true current
    value as covariate in steps of a quarter of a year; of correlations, that of the true slopes,
    where the outcome's measure has one. The oracle has the same visits, dropout and definition of
    the outcome as the replicates, so that what is left is due to the method alone. Measures are
    those recommended for simulation studies [1]_. A replicate in which a method gives no estimate
    is counted as failed.

    References
    ----------
    .. [1] Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical
       methods. Stat Med 2019;38:2074-2102. doi:10.1002/sim.8086
    """
    _check_number("n_replicates", n_replicates, _FEWEST_REPLICATES)
    _check_number("n_truth", n_truth, _FEWEST_TRUTH)
    spec = AssociationSpec(measure=measure, methods=methods, **options)
    root = as_seed_sequence(seed)
    truth = _truth(generator(config, _child(root, _PURPOSE_TRUTH, 0), n_subjects=n_truth),
                   spec, outcome)  # fmt: skip
    starts = range(0, n_replicates, _AT_ONCE)
    parts = joblib.Parallel(n_jobs=n_jobs)(
        joblib.delayed(_replicates)(
            generator,
            config,
            measure,
            outcome,
            root=root,
            numbers=range(start, min(start + _AT_ONCE, n_replicates)),
            n_subjects=n_subjects,
            options={"methods": methods, **options},
        )
        for start in starts
    )
    estimates = pd.concat(parts, ignore_index=True)
    return AssociationRecoveryResult(
        spec=spec,
        recovery=_recovery(estimates, truth, spec),
        estimates=estimates,
        outcome=truth.outcome,
        measure=truth.measure,
        n_subjects=n_subjects,
        n_replicates=n_replicates,
        n_truth=n_truth,
        entropy=str(root.entropy),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Truth:
    """What the oracle found: pairs of a quantity and its Monte Carlo error."""

    measure: Measure
    outcome: str
    slope: tuple[float, float]
    value: tuple[float, float]
    correlation: tuple[float, float]

    def of(self, method: Method) -> tuple[float, float]:
        """Return the truth that a method aims at, and its Monte Carlo error."""
        words = METHODS[method]
        if words.estimate == "correlation":
            return self.correlation
        return self.slope if words.about == "slope" else self.value


def _truth(cohort: Any, spec: AssociationSpec, outcome: Any) -> _Truth:
    """Measure the truth on the latent courses of a large cohort."""
    measure = cohort.measure(spec.measure)
    latent = cohort.truth.subjects
    columns = [f"{measure.name}_slope", f"{measure.name}_baseline"]
    missing = [c for c in columns if c not in latent]
    if missing:
        raise DesignError(
            f"The generator's truth has no column {' or '.join(map(repr, missing))}: it knows no "
            f"straight course of {measure.name!r}. Choose a measure whose courses it draws."
        )
    endpoint = derive_endpoint(cohort, outcome)
    events = endpoint.table()
    people = events[events["duration"] > 0].merge(latent[["subject_id", *columns]], on="subject_id")
    people = people.merge(cohort.subjects, on="subject_id", suffixes=("", "_of_subject"))
    return _Truth(
        measure=measure,
        outcome=endpoint.label,
        slope=_slope_truth(people, measure, spec),
        value=_value_truth(people, measure, spec),
        correlation=_correlation_truth(cohort, people, measure, spec, endpoint),
    )


def _slope_truth(
    people: pd.DataFrame, measure: Measure, spec: AssociationSpec
) -> tuple[float, float]:
    """Fit a Cox model on the true slopes."""
    slope = people[f"{measure.name}_slope"]
    sign = exposure(measure, "two_stage").sign
    return _oracle(
        people.assign(true_exposure=sign * slope / slope.std()), spec, {"duration": "duration"}
    )


def _value_truth(
    people: pd.DataFrame, measure: Measure, spec: AssociationSpec
) -> tuple[float, float]:
    """Fit a Cox model on the true current values, in short steps."""
    n_steps = np.ceil(people["duration"] / _STEP_DAYS).astype(int)
    rows = people.loc[people.index.repeat(n_steps)]
    step = rows.groupby(level=0).cumcount().to_numpy()
    start = step * _STEP_DAYS
    end = rows["duration"].to_numpy(dtype=float)
    stop = np.minimum(start + _STEP_DAYS, end)
    middle = (start + stop) / 2 + rows["day_baseline"].to_numpy(dtype=float)
    baseline = f"{measure.name}_baseline"
    value = rows[baseline] + rows[f"{measure.name}_slope"] * middle / DAYS_PER_YEAR
    sign = exposure(measure, "time_varying").sign
    frame = rows.assign(
        start=start,
        stop=stop,
        event=rows["event"].to_numpy(dtype=bool) & (stop == end),
        true_exposure=sign * value / people[baseline].std(),
    )
    return _oracle(frame.reset_index(drop=True), spec, {"start": "start", "stop": "stop"})


def _oracle(
    data: pd.DataFrame, spec: AssociationSpec, times: Mapping[str, str]
) -> tuple[float, float]:
    """Return the log hazard ratio of the true exposure, and its standard error."""
    adjustment = spec.adjustment()
    cox = CoxSpec(
        covariates=f"true_exposure + {adjustment}" if adjustment else "true_exposure",
        strata=spec.strata_columns(),
        **times,
    )
    found = fit_cox(data, cox, engine="native").table().iloc[0]
    return float(found["estimate"]), float(found["std_error"])


def _correlation_truth(
    cohort: Cohort,
    people: pd.DataFrame,
    measure: Measure,
    spec: AssociationSpec,
    endpoint: EndpointResult,
) -> tuple[float, float]:
    """Correlate the true slopes, where the outcome's measure has one."""
    name = spec.outcome_measure or getattr(endpoint.rule, "outcome", None)
    latent = cohort.truth.subjects  # type: ignore[attr-defined]
    if f"{name}_slope" not in latent:
        return np.nan, np.nan
    both = people[["subject_id", f"{measure.name}_slope"]].merge(
        latent[["subject_id", f"{name}_slope"]], on="subject_id"
    )
    signs = [exposure(m, "slope_correlation").sign for m in (measure, cohort.measure(name))]
    r = signs[0] * signs[1] * float(np.corrcoef(both.iloc[:, 1], both.iloc[:, 2])[0, 1])
    return r, (1 - r**2) / np.sqrt(len(both) - 3)


def _replicates(
    generator: TruthGenerator,
    config: Any,
    measure: str,
    outcome: Any,
    *,
    root: np.random.SeedSequence,
    numbers: range,
    n_subjects: int,
    options: Mapping[str, Any],
) -> pd.DataFrame:
    """Analyse some cohorts by every method."""
    tables = []
    for number in numbers:
        seed = _child(root, _PURPOSE_REPLICATE, number)
        with warnings.catch_warnings():  # said once, by the cohort of the truth
            warnings.simplefilter("ignore", EvidenceUncheckedWarning)
            cohort = generator(config, seed, n_subjects=n_subjects)
        tables.append(_analyse(cohort, measure, outcome, options).assign(replicate=number))
    return pd.concat(tables, ignore_index=True)


def _analyse(cohort: Any, measure: str, outcome: Any, options: Mapping[str, Any]) -> pd.DataFrame:
    """Return the estimates of one cohort; none, with the reason, where all methods failed."""
    columns = ["method", "estimate", "std_error", "conf_low", "conf_high", "note"]
    try:
        return associate(cohort, measure, outcome, **options).table()[columns]
    except (DesignError, ConvergenceError) as exc:
        frame = pd.DataFrame({"method": list(options["methods"]), "note": str(exc)})
        return frame.reindex(columns=columns)


def _recovery(estimates: pd.DataFrame, truth: _Truth, spec: AssociationSpec) -> pd.DataFrame:
    """Summarise the replicates method by method."""
    rows = []
    for method in spec.methods:
        mine = estimates[estimates["method"] == method]
        found = mine[np.isfinite(mine["estimate"].astype(float))]
        rows.append(_performance(method, found, *truth.of(method)) | {
            "n_failed": len(mine) - len(found),
        })  # fmt: skip
    return pd.DataFrame(rows, columns=list(RECOVERY_COLUMNS))


def _performance(
    method: Method, found: pd.DataFrame, truth: float, truth_error: float
) -> dict[str, Any]:
    """Work out bias, spread and coverage, with their Monte Carlo errors."""
    n = len(found)
    estimate = found["estimate"].to_numpy(dtype=float)
    spread = float(estimate.std(ddof=1)) if n > 1 else np.nan
    covers = (found["conf_low"] <= truth) & (truth <= found["conf_high"])
    coverage = float(covers.mean()) if n and np.isfinite(truth) else np.nan
    model_error = np.sqrt(np.mean(found["std_error"].to_numpy(dtype=float) ** 2)) if n else np.nan
    mean = float(estimate.mean()) if n else np.nan
    return {
        "method": method,
        "quantity": METHODS[method].estimate,
        "n_replicates": n,
        "truth": truth,
        "truth_mcse": truth_error,
        "mean_estimate": mean,
        "bias": mean - truth,
        "bias_mcse": np.hypot(spread / np.sqrt(n), truth_error) if n else np.nan,
        "empirical_se": spread,
        "model_se": float(model_error),
        "coverage": coverage,
        "coverage_mcse": np.sqrt(coverage * (1 - coverage) / n) if n else np.nan,
    }


def _child(root: np.random.SeedSequence, purpose: int, number: int) -> np.random.SeedSequence:
    """Return the seed of one cohort: the same, whoever makes it."""
    return np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, purpose, number))


def _check_number(name: str, value: int, least: int) -> None:
    """Refuse numbers that are too small to say anything."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise DesignError(f"`{name}` must be a whole number of at least {least}, got {value!r}.")
