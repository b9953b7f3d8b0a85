"""What is compared with what: arms with the reference, or factors of a factorial trial."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pmsstats.errors import DesignError, nearest
from pmsstats.trials.analyses.options import option
from pmsstats.trials.scenario import Scenario, TrialAnalysis

__all__ = ["Comparisons", "comparisons_of", "models_of", "usable_columns"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparisons:
    """The arms that are analysed, and the treatment columns that they have in a model.

    Parameters
    ----------
    names : tuple of str
        Of the columns: arms, factors, or pairs of factors (``"a:b"``, their interaction).
    arms : tuple of str
        Analysed, reference first.
    columns : ndarray, shape (n_arms, n_comparisons)
        1 for those who get what is compared, 0 for the others.
    by_factor : bool
        Whether each factor compares all who get it with all who do not.
    """

    names: tuple[str, ...]
    arms: tuple[str, ...]
    columns: np.ndarray
    by_factor: bool

    def codes(self, arms: tuple[str, ...], arm: np.ndarray) -> np.ndarray:
        """Return the place in `self.arms` of each subject's arm.

        Parameters
        ----------
        arms : tuple of str
            Names that the data use.
        arm : ndarray of int, shape (n_replicates, n_subjects)
            Place in these; -1 for nobody.

        Returns
        -------
        ndarray of int8, shape (n_replicates, n_subjects)
            -1 for subjects of other arms and places that were not filled.

        Raises
        ------
        DesignError
            If the data know nothing of an arm.
        """
        for name in self.arms:
            if name not in arms:
                raise DesignError(
                    f"Arm {name!r} is to be analysed, but the data have {', '.join(arms)}."
                    f"{nearest(name, arms)}"
                )
        place = {name: code for code, name in enumerate(self.arms)}
        lookup = np.array([*(place.get(name, -1) for name in arms), -1], dtype=np.int8)
        if arm.shape[0] > 1 and arm.strides[0] == 0:  # all replicates share one allocation
            return np.broadcast_to(lookup[arm[0]], arm.shape)
        return lookup[arm]

    def n_without(self, counts: np.ndarray) -> np.ndarray:
        """Return how many subjects each comparison takes as its reference.

        Parameters
        ----------
        counts : ndarray of int, shape (n_replicates, n_arms)
            Subjects by arm.

        Returns
        -------
        ndarray of int, shape (n_replicates, n_comparisons)
            The reference arm's, or all those without the factor.
        """
        if not self.by_factor:
            return np.repeat(counts[:, :1], len(self.names), axis=1)
        return counts @ (self.columns == 0).astype(np.int64)

    def n_with(self, counts: np.ndarray) -> np.ndarray:
        """Return how many subjects get what is compared.

        Parameters
        ----------
        counts : ndarray of int, shape (n_replicates, n_arms)
            Subjects by arm.

        Returns
        -------
        ndarray of int, shape (n_replicates, n_comparisons)
            By comparison.
        """
        return counts @ (self.columns != 0).astype(np.int64)


def comparisons_of(
    scenario: Scenario, analysis: TrialAnalysis, arms: tuple[str, ...]
) -> Comparisons:
    """Say what an analysis compares.

    Parameters
    ----------
    scenario : Scenario
        Its first arm is the reference.
    analysis : TrialAnalysis
        With ``by="factor"`` among its options, factors are compared, and with
        ``interaction=True`` pairs of them too.
    arms : tuple of str
        Arms that are compared with the reference.

    Returns
    -------
    Comparisons
        Arms in the order asked for, factors in the order of their first arm.

    Raises
    ------
    DesignError
        If there is no arm, it is the reference or none of the scenario's, or the effects of the
        factors cannot be told apart in these arms.
    """
    reference = scenario.arm_names[0]
    for name in arms:
        if name == reference or name not in scenario.arm_names:
            raise DesignError(
                f"`arms` must be arms other than the reference {reference!r}, got {name!r}."
                f"{nearest(name, scenario.arm_names)}"
            )
    if not arms or len(set(arms)) < len(arms):
        raise DesignError(f"`arms` must name each arm to compare once, got {arms!r}.")
    analysed = (reference, *arms)
    if option(analysis, "by", "arm") == "factor":
        return _factors(scenario, analysis, analysed)
    columns = np.eye(len(analysed))[:, 1:]
    return Comparisons(names=arms, arms=analysed, columns=columns, by_factor=False)


def _factors(scenario: Scenario, analysis: TrialAnalysis, arms: tuple[str, ...]) -> Comparisons:
    """Return main effects of the factors and, if wanted, interactions of pairs of them."""
    given = {arm.name: arm.factors for arm in scenario.arms if arm.name in arms}
    names = tuple(dict.fromkeys(f for arm in arms for f in given[arm]))
    if not names:
        raise DesignError(
            f"Analysis {analysis.name!r} compares factors, but no arm has `factors`. Give each arm "
            "the treatments that it gets."
        )
    columns = np.array([[name in given[arm] for name in names] for arm in arms], dtype=float)
    if option(analysis, "interaction", False):
        pairs = list(itertools.combinations(range(len(names)), 2))
        products = [columns[:, a] * columns[:, b] for a, b in pairs]
        columns = np.column_stack([columns, *products])
        names = (*names, *(f"{names[a]}:{names[b]}" for a, b in pairs))
    model = np.column_stack([np.ones(len(arms)), columns])
    if np.linalg.matrix_rank(model) < model.shape[1]:
        raise DesignError(
            f"The effects of {', '.join(names)} cannot be told apart in the arms "
            f"{', '.join(arms)}. A factor needs arms with and without it beside the others; an "
            "interaction needs an arm with both."
        )
    return Comparisons(names=names, arms=arms, columns=columns, by_factor=True)


def usable_columns(comparisons: Comparisons, present: np.ndarray) -> np.ndarray:
    """Say which comparisons can be made with the arms that have subjects.

    Parameters
    ----------
    comparisons : Comparisons
        What is to be compared.
    present : ndarray of int, shape (n_present,)
        Places of the arms with subjects.

    Returns
    -------
    ndarray of int, shape (n_usable,)
        Places of the comparisons. Without the reference arm there is none; of factors, either all
        can be told apart or none.
    """
    columns = comparisons.columns[present]
    if not comparisons.by_factor:
        return np.flatnonzero(columns.any(axis=0)) if 0 in present else np.empty(0, np.intp)
    model = np.column_stack([np.ones(len(present)), columns])
    full = len(present) > 0 and np.linalg.matrix_rank(model) == model.shape[1]
    return np.arange(columns.shape[1] if full else 0)


def models_of(
    comparisons: Comparisons, absent: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Group replicates by the arms that a model of them can have.

    Parameters
    ----------
    comparisons : Comparisons
        What is to be compared.
    absent : ndarray of bool, shape (n_replicates, n_arms)
        Arms that are left out.

    Yields
    ------
    rows : ndarray of int
        Replicates; those in which nothing can be compared are in none of the groups.
    used : ndarray of int
        Comparisons that they allow.
    arms : ndarray of bool, shape (n_arms,)
        Arms in the model.
    """
    kinds, group = np.unique(absent, axis=0, return_inverse=True)
    for number, kind in enumerate(kinds):
        used = usable_columns(comparisons, np.flatnonzero(~kind))
        if used.size:
            yield np.flatnonzero(group.ravel() == number), used, ~kind
