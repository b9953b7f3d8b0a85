"""A likelihood-ratio test of two nested mixed models, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.plots.diagnostics import plot_tails
from pmsstats.results import Exclusion, Result, format_number, format_p_value, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.mixed.chi_bar import EmpiricalNull, NullDistribution
    from pmsstats.models.mixed.lmm import LMMSpec

__all__ = ["LikelihoodRatioResult"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LikelihoodRatioResult(Result):
    """A likelihood-ratio test.

    Parameters
    ----------
    full : LMMSpec
        The larger model.
    reduced : LMMSpec, optional
        The smaller one; None for the larger one without any random effect.
    what : str
        What is tested: ``"random effects"`` or ``"fixed effects"``.
    statistic : float
        Twice the difference of the log-likelihoods.
    n_parameters : int
        By how many parameters the models differ.
    null : NullDistribution or EmpiricalNull
        What the statistic follows if the smaller model is true.
    reduced_singular : bool
        Whether the smaller model lies on a boundary itself.
    label : str
        Of the outcome.
    n_subjects : int
        Subjects in the models.
    converged : bool
        Whether both fits did.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        What the models left out.
    """

    full: LMMSpec
    reduced: LMMSpec | None
    what: str
    statistic: float
    n_parameters: int
    null: NullDistribution | EmpiricalNull
    reduced_singular: bool
    label: str
    n_subjects: int
    converged: bool
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def p_value(self) -> float:
        """Return the p value by the null distribution."""
        return self.null.p_value(self.statistic)

    @property
    def naive_p_value(self) -> float:
        """Return the p value that forgets the boundary: chi-squared of all parameters."""
        return float(stats.chi2.sf(self.statistic, self.n_parameters))

    def headline(self) -> str:
        """Say whether the larger model is needed."""
        shown = format_p_value(self.p_value)
        p = shown if shown.startswith("<") else f"= {shown}"
        smaller = (
            "no random effect"
            if self.reduced is None
            else self.reduced.fixed
            if self.what == "fixed effects"
            else " + ".join(term.formula() for term in self.reduced.random)
        )
        larger = (
            self.full.fixed
            if self.what == "fixed effects"
            else " + ".join(term.formula() for term in self.full.random)
        )
        made = "synthetic " if self.origin == "synthetic" else ""
        caveats = [] if self.converged else ["a fit did NOT converge"]
        if self.reduced_singular and not self.null.words().startswith("parametric"):
            caveats.append("the smaller model is singular itself, so p is too large or too small")
        tail = "".join(f"; {caveat}" for caveat in caveats)
        return (
            f"{self.label}, {self.what} {larger} against {smaller}: likelihood ratio "
            f"{format_number(self.statistic)}, p {p} by {self.null.words()} "
            f"({self.full.method}, {self.n_subjects} {made}subjects{tail})."
        )

    def table(self) -> pd.DataFrame:
        """Return one row: ``statistic null p_value mcse n_parameters naive_p_value``."""
        mcse = self.null.mcse(self.statistic)
        row = {
            "statistic": self.statistic,
            "null": self.null.words(),
            "p_value": self.p_value,
            "mcse": np.nan if mcse is None else mcse,
            "n_parameters": self.n_parameters,
            "naive_p_value": self.naive_p_value,
        }
        return pd.DataFrame([row])

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the null distribution's tail, the naive one, and the statistic."""
        reach = max(1.15 * self.statistic, float(stats.chi2.isf(0.001, self.n_parameters)))
        values = np.linspace(reach / 400, reach, 200)
        frame = pd.DataFrame(
            {
                "statistic": values,
                self.null.words(): [self.null.p_value(float(v)) for v in values],
                f"naive chi2({self.n_parameters})": stats.chi2.sf(values, self.n_parameters),
            }
        )
        if self.null.words() == f"chi2({self.n_parameters})":
            frame = frame.iloc[:, :2]
        options = {"origin": self.origin, **kws}
        return plot_tails(frame, observed=self.statistic, ax=ax, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "likelihood_ratio_result/1",
            "headline": self.headline(),
            "full": to_plain(self.full),
            "reduced": to_plain(self.reduced),
            "what": self.what,
            "test": to_plain(self.table().to_dict("records")[0]),
            "reduced_singular": self.reduced_singular,
            "label": self.label,
            "n_subjects": self.n_subjects,
            "converged": self.converged,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
