"""The cohort: immutable, canonical, selectable."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import Tables, valid_cohorts, valid_tables

from pmsstats.cohort.cohort import Cohort
from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.errors import SchemaError

SUBJECTS = pd.DataFrame(
    {
        "subject_id": ["S2", "S1", "S3"],
        "arm": ["Drug", "Placebo", "Drug"],
        "phenotype": ["PPMS", "SPMS", "SPMS"],
        "age_years": [40, 50, 60],
    }
)
VISITS = pd.DataFrame(
    {
        "subject_id": ["S3", "S1", "S2", "S1", "S2", "S3"],
        "day": [365, 400, 0, 0, 380, 0],
        "edss": [6.0, 4.5, 5.0, 4.0, 5.5, 6.5],
        "scanner_id": ["A", "B", "A", "B", "A", "A"],
        "sdmt": [40, 41, 42, 43, 44, None],
    }
)


@pytest.fixture
def cohort() -> Cohort:
    return Cohort(SUBJECTS, VISITS)


def test_tables_are_sorted_and_typed(cohort: Cohort) -> None:
    visits = cohort.visits
    assert cohort.subjects["subject_id"].tolist() == ["S1", "S2", "S3"]
    assert visits["subject_id"].tolist() == ["S1", "S1", "S2", "S2", "S3", "S3"]
    assert visits["day"].tolist() == [0, 400, 0, 380, 0, 365]
    assert visits["year"].tolist() == pytest.approx(np.array([0, 400, 0, 380, 0, 365]) / 365.25)
    assert visits.index.tolist() == list(range(6))
    assert visits["visit"].cat.categories.tolist() == ["V1", "V2"]
    assert visits["visit"].cat.ordered
    assert visits["visit"].astype(str).tolist() == ["V1", "V2"] * 3
    assert visits["scanner_id"].tolist() == ["B", "B", "A", "A", "A", "A"]
    assert cohort.subjects["arm"].cat.categories.tolist() == ["Placebo", "Drug"]
    assert cohort.subjects["arm"].cat.ordered
    assert cohort.subjects["phenotype"].cat.categories.tolist() == ["SPMS", "PPMS"]
    assert cohort.subjects["age_years"].dtype == np.int64


def test_measures_are_the_known_columns(cohort: Cohort) -> None:
    assert [m.name for m in cohort.measures] == ["edss", "sdmt"]
    assert cohort.measure("sdmt").label == "Symbol digit modalities test"
    with pytest.raises(SchemaError, match=r"no measure 'sdmtt'. Did you mean 'sdmt'\? They have"):
        cohort.measure("sdmtt")


def test_given_visit_labels_are_ordered_by_their_median_day() -> None:
    visits = VISITS.assign(visit=["Week 52", "Week 52", "BL", "BL", "Week 52", "BL"])
    labels = Cohort(SUBJECTS, visits).visits["visit"]
    assert labels.cat.categories.tolist() == ["BL", "Week 52"]
    numbered = Cohort(SUBJECTS, VISITS.assign(visit=[2.0, 2.0, 1.0, 1.0, 2.0, 1.0])).visits
    assert numbered["visit"].cat.categories.tolist() == ["1", "2"]


def test_orders_that_the_user_gave_are_kept() -> None:
    arm = pd.Categorical(SUBJECTS["arm"], categories=["Drug", "Placebo", "Unused"])
    phenotype = pd.Categorical(SUBJECTS["phenotype"], categories=["PPMS", "SPMS"], ordered=True)
    subjects = Cohort(SUBJECTS.assign(arm=arm, phenotype=phenotype), VISITS).subjects
    assert subjects["arm"].cat.categories.tolist() == ["Drug", "Placebo"]
    assert subjects["phenotype"].cat.categories.tolist() == ["PPMS", "SPMS"]


def test_labels_are_stripped_and_missing_ones_are_missing() -> None:
    subjects = SUBJECTS.assign(arm=["Drug ", " Placebo", "Drug"], sex=["F", "", None])
    given_out = Cohort(subjects, VISITS).subjects
    assert given_out["arm"].astype(str).tolist() == ["Placebo", "Drug", "Drug"]
    assert given_out["sex"].tolist() == [None, "F", None]


def test_none_is_a_label_and_no_missing_value() -> None:
    treatment = ["none", "Interferon", "none"]
    subjects = Cohort(SUBJECTS.assign(prior_treatment=treatment), VISITS).subjects
    assert subjects["prior_treatment"].tolist() == ["Interferon", "none", "none"]


def test_further_columns_keep_what_they_are() -> None:
    subjects = SUBJECTS.assign(
        spinal=[True, False, True],
        n_prior=pd.array([1, None, 3], dtype="Int64"),
        born=pd.to_datetime(["1970-01-01", "1971-01-01", "1972-01-01"]),
        mixed=["a", 1, 2.0],
    )
    given_out = Cohort(subjects, VISITS).subjects
    assert given_out["spinal"].tolist() == [False, True, True]
    assert given_out["spinal"].dtype == bool
    assert given_out["n_prior"].dtype == float
    assert given_out["n_prior"].isna().tolist() == [True, False, False]
    assert given_out["born"].dtype.kind == "M"
    assert given_out["mixed"].tolist() == ["1", "a", "2"]


def test_tables_are_given_out_as_copies(cohort: Cohort) -> None:
    for name in ("subjects", "visits", "relapses", "exits", "issues"):
        frame = getattr(cohort, name)
        frame["scribble"] = 1
        assert "scribble" not in getattr(cohort, name)
    visits = cohort.visits
    visits.loc[:, "edss"] = 0.0
    assert cohort.visits["edss"].min() == 4.0


@given(tables=valid_tables(), seed=st.integers(0, 2**32))
def test_row_order_and_columns_that_are_derived_change_nothing(tables: Tables, seed: int) -> None:
    first = tables.cohort()
    rng = np.random.default_rng(seed)
    shuffled = [frame.iloc[rng.permutation(len(frame))] for frame in tables.frames()]
    second = Cohort(*shuffled)
    again = Cohort(first.subjects, first.visits, first.relapses, first.exits)
    for name in ("subjects", "visits", "relapses", "exits"):
        pd.testing.assert_frame_equal(getattr(second, name), getattr(first, name))
        pd.testing.assert_frame_equal(getattr(again, name), getattr(first, name))


@given(cohort=valid_cohorts, data=st.data())
def test_selection_and_rest_make_up_the_cohort(cohort: Cohort, data: st.DataObject) -> None:
    ids = cohort.subjects["subject_id"].tolist()
    chosen = data.draw(st.lists(st.sampled_from(ids), min_size=1, unique=True))
    part = cohort.select(subjects=chosen)
    assert set(part.subjects["subject_id"]) == set(chosen)
    assert set(part.visits["subject_id"]) == set(chosen)
    left_out = [i for e in part.exclusions for i in e.subject_ids]
    assert sorted([*left_out, *chosen]) == sorted(ids)
    assert sum(e.n for e in part.exclusions) == len(ids) - len(chosen)


def test_selecting_by_column_counts_each_subject_once(cohort: Cohort) -> None:
    part = cohort.select(where={"arm": "Drug", "phenotype": ["SPMS"]}, measures=["edss"])
    assert part.subjects["subject_id"].tolist() == ["S3"]
    assert [(e.reason, e.subject_ids) for e in part.exclusions] == [
        ("arm is not 'Drug'", ("S1",)),
        ("phenotype is not ['SPMS']", ("S2",)),
    ]
    assert [m.name for m in part.measures] == ["edss"]
    assert part.subjects["arm"].cat.categories.tolist() == ["Drug"]
    assert cohort.n_subjects == 3


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"subjects": ["S1", "S9"]}, r"1 unknown subject\(s\), for example 'S9'"),
        ({"where": {"arms": "Drug"}}, r"'arms', which is no column .* Did you mean 'arm'"),
        ({"where": {"arm": "Other"}}, r"keeps no subject"),
        ({"measures": ["edsss"]}, r"Did you mean 'edss'"),
    ],
)
def test_a_selection_that_cannot_be(cohort: Cohort, request_: dict, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        cohort.select(**request_)


def test_issues_follow_the_selection() -> None:
    cohort = Cohort(SUBJECTS, VISITS.assign(day=[365, 400, -5, 0, 380, 0]))
    assert cohort.issues["subject_id"].tolist() == ["S2"]
    assert cohort.select(subjects=["S1"]).issues.empty
    assert len(cohort.select(subjects=["S1", "S2"]).issues) == 1


def test_a_cohort_shows_what_it_is(cohort: Cohort) -> None:
    assert repr(cohort) == "<Cohort: 3 subjects, 6 visits, 2 measures (edss, sdmt)>"
    synthetic = Cohort(SUBJECTS, VISITS, origin="synthetic")
    assert repr(synthetic).startswith("<Cohort: synthetic, 3 subjects")
    assert "3 subjects" in cohort._repr_html_()


def test_labels_are_escaped_in_a_notebook() -> None:
    subjects = SUBJECTS.assign(arm=["<script>alert(1)</script>", "Placebo", "Placebo"])
    shown = Cohort(subjects, VISITS)._repr_html_()
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown


def test_a_cohort_survives_pickling(cohort: Cohort) -> None:
    copy = pickle.loads(pickle.dumps(cohort))  # noqa: S301 (our own bytes)
    pd.testing.assert_frame_equal(copy.visits, cohort.visits)
    assert [m.name for m in copy.measures] == ["edss", "sdmt"]


def test_own_measures_count() -> None:
    own = Measure(name="scanner_mood", label="Mood of the scanner")
    visits = VISITS.assign(scanner_mood=[1.0, 2, 3, 4, 5, 6])
    cohort = Cohort(SUBJECTS, visits, dictionary=default_dictionary().extend(own))
    assert "scanner_mood" in [m.name for m in cohort.measures]
    assert "scanner_mood" in cohort.dictionary


@pytest.mark.parametrize("levels", [("2", "1"), ("1", "2")])
def test_grouped_orders_the_groups_it_keeps(levels):
    """Numbers as groups, too: labels are compared as text."""
    subjects = pd.DataFrame({"subject_id": list("ABCD"), "stage": [1, 2, 3, None]})
    visits = pd.DataFrame({"subject_id": list("ABCD"), "day": 0, "edss": [3.0, 4.0, 5.0, 6.0]})
    cohort = Cohort(subjects.astype({"stage": "Int64"}), visits)
    kept = cohort.grouped("stage", levels)
    assert kept.subjects["stage"].cat.categories.tolist() == list(levels)
    assert dict(zip(kept.subjects["subject_id"], kept.subjects["stage"], strict=True)) == {
        "A": "1",
        "B": "2",
    }
    assert [e.subject_ids for e in kept.exclusions] == [("C", "D")]
    assert cohort.n_subjects == 4


@pytest.mark.parametrize(
    ("column", "levels", "words"),
    [("stages", ("1",), "Did you mean 'stage'"), ("stage", ("9",), "No subject has")],
)
def test_grouped_refuses_what_is_not_there(column, levels, words):
    subjects = pd.DataFrame({"subject_id": ["A", "B"], "stage": [1, 2]})
    visits = pd.DataFrame({"subject_id": ["A", "B"], "day": 0, "edss": [3.0, 4.0]})
    with pytest.raises(SchemaError, match=words):
        Cohort(subjects, visits).grouped(column, levels)
