"""Log-rank and Cox tests of 1,000 simulated trials of 300 subjects, against lifelines in a loop.

Prints the seconds of each batch, and the ratio to lifelines' time per trial in the same run.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.statistics import logrank_test
from timing import machine, median_seconds

from pmsstats.models.kernels.cox_batch import cox_batch
from pmsstats.models.kernels.log_rank_batch import cox_score_batch, log_rank_batch
from pmsstats.seeds import stream

N_TRIALS, N_SUBJECTS, N_LOOPED, REPEATS = 1000, 300, 10, 5


def make_trials() -> tuple[np.ndarray, ...]:
    """Draw exponential times in two arms, censored, in whole days of a two-year trial."""
    rng = stream(1, "survival batch benchmark")
    shape = (N_TRIALS, N_SUBJECTS)
    arm = rng.permuted(np.tile([0, 1], (N_TRIALS, N_SUBJECTS // 2)), axis=1)
    time = rng.exponential(900 / np.exp(-0.3 * arm))
    censored = rng.uniform(400, 730, shape)
    return np.ceil(np.minimum(time, censored)), time <= censored, arm, rng.normal(size=shape)


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")
    duration, event, arm, marker = make_trials()
    both = np.stack([arm, marker], axis=2)
    strata = np.arange(N_SUBJECTS) % 4
    some = range(N_LOOPED)
    frames = [
        pd.DataFrame({"t": duration[i], "e": event[i], "arm": arm[i], "x": marker[i]}) for i in some
    ]

    def loop_log_rank() -> None:
        for i in some:
            a = arm[i] == 0
            logrank_test(duration[i][a], duration[i][~a], event[i][a], event[i][~a])

    def loop_cox(columns: list[str]) -> None:
        for frame in frames:
            CoxPHFitter().fit(frame[["t", "e", *columns]], "t", "e")

    theirs = {
        "log-rank": median_seconds(loop_log_rank, REPEATS),
        "1 covariate": median_seconds(lambda: loop_cox(["arm"]), REPEATS),
        "2 covariates": median_seconds(lambda: loop_cox(["arm", "x"]), REPEATS),
    }
    ours = [
        ("log-rank", "log-rank", lambda: log_rank_batch(duration, event, arm)),
        ("log-rank, 4 strata", "log-rank", lambda: log_rank_batch(duration, event, arm, strata)),
        ("Cox score", "1 covariate", lambda: cox_score_batch(duration, event, arm)),
        ("Cox score, 2 covariates", "2 covariates", lambda: cox_score_batch(duration, event, both)),
        ("Cox maximum", "1 covariate", lambda: cox_batch(duration, event, arm)),
        ("Cox maximum, 2 covariates", "2 covariates", lambda: cox_batch(duration, event, both)),
    ]
    print(f"{machine()}; {N_TRIALS:,} trials x {N_SUBJECTS} subjects")
    for name, peer, call in ours:
        call()
        seconds = median_seconds(call, REPEATS)
        ratio = theirs[peer] * N_TRIALS / N_LOOPED / seconds
        print(f"{name:26s} {seconds:7.3f} s; lifelines' {peer} in a loop takes {ratio:,.0f} x")


if __name__ == "__main__":
    main()
