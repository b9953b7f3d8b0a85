"""Longitudinal ComBat against a script of the paper in R, its own algebra, and known shifts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from reference_cases import load_case
from scanner_cases import GAP, NOISE, SHIFTS, SLOPE, scans

from pmsstats.errors import DesignError
from pmsstats.imaging import HarmonisationSpec, harmonise
from pmsstats.models import fit_lmm

FEATURES = ("feature1", "feature2", "feature3")
MODEL = "year * arm + (1 | subject_id)"
ROUNDING = 1e-9
REFERENCE = {
    "intercept": ("(1 | subject_id)", "REML"),
    "slope": ("(year | subject_id)", "REML"),
    "msr": ("(1 | subject_id)", "MSR"),
}
SEEDED = 0.01  # one seed in a hundred would reject where there is nothing
# Predicted random effects take one or two of five visits' worth of noise, less by their shrinkage:
# sqrt(5 / 4) = 1.12 for one and sqrt(5 / 3) = 1.29 for two that are not shrunk at all.
REML_INFLATES = (1.1, np.sqrt(5 / 3))
SUMS_OF_SQUARES = 1e-6  # one through the effects, one through the residuals of a fit
# A second fit predicts other random effects from harmonised values. That moves the means by less
# than a tenth of their standard errors, and ratios of standard deviations, which were 1.6 / 0.7, by
# what the scanners' residuals lose to random effects in unequal shares.
REFIT_OF_MEANS, REFIT_OF_SPREADS = 0.1, 1.06
EFFECTS = ("gamma", "delta", "gamma_star", "delta_star")


def spec(features=FEATURES, model=MODEL, **options) -> HarmonisationSpec:
    return HarmonisationSpec(features=features, model=model, by="arm", **options)


@pytest.fixture(scope="module")
def case():
    return load_case("longcombat")


@pytest.fixture(scope="module")
def reference_results(case):
    data = case.input.assign(arm=pd.Categorical(case.input["arm"], ["placebo", "active"]))
    features = tuple(f"feature{k}" for k in range(1, 7))
    return {
        name: harmonise(
            data, spec(features, f"year * arm + age_years + {random}", residual_scale=scale)
        )
        for name, (random, scale) in REFERENCE.items()
    }


@pytest.mark.parametrize("name", REFERENCE)
def test_harmonised_values_are_those_of_the_script_in_r(name, case, reference_results):
    rows = case.rows(f"{name}.value")
    feature = rows["term"].str.split(" | ", regex=False).str[0]
    row = rows["term"].str.split(" | ", regex=False).str[1].astype(int) - 1
    values = reference_results[name].adjusted
    found = [values.loc[r, f] for f, r in zip(feature, row, strict=True)]
    np.testing.assert_allclose(found, rows["value"].astype(float), rtol=rows["rtol"].max())


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize("effect", EFFECTS)
def test_scanner_effects_are_those_of_the_script_in_r(name, effect, case, reference_results):
    rows = case.rows(f"{name}.{effect}")
    table = reference_results[name].table()
    found = table.set_index(table["feature"] + " | " + table["scanner"])[effect]
    expected = rows["value"].astype(float).to_numpy()
    allowed = rows["rtol"].max() * np.abs(expected).max()
    np.testing.assert_allclose(found[rows["term"]], expected, atol=allowed, rtol=0)


@pytest.fixture(scope="module")
def data():
    return scans(seed=11)


@pytest.fixture(scope="module")
def result(data):
    return harmonise(data, spec())


def test_effects_of_the_scanners_sum_to_zero_over_scans(result):
    table = result.table()
    for column in ("estimate", "gamma"):
        sums = (table["n_obs"] * table[column]).groupby(table["feature"]).sum()
        np.testing.assert_allclose(sums, 0, atol=1e-7)


def test_mean_of_standardised_values_is_the_estimate_of_the_mixed_model(result):
    table, tests = result.table(), result.tests.set_index("feature")
    sigma = tests.loc[table["feature"], "sigma"].to_numpy()
    np.testing.assert_allclose(table["gamma"] * sigma, table["estimate"], rtol=1e-6)


def test_known_shifts_and_ratios_of_noise_are_recovered():
    data = scans(seed=5, n_subjects=400, n_visits=8)
    table = harmonise(data, spec(residual_scale="MSR", shrink=False)).table()
    first = table[table["feature"] == "feature1"].set_index("scanner")
    truth = SHIFTS - np.average(SHIFTS, weights=first["n_obs"])
    z_scores = (first["estimate"] - truth) / first["std_error"]
    assert np.abs(z_scores).max() < 4
    wide = table.pivot_table(index="feature", columns="scanner", values="delta")
    # B and C share no subject, so their predicted random effects mix no noise; A and B do.
    assert np.abs(wide["B"] / wide["C"] / (NOISE[1] / NOISE[2]) - 1).max() < 0.1
    assert np.abs(wide["B"] / wide["A"] / (NOISE[1] / NOISE[0]) - 1).max() < 0.15


def test_slope_is_biased_in_raw_values_and_not_in_harmonised_ones():
    model = "feature1 ~ year * arm + (1 | subject_id)"
    truth = {"year": SLOPE, "year:arm[T.active]": GAP}
    raw, done = [], []
    for seed in range(10):
        data = scans(seed=100 + seed, n_subjects=100, n_features=2)
        made = harmonise(data, spec(FEATURES[:2])).harmonised()
        for frame, kept in ((data, raw), (made, done)):
            kept.append(fit_lmm(frame, model).table().set_index("term")["estimate"][list(truth)])
    raw, done = pd.DataFrame(raw), pd.DataFrame(done)
    mcse = done.std() / np.sqrt(len(done))
    off = done.mean() - pd.Series(truth)
    assert (off.abs() < 4 * mcse).all()
    assert (raw["year"] - SLOPE > 5 * mcse["year"]).all()


NULL = {"shifts": np.zeros(3), "noise": np.ones(3)}


def test_without_scanner_effects_nothing_material_changes():
    data = scans(seed=8, n_subjects=300, **NULL)
    made = harmonise(data, spec(residual_scale="MSR"))
    assert (made.tests["additive_p_value"] > SEEDED).all()
    assert (made.tests["multiplicative_p_value"] > SEEDED).all()
    model = "feature1 ~ year * arm + (1 | subject_id)"
    before, after = (fit_lmm(d, model).table() for d in (data, made.harmonised()))
    moved = (after["estimate"] - before["estimate"]).abs() / before["std_error"]
    # Two estimates, one of them efficient: the variance of their difference is that of variances.
    inflation = made.check.inflation.query("feature == 'feature1'").set_index("term")["inflation"]
    for term in ("year", "year:arm[T.active]"):
        allowed = 4 * np.sqrt(inflation[term] ** 2 - 1)
        assert moved[before["term"] == term].iloc[0] < allowed
    # The standard deviation of a scanner's noise is known to 1 / sqrt(2 n).
    noise = 1 / np.sqrt(2 * data["scanner_id"].value_counts().min())
    np.testing.assert_allclose(after["std_error"], before["std_error"], rtol=noise)


def test_reml_scale_inflates_residuals_as_documented_and_msr_does_not():
    data = scans(seed=8, n_subjects=200, slope_sd=0.3, **NULL)
    slopes = "year * arm + (year | subject_id)"
    reml = harmonise(data, spec(model=slopes))
    msr = harmonise(data, spec(model=slopes, residual_scale="MSR"))
    assert reml.residual_ratio()["ratio"].between(*REML_INFLATES).all()
    # The standard deviation of all residuals, each scanner's noise being known to 1 / sqrt(2 n).
    noise = 1 / np.sqrt(2 * len(data))
    np.testing.assert_allclose(msr.residual_ratio()["ratio"], 1.0, atol=noise)
    assert "MSR" in reml.headline()
    assert "MSR" not in msr.headline()


def test_residual_ratio_is_that_of_the_residuals(data):
    made = harmonise(data, spec(("feature1",), shrink=False))
    fit = made.check.fits["feature1"]
    values = data.set_index("subject_id")["feature1"]
    b = fit.blups().set_index("subject_id")["intercept"][values.index].to_numpy()
    before = values.to_numpy() - fit.predict(data)["estimate"].to_numpy() - b
    # Unshrunk, the residuals of each scanner have the standard deviation sigma afterwards.
    sizes = data["scanner_id"].value_counts()
    after = (sizes - 1).sum() * made.tests["sigma"].iloc[0] ** 2
    ratio = np.sqrt(after / (before**2).sum())
    np.testing.assert_allclose(made.residual_ratio()["ratio"].iloc[0], ratio, rtol=SUMS_OF_SQUARES)


def test_unshrunk_values_have_equal_residual_variances(data):
    made = harmonise(data, spec(shrink=False))
    again = harmonise(made.harmonised(), spec(shrink=False, multiplicative=False))
    table = again.table()
    assert (table["estimate"].abs() / table["std_error"]).max() < REFIT_OF_MEANS
    spread = table.groupby("feature")["delta"]
    assert (spread.max() / spread.min()).max() < REFIT_OF_SPREADS


def test_one_feature_is_not_shrunk_and_says_so(data):
    made = harmonise(data, spec(("feature1",)))
    np.testing.assert_array_equal(made.table()["gamma"], made.table()["gamma_star"])
    np.testing.assert_array_equal(made.table()["delta"], made.table()["delta_star"])
    assert "nothing can be learned across features" in made.headline()


def test_without_multiplicative_effects_each_scanner_is_moved_by_one_number(data):
    made = harmonise(data, spec(multiplicative=False))
    moved = (data["feature2"] - made.adjusted["feature2"]).groupby(data["scanner_id"])
    assert moved.std().max() < ROUNDING
    shift = made.table().query("feature == 'feature2'").set_index("scanner")["shift"]
    np.testing.assert_allclose(moved.mean(), shift, rtol=1e-8)


def test_order_of_rows_ids_and_names_of_scanners_change_nothing(data, result):
    other = data.assign(
        subject_id=[f"X{s[::-1]}" for s in data["subject_id"]],
        scanner_id=data["scanner_id"].map({"A": 3.0, "B": 1.0, "C": 2.0}),
    ).sample(frac=1, random_state=3)
    again = harmonise(other, spec()).adjusted.sort_index()
    np.testing.assert_allclose(again, result.adjusted, rtol=1e-6)


def test_units_scale_values_and_leave_effects(data, result):
    scaled = harmonise(data.assign(**{f: 1e-4 * data[f] for f in FEATURES}), spec())
    np.testing.assert_allclose(scaled.adjusted, 1e-4 * result.adjusted, rtol=1e-6)
    np.testing.assert_allclose(
        scaled.table()["gamma_star"], result.table()["gamma_star"], atol=1e-6
    )


def test_rows_that_cannot_be_used_are_counted_and_missing(data):
    holes = data.copy()
    holes.loc[[3, 40], "feature1"] = np.nan
    holes.loc[7, "scanner_id"] = None
    untouched = holes.copy(deep=True)
    made = harmonise(holes, spec())
    pd.testing.assert_frame_equal(holes, untouched)
    assert made.adjusted["feature1"].isna().to_numpy().nonzero()[0].tolist() == [3, 7, 40]
    assert made.adjusted["feature2"].isna().to_numpy().nonzero()[0].tolist() == [7]
    reasons = {(e.stage, e.reason): e.n for e in made.exclusions}
    assert reasons["mixed model of feature1", "no feature1"] == 2
    assert reasons["mixed model of feature1", "no scanner_id"] == 1
    assert list(made.harmonised("_combat").columns[-3:]) == [f"{f}_combat" for f in FEATURES]


def test_index_of_the_data_is_kept(data, result):
    moved = data.set_index(pd.Index(range(1000, 1000 + len(data))))
    again = harmonise(moved, spec())
    assert again.adjusted.index.equals(moved.index)
    np.testing.assert_allclose(again.adjusted, result.adjusted, rtol=1e-9)


def test_confounded_data_are_refused(data):
    tied = data.assign(scanner_id=np.where(data["year"] > 1, "new", "old"))
    with pytest.raises(DesignError, match="confounded with time"):
        harmonise(tied, spec())


def test_result_keeps_the_contract(result):
    assert_result_contract(result)
    assert "3 features harmonised across 3 scanners in 120 subjects (600 scans)" in repr(result)


@pytest.mark.parametrize(("features", "tuple_of"), [(["feature1"], "feature1"), ("a", "a")])
def test_features_that_are_no_tuple_are_refused_with_one(features, tuple_of):
    with pytest.raises(DesignError, match=rf"Write features=\('{tuple_of}',\)"):
        spec(features=features)
