"""Regression of recurrent events: Andersen-Gill, Lin-Wei-Yang-Ying, Prentice-Williams-Peterson."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.events.covariates import right_hand_side
from pmsstats.models.events.rows import (
    Rows,
    check_conf_level,
    check_event,
    check_intervals,
    require_columns,
)
from pmsstats.models.events.survival import CoxResult, CoxSpec, fit_cox
from pmsstats.models.parametric.linear_transformation import estimates_table, with_ratios
from pmsstats.models.recurrent.intervals import event_order
from pmsstats.results import Exclusion, FitLog, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin

__all__ = ["RecurrentMethod", "RecurrentResult", "RecurrentSpec", "fit_recurrent"]

RecurrentMethod = Literal["andersen_gill", "lwyy", "pwp_total", "pwp_gap"]

_WORDS = {
    "andersen_gill": "Andersen-Gill",
    "lwyy": "LWYY",
    "pwp_total": "PWP (total time)",
    "pwp_gap": "PWP (gap time)",
}
_SAME_GAP = 1e-9  # share of the longest gap by which rounding may set equal gaps apart
_ORDER, _PERSON = "(event number)", "(subject)"
_START, _STOP = "(start)", "(stop)"


@dataclass(frozen=True, kw_only=True)
class RecurrentSpec:
    """Request for a regression of recurrent events.

    Parameters
    ----------
    covariates : str or tuple of str
        Right-hand side of a formula (``"arm + log(nfl)"``), or columns.
    start, stop : str, default "start", "stop"
        Columns of the interval (start, stop] over which a row is at risk.
    event : str, default "event"
        Column that is true where an event ends the row.
    subject : str, default "subject_id"
        Column of subjects.
    method : {"lwyy", "andersen_gill", "pwp_total", "pwp_gap"}, default "lwyy"
        ``"lwyy"``: ratio of mean numbers of events, with robust errors. ``"andersen_gill"``: the
        same estimate, with errors that are right only if events do not depend on earlier ones.
        ``"pwp_total"``, ``"pwp_gap"``: ratio of rates among those with the same number of earlier
        events, over time from the start or since the last event; robust errors.
    strata : str or tuple of str, optional
        Columns whose combinations have baseline rates of their own.
    conf_level : float, default 0.95
        Of the intervals.

    Raises
    ------
    DesignError
        If an option is outside of its range.
    """

    covariates: str | tuple[str, ...]
    start: str = "start"
    stop: str = "stop"
    event: str = "event"
    subject: str = "subject_id"
    method: RecurrentMethod = "lwyy"
    strata: str | tuple[str, ...] = ()
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check the options."""
        if self.method not in _WORDS:
            raise DesignError(
                f"`method` must be one of {', '.join(map(repr, _WORDS))}, got {self.method!r}."
            )
        if not right_hand_side(self.covariates).strip():
            raise DesignError(
                "`covariates` must name at least one term; estimate_mean_function needs none."
            )
        check_conf_level(self.conf_level)

    def strata_columns(self) -> tuple[str, ...]:
        """Return the strata as columns.

        Returns
        -------
        tuple of str
            Empty where there are none.
        """
        return (self.strata,) if isinstance(self.strata, str) else self.strata


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RecurrentResult(Result):
    """A fitted regression of recurrent events.

    Parameters
    ----------
    spec : RecurrentSpec
        The request.
    cox : CoxResult
        The partial likelihood fit, clustered by subject; its ``covariance`` is the robust one.
    n_subjects, n_events : int
        Subjects and events.
    most_events : int
        Of one subject.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows left out.
    """

    spec: RecurrentSpec
    cox: CoxResult
    n_subjects: int
    n_events: int
    most_events: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def fit_log(self) -> FitLog:
        """Return what the optimiser did."""
        return self.cox.fit_log

    @property
    def covariance(self) -> np.ndarray:
        """Return the covariance of the log rate ratios that the method asks for."""
        is_model = self.spec.method == "andersen_gill"
        return self.cox.model_covariance if is_model else self.cox.covariance

    def headline(self) -> str:
        """Say the first rate ratio, on whom, and whether the fit converged.

        Returns
        -------
        str
            One sentence.
        """
        first = self.table().iloc[0]
        columns = ("rate_ratio", "rate_ratio_low", "rate_ratio_high")
        shown = [format_number(first[c], 3) for c in columns]
        doubt = "" if self.fit_log.converged else " The fit did NOT converge."
        return (
            f"{_WORDS[self.spec.method]} model of {self.n_events} events in {self.n_subjects} "
            f"subjects (at most {self.most_events} each): rate ratio of {first['term']} {shown[0]} "
            f"({100 * self.spec.conf_level:g} % CI {shown[1]} to {shown[2]}).{doubt}"
        )

    def table(self) -> pd.DataFrame:
        """Return the estimates.

        Returns
        -------
        pandas.DataFrame
            ``term estimate std_error statistic p_value conf_low conf_high rate_ratio
            rate_ratio_low rate_ratio_high std_error_model std_error_robust``: tests and intervals
            use the error of the method; where the last two differ much, events depend on each
            other.
        """
        terms = tuple(self.cox.coefficients["term"])
        estimate = self.cox.coefficients["estimate"].to_numpy()
        frame = estimates_table(terms, estimate, np.diag(self.covariance), self.spec.conf_level)
        frame = with_ratios(frame, "rate_ratio")
        frame["std_error_model"] = np.sqrt(np.diag(self.cox.model_covariance))
        frame["std_error_robust"] = np.sqrt(np.diag(self.cox.covariance))
        return frame

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the rate ratios with their intervals.

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

        columns = ["term", "rate_ratio", "rate_ratio_low", "rate_ratio_high"]
        shown = self.table()[columns].set_axis(
            ["label", "estimate", "conf_low", "conf_high"], axis=1
        )
        options = {
            "reference": 1.0,
            "log": True,
            "x_label": f"Rate ratio ({100 * self.spec.conf_level:g} % CI)",
            "origin": self.origin,
        }
        return plot_forest(shown, ax=ax, **(options | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without the rows analysed.

        Returns
        -------
        dict
            The fields and the estimates.
        """
        return {
            "schema": "recurrent_result/1",
            "spec": to_plain(self.spec),
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "n_events": self.n_events,
            "most_events": self.most_events,
            "coefficients": to_plain(self.table()),
            "covariance": to_plain(self.covariance),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def fit_recurrent(
    data: pd.DataFrame,
    spec: RecurrentSpec,
    *,
    on_failure: Literal["raise", "warn"] = "raise",
    origin: Origin = "real",
) -> RecurrentResult:
    """Fit a regression of the rate of recurrent events.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject and interval; see
        :func:`~pmsstats.models.recurrent.intervals.recurrent_intervals`.
    spec : RecurrentSpec
        Which columns are what.
    on_failure : {"raise", "warn"}, default "raise"
        Whether a fit without a trustworthy maximum is refused, or returned with a warning.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    RecurrentResult
        Log rate ratios, with model-based and robust errors.

    Raises
    ------
    DesignError
        If the data cannot support the model; the conditions stand at
        :func:`~pmsstats.models.events.survival_data.prepare_cox`.
    ConvergenceError
        If the likelihood has no maximum (separation), or none was found.

    Warns
    -----
    ConvergenceWarning
        If the maximum cannot be trusted and `on_failure` is "warn".

    Notes
    -----
    R: ``survival::coxph(Surv(start, stop, event) ~ ..., cluster = subject)``, with
    ``strata(event_number)`` for PWP; SAS: ``PROC PHREG`` with ``COVS(AGGREGATE)``.

    Andersen and Gill model the rate given the past, which must act through covariates only [1]_;
    Lin, Wei, Yang and Ying show that the same estimate is of the ratio of mean numbers of events
    whatever the dependence, with the sandwich over subjects for its error [2]_: the one to report
    for a trial. Prentice, Williams and Peterson compare subjects with as many earlier events, so
    that after the first event the arms are no longer as randomised [3]_.

    References
    ----------
    .. [1] Andersen PK, Gill RD. Cox's regression model for counting processes: a large sample
       study. Ann Stat 1982;10:1100-1120. doi:10.1214/aos/1176345976
    .. [2] Lin DY, Wei LJ, Yang I, Ying Z. Semiparametric regression for the mean and rate
       functions of recurrent events. J R Stat Soc B 2000;62:711-730.
       doi:10.1111/1467-9868.00259
    .. [3] Prentice RL, Williams BJ, Peterson AV. On the regression analysis of multivariate
       failure time data. Biometrika 1981;68:373-379. doi:10.1093/biomet/68.2.373

    Examples
    --------
    >>> from pmsstats.models.recurrent.intervals import recurrent_intervals
    >>> episodes = pd.DataFrame(
    ...     {
    ...         "subject_id": ["S1", "S1", "S2", "S3", "S3", "S3", "S4"],
    ...         "day_onset": [90, 200, 150, 80, 170, 340, 300],
    ...     }
    ... )
    >>> follow_up = pd.DataFrame(
    ...     {
    ...         "subject_id": ["S1", "S2", "S3", "S4", "S5", "S6"],
    ...         "duration": 365,
    ...         "arm": ["placebo", "active"] * 3,
    ...     }
    ... )
    >>> rows = recurrent_intervals(episodes, follow_up, time="day_onset")
    >>> fit_recurrent(rows, RecurrentSpec(covariates="arm")).headline()
    'LWYY model of 7 events in 6 subjects (at most 3 each): rate ratio of arm[T.placebo] 2.50 ...'
    """
    columns = [(name, getattr(spec, name)) for name in ("start", "stop", "event", "subject")]
    require_columns(data, columns)
    rows = Rows(data, "recurrent events", spec.subject)
    check_event(rows, spec.event)
    check_intervals(rows, spec.start, spec.stop)
    frame, cox_spec = _arranged(rows, spec)
    cox = fit_cox(frame, cox_spec, on_failure=on_failure, origin=origin)
    per_subject = np.bincount(
        cox.cluster, weights=cox.process.event, minlength=int(cox.cluster.max()) + 1
    )
    return RecurrentResult(
        spec=spec,
        cox=cox,
        n_subjects=len(per_subject),
        n_events=int(per_subject.sum()),
        most_events=int(per_subject.max()),
        origin=origin,
        exclusions=(*rows.exclusions, *cox.exclusions),
    )


def _arranged(rows: Rows, spec: RecurrentSpec) -> tuple[pd.DataFrame, CoxSpec]:
    """Lay rows out for the Cox model of a method."""
    frame = rows.frame
    start, stop = frame[spec.start].to_numpy(), frame[spec.stop].to_numpy()
    number = event_order(rows.subject.to_numpy(), start, frame[spec.event].to_numpy())
    person = rows.subject
    strata = spec.strata_columns()
    if spec.method in ("pwp_total", "pwp_gap"):
        strata = (*strata, _ORDER)
    if spec.method == "pwp_gap":
        person = rows.subject + "#" + pd.Series(number, index=frame.index).astype(str)
        began = pd.Series(start, index=frame.index).groupby(person).transform("min").to_numpy()
        start, stop = start - began, _with_ties(stop - began)
    arranged = frame.assign(
        **{_ORDER: number, _PERSON: person, _START: start, _STOP: stop, "(cluster)": rows.subject}
    )
    return arranged, CoxSpec(
        covariates=spec.covariates, start=_START, stop=_STOP, event=spec.event, strata=strata,
        cluster="(cluster)", subject=_PERSON, conf_level=spec.conf_level,
    )  # fmt: skip


def _with_ties(gap: np.ndarray) -> np.ndarray:
    """Make gaps equal that differ by rounding only: 0.87 - 0.50 is 0.37, and not nearly so."""
    order = np.argsort(gap)
    ordered = gap[order]
    is_new = np.append(True, np.diff(ordered) > _SAME_GAP * np.abs(ordered).max())
    merged = np.empty_like(gap)
    merged[order] = ordered[is_new][np.cumsum(is_new) - 1]
    return merged
