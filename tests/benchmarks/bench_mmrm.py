"""MMRM: one unstructured fit with small-sample tests, beside nlme and glmmTMB; fits in bulk.

``bcva`` has 1,000 subjects with up to 10 visits (55 covariance parameters), ``fev`` 200 with 4. The
peers run once in the same run, if R has them: glmmTMB on all of bcva; gls, which would take
minutes, on its first 200 subjects. The figures of R's mmrm are published ones, not measured here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pmsstats.models.mmrm import fit_mmrm
from pmsstats.models.mmrm_batch import fit_mmrm_batch
from pmsstats.models.mmrm_spec import MMRMSpec
from pmsstats.seeds import stream

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reference_cases import data_folder

BCVA = "BCVA_CHG ~ RACE + BCVA_BL + ARMCD * AVISIT + us(AVISIT | USUBJID)"
FEV = "FEV1 ~ RACE + SEX + ARMCD * AVISIT + us(AVISIT | USUBJID)"
METHODS = ("satterthwaite", "kenward-roger")
# Seconds of R's mmrm on a machine like ours: published with the request for this module.
PUBLISHED = {
    ("bcva", "satterthwaite"): 8.7,
    ("bcva", "kenward-roger"): 49.0,
    ("fev", "satterthwaite"): 0.09,
    ("fev", "kenward-roger"): 0.13,
}
GLS_SUBJECTS = 200
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


def best_of(n: int, call: Callable[[], object]) -> float:
    """Run some times; return the fewest seconds."""
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def seconds_of_peer(package: str, data: pd.DataFrame) -> float | None:
    """Run one fit in R; None where R or the package is absent."""
    rscript = shutil.which("Rscript")
    if rscript is None:
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
    return float(done.stdout) if done.returncode == 0 else None


def print_published(frames: dict[str, pd.DataFrame], formulas: dict[str, str]) -> None:
    """Time whole fits with tests, beside the published figures of R's mmrm."""
    rows = []
    for (name, method), published in PUBLISHED.items():
        spec = MMRMSpec.from_formula(formulas[name], df_method=method)
        seconds = best_of(3, lambda n=name, s=spec: fit_mmrm(frames[n], s))
        rows.append((name, method, seconds, published, published / seconds))
    columns = ["data", "df", "seconds", "mmrm_published_s", "ratio_to_published"]
    print("One fit with tests, data frame to table (best of 3). R's mmrm: published, not run here.")
    print(pd.DataFrame(rows, columns=columns).round(3).to_string(index=False))


def print_peers(bcva: pd.DataFrame) -> None:
    """Time one unstructured REML fit beside glmmTMB and nlme, in this run."""
    few = bcva[bcva["USUBJID"].isin(bcva["USUBJID"].unique()[:GLS_SUBJECTS])]
    spec = MMRMSpec.from_formula(BCVA, df_method="satterthwaite")
    rows = []
    for package, data in (("glmmTMB", bcva), ("nlme", few)):
        theirs = seconds_of_peer(package, data)
        if theirs is None:
            print(f"no comparison with {package}: R or the package is absent")
            continue
        ours = best_of(3, lambda d=data: fit_mmrm(d, spec))
        rows.append((package, data["USUBJID"].nunique(), ours, theirs, theirs / ours))
    columns = ["peer", "n_subjects", "seconds", "peer_s", "ratio_to_peer"]
    print("\nOne unstructured fit of bcva; ours with Satterthwaite tests, theirs without.")
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
            seconds = best_of(2, lambda s=spec: fit_mmrm_batch(design, s, y))
            alone = best_of(3, lambda s=spec: fit_mmrm(design.assign(y=y[0]), s))
            rows.append((fixed, method, N_REPLICATES / seconds, alone * N_REPLICATES / seconds))
    columns = ["fixed", "df", "fits_per_s", "ratio_to_single_fits"]
    share = np.isnan(y).mean()
    print(f"\n{N_REPLICATES} replicates, us, {share:.0%} of visits missed, one thread")
    print(pd.DataFrame(rows, columns=columns).round(1).to_string(index=False))


def main() -> None:
    """Measure and print."""
    folder = data_folder()
    try:
        frames = {
            "bcva": pd.read_csv(folder / "bcva.csv.gz").dropna(),
            "fev": pd.read_csv(folder / "fev.csv").dropna(subset=["FEV1"]),
        }
    except FileNotFoundError as error:
        print(f"no single fits: {error.filename} is absent (set PMSSTATS_DATA to its folder)")
    else:
        print_published(frames, {"bcva": BCVA, "fev": FEV})
        print_peers(frames["bcva"])
    print_batches()


if __name__ == "__main__":
    main()
