"""Cohorts as arrays, cut into many studies of one design."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pmsstats.cohort import default_dictionary
from pmsstats.errors import DesignError
from pmsstats.validation.analyses.base import MSFC, FloatArray
from pmsstats.validation.analyses.outcomes import Events
from pmsstats.validation.cohort_arrays import CohortArrays

__all__ = ["FEWEST_AT_LARGE_N", "Studies", "cut_studies", "whole_cohort"]

FEWEST_AT_LARGE_N = 2_000
"""Subjects of the smallest group of a large study: its mean is known to a fortieth of an SD."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Studies:
    """Many studies of one design: the same groups in the same columns.

    Parameters
    ----------
    cohorts : sequence of CohortArrays
        From which the subjects are taken, one after the other.
    rows : ndarray of int, shape (n_studies, n_subjects)
        Places of the subjects among those of all cohorts.
    group : ndarray of str, shape (n_subjects,)
        Phenotype of each column.
    arm : ndarray of int, shape (n_subjects,)
        Arm of each column: 0 for the reference, or where there are none.
    arm_names : tuple of str
        Arms, reference first.
    """

    cohorts: Sequence[CohortArrays]
    rows: NDArray[np.int64]
    group: NDArray[np.str_]
    arm: NDArray[np.int64]
    arm_names: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Number of studies, and of subjects in each."""
        return self.rows.shape[0], self.rows.shape[1]

    @property
    def n(self) -> int:
        """Subjects in each study."""
        return self.rows.shape[1]

    @property
    def years(self) -> tuple[float, ...]:
        """Planned scans, years from baseline."""
        return self.cohorts[0].years

    def select(self, groups: Sequence[str], *, arm: str = "") -> Studies:
        """Return the same studies with only some of their subjects.

        Parameters
        ----------
        groups : sequence of str
            Phenotypes.
        arm : str
            Arm; all by default.

        Returns
        -------
        Studies
            Of the subjects named.

        Raises
        ------
        DesignError
            If nobody is left.
        """
        keep = np.isin(self.group, list(groups))
        if arm:
            if arm not in self.arm_names:
                raise DesignError(f"No arm {arm!r}; there are: {', '.join(self.arm_names)}.")
            keep &= self.arm == self.arm_names.index(arm)
        if not keep.any():
            raise DesignError(f"No subject of {', '.join(groups)} {arm}".rstrip() + ".")
        return replace(self, rows=self.rows[:, keep], group=self.group[keep], arm=self.arm[keep])

    def at(self, name: str, year: float) -> FloatArray:
        """Return a variable at the planned visit nearest to a time.

        Parameters
        ----------
        name : str
            Measure, variable of the subjects, or ``"msfc_z"``.
        year : float
            Years from baseline.

        Returns
        -------
        ndarray, shape (n_studies, n_subjects)
            NaN where missing.
        """
        return self._gather(lambda cohort: cohort.at(name, year))

    def slope(self, measure: str, up_to: float | None = None) -> FloatArray:
        """Return the annual change of each subject.

        Parameters
        ----------
        measure : str
            What changes.
        up_to : float, optional, years
            Later visits are left out.

        Returns
        -------
        ndarray, shape (n_studies, n_subjects), per year
            Slope of least squares; through zero at baseline for a measure that is change from
            baseline; events per year for counts since the last scan.
        """
        return self._gather(lambda cohort: cohort.slope(measure, up_to))

    def total(self, measure: str) -> FloatArray:
        """Return the sum of a count over all scans after baseline.

        Parameters
        ----------
        measure : str
            The count.

        Returns
        -------
        ndarray, shape (n_studies, n_subjects)
            NaN where no scan has it.
        """
        return self._gather(lambda cohort: cohort.total(measure))

    def event(self, outcome: str, to: str = "") -> Events:
        """Return the first event of each subject.

        Parameters
        ----------
        outcome : str
            Endpoint preset, or ``"conversion"``.
        to : str
            Phenotype to which they convert; any by default.

        Returns
        -------
        Events
            Of shape (n_studies, n_subjects).
        """
        return Events(
            duration=self._gather(lambda cohort: cohort.event(outcome, to).duration),
            happened=self._gather(lambda cohort: cohort.event(outcome, to).happened) > 0,
        )

    def category(self, variable: str) -> tuple[NDArray[np.int64], list[str]]:
        """Return a property of the subjects as codes.

        Parameters
        ----------
        variable : str
            Column of the subjects.

        Returns
        -------
        tuple of ndarray of int and list of str
            Codes, of shape (n_studies, n_subjects), and what they mean.
        """
        texts = [cohort.texts(variable) for cohort in self.cohorts]
        values, codes = np.unique(np.concatenate(texts), return_inverse=True)
        return codes[self.rows], [str(value) for value in values]

    def group_terms(self) -> list[FloatArray]:
        """Return an indicator of every group but the first.

        Returns
        -------
        list of ndarray, each of shape (n_studies, n_subjects)
            Empty where there is one group.
        """
        names = list(dict.fromkeys(self.group.tolist()))[1:]
        return [np.broadcast_to((self.group == g).astype(float), self.shape) for g in names]

    def strata(self) -> list[NDArray[np.int64]]:
        """Return the columns of each group.

        Returns
        -------
        list of ndarray of int
            One for each group.
        """
        names = dict.fromkeys(self.group.tolist())
        return [np.flatnonzero(self.group == g) for g in names]

    @staticmethod
    def worse_sign(name: str) -> float:
        """Return 1 where higher values of a measure are worse, -1 where lower ones are.

        Parameters
        ----------
        name : str
            Measure or variable of the subjects.

        Returns
        -------
        float
            From the data dictionary; 1 where it does not say.
        """
        if name == MSFC:
            return -1.0
        entry = default_dictionary().get(name)
        return -1.0 if entry is not None and entry.worsening == "lower" else 1.0

    @staticmethod
    def is_change(name: str) -> bool:
        """Say whether a measure is change, or a count since the last scan, already.

        Parameters
        ----------
        name : str
            Measure.

        Returns
        -------
        bool
            From the data dictionary.
        """
        entry = default_dictionary().get(name)
        return entry is not None and entry.kind != "level"

    def _gather(self, read: Callable[[CohortArrays], NDArray[Any]]) -> FloatArray:
        """Read one value per subject from the cohorts that take part, and place it."""
        ends = np.cumsum([cohort.n_subjects for cohort in self.cohorts])
        used = set(np.searchsorted(ends, self.rows[0], side="right").tolist())
        parts = [
            read(cohort).astype(float) if k in used else np.full(cohort.n_subjects, np.nan)
            for k, cohort in enumerate(self.cohorts)
        ]
        return np.concatenate(parts)[self.rows]


def whole_cohort(
    cohorts: Sequence[CohortArrays], groups: Sequence[tuple[str, int]], n: int
) -> Studies:
    """Take the subjects of some phenotypes as one large study.

    Parameters
    ----------
    cohorts : sequence of CohortArrays
        Where they are.
    groups : sequence of (str, int)
        Phenotype and number of subjects in the cited study, whose proportions are kept: pooled
        estimates depend on them.
    n : int
        Subjects of the largest group; smaller ones have at least :data:`FEWEST_AT_LARGE_N`.

    Returns
    -------
    Studies
        A single one.
    """
    group = np.concatenate([cohort.phenotype for cohort in cohorts])
    arm = np.concatenate([cohort.arm for cohort in cohorts])
    largest = max(size for _, size in groups)
    rows = np.concatenate(
        [
            np.flatnonzero(group == phenotype)[: max(n * size // largest, FEWEST_AT_LARGE_N)]
            for phenotype, size in groups
        ]
    )
    return Studies(
        cohorts=cohorts,
        rows=rows[None],
        group=group[rows],
        arm=arm[rows],
        arm_names=cohorts[0].arm_names,
    )


def cut_studies(
    cohorts: Sequence[CohortArrays], groups: Sequence[tuple[str, int]], n_studies: int
) -> Studies:
    """Cut cohorts into studies that share no subject.

    Parameters
    ----------
    cohorts : sequence of CohortArrays
        Where the subjects are.
    groups : sequence of (str, int)
        Phenotype and number of subjects of each study; arms get equal shares, the first ones one
        more where the number does not divide.
    n_studies : int
        How many.

    Returns
    -------
    Studies
        Each with its own subjects, in the order of the cohorts.

    Raises
    ------
    DesignError
        If the cohorts have too few subjects.
    """
    group = np.concatenate([cohort.phenotype for cohort in cohorts])
    arm = np.concatenate([cohort.arm for cohort in cohorts])
    names = cohorts[0].arm_names
    n_arms = max(len(names), 1)
    rows, labels, arms = [], [], []
    for phenotype, n in groups:
        for code in range(n_arms):
            size = n // n_arms + (code < n % n_arms)
            who = np.flatnonzero((group == phenotype) & (arm == code))
            if len(who) < size * n_studies:
                raise DesignError(
                    f"{n_studies} studies of {size} {phenotype} need {size * n_studies} subjects, "
                    f"but the generator gave {len(who)}."
                )
            rows.append(who[: size * n_studies].reshape(n_studies, size))
            labels += [phenotype] * size
            arms += [code] * size
    return Studies(
        cohorts=cohorts,
        rows=np.concatenate(rows, axis=1),
        group=np.array(labels),
        arm=np.array(arms),
        arm_names=names,
    )
