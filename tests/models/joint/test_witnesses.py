"""Joint fits of two trials, against R's JM as published, and the likelihood written out."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from joint_tables import posterior_grid
from reference_cases import load_case

from pmsstats.models.joint.joint import fit_joint
from pmsstats.models.joint.result import JointResult

SAME_INTEGRAL = 2e-3  # of the log-likelihood: 9 x 9 adaptive nodes against 41 x 41, 312 subjects
PBC_FORMULA = "log(serBilir) ~ drug * year + (year | id)"
TERMS = {
    "association": "value(CD4)",
    "drug ddI": "drug[T.ddI]",
    "obstime": "obstime",
}


@cache
def aids() -> JointResult:
    """Fit the published model of CD4 counts and death."""
    case = load_case("joint_aids")
    return fit_joint(
        case.input,
        case.input.drop_duplicates("patient"),
        "CD4 ~ obstime + obstime:drug + (obstime | patient)",
        hazard="drug",
        time="obstime",
        duration="Time",
        event="death",
        baseline="piecewise",
        cuts=tuple(case.rows("cut")["value"].astype(float)),
    )


def pbc_subjects(pbc: pd.DataFrame) -> pd.DataFrame:
    """Return one row per patient; the event is death or transplantation."""
    first = pbc.drop_duplicates("id")
    return first.assign(failed=first["status"] != "alive")


@cache
def pbc() -> JointResult:
    """Fit the published model of bilirubin and death or transplantation."""
    data = load_case("joint_pbc2").input
    return fit_joint(
        data,
        pbc_subjects(data),
        PBC_FORMULA,
        hazard="drug + age",
        duration="years",
        event="failed",
        baseline="weibull",
    )


def test_aids_is_that_of_the_published_fit() -> None:
    case, fit = load_case("joint_aids"), aids()
    value = float(case.rows("log_likelihood")["value"].iloc[0])
    rtol = float(case.rows("log_likelihood")["rtol"].iloc[0])
    assert fit.log_likelihood == pytest.approx(value, rel=rtol)
    table = fit.estimates.set_index("term")
    for quantity in ("estimate", "std_error"):
        for row in case.rows(quantity).itertuples():
            found = table.loc[TERMS[row.term], quantity]
            assert found == pytest.approx(float(row.value), rel=float(row.rtol)), row.term


def test_pbc_is_that_of_the_published_fit() -> None:
    case, fit = load_case("joint_pbc2"), pbc()
    link = fit.association_table().iloc[0]
    found = {
        "log_likelihood": fit.log_likelihood,
        "estimate": link["estimate"],
        "std_error": link["std_error"],
    }
    for quantity, value in found.items():
        row = case.rows(quantity).iloc[0]
        assert value == pytest.approx(float(row["value"]), rel=float(row["rtol"])), quantity


def test_pbc_likelihood_is_that_of_the_definition() -> None:
    data, fit = load_case("joint_pbc2").input, pbc()
    beta = fit.estimates.query("part == 'longitudinal'").set_index("term")["estimate"]
    spread = fit.variance_components.set_index("term")["estimate"]
    event = fit.estimates.query("part in ['association', 'hazard', 'baseline']")
    event = event.set_index("term")["estimate"]
    sd = spread[["sd(intercept)", "sd(year)"]].to_numpy()
    rho = spread["cor(intercept, year)"]
    D = np.outer(sd, sd) * np.array([[1.0, rho], [rho, 1.0]])
    x, w = np.polynomial.legendre.leggauss(60)
    u, w = (x + 1) / 2, w / 2
    total = 0.0
    for patient, rows in data.groupby("id"):
        first = pbc_subjects(data).set_index("id").loc[patient]
        placebo = float(first["drug"] == "placebo")
        t = rows["year"].to_numpy()
        level = beta["Intercept"] + beta["drug[T.placebo]"] * placebo
        slope = beta["year"] + beta["drug[T.placebo]:year"] * placebo
        y = np.log(rows["serBilir"].to_numpy()) - level - slope * t
        Z = np.column_stack([np.ones(len(t)), t])
        b, weights, log_p = posterior_grid(y, Z, D, spread["sd(residual)"], 41)
        constant = event["intercept"] + event["age"] * first["age"]
        constant += event["drug[T.placebo]"] * placebo
        end = first["years"]
        time = np.append(end * u**4, end)[:, None]  # the last one for the event
        true = level + b[:, 0] + (slope + b[:, 1]) * time
        log_hazard = constant + event["log(time)"] * np.log(time)
        log_hazard = log_hazard + event["value(log(serBilir))"] * true
        log_likelihood = -(end * w * 4 * u**3) @ np.exp(log_hazard[:-1])
        log_likelihood = log_likelihood + first["failed"] * log_hazard[-1]
        total += log_p + np.log(weights @ np.exp(log_likelihood))
    assert fit.log_likelihood == pytest.approx(total, abs=SAME_INTEGRAL)


def test_two_stages_underestimate_the_association() -> None:
    start = pbc().start.query("part == 'association'").iloc[0]
    assert start["two_stage"] < start["joint"]
