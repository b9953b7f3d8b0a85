"""How the cited study was made: who took part, how many, and when they were seen."""

from __future__ import annotations

from dataclasses import dataclass

from pmsstats.cohort.schema import PHENOTYPES
from pmsstats.errors import DesignError, nearest

__all__ = ["StudyDesign"]


@dataclass(frozen=True, kw_only=True)
class StudyDesign:
    """The design of one study.

    Parameters
    ----------
    groups : tuple of (str, int)
        Phenotype and number of subjects, such as ``(("PPMS", 26), ("HC", 20))``. In trials the
        number is that of all arms together.
    years : tuple of float
        Planned scans and ratings, years from baseline, ascending from 0.
    treatments : tuple of str
        Arms that the generator knows by name, reference first; equal shares. One name: everybody
        is treated.
    age, edss, duration : tuple of float, optional
        Lowest and highest value at inclusion: years of age, EDSS, years of disease.
    relapse_free_years : float, optional
        Without a relapse for so long before inclusion.
    sites : int, default 1
        Number of sites.
    conversion : bool, default False
        Whether phenotypes may convert during follow-up (RIS to PPMS, RRMS to SPMS).
    source : str
        Where number, follow-up and visits were read, or that they are assumed.

    Raises
    ------
    DesignError
        If a phenotype is unknown or named twice, a number is below 2, or years do not ascend
        from 0.

    Examples
    --------
    >>> StudyDesign(groups=(("PPMS", 26), ("HC", 20)), years=(0.0, 1.25)).n_subjects
    46
    """

    groups: tuple[tuple[str, int], ...]
    years: tuple[float, ...] = (0.0,)
    treatments: tuple[str, ...] = ()
    age: tuple[float, float] | None = None
    edss: tuple[float, float] | None = None
    duration: tuple[float, float] | None = None
    relapse_free_years: float | None = None
    sites: int = 1
    conversion: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse what no study could be."""
        if not self.groups:
            raise DesignError("`groups` must name at least one phenotype with its number.")
        for phenotype, n in self.groups:
            if phenotype not in PHENOTYPES:
                raise DesignError(
                    f"Unknown phenotype {phenotype!r} in `groups`."
                    f"{nearest(str(phenotype), PHENOTYPES)}"
                )
            if isinstance(n, bool) or not isinstance(n, int) or n < 2:
                raise DesignError(
                    f"`groups` must give at least 2 subjects of {phenotype}, got {n!r}."
                )
        if len(set(self.phenotypes)) < len(self.groups):
            raise DesignError(f"`groups` names a phenotype twice: {self.phenotypes!r}.")
        self._check_years()
        self._check_ranges()

    def _check_years(self) -> None:
        """Refuse years that do not ascend from 0."""
        pairs = zip(self.years[:-1], self.years[1:], strict=True)
        if not self.years or self.years[0] != 0 or any(b <= a for a, b in pairs):
            raise DesignError(f"`years` must ascend from 0, got {self.years!r}.")

    def _check_ranges(self) -> None:
        """Refuse empty ranges, and sites that are none."""
        for name in ("age", "edss", "duration"):
            bounds = getattr(self, name)
            if bounds is not None and not bounds[0] < bounds[1]:
                raise DesignError(f"`{name}` must be (low, high) with low < high, got {bounds!r}.")
        if self.sites < 1:
            raise DesignError(f"`sites` must be at least 1, got {self.sites!r}.")

    @property
    def phenotypes(self) -> tuple[str, ...]:
        """Phenotypes, in the order of the groups."""
        return tuple(phenotype for phenotype, _ in self.groups)

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return sum(n for _, n in self.groups)

    @property
    def followup_years(self) -> float:
        """Years from baseline to the last planned visit."""
        return self.years[-1]

    def size_text(self) -> str:
        """Say who and how many.

        Returns
        -------
        str
            For example ``"26 PPMS, 20 HC"``.
        """
        return ", ".join(f"{n} {phenotype}" for phenotype, n in self.groups)
