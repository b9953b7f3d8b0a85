"""From checked tables to the arrays of a joint model, for the data of the fit and for others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.models.joint.arrays import HazardPoints, JointArrays, MarkerArrays
from pmsstats.models.joint.hazard_design import HazardDesign, build_hazard_design
from pmsstats.models.joint.links import Link, link_columns, list_links
from pmsstats.models.joint.marker_design import MarkerDesign, build_marker_design
from pmsstats.models.joint.quadrature import TimePoints, time_points
from pmsstats.models.joint.scale import JointScale, MarkerScale, measure_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pmsstats.models.joint.data import JointData
    from pmsstats.models.joint.spec import JointSpec

__all__ = ["JointDesign", "build_joint_design", "hazard_points", "lay_out", "points_between"]

_POINTS = {"weibull": 15, "piecewise": 7, "bspline": 7}  # per smooth piece of the hazard


@dataclass(frozen=True, kw_only=True, eq=False)
class JointDesign:
    """How the arrays of a joint model are made of tables.

    Parameters
    ----------
    spec : JointSpec
        The request.
    markers : tuple of MarkerDesign
        One per marker.
    hazard : HazardDesign
        Of all causes.
    causes : tuple of str
        Labels of the causes.
    links : tuple of Link
        Associations per cause, in the order of their coefficients.
    scale : JointScale
        From the units of the data to those of the fit.
    """

    spec: JointSpec
    markers: tuple[MarkerDesign, ...]
    hazard: HazardDesign
    causes: tuple[str, ...]
    links: tuple[Link, ...]
    scale: JointScale

    @property
    def end(self) -> float:
        """Return the longest follow-up of the fit."""
        return self.hazard.baselines[0].end

    @property
    def fixed_names(self) -> tuple[tuple[str, ...], ...]:
        """Return the names of the fixed effects of each marker."""
        return tuple(marker.mixed.fixed_names for marker in self.markers)

    @property
    def random_names(self) -> tuple[tuple[str, ...], ...]:
        """Return the names of the random effects of each marker."""
        return tuple(marker.mixed.random_names for marker in self.markers)


def build_joint_design(spec: JointSpec, data: JointData) -> tuple[JointDesign, JointArrays]:
    """Make the design of a joint model from its data, and its arrays.

    Parameters
    ----------
    spec : JointSpec
        The request.
    data : JointData
        Checked tables.

    Returns
    -------
    design : JointDesign
        For these data and others.
    arrays : JointArrays
        Of these data, as :func:`lay_out` makes them.

    Raises
    ------
    DesignError
        If a marker's model or the hazard cannot be estimated from the data.
    """
    end = float(data.events.end.max())
    n_markers = len(spec.markers)
    markers = tuple(build_marker_design(spec, k, data, end=end) for k in range(n_markers))
    n_links = len(list_links(spec, markers, ("",)))
    hazard, covariates = build_hazard_design(spec, data.events, n_links=n_links)
    links = list_links(spec, markers, hazard.interaction_names)
    constants = tuple(np.tile(b.constant, len(hazard.levels)) for b in hazard.baselines)
    plain = JointDesign(
        spec=spec,
        markers=markers,
        hazard=hazard,
        causes=data.events.causes,
        links=links,
        scale=_no_scale(markers, links, covariates.shape[1], constants),
    )
    raw = _raw(plain, data, 1)
    scale = measure_scale(
        raw,
        links,
        time=hazard.baselines[0].unit,
        covariates=covariates,
        constants=constants,
        is_weibull=spec.baseline == "weibull",
    )
    return replace(plain, scale=scale), scale.apply(raw)


def lay_out(design: JointDesign, data: JointData, *, n_panels: int = 1) -> JointArrays:
    """Make the arrays of a joint model, on the scales of its fit.

    Parameters
    ----------
    design : JointDesign
        Of the model.
    data : JointData
        Of the fit, or of other subjects.
    n_panels : int, default 1
        Panels of quadrature over time per smooth piece of the hazard; 2 doubles the points.

    Returns
    -------
    JointArrays
        What the likelihood is computed from.
    """
    return design.scale.apply(_raw(design, data, n_panels))


def points_between(
    design: JointDesign, lower: np.ndarray, upper: np.ndarray, *, n_panels: int = 1
) -> TimePoints:
    """Place points for the integrals of hazards from one time to another.

    Parameters
    ----------
    design : JointDesign
        Of the model.
    lower, upper : ndarray, shape (n_subjects,)
        Ends of the integral of each subject.
    n_panels : int, default 1
        Panels per smooth piece.

    Returns
    -------
    TimePoints
        Sorted by subject and time.
    """
    lag = () if design.spec.lag is None else (design.spec.lag,)  # a lagged value bends there
    edges = np.unique(np.concatenate([*(b.edges for b in design.hazard.baselines), lag]))
    return time_points(
        lower,
        upper,
        edges=edges,
        n_points=_POINTS[design.spec.baseline],
        n_panels=n_panels,
        is_singular=design.spec.baseline == "weibull",
    )


def hazard_points(design: JointDesign, data: JointData, points: TimePoints) -> HazardPoints:
    """Make what hazards need at some times, on the scales of the fit.

    Parameters
    ----------
    design : JointDesign
        Of the model.
    data : JointData
        Subjects.
    points : TimePoints
        Times, and whose.

    Returns
    -------
    HazardPoints
        One row per point.
    """
    return design.scale.apply_points(_raw_points(design, data, (points,))[0])


def _raw(design: JointDesign, data: JointData, n_panels: int) -> JointArrays:
    """Make the arrays in the units of the data."""
    events = data.events
    start = np.zeros(data.n_subjects)
    between = partial(points_between, design, n_panels=n_panels)
    exact = np.flatnonzero(events.is_exact)
    upper = np.where(events.is_interval, events.upper, events.lower)
    kinds = (
        between(start, events.lower),
        TimePoints(subject=exact, time=events.lower[exact], weight=np.ones(len(exact))),
        between(events.lower, upper),
        between(start, events.entry),
    )
    at_risk, event, interval, entry = _raw_points(design, data, kinds)
    return JointArrays(
        n_subjects=data.n_subjects,
        markers=tuple(_marker_arrays(design, data, k) for k in range(len(design.markers))),
        at_risk=at_risk,
        event=event,
        event_cause=events.cause[exact],
        interval=interval,
        entry=entry,
    )


def _marker_arrays(design: JointDesign, data: JointData, k: int) -> MarkerArrays:
    """Make the rows of one marker."""
    marker, rows = design.markers[k], data.rows[k]
    return MarkerArrays(
        y=marker.outcome(rows),
        X=marker.mixed.fixed_matrix(rows),
        Z=marker.mixed.random_matrix(rows),
        subject=data.codes[k],
    )


def _raw_points(
    design: JointDesign, data: JointData, kinds: Sequence[TimePoints]
) -> tuple[HazardPoints, ...]:
    """Make what hazards need at several kinds of times at once, in the units of the data."""
    points = TimePoints(
        subject=np.concatenate([kind.subject for kind in kinds]),
        time=np.concatenate([kind.time for kind in kinds]),
        weight=np.concatenate([kind.weight for kind in kinds]),
    )
    frame = data.events.frame
    stratum = design.hazard.stratum(frame)[points.subject]
    W = design.hazard.covariate_matrix(frame)[points.subject]
    basis = tuple(
        design.hazard.basis(cause, stratum, W, points.time) for cause in range(len(design.causes))
    )
    fixed, random = _link_arrays(design, data, points)
    ends = np.cumsum([0, *(len(kind.time) for kind in kinds)])
    return tuple(
        HazardPoints(
            subject=kind.subject,
            weight=kind.weight,
            basis=tuple(part[a:b] for part in basis),
            fixed=np.ascontiguousarray(fixed[:, a:b]),
            random=np.ascontiguousarray(random[:, a:b]),
        )
        for kind, (a, b) in zip(kinds, pairwise(ends), strict=True)
    )


def _link_arrays(
    design: JointDesign, data: JointData, points: TimePoints
) -> tuple[np.ndarray, np.ndarray]:
    """Make what every association takes of the effects of all markers."""
    G = design.hazard.interaction_matrix(data.events.frame)[points.subject]
    n_fixed = [len(names) for names in design.fixed_names]
    n_random = [len(names) for names in design.random_names]
    fixed = np.zeros((len(design.links), len(points.time), sum(n_fixed)))
    random = np.zeros((len(design.links), len(points.time), sum(n_random)))
    for m, link in enumerate(design.links):
        p, q = sum(n_fixed[: link.marker]), sum(n_random[: link.marker])
        there = np.s_[p : p + n_fixed[link.marker]], np.s_[q : q + n_random[link.marker]]
        if link.interaction:  # the same as the link before, times a column
            first = m - link.interaction
            column = G[:, link.interaction, None]
            fixed[m], random[m] = fixed[first] * column, random[first] * column
            continue
        made = link_columns(
            link,
            design.markers[link.marker],
            data.covariates,
            points.subject,
            points.time,
            lag=design.spec.lag,
        )
        fixed[m][:, there[0]], random[m][:, there[1]] = made.fixed, made.random
    return fixed, random


def _no_scale(
    markers: tuple[MarkerDesign, ...],
    links: tuple[Link, ...],
    n_covariates: int,
    constants: tuple[np.ndarray, ...],
) -> JointScale:
    """Return the scale that changes nothing, to lay out the data by which scales are measured."""
    return JointScale(
        markers=tuple(
            MarkerScale(
                centre=0.0,
                spread=1.0,
                fixed=np.eye(len(marker.mixed.fixed_names)),
                random=np.eye(len(marker.mixed.random_names)),
                one=np.zeros(len(marker.mixed.fixed_names)),
            )
            for marker in markers
        ),
        time=1.0,
        covariate_centre=np.zeros(n_covariates),
        covariate_spread=np.ones(n_covariates),
        links=np.ones(len(links)),
        offsets=np.zeros(len(links)),
        marker_of_link=np.array([link.marker for link in links], dtype=int),
        constants=constants,
        is_weibull=False,
    )
