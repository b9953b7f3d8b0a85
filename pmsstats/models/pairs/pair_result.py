"""What a bivariate mixed model answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.fixed_effects.inference import tabulate_estimates
from pmsstats.models.pairs.naive_slopes import own_effects
from pmsstats.models.pairs.pair_effects import PairEffects
from pmsstats.models.pairs.pair_estimates import (
    CorrelationEstimate,
    PairVariances,
    correlation_of,
    fisher_estimate,
    regression_of,
    residual_estimate,
    tabulate_sds,
)
from pmsstats.models.pairs.pair_profile import profile_estimate
from pmsstats.models.pairs.pair_words import slopes_in_words
from pmsstats.plots.forest import plot_forest
from pmsstats.results import Exclusion, FitLog, Result, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.cohort.schema import Measure
    from pmsstats.models.kernels.pair_maximum import PairMaximum
    from pmsstats.models.pairs.pair_design import PairDesign
    from pmsstats.models.pairs.pair_spec import PairSpec
    from pmsstats.provenance import Origin

__all__ = ["PairResult"]

Interval = Literal["fisher", "profile"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PairResult(Result):
    """A fitted linear mixed model of two outcomes.

    Parameters
    ----------
    spec : PairSpec
        What was asked.
    fit_log : FitLog
        What the optimiser did, and whether its answer is a maximum.
    group : str
        Column that tells subjects apart.
    n_subjects : int
        Subjects with at least one outcome.
    n_both : int
        Subjects with both.
    n_obs : tuple of int
        Rows of each outcome.
    coefficients : pandas.DataFrame
        Fixed effects: ``outcome term estimate std_error statistic p_value conf_low conf_high``.
    fixed_covariance : ndarray, shape (p, p)
        Of the fixed effects of both outcomes, variances taken as known.
    variances : PairVariances
        Covariance of the random effects and of the residuals, and of their estimates.
    maximum : PairMaximum
        The fit on the common scale.
    design : PairDesign
        Rows and columns of both outcomes.
    measures : tuple of Measure or None
        Label and unit of each outcome, where the data dictionary knows it.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out of each outcome, with reasons.
    """

    spec: PairSpec
    fit_log: FitLog
    group: str
    n_subjects: int
    n_both: int
    n_obs: tuple[int, int]
    coefficients: pd.DataFrame
    fixed_covariance: np.ndarray
    variances: PairVariances
    maximum: PairMaximum
    design: PairDesign
    measures: tuple[Measure | None, Measure | None] = (None, None)
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader should know: who has one outcome only, columns dropped."""
        return self.design.notes

    @property
    def labels(self) -> tuple[str, str]:
        """Return the names of the outcomes, in words where the dictionary has some."""
        first, second = (
            measure.label if measure else name
            for measure, name in zip(self.measures, self.spec.outcomes, strict=True)
        )
        return first, second

    @cached_property
    def effects(self) -> PairEffects:
        """Return names and places of the random effects."""
        return PairEffects(
            outcomes=self.spec.outcomes,
            labels=self.labels,
            names=self.design.random_names,
            group=self.group,
        )

    @property
    def log_likelihood(self) -> float:
        """Return the maximum of the (restricted) log-likelihood; R: ``logLik(model)``."""
        value = self.fit_log.log_likelihood
        return float("nan") if value is None else float(value)

    @property
    def n_parameters(self) -> int:
        """Return the number of fixed effects, (co)variances and residual (co)variances."""
        q = sum(self.design.sums.sizes)
        return len(self.coefficients) + q * (q + 1) // 2 + self.design.sums.n_residual

    @property
    def random_covariance(self) -> pd.DataFrame:
        """Return the covariance of the random effects of both outcomes, labelled."""
        names = [self.effects.name(i) for i in range(len(self.design.random_names))]
        return pd.DataFrame(self.variances.D.copy(), index=names, columns=names)

    @property
    def residual_sd(self) -> tuple[float, float]:
        """Return the residual SD of each outcome, in its unit."""
        first, second = np.sqrt(self.variances.residual[:2])
        return float(first), float(second)

    @property
    def residual_correlation(self) -> float | None:
        """Return the correlation of the residuals of one visit; None where it was not asked."""
        r = self.variances.residual
        return float(r[2] / np.sqrt(r[0] * r[1])) if len(r) == 3 else None

    # --- slopes ---------------------------------------------------------------------------------

    def slope_correlation(self, interval: Interval = "fisher") -> CorrelationEstimate:
        """Estimate the correlation of the two true slopes, measurement error taken out.

        Parameters
        ----------
        interval : {"fisher", "profile"}, default "fisher"
            Symmetric on Fisher's z with the error from the observed information; or the values
            that the likelihood does not rule out. The latter is given in any case where the fit
            is singular, so that the former does not exist.

        Returns
        -------
        CorrelationEstimate
            Its field `interval` says which one it is.

        Raises
        ------
        DesignError
            If an outcome has no random slope, several, or one that does not vary.
        """
        return self.correlation(self.effects.slope(0), self.effects.slope(1), interval=interval)

    def correlation(
        self, first: str, second: str, *, interval: Interval = "fisher"
    ) -> CorrelationEstimate:
        """Estimate the correlation of a random effect of the first outcome with one of the second.

        Parameters
        ----------
        first, second : str
            Names of the effects: ``"intercept"`` (the level at time zero), ``"year"`` (the slope).
        interval : {"fisher", "profile"}, default "fisher"
            See :meth:`slope_correlation`.

        Returns
        -------
        CorrelationEstimate
            For example of the first outcome's level with the second's slope.

        Raises
        ------
        DesignError
            If an outcome has no such effect, or it does not vary.
        """
        if interval not in {"fisher", "profile"}:
            raise DesignError(f"`interval` must be 'fisher' or 'profile', got {interval!r}.")
        a, b = self.effects.weights(0, first), self.effects.weights(1, second)
        self._require_variation(a, b)
        wald = self._fisher(a, b)
        if interval == "fisher" and np.isfinite(wald.std_error):
            return wald
        B = self.design.random_map()
        return profile_estimate(
            self.design.sums,
            self.maximum,
            a=B.T @ a,
            b=B.T @ b,
            wald=wald,
            conf_level=self.spec.conf_level,
        )

    def naive_slope_correlation(self) -> CorrelationEstimate:
        """Correlate least-squares slopes of each subject, their error left in.

        Returns
        -------
        CorrelationEstimate
            Pearson's correlation over the subjects with at least two times of both outcomes, with
            Fisher's interval; what the fixed effects explain is taken out first.

        Raises
        ------
        DesignError
            If an outcome has no random slope, or fewer than four subjects have both slopes.

        Notes
        -----
        Expected to be the true correlation times :attr:`attenuation` (where residuals of the two
        outcomes are independent). R: ``nlme::lmList`` of each outcome, then ``cor.test``.
        """
        own = self._own_slopes()
        both = np.isfinite(own[0]) & np.isfinite(own[1])
        n = int(both.sum())
        if n < 4:
            raise DesignError(
                f"{n} subject(s) have a least-squares slope of both outcomes; their correlation "
                "needs at least 4."
            )
        rho = float(np.corrcoef(own[0][both], own[1][both])[0, 1])
        a, b = (self.effects.slope_weights(k) for k in (0, 1))
        return fisher_estimate(
            f"least-squares {self.effects.label(a, b)}",
            rho,
            (1 - rho**2) / np.sqrt(n - 3),
            n_subjects=n,
            conf_level=self.spec.conf_level,
        )

    def reliability(self) -> pd.DataFrame:
        """Say how much of the variance of least-squares slopes is true.

        Returns
        -------
        pandas.DataFrame
            ``outcome n_subjects slope_sd error_sd reliability``: SD of the true slopes, SD of the
            error of a subject's own slope (root mean square), share of the variance that is true.
            Subjects with a slope of both outcomes.
        """
        own = [own_effects(self.design.sums, k, self._standard(k), self._fixed()) for k in (0, 1)]
        both = np.isfinite(own[0].deviation) & np.isfinite(own[1].deviation)
        rows = []
        for k, name in enumerate(self.spec.outcomes):
            a = self.effects.slope_weights(k)
            true = float(a @ self.variances.D @ a)
            error = float(self.maximum.residual[k] * own[k].error_factor[both].mean())
            rows.append((name, int(both.sum()), true**0.5, error**0.5, true / (true + error)))
        columns = ["outcome", "n_subjects", "slope_sd", "error_sd", "reliability"]
        return pd.DataFrame(rows, columns=columns)

    @property
    def attenuation(self) -> float:
        """Return what the naive correlation is expected to be of the true one: 1 without error."""
        return float(np.sqrt(self.reliability()["reliability"].prod()))

    def slope_regression(self) -> pd.DataFrame:
        """Regress the second outcome's true slope on the first's.

        Returns
        -------
        pandas.DataFrame
            ``term estimate std_error statistic p_value conf_low conf_high``: by how much the
            second slope is higher per unit of the first, and per SD of it.

        Notes
        -----
        ``D_21 / D_11`` and ``D_21 / sqrt(D_11)``, with errors by the delta method.
        """
        a, b = self.effects.slope_weights(0), self.effects.slope_weights(1)
        self._require_variation(a, b)
        made = regression_of(self.variances.D, self.variances.D_covariance, a, b)
        return tabulate_estimates(
            ["per unit", "per SD"],
            np.array([estimate for estimate, _ in made]),
            np.array([error for _, error in made]),
            conf_level=self.spec.conf_level,
        )

    # --- tables ---------------------------------------------------------------------------------

    def correlations(self) -> pd.DataFrame:
        """Tabulate the correlations of all random effects, of both outcomes and within each.

        Returns
        -------
        pandas.DataFrame
            ``term first second estimate std_error statistic p_value conf_low conf_high``: the
            effects' names, and whose they are. Missing where an effect does not vary; without
            intervals where the fit is singular.
        """
        names = self.design.random_names
        rows = []
        for i, j in self.effects.pairs():
            a, b = np.eye(len(names))[[i, j]]
            made = self._fisher(a, b)
            kind = " with ".join(self.effects.kind(k) for k in (i, j))
            rows.append(
                {
                    "term": kind,
                    "first": self.effects.name(i),
                    "second": self.effects.name(j),
                    **{name: getattr(made, name) for name in _NUMBERS},
                }
            )
        return pd.DataFrame(rows, columns=["term", "first", "second", *_NUMBERS])

    def standard_deviations(self) -> pd.DataFrame:
        """Tabulate the SDs of the random effects and residuals.

        Returns
        -------
        pandas.DataFrame
            ``outcome term estimate std_error conf_low conf_high``, in units of the outcome;
            intervals are symmetric on the log scale.
        """
        return tabulate_sds(
            self.variances,
            [(self.spec.outcomes[k], name) for k, name in self.design.random_names],
            self.spec.outcomes,
            conf_level=self.spec.conf_level,
        )

    def table(self) -> pd.DataFrame:
        """Return fixed effects, SDs and correlations in one table.

        Returns
        -------
        pandas.DataFrame
            ``part term estimate std_error statistic p_value conf_low conf_high``, with the parts
            ``mean``, ``sd`` and ``correlation``.
        """
        means = self.coefficients.assign(
            part="mean", term=self.coefficients["outcome"] + ": " + self.coefficients["term"]
        )
        sds = self.standard_deviations()
        sds = sds.assign(part="sd", term=sds["outcome"] + ": " + sds["term"])
        both = self.correlations()
        both = both.assign(part="correlation", term=both["first"] + " with " + both["second"])
        columns = ["part", "term", *_NUMBERS]
        parts = [part.reindex(columns=columns) for part in (means, sds, both)]
        if len(self.variances.residual) == 3:
            made = residual_estimate(
                self.variances, n_subjects=self.n_both, conf_level=self.spec.conf_level
            )
            row = {"part": "correlation", "term": made.label, **vars(made)}
            parts.append(pd.DataFrame([row]).reindex(columns=columns))
        records = [record for part in parts for record in part.to_dict("records")]
        return pd.DataFrame.from_records(records, columns=columns)

    def blups(self) -> pd.DataFrame:
        """Return each subject's predicted deviations from the mean, of both outcomes.

        Returns
        -------
        pandas.DataFrame
            The subject's id, and a column per outcome and effect (``"thalamus_ml: year"``). A
            subject with one outcome only has predictions of the other, from their correlation.
        """
        modes = self.maximum.terms.modes @ self.design.random_map().T
        columns = dict(zip(self.random_covariance.columns, modes.T, strict=True))
        return pd.DataFrame({self.group: list(self.design.subject_ids), **columns})

    # --- display --------------------------------------------------------------------------------

    def headline(self) -> str:
        """Say how the slopes go together, in whom, and whether the fit converged."""
        first, second = self.labels
        origin = "synthetic " if self.origin == "synthetic" else ""
        whom = f"{self.n_subjects} {origin}subjects ({self.n_both} with both)"
        if not self._has_slopes():
            return f"{first} and {second} were modelled together in {whom}; {self._how()}."
        return f"{slopes_in_words(self)}, in {whom}; {self._how()}."

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the correlation of slopes, naive and corrected, with intervals."""
        if self._has_slopes():
            found = [self.naive_slope_correlation(), self.slope_correlation()]
            labels = ["Least-squares slopes", "True slopes (pair model)"]
            frame = pd.DataFrame([vars(made) for made in found]).assign(label=labels)
        else:
            both = self.correlations()
            frame = both.assign(label=both["first"] + " with " + both["second"])
        options = {"reference": 0.0, "x_label": "Correlation", "origin": self.origin, **kws}
        return plot_forest(frame[["label", "estimate", "conf_low", "conf_high"]], ax=ax, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "pair_result/1",
            "spec": to_plain(self.spec),
            "formula": self.spec.formula(),
            "headline": self.headline(),
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "n_both": self.n_both,
            "n_obs": to_plain(self.n_obs),
            "coefficients": to_plain(self.coefficients),
            "random_covariance": to_plain(self.variances.D),
            "random_names": list(self.random_covariance.columns),
            "residual_sd": to_plain(self.residual_sd),
            "residual_correlation": to_plain(self.residual_correlation),
            "correlations": to_plain(self.correlations()),
            "notes": list(self.notes),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }

    def _how(self) -> str:
        """Name the method, and anything that went wrong."""
        log = self.fit_log
        words = f"{self.spec.method} {'converged' if log.converged else 'did NOT converge'}"
        if log.singular:
            words += ", singular: some combination of effects is estimated not to vary"
        return "; ".join([words, *self.notes])

    # --- parts ----------------------------------------------------------------------------------

    def _has_slopes(self) -> bool:
        """Say whether both outcomes have one random slope that varies."""
        if not all(len(self.effects.slopes(k)) == 1 for k in (0, 1)):
            return False
        return all(
            a @ self.variances.D @ a > 0 for a in (self.effects.slope_weights(k) for k in (0, 1))
        )

    def _require_variation(self, a: np.ndarray, b: np.ndarray) -> None:
        """Refuse the correlation of what does not vary."""
        for k, weights in enumerate((a, b)):
            if not weights @ self.variances.D @ weights > 0:
                name = self.design.random_names[int(np.argmax(weights))][1]
                raise DesignError(
                    f"The random effect {name!r} of {self.spec.outcomes[k]} is estimated not to "
                    "vary between subjects, so it has no correlation. More or longer follow-up is "
                    "needed to tell its variation from error."
                )

    def _fisher(self, a: np.ndarray, b: np.ndarray) -> CorrelationEstimate:
        """Return a correlation with Fisher's interval."""
        rho, error = correlation_of(self.variances.D, self.variances.D_covariance, a, b)
        return fisher_estimate(
            self.effects.label(a, b),
            rho,
            error,
            n_subjects=self.n_both,
            conf_level=self.spec.conf_level,
        )

    def _standard(self, outcome: int) -> np.ndarray:
        """Return the weights of an outcome's slope, in its effects on the common scale."""
        sizes = self.design.sums.sizes
        start = sum(sizes[:outcome])
        full = self.design.random_map().T @ self.effects.slope_weights(outcome)
        return full[start : start + sizes[outcome]]

    def _fixed(self) -> np.ndarray:
        """Return the fixed effects on the common scale."""
        return self.maximum.terms.fixed

    def _own_slopes(self) -> list[np.ndarray]:
        """Return each subject's least-squares slope of each outcome, in the user's units."""
        return [
            own_effects(self.design.sums, k, self._standard(k), self._fixed()).deviation
            for k in (0, 1)
        ]


_NUMBERS = ("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high")
