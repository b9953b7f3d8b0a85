"""Counts through the steps of a study: what went in, what was left out and why, what came out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from pmsstats.association.spec import METHOD_LABELS
from pmsstats.results import Exclusion

if TYPE_CHECKING:
    from pmsstats.study.run import StudyResult

__all__ = ["FLOW_COLUMNS", "trace_flow"]

FLOW_COLUMNS = ("stage", "unit", "n_in", "n_excluded", "reason", "n_out")


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """One step: its name, what it left out, and how many of each unit came out of it."""

    name: str
    exclusions: Sequence[Exclusion]
    n_out: Mapping[str, int]


def trace_flow(study: StudyResult) -> pd.DataFrame:
    """Follow the counts of a study through its steps.

    Parameters
    ----------
    study : StudyResult
        A finished study.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`FLOW_COLUMNS`: one row per reason, and one with an empty reason for a unit
        of which a step left nothing out. Visits of an endpoint or an association are those of the
        subjects that came into the step.
    """
    stages = [*_main_stages(study), *_association_stages(study)]
    rows = [row for stage in stages for row in _count_down(stage)]
    return pd.DataFrame(rows, columns=list(FLOW_COLUMNS))


def _main_stages(study: StudyResult) -> Iterator[_Stage]:
    """List the steps that every study has."""
    cohort, endpoint, trajectory = study.cohort, study.endpoint, study.trajectory
    yield _Stage(
        name="Reading and selection",
        exclusions=cohort.exclusions,
        n_out={"subject": cohort.n_subjects, "visit": cohort.n_visits},
    )
    # What one part of a composite could not use may serve the others: only subjects are counted.
    is_composite = hasattr(endpoint.rule, "parts")
    mine = [e for e in endpoint.exclusions if e.unit == "subject" or not is_composite]
    n_out = {"subject": endpoint.n_subjects}
    if not is_composite:
        n_out["visit"] = cohort.n_visits - _left_out(mine, "visit")
    yield _Stage(name=f"Endpoint: {endpoint.label}", exclusions=mine, n_out=n_out)
    yield _Stage(
        name=f"Trajectory: {trajectory.label}",
        exclusions=trajectory.exclusions,
        n_out={"visit": trajectory.n_obs, "subject": trajectory.n_subjects},
    )
    yield _Stage(
        name="Progression by group",
        exclusions=study.progression.exclusions,
        n_out={"subject": int(study.progression.table()["n_subjects"].sum())},
    )


def _association_stages(study: StudyResult) -> Iterator[_Stage]:
    """List the methods of the association, each of which starts from the subjects at risk."""
    if study.association is None:
        return
    at_risk = set(study.endpoint.table()["subject_id"])
    n_visits = int(study.cohort.visits["subject_id"].isin(at_risk).sum())
    for row in study.association.table().to_dict("records"):
        mine = [
            e for e in study.association.exclusions if e.stage == f"association {row['method']}"
        ]
        yield _Stage(
            name=f"Association: {METHOD_LABELS[row['method']]}",
            exclusions=mine,
            n_out={
                "subject": int(row["n_subjects"]),
                "visit": n_visits - _left_out(mine, "visit"),
            },
        )


def _unit(exclusion: Exclusion) -> str:
    """Count table rows as visits: a row of the visits table is one."""
    return "visit" if exclusion.unit == "row" else exclusion.unit


def _left_out(exclusions: Sequence[Exclusion], unit: str) -> int:
    """Add up what was left out of a unit."""
    return sum(e.n for e in exclusions if _unit(e) == unit)


def _count_down(stage: _Stage) -> Iterator[tuple[str, str, int, int, str, int]]:
    """Count one step down from what went in to what came out, unit by unit."""
    for unit, final in stage.n_out.items():
        mine = [e for e in stage.exclusions if _unit(e) == unit]
        count = final + _left_out(mine, unit)
        if not mine:
            yield stage.name, unit, count, 0, "", count
        for exclusion in mine:
            yield stage.name, unit, count, exclusion.n, exclusion.reason, count - exclusion.n
            count -= exclusion.n
