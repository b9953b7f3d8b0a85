"""Shares with progression by a week. Witnesses: lifelines, formulas written out, closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from plain_trials import halves, scenario
from trial_cases import analysis_of, event_trials, scenario_of

from pmsstats.errors import DesignError
from pmsstats.trials.analyses import analyse
from pmsstats.trials.scenario import TrialDropout
from synthetic import generate_trials
from tests.trials.analyses.small_trials import CLOSED, EDSS, ENDPOINTS, INF, courses, run

OF = {"endpoints": ENDPOINTS}


def test_shares_with_progression_by_a_week_and_within_the_windows_of_visits():
    """Visits up to 5 days early or late: those of the day of the last visit by then count."""
    values = {"edss": [[4.0] * 5] * 6}
    data = courses(
        values, 6, event_day=[100.0, 172.0, 200.0, INF, INF, INF],
        exit_day=np.array([[336.0, 336.0, 336.0, 165.0, 150.0, 336.0]]),
    )  # fmt: skip
    counts = {}
    for week, missing in ((24, "no_event"), (24, "excluded"), (30, "excluded"), (48, "no_event")):
        options = {"week": week, "missing": missing}
        analysis = analysis_of("proportion", endpoint="latent", options=options)
        scenario = scenario_of(analysis, endpoints=ENDPOINTS, weeks=EDSS, n=6)
        schedule = type(scenario.schedule)(weeks=EDSS, window_days=5)
        object.__setattr__(scenario, "schedule", schedule)
        batch = analyse(scenario, analysis, data, arms=("active",))
        n = batch.n_reference[0, 0] + batch.n_treated[0, 0]
        counts[week, missing] = (batch.n_events[0, 0], n)
    assert counts == {
        (24, "no_event"): (2, 6),  # day 172 is within 5 days of week 24
        (24, "excluded"): (2, 5),  # who left on day 165 may have had that visit
        (30, "excluded"): (3, 5),  # the last visit by week 30 is that of week 24
        (48, "no_event"): (3, 6),
    }


# Who leaves early --------------------------------------------------------------------------------

MISSING = ("kaplan_meier", "no_event", "event", "excluded")
EFFECTS = ("risk_difference", "log_odds_ratio")


def latent(**options):
    """Shares with the event that was drawn."""
    return analysis_of("proportion", endpoint="latent", options=options)


def numbers(batch):
    """All that depends on the data."""
    return np.array([batch.estimate, batch.std_error, batch.z])[..., 0]


def two_arms(R, sizes=(60, 60), seed=3):
    """Events over two years, some leave; the second arm has fewer."""
    return event_trials(seed, R, sizes, rates=(0.4, 0.25))


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("options", [{}, {"strata": "sex"}, {"week": 48}])
def test_where_nobody_leaves_it_does_not_matter_what_is_made_of_them(effect, options):
    data = two_arms(5)
    data = data.replace(exit_day=np.full(data.arm.shape, 672.0))
    found = [numbers(run(latent(missing=m, effect=effect, **options), data, **OF)) for m in MISSING]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("effect", EFFECTS)
def test_the_default_is_that_of_kaplan_and_meier(effect):
    data = two_arms(5)
    default, named = (
        numbers(run(latent(effect=effect, **more), data, **OF))
        for more in ({}, {"missing": "kaplan_meier"})
    )
    np.testing.assert_array_equal(default, named)
    other = numbers(run(latent(effect=effect, missing="no_event"), data, **OF))
    assert (np.abs(other - default) > 1e-3).all()


def lifelines_share(data, row, who, day):
    """Share with an event by a day and its variance, by lifelines and Greenwood's sum."""
    event_day, end = data.baseline["event_day"][row][who], data.exit_day[row][who]
    fit = KaplanMeierFitter().fit(np.minimum(event_day, end), event_day <= end)
    table = fit.event_table[fit.event_table.index <= day]
    d, y = table["observed"], table["at_risk"]
    survival = float(fit.predict(day))
    return 1 - survival, survival**2 * (d / (y * (y - d))).sum()


@pytest.mark.parametrize("week", [48, 96])
def test_shares_and_errors_are_those_of_lifelines(week):
    data = two_arms(4)
    difference, odds = (run(latent(week=week, effect=e), data, **OF) for e in EFFECTS)
    for row in range(4):
        (p0, v0), (p1, v1) = (
            lifelines_share(data, row, data.arm[row] == a, 7.0 * week) for a in (0, 1)
        )
        logit = [np.log(p / (1 - p)) for p in (p0, p1)]
        of_logits = np.sqrt(sum(v / (p * (1 - p)) ** 2 for p, v in ((p0, v0), (p1, v1))))
        for batch, estimate, error in (
            (difference, p1 - p0, np.sqrt(v0 + v1)), (odds, logit[1] - logit[0], of_logits),
        ):  # fmt: skip
            assert batch.estimate[row, 0] == pytest.approx(estimate, rel=CLOSED)
            assert batch.std_error[row, 0] == pytest.approx(error, rel=CLOSED)
            assert batch.z[row, 0] == pytest.approx(-estimate / error, rel=CLOSED)
        assert difference.n_reference[row, 0] + difference.n_treated[row, 0] == 120


def test_strata_are_weighted_as_by_mantel_and_haenszel():
    data = two_arms(4)
    difference, odds = (run(latent(strata="sex", effect=e), data, **OF) for e in EFFECTS)
    for row in range(4):
        sex, arm = data.baseline["sex"][row], data.arm[row]
        w, p, v = np.empty(2), np.empty((2, 2)), np.empty((2, 2))
        for s, a in np.ndindex(2, 2):
            p[s, a], v[s, a] = lifelines_share(data, row, (sex == s) & (arm == a), 672.0)
        n = np.array([[np.sum((sex == s) & (arm == a)) for a in (0, 1)] for s in (0, 1)])
        w = n.prod(axis=1) / n.sum(axis=1)
        expected = w @ (p[:, 1] - p[:, 0]) / w.sum()
        error = np.sqrt(w**2 @ v.sum(axis=1)) / w.sum()
        assert difference.estimate[row, 0] == pytest.approx(expected, rel=CLOSED)
        assert difference.std_error[row, 0] == pytest.approx(error, rel=CLOSED)

        def log_odds(p, w=w):
            return np.log(w @ (p[:, 1] * (1 - p[:, 0])) / (w @ (p[:, 0] * (1 - p[:, 1]))))

        assert odds.estimate[row, 0] == pytest.approx(log_odds(p), rel=CLOSED)
        slopes = np.empty((2, 2))  # by differences
        for s, a in np.ndindex(2, 2):
            up = np.zeros((2, 2))
            up[s, a] = 1e-6
            slopes[s, a] = (log_odds(p + up) - log_odds(p - up)) / 2e-6
        assert odds.std_error[row, 0] == pytest.approx(np.sqrt((slopes**2 * v).sum()), rel=1e-6)


def test_an_arm_that_nobody_stays_in_until_the_week_has_no_share():
    data = courses(
        {"edss": [[4.0] * 5] * 6}, 6, event_day=[100.0, INF, INF, 150.0, INF, INF],
        exit_day=np.array([[336.0, 336.0, 300.0, 336.0, 200.0, 300.0]]),
    )  # fmt: skip
    batch = run(latent(), data, **OF)
    assert batch.reason[0, 0] == "nobody of an arm is followed until the week"
    early = run(latent(week=24), data, **OF)
    assert early.reason[0, 0] == ""
    assert early.estimate[0, 0] == pytest.approx(0.0, abs=CLOSED)
    assert run(latent(missing="no_event"), data, **OF).reason[0, 0] == ""


HAZARD, RATIO, LAST = 0.2, 0.6, 104 * 7 / 365.25
P0, P1 = -np.expm1(-HAZARD * LAST), -np.expm1(-HAZARD * RATIO * LAST)
TRUE = {"risk_difference": P1 - P0, "log_odds_ratio": np.log(P1 / (1 - P1) * (1 - P0) / P0)}
R = 3000
ERRORS = 4  # Monte Carlo errors that a mean may be away
SMALL_SAMPLE = 0.02  # of a log odds ratio, estimated from some 60 and 90 events: O(1 / n)


def simulated(share, effect, missing):
    """400 patients of exponential hazards, a share of whom leave at random."""
    asked = scenario(
        "event_times", {"hazard": HAZARD}, ({}, {"hazard_ratio": RATIO}), n=400,
        measures=("progression",), methods=("proportion",), dropout=TrialDropout(share=share),
        analysis={"options": {"effect": effect, "missing": missing}},
    )  # fmt: skip
    data = generate_trials(asked, 3, first=0, last=R, arm=halves(R, 400))
    batch = analyse(asked, asked.analyses[0], data, arms=("a1",))
    assert (batch.reason == "").all()
    return batch.estimate[:, 0], batch.std_error[:, 0]


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_dropout_at_random_leaves_no_bias_and_intervals_cover(share, effect):
    estimate, error = simulated(share, effect, "kaplan_meier")
    slack = {"risk_difference": 0.0, "log_odds_ratio": SMALL_SAMPLE}[effect]
    assert abs(estimate.mean() - TRUE[effect]) < ERRORS * estimate.std() / np.sqrt(R) + slack
    covered = np.mean(np.abs(estimate - TRUE[effect]) < 1.959964 * error)
    assert abs(covered - 0.95) < ERRORS * np.sqrt(0.95 * 0.05 / R)


@pytest.mark.parametrize(("missing", "towards"), [("no_event", 1), ("excluded", -1)])
def test_other_ways_are_biased_as_the_docstring_says(missing, towards):
    """Exponential leaving: who is counted has the event before leaving, in closed form."""
    estimate, _ = simulated(0.5, "risk_difference", missing)
    error = estimate.std() / np.sqrt(R)
    leaving = np.log(2) / LAST
    shares = []
    for hazard in (HAZARD, HAZARD * RATIO):
        first = hazard / (hazard + leaving) * -np.expm1(-(hazard + leaving) * LAST)
        stays = np.exp(-(hazard + leaving) * LAST)
        shares.append({"no_event": first, "excluded": first / (first + stays)}[missing])
    assert abs(estimate.mean() - (shares[1] - shares[0])) < ERRORS * error
    assert towards * (estimate.mean() - TRUE["risk_difference"]) > 10 * error


def test_no_effect_is_found_as_often_as_wanted_though_half_leave():
    asked = scenario(
        "event_times", {"hazard": HAZARD}, n=400, measures=("progression",),
        methods=("proportion",), dropout=TrialDropout(share=0.5),
    )  # fmt: skip
    data = generate_trials(asked, 5, first=0, last=R, arm=halves(R, 400))
    z = analyse(asked, asked.analyses[0], data, arms=("a1",)).z[:, 0]
    assert abs(np.mean(np.abs(z) > 1.959964) - 0.05) < ERRORS * np.sqrt(0.05 * 0.95 / R)
    assert abs(z.mean()) < ERRORS / np.sqrt(R)


OPTIONS = [
    ({"missing": "kaplan"}, "`missing`.*'kaplan_meier', 'no_event', 'event', 'excluded', got"),
    ({"week": 0}, "`week` .* above 0, where its window begins, got 0"),
    ({"week": "48"}, "`week` .* must be a number of weeks"),
]


@pytest.mark.parametrize(("options", "words"), OPTIONS)
def test_options_that_make_no_sense_are_refused(options, words):
    with pytest.raises(DesignError, match=words):
        run(latent(**options), two_arms(1), **OF)
