"""Mediation: R, closed forms, exact sensitivity, recovery of a known truth, bad input."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from reference_cases import load_case

from pmsstats.errors import DesignError
from pmsstats.surrogacy import MediationSpec, mediation
from pmsstats.surrogacy.additive_hazards import additive_coefficients, fit_additive_hazards

EXACT = 1e-9  # the same sums in another order
MCSE_TOLERANCE = 4.0  # Monte Carlo standard errors


@pytest.fixture(scope="module")
def single():
    return load_case("surrogacy_single")


def check(case, quantity, values):
    rows = case.rows(quantity)
    np.testing.assert_allclose(values, rows["value"].astype(float), rtol=float(rows["rtol"].max()))


def linear_spec(**options):
    return MediationSpec(
        **{
            "surrogate": "slope",
            "outcome": "change",
            "reference": "placebo",
            "covariates": ("age_years",),
            "n_replicates": 0,
            **options,
        }
    )


def survival_spec(**options):
    return MediationSpec(
        **{
            "surrogate": "slope",
            "duration": "year",
            "event": "event",
            "reference": "placebo",
            "n_replicates": 0,
            **options,
        }
    )


def test_linear_effects_are_those_of_r(single):
    found = mediation(single.input, linear_spec(), seed=1)
    check(single, "mediation.linear", found.table()["estimate"].iloc[:3])
    found = mediation(single.input, linear_spec(interaction=True), seed=1)
    check(single, "mediation.interaction", found.table()["estimate"].iloc[:2])
    assert_result_contract(found)


def test_additive_hazards_are_those_of_timereg(single):
    d = single.input
    X = np.column_stack([d["arm"] == "active", d["slope"]]).astype(float)
    event = d["exact_event"].to_numpy(bool)
    time = d["exact_year"].clip(upper=d["exact_year"][event].max()).to_numpy()
    fit = fit_additive_hazards(X, time, event)
    check(single, "additive", fit.beta)
    check(single, "additive_error", np.sqrt(np.diag(fit.covariance)))


def test_additive_hazards_by_hand():
    """The estimating equation of Lin and Ying, summed over time, subject by subject."""
    rng = np.random.default_rng(3)
    n = 25
    X = rng.normal(0, 1, (n, 2))
    time, event = np.round(rng.exponential(2, n) + 0.05, 1), rng.uniform(size=n) < 0.7
    A, b = np.zeros((2, 2)), np.zeros(2)
    ends = np.unique(np.append(0.0, time))
    for start, stop in itertools.pairwise(ends):
        at_risk = time >= stop
        deviation = X[at_risk] - X[at_risk].mean(axis=0)
        A += (stop - start) * deviation.T @ deviation
        for i in np.flatnonzero(event & (time == stop)):
            b += X[i] - X[at_risk].mean(axis=0)
    fit = fit_additive_hazards(X, time, event)
    np.testing.assert_allclose(fit.beta, np.linalg.solve(A, b), rtol=EXACT)
    counts = rng.integers(1, 3, n)
    repeated = np.repeat(np.arange(n), counts)
    weighted = additive_coefficients(counts[None].astype(float), X, time, event)[0]
    plain = fit_additive_hazards(X[repeated], time[repeated], event[repeated]).beta
    np.testing.assert_allclose(weighted, plain, rtol=EXACT)


def test_errors_are_those_of_sobel(single):
    found = mediation(single.input, linear_spec(covariates=()), seed=1).table()
    d = single.input
    z = (d["arm"] == "active").to_numpy(float)
    one = np.ones(len(d))

    def ols(columns, y):
        X = np.column_stack(columns)
        beta = np.linalg.lstsq(X, y, rcond=None)[0]
        s2 = ((y - X @ beta) ** 2).sum() / (len(y) - X.shape[1])
        return beta, s2 * np.linalg.inv(X.T @ X)

    a, Va = ols([one, z], d["slope"])
    b, Vb = ols([one, z, d["slope"]], d["change"])
    expected = np.sqrt(a[1] ** 2 * Vb[2, 2] + b[2] ** 2 * Va[1, 1])
    assert found["std_error"][1] == pytest.approx(expected, rel=1e-8)
    assert found["std_error"][0] == pytest.approx(np.sqrt(Vb[1, 1]), rel=1e-8)


def simulate(rng, n, *, survival=False, hidden=0.0, product=0.0, error=0.0):
    """Draw a trial with direct effect 0.3 (0.10) and indirect 0.4 x 0.5 (0.4 x 0.2)."""
    z = np.repeat([0.0, 1.0], n // 2)
    u = rng.normal(0, 1, n)
    m = 1 + 0.4 * z + hidden * u + rng.normal(0, np.sqrt(0.25 - hidden**2), n)
    frame = pd.DataFrame({"arm": np.where(z == 1, "b", "a"), "m": m + rng.normal(0, error, n)})
    if not survival:
        y = 0.3 * z + 0.5 * m + product * z * m + 0.6 * (hidden > 0) * u + rng.normal(0, 0.5, n)
        return frame.assign(y=y)
    hazard = 0.6 + 0.10 * z + 0.2 * m + 0.12 * (hidden > 0) * u
    t = rng.exponential(1 / np.maximum(hazard, 1e-6))
    return frame.assign(year=np.minimum(t, 2.0), event=(t <= 2.0).astype(int))


def spec_of(*, survival=False, **options):
    columns = {"duration": "year", "event": "event"} if survival else {"outcome": "y"}
    return MediationSpec(**{"surrogate": "m", "n_replicates": 0, **columns, **options})


@pytest.mark.parametrize(("survival", "truth"), [(False, (0.3, 0.2)), (True, (0.10, 0.08))])
def test_known_effects_are_recovered_and_covered(survival, truth):
    rng = np.random.default_rng(20)
    n_repeats, rows = 150, []
    for _ in range(n_repeats):
        data = simulate(rng, 1200, survival=survival)
        rows.append(mediation(data, spec_of(survival=survival), seed=1).table().iloc[:2])
    estimates = np.array([r["estimate"].to_numpy() for r in rows])
    mcse = estimates.std(axis=0, ddof=1) / np.sqrt(n_repeats)
    np.testing.assert_array_less(np.abs(estimates.mean(axis=0) - truth), MCSE_TOLERANCE * mcse)
    hits = [((r["conf_low"] <= truth) & (truth <= r["conf_high"])).to_numpy() for r in rows]
    limit = MCSE_TOLERANCE * np.sqrt(0.95 * 0.05 / n_repeats)
    np.testing.assert_array_less(np.abs(np.mean(hits, axis=0) - 0.95), limit)


def test_interaction_shares_out_as_the_formula_says():
    """Truth: direct 0.3 + 0.4 E[M(0)] = 0.7, indirect (0.5 + 0.4) 0.4 = 0.36."""
    data = simulate(np.random.default_rng(4), 40_000, product=0.4)
    found = mediation(data, spec_of(interaction=True), seed=1).table()
    for i, truth in enumerate((0.7, 0.36)):
        assert abs(found["estimate"][i] - truth) < MCSE_TOLERANCE * found["std_error"][i]
    rng = np.random.default_rng(5)
    boot = mediation(data.sample(2000, random_state=1), spec_of(interaction=True,
                     n_replicates=300), seed=rng).table()  # fmt: skip
    width = boot["boot_high"] - boot["boot_low"]
    ratio = width / (boot["conf_high"] - boot["conf_low"])
    assert ratio.iloc[:3].between(0.8, 1.25).all()  # the delta method against the bootstrap


@pytest.mark.parametrize("survival", [False, True])
def test_error_in_the_mediator_dilutes_and_reliability_mends(survival):
    """Variance within arms 0.25, error variance 0.25: reliability one half."""
    data = simulate(np.random.default_rng(6), 60_000, survival=survival, error=0.5)
    truth = 0.08 if survival else 0.2
    naive = mediation(data, spec_of(survival=survival), seed=1).table()
    mended = mediation(data, spec_of(survival=survival, reliability=0.5), seed=1).table()
    assert naive["estimate"][1] + MCSE_TOLERANCE * naive["std_error"][1] < truth
    assert abs(mended["estimate"][1] - truth) < MCSE_TOLERANCE * mended["std_error"][1]
    assert mended["estimate"][2] == pytest.approx(naive["estimate"][2], rel=EXACT)


@pytest.mark.parametrize("survival", [False, True])
def test_sensitivity_curve_passes_through_the_truth(survival):
    """A hidden cause of known strength: read off there, the curve gives the true effects."""
    hidden = 0.3
    data = simulate(np.random.default_rng(7), 200_000, survival=survival, hidden=hidden)
    found = mediation(data, spec_of(survival=survival), seed=1)
    curve, row = found.confounding(), found.table()
    correlation = hidden / 0.5  # with the mediator given treatment, whose SD is 0.5
    if survival:
        strength, truth = 0.12 * correlation, 0.08
    else:  # residuals 0.3 u + e and 0.6 u + 0.5 e', outcome residual given the mediator
        strength, truth = hidden * 0.6 / (0.5 * np.sqrt(0.6**2 + 0.5**2)), 0.2
    read = np.interp(strength, curve["strength"], curve["indirect"])
    assert abs(row["estimate"][1] - truth) > MCSE_TOLERANCE * row["std_error"][1]
    assert abs(read - truth) < MCSE_TOLERANCE * row["std_error"][1]
    none = np.interp(0.0, curve["strength"], curve["indirect"])
    assert none == pytest.approx(row["estimate"][1], rel=1e-3)
    at_tipping = np.interp(found.sensitivity.tipping, curve["strength"], curve["indirect"])
    assert at_tipping == pytest.approx(0.0, abs=1e-3)
    np.testing.assert_allclose(curve["direct"] + curve["indirect"], row["estimate"][2], rtol=1e-6)


def test_contract_seed_and_figures(single):
    for spec in (linear_spec(n_replicates=60), survival_spec(n_replicates=60)):
        first, again = (mediation(single.input, spec, seed=2) for _ in range(2))
        assert_result_contract(first)
        assert first.to_dict() == again.to_dict()
        _, ax = plt.subplots()
        first.plot_sensitivity(ax=ax)
        mark = next(a for a in ax.lines if a.get_gid() == "tipping")
        assert mark.get_xdata()[0] == pytest.approx(first.sensitivity.tipping)
        plt.close("all")


def test_bootstrap_agrees_with_the_delta_method(single):
    found = mediation(single.input, survival_spec(n_replicates=800), seed=2).table().iloc[:3]
    ratio = (found["boot_high"] - found["boot_low"]) / (found["conf_high"] - found["conf_low"])
    assert ratio.between(0.75, 1.3).all()


def test_mirrored_effects_where_arms_are_swapped(single):
    first = mediation(single.input, survival_spec(), seed=1).table()
    second = mediation(single.input, survival_spec(reference="active"), seed=1).table()
    np.testing.assert_allclose(first["estimate"][:3], -second["estimate"][:3], rtol=1e-8)
    np.testing.assert_allclose(first["estimate"][3], second["estimate"][3], rtol=1e-8)


def test_no_share_where_the_total_may_be_zero(single):
    found = mediation(single.input.head(60), survival_spec(), seed=1)
    assert "no share is given" in found.headline()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "binary"}, "not offered"),
        ({"reliability": 0.0}, "above 0"),
        ({"reliability": 1.2}, "at most 1"),
        ({"interaction": True, "reliability": 0.5}, "`interaction=True` needs"),
        ({"interaction": True, "outcome": None, "duration": "d", "event": "e"}, "continuous"),
    ],
)
def test_bad_requests_are_refused(options, message):
    with pytest.raises(DesignError, match=message):
        linear_spec(**options)


def test_bad_data_are_refused(single):
    d = single.input
    with pytest.raises(DesignError, match="cannot support 2 terms"):
        mediation(d.assign(event=(d.index < 2).astype(int)), survival_spec(), seed=1)
    with pytest.raises(DesignError, match="collinear"):
        mediation(d.assign(slope=(d["arm"] == "active") * 1.0), survival_spec(), seed=1)
    with pytest.raises(DesignError, match="no sensitivity analysis"):
        mediation(d, linear_spec(interaction=True), seed=1).confounding()
