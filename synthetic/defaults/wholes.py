"""Wholes and their parts: numbers of the one that follow from the other."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from synthetic.defaults.assumptions import by_phenotype
from synthetic.observation import ImagingModel
from synthetic.processes import correlation_matrix, shared_covariance
from synthetic.values import PerPhenotype, assumed

__all__ = ["part_of", "sum_of"]

Loadings = tuple[tuple[str, float], ...]


def part_of(whole: Mapping[str, float], share: float, why: str) -> PerPhenotype:
    """Give every phenotype a fixed share of a whole.

    Parameters
    ----------
    whole : mapping of str to float
        Of the whole, by phenotype.
    share : float
        Of the part.
    why : str
        Where the share comes from.

    Returns
    -------
    PerPhenotype
        Assumed.
    """
    return by_phenotype(why, **{name: float(value) * share for name, value in whole.items()})


def sum_of(
    measure: str,
    first: ImagingModel,
    second: ImagingModel,
    correlations: tuple[tuple[str, str, float], ...],
) -> ImagingModel:
    """Describe the sum of two measures on the linear scale.

    Means, rates, spreads, errors and loadings are those of the sum of the two, whose own parts are
    independent. The person's own part is that of the second alone.

    Parameters
    ----------
    measure : str
        Name of the sum in the data dictionary.
    first, second : ImagingModel
        What is added; both worsen in the same direction.
    correlations : tuple of (str, str, float)
        Of the person factors.

    Returns
    -------
    ImagingModel
        Of the sum.
    """
    why = f"sum of {first.measure} and {second.measure}"
    both = (first, second)
    mean = {name: sum(m.mean[name] for m in both) for name in first.mean}
    rate = {name: sum(m.mean[name] * m.rate_pct[name] for m in both) / mean[name] for name in mean}
    matrix = correlation_matrix(correlations)
    slopes = [m.rate_sd_pct * m.mean["SPMS"] / mean["SPMS"] for m in both]
    sd, level = _add([m.sd for m in both], [m.level_loadings for m in both], matrix)
    rate_sd, steep = _add(slopes, [m.rate_loadings for m in both], matrix)
    return ImagingModel(
        measure=measure,
        mean=by_phenotype(why, **mean),
        sd=assumed(sd, why),
        rate_pct=by_phenotype(why, **rate),
        rate_sd_pct=assumed(rate_sd, why),
        error_sd=assumed(math.hypot(first.error_sd, second.error_sd), why),
        level_loadings=tuple((name, assumed(value, why)) for name, value in level),
        rate_loadings=tuple((name, assumed(value, why)) for name, value in steep),
        drivers=second.drivers,
        own_level=second.own_level,
        process=second.process,
        method=second.method,
        scanner_sd=second.scanner_sd,
        upgrade_sd=second.upgrade_sd,
        pseudo_atrophy=second.pseudo_atrophy,
    )


def _add(
    spreads: list[float], loadings: list[Loadings], matrix: np.ndarray
) -> tuple[float, list[tuple[str, float]]]:
    """Return spread and loadings of a sum of two scores, whose own parts are independent."""
    covariance = shared_covariance(*loadings, matrix) * spreads[0] * spreads[1]
    spread = math.sqrt(spreads[0] ** 2 + spreads[1] ** 2 + 2 * covariance)
    total: dict[str, float] = {}
    for scale, pairs in zip(spreads, loadings, strict=True):
        for name, weight in pairs:
            total[name] = total.get(name, 0.0) + scale * weight / spread
    return spread, list(total.items())
