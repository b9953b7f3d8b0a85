"""The answer of every closed form: one quantity, solved for the others."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmsstats.plots.power import plot_power_curve
from pmsstats.results import Exclusion, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SHARES", "PowerResult", "years_words"]

_UNITS = {"duration": "years", "n_scans": "scans"}


SHARES = "difference of shares"
"""Unit of the effect on a proportion."""
_LOG = "log "  # begins the units of effects that are logarithms of ratios
_SHORT = 16  # characters of a unit that a legend repeats


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PowerResult(Result):
    """Sample size, power or another quantity of a trial, solved for the others.

    Parameters
    ----------
    method : str
        Name of the closed form.
    solved_for : str
        ``"n"``, ``"power"``, ``"effect"``, ``"duration"`` or ``"n_scans"``.
    value : float
        What was solved for, before rounding (for ``"n"``: subjects in all arms).
    n : tuple of int
        Subjects to randomise to each arm, reference first, those who will drop out included.
    power : float
        With `n` after rounding up.
    alpha : float
        Type I error.
    sides : int
        1 or 2.
    effect : float
        In `effect_unit`.
    effect_unit : str
        What the effect is measured in, as ``"ml per year"`` or ``"log hazard ratio"``.
    assumptions : str
        What the numbers rest on, as one sentence.
    inputs : tuple of (str, object)
        Arguments, by name, as they were given.
    curve : pandas.DataFrame
        Columns ``n effect power``: power for numbers of subjects in all arms around `n`, and three
        sizes of the effect.
    details : tuple of (str, float, str)
        Further quantities: name, value, unit (``n_events``, ``df``, ``n_scans``, ...).
    n_interval : tuple of float, optional
        Confidence interval of the number in all arms, where a pilot study gave the variances.
    conf_level : float
        Of that interval.
    origin : {"real", "synthetic"}
        Where the data of the pilot study come from.
    references : tuple of str
        Papers of the formula, with DOI.
    exclusions : tuple of Exclusion
        What the pilot study left out.
    """

    method: str
    solved_for: str
    value: float
    n: tuple[int, ...]
    power: float
    alpha: float
    sides: int
    effect: float
    effect_unit: str
    assumptions: str
    inputs: tuple[tuple[str, object], ...]
    curve: pd.DataFrame
    details: tuple[tuple[str, float, str], ...] = ()
    n_interval: tuple[float, float] | None = None
    conf_level: float = 0.95
    origin: str = "real"
    references: tuple[str, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def n_total(self) -> int:
        """Subjects in all arms."""
        return sum(self.n)

    def headline(self) -> str:
        """Return one sentence with what was solved for, and the assumptions as another."""
        assumptions = self.assumptions.strip().rstrip(".")
        return f"{self._finding()}. {assumptions[:1].upper()}{assumptions[1:]}."

    def _finding(self) -> str:
        """Say what was solved for."""
        subjects, power = self._subjects(), f"{100 * self.power:.1f} % power"
        effect, what = self._effect_words()
        size = effect.removeprefix(f"an {what} of ").removeprefix(f"a {what} of ")
        words = {
            "n": f"{subjects} give {power} to find {effect}",
            "power": f"{subjects} give {power} to find {effect}",
            "effect": f"With {subjects}, the {what} found with {power} is {size}",
            "duration": f"With {subjects}, {power} to find {effect} takes {self._time()}",
            "n_scans": f"With {subjects}, {power} to find {effect} takes "
            f"{_whole_up(self.value):g} scans of each subject",
        }
        interval = ""
        if self.n_interval is not None:
            low, high = (f"{_whole_up(end):.0f}" for end in self.n_interval)
            level = f"{100 * self.conf_level:g} % interval from the pilot data"
            interval = f" ({level}: {low} to {high} subjects)"
        return words[self.solved_for] + interval

    def _effect_words(self) -> tuple[str, str]:
        """Say an effect, and what it is: a ratio as such where its logarithm was worked with."""
        if self.effect_unit.startswith(_LOG):
            ratio = self.effect_unit.removeprefix(_LOG)
            return f"a {ratio} of {math.exp(self.effect):.4g}", ratio
        if self.effect_unit == SHARES:
            return f"a {SHARES} of {self.effect:.4g}", SHARES
        return f"an effect of {self.effect:.4g} {self.effect_unit}".strip(), "effect"

    def _time(self) -> str:
        """Say a duration, and from when it counts where subjects enter one after another."""
        times = {name: value for name, value, _ in self.details}
        follow_up, total = times.get("follow_up"), times.get("duration")
        if follow_up is None or total is None or follow_up == total:
            return years_words(self.value)
        return f"{years_words(follow_up)} after the last entry, {years_words(total)} from the first"

    def _subjects(self) -> str:
        """Say how many subjects there are, and in which arms."""
        if len(self.n) == 1:
            return f"{self.n[0]} subjects"
        return f"{self.n_total} subjects ({' + '.join(str(k) for k in self.n)})"

    def table(self) -> pd.DataFrame:
        """Return quantities with their units: columns ``quantity value unit``."""
        arms = (
            ("n_reference", "n_treated")
            if len(self.n) == 2
            else tuple(f"n_arm_{i + 1}" for i in range(len(self.n)))
        )
        rows: list[tuple[str, float, str]] = [("n", self.n_total, "subjects")]
        if self.solved_for == "n":
            rows.append(("n_unrounded", self.value, "subjects"))
        if self.n_interval is not None:
            ends = zip(("n_low", "n_high"), self.n_interval, strict=True)
            rows += [(name, end, "subjects") for name, end in ends]
        rows += [(name, k, "subjects") for name, k in zip(arms, self.n, strict=True)]
        rows += [
            ("power", self.power, "probability"),
            ("alpha", self.alpha, "probability"),
            ("sides", self.sides, ""),
            ("effect", self.effect, self.effect_unit),
        ]
        if self.solved_for in _UNITS and self.solved_for not in {d[0] for d in self.details}:
            rows.append((self.solved_for, self.value, _UNITS[self.solved_for]))
        frame = pd.DataFrame([*rows, *self.details], columns=["quantity", "value", "unit"])
        return frame.astype({"value": float})

    def display(self) -> pd.DataFrame:
        """Return the table as it is shown: text, whole numbers without decimals."""
        rows = self.table()
        values = [
            format_number(round(v)) if math.isfinite(v) and v == round(v) else format_number(v)
            for v in rows["value"]
        ]
        names = [name.replace("_", " ") for name in rows["quantity"]]
        return pd.DataFrame({"Quantity": names, "Value": values, "Unit": rows["unit"]})

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw power against the number of subjects, with `n` marked."""
        sizes = sorted(set(self.curve["effect"]), key=abs)
        is_log = self.effect_unit.startswith(_LOG)
        labels = {size: f"{math.exp(size) if is_log else size:.3g}" for size in sizes}
        unit = self.effect_unit.removeprefix(_LOG)
        label = unit if is_log else f"effect ({unit})" if unit and len(unit) <= _SHORT else "effect"
        order = list(dict.fromkeys(labels.values()))
        groups = pd.Categorical(self.curve["effect"].map(labels), order)
        options = {
            "group": "group",
            "group_label": label,
            "mark": (self.n_total, self.power),
            "origin": self.origin,
            **kws,
        }
        return plot_power_curve(self.curve.assign(group=groups), ax=ax, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        names = [f.name for f in fields(self) if f.name not in {"inputs", "details"}]
        return {
            "schema": "power_result/1",
            "headline": self.headline(),
            "n_total": self.n_total,
            **{name: to_plain(getattr(self, name)) for name in names},
            "inputs": {name: to_plain(value) for name, value in self.inputs},
            "details": [
                {"quantity": name, "value": to_plain(value), "unit": unit}
                for name, value, unit in self.details
            ],
        }


def years_words(years: float) -> str:
    """Say a number of years.

    Parameters
    ----------
    years : float
        Rounded to three digits.

    Returns
    -------
    str
        For example ``"1 year"``.

    Examples
    --------
    >>> years_words(1.0), years_words(2.504)
    ('1 year', '2.5 years')
    """
    text = f"{years:.3g}"
    return f"{text} year{'' if text == '1' else 's'}"


def _whole_up(value: float) -> float:
    """Round up, except what is infinite."""
    return math.ceil(value - 1e-9) if math.isfinite(value) else value
