"""What a cohort should look like: a frozen, checked description, and named presets."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pmsstats.errors import DesignError, nearest
from synthetic import defaults
from synthetic.observation import (
    HandModel,
    ImagingModel,
    InstrumentModel,
    MissingnessModel,
    ScheduleModel,
    known_measures,
)
from synthetic.parameters import (
    Arm,
    DisabilityModel,
    LesionModel,
    PopulationModel,
    RelapseModel,
)
from synthetic.values import PerPhenotype, Sourced, assumed

__all__ = ["HAND_MEASURES", "LESION_MEASURES", "PRESETS", "CohortConfig", "preset"]

HAND_MEASURES = ("nhpt_dominant_s", "nhpt_nondominant_s")
"""What a model of the hands offers: they share ``nhpt_s``."""

LESION_MEASURES = ("new_t2_count", "gd_lesion_count")
"""What a model of lesions offers."""


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
    arms : tuple of Arm
        Randomised arms, reference first; none by default (then healthy controls may take part).
    measures : tuple of str
        Measures to emit; all that the models offer by default.

    Raises
    ------
    DesignError
        If anything is impossible or contradicts another part; the message says what to change.

    Examples
    --------
    >>> CohortConfig(n_subjects=50).offered
    ('edss', 't25fw_s', 'nhpt_s', 'sdmt', 'pasat3', 'thalamus_ml', 'brain_ml', 'pbvc_pct',
     'cord_area_c2c3_mm2', 'nawm_mtr_pu', 't2_lesion_ml')
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
    arms: tuple[Arm, ...] = ()
    measures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what the parts cannot check alone."""
        if isinstance(self.n_subjects, bool) or not isinstance(self.n_subjects, int):
            raise DesignError(f"`n_subjects` must be a whole number, got {self.n_subjects!r}.")
        if self.n_subjects < 1:
            raise DesignError(f"`n_subjects` must be at least 1, got {self.n_subjects!r}.")
        self._check_measures()
        self._check_arms()
        self._check_coverage()

    @property
    def offered(self) -> tuple[str, ...]:
        """What the models can measure, in column order."""
        return (
            "edss",
            *(model.measure for model in self.instruments),
            *(HAND_MEASURES if self.hands else ()),
            *(model.measure for model in self.imaging),
            *(LESION_MEASURES if self.lesions else ()),
        )

    @property
    def emitted(self) -> tuple[str, ...]:
        """What the cohort will have, in column order."""
        return tuple(m for m in self.offered if not self.measures or m in self.measures)

    def _check_measures(self) -> None:
        """Refuse measures that are unknown, double, or not made by any model."""
        dictionary = known_measures()
        for name in self.offered:
            if name not in dictionary:
                raise DesignError(f"Unknown measure {name!r}.{nearest(name, dictionary)}")
            if self.offered.count(name) > 1:
                raise DesignError(f"Measure {name!r} has {self.offered.count(name)} models.")
        for name in self.measures:
            if name not in self.offered:
                raise DesignError(
                    f"`measures` names {name!r}, which no model makes."
                    f"{nearest(name, self.offered)} They make: {', '.join(self.offered)}."
                )
        if self.hands and "nhpt_s" not in self.offered:
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


def _concerns_everyone(path: str) -> bool:
    """Say whether a table needs a number for healthy controls too."""
    return path.startswith("imaging.") or (
        path.startswith("population.") and not path.startswith("population.duration")
    )


def _parts(config: CohortConfig) -> Iterator[tuple[str, Any]]:
    """Iterate over the parts of a description, with their paths."""
    whole = ("population", "disability", "relapses", "lesions", "hands", "schedule", "missingness")
    for name in whole:
        if getattr(config, name) is not None:
            yield name, getattr(config, name)
    for name in ("imaging", "instruments", "arms"):
        for item in getattr(config, name):
            yield f"{name}.{getattr(item, 'measure', None) or item.name}", item


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
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            here = f"{path}.{field.name}"
            if isinstance(value, PerPhenotype):
                yield from ((f"{here}.{name}", number) for name, number in value.items())
            elif field.name == "correlations":
                yield from ((f"{here}.{a}.{b}", number) for a, b, number in value)
            elif isinstance(value, float) and (
                isinstance(value, Sourced) or value != field.default
            ):
                yield here, value


_TRIAL_WEEKS = tuple(range(0, 121, 12))

_PRESETS: Mapping[str, CohortConfig] = {
    "progressive": CohortConfig(),
    "progressive_common_atrophy": CohortConfig(
        imaging=(defaults.THALAMUS_COMMON_RATE, *defaults.IMAGING[1:])
    ),
    "ppms_trial": CohortConfig(
        n_subjects=600,
        population=dataclasses.replace(defaults.POPULATION, mix=PerPhenotype(PPMS=assumed(1.0))),
        schedule=dataclasses.replace(
            defaults.SCHEDULE,
            weeks=_TRIAL_WEEKS,
            imaging_weeks=(0, 24, 48, 120),
            cognition_weeks=_TRIAL_WEEKS[::2],
        ),
        lesions=defaults.LESIONS,
        hands=defaults.HANDS,
        arms=(
            Arm(name="placebo", share=assumed(0.5)),
            Arm(
                name="active",
                share=assumed(0.5),
                atrophy_slowing=assumed(0.3),
                worsening_hazard_ratio=assumed(0.7),
                relapse_rate_ratio=assumed(0.5),
                lesion_rate_ratio=assumed(0.3),
            ),
        ),
    ),
}

PRESETS = tuple(_PRESETS)
"""Names of the presets: ``progressive`` (the default: controls, RRMS, SPMS, PPMS over 3 years),
``progressive_common_atrophy`` (the same with one thalamic rate for all patients, the other side
of a disagreement in the literature), ``ppms_trial`` (two arms, 120 weeks, with lesion counts and
both hands)."""


def preset(name: str) -> CohortConfig:
    """Return a named description.

    Parameters
    ----------
    name : str
        One of :data:`PRESETS`.

    Returns
    -------
    CohortConfig
        Change it with :func:`dataclasses.replace`.

    Raises
    ------
    DesignError
        If there is no such preset.
    """
    if name not in _PRESETS:
        raise DesignError(
            f"No preset {name!r}.{nearest(str(name), PRESETS)} There are: {', '.join(PRESETS)}."
        )
    return _PRESETS[name]
