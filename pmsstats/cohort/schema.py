"""The data dictionary: what a measure is, which tables there are, and what their columns mean."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal, get_args

import pandas as pd

from pmsstats.errors import SchemaError, nearest

__all__ = [
    "COMPARTMENTS",
    "PHENOTYPES",
    "TABLE_COLUMNS",
    "TECHNIQUES",
    "DataDictionary",
    "Measure",
    "Worsening",
    "default_dictionary",
]

Worsening = Literal["lower", "higher", "unspecified"]
MeasureKind = Literal["level", "change", "since_last"]
MeasureScale = Literal["ratio", "interval"]

PHENOTYPES = ("HC", "RIS", "CIS", "RRMS", "SPMS", "PPMS")
"""Phenotype labels, in display order (healthy control first)."""

TECHNIQUES = (
    "t2w_flair", "postcontrast_t1", "t1_blackholes", "mtr", "dti", "mrs", "pet_tspo",
    "postcontrast_flair", "dir_psir", "swi_t2star", "t1_atrophy", "pd_t2_cord", "clinical",
    "fluid", "other",
)  # fmt: skip
COMPARTMENTS = (
    "brain_wm", "whole_brain", "cortex", "spinal_cord", "cerebellum", "dgm", "dgm_cerebellum",
    "whole_cns", "other",
)  # fmt: skip

TABLE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "subjects": ("subject_id",),
    "visits": ("subject_id", "day"),
    "relapses": ("subject_id", "day"),
    "exits": ("subject_id", "day", "reason"),
}
"""Required columns of each table."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measured variable.

    Parameters
    ----------
    name : str
        Column name; carries the unit as a suffix (``thalamus_ml``), an ASCII identifier.
    label : str
        For axes and tables, without the unit.
    unit : str
        For axes and tables; empty where there is none.
    technique : str
        One of :data:`TECHNIQUES`.
    compartment : str
        One of :data:`COMPARTMENTS`.
    worsening : {"lower", "higher", "unspecified"}
        The direction of change that is worse for the patient.
    plausible : tuple of float
        Range outside of which a value is reported as doubtful.
    possible : tuple of float
        Range outside of which a value is refused; infinite ends allowed.
    kind : {"level", "change", "since_last"}
        Whether values are levels, already change from baseline, or what is new since the last scan.
    scale : {"ratio", "interval"}
        Whether zero means "none", so that a change in percent makes sense ("ratio"), or zero is a
        convention: z-scores, logarithms, ordinal scales ("interval").
    values : tuple of float
        The only legal values, where there are few (EDSS); else empty.

    Raises
    ------
    SchemaError
        If a field is outside of its vocabulary or a range is empty.
    """

    name: str
    label: str
    unit: str = ""
    technique: str = "other"
    compartment: str = "other"
    worsening: Worsening = "unspecified"
    plausible: tuple[float, float] = (float("-inf"), float("inf"))
    possible: tuple[float, float] = (float("-inf"), float("inf"))
    kind: MeasureKind = "level"
    scale: MeasureScale = "ratio"
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check names, vocabulary and ranges."""
        if not (self.name.isidentifier() and self.name.isascii()):
            raise SchemaError(
                f"`name` of a measure must be an ASCII identifier such as 'thalamus_ml', got "
                f"{self.name!r}. Map your column to such a name."
            )
        for field, allowed in (
            ("technique", TECHNIQUES),
            ("compartment", COMPARTMENTS),
            ("worsening", get_args(Worsening)),
            ("kind", get_args(MeasureKind)),
            ("scale", get_args(MeasureScale)),
        ):
            value = getattr(self, field)
            if value not in allowed:
                raise SchemaError(
                    f"`{field}` of measure {self.name!r} must be one of {', '.join(allowed)}, got "
                    f"{value!r}.{nearest(str(value), allowed)}"
                )
        for field in ("plausible", "possible"):
            low, high = getattr(self, field)
            if not low < high:
                raise SchemaError(
                    f"`{field}` of measure {self.name!r} must be [low, high] with low < high, got "
                    f"{[low, high]!r}."
                )

    @property
    def axis_label(self) -> str:
        """Label with unit in brackets."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


class DataDictionary(Mapping[str, Measure]):
    """An immutable collection of measures by name.

    Parameters
    ----------
    measures : iterable of Measure
        In display order; a later measure replaces an earlier one of the same name.
    """

    __slots__ = ("_measures",)

    def __init__(self, measures: Iterable[Measure]) -> None:
        self._measures = {measure.name: measure for measure in measures}

    def __getitem__(self, name: str) -> Measure:
        """Return the measure of this name."""
        return self._measures[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._measures)

    def __len__(self) -> int:
        """Count the measures."""
        return len(self._measures)

    def __repr__(self) -> str:
        """Show the size."""
        return f"<DataDictionary: {len(self)} measures>"

    def extend(self, *measures: Measure) -> DataDictionary:
        """Return a dictionary with more measures (the old one stays as it is).

        Parameters
        ----------
        *measures : Measure
            New, or replacing those of the same name.

        Returns
        -------
        DataDictionary
            A new one.

        Examples
        --------
        >>> own = Measure(name="nwbv", label="Whole-brain volume / head size", worsening="lower")
        >>> "nwbv" in default_dictionary().extend(own)
        True
        """
        return DataDictionary([*self._measures.values(), *measures])

    def require(self, name: str) -> Measure:
        """Return a measure, or say which name was meant.

        Parameters
        ----------
        name : str
            Measure name.

        Returns
        -------
        Measure
            Its entry.

        Raises
        ------
        SchemaError
            If there is no such measure.
        """
        if name not in self._measures:
            raise SchemaError(
                f"No measure {name!r} in the data dictionary.{nearest(name, self._measures)} "
                "List them with `pmsstats measures`, or describe your own under [measures]."
            )
        return self._measures[name]

    def table(self) -> pd.DataFrame:
        """Tabulate the dictionary, one row per measure.

        Returns
        -------
        pandas.DataFrame
            Columns ``name label unit technique compartment worsening kind plausible_low
            plausible_high``.
        """
        return pd.DataFrame(
            [
                {
                    "name": m.name,
                    "label": m.label,
                    "unit": m.unit,
                    "technique": m.technique,
                    "compartment": m.compartment,
                    "worsening": m.worsening,
                    "kind": m.kind,
                    "plausible_low": m.plausible[0],
                    "plausible_high": m.plausible[1],
                }
                for m in self._measures.values()
            ]
        )


def measure_from_dict(name: str, entry: Mapping[str, Any]) -> Measure:
    """Build a measure from a TOML table.

    Parameters
    ----------
    name : str
        Measure name.
    entry : mapping
        Fields of :class:`Measure` but for `name`; `label` defaults to the name.

    Returns
    -------
    Measure
        The checked entry.

    Raises
    ------
    SchemaError
        If a key is unknown or a value is of the wrong type.
    """
    fields = {f for f in Measure.__dataclass_fields__ if f != "name"}
    for key in entry:
        if key not in fields:
            raise SchemaError(f"Measure {name!r} has no field {key!r}.{nearest(key, fields)}")
    values: dict[str, Any] = {"label": name, **entry}
    try:
        for key in ("plausible", "possible"):
            if key in values:
                low, high = values[key]
                values[key] = (float(low), float(high))
        if "values" in values:
            values["values"] = tuple(float(v) for v in values["values"])
    except (TypeError, ValueError) as exc:
        raise SchemaError(
            f"`plausible`, `possible` and `values` of measure {name!r} must be lists of numbers, "
            f"got {dict(entry)!r}."
        ) from exc
    for key in ("label", "unit", "technique", "compartment", "worsening", "kind", "scale"):
        if key in values and not isinstance(values[key], str):
            raise SchemaError(
                f"`{key}` of measure {name!r} must be text in quotes, got {values[key]!r}."
            )
    return Measure(name=name, **values)


@functools.cache
def default_dictionary() -> DataDictionary:
    """Return the measures that the package knows.

    Returns
    -------
    DataDictionary
        Every technique and compartment of the review, the clinical scales, and fluid markers.
    """
    text = resources.files("pmsstats.cohort").joinpath("measures.toml").read_text("utf-8")
    return DataDictionary(
        measure_from_dict(name, entry) for name, entry in tomllib.loads(text).items()
    )
