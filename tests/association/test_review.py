"""Joint models within associate, checked again: totals by hand, changes from baseline, counting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from shared_cohorts import EVENT, MARKER, SCORE, cohort_of

from pmsstats.association import associate
from pmsstats.cohort import Cohort
from pmsstats.cohort.schema import default_dictionary
from synthetic import SharedEffectsConfig

CONFIG = SharedEffectsConfig(n_subjects=250, association="slope", log_hazard=-1.0, dropout_rate=0.1)
STEP = 1e-6  # of differences, on the scale of the fit
SAME = 1e-5  # relative: a central difference against a complex step


def cohort_with(subjects, visits, kind: str = "level") -> Cohort:
    """Make a cohort of changed tables."""
    words = default_dictionary().extend(replace(MARKER, kind=kind), SCORE)
    return Cohort(subjects, visits, dictionary=words, origin="synthetic")


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return cohort_of(CONFIG, seed=2)


@pytest.fixture(scope="module")
def result(cohort):
    return associate(cohort, "marker", EVENT, methods=("joint_slope", "joint_value"))


def test_the_joint_slope_is_the_total_of_level_and_slope(result) -> None:
    """Witness: sum over effects k of alpha_k cov(b_k, slope) / sd(slope), from the tables."""
    fit = result.joint_models["joint_slope"]
    spread = fit.variance_components.set_index("kind")["estimate"]
    sd, rho = spread["sd"].to_numpy(), spread["correlation"]
    alpha = fit.association_table()["estimate"].to_numpy()
    total = alpha[0] * rho * sd[0] + alpha[1] * sd[1]
    row = result.table().set_index("method").loc["joint_slope"]
    assert row["estimate"] == pytest.approx(-total)  # faster decline is worse
    assert row["sd"] == pytest.approx(sd[1])

    def by_hand(theta: np.ndarray) -> float:
        natural = fit.design.scale.natural(theta)
        return float(natural.alpha[0] @ natural.D[:, 1] / np.sqrt(natural.D[1, 1]))

    theta = fit.maximum.theta
    steps = STEP * np.eye(len(theta))
    slope = np.array([(by_hand(theta + s) - by_hand(theta - s)) / (2 * STEP) for s in steps])
    error = np.sqrt(slope @ fit.maximum.covariance @ slope)
    assert row["std_error"] == pytest.approx(error, rel=SAME)


def test_the_joint_value_is_per_sd_of_values_at_the_start(result) -> None:
    fit = result.joint_models["joint_value"]
    sd = fit.variance_components["estimate"].iloc[0]
    row = result.table().set_index("method").loc["joint_value"]
    assert row["sd"] == pytest.approx(sd)
    assert row["estimate"] == pytest.approx(-sd * fit.association_table()["estimate"].iloc[0])


def test_a_change_from_baseline_has_a_joint_value(cohort) -> None:
    """All changes are 0 at time 0: an SD of that day would make any hazard ratio 1."""
    first = cohort.visits.groupby("subject_id")["marker"].transform("first")
    visits = cohort.visits.assign(marker=cohort.visits["marker"] - first)
    found = associate(
        cohort_with(cohort.subjects, visits, "change"),
        "marker",
        EVENT,
        methods=("joint_slope", "joint_value"),
    )
    row = found.table().set_index("method").loc["joint_value"]
    fit = found.joint_models["joint_value"]
    slope_sd = fit.variance_components["estimate"].iloc[0]
    end = fit.data.events.end
    assert row["sd"] == pytest.approx(slope_sd * np.median(end))
    assert row["std_error"] > 0
    assert row["hazard_ratio"] > 1


def test_bad_outcomes_are_counted_with_the_outcome(cohort) -> None:
    subjects = cohort.subjects.copy()
    subjects["event_day"] = subjects["event_day"].astype(float)
    subjects.loc[[0, 1], "event_day"] = [-5, np.nan]
    found = associate(
        cohort_with(subjects, cohort.visits), "marker", EVENT, methods=("joint_value",)
    )
    lost = sum(e.n for e in found.endpoint.exclusions if e.unit == "subject")
    assert lost == 2
    assert found.table()["n_subjects"].tolist() == [len(subjects) - 2]


def test_joint_models_count_time_from_the_outcomes_baseline(cohort, result) -> None:
    """Everything 200 days later, the start of the outcome included, is the same question."""
    later = cohort_with(cohort.subjects, cohort.visits.assign(day=cohort.visits["day"] + 200))
    endpoint = result.endpoint
    rows = endpoint.events
    moved = replace(endpoint, events=rows.assign(day_baseline=rows["day_baseline"] + 200))
    found = associate(later, "marker", moved, methods=("joint_slope", "joint_value"))
    one, other = (r.table().set_index("method") for r in (found, result))
    columns = ["estimate", "std_error", "sd"]
    np.testing.assert_allclose(one[columns], other[columns], rtol=1e-6)


def test_what_a_joint_model_leaves_out_is_counted(cohort) -> None:
    """Everyone of the outcome is analysed or counted once; so is every visit of theirs."""
    subjects, visits = cohort.subjects.copy(), cohort.visits.copy()
    subjects.loc[0, "event_day"] = 0
    often = visits["subject_id"].value_counts()
    k = int(np.flatnonzero((often[subjects["subject_id"]] > 3).to_numpy())[1])
    last = visits.index[visits["subject_id"] == subjects["subject_id"].iloc[k]][-1]
    visits.loc[last, "day"] = int(subjects["event_day"].iloc[k]) + 30
    found = associate(cohort_with(subjects, visits), "marker", EVENT, methods=("joint_value",))
    stages = {e.stage for e in found.exclusions}
    counts = {(e.unit, e.reason): e.n for e in found.exclusions}
    assert stages == {"association joint_value"}
    assert counts["subject", "no follow-up (duration 0)"] == 1
    is_first = (visits["subject_id"] == subjects["subject_id"].iloc[0]).to_numpy()
    after_zero = int((is_first & (visits["day"] > 0)).sum())
    found_late = counts["visit", "after the event or the end of follow-up for it"]
    assert found_late == 1 + after_zero
    lost = sum(e.n for e in found.exclusions if e.unit == "subject")
    assert found.table()["n_subjects"].item() + lost == len(subjects)
