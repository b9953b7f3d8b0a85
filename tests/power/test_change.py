"""Two means: against R, against the definition, against simulated trials."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import assert_result_contract
from reference_cases import load_case
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.power.change import power_change, sample_size_change
from pmsstats.power.clusters import ClusterDesign

CASE = load_case("power_change")
DESIGNS = CASE.input.set_index("term")
WELCH = {"unequal", "steep", "strict"}
N_TRIALS = 20_000
MONTE_CARLO_ERRORS = 4.0
EXACT = 1e-10  # the same formula in floating point
SITES = ClusterDesign(site_size=12, icc=0.08, randomised="by_site", size_cv=0.4)


def expected(*quantities: str) -> list[tuple[str, str, float, float]]:
    rows = pd.concat([CASE.rows(q) for q in quantities])
    return list(rows[["quantity", "term", "value", "rtol"]].itertuples(index=False, name=None))


def asked(term: str) -> dict:
    """Return the arguments that both functions share, of a stored design."""
    row = DESIGNS.loc[term]
    sd = (float(row["sd_reference"]), float(row["sd_treated"]))
    return {"sd": sd, "alpha": float(row["alpha"]), "sides": int(row["sides"])}


def arms(term: str) -> tuple[int, int]:
    return int(DESIGNS.loc[term, "n_reference"]), int(DESIGNS.loc[term, "n_treated"])


@pytest.mark.parametrize(("quantity", "term", "value", "rtol"), expected("t.power", "welch.power"))
def test_power_is_that_of_r(quantity, term, value, rtol):
    result = power_change(n=arms(term), effect=DESIGNS.loc[term, "effect"], **asked(term))
    assert result.power == pytest.approx(value, rel=rtol)
    assert result.solved_for == "power"
    assert ("Welch" in result.method) == (quantity == "welch.power")


@pytest.mark.parametrize(("quantity", "term", "value", "rtol"), expected("ancova.power"))
def test_power_of_ancova_is_an_integral_over_baselines(quantity, term, value, rtol):
    design = asked(term)
    result = power_change(
        n=arms(term),
        effect=DESIGNS.loc[term, "effect"],
        analysis="ancova",
        sd_single=design.pop("sd")[0],
        correlation=DESIGNS.loc[term, "correlation"],
        **design,
    )
    assert result.power == pytest.approx(value, rel=rtol)


@pytest.mark.parametrize(("quantity", "term", "value", "rtol"), expected("t.n"))
def test_number_of_subjects_is_that_of_r(quantity, term, value, rtol):
    row = DESIGNS.loc[term]
    result = sample_size_change(effect=row["effect"], power=row["power"], **asked(term))
    assert result.value == pytest.approx(value, rel=rtol)
    assert result.n == (math.ceil(value / 2), math.ceil(value / 2))


@pytest.mark.parametrize(("quantity", "term", "value", "rtol"), expected("t.effect"))
def test_effect_is_that_of_r(quantity, term, value, rtol):
    found = sample_size_change(
        solve="effect", n=arms(term), power=DESIGNS.loc[term, "power"], **asked(term)
    )
    assert found.effect == found.value == pytest.approx(value, rel=rtol)


@pytest.mark.parametrize(("quantity", "term", "value", "rtol"), expected("rpact.z.n", "rpact.t.n"))
def test_unequal_allocation_is_that_of_rpact(quantity, term, value, rtol):
    design = asked(term)
    method = "normal" if quantity == "rpact.z.n" else "t"
    result = sample_size_change(
        effect=DESIGNS.loc[term, "effect"],
        power=DESIGNS.loc[term, "power"],
        ratio=2.0,
        method=method,
        sd=design["sd"][0],
        alpha=design["alpha"] / design["sides"],  # rpact leaves out the far tail
        sides=1,
    )
    assert result.value == pytest.approx(value, rel=rtol)


def test_a_large_effect_takes_two_subjects_per_arm():
    tiny = sample_size_change(effect=50.0, sd=1.0)
    assert tiny.n == (2, 2)
    assert tiny.power > 0.8


@pytest.mark.parametrize(
    ("analysis", "factor"), [("change", 2 * 0.3), ("final", 1.0), ("ancova", 1 - 0.7**2)]
)
def test_variances_of_the_three_analyses(analysis, factor):
    """Frison and Pocock: 2 (1 - rho), 1 and 1 - rho^2 of the variance of one measurement."""
    z = stats.norm.isf(0.025) + stats.norm.isf(0.2)
    by_hand = 4 * 1.5**2 * factor * z**2 / 0.5**2  # one tail: the far one has 1e-6
    told = sample_size_change(
        effect=0.5, sd_single=1.5, correlation=0.7, analysis=analysis, method="normal"
    )
    assert told.value == pytest.approx(by_hand, rel=1e-5)
    sd_of_change = 1.5 * math.sqrt(2 * 0.3)
    same = sample_size_change(
        effect=0.5, sd=sd_of_change, correlation=0.7, analysis=analysis, method="normal"
    )
    assert same.value == pytest.approx(told.value, rel=EXACT)


def test_ancova_needs_about_one_subject_more_per_arm_than_borm():
    """Borm et al.: (1 - rho^2) times the subjects of the t-test, plus one per arm."""
    plain = sample_size_change(effect=0.5, sd_single=1.0, analysis="final")
    adjusted = sample_size_change(effect=0.5, sd_single=1.0, correlation=0.6, analysis="ancova")
    assert adjusted.value == pytest.approx((1 - 0.36) * plain.value + 2, abs=1.0)


def simulated_t(rng, n, sd, effect, **kws) -> np.ndarray:
    reference = rng.normal(0, sd[0], (N_TRIALS, n[0]))
    treated = rng.normal(effect, sd[1], (N_TRIALS, n[1]))
    return stats.ttest_ind(treated, reference, axis=1, **kws).pvalue


@pytest.mark.parametrize(
    ("n", "sd", "effect", "sides"),
    [
        ((8, 8), (1.0, 1.0), 1.2, 2),
        ((10, 25), (1.0, 1.0), 0.9, 1),
        ((6, 15), (1.0, 3.0), 2.0, 2),
        ((15, 6), (1.0, 3.0), 2.0, 1),
        ((6, 15), (1.0, 3.0), 0.0, 2),
    ],
)
def test_power_is_the_share_of_simulated_trials(n, sd, effect, sides):
    rng = np.random.default_rng(5)
    side = "two-sided" if sides == 2 else "greater"
    p = simulated_t(rng, n, sd, effect, equal_var=sd[0] == sd[1], alternative=side)
    power = power_change(n=n, effect=effect, sd=sd, sides=sides).power
    mcse = math.sqrt(power * (1 - power) / N_TRIALS)
    assert (p <= 0.05).mean() == pytest.approx(power, abs=MONTE_CARLO_ERRORS * mcse)


@pytest.mark.parametrize(("n", "effect"), [((5, 6), 1.5), ((12, 30), 0.8)])
def test_ancova_power_is_the_share_of_simulated_trials(n, effect):
    rng = np.random.default_rng(6)
    rho, total = 0.6, sum(n)
    arm = np.repeat([0.0, 1.0], n)
    x = rng.normal(size=(N_TRIALS, total))
    y = rho * x + math.sqrt(1 - rho**2) * rng.normal(size=x.shape) + effect * arm
    X = np.stack([np.ones_like(x), np.broadcast_to(arm, x.shape), x], axis=2)
    inverse = np.linalg.inv(np.einsum("rni,rnj->rij", X, X))
    beta = np.einsum("rij,rnj,rn->ri", inverse, X, y)
    residual = y - np.einsum("rni,ri->rn", X, beta)
    variance = (residual**2).sum(axis=1) / (total - 3) * inverse[:, 1, 1]
    rejects = np.abs(beta[:, 1]) / np.sqrt(variance) >= stats.t.isf(0.025, total - 3)
    power = power_change(
        n=n, effect=effect, sd_single=1.0, correlation=rho, analysis="ancova"
    ).power
    mcse = math.sqrt(power * (1 - power) / N_TRIALS)
    assert rejects.mean() == pytest.approx(power, abs=MONTE_CARLO_ERRORS * mcse)


def p_between_sites(y, arm):
    """Test the means of sites of one arm each."""
    means, treated = y.mean(axis=2), arm[:, 0] == 1
    return stats.ttest_ind(means[:, treated], means[:, ~treated], axis=1).pvalue


def p_within_sites(y, arm):
    """Test the difference of arms adjusted for sites."""
    k, m = arm.shape
    centred, sign = y - y.mean(axis=2, keepdims=True), arm - 0.5
    estimate = (centred * sign).sum(axis=(1, 2)) / (sign**2).sum()
    residual = ((centred - estimate[:, None, None] * sign) ** 2).sum(axis=(1, 2))
    df = k * m - k - 1
    return 2 * stats.t.sf(np.abs(estimate) / np.sqrt(residual / df / (sign**2).sum()), df)


SITES_SUBJECTS = np.indices((14, 6))


@pytest.mark.parametrize(
    ("randomised", "arm", "p_of"),
    [
        ("within_sites", 1.0 * (SITES_SUBJECTS[1] >= 3), p_within_sites),
        ("by_site", 1.0 * (SITES_SUBJECTS[0] >= 7), p_between_sites),
    ],
    ids=["within_sites", "by_site"],
)
def test_power_in_sites_is_the_share_of_simulated_trials(randomised, arm, p_of):
    rng = np.random.default_rng(7)
    (k, m), icc, effect = arm.shape, 0.2, 0.8
    site = rng.normal(0, math.sqrt(icc), (N_TRIALS, k, 1))
    y = site + rng.normal(0, math.sqrt(1 - icc), (N_TRIALS, k, m))
    p = p_of(y + effect * arm, arm)
    cluster = ClusterDesign(site_size=m, icc=icc, randomised=randomised)
    power = power_change(n=k * m, effect=effect, sd=1.0, cluster=cluster).power
    mcse = math.sqrt(power * (1 - power) / N_TRIALS)
    assert (p <= 0.05).mean() == pytest.approx(power, abs=MONTE_CARLO_ERRORS * mcse)


effects = st.floats(0.2, 2.0)
sds = st.floats(0.5, 3.0)
wanted = st.floats(0.2, 0.98)
options = st.fixed_dictionaries(
    {
        "sides": st.sampled_from([1, 2]),
        "ratio": st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0]),
        "dropout": st.floats(0.0, 0.5),
        "method": st.sampled_from(["t", "normal"]),
    }
)


@given(effect=effects, sd=sds, power=wanted, kws=options)
def test_n_for_a_power_gives_that_power_back(effect, sd, power, kws):
    found = sample_size_change(effect=effect, sd=sd, power=power, **kws)
    back = power_change(n=found.n, effect=effect, sd=sd, **kws)
    assert back.power == found.power >= power
    smaller, ratio = min(found.n) - 1, kws["ratio"]
    fewer = (smaller, math.ceil(smaller * max(ratio, 1 / ratio) - 1e-9))
    assert power_of_few(fewer if ratio >= 1 else fewer[::-1], effect, sd, kws) < power


def power_of_few(n, effect, sd, kws) -> float:
    """Return the power, or 0 where so few cannot be analysed."""
    try:
        return power_change(n=n, effect=effect, sd=sd, **kws).power
    except DesignError:
        return 0.0


@given(effect=effects, sd=sds, kws=options, n=st.integers(20, 300), more=st.integers(4, 200))
def test_power_rises_with_n_and_effect(effect, sd, kws, n, more):
    kws = kws | {"ratio": 1.0}
    first = power_change(n=n, effect=effect, sd=sd, **kws).power
    assert power_change(n=n + more, effect=effect, sd=sd, **kws).power >= first - EXACT
    assert power_change(n=n, effect=1.1 * effect, sd=sd, **kws).power >= first - EXACT


@settings(max_examples=15)
@given(effect=effects, first=sds, second=sds, n=st.tuples(st.integers(5, 80), st.integers(5, 80)))
def test_swapping_arms_flips_the_sign(effect, first, second, n):
    forward = power_change(n=n, effect=effect, sd=(first, second))
    backward = power_change(n=n[::-1], effect=-effect, sd=(second, first))
    assert backward.power == pytest.approx(forward.power, rel=1e-9)
    assert backward.effect == -forward.effect


@settings(max_examples=15)
@given(effect=effects, sd=sds, n=st.integers(10, 200), unit=st.floats(0.01, 100))
def test_units_change_nothing(effect, sd, n, unit):
    plain = power_change(n=n, effect=effect, sd=sd).power
    assert power_change(n=n, effect=unit * effect, sd=unit * sd).power == pytest.approx(
        plain, rel=1e-9
    )


def test_effect_for_n_and_n_for_effect_agree():
    effect = sample_size_change(solve="effect", n=90, sd=1.3, dropout=(0.1, 0.2), ratio=2).effect
    total = sample_size_change(effect=effect, sd=1.3, dropout=(0.1, 0.2), ratio=2).value
    assert total == pytest.approx(90, rel=1e-8)


def test_slowing_is_a_share_of_the_rate_or_of_its_excess():
    plain = sample_size_change(effect=0.6, sd=1.0)
    assert sample_size_change(slowing=0.5, rate=-1.2, sd=1.0).n == plain.n
    excess = sample_size_change(slowing=0.5, rate=-1.2, ageing_rate=-0.4, sd=1.0)
    assert excess.effect == pytest.approx(0.4)
    assert "50 % slowing of the excess over healthy ageing" in excess.assumptions
    told = sample_size_change(solve="effect", n=plain.n, power=plain.power, sd=1.0, rate=-1.2)
    assert told.effect == pytest.approx(0.6)
    assert told.table().set_index("quantity").loc["slowing", "value"] == pytest.approx(0.5)


def test_arms_far_from_equal_variance_are_told_apart():
    same = power_change(n=(20, 20), effect=1.0, sd=1.5).power
    welch = power_change(n=(20, 20), effect=1.0, sd=(1.5, 1.5 + 1e-9)).power
    assert same > welch > same - 0.005  # fewer degrees of freedom by a little


def test_whole_sites_are_randomised():
    cluster = ClusterDesign(site_size=12, icc=0.05, randomised="by_site")
    result = sample_size_change(effect=0.5, sd=1.0, cluster=cluster)
    assert [k % 12 for k in result.n] == [0, 0]
    details = result.table().set_index("quantity")["value"]
    assert details["n_sites"] == result.n_total / 12
    assert details["df"] == details["n_sites"] - 2
    assert details["design_effect"] == pytest.approx(1 + 11 * 0.05)


def test_sites_of_one_subject_are_no_sites():
    alone = ClusterDesign(site_size=1, icc=0.3, randomised="by_site")
    plain = power_change(n=60, effect=0.7, sd=1.0).power
    assert power_change(n=60, effect=0.7, sd=1.0, cluster=alone).power == pytest.approx(plain)


def test_answer_keeps_the_contract():
    cluster = ClusterDesign(site_size=10, icc=0.1, effect_sd=0.2)
    for result in (
        power_change(n=40, effect=-1.0, sd=1.0, effect_unit="ml"),
        sample_size_change(effect=0.5, sd=(1.0, 1.5)),
        sample_size_change(effect=0.5, sd=1.0, cluster=cluster, dropout=0.1),
        sample_size_change(solve="effect", n=40, sd=1.0),
    ):
        assert_result_contract(result)


def test_assumptions_are_one_sentence():
    result = sample_size_change(effect=0.5, sd=1.2, dropout=0.1, effect_unit="%")
    assert result.assumptions == (
        "Two arms of equal size, two-sided 5 % t-test of the change, SD 1.2 % in both arms, "
        "10 % of each arm without a final measurement and not analysed."
    )


@pytest.mark.parametrize(
    ("kws", "message"),
    [
        ({"effect": 0.0}, "no number of subjects will do"),
        ({"effect": float("nan")}, "`effect` must be a number"),
        ({"effect": None}, "either `effect`"),
        ({"slowing": 0.3}, "either `effect`"),
        ({"power": 0.05}, "is not above `alpha"),
        ({"power": 0.01}, "is not above `alpha"),
        ({"power": 1.0}, "`power` must be a number above 0 and below 1, got 1.0"),
        ({"alpha": 0.0}, "`alpha` must be"),
        ({"sides": 3}, "`sides` must be 1 or 2"),
        ({"dropout": 1.0}, "`dropout` must be a number of at least 0 and below 1, got 1.0"),
        ({"dropout": -0.1}, "`dropout` must be"),
        ({"dropout": (0.1, 0.1, 0.1)}, "one per arm"),
        ({"sd": 0.0}, "`sd` must be a number above 0"),
        ({"sd": (1.0, -1.0)}, "`sd` must be a number above 0"),
        ({"sd": (1.0, 1.0, 1.0)}, "`sd` must be one number"),
        ({"sd": None}, "either `sd`"),
        ({"sd_single": 1.0}, "either `sd`"),
        ({"analysis": "ancova"}, "needs `correlation`"),
        ({"analysis": "ancova", "correlation": 1.0}, "`correlation` must be"),
        ({"analysis": "ancova", "correlation": 0.5, "sd": (1, 2)}, "same variance in both arms"),
        ({"cluster": ClusterDesign(site_size=5, icc=0.1), "sd": (1, 2)}, "`cluster` needs"),
        ({"cluster": 0.05}, "must be a ClusterDesign"),
        ({"analysis": "slope"}, "`analysis` must be one of"),
        ({"method": "z"}, "`method` must be one of"),
        ({"ratio": 0.0}, "`ratio` must be"),
        ({"solve": "power"}, "`solve` must be one of"),
        ({"n": 40}, "leave it out"),
        ({"solve": "effect"}, "leave it out"),
        ({"solve": "effect", "effect": None}, "`n` is needed to find the effect"),
        ({"effect": 1e-9}, "No number of subjects will do"),
        ({"cluster": ClusterDesign(site_size=1, icc=0.1)}, "Give larger sites"),
    ],
)
def test_bad_requests_are_refused(kws, message):
    with pytest.raises(DesignError, match=message):
        sample_size_change(**{"effect": 0.5, "sd": 1.0} | kws)


@pytest.mark.parametrize(
    ("n", "message"),
    [
        (0, "leaves an arm without subjects"),
        ((0, 20), "leaves an arm without subjects"),
        (3, "too few to estimate a variance"),
        (20.5, "whole number"),
        ((10, 10, 10), "whole number"),
        ("20", "whole number"),
        (True, "whole number"),
    ],
)
def test_bad_numbers_of_subjects_are_refused(n, message):
    with pytest.raises(DesignError, match=message):
        power_change(n=n, effect=0.5, sd=1.0)


def t_power(effect, std_error, df):
    """Two-sided 5 % power of a t-test, by the noncentral t distribution."""
    bound, shift = stats.t.isf(0.025, df), abs(effect) / std_error
    return stats.nct.sf(bound, df, shift) + stats.nct.cdf(-bound, df, shift)


def z_power(effect, std_error):
    """Two-sided 5 % power of a z-test."""
    bound, shift = stats.norm.isf(0.025), abs(effect) / std_error
    return stats.norm.sf(bound - shift) + stats.norm.cdf(-bound - shift)


def test_sites_shrink_by_those_who_are_lost():
    """Eldridge 2006 with the subjects per site who are analysed, 12 x 0.9; df are sites less 2."""
    result = power_change(n=(200, 100), effect=0.4, sd=1.0, cluster=SITES, dropout=0.1)
    inflation = 1 + ((1 + 0.4**2) * 12 * 0.9 - 1) * 0.08
    std_error = math.sqrt((1 / 180 + 1 / 90) * inflation)
    assert result.power == pytest.approx(t_power(0.4, std_error, 300 / 12 - 2), abs=EXACT)


def test_each_arm_has_its_own_variance_and_its_own_losses():
    result = power_change(
        n=(20, 80), effect=0.8, sd=(1.0, 3.0), method="normal", dropout=(0.1, 0.25)
    )
    std_error = math.sqrt(1.0 / 18 + 9.0 / 60)
    assert result.table().set_index("quantity").loc["std_error", "value"] == pytest.approx(
        std_error, rel=EXACT
    )
    assert result.power == pytest.approx(z_power(0.8, std_error), abs=EXACT)
