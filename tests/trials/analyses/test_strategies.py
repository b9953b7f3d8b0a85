"""Intercurrent events, windows, subgroups, factors: worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from trial_cases import analysis_of, event_trials, permuted, scenario_of, slope_trials

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.errors import DesignError
from pmsstats.trials.analyses import analyse, event_days
from pmsstats.trials.scenario import TrialAnalysis, TrialArm, TrialEndpoint

WEEKS = (0, 24, 48)
VALUES = [  # placebo, placebo, active, active, active; the last but one stops on day 200
    [10.0, 9.0, 8.0],
    [10.0, 9.5, 8.4],
    [10.0, 9.9, 9.0],
    [10.0, 9.7, 6.0],
    [10.0, 9.6, 9.2],
]
STOP = [np.inf, np.inf, np.inf, 200.0, np.inf]
PLACEBO = (-2.0 - 1.6) / 2


def by_hand(**changes) -> TrialArrays:
    """One small trial."""
    stop = np.array([STOP])
    fields = {
        "arms": ("placebo", "active"),
        "arm": np.array([[0, 0, 1, 1, 1]]),
        "weeks": WEEKS,
        "day": 7.0 * np.array(WEEKS)[None, None],
        "values": {"volume": np.array([VALUES])},
        "exit_day": np.full((1, 5), 336.0),
        "exit_reason": np.zeros((1, 5), int),
        "stop_day": stop,
        "intercurrent": {"discontinuation": stop},
        "baseline": {"age_years": np.array([[30.0, 40.0, 50.0, 60.0, 35.0]])},
    }
    return TrialArrays(**{**fields, **changes})


def estimate(analysis: TrialAnalysis, data: TrialArrays | None = None, **fields) -> float:
    """The difference between the arms."""
    fields = {"weeks": WEEKS, "events": ("discontinuation",), "n": 5, **fields}
    scenario = scenario_of(analysis, **fields)
    batch = analyse(scenario, analysis, data or by_hand(), arms=("active",))
    return float(batch.estimate[0, 0])


@pytest.mark.parametrize(
    ("strategy", "options", "active"),
    [
        ("treatment_policy", {}, (-1.0 - 4.0 - 0.8) / 3),
        ("hypothetical", {}, (-1.0 - 0.8) / 2),
        ("while_on_treatment", {}, (-1.0 - 0.3 - 0.8) / 3),
        ("composite", {"failure_change": -5.0}, (-1.0 - 5.0 - 0.8) / 3),
    ],
)
def test_change_follows_the_strategy(strategy, options, active):
    analysis = analysis_of("change", strategies={"discontinuation": strategy}, options=options)
    assert estimate(analysis) == pytest.approx(active - PLACEBO, rel=1e-12)


def test_two_events_can_have_two_strategies():
    rescue = np.array([[np.inf, 300.0, np.inf, np.inf, np.inf]])
    data = by_hand(intercurrent={"discontinuation": np.array([STOP]), "rescue": rescue})
    analysis = analysis_of(
        "change",
        strategies={"discontinuation": "while_on_treatment", "rescue": "hypothetical"},
    )
    found = estimate(analysis, data, events=("discontinuation", "rescue"))
    assert found == pytest.approx((-1.0 - 0.3 - 0.8) / 3 + 2.0, rel=1e-12)
    with pytest.raises(DesignError, match="differ"):
        estimate(analysis, by_hand(intercurrent={}), events=("discontinuation", "rescue"))


def test_a_later_window_takes_its_first_visit_as_baseline():
    assert estimate(analysis_of("change", from_week=24)) == pytest.approx(
        (-0.9 - 3.7 - 0.4) / 3 - (-1.0 - 1.1) / 2, rel=1e-12
    )
    assert estimate(analysis_of("change", to_week=30)) == pytest.approx(
        (-0.1 - 0.3 - 0.4) / 3 - (-1.0 - 0.5) / 2, rel=1e-12
    )
    assert estimate(analysis_of("change", options={"week": 24})) == pytest.approx(
        (-0.1 - 0.3 - 0.4) / 3 - (-1.0 - 0.5) / 2, rel=1e-12
    )


def test_a_subgroup_leaves_others_out():
    analysis = analysis_of("change", subgroup={"age_years": (30.0, 50.0)})
    assert estimate(analysis) == pytest.approx((-1.0 - 0.8) / 2 - PLACEBO, rel=1e-12)
    analysis = analysis_of("change", subgroup={"volume": (10.0, 10.0)})
    assert estimate(analysis) == pytest.approx((-1.0 - 4.0 - 0.8) / 3 - PLACEBO, rel=1e-12)


def test_an_early_loss_is_kept_out_of_a_later_window():
    data = slope_trials(31, 300, (60, 60), slopes=(-1.0, -1.0))
    early = np.where((data.arm == 1)[..., None] & (np.arange(5) > 0), -0.8, 0.0)
    data = data.replace(values={"volume": data.values["volume"] + early})
    results = {}
    for name, fields in {
        "in": {},
        "out": {"from_week": 24},
    }.items():
        analysis = analysis_of("random_slope", **fields)
        batch = analyse(scenario_of(analysis), analysis, data, arms=("active",))
        results[name] = (batch.estimate.mean(), 4 * batch.estimate.std() / np.sqrt(300))
    assert results["in"][0] < -results["in"][1]
    assert abs(results["out"][0]) < results["out"][1]


FACTORS = (
    TrialArm(name="placebo"),
    TrialArm(name="active", factors=("a",)),
    TrialArm(name="second", factors=("b",)),
    TrialArm(name="third", factors=("a", "b")),
)


@pytest.mark.parametrize("interaction", [False, True])
def test_factors_are_compared_by_all_who_get_them(interaction):
    data = slope_trials(32, 4, (12, 15, 11, 14), slopes=(-1.0, -0.5, -0.8, -0.1))
    options = {"by": "factor", "interaction": interaction}
    analysis = analysis_of("change", options=options)
    scenario = scenario_of(analysis, arms=FACTORS, n=52)
    batch = analyse(scenario, analysis, data, arms=("active", "second", "third"))
    assert batch.comparisons == ("a", "b", *(["a:b"] * interaction))
    for row in range(4):
        value = data.values["volume"][row]
        change = value[:, -1] - value[:, 0]
        a, b = np.isin(data.arm[row], (1, 3)), np.isin(data.arm[row], (2, 3))
        X = np.column_stack([np.ones(52), a, b, *([a * b] * interaction)])[~np.isnan(change)]
        y = change[~np.isnan(change)]
        beta = np.linalg.solve(X.T @ X, X.T @ y)
        rss = ((y - X @ beta) ** 2).sum()
        error = np.sqrt(np.diag(np.linalg.inv(X.T @ X)) * rss / (len(y) - X.shape[1]))
        np.testing.assert_allclose(batch.estimate[row], beta[1:], rtol=1e-10)
        np.testing.assert_allclose(batch.std_error[row], error[1:], rtol=1e-10)
        assert batch.n_treated[row, 0] == (a & ~np.isnan(change)).sum()
        assert batch.n_reference[row, 0] == (~a & ~np.isnan(change)).sum()


@pytest.mark.parametrize("method", ["random_slope", "mmrm"])
def test_main_effects_of_factors_are_recovered(method):
    data = slope_trials(33, 150, (40,) * 4, slopes=(-1.0, -0.5, -0.7, -0.2))
    analysis = analysis_of(method, options={"by": "factor"})
    scenario = scenario_of(analysis, arms=FACTORS, n=160)
    batch = analyse(scenario, analysis, data, arms=("active", "second", "third"))
    unit = {"random_slope": 1.0, "mmrm": 672 / 365.25}[method]
    error = 4 * batch.estimate.std(axis=0) / np.sqrt(150)
    assert (np.abs(batch.estimate.mean(axis=0) - np.array([0.5, 0.3]) * unit) < error).all()


ENDPOINTS = (
    TrialEndpoint(name="latent", measure="edss"),
    TrialEndpoint(name="cdp", measure="edss", rule="cdp12", better="lower"),
    TrialEndpoint(name="better", measure="edss", rule="cdi12", better="lower"),
)
EDSS_WEEKS = (0, 12, 24, 36, 48)


def edss(*courses: list[float], stop: float = np.inf, exit_day: float = 336.0) -> TrialArrays:
    """Courses of the EDSS, one half in each arm."""
    n = len(courses)
    return TrialArrays(
        arms=("placebo", "active"),
        arm=np.array([[0] * (n - n // 2) + [1] * (n // 2)]),
        weeks=EDSS_WEEKS,
        day=7.0 * np.array(EDSS_WEEKS)[None, None],
        values={"edss": np.array([courses])},
        exit_day=np.full((1, n), exit_day),
        exit_reason=np.zeros((1, n), int),
        stop_day=np.full((1, n), stop),
        intercurrent={"discontinuation": np.full((1, n), stop)},
        baseline={"event_day": np.array([[100.0, np.inf, 50.0, 400.0][:n]])},
    )


COURSES = [
    [4.0, 5.0, 5.0, 5.0, 5.0],  # worse at 12, confirmed at 24
    [4.0, 4.0, 5.0, 4.0, 4.0],  # not confirmed
    [4.0, 4.0, 5.0, np.nan, 5.0],  # worse at 24, confirmed at 48
    [4.0, 4.0, 4.0, 4.0, 5.0],  # not yet confirmed
]


def events(endpoint: str, data: TrialArrays, **fields) -> np.ndarray:
    """Days on which events are known."""
    analysis = analysis_of("log_rank", endpoint=endpoint, **fields)
    scenario = scenario_of(
        analysis, endpoints=ENDPOINTS, weeks=EDSS_WEEKS, n=4, events=("discontinuation",)
    )
    known = event_days(scenario, analysis, data)
    batch = analyse(scenario, analysis, data, arms=("active",))
    assert batch.n_events[0, 0] == np.isfinite(known).sum()
    return known[0]


def test_events_are_known_when_confirmed():
    inf = np.inf
    np.testing.assert_array_equal(events("cdp", edss(*COURSES)), [168, inf, 336, inf])
    np.testing.assert_array_equal(events("latent", edss(*COURSES)), [100, inf, 50, inf])


@pytest.mark.parametrize(
    ("strategy", "stop", "expected"),
    [
        ("treatment_policy", 100.0, [168, np.inf, 336, np.inf]),
        ("hypothetical", 100.0, [np.inf] * 4),  # nothing is confirmed by then
        ("while_on_treatment", 200.0, [168, np.inf, np.inf, np.inf]),
        ("composite", 200.0, [168, 200, 200, 200]),
    ],
)
def test_progression_follows_the_strategy(strategy, stop, expected):
    data = edss(*COURSES, stop=stop)
    known = events("cdp", data, strategies={"discontinuation": strategy})
    np.testing.assert_array_equal(known, expected)


def test_improvement_is_a_gain():
    data = event_trials(34, 60, (50, 50), rates=(0.3, 0.8))
    gain = data.replace(values={"edss": 9.0 - data.values["edss"]})
    analysis = analysis_of("cox", endpoint="better")
    scenario = scenario_of(analysis, endpoints=ENDPOINTS, weeks=data.weeks, n=100)
    batch = analyse(scenario, analysis, gain, arms=("active",))
    assert batch.truth_sign == 1
    assert batch.z.mean() > 2
    assert batch.estimate.mean() > 0.5


@pytest.mark.parametrize("day", [150.0, 252.0, 400.0, 600.0])
def test_events_known_by_a_day_are_those_of_data_cut_there(day):
    data = permuted(event_trials(35, 5, (40, 40), rates=(0.8, 0.5)), 3)
    late = np.asarray(data.day) > day
    seen = data.replace(
        values={"edss": np.where(late, np.nan, data.values["edss"])},
        exit_day=np.minimum(data.exit_day, day),
    )
    for endpoint in ("latent", "cdp"):
        analysis = analysis_of("log_rank", endpoint=endpoint)
        scenario = scenario_of(analysis, endpoints=ENDPOINTS, weeks=data.weeks, n=80)
        batch = analyse(scenario, analysis, seen, arms=("active",))
        known = event_days(scenario, analysis, data)
        np.testing.assert_array_equal(batch.n_events[:, 0], (known <= day).sum(axis=1))


def test_missing_status_is_what_the_option_says():
    data = edss(*COURSES)
    left = data.replace(
        values={"edss": np.where(np.arange(5) > 2, np.nan, data.values["edss"])},
        exit_day=np.full((1, 4), 168.0),
    )
    counts = {}
    for missing in ("no_event", "event", "excluded"):
        analysis = analysis_of("proportion", endpoint="cdp", options={"missing": missing})
        scenario = scenario_of(analysis, endpoints=ENDPOINTS, weeks=EDSS_WEEKS, n=4)
        batch = analyse(scenario, analysis, left, arms=("active",))
        counts[missing] = (batch.n_events[0, 0], batch.n_reference[0, 0] + batch.n_treated[0, 0])
    assert counts == {"no_event": (1, 4), "event": (4, 4), "excluded": (1, 1)}


def test_relapses_are_counted_until_the_subject_leaves():
    data = slope_trials(36, 3, (30, 30))
    rng = np.random.default_rng(37)
    replicate, subject = rng.integers(0, 3, 400), rng.integers(0, 60, 400)
    day = rng.uniform(0, 672, 400)
    data = data.replace(relapses=(replicate, subject, day))
    endpoints = (TrialEndpoint(name="volume", measure="relapses"),)
    analysis = analysis_of("counts", options={"family": "poisson"})
    batch = analyse(scenario_of(analysis, endpoints=endpoints), analysis, data, arms=("active",))
    for row in range(3):
        inside = (replicate == row) & (day <= data.exit_day[row][subject])
        treated = data.arm[row][subject] == 1
        time = [data.exit_day[row][data.arm[row] == a].sum() for a in (0, 1)]
        n = np.array([(inside & ~treated).sum(), (inside & treated).sum()])
        gone = data.exit_day[row] > 0
        assert gone.sum() == batch.n_reference[row, 0] + batch.n_treated[row, 0]
        assert batch.estimate[row, 0] == pytest.approx(np.log(n[1] / time[1] * time[0] / n[0]))
        assert batch.std_error[row, 0] == pytest.approx(np.sqrt((1 / n).sum()))
