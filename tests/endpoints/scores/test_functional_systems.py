"""EDSS from functional systems.

Witnesses: (1) the Neurostatus scoring table 04/10.3 written as it is printed, in exact numbers of
systems per grade, against every combination; (2) Kurtzke's definitions as hand-worked patients;
(3) 302 recorded visits of the MSoutcomes sample, scored by neurologists and not by a program.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.endpoints.scores.edss import EDSS_SCORES
from pmsstats.endpoints.scores.edss_conventions import (
    EDSS_CONVENTIONS,
    FS_COLUMNS,
    EDSSConvention,
)
from pmsstats.endpoints.scores.functional_systems import derive_edss, functional_system_step
from pmsstats.errors import DesignError

SYSTEMS = list(FS_COLUMNS)
HIGHEST = list(FS_COLUMNS.values())

# Step, and how many systems have grade 2, 3, 4 and 5 or more; systems of grade 0 and 1 are free.
# The rows marked "derived" are not printed: they exceed the limits of the step before.
PRINTED = [
    (2.0, {1}, {0}, {0}, {0}),
    (2.5, {2}, {0}, {0}, {0}),
    (3.0, {3, 4}, {0}, {0}, {0}),
    (3.0, {0}, {1}, {0}, {0}),
    (3.5, {5}, {0}, {0}, {0}),
    (3.5, {1, 2}, {1}, {0}, {0}),
    (3.5, {0}, {2}, {0}, {0}),
    (4.0, {6, 7}, {0}, {0}, {0}),
    (4.0, set(range(1, 6)), {2}, {0}, {0}),
    (4.0, set(range(5)), {3, 4}, {0}, {0}),
    (4.0, {0}, {0}, {1}, {0}),
    (4.0, {3, 4, 5, 6}, {1}, {0}, {0}),  # derived
    (4.5, set(range(3)), {5}, {0}, {0}),
    (4.5, set(range(6)), {1, 2}, {1}, {0}),
    (4.5, {1, 2, 3, 4, 5, 6}, {0}, {1}, {0}),  # derived
    (5.0, set(range(2)), {6, 7}, {0}, {0}),
    (5.0, set(range(6)), set(range(6)), set(range(2, 8)), {0}),
    (5.0, set(range(4)), {3, 4, 5, 6}, {1}, {0}),  # derived
    (5.0, set(range(7)), set(range(7)), set(range(7)), set(range(1, 8))),
]

SHUFFLED = [3, 0, 6, 1, 5, 2, 4]  # so that no system is always the worst


@pytest.fixture(scope="module")
def every_step():
    """The step of each of the 518,616 combinations of recorded grades."""
    grids = np.meshgrid(*[np.arange(top + 1) for top in HIGHEST], indexing="ij")
    return functional_system_step(np.stack(grids, axis=-1))


def counts_of(grades):
    """Return how many systems have grade 2, 3, 4 and 5 or more."""
    return (*(sum(g == grade for g in grades) for grade in (2, 3, 4)), sum(g >= 5 for g in grades))


def test_every_pattern_with_a_grade_above_one_has_the_printed_step():
    patterns = [p for p in itertools.combinations_with_replacement(range(6), 7) if p[-1] > 1]
    assert len(patterns) == 792 - 8
    for grades in patterns:
        counts = counts_of(grades)
        steps = [
            row[0]
            for row in PRINTED
            if all(n in allowed for n, allowed in zip(counts, row[1:], strict=True))
        ]
        found = functional_system_step(np.array(grades)[SHUFFLED], conversion="none")
        assert steps == [found], grades  # exactly one row fits


@pytest.mark.parametrize(("ones", "step"), [(0, 0.0), (1, 1.0), *((n, 1.5) for n in range(2, 8))])
def test_patterns_of_signs_only(ones, step):
    grades = np.array([1] * ones + [0] * (7 - ones))
    assert functional_system_step(grades[SHUFFLED], conversion="none") == step


def test_every_step_is_a_score_up_to_five(every_step):
    assert every_step.shape == (7, 6, 7, 6, 7, 7, 6)
    assert set(np.unique(every_step)) == {s for s in EDSS_SCORES if s <= 5}


@pytest.mark.parametrize("axis", range(7), ids=SYSTEMS)
def test_a_higher_grade_never_lowers_the_step(every_step, axis):
    assert (np.diff(every_step, axis=axis) >= 0).all()


@pytest.mark.parametrize(
    ("grades", "step"),
    [
        ([0, 0, 0, 0, 0, 0, 0], 0.0),
        ([0, 0, 1, 0, 0, 0, 0], 1.0),
        ([0, 0, 1, 1, 0, 0, 0], 1.5),
        ([1, 1, 1, 1, 1, 1, 1], 1.5),  # minimal signs in more than one system, however many
        ([0, 0, 2, 1, 1, 0, 0], 2.0),
        ([0, 2, 2, 0, 1, 0, 0], 2.5),
        ([0, 0, 3, 1, 1, 1, 1], 3.0),
        ([0, 2, 2, 2, 2, 0, 0], 3.0),
        ([0, 0, 3, 2, 2, 0, 0], 3.5),
        ([0, 0, 3, 3, 1, 1, 0], 3.5),
        ([2, 2, 2, 2, 2, 0, 0], 3.5),
        ([0, 0, 3, 3, 2, 0, 0], 4.0),  # two grades 3 and a 2 exceed 3.5
        ([0, 0, 3, 2, 2, 2, 0], 4.0),  # one grade 3 and three grades 2 exceed 3.5
        ([0, 0, 4, 1, 1, 1, 1], 4.0),  # one grade 4, others 0 or 1
        ([0, 0, 4, 2, 0, 0, 0], 4.5),  # "others 0 or 1" is exceeded
        ([0, 3, 4, 3, 0, 0, 0], 4.5),
        ([0, 3, 4, 3, 3, 0, 0], 5.0),
        ([0, 0, 4, 4, 0, 0, 0], 5.0),
        ([0, 0, 5, 0, 0, 0, 0], 5.0),
        ([0, 0, 6, 5, 6, 0, 5], 5.0),  # beyond 5.0 the scale is ambulation
        ([6, 0, 0, 0, 0, 0, 0], 4.0),  # visual 6 counts as 4
        ([5, 0, 0, 0, 0, 0, 0], 3.0),  # visual 5 counts as 3
        ([3, 0, 0, 0, 0, 0, 0], 2.0),  # visual 3 counts as 2
        ([0, 0, 0, 0, 0, 4, 0], 3.0),  # bowel and bladder 4 counts as 3
        ([0, 0, 0, 0, 0, 5, 0], 4.0),  # bowel and bladder 5 counts as 4
        ([0, 0, 0, 0, 0, 6, 0], 5.0),  # bowel and bladder 6 counts as 5
    ],
)
def test_patients_worked_by_hand(grades, step):
    assert functional_system_step(grades) == step


def test_grades_converted_before_are_used_as_they_stand():
    assert functional_system_step([3, 0, 0, 0, 0, 0, 0], conversion="none") == 3.0
    assert functional_system_step([3, 0, 0, 0, 0, 0, 0]) == 2.0


def test_kurtzke_leaves_cerebral_grade_one_out_of_the_first_steps():
    grades = [[0, 0, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0, 1], [0, 0, 1, 1, 0, 0, 1]]
    assert functional_system_step(grades, cerebral_one_counts=False).tolist() == [0.0, 1.0, 1.5]
    assert functional_system_step(grades).tolist() == [1.0, 1.5, 1.5]


def test_a_missing_grade_gives_no_step():
    grades = np.array([[0, 0, 3, 0, 0, 0, np.nan], [0, 0, 3, 0, 0, 0, 0]])
    np.testing.assert_array_equal(functional_system_step(grades), [np.nan, 3.0])


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        ([0, 0, 7, 0, 0, 0, 0], {}, r"fs_pyramidal must be a whole grade from 0 to 6, got 7"),
        ([0, 6, 0, 0, 0, 0, 0], {}, r"fs_brainstem must be .* 0 to 5, got 6"),
        ([0, 0, 2.5, 0, 0, 0, 0], {}, r"got 2.5"),
        ([0, 0, -1, 0, 0, 0, 0], {}, r"got -1"),
        ([0, 0, 0, 0], {}, r"must have 7 grades .* got shape \(4,\)"),
        (3, {}, r"got shape \(\)"),
        ([0] * 7, {"conversion": "neurostat"}, r"`conversion` .* Did you mean 'neurostatus'"),
    ],
)
def test_what_is_no_grade_is_refused(scores, options, message):
    with pytest.raises(DesignError, match=message):
        functional_system_step(scores, **options)


def visit(**scores):
    """Return one visit with all systems normal but those named."""
    grades = dict.fromkeys(FS_COLUMNS, 0.0) | {"fs_ambulation": 0.0} | scores
    return pd.DataFrame([{"subject_id": "S1", "day": 0, **grades}])


@pytest.mark.parametrize(
    ("convention", "scores", "edss", "decided_by"),
    [
        ("neurostatus", {"fs_pyramidal": 3}, 3.0, "functional systems"),
        ("neurostatus", {"fs_ambulation": 1}, 2.0, "ambulation"),  # fully ambulatory, restricted
        ("neurostatus", {"fs_pyramidal": 3, "fs_ambulation": 1}, 3.0, "functional systems"),
        ("neurostatus", {"fs_ambulation": 2}, 4.5, "ambulation"),  # 300 to 499 m
        ("neurostatus", {"fs_pyramidal": 4, "fs_sensory": 3, "fs_ambulation": 2}, 4.5, "both"),
        ("neurostatus", {"fs_pyramidal": 5, "fs_ambulation": 2}, 5.0, "functional systems"),
        ("neurostatus", {"fs_ambulation": 3}, 5.0, "ambulation"),  # 200 to 299 m
        ("neurostatus", {"fs_ambulation": 4}, 5.5, "ambulation"),  # 100 to 199 m
        ("neurostatus", {"fs_ambulation": 5}, 6.0, "ambulation"),  # below 100 m without aid
        ("neurostatus", {"fs_ambulation": 6}, 6.0, "ambulation"),  # one aid, 50 m or more
        ("neurostatus", {"fs_ambulation": 7}, 6.0, "ambulation"),  # two aids, 120 m or more
        ("neurostatus", {"fs_ambulation": 8}, 6.5, "ambulation"),  # one aid, less than 50 m
        ("neurostatus", {"fs_ambulation": 9}, 6.5, "ambulation"),  # two aids, 5 to 119 m
        ("neurostatus", {"fs_ambulation": 10}, 7.0, "ambulation"),  # wheelchair without help
        ("neurostatus", {"fs_ambulation": 16}, 10.0, "ambulation"),
        ("kurtzke", {"fs_ambulation": 1}, 4.0, "ambulation"),  # some 500 m
        ("kurtzke", {"fs_ambulation": 6}, 6.5, "ambulation"),
        ("kurtzke", {"fs_ambulation": 7}, 7.0, "ambulation"),
        ("kurtzke", {"fs_ambulation": 12}, 9.5, "ambulation"),
        ("kurtzke", {"fs_cerebral": 1}, 0.0, "both"),
    ],
)  # fmt: skip
def test_ambulation_and_systems_together(convention, scores, edss, decided_by):
    made = derive_edss(visit(**scores), convention=convention).iloc[0]
    assert made["edss_derived"] == edss
    assert made["decided_by"] == decided_by


def test_a_worsening_of_walking_alone_can_be_told():
    # 5.5 to 6.5 while all systems stay: edss_fs does not move
    grades = dict.fromkeys(FS_COLUMNS, 1) | {"fs_pyramidal": 3}
    rows = [
        {"subject_id": "S1", "day": d, **grades, "fs_ambulation": a} for d, a in ((0, 4), (90, 8))
    ]
    made = derive_edss(pd.DataFrame(rows))
    assert made["edss_derived"].tolist() == [5.5, 6.5]
    assert made["edss_fs"].tolist() == [3.0, 3.0]


def test_missing_scores_leave_a_range():
    made = derive_edss(visit(fs_pyramidal=3, fs_ambulation=np.nan)).iloc[0]
    assert made[["edss_fs", "edss_low", "edss_high"]].tolist() == [3.0, 3.0, 10.0]
    assert np.isnan(made["edss_derived"])
    assert made["decided_by"] == ""
    # visual missing: at best 0 (3.0), at worst 6, which counts as 4 beside the 3 (4.5)
    made = derive_edss(visit(fs_pyramidal=3, fs_visual=np.nan)).iloc[0]
    assert made[["edss_low", "edss_high"]].tolist() == [3.0, 4.5]


def test_ambulation_alone_is_enough_from_five_and_a_half_on():
    frame = pd.DataFrame({"subject_id": ["S1"], "day": [0], "fs_ambulation": [8]})
    made = derive_edss(frame).iloc[0]
    assert made["edss_derived"] == 6.5
    assert np.isnan(made["edss_fs"])


@given(
    st.lists(st.tuples(*[st.integers(0, top) for top in (*HIGHEST, 12)]), min_size=1, max_size=9)
)
def test_the_edss_is_a_score_and_never_falls_with_worse_walking(rows):
    frame = pd.DataFrame(rows, columns=[*SYSTEMS, "fs_ambulation"]).assign(subject_id="S1")
    frame["day"] = range(len(frame))
    made = derive_edss(frame)
    assert made["edss_derived"].isin(EDSS_SCORES).all()
    assert (made["edss_derived"] == made[["edss_fs", "edss_ambulation"]].max(axis=1)).all()
    worse = derive_edss(frame.assign(fs_ambulation=frame["fs_ambulation"] + 1))
    assert (worse["edss_derived"] >= made["edss_derived"]).all()


@given(st.lists(st.tuples(*[st.integers(0, top) for top in HIGHEST]), min_size=1, max_size=6),
       st.sets(st.integers(0, 6)))  # fmt: skip
def test_the_range_holds_whatever_is_missing(rows, hidden):
    frame = pd.DataFrame(rows, columns=SYSTEMS, dtype=float).assign(
        subject_id="S1", fs_ambulation=0.0
    )
    frame["day"] = range(len(frame))
    full = derive_edss(frame)["edss_derived"]
    part = derive_edss(frame.assign(**{SYSTEMS[k]: np.nan for k in hidden}))
    assert ((part["edss_low"] <= full) & (full <= part["edss_high"])).all()


def test_index_and_input_stay():
    frame = pd.concat([visit(), visit(fs_sensory=2)]).set_axis([7, 3])
    before = frame.copy()
    assert derive_edss(frame).index.tolist() == [7, 3]
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (visit(fs_ambulation=17), {}, r"fs_ambulation must be a whole score from 0 to 16"),
        (visit(fs_ambulation=14), {"convention": "kurtzke"}, r"from 0 to 13 .* got 14"),
        (visit(fs_sensory=9), {}, r"fs_sensory must be a whole grade"),
        (visit(), {"convention": "neurostat"}, r"Did you mean 'neurostatus'"),
        (visit()[["subject_id", "day"]], {}, r"needs functional systems"),
        (visit().drop(columns="day"), {}, r"one column 'day'"),
        (visit().assign(fs_visual="mild"), {}, r"'fs_visual' .* must hold numbers"),
        ([1, 2], {}, r"`visits` must be a data frame"),
    ],
)
def test_bad_requests_are_refused_in_words(frame, options, message):
    with pytest.raises(DesignError, match=message):
        derive_edss(frame, **options)


@pytest.mark.parametrize("steps", [(), (0.0, 0.5), (0.0, 3.0, 2.0), (1.0, 2.0)])
def test_a_convention_starts_at_zero_and_never_falls(steps):
    with pytest.raises(DesignError, match="must list EDSS steps"):
        EDSSConvention(name="own", ambulation=steps, cerebral_one_counts=True, citation="")


def test_conventions_are_named_and_cited():
    assert all(name == c.name and c.citation for name, c in EDSS_CONVENTIONS.items())
