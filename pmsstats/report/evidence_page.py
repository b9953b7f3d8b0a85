"""Write the report of an evidence check: every finding with its verdict and its picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from pmsstats.evidence import Finding
from pmsstats.evidence import findings as registered_findings
from pmsstats.plots.replication import plot_replication, replication_height
from pmsstats.plots.replication_overview import is_assumed, plot_replication_overview
from pmsstats.plots.theme import PALETTE, PALETTE_DARK, theme
from pmsstats.provenance import package_version
from pmsstats.report.claim_picture import claim_picture
from pmsstats.report.outputs import write_page
from pmsstats.report.render import template_engine
from pmsstats.report.svg import inline_svg
from pmsstats.results import Result, format_interval, format_number

__all__ = ["EvidenceView", "render_evidence", "render_evidence_html"]

RESULTS_SCHEMA = "evidence_report/1"
SECTIONS = {
    "wm": "White matter",
    "cortex": "Cortex",
    "cord": "Spinal cord",
    "cerebellum": "Cerebellum",
    "dgm": "Deep grey matter",
    "trials": "Trials",
    "outlook": "Outlook",
}
"""Sections of the review, in its order; findings of no section come last."""

_WIDTH = 7.4
_OVERVIEW_HEIGHT = 4.6
_DIFFERING = ("not reproduced", "contradicted", "not possible")
_VERDICTS_HEIGHT = 3.2
_OTHER = "Other findings"


class ChecksView(Protocol):
    """What the page needs of an evidence check, besides the contract of every result."""

    verdicts: pd.DataFrame
    origin: str

    @property
    def counts(self) -> Mapping[str, int]:
        """Return the number of findings by verdict."""

    def headline(self) -> str:
        """Say how many findings are reproduced."""

    def table(self) -> pd.DataFrame:
        """Return one row per claim."""

    def display(self) -> pd.DataFrame:
        """Return the table as text."""

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the verdicts."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""


@dataclass(frozen=True, kw_only=True)
class ClaimRow:
    """One claim of a finding, ready for the page.

    Parameters
    ----------
    label, estimate, units, expected, verdict : str
        Cells.
    picture : markupsafe.Markup
        See :func:`~pmsstats.report.claim_picture.claim_picture`.
    """

    label: str
    estimate: str
    units: str
    expected: str
    verdict: str
    picture: Markup


@dataclass(frozen=True, kw_only=True)
class FindingEntry:
    """One finding, ready for the page.

    Parameters
    ----------
    id, statement, verdict, note, reason, replication : str
        What is written; empty where there is nothing.
    finding : Finding or None
        The registry's entry; None for a finding that is not in it.
    claims : tuple of ClaimRow
        Rows; empty where it was not checked.
    """

    id: str
    statement: str
    verdict: str
    note: str
    reason: str
    replication: str
    finding: Finding | None
    claims: tuple[ClaimRow, ...]


@dataclass(frozen=True, kw_only=True)
class EvidenceView:
    """Everything that a page on a generator's evidence shows.

    Parameters
    ----------
    checks : ChecksView
        A finished evidence check, for example from ``pmsstats.validation.check_evidence``.
    replication : Result, optional
        Replication probabilities, from ``pmsstats.validation.replicate_studies``.
    calibration : Result, optional
        Moments beside published ones, from ``pmsstats.validation.calibration.calibrate``; with
        ``moments`` and ``left_out``.
    run : tuple of (str, str)
        What was asked for, in words: preset, seed, switches of the literature.
    """

    checks: ChecksView
    replication: Any = None
    calibration: Any = None
    run: tuple[tuple[str, str], ...] = ()

    @property
    def results(self) -> dict[str, Any]:
        """The results that there are, by name."""
        parts = {name: getattr(self, name) for name in ("checks", "replication", "calibration")}
        return {name: part for name, part in parts.items() if part is not None}


def render_evidence(view: EvidenceView, folder: str | Path) -> list[Path]:
    """Write ``index.html``, ``results.json`` and one CSV per result.

    Parameters
    ----------
    view : EvidenceView
        What to show.
    folder : str or pathlib.Path
        Made where it does not exist; files of the same names are replaced.

    Returns
    -------
    list of pathlib.Path
        What was written. The same results give the same bytes.
    """
    tables = {name: result.table() for name, result in view.results.items()}
    return write_page(
        render_evidence_html(view),
        folder,
        schema=RESULTS_SCHEMA,
        run=view.run,
        results=view.results,
        tables=tables | {"verdicts": view.checks.verdicts},
    )


def render_evidence_html(view: EvidenceView) -> str:
    """Render the report as one self-contained page.

    Parameters
    ----------
    view : EvidenceView
        What to show.

    Returns
    -------
    str
        HTML that loads nothing, runs nothing, and escapes every label.
    """
    checks, replication, calibration = view.checks, view.replication, view.calibration
    entries = _entries(checks, replication)
    return (
        template_engine()
        .get_template("evidence.html.j2")
        .render(
            version=package_version(),
            palette=PALETTE,
            palette_dark=PALETTE_DARK,
            origin=checks.origin,
            counts=checks.counts,
            run=view.run,
            headlines=[result.headline() for result in view.results.values()],
            verdicts_figure=_drawn("verdicts", checks.plot, _VERDICTS_HEIGHT),
            overview=None if replication is None else _overview(replication),
            n_assumed=0 if replication is None else int(is_assumed(replication.table()).sum()),
            n_designs=0 if replication is None else len(replication.table()),
            figures={} if replication is None else _section_figures(replication),
            calibration=None if calibration is None else _calibration(calibration),
            differing=[entry for entry in entries if entry.verdict in _DIFFERING],
            sections=_by_section(entries, checks.verdicts),
        )
    )


def _drawn(name: str, draw: Callable[..., Any], height: float) -> Markup:
    """Draw a result of a given height in inches."""
    with theme():
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(ax=figure.subplots())
        return inline_svg(figure, name=name, css_class="figure-any")


def _overview(replication: Result) -> Markup | None:
    """Draw all probabilities at a glance, where there are any."""
    frame = replication.table()
    if frame["probability"].notna().sum() == 0:
        return None
    return _drawn(
        "overview",
        lambda ax: plot_replication_overview(frame, origin=replication.origin, ax=ax),
        _OVERVIEW_HEIGHT,
    )


def _section_figures(replication: Result) -> dict[str, Markup]:
    """Draw the probabilities of each section's findings."""
    known = replication.table().dropna(subset=["probability"])
    return {
        str(key): _drawn(
            f"replication-{key}",
            lambda ax, rows=rows: plot_replication(rows, origin=replication.origin, ax=ax),
            replication_height(len(rows)),
        )
        for key, rows in known.groupby("section", sort=False)
    }


def _calibration(calibration: Any) -> dict[str, Any]:
    """Lay out a calibration: figure, one row of text per moment, and what was not compared."""
    moments = calibration.moments
    n_known = int(moments["value"].notna().sum())
    return {
        "figure": _drawn("calibration", calibration.plot, replication_height(n_known))
        if n_known
        else None,
        "rows": [_moment_row(row) for row in moments.itertuples()],
        "left_out": list(calibration.left_out[["record", "reason"]].itertuples(index=False)),
    }


def _moment_row(row: Any) -> dict[str, str]:
    """Write a moment as text."""
    interval = (row.published, row.published_low, row.published_high)
    inside = row.inside if isinstance(row.inside, str) else ("yes" if row.inside else "no")
    return {
        "what": f"{row.moment}, {row.population}",
        "source": f"{row.source} ({row.verified})",
        "published": format_interval(*(float(v) for v in interval)),
        "basis": str(row.basis),
        "value": format_number(float(row.value), 3),
        "units": str(row.units),
        "inside": inside,
        "reason": str(row.reason or ""),
    }


def _entries(checks: ChecksView, replication: Result | None) -> list[FindingEntry]:
    """Gather what is known of each finding, in the order of the verdicts."""
    registry = {found.id: found for found in registered_findings()}
    sentences = {} if replication is None else _sentences(replication.table())
    claims = _claim_rows(checks)
    return [
        FindingEntry(
            id=str(row.finding),
            statement=str(row.statement),
            verdict=str(row.verdict),
            note=str(row.note or ""),
            reason=str(row.reason or ""),
            replication=sentences.get(row.finding, ""),
            finding=registry.get(row.finding),
            claims=tuple(claims.get(row.finding, ())) if row.n_claims else (),
        )
        for row in checks.verdicts.itertuples()
    ]


def _sentences(table: pd.DataFrame) -> dict[str, str]:
    """Return the sentence on each finding's replication, and where the study's size is from."""
    known = table["source"].fillna("")
    texts = table["sentence"] + (" Design: " + known + ".").where(known != "", "")
    return dict(zip(table["finding"], texts, strict=True))


def _claim_rows(checks: ChecksView) -> dict[str, list[ClaimRow]]:
    """Format the claims of each finding."""
    rows: dict[str, list[ClaimRow]] = {}
    shown = checks.display().itertuples()
    for number, text in zip(checks.table().itertuples(), shown, strict=True):
        rows.setdefault(number.finding, []).append(
            ClaimRow(
                label=text.claim,
                estimate=text.estimate,
                units=text.units,
                expected=text.expected,
                verdict=text.verdict,
                picture=claim_picture(number),
            )
        )
    return rows


def _by_section(
    entries: list[FindingEntry], verdicts: pd.DataFrame
) -> list[tuple[str, str, list[FindingEntry]]]:
    """Group entries by section of the review: anchor, title, entries."""
    section_of = dict(zip(verdicts["finding"], verdicts["section"], strict=True))
    grouped = [
        (key, title, [e for e in entries if section_of[e.id] == key])
        for key, title in SECTIONS.items()
    ]
    grouped.append(("other", _OTHER, [e for e in entries if section_of[e.id] not in SECTIONS]))
    return [(key, title, found) for key, title, found in grouped if found]
