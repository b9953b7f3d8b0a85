"""Joint models, checked again: likelihood from the printed tables, odd markers, odd visits."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from joint_tables import simulate

from pmsstats.errors import DesignError
from pmsstats.models.joint.baseline import BaselineHazard
from pmsstats.models.joint.certificate import certify
from pmsstats.models.joint.climb import Climb
from pmsstats.models.joint.data import prepare_joint
from pmsstats.models.joint.joint import fit_joint
from pmsstats.models.joint.layout import build_joint_design, points_between
from pmsstats.models.joint.result import JointResult
from pmsstats.models.joint.spec import JointSpec
from pmsstats.models.kernels.joint_likelihood import evaluate, joint_problem

FORMULA = "nfl ~ year + year:arm + (year | subject_id)"
SAME_LIKELIHOOD = 1e-5  # of 90 subjects: 9 adaptive nodes per effect against a dense grid
GRID = 6.5 * np.linspace(-1, 1, 19)  # posterior SD: what lies outside has probability 1e-10
CUT = 1.5
ROUNDING = 1e-12  # relative
SAME_INTEGRAL = 1e-8  # relative: Gauss-Kronrod of a straight line

# --- the likelihood, with everything at once, from what the tables print -----------------------


@cache
def rich_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return two markers and subjects of two centres, with two causes and late entry."""
    visits, subjects = simulate(90, seed=4)
    rng = np.random.default_rng(8)
    n = len(subjects)
    level = dict(zip(subjects["subject_id"], rng.normal(5, 1, n), strict=True))
    noise = rng.normal(0, 0.6, len(visits))
    visits = visits.assign(cord=visits["subject_id"].map(level) - 0.2 * visits["year"] + noise)
    why = np.where(rng.uniform(size=n) < 0.4, "death", "worse")
    late = (rng.uniform(size=n) < 0.5) * rng.uniform(0, 0.6, n)
    subjects = subjects.assign(
        age=rng.normal(50, 10, n),
        treated=(subjects["arm"] == "active").astype(float),
        centre=np.where(np.arange(n) % 3 == 0, "east", "west"),
        why=np.where(subjects["event"], why, None),
        entry=np.where(late < subjects["duration"], late, 0.0),
    )
    return visits, subjects


@cache
def rich_fit() -> JointResult:
    """Fit value and area, each also times the arm, of two markers for two causes."""
    return fit_joint(
        *rich_tables(),
        ("nfl ~ year + (year | subject_id)", "cord ~ year + (1 | subject_id)"),
        association=("area", "value"),
        interaction="treated",
        hazard="age",
        cause="why",
        entry="entry",
        strata="centre",
        baseline="piecewise",
        cuts=(CUT,),
        n_nodes=9,
    )


def printed(fit: JointResult) -> dict:
    """Read the parameters off the tables."""
    table, spread = fit.estimates, fit.variance_components.set_index("term")["estimate"]
    fixed = table[table["part"] == "longitudinal"]
    beta = {m: fixed.loc[fixed["marker"] == m, "estimate"].to_numpy() for m in ("nfl", "cord")}
    sds = fit.variance_components.query("kind == 'sd'")["estimate"].to_numpy()
    R = np.eye(3)
    R[1, 0], R[2, 0], R[2, 1] = fit.variance_components.query("kind == 'correlation'")["estimate"]
    R = R + np.tril(R, -1).T
    sigma = fit.variance_components.query("kind == 'residual sd'")["estimate"].to_numpy()
    assert len(spread) == 8
    causes = {}
    for cause in ("death", "worse"):
        mine = table[table["cause"] == cause].set_index("term")["estimate"]
        causes[cause] = mine
    return {"beta": beta, "D": R * np.outer(sds, sds), "sigma": sigma, "causes": causes}


def subject_likelihood(p: dict, person: pd.Series, visits: pd.DataFrame) -> float:
    """Integrate one subject's likelihood over a dense grid; divide by P(no event before entry)."""
    D, sigma = p["D"], p["sigma"]
    b0, b1 = p["beta"]["nfl"], p["beta"]["cord"]
    t = visits["year"].to_numpy()
    one, zero = np.ones_like(t), np.zeros_like(t)
    Z = np.vstack([np.column_stack([one, t, zero]), np.column_stack([zero, zero, one])])
    r = np.r_[visits["nfl"] - b0[0] - b0[1] * t, visits["cord"] - b1[0] - b1[1] * t]
    noise = np.repeat(sigma, len(t))

    def log_hazard(cause: str, time: np.ndarray, b: np.ndarray) -> np.ndarray:
        c = p["causes"][cause]
        pieces = c[c.index.str.endswith(f"in centre={person['centre']}")].to_numpy()
        time = time[:, None]
        area = (b0[0] + b[:, 0]) * time + (b0[1] + b[:, 1]) * time**2 / 2
        value = b1[0] + b[:, 2] + b1[1] * time
        a = c["area(nfl)"] + c["area(nfl):treated"] * person["treated"]
        v = c["value(cord)"] + c["value(cord):treated"] * person["treated"]
        base = np.where(time > CUT, pieces[1], pieces[0])
        return base + c["age"] * person["age"] + a * area + v * value

    def cumulative(end: float, b: np.ndarray) -> np.ndarray:
        x, w = np.polynomial.legendre.leggauss(16)
        total = np.zeros(len(b))
        for low, high in pairwise([0.0, CUT, end] if end > CUT else [0.0, end]):
            time = low + (high - low) * (x + 1) / 2
            for cause in p["causes"]:
                total += (high - low) / 2 * w @ np.exp(log_hazard(cause, time, b))
        return total

    def integral(r: np.ndarray, Z: np.ndarray, noise: np.ndarray, events) -> float:
        A = np.linalg.inv(D) + (Z / noise[:, None] ** 2).T @ Z
        mean = np.linalg.solve(A, Z.T @ (r / noise**2))
        root = np.linalg.cholesky(np.linalg.inv(A))
        cube = np.stack(np.meshgrid(GRID, GRID, GRID, indexing="ij"), -1).reshape(-1, 3)
        b = mean + cube @ root.T
        log_p = -0.5 * (((r - b @ Z.T) / noise) ** 2).sum(1) - np.log(noise).sum()
        log_p = log_p - 0.5 * len(r) * np.log(2 * np.pi)
        log_p -= 0.5 * np.einsum("bi,ij,bj->b", b, np.linalg.inv(D), b)
        log_p -= 0.5 * np.linalg.slogdet(2 * np.pi * D)[1]
        cell = (GRID[1] - GRID[0]) ** 3 * np.diag(root).prod()
        return float((np.exp(log_p + events(b)) * cell).sum())

    def seen(b: np.ndarray) -> np.ndarray:
        happened = person["event"] * np.ones(len(b))
        cause = person["why"] or "death"
        now = log_hazard(cause, np.array([person["duration"]]), b)[0]
        return happened * now - cumulative(person["duration"], b)

    value = np.log(integral(r, Z, noise, seen))
    if person["entry"] > 0:
        nothing = np.zeros(0), np.zeros((0, 3)), np.zeros(0)
        value -= np.log(integral(*nothing, lambda b: -cumulative(person["entry"], b)))
    return float(value)


def test_the_likelihood_is_that_of_the_printed_numbers() -> None:
    """Witness: the definition, in the units of the tables and with their numbers only."""
    fit = rich_fit()
    visits, subjects = rich_tables()
    p = printed(fit)
    by_id = dict(tuple(visits.groupby("subject_id")))
    total = sum(
        subject_likelihood(p, person, by_id[person["subject_id"]])
        for _, person in subjects.iterrows()
    )
    assert fit.n_subjects == len(subjects)
    assert fit.log_likelihood == pytest.approx(total, abs=SAME_LIKELIHOOD)
    assert (subjects["entry"] > 0).sum() > 20


def test_information_criteria_by_hand() -> None:
    fit = rich_fit()
    # 2 + 2 fixed, 2 residual, 6 of D; per cause: 2 x 2 pieces, age, 2 x 2 associations
    n_parameters = 4 + 2 + 6 + 2 * (4 + 1 + 4)
    assert fit.n_parameters == n_parameters
    assert fit.aic == pytest.approx(-2 * fit.log_likelihood + 2 * n_parameters)
    assert fit.bic == pytest.approx(-2 * fit.log_likelihood + np.log(90) * n_parameters)


# --- markers that begin at zero ---------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"association": "value"}, {"association": "lagged", "lag": 0.5}]
)
def test_a_change_from_baseline_is_per_sd_at_the_middle_of_follow_up(options: dict) -> None:
    visits, subjects = simulate(150, seed=3)
    first = visits.groupby("subject_id")["nfl"].transform("first")
    visits = visits.assign(change=visits["nfl"] - first).query("year > 0")
    formula = "change ~ 0 + year + (0 + year | subject_id)"
    fit = fit_joint(visits, subjects, formula, baseline="weibull", **options)
    row = fit.association_table().iloc[0]
    kept = subjects["subject_id"].isin(visits["subject_id"])
    sd = fit.variance_components["estimate"].iloc[0] * subjects.loc[kept, "duration"].median()
    assert row["sd"] == pytest.approx(sd)
    assert row["estimate_per_sd"] == pytest.approx(row["estimate"] * sd)
    assert row["std_error_per_sd"] > 0
    assert "SD between subjects (0)" not in fit.headline()


# --- events between visits --------------------------------------------------------------------


@cache
def between_visits(spread: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return events known to lie between visits every 0.9 years, moved by up to `spread`."""
    visits, subjects = simulate(250, seed=6)
    rng = np.random.default_rng(1)
    plan = 0.9 * np.arange(8) + rng.uniform(-spread, spread, (len(subjects), 8))
    plan[:, 0] = 0.0
    time = subjects["duration"].to_numpy()
    after = (plan < time[:, None]).sum(axis=1)
    rows = np.arange(len(subjects))
    lower = np.where(subjects["event"], plan[rows, after - 1], time)
    upper = np.where(subjects["event"], plan[rows, after], np.inf)
    return visits, subjects.assign(lower=lower, upper=upper)


@pytest.mark.parametrize("spread", [0.0, 0.15])
def test_splines_of_events_between_common_visits_have_few_knots(spread: float) -> None:
    visits, subjects = between_visits(spread)
    exact = fit_joint(visits, subjects, FORMULA, hazard="arm")
    fit = fit_joint(visits, subjects, FORMULA, hazard="arm", lower="lower", upper="upper")
    assert fit.spec.baseline == "bspline"
    assert len(fit.design.hazard.baselines[0].cuts) < len(exact.design.hazard.baselines[0].cuts)
    one, other = (f.association_table().iloc[0] for f in (fit, exact))
    assert abs(one["estimate"] - other["estimate"]) < other["std_error"]
    assert one["std_error"] > 0.9 * other["std_error"]


def test_knots_lie_where_events_may_have_been() -> None:
    """Spread over their intervals, events of (0, 1] and (1, 2] have their median at 1."""
    visits, subjects = between_visits(0.0)
    half = subjects[subjects["duration"] > 1].iloc[:40]
    half = half.assign(lower=np.repeat([0.0, 1.0], 20), upper=np.repeat([1.0, 2.0], 20))
    spec = JointSpec(longitudinal=FORMULA, lower="lower", upper="upper", n_intervals=2)
    design, _ = build_joint_design(spec, prepare_joint(visits, half, spec))
    assert design.hazard.baselines[0].cuts == pytest.approx([1.0])


def test_too_few_points_over_time_are_mended() -> None:
    """A hazard that falls steeply after the last but one event needs more than seven points."""
    visits, subjects = simulate(80, seed=5)
    last = subjects.loc[subjects["event"], "duration"].max()
    is_kept = (subjects["duration"] < 2.0) | (subjects["duration"] == last)
    subjects = subjects.assign(event=subjects["event"] & is_kept)
    fit = fit_joint(visits, subjects, FORMULA, n_intervals=2)
    assert np.bincount(fit.arrays.at_risk.subject).min() >= 14  # 7 on each of two panels
    assert fit.certificate.is_valid


def test_an_event_by_time_zero_is_no_follow_up() -> None:
    visits, subjects = between_visits(0.0)
    subjects = subjects.copy()
    subjects.loc[0, ["lower", "upper"]] = 0.0
    spec = JointSpec(longitudinal=FORMULA, lower="lower", upper="upper")
    lost = {e.reason: e.subject_ids for e in prepare_joint(visits, subjects, spec).exclusions}
    assert lost["event at time 0, before any follow-up"] == (subjects.loc[0, "subject_id"],)


def test_entry_within_the_interval_of_the_event_is_refused() -> None:
    visits, subjects = between_visits(0.0)
    first = subjects.index[subjects["event"]][0]
    entry = pd.Series(0.0, subjects.index)
    entry[first] = subjects.loc[first, ["lower", "upper"]].mean()
    spec = JointSpec(longitudinal=FORMULA, lower="lower", upper="upper", entry="entry")
    with pytest.raises(DesignError, match=r"`entry` after `lower` in 1 row\(s\)"):
        prepare_joint(visits, subjects.assign(entry=entry), spec)


# --- what is left out is counted once, and said plainly ----------------------------------------


def test_a_subject_left_out_by_its_survival_row_is_counted_once() -> None:
    visits, subjects = simulate(60, seed=9)
    subjects = subjects.assign(age=50.0 + np.arange(60))
    subjects.loc[0, "age"] = np.nan
    subjects.loc[1, "duration"] = 0.0
    subjects.loc[2, "age"] = np.inf
    visits = visits[~visits["subject_id"].isin(subjects["subject_id"].iloc[[3]])]
    spec = JointSpec(longitudinal=FORMULA, hazard="age")
    data = prepare_joint(visits, subjects.drop(index=4), spec)
    lost = [e for e in data.exclusions if e.unit == "subject"]
    everybody = set(visits["subject_id"]) | set(subjects["subject_id"])
    named = [i for e in lost for i in e.subject_ids]
    assert sorted(named) == subjects["subject_id"].iloc[:5].tolist()
    assert data.n_subjects + sum(e.n for e in lost) == len(everybody)
    rows = sum(e.n for e in data.exclusions if e.unit == "row")
    assert rows + len(data.rows[0]) == len(visits)


def test_an_event_without_its_cause_is_counted() -> None:
    visits, subjects = rich_tables()
    subjects = subjects.copy()
    first = subjects.index[subjects["event"]][0]
    subjects.loc[first, "why"] = None
    spec = JointSpec(longitudinal="nfl ~ year + (year | subject_id)", cause="why")
    data = prepare_joint(visits, subjects, spec)
    lost = {e.reason: e.subject_ids for e in data.exclusions if e.unit == "subject"}
    assert lost == {"no why of the event": (subjects.loc[first, "subject_id"],)}


def test_measurements_within_the_interval_of_the_event_are_kept() -> None:
    visits, subjects = between_visits(0.0)
    spec = JointSpec(longitudinal=FORMULA, lower="lower", upper="upper")
    data = prepare_joint(visits, subjects, spec)
    late = [e for e in data.exclusions if "after the event" in e.reason]
    assert not late
    lower = data.events.lower[data.codes[0]]
    assert (data.rows[0]["year"].to_numpy() > lower).any()


def test_follow_up_far_beyond_measurements_is_noted() -> None:
    visits, subjects = simulate(60, seed=9)
    days = subjects.assign(duration=365.25 * subjects["duration"])
    data = prepare_joint(visits, days, JointSpec(longitudinal=FORMULA))
    assert "the same unit" in data.notes[0]
    assert prepare_joint(visits, subjects, JointSpec(longitudinal=FORMULA)).notes == ()


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({"interaction": "nope"}, r"`interaction` names 'nope'"),
        ({"strata": "nope"}, r"`strata` names 'nope'"),
        ({"hazard": "nope"}, r"`hazard` names 'nope'"),
    ],
)
def test_the_argument_that_names_an_absent_column_is_named(options: dict, start: str) -> None:
    with pytest.raises(DesignError, match=start):
        fit_joint(*simulate(60, seed=9), FORMULA, **options)


def test_no_measurement_at_all_is_said_plainly() -> None:
    visits, subjects = simulate(60, seed=9)
    with pytest.raises(
        DesignError, match=r"at least two subjects .* found 0\. \d+ row\(s\): no nfl"
    ):
        fit_joint(visits.assign(nfl=np.nan), subjects, FORMULA)


def test_a_subject_without_a_covariate_of_one_marker_is_counted() -> None:
    visits, subjects = rich_tables()
    first = subjects["subject_id"].iloc[0]
    visits = visits.assign(dose=np.where(visits["subject_id"] == first, np.nan, 1.0))
    visits["dose"] += visits["arm"] == "active"
    both = ("nfl ~ year + (year | subject_id)", "cord ~ year * dose + (1 | subject_id)")
    data = prepare_joint(visits, subjects, JointSpec(longitudinal=both))
    lost = {e.reason: e.subject_ids for e in data.exclusions if e.unit == "subject"}
    assert lost == {"no dose": (first,)}


# --- where hazards and trajectories bend --------------------------------------------------------


def test_pieces_hold_their_upper_end() -> None:
    base = BaselineHazard(kind="piecewise", cuts=np.array([1.0, 2.0]), end=3.0, unit=1.0)
    found = base.basis(np.array([0.5, 1.0, 1.0001, 2.0, 3.0])).argmax(axis=1)
    assert found.tolist() == [0, 0, 1, 1, 2]
    assert base.names == ("(0, 1]", "(1, 2]", "(2, 3]")


def test_the_bend_of_a_lagged_value_is_an_edge_of_the_quadrature() -> None:
    visits, subjects = simulate(120, seed=3)
    spec = JointSpec(longitudinal=FORMULA, association="lagged", lag=1.3, baseline="weibull")
    design, _ = build_joint_design(spec, prepare_joint(visits, subjects, spec))
    points = points_between(design, np.zeros(1), np.array([4.0]))
    # value 0 up to the lag, then t - lag: its integral is exact only if no panel holds the bend
    integral = points.weight @ np.maximum(points.time - 1.3, 0.0)
    assert integral == pytest.approx((4.0 - 1.3) ** 2 / 2, rel=ROUNDING)


def test_hazard_of_a_typical_subject_by_hand() -> None:
    """Levels are averaged over time at risk, covariates over subjects; per year, not per unit."""
    fit = fit_joint(*simulate(120, seed=3), FORMULA, hazard="arm", baseline="weibull")
    table = fit.estimates.set_index(["part", "term"])["estimate"]
    beta = table["longitudinal"].to_numpy()
    arm = (fit.data.events.frame["arm"] == "active").to_numpy(dtype=float)
    end = fit.data.events.lower
    time_at_risk = end.sum()
    level = (beta[0] * end + (beta[1] + beta[2] * arm) * end**2 / 2).sum() / time_at_risk
    log_h = table["baseline", "intercept"] + table["hazard", "arm[T.active]"] * arm.mean()
    log_h = log_h + table["association", "value(nfl)"] * level
    found = fit.baseline_hazard([0.7, 3.0])["hazard"]
    expected = np.exp(log_h) * np.array([0.7, 3.0]) ** table["baseline", "log(time)"]
    np.testing.assert_allclose(found, expected, rtol=SAME_INTEGRAL)


def test_a_point_that_is_no_peak_is_a_problem() -> None:
    """A saddle with a score of zero: full rank, nothing left to climb, and no maximum."""
    fit = fit_joint(*simulate(120, seed=3), FORMULA, baseline="weibull")
    problem = joint_problem(fit.arrays)
    at = evaluate(problem, fit.maximum.theta, fit.maximum.n_nodes)
    top = Climb(at=at, decrement=1e-8, is_peak=True, n_iterations=1, n_evaluations=1)
    assert certify(problem, top, fit.maximum.n_nodes).is_valid
    saddle = certify(problem, replace(top, is_peak=False), fit.maximum.n_nodes)
    assert not saddle.is_valid


def test_slopes_end_where_a_bounded_spline_does() -> None:
    """No value after the end of follow-up is needed for a slope at that end."""
    visits, subjects = simulate(120, seed=3)
    end = float(subjects["duration"].max())
    line = f"bs(year, df=4, lower_bound=0, upper_bound={end!r})"
    spec = JointSpec(longitudinal=f"nfl ~ {line} + (year | subject_id)", association="slope")
    data = prepare_joint(visits, subjects, spec)
    design, _ = build_joint_design(spec, data)
    who = np.zeros(1, dtype=int)
    at_end, before = (
        design.markers[0].slope(data.covariates, who, np.array([t])).fixed
        for t in (end, end - 1e-3)
    )
    np.testing.assert_allclose(at_end, before, atol=1e-2)
    assert np.abs(at_end).max() > 0.1
