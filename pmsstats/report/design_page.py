"""Write the report of a trial design: what is planned, and what it would do."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from matplotlib.axes import Axes

from pmsstats.plots.theme import PALETTE, PALETTE_DARK
from pmsstats.provenance import package_version
from pmsstats.report.figures import ReportFigure, result_figure
from pmsstats.report.render import template_engine
from pmsstats.report.tables import ReportTable
from pmsstats.results import Result, format_number, to_plain

__all__ = ["DesignView", "DesignedTrial", "render_design", "render_design_html"]

RESULTS_SCHEMA = "design_report/1"
_FIGURE_HEIGHT = 3.2


class SimulationView(Protocol):
    """What the page needs of a simulation, besides the contract of every result."""

    origin: str

    def headline(self) -> str:
        """Say what the design does."""

    def table(self) -> pd.DataFrame:
        """Return one row per operating characteristic."""

    def display(self) -> pd.DataFrame:
        """Return the table as text."""

    def ledger(self) -> pd.DataFrame:
        """Return one row per reason for which replicates failed."""

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw operating characteristics."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""


@dataclass(frozen=True, kw_only=True)
class DesignedTrial:
    """One simulated design, ready for the page.

    Parameters
    ----------
    name : str
        Title.
    facts : tuple of (str, str)
        The design in words: what is described, and the sentence.
    source : str
        The scenario file.
    simulation : SimulationView
        What it did.
    figures : tuple of (str, str, str)
        Kinds of ``simulation.plot`` to draw, with a text alternative and a caption.
    """

    name: str
    facts: tuple[tuple[str, str], ...]
    source: str
    simulation: SimulationView
    figures: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class DesignView:
    """Everything that a page on trial designs shows.

    Parameters
    ----------
    title : str
        Heading.
    trials : tuple of DesignedTrial
        At least one.
    comparison : Result, optional
        The designs side by side.
    closed_forms : mapping of str to Result
        Closed-form answers to lay beside the simulation, by what they answer.
    published : tuple of Result
        Simulated beside published results, one per published trial.
    run : tuple of (str, str)
        How it was run, in words: replicates, seed, machines.
    """

    title: str
    trials: tuple[DesignedTrial, ...]
    comparison: Result | None = None
    closed_forms: Mapping[str, Result] = field(default_factory=dict)
    published: tuple[Result, ...] = ()
    run: tuple[tuple[str, str], ...] = ()

    @property
    def results(self) -> dict[str, Any]:
        """The results that there are, by name."""
        single = len(self.trials) == 1
        named = {
            "simulation" if single else f"simulation_{i}": trial.simulation
            for i, trial in enumerate(self.trials, start=1)
        }
        named |= {f"closed_form_{key}": result for key, result in self.closed_forms.items()}
        named |= {f"published_{i}": result for i, result in enumerate(self.published, start=1)}
        return named | ({"comparison": self.comparison} if self.comparison else {})


def render_design(view: DesignView, folder: str | Path) -> list[Path]:
    """Write ``index.html``, ``results.json`` and one CSV per result.

    Parameters
    ----------
    view : DesignView
        What to show.
    folder : str or pathlib.Path
        Made where it does not exist; files of the same names are replaced.

    Returns
    -------
    list of pathlib.Path
        What was written. The same results give the same bytes.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page, results = folder / "index.html", folder / "results.json"
    page.write_text(render_design_html(view), encoding="utf-8", newline="\n")
    content = {
        "schema": RESULTS_SCHEMA,
        "package": {"name": "pmsstats", "version": package_version()},
        "run": dict(view.run),
        **{name: to_plain(result.to_dict()) for name, result in view.results.items()},
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    results.write_text(text + "\n", encoding="utf-8", newline="\n")
    paths = [page, results]
    for name, result in view.results.items():
        path = folder / f"{name}.csv"
        result.table().to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
        paths.append(path)
    return paths


def render_design_html(view: DesignView) -> str:
    """Render the report as one self-contained page.

    Parameters
    ----------
    view : DesignView
        What to show.

    Returns
    -------
    str
        HTML that loads nothing, runs nothing, and escapes every label.
    """
    numbers: defaultdict[str, Any] = defaultdict(lambda: itertools.count(1))
    return (
        template_engine()
        .get_template("design.html.j2")
        .render(
            title=view.title,
            version=package_version(),
            palette=PALETTE,
            palette_dark=PALETTE_DARK,
            origin=view.trials[0].simulation.origin,
            run=view.run,
            headlines=[trial.simulation.headline() for trial in view.trials],
            trials=[_trial(trial, i) for i, trial in enumerate(view.trials, start=1)],
            comparison=_shown(view.comparison, "comparison", "The designs side by side."),
            closed_forms=[
                _shown(result, f"closed-{i}", f"Closed form: {key}.")
                for i, (key, result) in enumerate(view.closed_forms.items(), start=1)
            ],
            published=[
                _shown(result, f"published-{i}", "Simulated beside published results.")
                for i, result in enumerate(view.published, start=1)
            ],
            number=lambda kind: next(numbers[kind]),
        )
    )


def _trial(trial: DesignedTrial, position: int) -> dict[str, Any]:
    """Lay out one design."""
    simulation = trial.simulation
    return {
        "name": trial.name,
        "facts": trial.facts,
        "source": trial.source,
        "table": _table(
            simulation.display(),
            "Operating characteristics, each with its Monte Carlo standard error (MCSE).",
        ),
        "ledger": _table(simulation.ledger(), "Replicates without an answer, by reason."),
        "figures": [
            result_figure(
                f"trial-{position}-{kind}",
                lambda ax, kind=kind: simulation.plot(ax=ax, kind=kind),
                height=_FIGURE_HEIGHT,
                alt=alt,
                caption=caption,
            )
            for kind, alt, caption in trial.figures
        ],
    }


def _shown(result: Result | None, name: str, caption: str) -> dict[str, Any] | None:
    """Lay out a result: sentence, table, figure."""
    if result is None:
        return None
    figure: ReportFigure = result_figure(
        name,
        lambda ax: result.plot(ax=ax),
        height=_FIGURE_HEIGHT,
        alt=f"{caption} The numbers stand in the table.",
        caption=caption,
    )
    return {
        "headline": result.headline(),
        "table": _table(result.display(), caption),
        "figure": figure,
    }


def _table(frame: pd.DataFrame, caption: str) -> ReportTable | None:
    """Turn a frame to cells of text; nothing where it is empty."""
    if frame.empty:
        return None
    cells = frame.apply(lambda column: column.map(_cell))
    words = [i for i, name in enumerate(frame.columns) if cells[name].map(_is_word).any() and i > 0]
    return ReportTable(
        caption=caption,
        columns=tuple(str(name).replace("_", " ") for name in frame.columns),
        rows=tuple(cells.itertuples(index=False, name=None)),
        text_columns=tuple(words),
        layout="scroll",
    )


def _cell(value: Any) -> str:
    """Write a cell."""
    return value if isinstance(value, str) else format_number(value, 4)


def _is_word(text: str) -> bool:
    """Say whether a cell holds words rather than a number."""
    return any(letter.isalpha() for letter in text) and not text.startswith(("-", "\N{MINUS SIGN}"))
