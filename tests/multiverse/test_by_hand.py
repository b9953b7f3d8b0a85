"""Four definitions on eight patients, worked by hand.

Visits on days 0, 84, 168, 252, 336 (see conftest.py); time runs from day 0.

    A1 5.0 from day 84 on: an event on day 84 under every definition.
    A2 5.0 on days 84 and 168 only: confirmed after 12 weeks; on day 252, 24 weeks on, back at 4.0.
    A3 4.5 from day 252 on: half a point, confirmed on day 336 after 12 weeks; too late for 24.
    A4 5.0 from day 168 on: confirmed on day 252 and on day 336, so an event on day 168 throughout.
    B1 never changes. B3 has half a point on day 84 that is gone on day 168: never an event.
    B2 5.0 from day 252 on: confirmed on day 336 after 12 weeks; too late for 24.
    B4 has no visit after baseline: not at risk.

Whoever has no event is censored on day 336.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from scipy.optimize import brentq

from pmsstats.multiverse.influence import option_influence

EXACT = 1e-12  # a few operations in double precision
ROOT = 1e-9  # of Newton's method and of a bracketing root search
W12_WHOLE, W12_HALF, W24_WHOLE, W24_HALF = NAMES = ["point", "point_2", "point_3", "point_4"]
DAYS = {
    W12_WHOLE: {"A1": 84, "A2": 84, "A4": 168, "B2": 252},
    W12_HALF: {"A1": 84, "A2": 84, "A4": 168, "A3": 252, "B2": 252},
    W24_WHOLE: {"A1": 84, "A4": 168},
    W24_HALF: {"A1": 84, "A4": 168},
}
SHARES = [Fraction(4, 7), Fraction(5, 7), Fraction(2, 7), Fraction(2, 7)]
YEAR = 365.25

# Factors of Efron's likelihood as (placebo, active) numbers at risk. Day 84: A1 and A2 among 4 + 3,
# the second factor without half of both; day 168: A4 among 2 + 3. Day 252: B2 among A3 + 3 active,
# or A3 and B2 together, the second factor without half of both.
FACTORS = {
    W12_WHOLE: [(4, 3), (3, 3), (2, 3), (1, 3)],
    W12_HALF: [(4, 3), (3, 3), (2, 3), (1, 3), (0.5, 2.5)],
}

FEW = {W12_WHOLE: (True, "only 4 events"), W12_HALF: (False, "")}

# Of a pair: both, only the first, only the second, neither.
COUNTS = {
    (W12_WHOLE, W12_HALF): (4, 0, 1, 2),
    (W12_WHOLE, W24_WHOLE): (2, 2, 0, 3),
    (W12_HALF, W24_WHOLE): (2, 3, 0, 2),
}
KAPPAS = {
    (W12_WHOLE, W12_HALF): Fraction(16, 23),
    (W12_WHOLE, W24_WHOLE): Fraction(6, 13),
    (W12_HALF, W24_WHOLE): Fraction(8, 29),
}


def kappa_from(counts: tuple[int, ...]) -> Fraction:
    """Observed agreement beyond that of chance (Cohen 1960), in fractions."""
    both, first, second, neither = map(Fraction, counts)
    n = both + first + second + neither
    observed = (both + neither) / n
    chance = ((both + first) * (both + second) + (second + neither) * (first + neither)) / n**2
    return (observed - chance) / (1 - chance)


def hazard_ratio(factors: list[tuple[float, float]]) -> tuple[float, float]:
    """Solve the score equation of one event in the active arm; return ratio and standard error."""

    def score(ratio: float) -> float:
        return 1 - sum(a * ratio / (p + a * ratio) for p, a in factors)

    ratio = brentq(score, 1e-6, 1e3, xtol=1e-14)
    information = sum(p * a * ratio / (p + a * ratio) ** 2 for p, a in factors)
    return ratio, information**-0.5


@pytest.fixture
def row(by_hand) -> Callable[[str], pd.Series]:
    return by_hand.table().set_index("rule").loc.__getitem__


def test_the_grid_is_the_four_definitions(four):
    chosen = four.options.set_index("rule").astype(str).agg(" ".join, axis=1)
    assert chosen.to_dict() == {
        W12_WHOLE: "12 whole", W12_HALF: "12 half", W24_WHOLE: "24 whole", W24_HALF: "24 half",
    }  # fmt: skip
    assert four.primary == W12_WHOLE


@pytest.mark.parametrize("rule", NAMES)
def test_events_are_those_worked_out(by_hand, rule):
    events = by_hand.events(rule)
    assert list(events["subject_id"]) == ["A1", "A2", "A3", "A4", "B1", "B2", "B3"]
    assert events[events["event"]].set_index("subject_id")["duration"].to_dict() == DAYS[rule]
    assert (events.loc[~events["event"], "duration"] == 336).all()


@pytest.mark.parametrize(("rule", "share"), list(zip(NAMES, SHARES, strict=True)))
def test_shares_are_counts(row, rule, share):
    found = row(rule)
    assert (found["n_at_risk"], found["n_events"]) == (7, 7 * share)
    assert found["event_share"] == pytest.approx(float(share), rel=EXACT)


def test_kaplan_meier_share_at_half_a_year_and_median(row):
    # All seven are followed beyond day 182: events up to then are A1, A2, A4 or A1, A4.
    assert [7 * row(rule)["km_share"] for rule in NAMES] == pytest.approx([3, 3, 2, 2], rel=EXACT)
    # 12 weeks: 5/7, 4/7, then 3/7 or 2/7 on day 252. 24 weeks: 5/7 at the end.
    medians = [row(rule)["median_years"] for rule in NAMES]
    half_way = [252 / YEAR, 252 / YEAR, np.nan, np.nan]
    assert medians == pytest.approx(half_way, rel=EXACT, nan_ok=True)


@pytest.mark.parametrize("rule", FACTORS)
def test_hazard_ratio_solves_the_score_equation(row, rule):
    ratio, error = hazard_ratio(FACTORS[rule])
    found = row(rule)
    assert found["term"] == "active vs placebo"
    assert found["hazard_ratio"] == pytest.approx(ratio, rel=ROOT)
    assert found["std_error"] == pytest.approx(error, rel=ROOT)
    ends = np.log(ratio) + 1.959963984540054 * error * np.array([-1, 1])
    assert found[["conf_low", "conf_high"]].tolist() == pytest.approx(list(ends), rel=ROOT)
    assert (found["few_events"], found["note"]) == FEW[rule]


@pytest.mark.parametrize("rule", [W24_WHOLE, W24_HALF])
def test_no_event_in_an_arm_is_no_estimate(row, rule):
    found = row(rule)
    assert found["note"] == "no event in active"
    assert found[["estimate", "std_error", "p_value", "hazard_ratio_high"]].isna().all()


def test_definitions_with_the_same_events_say_so(by_hand):
    assert by_hand.definitions["same_as"].tolist() == ["", "", "", W24_WHOLE]


def test_counts_by_arm(by_hand):
    counts = by_hand.groups.set_index(["rule", "group"])
    assert counts.loc[W12_HALF, "n_at_risk"].to_dict() == {"placebo": 4, "active": 3}
    assert counts.loc[W12_HALF, "n_events"].to_dict() == {"placebo": 4, "active": 1}
    # Placebo: 3/4 and 1/2 after two events on day 84, below one half on day 168.
    median = counts.loc[(W12_WHOLE, "placebo"), "median_years"]
    assert median == pytest.approx((84 + 168) / 2 / YEAR, rel=EXACT)


@pytest.mark.parametrize("pair", KAPPAS)
def test_kappa_is_that_of_the_counts(by_hand, pair):
    assert kappa_from(COUNTS[pair]) == KAPPAS[pair]
    assert by_hand.kappa().loc[pair] == pytest.approx(float(KAPPAS[pair]), rel=EXACT)
    assert by_hand.kappa().loc[pair[::-1]] == by_hand.kappa().loc[pair]


def test_kappa_of_definitions_that_agree_is_one(by_hand):
    matrix = by_hand.kappa()
    assert matrix.loc[W24_WHOLE, W24_HALF] == 1
    assert np.diag(matrix).tolist() == [1, 1, 1, 1]


def test_median_kappa_is_over_the_others(by_hand):
    # Each definition's three: (16, 6, 6), (16, 8, 8), (6, 8, 1), (6, 8, 1) over their denominators.
    expected = [6 / 13, 8 / 29, 6 / 13, 6 / 13]
    assert by_hand.definitions["median_kappa"].tolist() == pytest.approx(expected, rel=EXACT)


def test_kappa_by_half_a_year(by_hand):
    # By day 182: A1, A2, A4 under both 12-week definitions; A1, A4 after 24 weeks.
    matrix = by_hand.kappa(by_years=0.5)
    assert matrix.loc[W12_WHOLE, W12_HALF] == 1
    expected = float(kappa_from((2, 1, 0, 4)))
    assert matrix.loc[W12_WHOLE, W24_WHOLE] == pytest.approx(expected, rel=EXACT)


def test_influence_of_the_options(by_hand):
    log_ratio, share = by_hand.ratios["estimate"], by_hand.definitions["event_share"]
    table = option_influence(by_hand.options, log_ratio.to_numpy(), share.to_numpy())
    table = table.set_index("option")
    threshold, weeks = table.loc["threshold"], table.loc["confirm_weeks"]
    log_ratios = [np.log(hazard_ratio(FACTORS[rule])[0]) for rule in (W12_WHOLE, W12_HALF)]
    # Only the 12-week definitions have a hazard ratio: one pair differs in the threshold alone.
    assert (threshold["n_pairs"], weeks["n_pairs"]) == (1, 0)
    change = log_ratios[1] - log_ratios[0]
    assert threshold["largest_change_log_hr"] == pytest.approx(change, rel=ROOT)
    assert threshold["mean_change_log_hr"] == pytest.approx(abs(change), rel=ROOT)
    assert (threshold["largest_from"], threshold["largest_to"]) == (W12_WHOLE, W12_HALF)
    assert np.isnan(weeks["mean_change_log_hr"])
    # Shares: the threshold moves them by 1/7 and 0, the weeks by -2/7 and -3/7.
    assert threshold["mean_change_share"] == pytest.approx(1 / 14, rel=EXACT)
    assert weeks["mean_change_share"] == pytest.approx(5 / 14, rel=EXACT)
    assert weeks["largest_change_share"] == pytest.approx(-3 / 7, rel=EXACT)
    # In 28ths the shares are 16, 20, 8, 8, their squares about the mean 9 + 49 + 25 + 25 = 108;
    # between the weeks 4 x 25, between the thresholds 4 x 1.
    assert weeks["variance_share"] == pytest.approx(100 / 108, rel=EXACT)
    assert threshold["variance_share"] == pytest.approx(4 / 108, rel=EXACT)
    assert weeks["note"].startswith("unbalanced: 2 of 4 combinations")


def test_influence_leaves_few_events_out(by_hand):
    # Of the hazard ratios only one rests on five events: no pair is left, but the shares are.
    table = by_hand.influence().set_index("option")
    assert table["n_pairs"].tolist() == [0, 0]
    assert table["mean_change_log_hr"].isna().all()
    assert table.loc["threshold", "mean_change_share"] == pytest.approx(1 / 14, rel=EXACT)


def test_headline_and_contract(by_hand):
    # Of the two hazard ratios one rests on five events, the primary one on four.
    ratio, primary = (hazard_ratio(FACTORS[rule])[0] for rule in (W12_HALF, W12_WHOLE))
    assert by_hand.headline() == (
        f"4 definitions on 8 subjects: hazard ratio of active vs placebo {ratio:.2f}, "
        f"{primary:.2f} under point, 0 of 1 intervals favour active, 0 placebo, "
        "1 more with fewer than 5 events, 2 not estimable; "
        "share of subjects with the event 28.6 to 71.4 % (median 42.9 %); "
        "median kappa between definitions 0.46."
    )
    assert_result_contract(by_hand)
