"""The native engine of mixed models: lme4 and lmerTest as stored, two programs live, its log."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from functools import cache
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from lmm_cases import BASIC, MODELS, Model, compare

from pmsstats.models import LMMResult, LMMSpec, fit_lmm
from pmsstats.models.kernels.lmm_maximum import maximise, satterthwaite
from pmsstats.models.mixed import native_lmm
from pmsstats.models.mixed.mixed_design import build_mixed_design
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.models.mixed.mixed_scale import standardise

LIKELIHOOD = 1e-6  # relative: what is asked of log-likelihood, fixed effects, standard errors
KAMINO = 1e-5
"""Relative: kamino's search ends up to 1e-9 log-likelihood units below the maximum, which is 5e-5
of a variance's standard error; its fixed effects and their errors are then off by up to 6e-6."""
ONE_PERCENT = 1e-2  # relative: what is asked of degrees of freedom
COMPONENT = 1e-4  # of the largest variance or covariance: what is asked of those
SAME_FIT = 1e-7  # relative: the same steps in numpy instead of compiled loops
TOP = 1e-8  # log-likelihood units
N_SIMULATED = 200

each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)


@cache
def reference_fit(model: Model) -> LMMResult:
    return model.fit(model.load(), "native")


# --- stored values of lme4 and lmerTest -------------------------------------------------------


@each_model
@pytest.mark.parametrize("quantity", BASIC)
def test_native_engine_equals_lme4(model, quantity):
    compared = compare(reference_fit(model), model, model.load(), quantity)
    assert (compared["error"] <= compared["allowed"]).all(), compared.to_string()


@each_model
def test_degrees_of_freedom_of_the_kernel_equal_lmertest(model):
    fit = reference_fit(model)
    standard, back = standardise(fit.design.arrays)
    sums = native_lmm.pattern_sums(standard, reml=model.method == "REML")
    df = satterthwaite(maximise(sums), sums.n_free, np.linalg.inv(back.R))
    expected = model.load().rows(f"{model.name}.df")
    found = dict(zip(fit.design.fixed_names, df, strict=True))
    np.testing.assert_allclose(
        [found[term] for term in expected["term"]], expected["value"], rtol=1e-3
    )


@each_model
def test_log_says_converged_and_singular_where_lme4_is(model):
    log = reference_fit(model).fit_log
    assert log.engine == "native"
    assert log.converged
    assert log.optimiser == "Newton"
    assert 0 < log.n_evaluations < 30
    assert log.singular == (model.case == "lmm_singular")


# --- two other programs, live -----------------------------------------------------------------


def simulated(seed: int) -> tuple[pd.DataFrame, str]:
    """Draw one data set: sizes, schedules, variances and units all vary."""
    rng = np.random.default_rng(1000 + seed)
    n_subjects = int(rng.integers(12, 60))
    visits = rng.integers(3, 8, n_subjects)
    subject = np.repeat(np.arange(n_subjects), visits)
    regular = np.concatenate([np.arange(float(n)) for n in visits])
    year = np.where(seed % 2, regular / 2, rng.uniform(0, 4, len(subject)))
    level_sd, slope_sd, residual = rng.uniform(0.3, 3), rng.choice([0.1, 0.3, 0.8]), 0.5
    group = (subject % 2).astype(float)
    y = 5 + level_sd * rng.normal(size=n_subjects)[subject] - 0.3 * group
    y = y + (slope_sd * rng.normal(size=n_subjects)[subject] - 0.2) * year
    y = y + residual * rng.normal(size=len(y))
    random = ("(1 + year | subject_id)", "(1 | subject_id)")[seed % 5 == 0]
    data = pd.DataFrame(
        {"subject_id": [f"S{i:03d}" for i in subject], "year": year, "group": group, "y": y}
    )
    return data, f"y ~ year + group + {random}"


def components(fit: LMMResult) -> np.ndarray:
    """Return the covariance of the random effects."""
    table = fit.variance_components
    names = table.loc[table["kind"] == "variance", "term1"].tolist()
    made = np.zeros((len(names), len(names)))
    kept = table[table["kind"] != "correlation"]
    for row in kept.itertuples():
        i, j = names.index(row.term1), names.index(row.term2)
        made[i, j] = made[j, i] = row.estimate
    return made


@cache
def simulated_fits() -> list[tuple[pd.DataFrame, str, LMMResult]]:
    cases = [simulated(seed) for seed in range(N_SIMULATED)]
    return [(data, formula, fit_lmm(data, formula, engine="native")) for data, formula in cases]


def other_program(name: str) -> ModuleType:
    """Import an independent program: its absence is a skip, but an error in a full run."""
    full_run = os.environ.get("PMSSTATS_REQUIRE_R") == "1"
    return importlib.import_module(name) if full_run else pytest.importorskip(name)


def test_a_full_run_cannot_skip_the_other_programs(monkeypatch):
    monkeypatch.setenv("PMSSTATS_REQUIRE_R", "1")
    with pytest.raises(ModuleNotFoundError):
        other_program("no_such_program")
    monkeypatch.delenv("PMSSTATS_REQUIRE_R")
    with pytest.raises(pytest.skip.Exception):
        other_program("no_such_program")


def assert_agrees(
    fit: LMMResult, found: dict[str, np.ndarray | float], rtol: float = LIKELIHOOD
) -> None:
    """Assert what is asked of fixed effects, standard errors, likelihood and components.

    Each fixed effect is measured by its own standard error.
    """
    table = fit.table()
    errors = table["std_error"].to_numpy()
    off = (np.asarray(found["fixed"]) - table["estimate"].to_numpy()) / errors
    np.testing.assert_allclose(off, 0.0, rtol=0, atol=rtol)
    np.testing.assert_allclose(found["std_error"], errors, rtol=rtol)
    assert found["log_likelihood"] == pytest.approx(fit.fit_log.log_likelihood, rel=LIKELIHOOD)
    ours = components(fit)
    size = max(np.abs(ours).max(), fit.residual_sd**2)
    np.testing.assert_allclose(found["components"], ours, rtol=0, atol=COMPONENT * size)
    assert found["residual_sd"] == pytest.approx(fit.residual_sd, rel=COMPONENT)


@pytest.mark.slow
def test_native_engine_equals_kamino_on_simulated_data():
    kamino = other_program("kamino")
    inside = [case for case in simulated_fits() if not case[2].fit_log.singular]
    for data, formula, fit in inside:
        other = kamino.lmer(formula, data)
        analysis = other.satterthwaite()
        assert_agrees(
            fit,
            {
                "fixed": other.beta,
                "std_error": np.sqrt(np.diag(other.beta_covariance)),
                "log_likelihood": other.log_likelihood,
                "components": np.atleast_2d(other.random_covariance),
                "residual_sd": other.sigma,
            },
            rtol=KAMINO,
        )
        df = [analysis.test(row).denominator_df for row in np.eye(3)]
        np.testing.assert_allclose(df, fit.table()["df"], rtol=ONE_PERCENT)
    assert len(inside) > 0.8 * N_SIMULATED


@pytest.mark.slow
def test_on_the_boundary_kamino_stops_below():
    """Its search ends up to 0.01 log-likelihood units short of singular maxima, never above."""
    kamino = other_program("kamino")
    singular = [case for case in simulated_fits() if case[2].fit_log.singular]
    short = [
        fit.fit_log.log_likelihood - kamino.lmer(formula, data).log_likelihood
        for data, formula, fit in singular
    ]
    assert len(short) >= 10
    assert min(short) > -TOP
    assert max(short) < 0.1


def test_native_engine_equals_mixedlm_on_simulated_data():
    """It has no degrees of freedom but rows less fixed effects; kamino has Satterthwaite's."""
    mixedlm = other_program("mixedlm_rs")
    compared = 0
    for data, formula, fit in simulated_fits():
        re_formula = "~year" if "1 + year" in formula else "~1"
        model = mixedlm.MixedLM.from_formula(
            "y ~ year + group", data, groups="subject_id", re_formula=re_formula
        )
        other = model.fit()
        ours = components(fit)
        assert other.llf <= fit.fit_log.log_likelihood + TOP
        assert_agrees(
            fit,
            {
                "fixed": other.fe_params,
                "std_error": other.bse_fe,
                "log_likelihood": other.llf,
                "components": np.asarray(other.cov_re).reshape(ours.shape),
                "residual_sd": float(np.sqrt(other.scale)),
            },
        )
        compared += 1
    assert compared == N_SIMULATED


# --- how it works -----------------------------------------------------------------------------

FORMULA = "y ~ year + group + (1 + year | subject_id)"


def likelihood_of(data: pd.DataFrame, formula: str = FORMULA) -> MixedLikelihood:
    spec = LMMSpec.from_formula(formula)
    return MixedLikelihood(standardise(build_mixed_design(data, spec).arrays)[0], reml=True)


def test_subjects_with_the_same_visits_share_a_pattern():
    data, _ = simulated(1)
    regular = data[data.groupby("subject_id")["year"].transform("size") >= 3]
    standard = likelihood_of(regular).arrays
    sums = native_lmm.pattern_sums(standard, reml=True)
    sizes = regular.groupby("subject_id").size()
    assert sums.count.sum() == len(sizes)
    assert len(sums.S) in {sizes.nunique(), len(sizes)}  # the latter without numba


def test_another_method_finishes_what_newton_does_not(monkeypatch):
    data, _ = simulated(1)
    likelihood = likelihood_of(data)
    expected = native_lmm.fit(likelihood)
    astray = maximise(native_lmm.pattern_sums(likelihood.arrays, reml=True))._replace(
        psi=np.diag([50.0, 1e-3])
    )
    monkeypatch.setattr(native_lmm, "maximise", lambda _: astray)
    found = native_lmm.fit(likelihood)
    assert found.fit_log.converged
    assert found.fit_log.optimiser == "Newton, then L-BFGS-B"
    assert len(found.fit_log.attempts) == 2
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, abs=TOP)


def test_no_maximum_is_said_and_not_hidden(monkeypatch):
    data, _ = simulated(1)
    likelihood = likelihood_of(data)
    astray = maximise(native_lmm.pattern_sums(likelihood.arrays, reml=True))._replace(
        psi=np.diag([50.0, 1e-3])
    )
    monkeypatch.setattr(native_lmm, "maximise", lambda _: astray)
    monkeypatch.setattr(likelihood, "improve", lambda psi: psi)
    log = native_lmm.fit(likelihood).fit_log
    assert not log.converged
    assert "could rise by" in log.message


def test_engine_says_the_same_without_numba():
    script = """
import sys
sys.path.insert(0, "tests")
sys.path.insert(0, "tests/models/mixed")
from test_native_lmm import simulated
from pmsstats.models import fit_lmm
from pmsstats.compiling import IS_COMPILED
assert not IS_COMPILED
for seed in (1, 2, 5):
    data, formula = simulated(seed)
    fit = fit_lmm(data, formula, engine="native")
    print(repr(fit.fit_log.log_likelihood), *map(repr, fit.table()["std_error"].tolist()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PMSSTATS_NO_NUMBA": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 3
    for line, seed in zip(lines, (1, 2, 5), strict=True):
        data, formula = simulated(seed)
        fit = fit_lmm(data, formula, engine="native")
        expected = [fit.fit_log.log_likelihood, *fit.table()["std_error"]]
        np.testing.assert_allclose(list(map(float, line.split())), expected, rtol=SAME_FIT)
