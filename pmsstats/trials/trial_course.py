"""What happened in simulated trials: when looks took place, who was in which arm, what failed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmsstats.trials.enrol import expected_entries
from pmsstats.trials.result import SimulationResult
from pmsstats.trials.scenario import Scenario

__all__ = ["TrialCourse", "describe_course"]

_REPLICATES_NAMED = 5
_BECAME = ("no_answer", "efficacy", "futility", "answered")


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialCourse:
    """The course of simulated trials.

    Parameters
    ----------
    n_replicates : int
        Trials.
    looks : pandas.DataFrame
        Columns ``label n_replicates year_median year_low year_high n_enrolled``: in how many
        trials a look took place, in which calendar year (median and middle 90 %), and how many
        patients had been randomised on average. The planned end is the last row.
    arms : pandas.DataFrame
        Columns ``arm ratio n_enrolled mcse n_at_end``: mean numbers of patients, in all trials and
        in those that went to the planned end (missing where none did).
    silent : pandas.DataFrame
        Columns ``analysis look reason n_replicates no_answer efficacy futility answered
        first_replicates``: analyses without an answer, and what became of these trials. They had
        no final answer, were stopped early, or went on to a final answer.
    places : str
        Where the places of arms go that are dropped; empty where none can be.
    """

    n_replicates: int
    looks: pd.DataFrame
    arms: pd.DataFrame
    silent: pd.DataFrame
    places: str


def describe_course(result: SimulationResult) -> TrialCourse:
    """Sum up looks, arms, and analyses without an answer.

    Parameters
    ----------
    result : SimulationResult
        Of any scenario.

    Returns
    -------
    TrialCourse
        The year of a look is missing where the result does not hold it: looks at pooled data
        leave no estimates, nor do those of which final estimates alone were kept.
    """
    return TrialCourse(
        n_replicates=len(result.trials),
        looks=_looks(result),
        arms=_arms(result),
        silent=_silent(result),
        places=_places(result.scenario),
    )


def _places(scenario: Scenario) -> str:
    """Say where the places of dropped arms go."""
    options = [look.options for look in scenario.interims if look.rule == "select_arms"]
    if not options:
        return ""
    closes = {given.get("places", "reallocate") == "close" for given in options}
    if len(closes) > 1:
        return "Places of a dropped arm go to the arms left, or are not filled, by look."
    if closes.pop():
        return "Places of a dropped arm are not filled: the trial gets smaller."
    return "Places of a dropped arm go to the arms left: the trial keeps its size."


def _looks(result: SimulationResult) -> pd.DataFrame:
    """Return one row per look, and one for the planned end."""
    trials, interims = result.trials, result.scenario.interims
    to_end = (trials["stopped_for"] == "end").to_numpy()
    n_looks = trials["n_looks"].to_numpy()
    rows = []
    for look in range(1, len(interims) + 1):
        here = (n_looks > look) | ((n_looks == look) & ~to_end)
        if here.any():
            rows.append((_label(result, look), *_look(result, here, _years_at(result, look))))
    if to_end.any():
        rows.append(("Planned end", *_look(result, to_end, trials["duration_years"].to_numpy())))
    columns = ["label", "n_replicates", "year_median", "year_low", "year_high", "n_enrolled"]
    return pd.DataFrame(rows, columns=columns)


def _label(result: SimulationResult, look: int) -> str:
    """Name a look; by its number alone where some trials had not all of them."""
    trials, interims = result.trials, result.scenario.interims
    to_end = trials["stopped_for"] == "end"
    missed = (to_end & (trials["n_looks"] <= len(interims))).any()
    return f"Look {look}" if missed else f"Look {look}: {interims[look - 1].name}"


def _years_at(result: SimulationResult, look: int) -> np.ndarray:
    """Return the calendar year of a look in each trial, as far as it is known."""
    trials, estimates = result.trials, result.estimates
    at_look = estimates.loc[estimates["look"] == look, ["replicate", "calendar_year"]]
    known = at_look.drop_duplicates("replicate").set_index("replicate")["calendar_year"]
    years = known.reindex(trials["replicate"]).to_numpy(dtype=float)
    ended = trials["n_looks"].to_numpy() == look
    return np.where(ended, trials["duration_years"].to_numpy(), years)


def _look(
    result: SimulationResult, here: np.ndarray, years: np.ndarray
) -> tuple[int, float, float, float, float]:
    """Return in how many trials a look took place, when, and among how many patients."""
    n, years = int(here.sum()), years[here]
    if np.isnan(years).any():
        return (n, *[float("nan")] * 4)
    entered = np.searchsorted(expected_entries(result.scenario), years + 1e-9, side="right")
    enrolled = np.minimum(entered, result.trials["n_enrolled"].to_numpy()[here])
    low, middle, high = (float(q) for q in np.quantile(years, [0.05, 0.5, 0.95]))
    return n, middle, low, high, float(enrolled.mean())


def _arms(result: SimulationResult) -> pd.DataFrame:
    """Return one row per arm."""
    trials = result.trials
    ended = set(trials.loc[trials["stopped_for"] == "end", "replicate"])
    rows = []
    for arm in result.scenario.arms:
        mine = result.arms[result.arms["arm"] == arm.name]
        n = mine["n_enrolled"].to_numpy(dtype=float)
        at_end = n[mine["replicate"].isin(ended).to_numpy()]
        error = float(np.std(n, ddof=1) / np.sqrt(len(n))) if len(n) > 1 else float("nan")
        last = float(at_end.mean()) if len(at_end) else float("nan")
        rows.append((arm.name, arm.ratio, float(n.mean()), error, last))
    return pd.DataFrame(rows, columns=["arm", "ratio", "n_enrolled", "mcse", "n_at_end"])


def _silent(result: SimulationResult) -> pd.DataFrame:
    """Return one row per analysis, look and reason."""
    keys = ["analysis", "look", "reason"]
    without = result.estimates.loc[result.estimates["reason"] != "", ["replicate", *keys]]
    without = without.drop_duplicates().merge(
        result.trials[["replicate", "failed", "stopped_for"]], on="replicate"
    )
    became = np.where(without["failed"], "no_answer", without["stopped_for"])
    without = without.assign(became=np.where(became == "end", "answered", became))
    order = {analysis.name: i for i, analysis in enumerate(result.scenario.analyses)}
    rows = []
    for (analysis, look, reason), group in without.groupby(keys, sort=True):
        ids = group["replicate"].tolist()
        named = ", ".join(map(str, ids[:_REPLICATES_NAMED]))
        more = ", ..." if len(ids) > _REPLICATES_NAMED else ""
        counts = [int((group["became"] == name).sum()) for name in _BECAME]
        rows.append((analysis, look, reason, len(ids), *counts, named + more))
    rows.sort(key=lambda row: (order.get(row[0], len(order)), row[1], row[2]))
    return pd.DataFrame(rows, columns=[*keys, "n_replicates", *_BECAME, "first_replicates"])
