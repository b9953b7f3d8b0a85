"""What a simulation of trials found."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.plots.operating import plot_estimates, plot_rejections, plot_stopping
from pmsstats.provenance import build_manifest, write_manifest
from pmsstats.results import Exclusion, Result, format_number, to_plain
from pmsstats.trials.checkpoint import generator_identity, write_frame
from pmsstats.trials.description import describe_estimate, describe_ratio
from pmsstats.trials.operating import HARM_IN_ERRORS, benefit_sign, final_answers
from pmsstats.trials.scenario import Scenario

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SimulationResult"]

_SHARES = frozenset({
    "power", "power_given_answer", "type1_error", "type1_error_given_answer", "success",
    "familywise_error", "disjunctive_power", "conjunctive_power", "coverage",
    "bias_eliminated_coverage", "stopped_for_efficacy", "stopped_for_futility", "failed",
    "missed_look", "dropped", "passed_interim", "best_arm_kept", "relative_bias",
    "model_se_relative_error",
})  # fmt: skip
_REJECTIONS = ("power", "type1_error")
_OF_LOOKS = ("stopped_for_efficacy", "stopped_for_futility", "dropped")
_OF_ESTIMATES = (
    "truth", "mean_estimate", "bias", "relative_bias", "empirical_se", "model_se",
    "model_se_relative_error", "mse", "coverage", "bias_eliminated_coverage",
)  # fmt: skip
_SHOWN_AS = {
    "type1_error": "type I error",
    "power_given_answer": "power, trials with an answer",
    "type1_error_given_answer": "type I error, trials with an answer",
    "success": "trial succeeds",
    "familywise_error": "any false claim",
    "disjunctive_power": "any true effect found",
    "conjunctive_power": "all true effects found",
    "truth": "true effect",
    "mean_estimate": "mean estimate",
    "bias": "bias",
    "relative_bias": "bias, of the true effect",
    "empirical_se": "spread of estimates",
    "model_se": "stated standard error",
    "model_se_relative_error": "stated error against spread",
    "mse": "mean squared error",
    "coverage": "coverage of the truth",
    "bias_eliminated_coverage": "coverage of the mean estimate",
    "expected_n": "patients, on average",
    "expected_years": "years, on average",
    "expected_events": "events, on average",
    "stopped_for_efficacy": "stopped, effect shown",
    "stopped_for_futility": "stopped, futile",
    "failed": "no answer",
    "missed_look": "an interim look never came",
    "dropped": "arm dropped",
    "passed_interim": "goes on after the interim look",
    "best_arm_kept": "best arm goes on to the end",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SimulationResult(Result):
    """How one trial would behave, from many simulated ones.

    How often it shows the effect, how many patients and years it takes, where it stops, and whether
    its estimate is right; each with the Monte Carlo error that more replicates would make smaller.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    generator : str
        What made the data.
    seed : str
        Entropy and spawn key of the root of all streams.
    n_replicates : int
        Trials simulated.
    n_requested : int
        Trials asked for at most.
    stopped_because : {"all replicates", "target"}
        Why there are not more: all were done, or the Monte Carlo error was small enough.
    operating : pandas.DataFrame
        See :func:`operating_characteristics`.
    truth : pandas.DataFrame
        Columns ``analysis comparison value std_error source``; empty where it was not asked for.
    failures : pandas.DataFrame
        See :func:`failure_ledger`.
    estimates, trials, arms : pandas.DataFrame
        See :class:`BlockOutcome`; `estimates` may hold the final ones alone.
    origin : {"real", "synthetic"}
        Always synthetic.
    exclusions : tuple of Exclusion
        None: failed analyses are counted in `failures`.
    """

    scenario: Scenario
    generator: str
    seed: str
    n_replicates: int
    n_requested: int
    stopped_because: Literal["all replicates", "target"]
    operating: pd.DataFrame
    truth: pd.DataFrame
    failures: pd.DataFrame
    estimates: pd.DataFrame
    trials: pd.DataFrame
    arms: pd.DataFrame
    origin: str = "synthetic"
    exclusions: tuple[Exclusion, ...] = ()

    def value(
        self, quantity: str, *, comparison: str | None = None, analysis: str | None = None,
        look: int = 0,
    ) -> tuple[float, float]:  # fmt: skip
        """Look up an operating characteristic.

        Parameters
        ----------
        quantity : str
            As ``"power"``.
        comparison : str, optional
            Arm or factor; by default the only one, or that of the whole trial.
        analysis : str, optional
            The primary one by default, where the quantity has one.
        look : int
            0 for the whole trial.

        Returns
        -------
        tuple of (float, float)
            Value and Monte Carlo standard error.

        Raises
        ------
        DesignError
            If there is none, or several.
        """
        table = self.operating
        analyses = [analysis] if analysis else ["", self.scenario.decision.analysis]
        rows = table[(table["quantity"] == quantity) & (table["look"] == look)]
        rows = rows[rows["analysis"].isin(analyses)]
        if comparison is not None:
            rows = rows[rows["comparison"] == comparison]
        if len(rows) != 1:
            known = ", ".join(dict.fromkeys(table["quantity"]))
            raise DesignError(
                f"`quantity` {quantity!r} must be in the table once for this `comparison`, "
                f"`analysis` and `look`, found {len(rows)} rows. There are: {known}."
            )
        return float(rows["value"].iloc[0]), float(rows["mcse"].iloc[0])

    def headline(self) -> str:
        """Return how often trials claim an effect, their size, duration and failures."""
        return (
            f"Of {self.n_replicates:,} simulated trials of {self.scenario.name!r}, "
            f"{', and '.join(self._claims())}; {self._size()}; {self._answered()}."
        )

    def _claims(self) -> list[str]:
        """Say how often the primary analysis claims each effect, and whether rightly."""
        table = self.operating
        primary = table[table["analysis"] == self.scenario.decision.analysis]
        rows = primary[primary["quantity"].isin(_REJECTIONS)].to_dict("records")
        claims = [_claim(row, does_harm=self._does_harm(row["comparison"])) for row in rows]
        return claims or ["none had a primary analysis"]

    def _does_harm(self, comparison: str) -> bool:
        """Say whether the true effect on the primary outcome is clearly a loss."""
        name = self.scenario.decision.analysis
        known = self.truth[
            (self.truth["analysis"] == name) & (self.truth["comparison"] == comparison)
        ]
        seen = self.estimates[self.estimates["analysis"] == name]
        margin = float(self.scenario.analysis(name).options.get("margin", 0.0))
        gain = benefit_sign(seen, margin) * known["value"]
        return bool((gain < -HARM_IN_ERRORS * known["std_error"].fillna(0.0)).any())

    def _size(self) -> str:
        """Say how many patients and years a trial took on average."""
        patients, years = self.value("expected_n")[0], self.value("expected_years")[0]
        return f"on average a trial took {patients:,.0f} patients and {years:.1f} years"

    def _answered(self) -> str:
        """Say how many trials gave an answer, and whether there were enough of them."""
        failed = int(self.trials["failed"].sum())
        share = 100 * failed / self.n_replicates
        words = "every trial gave an answer"
        if failed:
            words = f"{failed:,} of them ({share:.2g} %) gave no answer and count as no success"
        if self.stopped_because == "target":
            words += (
                f"; stopped before {self.n_requested:,} because the Monte Carlo error was small "
                "enough"
            )
        return words

    def table(self) -> pd.DataFrame:
        """Return columns ``quantity analysis comparison look value mcse n_replicates``."""
        return self.operating.copy()

    def display(self) -> pd.DataFrame:
        """Return the table as it is shown: in words, shares in per cent, rounded to their errors.

        First how often trials find the effect, how large they are and where they stop, then how
        right their estimates are. What only repeats another row is left out: shares among trials
        with an answer where all had one, and the single look of a trial with one.
        """
        rows = self._shown_rows()
        pairs = [_shown(row) for row in rows.to_dict("records")]
        return pd.DataFrame(
            {
                "Quantity": [_SHOWN_AS.get(q, str(q).replace("_", " ")) for q in rows["quantity"]],
                "Analysis": rows["analysis"].tolist(),
                "Comparison": rows["comparison"].tolist(),
                "Look": ["" if look == 0 else str(look) for look in rows["look"]],
                "Value": [value for value, _ in pairs],
                "Monte Carlo error": [error for _, error in pairs],
            }
        )

    def _shown_rows(self) -> pd.DataFrame:
        """Return the rows that say something of their own, what matters most first."""
        rows = self.operating
        repeats = rows["quantity"].str.endswith("_given_answer")
        repeats &= rows["n_replicates"] == self.n_replicates
        if len(self.scenario.interims) == 1:
            repeats |= rows["quantity"].isin(_OF_LOOKS) & (rows["look"] > 0)
        estimates = rows["quantity"].isin(_OF_ESTIMATES)
        return pd.concat([rows[~repeats & ~estimates], rows[estimates]])

    def ledger(self) -> pd.DataFrame:
        """Return failed analyses by reason.

        Returns
        -------
        pandas.DataFrame
            Columns ``analysis look reason n_replicates share first_replicates``; an empty
            `analysis` stands for trials without a final answer.
        """
        return self.failures.copy()

    def plot(
        self,
        *,
        ax: Axes | None = None,
        kind: Literal["power", "estimates", "stopping"] = "power",
        **kws: Any,
    ) -> Axes:
        """Draw rejections, the spread of estimates around the truth, or where trials end."""
        if kind == "power":
            rows = self.operating[self.operating["quantity"].isin(_REJECTIONS)]
            return plot_rejections(_labelled(rows), ax=ax, origin=self.origin, **kws)
        if kind == "estimates":
            analysis = self.scenario.analysis(self.scenario.decision.analysis)
            endpoint = self.scenario.endpoint(analysis.endpoint)
            words = {
                "scale": describe_estimate(analysis, endpoint),
                "ratio": describe_ratio(analysis),
            }
            return plot_estimates(self._answers(), ax=ax, origin=self.origin, **words | kws)
        if kind == "stopping":
            return plot_stopping(self._ends(), ax=ax, origin=self.origin, **kws)
        raise DesignError(f"`kind` must be 'power', 'estimates' or 'stopping', got {kind!r}.")

    def _answers(self) -> pd.DataFrame:
        """Return final estimates of the primary analysis with the truth beside them."""
        primary = self.scenario.decision.analysis
        rows = final_answers(self.estimates[self.estimates["analysis"] == primary])
        order = self.scenario.comparison_order
        places = rows["comparison"].map(lambda name: order.get(name, len(order)))
        rows = rows.iloc[np.argsort(places.to_numpy(), kind="stable")]
        truth = self.truth[self.truth["analysis"] == primary]
        values = dict(zip(truth["comparison"], truth["value"], strict=True))
        return rows.assign(truth=[values.get(name, np.nan) for name in rows["comparison"]])

    def _ends(self) -> pd.DataFrame:
        """Return the share of trials by the look and the reason of their end."""
        n = len(self.trials)
        counts = self.trials.groupby(["n_looks", "stopped_for"], sort=True).size()
        frame = counts.rename("n_replicates").reset_index().rename(columns={"n_looks": "look"})
        share = frame["n_replicates"] / n
        return frame.assign(share=share, mcse=np.sqrt(share * (1 - share) / n))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without the single replicates."""
        return {
            "schema": "simulation_result/1",
            "headline": self.headline(),
            "scenario": to_plain(self.scenario),
            "generator": self.generator,
            "seed": self.seed,
            "n_replicates": self.n_replicates,
            "n_requested": self.n_requested,
            "stopped_because": self.stopped_because,
            "origin": self.origin,
            "operating": to_plain(self.operating),
            "truth": to_plain(self.truth),
            "failures": to_plain(self.failures),
            "exclusions": to_plain(self.exclusions),
        }

    def write(self, folder: str | Path) -> tuple[Path, ...]:
        """Write tidy Parquet files and their manifest.

        Parameters
        ----------
        folder : str or pathlib.Path
            Made if it is not there.

        Returns
        -------
        tuple of pathlib.Path
            ``estimates.parquet``, ``trials.parquet``, ``arms.parquet``, ``operating.parquet``,
            ``truth.parquet``, ``failures.parquet``, ``manifest.json``; all but the last are the
            same bytes for the same call.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        names = ("estimates", "trials", "arms", "operating", "truth", "failures")
        outputs = [folder / f"{name}.parquet" for name in names]
        for name, path in zip(names, outputs, strict=True):
            write_frame(getattr(self, name), path)
        manifest = build_manifest(
            command=("simulate_trials", self.scenario.name),
            spec=self.scenario,
            origin="synthetic",
            sources=(),
            extra={
                "generator": self.generator,
                "root": self.seed,
                "n_replicates": self.n_replicates,
                "n_requested": self.n_requested,
                "stopped_because": self.stopped_because,
            },
        )
        return (*outputs, write_manifest(manifest, folder, outputs))


def made_by(generator: Any, root: np.random.SeedSequence) -> tuple[str, str]:
    """Return words for a generator and for a root seed.

    Parameters
    ----------
    generator : callable
        Of trials.
    root : numpy.random.SeedSequence
        Of streams.

    Returns
    -------
    tuple of (str, str)
        Identity of the generator; entropy, with the spawn key where there is one.
    """
    entropy = root.entropy
    words = entropy if isinstance(entropy, Iterable) else (entropy,)
    text = " ".join(str(word) for word in words)
    return generator_identity(generator), f"{text} {root.spawn_key}" if root.spawn_key else text


def _labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Name each row by its analysis and, where there are several, its comparison."""
    several = len(set(rows["comparison"])) > 1
    labels = [
        f"{row['analysis']}: {row['comparison']}" if several else row["analysis"]
        for row in rows.to_dict("records")
    ]
    return rows.assign(label=labels)


def _claim(row: dict[Any, Any], *, does_harm: bool) -> str:
    """Say how often an effect is claimed."""
    share, error = f"{100 * row['value']:.1f} %", f"{100 * row['mcse']:#.2g} points"
    if row["quantity"] == "power":
        return f"{share} showed a benefit of {row['comparison']} (power; Monte Carlo error {error})"
    why = "whose true effect is a loss" if does_harm else "where there is none"
    return (
        f"{share} claimed a benefit of {row['comparison']}{',' if does_harm else ''} {why} (type I "
        f"error; Monte Carlo error {error})"
    )


def _shown(row: dict[Any, Any]) -> tuple[str, str]:
    """Show a value to two digits of its error, and the error."""
    value, error = row["value"], row["mcse"]
    if row["quantity"] in _SHARES:
        return f"{100 * value:.2f} %", f"{100 * error:.2f} %"
    if not error > 0:
        whole = value == round(value) if math.isfinite(value) else False
        return f"{value:.0f}" if whole else format_number(value), format_number(error, 2)
    digits = min(max(1 - math.floor(math.log10(error)), 0), 8)
    return f"{value:.{digits}f}", f"{error:.{digits}f}"
