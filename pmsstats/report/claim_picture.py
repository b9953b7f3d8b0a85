"""A claim as one line of drawing: estimate with interval, zero, margin, published interval."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

__all__ = ["claim_picture"]

WIDTH, HEIGHT = 220.0, 26.0
_EDGE = 6.0
_MIDDLE = HEIGHT / 2
_ENDS = ("estimate", "conf_low", "conf_high", "published_low", "published_high")


def claim_picture(claim: Any) -> Markup:
    """Draw one claim.

    Parameters
    ----------
    claim : object
        With attributes ``estimate conf_low conf_high margin published_low published_high``,
        numbers that may be missing.

    Returns
    -------
    markupsafe.Markup
        An ``svg`` element hidden from screen readers (its numbers stand beside it as text), in
        the colours of the page: zero as a line, the margin of equivalence and the published
        interval as bands, the estimate as a dot with its interval. Empty without an estimate.
    """
    if not math.isfinite(_number(claim, "estimate")):
        return Markup("")
    margin = _number(claim, "margin")
    ends = [_number(claim, name) for name in _ENDS] + [-margin, margin, 0.0]
    known = [value for value in ends if math.isfinite(value)]
    low, span = min(known), max(known) - min(known) or 1.0

    def place(value: float) -> float:
        return round(_EDGE + (value - low) / span * (WIDTH - 2 * _EDGE), 2)

    parts = [
        _band(place, -margin, margin, "margin"),
        _band(place, *(_number(claim, name) for name in _ENDS[3:]), "published"),
        f'<path class="zero" d="M{place(0.0)} 1V{HEIGHT - 1}"/>',
        _whisker(place, *(_number(claim, name) for name in _ENDS[1:3])),
        f'<circle class="estimate" cx="{place(_number(claim, "estimate"))}" cy="{_MIDDLE}" r="4"/>',
    ]
    box = f'viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" height="{HEIGHT:g}"'
    # Only numbers that were formatted above enter the markup.
    return Markup(f'<svg class="claim" aria-hidden="true" {box}>{"".join(parts)}</svg>')  # noqa: S704


def _number(claim: Any, name: str) -> float:
    """Read a number; not a number where it is missing."""
    value = getattr(claim, name)
    return math.nan if value is None else float(value)


def _band(place: Any, low: float, high: float, css_class: str) -> str:
    """Draw a band, if both ends are known."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    left, width = place(low), max(place(high) - place(low), 1.0)
    return f'<rect class="{css_class}" x="{left}" y="4" width="{width:g}" height="{HEIGHT - 8:g}"/>'


def _whisker(place: Any, low: float, high: float) -> str:
    """Draw an interval, if both ends are known."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f'<path class="interval" d="M{place(low)} {_MIDDLE}H{place(high)}"/>'
