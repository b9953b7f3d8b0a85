"""One linear mixed model fitted to many replicates of its outcome, thousands per second."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy import linalg, special

from pmsstats.errors import DesignError
from pmsstats.models.fixed_effects.batch_request import (
    check_n_jobs,
    checked_responses,
    design_without_outcome,
)
from pmsstats.models.formulas.contrasts import contrast_weights
from pmsstats.models.mixed.lmm import LMMSpec
from pmsstats.models.mixed.lmm_batch_result import REASONS, LMMBatchResult
from pmsstats.models.mixed.lmm_refit import fit_with_care
from pmsstats.models.mixed.mixed_design import MixedArrays, MixedDesign, build_mixed_design
from pmsstats.models.mixed.mixed_scale import StandardScale, standardise

if TYPE_CHECKING:
    from pmsstats.models.kernels.lmm_replicate import Fits, Schedule

__all__ = ["LMMBatchResult", "fit_lmm_batch"]

BatchDfMethod = Literal["satterthwaite", "normal"]


def fit_lmm_batch(
    data: pd.DataFrame,
    spec: LMMSpec | str,
    responses: np.ndarray,
    *,
    contrasts: np.ndarray | Sequence[Any] | Mapping[str, Any] | None = None,
    df_method: BatchDfMethod | None = None,
    n_jobs: int = 1,
) -> LMMBatchResult:
    """Fit one linear mixed model to many replicates of its outcome.

    Parameters
    ----------
    data : pandas.DataFrame
        The design: one row per scheduled observation, complete in the columns that the model
        names. The outcome need not be among them; if it is, it is not looked at.
    spec : LMMSpec or str
        The model, or its formula in lme4's language, with one grouping factor.
    responses : ndarray, shape (n_replicates, n_rows)
        One outcome per replicate and row of `data`; not a number (NaN) where a visit was missed.
    contrasts : array_like or mapping, optional
        Combinations of the fixed effects, as in
        :meth:`~pmsstats.models.fixed_effects.fixed_result.FixedEffectsResult.contrast`; by default
        the fixed effects themselves.
    df_method : {"satterthwaite", "normal"}, optional
        Of the tests; by default that of `spec`.
    n_jobs : int, default 1
        Threads. Results do not depend on it.

    Returns
    -------
    LMMBatchResult
        Arrays with one entry per replicate. Those without an answer (too few visits, a constant
        response, ...) stay in place, are missing, and are flagged with the reason.

    Raises
    ------
    FormulaError
        If the formula names an unknown column or asks for more than the allowed transforms.
    DesignError
        If the design is incomplete or cannot determine the model, or `responses` do not fit it.

    Notes
    -----
    The model, its maximum and its tests are those of :func:`~pmsstats.models.mixed.lmm.fit_lmm`
    with ``engine="native"``; in R, ``lme4::refit`` followed by ``lmerTest``'s ``summary`` for each
    replicate. Subjects with the same columns and the same missed visits share their products of
    columns, so that the time per replicate grows with the number of such patterns. A replicate in
    which missed visits make columns dependent has no answer here, while `fit_lmm` drops a column.
    Transforms that look at the data (splines, polynomials, centring) look at the whole design,
    missed visits included, so that coefficients mean the same in every replicate.
    The first call on a machine compiles, which takes some seconds.

    References
    ----------
    .. [1] Kuznetsova A, Brockhoff PB, Christensen RHB. lmerTest package: tests in linear mixed
       effects models. J Stat Softw 2017;82(13). doi:10.18637/jss.v082.i13.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> design = pd.DataFrame({"subject_id": np.repeat(range(40), 4), "year": [0, 1, 2, 3] * 40})
    >>> levels = np.repeat(rng.normal(15, 1, (100, 40)), 4, axis=1)
    >>> y = levels - 0.1 * design["year"].to_numpy() + rng.normal(0, 0.2, (100, 160))
    >>> batch = fit_lmm_batch(design, "thalamus_ml ~ year + (1 | subject_id)", y)
    >>> batch.estimates.shape, bool(batch.converged.all())
    ((100, 2), True)
    """
    spec = LMMSpec.from_formula(spec) if isinstance(spec, str) else spec
    method = _checked_df_method(spec.df_method if df_method is None else df_method)
    check_n_jobs(n_jobs)
    design = _design_of_one_factor(data, spec)
    y = checked_responses(responses, len(data))
    names, weights = (
        (list(design.fixed_names), np.eye(len(design.fixed_names)))
        if contrasts is None
        else contrast_weights(contrasts, design.fixed_names)
    )
    standard, back = standardise(design.arrays)
    if design.arrays.weights is not None:
        y = y * np.sqrt(design.arrays.weights)
    in_standard = linalg.solve_triangular(back.R, weights.T, trans="T").T
    fits = _fit_all(_schedule(standard, in_standard, is_reml=spec.method == "REML"), y, n_jobs)
    return _in_user_units(spec, design, tuple(names), back, fits=fits, df_method=method, y=y)


def _checked_df_method(df_method: str) -> BatchDfMethod:
    """Refuse degrees of freedom that are not offered here."""
    for known in get_args(BatchDfMethod):
        if df_method == known:
            return known
    raise DesignError(
        f"`df_method` must be one of {', '.join(get_args(BatchDfMethod))} in a batch, got "
        f"{df_method!r}. Others are offered by fit_lmm, one fit at a time."
    )


def _design_of_one_factor(data: pd.DataFrame, spec: LMMSpec) -> MixedDesign:
    """Build the design, and refuse several grouping factors."""
    design = design_without_outcome(build_mixed_design, data, spec)
    if design.arrays.others:
        raise DesignError(
            f"A batch takes one grouping factor, got {spec.formula()}. Enter the others as fixed "
            "effects, or fit the replicates one by one with fit_lmm."
        )
    return design


def _schedule(arrays: MixedArrays, contrasts: np.ndarray, *, is_reml: bool) -> Schedule:
    """Order the rows by subject, and find subjects with the same columns."""
    from pmsstats.models.kernels.lmm_replicate import Schedule

    order = np.argsort(arrays.subject, kind="stable")
    first = np.searchsorted(arrays.subject[order], np.arange(arrays.n_subjects + 1))
    X, Z = np.ascontiguousarray(arrays.X[order]), np.ascontiguousarray(arrays.Z[order])
    rows, columns = np.nonzero(np.tril(arrays.mask()))
    return Schedule(
        order=order,
        first=first.astype(np.int64),
        same_columns=_same_subjects(np.hstack([X, Z]), first),
        same_random=_same_subjects(Z, first),
        X=X,
        Z=Z,
        rows=np.ascontiguousarray(rows),
        columns=np.ascontiguousarray(columns),
        is_reml=is_reml,
        contrasts=np.ascontiguousarray(contrasts),
    )


def _same_subjects(columns: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Give equal numbers to equal blocks of rows; columns that differ by rounding are the same."""
    step = np.abs(columns).max(axis=0) * 1e-12
    rounded = np.rint(columns / np.where(step > 0, step, 1.0)).astype(np.int64) + 0
    seen: dict[bytes, int] = {}
    blocks = zip(first[:-1].tolist(), first[1:].tolist(), strict=True)
    return np.array([seen.setdefault(rounded[a:b].tobytes(), len(seen)) for a, b in blocks])


def _fit_all(schedule: Schedule, y: np.ndarray, n_jobs: int) -> Fits:
    """Fit every replicate, in as many threads as asked for."""
    from pmsstats.models.kernels.lmm_replicate import NO_MAXIMUM, fit_replicates

    out = _room_for_answers(len(y), len(schedule.contrasts), schedule.Z.shape[1])
    edges = np.linspace(0, len(y), min(n_jobs, max(len(y), 1)) + 1).astype(int).tolist()
    ranges = list(itertools.pairwise(edges))
    if len(ranges) == 1:
        fit_replicates(schedule, y, 0, len(y), out)
    else:
        with ThreadPoolExecutor(max_workers=n_jobs) as pool:
            done = [pool.submit(fit_replicates, schedule, y, a, b, out) for a, b in ranges]
            for future in done:
                future.result()
    for r in np.flatnonzero(out.reason == NO_MAXIMUM):
        fit_with_care(schedule, y[r], out, int(r))
    return out


def _room_for_answers(n: int, m: int, q: int) -> Fits:
    """Allocate the answers, missing until they are found."""
    from pmsstats.models.kernels.lmm_replicate import Fits

    return Fits(
        estimates=np.full((n, m), np.nan),
        variances=np.full((n, m), np.nan),
        df=np.full((n, m), np.nan),
        psi=np.full((n, q, q), np.nan),
        sigma2=np.full(n, np.nan),
        log_likelihood=np.full(n, np.nan),
        gain=np.full(n, np.nan),
        counts=np.zeros((n, 3), dtype=np.int64),
        is_singular=np.zeros(n, dtype=bool),
        reason=np.zeros(n, dtype=np.int64),
    )


def _in_user_units(
    spec: LMMSpec,
    design: MixedDesign,
    names: tuple[str, ...],
    back: StandardScale,
    *,
    fits: Fits,
    df_method: BatchDfMethod,
    y: np.ndarray,
) -> LMMBatchResult:
    """Map the answers back from the common scale of the columns, and test them."""
    std_errors = np.sqrt(fits.variances)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = fits.estimates / std_errors
    if df_method == "normal":
        df = np.where(np.isnan(fits.df), np.nan, np.inf)
        p_values = 2 * special.ndtr(-np.abs(statistic))
    else:
        df, p_values = fits.df, 2 * special.stdtr(fits.df, -np.abs(statistic))
    inverse = linalg.solve_triangular(back.T, np.eye(len(back.T)))
    return LMMBatchResult(
        spec=spec,
        terms=names,
        random_names=design.random_names,
        estimates=fits.estimates,
        std_errors=std_errors,
        df=df,
        statistic=statistic,
        p_values=p_values,
        random_covariances=inverse @ (fits.psi * fits.sigma2[:, None, None]) @ inverse.T,
        residual_sd=np.sqrt(fits.sigma2),
        log_likelihood=fits.log_likelihood + _jacobian(spec, design, back, y),
        converged=fits.reason == 0,
        singular=fits.is_singular,
        reasons=tuple(REASONS.get(code, "") for code in fits.reason.tolist()),
        n_obs=fits.counts[:, 0],
        n_subjects=fits.counts[:, 1],
        n_evaluations=fits.counts[:, 2],
        df_method=df_method,
    )


def _jacobian(
    spec: LMMSpec, design: MixedDesign, back: StandardScale, y: np.ndarray
) -> np.ndarray | float:
    """Return what the log-likelihood changes by, from the common scale of the columns."""
    change: np.ndarray | float = 0.0
    if spec.method == "REML":
        change = -float(np.log(np.abs(np.diag(back.R))).sum())
    if design.arrays.weights is None:
        return change
    return change + 0.5 * (~np.isnan(y) @ np.log(design.arrays.weights))
