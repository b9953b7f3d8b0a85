"""Parametric bootstrap: closed forms of a balanced design, mixtures, streams, failures."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from dense_mixed import postfit, postfit_data
from properties import assert_result_contract
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models import fit_lmm
from pmsstats.models.mixed import lmm_bootstrap
from pmsstats.models.mixed.lmm_bootstrap import (
    _without_random,
    bootstrap_lmm,
    bootstrap_variance_test,
    response_source,
)
from pmsstats.models.mixed.variance_tests import compare_variances
from pmsstats.seeds import as_seed_sequence

MCSE = 4.0  # standard errors of a simulated quantity


def balanced(n=30, visits=5, seed=2, slope_sd=0.0):
    rng = np.random.default_rng(seed)
    year = np.tile(np.arange(float(visits)), n)
    subject = np.repeat(np.arange(n), visits)
    b = rng.normal(0, 1, n)[subject] + slope_sd * rng.normal(0, 1, n)[subject] * year
    y = 10 - 0.3 * year + b + rng.normal(0, 0.5, n * visits)
    return pd.DataFrame({"subject_id": subject, "year": year, "y": y})


def test_replicates_have_the_distribution_of_a_balanced_design():
    n, visits, replicates = 30, 5, 400
    fit = fit_lmm(balanced(n, visits), "y ~ year + (1 | subject_id)")
    result = bootstrap_lmm(fit, n_replicates=replicates, seed=1)
    draws = result.draws()
    # slope: least squares within subjects; residual variance: chi-squared over its df
    sigma2 = fit.residual_sd**2
    spread = math.sqrt(sigma2 / (n * ((np.arange(visits) - 2.0) ** 2).sum()))
    z = (draws["year"] - fit.table()["estimate"][1]) / spread
    df = n * (visits - 1) - 1
    chi = draws["sd(residual)"] ** 2 * df / sigma2
    assert stats.kstest(z, "norm").pvalue > 1e-4
    assert stats.kstest(chi, stats.chi2(df).cdf).pvalue > 1e-4
    row = result.table().set_index("term").loc["year"]
    assert row["std_error"] == pytest.approx(spread, rel=MCSE / math.sqrt(2 * replicates))
    assert abs(row["bias"]) < MCSE * spread / math.sqrt(replicates)
    low, high = fit.table()["estimate"][1] + stats.norm.ppf([0.025, 0.975]) * spread
    quantile_error = spread * math.sqrt(0.025 * 0.975 / replicates) / stats.norm.pdf(1.96)
    assert abs(row["conf_low"] - low) < MCSE * quantile_error
    assert abs(row["conf_high"] - high) < MCSE * quantile_error


def test_intervals_are_quantiles_and_their_mirror():
    result = bootstrap_lmm(postfit("(1 | subject_id)"), n_replicates=60, seed=3)
    table, draws = result.table().set_index("term"), result.draws()
    for term in table.index:
        low, high = np.quantile(draws[term], [0.025, 0.975])
        row = table.loc[term]
        assert [row["conf_low"], row["conf_high"]] == pytest.approx([low, high])
        mirror = [2 * row["estimate"] - high, 2 * row["estimate"] - low]
        assert [row["basic_low"], row["basic_high"]] == pytest.approx(mirror)
        assert row["n_replicates"] == 60


def test_contrasts_and_statistics_follow_the_replicates():
    def share(fixed, variances):
        return {"faster": fixed["year"] / fixed["Intercept"], "twice": 2 * variances["sd(year)"]}

    weights = {"active": {"year": 1.0, "year:arm[T.active]": 1.0}}
    result = bootstrap_lmm(postfit(), share, contrasts=weights, n_replicates=30, seed=4)
    draws, table = result.draws(), result.table().set_index("term")
    assert draws["active"].to_numpy() == pytest.approx(
        (draws["year"] + draws["year:arm[T.active]"]).to_numpy()
    )
    assert draws["twice"].to_numpy() == pytest.approx(2 * draws["sd(year)"].to_numpy())
    assert table.loc["faster", "estimate"] == pytest.approx(
        table.loc["year", "estimate"] / table.loc["Intercept", "estimate"]
    )
    assert table.loc["sd(residual)", "estimate"] == pytest.approx(postfit().residual_sd)
    assert_result_contract(result)


def test_estimates_are_those_of_the_fit():
    fit = postfit()
    table = bootstrap_lmm(fit, n_replicates=20, seed=1).table().set_index("term")["estimate"]
    parts = fit.variance_components.set_index("kind")["estimate"]
    assert table[fit.table()["term"]].to_numpy() == pytest.approx(
        fit.table()["estimate"].to_numpy()
    )
    assert table["sd(intercept)"] == pytest.approx(math.sqrt(parts["variance"].iloc[0]))
    assert table["cor(intercept, year)"] == pytest.approx(parts["correlation"])


def test_replicates_do_not_depend_on_threads():
    one, two = (bootstrap_lmm(postfit(), n_replicates=24, seed=5, n_jobs=n) for n in (1, 2))
    assert one.draws().to_numpy().tobytes() == two.draws().to_numpy().tobytes()


def test_a_replicate_has_a_stream_of_its_own():
    source = response_source(postfit())
    root = as_seed_sequence(9)
    seventh = source.draw(7, root)
    assert (seventh == source.draw(7, root)).all()
    assert (seventh != source.draw(8, root)).all()
    few, many = (bootstrap_lmm(postfit(), n_replicates=n, seed=9).draws() for n in (20, 25))
    pd.testing.assert_frame_equal(few, many.head(20))


def test_blocks_of_replicates_do_not_matter(monkeypatch):
    whole = bootstrap_lmm(postfit(), n_replicates=20, seed=9).draws()
    monkeypatch.setattr(lmm_bootstrap, "_CELLS_PER_BLOCK", 7 * postfit().n_obs)
    pd.testing.assert_frame_equal(bootstrap_lmm(postfit(), n_replicates=20, seed=9).draws(), whole)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_a_drawn_outcome_is_tested_as_if_it_were_observed(method):
    full, reduced = (postfit(r, method) for r in ("(year | subject_id)", "(1 | subject_id)"))
    for small in (reduced, None):
        null = bootstrap_variance_test(full, small, n_replicates=19, seed=4).null.statistics
        source = _without_random(full)[0] if small is None else response_source(small)
        y = source.draw(3, as_seed_sequence(4))
        data = postfit_data().assign(thalamus_ml=y)
        again = [None if m is None else fit_lmm(data, m.spec) for m in (full, small)]
        statistic = compare_variances(*again, seed=1).statistic
        assert null[3] == pytest.approx(statistic, rel=1e-5, abs=1e-6)


def test_transformed_outcomes_are_drawn_as_they_are_modelled():
    fit = fit_lmm(postfit_data(), "log(thalamus_ml) ~ year * arm + (year | subject_id)")
    table = bootstrap_lmm(fit, n_replicates=40, seed=1).table().set_index("term")
    error = table.loc["Intercept", "std_error"] / math.sqrt(40)
    assert abs(table.loc["Intercept", "bias"]) < MCSE * error


def test_singular_refits_are_kept_and_counted():
    noise = np.random.default_rng(3).normal(0, 1, 36)
    fit = fit_lmm(balanced(n=12, visits=3).assign(y=noise), "y ~ year + (1 | subject_id)")
    result = bootstrap_lmm(fit, n_replicates=40, seed=6)
    assert result.n_singular == (result.draws()["sd(intercept)"] < 1e-4).sum()
    assert 5 < result.n_singular < 40
    assert result.n_failed == 0
    assert f"{result.n_singular} refits" in result.headline()


@pytest.mark.slow
def test_statistics_under_the_null_follow_the_mixture():
    data = balanced(n=80, visits=4, seed=8)
    full, reduced = (fit_lmm(data, f"y ~ year + ({r} | subject_id)") for r in ("year", "1"))
    replicates = 400
    null = bootstrap_variance_test(full, reduced, n_replicates=replicates, seed=1).null
    mixture = compare_variances(full, reduced).null
    p_values = np.array([mixture.p_value(float(s)) for s in null.statistics])
    for level in (0.05, 0.1, 0.3):
        error = math.sqrt(level * (1 - level) / replicates)
        assert abs((p_values < level).mean() - level) < MCSE * error


def test_half_of_the_statistics_of_one_variance_are_zero():
    fit = fit_lmm(balanced(n=40, visits=4, slope_sd=0.0), "y ~ year + (1 | subject_id)")
    result = bootstrap_variance_test(fit, n_replicates=199, seed=2)
    zero = (result.null.statistics < 1e-6).mean()
    # balanced: zero where F of subjects is below one
    expect = stats.f(39, 40 * 3 - 1).cdf(1)
    assert abs(zero - expect) < MCSE * math.sqrt(0.25 / 199)
    assert result.p_value == 1 / 200
    assert_result_contract(result)


def test_generators_are_asked_once():
    fit = fit_lmm(balanced(n=20, visits=3), "y ~ year + (1 | subject_id)")
    one, two = (
        bootstrap_variance_test(fit, n_replicates=19, seed=s)
        for s in (np.random.default_rng(3), np.random.default_rng(3))
    )
    assert (one.null.statistics == two.null.statistics).all()
    assert (one.null.statistics >= 0).all()


BAD = [
    ({"n_replicates": 5}, "19 or more"),
    ({"n_replicates": 20, "n_jobs": 0}, "`n_jobs`"),
    ({"n_replicates": 20, "contrasts": {"x": {"yeer": 1.0}}}, "Did you mean 'year'"),
    ({"n_replicates": 20, "contrasts": {"year": 1.0}}, "label"),
]


@pytest.mark.parametrize(("options", "words"), BAD)
def test_bad_requests_are_refused(options, words):
    with pytest.raises(DesignError, match=words):
        bootstrap_lmm(postfit(), seed=1, **options)


def test_other_fixed_effects_are_refused():
    full = postfit("(year | subject_id)", "ML")
    reduced = postfit("(1 | subject_id)", "ML", "thalamus_ml ~ year + age_years")
    with pytest.raises(DesignError, match="same fixed effects"):
        bootstrap_variance_test(full, reduced, n_replicates=20, seed=1)
