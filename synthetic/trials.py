"""Generate many replicates of a trial as arrays, for :func:`pmsstats.trials.simulate_trials`.

A scenario names its model: one of :data:`synthetic.PRESETS` (patients with disability, images,
relapses, as in the cohorts of :func:`synthetic.generate_cohort`), or a plain model whose every
parameter is a setting (:data:`PLAIN_MODELS`): ``"random_slope"``, ``"correlated_outcomes"``,
``"event_times"``, ``"counts"``, ``"repeated"``.

Who stops treatment (an intercurrent event after which the effect stops) goes on as in the reference
arm from that day on: slopes, hazards and rates are those of the reference arm, and an early loss of
volume grows by what that of the reference arm grows by. What has happened until then stays.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.errors import DesignError, nearest
from pmsstats.seeds import REPLICATES_PER_CELL, Seed, as_seed_sequence
from synthetic.draws import BLOCK
from synthetic.presets import PRESETS, preset
from synthetic.treatments import TREATMENTS
from synthetic.trial_arms import TrialScenario, check_measures
from synthetic.trial_cells import draw_plain
from synthetic.trial_cohorts import draw_cohorts, offered_measures, trial_config
from synthetic.trial_events import plan_counts, plan_events
from synthetic.trial_models import PlainModel, Truths
from synthetic.trial_repeated import plan_repeated
from synthetic.trial_slopes import plan_correlated, plan_slope

__all__ = ["PLAIN_MODELS", "TrialGenerator", "generate_trials"]

_VERSION = 1
"""Of what is drawn in which order: to be raised whenever the same seed gives other trials."""

PLAIN_MODELS: Mapping[str, Callable[[TrialScenario], PlainModel]] = MappingProxyType(
    {
        "random_slope": plan_slope,
        "correlated_outcomes": plan_correlated,
        "event_times": plan_events,
        "counts": plan_counts,
        "repeated": plan_repeated,
    }
)
"""Plain models by name, as what reads them from a scenario; its docstring lists the settings."""


@dataclass(frozen=True)
class TrialGenerator:
    """Generator of trials; :data:`generate_trials` is the one.

    Parameters
    ----------
    version : int
        Of what is drawn in which order.
    """

    version: int = _VERSION

    def __call__(
        self,
        scenario: TrialScenario,
        seed: Seed,
        *,
        first: int = 0,
        last: int = 1,
        arm: np.ndarray | None = None,
    ) -> TrialArrays:
        """Generate consecutive replicates of a trial.

        Parameters
        ----------
        scenario : TrialScenario
            As :class:`pmsstats.trials.Scenario`.
        seed : int, numpy.random.SeedSequence or numpy.random.Generator
            Required: the same seed gives the same people in replicate r, whatever else is asked
            for with it, and whatever treatment they get.
        first, last : int
            First replicate, from 0, and the one after the last.
        arm : ndarray of int, shape (n_replicates, n_subjects), optional
            Who is in which arm, -1 for a place that nobody has (its values are NaN); it is not
            changed. By chance in the ratio of the arms, if left out.

        Returns
        -------
        TrialArrays
            Of these replicates.

        Raises
        ------
        DesignError
            If the scenario asks for a model, setting, effect, treatment or measure that is
            unknown or impossible, or `first`, `last`, `arm` do not fit.
        TypeError
            If no seed is given.
        """
        _check_range(first, last)
        arm = None if arm is None else _checked_arms(arm, scenario, last - first)
        root = as_seed_sequence(seed)
        model = _known_model(scenario)
        if model in PRESETS:
            config = trial_config(scenario)
            return draw_cohorts(config, scenario, root, first=first, last=last, arm=arm)
        plan = PLAIN_MODELS[model](scenario)
        check_measures(scenario.measures, plan.measures, model)
        return draw_plain(plan, scenario, root, first=first, last=last, arm=arm)

    def measures(self, scenario: TrialScenario) -> tuple[str, ...]:
        """List what endpoints of a scenario may measure.

        Parameters
        ----------
        scenario : TrialScenario
            With its population.

        Returns
        -------
        tuple of str
            Names.
        """
        model = _known_model(scenario)
        if model in PRESETS:
            return offered_measures(model)
        return PLAIN_MODELS[model](scenario).measures

    def truth(self, scenario: TrialScenario) -> Truths:
        """Return true values of estimands that have a closed form.

        Parameters
        ----------
        scenario : TrialScenario
            With its analyses.

        Returns
        -------
        mapping of str to mapping of str to float or None
            By analysis and treated arm, treated minus reference: slope difference per year,
            difference at the visit compared, log hazard ratio, log rate ratio. Analyses without a
            closed form are left out, or have None; so are all those in a preset.
        """
        model = _known_model(scenario)
        return {} if model in PRESETS else PLAIN_MODELS[model](scenario).truths()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what a scenario does not say: version, and the numbers behind the presets."""
        return _fingerprint(self.version)


@functools.cache
def _fingerprint(version: int) -> str:
    """Return the hash of a version and of the numbers behind the presets."""
    numbers = {name: _plain(preset(name)) for name in PRESETS}
    numbers |= {name: _plain(arm) for name, arm in TREATMENTS.items()}
    content = [version, BLOCK, REPLICATES_PER_CELL, numbers]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _plain(part: object) -> object:
    """Return parts of a description as JSON types."""
    if dataclasses.is_dataclass(part):
        return {e.name: _plain(getattr(part, e.name)) for e in dataclasses.fields(part)}
    if isinstance(part, Mapping):
        return {str(name): _plain(value) for name, value in part.items()}
    if isinstance(part, tuple | list):
        return [_plain(value) for value in part]
    if isinstance(part, float):
        return repr(float(part))
    return part


def _known_model(scenario: TrialScenario) -> str:
    """Return the name of the model; refuse an unknown one."""
    model, known = scenario.population.model, (*PRESETS, *PLAIN_MODELS)
    if model not in known:
        raise DesignError(
            f"No model {model!r} to draw a population from.{nearest(str(model), known)} "
            f"There are: {', '.join(known)}."
        )
    return str(model)


def _check_range(first: int, last: int) -> None:
    """Refuse replicates that are none."""
    for name, value in (("first", first), ("last", last)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise DesignError(f"`{name}` must be a whole number of replicates, got {value!r}.")
    if not 0 <= first < last:
        raise DesignError(
            f"`first` must be 0 or more and below `last`, got {first!r} and {last!r}."
        )


def _checked_arms(arm: np.ndarray, scenario: TrialScenario, n_replicates: int) -> np.ndarray:
    """Refuse an allocation of another shape, or to arms that are none."""
    arm = np.asarray(arm)
    shape = (n_replicates, scenario.accrual.n_subjects)
    if arm.shape != shape or not np.issubdtype(arm.dtype, np.integer):
        raise DesignError(
            f"`arm` must be whole numbers of shape {shape}, got {arm.dtype} of shape {arm.shape}."
        )
    rows = arm[:1] if arm.strides[0] == 0 else arm
    low, high = int(rows.min()), int(rows.max())
    if low < -1 or high >= len(scenario.arms):
        raise DesignError(
            f"`arm` must be positions of the {len(scenario.arms)} arms, or -1, "
            f"got {low if low < -1 else high}."
        )
    return arm


generate_trials = TrialGenerator()
"""Generate replicates of a trial: see :class:`TrialGenerator`."""
