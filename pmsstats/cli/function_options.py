"""Options of the command line from functions: their arguments, docstrings and defaults."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, get_args, get_origin

import click

__all__ = ["FLOATS", "as_options", "option_kinds", "option_texts", "options_of"]


class Numbers(click.ParamType):
    """One number, or several with commas between them.

    Parameters
    ----------
    kind : type
        Of each.
    are_several : bool
        Whether one number is a tuple too.
    """

    name = "number"

    def __init__(self, kind: type = float, *, are_several: bool = False) -> None:
        self.kind, self.are_several = kind, are_several

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Read text; one number stays a number, several are a tuple."""
        if not isinstance(value, str):
            return value
        try:
            numbers = tuple(self.kind(part) for part in value.split(","))
        except ValueError:
            number = "whole number" if self.kind is int else "number"
            self.fail(f"{value!r} is no {number}, and no list such as 1,2.", param, ctx)
        return numbers[0] if len(numbers) == 1 and not self.are_several else numbers


FLOATS, WHOLE, SEVERAL = Numbers(), Numbers(int), Numbers(are_several=True)

_KINDS = {
    "float": FLOATS, "int": WHOLE, "str": click.STRING, "bool": click.BOOL, "tuple": SEVERAL,
    "Sequence": FLOATS, "Retention": FLOATS,
}  # fmt: skip


def option_kinds(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the arguments of a function that the command line can offer.

    Parameters
    ----------
    function : callable
        A function or class; its annotations say what each argument is.

    Returns
    -------
    dict of str to click.ParamType
        Kind by argument, in their order. Arguments that are objects of ours are left out.
    """
    names = vars(inspect.getmodule(function))
    kinds = {
        name: _kind(str(parameter.annotation), names)
        for name, parameter in inspect.signature(function).parameters.items()
    }
    return {name: kind for name, kind in (kinds | _choices(function)).items() if kind is not None}


def options_of(
    function: Callable[..., Any], kinds: Mapping[str, Any], texts: Mapping[str, str]
) -> list[click.Option]:
    """Make options.

    Parameters
    ----------
    function : callable
        Whose defaults the help shows.
    kinds : mapping of str to click.ParamType
        Kind by argument.
    texts : mapping of str to str
        Help by argument.

    Returns
    -------
    list of click.Option
        An argument ``n_scans`` is ``--n-scans``; what is not given is None.
    """
    arguments = inspect.signature(function).parameters
    return [
        click.Option(
            [f"--{name.replace('_', '-')}", name],
            type=kind,
            help=f"{texts.get(name, '')}{_default(arguments.get(name))}",
        )
        for name, kind in kinds.items()
    ]


def _kind(annotation: str, names: Mapping[str, Any]) -> Any:
    """Return the kind of an option from the annotation of its argument; None: not offered."""
    first = annotation.split("|", maxsplit=1)[0].split("[", maxsplit=1)[0].strip()
    if get_origin(names.get(first)) is Literal:
        return click.Choice(get_args(names[first]))
    return _KINDS.get(first)


def _choices(function: Callable[..., Any]) -> dict[str, click.Choice[str]]:
    """Return the words that an argument may be, where its docstring lists them."""
    listed = re.findall(r"^(\w+) : \{(.*?)\}", inspect.cleandoc(function.__doc__ or ""), re.M)
    words = {name: re.findall(r'"(\w+)"', text) for name, text in listed}
    return {name: click.Choice(options) for name, options in words.items() if options}


def option_texts(function: Callable[..., Any], offered: Collection[str]) -> dict[str, str]:
    """Return the first sentence that a function's docstring gives to each argument.

    Parameters
    ----------
    function : callable
        A function or class.
    offered : collection of str
        Arguments that are options: where a text names them, it does so as options.

    Returns
    -------
    dict of str to str
        Text by argument, without marks of references.
    """
    texts: dict[str, str] = {}
    section = inspect.cleandoc(function.__doc__ or "").partition("Parameters\n----------\n")[2]
    names: list[str] = []
    for line in section.splitlines():
        if line.startswith("---") or not line.strip():
            break
        if not line.startswith(" "):
            names = [name.strip() for name in line.partition(" : ")[0].split(",")]
            continue
        for name in names:
            texts.setdefault(name, "")
            texts[name] = f"{texts[name]} {line.strip()}".strip()
    return {
        name: re.sub(r" ?\[\d+\]_", "", _named(text, offered)).partition(". ")[0].rstrip(".") + "."
        for name, text in texts.items()
        if not text.startswith("See ") and ":func:" not in text.partition(";")[0]
    }


def _named(text: str, arguments: Collection[str]) -> str:
    """Write arguments in a docstring, with or without a value, as the options that they are."""

    def option(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name not in arguments:
            return found.group()
        return f"--{name.replace('_', '-')}" + (f" {value}" if value else "")

    return re.sub(r"`+(\w+)(?:=\"(\w+)\")?`+", option, text).replace("`", "")


def _default(parameter: inspect.Parameter | None) -> str:
    """Return a remark on the value that an argument has if it is not given."""
    value = None if parameter is None else parameter.default
    if value in (None, "", inspect.Parameter.empty):
        return ""
    words = ("no", "yes")[value] if isinstance(value, bool) else value
    if isinstance(words, tuple):
        words = ",".join(f"{part:g}" for part in words)
    return f"  [default: {words:g}]" if isinstance(words, float) else f"  [default: {words}]"


def as_options(message: str, given: Collection[str]) -> str:
    """Write the names of arguments in a message as the options that they are.

    Parameters
    ----------
    message : str
        With names between backticks.
    given : collection of str
        Arguments that are options.

    Returns
    -------
    str
        The message.
    """

    def option(found: re.Match[str]) -> str:
        name, tail = found.groups()
        return f"`--{name.replace('_', '-')}{tail}`" if name in given else found.group()

    return re.sub(r"`(\w+)((?:=[^`]*)?)`", option, message)
