"""Power and sample size of a log-rank test: Schoenfeld, Freedman, Lakatos."""

from __future__ import annotations

import math
from functools import lru_cache

from pmsstats.errors import DesignError
from pmsstats.power.arms import arm_sizes, smallest_arms, split_arms
from pmsstats.power.lakatos import ArmCourse, average_log_hazard_ratio
from pmsstats.power.log_rank_trial import LogRankTrial, make_trial
from pmsstats.power.piecewise import PiecewiseHazard
from pmsstats.power.result import PowerResult, years_words
from pmsstats.power.solving import (
    check_choice,
    check_rates,
    check_solved,
    power_curve,
    solve_continuous,
    solve_n,
)

__all__ = ["power_log_rank", "sample_size_log_rank"]

_SMALLEST = 4.0  # subjects
_LONGEST = 100.0  # years of follow-up that are considered
_STRONGEST = math.log(1e-3)
_REFERENCES = {
    "schoenfeld": "Schoenfeld D. Biometrika 1981;68:316-319. doi:10.1093/biomet/68.1.316",
    "freedman": "Freedman LS. Stat Med 1982;1:121-129. doi:10.1002/sim.4780010204",
    "lakatos": "Lakatos E. Biometrics 1988;44:229-241. doi:10.2307/2531910",
}


def power_log_rank(
    *,
    n: int | tuple[int, int],
    hazard: float | PiecewiseHazard,
    hazard_ratio: float | PiecewiseHazard,
    follow_up: float,
    accrual: float = 0.0,
    accrual_weights: tuple[float, ...] = (1.0,),
    delay: float = 0.0,
    off_treatment: float = 0.0,
    drop_in: float = 0.0,
    method: str = "lakatos",
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
    dropout: float | tuple[float, float] = 0.0,
) -> PowerResult:
    """Return the power of a log-rank test, as of the time to confirmed progression.

    Parameters
    ----------
    n : int or pair of int
        Subjects randomised in both arms together, or per arm, reference first.
    hazard : float or PiecewiseHazard
        Events per subject-year of the reference arm. ``PiecewiseHazard.from_share(0.3, years=2)``
        gives that with which 30 % progress within two years.
    hazard_ratio : float or PiecewiseHazard
        Treated over reference; below 1 favours treatment. May change with time since
        randomisation for ``method="lakatos"``.
    follow_up : float
        Years from the entry of the last subject to the analysis; the first are followed for
        `accrual` years longer.
    accrual : float, default 0
        Years from the first entry to the last.
    accrual_weights : tuple of float, default (1.0,)
        Relative numbers that enter in equally long parts of it.
    delay : float, default 0
        Years after randomisation until the effect sets in; before, the ratio is 1.
    off_treatment : float, default 0
        Share per year of treated subjects who stop: from then on they have the hazard of the
        reference arm, and are analysed as randomised.
    drop_in : float, default 0
        Share per year of reference subjects who take treatment up, treated in the same way.
    method : {"lakatos", "schoenfeld", "freedman"}
        The last two need one hazard ratio throughout [1]_ [2]_; the first does not [3]_.
    alpha : float, default 0.05
        Type I error.
    sides : {2, 1}
        Of the test; one-sided tests look in the direction of the effect.
    ratio : float, default 1
        Treated per reference subject, where `n` is a total.
    dropout : float or pair of float, default 0
        Share lost per year, censored, with a constant hazard.

    Returns
    -------
    PowerResult
        ``solved_for="power"``; details have events, their share, and the average hazard ratio.

    Raises
    ------
    DesignError
        If an argument is out of range, or the method cannot do it.

    Notes
    -----
    With d events and k treated per reference subject, the statistic has mean
    ``sqrt(d k) ln(HR) / (1 + k)`` (Schoenfeld) or ``sqrt(d k) (HR - 1) / (1 + k HR)`` (Freedman);
    for Lakatos see :func:`pmsstats.power.lakatos.log_rank_drift`.

    References
    ----------
    .. [1] Schoenfeld D. The asymptotic properties of nonparametric tests for comparing survival
       distributions. Biometrika 1981;68:316-319. doi:10.1093/biomet/68.1.316
    .. [2] Freedman LS. Tables of the number of patients required in clinical trials using the
       logrank test. Stat Med 1982;1:121-129. doi:10.1002/sim.4780010204
    .. [3] Lakatos E. Sample sizes based on the log-rank statistic in complex clinical trials.
       Biometrics 1988;44:229-241. doi:10.2307/2531910

    Examples
    --------
    >>> found = power_log_rank(n=600, hazard=0.18, hazard_ratio=0.7, follow_up=2.5, accrual=1.0)
    >>> round(found.power, 3)
    0.748
    """
    inputs = tuple(locals().items())
    design = make_trial(
        hazard=hazard,
        hazard_ratio=hazard_ratio,
        follow_up=follow_up,
        accrual=accrual,
        accrual_weights=accrual_weights,
        delay=delay,
        off_treatment=off_treatment,
        drop_in=drop_in,
        method=method,
        alpha=alpha,
        sides=sides,
        ratio=ratio,
        dropout=dropout,
    )
    arms = arm_sizes(n, ratio)
    power = design.power(design.trial.arms(), arms)
    return _result(design, arms, solved_for="power", value=power, inputs=inputs)


def sample_size_log_rank(
    *,
    hazard: float | PiecewiseHazard,
    hazard_ratio: float | PiecewiseHazard | None = None,
    follow_up: float | None = None,
    power: float = 0.8,
    solve: str = "n",
    n: int | tuple[int, int] | None = None,
    accrual: float = 0.0,
    accrual_weights: tuple[float, ...] = (1.0,),
    delay: float = 0.0,
    off_treatment: float = 0.0,
    drop_in: float = 0.0,
    method: str = "lakatos",
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
    dropout: float | tuple[float, float] = 0.0,
) -> PowerResult:
    """Return the subjects, the hazard ratio or the follow-up that gives a log-rank test its power.

    Parameters
    ----------
    hazard : float or PiecewiseHazard
        Events per subject-year of the reference arm.
    hazard_ratio : float or PiecewiseHazard, optional
        Treated over reference; none with ``solve="effect"``.
    follow_up : float, optional
        Years from the entry of the last subject to the analysis; none with ``solve="duration"``.
    power : float, default 0.8
        Wanted; above `alpha`.
    solve : {"n", "effect", "duration"}
        Subjects; the hazard ratio below 1; or `follow_up`.
    n : int or pair of int, optional
        Subjects randomised, for the last two.
    accrual, accrual_weights, delay, off_treatment, drop_in : optional
        See :func:`power_log_rank`.
    method, alpha, sides, ratio, dropout : optional
        See :func:`power_log_rank`.

    Returns
    -------
    PowerResult
        ``value`` is the number before rounding, the log hazard ratio, or years.

    Raises
    ------
    DesignError
        If there is no effect (no number will do), the power is not above `alpha` or is not
        reached, or an argument is missing or out of range.

    Notes
    -----
    See :func:`power_log_rank`.

    References
    ----------
    .. [1] Lakatos E. Sample sizes based on the log-rank statistic in complex clinical trials.
       Biometrics 1988;44:229-241. doi:10.2307/2531910

    Examples
    --------
    >>> found = sample_size_log_rank(
    ...     hazard=0.18, hazard_ratio=0.7, follow_up=2.5, accrual=1.0, power=0.9
    ... )
    >>> found.n
    (457, 457)
    """
    inputs = tuple(locals().items())
    check_choice("solve", solve, ("n", "effect", "duration"))
    check_rates(alpha, power, sides)
    needed = {"n": n, "hazard_ratio": hazard_ratio, "follow_up": follow_up}
    asked = {"n": "n", "effect": "hazard_ratio", "duration": "follow_up"}[solve]
    check_solved(solve, sought={asked: needed.pop(asked)}, needed=needed)
    design = make_trial(
        hazard=hazard,
        hazard_ratio=math.exp(-1.0) if hazard_ratio is None else hazard_ratio,
        follow_up=0.0 if follow_up is None else follow_up,
        accrual=accrual,
        accrual_weights=accrual_weights,
        delay=delay,
        off_treatment=off_treatment,
        drop_in=drop_in,
        method=method,
        alpha=alpha,
        sides=sides,
        ratio=ratio,
        dropout=dropout,
    )
    solver = {"n": _solve_n, "effect": _solve_effect, "duration": _solve_duration}[solve]
    solved, arms, value = solver(design, n, power)
    return _result(solved, arms, solved_for=solve, value=value, inputs=inputs)


_Solved = tuple[LogRankTrial, tuple[int, int], float]


def _check_sets_in(design: LogRankTrial) -> None:
    """Refuse an effect that sets in after the trial."""
    trial = design.trial
    if trial.ratio.breaks and trial.ratio.rates[0] == 1 and trial.ratio.breaks[0] >= trial.duration:
        raise DesignError(
            "`delay`: no number of subjects will do, and no effect is large enough, because the "
            f"hazard ratio is 1 until {years_words(trial.ratio.breaks[0])} after randomisation, "
            f"and even the first subject is followed for {years_words(trial.duration)} only. Give "
            "a longer `follow_up` or `accrual`, or a shorter `delay`."
        )


def _solve_n(design: LogRankTrial, n: object, power: float) -> _Solved:
    """Find the subjects."""
    del n
    _check_sets_in(design)
    courses = design.trial.arms()
    if abs(design.drift(courses, (1.0, design.ratio))) < 1e-12:
        raise DesignError(
            "`hazard_ratio`: no number of subjects will do, because on average there is no "
            f"difference to find, with ratios of {design.trial.ratio.rates!r}. Give the smallest "
            "effect that the trial must not miss, or a longer `follow_up`."
        )
    total = solve_n(
        lambda size: design.power(courses, split_arms(size, design.ratio)), power, low=_SMALLEST
    )
    arms = smallest_arms(lambda pair: design.power(courses, pair), total, power, design.ratio)
    return design, arms, total


def _solve_effect(design: LogRankTrial, n: int | tuple[int, int], power: float) -> _Solved:
    """Find the hazard ratio below 1."""
    _check_sets_in(design)
    arms = arm_sizes(n, design.ratio)

    def power_of(size: float) -> float:
        scaled = design.scaled(size)
        return scaled.power(scaled.trial.arms(), arms)

    # With a ratio of exp(-1), the size is that of the log hazard ratio.
    size = solve_continuous(power_of, power, (1e-6, -_STRONGEST), name="effect")
    return design.scaled(size), arms, -size


def _solve_duration(design: LogRankTrial, n: int | tuple[int, int], power: float) -> _Solved:
    """Find the follow-up of the last subject."""
    arms = arm_sizes(n, design.ratio)

    def power_of(years: float) -> float:
        return design.power(design.after(years).trial.arms(), arms)

    shortest = 0.0 if design.trial.accrual.years > 0 else 1e-6
    if power_of(shortest) >= power:
        return design.after(shortest), arms, shortest
    years = solve_continuous(power_of, power, (shortest, _LONGEST), name="follow_up")
    return design.after(years), arms, years


def _result(
    design: LogRankTrial,
    arms: tuple[int, int],
    *,
    solved_for: str,
    value: float,
    inputs: tuple[tuple[str, object], ...],
) -> PowerResult:
    """Gather an answer."""
    courses = design.trial.arms()
    constant = design.trial.ratio.is_constant and not (
        design.trial.off_treatment or design.trial.drop_in
    )
    effect = (
        math.log(design.trial.ratio.rates[0])
        if constant
        else average_log_hazard_ratio(courses, arms)
    )

    sought = value if solved_for == "effect" else None

    @lru_cache(maxsize=8)
    def course_of(size: float) -> tuple[LogRankTrial, tuple[ArmCourse, ArmCourse]]:
        scaled = design.scaled(size)
        return scaled, scaled.trial.arms()

    def power_of(n: float, at: float) -> float:
        scaled, expected = course_of(at / effect if effect else 1.0)
        return scaled.power(expected, split_arms(n, arms[1] / arms[0]))

    return PowerResult(
        method=f"log-rank test, {design.method.title()}",
        solved_for=solved_for,
        value=value,
        n=arms,
        power=design.power(courses, arms),
        alpha=design.alpha,
        sides=design.sides,
        effect=effect,
        effect_unit="log hazard ratio",
        assumptions=design.words(arms),
        inputs=inputs,
        details=_details(design, arms, courses, effect, None if constant else sought),
        curve=power_curve(power_of, n_total=float(sum(arms)), effect=effect, smallest=_SMALLEST),
        references=(_REFERENCES[design.method],),
    )


def _details(
    design: LogRankTrial,
    arms: tuple[int, int],
    courses: tuple[ArmCourse, ArmCourse],
    effect: float,
    sought: float | None,
) -> tuple[tuple[str, float, str], ...]:
    """Return hazard ratios, events, times and the expected statistic."""
    full = "treated over reference, where treatment acts"
    acting = () if sought is None else (("hazard_ratio_in_full", math.exp(sought), full),)
    events = [size * course.events for size, course in zip(arms, courses, strict=True)]
    return (
        ("hazard_ratio", math.exp(effect), "treated over reference, on average"),
        *acting,
        ("n_events", sum(events), "events"),
        ("n_events_reference", events[0], "events"),
        ("n_events_treated", events[1], "events"),
        ("event_share", sum(events) / sum(arms), "events per subject"),
        ("follow_up", design.trial.follow_up, "years after the last entry"),
        ("duration", design.trial.duration, "years from the first entry"),
        ("expected_z", design.drift(courses, arms), "below 0: fewer events of the treated"),
    )
