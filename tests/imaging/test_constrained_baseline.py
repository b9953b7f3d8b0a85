"""A common baseline mean: ANCOVA where the two are known to agree, and dense likelihoods."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract

from pmsstats.errors import DesignError
from pmsstats.imaging import ConstrainedBaselineSpec, constrain_baseline, fit_constrained_baseline
from pmsstats.models import fit_lmm

VISITS = ["W0", "W24", "W48", "W96"]
EXACT = 1e-6  # maximum of a likelihood against a closed form
OF_ORDER_ONE_OVER_N = 1 / 60  # share; 60 subjects
GLS = 1e-7  # inverse matrices of a covariance whose condition number is about 1e3
N_TRIALS = 200
SPEC = ConstrainedBaselineSpec(outcome="brain_ml")
ML = ConstrainedBaselineSpec(outcome="brain_ml", method="ML")


def trial(
    seed: int,
    n: int = 60,
    *,
    arms=("placebo", "active"),
    drop: float = 0.0,
    level_sd: float = 50,
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n), len(VISITS))
    k = np.tile(np.arange(len(VISITS)), n)
    number = subject % len(arms)
    own = rng.normal(1500, level_sd, n)[subject] + rng.normal(0, 3, n)[subject] * k
    value = own - 5 * k + 2 * k * number + rng.normal(0, 6, len(k))
    frame = pd.DataFrame(
        {
            "subject_id": subject,
            "visit": pd.Categorical(np.array(VISITS)[k], VISITS, ordered=True),
            "year": 0.46 * k,
            "arm": pd.Categorical(np.array(arms)[number], arms),
            "brain_ml": value,
        }
    )
    return frame[rng.random(len(frame)) >= drop]


def ancova(data: pd.DataFrame, visit: str) -> tuple[float, float]:
    """Regress a visit on baseline and arm; return the arm's coefficient and standard error."""
    wide = data.pivot_table("brain_ml", "subject_id", "visit", observed=True)
    active = data.drop_duplicates("subject_id").set_index("subject_id")["arm"] == "active"
    X = np.column_stack([np.ones(len(wide)), wide["W0"] - wide["W0"].mean(), active])
    beta, rss, *_ = np.linalg.lstsq(X, wide[visit].to_numpy(), rcond=None)
    covariance = rss[0] / (len(wide) - 3) * np.linalg.inv(X.T @ X)
    return beta[2], np.sqrt(covariance[2, 2])


@pytest.fixture(scope="module")
def complete():
    return trial(1)


def differences(made) -> pd.DataFrame:
    table = made.table()
    table = table[table["quantity"] == "difference"]
    return table.set_index(table["term"].str.split(":").str[0])


UNEQUAL = [1, 3, 5, 7, 9, 11, 13, 15, 17]  # of the active arm, left out


@pytest.mark.parametrize("spec", [SPEC, ML], ids=["REML", "ML"])
@pytest.mark.parametrize("absent", [[], UNEQUAL], ids=["equal arms", "unequal arms"])
def test_complete_data_give_ancova_at_every_visit(complete, spec, absent):
    data = complete[~complete["subject_id"].isin(absent)]
    found = differences(fit_constrained_baseline(data, spec))
    for visit in VISITS[1:]:
        assert found.loc[visit, "estimate"] == pytest.approx(ancova(data, visit)[0], rel=EXACT)


def test_standard_errors_by_reml_are_those_of_ancova_but_for_order_one_over_n(complete):
    found = differences(fit_constrained_baseline(complete, SPEC))
    for visit in VISITS[1:]:
        std_error = ancova(complete, visit)[1]
        assert found.loc[visit, "std_error"] == pytest.approx(std_error, rel=OF_ORDER_ONE_OVER_N)


def test_baseline_has_one_mean_and_changes_start_from_it(complete):
    table = fit_constrained_baseline(complete, SPEC).table().set_index(["quantity", "term"])
    mean, change = table["estimate"]["mean"], table["estimate"]["change"]
    assert mean["W0"] == pytest.approx(
        complete.loc[complete["visit"] == "W0", "brain_ml"].mean(), rel=1e-8
    )
    for cell in change.index:
        assert change[cell] == pytest.approx(mean[cell] - mean["W0"], rel=1e-9)
    difference = table["estimate"]["difference"]
    assert difference["W96: active - placebo"] == pytest.approx(
        change["W96: active"] - change["W96: placebo"], rel=1e-9
    )


def dense_means(data: pd.DataFrame, sigma: np.ndarray, covariates=()) -> np.ndarray:
    """Estimate the mean of each cell at average covariates, by full matrices per subject."""
    cells = ["W0", *(f"{v}: {a}" for v in VISITS[1:] for a in ("placebo", "active"))]
    centred = data.assign(**{name: data[name] - data[name].mean() for name in covariates})
    p = len(cells) + len(covariates)
    A, b = np.zeros((p, p)), np.zeros(p)
    for _, mine in constrain_baseline(centred).groupby("subject_id"):
        at = mine["visit"].cat.codes.to_numpy()
        X = np.equal.outer(mine["visit_arm"].astype(str).to_numpy(), np.array(cells)).astype(float)
        X = np.column_stack([X, mine[list(covariates)].to_numpy(dtype=float)])
        Vi = np.linalg.inv(sigma[np.ix_(at, at)])
        A, b = A + X.T @ Vi @ X, b + X.T @ Vi @ mine["brain_ml"].to_numpy()
    return np.linalg.solve(A, b)[: len(cells)]


def test_missing_visits_give_generalised_least_squares_at_the_estimated_covariance():
    data = trial(2, n=50, drop=0.15)
    made = fit_constrained_baseline(data, ML)
    expected = dense_means(data, made.fit.visit_covariance().to_numpy())
    table = made.table()
    found = table.loc[table["quantity"] == "mean", "estimate"]
    np.testing.assert_allclose(found, expected, rtol=GLS)


def test_over_time_it_is_the_mixed_model_without_a_main_effect_of_arm(complete):
    made = fit_constrained_baseline(
        complete, ConstrainedBaselineSpec(outcome="brain_ml", time="year")
    )
    fit = fit_lmm(complete, "brain_ml ~ year + year:arm + (year | subject_id)").table()
    expected = fit.set_index("term").loc["year:arm[T.active]"]
    row = made.table().query("quantity == 'difference'").iloc[0]
    assert row["estimate"] == pytest.approx(expected["estimate"], rel=EXACT)
    assert row["std_error"] == pytest.approx(expected["std_error"], rel=EXACT)
    assert_result_contract(made)


@pytest.mark.slow
def test_it_is_more_precise_than_change_scores_and_unbiased():
    """Where levels differ little between subjects, as change then carries the baseline's error."""
    constrained, simple, errors = [], [], []
    for seed in range(N_TRIALS):
        data = trial(300 + seed, n=40, level_sd=1.0)
        row = differences(fit_constrained_baseline(data, SPEC)).loc["W48"]
        constrained.append(row["estimate"])
        errors.append(row["std_error"])
        wide = data.pivot_table("brain_ml", "subject_id", "visit", observed=True)
        change = wide["W48"] - wide["W0"]
        active = (data.drop_duplicates("subject_id")["arm"] == "active").to_numpy()
        simple.append(change[active].mean() - change[~active].mean())
    spread, of_changes = np.std(constrained, ddof=1), np.std(simple, ddof=1)
    assert abs(np.mean(constrained) - 4) < 4 * spread / np.sqrt(N_TRIALS)
    assert abs(np.mean(simple) - 4) < 4 * of_changes / np.sqrt(N_TRIALS)
    assert abs(spread - np.mean(errors)) < 4 * spread / np.sqrt(2 * N_TRIALS)
    # Variances: at baseline 1 + 36, at W48 1 + 4 * 9 + 36, covariance 1.
    given_baseline, of_change = 73 - 1 / 37, 37 + 73 - 2
    efficiency = given_baseline / of_change
    mcse = np.sqrt((1 - efficiency) / N_TRIALS)  # of a log ratio of paired standard deviations
    assert abs(np.log(spread / of_changes) - np.log(efficiency) / 2) < 4 * mcse
    assert spread < of_changes


def test_three_arms_are_each_compared_with_the_first():
    data = trial(4, n=60, arms=("placebo", "low", "high"))
    table = fit_constrained_baseline(data, SPEC).table()
    terms = table.loc[table["quantity"] == "difference", "term"].tolist()
    assert terms[:2] == ["W24: low - placebo", "W24: high - placebo"]
    assert len(terms) == 6
    means = table[table["quantity"] == "mean"].set_index("term")["estimate"]
    found = table[table["quantity"] == "difference"].set_index("term")["estimate"]
    for term in terms:
        visit, pair = term.split(": ")
        arm = pair.split(" - ")[0]
        expected = means[f"{visit}: {arm}"] - means[f"{visit}: placebo"]
        assert found[term] == pytest.approx(expected, rel=1e-8)


def test_covariates_leave_means_at_their_average(complete):
    age = 45 + (complete["subject_id"] % 9)
    spec = ConstrainedBaselineSpec(outcome="brain_ml", covariates="age_years")
    data = complete.assign(age_years=age)
    made = fit_constrained_baseline(data, spec)
    table = made.table()
    mean = table["quantity"] == "mean"
    expected = dense_means(data, made.fit.visit_covariance().to_numpy(), ("age_years",))
    np.testing.assert_allclose(table.loc[mean, "estimate"], expected, rtol=GLS)


def test_a_shift_of_one_arm_at_baseline_cannot_enter(complete):
    rows = constrain_baseline(complete)
    assert rows.loc[rows["visit"] == "W0", "visit_arm"].unique().tolist() == ["W0"]
    assert rows["visit_arm"].cat.categories.tolist()[:3] == ["W0", "W24: placebo", "W24: active"]
    assert "visit_arm" not in complete


def test_missing_visit_or_arm_stays_missing():
    rows = pd.DataFrame({"visit": ["W0", None, "W24"], "arm": ["a", "b", None]})
    assert constrain_baseline(rows)["visit_arm"].isna().tolist() == [False, True, True]


def test_wrong_requests_are_refused(complete):
    with pytest.raises(DesignError, match="`baseline`"):
        constrain_baseline(complete, baseline="W1")
    with pytest.raises(DesignError, match="several arms"):
        fit_constrained_baseline(complete[complete["arm"] == "active"], SPEC)
    with pytest.raises(DesignError, match="`engine` must be 'native'"):
        fit_constrained_baseline(complete, SPEC, engine="statsmodels")


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"time": "year", "baseline": "W0"}, "`baseline` belongs to visits"),
        ({"time": "year", "covariance": "ar1"}, "`covariance` belongs to visits"),
        ({"time": "year", "visit": "week"}, "`visit` belongs to visits"),
        ({"random": "(1 | subject_id)"}, "`random` belongs to a straight line"),
    ],
)
def test_fields_that_would_be_ignored_are_refused(fields, match):
    with pytest.raises(DesignError, match=match):
        ConstrainedBaselineSpec(outcome="brain_ml", **fields)


@pytest.mark.parametrize("method", ["satterthwaite", "kenward-roger", "normal"])
def test_degrees_of_freedom_over_time_are_those_that_were_asked_for(method):
    data = trial(6, n=12, drop=0.2)
    spec = ConstrainedBaselineSpec(outcome="brain_ml", time="year", df_method=method)
    found = fit_constrained_baseline(data, spec).table().iloc[-1]
    model = "brain_ml ~ year + year:arm + (year | subject_id)"
    expected = fit_lmm(data, model, df_method=method).table().set_index("term")
    for column in ("std_error", "p_value"):
        value = expected.loc["year:arm[T.active]", column]
        assert found[column] == pytest.approx(value, rel=EXACT)


def test_degrees_of_freedom_over_time_make_a_difference():
    data = trial(6, n=12, drop=0.2)
    made = {
        method: fit_constrained_baseline(
            data, ConstrainedBaselineSpec(outcome="brain_ml", time="year", df_method=method)
        ).table().iloc[-1]["std_error"]
        for method in ("satterthwaite", "kenward-roger")
    }  # fmt: skip
    assert made["kenward-roger"] > made["satterthwaite"]


def test_days_are_given_per_year_and_random_slopes_are_over_them(complete):
    year, day = (ConstrainedBaselineSpec(outcome="brain_ml", time=time) for time in ("year", "day"))
    data = complete.assign(day=365.25 * complete["year"])
    one = fit_constrained_baseline(complete, year).table()
    other = fit_constrained_baseline(data.drop(columns="year"), day).table()
    np.testing.assert_allclose(other["estimate"], one["estimate"], rtol=EXACT)
    np.testing.assert_allclose(other["std_error"], one["std_error"], rtol=EXACT)


@pytest.mark.parametrize("time", ["year", None])
def test_labels_that_look_like_differences_are_arms(complete, time):
    names = {"placebo": "drug - 0 mg", "active": "drug - 10 mg"}
    renamed = complete.assign(arm=complete["arm"].cat.rename_categories(names))
    spec = ConstrainedBaselineSpec(outcome="brain_ml", time=time)
    made, plain = (fit_constrained_baseline(d, spec).table() for d in (renamed, complete))
    assert made["quantity"].tolist() == plain["quantity"].tolist()
    assert made["quantity"].iloc[-1] == "difference"
    assert made["term"].iloc[-1].endswith("drug - 10 mg - drug - 0 mg")
    np.testing.assert_allclose(made["estimate"], plain["estimate"], rtol=EXACT)


def test_result_keeps_the_contract(complete):
    assert_result_contract(fit_constrained_baseline(complete, SPEC))
