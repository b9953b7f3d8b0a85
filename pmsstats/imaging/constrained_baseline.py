"""Constrained longitudinal data analysis: baseline as an outcome, one mean for all arms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.imaging.column_labels import as_labels, quoted
from pmsstats.imaging.yearly_slope_weights import yearly_slope_weights
from pmsstats.models.formulas.design import require_columns
from pmsstats.models.mixed.lmm import LMMSpec, fit_lmm
from pmsstats.models.repeated.mmrm import fit_mmrm
from pmsstats.models.repeated.mmrm_spec import MMRMSpec
from pmsstats.plots.forest import plot_forest
from pmsstats.results import Exclusion, Result, format_interval, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.fixed_effects.degrees_of_freedom import DfMethod
    from pmsstats.models.fixed_effects.fixed_result import FixedEffectsResult
    from pmsstats.provenance import Origin

__all__ = [
    "ConstrainedBaselineResult",
    "ConstrainedBaselineSpec",
    "constrain_baseline",
    "fit_constrained_baseline",
]

_CELL = "visit_arm"


@dataclass(frozen=True, kw_only=True)
class ConstrainedBaselineSpec:
    """A constrained longitudinal data analysis, as it is asked for.

    Parameters
    ----------
    outcome : str
        Column of the level, at baseline and after.
    by : str, default "arm"
        Randomised arms; reference first.
    time : str, optional
        Column of time since baseline: the mean is a straight line per arm from a common
        baseline, and slopes over ``"day"`` are given per year. Without it, visits are a factor.
    visit : str, default "visit"
        Column of visits, the first one the baseline. Not with `time`.
    baseline : str, optional
        Label of the baseline visit; the first by default.
    covariates : str, default ""
        Further terms of the mean: ``"age_years + sex"``; with visits as a factor also
        ``"visit:age_years"``.
    covariance : str, optional
        Of the visits: ``"us"`` by default; see
        :class:`~pmsstats.models.repeated.mmrm_spec.MMRMSpec`. Not with `time`.
    random : str, optional
        Random terms, with `time` only: ``"(year | subject_id)"`` by default, in the columns that
        are named here.
    subject : str, default "subject_id"
        Column of subject ids.
    method : {"REML", "ML"}, default "REML"
        Restricted or full maximum likelihood.
    df_method : str, optional
        Where degrees of freedom come from: ``"kenward-roger"`` by default with visits as a factor
        by REML, else ``"satterthwaite"``.
    conf_level : float, default 0.95
        Of every interval.

    Raises
    ------
    DesignError
        If a field is given that belongs to the other kind of mean.
    """

    outcome: str
    by: str = "arm"
    time: str | None = None
    visit: str = "visit"
    baseline: str | None = None
    covariates: str = ""
    covariance: str | None = None
    random: str | None = None
    subject: str = "subject_id"
    method: Literal["REML", "ML"] = "REML"
    df_method: DfMethod | None = None
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Refuse what the model would not look at."""
        if self.time is None:
            if self.random is not None:
                raise DesignError(
                    f"`random` belongs to a straight line over `time`, got {self.random!r} without "
                    "`time`. Give time='year', or a `covariance` of the visits instead."
                )
            return
        if self.baseline is not None:
            raise DesignError("`baseline` belongs to visits; with `time` baseline is at 0.")
        if self.covariance is not None:
            raise DesignError(
                f"`covariance` belongs to visits as a factor, got {self.covariance!r} with "
                f"time={self.time!r}. Leave out `time`, or say what varies as `random`."
            )
        if self.visit != "visit":
            raise DesignError(
                f"`visit` belongs to visits as a factor, got {self.visit!r} with "
                f"time={self.time!r}. Leave one of them out."
            )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ConstrainedBaselineResult(Result):
    """Differences between arms from a common baseline.

    Parameters
    ----------
    spec : ConstrainedBaselineSpec
        The request.
    estimates : pandas.DataFrame
        ``quantity term estimate std_error [df] statistic p_value conf_low conf_high``. Quantities
        with visits: ``mean``, ``change`` from baseline per arm and visit, and ``difference``
        between arms per visit (of means and of changes alike, as baseline is common). With time:
        ``slope`` and ``difference``.
    fit : MMRMResult or LMMResult
        The model.
    n_subjects, n_obs : int
        Analysed.
    label, unit : str
        Of the outcome.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out, with reasons.
    """

    spec: ConstrainedBaselineSpec
    estimates: pd.DataFrame
    fit: FixedEffectsResult
    n_subjects: int
    n_obs: int
    label: str
    unit: str = ""
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say the differences between arms at the last visit, or of the slopes."""
        rows = self.estimates[self.estimates["quantity"] == "difference"]
        last = rows.iloc[-1]
        value = format_interval(last["estimate"], last["conf_low"], last["conf_high"])
        unit = f" {self.unit}" if self.unit else ""
        what = "slope" if self.spec.time else "mean"
        origin = "synthetic " if self.origin == "synthetic" else ""
        return (
            f"{self.label}, difference in {what} from a baseline common to the arms "
            f"({last['term']}): {value}{unit} in {self.n_subjects} {origin}subjects "
            f"({self.n_obs} rows)."
        )

    def table(self) -> pd.DataFrame:
        """Return means, changes and differences."""
        return self.estimates.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the differences between arms with their intervals."""
        rows = self.estimates[self.estimates["quantity"] == "difference"]
        shown = rows.rename(columns={"term": "label"})
        unit = f", {self.unit}" if self.unit else ""
        options = {"x_label": f"{self.label}: difference{unit}", "reference": 0.0}
        return plot_forest(
            shown[["label", "estimate", "conf_low", "conf_high"]],
            ax=ax, **{"origin": self.origin, **options, **kws},
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "constrained_baseline_result/1",
            "spec": to_plain(self.spec),
            "headline": self.headline(),
            "estimates": to_plain(self.estimates),
            "fit": self.fit.to_dict(),
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "label": self.label,
            "unit": self.unit,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def constrain_baseline(
    data: pd.DataFrame, *, visit: str = "visit", by: str = "arm", baseline: str | None = None
) -> pd.DataFrame:
    """Add the factor of visit and arm in which all arms share one level at baseline.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per visit.
    visit : str, default "visit"
        Column of visits; categories fix the order.
    by : str, default "arm"
        Column of arms.
    baseline : str, optional
        Label of the baseline visit; the first one by default.

    Returns
    -------
    pandas.DataFrame
        A copy with ``visit_arm``: the label of the baseline, and ``"W24: active"`` after it. As the
        mean of a model without intercept (``y ~ 0 + visit_arm``) it gives every mean, with the
        baseline's constrained to be one.

    Raises
    ------
    DesignError
        If a column is absent, or no row is at baseline.

    Notes
    -----
    R: ``factor(ifelse(visit == "W0", "W0", paste0(visit, ": ", arm)))``. SAS needs no such column:
    it takes ``visit*arm`` with the arm set to the reference in the rows at baseline.

    Examples
    --------
    >>> rows = pd.DataFrame({"visit": ["W0", "W0", "W24"], "arm": ["a", "b", "b"]})
    >>> constrain_baseline(rows)["visit_arm"].tolist()
    ['W0', 'W0', 'W24: b']
    """
    require_columns(data, [visit, by])
    visits, arms = as_labels(data[visit]), as_labels(data[by])
    first = visits.categories[0] if baseline is None else baseline
    if first not in visits.categories:
        raise DesignError(
            f"`baseline` must be a visit, got {first!r}. They are: {', '.join(visits.categories)}."
        )
    later = [name for name in visits.categories if name != first]
    levels = [first, *(f"{name}: {arm}" for name in later for arm in arms.categories)]
    known = (visits.codes >= 0) & (arms.codes >= 0)
    labels = [
        (name if name == first else f"{name}: {arm}") if is_known else None
        for name, arm, is_known in zip(visits, arms, known, strict=True)
    ]
    return data.assign(**{_CELL: pd.Categorical(labels, categories=levels)})


def fit_constrained_baseline(
    data: pd.DataFrame,
    spec: ConstrainedBaselineSpec,
    *,
    engine: str = "native",
    origin: Origin = "real",
) -> ConstrainedBaselineResult:
    """Compare randomised arms with the baseline as an outcome of common mean (cLDA).

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject and visit, the baseline among them.
    spec : ConstrainedBaselineSpec
        Outcome, arms, and visits or time.
    engine : str, default "native"
        Of the mixed model; see :func:`~pmsstats.models.mixed.lmm.fit_lmm`. Another one only with
        ``time``: visits as a factor have the native engine alone.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; synthetic ones are labelled.

    Returns
    -------
    ConstrainedBaselineResult
        Means, changes from baseline, differences between arms.

    Raises
    ------
    DesignError
        If a column is absent, there is one arm, `engine` cannot fit the model, or the data cannot
        determine it.
    ConvergenceError
        If the model does not converge.

    Notes
    -----
    Randomisation makes the arms' mean at baseline equal, so the model has one [1]_, [2]_: a
    difference that chance put there is corrected for by the covariance of baseline and follow-up,
    as ANCOVA does, but subjects without a baseline, or without any later visit, take part. Never
    use it where groups were not randomised: there the constraint is wrong.

    With an unstructured covariance and complete data the difference at each visit is exactly that
    of ANCOVA with the baseline as covariate, because the likelihood is that of the baseline times
    that of the later visits given it; so it is by REML, as the step from means at the later visits
    to means given the baseline leaves the volume of the fixed effects unchanged. Standard errors
    differ by terms of order 1 / n: ANCOVA takes the observed difference at baseline as fixed.

    SAS: ``MODEL y = visit visit*arm / DDFM=KR`` with the arm's column zero at baseline, ``REPEATED
    visit / TYPE=UN SUBJECT=id``; R: ``mmrm(y ~ 0 + visit_arm + us(visit | id))``. With time, R:
    ``lmer(y ~ year + year:arm + (year | id))``; SAS: ``MODEL y = year year*arm / SOLUTION
    DDFM=SATTERTHWAITE``, ``RANDOM INT year / TYPE=UN SUBJECT=id``; without a main effect of arm.

    References
    ----------
    .. [1] Liang KY, Zeger SL. Longitudinal data analysis of continuous and discrete responses for
       pre-post designs. Sankhya B 2000;62:134-148.
    .. [2] Liu GF, Lu K, Mogg R, Mallick M, Mehrotra DV. Should baseline be a covariate or dependent
       variable in analyses of change from baseline in clinical trials? Stat Med 2009;28:2509-2530.
       doi:10.1002/sim.3639.
    """
    columns = [spec.outcome, spec.by, spec.subject, spec.time or spec.visit]
    require_columns(data, columns)
    arms = list(as_labels(data[spec.by]).categories)
    if len(arms) < 2:
        raise DesignError(f"`by` must tell several arms apart, but {spec.by!r} has {arms!r}.")
    if spec.time is None:
        if engine != "native":
            raise DesignError(
                f"`engine` must be 'native' with visits as a factor, got {engine!r}. Give `time` "
                "in the spec for a model that other engines fit."
            )
        fit, estimates = _by_visit(data, spec, arms, origin)
    else:
        fit, estimates = _over_time(data, spec, engine, origin)
    return ConstrainedBaselineResult(
        spec=spec,
        estimates=estimates,
        fit=fit,
        n_subjects=fit.n_subjects,
        n_obs=fit.n_obs,
        label=fit.label,
        unit=fit.unit,
        origin=origin,
        exclusions=fit.exclusions,
    )


def _over_time(
    data: pd.DataFrame, spec: ConstrainedBaselineSpec, engine: str, origin: Origin
) -> tuple[FixedEffectsResult, pd.DataFrame]:
    """Fit straight lines from one point."""
    time, more = quoted(str(spec.time)), f" + {spec.covariates}" if spec.covariates else ""
    random = f"({time} | {quoted(spec.subject)})" if spec.random is None else spec.random
    model = LMMSpec.from_formula(
        f"{quoted(spec.outcome)} ~ {time} + {time}:{quoted(spec.by)}{more} + {random}",
        method=spec.method, conf_level=spec.conf_level,
        df_method="satterthwaite" if spec.df_method is None else spec.df_method,
    )  # fmt: skip
    fit = fit_lmm(data, model, origin=origin, engine=engine)
    return fit, yearly_slope_weights(fit, by=spec.by, time=str(spec.time)).estimate(fit)


def _by_visit(
    data: pd.DataFrame, spec: ConstrainedBaselineSpec, arms: list[str], origin: Origin
) -> tuple[FixedEffectsResult, pd.DataFrame]:
    """Fit a mean per visit and arm, one at baseline."""
    frame = constrain_baseline(data, visit=spec.visit, by=spec.by, baseline=spec.baseline)
    default: DfMethod = "kenward-roger" if spec.method == "REML" else "satterthwaite"
    more = f" + {spec.covariates}" if spec.covariates else ""
    fit = fit_mmrm(
        frame,
        MMRMSpec(
            outcome=quoted(spec.outcome), fixed=f"0 + {_CELL}{more}",
            covariance="us" if spec.covariance is None else spec.covariance,
            visit=spec.visit, subject=spec.subject, method=spec.method,
            df_method=default if spec.df_method is None else spec.df_method,
            conf_level=spec.conf_level,
        ),
        origin=origin,
    )  # fmt: skip
    return fit, _visit_estimates(fit, list(frame[_CELL].cat.categories), arms)


def _visit_estimates(fit: FixedEffectsResult, cells: list[str], arms: list[str]) -> pd.DataFrame:
    """Estimate means, changes from baseline, and differences between arms per visit."""
    names = list(fit.design.fixed_names)
    others = fit.design.fixed.matrix(fit.data).to_numpy()[:, list(fit.design.kept)].mean(axis=0)
    is_cell = np.array([name.startswith(f"{_CELL}[") for name in names])
    means = np.tile(np.where(is_cell, 0.0, others), (len(cells), 1))
    means[:, is_cell] = np.equal.outer(cells, [name[len(_CELL) + 1 : -1] for name, mine in zip(
        names, is_cell, strict=True) if mine])  # fmt: skip
    changes = means[1:] - means[:1]
    reference = np.repeat(np.arange(1, len(cells), len(arms)), len(arms) - 1)
    treated = [i for i in range(1, len(cells)) if (i - 1) % len(arms)]
    pairs = [f"{cells[i]} - {arms[0]}" for i in treated]
    parts = [
        fit.estimate(cells, means).assign(quantity="mean"),
        fit.estimate(cells[1:], changes).assign(quantity="change"),
        fit.estimate(pairs, means[treated] - means[reference]).assign(quantity="difference"),
    ]
    made = pd.concat(parts, ignore_index=True)
    return made[["quantity", *[c for c in made.columns if c != "quantity"]]]
