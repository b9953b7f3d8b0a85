"""Multi-state models of 300 subjects with 2,852 visits, beside R's msm in the same run.

The visits are those of the reference case: four states (death on its day), a covariate on every
transition; once with ratings taken as true, once with errors of rating (fixed initial
probabilities). msm is timed once inside of R (``system.time`` of the call alone), with its own
settings but for as many iterations as it needs; ours is all of `fit_multistate`, checks and
standard errors included, the median of several runs after a first one (which compiles). Asked is a
ratio of at least 20. Without R or msm only our seconds are printed.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pandas as pd
from timing import machine, median_seconds

from pmsstats.models.states.multistate import MultistateSpec, fit_multistate

CASE = Path(__file__).resolve().parents[1] / "reference" / "states_msm"
RUNS = 9
ASKED = 20
COMMON = {"states": (1, 2, 3, 4), "death": 4, "covariates": "treated"}
SPECS = {
    "ratings taken as true": MultistateSpec(**COMMON),
    "with errors of rating": MultistateSpec(
        **COMMON, misclassification="neighbours", initial=(0.6, 0.3, 0.1, 0.0)
    ),
}
TIME_MSM = """
suppressMessages(library(msm))
d <- read.csv("input.csv")
Q <- rbind(c(0, .3, 0, .01), c(.1, 0, .2, .02), c(0, .1, 0, .1), c(0, 0, 0, 0))
E <- rbind(c(0, .1, 0, 0), c(.1, 0, .1, 0), c(0, .1, 0, 0), c(0, 0, 0, 0))
show <- function(seconds, fit) cat(seconds, sprintf("%.6f", -fit$minus2loglik / 2), "\\n")
s <- system.time(f <- msm(state ~ year, subject = subject_id, data = d, qmatrix = Q, deathexact = 4,
  covariates = ~ treated, method = "BFGS", control = list(maxit = 1000, fnscale = 4000)))
show(s["elapsed"], f)
s <- system.time(f <- msm(state ~ year, subject = subject_id, data = d, qmatrix = Q, ematrix = E,
  initprobs = c(.6, .3, .1, 0), deathexact = 4, covariates = ~ treated, method = "BFGS",
  control = list(maxit = 1000, fnscale = 4000)))
show(s["elapsed"], f)
"""


def time_msm() -> list[tuple[float, float]]:
    """Return seconds and log-likelihood of both models in R; nothing where R or msm is absent."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return []
    done = subprocess.run(
        [rscript, "-e", TIME_MSM], cwd=CASE, capture_output=True, text=True, check=False
    )
    lines = [line.split() for line in done.stdout.splitlines() if len(line.split()) == 2]
    return [(float(seconds), float(value)) for seconds, value in lines]


def main() -> None:
    """Measure and print."""
    data = pd.read_csv(CASE / "input.csv")
    rows = []
    peers = time_msm() or [(float("nan"), float("nan"))] * len(SPECS)
    for (name, spec), (peer, peer_value) in zip(SPECS.items(), peers, strict=True):
        fit = fit_multistate(data, spec)
        seconds = median_seconds(lambda spec=spec: fit_multistate(data, spec), RUNS)
        rows.append((name, seconds, peer, peer / seconds, fit.log_likelihood, peer_value))
    columns = ["model", "seconds", "msm_seconds", "ratio", "log_likelihood", "msm_log_likelihood"]
    print(machine())
    print(pd.DataFrame(rows, columns=columns).round(4).to_string(index=False))
    print(f"Asked: a ratio of at least {ASKED}.")


if __name__ == "__main__":
    main()
