"""Least-squares means and the differences between them, as an answer in numbers and in words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.models.fixed_effects.inference import quantile
from pmsstats.models.fixed_effects.multiplicity import (
    Adjustment,
    adjust_p_values,
    simultaneous_level,
    tukey_half_widths,
    tukey_p_values,
)
from pmsstats.plots.means import plot_means
from pmsstats.results import Exclusion, Result, format_interval, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.fixed_effects.fixed_result import FixedEffectsResult

__all__ = ["Comparison", "Held", "MeansResult", "Weighting"]

Weighting = Literal["equal", "proportional"]
Comparison = Literal["reference", "pairwise", "consecutive"]
Held = Mapping[str, float | str | Sequence[float | str]]

_COMPARISONS = ("reference", "pairwise", "consecutive")
_MOST_IN_WORDS = 4


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MeansResult(Result):
    """Least-squares means per combination of groups.

    Parameters
    ----------
    fit : FixedEffectsResult
        The model they come from.
    by : tuple of str
        Columns that are told apart; the last one varies fastest.
    at : mapping
        Values at which covariates were held.
    weighting : {"equal", "proportional"}
        How levels of the other factors were averaged over.
    means : pandas.DataFrame
        One row per combination: ``term``, the columns `by`, ``estimate std_error [df] statistic
        p_value conf_low conf_high n_subjects``; the test is of a mean of zero.
    contrasts : ndarray, shape (n_means, p)
        Weights of the fixed effects; missing in rows that cannot be estimated.
    averaged : tuple of str
        Factors that were averaged over.
    held : mapping of str to float
        Numeric covariates that were held at their mean over the rows analysed, and that mean.
    exclusions : tuple of Exclusion
        What the model left out.
    """

    fit: FixedEffectsResult
    by: tuple[str, ...]
    at: Mapping[str, tuple[Any, ...]]
    weighting: Weighting
    means: pd.DataFrame
    contrasts: np.ndarray
    averaged: tuple[str, ...]
    held: Mapping[str, float] = field(default_factory=dict)
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader should know: averaged how, held where, and what has no estimate."""
        lost = self.means.loc[self.means["estimate"].isna(), "term"].tolist()
        how = "equally" if self.weighting == "equal" else "as they occur"
        held = {name: values[0] for name, values in self.at.items() if name not in self.by}
        return (
            *((f"levels of {', '.join(self.averaged)} weighted {how}",) if self.averaged else ()),
            *(f"at {name} = {_plain(value)}" for name, value in held.items()),
            *(
                f"{name} held at its mean {format_number(value)}"
                for name, value in self.held.items()
            ),
            *((f"cannot be estimated: {'; '.join(lost)}",) if lost else ()),
        )

    def headline(self) -> str:
        """Say what the means are, on whom, and what limits trust."""
        rows = [row for row in self.means.to_dict("records") if math.isfinite(row["estimate"])]
        unit = f" {self.fit.unit}" if self.fit.unit else ""
        if not rows:
            told = "cannot be estimated"
        elif len(rows) <= _MOST_IN_WORDS:
            level = f"{100 * self.fit.spec.conf_level:g} % CI"
            told = "; ".join(
                f"{_interval(row).replace('(', f'({level} ', 1)}{unit} in {row['term']}"
                for row in rows
            )
        else:
            low, high = (f([row["estimate"] for row in rows]) for f in (min, max))
            told = f"{len(rows)} means from {low:.4g} to {high:.4g}{unit}"
        synthetic = "synthetic " if self.fit.origin == "synthetic" else ""
        words = [f"in {self.fit.n_subjects} {synthetic}subjects", *self.notes]
        if not self.fit.fit_log.converged:
            words.append("the fit did NOT converge")
        return f"Mean {self.fit.label} by {' and '.join(self.by)}: {told}; {'; '.join(words)}."

    def table(self) -> pd.DataFrame:
        """Return one row per combination of groups."""
        return self.means.copy()

    def differences(
        self,
        of: str | None = None,
        within: str | Sequence[str] | None = None,
        *,
        reference: Any = None,
        method: Comparison = "reference",
        adjust: Adjustment | None = None,
    ) -> pd.DataFrame:
        """Estimate differences between means.

        Parameters
        ----------
        of : str, optional
            Column whose groups are compared; by default the first of :attr:`by`.
        within : str or sequence of str, optional
            The other columns, in each combination of which they are compared. Need not be said.
        reference : object, optional
            Group that the others are compared with (method ``"reference"``); by default the first.
        method : {"reference", "pairwise", "consecutive"}, default "reference"
            Each group minus the reference; every later minus every earlier one; each minus the one
            before it.
        adjust : {"bonferroni", "holm", "sidak", "tukey"}, optional
            Adjust for the comparisons within each combination of the other columns; ``"tukey"``
            for all pairs only.

        Returns
        -------
        pandas.DataFrame
            ``term``, the other columns, ``estimate std_error [df] statistic p_value conf_low
            conf_high``, unadjusted; with `adjust` also ``p_value_adjusted conf_low_adjusted
            conf_high_adjusted`` (Holm's intervals are Bonferroni's).

        Raises
        ------
        DesignError
            If a column, a group or a method is unknown.

        Notes
        -----
        R: ``contrast(emmeans(model, ~ arm | visit), "trt.vs.ctrl1")``, ``"revpairwise"``,
        ``"consec"``; SAS: ``LSMEANS arm*visit / DIFF`` (where the sign of a pair may be the other).

        Examples
        --------
        >>> from pmsstats.models.mixed.lmm import fit_lmm
        >>> from pmsstats.models.fixed_effects.marginal_means import estimate_means
        >>> rng = np.random.default_rng(1)
        >>> visits = pd.DataFrame({"subject_id": np.repeat(range(30), 3), "year": [0, 1, 2] * 30})
        >>> visits["arm"] = np.where(visits["subject_id"] % 2, "active", "placebo")
        >>> visits["sdmt"] = 50 - visits["year"] + np.repeat(rng.normal(0, 5, 30), 3)
        >>> visits["sdmt"] += rng.normal(0, 2, 90)
        >>> fit = fit_lmm(visits, "sdmt ~ year * arm + (1 | subject_id)")
        >>> means = estimate_means(fit, "arm", at={"year": 2})
        >>> means.differences(reference="placebo")["term"].tolist()
        ['active - placebo']
        """
        if adjust == "tukey" and method != "pairwise":
            raise DesignError(
                f"`adjust` 'tukey' is for all pairs of groups: method='pairwise', got "
                f"{method!r}. For other comparisons use 'holm', or 'bonferroni' for intervals too."
            )
        of = self._compared(of, within)
        rest = [name for name in self.by if name != of]
        pairs = _pairs(list(self.means[of].unique()), reference, method)
        families = [(), *self.means[rest].drop_duplicates().itertuples(index=False)]
        tables = []
        for family in families[1:] if rest else families[:1]:
            made = self._family(of, dict(zip(rest, family, strict=True)), pairs)
            tables.append(made if adjust is None else self._adjusted(made, adjust))
        table = pd.concat(tables, ignore_index=True)
        for name in rest:
            if isinstance(self.means[name].dtype, pd.CategoricalDtype):
                table[name] = table[name].astype(self.means[name].dtype)
        return table

    def _compared(self, of: str | None, within: str | Sequence[str] | None) -> str:
        """Check which column is compared within which."""
        of = self.by[0] if of is None else of
        if of not in self.by:
            raise DesignError(
                f"`of` must be one of {', '.join(self.by)}, by which these means are, got {of!r}."
                f"{nearest(str(of), self.by)}"
            )
        rest = {name for name in self.by if name != of}
        asked = rest if within is None else {within} if isinstance(within, str) else set(within)
        if asked != rest:
            raise DesignError(
                f"`within` must name every other column that these means are by "
                f"({', '.join(sorted(rest)) or 'there is none'}), got {within!r}. For others ask "
                f"for other means: by={(of, *sorted(asked))!r}."
            )
        return of

    def _family(
        self, of: str, cell: Mapping[str, Any], pairs: Sequence[tuple[Any, Any]]
    ) -> pd.DataFrame:
        """Compare the groups in one combination of the other columns."""
        inside = np.ones(len(self.means), dtype=bool)
        for name, value in cell.items():
            inside &= (self.means[name] == value).to_numpy(dtype=bool)
        weights = dict(zip(self.means.loc[inside, of], self.contrasts[inside], strict=True))
        made = self.fit.estimate(
            [f"{_plain(a)} - {_plain(b)}" for a, b in pairs],
            np.array([weights[a] - weights[b] for a, b in pairs]),
        )
        for position, (name, value) in enumerate(cell.items(), start=1):
            made.insert(position, name, [value] * len(made))
        return made

    def _adjusted(self, made: pd.DataFrame, adjust: Adjustment) -> pd.DataFrame:
        """Add adjusted p values and simultaneous intervals."""
        if adjust == "tukey":
            return self._as_tukey(made)
        n = int(made["p_value"].notna().sum())
        level = simultaneous_level(self.fit.spec.conf_level, n, adjust)
        df = made["df"].to_numpy() if "df" in made else None
        half = quantile(level, df) * made["std_error"]
        return made.assign(
            p_value_adjusted=adjust_p_values(made["p_value"].to_numpy(), adjust),
            conf_low_adjusted=made["estimate"] - half,
            conf_high_adjusted=made["estimate"] + half,
        )

    def _as_tukey(self, made: pd.DataFrame) -> pd.DataFrame:
        """Add Tukey's p values and intervals of all pairs."""
        n_groups = round((1 + math.sqrt(1 + 8 * len(made))) / 2)  # n (n - 1) / 2 pairs
        df = made["df"].to_numpy() if "df" in made else None
        level = self.fit.spec.conf_level
        half = tukey_half_widths(made["std_error"].to_numpy(), df, n_groups, level)
        return made.assign(
            p_value_adjusted=tukey_p_values(made["statistic"].to_numpy(), df, n_groups),
            conf_low_adjusted=made["estimate"] - half,
            conf_high_adjusted=made["estimate"] + half,
        )

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the means with intervals and n; ``x=`` names the column of the axis."""
        x = kws.pop("x", self.by[-1])
        if x not in self.by:
            raise DesignError(f"`x` must be one of {', '.join(self.by)}, got {x!r}.")
        measure = self.fit.measure
        visit = getattr(self.fit.spec, "visit", "visit")
        options = {
            "x_label": "Visit" if x == "visit" else x,
            "y_label": f"Mean {measure.axis_label if measure else self.fit.label}",
            "joined": x == visit or pd.api.types.is_numeric_dtype(self.means[x]),
            "origin": self.fit.origin,
            **kws,
        }
        return plot_means(self._drawn(x), ax=ax, **options)

    def _drawn(self, x: str) -> pd.DataFrame:
        """Collect the columns of the figure."""
        table = self.means
        frame = pd.DataFrame(
            {
                "visit": _ordered(table[x].map(_plain).astype(str)),
                **{name: table[name] for name in ("estimate", "conf_low", "conf_high")},
                "n": table["n_subjects"],
            }
        )
        if pd.api.types.is_numeric_dtype(table[x]):
            frame["position"] = table[x].astype(float)
        groups = [name for name in self.by if name != x]
        if groups:
            shown = [table[name].map(_plain).astype(str) for name in groups]
            frame["group"] = _ordered(pd.Series([", ".join(t) for t in zip(*shown, strict=True)]))
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "means_result/1",
            "headline": self.headline(),
            "formula": self.fit.spec.formula(),
            "by": list(self.by),
            "at": to_plain(self.at),
            "weighting": self.weighting,
            "averaged": list(self.averaged),
            "held": to_plain(self.held),
            "means": to_plain(self.means),
            "label": self.fit.label,
            "unit": self.fit.unit,
            "n_subjects": self.fit.n_subjects,
            "converged": self.fit.fit_log.converged,
            "notes": list(self.notes),
            "origin": self.fit.origin,
            "exclusions": to_plain(self.exclusions),
        }


def _pairs(groups: list[Any], reference: Any, method: Comparison) -> list[tuple[Any, Any]]:
    """List which group is compared with which."""
    if method not in _COMPARISONS:
        raise DesignError(
            f"`method` must be one of {', '.join(_COMPARISONS)}, got {method!r}."
            f"{nearest(str(method), _COMPARISONS)}"
        )
    if len(groups) < 2:
        raise DesignError(f"There is one group only ({_plain(groups[0])}), so no difference.")
    if reference is not None and method != "reference":
        raise DesignError(f"`reference` has no meaning with method={method!r}. Leave it out.")
    if method == "consecutive":
        return [(b, a) for a, b in itertools.pairwise(groups)]
    if method == "pairwise":
        return [(b, a) for a, b in itertools.combinations(groups, 2)]
    shown = {_plain(group): group for group in groups}
    base = shown.get(_plain(groups[0] if reference is None else reference))
    if base is None:
        raise DesignError(
            f"`reference` must be one of {', '.join(shown)}, got {reference!r}."
            f"{nearest(str(reference), shown)}"
        )
    return [(group, base) for group in groups if group != base]


def _ordered(values: pd.Series) -> pd.Categorical:
    """Return text as a categorical in order of appearance."""
    return pd.Categorical(values, categories=list(dict.fromkeys(values)), ordered=True)


def _plain(value: Any) -> str:
    """Write a level or a number."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _interval(row: Mapping[str, Any]) -> str:
    """Write a mean with its interval."""
    return format_interval(row["estimate"], row["conf_low"], row["conf_high"])
