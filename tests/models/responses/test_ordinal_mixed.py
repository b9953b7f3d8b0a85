"""Ordinal mixed models: clmm as stored witness, brute-force integrals, recovery, bad input."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pandas as pd
import pytest
from properties import assert_covariance_matrix, assert_result_contract
from reference_cases import load_case
from scipy import integrate, stats

from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, FormulaError
from pmsstats.models.kernels.ordinal_mixed_kernel import OrdinalRows, ordinal_terms, place_nodes
from pmsstats.models.responses.ordinal import fit_ordinal
from pmsstats.models.responses.ordinal_mixed import (
    OrdinalMixedResult,
    OrdinalMixedSpec,
    fit_ordinal_mixed,
)

INTERCEPT = "edss ~ year * arm + (1 | subject_id)"
SLOPE = "edss ~ year * arm + (year | subject_id)"
TERMS = {"year": "year", "armactive": "arm[T.active]", "year:armactive": "year:arm[T.active]"}
DIFFERENCE = 1e-6  # relative to the largest: central differences with steps of 1e-5
DISTRIBUTIONS = {"logit": stats.logistic, "probit": stats.norm}


def visits() -> pd.DataFrame:
    frame = load_case("ordinal_mixed_edss").input
    return frame.assign(arm=pd.Categorical(frame["arm"], categories=["placebo", "active"]))


@cache
def fitted(formula: str = INTERCEPT, link: str = "logit", n_nodes: int | None = None):
    spec = OrdinalMixedSpec.from_formula(formula, link=link, n_nodes=n_nodes)
    return fit_ordinal_mixed(visits(), spec)


def drawn(n: int = 150, n_visits: int = 5, seed: int = 1, sd: float = 2.0) -> pd.DataFrame:
    """Draw from the model: log odds ratio 0.8 per year."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(n), n_visits)
    year = np.tile(np.arange(n_visits) * 0.5, n)
    latent = rng.normal(0, sd, n)[who] + 0.8 * year + rng.logistic(size=n * n_visits)
    edss = np.array([3.0, 4.0, 5.0, 6.0])[np.searchsorted([-1.0, 1.0, 2.5], latent)]
    return pd.DataFrame({"subject_id": who, "year": year, "edss": edss})


# --- another implementation ---------------------------------------------------------------------


def found_values(fit: OrdinalMixedResult) -> dict[str, dict[str, float]]:
    effects = fit.coefficients.set_index("term")
    sd = fit.variance_components().set_index("term")["estimate"]
    errors = {r: effects.loc[ours, "std_error"] for r, ours in TERMS.items()}
    return {
        "log_likelihood": {"model": fit.log_likelihood},
        "threshold": dict(zip(fit.thresholds["term"], fit.thresholds["estimate"], strict=True)),
        "effect": {r: effects.loc[ours, "estimate"] for r, ours in TERMS.items()},
        "std_error": errors
        | dict(zip(fit.thresholds["term"], fit.thresholds["std_error"], strict=True)),
        "sd": sd.to_dict(),
        "blup": fit.blups().set_index("subject_id")["intercept"].to_dict(),
    }


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize(
    "quantity", ["log_likelihood", "threshold", "effect", "std_error", "sd", "blup"]
)
def test_random_intercepts_equal_those_of_clmm(link, quantity):
    expected = load_case("ordinal_mixed_edss").rows(f"{link}.{quantity}")
    found = found_values(fitted(link=link, n_nodes=31))[quantity]
    for row in expected.itertuples():
        assert found[row.term] == pytest.approx(row.value, rel=row.rtol), row.term


def test_laplace_approximation_with_slopes_equals_that_of_clmm():
    case, frame = load_case("ordinal_mixed_edss"), visits()
    given = {q: case.rows(f"slopes.{q}")["value"].to_numpy() for q in ("threshold", "effect", "sd")}
    rho = case.rows("slopes.correlation")["value"].iloc[0]
    D = np.outer(given["sd"], given["sd"]) * np.array([[1, rho], [rho, 1]])
    active = (frame["arm"] == "active").to_numpy(float)
    year = frame["year"].to_numpy()
    rows = OrdinalRows(
        X=np.column_stack([year, active, year * active]),
        Z=np.column_stack([np.ones(len(year)), year]),
        level=frame["edss"].rank(method="dense").to_numpy(int) - 1,
        subject=pd.factorize(frame["subject_id"])[0],
        n_levels=7,
        link="logit",
    )
    root = np.linalg.cholesky(D)[np.tril_indices(2)]
    theta = np.concatenate([given["threshold"], given["effect"], root])
    found = ordinal_terms(rows, theta, place_nodes(rows, theta, 1)).log_likelihood
    expected = case.rows("slopes.laplace_log_likelihood").iloc[0]
    assert found == pytest.approx(expected["value"], rel=expected["rtol"])
    # the maximum of the sum over nodes lies where Laplace's approximation is lower
    assert fitted(SLOPE).log_likelihood > expected["value"]


# --- brute force --------------------------------------------------------------------------------


def some_rows(q: int, link: str) -> tuple[OrdinalRows, np.ndarray]:
    rng = np.random.default_rng(5)
    n, v = 12, 4
    year = np.tile(np.arange(v) - 1.5, n)
    rows = OrdinalRows(
        X=np.column_stack([year, rng.normal(size=n * v)]),
        Z=np.column_stack([np.ones(n * v), year])[:, :q],
        level=rng.integers(0, 4, n * v),
        subject=np.repeat(np.arange(n), v),
        n_levels=4,
        link=link,
    )
    root = np.array([0.9, 0.2, 0.4])[: q * (q + 1) // 2]
    return rows, np.concatenate([[-1.0, 0.1, 1.2, 0.3, -0.5], root])


def plain_log_likelihood(rows: OrdinalRows, theta: np.ndarray) -> float:
    """Integrate each subject's likelihood over its random effects by general-purpose quadrature."""
    zeta, beta, L = rows.split(theta)
    cdf = DISTRIBUTIONS[rows.link].cdf
    cuts = np.concatenate([[-np.inf], zeta, [np.inf]])
    total = 0.0
    for i in range(rows.n_subjects):
        mine = rows.subject == i

        def likelihood(*v: float, mine: np.ndarray = mine) -> float:
            eta = rows.X[mine] @ beta + rows.Z[mine] @ L @ np.array(v)
            upper = cdf(cuts[rows.level[mine] + 1] - eta)
            return float(
                np.prod(upper - cdf(cuts[rows.level[mine]] - eta)) * stats.norm.pdf(v).prod()
            )

        limits = [(-6.0, 6.0)] * L.shape[0]
        options = {"epsabs": 1e-8, "epsrel": 1e-6}
        total += np.log(integrate.nquad(likelihood, limits, opts=options)[0])
    return total


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_likelihood_equals_that_of_plain_integration(link):
    rows, theta = some_rows(1, link)
    found = ordinal_terms(rows, theta, place_nodes(rows, theta, 21)).log_likelihood
    assert found == pytest.approx(plain_log_likelihood(rows, theta), rel=1e-7)


@pytest.mark.slow
def test_likelihood_with_slopes_equals_that_of_plain_integration():
    rows, theta = some_rows(2, "logit")
    rows = rows.part(0, 3)
    found = ordinal_terms(rows, theta, place_nodes(rows, theta, 15)).log_likelihood
    assert found == pytest.approx(plain_log_likelihood(rows, theta), rel=1e-6)


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("q", [1, 2])
def test_derivatives_equal_finite_differences_over_held_nodes(link, q):
    rows, theta = some_rows(q, link)
    nodes = place_nodes(rows, theta, 7)
    terms = ordinal_terms(rows, theta, nodes)
    step = 1e-5
    for j, unit in enumerate(np.eye(len(theta))):
        up, down = (ordinal_terms(rows, theta + s * step * unit, nodes) for s in (1, -1))
        slope = (up.log_likelihood - down.log_likelihood) / (2 * step)
        size = np.abs(terms.information).max()
        assert terms.scores.sum(axis=0)[j] == pytest.approx(slope, abs=DIFFERENCE * size)
        curve = -(up.scores - down.scores).sum(axis=0) / (2 * step)
        assert terms.information[j] == pytest.approx(curve, abs=DIFFERENCE * size)


def test_parts_of_the_subjects_add_up(monkeypatch):
    rows, theta = some_rows(2, "logit")
    nodes = place_nodes(rows, theta, 5)
    whole = ordinal_terms(rows, theta, nodes)
    monkeypatch.setattr("pmsstats.models.kernels.ordinal_mixed_kernel._CHUNK", 1)
    parts = ordinal_terms(rows, theta, nodes)
    assert parts.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)
    assert parts.information == pytest.approx(whole.information, rel=1e-10, abs=1e-10)
    assert parts.scores == pytest.approx(whole.scores, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_tails_lose_no_digits(link):
    rows = OrdinalRows(
        X=np.array([[30.0], [-30.0]]),
        Z=np.ones((2, 1)),
        level=np.array([0, 2]),
        subject=np.array([0, 1]),
        n_levels=3,
        link=link,
    )
    theta = np.array([-1.0, 1.0, 1.0, 0.0])
    found = ordinal_terms(rows, theta, place_nodes(rows, theta, 5))
    expected = 2 * DISTRIBUTIONS[link].logcdf(-31.0)
    assert found.log_likelihood == pytest.approx(expected, rel=1e-9)
    assert np.isfinite(found.information).all()


def test_population_probabilities_are_averages_over_subjects():
    fit = fitted(SLOPE)
    new = pd.DataFrame({"year": [0.0, 2.0], "arm": ["active", "placebo"]})
    made = fit.predict(new)
    rng = np.random.default_rng(0)
    D = fit.random_covariance.to_numpy()
    b = rng.multivariate_normal([0, 0], D, 200_000)
    cuts = np.concatenate([[-np.inf], fit.thresholds["estimate"], [np.inf]])
    beta = fit.coefficients["estimate"].to_numpy()
    for i, row in new.iterrows():
        active = float(row["arm"] == "active")
        values = {"year": row["year"], "arm[T.active]": active}
        values["year:arm[T.active]"] = row["year"] * active
        x = np.array([values[t] for t in fit.coefficients["term"]])
        latent = x @ beta + b @ [1.0, row["year"]]
        inside = np.diff(stats.logistic.cdf(cuts[None, :] - latent[:, None]), axis=1)
        mcse = inside.std(axis=0) / np.sqrt(len(b))
        found = made["estimate"].to_numpy()[i * len(fit.levels) : (i + 1) * len(fit.levels)]
        assert (np.abs(found - inside.mean(axis=0)) < 4 * mcse).all()
        assert found.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["population", "subject"])
def test_errors_of_probabilities_are_those_of_the_delta_method(kind):
    fit = fitted(SLOPE)
    new = pd.DataFrame({"year": [1.0], "arm": ["active"]})
    made = fit.predict(new, kind=kind)
    theta, step = fit.maximum.theta, 1e-5
    slopes = []
    for unit in np.eye(len(theta)):
        ends = [
            dataclasses.replace(
                fit, maximum=dataclasses.replace(fit.maximum, theta=theta + s * step * unit)
            ).predict(new, kind=kind)["estimate"]
            for s in (1, -1)
        ]
        slopes.append((ends[0] - ends[1]).to_numpy() / (2 * step))
    J = np.array(slopes).T
    error = np.sqrt(np.diag(J @ fit.maximum.covariance @ J.T))
    assert made["std_error"].to_numpy() == pytest.approx(error, rel=1e-5)


# --- recovery of a known truth ------------------------------------------------------------------

N_REPLICATES = 60


@pytest.mark.slow
def test_truth_is_recovered_and_covered_while_the_population_effect_is_smaller():
    fits = [
        fit_ordinal_mixed(drawn(n=100, seed=50 + k), "edss ~ year + (1 | subject_id)")
        for k in range(N_REPLICATES)
    ]
    estimate = np.array([fit.coefficients["estimate"][0] for fit in fits])
    assert abs(estimate.mean() - 0.8) < 4 * estimate.std(ddof=1) / np.sqrt(N_REPLICATES)
    low, high = (
        np.array([fit.coefficients[c][0] for fit in fits]) for c in ("conf_low", "conf_high")
    )
    covered = ((low <= 0.8) & (high >= 0.8)).mean()
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / N_REPLICATES)
    sd = np.array([fit.variance_components()["estimate"][0] for fit in fits])
    # maximum likelihood is low by about sd / (2 n) of its own size
    assert abs(sd.mean() - 2.0) < 4 * sd.std(ddof=1) / np.sqrt(N_REPLICATES) + 0.02
    population = fit_ordinal(drawn(n=800, seed=1), "edss ~ year").coefficients["estimate"][0]
    assert population < 0.8 * 0.8


# --- properties ---------------------------------------------------------------------------------


def test_without_variation_between_subjects_the_fit_is_the_population_fit():
    # every subject's scores are spread out more evenly than chance would do
    frame = drawn(sd=0.0, seed=9).sort_values("edss", kind="stable")
    frame["subject_id"] = np.tile(np.arange(150), 5)
    formula = "edss ~ 1 + (1 | subject_id)"
    with pytest.warns(ConvergenceWarning, match="singular"):
        fit = fit_ordinal_mixed(frame, formula, on_failure="warn")
    assert fit.fit_log.singular
    assert fit.fit_log.converged
    flat = fit_ordinal(frame, "edss ~ 1")
    assert fit.log_likelihood == pytest.approx(flat.fit_log.log_likelihood, rel=1e-8)
    assert fit.thresholds["estimate"].to_numpy() == pytest.approx(
        flat.thresholds["estimate"].to_numpy(), rel=1e-4
    )
    assert "singular" in fit.headline()
    assert fit.variance_components()["conf_low"].isna().all()


def test_units_and_order_change_nothing():
    frame = visits()
    one = fitted(SLOPE)
    days = fit_ordinal_mixed(frame.assign(year=frame["year"] * 365.25), SLOPE)
    mixed = fit_ordinal_mixed(frame.sample(frac=1, random_state=2), SLOPE)
    for other, factor in ((days, 365.25), (mixed, 1.0)):
        assert other.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-9)
        table, expected = (f.coefficients.set_index("term") for f in (other, one))
        assert table.loc["year", "estimate"] * factor == pytest.approx(
            expected.loc["year", "estimate"], rel=1e-5
        )
        assert table.loc["year", "p_value"] == pytest.approx(
            expected.loc["year", "p_value"], rel=1e-4
        )
        sd = other.variance_components()["estimate"].to_numpy()
        assert sd * [1, factor, 1] == pytest.approx(
            one.variance_components()["estimate"].to_numpy(), rel=1e-4
        )


def test_reversed_scores_turn_the_signs():
    one = fitted()
    other = fit_ordinal_mixed(visits().assign(edss=lambda f: 10 - f["edss"]), INTERCEPT)
    assert other.coefficients["estimate"].to_numpy() == pytest.approx(
        -one.coefficients["estimate"].to_numpy(), rel=1e-5
    )


def test_result_keeps_the_contract():
    fit = fit_ordinal_mixed(visits(), SLOPE, origin="synthetic")
    assert_result_contract(fit)
    assert_covariance_matrix(fit.random_covariance.to_numpy())
    assert_covariance_matrix(fit.covariance)
    assert "within a subject" in fit.headline()
    assert fit.level_counts.sum() == len(visits())
    assert {"odds_ratio", "odds_ratio_low"} <= set(fit.table())
    assert "odds_ratio" not in fitted(link="probit").table()
    assert_result_contract(fitted(link="probit"))


def test_effects_of_the_model_are_proportional():
    table = fitted().check_proportional_odds(min_rows=60)
    assert table["term"].tolist() == ["all", *TERMS.values()]
    assert (table["df"] == [(table["n_cuts"][0] - 1) * n for n in (3, 1, 1, 1)]).all()
    assert table["p_value"][0] > 0.001


def test_effects_that_are_not_proportional_are_seen():
    frame = drawn(n=200, seed=3)
    rng = np.random.default_rng(1)
    late = (frame["year"] > 1) & (frame["edss"] == 5.0) & (rng.random(len(frame)) < 0.9)
    table = fit_ordinal_mixed(
        frame.assign(edss=frame["edss"].mask(late, 3.0)), "edss ~ year + (1 | subject_id)"
    ).check_proportional_odds()
    assert table["p_value"][0] < 1e-6


def test_rare_levels_are_merged_only_if_asked():
    frame = visits()
    frame.loc[frame.index[:3], "edss"] = 2.0
    asis = fit_ordinal_mixed(frame, INTERCEPT)
    assert asis.levels[0] == "2"
    spec = OrdinalMixedSpec.from_formula(INTERCEPT, min_rows=10)
    merged = fit_ordinal_mixed(frame, spec)
    assert merged.levels[0] == "2 to 3.5"
    assert any("merged, with fewer than 10 rows: 2 to 3.5" in note for note in merged.notes)
    by_hand = fit_ordinal_mixed(frame.assign(edss=frame["edss"].replace(2.0, 3.5)), INTERCEPT)
    assert merged.log_likelihood == pytest.approx(by_hand.log_likelihood, rel=1e-10)


def test_a_level_with_one_row_is_kept():
    frame = visits()
    frame.loc[frame.index[0], "edss"] = 9.0
    fit = fit_ordinal_mixed(frame, INTERCEPT)
    assert fit.level_counts["9"] == 1
    assert np.isfinite(fit.thresholds["std_error"]).all()


# --- bad input ----------------------------------------------------------------------------------

REFUSED = [
    (lambda f: f.assign(edss=4.2), INTERCEPT, "off its scale"),
    (lambda f: f.assign(edss=4.0), INTERCEPT, "every row has"),
    (lambda f: f.assign(edss=f["edss"].astype(str)), INTERCEPT, "text"),
    (lambda f: f.drop_duplicates("subject_id"), INTERCEPT, "one row"),
    (lambda f: f[f["subject_id"] < "S003"], SLOPE, "subjects|rows"),
    (lambda f: f.assign(year=1.0), SLOPE, "repeats"),
    (lambda f: f.drop(columns="year"), SLOPE, "year"),
    (lambda f: f.iloc[:0], SLOPE, "no rows"),
    (lambda f: f, "edss ~ arm + (year + year**2 + exp(year) + sqrt(year) | subject_id)", "1 to 3"),
    (lambda f: f, "edss ~ year + (year || subject_id)", r"Write \| instead"),
]


@pytest.mark.parametrize(("change", "formula", "message"), REFUSED)
def test_bad_input_is_refused(change, formula, message):
    with pytest.raises(DesignError, match=message):
        fit_ordinal_mixed(change(visits()), formula)


def test_bad_requests_are_refused():
    with pytest.raises(FormulaError, match="one random term"):
        fit_ordinal_mixed(visits(), "edss ~ year")
    for field, value in (("link", "cloglog"), ("n_nodes", 0), ("min_rows", -1)):
        with pytest.raises(DesignError, match=f"`{field}`"):
            OrdinalMixedSpec.from_formula(INTERCEPT, **{field: value})
    with pytest.raises(DesignError, match="`kind`"):
        fitted().predict(visits(), kind="average")


def test_separation_is_an_error_that_names_the_column():
    frame = visits().assign(worse=lambda f: (f["edss"] > 5.0).astype(float))
    with pytest.raises(ConvergenceError, match="worse"):
        fit_ordinal_mixed(frame, "edss ~ worse + (1 | subject_id)")


def test_too_few_nodes_are_an_error_that_says_so():
    spec = OrdinalMixedSpec.from_formula(INTERCEPT, n_nodes=1)
    with pytest.raises(ConvergenceError, match="n_nodes=2"):
        fit_ordinal_mixed(visits(), spec)
    with pytest.warns(ConvergenceWarning, match="standard errors"):
        fit = fit_ordinal_mixed(visits(), spec, on_failure="warn")
    assert not fit.fit_log.converged


def test_a_maximum_that_twice_the_nodes_would_move_is_refused():
    spec = OrdinalMixedSpec.from_formula(INTERCEPT, n_nodes=3)
    with pytest.raises(ConvergenceError, match="twice as many nodes"):
        fit_ordinal_mixed(visits(), spec)
    with pytest.warns(ConvergenceWarning, match="n_nodes=6"):
        fit = fit_ordinal_mixed(visits(), spec, on_failure="warn")
    assert fit.maximum.gain < 1e-7  # climbed to the top of a sum that is too coarse
    assert fit.maximum.estimate_shift > 0.02
