"""Joint models: two published fits and a simulation study; beside R's mixed model and jmstate.

The yardstick of the aids trial's fit is `nlme::lme`, which fits only its first stage: R package JM
took 29 times as long (7.8 s and 0.27 s on one machine, SOURCE.md of the real inputs), standard
errors included. jmstate runs in an interpreter of its own, named by $JMSTATE_PYTHON, because it
needs torch; its estimates are those of a stochastic algorithm. Times are medians of several runs.
What is not there is left out, with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from timing import machine, median_seconds

from pmsstats.models.joint.joint import fit_joint
from pmsstats.models.joint.maximise import maximise

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from joint_cases import Truth, aids_arrays, draw_arrays
from reference_cases import data_folder

RUNS = 7
N_FITS, N_SUBJECTS, N_PROCESSES = 500, 300, 2
CUTS = np.array([6.227, 11.079, 12.53, 13.93, 15.97, 17.8])  # SOURCE.md of the real inputs
JM_OVER_LME = 7.8 / 0.27
TIME_IN_R = """
library(nlme)
d <- read.csv(commandArgs(TRUE)[1])
fit <- function() lme(CD4 ~ obstime + obstime:drug, random = ~ obstime | patient, data = d)
invisible(fit())
cat(median(replicate(7, system.time(fit())[["elapsed"]])), "\\n")
"""
TIME_IN_JMSTATE = """
import sys, time
import numpy as np, pandas as pd, torch
from jmstate import MultiStateJointModel
from jmstate.functions.base_hazards import Weibull
from jmstate.types import ModelData, ModelDesign, ModelParameters, PrecisionParameters

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
d = pd.read_csv(sys.argv[1])
one = d.drop_duplicates("id")
n, m = len(one), d.groupby("id").size().max()
t, y = np.full((n, m), np.nan), np.full((n, m, 1), np.nan)
for i, (_, rows) in enumerate(d.groupby("id", sort=False)):
    t[i, : len(rows)] = rows["year"]
    y[i, : len(rows), 0] = np.log(rows["serBilir"])
drug = (one["drug"] == "placebo").to_numpy(float)
x = np.column_stack([drug, (one["age"] - one["age"].mean()) / 10])
end, event = one["years"].to_numpy(float), (one["status"] != "alive").to_numpy()
paths = [[(0.0, 0), (e, 1)] if happened else [(0.0, 0)] for e, happened in zip(end, event)]

def effects(fixed, x, b):
    arm = x[..., :1]
    level = fixed[0] + fixed[1] * arm + b[..., :1]
    slope = fixed[2] + fixed[3] * arm + b[..., 1:]
    return torch.cat([level, slope], dim=-1)

def line(t, psi):
    level, slope = psi.chunk(2, dim=-1)
    return (level + slope * t).unsqueeze(-1)

def fit():
    parameters = ModelParameters(
        torch.tensor([0.5, 0.0, 0.2, 0.0]),
        PrecisionParameters.from_covariance(torch.diag(torch.tensor([1.0, 0.04])), "full"),
        PrecisionParameters.from_covariance(0.12 * torch.eye(1), "spherical"),
        {(0, 1): Weibull(0.03, 1.0)},
        {(0, 1): torch.ones(1)},
        {(0, 1): torch.zeros(2)},
    )
    model = MultiStateJointModel(
        ModelDesign(effects, regression_fn=line, link_fns={(0, 1): line}),
        parameters,
        torch.optim.Adam(parameters.parameters(), lr=0.05),
        verbose=False,
    )
    data = ModelData(*(torch.tensor(a) for a in (x, t, y)), paths, torch.tensor(end)[:, None])
    return model.fit(data).compute_summary()

began = time.perf_counter()
model = fit()
seconds = time.perf_counter() - began
link = next(iter(model.params.link_coefs.values()))
print(seconds, float(link.detach().ravel()[0]))
"""


def pbc2() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return measurements and events of the Mayo trial of primary biliary cirrhosis."""
    data = pd.read_csv(data_folder() / "pbc2.csv")
    visits = data.assign(log_bilirubin=np.log(data["serBilir"]))
    subjects = data.drop_duplicates("id")
    subjects = subjects.assign(duration=subjects["years"], event=subjects["status"] != "alive")
    return visits[["id", "year", "log_bilirubin", "drug"]], subjects[
        ["id", "duration", "event", "drug", "age"]
    ]


def fit_pbc2(visits: pd.DataFrame, subjects: pd.DataFrame) -> float:
    """Return the association."""
    found = fit_joint(
        visits,
        subjects,
        "log_bilirubin ~ drug * year + (year | id)",
        hazard="drug + age",
        baseline="weibull",
    )
    return float(found.association_table()["estimate"].iloc[0])


def asked_outside(program: str | None, text: str, name: str, data: Path) -> list[float] | None:
    """Run a script in another program; return the numbers it prints, None where that fails."""
    if program is None:
        print(f"{name}: no program to run it; left out")
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script"
        path.write_text(text, encoding="utf-8")
        command = [program, str(path), str(data)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name} stopped with code {done.returncode}; left out:\n{done.stderr[-2000:]}")
        return None
    return [float(word) for word in done.stdout.split()]


def fit_one(seed: int) -> bool:
    """Draw and fit one data set; return whether the fit was certified."""
    arrays = draw_arrays(Truth(), N_SUBJECTS, np.random.default_rng(seed))
    return maximise(arrays).certificate.is_valid


def study() -> int:
    """Fit all replicates on several processes; return how many were certified."""
    with ProcessPoolExecutor(N_PROCESSES) as pool:
        return sum(pool.map(fit_one, range(N_FITS), chunksize=25))


def time_aids() -> None:
    """Print the time of the aids trial's fit beside lme's."""
    data = pd.read_csv(data_folder() / "aids.csv")
    finer = np.polynomial.legendre.leggauss(16)

    def fit():
        arrays = aids_arrays(data, CUTS)
        return maximise(arrays, refine=lambda: aids_arrays(data, CUTS, finer))

    found, ours = fit(), median_seconds(fit, RUNS)
    print(f"aids, 7 pieces: {ours:.3f} s; association {found.alpha[0, 0]:.4f}")
    theirs = asked_outside(shutil.which("Rscript"), TIME_IN_R, "lme", data_folder() / "aids.csv")
    if theirs:
        ratio = ours / theirs[0]
        print(f"  nlme::lme, its first stage only: {theirs[0]:.3f} s; ours over that {ratio:.2f}")
        print(f"  JM's ratio was {JM_OVER_LME:.0f}: {JM_OVER_LME / ratio:.0f} times ours")


def time_pbc2() -> None:
    """Print the time of the pbc2 fit beside jmstate's."""
    visits, subjects = pbc2()
    association = fit_pbc2(visits, subjects)
    ours = median_seconds(lambda: fit_pbc2(visits, subjects), RUNS)
    print(f"pbc2, Weibull, from frames: {ours:.3f} s; association {association:.4f}")
    program = os.environ.get("JMSTATE_PYTHON")
    name = "jmstate ($JMSTATE_PYTHON)"
    theirs = asked_outside(program, TIME_IN_JMSTATE, name, data_folder() / "pbc2.csv")
    if theirs:
        print(f"  jmstate: {theirs[0]:.1f} s, {theirs[0] / ours:.0f} times ours; {theirs[1]:.4f}")


def time_study() -> None:
    """Print the time of a simulation study."""
    certified = []
    seconds = median_seconds(lambda: certified.append(study()), 1)
    print(
        f"{N_FITS} fits of {N_SUBJECTS} subjects, certified, on {N_PROCESSES} processes: "
        f"{seconds:.1f} s ({certified[0]} certified)"
    )


def main() -> None:
    print(machine())
    if not data_folder().is_dir():
        print(f"no real inputs in {data_folder()}: the published fits are left out")
    else:
        time_aids()
        time_pbc2()
    time_study()


if __name__ == "__main__":
    main()
