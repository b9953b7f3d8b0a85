"""Ask the generator for the subjects of a design: who, when, under which treatment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pmsstats.errors import DesignError, PMSStatsError
from pmsstats.seeds import Seed, as_seed_sequence, stream
from pmsstats.validation.check import Check
from pmsstats.validation.cohort_arrays import CohortArrays, cohort_arrays, outcome_measures
from pmsstats.validation.design import StudyDesign
from pmsstats.validation.protocol import CohortGenerator

__all__ = ["CohortPlan", "check_generator", "generate_cohorts", "plan_of"]

_DAYS_PER_WEEK = 7
_DAYS_PER_YEAR = 365.25
_RATING_WEEKS = 12
_SPARSE_RATING_WEEKS = 24
_LONG_FOLLOWUP_YEARS = 5.0
_SPARE_SDS = 6.0  # arms are drawn: so many standard deviations more are asked for


@dataclass(frozen=True, kw_only=True)
class CohortPlan:
    """A design apart from who takes part and how many: checks that agree share their subjects.

    Parameters
    ----------
    years : tuple of float
        Planned scans.
    rated : bool
        Whether disability is rated between scans, so that events can be confirmed.
    treatments : tuple of str
        Arms, reference first.
    age, edss, duration : tuple of float, optional
        Ranges at inclusion.
    relapse_free_years : float, optional
        Before inclusion.
    sites : int
        Number of sites.
    conversion : bool
        Whether phenotypes may convert.
    """

    years: tuple[float, ...]
    rated: bool
    treatments: tuple[str, ...]
    age: tuple[float, float] | None
    edss: tuple[float, float] | None
    duration: tuple[float, float] | None
    relapse_free_years: float | None
    sites: int
    conversion: bool

    @property
    def scan_weeks(self) -> tuple[int, ...]:
        """Planned scans, weeks from baseline."""
        return tuple(round(year * _DAYS_PER_YEAR / _DAYS_PER_WEEK) for year in self.years)

    @property
    def weeks(self) -> tuple[int, ...]:
        """Planned visits: scans, and ratings every 12 weeks (24 in long studies)."""
        scans = set(self.scan_weeks)
        if not self.rated:
            return tuple(sorted(scans))
        step = _SPARSE_RATING_WEEKS if self.years[-1] > _LONG_FOLLOWUP_YEARS else _RATING_WEEKS
        return tuple(sorted(scans | set(range(0, max(scans) + 1, step))))

    @property
    def key(self) -> str:
        """Text that names the plan's random streams."""
        return repr(sorted(asdict(self).items()))


def plan_of(check: Check) -> CohortPlan:
    """Return what a check asks of its subjects, apart from who and how many.

    Parameters
    ----------
    check : Check
        The check.

    Returns
    -------
    CohortPlan
        Equal for checks that can share subjects.
    """
    design = check.design
    return CohortPlan(
        years=design.years,
        rated=any(claim.analysis.outcomes for claim in check.claims),
        treatments=design.treatments,
        age=design.age,
        edss=design.edss,
        duration=design.duration,
        relapse_free_years=design.relapse_free_years,
        sites=design.sites,
        conversion=design.conversion,
    )


def check_generator(generator: Any, config: Any) -> None:
    """Refuse what cannot generate cohorts for checks.

    Parameters
    ----------
    generator : callable
        Called as ``generator(config, seed)``.
    config : StudyConfig
        Has ``for_study``.

    Raises
    ------
    DesignError
        If either is of another kind.
    """
    if not callable(generator):
        raise DesignError(
            f"`generator` must be callable as generator(config, seed), got {generator!r}."
        )
    if not callable(getattr(config, "for_study", None)):
        raise DesignError(
            "`config` must have a method `for_study`, which narrows it to a study's groups, visits "
            f"and measures, got {type(config).__name__}. Give a config, not the name of a preset."
        )


def emitted_measures(checks: Iterable[Check]) -> tuple[str, ...]:
    """Return all measures that some checks read, events included.

    Parameters
    ----------
    checks : iterable of Check
        The checks.

    Returns
    -------
    tuple of str
        In alphabetic order.
    """
    names = set()
    for check in checks:
        names |= set(check.measures)
        for claim in check.claims:
            for outcome in claim.analysis.outcomes:
                names |= set(outcome_measures(outcome))
    return tuple(sorted(names))


def problem_with(config: Any, plan: CohortPlan, check: Check) -> str:
    """Say why a generator cannot make the cohort of a check.

    Parameters
    ----------
    config : StudyConfig
        The generator's description.
    plan : CohortPlan
        When and how subjects are seen.
    check : Check
        Who takes part, and what is measured.

    Returns
    -------
    str
        Its own words; empty where it can.
    """
    try:
        for phenotype in check.design.phenotypes:
            _config_for(config, plan, {phenotype: 1.0}, emitted_measures([check]), 2)
    except PMSStatsError as exc:
        return str(exc)
    return ""


def _config_for(
    config: Any, plan: CohortPlan, mix: Mapping[str, float], measures: tuple[str, ...], n: int,
    *, complete: bool = True,
) -> Any:  # fmt: skip
    """Narrow a config to some phenotypes of a plan."""
    return config.for_study(
        n_subjects=n,
        mix=mix,
        weeks=plan.weeks,
        imaging_weeks=plan.scan_weeks,
        measures=measures,
        treatments=plan.treatments,
        age=plan.age,
        edss=plan.edss,
        duration=plan.duration,
        relapse_free_years=plan.relapse_free_years,
        sites=plan.sites,
        complete=complete,
        conversion=plan.conversion,
    )


def generate_cohorts(
    generator: CohortGenerator,
    config: Any,
    plan: CohortPlan,
    *,
    sizes: Mapping[str, int],
    measures: tuple[str, ...],
    seed: Seed,
    purpose: tuple[str | int, ...],
    complete: bool = True,
) -> list[CohortArrays]:
    """Generate the subjects of a plan.

    Parameters
    ----------
    generator : CohortGenerator
        What makes them.
    config : StudyConfig
        The population.
    plan : CohortPlan
        When and how they are seen.
    sizes : mapping of str to int
        Subjects needed of each phenotype, over all arms.
    measures : tuple of str
        What is emitted.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Root.
    purpose : tuple of str or int
        What the subjects are for: names the streams, with plan and phenotype.
    complete : bool, default True
        Whether nothing is missing.

    Returns
    -------
    list of CohortArrays
        One for each phenotype, with its own stream, so that it does not depend on the others. With
        several sites a single one, because the phenotypes of a study share scanners.
    """
    orders = [dict(sizes)] if plan.sites > 1 else [{name: size} for name, size in sizes.items()]
    made = []
    for order in orders:
        n = _with_spare(order, plan)
        root = as_seed_sequence(seed)
        child = as_seed_sequence(stream(root, *purpose, plan.key, *sorted(order)))
        mix = {name: size / sum(order.values()) for name, size in order.items()}
        tables = generator(_config_for(config, plan, mix, measures, n, complete=complete), child)
        made.append(
            cohort_arrays(
                tables, years=plan.years, planned_weeks=plan.weeks, arm_names=plan.treatments
            )
        )
    return made


def _with_spare(order: Mapping[str, int], plan: CohortPlan) -> int:
    """Return how many subjects to ask for, so that drawn groups and arms are large enough."""
    n_cells = max(len(plan.treatments), 1)
    if len(order) * n_cells == 1:
        return sum(order.values())
    total = sum(order.values())
    smallest = min(order.values()) / n_cells
    return math.ceil(total * (1 + _SPARE_SDS / math.sqrt(smallest)) + 10 * n_cells * len(order))


def describe_design(design: StudyDesign) -> str:
    """Say in a few words how a study was made.

    Parameters
    ----------
    design : StudyDesign
        The design.

    Returns
    -------
    str
        For example ``"26 PPMS, 20 HC; 1.25 years"``.
    """
    if len(design.years) == 1:
        return f"{design.size_text()}; one visit"
    unit = "year" if design.followup_years == 1 else "years"
    return f"{design.size_text()}; {design.followup_years:g} {unit}"
