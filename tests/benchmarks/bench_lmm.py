"""Linear mixed models: one fit, a batch, a million rows; beside lme4 with lmerTest and statsmodels.

Every fit ends with p values (Satterthwaite's degrees of freedom where the program has them) and
starts from a data frame and a formula. Every time is the median of several runs. R is timed inside
of R, after its start and a first fit; its rows are left out, with what R said, where R or lmerTest
is absent.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import subprocess
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from timing import machine, median_seconds

from pmsstats.models import fit_lmm, fit_lmm_batch
from pmsstats.seeds import stream

FORMULA = "y ~ year * arm + (year | subject_id)"
N_REPLICATES, N_SUBJECTS, N_VISITS, DROPOUT = 1000, 200, 5, 0.15
N_IN_R = 20
RUNS = 5  # of everything but one fit of ours (20), one of statsmodels (3) and the million rows (1)
TIME_IN_R = """
suppressMessages(library(lmerTest))
arguments <- commandArgs(TRUE)
n_runs <- as.integer(arguments[3])
median_seconds <- function(run) {
  median(replicate(n_runs, system.time(run())[["elapsed"]]))
}
one <- read.csv(arguments[1]); many <- read.csv(arguments[2])
fit <- function(d) coef(summary(lmer(y ~ year * arm + (year | subject_id), data = d)))
invisible(fit(one))
cat(median_seconds(function() fit(one)), "\n")
parts <- split(many, many$replicate)
cat(median_seconds(function() for (d in parts) fit(d)) / length(parts), "\n")
"""


def trial() -> pd.DataFrame:
    """Draw 500 subjects with 4 to 9 visits at times of their own."""
    rng = stream(1, "one fit")
    visits = rng.integers(4, 10, 500)
    subject = np.repeat(np.arange(500), visits)
    year = np.concatenate([np.sort(rng.uniform(0, 4, n)) for n in visits])
    slope = -0.3 + 0.3 * rng.normal(size=500)[subject]
    y = 10 + rng.normal(size=500)[subject] + slope * year + 0.5 * rng.normal(size=len(year))
    arm = np.where(subject % 2, "active", "placebo")
    return pd.DataFrame({"subject_id": subject, "year": year, "arm": arm, "y": y})


def schedule() -> pd.DataFrame:
    """Return 200 subjects with a visit every half year."""
    subject = np.repeat(np.arange(N_SUBJECTS), N_VISITS)
    year = np.tile(np.arange(N_VISITS) / 2, N_SUBJECTS)
    arm = np.where(subject % 2, "active", "placebo")
    return pd.DataFrame({"subject_id": subject, "year": year, "arm": arm})


def draw(seed: int) -> tuple[np.ndarray, ...]:
    """Draw the random numbers of all replicates: levels, slopes, residuals, time of dropout."""
    rng = stream(seed, "replicates")
    return (
        rng.normal(size=(N_REPLICATES, N_SUBJECTS)),
        rng.normal(size=(N_REPLICATES, N_SUBJECTS)),
        rng.normal(size=(N_REPLICATES, N_SUBJECTS * N_VISITS)),
        rng.random((N_REPLICATES, N_SUBJECTS)),
    )


def responses(design: pd.DataFrame, drawn: tuple[np.ndarray, ...]) -> np.ndarray:
    """Turn random numbers to outcomes; a share of the subjects drops out after some visit."""
    level, slope, residual, when = drawn
    code, year = design["subject_id"].to_numpy(), design["year"].to_numpy()
    y = 10 + level[:, code] + (-0.3 + 0.3 * slope[:, code]) * year + 0.5 * residual
    last = np.where(when < DROPOUT, np.floor(when / DROPOUT * (N_VISITS - 1)), N_VISITS)
    return np.where(year * 2 > last[:, code], np.nan, y)


def time_in_r(one: pd.DataFrame, design: pd.DataFrame, y: np.ndarray) -> tuple[float, float] | None:
    """Return R's seconds for the one fit, and per replicate; None where it cannot be asked."""
    if shutil.which("Rscript") is None:
        print("Rscript is not on the path: the rows of R are left out")
        return None
    seen = [(r, ~np.isnan(y[r])) for r in range(N_IN_R)]
    many = pd.concat([design[s].assign(y=y[r][s], replicate=r) for r, s in seen])
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("one.csv", "many.csv", "time.R")]
        one.to_csv(paths[0], index=False)
        many.to_csv(paths[1], index=False)
        paths[2].write_text(TIME_IN_R, encoding="utf-8")
        command = ["Rscript", str(paths[2]), str(paths[0]), str(paths[1]), str(RUNS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"R stopped with code {done.returncode}, its rows are left out:\n{done.stderr}")
        return None
    first, second = done.stdout.split()
    return float(first), float(second)


def time_statsmodels(one: pd.DataFrame) -> float:
    """Return statsmodels' seconds for the one fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = smf.mixedlm("y ~ year * arm", one, groups="subject_id", re_formula="~year")
        return median_seconds(lambda: model.fit().summary(), 3)


def fit_a_million() -> tuple[float, float]:
    """Fit 1,000,000 rows of 200,000 subjects; return seconds and this process' peak in GB."""
    rng = stream(1, "million")
    n = 200_000
    code = np.repeat(np.arange(n), 5)
    year = np.tile(np.arange(5.0), n)
    y = 10 + rng.normal(size=n)[code] + (0.3 * rng.normal(size=n)[code] - 0.3) * year
    data = pd.DataFrame({"subject_id": code, "year": year, "y": y + rng.normal(size=len(y))})
    data["arm"] = np.where(code % 2, "active", "placebo")
    seconds = median_seconds(lambda: fit_lmm(data, FORMULA), 1)
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def compare(rows: list[tuple[str, float]], title: str) -> None:
    """Print seconds, and how many times as long as the first row each other takes."""
    table = pd.DataFrame(rows, columns=["program", "seconds"])
    table["ratio"] = table["seconds"] / table["seconds"].iloc[0]
    print(f"\n{title}")
    print(table.to_string(index=False, float_format=lambda v: f"{v:.4g}"))


def main() -> None:
    """Measure and print."""
    print(f"{machine()}; linear mixed models {FORMULA}; medians of several runs")
    one, design = trial(), schedule()
    y = responses(design, draw(1))
    fit_lmm(one, FORMULA)  # compiles
    fit_lmm_batch(design, FORMULA, y[:2])
    in_r = time_in_r(one, design, y)

    rows = [("pmsstats fit_lmm", median_seconds(lambda: fit_lmm(one, FORMULA), 20))]
    rows += [("R lmerTest::lmer, summary", in_r[0])] if in_r else []
    rows += [("statsmodels MixedLM (no df)", time_statsmodels(one))]
    compare(rows, f"One fit: 500 subjects, {len(one)} rows")

    batch = []
    for n in sorted({1, os.cpu_count() or 1}):
        seconds = median_seconds(lambda n=n: fit_lmm_batch(design, FORMULA, y, n_jobs=n), RUNS)
        batch.append((f"pmsstats fit_lmm_batch, n_jobs={n}", seconds / N_REPLICATES))
    drawing = median_seconds(lambda: draw(1), RUNS) / N_REPLICATES
    compare(
        [*batch, ("numpy: drawing its random numbers", drawing)]
        + ([(f"R lmerTest::lmer, summary ({N_IN_R} replicates)", in_r[1])] if in_r else []),
        f"Per replicate: {N_REPLICATES} x {N_SUBJECTS} subjects x {N_VISITS} visits, "
        f"{DROPOUT:.0%} dropout",
    )
    print(f"batch / drawing: {batch[0][1] / drawing:.2f}")

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        seconds, peak = pool.submit(fit_a_million).result()
    print(f"\n1,000,000 rows of 200,000 subjects: {seconds:.1f} s, peak memory {peak:.2f} GB")


if __name__ == "__main__":
    main()
