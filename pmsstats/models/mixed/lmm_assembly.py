"""A fitted mixed model, mapped back to the user's units and put into tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.models.fixed_effects.inference import tabulate_estimates
from pmsstats.models.mixed.lmm_result import LMMResult

if TYPE_CHECKING:
    from pmsstats.models.backends import EngineFit
    from pmsstats.models.fixed_effects.degrees_of_freedom import Inference
    from pmsstats.models.mixed.lmm import LMMSpec
    from pmsstats.models.mixed.mixed_design import GroupingDesign, MixedDesign
    from pmsstats.models.mixed.mixed_scale import StandardScale
    from pmsstats.results import FitLog

__all__ = ["assemble_lmm"]


def assemble_lmm(
    design: MixedDesign,
    spec: LMMSpec,
    found: EngineFit,
    *,
    inference: Inference,
    back: StandardScale,
    fit_log: FitLog,
) -> LMMResult:
    """Map what an engine found back to the user's units, and tabulate it.

    Parameters
    ----------
    design : MixedDesign
        The model's columns.
    spec : LMMSpec
        The request.
    found : EngineFit
        On the common scale. Predictions and a log-likelihood may be missing, from an engine that
        could not compute them.
    inference : Inference
        In the user's units.
    back : StandardScale
        The way there.
    fit_log : FitLog
        With the log-likelihood in the user's units.

    Returns
    -------
    LMMResult
        Without context (label, origin, earlier exclusions).
    """
    psis = found.psi if isinstance(found.psi, tuple) else (found.psi,)
    modes = found.modes if isinstance(found.modes, tuple) else (found.modes,)
    components: list[tuple[str, str, str, float, str]] = []
    frames: dict[str, pd.DataFrame] = {}
    for k, (words, psi, mode) in enumerate(zip(design.groupings, psis, modes, strict=True)):
        covariance = back.random_covariance(found.sigma2 * psi, grouping=k)
        components += _variance_rows(words, covariance)
        frames[words.group] = _blup_frame(words, _in_user_units(mode, back, k))
    return LMMResult(
        spec=spec,
        fit_log=fit_log,
        group=design.group,
        n_subjects=design.arrays.n_subjects,
        n_obs=design.arrays.n_obs,
        coefficients=tabulate_estimates(
            design.fixed_names,
            back.fixed(found.fixed),
            np.sqrt(np.diag(inference.covariance)),
            df=inference.df(np.eye(len(inference.covariance))),
            conf_level=spec.conf_level,
        ),
        inference=inference,
        variance_components=pd.DataFrame(
            components, columns=["group", "term1", "term2", "estimate", "kind"]
        ),
        residual_sd=back.scale * float(np.sqrt(found.sigma2)),
        blup_frame=frames.pop(design.group),
        other_blups=frames,
        data=design.rows,
        design=design,
        exclusions=design.exclusions,
    )


def _in_user_units(modes: np.ndarray, back: StandardScale, grouping: int) -> np.ndarray:
    """Map predicted effects back; those that an engine could not compute stay missing."""
    mapped = np.full_like(modes, np.nan)
    known = np.isfinite(modes).all(axis=1)
    mapped[known] = back.random(modes[known], grouping=grouping)
    return mapped


def _blup_frame(words: GroupingDesign, modes: np.ndarray) -> pd.DataFrame:
    """Put predicted effects under the names of their levels."""
    columns = dict(zip(words.random_names, modes.T, strict=True))
    return pd.DataFrame({words.group: list(words.ids), **columns})


def _variance_rows(
    words: GroupingDesign, psi: np.ndarray
) -> list[tuple[str, str, str, float, str]]:
    """List variances, covariances and correlations of one factor's effects."""
    names: Sequence[str] = words.random_names
    sd = np.sqrt(np.clip(np.diag(psi), 0.0, None))
    rows = [(words.group, name, name, float(psi[i, i]), "variance") for i, name in enumerate(names)]
    pairs = [(i, j) for block in words.blocks for i in block for j in block if i < j]
    for kind in ("covariance", "correlation"):
        for i, j in pairs:
            scale = sd[i] * sd[j] if kind == "correlation" else 1.0
            value = float(psi[i, j] / scale) if scale > 0 else float("nan")
            rows.append((words.group, names[i], names[j], value, kind))
    return rows
