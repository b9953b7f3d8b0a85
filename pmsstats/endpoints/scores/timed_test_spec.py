"""How trials of timed tests become tests: columns, codes and conventions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pmsstats.endpoints.scores.task_failure import TaskFailureConvention, task_failure_convention
from pmsstats.errors import DesignError, nearest

__all__ = ["HandMean", "TimedTestSpec", "plain_code"]

HandMean = Literal["mean_of_times", "mean_of_reciprocals"]
_OneMissing = Literal["other_trial", "missing"]
_OneFailed = Literal["average", "completed_trial", "failed"]

_TRIALS = tuple(
    (f"{test}_s", (f"{test}_trial1_s", f"{test}_trial2_s"))
    for test in ("t25fw", "nhpt_dominant", "nhpt_nondominant")
)


@dataclass(frozen=True, kw_only=True)
class TimedTestSpec:
    """How trials become a test.

    Parameters
    ----------
    trials : tuple of tuple
        Pairs of the measure and the columns of its trials. By default two trials each of
        ``t25fw_s``, ``nhpt_dominant_s`` and ``nhpt_nondominant_s``, in columns such as
        ``t25fw_trial1_s``.
    hands : {"mean_of_times", "mean_of_reciprocals"}, default "mean_of_times"
        How ``nhpt_s`` is made of the two hands, see :func:`mean_of_hands`.
    failure : str or TaskFailureConvention, default "time_limit"
        What a trial counts that could not be done because of the disease: a key in
        :data:`~pmsstats.endpoints.scores.task_failure.TASK_FAILURES`, or one of your own.
    failure_texts : tuple of str
        Texts that mean so; capitals and spaces around them do not matter.
    failure_codes : tuple of float
        Numbers that mean so, for example ``(777,)``. None by default: 777, 888 and 999 are used
        for different things.
    missing_texts : tuple of str
        Texts that mean: not done, for another reason.
    missing_codes : tuple of float
        Numbers that mean: not done, for another reason.
    one_missing : {"other_trial", "missing"}, default "other_trial"
        Whether the other trial stands for the test where one is missing.
    one_failed : {"average", "completed_trial", "failed"}, default "average"
        What counts where one trial failed and another did not: the mean of the time and the
        value of the convention, the completed trial alone, or the failure alone.

    Raises
    ------
    DesignError
        If an option is unknown, a text or code means two things, or a measure has no trials.
    """

    trials: tuple[tuple[str, tuple[str, ...]], ...] = _TRIALS
    hands: HandMean = "mean_of_times"
    failure: str | TaskFailureConvention = "time_limit"
    failure_texts: tuple[str, ...] = ("unable", "unable to complete", "could not complete")
    failure_codes: tuple[float, ...] = ()
    missing_texts: tuple[str, ...] = ("", "na", "n/a", "nd", "not done", ".")
    missing_codes: tuple[float, ...] = ()
    one_missing: _OneMissing = "other_trial"
    one_failed: _OneFailed = "average"

    def __post_init__(self) -> None:
        """Check options, and that nothing means two things."""
        for name, options in (
            ("hands", get_args(HandMean)),
            ("one_missing", get_args(_OneMissing)),
            ("one_failed", get_args(_OneFailed)),
        ):
            value = getattr(self, name)
            if value not in options:
                raise DesignError(
                    f"`{name}` must be one of {', '.join(options)}, got {value!r}."
                    f"{nearest(str(value), options)}"
                )
        task_failure_convention(self.failure)
        for kind in ("texts", "codes"):
            failed, missing = (getattr(self, f"{which}_{kind}") for which in ("failure", "missing"))
            both = {plain_code(item) for item in failed} & {plain_code(item) for item in missing}
            if both:
                raise DesignError(
                    f"`failure_{kind}` and `missing_{kind}` both name {min(map(str, both))!r}. A "
                    "test that could not be done is worth a value, a test not done is missing: "
                    "decide for one."
                )
        if not self.trials or not all(columns for _, columns in self.trials):
            raise DesignError(
                "`trials` must pair each measure with the columns of its trials, for example "
                f"(('t25fw_s', ('walk_1', 'walk_2')),), got {self.trials!r}."
            )


def plain_code(item: str | float) -> str | float:
    """Return a code so that equal ones compare equal.

    Parameters
    ----------
    item : str or float
        A text or a number.

    Returns
    -------
    str or float
        Texts without capitals and spaces around them; numbers as they are.
    """
    return item.strip().casefold() if isinstance(item, str) else float(item)
