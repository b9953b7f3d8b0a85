"""The truth behind a synthetic cohort: parameters and latent courses. Analyses may not read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.provenance import build_manifest
from synthetic.config import CohortConfig
from synthetic.hands import Hands
from synthetic.imaging import ImagingCourse
from synthetic.lesions import Lesions
from synthetic.observation import ImagingModel
from synthetic.parameters import FACTORS

if TYPE_CHECKING:
    from synthetic.generate import SyntheticCohort

__all__ = ["TRUTH_SCHEMA", "Truth", "true_parameters", "write_truth"]

TRUTH_SCHEMA = "synthetic_truth/1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """What the generator knows and an analysis must find.

    Parameters
    ----------
    config : CohortConfig
        The description.
    seed : tuple of int
        Entropy and spawn key of the root seed.
    parameters : mapping
        Quantities that estimators aim at, see :func:`true_parameters`.
    subjects : pandas.DataFrame
        One row per subject: ``subject_id damage rate disability worsening_hazard relapse_rate
        baseline_edss first_step_year`` (missing without a step in the planned follow-up), and per
        imaging measure ``<measure>_baseline <measure>_slope`` (logarithm on the log scale). With
        lesions ``lesion_rate`` (per year, treatment included); with hands ``hand_log_ratio
        hand_log_ratio_slope`` (other to dominant, on day 0 and per year).
    visits : pandas.DataFrame
        One row per subject and planned visit, seen or not: ``subject_id visit day year true_edss
        relapse_edss attended scanned``.
    attrition : pandas.DataFrame
        ``what n``: planned visits, and how many were lost to what.
    """

    config: CohortConfig
    seed: tuple[int, ...]
    parameters: Mapping[str, Any]
    subjects: pd.DataFrame
    visits: pd.DataFrame
    attrition: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """Return description, parameters and sources, without the latent tables.

        Returns
        -------
        dict
            Plain JSON types.
        """
        return build_manifest(
            command=["generate"],
            spec=self.config,
            origin="synthetic",
            sources=(),
            extra={
                "schema": TRUTH_SCHEMA,
                "seed": list(self.seed),
                "parameters": self.parameters,
                "sources": self.config.sources(),
                "attrition": self.attrition,
            },
        )

    def __repr__(self) -> str:
        """Show the size."""
        return f"<Truth: {len(self.subjects)} subjects, {len(self.visits)} planned visits>"


def true_parameters(config: CohortConfig) -> dict[str, Any]:
    """Work out the quantities that estimators aim at.

    Parameters
    ----------
    config : CohortConfig
        The description.

    Returns
    -------
    dict
        ``log_hazard_per_sd_rate``: of the first true worsening step, per SD of the person factor
        "rate". ``measures``: per imaging measure and phenotype the mean baseline, mean slope, SD
        of baseline and slope and their correlation, the error SD, and
        ``initial_log_hazard_per_sd_slope``, the log hazard ratio of a step at time 0 per SD of
        faster true slope within a phenotype. ``lesions``: mean rate per year by phenotype without
        treatment, and the variance of the rate in squares of its mean; empty where lesions are
        not counted. ``arms``: effects.

    Notes
    -----
    Given a measure's standardised slope s, the factor z is normal with mean ``l s`` (l the rate
    loading) and variance ``1 - l^2``, so the mean hazard is proportional to ``exp(b l s)`` at time
    0; later it is closer to 1, since those at highest risk have had their step.
    """
    return {
        "log_hazard_per_sd_rate": float(config.disability.log_hazard_per_sd),
        "measures": {
            model.measure: _measure_parameters(config, model.measure)
            for model in config.imaging
            if model.measure in config.emitted
        },
        "lesions": _lesion_parameters(config),
        "arms": {
            arm.name: {
                "share": float(arm.share),
                "atrophy_slowing": float(arm.atrophy_slowing),
                "worsening_hazard_ratio": float(arm.worsening_hazard_ratio),
                "relapse_rate_ratio": float(arm.relapse_rate_ratio),
                "lesion_rate_ratio": float(arm.lesion_rate_ratio),
            }
            for arm in config.arms
        },
    }


def _measure_parameters(config: CohortConfig, measure: str) -> dict[str, Any]:
    """Work out the moments of one imaging measure, without treatment."""
    model = next(m for m in config.imaging if m.measure == measure)
    matrix = config.population.correlation_matrix()
    damage_with_rate = matrix[FACTORS.index("damage"), FACTORS.index("rate")]
    unit = {p: _slope_unit(model, p) for p in config.population.phenotypes}
    return {
        "scale": model.scale,
        "error_sd": float(model.error_sd),
        "baseline_sd": float(model.sd),
        "baseline_slope_correlation": float(
            model.damage_loading * model.rate_loading * damage_with_rate
        ),
        "baseline_mean": {p: _baseline_mean(model, p) for p in unit},
        "slope_mean": {p: float(model.rate_pct[p] * u) for p, u in unit.items()},
        "slope_sd": {p: float(model.rate_sd_pct * u) for p, u in unit.items()},
        "rate_pct": {p: float(model.rate_pct[p]) for p in unit},
        "initial_log_hazard_per_sd_slope": float(
            config.disability.log_hazard_per_sd * model.rate_loading
        ),
    }


def _lesion_parameters(config: CohortConfig) -> dict[str, Any]:
    """Work out the moments of the lesion rates, without treatment."""
    model = config.lesions
    if model is None:
        return {}
    patients = [p for p in config.population.phenotypes if p != "HC"]
    return {
        "rate_mean": {p: float(model.rate[p]) for p in patients},
        "dispersion": float(model.dispersion),
    }


def _slope_unit(model: ImagingModel, phenotype: str) -> float:
    """Return what one percent per year is on the scale on which courses are straight."""
    if model.scale == "linear":
        return float(model.mean[phenotype]) / 100
    return 0.01 if model.scale == "log" else 1.0


def _baseline_mean(model: ImagingModel, phenotype: str) -> float:
    """Return the mean baseline on the scale on which courses are straight."""
    if model.scale == "change":
        return 0.0
    mean = float(model.mean[phenotype])
    return float(np.log(mean) - model.sd**2 / 2) if model.scale == "log" else mean


def course_columns(courses: Mapping[str, ImagingCourse]) -> dict[str, np.ndarray]:
    """Return the true baselines and slopes as columns.

    Parameters
    ----------
    courses : mapping of str to ImagingCourse
        By measure.

    Returns
    -------
    dict of str to ndarray
        ``<measure>_baseline`` and ``<measure>_slope``.
    """
    columns: dict[str, np.ndarray] = {}
    for measure, course in courses.items():
        columns[f"{measure}_baseline"] = course.baseline
        columns[f"{measure}_slope"] = course.slope
    return columns


def lesion_columns(lesions: Lesions | None) -> dict[str, np.ndarray]:
    """Return the true lesion rates as a column.

    Parameters
    ----------
    lesions : Lesions or None
        None where they are not counted.

    Returns
    -------
    dict of str to ndarray
        ``lesion_rate``, or nothing.
    """
    return {} if lesions is None else {"lesion_rate": lesions.rate}


def hand_columns(hands: Hands | None) -> dict[str, np.ndarray]:
    """Return the true difference of the hands as columns.

    Parameters
    ----------
    hands : Hands or None
        None where they are not told apart.

    Returns
    -------
    dict of str to ndarray
        ``hand_log_ratio`` and ``hand_log_ratio_slope``, or nothing.
    """
    if hands is None:
        return {}
    return {"hand_log_ratio": hands.log_ratio, "hand_log_ratio_slope": hands.slope}


def write_truth(
    cohort: SyntheticCohort,
    folder: Path | str,
    *,
    format: Literal["csv", "parquet"] = "csv",  # noqa: A002 (the word that pandas users know)
) -> tuple[Path, ...]:
    """Write ``truth.json`` and the latent tables beside a cohort.

    Parameters
    ----------
    cohort : SyntheticCohort
        Whose truth.
    folder : pathlib.Path or str
        Where; made if needed.
    format : {"csv", "parquet"}, default "csv"
        Of ``truth_subjects`` and ``truth_visits``.

    Returns
    -------
    tuple of pathlib.Path
        The written files; same config and seed, same bytes.
    """
    truth, folder = cohort.truth, Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "truth.json"]
    text = json.dumps(truth.to_dict(), indent=2, ensure_ascii=False)
    paths[0].write_text(text + "\n", encoding="utf-8")
    for name, frame in (("truth_subjects", truth.subjects), ("truth_visits", truth.visits)):
        paths.append(folder / f"{name}.{format}")
        if format == "csv":
            frame.to_csv(paths[-1], index=False, lineterminator="\n")
        else:
            frame.to_parquet(paths[-1], index=False)
    return tuple(paths)
