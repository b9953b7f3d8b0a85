"""Several outcomes in one multivariate mixed model, and one combined effect."""

from __future__ import annotations

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.trials.analyses.answers import NO_SUBJECTS, answer, first_reason
from pmsstats.trials.analyses.joint_slopes import fit_joint_slopes
from pmsstats.trials.analyses.joint_sums import joint_sums
from pmsstats.trials.analyses.layouts import count_by_arm
from pmsstats.trials.analyses.options import check_options, choice, option
from pmsstats.trials.analyses.slope import has_common_intercept
from pmsstats.trials.analyses.windows import TrialWindow
from pmsstats.trials.outcomes import AnalysisBatch
from pmsstats.trials.scenario import TrialEndpoint

__all__ = ["analyse_multivariate"]

_MOST_CELLS = 300_000  # matrix entries of slots worked on at once: they stay in cache and memory


def analyse_multivariate(window: TrialWindow) -> AnalysisBatch:
    """Estimate the combined effect on the slopes of several outcomes in each replicate.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits.

    Returns
    -------
    AnalysisBatch
        Above 0 where the treated are better.

    Raises
    ------
    DesignError
        If there is one outcome or one visit, or an option is unknown or does not fit.

    Notes
    -----
    All outcomes have random intercepts and slopes, correlated with each other, in one model fitted
    by REML; the covariance of the estimated treatment effects comes with it, and an effect that is
    a linear combination of them can be tested, as the OCTOPUS platform proposes for its interim
    analysis: whole brain atrophy and three clinical outcomes [1]_. Differences of slopes are first
    turned so that a positive one is the patient's gain. Option ``combine``:

    - ``"ols"``: differences over their standard deviation (that of the difference between two
      subjects' slopes that the standard error implies), averaged with option ``weights`` (equal by
      default); the test is the ordinary least squares one of O'Brien [2]_;
    - ``"gls"``: the same with the weights of least variance, which can be negative [2]_;
    - ``"optimal"``: weights of most power for the differences per year assumed in option
      ``effects`` (gains, positive); the estimate is the share of the assumed effects that was
      reached.

    Option ``component`` names one of the outcomes, to report its own difference of slopes (per
    year, gains positive) in the joint model. The test is a t test with subjects less arms as
    degrees of freedom.

    In small trials it rejects a little too often: with two outcomes at five visits, 10 % lost at
    each, the two-sided type I error at 5 % is 6.6 % with 30 per arm, 5.8 % with 60 and 5.5 % with
    120 (10,000 trials each; Monte Carlo error 0.2 %).

    References
    ----------
    .. [1] Using MRI whole brain atrophy and clinically reported outcomes in combination to assess
       interim treatment response in multi-arm multi-stage trials in progressive multiple
       sclerosis. medRxiv 2026. doi:10.64898/2026.06.26.26356667
    .. [2] O'Brien PC. Procedures for comparing samples with multiple endpoints. Biometrics
       1984;40:1079-1087. doi:10.2307/2531158
    """
    check_options(window.analysis, "combine", "weights", "effects", "component", "intercepts")
    endpoints = _endpoints(window)
    values = [window.values(endpoint.measure) for endpoint in endpoints]
    seen = np.zeros(window.code.shape, dtype=bool)
    for value in values:
        seen |= ~np.isnan(value).all(axis=-1)
    counts = count_by_arm(window.code, seen, window.n_arms)
    size = 4 * len(endpoints) ** 2 * min(window.code.shape[1], 4 * len(window.visits))
    step = max(1, _MOST_CELLS // size)
    parts = [
        _slopes(window, [v[a : a + step] for v in values], window.code[a : a + step])
        for a in range(0, len(window.code), step)
    ]
    effects, covariance, converged = (np.concatenate(p) for p in zip(*parts, strict=True))
    signs = np.array([window.sign(endpoint) for endpoint in endpoints], dtype=float)
    effects, covariance = effects * signs, covariance * signs[:, None] * signs
    with_, without = window.comparisons.n_with(counts), window.comparisons.n_without(counts)
    combined = _combined(window, effects, covariance, with_, without)
    return answer(
        window.comparisons,
        estimate=combined[0],
        std_error=combined[1],
        df=np.maximum(counts.sum(axis=1) - window.n_arms, 1)[:, None],
        counts=counts,
        reason=first_reason(
            with_.shape,
            ((with_ == 0) | (without == 0), NO_SUBJECTS),
            (~converged[:, None], "no maximum found"),
        ),
        truth_sign=1,
    )


def _endpoints(window: TrialWindow) -> list[TrialEndpoint]:
    """Return the outcomes."""
    names = window.analysis.endpoints or (window.analysis.endpoint,)
    if len(names) < 2 or len(window.visits) < 2:
        raise DesignError(
            f"Analysis {window.analysis.name!r} models slopes of several `endpoints` at two visits "
            f"or more, got {len(names)} endpoint(s) at {len(window.visits)} visit(s)."
        )
    if window.analysis.covariates:
        raise DesignError(
            f"Analysis {window.analysis.name!r} has covariates, which a multivariate analysis does "
            "not use. Leave them out."
        )
    return [window.scenario.endpoint(name) for name in names]


def _slopes(
    window: TrialWindow, values: list[np.ndarray], code: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit some replicates; return effects on slopes (n, C, K), their covariance, who converged."""
    years = window.years / window.years[-1]
    scaled, sd = zip(*(_standardised(value, code) for value in values), strict=True)
    sums = joint_sums(list(scaled), years, code, window.n_arms)
    means, at = _means(window, len(values))
    fit = fit_joint_slopes(sums, means)
    unit = np.stack(sd, axis=1)[:, None] / window.years[-1]
    effects = fit.effects[:, at] * unit
    covariance = fit.covariance[:, at[:, :, None], at[:, None, :]]
    return effects, covariance * unit[..., None] * unit[:, :, None, :], fit.converged


def _standardised(value: np.ndarray, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an outcome with mean 0 and variance 1 in each replicate, and its divisor."""
    there = ~np.isnan(value) & (code >= 0)[..., None]
    n = np.maximum(there.sum(axis=(1, 2)), 1)
    filled = np.where(there, value, 0.0)
    mean = filled.sum(axis=-1).sum(axis=1) / n
    rest = np.where(there, filled - mean[:, None, None], 0.0)
    sd = np.sqrt((rest**2).sum(axis=-1).sum(axis=1) / n)
    safe = np.where(sd > 0, sd, 1.0)
    return np.where(there, rest / safe[:, None, None], np.nan), safe


def _means(window: TrialWindow, n_outcomes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns of the means of each arm, and which are effects on slopes: (C, K)."""
    treated = window.comparisons.columns
    n_arms, n_comparisons = treated.shape
    blocks = [np.ones((n_arms, 1)), np.ones((n_arms, 1)), treated]
    rows = [0, 1, 1]
    if not has_common_intercept(window):
        blocks, rows = [*blocks, treated], [*rows, 0]
    width = sum(block.shape[1] for block in blocks)
    means = np.zeros((n_arms, 2 * n_outcomes, width * n_outcomes))
    for k in range(n_outcomes):
        at = k * width
        for row, block in zip(rows, blocks, strict=True):
            means[:, 2 * k + row, at : at + block.shape[1]] = block
            at += block.shape[1]
    effects = np.arange(n_outcomes) * width + 2
    return means, effects + np.arange(n_comparisons)[:, None]


def _combined(
    window: TrialWindow, effects: np.ndarray, V: np.ndarray, with_: np.ndarray, without: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Combine effects (n, C, K) with covariances (n, C, K, K); return estimate and error (n, C)."""
    component = option(window.analysis, "component", None)
    if component is not None:
        k = window.analysis.endpoints.index(
            choice(window.analysis, "component", window.analysis.endpoints)
        )
        return effects[..., k], np.sqrt(V[..., k, k])
    kind = choice(window.analysis, "combine", ("ols", "gls", "optimal"))
    _check_numbers(window, kind)
    if kind == "optimal":
        assumed = _numbers(window, "effects", effects.shape[-1])
        weights = _solved(V, np.broadcast_to(assumed, effects.shape))
        return _weighted(effects, V, weights, (weights * assumed).sum(axis=-1))
    share = with_ * without / np.maximum(with_ + without, 1)
    scale = np.sqrt(np.diagonal(V, axis1=2, axis2=3) * share[..., None])
    scale = np.where(scale > 0, scale, np.nan)
    V = V / scale[..., None] / scale[..., None, :]
    effects = effects / scale
    weights = np.broadcast_to(_numbers(window, "weights", effects.shape[-1]), effects.shape)
    if kind == "gls":
        weights = _solved(V, weights)
    return _weighted(effects, V, weights, weights.sum(axis=-1))


def _check_numbers(window: TrialWindow, kind: str) -> None:
    """Refuse weights, or assumed effects, that the combination would not use."""
    used = {"ols": "weights", "optimal": "effects"}.get(kind)
    for name in ("weights", "effects"):
        if name in window.analysis.options and name != used:
            raise DesignError(
                f"Analysis {window.analysis.name!r} has option `{name}`, which `combine` "
                f"{kind!r} does not use: `weights` go with 'ols', `effects` with 'optimal'."
            )


def _solved(V: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve for weights; not numbers where there is no covariance."""
    good = np.isfinite(V).all(axis=(2, 3))
    safe = np.where(good[..., None, None], V, np.eye(V.shape[-1]))
    return np.where(good[..., None], np.linalg.solve(safe, right[..., None])[..., 0], np.nan)


def _weighted(
    effects: np.ndarray, V: np.ndarray, weights: np.ndarray, total: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a weighted sum over a total, and its standard error."""
    along = (V @ weights[..., None])[..., 0]
    variance = (along * weights).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (effects * weights).sum(axis=-1) / total, np.sqrt(variance) / np.abs(total)


def _numbers(window: TrialWindow, name: str, n: int) -> np.ndarray:
    """Return one number per outcome from an option; for weights, ones by default."""
    default = None if name == "effects" else (1.0,) * n
    given = option(window.analysis, name, default)
    numbers = np.asarray([] if given is None else given, dtype=float)
    if numbers.shape != (n,) or not np.isfinite(numbers).all() or not numbers.any():
        raise DesignError(
            f"Option `{name}` of analysis {window.analysis.name!r} must be {n} numbers, one per "
            f"endpoint, not all 0, got {given!r}."
        )
    return numbers
