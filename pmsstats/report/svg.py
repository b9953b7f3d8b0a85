"""Figures as inline SVG: the same bytes every time, and colours that follow the page."""

from __future__ import annotations

import io
import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from pmsstats.plots.theme import INK, MUTED, PALETTE, PAPER, RULE

__all__ = ["CSS_COLOURS", "inline_svg"]

CSS_COLOURS = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    PAPER: "--paper",
    **{colour: f"--series-{i}" for i, colour in enumerate(PALETTE, start=1)},
}
"""Drawing colour to the CSS variable that takes its place."""

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_SETTINGS = {"svg.fonttype": "path", "svg.hashsalt": "pmsstats", "svg.image_inline": True}
_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_LONG_DECIMAL = re.compile(r"-?\d+\.\d{3,}")
_HEX = re.compile("|".join(CSS_COLOURS))


def inline_svg(figure: Figure, *, name: str, css_class: str = "") -> Markup:
    """Write a figure as SVG that can stand inside a page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn with the package's theme.
    name : str
        ASCII identifier, unique on the page: ids and classes begin with it.
    css_class : str
        Class of the ``svg`` element.

    Returns
    -------
    markupsafe.Markup
        An ``svg`` element, hidden from screen readers (the figure around it carries the text
        alternative). Text is drawn as paths, so no label can become markup.
    """
    buffer = io.BytesIO()
    with mpl.rc_context(_SETTINGS):
        figure.savefig(buffer, format="svg", metadata=_METADATA, transparent=True)
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 - written by the line above
    _drop_metadata(root)
    _rename_ids(root, name)
    _round_coordinates(root)
    _styles_to_classes(root, name)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.attrib.update({"class": css_class, "aria-hidden": "true", "focusable": "false"})
    return Markup(_serialise(root))  # noqa: S704 - parsed and written as XML


def _serialise(root: ET.Element) -> str:
    """Write the element without name spaces: inside HTML the parser knows them."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.tail = None
        if element.tag != "style":
            element.text = None
    return ET.tostring(root, encoding="unicode")


def _drop_metadata(root: ET.Element) -> None:
    """Remove who wrote the file when, and document-wide styles."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{_SVG}metadata", f"{_SVG}style"}:
                parent.remove(child)


def _references(root: ET.Element) -> set[str]:
    """Collect the ids that something refers to."""
    found: set[str] = set()
    for element in root.iter():
        for value in element.attrib.values():
            found.update(re.findall(r"url\(#([^)]+)\)", value))
        target = element.get(_XLINK, "") or element.get("href", "")
        found.update([target[1:]] if target.startswith("#") else [])
    return found


def _rename_ids(root: ET.Element, name: str) -> None:
    """Keep only ids that are used, numbered in order of appearance behind the figure's name."""
    used = _references(root)
    numbers = itertools.count()
    new: dict[str, str] = {}
    for element in root.iter():
        old = element.attrib.pop("id", None)
        if old in used:
            new.setdefault(old, f"{name}-{next(numbers)}")
            element.set("id", new[old])
    for element in root.iter():
        target = element.attrib.pop(_XLINK, None) or element.get("href")
        if target is not None:
            element.set("href", f"#{new[target[1:]]}" if target.startswith("#") else target)
        for key, value in list(element.attrib.items()):
            element.set(key, re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{new[m[1]]})", value))


def _round_coordinates(root: ET.Element) -> None:
    """Round path coordinates to a hundredth of a point."""
    for element in root.iter():
        for key in {"d", "x", "y"} & set(element.attrib):
            element.set(key, _LONG_DECIMAL.sub(_rounded, element.attrib[key]).replace("\n", " "))


def _rounded(match: re.Match[str]) -> str:
    """Write a number with two decimals, or fewer where they are zero."""
    text = f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _styles_to_classes(root: ET.Element, name: str) -> None:
    """Collect equal styles in classes, with colours that follow the page's theme."""
    classes: dict[str, str] = {}
    for element in root.iter():
        style = element.attrib.pop("style", None)
        if style:
            text = ";".join(sorted(_declarations(style)))
            element.set("class", classes.setdefault(text, f"{name}-c{len(classes)}"))
    sheet = ET.Element(f"{_SVG}style")
    sheet.text = "".join(f".{key}{{{text}}}" for text, key in classes.items())
    root.insert(0, sheet)


def _declarations(style: str) -> Iterator[str]:
    """Yield the parts of a style attribute, with colours turned to variables."""
    for part in style.split(";"):
        if part.strip():
            key, _, value = part.partition(":")
            value = _HEX.sub(lambda m: f"var({CSS_COLOURS[m[0]]},{m[0]})", value.strip())
            yield f"{key.strip()}:{value}"
