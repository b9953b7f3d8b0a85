"""What a multiverse answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.endpoints.derivation.status import wilson_interval
from pmsstats.errors import DesignError, nearest
from pmsstats.multiverse.agreement import kappa_matrix, status_by
from pmsstats.multiverse.choices import first_twins
from pmsstats.multiverse.direction import IMPROVEMENT
from pmsstats.multiverse.event_tables import EventTables
from pmsstats.multiverse.hazard_ratios import FEW_EVENTS
from pmsstats.multiverse.headline import count_words, influence_words, ratio_words, share_words
from pmsstats.multiverse.influence import option_influence
from pmsstats.multiverse.spec import MultiverseSpec
from pmsstats.results import Exclusion, Result, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin

__all__ = ["MultiverseResult"]

_DAYS_PER_YEAR = 365.25
_MOST_NAMES = 100


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MultiverseResult(Result):
    """One analysis under many definitions of its endpoint.

    Parameters
    ----------
    spec : MultiverseSpec
        The request.
    rules : tuple of rule
        The definitions.
    options : pandas.DataFrame
        ``rule``, and one ordered categorical per option with the choice of each definition.
    definitions : pandas.DataFrame
        One row per definition: ``rule n_at_risk n_events event_share km_share median_years
        median_kappa same_as change``. The Kaplan-Meier share is taken at ``spec.at_years``; a
        median that is not reached is missing; ``same_as`` names the first definition with
        identical events; ``change`` is ``"worsening"``, ``"improvement"``, ``"mixed"`` or
        ``"unspecified"``, by the data dictionary and the direction of the rule or of its parts.
    groups : pandas.DataFrame
        The counts by definition and group: ``rule group n_at_risk n_events event_share km_share
        median_years``; ``group`` is an ordered categorical, the reference first.
    ratios : pandas.DataFrame
        One row per definition and term: ``rule term estimate std_error statistic p_value conf_low
        conf_high hazard_ratio hazard_ratio_low hazard_ratio_high few_events note``; estimates are
        log hazard ratios, missing where the note says why. ``few_events`` marks those that rest on
        fewer than five events. No rows where no hazard ratio was asked for.
    tables : EventTables
        Time to event of every subject under every definition.
    n_subjects : int
        Subjects to whom the definitions were applied.
    left_out : pandas.DataFrame
        Definitions that could not be derived from these data (``rule``) and combinations of a grid
        that contradict themselves (without a name), with their options and ``reason``.
    is_grid : bool
        Whether the definitions are the combinations of the options, from
        :func:`~pmsstats.multiverse.rule_grid`.
    origin : {"real", "synthetic"}
        Of the cohort.
    exclusions : tuple of Exclusion
        Subjects without a column that the comparison needs. Who is not at risk depends on the
        definition, and is listed by :func:`pmsstats.endpoints.derive_endpoint`.
    """

    spec: MultiverseSpec
    rules: tuple[Any, ...]
    options: pd.DataFrame
    definitions: pd.DataFrame
    groups: pd.DataFrame
    ratios: pd.DataFrame
    tables: EventTables
    n_subjects: int
    left_out: pd.DataFrame
    is_grid: bool = False
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def terms(self) -> tuple[str, ...]:
        """What hazard ratios are of; empty where none was asked for."""
        return tuple(dict.fromkeys(self.ratios["term"]))

    def headline(self) -> str:
        """Say how far the definitions agree, whom they favour, and which option matters most.

        Returns
        -------
        str
            One sentence.
        """
        where = "In synthetic data, " if self.origin == "synthetic" else ""
        rows = self._distinct()
        definitions = self.definitions.iloc[rows]
        parts = [self._ratio_words(term) for term in self.terms]
        parts.append(share_words(definitions["event_share"]))
        kappa = definitions["median_kappa"].dropna()
        if len(kappa):
            parts.append(f"median kappa between definitions {kappa.median():.2f}")
        parts += influence_words(self.influence())
        n_lost = int((self.left_out["rule"] != "").sum())
        count = count_words(len(self.rules), len(rows), n_lost)
        return f"{where}{count} on {self.n_subjects:,} subjects: {'; '.join(parts)}."

    def table(self) -> pd.DataFrame:
        """Return what each definition gives.

        Returns
        -------
        pandas.DataFrame
            One row per definition (and term, where there are several): ``rule``, the options, the
            counts of `definitions` and, where asked for, the hazard ratios of `ratios`: there
            ``estimate`` and its interval are logarithms, see :meth:`forest` for a figure's.
        """
        counts = self.definitions.drop(columns="same_as")
        table = self.options.merge(counts, on="rule", validate="one_to_one")
        if len(self.ratios):
            table = table.merge(self.ratios, on="rule", validate="one_to_many")
        return table.merge(self.definitions[["rule", "same_as"]], on="rule")

    def forest(self, term: str | None = None) -> pd.DataFrame:
        """Return hazard ratios (not logarithms) for :func:`pmsstats.plots.plot_forest`.

        Parameters
        ----------
        term : str, optional
            Whose; the first by default.

        Returns
        -------
        pandas.DataFrame
            One row per definition: ``label estimate conf_low conf_high n``, to be drawn with
            ``log=True, reference=1``.

        Raises
        ------
        DesignError
            If there is no such term.
        """
        rows = self._of_term(term)
        counts = zip(self.definitions["n_at_risk"], self.definitions["n_events"], strict=True)
        return self._ratio_frame(rows)[["rule", "estimate", "conf_low", "conf_high"]].assign(
            label=rows["rule"].astype(str),
            n=[f"{n:,} subjects, {k:,} event{'s' * (k != 1)}" for n, k in counts],
        )[["label", "estimate", "conf_low", "conf_high", "n"]]

    def influence(self, term: str | None = None) -> pd.DataFrame:
        """Rank the options by how much they move the result.

        Parameters
        ----------
        term : str, optional
            Whose hazard ratio; the first by default.

        Returns
        -------
        pandas.DataFrame
            One row per option, the most influential first: ``option n_choices n_pairs
            mean_change_log_hr largest_change_log_hr largest_from largest_to variance_log_hr
            mean_change_share largest_change_share variance_share note``.

        Raises
        ------
        DesignError
            If there is no such term.

        Notes
        -----
        Changes are between all pairs of definitions that differ in one option alone; the mean is
        over their absolute values, and the largest is shown with its sign and its two definitions.
        The variance columns are the share of the variance over all definitions that the main
        effect of an option explains beyond the others: see
        :func:`~pmsstats.multiverse.influence.variance_shares`.

        Hazard ratios that rest on few events are left out. Where the definitions are no grid,
        options in which few of them have a pair are listed without figures, and the note says so.
        """
        rows = self._distinct()
        options = self.options.iloc[rows].reset_index(drop=True)
        share = self.definitions["event_share"].to_numpy()[rows]
        if not len(self.ratios):
            return option_influence(options, None, share, is_grid=self.is_grid)
        ratios = self._of_term(term)
        estimate = ratios["estimate"].mask(ratios["few_events"]).to_numpy()[rows]
        return option_influence(options, estimate, share, is_grid=self.is_grid)

    def kappa(self, *, by_years: float | None = None) -> pd.DataFrame:
        """Return Cohen's kappa between every pair of definitions.

        Parameters
        ----------
        by_years : float, optional
            Compare who had the event by this time, in years from time zero, among those whose
            status at that time is known to both; over all of the follow-up by default.

        Returns
        -------
        pandas.DataFrame
            Square, rows and columns named after the definitions; missing where kappa is not
            defined (everybody has the same status under both).
        """
        day = None if by_years is None else by_years * _DAYS_PER_YEAR
        names = list(self.definitions["rule"])
        return pd.DataFrame(kappa_matrix(*status_by(self.tables, day)), index=names, columns=names)

    def events(self, rule: str) -> pd.DataFrame:
        """Return time to event under one definition.

        Parameters
        ----------
        rule : str
            Its name.

        Returns
        -------
        pandas.DataFrame
            ``subject_id duration event``, one row per subject at risk.

        Raises
        ------
        DesignError
            If there is no such definition.
        """
        names = list(self.definitions["rule"])
        if rule not in names:
            raise DesignError(f"No definition is called {rule!r}.{nearest(str(rule), names)}")
        row = names.index(rule)
        at_risk = self.tables.at_risk[row]
        return pd.DataFrame(
            {
                "subject_id": self.tables.subject_ids[at_risk],
                "duration": self.tables.duration[row][at_risk].astype(np.int64),
                "event": self.tables.event[row][at_risk],
            }
        )

    def plot(
        self,
        *,
        ax: Axes | None = None,
        quantity: Literal["hazard_ratio", "event_share"] | None = None,
        term: str | None = None,
        **kws: Any,
    ) -> Axes:
        """Draw the specification curve: estimates in rising order, and what each definition chose.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        quantity : {"hazard_ratio", "event_share"}, optional
            What to draw; the hazard ratio by default, where there is one.
        term : str, optional
            Whose hazard ratio; the first by default.
        **kws
            Handed to :func:`pmsstats.plots.specification_curve.plot_specification_curve`; its
            `options` are all of a grid by default. Definitions that are no grid are named instead
            (up to 100 of them).

        Returns
        -------
        matplotlib.axes.Axes
            The axes. The choices hang below it: give the figure height, and a constrained layout.

        Raises
        ------
        DesignError
            If there is no such quantity or term.
        """
        from pmsstats.plots.specification_curve import plot_specification_curve

        quantity = quantity or ("hazard_ratio" if len(self.ratios) else "event_share")
        if quantity not in ("hazard_ratio", "event_share"):
            raise DesignError(
                f"`quantity` must be 'hazard_ratio' or 'event_share', got {quantity!r}."
            )
        options: dict[str, Any] = {
            "options": () if self._has_names() else tuple(self.options.columns[1:]),
            "primary": self.spec.primary or None,
            "interval_label": f"{100 * self.spec.conf_level:g} % CI",
            "origin": self.origin,
        }
        if quantity == "event_share":
            frame = self._shares()
            options |= {"reference": None, "log": False, "percent": True}
            options["y_label"] = "Subjects with the event"
        else:
            rows = self._of_term(term)
            frame = self._ratio_frame(rows).assign(label=self._labels())
            options["y_label"] = f"Hazard ratio, {rows['term'].iloc[0]}"
            options["few_label"] = f"fewer than {FEW_EVENTS} events"
        return plot_specification_curve(frame, ax=ax, **(options | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without the events of single subjects.

        Returns
        -------
        dict
            The request, definitions, tables and influence.
        """
        return {
            "schema": "multiverse_result/1",
            "spec": to_plain(self.spec),
            "n_subjects": self.n_subjects,
            "rules": [{"type": type(rule).__name__, **to_plain(rule)} for rule in self.rules],
            "options": to_plain(self.options.astype(str)),
            "definitions": to_plain(self.definitions),
            "groups": to_plain(self.groups),
            "ratios": to_plain(self.ratios),
            "influence": to_plain(self.influence()),
            "left_out": to_plain(self.left_out.astype(str)),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }

    def _distinct(self) -> NDArray[np.int64]:
        """Return the rows of the definitions that are not another one under a second name."""
        return np.unique(first_twins(self.rules))

    def _has_names(self) -> bool:
        """Say whether a figure names the definitions, rather than what each of them chose."""
        return not self.is_grid and len(self.rules) <= _MOST_NAMES

    def _labels(self) -> list[str]:
        """Name the definitions for a figure: improvements as such, if there are others."""
        changes = self.definitions["change"]
        named = zip(self.definitions["rule"], changes, strict=True)
        apart = len(set(changes)) > 1
        return [f"{n} ({c})" if apart and c == IMPROVEMENT else n for n, c in named]

    def _sides(self, term: str) -> tuple[str, str]:
        """Say whom a hazard ratio below 1 favours where the event is a worsening, and whom not."""
        groups = list(self.groups["group"].cat.categories)
        if len(groups) == 1:
            return f"higher {self.spec.by}", f"lower {self.spec.by}"
        return groups[1 + self.terms.index(term)], groups[0]

    def _ratio_words(self, term: str) -> str:
        """Say the hazard ratios of a term."""
        rows = self._of_term(term).assign(change=self.definitions["change"])
        return ratio_words(
            rows.iloc[self._distinct()],
            term=term,
            sides=self._sides(term),
            primary=self.spec.primary,
        )

    def _of_term(self, term: str | None) -> pd.DataFrame:
        """Return the hazard ratios of one term, one row per definition."""
        if not self.terms:
            raise DesignError("No hazard ratio was asked for (by=None).")
        term = self.terms[0] if term is None else term
        if term not in self.terms:
            raise DesignError(
                f"`term` must be one of {', '.join(map(repr, self.terms))}, got {term!r}."
                f"{nearest(str(term), self.terms)}"
            )
        return self.ratios[self.ratios["term"] == term].reset_index(drop=True)

    def _ratio_frame(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return hazard ratios with their intervals, and the options."""
        return self.options.assign(
            estimate=rows["hazard_ratio"].to_numpy(),
            conf_low=rows["hazard_ratio_low"].to_numpy(),
            conf_high=rows["hazard_ratio_high"].to_numpy(),
            few_events=rows["few_events"].to_numpy(),
        )

    def _shares(self) -> pd.DataFrame:
        """Return the event shares with Wilson's intervals, and the options."""
        low, high = wilson_interval(
            self.definitions["n_events"].to_numpy(),
            self.definitions["n_at_risk"].to_numpy(),
            self.spec.conf_level,
        )
        share = self.definitions["event_share"].to_numpy()
        return self.options.assign(estimate=share, conf_low=low, conf_high=high)
