"""Write a study's report: one HTML file, machine-readable results, and every table as CSV."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pmsstats.plots.theme import PALETTE, PALETTE_DARK
from pmsstats.provenance import package_version
from pmsstats.report.outputs import write_results, write_tables
from pmsstats.report.references import Citations
from pmsstats.report.sections import build_sections, key_facts, plain_summary
from pmsstats.report.study_view import StudyView

__all__ = ["render_html", "render_report", "template_engine"]


def render_report(study: StudyView, folder: str | Path) -> list[Path]:
    """Write ``report.html``, ``results.json`` and ``tables/*.csv``.

    Parameters
    ----------
    study : StudyView
        A finished study, for example from ``pmsstats.study.run_study``.
    folder : str or pathlib.Path
        Made where it does not exist; files of the same names are replaced.

    Returns
    -------
    list of pathlib.Path
        What was written. The same study gives the same bytes: no file holds a date or a path.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.html"
    page.write_text(render_html(study), encoding="utf-8", newline="\n")
    return [page, write_results(study, folder), *write_tables(study, folder / "tables")]


def render_html(study: StudyView) -> str:
    """Render the report as one self-contained page.

    Parameters
    ----------
    study : StudyView
        A finished study.

    Returns
    -------
    str
        HTML that loads nothing, runs nothing, and escapes every label.
    """
    numbers: defaultdict[str, Any] = defaultdict(lambda: itertools.count(1))
    template = template_engine().get_template("report.html.j2")
    return template.render(
        title=study.spec.title,
        acknowledgement=study.spec.acknowledgement,
        origin=study.cohort.origin,
        version=package_version(),
        summary=plain_summary(study),
        facts=key_facts(study),
        sections=build_sections(study),
        palette=PALETTE,
        palette_dark=PALETTE_DARK,
        number=lambda kind: next(numbers[kind]),
        cite=Citations(),
    )


def template_engine() -> Environment:
    """Return the template engine: everything is escaped, nothing may be undefined.

    Returns
    -------
    jinja2.Environment
        With the templates of this package.
    """
    environment = Environment(
        loader=PackageLoader("pmsstats.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain_json"] = _plain_json
    return environment


def _plain_json(value: Any) -> str:
    """Write JSON for reading, without what is empty."""
    return json.dumps(_filled(value), indent=2, ensure_ascii=False, allow_nan=False)


def _filled(value: Any) -> Any:
    """Drop the empty members of nested dictionaries and lists."""
    if isinstance(value, Mapping):
        members = {key: _filled(item) for key, item in value.items()}
        return {key: item for key, item in members.items() if item not in (None, "", [], {})}
    return [_filled(item) for item in value] if isinstance(value, list | tuple) else value
