"""Prentice's criteria and the proportion explained: R, closed forms, a known truth, bad input."""

import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from reference_cases import load_case
from scipy import stats

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.surrogacy import IndividualSurrogacySpec, surrogacy_individual
from pmsstats.surrogacy.fieller import fieller_set
from pmsstats.surrogacy.outcome_fits import coefficients, fit_outcome, with_intercept

EXACT = 1e-9  # the same sums in another order
MCSE_TOLERANCE = 4.0  # Monte Carlo standard errors
COLUMNS = {
    "continuous": {"outcome": "change"},
    "binary": {"outcome": "worse"},
    "survival": {"duration": "year", "event": "event"},
    "adjusted": {"outcome": "change", "covariates": ("age_years",)},
}


def spec_of(kind, **options):
    columns = COLUMNS[kind]
    return IndividualSurrogacySpec(
        **{"surrogate": "slope", "reference": "placebo", "n_replicates": 0, **columns, **options}
    )


@pytest.fixture(scope="module")
def single():
    return load_case("surrogacy_single")


def check(case, quantity, values):
    rows = case.rows(quantity)
    np.testing.assert_allclose(values, rows["value"].astype(float), rtol=float(rows["rtol"].max()))


@pytest.mark.parametrize("kind", list(COLUMNS))
def test_criteria_and_proportion_are_those_of_r(single, kind):
    found = surrogacy_individual(single.input, spec_of(kind), seed=1)
    rows = found.table().iloc[1:4]
    check(single, f"{kind}.estimate", rows["estimate"])
    check(single, f"{kind}.std_error", rows["std_error"])
    check(single, f"{kind}.correlation", found.explained.correlation)
    e = found.explained
    check(single, f"{kind}.pte", [e.estimate, e.fieller.low, e.fieller.high])
    assert_result_contract(found)


@pytest.mark.parametrize("kind", ["continuous", "binary", "survival"])
def test_association_within_arms_is_that_of_r(single, kind):
    found = surrogacy_individual(single.input, spec_of(kind), seed=1)
    check(single, f"{kind}.r2_individual", found.r2_individual)
    row = found.table().iloc[5]
    assert row["conf_low"] < found.r2_individual < row["conf_high"]


def test_proportion_in_a_linear_model_is_the_product_of_paths(single):
    """b - b_adj equals (effect on S) x (slope of S given Z), exactly, for least squares."""
    found = surrogacy_individual(single.input, spec_of("continuous"), seed=1)
    z = (single.input["arm"] == "active").to_numpy(float)
    s, y = single.input["slope"].to_numpy(), single.input["change"].to_numpy()
    a = s[z == 1].mean() - s[z == 0].mean()
    b = y[z == 1].mean() - y[z == 0].mean()
    within = [(s[z == k] - s[z == k].mean(), y[z == k] - y[z == k].mean()) for k in (0, 1)]
    slope = sum((u * v).sum() for u, v in within) / sum((u * u).sum() for u, _ in within)
    assert found.explained.estimate == pytest.approx(a * slope / b, rel=EXACT)
    assert found.relative_effect == pytest.approx(b / a, rel=EXACT)


@pytest.mark.parametrize(
    ("denominator", "kind"), [(1.0, "bounded"), (0.2, "outside"), (0.05, "everything")]
)
def test_fieller_is_what_a_search_over_ratios_finds(denominator, kind):
    numerator, variances, covariance, q = 0.5, (0.04, 0.03), 0.02, 1.96
    if kind == "everything":
        numerator = 0.05
    found = fieller_set(numerator, denominator, variances=variances, covariance=covariance,
                        quantile=q)  # fmt: skip
    r = np.linspace(-60, 60, 2_000_001)
    statistic = (numerator - r * denominator) ** 2 / (
        variances[0] - 2 * r * covariance + r**2 * variances[1]
    )
    kept = statistic <= q**2
    by_search = r[kept] if kind != "outside" else r[~kept]
    assert found.kind == kind
    step = r[1] - r[0]
    expected = (by_search.min(), by_search.max()) if kind != "everything" else (-np.inf, np.inf)
    assert kept.all() == (kind == "everything")
    assert found.low == pytest.approx(expected[0], abs=step)
    assert found.high == pytest.approx(expected[1], abs=step)


@pytest.mark.parametrize(
    ("denominator", "kind"), [(1.96, "everything"), (-1.96, "everything"), (0.0, "outside")]
)
def test_a_set_with_one_end_only_promises_nothing(denominator, kind):
    found = fieller_set(3.0, denominator, variances=(1.0, 1.0), covariance=0.0, quantile=1.96)
    assert found.kind == kind
    assert found.low == pytest.approx(-found.high, rel=EXACT)
    assert np.isinf(found.high) == (kind == "everything")


@pytest.mark.parametrize("kind", ["continuous", "binary", "survival"])
def test_weights_are_repeated_subjects(kind, single):
    d = single.input.head(120)
    X = with_intercept(kind, d[["slope", "age_years"]].to_numpy())
    outcome = d[COLUMNS[kind].get("outcome", "year")].to_numpy(float)
    event = d["event"].to_numpy(bool) if kind == "survival" else np.ones(len(d), bool)
    outcome = outcome + (np.arange(len(d)) * 1e-9 if kind == "survival" else 0.0)  # no ties
    counts = np.random.default_rng(3).integers(1, 3, len(d))
    beta, reached = coefficients(kind, counts[None].astype(float), X, outcome, event)
    assert reached.all()
    rows = np.repeat(np.arange(len(d)), counts)
    plain = fit_outcome(kind, X[rows], outcome[rows], event[rows], what="test")
    # Efron's and the weighted treatment of repeated events differ a little, as in R's coxph
    np.testing.assert_allclose(beta[0], plain.beta, rtol=0.03 if kind == "survival" else 1e-8)


def simulate(rng, n, *, share, kind="continuous", effect=0.6):
    """Draw a trial in which `share` of the effect on the outcome runs through the surrogate."""
    z = np.repeat([0, 1], n // 2)
    s = effect * z + rng.normal(0, 1, n)
    mean = share * s + (1 - share) * effect * z
    frame = pd.DataFrame({"arm": np.where(z, "b", "a"), "slope": s})
    if kind == "continuous":
        return frame.assign(change=mean + rng.normal(0, 0.5, n))
    t = rng.exponential(np.exp(mean))
    return frame.assign(year=np.minimum(t, 3.0), event=(t <= 3.0).astype(int))


def plain_spec(**options):
    return IndividualSurrogacySpec(
        **{"surrogate": "slope", "outcome": "change", "n_replicates": 0, **options}
    )


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_known_share_is_recovered_and_covered(share):
    rng = np.random.default_rng(10)
    estimates, hits, n_repeats = [], 0, 120
    for _ in range(n_repeats):
        found = surrogacy_individual(simulate(rng, 400, share=share), plain_spec(), seed=1)
        estimates.append(found.explained.estimate)
        fieller = found.explained.fieller
        hits += fieller.low <= share <= fieller.high
    mcse = np.std(estimates, ddof=1) / np.sqrt(n_repeats)
    bias = 0.01  # of a ratio whose denominator is ten errors from zero: 1 / 10^2
    assert abs(np.mean(estimates) - share) < MCSE_TOLERANCE * mcse + bias
    assert abs(hits / n_repeats - 0.95) < MCSE_TOLERANCE * np.sqrt(0.95 * 0.05 / n_repeats)


@pytest.mark.parametrize("kind", ["continuous", "survival"])
def test_bootstrap_agrees_with_fieller_where_the_effect_is_strong(kind):
    data = simulate(np.random.default_rng(2), 1500, share=0.6, kind=kind)
    columns = {"outcome": None, "duration": "year", "event": "event"} if kind == "survival" else {}
    found = surrogacy_individual(data, plain_spec(n_replicates=400, **columns), seed=3)
    e = found.explained
    assert e.n_failed == 0
    width = e.fieller.high - e.fieller.low
    assert e.bootstrap_low == pytest.approx(e.fieller.low, abs=0.2 * width)
    assert e.bootstrap_high == pytest.approx(e.fieller.high, abs=0.2 * width)


def test_no_effect_leaves_the_proportion_undefined_and_says_so():
    data = simulate(np.random.default_rng(1), 200, share=0.5, effect=0.0)
    found = surrogacy_individual(data, plain_spec(n_replicates=100), seed=1)
    assert not found.explained.stable
    assert np.isnan(found.explained.interval()).all()
    assert "not defined" in found.headline()
    assert "unstable" in found.table()["verdict"].iloc[4]
    assert "says nothing" in found.table()["verdict"].iloc[3]
    assert_result_contract(found)


def test_effect_of_exactly_zero():
    data = pd.DataFrame({"arm": list("ab") * 20, "slope": np.tile([0, 1, 2, 4.0], 10)})
    change = np.repeat(np.arange(10.0), 4)
    data["change"] = change + np.tile([0.0, 0.0, 1.0, 1.0], 10)  # both arms have the same values
    found = surrogacy_individual(data, plain_spec(), seed=1)
    assert found.explained.total == pytest.approx(0.0, abs=1e-12)
    assert not found.explained.stable
    assert "nan" not in found.headline()


def test_fourth_criterion_never_claims_what_a_test_cannot_show():
    data = simulate(np.random.default_rng(4), 300, share=1.0)
    verdict = surrogacy_individual(data, plain_spec(), seed=1).table()["verdict"].iloc[3]
    assert verdict.startswith("not refuted, which does not show it")
    data = simulate(np.random.default_rng(4), 600, share=0.1)
    verdict = surrogacy_individual(data, plain_spec(), seed=1).table()["verdict"].iloc[3]
    assert verdict.startswith("not met")


def test_p_values_are_those_of_a_t_test(single):
    found = surrogacy_individual(single.input, spec_of("continuous"), seed=1).table()
    a, b = (single.input.loc[single.input["arm"] == arm, "slope"] for arm in ("active", "placebo"))
    assert found["p_value"][0] == pytest.approx(stats.ttest_ind(a, b).pvalue, rel=1e-8)


def test_row_order_seed_units_and_arms(single):
    d, spec = single.input, spec_of("survival", n_replicates=60)
    first = surrogacy_individual(d, spec, seed=5)
    again = surrogacy_individual(d, spec, seed=5)
    assert first.to_dict() == again.to_dict()
    scaled = surrogacy_individual(d.assign(slope=d["slope"] * 1000), spec, seed=5)
    assert scaled.explained.estimate == pytest.approx(first.explained.estimate, rel=1e-8)
    assert scaled.r2_individual == pytest.approx(first.r2_individual, rel=1e-8)
    shuffled = surrogacy_individual(d.sample(frac=1, random_state=1), spec, seed=5)
    assert shuffled.explained.fieller.low == pytest.approx(first.explained.fieller.low, rel=1e-8)
    swapped = surrogacy_individual(d, spec_of("survival", reference="active"), seed=5)
    assert swapped.explained.total == pytest.approx(-first.explained.total, rel=1e-8)
    assert swapped.explained.estimate == pytest.approx(first.explained.estimate, rel=1e-8)


def test_missing_values_and_other_arms_are_counted(single):
    d = single.input.copy()
    d.loc[:2, "slope"] = np.nan
    d.loc[3, "change"] = np.nan
    d.loc[10:29, "arm"] = "third"
    with pytest.raises(DesignError, match=r"has 3 arms .*name the two"):
        surrogacy_individual(d, spec_of("continuous"), seed=1)
    spec = spec_of("continuous", treated="active")
    found = surrogacy_individual(d, spec, seed=1)
    assert {e.reason: e.n for e in found.exclusions} == {
        "change missing": 1,
        "slope missing": 3,
        "arm third is not compared": 20,
    }
    assert found.n_subjects == 360 - 24
    assert found.arms == ("placebo", "active")


def test_a_categorical_arm_gives_the_reference():
    data = simulate(np.random.default_rng(4), 60, share=1.0)
    data["arm"] = pd.Categorical(data["arm"], categories=["b", "a"], ordered=True)
    assert surrogacy_individual(data, plain_spec(), seed=1).arms == ("b", "a")


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda d: d[d["arm"] == "a"], {}, "needs two arms, found a"),
        (lambda d: d.iloc[47:], {}, "at least 5 subjects .* found 3 in arm 'a'"),
        (lambda d: d.assign(slope=np.nan), {}, "No subject has all values .100: slope missing"),
        (lambda d: d.assign(slope=1.0), {}, "`surrogate` .* same value"),
        (lambda d: d.assign(change=1.0), {}, "`outcome` .* same value"),
        (lambda d: d.assign(slope="x"), {}, "must hold numbers"),
        (lambda d: d.assign(slope=np.inf), {}, "Infinite `slope`"),
        (lambda d: d, {"surrogate": "slop"}, "Did you mean 'slope'"),
        (lambda d: d, {"reference": "c"}, "no level of 'arm'"),
        (lambda d: d, {"reference": "a", "treated": "a"}, "needs two arms"),
        (lambda d: d, {"kind": "binary"}, "must be 0 or 1"),
        (lambda d: d.assign(age=1.0), {"covariates": ("age",)}, "collinear"),
        (lambda d: d.assign(subject_id="P1"), {}, "More than one row per subject"),
        (lambda d: d.assign(slope=(d["arm"] == "b") * 1.0), {}, "collinear"),
    ],
)
def test_bad_data_are_refused(change, options, message):
    data = simulate(np.random.default_rng(4), 100, share=0.5)
    with pytest.raises(DesignError, match=message):
        surrogacy_individual(change(data), plain_spec(**options), seed=1)


def test_separation_and_no_events_are_refused():
    data = simulate(np.random.default_rng(4), 100, share=0.5)
    apart = data.assign(change=(data["arm"] == "b").astype(int))
    with pytest.raises(ConvergenceError, match="treatment effect on the outcome cannot"):
        surrogacy_individual(apart, plain_spec(), seed=1)
    survival = data.assign(year=1.0 + np.arange(100), event=0)
    spec = plain_spec(outcome=None, duration="year", event="event")
    with pytest.raises(DesignError, match="No event among 100"):
        surrogacy_individual(survival, spec, seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outcome": None}, "Give either `outcome`"),
        ({"duration": "year"}, "Give either `outcome`"),
        ({"duration": "year", "event": "event"}, "Give either `outcome`"),
        ({"kind": "survival"}, "does not fit the columns"),
        ({"kind": "count"}, "`kind` must be one of"),
        ({"covariates": "age"}, "must be a tuple"),
        ({"n_replicates": 5}, "at least 50"),
    ],
)
def test_bad_requests_are_refused(options, message):
    with pytest.raises(DesignError, match=message):
        plain_spec(**options)
