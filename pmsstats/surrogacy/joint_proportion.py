"""How much of a treatment effect on an event a trajectory explains, within one joint model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import DesignError, nearest
from pmsstats.models.joint.estimates import Quantities, estimate_quantities
from pmsstats.models.joint.links import link_columns
from pmsstats.surrogacy.fieller import fieller_set
from pmsstats.surrogacy.joint_proportion_result import JointSurrogacyResult

if TYPE_CHECKING:
    from pmsstats.models.joint.result import JointResult

__all__ = ["surrogacy_joint"]

_N_TIMES = 5


def surrogacy_joint(
    fit: JointResult,
    *,
    arm: str = "arm",
    reference: object = None,
    treated: object = None,
    times: Sequence[float] | None = None,
) -> JointSurrogacyResult:
    """Say how much of a treatment effect on an event runs through a marker's trajectory.

    Parameters
    ----------
    fit : JointResult
        A joint model with the arm in the hazard and in the mean of the marker, such as
        ``fit_joint(visits, events, "y ~ year * arm + (year | subject_id)", hazard="arm")``.
    arm : str, default "arm"
        Column of treatment.
    reference, treated : optional
        The arms that are compared; with two, the first of a category (or of the sorted values) is
        the reference.
    times : sequence of float, optional
        When; five times up to the end of follow-up by default.

    Returns
    -------
    JointSurrogacyResult
        Total, direct and indirect log hazard ratio over time, and the share explained.

    Raises
    ------
    DesignError
        If the arm is in neither hazard nor trajectory, associations are multiplied by other
        columns, there are several causes, or the arms or times cannot be had.

    Notes
    -----
    In the hazard ``h0(t) exp(g Z + sum_m alpha_m f_m(t))``, where ``f_m(t)`` is a feature of the
    trajectory (value, slope, area), treatment of a subject with given random effects changes the
    log hazard by ``g`` directly and by ``sum_m alpha_m (f_m(t; 1) - f_m(t; 0))`` through the
    trajectory. The share explained at t is the second over the sum of both. All comes from one
    model, and is conditional on the subject: unlike the difference between two Cox models [1]_ it
    holds no change of scale from one model to the other, nor the error of measurement of the marker
    [2]_. Where the marker's distance between arms grows, so does the share. Terms are averaged over
    the covariates of the subjects. Errors are by the delta method, intervals of the share by
    Fieller's method. It is causal only if nothing unmeasured causes both trajectory and event.

    References
    ----------
    .. [1] Freedman LS, Graubard BI, Schatzkin A. Statistical validation of intermediate endpoints
       for chronic diseases. Stat Med 1992;11:167-178. doi:10.1002/sim.4780110204
    .. [2] Xu J, Zeger SL. The evaluation of multiple surrogate endpoints. Biometrics
       2001;57:81-87. doi:10.1111/j.0006-341X.2001.00081.x
    """
    _check_model(fit)
    pair = _arms(fit, arm, reference, treated)
    at = _times(fit, times)
    W, A = _contrasts(fit, arm, pair, at)
    if not np.abs(W).max(initial=0.0) > 0 and not np.abs(A).max(initial=0.0) > 0:
        raise DesignError(
            f"Column {arm!r} is in neither the hazard nor the mean of a marker of this joint "
            "model. Fit it with both: hazard='arm', and year * arm in the marker's formula."
        )
    n_base = len(fit.design.scale.constants[0])

    def effects(theta: np.ndarray) -> np.ndarray:
        natural = fit.design.scale.natural(theta)
        direct = W @ natural.psi[0][n_base:]
        through = np.einsum("m,mtp,p->t", natural.alpha[0], A, natural.beta)
        return np.append(through, direct)

    found = estimate_quantities(effects, fit.maximum.theta, fit.maximum.covariance)
    return JointSurrogacyResult(
        rows=_frame(at, found, fit.spec.conf_level),
        arms=(str(pair[0]), str(pair[1])),
        markers=tuple(marker.name for marker in fit.design.markers),
        n_subjects=fit.n_subjects,
        n_events=fit.n_events[0],
        conf_level=fit.spec.conf_level,
        exclusions=fit.exclusions,
        origin=fit.origin,
    )


def _check_model(fit: JointResult) -> None:
    """Refuse models in which the effect of treatment depends on more than time."""
    if fit.spec.interaction is not None:
        raise DesignError(
            f"A joint model with `interaction={fit.spec.interaction!r}` has an indirect effect of "
            "its own for every subject. Fit it without."
        )
    if len(fit.design.causes) > 1:
        raise DesignError(
            f"The share explained is defined for one cause, this model has "
            f"{', '.join(fit.design.causes)}. Fit one cause, the others censored."
        )


def _arms(fit: JointResult, arm: str, reference: object, treated: object) -> tuple[object, object]:
    """Return the two arms that are compared, as the data write them."""
    frames = (fit.data.events.frame, fit.data.covariates)
    frame = next((f for f in frames if arm in f.columns), None)
    if frame is None:
        known = [str(c) for f in frames for c in f.columns]
        raise DesignError(f"`arm` names {arm!r}, which no part uses.{nearest(arm, known)}")
    column = frame[arm]
    levels = (
        [c for c in column.cat.categories if (column == c).any()]
        if isinstance(column.dtype, pd.CategoricalDtype)
        else sorted(column.unique())
    )
    for name, asked in (("reference", reference), ("treated", treated)):
        if asked is not None and asked not in levels:
            raise DesignError(f"`{name}={asked!r}` is no level of {arm!r}: {levels}.")
    if len(levels) != 2 and (reference is None or treated is None):
        raise DesignError(
            f"Column {arm!r} has {len(levels)} arms ({', '.join(map(str, levels))}): name the two "
            "that are compared with `reference` and `treated`."
        )
    first = reference if reference is not None else next(v for v in levels if v != treated)
    second = treated if treated is not None else next(v for v in levels if v != first)
    if first == second:
        raise DesignError(f"`reference` and `treated` are the same arm, {first!r}.")
    return first, second


def _times(fit: JointResult, times: Sequence[float] | None) -> np.ndarray:
    """Return the times, checked."""
    end = float(fit.design.end)
    if times is None:
        return end * np.arange(1, _N_TIMES + 1) / _N_TIMES
    at = np.asarray(times, dtype=float)
    if at.ndim != 1 or not len(at) or not ((at >= 0) & (at <= end)).all():
        raise DesignError(
            f"`times` must lie between 0 and the end of follow-up, {end:g}, got {times!r}."
        )
    return at


def _contrasts(
    fit: JointResult, arm: str, pair: tuple[object, object], at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return treated less reference of hazard columns (n_covariates,) and links (m, t, p)."""
    design, n = fit.design, fit.data.n_subjects
    subject, time = np.tile(np.arange(n), len(at)), np.repeat(at, n)
    n_fixed = [len(names) for names in design.fixed_names]
    W, A = [], []
    for level in pair:
        events, covariates = (
            _with_arm(f, arm, level) for f in (fit.data.events.frame, fit.data.covariates)
        )
        W.append(design.hazard.covariate_matrix(events).mean(axis=0))
        made = np.zeros((len(design.links), len(at), sum(n_fixed)))
        for m, link in enumerate(design.links):
            first = sum(n_fixed[: link.marker])
            columns = link_columns(
                link, design.markers[link.marker], covariates, subject, time, lag=design.spec.lag
            )
            mean = columns.fixed.reshape(len(at), n, -1).mean(axis=1)
            made[m, :, first : first + n_fixed[link.marker]] = mean
        A.append(made)
    return W[1] - W[0], A[1] - A[0]


def _with_arm(frame: pd.DataFrame, arm: str, level: object) -> pd.DataFrame:
    """Return the rows as if all were in one arm."""
    if arm not in frame.columns:
        return frame
    return frame.assign(**{arm: pd.Series([level] * len(frame), frame.index, frame[arm].dtype)})


def _frame(at: np.ndarray, found: Quantities, conf_level: float) -> pd.DataFrame:
    """Tabulate total, direct and indirect effect, and the share with Fieller's set."""
    quantile = float(stats.norm.ppf((1 + conf_level) / 2))
    rows = []
    direct = float(found.estimate[-1])
    for i, time in enumerate(at):
        indirect = float(found.estimate[i])
        V = found.covariance[np.ix_([i, -1], [i, -1])]
        total, variance = direct + indirect, float(V.sum())
        share = fieller_set(
            indirect, total, variances=(float(V[0, 0]), variance),
            covariance=float(V[0].sum()), quantile=quantile,
        )  # fmt: skip
        rows.append(
            {
                "time": time,
                "total": total,
                "total_error": np.sqrt(variance),
                "direct": direct,
                "direct_error": np.sqrt(V[1, 1]),
                "indirect": indirect,
                "indirect_error": np.sqrt(V[0, 0]),
                "estimate": indirect / total if total else np.nan,
                "conf_low": share.low if share.kind == "bounded" else np.nan,
                "conf_high": share.high if share.kind == "bounded" else np.nan,
                "stable": share.kind == "bounded",
            }
        )
    return pd.DataFrame(rows)
