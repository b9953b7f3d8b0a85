"""Is a marker a surrogate in one trial: Prentice's criteria and the proportion explained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import brentq

from pmsstats.errors import DesignError
from pmsstats.models.events.partial_likelihood import CountingProcess, efron_terms, polish
from pmsstats.seeds import stream
from pmsstats.surrogacy.fieller import RatioSet, fieller_set
from pmsstats.surrogacy.individual_result import IndividualSurrogacyResult, ProportionExplained
from pmsstats.surrogacy.individual_words import verdicts
from pmsstats.surrogacy.outcome_fits import (
    OutcomeFit,
    coefficients,
    draw_within,
    fit_outcome,
    with_intercept,
)
from pmsstats.surrogacy.specs import IndividualSurrogacySpec
from pmsstats.surrogacy.subject_data import SubjectData, prepare_subjects

if TYPE_CHECKING:
    from pmsstats.provenance import Origin
    from pmsstats.seeds import Seed

__all__ = ["individual_association", "surrogacy_individual"]

_STEPS = 30  # of Newton's method, from zero


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fits:
    """The four regressions behind the criteria; treatment is the first column that they name."""

    on_surrogate: OutcomeFit
    on_outcome: OutcomeFit
    of_surrogate: OutcomeFit
    adjusted: OutcomeFit
    at: int  # position of the first column: after the intercept, if there is one


def surrogacy_individual(
    data: pd.DataFrame, spec: IndividualSurrogacySpec, *, seed: Seed, origin: Origin = "real"
) -> IndividualSurrogacyResult:
    """Check Prentice's criteria for a surrogate in one trial, and what share of effect it explains.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject.
    spec : IndividualSurrogacySpec
        Which columns are what.
    seed : int, SeedSequence or Generator
        Of the bootstrap.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    IndividualSurrogacyResult
        The criteria with estimates, tests and plain verdicts, the proportion explained, and the
        association that is left within arms.

    Raises
    ------
    DesignError
        If the data cannot support it; the conditions stand at
        :func:`~pmsstats.surrogacy.subject_data.prepare_subjects`.
    ConvergenceError
        If a regression has no maximum (separation).

    Notes
    -----
    With treatment Z, surrogate S and outcome T, the criteria [1]_ are: Z acts on S; Z acts on T;
    S goes with T; and T does not depend on Z once S is given. The fourth asks for the absence of
    an effect, which no test can show: a large p value may only mean a small trial.

    The proportion explained [2]_ is ``1 - b_adj / b``, with ``b`` the coefficient of treatment
    (a difference, log odds ratio or log hazard ratio) and ``b_adj`` the same given S. It is no
    true proportion (it can leave 0 to 1), is undefined where ``b`` is zero, and changes with
    unmeasured causes of both S and T. Odds and hazard ratios also change on adjustment without
    any mediation. Fieller's set uses the standard errors of the two models, and their correlation
    by the cross-product of influence functions [3]_; the bootstrap draws subjects within arms.

    The association within arms ``r2_individual`` is the squared correlation of S and T given Z
    where both are continuous [4]_, otherwise the likelihood reduction factor
    ``1 - exp(-G2 / n)``, with the likelihood-ratio statistic ``G2`` of S given Z and n the
    number of subjects, or of events for a survival outcome [5]_. The relative effect is the
    effect on T over that on S [4]_.

    References
    ----------
    .. [1] Prentice RL. Surrogate endpoints in clinical trials: definition and operational
       criteria. Stat Med 1989;8:431-440. doi:10.1002/sim.4780080407
    .. [2] Freedman LS, Graubard BI, Schatzkin A. Statistical validation of intermediate endpoints
       for chronic diseases. Stat Med 1992;11:167-178. doi:10.1002/sim.4780110204
    .. [3] Lin DY, Fleming TR, De Gruttola V. Estimating the proportion of treatment effect
       explained by a surrogate marker. Stat Med 1997;16:1515-1527.
       doi:10.1002/(SICI)1097-0258(19970715)16:13<1515::AID-SIM572>3.0.CO;2-1
    .. [4] Buyse M, Molenberghs G. Criteria for the validation of surrogate endpoints in randomized
       experiments. Biometrics 1998;54:1014-1029. doi:10.2307/2533853
    .. [5] Alonso A, Molenberghs G. Surrogate marker evaluation from an information theory
       perspective. Biometrics 2007;63:180-186. doi:10.1111/j.1541-0420.2006.00634.x

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(3)
    >>> arm = np.repeat(["placebo", "active"], 200)
    >>> slope = rng.normal(-0.7, 0.4, 400) + 0.3 * (arm == "active")
    >>> trial = pd.DataFrame({"arm": arm, "slope": slope})
    >>> trial["worsening"] = 0.5 - 1.0 * slope + rng.normal(0, 0.5, 400)
    >>> spec = IndividualSurrogacySpec(
    ...     surrogate="slope", outcome="worsening", reference="placebo", n_replicates=200
    ... )
    >>> found = surrogacy_individual(trial, spec, seed=1)
    >>> found.explained.stable, found.explained.fieller.kind
    (True, 'bounded')
    """
    prepared = prepare_subjects(data, spec, "individual-level surrogacy")
    fits = _fit(prepared)
    explained = _explained(prepared, fits, spec, seed)
    association = individual_association(prepared, spec.conf_level)
    frame = _frame(fits, spec.conf_level)
    low, high = association[1:]
    extra = pd.DataFrame(
        {
            "term": ["proportion explained", "individual-level R2"],
            "estimate": [explained.estimate, association[0]],
            "conf_low": [explained.interval()[0], low],
            "conf_high": [explained.interval()[1], high],
        }
    )
    rows = pd.concat([frame, extra], ignore_index=True)
    rows["verdict"] = verdicts(rows, explained, spec.conf_level)
    return IndividualSurrogacyResult(
        spec=spec,
        rows=rows,
        explained=explained,
        relative_effect=_relative(fits),
        r2_individual=association[0],
        arms=prepared.arms,
        kind=prepared.kind,
        n_subjects=prepared.n_subjects,
        n_events=int(prepared.event.sum()) if spec.survival else None,
        exclusions=prepared.exclusions,
        origin=origin,
    )


def _columns(data: SubjectData, *first: np.ndarray) -> np.ndarray:
    """Return columns with the covariates after them."""
    return np.column_stack([*first, data.covariates])


def _fit(data: SubjectData) -> _Fits:
    """Fit the four regressions."""
    Z, S = data.treated, data.surrogate
    everyone = np.ones(data.n_subjects, dtype=bool)

    def on_outcome(what: str, *columns: np.ndarray) -> OutcomeFit:
        X = with_intercept(data.kind, _columns(data, *columns))
        return fit_outcome(data.kind, X, data.outcome, data.event, what=what)

    X = with_intercept("continuous", _columns(data, Z))
    return _Fits(
        on_surrogate=fit_outcome("continuous", X, S, everyone, what="effect on the surrogate"),
        on_outcome=on_outcome("treatment effect on the outcome", Z),
        of_surrogate=on_outcome("association of surrogate and outcome", S),
        adjusted=on_outcome("treatment effect given the surrogate", Z, S),
        at=0 if data.kind == "survival" else 1,
    )


def _frame(fits: _Fits, conf_level: float) -> pd.DataFrame:
    """Tabulate the criteria."""
    rows = []
    for term, fit, at in (
        ("1. treatment on surrogate", fits.on_surrogate, 1),
        ("2. treatment on outcome", fits.on_outcome, fits.at),
        ("3. surrogate on outcome", fits.of_surrogate, fits.at),
        ("4. treatment on outcome, given surrogate", fits.adjusted, fits.at),
    ):
        estimate, error = fit.beta[at], float(np.sqrt(fit.covariance[at, at]))
        reference = stats.t(fit.df) if np.isfinite(fit.df) else stats.norm
        half = reference.ppf((1 + conf_level) / 2) * error
        with np.errstate(divide="ignore"):
            statistic = estimate / error
        p_value = 2 * reference.sf(abs(statistic))
        rows.append((term, estimate, error, fit.df, statistic, p_value,
                     estimate - half, estimate + half))  # fmt: skip
    names = ["term", "estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high"]
    frame = pd.DataFrame(rows, columns=names)
    return frame if np.isfinite(frame["df"]).any() else frame.drop(columns="df")


def _explained(
    data: SubjectData, fits: _Fits, spec: IndividualSurrogacySpec, seed: Seed
) -> ProportionExplained:
    """Estimate the proportion explained, with Fieller's set and bootstrap."""
    total, direct = fits.on_outcome, fits.adjusted
    b, b_adj = float(total.beta[fits.at]), float(direct.beta[fits.at])
    variances = (float(direct.covariance[fits.at, fits.at]),
                 float(total.covariance[fits.at, fits.at]))  # fmt: skip
    u, v = direct.influence[:, fits.at], total.influence[:, fits.at]
    correlation = float(u @ v / np.sqrt((u @ u) * (v @ v)))
    df = direct.df if np.isfinite(direct.df) else None
    level = (1 + spec.conf_level) / 2
    quantile = stats.t.ppf(level, df) if df else stats.norm.ppf(level)
    ratio = fieller_set(
        b_adj,
        b,
        variances=variances,
        covariance=correlation * float(np.sqrt(variances[0] * variances[1])),
        quantile=float(quantile),
    )
    fieller = RatioSet(kind=ratio.kind, low=1 - ratio.high, high=1 - ratio.low)
    return _bootstrap(data, spec, seed, ProportionExplained(
        estimate=1 - b_adj / b if b else float("nan"),
        total=b, direct=b_adj, correlation=correlation, fieller=fieller,
    ))  # fmt: skip


def _bootstrap(
    data: SubjectData, spec: IndividualSurrogacySpec, seed: Seed, explained: ProportionExplained
) -> ProportionExplained:
    """Add the percentile interval."""
    if not spec.n_replicates:
        return explained
    weights = draw_within(data.treated, stream(seed, "individual surrogacy"), spec.n_replicates)
    at = 0 if data.kind == "survival" else 1
    b, b_adj = (
        coefficients(data.kind, weights, with_intercept(data.kind, X), data.outcome, data.event)[0]
        [:, at]
        for X in (_columns(data, data.treated), _columns(data, data.treated, data.surrogate))
    )  # fmt: skip
    with np.errstate(all="ignore"):
        made = 1 - b_adj / b
    made = made[np.isfinite(made)]
    if len(made) < spec.n_replicates / 2:
        raise DesignError(
            f"Only {len(made)} of {spec.n_replicates} bootstrap replicates could be fitted: too "
            "few events or subjects. Set n_replicates=0 and rely on Fieller's set."
        )
    tail = (1 - spec.conf_level) / 2
    low, high = np.quantile(made, [tail, 1 - tail])
    return replace(explained, bootstrap_low=float(low), bootstrap_high=float(high),
                   n_failed=spec.n_replicates - len(made))  # fmt: skip


def _relative(fits: _Fits) -> float:
    """Return the effect on the outcome over that on the surrogate."""
    a = float(fits.on_surrogate.beta[1])
    return float(fits.on_outcome.beta[fits.at]) / a if a else float("nan")


def individual_association(data: SubjectData, conf_level: float) -> tuple[float, float, float]:
    """Estimate how closely surrogate and outcome go together within trials and arms.

    Parameters
    ----------
    data : SubjectData
        Of one trial or several.
    conf_level : float
        Of the interval.

    Returns
    -------
    tuple of three float
        Estimate and interval of R2, see :func:`surrogacy_individual`.

    Notes
    -----
    Arms of each trial have means, log odds, or baseline hazards of their own. The interval is
    Fisher's for a correlation, and for the likelihood reduction factor the one of a noncentral
    chi-square for G2 (Alonso and Molenberghs 2007, doi:10.1111/j.1541-0420.2006.00634.x).
    """
    cells = np.unique(np.column_stack([data.trial, data.treated]), axis=0, return_inverse=True)[1]
    cells = cells.ravel()
    if data.kind == "survival":
        G2, n = _survival_ratio(data, cells), int(data.event.sum())
    elif data.kind == "binary":
        G2, n = _binary_ratio(data, cells), data.n_subjects
    else:
        return _residual_r2(_indicators(cells, data), data, conf_level)
    low, high = (1 - np.exp(-g / n) for g in _noncentral(G2, conf_level))
    return float(1 - np.exp(-G2 / n)), float(low), float(high)


def _indicators(cells: np.ndarray, data: SubjectData) -> np.ndarray:
    """Return an intercept, indicators of all cells but the first, and the covariates."""
    levels = np.unique(cells)[1:]
    columns = (cells[:, None] == levels).astype(float)
    return with_intercept(data.kind, np.column_stack([columns, data.covariates]))


def _binary_ratio(data: SubjectData, cells: np.ndarray) -> float:
    """Return the likelihood ratio statistic of the surrogate; cells of one outcome say nothing."""
    size = np.bincount(cells)
    share = np.bincount(cells, data.outcome) / np.maximum(size, 1)
    varied = ((share > 0) & (share < 1))[cells]
    part = data.select(varied)
    X = _indicators(cells[varied], part)
    what = "association of surrogate and outcome within arms"
    fits = [
        fit_outcome("binary", design, part.outcome, part.event, what=what)
        for design in (X, np.column_stack([X, part.surrogate]))
    ]
    return max(2 * (fits[1].log_likelihood - fits[0].log_likelihood), 0.0)


def _survival_ratio(data: SubjectData, cells: np.ndarray) -> float:
    """Return the partial likelihood ratio statistic of the surrogate, stratified by cell."""
    values = []
    for columns in (data.covariates, np.column_stack([data.covariates, data.surrogate])):
        scale = columns.std(axis=0)
        process = CountingProcess(
            start=np.full(data.n_subjects, -np.inf), stop=data.outcome, event=data.event,
            X=(columns - columns.mean(axis=0)) / np.where(scale > 0, scale, 1.0), stratum=cells,
        )  # fmt: skip
        start = np.zeros(columns.shape[1])
        terms = efron_terms(process, start)
        if columns.shape[1]:
            terms = polish(process, start, max_steps=_STEPS)
        values.append(terms.log_likelihood)
    return max(2 * (values[1] - values[0]), 0.0)


def _residual_r2(X: np.ndarray, data: SubjectData, conf_level: float) -> tuple[float, float, float]:
    """Square the correlation of residuals, with Fisher's interval."""
    both = np.column_stack([data.surrogate, data.outcome])
    residual = both - X @ np.linalg.lstsq(X, both, rcond=None)[0]
    r = float(np.corrcoef(residual.T)[0, 1])
    df = data.n_subjects - X.shape[1] - 2
    if df < 1 or abs(r) >= 1:
        return r**2, float("nan"), float("nan")
    half = stats.norm.ppf((1 + conf_level) / 2) / np.sqrt(df)
    ends = np.tanh([np.arctanh(r) - half, np.arctanh(r) + half])
    low = 0.0 if ends[0] * ends[1] < 0 else float((ends**2).min())
    return r**2, low, float((ends**2).max())


def _noncentral(G2: float, conf_level: float) -> tuple[float, float]:
    """Return the noncentralities of a chi-square with one df that put `G2` at the tails."""
    tail, top = (1 - conf_level) / 2, 10 * G2 + 100.0
    ends = []
    for share in (1 - tail, tail):  # of the distribution below G2
        at_zero = stats.chi2.cdf(G2, 1)
        found = 0.0 if at_zero <= share else brentq(
            lambda d, share=share: stats.ncx2.cdf(G2, 1, d) - share, 1e-12, top
        )  # fmt: skip
        ends.append(found)
    return ends[0], ends[1]
