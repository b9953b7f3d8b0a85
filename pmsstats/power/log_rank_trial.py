"""What a log-rank design rests on, and its power by each method."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from scipy.special import ndtr, ndtri

from pmsstats.errors import DesignError
from pmsstats.power.lakatos import Accrual, ArmCourse, EventTrial, log_rank_drift, yearly_hazard
from pmsstats.power.piecewise import PiecewiseHazard
from pmsstats.power.result import years_words
from pmsstats.power.solving import check_choice, check_dropout, check_rates, check_real
from pmsstats.power.wording import arms_words, level_words

__all__ = ["LogRankTrial", "hazard_of", "make_trial"]

METHODS = ("schoenfeld", "freedman", "lakatos")


def hazard_of(name: str, value: float | PiecewiseHazard) -> PiecewiseHazard:
    """Return a hazard, or a hazard ratio, as pieces.

    Parameters
    ----------
    name : str
        Of the argument.
    value : float or PiecewiseHazard
        As a caller gave it.

    Returns
    -------
    PiecewiseHazard
        Of one piece, for a number.

    Raises
    ------
    DesignError
        If a number is not above 0, or all pieces are 0.
    """
    if not isinstance(value, PiecewiseHazard):
        return PiecewiseHazard(rates=(check_real(name, value, low=0.0),))
    if not any(value.rates) or (name == "hazard_ratio" and not all(value.rates)):
        raise DesignError(f"`{name}` must be above 0, got {value!r}.")
    return value


@dataclass(frozen=True, kw_only=True)
class LogRankTrial:
    """A log-rank test, waiting for its subjects.

    Parameters
    ----------
    trial : EventTrial
        Course of the arms.
    method : {"schoenfeld", "freedman", "lakatos"}
        Formula.
    alpha : float
        Type I error.
    sides : int
        1 or 2.
    ratio : float
        Treated per reference subject.
    """

    trial: EventTrial
    method: str
    alpha: float
    sides: int
    ratio: float

    def scaled(self, size: float) -> LogRankTrial:
        """Return the trial with log hazard ratios multiplied.

        Parameters
        ----------
        size : float
            1 changes nothing.
        """
        ratio = self.trial.ratio.to_power(size)
        return replace(self, trial=replace(self.trial, ratio=ratio))

    def after(self, follow_up: float) -> LogRankTrial:
        """Return the trial with another follow-up of the last subject.

        Parameters
        ----------
        follow_up : float
            Years.
        """
        return replace(self, trial=replace(self.trial, follow_up=follow_up))

    def drift(self, arms: tuple[ArmCourse, ArmCourse], n: tuple[float, float]) -> float:
        """Return the mean of the statistic, below 0 where the treated have fewer events.

        Parameters
        ----------
        arms : pair of ArmCourse
            Of this trial.
        n : pair of float
            Subjects in each.
        """
        if self.method == "lakatos":
            return log_rank_drift(arms, n)[0]
        k, theta = n[1] / n[0], self.trial.ratio.rates[0]
        events = sum(size * arm.events for size, arm in zip(n, arms, strict=True))
        if self.method == "schoenfeld":
            return math.sqrt(events * k) / (1.0 + k) * math.log(theta)
        return math.sqrt(events * k) * (theta - 1.0) / (1.0 + k * theta)

    def power(self, arms: tuple[ArmCourse, ArmCourse], n: tuple[float, float]) -> float:
        """Return the power, on the side of the effect if the test has one side.

        Parameters
        ----------
        arms : pair of ArmCourse
            Of this trial.
        n : pair of float
            Subjects in each.
        """
        drift = abs(self.drift(arms, n))
        bound = float(ndtri(1.0 - self.alpha / self.sides))
        power = float(ndtr(drift - bound))
        return power + float(ndtr(-drift - bound)) if self.sides == 2 else power

    def words(self, arms: tuple[int, int]) -> str:
        """Return the assumptions, as one sentence.

        Parameters
        ----------
        arms : pair of int
            Subjects randomised, reference first.
        """
        trial = self.trial
        parts = [
            arms_words(self.ratio, arms),
            level_words(self.alpha, self.sides, "log-rank test") + f" ({self.method.title()})",
            f"{_rate_words(trial.hazard)} in the reference arm",
            _ratio_words(trial.ratio),
            _accrual_words(trial),
            _lost_words(trial),
        ]
        return ", ".join(part for part in parts if part) + "."


def _rate_words(hazard: PiecewiseHazard) -> str:
    """Say a hazard."""
    if hazard.is_constant:
        return f"{hazard.rates[0]:.4g} events per subject-year"
    rates = ", ".join(f"{rate:.4g}" for rate in hazard.rates)
    breaks = ", ".join(f"{b:g}" for b in hazard.breaks)
    return f"{rates} events per subject-year (changing at {breaks} years)"


def _ratio_words(ratio: PiecewiseHazard) -> str:
    """Say a hazard ratio."""
    if ratio.is_constant:
        return "hazards in proportion throughout"
    rates = ", ".join(f"{rate:.4g}" for rate in ratio.rates)
    breaks = ", ".join(f"{b:g}" for b in ratio.breaks)
    return f"hazard ratios of {rates} (changing at {breaks} years)"


def _accrual_words(trial: EventTrial) -> str:
    """Say how subjects enter, and how long the last is followed."""
    if trial.accrual.years == 0:
        return f"all followed for {years_words(trial.follow_up)}"
    even = len(set(trial.accrual.weights)) == 1
    return (
        f"{'even' if even else 'uneven'} accrual over {years_words(trial.accrual.years)} with the "
        f"last followed for {years_words(trial.follow_up)}"
    )


def _lost_words(trial: EventTrial) -> str:
    """Say who is lost, stops treatment or takes it up."""
    share = [100.0 * -math.expm1(-hazard) for hazard in trial.lost]
    parts = ["nobody lost"]
    if any(share):
        arms = (
            f"{share[0]:.3g} %"
            if share[0] == share[1]
            else f"{share[0]:.3g} % and {share[1]:.3g} %"
        )
        parts = [f"{arms} lost per year"]
    if trial.off_treatment:
        share_off = -100 * math.expm1(-trial.off_treatment)
        parts.append(f"{share_off:.3g} % of the treated arm per year stop treatment")
    if trial.drop_in:
        share_in = -100 * math.expm1(-trial.drop_in)
        parts.append(f"{share_in:.3g} % of the reference arm per year take it up")
    return " and ".join(parts)


def make_trial(
    *,
    hazard: float | PiecewiseHazard,
    hazard_ratio: float | PiecewiseHazard,
    follow_up: float,
    accrual: float,
    accrual_weights: tuple[float, ...],
    delay: float,
    off_treatment: float,
    drop_in: float,
    method: str,
    alpha: float,
    sides: int,
    ratio: float,
    dropout: float | tuple[float, float],
) -> LogRankTrial:
    """Check arguments and build the trial from them.

    Parameters
    ----------
    hazard, hazard_ratio, follow_up, accrual, accrual_weights, delay : object
        As in :func:`pmsstats.power.log_rank.power_log_rank`.
    off_treatment, drop_in, method, alpha, sides, ratio, dropout : object
        As there.

    Returns
    -------
    LogRankTrial
        Ready for its subjects.

    Raises
    ------
    DesignError
        If an argument is out of range, or the method cannot do it.
    """
    check_choice("method", method, METHODS)
    check_rates(alpha, sides=sides)
    check_real("ratio", ratio, low=0.0)
    effect = _delayed(hazard_of("hazard_ratio", hazard_ratio), delay)
    shares = {"off_treatment": off_treatment, "drop_in": drop_in}
    hazards = {
        name: yearly_hazard(check_real(name, share, low=0.0, high=1.0, ends="[)"))
        for name, share in shares.items()
    }
    if method != "lakatos" and (not effect.is_constant or any(hazards.values())):
        raise DesignError(
            f"`method={method!r}` needs one hazard ratio throughout, but it changes with time, or "
            "subjects change treatment. Use method='lakatos'."
        )
    reference_lost, treated_lost = check_dropout(dropout)
    return LogRankTrial(
        trial=EventTrial(
            hazard=hazard_of("hazard", hazard),
            ratio=effect,
            accrual=Accrual(years=accrual, weights=accrual_weights),
            follow_up=check_real("follow_up", follow_up, low=0.0, ends="[)", unit="years"),
            lost=(yearly_hazard(reference_lost), yearly_hazard(treated_lost)),
            **hazards,
        ),
        method=method,
        alpha=alpha,
        sides=sides,
        ratio=ratio,
    )


def _delayed(ratio: PiecewiseHazard, delay: float) -> PiecewiseHazard:
    """Return hazard ratios that begin after a time without effect."""
    if check_real("delay", delay, low=0.0, ends="[)", unit="years") == 0:
        return ratio
    breaks = (delay, *(delay + b for b in ratio.breaks))
    return PiecewiseHazard(breaks=breaks, rates=(1.0, *ratio.rates))
