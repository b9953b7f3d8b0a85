"""A published trial simulated thousands of times, beside what its paper reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.plots.published import plot_published
from pmsstats.results import Exclusion, Result, format_interval, format_number, to_plain
from pmsstats.seeds import Seed
from pmsstats.trials.published_trials.entries import LibraryTrial, PublishedFinding, library_trial
from pmsstats.trials.simulate import SimulationResult, simulate_trials

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PublishedComparison", "compare_with_published", "shown_rows", "simulate_published"]

SIGNIFICANT = 1.959963984540054
"""Normal quantile of a two-sided 5 % test: what papers call significant."""

_RANGE = (0.025, 0.975)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PublishedComparison(Result):
    """Simulated beside published results of one trial.

    Parameters
    ----------
    trial : LibraryTrial
        What was simulated, and what was published.
    simulation : SimulationResult
        What the simulated trials found.
    rows : pandas.DataFrame
        See :meth:`table`.
    origin : {"synthetic"}
        Trials are simulated.
    exclusions : tuple of Exclusion
        Always empty: nothing is left out.
    """

    trial: LibraryTrial
    simulation: SimulationResult
    rows: pd.DataFrame
    origin: str = "synthetic"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how the published effects lie among the simulated ones."""
        known = self.rows[self.rows["inside"] != ""]
        inside = int((known["inside"] == "yes").sum())
        sizes = (
            f"{inside} of {len(known)} published effects lie where 95 % of "
            f"{self.simulation.n_replicates:,} simulated trials do"
            if len(known)
            else "no published effect can be compared"
        )
        failed = int(self.rows["n_failed"].max())
        gaps = f"; analyses failed in up to {failed:,} of them" if failed else ""
        usual = int((self.rows["share"] >= 0.5).sum())
        return (
            f"{self.trial.scenario.name}: {sizes}; the paper's conclusion is the more frequent "
            f"one in {usual} of {len(self.rows)} comparisons{gaps}."
        )

    def table(self) -> pd.DataFrame:
        """Return one row per published finding.

        Returns
        -------
        pandas.DataFrame
            ``what comparison scale published published_low published_high simulated simulated_low
            simulated_high inside found share mcse n_failed source note``: effects on the scale of
            the analysis (with `scale` ``"ratio"`` as logarithms); mean of the simulated estimates
            and their middle 95 %; whether the published one lies among them (empty where either
            is missing); the paper's conclusion, and the share of simulated trials that come to it;
            trials whose analysis failed, which come to none.
        """
        return self.rows.copy()

    def display(self) -> pd.DataFrame:
        """Return the table as it is shown: intervals, ratios as ratios, shares in per cent."""
        return shown_rows(self.rows)

    def remarks(self) -> tuple[str, ...]:
        """Return a sentence per finding that has a source or differs from the paper's.

        Returns
        -------
        tuple of str
            In the order of the table.
        """
        return tuple(
            f"{row.what}: {'. '.join(text for text in (row.source, row.note) if text)}."
            for row in self.rows.itertuples()
            if row.source or row.note
        )

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw each published effect on the middle 95 % of the simulated ones."""
        return plot_published(self.rows, origin=self.origin, ax=ax, **kws)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "published_comparison/1",
            "trial": self.trial.name,
            "scenario": self.trial.scenario.to_dict(),
            "takes": list(self.trial.takes),
            "assumes": list(self.trial.assumes),
            "n_replicates": self.simulation.n_replicates,
            "findings": to_plain(self.rows.to_dict("records")),
            "origin": self.origin,
        }

    def describe(self) -> str:
        """Return how both results compare, what the paper gave, and what is assumed, as text."""
        remarks = "\n".join(f"- {text}" for text in self.remarks())
        return f"{self}\n\n{self.trial}\nSources and differences:\n{remarks}"


def simulate_published(
    trial: LibraryTrial | str,
    generator: Callable[..., Any],
    n_replicates: int = 1000,
    seed: Seed | None = None,
    **options: Any,
) -> PublishedComparison:
    """Simulate a published trial and lay the results beside those of its paper.

    Parameters
    ----------
    trial : LibraryTrial or str
        A trial of the library, or its name.
    generator : callable
        As for :func:`~pmsstats.trials.simulate.simulate_trials`; ``synthetic.generate_trials``.
    n_replicates : int, default 1000
        Simulated trials.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Required.
    **options : object
        Further options of :func:`~pmsstats.trials.simulate.simulate_trials`.

    Returns
    -------
    PublishedComparison
        One row per published finding.

    Raises
    ------
    DesignError
        If the library has no such trial.
    TypeError
        If no seed is given.

    Notes
    -----
    Agreement is no proof of the scenario, since some of its numbers come from the same paper
    (``takes``); disagreement is one against it. A published effect outside of the middle 95 % of
    the simulated ones says that a trial such as this would rarely find it.
    """
    trial = library_trial(trial) if isinstance(trial, str) else trial
    options = {"truth": False} | options
    simulation = simulate_trials(trial.scenario, generator, n_replicates, seed, **options)
    return compare_with_published(trial, simulation)


def compare_with_published(
    trial: LibraryTrial | str, simulation: SimulationResult
) -> PublishedComparison:
    """Lay a finished simulation of a published trial beside the results of its paper.

    Parameters
    ----------
    trial : LibraryTrial or str
        A trial of the library, or its name.
    simulation : SimulationResult
        Of its scenario.

    Returns
    -------
    PublishedComparison
        One row per published finding.

    Raises
    ------
    DesignError
        If the library has no such trial, or the simulation is of another scenario.
    """
    trial = library_trial(trial) if isinstance(trial, str) else trial
    if simulation.scenario.fingerprint != trial.scenario.fingerprint:
        raise DesignError(
            f"`simulation` must be of the scenario of {trial.name!r}, "
            f"got one of {simulation.scenario.name!r} that differs."
        )
    rows = [_row(finding, simulation) for finding in trial.published]
    return PublishedComparison(trial=trial, simulation=simulation, rows=pd.DataFrame(rows))


def _row(finding: PublishedFinding, simulation: SimulationResult) -> dict[str, Any]:
    """Compare one finding."""
    frame = simulation.estimates
    chosen = (frame["analysis"] == finding.analysis) & (frame["comparison"] == finding.comparison)
    final = frame[chosen].groupby("replicate", sort=True).tail(1)
    estimate = final["estimate"].to_numpy(float)
    mean, low, high = _middle(estimate[np.isfinite(estimate)])
    published, published_low, published_high = finding.interval
    known = np.isfinite([published, mean]).all()
    agrees = _concludes(final["z"].to_numpy(float)) == finding.found
    share = float(agrees.mean())
    return {
        "what": finding.what,
        "comparison": finding.comparison,
        "scale": finding.scale,
        "published": published,
        "published_low": published_low,
        "published_high": published_high,
        "simulated": mean,
        "simulated_low": low,
        "simulated_high": high,
        "inside": ("yes" if low <= published <= high else "no") if known else "",
        "found": finding.found,
        "share": share,
        "mcse": float(np.sqrt(share * (1 - share) / len(final))),
        "n_failed": int(np.isnan(estimate).sum()),
        "source": finding.source,
        "note": finding.note,
    }


def _middle(estimate: np.ndarray) -> tuple[float, float, float]:
    """Return mean and middle 95 %; not numbers where there is no estimate."""
    if not estimate.size:
        return np.nan, np.nan, np.nan
    low, high = np.quantile(estimate, _RANGE)
    return float(estimate.mean()), float(low), float(high)


def shown_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Write rows of comparisons out.

    Parameters
    ----------
    rows : pandas.DataFrame
        See :meth:`PublishedComparison.table`.

    Returns
    -------
    pandas.DataFrame
        Of text: the finding, both effects with their intervals (ratios as ratios), whether the
        published one lies among the simulated ones, and how many trials conclude as the paper.
    """
    return pd.DataFrame(
        {
            "Finding": rows["what"],
            "Published": [_effect(row, "published") for row in rows.to_dict("records")],
            "Simulated": [_effect(row, "simulated") for row in rows.to_dict("records")],
            "Among them": rows["inside"],
            "Paper concludes": rows["found"],
            "Trials that do (MCSE)": [
                f"{100 * row.share:.1f} % ({100 * row.mcse:.1f})" for row in rows.itertuples()
            ],
        }
    )


def _effect(row: dict[str, Any], which: str) -> str:
    """Write an effect with its interval, in its own unit."""
    numbers = [float(row[name]) for name in (which, f"{which}_low", f"{which}_high")]
    if row["scale"] == "ratio":
        numbers = [float(np.exp(number)) for number in numbers]
    if np.isnan(numbers).any():
        return format_number(numbers[0], 3)
    largest = max(abs(number) for number in numbers)
    decimals = max(2 - int(np.floor(np.log10(largest))), 0) if largest else 0
    return format_interval(*numbers, decimals=decimals)


def _concludes(z: np.ndarray) -> np.ndarray:
    """Say what each simulated trial would conclude; one that failed concludes nothing."""
    conclusion = np.where(np.abs(z) < SIGNIFICANT, "no difference", "better").astype(object)
    conclusion[z <= -SIGNIFICANT] = "worse"
    conclusion[np.isnan(z)] = "no answer"
    return conclusion
