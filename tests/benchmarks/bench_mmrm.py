"""MMRM: one unstructured fit with small-sample tests, beside nlme and glmmTMB; fits in bulk.

``bcva`` has 1,000 subjects with up to 10 visits (55 covariance parameters), ``fev`` 200 with 4. The
peers fit all of bcva in the same run, if R has them (gls takes a minute or more). R's mmrm was not
measured here. Every time of ours is the median of three runs, each of the peers', which are longer,
that of one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from timing import machine, median_seconds

from pmsstats.models.repeated.mmrm import fit_mmrm
from pmsstats.models.repeated.mmrm_batch import fit_mmrm_batch
from pmsstats.models.repeated.mmrm_spec import MMRMSpec
from pmsstats.seeds import stream

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reference_cases import data_folder

BCVA = "BCVA_CHG ~ RACE + BCVA_BL + ARMCD * AVISIT + us(AVISIT | USUBJID)"
FEV = "FEV1 ~ RACE + SEX + ARMCD * AVISIT + us(AVISIT | USUBJID)"
METHODS = ("satterthwaite", "kenward-roger")
# Taken as given, by no measurement of ours: R's mmrm could not be installed here.
R_MMRM_SECONDS = {
    ("bcva", "satterthwaite"): 8.7,
    ("bcva", "kenward-roger"): 49.0,
    ("fev", "satterthwaite"): 0.09,
    ("fev", "kenward-roger"): 0.13,
}
N_REPLICATES = 1000
PEER = r"""
suppressMessages(library(PACKAGE, character.only = TRUE))
d <- read.csv(commandArgs(TRUE)[1], stringsAsFactors = TRUE)
d$USUBJID <- factor(d$USUBJID)
f <- BCVA_CHG ~ RACE + BCVA_BL + ARMCD * AVISIT
cat(system.time(CALL)[["elapsed"]])
"""
CALLS = {
    "nlme": "gls(f, d, corSymm(form = ~ VISITN | USUBJID), varIdent(form = ~ 1 | AVISIT), "
    "control = glsControl(maxIter = 500, msMaxIter = 1000))",
    "glmmTMB": "suppressWarnings(glmmTMB(update(f, ~ . + us(0 + AVISIT | USUBJID)), d, "
    "dispformula = ~ 0, REML = TRUE))",
}


def seconds_of_peer(package: str, data: pd.DataFrame) -> float | None:
    """Run one fit in R; None, with what R said, where R or the package is absent."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        print("Rscript is not on the path")
        return None
    code = PEER.replace("PACKAGE", repr(package)).replace("CALL", CALLS[package])
    with tempfile.TemporaryDirectory() as folder:
        data.to_csv(Path(folder) / "data.csv", index=False)
        (Path(folder) / "fit.R").write_text(code, encoding="utf-8")
        done = subprocess.run(
            [rscript, "fit.R", "data.csv"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
    if done.returncode:
        print(f"R stopped with code {done.returncode}:\n{done.stderr}")
        return None
    return float(done.stdout)


def print_fits(frames: dict[str, pd.DataFrame], formulas: dict[str, str]) -> None:
    """Time whole fits with tests, beside what was given for R's mmrm."""
    rows = []
    for (name, method), given in R_MMRM_SECONDS.items():
        spec = MMRMSpec.from_formula(formulas[name], df_method=method)
        seconds = median_seconds(lambda n=name, s=spec: fit_mmrm(frames[n], s), 3)
        rows.append((name, method, seconds, given, given / seconds))
    columns = ["data", "df", "seconds", "r_mmrm_given_s", "ratio_to_given"]
    print("One fit with tests, data frame to table. R's mmrm: taken as given, NOT MEASURED here.")
    print(pd.DataFrame(rows, columns=columns).round(3).to_string(index=False))


def print_peers(bcva: pd.DataFrame) -> None:
    """Time one unstructured REML fit beside glmmTMB and nlme, in this run."""
    spec = MMRMSpec.from_formula(BCVA, df_method="satterthwaite")
    ours = median_seconds(lambda: fit_mmrm(bcva, spec), 3)
    rows = []
    for package in CALLS:
        theirs = seconds_of_peer(package, bcva)
        if theirs is None:
            print(f"no comparison with {package}")
            continue
        rows.append((package, bcva["USUBJID"].nunique(), ours, theirs, theirs / ours))
    columns = ["peer", "n_subjects", "seconds", "peer_s", "ratio_to_peer"]
    print("\nOne unstructured fit of all of bcva; ours with Satterthwaite tests, theirs without")
    print("(nlme: gls).")
    print(pd.DataFrame(rows, columns=columns).round(3).to_string(index=False))


def print_batches() -> None:
    """Count fits per second of a trial of 200 subjects and 5 visits, in one thread."""
    n_subjects, n_visits = 200, 5
    ids = np.repeat(np.arange(n_subjects), n_visits)
    visits = [f"W{week:02d}" for week in (4, 12, 24, 36, 48)]
    design = pd.DataFrame({"subject_id": ids, "visit": np.tile(visits, n_subjects)})
    design["arm"] = np.where(ids % 2, "active", "placebo")
    rng = stream(1, "benchmark")
    design["base"] = np.repeat(rng.normal(0, 1, n_subjects), n_visits)
    y = rng.normal(0, 1, (N_REPLICATES, len(ids)))
    y += np.repeat(rng.normal(0, 1, (N_REPLICATES, n_subjects)), n_visits, axis=1)
    last = np.repeat(rng.integers(1, 34, (N_REPLICATES, n_subjects)), n_visits, axis=1)
    y[np.tile(np.arange(n_visits), n_subjects) >= last] = np.nan
    rows = []
    for fixed in ("arm * visit", "arm * visit + base * visit"):
        for method in METHODS:
            spec = MMRMSpec(outcome="y", fixed=fixed, df_method=method)
            fit_mmrm_batch(design, spec, y[:2])  # compiles
            seconds = median_seconds(lambda s=spec: fit_mmrm_batch(design, s, y), 3)
            alone = median_seconds(lambda s=spec: fit_mmrm(design.assign(y=y[0]), s), 3)
            rows.append((fixed, method, N_REPLICATES / seconds, alone * N_REPLICATES / seconds))
    columns = ["fixed", "df", "fits_per_s", "ratio_to_single_fits"]
    share = np.isnan(y).mean()
    print(f"\n{N_REPLICATES} replicates, us, {share:.0%} of visits missed, one thread")
    print(pd.DataFrame(rows, columns=columns).round(1).to_string(index=False))


def main() -> None:
    """Measure and print."""
    print(machine())
    folder = data_folder()
    try:
        frames = {
            "bcva": pd.read_csv(folder / "bcva.csv.gz").dropna(),
            "fev": pd.read_csv(folder / "fev.csv").dropna(subset=["FEV1"]),
        }
    except FileNotFoundError as error:
        print(f"no single fits: {error.filename} is absent (set PMSSTATS_DATA to its folder)")
    else:
        print_fits(frames, {"bcva": BCVA, "fev": FEV})
        print_peers(frames["bcva"])
    print_batches()


if __name__ == "__main__":
    main()
