"""Joint distributions after an event, and conditional means, written out for three visits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from properties import assert_covariance_matrix

from pmsstats.models.missing import MissingSpec, impute, impute_batch
from pmsstats.models.missing.strategies import STRATEGIES

M1, M0 = np.array([1.0, 2.0, 3.5]), np.array([0.5, 0.9, 1.2])
S1 = np.array([[2.0, 1.0, 0.8], [1.0, 3.0, 1.5], [0.8, 1.5, 4.0]])
S0 = np.array([[1.0, 0.6, 0.3], [0.6, 1.5, 0.7], [0.3, 0.7, 2.0]])
ROUNDING = 1e-12

MEANS = [  # strategy, visits before the event, mean: from the definitions of Carpenter et al. 2013
    ("MAR", 1, [1.0, 2.0, 3.5]),
    ("JR", 1, [1.0, 0.9, 1.2]),
    ("JR", 2, [1.0, 2.0, 1.2]),
    ("JR", 0, [0.5, 0.9, 1.2]),
    ("CR", 2, [0.5, 0.9, 1.2]),
    ("CIR", 1, [1.0, 1.0 + 0.9 - 0.5, 1.0 + 1.2 - 0.5]),
    ("CIR", 2, [1.0, 2.0, 2.0 + 1.2 - 0.9]),
    ("CIR", 0, [0.5, 0.9, 1.2]),
    ("LMCF", 1, [1.0, 1.0, 1.0]),
    ("LMCF", 2, [1.0, 2.0, 2.0]),
]


@pytest.mark.parametrize(("name", "before", "mean"), MEANS)
def test_means_after_an_event(name, before, mean):
    mu, _ = STRATEGIES[name](M1, M0, S1, S0, before)
    np.testing.assert_allclose(mu, mean, rtol=ROUNDING)


@pytest.mark.parametrize("name", ["JR", "CIR"])
def test_covariance_keeps_the_own_past_and_the_references_regression(name):
    _, joined = STRATEGIES[name](M1, M0, S1, S0, 1)
    slope = S0[1:, :1] / S0[0, 0]
    rest = S0[1:, 1:] - slope @ S0[:1, 1:]
    assert joined[0, 0] == S1[0, 0]
    np.testing.assert_allclose(joined[1:, 0] / joined[0, 0], slope[:, 0], rtol=ROUNDING)
    given = joined[1:, 1:] - joined[1:, :1] @ joined[:1, 1:] / joined[0, 0]
    np.testing.assert_allclose(given, rest, rtol=ROUNDING)
    assert_covariance_matrix(joined)


@pytest.mark.parametrize("name", ["MAR", "LMCF"])
def test_strategies_of_the_own_arm_keep_its_covariance(name):
    assert STRATEGIES[name](M1, M0, S1, S0, 1)[1] is S1


def test_copying_the_reference_takes_its_covariance():
    assert STRATEGIES["CR"](M1, M0, S1, S0, 1)[1] is S0


# --- conditional means by hand -------------------------------------------------------------------


def trial() -> pd.DataFrame:
    """Two arms at three visits; half of each arm leave after the first or second."""
    rng = np.random.default_rng(5)
    n = 40
    y = rng.multivariate_normal([0, 0, 0], S0, n) + np.outer(np.arange(n) % 2, [0.3, 0.8, 1.5])
    table = pd.DataFrame(
        {
            "subject_id": np.repeat([f"S{i:02d}" for i in range(n)], 3),
            "arm": np.repeat(np.where(np.arange(n) % 2, "active", "placebo"), 3),
            "visit": np.tile(["V1", "V2", "V3"], n),
            "y": y.ravel(),
        }
    )
    last = np.repeat(1 + np.arange(n) // 2 % 4, 3)
    return table[np.tile([1, 2, 3], n) <= last].reset_index(drop=True)


@pytest.mark.parametrize("name", ["MAR", "JR", "CR", "CIR", "LMCF"])
def test_a_conditional_mean_is_its_textbook_formula(name):
    spec = MissingSpec(outcome="y", reference="placebo", dropout=name, method="conditional_mean")
    table = trial()
    found = impute(table, spec, seed=1)
    own, cov = found.draws.coefs[0, 1], found.draws.covariances[0, 0]
    reference = found.draws.coefs[0, 0]
    seen = table[table["arm"] == "active"].groupby("subject_id")["y"].apply(list)
    one, two = (next(s for s in seen.index if len(seen[s]) == k) for k in (1, 2))
    completed = found.frame(0).set_index("subject_id")["y"]
    mean = {
        "MAR": (own, own),
        "JR": (np.r_[own[0], reference[1:]], np.r_[own[:2], reference[2]]),
        "CR": (reference, reference),
        "CIR": (own[0] + reference - reference[0], np.r_[own[:2], own[1] + np.diff(reference)[1]]),
        "LMCF": (np.full(3, own[0]), np.r_[own[:2], own[1]]),
    }[name]
    y1 = seen[one][0]  # regression on one value, then on two by Cramer's rule
    by_hand = mean[0][1:] + cov[0, 1:] / cov[0, 0] * (y1 - mean[0][0])
    np.testing.assert_allclose(completed[one].to_numpy()[1:], by_hand, rtol=1e-9)
    e = np.array(seen[two]) - mean[1][:2]
    det = cov[0, 0] * cov[1, 1] - cov[0, 1] ** 2
    b1 = (cov[2, 0] * cov[1, 1] - cov[2, 1] * cov[0, 1]) / det
    b2 = (cov[2, 1] * cov[0, 0] - cov[2, 0] * cov[0, 1]) / det
    assert completed[two].iloc[2] == pytest.approx(mean[1][2] + b1 * e[0] + b2 * e[1], rel=1e-9)


@pytest.mark.parametrize("name", ["JR", "CIR", "LMCF"])
def test_the_effect_shrinks_by_the_share_that_left(name):
    """Large-sample limit: after dropout unrelated to outcomes a share of the effect is kept.

    With a share w of both arms gone after visit 1 and effects d at each visit, what is left of the
    effect at the last visit is (1 - w) d3 + w k, where k is 0 for JR and d1 for CIR. It is d1 for
    LMCF too: those of the reference arm who left carry their mean of visit 1 as well, m1 against
    m1 + d1. Residuals have mean zero under the true law.
    """
    rng = np.random.default_rng(11)
    n, w = 40_000, 0.3
    d, m = np.array([0.4, 0.8, 1.5]), np.array([0.2, -0.3, -0.9])
    arm = np.arange(n) % 2
    y = rng.multivariate_normal(m, S0, n) + arm[:, None] * d
    y[rng.random(n) < w, 1:] = np.nan
    gone = np.isnan(y[arm == 1, 1]).mean()
    found = impute_batch(y[None], arm, strategy=name).differences[0, 0, 2]
    kept = {"JR": 0.0, "CIR": d[0], "LMCF": d[0]}[name]
    expected = (1 - gone) * d[2] + gone * kept
    mcse = np.sqrt(2 * 2 * S0[2, 2] / ((1 - w) * n))  # of a difference of means of those seen
    assert abs(found - expected) < 4 * mcse
