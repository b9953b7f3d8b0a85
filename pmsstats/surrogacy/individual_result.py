"""Prentice's criteria and the proportion explained, as one table and one figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.plots.forest import plot_forest
from pmsstats.results import Exclusion, Result, format_interval, to_plain
from pmsstats.surrogacy.fieller import RatioSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin
    from pmsstats.surrogacy.specs import IndividualSurrogacySpec, OutcomeKind

__all__ = ["IndividualSurrogacyResult", "ProportionExplained"]


@dataclass(frozen=True, kw_only=True)
class ProportionExplained:
    """Share of a treatment effect that goes away when the surrogate is given.

    Parameters
    ----------
    estimate : float
        ``1 - direct / total``; may leave 0 to 1; missing where `total` is zero.
    total, direct : float
        Coefficient of treatment, without and with the surrogate in the model.
    correlation : float
        Between these two estimates.
    fieller : RatioSet
        Confidence set; bounded only where `total` differs from zero.
    bootstrap_low, bootstrap_high : float
        Percentile interval over subjects; missing without bootstrap.
    n_failed : int
        Replicates that could not be fitted.
    """

    estimate: float
    total: float
    direct: float
    correlation: float
    fieller: RatioSet
    bootstrap_low: float = float("nan")
    bootstrap_high: float = float("nan")
    n_failed: int = 0

    @property
    def stable(self) -> bool:
        """Whether the treatment effect that is divided by differs from zero."""
        return self.fieller.kind == "bounded"

    def interval(self) -> tuple[float, float]:
        """Return Fieller's interval; missing where the set is no interval."""
        if self.stable:
            return self.fieller.low, self.fieller.high
        return float("nan"), float("nan")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class IndividualSurrogacyResult(Result):
    """Whether a marker can stand for a clinical outcome in one trial.

    Parameters
    ----------
    spec : IndividualSurrogacySpec
        What was asked.
    rows : pandas.DataFrame
        ``term estimate std_error df statistic p_value conf_low conf_high verdict``: the four
        criteria, the proportion explained, the association within arms. ``df`` only where some
        test has degrees of freedom. Effects on a binary outcome are log odds ratios, on a survival
        outcome log hazard ratios.
    explained : ProportionExplained
        With Fieller's set and bootstrap interval.
    relative_effect : float
        Effect on the outcome over effect on the surrogate.
    r2_individual : float
        Association of surrogate and outcome within arms.
    arms : tuple of two str
        Reference and treated.
    kind : {"continuous", "binary", "survival"}
        What the outcome is.
    n_subjects : int
        Subjects analysed.
    n_events : int, optional
        Events, of a survival outcome.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    spec: IndividualSurrogacySpec
    rows: pd.DataFrame
    explained: ProportionExplained
    relative_effect: float
    r2_individual: float
    arms: tuple[str, str]
    kind: OutcomeKind
    n_subjects: int
    n_events: int | None = None
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how much of the effect goes through the marker, and how sure that is.

        Returns
        -------
        str
            One sentence.
        """
        events = "" if self.n_events is None else f" with {self.n_events} events"
        lead = (
            f"{self.spec.surrogate} in {self.n_subjects} subjects{events} "
            f"({self.arms[1]} against {self.arms[0]}): "
        )
        e = self.explained
        if not e.stable:
            return (
                f"{lead}the treatment effect on the outcome cannot be told from zero, so that the "
                "proportion explained is not defined."
            )
        share = format_interval(100 * e.estimate, 100 * e.fieller.low, 100 * e.fieller.high,
                                decimals=0)  # fmt: skip
        met = sum(str(v).startswith("met") for v in self.rows["verdict"].iloc[:3])
        fourth = (
            "the fourth is refuted" if str(self.rows["verdict"].iloc[3]).startswith("not met")
            else "the fourth cannot be shown by a test"
        )  # fmt: skip
        level = f"{100 * self.spec.conf_level:g} % interval"
        return (
            f"{lead}it explains {share} % of the treatment effect ({level} by Fieller); {met} of "
            f"Prentice's first three criteria are met, {fourth}."
        )

    def table(self) -> pd.DataFrame:
        """Return the criteria, the proportion explained and the association (a copy).

        Returns
        -------
        pandas.DataFrame
            Columns as in `rows`.
        """
        return self.rows.copy()

    def proportion(self) -> pd.DataFrame:
        """Return the proportion explained with each interval.

        Returns
        -------
        pandas.DataFrame
            ``method estimate conf_low conf_high kind``; of a Fieller set that is not ``"bounded"``
            the ends are those of the values left out (``"outside"``), or infinite.
        """
        e = self.explained
        return pd.DataFrame(
            {
                "method": ["fieller", "bootstrap"],
                "estimate": e.estimate,
                "conf_low": [e.fieller.low, e.bootstrap_low],
                "conf_high": [e.fieller.high, e.bootstrap_high],
                "kind": [e.fieller.kind, "bounded"],
            }
        )

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the proportion explained with its intervals.

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
        frame = self.proportion()
        unbounded = (frame["kind"] != "bounded").to_numpy()
        frame.loc[unbounded, ["conf_low", "conf_high"]] = [-np.inf, np.inf]
        frame["label"] = frame["method"].map({"fieller": "Fieller", "bootstrap": "Bootstrap"})
        kept = frame["conf_low"].notna()
        options = {
            "reference": 0.0,
            "percent": True,
            "x_label": "Share of the treatment effect explained",
            "origin": self.origin,
        }
        return plot_forest(frame[kept], ax=ax, **(options | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields.
        """
        return {
            "schema": "individual_surrogacy_result/1",
            "spec": to_plain(self.spec),
            "headline": self.headline(),
            "criteria": to_plain(self.rows),
            "proportion_explained": to_plain(self.explained),
            "relative_effect": to_plain(self.relative_effect),
            "r2_individual": to_plain(self.r2_individual),
            "arms": to_plain(self.arms),
            "kind": self.kind,
            "n_subjects": self.n_subjects,
            "n_events": self.n_events,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
