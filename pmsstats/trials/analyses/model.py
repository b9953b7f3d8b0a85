"""Any mixed model, one replicate after the other."""

from __future__ import annotations

import warnings

import numpy as np

from pmsstats.errors import ConvergenceWarning, DesignError, PMSStatsError
from pmsstats.models.mixed.lmm import fit_lmm
from pmsstats.trials.analyses.answers import answer, first_sentence
from pmsstats.trials.analyses.frames import TrialFrames, trial_frames
from pmsstats.trials.analyses.layouts import count_by_arm
from pmsstats.trials.analyses.options import check_options, option
from pmsstats.trials.analyses.windows import TrialWindow
from pmsstats.trials.outcomes import AnalysisBatch

__all__ = ["analyse_model"]


def analyse_model(window: TrialWindow) -> AnalysisBatch:
    """Fit a mixed model by formula to each replicate.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits.

    Returns
    -------
    AnalysisBatch
        One coefficient per comparison.

    Raises
    ------
    DesignError
        If there is no formula, a comparison is no arm, or an option is unknown.

    Notes
    -----
    Replicates are fitted one after the other by :func:`~pmsstats.models.mixed.lmm.fit_lmm`, which
    takes some milliseconds each: for models that no other method offers. The formula may name
    ``subject_id``, ``arm`` (reference first), ``year`` (from the start of the window, actual days),
    ``week`` (planned), the measures, ``baseline`` (the endpoint's value at the first visit of the
    window) and what is known at entry. Option ``term`` names the coefficient, with ``{arm}`` for
    the name of the arm; ``"year:arm[T.{arm}]"`` by default. Option ``df_method`` is that of
    `fit_lmm`.
    """
    check_options(window.analysis, "term", "df_method")
    if window.analysis.formula is None or window.comparisons.by_factor:
        raise DesignError(
            f"Analysis {window.analysis.name!r} by method 'model' needs a `formula`, as "
            f"'{window.endpoint.measure} ~ year * arm + (year | subject_id)', and compares arms."
        )
    names = window.comparisons.names
    n = len(window.code)
    frames = trial_frames(window)
    estimate, error, df = np.full((3, n, len(names)), np.nan)
    reason = np.full((n, len(names)), "", dtype=object)
    for row in range(n):
        reason[row] = _fit(frames, row, estimate[row], error[row], df[row])
    values = window.values(window.endpoint.measure)
    return answer(
        window.comparisons,
        estimate=estimate,
        std_error=error,
        df=df,
        counts=count_by_arm(window.code, ~np.isnan(values).all(axis=-1), window.n_arms),
        reason=reason,
        truth_sign=window.sign(),
    )


def _fit(
    frames: TrialFrames, row: int, estimate: np.ndarray, error: np.ndarray, df: np.ndarray
) -> str:
    """Fit one replicate and fill its answers in; return why there is none."""
    window = frames.window
    term = option(window.analysis, "term", "year:arm[T.{arm}]")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fit = fit_lmm(
                frames.visits(row),
                str(window.analysis.formula),
                df_method=option(window.analysis, "df_method", "satterthwaite"),
            )
    except (PMSStatsError, np.linalg.LinAlgError) as failure:
        return first_sentence(failure)
    table = fit.table().set_index("term")
    for k, arm in enumerate(window.comparisons.names):
        name = term.format(arm=arm)
        if name not in table.index:
            raise DesignError(
                f"Option `term` of analysis {window.analysis.name!r} is {name!r}, but the model "
                f"has {', '.join(table.index)}."
            )
        found = table.loc[name]
        estimate[k], error[k] = found["estimate"], found["std_error"]
        df[k] = found["df"] if "df" in table else np.inf
    return ""
