"""What a parametric bootstrap found, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.plots.diagnostics import plot_draws
from pmsstats.results import Exclusion, FitLog, Result, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.mixed.lmm import LMMSpec

__all__ = ["BootstrapResult"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BootstrapResult(Result):
    """How estimates vary between data sets drawn from a fit.

    Parameters
    ----------
    spec : LMMSpec
        The model.
    frame : pandas.DataFrame
        ``term estimate bias std_error conf_low conf_high basic_low basic_high n_replicates``; the
        first interval is the percentile one, and the last column counts replicates in which the
        number is not missing.
    draw_frame : pandas.DataFrame
        One row per converged replicate, one column per term.
    n_replicates : int
        Data sets drawn.
    n_failed : int
        Refits that did not converge and were left out.
    n_singular : int
        Refits with a variance of zero.
    label : str
        Of the outcome.
    n_subjects : int
        Subjects in the model.
    fit_log : FitLog
        Of the model.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        What the model left out.
    """

    spec: LMMSpec
    frame: pd.DataFrame
    draw_frame: pd.DataFrame
    n_replicates: int
    n_failed: int
    n_singular: int
    label: str
    n_subjects: int
    fit_log: FitLog
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how many data sets were drawn, and how their refits went."""
        made = "synthetic " if self.origin == "synthetic" else ""
        log = "" if self.fit_log.converged else "; the fit itself did NOT converge"
        lost = " and were left out" if self.n_failed else ""
        share = 100 * self.n_singular / self.n_replicates
        return (
            f"{self.label}: {self.n_replicates} data sets of {self.n_subjects} {made}subjects were "
            f"drawn from the fit and fitted again; {self.n_singular} refits ({share:.3g} %) were "
            f"singular, {self.n_failed} failed{lost}{log}."
        )

    def table(self) -> pd.DataFrame:
        """Return one row per term, with percentile (``conf_``) and basic intervals."""
        return self.frame.copy()

    def draws(self) -> pd.DataFrame:
        """Return the replicates.

        Returns
        -------
        pandas.DataFrame
            One row per converged replicate, one column per term.
        """
        return self.draw_frame.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the replicates of one number; ``term=`` chooses it, by default the second."""
        terms = self.frame["term"].tolist()
        term = kws.pop("term", terms[min(1, len(terms) - 1)])
        if term not in terms:
            raise DesignError(
                f"`term` must be one of {', '.join(terms)}, got {term!r}."
                f"{nearest(str(term), terms)}"
            )
        row = self.frame.set_index("term").loc[term, ["estimate", "conf_low", "conf_high"]]
        data = pd.DataFrame({"value": self.draw_frame[term]}).assign(**row.to_dict())
        options = {"x_label": f"{self.label}: {term}", "origin": self.origin, **kws}
        return plot_draws(data, ax=ax, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "bootstrap_result/1",
            "headline": self.headline(),
            "spec": to_plain(self.spec),
            "estimates": to_plain(self.frame),
            "n_replicates": self.n_replicates,
            "n_failed": self.n_failed,
            "n_singular": self.n_singular,
            "label": self.label,
            "n_subjects": self.n_subjects,
            "fit_log": to_plain(self.fit_log),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
