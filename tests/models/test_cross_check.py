"""A second opinion from every engine: agreement where there is, a warning where there is none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lmm_cases import MODELS, Model
from matplotlib.collections import PathCollection
from reference_cases import load_case

from pmsstats.errors import (
    BackendUnavailableError,
    DesignError,
    EngineDisagreementWarning,
)
from pmsstats.models.backends import LMM_ENGINES
from pmsstats.models.cross_check import cross_check
from pmsstats.models.lmm_result import LMMResult

# Sound fits; a singular one and one in units of 1e-4 with days are among them.
CHECKED = [m for m in MODELS if m.id in {
    "lmm_sleepstudy-reml", "lmm_sleepstudy-uncorrelated", "lmm_trial-ml", "lmm_singular-correlated",
    "lmm_scales-reml",
}]  # fmt: skip


def sleepstudy(engine: str = "statsmodels") -> LMMResult:
    return MODELS[0].fit(load_case("lmm_sleepstudy"), engine)


@pytest.mark.parametrize("model", CHECKED, ids=lambda m: m.id)
def test_engines_without_r_agree(model: Model):
    engines = [name for name in LMM_ENGINES if name != "lme4"]
    fit = model.fit(model.load(), engines[0])
    result = cross_check(fit, engines=engines)
    assert result.agrees
    assert set(result.table()["engine"]) == set(engines)
    assert not result.unavailable


@pytest.mark.r
@pytest.mark.parametrize("model", CHECKED, ids=lambda m: m.id)
def test_lme4_agrees(model: Model):
    result = cross_check(model.fit(model.load(), "statsmodels"), engines=["lme4"])
    assert result.agrees
    assert "lme4 agrees" in result.headline()


def doubled(fit: LMMResult, column: str) -> LMMResult:
    table = fit.coefficients.assign(**{column: fit.coefficients[column] * 2})
    return dataclasses.replace(fit, coefficients=table)


TAMPERED = {
    "estimate": lambda fit: doubled(fit, "estimate"),
    "std_error": lambda fit: doubled(fit, "std_error"),
    "residual_sd": lambda fit: dataclasses.replace(fit, residual_sd=fit.residual_sd * 1.001),
    "log_likelihood": lambda fit: dataclasses.replace(
        fit, fit_log=dataclasses.replace(fit.fit_log, log_likelihood=-870.0)
    ),
    "variance": lambda fit: dataclasses.replace(
        fit,
        variance_components=fit.variance_components.assign(
            estimate=fit.variance_components["estimate"] * 1.01
        ),
    ),
    "blup": lambda fit: dataclasses.replace(
        fit, blup_frame=fit.blup_frame.assign(Days=fit.blup_frame["Days"] * 1.01)
    ),
}


@pytest.mark.parametrize("quantity", TAMPERED)
def test_a_wrong_number_is_told_with_a_warning_of_its_own(quantity):
    wrong = TAMPERED[quantity](sleepstudy())
    with pytest.warns(EngineDisagreementWarning, match=f"DISAGREES on {quantity}"):
        result = cross_check(wrong, engines=["statsmodels"])
    table = result.table().set_index("quantity")
    assert not result.agrees
    assert table.index[~table["agrees"]].tolist() == [quantity]


def test_digits_are_those_of_the_largest_difference():
    fit = sleepstudy()
    wrong = dataclasses.replace(fit, residual_sd=fit.residual_sd * (1 + 1e-4))
    with pytest.warns(EngineDisagreementWarning):
        table = cross_check(wrong, engines=["statsmodels"]).table().set_index("quantity")
    assert table.loc["residual_sd", "digits"] == pytest.approx(4.0, abs=1e-3)
    expected = fit.residual_sd * 1e-4
    assert table.loc["residual_sd", "largest_difference"] == pytest.approx(expected, rel=1e-6)


def test_an_absent_engine_is_listed_with_the_reason(monkeypatch):
    def refuse(*args, **kwargs):
        raise BackendUnavailableError("needs R")

    fit = sleepstudy()
    monkeypatch.setattr("pmsstats.models.cross_check.fit_lmm", refuse)
    result = cross_check(fit, engines=["lme4"])
    assert result.unavailable == (("lme4", "needs R"),)
    assert result.headline().startswith("No other engine could check")
    assert result.agrees


def test_unknown_engines_and_other_results_are_refused():
    fit = sleepstudy()
    with pytest.raises(DesignError, match="Did you mean 'lme4'"):
        cross_check(fit, engines=["lme5"])
    with pytest.raises(DesignError, match="result of fit_lmm"):
        cross_check(fit.table())


def test_the_figure_shows_a_point_per_quantity():
    result = cross_check(sleepstudy(), engines=["statsmodels"])
    ax = result.plot()
    points = [c for c in ax.collections if isinstance(c, PathCollection)]
    drawn = np.concatenate([c.get_offsets()[:, 0] for c in points])
    assert sorted(drawn) == pytest.approx(sorted(result.table()["digits"]), abs=1e-9)
    assert ax.get_xlabel() == "Digits of agreement"
