"""Named descriptions. One set of parameters; who is seen, and when, differs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from pmsstats.errors import DesignError, nearest
from synthetic import defaults
from synthetic.config import HAND_MEASURES, CohortConfig
from synthetic.parameters import Arm
from synthetic.values import PerPhenotype, assumed

__all__ = ["PRESETS", "preset"]

_HOPED = "a drug that works, as a trial would hope: stronger on lesions than on disability"
_CLINICAL = ("edss", "t25fw_s", "nhpt_s", "sdmt", "pasat3")
_SCANS = (
    "thalamus_ml", "brain_ml", "pbvc_pct", "cord_area_c2c3_mm2", "nawm_mtr_pu", "t2_lesion_ml"
)  # fmt: skip
_TRIAL_WEEKS = tuple(range(0, 121, 12))
_YEARS = (0, 52, 104, 156, 208)
_ALL = ("HC", "RIS", "CIS", "RRMS", "SPMS", "PPMS")

_PROGRESSIVE = CohortConfig(measures=(*_CLINICAL, *_SCANS))

_PRESETS: Mapping[str, CohortConfig] = {
    "progressive": _PROGRESSIVE,
    "progressive_common_atrophy": dataclasses.replace(
        _PROGRESSIVE, literature=(("thalamus_rate", "common"),)
    ),
    "ppms_trial": CohortConfig(
        n_subjects=600,
        population=dataclasses.replace(
            defaults.POPULATION, mix=PerPhenotype(PPMS=assumed(1.0, "PPMS alone"))
        ),
        schedule=dataclasses.replace(
            defaults.SCHEDULE,
            weeks=_TRIAL_WEEKS,
            imaging_weeks=(0, 24, 48, 120),
            cognition_weeks=_TRIAL_WEEKS[::2],
        ),
        lesions=defaults.LESIONS,
        hands=defaults.HANDS,
        arms=(
            Arm(name="placebo", share=assumed(0.5, "equal shares")),
            Arm(
                name="active",
                share=assumed(0.5, "equal shares"),
                atrophy_slowing=assumed(0.3, _HOPED),
                worsening_hazard_ratio=assumed(0.7, _HOPED),
                relapse_rate_ratio=assumed(0.5, _HOPED),
                lesion_rate_ratio=assumed(0.3, _HOPED),
            ),
        ),
        measures=(*_CLINICAL, *HAND_MEASURES, *_SCANS, "new_t2_count", "gd_lesion_count"),
    ),
    "review": CohortConfig(
        population=dataclasses.replace(
            defaults.POPULATION,
            mix=PerPhenotype(**dict.fromkeys(_ALL, assumed(1 / len(_ALL), "equal shares"))),
        ),
        schedule=dataclasses.replace(
            defaults.SCHEDULE, weeks=_YEARS, imaging_weeks=_YEARS, cognition_weeks=_YEARS
        ),
        lesions=defaults.LESIONS,
        hands=defaults.HANDS,
        functional_systems=defaults.FUNCTIONAL_SYSTEMS,
    ).complete(),
}

PRESETS = tuple(_PRESETS)
"""Names of the presets: ``progressive`` (the default: controls, RRMS, SPMS, PPMS over 3 years),
``progressive_common_atrophy`` (the same with one thalamic rate for all patients, the other side
of a disagreement in the literature), ``ppms_trial`` (two arms, 120 weeks, with lesion counts and
both hands), ``review`` (all six phenotypes, every measure, five annual visits with a scan each,
nothing missing)."""


def preset(name: str) -> CohortConfig:
    """Return a named description.

    Parameters
    ----------
    name : str
        One of :data:`PRESETS`.

    Returns
    -------
    CohortConfig
        Change it with :func:`dataclasses.replace`.

    Raises
    ------
    DesignError
        If there is no such preset.
    """
    if name not in _PRESETS:
        raise DesignError(
            f"No preset {name!r}.{nearest(str(name), PRESETS)} There are: {', '.join(PRESETS)}."
        )
    return _PRESETS[name]
