"""Joint models of longitudinal markers and events: one request, one function, one answer."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, nearest
from pmsstats.models.joint.data import JointData, prepare_joint
from pmsstats.models.joint.estimates import (
    estimate_quantities,
    interval_frame,
    linear_labels,
    linear_vector,
    variance_frame,
)
from pmsstats.models.joint.layout import JointDesign, build_joint_design, lay_out
from pmsstats.models.joint.links import link_columns
from pmsstats.models.joint.maximise import maximise
from pmsstats.models.joint.result import JointResult
from pmsstats.models.joint.spec import JointSpec
from pmsstats.models.joint.wording import describe_certificate
from pmsstats.provenance import package_version
from pmsstats.results import FitLog

if TYPE_CHECKING:
    from pmsstats.models.joint.arrays import JointArrays
    from pmsstats.models.joint.maximise import JointMaximum
    from pmsstats.provenance import Origin

__all__ = ["fit_joint"]

OnFailure = Literal["raise", "warn"]
_SINGULAR = 1e-6  # smallest over largest eigenvalue of the random effects' correlation
_PANELS = (1, 2, 4)  # of quadrature over time per smooth piece, in turn
_VERSION = package_version()
_TOO_MANY = (
    "The covariance of the random effects is singular: the measurements support fewer random "
    "effects than these."
)
_WHAT_TO_TRY = (
    "Try fewer random effects, a simpler `baseline` (fewer `n_intervals`), one association at a "
    "time, or on_failure='warn' to look at where it stopped."
)


def fit_joint(
    longitudinal: pd.DataFrame,
    survival: pd.DataFrame,
    spec: JointSpec | str | Sequence[str],
    *,
    on_failure: OnFailure = "raise",
    origin: Origin = "real",
    **keywords: Any,
) -> JointResult:
    """Fit trajectories of markers and the hazard of an event that depends on them, together.

    Parameters
    ----------
    longitudinal : pandas.DataFrame
        One row per measurement: subject, time, markers. Covariates may stand here or in
        `survival`.
    survival : pandas.DataFrame
        One row per subject: end of follow-up, whether the event happened, baseline covariates.
    spec : JointSpec, str or sequence of str
        The request; or a marker's formula, or one per marker, the rest as keywords.
    on_failure : {"raise", "warn"}
        What to do if the likelihood has no maximum that can be certified.
    origin : {"real", "synthetic"}
        Where the data come from.
    **keywords
        Fields of :class:`~pmsstats.models.joint.spec.JointSpec`, where `spec` is a formula.

    Returns
    -------
    JointResult
        Estimates with standard errors from the observed information, and the certificate of the
        maximum.

    Raises
    ------
    FormulaError
        If a formula does not parse.
    DesignError
        If the data contradict each other or cannot determine the model; see
        :func:`~pmsstats.models.joint.data.prepare_joint`.
    ConvergenceError
        If no maximum could be certified.

    Notes
    -----
    The estimand of an association is the log hazard ratio between two subjects, alike in the
    covariates of the hazard, whose *true* values (or slopes, or areas) differ by one unit at that
    time: free of measurement error, and of the bias of measurements that end with the event [1]_.

    ``y_i(t) = m_i(t) + e``, ``m_i(t) = x_i(t)'beta + z_i(t)'b_i``, ``b_i ~ N(0, D)``;
    ``log h_i(t) = log h_0(t) + w_i'gamma + alpha f(m_i)(t)``, with f the value, slope, area, lagged
    value or random effects [2]_. Maximum likelihood, the integral over the random effects by
    adaptive Gauss-Hermite quadrature, that over time by Gauss-Kronrod on the smooth pieces of
    the hazard. Measurements after the event or the end of follow-up are left out and counted.
    R: ``JM::jointModel``.

    References
    ----------
    .. [1] Wulfsohn MS, Tsiatis AA. A joint model for survival and longitudinal data measured with
       error. Biometrics 1997;53:330-339. doi:10.2307/2533118.
    .. [2] Rizopoulos D. JM: an R package for the joint modelling of longitudinal and time-to-event
       data. J Stat Softw 2010;35(9). doi:10.18637/jss.v035.i09.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(3)
    >>> subjects = pd.DataFrame({"subject_id": range(60)})
    >>> level = rng.normal(0, 1, 60)
    >>> end = rng.exponential(4 * np.exp(-0.8 * level))
    >>> subjects["duration"], subjects["event"] = np.minimum(end, 5), end < 5
    >>> visits = subjects.loc[np.repeat(range(60), 5), ["subject_id", "duration"]].assign(
    ...     year=np.tile(np.arange(5), 60)
    ... )
    >>> visits["nfl"] = 10 + level[visits["subject_id"]] + rng.normal(0, 0.5, 300)
    >>> visits = visits[visits["year"] <= visits["duration"]]
    >>> fit = fit_joint(visits, subjects, "nfl ~ year + (1 | subject_id)", baseline="weibull")
    >>> fit.fit_log.converged, bool(fit.association_table()["estimate"].iloc[0] > 0.3)
    (True, True)
    """
    request = _requested(spec, keywords)
    if on_failure not in get_args(OnFailure):
        raise DesignError(f"`on_failure` must be 'raise' or 'warn', got {on_failure!r}.")
    data = prepare_joint(longitudinal, survival, request)
    design, arrays = build_joint_design(request, data)
    found, arrays = _maximise(request, data, design, arrays)
    log = _fit_log(found, design, arrays)
    _judge(log, request, on_failure)
    return _assemble(request, data, design, arrays, found=found, log=log, origin=origin)


def _requested(spec: JointSpec | str | Sequence[str], keywords: dict[str, Any]) -> JointSpec:
    """Read formulas with what was asked beside them; a request holds all of that itself."""
    if isinstance(spec, JointSpec):
        if keywords:
            raise DesignError(
                f"Got {', '.join(keywords)} beside a JointSpec, which has its own. Put it in the "
                "request, or use dataclasses.replace."
            )
        return spec
    formulas = (spec,) if isinstance(spec, str) else tuple(spec or ())
    if not formulas or not all(isinstance(formula, str) for formula in formulas):
        raise DesignError(
            "`spec` must be a JointSpec, a formula or a sequence of one per marker, got "
            f'{spec!r}. Write for example "nfl ~ year * arm + (year | subject_id)".'
        )
    known = [field.name for field in fields(JointSpec) if field.name != "longitudinal"]
    for name in keywords:
        if name not in known:
            raise DesignError(
                f"fit_joint has no keyword {name!r}.{nearest(name, known)} It takes "
                f"{', '.join(known)}."
            )
    return JointSpec(longitudinal=formulas, **keywords)


def _maximise(
    spec: JointSpec, data: JointData, design: JointDesign, arrays: JointArrays
) -> tuple[JointMaximum, JointArrays]:
    """Fit, with more points over time where the certificate finds that too few."""
    for n_panels in _PANELS:
        refine = partial(lay_out, design, data, n_panels=2 * n_panels)
        found = maximise(arrays, n_nodes=spec.n_nodes, refine=refine)
        if not found.certificate.needs_points or n_panels == _PANELS[-1]:
            break
        arrays = refine()
    return found, arrays


def _fit_log(found: JointMaximum, design: JointDesign, arrays: JointArrays) -> FitLog:
    """Tell what the optimiser did."""
    return FitLog(
        engine="native",
        engine_version=_VERSION,
        optimiser="Newton",
        converged=found.certificate.is_valid,
        message=describe_certificate(found.certificate, linear_labels(design), found.shape),
        n_evaluations=int(found.n_evaluations),
        singular=_is_singular(found.D),
        log_likelihood=design.scale.log_likelihood(found.log_likelihood, arrays),
    )


def _is_singular(D: np.ndarray) -> bool:
    """Say whether a variance or a combination of random effects is estimated as about zero."""
    sd = np.sqrt(np.diag(D))
    if not (sd > 0).all():
        return True
    values = np.linalg.eigvalsh(D / np.outer(sd, sd))
    return bool(values[0] < _SINGULAR * values[-1]) or bool(sd.min() < _SINGULAR**0.5 * sd.max())


def _judge(log: FitLog, spec: JointSpec, on_failure: OnFailure) -> None:
    """Raise or warn where there is no certified maximum."""
    if log.converged:
        return
    singular = f" {_TOO_MANY}" if log.singular else ""
    message = (
        f"No maximum of the likelihood was certified for {spec.formula()} ({log.message})."
        f"{singular} {_WHAT_TO_TRY}"
    )
    if on_failure == "raise":
        raise ConvergenceError(message)
    warnings.warn(message, ConvergenceWarning, stacklevel=3)


def _assemble(
    spec: JointSpec,
    data: JointData,
    design: JointDesign,
    arrays: JointArrays,
    *,
    found: JointMaximum,
    log: FitLog,
    origin: Origin,
) -> JointResult:
    """Put the answer together."""
    quantities = estimate_quantities(partial(linear_vector, design), found.theta, found.covariance)
    labels = linear_labels(design)
    return JointResult(
        spec=spec,
        fit_log=log,
        estimates=interval_frame(labels, quantities, spec.conf_level),
        covariance=quantities.covariance,
        variance_components=variance_frame(design, found.theta, found.covariance, spec.conf_level),
        start=labels.assign(
            two_stage=linear_vector(design, found.start), joint=quantities.estimate
        ),
        certificate=found.certificate,
        n_subjects=data.n_subjects,
        n_obs=tuple(len(rows) for rows in data.rows),
        n_events=tuple(int((data.events.cause == c).sum()) for c in range(len(design.causes))),
        moments=_moments(design, data),
        data=data,
        design=design,
        arrays=arrays,
        maximum=found,
        notes=_notes(design, data, log),
        origin=origin,
        exclusions=data.exclusions,
    )


def _moments(design: JointDesign, data: JointData) -> np.ndarray:
    """Return by what D is weighted to give the variance of each associated quantity.

    At time 0; areas, and what does not differ between subjects at time 0 such as the value of a
    change from baseline, at the median of follow-up. Averaged over subjects.
    """
    subject = np.arange(data.n_subjects)
    sizes = [len(names) for names in design.random_names]
    middle = design.hazard.baselines[0].unit
    made = np.zeros((len(design.links), sum(sizes), sum(sizes)))
    for m, link in enumerate(design.links):
        later = middle + (design.spec.lag or 0.0 if link.term == "lagged" else 0.0)
        for time in (0.0, later):
            columns = link_columns(
                link,
                design.markers[link.marker],
                data.covariates,
                subject,
                np.full(data.n_subjects, time),
                lag=design.spec.lag,
            )
            if columns.random.any():
                break
        first = sum(sizes[: link.marker])
        place = slice(first, first + sizes[link.marker])
        made[m, place, place] = columns.random.T @ columns.random / data.n_subjects
    return made


def _notes(design: JointDesign, data: JointData, log: FitLog) -> tuple[str, ...]:
    """Say what a reader should know."""
    notes = [*data.notes]
    notes += [f"{m.name}: {note}" for m in design.markers for note in m.mixed.notes]
    if log.singular:
        notes.append(
            "a variance of the random effects, or a combination of them, is estimated as zero: the "
            "measurements support fewer random effects"
        )
    return tuple(notes)
