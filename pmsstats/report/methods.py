"""The facts that the methods text states, read from the specs of the results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from pmsstats.report.study_view import StudyView
from pmsstats.report.tables import level_text

__all__ = ["AssociationFacts", "MethodFacts", "method_facts"]

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
    adjustment, strata : str
        Of the Cox models, for display; may be empty.
    """

    methods: tuple[str, ...]
    slope_formula: str
    slope_visits: str
    adjustment: str
    strata: str


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
        df_method=_df_method(study.trajectory.table()),
        conf_level=level_text(analysis.conf_level),
        has_percent=percent,
        definition=study.endpoint.definition,
        association=_association_facts(study.association),
        survival_version=manifest["versions"].get("lifelines", ""),
        versions=f"pmsstats {manifest['package']['version']}, "
        f"Python {manifest['versions']['python']}",
    )


def _association_facts(association: Any | None) -> AssociationFacts | None:
    """Read the association's own request."""
    if association is None:
        return None
    spec, trajectory = association.spec, association.trajectory
    return AssociationFacts(
        methods=tuple(association.models),
        slope_formula="" if trajectory is None else trajectory.spec.formula(),
        slope_visits=spec.slope_visits,
        adjustment=spec.adjustment().replace("`", ""),
        strata=", ".join(spec.strata_columns()),
    )


def _df_method(coefficients: pd.DataFrame) -> DfMethod:
    """Return the reference distribution: without degrees of freedom it is the normal one."""
    has_df = "df" in coefficients and bool(coefficients["df"].notna().any())
    return "satterthwaite" if has_df else "normal"
