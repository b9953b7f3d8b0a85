"""Power and sample size of a comparison of two shares of subjects who progress."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.power.arms import analysed_arms, arm_sizes, integer_arms, smallest_arms, split_arms
from pmsstats.power.clusters import ClusterDesign
from pmsstats.power.fisher import fisher_rejection_probability
from pmsstats.power.rejection import critical_value, rejection_probability
from pmsstats.power.result import SHARES, PowerResult
from pmsstats.power.solving import (
    check_choice,
    check_dropout,
    check_effect,
    check_rates,
    check_real,
    check_solved,
    power_curve,
    solve_continuous,
    solve_n,
)
from pmsstats.power.wording import arms_words, dropout_words, level_words

__all__ = ["power_proportion", "sample_size_proportion"]

_METHODS = ("pooled", "unpooled", "arcsine", "fisher")
_NAMES = {
    "pooled": "z-test of two shares (pooled variance)",
    "unpooled": "z-test of two shares (separate variances)",
    "arcsine": "z-test of two arcsine-transformed shares",
    "fisher": "exact test of Fisher",
}
_REFERENCES = (
    "Fleiss JL, Tytun A, Ury HK. Biometrics 1980;36:343-346. doi:10.2307/2529990",
    "Casagrande JT, Pike MC, Smith PG. Biometrics 1978;34:483-486. doi:10.2307/2530613",
)
_RUN = 5  # sizes in a row: the power of an exact test goes up and down by single subjects


@dataclass(frozen=True, kw_only=True)
class _TwoShares:
    """A comparison of two shares, waiting for its subjects and the treated share."""

    reference: float
    method: str
    continuity: bool
    alpha: float
    sides: int
    ratio: float
    dropout: tuple[float, float]
    cluster: ClusterDesign | None

    def __post_init__(self) -> None:
        check_real("reference", self.reference, low=0.0, high=1.0, unit="events per subject")
        check_choice("method", self.method, _METHODS)
        check_rates(self.alpha, sides=self.sides)
        check_real("ratio", self.ratio, low=0.0)
        if self.continuity and self.method in {"arcsine", "fisher"}:
            raise DesignError(
                f"`continuity=True` corrects a z-test of shares, but method={self.method!r}. "
                "Leave it out, or use method='pooled'."
            )
        if self.cluster is not None and not isinstance(self.cluster, ClusterDesign):
            raise DesignError(f"`cluster` must be a ClusterDesign, got {self.cluster!r}.")
        if self.cluster is not None and self.method == "fisher":
            raise DesignError(
                "`cluster` needs a z-test, because subjects of one site are not independent, got "
                "method='fisher'. Use method='pooled'."
            )

    def factor(self, arms: tuple[float, float]) -> float:
        """Return by how much sites multiply the variance."""
        if self.cluster is None:
            return 1.0
        first, second = analysed_arms(arms, self.dropout)
        retained = (first + second) / sum(arms)
        return self.cluster.variance_factor(ratio=second / first, retained=retained)

    def power(self, arms: tuple[float, float], treated: float) -> float:
        """Return the power, on the side of the difference if the test has one side."""
        if self.method == "fisher":
            return self._exact(arms, treated)
        gap, correction, scale = self._standardised(arms, treated)
        # A z-test whose bound is `scale` times that of a normal statistic, and a bit further out.
        bound = critical_value(alpha=self.alpha, sides=self.sides)
        further = correction + (scale - 1) * bound
        one_tail: dict[str, Any] = {"alpha": self.alpha / self.sides, "sides": 1}
        power = float(rejection_probability(gap - further, **one_tail))
        if self.sides == 2:
            power += float(rejection_probability(-gap - further, **one_tail))
        return power

    def _standardised(
        self, arms: tuple[float, float], treated: float
    ) -> tuple[float, float, float]:
        """Return the difference, its continuity correction and the SD that the test assumes.

        All relative to the true standard deviation of the difference.
        """
        first, second = analysed_arms(arms, self.dropout)
        weight = 1 / first + 1 / second
        factor = self.factor(arms)
        p, q = self.reference, treated
        if self.method == "arcsine":
            angle = 2 * abs(math.asin(math.sqrt(q)) - math.asin(math.sqrt(p)))
            return angle / math.sqrt(weight * factor), 0.0, 1.0
        own = p * (1 - p) / first + q * (1 - q) / second
        mean = (first * p + second * q) / (first + second)
        taken = mean * (1 - mean) * weight if self.method == "pooled" else own
        correction = weight / 2 if self.continuity else 0.0
        error = math.sqrt(own * factor)
        return abs(q - p) / error, correction / error, math.sqrt(taken / own)

    def _exact(self, arms: tuple[float, float], treated: float) -> float:
        """Return the power of Fisher's test, with those who are lost taken away."""
        first, second = (max(round(k), 1) for k in analysed_arms(arms, self.dropout))
        return fisher_rejection_probability(
            (self.reference, treated), (first, second), alpha=self.alpha, sides=self.sides
        )

    def words(self, arms: tuple[int, int]) -> str:
        """Return the assumptions, as one sentence."""
        name = _NAMES[self.method] + (" with continuity correction" if self.continuity else "")
        parts = [
            arms_words(self.ratio, arms),
            level_words(self.alpha, self.sides, name),
            f"{100 * self.reference:.4g} % of the reference arm with an event",
            dropout_words(self.dropout),
        ]
        if self.cluster is not None:
            parts.append(self.cluster.words())
        return ", ".join(parts) + "."


def power_proportion(
    *,
    n: int | tuple[int, int],
    reference: float,
    treated: float | None = None,
    effect: float | None = None,
    risk_ratio: float | None = None,
    odds_ratio: float | None = None,
    method: str = "pooled",
    continuity: bool = False,
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
    dropout: float | tuple[float, float] = 0.0,
    cluster: ClusterDesign | None = None,
) -> PowerResult:
    """Return the power to find a difference between two shares, as of subjects who progress.

    Parameters
    ----------
    n : int or pair of int
        Subjects randomised in both arms together, or per arm, reference first.
    reference : float
        Share of the reference arm with the event, between 0 and 1.
    treated : float, optional
        Share of the treated arm. Or give one of the next three.
    effect : float, optional
        Treated minus reference share.
    risk_ratio, odds_ratio : float, optional
        Instead: treated relative to reference.
    method : {"pooled", "unpooled", "arcsine", "fisher"}
        Normal approximations (variance under the null hypothesis pooled or not; difference of
        arcsine-transformed shares), or Fisher's exact test by enumeration.
    continuity : bool, default False
        Whether the z-test of shares is corrected for continuity; its sample size is then close to
        that of Fisher's test.
    alpha : float, default 0.05
        Type I error.
    sides : {2, 1}
        Of the test; one-sided tests look in the direction of the effect.
    ratio : float, default 1
        Treated per reference subject, where `n` is a total.
    dropout : float or pair of float, default 0
        Share of subjects whose outcome stays unknown, not analysed. For Fisher's test the number
        left is rounded.
    cluster : ClusterDesign, optional
        Subjects in sites; for the z-tests.

    Returns
    -------
    PowerResult
        ``solved_for="power"``.

    Raises
    ------
    DesignError
        If an argument is missing, out of range, or contradicts another.

    Notes
    -----
    With shares ``p`` and ``q``, mean ``m`` and ``w = 1 / n_1 + 1 / n_2``, the pooled test rejects
    where the difference is beyond ``z sqrt(m (1 - m) w)`` [1]_, plus ``w / 2`` with the continuity
    correction [1]_ [2]_; both tails of a two-sided test are counted.

    References
    ----------
    .. [1] Fleiss JL, Tytun A, Ury HK. Biometrics 1980;36:343-346. doi:10.2307/2529990
    .. [2] Casagrande JT, Pike MC, Smith PG. Biometrics 1978;34:483-486. doi:10.2307/2530613

    Examples
    --------
    >>> round(power_proportion(n=100, reference=0.5, treated=0.75).power, 4)
    0.7402
    """
    inputs = tuple(locals().items())
    shares = {
        "treated": treated,
        "effect": effect,
        "risk_ratio": risk_ratio,
        "odds_ratio": odds_ratio,
    }
    design = _TwoShares(
        reference=reference,
        method=method,
        continuity=continuity,
        alpha=alpha,
        sides=sides,
        ratio=ratio,
        dropout=check_dropout(dropout),
        cluster=cluster,
    )
    share = _treated_share(reference, shares)
    arms = arm_sizes(n, ratio)
    power = design.power(arms, share)
    return _result(design, arms, share, solved_for="power", value=power, inputs=inputs)


def sample_size_proportion(
    *,
    reference: float,
    power: float = 0.8,
    solve: str = "n",
    n: int | tuple[int, int] | None = None,
    treated: float | None = None,
    effect: float | None = None,
    risk_ratio: float | None = None,
    odds_ratio: float | None = None,
    higher: bool = False,
    method: str = "pooled",
    continuity: bool = False,
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
    dropout: float | tuple[float, float] = 0.0,
    cluster: ClusterDesign | None = None,
) -> PowerResult:
    """Return the number of subjects, or the effect, that gives a comparison of shares its power.

    Parameters
    ----------
    reference : float
        Share of the reference arm with the event, between 0 and 1.
    power : float, default 0.8
        Wanted; above `alpha`.
    solve : {"n", "effect"}
        What to solve for.
    n : int or pair of int, optional
        Subjects randomised, for ``solve="effect"``.
    treated, effect, risk_ratio, odds_ratio : float, optional
        See :func:`power_proportion`; none of them with ``solve="effect"``.
    higher : bool, default False
        With ``solve="effect"``, whether treatment makes the event more frequent.
    method : {"pooled", "unpooled", "arcsine", "fisher"}
        See :func:`power_proportion`.
    continuity : bool, default False
        Whether the z-test is corrected for continuity.
    alpha : float, default 0.05
        Type I error.
    sides : {2, 1}
        Of the test.
    ratio : float, default 1
        Treated per reference subject.
    dropout : float or pair of float, default 0
        Share of subjects whose outcome stays unknown.
    cluster : ClusterDesign, optional
        Subjects in sites.

    Returns
    -------
    PowerResult
        ``solved_for="n"`` or ``"effect"``. The power of Fisher's test goes up and down as single
        subjects are added: the number reported, and the next four, reach the power.

    Raises
    ------
    DesignError
        If both shares are the same (no number will do), the power is not above `alpha`, or an
        argument is missing, out of range, or contradicts another.

    Notes
    -----
    See :func:`power_proportion`.

    References
    ----------
    .. [1] Fleiss JL, Tytun A, Ury HK. Biometrics 1980;36:343-346. doi:10.2307/2529990

    Examples
    --------
    >>> sample_size_proportion(reference=0.5, treated=0.75, power=0.9).n
    (77, 77)
    """
    inputs = tuple(locals().items())
    check_choice("solve", solve, ("n", "effect"))
    check_rates(alpha, power, sides)
    design = _TwoShares(
        reference=reference,
        method=method,
        continuity=continuity,
        alpha=alpha,
        sides=sides,
        ratio=ratio,
        dropout=check_dropout(dropout),
        cluster=cluster,
    )
    shares = {
        "treated": treated,
        "effect": effect,
        "risk_ratio": risk_ratio,
        "odds_ratio": odds_ratio,
    }
    if solve == "effect":
        arms, share = _solve_share(design, n, power, shares, higher=higher)
        value = share - reference
        return _result(design, arms, share, solved_for="effect", value=value, inputs=inputs)
    check_solved("n", sought={"n": n}, needed={})
    share = _treated_share(reference, shares)
    check_effect(share - reference)
    total, arms = _solve_arms(design, share, power)
    return _result(design, arms, share, solved_for="n", value=total, inputs=inputs)


def _treated_share(reference: float, shares: dict[str, float | None]) -> float:
    """Return the share of the treated arm, from whichever way it was told."""
    given = {name: value for name, value in shares.items() if value is not None}
    if len(given) != 1:
        listed = ", ".join(f"{name}={value!r}" for name, value in given.items()) or "none"
        raise DesignError(
            "Give one of `treated`, `effect`, `risk_ratio` and `odds_ratio`, which say the share "
            f"of the treated arm, got {listed}."
        )
    ((name, told),) = given.items()
    if name in {"risk_ratio", "odds_ratio"}:
        value = check_real(name, told, low=0.0)
        odds = value * reference / (1 - reference)
        share = value * reference if name == "risk_ratio" else odds / (1 + odds)
    else:
        value = check_real(name, told)
        share = value if name == "treated" else reference + value
    if not 0 < share < 1:
        raise DesignError(
            f"`{name}={told!r}` with `reference={reference!r}` makes the share of the treated arm "
            f"{share:.4g}, but it must lie between 0 and 1."
        )
    return share


def _solve_arms(design: _TwoShares, share: float, power: float) -> tuple[float, tuple[int, int]]:
    """Return the subjects before rounding, and the whole arms."""
    if design.method == "fisher":
        arms = _solve_exact(design, share, power)
        return float(sum(arms)), arms
    ratio = design.ratio
    total = solve_n(lambda m: design.power(split_arms(m, ratio), share), power, low=2.0)
    return total, smallest_arms(lambda arms: design.power(arms, share), total, power, ratio)


def _solve_exact(design: _TwoShares, share: float, power: float) -> tuple[int, int]:
    """Return the smallest arms from which on some sizes in a row reach the power."""
    near = replace(design, method="pooled", continuity=True)
    _, start = _solve_arms(near, share, power)
    known: dict[int, bool] = {}

    def arms_of(smaller: int) -> tuple[int, int]:
        return integer_arms(smaller * (1 + design.ratio) / min(1.0, design.ratio), design.ratio)

    def reached(smaller: int) -> bool:
        if smaller not in known:
            known[smaller] = design.power(arms_of(smaller), share) >= power
        return known[smaller]

    smaller = min(start)
    while not all(reached(smaller + step) for step in range(_RUN)):
        smaller += 1
    while any(reached(k) for k in range(max(smaller - _RUN, 1), smaller)):
        smaller -= 1
        if smaller == 1:
            break
    while not all(reached(smaller + step) for step in range(_RUN)):
        smaller += 1
    return arms_of(smaller)


def _solve_share(
    design: _TwoShares,
    n: int | tuple[int, int] | None,
    power: float,
    shares: dict[str, float | None],
    *,
    higher: bool,
) -> tuple[tuple[int, int], float]:
    """Return the arms, and the treated share that they find with a power."""
    check_solved("effect", sought=shares, needed={"n": n})
    arms = arm_sizes(n, design.ratio)  # type: ignore[arg-type]
    end = 1 - 1e-9 if higher else 1e-9
    share = solve_continuous(
        lambda q: design.power(arms, q), power, (design.reference, end), name="treated"
    )
    return arms, share


def _result(
    design: _TwoShares,
    arms: tuple[int, int],
    share: float,
    *,
    solved_for: str,
    value: float,
    inputs: tuple[tuple[str, object], ...],
) -> PowerResult:
    """Assemble the answer."""
    p, q = design.reference, share
    details = [
        ("share_reference", p, "share"),
        ("share_treated", q, "share"),
        ("risk_ratio", q / p, ""),
        ("odds_ratio", q * (1 - p) / (p * (1 - q)), ""),
        ("n_analysed", sum(analysed_arms(arms, design.dropout)), "subjects"),
    ]
    if design.cluster is not None:
        details.append(("design_effect", design.factor(arms), ""))
        details.append(("n_sites", design.cluster.n_sites(sum(arms)), "sites"))
    return PowerResult(
        method=_NAMES[design.method],
        solved_for=solved_for,
        value=value,
        n=arms,
        power=design.power(arms, share),
        alpha=design.alpha,
        sides=design.sides,
        effect=q - p,
        effect_unit=SHARES,
        assumptions=design.words(arms),
        inputs=inputs,
        details=tuple(details),
        curve=_curve(design, arms, share),
        references=_REFERENCES,
    )


def _curve(design: _TwoShares, arms: tuple[int, int], share: float) -> pd.DataFrame:
    """Tabulate the power around the design; of Fisher's test, that of the corrected z-test."""
    if design.method == "fisher":
        design = replace(design, method="pooled", continuity=True)
    ratio, p = arms[1] / arms[0], design.reference

    def power(n: float, effect: float) -> float:
        return design.power(split_arms(n, ratio), min(max(p + effect, 1e-9), 1 - 1e-9))

    return power_curve(power, n_total=sum(arms), effect=share - p)
