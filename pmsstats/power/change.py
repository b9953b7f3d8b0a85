"""Power and sample size of a two-sample comparison of change, or of any mean."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.power.arms import analysed_arms, arm_sizes, smallest_arms, split_arms
from pmsstats.power.clusters import ClusterDesign
from pmsstats.power.effects import resolve_effect
from pmsstats.power.result import PowerResult
from pmsstats.power.solving import (
    check_choice,
    check_dropout,
    check_effect,
    check_rates,
    check_solved,
    power_curve,
    solve_continuous,
    solve_n,
)
from pmsstats.power.two_means import TwoMeans, analysed_sd

__all__ = ["power_change", "sample_size_change"]

_FAR = 1e9  # standard errors: no test asks for an effect as large
_REFERENCES = {
    "t": "Julious SA. Stat Med 2004;23:1921-1986. doi:10.1002/sim.1783",
    "welch": "Moser BK, Stevens GR, Watts CL. Commun Stat Theory Methods 1989;18:3963-3975",
    "ancova": "Borm GF, Fransen J, Lemmens WAJG. J Clin Epidemiol 2007;60:1234-1238. "
    "doi:10.1016/j.jclinepi.2007.02.006",
    "cluster": "Eldridge SM, Ashby D, Kerry S. Int J Epidemiol 2006;35:1292-1300. "
    "doi:10.1093/ije/dyl129",
}


def power_change(
    *,
    n: int | tuple[int, int],
    effect: float | None = None,
    slowing: float | None = None,
    rate: float | None = None,
    ageing_rate: float | None = None,
    sd: float | tuple[float, float] | None = None,
    sd_single: float | tuple[float, float] | None = None,
    correlation: float | None = None,
    analysis: str = "change",
    method: str = "t",
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
    dropout: float | tuple[float, float] = 0.0,
    cluster: ClusterDesign | None = None,
    effect_unit: str = "",
) -> PowerResult:
    """Return the power to find a difference between two mean changes.

    Parameters
    ----------
    n : int or pair of int
        Subjects randomised in both arms together, or per arm, reference first.
    effect : float, optional
        Treated minus reference, in `effect_unit`: of the mean change, which with one SD in both
        arms is also the difference of the final means.
    slowing : float, optional
        Instead: the share of change that treatment prevents, from 0 to 1.
    rate : float, optional
        Mean change in the reference arm over the whole trial, for `slowing`.
    ageing_rate : float, optional
        The same in healthy people of that age; then `slowing` is of the excess over it.
    sd : float or pair of float, optional
        Standard deviation of the change from baseline; one per arm, reference first, if they
        differ.
    sd_single : float or pair of float, optional
        Instead, with `correlation`: standard deviation of a single measurement.
    correlation : float, optional
        Between the measurements at baseline and at the end, within an arm.
    analysis : {"change", "final", "ancova"}
        Compare changes, final measurements, or final measurements adjusted for baseline.
    method : {"t", "normal"}
        Exact power of the t-test (Welch's, if the arms have different SDs), or the normal
        approximation with known variances.
    alpha : float, default 0.05
        Type I error.
    sides : {2, 1}
        Of the test; one-sided tests look in the direction of the effect.
    ratio : float, default 1
        Treated per reference subject, where `n` is a total.
    dropout : float or pair of float, default 0
        Share of subjects without a final measurement, in both arms or per arm; they are not
        analysed.
    cluster : ClusterDesign, optional
        Subjects in sites. The SDs are those over all sites.
    effect_unit : str
        Shown with the effect and the SDs, for example ``"% of baseline volume"``.

    Returns
    -------
    PowerResult
        ``solved_for="power"``.

    Raises
    ------
    DesignError
        If an argument is missing, out of range, or contradicts another.

    Notes
    -----
    With ``m_i`` subjects analysed per arm, the statistic has noncentrality
    ``effect / (s sqrt(1 / m_1 + 1 / m_2))`` and ``m_1 + m_2 - 2`` degrees of freedom [1]_; both
    tails of a two-sided test are counted. With different SDs the power of Welch's test is exact
    [2]_. ``analysis="ancova"`` has SD ``sqrt(1 - correlation^2)`` times that of one measurement
    [3]_, one degree of freedom less, and is averaged over chance differences at baseline (normal
    baselines). The number analysed is taken at its mean. `cluster` multiplies the variance by
    :func:`~pmsstats.power.clusters.design_effect` [4]_ and sets the degrees of freedom.

    References
    ----------
    .. [1] Julious SA. Stat Med 2004;23:1921-1986. doi:10.1002/sim.1783
    .. [2] Moser BK, Stevens GR, Watts CL. Commun Stat Theory Methods 1989;18:3963-3975.
    .. [3] Borm GF, Fransen J, Lemmens WAJG. J Clin Epidemiol 2007;60:1234-1238.
       doi:10.1016/j.jclinepi.2007.02.006
    .. [4] Eldridge SM, Ashby D, Kerry S. Int J Epidemiol 2006;35:1292-1300.
       doi:10.1093/ije/dyl129

    Examples
    --------
    >>> result = power_change(n=40, effect=1.0, sd=1.0)
    >>> round(result.power, 4)
    0.869
    """
    inputs = tuple(locals().items())
    resolved = resolve_effect(effect=effect, slowing=slowing, rate=rate, ageing_rate=ageing_rate)
    design = TwoMeans(
        sd=analysed_sd(sd, sd_single, correlation, analysis),
        analysis=analysis,
        method=method,
        alpha=alpha,
        sides=sides,
        ratio=ratio,
        dropout=check_dropout(dropout),
        cluster=cluster,
    )
    arms = arm_sizes(n, ratio)
    _check_enough(design, arms, n)
    power = design.power(arms, resolved.value)
    return _result(
        design,
        arms,
        resolved.value,
        solved_for="power",
        value=power,
        inputs=inputs,
        effect_unit=effect_unit,
        words=resolved.words,
    )


def sample_size_change(
    *,
    power: float = 0.8,
    solve: str = "n",
    n: int | tuple[int, int] | None = None,
    effect: float | None = None,
    slowing: float | None = None,
    rate: float | None = None,
    ageing_rate: float | None = None,
    sd: float | tuple[float, float] | None = None,
    sd_single: float | tuple[float, float] | None = None,
    correlation: float | None = None,
    analysis: str = "change",
    method: str = "t",
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
    dropout: float | tuple[float, float] = 0.0,
    cluster: ClusterDesign | None = None,
    effect_unit: str = "",
) -> PowerResult:
    """Return the number of subjects, or the effect, that gives a comparison its power.

    Parameters
    ----------
    power : float, default 0.8
        Wanted; above `alpha`.
    solve : {"n", "effect"}
        What to solve for.
    n : int or pair of int, optional
        Subjects randomised, for ``solve="effect"``; see :func:`power_change`.
    effect, slowing, rate, ageing_rate : float, optional
        See :func:`power_change`. With ``solve="effect"`` give neither `effect` nor `slowing`;
        with `rate` the answer is also told as a slowing.
    sd, sd_single : float or pair of float, optional
        See :func:`power_change`; one of both.
    correlation : float, optional
        Between the measurements at baseline and at the end.
    analysis : {"change", "final", "ancova"}
        See :func:`power_change`.
    method : {"t", "normal"}
        See :func:`power_change`.
    alpha : float, default 0.05
        Type I error.
    sides : {2, 1}
        Of the test.
    ratio : float, default 1
        Treated per reference subject.
    dropout : float or pair of float, default 0
        Share of subjects without a final measurement.
    cluster : ClusterDesign, optional
        Subjects in sites.
    effect_unit : str
        Shown with the effect.

    Returns
    -------
    PowerResult
        ``solved_for="n"`` or ``"effect"``. Numbers are rounded up to whole subjects with the
        ratio kept (whole sites, where sites are randomised), and `power` is that of the whole
        numbers.

    Raises
    ------
    DesignError
        If the effect is zero (no number will do), the power is not above `alpha`, or an argument
        is missing, out of range, or contradicts another.

    Notes
    -----
    See :func:`power_change`.

    References
    ----------
    .. [1] Julious SA. Stat Med 2004;23:1921-1986. doi:10.1002/sim.1783

    Examples
    --------
    >>> sample_size_change(effect=0.5, sd=1.0).n
    (64, 64)
    >>> sample_size_change(effect=0.5, sd=1.0, method="normal").n
    (63, 63)
    """
    inputs = tuple(locals().items())
    check_choice("solve", solve, ("n", "effect"))
    check_rates(alpha, power, sides)
    design = TwoMeans(
        sd=analysed_sd(sd, sd_single, correlation, analysis),
        analysis=analysis,
        method=method,
        alpha=alpha,
        sides=sides,
        ratio=ratio,
        dropout=check_dropout(dropout),
        cluster=cluster,
    )
    if solve == "effect":
        given = {"effect": effect, "slowing": slowing}
        return _solve_effect(
            design, n, power, (given, rate, ageing_rate), inputs=inputs, effect_unit=effect_unit
        )
    check_solved("n", sought={"n": n}, needed={})
    resolved = resolve_effect(effect=effect, slowing=slowing, rate=rate, ageing_rate=ageing_rate)
    size = check_effect(resolved.value)
    total = solve_n(lambda m: design.power(split_arms(m, ratio), size), power, low=design.fewest())
    arms = _whole_arms(design, total, size, power)
    return _result(
        design,
        arms,
        size,
        solved_for="n",
        value=total,
        inputs=inputs,
        effect_unit=effect_unit,
        words=resolved.words,
    )


def _check_enough(design: TwoMeans, arms: tuple[int, int], n: Any) -> None:
    """Refuse arms that cannot be analysed."""
    if design.method == "normal":
        return
    kept = analysed_arms(arms, design.dropout)
    enough_df = not design.equal_variances or design.df(arms) >= 1
    if min(kept) < 2 - 1e-9 or not enough_df:
        fewest = math.ceil(design.fewest() - 1e-9)
        raise DesignError(
            f"`n={n!r}` leaves {kept[0]:g} and {kept[1]:g} subjects to analyse, too few to "
            f"estimate a variance. Randomise at least {fewest} in both arms."
        )


def _whole_arms(design: TwoMeans, total: float, effect: float, power: float) -> tuple[int, int]:
    """Return the fewest whole subjects, or subjects of whole sites, that reach the power."""
    cluster = design.cluster
    if cluster is None or cluster.randomised == "within_sites":
        return smallest_arms(lambda arms: design.power(arms, effect), total, power, design.ratio)

    def subjects(sites: tuple[int, int]) -> tuple[float, float]:
        return sites[0] * cluster.site_size, sites[1] * cluster.site_size

    sites = smallest_arms(
        lambda k: design.power(subjects(k), effect), total / cluster.site_size, power, design.ratio
    )
    reference, treated = (math.ceil(k - 1e-9) for k in subjects(sites))
    return reference, treated


def _solve_effect(
    design: TwoMeans,
    n: int | tuple[int, int] | None,
    power: float,
    effects: tuple[dict[str, float | None], float | None, float | None],
    *,
    inputs: tuple[tuple[str, object], ...],
    effect_unit: str,
) -> PowerResult:
    """Find the effect that some subjects find with a power."""
    given, rate, ageing_rate = effects
    check_solved("effect", sought=given, needed={"n": n})
    arms = arm_sizes(n, design.ratio)  # type: ignore[arg-type]
    _check_enough(design, arms, n)
    scale = None
    if rate is not None or ageing_rate is not None:
        scale = resolve_effect(slowing=1.0, rate=rate, ageing_rate=ageing_rate).scale
    unit = design.std_error(arms)
    upper = unit
    while design.power(arms, upper) < power and upper < _FAR * unit:
        upper *= 2
    size = solve_continuous(lambda e: design.power(arms, e), power, (0.0, upper), name="effect")
    effect = -math.copysign(size, scale) if scale is not None else size
    slowing = None if scale is None else -effect / scale
    return _result(
        design,
        arms,
        effect,
        solved_for="effect",
        value=effect,
        inputs=inputs,
        effect_unit=effect_unit,
        slowing=slowing,
    )


def _result(
    design: TwoMeans,
    arms: tuple[int, int],
    effect: float,
    *,
    solved_for: str,
    value: float,
    inputs: tuple[tuple[str, object], ...],
    effect_unit: str,
    words: str = "",
    slowing: float | None = None,
) -> PowerResult:
    """Assemble the answer."""
    assumptions = design.words(effect_unit, arms)
    if words:
        assumptions = f"{assumptions.rstrip('.')}, effect a {words}."
    return PowerResult(
        method=f"two-sample comparison of means, {design.name}",
        solved_for=solved_for,
        value=value,
        n=arms,
        power=design.power(arms, effect),
        alpha=design.alpha,
        sides=design.sides,
        effect=effect,
        effect_unit=effect_unit,
        assumptions=assumptions,
        inputs=inputs,
        details=_details(design, arms, effect, effect_unit, slowing),
        curve=_curve(design, arms, effect),
        references=_references(design),
    )


def _details(
    design: TwoMeans, arms: tuple[int, int], effect: float, unit: str, slowing: float | None
) -> tuple[tuple[str, float, str], ...]:
    """Return further quantities of the design."""
    kept = analysed_arms(arms, design.dropout)
    pooled = math.sqrt((design.sd[0] ** 2 + design.sd[1] ** 2) / 2)
    rows = [
        ("standardised_effect", effect / pooled, "SD"),
        ("std_error", design.std_error(arms), unit),
        ("n_analysed", sum(kept), "subjects"),
    ]
    if design.method == "t" and design.equal_variances:
        rows.append(("df", design.df(arms), ""))
    if design.cluster is not None:
        retained = sum(kept) / sum(arms)
        factor = design.cluster.variance_factor(ratio=kept[1] / kept[0], retained=retained)
        rows.append(("design_effect", factor, ""))
        rows.append(("n_sites", design.cluster.n_sites(sum(arms)), "sites"))
    if slowing is not None:
        rows.append(("slowing", slowing, "share"))
    return tuple(rows)


def _curve(design: TwoMeans, arms: tuple[int, int], effect: float) -> pd.DataFrame:
    """Tabulate the power around the design, at its own ratio."""
    ratio = arms[1] / arms[0]
    return power_curve(
        lambda n, size: design.power(split_arms(n, ratio), size),
        n_total=sum(arms),
        effect=effect,
        smallest=design.fewest(),
    )


def _references(design: TwoMeans) -> tuple[str, ...]:
    """Return the papers that the formula comes from."""
    keys = ["t" if design.equal_variances or design.method == "normal" else "welch"]
    if design.analysis == "ancova":
        keys.append("ancova")
    if design.cluster is not None:
        keys.append("cluster")
    return tuple(_REFERENCES[key] for key in keys)
