"""Counts: R, the formulas of Zhu and Lakkis by hand, simulated trials, properties, bad input."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import assert_result_contract
from reference_cases import load_case
from scipy import integrate, stats

from pmsstats.errors import DesignError
from pmsstats.power.counts import power_counts, sample_size_counts

R = load_case("power_counts")
PLAIN = {"rate": 0.8, "rate_ratio": 0.6, "dispersion": 1.0, "follow_up": 2.0}
SAME_POWER = 1e-8  # of a root found by bisection


def detail(result, name: str) -> float:
    return next(value for quantity, value, _ in result.details if quantity == name)


@pytest.mark.parametrize("row", R.input.to_dict("records"), ids=lambda r: r["design"])
def test_subjects_agree_with_r(row: dict) -> None:
    """Witness: information from dnbinom, in R (stored)."""
    expected = R.rows("n").set_index("term").loc[row["design"]]
    found = sample_size_counts(**{k: v for k, v in row.items() if k != "design"})
    assert found.value == pytest.approx(expected["value"], rel=expected["rtol"])
    assert 0 <= sum(found.n) - expected["value"] < 3


@pytest.mark.parametrize("ratio", [1.0, 2.0])
@pytest.mark.parametrize("method", ["reference", "separate", "pooled"])
def test_power_is_the_formula_of_the_paper(method: str, ratio: float) -> None:
    """Witness: Zhu and Lakkis 2014, their three variances without effect, by hand."""
    r0, r1, k, t, n0 = 0.8, 0.8 * 0.7, 0.5, 0.75, 150
    v1 = (1 / r0 + 1 / (ratio * r1)) / t + (1 + ratio) * k / ratio
    v0 = {
        "reference": (1 + ratio) / (t * ratio * r0) + (1 + ratio) * k / ratio,
        "separate": v1,
        "pooled": (1 + ratio) ** 2 / (t * ratio * (r0 + ratio * r1)) + (1 + ratio) * k / ratio,
    }[method]
    gap = math.sqrt(n0) * -math.log(0.7)
    expected = stats.norm.cdf((gap - stats.norm.isf(0.025) * math.sqrt(v0)) / math.sqrt(v1))
    found = power_counts(
        n=(n0, int(ratio * n0)),
        rate=r0,
        rate_ratio=0.7,
        dispersion=k,
        follow_up=t,
        method=method,
        alpha=0.025,
        sides=1,
    )
    assert found.power == pytest.approx(expected, rel=1e-10)


def log_rate(y: np.ndarray, t: np.ndarray, dispersion: float) -> np.ndarray:
    """Return the maximum likelihood log rate of each trial, by Fisher scoring."""
    eta = np.log(np.maximum(y.sum(axis=1), 0.5) / t.sum(axis=1))
    for _ in range(12):
        mean = np.exp(eta)[:, None] * t
        weight = 1 / (1 + dispersion * mean)
        eta = eta + ((y - mean) * weight).sum(axis=1) / (mean * weight).sum(axis=1)
    return eta


def variance(eta: np.ndarray, t: np.ndarray, dispersion: float) -> np.ndarray:
    mean = np.exp(eta)[:, None] * t
    return 1 / (mean / (1 + dispersion * mean)).sum(axis=1)


@pytest.mark.parametrize("method", ["separate", "pooled"])
@pytest.mark.parametrize("rate_ratio", [0.6, 1.0])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_power_by_simulation(method: str, rate_ratio: float, dropout: float) -> None:
    """Witness: simulated trials, rates by maximum likelihood with each subject's own time."""
    n, k, n_trials, rng = 150, 0.8, 4000, np.random.default_rng(41)
    rates, eta, own = (0.9, 0.9 * rate_ratio), [], []
    counts, times = [], []
    for rate in rates:
        hazard = max(-math.log1p(-dropout), 1e-9)  # where nobody is lost: after aeons
        t = np.minimum(1.5, rng.exponential(size=(n_trials, n)) / hazard)
        y = rng.poisson(rate * t * rng.gamma(1 / k, k, size=t.shape))
        counts.append(y)
        times.append(t)
        eta.append(log_rate(y, t, k))
        own.append(variance(eta[-1], t, k))
    common = log_rate(np.hstack(counts), np.hstack(times), k)
    spread = {
        "separate": own[0] + own[1],
        "pooled": variance(common, times[0], k) + variance(common, times[1], k),
    }[method]
    share = np.mean(np.abs(eta[1] - eta[0]) / np.sqrt(spread) >= stats.norm.isf(0.025))
    found = power_counts(
        n=2 * n,
        rate=0.9,
        rate_ratio=rate_ratio,
        dispersion=k,
        follow_up=1.5,
        dropout=dropout,
        method=method,
    )
    mcse = math.sqrt(found.power * (1 - found.power) / n_trials)
    assert abs(share - found.power) < 4 * mcse
    assert detail(found, "n_events") == pytest.approx(
        np.mean([y.sum(axis=1).mean() for y in counts]) * 2, rel=0.01
    )


@pytest.mark.parametrize("method", ["reference", "separate", "pooled"])
@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_what_is_solved_gives_the_power_back(method: str, ratio: float) -> None:
    given_ = {"method": method, "ratio": ratio, "dropout": 0.1, "power": 0.85}
    size = sample_size_counts(**PLAIN, **given_)
    assert 0.85 <= size.power < 0.87
    again = power_counts(n=size.n, **PLAIN, **{k: v for k, v in given_.items() if k != "power"})
    assert again.power == size.power
    rest = {k: v for k, v in PLAIN.items() if k != "rate_ratio"}
    effect = sample_size_counts(solve="effect", n=size.n, **rest, **given_)
    assert effect.power == pytest.approx(0.85, abs=SAME_POWER)
    assert 0.6 <= math.exp(effect.effect) < 0.62
    rest = {k: v for k, v in PLAIN.items() if k != "follow_up"}
    duration = sample_size_counts(solve="duration", n=size.n, **rest, **given_)
    assert duration.power == pytest.approx(0.85, abs=SAME_POWER)
    assert 1.8 < duration.value <= 2.0 + 1e-9


@settings(max_examples=15)
@given(st.floats(0.4, 0.9), st.floats(0.3, 3.0), st.floats(0.0, 3.0), st.floats(0.0, 0.4))
def test_power_rises_with_subjects_and_follow_up(ratio, rate, dispersion, dropout) -> None:
    given_ = {"rate": rate, "rate_ratio": ratio, "dispersion": dispersion, "dropout": dropout}
    base = power_counts(n=200, follow_up=1.0, **given_).power
    assert power_counts(n=300, follow_up=1.0, **given_).power > base
    assert power_counts(n=200, follow_up=1.5, **given_).power > base
    assert power_counts(n=200, follow_up=1.0, **{**given_, "dispersion": dispersion + 1}).power < (
        base
    )
    mean = power_counts(n=200, follow_up=1.0, exposure="mean", **given_).power
    assert mean >= base - 1e-12


def test_swapping_arms_flips_the_sign() -> None:
    one = power_counts(n=(100, 160), rate=1.0, rate_ratio=0.5, dispersion=0.7, follow_up=1.0)
    other = power_counts(n=(160, 100), rate=0.5, rate_ratio=2.0, dispersion=0.7, follow_up=1.0)
    assert other.effect == pytest.approx(-one.effect)
    assert other.power == pytest.approx(one.power, rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"dropout": 0.1}, {"dropout": (0.1, 0.2), "ratio": 2.0}])
def test_result_honours_the_contract(options: dict) -> None:
    assert_result_contract(sample_size_counts(**PLAIN, **options))


BAD = [
    ({"rate_ratio": 1.0}, "no number of subjects will do"),
    ({"power": 0.05}, "not above `alpha"),
    ({"rate": 0.0}, "`rate` must be"),
    ({"dispersion": -0.1}, "`dispersion` must be"),
    ({"follow_up": 0.0}, "`follow_up` must be"),
    ({"dropout": 1.0}, "`dropout` must be"),
    ({"method": "pool"}, "Did you mean 'pooled'?"),
    ({"exposure": "own"}, "`exposure` must be"),
    ({"rate_ratio": None}, "`rate_ratio` is needed to find the number of subjects"),
    ({"n": 100}, "`n=100` is what solve='n' looks for: leave it out"),
    ({"solve": "effect", "n": 100}, "`rate_ratio=0.6` is what solve='effect' looks for"),
    ({"solve": "duration", "follow_up": None}, "`n` is needed to find the duration"),
    ({"solve": "effect", "n": 6, "rate_ratio": None}, "No `effect`"),
    ({"solve": "duration", "n": 20, "follow_up": None}, "No `follow_up`"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_input_is_refused(options: dict, message: str) -> None:
    with pytest.raises(DesignError, match=re.escape(message)):
        sample_size_counts(**{**PLAIN, **options})


@pytest.mark.parametrize("method", ["separate", "pooled", "reference"])
def test_counts_with_unequal_dropout_by_quadrature(method):
    """Zhu and Lakkis 2014, with each subject's own time: rate t / (1 + k rate t), averaged."""
    n, rates, k, years = (60, 90), (0.8, 0.44), 0.7, 1.5
    hazards = [-math.log(1 - share) for share in (0.4, 0.05)]

    def known(rate, h):
        def information(t):
            return rate * t / (1 + k * rate * t)

        lost = integrate.quad(lambda t: h * math.exp(-h * t) * information(t), 0, years)[0]
        return lost + math.exp(-h * years) * information(years)

    def error(supposed):
        pairs = zip(n, supposed, hazards, strict=True)
        return math.sqrt(sum(1 / (size * known(rate, h)) for size, rate, h in pairs))

    seen = [size * (1 - math.exp(-h * years)) / h for size, h in zip(n, hazards, strict=True)]
    common = (seen[0] * rates[0] + seen[1] * rates[1]) / sum(seen)
    null = {"separate": rates, "pooled": (common, common), "reference": (0.8, 0.8)}[method]
    bound, gap = stats.norm.isf(0.025) * error(null), math.log(0.8 / 0.44)
    expected = stats.norm.cdf((gap - bound) / error(rates))
    expected += stats.norm.cdf((-gap - bound) / error(rates))
    found = power_counts(
        n=n, rate=0.8, rate_ratio=0.55, dispersion=k, follow_up=years, dropout=(0.4, 0.05),
        method=method,
    )  # fmt: skip
    assert found.power == pytest.approx(expected, abs=1e-8)  # quadrature
