"""Replicates analysed at once agree with R, which analyses them one by one."""

from __future__ import annotations

import numpy as np
import pytest
from reference_cases import load_case
from scipy import special
from trial_cases import analysis_of, scenario_of

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.trials.analyses import analyse
from pmsstats.trials.outcomes import AnalysisBatch
from pmsstats.trials.scenario import TrialArm, TrialEndpoint

ARMS = tuple(TrialArm(name=name) for name in ("0", "1", "2"))
ENDPOINTS = (
    TrialEndpoint(name="volume", measure="volume"),
    TrialEndpoint(name="walk", measure="walk", better="lower"),
    TrialEndpoint(name="t2", measure="t2", better="lower"),
    TrialEndpoint(name="fall", measure="volume"),
)
WEEKS = (0, 24, 48, 96)
CASE = load_case("trial_analyses")


def arrays() -> TrialArrays:
    """The stored trials; who fell by more than 1 at week 96 has an event, if that is known."""
    rows = CASE.input
    shape = (3, -1, 4)
    values = {m: rows[m].to_numpy(float).reshape(shape) for m in ("volume", "walk", "t2")}
    arm, sex, age = (rows[c].to_numpy(float).reshape(shape)[..., 0] for c in ("arm", "sex", "age"))
    change = values["volume"][..., 3] - values["volume"][..., 0]
    day = np.where(np.isnan(change), -1.0, np.where(change < -1, 600.0, np.inf))
    return TrialArrays(
        arms=("0", "1", "2"),
        arm=arm.astype(int),
        weeks=WEEKS,
        day=7.0 * np.array(WEEKS)[None, None],
        values=values,
        exit_day=np.full(arm.shape, 672.0),
        exit_reason=np.zeros(arm.shape, int),
        stop_day=np.full(arm.shape, np.inf),
        baseline={"sex": sex, "age": age, "event_day": day},
    )


def run(method: str, **fields) -> AnalysisBatch:
    """All comparisons of one analysis."""
    analysis = analysis_of(method, **fields)
    scenario = scenario_of(analysis, arms=ARMS, endpoints=ENDPOINTS, weeks=WEEKS, n=66)
    return analyse(scenario, analysis, arrays(), arms=("1", "2"))


def found(batch: AnalysisBatch) -> dict[str, np.ndarray]:
    """What terms of the case are called here."""
    return {"estimate": batch.estimate, "se": batch.std_error, "df": batch.df}


def check(quantity: str, values: dict[str, np.ndarray]) -> None:
    """Compare (replicate, arm) arrays with the rows of one quantity."""
    rows = CASE.rows(quantity)
    for row in rows.itertuples():
        name, replicate = row.term.rsplit(".", 1)
        column = 0 if name[-1] == "1" or not name[-1].isdigit() else 1
        ours = values[name.rstrip("12")][int(replicate), column]
        assert ours == pytest.approx(float(row.value), rel=row.rtol), (quantity, row.term)


def test_random_slopes_agree_with_lmer_test():
    batch = run("random_slope")
    check("slope", found(batch))
    check("slope_df", found(batch))


def test_ancova_agrees_with_lm():
    check("ancova", found(run("ancova", covariates=("age",))))


def test_unequal_variances_agree_with_t_test():
    check("welch", found(run("change", options={"variance": "unequal"})))


def test_repeated_measures_agree_with_gls():
    check("mmrm", found(run("mmrm")))


def test_counts_agree_with_glm_nb():
    check("counts", found(run("counts", endpoint="t2", covariates=("age",))))


def test_shares_agree_with_mantel_haenszel_and_prop_test():
    plain = run("proportion", endpoint="fall", options={"missing": "excluded"})
    odds = run(
        "proportion", endpoint="fall", options={"strata": ("sex",), "effect": "log_odds_ratio"}
    )
    check(
        "share",
        {
            "log_or": odds.estimate,
            "se_log_or": odds.std_error,
            "chi": plain.z**2,
            "difference": plain.estimate,
            "se_difference": plain.std_error,
        },
    )


@pytest.mark.parametrize("component", ["volume", "walk"])
def test_components_of_a_multivariate_model_agree_with_lme(component):
    batch = run("multivariate", endpoints=("volume", "walk"), options={"component": component})
    sign = {"volume": 1, "walk": -1}[component]
    for quantity, ours in (("joint", sign * batch.estimate), ("joint_se", batch.std_error)):
        rows = CASE.rows(quantity)
        rows = rows[rows["term"].str.startswith(component)]
        assert len(rows) == 6
        for row in rows.itertuples():
            arm, replicate = row.term.removeprefix(component).split(".")
            value = ours[int(replicate), int(arm) - 1]
            assert value == pytest.approx(float(row.value), rel=row.rtol), row.term


@pytest.mark.parametrize("combine", ["ols", "gls"])
def test_combined_tests_agree_with_obrien(combine):
    batch = run("multivariate", endpoints=("volume", "walk"), options={"combine": combine})
    t = batch.estimate / batch.std_error
    rows = CASE.rows("joint_t")
    rows = rows[rows["term"].str.startswith(combine)]
    assert len(rows) == 6
    for row in rows.itertuples():
        arm, replicate = row.term.removeprefix(combine).split(".")
        value = t[int(replicate), int(arm) - 1]
        assert value == pytest.approx(float(row.value), rel=row.rtol), row.term
    z = special.ndtri(special.stdtr(batch.df, t))
    np.testing.assert_allclose(batch.z, z, rtol=1e-9)
