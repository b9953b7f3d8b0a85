"""The facts that the methods text states, read from the specs of the results."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from pmsstats.report.study_view import StudyView
from pmsstats.report.tables import level_text
from pmsstats.results import FitLog

__all__ = ["AssociationFacts", "MethodFacts", "adjustment_words", "method_facts", "optimum_words"]

DfMethod = Literal["normal", "satterthwaite"]


@dataclass(frozen=True, kw_only=True)
class AssociationFacts:
    """How trajectory and outcome were related.

    Parameters
    ----------
    methods : tuple of str
        Methods that gave an estimate.
    slope_formula : str
        Mixed model of the individual slopes; empty where there are none.
    slope_visits : str
        ``"until_event"`` or ``"all"``: which measurements these slopes use.
    slope_optimum : str
        How the optimum of that model was checked and finished; may be empty.
    slopes_by_group : bool
        Whether groups have mean slopes of their own in that model.
    adjustment : str
        What the models are adjusted for and stratified by, and what not; may be empty.
    is_stratified : bool
        Whether there is more than one baseline hazard.
    outcome_measure : str
        Measure whose slope is correlated with that of the marker; may be empty.
    has_cox : bool
        Whether any method is a Cox model.
    """

    methods: tuple[str, ...]
    slope_formula: str
    slope_visits: str
    slope_optimum: str
    slopes_by_group: bool
    adjustment: str
    is_stratified: bool
    outcome_measure: str
    has_cox: bool


@dataclass(frozen=True, kw_only=True)
class MethodFacts:
    """What was done, as the specs and fit logs say.

    Parameters
    ----------
    measure, unit, worsening : str
        Of the modelled measure.
    group : str
        Subject column that is compared; empty where there is none.
    covariates : tuple of str
        Subject columns adjusted for.
    formula : str
        The mixed model in lme4's notation.
    reml : bool
        Restricted maximum likelihood rather than maximum likelihood.
    engine, engine_version, optimiser : str
        Program that fitted.
    optimum : str
        How its optimum was checked and finished, see :func:`optimum_words`.
    df_method : {"normal", "satterthwaite"}
        Reference distribution of the mixed model's tests.
    conf_level : str
        For display.
    has_percent : bool
        Whether slopes are also given in percent of baseline.
    definition : str
        The endpoint.
    association : AssociationFacts, optional
        None where there is none.
    survival_version : str
        Version of lifelines.
    versions : str
        Package and Python.
    """

    measure: str
    unit: str
    worsening: str
    group: str
    covariates: tuple[str, ...]
    formula: str
    reml: bool
    engine: str
    engine_version: str
    optimiser: str
    optimum: str
    df_method: DfMethod
    conf_level: str
    has_percent: bool
    definition: str
    association: AssociationFacts | None
    survival_version: str
    versions: str


def method_facts(study: StudyView) -> MethodFacts:
    """Collect the facts.

    Parameters
    ----------
    study : StudyView
        A finished study.

    Returns
    -------
    MethodFacts
        For the methods template.
    """
    analysis = study.spec.analysis
    measure = study.cohort.measure(analysis.measure)
    log = study.trajectory.fit_log
    slopes = study.slopes.table()
    manifest = study.manifest
    percent = "percent_estimate" in slopes and bool(slopes["percent_estimate"].notna().any())
    return MethodFacts(
        measure=measure.label,
        unit=measure.unit,
        worsening=measure.worsening,
        group=analysis.group or "",
        covariates=tuple(analysis.covariates),
        formula=study.trajectory.spec.formula(),
        reml=study.trajectory.spec.method == "REML",
        engine=log.engine,
        engine_version=log.engine_version,
        optimiser=log.optimiser,
        optimum=optimum_words(log, reml=study.trajectory.spec.method == "REML"),
        df_method=_df_method(study.trajectory.table()),
        conf_level=level_text(analysis.conf_level),
        has_percent=percent,
        definition=study.endpoint.definition,
        association=_association_facts(study.association, analysis.group),
        survival_version=manifest["versions"].get("lifelines", ""),
        versions=f"pmsstats {manifest['package']['version']}, "
        f"Python {manifest['versions']['python']}",
    )


def optimum_words(fit_log: FitLog, *, reml: bool) -> str:
    """Say what was done about a mixed model's optimum after the engine stopped.

    Parameters
    ----------
    fit_log : FitLog
        Of the mixed model.
    reml : bool
        Whether the likelihood is the restricted one.

    Returns
    -------
    str
        Empty where the log tells of no check.

    Examples
    --------
    >>> log = FitLog(engine="lme4", optimiser="nloptwrap", converged=True)
    >>> optimum_words(log, reml=True)
    ''
    """
    if "log-likelihood could rise by" not in fit_log.message:
        return ""
    tried = len(fit_log.attempts)
    best = f"of {tried} attempts the best was kept; " if tried > 1 else ""
    likelihood = "restricted likelihood" if reml else "likelihood"
    checked = f"{best}the optimum was checked on the package's own evaluation of the {likelihood}"
    added = re.search(r"added (\S+) after it stopped", fit_log.message)
    if added is None:
        return f"{checked} and needed no further step"
    return (
        f"{checked} and finished there, by steps that added {added[1]} to the log-likelihood after "
        f"{fit_log.engine} had stopped"
    )


def adjustment_words(spec: Any, group: str | None) -> str:
    """Say what Cox models are adjusted for and stratified by, and whether the group is neither.

    Parameters
    ----------
    spec : AssociationSpec
        Its ``adjustment()`` and ``strata_columns()`` are read.
    group : str or None
        Subject column that the study compares.

    Returns
    -------
    str
        Empty where there is nothing to say.
    """
    adjustment, strata = spec.adjustment().replace("`", ""), spec.strata_columns()
    said = [f"adjusted for {adjustment}"] if adjustment else []
    if strata:
        said.append(
            f"stratified by {' and '.join(strata)} (each group has its own baseline hazard)"
        )
    if group and group not in strata and not _has_name(adjustment, group):
        said.append(f"not adjusted for {group}")
    return ", ".join(said)


def _has_name(formula: str, name: str) -> bool:
    """Say whether a formula names a column."""
    return re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", formula) is not None


def _association_facts(association: Any | None, group: str | None) -> AssociationFacts | None:
    """Read the association's own request."""
    if association is None:
        return None
    spec, trajectory = association.spec, association.trajectory
    return AssociationFacts(
        methods=tuple(
            row["method"] for row in association.table().to_dict("records") if not row["note"]
        ),
        slope_formula="" if trajectory is None else trajectory.spec.formula(),
        slope_visits=spec.slope_visits,
        slope_optimum=""
        if trajectory is None
        else optimum_words(trajectory.fit_log, reml=trajectory.spec.method == "REML"),
        slopes_by_group=spec.slope_model == "by_group",
        adjustment=adjustment_words(spec, group),
        is_stratified=bool(spec.strata_columns()),
        outcome_measure=""
        if association.outcome_measure is None
        else association.outcome_measure.label,
        has_cox=bool(association.models),
    )


def _df_method(coefficients: pd.DataFrame) -> DfMethod:
    """Return the reference distribution: without degrees of freedom it is the normal one."""
    has_df = "df" in coefficients and bool(coefficients["df"].notna().any())
    return "satterthwaite" if has_df else "normal"
