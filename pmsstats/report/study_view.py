"""What the report needs to know of a study: attributes, and nothing about how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pandas as pd

from pmsstats.cohort import Cohort
from pmsstats.results import Exclusion, Result

__all__ = ["StudyView"]


class StudyView(Protocol):
    """A finished study, as the report reads it.

    Results are known by the common contract (headline, table, ``exclusions``, ``spec``) and by
    the few further attributes that the sections name; see ``pmsstats.study.StudyResult``.
    """

    @property
    def spec(self) -> Any:
        """Request: ``title acknowledgement source analysis``."""

    @property
    def cohort(self) -> Cohort:
        """Cohort that was analysed."""

    @property
    def summary(self) -> Any:
        """Table 1, with ``display()``."""

    @property
    def endpoint(self) -> Any:
        """Time to the outcome: ``label definition n_subjects n_events``."""

    @property
    def trajectory(self) -> Any:
        """Mixed model of all visits.

        Its ``spec.formula() fit_log data variance_components residual_sd n_subjects n_obs notes``,
        ``means(by)`` and ``individual_slopes()`` are read.
        """

    @property
    def slopes(self) -> Any:
        """Annual change by group, with ``differences()``."""

    @property
    def progression(self) -> Any:
        """Kaplan-Meier curves by group: ``curves() at_risk(days) log_rank``."""

    @property
    def association(self) -> Any | None:
        """Trajectory against outcome; None where not estimable.

        Its ``spec models slopes tertiles caveats trajectory`` are read.
        """

    @property
    def not_estimable(self) -> Sequence[tuple[str, str]]:
        """``(section, reason)`` of what could not be estimated."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Versions, inputs, spec, seed, command, origin."""

    @property
    def exclusions(self) -> Sequence[Exclusion]:
        """What every step left out."""

    def flow(self) -> pd.DataFrame:
        """Return ``stage unit n_in n_excluded reason n_out``."""

    def headline(self) -> str:
        """Say everything in a few sentences."""

    def to_dict(self) -> dict[str, Any]:
        """Return every result in plain JSON types."""


def result_parts(study: StudyView) -> dict[str, Result]:
    """Return a study's results by name, in the order of the report.

    Parameters
    ----------
    study : StudyView
        A finished study.

    Returns
    -------
    dict of str to Result
        Without those that could not be estimated.
    """
    names = ("summary", "endpoint", "trajectory", "slopes", "progression", "association")
    parts = {name: getattr(study, name) for name in names}
    return {name: part for name, part in parts.items() if part is not None}
