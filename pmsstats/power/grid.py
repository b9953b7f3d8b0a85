"""A closed form over a grid of its arguments: power curves and contour plots."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.plots.power import plot_power_contours, plot_power_curve
from pmsstats.power.result import PowerResult
from pmsstats.power.solving import check_choice
from pmsstats.results import Exclusion, Result, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PowerGrid", "power_grid"]

_LABELS = {"n": "Subjects in all arms", "power": "Power", "sd": "SD", "icc": "ICC"}
_ANSWERS = ("n", "power", "effect", "value")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PowerGrid(Result):
    """A closed form at many values of one or two of its arguments.

    Parameters
    ----------
    rows : pandas.DataFrame
        One column per argument that varies, then ``n power effect value`` of each answer (see
        :class:`~pmsstats.power.result.PowerResult`; `n` in all arms). Where an argument is itself
        called so, its column holds what was given. Missing where the design cannot be carried out.
    along : tuple of str
        Arguments that vary.
    solved_for : str
        What each answer was solved for.
    function : str
        Name of the closed form.
    assumptions : str
        Of the first answer, one sentence.
    fixed : tuple of (str, object)
        The other arguments.
    effect_unit : str
        Of the effect.
    origin : {"real", "synthetic"}
        Where the data of a pilot study come from, if there is one.
    exclusions : tuple of Exclusion
        Points of the grid without an answer, with the reason.
    """

    rows: pd.DataFrame
    along: tuple[str, ...]
    solved_for: str
    function: str
    assumptions: str
    fixed: tuple[tuple[str, object], ...]
    effect_unit: str = ""
    origin: str = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Return the range of the answers, and the assumptions."""
        name = self._answer()
        values = self.rows[name].dropna()
        low, high = (self._shown(name, v) for v in (values.min(), values.max()))
        over = " and ".join(
            f"{column} from {_shown_value(self.rows[column].iloc[0])} to "
            f"{_shown_value(self.rows[column].iloc[-1])}"
            for column in self.along
        )
        what = {"n": "Subjects in all arms", "power": "Power", "effect": "Effect"}.get(
            name, self.solved_for.replace("_", " ").capitalize()
        )
        left_out = sum(e.n for e in self.exclusions)
        gaps = f"; {left_out} of {len(self.rows)} designs cannot be carried out" if left_out else ""
        assumptions = self.assumptions.strip().rstrip(".")
        return f"{what} from {low} to {high} over {over}{gaps}. First design: {assumptions}."

    def _answer(self) -> str:
        """Return the column that was solved for."""
        return self.solved_for if self.solved_for in {"n", "power", "effect"} else "value"

    def _shown(self, name: str, value: float) -> str:
        """Return an answer as text."""
        if name == "power":
            return f"{100 * value:.1f} %"
        return f"{value:.0f}" if name == "n" else f"{value:.4g}"

    def table(self) -> pd.DataFrame:
        """Return one row per design."""
        return self.rows.copy()

    def plot(self, *, ax: Axes | None = None, kind: str | None = None, **kws: Any) -> Axes:
        """Draw the answer against what varies.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            The current axes by default.
        kind : {"curve", "contour"}, optional
            Curves (one per value of the second argument), or lines of equal answers over both.
            Curves by default.
        **kws
            To :func:`~pmsstats.plots.power.plot_power_curve` or
            :func:`~pmsstats.plots.power.plot_power_contours`.

        Returns
        -------
        matplotlib.axes.Axes
            With the figure.

        Raises
        ------
        DesignError
            If contours are asked for along a single argument, or along one that is no number.
        """
        check_choice("kind", kind or "curve", ("curve", "contour"))
        name = self._answer()
        label = _LABELS.get(name, self.solved_for.replace("_", " ").capitalize())
        if name == "effect" and self.effect_unit:
            label = f"Effect ({self.effect_unit})"
        first, *second = self.along
        if kind != "contour":
            options = {"x_label": self._label(first), "y_label": label, "origin": self.origin}
            data = self.rows
            if second:
                shown = data[second[0]].map(_shown_value)
                groups = pd.Categorical(shown, list(dict.fromkeys(shown)))
                data = data.assign(**{second[0]: groups})
                options |= {"group": second[0], "group_label": self._label(second[0])}
            return plot_power_curve(data, x=first, y=name, ax=ax, **{**options, **kws})
        self._check_contour()
        options = {
            "x_label": self._label(first),
            "y_label": self._label(second[0]),
            "value_label": label,
            "origin": self.origin,
            **kws,
        }
        return plot_power_contours(self.rows, x=first, y=second[0], value=name, ax=ax, **options)

    def _label(self, name: str) -> str:
        """Return an argument as a label of an axis."""
        if name == "effect" and self.effect_unit:
            return f"Effect ({self.effect_unit})"
        words = _LABELS.get(name, name.replace("_", " "))
        return words[:1].upper() + words[1:]

    def _check_contour(self) -> None:
        """Refuse contours over anything but two numbers."""
        if len(self.along) != 2:
            raise DesignError(
                f"kind='contour' needs two arguments that vary, but only `{self.along[0]}` does. "
                "Give two in `along`, or use kind='curve'."
            )
        for name in self.along:
            if not pd.api.types.is_numeric_dtype(self.rows[name]):
                raise DesignError(
                    f"kind='contour' needs numbers along both axes, but `{name}` holds "
                    f"{self.rows[name].iloc[0]!r}. Use kind='curve'."
                )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "power_grid/1",
            "headline": self.headline(),
            "function": self.function,
            "solved_for": self.solved_for,
            "along": list(self.along),
            "assumptions": self.assumptions,
            "fixed": {name: to_plain(value) for name, value in self.fixed},
            "effect_unit": self.effect_unit,
            "origin": self.origin,
            "rows": to_plain(self.rows),
            "exclusions": to_plain(self.exclusions),
        }


def power_grid(
    function: Callable[..., PowerResult], *, along: Mapping[str, Sequence[Any]], **fixed: Any
) -> PowerGrid:
    """Evaluate a closed form at each combination of values of one or two of its arguments.

    Parameters
    ----------
    function : callable
        Any ``power_`` or ``sample_size_`` function.
    along : mapping of str to sequence
        Argument and its values, for one or two arguments: the first is the horizontal axis of a
        figure.
    **fixed
        The other arguments of the function.

    Returns
    -------
    PowerGrid
        One row per combination. A design that cannot be carried out leaves a row without an
        answer, and its reason in ``excluded()``.

    Raises
    ------
    DesignError
        If not one or two arguments vary, one of them is fixed too or has no values, or no design
        of the grid can be carried out (with the first reason).

    Examples
    --------
    >>> from pmsstats.power.change import sample_size_change
    >>> grid = power_grid(sample_size_change, along={"effect": (0.4, 0.5, 0.6)}, sd=1.0)
    >>> grid.table()["n"].tolist()
    [200.0, 128.0, 90.0]
    """
    values = _check_along(along, fixed)
    names = tuple(values)
    answers: list[PowerResult | None] = []
    reasons: dict[str, int] = {}
    points = list(itertools.product(*values.values()))
    for point in points:
        try:
            answers.append(function(**dict(zip(names, point, strict=True)), **fixed))
        except DesignError as error:
            answers.append(None)
            reasons[str(error)] = reasons.get(str(error), 0) + 1
    found = [answer for answer in answers if answer is not None]
    if not found:
        raise DesignError(f"No design of the grid can be carried out. {next(iter(reasons))}")
    return PowerGrid(
        rows=_rows(names, points, answers),
        along=names,
        solved_for=found[0].solved_for,
        function=function.__name__,
        assumptions=found[0].assumptions,
        fixed=tuple(fixed.items()),
        effect_unit=found[0].effect_unit,
        origin=found[0].origin,
        exclusions=tuple(
            Exclusion(stage="power grid", unit="row", reason=reason, n=count)
            for reason, count in reasons.items()
        ),
    )


def _check_along(
    along: Mapping[str, Sequence[Any]], fixed: Mapping[str, Any]
) -> dict[str, list[Any]]:
    """Return the values of each argument that varies."""
    if not 1 <= len(along) <= 2:
        raise DesignError(
            f"`along` must hold one or two arguments with their values, got {list(along)!r}."
        )
    values = {name: list(given) for name, given in along.items()}
    for name, given in values.items():
        if name in fixed:
            raise DesignError(f"`{name}` varies in `along`, and is fixed to {fixed[name]!r} too.")
        if not given:
            raise DesignError(f"`along` holds no values of `{name}`.")
    return values


def _rows(
    names: tuple[str, ...], points: list[tuple[Any, ...]], answers: list[PowerResult | None]
) -> pd.DataFrame:
    """Tabulate the answers."""
    columns: dict[str, list[Any]] = {
        name: [point[i] for point in points] for i, name in enumerate(names)
    }
    read = {"n": "n_total", "power": "power", "effect": "effect", "value": "value"}
    for name in _ANSWERS:
        if name not in columns:
            columns[name] = [
                float("nan") if answer is None else float(getattr(answer, read[name]))
                for answer in answers
            ]
    return pd.DataFrame(columns)


def _shown_value(value: Any) -> str:
    """Return a value of an argument as text."""
    number = isinstance(value, int | float | np.integer | np.floating)
    return f"{value:g}" if number and not isinstance(value, bool) else str(value)
