"""One request, given either as a spec or as columns with options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from pmsstats.errors import DesignError, nearest

__all__ = ["as_spec"]

Spec = TypeVar("Spec")


def as_spec(kind: type[Spec], asked: Any, options: Mapping[str, Any]) -> Spec:
    """Return the spec that was given, or make one from columns and options.

    Parameters
    ----------
    kind : type
        Class of the spec; its first field holds the columns.
    asked : object
        A spec, or the value of the first field. Where that is a tuple of columns, one column or
        any sequence of them will do.
    options : mapping of str to object
        Other fields.

    Returns
    -------
    object
        Of class `kind`.

    Raises
    ------
    DesignError
        If options are given beside a spec, name no field, or one that has no default is missing.
    """
    known = fields(kind)  # type: ignore[arg-type]
    names, first = [field.name for field in known], known[0]
    if isinstance(asked, kind):
        if options:
            raise DesignError(
                f"{', '.join(f'`{name}`' for name in options)} cannot be given beside the "
                f"{kind.__name__}, which says it all. Change that, as in "
                f"dataclasses.replace(spec, {next(iter(options))}=...)."
            )
        return asked
    for name in options:
        if name not in names[1:]:
            raise DesignError(
                f"`{name}` is no option; they are {', '.join(names[1:])}.{nearest(name, names[1:])}"
            )
    for field in known[1:]:
        if field.default is MISSING and field.name not in options:
            raise DesignError(f"`{field.name}` must be given, or a {kind.__name__}.")
    if first.type == "tuple[str, ...]":
        asked = (asked,) if isinstance(asked, str) else tuple(asked)
    return kind(**{first.name: asked, **options})
