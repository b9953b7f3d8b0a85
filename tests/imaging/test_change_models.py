"""Change through the origin: as the level model where it must be, and as dense likelihoods."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from scipy import optimize, stats

from pmsstats.errors import DesignError
from pmsstats.imaging import ChangeSpec, change_from_baseline, fit_change
from pmsstats.models import LMMSpec, fit_lmm

YEARS = np.array([0.0, 0.5, 1.0, 2.0])
EQUAL = 1e-5  # two fits of the same likelihood, each to about 1e-6 of a variance ratio
DAYS_PER_YEAR = 365.25
VARIANCE = 1e-4  # of a slope: flatter than the residual variance, in the same two fits
DF = 1e-3  # from second derivatives at variances that are known to 1e-6
DENSE = 1e-4  # a general-purpose optimiser over four parameters


def levels(seed: int, n: int = 60, *, drop: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n), len(YEARS))
    year, active = np.tile(YEARS, n), subject % 2 == 1
    own = rng.multivariate_normal([20.0, 0.0], [[1.0, 0.1], [0.1, 0.09]], n)[subject]
    value = own[:, 0] + (own[:, 1] - 0.5 + 0.2 * active) * year + rng.normal(0, 0.3, len(year))
    arm = pd.Categorical(np.where(active, "active", "placebo"), ["placebo", "active"])
    frame = pd.DataFrame({"subject_id": subject, "year": year, "arm": arm, "pbvc_pct": value})
    return frame[(rng.random(len(frame)) >= drop) | (frame["year"] == 0)]


@pytest.fixture(scope="module")
def complete():
    return levels(1)


@pytest.fixture(scope="module")
def changes(complete):
    return change_from_baseline(complete, "pbvc_pct").data


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_complete_data_give_the_slopes_of_the_level_model(complete, changes, method):
    level = fit_lmm(
        complete, LMMSpec.from_formula("pbvc_pct ~ year * arm + (year | subject_id)", method=method)
    )
    change = fit_change(
        changes,
        ChangeSpec(outcome="pbvc_pct", by="arm", baseline_error="level", method=method),
    )
    expected = level.table().set_index("term")
    found = change.table().set_index("term")
    for mine, theirs in (("placebo", "year"), ("active - placebo", "year:arm[T.active]")):
        for column in ("estimate", "std_error"):
            assert found.loc[mine, column] == pytest.approx(expected.loc[theirs, column], rel=EQUAL)
    assert change.fit.residual_sd == pytest.approx(level.residual_sd, rel=EQUAL)
    parts = level.variance_components
    slope = parts.loc[(parts["term1"] == "year") & (parts["kind"] == "variance"), "estimate"].iloc[
        0
    ]
    found = change.fit.variance_components["estimate"].iloc[0]
    assert found == pytest.approx(slope, rel=VARIANCE)


def test_level_of_the_baseline_leaves_no_trace(complete, changes):
    rng = np.random.default_rng(3)
    moved = complete["subject_id"].map(pd.Series(rng.normal(0, 50, 60)))
    other = change_from_baseline(complete.assign(pbvc_pct=complete["pbvc_pct"] + moved), "pbvc_pct")
    pd.testing.assert_frame_equal(other.data, changes)


def dense_fit(changes: pd.DataFrame, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Maximise the restricted likelihood of changes with full matrices per subject."""
    blocks = []
    for _, mine in changes.groupby("subject_id"):
        t = mine["year"].to_numpy()
        X = np.column_stack([t, t * (mine["arm"] == "active")])
        blocks.append((t, X, mine["pbvc_pct"].to_numpy()))

    def parts(theta):
        slope, error, shared = np.exp(theta)
        share = {"shared": shared, "level": error, "independent": 0.0}[kind]
        A, b, c, log_det = np.zeros((2, 2)), np.zeros(2), 0.0, 0.0
        for t, X, y in blocks:
            V = slope * np.outer(t, t) + error * np.eye(len(t)) + share
            Vi = np.linalg.inv(V)
            A, b, c = A + X.T @ Vi @ X, b + X.T @ Vi @ y, c + y @ Vi @ y
            log_det += np.linalg.slogdet(V)[1]
        beta = np.linalg.solve(A, b)
        return beta, np.linalg.inv(A), log_det + np.linalg.slogdet(A)[1] + c - b @ beta

    options = {"xatol": 1e-7, "fatol": 1e-10, "maxiter": 4000}
    start = np.log([0.09, 0.09, 0.09])
    best = optimize.minimize(lambda th: parts(th)[2], start, method="Nelder-Mead", options=options)
    beta, covariance, _ = parts(best.x)
    return beta, np.sqrt(np.diag(covariance))


@pytest.mark.parametrize("kind", ["shared", "level", "independent"])
def test_unequal_visits_give_the_dense_restricted_likelihood(kind):
    changes = change_from_baseline(levels(5, n=40, drop=0.25), "pbvc_pct").data
    made = fit_change(changes, ChangeSpec(outcome="pbvc_pct", by="arm", baseline_error=kind))
    beta, std_error = dense_fit(changes, kind)
    table = made.table().set_index("term").loc[["placebo", "active - placebo"]]
    np.testing.assert_allclose(table["estimate"], beta, rtol=10 * DENSE)
    np.testing.assert_allclose(table["std_error"], std_error, rtol=10 * DENSE)


@pytest.mark.slow
def test_with_the_error_of_the_level_standard_errors_are_those_of_repeated_trials():
    std_errors, wrong, right = [], [], []
    for seed in range(60):
        changes = change_from_baseline(levels(200 + seed, n=40), "pbvc_pct").data
        made = {
            kind: fit_change(
                changes, ChangeSpec(outcome="pbvc_pct", by="arm", baseline_error=kind)
            ).table().iloc[-1]
            for kind in ("independent", "level")
        }  # fmt: skip
        wrong.append(made["independent"]["estimate"])
        right.append(made["level"]["estimate"])
        std_errors.append(made["level"]["std_error"])
    spread = np.std(right, ddof=1)
    mcse = spread / np.sqrt(2 * 60)
    assert abs(spread - np.mean(std_errors)) < 4 * mcse
    assert abs(np.mean(right) - 0.2) < 4 * spread / np.sqrt(60)
    assert np.std(wrong, ddof=1) > spread  # ignoring the shared error costs precision


def test_rows_at_baseline_are_dropped_and_counted(changes):
    zeros = changes.drop_duplicates("subject_id").assign(year=0.0, pbvc_pct=0.0)
    spec = ChangeSpec(outcome="pbvc_pct", by="arm")
    with_zeros = fit_change(pd.concat([zeros, changes]), spec)
    without = fit_change(changes, spec)
    assert with_zeros.exclusions[0].n == 60
    assert "by definition" in with_zeros.exclusions[0].reason
    pd.testing.assert_frame_equal(with_zeros.table(), without.table())


def test_what_is_not_zero_at_baseline_is_no_change(complete):
    with pytest.raises(DesignError, match="Is it a level"):
        fit_change(complete, ChangeSpec(outcome="pbvc_pct"))


def test_a_covariate_that_varies_within_subjects_is_refused(changes):
    with pytest.raises(DesignError, match="constant within a subject"):
        fit_change(
            changes.assign(z=changes["year"]), ChangeSpec(outcome="pbvc_pct", covariates=("z",))
        )


def test_covariates_change_the_slope_only(changes):
    age = changes["subject_id"] % 7 - 3.0
    made = fit_change(
        changes.assign(age=age), ChangeSpec(outcome="pbvc_pct", by="arm", covariates=("age",))
    )
    assert made.fit.table()["term"].tolist() == ["year", "year:arm[T.active]", "year:age"]


def test_units_scale_estimates_and_leave_the_test(changes):
    spec = ChangeSpec(outcome="pbvc_pct", by="arm")
    one = fit_change(changes, spec).table()
    small = fit_change(changes.assign(pbvc_pct=1e-4 * changes["pbvc_pct"]), spec).table()
    np.testing.assert_allclose(small["estimate"], 1e-4 * one["estimate"], rtol=EQUAL)
    np.testing.assert_allclose(small["statistic"], one["statistic"], rtol=EQUAL)


def in_days(changes: pd.DataFrame) -> pd.DataFrame:
    return changes.assign(day=DAYS_PER_YEAR * changes["year"])


def test_days_and_years_give_the_same_slopes_lines_and_figure(changes):
    years = fit_change(changes, ChangeSpec(outcome="pbvc_pct", by="arm"))
    days = fit_change(in_days(changes), ChangeSpec(outcome="pbvc_pct", by="arm", time="day"))
    columns = ["estimate", "std_error", "conf_low", "conf_high"]
    np.testing.assert_allclose(days.table()[columns], years.table()[columns], rtol=EQUAL)
    assert days.headline() == years.headline()
    assert "per year" in days.headline()
    one, other = years.mean_lines(), days.mean_lines()
    assert one["group"].tolist() == other["group"].tolist() == ["placebo"] * 2 + ["active"] * 2
    np.testing.assert_allclose(other.iloc[:, 1:], one.iloc[:, 1:], rtol=EQUAL)
    # Two years after baseline, by hand.
    slope = years.table().set_index("term").loc["placebo", "estimate"]
    assert other.loc[1, "year"] == pytest.approx(2.0)
    assert other.loc[1, "estimate"] == pytest.approx(2 * slope, rel=EQUAL)


def test_figure_of_days_is_drawn_in_years(changes):
    made = fit_change(in_days(changes), ChangeSpec(outcome="pbvc_pct", by="arm", time="day"))
    _, ax = plt.subplots()
    made.plot(ax=ax)
    lines = [line for line in ax.get_lines() if line.get_gid() == "fitted"]
    drawn = np.array([line.get_ydata()[-1] for line in lines])
    slopes = made.table().set_index("term").loc[["placebo", "active"], "estimate"]
    np.testing.assert_allclose(drawn, 2 * slopes, rtol=EQUAL)
    assert [line.get_xdata()[-1] for line in lines] == pytest.approx([2.0, 2.0])
    subjects = [c for c in ax.collections if c.get_gid() == "individuals"]
    last = max(path.vertices[:, 0].max() for c in subjects for path in c.get_paths())
    assert last == pytest.approx(2.0)
    assert ax.get_xlabel() == "Years from baseline"
    plt.close("all")


def test_labels_that_look_like_differences_are_arms(changes):
    names = {"placebo": "placebo", "active": "drug - 10 mg"}
    renamed = changes.assign(arm=changes["arm"].cat.rename_categories(names))
    spec = ChangeSpec(outcome="pbvc_pct", by="arm")
    made, plain = fit_change(renamed, spec), fit_change(changes, spec)
    table = made.table()
    assert table["quantity"].tolist() == ["slope", "slope", "difference"]
    assert table["term"].tolist() == ["placebo", "drug - 10 mg", "drug - 10 mg - placebo"]
    np.testing.assert_allclose(table["estimate"], plain.table()["estimate"], rtol=EQUAL)
    assert made.mean_lines()["group"].unique().tolist() == ["placebo", "drug - 10 mg"]
    _, ax = plt.subplots()
    made.plot(ax=ax)
    assert sum(line.get_gid() == "fitted" for line in ax.get_lines()) == 2
    plt.close("all")


def test_complete_data_by_kenward_and_roger_are_a_t_test_of_each_subjects_slope(changes, complete):
    """Least-squares lines of the level are independent, with one variance for all."""
    spec = ChangeSpec(
        outcome="pbvc_pct", by="arm", baseline_error="level", df_method="kenward-roger"
    )
    row = fit_change(changes, spec).table().set_index("quantity").loc["difference"]
    slope = complete.groupby("subject_id").apply(
        lambda mine: np.polyfit(mine["year"], mine["pbvc_pct"], 1)[0], include_groups=False
    )
    active = complete.groupby("subject_id")["arm"].first() == "active"
    expected = stats.ttest_ind(slope[active], slope[~active])
    assert row["statistic"] == pytest.approx(expected.statistic, rel=EQUAL)
    assert row["df"] == pytest.approx(len(slope) - 2, rel=DF)
    assert row["p_value"] == pytest.approx(expected.pvalue, rel=DF)


def test_degrees_of_freedom_are_those_that_were_asked_for():
    changes = change_from_baseline(levels(5, n=16, drop=0.25), "pbvc_pct").data
    formula = "pbvc_pct ~ 0 + year + year:arm + (1 | subject_id) + (0 + year | subject_id)"
    found = {}
    for method in ("satterthwaite", "kenward-roger", "normal"):
        spec = ChangeSpec(outcome="pbvc_pct", by="arm", df_method=method)
        found[method] = fit_change(changes, spec).table().iloc[-1]
        expected = fit_lmm(changes, formula, df_method=method).table().iloc[-1]
        for column in ("std_error", "p_value"):
            assert found[method][column] == pytest.approx(expected[column], rel=EQUAL)
    assert found["kenward-roger"]["std_error"] > found["satterthwaite"]["std_error"]
    assert found["normal"]["p_value"] < found["satterthwaite"]["p_value"]


def test_change_from_baseline_by_hand():
    data = pd.DataFrame(
        {"subject_id": list("aaabbc"), "year": [-0.1, 0, 1, 0, 2, 1],
         "brain_ml": [1510.0, 1500.0, 1485.0, 1400.0, 1414.0, 1300.0]}
    )  # fmt: skip
    made = change_from_baseline(data, "brain_ml")
    assert made.data["brain_ml"].tolist() == [-15.0, 14.0]
    assert (made.n_subjects, made.n_obs) == (2, 2)
    percent = change_from_baseline(data, "brain_ml", percent=True).data
    assert percent["brain_ml"].tolist() == pytest.approx([-1.0, 1.0])
    counts = {(e.unit, e.reason): e.n for e in made.exclusions}
    assert counts == {
        ("subject", "no value at baseline"): 1,
        ("row", "no value at baseline"): 1,
        ("row", "at or before baseline"): 3,
    }


def test_two_values_at_baseline_are_refused():
    data = pd.DataFrame({"subject_id": ["a", "a"], "year": [0, 0], "brain_ml": [1.0, 2.0]})
    with pytest.raises(DesignError, match="two values"):
        change_from_baseline(data, "brain_ml")


@pytest.mark.parametrize(
    "fields",
    [
        {"baseline_error": "none"},
        {"covariates": ["age"]},
        {"df_method": "between-within"},
        {"df_method": "kenward-roger", "method": "ML"},
    ],
    ids=["error", "covariates", "df", "df by ML"],
)
def test_wrong_requests_are_refused(fields):
    with pytest.raises(DesignError):
        ChangeSpec(outcome="pbvc_pct", **fields)


@pytest.mark.parametrize("by", ["arm", None])
def test_result_keeps_the_contract(changes, by):
    made = fit_change(changes, ChangeSpec(outcome="pbvc_pct", by=by))
    assert_result_contract(made)
    assert "Brain volume change from baseline, change % per year through zero" in made.headline()
