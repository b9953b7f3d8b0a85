"""What a comparison of predictions answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.models.prediction.accuracy import MEASURES
from pmsstats.results import Exclusion, Result, format_interval, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.prediction.spec import PredictionSpec
    from pmsstats.provenance import Origin

__all__ = ["PredictionAccuracyResult"]

_WORDS = {
    "auc": "AUC",
    "brier": "Brier score",
    "scaled_brier": "Scaled Brier score (share explained)",
    "observed_expected": "Observed / expected events",
    "calibration_intercept": "Calibration intercept",
    "calibration_slope": "Calibration slope",
}
_NEUTRAL = {
    "auc": 0.5,
    "scaled_brier": 0.0,
    "observed_expected": 1.0,
    "calibration_intercept": 0.0,
    "calibration_slope": 1.0,
}  # no use, or no error


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PredictionAccuracyResult(Result):
    """Accuracy of predictions from landmarks on.

    Parameters
    ----------
    spec : PredictionSpec
        The request.
    models : tuple of str
        Their names.
    measures : pandas.DataFrame
        ``landmark horizon model measure estimate std_error conf_low conf_high n_subjects
        n_events``; after a bootstrap also ``optimism optimism_mcse corrected corrected_low
        corrected_high``. Measures: see
        :func:`~pmsstats.models.prediction.accuracy.estimate_measures`.
    differences : pandas.DataFrame
        ``landmark horizon measure model reference estimate std_error statistic p_value conf_low
        conf_high``: `model` less `reference`; after a bootstrap also the corrected columns.
    calibration : pandas.DataFrame
        ``landmark horizon model group n_subjects predicted observed conf_low conf_high``.
    predictions : pandas.DataFrame
        The subject's id, then ``landmark horizon model survival``.
    n_bootstrap, n_failed : int
        Resamples that were used, and those that gave no answer.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        What was left out.
    """

    spec: PredictionSpec
    models: tuple[str, ...]
    measures: pd.DataFrame
    differences: pd.DataFrame
    calibration: pd.DataFrame
    predictions: pd.DataFrame
    n_bootstrap: int = 0
    n_failed: int = 0
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say which model discriminated best at the first landmark and horizon, and by how much.

        Returns
        -------
        str
            One sentence; with a bootstrap, of the corrected values.
        """
        first = self.measures.iloc[0]
        here = self.measures[
            (self.measures["landmark"] == first["landmark"])
            & (self.measures["horizon"] == first["horizon"])
            & (self.measures["measure"] == "auc")
        ]
        best = here.loc[here[self._columns()[0]].idxmax()]
        made = "synthetic " if self.origin == "synthetic" else ""
        corrected = ", corrected for optimism" if self.n_bootstrap else ""
        lead = (
            f"{best['model']} discriminated best: AUC"
            if len(self.models) > 1
            else f"{best['model']} discriminated with an AUC of"
        )
        failed = f"; {self.n_failed} resample(s) gave no answer" if self.n_failed else ""
        return (
            f"From {first['landmark']:g} to {first['horizon']:g} among {first['n_subjects']} "
            f"{made}subjects at risk ({first['n_events']} events), {lead} {self._shown(best)}"
            f"{self._against(best)} ({100 * self.spec.conf_level:g} % CI{corrected}){failed}."
        )

    def _columns(self) -> tuple[str, str, str]:
        """Return the columns of estimate and interval that count."""
        if self.n_bootstrap:
            return ("corrected", "corrected_low", "corrected_high")
        return ("estimate", "conf_low", "conf_high")

    def _shown(self, row: pd.Series) -> str:
        """Format an estimate with its interval."""
        return format_interval(*(float(row[c]) for c in self._columns()), decimals=3)

    def _against(self, best: pd.Series) -> str:
        """Say the difference between the best model and the first, or the second."""
        others = [name for name in self.models if name != best["model"]]
        if not others:
            return ""
        rows = self.differences[
            (self.differences["landmark"] == best["landmark"])
            & (self.differences["horizon"] == best["horizon"])
            & (self.differences["measure"] == "auc")
        ]
        both = {best["model"], others[0]}
        row = rows[rows["model"].isin(both) & rows["reference"].isin(both)].iloc[0]
        value, low, high = (float(row[c]) for c in self._columns())
        if row["model"] != best["model"]:
            value, low, high = -value, -high, -low
        return f", {format_interval(value, low, high, decimals=3)} more than {others[0]}"

    def table(self) -> pd.DataFrame:
        """Return the measures of every model (a copy).

        Returns
        -------
        pandas.DataFrame
            As `measures`.
        """
        return self.measures.copy()

    def compare(self, reference: str | None = None, measure: str | None = None) -> pd.DataFrame:
        """Return differences of models on the same subjects.

        Parameters
        ----------
        reference : str, optional
            Keep pairs with this model, all as differences to it.
        measure : {"auc", "brier", "scaled_brier"}, optional
            Keep one measure.

        Returns
        -------
        pandas.DataFrame
            As `differences`. An AUC difference above 0 speaks for `model`, a Brier score
            difference below 0.

        Raises
        ------
        DesignError
            If `reference` is no model, or `measure` is not compared.
        """
        frame = self.differences.copy()
        if measure is not None:
            _known("measure", measure, tuple(dict.fromkeys(frame["measure"])))
            frame = frame[frame["measure"] == measure]
        if reference is not None:
            _known("reference", reference, self.models)
            frame = frame[(frame["model"] == reference) | (frame["reference"] == reference)]
            frame = _turned(frame, frame["model"] == reference)
        return frame.reset_index(drop=True)

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw one measure of every model over the landmarks.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            ``measure=`` (the AUC by default) and ``window=`` (the first by default); the rest is
            handed to :func:`pmsstats.plots.prediction_accuracy.plot_prediction_accuracy`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from pmsstats.plots.prediction_accuracy import plot_prediction_accuracy

        measure = kws.pop("measure", "auc")
        _known("measure", measure, MEASURES)
        window, rows = self._window(self.measures, kws.pop("window", None))
        rows = rows[rows["measure"] == measure]
        columns = dict(zip(self._columns(), ("estimate", "conf_low", "conf_high"), strict=True))
        frame = rows[["landmark", "model", "n_subjects", "n_events", *columns]].rename(
            columns=columns
        )
        frame["model"] = pd.Categorical(frame["model"], categories=self.models)
        options = {
            "y_label": _WORDS[measure] + (", corrected" if self.n_bootstrap else ""),
            "x_label": f"Landmark (event predicted over the next {window:g})",
            "neutral": _NEUTRAL.get(measure),
            "origin": self.origin,
        }
        return plot_prediction_accuracy(frame, ax=ax, **(options | kws))

    def plot_calibration(
        self,
        *,
        landmark: float | None = None,
        window: float | None = None,
        ax: Axes | None = None,
        **kws: Any,
    ) -> Axes:
        """Draw observed against predicted risk in groups of predicted risk.

        Parameters
        ----------
        landmark, window : float, optional
            Which; the first by default.
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.prediction_accuracy.plot_prediction_calibration`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from pmsstats.plots.prediction_accuracy import plot_prediction_calibration

        window, rows = self._window(self.calibration, window)
        landmarks = tuple(dict.fromkeys(rows["landmark"]))
        landmark = landmarks[0] if landmark is None else float(landmark)
        _known("landmark", landmark, landmarks)
        frame = rows[rows["landmark"] == landmark].assign(
            model=lambda d: pd.Categorical(d["model"], categories=self.models)
        )
        options = {
            "x_label": f"Predicted risk from {landmark:g} to {landmark + window:g}",
            "origin": self.origin,
        }
        return plot_prediction_calibration(frame, ax=ax, **(options | kws))

    def _window(self, frame: pd.DataFrame, window: float | None) -> tuple[float, pd.DataFrame]:
        """Take the rows of one window."""
        windows: tuple[float, ...] = self.spec.windows  # type: ignore[assignment]
        window = windows[0] if window is None else float(window)
        _known("window", window, windows)
        return window, frame[(frame["horizon"] - frame["landmark"] - window).abs() < 1e-9]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without the predictions of single subjects.

        Returns
        -------
        dict
            The fields.
        """
        return {
            "schema": "prediction_accuracy_result/1",
            "headline": self.headline(),
            "spec": to_plain(self.spec),
            "models": list(self.models),
            "measures": to_plain(self.measures),
            "differences": to_plain(self.differences),
            "calibration": to_plain(self.calibration),
            "n_bootstrap": self.n_bootstrap,
            "n_failed": self.n_failed,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def _known(argument: str, value: object, options: tuple[Any, ...]) -> None:
    """Refuse a value that the result does not have."""
    if value not in options:
        raise DesignError(
            f"`{argument}` must be one of {', '.join(map(str, options))}, got {value!r}."
            f"{nearest(str(value), map(str, options))}"
        )


def _turned(frame: pd.DataFrame, mask: pd.Series) -> pd.DataFrame:
    """Turn the sign of some differences."""
    turned = frame.copy()
    pairs = [("model", "reference")]
    signed = [c for c in ("estimate", "statistic", "optimism", "corrected") if c in frame]
    limits = [("conf_low", "conf_high"), ("corrected_low", "corrected_high")]
    limits = [pair for pair in limits if pair[0] in frame]
    for a, b in pairs:
        turned.loc[mask, [a, b]] = frame.loc[mask, [b, a]].to_numpy()
    turned.loc[mask, signed] = -frame.loc[mask, signed]
    for a, b in limits:
        turned.loc[mask, [a, b]] = -frame.loc[mask, [b, a]].to_numpy()
    return turned
