"""Models for repeated measures as they are asked for: the request, and how a formula says it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pmsstats.errors import DesignError, FormulaError, nearest
from pmsstats.models.fixed_effects.degrees_of_freedom import DF_METHODS, DfMethod
from pmsstats.models.formulas.formula import formula_variables, parse_formula
from pmsstats.models.formulas.wilkinson import Token, join_tokens, tokenize
from pmsstats.models.repeated.mmrm_covariance import COVARIANCES

__all__ = ["FALLBACKS", "CovarianceTerm", "Empirical", "MMRMSpec", "find_covariance_term"]

Method = Literal["REML", "ML"]
Empirical = Literal["CR0", "CR2", "CR3"]

FALLBACKS: tuple[str, ...] = ("toeph", "ar1h", "csh", "cs")
"""The fall-back list that is recommended after ``us``: from many parameters to few [1]_ of
:class:`MMRMSpec`. Nothing is tried unless the request names it: ``fallback=FALLBACKS``."""


@dataclass(frozen=True, kw_only=True)
class MMRMSpec:
    """A model for repeated measures, as it is asked for.

    Parameters
    ----------
    outcome : str
        Column that is modelled, or a transform of one (``"log(snfl_pg_ml)"``).
    fixed : str
        Right-hand side of the mean: ``"arm * visit + age_years"``. ``0 +`` takes out the
        intercept.
    covariance : str, default "us"
        Of the visits of a subject: ``us`` unstructured; ``toep`` Toeplitz, ``ar1`` autoregressive,
        ``cs`` compound symmetry, ``ad`` ante-dependence, each with one variance; ``toeph ar1h csh
        adh`` with a variance per visit; ``sp_exp`` decays exponentially with time between visits.
    visit : str, default "visit"
        Column of visits; for ``sp_exp`` a number, on which time is measured. Their order is that
        of an ordered categorical, of numbers, or of text that tells it (``Baseline``, ``Month
        6``, ``Month 12``; see :func:`pmsstats.models.repeated.visit_order.order_in_time`).
    subject : str, default "subject_id"
        Column that tells subjects apart.
    group : str, optional
        Column of subjects (such as ``"arm"``) whose groups have covariances of their own.
    method : {"REML", "ML"}, default "REML"
        Restricted or full maximum likelihood.
    df_method : str, default "kenward-roger"
        Degrees of freedom: ``kenward-roger`` [2]_, ``kenward-roger-linear``, ``satterthwaite``,
        ``between-within``, ``residual``, ``normal``. The first is what statistical analysis plans
        of trials ask of SAS, and the one that keeps the type I error in small samples. It needs
        REML; with ML choose another.
    empirical : {"CR0", "CR2", "CR3"}, optional
        Use the sandwich covariance of the fixed effects, which does not rely on the structure
        being right: plain, or corrected for few subjects. Not with ``kenward-roger``, so choose
        another `df_method` too.
    weights : str, optional
        Column of weights: a row's variance is divided by its weight.
    conf_level : float, default 0.95
        Of every interval.
    fallback : tuple of str, default ()
        Covariances that are tried, one after the other, where `covariance` does not converge or
        cannot be estimated; see :data:`FALLBACKS`. None by default: the analysis is the one that
        was planned, or an error.

    Raises
    ------
    FormulaError
        If a formula does not parse or asks for more than the allowed transforms.
    DesignError
        If another field is outside of its range.

    References
    ----------
    .. [1] Mallinckrodt CH, Lane PW, Schnell D, Peng Y, Mancuso JP. Recommendations for the primary
       analysis of continuous endpoints in longitudinal clinical trials. Drug Inf J 2008;42:303-319.
       doi:10.1177/009286150804200402.
    .. [2] Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum
       likelihood. Biometrics 1997;53:983-997. doi:10.2307/2533558.

    Examples
    --------
    >>> spec = MMRMSpec.from_formula("pbvc_pct ~ arm * visit + us(visit | arm / subject_id)")
    >>> spec.fixed, spec.covariance, spec.group, spec.subject
    ('arm * visit', 'us', 'arm', 'subject_id')
    """

    outcome: str
    fixed: str
    covariance: str = "us"
    visit: str = "visit"
    subject: str = "subject_id"
    group: str | None = None
    method: Method = "REML"
    df_method: DfMethod = "kenward-roger"
    empirical: Empirical | None = None
    weights: str | None = None
    conf_level: float = 0.95
    fallback: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check every field."""
        _check_choice("covariance", self.covariance, tuple(COVARIANCES))
        _check_choice("method", self.method, get_args(Method))
        _check_choice("df_method", self.df_method, DF_METHODS)
        if self.empirical is not None:
            _check_choice("empirical", self.empirical, get_args(Empirical))
        if not isinstance(self.conf_level, float) or not 0.5 <= self.conf_level < 1:
            raise DesignError(
                f"`conf_level` must be at least 0.5 and below 1, got {self.conf_level!r}. "
                "Write 0.95 for 95 %."
            )
        self._check_together()
        if parse_formula(f"{self.outcome} ~ {self.fixed}").random_terms:
            raise FormulaError(
                f"`fixed` must not hold random terms, got {self.fixed!r}. A model for repeated "
                "measures has none: fit_lmm fits those."
            )

    def _check_together(self) -> None:
        """Check the fields that depend on each other."""
        if self.method == "ML" and self.df_method.startswith("kenward-roger"):
            raise DesignError(
                f"`df_method` {self.df_method!r} is derived for REML, and does not go with "
                "method='ML'. Use df_method='satterthwaite', or method='REML'."
            )
        if self.empirical and self.df_method.startswith("kenward-roger"):
            raise DesignError(
                f"`df_method` {self.df_method!r} corrects the model-based covariance, and does not "
                f"go with empirical={self.empirical!r}. Use df_method='satterthwaite', or "
                "empirical=None."
            )
        if not isinstance(self.fallback, tuple):
            raise DesignError(
                f"`fallback` must be a tuple of covariances such as {FALLBACKS!r}, got "
                f"{self.fallback!r}."
            )
        for name in self.fallback:
            _check_choice("fallback", name, tuple(COVARIANCES))
        spatial = {name for name in (self.covariance, *self.fallback) if COVARIANCES[name].spatial}
        if self.fallback and spatial:
            raise DesignError(
                "`fallback` must not mix sp_exp, which takes `visit` as a number, with covariances "
                f"of visits; got {self.fallback!r} after {self.covariance!r}."
            )

    @classmethod
    def from_formula(
        cls,
        formula: str,
        *,
        method: Method = "REML",
        df_method: DfMethod = "kenward-roger",
        empirical: Empirical | None = None,
        weights: str | None = None,
        conf_level: float = 0.95,
        fallback: tuple[str, ...] = (),
    ) -> MMRMSpec:
        """Read a model in the language of R's mmrm.

        Parameters
        ----------
        formula : str
            For example ``"pbvc_pct ~ arm * visit + us(visit | subject_id)"``; with covariances by
            group ``us(visit | arm / subject_id)``.
        method : {"REML", "ML"}, default "REML"
            Restricted or full maximum likelihood.
        df_method : str, default "kenward-roger"
            Degrees of freedom.
        empirical : {"CR0", "CR2", "CR3"}, optional
            Sandwich covariance of the fixed effects.
        weights : str, optional
            Column of weights.
        conf_level : float, default 0.95
            Of every interval.
        fallback : tuple of str, default ()
            Covariances to try where the first one fails.

        Returns
        -------
        MMRMSpec
            The request.

        Raises
        ------
        FormulaError
            If it does not parse, has no covariance term, or asks for more than is allowed.
        """
        term = find_covariance_term(formula)
        parsed = parse_formula(term.rest)
        if parsed.random_terms:
            raise FormulaError(
                f"A model for repeated measures has no random term, but the formula has "
                f"{parsed.random_terms[0].formula()}. Use fit_lmm, or leave it out."
            )
        return cls(
            outcome=parsed.outcome,
            fixed=parsed.fixed,
            covariance=term.covariance,
            visit=term.visit,
            subject=term.subject,
            group=term.group,
            method=method,
            df_method=df_method,
            empirical=empirical,
            weights=weights,
            conf_level=conf_level,
            fallback=fallback,
        )

    @property
    def variables(self) -> tuple[str, ...]:
        """Return every column that the model uses, the subject's last."""
        names = [*formula_variables(self.outcome), *formula_variables(self.fixed), self.visit]
        names += [name for name in (self.group, self.weights) if name is not None]
        return tuple(dict.fromkeys([*names, self.subject]))

    def formula(self) -> str:
        """Return the model in the language of R's mmrm."""
        group = f"{_quoted(self.group)} / " if self.group is not None else ""
        return (
            f"{self.outcome} ~ {self.fixed} + {self.covariance}"
            f"({_quoted(self.visit)} | {group}{_quoted(self.subject)})"
        )


def _quoted(name: str) -> str:
    """Write a column name, in backticks where it is unusual."""
    return name if name.isidentifier() else f"`{name}`"


_OTHER_SPELLINGS = {
    "covariance": {
        **dict.fromkeys(("un", "unr", "unstructured", "symm", "corsymm"), "us"),
        **dict.fromkeys(("ar(1)", "ar", "autoregressive", "corar1"), "ar1"),
        **dict.fromkeys(("arh(1)", "arh1", "arh", "ar(1)h"), "ar1h"),
        **dict.fromkeys(("exchangeable", "compoundsymmetry", "compound", "corcompsymm"), "cs"),
        **dict.fromkeys(("toeplitz",), "toep"),
        **dict.fromkeys(("ante(1)", "ante1"), "adh"),
        **dict.fromkeys(("sp(exp)", "spexp", "exp", "corexp"), "sp_exp"),
    },
    "df_method": {
        **dict.fromkeys(("kr", "kenwardroger", "kenward", "ddfm=kr"), "kenward-roger"),
        **dict.fromkeys(("kr(linear)", "krlinear", "kenwardrogerlinear"), "kenward-roger-linear"),
        **dict.fromkeys(("satt", "satterth", "sat"), "satterthwaite"),
        **dict.fromkeys(("bw", "betwithin", "betweenwithin"), "between-within"),
        **dict.fromkeys(("res", "resid"), "residual"),
        **dict.fromkeys(("none", "asymptotic", "z", "inf", "wald"), "normal"),
    },
}
"""What SAS, R's mmrm and nlme, and habit call what is called otherwise here."""


def _check_choice(name: str, value: object, options: Sequence[str]) -> None:
    """Refuse a value that is none of the options."""
    if value not in options:
        raise DesignError(
            f"`{name}` must be one of {', '.join(options)}, got {value!r}."
            f"{_hint(name, str(value), options)}"
        )


def _hint(name: str, value: str, options: Sequence[str]) -> str:
    """Say what a value is called here, as the tail of a message."""
    known = _OTHER_SPELLINGS.get("covariance" if name == "fallback" else name, {})
    found = known.get(re.sub(r"[\s_-]", "", value.casefold()))
    return f" Did you mean {found!r}?" if found else nearest(value, options)


@dataclass(frozen=True, kw_only=True)
class CovarianceTerm:
    """What a formula says about the covariance.

    Parameters
    ----------
    covariance, visit, subject : str
        See :class:`MMRMSpec`.
    group : str, optional
        Column whose groups have covariances of their own.
    rest : str
        The formula without the term.
    """

    covariance: str
    visit: str
    subject: str
    group: str | None
    rest: str


def find_covariance_term(formula: str) -> CovarianceTerm:
    """Take the covariance term out of a formula.

    Parameters
    ----------
    formula : str
        For example ``"pbvc_pct ~ arm * visit + us(visit | subject_id)"``.

    Returns
    -------
    CovarianceTerm
        The term, and the formula without it. Nothing is evaluated.

    Raises
    ------
    FormulaError
        If there is no such term, or several, or it does not parse.

    Examples
    --------
    >>> term = find_covariance_term("pbvc_pct ~ 0 + visit + ar1h(visit | subject_id)")
    >>> term.covariance, term.rest
    ('ar1h', 'pbvc_pct ~ 0 + visit')
    """
    tokens = tokenize(formula)
    found = [i for i, token in enumerate(tokens) if _structure(token) is not None]
    if len(found) != 1:
        raise FormulaError(
            f"A model for repeated measures needs one covariance term such as "
            f"us(visit | subject_id), found {len(found)} in {formula[:80]!r}. Covariances are "
            f"{', '.join(COVARIANCES)}, written without a blank before the bracket."
            f"{'' if found else _hint_of_term(formula, tokens)}"
        )
    position = found[0]
    before, after = tokens[:position], tokens[position + 1 :]
    shown = tokens[position].shown
    if not before or before[-1].text not in {"+", "~"} or (after and after[0].text not in "+-"):
        raise FormulaError(f"The covariance term can only be added: write ... + {shown}.")
    if before[-1].text == "+":
        before = before[:-1]
    elif after and after[0].text == "+":
        after = after[1:]
    elif not after:
        after = tokenize("1")
    visit, group, subject = _inside(shown)
    return CovarianceTerm(
        covariance=_structure(tokens[position]) or "",
        visit=visit,
        group=group,
        subject=subject,
        rest=join_tokens([*before, *after]),
    )


def _hint_of_term(formula: str, tokens: Sequence[Token]) -> str:
    """Say what a covariance is called here, where a formula has one by another name."""
    named = [t.shown.partition("(")[0] for t in tokens if t.kind == "fragment" and "|" in t.shown]
    named += re.findall(r"([\w.]+\(\w+\))\s*\([^()]*\|", formula)  # ar(1)(visit | subject_id)
    hints = [_hint("covariance", name, tuple(COVARIANCES)) for name in named]
    return next((hint for hint in hints if hint), "")


def _structure(token: Token) -> str | None:
    """Return the covariance that a piece of a formula names, if it is such a term."""
    name, bracket, inside = token.shown.partition("(")
    is_term = token.kind == "fragment" and bracket and "|" in inside
    return name if is_term and name in COVARIANCES else None


def _inside(shown: str) -> tuple[str, str | None, str]:
    """Read ``visit | subject`` or ``visit | group / subject``: visit, group, subject."""
    tokens = tokenize(shown.partition("(")[2][:-1])
    names = [token.text for token in tokens if token.kind == "name"]
    signs = [token.text for token in tokens if token.kind == "operator"]
    kinds = ["name" if i % 2 == 0 else "operator" for i in range(len(tokens))]
    if [token.kind for token in tokens] == kinds and signs == ["|"]:
        return names[0], None, names[1]
    if [token.kind for token in tokens] == kinds and signs == ["|", "/"]:
        return names[0], names[1], names[2]
    raise FormulaError(
        f"A covariance term is written us(visit | subject_id), or us(visit | arm / subject_id) for "
        f"covariances by arm; got {shown!r}."
    )
