"""Log-rank tests: R and lifelines as witnesses, permutation by brute force, bad input."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifelines.statistics import multivariate_logrank_test
from properties import assert_covariance_matrix, assert_result_contract
from reference_cases import load_case
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models.curves.kaplan_meier import KMSpec, fit_km
from pmsstats.models.curves.log_rank import LogRankSpec, compare_survival

SAME = 1e-9  # relative: the same sums in another order
FH = "fleming_harrington"

R_TESTS = {
    "plain": {},
    "strata": {"strata": "centre"},
    "peto1": {"weights": (FH, 1, 0)},
    "peto1_strata": {"weights": (FH, 1, 0), "strata": ("centre",)},
    "half": {"weights": (FH, 0.5, 0)},
    "entry": {"entry": "entry", "duration": "untied"},
    "entry_strata": {"entry": "entry", "duration": "untied", "strata": "centre"},
}
R_TRENDS = {"trend": {}, "trend_strata": {"strata": "centre"}}


@pytest.fixture(scope="module")
def case():
    return load_case("survival_curves")


@pytest.fixture(scope="module")
def data(case) -> pd.DataFrame:
    """The input, with the untied durations that R drew."""
    untied = case.rows("untied").set_index("term")["value"]
    return case.input.assign(untied=case.input["subject_id"].map(untied))


@pytest.mark.parametrize("engine", ["lifelines", "native"])
@pytest.mark.parametrize("name", R_TESTS)
def test_statistic_agrees_with_r(case, data, name: str, engine: str) -> None:
    """Witness: survdiff, and the score test of coxph, of R's survival (stored)."""
    fit = compare_survival(data, LogRankSpec(by="arm", **R_TESTS[name]), engine=engine)
    known = {"strata", "entry"}.isdisjoint(R_TESTS[name])
    assert fit.fit_log.engine == (engine if known else "native")
    assert ("lifelines has none for" in fit.fit_log.message) == (
        engine == "lifelines" and not known
    )
    row = case.rows(f"{name}.statistic").iloc[0]
    assert fit.test.statistic == pytest.approx(row["value"], rel=row["rtol"])
    assert fit.test.df == 2
    assert fit.test.p_value == pytest.approx(stats.chi2.sf(row["value"], 2), rel=1e-6)


@pytest.mark.parametrize("name", ["plain", "strata", "peto1", "peto1_strata", "half"])
def test_observed_and_expected_agree_with_r(case, data, name: str) -> None:
    """Witness: survdiff of R's survival (stored)."""
    table = compare_survival(data, LogRankSpec(by="arm", **R_TESTS[name])).table()
    table = table.set_index(table["group"].astype(str))
    for quantity in ("observed", "expected"):
        for row in case.rows(f"{name}.{quantity}").itertuples():
            group = row.term.removeprefix("arm=").split(",")[0]
            assert table.loc[group, quantity] == pytest.approx(row.value, rel=row.rtol)


@pytest.mark.parametrize("name", R_TRENDS)
def test_trend_agrees_with_r(case, data, name: str) -> None:
    """Witness: the score test of coxph for a dose (stored); a shifted dose changes nothing."""
    row = case.rows(f"{name}.statistic").iloc[0]
    for trend in ((2, 1, 0), (12.0, 7.0, 2.0)):
        spec = LogRankSpec(by="arm", duration="untied", trend=trend, **R_TRENDS[name])
        fit = compare_survival(data, spec)
        assert fit.trend.statistic == pytest.approx(row["value"], rel=row["rtol"])
        assert fit.trend.df == 1


def test_pairs_agree_with_r(case, data) -> None:
    """Witness: survdiff on each pair of arms (stored); Holm's steps by hand."""
    pairs = compare_survival(data, LogRankSpec(by="arm", pairwise=True)).pairs
    found = {f"{r.group}/{r.other}": r.statistic for r in pairs.itertuples()}
    for row in case.rows("pairs.statistic").itertuples():
        assert found[row.term] == pytest.approx(row.value, rel=row.rtol)
    ordered = pairs.sort_values("p_value")
    p = ordered["p_value"].to_numpy()
    by_hand = [min(1, 3 * p[0]), min(1, max(3 * p[0], 2 * p[1]))]
    by_hand.append(min(1, max(by_hand[1], p[2])))
    np.testing.assert_allclose(ordered["p_value_holm"], by_hand, rtol=SAME)


LIFELINES = {
    "gehan": {"weightings": "wilcoxon"},
    "tarone_ware": {"weightings": "tarone-ware"},
    "peto": {"weightings": "peto"},
    (FH, 0, 1): {"weightings": "fleming-harrington", "p": 0, "q": 1},
    (FH, 1, 1): {"weightings": "fleming-harrington", "p": 1, "q": 1},
}


@pytest.mark.parametrize("weights", LIFELINES)
def test_weights_agree_with_lifelines(data, weights) -> None:
    """Witness: multivariate_logrank_test of lifelines, run here."""
    fit = compare_survival(data, LogRankSpec(by="arm", weights=weights), engine="native")
    asked = compare_survival(data, LogRankSpec(by="arm", weights=weights))
    theirs = multivariate_logrank_test(
        data["duration"], data["arm"], data["event"], **LIFELINES[weights]
    )
    assert fit.test.statistic == pytest.approx(theirs.test_statistic, rel=SAME)
    assert asked.test.statistic == theirs.test_statistic
    assert asked.fit_log.engine == "lifelines"


def test_score_and_variance_by_hand() -> None:
    """Witness: worked by hand. Times 1 (a), 2 (b, b), 3 (a, censored b), arms a, b of 2 and 3.

    Time 1: 5 at risk, 3 in b, 1 event in a: E_b = 3/5, V = 1 * 4/4 * 3/5 * 2/5 = 6/25.
    Time 2: 4 at risk, 3 in b, 2 events in b: E_b = 3/2, V = 2 * 2/3 * 3/4 * 1/4 = 1/4.
    Time 3: 2 at risk, 1 in b, 1 event in a: E_b = 1/2, V = 1 * 1/1 * 1/2 * 1/2 = 1/4.
    """
    data = pd.DataFrame(
        {"duration": [1, 2, 2, 3, 3], "event": [1, 1, 1, 1, 0], "arm": list("abbab")}
    )
    fit = compare_survival(data, LogRankSpec(by="arm"))
    table = fit.table().set_index("group")
    assert table.loc["b", "observed"] == 2
    assert table.loc["b", "expected"] == pytest.approx(0.6 + 1.5 + 0.5, rel=SAME)
    variance = 0.24 + 0.25 + 0.25
    assert fit.covariance[1, 1] == pytest.approx(variance, rel=SAME)
    assert fit.test.statistic == pytest.approx(0.6**2 / variance, rel=SAME)
    ratio = fit.estimate_ratio().iloc[0]
    assert ratio["estimate"] == pytest.approx(-0.6 / variance, rel=SAME)
    assert ratio["std_error"] == pytest.approx(variance**-0.5, rel=SAME)
    assert ratio["conf_high"] == pytest.approx(
        -0.6 / variance + 1.959963984540054 * variance**-0.5, rel=SAME
    )
    assert ratio["term"] == "b / a"


def test_variance_is_that_of_dealing_events_at_random() -> None:
    """Witness: enumeration of who at risk has the tied events, at one time."""
    member = np.array([1, 1, 0, 0, 0, 1, 0])
    counts = np.array([member[list(who)].sum() for who in itertools.combinations(range(7), 3)])
    data = pd.DataFrame(
        {"duration": [2] * 3 + [5] * 4, "event": [1] * 3 + [0] * 4, "arm": member.astype(str)}
    )
    fit = compare_survival(data, LogRankSpec(by="arm"))
    assert fit.table()["expected"].iloc[1] == pytest.approx(counts.mean(), rel=SAME)
    assert fit.covariance[1, 1] == pytest.approx(counts.var(), rel=SAME)


@pytest.mark.slow
def test_size_is_the_level_and_a_known_ratio_is_recovered() -> None:
    """Witness: simulation; rejections at 5 % without effect, mean one-step estimate with one."""
    rng = np.random.default_rng(7)
    n_replicates, truth = 150, math.log(1.4)
    arm = np.repeat(["a", "b"], 60)
    rejected, estimates = [], []
    for log_ratio in (0.0, truth):
        for _ in range(n_replicates):
            time = rng.exponential(np.where(arm == "b", np.exp(-log_ratio), 1.0))
            frame = pd.DataFrame(
                {"duration": np.minimum(time, 1.5), "event": time <= 1.5, "arm": arm}
            )
            fit = compare_survival(frame, LogRankSpec(by="arm"), engine="native")
            rejected.append(fit.test.p_value < 0.05)
            estimates.append(fit.estimate_ratio()["estimate"].item())
    size = np.mean(rejected[:n_replicates])
    assert abs(size - 0.05) < 4 * math.sqrt(0.05 * 0.95 / n_replicates)
    with_effect = np.array(estimates[n_replicates:])
    mcse = with_effect.std(ddof=1) / math.sqrt(n_replicates)
    one_step_bias = 0.02  # towards 1, of second order in a small log hazard ratio
    assert abs(with_effect.mean() - truth) < 4 * mcse + one_step_bias


seeds = st.integers(0, 2**32 - 1)


def trial(seed: int, n: int = 30) -> pd.DataFrame:
    """Draw a small trial with ties and late entry."""
    rng = np.random.default_rng(seed)
    duration = rng.integers(2, 12, n)
    return pd.DataFrame(
        {
            "duration": duration,
            "entry": np.floor(rng.uniform(0, 1, n) * (duration - 1)),
            "event": rng.permutation([True, True, False] * (n // 3)),
            "arm": rng.permutation(["a", "b", "c"] * (n // 3)),
            "centre": rng.permutation(["x", "y"] * (n // 2)),
        }
    )


@given(seed=seeds, factor=st.floats(0.01, 100))
def test_order_names_and_units_change_nothing(seed: int, factor: float) -> None:
    data = trial(seed)
    spec = LogRankSpec(by="arm", entry="entry", strata="centre", weights="tarone_ware")
    changed = data.sample(frac=1, random_state=1).assign(
        duration=lambda d: d["duration"] * factor,
        entry=lambda d: d["entry"] * factor,
        arm=lambda d: d["arm"].map({"a": "z", "b": "y", "c": "x"}),
    )
    a, b = (compare_survival(frame, spec, engine="native") for frame in (data, changed))
    assert b.test.statistic == pytest.approx(a.test.statistic, rel=1e-6, abs=1e-9)
    assert_covariance_matrix(a.covariance)
    assert a.table()["observed"].sum() == pytest.approx(a.table()["expected"].sum(), rel=SAME)


@given(seed=seeds)
def test_log_rank_of_curves_is_the_same_test(seed: int) -> None:
    data = trial(seed)
    curves = fit_km(data, KMSpec(by="arm", entry="entry"))
    fit = compare_survival(data, LogRankSpec(by="arm", entry="entry"))
    assert curves.log_rank == fit.test
    pd.testing.assert_frame_equal(fit.curves.curves(), curves.curves())


@given(seed=seeds)
def test_one_stratum_per_copy_doubles_the_statistic(seed: int) -> None:
    data = trial(seed)
    twice = pd.concat([data.assign(copy=0), data.assign(copy=1)], ignore_index=True)
    one = compare_survival(data, LogRankSpec(by="arm"), engine="native")
    two = compare_survival(twice, LogRankSpec(by="arm", strata="copy"), engine="native")
    assert two.test.statistic == pytest.approx(2 * one.test.statistic, rel=1e-8, abs=1e-12)


SMALL = pd.DataFrame(
    {
        "subject_id": [f"S{i}" for i in range(1, 9)],
        "duration": [5.0, 8, 9, 12, 14, 20, 21, 30],
        "event": [1, 1, 0, 1, 1, 0, 1, 0],
        "arm": list("aabbabab"),
        "centre": list("xyyxxyxy"),
        "entry": [0.0] * 8,
    }
)
BAD = [
    (SMALL.assign(arm="a"), {}, "at least two groups to compare, found 1"),
    (SMALL.assign(event=0), {}, "No event among 8 subject(s)"),
    (SMALL.assign(duration=-1.0), {}, "Negative `duration` in 8 row(s)"),
    (SMALL.assign(duration=np.inf), {}, "Infinite `duration`"),
    (SMALL.assign(duration="x"), {}, "must hold numbers"),
    (SMALL.assign(entry=99.0), {"entry": "entry"}, "`entry` after `duration` in 8 row(s)"),
    (SMALL.assign(entry=-1.0), {"entry": "entry"}, "Negative `entry`"),
    (SMALL, {"by": "arms"}, "`by` names 'arms'"),
    (SMALL, {"strata": "site"}, "`strata` names 'site'"),
    (SMALL.assign(subject_id="S1"), {}, "More than one row per subject"),
    (SMALL.assign(centre=SMALL["arm"]), {"strata": "centre"}, "never at risk together"),
    (SMALL, {"trend": (0.0, 1.0, 2.0)}, "must hold 2 values, one for each of the groups a, b"),
]


@pytest.mark.parametrize(("data", "options", "message"), BAD)
def test_bad_input_is_refused(data: pd.DataFrame, options: dict, message: str) -> None:
    with pytest.raises(DesignError, match=re.escape(message)):
        compare_survival(data, LogRankSpec(**({"by": "arm"} | options)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "wilcoxon"}, "`weights` must be one of 'log_rank'"),
        ({"weights": (FH, -1, 0)}, "p, q at least 0"),
        ({"weights": (FH, 1)}, "p, q at least 0"),
        ({"trend": (1.0, 1.0)}, "not all alike"),
        ({"duration_unit": "week"}, "'day' or 'year'"),
        ({"conf_level": 95}, "between 0 and 1"),
    ],
)
def test_contradictory_specs_are_refused(options: dict, message: str) -> None:
    with pytest.raises(DesignError, match=re.escape(message)):
        LogRankSpec(**({"by": "arm"} | options))


def test_what_is_left_out_is_counted() -> None:
    data = SMALL.assign(
        event=[None, 1, 0, 1, 1, 0, 1, 0],
        duration=[5, np.nan, 0, 12, 14, 20, 21, 30],
        arm=[*"aab", None, *"abab"],
        entry=[0, 0, 0, 0, 14, 0, 0, 0],
    )
    fit = compare_survival(data, LogRankSpec(by="arm", entry="entry"))
    assert [(e.unit, e.n, e.reason, e.subject_ids) for e in fit.exclusions] == [
        ("subject", 1, "event missing", ("S1",)),
        ("subject", 1, "duration missing", ("S2",)),
        ("subject", 1, "no follow-up (duration 0)", ("S3",)),
        ("subject", 1, "no follow-up after entry", ("S5",)),
        ("subject", 1, "no arm", ("S4",)),
    ]
    assert fit.table()["n_subjects"].sum() == 3


def test_one_event_can_be_compared() -> None:
    fit = compare_survival(SMALL.assign(event=[1] + [0] * 7), LogRankSpec(by="arm"))
    # one event in arm a with 4 of 8 at risk: (1 - 1/2)^2 / (1/4)
    assert fit.test.statistic == pytest.approx(1.0, rel=SAME)


def test_result_contract_and_words() -> None:
    spec = LogRankSpec(by="arm", strata="centre", trend=(0, 1), pairwise=True)
    fit = compare_survival(SMALL, spec, origin="synthetic")
    assert_result_contract(fit)
    assert fit.to_dict()["schema"] == "log_rank_result/1"
    assert fit.headline().startswith(
        "Stratified log-rank test of 8 subjects with 5 events in 2 groups and 2 strata"
    )
    late = compare_survival(SMALL, LogRankSpec(by="arm", weights=(FH, 0, 1)))
    assert late.headline().startswith("Fleming-Harrington (0, 1) test of 8 subjects")
    assert late.estimate_ratio().empty


def test_unknown_engines_are_refused() -> None:
    with pytest.raises(DesignError, match="`engine` must be"):
        compare_survival(SMALL, LogRankSpec(by="arm"), engine="sas")


def test_input_is_not_modified() -> None:
    before = SMALL.copy()
    compare_survival(SMALL, LogRankSpec(by="arm", entry="entry"))
    pd.testing.assert_frame_equal(SMALL, before)
