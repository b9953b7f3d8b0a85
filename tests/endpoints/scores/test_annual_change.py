"""Annual change; witnesses: hand-worked patients, identities of rates, R (scores_trial)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from properties import assert_result_contract
from reference_cases import load_case

from pmsstats.cohort import Cohort
from pmsstats.endpoints.scores.annual_change import (
    annualised_percent_change,
    derive_annual_change,
)
from pmsstats.errors import DesignError, SchemaError

ROUNDING = 1e-9  # relative: differences of nearly equal volumes lose up to six digits of sixteen
volumes = st.floats(800, 1800)
days = st.integers(1, 4000)


# The rate itself


@pytest.mark.parametrize(
    ("start", "end", "length", "linear", "compound"),
    [
        (1500, 1485, 365.25, -1.0, -1.0),  # a loss of 1 % in a year
        (1500, 1470, 730.5, -1.0, -100 * (1 - 0.98**0.5)),
        (100, 81, 730.5, -9.5, -10.0),  # 0.9 x 0.9
        (1500, 1494, 91.3125, -1.6, -100 * (1 - 0.996**4)),  # 0.4 % in a quarter
        (70, 70, 500, 0.0, 0.0),
        (70, 77, 365.25, 10.0, 10.0),
        (70, 0, 365.25, -100.0, -100.0),
    ],
)
def test_rates_worked_by_hand(start, end, length, linear, compound):
    found = [annualised_percent_change(start, end, 10, 10 + length, method=m)
             for m in ("linear", "compound")]  # fmt: skip
    np.testing.assert_allclose(found, [linear, compound], rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("method", ["linear", "compound"])
@pytest.mark.parametrize(
    ("start", "end", "start_day", "end_day"),
    [
        (np.nan, 1, 0, 1), (1, np.nan, 0, 1), (1, 1, np.nan, 1), (1, 1, 0, np.nan),
        (1, 2, 5, 5),  # the same day
        (0, 1, 0, 365), (-1, 1, 0, 365),  # no percentage of these
        (np.inf, 1, 0, 365), (1, np.inf, 0, 365), (1, 1, 0, np.inf),
    ],
)  # fmt: skip
def test_no_rate_where_there_is_none(method, start, end, start_day, end_day):
    assert np.isnan(annualised_percent_change(start, end, start_day, end_day, method=method))


def test_below_zero_only_the_linear_rate_goes_on():
    assert annualised_percent_change(10, -10, 0, 365.25) == pytest.approx(-200, rel=ROUNDING)
    assert np.isnan(annualised_percent_change(10, -10, 0, 365.25, method="compound"))


def test_shapes_broadcast():
    found = annualised_percent_change([[1000.0], [2000.0]], [990.0, 980.0], 0, [365.25, 730.5])
    np.testing.assert_allclose(found, [[-1.0, -1.0], [-50.5, -25.5]], rtol=ROUNDING)


@given(volumes, volumes, days, st.floats(1e-3, 1e3), st.sampled_from(["linear", "compound"]))
def test_the_unit_of_the_measure_does_not_matter(start, end, length, factor, method):
    rate = annualised_percent_change(start, end, 0, length, method=method)
    scaled = annualised_percent_change(start * factor, end * factor, 0, length, method=method)
    np.testing.assert_allclose(scaled, rate, rtol=ROUNDING, atol=1e-6)


@given(volumes, volumes, days, st.integers(-1000, 1000))
def test_only_the_length_of_the_interval_matters(start, end, length, shift):
    rate = annualised_percent_change(start, end, 0, length)
    assert annualised_percent_change(start, end, shift, shift + length) == rate


@given(volumes, volumes, days)
def test_twice_the_time_halves_the_linear_rate(start, end, length):
    once = annualised_percent_change(start, end, 0, length)
    twice = annualised_percent_change(start, end, 0, 2 * length)
    np.testing.assert_allclose(twice, once / 2, rtol=ROUNDING)


@given(volumes, volumes, volumes, days, days)
def test_splitting_an_interval(start, middle, end, first, second):
    t = np.array([first, second]) / 365.25
    linear = annualised_percent_change([start, middle], [middle, end], [0, first],
                                       [first, first + second])  # fmt: skip
    whole = annualised_percent_change(start, end, 0, first + second)
    # linear rates add up once both refer to the same start
    parts = (linear * t * [1, middle / start]).sum() / t.sum()
    np.testing.assert_allclose(parts, whole, rtol=1e-6, atol=1e-6)
    assume(min(first, second) > 30)
    compound = annualised_percent_change([start, middle], [middle, end], [0, first],
                                         [first, first + second], method="compound")  # fmt: skip
    whole = annualised_percent_change(start, end, 0, first + second, method="compound")
    # yearly factors multiply, each over its own time
    parts = 100 * (np.exp((np.log1p(compound / 100) * t).sum() / t.sum()) - 1)
    np.testing.assert_allclose(parts, whole, rtol=1e-6, atol=1e-6)


@given(volumes, st.floats(-8, 4), days)
def test_a_steady_compound_decline_has_the_same_rate_over_any_interval(start, rate, length):
    end = start * (1 + rate / 100) ** (length / 365.25)
    found = annualised_percent_change(start, end, 0, length, method="compound")
    np.testing.assert_allclose(found, rate, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((1, 1, 5, 4), {}, r"`end_day` must not lie before `start_day`, .* 1 of 1 .* 5 to 4"),
        ((1, 1, [0, 9], [1, 8]), {}, r"in 1 of 2 intervals \(first: 9 to 8\)"),
        (([1, 2], [1, 2, 3], 0, 1), {}, r"shapes that broadcast, got \(2,\), \(3,\)"),
        ((1, 1, 0, 1), {"method": "compounded"}, r"Did you mean 'compound'"),
    ],
)
def test_bad_rates_are_refused_in_words(arguments, options, message):
    with pytest.raises(DesignError, match=message):
        annualised_percent_change(*arguments, **options)


# By subject and interval


@pytest.fixture
def scans():
    """Scan at screening and after; no scan at baseline; one scan; a gap and a repeat scan."""
    rows = [
        ("a", -20, 1500.0), ("a", 0, np.nan), ("a", 345, 1494.0), ("a", 711, 1476.0),
        ("b", 100, 1400.0), ("b", 465, 1393.0),
        ("c", 0, 1300.0),
        ("d", 0, 1000.0), ("d", 180, 995.0), ("d", 187, 996.0), ("d", 552, 986.0),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["subject_id", "day", "brain_ml"])


def intervals(made):
    """Return who, from when to when."""
    return made.changes[["subject_id", "start_day", "end_day"]].to_numpy().tolist()


def test_from_baseline(scans):
    made = derive_annual_change(scans, "brain_ml")
    assert intervals(made) == [
        ["a", -20, 345], ["a", -20, 711], ["d", 0, 180], ["d", 0, 187], ["d", 0, 552],
    ]  # fmt: skip
    first = made.changes.iloc[0]
    # 6 of 1500 ml in 365 of 365.25 days
    assert first["change"] == -6.0
    assert first["years"] == pytest.approx(365 / 365.25, rel=ROUNDING)
    assert first["change_per_year"] == pytest.approx(-6 * 365.25 / 365, rel=ROUNDING)
    assert first["percent_per_year"] == pytest.approx(-0.4 * 365.25 / 365, rel=ROUNDING)
    assert made.changes["above_cutoff"].isna().all()


def test_between_scans_starts_at_the_latest_scan_long_enough_before(scans):
    made = derive_annual_change(scans, "brain_ml", intervals="between_scans", min_interval_days=30)
    assert intervals(made) == [
        ["a", -20, 345], ["a", 345, 711], ["d", 0, 180], ["d", 0, 187], ["d", 187, 552],
    ]  # fmt: skip
    every = derive_annual_change(scans, "brain_ml", intervals="between_scans")
    assert ["d", 180, 187] in intervals(every)


def test_everything_left_out_is_counted(scans):
    made = derive_annual_change(scans, "brain_ml", min_interval_days=185)
    counts = {(e.unit, e.reason): (e.n, e.subject_ids) for e in made.exclusions}
    assert counts == {
        ("visit", "no brain_ml"): (1, ("a",)),
        ("subject", "no scan at baseline"): (1, ("b",)),
        ("visit", "less than 185 day(s) after the start"): (1, ("d",)),
        ("subject", "no interval after the baseline"): (1, ("c",)),
    }
    assert made.n_subjects == 2


def test_a_window_after_day_zero_finds_a_late_baseline(scans):
    made = derive_annual_change(scans, "brain_ml", baseline_window_days=100)
    assert ["b", 100, 465] in intervals(made)


def test_a_rebaseline_scan_leaves_the_early_effect_behind(scans):
    made = derive_annual_change(scans, "brain_ml", rebaseline_day=90)
    assert intervals(made) == [["a", 345, 711], ["b", 100, 465], ["d", 180, 187], ["d", 180, 552]]
    reasons = {e.reason: e.subject_ids for e in made.exclusions}
    assert reasons["before the baseline"] == ("a", "d")
    assert reasons["no scan on or after day 90"] == ("c",)


def test_neda4_flags_losses_of_more_than_04_percent(scans):
    made = derive_annual_change(scans, "brain_ml", cutoff="neda4")
    # a: 0.4003 and 0.7996 %; d: 1.0146, 0.7813 and 0.9264 % per year
    assert made.changes["above_cutoff"].tolist() == [True] * 5
    strict = derive_annual_change(scans, "brain_ml", cutoff=0.8)
    assert strict.changes["above_cutoff"].tolist() == [False, False, True, False, True]
    assert strict.headline().endswith("2 of 5 lose more than 0.8 % per year.")


def test_change_from_baseline_becomes_a_level():
    # 100, then 99.5 after a year and 98.505 after two: 0.5 % and 1.495 % of the baseline
    visits = pd.DataFrame({"subject_id": "a", "day": [0, 365.25, 730.5],
                           "pbvc_pct": [np.nan, -0.5, -1.495]})  # fmt: skip
    whole = derive_annual_change(visits, "pbvc_pct").changes
    np.testing.assert_allclose(whole["percent_per_year"], [-0.5, -0.7475], rtol=ROUNDING)
    steps = derive_annual_change(visits, "pbvc_pct", intervals="between_scans").changes
    np.testing.assert_allclose(steps["percent_per_year"], [-0.5, -1.0], rtol=ROUNDING)  # of 99.5


def test_mtr_and_cord_area_change_in_their_own_unit_and_in_percent():
    visits = pd.DataFrame({"subject_id": "a", "day": [0, 731], "nawm_mtr_pu": [40.0, 39.2],
                           "cord_area_c2c3_mm2": [70.0, 67.2]})  # fmt: skip
    years = 731 / 365.25
    for name, change in (("nawm_mtr_pu", -0.8), ("cord_area_c2c3_mm2", -2.8)):
        row = derive_annual_change(visits, name).changes.iloc[0]
        assert row["change_per_year"] == pytest.approx(change / years, rel=ROUNDING)
        assert row["percent_per_year"] == pytest.approx(100 * change / visits[name][0] / years)


def test_a_scale_without_a_zero_has_no_percentage():
    visits = pd.DataFrame({"subject_id": "a", "day": [0, 731], "msfc_z": [0.5, 0.1]})
    made = derive_annual_change(visits, "msfc_z")
    assert made.changes["percent_per_year"].isna().all()
    assert made.changes["change_per_year"].item() == pytest.approx(-0.4 / 731 * 365.25)
    assert made.exclusions == ()
    assert "per year, 1 intervals" in made.headline()


def test_a_start_of_zero_has_no_percentage_and_is_counted():
    visits = pd.DataFrame({"subject_id": "a", "day": [0, 365], "t2_lesion_ml": [0.0, 1.2]})
    made = derive_annual_change(visits, "t2_lesion_ml")
    assert made.changes["change_per_year"].item() == pytest.approx(1.2 * 365.25 / 365)
    assert [e.reason for e in made.exclusions] == ["no percentage: the start is not above 0"]


@pytest.mark.parametrize("quantity", ["percent_linear", "percent_compound"])
def test_agrees_with_r(quantity):
    case = load_case("scores_trial")
    made = derive_annual_change(case.input, "brain_ml", method=quantity.removeprefix("percent_"))
    expected = case.rows(quantity).set_index("term")["value"]
    terms = made.changes["subject_id"] + "/" + made.changes["end_day"].astype(str)
    found = made.changes.set_index(terms)["percent_per_year"]
    assert len(found) == len(expected) == 48
    np.testing.assert_allclose(found[expected.index], expected, rtol=ROUNDING)


def test_row_order_does_not_matter(scans):
    shuffled = derive_annual_change(scans.sample(frac=1, random_state=2), "brain_ml")
    pd.testing.assert_frame_equal(shuffled.changes, derive_annual_change(scans, "brain_ml").changes)


def test_a_cohort_brings_its_measures_and_origin(scans):
    cohort = Cohort(
        pd.DataFrame({"subject_id": ["a", "b", "c", "d"]}), scans[scans["day"] >= 0],
        origin="synthetic",
    )  # fmt: skip
    made = derive_annual_change(cohort, "brain_ml", cutoff="neda4")
    assert made.headline().startswith("In synthetic data, Whole-brain volume: median change")
    assert_result_contract(made)
    with pytest.raises(SchemaError, match="no measure 'brain_m'"):
        derive_annual_change(cohort, "brain_m")


@pytest.mark.parametrize(
    ("measure", "options", "message"),
    [
        ("brain_ml", {"intervals": "baseline"}, r"`intervals` must be 'from_baseline'"),
        ("brain_ml", {"method": "log"}, r"`method` must be"),
        ("brain_ml", {"min_interval_days": 0}, r"`min_interval_days` must be at least 1"),
        ("brain_ml", {"cutoff": "neda_4"}, r"Did you mean 'neda4'"),
        ("brain_ml", {"cutoff": -0.4}, r"without sign"),
        ("lateral_ventricle_ml", {"cutoff": 0.4}, r"which is worse when higher"),
        ("msfc_z", {"cutoff": 0.4}, r"which is no ratio scale"),
        ("new_t2_count", {}, r"Use `derive_lesion_rate`"),
        ("brain_m", {}, r"Did you mean 'brain_ml'"),
        ("brain_ml", {"min_interval_days": 5000}, r"No subject has two scans"),
    ],
)
def test_bad_requests_are_refused_in_words(scans, measure, options, message):
    others = dict.fromkeys(("lateral_ventricle_ml", "msfc_z", "new_t2_count"), 1.0)
    with pytest.raises(DesignError, match=message):
        derive_annual_change(scans.assign(**others), measure, **options)
