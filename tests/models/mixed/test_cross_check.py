"""A second opinion from every engine: agreement where there is, a warning where there is none."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from lmm_cases import MODELS, Model
from matplotlib.collections import PathCollection
from reference_cases import load_case
from statsmodels.regression.mixed_linear_model import MixedLM

from pmsstats.errors import (
    BackendUnavailableError,
    DesignError,
    EngineDisagreementWarning,
)
from pmsstats.models import LMMSpec, fit_lmm
from pmsstats.models.backends import pymer4_lmm, statsmodels_lmm
from pmsstats.models.mixed.cross_check import cross_check
from pmsstats.models.mixed.lmm_result import LMMResult
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood

# Sound fits; a singular one and one in units of 1e-4 with days are among them.
CHECKED = [m for m in MODELS if m.id in {
    "lmm_sleepstudy-reml", "lmm_sleepstudy-uncorrelated", "lmm_trial-ml",
    "lmm_singular-uncorrelated", "lmm_scales-reml",
}]  # fmt: skip
SHORT = next(m for m in MODELS if m.id == "lmm_singular-correlated")  # for MixedLM

each_model = pytest.mark.parametrize("model", CHECKED, ids=lambda m: m.id)


def sleepstudy(engine: str = "native") -> LMMResult:
    return MODELS[0].fit(load_case("lmm_sleepstudy"), engine)


@each_model
def test_mixedlm_agrees_with_the_native_engine(model: Model):
    result = cross_check(model.fit(model.load(), "native"), engines=["statsmodels"])
    assert result.agrees
    assert set(result.table()["engine"]) == {"statsmodels"}
    assert set(result.table()["quantity"]) == {
        "estimate", "std_error", "log_likelihood", "residual_sd", "variance", "blup",
    }  # fmt: skip
    assert not result.unavailable
    assert not result.missing


@pytest.mark.r
@pytest.mark.parametrize("model", [*CHECKED, SHORT], ids=lambda m: m.id)
def test_lme4_agrees_with_the_native_engine(model: Model):
    result = cross_check(model.fit(model.load(), "native"), engines=["lme4"])
    assert result.agrees
    assert "lme4 agrees" in result.headline()
    assert "df" in set(result.table()["quantity"])  # lmerTest's against this package's


@pytest.mark.r
def test_degrees_of_freedom_of_this_package_are_not_compared_with_themselves():
    spec = LMMSpec.from_formula(MODELS[0].formula, df_method="kenward-roger")
    fit = fit_lmm(load_case("lmm_sleepstudy").input, spec)
    result = cross_check(fit, engines=["lme4"])
    assert result.agrees  # also on errors for known variances, which are not those of the table
    assert "df" not in set(result.table()["quantity"])


# --- it can fail ------------------------------------------------------------------------------


WRONG_IN_MIXEDLM = {
    "estimate": lambda own: {"fe_params": own.fe_params + 0.01},
    "residual_sd": lambda own: {"scale": own.scale * 1.01},
    "variance": lambda own: {"cov_re": own.cov_re * 1.01},
    "log_likelihood": lambda own: {"llf": own.llf + 0.01},
    "std_error": lambda own: {"cov_params": lambda: 1.01 * own.cov_params()},
    "blup": lambda own: {"random_effects": {i: 1.01 * b for i, b in own.random_effects.items()}},
}
OWN = ("fe_params", "scale", "cov_re", "cov_re_unscaled", "llf", "cov_params", "random_effects")


@pytest.mark.parametrize("quantity", WRONG_IN_MIXEDLM)
def test_a_wrong_number_of_mixedlm_is_told(quantity, monkeypatch):
    original = MixedLM.fit

    def fit(self, *args, **kws):
        result = original(self, *args, **kws)
        own = {name: getattr(result, name) for name in (*OWN, "converged")}
        return SimpleNamespace(**{**own, **WRONG_IN_MIXEDLM[quantity](result)})

    ours = sleepstudy()
    monkeypatch.setattr(MixedLM, "fit", fit)
    with pytest.warns(EngineDisagreementWarning, match="DISAGREES on"):
        result = cross_check(ours, engines=["statsmodels"])
    table = result.table().set_index("quantity")
    assert table.index[~table["agrees"]].tolist() == [quantity]


def test_nothing_of_mixedlm_is_improved_before_it_is_compared(monkeypatch):
    """An optimiser that does not move gives the answer at its starting point, and is told so."""
    original = MixedLM.fit

    def fit(self, *args, maxiter, **kws):
        return original(self, *args, maxiter=0, **kws)

    ours = sleepstudy()
    monkeypatch.setattr(MixedLM, "fit", fit)
    with pytest.warns(EngineDisagreementWarning, match="stopped"):
        result = cross_check(ours, engines=["statsmodels"])
    below = result.table()["stopped_below"]
    assert (below > 0.1).all()
    assert result.table().set_index("quantity").loc["log_likelihood", "largest_difference"] == (
        pytest.approx(below.iloc[0])
    )


def test_what_stops_below_the_maximum_is_called_so_but_is_no_agreement():
    """On the boundary MixedLM ends 0.008 below; lme4's stored values are the native engine's."""
    fit = SHORT.fit(SHORT.load(), "native")
    with pytest.warns(EngineDisagreementWarning, match=r"stopped 0\.00\d+ log-likelihood units b"):
        result = cross_check(fit, engines=["statsmodels"])
    assert not result.agrees
    lme4 = SHORT.load().rows(f"{SHORT.name}.log_likelihood")["value"].item()
    assert fit.fit_log.log_likelihood == pytest.approx(lme4, abs=1e-6)
    likelihood = result.table().set_index("quantity").loc["log_likelihood"]
    assert likelihood["stopped_below"] == pytest.approx(likelihood["largest_difference"], rel=1e-6)


def doubled(fit: LMMResult, column: str) -> LMMResult:
    table = fit.coefficients.assign(**{column: fit.coefficients[column] * 2})
    return dataclasses.replace(fit, coefficients=table)


TAMPERED = {
    "estimate": lambda fit: doubled(fit, "estimate"),
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
    "std_error": lambda fit: doubled(fit, "std_error"),
}


@pytest.mark.parametrize("quantity", TAMPERED)
def test_a_wrong_number_of_ours_is_told_with_a_warning_of_its_own(quantity):
    wrong = TAMPERED[quantity](sleepstudy())
    with pytest.warns(EngineDisagreementWarning, match=f"DISAGREES on {quantity}"):
        result = cross_check(wrong, engines=["statsmodels"])
    table = result.table().set_index("quantity")
    assert not result.agrees
    assert table.index[~table["agrees"]].tolist() == [quantity]


@pytest.mark.r
@pytest.mark.parametrize("quantity", [*TAMPERED, "df"])
def test_lme4_tells_a_wrong_number_of_ours(quantity):
    change = {**TAMPERED, "df": lambda fit: doubled(fit, "df")}[quantity]
    with pytest.warns(EngineDisagreementWarning, match=f"DISAGREES on {quantity}"):
        cross_check(change(sleepstudy()), engines=["lme4"])


@pytest.mark.r
def test_a_likelihood_of_r_that_contradicts_ours_is_a_disagreement_and_no_absence(monkeypatch):
    original = pymer4_lmm._read

    def read(model):
        parts = original(model)
        return {**parts, "log_likelihood": parts["log_likelihood"] + 0.01}

    monkeypatch.setattr(pymer4_lmm, "_read", read)
    with pytest.warns(EngineDisagreementWarning, match="lme4 DISAGREES on log_likelihood"):
        result = cross_check(sleepstudy(), engines=["lme4"])
    assert not result.unavailable


def test_digits_are_those_of_the_largest_difference():
    fit = sleepstudy()
    wrong = dataclasses.replace(fit, residual_sd=fit.residual_sd * (1 + 1e-3))
    with pytest.warns(EngineDisagreementWarning):
        table = cross_check(wrong, engines=["statsmodels"]).table().set_index("quantity")
    assert table.loc["residual_sd", "digits"] == pytest.approx(3.0, abs=1e-3)
    expected = fit.residual_sd * 1e-3
    assert table.loc["residual_sd", "largest_difference"] == pytest.approx(expected, rel=1e-4)


# --- who cannot answer ------------------------------------------------------------------------


def test_what_mixedlm_cannot_compute_is_missing_and_no_agreement(monkeypatch):
    """With a variance of exactly zero MixedLM has neither likelihood nor predictions."""
    fit = MODELS[3].fit(load_case("lmm_sleepstudy"), "native")
    original = statsmodels_lmm._run

    def stopped_at_zero(likelihood, optimiser, start, said):
        result, n = original(likelihood, optimiser, start, said)
        found = result._results
        found.params_object.cov_re = found.cov_re = np.zeros((1, 1))
        return found, n

    monkeypatch.setattr(statsmodels_lmm, "_run", stopped_at_zero)
    with pytest.warns(EngineDisagreementWarning, match="log_likelihood, blup not available"):
        result = cross_check(fit, engines=["statsmodels"])
    assert result.missing == (("statsmodels", "log_likelihood"), ("statsmodels", "blup"))
    assert not set(result.table()["quantity"]) & {"log_likelihood", "blup"}
    assert result.to_dict()["missing"][0] == {"engine": "statsmodels", "quantity": "log_likelihood"}


def test_an_engine_that_stops_with_errors_is_listed(monkeypatch):
    def fit(self, *args, **kws):
        raise np.linalg.LinAlgError("Singular matrix")

    ours = sleepstudy()
    monkeypatch.setattr(MixedLM, "fit", fit)
    result = cross_check(ours, engines=["statsmodels"])
    assert [name for name, _ in result.unavailable] == ["statsmodels"]
    assert "Singular matrix" in result.unavailable[0][1]


def test_an_absent_engine_is_listed_with_the_reason(monkeypatch):
    def refuse(*args, **kwargs):
        raise BackendUnavailableError("needs R")

    fit = sleepstudy()
    monkeypatch.setattr(pymer4_lmm, "own_answer", refuse)
    result = cross_check(fit, engines=["lme4"])
    assert result.unavailable == (("lme4", "needs R"),)
    assert result.headline().startswith("No other engine could check")
    assert result.agrees


@pytest.mark.parametrize("engine", ["native", "statsmodels"])
def test_an_engine_gives_no_second_opinion_on_itself(engine):
    with pytest.raises(DesignError, match="no second opinion"):
        cross_check(sleepstudy(engine), engines=[engine])


def test_a_fit_of_another_engine_is_checked_by_the_native_one(monkeypatch):
    monkeypatch.setattr(MixedLikelihood, "improve", lambda self, psi: psi)  # only MixedLM's steps
    result = cross_check(sleepstudy("statsmodels"), engines=["native"])
    assert result.agrees
    assert "df" not in set(result.table()["quantity"])  # this package's for both


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
