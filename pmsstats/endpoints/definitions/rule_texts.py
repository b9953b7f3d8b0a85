"""What the simple event rules share: their texts, and whole numbers of days."""

from __future__ import annotations

from dataclasses import fields
from html import escape
from typing import Any

import numpy as np

from pmsstats.endpoints.definitions.field_checks import require_text
from pmsstats.errors import DesignError

__all__ = [
    "capital", "check_texts", "definition", "require_whole_days", "rule_html", "short_repr",
]  # fmt: skip


def capital(text: str) -> str:
    """Start with a capital letter and leave the rest as it is.

    Parameters
    ----------
    text : str
        Any.

    Returns
    -------
    str
        The text.
    """
    return text[:1].upper() + text[1:]


def rule_html(title: str, paragraph: str) -> str:
    """Write a definition as HTML, for notebooks.

    Parameters
    ----------
    title : str
        The event in clinical words.
    paragraph : str
        The definition.

    Returns
    -------
    str
        Two paragraphs.
    """
    width = "max-width: 46em"
    return (
        f'<p style="{width}"><strong>{escape(capital(title))}</strong></p>'
        f'<p style="{width}">{escape(paragraph)}</p>'
    )


def short_repr(rule: Any) -> str:
    """Show a rule as the call that makes it, without the fields at their defaults.

    Parameters
    ----------
    rule : dataclass instance
        The rule.

    Returns
    -------
    str
        For example ``ProgressionRule(name='cdp12', ...)``.
    """
    shown = []
    for f in fields(rule):
        default = f.default
        if callable(f.default_factory):
            default = f.default_factory()
        value = getattr(rule, f.name)
        if value != default:
            shown.append(f"{f.name}={value!r}")
    return f"{type(rule).__name__}({', '.join(shown)})"


def definition(rule: Any, text: str) -> str:
    """Add source and note of a rule to its definition.

    Parameters
    ----------
    rule : object
        With ``citation`` and ``note``, which may be empty.
    text : str
        Complete sentences.

    Returns
    -------
    str
        The paragraph.
    """
    source = f"Source: {rule.citation}" if rule.citation else ""
    return " ".join(part for part in (text, source, rule.note) if part)


def check_texts(rule: Any, *optional: str) -> None:
    """Check the name, label, citation and note of a rule.

    Parameters
    ----------
    rule : object
        With these fields.
    *optional : str
        Further fields that hold a text or are empty.

    Raises
    ------
    DesignError
        If one is no text, or the name is empty.
    """
    require_text(rule, "name")
    for field in ("label", "citation", "note", *optional):
        require_text(rule, field, may_be_empty=True)


def require_whole_days(rule: Any, field: str) -> None:
    """Refuse what is no whole number of days of at least 0.

    Parameters
    ----------
    rule : object
        With a ``name`` and the field.
    field : str
        Its name.

    Raises
    ------
    DesignError
        If it is no such number.
    """
    value = getattr(rule, field)
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 0:
        raise DesignError(
            f"`{field}` of rule {rule.name!r} must be a whole number of days of at least 0, got "
            f"{value!r}."
        )
