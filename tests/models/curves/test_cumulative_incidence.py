"""Cumulative incidence: R and lifelines as witnesses, delta method by brute force, bad input."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import assert_result_contract
from reference_cases import load_case

from pmsstats.errors import DesignError
from pmsstats.models.curves.aalen_johansen import aalen_johansen, gray_test
from pmsstats.models.curves.cumulative_incidence import (
    CumulativeIncidenceSpec,
    fit_cumulative_incidence,
)
from pmsstats.models.curves.kaplan_meier import fit_km
from pmsstats.models.curves.log_rank import LogRankSpec, compare_survival

SAME = 1e-9  # relative: the same sums in another order
NUMERIC = 1e-6  # relative: central differences of step 1e-5


@pytest.fixture(scope="module")
def case():
    return load_case("survival_curves")


@pytest.fixture(scope="module")
def fit(case):
    return fit_cumulative_incidence(case.input, CumulativeIncidenceSpec(cause="cause", by="arm"))


WITNESSES = [
    ("incidence", "estimate"),  # survfit of several states
    ("incidence_se", "std_error"),  # Greenwood's variance of etmCIF
    ("cuminc_se", "std_error"),  # cmprsk's other estimator of the variance: within 3 %
]


@pytest.mark.parametrize(("quantity", "column"), WITNESSES)
def test_curves_agree_with_r(case, fit, quantity: str, column: str) -> None:
    """Witness: survival, etm and cmprsk (stored)."""
    rows = case.rows(quantity)
    keys = rows["term"].str.split("@", expand=True)
    table = fit.at(sorted(keys[2].astype(float).unique()))
    found = table.set_index(["group", "cause", "duration"])[column]
    for row, key in zip(rows.itertuples(), keys.itertuples(index=False), strict=True):
        value = found[(key[0], key[1], float(key[2]))]
        assert value == pytest.approx(row.value, rel=row.rtol), row


GRAY = {
    "plain": {},
    "strata": {"strata": "centre"},
    "rho": {"rho": 1.0},
}


@pytest.mark.parametrize("name", GRAY)
def test_gray_agrees_with_cmprsk(case, name: str) -> None:
    """Witness: cuminc of cmprsk (stored)."""
    spec = CumulativeIncidenceSpec(cause="cause", by="arm", **GRAY[name])
    tests = fit_cumulative_incidence(case.input, spec).tests.set_index("cause")
    for row in case.rows(f"gray.{name}").itertuples():
        assert tests.loc[row.term, "statistic"] == pytest.approx(row.value, rel=row.rtol)
        assert tests.loc[row.term, "df"] == 2


def test_gray_of_two_groups_agrees_with_cmprsk(case) -> None:
    """Witness: cuminc of cmprsk (stored)."""
    two = case.input[case.input["arm"] != "low"]
    tests = fit_cumulative_incidence(two, CumulativeIncidenceSpec(cause="cause", by="arm")).tests
    for row in case.rows("gray.two").itertuples():
        found = tests.set_index("cause").loc[row.term]
        assert found["statistic"] == pytest.approx(row.value, rel=row.rtol)


def test_gray_without_competing_events_is_close_to_log_rank() -> None:
    """Witness: with one cause and equal censoring both test the same hazards."""
    rng = np.random.default_rng(5)
    arm = np.repeat([0, 1], 400)
    time = rng.exponential(np.where(arm == 1, 1.4, 1.0))
    event, duration = time <= 1.5, np.minimum(time, 1.5)
    frame = pd.DataFrame({"duration": duration, "event": event, "arm": arm})
    log_rank = compare_survival(frame, LogRankSpec(by="arm")).test
    gray = gray_test(duration, event.astype(int), arm, of=1)
    assert gray.statistic == pytest.approx(log_rank.statistic, rel=0.01)  # pooled differently


def test_incidence_by_hand() -> None:
    """Witness: by hand. S: 1, 4/5, 3/5, 3/5, 3/10, 0; causes death at 1 and 5, progression at 2, 4.

    death: 1/5, then 3/10 * 1/1 = 1/2; progression: 4/5 * 1/4 = 1/5, plus 3/5 * 1/2 = 1/2.
    """
    data = pd.DataFrame({"duration": [1, 2, 3, 4, 5], "cause": [2, 1, 0, 1, 2]})
    fit = fit_cumulative_incidence(data, CumulativeIncidenceSpec(cause="cause"))
    at = fit.at([0, 1, 2.5, 4, 5, 6]).set_index("cause")["estimate"]
    np.testing.assert_allclose(at["1"], [0, 0, 0.2, 0.5, 0.5, np.nan], rtol=SAME)
    np.testing.assert_allclose(at["2"], [0, 0.2, 0.2, 0.2, 0.5, np.nan], rtol=SAME)
    # 1 - KM with the other cause censored: 1 - (4/5 * 0), 1 - (3/4 * 1/2)
    naive = fit.table().set_index("cause")["one_minus_km"]
    np.testing.assert_allclose(naive[["1", "2"]], [0.625, 1.0], rtol=SAME)


def test_variance_is_the_delta_method() -> None:
    """Witness: numerical derivatives by each time's multinomial probabilities, ties and all."""
    rng = np.random.default_rng(8)
    duration, cause = rng.integers(1, 6, 60).astype(float), rng.integers(0, 3, 60)
    found = aalen_johansen(duration, cause, n_causes=2)
    n = found.table.n_at_risk[0].astype(float)
    p = found.table.n_events[:, 0] / n

    def incidence(p: np.ndarray) -> float:
        free, total = 1.0, 0.0
        for own, other in p.T:
            total, free = total + free * own, free * (1 - own - other)
        return total

    step, variance = 1e-5, 0.0
    for j in range(p.shape[1]):
        gradient = []
        for k in range(2):
            change = np.zeros_like(p)
            change[k, j] = step
            gradient.append((incidence(p + change) - incidence(p - change)) / (2 * step))
        covariance = (np.diag(p[:, j]) - np.outer(p[:, j], p[:, j])) / n[j]
        variance += gradient @ covariance @ gradient
    assert found.std_error[0, -1] ** 2 == pytest.approx(variance, rel=NUMERIC)


@given(seed=st.integers(0, 2**32 - 1))
def test_causes_and_event_free_sum_to_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    duration = rng.integers(1, 12, 40).astype(float)
    entry = np.where(rng.random(40) < 0.7, 0.0, duration - 1)
    found = aalen_johansen(
        duration, rng.integers(0, 4, 40), n_causes=3, group=rng.integers(0, 2, 40), entry=entry
    )
    total = found.incidence.sum(axis=0) + found.event_free
    np.testing.assert_allclose(total, 1.0, rtol=SAME)
    assert np.isfinite(found.std_error).all()
    assert (found.one_minus_km >= found.incidence - 1e-12).all()


def test_one_cause_is_kaplan_meier() -> None:
    """Witness: fit_km, with its Greenwood variance: both intervals are log(-log)."""
    rng = np.random.default_rng(3)
    duration, event = rng.integers(1, 20, 80).astype(float), rng.random(80) < 0.6
    found = aalen_johansen(duration, event.astype(int), n_causes=1)
    curve = fit_km(pd.DataFrame({"duration": duration, "event": event})).curves().iloc[1:]
    np.testing.assert_allclose(found.incidence[0], 1 - curve["survival"], rtol=1e-8, atol=1e-12)
    n, d = curve["n_at_risk"].to_numpy(), curve["n_events"].to_numpy()
    inside = n > d
    greenwood = curve["survival"] * np.sqrt(
        np.cumsum(np.where(inside, d / (n * np.where(inside, n - d, 1)), 0))
    )
    np.testing.assert_allclose(found.std_error[0], greenwood, rtol=1e-7, atol=1e-12)


def test_relabelling_causes_moves_their_rows(case, fit) -> None:
    renamed = case.input.assign(
        cause=case.input["cause"].map({"censored": 0, "progression": 1, "death": 2, "relapse": 3}),
    ).sample(frac=1, random_state=2)
    other = fit_cumulative_incidence(renamed, CumulativeIncidenceSpec(cause="cause", by="arm"))
    assert other.causes == ("1", "2", "3")
    a = fit.table().set_index(["group", "cause"])["estimate"]
    b = other.table().set_index(["group", "cause"])["estimate"]
    assert b[("high", "1")] == pytest.approx(a[("high", "progression")], rel=SAME)
    assert b[("low", "2")] == pytest.approx(a[("low", "death")], rel=SAME)


@pytest.mark.slow
def test_known_incidence_is_recovered_and_covered() -> None:
    """Witness: two exponential causes, rate / total * (1 - exp(-total t)); 95 % cover."""
    rng = np.random.default_rng(21)
    rates, n_replicates, at = np.array([0.3, 0.2]), 300, 2.0
    truth = 0.3 / 0.5 * (1 - math.exp(-0.5 * at))
    rows = []
    for _ in range(n_replicates):
        times = np.column_stack([rng.uniform(0.5, 6, 120), rng.exponential(1 / rates, (120, 2))])
        frame = pd.DataFrame({"duration": times.min(axis=1), "cause": times.argmin(axis=1)})
        fit = fit_cumulative_incidence(frame, CumulativeIncidenceSpec(cause="cause"))
        rows.append(fit.at([at]).iloc[0])
    found = pd.DataFrame(rows)
    estimate = found["estimate"].astype(float)
    assert abs(estimate.mean() - truth) < 4 * estimate.std() / math.sqrt(n_replicates)
    covered = ((found["conf_low"] <= truth) & (truth <= found["conf_high"])).mean()
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / n_replicates)
    # one minus Kaplan-Meier answers another question, and overstates by far more than its error
    naive = found["one_minus_km"].astype(float)
    assert naive.mean() - truth > 10 * naive.std() / math.sqrt(n_replicates)


def test_gray_keeps_its_level() -> None:
    """Witness: simulation without effect on the cause, but with one on its competitor's time."""
    rng = np.random.default_rng(9)
    n_replicates, arm = 400, np.repeat([0, 1], 75)
    p_values = []
    for _ in range(n_replicates):
        times = np.column_stack([rng.uniform(0.5, 4, 150), rng.exponential(2.0, (150, 2))])
        p_values.append(gray_test(times.min(axis=1), times.argmin(axis=1), arm, of=1).p_value)
    size = np.mean(np.array(p_values) < 0.05)
    assert abs(size - 0.05) < 4 * math.sqrt(0.05 * 0.95 / n_replicates)


SMALL = pd.DataFrame(
    {
        "subject_id": [f"S{i}" for i in range(1, 9)],
        "duration": [5.0, 8, 9, 12, 14, 20, 21, 30],
        "cause": ["p", "d", "censored", "p", "d", "censored", "p", "d"],
        "arm": list("aabbabab"),
        "entry": 0.0,
    }
)
ALONE = SMALL["cause"].replace("d", "censored")
BAD = [
    (SMALL.assign(cause="censored"), {}, "names no cause: all 8 row(s) are censored"),
    (SMALL.assign(cause=0), {}, "names no cause"),
    (SMALL.assign(cause=ALONE), {}, "names a single cause, 'p': nothing competes"),
    (SMALL, {"expected": ("p", "relapse")}, "Cause 'relapse' of 'cause' was never observed"),
    (SMALL.assign(cause=SMALL["cause"].replace("censored", "alive")), {},
     "has no level 'censored', only 'alive', 'd', 'p'"),
    (SMALL, {"cause": "causes"}, "`cause` names 'causes'"),
    (SMALL.assign(duration=-1), {}, "Negative `duration`"),
    (SMALL.assign(entry=99), {"entry": "entry"}, "`entry` after `duration`"),
    (SMALL.assign(subject_id="S1"), {}, "More than one row per subject"),
    (SMALL.assign(duration=[0, 8, 9, 0, 14, 20, 0, 30]), {}, "Cause 'p' of 'cause' was never"),
    (SMALL.head(0), {"censored": "censored"}, "names no cause"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "options", "message"), BAD)
def test_bad_input_is_refused(data: pd.DataFrame, options: dict, message: str) -> None:
    with pytest.raises(DesignError, match=re.escape(message)):
        fit_cumulative_incidence(data, CumulativeIncidenceSpec(**({"cause": "cause"} | options)))


@pytest.mark.parametrize(
    "options", [{"rho": -1}, {"strata": "centre"}, {"duration_unit": "week"}, {"conf_level": 0}]
)
def test_contradictory_specs_are_refused(options: dict) -> None:
    with pytest.raises(DesignError):
        CumulativeIncidenceSpec(cause="cause", **options)


def test_what_is_left_out_is_counted() -> None:
    data = SMALL.assign(
        cause=[None, *SMALL["cause"][1:]], duration=[5, 8, 0, 12, 14, 20, 21, 30],
        arm=[*"aabbaba", None],
    )  # fmt: skip
    fit = fit_cumulative_incidence(data, CumulativeIncidenceSpec(cause="cause", by="arm"))
    assert [(e.unit, e.reason, e.subject_ids) for e in fit.exclusions] == [
        ("subject", "cause missing", ("S1",)),
        ("subject", "no follow-up (duration 0)", ("S3",)),
        ("subject", "no arm", ("S8",)),
    ]
    assert fit.n_subjects == 5


def test_censored_can_be_named() -> None:
    named = SMALL.assign(cause=SMALL["cause"].replace("censored", "alive"))
    a = fit_cumulative_incidence(named, CumulativeIncidenceSpec(cause="cause", censored="alive"))
    b = fit_cumulative_incidence(SMALL, CumulativeIncidenceSpec(cause="cause"))
    pd.testing.assert_frame_equal(a.curves(), b.curves())
    ordered = SMALL.assign(cause=pd.Categorical(SMALL["cause"], ["p", "d", "x", "censored"]))
    assert fit_cumulative_incidence(ordered, CumulativeIncidenceSpec(cause="cause")).causes == (
        "p",
        "d",
    )


def test_late_entry_leaves_gray_out() -> None:
    spec = CumulativeIncidenceSpec(cause="cause", by="arm", entry="entry")
    fit = fit_cumulative_incidence(SMALL, spec)
    assert fit.tests.empty
    plain = fit_cumulative_incidence(SMALL, CumulativeIncidenceSpec(cause="cause", by="arm"))
    pd.testing.assert_frame_equal(fit.curves(), plain.curves())


def test_result_contract() -> None:
    fit = fit_cumulative_incidence(SMALL, CumulativeIncidenceSpec(cause="cause", by="arm"))
    assert_result_contract(fit)
    assert fit.to_dict()["schema"] == "cumulative_incidence_result/1"
    assert fit.headline().startswith("Cumulative incidence within 0.0575 years among 8 subjects")
    before = SMALL.copy()
    fit_cumulative_incidence(SMALL, CumulativeIncidenceSpec(cause="cause", by="arm"))
    pd.testing.assert_frame_equal(SMALL, before)
