"""Any analysis at all: an importable function, one replicate after the other."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.errors import ConvergenceWarning, DesignError, PMSStatsError, nearest
from pmsstats.trials.analyses.answers import NO_SUBJECTS, answer, first_reason, first_sentence
from pmsstats.trials.analyses.endpoint_kinds import is_event
from pmsstats.trials.analyses.event_times import EventTimes, event_times
from pmsstats.trials.analyses.frames import TrialFrames, trial_frames
from pmsstats.trials.analyses.layouts import count_by_arm
from pmsstats.trials.analyses.options import COMMON_OPTIONS, check_choices, option
from pmsstats.trials.analyses.windows import TrialWindow
from pmsstats.trials.outcomes import AnalysisBatch

__all__ = ["analyse_function"]

_OWN = ("function", "benefit", *COMMON_OPTIONS)
_COLUMNS = ("comparison", "estimate", "std_error")
_NO_ROW = "the function gives no row for this comparison"
_EXAMPLE = "'package.module:name'"


def analyse_function(window: TrialWindow) -> AnalysisBatch:
    """Hand each replicate to a function of the user, and take the comparisons that it returns.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits.

    Returns
    -------
    AnalysisBatch
        What the function estimates, tested against 0 with its standard errors.

    Raises
    ------
    DesignError
        If the function cannot be imported or called, what it returns is no table of comparisons,
        or an option, strategy or field does not fit.

    Notes
    -----
    Option ``function`` is ``"package.module:name"``. It is called as ``function(visits, subjects,
    **options)`` for each replicate, with all other options of the analysis, and returns a
    :class:`pandas.DataFrame`, or a list of mappings, with the columns ``comparison`` (the name of
    a treated arm, or of a factor), ``estimate``, ``std_error`` and, if the test is one of t,
    ``df``. ``visits`` and ``subjects`` are those of
    :class:`~pmsstats.trials.analyses.frames.TrialFrames`; both are the function's own to change.
    If the endpoint is a time to an event, ``subjects`` has ``duration`` and ``event``, and those
    who are not at risk are in neither frame. An arm without anybody to analyse is no category of
    ``arm``, and needs no row.

    The same frames must give the same answer: a function that draws random numbers seeds itself.
    An error of this package, or of numpy's linear algebra, counts as a failed replicate with its
    first sentence as the reason, as do a comparison that is left out and numbers that are not
    finite; other errors stop the simulation.

    Option ``benefit`` says whether ``"higher"`` or ``"lower"`` estimates are the patient's gain:
    by default what the endpoint says is better, and for times to an event lower ones, as of a log
    hazard ratio (of a gain of time, say higher).
    """
    _check_request(window)
    function = _load(window)
    endpoint_is_event = is_event(window.data, window.endpoint)
    times = event_times(window) if endpoint_is_event else None
    frames = trial_frames(window, times)
    counts, n_events = _counts(frames)
    none = (window.comparisons.n_with(counts) == 0) | (window.comparisons.n_without(counts) == 0)
    estimate, error, df = np.full((3, *none.shape), np.nan)
    failed = np.full(none.shape, "", dtype=object)
    for row in np.flatnonzero(~none.all(axis=1)):
        both = tuple(_of_arms(f(row), counts[row]) for f in (frames.visits, frames.subjects))
        failed[row] = _run(function, window, both, (estimate[row], error[row], df[row]))
    reason = np.where(none, first_reason(none.shape, (none, NO_SUBJECTS)), failed)
    return answer(
        window.comparisons,
        estimate=estimate,
        std_error=error,
        df=df,
        counts=counts,
        n_events=n_events,
        reason=reason,
        truth_sign=_sign(window, times),
    )


def _check_request(window: TrialWindow) -> None:
    """Refuse fields that nobody would look at, and strategies that the frames cannot follow."""
    analysis = window.analysis
    check_choices(analysis)
    given = [name for name in ("formula", "covariates") if getattr(analysis, name)]
    if given:
        raise DesignError(
            f"Analysis {analysis.name!r} by method 'function' has no use for `{given[0]}`: what is "
            "known at entry is in both frames. Hand it to the function among the `options`."
        )
    if window.strategy.failure is not None and not is_event(window.data, window.endpoint):
        raise DesignError(
            f"Method 'function' of analysis {analysis.name!r} can follow the strategy 'composite' "
            "for times to an event only. Take 'hypothetical', 'while_on_treatment' or "
            "'treatment_policy'."
        )


def _sign(window: TrialWindow, times: EventTimes | None) -> int:
    """Return 1 where higher estimates are the patient's gain, else -1."""
    benefit = option(window.analysis, "benefit", None)
    if benefit is None:
        return window.sign() if times is None else times.truth_sign
    if benefit not in ("higher", "lower"):
        raise DesignError(
            f"Option `benefit` of analysis {window.analysis.name!r} must be 'higher' or 'lower' "
            f"(which estimates are the patient's gain), got {benefit!r}."
        )
    return 1 if benefit == "higher" else -1


def _load(window: TrialWindow) -> Callable[..., Any]:
    """Import the function, and see that it takes the frames and the options."""
    where = f"Option `function` of analysis {window.analysis.name!r}"
    name = option(window.analysis, "function", None)
    module_name, colon, attribute = name.partition(":") if isinstance(name, str) else ("", "", "")
    if not (module_name and colon and attribute):
        raise DesignError(
            f"{where} must name a function that can be imported, as {_EXAMPLE}, got {name!r}."
        )
    try:
        module = importlib.import_module(module_name)
    except ImportError as exc:
        raise DesignError(
            f"{where} is {name!r}, but {module_name!r} cannot be imported: {exc}. Put the "
            "directory of its module on PYTHONPATH, here and for every worker, or install it."
        ) from exc
    found = getattr(module, attribute, None)
    if not callable(found):
        has = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        raise DesignError(
            f"{where} is {name!r}, but {module_name!r} has no function {attribute!r}."
            f"{nearest(attribute, has)} It has: {', '.join(has) or 'none'}."
        )
    try:
        inspect.signature(found).bind(None, None, **_keywords(window))
    except TypeError as exc:
        raise DesignError(
            f"{where} is {name!r}, which cannot be called with visits, subjects and the options "
            f"{', '.join(_keywords(window)) or '(none)'}: {exc}. It takes "
            f"{inspect.signature(found)}."
        ) from exc
    return found  # type: ignore[no-any-return]


def _keywords(window: TrialWindow) -> dict[str, Any]:
    """Return the options that are handed on."""
    return {name: value for name, value in window.analysis.options.items() if name not in _OWN}


def _counts(frames: TrialFrames) -> tuple[np.ndarray, np.ndarray | None]:
    """Return subjects by arm, and events by comparison."""
    window = frames.window
    if frames.times is None:
        seen = ~np.isnan(frames.measures[window.endpoint.measure]).all(axis=-1)
        return count_by_arm(window.code, seen, window.n_arms), None
    counts = count_by_arm(window.code, frames.times.at_risk, window.n_arms)
    events = count_by_arm(window.code, frames.times.event, window.n_arms)
    return counts, window.comparisons.n_with(events) + window.comparisons.n_without(events)


def _of_arms(frame: pd.DataFrame, counts: np.ndarray) -> pd.DataFrame:
    """Leave out arms without anybody to analyse, also as categories."""
    if counts.all():
        return frame
    present = frame["arm"].cat.categories[counts > 0]
    frame = frame[frame["arm"].isin(present)].reset_index(drop=True)
    return frame.assign(arm=frame["arm"].cat.set_categories(present))


def _run(
    function: Callable[..., Any],
    window: TrialWindow,
    frames: tuple[pd.DataFrame, ...],
    into: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> Sequence[str] | str:
    """Analyse one replicate and fill its answers in; return why there are none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = function(*frames, **_keywords(window))
    except (PMSStatsError, np.linalg.LinAlgError) as failure:
        return first_sentence(failure)
    except Exception as failure:
        failure.add_note(
            f"Raised by the function {window.analysis.options['function']!r} of analysis "
            f"{window.analysis.name!r}."
        )
        raise
    table = _table(window, found)
    for place, name in enumerate(window.comparisons.names):
        for numbers, column in zip(into, ("estimate", "std_error", "df"), strict=True):
            numbers[place] = table[column].get(name, np.nan)
    return ["" if name in table.index else _NO_ROW for name in window.comparisons.names]


def _table(window: TrialWindow, found: Any) -> pd.DataFrame:
    """Check what a function returned; by comparison."""
    says = (
        f"The function {window.analysis.options['function']!r} of analysis "
        f"{window.analysis.name!r} must return"
    )
    if isinstance(found, Sequence) and all(isinstance(row, Mapping) for row in found):
        found = pd.DataFrame(list(found), columns=None if found else list(_COLUMNS))
    if not isinstance(found, pd.DataFrame):
        raise DesignError(
            f"{says} a pandas.DataFrame, or a list of mappings, with the columns "
            f"{', '.join(_COLUMNS)} and, if wanted, df; got {type(found).__name__}."
        )
    for name in _COLUMNS:
        if name not in found:
            raise DesignError(
                f"{says} the columns {', '.join(_COLUMNS)}, but there is no {name!r}."
                f"{nearest(name, map(str, found))} It has: {', '.join(map(str, found)) or 'none'}."
            )
    names = [str(name) for name in found["comparison"]]
    known = window.comparisons.names
    wrong = [name for name in names if name not in known or names.count(name) > 1]
    if wrong:
        raise DesignError(
            f"{says} one row per comparison, of {', '.join(map(repr, known))}; got "
            f"{', '.join(map(repr, names))}.{nearest(wrong[0], known)}"
        )
    table = found.assign(df=found.get("df", np.inf))
    try:
        return table[["estimate", "std_error", "df"]].astype(float).set_axis(names, axis=0)
    except (TypeError, ValueError) as exc:
        raise DesignError(f"{says} numbers: {exc}.") from exc
