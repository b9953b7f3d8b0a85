"""Definitions changed from others: they do not bear the other's words."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pmsstats.errors import DesignError, nearest

if TYPE_CHECKING:
    from pmsstats.endpoints.definitions.composite_rule import CompositeRule
    from pmsstats.endpoints.definitions.progression_rule import ProgressionRule

__all__ = ["definition_name", "honest_words", "modified_rule"]

_WORDS = frozenset({"name", "label", "absence_label", "citation", "note"})

AnyNamed = TypeVar("AnyNamed", bound="ProgressionRule | CompositeRule")


def modified_rule(rule: AnyNamed, changes: dict[str, Any]) -> AnyNamed:
    """Change a definition, and say that it was changed.

    Parameters
    ----------
    rule : ProgressionRule or CompositeRule
        The original.
    changes : dict
        Fields with their new values; words (name, label, citation, note) among them are kept.

    Returns
    -------
    ProgressionRule or CompositeRule
        Its name ends in ``_modified``; it has no label and no citation of its own, but a note of
        where it comes from. The original if nothing changes.

    Raises
    ------
    DesignError
        If there is no such field, or the changed fields contradict each other.
    """
    names = [f.name for f in fields(rule)]
    for name in changes:
        if name not in names:
            raise DesignError(
                f"{type(rule).__name__} {rule.name!r} has no field {name!r} to modify."
                f"{nearest(name, names)} It has: {', '.join(names)}."
            )
    if not changes:
        return rule
    source = f" (source of that: {rule.citation.rstrip('.')})" if rule.citation else ""
    fresh: dict[str, Any] = {
        "name": f"{rule.name}_modified",
        "note": f"Modified from the definition {rule.name}{source}.",
    }
    fresh |= {word: "" for word in ("label", "absence_label", "citation") if hasattr(rule, word)}
    return replace(rule, **{**fresh, **changes})


def definition_name(rule: Any) -> str:
    """Return the name under which a result may cite a definition.

    Parameters
    ----------
    rule : rule
        Of any kind.

    Returns
    -------
    str
        Its name; ``"cdp12_modified"`` for a rule that is called ``"cdp12"`` and is another one.
    """
    return str(honest_words(rule).name)


def honest_words(rule: AnyNamed) -> AnyNamed:
    """Take the words of a preset off a definition that has its name and is another one.

    Parameters
    ----------
    rule : ProgressionRule or CompositeRule
        Perhaps a preset whose fields were replaced while its label and citation stayed.

    Returns
    -------
    ProgressionRule or CompositeRule
        With the words of a modified definition, as far as they are still the preset's; the same
        object if nothing was changed.
    """
    from pmsstats.endpoints.definitions.presets import PRESETS

    original = PRESETS.get(rule.name)
    if type(original) is not type(rule) or original is rule:
        return rule
    if not any(getattr(rule, n) == getattr(original, n) != "" for n in ("label", "citation")):
        return rule  # a definition of one's own that happens to have the name
    names = [f.name for f in fields(rule)]
    if all(getattr(rule, n) == getattr(original, n) for n in names if n not in _WORDS):
        return rule
    own = {
        n: getattr(rule, n)
        for n in names
        if n in _WORDS and getattr(rule, n) not in ("", getattr(original, n))
    }
    changed = {n: getattr(rule, n) for n in names if n not in _WORDS}
    return modified_rule(original, {**changed, **own})  # type: ignore[return-value]
