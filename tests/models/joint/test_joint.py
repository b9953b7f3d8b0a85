"""Joint fits: closed forms, limits, invariances, recovery of a truth, bad input."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
from joint_tables import Truth, simulate

from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError
from pmsstats.models.joint.joint import fit_joint
from pmsstats.models.joint.result import JointResult
from pmsstats.models.joint.spec import JointSpec
from pmsstats.models.mixed.lmm import fit_lmm

SAME_MAXIMUM = 1e-6  # of log-likelihoods: two Newton maximisations
SAME_FIT = 1e-5  # relative: the same model in other units or in another order
NARROW = 1e-4  # width of intervals that stand for exact times
SE = 4.0  # standard errors that an estimate may be from the truth
FORMULA = "nfl ~ year + year:arm + (year | subject_id)"
CUTS = (1.0, 2.0, 3.0)
PIECES = {"baseline": "piecewise", "cuts": CUTS}


@cache
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return visits and subjects of 200."""
    return simulate(200, seed=2)


@cache
def plain() -> JointResult:
    """Fit a value association with a Weibull baseline."""
    return fit_joint(*tables(), FORMULA, hazard="arm", baseline="weibull")


def estimates(fit: JointResult, part: str) -> pd.Series:
    """Return the estimates of a part by term."""
    frame = fit.estimates[fit.estimates["part"] == part]
    return frame.set_index("term")["estimate"]


# --- closed forms -----------------------------------------------------------------------------


def test_without_association_markers_and_events_are_fitted_apart() -> None:
    visits, subjects = tables()
    fit = fit_joint(visits, subjects, FORMULA, association="none", **PIECES)
    alone = fit_lmm(visits, FORMULA, method="ML")
    bounds = np.array([0.0, *CUTS, np.inf])
    time = subjects["duration"].to_numpy()[:, None]
    at_risk = np.clip(time - bounds[:-1], 0, np.diff(bounds)).sum(axis=0)
    seen = subjects["event"].to_numpy()[:, None]
    events = (seen & (time > bounds[:-1]) & (time <= bounds[1:])).sum(axis=0)
    hazard = (events * np.log(events / at_risk) - events).sum()
    assert fit.log_likelihood == pytest.approx(alone.log_likelihood + hazard, abs=SAME_MAXIMUM)
    np.testing.assert_allclose(estimates(fit, "baseline"), np.log(events / at_risk), atol=1e-6)
    errors = fit.estimates.loc[fit.estimates["part"] == "baseline", "std_error"]
    np.testing.assert_allclose(errors, 1 / np.sqrt(events), rtol=SAME_FIT)
    means = alone.table().set_index("term")["estimate"]
    np.testing.assert_allclose(estimates(fit, "longitudinal"), means, atol=1e-5)


def test_two_stage_begins_with_the_mixed_model_alone() -> None:
    fit = plain()
    alone = fit_lmm(tables()[0], FORMULA, method="ML").table()["estimate"]
    start = fit.start[fit.start["part"] == "longitudinal"]["two_stage"]
    np.testing.assert_allclose(start, alone, rtol=1e-3)


def poisson_coefficients(X: np.ndarray, events: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Maximise the likelihood of piecewise exponential regression by Newton's method."""
    psi = np.zeros(X.shape[1])
    psi[:-1] = np.log(events.sum() / time.sum())
    for _ in range(50):
        mean = time * np.exp(X @ psi)
        psi = psi + np.linalg.solve(X.T @ (X * mean[:, None]), X.T @ (events - mean))
    return psi


def test_a_marker_without_error_is_a_covariate() -> None:
    truth = Truth(sigma=1e-3, sd=(1.0, 1e-3), correlation=0.0, beta=(2.0, 0.0, 0.0))
    visits, subjects = simulate(150, seed=8, truth=truth)
    fit = fit_joint(visits, subjects, "nfl ~ 1 + (1 | subject_id)", **PIECES)
    level = visits.groupby("subject_id")["nfl"].mean().reindex(subjects["subject_id"]).to_numpy()
    bounds = np.array([0.0, *CUTS, np.inf])
    duration = subjects["duration"].to_numpy()
    at_risk = np.clip(duration[:, None] - bounds[:-1], 0, np.diff(bounds))
    who, piece = np.nonzero(at_risk > 0)
    last = subjects["event"].to_numpy()[who] & (piece == np.searchsorted(CUTS, duration)[who])
    X = np.column_stack([np.eye(4)[piece], level[who]])
    expected = poisson_coefficients(X, last.astype(float), at_risk[who, piece])
    found = [*estimates(fit, "baseline"), *estimates(fit, "association")]
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_narrow_intervals_are_exact_times() -> None:
    visits, subjects = tables()
    seen = subjects["event"]
    narrow = subjects.assign(
        lower=subjects["duration"] - NARROW / 2 * seen,
        upper=(subjects["duration"] + NARROW / 2).where(seen),
    )
    fit = fit_joint(
        visits, narrow, FORMULA, hazard="arm", baseline="weibull", lower="lower", upper="upper"
    )
    exact = plain()
    shift = int(seen.sum()) * np.log(NARROW)
    assert fit.log_likelihood - shift == pytest.approx(exact.log_likelihood, abs=1e-3)
    difference = (fit.estimates["estimate"] - exact.estimates["estimate"]).abs()
    assert (difference < 1e-3 * exact.estimates["std_error"]).all()


def test_entry_at_zero_changes_nothing_and_later_entry_does() -> None:
    visits, subjects = tables()
    options = {"hazard": "arm", "baseline": "weibull", "entry": "entry"}
    at_zero = fit_joint(visits, subjects.assign(entry=0.0), FORMULA, **options)
    later = fit_joint(visits, subjects.assign(entry=0.3 * subjects["duration"]), FORMULA, **options)
    assert at_zero.log_likelihood == plain().log_likelihood
    assert later.log_likelihood > at_zero.log_likelihood  # less has to be explained


# --- invariances ------------------------------------------------------------------------------


def test_units_scale_estimates_and_change_no_p_value() -> None:
    visits, subjects = tables()
    fit, factor = plain(), 1e6
    months = fit_joint(
        visits.assign(year=12 * visits["year"], nfl=factor * visits["nfl"] + 5e6),
        subjects.assign(duration=12 * subjects["duration"]),
        FORMULA,
        hazard="arm",
        baseline="weibull",
    )
    one, other = estimates(fit, "longitudinal"), estimates(months, "longitudinal")
    expected = factor * one / [1, 12, 12] + [5e6, 0, 0]
    np.testing.assert_allclose(other, expected, rtol=SAME_FIT)
    for part, scale in (("association", factor), ("hazard", 1.0)):
        np.testing.assert_allclose(
            estimates(months, part) * scale, estimates(fit, part), rtol=SAME_FIT
        )
    psi, turned = estimates(fit, "baseline"), estimates(months, "baseline")
    alpha = estimates(fit, "association").iloc[0]
    assert turned["log(time)"] == pytest.approx(psi["log(time)"], rel=SAME_FIT)
    level = psi["intercept"] - (1 + psi["log(time)"]) * np.log(12) - alpha * 5
    assert turned["intercept"] == pytest.approx(level, rel=SAME_FIT)
    compared = fit.estimates["part"].isin(["association", "hazard"])
    for column in ("statistic", "p_value"):
        np.testing.assert_allclose(
            months.estimates[column][compared], fit.estimates[column][compared], rtol=1e-4
        )
    shift = len(visits) * np.log(factor) + subjects["event"].sum() * np.log(12)
    assert months.log_likelihood + shift == pytest.approx(fit.log_likelihood, abs=1e-5)
    np.testing.assert_allclose(
        months.association_table()["hazard_ratio_per_sd"],
        fit.association_table()["hazard_ratio_per_sd"],
        rtol=SAME_FIT,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"association": "slope"},
        {"association": "area"},
        {"association": "value", "interaction": "arm"},
        {"association": "random_effects", "baseline": "bspline"},
        {"association": "lagged", "lag": 0.5, **PIECES},
    ],
    ids=lambda options: options["association"],
)
def test_every_association_scales_with_the_marker_and_forgets_no_offset(options: dict) -> None:
    visits, subjects = tables()
    options = {"hazard": "arm", "baseline": "weibull"} | options
    one = fit_joint(visits, subjects, FORMULA, **options)
    big = fit_joint(visits.assign(nfl=100 * visits["nfl"]), subjects, FORMULA, **options)
    np.testing.assert_allclose(
        100 * estimates(big, "association"), estimates(one, "association"), rtol=SAME_FIT
    )
    np.testing.assert_allclose(estimates(big, "baseline"), estimates(one, "baseline"), rtol=1e-4)


def test_order_of_rows_and_names_of_subjects_change_nothing() -> None:
    visits, subjects = tables()
    rng = np.random.default_rng(1)
    names = dict(zip(subjects["subject_id"], rng.permutation(len(subjects)), strict=True))
    mixed = [frame.sample(frac=1, random_state=3) for frame in (visits, subjects)]
    fit = fit_joint(
        *(frame.assign(subject_id=frame["subject_id"].map(names)) for frame in mixed),
        FORMULA,
        hazard="arm",
        baseline="weibull",
    )
    np.testing.assert_allclose(
        fit.estimates["estimate"], plain().estimates["estimate"], rtol=SAME_FIT
    )
    assert fit.log_likelihood == pytest.approx(plain().log_likelihood, abs=SAME_MAXIMUM)


def test_names_of_causes_change_nothing() -> None:
    visits, subjects = tables()
    rng = np.random.default_rng(9)
    cause = rng.choice(["death", "relapse"], len(subjects))
    options = {"hazard": "arm", "baseline": "weibull", "cause": "cause"}
    words = subjects.assign(cause=np.where(subjects["event"], cause, None))
    codes = words.drop(columns="event").assign(
        cause=words["cause"].map({"death": 2, "relapse": 1}).fillna(0)
    )
    one, two = (fit_joint(visits, frame, FORMULA, **options) for frame in (words, codes))
    assert one.design.causes == ("death", "relapse")
    assert two.design.causes == ("1", "2")
    assert one.log_likelihood == pytest.approx(two.log_likelihood, abs=SAME_MAXIMUM)
    for name, code in (("death", "2"), ("relapse", "1")):
        np.testing.assert_allclose(
            one.estimates.loc[one.estimates["cause"] == name, "estimate"],
            two.estimates.loc[two.estimates["cause"] == code, "estimate"],
            rtol=SAME_FIT,
        )


def test_covariates_of_the_marker_may_stand_with_the_subjects() -> None:
    visits, subjects = tables()
    fit = fit_joint(visits.drop(columns="arm"), subjects, FORMULA, hazard="arm", baseline="weibull")
    assert fit.log_likelihood == pytest.approx(plain().log_likelihood, abs=SAME_MAXIMUM)


# --- truth ------------------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", ["weibull", "bspline"])
def test_parameters_are_recovered(baseline: str) -> None:
    truth = Truth()
    visits, subjects = simulate(1200, seed=21)
    fit = fit_joint(visits, subjects, FORMULA, hazard="arm", baseline=baseline)
    frame = fit.estimates.set_index("term")
    expected = {"Intercept": 2.0, "year": 0.5, "year:arm[T.active]": -0.3, "arm[T.active]": -0.4}
    for term, value in (expected | {"value(nfl)": truth.alpha}).items():
        off = abs(frame.loc[term, "estimate"] - value)
        assert off < SE * frame.loc[term, "std_error"], term
    spread = fit.variance_components.set_index("term")
    for term, value in (
        ("sd(intercept)", truth.sd[0]),
        ("sd(year)", truth.sd[1]),
        ("cor(intercept, year)", truth.correlation),
        ("sd(residual)", truth.sigma),
    ):
        assert abs(spread.loc[term, "estimate"] - value) < SE * spread.loc[term, "std_error"]
    hazard = fit.baseline_hazard([1.0, 2.0, 4.0])["hazard"].to_numpy()
    rise = (truth.shape - 1) * np.log([2.0, 4.0])
    np.testing.assert_allclose(np.log(hazard[1:] / hazard[0]), rise, atol=0.5)


def test_two_markers_of_which_one_matters() -> None:
    visits, subjects = simulate(500, seed=31)
    rng = np.random.default_rng(7)
    own = pd.Series(rng.normal(0, 2, len(subjects)), index=subjects["subject_id"])
    noise = rng.normal(0, 1, len(visits))
    visits["cord"] = 80 - visits["year"] + own.reindex(visits["subject_id"]).to_numpy() + noise
    formulas = (FORMULA, "cord ~ year + (1 | subject_id)")
    fit = fit_joint(visits, subjects, formulas, hazard="arm", baseline="weibull")
    table = fit.association_table().set_index("term")
    assert (
        abs(table.loc["value(nfl)", "estimate"] - 0.6) < SE * table.loc["value(nfl)", "std_error"]
    )
    assert abs(table.loc["value(cord)", "estimate"]) < SE * table.loc["value(cord)", "std_error"]
    cross = fit.variance_components.query("marker == '' and kind == 'correlation'")
    assert list(cross["term"]) == [
        "cor(intercept(nfl), intercept(cord))",
        "cor(year(nfl), intercept(cord))",
    ]
    assert (cross["estimate"].abs() < SE * cross["std_error"]).all()
    fewer = fit_joint(
        visits,
        subjects,
        formulas,
        hazard="arm",
        baseline="weibull",
        association=("value", "none"),
    )
    test = fit.likelihood_ratio_test(fewer)
    assert test["df"] == 1
    wald = table.loc["value(cord)", "statistic"] ** 2
    assert test["statistic"] == pytest.approx(wald, rel=0.05, abs=0.02)


# --- bad input --------------------------------------------------------------------------------


def spoil(**columns: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables with other columns of subjects."""
    visits, subjects = tables()
    return visits, subjects.assign(**columns)


def one_event() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tables with a single event."""
    return spoil(event=np.arange(200) == int(np.argmax(tables()[1]["event"])))


def events_of_one_arm() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tables in which only placebo has events."""
    subjects = tables()[1]
    return spoil(event=subjects["event"] & (subjects["arm"] == "placebo"))


def constant_marker() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tables with a marker that is the same everywhere."""
    visits, subjects = tables()
    return visits.assign(nfl=3.0), subjects


def one_visit_each() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tables with one measurement per subject."""
    visits, subjects = tables()
    return visits.drop_duplicates("subject_id"), subjects


def in_days() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tables with measurements in days and durations in years."""
    visits, subjects = tables()
    return visits.assign(year=365.25 * visits["year"] + 10), subjects


def aged() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tables with a covariate that changes over time."""
    visits, subjects = tables()
    return visits.assign(age=50 + visits["year"]), subjects


def empty_category() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tables with a cause that nobody had."""
    seen = tables()[1]["event"]
    cause = pd.Categorical(np.where(seen, "relapse", None), ["death", "relapse"])
    return spoil(cause=cause)


BAD = {
    "negative duration": (lambda: spoil(duration=-1.0), {}, "Negative `duration`"),
    "infinite duration": (lambda: spoil(duration=np.inf), {}, "Infinite `duration`"),
    "text duration": (lambda: spoil(duration="long"), {}, "must hold numbers"),
    "odd event": (lambda: spoil(event=2), {}, "must be True/False or 1/0"),
    "no events": (lambda: spoil(event=False), {}, "No event among 200 subject"),
    "one event": (one_event, {"hazard": "arm"}, "1 event(s) cannot determine 2 coefficients"),
    "separation": (events_of_one_arm, {"hazard": "arm"}, "lowest value of arm[T.active]"),
    "days": (in_days, {}, "the same unit, days or years"),
    "entry after event": (
        lambda: spoil(entry=tables()[1]["duration"] + 1),
        {"entry": "entry"},
        "`entry` after `duration`",
    ),
    "reversed interval": (
        lambda: spoil(lower=2.0, upper=1.0),
        {"lower": "lower", "upper": "upper"},
        "`lower` after `upper`",
    ),
    "cause never seen": (empty_category, {"cause": "cause"}, "category 'death', but no event"),
    "one cause": (lambda: spoil(cause="death"), {"cause": "cause"}, "one cause only ('death')"),
    "cause column": (tables, {"cause": "why"}, "`cause` names 'why'"),
    "constant marker": (constant_marker, {}, "nfl is 3 in all"),
    "one visit each": (one_visit_each, {}, "Every subject has one row"),
    "constant covariate": (lambda: spoil(x=1.0), {"hazard": "x"}, "same value in all subjects"),
    "collinear": (
        lambda: spoil(x=(tables()[1]["arm"] == "active").astype(float)),
        {"hazard": "arm + x"},
        "x is a combination of the others",
    ),
    "infinite transform": (
        lambda: spoil(x=0.0),
        {"hazard": "log(x)"},
        "no finite number in 200 subject",
    ),
    "covariate of visits": (aged, {"hazard": "age"}, "column of `longitudinal` only"),
    "unknown covariate": (tables, {"hazard": "agee"}, "`hazard` names 'agee'"),
    "cuts too late": (tables, PIECES | {"cuts": (1.0, 9.0)}, "inside of the follow-up"),
    "piece without event": (
        tables,
        PIECES | {"cuts": (1e-6, 1.0)},
        "No event of 'event' determines the baseline hazard at (0, 1e-06]",
    ),
    "strata without events": (
        events_of_one_arm,
        {"strata": "arm", "baseline": "weibull"},
        "A level of `strata` has no event",
    ),
    "unknown keyword": (tables, {"hazards": "arm"}, "no keyword 'hazards'. Did you mean 'hazard'?"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_an_error_that_says_so(name: str) -> None:
    make, options, message = BAD[name]
    visits, subjects = make()
    with pytest.raises(DesignError, match=re.escape(message)):
        fit_joint(visits, subjects, FORMULA, **options)


def test_covariates_of_a_marker_may_not_change_over_time() -> None:
    visits, subjects = aged()
    with pytest.raises(DesignError, match="'age' changes over time in"):
        fit_joint(visits, subjects, "nfl ~ year + age + (1 | subject_id)")


def test_wrong_kinds_of_requests_are_refused() -> None:
    visits, subjects = tables()
    with pytest.raises(DesignError, match="beside a JointSpec"):
        fit_joint(visits, subjects, JointSpec(longitudinal=FORMULA), hazard="arm")
    with pytest.raises(DesignError, match="`spec` must be a JointSpec"):
        fit_joint(visits, subjects, ())
    with pytest.raises(DesignError, match="`on_failure` must be"):
        fit_joint(visits, subjects, FORMULA, on_failure="ignore")
    with pytest.raises(DesignError, match="`survival` must be a pandas DataFrame"):
        fit_joint(visits, subjects.to_dict(), FORMULA)


def test_fit_that_is_not_certified_is_an_error_or_says_so() -> None:
    visits, subjects = tables()
    options = {"association": "slope", "baseline": "weibull", "n_nodes": 2}  # too few nodes
    message = "more nodes over the random effects would move an estimate"
    with pytest.raises(ConvergenceError, match=message):
        fit_joint(visits, subjects, FORMULA, **options)
    with pytest.warns(ConvergenceWarning, match=message):
        fit = fit_joint(visits, subjects, FORMULA, on_failure="warn", **options)
    assert not fit.fit_log.converged
    assert "did NOT converge" in fit.headline()


def test_random_effects_that_measurements_do_not_support_are_named() -> None:
    visits, subjects = simulate(100, seed=1, truth=Truth(sd=(1.0, 1e-4), correlation=0.0))
    message = "random effects than these"
    with pytest.raises(ConvergenceError, match=message):
        fit_joint(visits, subjects, FORMULA, baseline="weibull")
    with pytest.warns(ConvergenceWarning, match=message):
        fit = fit_joint(visits, subjects, FORMULA, baseline="weibull", on_failure="warn")
    assert fit.fit_log.singular
    assert any("support fewer random effects" in note for note in fit.notes)


def test_a_covariate_that_contradicts_itself_is_refused() -> None:
    visits, subjects = tables()
    assert "arm" in subjects
    levels = list(pd.unique(subjects["arm"]))
    arm = subjects.set_index("subject_id")["arm"]
    turned = visits.assign(
        arm=visits["subject_id"].map(arm).map(dict(zip(levels, levels[::-1], strict=True)))
    )
    with pytest.raises(DesignError, match="'arm' stands in both tables with different values"):
        fit_joint(turned, subjects, FORMULA, hazard="arm")


def test_another_unit_is_said_in_the_headline() -> None:
    visits, subjects = tables()
    days = subjects.assign(duration=subjects["duration"] * 365.25)
    fit = fit_joint(visits, days, FORMULA, baseline="weibull", on_failure="warn")
    assert "have the same unit?" in fit.headline()
