"""Design matrices: the columns that a right-hand side makes of data, rows that can be used."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from formulaic.errors import FormulaicError

from pmsstats.errors import DesignError, FormulaError, first_ids, nearest
from pmsstats.models.formulas.fragments import transform_functions
from pmsstats.models.formulas.text_numbers import refuse_numbers_as_text
from pmsstats.models.formulas.wilkinson import RightHandSide, compile_rhs
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from formulaic import ModelSpec

__all__ = [
    "DesignSpec",
    "complete_rows",
    "design_matrices",
    "formula_variables",
    "level_label",
    "lost_subjects",
    "require_columns",
]

_MAX_COLUMNS = 2000


def formula_variables(rhs: str) -> tuple[str, ...]:
    """List the columns that a right-hand side uses.

    Parameters
    ----------
    rhs : str
        For example ``"year * phenotype"``.

    Returns
    -------
    tuple of str
        Column names in order of appearance, each once.

    Raises
    ------
    FormulaError
        If the formula is not allowed.

    Examples
    --------
    >>> formula_variables("log(age_years) + year * phenotype")
    ('age_years', 'year', 'phenotype')
    """
    return compile_rhs(rhs).variables


def complete_rows(
    data: pd.DataFrame, variables: Sequence[str], *, stage: str, subject: str
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Keep the rows that have a finite value in every variable, and count the others.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per observation.
    variables : sequence of str
        Columns that must be there.
    stage : str
        The step, for the exclusions.
    subject : str
        Column of subject ids, for the exclusions.

    Returns
    -------
    rows : pandas.DataFrame
        The complete rows, in their order, with a fresh index.
    exclusions : tuple of Exclusion
        One per reason; a row with several reasons counts under the first.

    Raises
    ------
    DesignError
        If a variable is no column of the data.
    """
    require_columns(data, [*variables, subject])
    keep = np.ones(len(data), dtype=bool)
    exclusions: tuple[Exclusion, ...] = ()
    ids = data[subject].reset_index(drop=True)  # rows are told by position: labels may repeat
    for name in dict.fromkeys([subject, *variables]):
        missing = data[name].isna().to_numpy()
        infinite = _infinite(data[name]) & ~missing
        for bad, reason in ((missing, f"no {name}"), (infinite, f"{name} is infinite")):
            if bad.any():
                exclusions += exclude(
                    stage, "row", reason, ids[keep & bad].astype(object).where(ids.notna(), "no id")
                )
                keep &= ~bad
    if keep.all():
        return data.reset_index(drop=True), exclusions
    exclusions += lost_subjects(stage, ids, keep)
    return data.loc[keep].reset_index(drop=True), exclusions


def lost_subjects(stage: str, ids: pd.Series, keep: np.ndarray) -> tuple[Exclusion, ...]:
    """Count the subjects of whom no row is kept.

    Parameters
    ----------
    stage : str
        The step.
    ids : pandas.Series
        Subject id of each row.
    keep : ndarray of bool
        Which rows are kept.

    Returns
    -------
    tuple of Exclusion
        Empty where every subject keeps a row.
    """
    gone = ids[~keep].dropna()
    gone = gone[~gone.isin(ids[keep])].drop_duplicates()
    return exclude(stage, "subject", "no complete row", gone)


def require_columns(data: pd.DataFrame, names: Sequence[str]) -> None:
    """Refuse column names that are not there, or there twice.

    Parameters
    ----------
    data : pandas.DataFrame
        The data of a model.
    names : sequence of str
        Columns that it needs.

    Raises
    ------
    DesignError
        If one is absent; the message suggests the nearest.
    """
    columns = [str(c) for c in data.columns]
    if data.columns.is_unique and set(names) <= set(columns):
        return
    for name in names:
        if name not in columns:
            raise FormulaError(
                f"The model names {name!r}, which is no column of the data."
                f"{nearest(name, columns)} The data have: {', '.join(columns[:12])}"
                f"{', ...' if len(columns) > 12 else ''}."
            )
        if columns.count(name) > 1:
            raise DesignError(f"The data have {columns.count(name)} columns named {name!r}.")


def _infinite(values: pd.Series) -> np.ndarray:
    """Say which values are infinite."""
    if not pd.api.types.is_numeric_dtype(values.dtype):
        return np.zeros(len(values), dtype=bool)
    return np.isinf(values.to_numpy(dtype=float, na_value=np.nan))


@dataclass(frozen=True, eq=False, kw_only=True)
class DesignSpec:
    """How a design matrix is made from data, to be made again from others.

    Parameters
    ----------
    rhs : str
        Right-hand side.
    columns : tuple of str
        Names of the design columns.
    variables : tuple of str
        Columns of the data that it uses.
    levels : mapping
        Of each variable that is a factor: its levels, reference first.
    unused_levels : mapping
        Of each factor that had some: levels that no row has, which were dropped.
    numbers : frozenset of str
        Variables that enter as numbers.
    model_spec : formulaic.ModelSpec, optional
        Remembers means, knots and levels; None where there are none to remember.
    """

    rhs: str
    columns: tuple[str, ...]
    variables: tuple[str, ...]
    levels: Mapping[str, tuple[Any, ...]]
    unused_levels: Mapping[str, tuple[Any, ...]]
    numbers: frozenset[str]
    model_spec: ModelSpec | None

    def matrix(self, data: pd.DataFrame) -> pd.DataFrame:
        """Make the same design columns from other data.

        Parameters
        ----------
        data : pandas.DataFrame
            Has the columns :attr:`variables`, complete.

        Returns
        -------
        pandas.DataFrame
            One row per row of `data`, columns :attr:`columns`, float.

        Raises
        ------
        DesignError
            If a column is absent or incomplete, or a factor has a level that the fit did not have.
        """
        rhs = compile_rhs(self.rhs)
        prepared = _prepare(data, rhs, known=self)
        if self.model_spec is None:
            return _multiply_out(rhs, prepared)
        return _materialise(rhs, prepared, self.model_spec)[0]


def design_matrices(fixed_rhs: str, data: pd.DataFrame) -> tuple[pd.DataFrame, DesignSpec]:
    """Make the design matrix of a right-hand side.

    Parameters
    ----------
    fixed_rhs : str
        For example ``"year * phenotype + bs(age_years, df=4)"``; an intercept is implied unless
        ``0 +`` or ``- 1`` takes it out.
    data : pandas.DataFrame
        One row per observation, complete in the variables used (see :func:`complete_rows`).

    Returns
    -------
    X : pandas.DataFrame
        Float; the intercept is called ``Intercept``.
    spec : DesignSpec
        Makes the same columns from other data.

    Raises
    ------
    FormulaError
        If the formula is not allowed, or a transform cannot be computed.
    DesignError
        If a column is absent, incomplete or of a kind that no model can use.

    Notes
    -----
    Text, true/false and categorical columns become factors with treatment contrasts; text that
    is nearly all numbers is refused, unless it reads as a code of few levels (see
    :func:`~pmsstats.models.formulas.text_numbers.refuse_numbers_as_text`). The
    reference is the first level: of an ordered or unordered categorical its first category that
    occurs, of text the first in alphabetical order.

    Examples
    --------
    >>> data = pd.DataFrame({"year": [0.0, 1.0, 2.0], "phenotype": ["SPMS", "PPMS", "SPMS"]})
    >>> X, spec = design_matrices("year + phenotype", data)
    >>> list(X.columns)
    ['Intercept', 'year', 'phenotype[T.SPMS]']
    """
    rhs = compile_rhs(fixed_rhs)
    prepared = _prepare(data, rhs, known=None)
    _check_size(rhs, prepared.levels)
    if rhs.fragments or prepared.levels:
        matrix, model_spec = _materialise(rhs, prepared, None)
    else:
        matrix, model_spec = _multiply_out(rhs, prepared), None
    spec = DesignSpec(
        rhs=rhs.text,
        columns=tuple(matrix.columns),
        variables=rhs.variables,
        levels=prepared.levels,
        unused_levels=prepared.unused,
        numbers=prepared.numbers,
        model_spec=model_spec,
    )
    return matrix, spec


@dataclass(frozen=True, eq=False)
class _Prepared:
    """Columns under their aliases, as numbers or factors, and what was found about them."""

    n_rows: int
    columns: Mapping[str, Any]
    levels: Mapping[str, tuple[Any, ...]]
    unused: Mapping[str, tuple[Any, ...]]
    numbers: frozenset[str]


def _prepare(data: pd.DataFrame, rhs: RightHandSide, *, known: DesignSpec | None) -> _Prepared:
    """Copy the columns that are used, under their aliases, as numbers or as factors."""
    require_columns(data, rhs.variables)
    columns: dict[str, Any] = {}
    levels: dict[str, tuple[Any, ...]] = {}
    unused: dict[str, tuple[Any, ...]] = {}
    numbers: set[str] = set()
    for (name, is_factor), alias in rhs.aliases.items():
        values = data[name]
        missing = values.isna().to_numpy()
        if missing.any():
            raise DesignError(
                f"{int(missing.sum())} row(s) have no {name!r}; drop or fill them first."
            )
        if known is None and not is_factor:
            refuse_numbers_as_text(values, name)
        if not is_factor and _enters_as_number(values, name, known):
            columns[alias] = values.to_numpy(dtype=float)
            numbers.add(name)
            continue
        allowed = known.levels[name] if known is not None else None
        columns[alias], levels[name], left = _as_factor(values, name, allowed)
        unused |= {name: left} if left else {}
    return _Prepared(len(data), columns, levels, unused, frozenset(numbers))


def _enters_as_number(values: pd.Series, name: str, known: DesignSpec | None) -> bool:
    """Say whether a column enters as a number: as in the fit, or as its kind tells."""
    if known is None:
        return _is_number(values, name)
    if name in known.numbers and not _is_number(values, name):
        raise DesignError(f"Column {name!r} must hold numbers, as in the fit; it holds text.")
    return name in known.numbers


def _is_number(values: pd.Series, name: str) -> bool:
    """Say whether a column enters as a number; refuse kinds that are neither that nor a factor."""
    dtype = values.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return False
    if pd.api.types.is_numeric_dtype(dtype):
        if not np.isrealobj(values.to_numpy()):
            raise DesignError(f"Column {name!r} holds complex numbers.")
        return True
    if pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        raise DesignError(
            f"Column {name!r} holds dates. Use `year` or `day`, the time since baseline."
        )
    return False


def _as_factor(
    values: pd.Series, name: str, known: tuple[Any, ...] | None
) -> tuple[pd.Categorical, tuple[Any, ...], tuple[Any, ...]]:
    """Turn a column to a factor with the levels that occur, reference first."""
    codes, found = pd.factorize(values)
    is_ordered = isinstance(values.dtype, pd.CategoricalDtype)
    labels = [item if is_ordered else level_label(item) for item in list(found)]
    unused: tuple[Any, ...] = ()
    if is_ordered:
        levels = tuple(c for c in values.cat.categories if c in set(labels))
        unused = tuple(c for c in values.cat.categories if c not in set(labels))
    else:
        levels = tuple(sorted(set(labels), key=lambda item: (isinstance(item, str), item)))
    if known is not None:
        strange = [item for item in labels if item not in known]
        if strange:
            raise DesignError(
                f"Column {name!r} has {strange[0]!r}, which the fitted model does not know."
                f"{nearest(str(strange[0]), map(str, known))} It knows: "
                f"{first_ids(known, show=8)}."
            )
        levels, unused = known, ()
    positions = np.array([levels.index(item) for item in labels], dtype=int)
    return pd.Categorical.from_codes(positions[codes], categories=list(levels)), levels, unused


def level_label(item: Any) -> Any:
    """Make one kind of label of every value of a factor: numbers stay numbers, whole ones ints.

    Parameters
    ----------
    item : object
        A value of a column.

    Returns
    -------
    int, float or str
        The level that the value stands for.

    Examples
    --------
    >>> level_label(1.0), level_label(0.5), level_label(True)
    (1, 0.5, 'True')
    """
    if isinstance(item, bool | np.bool_) or not isinstance(item, Real):
        return str(item)
    return int(item) if float(item).is_integer() else float(item)


def _check_size(rhs: RightHandSide, levels: Mapping[str, tuple[Any, ...]]) -> None:
    """Refuse designs with thousands of columns before building them."""
    names = {alias: name for (name, _), alias in rhs.aliases.items()}

    def width(expression: str) -> int:
        fragment = rhs.fragments.get(expression)
        if fragment is None:
            return len(levels.get(names.get(expression, ""), "1"))
        return max(fragment.n_columns, *(len(levels[name]) for name in fragment.factors), 1)

    total = sum(int(np.prod([float(width(e)) for e in term])) for term in rhs.terms)
    if total > _MAX_COLUMNS:
        largest = max(levels, key=lambda name: len(levels[name]), default="")
        raise DesignError(
            f"The formula would make about {total} columns, more than {_MAX_COLUMNS}. "
            + (
                f"{largest!r} has {len(levels[largest])} levels: is it a number stored as text, "
                "or an id?"
                if largest
                else "Ask for fewer spline or polynomial terms."
            )
        )


def _multiply_out(rhs: RightHandSide, prepared: _Prepared) -> pd.DataFrame:
    """Build the columns of a formula of plain numbers, as formulaic would, in its order."""
    terms = rhs.ordered_terms()
    matrix = np.ones((prepared.n_rows, len(terms)))
    for j, term in enumerate(terms):
        for alias in term:
            matrix[:, j] *= prepared.columns.get(alias, 1.0)
    names = ["Intercept" if term == ("1",) else rhs.display(":".join(term)) for term in terms]
    return pd.DataFrame(matrix, columns=names)


def _materialise(
    rhs: RightHandSide, prepared: _Prepared, spec: ModelSpec | None
) -> tuple[pd.DataFrame, ModelSpec]:
    """Let formulaic build the columns, and give them the user's names."""
    frame = pd.DataFrame(prepared.columns, index=pd.RangeIndex(prepared.n_rows))
    first_time = {"na_action": "ignore", "output": "numpy"} if spec is None else {}
    source = rhs.formula() if spec is None else spec
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            built = source.get_model_matrix(frame, context=transform_functions(), **first_time)
    except (FormulaicError, ValueError, TypeError, ArithmeticError, LookupError) as exc:
        shown = rhs.display(str(exc))[:300]
        raise FormulaError(
            f"The formula {rhs.text!r} cannot be computed from these data: {shown}"
        ) from exc
    matrix = pd.DataFrame(
        np.asarray(built, dtype=float).reshape(len(frame), -1),
        columns=[rhs.display(str(name)) for name in built.model_spec.column_names],
    )
    return matrix, built.model_spec
