"""Trials decided once more, subject by subject, in plain Python from the data that they had."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hand_made_trials import generate, mcse, scenario
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal
from scipy.stats import t as student

from pmsstats.trials.course import run_block
from pmsstats.trials.designs import (
    delayed_start_design,
    enrichment_design,
    factorial_design,
    group_sequential_design,
    later_window_design,
    multi_arm_multi_stage_design,
    sample_size_re_estimation_design,
)
from pmsstats.trials.enrol import enrol
from pmsstats.trials.scenario import (
    Accrual,
    DecisionRule,
    Interim,
    Scenario,
    TrialAnalysis,
    TrialArm,
    TrialEndpoint,
    TrialPopulation,
    TrialSchedule,
)
from pmsstats.trials.sequential_rule import bounds_at, sequential_design
from synthetic import generate_trials

YEAR = 365.25
MC = 4
ROOT = np.random.SeedSequence(99)
CRITICAL = float(ndtri(0.975))
THREE = (
    TrialArm(name="placebo"),
    TrialArm(name="first", effects={"y": 0.2, "image": 0.2}),
    TrialArm(name="second", effects={"y": 0.5, "image": 0.4}),
)
TIMES = (TrialAnalysis(name="time", endpoint="event", method="log_rank"),)


BRAIN = Scenario(
    name="brain volume",
    population=TrialPopulation(
        model="random_slope",
        settings={
            "measure": "brain_pct", "intercept": 100.0, "rate": -0.6, "intercept_sd": 2.0,
            "slope_sd": 0.5, "residual_sd": 0.2,
        },
    ),
    arms=(TrialArm(name="placebo"), TrialArm(name="treated")),
    accrual=Accrual(n_subjects=160, years=1.5),
    schedule=TrialSchedule(weeks=(0, 26, 52, 78, 104)),
    endpoints=(TrialEndpoint(name="brain", measure="brain_pct"),),
    analyses=(TrialAnalysis(name="slope", endpoint="brain", method="random_slope"),),
    decision=DecisionRule(analysis="slope"),
)  # fmt: skip


def observed(trial, n):
    """Run replicates; return what came out and the data last asked for."""
    asked = []

    def remember(scenario, root, **given):
        asked.append(generate(scenario, root, **given))
        return asked[-1]

    return run_block(trial, remember, ROOT, 0, n), asked[-1]


def entries(trial):
    """Return evenly spaced entries."""
    n, years = trial.accrual.n_subjects, trial.accrual.years
    return [(i + 0.5) * years / n for i in range(n)]


def contrast(groups, k=1):
    """Compare group k with group 0 by a t test with the variance of all groups."""
    sizes = [len(g) for g in groups]
    df = sum(sizes) - len(groups)
    squares = sum(sum((x - sum(g) / len(g)) ** 2 for x in g) for g in groups)
    error = math.sqrt(squares / df * (1 / sizes[0] + 1 / sizes[k]))
    difference = sum(groups[k]) / sizes[k] - sum(groups[0]) / sizes[0]
    # The upper tail: its quantile keeps its digits for large statistics.
    return float(-ndtri(student.sf(difference / error, df)))


def split(values, arm, who, codes=(0, 1)):
    """Return the values of some subjects by arm."""
    return [[float(values[i]) for i in who if arm[i] == code] for code in codes]


def rows_of(found, analysis, replicate):
    """Return the rows of an analysis of one replicate."""
    rows = found.estimates
    return rows[(rows["analysis"] == analysis) & (rows["replicate"] == replicate)]


def test_each_trial_of_a_group_sequential_design():
    trial = group_sequential_design(
        scenario(effect=0.6, n=90), looks=(1 / 3, 2 / 3), boundary="obrien_fleming",
        futility={"z": (0.0, 0.5)},
    )  # fmt: skip
    found, data = observed(trial, 250)
    entry = entries(trial)
    reasons = set()
    for r in range(250):
        y, arm = data.values["y"][r, :, -1], data.arm[r]
        for look, n in enumerate((30, 60, 90), start=1):
            z = contrast(split(y, arm, range(n)))
            # Jennison and Turnbull's constant of O'Brien and Fleming, three looks: 2.004.
            upper = 2.004 * math.sqrt(3 / look)
            lower = {1: 0.0, 2: 0.5, 3: upper}[look]
            year = entry[n - 1] + 364 / YEAR
            row = rows_of(found, "change", r)
            row = row[row["look"] == look].iloc[0]
            assert row["z"] == pytest.approx(z, abs=1e-9)
            assert row["boundary"] == pytest.approx(upper, rel=3e-4)
            assert row["calendar_year"] == pytest.approx(year)
            assert (row["n_reference"] + row["n_treated"]) == n
            if z >= upper or z < lower:
                break
        reason = "end" if look == 3 else "efficacy" if z >= upper else "futility"
        reasons.add((reason, look))
        ended = found.trials.loc[r]
        assert (ended["stopped_for"], ended["n_looks"]) == (reason, look)
        assert ended["success"] == (z >= upper)
        assert ended["n_enrolled"] == sum(e <= year for e in entry)
        assert ended["duration_years"] == pytest.approx(year)
        assert len(rows_of(found, "change", r)) == look
    assert reasons == {(w, k) for w in ("efficacy", "futility") for k in (1, 2)} | {("end", 3)}


def new_number(z, planned, largest):
    """Return the number of the promising zone by search: the least that reaches 90 %."""
    first = planned // 2

    def chance(n):
        # With planned weights, at the trend seen.
        need = (CRITICAL - math.sqrt(0.5) * z) / math.sqrt(0.5)
        return ndtr(z / math.sqrt(first) * math.sqrt(n - first) - need)

    if not 0.36 <= chance(planned) < 0.9:
        return planned
    return next((n for n in range(planned, largest) if chance(n) >= 0.9), largest)


def test_each_trial_of_the_promising_zone():
    trial = sample_size_re_estimation_design(scenario(effect=0.4, n=200), n_planned=100)
    found, data = observed(trial, 150)
    entry = entries(trial)
    look = entry[49] + 364 / YEAR  # 50 completers; the hundred are all in after a year
    sizes = set()
    for r in range(150):
        y, arm = data.values["y"][r, :, -1], data.arm[r]
        z1 = contrast(split(y, arm, range(50)))
        n = new_number(z1, 100, 200)
        z = contrast(split(y, arm, range(n)))
        z2 = (z - math.sqrt(50 / n) * z1) / math.sqrt(1 - 50 / n)
        z = math.sqrt(0.5) * (z1 + z2)
        last = rows_of(found, "change", r).iloc[-1]
        assert last["look"] == 2
        assert last["z"] == pytest.approx(z, abs=1e-9)
        assert bool(last["rejected"]) == (z >= CRITICAL)
        assert found.trials.loc[r, "n_enrolled"] == n
        # Recruitment goes on at its rate when the look says so.
        pause = max(look - entry[100], 0.0)
        end = entry[n - 1] + (pause if n > 100 else 0.0) + 364 / YEAR
        assert found.trials.loc[r, "duration_years"] == pytest.approx(end)
        sizes.add(n)
    assert len(sizes) > 10
    assert {100, 200} <= sizes


@pytest.mark.parametrize("places", ["reallocate", "close"])
def test_each_trial_that_selects_arms(places):
    base = scenario(
        n=120, arms=THREE, decision=DecisionRule(analysis="change", multiplicity="dunnett")
    )
    trial = multi_arm_multi_stage_design(
        base, interim_analysis="image", value=0.3, threshold=0.4, keep=1, places=places,
        multiplicity="dunnett",
    )  # fmt: skip
    found, data = observed(trial, 100)
    entry = entries(trial)
    look = entry[35] + 364 / YEAR
    kept = []
    for r in range(100):
        arm = data.arm[r]
        image, y = (data.values[name][r, :, -1] for name in ("image", "y"))
        z = [contrast(split(image, arm, range(36), (0, 1, 2)), k) for k in (1, 2)]
        best = int(np.argmax(z)) + 1
        goes_on = z[best - 1] >= -ndtri(0.4)
        arms = found.arms[found.arms["replicate"] == r].set_index("arm")
        rows = rows_of(found, "change", r)
        if not goes_on:
            assert found.trials.loc[r, "stopped_for"] == "futility"
            assert found.trials.loc[r, "n_enrolled"] == sum(e <= look for e in entry)
            assert (arms.loc[["first", "second"], "dropped_at"] == 1).all()
            assert rows.empty  # of arms that were given up
            assert not rows["rejected"].any()
            continue
        kept.append(best)
        lost = 3 - best
        late = [i for i in range(120) if entry[i] > look]
        assert (arm[late] != lost).all() or places == "close"
        inside = [i for i in range(120) if arm[i] != lost]
        final = contrast(split(y, arm, inside, (0, best)))
        assert len(rows) == 1
        assert rows.iloc[0]["comparison"] == THREE[best].name
        assert rows.iloc[0]["z"] == pytest.approx(final, abs=1e-9)
        # Dunnett's bound for both arms that began.
        assert rows.iloc[0]["boundary"] == pytest.approx(2.2121, abs=1e-4)
        assert rows.iloc[0]["rejected"] == (final >= rows.iloc[0]["boundary"])
        gone = sum(entry[i] <= look for i in range(120) if arm[i] == lost)
        assert arms.loc[THREE[lost].name, "n_enrolled"] == gone
        assert found.trials.loc[r, "n_enrolled"] == len(inside) + gone
    assert 20 < len(kept) < 100
    assert {1, 2} == set(kept)


def test_each_trial_with_a_late_arm():
    arms = (*THREE[:2], TrialArm(name="late", opens_year=0.8, closes_year=1.7))
    trial = scenario(n=120, arms=arms)
    found, data = observed(trial, 20)
    entry = entries(trial)
    open_then = [i for i in range(120) if 0.8 <= entry[i] < 1.7]
    for r in range(20):
        y, arm = data.values["y"][r, :, -1], data.arm[r]
        assert {i for i in range(120) if arm[i] == 2} <= set(open_then)
        rows = rows_of(found, "change", r).set_index("comparison")
        late = contrast(split(y, arm, open_then, (0, 2)))
        assert rows.loc["late", "z"] == pytest.approx(late, abs=1e-9)
        first = contrast(split(y, arm, range(120)))
        assert rows.loc["first", "z"] == pytest.approx(first, abs=1e-9)


def simes(a, b):
    """Return the statistic of the p value of Simes."""
    p = sorted((ndtr(-a), ndtr(-b)))
    return -ndtri(min(2 * p[0], p[1]))


def test_each_trial_of_an_enrichment():
    arms = (TrialArm(name="placebo"), TrialArm(name="treated", effects={"carriers": 0.6}))
    base = scenario(n=200, arms=arms, schedule=TrialSchedule(weeks=(0, 4, 8)))
    trial = enrichment_design(
        base, subgroup={"marker": (1, 1)}, value=50, n_planned=100, threshold=0.2,
        threshold_subgroup=0.4,
    )  # fmt: skip
    found, data = observed(trial, 150)
    entry = entries(trial)
    look = entry[49]
    choices = []
    for r in range(150):
        y, arm = data.values["y"][r, :, -1], data.arm[r]
        carries = data.baseline["marker"][r] == 1
        seen = [i for i in range(50) if entry[i] + 56 / YEAR <= look]
        z = contrast(split(y, arm, seen))
        z_in = contrast(split(y, arm, [i for i in seen if carries[i]]))
        ended = found.trials.loc[r]
        if z < -ndtri(0.2) and z_in < -ndtri(0.4):
            assert ended["stopped_for"] == "futility"
            choices.append("none")
            continue
        only = z < -ndtri(0.2)
        later = [i for i in range(50, 200) if carries[i] or not only][:50]
        assert ended["n_enrolled"] == 50 + len(later)
        early = list(range(50))
        stages = [
            (contrast(split(y, arm, who)), contrast(split(y, arm, [i for i in who if carries[i]])))
            for who in (early, later)
        ]
        whole, inner = ((stages[0][k] + stages[1][k]) * math.sqrt(0.5) for k in (0, 1))
        second = stages[1][1] if only else simes(*stages[1])
        union = (simes(*stages[0]) + second) * math.sqrt(0.5)
        final = found.estimates[
            (found.estimates["replicate"] == r) & (found.estimates["look"] == 2)
        ]
        final = final.set_index("analysis")["z"]
        assert final["change_carriers"] == pytest.approx(min(inner, union), abs=1e-9)
        assert ("change" in final) != only
        claimed = min(inner, union) >= CRITICAL
        if not only:
            assert final["change"] == pytest.approx(min(whole, union), abs=1e-9)
            claimed |= min(whole, union) >= CRITICAL
        assert ended["success"] == claimed
        choices.append("carriers" if only else "everybody")
    assert all(choices.count(kind) > 10 for kind in ("none", "carriers", "everybody"))


def log_rank(time, event, arm):
    """Return the log-rank statistic, positive where the treated have fewer events."""
    excess = variance = 0.0
    for at in sorted({u for u, happened in zip(time, event, strict=True) if happened}):
        risk = [i for i in range(len(time)) if time[i] >= at]
        n, n1 = len(risk), sum(arm[i] == 1 for i in risk)
        here = [i for i in risk if time[i] == at and event[i]]
        excess += len(here) * n1 / n - sum(arm[i] == 1 for i in here)
        if n > 1:
            variance += len(here) * n1 / n * (1 - n1 / n) * (n - len(here)) / (n - 1)
    return excess / math.sqrt(variance)


def test_each_trial_that_waits_for_events():
    arms = (THREE[0], TrialArm(name="treated", effects={"hazard_ratio": 0.5}))
    rule = DecisionRule(
        analysis="time", boundary="ld_obrien_fleming", final="events", final_value=40
    )
    base = scenario(n=240, arms=arms, analyses=TIMES, decision=rule)
    # A share of the final information is a share of the events at which the trial ends.
    trial = group_sequential_design(base, looks=(0.5,))
    found, data = observed(trial, 60)
    entry = np.array(entries(trial))
    successes = 0
    for r in range(60):
        day = np.where(data.baseline["event_day"][r] <= 364, data.baseline["event_day"][r], np.inf)
        known = entry + day / YEAR
        for look, n in enumerate((20, 40), start=1):
            cut = np.sort(known)[n - 1]
            inside = np.flatnonzero(entry <= cut)
            followed = np.minimum((cut - entry) * YEAR, 364.0)
            event = known <= cut + 1e-12
            time = np.where(event, day, followed)
            z = log_rank(time[inside], event[inside], data.arm[r][inside])
            row = rows_of(found, "time", r).iloc[look - 1]
            assert row["n_events"] == n
            assert row["calendar_year"] == pytest.approx(cut)
            assert row["z"] == pytest.approx(z, abs=1e-8)
            if z >= row["boundary"]:
                break
        ended = found.trials.loc[r]
        assert ended["duration_years"] == pytest.approx(cut)
        assert ended["n_enrolled"] == len(inside)
        assert ended["n_looks"] == look
        successes += int(ended["stopped_for"] == "efficacy")
    assert successes > 3


def test_a_share_of_the_information_ends_where_the_data_are_cut():
    # Fifty of a hundred are seen for a year when year 2 is over; half of them are 25.
    rule = DecisionRule(analysis="change", boundary="ld_pocock", final="year", final_value=2.0)
    trial = group_sequential_design(scenario(n=100, decision=rule), looks=(0.5,))
    rows = observed(trial, 10)[0].estimates.query("analysis == 'change'")
    n = rows["n_reference"] + rows["n_treated"]
    assert (n[rows["look"] == 1] == 25).all()
    assert (n[rows["look"] == 2] == 50).all()
    # A look when 25 are seen has half of that information, and not a quarter.
    counted = group_sequential_design(
        scenario(n=100, decision=rule), looks=(0.25,), at="followed"
    )  # fmt: skip
    again = observed(counted, 10)[0].estimates.query("analysis == 'change'")
    assert np.allclose(again["boundary"], rows["boundary"])


def test_subjects_of_unequal_arms_are_in_the_ratio():
    for sizes in ((56, 52), (52, 56), (20, 15, 15), (10, 5)):
        arms = tuple(TrialArm(name=f"arm {k}", ratio=float(n)) for k, n in enumerate(sizes))
        fixed = enrol(scenario(n=sum(sizes), arms=arms), 1, 0, 2).arm
        assert np.bincount(fixed[0]).tolist() == list(sizes)
    # Whatever the number, no arm is off by a subject or more.
    arms = tuple(TrialArm(name=f"arm {k}", ratio=r) for k, r in enumerate((3.0, 2.0, 2.0)))
    for n in range(10, 40):
        counts = np.bincount(enrol(scenario(n=n, arms=arms), 1, 0, 1).arm[0])
        assert np.all(np.abs(counts - n * np.array([3, 2, 2]) / 7) < 1)


def test_an_arm_that_is_not_open_yet_is_not_judged():
    arms = (*THREE[:2], TrialArm(name="late", opens_year=1.6, effects={"image": -5.0}))
    trial = multi_arm_multi_stage_design(
        scenario(n=120, arms=arms), interim_analysis="image", value=0.25, keep=1
    )
    found = observed(trial, 20)[0]
    assert (found.arms["dropped_at"] == 0).all()
    # It has a look of its own, at which the first arm is not judged.
    own = Interim(
        name="late", at="followed", value=0.95, analysis="image", rule="select_arms",
        options={"threshold": 0.5, "arms": ["late"]},
    )  # fmt: skip
    twice = dataclasses.replace(trial, interims=(*trial.interims, own))
    dropped = observed(twice, 20)[0].arms.groupby("arm")["dropped_at"].agg(["min", "max"])
    assert dropped.loc["late"].tolist() == [2, 2]
    assert dropped.loc["first"].tolist() == [0, 0]


def look(**changes):
    """Return a look."""
    fields = {"name": "look", "analysis": "image", "rule": "select_arms", "at": "followed"}
    return Interim(**{"value": 0.5, "options": {"keep": 1}} | fields | changes)


def test_looks_after_a_new_number_weigh_each_stage_as_planned():
    rule = DecisionRule(analysis="change", boundary="ld_pocock")
    steps = (
        look(
            name="number", at="information", value=0.4, analysis="change", rule="sample_size",
            options={"n_planned": 100, "lowest": 0.0, "conditional_power": 0.6},
        ),
        look(
            name="stop", at="information", value=0.7, analysis="change", rule="group_sequential",
            options={"n_planned": 100},
        ),
    )  # fmt: skip
    found, data = observed(scenario(effect=0.2, n=300, decision=rule, interims=steps), 80)
    checked = 0
    for r in range(80):
        y, arm = data.values["y"][r, :, -1], data.arm[r]
        rows = rows_of(found, "change", r).set_index("look")
        sizes = (rows["n_reference"] + rows["n_treated"]).tolist()
        z = [contrast(split(y, arm, range(n))) for n in sizes]
        score, expected = math.sqrt(0.4) * z[0], [z[0]]
        for k, planned in ((1, 0.7), (2, 1.0)):
            if k == len(sizes):
                break
            s = sizes[k - 1] / sizes[k]
            new = (z[k] - math.sqrt(s) * z[k - 1]) / math.sqrt(1 - s)
            score += math.sqrt(planned - (0.4, 0.7)[k - 1]) * new
            expected.append(score / math.sqrt(planned))
        assert rows["z"].tolist() == pytest.approx(expected, abs=1e-9)
        checked += len(sizes) == 3 and sizes[2] > 100
    assert checked > 20


ALPHA = 0.025
SEQUENTIAL = {"looks": (1 / 3, 2 / 3)}
FOUR = tuple(TrialArm(name=name) for name in ("placebo", "first", "second", "third"))


def decided(multiplicity, **changes):
    """Return a trial without effect whose decision corrects for several comparisons."""
    rule = DecisionRule(analysis="change", multiplicity=multiplicity)
    return scenario(decision=rule, **changes)


def adapted_and_sequential():
    """Return a trial with a new number of subjects and then a look that may stop it."""
    rule = DecisionRule(analysis="change", boundary="pocock")
    number = {"n_planned": 100, "lowest": 0.0, "conditional_power": 0.6}
    steps = (
        look(name="number", at="information", value=0.4, rule="sample_size", options=number),
        look(name="stop", at="information", value=0.7, rule="group_sequential", options={}),
    )
    steps = tuple(dataclasses.replace(step, analysis="change") for step in steps)
    return scenario(n=300, decision=rule, interims=steps)


# What is exact, and what may spend less than 2.5 %.
NULL = {
    "sequential, binding futility by z": (
        lambda: group_sequential_design(
            scenario(), futility={"z": 0.3, "binding": True}, **SEQUENTIAL
        ), True,
    ),
    "sequential, binding futility by spending": (
        lambda: group_sequential_design(
            scenario(), futility={"spending": "ld_pocock", "binding": True}, **SEQUENTIAL
        ), True,
    ),
    "sequential, conditional power, obeyed": (
        lambda: group_sequential_design(
            scenario(), futility={"conditional_power": 0.2}, **SEQUENTIAL
        ), False,
    ),
    "sequential, conditional power, not obeyed": (
        lambda: group_sequential_design(
            scenario(), futility={"conditional_power": 0.2, "obeyed": False}, **SEQUENTIAL
        ), True,
    ),
    "three arms, sequential, Bonferroni": (
        lambda: group_sequential_design(
            decided("bonferroni", n=120, arms=FOUR[:3]), looks=(0.5,), boundary="pocock",
            options={"stop_when": "all"},
        ), False,
    ),
    "best of three arms by the primary outcome, Dunnett": (
        lambda: multi_arm_multi_stage_design(
            scenario(n=160, arms=FOUR), interim_analysis="change", value=0.3, keep=1,
            multiplicity="dunnett",
        ), False,
    ),
    "factorial, Holm": (
        lambda: factorial_design(decided("holm", n=80), factors={"a": {}, "b": {}}), False,
    ),
    "re-estimation, and a look after it": (adapted_and_sequential, True),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", NULL)
def test_type1_error_of_further_designs(name, capsys):
    make, is_exact = NULL[name]
    n = 10_000
    found = run_block(make(), generate, np.random.SeedSequence(31), 0, n).trials
    share, error = float(found["success"].mean()), mcse(ALPHA, n)
    with capsys.disabled():
        print(f"\n{name:58s} {100 * share:5.2f} % (Monte Carlo error {100 * error:.2f} %)")  # noqa: T201
    assert not found["failed"].any()
    assert share <= ALPHA + MC * error
    assert share >= (ALPHA - MC * error if is_exact else ALPHA / 3)


def test_margin_of_a_delayed_start_is_the_null_hypothesis():
    # Treated early, subjects decline faster by exactly the margin, 0.4 per year.
    years = 104 * 7 / YEAR
    arms = (TrialArm(name="placebo"), TrialArm(name="treated", effects={"y": -0.4 * years}))
    slopes = TrialAnalysis(name="change", endpoint="y", method="random_slope")
    base = scenario(
        n=80, arms=arms, analyses=(slopes,), schedule=TrialSchedule(weeks=(0, 26, 52, 78, 104)),
        population=TrialPopulation(model="hand_made", settings={"noise": 0.2}),
    )  # fmt: skip
    trial = delayed_start_design(
        base, switch_week=52, margin=0.4,
        end_analysis=TrialAnalysis(name="end", endpoint="y", method="change"),
    )  # fmt: skip
    as_they_are = dataclasses.replace(trial, arms=arms)
    rows = run_block(as_they_are, generate, ROOT, 0, 2000).estimates
    z = rows.loc[rows["analysis"] == "after_switch", "z"]
    assert abs((z >= CRITICAL).mean() - ALPHA) < MC * mcse(ALPHA, 2000)
    # Nothing was won before the switch, so that nothing is claimed.
    assert not rows["rejected"].any()


def test_early_loss_of_volume_does_not_move_the_error_of_the_later_window():
    effects = {"slowing": 0.0, "pseudo_atrophy": 0.6, "pseudo_atrophy_years": 0.05}
    base = dataclasses.replace(
        BRAIN, arms=(BRAIN.arms[0], dataclasses.replace(BRAIN.arms[1], effects=effects))
    )
    trial = later_window_design(base, from_week=26)
    n = 3000
    rows = run_block(trial, generate_trials, ROOT, 0, n).estimates
    shares = rows.groupby("analysis")["rejected"].mean()
    assert abs(shares["slope_from_week_26"] - ALPHA) < MC * mcse(ALPHA, n)
    # In the whole window the treatment looks harmful: it hardly ever succeeds.
    assert shares["slope"] < ALPHA / 5


def test_a_look_at_the_end_is_the_end():
    # 99 % of fifty completers are fifty.
    trial = group_sequential_design(scenario(n=50), looks=(0.99,))
    assert (observed(trial, 5)[0].trials["n_looks"] == 1).all()


def test_a_look_does_not_go_back_in_time():
    steps = (
        look(name="late", at="year", value=1.6, options={"threshold": 0.999}),
        look(name="early", at="followed", value=0.25, options={"threshold": 0.9}),
    )
    rows = observed(scenario(n=100, arms=THREE, interims=steps), 10)[0].estimates
    assert (rows.loc[rows["look"] == 2, "calendar_year"] == 1.6).all()


def test_the_end_waits_for_late_last_visits():
    base = scenario(n=50, schedule=TrialSchedule(weeks=(0, 26, 52), window_days=10.0))

    def later(*args, **given):
        data = generate(*args, **given)
        return data.replace(exit_day=np.full(data.exit_day.shape, 400.0))

    trials = run_block(base, later, ROOT, 0, 3).trials
    assert np.allclose(trials["duration_years"], entries(base)[-1] + 374 / YEAR)


def test_bound_of_unequal_arms_is_that_of_their_correlation():
    arms = (TrialArm(name="placebo", ratio=3.0), *FOUR[1:3])
    found = observed(decided("dunnett", n=100, arms=arms), 3)[0].estimates
    bound = found.loc[found["analysis"] == "change", "boundary"].iloc[0]
    # Both share a reference of three times their size: 1 / (1 + 3).
    law = multivariate_normal(cov=[[1.0, 0.25], [0.25, 1.0]])
    assert 1 - law.cdf([bound, bound]) == pytest.approx(ALPHA, abs=1e-6)


def test_futility_that_is_not_obeyed_stops_nothing():
    rule = {"z": 1.0, "obeyed": False}
    found = observed(group_sequential_design(scenario(n=60), looks=(0.5,), futility=rule), 50)[0]
    assert set(found.trials["stopped_for"]) <= {"end", "efficacy"}
    assert (found.trials["n_looks"] == 2).sum() > 40


def test_a_look_without_an_answer_spends_nothing():
    trial = group_sequential_design(
        scenario(n=60), looks=(0.5,), at="followed", boundary="pocock"
    )  # fmt: skip

    def nobody_treated_was_measured(*args, **given):
        data = generate(*args, **given)
        y = data.values["y"].copy()
        y[0, :30][data.arm[0, :30] == 1] = np.nan
        return data.replace(values={**data.values, "y": y})

    rows = run_block(trial, nobody_treated_was_measured, ROOT, 0, 2).estimates
    rows = rows[rows["analysis"] == "change"].set_index(["replicate", "look"])
    assert rows.loc[(0, 1), "reason"] != ""
    assert not rows.loc[(0, 1), "rejected"]
    assert rows.loc[(0, 2), "boundary"] == pytest.approx(CRITICAL, abs=1e-6)
    # Pocock's constant for two looks.
    assert rows.loc[(1, 2), "boundary"] == pytest.approx(2.1783, abs=1e-4)


@pytest.mark.parametrize("rule", ["any", "all"])
def test_when_one_of_two_arms_is_claimed(rule):
    arms = (THREE[0], TrialArm(name="works", effects={"y": 3.0}), THREE[1])
    trial = group_sequential_design(
        scenario(n=90, arms=arms), looks=(0.5,), options={"stop_when": rule}
    )
    found = observed(trial, 20)[0]
    dropped = found.arms.set_index(["replicate", "arm"])["dropped_at"].unstack()
    if rule == "any":
        assert (found.trials["n_looks"] == 1).all()
        assert (found.trials["stopped_for"] == "efficacy").all()
        # The trial is over: no arm was given up.
        assert (dropped == 0).all(axis=None)
        return
    # The other arm goes on alone with the reference.
    assert (found.trials["n_looks"] == 2).sum() > 15
    assert (dropped["works"] == 1).all()
    final = found.estimates.query("analysis == 'change' and look == 2")
    assert set(final["comparison"]) == {"first"}
    assert found.trials["success"].all()


def test_numbers_stay_below_the_limit_of_the_look():
    trial = sample_size_re_estimation_design(
        scenario(effect=0.4, n=200), n_planned=100, options={"n_max": 130}
    )
    assert observed(trial, 60)[0].trials["n_enrolled"].max() == 130


def test_margin_where_less_is_better():
    lower = TrialEndpoint(name="y", measure="y", better="lower")
    analysis = TrialAnalysis(name="change", endpoint="y", method="change", options={"margin": 0.3})
    trial = scenario(n=60, endpoints=(lower,), analyses=(analysis,))
    rows = observed(trial, 20)[0].estimates
    exact = -ndtri(student.sf((0.3 - rows["estimate"]) / rows["std_error"], rows["df"]))
    assert np.allclose(rows["z"], exact)


def test_conditional_power_at_the_effect_of_the_plan():
    rule = {"conditional_power": 0.3, "beta": 0.1}
    trial = group_sequential_design(scenario(), looks=(0.4,), boundary="none", futility=rule)
    lower = bounds_at(trial, [np.array([0.4])], 1, final=False)[1][0]
    drift = CRITICAL + ndtri(0.9)
    mean = math.sqrt(0.4) * lower + 0.6 * drift
    assert ndtr((mean - CRITICAL) / math.sqrt(0.6)) == pytest.approx(0.3)


def test_futility_spends_the_type_2_error_that_is_asked():
    rule = {"spending": "ld_pocock", "beta": 0.15}
    design = sequential_design(group_sequential_design(scenario(), looks=(0.5,), futility=rule), 1)
    assert design is not None
    assert design.power == pytest.approx(0.85)


def test_subjects_who_are_in_stay_in():
    base = scenario(n=200)
    narrow = dataclasses.replace(
        base, population=TrialPopulation(model="hand_made", settings={"sd": 0.2})
    )
    trial = sample_size_re_estimation_design(
        narrow, n_planned=100, blinded=True, effect=0.56, value=0.2, options={"n_min": 10}
    )
    trials = observed(trial, 20)[0].trials
    # When twenty are seen, in year 1.19, the hundred are in.
    assert (trials["n_enrolled"] == 100).all()
