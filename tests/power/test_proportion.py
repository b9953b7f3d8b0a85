"""Two shares: against R, against hand calculation, against simulated trials."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import assert_result_contract
from reference_cases import load_case
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.power.clusters import ClusterDesign
from pmsstats.power.fisher import fisher_p_values
from pmsstats.power.proportion import power_proportion, sample_size_proportion

CASE = load_case("power_change_shares")
DESIGNS = CASE.input.set_index("term")
N_TRIALS = 100_000
MONTE_CARLO_ERRORS = 4.0


def expected(*quantities: str) -> list[tuple[str, float, float]]:
    rows = pd.concat([CASE.rows(q) for q in quantities])
    return list(rows[["term", "value", "rtol"]].itertuples(index=False, name=None))


def shares(term: str) -> dict:
    row = DESIGNS.loc[term]
    return {
        "reference": float(row["reference"]),
        "treated": float(row["treated"]),
        "alpha": float(row["alpha"]),
        "sides": int(row["sides"]),
    }


def arms(term: str) -> tuple[int, int]:
    return int(DESIGNS.loc[term, "n_reference"]), int(DESIGNS.loc[term, "n_treated"])


@pytest.mark.parametrize(("term", "value", "rtol"), expected("pooled.power"))
def test_power_is_that_of_r(term, value, rtol):
    assert power_proportion(n=arms(term), **shares(term)).power == pytest.approx(value, rel=rtol)


@pytest.mark.parametrize(("term", "value", "rtol"), expected("fisher.power"))
def test_exact_power_is_that_of_every_table_in_r(term, value, rtol):
    result = power_proportion(n=arms(term), method="fisher", **shares(term))
    assert result.power == pytest.approx(value, rel=rtol)


@pytest.mark.parametrize(("term", "value", "rtol"), expected("pooled.n"))
def test_number_of_subjects_is_that_of_r(term, value, rtol):
    result = sample_size_proportion(power=DESIGNS.loc[term, "power"], **shares(term))
    assert result.value == pytest.approx(value, rel=rtol)


@pytest.mark.parametrize(("term", "value", "rtol"), expected("rpact.n"))
def test_unequal_allocation_is_that_of_rpact(term, value, rtol):
    design = shares(term)
    one_tail = {"alpha": design["alpha"] / design["sides"], "sides": 1}  # as rpact
    result = sample_size_proportion(
        power=DESIGNS.loc[term, "power"], ratio=2.0, **design | one_tail
    )
    assert result.value == pytest.approx(value, rel=rtol)


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.75), (0.3, 0.18), (0.1, 0.3)])
def test_continuity_correction_is_that_of_fleiss(p, q):
    """Fleiss, Tytun and Ury: n / 4 (1 + sqrt(1 + 4 / (n gap)))^2 per arm."""
    plain = sample_size_proportion(reference=p, treated=q, sides=1).value / 2
    by_hand = plain / 4 * (1 + math.sqrt(1 + 4 / (plain * abs(p - q)))) ** 2
    corrected = sample_size_proportion(reference=p, treated=q, sides=1, continuity=True)
    assert corrected.value / 2 == pytest.approx(by_hand, rel=1e-8)


def test_unpooled_and_arcsine_by_hand():
    p, q, z = 0.3, 0.18, stats.norm.isf(0.05) + stats.norm.isf(0.2)
    unpooled = 2 * z**2 * (p * (1 - p) + q * (1 - q)) / (p - q) ** 2
    angle = 2 * (math.asin(math.sqrt(p)) - math.asin(math.sqrt(q)))
    kws = {"reference": p, "treated": q, "sides": 1}
    found = sample_size_proportion(method="unpooled", **kws).value
    assert found == pytest.approx(unpooled, rel=1e-8)
    found = sample_size_proportion(method="arcsine", **kws).value
    assert found == pytest.approx(4 * z**2 / angle**2, rel=1e-8)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("sizes", [(12, 20), (15, 15)])
def test_p_values_of_all_tables_are_those_of_scipy(sizes, sides):
    built = 0
    for total in range(sum(sizes) + 1):
        p = fisher_p_values(total, sizes, sides=sides)
        first = max(0, total - sizes[0])
        for k, value in enumerate(p):
            events = first + k
            table = [[events, sizes[1] - events], [total - events, sizes[0] - total + events]]
            side = "two-sided" if sides == 2 else "less"
            assert value == pytest.approx(stats.fisher_exact(table, side).pvalue, rel=1e-9)
            built += 1
    assert built == (sizes[0] + 1) * (sizes[1] + 1)


@pytest.mark.parametrize(
    ("method", "continuity"), [("pooled", False), ("pooled", True), ("unpooled", False)]
)
def test_power_is_the_share_of_simulated_trials(method, continuity):
    """In large arms, where the counts are as good as normal."""
    rng = np.random.default_rng(3)
    n, p, q = np.array([900, 1500]), 0.4, 0.34
    x = np.stack([rng.binomial(n[0], p, N_TRIALS), rng.binomial(n[1], q, N_TRIALS)]) / n[:, None]
    mean = (n @ x) / n.sum()
    pooled = mean * (1 - mean) * (1 / n).sum()
    own = (x * (1 - x) / n[:, None]).sum(axis=0)
    gap = np.abs(x[1] - x[0]) - continuity * (1 / n).sum() / 2
    z = gap / np.sqrt(pooled if method == "pooled" else own)
    power = power_proportion(
        n=tuple(n.tolist()), reference=p, treated=q, method=method, continuity=continuity
    ).power
    discrete = 0.002  # the counts jump, the normal distribution does not
    mcse = math.sqrt(power * (1 - power) / N_TRIALS)
    found = (z >= stats.norm.isf(0.025)).mean()
    assert found == pytest.approx(power, abs=MONTE_CARLO_ERRORS * mcse + discrete)


def test_exact_power_is_the_share_of_simulated_trials():
    rng = np.random.default_rng(4)
    n, p, q, trials = (30, 40), 0.5, 0.2, 20_000
    x = np.column_stack([rng.binomial(n[0], p, trials), rng.binomial(n[1], q, trials)])
    tables, counts = np.unique(x, axis=0, return_counts=True)
    rejects = [stats.fisher_exact([[a, n[0] - a], [b, n[1] - b]]).pvalue <= 0.05 for a, b in tables]
    power = power_proportion(n=n, reference=p, treated=q, method="fisher").power
    mcse = math.sqrt(power * (1 - power) / trials)
    assert counts @ rejects / trials == pytest.approx(power, abs=MONTE_CARLO_ERRORS * mcse)


def test_fisher_keeps_its_level_and_its_sizes_stay_above_the_power():
    level = power_proportion(n=60, reference=0.3, treated=0.3, method="fisher").power
    assert 0 < level < 0.05
    result = sample_size_proportion(reference=0.6, treated=0.2, method="fisher")
    (smaller, _) = result.n
    kws = {"reference": 0.6, "treated": 0.2, "method": "fisher"}
    near = [power_proportion(n=(k, k), **kws).power for k in range(smaller - 1, smaller + 5)]
    assert near[0] < 0.8
    assert min(near[1:]) >= 0.8
    corrected = sample_size_proportion(reference=0.6, treated=0.2, continuity=True)
    assert result.n_total == pytest.approx(corrected.n_total, abs=6)  # Casagrande et al.


def test_sites_multiply_the_variance():
    cluster = ClusterDesign(site_size=10, icc=0.05, randomised="by_site")
    plain = sample_size_proportion(reference=0.3, treated=0.18).value
    sites = sample_size_proportion(reference=0.3, treated=0.18, cluster=cluster).value
    assert sites == pytest.approx((1 + 9 * 0.05) * plain, rel=1e-8)


share = st.floats(0.05, 0.95)
kinds = st.sampled_from(["pooled", "unpooled", "arcsine"])


@given(p=share, gap=st.floats(0.05, 0.4), power=st.floats(0.3, 0.95), method=kinds)
def test_n_for_a_power_gives_that_power_back(p, gap, power, method):
    q = p - gap if p > 0.5 else p + gap
    found = sample_size_proportion(reference=p, treated=q, power=power, method=method)
    back = power_proportion(n=found.n, reference=p, treated=q, method=method)
    assert back.power == found.power >= power


@given(p=share, q=share, n=st.tuples(*[st.integers(10, 200)] * 2), method=kinds)
def test_swapping_arms_and_counting_the_others_flips_the_sign(p, q, n, method):
    forward = power_proportion(n=n, reference=p, treated=q, method=method)
    swapped = power_proportion(n=n[::-1], reference=q, treated=p, method=method)
    others = power_proportion(n=n, reference=1 - p, treated=1 - q, method=method)
    assert swapped.power == pytest.approx(forward.power, rel=1e-9)
    assert others.power == pytest.approx(forward.power, rel=1e-9)
    assert swapped.effect == pytest.approx(-forward.effect)


@given(
    p=st.floats(0.2, 0.8),
    gap=st.floats(0.02, 0.15),
    n=st.integers(10, 200).map(lambda k: 2 * k),
    method=kinds,
)
def test_power_rises_with_n_and_effect(p, gap, n, method):
    first = power_proportion(n=n, reference=p, effect=gap, method=method).power
    assert power_proportion(n=n + 10, reference=p, effect=gap, method=method).power > first
    assert power_proportion(n=n, reference=p, effect=1.2 * gap, method=method).power > first


@pytest.mark.parametrize("method", ["pooled", "fisher"])
@pytest.mark.parametrize("higher", [False, True])
def test_effect_for_n_gives_the_power_back(method, higher):
    found = sample_size_proportion(
        reference=0.3, n=240, solve="effect", method=method, higher=higher
    )
    assert (found.effect > 0) == higher
    back = power_proportion(n=240, reference=0.3, effect=found.effect, method=method)
    assert back.power == pytest.approx(0.8, abs=1e-6)


def test_ways_to_say_the_treated_share_agree():
    told = [{"treated": 0.2}, {"effect": -0.2}, {"risk_ratio": 0.5}, {"odds_ratio": 0.375}]
    powers = [power_proportion(n=100, reference=0.4, **way).power for way in told]
    assert powers == pytest.approx([powers[0]] * 4, rel=1e-12)


def test_answer_keeps_the_contract():
    assert_result_contract(power_proportion(n=100, reference=0.4, treated=0.2))
    assert_result_contract(
        sample_size_proportion(reference=0.4, treated=0.2, method="fisher", dropout=0.1)
    )
    cluster = ClusterDesign(site_size=10, icc=0.05)
    assert_result_contract(sample_size_proportion(reference=0.4, treated=0.2, cluster=cluster))


@pytest.mark.parametrize(
    ("kws", "message"),
    [
        ({"treated": 0.4}, "no number of subjects will do"),
        ({"treated": None}, "Give one of `treated`"),
        ({"effect": 0.1}, "Give one of `treated`"),
        ({"treated": None, "effect": -0.5}, "must lie between 0 and 1"),
        ({"treated": 1.0}, "must lie between 0 and 1"),
        ({"treated": None, "risk_ratio": -1.0}, "`risk_ratio` must be a number above 0"),
        ({"reference": 0.0}, "`reference` must be"),
        ({"reference": 40}, "`reference` must be a number of events per subject above 0 and below"),
        ({"power": 0.04}, "is not above `alpha"),
        ({"dropout": 1.5}, "`dropout` must be"),
        ({"method": "exact"}, "`method` must be one of"),
        ({"method": "fisher", "continuity": True}, "corrects a z-test"),
        ({"method": "fisher", "cluster": ClusterDesign(site_size=5, icc=0.1)}, "needs a z-test"),
        ({"cluster": 3}, "must be a ClusterDesign"),
        ({"n": 100}, "leave it out"),
        ({"solve": "effect"}, "leave it out"),
        ({"solve": "effect", "treated": None}, "`n` is needed to find the effect"),
        ({"solve": "effect", "treated": None, "n": 4, "power": 0.99}, "No `treated` from"),
    ],
)
def test_bad_requests_are_refused(kws, message):
    with pytest.raises(DesignError, match=message):
        sample_size_proportion(**{"reference": 0.4, "treated": 0.2} | kws)


def test_sites_multiply_the_variance_of_shares():
    sites = ClusterDesign(site_size=12, icc=0.08, randomised="by_site", size_cv=0.4)
    result = power_proportion(
        n=(200, 100), reference=0.3, treated=0.5, cluster=sites, dropout=0.1, method="unpooled"
    )
    inflation = 1 + ((1 + 0.4**2) * 12 * 0.9 - 1) * 0.08
    shift = 0.2 / math.sqrt((0.3 * 0.7 / 180 + 0.25 / 90) * inflation)
    bound = stats.norm.isf(0.025)
    expected = stats.norm.sf(bound - shift) + stats.norm.cdf(-bound - shift)
    assert result.power == pytest.approx(expected, abs=1e-10)
