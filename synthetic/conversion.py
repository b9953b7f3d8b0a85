"""Conversion: RIS that becomes primary, RRMS that becomes secondary progressive MS.

The hazard of conversion is constant over time: the mean rate, times ``exp(lp - var(lp) / 2)`` with
lp the linear predictor of the person factors. So its mean over subjects is the rate, and the hazard
ratio per standard deviation of every factor is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.cohort.schema import PHENOTYPES
from synthetic.config import CohortConfig
from synthetic.draws import SubjectStreams
from synthetic.population import Population, relative_hazard

__all__ = ["Conversion", "draw_conversion"]

_RIS, _RRMS, _SPMS, _PPMS = (PHENOTYPES.index(name) for name in ("RIS", "RRMS", "SPMS", "PPMS"))


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """When subjects convert, and to what; arrays have shape (n_subjects,).

    Parameters
    ----------
    year : ndarray
        Years from baseline; infinite for who never converts.
    phenotype : ndarray of int
        What they are from then on: positions in :data:`pmsstats.cohort.PHENOTYPES`; the phenotype
        at baseline for who never converts.
    """

    year: np.ndarray
    phenotype: np.ndarray


def draw_conversion(
    config: CohortConfig, population: Population, streams: SubjectStreams
) -> Conversion | None:
    """Draw who converts when.

    Parameters
    ----------
    config : CohortConfig
        Rates and loadings.
    population : Population
        Subjects.
    streams : SubjectStreams
        Random numbers.

    Returns
    -------
    Conversion or None
        None where no conversion is described.
    """
    model = config.conversion
    if model is None or (model.ris_to_ppms == 0 and model.rrms_to_spms == 0):
        return None
    is_ris, is_rrms = population.phenotype == _RIS, population.phenotype == _RRMS
    hazard = np.zeros(len(population.phenotype))
    for who, rate, loadings in (
        (is_ris, model.ris_to_ppms, model.ris_loadings),
        (is_rrms, model.rrms_to_spms, model.rrms_loadings),
    ):
        hazard = np.where(who, rate * relative_hazard(config, population, loadings), hazard)
    with np.errstate(divide="ignore"):
        year = np.where(hazard > 0, streams.exponential("conversion") / hazard, np.inf)
    after = np.where(is_ris, _PPMS, np.where(is_rrms, _SPMS, population.phenotype))
    return Conversion(year=year, phenotype=np.where(np.isfinite(year), after, population.phenotype))
