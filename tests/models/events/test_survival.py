"""Cox models: R as witness, hand-worked cases, properties, bad input."""

from __future__ import annotations

import math
import re
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import assert_covariance_matrix, assert_result_contract
from reference_cases import ReferenceCase, load_case

from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, FormulaError
from pmsstats.models.events.survival import CoxSpec, fit_cox

FOLLOWED = 1e-9  # relative: the same numbers in another order of summation
SAME_MAXIMUM = 1e-6  # relative: two Newton maximisations, each within 2e-7 standard errors

TIES_MODEL = "arm + age_years + log(snfl_pg_ml)"
TIES_SPECS = {
    "plain": CoxSpec(covariates=TIES_MODEL),
    "strata": CoxSpec(covariates=TIES_MODEL, strata="phenotype"),
    "cluster": CoxSpec(covariates=TIES_MODEL, cluster="centre"),
    "both": CoxSpec(covariates=TIES_MODEL, strata=("phenotype",), cluster="centre"),
}
INTERVALS = {"start": "start", "stop": "stop", "subject": "id"}
PBC_MODEL = "log(serBilir) + age + drug"
PBC_SPECS = {
    "bilirubin": CoxSpec(covariates="log(serBilir)", **INTERVALS),
    "adjusted": CoxSpec(covariates=PBC_MODEL, **INTERVALS),
    "strata": CoxSpec(covariates="log(serBilir) + age", strata="sex", **INTERVALS),
    "cluster": CoxSpec(covariates=PBC_MODEL, cluster="id", **INTERVALS),
}
TRANSFORMS = ("km", "rank", "identity", "log")


def bilirubin_intervals(pbc: pd.DataFrame) -> pd.DataFrame:
    """Carry bilirubin forward from visit to visit; death ends the last interval."""
    data = pbc[pbc["year"] < pbc["years"]].sort_values(["id", "year"])
    following = data.groupby("id")["year"].shift(-1).fillna(np.inf)
    stop = np.minimum(following, data["years"])
    died = (data["status2"] == 1) & (stop == data["years"])
    return data.assign(start=data["year"], stop=stop, event=died)


def data_of(case: ReferenceCase) -> pd.DataFrame:
    """Return the frame that fit_cox takes."""
    prepare = {"survival_ties": lambda frame: frame, "survival_pbc2": bilirubin_intervals}
    return prepare[case.name](case.input)


def found(fit, quantity: str) -> dict[str, float]:
    """Look a quantity of the references up in our result, by term."""
    table = fit.table().set_index("term")
    lookups = {
        "estimate": table["estimate"].to_dict,
        "std_error": table["std_error"].to_dict,
        "log_likelihood": lambda: {"model": fit.log_likelihood, "null": fit.log_likelihood_null},
        "concordance": lambda: {"all": fit.concordance()},
        "baseline": lambda: dict(
            zip(fit.baseline()["duration"], fit.baseline()["cumulative_hazard"], strict=True)
        ),
        **{
            f"zph.{t}": lambda t=t: (
                fit.check_proportional_hazards(t).set_index("term")["statistic"].to_dict()
            )
            for t in TRANSFORMS
        },
    }
    return lookups[quantity]()


COX_CASES = [
    *(("survival_ties", model, spec) for model, spec in TIES_SPECS.items()),
    *(("survival_pbc2", model, spec) for model, spec in PBC_SPECS.items()),
]


@pytest.mark.parametrize("engine", ["lifelines", "native"])
@pytest.mark.parametrize(("case_name", "model", "spec"), COX_CASES)
def test_cox_agrees_with_r(case_name: str, model: str, spec: CoxSpec, engine: str) -> None:
    """Witness: coxph, cox.zph and basehaz of R's survival (stored)."""
    case = load_case(case_name)
    fit = fit_cox(data_of(case), spec, engine=engine)
    assert (fit.fit_log.engine, fit.fit_log.converged) == (engine, True)
    assert "disagrees" not in fit.fit_log.message
    rows = case.expected[case.expected["quantity"].str.startswith(f"{model}.")]
    rows = rows[~rows["quantity"].str.endswith("baseline")]
    assert len(rows) >= 3
    for row in rows.itertuples():
        value = found(fit, row.quantity.removeprefix(f"{model}."))[row.term]
        assert value == pytest.approx(row.value, rel=row.rtol), (row.quantity, row.term)


@pytest.mark.parametrize(("case_name", "model", "spec"), [COX_CASES[0], COX_CASES[len(TIES_SPECS)]])
def test_baseline_hazard_agrees_with_r(case_name: str, model: str, spec: CoxSpec) -> None:
    """Witness: basehaz of R's survival, moved to the mean of the covariate columns (stored)."""
    case = load_case(case_name)
    baseline = fit_cox(data_of(case), spec).baseline()
    rows = case.rows(f"{model}.baseline")
    nearest = np.abs(
        baseline["duration"].to_numpy()[:, None] - rows["term"].astype(float).to_numpy()
    ).argmin(axis=0)
    np.testing.assert_allclose(
        baseline["cumulative_hazard"].to_numpy()[nearest], rows["value"], rtol=SAME_MAXIMUM
    )


def test_start_stop_counts_agree_with_r() -> None:
    """Witness: the same intervals built in R (stored)."""
    case = load_case("survival_pbc2")
    fit = fit_cox(data_of(case), PBC_SPECS["bilirubin"])
    expected = case.rows("n").set_index("term")["value"]
    assert (fit.n_obs, fit.n_subjects, fit.n_events) == (
        expected["rows"],
        expected["subjects"],
        expected["events"],
    )


def simulate(rng: np.random.Generator, n: int, log_ratio: float) -> pd.DataFrame:
    """Draw exponential times with a known log hazard ratio and uniform censoring."""
    atrophy = rng.normal(size=n)
    time = rng.exponential(1 / (0.3 * np.exp(log_ratio * atrophy)))
    censored = rng.uniform(1, 6, n)
    return pd.DataFrame(
        {
            "duration": np.minimum(time, censored),
            "event": time <= censored,
            "atrophy": atrophy,
        }
    )


quick = partial(fit_cox, engine="native")  # in loops; engines are compared elsewhere


def test_known_hazard_ratio_is_recovered() -> None:
    """Witness: the simulation's own truth; bias and standard error within 4 Monte Carlo errors."""
    rng, truth, n_replicates = np.random.default_rng(2018), math.log(1.5), 150
    fits = [
        quick(simulate(rng, 150, truth), CoxSpec(covariates="atrophy")).table().iloc[0]
        for _ in range(n_replicates)
    ]
    estimates = np.array([fit["estimate"] for fit in fits])
    spread = estimates.std(ddof=1)
    assert abs(estimates.mean() - truth) < 4 * spread / math.sqrt(n_replicates)
    covered = np.mean([fit["conf_low"] <= truth <= fit["conf_high"] for fit in fits])
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / n_replicates)
    mean_error = np.mean([fit["std_error"] for fit in fits])
    assert abs(mean_error / spread - 1) < 4 / math.sqrt(2 * (n_replicates - 1))


# ---------------------------------------------------------------------------- properties

seeds = st.integers(0, 2**32 - 1)


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


def estimates(fit) -> np.ndarray:
    """Return estimates and errors."""
    return fit.table()[["estimate", "std_error"]].to_numpy()


@given(seed=seeds)
def test_row_order_and_names_change_nothing(seed: int) -> None:
    data = trial(seed)
    rng = np.random.default_rng(seed)
    other = data.sample(frac=1, random_state=seed % 1000).assign(
        subject_id=lambda d: [f"X{i}" for i in rng.permutation(len(d))]
    )
    spec = CoxSpec(covariates="nfl + arm")
    a, b = quick(data, spec), quick(other, spec)
    np.testing.assert_allclose(estimates(a), estimates(b), rtol=SAME_MAXIMUM, atol=1e-9)
    assert a.concordance() == pytest.approx(b.concordance(), rel=FOLLOWED)


@given(seed=seeds, factor=st.floats(1e-4, 1e4), shift=st.floats(-1e3, 1e3))
def test_units_scale_the_estimate_and_leave_the_p_value(
    seed: int, factor: float, shift: float
) -> None:
    data = trial(seed)
    spec = CoxSpec(covariates="nfl")
    before = quick(data, spec).table().iloc[0]
    after = quick(data.assign(nfl=data["nfl"] * factor + shift), spec).table().iloc[0]
    # the shift cancels digits of the covariate where it dwarfs its spread
    tolerance = SAME_MAXIMUM * max(1.0, abs(shift) / factor * 1e-4)
    assert after["estimate"] * factor == pytest.approx(before["estimate"], rel=tolerance, abs=1e-7)
    assert after["std_error"] * factor == pytest.approx(before["std_error"], rel=tolerance)
    assert after["p_value"] == pytest.approx(before["p_value"], rel=1e-3, abs=1e-6)


@given(seed=seeds)
def test_swapping_arms_flips_the_sign(seed: int) -> None:
    data = trial(seed)
    swapped = data.assign(arm=data["arm"].map({"placebo": "active", "active": "placebo"}))
    spec = CoxSpec(covariates=("arm",))
    before, after = (quick(d, spec).table().iloc[0] for d in (data, swapped))
    assert after["estimate"] == pytest.approx(-before["estimate"], rel=SAME_MAXIMUM, abs=1e-9)
    assert after["std_error"] == pytest.approx(before["std_error"], rel=SAME_MAXIMUM)


@given(seed=seeds)
def test_start_stop_from_zero_is_the_right_censored_model(seed: int) -> None:
    data = trial(seed)
    plain = quick(data, CoxSpec(covariates="nfl + arm", cluster="subject_id"))
    split = quick(
        data.assign(start=0, stop=data["duration"]),
        CoxSpec(covariates="nfl + arm", start="start", stop="stop", cluster="subject_id"),
    )
    np.testing.assert_allclose(estimates(plain), estimates(split), rtol=SAME_MAXIMUM, atol=1e-9)
    assert split.concordance() == pytest.approx(plain.concordance(), rel=FOLLOWED)


@given(seed=seeds)
def test_splitting_an_interval_changes_nothing(seed: int) -> None:
    data = trial(seed).assign(start=0.0, stop=lambda d: d["duration"])
    cut = np.random.default_rng(seed).uniform(0.1, 0.9, len(data)) * data["stop"]
    first, last = data.assign(stop=cut, event=False), data.assign(start=cut)
    both = pd.concat([first, last], ignore_index=True)
    spec = CoxSpec(covariates="nfl + arm", start="start", stop="stop", cluster="subject_id")
    whole, split = quick(data, spec), quick(both, spec)
    np.testing.assert_allclose(estimates(whole), estimates(split), rtol=SAME_MAXIMUM, atol=1e-9)
    assert split.log_likelihood == pytest.approx(whole.log_likelihood, rel=FOLLOWED)
    assert (split.n_subjects, split.n_events) == (whole.n_subjects, whole.n_events)


@given(seed=seeds)
def test_one_stratum_per_copy_doubles_the_information(seed: int) -> None:
    """Two copies of a trial in strata of their own: same estimate, half the variance."""
    data = trial(seed)
    twice = pd.concat(
        [data.assign(copy=c, subject_id=data["subject_id"] + c) for c in "ab"], ignore_index=True
    )
    one = quick(data, CoxSpec(covariates="nfl + arm"))
    two = quick(twice, CoxSpec(covariates="nfl + arm", strata="copy"))
    np.testing.assert_allclose(
        estimates(two) * [1, math.sqrt(2)], estimates(one), rtol=SAME_MAXIMUM, atol=1e-9
    )


# ---------------------------------------------------------------------------- what is left out

SMALL = pd.DataFrame(
    {
        "subject_id": [f"S{i}" for i in range(1, 9)],
        "duration": [5, 8, 9, 12, 14, 20, 21, 30],
        "event": [True, True, False, True, True, False, True, False],
        "atrophy": [1.8, 0.9, 1.2, 1.6, 0.4, 0.8, 0.7, 0.6],
        "arm": list("aabbabab"),
    }
)


@pytest.mark.parametrize(
    ("change", "reason", "ids"),
    [
        ({"duration": [0, 8, 9, 12, 14, 20, 21, 30]}, "event at time 0", ("S1",)),
        ({"duration": [5, 8, 0, 12, 14, 20, 21, 30]}, "no follow-up (duration 0)", ("S3",)),
        ({"duration": [5, 8, np.nan, 12, 14, 20, 21, 30]}, "duration missing", ("S3",)),
        ({"event": [None, 1, 0, 1, 1, 0, 1, 0]}, "event missing", ("S1",)),
        ({"atrophy": [1.8, 0.9, 1.2, np.nan, np.nan, 0.8, 0.7, 0.6]}, "no atrophy", ("S4", "S5")),
        ({"atrophy": [1.8, 0.9, 1.2, 1.6, 0.4, 0.8, 0.7, np.inf]}, "atrophy is infinite", ("S8",)),
    ],
)
def test_what_is_left_out_is_counted(change: dict, reason: str, ids: tuple[str, ...]) -> None:
    data = SMALL.assign(**change)
    fit = fit_cox(data, CoxSpec(covariates="atrophy"))
    assert [(e.unit, e.n, e.subject_ids) for e in fit.exclusions] == [("subject", len(ids), ids)]
    assert fit.exclusions[0].reason.startswith(reason)
    assert fit.n_subjects == len(SMALL) - len(ids)
    without = fit_cox(SMALL[~SMALL["subject_id"].isin(ids)], CoxSpec(covariates="atrophy"))
    pd.testing.assert_frame_equal(fit.table(), without.table())


def test_nullable_columns_are_read() -> None:
    """The same numbers as pandas' nullable types, with one row missing each."""
    nullable = SMALL.astype({"duration": "Int64", "event": "boolean"})
    nullable.loc[2, "duration"] = pd.NA
    nullable.loc[5, "event"] = pd.NA
    fit = fit_cox(nullable, CoxSpec(covariates="atrophy"))
    assert [e.reason for e in fit.exclusions] == ["event missing", "duration missing"]
    plain = fit_cox(SMALL.drop(index=[2, 5]), CoxSpec(covariates="atrophy"))
    pd.testing.assert_frame_equal(fit.table(), plain.table())


def test_input_is_not_modified() -> None:
    data = SMALL.copy()
    fit_cox(data, CoxSpec(covariates="atrophy"))
    pd.testing.assert_frame_equal(data, SMALL)


# ---------------------------------------------------------------------------- bad input

INTERVAL = SMALL.assign(start=0, stop=SMALL["duration"])
START_STOP = {"start": "start", "stop": "stop"}
BAD_COX = [
    (SMALL.assign(event=False), {}, DesignError, "No event among 8"),
    (SMALL.head(1), {}, DesignError, "at least two subjects, found 1"),
    (SMALL.head(0), {}, DesignError, "at least two subjects, found 0"),
    (SMALL.assign(atrophy=np.nan), {}, DesignError, "8: no atrophy"),
    (SMALL.assign(atrophy=np.inf), {}, DesignError, "8: atrophy is infinite"),
    (SMALL.assign(atrophy=1.0), {}, DesignError, "same value in all rows"),
    (SMALL.assign(atrophy=1e300), {}, DesignError, "same value in all rows"),
    (SMALL.assign(duration=-SMALL["duration"]), {}, DesignError, "Negative `duration`"),
    (SMALL.assign(duration=np.inf), {}, DesignError, "Infinite `duration`"),
    (SMALL.assign(duration="soon"), {}, DesignError, "must hold numbers"),
    (SMALL.assign(duration=pd.Timestamp("2020-01-01")), {}, DesignError, "must hold numbers"),
    (SMALL.assign(duration=True), {}, DesignError, "must hold numbers"),
    (SMALL, {"covariates": "atrophy + (1 | arm)"}, FormulaError, "out of place"),
    (
        SMALL.assign(x=SMALL["atrophy"] + 1e-4 * np.sin(np.arange(8))),
        {"covariates": "atrophy + x"}, ConvergenceError, "hardly varies",
    ),
    (SMALL.assign(event="yes"), {}, DesignError, "must be True/False or 1/0"),
    (SMALL.assign(event=2), {}, DesignError, "found 2"),
    (SMALL.assign(subject_id="S1"), {}, DesignError, "More than one row per subject"),
    (SMALL.drop(columns="event"), {}, DesignError, "`event` names 'event'"),
    (SMALL, {"covariates": "atrofy"}, DesignError, "Did you mean 'atrophy'"),
    (SMALL, {"covariates": "1"}, DesignError, "at least one term"),
    (SMALL, {"covariates": "log(atrophy - 1)"}, DesignError, "no finite number in 5 row"),
    (SMALL, {"covariates": '__import__("os").getcwd()'}, FormulaError, "Nothing was evaluated"),
    (SMALL, {"covariates": "atrophy + I(atrophy * 2)"}, DesignError, "are collinear"),
    (SMALL, {"covariates": "arm", "strata": "arm"}, DesignError, "within every stratum"),
    (SMALL, {"covariates": "C(subject_id)"}, DesignError, "cannot support 7 terms"),
    (SMALL.assign(x=-SMALL["duration"]), {"covariates": "x"}, ConvergenceError, "separation"),
    (SMALL.assign(x=SMALL["event"] * 1), {"covariates": "x"}, ConvergenceError, "x has its high"),
    (INTERVAL.assign(stop=0), START_STOP, DesignError, "`stop` not after `start`"),
    (INTERVAL.assign(stop=-3), START_STOP, DesignError, "`stop` not after `start`"),
    (pd.concat([INTERVAL, INTERVAL]), START_STOP, DesignError, "Overlapping intervals"),
    (INTERVAL.drop(columns="subject_id"), START_STOP, DesignError, "`subject` names"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "options", "error", "message"), BAD_COX)
def test_bad_input_is_refused(data: pd.DataFrame, options: dict, error: type, message: str) -> None:
    spec = CoxSpec(**({"covariates": "atrophy"} | options))
    with pytest.raises(error, match=re.escape(message)):
        fit_cox(data, spec)


@pytest.mark.parametrize(
    "options",
    [
        {"start": "start"},
        {"stop": "stop"},
        {"ties": "breslow"},
        {"covariates": ()},
        {"covariates": " "},
        {"conf_level": 1.0},
        {"conf_level": 95},
    ],
)
def test_contradictory_specs_are_refused(options: dict) -> None:
    with pytest.raises(DesignError):
        CoxSpec(**({"covariates": "atrophy"} | options))


def test_separation_can_be_returned_with_a_warning() -> None:
    data = SMALL.assign(x=SMALL["event"] * 1.0)
    with pytest.warns(ConvergenceWarning, match="separation"):
        fit = fit_cox(data, CoxSpec(covariates="x"), on_failure="warn")
    assert not fit.fit_log.converged
    assert "NOT converge" in fit.headline()


def test_strata_without_events_or_of_one_row_do_no_harm() -> None:
    """They add a constant factor to the likelihood: the estimate is that of the other strata."""
    alone = pd.DataFrame(
        {"subject_id": ["Z1", "Z2"], "duration": [7, 3], "event": [True, False],
         "atrophy": [3.0, -3.0], "arm": ["z1", "z2"]}
    )  # fmt: skip
    spec = CoxSpec(covariates="atrophy", strata="arm")
    with_alone = fit_cox(pd.concat([SMALL, alone], ignore_index=True), spec)
    without = fit_cox(SMALL, spec)
    np.testing.assert_allclose(estimates(with_alone), estimates(without), rtol=SAME_MAXIMUM)


# ---------------------------------------------------------------------------- result contract


@pytest.fixture(scope="module")
def cox():
    return fit_cox(SMALL, CoxSpec(covariates="atrophy + arm"), origin="synthetic")


def test_tables_are_copies_with_canonical_columns(cox) -> None:
    table = cox.table()
    assert list(table.columns) == [
        "term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high",
        "hazard_ratio", "hazard_ratio_low", "hazard_ratio_high",
    ]  # fmt: skip
    table.loc[:, "estimate"] = 0.0
    assert (cox.table()["estimate"] != 0).all()


def test_results_are_plain_json_and_show_themselves(cox) -> None:
    assert_result_contract(cox)
    plain = cox.to_dict()
    assert plain["schema"] == "cox_result/1"
    assert plain["n_events"] == 5
    assert_covariance_matrix(cox.covariance)


def test_a_level_widens_the_interval() -> None:
    narrow, wide = (
        fit_cox(SMALL, CoxSpec(covariates="atrophy", conf_level=c)).table().iloc[0]
        for c in (0.8, 0.99)
    )
    assert wide["conf_low"] < narrow["conf_low"] < narrow["conf_high"] < wide["conf_high"]


def test_figure_shows_hazard_ratios(cox) -> None:
    _, ax = plt.subplots()
    cox.plot(ax=ax)
    assert ax.get_xscale() == "log"
    dots = [line.get_xdata()[0] for line in ax.lines if line.get_gid() == "estimate"]
    np.testing.assert_allclose(dots, cox.table()["hazard_ratio"])
    plt.close("all")


def test_events_at_one_time_give_no_test_of_proportional_hazards():
    rng = np.random.default_rng(4)
    event = np.arange(40) % 3 == 0
    data = pd.DataFrame({"duration": np.where(event, 2.0, 3.0), "event": event})
    data["x"] = rng.normal(size=40)
    tests = fit_cox(data, CoxSpec(covariates="x")).check_proportional_hazards()
    assert tests["statistic"].isna().all()
    assert tests["p_value"].isna().all()
    assert tests["df"].tolist() == [1, 1]


def test_a_covariate_that_varies_only_where_nobody_has_an_event_is_refused_by_name():
    event = [True, False, True, True, False, True, False, False]
    data = pd.DataFrame(
        {
            "duration": [1.0, 2.0, 3.0, 4.0, 1.5, 2.5, 3.0, 4.0],
            "event": event,
            "site": ["A", "A", "A", "B", "B", "B", "C", "C"],
            "treated": [0, 0, 0, 1, 1, 1, 0, 1],
        }
    )
    with pytest.raises(DesignError, match=r"treated.*same value in all rows within every stratum"):
        fit_cox(data, CoxSpec(covariates="treated", strata="site"))
