"""Where studies contradict each other: named switches, each value with who claims it.

A compromise between two claims would be what nobody found. So a description follows one side, the
default, and can be switched to the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, nearest
from synthetic.observation import ImagingModel
from synthetic.processes import shared_covariance
from synthetic.values import PerPhenotype, assumed, derived, published

__all__ = ["LITERATURE", "Disagreement", "apply_literature", "check_literature", "literature_table"]

_Change = Callable[[Mapping[str, ImagingModel], np.ndarray], Mapping[str, ImagingModel]]


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """One question that studies answer differently.

    Parameters
    ----------
    question : str
        What it is about.
    claims : tuple of (str, str, str)
        Value of the switch, what it says, and who says so; the default comes first.
    """

    question: str
    claims: tuple[tuple[str, str, str], ...]

    @property
    def options(self) -> tuple[str, ...]:
        """What the switch can be set to, default first."""
        return tuple(value for value, _, _ in self.claims)


LITERATURE: Mapping[str, Disagreement] = {
    "thalamus_rate": Disagreement(
        question="Does the thalamus shrink faster in progressive than in relapsing MS?",
        claims=(
            ("by_phenotype", "faster in progressive MS", "Eshaghi 2018 (deep grey matter)"),
            ("common", "the same rate in all patients", "Azevedo 2018"),
        ),
    ),
    "brain_rate": Disagreement(
        question="Does the brain shrink at different rates in the phenotypes?",
        claims=(
            ("by_phenotype", "it does, on average", "De Stefano 2010, unadjusted; Lukas 2015"),
            (
                "adjusted",
                "not among patients of the same brain volume at baseline",
                "De Stefano 2010, adjusted for normalised brain volume",
            ),
        ),
    ),
}
"""Switches of :class:`synthetic.CohortConfig` (``literature``), by name."""


def check_literature(literature: Sequence[tuple[str, str]]) -> None:
    """Refuse switches and values that do not exist.

    Parameters
    ----------
    literature : sequence of (str, str)
        Switch and value.

    Raises
    ------
    DesignError
        If one is unknown, or a switch is set twice; with the nearest name.
    """
    names = [name for name, _ in literature]
    for name, value in literature:
        if name not in LITERATURE:
            raise DesignError(
                f"`literature` names the switch {name!r}, which is none of "
                f"{', '.join(LITERATURE)}.{nearest(str(name), LITERATURE)}"
            )
        options = LITERATURE[name].options
        if value not in options:
            raise DesignError(
                f"`literature` sets {name!r} to {value!r}, which is none of {', '.join(options)}."
                f"{nearest(str(value), options)}"
            )
        if names.count(name) > 1:
            raise DesignError(f"`literature` sets {name!r} twice. Keep one.")


def apply_literature(
    models: Sequence[ImagingModel], literature: Sequence[tuple[str, str]], correlations: np.ndarray
) -> tuple[ImagingModel, ...]:
    """Return the imaging models as the switches have them.

    Parameters
    ----------
    models : sequence of ImagingModel
        With every switch at its default.
    literature : sequence of (str, str)
        Switch and value; checked.
    correlations : ndarray, shape (n_factors, n_factors)
        Of the person factors.

    Returns
    -------
    tuple of ImagingModel
        In the same order.
    """
    by_measure = {model.measure: model for model in models}
    for setting in literature:
        change = _CHANGES.get(setting)
        if change is not None:
            by_measure |= change(by_measure, correlations)
    return tuple(by_measure.values())


def _common_thalamus(
    models: Mapping[str, ImagingModel], correlations: np.ndarray
) -> Mapping[str, ImagingModel]:
    """Give all patients the thalamic rate of relapse-onset MS."""
    del correlations
    if "thalamus_ml" not in models:
        return {}
    common = published("azevedo2018_thalamus_rate_ms")
    rates = dict(models["thalamus_ml"].rate_pct.items())
    rates |= {name: common for name in ("CIS", "RRMS", "SPMS") if name in rates}
    if "PPMS" in rates:
        rates["PPMS"] = assumed(common, "as in relapse-onset MS")
    return {"thalamus_ml": _with_rates(models["thalamus_ml"], rates)}


def _adjusted_brain(
    models: Mapping[str, ImagingModel], correlations: np.ndarray
) -> Mapping[str, ImagingModel]:
    """Make mean rates differ by no more than the mean volumes explain.

    Within a phenotype the rate in percent regresses on the volume with slope
    ``rate_sd_pct * r / sd``, r the correlation of level and rate. The mean rates of the phenotypes
    are put on one line with that slope, so that at equal volume they are equal.
    """
    if "brain_ml" not in models:
        return {}
    brain = models["brain_ml"]
    r = shared_covariance(brain.level_loadings, brain.rate_loadings, correlations)
    slope = brain.rate_sd_pct * r / brain.sd if brain.sd else 0.0
    patients = [name for name in brain.rate_pct if name != "HC" and name in brain.mean]
    volume = float(np.mean([brain.mean[name] for name in patients]))
    rate = float(np.mean([brain.rate_pct[name] for name in patients]))
    why = "one rate for all patients of the same volume: the mean over phenotypes, on the line of "
    rates = {
        name: derived(
            rate + slope * (brain.mean[name] - volume),
            why + "the regression of rate on volume within phenotypes",
            "lukas2015_pbvc_rate_spms",
            "lukas2015_pbvc_rate_ppms",
            "lukas2015_pbvc_rate_rrms",
        )
        for name in patients
    }
    return {
        measure: _with_rates(models[measure], dict(models[measure].rate_pct.items()) | rates)
        for measure in ("brain_ml", "pbvc_pct")
        if measure in models
    }


def _with_rates(model: ImagingModel, rates: Mapping[str, float]) -> ImagingModel:
    """Return the model with other mean rates."""
    return dataclasses.replace(model, rate_pct=PerPhenotype(**rates))


_CHANGES: Mapping[tuple[str, str], _Change] = {
    ("thalamus_rate", "common"): _common_thalamus,
    ("brain_rate", "adjusted"): _adjusted_brain,
}


def literature_table() -> pd.DataFrame:
    """Tabulate who claims what.

    Returns
    -------
    pandas.DataFrame
        Columns ``switch value is_default question says who``.
    """
    rows = [
        (name, value, k == 0, item.question, says, who)
        for name, item in LITERATURE.items()
        for k, (value, says, who) in enumerate(item.claims)
    ]
    columns = ["switch", "value", "is_default", "question", "says", "who"]
    return pd.DataFrame(rows, columns=columns)
