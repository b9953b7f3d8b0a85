"""Times to events, derived and drawn: worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from trial_cases import analysis_of, scenario_of

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.errors import DesignError
from pmsstats.trials.analyses import event_days
from pmsstats.trials.analyses.event_times import EventTimes, event_times
from tests.trials.analyses.small_trials import EDSS, ENDPOINTS, INF, courses, window


def times(endpoint: str, data: TrialArrays, **fields) -> EventTimes:
    """Times as an analysis sees them."""
    analysis = analysis_of("log_rank", endpoint=endpoint, **fields)
    return event_times(window(analysis, data, endpoints=ENDPOINTS, events=("discontinuation",)))


def test_drawn_events_by_hand():
    """A window of days 84 to 252: before, inside, after it; left before; left inside."""
    data = courses(
        {"edss": [[4.0] * 5] * 5}, 5, event_day=[50.0, 100.0, 300.0, INF, INF],
        exit_day=np.array([[336.0, 336.0, 336.0, 60.0, 200.0]]),
    )  # fmt: skip
    found = times("latent", data, from_week=12, to_week=36)
    np.testing.assert_array_equal(found.at_risk[0], [False, True, True, False, True])
    np.testing.assert_array_equal(found.event[0], [False, True, False, False, False])
    np.testing.assert_array_equal(found.duration[0], [0, 16, 168, 0, 116])
    analysis = analysis_of("log_rank", endpoint="latent", from_week=12, to_week=36)
    scenario = scenario_of(analysis, endpoints=ENDPOINTS, weeks=EDSS, n=5)
    known = event_days(scenario, analysis, data)
    np.testing.assert_array_equal(known[0], [INF, 100.0, INF, INF, INF])


def test_stopping_as_an_event_by_hand():
    """First of stopping and event counts; who had either before the window is not at risk."""
    data = courses(
        {"edss": [[4.0] * 5] * 5}, 5, event_day=[INF, 150.0, 150.0, INF, INF],
        stop=[200.0, 100.0, 200.0, 50.0, 300.0],
    )  # fmt: skip
    strategies = {"discontinuation": "composite"}
    found = times("latent", data, from_week=12, to_week=36, strategies=strategies)
    np.testing.assert_array_equal(found.at_risk[0], [True, True, True, False, True])
    np.testing.assert_array_equal(found.event[0], [True, True, True, False, False])
    np.testing.assert_array_equal(found.duration[0], [116, 16, 66, 0, 168])


def test_derived_events_of_a_later_window_are_known_on_days_from_entry():
    rows = [[4.0, 4.0, 5.0, 5.0, 5.0], [4.0, 5.0, 5.0, 5.0, 5.0], [3.0, 4.0, 4.0, 5.0, 5.0]]
    data = courses({"edss": rows}, 3)
    found = times("cdp", data, from_week=12)
    np.testing.assert_array_equal(found.event[0], [True, False, True])
    np.testing.assert_array_equal(found.duration[0], [84, 252, 168])
    analysis = analysis_of("log_rank", endpoint="cdp", from_week=12)
    scenario = scenario_of(analysis, endpoints=ENDPOINTS, weeks=EDSS, n=3)
    np.testing.assert_array_equal(event_days(scenario, analysis, data)[0], [252, INF, 336])


def test_a_composite_is_the_first_of_its_parts():
    """20 % of either hand, confirmed after 12 weeks: left at 12, right at 24, none, both."""
    good, early, late = [20.0] * 5, [20, 25, 25, 25, 25], [20, 20, 25, 25, 25]
    values = {
        "nhpt_dominant_s": [early, good, good, late],
        "nhpt_nondominant_s": [good, late, good, early],
    }
    data = courses(values, 4)
    found = times("hands", data)
    np.testing.assert_array_equal(found.event[0], [True, True, False, True])
    np.testing.assert_array_equal(found.duration[0], [84, 168, 336, 84])
    analysis = analysis_of("log_rank", endpoint="hands")
    scenario = scenario_of(analysis, endpoints=ENDPOINTS, weeks=EDSS, n=4)
    np.testing.assert_array_equal(event_days(scenario, analysis, data)[0], [168, 252, INF, 168])


def test_relapses_near_the_onset_count_on_their_own_day():
    """In a window from week 12, worse at week 24: of two relapses, one is too near to it."""
    rows = [[4.0, 4.0, 5.0, 5.0, 5.0]] * 4
    relapses = (np.zeros(2, int), np.array([1, 3]), np.array([161.0, 40.0]))
    data = courses({"edss": rows}, 4, relapses=relapses)
    found = times("pira", data, from_week=12)
    np.testing.assert_array_equal(found.event[0], [True, False, True, True])
    gone = data.replace(exit_day=np.array([[336.0, 160.0, 336.0, 336.0]]))
    np.testing.assert_array_equal(times("pira", gone, from_week=12).event[0], [True] * 4)


def test_a_rule_about_another_measure_is_refused():
    values = {"edss": [[4.0] * 5] * 4, "nhpt_dominant_s": [[20.0] * 5] * 4}
    with pytest.raises(DesignError, match="'nhpt_dominant_s', but its rule 'cdp12' is about edss"):
        times("wrong", courses(values, 4))


def test_a_composite_says_which_measure_it_lacks_and_what_to_do():
    with pytest.raises(DesignError, match=r"needs 'nhpt_nondominant_s'.*add one of"):
        times("hands", courses({"nhpt_dominant_s": [[20.0] * 5] * 4}, 4))
