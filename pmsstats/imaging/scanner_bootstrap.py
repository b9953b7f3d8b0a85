"""How uncertain a slope is when the harmonisation before it is estimated too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.imaging.array_fits import ArrayFit, fit_arrays
from pmsstats.imaging.column_labels import as_labels
from pmsstats.imaging.empirical_bayes import scanner_moments
from pmsstats.imaging.harmonisation import (
    HarmonisationResult,
    harmonise,
    shrunk_effects,
    stack_moments,
)
from pmsstats.imaging.harmonisation_spec import HarmonisationSpec
from pmsstats.imaging.harmonised_slopes import HarmonisedSlopes
from pmsstats.imaging.standardised_feature import adjust, scanner_columns, standardise_arrays
from pmsstats.imaging.yearly_slope_weights import yearly_slope_weights
from pmsstats.models.formulas.columns import independent_columns
from pmsstats.models.mixed.lmm import LMMResult, fit_lmm
from pmsstats.seeds import Seed, stream

if TYPE_CHECKING:
    from pmsstats.models.mixed.mixed_design import MixedArrays
    from pmsstats.provenance import Origin

__all__ = ["HarmonisedSlopes", "bootstrap_harmonised_slopes"]

_SMALLEST_STRATUM = 10  # subjects; resampling within fewer would understate their variation
_FEWEST_SCANS = 3  # of a scanner in a resample, for its variance


@dataclass(frozen=True, eq=False, kw_only=True)
class _Feature:
    """Arrays of one feature with rows in blocks per subject.

    `first` and `n_rows` say where the block of each subject begins and how long it is.
    """

    arrays: MixedArrays
    scanner: np.ndarray
    effects: np.ndarray
    first: np.ndarray
    n_rows: np.ndarray


def bootstrap_harmonised_slopes(
    data: pd.DataFrame,
    spec: HarmonisationSpec,
    *,
    seed: Seed,
    feature: str | None = None,
    n_replicates: int = 200,
    max_failure_rate: float = 0.05,
    engine: str = "native",
    origin: Origin = "real",
) -> HarmonisedSlopes:
    """Estimate slopes of a harmonised measure, with the harmonisation repeated in each replicate.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per scan, with the columns that `spec` names.
    spec : HarmonisationSpec
        Features, the model that is kept (also the model of the slopes), scanner column.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Each replicate has a stream of its own.
    feature : str, optional
        Whose slopes to estimate; the first of `spec` by default.
    n_replicates : int, default 200
        Bootstrap replicates; 1,000 or more for the ends of a 95 % interval.
    max_failure_rate : float, default 0.05
        Share of failed replicates past which there is no answer.
    engine : str, default "native"
        Of the mixed models; see :func:`~pmsstats.models.mixed.lmm.fit_lmm`.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; synthetic ones are labelled.

    Returns
    -------
    HarmonisedSlopes
        Slopes per group and their differences, with both standard errors.

    Raises
    ------
    DesignError
        If scanner effects cannot be told from time or groups, or an argument is out of range.
    ConvergenceError
        If more than `max_failure_rate` of the replicates fail.

    Notes
    -----
    Whole subjects are drawn with replacement, within strata of `by` and the sequence of scanners
    of a subject, so that every replicate has each scanner; strata of fewer than 10 subjects are
    drawn together. In each replicate all features are harmonised anew and the mixed model without
    scanner is fitted to the harmonised feature: standard error and percentile interval carry the
    uncertainty of both steps. ``inflation`` is their ratio to the same draws with the harmonised
    values taken as known. With ``multiplicative=False`` that is the price of estimating the shifts.
    Rescaling of residuals adds noise to the values (see
    :class:`~pmsstats.imaging.harmonisation_spec.HarmonisationSpec`) that a repeated harmonisation
    does not turn into a change of the slope, so that with it the ratio may be below 1.

    A replicate fails if a scanner has fewer than 3 scans in it, if two columns of the model cannot
    be told apart, or if a fit does not converge.

    No R or SAS statement gives this. Nearest in R: ``boot::boot`` over subjects with ``strata``,
    whose statistic harmonises (longCombat) and refits ``lme4::lmer``. Resampling whole subjects is
    that of [1]_.

    References
    ----------
    .. [1] Davison AC, Hinkley DV. Bootstrap Methods and their Application. Cambridge University
       Press 1997. doi:10.1017/CBO9780511802843.
    """
    feature = spec.features[0] if feature is None else feature
    _check_request(spec, feature, n_replicates)
    done = harmonise(data, spec, engine=engine, origin=origin)
    # The rows of the harmonisation, in their order: those with a harmonised value.
    fit = fit_lmm(
        done.harmonised(), spec.lmm(feature, scanner="none"), engine=engine, origin=origin
    )
    asked = yearly_slope_weights(fit, by=spec.by, time=spec.time)
    levels = done.check.scanners["scanner"].tolist()
    stratum = _strata(data, done, spec)
    subjects = stratum.index
    prepared = {
        name: _prepare(model, subjects, spec, levels) for name, model in done.check.fits.items()
    }
    known = _prepare(fit, subjects, spec, levels)
    draws = [np.flatnonzero(stratum.to_numpy() == s) for s in stratum.unique()]
    run = _Run(
        features=prepared, known=known, main=list(prepared).index(feature), weights=asked.weights,
        spec=spec,
    )  # fmt: skip
    made = [run.replicate(draws, stream(seed, "scanner bootstrap", i)) for i in range(n_replicates)]
    failures = pd.Series([m for m in made if isinstance(m, str)], dtype=object).value_counts()
    if failures.sum() > max_failure_rate * n_replicates:
        raise ConvergenceError(
            f"{failures.sum()} of {n_replicates} bootstrap replicates failed "
            f"({failures.to_dict()}), more than `max_failure_rate`={max_failure_rate:g}. Use fewer "
            "random effects in `model`, or leave out scanners with few scans."
        )
    good = np.array([m for m in made if not isinstance(m, str)])
    return HarmonisedSlopes(
        spec=spec,
        feature=feature,
        slopes=_summary(asked.estimate(fit), good, spec.conf_level),
        replicates=pd.DataFrame(good[:, 0], columns=list(asked.terms)),
        failures={str(reason): int(n) for reason, n in failures.items()},
        n_replicates=n_replicates,
        strata=stratum.value_counts(sort=False).rename_axis("stratum")
        .reset_index(name="n_subjects"),
        harmonisation=done,
        n_subjects=fit.n_subjects,
        n_obs=fit.n_obs,
        origin=origin,
        exclusions=done.exclusions,
    )  # fmt: skip


def _check_request(spec: HarmonisationSpec, feature: str, n_replicates: int) -> None:
    """Refuse an unknown feature and too few replicates."""
    if feature not in spec.features:
        raise DesignError(f"`feature` must be one of {', '.join(spec.features)}, got {feature!r}.")
    if isinstance(n_replicates, bool) or not isinstance(n_replicates, int) or n_replicates < 2:
        raise DesignError(f"`n_replicates` must be a number of at least 2, got {n_replicates!r}.")


def _strata(data: pd.DataFrame, done: HarmonisationResult, spec: HarmonisationSpec) -> pd.Series:
    """Name the stratum of each subject: group and sequence of scanners, small ones together."""
    used = data.assign(**{spec.scanner: as_labels(data[spec.scanner])})
    used = used[done.adjusted.notna().any(axis=1)].sort_values([spec.subject, spec.time])
    scanner = used[spec.scanner].astype(str)
    starts = (scanner != scanner.shift()) | (used[spec.subject] != used[spec.subject].shift())
    sequence = scanner[starts].groupby(used.loc[starts, spec.subject], sort=False).agg(" > ".join)
    group = (
        used.groupby(spec.subject, sort=False)[spec.by].first().astype(str) + ": "
        if spec.by else pd.Series("", index=sequence.index)
    )  # fmt: skip
    label = group + sequence
    size = label.groupby(label).transform("size")
    return label.where(size >= _SMALLEST_STRATUM, group + "other sequences")


def _prepare(
    fit: LMMResult, subjects: pd.Index, spec: HarmonisationSpec, levels: list[str]
) -> _Feature:
    """Sort the arrays of a fit by subject, and note where each subject begins."""
    arrays = fit.design.arrays
    number = subjects.get_indexer(pd.Index(fit.design.subject_ids))[arrays.subject]
    order = np.argsort(number, kind="stable")
    n_rows = np.bincount(number, minlength=len(subjects))
    scanner = as_labels(fit.data[spec.scanner]).set_categories(levels).codes.astype(int)
    return _Feature(
        arrays=replace(arrays, y=arrays.y[order], X=arrays.X[order], Z=arrays.Z[order],
                       subject=number[order], n_subjects=len(subjects)),
        scanner=scanner[order],
        effects=scanner_columns(fit.design.fixed_names, spec.scanner, levels),
        first=np.concatenate([[0], np.cumsum(n_rows)[:-1]]),
        n_rows=n_rows,
    )  # fmt: skip


def _drawn_rows(feature: _Feature, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the drawn subjects, and the new subject number of each."""
    n_rows = feature.n_rows[chosen]
    new = np.repeat(np.arange(len(chosen)), n_rows)
    within = np.arange(len(new)) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows)
    rows: np.ndarray = np.repeat(feature.first[chosen], n_rows) + within
    return rows, np.unique(new, return_inverse=True)[1]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Run:
    """What every replicate needs."""

    features: Mapping[str, _Feature]
    known: _Feature
    main: int
    weights: np.ndarray
    spec: HarmonisationSpec

    def replicate(self, strata: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray | str:
        """Draw subjects; return slopes with and without new harmonisation, or why not."""
        chosen = np.concatenate([rng.choice(ids, size=len(ids)) for ids in strata])
        try:
            values = self._harmonised(chosen)
            rows, subject = _drawn_rows(self.known, chosen)
            again = self._slopes(values, rows, subject)
            fixed = self._slopes(self.known.arrays.y[rows], rows, subject)
        except _Failed as failed:
            return str(failed)
        return np.stack([again, fixed])

    def _harmonised(self, chosen: np.ndarray) -> np.ndarray:
        """Harmonise all features of a draw, and return the one that is wanted."""
        parts = []
        for feature in self.features.values():
            rows, subject = _drawn_rows(feature, chosen)
            scanner = feature.scanner[rows]
            if np.bincount(scanner, minlength=len(feature.effects)).min() < _FEWEST_SCANS:
                raise _Failed("a scanner had too few scans")
            drawn = _take(feature.arrays, rows, subject, feature.arrays.y[rows])
            fit = _fit(drawn)
            parts.append(
                standardise_arrays(
                    drawn, fit.fixed, fit.modes, fit.sigma, effects=feature.effects,
                    scanner=scanner, residual_scale=self.spec.residual_scale, position=rows,
                )
            )  # fmt: skip
        moments = stack_moments(
            [scanner_moments(p.z, p.scanner, len(self.known.effects)) for p in parts]
        )
        gamma, delta2 = shrunk_effects(moments, self.spec)
        return adjust(parts[self.main], gamma[:, self.main], delta2[:, self.main])

    def _slopes(self, y: np.ndarray, rows: np.ndarray, subject: np.ndarray) -> np.ndarray:
        """Fit the model of the slopes."""
        fit = _fit(_take(self.known.arrays, rows, subject, y))
        slopes: np.ndarray = self.weights @ fit.fixed
        return slopes


class _Failed(Exception):  # noqa: N818 (caught a few lines above)
    """A replicate that has no answer."""


def _take(arrays: MixedArrays, rows: np.ndarray, subject: np.ndarray, y: np.ndarray) -> MixedArrays:
    """Put the rows of a draw into the arrays of a model."""
    return replace(
        arrays, y=y, X=arrays.X[rows], Z=arrays.Z[rows], subject=subject,
        n_subjects=int(subject.max()) + 1,
    )  # fmt: skip


def _fit(arrays: MixedArrays) -> ArrayFit:
    """Fit a mixed model to the arrays of a draw."""
    if len(independent_columns(arrays.X)[1]):
        raise _Failed("columns of the model could not be told apart")
    found = fit_arrays(arrays)
    if not found.converged:
        raise _Failed("a mixed model did not converge")
    return found


def _summary(naive: pd.DataFrame, good: np.ndarray, conf_level: float) -> pd.DataFrame:
    """Tabulate the replicates, shape (n, 2, n_terms), beside the model's own standard errors."""
    std_error, std_error_known = good.std(axis=0, ddof=1)
    tail = (1 - conf_level) / 2
    low, high = np.quantile(good[:, 0], [tail, 1 - tail], axis=0)
    return pd.DataFrame(
        {
            "quantity": naive["quantity"],
            "term": naive["term"],
            "estimate": naive["estimate"],
            "std_error": std_error,
            "conf_low": low,
            "conf_high": high,
            "std_error_known": std_error_known,
            "std_error_naive": naive["std_error"],
            "inflation": std_error / std_error_known,
            "ratio_to_naive": std_error / naive["std_error"],
        }
    )
