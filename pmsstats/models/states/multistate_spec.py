"""Request for a multi-state model: frozen, checked when it is made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pmsstats.errors import DesignError, nearest
from pmsstats.models.events.rows import check_conf_level

__all__ = ["MultistateSpec", "label_of"]

State = str | int
Pairs = tuple[tuple[State, State], ...]

_UNITS = ("year", "month", "day")
_PROBABILITY = 1e-9  # how far given probabilities may be from a sum of one


def label_of(value: Any) -> str:
    """Return the label of a state as text.

    Parameters
    ----------
    value : object
        A text, or a number; 2 and 2.0 are the same state.

    Returns
    -------
    str
        The label.

    Examples
    --------
    >>> label_of(2.0), label_of(2), label_of("EDSS 4-5.5")
    ('2', '2', 'EDSS 4-5.5')
    """
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if is_whole else str(value)


@dataclass(frozen=True, kw_only=True)
class MultistateSpec:
    """Request for a Markov model in continuous time of states that are seen at visits.

    Parameters
    ----------
    states : tuple of str or int
        All states, from the mildest to the worst; death, where it is one, last.
    transitions : {"neighbours", "progressive"} or tuple of (from, to), default "neighbours"
        Moves that may happen at an instant (a jump over a band between two visits went through
        it). ``"neighbours"``: to the next worse and the next better state; ``"progressive"``: to
        the next worse only. Both let death follow every state.
    death : str or int, optional
        The absorbing state of death, the last of `states`.
    exact_death : bool, default True
        Whether the time of a row of death is the day of death itself; if not, death only happened
        at some time before it.
    death_hazard : {"each", "common"}, default "each"
        Whether every state has a hazard of death of its own, or all have the same (where there
        are too few deaths to tell).
    misclassification : {None, "neighbours"} or tuple of (true, seen), default None
        Which errors of rating there are: with ``"neighbours"`` a visit may be rated one state too
        high or too low. None: every visit shows the true state. Death is never an error.
    initial : "estimate" or tuple of float, default "estimate"
        With misclassification, the probabilities of the true states at the first visit, one per
        state; estimated ones are 0 for states that no first visit shows. Without, the first state
        is seen, and this is not read.
    covariates : str or tuple of str, default ""
        Right-hand side of a formula (``"arm + age_years"``), or columns, that act on the log
        intensities. The value at a visit holds until the next visit.
    effects : {"each", "direction", "common"}, default "each"
        Whether a covariate has an effect of its own on each transition, one on all worsening, one
        on all improvement and one on death, or the same on all.
    misclassification_covariates : str or tuple of str, default ""
        Covariates that act on the log odds of each error of rating against a right one.
    censored : tuple of (label, tuple of states)
        Values of the state column that only say that the state was one of several.
    state : str, default "state"
        Column of the state.
    time : str, default "year"
        Column of the time of the visit.
    subject : str, default "subject_id"
        Column of subjects.
    time_unit : {"year", "month", "day"}, default "year"
        Unit of `time`, for words and figures.
    conf_level : float, default 0.95
        Of the intervals.

    Raises
    ------
    DesignError
        If an option is outside of its range, or names a state that is none.

    Examples
    --------
    >>> spec = MultistateSpec(
    ...     states=(1, 2, 3, "dead"), death="dead", misclassification="neighbours"
    ... )
    >>> spec.transition_labels()
    ('1 -> 2', '1 -> dead', '2 -> 1', '2 -> 3', '2 -> dead', '3 -> 2', '3 -> dead')
    >>> spec.misclassified_pairs()
    ((0, 1), (1, 0), (1, 2), (2, 1))
    """

    states: tuple[State, ...]
    transitions: Literal["neighbours", "progressive"] | Pairs = "neighbours"
    death: State | None = None
    exact_death: bool = True
    death_hazard: Literal["each", "common"] = "each"
    misclassification: Literal["neighbours"] | Pairs | None = None
    initial: Literal["estimate"] | tuple[float, ...] = "estimate"
    covariates: str | tuple[str, ...] = ""
    effects: Literal["each", "direction", "common"] = "each"
    misclassification_covariates: str | tuple[str, ...] = ""
    censored: tuple[tuple[State, tuple[State, ...]], ...] = ()
    state: str = "state"
    time: str = "year"
    subject: str = "subject_id"
    time_unit: Literal["year", "month", "day"] = "year"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check the options."""
        labels = self.labels()
        if isinstance(self.states, str) or len(labels) < 2 or len(set(labels)) < len(labels):
            raise DesignError(
                f"`states` must be a tuple of at least two different states, got {self.states!r}."
            )
        if self.death is not None and self._code("death", self.death) != len(labels) - 1:
            raise DesignError(f"`death` must be the last of `states`, got {self.death!r}.")
        self._check_choices()
        self._check_transitions()
        self._check_misclassification()
        self._check_initial()
        for label, among in self.censored:
            if label_of(label) in labels or len(among) < 2:
                raise DesignError(
                    f"`censored` pairs a label that is no state with two or more states, got "
                    f"{(label, among)!r}."
                )
            _ = [self._code("censored", state) for state in among]
        check_conf_level(self.conf_level)

    def _check_choices(self) -> None:
        """Refuse words that are no choice."""
        choices = {
            "effects": ("each", "direction", "common"),
            "death_hazard": ("each", "common"),
            "time_unit": _UNITS,
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise DesignError(
                    f"`{name}` must be one of {', '.join(allowed)}, got {getattr(self, name)!r}."
                )
        if self.misclassification_covariates and not self.is_hidden:
            raise DesignError(
                "`misclassification_covariates` need `misclassification`, which is None."
            )

    def _check_transitions(self) -> None:
        """Refuse transitions that are none, or none at all."""
        pairs = self._pairs("transitions", self.transitions)
        if not pairs:
            raise DesignError("`transitions` must name at least one (from, to).")
        if any(origin == self.death_code for origin, _ in pairs):
            raise DesignError("`transitions` lead out of `death`; nothing does.")

    def _check_misclassification(self) -> None:
        """Refuse errors of rating that are none."""
        if self.misclassification is None:
            return
        pairs = self._pairs("misclassification", self.misclassification)
        if not pairs or any(self.death_code in pair for pair in pairs):
            raise DesignError(
                "`misclassification` must name at least one (true, seen) among the states other "
                f"than death, got {self.misclassification!r}. None means that there is none."
            )

    def _check_initial(self) -> None:
        """Refuse initial probabilities that are none."""
        if self.initial == "estimate":
            return
        given = self.initial
        is_right = not isinstance(given, str) and len(given) == len(self.states)
        if is_right:
            is_right = min(given) >= 0 and math.isclose(sum(given), 1.0, abs_tol=_PROBABILITY)
        if not is_right or (self.death is not None and given[-1] != 0):
            raise DesignError(
                f"`initial` must be 'estimate', or {len(self.states)} probabilities (one per "
                f"state, death 0) that sum to 1, got {given!r}."
            )

    def _code(self, argument: str, state: State) -> int:
        """Return the number of a state."""
        labels = self.labels()
        if label_of(state) not in labels:
            raise DesignError(
                f"`{argument}` names {state!r}, which is none of `states`."
                f"{nearest(label_of(state), labels)} They are: {', '.join(labels)}."
            )
        return labels.index(label_of(state))

    def _pairs(self, argument: str, given: str | Pairs) -> tuple[tuple[int, int], ...]:
        """Return pairs of states as numbers, sorted, each once."""
        if isinstance(given, str):
            return self._preset(argument, given)
        found = set()
        for pair in given:
            if isinstance(pair, str) or len(pair) != 2 or label_of(pair[0]) == label_of(pair[1]):
                raise DesignError(
                    f"`{argument}` must hold pairs of two different states, got {pair!r}."
                )
            found.add((self._code(argument, pair[0]), self._code(argument, pair[1])))
        return tuple(sorted(found))

    def _preset(self, argument: str, name: str) -> tuple[tuple[int, int], ...]:
        """Return the pairs that a word stands for."""
        words = ("neighbours", *(("progressive",) if argument == "transitions" else ()))
        if name not in words:
            raise DesignError(
                f"`{argument}` must be {' or '.join(map(repr, words))}, or a tuple of pairs, got "
                f"{name!r}."
            )
        n_living = len(self.states) - (self.death is not None)
        pairs = {(r, r + 1) for r in range(n_living - 1)}
        pairs |= {(s, r) for r, s in pairs if name == "neighbours"}
        if argument == "transitions" and self.death is not None:
            pairs |= {(r, n_living) for r in range(n_living)}
        return tuple(sorted(pairs))

    @property
    def is_hidden(self) -> bool:
        """Return whether the true state may differ from the one seen."""
        return self.misclassification is not None

    @property
    def death_code(self) -> int:
        """Return the number of the state of death; -1 where there is none."""
        return len(self.states) - 1 if self.death is not None else -1

    def labels(self) -> tuple[str, ...]:
        """Return the states as text, in their order."""
        return tuple(label_of(state) for state in self.states)

    def allowed(self) -> tuple[tuple[int, int], ...]:
        """Return the transitions as pairs of state numbers, counted from 0."""
        return self._pairs("transitions", self.transitions)

    def transition_labels(self) -> tuple[str, ...]:
        """Return the transitions in words, in the order of :meth:`allowed`."""
        return self.pair_labels(self.allowed())

    def misclassified_pairs(self) -> tuple[tuple[int, int], ...]:
        """Return the errors of rating as pairs (true, seen) of state numbers; empty for none."""
        if self.misclassification is None:
            return ()
        return self._pairs("misclassification", self.misclassification)

    def pair_labels(self, pairs: Iterable[tuple[int, int]]) -> tuple[str, ...]:
        """Put pairs of states into words.

        Parameters
        ----------
        pairs : iterable of tuple of int
            State numbers.

        Returns
        -------
        tuple of str
            For example ``"1 -> 2"``.
        """
        labels = self.labels()
        return tuple(f"{labels[r]} -> {labels[s]}" for r, s in pairs)
