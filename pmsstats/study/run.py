"""The main job: from a study file to everything that its report shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmsstats.association import AssociationResult, associate
from pmsstats.cohort import Cohort, read_cohort
from pmsstats.endpoints import EndpointResult, derive_endpoint
from pmsstats.errors import ConvergenceError, DesignError, first_ids
from pmsstats.models.curves.kaplan_meier import KMResult, KMSpec, fit_km
from pmsstats.models.fixed_effects.slopes_result import SlopesResult
from pmsstats.models.mixed.lmm import LMMResult, LMMSpec, fit_lmm
from pmsstats.provenance import build_manifest
from pmsstats.results import Exclusion, Result, exclude, to_plain
from pmsstats.study.flow import trace_flow
from pmsstats.study.questions import FOLLOW_UP_COLUMNS, check_questions
from pmsstats.study.spec import StudySpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.cohort.summary import CohortSummary

__all__ = ["StudyResult", "run_study"]

Progress = Callable[[str], None]
STEPS = (
    "Reading and checking the tables",
    "Describing the cohort",
    "Deriving the endpoint",
    "Fitting the trajectories",
    "Estimating progression by group",
    "Relating trajectory and outcome",
)
"""What :func:`run_study` reports to `progress`, in order."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class StudyResult(Result):
    """Everything that a study's report shows.

    Parameters
    ----------
    spec : StudySpec
        What was asked.
    cohort : Cohort
        The subjects that were analysed.
    summary : CohortSummary
        "Table 1", by group.
    endpoint : EndpointResult
        Time to the outcome, one row per subject at risk.
    trajectory : LMMResult
        Mixed model of the measure over time.
    slopes : SlopesResult
        Annualised change by group.
    progression : KMResult
        Time to the outcome by group.
    association : AssociationResult, optional
        Trajectory against outcome; None where it cannot be estimated.
    not_estimable : tuple of tuple of str
        ``(section, reason)`` of what could not be estimated.
    manifest : dict
        Versions, input hashes, spec.
    exclusions : tuple of Exclusion
        What every step left out, in order.
    """

    spec: StudySpec
    cohort: Cohort
    summary: CohortSummary
    endpoint: EndpointResult
    trajectory: LMMResult
    slopes: SlopesResult
    progression: KMResult
    association: AssociationResult | None
    not_estimable: tuple[tuple[str, str], ...] = ()
    manifest: dict[str, Any]
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say in one sentence each how the measure changes, who progresses, how they relate."""
        parts = [self.slopes.headline(), self.endpoint.headline()]
        if self.association is not None:
            parts.append(self.association.headline())
        parts += [f"{section}: not estimable, {reason}" for section, reason in self.not_estimable]
        return " ".join(parts)

    def table(self) -> pd.DataFrame:
        """Return the main estimates, one row each.

        Returns
        -------
        pandas.DataFrame
            Columns ``quantity term estimate std_error p_value conf_low conf_high``.
        """
        wanted = ["term", "estimate", "std_error", "p_value", "conf_low", "conf_high"]
        parts = [self.slopes.table().assign(quantity="annual change")]
        if self.association is not None:
            parts.append(self.association.table())
        full = pd.concat([p.reindex(columns=["quantity", *wanted]) for p in parts])
        return full.reset_index(drop=True)

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the trajectories (the other parts draw themselves)."""
        return self.trajectory.plot(ax=ax, by=self.spec.analysis.group, time="year", **kws)

    def fitted(self) -> pd.DataFrame:
        """Return the model means over time, as drawn beside the observed values.

        Returns
        -------
        pandas.DataFrame
            Columns ``group year estimate conf_low conf_high``.
        """
        return self.trajectory.means(by=self.spec.analysis.group, time="year")

    def flow(self) -> pd.DataFrame:
        """Follow the counts through the steps.

        Returns
        -------
        pandas.DataFrame
            Columns ``stage unit n_in n_excluded reason n_out``: one row per reason, and one with
            an empty reason for a step that left nothing out.
        """
        return trace_flow(self)

    def to_dict(self) -> dict[str, Any]:
        """Return every part in plain JSON types."""
        return {
            "schema": "study_result/1",
            "spec": self.spec.to_dict(),
            "origin": self.cohort.origin,
            "summary": self.summary.to_dict(),
            "endpoint": self.endpoint.to_dict(),
            "trajectory": self.trajectory.to_dict(),
            "slopes": self.slopes.to_dict(),
            "progression": self.progression.to_dict(),
            "association": None if self.association is None else self.association.to_dict(),
            "not_estimable": [list(pair) for pair in self.not_estimable],
            "flow": to_plain(self.flow()),
            "issues": to_plain(self.cohort.issues),
        }


def run_study(
    spec: StudySpec,
    *,
    data_dir: Path | None = None,
    seed: int | None = None,
    command: Sequence[str] = (),
    progress: Progress | None = None,
) -> StudyResult:
    """Run the main job: cohort, endpoint, trajectories, association.

    Parameters
    ----------
    spec : StudySpec
        From :func:`~pmsstats.study.read_study`.
    data_dir : pathlib.Path, optional
        Folder that table paths are relative to; that of the study file by default.
    seed : int, optional
        Seed that the tables were generated from, where they are synthetic; for the manifest.
    command : sequence of str
        The command line that asked, for the manifest; empty for a call from Python.
    progress : callable, optional
        Called with each of :data:`STEPS` as it begins.

    Returns
    -------
    StudyResult
        All results, with what every step left out.

    Raises
    ------
    SchemaError
        If the tables break the data dictionary or lack a named column.
    DesignError
        If the questions cannot be asked of these data.
    ConvergenceError
        If the trajectory model has no optimum that can be trusted.
    BackendUnavailableError
        If the engine is not installed.
    """
    tell = progress or (lambda _: None)
    analysis = spec.analysis
    tell(STEPS[0])
    cohort = _analysed_cohort(read_cohort(spec.mapping, data_dir=data_dir), spec)
    tell(STEPS[1])
    summary = cohort.summary(by=analysis.group)
    tell(STEPS[2])
    endpoint = derive_endpoint(cohort, analysis.outcome)
    tell(STEPS[3])
    trajectory = _fit_trajectory(cohort, spec)
    slopes = trajectory.slopes(by=analysis.group)
    tell(STEPS[4])
    progression = _progression_by_group(cohort, endpoint, spec)
    tell(STEPS[5])
    not_estimable = list(_missing_comparison(cohort, analysis.group))
    association = None
    with _recorded("Association", not_estimable):
        association = associate(
            cohort,
            analysis.measure,
            endpoint,
            covariates=analysis.covariates,
            strata=() if analysis.group is None else (analysis.group,),
            slope_visits=analysis.slope_visits,
            engine=analysis.engine,
            conf_level=analysis.conf_level,
        )
    return StudyResult(
        spec=spec,
        cohort=cohort,
        summary=summary,
        endpoint=endpoint,
        trajectory=trajectory,
        slopes=slopes,
        progression=progression,
        association=association,
        not_estimable=tuple(not_estimable),
        manifest=build_manifest(
            command=command,
            spec=spec.to_dict(),
            origin=cohort.origin,
            sources=cohort.sources,
            seed=seed,
            extra={
                "engine": {
                    "name": trajectory.fit_log.engine,
                    "version": trajectory.fit_log.engine_version,
                }
            },
        ),
        exclusions=(
            *cohort.exclusions,
            *endpoint.exclusions,
            *trajectory.exclusions,
            *progression.exclusions,
            *(association.exclusions if association is not None else ()),
        ),
    )


def _missing_comparison(cohort: Cohort, group: str | None) -> Iterator[tuple[str, str]]:
    """Say so where a group column has only one value."""
    if group is None:
        return
    values = cohort.subjects[group].dropna().unique()
    if len(values) == 1:
        yield "Comparison between groups", f"there is only one group: {group} is {values[0]!r}"


@contextmanager
def _recorded(section: str, not_estimable: list[tuple[str, str]]) -> Iterator[None]:
    """Note a part that these data cannot answer, and go on with the others."""
    try:
        yield
    except (DesignError, ConvergenceError) as exc:
        not_estimable.append((section, str(exc)))


def _analysed_cohort(cohort: Cohort, spec: StudySpec) -> Cohort:
    """Check the questions against the tables, and keep the asked-for groups."""
    check_questions(cohort, spec)
    analysis = spec.analysis
    if analysis.group is None or not analysis.groups:
        return cohort
    return cohort.grouped(analysis.group, analysis.groups)


def _group_values(cohort: Cohort, spec: StudySpec) -> pd.DataFrame:
    """Return subject_id, the group and covariates."""
    analysis = spec.analysis
    columns = dict.fromkeys([*([analysis.group] if analysis.group else []), *analysis.covariates])
    return cohort.subjects[["subject_id", *columns]]


def _fit_trajectory(cohort: Cohort, spec: StudySpec) -> LMMResult:
    """Fit the mixed model of the measure; say how to ask for less where the data are too few."""
    data = _trajectory_data(cohort, spec)
    analysis = spec.analysis
    try:
        return fit_lmm(
            data,
            _trajectory_spec(cohort, spec),
            engine=analysis.engine,
            dictionary=cohort.dictionary,
            origin=cohort.origin,
        )
    except DesignError as exc:
        measured = data.dropna(subset=[analysis.measure])
        few = len(measured) <= 2 * measured["subject_id"].nunique()
        if not few or analysis.random == "intercept":
            raise
        raise DesignError(
            f"{exc} With two visits per subject, write in {spec.source}: [analysis] "
            'random = "intercept".'
        ) from exc


def _trajectory_data(cohort: Cohort, spec: StudySpec) -> pd.DataFrame:
    """Join each visit's measure with its subject's group and covariates."""
    visits = cohort.visits[["subject_id", "day", "year", spec.analysis.measure]]
    return visits.merge(_group_values(cohort, spec), on="subject_id", how="left")


def _trajectory_spec(cohort: Cohort, spec: StudySpec) -> LMMSpec:
    """Write the trajectory model: change over time by group, random intercept and slope.

    A measure that already is change from baseline passes through zero at baseline by its
    definition: it gets no intercept, fixed or random, and no main effects.
    """
    analysis = spec.analysis
    group = f"`{analysis.group}`" if analysis.group else None
    covariates = [f"`{c}`" for c in analysis.covariates]
    if cohort.measure(analysis.measure).kind == "change":
        interactions = [f"year:{name}" for name in [*([group] if group else []), *covariates]]
        formula = f"`{analysis.measure}` ~ 0 + " + " + ".join(["year", *interactions])
        random = "(0 + year | subject_id)"
    else:
        time = f"year * {group}" if group else "year"
        formula = f"`{analysis.measure}` ~ " + " + ".join([time, *covariates])
        random = "(year | subject_id)" if analysis.random == "slope" else "(1 | subject_id)"
    return LMMSpec.from_formula(f"{formula} + {random}", conf_level=analysis.conf_level)


def _progression_by_group(cohort: Cohort, endpoint: EndpointResult, spec: StudySpec) -> KMResult:
    """Estimate the time to the outcome in each group."""
    analysis = spec.analysis
    follow_up = endpoint.table()[list(FOLLOW_UP_COLUMNS)]
    events = follow_up.merge(_group_values(cohort, spec), on="subject_id", how="left")
    left_out: tuple[Exclusion, ...] = ()
    if analysis.group:
        missing = events[analysis.group].isna()
        ids = events.loc[missing, "subject_id"]
        left_out = exclude("progression by group", "subject", f"no {analysis.group}", ids)
        events = events[~missing]
        if events.empty:
            raise DesignError(
                f"No subject with an endpoint has a value of {analysis.group!r} "
                f"({first_ids(ids)}). Fill the column, or leave `group` out."
            )
    km_spec = KMSpec(by=analysis.group, conf_level=analysis.conf_level)
    return fit_km(events, km_spec, prior_exclusions=left_out, origin=cohort.origin)
