"""What is asked of scanner harmonisation: features, the mean that is kept, limits of refusal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd

from pmsstats.errors import DesignError, FormulaError, nearest
from pmsstats.imaging.column_labels import as_labels, quoted
from pmsstats.models.formulas.formula import formula_variables
from pmsstats.models.mixed.lmm import LMMSpec

__all__ = ["HarmonisationSpec", "with_scanner_labels"]

ResidualScale = Literal["REML", "MSR"]


@dataclass(frozen=True, kw_only=True)
class HarmonisationSpec:
    """Longitudinal ComBat, as it is asked for.

    Parameters
    ----------
    features : tuple of str
        Columns to harmonise; the more there are, the more the scanners' effects are learned from
        each other.
    model : str
        What is kept: right-hand side in lme4's language, without the scanner:
        ``"year * arm + age_years + (year | subject_id)"``. One grouping column.
    scanner : str, default "scanner_id"
        Column of scanners.
    time : str, default "year"
        Time column of `model`.
    by : str, optional
        Column of `model` whose slopes will be compared: arm or phenotype.
    residual_scale : {"REML", "MSR"}, default "REML"
        What residuals are standardised by: the residual standard deviation of the mixed model, or
        the root mean square of its conditional residuals. See the notes.
    shrink : bool, default True
        Empirical Bayes across features. With one feature there is nothing to learn from, and
        the unshrunk estimates are used whatever this says.
    multiplicative : bool, default True
        Also make the residual variances of the scanners equal. Without it only means are moved.
    min_scans : int, default 5
        Scans per scanner and feature below which harmonisation is refused.
    max_explained : float, default 0.95
        Share of a scanner's use that time, `by`, or both together may explain before it is
        refused as confounded; above 1 switches this check off.
    max_inflation : float, default 1.75
        Factor by which estimating the scanner effects may widen the standard error of a slope, or
        of a difference by `by`, before it is refused. At 1.75 a third of the information is
        left; where everybody moves half way through at the same visit it is 2.
    conf_level : float, default 0.95
        Of every interval.

    Raises
    ------
    FormulaError
        If `model` does not parse, or has no random term.
    DesignError
        If another field is outside of its range, or `time`, `by` or the scanner stand in the
        wrong place.

    Notes
    -----
    ``"REML"`` is the default of R's longCombat. Conditional residuals are smaller than the
    residual standard deviation, because part of the noise goes into the predicted random effects;
    ComBat then scales them up to it, also where all scanners are alike. A model fitted to such
    values has standard errors that are too wide, the more so the more random effects there are
    per visit. ``"MSR"`` leaves the size of the residuals as it was; its standard errors are a
    little too narrow, because the scanner effects are estimated.

    Examples
    --------
    >>> spec = HarmonisationSpec(features=("thalamus_ml",), model="year * arm + (1 | subject_id)")
    >>> spec.lmm("thalamus_ml").fixed
    'year * arm + scanner_id'
    """

    features: tuple[str, ...]
    model: str
    scanner: str = "scanner_id"
    time: str = "year"
    by: str | None = None
    residual_scale: ResidualScale = "REML"
    shrink: bool = True
    multiplicative: bool = True
    min_scans: int = 5
    max_explained: float = 0.95
    max_inflation: float = 1.75
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check every field."""
        if not isinstance(self.features, tuple) or not self.features:
            columns = [self.features] if isinstance(self.features, str) else self.features
            tuple_of = f" Write features={tuple(columns)!r}." if columns else ""
            raise DesignError(
                f"`features` must be a tuple of columns, got {self.features!r}.{tuple_of}"
            )
        if len(set(self.features)) < len(self.features):
            raise DesignError(f"`features` names a column twice: {self.features!r}.")
        if self.residual_scale not in get_args(ResidualScale):
            raise DesignError(
                f"`residual_scale` must be 'REML' or 'MSR', got {self.residual_scale!r}."
                f"{nearest(str(self.residual_scale), get_args(ResidualScale))}"
            )
        _check_number("min_scans", self.min_scans, 3, math.inf)
        _check_number("max_explained", self.max_explained, 0.0, math.inf)
        _check_number("max_inflation", self.max_inflation, 1.0, math.inf)
        self._check_model()

    def _check_model(self) -> None:
        """Check that the model has the columns that it must have, and not the scanner."""
        base = self.lmm(self.features[0], scanner="none")
        if len({term.group for term in base.random}) > 1:
            raise FormulaError(
                f"The random terms of `model` must share one grouping column, got {self.model!r}. "
                "For the scanner as a random effect see compare_scanner_models."
            )
        if self.scanner in base.variables:
            raise DesignError(
                f"`model` must not hold the scanner, got {self.model!r} with "
                f"scanner={self.scanner!r}: its effects are added."
            )
        used = formula_variables(base.fixed)
        for name, column in (("time", self.time), ("by", self.by)):
            if column is not None and column not in used:
                raise DesignError(
                    f"`{name}` must be a column of the fixed part of `model`, got {column!r} with "
                    f"{base.fixed!r}.{nearest(column, used)}"
                )

    @property
    def subject(self) -> str:
        """Return the column that tells subjects apart."""
        return self.lmm(self.features[0], scanner="none").group

    def lmm(
        self, feature: str, *, scanner: Literal["fixed", "random", "none"] = "fixed"
    ) -> LMMSpec:
        """Write the mixed model of one feature.

        Parameters
        ----------
        feature : str
            One of `features`, or another column that holds it.
        scanner : {"fixed", "random", "none"}, default "fixed"
            How the scanner enters: as a factor, as ``(1 | scanner_id)``, or not at all.

        Returns
        -------
        LMMSpec
            By REML.
        """
        extra = {
            "fixed": f" + {quoted(self.scanner)}",
            "random": f" + (1 | {quoted(self.scanner)})",
            "none": "",
        }[scanner]
        formula = f"{quoted(feature)} ~ {self.model}{extra}"
        return LMMSpec.from_formula(formula, conf_level=self.conf_level)


def _check_number(name: str, value: float, low: float, high: float) -> None:
    """Refuse what is no number of a range."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise DesignError(f"`{name}` must be a number of at least {low:g}, got {value!r}.")


def with_scanner_labels(data: pd.DataFrame, scanner: str) -> pd.DataFrame:
    """Copy a frame with its scanners as a factor.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per scan.
    scanner : str
        Column of scanners.

    Returns
    -------
    pandas.DataFrame
        A shallow copy.

    Raises
    ------
    DesignError
        If there is no such column, or `data` is no frame.
    """
    if not isinstance(data, pd.DataFrame):
        raise DesignError(
            f"`data` must be a pandas DataFrame with one row per scan, got {type(data).__name__}."
        )
    if scanner not in data.columns:
        raise DesignError(
            f"The data have no column {scanner!r}.{nearest(scanner, map(str, data.columns))} "
            "Name the column of scanners as `scanner`."
        )
    return data.assign(**{scanner: as_labels(data[scanner])})
