"""Whether a field of a rule is a text, a choice, a number, a number of days."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from pmsstats.errors import DesignError, nearest

__all__ = ["as_tuple", "day_pair", "is_number", "require_choice", "require_days", "require_text"]


def is_number(value: object) -> bool:
    """Say whether a value is a real number: no truth value, no text, not NaN.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    bool
        Infinities are numbers.
    """
    kinds = int | float | np.integer | np.floating
    return isinstance(value, kinds) and not isinstance(value, bool) and value == value  # noqa: PLR0124


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Turn nothing, one value or several to a tuple.

    Parameters
    ----------
    value : object
        None is nothing; what is neither a list nor a tuple is one value.

    Returns
    -------
    tuple
        The values.
    """
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def require_text(rule: Any, field: str, *, may_be_empty: bool = False) -> None:
    """Refuse a field that is no text.

    Parameters
    ----------
    rule : object
        With the field.
    field : str
        Its name.
    may_be_empty : bool, default False
        Whether a text without a character will do.

    Raises
    ------
    DesignError
        If it is not such a text.
    """
    value = getattr(rule, field)
    if not isinstance(value, str) or not (may_be_empty or value.strip()):
        raise DesignError(f"`{field}` of a rule must be a text, got {value!r}.")


def require_choice(owner: str, name: str, value: object, allowed: Iterable[str]) -> None:
    """Refuse a value outside of its vocabulary.

    Parameters
    ----------
    owner, name : str
        Of what, for the message.
    value : object
        What was given.
    allowed : iterable of str
        The vocabulary.

    Raises
    ------
    DesignError
        If the value is not in it.
    """
    allowed = tuple(allowed)
    if not isinstance(value, str) or value not in allowed:
        raise DesignError(
            f"`{name}` of {owner} must be one of {', '.join(allowed)}, got {value!r}."
            f"{nearest(str(value), allowed)}"
        )


def require_days(
    owner: str, name: str, value: object, *, whole: bool = False, endless: bool = False
) -> None:
    """Refuse what is no number of days.

    Parameters
    ----------
    owner, name : str
        Of what, for the message.
    value : object
        What was given.
    whole : bool, default False
        Whether only whole numbers will do.
    endless : bool, default False
        Whether infinity will do, too.

    Raises
    ------
    DesignError
        If it is no such number, or below 0.
    """
    kind = isinstance(value, int | np.integer) if whole else (endless or value != np.inf)
    if not (is_number(value) and kind and value >= 0):
        what = "a whole number" if whole else "a number" if endless else "a finite number"
        raise DesignError(f"`{name}` of {owner} must be {what} of at least 0, got {value!r}.")


def day_pair(
    owner: str, name: str, value: Any, *, may_be_open: bool = False
) -> tuple[float | None, float | None]:
    """Return days before and after a visit; one number is taken for the days before.

    Parameters
    ----------
    owner, name : str
        Of what, for the message.
    value : float or pair of float
        Days.
    may_be_open : bool, default False
        Whether an end may be None.

    Returns
    -------
    tuple of float
        Days before, days after.

    Raises
    ------
    DesignError
        If these are no two numbers of at least 0.
    """
    pair = tuple(value) if isinstance(value, list | tuple) else (value, 0)
    good = len(pair) == 2 and all(_is_days(v) or (may_be_open and v is None) for v in pair)
    if not good:
        raise DesignError(
            f"`{name}` of {owner} must be days before and after, two finite numbers of at least 0 "
            f"such as (90, 30), got {value!r}."
        )
    return (pair[0], pair[1])


def _is_days(value: object) -> bool:
    """Say whether a value is a finite number of days."""
    return is_number(value) and 0 <= value < np.inf
