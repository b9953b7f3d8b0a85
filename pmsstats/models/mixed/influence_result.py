"""Influence of subjects on a mixed model, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.plots.diagnostics import plot_influence
from pmsstats.results import Exclusion, FitLog, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.mixed.lmm import LMMSpec

__all__ = ["InfluenceResult"]

_NAMES = {
    "cooks_distance": "Cook's distance",
    "mdffits": "MDFFITS",
    "covratio": "COVRATIO",
    "covtrace": "COVTRACE",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class InfluenceResult(Result):
    """What each subject does to the answer.

    Parameters
    ----------
    spec : LMMSpec
        The model.
    frame : pandas.DataFrame
        The subject's id, ``n_obs cooks_distance mdffits covratio covtrace``, and ``rvc_...`` (the
        relative change of each variance without the subject), in the order of the data. Missing
        where the model cannot be estimated without the subject.
    dfbetas_frame : pandas.DataFrame
        The subject's id, and per fixed effect its change by the subject, in standard errors.
    estimates_frame : pandas.DataFrame
        The subject's id, and the fixed effects without the subject, the variances kept.
    updated_frame : pandas.DataFrame
        The same, with the variances that one step without the subject gives.
    group : str
        Column of the subject's id.
    label : str
        Of the outcome.
    fit_log : FitLog
        Of the model.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        What the model left out.
    """

    spec: LMMSpec
    frame: pd.DataFrame
    dfbetas_frame: pd.DataFrame
    estimates_frame: pd.DataFrame
    updated_frame: pd.DataFrame
    group: str
    label: str
    fit_log: FitLog
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def threshold(self) -> float:
        """Return ``4 / n_subjects``, above which Cook's distance asks for a look."""
        return 4 / len(self.frame)

    def headline(self) -> str:
        """Name the subject on whom the answer depends most, and how many others stand out."""
        distances = self.frame["cooks_distance"]
        made = "synthetic " if self.origin == "synthetic" else ""
        whom = f"{len(self.frame)} {made}subjects"
        lost = int(distances.isna().sum())
        needed = f"; without {lost} of them the model cannot be estimated" if lost else ""
        log = "" if self.fit_log.converged else "; the fit did NOT converge"
        if lost == len(distances):
            return f"{self.label}: the model needs every one of {whom}{log}."
        top = int(np.nanargmax(distances))
        shifts = self.dfbetas_frame.drop(columns=self.group).iloc[top]
        term = str(shifts.abs().idxmax())
        return (
            f"{self.label}: the fixed effects depend most on {self.frame[self.group].iloc[top]} "
            f"(Cook's distance {format_number(distances.iloc[top], 3)}; {term} changes by "
            f"{format_number(abs(shifts[term]), 3)} standard errors); "
            f"{int((distances > self.threshold).sum())} of {whom} are above 4/n = "
            f"{format_number(self.threshold, 2)}{needed}{log}."
        )

    def table(self) -> pd.DataFrame:
        """Return one row per subject, the most influential first."""
        return self.frame.sort_values(
            "cooks_distance", ascending=False, kind="stable", na_position="first"
        ).reset_index(drop=True)

    def dfbetas(self) -> pd.DataFrame:
        """Return by how many standard errors each subject changes each fixed effect.

        Returns
        -------
        pandas.DataFrame
            In the order of the data: the subject's id, and one column per fixed effect: (all -
            without the subject) / standard error without the subject.

        Notes
        -----
        R: ``influence.ME::dfbetas``; SAS: ``INFLUENCE`` of ``MODEL``.
        """
        return self.dfbetas_frame.copy()

    def estimates(self, *, variances: Literal["kept", "updated"] = "kept") -> pd.DataFrame:
        """Return the fixed effects without each subject.

        Parameters
        ----------
        variances : {"kept", "updated"}, default "kept"
            With the variances of all subjects (exact), or with those that one step without the
            subject gives (close to a refit).

        Returns
        -------
        pandas.DataFrame
            In the order of the data: the subject's id, and one column per fixed effect.

        Raises
        ------
        DesignError
            If `variances` is neither.

        Notes
        -----
        R: ``influence.ME::influence(model, "subject_id")$alt.fixed``.
        """
        if variances not in {"kept", "updated"}:
            raise DesignError(f"`variances` must be 'kept' or 'updated', got {variances!r}.")
        return (self.estimates_frame if variances == "kept" else self.updated_frame).copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw one stem per subject; ``measure=`` names a column of the table."""
        options = [name for name in self.frame.columns if name not in {self.group, "n_obs"}]
        measure = kws.pop("measure", "cooks_distance")
        if measure not in options:
            raise DesignError(
                f"`measure` must be one of {', '.join(options)}, got {measure!r}."
                f"{nearest(str(measure), options)}"
            )
        data = pd.DataFrame({"label": self.frame[self.group], "value": self.frame[measure]})
        if measure == "cooks_distance":
            data["threshold"] = self.threshold
        y_label = _NAMES.get(measure, f"Relative change, {measure.removeprefix('rvc_')} variance")
        return plot_influence(data, ax=ax, **{"y_label": y_label, "origin": self.origin, **kws})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "influence_result/1",
            "headline": self.headline(),
            "spec": to_plain(self.spec),
            "threshold": self.threshold,
            "influence": to_plain(self.table()),
            "dfbetas": to_plain(self.dfbetas_frame),
            "estimates": to_plain(self.estimates_frame),
            "label": self.label,
            "fit_log": to_plain(self.fit_log),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
