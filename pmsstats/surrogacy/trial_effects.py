"""The first stage: treatment effects of each trial, with their errors, from subjects or a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.events.rows import Rows, require_columns
from pmsstats.results import Exclusion, exclude
from pmsstats.surrogacy.outcome_fits import fit_outcome, with_intercept
from pmsstats.surrogacy.specs import EffectTableSpec, TrialSurrogacySpec
from pmsstats.surrogacy.subject_data import SubjectData

__all__ = ["TrialEffects", "TrialMoments", "effects_from_subjects", "effects_from_table"]

_FEWEST = 3  # trials: two lie on a line whatever they show
_CONSTANT = 1e-10  # spread over largest value
_STAGE = "trial-level surrogacy"


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialMoments:
    """What the data of subjects say of two continuous endpoints: sufficient statistics per trial.

    Parameters
    ----------
    coefficients : ndarray, shape (n_trials, 4)
        Least squares of the surrogate, then of the outcome, on an intercept and treatment coded
        -1/2 and 1/2.
    unscaled : ndarray, shape (n_trials, 2, 2)
        ``(W'W)^-1`` of that design.
    df : ndarray, shape (n_trials,)
        Residual degrees of freedom.
    squares : ndarray, shape (n_trials, 2, 2)
        Residual sums of squares and products.
    """

    coefficients: np.ndarray
    unscaled: np.ndarray
    df: np.ndarray
    squares: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialEffects:
    """Treatment effects of several trials.

    Parameters
    ----------
    trials : tuple of str
        Names.
    surrogates : tuple of str
        Names of the surrogates.
    surrogate : ndarray, shape (n_trials, n_surrogates)
        Effects on them.
    outcome : ndarray, shape (n_trials,)
        Effect on the clinical outcome.
    covariance : ndarray, shape (n_trials, n_surrogates + 1, n_surrogates + 1), or None
        Of the estimates, surrogates first; missing entries where a table does not tell.
    size : ndarray, shape (n_trials,), or None
        Subjects.
    reference_mean : ndarray, shape (n_trials,), or None
        Mean of the surrogate in the reference arm.
    moments : TrialMoments, optional
        Where both endpoints are continuous, and the data of subjects were given.
    exclusions : tuple of Exclusion
        What was left out.
    """

    trials: tuple[str, ...]
    surrogates: tuple[str, ...]
    surrogate: np.ndarray
    outcome: np.ndarray
    covariance: np.ndarray
    size: np.ndarray | None
    reference_mean: np.ndarray | None = None
    moments: TrialMoments | None = None
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def n_trials(self) -> int:
        """Return the number of trials."""
        return len(self.trials)

    def frame(self) -> pd.DataFrame:
        """Return one row per trial.

        Returns
        -------
        pandas.DataFrame
            ``trial`` and, of each surrogate and of the outcome, ``..._effect`` and ``..._error``;
            ``n_subjects`` where it is known.
        """
        columns: dict[str, object] = {"trial": list(self.trials)}
        effects = np.column_stack([self.surrogate, self.outcome])
        for j, name in enumerate((*self.surrogates, "outcome")):
            columns[f"{name}_effect"] = effects[:, j]
            columns[f"{name}_error"] = np.sqrt(self.covariance[:, j, j])
        if self.size is not None:
            columns["n_subjects"] = self.size.astype(int)
        return pd.DataFrame(columns)


def effects_from_table(data: pd.DataFrame, spec: EffectTableSpec) -> TrialEffects:
    """Check a table of published effects.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per trial (or per contrast of a trial).
    spec : EffectTableSpec
        Which columns are what.

    Returns
    -------
    TrialEffects
        With rows left out counted.

    Raises
    ------
    DesignError
        If a column is missing or no number, a standard error or size is not positive, a trial is
        named twice, fewer than three trials are left, or an effect is the same in all.
    """
    named = [("trial", spec.trial), ("outcome_effect", spec.outcome_effect)]
    named += [("surrogate_effect", c) for c in spec.surrogates]
    named += [("surrogate_error", c) for c in spec.errors]
    named += [(n, c) for n in ("outcome_error", "size") if (c := getattr(spec, n)) is not None]
    require_columns(data, named)
    rows = Rows(data, _STAGE, spec.trial)
    rows.forbid(
        rows.subject.duplicated(keep=False),
        f"More than one row per `{spec.trial}`",
        "Give each contrast its own name; those that share a control group are not independent.",
    )
    for argument, column in named[1:]:
        _check_column(rows, argument, column)
    frame = rows.frame
    errors = [*spec.errors] or [None] * len(spec.surrogates)
    sd = np.column_stack(
        [np.full(len(frame), np.nan) if c is None else frame[c].to_numpy(dtype=float)
         for c in (*errors, spec.outcome_error)]
    )  # fmt: skip
    pattern = np.full((sd.shape[1], sd.shape[1]), spec.correlation)
    np.fill_diagonal(pattern, 1.0)
    effects = TrialEffects(
        trials=tuple(rows.subject),
        surrogates=spec.surrogates,
        surrogate=frame[list(spec.surrogates)].to_numpy(dtype=float),
        outcome=frame[spec.outcome_effect].to_numpy(dtype=float),
        covariance=sd[:, :, None] * sd[:, None, :] * pattern,
        size=None if spec.size is None else frame[spec.size].to_numpy(dtype=float),
        exclusions=rows.exclusions,
    )
    return _checked(effects)


def _check_column(rows: Rows, argument: str, column: str) -> None:
    """Turn a column to float; rows without it are left out, impossible values refused."""
    given = rows.frame[column]
    if not pd.api.types.is_numeric_dtype(given.dtype):
        raise DesignError(
            f"`{argument}` ({column!r}) must hold numbers, found {given.dtype} such as "
            f"{given.dropna().tolist()[:1]}. Convert it first."
        )
    rows.drop(given.isna(), f"{column} missing")
    values = rows.frame[column].astype(float)
    rows.frame = rows.frame.assign(**{column: values})
    rows.forbid(np.isinf(values), f"Infinite `{column}`", "Correct the table.")
    if argument.endswith("error") or argument == "size":
        rows.forbid(values <= 0, f"`{column}` not above 0", "Correct the table.")


def _checked(effects: TrialEffects) -> TrialEffects:
    """Refuse effects in which nothing can be seen."""
    left_out = "; ".join(f"{e.n}: {e.reason}" for e in effects.exclusions)
    tail = f" after some were left out ({left_out})" if left_out else ""
    if effects.n_trials < _FEWEST:
        raise DesignError(
            f"Trial-level surrogacy needs at least {_FEWEST} trials, found {effects.n_trials}{tail}"
            f"{': two points always lie on a line' if effects.n_trials == 2 else ''}. "
            "Use centres or countries as trials, or surrogacy_individual."
        )
    both = np.column_stack([effects.surrogate, effects.outcome])
    for name, values in zip((*effects.surrogates, "the outcome"), both.T, strict=True):
        if np.ptp(values) <= _CONSTANT * np.abs(values).max():
            raise DesignError(
                f"The treatment effect on {name} is the same ({values[0]:.4g}) in all "
                f"{effects.n_trials} trials, so that effects cannot be related. Add trials of "
                "treatments that act differently."
            )
    return effects


def effects_from_subjects(data: SubjectData, spec: TrialSurrogacySpec) -> TrialEffects:
    """Estimate the effects of each trial.

    Parameters
    ----------
    data : SubjectData
        Of all trials.
    spec : TrialSurrogacySpec
        The request.

    Returns
    -------
    TrialEffects
        Trials with one arm, too few subjects, or no effect to be had, are left out, counted in
        subjects.

    Raises
    ------
    DesignError
        If fewer than three trials are left, or an effect is the same in all.

    Notes
    -----
    The effect on the surrogate is a difference in means; that on the outcome a difference, a log
    odds ratio or a log hazard ratio. Variances are model based; the correlation of the two
    estimates is that of their influence functions.
    """
    kept, rows, exclusions = [], [], tuple(data.exclusions)
    for code, name in enumerate(data.trials):
        part = data.select(data.trial == code)
        reason = _too_small(part, spec.smallest)
        try:
            found = None if reason else _one_trial(part)
        except (ConvergenceError, DesignError):
            found, reason = None, "no finite effect can be estimated"
        if found is None:
            exclusions += exclude(_STAGE, "subject", f"trial {name}: {reason}", part.subject_ids)
            continue
        kept.append(code)
        rows.append(found)
    if not rows:
        left = "; ".join(f"{e.n}: {e.reason}" for e in exclusions)
        raise DesignError(
            f"Trial-level surrogacy needs at least {_FEWEST} trials, found 0 ({left})."
        )
    stacked = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    continuous = data.kind == "continuous"
    return _checked(
        TrialEffects(
            trials=tuple(data.trials[code] for code in kept),
            surrogates=(spec.surrogate,),
            surrogate=stacked["effects"][:, :1],
            outcome=stacked["effects"][:, 1],
            covariance=stacked["covariance"],
            size=stacked["size"],
            reference_mean=stacked["reference_mean"],
            moments=_moments(data, kept) if continuous else None,
            exclusions=exclusions,
        )
    )


def _too_small(part: SubjectData, smallest: int) -> str:
    """Say why a trial cannot be used; empty if it can."""
    n = [int((part.treated == value).sum()) for value in (0, 1)]
    if not all(n):
        return f"arm {part.arms[n.index(0)]} has no subjects"
    if min(n) < smallest:
        return f"fewer than {smallest} subjects in an arm"
    if np.ptp(part.surrogate) == 0 or np.ptp(part.outcome) == 0:
        return "an endpoint does not vary"
    if part.kind == "survival" and not part.event.any():
        return "no events"
    return ""


def _one_trial(part: SubjectData) -> dict[str, np.ndarray | float]:
    """Estimate both effects of one trial."""
    Z = part.treated[:, None]
    everyone = np.ones(part.n_subjects, dtype=bool)
    X = with_intercept("continuous", Z)
    first = fit_outcome("continuous", X, part.surrogate, everyone, what="effect on the surrogate")
    second = fit_outcome(
        part.kind, with_intercept(part.kind, Z), part.outcome, part.event,
        what="effect on the outcome",
    )  # fmt: skip
    at = 0 if part.kind == "survival" else 1
    u, v = first.influence[:, 1], second.influence[:, at]
    variances = np.array([first.covariance[1, 1], second.covariance[at, at]])
    if not (variances > 0).all():
        raise DesignError("An endpoint does not vary within arms.")
    covariance = np.diag(variances)
    covariance[0, 1] = covariance[1, 0] = float(
        u @ v / np.sqrt((u @ u) * (v @ v)) * np.sqrt(variances.prod())
    )
    return {
        "effects": np.array([first.beta[1], second.beta[at]]),
        "covariance": covariance,
        "size": float(part.n_subjects),
        "reference_mean": float(first.beta[0]),
    }


def _moments(data: SubjectData, kept: list[int]) -> TrialMoments:
    """Collect the sufficient statistics of each trial."""
    made = []
    for code in kept:
        part = data.select(data.trial == code)
        W = np.column_stack([np.ones(part.n_subjects), part.treated - 0.5])
        Y = np.column_stack([part.surrogate, part.outcome])
        unscaled = np.linalg.inv(W.T @ W)
        B = unscaled @ W.T @ Y
        residual = Y - W @ B
        made.append((B.T.ravel(), unscaled, len(W) - 2.0, residual.T @ residual))
    coefficients, unscaled, df, squares = (np.array(x) for x in zip(*made, strict=True))
    return TrialMoments(coefficients=coefficients, unscaled=unscaled, df=df, squares=squares)
