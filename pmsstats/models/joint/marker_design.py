"""A marker's trajectory at any time: value, slope, area and lagged value as linear functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.formulas.design import design_matrices
from pmsstats.models.joint.data import marker_variables
from pmsstats.models.mixed.mixed_design import MixedDesign, build_mixed_design

if TYPE_CHECKING:
    from pmsstats.models.joint.data import JointData
    from pmsstats.models.joint.spec import JointSpec
    from pmsstats.models.mixed.lmm import LMMSpec

__all__ = ["Columns", "MarkerDesign", "build_marker_design"]

_STEP = 1e-5  # of the difference, as a share of the follow-up: knots matter less than rounding
_SAME = 1e-6  # relative error of slopes and areas above which they are refused
_EXACT = 1e-7  # relative difference at which fewer cells of an area are enough
_AREA_NODES = 4  # Gauss points per cell
_AREA_CELLS = (1, 32, 128)
_CHECKED = 200  # points on which accuracy is measured


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """What a linear function of a trajectory takes of fixed and random effects.

    Parameters
    ----------
    fixed : ndarray, shape (n, p)
        Columns of the fixed effects.
    random : ndarray, shape (n, q)
        Columns of the random effects.
    """

    fixed: np.ndarray
    random: np.ndarray

    def combine(self, weights: np.ndarray) -> Columns:
        """Add up groups of consecutive rows.

        Parameters
        ----------
        weights : ndarray, shape (n_groups, m) or (m,)
            Of the m rows of each group.

        Returns
        -------
        Columns
            One row per group.
        """
        m = weights.shape[-1]
        weights = np.broadcast_to(weights, (len(self.fixed) // m, m))
        fixed, random = (
            np.einsum("gm,gmp->gp", weights, part.reshape(-1, m, part.shape[1]))
            for part in (self.fixed, self.random)
        )
        return Columns(fixed=fixed, random=random)


@dataclass(frozen=True, kw_only=True, eq=False)
class MarkerDesign:
    """How the columns of one marker are made at any time of any subject.

    Parameters
    ----------
    spec : LMMSpec
        Its mixed model.
    time : str
        Time column.
    end : float
        Longest follow-up of the fit.
    mixed : MixedDesign
        Formulas with what they remember: knots, means, levels.
    n_area_cells : int
        Cells of the follow-up on which areas are integrated one by one.
    """

    spec: LMMSpec
    time: str
    end: float
    mixed: MixedDesign
    n_area_cells: int = 1

    @property
    def name(self) -> str:
        """Return the outcome, as the formula has it."""
        return self.spec.outcome

    def outcome(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the outcome of measurements: shape (n_rows,).

        Parameters
        ----------
        rows : pandas.DataFrame
            Measurements, complete.
        """
        matrix, _ = design_matrices(f"0 + {self.spec.outcome}", rows)
        return np.asarray(matrix.to_numpy()[:, 0])

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Return the columns that it needs besides time."""
        return marker_variables(self.spec, time=self.time)

    def value(self, covariates: pd.DataFrame, subject: np.ndarray, time: np.ndarray) -> Columns:
        """Make the columns of the true value.

        Parameters
        ----------
        covariates : pandas.DataFrame
            One row per subject.
        subject : ndarray of int, shape (n,)
            Row of `covariates` of each point.
        time : ndarray, shape (n,)
            When.

        Returns
        -------
        Columns
            One row per point.

        Raises
        ------
        DesignError
            If a spline of time does not reach that far.
        """
        chosen: Mapping[str, object] = {
            name: covariates[name].iloc[subject].reset_index(drop=True) for name in self.variables
        }
        frame = pd.DataFrame({**chosen, self.time: time})
        try:
            return Columns(
                fixed=self.mixed.fixed_matrix(frame), random=self.mixed.random_matrix(frame)
            )
        except DesignError as exc:
            raise DesignError(
                f"The model of {self.name} cannot be evaluated up to the end of follow-up "
                f"({float(np.max(time)):g}). Give a spline bounds that hold it, as in "
                f"bs({self.time}, df=4, lower_bound=0, upper_bound={self.end:g}), or use ns(). "
                f"{exc}"
            ) from exc

    def slope(
        self,
        covariates: pd.DataFrame,
        subject: np.ndarray,
        time: np.ndarray,
        *,
        step: float | None = None,
    ) -> Columns:
        """Make the columns of the derivative in time.

        Parameters
        ----------
        covariates : pandas.DataFrame
            One row per subject.
        subject : ndarray of int, shape (n,)
            Row of `covariates` of each point.
        time : ndarray, shape (n,)
            When, at least 0.
        step : float, optional
            Distance of the points; 1e-5 of the follow-up by default.

        Returns
        -------
        Columns
            One row per point.

        Notes
        -----
        Derivative of the polynomial through five values at or before `time` (after it within four
        steps of 0), so that it is exact for polynomials of degree four, and no time is needed
        at which the model is not defined.
        """
        h = _STEP * self.end if step is None else step
        centre = np.maximum(time - 2 * h, 2 * h)
        offsets = np.arange(-2, 3)
        times = centre[:, None] + h * offsets
        made = self.value(covariates, np.repeat(subject, 5), times.ravel())
        return made.combine(_derivative_weights((time - centre) / h) / h)

    def area(
        self,
        covariates: pd.DataFrame,
        subject: np.ndarray,
        time: np.ndarray,
        *,
        n_cells: int | None = None,
    ) -> Columns:
        """Make the columns of the integral of the true value from 0.

        Parameters
        ----------
        covariates : pandas.DataFrame
            One row per subject.
        subject : ndarray of int, shape (n,)
            Row of `covariates` of each point.
        time : ndarray, shape (n,)
            Upper end, at least 0.
        n_cells : int, optional
            Equal cells of the follow-up, on each of which the trajectory is integrated as a
            polynomial of degree 7 at most; :attr:`n_area_cells` by default.

        Returns
        -------
        Columns
            One row per point.
        """
        n = self.n_area_cells if n_cells is None else n_cells
        width = self.end / n
        cell = np.clip(np.ceil(time / width).astype(int) - 1, 0, n - 1)
        start = width * cell
        last = self._integral(covariates, subject, start, time)
        if n == 1:
            return last
        people, place = np.unique(subject, return_inverse=True)
        starts = np.tile(width * np.arange(n - 1), len(people))
        whole = self._integral(covariates, np.repeat(people, n - 1), starts, starts + width)
        return Columns(
            fixed=last.fixed + _before(whole.fixed, n)[place, cell],
            random=last.random + _before(whole.random, n)[place, cell],
        )

    def _integral(
        self, covariates: pd.DataFrame, subject: np.ndarray, start: np.ndarray, stop: np.ndarray
    ) -> Columns:
        """Integrate from one time to another by one Gauss rule."""
        nodes, weights = np.polynomial.legendre.leggauss(_AREA_NODES)
        width = (stop - start)[:, None]
        times = start[:, None] + width * (0.5 * (nodes + 1))
        made = self.value(covariates, np.repeat(subject, _AREA_NODES), times.ravel())
        return made.combine(0.5 * width * weights)


def _before(whole: np.ndarray, n_cells: int) -> np.ndarray:
    """Add up all cells before each: shape (n_subjects, n_cells, n_columns)."""
    cells = whole.reshape(-1, n_cells - 1, whole.shape[1])
    return np.concatenate([np.zeros_like(cells[:, :1]), np.cumsum(cells, axis=1)], axis=1)


def _derivative_weights(s: np.ndarray) -> np.ndarray:
    """Differentiate the polynomial through values at -2, -1, 0, 1, 2: weights at offset s."""
    powers = np.vander(np.arange(-2.0, 3.0), increasing=True).T  # row: power, column: point
    wanted = np.stack([k * s ** max(k - 1, 0) for k in range(5)])
    return np.asarray(np.linalg.solve(powers, wanted).T)


def build_marker_design(
    spec: JointSpec, position: int, data: JointData, *, end: float
) -> MarkerDesign:
    """Make the design of one marker, and measure how accurate its slopes and areas are.

    Parameters
    ----------
    spec : JointSpec
        The request.
    position : int
        Which marker.
    data : JointData
        Its measurements.
    end : float
        Longest follow-up.

    Returns
    -------
    MarkerDesign
        For this and other data.

    Raises
    ------
    DesignError
        If its mixed model cannot be estimated, or a slope or area cannot be computed.
    """
    marker, terms = spec.markers[position], spec.terms[position]
    mixed = build_mixed_design(data.rows[position], marker)
    design = MarkerDesign(spec=marker, time=spec.time, end=end, mixed=mixed)
    subject = np.arange(min(_CHECKED, data.n_subjects))
    time = np.minimum(data.events.end[subject], end)
    if "slope" in terms:
        _check_slopes(design, data.covariates, subject, time)
    if "area" not in terms:
        return design
    n_cells = _area_cells(design, data.covariates, subject, time)
    return MarkerDesign(spec=marker, time=spec.time, end=end, mixed=mixed, n_area_cells=n_cells)


def _check_slopes(
    design: MarkerDesign, covariates: pd.DataFrame, subject: np.ndarray, time: np.ndarray
) -> None:
    """Refuse models whose derivative does not exist somewhere from 0 on."""
    both = np.concatenate([time, np.zeros(len(time))])
    twice = np.concatenate([subject, subject])
    fine = design.slope(covariates, twice, both)
    coarse = design.slope(covariates, twice, both, step=2 * _STEP * design.end)
    level = design.value(covariates, twice, both)
    off = max(
        _relative(fine.fixed, coarse.fixed, least=level.fixed / design.end),
        _relative(fine.random, coarse.random, least=level.random / design.end),
    )
    if off > _SAME:
        raise DesignError(
            f"The slope of {design.name} over {design.time} cannot be computed to 6 digits (off by "
            f"{off:.1e}): is its model smooth from time 0 on? A logarithm or root of time has no "
            "slope at 0; use polynomials or splines."
        )


def _area_cells(
    design: MarkerDesign, covariates: pd.DataFrame, subject: np.ndarray, time: np.ndarray
) -> int:
    """Find how many cells an area needs."""
    best = design.area(covariates, subject, time, n_cells=2 * _AREA_CELLS[-1])
    for n in _AREA_CELLS:
        found = design.area(covariates, subject, time, n_cells=n)
        off = max(_relative(found.fixed, best.fixed), _relative(found.random, best.random))
        if off <= (_EXACT if n < _AREA_CELLS[-1] else _SAME):
            return n
    raise DesignError(
        f"The area under {design.name} cannot be computed to 6 digits (off by {off:.1e}). Use "
        f"polynomials or splines of {design.time}."
    )


def _relative(found: np.ndarray, best: np.ndarray, least: np.ndarray | None = None) -> float:
    """Return the largest difference, relative to the largest value of each column."""
    size = np.maximum(np.abs(best).max(axis=0, initial=0.0), 1e-300)
    if least is not None:
        size = np.maximum(size, np.abs(least).max(axis=0, initial=0.0))
    return float((np.abs(found - best) / size).max(initial=0.0))
