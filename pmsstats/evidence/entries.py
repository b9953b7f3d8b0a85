"""Build catalogue entries from TOML tables, with messages that name entry and field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pmsstats.errors import SchemaError, nearest

__all__ = ["build_entry", "check_word"]


def build_entry(kind: type, name: str, entry: Mapping[str, Any], **fixed: Any) -> Any:
    """Build a citation, record or finding from its TOML table.

    Parameters
    ----------
    kind : type
        Frozen dataclass to build.
    name : str
        Name of the entry, for messages.
    entry : mapping
        Its table.
    **fixed
        Fields that the table does not hold, or that replace its own.

    Returns
    -------
    object
        Of class `kind`.

    Raises
    ------
    SchemaError
        If the entry has an unknown field, or lacks one.
    """
    known = set(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    for key in entry:
        if key not in known:
            raise SchemaError(
                f"Catalogue entry {name!r} has no field {key!r}.{nearest(key, known)}"
            )
    try:
        return kind(**{**entry, **fixed})
    except TypeError as exc:
        raise SchemaError(f"Catalogue entry {name!r} is incomplete: {exc}.") from exc


def check_word(entry: str, field: str, word: str, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is none of a vocabulary.

    Parameters
    ----------
    entry : str
        What it belongs to, for the message: ``"finding 'x'"``.
    field : str
        Its field.
    word : str
        The word.
    allowed : tuple of str
        The vocabulary.

    Raises
    ------
    SchemaError
        If the word is not in it.
    """
    if word not in allowed:
        raise SchemaError(
            f"`{field}` of {entry} must be one of {', '.join(allowed)}, got {word!r}."
            f"{nearest(str(word), allowed)}"
        )
