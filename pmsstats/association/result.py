"""What an association answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.association.spec import METHOD_LABELS, METHOD_WORDS, AssociationSpec, Method, exposure
from pmsstats.results import Exclusion, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.cohort.schema import Measure
    from pmsstats.endpoints import EndpointResult
    from pmsstats.models.events.survival import CoxResult, KMResult
    from pmsstats.models.mixed.lmm import LMMResult
    from pmsstats.provenance import Origin

__all__ = ["ESTIMATE_COLUMNS", "AssociationResult"]

ESTIMATE_COLUMNS = (
    "method", "term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high",
    "hazard_ratio", "hazard_ratio_low", "hazard_ratio_high", "sd", "sd_unit", "n_subjects",
    "n_events", "note",
)  # fmt: skip
"""Columns of :meth:`AssociationResult.table`."""


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
    estimates : pandas.DataFrame
        One row per method, columns :data:`ESTIMATE_COLUMNS`: log hazard ratio and hazard ratio per
        SD towards worse, that SD with its unit, and a note that is empty unless the method was not
        estimable.
    models : mapping of str to CoxResult
        The Cox model of each method that was estimable; their covariates stand there.
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
    estimates: pd.DataFrame
    models: Mapping[str, CoxResult]
    trajectory: LMMResult | None
    slopes: pd.DataFrame
    tertiles: KMResult | None
    caveats: tuple[str, ...]
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say the hazard ratio per SD of each method, in clinical words.

        Returns
        -------
        str
            One sentence.
        """
        parts = [self._clause(row) for row in self.estimates.to_dict("records")]
        text = "; ".join(parts)
        start = "In synthetic data, " if self.origin == "synthetic" else ""
        return f"{start}{text if start else text[:1].upper() + text[1:]}."

    def _clause(self, row: dict[str, Any]) -> str:
        """Write one method's clause."""
        method: Method = row["method"]
        name = METHOD_WORDS[method]
        if row["note"]:
            return f"{name} not estimable ({row['note'].rstrip('.')})"
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

    def table(self) -> pd.DataFrame:
        """Return the estimates (a copy).

        Returns
        -------
        pandas.DataFrame
            One row per method, columns :data:`ESTIMATE_COLUMNS`.
        """
        return self.estimates.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the hazard ratios per SD, one row per method.

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

        rows = self.estimates
        frame = pd.DataFrame(
            {
                "label": [
                    f"{METHOD_LABELS[method]}, {term.rpartition(': ')[2]}"
                    for method, term in zip(rows["method"], rows["term"], strict=True)
                ],
                "estimate": rows["hazard_ratio"],
                "conf_low": rows["hazard_ratio_low"],
                "conf_high": rows["hazard_ratio_high"],
                "n": [
                    f"{n} subjects, {events} events"
                    for n, events in zip(rows["n_subjects"], rows["n_events"], strict=True)
                ],
            }
        )
        options = {
            "reference": 1.0,
            "log": True,
            "x_label": f"Hazard ratio per SD ({100 * self.spec.conf_level:g} % CI)",
            "origin": self.origin,
        }
        return plot_forest(frame, ax=ax, **(options | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields, with the Cox models, tertile curves and proportional-hazards tests.
        """
        return {
            "schema": "association_result/1",
            "spec": to_plain(self.spec),
            "measure": self.measure.name,
            "endpoint": self.endpoint.label,
            "definition": self.endpoint.definition,
            "estimates": to_plain(self.estimates),
            "caveats": list(self.caveats),
            "models": {method: model.to_dict() for method, model in self.models.items()},
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
            ``method term statistic df p_value``, see
            :meth:`pmsstats.models.events.survival_results.CoxResult.check_proportional_hazards`.
        """
        parts = [
            model.check_proportional_hazards().assign(method=method)
            for method, model in self.models.items()
        ]
        columns = ["method", "term", "statistic", "df", "p_value"]
        return pd.concat(parts, ignore_index=True)[columns]


def estimates_row(method: Method, measure: Measure, **values: Any) -> dict[str, Any]:
    """Fill a row of the estimates; what is not given is missing.

    Parameters
    ----------
    method : {"two_stage", "time_varying"}
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
        "method": method, "term": shown.term, "sd_unit": shown.unit, "n_subjects": 0,
        "n_events": 0, "note": "",
    }  # fmt: skip
    return empty | known | values
