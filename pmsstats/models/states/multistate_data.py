"""From a frame of visits to the arrays of a multi-state model: every check and every exclusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids
from pmsstats.models.events.covariates import check_columns, right_hand_side
from pmsstats.models.events.rows import Rows, check_time, require_columns
from pmsstats.models.formulas.formula import DesignSpec, design_matrices, formula_variables
from pmsstats.models.kernels.states_plan import StatesPlan
from pmsstats.models.states.multistate_spec import label_of
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.models.states.multistate_spec import MultistateSpec

__all__ = ["Covariates", "StatesData", "prepare_states", "reachable"]

_STAGE = "multi-state model"
_SAME_TIME = 9  # decimals of an interval's length, in its unit, that are told apart


@dataclass(frozen=True, kw_only=True, eq=False)
class Covariates:
    """Columns of a design, as distinct rows.

    Parameters
    ----------
    values : ndarray, shape (n_distinct, n_columns)
        In their own units.
    mean, scale : ndarray, shape (n_columns,)
        Of the columns over the rows where they act.
    terms : tuple of str
        Names of the columns.
    design : DesignSpec, optional
        Makes the columns from other data; None where there are none.
    """

    values: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    terms: tuple[str, ...] = ()
    design: DesignSpec | None = None

    def standardised(self) -> np.ndarray:
        """Return the distinct rows, centred and in standard deviations."""
        return (self.values - self.mean) / self.scale


@dataclass(frozen=True, kw_only=True, eq=False)
class StatesData:
    """Visits, checked.

    Parameters
    ----------
    plan : StatesPlan
        All rows, subject by subject.
    movements : StatesPlan
        What the likelihood reads: `plan`; or without misclassification movements from one known
        state to the next, equal ones counted together.
    on_intensities : Covariates
        One distinct row per pattern of `plan`.
    on_ratings : Covariates
        One distinct row per emission matrix of `plan`.
    rows : pandas.DataFrame
        ``subject time state``, subject by subject in time order; state as text.
    subject_ids : tuple of str
        In the order of the plan.
    exclusions : tuple of Exclusion
        Rows and subjects left out.
    """

    plan: StatesPlan
    movements: StatesPlan
    on_intensities: Covariates
    on_ratings: Covariates
    rows: pd.DataFrame
    subject_ids: tuple[str, ...]
    exclusions: tuple[Exclusion, ...]


def prepare_states(data: pd.DataFrame, spec: MultistateSpec) -> StatesData:
    """Check visits and lay them out.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per visit.
    spec : MultistateSpec
        Which columns are what.

    Returns
    -------
    StatesData
        Arrays, labels and exclusions.

    Raises
    ------
    DesignError
        If a column is missing or of the wrong kind; a state is not declared, or declared and never
        seen; a subject has two rows at one time, or rows after death; a covariate is constant or a
        combination of others; without misclassification, if a movement was seen that no allowed
        transitions lead through; if a transition is allowed that no movement can have used.
    """
    columns = [(name, getattr(spec, name)) for name in ("state", "time", "subject")]
    require_columns(data, columns)
    rows = Rows(data, _STAGE, spec.subject)
    rows.drop(rows.frame[spec.subject].isna(), f"no {spec.subject}")
    rows.drop(rows.frame[spec.state].isna(), f"no {spec.state}")
    check_time(rows, spec.time)
    _sort(rows, spec)
    code = _codes(rows, spec)
    _check_death(rows, spec, code)
    _complete_covariates(rows, spec, code)
    _drop_uninformative(rows, spec, code)
    frame = rows.frame.assign(_subject=rows.subject, _code=code[rows.frame.index])
    _check_seen(frame, spec)
    if not spec.is_hidden:
        _check_moves(frame, spec)
    return _lay_out(frame, spec, rows.exclusions)


def _sort(rows: Rows, spec: MultistateSpec) -> None:
    """Put rows in time order within subjects; refuse two at one time."""
    rows.forbid(
        pd.DataFrame({"s": rows.subject, "t": rows.frame[spec.time]}).duplicated(keep=False),
        f"Two rows at the same `{spec.time}`",
        "A subject is in one state at any one time: keep one row per visit.",
    )
    order = np.lexsort([rows.frame[spec.time], pd.factorize(rows.subject)[0]])
    rows.frame = rows.frame.iloc[order].reset_index(drop=True)
    rows.subject = rows.subject.iloc[order].reset_index(drop=True)


def _codes(rows: Rows, spec: MultistateSpec) -> pd.Series:
    """Return what every row shows: a state's number, or that of a censored value."""
    known = [*spec.labels(), *(label_of(label) for label, _ in spec.censored)]
    shown = rows.frame[spec.state].astype(object).map(label_of)
    code = pd.Series(pd.Index(known).get_indexer(shown), index=shown.index)
    rows.forbid(
        code < 0,
        f"Column {spec.state!r} holds {', '.join(map(repr, shown[code < 0].unique()[:5]))}, "
        "which is none of `states`,",
        f"Declared are: {', '.join(known)}. Declare, recode or leave out the others.",
    )
    return code


def _check_death(rows: Rows, spec: MultistateSpec, code: pd.Series) -> None:
    """Refuse rows after death, and death at the first row."""
    if spec.death is None:
        return
    dead = code == spec.death_code
    rows.forbid(
        dead.groupby(rows.subject).cumsum().groupby(rows.subject).shift(fill_value=0) > 0,
        f"A row after {spec.labels()[-1]!r}",
        "Death is a subject's last row.",
    )
    rows.forbid(
        dead & ~rows.subject.duplicated(),
        f"{spec.labels()[-1]!r} at the first row",
        "A subject is seen alive before: leave out those who died at entry.",
    )


def _complete_covariates(rows: Rows, spec: MultistateSpec, code: pd.Series) -> None:
    """Leave out rows without covariates; a last row needs none, for its value acts after it."""
    last = ~rows.subject.duplicated(keep="last")
    for name in _variables(spec.covariates):
        require_columns(rows.frame, [("covariates", name)])
        rows.drop(_is_missing(rows.frame[name]) & ~last[rows.frame.index], f"no {name}")
        missing = _is_missing(rows.frame[name])
        before = rows.frame[name].mask(missing).groupby(rows.subject).shift()
        rows.frame = rows.frame.assign(**{name: rows.frame[name].where(~missing, before)})
        rows.drop(rows.frame[name].isna(), f"no {name}")
    for name in _variables(spec.misclassification_covariates):
        require_columns(rows.frame, [("misclassification_covariates", name)])
        missing = _is_missing(rows.frame[name])
        alive = code[rows.frame.index] != spec.death_code
        rows.drop(missing & alive, f"no {name}")
        before = rows.frame[name].groupby(rows.subject).shift()
        rows.frame = rows.frame.assign(**{name: rows.frame[name].where(~missing, before)})


def _is_missing(values: pd.Series) -> pd.Series:
    """Say which values are missing or infinite."""
    missing = values.isna()
    if pd.api.types.is_float_dtype(values.dtype):
        return missing | np.isinf(values.astype(float))
    return missing


def _variables(covariates: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns that covariates read."""
    rhs = right_hand_side(covariates)
    return tuple(formula_variables(rhs)) if rhs.strip() else ()


def _drop_uninformative(rows: Rows, spec: MultistateSpec, code: pd.Series) -> None:
    """Leave out rows that say nothing: a first state that is not known, subjects seen once."""
    if not spec.is_hidden:
        known = code[rows.frame.index] < len(spec.states)
        seen = known.groupby(rows.subject).cummax()
        rows.drop(~seen, "first state not known")
        once = ~rows.subject.duplicated(keep=False)
        _drop_subjects(rows, once, "seen once: no movement")
    _drop_subjects(rows, _died_at_once(rows, spec, code), "only the row of death is left")
    if rows.subject.duplicated().sum() == 0:
        reasons = "; ".join(f"{e.n}: {e.reason}" for e in rows.exclusions)
        raise DesignError(
            "A multi-state model needs subjects who are seen at two times or more, found none. "
            f"{reasons}".rstrip()
        )


def _died_at_once(rows: Rows, spec: MultistateSpec, code: pd.Series) -> pd.Series:
    """Say which rows are deaths before which every visit was left out."""
    first = ~rows.subject.duplicated()
    return first & (code[rows.frame.index] == spec.death_code)


def _drop_subjects(rows: Rows, mask: pd.Series, reason: str) -> None:
    """Leave out subjects, given by one row of each."""
    left_out = exclude(_STAGE, "subject", reason, rows.subject[mask])
    rows.frame, rows.subject = rows.frame[~mask], rows.subject[~mask]
    rows.exclusions += left_out


def _check_seen(frame: pd.DataFrame, spec: MultistateSpec) -> None:
    """Refuse declared states that no row shows."""
    absent = [s for code, s in enumerate(spec.labels()) if not (frame["_code"] == code).any()]
    if absent:
        raise DesignError(
            f"`states` declares {', '.join(map(repr, absent))}, which none of {len(frame)} rows "
            "shows, so that nothing can be learnt of it. Leave it out, or merge it with its "
            "neighbour."
        )


def reachable(pairs: tuple[tuple[int, int], ...], n_states: int) -> np.ndarray:
    """Say which state can be reached from which.

    Parameters
    ----------
    pairs : tuple of (int, int)
        Allowed transitions.
    n_states : int
        Of which they are.

    Returns
    -------
    ndarray of bool, shape (n_states, n_states)
        A state reaches itself.

    Examples
    --------
    >>> reachable(((0, 1), (1, 2)), 3).astype(int).tolist()
    [[1, 1, 1], [0, 1, 1], [0, 0, 1]]
    """
    found = np.eye(n_states, dtype=bool)
    for r, s in pairs:
        found[r, s] = True
    for _ in range(n_states):
        found = found @ found
    return found


def _check_moves(frame: pd.DataFrame, spec: MultistateSpec) -> None:
    """Refuse movements that no transitions explain, and transitions that no movement supports."""
    n = len(spec.states)
    reach = reachable(spec.allowed(), n)
    known = frame[frame["_code"] < n]
    before = known.groupby("_subject", sort=False)["_code"].shift()
    moved = before.notna()
    origin, target = before[moved].astype(int).to_numpy(), known.loc[moved, "_code"].to_numpy()
    bad = ~reach[origin, target]
    if bad.any():
        ids = known.loc[moved, "_subject"][bad]
        seen = spec.pair_labels(dict.fromkeys(zip(origin[bad], target[bad], strict=True)))
        raise DesignError(
            f"`transitions` do not lead from state to state as seen ({', '.join(seen)}) in "
            f"{int(bad.sum())} row(s) of {ids.nunique()} subject(s) ({first_ids(ids)}). Allow the "
            "way back, or errors of rating by `misclassification`."
        )
    counts = np.zeros((n, n))
    np.add.at(counts, (origin, target), origin != target)
    idle = [
        pair
        for pair in spec.allowed()
        if not counts[np.ix_(reach[:, pair[0]], reach[pair[1], :])].any()
    ]
    if idle:
        raise DesignError(
            f"`transitions` allow {', '.join(spec.pair_labels(idle))}, but no movement that was "
            "seen can have used it: its intensity would be 0. Leave it out."
        )


def _lay_out(
    frame: pd.DataFrame, spec: MultistateSpec, exclusions: tuple[Exclusion, ...]
) -> StatesData:
    """Give numbers to distinct intervals, patterns and ratings."""
    frame = frame.reset_index(drop=True)
    first = ~frame["_subject"].duplicated().to_numpy()
    starts = np.flatnonzero(~first) - 1  # rows at which intervals begin
    on_intensities, pattern = _distinct(frame, starts, spec.covariates, "covariates")
    rated = np.flatnonzero(frame["_code"] != spec.death_code)
    on_ratings, rating = _distinct(
        frame, rated, spec.misclassification_covariates, "misclassification_covariates"
    )
    time = frame[spec.time].to_numpy(dtype=float)
    length = np.round(time[starts + 1] - time[starts], _SAME_TIME)
    distinct, number = np.unique(np.column_stack([pattern, length]), axis=0, return_inverse=True)
    interval = np.full(len(frame), -1)
    interval[starts + 1] = number.ravel()
    all_ratings = np.zeros(len(frame), dtype=int)
    all_ratings[rated] = rating
    code = frame["_code"].to_numpy()
    is_exact = (code == spec.death_code) & (spec.death is not None and spec.exact_death)
    origin, target = np.array(spec.allowed()).T
    plan = StatesPlan(
        n_states=len(spec.states),
        origin=origin,
        target=target,
        interval_time=distinct[:, 1].copy(),
        interval_pattern=distinct[:, 0].astype(int),
        pattern_start=np.searchsorted(distinct[:, 0], np.arange(len(on_intensities.values) + 1)),
        subject_start=np.append(np.flatnonzero(first), len(frame)),
        interval=interval,
        code=code,
        rating=all_ratings,
        exact=np.where(is_exact, spec.death_code, -1),
        weight=np.ones(int(first.sum())),
    )
    shown = frame[spec.state].astype(object).map(label_of)
    rows = pd.DataFrame({"subject": frame["_subject"], "time": time, "state": shown})
    return StatesData(
        plan=plan,
        movements=plan if spec.is_hidden else _movements(plan),
        on_intensities=on_intensities,
        on_ratings=on_ratings,
        rows=rows,
        subject_ids=tuple(rows["subject"][first]),
        exclusions=exclusions,
    )


def _movements(plan: StatesPlan) -> StatesPlan:
    """Cut subjects at every known state; count equal movements together."""
    known = plan.code < plan.n_states
    later = np.flatnonzero(plan.interval >= 0)
    begins = known[later - 1]  # a movement begins after every known state; the first one is known
    block = np.cumsum(begins) - 1
    size = np.bincount(block)
    start = np.append(0, np.cumsum(size))
    is_single = np.repeat(size == 1, size)
    what = np.column_stack([a[later] for a in (plan.interval, plan.code, plan.exact)])
    what = np.column_stack([plan.code[later - 1], what])
    equal, count = np.unique(what[is_single], axis=0, return_counts=True)
    longer = [later[start[b] : start[b + 1]] for b in np.flatnonzero(size > 1)]
    rows = np.concatenate([np.concatenate([[r[0] - 1], r]) for r in longer]) if longer else []
    return _as_plan(plan, equal, count, np.asarray(rows, dtype=int), [len(r) + 1 for r in longer])


def _as_plan(
    plan: StatesPlan, equal: np.ndarray, count: np.ndarray, rows: np.ndarray, sizes: list[int]
) -> StatesPlan:
    """Put movements of two rows, counted, before longer ones."""
    origin, interval, code, exact = equal.T
    absent = np.full(len(equal), -1)
    longer_start = np.cumsum([0, *sizes])[:-1]
    longer_interval = plan.interval[rows]
    longer_interval[longer_start] = -1

    def joined(first: np.ndarray, second: np.ndarray, longer: np.ndarray) -> np.ndarray:
        return np.concatenate([np.column_stack([first, second]).ravel(), longer])

    ends = np.concatenate([2 * np.arange(len(equal) + 1), 2 * len(equal) + np.cumsum(sizes)])
    return plan._replace(
        subject_start=ends.astype(int),
        interval=joined(absent, interval, longer_interval),
        code=joined(origin, code, plan.code[rows]),
        rating=np.zeros(2 * len(equal) + len(rows), dtype=int),
        exact=joined(absent, exact, plan.exact[rows]),
        weight=np.concatenate([count.astype(float), np.ones(len(sizes))]),
    )


def _distinct(
    frame: pd.DataFrame, where: np.ndarray, covariates: str | tuple[str, ...], argument: str
) -> tuple[Covariates, np.ndarray]:
    """Return the distinct covariate rows among some rows of a frame, and which each has."""
    rhs = right_hand_side(covariates)
    if not rhs.strip():
        none = Covariates(values=np.zeros((1, 0)), mean=np.zeros(0), scale=np.zeros(0))
        return none, np.zeros(len(where), dtype=int)
    X, design = design_matrices(rhs, frame.iloc[where])
    X = X.drop(columns="Intercept", errors="ignore")
    if X.shape[1] == 0:
        raise DesignError(f"`{argument}` must name at least one term, got {rhs!r}.")
    if not np.isfinite(X.to_numpy()).all():
        raise DesignError(
            f"`{argument}` {rhs!r} gives values that are no finite numbers. Correct the data, or "
            "the transform (a logarithm needs values above 0)."
        )
    check_columns(X, np.zeros(len(X), dtype=int))
    values, number = np.unique(X.to_numpy(), axis=0, return_inverse=True)
    return (
        Covariates(
            values=values,
            mean=X.to_numpy().mean(axis=0),
            scale=X.to_numpy().std(axis=0),
            terms=tuple(X.columns),
            design=design,
        ),
        number.ravel(),
    )
