"""The demonstration study: a cohort written as tables, with the study.toml that reads them."""

from __future__ import annotations

from pathlib import Path

from pmsstats.cohort import Cohort
from pmsstats.cohort.io import write_cohort

__all__ = ["write_demo_study"]

_STUDY = """\
title = "Thalamic atrophy and confirmed disability progression (synthetic demonstration)"
origin = "synthetic"

[tables]
subjects = "subjects.csv"
visits = "visits.csv"
relapses = "relapses.csv"
exits = "exits.csv"

[analysis]
measure = "thalamus_ml"
outcome = "cdp12"
group = "phenotype"
"""


def write_demo_study(cohort: Cohort, folder: Path) -> Path:
    """Write a cohort's tables and the study file that asks the demonstration's questions.

    Parameters
    ----------
    cohort : Cohort
        With the measures ``thalamus_ml`` and ``edss`` and the subject column ``phenotype``.
    folder : pathlib.Path
        Made where it does not exist; files of the same names are replaced.

    Returns
    -------
    pathlib.Path
        The study file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_cohort(cohort, folder)
    study = folder / "study.toml"
    study.write_text(_STUDY, encoding="utf-8")
    return study
