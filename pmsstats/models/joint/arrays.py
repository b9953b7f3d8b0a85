"""The arrays that a joint model is computed from: markers, and times at which hazards are needed.

Everything that is special about a model (splines of time, baseline hazards, kinds of association,
censoring) has become a number in these arrays; what remains is one likelihood. Simulations that
need no frames fill them directly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.errors import DesignError

__all__ = ["HazardPoints", "JointArrays", "MarkerArrays", "no_points"]


@dataclass(frozen=True, kw_only=True, eq=False)
class MarkerArrays:
    """Measurements of one marker, sorted by subject.

    Parameters
    ----------
    y : ndarray, shape (n_rows,)
        Values, on a scale of order 1.
    X : ndarray, shape (n_rows, p_k)
        Columns of the fixed effects.
    Z : ndarray, shape (n_rows, q_k)
        Columns of the random effects.
    subject : ndarray of int, shape (n_rows,)
        Codes from 0, never falling.
    """

    y: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    subject: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class HazardPoints:
    """Times of subjects at which hazards are needed, sorted by subject.

    Parameters
    ----------
    subject : ndarray of int, shape (n_points,)
        Codes from 0, never falling.
    weight : ndarray, shape (n_points,)
        Of the quadrature over time, in the unit of time; ones for events.
    basis : tuple of ndarray, shape (n_points, n_psi_c)
        Per cause: baseline log hazard and baseline covariates.
    fixed : ndarray, shape (n_links, n_points, p)
        What every association takes of the fixed effects of all markers.
    random : ndarray, shape (n_links, n_points, q)
        What every association takes of the random effects of all markers.
    """

    subject: np.ndarray
    weight: np.ndarray
    basis: tuple[np.ndarray, ...]
    fixed: np.ndarray
    random: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class JointArrays:
    """One data set under one joint model.

    Parameters
    ----------
    n_subjects : int
        Codes of subjects are 0 to that less 1.
    markers : tuple of MarkerArrays
        K of them; their columns, side by side, are the p fixed and q random effects.
    at_risk : HazardPoints
        Integrate the hazards over (0, T], or (0, L] of interval-censored subjects.
    event : HazardPoints
        One row per event at a known time.
    event_cause : ndarray of int, shape (n_event_rows,)
        Codes of causes from 0.
    interval : HazardPoints
        Integrate the hazards over (L, R] of interval-censored subjects.
    entry : HazardPoints
        Integrate the hazards over (0, entry] of left-truncated subjects.

    Raises
    ------
    DesignError
        If sizes disagree, rows are not sorted by subject, or a number is not finite.
    """

    n_subjects: int
    markers: tuple[MarkerArrays, ...]
    at_risk: HazardPoints
    event: HazardPoints
    event_cause: np.ndarray
    interval: HazardPoints
    entry: HazardPoints

    def __post_init__(self) -> None:
        if not self.markers:
            raise DesignError("`markers` must hold at least one marker, found none.")
        for k, marker in enumerate(self.markers):
            shapes = {"X": (len(marker.y), -1), "Z": (len(marker.y), -1)}
            self._check(f"markers[{k}]", marker, {"y": (len(marker.subject),), **shapes})
        for name in ("at_risk", "event", "interval", "entry"):
            self._check_points(name, getattr(self, name))
        causes, n_events = np.asarray(self.event_cause), len(self.event.subject)
        if causes.shape != (n_events,) or np.any((causes < 0) | (causes >= self.n_causes)):
            raise DesignError(
                f"`event_cause` must hold {n_events} codes from 0 to {self.n_causes - 1}, found "
                f"{causes.tolist()[:5]!r} with shape {causes.shape}."
            )

    @property
    def n_causes(self) -> int:
        """Return the number of causes."""
        return len(self.at_risk.basis)

    @property
    def n_links(self) -> int:
        """Return the number of associations per cause."""
        return len(self.at_risk.fixed)

    @property
    def n_fixed(self) -> tuple[int, ...]:
        """Return the number of fixed effects of every marker."""
        return tuple(marker.X.shape[1] for marker in self.markers)

    @property
    def n_random(self) -> tuple[int, ...]:
        """Return the number of random effects of every marker."""
        return tuple(marker.Z.shape[1] for marker in self.markers)

    @property
    def n_psi(self) -> tuple[int, ...]:
        """Return the number of baseline coefficients of every cause."""
        return tuple(basis.shape[1] for basis in self.at_risk.basis)

    def _check_points(self, name: str, points: HazardPoints) -> None:
        n = len(points.subject)
        p, q = sum(self.n_fixed), sum(self.n_random)
        shapes = {
            "weight": (n,),
            "fixed": (self.n_links, n, p),
            "random": (self.n_links, n, q),
        }
        self._check(name, points, shapes)
        found = [basis.shape for basis in points.basis]
        if found != [(n, width) for width in self.n_psi]:
            raise DesignError(
                f"`{name}.basis` must have {n} rows and {self.n_psi} columns per cause as "
                f"`at_risk.basis` has, found shapes {found}."
            )
        if not all(np.isfinite(basis).all() for basis in points.basis):
            raise DesignError(f"`{name}.basis` must be finite; drop or mend such rows first.")

    def _check(self, name: str, rows: object, shapes: dict[str, tuple[int, ...]]) -> None:
        """Raise unless subjects are sorted codes and arrays have these shapes and no gaps."""
        subject = np.asarray(rows.subject)  # type: ignore[attr-defined]
        in_range = np.all((subject >= 0) & (subject < self.n_subjects))
        if not in_range or np.any(np.diff(subject) < 0):
            raise DesignError(
                f"`{name}.subject` must hold codes from 0 to {self.n_subjects - 1} in rising "
                "order; sort the rows by subject."
            )
        for part, shape in shapes.items():
            array = np.asarray(getattr(rows, part))
            fits = array.ndim == len(shape) and all(
                size in (-1, found) for size, found in zip(shape, array.shape, strict=True)
            )
            if not fits:
                raise DesignError(f"`{name}.{part}` must have shape {shape}, found {array.shape}.")
            if not np.isfinite(array).all():
                raise DesignError(f"`{name}.{part}` must be finite; drop or mend such rows first.")


def no_points(like: HazardPoints) -> HazardPoints:
    """Return points of nobody, as wide as others.

    Parameters
    ----------
    like : HazardPoints
        Of the same model.

    Returns
    -------
    HazardPoints
        Without rows: for models without interval censoring or left truncation.
    """
    return HazardPoints(
        subject=like.subject[:0],
        weight=like.weight[:0],
        basis=tuple(basis[:0] for basis in like.basis),
        fixed=like.fixed[:, :0],
        random=like.random[:, :0],
    )
