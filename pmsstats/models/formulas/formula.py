"""Model formulas in lme4's language: a safe layer over formulaic.

A formula is data. Nothing in it is evaluated before every part was checked against an allow-list
(:mod:`pmsstats.models.formulas.fragments`), and what is evaluated then is text written anew from
the checked parts, with columns under names of our own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pmsstats.errors import FormulaError
from pmsstats.models.formulas.design import (
    DesignSpec,
    complete_rows,
    design_matrices,
    formula_variables,
)
from pmsstats.models.formulas.fragments import TRANSFORMS
from pmsstats.models.formulas.wilkinson import Token, compile_rhs, join_tokens, tokenize

__all__ = [
    "TRANSFORMS",
    "DesignSpec",
    "ParsedFormula",
    "RandomTerm",
    "complete_rows",
    "design_matrices",
    "formula_variables",
    "grouping_columns",
    "parse_formula",
]

_GROUP_PART = re.compile(r"`[^`]*`|[^:`]+")


@dataclass(frozen=True, kw_only=True)
class RandomTerm:
    """Effects that vary from subject to subject, or between other groups.

    Parameters
    ----------
    group : str
        Column that tells the subjects apart; or several with colons between them, of which each
        combination is a group: ``"site_id:subject_id"``. A column whose name has a colon in it
        stands in backticks.
    terms : tuple of str
        What varies: ``"1"`` is the intercept, the others are formula terms such as ``"year"``.
    correlated : bool, default True
        Whether the effects of a subject may be correlated: lme4's ``(year | subject_id)``, as
        against ``(year || subject_id)``.

    Raises
    ------
    FormulaError
        If there is no term or group, or one is not allowed.

    Notes
    -----
    A term is lme4's ``(year | subject_id)``, nlme's ``random = ~ year | subject_id``, and SAS's
    ``random intercept year / subject=subject_id type=un``.

    Examples
    --------
    >>> RandomTerm(group="subject_id", terms=("1", "year")).formula()
    '(year | subject_id)'
    >>> RandomTerm(group="site_id:subject_id").columns
    ('site_id', 'subject_id')
    """

    group: str
    terms: tuple[str, ...] = ("1",)
    correlated: bool = True

    def __post_init__(self) -> None:
        """Check the terms."""
        if not self.terms or isinstance(self.terms, str):
            raise FormulaError(
                f"`terms` of a random term must be a tuple such as ('1', 'year'), got "
                f"{self.terms!r}."
            )
        columns = self.columns
        if not all(columns) or len(set(columns)) < len(columns):
            raise FormulaError(
                "`group` of a random term must be a column, or different columns with colons "
                f"between them, got {self.group!r}."
            )
        compile_rhs(self.rhs())

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns whose combinations are the groups; most often one."""
        return grouping_columns(self.group)

    def rhs(self) -> str:
        """Return the varying terms as the right-hand side of a formula."""
        return " + ".join(self.terms if "1" in self.terms else ("0", *self.terms))

    def formula(self) -> str:
        """Return the term in lme4's language."""
        bar = "|" if self.correlated else "||"
        slopes = [term for term in self.terms if term != "1"]
        inside = " + ".join(slopes) if slopes else "1"
        prefix = "" if "1" in self.terms else "0 + "
        group = ":".join(c if c.isidentifier() else f"`{c}`" for c in self.columns)
        return f"({prefix}{inside} {bar} {group})"


def grouping_columns(group: str) -> tuple[str, ...]:
    """Split the name of a grouping factor into the columns that it combines.

    Parameters
    ----------
    group : str
        As in :class:`RandomTerm`.

    Returns
    -------
    tuple of str
        Column names, without backticks.

    Examples
    --------
    >>> grouping_columns("site_id:subject_id"), grouping_columns("`a:b`")
    (('site_id', 'subject_id'), ('a:b',))
    """
    if not isinstance(group, str):
        raise FormulaError(f"`group` of a random term must be a text, got {group!r}.")
    return tuple(part.strip("`") for part in _GROUP_PART.findall(group)) or ("",)


@dataclass(frozen=True, kw_only=True)
class ParsedFormula:
    """The parts of a mixed-model formula.

    Parameters
    ----------
    outcome : str
        Left of the tilde.
    fixed : str
        Right-hand side without the random terms.
    random_terms : tuple of RandomTerm
        In order of appearance; empty where there are none.
    """

    outcome: str
    fixed: str
    random_terms: tuple[RandomTerm, ...]


def parse_formula(formula: str) -> ParsedFormula:
    """Split a formula in lme4's language into outcome, fixed part and random terms.

    Parameters
    ----------
    formula : str
        For example ``"thalamus_ml ~ year * phenotype + (year | subject_id)"``. Unusual column
        names stand in backticks.

    Returns
    -------
    ParsedFormula
        Its parts, checked, in canonical spelling. No column is looked up yet.

    Raises
    ------
    FormulaError
        If it does not parse, or holds anything but columns, operators and allowed transforms.
        Nothing of it is ever evaluated in that case.

    Examples
    --------
    >>> parsed = parse_formula("thalamus_ml ~ year*phenotype + (year|subject_id)")
    >>> parsed.fixed, parsed.random_terms[0].terms
    ('year * phenotype', ('1', 'year'))
    """
    tokens = tokenize(formula)
    tildes = [i for i, token in enumerate(tokens) if token.text == "~"]
    if len(tildes) != 1:
        raise FormulaError(
            f"A formula needs one ~ between outcome and terms, found {len(tildes)} in "
            f"{formula[:80]!r}. Write for example: thalamus_ml ~ year + (year | subject_id)."
        )
    left, right = tokens[: tildes[0]], tokens[tildes[0] + 1 :]
    if not right:
        raise FormulaError("Right of the ~ stands at least one term; 1 is an intercept alone.")
    fixed, groups = _split_random(right)
    text = join_tokens(fixed) or "1"
    return ParsedFormula(
        outcome=_outcome(left),
        fixed=compile_rhs(text).text,
        random_terms=tuple(term for group in groups for term in _random_terms(group)),
    )


def _outcome(tokens: Sequence[Token]) -> str:
    """Check the left side: one column, or one transform of columns."""
    if len(tokens) != 1 or tokens[0].kind not in {"name", "fragment"}:
        raise FormulaError(
            f"The outcome must be one column, or a transform of it such as log(snfl_pg_ml), got "
            f"{join_tokens(tokens)!r}."
        )
    text = join_tokens(tokens)
    if any(f.is_basis for f in compile_rhs(text).fragments.values()):
        raise FormulaError(f"The outcome must be one column of numbers, got {text!r}.")
    return text


def _split_random(tokens: Sequence[Token]) -> tuple[list[Token], list[list[Token]]]:
    """Take the bracketed random terms out of a right-hand side, with the plus before each."""
    fixed: list[Token] = []
    groups: list[list[Token]] = []
    position = 0
    while position < len(tokens):
        end = _closing(tokens, position) if tokens[position].kind == "open" else position
        inside = list(tokens[position + 1 : end])
        if any(token.text in {"|", "||"} for token in inside if token.kind == "operator"):
            _check_neighbours(tokens, position, end)
            groups.append(inside)
            if fixed:
                fixed.pop()
            elif end + 1 < len(tokens) and tokens[end + 1].text == "+":
                end += 1
            position = end + 1
            continue
        fixed.append(tokens[position])
        position += 1
    return fixed, groups


def _closing(tokens: Sequence[Token], start: int) -> int:
    """Return the position of the bracket that closes the one at `start`."""
    depth = 0
    for position in range(start, len(tokens)):
        depth += (tokens[position].kind == "open") - (tokens[position].kind == "close")
        if depth == 0:
            return position
    raise FormulaError(f"Brackets do not match in the formula at {join_tokens(tokens)[:60]!r}.")


def _check_neighbours(tokens: Sequence[Token], start: int, end: int) -> None:
    """Refuse a random term that is anything but added."""
    before = tokens[start - 1].text if start else "+"
    after = tokens[end + 1].text if end + 1 < len(tokens) else "+"
    if before != "+" or after not in {"+", "-"}:
        raise FormulaError(
            f"A random term can only be added: write ... + {join_tokens(tokens[start : end + 1])}."
        )


def _random_terms(tokens: Sequence[Token]) -> tuple[RandomTerm, ...]:
    """Read what stands in the brackets of a random term; a slash makes several terms of it."""
    text = join_tokens(tokens)
    bars = [i for i, token in enumerate(tokens) if token.text in {"|", "||"}]
    if len(bars) != 1:
        raise FormulaError(f"A random term has one bar, as in (year | subject_id), got ({text}).")
    left, group = tokens[: bars[0]], tokens[bars[0] + 1 :]
    if not left:
        raise FormulaError(f"Left of the bar stands what varies, as in (year | ...), got ({text}).")
    terms = compile_rhs(join_tokens(left)).term_names()
    correlated = tokens[bars[0]].text == "|"
    return tuple(
        RandomTerm(group=name, terms=terms, correlated=correlated) for name in _groupings(group)
    )


def _groupings(tokens: Sequence[Token]) -> tuple[str, ...]:
    """Read what stands right of the bar: columns with : or / between them, the finest first."""
    names, signs = tokens[::2], tokens[1::2]
    if (
        not names
        or len(names) == len(signs)
        or any(token.kind != "name" for token in names)
        or any(token.text not in {":", "/"} for token in signs)
    ):
        raise FormulaError(
            "Right of the bar stands a column that tells subjects apart, or several as in "
            f"site_id:subject_id (combinations) and site_id/subject_id (sites, and subjects in "
            f"them), got {join_tokens(tokens)!r}."
        )
    so_far = _group_name(names[0].text)
    found: list[str] = []
    for sign, name in zip(signs, names[1:], strict=True):
        found += [so_far] if sign.text == "/" else []
        so_far += ":" + _group_name(name.text)
    return tuple(reversed([*found, so_far]))


def _group_name(column: str) -> str:
    """Return the name of a column as part of a grouping factor."""
    return f"`{column}`" if ":" in column else column
