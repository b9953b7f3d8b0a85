"""Reference populations of the MSFC: means and SDs against which components are standardised."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.endpoints.scores.visit_columns import number_column, require_visits
from pmsstats.errors import DesignError, nearest
from pmsstats.results import Exclusion, exclude

__all__ = [
    "NMSS_TASK_FORCE",
    "REFERENCE_POPULATIONS",
    "BaselineReference",
    "ReferencePopulation",
    "reference_from_baseline",
    "reference_from_table",
]

COMPONENTS: Mapping[str, str] = MappingProxyType(
    {
        "t25fw_s": "timed 25-foot walk (s)",
        "nhpt_per_s": "reciprocal of the nine-hole peg test, mean of both hands (1/s)",
        "pasat3": "PASAT-3 (correct answers)",
        "sdmt": "symbol digit modalities test (correct answers)",
        "lcla_letters": "low-contrast letter acuity (letters)",
    }
)
"""What a reference can give the mean and SD of, in the form in which it is standardised."""


@dataclass(frozen=True, kw_only=True)
class ReferencePopulation:
    """Mean and SD of each component in some population.

    Parameters
    ----------
    name : str
        Short name.
    values : tuple of tuple
        Triples of component (a key of :data:`COMPONENTS`), mean and SD.
    n_subjects : int, optional
        Size of the population, where known.
    citation : str
        Where it comes from.
    note : str
        What to know.

    Raises
    ------
    DesignError
        If a component is unknown or named twice, or an SD is not above 0.

    Examples
    --------
    >>> NMSS_TASK_FORCE.mean("t25fw_s"), NMSS_TASK_FORCE.sd("t25fw_s")
    (9.5353, 11.4058)
    """

    name: str
    values: tuple[tuple[str, float, float], ...]
    n_subjects: int | None = None
    citation: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check components, means and SDs."""
        names = [component for component, _, _ in self.values]
        for component, mean, sd in self.values:
            if component not in COMPONENTS:
                raise DesignError(
                    f"The reference {self.name!r} names {component!r}, which is no component."
                    f"{nearest(component, COMPONENTS)} Components: {', '.join(COMPONENTS)}."
                )
            if not (math.isfinite(mean) and math.isfinite(sd) and sd > 0):
                raise DesignError(
                    f"The reference {self.name!r} must give {component} a finite mean and an SD "
                    f"above 0, got {mean!r} and {sd!r}."
                )
        if not names or len(set(names)) != len(names):
            raise DesignError(
                f"The reference {self.name!r} must name each component once, got "
                f"{', '.join(names) or 'none'}."
            )

    @property
    def components(self) -> tuple[str, ...]:
        """The components that it knows."""
        return tuple(component for component, _, _ in self.values)

    def mean(self, component: str) -> float:
        """Return the mean of a component.

        Parameters
        ----------
        component : str
            Key of :data:`COMPONENTS`.

        Returns
        -------
        float
            In the unit of the component.

        Raises
        ------
        DesignError
            If the reference does not know it.
        """
        return self._of(component)[0]

    def sd(self, component: str) -> float:
        """Return the standard deviation of a component.

        Parameters
        ----------
        component : str
            Key of :data:`COMPONENTS`.

        Returns
        -------
        float
            In the unit of the component.

        Raises
        ------
        DesignError
            If the reference does not know it.
        """
        return self._of(component)[1]

    def _of(self, component: str) -> tuple[float, float]:
        """Return mean and SD of a component."""
        known = {name: (mean, sd) for name, mean, sd in self.values}
        if component not in known:
            raise DesignError(
                f"The reference {self.name!r} has no {component} ({COMPONENTS.get(component, '?')})"
                f"; it has {', '.join(known)}. Use reference='baseline', or give a table."
            )
        return known[component]


NMSS_TASK_FORCE = ReferencePopulation(
    name="task_force",
    values=(
        ("t25fw_s", 9.5353, 11.4058),
        ("nhpt_per_s", 0.0439, 0.0101),
        ("pasat3", 45.0311, 12.0771),
    ),
    citation=(
        "National MS Society Clinical Outcomes Assessment Task Force, pooled data sets, as printed "
        "in Fischer JS, Jak AJ, Kniker JE, Rudick RA, Cutter G. Multiple Sclerosis Functional "
        "Composite (MSFC): administration and scoring manual. National Multiple Sclerosis "
        "Society, revised October 2001."
    ),
    note=(
        "The six figures were read, and agree, in three programs that follow the manual: "
        "https://github.com/Zsolaj123/MS-calculators, src/lib/data/msfc-reference.ts (all "
        "decimals); https://github.com/AnasZakarya/MSpectrum, Codes/scores.html (9.54 and 11.41, "
        "0.0439 and 0.0101, 45.03 and 12.08); and a public R script that scores the EPIC cohort by "
        "the manual (all decimals). A fourth program differs (9.5238 and 11.4308, 45.0435 and "
        "12.2744) without saying why. The manual's own page of figures was not seen. The "
        "population is mixed, its walks very skewed: z of the walk hardly moves in patients who "
        "walk well."
    ),
)
"""The reference of the National MS Society Task Force."""

REFERENCE_POPULATIONS: Mapping[str, ReferencePopulation] = MappingProxyType(
    {"task_force": NMSS_TASK_FORCE}
)
"""Published references by name; ``"baseline"`` is made of the data at hand."""


def reference_from_table(table: pd.DataFrame, *, name: str = "table") -> ReferencePopulation:
    """Make a reference of a table of means and SDs.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``component`` (keys of :data:`COMPONENTS`), ``mean`` and ``sd``; the peg test as
        the reciprocal in 1/s, averaged over hands.
    name : str, default "table"
        Short name.

    Returns
    -------
    ReferencePopulation
        The reference.

    Raises
    ------
    DesignError
        If a column is absent, or the reference is not sound.
    """
    absent = [column for column in ("component", "mean", "sd") if column not in table.columns]
    if absent:
        raise DesignError(
            f"A reference table needs the columns component, mean and sd, but has no {absent[0]!r}"
            f". It has: {', '.join(map(str, table.columns))}."
        )
    values = tuple(
        (str(row.component), float(row.mean), float(row.sd))
        for row in table[["component", "mean", "sd"]].itertuples(index=False)
    )
    return ReferencePopulation(name=name, values=values)


@dataclass(frozen=True, kw_only=True)
class BaselineReference:
    """The reference that a data set gives itself.

    Parameters
    ----------
    reference : ReferencePopulation
        Mean and SD (divided by n - 1) at baseline.
    is_baseline : ndarray of bool, shape (n_visits, n_components)
        Which values it was made of.
    exclusions : tuple of Exclusion
        Subjects without a baseline value, by component.
    """

    reference: ReferencePopulation
    is_baseline: NDArray[np.bool_]
    exclusions: tuple[Exclusion, ...]


def reference_from_baseline(
    visits: pd.DataFrame,
    components: Sequence[str],
    *,
    window_days: int = 0,
    complete: bool = False,
) -> BaselineReference:
    """Make a reference of the baseline of the data at hand, all subjects pooled.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per visit: ``subject_id``, ``day`` and the components as they are standardised.
    components : sequence of str
        Keys of :data:`COMPONENTS`.
    window_days : int, default 0
        A first assessment up to so many days after day 0 serves a subject who has none before.
    complete : bool, default False
        Whether only subjects with a baseline value of every component belong to it.

    Returns
    -------
    BaselineReference
        The reference, and which values it was made of.

    Raises
    ------
    DesignError
        If fewer than two subjects have a baseline value of a component, or all have the same.

    Notes
    -----
    A subject's baseline value of a component is the last one at or before day 0. Groups are
    pooled, as treatment has not begun. Values that stand for tests that could not be done belong
    to it, if the data have them.
    """
    require_visits(visits, components)
    values = np.column_stack([number_column(visits, name) for name in components])
    days = visits["day"].to_numpy(dtype=float)
    ids = visits["subject_id"].reset_index(drop=True)
    is_baseline = np.column_stack(
        [_baseline_rows(ids, days, ~np.isnan(column), window_days) for column in values.T]
    )
    has = pd.DataFrame(is_baseline).groupby(ids, observed=True, sort=False).any()
    if complete:
        is_baseline &= ids.isin(has.index[has.all(axis=1)]).to_numpy()[:, None]
    exclusions: tuple[Exclusion, ...] = ()
    for at, name in enumerate(components):
        reason = f"no {name} at baseline: not in the reference"
        exclusions += exclude("MSFC reference", "subject", reason, has.index[~has[at]])
    rows = zip(components, values.T, is_baseline.T, strict=True)
    reference = ReferencePopulation(
        name="baseline",
        values=tuple((name, *_mean_sd(column[used], name)) for name, column, used in rows),
        n_subjects=int(ids[is_baseline.any(axis=1)].nunique()),
        citation="The data themselves.",
        note="Last value at or before day 0, subjects of all groups pooled; SD with n - 1.",
    )
    return BaselineReference(reference=reference, is_baseline=is_baseline, exclusions=exclusions)


def _baseline_rows(
    ids: pd.Series, days: NDArray[np.float64], known: NDArray[np.bool_], window_days: int
) -> NDArray[np.bool_]:
    """Say which row is each subject's baseline of one component."""
    order = np.argsort(days, kind="stable")
    before = order[known[order] & (days[order] <= 0)]
    last = before[~ids[before].duplicated(keep="last").to_numpy()]
    after = order[known[order] & (days[order] > 0) & (days[order] <= window_days)]
    after = after[~ids[after].isin(ids[last]).to_numpy()]
    first = after[~ids[after].duplicated(keep="first").to_numpy()]
    rows = np.zeros(len(ids), dtype=bool)
    rows[last] = rows[first] = True
    return rows


def _mean_sd(values: NDArray[np.float64], name: str) -> tuple[float, float]:
    """Return mean and SD, and refuse where there is none."""
    if len(values) < 2 or np.ptp(values) == 0:
        found = f"{len(values)} of them" if len(values) < 2 else "the same value in all"
        raise DesignError(
            f"A baseline reference needs {name} of two subjects or more that differ, at or before "
            f"day 0, but found {found}. Widen the baseline window, or use another reference."
        )
    return float(np.mean(values)), float(np.std(values, ddof=1))
