"""One marginal model for repeated measures fitted to many replicates of its outcome."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import linalg, special

from pmsstats.errors import DesignError
from pmsstats.models.fixed_effects.batch_request import (
    check_n_jobs,
    checked_responses,
    design_without_outcome,
)
from pmsstats.models.fixed_effects.degrees_of_freedom import between_within_df
from pmsstats.models.formulas.contrasts import contrast_weights
from pmsstats.models.kernels.mmrm_plan import Answers, Plan
from pmsstats.models.repeated.mmrm_batch_result import REASONS, MMRMBatchResult
from pmsstats.models.repeated.mmrm_covariance import COVARIANCES
from pmsstats.models.repeated.mmrm_design import RepeatedDesign, build_repeated_design
from pmsstats.models.repeated.mmrm_inference import marginal_inference
from pmsstats.models.repeated.mmrm_likelihood import fit_marginal
from pmsstats.models.repeated.mmrm_patterns import RepeatedArrays
from pmsstats.models.repeated.mmrm_profile import common_scale
from pmsstats.models.repeated.mmrm_spec import MMRMSpec

if TYPE_CHECKING:
    from pmsstats.models.mixed.mixed_scale import StandardScale

__all__ = ["MMRMBatchResult", "fit_mmrm_batch"]

_STRUCTURES = {  # structure, correlation, a variance per visit: the codes of mmrm_kernel
    "us": (0, 0, False),
    "toep": (1, 0, False),
    "cs": (2, 0, False),
    "ar1": (3, 0, False),
    "ar1h": (3, 0, True),
    "csh": (3, 1, True),
    "toeph": (3, 2, True),
    "ad": (3, 3, False),
    "adh": (3, 3, True),
}
_METHODS = {"satterthwaite": 1, "kenward-roger-linear": 2, "kenward-roger": 3}
_MOST_BITS = 60  # of the number of a subject's group, visits and columns
_NO_MAXIMUM, _NOT_ESTIMABLE = 7, 8


def fit_mmrm_batch(
    data: pd.DataFrame,
    spec: MMRMSpec | str,
    responses: np.ndarray,
    *,
    contrasts: np.ndarray | Sequence[Any] | Mapping[str, Any] | None = None,
    n_jobs: int = 1,
) -> MMRMBatchResult:
    """Fit one marginal model for repeated measures to many replicates of its outcome.

    Parameters
    ----------
    data : pandas.DataFrame
        The design: one row per subject and scheduled visit, complete in the columns that the model
        names. The outcome need not be among them; if it is, it is not looked at.
    spec : MMRMSpec or str
        The model, or its formula in the language of R's mmrm. All methods of degrees of freedom
        are offered; an empirical covariance and a fall-back list are not.
    responses : ndarray, shape (n_replicates, n_rows)
        One outcome per replicate and row of `data`; not a number (NaN) where a visit was missed.
    contrasts : array_like or mapping, optional
        Combinations of the fixed effects, as in
        :meth:`~pmsstats.models.fixed_effects.fixed_result.FixedEffectsResult.contrast`; by default
        the fixed effects themselves.
    n_jobs : int, default 1
        Threads. Results do not depend on it.

    Returns
    -------
    MMRMBatchResult
        Arrays with one entry per replicate. Those without an answer (too few visits, a constant
        response, no maximum, ...) stay in place, are missing, and are flagged with the reason.

    Raises
    ------
    FormulaError
        If the formula names an unknown column or asks for more than the allowed transforms.
    DesignError
        If the design is incomplete or cannot determine the model, `responses` do not fit it, or
        an option is not offered here.

    Notes
    -----
    Each replicate's answer is that of :func:`~pmsstats.models.repeated.mmrm.fit_mmrm` on the rows
    that it has; SAS gives the same with ``BY replicate``. Subjects with the same columns and the
    same missed visits share their products of columns, so that the time per replicate grows with
    the number of such patterns. Replicates whose maximum the compiled code does not reach are
    fitted again by :func:`~pmsstats.models.repeated.mmrm_likelihood.fit_marginal`, and so are all
    of them where numba is absent and for ``sp_exp``. The first call on a machine compiles, which
    takes about a minute.

    References
    ----------
    .. [1] Mallinckrodt CH, Lane PW, Schnell D, Peng Y, Mancuso JP. Recommendations for the primary
       analysis of continuous endpoints in longitudinal clinical trials. Drug Inf J 2008;42:303-319.
       doi:10.1177/009286150804200402.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> visits = pd.DataFrame({"subject_id": np.repeat(range(40), 3)})
    >>> visits["visit"] = ["W12", "W24", "W48"] * 40
    >>> visits["arm"] = np.where(visits["subject_id"] % 2, "active", "placebo")
    >>> y = rng.normal(0, 0.4, (50, 120)) + np.repeat(rng.normal(0, 0.3, (50, 40)), 3, axis=1)
    >>> batch = fit_mmrm_batch(visits, "pbvc_pct ~ arm * visit + us(visit | subject_id)", y)
    >>> batch.estimates.shape, bool(batch.converged.all())
    ((50, 6), True)
    """
    spec = MMRMSpec.from_formula(spec) if isinstance(spec, str) else spec
    _check_options(spec, n_jobs)
    design = design_without_outcome(build_repeated_design, data, spec)
    y = checked_responses(responses, len(data))
    names, weights = (
        (list(design.fixed_names), np.eye(len(design.fixed_names)))
        if contrasts is None
        else contrast_weights(contrasts, design.fixed_names)
    )
    task = _Task(spec=spec, arrays=design.arrays, contrasts=weights, y=y)
    answers = task.compiled(n_jobs) if _can_compile(spec, design.arrays) else task.empty()
    task.complete(answers)
    return _as_result(task, design, tuple(names), answers)


def _check_options(spec: MMRMSpec, n_jobs: int) -> None:
    """Refuse what a batch does not offer."""
    if spec.empirical is not None or spec.fallback:
        found = "an empirical covariance" if spec.empirical is not None else "a fall-back list"
        raise DesignError(
            f"A batch fits one model with its own covariance, but the request has {found}. Take it "
            "out, or fit the replicates one by one with fit_mmrm."
        )
    if spec.df_method.startswith("kenward-roger") and spec.method != "REML":
        raise DesignError(
            f"df_method {spec.df_method!r} is derived for REML, but method={spec.method!r}. Use "
            "method='REML', or df_method='satterthwaite'."
        )
    check_n_jobs(n_jobs)


def _can_compile(spec: MMRMSpec, arrays: RepeatedArrays) -> bool:
    """Say whether the compiled code takes this model."""
    # Loads numba, which only those who fit need.
    from pmsstats.compiling import IS_COMPILED

    bits = arrays.n_visits + np.log2(arrays.n_groups) + np.log2(arrays.n_subjects)

    return IS_COMPILED and spec.covariance in _STRUCTURES and bool(bits < _MOST_BITS)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Task:
    """What is to be fitted: arrays (with a stand-in for the outcome), combinations, responses."""

    spec: MMRMSpec
    arrays: RepeatedArrays
    contrasts: np.ndarray
    y: np.ndarray

    @property
    def n_parameters(self) -> int:
        """How many parameters the covariances have."""
        structure = COVARIANCES[self.spec.covariance]
        return structure.n_parameters(self.arrays.n_visits) * self.arrays.n_groups

    def empty(self) -> Answers:
        """Allocate the answers, missing until they are found."""
        n, m = len(self.y), len(self.contrasts)
        seen = ~np.isnan(self.y)
        laid = np.zeros((self.arrays.n_subjects, n), dtype=np.int64)
        np.add.at(laid, self.arrays.subject, seen.T)
        return Answers(
            estimates=np.full((n, m), np.nan),
            variances=np.full((n, m), np.nan),
            df=np.full((n, m), np.nan),
            theta=np.full((n, self.n_parameters), np.nan),
            log_likelihood=np.full(n, np.nan),
            counts=np.column_stack([seen.sum(axis=1), (laid > 0).sum(axis=0), np.zeros(n, int)]),
            reason=np.full(n, _NO_MAXIMUM, dtype=np.int64),
        )

    def compiled(self, n_jobs: int) -> Answers:
        """Fit all replicates by the compiled code, in as many threads as asked for."""
        from pmsstats.models.kernels.mmrm_kernel import fit_replicates

        answers = self.empty()
        plan, back, log_weights = self._plan()
        y = self.y
        if self.arrays.weights is not None:
            y = y * np.sqrt(self.arrays.weights)
        edges = np.linspace(0, len(y), min(n_jobs, max(len(y), 1)) + 1).astype(int).tolist()
        with ThreadPoolExecutor(max_workers=n_jobs) as pool:
            done = [
                pool.submit(fit_replicates, plan, y, a, b, answers)
                for a, b in itertools.pairwise(edges)
            ]
            for future in done:
                future.result()
        change = ~np.isnan(self.y) @ log_weights
        if self.spec.method == "REML":
            change = change - float(np.log(np.abs(np.diag(back.R))).sum())
        return answers._replace(log_likelihood=answers.log_likelihood + change)

    def _plan(self) -> tuple[Plan, StandardScale, np.ndarray]:
        """Order the rows by subject, and find subjects with the same columns."""
        arrays = self.arrays
        standard, back, log_weights = common_scale(arrays)
        order = np.lexsort([arrays.visit, arrays.subject])
        first = np.searchsorted(arrays.subject[order], np.arange(arrays.n_subjects + 1))
        X, visit = np.ascontiguousarray(standard.X[order]), arrays.visit[order].astype(np.int64)
        structure, correlation, by_visit = _STRUCTURES[self.spec.covariance]
        plan = Plan(
            X=X,
            visit=visit,
            first=first.astype(np.int64),
            columns=_same_columns(np.column_stack([X, visit]), first),
            group=arrays.groups.astype(np.int64),
            order=order,
            contrasts=np.ascontiguousarray(
                linalg.solve_triangular(back.R, self.contrasts.T, trans="T").T
            ),
            n_visits=arrays.n_visits,
            n_groups=arrays.n_groups,
            structure=structure,
            correlation=correlation,
            by_visit=by_visit,
            is_reml=self.spec.method == "REML",
            method=_METHODS.get(self.spec.df_method, 0),
        )
        return plan, back, log_weights

    def complete(self, answers: Answers) -> None:
        """Fit what is left, one replicate after the other; count degrees of freedom."""
        for row in np.flatnonzero(answers.reason == _NO_MAXIMUM):
            self._fit_alone(answers, int(row))
        if self.spec.df_method in {"residual", "between-within"}:
            for row in np.flatnonzero(answers.reason == 0):
                answers.df[row] = self._counted(int(row))

    def _own(self, row: int) -> RepeatedArrays:
        """Return the rows that a replicate has."""
        arrays, seen = self.arrays, ~np.isnan(self.y[row])
        return replace(
            arrays,
            y=self.y[row, seen],
            X=arrays.X[seen],
            subject=arrays.subject[seen],
            visit=arrays.visit[seen],
            coordinate=None if arrays.coordinate is None else arrays.coordinate[seen],
            weights=None if arrays.weights is None else arrays.weights[seen],
        )

    def _fit_alone(self, answers: Answers, row: int) -> None:
        """Fit one replicate without the compiled code."""
        arrays = self._own(row)
        answers.reason[row] = reason = _obstacle(arrays)
        if reason:
            return
        try:
            fit = fit_marginal(arrays, self.spec.covariance, reml=self.spec.method == "REML")
        except DesignError:
            answers.reason[row] = _NOT_ESTIMABLE
            return
        answers.counts[row, 2] += fit.n_evaluations
        answers.theta[row] = fit.theta
        if not fit.converged:
            answers.reason[row] = _NO_MAXIMUM
            return
        method = self.spec.df_method if self.spec.df_method in _METHODS else "normal"
        inference = marginal_inference(arrays, fit, method)  # type: ignore[arg-type]
        L, df = self.contrasts, inference.df(self.contrasts)
        answers.estimates[row] = L @ fit.fixed
        answers.variances[row] = np.einsum("ma,ab,mb->m", L, inference.covariance, L)
        answers.df[row] = np.inf if df is None else df
        answers.log_likelihood[row] = fit.log_likelihood

    def _counted(self, row: int) -> np.ndarray:
        """Return counted degrees of freedom of one replicate, as FixedDf does."""
        from pmsstats.models.fixed_effects.degrees_of_freedom import FixedDf

        arrays = self._own(row)
        n, p = arrays.X.shape
        _, subject = np.unique(arrays.subject, return_inverse=True)
        df = (
            np.full(p, float(n - p))
            if self.spec.df_method == "residual"
            else between_within_df(arrays.X, subject, int(subject.max()) + 1)
        )
        found = FixedDf(covariance=np.eye(p), per_coefficient=df).df(self.contrasts)
        assert found is not None  # noqa: S101
        return np.where(found > 0, found, np.nan)


def _obstacle(arrays: RepeatedArrays) -> int:
    """Say why a replicate cannot be fitted, as the compiled code would."""
    n, p = arrays.X.shape
    if not np.isfinite(arrays.y).all():
        return 1
    if n < p + 2:
        return 2
    if np.ptp(arrays.y) == 0:
        return 3
    sizes = np.linalg.norm(arrays.X, axis=0)
    if (sizes == 0).any() or np.linalg.matrix_rank(arrays.X / sizes, tol=1e-7) < p:
        return 4
    rest = arrays.y - arrays.X @ np.linalg.lstsq(arrays.X, arrays.y, rcond=None)[0]
    return 5 if np.abs(rest).max() <= 1e-11 * np.abs(arrays.y).max() else 0


def _same_columns(columns: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Say which subjects have the same block of rows; what differs by rounding is the same."""
    step = np.abs(columns).max(axis=0) * 1e-12
    rounded = np.rint(columns / np.where(step > 0, step, 1.0)).astype(np.int64) + 0
    seen: dict[bytes, int] = {}
    blocks = zip(first[:-1].tolist(), first[1:].tolist(), strict=True)
    return np.array([seen.setdefault(rounded[a:b].tobytes(), len(seen)) for a, b in blocks])


def _as_result(
    task: _Task, design: RepeatedDesign, names: tuple[str, ...], answers: Answers
) -> MMRMBatchResult:
    """Test the combinations."""
    std_errors = np.sqrt(answers.variances)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = answers.estimates / std_errors
    is_normal = task.spec.df_method == "normal"
    p_values = (
        2 * special.ndtr(-np.abs(statistic))
        if is_normal
        else 2 * special.stdtr(answers.df, -np.abs(statistic))
    )
    structure = COVARIANCES[task.spec.covariance]
    each = structure.names(design.arrays.n_visits)
    n_groups = design.arrays.n_groups
    parameters = tuple(
        f"{name} of group {g + 1}" if n_groups > 1 else name
        for g in range(n_groups)
        for name in each
    )
    return MMRMBatchResult(
        spec=task.spec,
        terms=names,
        parameter_names=parameters,
        estimates=answers.estimates,
        std_errors=std_errors,
        df=answers.df,
        statistic=statistic,
        p_values=p_values,
        parameters=answers.theta,
        log_likelihood=answers.log_likelihood,
        converged=answers.reason == 0,
        reasons=tuple(REASONS.get(code, "") for code in answers.reason.tolist()),
        n_obs=answers.counts[:, 0],
        n_subjects=answers.counts[:, 1],
        n_evaluations=answers.counts[:, 2],
        df_method=task.spec.df_method,
    )
