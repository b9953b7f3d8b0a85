"""Several designs side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.plots.operating import plot_designs
from pmsstats.results import Exclusion, Result, to_plain
from pmsstats.trials.result import SimulationResult
from pmsstats.trials.scenario import Scenario

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DesignComparison", "named_scenarios"]

_QUANTITIES = (
    "power", "type1_error", "success", "familywise_error", "disjunctive_power", "bias", "coverage",
    "stopped_for_efficacy", "stopped_for_futility", "missed_look", "expected_n", "expected_years",
    "failed",
)  # fmt: skip
_COLUMNS = {
    "power": "Power", "type1_error": "Type I error", "success": "Succeeds",
    "stopped_for_efficacy": "Stops: effect", "stopped_for_futility": "Stops: futile",
    "missed_look": "A look never came", "expected_n": "Patients", "expected_years": "Years",
    "failed": "No answer",
}  # fmt: skip
"""What is shown of a design, with the words for it."""
_ONLY_IF_ANY = frozenset({"stopped_for_efficacy", "stopped_for_futility", "missed_look", "failed"})
_OF_COMPARISONS = frozenset({"power", "type1_error"})
_MEANS = {"expected_n": 0, "expected_years": 1}  # decimals


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DesignComparison(Result):
    """Operating characteristics of several designs.

    Parameters
    ----------
    names : tuple of str
        Designs, in the order in which they were given.
    results : tuple of SimulationResult
        One per design. All use the same seed: where sizes and schedules agree, they are of the
        same virtual people.
    origin : {"real", "synthetic"}
        Always synthetic.
    exclusions : tuple of Exclusion
        None: failed analyses are counted in each result.
    """

    names: tuple[str, ...]
    results: tuple[SimulationResult, ...]
    origin: str = "synthetic"
    exclusions: tuple[Exclusion, ...] = ()

    def __getitem__(self, name: str) -> SimulationResult:
        """Return the result of a design."""
        if name not in self.names:
            raise DesignError(f"There is no design {name!r}; there are {', '.join(self.names)}.")
        return self.results[self.names.index(name)]

    def headline(self) -> str:
        """Return the success of each design in one sentence."""
        parts = []
        for name, result in zip(self.names, self.results, strict=True):
            share, error = result.value("success")
            patients, years = result.value("expected_n")[0], result.value("expected_years")[0]
            parts.append(
                f"{name} {100 * share:.1f} % ({100 * error:#.2g}) with {patients:,.0f} patients in "
                f"{years:.1f} years"
            )
        return (
            f"How often a trial succeeds (Monte Carlo error, in points) by {len(parts)} designs: "
            f"{'; '.join(parts)}."
        )

    def operating(self) -> pd.DataFrame:
        """Return all operating characteristics.

        Returns
        -------
        pandas.DataFrame
            Columns ``design quantity analysis comparison look value mcse n_replicates``.
        """
        frames = [
            result.operating.assign(design=name)
            for name, result in zip(self.names, self.results, strict=True)
        ]
        joined = pd.concat(frames, ignore_index=True)
        return joined[["design", *joined.columns.drop("design")]]

    def table(self) -> pd.DataFrame:
        """Return the primary analysis side by side.

        One row per design and comparison: ``design comparison n_replicates``, then each quantity
        and its Monte Carlo standard error as ``<quantity>_mcse``; quantities that a design does
        not have are missing.
        """
        rows = [
            row
            for name, result in zip(self.names, self.results, strict=True)
            for row in _rows(name, result)
        ]
        frame = pd.DataFrame(rows)
        wanted = [c for q in _QUANTITIES for c in (q, f"{q}_mcse") if c in frame]
        return frame[["design", "comparison", "n_replicates", *wanted]]

    def display(self) -> pd.DataFrame:
        """Return the designs as they are shown: how often they succeed and stop, size, duration.

        Shares in per cent with their Monte Carlo errors in brackets; columns that say nothing are
        left out. Where a design has several comparisons, what concerns the whole trial stands in
        a row of its own. :meth:`table` has all.
        """
        table = self.table()
        several = table["design"].duplicated().any()
        table = _whole_trials_apart(table)
        shown = pd.DataFrame({"Design": table["design"]})
        if several:
            shown["Comparison"] = table["comparison"]
        for quantity, words in _COLUMNS.items():
            if quantity not in table or (quantity in _ONLY_IF_ANY and not table[quantity].any()):
                continue
            if quantity == "success" and not several:
                continue  # the same as power, or as the type I error
            cells = zip(table[quantity], table[f"{quantity}_mcse"], strict=True)
            shown[words] = [_cell(quantity, value, error) for value, error in cells]
        return shown

    def plot(self, *, ax: Axes | None = None, quantity: str = "success", **kws: Any) -> Axes:
        """Draw one quantity of each design with its Monte Carlo interval."""
        table = self.operating()
        rows = table[(table["quantity"] == quantity) & (table["look"] == 0)]
        primary = {
            name: result.scenario.decision.analysis
            for name, result in zip(self.names, self.results, strict=True)
        }
        ours = [r["analysis"] in {"", primary[r["design"]]} for r in rows.to_dict("records")]
        rows = rows[ours]
        if rows.empty:
            known = ", ".join(dict.fromkeys(table["quantity"]))
            raise DesignError(f"`quantity` {quantity!r} is none of these: {known}.")
        return plot_designs(rows, quantity=quantity, ax=ax, origin=self.origin, **kws)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "design_comparison/1",
            "headline": self.headline(),
            "origin": self.origin,
            "designs": [
                {"name": name, **result.to_dict()}
                for name, result in zip(self.names, self.results, strict=True)
            ],
            "exclusions": to_plain(self.exclusions),
        }


def _rows(name: str, result: SimulationResult) -> list[dict[str, Any]]:
    """Return one row per comparison of the primary analysis."""
    table = result.operating[result.operating["look"] == 0]
    primary = table[table["analysis"].isin(["", result.scenario.decision.analysis])]
    comparisons = [c for c in dict.fromkeys(primary["comparison"]) if c] or [""]
    rows = []
    for comparison in comparisons:
        ours = primary[primary["comparison"].isin(["", comparison])].to_dict("records")
        row: dict[str, Any] = {
            "design": name, "comparison": comparison, "n_replicates": result.n_replicates
        }  # fmt: skip
        for cell in ours:
            row[cell["quantity"]] = cell["value"]
            row[f"{cell['quantity']}_mcse"] = cell["mcse"]
        rows.append(row)
    return rows


def _whole_trials_apart(table: pd.DataFrame) -> pd.DataFrame:
    """Put what concerns a trial, not one of its several comparisons, in a row before them."""
    of_arms = [c for c in table if c.removesuffix("_mcse") in _OF_COMPARISONS]
    of_trials = [c for c in table if c.removesuffix("_mcse") in set(_COLUMNS) - _OF_COMPARISONS]
    parts = []
    for _, rows in table.groupby("design", sort=False):
        if len(rows) == 1:
            parts.append(rows)
            continue
        whole = rows.head(1).assign(comparison="whole trial", **dict.fromkeys(of_arms, math.nan))
        parts += [whole, rows.assign(**dict.fromkeys(of_trials, math.nan))]
    return pd.DataFrame([row for part in parts for row in part.to_dict("records")])


def _cell(quantity: str, value: float, error: float) -> str:
    """Show a value: a share with its error."""
    if math.isnan(value):
        return ""
    if quantity in _MEANS:
        return f"{value:,.{_MEANS[quantity]}f}"
    return f"{100 * value:.1f} % ({100 * error:.2f})"


def named_scenarios(designs: Mapping[str, Scenario]) -> tuple[Scenario, ...]:
    """Return scenarios under the names of a mapping.

    Parameters
    ----------
    designs : mapping of str to Scenario
        Designs by name.

    Returns
    -------
    tuple of Scenario
        In order.

    Raises
    ------
    DesignError
        If there is none.
    """
    if not designs:
        raise DesignError("`designs` must hold one scenario or more, got none.")
    return tuple(replace(scenario, name=name) for name, scenario in designs.items())
