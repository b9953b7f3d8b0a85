"""Trials in the populations of presets. Witnesses: the tables of the same cohort, the same people
under other treatments, events over person-time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from plain_trials import WEEKS as PLAIN_WEEKS
from plain_trials import halves, scenario

from pmsstats.trials.scenario import IntercurrentEvent, TrialDropout
from synthetic import generate_tables, generate_trials, preset, treatment
from synthetic.draws import SubjectStreams
from synthetic.population import draw_population
from synthetic.progression import draw_progression
from synthetic.trial_cohorts import trial_config

ERRORS = 4
MEASURES = ("edss", "brain_ml", "pbvc_pct", "new_t2_count", "nhpt_dominant_s", "sdmt", "relapses")
WEEKS = (0, 24, 48, 72, 96)
YEARS = 7 * np.array(WEEKS) / 365.25
PLAIN_DAYS = 7.0 * np.array(PLAIN_WEEKS)
PLAIN_YEARS = PLAIN_DAYS / 365.25
ACTIVE = {
    "atrophy_slowing": 0.3, "worsening_hazard_ratio": 0.6, "relapse_rate_ratio": 0.4,
    "lesion_rate_ratio": 0.2, "pseudo_atrophy_pct": 1.0, "onset_years": 0.5,
}  # fmt: skip
LOST = TrialDropout(
    share=0.2, mechanism="mnar", log_hazard=0.7, missed_visit=0.05, missed_scan=0.1, death_rate=0.02
)
TICK = 2.1e-4
"""Twice what rounding of a measured value may do."""


def trial(effects=({}, ACTIVE), *, n=700, settings=None, measures=MEASURES, **changes):
    return scenario(
        "ppms_trial", settings or {}, effects, n=n, weeks=WEEKS, measures=measures, **changes
    )


def draw(asked, n_replicates=1, arm=None, **changes):
    arm = halves(n_replicates, asked.accrual.n_subjects) if arm is None else arm
    return generate_trials(asked, 21, first=0, last=n_replicates, arm=arm, **changes)


@pytest.fixture(scope="module")
def both():
    """Three replicates as arrays, and their subjects as one cohort's tables."""
    settings = {"age": [35, 60], "edss": [3.0, 6.5], "sites": 4}
    asked = trial(settings=settings, n=1500, dropout=LOST, window_days=5)
    config = dataclasses.replace(trial_config(asked), n_subjects=4500)
    return generate_trials(asked, 21, first=0, last=3), generate_tables(config, 21)


@pytest.mark.parametrize("measure", MEASURES[:-1])
def test_measurements_are_those_of_the_tables(both, measure):
    arrays, tables = both
    wide = tables.visits.pivot_table(
        index="subject_id", columns="visit", values=measure, dropna=False, observed=False
    )
    np.testing.assert_array_equal(arrays.values[measure].reshape(-1, 5), wide.to_numpy())


def test_subjects_days_and_exits_are_those_of_the_tables(both):
    arrays, tables = both
    subjects, exits = tables.subjects, tables.exits
    for name in ("age_years", "disease_duration_years", "head_size_ml"):
        np.testing.assert_array_equal(arrays.baseline[name].ravel(), subjects[name])
    np.testing.assert_array_equal(arrays.baseline["sex"].ravel() == 1, subjects["sex"] == "F")
    np.testing.assert_array_equal(arrays.arm.ravel(), subjects["arm"].cat.codes)
    np.testing.assert_array_equal(arrays.exit_day.ravel(), exits["day"])
    reasons = np.array(["completed", "dropout", "death"])[arrays.exit_reason.ravel()]
    np.testing.assert_array_equal(reasons, exits["reason"])
    days = tables.truth.visits["day"].to_numpy().reshape(-1, 5)
    np.testing.assert_array_equal(arrays.day.reshape(-1, 5), days)
    sites = subjects["site_id"].str[1:].astype(int) - 1
    np.testing.assert_array_equal(arrays.baseline["site"].ravel(), sites)


def test_relapses_are_those_of_the_tables(both):
    arrays, tables = both
    replicate, subject, day = arrays.relapses
    assert len(day) > 50
    ids = np.char.mod("S%06d", 1500 * replicate + subject + 1)
    np.testing.assert_array_equal(ids, tables.relapses["subject_id"])
    np.testing.assert_array_equal(day, tables.relapses["day"])


def test_effects_go_before_what_a_named_treatment_does():
    asked = trial(({}, {"worsening_hazard_ratio": 0.5, "slowing": {"cord": 0.4}}),
                  treatments=(None, "siponimod"))  # fmt: skip
    arm = trial_config(asked).arms[1]
    named = dict(treatment("siponimod").slowing)
    assert (arm.name, arm.worsening_hazard_ratio) == ("a1", 0.5)
    assert dict(arm.slowing) == named | {"cord": 0.4}
    assert arm.relapse_rate_ratio == treatment("siponimod").relapse_rate_ratio


def test_settings_replace_numbers_of_the_preset():
    settings = {
        "worsening_rate": 0.5, "relapse_rate": 0.2, "lesion_rate": 3.0,
        "imaging": {"brain_ml": {"rate_pct": -1.5, "mean": 1400.0, "error_sd": 2.0}},
        "literature": {"thalamus_rate": "common"},
    }  # fmt: skip
    config = trial_config(trial(settings=settings))
    assert config.disability.worsening_rate["PPMS"] == 0.5
    assert config.relapses.rate["PPMS"] == 0.2
    assert config.lesions.rate["PPMS"] == 3.0
    brain = next(model for model in config.imaging if model.measure == "brain_ml")
    assert (brain.rate_pct["PPMS"], brain.mean["PPMS"], brain.error_sd) == (-1.5, 1400.0, 2.0)
    untouched = next(m for m in preset("ppms_trial").imaging if m.measure == "brain_ml")
    assert brain.rate_sd_pct == untouched.rate_sd_pct
    assert config.literature == (("thalamus_rate", "common"),)


def test_no_more_is_made_than_is_asked_for():
    config = trial_config(trial(measures=("edss",)))
    assert (config.lesions, config.hands, config.functional_systems) == (None, None, None)
    assert config.emitted == ("edss",)
    assert tuple(draw(trial(measures=("relapses",))).values) == ()


def test_events_that_hardly_happen_leave_the_course_as_it_was():
    """The course with breaks at stopping is that without, up to rounding, where nobody stops."""
    arm = np.tile([0, 1], 350)[None]
    without = draw(trial(dropout=LOST), arm=arm)
    rare = (IntercurrentEvent(rate=1e-9),)
    with_them = draw(trial(dropout=LOST, intercurrent=rare), arm=arm)
    for name, values in without.values.items():
        np.testing.assert_allclose(with_them.values[name], values, atol=TICK, err_msg=name)
    np.testing.assert_array_equal(with_them.relapses[2], without.relapses[2])
    assert not np.isfinite(with_them.stop_day).any()


def test_who_stops_at_once_is_as_in_the_reference_arm():
    """All of them, on day 1 (all numbers but those of that one day)."""
    arm = np.ones((1, 700), dtype=int)
    at_once = (IntercurrentEvent(rates={"a1": 1e9}),)
    reference = {"atrophy_slowing": 0.1, "onset_years": 1.0, "worsening_hazard_ratio": 0.8}
    effects = (reference, ACTIVE)
    stopped = draw(trial(effects, intercurrent=at_once), arm=arm)
    as_reference = draw(trial(effects), arm=0 * arm)
    assert (stopped.stop_day == 1).all()
    for name in ("edss", "new_t2_count", "sdmt"):
        pairs = stopped.values[name], as_reference.values[name]
        assert (np.nan_to_num(pairs[0]) == np.nan_to_num(pairs[1])).mean() > 0.99
    early = 1 - np.exp(-1 / 365.25 / 0.25)
    brain = as_reference.values["brain_ml"] - stopped.values["brain_ml"]
    assert brain[..., 1:] == pytest.approx(early * 0.01 * 1380, rel=0.15)


def test_the_gain_in_volume_stops_with_the_treatment():
    """What treatment adds grows with time until stopping and stays then, subject by subject."""
    effects = ({}, {"atrophy_slowing": 0.5})
    arm = np.ones((1, 700), dtype=int)
    stopping = (IntercurrentEvent(rate=0.6),)
    plain, treated, stopped = (
        draw(trial(e, measures=("brain_ml",), **more), arm=arm)
        for e, more in ((({}, {}), {}), (effects, {}), (effects, {"intercurrent": stopping}))
    )
    full = (treated.values["brain_ml"] - plain.values["brain_ml"])[..., 1:]
    gain = (stopped.values["brain_ml"] - plain.values["brain_ml"])[..., 1:]
    last = np.where(np.isfinite(stopped.stop_day), stopped.stop_day / 365.25, 9.0)[..., None]
    expected = full * np.minimum(YEARS[1:], last) / YEARS[1:]
    assert (last < 2).any()
    np.testing.assert_allclose(gain, expected, atol=TICK)


def test_worsening_steps_have_the_hazard_of_the_reference_after_stopping():
    """Steps over person-time: a fifth of the rate before stopping, all of it afterwards."""
    effects = ({}, {"worsening_hazard_ratio": 0.2})
    config = trial_config(trial(effects, measures=("edss",), settings={"worsening_rate": 0.6}))
    flat = dataclasses.replace(config.disability, loadings=(), stages=((0.0, 1.0),))
    config = dataclasses.replace(config, disability=flat)
    streams = SubjectStreams(np.random.SeedSequence(2), 20_000)
    people = dataclasses.replace(draw_population(config, streams), arm=np.ones(20_000, dtype=int))
    stop = 2 * np.random.default_rng(2).random(20_000)
    people = dataclasses.replace(people, stop_year=stop)
    steps = draw_progression(config, people, streams).steps
    horizon = config.schedule.horizon_years
    until = np.minimum(stop, horizon)
    before = (steps <= stop[:, None]).sum()
    after = (np.isfinite(steps) & (steps > stop[:, None])).sum()
    for n, years, rate in ((before, until.sum(), 0.12), (after, (horizon - until).sum(), 0.6)):
        assert abs(np.log(n / years / rate)) < ERRORS / np.sqrt(n)


def test_relapses_and_lesions_rise_again_after_stopping():
    """Rates before and after the day of stopping, by person-time, against those of the reference.

    The frailty of persons makes the errors larger than Poisson ones: they come from the subjects.
    """
    stopping = (IntercurrentEvent(rate=0.7),)
    settings = {"relapse_rate": 1.0, "lesion_rate": 4.0}
    effects = ({}, {"relapse_rate_ratio": 0.2, "lesion_rate_ratio": 0.1})
    asked = trial(effects, n=2000, settings=settings, intercurrent=stopping,
                  measures=("relapses", "new_t2_count"))  # fmt: skip
    drawn = draw(asked, 4, np.ones((4, 2000), dtype=int))
    stop = np.minimum(drawn.stop_day, drawn.exit_day)
    mine = stop[drawn.relapses[0], drawn.relapses[1]]
    before = np.zeros(stop.shape)
    after = np.zeros(stop.shape)
    early = drawn.relapses[2] <= mine
    np.add.at(before, (drawn.relapses[0][early], drawn.relapses[1][early]), 1)
    np.add.at(after, (drawn.relapses[0][~early], drawn.relapses[1][~early]), 1)
    for events, days, rate in ((before, stop, 0.2), (after, drawn.exit_day - stop, 1.0)):
        excess = events - rate * days / 365.25
        assert abs(excess.mean()) < ERRORS * excess.std() / np.sqrt(excess.size)
    counts = np.nansum(drawn.values["new_t2_count"], axis=2)
    treated = drawn.values["new_t2_count"][..., 1][drawn.stop_day > 7 * 24]
    spread = treated.std() / np.sqrt(treated.size)
    assert abs(treated.mean() - 0.4 * YEARS[1]) < ERRORS * spread
    expected = 4.0 * (0.1 * stop + drawn.exit_day - stop) / 365.25
    excess = counts - expected
    assert abs(excess.mean()) < ERRORS * excess.std() / np.sqrt(excess.size)


def test_the_share_that_leaves_is_that_asked_for():
    asked = trial(measures=("edss",), n=1000, dropout=TrialDropout(share=0.25))
    left = draw(asked, 10).exit_reason == 1
    assert abs(left.mean() - 0.25) < ERRORS * np.sqrt(0.25 * 0.75 / left.size)


def test_swapping_arms_gives_the_same_people_the_other_treatment():
    asked = trial(({}, {"atrophy_slowing": 0.5}), measures=("brain_ml",))
    arm = np.tile([0, 1], 350)[None]
    one, other = (draw(asked, arm=a).values["brain_ml"] for a in (arm, 1 - arm))
    np.testing.assert_array_equal(one[..., 0], other[..., 0])
    sign = np.where(arm == 1, 1, -1)[..., None]
    gain = (sign * (one - other))[..., 1:]
    per_year = gain / YEARS[1:]
    assert (gain > 0).all()
    np.testing.assert_allclose(per_year, np.broadcast_to(per_year[0, 0], gain.shape), atol=1e-3)


def patients(effects=({}, {}), measures=("brain_ml",), **changes):
    """Draw patients of a preset, all of them treated."""
    asked = scenario("ppms_trial", {}, effects, n=500, measures=measures, **changes)
    return generate_trials(asked, 8, first=0, last=4, arm=np.ones((4, 500), dtype=int))


def test_patients_who_are_not_seen_after_an_event_leave_with_it():
    drawn = patients(intercurrent=(IntercurrentEvent(rate=0.5, seen_after=0.3),))
    happened = np.isfinite(drawn.stop_day)
    stayed = (drawn.exit_day > drawn.stop_day)[happened]
    assert abs(stayed.mean() - 0.3) < ERRORS * np.sqrt(0.21 / happened.sum())
    gone = happened & (drawn.exit_day == drawn.stop_day)
    assert gone.sum() + stayed.sum() == happened.sum()
    early = gone & (drawn.exit_day < PLAIN_DAYS[-1])  # of the others, some come to the last visit
    assert early.sum() > 100
    assert (drawn.exit_reason[early] == 1).all()
    later = np.broadcast_to(drawn.day, (4, 500, 5)) > drawn.exit_day[..., None]
    assert np.isnan(drawn.values["brain_ml"][later]).all()


def test_the_first_of_two_events_that_stop_it_ends_the_effect_in_patients():
    effects = ({}, {"atrophy_slowing": 0.5})
    rescue = IntercurrentEvent(name="rescue", rate=0.6, effect_after="continues")
    events = tuple(IntercurrentEvent(name=name, rate=0.5) for name in ("one", "two"))
    plain, full, with_rescue, stopped = (
        patients(e, intercurrent=i)
        for e, i in ((({}, {}), ()), (effects, ()), (effects, (rescue,)), (effects, events))
    )
    assert np.isfinite(with_rescue.stop_day).any()
    np.testing.assert_array_equal(with_rescue.values["brain_ml"], full.values["brain_ml"])
    whole = (full.values["brain_ml"] - plain.values["brain_ml"])[..., 1:]
    gain = (stopped.values["brain_ml"] - plain.values["brain_ml"])[..., 1:]
    until = np.minimum(PLAIN_YEARS[1:], np.minimum(stopped.stop_day, 4000.0)[..., None] / 365.25)
    np.testing.assert_allclose(gain, whole * until / PLAIN_YEARS[1:], atol=TICK)


def test_a_day_has_one_relapse():
    settings = {"relapse_rate": 60.0}
    asked = scenario("ppms_trial", settings, n=200, measures=("relapses",), weeks=(0, 26))
    replicate, subject, day = generate_trials(asked, 8, first=0, last=2).relapses
    assert len(day) > 1000
    key = (replicate * 200 + subject) * 1000 + day
    assert len(np.unique(key)) == len(key)
