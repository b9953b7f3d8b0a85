"""The sections of the report, in order: each turns results to tables, figures and sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pmsstats.plots.theme import group_levels
from pmsstats.report import listings, tables
from pmsstats.report.figures import forest_figure, survival_figure, trajectory_figure
from pmsstats.report.methods import adjustment_words, method_facts, optimum_words
from pmsstats.report.study_view import StudyView
from pmsstats.report.tables import DAYS_PER_YEAR
from pmsstats.results import format_interval, format_number, format_p_value

__all__ = ["FlowCount", "Section", "build_sections", "flow_stages", "key_facts", "plain_summary"]

FEW_EVENTS_PER_TERM = 10
"""Fewer events per coefficient make Cox estimates unreliable (reference peduzzi1995)."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of the report.

    Parameters
    ----------
    id : str
        Anchor.
    title : str
        Heading.
    content : mapping
        What its template, ``<id>.html.j2``, needs.
    """

    id: str
    title: str
    content: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class FlowCount:
    """What a step did to one kind of unit.

    Parameters
    ----------
    singular, unit : str
        ``"subject"`` or ``"visit"``; and in the number that fits `n_out`.
    n_in, n_out : int
        Before and after.
    left_out : tuple of tuple of str
        Count with its unit, and the reason.
    """

    singular: str
    unit: str
    n_in: int
    n_out: int
    left_out: tuple[tuple[str, str], ...]

    @property
    def percent(self) -> float:
        """Share of the units that is left, in percent."""
        return 100.0 * self.n_out / self.n_in if self.n_in else 0.0


def build_sections(study: StudyView) -> list[Section]:
    """Build every section.

    Parameters
    ----------
    study : StudyView
        A finished study.

    Returns
    -------
    list of Section
        In the order of the report; none is ever left out.
    """
    builders: Sequence[tuple[str, str, Callable[[StudyView], dict[str, Any]]]] = (
        ("flow", "Data flow", _flow),
        ("checks", "Data checks", _checks),
        ("cohort", "Who is in the data", _cohort),
        ("trajectories", "How the measure changes", _trajectories),
        ("progression", "Who progresses", _progression),
        ("association", "How the two are related", _association),
        ("methods", "Methods", _methods),
        ("provenance", "Provenance", _provenance),
        ("citing", "How to cite", _citing),
    )
    return [Section(id=key, title=title, content=build(study)) for key, title, build in builders]


def plain_summary(study: StudyView) -> list[tuple[str, str]]:
    """Return the opening sentences: the results' own headlines.

    Parameters
    ----------
    study : StudyView
        A finished study.

    Returns
    -------
    list of tuple of str
        Topic, and what was found, on whom, under which definition.
    """
    said = [
        ("Data", study.summary.headline()),
        ("Change", study.slopes.headline()),
        ("Outcome", study.endpoint.headline()),
    ]
    if study.association is not None:
        said.append(("Association", study.association.headline()))
    return said + [(topic, f"Not estimable: {why}") for topic, why in study.not_estimable]


def key_facts(study: StudyView) -> list[tuple[str, str]]:
    """Return the few numbers that stand at the top.

    Parameters
    ----------
    study : StudyView
        A finished study.

    Returns
    -------
    list of tuple of str
        Label and value.
    """
    endpoint = study.endpoint
    return [
        ("Subjects", format_number(study.cohort.n_subjects)),
        ("Visits", format_number(study.cohort.n_visits)),
        ("Measure", _measure(study).label),
        (
            "Events / at risk",
            f"{format_number(endpoint.n_events)} / {format_number(endpoint.n_subjects)}",
        ),
    ]


def flow_stages(flow: pd.DataFrame) -> list[tuple[str, list[FlowCount]]]:
    """Group the counts by step and unit.

    Parameters
    ----------
    flow : pandas.DataFrame
        ``stage unit n_in n_excluded reason n_out``, one row per reason.

    Returns
    -------
    list of tuple of str and list of FlowCount
        Steps in order.
    """
    stages: list[tuple[str, list[FlowCount]]] = []
    for stage, rows in flow.groupby("stage", sort=False):
        counts = [_flow_count(str(unit), part) for unit, part in rows.groupby("unit", sort=False)]
        stages.append((str(stage), counts))
    return stages


def _flow_count(unit: str, rows: pd.DataFrame) -> FlowCount:
    """Sum up what one step did to one kind of unit."""
    left_out = tuple(
        (f"{format_number(row['n_excluded'])} {_plural(unit, row['n_excluded'])}", row["reason"])
        for row in rows.to_dict("records")
        if row["n_excluded"]
    )
    n_out = int(rows["n_out"].iloc[-1])
    n_in = int(rows["n_in"].iloc[0])
    return FlowCount(
        singular=unit, unit=_plural(unit, n_out), n_in=n_in, n_out=n_out, left_out=left_out
    )


def _plural(unit: str, n: int) -> str:
    """Return a unit in the number that fits."""
    return unit if n == 1 else f"{unit}s"


def _measure(study: StudyView) -> Any:
    """Return the dictionary entry of the measure that is modelled."""
    return study.cohort.measure(study.spec.analysis.measure)


def _reason(study: StudyView, section: str) -> str:
    """Return why a section could not be estimated; empty where it could."""
    return dict(study.not_estimable).get(section, "")


def _levels(study: StudyView) -> list[str]:
    """Return the groups in the one order that every figure keeps."""
    group = study.spec.analysis.group
    modelled = [] if group is None else group_levels(study.trajectory.data[group])
    return list(dict.fromkeys([*modelled, *group_levels(study.progression.curves()["group"])]))


def _in_order(group: pd.Series, levels: Sequence[str]) -> pd.Categorical:
    """Give a column of groups the report's order."""
    return pd.Categorical(group.astype(str), categories=list(levels), ordered=True)


def _flow(study: StudyView) -> dict[str, Any]:
    """Follow subjects and visits through the steps."""
    return {
        "stages": flow_stages(study.flow()),
        "table": listings.exclusion_table(study.exclusions),
    }


def _checks(study: StudyView) -> dict[str, Any]:
    """List what validation found doubtful."""
    return {"table": listings.issues_table(study.cohort.issues)}


def _cohort(study: StudyView) -> dict[str, Any]:
    """Describe the subjects."""
    return {
        "lead": study.summary.headline(),
        "table": listings.table_one(study.summary.display()),
        "group": study.spec.analysis.group,
    }


def _trajectories(study: StudyView) -> dict[str, Any]:
    """Show individual and mean trajectories, and their slopes."""
    measure, analysis = _measure(study), study.spec.analysis
    fit, slopes = study.trajectory, study.slopes
    style = {"unit": measure.unit, "conf_level": analysis.conf_level}
    differences = slopes.differences()
    return {
        "lead": slopes.headline(),
        "figure": _trajectory_figure(study),
        "slopes": tables.slopes_table(slopes.table(), **style),
        "differences": tables.differences_table(differences, **style) if len(differences) else None,
        "coefficients": tables.coefficients_table(fit.table(), conf_level=analysis.conf_level),
        "variances": tables.variance_table(fit.variance_components, fit.residual_sd, measure.unit),
        "fit_log": fit.fit_log,
        "optimum": optimum_words(fit.fit_log, reml=fit.spec.method == "REML"),
        "notes": fit.notes,
        "log_likelihood": format_number(fit.fit_log.log_likelihood, 6),
    }


def _trajectory_figure(study: StudyView) -> Any:
    """Draw the trajectories from the rows analysed and the model's means."""
    measure, analysis, fit = _measure(study), study.spec.analysis, study.trajectory
    levels = _levels(study)
    group = pd.Series("all", index=fit.data.index)
    group = group if analysis.group is None else fit.data[analysis.group]
    data = pd.DataFrame(
        {
            "subject_id": fit.data["subject_id"],
            "year": fit.data["year"],
            "value": fit.data[analysis.measure],
            "group": _in_order(group, levels),
        }
    )
    fitted = fit.means(by=analysis.group)
    means = pd.Series("all", index=fitted.index) if analysis.group is None else fitted["group"]
    fitted = fitted.assign(group=_in_order(means, levels))
    level = tables.level_text(analysis.conf_level)
    adjusted = ", at the average of the covariates" if analysis.covariates else ""
    n_obs, n_subjects = format_number(fit.n_obs), format_number(fit.n_subjects)
    return trajectory_figure(
        data,
        fitted,
        y_label=measure.axis_label,
        scale_steps=measure.values,
        origin=study.cohort.origin,
        alt=f"Line chart of {measure.label} over time, one thin line per subject and the model's "
        f"mean per group. {study.slopes.headline()}",
        caption=f"{measure.label} over time. Thin lines: {n_obs} visits of {n_subjects} subjects "
        "(a dot: one visit only). Thick lines and bands: mean of the mixed model with its "
        f"{level}{adjusted}.",
    )


def _km_figure(study: StudyView, result: Any, *, name: str, caption: str) -> Any:
    """Draw Kaplan-Meier curves, days turned to years."""
    table = result.table().set_index("group")
    same = name == "progression"
    levels = _levels(study) if same else group_levels(result.curves()["group"])
    curves = result.curves().assign(duration=lambda f: f["duration"] / DAYS_PER_YEAR)
    curves["n"] = table.loc[curves["group"].astype(str), "n_subjects"].to_numpy()
    curves["group"] = _in_order(curves["group"], levels)

    def at_risk(years: Sequence[float]) -> pd.DataFrame:
        days = [year * DAYS_PER_YEAR for year in years]
        counts = result.at_risk(days)
        return counts.assign(duration=counts["duration"].map(dict(zip(days, years, strict=True))))

    level = tables.level_text(study.spec.analysis.conf_level)
    n_events, n_subjects = (format_number(table[c].sum()) for c in ("n_events", "n_subjects"))
    return survival_figure(
        _renamed(curves),
        lambda years: _renamed(at_risk(years)),
        name=name,
        y_label="Without event",
        origin=study.cohort.origin,
        alt=f"Kaplan-Meier curves of the time to {study.endpoint.label}. {result.headline()}",
        caption=f"{caption} Steps: Kaplan-Meier estimate; bands: pointwise {level}. "
        f"{n_subjects} subjects, {n_events} events; under the axis, subjects still at risk.",
    )


def _renamed(frame: pd.DataFrame) -> pd.DataFrame:
    """Name the only group for display."""
    group = frame["group"]
    levels = [tables.group_label(level) for level in group_levels(group)]
    return frame.assign(group=_in_order(group.map(tables.group_label), levels))


def _progression(study: StudyView) -> dict[str, Any]:
    """Show who reaches the outcome, and when."""
    result = study.progression
    log_rank = result.log_rank
    return {
        "lead": study.endpoint.headline(),
        "label": study.endpoint.label,
        "definition": study.endpoint.definition,
        "headline": result.headline(),
        "figure": _km_figure(
            study, result, name="progression", caption=f"Time to {study.endpoint.label}, by group."
        ),
        "table": tables.progression_table(
            result.table(), conf_level=study.spec.analysis.conf_level
        ),
        "log_rank": None
        if log_rank is None
        else {
            "statistic": f"{log_rank.statistic:.2f}",
            "df": format_number(log_rank.df),
            "p_value": _after_p(format_p_value(log_rank.p_value)),
        },
    }


def _after_p(text: str) -> str:
    """Write a p value as it stands behind the letter p."""
    return f"< {text[1:]}" if text.startswith("<") else f"= {text}"


def _association(study: StudyView) -> dict[str, Any]:
    """Show how trajectory and outcome are related, by every method."""
    result = study.association
    if result is None:
        return {"reason": _reason(study, "Association")}
    table = result.table()
    level = study.spec.analysis.conf_level
    adjustment = adjustment_words(result.spec, study.spec.analysis.group)
    return {
        "reason": "",
        "lead": result.headline(),
        "figure": _forest(study, result.forest_frame(), adjustment),
        "table": tables.association_table(table, conf_level=level, adjustment=adjustment),
        "proportionality": tables.proportionality_table(result.check_proportional_hazards()),
        "tertiles": None if result.tertiles is None else _tertiles(study, result.tertiles),
        "caveats": result.caveats,
        "few_events": _few_events(result),
    }


def _tertiles(study: StudyView, tertiles: Any) -> dict[str, Any]:
    """Show the outcome by third of individual change."""
    caption = f"Time to {study.endpoint.label}, by third of individual change."
    figure = _km_figure(study, tertiles, name="tertiles", caption=caption)
    return {"headline": tertiles.headline(), "figure": figure}


def _forest(study: StudyView, frame: pd.DataFrame, adjustment: str) -> Any:
    """Draw the hazard ratios of every method."""
    level = tables.level_text(study.spec.analysis.conf_level)
    spoken = "; ".join(
        f"{row['label']}: "
        f"{row['instead'] or format_interval(row['estimate'], row['conf_low'], row['conf_high'])}"
        for row in frame.to_dict("records")
    )
    measure = _measure(study).label
    return forest_figure(
        frame,
        x_label="Hazard ratio per SD (log scale)",
        origin=study.cohort.origin,
        alt=f"Forest plot of hazard ratios per standard deviation of {measure}. {spoken}.",
        caption=f"Hazard ratio of {study.endpoint.label} per standard deviation (SD) of {measure} "
        f"towards worse where a direction is known, with {level}"
        f"{f', {adjustment}' if adjustment else ''}; dashed line: no association.",
    )


def _few_events(result: Any) -> list[str]:
    """Name the methods whose events are too few for their number of terms."""
    labels = result.table().set_index("method")["label"]
    sizes = {
        method: (len(model.table()), model.n_events) for method, model in result.models.items()
    }
    return [
        f"{labels[method]} ({format_number(n_events)} events for "
        f"{format_number(n_terms)} {_plural('coefficient', n_terms)})"
        for method, (n_terms, n_events) in sizes.items()
        if n_events < FEW_EVENTS_PER_TERM * n_terms
    ]


def _methods(study: StudyView) -> dict[str, Any]:
    """Collect what the methods text states."""
    return {"facts": method_facts(study)}


def _provenance(study: StudyView) -> dict[str, Any]:
    """Show versions, inputs and the request."""
    return {"manifest": study.manifest}


def _citing(study: StudyView) -> dict[str, Any]:
    """Say whom to acknowledge."""
    return {
        "acknowledgement": study.spec.acknowledgement,
        "package": study.manifest["package"],
        "origin": study.cohort.origin,
    }
