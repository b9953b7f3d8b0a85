"""Analyses where windows, strategies, strata and combinations meet: worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from trial_cases import analysis_of, event_trials, measured, scenario_of, slope_trials

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.errors import DesignError
from pmsstats.models.mixed.lmm import fit_lmm
from pmsstats.trials.analyses import analyse, event_days
from pmsstats.trials.analyses.comparisons import comparisons_of
from pmsstats.trials.analyses.event_times import EventTimes, event_times
from pmsstats.trials.analyses.windows import TrialWindow, open_window
from pmsstats.trials.outcomes import AnalysisBatch
from pmsstats.trials.scenario import TrialAnalysis, TrialArm, TrialEndpoint

INF = np.inf
CLOSED = 1e-9  # the same formula in another order
FITTED = 1e-6  # where a likelihood has to be climbed
WEEKS = (0, 24, 48)


def small(values, arm, *, weeks=WEEKS, **changes) -> TrialArrays:
    """One trial; values by subject and visit, missing ones as None."""
    array = np.array([[np.nan if v is None else v for v in row] for row in values])[None]
    n, never = len(arm), np.full((1, len(arm)), INF)
    fields = {
        "arms": ("placebo", "active"),
        "arm": np.array([arm]),
        "weeks": weeks,
        "day": 7.0 * np.array(weeks)[None, None],
        "values": {"volume": array},
        "exit_day": np.full((1, n), 7.0 * weeks[-1]),
        "exit_reason": np.zeros((1, n), int),
        "stop_day": never,
        "intercurrent": {},
    }
    return TrialArrays(**{**fields, **changes})


def window(analysis: TrialAnalysis, data: TrialArrays, **fields) -> TrialWindow:
    """What an analysis looks at."""
    fields = {"weeks": data.weeks, "n": data.n_subjects, **fields}
    scenario = scenario_of(analysis, **fields)
    return open_window(scenario, analysis, data, comparisons_of(scenario, analysis, ("active",)))


def run(analysis: TrialAnalysis, data: TrialArrays, **fields) -> AnalysisBatch:
    """The comparison of two arms."""
    fields = {"weeks": data.weeks, "n": data.n_subjects, **fields}
    return analyse(scenario_of(analysis, **fields), analysis, data, arms=("active",))


# Changes, and repeated measures -----------------------------------------------------------------

STOPS = np.array([[INF, INF, INF, 168.0, 200.0, INF]])
RESCUE = np.array([[INF, INF, INF, INF, 100.0, INF]])
ROWS = [
    [10.0, 9.0, 8.0], [10.0, 9.5, 8.5], [10.0, 9.9, 9.0], [10.0, 9.7, 6.0], [10.0, 9.2, 5.0],
    [10.0, 9.6, 9.2],
]  # fmt: skip
STOPPED = small(
    ROWS, [0, 0, 0, 1, 1, 1], intercurrent={"discontinuation": STOPS, "rescue": RESCUE}
)  # fmt: skip
CASES = [
    ("a value on the day of stopping counts", {"discontinuation": "hypothetical"}, {"week": 24},
     np.mean([-0.3, -0.8, -0.4]) - np.mean([-1.0, -0.5, -0.1])),
    ("who stops after the visit has not failed", {"discontinuation": "composite"},
     {"week": 24, "failure_change": -9.0}, np.mean([-9.0, -0.8, -0.4]) - np.mean([-1, -0.5, -0.1])),
    ("nothing is carried past an event with another strategy",
     {"discontinuation": "while_on_treatment", "rescue": "hypothetical"}, {},
     np.mean([-0.3, -0.8]) - np.mean([-2.0, -1.5, -1.0])),
]  # fmt: skip


@pytest.mark.parametrize(("what", "strategies", "options", "expected"), CASES,
                         ids=[c[0] for c in CASES])  # fmt: skip
def test_changes_by_hand(what, strategies, options, expected):
    analysis = analysis_of("change", strategies=strategies, options=options)
    batch = run(analysis, STOPPED, events=("discontinuation", "rescue"))
    assert batch.estimate[0, 0] == pytest.approx(expected, rel=CLOSED)


def with_stops(data: TrialArrays, seed: int) -> TrialArrays:
    """Some stop somewhere in between."""
    rng = np.random.default_rng(seed)
    day = rng.uniform(30, 1500, data.arm.shape)
    return data.replace(stop_day=day, intercurrent={"discontinuation": day})


def test_repeated_measures_while_on_treatment_are_those_of_values_carried_forward():
    data = with_stops(slope_trials(51, 3, (25, 25), dropout=0.0), 52)
    analysis = analysis_of("mmrm", strategies={"discontinuation": "while_on_treatment"})
    found = run(analysis, data, events=("discontinuation",))
    by_hand = measured(data, "volume").copy()
    days = 7 * np.array(data.weeks)
    for r, i in np.ndindex(*data.arm.shape):
        on = days <= data.stop_day[r, i]
        by_hand[r, i, ~on] = by_hand[r, i, on][-1]
    expected = run(analysis_of("mmrm"), data.replace(values={"volume": by_hand}))
    np.testing.assert_array_equal(found.estimate, expected.estimate)
    policy = run(analysis_of("mmrm"), data)
    hypothetical = run(
        analysis_of("mmrm", strategies={"discontinuation": "hypothetical"}), data,
        events=("discontinuation",),
    )  # fmt: skip
    for other in (policy, hypothetical):
        assert (np.abs(other.estimate - found.estimate) > 1e-3).all()


@pytest.mark.parametrize("baseline", ["none", "change"])
def test_repeated_measures_at_complete_visits_are_two_sample_tests(baseline):
    """Means by arm and visit and any covariance: at the last visit, what a t test compares."""
    data = slope_trials(56, 3, (25, 20), dropout=0.0)
    batch = run(analysis_of("mmrm", options={"baseline": baseline}, to_week=48), data)
    y = measured(data, "volume")
    y = y[..., 2] - (y[..., 0] if baseline == "change" else 0.0)
    for row in range(3):
        groups = [y[row][data.arm[row] == a] for a in (0, 1)]
        pooled = sum(((g - g.mean()) ** 2).sum() for g in groups) / 43
        error = np.sqrt(pooled * (1 / 25 + 1 / 20))
        assert batch.estimate[row, 0] == pytest.approx(groups[1].mean() - groups[0].mean())
        assert batch.std_error[row, 0] == pytest.approx(error, rel=FITTED)
        assert batch.df[row, 0] == pytest.approx(43, rel=1e-4)


@pytest.mark.parametrize("method", ["random_slope", "multivariate"])
def test_a_shift_of_one_arm_does_not_move_slopes_in_a_later_window(method):
    data = slope_trials(53, 3, (25, 25), measures=("volume", "walk"), slopes=(-1.0, -0.5))
    up = 0.8 * (data.arm == 1)[..., None]
    moved = {name: measured(data, name) + up for name in ("volume", "walk")}
    endpoints = tuple(TrialEndpoint(name=n, measure=n) for n in ("volume", "walk"))
    analysis = analysis_of(method, from_week=24, endpoints=("volume", "walk"))
    one, other = (run(analysis, d, endpoints=endpoints) for d in (data, data.replace(values=moved)))
    np.testing.assert_allclose(one.estimate, other.estimate, rtol=2e-3)
    np.testing.assert_allclose(one.std_error, other.std_error, rtol=2e-3)


def test_a_formula_sees_planned_weeks_and_years_from_the_start_of_the_window():
    rng = np.random.default_rng(54)
    data = slope_trials(55, 2, (20, 20), slopes=(-1.0, -0.4))
    moved = data.day + np.where(np.arange(5) > 0, rng.integers(-20, 21, (2, 40, 5)), 0)
    data = data.replace(day=moved)
    formula = "volume ~ year + year:arm + week + baseline + (1 | subject_id)"
    batch = run(analysis_of("model", formula=formula, from_week=24), data)
    value = measured(data, "volume")[1]
    table = pd.DataFrame(
        {
            "subject_id": np.repeat(np.arange(40), 4),
            "year": ((moved[1][:, 1:] - 168) / 365.25).ravel(),
            "week": np.tile([24.0, 48.0, 72.0, 96.0], 40),
            "arm": pd.Categorical(np.repeat(data.arm[1], 4)),
            "volume": value[:, 1:].ravel(),
            "baseline": np.repeat(value[:, 1], 4),
        }
    ).dropna()
    fit = fit_lmm(table.reset_index(drop=True), formula, df_method="satterthwaite")
    line = fit.table().set_index("term").loc["year:arm[T.1]"]
    assert batch.estimate[1, 0] == pytest.approx(line["estimate"], rel=FITTED)
    assert batch.std_error[1, 0] == pytest.approx(line["std_error"], rel=FITTED)


# Times to events ---------------------------------------------------------------------------------

EDSS = (0, 12, 24, 36, 48)
ENDPOINTS = (
    TrialEndpoint(name="latent", measure="edss"),
    TrialEndpoint(name="cdp", measure="edss", rule="cdp12", better="lower"),
    TrialEndpoint(name="hands", measure="nhpt_dominant_s", rule="nhpt20_either", better="lower"),
    TrialEndpoint(name="pira", measure="edss", rule="pira_kappos2020_edss", better="lower"),
    TrialEndpoint(name="wrong", measure="nhpt_dominant_s", rule="cdp12", better="lower"),
)


def courses(values: dict, n: int, event_day=None, **changes) -> TrialArrays:
    """Subjects of one trial, the second half treated; any measures."""
    stop = np.array([changes.pop("stop", [INF] * n)])
    arm = [0] * (n - n // 2) + [1] * (n // 2)
    baseline = {} if event_day is None else {"event_day": np.array([event_day])}
    data = small(
        [[0.0] * 5] * n, arm, weeks=EDSS, stop_day=stop,
        intercurrent={"discontinuation": stop}, baseline=baseline, **changes,
    )  # fmt: skip
    return data.replace(values={k: np.array([v], dtype=float) for k, v in values.items()})


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


FACTORS = tuple(
    TrialArm(name=name, factors=factors)
    for name, factors in (("placebo", ()), ("active", ("a",)), ("b", ("b",)), ("both", ("a", "b")))
)


def test_a_factor_is_compared_within_the_others():
    data = event_trials(
        71, 3, (30, 30, 30, 30), rates=(0.6, 0.4, 0.3, 0.1),
        names=("placebo", "active", "b", "both"),
    )  # fmt: skip
    analysis = analysis_of("log_rank", endpoint="latent", options={"by": "factor"})
    scenario = scenario_of(analysis, arms=FACTORS, endpoints=ENDPOINTS, weeks=data.weeks, n=120)
    factorial = analyse(scenario, analysis, data, arms=("active", "b", "both"))
    gets_a, gets_b = np.isin(data.arm, (1, 3)), np.isin(data.arm, (2, 3))
    for k, (own, other) in enumerate(((gets_a, gets_b), (gets_b, gets_a))):
        two = data.replace(
            arms=("placebo", "active"), arm=own.astype(int),
            baseline={**data.baseline, "other": other.astype(float)},
        )  # fmt: skip
        plain = run(
            analysis_of("log_rank", endpoint="latent", options={"strata": "other"}), two,
            endpoints=ENDPOINTS,
        )  # fmt: skip
        np.testing.assert_allclose(factorial.z[:, k], plain.z[:, 0], rtol=CLOSED)


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


# Counts ------------------------------------------------------------------------------------------

COUNTED = (TrialEndpoint(name="volume", measure="t2", better="lower"),)


def rate_ratio(batch: AnalysisBatch, events, years):
    """Compare with events over person-time, by arm."""
    expected = np.log(events[1] / years[1] / (events[0] / years[0]))
    assert batch.estimate[0, 0] == pytest.approx(expected, rel=1e-7)
    assert batch.std_error[0, 0] == pytest.approx(np.sqrt(1 / events[0] + 1 / events[1]), rel=1e-7)


def test_counts_of_a_window_are_over_the_time_in_which_they_happened():
    """Weeks 24 to 48: who missed week 24 is counted from week 0 on; who missed 48 not at all."""
    rows = [[None, 1, 2], [None, None, 5], [None, 3, None], [None, 2, 4], [None, 1, 3]]
    data = small(rows, [0, 0, 0, 1, 1])
    data = data.replace(values={"t2": measured(data, "volume")})
    analysis = analysis_of("counts", from_week=24, options={"family": "poisson"})
    batch = run(analysis, data, endpoints=COUNTED)
    rate_ratio(batch, (2 + 5, 4 + 3), (24 + 48, 24 + 24))
    assert (batch.n_reference[0, 0], batch.n_treated[0, 0]) == (2, 2)


def test_relapses_are_counted_in_the_window_and_on_treatment():
    """Days 168 to 336, less what comes after stopping on day 250 (one of the treated)."""
    stop = np.array([[INF, INF, 250.0, INF]])
    who, day = [0, 0, 1, 2, 2, 3], [100.0, 200.0, 300.0, 240.0, 260.0, 180.0]
    data = small(
        [[1.0] * 3] * 4, [0, 0, 1, 1], stop_day=stop, intercurrent={"discontinuation": stop},
        relapses=(np.zeros(6, int), np.array(who), np.array(day)),
        exit_day=np.array([[336.0, 320.0, 336.0, 336.0]]),
    )  # fmt: skip
    endpoints = (TrialEndpoint(name="volume", measure="relapses"),)
    analysis = analysis_of(
        "counts", from_week=24, options={"family": "poisson"},
        strategies={"discontinuation": "while_on_treatment"},
    )  # fmt: skip
    batch = run(analysis, data, endpoints=endpoints, events=("discontinuation",))
    rate_ratio(batch, (2, 2), (168 + 152, 82 + 168))


# Several outcomes --------------------------------------------------------------------------------

BOTH = (
    TrialEndpoint(name="volume", measure="volume"),
    TrialEndpoint(name="walk", measure="walk", better="lower"),
)


def joint(data: TrialArrays, **options) -> AnalysisBatch:
    """A combination of two outcomes that correlate."""
    analysis = analysis_of("multivariate", endpoints=("volume", "walk"), options=options)
    return run(analysis, data, endpoints=BOTH)


def test_combinations_are_made_of_the_components():
    """Gains over the standard deviation of slopes that their errors imply; by hand."""
    data = slope_trials(81, 3, (30, 20), slopes=(-1.0, -0.6), measures=("volume", "walk"))
    parts = [joint(data, component=name) for name in ("volume", "walk")]
    weights = np.array([1.0, 3.0])
    sd = [p.std_error * np.sqrt(p.n_reference * p.n_treated / 50) for p in parts]
    gains = [p.estimate / s for p, s in zip(parts, sd, strict=True)]
    found = joint(data, weights=weights.tolist())
    np.testing.assert_allclose(found.estimate, (gains[0] + 3 * gains[1]) / 4, rtol=CLOSED)
    one, other = (joint(data, weights=w).std_error for w in ((1.0, 0.0), (0.0, 1.0)))
    mixed = joint(data).std_error  # the covariance of both, from the variance of their mean
    shared = 4 * mixed**2 - one**2 - other**2
    expected = np.sqrt(one**2 + 9 * other**2 + 3 * shared) / 4
    np.testing.assert_allclose(found.std_error, expected, rtol=CLOSED)
    assert (shared < 0).all()  # gains: walk is turned, so what correlates goes apart
    assert (found.df == 48).all()


def test_the_share_of_assumed_effects_that_was_reached_by_hand():
    data = slope_trials(82, 2, (30, 30), slopes=(-1.0, -0.6), measures=("volume", "walk"))
    parts = [joint(data, component=name) for name in ("volume", "walk")]
    b = np.concatenate([p.estimate for p in parts], axis=1)
    se = np.concatenate([p.std_error for p in parts], axis=1)
    errors = [joint(data, weights=w).std_error for w in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0))]
    share = (4 * errors[2] ** 2 - errors[0] ** 2 - errors[1] ** 2) / 2 / (errors[0] * errors[1])
    assumed = np.array([0.4, 0.1])
    found = joint(data, combine="optimal", effects=assumed.tolist())
    for row in range(2):
        R = np.array([[1.0, share[row, 0]], [share[row, 0], 1.0]])
        W = np.linalg.inv(R * np.outer(se[row], se[row]))
        scale = assumed @ W @ assumed
        assert found.estimate[row, 0] == pytest.approx(assumed @ W @ b[row] / scale, rel=1e-7)
        assert found.std_error[row, 0] == pytest.approx(1 / np.sqrt(scale), rel=1e-7)


@pytest.mark.parametrize(
    "options",
    [{"combine": "gls", "weights": (1.0, 2.0)}, {"effects": (1.0, 1.0)},
     {"combine": "optimal", "effects": (1.0, 1.0), "weights": (1.0, 1.0)}],
)  # fmt: skip
def test_numbers_that_a_combination_does_not_use_are_refused(options):
    data = slope_trials(83, 1, (10, 10), measures=("volume", "walk"))
    with pytest.raises(DesignError, match="does not use"):
        joint(data, **options)


def test_a_weaker_covariance_takes_over_where_the_first_has_no_maximum():
    """More visits than subjects: no unstructured covariance, but one of two parameters."""
    data = slope_trials(84, 3, (3, 3), dropout=0.0)
    alone = run(analysis_of("mmrm"), data)
    assert (alone.reason != "").all()
    found = run(analysis_of("mmrm", options={"fallback": ("cs",)}), data)
    expected = run(analysis_of("mmrm", options={"covariance": "cs"}), data)
    np.testing.assert_array_equal(found.estimate, expected.estimate)
    assert np.isfinite(found.estimate).all()
