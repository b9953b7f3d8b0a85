"""What an analysis with missing values is asked for: model, events, strategies, method."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.models.missing.estimands import EstimandStrategy, Imputed, as_strategies

__all__ = ["Analysis", "DeltaAdjustment", "MissingSpec"]

Method = Literal["bayes", "bootstrap", "conditional_mean"]
Variance = Literal["jackknife", "bootstrap"]
Interval = Literal["normal", "percentile"]
Analysis = Literal["ancova", "slope"] | Callable[[pd.DataFrame], tuple[float, float, float]]


@dataclass(frozen=True, kw_only=True)
class DeltaAdjustment:
    """By how much imputed values of one arm are shifted: a penalty for what was not seen.

    Parameters
    ----------
    arm : str
        Whose values.
    values : float, or mapping of visit to float, or tuple of pairs
        In units of the outcome: the same at every visit, or by visit (none where not named).
    lag : tuple of float, optional
        Share of each visit's value that counts at the first, second, ... visit after the event;
        the shifts then accumulate, as with ``dlag`` of R's rbmi. Without it each visit's shift is
        its own value.
    scope : {"after_event", "imputed"}, default "after_event"
        Shift imputed values after a subject's event (withdrawal counts) only, or all imputed ones,
        those of visits missed in between too. Observed values are never shifted.

    Raises
    ------
    DesignError
        If a number is not finite, or the scope is unknown.

    Examples
    --------
    >>> DeltaAdjustment(arm="active", values={"W48": 0.5}).values
    (('W48', 0.5),)
    """

    arm: str
    values: float | tuple[tuple[str, float], ...]
    lag: tuple[float, ...] | None = None
    scope: Literal["after_event", "imputed"] = "after_event"

    def __post_init__(self) -> None:
        """Check every field; turn a mapping to pairs."""
        values = self._checked_values()
        object.__setattr__(self, "values", values)
        if isinstance(self.lag, list):
            object.__setattr__(self, "lag", tuple(self.lag))
        numbers = [values] if isinstance(values, float) else [value for _, value in values]
        if not all(math.isfinite(number) for number in [*numbers, *(self.lag or ())]):
            raise DesignError(
                f"`delta` of arm {self.arm!r} must be finite numbers in units of the outcome, got "
                f"{self.values!r} with lag {self.lag!r}."
            )
        _check_choice("scope", self.scope, ("after_event", "imputed"))

    def _checked_values(self) -> float | tuple[tuple[str, float], ...]:
        """Return one shift, or pairs of visit and shift, whatever form they were given in."""
        given: Any = self.values
        try:
            if np.ndim(given) == 0 and not isinstance(given, str | Mapping):
                return float(given)
            pairs = given.items() if isinstance(given, Mapping) else given
            return tuple((str(visit), float(value)) for visit, value in pairs)
        except (TypeError, ValueError) as exc:
            raise DesignError(
                f"`values` of the delta of arm {self.arm!r} must be one number, or a mapping of "
                f"visit to number, got {given!r}."
            ) from exc


@dataclass(frozen=True, kw_only=True)
class MissingSpec:
    """An analysis of repeated measures with missing values and intercurrent events.

    Parameters
    ----------
    outcome : str
        Column that is analysed. A change from baseline is usual; the visit where all changes are
        zero is to be left out.
    arm, visit, subject, day : str
        Columns: trial arm, visit, subject, and days from baseline. The last is needed for events
        with a day and for slopes.
    covariates : tuple of str
        Columns known at baseline, one value per subject; numbers or text. In the imputation model
        their effects differ between visits, in the analysis they are adjusted for.
    reference : str, optional
        The arm that others are compared with and that reference-based strategies copy. By default
        the first category of `arm`; text has no first, and so needs it.
    strategies : tuple of EstimandStrategy, or mapping of event to strategy
        What each intercurrent event means. A mapping may hold short forms:
        ``{"rescue": "hypothetical", "withdrawal": "JR"}``.
    dropout : {"MAR", "JR", "CR", "CIR", "LMCF"}, default "MAR"
        How values after a subject's last one are imputed where no other event governs them.
    method : {"bayes", "bootstrap", "conditional_mean"}, default "bayes"
        Draws from the posterior of the model [1]_, fits to bootstrap samples [2]_ (both then
        random imputation and Rubin's rules), or conditional means with a resampling variance [3]_.
    variance : {"jackknife", "bootstrap"}, default "jackknife"
        For conditional means.
    interval : {"normal", "percentile"}, default "normal"
        For conditional means with the bootstrap.
    n_imputations : int, default 100
        Imputed data sets, or bootstrap samples; the jackknife has one per subject.
    burn_in : int, default 100
        Steps of data augmentation before the draw that each chain gives.
    covariance_by_arm : bool, default False
        Whether each arm has a covariance of its own.
    analysis : {"ancova", "slope"} or callable, default "ancova"
        Compare arms at each visit, or by slope over visits per year, each adjusted for
        `covariates`; or a function of a completed long frame that gives estimate, standard error
        and degrees of freedom.
    delta : tuple of DeltaAdjustment
        Shifts of imputed values.
    before_first : float or str, optional
        For ``while_on_treatment``: value (or its column) that holds before the first visit, 0 for
        a change from baseline.
    conf_level : float, default 0.95
        Of the intervals.

    Raises
    ------
    DesignError
        If a field is outside of its range.

    References
    ----------
    .. [1] Carpenter JR, Roger JH, Kenward MG. Analysis of longitudinal trials with protocol
       deviation: a framework for relevant, accessible assumptions, and inference via multiple
       imputation. J Biopharm Stat 2013;23:1352-1371. doi:10.1080/10543406.2013.834911.
    .. [2] Little RJA, Rubin DB. Statistical Analysis with Missing Data. 2nd ed. Hoboken: Wiley,
       2002: section 10.2.3.
    .. [3] Wolbers M, Noci A, Delmar P, Gower-Page C, Yiu S, Bartlett JW. Standard and
       reference-based conditional mean imputation. Pharm Stat 2022;21:1246-1257.
       doi:10.1002/pst.2234.

    Examples
    --------
    >>> spec = MissingSpec(outcome="pbvc_pct", strategies={"withdrawal": "JR"})
    >>> spec.strategies[0].strategy, spec.strategies[0].imputation
    ('treatment_policy', 'JR')
    """

    outcome: str
    arm: str = "arm"
    visit: str = "visit"
    subject: str = "subject_id"
    day: str = "day"
    covariates: tuple[str, ...] = ()
    reference: str | None = None
    strategies: tuple[EstimandStrategy, ...] = ()
    dropout: Imputed = "MAR"
    method: Method = "bayes"
    variance: Variance = "jackknife"
    interval: Interval = "normal"
    n_imputations: int = 100
    burn_in: int = 100
    covariance_by_arm: bool = False
    analysis: Analysis = "ancova"
    delta: tuple[DeltaAdjustment, ...] = ()
    before_first: float | str | None = None
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check every field; turn short forms to strategies."""
        object.__setattr__(self, "strategies", as_strategies(self.strategies))
        for name in ("covariates", "delta"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        _check_choice("dropout", self.dropout, get_args(Imputed))
        _check_choice("method", self.method, get_args(Method))
        _check_choice("variance", self.variance, get_args(Variance))
        _check_choice("interval", self.interval, get_args(Interval))
        if not callable(self.analysis):
            _check_choice("analysis", self.analysis, ("ancova", "slope"))
        self._check_numbers()
        self._check_together()

    def _check_numbers(self) -> None:
        """Check the fields that are numbers."""
        for name, least in (("n_imputations", 2), ("burn_in", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise DesignError(f"`{name}` must be a whole number >= {least}, got {value!r}.")
        if not isinstance(self.conf_level, float) or not 0.5 <= self.conf_level < 1:
            raise DesignError(
                f"`conf_level` must be at least 0.5 and below 1, got {self.conf_level!r}. "
                "Write 0.95 for 95 %."
            )

    def _check_together(self) -> None:
        """Check the fields that depend on each other."""
        if isinstance(self.covariates, str):
            raise DesignError(
                f"`covariates` must be a tuple of columns, got {self.covariates!r}. Write "
                f"({self.covariates!r},)."
            )
        own = {self.outcome, self.arm, self.visit, self.subject}
        if own & set(self.covariates):
            raise DesignError(
                f"`covariates` must not hold {sorted(own & set(self.covariates))}: outcome, arm, "
                "visit and subject are in the model already."
            )
        if not all(isinstance(rule, DeltaAdjustment) for rule in self.delta):
            raise DesignError(f"`delta` must hold DeltaAdjustment objects, got {self.delta!r}.")
        resampled = self.method == "conditional_mean" and self.variance == "bootstrap"
        if self.interval == "percentile" and not resampled:
            raise DesignError(
                "`interval='percentile'` needs bootstrap estimates: method='conditional_mean' and "
                f"variance='bootstrap', got {self.method!r} and {self.variance!r}."
            )


def _check_choice(name: str, value: object, options: tuple[str, ...]) -> None:
    """Refuse a value that is none of the options."""
    if value not in options:
        raise DesignError(
            f"`{name}` must be one of {', '.join(options)}, got {value!r}."
            f"{nearest(str(value), options)}"
        )
