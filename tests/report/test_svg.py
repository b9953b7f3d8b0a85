"""Inline SVG: no text, no dates, no foreign ids, colours that follow the page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from matplotlib.figure import Figure

from pmsstats.plots import theme
from pmsstats.plots.theme import INK, PALETTE
from pmsstats.report.svg import CSS_COLOURS, inline_svg


def drawing(label: str = "label", name: str = "fig") -> str:
    with theme():
        figure = Figure()
        ax = figure.subplots()
        for i, colour in enumerate(PALETTE):
            ax.plot([0, 1], [i, 1 / 3], color=colour, marker="o")
        ax.set_title(label)
        return str(inline_svg(figure, name=name, css_class="figure-wide"))


def parsed(text: str) -> ET.Element:
    """Parse our own drawing."""
    return ET.fromstring(text)  # noqa: S314


def test_it_is_well_formed_and_hidden_from_readers():
    root = parsed(drawing())
    assert (root.tag, root.get("aria-hidden"), root.get("class")) == ("svg", "true", "figure-wide")
    assert root.get("viewBox") is not None


@pytest.mark.parametrize("label", ["<script>alert(1)</script>", "&amp;", '" onload="x', "]]>"])
def test_labels_leave_no_text(label):
    root = parsed(drawing(label))
    texts = [e.text for e in root.iter() if e.tag != "style" and (e.text or "").strip()]
    assert texts == []
    assert "alert" not in drawing(label)
    assert {e.tag for e in root.iter()} <= {"svg", "g", "defs", "style", "path", "use", "clipPath",
                                            "rect"}  # fmt: skip


def test_nothing_points_outside_and_nothing_is_dated():
    text = drawing()
    assert re.findall(r"https?:|xmlns|<\?xml|metadata|DOCTYPE", text) == []
    assert re.findall(r"\b20\d\d-", text) == []


def test_ids_and_classes_carry_the_name_of_the_figure():
    root = parsed(drawing(name="fig"))
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    classes = [e.get("class") for e in root.iter() if e is not root and e.get("class")]
    assert ids
    assert classes
    assert [v for v in ids + classes if not v.startswith("fig-")] == []


def test_every_reference_has_its_target():
    root = parsed(drawing())
    ids = {e.get("id") for e in root.iter()}
    used = {e.get("href")[1:] for e in root.iter("use")}
    used |= set(re.findall(r"url\(#([^)]+)\)", drawing()))
    assert used
    assert used <= ids


def test_colours_are_variables_with_a_fallback():
    text = drawing()
    assert [c for c in (*PALETTE, INK) if f"var({CSS_COLOURS[c]},{c})" not in text] == []
    assert re.findall(r'style="', text) == []


def test_coordinates_are_short():
    paths = [e.get("d") for e in parsed(drawing()).iter("path")]
    assert [d for d in paths if re.search(r"\d\.\d{3,}", d or "")] == []


def test_the_same_figure_gives_the_same_text():
    assert drawing() == drawing()
