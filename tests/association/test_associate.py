"""Association of trajectory and outcome: R as witness, simulated truth, properties, bad input."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract, assert_survival_curve
from reference_cases import load_case

from pmsstats.association import AssociationSpec
from pmsstats.association import associate as associate_by
from pmsstats.association.result import ESTIMATE_COLUMNS
from pmsstats.cohort import Cohort
from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.endpoints import derive_endpoint
from pmsstats.errors import DesignError, SchemaError

SAME_OPTIMUM = 1e-5  # relative: mixed models of the same data, each optimised to some 1e-7
DEATH = {"kind": "recorded", "duration": "ttde_day", "event": "ttde_event", "label": "death"}
COX = ("two_stage", "time_varying")


def associate(*args, **options):
    """Ask for the two Cox methods; the others have files of their own."""
    return associate_by(*args, **({"methods": COX} | options))


CDR = {"measure": "cdr", "change": 0.5, "direction": "increase"}


def measure(worsening: str = "lower", **fields) -> Measure:
    """Describe the measure of the simulated cohorts."""
    options = {"label": "Thalamus volume", "unit": "ml"} | fields
    return Measure(name="thal", worsening=worsening, **options)


@pytest.fixture(scope="module")
def pbc() -> Cohort:
    """Mayo PBC trial: log bilirubin and death."""
    raw = load_case("association_pbc2").input
    raw["day"] = (raw["year"] * 365.25).round().astype(int)
    first = raw.drop_duplicates("id")
    subjects = pd.DataFrame(
        {
            "subject_id": first["id"],
            "age": first["age"],
            "drug": first["drug"],
            "ttde_day": (first["years"] * 365.25).round().astype(int),
            "ttde_event": first["status2"] == 1,
        }
    )
    visits = pd.DataFrame(
        {"subject_id": raw["id"], "day": raw["day"], "log_bili": np.log(raw["serBilir"])}
    )
    own = Measure(name="log_bili", label="log bilirubin", worsening="higher")
    return Cohort(subjects, visits, dictionary=default_dictionary().extend(own))


@pytest.fixture(scope="module")
def pbc_plain(pbc: Cohort):
    """Both methods without covariates."""
    return associate(pbc, "log_bili", DEATH)


@pytest.fixture(scope="module")
def oasis() -> Cohort:
    """OASIS-2: normalised whole-brain volume and clinical dementia rating."""
    raw = load_case("association_oasis2").input.rename(columns={"Subject ID": "subject_id"})
    subjects = raw.drop_duplicates("subject_id")[["subject_id", "Age", "Group"]]
    visits = raw[["subject_id", "MR Delay", "nWBV", "CDR"]]
    own = (
        Measure(name="nwbv", label="whole-brain volume", worsening="lower"),
        Measure(name="cdr", label="CDR", worsening="higher"),
    )
    return Cohort(
        subjects.rename(columns={"Age": "age"}),
        visits.rename(columns={"MR Delay": "day", "nWBV": "nwbv", "CDR": "cdr"}),
        dictionary=default_dictionary().extend(*own),
    )


def simulated(
    seed: int,
    n: int = 60,
    *,
    log_ratio: float = 0.7,
    noise: float = 0.1,
    worsening: str = "lower",
    step_days: int = 183,
) -> Cohort:
    """Draw a cohort whose hazard rises with the true rate of decline, by `log_ratio` per SD."""
    rng = np.random.default_rng(seed)
    day = np.arange(0, 5 * 365, step_days)
    level, decline = rng.normal(8, 1, n), rng.normal(0, 0.3, n)
    value = level[:, None] - (0.2 + decline[:, None]) * day / 365.25
    value += rng.normal(0, noise, value.shape)
    time = rng.exponential(1 / (0.2 * np.exp(log_ratio * decline / 0.3)))
    censored = rng.uniform(2, 5, n)
    ids = [f"S{i:04d}" for i in range(n)]
    subjects = pd.DataFrame(
        {
            "subject_id": ids,
            "arm": rng.permutation(["placebo", "active"] * (n // 2)),
            "age_years": rng.normal(48, 8, n),
            "ttde_day": np.ceil(np.minimum(time, censored) * 365.25).astype(int),
            "ttde_event": time <= censored,
        }
    )
    visits = pd.DataFrame(
        {"subject_id": np.repeat(ids, len(day)), "day": np.tile(day, n), "thal": value.ravel()}
    )
    return Cohort(subjects, visits, dictionary=default_dictionary().extend(measure(worsening)))


def rebuilt(cohort: Cohort, *, subjects=None, visits=None, worsening: str = "lower") -> Cohort:
    """Make a cohort anew with other tables."""
    return Cohort(
        cohort.subjects if subjects is None else subjects,
        (cohort.visits if visits is None else visits)[["subject_id", "day", "thal"]],
        dictionary=default_dictionary().extend(measure(worsening)),
    )


def numbers(result) -> np.ndarray:
    """Return estimates and errors by method."""
    return result.table()[["estimate", "std_error"]].to_numpy(dtype=float)


# ---------------------------------------------------------------------------- witnesses


@pytest.mark.parametrize(("term", "covariates"), [("plain", ()), ("adjusted", ("age", "drug"))])
def test_pbc_agrees_with_lme4_and_coxph(pbc: Cohort, term: str, covariates: tuple) -> None:
    """Witness: the pipeline re-derived in R from the raw file (stored)."""
    case = load_case("association_pbc2")
    result = associate(pbc, "log_bili", DEATH, covariates=covariates)
    table = result.table().set_index("method")
    rows = case.expected[case.expected["term"] == term]
    assert len(rows) == 4
    for row in rows.itertuples():
        method, _, quantity = row.quantity.partition(".")
        assert table.loc[method, quantity] == pytest.approx(row.value, rel=row.rtol)
    assert table["n_subjects"].tolist() == [312, 312]
    assert table["n_events"].tolist() == [140, 140]


def test_pbc_slopes_and_spreads_agree_with_lme4(pbc_plain) -> None:
    """Witness: coef(lmer(...)) (stored)."""
    case = load_case("association_pbc2")
    slopes = pbc_plain.slopes.set_index("subject_id")["slope"]
    for row in case.rows("slope").itertuples():
        assert slopes[row.term] == pytest.approx(row.value, rel=row.rtol)
    sd = pbc_plain.table().set_index("method")["sd"]
    for method, quantity in [("two_stage", "slope.sd"), ("time_varying", "value.sd")]:
        row = case.rows(quantity).iloc[0]
        assert sd[method] == pytest.approx(row["value"], rel=row["rtol"])


def test_pbc_thirds_agree_with_survfit(pbc_plain) -> None:
    """Witness: survfit and survdiff by third of the slopes of lme4 (stored)."""
    case = load_case("association_pbc2")
    km = pbc_plain.tertiles
    assert km.table()["group"].tolist() == ["slowest increase", "middle third", "fastest increase"]
    assert km.table()["n_subjects"].tolist() == case.rows("tertile.n")["value"].tolist()
    curves = km.curves()
    at = curves[curves["duration"] <= 1826].groupby("group", observed=True)["survival"].last()
    np.testing.assert_allclose(at, case.rows("tertile.survival")["value"], rtol=1e-8)
    expected = case.rows("tertile.logrank")["value"].item()
    assert km.log_rank.statistic == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("term", "options"),
    [
        ("all plain", {}),
        ("all adjusted", {"covariates": ("age",)}),
        ("all stratified", {"strata": ("Group",)}),
    ],
)
def test_oasis_agrees_with_lme4_and_coxph(oasis: Cohort, term: str, options: dict) -> None:
    """Witness: the pipeline re-derived in R from the raw file (stored)."""
    case = load_case("association_oasis2")
    result = associate(oasis, "nwbv", CDR, **options)
    row = result.table().set_index("method").loc["two_stage"]
    expected = case.expected[case.expected["term"] == term].set_index("quantity")
    for quantity in ("estimate", "std_error"):
        want = expected.loc[f"two_stage.{quantity}"]
        assert row[quantity] == pytest.approx(want["value"], rel=want["rtol"])
    counts = case.rows("n").set_index("term")["value"]
    assert (row["n_subjects"], row["n_events"]) == (counts["subjects"], counts["events"])
    spread = case.rows("slope.sd").set_index("term").loc["all"]
    assert row["sd"] == pytest.approx(spread["value"], rel=spread["rtol"])


@pytest.mark.parametrize(("term", "strata"), [("plain", ()), ("stratified", ("Group",))])
def test_oasis_time_varying_agrees_with_coxph(oasis: Cohort, term: str, strata: tuple) -> None:
    """Witness: coxph on intervals built in R (stored)."""
    case = load_case("association_oasis2")
    result = associate(oasis, "nwbv", CDR, methods=("time_varying",), strata=strata)
    for quantity in ("estimate", "std_error"):
        want = case.rows(f"time_varying.{quantity}").set_index("term").loc[term]
        assert result.table()[quantity].item() == pytest.approx(want["value"], rel=want["rtol"])
    assert result.trajectory is None
    assert result.tertiles is None
    assert result.slopes.empty


def test_singular_slopes_are_not_estimable(oasis: Cohort) -> None:
    """Witness: lme4 finds the same fit singular, with a correlation of 1 (stored)."""
    assert load_case("association_oasis2").rows("singular").set_index("term")[
        "value"
    ].to_dict() == {
        "until_event": 1,
        "all": 0,
    }
    result = associate(oasis, "nwbv", CDR, slope_visits="until_event")
    row = result.table().set_index("method").loc["two_stage"]
    assert math.isnan(row["estimate"])
    assert "perfectly correlated" in row["note"]
    assert "wo-stage Cox on predicted slopes not estimable" in result.headline()
    assert list(result.models) == ["time_varying"]
    assert result.tertiles is None
    assert result.trajectory.fit_log.singular


@pytest.mark.r
def test_both_engines_agree(pbc: Cohort, pbc_plain) -> None:
    """Witness: the mixed model by lme4 itself."""
    theirs = associate(pbc, "log_bili", DEATH, engine="lme4")
    np.testing.assert_allclose(numbers(pbc_plain), numbers(theirs), rtol=1e-4)


def two_stage(cohort: Cohort, slope_visits: str) -> pd.Series:
    """Return the two-stage row."""
    result = associate(cohort, "thal", DEATH, methods=("two_stage",), slope_visits=slope_visits)
    return result.table().iloc[0]


@pytest.mark.slow
def test_true_hazard_ratio_per_sd_of_slope_is_recovered() -> None:
    """Witness: the simulation's own truth, with slopes measured almost without error.

    All visits count and the event leaves the measure alone, so predicted slopes are true ones.
    """
    truth = 0.7
    rows = [two_stage(simulated(s, 300, log_ratio=truth, noise=0.05), "all") for s in range(3)]
    estimates, errors = (np.array([row[c] for row in rows]) for c in ("estimate", "std_error"))
    assert abs(estimates.mean() - truth) < 4 * math.sqrt((errors**2).mean() / len(rows))


@pytest.mark.slow
def test_slopes_up_to_the_event_attenuate_but_do_not_invent() -> None:
    """Witness: the simulation's own truth; what the Notes say about the default."""
    null, real = (
        simulated(20, 400, log_ratio=log_ratio, noise=0.3, step_days=365)
        for log_ratio in (0.0, 0.7)
    )
    nothing = two_stage(null, "until_event")
    assert abs(nothing["estimate"]) < 4 * nothing["std_error"]
    until, later = two_stage(real, "until_event"), two_stage(real, "all")
    assert until["estimate"] < 0.7 * 2 / 3
    assert until["estimate"] < 0.7 - 4 * until["std_error"]
    assert abs(later["estimate"] - 0.7) < 4 * later["std_error"]


# ---------------------------------------------------------------------------- properties


@pytest.mark.parametrize(("seed", "factor"), [(31, 1e-3), (32, 1000.0)])
def test_units_change_nothing_but_the_sd(seed: int, factor: float) -> None:
    cohort = simulated(seed)
    visits = cohort.visits.assign(thal=cohort.visits["thal"] * factor)
    before, after = (associate(c, "thal", DEATH) for c in (cohort, rebuilt(cohort, visits=visits)))
    np.testing.assert_allclose(numbers(after), numbers(before), rtol=SAME_OPTIMUM, atol=1e-6)
    np.testing.assert_allclose(
        after.table()["sd"] / factor, before.table()["sd"], rtol=SAME_OPTIMUM
    )


@pytest.mark.parametrize("seed", [41, 42])
def test_row_order_and_names_change_nothing(seed: int) -> None:
    cohort = simulated(seed)
    names = cohort.subjects["subject_id"].sample(frac=1, random_state=seed).tolist()
    renamed = dict(zip(cohort.subjects["subject_id"], names, strict=True))
    other = rebuilt(
        cohort,
        subjects=cohort.subjects.replace({"subject_id": renamed}).sample(frac=1, random_state=1),
        visits=cohort.visits.replace({"subject_id": renamed}).sample(frac=1, random_state=2),
    )
    before, after = (associate(c, "thal", DEATH) for c in (cohort, other))
    np.testing.assert_allclose(numbers(after), numbers(before), rtol=SAME_OPTIMUM, atol=1e-6)


@pytest.mark.parametrize("seed", [41, 42])
def test_a_mirrored_measure_with_mirrored_worsening_says_the_same(seed: int) -> None:
    cohort = simulated(seed)
    mirrored = rebuilt(
        cohort, visits=cohort.visits.assign(thal=20 - cohort.visits["thal"]), worsening="higher"
    )
    before, after = (associate(c, "thal", DEATH) for c in (cohort, mirrored))
    np.testing.assert_allclose(numbers(after), numbers(before), rtol=SAME_OPTIMUM, atol=1e-6)
    assert "faster decline" in before.headline()
    assert "faster increase" in after.headline()


def test_an_unspecified_direction_is_per_sd_higher() -> None:
    """By hand: "unspecified" keeps the sign, "lower" turns it."""
    lower = simulated(3)
    unspecified = rebuilt(lower, worsening="unspecified")
    a, b = (associate(c, "thal", DEATH) for c in (lower, unspecified))
    np.testing.assert_allclose(numbers(b), numbers(a) * [-1, 1], rtol=SAME_OPTIMUM)
    assert "per SD higher slope" in b.table()["term"][0]
    assert b.tertiles.table()["group"].tolist() == ["lowest slope", "middle third", "highest slope"]


def test_later_measurements_change_nothing_if_slopes_end_at_the_event() -> None:
    """Values on or after the event: none in the time-varying model, none after it in slopes."""
    cohort = simulated(5)
    end = cohort.subjects.set_index("subject_id")["ttde_day"]
    visits = cohort.visits
    late = visits["day"] > visits["subject_id"].map(end)
    assert late.sum() > 50
    altered = visits.assign(thal=visits["thal"].where(~late, 1.0))
    before, after = (
        associate(c, "thal", DEATH, slope_visits="until_event")
        for c in (cohort, rebuilt(cohort, visits=altered))
    )
    np.testing.assert_array_equal(numbers(before), numbers(after))
    with_them = associate(rebuilt(cohort, visits=altered), "thal", DEATH)
    assert abs(numbers(with_them)[0, 0] - numbers(before)[0, 0]) > 0.01
    assert any("after the event" in caveat for caveat in with_them.caveats)


def test_the_value_on_the_day_of_the_event_does_not_predict_it() -> None:
    cohort = simulated(6)
    visits = cohort.visits
    on_a_visit = cohort.subjects.assign(ttde_day=5 * 183, ttde_event=True)
    on_a_visit["ttde_day"] -= 183 * (np.arange(len(on_a_visit)) % 4)
    end = on_a_visit.set_index("subject_id")["ttde_day"]
    same_day = visits["day"] == visits["subject_id"].map(end)
    assert same_day.sum() == len(on_a_visit)
    altered = visits.assign(thal=visits["thal"].where(~same_day, 1.0))
    before, after = (
        associate(rebuilt(cohort, subjects=on_a_visit, visits=v), "thal", DEATH,
                  methods=("time_varying",))
        for v in (visits, altered)
    )  # fmt: skip
    np.testing.assert_array_equal(numbers(before), numbers(after))


def test_derived_outcome_and_its_name_give_the_same(oasis: Cohort) -> None:
    named = associate(oasis, "nwbv", CDR, methods=("time_varying",))
    derived = associate(oasis, "nwbv", derive_endpoint(oasis, CDR), methods=("time_varying",))
    pd.testing.assert_frame_equal(named.table(), derived.table())


def test_group_slopes_are_shrunk_to_their_group() -> None:
    """By construction: mean slopes of the groups differ, so the slopes of their subjects do."""
    cohort = simulated(13)
    common = associate(cohort, "thal", DEATH, group="arm")
    by_group = associate(cohort, "thal", DEATH, group="arm", slope_model="by_group")
    assert "arm" not in common.trajectory.spec.formula()
    assert "arm" in by_group.trajectory.spec.formula()
    assert numbers(by_group)[0, 0] != pytest.approx(numbers(common)[0, 0], rel=1e-6)


def test_strata_and_formula_covariates_reach_the_cox_models() -> None:
    result = associate(simulated(14), "thal", DEATH, covariates="log(age_years)", strata="arm")
    assert len(result.models) == 2
    for model in result.models.values():
        assert model.table()["term"].tolist()[1:] == ["log(age_years)"]
        assert set(model.strata) == {"arm=active", "arm=placebo"}
    assert "adjusted for log(age_years)" in result.headline()


# ---------------------------------------------------------------------------- what is left out


def test_what_each_method_leaves_out_adds_up() -> None:
    cohort = simulated(7, 60)
    subjects, visits = cohort.subjects, cohort.visits
    subjects.loc[0, "age_years"] = np.nan
    subjects.loc[1, "ttde_day"] = 0
    visits.loc[visits["subject_id"] == "S0002", "thal"] = np.nan
    visits.loc[(visits["subject_id"] == "S0003") & (visits["day"] == 0), "thal"] = np.nan
    result = associate(
        rebuilt(cohort, subjects=subjects, visits=visits), "thal", DEATH, covariates=("age_years",)
    )
    at_risk = result.endpoint.n_subjects
    for method, n in zip(result.table()["method"], result.table()["n_subjects"], strict=True):
        mine = [e for e in result.exclusions if e.stage == f"association {method}"]
        assert n == at_risk - sum(e.n for e in mine if e.unit == "subject")
        left_out = {i for e in mine if e.unit == "subject" for i in e.subject_ids}
        assert left_out >= {"S0000", "S0002"}
    assert sum(result.tertiles.table()["n_subjects"]) == result.table()["n_subjects"][0]
    assert any("1 subject(s) enter at their first" in caveat for caveat in result.caveats)


def test_thirds_by_hand() -> None:
    """Witness: nine slopes in order; the steepest decline is the worst third."""
    result = associate(simulated(8, 60), "thal", DEATH)
    ordered = result.slopes.sort_values("slope")
    assert ordered["tertile"].astype(str).tolist() == (
        ["fastest decline"] * 20 + ["middle third"] * 20 + ["slowest decline"] * 20
    )


# ---------------------------------------------------------------------------- not estimable


def test_without_differences_in_slope_the_two_stage_model_says_so() -> None:
    cohort = simulated(9, 60)
    visits = cohort.visits
    rng = np.random.default_rng(0)
    level = dict(zip(cohort.subjects["subject_id"], rng.normal(8, 1, 60), strict=True))
    parallel = visits["subject_id"].map(level) - 0.2 * visits["day"] / 365.25
    # alternating errors that cancel in every subject's slope: less spread than chance gives
    wiggle = 0.1 * (-1.0) ** visits.groupby("subject_id").cumcount()
    result = associate(rebuilt(cohort, visits=visits.assign(thal=parallel + wiggle)), "thal", DEATH)
    row = result.table().set_index("method").loc["two_stage"]
    assert math.isnan(row["hazard_ratio"])
    assert "slope" in row["note"]
    assert np.isfinite(result.table().set_index("method").loc["time_varying", "hazard_ratio"])
    assert "not estimable" in result.headline()


def test_few_events_are_refused_with_their_number() -> None:
    cohort = simulated(10)
    subjects = cohort.subjects
    subjects["ttde_event"] = [True] * 3 + [False] * (len(subjects) - 3)
    few = rebuilt(cohort, subjects=subjects)
    with pytest.raises(DesignError, match=r"only 3 event\(s\) among 60 subject\(s\)"):
        associate(few, "thal", DEATH)
    assert associate(few, "thal", DEATH, min_events=3).table()["n_events"].tolist() == [3, 3]


def test_one_visit_per_subject_has_no_slope_but_a_value() -> None:
    cohort = simulated(11)
    once = rebuilt(cohort, visits=cohort.visits[cohort.visits["day"] == 0])
    result = associate(once, "thal", DEATH)
    notes = result.table().set_index("method")["note"]
    assert "mixed model of the slopes failed" in notes["two_stage"]
    assert notes["time_varying"] == ""


def test_a_constant_measure_relates_to_nothing() -> None:
    cohort = simulated(12)
    constant = rebuilt(cohort, visits=cohort.visits.assign(thal=8.0))
    with pytest.raises(DesignError, match=r"cannot be estimated.*same in all subjects"):
        associate(constant, "thal", DEATH)


# ---------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"measure": "thalamus"}, SchemaError, "Did you mean 'thal'"),
        ({"covariates": ("age",)}, DesignError, "`covariates` names 'age'"),
        ({"covariates": "__import__('os').getcwd()"}, DesignError, "Nothing was evaluated"),
        ({"strata": "site"}, DesignError, "`strata` names 'site'"),
        ({"group": "army"}, DesignError, "Did you mean 'arm'"),
        ({"methods": ()}, DesignError, "`methods` must be"),
        ({"methods": "two_stage"}, DesignError, "`methods` must be"),
        ({"methods": ("two-stage",)}, DesignError, "Did you mean 'two_stage'"),
        ({"slope_visits": "every"}, DesignError, "`slope_visits` must be"),
        ({"slope_model": "by_group"}, DesignError, "needs `group`"),
        ({"engine": "sas"}, DesignError, "`engine` must be"),
        ({"conf_level": 95}, DesignError, "`conf_level`"),
        ({"min_events": 0}, DesignError, "`min_events`"),
    ],
)
def test_bad_requests_are_refused(options: dict, error: type, message: str) -> None:
    cohort = simulated(1, 20)
    arguments = {"measure": "thal", "outcome": DEATH} | options
    with pytest.raises(error, match=message):
        associate(cohort, **arguments)


def test_an_unmeasured_cohort_is_refused() -> None:
    cohort = simulated(1, 20)
    visits = cohort.visits
    visits.loc[visits["subject_id"] != "S0000", "thal"] = np.nan
    subjects = cohort.subjects
    subjects.loc[0, "ttde_day"] = None
    with pytest.raises(DesignError, match="has a value of 'thal'"):
        associate(rebuilt(cohort, subjects=subjects, visits=visits), "thal", DEATH)


def test_an_outcome_of_other_subjects_is_refused() -> None:
    small, large = simulated(1, 20), simulated(1, 40)
    with pytest.raises(DesignError, match="20 subject"):
        associate(small, "thal", derive_endpoint(large, DEATH))


def test_reserved_column_names_are_refused() -> None:
    cohort = simulated(1, 20)
    subjects = cohort.subjects.assign(slope=1.0)
    with pytest.raises(DesignError, match="another one"):
        associate(rebuilt(cohort, subjects=subjects), "thal", DEATH, covariates=("slope",))


# ---------------------------------------------------------------------------- result contract


@pytest.fixture(scope="module")
def result():
    return associate(simulated(2), "thal", DEATH, covariates=("age_years",))


def test_table_has_its_columns_and_is_a_copy(result) -> None:
    table = result.table()
    assert tuple(table.columns) == ESTIMATE_COLUMNS
    assert table["sd_unit"].tolist() == ["ml/year", "ml"]
    assert table["term"].tolist() == [
        "Thalamus volume: per SD faster decline",
        "Thalamus volume: per SD lower value",
    ]
    np.testing.assert_allclose(np.exp(table["estimate"]), table["hazard_ratio"])
    table.loc[:, "estimate"] = 0.0
    assert (result.table()["estimate"] != 0).all()


def test_headline_is_clinical(result) -> None:
    text = result.headline()
    assert text.startswith("Per SD faster decline of Thalamus volume (0.")
    assert "ml/year), the hazard of death was " in text
    assert "times as high (95 % CI " in text
    assert "two-stage Cox on predicted slopes, adjusted for age_years, 60 subjects, " in text
    assert "per SD lower Thalamus volume (" in text


def test_synthetic_data_are_called_so() -> None:
    real = simulated(2)
    made = Cohort(
        real.subjects,
        real.visits[["subject_id", "day", "thal"]],
        dictionary=real.dictionary,
        origin="synthetic",
    )
    result = associate(made, "thal", DEATH)
    assert result.headline().startswith("In synthetic data, per SD")
    assert {result.origin, result.tertiles.origin, result.trajectory.origin} == {"synthetic"}


def test_result_is_plain_json_and_shows_itself(result) -> None:
    assert_result_contract(result)
    assert_survival_curve(result.tertiles.curves())
    plain = result.to_dict()
    assert plain["schema"] == "association_result/2"
    assert set(plain["models"]) == {"two_stage", "time_varying"}
    assert len(plain["caveats"]) == 2
    checks = result.check_proportional_hazards()
    assert checks.groupby("method")["term"].apply(list).to_dict() == {
        "two_stage": ["slope_per_sd", "age_years", "global"],
        "time_varying": ["value_per_sd", "age_years", "global"],
    }


def test_figure_has_a_row_per_method(result) -> None:
    _, ax = plt.subplots()
    result.plot(ax=ax)
    dots = [line.get_xdata()[0] for line in ax.lines if line.get_gid() == "estimate"]
    np.testing.assert_allclose(dots, result.table()["hazard_ratio"])
    assert ax.get_xscale() == "log"
    plt.close("all")


def test_a_method_that_is_not_estimable_is_still_shown(oasis: Cohort) -> None:
    result = associate(oasis, "nwbv", CDR, slope_visits="until_event")
    assert_result_contract(result)
    _, ax = plt.subplots()
    result.plot(ax=ax)
    assert "not estimable" in [text.get_text() for text in ax.texts]
    plt.close("all")


def test_a_spec_is_hashable_and_says_what_was_asked(result) -> None:
    assert result.spec == AssociationSpec(measure="thal", covariates=("age_years",), methods=COX)
    assert len({result.spec, result.spec}) == 1
