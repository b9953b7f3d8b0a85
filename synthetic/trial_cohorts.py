"""Replicates of a trial in a population of :data:`synthetic.PRESETS`.

The subjects of replicate r are numbers ``r n`` to ``(r + 1) n`` of one endless virtual cohort, n
being the size of the trial. A subject's numbers depend on the seed and the position alone
(:mod:`synthetic.draws`), so that any replicates can be drawn without the others, and under any
treatment.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pmsstats.cohort.trial_arrays import TrialArrays
from synthetic.clinical import MissingnessModel
from synthetic.config import HAND_MEASURES, LESION_MEASURES, CohortConfig
from synthetic.draws import BLOCK, SubjectStreams
from synthetic.latent import Latent, draw_latent, examine, scan
from synthetic.lesions import count_lesions
from synthetic.missingness import Attendance, draw_attendance
from synthetic.parameters import Arm
from synthetic.population import Population, draw_population
from synthetic.presets import preset
from synthetic.processes import PROCESSES
from synthetic.relapses import Relapses
from synthetic.treatments import treatment
from synthetic.trial_arms import (
    TrialScenario,
    check_measures,
    check_names,
    event_rates,
    flat_effects,
    real,
)
from synthetic.trial_follow_up import dropout_rate
from synthetic.values import PerPhenotype
from synthetic.visits import DAYS_PER_YEAR

__all__ = ["RELAPSES", "draw_cohorts", "offered_measures", "trial_config"]

RELAPSES = "relapses"
"""What an endpoint names that counts relapses: they have days of their own and are no measure."""

_INCLUSION = ("mix", "age", "edss", "duration", "relapse_free_years", "sites", "conversion")
_RATES = ("worsening_rate", "relapse_rate", "lesion_rate")
_SETTINGS = (*_INCLUSION, *_RATES, "imaging", "literature")
_IMAGING = ("mean", "sd", "rate_pct", "rate_sd_pct", "error_sd")
_EFFECTS = tuple(
    entry.name
    for entry in dataclasses.fields(Arm)
    if entry.name not in {"name", "share", "slowing"}
)


def offered_measures(model: str) -> tuple[str, ...]:
    """List what a preset can measure in a trial.

    Parameters
    ----------
    model : str
        One of :data:`synthetic.PRESETS`.

    Returns
    -------
    tuple of str
        Measures, and ``"relapses"``.
    """
    offered = (*preset(model).offered, *HAND_MEASURES, *LESION_MEASURES, RELAPSES)
    return tuple(dict.fromkeys(offered))


def trial_config(scenario: TrialScenario) -> CohortConfig:
    """Describe the cohort that a trial in a preset's population draws from.

    Parameters
    ----------
    scenario : TrialScenario
        Its settings are inclusion criteria (those of :meth:`synthetic.CohortConfig.for_study`:
        ``mix``, ``age``, ``edss``, ``duration``, ``relapse_free_years``, ``sites``,
        ``conversion``), numbers that replace those of the preset (``worsening_rate``,
        ``relapse_rate``, ``lesion_rate``, for every phenotype; ``imaging``, by measure ``mean``,
        ``sd``, ``rate_pct``, ``rate_sd_pct``, ``error_sd``), and ``literature``, by switch.

    Returns
    -------
    CohortConfig
        With the schedule, arms and dropout of the scenario; makes what its endpoints need and no
        more.

    Raises
    ------
    DesignError
        If a setting, effect, treatment or measure is unknown or impossible.
    """
    parts = ("population", "arms", "schedule", "dropout", "measures", "accrual")
    key = repr([getattr(scenario, part) for part in parts])
    return _described(_Request(key=key, scenario=scenario))


@dataclass(frozen=True)
class _Request:
    """A scenario, the same as another where what a description needs of it reads the same."""

    key: str
    scenario: TrialScenario = dataclasses.field(compare=False)


@functools.lru_cache(maxsize=16)
def _described(request: _Request) -> CohortConfig:
    """Describe a cohort, once for all blocks of a simulation."""
    scenario = request.scenario
    settings, model = scenario.population.settings, scenario.population.model
    check_names("setting", settings, _SETTINGS, model)
    check_measures(scenario.measures, offered_measures(model), model)
    base = preset(model)
    measures = tuple(name for name in scenario.measures if name != RELAPSES) or ("edss",)
    parts = dict.fromkeys(("lesions", "hands", "functional_systems"))
    kept = {name: getattr(base, name) for name in parts if _makes(base, name, measures)}
    base = dataclasses.replace(base, measures=(), **(parts | kept))
    config = base.for_study(
        n_subjects=scenario.accrual.n_subjects,
        weeks=tuple(scenario.schedule.weeks),
        imaging_weeks=scenario.schedule.imaging_weeks,
        measures=measures,
        **{name: _tupled(settings[name]) for name in _INCLUSION if name in settings},
    )
    schedule = dataclasses.replace(
        config.schedule, window_days=float(scenario.schedule.window_days)
    )
    literature = tuple(settings.get("literature", dict(config.literature)).items())
    changes = _replaced_rates(config, settings) | {"imaging": _replaced_imaging(config, settings)}
    return dataclasses.replace(
        config,
        schedule=schedule,
        arms=_arms(scenario),
        missingness=_missingness(scenario),
        literature=literature,
        **changes,
    )


def _makes(base: CohortConfig, part: str, measures: tuple[str, ...]) -> bool:
    """Say whether a part of a description makes something that is asked for."""
    made = {"lesions": LESION_MEASURES, "hands": HAND_MEASURES}.get(part, ())
    if part == "functional_systems" and base.functional_systems is not None:
        made = base.functional_systems.measures
    return getattr(base, part) is not None and bool(set(made) & set(measures))


def _tupled(value: Any) -> Any:
    """Return lists of a file as the tuples that ranges are."""
    return tuple(value) if isinstance(value, list) else value


def _replaced_rates(config: CohortConfig, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Replace rates, for every phenotype alike."""
    changes: dict[str, Any] = {}
    places = {
        "worsening_rate": ("disability", "worsening_rate"),
        "relapse_rate": ("relapses", "rate"),
        "lesion_rate": ("lesions", "rate"),
    }
    for name, (part, entry) in places.items():
        if name not in settings or getattr(config, part) is None:
            continue
        value = real(name, settings[name], 0.0, 1e6)
        table = getattr(getattr(config, part), entry)
        new = PerPhenotype(**dict.fromkeys(table, value))
        changes[part] = dataclasses.replace(getattr(config, part), **{entry: new})
    return changes


def _replaced_imaging(config: CohortConfig, settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """Replace numbers of imaging measures; means and rates for every phenotype alike."""
    given = settings.get("imaging", {})
    check_names("imaging measure", given, (m.measure for m in config.imaging), "imaging")
    models = []
    for model in config.imaging:
        changes: dict[str, Any] = {}
        for name, value in given.get(model.measure, {}).items():
            check_names("number of an imaging measure", (name,), _IMAGING, model.measure)
            number = real(f"imaging.{model.measure}.{name}", value)
            table = getattr(model, name)
            is_table = isinstance(table, PerPhenotype)
            changes[name] = PerPhenotype(**dict.fromkeys(table, number)) if is_table else number
        models.append(dataclasses.replace(model, **changes))
    return tuple(models)


def _arms(scenario: TrialScenario) -> tuple[Arm, ...]:
    """Turn arms of the scenario to arms of a cohort; effects go before named treatments."""
    total = sum(float(arm.ratio) for arm in scenario.arms)
    processes = {f"slowing_{process}": process for process in PROCESSES}
    arms = []
    for arm in scenario.arms:
        model = scenario.population.model
        effects = flat_effects(arm)
        check_names(f"effect (of arm {arm.name!r})", effects, (*_EFFECTS, *processes), model)
        base = Arm(name=arm.name, share=1.0)
        if arm.treatment is not None:
            base = treatment(arm.treatment)
        given = {name: real(f"{name} of arm {arm.name}", v) for name, v in effects.items()}
        slowing = dict(base.slowing) | {
            processes[name]: share for name, share in given.items() if name in processes
        }
        own = {name: value for name, value in given.items() if name not in processes}
        share = float(arm.ratio) / total
        arms.append(
            dataclasses.replace(
                base, name=arm.name, share=share, slowing=tuple(slowing.items()), **own
            )
        )
    return tuple(arms)


def _missingness(scenario: TrialScenario) -> MissingnessModel:
    """Turn the share that leaves to a rate over the planned follow-up."""
    dropout = scenario.dropout
    rate = dropout_rate(dropout.share, scenario.schedule.weeks)
    return MissingnessModel(
        missed_visit=dropout.missed_visit,
        missed_scan=dropout.missed_scan,
        dropout=dropout.mechanism if rate > 0 else "none",
        dropout_rate=rate,
        dropout_log_hazard=dropout.log_hazard,
        death_rate=dropout.death_rate,
    )


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Consecutive subjects, and where they stand among those asked for."""

    streams: SubjectStreams
    kept: slice
    place: slice


def _blocks(root: np.random.SeedSequence, first: int, last: int) -> Iterator[_Block]:
    """Iterate over the blocks that hold some consecutive subjects."""
    for block in range(first // BLOCK, -(-last // BLOCK)):
        offset = block * BLOCK
        start, stop = max(first, offset), min(last, offset + BLOCK)
        yield _Block(
            streams=SubjectStreams(root, stop - offset, block),
            kept=slice(start - offset, stop - offset),
            place=slice(start - first, stop - first),
        )


def draw_cohorts(
    config: CohortConfig,
    scenario: TrialScenario,
    root: np.random.SeedSequence,
    *,
    first: int,
    last: int,
    arm: np.ndarray | None,
) -> TrialArrays:
    """Draw replicates in a preset's population.

    Parameters
    ----------
    config : CohortConfig
        From :func:`trial_config`.
    scenario : TrialScenario
        What it was made from.
    root : numpy.random.SeedSequence
        From the seed.
    first, last : int
        First replicate, and the one after the last.
    arm : ndarray of int, shape (n_replicates, n_subjects), or None
        Who is in which arm (-1: nobody has this place); by chance where None.

    Returns
    -------
    TrialArrays
        Of these replicates.
    """
    size = scenario.accrual.n_subjects
    shape = (last - first, size)
    given = None if arm is None else np.asarray(arm).reshape(-1)
    store = _CohortStore(config, scenario, shape[0] * size)
    for block in _blocks(root, first * size, last * size):
        mine = None if given is None else given[block.place]
        store.add(block, _draw_block(config, scenario, block, mine))
    return store.arrays(shape, arm)


@dataclass(frozen=True, kw_only=True)
class _Course:
    """What was drawn of a block."""

    latent: Latent
    attendance: Attendance
    clinical: Mapping[str, np.ndarray]
    scans: Mapping[str, np.ndarray]
    events: Mapping[str, np.ndarray]
    exit_day: np.ndarray
    exit_reason: np.ndarray


def _draw_block(
    config: CohortConfig, scenario: TrialScenario, block: _Block, arm: np.ndarray | None
) -> _Course:
    """Draw a block under given treatments, and take away what is not seen."""
    streams = block.streams
    population = draw_population(config, streams)
    if arm is not None:
        mine = np.zeros(streams.n_subjects, dtype=np.int64)
        mine[block.kept] = np.maximum(arm, 0)
        population = dataclasses.replace(population, arm=mine)
    events, stop_year, unseen = _draw_events(scenario, population, streams)
    population = dataclasses.replace(population, stop_year=stop_year)
    latent = draw_latent(config, streams, population)
    ratings = examine(config, latent, streams)
    attendance = draw_attendance(
        config.missingness, latent.calendar, ratings["edss"], streams,
        course=latent.course_edss, age=population.age,
    )  # fmt: skip
    attendance = _leave(attendance, latent.calendar.day, unseen)
    return _Course(
        latent=latent,
        attendance=attendance,
        clinical=ratings | count_lesions(latent.lesions, attendance.scanned),
        scans=scan(config, latent, streams),
        events=events,
        exit_day=attendance.exit_day,
        exit_reason=attendance.reason,
    )


def _draw_events(
    scenario: TrialScenario, population: Population, streams: SubjectStreams
) -> tuple[dict[str, np.ndarray], np.ndarray | None, np.ndarray | None]:
    """Draw intercurrent events: their days, years until effects end, days of leaving for them."""
    events: dict[str, np.ndarray] = {}
    never = np.full(streams.n_subjects, np.inf)
    stops, unseen = never, never
    for event in scenario.intercurrent:
        rates = event_rates(scenario, event)
        events[event.name] = never
        if not rates.any():
            continue
        waited = streams.exponential("intercurrent", event.name)
        with np.errstate(divide="ignore"):
            day = np.ceil(DAYS_PER_YEAR * waited / rates[population.arm])
        events[event.name] = day
        if event.effect_after == "stops":
            stops = np.minimum(stops, day / DAYS_PER_YEAR)
        if event.seen_after < 1:
            leaves = streams.uniform("intercurrent unseen", event.name) >= event.seen_after
            unseen = np.minimum(unseen, np.where(leaves, day, np.inf))
    return events, None if stops is never else stops, None if unseen is never else unseen


def _leave(attendance: Attendance, day: np.ndarray, unseen: np.ndarray | None) -> Attendance:
    """Let subjects leave who are not seen after an intercurrent event."""
    if unseen is None:
        return attendance
    leaves = unseen < attendance.exit_day
    exit_day = np.where(leaves, unseen, attendance.exit_day).astype(np.int64)
    present = day <= exit_day[:, None]
    return dataclasses.replace(
        attendance,
        attended=attendance.attended & present,
        scanned=attendance.scanned & present,
        missed=attendance.missed & present,
        exit_day=exit_day,
        reason=np.where(leaves, 1, attendance.reason),
    )


class _CohortStore:
    """Arrays of consecutive subjects, filled block by block."""

    def __init__(self, config: CohortConfig, scenario: TrialScenario, n_subjects: int) -> None:
        self._scenario, self._config = scenario, config
        n_visits = len(scenario.schedule.weeks)
        measures = tuple(name for name in scenario.measures if name != RELAPSES)
        self._values = {name: np.full((n_subjects, n_visits), np.nan) for name in measures}
        moves = config.schedule.window_days >= 1
        self._day = np.empty((n_subjects, n_visits), dtype=np.int64) if moves else None
        names = ("age_years", "sex", "disease_duration_years", "head_size_ml", "phenotype", "site")
        self._baseline = {name: np.empty(n_subjects) for name in names}
        self._events = {event.name: np.empty(n_subjects) for event in scenario.intercurrent}
        self._exit_day = np.empty(n_subjects)
        self._reason = np.empty(n_subjects, dtype=np.int8)
        self._arm = np.empty(n_subjects, dtype=np.int64)
        self._relapses: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, block: _Block, course: _Course) -> None:
        """Store a block.

        Parameters
        ----------
        block : _Block
            Which subjects are kept where.
        course : _Course
            What was drawn.
        """
        kept, place, latent = block.kept, block.place, course.latent
        columns = latent.calendar.columns(self._config.schedule.imaging_weeks)
        for name, room in self._values.items():
            if name in course.scans:
                seen = course.attendance.scanned[kept][:, columns]
                scans = course.scans[name].T[kept]
                room[place, columns] = np.where(seen, scans, np.nan)
            else:
                seen = course.attendance.attended[kept]
                room[place] = np.where(seen, course.clinical[name][kept], np.nan)
        if self._day is not None:
            self._day[place] = latent.calendar.day[kept]
        for name, values in _baseline(latent.population).items():
            self._baseline[name][place] = values[kept]
        self._exit_day[place] = course.exit_day[kept]
        self._reason[place] = course.exit_reason[kept]
        self._arm[place] = latent.population.arm[kept]
        for name, day in course.events.items():
            happened = np.where(day <= course.exit_day, day, np.inf)
            self._events[name][place] = happened[kept]
        self._add_relapses(latent.relapses, course.exit_day, block)

    def _add_relapses(self, relapses: Relapses, exit_day: np.ndarray, block: _Block) -> None:
        """Store relapses up to exit; two that begin on one day are one."""
        years = relapses.years[block.kept]
        who, k = np.nonzero(np.isfinite(years))
        day = np.ceil(years[who, k] * DAYS_PER_YEAR)
        kept = day <= exit_day[block.kept][who]
        kept[1:] &= (np.diff(who) > 0) | (np.diff(day) > 0)
        self._relapses.append((who[kept] + block.place.start, day[kept].astype(np.int64)))

    def arrays(self, shape: tuple[int, int], arm: np.ndarray | None) -> TrialArrays:
        """Cut all subjects to replicates.

        Parameters
        ----------
        shape : (int, int)
            Replicates and subjects of each.
        arm : ndarray or None
            As it was given.

        Returns
        -------
        TrialArrays
            Of all.
        """
        scenario, never = self._scenario, np.full(shape, np.inf)
        values = {name: array.reshape(*shape, -1) for name, array in self._values.items()}
        if arm is not None and (np.asarray(arm) < 0).any():
            for array in values.values():
                array[np.asarray(arm) < 0] = np.nan
        events = {name: day.reshape(shape) for name, day in self._events.items()}
        planned = 7 * np.array(scenario.schedule.weeks, dtype=np.int64)
        who = np.concatenate([part[0] for part in self._relapses])
        return TrialArrays(
            arms=tuple(each.name for each in scenario.arms),
            arm=self._arm.reshape(shape) if arm is None else arm,
            weeks=tuple(scenario.schedule.weeks),
            day=planned[None, None] if self._day is None else self._day.reshape(*shape, -1),
            values=values,
            baseline={name: array.reshape(shape) for name, array in self._baseline.items()},
            exit_day=self._exit_day.reshape(shape),
            exit_reason=self._reason.reshape(shape),
            stop_day=functools.reduce(np.minimum, events.values(), never),
            intercurrent=events,
            relapses=(
                who // shape[1],
                who % shape[1],
                np.concatenate([part[1] for part in self._relapses]),
            ),
        )


def _baseline(population: Population) -> dict[str, np.ndarray]:
    """Return what is known at entry, rounded as it is written down."""
    return {
        "age_years": np.round(population.age, 1),
        "sex": population.female.astype(float),
        "disease_duration_years": np.round(population.duration, 1),
        "head_size_ml": np.round(population.head_size, 1),
        "phenotype": population.phenotype.astype(float),
        "site": population.site.astype(float),
    }
