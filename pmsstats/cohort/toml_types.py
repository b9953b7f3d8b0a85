"""Check TOML against the types of a frozen dataclass, and say in plain words what does not fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from pmsstats.errors import DesignError, SchemaError, nearest

__all__ = ["NO_OTHER_KEYS", "check_toml", "raise_problems"]

NO_OTHER_KEYS = ConfigDict(extra="forbid")
"""As ``__pydantic_config__`` of a dataclass: a key of the file that is no field is a problem."""

_Kind = TypeVar("_Kind")
_WANTED = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "mapping_type": 'a table, as in {key = "value"}',
    "dict_type": 'a table, as in {key = "value"}',
    "dataclass_type": 'text in quotes, or a table such as {path = "..."} or {column = "..."}',
    "tuple_type": 'a list, as in ["a", "b"]',
}


def check_toml(
    kind: type[_Kind], content: Mapping[str, Any], *, source: str
) -> tuple[_Kind | None, list[str]]:
    """Build a dataclass from TOML.

    Parameters
    ----------
    kind : type
        A dataclass, whose field types say what is allowed.
    content : mapping
        The TOML.
    source : str
        Name of the file, for messages.

    Returns
    -------
    value : dataclass or None
        None if anything is wrong.
    problems : list of str
        One sentence or two for each thing that is wrong: where, what was expected, what was
        found, and the nearest name that would be accepted.
    """
    try:
        return TypeAdapter(kind).validate_python(dict(content)), []
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
        return None, [_describe(kind, error, source) for error in errors]


def raise_problems(problems: Sequence[str], source: str) -> None:
    """Raise one error that lists all problems, if there are any.

    Parameters
    ----------
    problems : sequence of str
        One paragraph each; repeats are dropped.
    source : str
        Name of the file they are in.

    Raises
    ------
    SchemaError
        If there is any problem.
    """
    distinct = list(dict.fromkeys(problems))
    if len(distinct) == 1:
        raise SchemaError(distinct[0])
    if distinct:
        listed = "\n".join(f"- {problem}" for problem in distinct)
        raise SchemaError(f"{source} has {len(distinct)} problems:\n{listed}")


def _describe(kind: Any, error: Mapping[str, Any], source: str) -> str:
    """Say one pydantic error in the words of a TOML file."""
    *parents, key = [part for part in error["loc"] if part != "[key]"] or [""]
    where = f"{_heading(parents)} in {source}" if parents else source
    found = error.get("input")
    match error["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            known = _known_keys(kind, parents)
            return f"{where} has no key {key!r}.{nearest(key, known)} Known: {', '.join(known)}."
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            return f"{where} needs `{key}`."
        case "literal_error":
            options = _literal_options(error)
            listed = " or ".join(f'"{option}"' for option in options)
            return (
                f"`{key}` of {where} must be {listed}, got {found!r}.{nearest(str(found), options)}"
            )
        case "value_error" if isinstance(error["ctx"]["error"], DesignError):
            place = _heading([*parents, key]) if key != "" else ""
            return f"{place + ' in ' if place else ''}{source}: {error['ctx']['error']}"
        case "value_error":
            return f"`{key}` of {where} {error['ctx']['error']}, got {found!r}."
    wanted = _WANTED.get(error["type"], error["msg"])
    return f"`{key}` of {where} must be {wanted}, got {found!r}."


def _heading(parts: Sequence[str | int]) -> str:
    """Write the place of a key as TOML does; the items of a list are counted from 1."""
    if len(parts) > 1 and isinstance(parts[1], int):
        inside = "".join(f".{part}" for part in parts[2:])
        return f"[[{parts[0]}]] number {parts[1] + 1}{inside}"
    return f"[{'.'.join(map(str, parts))}]"


def _literal_options(error: Mapping[str, Any]) -> list[str]:
    """Return the values that a literal allows."""
    text = error["ctx"]["expected"].replace(" or ", ", ")
    return [option.strip().strip("'") for option in text.split("', ")]


def _known_keys(kind: Any, parents: Sequence[str | int]) -> list[str]:
    """Walk down the types to the dataclass at a place, and list its fields."""
    for name in parents:
        kind = _child(kind, name)
    return [field.name for field in dataclasses.fields(kind)]


def _child(kind: Any, name: str | int) -> Any:
    """Return the type of what stands under a key."""
    if dataclasses.is_dataclass(kind):
        return get_type_hints(kind)[str(name)]
    origin = get_origin(kind)
    if origin is tuple:
        return get_args(kind)[0]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return get_args(kind)[1]
    return kind
