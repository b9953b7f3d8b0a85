"""Sample size of a model for repeated measures: Lu, Luo and Chen's table, nlme, simulation."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_cases import load_case
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models.repeated.mmrm_batch import fit_mmrm_batch
from pmsstats.power.change import power_change
from pmsstats.power.mmrm import power_mmrm, sample_size_mmrm
from pmsstats.power.mmrm_design import MMRMDesign
from pmsstats.power.visit_covariance import VisitCovariance

MONTE_CARLO = 4  # standard errors
ROOT = 1e-6  # what remains of the power where the number is solved for
RISING = VisitCovariance.cs(sd=(1.0, 1.1, 1.3), correlation=0.6)
SHARES = (1.0, 0.9, 0.8)


def numbers(text):
    return tuple(float(part) for part in str(text).split(" "))


def near(share, expected, n_replicates):
    error = math.sqrt(expected * (1 - expected) / n_replicates)
    assert abs(share - expected) < MONTE_CARLO * error, (share, expected, error)


# --- stored values --------------------------------------------------------------------------


def test_published_inflation():
    case = load_case("power_mmrm_published")
    inputs = {row.term: row for row in case.input.itertuples()}
    for expected in case.rows("inflation").itertuples():
        row = inputs[expected.term]
        m = row.n_visits
        V = VisitCovariance.ar1(
            sd=1, correlation=row.correlation_first_last ** (1 / (m - 1)), n_visits=m
        )
        shares = tuple(np.linspace(1, 1 - row.lost, m))
        design = MMRMDesign(
            covariances=(V, V), retentions=(shares, shares), contrast=(*(0,) * (m - 1), 1)
        )
        assert design.inflation(0) == pytest.approx(expected.value, rel=expected.rtol)


def test_nlme_at_a_known_covariance():
    case = load_case("power_mmrm_variance")
    inputs = {row.scenario: row for row in case.input.itertuples()}
    quantities = {"std_error_last": (0, 1), "std_error_two": (0.5, 0.5)}
    checked = 0
    for expected in case.expected.itertuples():
        row = inputs[expected.term]
        sd = np.array(numbers(row.sd))
        R = np.eye(len(sd))
        R[np.triu_indices(len(sd), 1)] = numbers(row.correlation)
        V = VisitCovariance.us((R + R.T - np.eye(len(sd))) * np.outer(sd, sd))
        last = quantities[expected.quantity]
        design = MMRMDesign(
            covariances=(V, V),
            retentions=(numbers(row.retention_reference), numbers(row.retention_treated)),
            contrast=(*(0.0,) * (len(sd) - 2), *last),
        )
        variance, _ = design.precision((row.n_reference, row.n_treated))
        assert math.sqrt(variance) == pytest.approx(expected.value, rel=expected.rtol)
        checked += 1
    assert checked == 6


# --- brute force ----------------------------------------------------------------------------


def test_two_visits_by_hand():
    # Anderson 1957: with a share r seen twice, the mean at the second visit has the variance
    # s^2 / n (1 / r - rho^2 (1 - r) / r).
    rho, r, n = 0.7, 0.75, 40
    V = VisitCovariance.cs(sd=(1.0, 1.5), correlation=rho)
    design = MMRMDesign(covariances=(V, V), retentions=((1, r), (1, r)), contrast=(0, 1))
    expected = 2 * 1.5**2 / n * (1 / r - rho**2 * (1 - r) / r)
    assert design.precision((n, n))[0] == pytest.approx(expected, rel=1e-12)


def test_unequal_arms_by_hand():
    V = (VisitCovariance.cs(sd=1.0, correlation=0.5, n_visits=2),) * 2
    V = (V[0], VisitCovariance.cs(sd=2.0, correlation=0.2, n_visits=2))
    design = MMRMDesign(covariances=V, retentions=((1, 1), (1, 1)), contrast=(0, 1))
    variance, df = design.precision((10, 40))
    parts = (1 / 10, 4 / 40)
    assert variance == pytest.approx(sum(parts), rel=1e-12)
    assert df == pytest.approx(sum(parts) ** 2 / (parts[0] ** 2 / 9 + parts[1] ** 2 / 39), rel=1e-8)


@pytest.mark.parametrize("baseline", ["none", "change"])
def test_complete_data_are_a_t_test(baseline):
    V = RISING.matrix()
    last = {"none": V[2, 2], "change": V[2, 2] + V[0, 0] - 2 * V[2, 0]}[baseline]
    found = power_mmrm(n=(20, 30), covariance=RISING, effect=0.6, baseline=baseline)
    shift = 0.6 / math.sqrt(last * (1 / 20 + 1 / 30))
    t = stats.t.isf(0.025, 48)
    expected = stats.nct.sf(t, 48, shift) + stats.nct.cdf(-t, 48, shift)
    assert found.power == pytest.approx(expected, rel=1e-8)


def test_baseline_covariate_is_analysis_of_covariance():
    # Complete data: residual variance v (1 - rho^2), one df less, and the expected loss by
    # chance differences at baseline, 1 / (n - 4).
    V = VisitCovariance.cs(sd=1.0, correlation=0.6, n_visits=3)
    design = MMRMDesign(
        covariances=(V, V),
        retentions=((1, 1), (1, 1)),
        contrast=(0, 1),
        baseline="covariate",
    )
    variance, df = design.precision((15, 15))
    assert variance == pytest.approx(2 * 0.64 / 15 * (1 + 1 / 26), rel=1e-10)
    assert df == pytest.approx(27, rel=1e-8)


# --- simulation -----------------------------------------------------------------------------


def draw(rng, covariance, retention, n, effect, n_replicates):
    """Draw two arms of n subjects, with an effect at the last visit."""
    m = covariance.n_visits
    y = rng.multivariate_normal(np.zeros(m), covariance.matrix(), size=(n_replicates, 2 * n))
    y[:, n:, -1] += effect
    luck = rng.uniform(size=(n_replicates, 2 * n, 1))
    return np.where(luck < np.asarray(retention), y, np.nan)


@pytest.mark.parametrize("effect", [0.0, 0.9])
def test_simulated(effect):
    n, n_replicates = 30, 2500
    y = draw(np.random.default_rng(8), RISING, SHARES, n, effect, n_replicates)
    visits = pd.DataFrame({"subject_id": np.repeat(np.arange(2 * n), 3)})
    visits["visit"] = np.tile(["v1", "v2", "v3"], 2 * n)
    visits["arm"] = np.where(visits["subject_id"] < n, "a", "b")
    fits = fit_mmrm_batch(
        visits,
        "y ~ 0 + arm:visit + us(visit | subject_id)",
        y.reshape(n_replicates, -1),
        contrasts={"last": {"arm[b]:visit[v3]": 1.0, "arm[a]:visit[v3]": -1.0}},
    )
    assert fits.converged.all()
    found = power_mmrm(n=(n, n), covariance=RISING, effect=effect, retention=SHARES)
    shown = found.table().set_index("quantity")["value"]
    near((fits.p_values[:, 0] < 0.05).mean(), found.power, n_replicates)
    ratio = fits.estimates[:, 0].std() / shown["std_error"]
    # Estimated weights and varying patterns cost up to 2 % beside the Monte Carlo error.
    assert abs(ratio - 1) < MONTE_CARLO / math.sqrt(2 * n_replicates) + 0.02
    # Satterthwaite's df are a mean over replicates, observed against expected information.
    assert np.median(fits.df[:, 0]) == pytest.approx(shown["df"], rel=0.05)


def test_baseline_covariate_simulated():
    n, n_replicates = 15, 6000
    V = VisitCovariance.cs(sd=(1.0, 1.2), correlation=0.7)
    y = draw(np.random.default_rng(9), V, (1, 1), n, 1.0, n_replicates)
    first, last = y[..., 0], y[..., 1]
    treated = np.repeat([0.0, 1.0], n)
    rejected = 0
    for x, z in zip(first, last, strict=True):
        X = np.column_stack([np.ones(2 * n), treated, x])
        inverse = np.linalg.inv(X.T @ X)
        beta = inverse @ X.T @ z
        s2 = ((z - X @ beta) ** 2).sum() / (2 * n - 3)
        rejected += abs(beta[1]) > stats.t.isf(0.025, 2 * n - 3) * math.sqrt(s2 * inverse[1, 1])
    found = power_mmrm(n=(n, n), covariance=V, effect=1.0, baseline="covariate")
    near(rejected / n_replicates, found.power, n_replicates)


# --- properties -----------------------------------------------------------------------------


@settings(max_examples=20)
@given(
    effect=st.floats(0.2, 2),
    power=st.floats(0.3, 0.95),
    ratio=st.sampled_from([0.5, 1.0, 2.0]),
    baseline=st.sampled_from(["none", "covariate", "change"]),
)
def test_number_for_a_power_gives_it_back(effect, power, ratio, baseline):
    shares = SHARES if baseline == "none" else SHARES[1:]
    plan = {"covariance": RISING, "effect": effect, "retention": shares, "baseline": baseline}
    found = sample_size_mmrm(power=power, ratio=ratio, **plan)
    assert found.power >= power - ROOT
    assert power_mmrm(n=found.n, **plan).power == pytest.approx(found.power, rel=1e-12)


@given(n=st.integers(6, 100), effect=st.floats(0.1, 1), more=st.floats(1.05, 2))
@settings(max_examples=20)
def test_power_rises_with_subjects_and_effect(n, effect, more):
    plan = {"covariance": RISING, "retention": SHARES}
    start = power_mmrm(n=2 * n, effect=effect, **plan).power
    assert power_mmrm(n=2 * n + 2, effect=effect, **plan).power >= start
    assert power_mmrm(n=2 * n, effect=effect * more, **plan).power >= start


@given(rho=st.floats(0.05, 0.9), lost=st.floats(0, 0.5))
def test_earlier_visits_never_hurt(rho, lost):
    V = VisitCovariance.ar1(sd=1.0, correlation=rho, n_visits=4)
    shares = tuple(np.linspace(1, 1 - lost, 4))
    design = MMRMDesign(covariances=(V, V), retentions=(shares, shares), contrast=(0, 0, 0, 1))
    assert 1 - 1e-9 <= design.inflation(0) <= 1 / shares[-1] + 1e-9


def test_swapped_arms_flip_the_sign():
    other = VisitCovariance.ar1(sd=(1.0, 1.5, 2.0), correlation=0.5)
    shares = (SHARES, (1, 0.95, 0.6))
    one = power_mmrm(n=(20, 30), covariance=(RISING, other), retention=shares, effect=0.8)
    two = power_mmrm(n=(30, 20), covariance=(other, RISING), retention=shares[::-1], effect=-0.8)
    assert two.power == pytest.approx(one.power, rel=1e-9)


def test_effect_that_is_found():
    found = sample_size_mmrm(covariance=RISING, solve="effect", n=60, rate=-2.0, retention=SHARES)
    assert found.value > 0
    again = power_mmrm(n=60, covariance=RISING, effect=found.value, retention=SHARES)
    assert again.power == pytest.approx(0.8, abs=ROOT)


def test_slowing_is_of_change_until_the_last_visit():
    plan = {"covariance": RISING, "retention": SHARES}
    slowed = power_mmrm(n=60, slowing=0.5, rate=-2.0, ageing_rate=-0.5, **plan)
    assert slowed.effect == 0.75
    assert slowed.power == power_mmrm(n=60, effect=0.75, **plan).power


def test_assumptions_name_what_matters():
    found = sample_size_mmrm(
        covariance=RISING, effect=0.5, retention=(SHARES, (1, 0.9, 0.7)), unit="ml"
    )
    for words in (
        "means at the last visit",
        "SD 1.3 ml at the last visit",
        "20 % of the reference and 30 % of the treated arm lost",
        "two-sided 5 % t-test with Satterthwaite's df",
    ):
        assert words in found.assumptions


def test_too_few_subjects():
    with pytest.raises(DesignError, match="too few to estimate a variance"):
        power_mmrm(n=2, covariance=RISING, effect=0.5)
    assert sample_size_mmrm(covariance=RISING, effect=1e5).n_total >= 3


def test_result_is_plain():
    found = sample_size_mmrm(covariance=RISING, effect=0.5, retention=np.array(SHARES))
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["inputs"]["retention"] == list(SHARES)
    assert found.references[0].endswith("doi:10.2202/1557-4679.1098.")


PLAN = {"covariance": RISING, "effect": 0.5}
BAD = [
    ({"effect": 0.0}, "no number of subjects will do"),
    ({"power": 0.04}, "is not above"),
    ({"retention": (1, 0.9)}, "each of 3 visits"),
    ({"retention": (1, 0.8, 0.9)}, "must not rise"),
    ({"retention": (1, 0.8, -0.1)}, "`retention`"),
    ({"contrast": (0, 1)}, "each of 3 analysed visits"),
    ({"contrast": (0, 0, 0)}, "not all of them zero"),
    ({"baseline": "used"}, "`baseline`"),
    ({"df": "kr"}, "`df`"),
    ({"covariance": np.eye(3)}, "VisitCovariance.us"),
    ({"covariance": (RISING, VisitCovariance.us(np.eye(2)))}, "same visits in both arms"),
    ({"covariance": VisitCovariance.us([[1.0]]), "baseline": "change"}, "a later visit"),
    ({"covariance": VisitCovariance.us(np.eye(11))}, "up to 10 visits"),
    ({"n": 50}, "asks for the subjects"),
    ({"solve": "effect"}, "needs `n`"),
    ({"solve": "effect", "n": 50}, "leave `effect`"),
    ({"solve": "duration", "n": 50}, "`solve`"),
]


@pytest.mark.parametrize(("changed", "words"), BAD)
def test_refused(changed, words):
    with pytest.raises(DesignError, match=words):
        sample_size_mmrm(**{**PLAN, **changed})


BAD_COVARIANCES = [
    (lambda: VisitCovariance.us([[1.0, 0.5]]), "square"),
    (lambda: VisitCovariance.us([1.0, 0.5]), "square"),
    (lambda: VisitCovariance.us([[1.0, 0.5], [0.4, 1.0]]), "symmetric"),
    (lambda: VisitCovariance.us([[1.0, 1.0], [1.0, 1.0]]), "positive definite"),
    (lambda: VisitCovariance.cs(sd=1.0, correlation=0.5), "`n_visits`"),
    (lambda: VisitCovariance.cs(sd=1.0, correlation=-0.6, n_visits=3), "positive definite"),
    (lambda: VisitCovariance.ar1(sd=1.0, correlation=1.0, n_visits=3), "`correlation`"),
    (lambda: VisitCovariance.ar1(sd=(1.0, 0.0), correlation=0.5), "`sd`"),
]


@pytest.mark.parametrize(("make", "words"), BAD_COVARIANCES)
def test_covariances_refused(make, words):
    with pytest.raises(DesignError, match=words):
        make()


def test_an_unstructured_covariance_needs_subjects():
    """Its estimate is singular with fewer residual degrees of freedom than visits."""
    six = VisitCovariance.ar1(sd=1.0, correlation=0.7, n_visits=6)
    with pytest.raises(DesignError, match="too few to estimate a variance for each of 6 visits"):
        power_mmrm(n=7, covariance=six, effect=5.0)
    assert power_mmrm(n=8, covariance=six, effect=5.0).power > 0.9
    assert sample_size_mmrm(covariance=six, effect=50.0).n == (4, 4)
    other = VisitCovariance.ar1(sd=2.0, correlation=0.7, n_visits=6)
    assert sample_size_mmrm(covariance=(six, other), effect=50.0).n == (7, 7)


@pytest.mark.parametrize(("df", "less"), [("subjects", 3), ("normal", None)])
def test_baseline_as_covariate_by_hand(df, less):
    """Residual variance V22 - V20^2 / V00, a df less, and chance differences 1 + 1 / (n - 4)."""
    V = VisitCovariance.us([[4.0, 1.0, 1.5], [1.0, 3.0, 1.2], [1.5, 1.2, 2.5]])
    result = power_mmrm(n=(12, 20), covariance=V, effect=0.9, baseline="covariate", df=df)
    shown = result.table().set_index("quantity")["value"]
    residual = 2.5 - 1.5**2 / 4.0
    expected = math.sqrt(residual * (1 / 12 + 1 / 20) * (1 + 1 / 28))
    assert shown["std_error"] == pytest.approx(expected, rel=1e-10)
    assert shown["df"] == (math.inf if less is None else 32 - less)
    assert ("three df less than subjects" in result.assumptions) == (df == "subjects")


@pytest.mark.parametrize("df", ["satterthwaite", "subjects", "normal"])
def test_those_without_a_value_tell_nothing_of_baseline(df):
    """One visit: 40 subjects of whom half are seen are 20 subjects, and those by hand."""
    V = VisitCovariance.cs(sd=1.0, correlation=0.5, n_visits=2)
    plan = {"covariance": V, "effect": 1.1, "baseline": "covariate", "df": df}
    half = power_mmrm(n=40, retention=(0.5,), **plan)
    shown, whole = (
        r.table().set_index("quantity")["value"] for r in (half, power_mmrm(n=20, **plan))
    )
    assert half.power == pytest.approx(power_mmrm(n=20, **plan).power, rel=1e-10)
    assert shown["df"] == whole["df"]
    expected = math.sqrt(0.75 * (1 / 10 + 1 / 10) * (1 + 1 / 16))
    assert shown["std_error"] == pytest.approx(expected, rel=1e-10)


def test_one_visit_with_dropout_is_the_change_adjusted_for_baseline():
    """The other formula averages over differences at baseline, instead of taking their mean."""
    V = VisitCovariance.cs(sd=1.0, correlation=0.5, n_visits=2)
    mixed = power_mmrm(n=40, covariance=V, effect=1.1, baseline="covariate", retention=(0.5,))
    change = power_change(
        n=40, sd_single=1.0, correlation=0.5, analysis="ancova", effect=1.1, dropout=0.5
    )
    # That costs 0.0012 here; by the 40 who are randomised the power would be 0.0127 too high.
    assert mixed.power == pytest.approx(change.power, abs=0.003)


def conditional_variance(R, x, last):
    """Variance of the last visit's difference at given baselines, by stacked information.

    Columns are means per arm and visit, and a slope on baseline per visit.
    """
    m = len(R)
    total = np.zeros((3 * m, 3 * m))
    for arm, values in enumerate(x):
        for k in np.unique(last):
            W = np.zeros((m, m))
            W[:k, :k] = np.linalg.inv(R[:k, :k])
            for value in values[last == k]:
                X = np.zeros((m, 3 * m))
                X[:, arm * m : arm * m + m] = np.eye(m)
                X[:, 2 * m :] = value * np.eye(m)
                total += X.T @ W @ X
    contrast = np.zeros(3 * m)
    contrast[[m - 1, 2 * m - 1]] = -1, 1
    return contrast @ np.linalg.solve(total, contrast)


def test_baselines_of_those_who_leave_hardly_help():
    """Two visits, 10 of 15 lost after the first: simulated baselines, known covariance."""
    V = VisitCovariance.cs(sd=1.0, correlation=0.6, n_visits=3)
    design = MMRMDesign(
        covariances=(V, V), retentions=((1, 1 / 3),) * 2, contrast=(0, 1), baseline="covariate"
    )
    rng, last = np.random.default_rng(12), np.repeat([1, 2], (10, 5))
    R = design.analysed(0)
    drawn = [conditional_variance(R, rng.normal(size=(2, 15)), last) for _ in range(400)]
    error = np.std(drawn) / math.sqrt(len(drawn))
    assert abs(np.mean(drawn) - design.precision((15, 15))[0]) < MONTE_CARLO * error
    # The mistake to be told apart, by those randomised, lies further off.
    assert design.fit.variance((15, 15)) * (1 + 1 / 26) < np.mean(drawn) - MONTE_CARLO * error
