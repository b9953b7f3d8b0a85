"""Fixtures that the tests of the multiverse share: eight patients, and a small trial."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.cohort import Cohort
from pmsstats.endpoints import AbsoluteThreshold, ProgressionRule
from pmsstats.multiverse import RuleGrid, derive_multiverse, rule_grid
from pmsstats.multiverse.result import MultiverseResult
from pmsstats.seeds import stream

N_SUBJECTS, N_VISITS = 160, 12

# Days 0, 84, 168, 252, 336. What each definition makes of them stands in test_derive.py.
EIGHT = {
    "A1": (4.0, 5.0, 5.0, 5.0, 5.0),
    "A2": (4.0, 5.0, 5.0, 4.0, 4.0),
    "A3": (4.0, 4.0, 4.0, 4.5, 4.5),
    "A4": (4.0, 4.0, 5.0, 5.0, 5.0),
    "B1": (4.0, 4.0, 4.0, 4.0, 4.0),
    "B2": (4.0, 4.0, 4.0, 5.0, 5.0),
    "B3": (4.0, 4.5, 4.0, 4.0, 4.0),
    "B4": (4.0,),
}


def one_point() -> ProgressionRule:
    """A whole point, confirmed after 12 weeks."""
    return ProgressionRule(
        name="point",
        outcome="edss",
        threshold=AbsoluteThreshold(change=1.0),
        direction="increase",
        confirm_weeks=12,
    )


@pytest.fixture(scope="session")
def eight() -> Cohort:
    """Eight patients, four in each arm, one of them with a single visit."""
    visits = [
        {"subject_id": name, "day": 84 * i, "edss": score}
        for name, scores in EIGHT.items()
        for i, score in enumerate(scores)
    ]
    arm = ["placebo" if name.startswith("A") else "active" for name in EIGHT]
    subjects = pd.DataFrame({"subject_id": list(EIGHT), "arm": arm})
    return Cohort(subjects, pd.DataFrame(visits))


@pytest.fixture(scope="session")
def four() -> RuleGrid:
    """Whole or half a point, confirmed after 12 or 24 weeks."""
    return rule_grid(
        one_point(),
        confirm_weeks=[12, 24],
        threshold={
            "whole": AbsoluteThreshold(change=1.0),
            "half": AbsoluteThreshold(change=0.5),
        },
    )


@pytest.fixture(scope="session")
def by_hand(eight: Cohort, four: RuleGrid) -> MultiverseResult:
    """Four definitions on eight patients."""
    return derive_multiverse(eight, four, at_years=0.5)


Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="session")
def tables() -> Tables:
    """Subjects, visits and relapses of a trial in which the active arm worsens less."""
    rng = stream(5, "multiverse")
    ids = np.array([f"S{i:03d}" for i in range(N_SUBJECTS)])
    arm = np.where(rng.random(N_SUBJECTS) < 0.5, "active", "placebo")
    rate = np.where(arm == "active", 0.16, 0.25)[:, None]
    latent = rng.integers(4, 13, N_SUBJECTS)[:, None] + np.cumsum(
        rng.random((N_SUBJECTS, N_VISITS)) < rate, axis=1
    )
    noise = rng.choice([-1, 0, 1], p=[0.15, 0.7, 0.15], size=latent.shape)
    day = 84 * np.arange(N_VISITS) + rng.integers(-7, 8, latent.shape)
    day[:, 0] = 0
    followed = np.arange(N_VISITS) < rng.integers(4, N_VISITS + 1, N_SUBJECTS)[:, None]
    visits = pd.DataFrame(
        {
            "subject_id": np.repeat(ids, N_VISITS),
            "day": day.ravel(),
            "edss": np.clip(latent + noise, 2, 20).ravel() / 2,
        }
    )[followed.ravel()]
    n_relapses = rng.poisson(1.5, N_SUBJECTS)
    relapses = pd.DataFrame(
        {
            "subject_id": np.repeat(ids, n_relapses),
            "day": rng.integers(1, 600, n_relapses.sum()),
        }
    ).drop_duplicates()
    subjects = pd.DataFrame(
        {
            "subject_id": ids,
            "arm": arm,
            "age_years": rng.normal(47, 9, N_SUBJECTS).round(1),
            "region": rng.choice(["east", "north", "west"], N_SUBJECTS),
        }
    )
    return subjects, visits, relapses


@pytest.fixture(scope="session")
def trial(tables: Tables) -> Cohort:
    """A trial of 160 subjects with up to 12 visits, relapses, two arms and covariates."""
    return Cohort(*tables, origin="synthetic")


@pytest.fixture(scope="session")
def grid() -> RuleGrid:
    """24 definitions around 12-week confirmed progression."""
    return rule_grid(
        "cdp12",
        confirm_weeks=[12, 24],
        baseline=["fixed", "roving"],
        confirm_intermediate=[True, False],
        relapse_to_onset_days=[0, 30, 90],
    )


@pytest.fixture(scope="session")
def multiverse(trial: Cohort, grid: RuleGrid) -> MultiverseResult:
    """The trial under the 24 definitions."""
    return derive_multiverse(trial, grid)
