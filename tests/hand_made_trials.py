"""Trials made by hand with numpy: normal changes, images that go with them, exponential events."""

from __future__ import annotations

import numpy as np

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.seeds import REPLICATES_PER_CELL, replicate_cells
from pmsstats.trials.scenario import (
    Accrual,
    DecisionRule,
    Scenario,
    TrialAnalysis,
    TrialArm,
    TrialEndpoint,
    TrialPopulation,
    TrialSchedule,
)

YEAR = 365.25


def generate(scenario, root, *, first, last, arm):
    """Make trials: subjects' slopes per follow-up are normal, with a shift by arm.

    Effects: ``y`` and ``image`` (shift of the whole change, in SDs of it), ``carriers`` (shift of
    ``y`` in carriers of the marker only), ``hazard_ratio``. Settings: ``rho`` (between both),
    ``noise`` (SD of a measurement), ``hazard`` (per year), ``sd`` (of the change).
    """
    settings = {"rho": 0.5, "noise": 0.0, "hazard": 0.5, "sd": 1.0} | dict(
        scenario.population.settings
    )
    weeks = scenario.schedule.weeks
    shape = (last - first, scenario.accrual.n_subjects)
    slopes, noise = np.empty((2, *shape)), np.empty((2, *shape, len(weeks)))
    events, marker = np.empty(shape), np.empty(shape)
    cell = (REPLICATES_PER_CELL, shape[1])
    for rng, kept, place in replicate_cells(root, first, last, "hand-made"):
        slopes[:, place] = rng.standard_normal((2, *cell))[:, kept]
        noise[:, place] = rng.standard_normal((2, *cell, len(weeks)))[:, kept]
        events[place] = rng.standard_exponential(cell)[kept]
        marker[place] = (rng.random(cell) < 0.5)[kept]
    rho = settings["rho"]
    slopes[1] = rho * slopes[0] + np.sqrt(1 - rho**2) * slopes[1]
    shift = {
        name: np.array([a.effects.get(name, 0.0) for a in scenario.arms])[arm]
        for name in ("y", "image", "carriers")
    }
    shift["y"] = shift["y"] + shift["carriers"] * marker
    share = np.asarray(weeks) / weeks[-1]
    values = {
        name: settings["sd"] * (slopes[k] + shift[name])[..., None] * share
        + settings["noise"] * noise[k]
        for k, name in enumerate(("y", "image"))
    }
    ratio = np.array([a.effects.get("hazard_ratio", 1.0) for a in scenario.arms])[arm]
    return TrialArrays(
        arms=scenario.arm_names,
        arm=arm,
        weeks=weeks,
        day=np.asarray(weeks, dtype=float)[None, None] * 7,
        values=values,
        baseline={"marker": marker, "event_day": YEAR * events / (settings["hazard"] * ratio)},
        exit_day=np.full(shape, 7.0 * weeks[-1]),
        exit_reason=np.zeros(shape, dtype=int),
        stop_day=np.full(shape, np.inf),
    )


def scenario(*, effect=0.0, n=100, arms=None, **changes):
    """Return a trial of the change of ``y`` over a year, recruited over two."""
    fields = {
        "name": "made by hand",
        "population": TrialPopulation(model="hand_made"),
        "arms": arms or (TrialArm(name="placebo"), TrialArm(name="treated", effects={"y": effect})),
        "accrual": Accrual(n_subjects=n, years=2.0),
        "schedule": TrialSchedule(weeks=(0, 26, 52)),
        "endpoints": (
            TrialEndpoint(name="y", measure="y"),
            TrialEndpoint(name="image", measure="image"),
            TrialEndpoint(name="event", measure="y", better="higher"),
        ),
        "analyses": (
            TrialAnalysis(name="change", endpoint="y", method="change"),
            TrialAnalysis(name="image", endpoint="image", method="change"),
        ),
        "decision": DecisionRule(analysis="change"),
    }
    return Scenario(**fields | changes)


def mcse(share, n):
    """Return the Monte Carlo error of a share."""
    return float(np.sqrt(max(share * (1 - share), 1e-4) / n))
