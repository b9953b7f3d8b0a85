"""Small-sample inference for the fixed effects of models with several grouping factors.

References
----------
.. [1] Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum
   likelihood. Biometrics 1997;53:983-997. doi:10.2307/2533558.
.. [2] Kuznetsova A, Brockhoff PB, Christensen RHB. lmerTest package: tests in linear mixed effects
   models. J Stat Softw 2017;82(13). doi:10.18637/jss.v082.i13.
.. [3] Halekoh U, Hojsgaard S. A Kenward-Roger approximation and parametric bootstrap methods for
   tests in linear mixed models: the R package pbkrtest. J Stat Softw 2014;59(9).
   doi:10.18637/jss.v059.i09.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from pmsstats.errors import DesignError
from pmsstats.models.fixed_effects.degrees_of_freedom import (
    DfMethod,
    FixedDf,
    Inference,
    KenwardRoger,
    NormalInference,
    Satterthwaite,
)
from pmsstats.models.mixed.cholesky_layout import CholeskyLayout
from pmsstats.models.mixed.grouped_likelihood import (
    GroupedLikelihood,
    GroupedSolution,
    GroupedState,
)

__all__ = ["grouped_inference"]

_STEP = 1e-5  # of central differences of the exact gradient, in relative standard deviations
_FLAT = 1e-9  # share of the largest curvature below which a direction is flat
_MAX_CONNECTED = 6000  # random effects that are linked with each other: 288 MB per matrix


def grouped_inference(
    likelihood: GroupedLikelihood, solution: GroupedSolution, method: DfMethod
) -> Inference:
    """Work out tests of the fixed effects by one method of degrees of freedom.

    Parameters
    ----------
    likelihood : GroupedLikelihood
        The model and its data, on the common scale.
    solution : GroupedSolution
        Its maximum.
    method : DfMethod
        ``"satterthwaite"`` (lmerTest), ``"kenward-roger"`` (pbkrtest; ``"kenward-roger-linear"``
        is the same, because variances and covariances enter linearly), ``"residual"``, or
        ``"normal"``.

    Returns
    -------
    Inference
        On the common scale.

    Raises
    ------
    DesignError
        If the method is not offered with several grouping factors, needs REML, or would need
        matrices of thousands of random effects.

    Notes
    -----
    The same as ``summary(lmerTest::lmer(...), ddf = "Satterthwaite")`` and ``ddf =
    "Kenward-Roger"`` in R.
    """
    if method == "satterthwaite":
        return _satterthwaite(likelihood, solution)
    if method in {"kenward-roger", "kenward-roger-linear"}:
        return _kenward_roger(likelihood, solution)
    if method == "normal":
        return NormalInference(covariance=solution.fixed_covariance)
    if method == "residual":
        n, p = likelihood.arrays.X.shape
        return FixedDf(
            covariance=solution.fixed_covariance, per_coefficient=np.full(p, float(n - p))
        )
    raise DesignError(
        f"`df_method={method!r}` is not offered with several grouping factors. Use "
        "'kenward-roger' or 'satterthwaite'."
    )


# --- Satterthwaite --------------------------------------------------------------------------------


def _satterthwaite(likelihood: GroupedLikelihood, solution: GroupedSolution) -> Satterthwaite:
    """Match moments in the parameters (theta, sigma), theta the Cholesky factors [2].

    The Hessian of the deviance in theta is a central difference of its exact gradient; all that
    has to do with sigma, and the derivative of the fixed effects' covariance, are exact.
    """
    layout = CholeskyLayout.from_masks(likelihood.masks)
    theta = layout.theta(solution.psi)
    sigma = float(np.sqrt(solution.sigma2))

    def slope(values: np.ndarray) -> np.ndarray:
        state = likelihood.state(layout.psis(values))
        return layout.slope(likelihood.gradient(state, solution.sigma2), values)

    k = len(theta)
    H = np.zeros((k + 1, k + 1))
    for j in range(k):
        step = np.zeros(k)
        step[j] = _STEP * max(1.0, abs(theta[j]))
        H[:k, j] = (slope(theta + step) - slope(theta - step)) / (2 * step[j])
    H[:k, :k] = (H[:k, :k] + H[:k, :k].T) / 2
    state = likelihood.state(solution.psi)
    # The deviance holds scores'scores / sigma^2 and n log sigma^2 + residual / sigma^2.
    mixed = [2 * scores.T @ scores / sigma**3 for scores in state.scores]
    H[:k, k] = H[k, :k] = layout.slope(
        [np.where(mask, part, 0.0) for mask, part in zip(likelihood.masks, mixed, strict=True)],
        theta,
    )
    H[k, k] = -2 * likelihood.n_free / sigma**2 + 6 * state.residual / sigma**4
    return Satterthwaite(
        covariance=solution.fixed_covariance,
        jacobian=_fixed_jacobian(layout, state, theta, sigma),
        parameter_covariance=2 * _inverse_where_curved(H),
    )


def _fixed_jacobian(
    layout: CholeskyLayout, state: GroupedState, theta: np.ndarray, sigma: float
) -> np.ndarray:
    """Differentiate ``sigma^2 (X' V^-1 X)^-1`` in theta and sigma."""
    lower = layout.lower(theta)
    slopes = []
    for k, i, j in zip(layout.factor, layout.row, layout.column, strict=True):
        change = np.zeros_like(lower[k])
        change[i] += lower[k][:, j]
        change[:, i] += lower[k][:, j]  # d(LL') in L_ij
        slopes.append(sigma**2 * state.inverse @ _sandwich(state.ZVX[k], change) @ state.inverse)
    return np.stack([*slopes, 2 * sigma * state.inverse])


def _sandwich(ZVX: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return ``X' V^-1 Z change Z' V^-1 X``, summed over levels."""
    made: np.ndarray = np.einsum("lqa,qr,lrb->ab", ZVX, change, ZVX, optimize=True)
    return made


def _inverse_where_curved(H: np.ndarray) -> np.ndarray:
    """Invert a Hessian, leaving out directions in which the likelihood is flat."""
    values, vectors = np.linalg.eigh((H + H.T) / 2)
    keep = values > _FLAT * values.max()
    inverse: np.ndarray = (vectors[:, keep] / values[keep]) @ vectors[:, keep].T
    return inverse


# --- Kenward and Roger ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Parameter:
    """One variance or covariance of random effects."""

    factor: int
    basis: np.ndarray  # derivative of that factor's covariance
    value: float


def _kenward_roger(likelihood: GroupedLikelihood, solution: GroupedSolution) -> KenwardRoger:
    """Adjust covariance and df [1], in the variances and covariances themselves [3].

    The covariance of the outcome is linear in these, so second derivatives vanish. Everything
    follows from ``M = Z' V^-1 Z`` over all random effects: ``tr(V^-1 V_i V^-1 V_j)`` is a sum of
    products of its entries. That of the residual variance follows from the others, because
    ``sigma^2 I = V - sum_i theta_i V_i``.
    """
    if not likelihood.reml:
        raise DesignError(
            "Kenward-Roger degrees of freedom are defined for REML. Use method='REML', or "
            "df_method='satterthwaite'."
        )
    sigma2 = solution.sigma2
    state = likelihood.state(solution.psi)
    parameters = list(_parameters(likelihood, solution))
    traces, P, Q = _products(likelihood, state, parameters, sigma2)
    linear = (
        np.array([(state.ZVZ[p.factor] * p.basis).sum() for p in parameters]) / sigma2
    )  # tr(V^-1 V_i)
    traces, P, Q = _with_residual(
        traces, P, Q,
        linear=linear,
        values=np.array([p.value for p in parameters]),
        fixed_information=np.linalg.inv(state.inverse) / sigma2,
        sigma2=sigma2,
        n_obs=likelihood.arrays.n_obs,
    )  # fmt: skip
    Phi = solution.fixed_covariance
    PPhi = P @ Phi
    information = 0.5 * (
        traces - 2 * np.einsum("ab,ijba->ij", Phi, Q) + np.einsum("iab,jba->ij", PPhi, PPhi)
    )
    W = _inverse_scaled(information)
    inner = np.einsum("ij,ijab->ab", W, Q) - np.einsum("ij,iab,jbc->ac", W, PPhi, P)
    return KenwardRoger(
        covariance=Phi + 2 * Phi @ inner @ Phi,
        model_covariance=Phi,
        jacobian=-Phi @ P @ Phi,
        parameter_covariance=W,
    )


def _parameters(likelihood: GroupedLikelihood, solution: GroupedSolution) -> Iterator[_Parameter]:
    """List the variances and covariances of all factors."""
    for k, (mask, psi) in enumerate(zip(likelihood.masks, solution.psi, strict=True)):
        for i, j in zip(*np.nonzero(np.tril(mask)), strict=True):
            basis = np.zeros_like(psi)
            basis[i, j] = basis[j, i] = 1.0
            yield _Parameter(k, basis, float(psi[i, j] * solution.sigma2))


def _products(
    likelihood: GroupedLikelihood,
    state: GroupedState,
    parameters: list[_Parameter],
    sigma2: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ``tr(V^-1 V_i V^-1 V_j)``, P_i and Q_ij of the random effects' parameters."""
    r, p = len(parameters), likelihood.arrays.X.shape[1]
    traces, Q = np.zeros((r, r)), np.zeros((r, r, p, p))
    for levels in _components(likelihood):
        M, ends = _connected(likelihood, state, levels)
        used = [(state.ZVX[k][levels[k]], likelihood.widths[k]) for k in range(len(levels))]
        stacked = [(q.basis @ used[q.factor][0]).reshape(-1, p) for q in parameters]
        for i, first in enumerate(parameters):
            rows = ends[first.factor]
            for j, second in enumerate(parameters[: i + 1]):
                block = M[rows, ends[second.factor]]
                if block.size == 0:
                    continue
                traces[i, j] += _trace(block, first.basis, second.basis)
                Q[i, j] += stacked[i].T @ block @ stacked[j]
    for i in range(r):
        for j in range(i):
            traces[j, i], Q[j, i] = traces[i, j], Q[i, j].T
    P = np.stack([-_sandwich(state.ZVX[q.factor], q.basis) for q in parameters])
    return traces / sigma2**2, P / sigma2**2, Q / sigma2**3


def _trace(block: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Return ``tr(A M B M')`` with A and B repeated along the diagonal."""
    q, s = len(first), len(second)
    cut = block.reshape(block.shape[0] // q, q, block.shape[1] // s, s)
    return float(
        sum(
            first[a, b] * second[c, d] * np.vdot(cut[:, b, :, c], cut[:, a, :, d])
            for a, b in zip(*np.nonzero(first), strict=True)
            for c, d in zip(*np.nonzero(second), strict=True)
        )
    )


def _components(likelihood: GroupedLikelihood) -> Iterator[list[np.ndarray]]:
    """Yield the levels of each factor that are linked with each other by some row."""
    counts = [factor.n_levels for factor in likelihood.factors]
    starts = np.concatenate([[0], np.cumsum(counts)])
    subject = likelihood.factors[0].codes
    rows = [subject for _ in counts[1:]]
    columns = [f.codes + starts[k + 1] for k, f in enumerate(likelihood.factors[1:])]
    pairs = (np.concatenate(rows), np.concatenate(columns))
    graph = sparse.coo_matrix((np.ones(len(pairs[0])), pairs), shape=(starts[-1], starts[-1]))
    n, labels = csgraph.connected_components(graph, directed=False)
    order = np.argsort(labels, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(labels, minlength=n))[:-1]):
        levels = [
            members[(members >= starts[k]) & (members < starts[k + 1])] - starts[k]
            for k in range(len(counts))
        ]
        size = sum(len(found) * q for found, q in zip(levels, likelihood.widths, strict=True))
        if size > _MAX_CONNECTED:
            raise DesignError(
                f"Kenward-Roger degrees of freedom would need matrices of {size} random effects "
                f"that are linked with each other, more than {_MAX_CONNECTED}. Use "
                "df_method='satterthwaite'; with so many the two agree."
            )
        yield levels


def _connected(
    likelihood: GroupedLikelihood, state: GroupedState, levels: list[np.ndarray]
) -> tuple[np.ndarray, list[slice]]:
    """Return ``Z' V^-1 Z`` of linked levels, and where each factor's effects stand in it."""
    own = _positions(levels[0], likelihood.widths[0])
    places = zip(levels[1:], likelihood.widths[1:], likelihood.columns, strict=True)
    other = np.concatenate([_positions(found, q) + c.start for found, q, c in places])
    E = state.between[own][:, other].toarray()
    S, N = state.remaining[np.ix_(other, other)], state.solved[np.ix_(other, other)]
    EN, SN = E @ N, S @ N
    M = np.block([[-EN @ E.T, E - EN @ S], [E.T - SN @ E.T, S - SN @ S]])
    q = likelihood.widths[0]
    at = np.arange(len(levels[0])) * q
    for a in range(q):
        for b in range(q):
            M[at + a, at + b] += state.shrunk[levels[0], a, b]
    ends = np.cumsum(
        [0, *(len(found) * q for found, q in zip(levels, likelihood.widths, strict=True))]
    )
    return M, [slice(int(a), int(b)) for a, b in itertools.pairwise(ends)]


def _positions(levels: np.ndarray, width: int) -> np.ndarray:
    """Return where the effects of some levels stand."""
    made: np.ndarray = (levels[:, None] * width + np.arange(width)).reshape(-1)
    return made


def _with_residual(
    traces: np.ndarray,
    P: np.ndarray,
    Q: np.ndarray,
    *,
    linear: np.ndarray,
    values: np.ndarray,
    fixed_information: np.ndarray,
    sigma2: float,
    n_obs: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Add the residual variance as the last parameter: ``sigma^2 I = V - sum_i theta_i V_i``."""
    r, p = len(values), len(fixed_information)
    new_traces, new_Q = np.zeros((r + 1, r + 1)), np.zeros((r + 1, r + 1, p, p))
    new_traces[:r, :r], new_Q[:r, :r] = traces, Q
    new_traces[r, :r] = new_traces[:r, r] = (linear - traces @ values) / sigma2
    new_traces[r, r] = (n_obs - 2 * values @ linear + values @ traces @ values) / sigma2**2
    residual_P = (-fixed_information - np.einsum("i,iab->ab", values, P)) / sigma2
    weighted = np.einsum("j,ijab->iab", values, Q)  # sum_j theta_j Q_ij
    new_Q[:r, r] = (-P - weighted) / sigma2
    new_Q[r, :r] = np.swapaxes(new_Q[:r, r], 1, 2)
    total = np.einsum("i,iab->ab", values, weighted)
    new_Q[r, r] = (fixed_information + 2 * np.einsum("i,iab->ab", values, P) + total) / sigma2**2
    return new_traces, np.concatenate([P, residual_P[None]]), new_Q


def _inverse_scaled(information: np.ndarray) -> np.ndarray:
    """Invert an information matrix whose parameters have different sizes."""
    size = np.sqrt(np.clip(np.diag(information), 1e-300, None))
    inverse = np.linalg.pinv(information / np.outer(size, size), rcond=1e-10, hermitian=True)
    made: np.ndarray = inverse / np.outer(size, size)
    return made
