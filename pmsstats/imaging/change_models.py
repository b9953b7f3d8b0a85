"""Models of change from baseline that go through the origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.errors import DesignError
from pmsstats.imaging.column_labels import as_labels, quoted
from pmsstats.imaging.yearly_slope_weights import (
    per_slope_unit,
    slope_unit,
    yearly_slope_weights,
)
from pmsstats.models.formulas.design import complete_rows, require_columns
from pmsstats.models.mixed.lmm import LMMResult, LMMSpec, fit_lmm
from pmsstats.models.responses.population_design import check_choice
from pmsstats.plots.trajectories import plot_trajectories
from pmsstats.results import (
    Exclusion,
    Result,
    exclude,
    format_interval,
    format_p_value,
    to_plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin

__all__ = ["BaselineChanges", "ChangeResult", "ChangeSpec", "change_from_baseline", "fit_change"]

BaselineError = Literal["shared", "level", "independent"]
ChangeDfMethod = Literal["satterthwaite", "kenward-roger", "normal"]
_ZERO = 1e-9  # change at baseline that rounding may leave


@dataclass(frozen=True, kw_only=True)
class ChangeSpec:
    """A straight line through the origin for change from baseline, as it is asked for.

    Parameters
    ----------
    outcome : str
        Column of change from baseline, such as ``"pbvc_pct"``.
    by : str, optional
        Column of groups whose slopes are compared: arm or phenotype.
    covariates : tuple of str
        Columns that are constant within a subject, on which the slope may depend.
    time : str, default "year"
        Time since baseline; slopes over ``"day"`` are given per year.
    subject : str, default "subject_id"
        Column of subject ids.
    baseline_error : {"shared", "level", "independent"}, default "shared"
        What the error of the baseline scan does to the changes of a subject. ``"shared"``: it is in
        all of them, with a variance of its own; ``"level"``: the same, with the variance of a
        follow-up scan, which is what differences of a level have; ``"independent"``: it is not
        in them.
    method : {"REML", "ML"}, default "REML"
        Restricted or full maximum likelihood.
    df_method : {"satterthwaite", "kenward-roger", "normal"}, default "satterthwaite"
        Where degrees of freedom come from; see :class:`~pmsstats.models.mixed.lmm.LMMSpec`.
        ``"kenward-roger"`` holds its level in the smallest samples, and needs REML.
    conf_level : float, default 0.95
        Of every interval.

    Raises
    ------
    DesignError
        If a field is none of its choices, or `df_method` and `method` do not go together.
    """

    outcome: str
    by: str | None = None
    covariates: tuple[str, ...] = ()
    time: str = "year"
    subject: str = "subject_id"
    baseline_error: BaselineError = "shared"
    method: Literal["REML", "ML"] = "REML"
    df_method: ChangeDfMethod = "satterthwaite"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check the choices."""
        check_choice("baseline_error", self.baseline_error, get_args(BaselineError))
        check_choice("df_method", self.df_method, get_args(ChangeDfMethod))
        if not isinstance(self.covariates, tuple):
            raise DesignError(f"`covariates` must be a tuple of columns, got {self.covariates!r}.")
        self.lmm()  # refuses what does not go together

    def lmm(self) -> LMMSpec:
        """Write the mixed model.

        Returns
        -------
        LMMSpec
            ``change ~ 0 + year + year:arm`` with a random slope and, where the baseline's error is
            shared, a random intercept that is uncorrelated with it.
        """
        time, subject = quoted(self.time), quoted(self.subject)
        modifiers = [*([self.by] if self.by else []), *self.covariates]
        mean = " + ".join([f"0 + {time}", *(f"{time}:{quoted(name)}" for name in modifiers)])
        intercept = f"(1 | {subject}) + " if self.baseline_error == "shared" else ""
        return LMMSpec.from_formula(
            f"{quoted(self.outcome)} ~ {mean} + {intercept}(0 + {time} | {subject})",
            method=self.method, conf_level=self.conf_level, df_method=self.df_method,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ChangeResult(Result):
    """Slopes of change from baseline, through the origin.

    Parameters
    ----------
    spec : ChangeSpec
        The request.
    slopes : pandas.DataFrame
        ``quantity term estimate std_error [df] statistic p_value conf_low conf_high``, per year:
        the ``slope`` of each group, and each ``difference`` from the first.
    fit : LMMResult
        The mixed model. With ``baseline_error="level"`` its rows are whitened (see
        :func:`fit_change`), so that its own predictions are of no use.
    data : pandas.DataFrame
        The rows analysed, as they were given.
    n_subjects, n_obs : int
        Analysed.
    label, unit : str
        Of the outcome.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out, with reasons.
    """

    spec: ChangeSpec
    slopes: pd.DataFrame
    fit: LMMResult
    data: pd.DataFrame
    n_subjects: int
    n_obs: int
    label: str
    unit: str = ""
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say the change per year in each group, and the difference."""
        unit = f" {self.unit}" if self.unit else ""
        told = [
            f"{row['term']} {format_interval(row['estimate'], row['conf_low'], row['conf_high'])}"
            for row in self.slopes.to_dict("records")
        ]
        last = self.slopes.iloc[-1]
        p_value = format_p_value(float(last["p_value"]))
        test = f", p {p_value if p_value.startswith('<') else '= ' + p_value}"
        origin = "synthetic " if self.origin == "synthetic" else ""
        left = sum(e.n for e in self.exclusions if e.unit == "row")
        lost = f", {left} rows left out" if left else ""
        return (
            f"{self.label}, change{unit} per {slope_unit(self.spec.time)} through zero at "
            f"baseline: {'; '.join(told)}{test} ({self.n_subjects} {origin}subjects, {self.n_obs} "
            f"rows{lost})."
        )

    def table(self) -> pd.DataFrame:
        """Return one row per group's slope and per difference."""
        return self.slopes.copy()

    def mean_lines(self) -> pd.DataFrame:
        """Return the fitted line of each group from baseline to the last visit.

        Returns
        -------
        pandas.DataFrame
            ``group year estimate conf_low conf_high``; two points per group. Time is in years
            where it was in days.
        """
        groups = self.slopes[self.slopes["quantity"] == "slope"]
        last = float(self.data[self.spec.time].max()) / per_slope_unit(self.spec.time)
        rows = [
            (row["term"], year, *(year * row[c] for c in ("estimate", "conf_low", "conf_high")))
            for row in groups.to_dict("records")
            for year in (0.0, last)
        ]
        return pd.DataFrame(rows, columns=["group", "year", "estimate", "conf_low", "conf_high"])

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw each subject's changes, and the fitted lines through the origin."""
        spec = self.spec
        frame = pd.DataFrame(
            {
                "subject_id": self.data[spec.subject],
                "year": self.data[spec.time] / per_slope_unit(spec.time),
                "value": self.data[spec.outcome],
                **({"group": as_labels(self.data[spec.by])} if spec.by else {}),
            }
        )
        fitted = self.mean_lines()
        if spec.by is None:
            fitted = fitted.drop(columns="group")
        label = f"{self.label}, {self.unit}" if self.unit else self.label
        unit = "Years" if slope_unit(spec.time) == "year" else spec.time
        options = {"y_label": label, "x_label": f"{unit} from baseline", "origin": self.origin,
                   "group": "group" if spec.by else None}  # fmt: skip
        return plot_trajectories(frame, fitted=fitted, ax=ax, **{**options, **kws})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "change_result/1",
            "spec": to_plain(self.spec),
            "headline": self.headline(),
            "slopes": to_plain(self.slopes),
            "fit": self.fit.to_dict(),
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "label": self.label,
            "unit": self.unit,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def fit_change(
    data: pd.DataFrame,
    spec: ChangeSpec,
    *,
    engine: str = "native",
    dictionary: Mapping[str, Measure] | None = None,
    origin: Origin = "real",
) -> ChangeResult:
    """Fit straight lines through the origin to a measure that is change from baseline.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per visit. Rows at baseline are dropped and counted.
    spec : ChangeSpec
        Outcome, groups, and what the error of the baseline scan does.
    engine : str, default "native"
        Of the mixed model; see :func:`~pmsstats.models.mixed.lmm.fit_lmm`.
    dictionary : mapping of str to Measure, optional
        For label and unit of the outcome; the package's own by default.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; synthetic ones are labelled.

    Returns
    -------
    ChangeResult
        Slopes per group and their differences.

    Raises
    ------
    DesignError
        If the outcome is not zero at baseline (then it is no change), a covariate varies within a
        subject, or the data cannot determine the model.

    Notes
    -----
    The mean is ``slope * year``, without intercept: change at baseline is zero by definition. A
    zero at baseline is no measurement; as a row it would pull the residual variance down, so such
    rows are dropped and counted.

    Let the level be ``y_t = a + b t + e_t`` with ``b ~ (slope, slope_sd^2)`` and scan error
    ``error_sd^2``. Its changes ``d_t = y_t - y_0`` have ``Cov(d) = slope_sd^2 t t' + error_sd^2
    (I + 1 1')``: the level's intercept, its variance and its correlation with the slope cancel,
    and the error of the baseline scan is in every change. That covariance is
    ``baseline_error="level"``. It is fitted as an ordinary random-slope model after whitening
    each subject's m changes, ``d - (1 - 1 / sqrt(m + 1)) mean(d)``, and time likewise.

    When change and level (``y ~ year * arm + (year | subject)``) agree:

    - Complete data with the same visits for all: slopes, their standard errors, slope_sd and
      error_sd by REML are equal to the last digit, if the level's fit is not singular, because
      the slope estimates are then those of each subject's least-squares line either way. By ML
      error and slope estimates agree too; slope_sd (and so standard errors) agrees as well, because
      the divisor is the number of subjects in both.
    - Unequal visits: equal in expectation, not in value. The level model also uses differences
      between subjects; the change model is the level model with a fixed intercept per subject.
    - Baseline means constrained to be equal
      (:mod:`pmsstats.imaging.constrained_baseline`): the level model knows more, and is more
      precise wherever baseline correlates with change.
    - ``"independent"`` fits measures whose error is that of the pair of scans, as that of
      registration may be; ``"shared"`` has both as special cases. Wrongly assumed,
      ``"independent"`` leaves slopes unbiased and makes them less precise, as it gives early
      visits too much weight.

    R: ``lmer(pbvc ~ 0 + year + year:arm + (1 | id) + (0 + year | id))``; SAS: ``MODEL pbvc = year
    year*arm / NOINT SOLUTION DDFM=SATTERTHWAITE (or KR); RANDOM INT year / TYPE=VC
    SUBJECT=id``. ``(1 | id)`` and ``INT`` are those of ``"shared"``; leave them out for
    ``"independent"``.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> visits = pd.DataFrame({"subject_id": np.repeat(range(40), 3), "year": [0, 1, 2] * 40})
    >>> visits["pbvc_pct"] = visits["year"] * (rng.normal(0, 0.3, 40).repeat(3) - 0.5)
    >>> visits["pbvc_pct"] += (visits["year"] > 0) * rng.normal(0, 0.2, 120)
    >>> made = fit_change(visits, ChangeSpec(outcome="pbvc_pct", baseline_error="independent"))
    >>> made.n_obs, made.exclusions[0].reason
    (80, 'baseline: change is zero there by definition')
    """
    named = [spec.outcome, spec.time, *([spec.by] if spec.by else []), *spec.covariates]
    require_columns(data, [spec.subject, *named])
    stage = f"change model of {spec.outcome}"
    rows, baseline = _without_baseline(data, spec, stage)
    rows, incomplete = complete_rows(rows, named, stage=stage, subject=spec.subject)
    if rows.empty:
        raise DesignError(f"No row after baseline has {', '.join(named)}.")
    _check_constant(rows, spec)
    frame = _whitened(rows, spec) if spec.baseline_error == "level" else rows
    fit = fit_lmm(frame, spec.lmm(), engine=engine, origin=origin)
    measure = (default_dictionary() if dictionary is None else dictionary).get(spec.outcome)
    return ChangeResult(
        spec=spec,
        slopes=yearly_slope_weights(fit, by=spec.by, time=spec.time).estimate(fit),
        fit=fit,
        data=rows,
        n_subjects=fit.n_subjects,
        n_obs=fit.n_obs,
        label=measure.label if measure else spec.outcome,
        unit=measure.unit if measure else "",
        origin=origin,
        exclusions=(*baseline, *incomplete, *fit.exclusions),
    )


def _without_baseline(
    data: pd.DataFrame, spec: ChangeSpec, stage: str
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Drop rows at or before baseline; refuse an outcome that is not zero there."""
    time, value = data[spec.time].astype(float), data[spec.outcome]
    at_baseline = (time == 0) & value.notna()
    wrong = at_baseline & (value.abs() > _ZERO)
    if wrong.any():
        ids = data.loc[wrong, spec.subject]
        raise DesignError(
            f"`outcome` must be change from baseline, zero at {spec.time} 0, but "
            f"{spec.outcome!r} is not in {ids.nunique()} subject(s) (such as {ids.iloc[0]}: "
            f"{value[wrong].iloc[0]:g}). Is it a level? See change_from_baseline."
        )
    before = (time < 0) & value.notna()
    exclusions = exclude(
        stage, "row", "baseline: change is zero there by definition",
        data.loc[at_baseline, spec.subject],
    )  # fmt: skip
    exclusions += exclude(stage, "row", "before baseline", data.loc[before, spec.subject])
    return data[~(time <= 0)], exclusions


def _check_constant(rows: pd.DataFrame, spec: ChangeSpec) -> None:
    """Refuse modifiers of the slope that change within a subject."""
    for name in [*([spec.by] if spec.by else []), *spec.covariates]:
        n_values = rows.groupby(spec.subject, sort=False)[name].nunique()
        if (n_values > 1).any():
            bad = n_values.index[n_values > 1]
            raise DesignError(
                f"{name!r} must be constant within a subject to modify the slope, but varies in "
                f"{len(bad)} (such as {bad[0]}). Use the value at baseline."
            )


def _whitened(rows: pd.DataFrame, spec: ChangeSpec) -> pd.DataFrame:
    """Take the shared error of the baseline scan out, by ``(I + 1 1')^(-1/2)`` per subject.

    The eigenvectors are the mean, with eigenvalue ``m + 1``, and the contrasts, with 1.
    """
    columns = [spec.outcome, spec.time]
    grouped = rows.groupby(spec.subject, sort=False)[columns]
    means = grouped.transform("mean")
    m = rows.groupby(spec.subject, sort=False)[spec.outcome].transform("size").to_numpy()
    share = (1 - 1 / np.sqrt(m + 1))[:, None]
    return rows.assign(**(rows[columns].astype(float) - share * means.to_numpy()))


@dataclass(frozen=True, eq=False, kw_only=True)
class BaselineChanges:
    """Changes from baseline, and what has none.

    Parameters
    ----------
    data : pandas.DataFrame, shape (n_obs, n_columns)
        The visits after baseline of subjects who have a value there, with the columns that were
        given; the outcome is the change.
    exclusions : tuple of Exclusion
        Subjects without a baseline value, rows at or before baseline.
    n_subjects, n_obs : int
        In `data`.
    """

    data: pd.DataFrame
    exclusions: tuple[Exclusion, ...]
    n_subjects: int
    n_obs: int


def change_from_baseline(
    data: pd.DataFrame,
    outcome: str,
    *,
    time: str = "year",
    subject: str = "subject_id",
    percent: bool = False,
) -> BaselineChanges:
    """Turn a level into change from the value at time 0.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per visit.
    outcome : str
        Column of the level.
    time : str, default "year"
        Time since baseline.
    subject : str, default "subject_id"
        Column of subject ids.
    percent : bool, default False
        Change in percent of the baseline value rather than in its unit.

    Returns
    -------
    BaselineChanges
        The visits after baseline, with `outcome` as change, and what was left out.

    Raises
    ------
    DesignError
        If a column is absent, or a subject has two values at baseline.

    Notes
    -----
    ``y_t - y_0``, or ``100 (y_t - y_0) / y_0``. R (dplyr): ``group_by(id) |> mutate(change =
    y - y[year == 0]) |> filter(year > 0)``; SAS: a ``DATA`` step with ``BY id`` and a ``RETAIN``
    of the value at year 0.

    Examples
    --------
    >>> visits = pd.DataFrame({"subject_id": ["a"] * 3, "year": [0, 1, 2], "brain_ml": 1500.0})
    >>> visits["brain_ml"] -= 5 * visits["year"]
    >>> change_from_baseline(visits, "brain_ml").data["brain_ml"].tolist()
    [-5.0, -10.0]
    """
    require_columns(data, [subject, time, outcome])
    stage = f"change of {outcome}"
    rows = data[data[outcome].notna()]
    first = rows[rows[time] == 0].set_index(subject)[outcome]
    if first.index.has_duplicates:
        raise DesignError(
            f"Subject {first.index[first.index.duplicated()][0]} has two values of {outcome} at "
            f"{time} 0. Keep one row per visit."
        )
    baseline = rows[subject].map(first)
    unknown = baseline.isna()
    early = ~unknown & (rows[time] <= 0)
    gone = rows.loc[unknown, subject].drop_duplicates()
    exclusions = exclude(stage, "subject", "no value at baseline", gone)
    exclusions += exclude(stage, "row", "no value at baseline", rows.loc[unknown, subject])
    exclusions += exclude(stage, "row", "at or before baseline", rows.loc[early, subject])
    keep = ~unknown & ~early
    change = rows[outcome] - baseline
    change = 100 * change / baseline if percent else change
    made = rows.assign(**{outcome: change})[keep].reset_index(drop=True)
    return BaselineChanges(
        data=made,
        exclusions=exclusions,
        n_subjects=int(made[subject].nunique()),
        n_obs=len(made),
    )
