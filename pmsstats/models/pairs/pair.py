"""Bivariate mixed models: how the trajectories of two outcomes go together, error taken out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, nearest
from pmsstats.models.fixed_effects.inference import tabulate_estimates
from pmsstats.models.kernels.pair_maximum import (
    GOOD_ENOUGH,
    PairMaximum,
    climb_pair,
    lower_basis,
)
from pmsstats.models.mixed.covariance_roots import cholesky
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.models.pairs.pair_design import PairDesign, build_pair_design
from pmsstats.models.pairs.pair_estimates import pair_variances
from pmsstats.models.pairs.pair_result import PairResult
from pmsstats.models.pairs.pair_spec import PairSpec
from pmsstats.provenance import package_version
from pmsstats.results import Exclusion, FitLog

if TYPE_CHECKING:
    from pmsstats.provenance import Origin

__all__ = ["fit_pair"]

OnFailure = Literal["raise", "warn"]
_VERSION = package_version()
_FLOOR = 1e-3  # of the residual variance: least variance to start from


def fit_pair(
    data: pd.DataFrame,
    spec: PairSpec | tuple[str, str],
    *,
    on_failure: OnFailure = "raise",
    dictionary: Mapping[str, Measure] | None = None,
    origin: Origin = "real",
    prior_exclusions: Sequence[Exclusion] = (),
) -> PairResult:
    """Fit a linear mixed model of two outcomes together.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per visit, with the columns that the models name. An outcome may be missing at a
        visit, or in a subject, without the other being left out; the two need not be measured at
        the same visits.
    spec : PairSpec or tuple of str
        The request; or the formulas of the two outcomes (then by REML).
    on_failure : {"raise", "warn"}, default "raise"
        What to do without a maximum that can be trusted. ``"warn"`` also warns of singular fits.
    dictionary : mapping of str to Measure, optional
        For label and unit of the outcomes; the package's own by default.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; synthetic ones are labelled.
    prior_exclusions : sequence of Exclusion
        What earlier steps left out, to be carried along.

    Returns
    -------
    PairResult
        Fixed effects, variances and correlations of both outcomes; above all that of their true
        slopes.

    Raises
    ------
    FormulaError
        If a formula names an unknown column or asks for more than the allowed transforms.
    DesignError
        If the data cannot determine the model: an outcome that does not vary, one visit per
        subject, too few subjects with both outcomes, other subjects in the two formulas.
    ConvergenceError
        If no maximum is found, and `on_failure` is ``"raise"``.

    Notes
    -----
    The model is ``y_k = X_k beta_k + Z_k b_k + e_k`` for the outcomes k = 1, 2, with
    ``(b_1, b_2) ~ N(0, D)`` per subject, D unstructured over the effects of both, and
    ``e_k ~ N(0, sigma_k^2)``, correlated between the outcomes of one visit if asked [1]_. The
    correlation of the true slopes is that of two entries of ``(b_1, b_2)``. It is not weakened by
    measurement error, as the correlation of slopes estimated for each subject is: that one is
    expected to be the true one times the root of the product of both slopes' reliabilities [2]_.
    Values missing at random, given those of either outcome, do not bias it. With covariates in
    the fixed effects (``year * arm``) it is the correlation among subjects who share them.

    The deviance is minimised by Newton steps with exact first and second derivatives, from a fit
    of each outcome alone; standard errors of variances and correlations come from the observed
    information, those of fixed effects take the variances as known, as those of lme4 do.

    R: ``nlme::lme(y ~ 0 + outcome + outcome:year, random = ~ 0 + outcome + outcome:year |
    subject_id, weights = varIdent(form = ~ 1 | outcome))`` on stacked rows; SAS: ``PROC MIXED``
    with ``RANDOM outcome outcome*year / SUBJECT=subject_id TYPE=UN; REPEATED / GROUP=outcome``.

    References
    ----------
    .. [1] Shah A, Laird N, Schoenfeld D. A random-effects model for multiple characteristics with
       possibly missing data. J Am Stat Assoc 1997;92:775-779.
       doi:10.1080/01621459.1997.10474030.
    .. [2] Spearman C. The proof and measurement of association between two things. Am J Psychol
       1904;15:72-101. doi:10.2307/1412159.

    Examples
    --------
    >>> rng = np.random.default_rng(2)
    >>> visits = pd.DataFrame({"subject_id": np.repeat(range(80), 5), "year": [0, 1, 2, 3, 4] * 80})
    >>> slopes = rng.multivariate_normal([-0.1, -0.2], [[0.01, 0.012], [0.012, 0.04]], 80)
    >>> own = np.repeat(slopes, 5, axis=0) * visits[["year"]].to_numpy()
    >>> visits["thalamus_ml"] = 15 + own[:, 0] + rng.normal(0, 0.1, 400)
    >>> visits["msfc_z"] = own[:, 1] + rng.normal(0, 0.2, 400)
    >>> fit = fit_pair(
    ...     visits,
    ...     ("thalamus_ml ~ year + (year | subject_id)", "msfc_z ~ year + (year | subject_id)"),
    ... )
    >>> found = fit.slope_correlation()
    >>> found.conf_low < 0.6 < found.conf_high
    True
    """
    spec = _requested(spec)
    if on_failure not in get_args(OnFailure):
        raise DesignError(
            f"`on_failure` must be 'raise' or 'warn', got {on_failure!r}."
            f"{nearest(str(on_failure), get_args(OnFailure))}"
        )
    design = build_pair_design(data, spec)
    found = _maximise(design)
    log = _fit_log(design, found)
    _judge(log, spec, on_failure)
    known = default_dictionary() if dictionary is None else dictionary
    return _result(
        design,
        spec,
        found,
        log=log,
        measures=tuple(known.get(name.strip("`")) for name in spec.outcomes),
        origin=origin,
        prior=tuple(prior_exclusions),
    )


def _requested(spec: PairSpec | tuple[str, str]) -> PairSpec:
    """Read a pair of formulas."""
    if isinstance(spec, PairSpec):
        return spec
    if (
        isinstance(spec, tuple | list)
        and len(spec) == 2
        and all(isinstance(part, str) for part in spec)
    ):
        return PairSpec(first=spec[0], second=spec[1])
    raise DesignError(
        '`spec` must be a PairSpec or two formulas, such as ("thalamus_ml ~ year + (year | '
        f'subject_id)", "msfc_z ~ year + (year | subject_id)"), got {spec!r}.'
    )


def _maximise(design: PairDesign) -> PairMaximum:
    """Climb from the fits of each outcome alone."""
    # loaded here because it loads numba, which only those who fit need
    from pmsstats.models.mixed.native_lmm import fit as fit_alone

    alone = [
        fit_alone(MixedLikelihood(arrays, reml=design.sums.is_reml)) for arrays in design.standard
    ]
    q = sum(design.sums.sizes)
    D = np.zeros((q, q))
    start = 0
    for made, size in zip(alone, design.sums.sizes, strict=True):
        part = slice(start, start + size)
        D[part, part] = made.sigma2 * (made.psi + _FLOOR * np.eye(size))
        start += size
    eta = np.zeros(design.sums.n_residual)
    eta[:2] = np.log([made.sigma2 for made in alone]) / 2
    return climb_pair(design.sums, lower_basis(q), cholesky(D)[np.tril_indices(q)], eta)


def _fit_log(design: PairDesign, found: PairMaximum) -> FitLog:
    """Say what the optimiser did."""
    return FitLog(
        engine="native",
        engine_version=_VERSION,
        optimiser="Newton",
        converged=bool(found.gain < GOOD_ENOUGH),
        message=f"log-likelihood could rise by {max(found.gain, 0.0):.1e}",
        n_evaluations=found.n_evaluations,
        singular=found.singular,
        log_likelihood=design.log_likelihood(-found.terms.deviance / 2),
    )


def _judge(log: FitLog, spec: PairSpec, on_failure: OnFailure) -> None:
    """Raise or warn where there is no maximum; warn of a singular one if warnings are wanted."""
    if not log.converged:
        message = (
            f"No maximum of the likelihood of {spec.formula()} was found ({log.message}). Use "
            "fewer random effects, or on_failure='warn' to look at where it stopped."
        )
        if on_failure == "raise":
            raise ConvergenceError(message)
        warnings.warn(message, ConvergenceWarning, stacklevel=3)
    elif log.singular and on_failure == "warn":
        warnings.warn(
            f"The fit of {spec.formula()} is singular: some combination of the random effects is "
            "estimated not to vary.",
            ConvergenceWarning,
            stacklevel=3,
        )


def _result(
    design: PairDesign,
    spec: PairSpec,
    found: PairMaximum,
    *,
    log: FitLog,
    measures: tuple[Measure | None, ...],
    origin: Origin,
    prior: tuple[Exclusion, ...],
) -> PairResult:
    """Map what was found back to the user's units, and tabulate it."""
    offset, T = design.fixed_map()
    covariance = T @ found.terms.fixed_covariance @ T.T
    names = [
        (outcome, name)
        for outcome, made in zip(spec.outcomes, design.designs, strict=True)
        for name in made.fixed_names
    ]
    coefficients = tabulate_estimates(
        [name for _, name in names],
        offset + T @ found.terms.fixed,
        np.sqrt(np.diag(covariance)),
        conf_level=spec.conf_level,
    )
    coefficients.insert(0, "outcome", [outcome for outcome, _ in names])
    return PairResult(
        spec=spec,
        fit_log=log,
        group=spec.group,
        n_subjects=design.n_subjects,
        n_both=design.n_both,
        n_obs=design.n_obs,
        coefficients=coefficients,
        fixed_covariance=covariance,
        variances=pair_variances(design, found),
        maximum=found,
        design=design,
        measures=(measures[0], measures[1]),
        origin=origin,
        exclusions=(*prior, *design.exclusions),
    )
