"""Share explained within a joint model: by hand from its coefficients, and a known truth."""

import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract

from pmsstats.errors import DesignError
from pmsstats.models.joint.joint import fit_joint
from pmsstats.surrogacy import surrogacy_joint

FORMULA = "y ~ year * arm + (year | subject_id)"
EXACT = 1e-7  # the same sums in another order, on standardised scales
MCSE_TOLERANCE = 4.0  # standard errors of the estimate


def simulate(rng, n, *, direct, alpha, gain, error=0.3):
    """Draw trajectories with slope -0.5 (+ gain on treatment) and hazards that follow the value.

    The hazard is 0.5 exp(direct Z + alpha m(t)) with m linear, so that the cumulative hazard is
    inverted in closed form.
    """
    z = np.repeat([0.0, 1.0], n // 2)
    b = rng.multivariate_normal([0, 0], [[0.25, 0.02], [0.02, 0.04]], n)
    level, slope = b[:, 0], -0.5 + gain * z + b[:, 1]
    rate = 0.5 * np.exp(direct * z + alpha * level)
    E, k = rng.exponential(size=n), alpha * slope
    inside = 1 + k * E / rate
    t = np.where(inside > 0, np.log(np.maximum(inside, 1e-12)) / k, np.inf)
    end = rng.uniform(2.0, 3.0, n)
    survival = pd.DataFrame(
        {
            "subject_id": np.arange(n),
            "arm": np.where(z == 1, "b", "a"),
            "duration": np.minimum(t, end),
            "event": t <= end,
        }
    )
    visits = survival[["subject_id", "arm", "duration"]].merge(
        pd.DataFrame({"year": np.arange(0, 3.0, 0.25)}), how="cross"
    )
    m = level[visits["subject_id"]] + slope[visits["subject_id"]] * visits["year"]
    visits["y"] = m + rng.normal(0, error, len(visits))
    return visits[visits["year"] <= visits["duration"]].drop(columns="duration"), survival


@pytest.fixture(scope="module")
def fitted():
    visits, survival = simulate(np.random.default_rng(3), 600, direct=-0.3, alpha=-0.8, gain=0.4)
    return fit_joint(visits, survival, FORMULA, hazard="arm", association="value",
                     baseline="weibull", origin="synthetic")  # fmt: skip


def test_effects_are_the_sums_of_coefficients(fitted):
    found = surrogacy_joint(fitted, times=[0.0, 1.0, 2.0]).table()
    e = fitted.estimates.set_index(["part", "term"])["estimate"]
    arm = next(term for part, term in e.index if part == "hazard")
    names = [term for part, term in e.index if part == "longitudinal"]
    main = next(n for n in names if "arm" in n and "year" not in n)
    product = next(n for n in names if "arm" in n and "year" in n)
    alpha = e["association"].iloc[0]
    for i, t in enumerate((0.0, 1.0, 2.0)):
        indirect = alpha * (e["longitudinal", main] + t * e["longitudinal", product])
        assert found["indirect"][i] == pytest.approx(indirect, rel=EXACT)
        assert found["direct"][i] == pytest.approx(e["hazard", arm], rel=EXACT)
        share = indirect / (indirect + e["hazard", arm])
        assert found["estimate"][i] == pytest.approx(share, rel=EXACT)
    error = fitted.estimates.set_index(["part", "term"])["std_error"]["hazard", arm]
    assert found["direct_error"][0] == pytest.approx(error, rel=1e-5)


def test_known_share_is_recovered(fitted):
    """At two years the value is 0.8 higher: indirect -0.64, direct -0.3, so 68 %."""
    row = surrogacy_joint(fitted, times=[2.0]).table().iloc[0]
    assert abs(row["indirect"] + 0.64) < MCSE_TOLERANCE * row["indirect_error"]
    assert abs(row["direct"] + 0.3) < MCSE_TOLERANCE * row["direct_error"]
    assert row["conf_low"] < 0.64 / 0.94 < row["conf_high"]


def test_contract_and_arms(fitted):
    found = surrogacy_joint(fitted)
    assert_result_contract(found)
    assert found.arms == ("a", "b")
    assert "%" in found.headline()
    swapped = surrogacy_joint(fitted, reference="b").table()
    np.testing.assert_allclose(swapped["total"], -found.table()["total"], rtol=EXACT)
    np.testing.assert_allclose(swapped["estimate"], found.table()["estimate"], rtol=EXACT)


def test_no_effect_has_no_share():
    visits, survival = simulate(np.random.default_rng(4), 300, direct=0.0, alpha=-0.8, gain=0.0)
    fit = fit_joint(visits, survival, FORMULA, hazard="arm", baseline="weibull")
    found = surrogacy_joint(fit, times=[1.0])
    assert not found.table()["stable"].any()
    assert "cannot be told from zero" in found.headline()
    assert_result_contract(found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arm": "amr"}, "Did you mean 'arm'"),
        ({"reference": "c"}, "no level of 'arm'"),
        ({"reference": "a", "treated": "a"}, "the same arm"),
        ({"times": [99.0]}, "`times` must lie between 0"),
    ],
)
def test_bad_requests_are_refused(fitted, options, message):
    with pytest.raises(DesignError, match=message):
        surrogacy_joint(fitted, **options)


def test_models_that_cannot_say_are_refused():
    visits, survival = simulate(np.random.default_rng(4), 300, direct=-0.3, alpha=-0.8, gain=0.4)
    interacting = fit_joint(visits, survival, FORMULA, hazard="arm", interaction="arm",
                            baseline="weibull")  # fmt: skip
    with pytest.raises(DesignError, match="Fit it without"):
        surrogacy_joint(interacting)
    survival["site"] = survival["subject_id"] % 2
    without = fit_joint(visits, survival, "y ~ year + (year | subject_id)", hazard="site",
                        baseline="weibull")  # fmt: skip
    with pytest.raises(DesignError, match="neither the hazard nor the mean"):
        surrogacy_joint(without)
