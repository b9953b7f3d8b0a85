"""Imaging measures.

Witnesses: moments worked out by hand from the description, statsmodels' mixed model on the measured
values, and the published spread of thalamic slopes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.stats import norm

from pmsstats import evidence
from synthetic import (
    Arm,
    CohortConfig,
    ConversionModel,
    ImagingModel,
    PerPhenotype,
    defaults,
    generate_tables,
    preset,
)
from synthetic.processes import FACTORS, LEVEL_DRIVERS, LEVELS
from synthetic.treatments import TREATMENTS

MONTE_CARLO_ERRORS = 4
YEAR = 365.25
PHENOTYPES = ("HC", "RIS", "CIS", "RRMS", "SPMS", "PPMS")
WEEKS = (0, 52, 104, 156)
MODELS = {model.measure: model for model in defaults.IMAGING}
LINEAR = (
    "thalamus_ml", "brain_ml", "gm_ml", "cord_area_c2c3_mm2", "nawm_mtr_pu", "nawm_fa",
    "nawm_naa_mmol_l", "cortical_thickness_mm", "cerebellum_ml", "pallidum_r2star_per_s",
)  # fmt: skip
NATIVE = ("thalamus_susceptibility_ppb", "caudate_susceptibility_ppb")
LOG = ("t2_lesion_ml", "t1_lesion_ml")
SPMS_ONLY = dataclasses.replace(defaults.POPULATION, mix=PerPhenotype(SPMS=1.0))


def _flat(**values):
    return PerPhenotype(**{name: values.get(name, values["HC"]) for name in PHENOTYPES})


PLAIN = ImagingModel(
    measure="thalamus_ml",
    mean=_flat(HC=16.0),
    sd=1.5,
    rate_pct=PerPhenotype(HC=-0.2, RIS=-0.4, CIS=-0.5, RRMS=-0.6, SPMS=-1.2, PPMS=-1.4),
    rate_sd_pct=0.5,
    error_sd=0.1,
)
EXACT = dataclasses.replace(PLAIN, sd=0.0, rate_sd_pct=0.0, error_sd=0.0)


def _study(*measures, n=20_000, **changes):
    return preset("review").for_study(n_subjects=n, weeks=WEEKS, measures=measures, **changes)


@pytest.fixture(scope="module")
def complete():
    """Everybody at every visit, and the truth."""
    presence = [m.measure for m in defaults.IMAGING if m.scale in ("presence", "count")]
    measures = (*LINEAR, *NATIVE, *LOG, "pbvc_pct", *presence, "edss")
    return generate_tables(_study(*measures), seed=21)


@pytest.fixture(scope="module")
def scans(complete):
    return complete.visits.assign(year=complete.visits["day"] / YEAR).merge(
        complete.subjects, on="subject_id"
    )


def _errors_away(values, expected):
    """How many standard errors a mean is from what is expected."""
    gap = values - expected
    return abs(gap.mean()) / (gap.std() / np.sqrt(len(gap)))


@pytest.mark.parametrize("phenotype", PHENOTYPES)
@pytest.mark.parametrize("measure", [*LINEAR, *NATIVE])
def test_mean_falls_along_the_configured_line(scans, measure, phenotype):
    """At each visit the mean is mean * (1 + rate / 100 * year), or mean + rate * year."""
    model = MODELS[measure]
    unit = {"percent": model.mean[phenotype] / 100, "native": 1.0}[model.rate_unit]
    last = scans[(scans["phenotype"] == phenotype) & (scans["visit"] == "W156")]
    expected = model.mean[phenotype] + unit * model.rate_pct[phenotype] * last["year"]
    assert _errors_away(last[measure], expected) < MONTE_CARLO_ERRORS


def _shared(loadings, other):
    """w'R v over factors and independent scores, written out pair by pair."""
    given = {frozenset(pair[:2]): float(pair[2]) for pair in defaults.POPULATION.correlations}
    return sum(
        float(a) * float(b) * (1.0 if x == y else given.get(frozenset((x, y)), 0.0))
        for x, a in loadings
        for y, b in other
    )


@pytest.mark.parametrize("phenotype", PHENOTYPES)
@pytest.mark.parametrize("measure", LINEAR)
def test_variance_has_its_four_parts(scans, measure, phenotype):
    """Var = sd^2 + 2 cov t + slope_sd^2 t^2 + error^2, by hand from the loadings."""
    model = MODELS[measure]
    data = scans[(scans["phenotype"] == phenotype) & (scans["visit"] == "W156")]
    year = data["year"].mean()
    slope_sd = model.rate_sd_pct / 100 * model.mean[phenotype]
    correlation = _shared(model.level_loadings, model.rate_loadings)
    expected = (
        model.sd**2
        + 2 * correlation * model.sd * slope_sd * year
        + (slope_sd * year) ** 2
        + model.error_sd**2
    )
    error = expected * np.sqrt(2 / len(data))
    assert abs(data[measure].var() - expected) < MONTE_CARLO_ERRORS * error


@pytest.mark.filterwarnings("ignore:The MLE may be on the boundary")  # cov_re is small, not 0
@pytest.mark.parametrize("measure", ["thalamus_ml", "cord_area_c2c3_mm2"])
def test_statsmodels_recovers_slope_and_variance_components(scans, measure):
    n = 300
    data = scans[scans["phenotype"] == "SPMS"]
    data = data[data["subject_id"].isin(data["subject_id"].unique()[:n])]
    model = MODELS[measure]
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
def test_change_from_baseline_starts_after_baseline(scans, phenotype):
    model = MODELS["pbvc_pct"]
    data = scans[scans["phenotype"] == phenotype]
    assert data.loc[data["visit"] == "Baseline", "pbvc_pct"].isna().all()
    last = data[data["visit"] == "W156"]
    gap = last["pbvc_pct"] - model.rate_pct[phenotype] * last["year"]
    assert abs(gap.mean()) < MONTE_CARLO_ERRORS * gap.std() / np.sqrt(len(gap))
    expected = (model.rate_sd_pct * last["year"].mean()) ** 2 + model.error_sd**2
    assert abs(gap.var() - expected) < MONTE_CARLO_ERRORS * expected * np.sqrt(2 / len(gap))


@pytest.mark.parametrize("phenotype", PHENOTYPES)
def test_lesion_volume_is_log_normal_with_the_configured_mean(scans, phenotype):
    model = MODELS["t2_lesion_ml"]
    data = scans[(scans["phenotype"] == phenotype) & (scans["visit"] == "Baseline")]
    logarithm = np.log(data["t2_lesion_ml"])
    spread = np.sqrt(model.sd**2 + model.error_sd**2)
    target = np.log(model.mean[phenotype]) - model.sd**2 / 2
    # volumes are kept to 0.0001 ml, which the smallest (of controls) feel
    rounding = 1e-3
    assert abs(logarithm.mean() - target) < MONTE_CARLO_ERRORS * spread / np.sqrt(len(data)) + (
        rounding
    )
    error = spread * np.sqrt(1 / (2 * len(data)))
    assert abs(logarithm.std() - spread) < MONTE_CARLO_ERRORS * error + rounding


@pytest.mark.parametrize("mean", [0.0, 0.08, 0.5, 1.0])
@pytest.mark.parametrize("error_sd", [0.0, 0.7])
def test_presence_has_the_configured_share_at_baseline(mean, error_sd):
    model = ImagingModel(
        measure="leptomeningeal_presence", scale="presence", mean=_flat(HC=mean),
        rate_pct=_flat(HC=40.0), rate_sd_pct=0.0, error_sd=error_sd,
    )  # fmt: skip
    config = CohortConfig(n_subjects=20_000, imaging=(model,), population=SPMS_ONLY)
    config = config.for_study(weeks=(0, 104), measures=("leptomeningeal_presence",))
    found = generate_tables(config, 3).visits.groupby("visit", observed=True)[model.measure].mean()
    year = 2 * 364 / YEAR
    later = norm.cdf(norm.ppf(mean) + 0.4 * year / np.hypot(1, error_sd))
    for visit, share in (("Baseline", mean), ("W104", later)):
        error = np.sqrt(share * (1 - share) / 20_000)
        assert abs(found[visit] - share) <= MONTE_CARLO_ERRORS * error + 1e-3 * (0 < mean < 1)


def test_counts_are_whole_numbers_of_a_log_normal_load(scans):
    measures = [m.measure for m in defaults.IMAGING if m.scale == "count"]
    assert len(measures) > 3
    for measure in measures:
        values = scans[measure].to_numpy()
        assert (values == np.floor(values)).all()
        assert values.min() >= 0
    model = MODELS[measures[0]]
    first = scans[(scans["visit"] == "Baseline") & (scans["phenotype"] == "SPMS")][measures[0]]
    spread = np.hypot(model.sd, model.error_sd)
    center = np.log(model.mean["SPMS"]) - model.sd**2 / 2
    threshold = np.floor(model.mean["SPMS"] + 0.5)
    share = norm.sf((np.log(threshold + 0.5) - center) / spread)
    error = np.sqrt(share * (1 - share) / len(first))
    assert abs((first > threshold).mean() - share) < MONTE_CARLO_ERRORS * error


def test_two_methods_measure_one_process(complete):
    """Volume and registration see the same brain: their true rates are the same."""
    latent = complete.truth.subjects.merge(complete.subjects, on="subject_id")
    percent = (
        100 * latent["brain_ml_slope"] / latent["phenotype"].map(dict(MODELS["brain_ml"].mean))
    )
    scale = MODELS["brain_ml"].rate_sd_pct / MODELS["pbvc_pct"].rate_sd_pct
    for name in PHENOTYPES:
        here = latent["phenotype"] == name
        one = percent[here] - MODELS["brain_ml"].rate_pct[name]
        other = latent.loc[here, "pbvc_pct_slope"] - MODELS["pbvc_pct"].rate_pct[name]
        np.testing.assert_allclose(one, scale * other, rtol=0, atol=1e-9)


def test_implied_spread_of_thalamic_slopes_is_the_published_one():
    """Azevedo's sample sizes imply SD 1.09 %/yr of slopes from 24 months of annual scans."""
    model = MODELS["thalamus_ml"]
    mean = np.mean([model.mean[p] for p in ("RRMS", "SPMS", "PPMS")])
    error_pct = 100 * model.error_sd / mean
    implied = np.sqrt(model.rate_sd_pct**2 + error_pct**2 / 2)  # scans at 0, 1, 2: spread is 2
    published = evidence.record("azevedo2018_thalamus_slope_sd").value
    assert implied == pytest.approx(published, rel=0.05)  # a tenth of it is rounding of n


DRIVEN = dataclasses.replace(
    PLAIN,
    level_loadings=(
        ("neurodegeneration_level", 0.5), ("meningeal_level", 0.3), ("age", 0.2),
        ("duration", 0.2), ("head_size", -0.3),
    ),
    rate_loadings=(("neurodegeneration_rate", 0.6), ("cord_rate", 0.3)),
)  # fmt: skip


def test_a_least_squares_fit_gives_back_the_loadings():
    """The true baseline regresses on all drivers with their weights, and leaves the own part."""
    config = CohortConfig(n_subjects=20_000, population=SPMS_ONLY, imaging=(DRIVEN,))
    truth = generate_tables(config, 8).truth.subjects
    drivers = truth[list(LEVELS)].assign(
        age=truth["age_score"], duration=truth["duration_score"], head_size=truth["head_size_score"]
    )
    score = (16.0 - truth["thalamus_ml_baseline"]) / 1.5
    columns = np.column_stack([np.ones(len(drivers)), drivers[list(LEVEL_DRIVERS)]])
    found, residual, *_ = np.linalg.lstsq(columns, score, rcond=None)
    weights = dict(DRIVEN.level_loadings)
    expected = np.array([0.0, *(weights.get(name, 0.0) for name in LEVEL_DRIVERS)])
    own = 1 - _shared(DRIVEN.level_loadings, DRIVEN.level_loadings)
    errors = np.sqrt(own * np.diag(np.linalg.inv(columns.T @ columns)))
    assert (np.abs(found - expected) < MONTE_CARLO_ERRORS * errors).all()
    assert residual[0] / len(score) == pytest.approx(own, rel=4 * np.sqrt(2 / len(score)))


def test_treatment_slows_the_mean_and_leaves_the_spread():
    config = dataclasses.replace(preset("ppms_trial").complete(), n_subjects=20_000)
    tables = generate_tables(config, seed=3)
    latent = tables.truth.subjects.merge(tables.subjects, on="subject_id")
    model = MODELS["thalamus_ml"]
    slope = latent.groupby("arm", observed=True)["thalamus_ml_slope"].agg(["mean", "std", "size"])
    untreated = model.mean["PPMS"] * model.rate_pct["PPMS"] / 100
    expected = {"placebo": untreated, "active": untreated * (1 - 0.3)}
    spread = model.mean["PPMS"] * model.rate_sd_pct / 100
    for arm, row in slope.iterrows():
        error = row["std"] / np.sqrt(row["size"])
        assert abs(row["mean"] - expected[arm]) < MONTE_CARLO_ERRORS * error
        error = spread / np.sqrt(2 * row["size"])
        assert abs(row["std"] - spread) < MONTE_CARLO_ERRORS * error


def _lines(model, *arms, **changes):
    """Scan without error or spread: what is measured is the mean course."""
    shared = [dataclasses.replace(arm, share=1 / len(arms)) for arm in arms]
    config = CohortConfig(
        n_subjects=60, population=SPMS_ONLY, imaging=(model,), arms=tuple(shared), **changes
    ).complete()
    tables = generate_tables(dataclasses.replace(config, measures=(model.measure,)), seed=1)
    frame = tables.visits.dropna(subset=[model.measure]).merge(tables.subjects, on="subject_id")
    return frame.assign(year=frame["day"] / YEAR), tables


PLACEBO = Arm(name="placebo", share=1.0)
ARMS = [
    ("no effect", {}, lambda t: -0.012 * t),
    # beyond controls 1.0 %/yr: 60 % of it is due to demyelination, of which 80 % is prevented
    (
        "named process",
        {"slowing": (("demyelination", 0.8),)},
        lambda t: -(0.002 + 0.010 * (1 - 0.48)) * t,
    ),
    # 0.6 x 0.5 + 0.4 x 0.25 of what exceeds controls is prevented
    (
        "two named processes",
        {"slowing": (("iron", 0.25), ("demyelination", 0.5))},
        lambda t: -(0.002 + 0.010 * (1 - 0.40)) * t,
    ),
    ("reversal", {"slowing": (("demyelination", 2.0),)}, lambda t: -(0.002 + 0.010 * -0.2) * t),
    (
        "both, and then all slowed",
        {"slowing": (("demyelination", 0.8),), "atrophy_slowing": 0.5},
        lambda t: -(0.002 + 0.010 * (1 - 0.48)) * 0.5 * t,
    ),
    (
        "delayed",
        {"atrophy_slowing": 0.5, "onset_years": 1.0},
        lambda t: -0.012 * t + 0.006 * np.maximum(t - 1, 0),
    ),
    (
        "pseudo-atrophy",
        {"pseudo_atrophy_pct": 0.8, "pseudo_atrophy_years": 0.25},
        lambda t: -0.012 * t - 0.5 * 0.008 * (1 - np.exp(-t / 0.25)),
    ),
]


@pytest.mark.parametrize(("why", "effects", "change"), ARMS, ids=[row[0] for row in ARMS])
def test_hand_worked_courses_under_treatment(why, effects, change):
    model = dataclasses.replace(
        EXACT, drivers=(("demyelination", 0.6), ("iron", 0.4)), pseudo_atrophy=0.5
    )
    scans, _ = _lines(model, PLACEBO, Arm(name="active", share=1.0, **effects))
    courses = {"placebo": lambda t: -0.012 * t, "active": change}
    for arm, course in courses.items():
        data = scans[scans["arm"] == arm]
        expected = 16.0 * (1 + course(data["year"]))
        assert len(data) > 50
        np.testing.assert_allclose(data["thalamus_ml"], expected, rtol=0, atol=5.1e-5)


def test_drivers_follow_the_squared_loadings_unless_they_are_given():
    """Weights 0.6 and -0.3: squares 0.36 and 0.09, shares 0.8 and 0.2."""
    loaded = dataclasses.replace(
        EXACT, rate_loadings=(("demyelination_rate", 0.6), ("cord_rate", -0.3))
    )
    assert dict(loaded.driver_shares) == pytest.approx({"demyelination": 0.8, "cord": 0.2})
    assert EXACT.driver_shares == (("neurodegeneration", 1.0),)
    given = dataclasses.replace(loaded, drivers=(("iron", 1.0),))
    assert given.driver_shares == (("iron", 1.0),)


def test_after_conversion_the_mean_rate_is_the_new_phenotypes():
    """RRMS loses 0.6 % a year, 1.2 % after it has become SPMS; with a late treatment too."""
    population = dataclasses.replace(defaults.POPULATION, mix=PerPhenotype(RRMS=1.0))
    late = Arm(name="late", share=1.0, atrophy_slowing=0.5, onset_years=1.0)
    config = CohortConfig(
        n_subjects=400, population=population, imaging=(EXACT,), measures=("thalamus_ml",),
        conversion=ConversionModel(rrms_to_spms=0.5), arms=(late,),
    ).complete()  # fmt: skip
    tables = generate_tables(config, 2)
    scans = tables.visits.dropna().merge(tables.truth.subjects, on="subject_id")
    year = scans["day"] / YEAR
    when = scans["conversion_year"].fillna(np.inf)
    assert (when < 1).any()
    assert (when.between(1, 2)).any()
    grid = np.linspace(0, 1, 2001)[:-1] + 1 / 4000  # midpoints of the path, integrated numerically
    t = year.to_numpy()[:, None] * grid
    rate = np.where(t > when.to_numpy()[:, None], -1.2, -0.6) * np.where(t > 1.0, 0.5, 1.0)
    expected = 16.0 * (1 + rate.mean(axis=1) * year / 100)
    np.testing.assert_allclose(scans["thalamus_ml"], expected, rtol=0, atol=2e-4)
    known = tables.subjects.merge(tables.truth.subjects, on="subject_id").merge(
        tables.exits, on="subject_id"
    )
    told = known["converted_to"].notna()
    day = np.ceil(known["conversion_year"] * YEAR)
    assert (told == (day <= known["day"])).all()
    assert (known.loc[told, "converted_to"] == "SPMS").all()
    assert (known.loc[told, "conversion_day"] == day[told]).all()


def test_without_error_and_spread_a_scan_is_the_line():
    scans, _ = _lines(EXACT, PLACEBO)
    expected = 16.0 * (1 - 0.012 * scans["year"])
    np.testing.assert_allclose(scans["thalamus_ml"], expected, rtol=0, atol=5.1e-5)


def test_values_stay_possible():
    """A share cannot exceed 1, however large its error."""
    model = dataclasses.replace(
        EXACT, measure="nawm_fa", mean=_flat(HC=0.95), rate_pct=_flat(HC=0.0), error_sd=0.1
    )
    scans, _ = _lines(model, PLACEBO)
    assert scans["nawm_fa"].between(0, 1).all()
    assert (scans["nawm_fa"] == 1).any()


def test_measures_can_share_their_own_part():
    twin = dataclasses.replace(PLAIN, measure="caudate_ml", own_level="grey", process="grey")
    model = dataclasses.replace(PLAIN, own_level="grey", process="grey")
    alone = dataclasses.replace(PLAIN, measure="putamen_ml")
    config = CohortConfig(n_subjects=2000, population=SPMS_ONLY, imaging=(model, twin, alone))
    truth = generate_tables(config, 4).truth.subjects
    for what in ("baseline", "slope"):
        np.testing.assert_array_equal(truth[f"thalamus_ml_{what}"], truth[f"caudate_ml_{what}"])
        other = np.corrcoef(truth[f"thalamus_ml_{what}"], truth[f"putamen_ml_{what}"])[0, 1]
        assert abs(other) < MONTE_CARLO_ERRORS / np.sqrt(2000)


def test_named_treatments_reverse_what_the_review_says_they_do():
    """Natalizumab raises NAWM MTR and FA in progressive MS (Romme Christensen 2014)."""
    mix = {"SPMS": 1}
    config = _study("nawm_mtr_pu", "nawm_fa", n=4000, mix=mix, treatments=("natalizumab",))
    truth = generate_tables(config, 1).truth.subjects
    assert truth["nawm_mtr_pu_slope"].mean() > 0
    assert truth["nawm_fa_slope"].mean() > 0
    assert TREATMENTS["natalizumab"].share == 1


def test_another_visit_moves_none_of_the_others():
    few = generate_tables(_study("thalamus_ml", "edss", n=300), 5).visits
    more = preset("review").for_study(
        n_subjects=300, weeks=(0, 52, 80, 104, 156), measures=("thalamus_ml", "edss")
    )
    more = generate_tables(more, 5).visits
    same = more[more["visit"] != "W80"].reset_index(drop=True)
    pd.testing.assert_frame_equal(few.drop(columns="visit"), same.drop(columns="visit"))


def test_factors_are_the_twelve(complete):
    assert list(complete.truth.subjects.columns[1:13]) == list(FACTORS)
