"""What a treatment is expected to do: as a difference, or as a share by which change is slowed."""

from __future__ import annotations

from dataclasses import dataclass

from pmsstats.errors import DesignError
from pmsstats.power.solving import check_real

__all__ = ["TreatmentEffect", "resolve_effect"]


@dataclass(frozen=True, kw_only=True)
class TreatmentEffect:
    """A treatment effect, and how it was come by.

    Parameters
    ----------
    value : float
        Treated minus reference, in the unit of the rate (or of the outcome).
    words : str
        Says it for a reader, for example ``"50 % slowing of the excess over healthy ageing"``;
        empty where the difference itself was given.
    scale : float, optional
        What a slowing is a share of: the rate, or its excess over healthy ageing.
    """

    value: float
    words: str = ""
    scale: float | None = None

    def slowing_of(self, effect: float) -> float | None:
        """Return an effect as a share of the same scale; None where there is none.

        Parameters
        ----------
        effect : float
            Treated minus reference.
        """
        return None if self.scale is None else -effect / self.scale


def resolve_effect(
    effect: float | None = None,
    slowing: float | None = None,
    rate: float | None = None,
    ageing_rate: float | None = None,
) -> TreatmentEffect:
    """Turn a slowing into a difference between arms.

    Parameters
    ----------
    effect : float, optional
        Treated minus reference, as it is.
    slowing : float, optional
        Share of change that treatment prevents, from 0 to 1: of the total, or of the excess over
        healthy ageing where `ageing_rate` is given. Needs `rate`.
    rate : float, optional
        Change in the reference arm, per year or as the design says.
    ageing_rate : float, optional
        The same change in healthy people of that age.

    Returns
    -------
    TreatmentEffect
        ``-slowing * rate``, or ``-slowing * (rate - ageing_rate)``.

    Raises
    ------
    DesignError
        If not exactly one of `effect` and `slowing` is given, `slowing` is no share or has no
        rate, the rate is zero or less than that of ageing, or a number is not finite.

    Notes
    -----
    Where healthy people lose 0.3 % a year and patients 0.6 %, a treatment that stops the disease
    but not ageing slows the total by half: 50 % of the total is 100 % of the excess. Trials that
    count on more than the excess count on more than can be had.

    Examples
    --------
    >>> resolve_effect(slowing=0.5, rate=-0.6).value
    0.3
    >>> resolve_effect(slowing=0.5, rate=-0.6, ageing_rate=-0.3).value
    0.15
    """
    if (effect is None) == (slowing is None):
        raise DesignError(
            "Give either `effect` (treated minus reference) or `slowing` (a share of the rate), "
            f"got effect={effect!r} and slowing={slowing!r}."
        )
    if slowing is None:
        given = check_real("effect", effect)  # type: ignore[arg-type]
        return TreatmentEffect(value=given, scale=_scale(rate, ageing_rate))
    _check_share(slowing)
    scale = _scale(rate, ageing_rate)
    if scale is None:
        raise DesignError(
            f"`slowing={slowing!r}` is a share of a rate, but `rate` was not given. Give the "
            "change of the reference arm, or the difference itself as `effect`."
        )
    of = "the total change" if ageing_rate is None else "the excess over healthy ageing"
    return TreatmentEffect(
        value=-slowing * scale + 0.0, words=f"{100 * slowing:g} % slowing of {of}", scale=scale
    )


def _check_share(slowing: float) -> None:
    """Refuse a slowing outside 0 to 1, with a word on percent."""
    share = check_real("slowing", slowing)
    if not 0 <= share <= 1:
        advice = f" If you mean {share:g} %, write {share / 100:g}." if share > 1 else ""
        raise DesignError(
            f"`slowing` must be a share from 0 to 1, got {slowing!r}.{advice} For a treatment that "
            "hastens change give the difference as `effect`."
        )


def _scale(rate: float | None, ageing_rate: float | None) -> float | None:
    """Return what a slowing is a share of."""
    if rate is None:
        if ageing_rate is not None:
            raise DesignError(
                f"`ageing_rate={ageing_rate!r}` needs `rate`, the change in the reference arm."
            )
        return None
    total = check_real("rate", rate)
    if ageing_rate is None:
        if total == 0:
            raise DesignError(f"`rate={rate!r}`: where nothing changes, nothing can be slowed.")
        return total
    excess = total - check_real("ageing_rate", ageing_rate)
    if excess * total <= 0:
        raise DesignError(
            f"`rate={rate!r}` does not exceed `ageing_rate={ageing_rate!r}` in its own direction, "
            "so that there is no excess over healthy ageing to slow."
        )
    return excess
