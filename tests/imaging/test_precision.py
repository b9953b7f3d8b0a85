"""Precision: published tables and lme4 as stored witness, dense matrices, coverage, bad input."""

from __future__ import annotations

import dataclasses
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import assert_result_contract
from reference_cases import load_case
from scipy import stats

from pmsstats.cohort.schema import DataDictionary, Measure
from pmsstats.errors import DesignError, FormulaError
from pmsstats.imaging.agreement import AgreementResult, AgreementSpec, estimate_agreement
from pmsstats.imaging.limits_of_agreement import limits_of_agreement
from pmsstats.imaging.precision import PrecisionResult, PrecisionSpec, estimate_precision
from pmsstats.imaging.reliability import icc_one_way, one_way

ROUNDING = 1e-9
METERS = ["wright_l_min", "mini_l_min"]


@cache
def ratings() -> PrecisionResult:
    return estimate_precision(load_case("precision_ratings").input, "rating", replicate="judge")


@cache
def meters() -> PrecisionResult:
    return estimate_precision(load_case("precision_pef").input, METERS, replicate="occasion")


def scans(n: int = 30, k: int = 3, seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.normal(15, 1.5, n), k)
    frame = pd.DataFrame({"subject_id": np.repeat(np.arange(n), k), "scan": list(range(k)) * n})
    return frame.assign(thalamus_ml=level + rng.normal(0, 0.3, n * k) + 0.1 * frame["scan"])


# --- published values and another implementation ------------------------------------------------


@pytest.mark.parametrize("quantity", ["icc_1_1", "icc_a_1", "icc_c_1"])
def test_icc_equal_those_printed_by_shrout_and_fleiss(quantity):
    expected = load_case("precision_ratings").rows(f"published.{quantity}").iloc[0]
    assert ratings().value("rating", quantity) == pytest.approx(
        expected["value"], rel=expected["rtol"]
    )


@pytest.mark.parametrize("quantity", ["within_sd", "between_sd", "icc_1_1", "icc_a_1", "icc_c_1"])
def test_balanced_components_equal_those_of_lme4(quantity):
    expected = load_case("precision_ratings").rows(quantity).iloc[0]
    assert ratings().value("rating", quantity) == pytest.approx(expected["value"], rel=1e-5)


@pytest.mark.parametrize("quantity", ["within_sd", "icc_1_1", "published.within_sd"])
@pytest.mark.parametrize("meter", METERS)
def test_repeatability_of_the_peak_flow_meters(meter, quantity):
    rows = load_case("precision_pef").rows(quantity)
    expected = rows[rows["term"] == meter].iloc[0]
    found = meters().value(meter, quantity.rpartition(".")[2])
    assert found == pytest.approx(expected["value"], rel=expected["rtol"])


def agreement_values(found: AgreementResult) -> dict[str, float]:
    rows = found.table().set_index("term")
    return {
        "bias": rows.loc["bias", "estimate"],
        "bias_low": rows.loc["bias", "conf_low"],
        "bias_high": rows.loc["bias", "conf_high"],
        "sd": found.sd,
        "upper": rows.loc["upper", "estimate"],
        "upper_low": rows.loc["upper", "conf_low"],
        "upper_high": rows.loc["upper", "conf_high"],
    }


@pytest.mark.parametrize("quantity", ["agreement", "published.agreement"])
def test_agreement_of_the_peak_flow_meters(quantity):
    case = load_case("precision_pef")
    found = agreement_values(estimate_agreement(case.input[case.input["occasion"] == 1], *METERS))
    expected = case.rows(quantity)
    assert len(expected)
    for row in expected.to_dict("records"):
        assert found[row["term"]] == pytest.approx(row["value"], rel=row["rtol"]), row["term"]


def test_agreement_with_repeated_pairs_has_the_variance_of_lme4():
    case = load_case("precision_pef")
    found = agreement_values(estimate_agreement(case.input, *METERS))
    for row in case.rows("repeated").to_dict("records"):
        assert found[row["term"]] == pytest.approx(row["value"], rel=row["rtol"])


def test_visits_around_lines_have_the_residual_sd_of_the_random_slope_model():
    case = load_case("lmm_sleepstudy")
    found = estimate_precision(case.input, "Reaction", subject="Subject", time="Days")
    expected = case.rows("reml.residual_sd")["value"].iloc[0]
    assert found.value("Reaction", "within_sd") == pytest.approx(expected, rel=1e-5)
    assert found.table()["df"].iloc[0] == 180 - 2 * 18


# --- formulas written out -----------------------------------------------------------------------


def test_intervals_of_the_icc_are_those_of_mcgraw_and_wong():
    """Tables 4 and 7 of McGraw and Wong 1996, from sums of squares by projection matrices."""
    table = load_case("precision_ratings").input["rating"].to_numpy(float).reshape(6, 4)
    n, k = table.shape
    y, J = table.ravel(), lambda m: np.full((m, m), 1 / m)
    rows = np.kron(np.eye(n) - J(n), J(k))
    columns = np.kron(J(n), np.eye(k) - J(k))
    rest = np.kron(np.eye(n) - J(n), np.eye(k) - J(k))
    msr, msc = y @ rows @ y / (n - 1), y @ columns @ y / (k - 1)
    mse = y @ rest @ y / ((n - 1) * (k - 1))
    msw = (y @ columns @ y + y @ rest @ y) / (n * (k - 1))
    found = ratings().table().set_index("quantity")

    def f(df1: float, df2: float) -> float:
        return stats.f.ppf(0.975, df1, df2)

    low, high = msr / msw / f(n - 1, n * (k - 1)), msr / msw * f(n * (k - 1), n - 1)
    expected = [(low - 1) / (low + k - 1), (high - 1) / (high + k - 1)]
    assert found.loc["icc_1_1", ["conf_low", "conf_high"]].tolist() == pytest.approx(expected)
    low = msr / mse / f(n - 1, (n - 1) * (k - 1))
    high = msr / mse * f((n - 1) * (k - 1), n - 1)
    expected = [(low - 1) / (low + k - 1), (high - 1) / (high + k - 1)]
    assert found.loc["icc_c_1", ["conf_low", "conf_high"]].tolist() == pytest.approx(expected)
    rho = found.loc["icc_a_1", "estimate"]
    a, b = k * rho / (n * (1 - rho)), 1 + k * rho * (n - 1) / (n * (1 - rho))
    v = (a * msc + b * mse) ** 2 / ((a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1)))
    up, down = f(n - 1, v), f(v, n - 1)
    expected = [
        n * (msr - up * mse) / (up * (k * msc + (k * n - k - n) * mse) + n * msr),
        n * (down * msr - mse) / (k * msc + (k * n - k - n) * mse + n * down * msr),
    ]
    assert found.loc["icc_a_1", ["conf_low", "conf_high"]].tolist() == pytest.approx(expected)


def test_unbalanced_icc_interval_solves_walds_equation_in_dense_matrices():
    rng = np.random.default_rng(3)
    subject = np.repeat(np.arange(12), rng.integers(1, 5, 12))
    y = rng.normal(0, 2, 12)[subject] + rng.normal(size=len(subject))
    anova = one_way(y, subject)
    found = icc_one_way(anova, 0.9)
    Z, ones = np.eye(12)[subject], np.ones((len(y), 1))
    within = y - Z @ np.linalg.lstsq(Z, y, rcond=None)[0]
    msw = within @ within / (len(y) - 12)
    for icc, p in ((found.low, 0.95), (found.high, 0.05)):
        V = np.eye(len(y)) + icc / (1 - icc) * Z @ Z.T
        W = np.linalg.inv(V)
        P = W - W @ ones @ np.linalg.inv(ones.T @ W @ ones) @ ones.T @ W
        ratio = (y @ P @ y - within @ within) / 11 / msw
        assert ratio == pytest.approx(stats.f.ppf(p, 11, len(y) - 12), rel=1e-7)


def test_within_sd_mdc_and_coefficients_of_variation_by_hand():
    frame = scans(12, 3).drop(index=[0, 5, 6])
    found = estimate_precision(frame, "thalamus_ml").table().set_index("quantity")
    by_subject = frame.groupby("subject_id")["thalamus_ml"]
    df, variance = by_subject.size() - 1, by_subject.var().fillna(0)
    sd = np.sqrt((df * variance).sum() / df.sum())
    assert found.loc["within_sd", "estimate"] == pytest.approx(sd)
    ends = sd * np.sqrt(df.sum() / stats.chi2.ppf([0.975, 0.025], df.sum()))
    assert found.loc["within_sd", ["conf_low", "conf_high"]].tolist() == pytest.approx(
        ends.tolist()
    )
    assert found.loc["mdc", "estimate"] == pytest.approx(stats.norm.ppf(0.975) * np.sqrt(2) * sd)
    rms = np.sqrt((df * variance / by_subject.mean() ** 2).sum() / df.sum())
    assert found.loc["cv_rms_pct", "estimate"] == pytest.approx(100 * rms)
    logs = np.log(frame["thalamus_ml"]).groupby(frame["subject_id"])
    log_sd = np.sqrt((df * logs.var().fillna(0)).sum() / df.sum())
    assert found.loc["cv_log_pct", "estimate"] == pytest.approx(100 * (np.exp(log_sd) - 1))


def test_two_replicates_give_the_difference_over_root_two():
    frame = scans(20, 2)
    wide = frame.pivot_table(index="subject_id", columns="scan", values="thalamus_ml").to_numpy()
    found = estimate_precision(frame, "thalamus_ml", replicate="scan")
    difference = wide[:, 1] - wide[:, 0]
    assert found.value("thalamus_ml", "within_sd") == pytest.approx(
        np.sqrt(np.mean(difference**2) / 2)
    )
    assert found.value("thalamus_ml", "bias") == pytest.approx(difference.mean())
    spread = stats.norm.ppf(0.975) * difference.std(ddof=1)
    assert found.value("thalamus_ml", "loa_upper") == pytest.approx(difference.mean() + spread)


def test_limits_of_repeated_pairs_are_zous():
    """Zou 2013: intervals of mean and variances combined (MOVER)."""
    rng = np.random.default_rng(8)
    m = rng.integers(1, 5, 15)
    subject = np.repeat(np.arange(15), m)
    d = 1 + rng.normal(0, 1.5, 15)[subject] + rng.normal(size=len(subject))
    found = limits_of_agreement(d, subject, coverage=0.95, conf_level=0.95)
    means = np.array([d[subject == i].mean() for i in range(15)])
    within = sum(((d[subject == i] - means[i]) ** 2).sum() for i in range(15)) / (len(d) - 15)
    part = (1 - np.mean(1 / m)) * within
    total, z = means.var(ddof=1) + part, stats.norm.ppf(0.975)
    chi = {(df, p): stats.chi2.ppf(p, df) for df in (14, len(d) - 15) for p in (0.025, 0.975)}
    s2 = means.var(ddof=1)
    low = total - np.hypot(
        s2 * (1 - 14 / chi[14, 0.975]), part * (1 - (len(d) - 15) / chi[len(d) - 15, 0.975])
    )
    high = total + np.hypot(
        s2 * (14 / chi[14, 0.025] - 1), part * ((len(d) - 15) / chi[len(d) - 15, 0.025] - 1)
    )
    limit = means.mean() + z * np.sqrt(total)
    expected = [
        limit - np.sqrt(z**2 * s2 / 15 + z**2 * (np.sqrt(total) - np.sqrt(low)) ** 2),
        limit,
        limit + np.sqrt(z**2 * s2 / 15 + z**2 * (np.sqrt(high) - np.sqrt(total)) ** 2),
    ]
    assert [found.upper.low, found.upper.value, found.upper.high] == pytest.approx(expected)


# --- coverage -----------------------------------------------------------------------------------


def test_exact_intervals_cover_as_they_should():
    rng, replicates, n = np.random.default_rng(2), 1500, 12
    truth = {"sd": 0.5, "icc": 1 / 1.25, "upper": 0.1 + stats.norm.ppf(0.975) * 0.5 * np.sqrt(2)}
    subject, covered = np.repeat(np.arange(n), 2), dict.fromkeys(truth, 0)
    uneven = np.repeat(np.arange(n), [1, 2, 3] * 4)
    for _ in range(replicates):
        level = rng.normal(0, 1, n)
        y = level[uneven] + rng.normal(0, 0.5, len(uneven))
        icc = icc_one_way(one_way(y, uneven), 0.95)
        covered["icc"] += icc.low <= truth["icc"] <= icc.high
        d = 0.1 + rng.normal(0, 0.5 * np.sqrt(2), n)
        upper = limits_of_agreement(d, np.arange(n), coverage=0.95, conf_level=0.95).upper
        covered["upper"] += upper.low <= truth["upper"] <= upper.high
        pair = level[subject] + rng.normal(0, 0.5, 2 * n)
        frame_sd = one_way(pair, subject)
        ends = frame_sd.ms_within * n / stats.chi2.ppf([0.975, 0.025], n)
        covered["sd"] += ends[0] <= 0.25 <= ends[1]
    allowed = 4 * np.sqrt(0.95 * 0.05 / replicates)
    assert all(abs(count / replicates - 0.95) < allowed for count in covered.values())


# --- properties -----------------------------------------------------------------------------------


def test_result_contracts():
    assert_result_contract(ratings())
    assert_result_contract(meters())
    assert_result_contract(estimate_agreement(load_case("precision_pef").input, *METERS))
    assert_result_contract(estimate_precision(scans(), "thalamus_ml", time="scan"))


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([1e-4, 1000.0]))
def test_order_and_units(seed, factor):
    frame = scans()
    first = estimate_precision(frame, "thalamus_ml", replicate="scan").table()
    other = frame.sample(frac=1, random_state=seed).assign(
        thalamus_ml=lambda f: f["thalamus_ml"] * factor
    )
    second = estimate_precision(other, "thalamus_ml", replicate="scan").table()
    free = first["quantity"].str.startswith(("icc", "cv")).to_numpy()
    for column in ("estimate", "conf_low", "conf_high"):
        expected = first[column].to_numpy() * np.where(free, 1.0, factor)
        assert second[column].to_numpy() == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_a_trend_is_no_error_around_lines():
    frame = scans(20, 4)
    steep = frame.assign(
        thalamus_ml=frame["thalamus_ml"] - 2.0 * frame["scan"] * frame["subject_id"]
    )
    for data in (frame, steep):
        found = estimate_precision(data, "thalamus_ml", time="scan")
        assert found.value("thalamus_ml", "within_sd") == pytest.approx(
            estimate_precision(frame, "thalamus_ml", time="scan").value("thalamus_ml", "within_sd"),
            rel=1e-6,
        )


def test_subject_with_one_scan_adds_no_degree_of_freedom():
    frame = scans(10, 2)
    one_less = estimate_precision(frame.drop(index=1), "thalamus_ml", replicate="scan")
    rows = one_less.table().set_index("quantity")
    assert rows.loc["within_sd", "df"] == 9
    assert rows.loc["icc_1_1", "n_subjects"] == 10
    assert rows.loc["icc_a_1", "n_subjects"] == 9
    assert any("lack some scan" in note for note in one_less.notes)


def test_perfect_repeats():
    frame = scans(10, 2).assign(thalamus_ml=lambda f: f["subject_id"] + 10.0)
    found = estimate_precision(frame, "thalamus_ml", replicate="scan")
    assert found.value("thalamus_ml", "within_sd") == 0
    assert found.value("thalamus_ml", "icc_a_1") == 1
    assert found.value("thalamus_ml", "icc_1_1") == 1


def test_plots_show_limits_and_pairs():
    _, ax = plt.subplots()
    meters().plot(ax=ax, measure="wright_l_min")
    lines = {line.get_gid(): line.get_ydata() for line in ax.get_lines()}
    expected = meters().limits("wright_l_min").set_index("term")["estimate"]
    assert {name: lines[name][0] for name in expected.index} == pytest.approx(expected.to_dict())
    assert len(lines["pairs"]) == 17
    _, ax = plt.subplots()
    meters().plot(ax=ax, quantity="cv_log_pct")
    assert [t.get_text() for t in ax.get_yticklabels()] == METERS
    plt.close("all")


# --- bad input ---------------------------------------------------------------------------------


def test_missing_values_are_counted_per_measure():
    frame = scans(10, 2).assign(sdmt=1.0 + np.arange(20.0) % 7)
    frame.loc[[0, 4], "thalamus_ml"] = [np.nan, np.inf]
    found = estimate_precision(frame, ["thalamus_ml", "sdmt"], replicate="scan")
    rows = found.excluded()
    assert rows["n"].tolist() == [1, 1]
    assert set(found.table()["n_obs"]) == {18, 20}


def test_scores_without_a_true_zero_have_no_coefficient_of_variation():
    dictionary = DataDictionary([Measure(name="z", label="z score", scale="interval")])
    frame = scans(10, 2).rename(columns={"thalamus_ml": "z"})
    found = estimate_precision(frame, "z", dictionary=dictionary)
    assert np.isnan(found.value("z", "cv_rms_pct"))
    assert any("coefficient of variation" in note for note in found.notes)
    below = scans(10, 2).assign(thalamus_ml=lambda f: f["thalamus_ml"] - 15)
    assert np.isnan(estimate_precision(below, "thalamus_ml").value("thalamus_ml", "cv_log_pct"))


@pytest.mark.parametrize(
    ("change", "options", "match"),
    [
        ({"subject_id": range(20)}, {}, "two measurements"),
        ({}, {"time": "scan"}, "three visits"),
        ({"scan": 1}, {"replicate": "scan"}, "one row per scan"),
        ({"thalamus_ml": "a"}, {}, "column of numbers"),
        ({"thalamus_ml": 15.1}, {}, "15.1 in every row"),
        ({}, {"replicate": "scan", "time": "scan"}, "not both"),
        ({}, {"coverage": 1.5}, "coverage"),
        ({}, {"subject": "subject"}, "subject_id"),
    ],
)
def test_bad_requests_are_refused(change, options, match):
    with pytest.raises((DesignError, FormulaError), match=match):
        estimate_precision(scans(10, 2).assign(**change), "thalamus_ml", **options)


def test_bad_agreements_are_refused():
    frame = load_case("precision_pef").input
    with pytest.raises(DesignError, match="at least three subjects"):
        estimate_agreement(frame[frame["subject_id"].isin(["P1", "P2"])], *METERS)
    with pytest.raises(DesignError, match="same column"):
        estimate_agreement(frame, METERS[0], METERS[0])
    with pytest.raises(DesignError, match="two replicates"):
        ratings().plot(measure="rating")
    with pytest.raises(DesignError, match="`measures`"):
        PrecisionSpec(measures=())
    with pytest.raises(DesignError, match="twice"):
        dataclasses.replace(PrecisionSpec(measures=("a",)), measures=("a", "a"))


@pytest.mark.parametrize(
    ("asked", "options", "match"),
    [
        (PrecisionSpec(measures=("thalamus_ml",)), {"replicate": "scan"}, "`replicate` cannot"),
        (PrecisionSpec(measures=("thalamus_ml",)), {"coverage": 0.95}, "`coverage` cannot"),
        ("thalamus_ml", {"level": 0.9}, "`level` is no option"),
    ],
)
def test_options_of_precision_that_would_be_ignored_are_refused(asked, options, match):
    with pytest.raises(DesignError, match=match):
        estimate_precision(scans(), asked, **options)


def test_options_of_agreement_that_would_be_ignored_are_refused():
    frame, spec = load_case("precision_pef").input, AgreementSpec(first=METERS[0], second=METERS[1])
    with pytest.raises(DesignError, match="`coverage` cannot be given beside the AgreementSpec"):
        estimate_agreement(frame, spec, coverage=0.9)
    with pytest.raises(DesignError, match="`second` cannot"):
        estimate_agreement(frame, spec, METERS[1])
    with pytest.raises(DesignError, match="`second` must be given"):
        estimate_agreement(frame, METERS[0])
    assert estimate_agreement(frame, spec).spec == estimate_agreement(frame, *METERS).spec == spec
