"""What a fitted multi-state model says of single visits, and of how many are where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.models.curves.product_limit import product_limit
from pmsstats.models.states.multistate_estimates import probabilities_at
from pmsstats.models.states.multistate_layout import kernel

if TYPE_CHECKING:
    from pmsstats.models.states.multistate_data import StatesData
    from pmsstats.models.states.multistate_layout import Layout
    from pmsstats.models.states.multistate_spec import MultistateSpec

__all__ = ["decoded_rows", "prevalence_table"]

_N_TIMES = 6
_STILL_FOLLOWED = 0.1  # share of subjects, at the last time by default


def decoded_rows(
    layout: Layout, data: StatesData, theta: np.ndarray, spec: MultistateSpec
) -> pd.DataFrame:
    """Return the most probable true states at every visit.

    Parameters
    ----------
    layout : Layout
        How the parameters act.
    data : StatesData
        The visits.
    theta : ndarray, shape (n_parameters,)
        Estimates.
    spec : MultistateSpec
        The request.

    Returns
    -------
    pandas.DataFrame
        See :meth:`~pmsstats.models.states.multistate_result.MultistateResult.decode`.
    """
    labels = np.array(spec.labels())
    parts = layout.log_intensities(theta), layout.emissions(theta), layout.initial(theta)
    posterior = kernel().evaluate(data.plan, *parts).posterior
    entered = data.plan.exact >= 0  # the posterior there is of the state just before death
    posterior[entered] = np.eye(len(labels))[data.plan.exact[entered]]
    path = kernel().likeliest_paths(data.plan, *parts)
    frame = data.rows.assign(
        most_probable=labels[posterior.argmax(axis=1)], on_likeliest_course=labels[path]
    )
    return frame.assign(
        **{f"probability {label}": posterior[:, s] for s, label in enumerate(labels)}
    )


def prevalence_table(
    layout: Layout,
    data: StatesData,
    theta: np.ndarray,
    spec: MultistateSpec,
    times: Sequence[float] | None,
) -> pd.DataFrame:
    """Compare observed with expected shares of every state.

    Parameters
    ----------
    layout : Layout
        How the parameters act.
    data : StatesData
        The visits.
    theta : ndarray, shape (n_parameters,)
        Estimates.
    spec : MultistateSpec
        The request.
    times : sequence of float, optional
        Since the first visit; six over the follow-up by default.

    Returns
    -------
    pandas.DataFrame
        See :meth:`~pmsstats.models.states.multistate_result.MultistateResult.prevalence`.
    """
    plan, n = data.plan, len(spec.states)
    start = plan.subject_start[:-1]
    since = data.rows["time"].to_numpy() - np.repeat(
        data.rows["time"].to_numpy()[start], np.diff(plan.subject_start)
    )
    last = since[plan.subject_start[1:] - 1]
    died = plan.code[plan.subject_start[1:] - 1] == spec.death_code
    end = np.quantile(last, 1 - _STILL_FOLLOWED)
    wanted = np.linspace(0, end, _N_TIMES) if times is None else np.asarray(times, float)
    expected = _expected(layout, data, theta, spec, wanted).mean(axis=0)
    parts = []
    for time, share, alive in zip(wanted, expected, _survival(last, died, wanted), strict=True):
        followed = (last >= time) & ~(died & (last == time))
        seen = _seen_at(plan.code, since, plan.subject_start, float(time))[followed]
        living = np.bincount(seen, minlength=n)[:n] / max(int((seen < n).sum()), 1)
        observed = alive * living
        observed[spec.death_code] += (1 - alive) * (spec.death is not None)
        parts.append(
            pd.DataFrame(
                {
                    "time": float(time),
                    "state": spec.labels(),
                    "n_at_risk": int(followed.sum()),
                    "observed_share": observed,
                    "expected_share": share,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _survival(last: np.ndarray, died: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the Kaplan-Meier probability of being alive after some times."""
    curve = product_limit(last, died)
    survival = np.concatenate([[1.0], curve.survival])
    return survival[np.searchsorted(curve.table.time, times, side="right")]


def _seen_at(code: np.ndarray, since: np.ndarray, start: np.ndarray, time: float) -> np.ndarray:
    """Return what each subject showed at its last visit up to a time."""
    so_far = np.add.reduceat((since <= time).astype(int), start[:-1])
    return code[start[:-1] + so_far - 1]


def _expected(
    layout: Layout, data: StatesData, theta: np.ndarray, spec: MultistateSpec, times: np.ndarray
) -> np.ndarray:
    """Return the probability of what each subject shows at some times, (n_subjects, n_times, S)."""
    plan, n = data.plan, len(spec.states)
    start = plan.subject_start[:-1]
    after = np.minimum(start + 1, len(plan.code) - 1)  # the row that the first interval leads to
    pattern = np.where(plan.interval[after] >= 0, plan.interval_pattern[plan.interval[after]], 0)
    X = data.on_intensities.standardised()
    P = probabilities_at(layout, theta, X, times)
    emission = layout.emissions(theta)[:, :, :n]
    if spec.is_hidden:
        first = np.broadcast_to(layout.initial(theta), (len(start), n))
    else:
        first = np.eye(n)[plan.code[start]]
    return np.einsum("ir,itrs,isc->itc", first, P[pattern], emission[plan.rating[start]])
