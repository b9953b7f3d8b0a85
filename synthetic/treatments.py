"""Named treatments: what a study of progressive MS may compare, with sources."""

from __future__ import annotations

from collections.abc import Mapping

from pmsstats.errors import DesignError, nearest
from synthetic.parameters import Arm
from synthetic.values import Sourced, assumed, derived, published

__all__ = ["TREATMENTS", "treatment"]

_ALONE = assumed(1.0, "share of the only arm; equal shares in a study")
_NOTHING = "no effect on focal inflammation beyond placebo was reported"


def _arm(name: str, **effects: object) -> Arm:
    """Make an arm of share 1, to be divided by the study."""
    return Arm(name=name, share=_ALONE, **effects)  # type: ignore[arg-type]


def _odds_as_hazard(record_id: str) -> Sourced:
    """Take an odds ratio of progression for a hazard ratio."""
    return derived(
        published(record_id) ** 0.7,
        "odds ratio to the power 0.7, its size as a hazard ratio where about half have the event",
        record_id,
    )


_SPAIN_REDUCTION = derived(
    1 - published("spain2017_pbvc_rate_spms_lipoic_acid") / published(
        "spain2017_pbvc_rate_spms_placebo"
    ),
    "one minus the ratio of the annual rates",
    "spain2017_pbvc_rate_spms_lipoic_acid",
    "spain2017_pbvc_rate_spms_placebo",
)  # fmt: skip
_CHATAWAY_REDUCTION = derived(
    1 - published("chataway2014_brain_rate_spms_simvastatin") / published(
        "chataway2014_brain_rate_spms_placebo"
    ),
    "one minus the ratio of the annual rates",
    "chataway2014_brain_rate_spms_simvastatin",
    "chataway2014_brain_rate_spms_placebo",
)  # fmt: skip

_FOX_REDUCTION = derived(
    1 - published("fox2018_bpf_yearly_pms_ibudilast") / published("fox2018_bpf_yearly_pms_placebo"),
    "one minus the ratio of the annual changes of the brain parenchymal fraction",
    "fox2018_bpf_yearly_pms_ibudilast",
    "fox2018_bpf_yearly_pms_placebo",
)

_NEARLY_CEASE = "new lesions nearly cease, and old ones grow on"
_RELAPSES = "about as much as in trials of relapsing MS"
_LESIONS = "about as much as new lesions fall in trials of relapsing MS"
_WATER = "some water leaves when inflammation abates"
_WEAK = "a weak effect on lesions"
_SECOND = "loss that follows from inflammation"

_ARMS = (
    _arm("placebo"),
    _arm(
        "natalizumab",
        slowing=(
            (
                "demyelination",
                assumed(2.0, "NAWM and NAGM MTR and NAWM FA rise on it in progressive MS"),
            ),
            ("inflammation", assumed(0.8, _NEARLY_CEASE)),
            ("meningeal", assumed(0.8, "fewer cortical lesions, slower cortical thinning")),
            ("neurodegeneration", assumed(0.3, _SECOND)),
        ),
        pseudo_atrophy_pct=assumed(0.3, "water leaves when inflammation stops"),
        worsening_hazard_ratio=_odds_as_hazard("steiner2016_composite_or_arm_spms"),
        relapse_rate_ratio=assumed(0.33, _RELAPSES),
        lesion_rate_ratio=assumed(0.1, _LESIONS),
    ),
    _arm(
        "interferon_beta_1b",
        slowing=(("inflammation", assumed(0.5, "about half the growth of T1 lesion volume")),),
        pseudo_atrophy_pct=assumed(0.2, _WATER),
        worsening_hazard_ratio=_odds_as_hazard("kappos1998_cdp12_or_arm_spms"),
        relapse_rate_ratio=assumed(0.7, _RELAPSES),
        lesion_rate_ratio=assumed(0.35, _LESIONS),
    ),
    _arm(
        "interferon_beta_1a",
        slowing=(("inflammation", assumed(0.8, _NEARLY_CEASE)),),
        pseudo_atrophy_pct=assumed(0.1, _WATER),
        worsening_hazard_ratio=published("spectrims2001_cdp12_hr_arm_spms"),
        relapse_rate_ratio=assumed(0.7, "0.50 against 0.71 relapses per year in SPECTRIMS"),
        lesion_rate_ratio=assumed(0.35, _LESIONS),
    ),
    _arm(
        "lamotrigine",
        pseudo_atrophy_pct=assumed(0.8, "faster loss in the first year, partly regained when off"),
    ),
    _arm(
        "mesenchymal_stem_cells",
        slowing=(("demyelination", assumed(1.1, "MTR rose, but not significantly")),),
    ),
    _arm(
        "ibudilast",
        atrophy_slowing=_FOX_REDUCTION,
        worsening_hazard_ratio=assumed(
            0.75, "about a quarter less confirmed progression, not significant"
        ),
    ),
    _arm("fluoxetine", worsening_hazard_ratio=assumed(0.95, "no effect found")),
    _arm(
        "glatiramer",
        slowing=(("inflammation", assumed(0.2, _WEAK)),),
        worsening_hazard_ratio=published("wolinsky2007_cdp12_hr_arm_ppms"),
        relapse_rate_ratio=assumed(0.8, _RELAPSES),
        lesion_rate_ratio=assumed(0.6, _LESIONS),
    ),
    _arm(
        "siponimod",
        slowing=(
            ("neurodegeneration", assumed(0.25, _SECOND)),
            ("demyelination", assumed(0.5, "less fall of MTR than on placebo in EXPAND")),
            ("inflammation", assumed(0.7, _NEARLY_CEASE)),
            (
                "meningeal",
                assumed(0.3, "it reaches the brain; how much it does there is not published"),
            ),
        ),
        pseudo_atrophy_pct=assumed(0.1, _WATER),
        worsening_hazard_ratio=published("cree2022_cdp24_hr_arm_spms"),
        relapse_rate_ratio=assumed(0.45, _RELAPSES),
        lesion_rate_ratio=assumed(0.2, _LESIONS),
    ),
    _arm(
        "ocrelizumab",
        slowing=(
            ("neurodegeneration", assumed(0.18, "about a sixth less loss after week 24")),
            ("inflammation", assumed(1.4, "T2 volume fell; placebo grew")),
        ),
        pseudo_atrophy_pct=assumed(0.2, _WATER),
        worsening_hazard_ratio=assumed(0.76, "ORATORIO, read at second hand"),
        relapse_rate_ratio=assumed(0.5, _RELAPSES),
        lesion_rate_ratio=assumed(0.08, _LESIONS),
    ),
    _arm(
        "simvastatin",
        atrophy_slowing=_CHATAWAY_REDUCTION,
        worsening_hazard_ratio=assumed(0.9, "a small benefit in phase 2, none in phase 3"),
        relapse_rate_ratio=assumed(1.0, _NOTHING),
    ),
    _arm(
        "rituximab",
        slowing=(("inflammation", assumed(0.8, _NEARLY_CEASE)),),
        worsening_hazard_ratio=assumed(0.77, "30.2 against 38.5 % with progression at 96 weeks"),
        relapse_rate_ratio=assumed(0.5, _RELAPSES),
        lesion_rate_ratio=assumed(0.15, _LESIONS),
    ),
    _arm(
        "lipoic_acid",
        atrophy_slowing=_SPAIN_REDUCTION,
        worsening_hazard_ratio=assumed(0.9, "walking speed tended to hold"),
    ),
    _arm(
        "remyelinating",
        slowing=(("demyelination", assumed(1.5, "hypothetical: repair outweighs loss")),),
        onset_years=assumed(0.25, "hypothetical"),
    ),
)

TREATMENTS: Mapping[str, Arm] = {arm.name: arm for arm in _ARMS}
"""Treatments by name, as arms of share 1."""


def treatment(name: str) -> Arm:
    """Return a named treatment.

    Parameters
    ----------
    name : str
        One of :data:`TREATMENTS`.

    Returns
    -------
    Arm
        Of share 1; divide it with :func:`dataclasses.replace`.

    Raises
    ------
    DesignError
        If there is no such treatment; with the nearest one.

    Examples
    --------
    >>> float(treatment("remyelinating").onset_years)
    0.25
    """
    if name not in TREATMENTS:
        raise DesignError(
            f"No treatment {name!r}.{nearest(str(name), TREATMENTS)} "
            f"There are: {', '.join(TREATMENTS)}."
        )
    return TREATMENTS[name]
