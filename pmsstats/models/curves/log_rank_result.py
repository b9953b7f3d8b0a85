"""What a comparison of survival curves answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.results import Exclusion, FitLog, Result, format_number, format_p_value, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.curves.kaplan_meier import KMResult
    from pmsstats.models.curves.log_rank import LogRankSpec
    from pmsstats.models.curves.rank_scores import LogRankTest
    from pmsstats.provenance import Origin

__all__ = ["LogRankResult"]

_TITLES = {
    "log_rank": "Log-rank test",
    "gehan": "Gehan-weighted log-rank test",
    "tarone_ware": "Tarone-Ware-weighted log-rank test",
    "peto": "Peto-Peto-weighted log-rank test",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LogRankResult(Result):
    """Comparison of the survival of two or more groups.

    Parameters
    ----------
    spec : LogRankSpec
        The request.
    fit_log : FitLog
        Which program made `test`, and why if not lifelines.
    test : LogRankTest
        That all groups have the same hazard.
    groups : pandas.DataFrame
        ``group n_subjects n_events observed expected``; the last two weighted.
    covariance : ndarray, shape (n_groups, n_groups)
        Of observed less expected.
    trend : LogRankTest or None
        For a trend, where the request gave values.
    pairs : pandas.DataFrame or None
        ``group other statistic df p_value p_value_holm``, where the request asked for pairs.
    n_strata : int
        Strata that occur.
    curves : KMResult
        Kaplan-Meier curves of the same subjects, strata pooled.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    spec: LogRankSpec
    fit_log: FitLog
    test: LogRankTest
    groups: pd.DataFrame
    covariance: np.ndarray
    trend: LogRankTest | None
    pairs: pd.DataFrame | None
    n_strata: int
    curves: KMResult
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say which test, on whom, and what came of it.

        Returns
        -------
        str
            One sentence.
        """
        strata = f" and {self.n_strata} strata" if self.spec.strata_columns() else ""
        trend = f"; trend p = {format_p_value(self.trend.p_value)}" if self.trend else ""
        found = (
            f"chi-square {format_number(self.test.statistic, 3)} on {self.test.df} df, "
            f"p = {format_p_value(self.test.p_value)}{trend}"
        )
        return (
            f"{self._title()} of {int(self.groups['n_subjects'].sum())} subjects with "
            f"{int(self.groups['n_events'].sum())} events in {len(self.groups)} groups{strata}: "
            f"{found.replace('= <', '< ')}."
        )

    def table(self) -> pd.DataFrame:
        """Return observed and expected events by group.

        Returns
        -------
        pandas.DataFrame
            ``group n_subjects n_events observed expected``; observed and expected are weighted
            sums, so that observed is the number of events only in the log-rank test itself.
        """
        return self.groups.copy()

    def estimate_ratio(self) -> pd.DataFrame:
        """Estimate the hazard ratio of two groups in one step from the test.

        Returns
        -------
        pandas.DataFrame
            ``term estimate std_error statistic p_value conf_low conf_high hazard_ratio
            hazard_ratio_low hazard_ratio_high``, one row, the second group against the first;
            empty with other weights than ``"log_rank"``, or more than two groups.

        Notes
        -----
        ``log HR = (O - E) / V`` with standard error ``1 / sqrt(V)`` [1]_: close to the Cox
        estimate near 1 (say, within 0.5 to 2), biased towards 1 far from it.

        References
        ----------
        .. [1] Yusuf S, Peto R, Lewis J, Collins R, Sleight P. Beta blockade during and after
           myocardial infarction. Prog Cardiovasc Dis 1985;27:335-371.
           doi:10.1016/S0033-0620(85)80003-7
        """
        columns = [
            "term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high",
            "hazard_ratio", "hazard_ratio_low", "hazard_ratio_high",
        ]  # fmt: skip
        if self.spec.weights != "log_rank" or len(self.groups) != 2:
            return pd.DataFrame(columns=columns)
        first, second = self.groups["group"]
        score = float(self.groups["observed"].iloc[1] - self.groups["expected"].iloc[1])
        variance = float(self.covariance[1, 1])
        estimate, error = score / variance, 1.0 / np.sqrt(variance)
        half = stats.norm.ppf((1 + self.spec.conf_level) / 2) * error
        low, high = estimate - half, estimate + half
        row = (
            f"{second} / {first}", estimate, error, estimate / error, self.test.p_value, low, high,
            *np.exp([estimate, low, high]),
        )  # fmt: skip
        return pd.DataFrame([row], columns=columns)

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the curves that were compared.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.plot_survival`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        return self.curves.plot(ax=ax, **kws)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields; curves by their medians.
        """
        return {
            "schema": "log_rank_result/1",
            "spec": to_plain(self.spec),
            "fit_log": to_plain(self.fit_log),
            "test": to_plain(self.test),
            "groups": to_plain(self.groups),
            "covariance": to_plain(self.covariance),
            "trend": to_plain(self.trend),
            "pairs": to_plain(self.pairs),
            "n_strata": self.n_strata,
            "hazard_ratio": to_plain(self.estimate_ratio()),
            "medians": to_plain(self.curves.table()),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }

    def _title(self) -> str:
        """Name the test."""
        strata = "Stratified " if self.spec.strata_columns() else ""
        if isinstance(self.spec.weights, tuple):
            _, p, q = self.spec.weights
            title = f"Fleming-Harrington ({p:g}, {q:g}) test"
        else:
            title = _TITLES[self.spec.weights]
        named = ("Gehan", "Tarone", "Peto", "Fleming")
        plain = title if not strata or title.startswith(named) else title[0].lower() + title[1:]
        return strata + plain
