"""What an analysis with missing values answers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmsstats.plots.forest import plot_forest
from pmsstats.results import (
    Exclusion,
    FitLog,
    Result,
    format_interval,
    format_p_value,
    to_plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.missing.spec import MissingSpec
    from pmsstats.provenance import Origin

__all__ = ["ImputationResult", "describe_spec", "headline_of_row"]

_IN_WORDS = {
    "MAR": "as those of their own arm with the same values so far (MAR)",
    "JR": "with the reference arm's mean from then on (JR)",
    "CR": "as if in the reference arm all along (CR)",
    "CIR": "with the reference arm's changes from then on (CIR)",
    "LMCF": "at their own arm's last mean (LMCF)",
}
_METHODS = {
    "bayes": "{n} imputations from the posterior, Rubin's rules",
    "bootstrap": "{n} imputations from bootstrapped fits, Rubin's rules",
    "conditional_mean": "conditional means, {variance} errors from {n} resamples",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ImputationResult(Result):
    """Differences between arms under strategies for missing values and intercurrent events.

    Parameters
    ----------
    spec : MissingSpec
        What was asked.
    fit_log : FitLog
        How the imputation model was fitted.
    frame : pandas.DataFrame
        ``visit term estimate std_error [df statistic] p_value conf_low conf_high strategy
        [fraction_missing mcse] n_imputed``: one row per visit and arm.
    imputed : pandas.DataFrame
        What was imputed: ``arm event strategy imputation n_subjects n_imputed n_replaced
        n_set_aside``.
    n_subjects : int
        Subjects analysed.
    n_visits : int
        Scheduled visits of each.
    n_imputations : int
        Completed data sets, or resamples.
    arms : tuple of str
        The reference first.
    notes : tuple of str
        What a reader should know.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Who and what was left out.
    """

    spec: MissingSpec
    fit_log: FitLog
    frame: pd.DataFrame
    imputed: pd.DataFrame
    n_subjects: int
    n_visits: int
    n_imputations: int
    arms: tuple[str, ...]
    notes: tuple[str, ...] = ()
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say what was found at the last visit, in whom, and what was imputed how."""
        row = self.frame.iloc[-1]
        n = self.n_imputations
        how = _METHODS[self.spec.method].format(n=n, variance=self.spec.variance)
        found = headline_of_row(row, self.spec.outcome, self.spec.conf_level)
        whom = f"{found} in {self.n_subjects} subjects"
        parts = [whom, *self._imputed_words(), how, *self.notes]
        return "; ".join(parts) + "."

    def _imputed_words(self) -> list[str]:
        """Say how many values of how many subjects were imputed, and under which strategy."""
        words = []
        by = self.imputed.groupby(["event", "strategy", "imputation"], sort=False)
        for (event, strategy, imputation), table in by:
            n, made = int(table["n_subjects"].sum()), int(table["n_imputed"].sum())
            whom = f"{n} subject{'s' if n != 1 else ''} with {event}"
            if event == "gap":
                words.append(f"{made} values missed in between by {n} imputed")
            elif strategy == "composite":
                words.append(f"{whom} counted as failures")
            elif strategy == "while_on_treatment":
                words.append(f"{whom} kept at the last value before it")
            elif made:
                label = "" if strategy == "treatment_policy" else f" ({strategy.replace('_', ' ')})"
                words.append(f"{made} values of {whom}{label} imputed {_IN_WORDS[str(imputation)]}")
        return words or ["nothing was imputed"]

    def table(self) -> pd.DataFrame:
        """Return one row per visit and arm, in full precision."""
        return self.frame.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the differences by visit."""
        rows = self.frame.copy()
        several = len(rows["term"].unique()) > 1
        rows["label"] = [
            f"{visit}, {term}" if several else str(visit)
            for visit, term in zip(rows["visit"], rows["term"], strict=True)
        ]
        label = f"Difference in {self.spec.outcome}, {' and '.join(rows['term'].unique())}"
        columns = ["label", "estimate", "conf_low", "conf_high"]
        return plot_forest(
            rows[columns], reference=0.0, x_label=label, origin=self.origin, ax=ax, **kws
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "imputation_result/1",
            "headline": self.headline(),
            "spec": describe_spec(self.spec),
            "estimates": to_plain(self.frame),
            "imputed": to_plain(self.imputed),
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "n_visits": self.n_visits,
            "n_imputations": self.n_imputations,
            "arms": list(self.arms),
            "notes": list(self.notes),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def headline_of_row(row: pd.Series, outcome: str, conf_level: float) -> str:
    """Say one estimate in words.

    Parameters
    ----------
    row : pandas.Series
        ``visit term estimate p_value conf_low conf_high``.
    outcome : str
        What was measured.
    conf_level : float
        Of the interval.

    Returns
    -------
    str
        For example ``"At W48, pbvc_pct active - placebo is 0.21 (95 % CI ...), p = 0.03"``.
    """
    values = [float(row[name]) for name in ("estimate", "conf_low", "conf_high")]
    visit = str(row["visit"])
    where = {"slope": "By slope per year", "all": "Over all visits"}.get(visit, f"At {visit}")
    p = format_p_value(float(row["p_value"]))
    equals = "" if p.startswith("<") else "= "
    level = f"({100 * conf_level:g} % CI "
    interval = format_interval(*values).replace("(", level, 1)
    return f"{where}, {outcome} {row['term']} is {interval}, p {equals}{p}"


def describe_spec(spec: MissingSpec) -> dict[str, Any]:
    """Turn a request to plain JSON types; a function is told by its name.

    Parameters
    ----------
    spec : MissingSpec
        The request.

    Returns
    -------
    dict
        One entry per field.
    """
    fields = {f.name: getattr(spec, f.name) for f in dataclasses.fields(spec)}
    if callable(spec.analysis):
        fields["analysis"] = getattr(spec.analysis, "__name__", type(spec.analysis).__name__)
    return {name: to_plain(value) for name, value in fields.items()}
