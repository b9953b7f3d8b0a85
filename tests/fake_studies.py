"""A small generator that keeps the protocol of pmsstats.validation, written with numpy alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError

OFFERED = (
    "thalamus_ml", "brain_ml", "pbvc_pct", "edss", "t25fw_s", "nhpt_s", "pasat3", "sdmt",
    "gd_lesion_presence", "new_t2_count",
)  # fmt: skip
PHENOTYPES = ("HC", "RIS", "CIS", "RRMS", "SPMS", "PPMS")
THALAMUS_MEAN = dict(zip(PHENOTYPES, (16.0, 15.8, 15.6, 15.0, 14.2, 14.4), strict=True))
THALAMUS_SD = 1.2
THALAMUS_RATE = dict(zip(PHENOTYPES, (-0.05, -0.1, -0.1, -0.15, -0.25, -0.25), strict=True))
THALAMUS_RATE_SD = 0.1
CORRELATION = 0.6
"""Of thalamus and brain levels, within phenotypes."""
N_DRAWS = 12
ARM_SLOWING = {"placebo": 0.0, "active": 0.5}
DAYS = 365.25


@dataclass(frozen=True, kw_only=True)
class FakeConfig:
    """What :func:`fake_cohort` makes."""

    n_subjects: int = 100
    mix: tuple[tuple[str, float], ...] = (("HC", 0.5), ("PPMS", 0.5))
    weeks: tuple[int, ...] = (0, 52)
    imaging_weeks: tuple[int, ...] = (0, 52)
    measures: tuple[str, ...] = OFFERED
    treatments: tuple[str, ...] = ()
    conversion: bool = False
    effect: float = 1.0

    def for_study(self, **asked) -> FakeConfig:
        """Narrow the description."""
        for name in asked["measures"]:
            if name not in OFFERED:
                raise DesignError(f"`measures` names {name!r}, which no model makes.")
        kept = ("n_subjects", "weeks", "imaging_weeks", "measures", "treatments", "conversion")
        changes = {name: asked[name] for name in kept}
        return dataclasses.replace(self, mix=tuple(asked["mix"].items()), **changes)


def fake_cohort(config: FakeConfig, seed) -> SimpleNamespace:
    """Make a cohort: normal levels and slopes, subject by subject from one stream."""
    rng = np.random.default_rng(seed)
    n, n_visits = config.n_subjects, len(config.weeks)
    # One row of draws per subject: the first subjects do not depend on how many there are.
    width = N_DRAWS + len(OFFERED) * 60
    z = rng.standard_normal((n, width))
    shares = np.cumsum([share for _, share in config.mix])
    names = np.array([name for name, _ in config.mix])
    uniform = _uniform(z[:, 0])
    phenotype = names[np.searchsorted(shares[:-1], uniform, side="right")]
    arms = config.treatments or ("",)
    arm = np.array(arms)[(_uniform(z[:, 1]) * len(arms)).astype(int)]
    year = np.asarray(config.weeks) * 7 / DAYS
    noise = z[:, N_DRAWS:].reshape(n, len(OFFERED), 60)[:, :, :n_visits]
    courses = _courses(config, phenotype, arm, year, z, noise)
    ids = np.array([f"S{i:06d}" for i in range(1, n + 1)])
    scanned = np.isin(config.weeks, config.imaging_weeks)
    columns = {
        name: np.where(scanned | (name in ("edss", "t25fw_s", "nhpt_s", "pasat3", "sdmt")),
                       courses[name], np.nan).ravel()
        for name in config.measures
    }  # fmt: skip
    day = np.tile(np.asarray(config.weeks) * 7, n)
    visits = pd.DataFrame({"subject_id": np.repeat(ids, n_visits), "day": day, **columns})
    subjects = pd.DataFrame(
        {
            "subject_id": ids,
            "phenotype": phenotype,
            "sex": np.where(z[:, 2] > 0, "F", "M"),
            "age_years": 45 + 9 * z[:, 3],
            "disease_duration_years": np.where(
                phenotype == "HC", np.nan, np.exp(2 + 0.5 * z[:, 4])
            ),
            "onset_syndrome": np.where(z[:, 5] > -0.5, "cord", "other"),
        }
    )
    if config.treatments:
        subjects["arm"] = arm
    if config.conversion:
        when = np.exp(-0.7 * z[:, 6]) * 1500 * -np.log(_uniform(z[:, 7]))
        happens = when < config.weeks[-1] * 7
        subjects["converted_to"] = np.where(happens, "SPMS", None)
        subjects["conversion_day"] = np.where(happens, np.ceil(when), np.nan)
    relapses = pd.DataFrame({"subject_id": ids[:0], "day": day[:0]})
    exits = pd.DataFrame({"subject_id": ids, "day": config.weeks[-1] * 7, "reason": "completed"})
    return SimpleNamespace(subjects=subjects, visits=visits, relapses=relapses, exits=exits)


def _uniform(z):
    """Turn normal draws to uniform ones."""
    from scipy import stats

    return stats.norm.cdf(z)


def _courses(config, phenotype, arm, year, z, noise):
    """Return every measure at every visit, shape (n_subjects, n_visits)."""
    mean = np.array([THALAMUS_MEAN[p] for p in phenotype])
    mean = THALAMUS_MEAN["HC"] + config.effect * (mean - THALAMUS_MEAN["HC"])
    slowing = np.array([ARM_SLOWING.get(a, 0.0) for a in arm])
    rate = np.array([THALAMUS_RATE[p] for p in phenotype]) * (1 - slowing)
    rate = config.effect * rate + THALAMUS_RATE_SD * z[:, 8]
    thalamus = (mean + THALAMUS_SD * z[:, 6])[:, None] + rate[:, None] * year
    brain_z = CORRELATION * z[:, 6] + np.sqrt(1 - CORRELATION**2) * z[:, 7]
    brain = (1400 + 80 * brain_z)[:, None] + (4 * rate + z[:, 9])[:, None] * year * 10
    latent = (4 - 0.7 * z[:, 6])[:, None] + (0.6 - 0.4 * z[:, 8])[:, None] * year
    edss = np.round(2 * np.clip(latent + 0.2 * noise[:, 3], 1, 9.5)) / 2
    shape = np.ones_like(year)
    return {
        "thalamus_ml": thalamus + 0.1 * noise[:, 0],
        "brain_ml": brain + 3 * noise[:, 1],
        "pbvc_pct": np.where(year > 0, -0.5 * year + 0.2 * noise[:, 2], np.nan),
        "edss": np.where((phenotype == "HC")[:, None], 0.0, edss),
        "t25fw_s": np.exp(2 + 0.2 * latent / 4 + 0.1 * noise[:, 4]),
        "nhpt_s": np.exp(3 + 0.1 * latent / 4 + 0.1 * noise[:, 5]),
        "pasat3": np.clip(40 + 5 * noise[:, 6], 0, 60),
        "sdmt": 45 + 2 * z[:, 6][:, None] + 5 * noise[:, 7],
        "gd_lesion_presence": (z[:, 10] > 0.5)[:, None] * shape,
        "new_t2_count": np.floor(np.abs(noise[:, 9] * (1.5 - slowing[:, None]))),
    }
