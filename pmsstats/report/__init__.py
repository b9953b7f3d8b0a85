"""Reports: a finished study as one self-contained HTML file, with its results beside it."""

from __future__ import annotations

from pmsstats.report.render import render_html, render_report

__all__ = ["render_html", "render_report"]
