"""What an association answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.association.spec import METHODS, AssociationSpec, Method, exposure
from pmsstats.results import Exclusion, Result, format_interval, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.cohort.schema import Measure
    from pmsstats.endpoints import EndpointResult
    from pmsstats.models.curves.kaplan_meier import KMResult
    from pmsstats.models.events.survival import CoxResult
    from pmsstats.models.joint.result import JointResult
    from pmsstats.models.mixed.lmm import LMMResult
    from pmsstats.models.pairs.pair_result import PairResult
    from pmsstats.provenance import Origin

__all__ = ["ESTIMATE_COLUMNS", "AssociationResult", "estimates_row", "hazard_row"]

ESTIMATE_COLUMNS = (
    "method", "label", "quantity", "term", "estimate", "std_error", "statistic", "p_value",
    "conf_low", "conf_high", "hazard_ratio", "hazard_ratio_low", "hazard_ratio_high", "sd",
    "sd_unit", "n_subjects", "n_events", "note",
)  # fmt: skip
"""Columns of :meth:`AssociationResult.table`."""
_LEADING: tuple[tuple[Method, ...], ...] = (
    ("joint_slope", "two_stage", "risk_set", "landmark", "two_stage_raw"),
    ("joint_value", "time_varying"),
    ("slope_correlation_corrected", "slope_correlation"),
)  # in a sentence, the first of each that is estimable speaks for the others
_FEW_METHODS = 2  # so many each have their clause


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AssociationResult(Result):
    """The association of a trajectory with an outcome, method by method.

    Parameters
    ----------
    spec : AssociationSpec
        The request.
    measure : Measure
        Whose trajectory it is.
    endpoint : EndpointResult
        The outcome.
    outcome_measure : Measure, optional
        Whose slope correlations relate to; None where the outcome is derived from no measure.
    estimates : pandas.DataFrame
        One row per method (`label` is its name in words), columns :data:`ESTIMATE_COLUMNS`: log
        hazard ratio and hazard ratio per SD towards worse, or a correlation with its interval
        (`quantity` says which), that SD with its unit, and a note that is empty unless the method
        was not estimable.
    models : mapping of str to CoxResult
        The Cox model of each method that has one and was estimable; their covariates stand there.
    joint_models : mapping of str to JointResult
        The joint model of each method that has one and was estimable.
    pair : PairResult, optional
        The bivariate mixed model behind the corrected correlation.
    trajectory : LMMResult, optional
        The mixed model of the individual slopes; None where it was not asked for or failed.
    slopes : pandas.DataFrame
        ``subject_id slope tertile`` of the subjects in the two-stage model, slopes in units of the
        measure per year, not turned; empty where there are none.
    tertiles : KMResult, optional
        Time to the outcome by third of the slope; None where there are no slopes.
    caveats : tuple of str
        One sentence each; shown wherever the estimates are.
    origin : {"real", "synthetic"}
        Of the cohort.
    exclusions : tuple of Exclusion
        What each method left out of the subjects at risk for the outcome.
    """

    spec: AssociationSpec
    measure: Measure
    endpoint: EndpointResult
    outcome_measure: Measure | None
    estimates: pd.DataFrame
    models: Mapping[str, CoxResult]
    joint_models: Mapping[str, JointResult]
    pair: PairResult | None
    trajectory: LMMResult | None
    slopes: pd.DataFrame
    tertiles: KMResult | None
    caveats: tuple[str, ...]
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say what was found, in clinical words: every one of a few methods, or the leading ones.

        Returns
        -------
        str
            One sentence.
        """
        rows = self.estimates.to_dict("records")
        if len(rows) <= _FEW_METHODS:
            parts = [self._clause(row) for row in rows]
        else:
            parts = self._leading_clauses({row["method"]: row for row in rows})
        text = "; ".join(parts)
        start = "In synthetic data, " if self.origin == "synthetic" else ""
        return f"{start}{text if start else text[:1].upper() + text[1:]}."

    def _leading_clauses(self, rows: Mapping[str, dict[str, Any]]) -> list[str]:
        """Let one method of each kind speak, and summarise the others."""
        estimable = [method for method, row in rows.items() if not row["note"]]
        leading = [next((m for m in kind if m in estimable), None) for kind in _LEADING]
        parts = [self._clause(rows[method]) for method in leading if method is not None]
        others = [
            rows[m]["hazard_ratio"]
            for m in estimable
            if m not in leading and np.isfinite(rows[m]["hazard_ratio"])
        ]
        if others:
            low, high = (format_number(f(others), 3) for f in (min, max))
            span = f"ratios of {low} to {high}" if len(others) > 1 else f"a ratio of {low}"
            parts.append(f"{len(others)} other method(s) gave {span}")
        failed = [METHODS[m].words for m in rows if m not in estimable]
        if failed:
            parts.append(f"not estimable: {', '.join(failed)}")
        return parts

    def _clause(self, row: dict[str, Any]) -> str:
        """Write one method's clause."""
        method: Method = row["method"]
        name = METHODS[method].words
        if row["note"]:
            return f"{name} not estimable ({row['note'].rstrip('.')})"
        if row["quantity"] == "correlation":
            return self._correlation_clause(row, name)
        ratio, low, high = (
            format_number(row[column], 3)
            for column in ("hazard_ratio", "hazard_ratio_low", "hazard_ratio_high")
        )
        sd = f"{format_number(row['sd'], 2)} {row['sd_unit']}".strip()
        adjusted = f", adjusted for {self.spec.adjustment()}" if self.spec.covariates else ""
        strata = self.spec.strata_columns()
        adjusted += f", stratified by {' and '.join(strata)}" if strata else ""
        adjusted = adjusted or ", unadjusted"
        return (
            f"per SD {exposure(self.measure, method).words} ({sd}), the hazard of "
            f"{self.endpoint.label} was {ratio} times as high "
            f"({100 * self.spec.conf_level:g} % CI {low} to {high}; {name}{adjusted}, "
            f"{row['n_subjects']} subjects, {row['n_events']} events)"
        ).replace("`", "")

    def _correlation_clause(self, row: dict[str, Any], name: str) -> str:
        """Write the clause of a correlation."""
        value, low, high = (
            format_number(row[column], 2) for column in ("estimate", "conf_low", "conf_high")
        )
        return (
            f"{row['term']}: correlation {value} ({100 * self.spec.conf_level:g} % CI {low} to "
            f"{high}; {name}, {row['n_subjects']} subjects)"
        )

    def table(self) -> pd.DataFrame:
        """Return the estimates (a copy).

        Returns
        -------
        pandas.DataFrame
            One row per method, columns :data:`ESTIMATE_COLUMNS`.
        """
        return self.estimates.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the hazard ratios per SD, one row per method; correlations stand as figures.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.plot_forest`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from pmsstats.plots import plot_forest

        frame = self.forest_frame()
        options = {
            "reference": 1.0,
            "log": True,
            "x_label": f"Hazard ratio per SD ({100 * self.spec.conf_level:g} % CI)",
            "origin": self.origin,
        }
        return plot_forest(frame, ax=ax, **(options | kws))

    def forest_frame(self) -> pd.DataFrame:
        """Lay the estimates out for a forest plot.

        Returns
        -------
        pandas.DataFrame
            ``label estimate conf_low conf_high n instead``: hazard ratios; `instead` is text where
            the method gives a correlation, else empty.
        """
        rows = self.estimates
        return pd.DataFrame(
            {
                "label": [_forest_label(row) for row in rows.to_dict("records")],
                "estimate": rows["hazard_ratio"],
                "conf_low": rows["hazard_ratio_low"],
                "conf_high": rows["hazard_ratio_high"],
                "n": [
                    f"{n} subjects{f', {events} events' if events else ''}"
                    for n, events in zip(rows["n_subjects"], rows["n_events"], strict=True)
                ],
                "instead": [_correlation_text(row) for row in rows.to_dict("records")],
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields, with the models, tertile curves and proportional-hazards tests.
        """
        return {
            "schema": "association_result/2",
            "spec": to_plain(self.spec),
            "measure": self.measure.name,
            "endpoint": self.endpoint.label,
            "definition": self.endpoint.definition,
            "outcome_measure": None if self.outcome_measure is None else self.outcome_measure.name,
            "estimates": to_plain(self.estimates),
            "caveats": list(self.caveats),
            "models": {method: model.to_dict() for method, model in self.models.items()},
            "joint_models": {m: model.to_dict() for m, model in self.joint_models.items()},
            "pair": None if self.pair is None else self.pair.to_dict(),
            "tertiles": None if self.tertiles is None else self.tertiles.to_dict(),
            "slopes": to_plain(self.slopes),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }

    def check_proportional_hazards(self) -> pd.DataFrame:
        """Test whether the hazard ratios change over time, method by method.

        Returns
        -------
        pandas.DataFrame
            ``method label term statistic df p_value``, see
            :meth:`pmsstats.models.events.survival_results.CoxResult.check_proportional_hazards`.
        """
        columns = ["method", "label", "term", "statistic", "df", "p_value"]
        parts = [
            model.check_proportional_hazards().assign(method=method, label=METHODS[method].label)
            for method, model in self.models.items()
        ]
        return (
            pd.concat(parts, ignore_index=True)[columns]
            if parts
            else pd.DataFrame([], columns=columns)
        )


def _forest_label(row: Mapping[str, Any]) -> str:
    """Name a row: the method, and per SD of what; correlations are of both slopes anyway."""
    if row["quantity"] == "correlation":
        return str(row["label"])
    return f"{row['label']}, {row['term'].rpartition(': ')[2]}"


def _correlation_text(row: Mapping[str, Any]) -> str:
    """Write a correlation with its interval; empty for other rows."""
    if row["quantity"] != "correlation" or row["note"]:
        return ""
    return f"r = {format_interval(row['estimate'], row['conf_low'], row['conf_high'])}"


def estimates_row(method: Method, measure: Measure, **values: Any) -> dict[str, Any]:
    """Fill a row of the estimates; what is not given is missing.

    Parameters
    ----------
    method : str
        The method.
    measure : Measure
        Whose trajectory it is.
    **values
        Columns of :data:`ESTIMATE_COLUMNS`.

    Returns
    -------
    dict
        All columns.
    """
    shown = exposure(measure, method)
    empty = dict.fromkeys(ESTIMATE_COLUMNS, np.nan)
    known = {
        "method": method, "label": METHODS[method].label, "quantity": METHODS[method].estimate,
        "term": shown.term, "sd_unit": shown.unit, "n_subjects": 0, "n_events": 0, "note": "",
    }  # fmt: skip
    return empty | known | values


def hazard_row(
    method: Method,
    measure: Measure,
    *,
    estimate: float,
    std_error: float,
    sd: float,
    conf_level: float,
    n_subjects: int,
    n_events: int,
) -> dict[str, Any]:
    """Fill the row of a log hazard ratio per SD with its Wald test and interval.

    Parameters
    ----------
    method : str
        The method.
    measure : Measure
        Whose trajectory it is.
    estimate, std_error : float
        Log hazard ratio per SD towards worse.
    sd : float
        That SD, in its unit.
    conf_level : float
        Of the interval.
    n_subjects, n_events : int
        Analysed.

    Returns
    -------
    dict
        All columns.
    """
    half = stats.norm.ppf((1 + conf_level) / 2) * std_error
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        statistic = float(np.divide(estimate, std_error))
        ratios = np.exp([estimate, estimate - half, estimate + half])
    return estimates_row(
        method,
        measure,
        estimate=estimate,
        std_error=std_error,
        statistic=statistic,
        p_value=float(2 * stats.norm.sf(abs(statistic))),
        conf_low=estimate - half,
        conf_high=estimate + half,
        hazard_ratio=ratios[0],
        hazard_ratio_low=ratios[1],
        hazard_ratio_high=ratios[2],
        sd=sd,
        n_subjects=n_subjects,
        n_events=n_events,
    )
