"""Sites: design effects against formulas and against simulated sites."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.errors import DesignError
from pmsstats.power.clusters import ClusterDesign, design_effect

N_TRIALS = 40_000
MONTE_CARLO_ERRORS = 4.0


def variance_of_difference(rng, sizes, icc, effect_sd, *, within) -> tuple[float, float]:
    """Return the variance of the difference of arms over simulated trials, and its error."""
    k = len(sizes)
    site = rng.normal(0, np.sqrt(icc), (N_TRIALS, k))
    own = rng.normal(0, effect_sd, (N_TRIALS, k))
    residual = np.sqrt(1 - icc)
    if within:  # mean of the halves of each site, weighted by its size
        half = residual * rng.normal(size=(2, N_TRIALS, k)) / np.sqrt(sizes / 2)
        difference = ((own + half[1] - half[0]) * sizes).sum(axis=1) / sizes.sum()
    else:
        mean = site + residual * rng.normal(size=(N_TRIALS, k)) / np.sqrt(sizes)
        arm = np.arange(k) % 2
        weight = sizes * np.where(arm == 1, 1 / sizes[arm == 1].sum(), -1 / sizes[arm == 0].sum())
        difference = (mean * weight).sum(axis=1)
    variance = difference.var(ddof=1)
    return float(variance), float(variance * np.sqrt(2 / (N_TRIALS - 1)))


SIZES = np.array([4, 4, 8, 8, 12, 12, 20, 20, 36, 36], dtype=float)  # each size in both arms


@pytest.mark.parametrize(
    ("randomised", "effect_sd"), [("by_site", 0.0), ("within_sites", 0.0), ("within_sites", 0.3)]
)
@pytest.mark.parametrize("sizes", [np.full(10, 16.0), SIZES])
def test_variance_is_that_of_simulated_sites(randomised, effect_sd, sizes):
    within = randomised == "within_sites"
    rng = np.random.default_rng(8)
    found, error = variance_of_difference(rng, sizes, 0.15, effect_sd, within=within)
    factor = design_effect(
        site_size=sizes.mean(),
        size_cv=sizes.std() / sizes.mean(),
        icc=0.15,
        randomised=randomised,
        effect_sd=effect_sd,
    )
    assert found == pytest.approx(factor * 4 / sizes.sum(), abs=MONTE_CARLO_ERRORS * error)


def test_known_values():
    """Eldridge et al. 2006: with size_cv the mean size is multiplied by 1 + size_cv^2."""
    assert design_effect(site_size=50, icc=0.05) == pytest.approx(3.45)
    assert design_effect(site_size=50, icc=0.05, size_cv=0.6) == pytest.approx(
        1 + (1.36 * 50 - 1) * 0.05
    )
    assert design_effect(site_size=50, icc=0.05, randomised="within_sites") == pytest.approx(0.95)


@given(m=st.floats(2, 100), icc=st.floats(0.001, 0.9), more=st.floats(1.01, 3))
def test_sites_as_a_whole_cost_subjects_and_arms_within_save_them(m, icc, more):
    whole = design_effect(site_size=m, icc=icc)
    assert whole > 1 > design_effect(site_size=m, icc=icc, randomised="within_sites")
    assert design_effect(site_size=more * m, icc=icc) > whole
    assert design_effect(site_size=m, icc=icc, size_cv=0.5) > whole


def test_design_counts_sites_subjects_and_degrees_of_freedom():
    by_site = ClusterDesign(site_size=12, icc=0.1, randomised="by_site")
    assert by_site.n_effective(120) == pytest.approx(120 / 2.1)
    assert by_site.n_sites(121) == 11
    assert by_site.degrees_of_freedom(120) == 8
    within = ClusterDesign(site_size=12, icc=0.1)
    assert within.degrees_of_freedom(120, retained=0.9) == pytest.approx(108 - 10 - 1)
    varying = ClusterDesign(site_size=12, icc=0.1, effect_sd=0.2)
    assert varying.degrees_of_freedom(120) == 9
    assert "both arms in each" in within.words()


@pytest.mark.parametrize(
    ("kws", "message"),
    [
        ({"site_size": 0}, "`site_size` must be a number of subjects above 0"),
        ({"icc": 1.0}, "`icc` must be"),
        ({"icc": -0.1}, "`icc` must be"),
        ({"size_cv": -1.0}, "`size_cv` must be"),
        ({"effect_sd": 0.2, "randomised": "by_site"}, "needs both arms in each site"),
        ({"randomised": "by_patient"}, "`randomised` must be one of"),
    ],
)
def test_bad_sites_are_refused(kws, message):
    with pytest.raises(DesignError, match=message):
        ClusterDesign(**{"site_size": 10, "icc": 0.1} | kws)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_effect_that_varies_between_sites_by_hand(ratio):
    """Sites of m subjects give the mean effect with variance effect_sd^2 / (n / m).

    Against that of n independent subjects, (1 + ratio)^2 / (ratio n).
    """
    n, m, spread = 600.0, 10.0, 0.5
    independent = (1 + ratio) ** 2 / (ratio * n)
    expected = 0.9 + spread**2 / (n / m) / independent
    found = design_effect(
        site_size=m, icc=0.1, randomised="within_sites", effect_sd=spread, ratio=ratio
    )
    assert found == pytest.approx(expected, rel=1e-10)
