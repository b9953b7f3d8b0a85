"""The request of a bivariate mixed model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from pmsstats.errors import DesignError, nearest
from pmsstats.models.formulas.formula import RandomTerm
from pmsstats.models.mixed.lmm import LMMSpec

__all__ = ["Method", "PairSpec"]

Method = Literal["REML", "ML"]
"""Restricted or full maximum likelihood."""


@dataclass(frozen=True, kw_only=True)
class PairSpec:
    """A linear mixed model of two outcomes together, as it is asked for.

    Parameters
    ----------
    first, second : str
        One formula per outcome in lme4's language, each with one random term of the same subjects:
        ``"thalamus_ml ~ year + (year | subject_id)"``.
    method : {"REML", "ML"}, default "REML"
        Restricted or full maximum likelihood.
    residual_correlation : bool, default False
        Whether the residuals of the two outcomes at the same visit (the same row of the data) may
        be correlated.
    conf_level : float, default 0.95
        Of every interval.

    Raises
    ------
    FormulaError
        If a formula does not parse, or has no random term.
    DesignError
        If both formulas have the same outcome or different subjects, several random terms or
        ``||``; or another field is outside of its range.

    Examples
    --------
    >>> spec = PairSpec(
    ...     first="thalamus_ml ~ year + (year | subject_id)",
    ...     second="log(t25fw_s) ~ year + (year | subject_id)",
    ... )
    >>> spec.outcomes, spec.group
    (('thalamus_ml', 'log(t25fw_s)'), 'subject_id')
    """

    first: str
    second: str
    method: Method = "REML"
    residual_correlation: bool = False
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check every field."""
        if self.method not in get_args(Method):
            raise DesignError(
                f"`method` must be one of {', '.join(get_args(Method))}, got {self.method!r}."
                f"{nearest(str(self.method), get_args(Method))}"
            )
        if not isinstance(self.residual_correlation, bool):
            raise DesignError(
                f"`residual_correlation` must be True or False, got {self.residual_correlation!r}."
            )
        first, second = self.models()
        if first.outcome == second.outcome:
            raise DesignError(
                f"`first` and `second` have the same outcome, {first.outcome!r}. Give two "
                "outcomes: one always goes with itself."
            )
        for name, model in (("first", first), ("second", second)):
            _check_random(name, model.random)
        if first.group != second.group:
            raise DesignError(
                f"`first` tells subjects apart by {first.group!r} and `second` by "
                f"{second.group!r}. Use one column in both."
            )

    def models(self) -> tuple[LMMSpec, LMMSpec]:
        """Return the model of each outcome alone."""
        return (
            _model(self.first, self.method, self.conf_level),
            _model(self.second, self.method, self.conf_level),
        )

    @property
    def outcomes(self) -> tuple[str, str]:
        """Return what is modelled: columns, or transforms of them."""
        first, second = self.models()
        return first.outcome, second.outcome

    @property
    def group(self) -> str:
        """Return the column that tells subjects apart."""
        return self.models()[0].group

    def formula(self) -> str:
        """Return both models in lme4's language."""
        return "; ".join(model.formula() for model in self.models())


@lru_cache(maxsize=64)
def _model(formula: str, method: Method, conf_level: float) -> LMMSpec:
    """Read the model of one outcome."""
    return LMMSpec.from_formula(formula, method=method, conf_level=conf_level, df_method="normal")


def _check_random(name: str, random: tuple[RandomTerm, ...]) -> None:
    """Refuse random terms that leave the joint covariance anything but unstructured."""
    if len(random) > 1 or len(random[0].columns) > 1:
        raise DesignError(
            f"`{name}` must have one random term by one column, such as (year | subject_id), got "
            f"{' + '.join(term.formula() for term in random)}."
        )
    if not random[0].correlated:
        raise DesignError(
            f"`{name}` asks for uncorrelated effects, {random[0].formula()}, but all random "
            "effects of both outcomes are correlated freely here. Write | instead of ||."
        )
