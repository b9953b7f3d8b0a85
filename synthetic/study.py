"""The same population as another study would have seen it: who, how many, when, under what."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pmsstats.cohort.schema import PHENOTYPES
from pmsstats.errors import DesignError, nearest
from synthetic import defaults
from synthetic.clinical import DisabilityModel
from synthetic.observation import ScheduleModel
from synthetic.parameters import PopulationModel
from synthetic.treatments import treatment
from synthetic.values import PerPhenotype, assumed

if TYPE_CHECKING:
    from synthetic.config import CohortConfig

__all__ = ["changes_for_study"]

_RATES = {
    "ris_to_ppms": assumed(0.03, "about one in ten of RIS becomes PPMS in some years"),
    "rrms_to_spms": assumed(0.03, "half of relapsing MS becomes progressive in about 20 years"),
}


def changes_for_study(config: CohortConfig, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Work out which parts of a description another study changes.

    Parameters
    ----------
    config : CohortConfig
        The description.
    asked : mapping
        Arguments of :meth:`synthetic.CohortConfig.for_study`; None leaves a part as it is.

    Returns
    -------
    dict
        Changed fields of the description.
    """
    _check_kinds(asked)
    changes: dict[str, Any] = {
        "population": _population(config.population, asked),
        "disability": _disability(config.disability, asked["edss"]),
        "schedule": _schedule(config.schedule, asked["weeks"], asked["imaging_weeks"]),
    }
    if asked["n_subjects"] is not None:
        changes["n_subjects"] = asked["n_subjects"]
    if asked["sites"] is not None:
        changes["sites"] = dataclasses.replace(config.sites, n_sites=asked["sites"])
    nothing = type(config.missingness)()
    if asked["complete"]:
        changes["missingness"] = nothing
    elif config.missingness == nothing:
        changes["missingness"] = defaults.MISSINGNESS
    return (
        changes | _measures(config, asked["measures"]) | _arms(asked) | _conversion(config, asked)
    )


def _check_kinds(asked: Mapping[str, Any]) -> None:
    """Refuse single values where several are meant, and ranges that are none."""
    for name in ("weeks", "imaging_weeks", "measures", "treatments"):
        value = asked[name]
        if value is not None and not isinstance(value, tuple | list):
            raise DesignError(f"`{name}` must be a tuple, such as ({value!r},), got {value!r}.")
    for name in ("age", "edss", "duration"):
        value = asked[name]
        if value is None:
            continue
        if not isinstance(value, tuple | list) or len(value) != 2 or not value[0] < value[1]:
            raise DesignError(f"`{name}` must be (low, high) with low < high, got {value!r}.")


def _population(model: PopulationModel, asked: Mapping[str, Any]) -> PopulationModel:
    """Set the mix and the inclusion ranges."""
    changes: dict[str, Any] = {}
    if asked["mix"] is not None:
        changes["mix"] = _mix(asked["mix"])
    for name, field in (("age", "age_included"), ("duration", "duration_included")):
        if asked[name] is not None:
            changes[field] = tuple(asked[name])
    if asked["relapse_free_years"] is not None:
        changes["relapse_free_years"] = asked["relapse_free_years"]
    return dataclasses.replace(model, **changes)


def _mix(mix: Mapping[str, float]) -> PerPhenotype:
    """Turn numbers or shares by phenotype to shares that sum to 1."""
    for name, number in mix.items():
        if name not in PHENOTYPES:
            raise DesignError(
                f"`mix` names the phenotype {name!r}, which is none of {', '.join(PHENOTYPES)}."
                f"{nearest(str(name), PHENOTYPES)}"
            )
        if not 0 <= number < math.inf:
            raise DesignError(
                f"`mix` must have finite shares of at least 0, got {number!r} for {name}."
            )
    total = sum(mix.values())
    if not total > 0:
        raise DesignError(f"`mix` must have a phenotype with a positive share, got {dict(mix)!r}.")
    return PerPhenotype(**{name: number / total for name, number in mix.items() if number > 0})


def _disability(model: DisabilityModel, included: tuple[float, float] | None) -> DisabilityModel:
    """Set the inclusion range of the EDSS for every phenotype that has one."""
    if included is None:
        return model
    low, high = included
    return dataclasses.replace(
        model,
        edss_low=PerPhenotype(**dict.fromkeys(model.edss_low, float(low))),
        edss_high=PerPhenotype(**dict.fromkeys(model.edss_high, float(high))),
    )


def _schedule(
    model: ScheduleModel, weeks: tuple[int, ...] | None, imaging_weeks: tuple[int, ...] | None
) -> ScheduleModel:
    """Plan visits, with scans and cognitive tests at all of them unless told otherwise."""
    if weeks is None:
        scans = model.imaging_weeks if imaging_weeks is None else tuple(imaging_weeks)
        return dataclasses.replace(model, imaging_weeks=scans)
    weeks = tuple(weeks)
    shortest = min((b - a for a, b in itertools.pairwise(weeks)), default=52)
    return dataclasses.replace(
        model,
        weeks=weeks,
        imaging_weeks=weeks if imaging_weeks is None else tuple(imaging_weeks),
        cognition_weeks=weeks,
        window_days=max(min(model.window_days, (7 * shortest - 1) // 2), 0),
    )


def _measures(config: CohortConfig, measures: tuple[str, ...] | None) -> dict[str, Any]:
    """Emit some measures, and add the parts that make them."""
    if measures is None:
        return {}
    changes: dict[str, Any] = {"measures": tuple(measures)}
    offered = set(config.offered)
    for field, part in (("lesions", defaults.LESIONS), ("hands", defaults.HANDS)):
        if getattr(config, field) is None and set(measures) - offered:
            added = dataclasses.replace(config, measures=(), **{field: part})
            if set(measures) & (set(added.offered) - offered):
                changes[field] = part
    return changes


def _arms(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Randomise to named treatments in equal shares."""
    names = tuple(asked["treatments"])
    if not names:
        return {"arms": ()}
    share = assumed(1 / len(names), "equal shares")
    return {"arms": tuple(dataclasses.replace(treatment(name), share=share) for name in names)}


def _conversion(config: CohortConfig, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Let phenotypes convert, or not."""
    if asked["conversion"] is None:
        return {}
    model = config.conversion or defaults.CONVERSION
    if not asked["conversion"]:
        return {"conversion": dataclasses.replace(model, **dict.fromkeys(_RATES, 0.0))}
    missing = {name: rate for name, rate in _RATES.items() if getattr(model, name) == 0}
    return {"conversion": dataclasses.replace(model, **missing)}
