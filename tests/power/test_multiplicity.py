"""Several outcomes: against multivariate normal probabilities, by hand, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import assert_result_contract
from reference_cases import load_case
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.power.change import power_change
from pmsstats.power.multiplicity import power_multiple, sample_size_multiple
from pmsstats.power.normal_regions import correlation_root, grid_probabilities

CASE = load_case("power_change_outcomes")
PROCEDURES = ["bonferroni", "holm", "hochberg", "fixed_sequence", "co_primary"]
SMALLEST = 1e-5  # absolute: the integration error of small probabilities
N_TRIALS = 40_000
MONTE_CARLO_ERRORS = 4.0


def details(result) -> dict[str, float]:
    return result.table().set_index("quantity")["value"].to_dict()


@pytest.mark.parametrize("procedure", PROCEDURES)
@pytest.mark.parametrize("term", CASE.input["term"].tolist())
def test_powers_are_those_of_every_cell_in_r(procedure, term):
    row = CASE.input.set_index("term").loc[term]
    r12, r13, r23 = (float(row[name]) for name in ("r_12", "r_13", "r_23"))
    result = power_multiple(
        n=(100, 100),
        effects=[row[f"shift_{i}"] * math.sqrt(0.02) for i in (1, 2, 3)],
        correlation=[[1, r12, r13], [r12, 1, r23], [r13, r23, 1]],
        procedure=procedure,
        alpha=float(row["alpha"]),
        sides=1,
    )
    found = details(result)
    expected = CASE.expected[CASE.expected["term"] == term]
    compared = 0
    for name in ("any", "all", "outcome_1", "outcome_2", "outcome_3"):
        line = expected[expected["quantity"] == f"{procedure}.{name}"].iloc[0]
        allowed = max(line["rtol"] * line["value"], SMALLEST)
        assert found[f"power_{name}"] == pytest.approx(line["value"], abs=allowed)
        compared += 1
    assert compared == 5
    assert found["integration_error"] < 2e-5


def test_independent_outcomes_by_hand():
    """Products of univariate powers: Holm and Hochberg with two outcomes, written out."""
    shift = np.array([2.4, 1.7])
    half, full = stats.norm.isf(0.0125), stats.norm.isf(0.025)
    strong, weak = stats.norm.sf(half - shift), stats.norm.sf(full - shift)
    by_hand = {
        "bonferroni": (1 - np.prod(1 - strong), np.prod(strong)),
        "holm": (
            1 - np.prod(1 - strong),
            np.prod(weak) - np.prod(weak - strong),  # both at the full level, one at the half
        ),
        "hochberg": (1 - np.prod(1 - strong) + np.prod(weak - strong), np.prod(weak)),
        "fixed_sequence": (weak[0], np.prod(weak)),
        "co_primary": (np.prod(weak), np.prod(weak)),
    }
    for procedure, (some, every) in by_hand.items():
        kws = {"n": 200, "effects": shift * math.sqrt(0.02), "procedure": procedure}
        assert power_multiple(win="any", **kws).power == pytest.approx(some, rel=1e-10)
        assert power_multiple(win="all", **kws).power == pytest.approx(every, rel=1e-10)
    assert len(by_hand) == len(PROCEDURES)


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.0, 0.5, 0.999])
def test_two_normals_have_sheppards_quadrant(rho):
    """Sheppard: P(both positive) = 1 / 4 + asin(rho) / (2 pi)."""
    root = correlation_root(np.array([[1, rho], [rho, 1]]))
    cells = grid_probabilities(np.zeros((2, 1)), root).mean(axis=0)
    assert cells[1, 1] == pytest.approx(0.25 + math.asin(rho) / (2 * math.pi), abs=1e-9)


@pytest.mark.parametrize("k", [3, 4, 5])
def test_equal_correlation_one_half_has_equal_orders(k):
    """P(all positive) = 1 / (k + 1) at correlation 1/2: the first of k + 1 exchangeable values."""
    root = correlation_root(np.full((k, k), 0.5) + 0.5 * np.eye(k))
    cells = grid_probabilities(np.zeros((k, 1)), root)
    assert cells.mean(axis=0)[(1,) * k] == pytest.approx(1 / (k + 1), abs=2e-4)
    assert cells.mean(axis=0).sum() == pytest.approx(1, abs=1e-10)


def holm(p: np.ndarray, alpha: float) -> np.ndarray:
    """Return Holm's rejections, one hypothesis after the other."""
    rejected = np.zeros(p.shape, dtype=bool)
    for trial, row in enumerate(p):
        for step, j in enumerate(np.argsort(row)):
            if row[j] > alpha / (len(row) - step):
                break
            rejected[trial, j] = True
    return rejected


def test_powers_are_shares_of_simulated_trials():
    """With t-tests on data, not normal statistics: arms of 100."""
    rng = np.random.default_rng(11)
    correlation = np.array([[1, 0.6, 0.2], [0.6, 1, 0.4], [0.2, 0.4, 1]])
    effects, sd, n, trials = np.array([0.5, 0.8, 0.3]), np.array([1.0, 2.0, 1.0]), 100, 4000
    noise = rng.normal(size=(trials, 2 * n, 3)) @ np.linalg.cholesky(correlation).T * sd
    treated = noise[:, n:] + effects
    p = stats.ttest_ind(treated, noise[:, :n], axis=1, alternative="greater").pvalue
    won = holm(p, 0.025)
    found = details(
        power_multiple(n=2 * n, effects=effects, sd=sd, correlation=correlation, procedure="holm")
    )
    t_test = 0.005  # the t-test rejects a little less often than the z-test
    shares = {"any": won.any(axis=1), "all": won.all(axis=1)}
    shares |= {f"outcome_{j + 1}": won[:, j] for j in range(3)}
    for name, wins in shares.items():
        power = found[f"power_{name}"]
        mcse = math.sqrt(power * (1 - power) / trials)
        assert wins.mean() == pytest.approx(power, abs=MONTE_CARLO_ERRORS * mcse + t_test)
    assert won.sum(axis=1).mean() == pytest.approx(found["mean_wins"], abs=0.05)


@pytest.mark.parametrize("procedure", ["bonferroni", "holm", "hochberg", "fixed_sequence"])
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.95])
def test_error_over_all_outcomes_is_kept(procedure, rho):
    null = power_multiple(
        n=100, effects=(0.0,) * 3, correlation=rho, procedure=procedure, sides=1, alpha=0.025
    )
    assert 0 < null.power <= 0.025 + 1e-6


def test_one_outcome_is_that_of_the_single_test():
    alone = power_change(n=150, effect=0.4, sd=1.0, method="normal", sides=1, alpha=0.025).power
    first = power_multiple(
        n=150, effects=(0.4, 0.1), procedure="fixed_sequence", win="outcome_1", correlation=0.3
    )
    assert first.power == pytest.approx(alone, rel=1e-10)


@pytest.mark.parametrize("procedure", PROCEDURES)
@pytest.mark.parametrize("win", ["any", "all", "sdmt"])
def test_n_for_a_power_gives_that_power_back(procedure, win):
    kws = {
        "effects": (0.5, 0.4, 0.45),
        "correlation": 0.4,
        "procedure": procedure,
        "win": win,
        "outcomes": ("edss", "sdmt", "nhpt_s"),
        "dropout": 0.1,
    }
    found = sample_size_multiple(power=0.85, **kws)
    assert found.power >= 0.85
    assert power_multiple(n=found.n, **kws).power == pytest.approx(found.power, abs=1e-12)
    fewer = tuple(k - 1 for k in found.n)
    assert power_multiple(n=fewer, **kws).power < 0.85


@settings(max_examples=15)
@given(
    effects=st.tuples(st.floats(0.1, 0.8), st.floats(0.1, 0.8)),
    rho=st.floats(-0.8, 0.95),
    n=st.integers(40, 300),
)
def test_power_rises_with_n_and_procedures_keep_their_order(effects, rho, n):
    kws = {"effects": effects, "correlation": rho}
    powers = {
        name: power_multiple(n=n, procedure=name, win="all", **kws).power for name in PROCEDURES
    }
    order = [powers[name] for name in ("bonferroni", "holm", "hochberg", "co_primary")]
    assert (np.diff(order) >= -1e-12).all()
    more = power_multiple(n=n + 20, procedure="holm", win="all", **kws).power
    assert more >= powers["holm"] - 1e-12


def test_order_of_outcomes_changes_nothing_in_stepwise_tests():
    kws = {"n": 150, "correlation": 0.5, "procedure": "holm"}
    forward = details(power_multiple(effects=(0.5, 0.2, 0.35), **kws))
    backward = details(power_multiple(effects=(0.35, 0.2, 0.5), **kws))
    assert backward["power_all"] == pytest.approx(forward["power_all"], abs=5e-5)
    assert backward["power_outcome_3"] == pytest.approx(forward["power_outcome_1"], abs=5e-5)


def test_answer_keeps_the_contract():
    assert_result_contract(power_multiple(n=100, effects=(0.4, 0.0), correlation=0.2))
    assert_result_contract(sample_size_multiple(effects=(0.4, 0.3, 0.5), win="all"))


@pytest.mark.parametrize(
    ("kws", "message"),
    [
        ({"effects": (0.0, 0.0)}, "no number of subjects will do"),
        ({"effects": (0.4, 0.0), "win": "all"}, "no number of subjects will do"),
        ({"effects": (0.4, -0.1), "procedure": "co_primary"}, "no number of subjects will do"),
        ({"effects": (0.0, 0.4), "procedure": "fixed_sequence"}, "no number of subjects will do"),
        ({"effects": (0.4,)}, "from 2 to 5"),
        ({"effects": (0.4,) * 6}, "from 2 to 5"),
        ({"effects": (0.4,) * 9, "procedure": "bonferroni"}, "from 2 to 8"),
        ({"effects": 0.4}, "one number per outcome"),
        ({"effects": (0.4, None)}, "`effects` must be a number"),
        ({"sd": (1.0, 1.0, 1.0)}, "one per outcome"),
        ({"sd": 0.0}, "`sd` must be"),
        ({"correlation": 1.2}, "`correlation` must be"),
        ({"correlation": [[1, 0.5]]}, "matrix of 2 rows"),
        ({"correlation": [[1, 0.5], [0.4, 1]]}, "must be a correlation matrix"),
        ({"effects": (0.4,) * 3, "correlation": -0.9}, "no negative eigenvalue"),
        ({"procedure": "sidak"}, "`procedure` must be one of"),
        ({"win": "most"}, "`win` must be one of"),
        ({"outcomes": ("edss", "edss")}, "distinct names"),
        ({"outcomes": ("any", "edss")}, "none of them 'any'"),
        ({"power": 0.05}, "is not above `alpha"),
        ({"dropout": 1.0}, "`dropout` must be"),
    ],
)
def test_bad_requests_are_refused(kws, message):
    with pytest.raises(DesignError, match=message):
        sample_size_multiple(**{"effects": (0.4, 0.4)} | kws)


def test_co_primary_outcomes_succeed_together():
    result = power_multiple(n=200, effects=(0.4, 0.5), procedure="co_primary")
    assert "success is a benefit in all outcomes" in result.assumptions
    assert result.power == pytest.approx(details(result)["power_all"], abs=1e-10)


@pytest.mark.parametrize("outcome", [0, 1])
def test_outcomes_of_those_who_are_lost_do_not_count(outcome):
    """Co-primary outcomes, each at its full level: only the tail of benefit counts."""
    result = power_multiple(
        n=(50, 100), effects=(0.4, 0.5), procedure="co_primary", dropout=(0.1, 0.4)
    )
    shift = (0.4, 0.5)[outcome] / math.sqrt(1 / 45 + 1 / 60)
    expected = stats.norm.sf(stats.norm.isf(0.025) - shift)
    found = details(result)[f"power_outcome_{outcome + 1}"]
    assert found == pytest.approx(expected, abs=1e-8)  # one integral by nodes
