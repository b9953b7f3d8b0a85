"""Sites and their scanners: offsets, and shifts when a scanner is upgraded.

Every site has one scanner. All that a site does is drawn for the site, from streams of its own, so
its offset for one measure depends neither on other measures nor on how many subjects it has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.config import CohortConfig
from synthetic.draws import SubjectStreams
from synthetic.observation import ImagingModel
from synthetic.population import Population
from synthetic.visits import Calendar

__all__ = ["Scanners", "draw_scanners", "scanner_names", "scanner_shift"]


@dataclass(frozen=True, kw_only=True)
class Scanners:
    """Scanners of a cohort with more than one site.

    Parameters
    ----------
    site : ndarray of int, shape (n_subjects,)
        Where a subject is seen.
    upgraded : ndarray of bool, shape (n_visits, n_subjects)
        Whether the visit is after an upgrade.
    streams : SubjectStreams
        Random numbers of the sites.
    """

    site: np.ndarray
    upgraded: np.ndarray
    streams: SubjectStreams


def draw_scanners(
    config: CohortConfig, population: Population, calendar: Calendar, streams: SubjectStreams
) -> Scanners | None:
    """Draw which sites upgrade their scanner, and when.

    Parameters
    ----------
    config : CohortConfig
        Sites.
    population : Population
        Who is where.
    calendar : Calendar
        Days.
    streams : SubjectStreams
        Of the subjects; those of the sites have the same root.

    Returns
    -------
    Scanners or None
        None where there is one site without an upgrade.
    """
    model = config.sites
    if model.n_sites == 1 and model.upgrade_share == 0:
        return None
    sites = SubjectStreams(streams.root, model.n_sites)
    upgrades = sites.uniform("upgrade") < model.upgrade_share
    year = sites.uniform("upgrade year") * config.schedule.horizon_years
    when = np.where(upgrades, year, np.inf)[population.site]
    return Scanners(site=population.site, upgraded=when <= calendar.year.T, streams=sites)


def scanner_shift(model: ImagingModel, scanners: Scanners, columns: np.ndarray) -> np.ndarray:
    """Return what the scanners add to a measure.

    Parameters
    ----------
    model : ImagingModel
        Spread of the offsets and shifts.
    scanners : Scanners
        Sites and upgrades.
    columns : ndarray of int
        Visits with a scan.

    Returns
    -------
    ndarray, shape (n_scans, n_subjects)
        In the unit of `scanner_sd`; changes from baseline have no offset of the scanner.
    """
    draw = scanners.streams.normal
    shift = model.upgrade_sd * draw("upgrade shift", model.measure)[scanners.site]
    total = np.where(scanners.upgraded[columns], shift, 0.0)
    if model.scale != "change" and scanners.streams.n_subjects > 1:
        total += model.scanner_sd * draw("scanner", model.measure)[scanners.site]
    return total


def scanner_names(scanners: Scanners) -> np.ndarray:
    """Name the scanner of every visit: an upgraded one has a name of its own.

    Parameters
    ----------
    scanners : Scanners
        Sites and upgrades.

    Returns
    -------
    ndarray of object, shape (n_subjects, n_visits)
        ``"SC001"``, and after an upgrade ``"SC001b"``.
    """
    n_sites = scanners.streams.n_subjects
    names = [f"SC{k:03d}{tail}" for tail in ("", "b") for k in range(1, n_sites + 1)]
    return np.array(names, dtype=object)[scanners.site[:, None] + n_sites * scanners.upgraded.T]
