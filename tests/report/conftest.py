"""Rendered reports of made-up studies, made once."""

from __future__ import annotations

import functools
from html.parser import HTMLParser

import pytest
from report.fake_study import FakeStudy, hostile_study, make_study

from pmsstats.report import render_html

STUDIES = {
    "real": make_study,
    "synthetic": lambda: make_study(origin="synthetic"),
    "one_group": lambda: make_study(("PPMS",)),
    "ungrouped": lambda: make_study(()),
    "no_association": lambda: make_study(associated=False),
    "not_converged": lambda: make_study(converged=False),
    "hostile": hostile_study,
}
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """A rendered page: its elements, its text by section, and whether its tags balance."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.section = "summary"
        self.texts: dict[str, list[str]] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.open += [] if tag in VOID else [tag]
        self.section = dict(attrs).get("id", "") if tag == "section" else self.section

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        kept = [] if self.open[-1:] in (["style"], ["title"]) else [data]
        self.texts.setdefault(self.section, []).extend(kept)

    def text(self, section: str | None = None) -> str:
        """Return the visible text of a section, or of the page, with single blanks."""
        parts = [t for key, ts in self.texts.items() for t in ts if section in (None, key)]
        return " ".join("".join(parts).split())

    def attributes(self, name: str) -> list[str]:
        """Return every value of an attribute."""
        return [attrs[name] for _, attrs in self.elements if name in attrs]

    def tags(self, name: str) -> list[dict[str, str]]:
        """Return the attributes of every element of a kind."""
        return [attrs for tag, attrs in self.elements if tag == name]


@functools.cache
def rendered(name: str) -> tuple[FakeStudy, Page]:
    """Return a study and its page, rendered once."""
    study = STUDIES[name]()
    return study, Page(render_html(study))


@pytest.fixture(params=STUDIES)
def any_case(request):
    """A study of each kind, and its page."""
    return rendered(request.param)


@pytest.fixture
def cases():
    """Studies and pages by name."""
    return rendered
