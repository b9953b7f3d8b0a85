"""The hazard's part of a joint model: baseline covariates, strata, interactions, baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.models.formulas.columns import independent_columns
from pmsstats.models.formulas.design import DesignSpec, design_matrices
from pmsstats.models.joint.baseline import BaselineHazard, baseline_hazards

if TYPE_CHECKING:
    from pmsstats.models.joint.event_data import EventData
    from pmsstats.models.joint.spec import JointSpec

__all__ = ["HazardDesign", "build_hazard_design"]

_CONSTANT = 1e-12  # standard deviation over largest value


@dataclass(frozen=True, kw_only=True, eq=False)
class HazardDesign:
    """How the columns of the hazards are made of survival tables.

    Parameters
    ----------
    covariates : DesignSpec
        Makes the baseline covariates, its intercept included.
    interactions : DesignSpec, optional
        Makes what associations are multiplied by, its intercept included.
    strata : str, optional
        Column.
    levels : tuple
        Levels of the strata; ``("",)`` without strata.
    baselines : tuple of BaselineHazard
        One per cause.
    """

    covariates: DesignSpec
    interactions: DesignSpec | None
    strata: str | None
    levels: tuple[object, ...]
    baselines: tuple[BaselineHazard, ...]

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Return the names of the baseline covariates."""
        return _without_intercept(self.covariates)

    @property
    def interaction_names(self) -> tuple[str, ...]:
        """Return the names of what associations are multiplied by; the empty name is 1."""
        return ("", *(_without_intercept(self.interactions) if self.interactions else ()))

    def covariate_matrix(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the baseline covariates: shape (n, n_covariates).

        Parameters
        ----------
        frame : pandas.DataFrame
            Survival table.
        """
        return _matrix(self.covariates, frame)

    def interaction_matrix(self, frame: pd.DataFrame) -> np.ndarray:
        """Return what associations are multiplied by, ones first: shape (n, n_interactions).

        Parameters
        ----------
        frame : pandas.DataFrame
            Survival table.
        """
        ones = np.ones((len(frame), 1))
        if self.interactions is None:
            return ones
        return np.hstack([ones, _matrix(self.interactions, frame)])

    def stratum(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the code of each subject's stratum: shape (n,), int.

        Parameters
        ----------
        frame : pandas.DataFrame
            Survival table.

        Raises
        ------
        DesignError
            If a level was not there in the fit.
        """
        if self.strata is None:
            return np.zeros(len(frame), dtype=int)
        codes = pd.Categorical(frame[self.strata], categories=list(self.levels)).codes
        if (codes < 0).any():
            strange = frame[self.strata].iloc[int(np.argmin(codes))]
            raise DesignError(
                f"`strata` {self.strata!r} has the level {strange!r}, which the fit does not know."
                f"{nearest(str(strange), map(str, self.levels))}"
            )
        return np.asarray(codes, dtype=int)

    def basis(
        self, cause: int, stratum: np.ndarray, covariates: np.ndarray, time: np.ndarray
    ) -> np.ndarray:
        """Make the columns of the log baseline hazard of one cause.

        Parameters
        ----------
        cause : int
            Which.
        stratum : ndarray of int, shape (n,)
            Of each point.
        covariates : ndarray, shape (n, n_covariates)
            Of each point.
        time : ndarray, shape (n,)
            When.

        Returns
        -------
        ndarray, shape (n, n_strata * n_coefficients + n_covariates)
            A block per stratum, then the covariates.
        """
        made = self.baselines[cause].basis(time)
        blocks = [np.where((stratum == s)[:, None], made, 0.0) for s in range(len(self.levels))]
        return np.hstack([*blocks, covariates])


def build_hazard_design(
    spec: JointSpec, events: EventData, *, n_links: int
) -> tuple[HazardDesign, np.ndarray]:
    """Make the design of the hazards, and refuse what events cannot determine.

    Parameters
    ----------
    spec : JointSpec
        The request.
    events : EventData
        Of all subjects.
    n_links : int
        Associations per cause, without interactions.

    Returns
    -------
    design : HazardDesign
        For this and other data.
    covariates : ndarray, shape (n, n_covariates)
        Of these data.

    Raises
    ------
    DesignError
        If covariates are constant, collinear or separate events from others completely, or there
        are fewer events of a cause than coefficients.
    """
    frame = events.frame
    _, covariates = design_matrices(spec.hazard, frame)
    interactions = design_matrices(spec.interaction, frame)[1] if spec.interaction else None
    levels = tuple(pd.unique(frame[spec.strata])) if spec.strata else ("",)
    levels = tuple(sorted(levels, key=str))
    design = HazardDesign(
        covariates=covariates,
        interactions=interactions,
        strata=spec.strata,
        levels=levels,
        baselines=(),
    )
    stratum = design.stratum(frame)
    W, G = design.covariate_matrix(frame), design.interaction_matrix(frame)
    n_coefficients = W.shape[1] + n_links * G.shape[1]
    for cause, label in enumerate(events.causes):
        _check_number(int((events.cause == cause).sum()), n_coefficients, label)
    _check_columns(W, design.covariate_names, stratum, "hazard")
    _check_columns(G[:, 1:], design.interaction_names[1:], np.zeros(len(G), int), "interaction")
    for cause, label in enumerate(events.causes):
        _check_separation(W, design.covariate_names, events.cause == cause, stratum, label)
    made = HazardDesign(
        covariates=covariates,
        interactions=interactions,
        strata=spec.strata,
        levels=levels,
        baselines=baseline_hazards(events, spec, stratum),
    )
    return made, W


def _without_intercept(design: DesignSpec) -> tuple[str, ...]:
    """Return the names of the columns that are no intercept."""
    return tuple(name for name in design.columns if name != "Intercept")


def _matrix(design: DesignSpec, frame: pd.DataFrame) -> np.ndarray:
    """Make the columns that are no intercept."""
    made = design.matrix(frame).drop(columns="Intercept", errors="ignore").to_numpy()
    bad = ~np.isfinite(made).all(axis=1)
    if bad.any():
        raise DesignError(
            f"A covariate of {design.rhs!r} is no finite number in {int(bad.sum())} subject(s). "
            "Correct the values, or the transform (a logarithm needs values above 0)."
        )
    return made


def _check_number(n_events: int, n_coefficients: int, label: str) -> None:
    """Refuse causes with fewer events than coefficients."""
    if n_events < max(n_coefficients, 1):
        of = "" if label == "event" else f" of {label!r}"
        raise DesignError(
            f"{n_events} event(s){of} cannot determine {n_coefficients} coefficients of the hazard "
            "(covariates and associations). Use fewer, or more follow-up."
        )


def _check_columns(
    columns: np.ndarray, names: Sequence[str], stratum: np.ndarray, argument: str
) -> None:
    """Refuse covariates that are constant, or combinations of others, within strata."""
    if columns.shape[1] == 0:
        return
    spread = columns.std(axis=0)
    constant = spread <= _CONSTANT * np.abs(columns).max(axis=0)
    if constant.any():
        raise DesignError(
            f"`{argument}`: {', '.join(np.asarray(names)[constant])} has the same value in all "
            "subjects, so it says nothing. Leave it out."
        )
    scaled = (columns - columns.mean(axis=0)) / spread
    groups = np.eye(int(stratum.max()) + 1)[stratum]
    _, dropped = independent_columns(np.hstack([groups, scaled]))
    dropped = tuple(j - groups.shape[1] for j in dropped if j >= groups.shape[1])
    if dropped:
        raise DesignError(
            f"`{argument}`: {', '.join(names[j] for j in dropped)} is a combination of the others "
            "(or of the strata), so their effects cannot be told apart. Leave it out."
        )


def _check_separation(
    columns: np.ndarray,
    names: Sequence[str],
    seen: np.ndarray,
    stratum: np.ndarray,
    label: str,
) -> None:
    """Refuse covariates at whose highest or lowest value all events of a cause lie."""
    codes = [code for code in np.unique(stratum) if (seen & (stratum == code)).any()]
    for column, name in zip(columns.T, names, strict=True):
        for extreme, word in ((np.max, "highest"), (np.min, "lowest")):
            apart = [
                bool((column[seen & (stratum == c)] == extreme(column[stratum == c])).all())
                for c in codes
            ]
            if all(apart):
                of = "events" if label == "event" else f"events of {label!r}"
                raise DesignError(
                    f"All {int(seen.sum())} {of} have the {word} value of {name}: events are "
                    "separated completely, so that its log hazard ratio has no finite estimate. "
                    "Leave it out, or use it as `strata`."
                )
