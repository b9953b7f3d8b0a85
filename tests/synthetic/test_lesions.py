"""New lesions. Witnesses: negative binomial moments, hand-worked scans, the day of each scan."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from synthetic import Arm, CohortConfig, LesionModel, PerPhenotype, defaults, generate_tables
from synthetic.lesions import Lesions, count_lesions

N = 30_000
MONTE_CARLO_ERRORS = 4
DAYS_PER_YEAR = 365.25
DURATION_ROUNDING = 1e-3
"""Durations are written to a tenth of a year; decline per year found from them."""
CUT_DURATIONS = 0.03
"""Share by which the mean rate rises because long durations are cut off in the young."""
VOLUME_ROUNDING = 1e-9
"""Of the sum of four-digit volumes of whole multiples of 0.12 ml."""
PPMS_ONLY = dataclasses.replace(defaults.POPULATION, mix=PerPhenotype(PPMS=1.0))
MODEL = LesionModel(
    rate=PerPhenotype(PPMS=1.5), dispersion=2.0, relapse_loading=0.6, enhancing_days=42
)
ARMS = (
    Arm(name="placebo", share=0.5),
    Arm(name="active", share=0.5, lesion_rate_ratio=0.3),
)


def _config(**changes):
    """Describe patients of whom nobody goes missing, and only their lesions and EDSS."""
    options = {"n_subjects": N, "population": PPMS_ONLY, "lesions": MODEL, **changes}
    measures = ("edss", "new_t2_count", "gd_lesion_count")
    return CohortConfig(**options, measures=measures).complete()


@pytest.fixture(scope="module")
def trial():
    return generate_tables(_config(arms=ARMS), seed=11)


def _scans(tables):
    scans = tables.visits.dropna(subset=["gd_lesion_count"]).copy()
    scans["years"] = scans.groupby("subject_id")["day"].diff() / DAYS_PER_YEAR
    return scans.merge(tables.subjects, on="subject_id")


# --- how many form ---------------------------------------------------------------------------


@pytest.mark.parametrize("dispersion", [0.0, 0.5, 2.0])
def test_counts_have_negative_binomial_moments(dispersion):
    model = dataclasses.replace(MODEL, dispersion=dispersion)
    scans = _scans(generate_tables(_config(lesions=model), seed=4))
    years = scans.groupby("subject_id")["day"].max().mean() / DAYS_PER_YEAR
    counts = scans.groupby("subject_id")["new_t2_count"].sum()
    mean = 1.5 * years
    variance = mean + dispersion * mean**2
    assert abs(counts.mean() - mean) < MONTE_CARLO_ERRORS * np.sqrt(variance / N)
    fourth = ((counts - counts.mean()) ** 4).mean()
    error = np.sqrt((fourth - variance**2) / N)
    assert abs(counts.var() - variance) < MONTE_CARLO_ERRORS * error


@pytest.mark.parametrize(("arm", "ratio"), [("placebo", 1.0), ("active", 0.3)])
def test_treatment_lowers_the_rate_after_day_0(trial, arm, ratio):
    scans = _scans(trial).query("arm == @arm and day > 0")
    counts = scans.groupby("subject_id")["new_t2_count"].sum()
    mean = 1.5 * ratio * scans.groupby("subject_id")["years"].sum()
    error = np.sqrt((mean + 2.0 * mean**2).sum()) / len(mean)
    assert abs(counts.mean() - mean.mean()) < MONTE_CARLO_ERRORS * error


@pytest.mark.parametrize("arm", ["placebo", "active"])
def test_lesions_enhance_at_baseline_as_without_treatment(trial, arm):
    """Share of subjects with any: 1 - (1 + d m)^(-1/d), with m = 1.5 x 42 days."""
    first = _scans(trial).query("arm == @arm and day == 0")["gd_lesion_count"] > 0
    expected = 1 - (1 + 2.0 * 1.5 * 42 / DAYS_PER_YEAR) ** -0.5
    error = np.sqrt(expected * (1 - expected) / len(first))
    assert abs(first.mean() - expected) < MONTE_CARLO_ERRORS * error


def test_patients_enter_active():
    """Share with any at baseline: 1 - (1 + d m)^(-1/d), with m = 3 x 1.5 x 42 days."""
    model = dataclasses.replace(MODEL, baseline_ratio=3.0)
    scans = _scans(generate_tables(_config(lesions=model), seed=12))
    first = scans.query("day == 0")["gd_lesion_count"] > 0
    expected = 1 - (1 + 2.0 * 3.0 * 1.5 * 42 / DAYS_PER_YEAR) ** -0.5
    error = np.sqrt(expected * (1 - expected) / len(first))
    assert abs(first.mean() - expected) < MONTE_CARLO_ERRORS * error


def test_the_rate_falls_with_disease_duration():
    """A Poisson regression on duration, without dispersion, finds the decline; the mean stays.

    Durations are cut where onset would come before adolescence, hence the margin on the mean.
    """
    model = dataclasses.replace(MODEL, dispersion=0.0, duration_decline=0.1)
    tables = generate_tables(_config(lesions=model), seed=13)
    rate = tables.truth.subjects["lesion_rate"].to_numpy()
    duration = tables.subjects["disease_duration_years"].to_numpy()
    slope = np.polyfit(duration, np.log(rate), 1)[0]
    assert abs(slope + 0.1) < DURATION_ROUNDING
    assert abs(rate.mean() / 1.5 - 1) < CUT_DURATIONS


@pytest.mark.parametrize("spread", [0.0, 0.6])
def test_volume_follows_the_number(spread):
    """Mean volume of a lesion, over the lesions of all scans."""
    model = dataclasses.replace(MODEL, lesion_ml=0.12, lesion_ml_sd=spread)
    measures = ("edss", "gd_lesion_count", "gd_lesion_ml")
    config = dataclasses.replace(_config(lesions=model), measures=measures)
    scans = generate_tables(config, seed=14).visits.dropna(subset=["gd_lesion_ml"])
    count, volume = scans["gd_lesion_count"].to_numpy(), scans["gd_lesion_ml"].to_numpy()
    assert ((volume > 0) == (count > 0)).all()
    rest = volume - 0.12 * count
    error = np.sqrt((rest**2).sum()) + len(rest) * VOLUME_ROUNDING / MONTE_CARLO_ERRORS
    assert abs(rest.sum()) < MONTE_CARLO_ERRORS * error


def test_enhancing_lesions_are_some_of_the_new_ones(trial):
    later = _scans(trial).query("day > 0")
    assert (later["gd_lesion_count"] <= later["new_t2_count"]).all()
    placebo = later[later["arm"] == "placebo"]
    share = placebo["gd_lesion_count"].sum() / placebo["new_t2_count"].sum()
    expected = 42 / DAYS_PER_YEAR * len(placebo) / placebo["years"].sum()
    error = np.sqrt(expected * (1 - expected) / placebo["new_t2_count"].sum())
    assert abs(share - expected) < MONTE_CARLO_ERRORS * error


def test_lesions_per_phenotype():
    config = CohortConfig(n_subjects=20_000, lesions=defaults.LESIONS).complete()
    tables = generate_tables(config, seed=6)
    totals = _scans(tables).groupby(["phenotype", "subject_id"])["new_t2_count"].sum()
    means = totals.groupby("phenotype").mean()
    assert totals["HC"].sum() == 0
    assert means["RRMS"] > means["SPMS"] > means["PPMS"] > 0


@pytest.mark.parametrize("loading", [0.0, 0.6])
def test_lesions_and_relapses_go_together(loading):
    """The scores behind both rates are normal, so their Spearman correlation is known."""
    model = dataclasses.replace(MODEL, relapse_loading=loading)
    truth = generate_tables(_config(lesions=model), seed=8).truth.subjects
    found = stats.spearmanr(truth["lesion_rate"], truth["relapse_rate"]).statistic
    expected = 6 / np.pi * np.arcsin(loading / 2)
    assert abs(found - expected) < MONTE_CARLO_ERRORS / np.sqrt(N)


def test_a_subjects_counts_follow_the_true_rate(trial):
    """Given the true rate, counts are Poisson: no variance is left beyond the mean."""
    scans = _scans(trial).query("day > 0").merge(trial.truth.subjects, on="subject_id")
    mean = scans["lesion_rate"] * scans["years"]
    z2 = (scans["new_t2_count"] - mean) ** 2
    error = np.sqrt((mean + 2 * mean**2).sum())  # of a Poisson variable's squared deviation
    assert abs((z2 - mean).sum()) < MONTE_CARLO_ERRORS * error


# --- what a scan shows -----------------------------------------------------------------------

LESIONS = Lesions(
    rate=np.array([1.0]),
    columns=np.array([0, 2, 4, 5]),
    enhancing=np.array([[1.0, 0.0, 2.0, 1.0]]),
    faded=np.array([[0.0, 3.0, 1.0, 0.0]]),
    enhancing_ml=np.array([[0.3, 0.0, 0.5, 0.2]]),
)
SEEN = [
    ("all scans", "y.y.yy", [None, 3, 3, 1], [1, 0, 2, 1]),
    ("a missed scan leaves its lesions to the next", "y...yy", [None, None, 6, 1], [1, None, 2, 1]),
    ("two missed scans", "y....y", [None, None, None, 7], [1, None, None, 1]),
    ("the first scan is not compared", "..y.yy", [None, None, 3, 1], [None, 0, 2, 1]),
    ("no scan", "......", [None] * 4, [None] * 4),
]


@pytest.mark.parametrize(("why", "seen", "new", "enhancing"), SEEN, ids=[row[0] for row in SEEN])
def test_hand_worked_scans(why, seen, new, enhancing):
    scanned = np.array([[letter == "y" for letter in seen]])
    found = count_lesions(LESIONS, scanned)
    counts = np.array(enhancing, dtype=float)
    volumes = np.where(np.isnan(counts), np.nan, LESIONS.enhancing_ml[0])
    presence = np.where(np.isnan(counts), np.nan, counts > 0)
    wanted = {
        "new_t2_count": new,
        "active_lesion_count": new,
        "gd_lesion_count": enhancing,
        "gd_lesion_presence": presence,
        "gd_lesion_ml": volumes,
    }
    assert set(found) == set(wanted)
    for measure, expected in wanted.items():
        scans = np.full(6, np.nan)
        scans[LESIONS.columns] = np.array(expected, dtype=float)
        np.testing.assert_array_equal(found[measure][0], scans)


def test_counts_stand_at_scans_alone():
    tables = generate_tables(CohortConfig(lesions=defaults.LESIONS), seed=2)
    visits = tables.visits.merge(tables.truth.visits, on=["subject_id", "visit", "day"])
    weeks = defaults.SCHEDULE.imaging_weeks
    planned = visits["visit"].isin(["Baseline", *(f"W{week}" for week in weeks[1:])])
    is_scan = planned & visits["scanned"]
    assert (~visits.loc[planned, "scanned"]).any()
    pd.testing.assert_series_equal(visits["gd_lesion_count"].notna(), is_scan, check_names=False)
    later = is_scan & (visits["day"] > 0)
    pd.testing.assert_series_equal(visits["new_t2_count"].notna(), later, check_names=False)


def test_missing_scans_lose_no_lesion_but_the_last():
    """Counts up to the last scan that took place are those of a cohort that missed none."""
    config = CohortConfig(n_subjects=2000, lesions=defaults.LESIONS)
    seen = generate_tables(config, seed=3).visits.dropna(subset=["gd_lesion_count"])
    full = generate_tables(config.complete(), seed=3).visits
    last = full["subject_id"].map(seen.groupby("subject_id")["day"].max())
    pd.testing.assert_series_equal(
        full[full["day"] <= last].groupby("subject_id")["new_t2_count"].sum(),
        seen.groupby("subject_id")["new_t2_count"].sum(),
    )
    assert len(seen) < full["gd_lesion_count"].notna().sum()
