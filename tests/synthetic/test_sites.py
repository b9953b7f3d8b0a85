"""Sites and scanners. Witness: variance components and upgrade days worked out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from synthetic import CohortConfig, ImagingModel, PerPhenotype, SiteModel, defaults, generate_tables

MONTE_CARLO_ERRORS = 4
PPMS_ONLY = dataclasses.replace(defaults.POPULATION, mix=PerPhenotype(PPMS=1.0))
EXACT = ImagingModel(
    measure="thalamus_ml", mean=PerPhenotype(PPMS=14.0), sd=0.0, rate_pct=PerPhenotype(PPMS=0.0),
    rate_sd_pct=0.0, error_sd=0.0, scanner_sd=2.0, upgrade_sd=1.0,
)  # fmt: skip


def _cohort(n_sites, upgrade_share=0.0, n=4000, model=EXACT):
    config = CohortConfig(
        n_subjects=n, population=PPMS_ONLY, imaging=(model,), measures=("edss", model.measure),
        sites=SiteModel(n_sites=n_sites, upgrade_share=upgrade_share),
    )  # fmt: skip
    tables = generate_tables(config.for_study(weeks=(0, 48, 96)), 6)
    return tables, tables.visits.merge(tables.subjects, on="subject_id")


def test_subjects_are_spread_evenly_over_sites():
    tables, _ = _cohort(8)
    counts = tables.subjects["site_id"].value_counts()
    assert sorted(counts.index) == [f"C{k:03d}" for k in range(1, 9)]
    assert (abs(counts - 500) < MONTE_CARLO_ERRORS * np.sqrt(4000 * 7 / 64)).all()


def test_offsets_belong_to_sites_and_have_their_spread():
    """2 % of 14 ml, over 400 sites."""
    _, visits = _cohort(400)
    by_site = visits.groupby("site_id")["thalamus_ml"].agg(["mean", "std"])
    assert (by_site["std"] == 0).all()
    spread = 0.02 * 14.0
    error = spread / np.sqrt(2 * 400)
    assert abs(by_site["mean"].std() - spread) < MONTE_CARLO_ERRORS * error
    assert abs(by_site["mean"].mean() - 14.0) < MONTE_CARLO_ERRORS * spread / np.sqrt(400)


def test_an_upgrade_shifts_a_site_once_and_renames_its_scanner():
    _, visits = _cohort(300, upgrade_share=0.5)
    levels = visits.groupby(["site_id", "scanner_id"])["thalamus_ml"].agg(["mean", "std"])
    assert (levels["std"].fillna(0) == 0).all()
    names = visits.groupby("site_id")["scanner_id"].nunique()
    share = (names == 2).mean()
    # half of the sites upgrade, some before the first or after the last of their visits
    assert abs(share - 0.5) < MONTE_CARLO_ERRORS * 0.5 / np.sqrt(300) + 0.02
    means = levels["mean"].unstack("scanner_id")
    shift = means.filter(like="b", axis=1).max(axis=1) - means.drop(
        columns=means.filter(like="b", axis=1).columns
    ).max(axis=1)
    shift = shift.dropna()
    assert abs(shift.std() - 0.14) < MONTE_CARLO_ERRORS * 0.14 / np.sqrt(2 * len(shift))


def test_upgrades_are_spread_evenly_over_the_follow_up():
    """By week 24 a quarter of the scanners have changed, by 48 half, by 72 three quarters."""
    config = CohortConfig(
        n_subjects=4000, population=PPMS_ONLY, imaging=(EXACT,), measures=("thalamus_ml",),
        sites=SiteModel(n_sites=400, upgrade_share=1.0),
    )  # fmt: skip
    tables = generate_tables(config.for_study(weeks=(0, 24, 48, 72, 96)), 6)
    visits = tables.visits.merge(tables.subjects, on="subject_id")
    for week, share in ((24, 0.25), (48, 0.5), (72, 0.75)):
        seen = visits[visits["visit"] == f"W{week}"].groupby("site_id")["scanner_id"].first()
        error = np.sqrt(share * (1 - share) / len(seen))
        late = 0.01  # visits come up to a week late, and the follow-up ends with the last of them
        assert abs(seen.str.endswith("b").mean() - share) < MONTE_CARLO_ERRORS * error + late


def test_one_site_has_no_offset():
    tables, visits = _cohort(1)
    assert (visits["thalamus_ml"] == 14.0).all()
    assert "site_id" not in tables.subjects
    assert "scanner_id" not in tables.visits


def test_a_change_from_baseline_has_no_offset():
    model = dataclasses.replace(EXACT, measure="pbvc_pct", scale="change", mean=PerPhenotype())
    _, visits = _cohort(50, model=model)
    assert (visits["pbvc_pct"].dropna() == 0).all()


@pytest.mark.parametrize("n", [30, 3000])
def test_a_site_has_its_offset_whatever_its_size(n):
    _, visits = _cohort(5, n=n)
    _, large = _cohort(5, n=3500)
    found = visits.groupby("site_id")["thalamus_ml"].first()
    np.testing.assert_array_equal(found, large.groupby("site_id")["thalamus_ml"].first())
