"""What is not seen. Witnesses: binomial errors, exponential dropout, events over person-time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import binomtest

from pmsstats import evidence
from synthetic import CohortConfig, MissingnessModel, defaults, generate_tables
from synthetic.missingness import _worsened, _worsens, _years_to_death

N = 20_000
MONTE_CARLO_ERRORS = 4


def _tables(missingness, seed=13, **changes):
    return generate_tables(
        CohortConfig(n_subjects=N, missingness=missingness, measures=("edss", "thalamus_ml"),
                     **changes), seed=seed,
    )  # fmt: skip


def _attrition(tables):
    return tables.truth.attrition.set_index("what")["n"]


def test_nothing_is_missing_from_a_complete_cohort():
    tables = _tables(MissingnessModel())
    assert (tables.exits["reason"] == "completed").all()
    assert len(tables.visits) == len(tables.truth.visits) == 13 * N
    last = tables.truth.visits.groupby("subject_id")["day"].max()
    assert (tables.exits.set_index("subject_id")["day"] == last).all()


def test_missed_visits_and_scans_have_their_probabilities():
    tables = _tables(MissingnessModel(missed_visit=0.1, missed_scan=0.2))
    planned = tables.truth.visits[tables.truth.visits["visit"] != "Baseline"]
    error = np.sqrt(0.1 * 0.9 / len(planned))
    assert abs((~planned["attended"]).mean() - 0.1) < MONTE_CARLO_ERRORS * error
    came = tables.visits[tables.visits["visit"].isin(["W24", "W48", "W96", "W144"])]
    error = np.sqrt(0.2 * 0.8 / len(came))
    assert abs(came["thalamus_ml"].isna().mean() - 0.2) < MONTE_CARLO_ERRORS * error
    baseline = tables.visits[tables.visits["visit"] == "Baseline"]
    assert len(baseline) == N
    assert baseline["thalamus_ml"].notna().all()


def test_dropout_completely_at_random_is_exponential():
    tables = _tables(MissingnessModel(dropout="mcar", dropout_rate=0.2))
    for day in (84, 365, 700, 990):
        expected = 1 - np.exp(-0.2 * day / 365.25)
        found = (tables.exits["day"] < day).mean()
        error = np.sqrt(expected * (1 - expected) / N)
        assert abs(found - expected) < MONTE_CARLO_ERRORS * error


def test_dropout_at_random_follows_observed_worsening():
    """Count dropouts over person-time, by whether the last rating was a point above baseline."""
    missing = MissingnessModel(dropout="mar", dropout_rate=0.2, dropout_log_hazard=0.7)
    tables, complete = _tables(missing), _tables(MissingnessModel())
    full = complete.visits[["subject_id", "day", "edss"]].dropna()
    change = full["edss"] - full.groupby("subject_id")["edss"].transform("first")
    full = full.assign(worsened=change >= 1.0)
    full["next_day"] = full.groupby("subject_id")["day"].shift(-1)
    full = (
        full.dropna()
        .merge(tables.exits, on="subject_id", suffixes=("", "_exit"))
        .query("day <= day_exit")
    )
    left = (full["day_exit"] < full["next_day"]) & (full["reason"] == "dropout")
    time = np.minimum(full["day_exit"], full["next_day"]) - full["day"] + 0.5 * left
    events = left.groupby(full["worsened"]).sum()
    rates = 365.25 * events / time.groupby(full["worsened"]).sum()
    assert abs(np.log(rates[False] / 0.2)) < MONTE_CARLO_ERRORS / np.sqrt(events[False])
    error = np.sqrt((1 / events).sum())
    assert abs(np.log(rates[True] / rates[False]) - 0.7) < MONTE_CARLO_ERRORS * error


@pytest.mark.parametrize(
    ("why", "edss", "came", "expected"),
    [
        ("a point up", [4.0, 5.0, 5.0], [1, 1, 1], [0, 1, 1]),
        ("half a point up is too little", [4.0, 4.5, 4.5], [1, 1, 1], [0, 0, 0]),
        ("and down again", [4.0, 5.0, 4.0], [1, 1, 1], [0, 1, 0]),
        ("a rating that was missed is not known", [4.0, 5.0, 5.0], [1, 0, 1], [0, 0, 1]),
        ("until it is replaced, the last seen one counts", [4.0, 5.0, 4.0], [1, 1, 0], [0, 1, 1]),
        ("controls are not rated", [np.nan] * 3, [1, 1, 1], [0, 0, 0]),
    ],
)
def test_worsening_is_judged_by_the_last_rating_seen(why, edss, came, expected):
    found = _worsened(np.array([edss]), np.array([came], dtype=bool))
    assert found[0].tolist() == [bool(flag) for flag in expected]


def test_dropout_not_at_random_follows_what_nobody_has_seen():
    """Count dropouts over person-time, by whether the true score rises before the next visit."""
    missing = MissingnessModel(dropout="mnar", dropout_rate=0.1, dropout_log_hazard=1.2)
    tables = _tables(missing)
    latent = tables.truth.visits[["subject_id", "day", "true_edss"]]
    after = latent.groupby("subject_id").shift(-1)
    spans = latent.assign(
        next_day=after["day"], worsens=after["true_edss"] > latent["true_edss"]
    ).dropna()
    spans = spans.merge(tables.exits, on="subject_id", suffixes=("", "_exit"))
    spans = spans[spans["day"] <= spans["day_exit"]]
    left = (spans["day_exit"] < spans["next_day"]) & (spans["reason"] == "dropout")
    time = np.minimum(spans["day_exit"], spans["next_day"]) - spans["day"] + 0.5 * left
    events = left.groupby(spans["worsens"]).sum()
    rates = 365.25 * events / time.groupby(spans["worsens"]).sum()
    assert abs(np.log(rates[False] / 0.1)) < MONTE_CARLO_ERRORS / np.sqrt(events[False])
    error = np.sqrt((1 / events).sum())
    assert abs(np.log(rates[True] / rates[False]) - 1.2) < MONTE_CARLO_ERRORS * error


def test_a_rise_counts_before_the_visit_that_would_show_it():
    found = _worsens(np.array([[4.0, 4.0, 4.5, 4.5, 5.0]]))
    assert found[0].tolist() == [False, True, False, True, False]


def test_death_by_age_has_the_survival_of_gompertz():
    """Share alive after t years from age a on: exp(-h exp(g (a - 45)) (exp(g t) - 1) / g)."""
    model = MissingnessModel(death_rate=0.02, death_log_hazard_per_year=0.085)
    rng = np.random.default_rng(3)
    for age in (35.0, 45.0, 65.0):
        years = _years_to_death(model, np.full(N, age), rng.standard_exponential(N))
        for t in (2.0, 10.0):
            hazard = 0.02 * np.exp(0.085 * (age - 45)) * np.expm1(0.085 * t) / 0.085
            expected = np.exp(-hazard)
            error = np.sqrt(expected * (1 - expected) / N)
            assert abs((years > t).mean() - expected) < MONTE_CARLO_ERRORS * error


def test_deaths_are_exponential_and_end_follow_up():
    tables = _tables(MissingnessModel(death_rate=0.1))
    expected = 1 - np.exp(-0.1 * 900 / 365.25)
    died = (tables.exits["reason"] == "death") & (tables.exits["day"] <= 900)
    error = np.sqrt(expected * (1 - expected) / N)
    assert abs(died.mean() - expected) < MONTE_CARLO_ERRORS * error
    assert set(tables.exits["reason"]) == {"completed", "death"}


def test_nobody_is_seen_after_exit_and_everybody_exits_once():
    tables = _tables(defaults.MISSINGNESS)
    exits = tables.exits.set_index("subject_id")["day"]
    assert exits.index.is_unique
    assert len(exits) == N
    assert (tables.visits["day"] <= tables.visits["subject_id"].map(exits)).all()
    assert (exits >= 0).all()


@pytest.mark.parametrize(
    "other",
    [
        MissingnessModel(),
        MissingnessModel(missed_visit=0.3, missed_scan=0.3),
        MissingnessModel(dropout="mcar", dropout_rate=0.5),
        dataclasses.replace(defaults.MISSINGNESS, dropout_log_hazard=3.0, death_rate=0.1),
        dataclasses.replace(defaults.MISSINGNESS, dropout="mnar", dropout_log_hazard=2.0),
    ],
)
def test_another_missingness_changes_no_measurement(other):
    one = generate_tables(CohortConfig(n_subjects=400), seed=2)
    two = generate_tables(CohortConfig(n_subjects=400, missingness=other), seed=2)
    keys = ["subject_id", "visit", "day"]
    both = one.visits.merge(two.visits, on=keys, suffixes=("_one", "_two"))
    assert len(both) > 1000
    for measure in CohortConfig().offered:
        first, second = both[f"{measure}_one"], both[f"{measure}_two"]
        seen = first.notna() & second.notna()
        assert seen.sum() > 100
        assert (first[seen] == second[seen]).all()
    assert one.subjects.equals(two.subjects)
    assert one.truth.subjects.equals(two.truth.subjects)


def test_attrition_adds_up():
    tables = _tables(defaults.MISSINGNESS)
    counts = _attrition(tables)
    assert counts["planned visits"] == 13 * N
    assert counts["visits that took place"] == len(tables.visits)
    assert counts.drop("planned visits").sum() == counts["planned visits"]
    assert (counts > 0).all()


def test_non_completion_is_near_the_published_one():
    """Of 147 in the placebo arm of OLYMPUS 31 did not complete 96 weeks."""
    tables = generate_tables("ppms_trial", seed=4, n_subjects=N)
    placebo = tables.exits[tables.subjects["arm"] == "placebo"]
    left = (placebo["day"] < 96 * 7).mean()
    record = evidence.record("olympus_noncompletion_ppms")
    interval = binomtest(round(record.n * record.value / 100), record.n).proportion_ci()
    assert interval.low < left < interval.high
