"""Python fragments of a formula, checked against an allow-list before anything evaluates them."""

from __future__ import annotations

import ast
import math
import unicodedata
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from pmsstats.errors import FormulaError, nearest
from pmsstats.models.formulas.splines import natural_spline

__all__ = ["TRANSFORMS", "Fragment", "check_fragment", "transform_functions"]

_MAX_NODES = 200
_MAX_EXPONENT = 10
_MAX_CONSTANT = 1e12
_MAX_COUNT = 50  # degrees of freedom, knots, degree of a polynomial
_CONTRASTS = ("treatment", "sum")


@dataclass(frozen=True)
class _Rule:
    """What a transform may be called with.

    Parameters
    ----------
    options : tuple of str
        Its options, in the order in which they may stand without their names.
    is_basis : bool
        Whether it gives several columns, so that nothing may be done with them afterwards.
    function : callable, optional
        None where formulaic brings it.
    """

    options: tuple[str, ...] = ()
    is_basis: bool = False
    function: Callable[..., Any] | None = None


_SPLINE = ("df", "knots")
TRANSFORMS: Mapping[str, _Rule] = {
    "log": _Rule(),
    "log1p": _Rule(function=np.log1p),
    "log10": _Rule(),
    "log2": _Rule(),
    "exp": _Rule(),
    "sqrt": _Rule(function=np.sqrt),
    "I": _Rule(),
    "center": _Rule(),
    "scale": _Rule(options=("center", "scale", "ddof")),
    "poly": _Rule(options=("degree", "raw"), is_basis=True),
    "bs": _Rule(
        options=(*_SPLINE, "degree", "include_intercept", "lower_bound", "upper_bound"),
        is_basis=True,
    ),
    "ns": _Rule(
        options=(*_SPLINE, "include_intercept", "lower_bound", "upper_bound"),
        is_basis=True,
        function=natural_spline,
    ),
    "cr": _Rule(options=(*_SPLINE, "lower_bound", "upper_bound"), is_basis=True),
    "cs": _Rule(options=(*_SPLINE, "lower_bound", "upper_bound"), is_basis=True),
    "cc": _Rule(options=(*_SPLINE, "lower_bound", "upper_bound"), is_basis=True),
    "C": _Rule(is_basis=True),
}
"""Every function that a formula may call."""

_FACTOR = ": for a factor write C(column)"
_OFFSET = (
    ": the time at risk of counts is given as `exposure=` (a column), and no part of the formula"
)
_INSTEAD = {
    **dict.fromkeys(("factor", "as_factor", "categorical", "category"), _FACTOR),
    "offset": _OFFSET,
    "ln": ": the natural logarithm is log()",
    "s": ": for a smooth curve write ns(column, df=3)",
    "rcs": ": for a restricted cubic spline write ns(column, df=3)",
    "relevel": ': for another reference write C(column, contr.treatment("level"))',
}
"""What to write for functions of other languages."""

_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)


@dataclass(frozen=True)
class Fragment:
    """A checked fragment.

    Parameters
    ----------
    text : str
        What will be evaluated: written anew from the checked tree, with columns under aliases.
    variables : tuple of str
        Columns that it uses, by their own names.
    factors : tuple of str
        Those among them that it turns to factors with ``C()``.
    n_columns : int
        An upper bound on the columns that it makes of numbers.
    is_basis : bool
        Whether it may give several columns.
    """

    text: str
    variables: tuple[str, ...]
    factors: tuple[str, ...]
    n_columns: int
    is_basis: bool


def transform_functions() -> dict[str, Callable[..., Any]]:
    """Return the transforms that formulaic does not bring itself."""
    return {name: rule.function for name, rule in TRANSFORMS.items() if rule.function is not None}


def check_fragment(
    source: str,
    *,
    quoted: Mapping[str, str],
    alias: Callable[[str, bool], str],
) -> Fragment:
    """Check one Python fragment of a formula, and write it anew.

    Parameters
    ----------
    source : str
        The fragment, backtick names replaced by the keys of `quoted`.
    quoted : mapping
        Stand-in identifier to column name.
    alias : callable
        Takes a column name, and whether it is used as a factor; returns the identifier under
        which it will be evaluated.

    Returns
    -------
    Fragment
        Its canonical text and the columns it needs.

    Raises
    ------
    FormulaError
        If it is anything but columns, numbers, arithmetic and the allowed transforms.
    """
    return _Checker(source, quoted, alias).check()


class _Checker:
    """One walk over one fragment: every kind of node that is not named here is refused."""

    def __init__(
        self, source: str, quoted: Mapping[str, str], alias: Callable[[str, bool], str]
    ) -> None:
        self.source = source
        self.quoted = quoted
        self.alias = alias
        self.variables: dict[str, None] = {}
        self.factors: dict[str, None] = {}
        self.n_columns = 1
        self.is_basis = False

    def refuse(self, why: str) -> NoReturn:
        """Raise, naming the fragment and what is allowed."""
        shown = self.source
        for stand_in, name in self.quoted.items():
            shown = shown.replace(stand_in, f"`{name}`")
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        raise FormulaError(
            f"A formula may hold columns, numbers, + - * / ** and these transforms: "
            f"{', '.join(TRANSFORMS)}. It holds {shown!r}: {why}. Nothing was evaluated."
        )

    def check(self) -> Fragment:
        """Parse, walk and write anew."""
        tree = self._parse()
        if sum(1 for _ in ast.walk(tree)) > _MAX_NODES:
            self.refuse("it is too long; make a column of it")
        checked = self._top(tree.body)
        if not self.variables:
            self.refuse("it uses no column")
        return Fragment(
            text=ast.unparse(ast.fix_missing_locations(checked)),
            variables=tuple(self.variables),
            factors=tuple(self.factors),
            n_columns=self.n_columns,
            is_basis=self.is_basis,
        )

    def _parse(self) -> ast.Expression:
        """Parse as one Python expression."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self.source.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            is_factor = self.source.strip().startswith("as.factor(")
            self.refuse(f"that is no expression{_FACTOR if is_factor else ''}")

    def _top(self, node: ast.expr) -> ast.expr:
        """Check the whole fragment: here, and only here, several columns may come out."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            rule = TRANSFORMS.get(node.func.id)
            if rule is not None and rule.is_basis:
                self.is_basis = True
                is_factor = node.func.id == "C"
                return self._factor(node) if is_factor else self._call(node, node.func.id, rule)
        return self._expression(node)

    def _expression(self, node: ast.expr) -> ast.expr:
        """Check a numeric expression."""
        if isinstance(node, ast.Name):
            return self._column(node, is_factor=False)
        if isinstance(node, ast.Constant):
            return self._number(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
            return ast.UnaryOp(op=node.op, operand=self._expression(node.operand))
        if isinstance(node, ast.BinOp):
            return self._arithmetic(node)
        if not isinstance(node, ast.Call):
            self.refuse(f"{_describe(node)} is not allowed")
        return self._nested_call(node)

    def _column(self, node: ast.Name, *, is_factor: bool) -> ast.Name:
        """Check a name that must be a column, and replace it by its alias."""
        name = self.quoted.get(node.id, node.id)
        if node.id not in self.quoted:
            if not name.isascii() or unicodedata.normalize("NFKC", name) != name:
                self.refuse(f"put the column {name!r} in backticks")
            if name.startswith("__"):
                self.refuse(f"{name!r} is not allowed; put it in backticks if it is a column")
        self.variables[name] = None
        if is_factor:
            self.factors[name] = None
        return ast.Name(id=self.alias(name, is_factor), ctx=ast.Load())

    def _number(self, node: ast.Constant) -> ast.Constant:
        """Check a number."""
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(f"{_describe(node)} is not allowed")
        if not abs(value) <= _MAX_CONSTANT:  # nor is a missing number
            self.refuse(f"the number {str(value)[:20]} is too large")
        return ast.Constant(value=value)

    def _arithmetic(self, node: ast.BinOp) -> ast.BinOp:
        """Check a sum, product, quotient or power."""
        if isinstance(node.op, ast.Pow):
            return self._power(node)
        if isinstance(node.op, ast.BitXor):
            self.refuse(f"a power is written **: {ast.unparse(node).replace(' ^ ', '**')[:60]}")
        if not isinstance(node.op, _ARITHMETIC):
            self.refuse(f"the operator of {ast.unparse(node)[:40]!r} is not allowed")
        return ast.BinOp(
            left=self._expression(node.left), op=node.op, right=self._expression(node.right)
        )

    def _power(self, node: ast.BinOp) -> ast.BinOp:
        """Check a power: of a column, to a small constant."""
        exponent = node.right
        if isinstance(exponent, ast.UnaryOp) and isinstance(exponent.op, ast.USub):
            exponent = exponent.operand
        if not isinstance(exponent, ast.Constant):
            self.refuse("an exponent must be a number")
        if abs(self._number(exponent).value) > _MAX_EXPONENT:  # type: ignore[operator]
            self.refuse(f"an exponent may be at most {_MAX_EXPONENT}")
        if not any(isinstance(part, ast.Name) for part in ast.walk(node.left)):
            self.refuse("only columns may be raised to a power")
        return ast.BinOp(left=self._expression(node.left), op=node.op, right=node.right)

    def _nested_call(self, node: ast.Call) -> ast.Call:
        """Check a call inside an expression: one column in, one column out."""
        if not isinstance(node.func, ast.Name):
            self.refuse(f"{_describe(node.func)} cannot be called")
        rule = TRANSFORMS.get(node.func.id)
        if rule is None:
            advice = _INSTEAD.get(node.func.id.lower()) or nearest(node.func.id, TRANSFORMS)
            self.refuse(f"{node.func.id!r} is no allowed transform{advice}")
        if rule.is_basis:
            self.refuse(f"{node.func.id}() gives several columns, so it must stand alone")
        return self._call(node, node.func.id, rule)

    def _call(self, node: ast.Call, name: str, rule: _Rule) -> ast.Call:
        """Check the arguments of a transform."""
        if not node.args:
            self.refuse(f"{name}() needs a column")
        if len(node.args) - 1 > len(rule.options):
            self.refuse(f"{name}() takes at most {1 + len(rule.options)} argument(s)")
        given = list(zip(rule.options, node.args[1:], strict=False))
        for keyword in node.keywords:
            if keyword.arg not in rule.options:
                listed = ", ".join(rule.options) or "no options"
                self.refuse(f"{name}() has no option {keyword.arg!r}; it takes {listed}")
            given.append((keyword.arg, keyword.value))
        for option, value in given:
            self._option(name, option, value)
        return ast.Call(
            func=ast.Name(id=name, ctx=ast.Load()),
            args=[self._expression(node.args[0]), *node.args[1:]],
            keywords=node.keywords,
        )

    def _option(self, name: str, option: str, node: ast.expr) -> None:
        """Check the value of an option: numbers and True or False, written out."""
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            self.refuse(f"`{option}` of {name}() must be a number, written out")
        values = list(value) if isinstance(value, list | tuple) else [value]
        numbers = [v for v in values if isinstance(v, int | float)]
        if len(numbers) != len(values) or not all(abs(v) <= _MAX_CONSTANT for v in numbers):
            self.refuse(f"`{option}` of {name}() must be a number or a list of numbers")
        count = max([len(values), *(abs(v) for v in numbers if option in {"df", "degree"})])
        if count > _MAX_COUNT:
            self.refuse(f"`{option}` of {name}() may be at most {_MAX_COUNT}")
        if option in {"df", "degree", "knots"}:
            self.n_columns += math.ceil(count)

    def _factor(self, node: ast.Call) -> ast.Call:
        """Check ``C(column)`` or ``C(column, contr.treatment(...))``."""
        if not node.args or not isinstance(node.args[0], ast.Name) or len(node.args) > 2:
            self.refuse("C() takes a column, and optionally contr.treatment(...) or contr.sum()")
        if node.keywords:
            self.refuse("C() takes no options by name")
        column = self._column(node.args[0], is_factor=True)
        return ast.Call(
            func=ast.Name(id="C", ctx=ast.Load()),
            args=[column, *(self._contrast(c) for c in node.args[1:])],
            keywords=[],
        )

    def _contrast(self, node: ast.expr) -> ast.Call:
        """Check ``contr.treatment("level")`` or ``contr.sum()``."""
        if not (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "contr"
            and node.func.attr in _CONTRASTS
        ):
            self.refuse("contrasts are contr.treatment(...) or contr.sum()")
        options = [*node.args, *(keyword.value for keyword in node.keywords)]
        named = all(keyword.arg == "base" for keyword in node.keywords)
        if len(options) > (node.func.attr == "treatment") or not named:
            self.refuse('write contr.treatment("reference level") or contr.sum()')
        if any(not _is_label(option) for option in options):
            self.refuse("the reference level must be a text in quotes or a number")
        return ast.Call(func=node.func, args=options, keywords=[])


def _is_label(node: ast.expr) -> bool:
    """Say whether a node is a plain text or number."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str | int | float)


def _describe(node: ast.AST) -> str:
    """Name a kind of Python syntax in plain words."""
    words = {
        "Attribute": "an attribute (a dot)",
        "Subscript": "a subscript",
        "Lambda": "a lambda",
        "JoinedStr": "a formatted text",
        "Compare": "a comparison",
        "Constant": "a text or constant in this place",
        "Starred": "an asterisk argument",
    }
    kind = type(node).__name__
    return words.get(kind, f"Python syntax of the kind {kind!r}")
