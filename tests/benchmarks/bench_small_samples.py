"""Type I error and coverage of treatment effects in small trials with dropout, by method.

Three designs, two arms of equal size each:

- ``slopes``: visits at 0, 6, ..., 24 months, random intercepts and slopes; the effect is the
  difference of slopes, model ``y ~ year * arm + (year | subject_id)``.
- ``alike``: the same with slopes so alike that their variance is often estimated as zero.
- ``visits``: a baseline and four visits after it, unstructured covariance; the effect is the
  difference at the last visit, model ``y ~ baseline + arm * visit + us(visit | subject_id)``.

After each visit a subject leaves for good with a chance that falls with the value last seen:
missing at random. The data are drawn by numpy alone. The type I error is the share of p < 0.05
where there is no effect; coverage (of the 95 % interval), bias and power are those of other data,
where there is one. MCSE: Monte Carlo standard error. Replicates without an answer are counted in
``failed``, and taken neither as rejections nor as covered. ``singular``: a random effect is
estimated as having no variance, which is an answer; a singular unstructured covariance is none.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from scipy import special

from pmsstats.models import LMMSpec, MMRMSpec
from pmsstats.models.mixed.lmm_batch import fit_lmm_batch
from pmsstats.models.mixed.mixed_design import MixedArrays
from pmsstats.models.mixed.mixed_inference import mixed_inference
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.models.repeated.mmrm_batch import fit_mmrm_batch

METHODS = ("kenward-roger", "satterthwaite", "normal")
N_REPLICATES = {10: 10_000, 20: 10_000, 40: 4000, 100: 4000}  # by subjects per arm
SEED = 20261122
BLOCK = 250  # replicates with the same baseline values
ALPHA = 0.05

YEARS = 0.5 * np.arange(5)
LEVELS_SD = 1.0
SLOPES_SD = {"slopes": 0.5, "alike": 0.15}  # per year
SLOPES_CORRELATION = -0.3
RESIDUAL_SD = 0.3
SLOPE = -0.3
SLOPES_EFFECT = 0.35

VISITS = ("V1", "V2", "V3", "V4")
VISITS_MEAN = np.array([-0.2, -0.4, -0.6, -0.8])
VISITS_SD = np.array([0.8, 0.9, 1.1, 1.3])
VISITS_CORRELATION = np.array(
    [[1.0, 0.7, 0.55, 0.4], [0.7, 1.0, 0.75, 0.6], [0.55, 0.75, 1.0, 0.8], [0.4, 0.6, 0.8, 1.0]]
)
VISITS_EFFECT = np.array([0.2, 0.4, 0.6, 0.8])
OF_BASELINE = 0.6  # change of the mean per unit of the baseline value

SLOPES_FORMULA = "y ~ year * arm + (year | subject_id)"
VISITS_FORMULA = "y ~ baseline + arm * visit + us(visit | subject_id)"
DROPOUT_OF_SLOPES = -2.4  # logit of leaving between two visits, at the mean
DROPOUT_OF_VISITS = -2.1
DROPOUT_SLOPE = -0.7  # change of that logit per standard deviation of the value last seen


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Replicates of one trial: scheduled rows, and their outcomes, missing after dropout."""

    rows: pd.DataFrame
    responses: np.ndarray
    effect: float


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one method says of the effect, one entry per replicate; missing without a maximum."""

    estimate: np.ndarray
    std_error: np.ndarray
    df: np.ndarray
    singular: np.ndarray

    def rejects(self) -> np.ndarray:
        return 2 * special.stdtr(self.df, -np.abs(self.estimate / self.std_error)) < ALPHA

    def covers(self, effect: float) -> np.ndarray:
        half = special.stdtrit(self.df, 1 - ALPHA / 2) * self.std_error
        return np.abs(self.estimate - effect) <= half


# --- the trials, by numpy alone ---------------------------------------------------------------


def lost(rng: np.random.Generator, z: np.ndarray, intercept: float) -> np.ndarray:
    """Say which values are missing, given standardised ones: (..., visits), the first is seen."""
    leaves = rng.uniform(size=z[..., 1:].shape) < special.expit(
        intercept + DROPOUT_SLOPE * z[..., :-1]
    )
    gone = np.zeros(z.shape, dtype=bool)
    gone[..., 1:] = leaves.cumsum(axis=-1) > 0
    return gone


def schedule(n_per_arm: int, n_visits: int) -> pd.DataFrame:
    """Return one row per subject and visit, with every second subject in the active arm."""
    subject = np.repeat(np.arange(2 * n_per_arm), n_visits)
    arms = pd.Categorical.from_codes(subject % 2, ["placebo", "active"], ordered=True)
    return pd.DataFrame({"subject_id": subject, "arm": arms})


def draw_slopes(
    rng: np.random.Generator, n_per_arm: int, size: int, share: float, *, sd: float
) -> Trials:
    """Draw trials whose slopes differ between arms by a share of the effect."""
    n = 2 * n_per_arm
    rows = schedule(n_per_arm, len(YEARS)).assign(year=np.tile(YEARS, n))
    level, tilt = rng.normal(size=(2, size, n))
    slope = SLOPES_CORRELATION * level + np.sqrt(1 - SLOPES_CORRELATION**2) * tilt
    slope = SLOPE + share * SLOPES_EFFECT * (np.arange(n) % 2) + sd * slope
    y = LEVELS_SD * level[..., None] + slope[..., None] * YEARS
    y += RESIDUAL_SD * rng.normal(size=y.shape)
    y[lost(rng, (y - SLOPE * YEARS) / LEVELS_SD, DROPOUT_OF_SLOPES)] = np.nan
    return Trials(rows=rows, responses=y.reshape(size, -1), effect=share * SLOPES_EFFECT)


def draw_visits(rng: np.random.Generator, n_per_arm: int, size: int, share: float) -> Trials:
    """Draw trials whose visits differ between arms by a share of the effect."""
    n, T = 2 * n_per_arm, len(VISITS)
    baseline = rng.normal(size=n)
    names = pd.Categorical.from_codes(np.tile(np.arange(T), n), VISITS, ordered=True)
    rows = schedule(n_per_arm, T).assign(visit=names, baseline=np.repeat(baseline, T))
    root = np.linalg.cholesky(VISITS_CORRELATION) * VISITS_SD[:, None]
    y = VISITS_MEAN + OF_BASELINE * baseline[:, None] + rng.normal(size=(size, n, T)) @ root.T
    y += share * VISITS_EFFECT * (np.arange(n) % 2)[:, None]
    sd = np.sqrt(VISITS_SD**2 + OF_BASELINE**2)
    y[lost(rng, (y - VISITS_MEAN) / sd, DROPOUT_OF_VISITS)] = np.nan
    return Trials(rows=rows, responses=y.reshape(size, -1), effect=share * VISITS_EFFECT[-1])


# --- the effect by every method ---------------------------------------------------------------


def answer_slopes(trials: Trials) -> dict[str, Answers]:
    """Estimate the difference of slopes in every replicate."""
    fits = fit_lmm_batch(
        trials.rows,
        LMMSpec.from_formula(SLOPES_FORMULA),
        trials.responses,
        contrasts={"slopes": {"year:arm[T.active]": 1.0}},
    )
    satterthwaite = Answers(
        estimate=fits.estimates[:, 0],
        std_error=fits.std_errors[:, 0],
        df=fits.df[:, 0],
        singular=fits.singular,
    )
    adjusted = np.full((len(fits.converged), 3), np.nan)
    for i in np.flatnonzero(fits.converged):
        psi = fits.random_covariances[i] / fits.residual_sd[i] ** 2
        adjusted[i] = kenward_roger_slopes(trials, int(i), psi)
    columns = dict(zip(("estimate", "std_error", "df"), adjusted.T, strict=True))
    return {
        "kenward-roger": Answers(**columns, singular=fits.singular),
        "satterthwaite": satterthwaite,
        "normal": replace(satterthwaite, df=np.full(len(adjusted), np.inf)),
    }


def kenward_roger_slopes(trials: Trials, i: int, psi: np.ndarray) -> tuple[float, float, float]:
    """Return estimate, standard error and df of one replicate at the maximum of the batch."""
    rows, y = trials.rows, trials.responses[i]
    seen = ~np.isnan(y)
    year, arm = rows["year"].to_numpy()[seen], rows["arm"].cat.codes.to_numpy()[seen]
    X = np.column_stack([np.ones_like(year), year, arm, arm * year])
    subject = rows["subject_id"].to_numpy()[seen]
    arrays = MixedArrays(
        y=y[seen], X=X, Z=X[:, :2].copy(), subject=subject, n_subjects=int(subject.max()) + 1,
        blocks=((0, 1),),
    )  # fmt: skip
    likelihood = MixedLikelihood(arrays, reml=True)
    solution = likelihood.solve(psi)
    inference = mixed_inference(likelihood, solution, "kenward-roger")
    df = inference.df(np.eye(4)[[3]])
    return float(solution.fixed[3]), float(np.sqrt(inference.covariance[3, 3])), float(df[0])


def answer_visits(trials: Trials) -> dict[str, Answers]:
    """Estimate the difference at the last visit in every replicate."""
    found = {method: answer_visits_by(method, trials) for method in METHODS[:2]}
    normal = replace(found["satterthwaite"], df=np.full(len(trials.responses), np.inf))
    return {**found, "normal": normal}


def answer_visits_by(method: str, trials: Trials) -> Answers:
    """Estimate the difference at the last visit by one method."""
    spec = replace(MMRMSpec.from_formula(VISITS_FORMULA), df_method=method)
    contrast = {"arm[T.active]": 1.0, "arm[T.active]:visit[T.V4]": 1.0}
    fits = fit_mmrm_batch(trials.rows, spec, trials.responses, contrasts={"last": contrast})
    return Answers(
        estimate=fits.estimates[:, 0],
        std_error=fits.std_errors[:, 0],
        df=fits.df[:, 0],
        singular=np.zeros(len(fits.converged), dtype=bool),  # such a fit has no maximum here
    )


Draw = Callable[[np.random.Generator, int, int, float], Trials]
DESIGNS: dict[str, tuple[Draw, Callable[[Trials], dict[str, Answers]]]] = {
    "slopes": (partial(draw_slopes, sd=SLOPES_SD["slopes"]), answer_slopes),
    "alike": (partial(draw_slopes, sd=SLOPES_SD["alike"]), answer_slopes),
    "visits": (draw_visits, answer_visits),
}


# --- rates ------------------------------------------------------------------------------------


def simulate(design: str, n_per_arm: int, n_replicates: int, *, seed: int = SEED) -> pd.DataFrame:
    """Simulate one design at one size; return one row per method."""
    draw, answer = DESIGNS[design]
    key = (seed, *design.encode(), n_per_arm)
    rng = np.random.default_rng(np.random.SeedSequence(key))
    parts = []
    for first in range(0, n_replicates, BLOCK):
        size = min(BLOCK, n_replicates - first)
        for share in (0.0, 1.0):
            trials = draw(rng, n_per_arm, size, share)
            dropout = np.isnan(trials.responses.reshape(size, 2 * n_per_arm, -1)[..., -1])
            parts += [
                pd.DataFrame(
                    {
                        "method": method,
                        "share": share,
                        "dropout": dropout.mean(axis=1),
                        "failed": np.isnan(found.estimate + found.std_error + found.df),
                        "singular": found.singular,
                        "rejects": found.rejects(),
                        "covers": found.covers(trials.effect),
                        "df": found.df,
                        "error": found.estimate - trials.effect,
                    }
                )
                for method, found in answer(trials).items()
            ]
    return summarise(pd.concat(parts)).assign(design=design, n_per_arm=n_per_arm)


def summarise(replicates: pd.DataFrame) -> pd.DataFrame:
    """Count: one row per method."""
    rows = []
    for method in METHODS:
        own = replicates[replicates["method"] == method]
        none, some = own[own["share"] == 0], own[own["share"] == 1]
        type1_error, coverage = none["rejects"].mean(), some["covers"].mean()
        rows.append(
            {
                "method": method,
                "n_replicates": len(none),
                "type1_error": type1_error,
                "mcse_type1_error": mcse(type1_error, len(none)),
                "coverage": coverage,
                "mcse_coverage": mcse(coverage, len(some)),
                "bias": some["error"].mean(),
                "mcse_bias": some["error"].std() / np.sqrt(some["error"].count()),
                "power": some["rejects"].mean(),
                "df_median": none["df"].median(),
                "dropout": none["dropout"].mean(),
                "failed": own["failed"].mean(),
                "singular": own["singular"].mean(),
            }
        )
    return pd.DataFrame(rows)


def mcse(share: float, n: int) -> float:
    """Return the Monte Carlo standard error of a share."""
    return float(np.sqrt(share * (1 - share) / n))


def main() -> None:
    """Simulate and print."""
    print(f"{os.cpu_count()} cores", file=sys.stderr)
    tables = []
    for design in DESIGNS:
        for n_per_arm, n_replicates in N_REPLICATES.items():
            start = time.perf_counter()
            tables.append(simulate(design, n_per_arm, n_replicates))
            seconds = time.perf_counter() - start
            print(f"{design}, {n_per_arm} per arm: {seconds:.0f} s", file=sys.stderr)
    table = pd.concat(tables).set_index(["design", "n_per_arm", "method"])
    print(table.to_string(float_format=lambda x: f"{x:.4f}"))


if __name__ == "__main__":
    main()
