"""What scanner harmonisation answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.plots.forest import plot_forest
from pmsstats.results import Exclusion, Result, format_number, format_p_value, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.imaging.confounding import ScannerConfounding
    from pmsstats.imaging.harmonisation_spec import HarmonisationSpec

__all__ = ["HarmonisationResult"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class HarmonisationResult(Result):
    """Scanner effects, and the values without them.

    Parameters
    ----------
    spec : HarmonisationSpec
        The request.
    effects : pandas.DataFrame
        One row per feature and scanner: ``feature scanner n_obs n_subjects``; the additive effect
        against the average scan as estimated by the mixed model, in units of the feature:
        ``estimate std_error [df] statistic p_value conf_low conf_high``; in residual standard
        deviations ``gamma`` and shrunk ``gamma_star``; ratios of standard deviations ``delta`` and
        shrunk ``delta_star``; and ``shift``, what was subtracted before rescaling, in units of
        the feature.
    tests : pandas.DataFrame
        One row per feature: ``additive_statistic additive_df additive_p_value
        multiplicative_statistic multiplicative_df multiplicative_p_value residual_sd sigma``.
    adjusted : pandas.DataFrame
        Harmonised values, index of the data, one column per feature; missing where a row could
        not be used.
    data : pandas.DataFrame
        What was harmonised.
    check : ScannerConfounding
        What the design allows.
    notes : tuple of str
        What a reader should know.
    n_subjects : int
        Subjects with a scan.
    n_obs : int
        Scans.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out, with reasons.
    """

    spec: HarmonisationSpec
    effects: pd.DataFrame
    tests: pd.DataFrame
    adjusted: pd.DataFrame
    data: pd.DataFrame
    check: ScannerConfounding
    notes: tuple[str, ...]
    n_subjects: int
    n_obs: int
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def harmonised(self, suffix: str = "") -> pd.DataFrame:
        """Return the data with harmonised values.

        Parameters
        ----------
        suffix : str, default ""
            Harmonised columns are called feature plus suffix; the empty one replaces the
            features.

        Returns
        -------
        pandas.DataFrame
            A copy, same rows; missing values where a row could not be harmonised.
        """
        return self.data.assign(**self.adjusted.add_suffix(suffix))

    def residual_ratio(self) -> pd.DataFrame:
        """Compare the size of the conditional residuals after and before.

        Returns
        -------
        pandas.DataFrame
            ``feature ratio``: root mean square within scanners of ``(sigma / delta*) (z - gamma*)``
            over that of the residuals before. Above 1 the values carry more noise than they
            came with.
        """
        effects = self.effects
        df = effects["n_obs"] - 1
        after = (df * (effects["delta"] / effects["delta_star"]) ** 2).groupby(effects["feature"])
        before = (df * effects["delta"] ** 2).groupby(effects["feature"])
        ratio = np.sqrt(after.sum() / before.sum()).reindex(list(self.spec.features))
        return pd.DataFrame({"feature": ratio.index, "ratio": ratio.to_numpy()})

    def headline(self) -> str:
        """Say what was harmonised, how large the shifts are, and what limits trust."""
        n_scanners = len(self.check.scanners)
        origin = "synthetic " if self.origin == "synthetic" else ""
        features = self.spec.features
        what = features[0] if len(features) == 1 else f"{len(features)} features"
        told = (
            f"{what} harmonised across {n_scanners} scanners in {self.n_subjects} {origin}subjects "
            f"({self.n_obs} scans): {self._sizes()}"
        )
        ratio = float(self.residual_ratio()["ratio"].max())
        more = (
            ((f"residuals grew by a factor of up to {format_number(ratio, 3)}, so that standard "
             "errors of later models are too wide (residual_scale='MSR' avoids it)"),)
            if ratio > 1.05 and self.spec.multiplicative else ()
        )  # fmt: skip
        return "; ".join([told, *self.notes, *more]) + "."

    def _sizes(self) -> str:
        """Tell the range of shifts and of the ratios of noise."""
        largest = self.effects.loc[self.effects["gamma_star"].abs().idxmax()]
        low, high = self.effects["delta_star"].min(), self.effects["delta_star"].max()
        noise = (
            f", noise {format_number(low, 3)} to {format_number(high, 3)} residual SD"
            if self.spec.multiplicative else ""
        )  # fmt: skip
        p_value = float(self.tests["additive_p_value"].min())
        shown = format_p_value(p_value)
        return (
            f"largest shift {format_number(largest['shift'], 3)} ({largest['feature']}, scanner "
            f"{largest['scanner']}, {format_number(largest['gamma_star'], 3)} residual SD)"
            f"{noise}, smallest p of scanner differences "
            f"{shown if shown.startswith('<') else '= ' + shown}"
        )

    def table(self) -> pd.DataFrame:
        """Return one row per feature and scanner."""
        return self.effects.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the additive effects of one feature (``feature=``) with their intervals."""
        feature = kws.pop("feature", self.spec.features[0])
        mine = self.effects[self.effects["feature"] == feature]
        rows = pd.DataFrame(
            {
                "label": [f"Scanner {name}" for name in mine["scanner"]],
                **{c: mine[c].to_numpy() for c in ("estimate", "conf_low", "conf_high")},
                "n": [f"{n} scans" for n in mine["n_obs"]],
            }
        )
        options = {"x_label": f"{feature}: shift against the average scan", "reference": 0.0}
        return plot_forest(rows, ax=ax, **{"origin": self.origin, **options, **kws})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "harmonisation_result/1",
            "spec": to_plain(self.spec),
            "headline": self.headline(),
            "effects": to_plain(self.effects),
            "tests": to_plain(self.tests),
            "residual_ratio": to_plain(self.residual_ratio()),
            "check": self.check.to_dict(),
            "notes": list(self.notes),
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
