"""Write the report of a trial design: what is planned, and what it would do."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from matplotlib.axes import Axes

from pmsstats.plots.theme import PALETTE, PALETTE_DARK, wrapped
from pmsstats.provenance import package_version
from pmsstats.report.course_tables import (
    CourseView,
    course_tables,
    failure_sentence,
    silence_sentence,
    silent_table,
)
from pmsstats.report.figures import ReportFigure, result_figure
from pmsstats.report.operating_tables import designs_table, operating_tables, plain_sentence
from pmsstats.report.outputs import write_page
from pmsstats.report.render import template_engine
from pmsstats.report.tables import ReportTable
from pmsstats.results import Result, format_number

__all__ = ["DesignView", "DesignedTrial", "render_design", "render_design_html"]

RESULTS_SCHEMA = "design_report/1"
_FIGURE_HEIGHT = 3.2
_PHONE = 5.0  # inches
_PLACES = {"power": 0, "estimates": 1, "stopping": 2}  # of the figures, by question


class PublishedView(Protocol):
    """What the page needs of a published trial beside its simulation, besides the contract."""

    trial: Any

    def headline(self) -> str:
        """Say how the published effects lie among the simulated ones."""

    def display(self) -> pd.DataFrame:
        """Return the table as text."""

    def remarks(self) -> tuple[str, ...]:
        """Return sources and differences, one sentence per finding."""

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw published among simulated effects."""


class SimulationView(Protocol):
    """What the page needs of a simulation, besides the contract of every result."""

    origin: str

    def headline(self) -> str:
        """Say what the design does."""

    def table(self) -> pd.DataFrame:
        """Return one row per operating characteristic."""

    def display(self) -> pd.DataFrame:
        """Return the table as text."""

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw operating characteristics."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""


class FormulaView(Protocol):
    """What the page needs of a closed form, besides the contract of every result."""

    power: float

    def headline(self) -> str:
        """Say what the formula gives, under which assumptions."""

    def display(self) -> pd.DataFrame:
        """Return the table as text."""

    def table(self) -> pd.DataFrame:
        """Return quantities with their units."""

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw power against size."""

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
    course : CourseView
        Its looks, its arms, and analyses without an answer.
    figures : tuple of (str, str, str)
        Kinds of ``simulation.plot`` to draw, with a text alternative and a caption.
    closed_form : FormulaView, optional
        The power of the primary analysis by a formula.
    scales : mapping of str to str
        What the estimates of each analysis are, in words.
    ratios : mapping of str to str
        For analyses whose estimates are logarithms of a ratio: which.
    generator : str
        What made the data.
    """

    name: str
    facts: tuple[tuple[str, str], ...]
    source: str
    simulation: SimulationView
    course: CourseView
    figures: tuple[tuple[str, str, str], ...] = ()
    closed_form: FormulaView | None = None
    scales: Mapping[str, str] = field(default_factory=dict)
    ratios: Mapping[str, str] = field(default_factory=dict)
    generator: str = ""


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
    published : tuple of Result
        Simulated beside published results, one per published trial.
    run : tuple of (str, str)
        How it was run, in words: replicates, seed, machines.
    """

    title: str
    trials: tuple[DesignedTrial, ...]
    comparison: Result | None = None
    published: tuple[Result, ...] = ()
    run: tuple[tuple[str, str], ...] = ()

    @property
    def results(self) -> dict[str, Any]:
        """The results that there are, by name."""
        named: dict[str, Any] = {}
        single = len(self.trials) == 1
        for i, trial in enumerate(self.trials, start=1):
            tail = "" if single else f"_{i}"
            named[f"simulation{tail}"] = trial.simulation
            if trial.closed_form is not None:
                named[f"closed_form{tail}"] = trial.closed_form
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
    return write_page(
        render_design_html(view),
        folder,
        schema=RESULTS_SCHEMA,
        run=view.run,
        results=view.results,
        tables={name: result.table() for name, result in view.results.items()},
    )


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
            single=len(view.trials) == 1,
            version=package_version(),
            palette=PALETTE,
            palette_dark=PALETTE_DARK,
            origin=view.trials[0].simulation.origin,
            run=view.run,
            headlines=[_headlines(trial, len(view.trials)) for trial in view.trials],
            trials=[_trial(trial, i) for i, trial in enumerate(view.trials, start=1)],
            comparison=_compared(view.comparison),
            published=[_published(result, i) for i, result in enumerate(view.published, start=1)],
            number=lambda kind: next(numbers[kind]),
        )
    )


def _headlines(trial: DesignedTrial, n_trials: int) -> dict[str, str]:
    """Say what one design would do: in plain words, and in numbers."""
    n_failed = _n_failed(trial)
    return {
        "name": trial.name if n_trials > 1 else "",
        "plain": plain_sentence(trial.simulation.table()),
        "numbers": trial.simulation.headline(),
        "formula": _formula(trial.closed_form),
        "missing": failure_sentence(trial.course, n_failed),
        "silent": silence_sentence(trial.course, n_failed),
    }


def _n_failed(trial: DesignedTrial) -> int:
    """Return how many trials had no final answer."""
    rows = trial.simulation.table().set_index("quantity")
    return round(float(rows.loc["failed", "value"]) * trial.course.n_replicates)


def _formula(closed_form: FormulaView | None) -> str:
    """Say what a formula gives for the same trial."""
    if closed_form is None:
        return ""
    return f"A formula gives {100 * closed_form.power:.1f} % power for the same trial."


def _trial(trial: DesignedTrial, position: int) -> dict[str, Any]:
    """Lay out one design."""
    closed_form = trial.closed_form
    return {
        "name": trial.name,
        "facts": trial.facts,
        "source": trial.source,
        "generator": trial.generator,
        "questions": _questions(trial, position),
        "closed_form": None
        if closed_form is None
        else _shown(closed_form, f"closed-form-{position}", "The same trial by a formula."),
        "silent": silent_table(trial.course),
    }


def _questions(trial: DesignedTrial, position: int) -> list[dict[str, Any]]:
    """Lay out what was found, question by question, each with its figures."""
    rows = trial.simulation.table()
    power = None if trial.closed_form is None else trial.closed_form.power
    blocks = operating_tables(rows, scales=trial.scales, ratios=trial.ratios, closed_form=power)
    places: defaultdict[int, list[ReportFigure]] = defaultdict(list)
    for kind, alt, caption in trial.figures:
        figure = result_figure(
            f"trial-{position}-{kind}",
            lambda ax, kind=kind: _fitted(trial.simulation.plot(ax=ax, kind=kind)),
            height=_height(rows) if kind == "power" else _FIGURE_HEIGHT,
            alt=alt,
            caption=caption,
        )
        places[min(_PLACES.get(kind, 0), len(blocks) - 1)].append(figure)
    shown = [
        {"question": question, "tables": tables, "figures": places[i]}
        for i, (question, tables) in enumerate(blocks)
    ]
    course = {"question": "Arms and looks", "tables": course_tables(trial.course), "figures": []}
    return [*shown, course]


def _height(rows: pd.DataFrame) -> float:
    """Return inches for a figure with one row per power or type I error."""
    return 0.6 + 0.45 * max(int(rows["quantity"].isin(["power", "type1_error"]).sum()), 1)


def _fitted(ax: Axes) -> Axes:
    """Wrap long labels where the figure is that for a phone."""
    if ax.figure.bbox.width / ax.figure.dpi < _PHONE:
        ax.set_xlabel(wrapped(ax.get_xlabel(), 34, max_lines=4))
        labels = [label.get_text() for label in ax.get_yticklabels()]
        if any(len(label) > 16 for label in labels):
            ax.set_yticks(ax.get_yticks(), [wrapped(label, 16, max_lines=4) for label in labels])
    return ax


def _compared(comparison: Result | None) -> dict[str, Any] | None:
    """Lay out designs side by side."""
    if comparison is None:
        return None
    table = comparison.table()
    figure = result_figure(
        "comparison",
        lambda ax: _fitted(comparison.plot(ax=ax)),
        height=0.6 + 0.45 * len(table),
        alt="Share of successful trials of each design. The numbers stand in the table.",
        caption="Share of trials that succeed, by design (95 % Monte Carlo intervals).",
    )
    return {
        "headline": comparison.headline(), "table": designs_table(table), "figure": figure
    }  # fmt: skip


def _published(comparison: PublishedView, position: int) -> dict[str, Any]:
    """Lay out a published trial: results side by side, remarks, and what the scenario rests on."""
    shown = _shown(comparison, f"published-{position}", "Simulated beside published results.")
    return shown | {
        "remarks": comparison.remarks(),
        "takes": comparison.trial.takes,
        "assumes": comparison.trial.assumes,
    }


def _shown(result: Result | FormulaView | PublishedView, name: str, caption: str) -> dict[str, Any]:
    """Lay out a result: sentence, table, figure."""
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
