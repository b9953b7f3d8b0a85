"""The numbers behind the presets; each names its evidence record, or says that it is assumed."""

from __future__ import annotations

from synthetic.defaults import (
    cerebellum,
    cord,
    cortex,
    deep_grey,
    diffusion,
    lesions,
    magnetisation,
    metabolism,
    volumes,
)
from synthetic.defaults.clinical import (
    CONVERSION,
    DISABILITY,
    FUNCTIONAL_SYSTEMS,
    HANDS,
    INSTRUMENTS,
    MISSINGNESS,
    RELAPSES,
)
from synthetic.defaults.lesions import LESIONS
from synthetic.defaults.population import CORRELATIONS, POPULATION, SCHEDULE

__all__ = [
    "CONVERSION",
    "CORRELATIONS",
    "DISABILITY",
    "FUNCTIONAL_SYSTEMS",
    "HANDS",
    "IMAGING",
    "INSTRUMENTS",
    "LESIONS",
    "MISSINGNESS",
    "POPULATION",
    "RELAPSES",
    "SCHEDULE",
]

IMAGING = (
    *volumes.MODELS,
    *deep_grey.MODELS,
    *cerebellum.MODELS,
    *cord.MODELS,
    *lesions.MODELS,
    *cortex.MODELS,
    *magnetisation.MODELS,
    *diffusion.MODELS,
    *metabolism.MODELS,
)
"""One model for every imaging measure."""
