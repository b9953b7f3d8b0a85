"""The lme4 engine through pymer4: agreement, both lines of pymer4, silence, and what is missing."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import threading
from functools import cache
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from lmm_cases import BASIC, DEGREES, MODELS, SLOPES, Model, compare
from properties import assert_result_contract
from reference_cases import load_case

from pmsstats.errors import BackendUnavailableError, ConvergenceError, DesignError
from pmsstats.models import LMMResult, fit_lmm
from pmsstats.models.backends import pymer4_lmm

FOUR_DIGITS = 5e-5  # relative: half a unit in the fourth significant digit
SAME_MAXIMUM = 1e-5  # relative: two optimisers, each within 1e-10 of the maximum

MODEL = "thalamus_ml ~ year * arm + sex + age_years + (year | subject_id)"


@cache
def reference_fit(model: Model) -> LMMResult:
    return model.fit(model.load(), "lme4")


@cache
def trial_fit(engine: str) -> LMMResult:
    return fit_lmm(load_case("lmm_trial").input, MODEL, engine=engine)


def asked_of(model: Model) -> list[str]:
    slopes = [q for q in (*SLOPES, *DEGREES) if q != "df"]
    without_time = [*BASIC, "df"]
    with_time = [q for q in slopes if model.by is not None or not q.startswith("difference")]
    return without_time + (with_time if model.time else [])


# --- with R -----------------------------------------------------------------------------------


@pytest.mark.r
@pytest.mark.parametrize(
    ("model", "quantity"),
    [pytest.param(m, q, id=f"{m.id}-{q}") for m in MODELS for q in asked_of(m)],
)
def test_lme4_engine_equals_lme4_lmertest_and_emmeans_called_in_r(model, quantity):
    compared = compare(reference_fit(model), model, model.load(), quantity)
    assert (compared["error"] <= compared["allowed"]).all(), compared.to_string()


@pytest.mark.r
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_engines_agree_on_everything_they_share(model):
    ours = model.fit(model.load(), "statsmodels")
    theirs = reference_fit(model)
    assert ours.table()["term"].tolist() == theirs.table()["term"].tolist()
    for column in ("estimate", "std_error"):
        np.testing.assert_allclose(ours.table()[column], theirs.table()[column], rtol=SAME_MAXIMUM)
    largest = ours.variance_components["estimate"].abs().max()
    np.testing.assert_allclose(
        ours.variance_components["estimate"],
        theirs.variance_components["estimate"],
        atol=SAME_MAXIMUM * largest,
    )
    assert ours.fit_log.log_likelihood == pytest.approx(theirs.fit_log.log_likelihood, rel=1e-9)
    assert ours.fit_log.singular == theirs.fit_log.singular


@pytest.mark.r
def test_oasis_slopes_agree_with_live_lme4_to_four_digits():
    model = next(m for m in MODELS if m.case == "lmm_oasis2")
    ours = model.fit(model.load(), "statsmodels").slopes("Group").table()
    theirs = reference_fit(model).slopes("Group").table()
    for column in ("estimate", "std_error", "percent_estimate", "baseline"):
        np.testing.assert_allclose(ours[column], theirs[column], rtol=FOUR_DIGITS)
    rates = theirs.set_index("term")["percent_estimate"]
    assert rates["Demented"] < rates["Nondemented"] < 0


@pytest.mark.r
def test_result_keeps_the_contract_and_names_versions():
    fit = trial_fit("lme4")
    assert_result_contract(fit)
    assert_result_contract(fit.slopes("arm"))
    assert fit.fit_log.engine == "lme4"
    for part in ("lme4 ", "lmerTest ", "R ", "pymer4 "):
        assert part in fit.fit_log.engine_version


@pytest.mark.r
def test_predictions_and_contrasts_have_degrees_of_freedom():
    fit = trial_fit("lme4")
    new = pd.DataFrame({"year": [1.0], "arm": ["low"], "sex": ["F"], "age_years": [50.0]})
    df = fit.predict(new)["df"].item()
    assert 0 < df < fit.n_obs
    everything = fit.contrast(np.eye(len(fit.table())))
    np.testing.assert_allclose(everything["df"], fit.table()["df"])


@pytest.mark.r
def test_r_says_nothing_on_the_console(capfd):
    data = load_case("lmm_singular").input
    fit = fit_lmm(data, "score ~ year + (year | subject_id)", engine="lme4")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert any("boundary (singular) fit" in line for line in fit.fit_log.r_messages)
    assert not any("contains no packages" in line for line in fit.fit_log.r_messages)


@pytest.mark.r
def test_r_console_is_given_back(capfd):
    trial_fit("lme4")
    callbacks = importlib.import_module("rpy2.rinterface_lib.callbacks")
    robjects = importlib.import_module("rpy2.robjects")
    heard: list[str] = []
    before = callbacks.consolewrite_print
    callbacks.consolewrite_print = heard.append
    try:
        fit_lmm(load_case("lmm_trial").input, MODEL, engine="lme4")
        robjects.r('cat("still mine")')
    finally:
        callbacks.consolewrite_print = before
    assert "".join(heard) == "still mine"
    capfd.readouterr()


@pytest.mark.r
def test_engine_runs_in_any_thread():
    found: list[LMMResult] = []

    def work() -> None:
        found.append(fit_lmm(load_case("lmm_trial").input, MODEL, engine="lme4"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    pd.testing.assert_frame_equal(found[0].table(), trial_fit("lme4").table())


@pytest.mark.r
def test_awkward_names_and_labels_reach_no_r():
    data = load_case("lmm_trial").input
    arm = data["arm"].replace({"low": '"); quit(); #', "placebo": "`stop()`"})
    other = data.assign(arm=arm).rename(columns={"thalamus_ml": "if", "subject_id": "T F"})
    fit = fit_lmm(other, "`if` ~ year * arm + sex + age_years + (year | `T F`)", engine="lme4")
    np.testing.assert_allclose(
        np.sort(fit.slopes("arm").table()["estimate"]),
        np.sort(trial_fit("lme4").slopes("arm").table()["estimate"]),
        rtol=SAME_MAXIMUM,
    )
    assert '"); quit(); #' in fit.slopes("arm").table()["term"].tolist()


@pytest.mark.r
def test_error_of_r_becomes_ours(monkeypatch):
    monkeypatch.setattr(pymer4_lmm, "random_formula", lambda *_: "y ~ no_such_column + (1 | g)")
    with pytest.raises(ConvergenceError, match="no_such_column"):
        fit_lmm(load_case("lmm_trial").input, MODEL, engine="lme4")


@pytest.mark.r
def test_likelihood_that_is_not_that_of_the_same_covariance_is_not_trusted(monkeypatch):
    original = pymer4_lmm._read

    def read(model):
        parts = original(model)
        return parts | {"log_likelihood": parts["log_likelihood"] + 0.1}

    monkeypatch.setattr(pymer4_lmm, "_read", read)
    with pytest.raises(ConvergenceError, match="its covariance gives"):
        fit_lmm(load_case("lmm_trial").input, MODEL, engine="lme4")


@pytest.mark.r
def test_r_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(pymer4_lmm, "_R_PACKAGES", ("lme4", "noSuchPackage"))
    with pytest.raises(BackendUnavailableError, match=r"R package\(s\) noSuchPackage"):
        fit_lmm(load_case("lmm_trial").input, MODEL, engine="lme4")


# --- without R: what is missing, and how each line of pymer4 is asked ---------------------------


@pytest.mark.parametrize("missing", ["pymer4", "rpy2"])
def test_missing_bridge_is_named_with_what_to_install(monkeypatch, missing):
    def version(name):
        if name == missing:
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.8.2"

    def import_module(name, *args):
        if name.split(".")[0] in {missing, "rpy2"}:
            raise ImportError(f"No module named {name!r}")
        return original(name, *args)

    original = importlib.import_module
    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(pymer4_lmm.importlib, "import_module", import_module)
    monkeypatch.delitem(sys.modules, "rpy2.robjects", raising=False)
    with pytest.raises(BackendUnavailableError) as caught:
        pymer4_lmm.fit(None)
    for word in (
        "pmsstats[r]", "r-cran-lme4", "r-cran-lmertest", "r-cran-emmeans", "engine='statsmodels'",
    ):  # fmt: skip
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("version", "module", "needs_report"),
    [
        ("0.8.1", "pymer4.models", False),
        ("0.8.2", "pymer4.models", False),
        ("0.9.0", "pymer4.tidystats.lmerTest", True),
        ("0.9.2", "pymer4.tidystats.lmerTest", True),
        ("0.10.0rc1", "pymer4.tidystats.lmerTest", True),
        ("1.0", "pymer4.tidystats.lmerTest", True),
    ],
)
def test_each_line_of_pymer4_has_its_caller(version, module, needs_report):
    caller = pymer4_lmm.choose_caller(version)
    assert caller.module == module
    assert ("report" in caller.r_packages) is needs_report
    assert {"lme4", "lmerTest"} <= set(caller.r_packages)


FRAME = pd.DataFrame({"y": [1.0, 2.0], "x1": [1.0, 1.0], "z1": [1.0, 1.0], "g": [1, 2]})
FORMULA = "y ~ 0 + x1 + (0 + z1 | g)"


def pretend(monkeypatch, name: str, **members) -> None:
    module = ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)


def test_pymer4_08_is_asked_through_its_class(monkeypatch):
    asked: dict[str, object] = {}

    class Lmer:
        def __init__(self, formula, data):
            asked.update(formula=formula, data=data)
            self.model_obj = None

        def _set_R_stdout(self, verbose):  # noqa: N802 - pymer4's name
            asked["console taken"] = True

        def fit(self, **options):
            self._set_R_stdout(verbose=False)
            asked.update(options)
            self.model_obj = "R's model"

    pretend(monkeypatch, "pymer4.models", Lmer=Lmer)
    made = pymer4_lmm.choose_caller("0.8.2").call(FORMULA, FRAME, False, "optimizer = 'bobyqa'")
    assert made == "R's model"
    assert asked.pop("data") is FRAME
    assert asked == {
        "formula": FORMULA, "REML": False, "control": "optimizer = 'bobyqa'", "summarize": False,
        "no_warnings": True,
    }  # fmt: skip


def test_pymer4_09_is_asked_through_the_function_that_knows_ml(monkeypatch):
    asked: dict[str, object] = {}

    def lmer(formula, data, **options):
        asked.update(formula=formula, data=data, **options)
        return "R's model"

    pretend(monkeypatch, "pymer4.tidystats.lmerTest", lmer=lmer)
    pretend(monkeypatch, "polars", from_pandas=lambda frame: ("polars", frame))
    pretend(monkeypatch, "rpy2.robjects", r=lambda code: ("R", code))
    made = pymer4_lmm.choose_caller("0.9.2").call(FORMULA, FRAME, False, "optimizer = 'bobyqa'")
    assert made == "R's model"
    kind, frame = asked.pop("data")
    assert (kind, frame is FRAME) == ("polars", True)
    assert asked == {
        "formula": FORMULA,
        "REML": False,
        "control": ("R", "lme4::lmerControl(optimizer = 'bobyqa')"),
    }


@pytest.mark.parametrize(
    ("blocks", "n_fixed", "others", "expected"),
    [
        (((0,),), 1, (), "y ~ 0 + x1 + (0 + z1 | g)"),
        (((0, 1),), 2, (), "y ~ 0 + x1 + x2 + (0 + z1 + z2 | g)"),
        (((0,), (1,)), 2, (), "y ~ 0 + x1 + x2 + (0 + z1 | g) + (0 + z2 | g)"),
        (
            ((0, 1),),
            1,
            (((0,),), ((0,), (1,))),
            "y ~ 0 + x1 + (0 + z1 + z2 | g) + (0 + z1_1 | g1) + (0 + z2_1 | g2) + (0 + z2_2 | g2)",
        ),
    ],
)
def test_formula_for_r_names_design_columns_only(blocks, n_fixed, others, expected):
    assert pymer4_lmm.random_formula(blocks, n_fixed, others) == expected


def test_noise_of_r_is_told_from_its_messages():
    lines = [
        "In addition: Warning message:", "In addition: ", "Warning messages:", "1: ", "2:", "",
        "1: In (function (package, help, pos = 2, lib.loc = NULL, character.only = FALSE,  :",
        " library '/usr/local/lib/R/site-library' contains no packages",
        "boundary (singular) fit: see help('isSingular')",
        "Model failed to converge with max|grad| = 0.01 (tol = 0.002, component 1)",
        "boundary (singular) fit: see help('isSingular')",
    ]  # fmt: skip
    assert pymer4_lmm._without_noise(lines) == (
        "boundary (singular) fit: see help('isSingular')",
        "Model failed to converge with max|grad| = 0.01 (tol = 0.002, component 1)",
    )


def test_unknown_engine_is_refused_before_r_is_looked_for():
    with pytest.raises(DesignError, match="Did you mean 'lme4'"):
        fit_lmm(load_case("lmm_trial").input, MODEL, engine="lmer4")
