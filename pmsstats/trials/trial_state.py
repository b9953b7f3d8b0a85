"""Where each replicate of a block of trials stands between its looks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.trials.cuts import keep_places
from pmsstats.trials.enrol import enrol, planned_places
from pmsstats.trials.looks import all_followed_year, final_cut_year
from pmsstats.trials.records import Records
from pmsstats.trials.scenario import Scenario

__all__ = ["STOPPED_FOR", "Enriched", "FirstStage", "TrialState", "begin"]

RUNNING, END, EFFICACY, FUTILITY = range(4)
NOT_CHOSEN, EVERYBODY, CARRIERS = range(3)
STOPPED_FOR = ("", "end", "efficacy", "futility")


@dataclass(frozen=True, kw_only=True, eq=False)
class FirstStage:
    """What a combination of stages keeps of those that are over.

    Parameters
    ----------
    z : ndarray, shape (n_replicates, n_comparisons)
        Statistics of all data at the adaptation, or at the last look since; missing where there
        was none.
    combined : ndarray, shape (n_replicates, n_comparisons)
        There, with the stages weighed as planned.
    information : ndarray, shape (n_replicates,)
        There.
    weight : ndarray, shape (n_replicates,)
        Share of the final information as planned.
    """

    z: np.ndarray
    combined: np.ndarray
    information: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Enriched:
    """What an enrichment decided.

    Parameters
    ----------
    subgroup_analysis : str
        The primary analysis in carriers.
    choice : ndarray of int, shape (n_replicates,)
        0 where no look took place, 1 to go on in everybody, 2 in carriers.
    early : ndarray of bool, shape (n_replicates, n_subjects)
        Subjects of the first stage: those who had entered at the look.
    weight : float
        Their share as planned.
    """

    subgroup_analysis: str
    choice: np.ndarray
    early: np.ndarray
    weight: float


@dataclass(kw_only=True, eq=False)
class TrialState:
    """Replicates of a trial on their way; looks change it.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    generator : callable
        Makes the data of given arms.
    root : numpy.random.SeedSequence
        From which every stream is spawned.
    first : int
        Number of the first replicate.
    comparisons : tuple of str
        Of the primary analysis.
    everybody : TrialArrays
        Data of all places.
    entry_year : ndarray, shape (n_replicates, n_subjects)
        Entries, ascending.
    filled : ndarray of bool, shape (n_replicates, n_subjects)
        Places that are to be filled.
    running : ndarray of int, shape (n_replicates,)
        0 while the trial goes on; then why it stopped.
    active, rejected : ndarray of bool, shape (n_replicates, n_comparisons)
        Comparisons that go on, and that were claimed.
    dropped_at : ndarray of int, shape (n_replicates, n_comparisons)
        Look at which a comparison was given up; 0 for never.
    dropped_year : ndarray, shape (n_replicates, n_arms)
        When an arm closed, infinite for never.
    last_year : ndarray, shape (n_replicates,)
        Of the last look.
    n_looks : ndarray of int, shape (n_replicates,)
        So far.
    failed : ndarray of object, shape (n_replicates,)
        Why the final answer is missing; empty where it is not.
    claimed_in_carriers : ndarray of bool, shape (n_replicates,)
        Whether an effect was claimed in those with a marker.
    records : Records
        Rows of the answers.
    fractions : list of ndarray
        Information fractions of the primary looks so far.
    stage : FirstStage, optional
        Of a trial whose stages are combined.
    enriched : Enriched, optional
        What an enrichment decided.
    in_place : TrialArrays, optional
        Data of the places that are filled, once they were asked for.
    """

    scenario: Scenario
    generator: Any
    root: np.random.SeedSequence
    first: int
    comparisons: tuple[str, ...]
    everybody: TrialArrays
    entry_year: np.ndarray
    filled: np.ndarray
    running: np.ndarray
    active: np.ndarray
    rejected: np.ndarray
    dropped_at: np.ndarray
    dropped_year: np.ndarray
    last_year: np.ndarray
    n_looks: np.ndarray
    failed: np.ndarray
    claimed_in_carriers: np.ndarray
    records: Records
    fractions: list[np.ndarray] = field(default_factory=list)
    stage: FirstStage | None = None
    enriched: Enriched | None = None
    in_place: TrialArrays | None = None

    @property
    def n_replicates(self) -> int:
        """Number of trials."""
        return len(self.running)

    @property
    def by_arm(self) -> bool:
        """Whether comparisons are arms, and not factors."""
        return self.comparisons == self.scenario.arm_names[1:]

    @property
    def data(self) -> TrialArrays:
        """Data of those in the arms that go on, as if all were over, with entries."""
        if self.in_place is None:
            data = keep_places(self.everybody, self.filled)
            if self.by_arm and not self.active.all():
                ended = np.pad(~self.active, ((0, 0), (1, 0)))
                gone = np.take_along_axis(ended, np.maximum(data.arm, 0).astype(np.intp), axis=1)
                data = data.replace(arm=np.where(gone, np.int8(-1), data.arm).astype(np.int8))
            self.in_place = data.replace(entry_year=self.entry_year)
        return self.in_place

    def end_year(self) -> np.ndarray:
        """Return when each trial ends if no look stops it, shape (n_replicates,)."""
        cut = final_cut_year(self.scenario, self.data, self.entry_year)
        if self.scenario.decision.final == "year":
            return cut
        return np.minimum(cut, all_followed_year(self.scenario, self.data, self.entry_year))

    def success(self) -> np.ndarray:
        """Return whether an effect was claimed, shape (n_replicates,)."""
        return self.rejected.any(axis=1) | self.claimed_in_carriers

    def close(self, comparisons: np.ndarray) -> None:
        """Let comparisons end.

        Parameters
        ----------
        comparisons : ndarray of bool, shape (n_replicates, n_comparisons)
            Which.
        """
        self.active, self.in_place = self.active & ~comparisons, None

    def fill(self, filled: np.ndarray) -> None:
        """Change which places are to be filled.

        Parameters
        ----------
        filled : ndarray of bool, shape (n_replicates, n_subjects)
            All of them.
        """
        self.filled, self.in_place = filled, None

    def going_on(self) -> np.ndarray:
        """Return the positions of the trials that go on."""
        return np.flatnonzero(self.running == RUNNING)

    def stop(self, replicates: np.ndarray, reason: int) -> None:
        """End some trials.

        Parameters
        ----------
        replicates : ndarray of int
            Which.
        reason : int
            Position in :data:`STOPPED_FOR`.
        """
        self.running[replicates] = reason

    def reallocate(self, year: np.ndarray) -> None:
        """Randomise later recruits among the arms that are left, and observe them anew.

        Parameters
        ----------
        year : ndarray, shape (n_replicates,)
            Until when recruits stay where they are.
        """
        last = self.first + self.n_replicates
        new = enrol(
            self.scenario, self.root, self.first, last,
            entry_year=self.entry_year, dropped_year=self.dropped_year,
        )  # fmt: skip
        arm = np.where(self.entry_year <= year[:, None], self.everybody.arm, new.arm)
        self.fill(self.filled & (arm >= 0))
        if np.array_equal(arm, self.everybody.arm):
            return
        self.everybody = observe(self.generator, self.scenario, self.root, self.first, arm)
        self.in_place = None


def observe(
    generator: Any, scenario: Scenario, root: np.random.SeedSequence, first: int, arm: np.ndarray
) -> TrialArrays:
    """Let subjects live under the arms that they were randomised to.

    Parameters
    ----------
    generator : callable
        ``generator(scenario, root, first=, last=, arm=) -> TrialArrays``.
    scenario : Scenario
        The trial.
    root : numpy.random.SeedSequence
        From which every stream is spawned.
    first : int
        Number of the first replicate.
    arm : ndarray of int8, shape (n_replicates, n_subjects)
        -1 for places that are not filled: they are given to the reference, to be left out later.

    Returns
    -------
    TrialArrays
        With all places filled.
    """
    given = np.where(arm < 0, np.int8(0), arm) if (arm < 0).any() else arm
    data = generator(scenario, root, first=first, last=first + len(arm), arm=given)
    return dataclasses.replace(data, arm=given)


def begin(
    scenario: Scenario, generator: Any, root: np.random.SeedSequence, first: int, last: int
) -> TrialState:
    """Recruit and observe the subjects of some replicates.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    generator : callable
        Makes the data.
    root : numpy.random.SeedSequence
        From which every stream is spawned.
    first, last : int
        First replicate, and the one after the last.

    Returns
    -------
    TrialState
        Before the first look.
    """
    enrolment = enrol(scenario, root, first, last)
    n, places = enrolment.arm.shape
    names = compared(scenario)
    filled = (enrolment.arm >= 0) & (np.arange(places) < planned_places(scenario))
    return TrialState(
        scenario=scenario,
        generator=generator,
        root=root,
        first=first,
        comparisons=names,
        everybody=observe(generator, scenario, root, first, enrolment.arm),
        entry_year=enrolment.entry_year,
        filled=filled,
        running=np.zeros(n, dtype=np.int8),
        active=np.ones((n, len(names)), dtype=bool),
        rejected=np.zeros((n, len(names)), dtype=bool),
        dropped_at=np.zeros((n, len(names)), dtype=np.int64),
        dropped_year=np.full((n, len(scenario.arms)), np.inf),
        last_year=np.zeros(n),
        n_looks=np.zeros(n, dtype=np.int64),
        failed=np.full(n, "", dtype=object),
        claimed_in_carriers=np.zeros(n, dtype=bool),
        records=Records(first=first),
    )


def compared(scenario: Scenario, name: str | None = None) -> tuple[str, ...]:
    """Return what an analysis compares with the reference.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    name : str, optional
        Of the analysis; the primary one by default.
    """
    from pmsstats.trials.analyses.comparisons import comparisons_of

    analysis = scenario.analysis(name or scenario.decision.analysis)
    return comparisons_of(scenario, analysis, scenario.arm_names[1:]).names
