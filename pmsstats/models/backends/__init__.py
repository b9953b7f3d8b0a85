"""Engines of linear mixed models; those of other programs are imported here only."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.errors import DesignError, nearest

if TYPE_CHECKING:
    from pmsstats.models.fixed_effects.degrees_of_freedom import Inference
    from pmsstats.models.mixed.grouped_likelihood import GroupedLikelihood
    from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood, Solution
    from pmsstats.results import FitLog

__all__ = ["LMM_ENGINES", "EngineFit", "ask_lmm_engine", "run_lmm_engine"]

LMM_ENGINES: Mapping[str, str] = MappingProxyType(
    {
        "native": "pmsstats.models.mixed.native_lmm",
        "statsmodels": "pmsstats.models.backends.statsmodels_lmm",
        "lme4": "pmsstats.models.backends.pymer4_lmm",
    }
)
"""Engines of linear mixed models, and the module that runs each (imported on first use)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class EngineFit:
    """What an engine found, on the common scale.

    Parameters
    ----------
    psi : ndarray, shape (q, q), or tuple of such
        Covariance of the random effects over the residual variance; one per grouping factor where
        there are several.
    fixed : ndarray, shape (p,)
        Fixed effects.
    fixed_covariance : ndarray, shape (p, p)
        Their covariance.
    sigma2 : float
        Residual variance.
    log_likelihood : float
        Restricted or full.
    modes : ndarray, shape (n_subjects, q), or tuple of such
        Predicted random effects; one array per grouping factor where there are several.
    fit_log : FitLog
        What the engine said about it.
    inference : Inference, optional
        Where the engine itself offers degrees of freedom.
    solution : Solution, optional
        Where the engine worked out everything that follows from `psi` already.
    """

    psi: np.ndarray | tuple[np.ndarray, ...]
    fixed: np.ndarray
    fixed_covariance: np.ndarray
    sigma2: float
    log_likelihood: float
    modes: np.ndarray | tuple[np.ndarray, ...]
    fit_log: FitLog
    inference: Inference | None = None
    solution: Solution | None = None


def run_lmm_engine(engine: str, likelihood: MixedLikelihood | GroupedLikelihood) -> EngineFit:
    """Fit a linear mixed model with a named engine.

    Parameters
    ----------
    engine : str
        One of :data:`LMM_ENGINES`.
    likelihood : MixedLikelihood or GroupedLikelihood
        The model and its data, on the common scale.

    Returns
    -------
    EngineFit
        Also where the engine did not converge: its log says so.

    Raises
    ------
    DesignError
        If there is no such engine.
    BackendUnavailableError
        If the engine is not installed; the message says what to install.
    """
    fit: EngineFit = _module(engine).fit(likelihood)
    return fit


def ask_lmm_engine(engine: str, likelihood: MixedLikelihood | GroupedLikelihood) -> EngineFit:
    """Fit a linear mixed model with a named engine, and take nothing but its own numbers.

    Parameters
    ----------
    engine : str
        One of :data:`LMM_ENGINES`.
    likelihood : MixedLikelihood or GroupedLikelihood
        The model and its data, on the common scale.

    Returns
    -------
    EngineFit
        As the engine reports them: not improved, and not refused where they contradict this
        package. What the engine cannot compute is missing.

    Raises
    ------
    DesignError
        If there is no such engine.
    BackendUnavailableError
        If the engine is not installed; the message says what to install.
    ConvergenceError
        If the engine stopped with an error.
    """
    module = _module(engine)
    fit: EngineFit = getattr(module, "own_answer", module.fit)(likelihood)
    return fit


def _module(engine: str) -> ModuleType:
    """Import the module of an engine."""
    if engine not in LMM_ENGINES:
        raise DesignError(
            f"`engine` must be one of {', '.join(LMM_ENGINES)}, got {engine!r}."
            f"{nearest(str(engine), LMM_ENGINES)}"
        )
    return importlib.import_module(LMM_ENGINES[engine])
