"""Landmark models: the future of those still at risk, given what a marker had shown by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.events.landmark_rows import (
    LandmarkRows,
    LandmarkSpec,
    LandmarkValue,
    build_landmark_rows,
)
from pmsstats.models.events.survival import CoxResult, CoxSpec, fit_cox
from pmsstats.results import Exclusion, FitLog, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin

__all__ = [
    "LandmarkResult",
    "LandmarkRows",
    "LandmarkSpec",
    "LandmarkValue",
    "build_landmark_rows",
    "fit_landmark",
]

_PERSON, _CLUSTER = "(subject at landmark)", "(subject)"
_ESTIMATES = ("estimate", "std_error", "conf_low", "conf_high", "hazard_ratio")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LandmarkResult(Result):
    """A fitted landmark model.

    Parameters
    ----------
    spec : LandmarkSpec
        The request.
    cox : CoxResult
        The super model: all landmarks stacked, a baseline hazard for each, one effect; errors
        clustered by subject.
    landmark_frame : pandas.DataFrame
        As :meth:`per_landmark` returns it.
    stacked : pandas.DataFrame
        The rows analysed.
    n_subjects : int
        Subjects at risk at one landmark at least.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Who was left out at which landmark, and why.
    """

    spec: LandmarkSpec
    cox: CoxResult
    landmark_frame: pd.DataFrame
    stacked: pd.DataFrame
    n_subjects: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def fit_log(self) -> FitLog:
        """Return what the optimiser of the super model did."""
        return self.cox.fit_log

    def headline(self) -> str:
        """Say the hazard ratio of the marker, on whom, and over which landmarks.

        Returns
        -------
        str
            One sentence.
        """
        first = self.table().iloc[0]
        columns = ("hazard_ratio", "hazard_ratio_low", "hazard_ratio_high")
        ratio, low, high = (format_number(first[c], 3) for c in columns)
        marks = ", ".join(f"{s:g}" for s in self.spec.landmarks)
        doubt = "" if self.fit_log.converged else " The fit did NOT converge."
        what = {"last": "last value", "slope": "slope so far", "mean": "mean so far"}
        return (
            f"Landmark model of {self.n_subjects} subjects at {marks}, for the next "
            f"{self.spec.horizon:g}: hazard ratio of the {what[self.spec.value]} of "
            f"{self.spec.measure} {ratio} ({100 * self.spec.conf_level:g} % CI {low} to {high})."
            f"{doubt}"
        )

    def table(self) -> pd.DataFrame:
        """Return the estimates of the super model.

        Returns
        -------
        pandas.DataFrame
            As of :class:`~pmsstats.models.events.survival_results.CoxResult`; the first term is
            the marker. With an interaction it is the effect at landmark 0, and
            ``marker:landmark`` its change per unit of time.
        """
        return self.cox.table()

    def per_landmark(self) -> pd.DataFrame:
        """Return the marker's effect in one Cox model per landmark.

        Returns
        -------
        pandas.DataFrame
            ``landmark n_subjects n_events estimate std_error conf_low conf_high hazard_ratio
            note``; estimates are missing where the note says why.
        """
        return self.landmark_frame.copy()

    def predict_survival(
        self, data: pd.DataFrame, *, landmark: float, times: Sequence[float] | None = None
    ) -> pd.DataFrame:
        """Estimate the probability of no event, for subjects without one at a landmark.

        Parameters
        ----------
        data : pandas.DataFrame
            The marker's value (slope, mean) by then, and the covariates.
        landmark : float
            One of those of the model.
        times : sequence of float, optional
            Time since 0 (not since the landmark); landmark plus horizon by default.

        Returns
        -------
        pandas.DataFrame
            ``row duration survival conf_low conf_high``.

        Raises
        ------
        DesignError
            If the model has no such landmark, or a time is not within its horizon.
        """
        if landmark not in self.spec.landmarks:
            raise DesignError(
                f"`landmark` must be one of {self.spec.landmarks}, got {landmark!r}: each has a "
                "baseline hazard of its own."
            )
        end = landmark + self.spec.horizon
        at = np.asarray([end] if times is None else times, dtype=float)
        if ((at < landmark) | (at > end)).any():
            raise DesignError(f"`times` must lie between {landmark:g} and {end:g}, got {times!r}.")
        last = float(self.stacked.loc[self.stacked["landmark"] == landmark, "stop"].max())
        curve = self.cox.predict_survival(
            data.assign(landmark=float(landmark)), np.minimum(at, last)
        )
        return curve.assign(duration=np.tile(at, len(data)))

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the marker's hazard ratio at each landmark, and that of the super model.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.plot_forest`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from pmsstats.plots import plot_forest

        each = self.landmark_frame
        rows = pd.DataFrame(
            {
                "label": [f"Landmark {s:g}" for s in each["landmark"]],
                "estimate": each["hazard_ratio"],
                "conf_low": np.exp(each["conf_low"]),
                "conf_high": np.exp(each["conf_high"]),
            }
        )
        first = self.table().iloc[[0]]
        together = pd.DataFrame(
            {
                "label": ["All landmarks" if not self.spec.interaction else "At landmark 0"],
                "estimate": first["hazard_ratio"],
                "conf_low": first["hazard_ratio_low"],
                "conf_high": first["hazard_ratio_high"],
            }
        )
        options = {
            "reference": 1.0,
            "log": True,
            "x_label": f"Hazard ratio of {self.spec.measure} ({100 * self.spec.conf_level:g} % CI)",
            "origin": self.origin,
        }
        frame = pd.concat([rows, together], ignore_index=True)
        return plot_forest(frame, ax=ax, **(options | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without the rows analysed.

        Returns
        -------
        dict
            The fields and the estimates.
        """
        return {
            "schema": "landmark_result/1",
            "spec": to_plain(self.spec),
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "n_rows": len(self.stacked),
            "n_events": self.cox.n_events,
            "coefficients": to_plain(self.table()),
            "covariance": to_plain(self.cox.covariance),
            "per_landmark": to_plain(self.landmark_frame),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def fit_landmark(
    events: pd.DataFrame,
    measurements: pd.DataFrame,
    spec: LandmarkSpec,
    *,
    on_failure: Literal["raise", "warn"] = "raise",
    origin: Origin = "real",
) -> LandmarkResult:
    """Fit a landmark model, at one or at several landmarks together.

    Parameters
    ----------
    events : pandas.DataFrame
        One row per subject: duration, event, covariates.
    measurements : pandas.DataFrame
        One row per subject and time: the marker.
    spec : LandmarkSpec
        Which columns are what.
    on_failure : {"raise", "warn"}, default "raise"
        Whether a super model without a trustworthy maximum is refused, or returned with a warning.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    LandmarkResult
        The super model and one model per landmark.

    Raises
    ------
    DesignError
        If the data cannot support the model; the conditions stand at
        :func:`~pmsstats.models.events.landmark_rows.build_landmark_rows` and
        :func:`~pmsstats.models.events.survival_data.prepare_cox`.
    ConvergenceError
        If the likelihood of the super model has no maximum (separation).

    Warns
    -----
    ConvergenceWarning
        If the maximum cannot be trusted and `on_failure` is "warn".

    Notes
    -----
    R: ``dynpred::cutLM`` and ``coxph(Surv(start, stop, event) ~ ... + strata(landmark),
    cluster = subject)``.

    At each landmark s, those still at risk are followed to s plus the horizon, with what the marker
    had shown by s as a baseline covariate: a valid prediction from s. Stacked, with a baseline
    hazard for each landmark and a sandwich over subjects, they give one effect [1]_. The value is
    carried forward without regard to its noise and age (reported as ``value_age``), so the effect
    is weaker than that of the true current value.

    References
    ----------
    .. [1] van Houwelingen HC. Dynamic prediction by landmarking in event history analysis. Scand J
       Stat 2007;34:70-85. doi:10.1111/j.1467-9469.2006.00529.x

    Examples
    --------
    >>> events = pd.DataFrame(
    ...     {
    ...         "subject_id": [f"S{i}" for i in range(8)],
    ...         "duration": [1.2, 2.5, 1.8, 3.0, 2.2, 3.0, 1.4, 3.0],
    ...         "event": [True, True, False, False, True, False, True, False],
    ...     }
    ... )
    >>> measurements = pd.DataFrame(
    ...     {
    ...         "subject_id": [f"S{i}" for i in range(8)] * 2,
    ...         "year": [0.0] * 8 + [1.0] * 8,
    ...         "atrophy": [
    ...             0.9,
    ...             0.7,
    ...             0.2,
    ...             0.8,
    ...             0.6,
    ...             0.1,
    ...             0.3,
    ...             0.2,
    ...             1.4,
    ...             0.8,
    ...             0.4,
    ...             1.0,
    ...             0.5,
    ...             0.2,
    ...             1.6,
    ...             0.3,
    ...         ],
    ...     }
    ... )
    >>> spec = LandmarkSpec(measure="atrophy", landmarks=(0.0, 1.0), horizon=2.0)
    >>> fit_landmark(events, measurements, spec).headline()
    'Landmark model of 8 subjects at 0, 1, for the next 2: hazard ratio of the last value of ...'
    """
    rows = build_landmark_rows(events, measurements, spec)
    frame = rows.frame
    if frame.empty:
        reasons = "; ".join(f"{e.stage}: {e.n}, {e.reason}" for e in rows.exclusions)
        raise DesignError(f"Nobody is at risk at any of the landmarks. {reasons}")
    marked = frame.assign(
        **{
            _PERSON: frame[spec.subject] + " at " + frame["landmark"].map("{:g}".format),
            _CLUSTER: frame[spec.subject],
        }
    )
    cox = fit_cox(
        marked, _cox_spec(spec, strata=len(spec.landmarks) > 1), on_failure=on_failure,
        origin=origin,
    )  # fmt: skip
    return LandmarkResult(
        spec=spec,
        cox=cox,
        landmark_frame=pd.DataFrame([_one_landmark(marked, s, spec) for s in spec.landmarks]),
        stacked=frame,
        n_subjects=int(frame[spec.subject].nunique()),
        origin=origin,
        exclusions=(*rows.exclusions, *cox.exclusions),
    )


def _cox_spec(spec: LandmarkSpec, *, strata: bool) -> CoxSpec:
    """Return the request for the super model."""
    return CoxSpec(
        covariates=spec.rhs(interaction=spec.interaction), start="start", stop="stop",
        event="event", strata=(*(["landmark"] if strata else []), *spec.strata_columns()),
        cluster=_CLUSTER, subject=_PERSON, conf_level=spec.conf_level,
    )  # fmt: skip


def _one_landmark(marked: pd.DataFrame, landmark: float, spec: LandmarkSpec) -> dict[str, Any]:
    """Fit one landmark alone; where that fails, say why."""
    own = marked[marked["landmark"] == landmark]
    counts = {
        "landmark": landmark,
        "n_subjects": len(own),
        "n_events": int(own["event"].sum()),
    }
    request = CoxSpec(
        covariates=spec.rhs(), start="start", stop="stop", event="event", subject=_PERSON,
        strata=spec.strata_columns(), conf_level=spec.conf_level,
    )  # fmt: skip
    try:
        first = fit_cox(own, request).table().iloc[0]
    except (DesignError, ConvergenceError) as exc:
        return counts | dict.fromkeys(_ESTIMATES, np.nan) | {"note": str(exc)}
    return counts | {column: first[column] for column in _ESTIMATES} | {"note": ""}
