"""Parameters of a multi-state model: one vector, and what the likelihood needs of it.

The vector ``theta`` holds, in this order: the log intensity of each transition at the means of the
covariates; the log hazard ratios per standard deviation; the log odds of each error of rating
against a right one; their changes per standard deviation; and the log odds of the initial states
against the commonest. All functions take real or complex vectors, so that derivatives can be taken
by complex steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.models.kernels.states_plan import Evaluation, StatesPlan
from pmsstats.models.states.multistate_spec import label_of

if TYPE_CHECKING:
    from pmsstats.models.states.multistate_data import StatesData
    from pmsstats.models.states.multistate_spec import MultistateSpec

__all__ = ["Layout", "Parameter", "complex_step", "kernel", "lay_out_parameters"]

_STEP = 1e-30  # of a complex step: its square is lost beside one


@cache
def kernel() -> ModuleType:
    """Return the compiled sums, or their twin in numpy: loads numba, which only those who fit need.

    Returns
    -------
    module
        With ``evaluate``, ``likeliest_paths`` and ``transition_matrices``.
    """
    from pmsstats.compiling import IS_COMPILED
    from pmsstats.models.kernels import states_kernel, states_vectorised

    return states_kernel if IS_COMPILED else states_vectorised


"""The likelihood: compiled, or in numpy where numba is absent."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One entry of the parameter vector.

    Parameters
    ----------
    kind : str
        ``"intensity"``, ``"effect"``, ``"misclassification"``, ``"misclassification effect"`` or
        ``"initial"``.
    term : str
        In words.
    unit : float
        What an estimate is divided by to be per unit of its covariate; 1 elsewhere.
    """

    kind: str
    term: str
    unit: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """Where every parameter stands, and how it acts.

    Parameters
    ----------
    plan : StatesPlan
        What the likelihood reads.
    X : ndarray, shape (n_patterns, n_covariates)
        Standardised covariates of the intensities.
    W : ndarray, shape (n_ratings, n_rating_covariates)
        Standardised covariates of the ratings.
    base : ndarray of int, shape (T,)
        Position of the log intensity of each transition among them.
    effect : ndarray of int, shape (n_covariates, T)
        Position of the effect of each covariate on each transition among the effects.
    pairs : tuple of (int, int)
        Errors of rating, (true, seen).
    members : ndarray, shape (S, n_codes)
        1 where a state belongs to a code; the identity first, then the censored values.
    initial_states : tuple of int
        States whose initial probabilities are estimated, the reference first; empty for none.
        Those that no first visit shows have probability 0.
    fixed_initial : ndarray, shape (S,)
        Initial probabilities where they are not estimated.
    parameters : tuple of Parameter
        Names, in the order of the vector.
    """

    plan: StatesPlan
    X: np.ndarray
    W: np.ndarray
    base: np.ndarray
    effect: np.ndarray
    pairs: tuple[tuple[int, int], ...]
    members: np.ndarray
    initial_states: tuple[int, ...]
    fixed_initial: np.ndarray
    parameters: tuple[Parameter, ...]

    @cached_property
    def blocks(self) -> tuple[slice, slice, slice, slice, slice]:
        """Return where the five kinds of parameters stand."""
        sizes = [
            int(self.base.max()) + 1,
            int(self.effect.max(initial=-1)) + 1,
            len(self.pairs),
            len(self.pairs) * self.W.shape[1],
            max(len(self.initial_states) - 1, 0),
        ]
        ends = np.cumsum([0, *sizes])
        return tuple(slice(a, b) for a, b in itertools.pairwise(ends))

    def without_initial(self, positions: Sequence[int]) -> Layout:
        """Return the layout without some initial states, whose probability is then 0.

        Parameters
        ----------
        positions : sequence of int
            Of their parameters; others are left as they are.

        Returns
        -------
        Layout
            This one, if there is none among them.
        """
        block = self.blocks[4]
        gone = {j for j in positions if block.start <= j < block.stop}
        keep = [s for k, s in enumerate(self.initial_states) if block.start + k - 1 not in gone]
        parameters = [p for j, p in enumerate(self.parameters) if j not in gone]
        if not gone:
            return self
        return replace(self, initial_states=tuple(keep), parameters=tuple(parameters))

    def log_intensities(self, theta: np.ndarray, X: np.ndarray | None = None) -> np.ndarray:
        """Return log intensities, shape (n_patterns, T).

        Parameters
        ----------
        theta : ndarray, shape (n_parameters,)
            Real or complex.
        X : ndarray, shape (n, n_covariates), optional
            Other standardised covariates than those of the data.

        Returns
        -------
        ndarray
            One row per row of `X`.
        """
        base, effects = theta[self.blocks[0]][self.base], theta[self.blocks[1]]
        X = self.X if X is None else X
        return np.ascontiguousarray(base + X @ effects[self.effect])

    def emissions(self, theta: np.ndarray, W: np.ndarray | None = None) -> np.ndarray:
        """Return the probabilities of what is seen, shape (n_ratings, S, n_codes).

        Parameters
        ----------
        theta : ndarray, shape (n_parameters,)
            Real or complex.
        W : ndarray, shape (n, n_rating_covariates), optional
            Other standardised covariates than those of the data.

        Returns
        -------
        ndarray
            One matrix per row of `W`.
        """
        return np.ascontiguousarray(self._rated(theta, self.W if W is None else W) @ self.members)

    def _rated(self, theta: np.ndarray, W: np.ndarray) -> np.ndarray:
        """Return the probabilities of the states that are seen, shape (n_ratings, S, S)."""
        S = self.plan.n_states
        odds = np.zeros((len(W), S, S), theta.dtype)
        odds[:, range(S), range(S)] = 1.0
        if self.pairs:
            slopes = theta[self.blocks[3]].reshape(len(self.pairs), -1)
            true, seen = np.array(self.pairs).T
            odds[:, true, seen] = np.exp(theta[self.blocks[2]] + W @ slopes.T)
        return odds / odds.sum(axis=2, keepdims=True)

    def initial(self, theta: np.ndarray) -> np.ndarray:
        """Return the initial probabilities, shape (S,).

        Parameters
        ----------
        theta : ndarray, shape (n_parameters,)
            Real or complex.

        Returns
        -------
        ndarray
            Ones where the likelihood is conditional on the first state.
        """
        made = self.fixed_initial.astype(theta.dtype)
        if self.initial_states:
            odds = np.exp(np.append(np.zeros(1), theta[self.blocks[4]]))
            made[list(self.initial_states)] = odds / odds.sum()
        return made

    def evaluate(self, theta: np.ndarray) -> Evaluation:
        """Return the log-likelihood of every subject, and its derivatives in probabilities.

        Parameters
        ----------
        theta : ndarray, shape (n_parameters,)
            Real or complex.

        Returns
        -------
        Evaluation
            Values and derivatives.
        """
        parts = self.log_intensities(theta), self.emissions(theta), self.initial(theta)
        return kernel().evaluate(self.plan, *parts)

    def gradient(self, theta: np.ndarray, found: Evaluation | None = None) -> np.ndarray:
        """Return the derivatives of the log-likelihood in the parameters.

        Parameters
        ----------
        theta : ndarray, shape (n_parameters,)
            Real or complex.
        found : Evaluation, optional
            At `theta`, where that was evaluated before.

        Returns
        -------
        ndarray, shape (n_parameters,)
            Of the kind of `theta`.
        """
        found = self.evaluate(theta) if found is None else found
        slopes = np.zeros(self.blocks[-1].stop, theta.dtype)
        np.add.at(slopes[self.blocks[0]], self.base, found.log_intensity.sum(axis=0))
        np.add.at(slopes[self.blocks[1]], self.effect, self.X.T @ found.log_intensity)
        if self.pairs:
            in_odds = self._emission_slopes(theta, found.emission)
            slopes[self.blocks[2]] = in_odds.sum(axis=0)
            slopes[self.blocks[3]] = (in_odds.T @ self.W).ravel()
        if self.initial_states:
            states = list(self.initial_states)
            share, value = self.initial(theta)[states], found.initial[states]
            slopes[self.blocks[4]] = (share * (value - share @ value))[1:]
        return slopes

    def _emission_slopes(self, theta: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """Return derivatives in the log odds of errors, shape (n_ratings, n_pairs)."""
        in_rated = slopes @ self.members.T
        rated = self._rated(theta, self.W)
        mean = (rated * in_rated).sum(axis=2)
        true, seen = np.array(self.pairs).T
        return rated[:, true, seen] * (in_rated[:, true, seen] - mean[:, true])

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        """Return the second derivatives of the log-likelihood, exact to rounding.

        Parameters
        ----------
        theta : ndarray, shape (n_parameters,)
            Real.

        Returns
        -------
        ndarray, shape (n_parameters, n_parameters)
            Symmetric.
        """
        H = self._by_pattern(theta) if self.is_separable else complex_step(self.gradient, theta)
        return (H + H.T) / 2

    @property
    def hessian_cost(self) -> int:
        """Return how many evaluations the second derivatives take."""
        first = len(self.plan.origin) if self.is_separable else self.blocks[1].stop
        return first + self.blocks[-1].stop - self.blocks[1].stop

    @cached_property
    def is_separable(self) -> bool:
        """Return whether every subject stays in one pattern, and never meets another's."""
        later = self.plan.interval >= 0
        pattern = self.plan.interval_pattern[self.plan.interval[later]]
        sizes = np.diff(self.plan.subject_start)
        subject = np.repeat(np.arange(len(sizes)), sizes)[later]
        return not ((np.diff(subject) == 0) & (np.diff(pattern) != 0)).any()

    @cached_property
    def _slopes_of_intensities(self) -> np.ndarray:
        """Return derivatives of log intensities in their parameters, (n_patterns, T, n)."""
        T = len(self.plan.origin)
        made = np.zeros((len(self.X), T, self.blocks[1].stop))
        made[:, range(T), self.base] = 1.0
        for c, positions in enumerate(self.effect):
            made[:, range(T), self.blocks[1].start + positions] = self.X[:, [c]]
        return made

    def _by_pattern(self, theta: np.ndarray) -> np.ndarray:
        """Return the second derivatives; one complex step for each transition serves all patterns.

        Log intensities are linear in their parameters, and no subject is in two patterns, so that
        log intensities of different patterns have no second derivatives in common.
        """
        n, T = len(theta), len(self.plan.origin)
        own = self._slopes_of_intensities
        others = slice(self.blocks[2].start, n)
        curvature = np.empty((len(self.X), T, T))
        H = np.empty((n, n))
        for t in range(T):
            moved = self.log_intensities(theta).astype(complex)
            moved[:, t] += 1j * _STEP
            parts = self.emissions(theta + 0j), self.initial(theta + 0j)
            curvature[:, t] = kernel().evaluate(self.plan, moved, *parts).log_intensity.imag / _STEP
        inside = slice(0, own.shape[2])
        H[inside, inside] = np.einsum("ptk,ptl->kl", own, curvature @ own)
        for j in range(others.start, n):
            moved = theta.astype(complex)
            moved[j] += 1j * _STEP
            H[:, j] = self.gradient(moved).imag / _STEP
        H[others, inside] = H[inside, others].T
        return H


def complex_step(function: Callable[[np.ndarray], np.ndarray], theta: np.ndarray) -> np.ndarray:
    """Return the derivatives of a function of a vector, exact to rounding [1]_.

    Parameters
    ----------
    function : callable
        Takes a complex vector of shape (n,), returns one of shape (m,); analytic.
    theta : ndarray, shape (n,)
        Where.

    Returns
    -------
    ndarray, shape (m, n)
        Derivatives.

    References
    ----------
    .. [1] Squire W, Trapp G. Using complex variables to estimate derivatives of real functions.
       SIAM Rev 1998;40:110-112. doi:10.1137/S003614459631241X

    Examples
    --------
    >>> complex_step(np.exp, np.array([0.0, 1.0])).round(6).tolist()
    [[1.0, 0.0], [0.0, 2.718282]]
    """
    columns = []
    for j in range(len(theta)):
        moved = theta.astype(complex)
        moved[j] += 1j * _STEP
        columns.append(np.asarray(function(moved)).imag / _STEP)
    return np.column_stack(columns)


def lay_out_parameters(data: StatesData, spec: MultistateSpec) -> Layout:
    """Give every parameter its place and name.

    Parameters
    ----------
    data : StatesData
        The observations.
    spec : MultistateSpec
        The request.

    Returns
    -------
    Layout
        Of the parameter vector.
    """
    pairs = spec.misclassified_pairs()
    initial_states = _initial_states(data, spec)
    effect, effect_names = _effects(data, spec)
    base, base_names = _bases(spec)
    ratings = data.on_ratings
    labels = spec.labels()
    parameters = [
        *(Parameter(kind="intensity", term=term) for term in base_names),
        *effect_names,
        *(Parameter(kind="misclassification", term=term) for term in spec.pair_labels(pairs)),
        *(
            Parameter(kind="misclassification effect", term=f"{name}: {pair}", unit=float(scale))
            for pair in spec.pair_labels(pairs)
            for name, scale in zip(ratings.terms, ratings.scale, strict=True)
        ),
        *(Parameter(kind="initial", term=labels[s]) for s in initial_states[1:]),
    ]
    return Layout(
        plan=data.movements,
        X=data.on_intensities.standardised(),
        W=ratings.standardised(),
        base=base,
        effect=effect,
        pairs=pairs,
        members=_members(spec),
        initial_states=initial_states,
        fixed_initial=_fixed_initial(spec),
        parameters=tuple(parameters),
    )


def _bases(spec: MultistateSpec) -> tuple[np.ndarray, list[str]]:
    """Give numbers to the log intensities, and name them; death may have one for all states."""
    names = [
        f"any -> {spec.labels()[s]}"
        if s == spec.death_code and spec.death_hazard == "common"
        else label
        for (_, s), label in zip(spec.allowed(), spec.transition_labels(), strict=True)
    ]
    distinct = list(dict.fromkeys(names))
    return np.array([distinct.index(name) for name in names]), distinct


def _effects(data: StatesData, spec: MultistateSpec) -> tuple[np.ndarray, list[Parameter]]:
    """Give numbers to the effects of covariates on transitions, and name them."""
    pairs = spec.allowed()
    kinds = {
        "each": spec.transition_labels(),
        "direction": tuple(
            "death" if s == spec.death_code else "worsening" if s > r else "improvement"
            for r, s in pairs
        ),
        "common": ("all transitions",) * len(pairs),
    }[spec.effects]
    groups = list(dict.fromkeys(kinds))
    covariates = data.on_intensities
    number = np.array([groups.index(kind) for kind in kinds])
    effect = number + len(groups) * np.arange(len(covariates.terms))[:, None]
    names = [
        Parameter(kind="effect", term=f"{term}: {group}", unit=float(scale))
        for term, scale in zip(covariates.terms, covariates.scale, strict=True)
        for group in groups
    ]
    return effect.astype(int), names


def _members(spec: MultistateSpec) -> np.ndarray:
    """Return which states each code stands for."""
    labels = spec.labels()
    members = np.zeros((len(labels), len(labels) + len(spec.censored)))
    members[:, : len(labels)] = np.eye(len(labels))
    for code, (_, among) in enumerate(spec.censored, start=len(labels)):
        members[[labels.index(label_of(state)) for state in among], code] = 1.0
    return members


def _initial_states(data: StatesData, spec: MultistateSpec) -> tuple[int, ...]:
    """Return the states that first visits show, the commonest first, if there is a need."""
    if not spec.is_hidden or spec.initial != "estimate":
        return ()
    first = data.plan.code[data.plan.subject_start[:-1]]
    members = _members(spec)
    counts = members @ np.bincount(first, minlength=members.shape[1])
    counts[spec.death_code] *= spec.death is None
    return tuple(sorted(np.flatnonzero(counts).tolist(), key=lambda s: -counts[s]))


def _fixed_initial(spec: MultistateSpec) -> np.ndarray:
    """Return the initial probabilities that are not estimated."""
    n = len(spec.states)
    if not spec.is_hidden:
        return np.ones(n)
    return np.zeros(n) if spec.initial == "estimate" else np.array(spec.initial, dtype=float)
