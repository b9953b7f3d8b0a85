"""The terms of a right-hand side: which columns they have, and what these are products of."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from pmsstats.models.formulas.wilkinson import compile_rhs

if TYPE_CHECKING:
    from pmsstats.models.formulas.design import DesignSpec
    from pmsstats.models.formulas.wilkinson import RightHandSide

__all__ = ["DesignTerm", "DesignTerms", "TermPart", "design_terms"]


@dataclass(frozen=True, eq=False, kw_only=True)
class TermPart:
    """Columns of a term in which each factor is coded in one way.

    Parameters
    ----------
    compared : mapping of str to bool
        Of each factor: whether its levels are compared with each other only, because lower terms
        hold their mean; or have an effect each.
    numbers : tuple of frozenset of str
        What the functions of the levels are multiplied by, one entry per product of numbers.
    """

    compared: Mapping[str, bool]
    numbers: tuple[frozenset[str], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class DesignTerm:
    """One term, such as ``year:arm``.

    Parameters
    ----------
    name : str
        In the user's words.
    factors : frozenset of str
        Factors in it.
    numbers : frozenset of str
        Numbers in it, and functions of such.
    columns : tuple of int
        Positions of its columns in the design.
    parts : tuple of TermPart
        Mostly one; several where no lower term of a factor is in the model.
    """

    name: str
    factors: frozenset[str]
    numbers: frozenset[str]
    columns: tuple[int, ...]
    parts: tuple[TermPart, ...]

    def is_within(self, other: DesignTerm) -> bool:
        """Say whether another term has the same numbers, and these factors among others.

        Parameters
        ----------
        other : DesignTerm
            Of the same model.

        Returns
        -------
        bool
            True for ``arm`` in ``arm:visit``, and false for ``arm`` in ``year:arm``.
        """
        return self.factors < other.factors and self.numbers == other.numbers


@dataclass(frozen=True, eq=False, kw_only=True)
class DesignTerms:
    """The terms of a design, and every column as a product.

    Parameters
    ----------
    terms : tuple of DesignTerm
        In the order of the columns; the intercept, if any, is among them.
    codings : mapping of str to ndarray, shape (n_levels, n_columns)
        Of each factor: by what each column is multiplied at each level.
    numbers : tuple of frozenset of str
        Of each column: the numbers whose product it is.
    """

    terms: tuple[DesignTerm, ...]
    codings: Mapping[str, np.ndarray]
    numbers: tuple[frozenset[str], ...]

    def type3_contrasts(self, term: DesignTerm) -> np.ndarray:
        """Return the combinations of columns that a type III test says to be zero.

        Parameters
        ----------
        term : DesignTerm
            One of `terms`.

        Returns
        -------
        ndarray, shape (m, n_columns)
            One row per number and combination of levels.

        Notes
        -----
        What multiplies a product of numbers is a function of the factors' levels. The part of it
        that belongs to a term is what is left after averaging over the levels of all other
        factors, and comparing those of its own: sum-to-zero coding takes the same average. A
        comparison is one of each level with the first.
        """
        parts = [self._part(term_part) for term_part in term.parts]
        return np.vstack(parts) if parts else np.empty((0, len(self.numbers)))

    def _part(self, part: TermPart) -> np.ndarray:
        """Return the combinations of one part."""
        has = [[found == numbers for found in self.numbers] for numbers in part.numbers]
        rows = np.array(has, dtype=float).reshape(len(has), len(self.numbers))
        for factor, coding in self.codings.items():
            if factor not in part.compared:
                rows = rows * coding.mean(axis=0)
                continue
            levels = coding[1:] - coding[0] if part.compared[factor] else coding
            rows = (levels[:, None] * rows).reshape(-1, rows.shape[1])
        return rows


def design_terms(fixed: DesignSpec) -> DesignTerms:
    """Take a design apart.

    Parameters
    ----------
    fixed : DesignSpec
        How the columns are made.

    Returns
    -------
    DesignTerms
        For all its columns, those included that a fit drops.
    """
    rhs = compile_rhs(fixed.rhs)
    spec = fixed.model_spec
    if spec is None:
        return _of_numbers(rhs)
    states = {str(factor): state for factor, state in spec.factor_contrasts.items()}
    columns: list[_Column] = []
    terms: list[DesignTerm] = []
    for entry in spec.structure:
        made = [_scoped(scoped, entry.columns, states) for scoped in entry.scoped_terms]
        added = [column for _, several in made for column in several]
        factors = [str(factor) for factor in entry.term.factors if str(factor) != "1"]
        terms.append(
            DesignTerm(
                name=rhs.display(str(entry.term)),
                factors=frozenset(rhs.display(name) for name in factors if name in states),
                numbers=frozenset(rhs.display(name) for name in factors if name not in states),
                columns=tuple(range(len(columns), len(columns) + len(added))),
                parts=tuple(_renamed(part, rhs) for part, _ in made),
            )
        )
        columns += added
    codings = {
        rhs.display(name): np.array(
            [column.codings.get(name, np.ones(len(state.levels))) for column in columns]
        ).T
        for name, state in states.items()
    }
    return DesignTerms(
        terms=tuple(terms), codings=codings, numbers=tuple(column.numbers for column in columns)
    )


def _of_numbers(rhs: RightHandSide) -> DesignTerms:
    """Take a design of plain numbers apart: one column per term."""
    products = [frozenset(term) - {"1"} for term in rhs.ordered_terms()]
    terms = [
        DesignTerm(
            name=rhs.display(":".join(term)),
            factors=frozenset(),
            numbers=frozenset(rhs.display(name) for name in product),
            columns=(j,),
            parts=(TermPart(compared={}, numbers=(product,)),),
        )
        for j, (term, product) in enumerate(zip(rhs.ordered_terms(), products, strict=True))
    ]
    return DesignTerms(terms=tuple(terms), codings={}, numbers=tuple(products))


@dataclass(frozen=True, eq=False)
class _Column:
    """One column: a product of functions of levels, and of numbers."""

    codings: Mapping[str, np.ndarray]
    numbers: frozenset[str]


def _scoped(
    scoped: Any, names: Sequence[str], states: Mapping[str, Any]
) -> tuple[TermPart, list[_Column]]:
    """Take the columns of one scoped term of formulaic's apart; its first factor varies fastest."""
    compared: dict[str, bool] = {}
    choices: list[list[_Column]] = []
    for factor in scoped.factors:
        name = str(factor.factor.factor)
        if name in states:
            compared[name] = bool(factor.reduced)
            matrix = states[name].get_coding_matrix(reduced_rank=factor.reduced)
            choices.append([_Column({name: c}, frozenset()) for c in np.asarray(matrix).T])
        else:
            choices.append([_Column({}, frozenset({n})) for n in _numbers(name, names)])
    made = [
        reduce(_times, reversed(chosen), _Column({}, frozenset()))
        for chosen in itertools.product(*reversed(choices))
    ]
    return TermPart(compared=compared, numbers=tuple({c.numbers: None for c in made})), made


def _numbers(name: str, columns: Sequence[str]) -> list[str]:
    """List the columns that one number, or function of one, makes."""
    several = re.compile(re.escape(name) + r"\[[^\]]*\]")
    found = {match: None for column in columns for match in several.findall(column)}
    return list(found) or [name]


def _times(left: _Column, right: _Column) -> _Column:
    """Multiply two columns."""
    return _Column({**left.codings, **right.codings}, left.numbers | right.numbers)


def _renamed(part: TermPart, rhs: RightHandSide) -> TermPart:
    """Give a part's factors their names."""
    compared = {rhs.display(name): value for name, value in part.compared.items()}
    return TermPart(compared=compared, numbers=part.numbers)
