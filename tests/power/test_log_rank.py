"""Log-rank designs: rpact, formulas of the papers by hand, properties, bad input."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import assert_result_contract
from reference_cases import load_case
from scipy import integrate, stats

from pmsstats.errors import DesignError
from pmsstats.power.log_rank import power_log_rank, sample_size_log_rank
from pmsstats.power.piecewise import PiecewiseHazard

RPACT = load_case("power_rpact_survival")
PLAIN = {"hazard": 0.18, "hazard_ratio": 0.7, "follow_up": 2.5, "accrual": 1.0}
SAME_POWER = 1e-8  # of a root found by bisection


def numbers(text: object) -> tuple[float, ...]:
    return () if pd.isna(text) else tuple(float(x) for x in str(text).split())


def detail(result, name: str) -> float:
    return next(value for quantity, value, _ in result.details if quantity == name)


@pytest.mark.parametrize("row", RPACT.input.to_dict("records"), ids=lambda r: r["design"])
def test_events_and_subjects_agree_with_rpact(row: dict) -> None:
    """Witness: rpact's getSampleSizeSurvival (stored)."""
    found = sample_size_log_rank(
        hazard=PiecewiseHazard(breaks=numbers(row["breaks"]), rates=numbers(row["hazard"])),
        hazard_ratio=row["hazard_ratio"],
        accrual=row["accrual"],
        accrual_weights=numbers(row["weights"]),
        follow_up=row["follow_up"],
        dropout=row["dropout"],
        **{name: row[name] for name in ("method", "ratio", "alpha", "sides", "power")},
    )
    term = f"{row['design']} {row['method']}"
    subjects, events = (
        RPACT.rows(name).set_index("term").loc[term] for name in ("nFixed", "eventsFixed")
    )
    assert found.value == pytest.approx(subjects["value"], rel=subjects["rtol"])
    share = detail(found, "event_share")
    # Whole arms may miss the ratio by a subject, and the share of events with it.
    assert found.value * share == pytest.approx(events["value"], rel=2e-3)
    assert sum(found.n) < subjects["value"] + 3


def test_event_share_by_brute_force() -> None:
    """Witness: the double integral over entry and follow-up, by adaptive quadrature."""
    lost, hazard = -math.log(0.92), 0.3

    def seen(h: float) -> float:
        def until(entry: float) -> float:
            return h / (h + lost) * -math.expm1(-(h + lost) * (3.5 - entry))

        return integrate.quad(until, 0, 2)[0] / 2

    found = power_log_rank(
        n=100, hazard=hazard, hazard_ratio=0.65, accrual=2.0, follow_up=1.5, dropout=0.08
    )
    assert detail(found, "n_events_reference") == pytest.approx(50 * seen(hazard), rel=1e-9)
    assert detail(found, "n_events_treated") == pytest.approx(50 * seen(0.65 * hazard), rel=1e-9)


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_power_is_the_formula_of_the_paper(ratio: float) -> None:
    """Witness: Schoenfeld's and Freedman's formulas by hand, at the events expected."""
    given_ = {"n": 600, "ratio": ratio, "sides": 1, "alpha": 0.025, **PLAIN}
    schoenfeld = power_log_rank(method="schoenfeld", **given_)
    freedman = power_log_rank(method="freedman", **given_)
    events = detail(schoenfeld, "n_events")
    first = math.sqrt(events * ratio) / (1 + ratio) * -math.log(0.7)
    second = math.sqrt(events * ratio) * 0.3 / (1 + ratio * 0.7)
    critical = stats.norm.isf(0.025)
    assert schoenfeld.power == pytest.approx(stats.norm.sf(critical - first), rel=1e-10)
    assert freedman.power == pytest.approx(stats.norm.sf(critical - second), rel=1e-10)


def test_methods_agree_where_the_effect_is_small() -> None:
    """Witness: all three have the same limit."""
    given_ = {**PLAIN, "hazard_ratio": 0.97, "dropout": 0.05}
    sizes = [
        sample_size_log_rank(method=method, **given_).value
        for method in ("schoenfeld", "freedman", "lakatos")
    ]
    assert max(sizes) / min(sizes) < 1.002


@pytest.mark.parametrize("method", ["schoenfeld", "freedman", "lakatos"])
@pytest.mark.parametrize("ratio", [1.0, 0.5])
def test_what_is_solved_gives_the_power_back(method: str, ratio: float) -> None:
    given_ = {"method": method, "ratio": ratio, "dropout": 0.05, "power": 0.85}
    size = sample_size_log_rank(**PLAIN, **given_)
    again = power_log_rank(n=size.n, **PLAIN, **{k: v for k, v in given_.items() if k != "power"})
    assert again.power == pytest.approx(size.power, rel=1e-12)
    assert 0.85 <= again.power < 0.86
    rest = {k: v for k, v in PLAIN.items() if k != "hazard_ratio"}
    effect = sample_size_log_rank(solve="effect", n=size.n, **rest, **given_)
    assert effect.power == pytest.approx(0.85, abs=SAME_POWER)
    assert math.log(0.7) <= effect.effect < math.log(0.7) + 0.02
    rest = {k: v for k, v in PLAIN.items() if k != "follow_up"}
    duration = sample_size_log_rank(solve="duration", n=size.n, **rest, **given_)
    assert duration.power == pytest.approx(0.85, abs=SAME_POWER)
    assert 2.4 < duration.value <= 2.5 + 1e-9


@settings(max_examples=15)
@given(
    st.floats(0.4, 0.9),
    st.floats(0.05, 0.5),
    st.sampled_from(["schoenfeld", "freedman", "lakatos"]),
    st.floats(0.0, 0.3),
)
def test_power_rises_with_subjects_effect_and_follow_up(ratio, hazard, method, dropout) -> None:
    given_ = {"hazard": hazard, "method": method, "accrual": 1.0, "dropout": dropout}

    def power(n: int, hr: float, years: float) -> float:
        return power_log_rank(n=n, hazard_ratio=hr, follow_up=years, **given_).power

    base = power(200, ratio, 2.0)
    assert power(300, ratio, 2.0) > base
    assert power(200, 0.9 * ratio, 2.0) > base
    assert power(200, ratio, 3.0) > base


def test_swapping_arms_flips_the_sign() -> None:
    one = power_log_rank(n=(200, 300), hazard=0.2, hazard_ratio=0.6, follow_up=2.0)
    other = power_log_rank(n=(300, 200), hazard=0.12, hazard_ratio=1 / 0.6, follow_up=2.0)
    assert other.effect == pytest.approx(-one.effect, rel=1e-12)
    assert detail(other, "expected_z") == pytest.approx(-detail(one, "expected_z"), rel=1e-9)
    assert other.power == pytest.approx(one.power, rel=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dropout": (0.05, 0.1), "accrual_weights": (1.0, 2.0)},
        {"delay": 0.5, "off_treatment": 0.1, "drop_in": 0.05},
        {"hazard": PiecewiseHazard(breaks=(1.0,), rates=(0.1, 0.3))},
    ],
)
def test_result_honours_the_contract(options: dict) -> None:
    result = sample_size_log_rank(**{**PLAIN, **options})
    assert_result_contract(result)
    assert list(result.curve.columns) == ["n", "effect", "power"]


BAD = [
    ({"hazard_ratio": 1.0}, "no number of subjects will do"),
    ({"power": 0.04}, "not above `alpha"),
    ({"hazard": 0.0}, "`hazard` must be a number above 0"),
    ({"hazard_ratio": -0.5}, "`hazard_ratio` must be a number above 0"),
    ({"follow_up": -1.0}, "`follow_up`"),
    ({"accrual": -1.0}, "`accrual`"),
    ({"accrual_weights": (0.0, 0.0)}, "not all 0"),
    ({"dropout": 1.2}, "`dropout`"),
    ({"off_treatment": 1.0}, "`off_treatment`"),
    ({"method": "schonfeld"}, "Did you mean 'schoenfeld'?"),
    ({"method": "freedman", "delay": 0.5}, "Use method='lakatos'"),
    ({"method": "schoenfeld", "drop_in": 0.1}, "Use method='lakatos'"),
    ({"sides": 3}, "`sides`"),
    ({"hazard_ratio": None}, "`hazard_ratio` is needed"),
    ({"n": 100}, "leave it out"),
    ({"solve": "effect", "n": 100}, "leave it out"),
    ({"solve": "duration", "n": 100, "follow_up": None, "hazard_ratio": 0.99}, "No `follow_up`"),
    ({"delay": 5.0}, "no number of subjects will do"),
    ({"delay": 5.0}, "1 until 5 years after randomisation, and even the first subject is followed"),
    ({"delay": 5.0, "solve": "effect", "n": 100, "hazard_ratio": None}, "shorter `delay`"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_input_is_refused(options: dict, message: str) -> None:
    with pytest.raises(DesignError, match=re.escape(message)):
        sample_size_log_rank(**{**PLAIN, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"breaks": (1.0,), "rates": (0.1,)}, "one number per piece"),
        ({"breaks": (2.0, 1.0), "rates": (0.1, 0.2, 0.3)}, "that rise"),
        ({"breaks": (-1.0,), "rates": (0.1, 0.2)}, "that rise"),
        ({"rates": (-0.1,)}, "not below 0"),
    ],
)
def test_bad_hazards_are_refused(options: dict, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        PiecewiseHazard(**options)
    with pytest.raises(DesignError, match="`share` must lie between"):
        PiecewiseHazard.from_share(1.0, years=2.0)


def test_piecewise_hazard_by_brute_force() -> None:
    """Witness: adaptive quadrature of the rate."""
    hazard = PiecewiseHazard(breaks=(0.5, 2.0), rates=(0.1, 0.0, 0.4))
    for t in (0.0, 0.3, 0.5, 1.4, 2.0, 3.7):
        area = integrate.quad(lambda s: float(hazard.at(s)), 0, t, points=[0.5, 2.0])[0]
        assert hazard.cumulative(t) == pytest.approx(area, abs=1e-10)
        assert hazard.survival(t) == pytest.approx(math.exp(-area), abs=1e-10)
    drawn = np.array([0.01, 0.05, 0.2, 1.0])
    np.testing.assert_allclose(hazard.cumulative(hazard.years_at(drawn)), drawn, atol=1e-12)
    assert np.isinf(PiecewiseHazard(breaks=(1.0,), rates=(0.2, 0.0)).years_at(0.3))
    half = PiecewiseHazard.from_share(0.3, years=2.0)
    assert half.survival(2.0) == pytest.approx(0.7)


LATE = {"hazard": 0.15, "delay": 0.5, "accrual": 2.0, "dropout": 0.05}


@pytest.mark.parametrize(("ratio", "expected"), [(1.0, 0.7624), (2.0, 0.7629)])
def test_average_hazard_ratio_is_the_limit_of_cox(ratio: float, expected: float) -> None:
    """Partial likelihood score by the trapezium rule, without the nodes of the design."""
    found = sample_size_log_rank(hazard_ratio=0.7, follow_up=2.0, ratio=ratio, **LATE)
    t = np.linspace(0.0, 4.0, 40_001)
    entered = np.clip((4.0 - t) / 2.0, 0.0, 1.0) * 0.95**t
    theta = np.where(t > 0.5, 0.7, 1.0)
    reference = entered * np.exp(-0.15 * t)
    treated = ratio * entered * np.exp(-0.15 * (np.minimum(t, 0.5) + 0.7 * np.maximum(t - 0.5, 0)))
    tilted = detail(found, "hazard_ratio") * treated
    at_risk = np.maximum(reference + tilted, 1e-300)
    deaths = reference + theta * treated
    score = integrate.trapezoid(theta * treated - deaths * tilted / at_risk, t)
    assert score == pytest.approx(0.0, abs=1e-4 * integrate.trapezoid(deaths, t))
    assert detail(found, "hazard_ratio") == pytest.approx(expected, abs=1e-4)


def test_average_without_delay_is_the_ratio() -> None:
    """Treatment that nearly nobody stops: the average tends to the ratio at any allocation."""
    found = power_log_rank(n=(200, 600), off_treatment=1e-9, **{**PLAIN, "hazard_ratio": 0.5})
    assert detail(found, "hazard_ratio") == pytest.approx(0.5, rel=1e-7)


def test_effect_under_a_delay_is_shown_where_treatment_acts() -> None:
    found = sample_size_log_rank(solve="effect", n=600, follow_up=2.0, **LATE)
    ratio = detail(found, "hazard_ratio_in_full")
    assert ratio == pytest.approx(math.exp(found.value), rel=1e-12)
    assert ratio < detail(found, "hazard_ratio")
    again = power_log_rank(n=600, hazard_ratio=ratio, follow_up=2.0, **LATE)
    assert again.power == pytest.approx(0.8, abs=SAME_POWER)


def test_duration_says_from_when_it_counts() -> None:
    found = sample_size_log_rank(solve="duration", n=600, hazard_ratio=0.7, **LATE)
    total = detail(found, "duration")
    words = f"takes {total - 2:.3g} years after the last entry, {total:.3g} years from the first."
    assert words in found.headline()
    at_once = sample_size_log_rank(solve="duration", n=600, hazard=0.15, hazard_ratio=0.7)
    assert f"takes {at_once.value:.3g} years. Two arms" in at_once.headline()


def test_one_year_is_no_plural() -> None:
    found = power_log_rank(n=600, **{**PLAIN, "follow_up": 1.0})
    assert "accrual over 1 year with the last followed for 1 year," in found.assumptions


def test_changes_of_treatment_are_shares_of_an_arm_per_year():
    words = power_log_rank(
        n=400, hazard=0.2, hazard_ratio=0.5, follow_up=2.0, off_treatment=0.08, drop_in=0.03
    ).assumptions
    assert "8 % of the treated arm per year stop treatment" in words
    assert "3 % of the reference arm per year take it up" in words
