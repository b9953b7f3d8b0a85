"""Imaging measures.

Witnesses: statsmodels' mixed model on the measured values, moments worked out by hand, and the
published spread of thalamic slopes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import statsmodels.formula.api as smf

from pmsstats import evidence
from synthetic import CohortConfig, PerPhenotype, defaults, generate_tables, preset

MONTE_CARLO_ERRORS = 4
LINEAR = [m for m in defaults.IMAGING if m.scale == "linear"]
PHENOTYPES = ("HC", "RRMS", "SPMS", "PPMS")


@pytest.fixture(scope="module")
def complete():
    """Everybody at every visit, and the truth."""
    return generate_tables(CohortConfig(n_subjects=20_000).complete(), seed=21)


@pytest.fixture(scope="module")
def scans(complete):
    visits = complete.visits.dropna(subset=["thalamus_ml"])
    return visits.assign(year=visits["day"] / 365.25).merge(complete.subjects, on="subject_id")


@pytest.mark.parametrize("phenotype", PHENOTYPES)
@pytest.mark.parametrize("model", LINEAR, ids=[m.measure for m in LINEAR])
def test_mean_falls_along_the_configured_line(scans, model, phenotype):
    """At each visit the mean is mean * (1 + rate / 100 * year)."""
    data = scans[scans["phenotype"] == phenotype]
    expected = model.mean[phenotype] * (1 + model.rate_pct[phenotype] / 100 * data["year"])
    gap = (data[model.measure] - expected).groupby(data["visit"], observed=True)
    errors = gap.std() / np.sqrt(gap.size())
    assert len(errors) == 5
    assert (gap.mean().abs() < MONTE_CARLO_ERRORS * errors).all()


@pytest.mark.parametrize("phenotype", PHENOTYPES)
@pytest.mark.parametrize("model", LINEAR, ids=[m.measure for m in LINEAR])
def test_variance_has_its_four_parts(scans, model, phenotype):
    """Var = sd^2 + 2 cov t + slope_sd^2 t^2 + error^2, by hand from the loadings."""
    data = scans[(scans["phenotype"] == phenotype) & (scans["visit"] == "W144")]
    year = data["year"].mean()
    slope_sd = model.rate_sd_pct / 100 * model.mean[phenotype]
    correlation = model.damage_loading * model.rate_loading * 0.3
    expected = (
        model.sd**2
        + 2 * correlation * model.sd * slope_sd * year
        + (slope_sd * year) ** 2
        + model.error_sd**2
    )
    error = expected * np.sqrt(2 / len(data))
    assert abs(data[model.measure].var() - expected) < MONTE_CARLO_ERRORS * error


@pytest.mark.filterwarnings("ignore:The MLE may be on the boundary")  # cov_re is small, not 0
@pytest.mark.parametrize("measure", ["thalamus_ml", "cord_area_c2c3_mm2"])
def test_statsmodels_recovers_slope_and_variance_components(scans, measure):
    n = 300
    data = scans[scans["phenotype"] == "SPMS"]
    data = data[data["subject_id"].isin(data["subject_id"].unique()[:n])]
    model = next(m for m in defaults.IMAGING if m.measure == measure)
    unit = model.sd  # fitted in units of the baseline spread: the optimiser needs that
    fit = smf.mixedlm(
        "y ~ year", data.assign(y=data[measure] / unit), groups="subject_id", re_formula="~ year"
    ).fit(reml=True, method="powell")
    assert fit.converged
    mean = model.mean["SPMS"]
    truth = {"Intercept": mean / unit, "year": mean * model.rate_pct["SPMS"] / 100 / unit}
    for term, target in truth.items():
        assert abs(fit.fe_params[term] - target) < MONTE_CARLO_ERRORS * fit.bse_fe[term]
    # a least-squares slope has variance slope + error / spread, an intercept (nearly) that of the
    # baseline; a variance estimated from n subjects has relative error sqrt(2 / n)
    year = data.groupby("visit", observed=True)["year"].mean()
    spread = ((year - year.mean()) ** 2).sum()
    slope = (mean * model.rate_sd_pct / 100 / unit) ** 2
    error = (model.error_sd / unit) ** 2
    relative = MONTE_CARLO_ERRORS * np.sqrt(2 / n)
    assert abs(fit.cov_re.loc["year", "year"] - slope) < relative * (slope + error / spread)
    assert abs(fit.cov_re.iloc[0, 0] - 1.0) < relative * (1.0 + error)
    assert abs(fit.scale - error) < relative / np.sqrt(len(year) - 2) * error


@pytest.mark.parametrize("phenotype", PHENOTYPES)
def test_change_from_baseline_starts_after_baseline(complete, phenotype):
    model = next(m for m in defaults.IMAGING if m.measure == "pbvc_pct")
    visits = complete.visits.merge(complete.subjects, on="subject_id")
    data = visits[visits["phenotype"] == phenotype]
    assert data.loc[data["visit"] == "Baseline", "pbvc_pct"].isna().all()
    last = data[data["visit"] == "W144"]
    year = last["day"] / 365.25
    gap = last["pbvc_pct"] - model.rate_pct[phenotype] * year
    assert abs(gap.mean()) < MONTE_CARLO_ERRORS * gap.std() / np.sqrt(len(gap))
    expected = (model.rate_sd_pct * year.mean()) ** 2 + model.error_sd**2
    assert abs(gap.var() - expected) < MONTE_CARLO_ERRORS * expected * np.sqrt(2 / len(gap))


@pytest.mark.parametrize("phenotype", PHENOTYPES)
def test_lesion_volume_is_log_normal_with_the_published_mean(scans, phenotype):
    model = next(m for m in defaults.IMAGING if m.measure == "t2_lesion_ml")
    data = scans[(scans["phenotype"] == phenotype) & (scans["visit"] == "Baseline")]
    logarithm = np.log(data["t2_lesion_ml"])
    spread = np.sqrt(model.sd**2 + model.error_sd**2)
    target = np.log(model.mean[phenotype]) - model.sd**2 / 2
    assert abs(logarithm.mean() - target) < MONTE_CARLO_ERRORS * spread / np.sqrt(len(data))
    # volumes are kept to 0.0001 ml: nothing against a spread of 0.85
    error = spread * np.sqrt(1 / (2 * len(data)))
    assert abs(logarithm.std() - spread) < MONTE_CARLO_ERRORS * error


@pytest.mark.parametrize(
    ("measure", "pair"),
    [("brain_ml", ("brain_ml_slope", "pbvc_pct_slope"))],
)
def test_two_methods_measure_one_process(complete, measure, pair):
    """Volume and registration see the same brain: their true rates are the same."""
    latent = complete.truth.subjects.merge(complete.subjects, on="subject_id")
    model = next(m for m in defaults.IMAGING if m.measure == measure)
    percent = 100 * latent[pair[0]] / latent["phenotype"].map(dict(model.mean))
    np.testing.assert_allclose(percent, latent[pair[1]], rtol=0, atol=1e-9)


def test_implied_spread_of_thalamic_slopes_is_the_published_one():
    """Azevedo's sample sizes imply SD 1.09 %/yr of slopes from 24 months of annual scans."""
    model = preset("progressive").imaging[0]
    mean = np.mean([model.mean[p] for p in ("RRMS", "SPMS", "PPMS")])
    error_pct = 100 * model.error_sd / mean
    implied = np.sqrt(model.rate_sd_pct**2 + error_pct**2 / 2)  # scans at 0, 1, 2: spread is 2
    published = evidence.record("azevedo2018_thalamus_slope_sd").value
    assert implied == pytest.approx(published, rel=0.05)  # a tenth of it is rounding of n


def test_age_and_damage_load_as_configured(complete, scans):
    data = scans[(scans["phenotype"] == "SPMS") & (scans["visit"] == "Baseline")]
    data = data.merge(complete.truth.subjects[["subject_id", "damage"]], on="subject_id")
    model = defaults.IMAGING[0]
    attenuation = model.sd / np.sqrt(model.sd**2 + model.error_sd**2)
    for column, loading in (("damage", model.damage_loading), ("age_years", model.age_loading)):
        found = np.corrcoef(data[column], data["thalamus_ml"])[0, 1]
        error = 1 / np.sqrt(len(data))
        assert abs(found + loading * attenuation) < MONTE_CARLO_ERRORS * error + 0.01  # cut ages


def test_treatment_slows_the_mean_and_leaves_the_spread():
    config = dataclasses.replace(preset("ppms_trial").complete(), n_subjects=20_000)
    tables = generate_tables(config, seed=3)
    latent = tables.truth.subjects.merge(tables.subjects, on="subject_id")
    model = next(m for m in config.imaging if m.measure == "thalamus_ml")
    slope = latent.groupby("arm", observed=True)["thalamus_ml_slope"].agg(["mean", "std", "size"])
    untreated = model.mean["PPMS"] * model.rate_pct["PPMS"] / 100
    expected = {"placebo": untreated, "active": untreated * (1 - 0.3)}
    spread = model.mean["PPMS"] * model.rate_sd_pct / 100
    for arm, row in slope.iterrows():
        error = row["std"] / np.sqrt(row["size"])
        assert abs(row["mean"] - expected[arm]) < MONTE_CARLO_ERRORS * error
        error = spread / np.sqrt(2 * row["size"])
        assert abs(row["std"] - spread) < MONTE_CARLO_ERRORS * error


def test_without_error_and_spread_a_scan_is_the_line():
    exact = dataclasses.replace(
        defaults.IMAGING[0],
        mean=PerPhenotype(HC=16.0, RRMS=16.0, SPMS=16.0, PPMS=16.0),
        rate_pct=PerPhenotype(HC=-1.0, RRMS=-1.0, SPMS=-1.0, PPMS=-1.0),
        sd=0.0,
        rate_sd_pct=0.0,
        error_sd=0.0,
    )
    config = CohortConfig(n_subjects=30, imaging=(exact,)).complete()
    visits = generate_tables(config, seed=1).visits.dropna(subset=["thalamus_ml"])
    expected = 16.0 - 0.16 * visits["day"] / 365.25
    np.testing.assert_allclose(visits["thalamus_ml"], expected, rtol=0, atol=1e-4)
