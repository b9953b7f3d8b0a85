"""Sample size and power of a mixed model for repeated measures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.power.arms import arm_sizes, smallest_arms
from pmsstats.power.by_precision import check_asked, effect_to_find
from pmsstats.power.effects import TreatmentEffect, resolve_effect
from pmsstats.power.mmrm_design import BaselineUse, MMRMDesign, MMRMDf
from pmsstats.power.result import PowerResult
from pmsstats.power.schedule import retention_of_arms
from pmsstats.power.solving import check_choice, check_effect, check_rates, power_curve, solve_n
from pmsstats.power.visit_covariance import VisitCovariance

__all__ = ["power_mmrm", "sample_size_mmrm"]

MMRMTarget = Literal["n", "effect"]
Arms = VisitCovariance | tuple[VisitCovariance, VisitCovariance]
Retention = Sequence[float] | Sequence[Sequence[float]]

_LU_LUO_CHEN = (
    "Lu K, Luo X, Chen PY. Sample size estimation for repeated measures analysis in randomized "
    "clinical trials with missing data. Int J Biostat 2008;4(1):9. doi:10.2202/1557-4679.1098."
)


def power_mmrm(
    *,
    n: int | tuple[int, int],
    covariance: Arms,
    effect: float | None = None,
    slowing: float | None = None,
    rate: float | None = None,
    ageing_rate: float | None = None,
    retention: Retention | None = None,
    contrast: Sequence[float] | None = None,
    baseline: BaselineUse = "none",
    df: MMRMDf = "satterthwaite",
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
    unit: str = "units of the outcome",
) -> PowerResult:
    """Say how likely a mixed model for repeated measures is to find a difference.

    Parameters
    ----------
    n : int or pair of int
        Subjects randomised, in both arms or per arm, reference first.
    covariance : VisitCovariance or pair of VisitCovariance
        Of a subject's visits, the same in both arms or per arm, reference first.
    effect : float, optional
        Difference of the contrast (by default of the means at the last visit), treated minus
        reference, in units of the outcome.
    slowing : float, optional
        Instead: share of change that treatment prevents, 0 to 1; needs `rate`.
    rate : float, optional
        Mean change of the reference arm that the contrast measures: by default until the last
        visit, not per year.
    ageing_rate : float, optional
        The same of healthy people; then `slowing` is of the excess over it.
    retention : sequence of float, or a pair of such, optional
        Share still seen at each analysed visit (baseline left out where it is not analysed), in
        both arms or per arm; by default everybody.
    contrast : sequence of float, optional
        Weights of the analysed visits; by default 1 for the last and 0 for others.
    baseline : {"none", "covariate", "change"}
        ``"none"``: `covariance` is of the analysed visits. Else its first visit is baseline, and
        the later values are adjusted for it (its effect fitted per visit), or are changes from it.
    df : {"satterthwaite", "subjects", "normal"}
        Test: t with the expected Satterthwaite df of an unstructured covariance, t with two df
        less than subjects seen last (three with baseline as covariate), or normal.
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
        With standard error, degrees of freedom and inflation by dropout in its details.

    Raises
    ------
    DesignError
        If arguments contradict each other or are out of range, or there are too few subjects to
        estimate the covariance that the test rests on.

    Notes
    -----
    The information about an arm's means is ``n sum_k p_k V_k^-1``, with ``p_k`` the share that is
    last seen at visit ``k`` and ``V_k`` the covariance until then, and the variance of the contrast
    follows from its inverse in each arm (eq. 3 of [1]_). Means are fitted per arm and visit.
    Dropout is at random. Earlier visits of those who leave help as far as they correlate with the
    last. With baseline as covariate the variance is multiplied by ``1 + 1 / (m - 4)``, for chance
    differences at baseline between the arms of the ``m`` subjects seen last.

    References
    ----------
    .. [1] Lu K, Luo X, Chen PY. Sample size estimation for repeated measures analysis in randomized
       clinical trials with missing data. Int J Biostat 2008;4(1):9. doi:10.2202/1557-4679.1098.

    Examples
    --------
    >>> visits = VisitCovariance.ar1(sd=1.0, correlation=0.7, n_visits=4)
    >>> result = power_mmrm(n=128, covariance=visits, effect=0.5, retention=(1, 0.95, 0.9, 0.85))
    >>> round(result.power, 3)
    0.753
    """
    given = dict(locals())
    treatment = resolve_effect(effect, slowing, rate, ageing_rate)
    design = _design(given)
    sizes = arm_sizes(n, ratio)
    design.check_estimable(sizes)
    power = design.power_of()(sizes, treatment.value)
    return _result(design, treatment, given, sizes=sizes, target="power", value=power)


def sample_size_mmrm(
    *,
    covariance: Arms,
    power: float = 0.8,
    solve: MMRMTarget = "n",
    n: int | tuple[int, int] | None = None,
    effect: float | None = None,
    slowing: float | None = None,
    rate: float | None = None,
    ageing_rate: float | None = None,
    retention: Retention | None = None,
    contrast: Sequence[float] | None = None,
    baseline: BaselineUse = "none",
    df: MMRMDf = "satterthwaite",
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
    unit: str = "units of the outcome",
) -> PowerResult:
    """Say what a mixed model for repeated measures needs to find a difference.

    Parameters
    ----------
    covariance : VisitCovariance or pair of VisitCovariance
        Of a subject's visits, the same in both arms or per arm, reference first.
    power : float, default 0.8
        Wanted.
    solve : {"n", "effect"}
        What is asked for: subjects, or the difference that is found.
    n : int or pair of int, optional
        Subjects randomised, needed where the effect is asked for.
    effect, slowing, rate, ageing_rate : float, optional
        As in :func:`power_mmrm`; with ``solve="effect"`` neither `effect` nor `slowing`.
    retention, contrast, baseline, df : optional
        As in :func:`power_mmrm`.
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
        If arguments contradict each other or are out of range, or the effect is zero.

    Examples
    --------
    >>> visits = VisitCovariance.cs(sd=(1.0, 1.1, 1.2), correlation=0.6)
    >>> sample_size_mmrm(covariance=visits, effect=0.5, retention=(0.95, 0.9, 0.85)).n
    (103, 103)
    """
    given = dict(locals())
    check_choice("solve", solve, get_args(MMRMTarget))
    check_rates(alpha, power, sides)
    check_asked(given, asks_power="power_mmrm")
    design = _design(given)
    if solve == "effect":
        return _solve_effect(design, given)
    treatment = resolve_effect(effect, slowing, rate, ageing_rate)
    check_effect(treatment.value, "effect" if slowing is None else "slowing")
    power_of = design.power_of()
    total = solve_n(lambda size: power_of(design.split(size), treatment.value), power)
    sizes = smallest_arms(lambda arms: power_of(arms, treatment.value), total, power, ratio)
    return _result(design, treatment, given, sizes=sizes, target="n", value=total)


def _design(given: dict[str, Any]) -> MMRMDesign:
    """Gather what the precision depends on."""
    covariance = given["covariance"]
    several = isinstance(covariance, tuple | list)
    both = tuple(covariance) if several else (covariance, covariance)
    if len(both) != 2 or not all(isinstance(part, VisitCovariance) for part in both):
        raise DesignError(
            "`covariance` must be a VisitCovariance, or one per arm (reference first), got "
            f"{covariance!r}. A matrix becomes one by VisitCovariance.us(matrix)."
        )
    m = both[0].n_visits - (given["baseline"] != "none")
    retentions = retention_of_arms(range(max(m, 1)), 0.0, given["retention"])
    contrast = given["contrast"]
    weights = [0.0] * (m - 1) + [1.0] if contrast is None else np.asarray(contrast).tolist()
    names = ("baseline", "df", "alpha", "sides", "ratio")
    return MMRMDesign(
        covariances=both,
        retentions=retentions,
        contrast=tuple(weights),
        **{name: given[name] for name in names},
    )


def _solve_effect(design: MMRMDesign, given: dict[str, Any]) -> PowerResult:
    """Find the difference."""
    sizes = arm_sizes(given["n"], design.ratio)
    design.check_estimable(sizes)
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


def _result(
    design: MMRMDesign,
    treatment: TreatmentEffect,
    given: dict[str, Any],
    *,
    sizes: tuple[int, int],
    target: str,
    value: float,
) -> PowerResult:
    """Gather the answer."""
    power_of = design.power_of()
    part = sizes[1] / sum(sizes)
    words = design.words(given["unit"], sizes)
    if treatment.words:
        words = f"{words[:-1]}, {treatment.words}."
    return PowerResult(
        method="mmrm",
        solved_for=target,
        value=value,
        n=sizes,
        power=power_of(sizes, treatment.value),
        alpha=design.alpha,
        sides=design.sides,
        effect=treatment.value,
        effect_unit=given["unit"],
        assumptions=words,
        inputs=tuple(given.items()),
        details=_details(design, treatment, sizes, given["unit"]),
        curve=power_curve(
            lambda n, effect: power_of((n * (1 - part), n * part), effect),
            n_total=sum(sizes),
            effect=treatment.value,
        ),
        references=(_LU_LUO_CHEN,),
    )


def _details(
    design: MMRMDesign, treatment: TreatmentEffect, sizes: tuple[int, int], unit: str
) -> tuple[tuple[str, float, str], ...]:
    """Gather further quantities."""
    variance, df = design.precision(sizes)
    slowing = treatment.slowing_of(treatment.value)
    return (
        ("std_error", math.sqrt(variance), unit),
        ("df", df, ""),
        ("n_visits", float(design.n_visits), "visits"),
        ("inflation_reference", design.inflation(0), "times the variance without dropout"),
        ("inflation_treated", design.inflation(1), "times the variance without dropout"),
        *((("slowing", slowing, "share"),) if slowing is not None else ()),
    )
