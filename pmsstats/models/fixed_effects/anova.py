"""Type III tests: one F test per term of the fixed part of a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.models.fixed_effects.degrees_of_freedom import FTest
from pmsstats.models.formulas.design_terms import DesignTerm, DesignTerms, design_terms
from pmsstats.plots.f_tests import plot_f_tests
from pmsstats.results import Exclusion, Result, format_number, format_p_value, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.fixed_effects.fixed_result import FixedEffectsResult
    from pmsstats.models.formulas.fixed_design import FixedDesign

__all__ = ["AnovaResult", "anova"]

_ESTIMABLE = 1e-6  # error below which a column counts as combined of others, as for any contrast


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AnovaResult(Result):
    """Type III F tests of the terms of a model.

    Parameters
    ----------
    formula : str
        The model.
    outcome : str
        What is modelled, in words.
    tests : pandas.DataFrame
        ``term statistic df_numerator df_denominator p_value``, one row per term.
    method : str
        Where the denominator degrees of freedom come from.
    conf_level : float
        One less the level at which the figure shows critical values.
    n_subjects, n_obs : int
        Subjects and rows analysed.
    notes : tuple of str
        What is tested where that is not plain, and what could not be tested.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out, with reasons.
    """

    formula: str
    outcome: str
    tests: pd.DataFrame
    method: str
    conf_level: float
    n_subjects: int
    n_obs: int
    notes: tuple[str, ...] = ()
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Name the terms with their p values, and the method."""
        origin = "synthetic " if self.origin == "synthetic" else ""
        found = ", ".join(map(_in_words, self.tests.to_dict("records"))) or "no term to test"
        notes = "".join(f"; {note}" for note in self.notes)
        return (
            f"Type III tests of {self.outcome} in {self.n_subjects} {origin}subjects "
            f"({self.n_obs} rows), {self.method}: {found}{notes}."
        )

    def table(self) -> pd.DataFrame:
        """Return ``term statistic df_numerator df_denominator p_value``."""
        return self.tests.copy()

    def display(self) -> pd.DataFrame:
        """Return the table as it is shown: text, rounded, whole numerator degrees of freedom."""
        whole = [format_number(v).split(".")[0] for v in self.tests["df_numerator"]]
        return super().display().assign(df_numerator=whole)

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw each F statistic beside the value that it would have to exceed."""
        rows = self.tests.rename(columns={"term": "label"})
        df = [rows[c].to_numpy(dtype=float) for c in ("df_numerator", "df_denominator")]
        finite = np.where(np.isinf(df[1]), 1e12, df[1])  # F of so many is chi-squared to 12 digits
        rows["critical"] = stats.f(df[0], finite).ppf(self.conf_level)
        options = {"origin": self.origin, "conf_level": self.conf_level, **kws}
        return plot_f_tests(rows, ax=ax, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "anova_result/1",
            "formula": self.formula,
            "outcome": self.outcome,
            "headline": self.headline(),
            "tests": to_plain(self.tests),
            "method": self.method,
            "conf_level": self.conf_level,
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "notes": list(self.notes),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def _in_words(row: dict[str, Any]) -> str:
    """Name a term with its p value."""
    p = row["p_value"]
    if np.isnan(p):
        return f"{row['term']} not tested"
    shown = format_p_value(p)
    return f"{row['term']} p {shown if shown.startswith('<') else f'= {shown}'}"


def anova(fit: FixedEffectsResult) -> AnovaResult:
    """Test each term of a model, given all others.

    Parameters
    ----------
    fit : FixedEffectsResult
        A fitted model: a linear mixed model or an MMRM.

    Returns
    -------
    AnovaResult
        One row per term: ``term statistic df_numerator df_denominator p_value``, with the fit's
        own method of degrees of freedom.

    Notes
    -----
    A factor's main effect compares its levels averaged over those of the factors that it
    interacts with, each level counted alike, however many subjects it has; an interaction says
    whether such differences differ. That does not depend on the coding of the factors nor on
    their reference levels: it is what sum-to-zero contrasts test. Numbers stay as they are: in
    ``year * arm`` the test of ``arm`` is one of the arms at ``year = 0``, and that of ``year`` one
    of the average slope of the arms.

    Where cells are empty, a main effect that averages over them is not tested; a term that no
    other contains is tested as far as it can be estimated, with fewer numerator degrees of
    freedom.

    In a formula without an intercept (``0 + arm + year:arm + scanner``) the first factor has a
    column per level, and its test says whether all of its means are zero: here those means are
    averaged over the levels of the other factors, as in SAS. lmerTest tests the coefficients, which
    are the means at the reference levels of the others; write the model with an intercept, where
    the two agree, to compare the levels with each other.

    R: ``anova(model, type = 3, ddf = )`` of lmerTest [1]_ (which also prints averages over cells
    that are empty, and averages factors over interactions with splines as if these were factors);
    ``car::Anova(mmrm, type = "III")``. SAS: "Type 3 Tests of Fixed Effects". Satterthwaite's
    degrees of freedom are those of lmerTest, whose combinations compare levels with the first.

    References
    ----------
    .. [1] Kuznetsova A, Brockhoff PB, Christensen RHB. lmerTest package: tests in linear mixed
       effects models. J Stat Softw 2017;82(13). doi:10.18637/jss.v082.i13.
    .. [2] Searle SR. Linear models for unbalanced data. Wiley, 1987. ISBN 978-0-471-84096-7.
    """
    design = design_terms(fit.design.fixed)
    terms = [term for term in design.terms if term.factors or term.numbers]
    tested = [_test(fit, term, design) for term in terms]
    tests = pd.DataFrame(
        {
            "term": [term.name for term in terms],
            **{
                column: np.array([getattr(test, column) for test, _ in tested], dtype=float)
                for column in ("statistic", "df_numerator", "df_denominator", "p_value")
            },
        }
    )
    return AnovaResult(
        formula=fit.spec.formula(),
        outcome=fit.label,
        tests=tests,
        method=fit.inference.label,
        conf_level=fit.spec.conf_level,
        n_subjects=fit.n_subjects,
        n_obs=fit.n_obs,
        notes=(*_zeros(terms), *(note for _, note in tested if note)),
        origin=fit.origin,
        exclusions=fit.exclusions,
    )


def _test(fit: FixedEffectsResult, term: DesignTerm, design: DesignTerms) -> tuple[FTest, str]:
    """Test one term as far as it can be estimated, and say what could not be."""
    beta = fit.coefficients["estimate"].to_numpy()
    full = design.type3_contrasts(term)
    L = fit.design.contrasts(full)
    if np.isfinite(L).all():
        note = "" if len(L) else f"{term.name} has no column of its own"
        return fit.inference.f_test(L, beta), note
    rest = _estimable(term, design.terms, full, fit.design)
    if rest is None:
        note = f"{term.name} needs combinations that the data do not have"
        return fit.inference.f_test(L, beta), note
    note = f"{term.name} is tested in {len(rest)} of {len(full)} combinations"
    return fit.inference.f_test(rest, beta), note


def _estimable(
    term: DesignTerm, terms: Sequence[DesignTerm], full: np.ndarray, design: FixedDesign
) -> np.ndarray | None:
    """Return what can be estimated of a term that no other contains, or None.

    Then the columns of the term that were kept test it, provided that they span all that can be
    estimated; not so if a column repeats another term, and holds the effects of both.
    """
    if any(term.is_within(other) for other in terms):
        return None
    kept = [k for k, column in enumerate(design.kept) if column in term.columns]
    dropped = np.delete(full, list(design.kept), axis=1)
    missing = dropped - full[:, list(design.kept)] @ design.aliasing
    if not kept or len(full) - np.linalg.matrix_rank(missing, tol=_ESTIMABLE) != len(kept):
        return None
    return np.eye(len(design.kept))[kept]


def _zeros(terms: Sequence[DesignTerm]) -> Iterator[str]:
    """Say at which values of numbers a term is tested that interacts with them."""
    for term in terms:
        above = [o for o in terms if term.factors <= o.factors and term.numbers < o.numbers]
        names = dict.fromkeys(
            name for other in above for name in sorted(other.numbers - term.numbers)
        )
        if names:
            yield f"{term.name} is tested at {' and '.join(f'{name} = 0' for name in names)}"
