"""The truth behind a synthetic cohort: parameters and latent courses. Analyses may not read it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.special import ndtri

from pmsstats.cohort.schema import PHENOTYPES
from pmsstats.errors import DesignError, nearest
from pmsstats.provenance import build_manifest
from synthetic.config import CohortConfig
from synthetic.hands import Hands
from synthetic.imaging import ImagingCourse, mean_rate
from synthetic.lesions import Lesions
from synthetic.literature import LITERATURE
from synthetic.observation import ImagingModel
from synthetic.parameters import Arm
from synthetic.processes import shared_covariance, shared_variance

if TYPE_CHECKING:
    from synthetic.generate import SyntheticCohort

__all__ = [
    "TRUTH_SCHEMA",
    "Truth",
    "level_correlation",
    "slope_correlation",
    "true_parameters",
    "write_truth",
]

TRUTH_SCHEMA = "synthetic_truth/2"


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
        One row per subject: ``subject_id``, the twelve person factors (``synthetic.FACTORS``),
        ``age_score duration_score head_size_score worsening_hazard relapse_rate baseline_edss
        first_step_year`` (missing without a step in the planned follow-up), ``conversion_year``
        (where phenotypes convert), and per imaging measure ``<measure>_baseline <measure>_slope``
        (on the scale on which courses are straight; the slope is that of day 0). With
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
        ``log_hazard_per_sd``: of a true worsening step per SD of every person factor, age and
        duration. ``measures``: per imaging measure and phenotype the mean baseline, mean slope, SD
        of baseline and slope and their correlation, the error SD, and the log hazard ratios of a
        step at time 0 per SD of faster true slope, and of worse true baseline, within a phenotype
        (``initial_log_hazard_per_sd_slope``, ``..._level``). ``lesions``: mean rate per year by
        phenotype without treatment, and the variance of the rate in squares of its mean; empty
        where lesions are not counted. ``arms``: effects, and with them ``slope_mean`` by measure
        and phenotype. ``literature``: the side taken in every disagreement.

    Notes
    -----
    All follows by matrix algebra from the correlations R of the factors. A score with weights w on
    them (and a share of its own) and the linear predictor with weights b have covariance
    ``c = w'R b``. Given the score s, which has variance 1, the linear predictor is normal with
    mean ``c s`` and a variance that does not depend on s. So the mean hazard is proportional to
    ``exp(c s)`` at time 0; later it is closer to 1, since those at highest risk have had their
    step. Moments are those before inclusion ranges of age and duration cut; a treatment's means
    are those once it works.
    """
    models = [model for model in config.imaging_models if model.measure in set(config.emitted)]
    return {
        "log_hazard_per_sd": {name: float(b) for name, b in config.disability.loadings},
        "measures": {model.measure: _measure_parameters(config, model) for model in models},
        "lesions": _lesion_parameters(config),
        "arms": {arm.name: _arm_parameters(config, arm, models) for arm in config.arms},
        "literature": {
            name: dict(config.literature).get(name, item.options[0])
            for name, item in LITERATURE.items()
        },
    }


def _measure_parameters(config: CohortConfig, model: ImagingModel) -> dict[str, Any]:
    """Work out the moments of one imaging measure, without treatment."""
    matrix = config.population.correlation_matrix()
    hazards = config.disability.loadings
    unit = {p: _slope_unit(model, p) for p in config.population.phenotypes}
    together = shared_covariance(model.level_loadings, model.rate_loadings, matrix)
    return {
        "scale": model.scale,
        "error_sd": float(model.error_sd),
        "baseline_sd": 1.0 if model.scale == "presence" else float(model.sd),
        "baseline_slope_correlation": together,
        "baseline_mean": {p: _baseline_mean(model, p) for p in unit},
        "slope_mean": {p: float(model.rate_pct[p] * u) for p, u in unit.items()},
        "slope_sd": {p: float(model.rate_sd_pct * u) for p, u in unit.items()},
        "rate_pct": {p: float(model.rate_pct[p]) for p in unit},
        "initial_log_hazard_per_sd_slope": shared_covariance(model.rate_loadings, hazards, matrix),
        "initial_log_hazard_per_sd_level": shared_covariance(model.level_loadings, hazards, matrix),
    }


def slope_correlation(config: CohortConfig, first: str, second: str) -> float:
    """Work out the correlation of the true slopes of two measures within a phenotype.

    Parameters
    ----------
    config : CohortConfig
        The description.
    first, second : str
        Imaging measures.

    Returns
    -------
    float
        In the direction of worsening of both: positive where those who lose more of one worsen
        more in the other.

    Raises
    ------
    DesignError
        If one has no model.
    """
    return _correlation(config, first, second, "rate_loadings", "process")


def level_correlation(config: CohortConfig, first: str, second: str) -> float:
    """Work out the correlation of the true baselines of two measures within a phenotype.

    Parameters
    ----------
    config : CohortConfig
        The description.
    first, second : str
        Imaging measures.

    Returns
    -------
    float
        In the direction of worsening of both.

    Raises
    ------
    DesignError
        If one has no model.
    """
    return _correlation(config, first, second, "level_loadings", "own_level")


def _correlation(config: CohortConfig, first: str, second: str, loadings: str, own: str) -> float:
    """Add up what two scores share: the factors, and their own part if it is one and the same."""
    one, other = _model(config, first), _model(config, second)
    matrix = config.population.correlation_matrix()
    given = getattr(one, loadings), getattr(other, loadings)
    total = shared_covariance(*given, matrix)
    if (getattr(one, own) or first) == (getattr(other, own) or second):
        rest = [max(1 - shared_variance(part, matrix), 0.0) for part in given]
        total += math.sqrt(rest[0] * rest[1])
    return total


def _model(config: CohortConfig, measure: str) -> ImagingModel:
    """Look up the model of a measure."""
    models = {model.measure: model for model in config.imaging_models}
    if measure not in models:
        raise DesignError(f"No imaging model of {measure!r}.{nearest(str(measure), models)}")
    return models[measure]


def _arm_parameters(config: CohortConfig, arm: Arm, models: list[ImagingModel]) -> dict[str, Any]:
    """Gather the effects of an arm, and the mean slopes under it."""
    effects = {
        field.name: getattr(arm, field.name)
        for field in dataclasses.fields(arm)
        if field.name not in ("name", "slowing")
    }
    return {
        **{name: float(value) for name, value in effects.items()},
        "slowing": {name: float(share) for name, share in arm.slowing},
        "slope_mean": {
            model.measure: {
                p: float(mean_rate(model, arm)[PHENOTYPES.index(p)] * _slope_unit(model, p))
                for p in config.population.phenotypes
            }
            for model in models
        },
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
        "duration_decline": float(model.duration_decline),
        "baseline_ratio": float(model.baseline_ratio),
    }


def _slope_unit(model: ImagingModel, phenotype: str) -> float:
    """Return what one percent per year is on the scale on which courses are straight."""
    if model.scale == "linear":
        return 1.0 if model.rate_unit == "native" else float(model.mean[phenotype]) / 100
    return 1.0 if model.scale == "change" else 0.01


def _baseline_mean(model: ImagingModel, phenotype: str) -> float:
    """Return the mean baseline on the scale on which courses are straight."""
    if model.scale == "change":
        return 0.0
    mean = float(model.mean[phenotype])
    if model.scale == "linear":
        return mean
    if model.scale == "presence":
        return float(ndtri(mean) * math.hypot(1.0, model.error_sd))
    return float(np.log(mean) - model.sd**2 / 2)


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
