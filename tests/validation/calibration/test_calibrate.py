"""Calibration on a generator of three lines whose moments are known in closed form."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from pmsstats.errors import DesignError
from pmsstats.evidence import evidence_table, records
from pmsstats.validation.calibration import NOT_COMPARED, TARGETS, CalibrationTarget, calibrate
from pmsstats.validation.calibration.moments import (
    AnnualChange,
    Attrition,
    ChangeOver,
    EventShare,
    Level,
    PositiveShare,
)
from pmsstats.validation.design import StudyDesign

N = 20_000
FOUR = 4.0  # Monte Carlo errors

MEAN, SD, SLOPE, SLOPE_SD = 1400.0, 60.0, -8.4, 5.0  # ml, ml per year: -0.6 % per year
SHARE = 0.33
LEAVES_EARLY = 0.25
WORSENS = 0.4
WEEK = 7


@dataclass(frozen=True)
class Lines:
    """Straight lines of brain volume, a presence, and one step of the EDSS in some."""

    n: int = 0
    weeks: tuple = ()
    complete: bool = True
    phenotype: str = "SPMS"
    late_days: int = 0  # by which every visit but the first comes late

    def for_study(self, *, n_subjects, mix, weeks, complete, **_others):
        return dataclasses.replace(
            self, n=n_subjects, weeks=weeks, complete=complete, phenotype=next(iter(mix))
        )


@dataclass(frozen=True)
class Tables:
    subjects: pd.DataFrame
    visits: pd.DataFrame
    relapses: pd.DataFrame
    exits: pd.DataFrame


def draw(config, seed):
    """Generate; a third witness, sharing nothing with the package."""
    rng = np.random.default_rng(seed)
    n, day = config.n, WEEK * np.array(config.weeks)
    day = day + config.late_days * (day > 0)
    ids = np.array([f"P{i}" for i in range(n)])
    level = rng.normal(MEAN, SD, n)[:, None]
    slope = rng.normal(SLOPE, SLOPE_SD, n)[:, None]
    has_it = (rng.uniform(size=n) < SHARE).astype(float)
    steps_at = np.where(rng.uniform(size=n) < WORSENS, WEEK * 48, 10**6)
    leaves = (rng.uniform(size=n) < LEAVES_EARLY) & (not config.complete)
    visits = pd.DataFrame(
        {
            "subject_id": np.repeat(ids, len(day)),
            "day": np.tile(day, n),
            "brain_ml": (level + slope * day / 365.25).ravel(),
            "leptomeningeal_presence": np.repeat(has_it, len(day)),
            "edss": (4.0 + (day[None, :] >= steps_at[:, None])).ravel(),
        }
    )
    return Tables(
        subjects=pd.DataFrame(
            {"subject_id": ids, "phenotype": config.phenotype, "sex": "F", "age_years": 50.0}
        ),
        visits=visits,
        relapses=pd.DataFrame({"subject_id": pd.Series(dtype=object), "day": pd.Series(dtype=int)}),
        exits=pd.DataFrame(
            {
                "subject_id": ids,
                "day": np.where(leaves, 100, day[-1]),
                "reason": np.where(leaves, "dropout", "completed"),
            }
        ),
    )


def _target(moment, years=(0.0,), *, record_id="furby2010_brain_rate_spms", **fields):
    design = StudyDesign(groups=(("SPMS", 56),), years=years)
    return CalibrationTarget(record_id=record_id, moment=moment, design=design, **fields)


def _row(target):
    return calibrate(draw, Lines(), 11, n=N, targets=[target]).table().iloc[0]


CASES = [
    (Level(measure="brain_ml"), (0.0,), MEAN, SD / np.sqrt(N)),
    (Level(measure="brain_ml", statistic="sd"), (0.0,), SD, SD / np.sqrt(2 * N)),
    (Level(measure="brain_ml", statistic="median"), (0.0,), MEAN, 1.2533 * SD / np.sqrt(N)),
    (AnnualChange(measure="brain_ml"), (0.0, 1.0, 2.0), -0.6, SLOPE_SD / 14 / np.sqrt(N)),
    (
        AnnualChange(measure="brain_ml", percent=False, statistic="sd"),
        (0.0, 2.0),
        SLOPE_SD,
        SLOPE_SD / np.sqrt(2 * N),
    ),
    (
        ChangeOver(measure="brain_ml", until=2.0, percent=False),
        (0.0, 2.0),
        SLOPE * 2 * 728 / 730.5,  # two years are planned as 104 weeks
        2 * SLOPE_SD / np.sqrt(N),
    ),
    (
        PositiveShare(measure="leptomeningeal_presence"),
        (0.0,),
        100 * SHARE,
        100 * np.sqrt(SHARE * (1 - SHARE) / N),
    ),
    (
        EventShare(outcome="cdp12", weeks=60),
        (0.0, 1.0, 2.0),
        100 * WORSENS,
        100 * np.sqrt(WORSENS * (1 - WORSENS) / N),
    ),
    (
        Attrition(weeks=52),
        (0.0, 1.0),
        100 * LEAVES_EARLY,
        100 * np.sqrt(LEAVES_EARLY * (1 - LEAVES_EARLY) / N),
    ),
]


@pytest.mark.parametrize(("moment", "years", "truth", "error"), CASES)
def test_moments_are_those_of_the_lines(moment, years, truth, error):
    row = _row(_target(moment, years))
    assert abs(row["value"] - truth) < FOUR * error
    assert row["std_error"] == pytest.approx(error, rel=0.1)  # itself an estimate


def test_an_event_after_the_time_does_not_count():
    assert _row(_target(EventShare(outcome="cdp12", weeks=40), (0.0, 1.0, 2.0)))["value"] == 0.0


def test_an_event_at_a_visit_planned_for_then_counts_though_the_visit_came_late():
    late = Lines(late_days=7)
    targets = [_target(EventShare(outcome="cdp12", weeks=w), (0.0, 1.0, 2.0)) for w in (47, 48)]
    before, then = calibrate(draw, late, 11, n=500, targets=targets).table()["value"]
    assert before == 0.0
    assert then > 30.0  # WORSENS of them at week 48


def test_inside_means_that_the_published_interval_holds_the_value():
    near = _row(_target(AnnualChange(measure="brain_ml"), (0.0, 2.0), printed=(-0.7, -0.5)))
    far = _row(_target(AnnualChange(measure="brain_ml"), (0.0, 2.0), printed=(-0.5, -0.3)))
    said = _target(AnnualChange(measure="brain_ml"), (0.0, 2.0), printed=(-0.5, -0.3), why="known")
    assert near["inside"]
    assert near["reason"] == ""
    assert not far["inside"]
    assert far["reason"] == "no reason known"
    assert _row(said)["reason"] == "known"


def test_inclusion_criteria_and_attrition_reach_the_generator():
    asked = []

    class Recorder:
        def for_study(self, **kwargs):
            asked.append(kwargs)
            return Lines().for_study(**kwargs)

    ranges = {"age": (30.0, 65.0), "edss": (3.0, 6.5), "duration": (0.0, 5.0), "sites": 2}
    design = StudyDesign(groups=(("SPMS", 56),), years=(0.0, 1.0), **ranges)
    targets = [
        CalibrationTarget(record_id="furby2010_brain_rate_spms", moment=moment, design=design)
        for moment in (Level(measure="brain_ml"), Attrition(weeks=52))
    ]
    calibrate(draw, Recorder(), 1, n=100, targets=targets)
    assert [{name: call[name] for name in ranges} for call in asked] == [ranges, ranges]
    assert [call["complete"] for call in asked] == [True, False]


def test_the_factor_turns_record_units_to_those_of_the_moment():
    target = _target(AnnualChange(measure="brain_ml", percent=False), (0.0, 2.0), factor=14.0)
    row = _row(target)
    assert row["published"] == pytest.approx(14.0 * -0.59)  # furby2010: -0.59 %/yr of 1,400 ml
    assert row["inside"]


def test_what_a_generator_does_not_offer_is_said_and_not_dropped():
    targets = [_target(Level(measure="thalamus_ml"))]
    result = calibrate(draw, Lines(), 11, n=200, targets=targets)
    row = result.table().iloc[0]
    assert row["reason"].startswith("not possible: ")
    assert not row["inside"]
    assert [e.n for e in result.exclusions] == [1]


def test_the_same_seed_gives_the_same_table():
    targets = [_target(Level(measure="brain_ml"))]
    one, two = (calibrate(draw, Lines(), 3, n=200, targets=targets).table() for _ in range(2))
    other = calibrate(draw, Lines(), 4, n=200, targets=targets).table()
    pd.testing.assert_frame_equal(one, two)
    assert one["value"].item() != other["value"].item()


def test_the_headline_counts_and_the_figure_has_a_row_for_each():
    targets = [
        _target(Level(measure="brain_ml"), printed=(1390.0, 1410.0)),
        _target(Level(measure="brain_ml"), printed=(0.0, 1.0)),
    ]
    result = calibrate(draw, Lines(), 3, n=500, targets=targets)
    assert result.headline().startswith("1 of 2 published moments hold")
    ax = result.plot()
    assert len(ax.get_yticks()) == 2
    assert result.to_dict()["schema"] == "calibration_result/1"


@pytest.mark.parametrize("n", [0, 99, 1e4, True])
def test_too_few_subjects_are_refused(n):
    with pytest.raises(DesignError, match="at least 100"):
        calibrate(draw, Lines(), 3, n=n)


def test_a_target_needs_a_number():
    with pytest.raises(DesignError, match="Give `printed`"):
        _target(Level(measure="edss"), record_id="casserly2018_cord_r_edss_ms")


# What is declared.

RATES = {
    "annual_pct_change", "annual_change", "annual_rate", "annual_pct_change_difference",
    "pct_change", "pct_change_from_baseline", "median_pct_change_from_baseline", "abs_change",
}  # fmt: skip
PROGRESSION = {
    "cdp12w_96wk_pct", "cdp12w_108wk_pct", "progression_12m_pct", "progression_96wk_pct",
    "sustained_progression_2yr_pct", "progression_pct", "cdp24w_168wk_pct", "cdp24w_312wk_pct",
}  # fmt: skip


def test_every_verified_rate_and_progression_rate_is_compared_or_left_out_with_a_reason():
    table = evidence_table(records(verified=("fulltext", "abstract")))
    wanted = set(table.loc[table["quantity"].isin(RATES | PROGRESSION), "id"])
    assert len(wanted) > 60
    compared = {target.record_id for target in TARGETS}
    assert wanted - compared - set(NOT_COMPARED) == set()
    assert compared & set(NOT_COMPARED) == set()
    assert all(NOT_COMPARED.values())


def test_what_was_read_at_second_hand_says_so_and_nothing_rests_on_memory():
    second_hand = [t for t in TARGETS if t.record.verified not in {"fulltext", "abstract"}]
    assert len(second_hand) > 10
    assert {t.record.verified for t in second_hand} == {"secondary"}
    assert all(t.why.startswith("read at second hand") for t in second_hand)


def test_no_moment_is_declared_twice():
    keys = [(t.record_id, t.moment) for t in TARGETS]
    assert len(set(keys)) == len(keys) > 100


def test_a_target_keeps_its_fields():
    target = _target(Level(measure="brain_ml"))
    assert dataclasses.replace(target, n=12).n_persons == 12
    assert target.n_persons == 56
