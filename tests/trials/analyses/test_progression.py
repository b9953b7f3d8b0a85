"""Log-rank tests of factors."""

from __future__ import annotations

import numpy as np
from trial_cases import analysis_of, event_trials, scenario_of

from pmsstats.trials.analyses import analyse
from pmsstats.trials.scenario import TrialArm
from tests.trials.analyses.small_trials import CLOSED, ENDPOINTS, run

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
