"""Repeated measurements and follow-up in trials. Witnesses: moments, binomials, person-time."""

from __future__ import annotations

import numpy as np
import pytest
from plain_trials import LINE, WEEKS, halves, scenario

from pmsstats.trials.scenario import IntercurrentEvent, TrialDropout
from synthetic import generate_trials

ERRORS = 4
R, N = 400, 100
MEAN = [10.0, 9.0, 8.5, 8.2, 8.0]
APART = np.abs(np.subtract.outer(range(5), range(5)))
SDS = np.array([1.0, 1.2, 1.4, 1.6, 1.8])
EXACT = 1e-9

COVARIANCES = [
    ("common", {"sd": 2.0, "correlation": 0.6}, 4.0 * np.where(APART == 0, 1, 0.6)),
    ("decaying", {"sd": 2.0, "correlation": 0.6, "decay": True}, 4.0 * 0.6**APART),
    ("independent", {"sd": list(SDS)}, np.diag(SDS**2)),
    ("matrix", {"covariance": (np.outer(SDS, SDS) * 0.7**APART).tolist()},
     np.outer(SDS, SDS) * 0.7**APART),
    ("correlations", {"sd": list(SDS), "correlations": (0.7**APART).tolist()},
     np.outer(SDS, SDS) * 0.7**APART),
]  # fmt: skip


def visits(settings, effects=({}, {}), **changes):
    return scenario(
        "repeated", {"mean": MEAN, **settings}, effects, n=N, measures=("outcome",),
        methods=("mmrm",), **changes,
    )  # fmt: skip


def draw(trial, arm=None):
    return generate_trials(trial, 9, first=0, last=R, arm=halves(R, N) if arm is None else arm)


@pytest.mark.parametrize(("what", "settings", "V"), COVARIANCES, ids=[c[0] for c in COVARIANCES])
def test_visits_have_the_mean_and_covariance_given(what, settings, V):
    values = draw(visits(settings)).values["outcome"].reshape(-1, 5)
    assert (np.abs(values.mean(0) - MEAN) < ERRORS * np.sqrt(np.diag(V) / len(values))).all()
    error = np.sqrt((V**2 + np.outer(np.diag(V), np.diag(V))) / len(values))
    assert (np.abs(np.cov(values.T) - V) < ERRORS * error).all()


DIFFERENCES = [
    ("a line to the last visit", {"difference": -2.0}, -2.0 * np.array(WEEKS) / 104),
    ("named visits", {"difference_w26": -1.0, "difference": -2.0},
     [0, -1, -1 - 1 / 3, -1 - 2 / 3, -2]),
    ("then constant", {"difference_w52": -1.0}, [0, -0.5, -1, -1, -1]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "effect", "added"), DIFFERENCES, ids=[d[0] for d in DIFFERENCES])
def test_differences_reach_the_visits_and_their_truth(what, effect, added):
    settings = {"sd": 2.0, "correlation": 0.6}
    treated, plain = (draw(visits(settings, ({}, e))).values["outcome"] for e in (effect, {}))
    gain = (treated - plain)[:, 50:]
    np.testing.assert_allclose(gain, np.broadcast_to(added, gain.shape), atol=EXACT)
    truth = generate_trials.truth(visits(settings, ({}, effect)))
    assert truth == {"mmrm": {"a1": pytest.approx(added[-1])}}


def test_who_stops_keeps_the_difference_gained_so_far():
    effects = ({}, {"difference": -2.0})
    stopping = (IntercurrentEvent(rate=0.6),)
    drawn = draw(visits({"sd": 2.0}, effects, intercurrent=stopping))
    plain = draw(visits({"sd": 2.0}))
    treated = drawn.arm == 1
    until = np.minimum(7 * np.array(WEEKS), drawn.stop_day[treated][:, None])
    gain = (drawn.values["outcome"] - plain.values["outcome"])[treated]
    np.testing.assert_allclose(gain, -2.0 * until / 728, atol=EXACT)


def test_the_share_that_leaves_is_that_asked_for():
    drawn = draw(scenario(n=N, dropout=TrialDropout(share=0.25)))
    size = drawn.arm.size
    for year, expected in ((1.0, 1 - 0.75 ** (365.25 / 728)), (728 / 365.25, 0.25)):
        found = (drawn.exit_day < 365.25 * year).mean()
        assert abs(found - expected) < ERRORS * np.sqrt(expected * (1 - expected) / size)
    assert set(np.unique(drawn.exit_reason)) == {0, 1}


def test_deaths_and_missed_visits_and_scans_have_their_probabilities():
    dropout = TrialDropout(missed_visit=0.1, missed_scan=0.2, death_rate=0.05)
    settings = LINE | {"scan": True}
    drawn = draw(scenario(settings=settings, n=N, imaging_weeks=(0, 52, 104), dropout=dropout))
    died = (drawn.exit_reason == 2).mean()
    expected = 1 - np.exp(-0.05 * 728 / 365.25)
    assert abs(died - expected) < ERRORS * np.sqrt(expected * (1 - expected) / drawn.arm.size)
    seen = ~np.isnan(drawn.values["y"])
    assert seen[..., 0].all()
    assert not seen[..., [1, 3]].any()
    alive = drawn.exit_day >= 364
    error = np.sqrt(0.72 * 0.28 / alive.sum())
    assert abs(seen[..., 2][alive].mean() - 0.72) < ERRORS * error


MECHANISMS = [("mar", slice(0, 4)), ("mnar", slice(1, 5))]


@pytest.mark.parametrize(("mechanism", "which"), MECHANISMS, ids=["mar", "mnar"])
def test_leaving_follows_worsening_seen_or_not(mechanism, which):
    """Events over person-time between visits, by whether the change was worse than expected."""
    leaving = TrialDropout(share=0.3, mechanism=mechanism, log_hazard=0.8)
    drawn, full = draw(scenario(n=N, dropout=leaving)), draw(scenario(n=N)).values["y"]
    day = 7.0 * np.array(WEEKS)
    worse = full - full[..., :1] + 2 * day / 365.25 < 0
    worse[..., 0] = False
    worse = worse[..., which]
    exit_day = drawn.exit_day[..., None]
    time = np.clip(exit_day - day[:-1], 0, np.diff(day)) / 365.25
    left = (exit_day >= day[:-1]) & (exit_day < day[1:])
    rate = -np.log(0.7) / (728 / 365.25)
    for who, hazard in ((worse, rate * np.exp(0.8)), (~worse, rate)):
        n = left[who].sum()
        assert abs(np.log(n / time[who].sum() / hazard)) < ERRORS / np.sqrt(n)


def test_who_is_not_seen_after_an_event_leaves_with_it():
    event = IntercurrentEvent(rate=0.5, seen_after=0.3)
    drawn = draw(scenario(n=N, intercurrent=(event,)))
    happened = np.isfinite(drawn.stop_day)
    stayed = (drawn.exit_day > drawn.stop_day)[happened]
    assert abs(stayed.mean() - 0.3) < ERRORS * np.sqrt(0.21 / happened.sum())
    gone = happened & (drawn.exit_day == drawn.stop_day)
    assert (drawn.exit_reason[gone] == 1).all()
    assert gone.sum() + stayed.sum() == happened.sum()


def test_arms_by_chance_keep_the_ratio():
    drawn = generate_trials(scenario(n=N, effects=({}, {}, {})), 9, first=0, last=R)
    for arm in range(3):
        error = np.sqrt(2 / 9 / drawn.arm.size)
        assert abs((drawn.arm == arm).mean() - 1 / 3) < ERRORS * error
