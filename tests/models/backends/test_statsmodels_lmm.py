"""The statsmodels engine: what it takes from MixedLM, and what it does where that stops short."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from statsmodels.regression.mixed_linear_model import MixedLM

from pmsstats.models.backends import run_lmm_engine, statsmodels_lmm
from pmsstats.models.mixed.mixed_design import MixedArrays
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.models.mixed.mixed_scale import standardise

SAME_POINT = 1e-4  # relative: MixedLM's own stopping rule, in the variances
OTHER_ERRORS = 0.01  # relative: standard errors by another definition
ROUNDING = 1e-13  # relative: divided and multiplied by the same number
DENSE = 1e-9  # relative: the same formula with n x n matrices, after an inverse and its block
TOP = 1e-8  # log-likelihood units


def likelihood_of(
    seed: int, *, slope_sd: float, blocks=((0, 1),), reml=True, n: int = 40
) -> MixedLikelihood:
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n), rng.integers(2, 7, n))
    time = rng.uniform(0, 4, len(subject))
    X = np.column_stack([np.ones_like(time), time])
    effects = rng.normal(size=(n, 2)) * [1.0, slope_sd]
    y = 10 - 0.5 * time + (effects[subject] * X).sum(axis=1) + rng.normal(0, 0.5, len(time))
    arrays = MixedArrays(y=y, X=X, Z=X.copy(), subject=subject, n_subjects=n, blocks=blocks)
    return MixedLikelihood(standardise(arrays)[0], reml=reml)


@pytest.mark.parametrize("reml", [True, False])
def test_where_mixedlm_converges_its_numbers_are_kept(reml):
    likelihood = likelihood_of(1, slope_sd=0.4, reml=reml)
    data = likelihood.arrays
    found = run_lmm_engine("statsmodels", likelihood)
    theirs = MixedLM(data.y, data.X, groups=data.subject, exog_re=data.Z).fit(
        reml=reml, method="bfgs"
    )
    assert theirs.converged
    assert len(found.fit_log.attempts) == 1
    assert found.log_likelihood == pytest.approx(theirs.llf, abs=1e-6)
    np.testing.assert_allclose(found.fixed, theirs.fe_params, rtol=0, atol=1e-6)
    # MixedLM inverts the observed information of all parameters, where the cross terms of fixed
    # effects and variances are not zero; lme4 and this package leave these out.
    np.testing.assert_allclose(
        np.sqrt(np.diag(found.fixed_covariance)), theirs.bse_fe, rtol=OTHER_ERRORS
    )
    np.testing.assert_allclose(found.psi * found.sigma2, theirs.cov_re, rtol=0, atol=SAME_POINT)
    modes = np.array([theirs.random_effects[i] for i in range(40)])
    np.testing.assert_allclose(found.modes, modes, rtol=0, atol=SAME_POINT)


@pytest.mark.parametrize("blocks", [((0, 1),), ((0,), (1,))])
def test_own_answer_is_what_mixedlm_reports(blocks):
    likelihood = likelihood_of(1, slope_sd=0.4, blocks=blocks)
    data = likelihood.arrays
    seen = []
    original = MixedLM.fit

    def fit(self, *args, **kws):
        seen.append(original(self, *args, **kws))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MixedLM, "fit", fit)
        own = statsmodels_lmm.own_answer(likelihood)
    (theirs,) = seen
    np.testing.assert_array_equal(own.fixed, theirs.fe_params)
    np.testing.assert_allclose(own.psi * own.sigma2, theirs.cov_re, rtol=ROUNDING)
    assert (own.sigma2, own.log_likelihood) == (theirs.scale, theirs.llf)
    np.testing.assert_array_equal(own.modes[7], theirs.random_effects[7])
    # Errors for known variances, in full matrices at MixedLM's answer.
    same = data.subject[:, None] == data.subject
    V = theirs.scale * np.eye(data.n_obs) + same * (data.Z @ theirs.cov_re @ data.Z.T)
    known = np.linalg.inv(data.X.T @ np.linalg.solve(V, data.X))
    np.testing.assert_allclose(own.fixed_covariance, known, rtol=DENSE, atol=DENSE * known.max())
    assert (theirs.bse_fe > np.sqrt(np.diag(known))).all()  # those are others by definition


def test_own_answer_is_the_likelier_one_where_no_optimiser_converges():
    likelihood = likelihood_of(0, slope_sd=0.0, n=20)
    with pytest.MonkeyPatch.context() as patch:
        original = MixedLM.fit
        patch.setattr(
            MixedLM, "fit", lambda self, *a, maxiter, **k: original(self, *a, maxiter=1, **k)
        )
        own = statsmodels_lmm.own_answer(likelihood)
        asked = zip(("bfgs", "lbfgs"), likelihood.starts(), strict=True)
        ends = [statsmodels_lmm._run(likelihood, *pair, [])[0].llf for pair in asked]
    assert not own.fit_log.converged
    assert own.log_likelihood == max(ends)


def test_errors_of_an_information_that_is_no_covariance_are_missing():
    joint = np.array([[1.0, 2.0], [2.0, 1.0]])
    assert np.isnan(statsmodels_lmm._for_known_variances(joint, 1)).all()


def mixedlm_alone(likelihood: MixedLikelihood) -> float:
    """Fit with MixedLM's defaults, which try three optimisers in turn."""
    data = likelihood.arrays
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(MixedLM(data.y, data.X, groups=data.subject, exog_re=data.Z).fit().llf)


def test_on_the_boundary_the_maximum_is_found_where_mixedlm_stops_short():
    fits = []
    for seed in range(8):
        likelihood = likelihood_of(seed, slope_sd=0.0, n=20)
        found = run_lmm_engine("statsmodels", likelihood)
        assert found.fit_log.converged
        assert likelihood.certify(likelihood.solve(found.psi)).gain < TOP
        fits += [(likelihood, found)] if found.fit_log.singular else []
    assert len(fits) >= 3  # without varying slopes about half of the fits are singular
    gains = [found.log_likelihood - mixedlm_alone(likelihood) for likelihood, found in fits]
    assert min(gains) > -TOP
    assert max(gains) > 1e-4  # some of MixedLM's answers are not the maximum
    assert any("after it stopped" in found.fit_log.message for _, found in fits)


def test_uncorrelated_effects_stay_uncorrelated():
    likelihood = likelihood_of(3, slope_sd=0.4, blocks=((0,), (1,)))
    found = run_lmm_engine("statsmodels", likelihood)
    assert found.psi[0, 1] == found.psi[1, 0] == 0.0
    assert found.fit_log.converged


def test_nested_model_is_never_likelier():
    for seed in range(6):
        full = run_lmm_engine("statsmodels", likelihood_of(seed, slope_sd=0.05))
        likelihood = likelihood_of(seed, slope_sd=0.05)
        nested = MixedLikelihood(
            MixedArrays(
                y=likelihood.arrays.y,
                X=likelihood.arrays.X,
                Z=np.ones((likelihood.arrays.n_obs, 1)),
                subject=likelihood.arrays.subject,
                n_subjects=40,
                blocks=((0,),),
            ),
            reml=True,
        )
        assert full.log_likelihood >= run_lmm_engine("statsmodels", nested).log_likelihood - TOP


def test_warnings_of_mixedlm_go_to_the_log():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logs = [
            run_lmm_engine("statsmodels", likelihood_of(seed, slope_sd=0.0)).fit_log
            for seed in range(6)
        ]
    assert any("boundary" in log.message or "converge" in log.message for log in logs)


def test_when_the_optimiser_breaks_down_the_next_one_is_tried(monkeypatch):
    likelihood = likelihood_of(1, slope_sd=0.4)
    original = MixedLM.fit

    def fit(self, *args, method, **kws):
        if method == "bfgs":
            raise np.linalg.LinAlgError("Singular matrix")
        return original(self, *args, method=method, **kws)

    monkeypatch.setattr(MixedLM, "fit", fit)
    monkeypatch.setattr(MixedLikelihood, "improve", lambda self, psi: psi)
    found = run_lmm_engine("statsmodels", likelihood)
    assert [a.split(":")[0] for a in found.fit_log.attempts] == ["bfgs", "lbfgs"]
    assert "LinAlgError" in found.fit_log.attempts[0]


def test_failure_of_every_attempt_is_flagged(monkeypatch):
    monkeypatch.setattr(statsmodels_lmm, "_GOOD_ENOUGH", -1.0)
    found = run_lmm_engine("statsmodels", likelihood_of(1, slope_sd=0.4))
    assert not found.fit_log.converged
    assert len(found.fit_log.attempts) == 2
    assert found.fit_log.n_evaluations > 0
