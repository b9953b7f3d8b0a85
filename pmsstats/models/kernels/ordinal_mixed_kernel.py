"""Likelihood of ordered levels with random effects, by adaptive Gauss-Hermite quadrature.

The random effects are ``b = L v`` with ``v ~ N(0, I)``, so that a covariance ``D = L L'`` may be
singular. Nodes for v are placed by each subject's posterior mode and curvature, then held while
the likelihood is maximised: its gradient and Hessian (Louis) are the exact derivatives of the
approximation. Nodes and parameters take turns until neither moves.

References
----------
.. [1] Pinheiro JC, Bates DM. Approximations to the log-likelihood function in the nonlinear
   mixed-effects model. J Comput Graph Stat 1995;4:12-35. doi:10.1080/10618600.1995.10474663.
.. [2] Hedeker D, Gibbons RD. A random-effects ordinal regression model for multilevel analysis.
   Biometrics 1994;50:933-944. doi:10.2307/2533433.
.. [3] Louis TA. Finding the observed information matrix when using the EM algorithm. J R Stat Soc
   B 1982;44:226-233. doi:10.1111/j.2517-6161.1982.tb01203.x.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.special import logsumexp

from pmsstats.models.kernels.ordinal_cells import LINK_FUNCTIONS, Cells

__all__ = ["Nodes", "OrdinalRows", "OrdinalTerms", "ordinal_terms", "place_nodes"]

_MODE_STEPS = 60
_MODE_CLOSE = 1e-10
_CHUNK = 2_000_000  # numbers per array of rows by nodes by parameters


@dataclass(frozen=True, eq=False, kw_only=True)
class OrdinalRows:
    """Rows of ordered levels, sorted by subject.

    Parameters
    ----------
    X : ndarray, shape (n_obs, p)
        Fixed effects, without an intercept.
    Z : ndarray, shape (n_obs, q)
        Random effects.
    level : ndarray of int, shape (n_obs,)
        Observed level, 0 the lowest.
    subject : ndarray of int, shape (n_obs,)
        Subject number, ascending from 0 without gaps.
    n_levels : int
        How many levels.
    link : {"logit", "probit"}
        Distribution of the latent score.
    """

    X: np.ndarray
    Z: np.ndarray
    level: np.ndarray
    subject: np.ndarray
    n_levels: int
    link: str

    @cached_property
    def starts(self) -> np.ndarray:
        """Return the first row of each subject."""
        return np.flatnonzero(np.r_[True, np.diff(self.subject) > 0])

    @property
    def n_subjects(self) -> int:
        """Return the number of subjects."""
        return len(self.starts)

    @property
    def n_cuts(self) -> int:
        """Return the number of thresholds."""
        return self.n_levels - 1

    @property
    def n_parameters(self) -> int:
        """Return the number of thresholds, effects and entries of the root."""
        q = self.Z.shape[1]
        return self.n_cuts + self.X.shape[1] + q * (q + 1) // 2

    def split(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Split parameters into thresholds, effects and the root of the covariance.

        Parameters
        ----------
        theta : ndarray, shape (n_parameters,)
            Thresholds, effects, the root's lower triangle row by row.

        Returns
        -------
        zeta : ndarray, shape (n_cuts,)
            Thresholds.
        beta : ndarray, shape (p,)
            Effects.
        L : ndarray, shape (q, q)
            Root of the random effects' covariance.
        """
        k, p, q = self.n_cuts, self.X.shape[1], self.Z.shape[1]
        L = np.zeros((q, q))
        L[np.tril_indices(q)] = theta[k + p :]
        return theta[:k], theta[k : k + p], L

    def part(self, first: int, last: int) -> OrdinalRows:
        """Return the rows of some subjects, renumbered from zero.

        Parameters
        ----------
        first, last : int
            Subject numbers; the last is not included.
        """
        ends = np.append(self.starts, len(self.level))
        rows = slice(ends[first], ends[last])
        return OrdinalRows(
            X=self.X[rows],
            Z=self.Z[rows],
            level=self.level[rows],
            subject=self.subject[rows] - first,
            n_levels=self.n_levels,
            link=self.link,
        )

    def cells(self, zeta: np.ndarray, eta: np.ndarray) -> Cells:
        """Evaluate the observed levels at linear predictors.

        Parameters
        ----------
        zeta : ndarray, shape (n_cuts,)
            Thresholds in order.
        eta : ndarray, shape (n_obs, ...)
            Linear predictors.

        Returns
        -------
        Cells
            Of the shape of `eta`.
        """
        ends = np.concatenate([[-np.inf], zeta, [np.inf]])
        shape = (-1,) + (1,) * (eta.ndim - 1)
        upper, lower = ends[self.level + 1].reshape(shape), ends[self.level].reshape(shape)
        return LINK_FUNCTIONS[self.link](upper, lower, eta)


@dataclass(frozen=True, eq=False, kw_only=True)
class Nodes:
    """Where and with which weights the random effects are summed over.

    Parameters
    ----------
    v : ndarray, shape (n_subjects, n_nodes, q)
        Standardised random effects.
    log_weight : ndarray, shape (n_subjects, n_nodes)
        Log of the quadrature weight times the standard normal density.
    mode : ndarray, shape (n_subjects, q)
        Posterior modes.
    covariance : ndarray, shape (n_subjects, q, q)
        Inverse curvature there.
    """

    v: np.ndarray
    log_weight: np.ndarray
    mode: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class OrdinalTerms:
    """The log-likelihood at one point, with nodes held.

    Parameters
    ----------
    log_likelihood : float
        Sum over subjects; minus infinity where thresholds are not in order.
    scores : ndarray, shape (n_subjects, m)
        Derivative of each subject's.
    information : ndarray, shape (m, m)
        Minus the second derivatives of the sum.
    """

    log_likelihood: float
    scores: np.ndarray
    information: np.ndarray


def place_nodes(rows: OrdinalRows, theta: np.ndarray, n_nodes: int) -> Nodes:
    """Place nodes around each subject's posterior mode [1]_.

    Parameters
    ----------
    rows : OrdinalRows
        The data.
    theta : ndarray, shape (n_parameters,)
        Parameters.
    n_nodes : int
        Nodes per random effect.

    Returns
    -------
    Nodes
        ``n_nodes ** q`` per subject.

    References
    ----------
    .. [1] Pinheiro JC, Bates DM. Approximations to the log-likelihood function in the nonlinear
       mixed-effects model. J Comput Graph Stat 1995;4:12-35. doi:10.1080/10618600.1995.10474663.
    """
    q = rows.Z.shape[1]
    mode, curvature = _modes(rows, theta)
    root = np.linalg.cholesky(curvature)
    C = np.linalg.inv(root).transpose(0, 2, 1)  # C C' = curvature^-1
    x, w = np.polynomial.hermite_e.hermegauss(n_nodes)
    grid = np.array(list(itertools.product(x, repeat=q)))
    log_w = np.array([sum(t) for t in itertools.product(np.log(w) + x**2 / 2, repeat=q)])
    v = mode[:, None, :] + grid[None] @ C.transpose(0, 2, 1)
    log_det = -np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    density = -0.5 * (v**2).sum(axis=2) - 0.5 * q * np.log(2 * np.pi)
    return Nodes(
        v=v,
        log_weight=log_w[None] + log_det[:, None] + density,
        mode=mode,
        covariance=C @ C.transpose(0, 2, 1),
    )


def _modes(rows: OrdinalRows, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find each subject's posterior mode, all at once, by Newton steps on a concave function."""
    zeta, beta, L = rows.split(theta)
    W, fixed = rows.Z @ L, rows.X @ beta
    n, q = rows.n_subjects, W.shape[1]
    v = np.zeros((n, q))

    def at(v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        cells = rows.cells(zeta, fixed + np.einsum("ra,ra->r", W, v[rows.subject]))
        slope = -(cells.slope_u + cells.slope_l)
        curve = cells.curve_u + cells.curve_l + 2 * cells.curve_ul
        outer = curve[:, None, None] * W[:, :, None] * W[:, None, :]
        value = np.add.reduceat(cells.log_probability, rows.starts) - 0.5 * (v**2).sum(axis=1)
        gradient = np.add.reduceat(slope[:, None] * W, rows.starts, axis=0) - v
        return value, gradient, np.add.reduceat(outer, rows.starts, axis=0) + np.eye(q)

    value, gradient, curvature = at(v)
    for _ in range(_MODE_STEPS):
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        if np.abs(step).max(initial=0.0) < _MODE_CLOSE:
            break
        size = np.ones((n, 1))
        for _ in range(_MODE_STEPS):
            new = at(v + size * step)
            worse = new[0] < value - 1e-12 * np.maximum(np.abs(value), 1.0)
            if not worse.any():
                break
            size[worse] /= 2
        v, (value, gradient, curvature) = v + size * step, new
    return v, curvature


def ordinal_terms(rows: OrdinalRows, theta: np.ndarray, nodes: Nodes) -> OrdinalTerms:
    """Evaluate the log-likelihood and its derivatives over held nodes.

    Parameters
    ----------
    rows : OrdinalRows
        The data.
    theta : ndarray, shape (n_parameters,)
        Thresholds, effects, the root's lower triangle.
    nodes : Nodes
        Of each subject.

    Returns
    -------
    OrdinalTerms
        Exact derivatives of the sum over nodes: scores of the complete data are averaged over the
        posterior, and their variance is taken from the complete information [1]_.

    References
    ----------
    .. [1] Louis TA. Finding the observed information matrix when using the EM algorithm. J R Stat
       Soc B 1982;44:226-233. doi:10.1111/j.2517-6161.1982.tb01203.x.
    """
    m = rows.n_parameters
    zeta = theta[: rows.n_cuts]
    if (np.diff(zeta) <= 0).any() or not np.isfinite(theta).all():
        none = np.full((m, m), np.nan)
        return OrdinalTerms(
            log_likelihood=-np.inf, scores=np.full((1, m), np.nan), information=none
        )
    per_subject = nodes.v.shape[1] * (m + len(rows.level) // rows.n_subjects)
    size = max(1, _CHUNK // per_subject)
    parts = [
        _part_terms(rows.part(a, b), theta, nodes.v[a:b], nodes.log_weight[a:b])
        for a, b in itertools.pairwise([*range(0, rows.n_subjects, size), rows.n_subjects])
    ]
    return OrdinalTerms(
        log_likelihood=sum(part.log_likelihood for part in parts),
        scores=np.concatenate([part.scores for part in parts]),
        information=np.sum([part.information for part in parts], axis=0),
    )


def _part_terms(
    rows: OrdinalRows, theta: np.ndarray, v: np.ndarray, log_weight: np.ndarray
) -> OrdinalTerms:
    """Evaluate some subjects."""
    zeta, beta, L = rows.split(theta)
    v_rows = v[rows.subject]
    eta = (rows.X @ beta)[:, None] + np.einsum("ra,rna->rn", rows.Z @ L, v_rows)
    cells = rows.cells(zeta, eta)
    joint = np.add.reduceat(cells.log_probability, rows.starts, axis=0) + log_weight
    logs = logsumexp(joint, axis=1)
    posterior = np.exp(joint - logs[:, None])
    G = _complete_scores(rows, cells, v)
    weighted = posterior[:, :, None] * G
    scores = weighted.sum(axis=1)
    m = G.shape[2]
    spread = weighted.reshape(-1, m).T @ G.reshape(-1, m) - scores.T @ scores
    return OrdinalTerms(
        log_likelihood=float(logs.sum()),
        scores=scores,
        information=_complete_information(rows, cells, posterior[rows.subject], v_rows) - spread,
    )


def _complete_scores(rows: OrdinalRows, cells: Cells, v: np.ndarray) -> np.ndarray:
    """Return each subject's score at each node: (n_subjects, n_nodes, m)."""
    n, n_nodes, q = v.shape
    k = rows.n_cuts
    upper, lower = _places(rows)
    zeta = upper @ cells.slope_u + lower @ cells.slope_l
    zeta = zeta.reshape(n, k, n_nodes).transpose(0, 2, 1)
    slope = -(cells.slope_u + cells.slope_l)

    def within(column: np.ndarray) -> np.ndarray:
        made: np.ndarray = np.add.reduceat(slope * column[:, None], rows.starts, axis=0)
        return made

    beta = [within(column) for column in rows.X.T]
    along = [within(column) for column in rows.Z.T]
    root = [along[a] * v[:, :, b] for a, b in zip(*np.tril_indices(q), strict=True)]
    return np.concatenate([zeta, np.stack([*beta, *root], axis=2)], axis=2)


def _places(rows: OrdinalRows) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return sums of rows by subject and cut point, above and below the observed level."""
    k, n = rows.n_cuts, rows.n_subjects
    made = []
    for cut in (rows.level, rows.level - 1):
        inside = np.flatnonzero((cut >= 0) & (cut < k))
        places = rows.subject[inside] * k + cut[inside]
        shape = (n * k, len(rows.level))
        made.append(sparse.csr_matrix((np.ones(len(inside)), (places, inside)), shape=shape))
    return made[0], made[1]


def _complete_information(
    rows: OrdinalRows, cells: Cells, posterior: np.ndarray, v: np.ndarray
) -> np.ndarray:
    """Return the posterior mean of minus the second derivatives, nodes known."""
    k, q = rows.n_cuts, v.shape[2]
    a, b = np.tril_indices(q)
    cuts = np.arange(k)
    U = (rows.level[:, None] == cuts).astype(float)
    W = (rows.level[:, None] - 1 == cuts).astype(float)
    columns = np.concatenate([rows.X, rows.Z[:, a]], axis=1)
    which = np.concatenate([np.zeros(rows.X.shape[1], dtype=int), 1 + b])
    mean = {
        name: (posterior * getattr(cells, name)).sum(axis=1)
        for name in ("curve_u", "curve_l", "curve_ul")
    }
    effects_v = [np.ascontiguousarray(v[:, :, j]) for j in range(q)]
    to_u = _moments(posterior * (cells.curve_u + cells.curve_ul), effects_v)
    to_l = _moments(posterior * (cells.curve_l + cells.curve_ul), effects_v)
    both = posterior * (cells.curve_u + cells.curve_l + 2 * cells.curve_ul)
    square = np.stack(
        [_moments(weight, effects_v) for weight in (both, *(both * w for w in effects_v))], axis=1
    )  # (rows, 1 + q, 1 + q)
    cross = U.T @ (mean["curve_ul"][:, None] * W)
    zeta = U.T @ (mean["curve_u"][:, None] * U) + W.T @ (mean["curve_l"][:, None] * W)
    effects = -(U.T @ (to_u[:, which] * columns) + W.T @ (to_l[:, which] * columns))
    rest = np.einsum(
        "ri,rj,rij->ij", columns, columns, square[:, which[:, None], which[None, :]], optimize=True
    )
    made: np.ndarray = np.block([[zeta + cross + cross.T, effects], [effects.T, rest]])
    return made


def _moments(weight: np.ndarray, effects: list[np.ndarray]) -> np.ndarray:
    """Return the sums over nodes of weights, and of weights times each effect: (rows, 1 + q)."""
    sums = [weight.sum(axis=1), *(np.einsum("rn,rn->r", weight, w) for w in effects)]
    return np.stack(sums, axis=1)
