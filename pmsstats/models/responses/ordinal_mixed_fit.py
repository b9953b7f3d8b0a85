"""The maximum of an ordinal mixed model's likelihood, and proof that its quadrature suffices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pmsstats.models.kernels.ordinal_mixed_kernel import (
    Nodes,
    OrdinalRows,
    OrdinalTerms,
    ordinal_terms,
    place_nodes,
)
from pmsstats.models.responses.cumulative_logit import cumulative_logit
from pmsstats.models.responses.newton import Ascent, LikelihoodTerms, climb

__all__ = ["DEFAULT_NODES", "OrdinalMaximum", "maximise_ordinal"]

DEFAULT_NODES = {1: 15, 2: 9, 3: 7}
"""Nodes per random effect, by how many random effects there are."""

_MOST_ROUNDS = 60
_SLACK = 1e-7  # log-likelihood units by which new nodes may lower it
_GAIN = 1e-9  # log-likelihood units that a step with new nodes would add
_MOST_SHIFT = 0.02  # standard errors by which twice the nodes may move an estimate
_WIDER = 1.2  # effects within subjects over those of the population, to start from
_PROBIT = 1.7  # logistic over normal scale
_SINGULAR = 1e-6  # share of the largest eigenvalue (or of one, if that is larger)


@dataclass(frozen=True, eq=False, kw_only=True)
class OrdinalMaximum:
    """Where the climb ended.

    Parameters
    ----------
    theta : ndarray, shape (m,)
        Thresholds, effects, the root's lower triangle.
    terms : OrdinalTerms
        There, with nodes placed there.
    nodes : Nodes
        Placed there.
    covariance : ndarray, shape (m, m)
        Inverse of the observed information.
    gain : float
        Log-likelihood that a further step would add.
    n_evaluations : int
        Of the likelihood with derivatives.
    n_nodes : int
        Per random effect.
    likelihood_shift : float
        Change of the log-likelihood with twice the nodes.
    estimate_shift : float
        Largest change of an estimate with twice the nodes (one Newton step), in standard errors.
    singular : bool
        Whether some combination of random effects does not vary.
    """

    theta: np.ndarray
    terms: OrdinalTerms
    nodes: Nodes
    covariance: np.ndarray
    gain: float
    n_evaluations: int
    n_nodes: int
    likelihood_shift: float
    estimate_shift: float
    singular: bool

    @property
    def converged(self) -> bool:
        """Return whether this is a maximum, of a likelihood summed finely enough."""
        return bool(self.gain < 1e2 * _GAIN and self.estimate_shift < _MOST_SHIFT)

    @property
    def message(self) -> str:
        """Return the certificate in words."""
        return (
            f"log-likelihood could rise by {max(self.gain, 0.0):.1e}; with twice as many nodes it "
            f"changes by {self.likelihood_shift:.1e}, estimates by at most "
            f"{self.estimate_shift:.1e} standard errors"
        )


def maximise_ordinal(rows: OrdinalRows, n_nodes: int | None = None) -> OrdinalMaximum:
    """Climb by Newton steps with nodes held, each placed anew, until nothing moves.

    Parameters
    ----------
    rows : OrdinalRows
        The data, on a scale on which columns are of order one.
    n_nodes : int, optional
        Per random effect; by default :data:`DEFAULT_NODES`.

    Returns
    -------
    OrdinalMaximum
        Also where no maximum was found: it says so.
    """
    n_nodes = DEFAULT_NODES[rows.Z.shape[1]] if n_nodes is None else n_nodes
    theta = _start(rows)
    nodes, terms = _placed(rows, theta, n_nodes)
    n_evaluations, gain = 1, np.inf
    for _ in range(_MOST_ROUNDS):
        step, gain = _newton_step(terms)
        if gain < _GAIN:
            break
        moved, held = theta + step, False
        made = _placed(rows, moved, n_nodes) if _is_ordered(rows, moved) else None
        n_evaluations += 1
        if made is None or made[1].log_likelihood < terms.log_likelihood - _SLACK:
            ascent = _climb(rows, theta, nodes)
            held = ascent.n_steps == 0
            n_evaluations += ascent.n_steps + 2
            moved = ascent.parameters
            made = _placed(rows, moved, n_nodes)
        if held:
            break
        theta, (nodes, terms) = moved, made
    found = OrdinalMaximum(
        theta=theta,
        terms=terms,
        nodes=nodes,
        covariance=np.linalg.pinv(terms.information, rcond=1e-12, hermitian=True),
        gain=gain,
        n_evaluations=n_evaluations,
        n_nodes=n_nodes,
        likelihood_shift=np.nan,
        estimate_shift=np.nan,
        singular=_is_singular(rows, theta),
    )
    return _certified(rows, found)


def _start(rows: OrdinalRows) -> np.ndarray:
    """Start from the population's odds ratios, and random effects of SD one."""
    k, q = rows.n_cuts, rows.Z.shape[1]
    counts = np.bincount(rows.level, minlength=rows.n_levels)
    share = np.cumsum(counts)[:-1] / counts.sum()
    start = np.append(np.log(share / (1 - share)), np.zeros(rows.X.shape[1]))
    flat = climb(lambda x: cumulative_logit(x, rows.X, rows.level, rows.n_levels), start)
    scale = _WIDER / (_PROBIT if rows.link == "probit" else 1.0)
    root = np.eye(q)[np.tril_indices(q)]
    return np.concatenate([flat.parameters[: k + rows.X.shape[1]] * scale, root])


def _placed(rows: OrdinalRows, theta: np.ndarray, n_nodes: int) -> tuple[Nodes, OrdinalTerms]:
    """Place nodes, and evaluate there."""
    nodes = place_nodes(rows, theta, n_nodes)
    return nodes, ordinal_terms(rows, theta, nodes)


def _is_ordered(rows: OrdinalRows, theta: np.ndarray) -> bool:
    """Say whether thresholds are in order."""
    return bool((np.diff(theta[: rows.n_cuts]) > 0).all() and np.isfinite(theta).all())


def _climb(rows: OrdinalRows, theta: np.ndarray, nodes: Nodes) -> Ascent:
    """Maximise with nodes held."""

    def terms_at(point: np.ndarray) -> LikelihoodTerms:
        made = ordinal_terms(rows, point, nodes)
        return LikelihoodTerms(
            log_likelihood=made.log_likelihood, scores=made.scores, information=made.information
        )

    return climb(terms_at, theta)


def _newton_step(terms: OrdinalTerms) -> tuple[np.ndarray, float]:
    """Return a Newton step, curvatures made positive, and the log-likelihood that it adds."""
    gradient = terms.scores.sum(axis=0)
    values, vectors = np.linalg.eigh(terms.information)
    size = np.abs(values)
    along = vectors.T @ gradient
    curved = size > 1e-10 * size.max()
    scaled = np.where(curved, along / np.where(curved, size, 1.0), 0.0)
    return vectors @ scaled, float(along @ scaled) / 2


def _is_singular(rows: OrdinalRows, theta: np.ndarray) -> bool:
    """Say whether some combination of random effects does not vary."""
    _, _, L = rows.split(theta)
    values = np.linalg.eigvalsh(L @ L.T)
    return bool(values[0] < _SINGULAR * max(values[-1], 1.0))


def _certified(rows: OrdinalRows, found: OrdinalMaximum) -> OrdinalMaximum:
    """Say what twice the nodes would change."""
    finer = ordinal_terms(rows, found.theta, place_nodes(rows, found.theta, 2 * found.n_nodes))
    step, _ = _newton_step(finer)
    error = np.sqrt(np.clip(np.diag(found.covariance), 0.0, None))
    seen = error > 0
    shift = np.abs(step[seen] / error[seen]).max(initial=0.0)
    return replace(
        found,
        likelihood_shift=abs(finer.log_likelihood - found.terms.log_likelihood),
        estimate_shift=float(shift),
    )
