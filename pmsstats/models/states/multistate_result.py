"""What a multi-state model answers: intensities, probabilities, errors of rating, true courses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.states.decoding import decoded_rows, prevalence_table
from pmsstats.models.states.multistate_estimates import (
    Estimates,
    covariate_row,
    estimate,
    probabilities_at,
    rates_of_leaving,
)
from pmsstats.models.states.multistate_spec import label_of
from pmsstats.results import Exclusion, FitLog, Result, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.states.multistate_data import StatesData
    from pmsstats.models.states.multistate_layout import Layout
    from pmsstats.models.states.multistate_spec import MultistateSpec
    from pmsstats.provenance import Origin

__all__ = ["MultistateResult"]

_HORIZON = {"year": 2.0, "month": 24.0, "day": 730.5}  # two years
_N_TIMES = 61  # of a curve


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MultistateResult(Result):
    """A fitted multi-state model.

    Parameters
    ----------
    spec : MultistateSpec
        The request.
    fit_log : FitLog
        What the optimiser did.
    coefficients : pandas.DataFrame
        ``kind term estimate std_error statistic p_value conf_low conf_high value value_low
        value_high``. `kind` is ``"intensity"`` (log intensity per unit of time at the means of the
        covariates; `value` is the intensity), ``"effect"`` (log hazard ratio; `value` is the
        hazard ratio), ``"misclassification"`` (log odds of an error of rating against a right
        one; `value` is its probability), ``"misclassification effect"`` (log odds ratio; `value`
        is the odds ratio) or ``"initial"`` (log odds of a true state at the first visit against
        the commonest; `value` is its probability). Terms ``"1 -> 2"`` lead from state 1 to state
        2, or stand for true state 1 rated as 2.
    theta : ndarray, shape (n_parameters,)
        The estimates with covariates in standard deviations, as `layout` reads them.
    covariance : ndarray, shape (n_parameters, n_parameters)
        Of `theta`: the inverse of the observed information; not a number where it is singular.
    n_subjects, n_obs : int
        Subjects, and rows.
    log_likelihood : float
        At the maximum. Without misclassification, given each subject's first state.
    newton_decrement : float
        Squared length, in standard errors, of the Newton step that was still to be made.
    condition : float
        Smallest over largest eigenvalue of the information, scaled to a unit diagonal.
    layout : Layout
        How the parameters act.
    data : StatesData
        The rows analysed.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows and subjects left out.
    """

    spec: MultistateSpec
    fit_log: FitLog
    coefficients: pd.DataFrame
    theta: np.ndarray
    covariance: np.ndarray
    n_subjects: int
    n_obs: int
    log_likelihood: float
    newton_decrement: float
    condition: float
    layout: Layout
    data: StatesData
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say of 100 people in the commonest state where they are two years later.

        Returns
        -------
        str
            One sentence.
        """
        spec, state = self.spec, self._commonest()
        horizon = _HORIZON[spec.time_unit]
        parts = [
            f"{_per_hundred(self._share(state, among, horizon))} {words}"
            for among, words in self._fates(state)
        ]
        rating = "errors of rating allowed for" if spec.is_hidden else "ratings taken as true"
        doubt = "" if self.fit_log.converged else " The fit did NOT converge."
        return (
            f"Multi-state model of {self.n_subjects} subjects with {self.n_obs} visits, {rating}: "
            f"of 100 people in state {spec.labels()[state]}, after {horizon:g} {spec.time_unit}s "
            f"{', '.join(parts)} ({100 * spec.conf_level:g} % CI).{doubt}"
        )

    def table(self) -> pd.DataFrame:
        """Return the estimates (a copy).

        Returns
        -------
        pandas.DataFrame
            Columns as in `coefficients`.
        """
        return self.coefficients.copy()

    def plot(
        self,
        *,
        start: str | int | None = None,
        horizon: float | None = None,
        at: Mapping[str, Any] | None = None,
        ax: Axes | None = None,
        **kws: Any,
    ) -> Axes:
        """Draw where people of one state are later, as stacked shares over time.

        Parameters
        ----------
        start : str or int, optional
            Their state at first; the commonest by default.
        horizon : float, optional
            Last time; two and a half times two years by default.
        at : mapping, optional
            Their covariates; the means by default.
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.states.plot_state_shares`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from pmsstats.plots.states import plot_state_shares

        state = self._commonest() if start is None else self._state("start", start)
        end = 2.5 * _HORIZON[self.spec.time_unit] if horizon is None else horizon
        times = np.linspace(0, end, _N_TIMES)
        X = covariate_row(self.data.on_intensities, at, "at")
        labels = self.spec.labels()
        frame = self._shares(state, X, times)
        options = {
            "x_label": (
                f"{self.spec.time_unit.capitalize()}s since in state {labels[state]} "
                f"(model of {self.n_subjects} subjects)"
            ),
            "death": labels[-1] if self.spec.death is not None else None,
            "origin": self.origin,
        }
        return plot_state_shares(frame, ax=ax, **(options | kws))

    def plot_diagram(self, *, at: Mapping[str, Any] | None = None, ax: Axes | None = None) -> Axes:
        """Draw the states as boxes, and the intensities as arrows between them.

        Parameters
        ----------
        at : mapping, optional
            Covariates; the means by default.
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from pmsstats.plots.states import plot_transitions

        return plot_transitions(
            self.intensities(at),
            states=self.spec.labels(),
            death=self.spec.labels()[-1] if self.spec.death is not None else None,
            unit=self.spec.time_unit,
            origin=self.origin,
            ax=ax,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without the rows analysed.

        Returns
        -------
        dict
            The fields, sojourn times, errors of rating and observed prevalence.
        """
        return {
            "schema": "multistate_result/1",
            "spec": to_plain(self.spec),
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "log_likelihood": self.log_likelihood,
            "newton_decrement": to_plain(self.newton_decrement),
            "condition": to_plain(self.condition),
            "coefficients": to_plain(self.coefficients),
            "covariance": to_plain(self.covariance),
            "sojourn_times": to_plain(self.sojourn_times()),
            "misclassification": to_plain(self.misclassification()),
            "prevalence": to_plain(self.prevalence()),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }

    @property
    def aic(self) -> float:
        """Return Akaike's criterion; lower is better."""
        return -2 * self.log_likelihood + 2 * len(self.theta)

    def intensities(self, at: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Return the intensity of every transition.

        Parameters
        ----------
        at : mapping, optional
            Covariates, every one that the formula reads; the means by default.

        Returns
        -------
        pandas.DataFrame
            ``from_state to_state estimate std_error conf_low conf_high``, per unit of time.
        """
        X = covariate_row(self.data.on_intensities, at, "at")
        found = self._estimate(lambda t: np.exp(self.layout.log_intensities(t, X))[0], "log")
        return self._pair_frame(self.spec.allowed(), found)

    def sojourn_times(self, at: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Return the mean time that a stay in each state lasts.

        Parameters
        ----------
        at : mapping, optional
            Covariates; the means by default.

        Returns
        -------
        pandas.DataFrame
            ``state estimate std_error conf_low conf_high``, in units of time; states that nothing
            leaves are left out.
        """
        X = covariate_row(self.data.on_intensities, at, "at")
        left = sorted({r for r, _ in self.spec.allowed()})
        found = self._estimate(lambda t: 1 / rates_of_leaving(self.layout, t, X)[left], "log")
        states = [self.spec.labels()[r] for r in left]
        return pd.DataFrame({"state": states, **found.columns()})

    def transition_probabilities(
        self, times: float | Sequence[float], at: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return the probability of every state after some time in which covariates stay.

        Parameters
        ----------
        times : float or sequence of float
            In units of time.
        at : mapping, optional
            Covariates; the means by default.

        Returns
        -------
        pandas.DataFrame
            ``time from_state to_state estimate std_error conf_low conf_high``: true states, and
            intervals symmetric on the scale of the log odds.
        """
        X = covariate_row(self.data.on_intensities, at, "at")
        wanted = [float(t) for t in np.atleast_1d(times)]
        found = self._estimate(
            lambda t: probabilities_at(self.layout, t, X, wanted).ravel(), "logit"
        )
        n = len(self.spec.states)
        every = [(r, s) for r in range(n) for s in range(n)] * len(wanted)
        frame = self._pair_frame(every, found)
        frame.insert(0, "time", np.repeat(wanted, n * n))
        return frame

    def misclassification(self, at: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Return the probability of every rating, given the true state.

        Parameters
        ----------
        at : mapping, optional
            Covariates of the errors of rating; the means by default.

        Returns
        -------
        pandas.DataFrame
            ``true_state seen_state estimate std_error conf_low conf_high``; right ratings stand
            in it too. Empty where ratings are taken as true.
        """
        pairs = self.spec.misclassified_pairs()
        W = covariate_row(self.data.on_ratings, at, "at")
        pairs = sorted({*pairs, *((r, r) for r, _ in pairs)})
        true, seen = np.array(pairs, dtype=int).reshape(-1, 2).T
        found = self._estimate(lambda t: self.layout.emissions(t, W)[0][true, seen], "logit")
        frame = self._pair_frame(pairs, found)
        return frame.rename(columns={"from_state": "true_state", "to_state": "seen_state"})

    def initial_probabilities(self) -> pd.DataFrame:
        """Return the probability of every true state at the first visit.

        Returns
        -------
        pandas.DataFrame
            ``state estimate std_error conf_low conf_high``.

        Raises
        ------
        DesignError
            If ratings are taken as true: the first state is seen then.
        """
        if not self.spec.is_hidden:
            raise DesignError(
                "`initial_probabilities` belong to a model with `misclassification`; without, the "
                "first state of every subject is seen."
            )
        found = self._estimate(self.layout.initial, "logit")
        return pd.DataFrame({"state": self.spec.labels(), **found.columns()})

    def decode(self) -> pd.DataFrame:
        """Return the most probable true state at every visit.

        Returns
        -------
        pandas.DataFrame
            ``subject time state most_probable on_likeliest_course`` and a column ``probability
            <state>`` per state: `state` is what was seen; `most_probable` the true state of
            highest probability given all visits of the subject, before and after (the last
            columns hold these probabilities); `on_likeliest_course` belongs to the single most
            probable course (Viterbi), which takes no impossible steps.
        """
        return decoded_rows(self.layout, self.data, self.theta, self.spec)

    def prevalence(self, times: Sequence[float] | None = None) -> pd.DataFrame:
        """Compare the shares seen in every state with those that the model expects.

        Parameters
        ----------
        times : sequence of float, optional
            Since each subject's first visit; six by default, up to the time when a tenth of the
            subjects are still followed.

        Returns
        -------
        pandas.DataFrame
            ``time state n_at_risk observed_share expected_share``; `n_at_risk` counts those who
            are alive and still followed.

        Notes
        -----
        The observed share of a living state is its share at the last visit so far among those
        still followed, times the Kaplan-Meier survival; that of death is the rest. Expected
        shares start from each subject's first state (with misclassification from the initial
        probabilities), with the covariates of the first visit, and include errors of rating. An
        informal check of the model, in the manner of R's ``msm::prevalence.msm`` (which keeps the
        dead among those followed for ever, so that its observed share of death is too high where
        the living are lost).
        """
        return prevalence_table(self.layout, self.data, self.theta, self.spec, times)

    def _estimate(self, function: Any, link: str) -> Estimates:
        """Apply the delta method."""
        return estimate(
            function, self.theta, self.covariance, link=link, conf_level=self.spec.conf_level
        )

    def _pair_frame(self, pairs: Sequence[tuple[int, int]], found: Estimates) -> pd.DataFrame:
        """Label estimates of pairs of states."""
        labels = self.spec.labels()
        return pd.DataFrame(
            {
                "from_state": np.array([labels[r] for r, _ in pairs], dtype=object),
                "to_state": np.array([labels[s] for _, s in pairs], dtype=object),
                **found.columns(),
            }
        )

    def _shares(self, state: int, X: np.ndarray, times: np.ndarray) -> pd.DataFrame:
        """Return the shares of people of one state at some times, with intervals of their sums."""
        labels = self.spec.labels()

        def so_far(theta: np.ndarray) -> np.ndarray:
            return (
                probabilities_at(self.layout, theta, X, times)[0, :, state].cumsum(axis=1).ravel()
            )

        sums = self._estimate(so_far, "logit")
        shares = probabilities_at(self.layout, self.theta, X, times)[0, :, state]
        return pd.DataFrame(
            {
                "time": np.repeat(times, len(labels)),
                "state": pd.Categorical(
                    np.tile(labels, len(times)), categories=labels, ordered=True
                ),
                "share": shares.ravel(),
                "conf_low": sums.conf_low,
                "conf_high": sums.conf_high,
            }
        )

    def _state(self, argument: str, state: str | int) -> int:
        """Return the number of a state."""
        labels = self.spec.labels()
        if label_of(state) not in labels:
            raise DesignError(f"`{argument}` must be one of {', '.join(labels)}, got {state!r}.")
        return labels.index(label_of(state))

    def _commonest(self) -> int:
        """Return the state, of those that can be left, that is seen most often."""
        n = len(self.spec.states)
        counts = np.bincount(self.data.plan.code, minlength=n)[:n]
        return max(sorted({r for r, _ in self.spec.allowed()}), key=lambda s: counts[s])

    def _fates(self, state: int) -> list[tuple[list[int], str]]:
        """Return the groups of states that people of one state may be in later, with words."""
        n, death = len(self.spec.states), self.spec.death_code
        living = [s for s in range(n) if s != death]
        groups = [
            ([s for s in living if s > state], "are in a worse state"),
            ([s for s in living if s < state], "in a better one"),
            ([death] if death >= 0 else [], "have died"),
        ]
        shares = probabilities_at(self.layout, self.theta, self._mean(), [1.0])[0, 0, state]
        return [(among, words) for among, words in groups if shares[among].sum() > 0]

    def _mean(self) -> np.ndarray:
        """Return the means of the covariates."""
        return covariate_row(self.data.on_intensities, None, "at")

    def _share(self, state: int, among: list[int], time: float) -> Estimates:
        """Return the probability of being in some states after a time."""
        return self._estimate(
            lambda t: probabilities_at(self.layout, t, self._mean(), [time])[0, 0, [state]][
                :, among
            ].sum(axis=1),
            "logit",
        )


def _per_hundred(share: Estimates) -> str:
    """Say how many of 100, with the interval; in tenths where they are few."""
    values = [100 * v[0] for v in (share.estimate, share.conf_low, share.conf_high)]
    digits = 0 if values[0] >= 1 else 1
    if not np.isfinite(values).all():
        return f"{values[0]:.{digits}f}"
    return f"{values[0]:.{digits}f} ({values[1]:.{digits}f} to {values[2]:.{digits}f})"
