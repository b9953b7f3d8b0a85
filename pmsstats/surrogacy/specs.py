"""Requests of the surrogacy room: frozen, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pmsstats.errors import DesignError
from pmsstats.models.events.rows import check_conf_level
from pmsstats.models.responses.population_design import check_choice

__all__ = [
    "Benefit",
    "EffectTableSpec",
    "IndividualSurrogacySpec",
    "MediationSpec",
    "OutcomeKind",
    "SubjectSpec",
    "TrialModel",
    "TrialSurrogacySpec",
    "Weights",
]

OutcomeKind = Literal["continuous", "binary", "survival"]
"""What the clinical outcome is."""

TrialModel = Literal[
    "reduced", "full", "meta_regression", "errors_in_variables", "mixed_reduced", "mixed_full"
]
"""Trial-level models; see :func:`pmsstats.surrogacy.surrogacy_trial`."""

Weights = Literal["size", "precision", "equal"]
"""Weights of trials in the regressions of one effect on the other."""

Benefit = Literal["lower", "higher"]
"""Which effects on the clinical outcome are a benefit."""


@dataclass(frozen=True, kw_only=True)
class SubjectSpec:
    """Columns of a table with one row per subject; base of the requests that read one.

    Parameters
    ----------
    surrogate : str
        Column of the candidate surrogate: a change, a slope, a count.
    outcome : str, optional
        Column of the clinical outcome, continuous or 0/1; not with `duration`.
    duration, event : str, optional
        Columns of the time to the clinical event, and of whether it happened.
    kind : {"continuous", "binary", "survival"}, optional
        What the outcome is; told from the columns by default.
    arm : str, default "arm"
        Column of treatment.
    reference, treated : optional
        The two arms that are compared. With two arms, the first of an ordered category (else the
        first in sorted order) is the reference; with more, both must be named.
    covariates : tuple of str, default ()
        Numeric baseline columns that every model adjusts for.
    subject : str, default "subject_id"
        Column of subjects, if there is one.
    conf_level : float, default 0.95
        Of every interval.
    n_replicates : int, default 1000
        Bootstrap replicates; 0 for none.

    Raises
    ------
    DesignError
        If a field is outside of its range.
    """

    surrogate: str
    outcome: str | None = None
    duration: str | None = None
    event: str | None = None
    kind: OutcomeKind | None = None
    arm: str = "arm"
    reference: str | None = None
    treated: str | None = None
    covariates: tuple[str, ...] = ()
    subject: str = "subject_id"
    conf_level: float = 0.95
    n_replicates: int = 1000

    def __post_init__(self) -> None:
        """Check every field."""
        survival = self.duration is not None and self.event is not None
        if (self.duration is None) != (self.event is None) or survival == (
            self.outcome is not None
        ):
            raise DesignError(
                "Give either `outcome`, or `duration` and `event`, got "
                f"outcome={self.outcome!r}, duration={self.duration!r}, event={self.event!r}."
            )
        if self.kind is not None:
            check_choice("kind", self.kind, get_args(OutcomeKind))
            if (self.kind == "survival") != survival:
                raise DesignError(
                    f"`kind={self.kind!r}` does not fit the columns: a survival outcome has "
                    "`duration` and `event`, any other `outcome`."
                )
        _check_columns("covariates", self.covariates)
        _check_replicates(self.n_replicates)
        check_conf_level(self.conf_level)

    @property
    def survival(self) -> bool:
        """Whether the outcome is the time to an event."""
        return self.duration is not None


@dataclass(frozen=True, kw_only=True)
class IndividualSurrogacySpec(SubjectSpec):
    """Request for Prentice's criteria and the proportion explained, in one trial.

    Parameters
    ----------
    surrogate : str
        Column of the candidate surrogate.
    outcome, duration, event : str, optional
        Columns of the clinical outcome, see :class:`SubjectSpec`.
    kind : {"continuous", "binary", "survival"}, optional
        What the outcome is.
    arm : str, default "arm"
        Column of treatment.
    reference, treated : str, optional
        The two arms that are compared.
    covariates : tuple of str, default ()
        Numeric baseline columns that every model adjusts for.
    subject : str, default "subject_id"
        Column of subjects, if there is one.
    conf_level : float, default 0.95
        Of every interval.
    n_replicates : int, default 1000
        Bootstrap replicates; 0 for none.

    Examples
    --------
    >>> IndividualSurrogacySpec(surrogate="pbvc_pct", duration="year", event="cdp").survival
    True
    """


@dataclass(frozen=True, kw_only=True)
class MediationSpec(SubjectSpec):
    """Request for natural direct and indirect effects of treatment through a mediator.

    Parameters
    ----------
    surrogate : str
        Column of the mediator.
    outcome, duration, event : str, optional
        Columns of the clinical outcome, see :class:`SubjectSpec`.
    kind : {"continuous", "binary", "survival"}, optional
        What the outcome is.
    arm : str, default "arm"
        Column of treatment.
    reference, treated : str, optional
        The two arms that are compared.
    covariates : tuple of str, default ()
        Numeric baseline columns that every model adjusts for.
    subject : str, default "subject_id"
        Column of subjects, if there is one.
    conf_level : float, default 0.95
        Of every interval.
    n_replicates : int, default 1000
        Bootstrap replicates; 0 for none.
    interaction : bool, default False
        Whether the mediator may act differently in the two arms (continuous outcomes).
    reliability : float, default 1.0
        Share of the mediator's variance within arms that is true, where the rest is error of
        estimation (of a slope from few scans, say); taken as known.

    Raises
    ------
    DesignError
        If a field is outside of its range.

    Examples
    --------
    >>> MediationSpec(surrogate="slope", outcome="edss_change", reliability=0.8).interaction
    False
    """

    interaction: bool = False
    reliability: float = 1.0

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        if self.kind == "binary":
            raise DesignError(
                "Mediation of a binary `outcome` is not offered: odds ratios do not add up to a "
                "total. Use the time to the event (`duration`, `event`), or kind='continuous' for "
                "differences in risk."
            )
        if not 0 < self.reliability <= 1:
            raise DesignError(
                f"`reliability` must be above 0 and at most 1, got {self.reliability!r}."
            )
        if self.interaction and (self.survival or self.reliability < 1):
            raise DesignError(
                "`interaction=True` needs a continuous outcome, and a mediator without error "
                "(reliability=1)."
            )


@dataclass(frozen=True, kw_only=True)
class TrialSurrogacySpec(SubjectSpec):
    """Request for trial-level surrogacy from the data of the subjects of several trials.

    Parameters
    ----------
    surrogate : str
        Column of the candidate surrogate.
    outcome, duration, event : str, optional
        Columns of the clinical outcome, see :class:`SubjectSpec`.
    kind : {"continuous", "binary", "survival"}, optional
        What the outcome is.
    arm : str, default "arm"
        Column of treatment.
    reference, treated : str, optional
        The two arms that are compared, the same in every trial.
    covariates : tuple of str, default ()
        Not offered: must be empty.
    subject : str, default "subject_id"
        Column of subjects, if there is one.
    conf_level : float, default 0.95
        Of every interval.
    n_replicates : int, default 1000
        Bootstrap replicates over trials; 0 for none.
    trial : str, default "trial_id"
        Column of trials (or of centres within a trial).
    model : str, default "errors_in_variables"
        The model that headline and figure show; all that the data allow are tabulated.
    weights : {"size", "precision", "equal"}, default "size"
        Weights of trials in the two-stage regressions.
    benefit : {"lower", "higher"}, default "lower"
        Which effects on the clinical outcome are a benefit (a log hazard ratio below 0: lower).
    smallest : int, default 5
        Trials with fewer subjects in an arm are left out, counted.

    Raises
    ------
    DesignError
        If a field is outside of its range.

    Examples
    --------
    >>> TrialSurrogacySpec(surrogate="pbvc_pct", duration="year", event="cdp").trial
    'trial_id'
    """

    trial: str = "trial_id"
    model: TrialModel = "errors_in_variables"
    weights: Weights = "size"
    benefit: Benefit = "lower"
    smallest: int = 5

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        _check_trial_options(self.model, self.weights, self.benefit)
        if self.covariates:
            raise DesignError(
                "`covariates` are not offered for trial-level surrogacy, got "
                f"{', '.join(self.covariates)}. Adjust the effects of each trial yourself, and "
                "give them with an EffectTableSpec."
            )
        if not isinstance(self.smallest, int) or self.smallest < 3:
            raise DesignError(f"`smallest` must be at least 3, got {self.smallest!r}.")


@dataclass(frozen=True, kw_only=True)
class EffectTableSpec:
    """Request for trial-level surrogacy from a table of published effects, one row per trial.

    Parameters
    ----------
    surrogate_effect : str or tuple of str
        Columns of the treatment effects on one or more surrogates.
    outcome_effect : str
        Column of the treatment effect on the clinical outcome, on an additive scale (a log hazard
        ratio, a difference).
    surrogate_error : str or tuple of str, optional
        Columns of the standard errors of `surrogate_effect`, in its order.
    outcome_error : str, optional
        Column of the standard error of `outcome_effect`.
    size : str, optional
        Column of the number of subjects.
    trial : str, default "trial_id"
        Column of the names of the trials.
    correlation : float, default 0.0
        Correlation between the estimates of one trial, for any two of them; published tables
        rarely have it. Try several.
    model : str, default "reduced"
        The model that headline and figure show; all that the table allows are tabulated.
    weights : {"size", "precision", "equal"}, default "equal"
        Weights of trials in the regression of one effect on the other.
    benefit : {"lower", "higher"}, default "lower"
        Which effects on the clinical outcome are a benefit.
    conf_level : float, default 0.95
        Of every interval.
    n_replicates : int, default 1000
        Bootstrap replicates over trials; 0 for none.

    Raises
    ------
    DesignError
        If a field is outside of its range.

    Examples
    --------
    >>> EffectTableSpec(surrogate_effect="atrophy", outcome_effect="log_hr").surrogates
    ('atrophy',)
    """

    surrogate_effect: str | tuple[str, ...]
    outcome_effect: str
    surrogate_error: str | tuple[str, ...] = ()
    outcome_error: str | None = None
    size: str | None = None
    trial: str = "trial_id"
    correlation: float = 0.0
    model: TrialModel = "reduced"
    weights: Weights = "equal"
    benefit: Benefit = "lower"
    conf_level: float = 0.95
    n_replicates: int = 1000

    def __post_init__(self) -> None:
        """Check every field."""
        _check_columns("surrogate_effect", self.surrogates)
        if not self.surrogates:
            raise DesignError("`surrogate_effect` must name at least one column.")
        if self.errors and len(self.errors) != len(self.surrogates):
            raise DesignError(
                f"`surrogate_error` must have one column per surrogate effect "
                f"({len(self.surrogates)}), got {len(self.errors)}."
            )
        least = -1 / len(self.surrogates)  # below, no covariance matrix has it for all pairs
        if not least < self.correlation < 1:
            raise DesignError(
                f"`correlation` must lie between {least:.2g} and 1, got {self.correlation!r}."
            )
        _check_trial_options(self.model, self.weights, self.benefit)
        self._check_needs()
        _check_replicates(self.n_replicates)
        check_conf_level(self.conf_level)

    def _check_needs(self) -> None:
        """Refuse models and weights whose columns are not named."""
        if self.weights == "size" and self.size is None:
            raise DesignError("`weights='size'` needs the column `size`.")
        if self.weights == "precision" and self.outcome_error is None:
            raise DesignError("`weights='precision'` needs the column `outcome_error`.")
        if self.model in {"full", "mixed_full", "mixed_reduced"}:
            raise DesignError(
                f"`model={self.model!r}` needs the data of subjects (TrialSurrogacySpec); a table "
                "of effects allows reduced, meta_regression and errors_in_variables."
            )
        if self.model == "meta_regression" and self.outcome_error is None:
            raise DesignError("`model='meta_regression'` needs the column `outcome_error`.")
        if self.model == "errors_in_variables" and not (self.errors and self.outcome_error):
            raise DesignError(
                "`model='errors_in_variables'` needs the columns `surrogate_error` and "
                "`outcome_error`."
            )

    @property
    def surrogates(self) -> tuple[str, ...]:
        """Return the columns of the effects on the surrogates."""
        return _columns(self.surrogate_effect)

    @property
    def errors(self) -> tuple[str, ...]:
        """Return the columns of their standard errors; empty where there are none."""
        return _columns(self.surrogate_error)


def _columns(given: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return one or several columns as a tuple."""
    return (given,) if isinstance(given, str) else given


def _check_columns(name: str, columns: object) -> None:
    """Refuse what is no tuple of distinct columns."""
    if not isinstance(columns, tuple) or not all(isinstance(c, str) for c in columns):
        raise DesignError(f"`{name}` must be a tuple of columns, got {columns!r}.")
    if len(set(columns)) < len(columns):
        raise DesignError(f"`{name}` names a column twice: {', '.join(columns)}.")


def _check_trial_options(model: object, weights: object, benefit: object) -> None:
    """Refuse options of trial-level models that do not exist."""
    check_choice("model", model, get_args(TrialModel))
    check_choice("weights", weights, get_args(Weights))
    check_choice("benefit", benefit, get_args(Benefit))


def _check_replicates(n_replicates: object) -> None:
    """Refuse a number of replicates that gives no interval."""
    if not isinstance(n_replicates, int) or (n_replicates != 0 and n_replicates < 50):
        raise DesignError(
            f"`n_replicates` must be 0 (no bootstrap) or at least 50, got {n_replicates!r}."
        )
