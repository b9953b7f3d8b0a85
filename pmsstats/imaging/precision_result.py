"""What repeated measurements say: error, reliability, detectable change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.plots.agreement import plot_bland_altman
from pmsstats.plots.forest import plot_forest
from pmsstats.results import Exclusion, Result, format_interval, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.imaging.precision import PrecisionSpec

__all__ = ["PrecisionResult"]

_QUANTITIES = {
    "within_sd": "Within-subject SD",
    "mdc": "Minimal detectable change",
    "cv_rms_pct": "CV, root mean square (%)",
    "cv_log_pct": "CV, log method (%)",
    "between_sd": "Between-subject SD",
    "icc_1_1": "ICC(1,1)",
    "icc_a_1": "ICC(A,1)",
    "icc_c_1": "ICC(C,1)",
    "bias": "Bias",
    "loa_lower": "Lower limit of agreement",
    "loa_upper": "Upper limit of agreement",
}
_MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PrecisionResult(Result):
    """Precision of one or several measures.

    Parameters
    ----------
    spec : PrecisionSpec
        What was asked.
    estimates : pandas.DataFrame
        ``term quantity unit estimate df conf_low conf_high n_subjects n_obs``, one row per
        measure and quantity (see :func:`~pmsstats.imaging.precision.estimate_precision`).
    pairs : pandas.DataFrame
        ``term mean difference`` of the two replicates, where there are two.
    labels, units : mapping
        Of the measures.
    n_subjects : int
        Subjects with at least one measurement.
    notes : tuple of str
        What is missing, and why.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out.
    """

    spec: PrecisionSpec
    estimates: pd.DataFrame
    pairs: pd.DataFrame
    labels: Mapping[str, str]
    units: Mapping[str, str]
    n_subjects: int
    notes: tuple[str, ...] = ()
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say which change of one person is more than measurement error."""
        rows = self.estimates[self.estimates["quantity"] == "mdc"]
        words = []
        for row in rows.head(_MOST_NAMED).to_dict("records"):
            unit = f" {row['unit']}" if row["unit"] else ""
            words.append(f"{self.labels[row['term']]} {format_number(row['estimate'], 3)}{unit}")
        more = f" and {len(rows) - _MOST_NAMED} more measures" if len(rows) > _MOST_NAMED else ""
        origin = "synthetic " if self.origin == "synthetic" else ""
        around = " around their own trend" if self.spec.time else ""
        notes = "".join(f"; {note}" for note in self.notes)
        return (
            f"Smallest change of one person that exceeds measurement error "
            f"({100 * self.spec.coverage:g} %), from repeated measurements{around} of "
            f"{self.n_subjects} {origin}subjects: {', '.join(words)}{more}{notes}."
        )

    def table(self) -> pd.DataFrame:
        """Return ``term quantity unit estimate df conf_low conf_high n_subjects n_obs``."""
        return self.estimates.copy()

    def display(self) -> pd.DataFrame:
        """Return one row per measure, one column per quantity, as text."""
        rows = [
            {
                "": self.labels[str(row["term"])],
                "what": _QUANTITIES[str(row["quantity"])],
                "text": format_interval(row["estimate"], row["conf_low"], row["conf_high"])
                if row["conf_low"] == row["conf_low"]
                else format_number(row["estimate"], 3),
            }
            for row in self.estimates.to_dict("records")
        ]
        wide = pd.DataFrame(rows).pivot_table(
            index="", columns="what", values="text", aggfunc="first", sort=False
        )
        return wide.reset_index().rename_axis(columns=None).fillna("\u2013")

    def value(self, measure: str, quantity: str) -> float:
        """Return one estimate.

        Parameters
        ----------
        measure : str
            One of the measures.
        quantity : str
            For example ``"within_sd"``.

        Returns
        -------
        float
            In the unit of the measure, or percent.

        Raises
        ------
        DesignError
            If there is no such estimate.
        """
        row = self._rows(quantity)
        row = row[row["term"] == measure]
        if not len(row):
            raise DesignError(f"There is no {quantity} of {measure!r}.")
        return float(row["estimate"].iloc[0])

    def limits(self, measure: str) -> pd.DataFrame:
        """Return bias and limits of agreement of one measure.

        Parameters
        ----------
        measure : str
            One of the measures.

        Returns
        -------
        pandas.DataFrame
            ``term estimate conf_low conf_high`` with the terms ``lower bias upper``.

        Notes
        -----
        R: ``SimplyAgree::agreement_limit``, ``blandr::blandr.statistics`` (there approximate); no
        SAS statement gives the exact limits, ``PROC TTEST; PAIRED second*first`` gives the bias
        with its interval. See :mod:`pmsstats.imaging.limits_of_agreement` for the formulas.
        """
        names = {"loa_lower": "lower", "bias": "bias", "loa_upper": "upper"}
        rows = self.estimates[
            (self.estimates["term"] == measure) & self.estimates["quantity"].isin(names)
        ]
        made = rows[["quantity", "estimate", "conf_low", "conf_high"]].rename(
            columns={"quantity": "term"}
        )
        return made.assign(term=made["term"].map(names)).reset_index(drop=True)

    def _rows(self, quantity: str) -> pd.DataFrame:
        """Return the rows of one quantity."""
        rows = self.estimates[self.estimates["quantity"] == quantity]
        if not len(rows):
            options = self.estimates["quantity"].unique().tolist()
            raise DesignError(
                f"`quantity` must be one of {', '.join(options)}, got {quantity!r}."
                f"{nearest(quantity, options)}"
            )
        return rows

    def plot(
        self,
        *,
        ax: Axes | None = None,
        quantity: str | None = None,
        measure: str | None = None,
        **kws: Any,
    ) -> Axes:
        """Draw one quantity of all measures; or the Bland-Altman plot of one ``measure=``."""
        if (
            measure is None
            and quantity is None
            and len(self.spec.measures) == 1
            and len(self.pairs)
        ):
            measure = self.spec.measures[0]
        if measure is not None:
            return self._plot_pairs(measure, ax, kws)
        names = set(self.estimates["quantity"])
        chosen = quantity or next(
            q for q in ("icc_a_1", "icc_1_1", "cv_log_pct", "within_sd") if q in names
        )
        rows = self._rows(chosen)
        frame = pd.DataFrame(
            {
                "label": [self.labels[t] for t in rows["term"]],
                **{c: rows[c].to_numpy() for c in ("estimate", "conf_low", "conf_high")},
                "n": [f"n = {n}" for n in rows["n_subjects"]],
            }
        )
        options = {"x_label": _QUANTITIES[chosen], "origin": self.origin, **kws}
        return plot_forest(frame, ax=ax, **options)

    def _plot_pairs(self, measure: str, ax: Axes | None, kws: dict[str, Any]) -> Axes:
        """Draw the Bland-Altman plot of one measure."""
        pairs = self.pairs[self.pairs["term"] == measure]
        if not len(pairs):
            raise DesignError(
                f"A Bland-Altman plot of {measure!r} needs two replicates per subject; give "
                "`replicate`, or use estimate_agreement() for two methods."
            )
        unit = f" ({self.units[measure]})" if self.units[measure] else ""
        options = {
            "x_label": f"{self.labels[measure]}, mean of both{unit}",
            "y_label": f"Second less first{unit}",
            "origin": self.origin,
            **kws,
        }
        return plot_bland_altman(pairs, self.limits(measure), ax=ax, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "precision_result/1",
            "spec": to_plain(self.spec),
            "headline": self.headline(),
            "estimates": to_plain(self.estimates),
            "n_subjects": self.n_subjects,
            "notes": list(self.notes),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
