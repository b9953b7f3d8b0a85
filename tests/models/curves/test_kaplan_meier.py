"""Kaplan-Meier curves: R and lifelines as witnesses, hand-worked cases, properties, bad input."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import assert_result_contract, assert_survival_curve
from reference_cases import ReferenceCase, load_case

from pmsstats.errors import DesignError
from pmsstats.models.backends.lifelines_km import estimate_curve
from pmsstats.models.curves.kaplan_meier import KMSpec, fit_km

FOLLOWED = 1e-9  # relative: the same numbers in another order of summation

SMALL = pd.DataFrame(
    {
        "subject_id": [f"S{i}" for i in range(1, 9)],
        "duration": [5, 8, 9, 12, 14, 20, 21, 30],
        "event": [True, True, False, True, True, False, True, False],
        "atrophy": [1.8, 0.9, 1.2, 1.6, 0.4, 0.8, 0.7, 0.6],
        "arm": list("aabbabab"),
    }
)


KM_CASES = [
    ("survival_ties", KMSpec(by="arm")),
    ("survival_pbc2", KMSpec(by="drug", duration="years", event="status2", subject="id")),
]


each_engine = pytest.mark.parametrize("engine", ["lifelines", "native"])


def km_of(case: ReferenceCase, spec: KMSpec, engine: str = "lifelines"):
    """Fit the curves of a reference case on one row per subject."""
    data = case.input.drop_duplicates(spec.subject if "id" in case.input else None)
    return fit_km(data, spec, engine=engine)


@each_engine
@pytest.mark.parametrize(("case_name", "spec"), KM_CASES)
def test_curves_agree_with_r(case_name: str, spec: KMSpec, engine: str) -> None:
    """Witness: survfit(conf.type = "log-log") of R's survival (stored)."""
    case = load_case(case_name)
    fit = km_of(case, spec, engine)
    curves = dict(list(fit.curves().groupby("group", observed=True)))
    for quantity in ("survival", "conf_low", "conf_high"):
        for row in case.rows(f"km.{quantity}").itertuples():
            group, time = row.term.split("@")
            curve = curves[group]
            step = curve[curve["duration"] <= float(time)].iloc[-1]
            r_leaves_it_out = math.isnan(row.value) and step["survival"] == 1
            value = math.nan if r_leaves_it_out else step[quantity]
            assert value == pytest.approx(row.value, rel=row.rtol, nan_ok=True), row


@each_engine
@pytest.mark.parametrize(("case_name", "spec"), KM_CASES)
def test_medians_agree_with_r(case_name: str, spec: KMSpec, engine: str) -> None:
    """Witness: summary(survfit) of R's survival (stored)."""
    case = load_case(case_name)
    table = km_of(case, spec, engine).table().set_index("group")
    for quantity, column in [("", "median"), ("_low", "conf_low"), ("_high", "conf_high")]:
        for row in case.rows(f"km.median{quantity}").itertuples():
            assert table.loc[row.term, column] == pytest.approx(
                row.value, rel=row.rtol, nan_ok=True
            )


@pytest.mark.parametrize(("case_name", "spec"), KM_CASES)
def test_numbers_at_risk_agree_with_r(case_name: str, spec: KMSpec) -> None:
    """Witness: summary(survfit, times = ...) of R's survival (stored)."""
    case = load_case(case_name)
    rows = case.rows("km.at_risk")
    keys = rows["term"].str.split("@", expand=True)
    times = sorted(keys[1].astype(float).unique())
    counts = km_of(case, spec).at_risk(times)
    counts["term"] = counts["group"].astype(str) + "@" + counts["duration"].map("{:g}".format)
    merged = rows.merge(counts, on="term")
    assert len(merged) == len(rows)
    assert (merged["n_at_risk"] == merged["value"]).all()


@each_engine
@pytest.mark.parametrize(
    ("case_name", "spec"), [*KM_CASES, ("survival_ties", KMSpec(by="phenotype"))]
)
def test_log_rank_agrees_with_r(case_name: str, spec: KMSpec, engine: str) -> None:
    """Witness: survdiff of R's survival (stored)."""
    case = load_case(case_name)
    fit = km_of(case, spec, engine)
    row = case.rows("km.logrank").set_index("term").loc[spec.by]
    assert fit.log_rank.statistic == pytest.approx(row["value"], rel=row["rtol"])
    assert fit.log_rank.df == fit.curves()["group"].nunique() - 1


@each_engine
def test_kaplan_meier_by_hand(engine: str) -> None:
    """Witness: the product of (1 - events / at risk), worked by hand for six patients.

    Day 90: 1 of 6 has the event; day 180: 1 of 5 (and one censored then, still at risk); day 270:
    1 of 3; day 400: censored; day 500: the last one. 5/6, 5/6 * 4/5 = 2/3, 2/3 * 2/3 = 4/9, 0.
    """
    data = pd.DataFrame({"duration": [90, 180, 180, 270, 400, 500], "event": [1, 1, 0, 1, 0, 1]})
    fit = fit_km(data, engine=engine)
    assert (fit.fit_log.engine, fit.fit_log.message) == (engine, "")
    curve = fit.curves()
    assert curve["duration"].tolist() == [0, 90, 180, 270, 400, 500]
    np.testing.assert_allclose(
        curve["survival"], [1, 5 / 6, 2 / 3, 4 / 9, 4 / 9, 0], rtol=FOLLOWED, atol=FOLLOWED
    )
    assert curve["n_at_risk"].tolist() == [6, 6, 5, 3, 2, 1]
    # Greenwood by hand at day 180: var(log S) = 1/(6*5) + 1/(5*4) = 1/12
    spread = 1.959963984540054 * math.sqrt(1 / 12) / abs(math.log(2 / 3))
    at_180 = curve[curve["duration"] == 180].iloc[0]
    assert at_180["conf_low"] == pytest.approx((2 / 3) ** math.exp(spread), rel=FOLLOWED)
    assert at_180["conf_high"] == pytest.approx((2 / 3) ** math.exp(-spread), rel=FOLLOWED)
    assert math.isnan(curve["conf_low"].iloc[-1])


def test_median_over_a_flat_half_is_its_middle() -> None:
    """Witness: by hand; the curve is 1/2 from day 200 to day 600."""
    data = pd.DataFrame({"duration": [100, 200, 600, 700], "event": [True] * 4})
    assert fit_km(data).table()["median"].item() == 400


def test_fitting_a_curve_leaves_numpy_warnings_alone() -> None:
    """The engine switches them off for the whole process; the backend puts them back."""
    before = np.geterr()
    fit_km(pd.DataFrame({"duration": [1, 2, 3], "event": [1, 0, 1]}))
    assert np.geterr() == before


def trial(seed: int, n: int = 40) -> pd.DataFrame:
    """Draw a small trial with tied times."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "subject_id": [f"S{i}" for i in range(n)],
            "arm": rng.permutation(["placebo", "active"] * (n // 2)),
            "nfl": rng.normal(10, 3, n),
            "duration": rng.integers(1, 15, n),
            "event": rng.permutation([True, True, False, True] * (n // 4)),
        }
    )


@given(seed=st.integers(0, 2**32 - 1), has_entry=st.booleans())
def test_engines_agree(seed: int, has_entry: bool) -> None:
    """Witness: each other: lifelines and the package's own product limit, with ties."""
    data = trial(seed).assign(
        entry=lambda d: np.floor(np.random.default_rng(seed).uniform(0, 0.5, len(d)) * d.duration)
    )
    data.loc[:9, "entry"] = 0.0  # somebody is at risk from the beginning
    spec = KMSpec(by="arm", entry="entry" if has_entry else None)
    theirs, own = (fit_km(data, spec, engine=engine) for engine in ("lifelines", "native"))
    pd.testing.assert_frame_equal(
        theirs.curves(), own.curves(), rtol=FOLLOWED, atol=FOLLOWED, check_dtype=False
    )
    assert theirs.log_rank.statistic == pytest.approx(own.log_rank.statistic, rel=FOLLOWED)
    assert theirs.log_rank.p_value == pytest.approx(own.log_rank.p_value, rel=1e-6)


@given(seed=st.integers(0, 2**32 - 1))
def test_row_order_and_names_change_nothing(seed: int) -> None:
    data = trial(seed)
    rng = np.random.default_rng(seed)
    other = data.sample(frac=1, random_state=seed % 1000).assign(
        subject_id=lambda d: [f"X{i}" for i in rng.permutation(len(d))]
    )
    pd.testing.assert_frame_equal(
        *(fit_km(d, KMSpec(by="arm"), engine="native").curves() for d in (data, other))
    )


@given(
    durations=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    data=st.data(),
)
def test_curves_fall_within_their_intervals(durations: list[int], data: st.DataObject) -> None:
    events = data.draw(st.lists(st.booleans(), min_size=len(durations), max_size=len(durations)))
    fit = fit_km(pd.DataFrame({"duration": durations, "event": events}))
    curve = fit.curves()
    assert_survival_curve(curve)
    assert curve["survival"].iloc[0] == 1
    assert curve["n_events"].sum() == fit.n_events == sum(events)
    assert curve["n_at_risk"].iloc[0] == fit.n_subjects == len(durations)
    assert (np.diff(fit.at_risk([0, 5, 10, 40])["n_at_risk"]) <= 0).all()


def test_left_out_subjects_of_curves_are_counted() -> None:
    data = SMALL.assign(duration=[0, 8, 0, 12, 14, 20, 21, 30], arm=[*"aabbaba", None])
    fit = fit_km(data, KMSpec(by="arm"))
    assert [(e.reason, e.subject_ids) for e in fit.exclusions] == [
        ("no follow-up (duration 0)", ("S3",)),
        ("event at time 0, before any follow-up", ("S1",)),
        ("no arm", ("S8",)),
    ]
    assert fit.n_subjects == 5


def test_nullable_columns_are_read() -> None:
    nullable = SMALL.astype({"duration": "Int64", "event": "boolean"})
    nullable.loc[2, "duration"] = pd.NA
    nullable.loc[5, "event"] = pd.NA
    assert fit_km(nullable).n_subjects == 6


def test_input_is_not_modified() -> None:
    data = SMALL.copy()
    fit_km(data, KMSpec(by="arm"))
    pd.testing.assert_frame_equal(data, SMALL)


BAD_KM = [
    (SMALL.head(0), {}, "at least one subject"),
    (SMALL.assign(duration=0), {}, "8: |5: event at time 0"),
    (SMALL, {"by": "army"}, "Did you mean 'arm'"),
    (SMALL.assign(duration=-1), {}, "Negative"),
    (pd.concat([SMALL, SMALL]), {}, "More than one row per subject"),
]


@pytest.mark.parametrize(("data", "options", "message"), BAD_KM)
def test_bad_curves_are_refused(data: pd.DataFrame, options: dict, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        fit_km(data, KMSpec(**options))


@pytest.mark.parametrize("options", [{"conf_level": 0}, {"duration_unit": "month"}])
def test_contradictory_curve_specs_are_refused(options: dict) -> None:
    with pytest.raises(DesignError):
        KMSpec(**options)


@pytest.mark.parametrize("data", [SMALL.assign(event=False), SMALL.assign(arm="a"), SMALL.head(1)])
def test_curves_that_cannot_be_compared_have_no_log_rank(data: pd.DataFrame) -> None:
    assert fit_km(data, KMSpec(by="arm")).log_rank is None


@pytest.fixture(scope="module")
def km():
    return fit_km(SMALL, KMSpec(by="arm"), origin="synthetic")


def test_tables_are_copies_with_canonical_columns(km) -> None:
    curves = km.curves()
    curves.loc[:, "survival"] = 0.0
    assert km.curves()["survival"].iloc[0] == 1
    assert list(km.table().columns)[:3] == ["group", "n_subjects", "n_events"]


def test_result_is_plain_json_and_shows_itself(km) -> None:
    assert_result_contract(km)
    plain = km.to_dict()
    assert plain["schema"] == "km_result/1"
    assert plain["n_events"] == 5


def test_figure_shows_years(km) -> None:
    _, ax = plt.subplots()
    km.plot(ax=ax)
    drawn = max(line.get_xdata().max() for line in ax.lines if line.get_gid() == "survival")
    assert drawn == pytest.approx(30 / 365.25)
    plt.close("all")


def test_years_need_no_conversion() -> None:
    data = SMALL.assign(duration=SMALL["duration"] / 10)
    fit = fit_km(data, KMSpec(duration_unit="year"))
    _, ax = plt.subplots()
    fit.plot(ax=ax)
    assert fit.at_risk()["duration"].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert max(line.get_xdata().max() for line in ax.lines) == pytest.approx(3.0)
    plt.close("all")


# ---------------------------------------------------------------------------- delayed entry


@each_engine
def test_late_entry_agrees_with_r(engine: str) -> None:
    """Witness: survfit(Surv(entry, duration, event)) of R's survival (stored)."""
    case = load_case("survival_curves")
    fit = fit_km(case.input, KMSpec(by="arm", entry="entry"), engine=engine)
    assert "curve" not in fit.fit_log.message
    curves = dict(list(fit.curves().groupby("group", observed=True)))
    for quantity in ("survival", "conf_low", "conf_high", "n_at_risk"):
        for row in case.rows(f"entry.{quantity}").itertuples():
            group, time = row.term.split("@")
            step = curves[group][curves[group]["duration"] == float(time)].iloc[0]
            r_leaves_it_out = math.isnan(row.value) and step["survival"] in (0, 1)
            value = math.nan if r_leaves_it_out else step[quantity]
            assert value == pytest.approx(row.value, rel=row.rtol, nan_ok=True), row


@each_engine
def test_late_entry_by_hand(engine: str) -> None:
    """Witness: by hand. At 3, one of the two who entered before has the event; at 6, one of 3."""
    data = pd.DataFrame({"entry": [0, 0, 4, 4], "duration": [3, 6, 8, 8], "event": [1, 1, 1, 0]})
    fit = fit_km(data, KMSpec(entry="entry", duration_unit="year"), engine=engine)
    curve = fit.curves()
    assert curve["n_at_risk"].tolist() == [2, 2, 3, 2]
    np.testing.assert_allclose(curve["survival"], [1, 1 / 2, 1 / 3, 1 / 6], rtol=FOLLOWED)
    assert fit.at_risk([0, 3, 4, 4.5, 7])["n_at_risk"].tolist() == [2, 2, 1, 3, 2]
    assert fit.table()["n_subjects"].item() == 4


def test_entry_at_zero_changes_nothing() -> None:
    with_entry = fit_km(SMALL.assign(entry=0.0), KMSpec(by="arm", entry="entry"))
    pd.testing.assert_frame_equal(with_entry.curves(), fit_km(SMALL, KMSpec(by="arm")).curves())
    assert with_entry.log_rank == fit_km(SMALL, KMSpec(by="arm")).log_rank


def test_a_curve_that_lifelines_refuses_is_ours() -> None:
    """Witness: by hand. In b nobody is at risk over (2, 3]: 1 to 2 censored, at 5 one of two."""
    data = pd.DataFrame(
        {
            "entry": [0, 0, 0, 0, 3, 3],
            "duration": [4, 6, 1, 2, 5, 7],
            "event": [1, 0, 0, 0, 1, 0],
            "arm": list("aabbbb"),
        }
    )
    late = data[data["arm"] == "b"]
    columns = (late[c].to_numpy() for c in ("duration", "event", "entry"))
    assert estimate_curve(*columns, conf_level=0.95) is None
    fit = fit_km(data, KMSpec(by="arm", entry="entry"))
    curves = dict(list(fit.curves().groupby("group", observed=True)))
    assert curves["b"]["duration"].tolist() == [0, 1, 2, 5, 7]
    assert curves["b"]["n_at_risk"].tolist() == [2, 2, 1, 2, 1]
    np.testing.assert_allclose(curves["b"]["survival"], [1, 1, 1, 1 / 2, 1 / 2], rtol=FOLLOWED)
    np.testing.assert_allclose(curves["a"]["survival"], [1, 1 / 2, 1 / 2], rtol=FOLLOWED)
    message = fit.fit_log.message
    assert message.startswith("curve of b by the package's own product limit: lifelines refuses")
    assert message.endswith("lifelines has none for late entry")
    assert fit.fit_log.engine == "lifelines"
    assert fit_km(data, KMSpec(by="arm", entry="entry"), engine="native").fit_log.message == ""


def test_a_group_that_left_before_the_first_event_has_no_degree_of_freedom() -> None:
    """Witness: by hand: the test of the other two groups alone; lifelines would count two."""
    others = pd.DataFrame(
        {"duration": [2, 3, 4, 5, 6, 7], "event": [1, 1, 1, 0, 1, 1], "arm": list("ababab")}
    )
    gone = pd.DataFrame({"duration": [1, 1], "event": [0, 0], "arm": ["c", "c"]})
    alone = fit_km(others, KMSpec(by="arm"))
    fit = fit_km(pd.concat([others, gone], ignore_index=True), KMSpec(by="arm"))
    assert fit.log_rank.df == alone.log_rank.df == 1
    assert fit.log_rank.statistic == pytest.approx(alone.log_rank.statistic, rel=FOLLOWED)
    assert "a group without anybody at risk at an event" in fit.fit_log.message
    assert alone.fit_log.message == ""


def test_unknown_engines_are_refused() -> None:
    with pytest.raises(DesignError, match="`engine` must be 'lifelines' or 'native', got 'r'"):
        fit_km(SMALL, engine="r")
