"""Scanner harmonisation of longitudinal measures: ComBat in the mixed-model form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.imaging.column_labels import as_labels
from pmsstats.imaging.confounding import check_scanner_confounding
from pmsstats.imaging.empirical_bayes import (
    ScannerMoments,
    estimate_priors,
    scanner_moments,
    shrink,
)
from pmsstats.imaging.harmonisation_result import HarmonisationResult
from pmsstats.imaging.harmonisation_spec import HarmonisationSpec
from pmsstats.imaging.standardised_feature import (
    StandardisedFeature,
    adjust,
    centred,
    scanner_columns,
    standardise_arrays,
)
from pmsstats.results import Exclusion

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm import LMMResult
    from pmsstats.provenance import Origin

__all__ = ["HarmonisationResult", "HarmonisationSpec", "harmonise"]

_POSITION = "row of the data"
_FEW_FEATURES = 5


def harmonise(
    data: pd.DataFrame,
    spec: HarmonisationSpec,
    *,
    engine: str = "native",
    origin: Origin = "real",
    prior_exclusions: Sequence[Exclusion] = (),
) -> HarmonisationResult:
    """Take additive and multiplicative scanner effects out of longitudinal measures.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per scan, with the columns that `spec` names.
    spec : HarmonisationSpec
        Features, the model that is kept, scanner column.
    engine : str, default "native"
        Of the mixed models; see :func:`~pmsstats.models.mixed.lmm.fit_lmm`.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; synthetic ones are labelled.
    prior_exclusions : sequence of Exclusion
        What earlier steps left out, to be carried along.

    Returns
    -------
    HarmonisationResult
        Effects per feature and scanner, and the data with harmonised values.

    Raises
    ------
    DesignError
        If scanner effects cannot be told from time or groups; see
        :func:`~pmsstats.imaging.confounding.check_scanner_confounding`.
    ConvergenceError
        If a mixed model does not converge.

    Notes
    -----
    For feature v, subject j, scan t on scanner i the model of [1]_ is::

        y = X beta_v + Z b_jv + gamma_iv + delta_iv * e,    e ~ N(0, sigma_v^2)

    1. A mixed model with the scanner as a fixed effect gives ``beta``, the predicted ``b``,
       ``sigma`` and ``gamma``, the latter constrained to ``sum_i n_iv gamma_iv = 0``: values are
       moved to the average scan, not to one scanner.
    2. ``z = (y - X beta - Z b) / sigma``; its mean and variance per scanner estimate gamma (over
       sigma) and delta^2.
    3. Empirical Bayes across features [2]_ shrinks both
       (:mod:`pmsstats.imaging.empirical_bayes`).
    4. ``harmonised = (sigma / delta*) (z - gamma*) + X beta + Z b``.

    Covariate effects and individual trajectories are kept. What is not kept is the knowledge that
    ``gamma`` and ``delta`` were estimated: a model of the harmonised values takes them as known;
    :func:`~pmsstats.imaging.scanner_bootstrap.bootstrap_harmonised_slopes` does not. Where
    subjects move between scanners, their predicted random effects mix the noise of both, so that
    a ratio of two ``delta`` is estimated too close to 1 with few scans per subject.

    R: same algorithm as longCombat (paper and public source), not compared with the package itself;
    its call is ``longCombat(idvar, timevar, batchvar, features, formula, ranef, data)``, with
    ``method = "REML"`` or ``"MSR"``. No SAS statement gives this.

    References
    ----------
    .. [1] Beer JC, Tustison NJ, Cook PA, et al. Longitudinal ComBat: a method for harmonizing
       longitudinal multi-scanner imaging data. NeuroImage 2020;220:117129.
       doi:10.1016/j.neuroimage.2020.117129.
    .. [2] Johnson WE, Li C, Rabinovic A. Adjusting batch effects in microarray expression data
       using empirical Bayes methods. Biostatistics 2007;8:118-127.
       doi:10.1093/biostatistics/kxj037.
    """
    check = check_scanner_confounding(_numbered(data, spec), spec, engine=engine)
    levels = check.scanners["scanner"].tolist()
    parts = {f: standardise_feature(fit, spec, levels) for f, fit in check.fits.items()}
    moments = stack_moments([scanner_moments(p.z, p.scanner, len(levels)) for p in parts.values()])
    gamma, delta2 = shrunk_effects(moments, spec)
    values = pd.DataFrame(np.nan, index=data.index, columns=list(spec.features))
    for k, (feature, part) in enumerate(parts.items()):
        adjusted = adjust(part, gamma[:, k], delta2[:, k])
        values.iloc[part.position, values.columns.get_loc(feature)] = adjusted
    effects = [
        _effects(check.fits[f], f, part, levels, spec).assign(
            gamma=moments.gamma[:, k], gamma_star=gamma[:, k],
            delta=np.sqrt(moments.delta2[:, k]), delta_star=np.sqrt(delta2[:, k]),
            shift=part.sigma * gamma[:, k],
        )
        for k, (f, part) in enumerate(parts.items())
    ]  # fmt: skip
    return HarmonisationResult(
        spec=spec,
        effects=pd.concat(effects, ignore_index=True),
        tests=pd.DataFrame([_tests(check.fits[f], f, p, spec) for f, p in parts.items()]),
        adjusted=values,
        data=data.copy(),
        check=check,
        notes=(*_notes(spec), *check.notes),
        n_subjects=check.n_subjects,
        n_obs=check.n_obs,
        origin=origin,
        exclusions=(*prior_exclusions, *_exclusions(check.fits.values())),
    )


def _numbered(data: pd.DataFrame, spec: HarmonisationSpec) -> pd.DataFrame:
    """Copy the data with the position of each row, so that values find their way back."""
    known = isinstance(data, pd.DataFrame) and spec.scanner in data.columns
    labels = {spec.scanner: as_labels(data[spec.scanner])} if known else {}
    return data.assign(**labels, **{_POSITION: np.arange(len(data))}) if known else data


def _exclusions(fits: object) -> tuple[Exclusion, ...]:
    """Collect what the models of all features left out, each reason once."""
    found = [exclusion for fit in fits for exclusion in fit.exclusions]  # type: ignore[attr-defined]
    return tuple(dict.fromkeys(found))


def standardise_feature(
    fit: LMMResult, spec: HarmonisationSpec, levels: Sequence[str]
) -> StandardisedFeature:
    """Express a feature in residual standard deviations around what is kept of it.

    Parameters
    ----------
    fit : LMMResult
        With the scanner as a fixed effect.
    spec : HarmonisationSpec
        How to standardise.
    levels : sequence of str
        Scanners in order.

    Returns
    -------
    StandardisedFeature
        Step 1 and 2 of :func:`harmonise`.
    """
    scanner = as_labels(fit.data[spec.scanner]).set_categories(list(levels)).codes.astype(int)
    position = fit.data.get(_POSITION, fit.data.index)
    return standardise_arrays(
        fit.design.arrays,
        fit.coefficients["estimate"].to_numpy(),
        fit.blup_frame[list(fit.design.random_names)].to_numpy(),
        fit.residual_sd,
        effects=scanner_columns(fit.design.fixed_names, spec.scanner, levels),
        scanner=scanner,
        residual_scale=spec.residual_scale,
        position=np.asarray(position, dtype=int),
    )


def stack_moments(moments: Sequence[ScannerMoments]) -> ScannerMoments:
    """Put the moments of several features beside each other.

    Parameters
    ----------
    moments : sequence of ScannerMoments
        One per feature.

    Returns
    -------
    ScannerMoments
        Arrays of shape (n_scanners, n_features).
    """
    return ScannerMoments(
        n=np.hstack([m.n for m in moments]),
        gamma=np.hstack([m.gamma for m in moments]),
        delta2=np.hstack([m.delta2 for m in moments]),
    )


def shrunk_effects(
    moments: ScannerMoments, spec: HarmonisationSpec
) -> tuple[np.ndarray, np.ndarray]:
    """Return the effects that are taken out: shrunk, or as they are.

    Parameters
    ----------
    moments : ScannerMoments
        Unshrunk estimates.
    spec : HarmonisationSpec
        Whether to shrink, and whether variances are changed at all.

    Returns
    -------
    gamma, delta2 : ndarray, shape (n_scanners, n_features)
        In residual standard deviations, and as variance ratio.
    """
    gamma, delta2 = moments.gamma, moments.delta2
    if spec.shrink and gamma.shape[1] > 1:
        gamma, delta2 = shrink(moments, estimate_priors(moments))
    return gamma, delta2 if spec.multiplicative else np.ones_like(delta2)


def _effects(
    fit: LMMResult,
    feature: str,
    part: StandardisedFeature,
    levels: Sequence[str],
    spec: HarmonisationSpec,
) -> pd.DataFrame:
    """Tabulate the additive effects of one feature, unshrunk, with their precision."""
    columns = scanner_columns(fit.design.fixed_names, spec.scanner, levels)
    weights = centred(columns, part.scanner)
    table = fit.estimate(list(levels), weights).rename(columns={"term": "scanner"})
    subjects = pd.Series(fit.design.arrays.subject).groupby(part.scanner).nunique()
    table.insert(0, "feature", feature)
    table.insert(2, "n_obs", np.bincount(part.scanner, minlength=len(levels)))
    table.insert(3, "n_subjects", subjects.reindex(range(len(levels)), fill_value=0).to_numpy())
    return table


def _tests(
    fit: LMMResult, feature: str, part: StandardisedFeature, spec: HarmonisationSpec
) -> dict[str, object]:
    """Test whether there are scanner effects at all, in means and in variances.

    The first is the F test of the scanner in the mixed model; the second is Fligner and Killeen's
    test of the conditional residuals (R: ``fligner.test``), as in longCombat's ``multTest``.
    """
    names = fit.design.fixed_names
    columns = [i for i, name in enumerate(names) if name.startswith(f"{spec.scanner}[")]
    additive = fit.f_test(np.eye(len(names))[columns])
    groups = [part.residual[part.scanner == i] for i in np.unique(part.scanner)]
    multiplicative = stats.fligner(*groups)
    return {
        "feature": feature,
        "additive_statistic": additive.statistic,
        "additive_df": additive.df_numerator,
        "additive_p_value": additive.p_value,
        "multiplicative_statistic": float(multiplicative.statistic),
        "multiplicative_df": len(groups) - 1,
        "multiplicative_p_value": float(multiplicative.pvalue),
        "residual_sd": fit.residual_sd,
        "sigma": part.sigma,
    }


def _notes(spec: HarmonisationSpec) -> tuple[str, ...]:
    """Say how far the scanner effects were shrunk."""
    n = len(spec.features)
    if not spec.shrink:
        return ("scanner effects were not shrunk (shrink=False)",)
    if n == 1:
        return (
            (
                "with one feature nothing can be learned across features, so the scanner effects "
                "were not shrunk"
            ),
        )
    if n < _FEW_FEATURES:
        return (f"the amount of shrinkage was itself estimated from {n} features only",)
    return ()
