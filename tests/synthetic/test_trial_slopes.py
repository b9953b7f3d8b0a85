"""Outcomes on straight lines. Witnesses: closed-form moments, and the same people otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from plain_trials import LINE, WEEKS, halves, scenario

from pmsstats.trials.scenario import IntercurrentEvent
from synthetic import generate_trials

ERRORS = 4
R, N = 400, 100
DAYS = 7.0 * np.array(WEEKS)
YEARS = DAYS / 365.25
EXACT = 1e-9
"""Of sums of numbers around 100 in double precision."""


def draw(trial, arm=None, name="y"):
    n = trial.accrual.n_subjects
    arm = halves(R, n) if arm is None else arm
    return generate_trials(trial, 11, first=0, last=R, arm=arm).values[name]


def draw_all(trial, arm=None):
    n = trial.accrual.n_subjects
    return generate_trials(trial, 11, first=0, last=R, arm=halves(R, n) if arm is None else arm)


def assert_rate(n, years, rate):
    """Events over person-time, within Poisson errors."""
    assert n > 50
    assert abs(np.log(n / years / rate)) < ERRORS / np.sqrt(n)


def assert_mean(values, expected, axis=None):
    """Means lie within Monte Carlo errors of what they should be."""
    error = values.std(axis=axis) / np.sqrt(values.size if axis is None else len(values))
    assert (np.abs(values.mean(axis=axis) - expected) < ERRORS * error).all()


def test_moments_are_those_of_the_mixed_model():
    """Covariance Z D Z' + s2 I, mean a straight line; the errors of covariances are Wishart's."""
    values = draw(scenario(n=N))[:, :50].reshape(-1, 5)
    assert_mean(values, 100 - 2 * YEARS, axis=0)
    Z = np.column_stack([np.ones(5), YEARS])
    D = np.array([[25.0, 0.3 * 5 * 1.5], [0.3 * 5 * 1.5, 2.25]])
    V = Z @ D @ Z.T + np.eye(5)
    found = np.cov(values.T)
    error = np.sqrt((V**2 + np.outer(np.diag(V), np.diag(V))) / len(values))
    assert (np.abs(found - V) < ERRORS * error).all()


EFFECTS = [
    ("slowing", {"slowing": 0.3}, 0.6 * YEARS),
    ("slope difference", {"slope_difference": -0.5}, -0.5 * YEARS),
    ("delay", {"slowing": 0.3, "onset_years": 0.75}, 0.6 * np.maximum(YEARS - 0.75, 0)),
    ("early loss", {"pseudo_atrophy": 0.8}, -0.8 * (1 - np.exp(-YEARS / 0.25))),
    ("its time", {"pseudo_atrophy": 0.8, "pseudo_atrophy_years": 1.0}, -0.8 * (1 - np.exp(-YEARS))),
]  # fmt: skip


@pytest.mark.parametrize(("what", "effect", "added"), EFFECTS, ids=[e[0] for e in EFFECTS])
def test_treatment_adds_what_it_says_to_the_same_people(what, effect, added):
    treated, plain = (draw(scenario(effects=({}, given), n=20)) for given in (effect, {}))
    expected = np.broadcast_to(added, (R, 10, 5))
    np.testing.assert_allclose((treated - plain)[:, 10:], expected, atol=EXACT)
    assert (treated[:, :10] == plain[:, :10]).all()


def test_slowing_is_of_the_change_beyond_ageing():
    ageing = LINE | {"ageing_rate": -0.5}
    both = (draw(scenario(settings=ageing, effects=({}, e), n=20)) for e in ({"slowing": 0.3}, {}))
    gain = np.subtract(*both)[:, 10:]
    np.testing.assert_allclose(gain, np.broadcast_to(0.45 * YEARS, gain.shape), atol=EXACT)


def test_swapping_arms_gives_the_same_people_the_other_treatment():
    trial = scenario(effects=({}, {"slowing": 0.3}), n=20)
    arm = halves(R, 20)
    one, other = draw(trial, arm), draw(trial, 1 - arm)
    gain = np.where(arm[..., None] == 1, 0.6 * YEARS, -0.6 * YEARS)
    np.testing.assert_allclose(one - other, gain, atol=EXACT)


def test_who_stops_goes_on_as_in_the_reference_arm():
    """By hand: the gain of the treated arm up to stopping, that of the reference from there on."""
    effects = ({"slowing": 0.2, "onset_years": 1.0}, {"slowing": 0.5, "pseudo_atrophy": 0.6})
    stopping = (IntercurrentEvent(rate=0.6),)
    trial = scenario(effects=effects, n=20, intercurrent=stopping)
    arm = np.ones((R, 20), dtype=int)
    drawn = generate_trials(trial, 11, first=0, last=R, arm=arm)
    plain = draw(scenario(n=20), arm)

    def mine(year):
        return 1.0 * year - 0.6 * (1 - np.exp(-year / 0.25))

    def reference(year):
        return 0.4 * np.maximum(year - 1.0, 0)

    last = np.where(np.isfinite(drawn.stop_day), drawn.stop_day / 365.25, 10.0)[..., None]
    until = np.minimum(YEARS, last)
    expected = mine(until) + reference(YEARS) - reference(until)
    np.testing.assert_allclose(drawn.values["y"] - plain, expected, atol=EXACT)
    share = np.isfinite(drawn.stop_day).mean()
    assert abs(share - (1 - np.exp(-0.6 * YEARS[-1]))) < ERRORS * 0.5 / np.sqrt(drawn.arm.size)


def test_an_effect_that_continues_does_not_stop():
    effects = ({}, {"slowing": 0.5})
    rescue = (IntercurrentEvent(name="rescue", rate=0.6, effect_after="continues"),)
    with_it = draw(scenario(effects=effects, n=20, intercurrent=rescue))
    np.testing.assert_array_equal(with_it, draw(scenario(effects=effects, n=20)))


def test_windows_move_visits_and_measurements_with_them():
    trial = scenario(settings=LINE | {"residual_sd": 0.0, "slope_sd": 0.0}, window_days=10, n=20)
    drawn = generate_trials(trial, 11, first=0, last=R)
    moved = drawn.day - 7 * np.array(WEEKS)
    assert set(np.unique(moved)) == set(range(-10, 11))
    assert (moved[..., 0] == 0).all()
    change = drawn.values["y"] - drawn.values["y"][..., :1]
    np.testing.assert_allclose(change, -2 * drawn.day / 365.25, atol=EXACT)


def test_a_marker_says_who_gains():
    effects = ({}, {"slowing": 0.5, "effect_in_negatives": 0.2})
    marked = LINE | {"marker_share": 0.4}
    drawn = [
        generate_trials(scenario(settings=marked, effects=e, n=N), 11, first=0, last=R,
                        arm=halves(R, N))
        for e in (effects, ({}, {}))
    ]  # fmt: skip
    marker = drawn[0].baseline["marker"][:, 50:]
    assert_mean(marker, 0.4)
    gain = (drawn[0].values["y"] - drawn[1].values["y"])[:, 50:]
    expected = np.where(marker == 1, 1.0, 0.2)[..., None] * YEARS
    np.testing.assert_allclose(gain, expected, atol=EXACT)


TWO = {
    "outcomes": [
        {"measure": "brain_ml", "intercept": 1400.0, "rate": -7.0, "intercept_sd": 50.0,
         "slope_sd": 5.0, "residual_sd": 4.0, "correlation": 0.3},
        {"measure": "walk_s", "intercept": 8.0, "rate": 0.5, "intercept_sd": 2.0, "slope_sd": 0.7,
         "residual_sd": 0.6},
    ],
    "slope_correlations": [[1, -0.5], [-0.5, 1]],
    "intercept_correlations": [[1, 0.2], [0.2, 1]],
    "residual_correlations": [[1, 0.4], [0.4, 1]],
}  # fmt: skip


def two(settings=TWO, effects=({}, {}), **changes):
    names = ("brain_ml", "walk_s", *(("progression",) if "hazard" in settings else ()))
    return scenario("correlated_outcomes", settings, effects, measures=names, **changes)


def test_outcomes_correlate_as_described():
    """Closed form: the covariance between outcomes, from slopes, intercepts and errors."""
    drawn = generate_trials(two(n=N), 3, first=0, last=R)
    values = np.concatenate([drawn.values[k].reshape(-1, 5) for k in ("brain_ml", "walk_s")], 1)
    slopes = np.array([[1, -0.5], [-0.5, 1]])
    loads = [(50 * 0.3, 50 * np.sqrt(1 - 0.09), 5.0, 4.0), (0.0, 2.0, 0.7, 0.6)]
    own, errors = np.array([[1, 0.2], [0.2, 1]]), np.array([[1, 0.4], [0.4, 1]])
    V = np.empty((10, 10))
    for i, (a, w, s, e) in enumerate(loads):
        for j, (b, x, r, f) in enumerate(loads):
            lines = np.outer(a + s * YEARS, b + r * YEARS) * slopes[i, j]
            block = lines + w * x * own[i, j] + e * f * errors[i, j] * np.eye(5)
            V[5 * i : 5 * i + 5, 5 * j : 5 * j + 5] = block
    error = np.sqrt((V**2 + np.outer(np.diag(V), np.diag(V))) / len(values))
    assert (np.abs(np.cov(values.T) - V) < ERRORS * error).all()


def test_progression_comes_earlier_where_tissue_is_lost_faster():
    """Without errors the slope is known: events over person-time by its thirds, and in all.

    The log hazard falls by the loading per SD of the slope (negative is worse); its mean over
    subjects is the rate given, and that of the treated is so many times the ratio.
    """
    sharp = [o | {"residual_sd": 0.0, "intercept_sd": 0.0} for o in TWO["outcomes"]]
    settings = TWO | {"outcomes": sharp, "hazard": 0.02, "hazard_loadings": {"brain_ml": 0.5}}
    trial = two(settings, ({}, {"hazard_ratio": 0.5}), n=2 * N, weeks=(0, 52))
    drawn = generate_trials(trial, 3, first=0, last=R, arm=halves(R, 2 * N))
    path = drawn.values["brain_ml"]
    slope = ((path[..., 1] - path[..., 0]) / (364 / 365.25) + 7.0) / 5.0
    event = np.isfinite(drawn.baseline["event_day"])
    time = np.minimum(drawn.baseline["event_day"], drawn.exit_day) / 365.25
    treated = drawn.arm == 1
    expected = 0.02 * np.exp(-0.5 * slope - 0.125) * np.where(treated, 0.5, 1.0) * time
    for who in (slope < -0.5, slope > 0.5, treated, ~treated):
        found = event[who].sum()
        assert abs(found - expected[who].sum()) < ERRORS * np.sqrt(expected[who].sum())
    happened = drawn.values["progression"][..., 1] == 1
    np.testing.assert_array_equal(happened, drawn.baseline["event_day"] <= 364)


def test_effects_may_differ_between_outcomes():
    effects = ({}, {"slowing": 0.4, "slowing_walk_s": 0.1, "pseudo_atrophy": {"brain_ml": 3.0}})
    arm = halves(R, 20)
    treated, plain = (
        generate_trials(two(effects=e, n=20), 3, first=0, last=R, arm=arm)
        for e in (effects, ({}, {}))
    )
    expected = {
        "brain_ml": 2.8 * YEARS - 3 * (1 - np.exp(-4 * YEARS)),
        "walk_s": -0.05 * YEARS,
    }
    for name, added in expected.items():
        gain = (treated.values[name] - plain.values[name])[:, 10:]
        np.testing.assert_allclose(gain, np.broadcast_to(added, gain.shape), atol=EXACT)


LAST = YEARS[-1]
TRUTHS = [
    ("slowing", {"effects": ({}, {"slowing": 0.3})}, "random_slope", {}, 0.6),
    ("against an active reference",
     {"effects": ({"slowing": 0.1}, {"slowing": 0.3})}, "random_slope", {}, 0.4),
    ("at the last visit", {"effects": ({}, {"slowing": 0.3})}, "mmrm", {}, 0.6 * LAST),
    ("in a window", {"effects": ({}, {"slowing": 0.3})}, "change",
     {"from_week": 26, "to_week": 78}, 0.6 * (YEARS[3] - YEARS[1])),
    ("after an early loss", {"effects": ({}, {"pseudo_atrophy": 1.0})}, "ancova", {},
     -(1 - np.exp(-4 * LAST))),
    ("of a delay", {"effects": ({}, {"slowing": 0.3, "onset_years": 1.0})}, "random_slope", {},
     None),
    ("with an early loss", {"effects": ({}, {"pseudo_atrophy": 1.0})}, "random_slope", {}, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "changes", "method", "analysis", "value"), TRUTHS, ids=[t[0] for t in TRUTHS]
)
def test_true_values_are_closed_forms(what, changes, method, analysis, value):
    trial = scenario(methods=(method,), analysis=analysis, **changes)
    assert generate_trials.truth(trial) == {method: {"a1": value and pytest.approx(value)}}


SILENT = [
    ("stopping", {"intercurrent": (IntercurrentEvent(rate=0.1),)}, {}),
    ("a late baseline", {}, {"from_week": 26}),
    ("a marker", {"settings": LINE | {"marker_share": 0.5}}, {}),
]


@pytest.mark.parametrize(("what", "changes", "analysis"), SILENT, ids=[s[0] for s in SILENT])
def test_without_a_closed_form_nothing_is_said(what, changes, analysis):
    trial = scenario(
        effects=({}, {"slowing": 0.3}), methods=("ancova",), analysis=analysis, **changes
    )
    assert generate_trials.truth(trial) == {}


def test_slopes_of_complete_trials_recover_their_truth():
    """Least squares by subject are unbiased for the slope, on which the truth is said."""
    trial = scenario(effects=({}, {"slowing": 0.3}), n=N)
    centred = YEARS - YEARS.mean()
    slopes = (draw(trial) * centred).sum(axis=2) / (centred**2).sum()
    difference = slopes[:, 50:].mean(axis=1) - slopes[:, :50].mean(axis=1)
    assert_mean(difference, generate_trials.truth(trial)["random_slope"]["a1"])


MARKED = LINE | {"marker_share": 0.5}


def test_who_stops_goes_on_as_the_reference_of_the_same_marker():
    """Positive: 0.5, then the reference's 0.2 of the rate; negative: a tenth of 0.5, then none."""
    effects = (
        {"slowing": 0.2, "effect_in_negatives": 0.0},
        {"slowing": 0.5, "effect_in_negatives": 0.1},
    )
    stopping = (IntercurrentEvent(rate=0.6),)
    arm = np.ones((R, 20), dtype=int)
    drawn = draw_all(scenario(settings=MARKED, effects=effects, n=20, intercurrent=stopping), arm)
    plain = draw_all(scenario(settings=MARKED, n=20), arm)
    positive = drawn.baseline["marker"][..., None] == 1
    until = np.minimum(YEARS, np.minimum(drawn.stop_day, 4000.0)[..., None] / 365.25)
    expected = np.where(positive, until + 0.4 * (YEARS - until), 0.1 * until)
    np.testing.assert_allclose(drawn.values["y"] - plain.values["y"], expected, atol=EXACT)
    assert np.isfinite(drawn.stop_day[~positive[..., 0]]).any()


OUTCOME = {"measure": "walk", "rate": 0.5, "intercept_sd": 0.0, "slope_sd": 0.7, "residual_sd": 0.0}


def progressing(effects, **settings):
    return {
        "model": "correlated_outcomes",
        "settings": {"outcomes": [OUTCOME], "hazard": 0.3, **settings},
        "effects": effects,
        "measures": ("walk", "progression"),
        "methods": ("cox",),
    }


def test_the_hazard_after_stopping_is_that_of_the_reference_of_the_same_marker():
    """By person-time in the treated arm: ratios 0.2 then 0.5 with the marker, 1 without it."""
    effects = (
        {"hazard_ratio": 0.5, "effect_in_negatives": 0.0},
        {"hazard_ratio": 0.2, "effect_in_negatives": 0.0},
    )
    stopping = (IntercurrentEvent(rate=0.7),)
    asked = scenario(**progressing(effects, marker_share=0.5), n=2 * N, intercurrent=stopping)
    drawn = draw_all(asked, np.ones((R, 2 * N), dtype=int))
    event, until = drawn.baseline["event_day"], np.minimum(drawn.baseline["event_day"], DAYS[-1])
    stop = drawn.stop_day
    for marker, before, after in ((1, 0.06, 0.15), (0, 0.3, 0.3)):
        who = drawn.baseline["marker"] == marker
        early, late = np.minimum(until, stop)[who].sum(), np.maximum(until - stop, 0)[who].sum()
        assert_rate((event <= np.minimum(stop, DAYS[-1]))[who].sum(), early / 365.25, before)
        assert_rate(((event > stop) & (event <= DAYS[-1]))[who].sum(), late / 365.25, after)


def test_worse_is_higher_where_higher_is_worse():
    """Walking time rises: who slows down faster has more events; the mean hazard is the given."""
    asked = scenario(**progressing(({}, {}), hazard_loadings={"walk": 0.6}), n=2 * N)
    drawn = draw_all(asked)
    path = drawn.values["walk"]
    score = ((path[..., 1] - path[..., 0]) / YEARS[1] - 0.5) / 0.7
    event = np.isfinite(drawn.baseline["event_day"])
    years = np.minimum(drawn.baseline["event_day"], DAYS[-1]) / 365.25
    hazard = 0.3 * np.exp(0.6 * score - 0.18)
    for who in (score < -0.5, score > 0.5):
        assert_rate(event[who].sum(), 1.0, (hazard * years)[who].sum())


def test_the_mean_hazard_is_that_given_where_slopes_correlate():
    """Closed form up to quadrature: the share with an event, over a normal log hazard."""
    settings = {
        "outcomes": [OUTCOME, OUTCOME | {"measure": "hand"}],
        "slope_correlations": [[1, 0.8], [0.8, 1]],
        "hazard": 1.0, "hazard_loadings": {"walk": 0.7, "hand": 0.7},
    }  # fmt: skip
    asked = scenario(
        "correlated_outcomes", settings, n=N, weeks=(0, 52),
        measures=("walk", "progression"), methods=("cox",),
    )  # fmt: skip
    happened = np.isfinite(draw_all(asked).baseline["event_day"]).mean()
    variance = 0.49 * (1 + 1 + 2 * 0.8)
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    hazard = np.exp(np.sqrt(variance) * points - variance / 2)
    share = weights @ -np.expm1(-hazard * 364 / 365.25) / weights.sum()
    assert abs(happened - share) < ERRORS * np.sqrt(share * (1 - share) / (R * N))


def test_the_early_loss_of_negatives_is_their_share_with_the_same_time_constant():
    effects = ({}, {"pseudo_atrophy": 2.0, "pseudo_atrophy_years": 0.5, "effect_in_negatives": 0.3})
    treated, plain = (
        draw_all(scenario(settings=MARKED, effects=e, n=20)) for e in (effects, ({}, {}))
    )
    share = np.where(treated.baseline["marker"] == 1, 1.0, 0.3)[:, 10:, None]
    gain = (treated.values["y"] - plain.values["y"])[:, 10:]
    np.testing.assert_allclose(gain, -2.0 * share * (1 - np.exp(-2 * YEARS)), atol=EXACT)
