"""What a cohort should look like: a frozen, checked description."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pmsstats.errors import DesignError, nearest
from synthetic import defaults
from synthetic.clinical import (
    ConversionModel,
    DisabilityModel,
    FunctionalSystemsModel,
    HandModel,
    InstrumentModel,
    MissingnessModel,
    RelapseModel,
    check_shared_parts,
)
from synthetic.literature import apply_literature, check_literature
from synthetic.observation import ImagingModel, ScheduleModel, SiteModel, known_measures
from synthetic.parameters import Arm, LesionModel, PopulationModel
from synthetic.processes import shared_variance
from synthetic.study import changes_for_study
from synthetic.values import PerPhenotype, Sourced

__all__ = ["HAND_MEASURES", "LESION_MEASURES", "CohortConfig"]

HAND_MEASURES = ("nhpt_dominant_s", "nhpt_nondominant_s")
"""What a model of the hands offers: they share ``nhpt_s``."""

LESION_MEASURES = (
    "new_t2_count", "gd_lesion_count", "gd_lesion_presence", "gd_lesion_ml", "active_lesion_count"
)  # fmt: skip
"""What a model of lesions offers."""

_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class CohortConfig:
    """Everything that :func:`synthetic.generate_cohort` needs but the seed.

    Parameters
    ----------
    n_subjects : int, default 300
        How many.
    population : PopulationModel
        Who they are.
    disability : DisabilityModel
        How they worsen.
    relapses : RelapseModel
        Relapses and recovery.
    imaging : tuple of ImagingModel
        Imaging measures.
    instruments : tuple of InstrumentModel
        Timed and scored tests.
    schedule : ScheduleModel
        When they are seen.
    missingness : MissingnessModel
        What is not seen.
    lesions : LesionModel, optional
        New lesions, to be counted at scans (``new_t2_count``, ``gd_lesion_count``); not counted
        by default.
    hands : HandModel, optional
        How the hands share the peg test (``nhpt_dominant_s``, ``nhpt_nondominant_s``, of which
        ``nhpt_s`` is the mean); not told apart by default.
    functional_systems : FunctionalSystemsModel, optional
        Which functional systems carry each rating (``fs_pyramidal`` and so on, and
        ``fs_ambulation``); not recorded by default.
    conversion : ConversionModel, optional
        How RIS and RRMS become progressive; nobody converts by default.
    arms : tuple of Arm
        Randomised arms, reference first; none by default (then healthy controls may take part).
    sites : SiteModel
        Where they are seen; one site by default.
    literature : tuple of (str, str)
        Which side to take where studies contradict each other: switch and value, see
        :data:`synthetic.LITERATURE`; the first of its values where a switch is not named.
    measures : tuple of str
        Measures to emit; all that the models offer by default.

    Raises
    ------
    DesignError
        If anything is impossible or contradicts another part; the message says what to change.

    Examples
    --------
    >>> CohortConfig(n_subjects=50).offered[:5]
    ('edss', 't25fw_s', 'nhpt_s', 'sdmt', 'pasat3')
    """

    n_subjects: int = 300
    population: PopulationModel = defaults.POPULATION
    disability: DisabilityModel = defaults.DISABILITY
    relapses: RelapseModel = defaults.RELAPSES
    imaging: tuple[ImagingModel, ...] = defaults.IMAGING
    instruments: tuple[InstrumentModel, ...] = defaults.INSTRUMENTS
    schedule: ScheduleModel = defaults.SCHEDULE
    missingness: MissingnessModel = defaults.MISSINGNESS
    lesions: LesionModel | None = None
    hands: HandModel | None = None
    functional_systems: FunctionalSystemsModel | None = None
    conversion: ConversionModel | None = defaults.CONVERSION
    arms: tuple[Arm, ...] = ()
    sites: SiteModel = SiteModel()  # noqa: RUF009 (immutable)
    literature: tuple[tuple[str, str], ...] = ()
    measures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what the parts cannot check alone."""
        if isinstance(self.n_subjects, bool) or not isinstance(self.n_subjects, int):
            raise DesignError(f"`n_subjects` must be a whole number, got {self.n_subjects!r}.")
        if self.n_subjects < 1:
            raise DesignError(f"`n_subjects` must be at least 1, got {self.n_subjects!r}.")
        check_literature(self.literature)
        self._check_measures()
        self._check_arms()
        self._check_coverage()
        check_shared_parts(
            self.population.correlation_matrix(), self.disability, self.relapses, self.instruments
        )
        self._check_shared()

    @functools.cached_property
    def imaging_models(self) -> tuple[ImagingModel, ...]:
        """Imaging models as `literature` has them."""
        matrix = self.population.correlation_matrix()
        return apply_literature(self.imaging, self.literature, matrix)

    @property
    def offered(self) -> tuple[str, ...]:
        """What the models can measure, in column order."""
        return (
            "edss",
            *(model.measure for model in self.instruments),
            *(HAND_MEASURES if self.hands else ()),
            *(self.functional_systems.measures if self.functional_systems else ()),
            *(model.measure for model in self.imaging),
            *(LESION_MEASURES if self.lesions else ()),
        )

    @property
    def emitted(self) -> tuple[str, ...]:
        """What the cohort will have, in column order."""
        return tuple(m for m in self.offered if not self.measures or m in self.measures)

    def _check_measures(self) -> None:
        """Refuse measures that are unknown, double, or not made by any model."""
        dictionary, offered = known_measures(), self.offered
        for name in offered:
            if name not in dictionary:
                raise DesignError(f"Unknown measure {name!r}.{nearest(name, dictionary)}")
            if offered.count(name) > 1:
                raise DesignError(f"Measure {name!r} has {offered.count(name)} models.")
        for name in self.measures:
            if name not in offered:
                raise DesignError(
                    f"`measures` names {name!r}, which no model makes."
                    f"{nearest(name, offered)} `offered` lists the {len(offered)} they make."
                )
        if self.hands and "nhpt_s" not in offered:
            raise DesignError(
                "`hands` share the time of the instrument 'nhpt_s', which is none of "
                "`instruments`. Add it, or leave `hands` out."
            )

    def _check_arms(self) -> None:
        """Refuse arms whose shares do not sum to 1, and controls in a trial."""
        if not self.arms:
            return
        total = sum(arm.share for arm in self.arms)
        if abs(total - 1) > 1e-9:
            raise DesignError(
                f"The shares of `arms` must sum to 1, got {total:g} "
                f"({', '.join(f'{arm.name} {float(arm.share):g}' for arm in self.arms)})."
            )
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise DesignError(f"`arms` must have different names, got {names!r}.")
        if "HC" in self.population.phenotypes:
            raise DesignError(
                "Healthy controls are not randomised: set the share of HC in `population.mix` to "
                "0, or leave `arms` empty."
            )

    def _check_coverage(self) -> None:
        """Refuse a phenotype in the mix for which some model has no number."""
        everyone = self.population.phenotypes
        patients = tuple(p for p in everyone if p != "HC")
        for path, table in _tables(self):
            wanted = everyone if _concerns_everyone(path) else patients
            missing = [p for p in wanted if p not in table]
            if missing:
                raise DesignError(
                    f"`{path}` has no value for {', '.join(missing)}, but the mix has such "
                    "subjects. Add it, or take them out of `population.mix`."
                )

    def _check_shared(self) -> None:
        """Refuse imaging loadings whose shared part alone varies more than the whole."""
        matrix = self.population.correlation_matrix()
        for model in self.imaging:
            for field in ("level_loadings", "rate_loadings"):
                variance = shared_variance(getattr(model, field), matrix)
                if variance > 1 + _ROUNDING:
                    raise DesignError(
                        f"`{field}` of imaging measure {model.measure!r} must leave a share for "
                        f"the person: what they add up to has variance {variance:.3f}, given the "
                        "correlations of the factors, and must have at most 1. Bring the loadings "
                        "closer to 0."
                    )

    def sources(self) -> pd.DataFrame:
        """Tabulate every number with its source.

        Returns
        -------
        pandas.DataFrame
            Columns ``parameter value source why``; `source` is ``"assumption"``, evidence record
            ids, or ``"user"`` for a number given without a source.
        """
        rows = [
            (path, float(v), getattr(v, "source", "user"), getattr(v, "why", ""))
            for path, v in _leaves(self)
        ]
        return pd.DataFrame(rows, columns=["parameter", "value", "source", "why"])

    def record_ids(self) -> tuple[str, ...]:
        """List the evidence records that the numbers rest on.

        Returns
        -------
        tuple of str
            Each once, in the order of the parameters.
        """
        found = [i for _, v in _leaves(self) if isinstance(v, Sourced) for i in v.record_ids]
        return tuple(dict.fromkeys(found))

    def complete(self) -> CohortConfig:
        """Return the same description without anything missing.

        Returns
        -------
        CohortConfig
            No missed visits or scans, no dropout, no deaths.
        """
        return dataclasses.replace(self, missingness=MissingnessModel())

    def for_study(
        self,
        *,
        n_subjects: int | None = None,
        mix: Mapping[str, float] | None = None,
        weeks: tuple[int, ...] | None = None,
        imaging_weeks: tuple[int, ...] | None = None,
        measures: tuple[str, ...] | None = None,
        treatments: tuple[str, ...] = (),
        age: tuple[float, float] | None = None,
        edss: tuple[float, float] | None = None,
        duration: tuple[float, float] | None = None,
        relapse_free_years: float | None = None,
        sites: int | None = None,
        complete: bool = True,
        conversion: bool | None = None,
    ) -> CohortConfig:
        """Return the same population as another study would have seen it.

        Parameters
        ----------
        n_subjects : int, optional
            How many.
        mix : mapping of str to float, optional
            Numbers or shares by phenotype.
        weeks, imaging_weeks : tuple of int, optional
            Planned visits, and those with a scan: all of them unless told otherwise. Cognition is
            tested at every visit of new `weeks`, and windows are narrowed where visits are close.
        measures : tuple of str, optional
            What is emitted; lesions and hands are added if they are asked for.
        treatments : tuple of str
            Names in :data:`synthetic.TREATMENTS`, reference first, in equal shares; none: no arms.
        age, edss, duration : tuple of float, optional
            Lowest and highest value at inclusion: years, EDSS points, years.
        relapse_free_years : float, optional
            Without a relapse for so long before inclusion.
        sites : int, optional
            Number of sites.
        complete : bool, default True
            Without missed visits and scans, dropout and death; else with those of the description,
            or with the default ones where it has none.
        conversion : bool, optional
            Whether phenotypes may convert; as described where None.

        Returns
        -------
        CohortConfig
            Everything else as it was.

        Raises
        ------
        DesignError
            If something asked for does not exist or contradicts the rest.

        Examples
        --------
        >>> CohortConfig().for_study(mix={"PPMS": 26, "HC": 20}, weeks=(0, 52)).population.mix[
        ...     "PPMS"
        ... ]
        0.5652173913043478
        """
        asked = {name: value for name, value in locals().items() if name != "self"}
        return dataclasses.replace(self, **changes_for_study(self, asked))


def _concerns_everyone(path: str) -> bool:
    """Say whether a table needs a number for healthy controls too."""
    return path.startswith("imaging.") or (
        path.startswith("population.") and not path.startswith("population.duration")
    )


def _parts(config: CohortConfig) -> Iterator[tuple[str, Any]]:
    """Iterate over the parts of a description, with their paths."""
    whole = (
        "population", "disability", "conversion", "relapses", "lesions", "hands",
        "functional_systems", "schedule", "missingness", "sites",
    )  # fmt: skip
    for name in whole:
        if getattr(config, name) is not None:
            yield name, getattr(config, name)
    for model in config.imaging_models:
        yield f"imaging.{model.measure}", model
    for test in config.instruments:
        yield f"instruments.{test.measure}", test
    for arm in config.arms:
        yield f"arms.{arm.name}", arm


def _tables(config: CohortConfig) -> Iterator[tuple[str, PerPhenotype]]:
    """Iterate over the tables by phenotype, with their paths."""
    for path, part in _parts(config):
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            is_unused = field.name == "mix" or (
                field.name == "mean" and getattr(part, "scale", "") == "change"
            )
            if isinstance(value, PerPhenotype) and not is_unused:
                yield f"{path}.{field.name}", value


def _leaves(config: CohortConfig) -> Iterator[tuple[str, float]]:
    """Iterate over the numbers of a description that differ from "no effect", with their paths."""
    for path, part in _parts(config):
        yield from _numbers_of(path, part)


def _numbers_of(path: str, part: Any) -> Iterator[tuple[str, float]]:
    """Iterate over the numbers of one part."""
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        here = f"{path}.{field.name}"
        if isinstance(value, PerPhenotype):
            yield from ((f"{here}.{name}", number) for name, number in value.items())
        elif isinstance(value, tuple):
            for k, item in enumerate(value):
                yield from _numbers_in(here, k, item)
        elif isinstance(value, float) and (isinstance(value, Sourced) or value != field.default):
            yield here, value


def _numbers_in(here: str, k: int, item: Any) -> Iterator[tuple[str, float]]:
    """Iterate over the numbers of item k of a tuple: a part, or names and then a number."""
    if dataclasses.is_dataclass(item):
        yield from _numbers_of(f"{here}.{getattr(item, 'measure', '')}".rstrip("."), item)
    elif isinstance(item, Sourced):
        yield f"{here}.{k}", item
    elif isinstance(item, tuple) and item and isinstance(item[-1], float):
        names = [f"{name:g}" if isinstance(name, float) else str(name) for name in item[:-1]]
        yield ".".join((here, *names)), item[-1]
