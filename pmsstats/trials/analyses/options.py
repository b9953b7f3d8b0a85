"""Options of an analysis: looked up by name, refused where unknown."""

from __future__ import annotations

from typing import Any

from pmsstats.errors import DesignError, nearest
from pmsstats.trials.scenario import TrialAnalysis

__all__ = ["COMMON_OPTIONS", "check_choices", "check_options", "choice", "option"]

COMMON_OPTIONS = ("by", "interaction", "pairwise")
"""Options that every method has."""


def option(analysis: TrialAnalysis, name: str, default: Any) -> Any:
    """Return an option of an analysis.

    Parameters
    ----------
    analysis : TrialAnalysis
        With its options.
    name : str
        Which.
    default : object
        What it is where nothing was said.

    Returns
    -------
    object
        Its value.
    """
    return analysis.options.get(name, default)


def choice(analysis: TrialAnalysis, name: str, options: tuple[Any, ...]) -> Any:
    """Return an option that has to be one of some; the first of them by default.

    Parameters
    ----------
    analysis : TrialAnalysis
        With its options.
    name : str
        Which.
    options : tuple
        What it may be.

    Returns
    -------
    object
        Its value.

    Raises
    ------
    DesignError
        If it is something else.
    """
    value = option(analysis, name, options[0])
    if value not in options:
        raise DesignError(
            f"Option `{name}` of analysis {analysis.name!r} must be one of "
            f"{', '.join(map(repr, options))}, got {value!r}."
            f"{nearest(str(value), map(str, options))}"
        )
    return value


def check_options(analysis: TrialAnalysis, *names: str) -> None:
    """Refuse options that a method does not know.

    Parameters
    ----------
    analysis : TrialAnalysis
        With its options.
    *names : str
        Those that the method knows, beside ``by``, ``interaction`` and ``pairwise``.

    Raises
    ------
    DesignError
        If there are others, or `by` is neither ``"arm"`` nor ``"factor"``.
    """
    known = (*names, *COMMON_OPTIONS)
    for name in analysis.options:
        if name not in known:
            raise DesignError(
                f"Analysis {analysis.name!r} by method {analysis.method!r} has no option {name!r}."
                f"{nearest(name, known)} It has: {', '.join(known)}."
            )
    check_choices(analysis)


def check_choices(analysis: TrialAnalysis) -> None:
    """Refuse to compare something else than arms or factors.

    Parameters
    ----------
    analysis : TrialAnalysis
        With its options.

    Raises
    ------
    DesignError
        If `by` is neither ``"arm"`` nor ``"factor"``.
    """
    choice(analysis, "by", ("arm", "factor"))
