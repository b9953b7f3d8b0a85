"""Right-hand sides of formulas: text to terms, without evaluating anything.

The text never reaches formulaic. It is cut into tokens here; every Python fragment is checked and
written anew; formulaic's parser sees stand-ins for columns and fragments, and only multiplies out
the operators between them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from formulaic import SimpleFormula
from formulaic.errors import FormulaicError
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.types import ASTNode, Factor, Term

from pmsstats.errors import FormulaError
from pmsstats.models.formulas.fragments import Fragment, check_fragment

if TYPE_CHECKING:
    from formulaic.parser.types import Token as FormulaicToken

__all__ = ["RightHandSide", "Token", "compile_rhs", "join_tokens", "tokenize"]

_MAX_LENGTH = 4000
_MAX_TOKENS = 400
_MAX_DEPTH = 20
_MAX_TERMS = 300
_MAX_FACTORS = 6
_MAX_POWER = 5

_SPACE = re.compile(r"\s+")
_NAME = re.compile(r"[^\W\d][\w.]*")
_NUMBER = re.compile(r"[0-9][\w.]*")
_OPERATOR = re.compile(r"\*\*|\|\||[-+*/:^|~]")
_POWERS = ("**", "^")
_CLOSERS = {"(": ")", "[": "]", "{": "}"}

TokenKind = Literal["name", "number", "operator", "open", "close", "fragment"]


@dataclass(frozen=True)
class Token:
    """One piece of a formula.

    Parameters
    ----------
    kind : {"name", "number", "operator", "open", "close", "fragment"}
        Names are columns; fragments are Python.
    text : str
        The piece; of a name without its backticks, of a fragment with stand-ins for them.
    shown : str
        The piece as the user wrote it.
    quoted : tuple of tuple of str
        Stand-in and column name of each backtick name in a fragment.
    """

    kind: TokenKind
    text: str
    shown: str
    quoted: tuple[tuple[str, str], ...] = ()


def tokenize(text: str) -> list[Token]:
    """Cut a formula into tokens.

    Parameters
    ----------
    text : str
        All of it, or one side.

    Returns
    -------
    list of Token
        In order.

    Raises
    ------
    FormulaError
        If it is too long, a bracket, quote or backtick stays open, or a character means nothing.
    """
    if not isinstance(text, str):
        raise FormulaError(f"A formula must be a text, got {type(text).__name__}: {text!r}.")
    if len(text) > _MAX_LENGTH:
        raise FormulaError(
            f"A formula may have at most {_MAX_LENGTH} characters, this one has {len(text)}."
        )
    _check_depth(text)
    tokens = list(_scan(text))
    if len(tokens) > _MAX_TOKENS:
        raise FormulaError(
            f"A formula may have at most {_MAX_TOKENS} parts, this one has {len(tokens)}."
        )
    return tokens


def join_tokens(tokens: Iterable[Token]) -> str:
    """Write tokens as one text again, one blank between them.

    Parameters
    ----------
    tokens : iterable of Token
        From :func:`tokenize`.

    Returns
    -------
    str
        The same formula, in a spelling that does not depend on blanks.
    """
    text = " ".join(token.shown for token in tokens)
    return text.replace("( ", "(").replace(" )", ")").replace(" : ", ":")


def _check_depth(text: str) -> None:
    """Refuse text that nests brackets without end."""
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth > _MAX_DEPTH:
            raise FormulaError(f"A formula may nest at most {_MAX_DEPTH} brackets.")


def _scan(text: str) -> Iterator[Token]:
    """Yield tokens from left to right."""
    position = 0
    while position < len(text):
        blank = _SPACE.match(text, position)
        if blank:
            position = blank.end()
            continue
        token, position = _next_token(text, position)
        yield token


def _next_token(text: str, start: int) -> tuple[Token, int]:
    """Read the token that begins at a position; return it and where it ends."""
    character = text[start]
    if character in "()":
        return Token("open" if character == "(" else "close", character, character), start + 1
    if character == "`":
        end = _end_of_quote(text, start)
        return _name(text[start + 1 : end - 1]), end
    if character in "{[\"'":
        return _fragment(text, start, start)
    name = _NAME.match(text, start)
    if name:
        if name.end() < len(text) and text[name.end()] in "([\"'":
            return _fragment(text, start, name.end())
        return _name(name[0]), name.end()
    for kind, pattern in (("number", _NUMBER), ("operator", _OPERATOR)):
        match = pattern.match(text, start)
        if match:
            return Token(kind, match[0], match[0]), match.end()  # type: ignore[arg-type]
    raise FormulaError(
        f"{character!r} means nothing in a formula (at character {start + 1} of {text[:60]!r}). "
        "Use + - * / : ^ ~ | and brackets; put unusual column names in backticks."
    )


def _name(name: str) -> Token:
    """Make the token of a column name."""
    if not name.strip():
        raise FormulaError("Backticks must hold the name of a column, but there is nothing.")
    return Token("name", name, name if _NAME.fullmatch(name) else f"`{name}`")


def _end_of_quote(text: str, start: int) -> int:
    """Return the position after the quote or backtick that closes the one at `start`."""
    position = start + 1
    while position < len(text):
        if text[position] == "\\" and text[start] != "`":
            position += 1
        elif text[position] == text[start]:
            return position + 1
        position += 1
    raise FormulaError(
        f"A formula opens {text[start]!r} and does not close it: {text[start:][:40]!r}."
    )


def _fragment(text: str, start: int, first_bracket: int) -> tuple[Token, int]:
    """Read a Python fragment: a call, or what stands in braces, with all that hangs on it."""
    end = first_bracket
    while end < len(text) and text[end] in "([{\"'":
        end = _end_of_bracket(text, end) if text[end] in _CLOSERS else _end_of_quote(text, end)
        hanging = re.compile(r"[\w.]*").match(text, end)
        end = hanging.end() if hanging else end
    shown = text[start:end]
    inside = shown[1:-1] if shown.startswith("{") and shown.endswith("}") else shown
    source, quoted = _stand_ins(inside)
    return Token("fragment", source, shown, quoted), end


def _end_of_bracket(text: str, start: int) -> int:
    """Return the position after the bracket that closes the one at `start`."""
    waiting = [_CLOSERS[text[start]]]
    position = start + 1
    while position < len(text) and waiting:
        character = text[position]
        if character in "\"'`":
            position = _end_of_quote(text, position)
            continue
        if character in _CLOSERS:
            waiting.append(_CLOSERS[character])
        elif character in _CLOSERS.values() and character != waiting.pop():
            break
        position += 1
    else:
        if not waiting:
            return position
    raise FormulaError(f"Brackets do not match in the formula at {text[start:][:40]!r}.")


def _stand_ins(source: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Replace backtick names in a fragment by identifiers."""
    parts: list[str] = []
    quoted: list[tuple[str, str]] = []
    word = _unused_word(source)
    position = 0
    while position < len(source):
        character = source[position]
        end = _end_of_quote(source, position) if character in "\"'`" else position + 1
        piece = source[position:end]
        if character == "`":
            if re.search(r"\w$", source[:position]) or re.match(r"[\w`]", source[end:]):
                raise FormulaError(
                    f"The backtick name {piece!r} runs into what stands next to it in "
                    f"{source[:60]!r}. Put an operator or a comma between them."
                )
            stand_in = f"{word}_quoted_{len(quoted)}_"
            quoted.append((stand_in, piece[1:-1]))
            piece = stand_in
        parts.append(piece)
        position = end
    return "".join(parts), tuple(quoted)


def _unused_word(text: str) -> str:
    """Return a word for inner names that the text does not hold, in whatever letters."""
    plain = unicodedata.normalize("NFKC", text)  # as Python reads identifiers
    word = "pmsstats"
    while word in plain:
        word += "x"
    return word


@dataclass(frozen=True, eq=False)
class RightHandSide:
    """A checked right-hand side.

    Parameters
    ----------
    text : str
        Its canonical spelling.
    terms : tuple of tuple of str
        Expressions multiplied in each term; ``("1",)`` is the intercept.
    variables : tuple of str
        The columns that it uses, in order of appearance.
    aliases : mapping
        Column name and whether it is used through ``C()``, to the identifier it is evaluated
        under.
    fragments : mapping
        Evaluated text to fragment.
    labels : mapping
        Evaluated text of a fragment to its display.
    """

    text: str
    terms: tuple[tuple[str, ...], ...]
    variables: tuple[str, ...]
    aliases: Mapping[tuple[str, bool], str]
    fragments: Mapping[str, Fragment]
    labels: Mapping[str, str]

    @property
    def has_intercept(self) -> bool:
        """Whether there is an intercept."""
        return ("1",) in self.terms

    def formula(self) -> SimpleFormula:
        """Return formulaic's form of the terms: aliases and checked fragments only."""
        return SimpleFormula([Term([self._factor(e) for e in term]) for term in self.terms])

    def ordered_terms(self) -> tuple[tuple[str, ...], ...]:
        """Return the terms in the order in which formulaic makes their columns."""
        return _ordered_terms(self)

    def _factor(self, expression: str) -> Factor:
        """Return formulaic's form of one expression."""
        method = "python" if expression in self.fragments else "lookup"
        return Factor(expression, eval_method="literal" if expression == "1" else method)

    def display(self, name: str) -> str:
        """Turn the name of a design column back to the user's words.

        Parameters
        ----------
        name : str
            As formulaic made it, with aliases.

        Returns
        -------
        str
            For example ``"year:phenotype[T.PPMS]"``.
        """
        for evaluated, shown in self.labels.items():
            name = name.replace(evaluated, shown)
        for (column, _), alias in self.aliases.items():
            name = name.replace(alias, column)
        return name

    def term_names(self) -> tuple[str, ...]:
        """Return the terms in the user's words, ``"1"`` for the intercept."""
        return tuple(":".join(self.display(e) for e in term) for term in self.terms)


@lru_cache(maxsize=256)
def _ordered_terms(rhs: RightHandSide) -> tuple[tuple[str, ...], ...]:
    """Read the order of the terms off formulaic's form of them; it costs more than the columns."""
    return tuple(tuple(factor.expr for factor in term.factors) for term in rhs.formula())


class _Compiler:
    """Turns the tokens of one right-hand side to stand-ins, and remembers what they stand for."""

    def __init__(self, text: str) -> None:
        self.word = _unused_word(text)
        self.aliases: dict[tuple[str, bool], str] = {}
        self.variables: dict[str, None] = {}
        self.fragments: dict[str, Fragment] = {}
        self.labels: dict[str, str] = {}
        self.stand_ins: dict[str, str] = {}

    def alias(self, name: str, is_factor: bool) -> str:
        """Return the identifier under which a column is evaluated."""
        kind = "factor" if is_factor else "column"
        self.variables[name] = None
        new = f"{self.word}_{kind}_{len(self.aliases)}_"
        return self.aliases.setdefault((name, is_factor), new)

    def stand_in(self, token: Token) -> str:
        """Return what formulaic's parser gets to see of a token."""
        if token.kind == "name":
            evaluated = self.alias(token.text, False)
        elif token.kind == "fragment":
            evaluated = self._checked(token)
        else:
            return token.text
        self.stand_ins.setdefault(evaluated, f"p{len(self.stand_ins)}_")
        return self.stand_ins[evaluated]

    def _checked(self, token: Token) -> str:
        """Check a fragment; return the text that will be evaluated."""
        fragment = check_fragment(token.text, quoted=dict(token.quoted), alias=self.alias)
        self.fragments[fragment.text] = fragment
        label = fragment.text
        for (column, _), alias in self.aliases.items():
            label = label.replace(alias, _name(column).shown)
        self.labels[fragment.text] = label
        return fragment.text


@lru_cache(maxsize=256)
def compile_rhs(text: str) -> RightHandSide:
    """Check the right-hand side of a formula and multiply out its operators.

    Parameters
    ----------
    text : str
        For example ``"year * phenotype + age_years"``, without a tilde and without random terms.

    Returns
    -------
    RightHandSide
        Its terms and the columns it needs.

    Raises
    ------
    FormulaError
        If it does not parse, holds anything outside of the allow-list, or grows without bounds.
    """
    tokens = tokenize(text)
    if not tokens:
        raise FormulaError("A formula needs at least one term; write 1 for an intercept alone.")
    _check_tokens(tokens)
    canonical = join_tokens(tokens)
    compiler = _Compiler(canonical)
    visible = " ".join(compiler.stand_in(token) for token in tokens)
    meaning = {stand_in: evaluated for evaluated, stand_in in compiler.stand_ins.items()}
    terms = tuple(
        tuple(meaning.get(factor.expr, factor.expr) for factor in term.factors)
        for term in _expand(visible, text)
    )
    return RightHandSide(
        text=canonical,
        terms=terms,
        variables=tuple(compiler.variables),
        aliases=compiler.aliases,
        fragments=compiler.fragments,
        labels=compiler.labels,
    )


def _check_tokens(tokens: list[Token]) -> None:
    """Refuse numbers that are neither 0, 1 nor a small power, and operators out of place."""
    previous = ""
    for i, token in enumerate(tokens):
        is_power = previous in _POWERS
        if is_power and not _is_small_power(token):
            raise FormulaError(
                f"A power in a formula must be a whole number from 1 to {_MAX_POWER}, got "
                f"{token.shown[:20]!r}. For the square of a column write {{year**2}}."
            )
        if is_power and i + 1 < len(tokens) and tokens[i + 1].text in _POWERS:
            raise FormulaError(
                "A power in a formula has one whole number as its exponent, got "
                f"{token.text} {tokens[i + 1].text}. Put brackets around the first power."
            )
        if token.text == previous == "*":  # without blanks they would be read as a power
            raise FormulaError(
                "A formula has * twice in a row. Write a * b for main effects with their "
                "interaction, (a + b)**2 for a power."
            )
        if token.kind == "number" and not is_power and token.text not in {"0", "1"}:
            raise FormulaError(
                f"Numbers in a formula are 0 and 1 (no intercept, intercept) and powers, got "
                f"{token.shown[:20]!r}."
            )
        if token.kind == "operator" and token.text in {"|", "||", "~"}:
            raise FormulaError(
                f"{token.text!r} is out of place. Random terms stand in brackets, as in "
                "(year | subject_id), and ~ stands once, after the outcome."
            )
        previous = token.text if token.kind == "operator" else ""


def _is_small_power(token: Token) -> bool:
    """Say whether a token is one digit that a power may have as its exponent."""
    return token.kind == "number" and token.text in {str(k) for k in range(1, _MAX_POWER + 1)}


def _expand(visible: str, text: str) -> list[Term]:
    """Multiply out the operators between stand-ins, after bounding what that would give."""
    parser = DefaultFormulaParser(feature_flags=set())
    try:
        tree = parser.get_ast(visible)
        if _count_terms(tree) > _MAX_TERMS:
            raise FormulaError(
                f"The formula {text[:60]!r} would have over {_MAX_TERMS} terms. Write out those "
                "that you need."
            )
        terms = list(parser.get_terms(visible))
    except FormulaicError as exc:
        raise FormulaError(
            f"The formula {text[:60]!r} does not parse. Check its operators and brackets, and put "
            "unusual column names in backticks."
        ) from exc
    if any(len(term.factors) > _MAX_FACTORS for term in terms):
        raise FormulaError(f"An interaction may have at most {_MAX_FACTORS} parts: {text[:60]!r}.")
    if not terms:
        raise FormulaError(f"The formula {text[:60]!r} has no term left.")
    return terms


def _count_terms(node: ASTNode[Any] | FormulaicToken | None) -> int:
    """Bound the number of terms of a parsed formula from above, without making them."""
    if not isinstance(node, ASTNode):
        return 1
    counts = [_count_terms(arg) for arg in node.args]
    if len(counts) == 1:
        return counts[0]
    left, right = counts
    symbol = node.operator.symbol
    if symbol in _POWERS:
        return int(min(float(left) ** int(str(node.args[1])), 1e9))
    products = {"*": left + right + left * right, ":": left * right}
    return products.get(symbol, left + right)
