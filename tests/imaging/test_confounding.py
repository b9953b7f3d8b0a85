"""What is refused because scanners are tied to time or arm, and what the rest costs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from scanner_cases import scans

from pmsstats.errors import DesignError, FormulaError
from pmsstats.imaging import HarmonisationSpec, check_scanner_confounding

MODEL = "year * arm + (1 | subject_id)"
SPEC = HarmonisationSpec(features=("feature1",), model=MODEL, by="arm")
DENSE = 1e-8  # two ways to invert the same matrices


def with_scanner(where) -> pd.DataFrame:
    data = scans(seed=4, n_subjects=40, n_features=1)
    return data.assign(scanner_id=where(data))


def number(data: pd.DataFrame) -> pd.Series:
    return data["subject_id"].str[1:].astype(int)


REFUSED = {
    "everybody moves at the same visit": (
        lambda d: np.where(d["year"] > 1, "new", "old"),
        "confounded with time",
    ),
    "everybody but two scans move at the same visit": (
        lambda d: np.where((d["year"] > 1) | d.index.isin([0, 5]), "new", "old"),
        "confounded with time",
    ),
    "each arm has its scanner": (
        lambda d: np.where(d["arm"] == "active", "A", "B"),
        "confounded with the groups",
    ),
    "one arm moves, at one visit": (
        lambda d: np.where((d["year"] > 0.5) & (d["arm"] == "active"), "new", "old"),
        "confounded with time within groups",
    ),
    "one scanner": (lambda d: np.repeat("A", len(d)), "one scanner"),
    "few scans": (lambda d: np.where(d.index < 4, "B", "A"), "has 4 scan"),
    "one subject": (lambda d: np.where(d["subject_id"] == "S003", "B", "A"), "one subject"),
    "numbers for names": (lambda d: np.where(d["year"] > 1, 2, 1), "confounded with time"),
}


ADVICE = {
    "one scanner": "Analyse the values as they are",
    "few scans": "Drop the scans of such a scanner, or merge it",
    "one subject": "Drop the scans of such a scanner, or merge it",
}


@pytest.mark.parametrize("case", REFUSED)
def test_confounded_scanners_are_refused_with_reason_and_table(case):
    where, reason = REFUSED[case]
    with pytest.raises(DesignError, match=reason) as refusal:
        check_scanner_confounding(with_scanner(where), SPEC)
    assert "explained_by_time" in str(refusal.value)
    assert ADVICE.get(case, "scan people twice around an upgrade") in str(refusal.value)
    assert str(refusal.value).count("scan people twice") == (case not in ADVICE)


@pytest.mark.parametrize("case", REFUSED)
def test_refusal_can_be_reported(case):
    where, reason = REFUSED[case]
    found = check_scanner_confounding(with_scanner(where), SPEC, on_problem="report")
    assert found.is_confounded
    assert any(reason in problem for problem in found.problems)
    assert_result_contract(found)


def test_a_step_beside_a_straight_line_is_refused_by_its_price_alone():
    data = with_scanner(lambda d: np.where(d["year"] > 1, "new", "old"))
    free = HarmonisationSpec(features=("feature1",), model=MODEL, by="arm", max_explained=1.1)
    with pytest.raises(DesignError, match=r"standard error of average slope by a factor of 2\.00"):
        check_scanner_confounding(data, free)


def test_scanner_that_repeats_other_terms_is_refused_at_any_limit():
    data = with_scanner(lambda d: np.where(d["arm"] == "active", "A", "B"))
    free = HarmonisationSpec(
        features=("feature1",), model=MODEL, by="arm", max_explained=1.1, max_inflation=1e9
    )
    with pytest.raises(DesignError, match="is a combination of other terms"):
        check_scanner_confounding(data, free)


def test_mixed_upgrades_pass_and_say_who_shares_no_subject():
    found = check_scanner_confounding(scans(seed=4), SPEC)
    assert not found.is_confounded
    assert found.worst < 1.5
    assert any("scanner C" in note for note in found.notes)
    table = found.table().set_index("scanner")
    assert table["n_scans"].sum() == found.n_obs == 600
    assert table.loc["A", "n_subjects_shared"] == table.loc["B", "n_subjects_shared"]
    assert_result_contract(found)


def test_a_scanner_per_site_is_no_reason_to_refuse_and_costs_slopes_nothing():
    data = with_scanner(lambda d: np.where(number(d) % 4 < 2, "A", "B"))
    found = check_scanner_confounding(data, SPEC)
    slopes = found.inflation[found.inflation["term"].str.contains("year")]
    np.testing.assert_allclose(slopes["inflation"], 1.0, atol=1e-6)


def test_inflation_is_that_of_dense_generalised_least_squares():
    data = scans(seed=9, n_subjects=25)
    found = check_scanner_confounding(data, SPEC)
    fit = found.fits["feature1"]
    variance = fit.variance_components["estimate"].iloc[0]
    same = np.equal.outer(data["subject_id"].to_numpy(), data["subject_id"].to_numpy())
    V = variance * same + fit.residual_sd**2 * np.eye(len(data))
    year, active = data["year"].to_numpy(), (data["arm"] == "active").to_numpy().astype(float)
    base = np.column_stack([np.ones(len(data)), year, active, year * active])
    dummies = [(data["scanner_id"] == s).to_numpy().astype(float) for s in "BC"]
    full = np.column_stack([base, *dummies])

    def std_errors(X):
        return np.sqrt(np.diag(np.linalg.inv(X.T @ np.linalg.solve(V, X))))[1:4]

    table = found.inflation.set_index("term").loc[["year", "arm[T.active]", "year:arm[T.active]"]]
    np.testing.assert_allclose(table["std_error"], std_errors(full), rtol=DENSE)
    np.testing.assert_allclose(table["std_error_without"], std_errors(base), rtol=DENSE)


def test_share_explained_is_the_adjusted_r2_of_a_regression_on_cells():
    data = scans(seed=2, n_subjects=30)
    found = check_scanner_confounding(data, SPEC).table().set_index("scanner")
    cells = pd.get_dummies(data["year"].astype(str) + data["arm"].astype(str)).to_numpy(float)
    used = (data["scanner_id"] == "B").to_numpy(float)
    rest = used - cells @ np.linalg.lstsq(cells, used, rcond=None)[0]
    n, k = cells.shape
    r2 = 1 - (rest @ rest / (n - k)) / (np.var(used, ddof=1))
    np.testing.assert_allclose(found.loc["B", "explained_by_both"], max(r2, 0), atol=1e-12)


def test_order_of_rows_and_unit_of_time_change_nothing():
    data = scans(seed=4)
    expected = check_scanner_confounding(data, SPEC)
    shuffled = check_scanner_confounding(data.sample(frac=1, random_state=1), SPEC)
    days = HarmonisationSpec(
        features=("feature1",), model="day * arm + (1 | subject_id)", by="arm", time="day"
    )
    in_days = check_scanner_confounding(data.assign(day=data["year"] * 365.25), days)
    for other in (shuffled, in_days):
        np.testing.assert_allclose(
            other.inflation["inflation"], expected.inflation["inflation"], rtol=1e-5
        )


WRONG = {
    "no features": ({"features": ()}, DesignError),
    "a feature twice": ({"features": ("feature1", "feature1")}, DesignError),
    "scanner in the model": ({"model": "year + scanner_id + (1 | subject_id)"}, DesignError),
    "two groupings": ({"model": "year + (1 | subject_id) + (1 | site_id)"}, FormulaError),
    "no random term": ({"model": "year"}, FormulaError),
    "by is not in the model": ({"by": "sex"}, DesignError),
    "time is not in the model": ({"time": "day"}, DesignError),
    "unknown scale": ({"residual_scale": "ML"}, DesignError),
    "limit below 1": ({"max_inflation": 0.5}, DesignError),
    "two scans": ({"min_scans": 2}, DesignError),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_requests_are_refused(case):
    fields, error = WRONG[case]
    with pytest.raises(error):
        HarmonisationSpec(**{"features": ("feature1",), "model": MODEL, **fields})


def test_absent_scanner_column_is_named():
    with pytest.raises(DesignError, match="scanner_id"):
        check_scanner_confounding(scans(seed=1).drop(columns="scanner_id"), SPEC)
