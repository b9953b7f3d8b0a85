"""Draw .github/power.png: power of a cord-atrophy trial, by the closed form and by simulation.

Lines: `power_slope` with the variances of a mixed model of 5,000 untreated patients. Points: trials
of the generator's preset ``ppms_trial``, with their dropout, analysed by the same mixed model.
Called by `make figures`. The same code and seed give the same numbers; takes some minutes.
"""

from __future__ import annotations

import itertools
import os
import sys
import warnings
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import pmsstats as pms
from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.errors import EvidenceUncheckedWarning
from pmsstats.plots import plot_power_curve, theme
from pmsstats.plots.theme import group_styles
from pmsstats.power import slope_model_from_fit
from pmsstats.trials import (
    Accrual,
    DecisionRule,
    TrialAnalysis,
    TrialArm,
    TrialDropout,
    TrialEndpoint,
    TrialPopulation,
    TrialSchedule,
)
from synthetic import generate_cohort, generate_trials, preset

CORD, WEEKS, DROPOUT_PER_YEAR = "cord_area_c2c3_mm2", (0, 26, 52, 78, 104), 0.1
YEARS = tuple(7 * week / DAYS_PER_YEAR for week in WEEKS)
SLOWINGS, ALPHA = (0.5, 0.4, 0.3, 0.2, 0.0), 0.025
SIMULATED, N_REPLICATES, SEED = (40, 80, 120, 160, 200), 4000, 7
N_PILOT = 5000
TARGET = Path(__file__).resolve().parent.parent / ".github" / "power.png"


def label(slowing: float) -> str:
    """Name a treatment."""
    return f"slows {slowing:.0%}".replace("%", " %") if slowing else "no effect"


def formula() -> pd.DataFrame:
    """Return the closed form's power, with the variances and the loss of untreated patients."""
    config = preset("ppms_trial").for_study(
        n_subjects=N_PILOT, weeks=WEEKS, measures=(CORD,), treatments=("placebo",), complete=True
    )
    cohort = generate_cohort(config, seed=SEED)
    scans = cohort.visits.assign(year=cohort.visits["day"] / DAYS_PER_YEAR)
    fit = pms.fit_lmm(scans, f"{CORD} ~ year + (year | subject_id)", origin=cohort.origin)
    rate = float(fit.table().set_index("term").loc["year", "estimate"])
    model = slope_model_from_fit(fit)
    print(f"loss {rate:.3f} mm2 a year, SD {model.slope_sd:.3f}, of a scan {model.residual_sd:.3f}")
    grid = pms.power_grid(
        pms.power_slope,
        along={"n": range(20, 211, 5), "slowing": SLOWINGS},
        schedule=pms.VisitSchedule(years=YEARS),
        model=model,
        rate=rate,
        dropout=DROPOUT_PER_YEAR,
        method="hu_mackey_thomas",
        alpha=ALPHA,
        sides=1,
    )
    return grid.table()


def simulated(n: int, slowing: float, seed: np.random.SeedSequence) -> dict[str, float]:
    """Return the power of simulated trials, with its Monte Carlo error."""
    scenario = pms.Scenario(
        name=f"{n} patients, {slowing:.0%} slowing",
        population=TrialPopulation(model="ppms_trial"),
        arms=(
            TrialArm(name="placebo"),
            TrialArm(name="active", effects={"atrophy_slowing": slowing}),
        ),
        accrual=Accrual(n_subjects=n),
        schedule=TrialSchedule(weeks=WEEKS),
        dropout=TrialDropout(share=1 - (1 - DROPOUT_PER_YEAR) ** YEARS[-1]),
        endpoints=(TrialEndpoint(name="cord", measure=CORD),),
        analyses=(TrialAnalysis(name="slope", endpoint="cord", method="random_slope"),),
        decision=DecisionRule(analysis="slope", alpha=ALPHA),
    )
    done = pms.simulate_trials(
        scenario, generate_trials, N_REPLICATES, seed, n_workers=os.cpu_count(), truth=False
    )
    row = done.operating[done.operating["quantity"].isin(["power", "type1_error"])].iloc[0]
    return {"n": n, "slowing": slowing, "power": row["value"], "mcse": row["mcse"]}


if __name__ == "__main__":
    warnings.simplefilter("ignore", EvidenceUncheckedWarning)
    lines = formula()
    designs = list(itertools.product(SLOWINGS, SIMULATED))
    seeds = np.random.SeedSequence(SEED).spawn(len(designs))
    points = pd.DataFrame(
        [simulated(n, s, seed) for (s, n), seed in zip(designs, seeds, strict=True)]
    )
    lines["expected"] = lines["power"]
    both = points.merge(lines[["n", "slowing", "expected"]], on=["n", "slowing"])
    error = (both["expected"] * (1 - both["expected"]) / N_REPLICATES) ** 0.5
    both["errors_apart"] = (both["power"] - both["expected"]) / error
    print(both.round(4).to_string(index=False))
    apart = 100 * (both["power"] - both["expected"])
    print(
        f"{(both['errors_apart'].abs() < 1.96).sum()} of {len(both)} within 1.96 Monte Carlo errors"
    )
    print(f"differences from {apart.min():.1f} to {apart.max():.1f} percentage points")
    levels = [label(s) for s in SLOWINGS]
    lines["treatment"] = pd.Categorical(lines["slowing"].map(label), levels)
    with theme():
        fig, ax = plt.subplots(figsize=(7.4, 4.4), layout="constrained")
        plot_power_curve(
            lines, group="treatment", origin="synthetic", ax=ax,
            x_label="Patients, both arms together",
        )  # fmt: skip
        for slowing, style in zip(SLOWINGS, group_styles(levels).values(), strict=True):
            rows = points[points["slowing"] == slowing]
            ax.errorbar(
                rows["n"], rows["power"], 1.96 * rows["mcse"], fmt="o", color=style.colour,
                markersize=4, capsize=3, zorder=5,
            )  # fmt: skip
        fig.savefig(TARGET, dpi=125, metadata={"Software": None})
    if len(sys.argv) > 1:
        both.to_csv(sys.argv[1], index=False, lineterminator="\n")
    print(TARGET)
