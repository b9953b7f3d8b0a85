"""Joint models as arrays: data of every feature, and draws from a model with a known truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmsstats.models.joint.arrays import HazardPoints, JointArrays, MarkerArrays, no_points

GAUSS = np.polynomial.legendre.leggauss(8)


def integral_points(upper, lower=0.0, rule=GAUSS):
    """Return subject, time and weight of integrals from `lower` to `upper` where longer than 0."""
    upper, lower = np.broadcast_arrays(np.asarray(upper, float), lower)
    who = np.flatnonzero(upper > lower)
    half = (upper - lower)[who, None] / 2
    time = lower[who, None] + half * (1 + rule[0])
    return np.repeat(who, len(rule[0])), time.ravel(), (half * rule[1]).ravel()


# --- every feature at once --------------------------------------------------------------------


def rich_arrays(*, seed: int = 1, n_subjects: int = 12) -> JointArrays:
    """Two markers (line, level), two causes, value and slope links, intervals, late entry.

    The third of every three subjects has an event at an unknown time; two of every five entered
    late. The numbers are like those of standardised data, not drawn from the model.
    """
    rng = np.random.default_rng(seed)
    arm = (np.arange(n_subjects) % 2).astype(float)
    end = rng.uniform(0.5, 3.0, n_subjects)
    is_unknown = np.arange(n_subjects) % 3 == 2
    is_event = (np.arange(n_subjects) % 3 == 1) & (np.arange(n_subjects) > 1)
    markers = []
    for k in range(2):
        subject = np.repeat(np.arange(n_subjects), rng.integers(1, 6, n_subjects))
        time = rng.uniform(0, end[subject])
        X = np.column_stack([np.ones_like(time), time, arm[subject]])
        Z = X[:, : 2 - k]
        y = rng.normal(0, 1, n_subjects)[subject] + 0.3 * time + rng.normal(0, 0.5, len(time))
        markers.append(MarkerArrays(y=y, X=X, Z=Z, subject=subject))

    def points(subject, time, weight) -> HazardPoints:
        one, zero = np.ones_like(time), np.zeros_like(time)
        value = [one, time, arm[subject], zero, zero, zero]
        slope = [zero, one, zero, zero, zero, zero]
        other = [zero, zero, zero, one, time, arm[subject]]
        fixed = np.stack([np.column_stack(columns) for columns in (value, slope, other)])
        random = np.stack(
            [
                np.column_stack(columns)
                for columns in ((one, time, zero), (zero, one, zero), (zero, zero, one))
            ]
        )
        first = np.column_stack([one, np.log(time + 0.1), arm[subject]])
        second = np.column_stack([time < 1.2, time >= 1.2]).astype(float)
        return HazardPoints(
            subject=subject, weight=weight, basis=(first, second), fixed=fixed, random=random
        )

    at_risk = points(*integral_points(end))
    who = np.flatnonzero(is_event)
    return JointArrays(
        n_subjects=n_subjects,
        markers=tuple(markers),
        at_risk=at_risk,
        event=points(who, end[who], np.ones(len(who))),
        event_cause=np.arange(len(who)) % 2,
        interval=points(*integral_points(np.where(is_unknown, end + 0.7, end), end)),
        entry=points(*integral_points(np.where(np.arange(n_subjects) % 5 < 2, 0.3 * end, 0.0))),
    )


def rich_theta() -> np.ndarray:
    """Parameters for `rich_arrays`, away from every maximum."""
    beta = [0.2, 0.3, -0.1, 0.1, 0.2, 0.3]
    log_sigma, root = [-0.6, -0.4], [-0.2, 0.2, -0.9, 0.3, -0.1, -0.3]
    psi = [-1.0, 0.2, 0.3, -1.4, -0.9]
    alpha = [0.5, 0.4, -0.3, 0.2, -0.5, 0.6]
    return np.array([*beta, *log_sigma, *root, *psi, *alpha])


# --- draws from a model -----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A line per subject, a constant hazard times the exponential of its current value."""

    beta: tuple[float, float] = (0.0, 0.3)
    sd: tuple[float, float] = (0.8, 0.4)
    correlation: float = 0.2
    sigma: float = 0.6
    log_rate: float = -1.6
    alpha: float = 0.6
    visits: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
    end: float = 3.5
    link: str = "value"
    gap: float = 0.0  # years between looks for the event; 0: its time is known


def draw_arrays(truth: Truth, n_subjects: int, rng: np.random.Generator) -> JointArrays:
    """Draw one data set from the model itself; times by inverting the cumulative hazard."""
    s0, s1 = truth.sd
    c = truth.correlation * s0 * s1
    b = rng.multivariate_normal([0, 0], [[s0**2, c], [c, s1**2]], n_subjects)
    line = np.asarray(truth.beta) + b
    flat = truth.link == "slope"
    level = line[:, 1] if flat else line[:, 0]
    rise = np.where(flat, 0.0, line[:, 1]) * truth.alpha
    rate = np.exp(truth.log_rate + truth.alpha * level)
    time = time_of_event(rng.exponential(size=n_subjects), rate, rise)
    event, T = time < truth.end, np.minimum(time, truth.end)
    visits = np.tile(truth.visits, (n_subjects, 1))
    seen = visits <= T[:, None]
    subject, at = np.nonzero(seen)[0], visits[seen]
    X = np.column_stack([np.ones_like(at), at])
    y = (X * line[subject]).sum(1) + rng.normal(0, truth.sigma, len(at))
    marker = MarkerArrays(y=y, X=X, Z=X, subject=subject)
    return _with_events(truth, marker, n_subjects, T, event)


def time_of_event(exponential, rate, rise):
    """Invert ``rate (exp(rise t) - 1) / rise``; infinite where that never gets so high."""
    inner = 1 + exponential * rise / rate
    with np.errstate(all="ignore"):
        curved = np.where(inner > 0, np.log(np.maximum(inner, 1e-300)) / rise, np.inf)
    return np.where(np.abs(rise) < 1e-9, exponential / rate, curved)


def _with_events(truth, marker, n, T, event) -> JointArrays:
    def points(subject, time, weight) -> HazardPoints:
        ones = np.ones_like(time)
        columns = (0 * ones, ones) if truth.link == "slope" else (ones, time)
        link = np.column_stack(columns)[None]
        return HazardPoints(
            subject=subject, weight=weight, basis=(ones[:, None],), fixed=link, random=link
        )

    who = np.flatnonzero(event)
    if truth.gap == 0.0:
        at_risk = points(*integral_points(T))
        known = points(who, T[who], np.ones(len(who)))
        return JointArrays(
            n_subjects=n, markers=(marker,), at_risk=at_risk, event=known,
            event_cause=np.zeros(len(who), dtype=int), interval=no_points(at_risk),
            entry=no_points(at_risk),
        )  # fmt: skip
    before = np.where(event, np.floor(T / truth.gap) * truth.gap, T)
    after = np.where(event, np.minimum(before + truth.gap, truth.end), T)
    at_risk = points(*integral_points(before))
    return JointArrays(
        n_subjects=n, markers=(marker,), at_risk=at_risk, event=no_points(at_risk),
        event_cause=np.zeros(0, dtype=int), interval=points(*integral_points(after, before)),
        entry=no_points(at_risk),
    )  # fmt: skip


# --- the aids trial ---------------------------------------------------------------------------


def aids_arrays(data: pd.DataFrame, cuts: np.ndarray, rule=GAUSS) -> JointArrays:
    """CD4 ~ obstime + obstime:drug, (obstime | patient); death ~ drug, constant between cuts."""
    data = data.assign(code=pd.factorize(data["patient"])[0])
    one = data.drop_duplicates("code")
    time, ddi = data["obstime"].to_numpy(float), (data["drug"] == "ddI").to_numpy(float)
    X = np.column_stack([np.ones_like(time), time, time * ddi])
    marker = MarkerArrays(
        y=data["CD4"].to_numpy(float), X=X, Z=X[:, :2], subject=data["code"].to_numpy()
    )
    T, drug = one["Time"].to_numpy(float), (one["drug"] == "ddI").to_numpy(float)
    edges = np.concatenate([[0.0], cuts, [np.inf]])

    def points(subject, when, weight, piece) -> HazardPoints:
        pieces = (piece[:, None] == np.arange(len(edges) - 1)).astype(float)
        link = np.column_stack([np.ones_like(when), when, when * drug[subject]])[None]
        return HazardPoints(
            subject=subject, weight=weight, basis=(np.column_stack([pieces, drug[subject]]),),
            fixed=link, random=link[:, :, :2],
        )  # fmt: skip

    parts = [
        (*integral_points(np.minimum(T, edges[j + 1]), edges[j], rule), j)
        for j in range(len(edges) - 1)
    ]
    subject = np.concatenate([part[0] for part in parts])
    piece = np.concatenate([np.full(len(part[0]), part[3]) for part in parts])
    order = np.lexsort((piece, subject))
    when, weight = (np.concatenate([part[k] for part in parts])[order] for k in (1, 2))
    at_risk = points(subject[order], when, weight, piece[order])
    who = np.flatnonzero(one["death"].to_numpy(bool))
    event = points(who, T[who], np.ones(len(who)), np.searchsorted(cuts, T[who]))
    return JointArrays(
        n_subjects=len(T), markers=(marker,), at_risk=at_risk, event=event,
        event_cause=np.zeros(len(who), dtype=int), interval=no_points(at_risk),
        entry=no_points(at_risk),
    )  # fmt: skip
