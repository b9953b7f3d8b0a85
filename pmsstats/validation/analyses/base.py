"""What every analysis of a check is: a frozen request that computes many studies at once."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pmsstats.cohort import default_dictionary
from pmsstats.errors import DesignError, nearest

if TYPE_CHECKING:
    from pmsstats.validation.design import StudyDesign
    from pmsstats.validation.studies import Studies

__all__ = ["MSFC", "MSFC_PARTS", "SUBJECT_VARIABLES", "Analysis", "Estimates", "FloatArray"]

FloatArray = NDArray[np.float64]

SUBJECT_VARIABLES = ("age", "female", "duration")
"""What may stand in place of a measure: years of age, 1 for women, years of disease."""

MSFC = "msfc_z"
MSFC_PARTS = ("t25fw_s", "nhpt_s", "pasat3")
"""Derived by :func:`pmsstats.endpoints.derive_msfc` from these, never emitted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimates:
    """One estimate from each of many studies of one design.

    Parameters
    ----------
    estimate, std_error : ndarray, shape (n_studies,)
        In the units of the analysis; missing (NaN) where a study has none.
    df : ndarray, shape (n_studies,)
        Degrees of freedom of the t distribution; infinite for the normal.
    n : int
        Subjects in each study.
    statistic : ndarray, shape (n_studies,), optional
        What is tested against zero, where it is not estimate over standard error.
    """

    estimate: FloatArray
    std_error: FloatArray
    df: FloatArray
    n: int
    statistic: FloatArray | None = None

    def interval(self, conf_level: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Return Wald intervals.

        Parameters
        ----------
        conf_level : float, default 0.95
            Level.

        Returns
        -------
        tuple of ndarray, each of shape (n_studies,)
            Low and high ends.
        """
        half = stats.t.ppf((1 + conf_level) / 2, self.df) * self.std_error
        return self.estimate - half, self.estimate + half

    def p_value(self) -> FloatArray:
        """Return two-sided p values against zero.

        Returns
        -------
        ndarray, shape (n_studies,)
            NaN where there is no estimate.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            t = self.estimate / self.std_error if self.statistic is None else self.statistic
        return 2 * stats.t.sf(np.abs(t), self.df)


class Analysis(abc.ABC):
    """An analysis that a statistician would run, on all studies of a design at once.

    Subclasses are frozen dataclasses of plain fields, with `groups` among them. They say which of
    their fields name variables (`_reads`), phenotypes (`_sides`) and events (`_events`), and
    compute in `_estimate`; the rest follows.
    """

    groups: tuple[str, ...]
    arm: str = ""
    """Only subjects of this arm; all by default."""

    needs_followup: bool = False
    """Whether it reads more than the baseline visit."""

    _reads: ClassVar[tuple[str, ...]] = ("measure",)
    _sides: ClassVar[tuple[str, ...]] = ("groups",)
    _events: ClassVar[tuple[str, ...]] = ()

    @property
    @abc.abstractmethod
    def units(self) -> str:
        """Unit of the estimate."""

    @abc.abstractmethod
    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""

    @abc.abstractmethod
    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the estimate of each study, of the subjects concerned."""

    def estimate(self, studies: Studies) -> Estimates:
        """Compute the estimate of each study.

        Parameters
        ----------
        studies : Studies
            Many studies of one design.

        Returns
        -------
        Estimates
            One for each.
        """
        return self._estimate(self._concerned(studies))

    def _concerned(self, studies: Studies) -> Studies:
        """Select the subjects concerned; they are those that the estimates count."""
        return studies.select(self.phenotypes, arm=self.arm)

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures that it reads, as the generator emits them."""
        return emitted(*self._named(self._reads))

    @property
    def phenotypes(self) -> tuple[str, ...]:
        """Phenotypes that it needs."""
        return self._named(self._sides)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Events that it reads: endpoint presets, or ``"conversion"``."""
        return self._named(self._events)

    @property
    def needs_arms(self) -> int:
        """Number of arms that it needs."""
        return 1 if self.arm else 0

    def _named(self, fields: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names that some fields hold, one or several each, without repetition."""
        values = (getattr(self, field) for field in fields)
        found = [(value,) if isinstance(value, str) else value for value in values]
        return tuple(dict.fromkeys(name for names in found for name in names))

    def problem(self, design: StudyDesign) -> str:
        """Say why a design cannot carry the analysis.

        Parameters
        ----------
        design : StudyDesign
            Of the study.

        Returns
        -------
        str
            Empty where it can.
        """
        missing = [p for p in self.phenotypes if p not in design.phenotypes]
        if missing:
            return (
                f"the design has no group {', '.join(missing)}; it has {design.size_text()}. Add "
                "it to `groups` of the design, or take it out of the analysis."
            )
        if self.needs_followup and len(design.years) < 2:
            return f"it reads follow-up, but the design has `years={design.years!r}`. Add visits."
        if len(design.treatments) < self.needs_arms:
            return (
                f"it needs {self.needs_arms} arm(s), but the design has "
                f"`treatments={design.treatments!r}`."
            )
        return ""


class AtVisit(Analysis):
    """An analysis of one visit, `at` so many years from baseline."""

    at: float

    @property
    def needs_followup(self) -> bool:
        """Whether it reads more than the baseline visit."""
        return self.at > 0


class FollowUp(Analysis):
    """An analysis of what happens after the baseline visit."""

    needs_followup = True


def check_choice(name: str, value: str, options: Sequence[str]) -> None:
    """Refuse a word that is not among those allowed.

    Parameters
    ----------
    name : str
        Of the field.
    value : str
        What it holds.
    options : sequence of str
        What it may hold.

    Raises
    ------
    DesignError
        If it is none of them.
    """
    if value not in options:
        raise DesignError(
            f"`{name}` must be one of {', '.join(options)}, got {value!r}."
            f"{nearest(str(value), options)}"
        )


def emitted(*names: str) -> tuple[str, ...]:
    """Return what the generator must emit for some variables.

    Parameters
    ----------
    *names : str
        Measures, variables of the subjects, or ``"msfc_z"``.

    Returns
    -------
    tuple of str
        Measures, each once.
    """
    found: list[str] = []
    for name in names:
        if name == MSFC:
            found += MSFC_PARTS
        elif name not in SUBJECT_VARIABLES:
            found.append(name)
    return tuple(dict.fromkeys(found))


def label_of(name: str) -> str:
    """Return a variable's name in words.

    Parameters
    ----------
    name : str
        Measure or variable of the subjects.

    Returns
    -------
    str
        The dictionary's label, or the name itself.
    """
    words = {"female": "female sex", "duration": "disease duration", MSFC: "MSFC z-score"}
    entry = default_dictionary().get(name)
    return words.get(name) or (entry.label if entry is not None else name)


def unit_of(name: str) -> str:
    """Return a variable's unit.

    Parameters
    ----------
    name : str
        Measure or variable of the subjects.

    Returns
    -------
    str
        The dictionary's, or "units" where there is none.
    """
    entry = default_dictionary().get(name)
    return (entry.unit if entry is not None else "") or "units"


def group_text(groups: tuple[str, ...]) -> str:
    """Join the names of groups.

    Parameters
    ----------
    groups : tuple of str
        Phenotypes.

    Returns
    -------
    str
        For example ``"SPMS and PPMS"``.
    """
    return " and ".join(groups) if len(groups) < 3 else ", ".join(groups)
