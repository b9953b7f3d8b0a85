"""Analyses of 10,000 simulated trials, beside drawing the normals of the same trials by numpy.

Fewer trials are timed and scaled where 10,000 would not fit into memory; times are medians, on one
thread, data made beforehand. Asked is that trials of slopes (2 arms of 150, 5 visits, dropout) cost
at most 5 draws of their normals, data included, and that trials of 13 EDSS visits with 24-week
confirmation and a log-rank test take under 15 seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from timing import machine, median_seconds

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from trial_cases import analysis_of, scenario_of, slope_trials

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.trials.analyses import analyse
from pmsstats.trials.scenario import TrialAnalysis, TrialArm, TrialEndpoint

TRIALS, PART = 10_000, 500
OUTCOMES = ("volume", "edss_like", "walk", "hand")
ENDPOINTS = (
    *(TrialEndpoint(name=name, measure=name) for name in OUTCOMES),
    TrialEndpoint(name="cdp", measure="edss", rule="cdp24", better="lower"),
    TrialEndpoint(name="t2", measure="volume", better="lower"),
)


def edss_trials() -> TrialArrays:
    """Random walks on the steps of the EDSS, 2 arms of 150, a visit every 12 weeks."""
    rng = np.random.default_rng(1)
    weeks = tuple(range(0, 145, 12))
    base = slope_trials(2, PART, (150, 150), weeks=weeks)
    walk = 5 + 0.3 * rng.normal(size=(PART, 300, 1))
    walk = walk + np.cumsum(rng.normal(0.05, 0.25, (PART, 300, 13)), axis=2)
    score = np.round(2 * np.clip(walk, 1.5, 9.5)) / 2
    gone = np.isnan(base.values["volume"])
    return base.replace(values={"edss": np.where(gone, np.nan, score)})


def show(label: str, analysis: TrialAnalysis, data: TrialArrays, normals: float) -> None:
    """Time one analysis and print it, scaled to 10,000 trials."""
    own = tuple(TrialArm(name=name) for name in data.arms)
    scenario = scenario_of(analysis, arms=own, endpoints=ENDPOINTS, weeks=data.weeks)

    def run() -> None:
        analyse(scenario, analysis, data, arms=data.arms[1:])

    run()
    seconds = median_seconds(run, 3) * TRIALS / data.n_replicates
    print(f"{label:<52} {seconds:8.2f} s {seconds / normals:8.1f} draws")


def main() -> None:
    """Print a line per method."""
    print(machine())
    rng = np.random.default_rng(3)
    draw = median_seconds(lambda: rng.standard_normal((PART, 300, 7)), 5) * TRIALS / PART
    print(f"normals of 10,000 trials, 300 subjects, 5 visits      {draw:8.2f} s")
    data = slope_trials(4, PART, (150, 150), dropout=0.05)
    ordered = data.replace(arm=np.broadcast_to(np.repeat([0, 1], 150), data.arm.shape))
    show("random slope, Satterthwaite, one allocation", analysis_of("random_slope"), ordered, draw)
    show("random slope, Satterthwaite, permuted blocks", analysis_of("random_slope"), data, draw)
    for method in ("change", "ancova", "mmrm"):
        show(method, analysis_of(method), data, draw)
    counts = data.replace(values={"volume": np.round(np.abs(data.values["volume"] - 20))})
    show("counts, negative binomial", analysis_of("counts", endpoint="t2"), counts, draw)
    scores = edss_trials()
    for method in ("log_rank", "cox", "proportion"):
        analysis = analysis_of(method, endpoint="cdp")
        show(f"{method}, 13 EDSS visits, cdp24", analysis, scores, draw)
    octopus = slope_trials(5, 100, (125, 125, 125), slopes=(-1.0,) * 3, measures=OUTCOMES)
    joint = analysis_of("multivariate", endpoints=OUTCOMES)
    show("multivariate, 4 outcomes, 3 arms of 125", joint, octopus, draw)


if __name__ == "__main__":
    main()
