"""Draw sets of options of pymsprog that are possible in clinical use, with every one in many."""

from __future__ import annotations

import numpy as np

EVENTS = ["firstCDW", "firstCDW", "firstCDI", "first", "firstPIRA", "firstRAW", "multiple"]
BASELINES = ["fixed", "roving", "roving_impr", "roving_wors"]
DELTAS = {
    "edss": ["", "", "steps_5.5", "steps_5.0", "one", "half"],
    "t25fw": ["", "", "", "quarter", "fifth_or_2", "fifth_and_2"],
    "nhpt": ["", "", "", "tenth", "fifth_and_2"],
    "sdmt": ["", "", "three", "four", "tenth"],
}
WINDOWS = [[84], [84], [84], [168], [168], [336], [56], [84, 168], [84, 168], [84, 168, 336]]
SUSTAINED = [0, 0, 0, 0, "last", 365, 730, "inf"]
LEVELS = {"edss": [4, 6, 7, 3.5], "t25fw": [8, 10.5], "nhpt": [33.3, 40], "sdmt": [35, 40]}


def draw_options(rng: np.random.Generator, *, milestone: bool) -> dict:
    """Draw one set: the arguments of a call, as plain JSON."""
    outcome = pick(rng, ["edss", "edss", "edss", "t25fw", "nhpt", "sdmt"])
    windows = pick(rng, WINDOWS)
    options = {
        "function": "value_milestone" if milestone else "MSprog",
        "outcome": outcome,
        "conf_days": windows if len(windows) > 1 or rng.random() < 0.2 else windows[0],
        "conf_tol_days": tolerance(rng, windows, may_differ=not milestone),
        "require_sust_days": sustained(rng, windows),
        "impute_last_visit": pick(rng, [0, 0, 0, 1, 365, 800]),
        "relapse_to_event": days_pair(rng, [0, 0, 30, 60]),
        "relapse_to_conf": days_pair(rng, [0, 30, 30, 90]),
    }
    if rng.random() < 0.2:
        options["validconf_col"] = "scheduled"
    if milestone:
        return {**options, "milestone": pick(rng, LEVELS[outcome])}
    options |= baseline_options(rng) | event_options(rng, outcome)
    if options["event"] == "firstRAW":  # else no onset would be near a relapse
        options["relapse_to_event"] = 0
    if options["baseline"] == "roving_impr" and options["relapse_rebl"]:
        options["bl_geq"] = False  # follows improvements, and does not
    return options


def baseline_options(rng: np.random.Generator) -> dict:
    """Draw what moves the baseline."""
    baseline = pick(rng, BASELINES)
    moves = baseline != "fixed"
    return {
        "baseline": baseline,
        "proceed_from": pick(rng, ["firstconf", "firstconf", "event"]),
        "sub_threshold_rebl": (
            pick(rng, ["none", "none", "event", "improvement", "worsening"]) if moves else "none"
        ),
        "relapse_rebl": bool(rng.random() < 0.3),
        "bl_geq": bool(rng.random() < 0.25),
        "skip_local_extrema": pick(rng, ["none", "none", "none", "strict", "all"]),
        "relapse_to_bl": days_pair(rng, [0, 0, 30, 30, 60]),
    }


def event_options(rng: np.random.Generator, outcome: str) -> dict:
    """Draw which events are asked for, and how they are told apart."""
    options = {
        "event": pick(rng, EVENTS),
        "RAW_PIRA": bool(rng.random() < 0.5),
        "check_intermediate": bool(rng.random() < 0.75),
        "relapse_assoc": days_pair(rng, [90, 90, 30, 0, 180]),
    }
    delta = pick(rng, DELTAS[outcome])
    if delta:
        options["delta_fun"] = delta
    if outcome == "edss" and delta not in ("one", "half") and rng.random() < 0.2:
        options["valuedelta_col"] = "delta_value"
    if rng.random() < 0.6:
        options["relapse_indep"] = free_intervals(rng)
    return options


def free_intervals(rng: np.random.Generator) -> dict:
    """Draw the relapse-free intervals of PIRA: three, or some of them joined."""
    start, middle, end = (pick(rng, [[0, 0], [90, 30], [30, 30], [0, 60], [90, 90]]) for _ in "abc")
    joined = pick(rng, ["", "", "first", "second", "both"])
    if joined in ("first", "both"):
        start, middle = [start[0], None], [None, middle[1]]
    if joined in ("second", "both"):
        middle, end = [middle[0], None], [None, end[1]]
    kind = pick(rng, ["", "baseline", "last", "last_delta"])
    return {"prec": start, "event": middle, "conf": end, **({"prec_type": kind} if kind else {})}


def tolerance(rng: np.random.Generator, windows: list[int], *, may_differ: bool) -> object:
    """Draw how early and how late a visit may confirm."""
    kinds = ["pair", "pair", "scalar", "inf", "default"] + ["dict"] * may_differ
    kind = pick(rng, kinds)
    if kind == "default":
        return [7, 730.5]
    if kind == "scalar":
        return pick(rng, [0, 7, 14, 30])
    if kind == "inf":
        return [pick(rng, [0, 7, 28]), "inf"]
    if kind == "dict":
        return {str(w): [pick(rng, [0, 7, 28]), pick(rng, [28, 90, "inf"])] for w in windows}
    return [pick(rng, [0, 7, 28]), pick(rng, [0, 28, 90, 182])]


def sustained(rng: np.random.Generator, windows: list[int]) -> object:
    """Draw for how long a change must last: not at all, or at least as long as to confirm it."""
    asked = pick(rng, SUSTAINED)
    return windows[-1] if asked == "last" else asked


def days_pair(rng: np.random.Generator, choices: list[int]) -> object:
    """Draw days before, or days before and after."""
    first = pick(rng, choices)
    return [first, pick(rng, [0, 7, 30, 60])] if rng.random() < 0.35 else first


def pick(rng: np.random.Generator, choices: list) -> object:
    """Draw one of a list."""
    return choices[int(rng.integers(len(choices)))]
