"""Four ways to deal with scanners, side by side: none, fixed, random, harmonised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, PMSStatsError
from pmsstats.imaging.harmonisation import HarmonisationResult, harmonise
from pmsstats.imaging.harmonisation_spec import HarmonisationSpec, with_scanner_labels
from pmsstats.imaging.yearly_slope_weights import slope_unit, yearly_slope_weights
from pmsstats.models.mixed.lmm import LMMResult, LMMSpec, fit_lmm
from pmsstats.plots.forest import plot_forest
from pmsstats.results import Exclusion, Result, format_interval, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin

__all__ = ["ScannerComparison", "compare_scanner_models", "random_scanner_model"]

_METHODS = {
    "none": "scanner ignored",
    "fixed": "scanner as fixed effect",
    "random": "scanner as random effect",
    "combat": "harmonised (ComBat)",
}
_FEW_LEVELS = 5


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ScannerComparison(Result):
    """Slopes by each way of dealing with scanners.

    Parameters
    ----------
    spec : HarmonisationSpec
        The request.
    feature : str
        Whose slopes they are.
    slopes : pandas.DataFrame
        ``method quantity term estimate std_error [df] statistic p_value conf_low conf_high note
        caution``, per year: the ``slope`` of each group and each ``difference`` from the first;
        missing where a method could not be used, with the reason as note.
    fits : mapping of str to LMMResult
        The mixed model of each method that could be used.
    harmonisation : HarmonisationResult
        Behind the last method.
    n_subjects : int
        Subjects analysed, the same by each method.
    n_obs : int
        Their scans.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out, with reasons.
    """

    spec: HarmonisationSpec
    feature: str
    slopes: pd.DataFrame
    fits: Mapping[str, LMMResult]
    harmonisation: HarmonisationResult
    n_subjects: int
    n_obs: int
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say the last slope by each method."""
        rows = self._last()
        last = rows["term"].iloc[-1]
        told = []
        for row in rows.to_dict("records"):
            value = format_interval(row["estimate"], row["conf_low"], row["conf_high"])
            told.append(f"{_METHODS[row['method']]}: {row['note'] or value}")
        origin = "synthetic " if self.origin == "synthetic" else ""
        return (
            f"Slope of {self.feature} per {slope_unit(self.spec.time)} ({last}) in "
            f"{self.n_subjects} {origin}subjects ({self.n_obs} scans), {'; '.join(told)}."
        )

    def _last(self) -> pd.DataFrame:
        """Return the last slope or difference by each method."""
        keys = self.slopes[["quantity", "term"]]
        return self.slopes[(keys == keys.iloc[-1]).all(axis=1)]

    def table(self) -> pd.DataFrame:
        """Return one row per method and slope."""
        return self.slopes.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw one slope (``term=``; the last by default) by each method."""
        last = self._last()
        term = kws.pop("term", None)
        mine = last if term is None else self.slopes[self.slopes["term"] == term]
        term = last["term"].iloc[-1] if term is None else term
        rows = mine.assign(label=[_METHODS[m] for m in mine["method"]])
        unit = slope_unit(self.spec.time)
        options = {"x_label": f"Slope of {self.feature} per {unit}: {term}",
                   "reference": 0.0}  # fmt: skip
        shown = rows[["label", "estimate", "conf_low", "conf_high"]]
        return plot_forest(shown, ax=ax, **{"origin": self.origin, **options, **kws})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "scanner_comparison/1",
            "spec": to_plain(self.spec),
            "feature": self.feature,
            "headline": self.headline(),
            "slopes": to_plain(self.slopes),
            "fits": {name: fit.to_dict() for name, fit in self.fits.items()},
            "harmonisation": self.harmonisation.to_dict(),
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def random_scanner_model(spec: HarmonisationSpec, *, feature: str | None = None) -> LMMSpec:
    """Write the mixed model with the scanner as a random effect: the simpler alternative.

    Parameters
    ----------
    spec : HarmonisationSpec
        The model that is kept, and the scanner column.
    feature : str, optional
        The outcome; the first feature of `spec` by default.

    Returns
    -------
    LMMSpec
        ``feature ~ ... + (year | subject_id) + (1 | scanner_id)``, for
        :func:`~pmsstats.models.mixed.lmm.fit_lmm`.

    Notes
    -----
    Scanner effects are drawn towards zero by as much as their number and the scans on each warrant.
    It takes additive effects only, and scanners as a sample of like ones; below about five of them
    their variance is hardly known, and fixed effects are the safer choice. R:
    ``lme4::lmer(thalamus ~ year * arm + (year | subject) + (1 | scanner))``.

    Examples
    --------
    >>> spec = HarmonisationSpec(features=("thalamus_ml",), model="year * arm + (1 | subject_id)")
    >>> random_scanner_model(spec).formula()
    'thalamus_ml ~ year * arm + (1 | subject_id) + (1 | scanner_id)'
    """
    return spec.lmm(spec.features[0] if feature is None else feature, scanner="random")


def compare_scanner_models(
    data: pd.DataFrame,
    spec: HarmonisationSpec,
    *,
    feature: str | None = None,
    engine: str = "native",
    origin: Origin = "real",
) -> ScannerComparison:
    """Estimate slopes without scanner, with it as fixed or random effect, and after ComBat.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per scan, with the columns that `spec` names.
    spec : HarmonisationSpec
        Features (all of them are harmonised together), the model, scanner column.
    feature : str, optional
        Whose slopes to estimate; the first of `spec` by default.
    engine : str, default "native"
        Of the mixed models; see :func:`~pmsstats.models.mixed.lmm.fit_lmm`.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; synthetic ones are labelled.

    Returns
    -------
    ScannerComparison
        Slopes per group and their differences, by each method, from the same rows.

    Raises
    ------
    DesignError
        If scanner effects cannot be told from time or groups, or no method has an answer.

    Notes
    -----
    R, in the order of the methods: ``lmer(y ~ year * arm + (year | id))``; the same with
    ``+ scanner``; with ``+ (1 | scanner)``; and the first on the values of
    :func:`~pmsstats.imaging.harmonisation.harmonise`. SAS: ``MODEL y = year|arm / SOLUTION
    DDFM=SATTERTHWAITE; RANDOM INT year / TYPE=UN SUBJECT=id``; the same with ``scanner`` in the
    ``MODEL``; with ``RANDOM scanner``; no SAS statement harmonises.

    The standard errors of the first and last method take too much as known: the first that there
    are no scanner effects, the last that they are known; see
    :func:`~pmsstats.imaging.scanner_bootstrap.bootstrap_harmonised_slopes`.
    """
    feature = spec.features[0] if feature is None else feature
    if feature not in spec.features:
        raise DesignError(f"`feature` must be one of {', '.join(spec.features)}, got {feature!r}.")
    done = harmonise(data, spec, engine=engine, origin=origin)
    used = done.adjusted[feature].notna().to_numpy()
    raw = with_scanner_labels(data, spec.scanner)[used]
    requests = {
        "none": (raw, spec.lmm(feature, scanner="none")),
        "fixed": (raw, spec.lmm(feature, scanner="fixed")),
        "random": (raw, random_scanner_model(spec, feature=feature)),
        "combat": (done.harmonised()[used], spec.lmm(feature, scanner="none")),
    }
    fits: dict[str, LMMResult] = {}
    reasons: dict[str, str] = {}
    for method, (rows, model) in requests.items():
        try:
            fits[method] = fit_lmm(rows, model, engine=engine, origin=origin)
        except PMSStatsError as failed:
            reasons[method] = f"not estimable: {failed}"
    return ScannerComparison(
        spec=spec,
        feature=feature,
        slopes=_side_by_side(fits, reasons, spec, len(done.check.scanners)),
        fits=fits,
        harmonisation=done,
        n_subjects=int(raw[spec.subject].nunique()),
        n_obs=len(raw),
        origin=origin,
        exclusions=done.exclusions,
    )


def _side_by_side(
    fits: Mapping[str, LMMResult], reasons: Mapping[str, str], spec: HarmonisationSpec, n: int
) -> pd.DataFrame:
    """Stack the slopes of all methods; a method without an answer has missing values."""
    made = {
        method: yearly_slope_weights(fit, by=spec.by, time=spec.time).estimate(fit)
        for method, fit in fits.items()
    }
    if not made:
        raise DesignError(f"No method could be used. {'; '.join(reasons.values())}")
    asked = next(iter(made.values()))[["quantity", "term"]]
    missing = {"estimate": np.nan, "conf_low": np.nan, "conf_high": np.nan}
    parts = []
    for method in _METHODS:
        if method in made:
            part = made[method].assign(note="")
        else:
            part = asked.assign(**missing, note=reasons[method])
        part.insert(0, "method", method)
        parts.append(part)
    stacked = pd.concat(parts, ignore_index=True)
    few = (stacked["method"] == "random") & stacked["estimate"].notna() & (n < _FEW_LEVELS)
    return stacked.assign(caution=np.where(few, f"variance of {n} scanners is hardly known", ""))
