"""Sample size and power for a difference of slopes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.power.arms import arm_sizes, smallest_arms
from pmsstats.power.by_precision import check_asked, effect_to_find
from pmsstats.power.effects import TreatmentEffect, resolve_effect
from pmsstats.power.expected_fit import check_sizes
from pmsstats.power.result import PowerResult
from pmsstats.power.schedule import VisitSchedule
from pmsstats.power.slope_design import Sizes, SlopeDesign, SlopeDf, SlopeMethod
from pmsstats.power.slope_variance import SlopeModel, Working
from pmsstats.power.solving import (
    check_choice,
    check_effect,
    check_rates,
    power_curve,
    solve_continuous,
    solve_n,
)

__all__ = ["power_slope", "sample_size_slope"]

SlopeTarget = Literal["n", "effect", "duration", "n_scans"]
Kept = Literal["n_scans", "interval"]
Arms = SlopeModel | tuple[SlopeModel, SlopeModel]
Retention = Sequence[float] | Sequence[Sequence[float]]

_REFERENCES = {
    "gls": "Zhao Y, Edland SD. Power formulas for mixed effects models with random slope and "
    "intercept comparing rate of change across groups. Int J Biostat 2022;18:173-182.",
    "hu_mackey_thomas": "Hu N, Mackey H, Thomas R. Power and sample size for random coefficient "
    "regression models in randomized experiments with monotone missing data. Biom J "
    "2021;63:806-824.",
    "edland": "Ard MC, Edland SD. Power calculations for clinical trials in Alzheimer's disease. "
    "J Alzheimers Dis 2011;26 Suppl 3:369-377.",
    "diggle": "Diggle PJ, Heagerty P, Liang KY, Zeger SL. Analysis of longitudinal data. 2nd ed. "
    "Oxford University Press, 2002, section 2.4.",
    "liu_liang": "Liu G, Liang KY. Sample size calculations for studies with correlated "
    "observations. Biometrics 1997;53:937-947. doi:10.2307/2533554.",
}
_LONGEST = 30.0  # years: no trial of a slope lasts longer
_SHORTEST = 1 / 52
_MOST_SCANS = 60
_GRID = 240  # durations tried before the crossing is refined
_ARMS = ("reference", "treated")


def power_slope(
    *,
    n: int | tuple[int, int],
    schedule: VisitSchedule,
    model: Arms,
    effect: float | None = None,
    slowing: float | None = None,
    rate: float | None = None,
    ageing_rate: float | None = None,
    method: SlopeMethod = "gls",
    dropout: float | tuple[float, float] = 0.0,
    retention: Retention | None = None,
    working: Working = "true",
    df: SlopeDf | None = None,
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
    unit: str = "units of the outcome",
) -> PowerResult:
    """Say how likely a trial is to find a difference of slopes.

    Parameters
    ----------
    n : int or pair of int
        Subjects randomised, in both arms or per arm, reference first.
    schedule : VisitSchedule
        Planned visits.
    model : SlopeModel or pair of SlopeModel
        Variances, the same in both arms or per arm, reference first.
    effect : float, optional
        Difference of slopes, treated minus reference, in units of the outcome per year.
    slowing : float, optional
        Instead: share of change that treatment prevents, 0 to 1; needs `rate`.
    rate : float, optional
        Mean slope of the reference arm, in units per year.
    ageing_rate : float, optional
        Mean slope of healthy people; then `slowing` is of the excess over it.
    method : str, default "gls"
        ``"gls"``: mixed model with random slopes and a mean at baseline per arm, dropout averaged
        over; ``"hu_mackey_thomas"``: the same with one mean at baseline for both arms;
        ``"edland"``: test of subjects' own least-squares slopes; ``"two_scans"``: of the change
        from first to last scan; ``"diggle"``: known covariance, complete data; ``"liu_liang"``:
        estimating equation, weighted by `working`.
    dropout : float or pair of float
        Share of those still in the trial that leaves in each year, in both arms or per arm.
    retention : sequence of float, or a pair of such, optional
        Share still seen at each visit instead, in both arms or per arm.
    working : {"true", "independence", "exchangeable"}
        Weights of ``"liu_liang"``.
    df : {"satterthwaite", "subjects", "normal"}, optional
        Test: t with the expected Satterthwaite df (default of the mixed models; with unequal
        variances Welch's for two arms' means), t with two df less than subjects who have a change
        (``"edland"``, ``"two_scans"``), or normal (``"diggle"``, ``"liu_liang"``).
    alpha : float, default 0.05
        Type I error.
    sides : {2, 1}
        Of the test; one-sided tests look in the direction of the effect.
    ratio : float
        Treated per reference subject, where `n` is a total.
    unit : str
        Of the outcome, for display.

    Returns
    -------
    PowerResult
        With standard error, degrees of freedom and shares of completers in its details.

    Raises
    ------
    DesignError
        If arguments contradict each other or are out of range.

    Notes
    -----
    The subject's values are ``a_i + (b + b_i) t + e``. Missing scans are missing at random and for
    good. The difference is judged by its variance at the expected numbers of subjects with each
    pattern of visits.

    References
    ----------
    .. [1] Diggle PJ, Heagerty P, Liang KY, Zeger SL. Analysis of longitudinal data. 2nd ed. Oxford
       University Press, 2002, section 2.4.
    .. [2] Liu G, Liang KY. Sample size calculations for studies with correlated observations.
       Biometrics 1997;53:937-947. doi:10.2307/2533554.
    .. [3] Ard MC, Edland SD. Power calculations for clinical trials in Alzheimer's disease.
       J Alzheimers Dis 2011;26 Suppl 3:369-377.
    .. [4] Hu N, Mackey H, Thomas R. Power and sample size for random coefficient regression models
       in randomized experiments with monotone missing data. Biom J 2021;63:806-824.

    Examples
    --------
    >>> result = power_slope(
    ...     n=100,
    ...     schedule=VisitSchedule.every(months=6, duration=2),
    ...     model=SlopeModel(slope_sd=0.5, residual_sd=0.4),
    ...     slowing=0.5,
    ...     rate=-0.7,
    ...     unit="%",
    ... )
    >>> round(result.power, 3)
    0.871
    """
    given = dict(locals())
    treatment = resolve_effect(effect, slowing, rate, ageing_rate)
    design = _design(given)
    sizes = arm_sizes(n, ratio)
    check_sizes(sizes, design.test)
    power = design.power_of()(sizes, treatment.value)
    return _result(design, treatment, given, sizes=sizes, target="power", value=power)


def sample_size_slope(
    *,
    schedule: VisitSchedule,
    model: Arms,
    power: float = 0.8,
    solve: SlopeTarget = "n",
    n: int | tuple[int, int] | None = None,
    effect: float | None = None,
    slowing: float | None = None,
    rate: float | None = None,
    ageing_rate: float | None = None,
    method: SlopeMethod = "gls",
    dropout: float | tuple[float, float] = 0.0,
    retention: Retention | None = None,
    working: Working = "true",
    df: SlopeDf | None = None,
    keep: Kept = "n_scans",
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
    unit: str = "units of the outcome",
) -> PowerResult:
    """Say what a trial needs to find a difference of slopes with a given power.

    Parameters
    ----------
    schedule : VisitSchedule
        Planned visits. With ``solve="n_scans"`` only its duration counts, and scans are equally
        spaced; with ``solve="duration"`` see `keep`.
    model : SlopeModel or pair of SlopeModel
        Variances, the same in both arms or per arm, reference first.
    power : float, default 0.8
        Wanted.
    solve : {"n", "effect", "duration", "n_scans"}
        What is asked for: subjects; the difference of slopes that is found; the duration, in
        years; the scans of each subject, baseline included.
    n : int or pair of int, optional
        Subjects randomised, needed unless they are asked for.
    effect, slowing, rate, ageing_rate : float, optional
        As in :func:`power_slope`; with ``solve="effect"`` neither `effect` nor `slowing`, and
        `rate` only tells the direction and the share.
    method, dropout, retention, working, df : optional
        As in :func:`power_slope`.
    keep : {"n_scans", "interval"}
        What stays where the duration is asked for: the number of scans, which move apart in
        proportion; or the interval between them, so that a longer trial has more (then the answer
        is the smallest whole number of intervals).
    alpha : float, default 0.05
        Type I error.
    sides : {2, 1}
        Of the test; one-sided tests look in the direction of the effect.
    ratio : float
        Treated per reference subject.
    unit : str
        Of the outcome, for display.

    Returns
    -------
    PowerResult
        `n` are the smallest whole arms in this ratio that reach the power.

    Raises
    ------
    DesignError
        If arguments contradict each other or are out of range, or nothing reaches the power: an
        effect of zero, or more scans or years where subjects' slopes differ too much.

    Examples
    --------
    >>> plan = dict(model=SlopeModel(slope_sd=0.5, residual_sd=0.4), slowing=0.5, rate=-0.7)
    >>> half_yearly = VisitSchedule.every(months=6, duration=2)
    >>> sample_size_slope(schedule=half_yearly, **plan).n
    (42, 42)
    >>> sample_size_slope(schedule=half_yearly, solve="n_scans", n=84, **plan).value
    5.0
    """
    given = dict(locals())
    check_choice("solve", solve, get_args(SlopeTarget))
    check_rates(alpha, power, sides)
    check_choice("keep", keep, get_args(Kept))
    check_asked(given, asks_power="power_slope")
    design = _design(given)
    if solve == "effect":
        return _solve_effect(design, given)
    treatment = resolve_effect(effect, slowing, rate, ageing_rate)
    check_effect(treatment.value, "effect" if slowing is None else "slowing")
    if solve == "n":
        return _solve_n(design, treatment, given)
    if retention is not None:
        raise DesignError(
            f"`retention` belongs to given visits, so that solve={solve!r} cannot move them. Give "
            "`dropout`, the share that leaves in each year."
        )
    return (_solve_duration if solve == "duration" else _solve_scans)(design, treatment, given)


def _design(given: dict[str, Any]) -> SlopeDesign:
    """Gather what the precision depends on."""
    model, schedule = given["model"], given["schedule"]
    models = tuple(model) if isinstance(model, tuple | list) else (model, model)
    if len(models) != 2 or not all(isinstance(part, SlopeModel) for part in models):
        raise DesignError(
            f"`model` must be a SlopeModel, or one per arm (reference first), got {model!r}."
        )
    if not isinstance(schedule, VisitSchedule):
        raise DesignError(
            f"`schedule` must be a VisitSchedule, got {schedule!r}. For example "
            "VisitSchedule.every(months=6, duration=2)."
        )
    names = ("method", "dropout", "retention", "working", "df", "alpha", "sides", "ratio")
    return SlopeDesign(schedule=schedule, models=models, **{name: given[name] for name in names})


# --- what is asked for ----------------------------------------------------------------------


def _solve_n(design: SlopeDesign, treatment: TreatmentEffect, given: dict[str, Any]) -> PowerResult:
    """Find the subjects."""
    power_of = design.power_of()
    total = solve_n(lambda n: power_of(design.split(n), treatment.value), given["power"])
    sizes = smallest_arms(
        lambda n: power_of(n, treatment.value), total, given["power"], design.ratio
    )
    return _result(design, treatment, given, sizes=sizes, target="n", value=total)


def _solve_effect(design: SlopeDesign, given: dict[str, Any]) -> PowerResult:
    """Find the difference of slopes."""
    sizes = arm_sizes(given["n"], design.ratio)
    check_sizes(sizes, design.test)
    power_of = design.power_of()
    std_error = math.sqrt(design.precision(sizes)[0])
    treatment = effect_to_find(
        lambda effect: power_of(sizes, effect),
        std_error,
        power=given["power"],
        rate=given["rate"],
        ageing_rate=given["ageing_rate"],
    )
    return _result(design, treatment, given, sizes=sizes, target="effect", value=treatment.value)


def _solve_duration(
    design: SlopeDesign, treatment: TreatmentEffect, given: dict[str, Any]
) -> PowerResult:
    """Find the shortest duration."""
    sizes = arm_sizes(given["n"], design.ratio)
    check_sizes(sizes, design.test)

    def at(schedule: VisitSchedule) -> float:
        return design.with_schedule(schedule).power_of()(sizes, treatment.value)

    if given["keep"] == "interval":
        best = _first_interval(design, at, given["power"])
        value = best.duration
    else:
        value = _first_crossing(lambda t: at(design.schedule.stretched(t)), given["power"])
        best = design.schedule.stretched(value)
    longer = design.with_schedule(best)
    return _result(longer, treatment, given, sizes=sizes, target="duration", value=value)


def _first_interval(design: SlopeDesign, at: Any, target: float) -> VisitSchedule:
    """Return the first schedule with the same interval that reaches the power."""
    interval = design.schedule.interval
    if interval is None:
        raise DesignError(
            f"keep='interval' needs equally spaced visits, got {design.schedule.years!r}. Use "
            "keep='n_scans', which moves them apart in proportion."
        )
    most = min(math.floor(_LONGEST / interval + 1e-9), _MOST_SCANS - 1)
    powers = []
    for steps in range(1, most + 1):
        schedule = VisitSchedule(years=tuple(k * interval for k in range(steps + 1)))
        powers.append(at(schedule))
        if powers[-1] >= target:
            return schedule
    raise _too_little("duration", f"up to {most * interval:g} years", max(powers), target)


def _first_crossing(at: Any, target: float) -> float:
    """Return the shortest duration that gives a power; with dropout it may fall again later."""
    grid = np.geomspace(_SHORTEST, _LONGEST, _GRID)
    powers = []
    for earlier, later in itertools.pairwise(grid):
        powers.append(at(later))
        if powers[-1] >= target:
            return solve_continuous(at, target, (float(earlier), float(later)), name="duration")
    raise _too_little("duration", f"up to {_LONGEST:g} years", max(powers), target)


def _solve_scans(
    design: SlopeDesign, treatment: TreatmentEffect, given: dict[str, Any]
) -> PowerResult:
    """Find the fewest scans."""
    sizes = arm_sizes(given["n"], design.ratio)
    check_sizes(sizes, design.test)
    power, duration = 0.0, design.schedule.duration
    for n_scans in range(2, _MOST_SCANS + 1):
        schedule = VisitSchedule.equally_spaced(n_scans=n_scans, duration=duration)
        denser = design.with_schedule(schedule)
        power = max(power, denser.power_of()(sizes, treatment.value))
        if power >= given["power"]:
            return _result(
                denser, treatment, given, sizes=sizes, target="n_scans", value=float(n_scans)
            )
    raise _too_little("n_scans", f"up to {_MOST_SCANS} scans", power, given["power"])


def _too_little(name: str, where: str, best: float, target: float) -> DesignError:
    """Say that nothing reaches the power."""
    return DesignError(
        f"No `{name}` {where} gives `power={target!r}`: the most is {best:.4g}, because subjects' "
        "slopes differ or too many leave. Give more subjects or a larger effect."
    )


# --- the answer -----------------------------------------------------------------------------


def _result(
    design: SlopeDesign,
    treatment: TreatmentEffect,
    given: dict[str, Any],
    *,
    sizes: tuple[int, int],
    target: str,
    value: float,
) -> PowerResult:
    """Gather the answer."""
    power_of = design.power_of()
    total = sum(sizes)
    part = sizes[1] / total

    def at(n: float, effect: float) -> float:
        shares: Sizes = (n * (1 - part), n * part)
        return power_of(shares, effect)

    unit = given["unit"]
    words = design.words(unit, sizes)
    if treatment.words:
        words = f"{words[:-1]}, {treatment.words}."
    return PowerResult(
        method=f"slope_{design.method}",
        solved_for=target,
        value=value,
        n=sizes,
        power=power_of(sizes, treatment.value),
        alpha=design.alpha,
        sides=design.sides,
        effect=treatment.value,
        effect_unit=f"{unit} per year",
        assumptions=words,
        inputs=tuple(given.items()),
        details=_details(design, treatment, sizes, unit),
        curve=power_curve(at, n_total=total, effect=treatment.value),
        references=tuple(text for name, text in _REFERENCES.items() if name == design.method),
    )


def _details(
    design: SlopeDesign, treatment: TreatmentEffect, sizes: tuple[int, int], unit: str
) -> tuple[tuple[str, float, str], ...]:
    """Gather further quantities."""
    variance, df = design.precision(sizes)
    slowing = treatment.slowing_of(treatment.value)
    completing = (retention[-1] for retention in design.retentions)
    return (
        ("std_error", math.sqrt(variance), f"{unit} per year"),
        ("df", df, ""),
        ("duration", design.schedule.duration, "years"),
        ("n_scans", float(design.schedule.n_scans), "scans"),
        *((f"completing_{arm}", s, "share") for arm, s in zip(_ARMS, completing, strict=True)),
        *((("slowing", slowing, "share"),) if slowing is not None else ()),
    )
