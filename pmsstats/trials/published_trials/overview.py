"""All trials of the library, simulated, beside what was published."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.plots.published import plot_published
from pmsstats.results import Exclusion, Result
from pmsstats.seeds import Seed, as_seed_sequence, stream
from pmsstats.trials.published_trials.entries import trial_library
from pmsstats.trials.published_trials.published import (
    PublishedComparison,
    shown_rows,
    simulate_published,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LibraryComparison", "simulate_library"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LibraryComparison(Result):
    """Simulated beside published results of several trials.

    Parameters
    ----------
    comparisons : tuple of PublishedComparison
        One per trial.
    origin : {"synthetic"}
        Trials are simulated.
    exclusions : tuple of Exclusion
        Always empty: nothing is left out.
    """

    comparisons: tuple[PublishedComparison, ...]
    origin: str = "synthetic"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how many published effects and conclusions the simulated trials give."""
        rows = self.table()
        known = rows[rows["inside"] != ""]
        inside, usual = int((known["inside"] == "yes").sum()), int((rows["share"] >= 0.5).sum())
        return (
            f"Published trials simulated: {len(self.comparisons)}; {inside} of {len(known)} "
            "published effects lie where 95 % of simulated trials do; the paper's conclusion is "
            f"the more frequent one in {usual} of {len(rows)} comparisons."
        )

    def table(self) -> pd.DataFrame:
        """Return the rows of :meth:`PublishedComparison.table`, with the `trial` first."""
        frames = []
        for one in self.comparisons:
            frame = one.table()
            frame.insert(0, "trial", one.trial.name)
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def display(self) -> pd.DataFrame:
        """Return the table as it is shown: the trial before each finding, ratios as ratios."""
        rows = self.table()
        return shown_rows(rows.assign(what=self._labels(rows)))

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw each effect that was printed on the middle 95 % of the simulated ones.

        Where none was, all findings are listed. The whole library wants axes 4 inches high or more.
        """
        rows = self.table()
        rows["what"] = self._labels(rows)
        printed = rows["published"].notna()
        shown = rows[printed] if printed.any() else rows
        return plot_published(shown, origin=self.origin, ax=ax, **kws)

    def _labels(self, rows: pd.DataFrame) -> pd.Series:
        """Say of which trial a finding is."""
        short = {one.trial.name: one.trial.scenario.name.split(":")[0] for one in self.comparisons}
        return rows["trial"].map(short) + ": " + rows["what"]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "library_comparison/1",
            "trials": [one.to_dict() for one in self.comparisons],
            "origin": self.origin,
        }


def simulate_library(
    generator: Callable[..., Any],
    n_replicates: int = 1000,
    seed: Seed | None = None,
    *,
    trials: Iterable[str] | None = None,
    **options: Any,
) -> LibraryComparison:
    """Simulate the published trials and lay the results beside those of their papers.

    Parameters
    ----------
    generator : callable
        As for :func:`~pmsstats.trials.simulate.simulate_trials`; ``synthetic.generate_trials``.
    n_replicates : int, default 1000
        Simulated trials of each.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Required. A trial's numbers do not depend on which others are simulated.
    trials : iterable of str, optional
        Names of the library; all of them by default.
    **options : object
        Further options of :func:`~pmsstats.trials.simulate.simulate_trials`.

    Returns
    -------
    LibraryComparison
        One row per published finding.

    Raises
    ------
    DesignError
        If the library has no such trial, or none is named.
    TypeError
        If no seed is given.
    """
    names = tuple(trial_library()) if trials is None else tuple(trials)
    if not names or isinstance(trials, str):
        raise DesignError(
            f"`trials` must name some trials of the library in a list, got {trials!r}. "
            f"There are: {', '.join(trial_library())}."
        )
    root = as_seed_sequence(seed)  # type: ignore[arg-type]
    return LibraryComparison(
        comparisons=tuple(
            simulate_published(name, generator, n_replicates, stream(root, name), **options)
            for name in names
        )
    )
