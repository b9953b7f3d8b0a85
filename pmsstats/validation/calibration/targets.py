"""The published moments that a generator is held against, and those it cannot be."""

from __future__ import annotations

from pmsstats.validation.calibration.target import CalibrationTarget
from pmsstats.validation.calibration.targets_clinical import CORRELATIONS, EVENTS, SECONDARY
from pmsstats.validation.calibration.targets_levels import LEVELS, PREVALENCES
from pmsstats.validation.calibration.targets_rates import RATES, SPREADS

__all__ = ["NOT_COMPARED", "TARGETS"]

TARGETS: tuple[CalibrationTarget, ...] = (
    *LEVELS,
    *PREVALENCES,
    *RATES,
    *SPREADS,
    *CORRELATIONS,
    *EVENTS,
    *SECONDARY,
)
"""Every published moment that corresponds to something generated, family by family."""

_SWITCHED = "placebo arm that was switched to treatment within the period"
_NO_OCT = "no measure of the retina is generated"
_NORMALISED = "normalised MTR, whose unit is not that of any measure here"

NOT_COMPARED: dict[str, str] = {
    "lukas2015_cord_rate_progressors": "by outcome: see the check cord-atrophy-faster-with-"
    "progression",
    "lukas2015_cord_rate_stable": "by outcome: see the check cord-atrophy-faster-with-progression",
    "lin2003_cord_change_6m_placebo": "the same 13 patients at 12 and 48 months are compared",
    "lin2003_cord_change_18m_placebo": "the same 13 patients at 12 and 48 months are compared",
    **{
        f"lin2003_cord_change_{m}m_ifn": "no effect of treatment was found: see the placebo arm"
        for m in (6, 12, 18, 48)
    },
    **{
        f"arnold2020_{c}_nmtr_change_abs_{m}m_spms_{arm}": _NORMALISED
        for c in ("nabt", "cortex", "nawm")
        for m in (12, 24)
        for arm in ("placebo", "siponimod")
    },
    **{f"expand_{c}_change_spms_switched": _SWITCHED for c in ("brain", "thalamus", "cortex")},
    **{
        f"expand_{c}_change_spms_siponimod": "five years of an extension study, whose inclusion "
        "depends on who stayed"
        for c in ("brain", "thalamus", "cortex")
    },
    "oratorio_cdp24_168w_ppms_switched": _SWITCHED,
    "oratorio_cdp24_312w_ppms_switched": _SWITCHED,
    "bermel2021_prnfl_thickness_yearly_pms_placebo": _NO_OCT,
    "bermel2021_gcipl_thickness_yearly_pms_placebo": _NO_OCT,
    "bermel2021_macular_volume_yearly_pms": _NO_OCT,
    "molyneux2000_cerebrum_change_spms_ifnb_1b": "no effect of treatment was found: see placebo",
    "spectrims2001_relapse_rate_spms_placebo": "a trial that took patients with recent relapses in "
    "large part; the criterion cannot be stated as a range",
    "rudick2009_msfc_progression_ms": "no published definition of worsening of the MSFC is "
    "among the endpoints",
}
"""Verified annual rates and progression rates with nothing to compare, and why."""
