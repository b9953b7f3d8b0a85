"""Scenarios of a few words, for tests of the generator of trials."""

from __future__ import annotations

import numpy as np

from pmsstats.trials.scenario import (
    Accrual,
    DecisionRule,
    Scenario,
    TrialAnalysis,
    TrialArm,
    TrialDropout,
    TrialEndpoint,
    TrialPopulation,
    TrialSchedule,
)

LINE = {
    "measure": "y", "intercept": 100.0, "rate": -2.0, "intercept_sd": 5.0, "slope_sd": 1.5,
    "correlation": 0.3, "residual_sd": 1.0,
}  # fmt: skip
WEEKS = (0, 26, 52, 78, 104)


def scenario(
    model="random_slope", settings=LINE, effects=({}, {}), *,
    n=30, weeks=WEEKS, measures=("y",), methods=("random_slope",), treatments=(None, None),
    dropout=None, intercurrent=(), analysis=None, **schedule,
):  # fmt: skip
    """Put a trial together: arms ``a0`` (the reference), ``a1`` and so on."""
    arms = zip(effects, (*treatments, *[None] * len(effects)), strict=False)
    return Scenario(
        name="a trial",
        population=TrialPopulation(model=model, settings=settings),
        arms=tuple(
            TrialArm(name=f"a{k}", effects=given, treatment=treatment)
            for k, (given, treatment) in enumerate(arms)
        ),
        accrual=Accrual(n_subjects=n),
        schedule=TrialSchedule(weeks=weeks, **schedule),
        endpoints=tuple(TrialEndpoint(name=name, measure=name) for name in measures),
        analyses=tuple(
            TrialAnalysis(name=method, endpoint=measures[0], method=method, **(analysis or {}))
            for method in methods
        ),
        decision=DecisionRule(analysis=methods[0]),
        dropout=dropout or TrialDropout(),
        intercurrent=intercurrent,
    )


def halves(n_replicates, n_subjects):
    """Allocate the first half of the places to the reference, the others to arm 1."""
    row = (np.arange(n_subjects) >= n_subjects // 2).astype(int)
    return np.broadcast_to(row, (n_replicates, n_subjects))
