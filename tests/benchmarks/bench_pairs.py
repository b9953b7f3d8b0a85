"""Bivariate mixed models beside nlme, and ordinal mixed models beside ordinal::clmm.

300 subjects with 6 visits, drawn from a bivariate random-slope model; the same in both programs.
nlme fits the stacked rows; clmm fits a random intercept with as many nodes as ours. The peers are
run once, where R has them; ours are medians.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from timing import machine, median_seconds

from pmsstats.models.pairs import PairSpec, fit_pair
from pmsstats.models.responses.ordinal_mixed import fit_ordinal_mixed

N_SUBJECTS, N_VISITS = 300, 6
SPEC = PairSpec(
    first="volume ~ year + (year | subject_id)", second="score ~ year + (year | subject_id)"
)
ORDINAL = "edss ~ year + (1 | subject_id)"
PEERS = {
    "nlme": r"""
suppressMessages(library(nlme))
d <- read.csv("data.csv")
long <- rbind(data.frame(id = d$subject_id, year = d$year, outcome = "volume", y = d$volume),
              data.frame(id = d$subject_id, year = d$year, outcome = "score", y = d$score))
long$outcome <- factor(long$outcome)
cat(system.time(lme(y ~ 0 + outcome + outcome:year, random = ~ 0 + outcome + outcome:year | id,
                    weights = varIdent(form = ~ 1 | outcome), data = long,
                    control = lmeControl(maxIter = 200, msMaxIter = 500)))[["elapsed"]])
""",
    "ordinal": r"""
suppressMessages(library(ordinal))
d <- read.csv("data.csv")
d$id <- factor(d$subject_id)
d$edss <- factor(d$edss, ordered = TRUE)
cat(system.time(clmm(edss ~ year + (1 | id), data = d, nAGQ = 15))[["elapsed"]])
""",
}


def drawn() -> pd.DataFrame:
    """Draw both outcomes, and an ordered score."""
    rng = np.random.default_rng(6)
    sd = np.array([1.0, 0.06, 0.8, 0.2])
    correlation = np.eye(4)
    correlation[1, 3] = correlation[3, 1] = 0.6
    b = rng.multivariate_normal(np.zeros(4), correlation * np.outer(sd, sd), N_SUBJECTS)
    who = np.repeat(np.arange(N_SUBJECTS), N_VISITS)
    year = np.tile(np.arange(N_VISITS) * 0.5, N_SUBJECTS)
    frame = pd.DataFrame({"subject_id": who, "year": year})
    frame["volume"] = 15 + b[who, 0] + (-0.1 + b[who, 1]) * year + rng.normal(0, 0.1, len(who))
    frame["score"] = b[who, 2] + (-0.1 + b[who, 3]) * year + rng.normal(0, 0.3, len(who))
    latent = 2.5 * b[who, 2] + 0.8 * year + rng.logistic(size=len(who))
    scores = np.array([3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0])
    frame["edss"] = scores[np.searchsorted([-3, -2, -1, 0, 0.8, 1.8, 3, 4.5], latent)]
    return frame


def seconds_of_peer(package: str, data: pd.DataFrame) -> float | None:
    """Run one fit in R; None, with what R said, where R or the package is absent."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        print("Rscript is not on the path")
        return None
    with tempfile.TemporaryDirectory() as folder:
        data.to_csv(Path(folder) / "data.csv", index=False)
        (Path(folder) / "fit.R").write_text(PEERS[package], encoding="utf-8")
        command = [rscript, "fit.R"]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=900, check=False
        )
    if done.returncode:
        print(f"R stopped with code {done.returncode}:\n{done.stderr}")
        return None
    return float(done.stdout)


def main() -> None:
    """Print every time."""
    print(f"{N_SUBJECTS} subjects x {N_VISITS} visits; {machine()}")
    data = drawn()
    fit = fit_pair(data, SPEC)
    ours = {
        "fit_pair": median_seconds(lambda: fit_pair(data, SPEC), 9),
        "profile interval": median_seconds(lambda: fit.slope_correlation("profile"), 5),
        "fit_ordinal_mixed, intercept": median_seconds(lambda: fit_ordinal_mixed(data, ORDINAL), 5),
        "fit_ordinal_mixed, slope": median_seconds(
            lambda: fit_ordinal_mixed(data, "edss ~ year + (year | subject_id)"), 3
        ),
    }
    for name, seconds in ours.items():
        print(f"{name:32s} {1000 * seconds:9.1f} ms")
    peers = (("nlme", "fit_pair"), ("ordinal", "fit_ordinal_mixed, intercept"))
    for package, name in peers:
        peer = seconds_of_peer(package, data)
        if peer is not None:
            ratio = peer / ours[name]
            print(f"R {package:30s} {1000 * peer:9.1f} ms, {ratio:.0f} times as long as {name}")


if __name__ == "__main__":
    main()
