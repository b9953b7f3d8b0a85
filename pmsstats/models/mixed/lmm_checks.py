"""The checks of a mixed model, one number and one reading each.

References
----------
.. [1] D'Agostino RB, Belanger A, D'Agostino RB Jr. A suggestion for using powerful and informative
   tests of normality. Am Stat 1990;44:316-321. doi:10.1080/00031305.1990.10475751.
.. [2] Verbeke G, Lesaffre E. The effect of misspecifying the random-effects distribution in linear
   mixed models for longitudinal data. Comput Stat Data Anal 1997;23:541-556.
   doi:10.1016/S0167-9473(96)00047-3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import first_ids
from pmsstats.models.formulas.columns import sum_by_subject

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm_result import LMMResult
    from pmsstats.models.mixed.mixed_state import MixedState

__all__ = ["added_curvature", "tabulate_checks"]

_SMALL = 0.05  # p value below which a check is said to show something
_ENOUGH = 20  # values from which skewness and kurtosis can be tested


@dataclass(frozen=True, kw_only=True)
class _Check:
    """One line of the table."""

    check: str
    statistic: float
    p_value: float
    reading: str


def tabulate_checks(
    fit: LMMResult,
    state: MixedState,
    *,
    rows: pd.DataFrame,
    subjects: pd.DataFrame,
    effects: pd.DataFrame,
    time: str | None,
) -> pd.DataFrame:
    """Tabulate every check of a fit.

    Parameters
    ----------
    fit : LMMResult
        A fitted model.
    state : MixedState
        Its arrays.
    rows : pandas.DataFrame
        Residuals of each kind.
    subjects : pandas.DataFrame
        The subject's id and ``distance df p_value``.
    effects : pandas.DataFrame
        Standardised random effects.
    time : str, optional
        Time column.

    Returns
    -------
    pandas.DataFrame
        ``check statistic p_value reading``.

    Notes
    -----
    Skewness and excess kurtosis by [1]_. Fixed effects are robust to random effects that are not
    normal [2]_; predictions of single subjects are not.

    References
    ----------
    .. [1] D'Agostino RB, Belanger A, D'Agostino RB Jr. A suggestion for using powerful and
       informative tests of normality. Am Stat 1990;44:316-321.
       doi:10.1080/00031305.1990.10475751.
    .. [2] Verbeke G, Lesaffre E. The effect of misspecifying the random-effects distribution in
       linear mixed models for longitudinal data. Comput Stat Data Anal 1997;23:541-556.
       doi:10.1016/S0167-9473(96)00047-3.
    """
    values = rows["standardised"].to_numpy()
    found = [
        *_shape("residuals", values),
        _outliers(values, rows[fit.group].to_numpy()),
        _spread(values, rows["mean"].to_numpy()),
        *_correlation(state, values),
    ]
    if time is not None:
        found += _curvature(state, fit.data[time].to_numpy(dtype=float), time)
    for name in fit.design.random_names:
        found += _shape(f"random {name}", effects[name].dropna().to_numpy())
    found.append(_odd_subjects(subjects, fit.group))
    return pd.DataFrame([vars(check) for check in found])


def _shape(what: str, values: np.ndarray) -> list[_Check]:
    """Test skewness and kurtosis."""
    if len(values) < _ENOUGH or np.ptp(values) == 0:
        return []
    skewness, kurtosis = float(stats.skew(values)), float(stats.kurtosis(values))
    p_skew = float(stats.skewtest(values).pvalue)
    p_tail = float(stats.kurtosistest(values).pvalue)
    side = "right" if skewness > 0 else "left"
    tails = "heavier" if kurtosis > 0 else "lighter"
    return [
        _Check(
            check=f"{what}: skewness",
            statistic=skewness,
            p_value=p_skew,
            reading="no sign of skewness" if p_skew >= _SMALL else f"a longer tail to the {side}",
        ),
        _Check(
            check=f"{what}: excess kurtosis",
            statistic=kurtosis,
            p_value=p_tail,
            reading="tails as expected" if p_tail >= _SMALL else f"{tails} tails than normal",
        ),
    ]


def _outliers(values: np.ndarray, ids: np.ndarray) -> _Check:
    """Ask whether single rows are far out."""
    n = len(values)
    p_values = 2 * n * stats.norm.sf(np.abs(values))
    far = p_values < _SMALL
    reading = (
        f"{int(far.sum())} of {n} rows too far out, of subjects "
        f"{first_ids(ids[far][np.argsort(p_values[far])])}"
        if far.any()
        else "no row is too far out"
    )
    return _Check(
        check="residuals: largest (Bonferroni)",
        statistic=float(values[np.argmax(np.abs(values))]),
        p_value=float(min(1.0, p_values.min())),
        reading=reading,
    )


def _spread(values: np.ndarray, mean: np.ndarray) -> _Check:
    """Ask whether residuals spread more where the mean is higher."""
    if np.ptp(mean) == 0:
        rho, p_value = np.nan, np.nan
    else:
        rho, p_value = (float(v) for v in stats.spearmanr(np.abs(values), mean))
    more = "more" if rho > 0 else "less"
    reading = "equal spread" if not p_value < _SMALL else f"{more} spread where the mean is higher"
    return _Check(
        check="residuals: spread against mean (Spearman)",
        statistic=rho,
        p_value=p_value,
        reading=reading,
    )


def _correlation(state: MixedState, values: np.ndarray) -> list[_Check]:
    """Ask whether a residual resembles the one before it of the same subject."""
    order = np.argsort(state.arrays.subject, kind="stable")
    same = np.diff(state.arrays.subject[order]) == 0
    before, after = values[order][:-1][same], values[order][1:][same]
    if len(before) < _ENOUGH:
        return []
    r = float(np.corrcoef(before, after)[0, 1])
    p_value = float(2 * stats.norm.sf(abs(r) * np.sqrt(len(before))))
    kind = "resemble" if r > 0 else "alternate with"
    reading = (
        "rows of a subject are independent given the random effects"
        if p_value >= _SMALL
        else f"rows {kind} the row before: consider other random effects or fit_mmrm"
    )
    return [
        _Check(
            check="residuals: correlation with the row before",
            statistic=r,
            p_value=p_value,
            reading=reading,
        )
    ]


def added_curvature(state: MixedState, time: np.ndarray) -> float:
    """Test whether the mean bends over time more than the model says.

    Parameters
    ----------
    state : MixedState
        A fitted model.
    time : ndarray, shape (n_obs,)
        Time of each row.

    Returns
    -------
    float
        The z statistic that the square of time would have as a further fixed effect, were the
        variances to stay; missing where the model has it already.

    Notes
    -----
    ``w' P y / sqrt(sigma^2 w' P w)`` with w the square of (centred) time: the added-variable test.
    """
    arrays = state.arrays
    weights = 1.0 if state.row_weights is None else np.sqrt(state.row_weights)
    w = (time - time.mean()) ** 2 * weights
    w = w - arrays.X @ (arrays.X.T @ w) / arrays.n_obs  # columns of X are orthogonal
    size = np.sqrt(np.mean(w**2))
    if size <= 1e-8 * np.ptp(time) ** 2:
        return float("nan")
    w = w / size
    both = np.column_stack([w, state.residual])
    products = sum_by_subject(
        arrays.Z[:, :, None] * both[:, None], arrays.subject, arrays.n_subjects
    )
    VZ = np.einsum("iqr,ira->iqa", state.conditional, products)
    inner = both.T @ both - np.einsum("iqa,iqb->ab", products, VZ)
    Xw = arrays.X.T @ w - np.einsum("iqp,iq->p", state.ZtX, VZ[:, :, 0])
    variance = state.sigma2 * (inner[0, 0] - Xw @ state.inverse @ Xw)
    return float(inner[0, 1] / np.sqrt(variance))


def _curvature(state: MixedState, time: np.ndarray, name: str) -> list[_Check]:
    """Ask whether the mean bends over time."""
    z = added_curvature(state, time)
    if not np.isfinite(z):
        return []
    p_value = float(2 * stats.norm.sf(abs(z)))
    bend = "upwards" if z > 0 else "downwards"
    reading = (
        f"no sign of more curvature over {name}"
        if p_value >= _SMALL
        else f"the mean bends {bend} over {name}: consider a spline"
    )
    return [
        _Check(check=f"mean: square of {name} added", statistic=z, p_value=p_value, reading=reading)
    ]


def _odd_subjects(subjects: pd.DataFrame, group: str) -> _Check:
    """Ask whether whole subjects are far from what the model expects."""
    n = len(subjects)
    odd = subjects.loc[subjects["p_value"] * n < _SMALL].sort_values("p_value")[group]
    least = float(min(1.0, n * subjects["p_value"].min()))
    reading = (
        "no subject is too far from the model"
        if odd.empty
        else f"{len(odd)} of {n} too far from the model: {first_ids(odd)}"
    )
    return _Check(
        check="subjects: largest distance (Bonferroni)",
        statistic=float(subjects["distance"].loc[subjects["p_value"].idxmin()]),
        p_value=least,
        reading=reading,
    )
