"""Every number against lifelines or a direct derivation; properties; bad input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter
from properties import assert_result_contract

from pmsstats.cohort import Cohort
from pmsstats.endpoints import (
    CompositeRule,
    ProgressionRule,
    RecordedEventRule,
    RelapseEventRule,
    derive_endpoint,
    derive_progression,
    edss_threshold,
    progression_rule,
)
from pmsstats.errors import DesignError, SchemaError
from pmsstats.models import CoxSpec, fit_cox, fit_km
from pmsstats.multiverse import MultiverseResult, RuleGrid, derive_multiverse, rule_grid

LIFELINES = 2e-3  # standard errors: lifelines stops its Newton steps about 1e-3 from the maximum
MAXIMUM = 1e-7  # standard errors: fit_cox goes to the maximum from elsewhere
EXACT = 1e-12
YEAR = 365.25
TABLE = ["rule", "n_at_risk", "n_events", "km_share", "median_years", "median_kappa", "estimate"]


def event_table(trial: Cohort, rule: ProgressionRule) -> pd.DataFrame:
    """Events of one definition, derived on its own, with the subjects' covariates."""
    events = derive_progression(trial, rule).table()[["subject_id", "duration", "event"]]
    return events.merge(trial.subjects, on="subject_id")


def by_lifelines(frame: pd.DataFrame, columns: list[str], **kws) -> pd.DataFrame:
    return (
        CoxPHFitter()
        .fit(frame[["duration", "event", *columns]], "duration", "event", **kws)
        .summary
    )


@pytest.fixture(scope="module")
def ratios(multiverse: MultiverseResult) -> pd.DataFrame:
    return multiverse.ratios.set_index("rule")


def test_the_trial_is_worth_testing_on(multiverse):
    n = multiverse.definitions["n_events"]
    assert len(multiverse.rules) == 24
    assert n.min() > 10
    assert n.nunique() > 8
    assert multiverse.ratios["estimate"].notna().all()


def test_events_are_those_of_each_definition_alone(trial, grid, multiverse):
    for rule in grid:
        alone = derive_progression(trial, rule).table()[["subject_id", "duration", "event"]]
        pd.testing.assert_frame_equal(multiverse.events(rule.name), alone)


def test_hazard_ratios_are_those_of_lifelines(trial, grid, ratios):
    for rule in grid:
        frame = event_table(trial, rule)
        frame["active"] = (frame["arm"] == "active").astype(float)
        theirs = by_lifelines(frame, ["active"]).loc["active"]
        ours = ratios.loc[rule.name]
        assert abs(ours["estimate"] - theirs["coef"]) < LIFELINES * theirs["se(coef)"]
        assert ours["std_error"] == pytest.approx(theirs["se(coef)"], rel=1e-3)
        assert ours["p_value"] == pytest.approx(theirs["p"], rel=0.02)
        low, high = theirs["exp(coef) lower 95%"], theirs["exp(coef) upper 95%"]
        assert ours["hazard_ratio_low"] == pytest.approx(low, rel=2e-3)
        assert ours["hazard_ratio_high"] == pytest.approx(high, rel=2e-3)


def test_shares_and_medians_are_those_of_fit_km_and_lifelines(trial, grid, multiverse):
    counts = multiverse.definitions.set_index("rule")
    for rule in grid:
        frame, found = event_table(trial, rule), counts.loc[rule.name]
        assert found["n_at_risk"] == len(frame)
        assert found["n_events"] == frame["event"].sum()
        theirs = KaplanMeierFitter().fit(frame["duration"], frame["event"])
        share = 1 - theirs.predict(2 * YEAR)
        assert found["km_share"] == pytest.approx(share, rel=EXACT)
        median = fit_km(frame).table()["median"].iloc[0] / YEAR
        assert found["median_years"] == pytest.approx(median, rel=EXACT, nan_ok=True)


def test_counts_by_arm_are_those_of_fit_km(trial, grid, multiverse):
    counts = multiverse.groups.set_index(["rule", "group"])
    for rule in grid.rules[::5]:
        from_km = fit_km(event_table(trial, rule).assign(group=lambda d: d["arm"]), by_arm())
        for row in from_km.table().itertuples():
            found = counts.loc[(rule.name, row.group)]
            assert (found["n_at_risk"], found["n_events"]) == (row.n_subjects, row.n_events)
            median = found["median_years"] * YEAR
            assert median == pytest.approx(row.median, rel=EXACT, nan_ok=True)


def by_arm():
    from pmsstats.models import KMSpec

    return KMSpec(by="group")


def test_adjusted_and_stratified_is_fit_cox(trial):
    rules = [progression_rule("cdp12"), progression_rule("cdp24")]
    found = derive_multiverse(trial, rules, adjust=("age_years",), strata="region").ratios
    for rule, ours in zip(rules, found.itertuples(), strict=True):
        spec = CoxSpec(covariates=("arm", "age_years"), strata="region")
        theirs = fit_cox(event_table(trial, rule), spec).coefficients.iloc[0]
        assert abs(ours.estimate - theirs["estimate"]) < MAXIMUM * theirs["std_error"]
        assert ours.std_error == pytest.approx(theirs["std_error"], rel=MAXIMUM)


def test_a_number_is_per_sd_or_per_unit(trial):
    rule = progression_rule("cdp12")
    per_sd = derive_multiverse(trial, [rule], by="age_years").ratios.iloc[0]
    per_unit = derive_multiverse(trial, [rule], by="age_years", per="unit").ratios.iloc[0]
    theirs = by_lifelines(event_table(trial, rule), ["age_years"]).loc["age_years"]
    assert abs(per_unit["estimate"] - theirs["coef"]) < LIFELINES * theirs["se(coef)"]
    sd = trial.subjects["age_years"].std(ddof=1)
    assert per_sd["estimate"] == pytest.approx(sd * per_unit["estimate"], rel=1e-9)
    assert per_sd["p_value"] == pytest.approx(per_unit["p_value"], rel=1e-9)
    assert (per_sd["term"], per_unit["term"]) == (
        f"age_years (per SD of {sd:.2f})", "age_years (per unit)",
    )  # fmt: skip


def test_several_groups_are_each_compared_with_the_first(trial):
    rule = progression_rule("cdp12")
    found = derive_multiverse(trial, [rule], by="region")
    frame = event_table(trial, rule)
    dummies = pd.get_dummies(frame["region"], dtype=float)[["north", "west"]]
    theirs = by_lifelines(frame.join(dummies), ["north", "west"])
    assert found.terms == ("north vs east", "west vs east")
    gap = found.ratios["estimate"].to_numpy() - theirs["coef"].to_numpy()
    assert (np.abs(gap) < LIFELINES * theirs["se(coef)"].to_numpy()).all()
    assert len(found.table()) == 2
    assert_result_contract(found)


def test_a_group_without_events_leaves_the_others_their_ratio(trial):
    rule = progression_rule("cdp12")
    events = derive_progression(trial, rule).table()
    with_event = set(events.loc[events["event"], "subject_id"])
    subjects = trial.subjects
    unharmed = ~subjects["subject_id"].isin(with_event) & (subjects.index % 3 == 0)
    subjects["group"] = subjects["arm"].astype(str).where(~unharmed, "spared")
    cohort = Cohort(subjects, trial.visits, trial.relapses)
    found = derive_multiverse(cohort, [rule], by="group").ratios.set_index("term")
    assert found.loc["spared vs active", "note"] == "no event in spared"
    others = events.merge(subjects, on="subject_id").query("group != 'spared'")
    others["placebo"] = (others["arm"] == "placebo").astype(float)
    theirs = by_lifelines(others, ["placebo"]).loc["placebo"]
    gap = found.loc["placebo vs active", "estimate"] - theirs["coef"]
    assert abs(gap) < LIFELINES * theirs["se(coef)"]


# --- properties ---------------------------------------------------------------------------------


def test_threads_change_nothing(trial, grid, multiverse):
    threaded = derive_multiverse(trial, grid, n_jobs=2)
    pd.testing.assert_frame_equal(threaded.table(), multiverse.table(), check_exact=True)
    pd.testing.assert_frame_equal(threaded.groups, multiverse.groups, check_exact=True)


def test_row_order_of_the_input_changes_nothing(tables, grid, multiverse):
    reversed_tables = [frame.iloc[::-1] for frame in tables]
    other = derive_multiverse(Cohort(*reversed_tables), grid)
    pd.testing.assert_frame_equal(other.table(), multiverse.table(), check_exact=True)


def test_other_names_of_subjects_change_nothing(tables, grid, multiverse):
    def renamed(frame: pd.DataFrame) -> pd.DataFrame:
        turned = frame["subject_id"].str.slice(1).astype(int).rsub(900)
        return frame.assign(subject_id="X" + turned.astype(str))

    other = derive_multiverse(Cohort(*map(renamed, tables)), grid).table()
    pd.testing.assert_frame_equal(other[TABLE], multiverse.table()[TABLE], rtol=1e-9)


def test_order_of_rules_only_orders_the_rows(trial, grid, multiverse):
    backwards = derive_multiverse(trial, grid.rules[::-1])
    ours = multiverse.table()[TABLE]
    theirs = backwards.table()[TABLE].iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(theirs, ours, check_exact=True)


def test_swapping_the_arms_turns_the_effect(trial, multiverse):
    subjects = trial.subjects
    swapped = {"active": "placebo", "placebo": "active"}
    subjects["arm"] = subjects["arm"].astype(str).map(swapped)
    other = derive_multiverse(Cohort(subjects, trial.visits, trial.relapses), multiverse.rules)
    np.testing.assert_allclose(
        other.ratios["estimate"], -multiverse.ratios["estimate"], rtol=1e-8, atol=1e-10
    )
    np.testing.assert_allclose(other.ratios["p_value"], multiverse.ratios["p_value"], rtol=1e-7)


def test_repeated_events_are_fitted_once(trial, grid, monkeypatch):
    fitted = []
    from pmsstats.multiverse import derive

    def counted(*args):
        fitted.append(1)
        return real(*args)

    real = derive.fit_ratios
    monkeypatch.setattr(derive, "fit_ratios", counted)
    found = derive_multiverse(trial, grid)
    first = found.definitions["same_as"] == ""
    assert 0 < len(fitted) == first.sum() < len(grid)
    copies = found.definitions[~first]
    originals = found.ratios.set_index("rule").loc[copies["same_as"], "estimate"]
    ours = found.ratios.set_index("rule").loc[copies["rule"], "estimate"]
    assert ours.tolist() == originals.tolist()


def test_a_grid_and_its_rules_as_a_list_agree(trial, grid, multiverse):
    listed = derive_multiverse(trial, list(grid.rules))
    assert set(listed.options.columns) == set(multiverse.options.columns)
    assert listed.spec.primary == ""
    ours = multiverse.influence().drop(columns="note").set_index("option")
    theirs = listed.influence().drop(columns="note").set_index("option").loc[ours.index]
    pd.testing.assert_frame_equal(theirs, ours)


# --- rules of other kinds -----------------------------------------------------------------------


def test_composites_and_other_kinds_are_derived(trial):
    relapse = RelapseEventRule()
    either = CompositeRule(name="either", parts=(progression_rule("cdp12"), relapse))
    found = derive_multiverse(trial, ["cdp12", either, relapse])
    assert list(found.options.columns) == ["rule", "kind"]
    assert found.options["kind"].tolist() == ["progression", "composite", "relapse event"]
    for rule in (either, relapse):
        alone = derive_endpoint(trial, rule).table().query("duration > 0")
        events = found.events(rule.name)
        assert events["subject_id"].tolist() == alone["subject_id"].tolist()
        assert events["event"].tolist() == alone["event"].tolist()
        assert events["duration"].tolist() == alone["duration"].tolist()
    assert_result_contract(found)


def test_definitions_of_several_outcomes(tables):
    subjects, visits, relapses = tables
    visits = visits.assign(t25fw_s=2.0 + visits["edss"])
    cohort = Cohort(subjects, visits, relapses)
    found = derive_multiverse(cohort, ["cdp12", "t25fw20"])
    assert found.options["outcome"].tolist() == ["edss", "t25fw_s"]
    for name in ("cdp12", "t25fw20"):
        assert found.events(name)["event"].sum() == derive_progression(cohort, name).n_events


def test_subjects_without_follow_up_are_not_at_risk(eight):
    subjects = eight.subjects.assign(days=[0, 10, 20, 30, 40, 50, 60, 70], seen=[1, 0] * 4)
    rule = RecordedEventRule(duration="days", event="seen", name="seen")
    found = derive_multiverse(Cohort(subjects, eight.visits), [rule])
    assert found.definitions["n_at_risk"].tolist() == [7]
    assert "A1" not in set(found.events("seen")["subject_id"])


def test_draws_take_a_seed_and_do_not_depend_on_threads(trial):
    rules = rule_grid("cdp12", impute_last_visit=[0, 0.5, 1])
    ours = derive_multiverse(trial, rules, seed=3)
    again = derive_multiverse(trial, rules, seed=3, n_jobs=2)
    pd.testing.assert_frame_equal(ours.table(), again.table())
    alone = derive_progression(trial, rules.rules[1], seed=3)
    assert ours.definitions["n_events"][1] == alone.n_events
    with pytest.raises(DesignError, match="seed"):
        derive_multiverse(trial, rules)


# --- without a comparison, missing covariates, the primary definition ----------------------------


def test_without_a_comparison_there_are_shares_and_agreement(trial, grid, multiverse):
    found = derive_multiverse(trial, grid, by=None)
    pd.testing.assert_frame_equal(found.definitions, multiverse.definitions)
    assert found.terms == ()
    assert "hazard_ratio" not in found.table()
    assert list(found.groups["group"].unique()) == ["all"]
    assert found.influence()["mean_change_share"].is_monotonic_decreasing
    assert_result_contract(found)


def test_subjects_without_the_covariate_are_counted(trial):
    subjects = trial.subjects
    subjects.loc[[3, 5], "age_years"] = np.nan
    subjects["region"] = subjects["region"].astype(object)
    subjects.loc[[5, 8], "region"] = None
    cohort = Cohort(subjects, trial.visits, trial.relapses)
    found = derive_multiverse(cohort, ["cdp12"], adjust="age_years", strata="region")
    assert found.n_subjects == len(subjects) - 3
    counted = found.excluded().set_index("reason")["first_subjects"].to_dict()
    assert counted == {"no age_years": "S003, S005", "no region": "S008"}


@pytest.mark.parametrize(
    ("primary", "expected"),
    [
        (None, "cdp12"),
        ("cdp12_02", "cdp12_02"),
        (replace(progression_rule("cdp12"), name="ours", confirm_weeks=24), "cdp12_13"),
    ],
)
def test_primary_definition(trial, grid: RuleGrid, primary, expected):
    found = derive_multiverse(trial, grid, primary=primary)
    assert found.spec.primary == expected
    assert f"under {expected}" in found.headline()


# --- bad input ----------------------------------------------------------------------------------


def no_arm(trial: Cohort) -> Cohort:
    return Cohort(trial.subjects.drop(columns="arm"), trial.visits)


def one_arm(trial: Cohort) -> Cohort:
    return trial.select(where={"arm": "active"})


def no_covariate(trial: Cohort) -> Cohort:
    return Cohort(trial.subjects.assign(arm=None), trial.visits)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_arm, "`by` names 'arm', which is no column.* by=None"),
        (one_arm, r"'arm', which has 1 group\(s\) \(active\)"),
        (no_covariate, "No subject has all of arm"),
    ],
)
def test_cohorts_that_cannot_be_compared(trial, change: Callable[[Cohort], Cohort], message):
    with pytest.raises(DesignError, match=message):
        derive_multiverse(change(trial), ["cdp12", "cdp24"])


CDP12 = progression_rule("cdp12")


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([], "`rules` is empty"),
        ("cdp12", "must be a RuleGrid or a sequence"),
        ({"a": CDP12}, "must be a RuleGrid or a sequence"),
        ([CDP12, 12], "must hold endpoint rules or names of presets, got 12"),
        (["cdp12", "cdp12"], "2 share one"),
        ([CDP12, replace(CDP12, confirm_weeks=24)], r"2 share one \(cdp12\)"),
        (["cdp13"], "cdp12"),
    ],
)
def test_rules_that_cannot_be_compared(trial, rules, message):
    with pytest.raises(DesignError, match=message):
        derive_multiverse(trial, rules)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "subject_id"}, "`by` names 'subject_id'"),
        ({"by": "agee"}, "Did you mean 'age_years'"),
        ({"adjust": "agee_years"}, "`adjust` names 'agee_years'"),
        ({"adjust": ("arm", "age_years")}, "'arm', which is compared"),
        ({"strata": "country"}, "`strata` names 'country'"),
        ({"by": None, "adjust": "age_years"}, "`by` is None"),
        ({"per": "year"}, "`per` must be one of sd, unit"),
        ({"at_years": 0}, "`at_years` must be years above 0"),
        ({"conf_level": 95}, "`conf_level` must lie between 0 and 1"),
        ({"n_jobs": 0}, "`n_jobs` must be a number of threads"),
        ({"primary": "cdp48"}, "`primary` names 'cdp48', which is none of the 2"),
        ({"primary": replace(CDP12, confirm_weeks=48)}, "none of the 2 definitions asks"),
        ({"primary": 12}, "`primary` must be"),
    ],
)
def test_requests_that_cannot_be_carried_out(trial, options, message):
    with pytest.raises(DesignError, match=message):
        derive_multiverse(trial, ["cdp12", "cdp24"], **options)


def test_a_measure_that_was_not_taken(trial):
    with pytest.raises(SchemaError, match="t25fw_s"):
        derive_multiverse(trial, ["cdp12", "t25fw20"])


def test_a_column_that_does_not_vary(trial):
    cohort = Cohort(trial.subjects.assign(age_years=50.0), trial.visits)
    with pytest.raises(DesignError, match="nothing to compare"):
        derive_multiverse(cohort, ["cdp12"], by="age_years")


def test_nobody_at_risk_under_one_definition_is_flagged(trial):
    rules = [CDP12, replace(CDP12, name="from_nine", baseline_range=(9.5, 10.0))]
    found = derive_multiverse(trial, rules)
    row = found.table().set_index("rule").loc["from_nine"]
    assert (row["n_at_risk"], row["n_events"], row["note"]) == (0, 0, "no event")
    assert row[["event_share", "km_share", "median_years", "median_kappa", "estimate"]].isna().all()
    assert "1 not estimable" in found.headline()
    assert_result_contract(found)


def test_nobody_at_risk_at_all(trial):
    rule = replace(CDP12, baseline_range=(9.5, 10.0), threshold=edss_threshold(5.0))
    with pytest.raises(DesignError, match="Nobody is at risk under any of the 1 definitions"):
        derive_multiverse(trial, [rule])
