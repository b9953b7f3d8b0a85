"""What a Cox model predicts, and its residuals: R as witness, brute force, engines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from properties import assert_survival_curve
from reference_cases import load_case

from pmsstats.errors import DesignError
from pmsstats.models.events.survival import CoxSpec, fit_cox

ENGINES_AGREE = 1e-7  # relative: two programs at one maximum, both polished
COVARIATES = "age_years + active"
ENTRY = {"start": "entry", "stop": "month"}
SPECS = {
    "entry": CoxSpec(covariates=COVARIATES, **ENTRY),
    "strata": CoxSpec(covariates=COVARIATES, strata="sex", **ENTRY),
    "all": CoxSpec(covariates=COVARIATES, strata="sex", cluster="centre", **ENTRY),
    "plain": CoxSpec(covariates=COVARIATES, duration="month"),
}
NEW = pd.DataFrame({"age_years": [40, 60], "active": [1, 0], "sex": ["F", "M"]})

each_engine = pytest.mark.parametrize("engine", ["native", "lifelines"])


@each_engine
@pytest.mark.parametrize("name", SPECS)
def test_left_truncated_fits_agree_with_r(name: str, engine: str) -> None:
    """Witness: coxph of R's survival (stored), with late entry, strata and clusters."""
    case = load_case("cox_prediction")
    fit = fit_cox(case.input, SPECS[name], engine=engine)
    assert fit.fit_log.engine == engine
    table = fit.table().set_index("term")
    for column in ("estimate", "std_error"):
        for row in case.rows(f"{name}.{column}").itertuples():
            assert table.loc[row.term, column] == pytest.approx(row.value, rel=row.rtol)
    row = case.rows(f"{name}.log_likelihood").iloc[0]
    assert fit.log_likelihood == pytest.approx(row["value"], rel=row["rtol"])


@pytest.mark.parametrize("name", ["entry", "strata", "plain"])
def test_predictions_agree_with_r(name: str) -> None:
    """Witness: survfit.coxph with log-log intervals (stored)."""
    case = load_case("cox_prediction")
    curve = fit_cox(case.input, SPECS[name]).predict_survival(NEW, [6, 20, 40])
    found = curve.set_index(curve["row"].astype(str) + "@" + curve["duration"].map("{:g}".format))
    for column in ("survival", "conf_low", "conf_high"):
        for row in case.rows(f"{name}.{column}").itertuples():
            assert found.loc[row.term, column] == pytest.approx(row.value, rel=row.rtol)


@pytest.mark.parametrize("name", ["entry", "strata", "plain"])
def test_residuals_agree_with_r(name: str) -> None:
    """Witness: residuals.coxph (stored)."""
    case = load_case("cox_prediction")
    residuals = fit_cox(case.input, SPECS[name]).residuals().set_index("row")
    assert residuals["martingale"].sum() == pytest.approx(0, abs=1e-8)
    for column in ("martingale", "deviance"):
        for row in case.rows(f"{name}.{column}").itertuples():
            found = residuals.loc[int(row.term), column]
            assert found == pytest.approx(row.value, rel=row.rtol), row


def test_prediction_at_the_means_is_the_baseline() -> None:
    """Witness: baseline(), checked against R's basehaz, between and at its steps."""
    data = load_case("cox_prediction").input
    fit = fit_cox(data, SPECS["plain"])
    means = data[["age_years", "active"]].mean().to_frame().T
    baseline = fit.baseline()
    curve = fit.predict_survival(means, baseline["duration"])
    np.testing.assert_allclose(curve["survival"], baseline["survival"], rtol=1e-12)


def test_curves_fall_and_end_with_their_stratum() -> None:
    data = load_case("cox_prediction").input
    fit = fit_cox(data, SPECS["strata"])
    curve = fit.predict_survival(NEW)
    assert_survival_curve(curve.rename(columns={"row": "group"}).dropna())
    last = data.groupby("sex")["month"].max()
    shown = curve.dropna().groupby("row")["duration"].max()
    assert shown[0] <= last["F"]
    assert shown[1] <= last["M"]
    assert curve["survival"].isna().any() == (last["F"] != last["M"])


def test_residuals_know_their_row() -> None:
    data = load_case("cox_prediction").input
    holed = data.assign(age_years=data["age_years"].where(data.index != 3))
    residuals = fit_cox(holed, SPECS["entry"]).residuals()
    assert residuals["row"].tolist() == [i for i in range(len(data)) if i != 3]


def test_engines_agree() -> None:
    data = load_case("cox_prediction").input
    a, b = (fit_cox(data, SPECS["all"], engine=e) for e in ("native", "lifelines"))
    columns = ["estimate", "std_error"]
    np.testing.assert_allclose(a.table()[columns], b.table()[columns], rtol=ENGINES_AGREE)
    assert "CoxTimeVaryingFitter" in b.fit_log.optimiser


def test_lifelines_is_asked_unless_told_otherwise() -> None:
    log = fit_cox(load_case("cox_prediction").input, SPECS["plain"]).fit_log
    assert (log.engine, log.message) == ("lifelines", "")
    assert log.optimiser.startswith("CoxPHFitter")


@pytest.mark.parametrize("change", [{"beta": 0.5}, {"log_likelihood": 0.5}])
def test_a_disagreement_of_lifelines_is_told(monkeypatch, change: dict) -> None:
    """An engine that ends elsewhere, or counts another likelihood; the maximum stays certified."""
    from pmsstats.models.backends import lifelines_cox

    sound = lifelines_cox.maximise_partial_likelihood

    def astray(process, start):
        found = sound(process, start)
        moved = {name: getattr(found, name) + by for name, by in change.items()}
        return replace(found, **moved)

    data = load_case("cox_prediction").input
    native = fit_cox(data, SPECS["plain"], engine="native")
    monkeypatch.setattr(lifelines_cox, "maximise_partial_likelihood", astray)
    fit = fit_cox(data, SPECS["plain"])
    assert fit.fit_log.message.startswith("lifelines disagrees: it ended ")
    assert fit.fit_log.converged
    columns = ["estimate", "std_error"]
    np.testing.assert_allclose(fit.table()[columns], native.table()[columns], rtol=ENGINES_AGREE)


def test_bad_requests_are_refused() -> None:
    data = load_case("cox_prediction").input
    fit = fit_cox(data, SPECS["strata"])
    with pytest.raises(DesignError, match="The stratum 'sex=X' was not in the data"):
        fit.predict_survival(NEW.assign(sex="X"))
    with pytest.raises(DesignError, match="`strata` names 'sex'"):
        fit.predict_survival(NEW.drop(columns="sex"))
    with pytest.raises(DesignError, match="at least 0"):
        fit.predict_survival(NEW, [-1])
    with pytest.raises(DesignError, match="`engine` must be"):
        fit_cox(data, SPECS["plain"], engine="sas")
