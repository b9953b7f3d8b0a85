"""From a generator's tables to arrays: places of visits, events, plans, shared subjects."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from fake_studies import FakeConfig, fake_cohort

from pmsstats.cohort import Cohort
from pmsstats.endpoints import derive_endpoint, derive_msfc
from pmsstats.errors import DesignError
from pmsstats.validation import Check, Claim, CohortTables, StudyConfig, StudyDesign
from pmsstats.validation.analyses import Prediction, Rate
from pmsstats.validation.cohort_arrays import cohort_arrays, outcome_measures
from pmsstats.validation.cohorts import describe_design, emitted_measures, generate_cohorts, plan_of
from pmsstats.validation.studies import cut_studies, whole_cohort

WEEKS = tuple(range(0, 97, 12))
YEARS = tuple(7 * week / 365.25 for week in WEEKS)
RATED = Check(
    finding="rated",
    claims=(
        Claim(
            analysis=Prediction(measure="thalamus_ml", outcome="cdp12", groups=("PPMS",)),
            expect="higher",
        ),
    ),
    design=StudyDesign(groups=(("PPMS", 30),), years=(0.0, 1.0, 2.0)),
)


@pytest.fixture(scope="module")
def tables():
    config = FakeConfig(n_subjects=80, mix=(("PPMS", 1.0),), weeks=WEEKS, imaging_weeks=WEEKS)
    return fake_cohort(config, 2)


@pytest.fixture(scope="module")
def arrays(tables):
    return cohort_arrays(tables, years=YEARS, planned_weeks=WEEKS)


def test_fake_generator_keeps_the_protocol(tables):
    assert isinstance(FakeConfig(), StudyConfig)
    assert isinstance(tables, CohortTables)


@pytest.mark.parametrize("outcome", ["cdp12", "cdp24"])
def test_edss_events_are_those_of_derive_endpoint(tables, arrays, outcome):
    cohort = Cohort(tables.subjects, tables.visits, tables.relapses, tables.exits)
    expected = derive_endpoint(cohort, outcome).table().set_index("subject_id")
    at_risk = np.isfinite(arrays.event(outcome).duration)
    assert expected["event"].sum() > 5
    assert tables.subjects["subject_id"][at_risk].tolist() == expected.index.tolist()
    found = arrays.event(outcome)
    assert found.duration[at_risk].tolist() == expected["duration"].tolist()
    assert found.happened[at_risk].tolist() == expected["event"].tolist()


def test_composite_events_take_the_same_way_as_a_users(tables, arrays):
    cohort = Cohort(tables.subjects, tables.visits, tables.relapses, tables.exits)
    expected = derive_endpoint(cohort, "pira_kappos2020").table()
    found = arrays.event("pira_kappos2020")
    assert found.happened.sum() == expected["event"].sum()
    assert {"edss", "t25fw_s", "nhpt_s"} <= set(outcome_measures("pira_kappos2020"))


def test_composite_score_is_that_of_derive_msfc(tables, arrays):
    visits = tables.visits.assign(
        nhpt_dominant_s=tables.visits["nhpt_s"], nhpt_nondominant_s=tables.visits["nhpt_s"]
    )
    expected = derive_msfc(visits, "task_force").visits
    baseline = expected[expected["day"] == 0].sort_values("subject_id")["msfc_z"]
    np.testing.assert_allclose(arrays.at("msfc_z", 0.0), baseline)


def test_row_order_and_missed_visits_leave_the_others_in_their_places(tables, arrays):
    kept = tables.visits.drop(index=[3, 11]).sample(frac=1, random_state=1)
    kept = kept.assign(day=kept["day"] + np.where(kept["day"] > 0, 20, 0))  # late, not missed
    fewer = dataclasses.replace(
        cohort_arrays(
            type(tables)(**(vars(tables) | {"visits": kept})), years=YEARS, planned_weeks=WEEKS
        )
    )
    before, after = arrays.course("thalamus_ml"), fewer.course("thalamus_ml")
    gone = np.isnan(after)
    assert np.argwhere(gone).tolist() == [[0, 3], [1, 2]]
    assert (before[~gone] == after[~gone]).all()


def test_events_need_every_visit(tables):
    fewer = type(tables)(**(vars(tables) | {"visits": tables.visits.drop(index=[3])}))
    arrays = cohort_arrays(fewer, years=YEARS, planned_weeks=WEEKS)
    with pytest.raises(DesignError, match="Events need every planned visit"):
        arrays.event("cdp12")


def test_slopes_stop_where_asked(arrays):
    first = arrays.course("thalamus_ml")[:, :2]
    year = arrays.day[:, 1] / 365.25
    np.testing.assert_allclose(
        arrays.slope("thalamus_ml", YEARS[1]), (first[:, 1] - first[:, 0]) / year
    )


def test_slopes_up_to_five_years_have_the_visit_of_week_261():
    weeks = (0, 261, 522)
    tables = fake_cohort(FakeConfig(n_subjects=5, weeks=weeks, imaging_weeks=weeks), 2)
    arrays = cohort_arrays(tables, years=(0.0, 5.0, 10.0), planned_weeks=weeks)
    course = arrays.course("thalamus_ml")
    np.testing.assert_allclose(
        arrays.slope("thalamus_ml", 5.0), (course[:, 1] - course[:, 0]) / (261 * 7 / 365.25)
    )


@pytest.mark.parametrize("name", ["nawm_mtr_pu", "thalamus_mll"])
def test_measure_that_was_not_emitted_is_named(arrays, name):
    with pytest.raises(DesignError, match=f"emitted no '{name}'"):
        arrays.at(name, 0.0)


def test_unknown_arm_of_the_generator_is_named(tables):
    other = type(tables)(**(vars(tables) | {"subjects": tables.subjects.assign(arm="other")}))
    with pytest.raises(DesignError, match="has an arm 'other'"):
        cohort_arrays(other, years=YEARS, planned_weeks=WEEKS, arm_names=("placebo", "active"))


def test_events_are_rated_between_scans():
    plan = plan_of(RATED)
    assert plan.scan_weeks == (0, 52, 104)
    assert plan.weeks == (0, 12, 24, 36, 48, 52, 60, 72, 84, 96, 104)
    assert set(emitted_measures([RATED])) == {"edss", "thalamus_ml"}
    unrated = dataclasses.replace(
        RATED, claims=(Claim(analysis=Rate(measure="edss", groups=("PPMS",)), expect="higher"),)
    )
    assert plan_of(unrated).weeks == plan.scan_weeks


def test_phenotypes_have_streams_of_their_own():
    plan = plan_of(RATED)
    alone, both = (
        generate_cohorts(
            fake_cohort, FakeConfig(), plan, sizes=sizes, measures=("thalamus_ml",), seed=1,
            purpose=("test",),
        )
        for sizes in ({"PPMS": 5}, {"HC": 9, "PPMS": 7})
    )  # fmt: skip
    assert both[1].at("thalamus_ml", 0.0)[:5].tolist() == alone[0].at("thalamus_ml", 0.0).tolist()
    assert both[0].at("age", 0.0)[0] != both[1].at("age", 0.0)[0]


def test_phenotypes_share_the_sites_of_a_study():
    plan = dataclasses.replace(plan_of(RATED), sites=4)
    cohorts = generate_cohorts(
        fake_cohort, FakeConfig(), plan, sizes={"HC": 200, "PPMS": 300}, measures=("thalamus_ml",),
        seed=1, purpose=("test",),
    )  # fmt: skip
    assert len(cohorts) == 1
    studies = cut_studies(cohorts, (("HC", 20), ("PPMS", 30)), 10)
    assert pd.Series(studies.group).value_counts().to_dict() == {"PPMS": 30, "HC": 20}


@dataclasses.dataclass(frozen=True)
class Recorder:
    """A config that remembers what it was asked for."""

    asked: list

    def for_study(self, **asked):
        self.asked.append(asked)
        return FakeConfig().for_study(**asked)


INCLUSION = {
    "age": (30.0, 65.0),
    "edss": (3.0, 6.5),
    "duration": (0.0, 5.0),
    "relapse_free_years": 2.0,
    "sites": 3,
    "conversion": True,
    "treatments": ("placebo", "active"),
}


@pytest.mark.parametrize("complete", [True, False])
def test_inclusion_criteria_reach_the_generator(complete):
    recorder = Recorder([])
    design = StudyDesign(groups=(("PPMS", 30),), years=(0.0, 1.0), **INCLUSION)
    generate_cohorts(
        fake_cohort, recorder, plan_of(dataclasses.replace(RATED, design=design)),
        sizes={"PPMS": 30}, measures=("thalamus_ml",), seed=1, purpose=("test",),
        complete=complete,
    )  # fmt: skip
    asked = recorder.asked[-1]
    assert {name: asked[name] for name in INCLUSION} == INCLUSION
    assert asked["complete"] is complete
    assert asked["mix"] == {"PPMS": 1.0}


def test_a_number_that_arms_do_not_divide_is_shared_out_from_the_first():
    config = FakeConfig(n_subjects=400, mix=(("PPMS", 1.0),))
    tables = fake_cohort(config, 3)
    names = ("placebo", "active", "third")
    tables.subjects["arm"] = np.resize(names, len(tables.subjects))
    made = cohort_arrays(tables, years=(0.0, 1.0), planned_weeks=(0, 52), arm_names=names)
    studies = cut_studies([made], (("PPMS", 11),), 4)
    assert np.bincount(studies.arm).tolist() == [4, 4, 3]
    drawn = tables.subjects["arm"].to_numpy()[studies.rows]
    assert (drawn == np.array(names)[studies.arm]).all()
    assert len(np.unique(studies.rows)) == studies.rows.size


@pytest.mark.parametrize("table", ["subjects", "visits"])
def test_a_column_that_the_generator_lacks_is_named(tables, table):
    column = {"subjects": "age_years", "visits": "day"}[table]
    parts = {name: getattr(tables, name) for name in ("subjects", "visits", "relapses", "exits")}
    parts[table] = parts[table].drop(columns=column)
    with pytest.raises(DesignError, match=f"The generator's {table} need the column '{column}'"):
        cohort_arrays(SimpleNamespace(**parts), years=YEARS, planned_weeks=WEEKS)


def test_duration_is_asked_for_by_its_name(tables):
    parts = {name: getattr(tables, name) for name in ("visits", "relapses", "exits")}
    subjects = tables.subjects.drop(columns="disease_duration_years", errors="ignore")
    made = cohort_arrays(
        SimpleNamespace(subjects=subjects, **parts), years=YEARS, planned_weeks=WEEKS
    )
    with pytest.raises(DesignError, match="need the column 'disease_duration_years'"):
        made.at("duration", 0.0)


def test_too_few_subjects_are_refused(arrays):
    with pytest.raises(DesignError, match="3 studies of 40 PPMS need 120 subjects"):
        cut_studies([arrays], (("PPMS", 40),), 3)


def test_large_studies_keep_the_proportions_of_the_cited_one():
    cohort = cohort_arrays(
        fake_cohort(FakeConfig(n_subjects=12_000), 4), years=(0.0, 1.0), planned_weeks=(0, 52)
    )
    studies = whole_cohort([cohort], (("HC", 25), ("PPMS", 50)), 5000)
    assert pd.Series(studies.group).value_counts().to_dict() == {"PPMS": 5000, "HC": 2500}


def test_designs_in_words():
    assert describe_design(RATED.design) == "30 PPMS; 2 years"
    assert (
        describe_design(StudyDesign(groups=(("PPMS", 3), ("HC", 2)))) == "3 PPMS, 2 HC; one visit"
    )
