"""Hypothesis strategies: valid progression rules, any field away from its default.

What a field may be depends on the others; so the fields are drawn one after the other, and no rule
that is drawn is refused.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from hypothesis import strategies as st

from pmsstats.endpoints import (
    PRESETS,
    AbsoluteThreshold,
    CombinedThreshold,
    CompositeRule,
    ExitEventRule,
    LesionEventRule,
    LesionFree,
    LevelCondition,
    LevelThreshold,
    ProgressionRule,
    RecordedEventRule,
    RelapseEventRule,
    RelapseFree,
    RelativeThreshold,
    StepThreshold,
    VolumeLossRule,
)

WORSENING = {"edss": "increase", "t25fw_s": "increase", "sdmt": "decrease", "own_score": None}
"""Outcomes that are drawn, and which change of them the package knows to be worse."""

SYSTEMS = ("fs_pyramidal", "fs_cerebellar", "fs_bowel_bladder")
Rule = dict[str, Any]


def day_pairs(most: int = 200) -> st.SearchStrategy[tuple[int, int]]:
    """Draw days before and after a visit, at least one of them above 0."""
    return st.tuples(st.integers(0, most), st.integers(0, most)).filter(any)


changes = st.sampled_from((0.25, 0.5, 1.0, 1.5, 3, 4.0)).map(lambda c: AbsoluteThreshold(change=c))
shares = st.sampled_from((0.1, 0.15, 0.2, 0.25)).map(lambda f: RelativeThreshold(fraction=f))
step_tables = st.sampled_from(
    (
        ((5.5, 1.0), (math.inf, 0.5)),
        ((5.0, 1.0), (math.inf, 0.5)),
        ((0.0, 1.5), (5.5, 1.0), (math.inf, 0.5)),
    )
).map(lambda steps: StepThreshold(steps=steps))
combinations = st.builds(
    CombinedThreshold,
    parts=st.sampled_from(((0, 1), (1, 2), (0, 1, 2))).flatmap(
        lambda which: st.tuples(*((changes, shares, step_tables)[at] for at in which))
    ),
    take=st.sampled_from(("smallest", "largest")),
)
thresholds = st.one_of(changes, shares, step_tables, combinations)
"""Amounts of change; levels are drawn with the rule that asks for them."""


@st.composite
def relapse_free(draw: st.DrawFn) -> RelapseFree:
    """Draw intervals, apart or joined, around any reference visit."""
    join_first, join_second = draw(st.booleans()), draw(st.booleans())
    before = [draw(st.integers(0, 120)) for _ in range(3)]
    after = [draw(st.integers(0, 120)) for _ in range(3)]
    reference = (before[0], None if join_first else after[0])
    around = {"reference_visit": draw(st.sampled_from(("baseline", "last", "last_unchanged")))}
    return RelapseFree(
        reference=reference,
        onset=(None if join_first else before[1], None if join_second else after[1]),
        confirmation=(None if join_second else before[2], after[2]),
        **(around if reference != (0, 0) else {}),
    )


def lesion_free(*, confirmed: bool) -> st.SearchStrategy[LesionFree]:
    """Draw intervals without lesions; around confirmation only where there is one."""
    nowhere = st.just((0, 0))
    return st.builds(
        LesionFree,
        measures=st.sampled_from((("new_t2_count",), ("new_t2_count", "gd_lesion_count"))),
        onset=day_pairs(),
        confirmation=st.one_of(nowhere, day_pairs()) if confirmed else nowhere,
        scan_required=st.booleans(),
    )


def level_conditions(outcome: str) -> st.SearchStrategy[LevelCondition]:
    """Draw bounds on a measure."""
    bounds = {
        "at_least": {"at_least": 2.0},
        "at_most": {"at_most": 4.5},
        "both": {"at_least": 2, "at_most": 4.5},
    }
    return st.sampled_from(tuple(bounds.values())).map(
        lambda kws: LevelCondition(outcome=outcome, **kws)
    )


class _Drawing:
    """Fields of one rule, drawn one after the other."""

    def __init__(self, draw: st.DrawFn, fields: Rule) -> None:
        self.draw = draw
        self.fields = fields

    def maybe(self, name: str, values: st.SearchStrategy[Any], *, when: bool = True) -> None:
        """Draw a field, or leave it at its default."""
        if when and self.draw(st.booleans()):
            self.fields[name] = self.draw(values)

    def get(self, name: str, default: Any) -> Any:
        """Return what was drawn for a field."""
        return self.fields.get(name, default)


def _draw_confirmation(d: _Drawing, *, columns: bool) -> None:
    """Draw windows and what must hold in them."""
    several = st.lists(st.sampled_from((4, 8, 12, 24, 48)), min_size=2, max_size=3, unique=True)
    d.maybe(
        "confirm_weeks",
        st.one_of(st.sampled_from((4, 12, 24)), several.map(sorted).map(tuple)),
    )
    weeks = d.get("confirm_weeks", ())
    weeks = weeks if isinstance(weeks, tuple) else (weeks,)
    confirmed = bool(weeks)
    early = st.integers(0, 27)  # shorter than four weeks, the first window and the shortest gap
    late = st.sampled_from((0, 7, 30, 90.5, math.inf))
    each = len(weeks)
    d.maybe("confirm_tolerance_days", st.one_of(early, st.tuples(*[early] * each)), when=confirmed)
    d.maybe("confirm_late_days", st.one_of(late, st.tuples(*[late] * each)), when=confirmed)
    d.maybe("confirm_intermediate", st.booleans(), when=confirmed)
    d.maybe("confirm_level", st.sampled_from(("threshold", "onset")), when=confirmed)
    longest = 7 * max(weeks, default=0)
    lasting = st.sampled_from((longest, longest + 90, math.inf))
    d.maybe("sustain_days", lasting, when=confirmed)
    chance = st.sampled_from((0.5, 1, 1.0))
    d.maybe("impute_last_visit", chance, when=confirmed)
    imputes = "impute_last_visit" in d.fields
    d.maybe("impute_within_days", st.integers(1, 800), when=imputes)
    reasons = st.sampled_from((("dropout",), ("dropout", "death")))
    d.maybe("impute_reasons", reasons, when=imputes and columns)
    d.maybe("relapse_to_confirmation_days", day_pairs(), when=confirmed)


def _draw_events(d: _Drawing, *, improves: bool) -> None:
    """Draw which events count, and how relapses tell them apart."""
    of_a_class = () if improves else ("first_pira", "first_raw")
    d.maybe("events", st.sampled_from(("first", "first_either", "multiple", *of_a_class)))
    events = d.get("events", "first")
    d.maybe("classify_relapses", st.booleans(), when=not (improves and events == "first"))
    d.maybe("relapse_to_baseline_days", day_pairs())
    d.maybe("relapse_to_onset_days", day_pairs(90))  # an onset on day 90 is still RAW


def _draw_intervals(d: _Drawing, *, columns: bool) -> None:
    """Draw the intervals of RAW and PIRA."""
    events = d.get("events", "first")
    told_apart = d.get("classify_relapses", False) or events in ("first_pira", "first_raw")
    follows_raw = d.get("baseline", "fixed") in ("roving", "roving_worsening")
    pira = told_apart and (events != "first_raw" or follows_raw)
    d.maybe("raw_days", st.tuples(st.integers(90, 120), st.integers(0, 90)), when=told_apart)
    d.maybe("relapse_free", relapse_free(), when=pira)
    lesions = lesion_free(confirmed="confirm_weeks" in d.fields)
    d.maybe("lesion_free", lesions, when=pira and columns)


def _draw_baseline(d: _Drawing) -> None:
    """Draw the first baseline."""
    d.maybe("baseline_visit", st.sampled_from(("day_0", "first")))
    by_day = d.get("baseline_visit", "day_0") == "day_0"
    d.maybe("baseline_window_days", st.integers(0, 60), when=by_day)
    d.maybe("baseline_range", st.sampled_from(((2.0, 5.5), (-math.inf, 5.5), (2, math.inf))))
    d.maybe("min_days_from_baseline", st.integers(0, 200))


def _draw_moves(d: _Drawing) -> None:
    """Draw how the baseline moves; never so that every event it follows ends the search."""
    go_on = d.get("events", "first") in ("multiple", "first_pira")
    unsustained = d.get("sustain_days", 0) > 0
    schemes = ("roving_improvement", "roving_worsening") if go_on or unsustained else ()
    roving = () if d.get("events", "first") == "first_either" and not unsustained else ("roving",)
    d.maybe("baseline", st.sampled_from(("fixed", *roving, *schemes)))
    scheme = d.get("baseline", "fixed")
    moves = scheme != "fixed"
    confirmed = "confirm_weeks" in d.fields
    allowed = {"roving": ("improvement", "worsening")}
    which = ("none", "any", *allowed.get(scheme, (scheme.removeprefix("roving_"),)))
    d.maybe("subthreshold_rebaseline", st.sampled_from(which), when=moves and confirmed)
    d.maybe("rebaseline_after_relapse", st.booleans())
    moved = moves or d.get("rebaseline_after_relapse", False)
    d.maybe("baseline_never_better", st.booleans(), when=moved and scheme != "roving_improvement")
    goes_on = moves or d.get("events", "first") == "multiple"
    d.maybe("continue_from", st.sampled_from(("confirmation", "onset")), when=goes_on and confirmed)
    d.maybe("skip_local_extrema", st.sampled_from(("none", "strict", "all")))
    at_onset = d.get("continue_from", "") == d.get("confirm_level", "") == "onset"
    nearest = at_onset and d.get("subthreshold_rebaseline", "none") == "none"
    values = st.sampled_from(("visit", "least_changed"))
    d.maybe("moved_baseline_value", values, when=moves and confirmed and not nearest)


def _draw_thresholds(d: _Drawing, *, improves: bool, columns: bool) -> None:
    """Draw how much change counts, in both directions where both matter."""
    d.fields["threshold"] = d.draw(thresholds)
    both = d.get("events", "first") in ("first_either", "multiple")
    strict = d.get("skip_local_extrema", "none") == "strict"
    against = "roving_worsening" if improves else "roving_improvement"
    opposite = both or d.get("baseline", "fixed") in ("roving", against)
    d.maybe("opposite_threshold", thresholds, when=opposite or strict)
    weeks = st.sampled_from((4, 12, 39)).filter(lambda w: w != d.get("confirm_weeks", None))
    d.maybe("opposite_confirm_weeks", weeks, when=opposite and "confirm_weeks" in d.fields)
    used = (d.fields["threshold"], d.get("opposite_threshold", d.fields["threshold"]))
    varies = any(not isinstance(threshold, AbsoluteThreshold) for threshold in used)
    d.maybe("threshold_from", st.just("nhpt_s"), when=varies and columns)


def _draw_level(d: _Drawing) -> None:
    """Draw a milestone, with baselines that have not reached it."""
    level = d.draw(st.sampled_from((4, 6.0, 7.0)))
    d.fields["threshold"] = LevelThreshold(level=level)
    below = (-math.inf, level - 0.5) if d.fields["direction"] == "increase" else (level + 0.5, 9.0)
    d.fields.pop("baseline_range", None)  # which may have reached it
    d.maybe("baseline_range", st.just(below))


def _draw_columns(d: _Drawing, *, improves: bool) -> None:
    """Draw what needs other columns of the visits table."""
    conditions = st.tuples(level_conditions("fs_pyramidal"), level_conditions("pasat3"))
    d.maybe("onset_conditions", conditions.flatmap(lambda c: st.sampled_from((c[:1], c))))
    confirmed = "confirm_weeks" in d.fields
    visits = st.sampled_from(("onset", "confirmation"))
    d.maybe("condition_visits", visits, when=confirmed and "onset_conditions" in d.fields)
    systems = st.lists(st.sampled_from(SYSTEMS), min_size=1, unique=True).map(tuple)
    d.maybe("leading_systems", systems, when=not improves)
    d.maybe("leading_step", st.sampled_from((0.5, 2.0)), when="leading_systems" in d.fields)
    d.maybe("confirmation_visits", st.just("scheduled"), when=confirmed)


@st.composite
def progression_rules(
    draw: st.DrawFn,
    *,
    outcomes: tuple[str, ...] = tuple(WORSENING),
    columns: bool = True,
    milestones: bool = True,
) -> ProgressionRule:
    """Draw a valid rule.

    Parameters
    ----------
    outcomes : tuple of str
        Keys of :data:`WORSENING`.
    columns : bool, default True
        Whether it may need more data than the outcome and relapses (lesions, functional systems,
        reasons of exit, ...).
    milestones : bool, default True
        Whether it may ask for a level.
    """
    outcome = draw(st.sampled_from(outcomes))
    direction = draw(st.sampled_from(("increase", "decrease")))
    d = _Drawing(draw, {"name": "drawn", "outcome": outcome, "direction": direction})
    improves = WORSENING[outcome] not in (None, direction)
    milestone = milestones and draw(st.integers(0, 4)) == 0
    _draw_baseline(d)
    _draw_confirmation(d, columns=columns)
    if milestone:
        _draw_level(d)
        d.maybe("classify_relapses", st.booleans(), when=not improves)
    else:
        _draw_events(d, improves=improves)
        _draw_moves(d)
        _draw_thresholds(d, improves=improves, columns=columns)
    _draw_intervals(d, columns=columns)
    if columns:
        _draw_columns(d, improves=improves)
    for name, text in (("label", "own event"), ("citation", "Some 2020."), ("note", "A note.")):
        d.maybe(name, st.just(text))
    return ProgressionRule(**d.fields)


event_rules = st.one_of(
    st.builds(
        RecordedEventRule,
        duration=st.just("ttde_year"),
        event=st.sampled_from(("ttde_event", "status")),
        event_values=st.sampled_from(((), ("dead",), (1, "yes"))),
        duration_unit=st.sampled_from(("day", "year")),
        label=st.sampled_from(("", "death")),
    ),
    st.builds(ExitEventRule, reasons=st.sampled_from((("death",), ("death", "adverse event")))),
    st.builds(RelapseEventRule, confirmed_column=st.sampled_from(("", "confirmed"))),
    st.builds(RelapseEventRule, severity_column=st.just("steps"), min_severity=st.just(1.5)),
    st.builds(
        LesionEventRule,
        measures=st.sampled_from((("new_t2_count",), ("new_t2_count", "gd_lesion_count"))),
        threshold=st.sampled_from((0.0, 2)),
        from_day=st.sampled_from((0, 154)),
    ),
    st.builds(
        VolumeLossRule,
        outcome=st.sampled_from(("pbvc_pct", "thalamus_ml")),
        cutoff_pct_per_year=st.sampled_from((0.4, 0.52)),
        since=st.sampled_from(("baseline", "previous")),
    ),
)
"""Events without a change of a score."""


@st.composite
def composite_rules(draw: st.DrawFn) -> CompositeRule:
    """Draw a composite of drawn rules and a preset, of different names."""
    parts = (
        dataclasses.replace(draw(progression_rules()), name="changed"),
        dataclasses.replace(draw(event_rules), name="happened"),
        PRESETS[draw(st.sampled_from(sorted(PRESETS)))],
    )
    return CompositeRule(
        name="several",
        parts=parts[: draw(st.integers(2, 3))],
        require=draw(st.sampled_from(("any", "all", 1, 2))),
        missing_part=draw(st.sampled_from(("ignore", "exclude"))),
        absence_label=draw(st.sampled_from(("", "NEDA"))),
    )


any_rules = st.one_of(progression_rules(), event_rules, composite_rules())
"""Rules of every kind."""
