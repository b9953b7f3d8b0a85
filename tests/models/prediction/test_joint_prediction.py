"""Survival given a history: brute force, closed forms, properties, bad input."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from dynamic_draws import draw_joint
from properties import assert_result_contract

from pmsstats.errors import DesignError
from pmsstats.models.joint.joint import fit_joint
from pmsstats.models.prediction.joint_prediction import predict_survival
from pmsstats.models.prediction.joint_survival import (
    draw_posterior,
    expected_survival,
    lay_out_futures,
)
from pmsstats.models.prediction.weighted_quantiles import weighted_quantiles

FORMULA = "marker ~ year + (year | subject_id)"
QUADRATURE = 1e-4  # of a probability: Gauss-Hermite with 9 nodes per effect
SAME = 1e-8  # the same numbers in another order
HORIZONS = (2.0, 3.0, 4.5, 6.0)
LANDMARK = 2.0


@pytest.fixture(scope="module")
def tables():
    return draw_joint(np.random.default_rng(42), 220)


@pytest.fixture(scope="module")
def fit(tables):
    return fit_joint(*tables, FORMULA, hazard="arm", baseline="weibull", n_nodes=9)


@pytest.fixture(scope="module")
def unlinked(tables):
    return fit_joint(*tables, FORMULA, hazard="arm", baseline="weibull", association="none")


@pytest.fixture(scope="module")
def predicted(fit, tables):
    return predict_survival(
        fit, tables[0], landmark=LANDMARK, horizons=HORIZONS, seed=3, n_draws=60
    )


def weights_of_definition(fit, visits, arm, landmark, horizons, rng, n=200_000):
    """Draw random effects from their prior; weight by what was seen; return S(u | b) / S(t | b).

    Written from the definition in natural units: log h(t) = psi_1 + psi_2 log t + gamma arm +
    alpha (beta_0 + b_0 + (beta_1 + b_1) t), integrated by the midpoint rule over t^(1/3).
    """
    natural = fit.design.scale.natural(fit.maximum.theta)
    effects = natural.beta + rng.multivariate_normal(np.zeros(2), natural.D, n)
    log_weight = np.zeros(n)
    for year, value in zip(visits["year"], visits["marker"], strict=True):
        mean = effects[:, 0] + effects[:, 1] * year
        log_weight -= 0.5 * ((value - mean) / natural.sigma[0]) ** 2
    psi = natural.psi[0]
    alpha = float(natural.alpha[0, 0]) if natural.alpha.size else 0.0
    treated = 1.0 if arm == "treated" else 0.0

    def cumulative(end: float) -> np.ndarray:
        m = 80
        u = (np.arange(m) + 0.5) / m
        time, width = end * u**3, 3 * end * u**2 / m
        total = np.zeros(n)
        for t, w in zip(time, width, strict=True):
            level = effects[:, 0] + effects[:, 1] * t
            total += w * np.exp(psi[0] + psi[1] * np.log(t) + psi[2] * treated + alpha * level)
        return total

    before = cumulative(landmark) if landmark else np.zeros(n)
    log_weight -= before
    weight = np.exp(log_weight - log_weight.max())
    ratio = np.exp(-np.column_stack([cumulative(u) - before for u in horizons]))
    return weight / weight.sum(), ratio


def history_of(tables, subject):
    """Return what was seen of one subject by the landmark, and its arm."""
    visits, survival = tables
    mine = visits[(visits["subject_id"] == subject) & (visits["year"] <= LANDMARK)]
    return mine, survival.loc[survival["subject_id"] == subject, "arm"].item()


def at_risk(tables, k):
    """Return the id of the k-th subject at risk."""
    survival = tables[1]
    return survival.loc[survival["duration"] > LANDMARK, "subject_id"].iloc[k]


@pytest.mark.parametrize("k", [0, 1, 5])
def test_prediction_is_its_definition(fit, tables, predicted, k) -> None:
    """Witness: importance sampling of the random effects from their prior."""
    subject = at_risk(tables, k)
    mine, arm = history_of(tables, subject)
    weight, ratio = weights_of_definition(
        fit, mine, arm, LANDMARK, HORIZONS, np.random.default_rng(k)
    )
    expected = weight @ ratio
    error = np.sqrt((weight[:, None] ** 2 * (ratio - expected) ** 2).sum(axis=0))
    found = predicted.frame.loc[predicted.frame["subject_id"] == subject, "survival"].to_numpy()
    # 80 midpoints integrate the hazards to about 1e-4 of themselves
    assert (np.abs(found - expected) <= 4 * error + 2 * QUADRATURE).all()
    assert error.max() < 0.01


def test_interval_is_the_posterior_of_the_subjects_own_survival(fit, tables) -> None:
    """Witness: weighted quantiles of the same Monte Carlo, the parameters taken as known."""
    subject = at_risk(tables, 1)
    mine, arm = history_of(tables, subject)
    weight, ratio = weights_of_definition(
        fit, mine, arm, LANDMARK, (4.5,), np.random.default_rng(9)
    )
    order = np.argsort(ratio[:, 0])
    share = np.cumsum(weight[order])
    expected = ratio[order, 0][np.searchsorted(share, [0.1, 0.5, 0.9])]
    result = predict_survival(
        fit, mine, landmark=LANDMARK, horizons=4.5, seed=1, n_draws=0, survival=tables[1][
            tables[1]["subject_id"] == subject]
    )  # fmt: skip
    futures = lay_out_futures(fit.design, result.history, np.array([4.5]))
    theta = fit.maximum.theta
    n_draws = 3000
    draws = draw_posterior(
        futures, theta, np.zeros((len(theta), len(theta))), n_draws=n_draws,
        rng=np.random.default_rng(2),
    )  # fmt: skip
    found = weighted_quantiles(draws.survival, draws.weight, (0.1, 0.5, 0.9)).ravel()
    # error of a quantile: sqrt(p (1 - p) / n) in probability, judged on the brute-force sample
    for value, level in zip(found, (0.1, 0.5, 0.9), strict=True):
        reached = weight[ratio[:, 0] <= value].sum()
        ess = 1 / (draws.weight**2).sum(), 1 / (weight**2).sum()
        error = np.sqrt(level * (1 - level) * (1 / ess[0] + 1 / ess[1]))
        assert abs(reached - level) < 4 * error
    assert (np.diff(expected) > 0).all()


def test_without_history_it_is_marginal_survival(fit, tables) -> None:
    """Witness: E S(u) / E S(t) over the prior, by Gauss-Hermite quadrature written here."""
    natural = fit.design.scale.natural(fit.maximum.theta)
    x, w = np.polynomial.hermite_e.hermegauss(40)
    grid = np.stack(np.meshgrid(x, x, indexing="ij"), -1).reshape(-1, 2)
    prior = np.outer(w, w).ravel() / w.sum() ** 2
    effects = natural.beta + grid @ np.linalg.cholesky(natural.D).T
    u = (np.arange(4000) + 0.5) / 4000

    def survival(end: float) -> float:
        time, width = end * u**3, 3 * end * u**2 / len(u)
        log_h = natural.psi[0][0] + natural.psi[0][1] * np.log(time)
        level = effects[:, :1] + effects[:, 1:] * time
        hazard = np.exp(log_h + float(natural.alpha[0, 0]) * level)
        return float(prior @ np.exp(-hazard @ width))

    nobody = tables[0].iloc[:0]
    new = pd.DataFrame({"subject_id": ["new"], "arm": ["control"]})
    for landmark in (0.0, 1.5):
        found = predict_survival(
            fit, nobody, survival=new, landmark=landmark, horizons=[3.0, 5.0], seed=1, n_draws=0
        )
        before = survival(landmark) if landmark else 1.0
        expected = [survival(3.0) / before, survival(5.0) / before]
        np.testing.assert_allclose(found.frame["survival"], expected, rtol=0, atol=3 * QUADRATURE)


def test_without_association_it_is_the_weibull_model(unlinked, tables) -> None:
    """Witness: S(u) / S(t) of the Weibull hazard in closed form; histories say nothing."""
    found = predict_survival(
        unlinked, tables[0], landmark=LANDMARK, horizons=HORIZONS, seed=1, n_draws=0
    )
    psi = unlinked.design.scale.natural(unlinked.maximum.theta).psi[0]
    arms = tables[1].set_index("subject_id")["arm"]
    treated = (arms.loc[found.frame["subject_id"]] == "treated").to_numpy()
    shape = psi[1] + 1
    gone = found.frame["horizon"].to_numpy() ** shape - LANDMARK**shape
    expected = np.exp(-np.exp(psi[0] + psi[2] * treated) * gone / shape)
    np.testing.assert_allclose(found.frame["survival"], expected, rtol=1e-8)


def test_without_association_trajectories_are_best_linear_unbiased(unlinked, tables) -> None:
    """Witness: D Z'(Z D Z' + sigma^2 I)^-1 (y - X beta) for one subject, from the definition."""
    natural = unlinked.design.scale.natural(unlinked.maximum.theta)
    subject = at_risk(tables, 4)
    mine, _ = history_of(tables, subject)
    Z = np.column_stack([np.ones(len(mine)), mine["year"]])
    V = Z @ natural.D @ Z.T + natural.sigma[0] ** 2 * np.eye(len(mine))
    b = natural.D @ Z.T @ np.linalg.solve(V, mine["marker"] - Z @ natural.beta)
    found = predict_survival(
        unlinked, tables[0], landmark=LANDMARK, horizons=[3.0], seed=1, n_draws=200
    ).trajectories([0.0, 5.0], subject=subject)
    expected = np.array([[1, 0], [1, 5]]) @ (natural.beta + b)
    np.testing.assert_allclose(found["estimate"], expected, rtol=1e-7)
    spread = Z.T @ Z / natural.sigma[0] ** 2 + np.linalg.inv(natural.D)
    sd = np.sqrt(np.array([1, 5]) @ np.linalg.inv(spread) @ np.array([1, 5]))
    width = found["conf_high"].iloc[1] - found["conf_low"].iloc[1]
    # parameters add a little; 200 draws know a 95 % width to about 15 %
    assert 0.8 < width / (2 * 1.96 * sd) < 1.5
    new = found["new_high"].iloc[1] - found["new_low"].iloc[1]
    assert new > np.hypot(width, 2 * 1.9 * natural.sigma[0]) * 0.9


def test_it_starts_at_one_and_falls(predicted) -> None:
    by_subject = predicted.frame.pivot_table(
        index="subject_id", columns="horizon", values="survival"
    )
    np.testing.assert_allclose(by_subject[LANDMARK], 1.0, rtol=SAME)
    assert (np.diff(by_subject.to_numpy(), axis=1) < 0).all()
    after = predicted.frame[predicted.frame["horizon"] > LANDMARK]
    inside = (after["conf_low"] < after["survival"]) & (after["survival"] < after["conf_high"])
    # the mean of a skewed distribution may leave its middle 95 %, but rarely
    assert inside.mean() > 0.99


def test_doubled_quadrature_changes_nothing(fit, tables, predicted) -> None:
    futures = lay_out_futures(fit.design, predicted.history, np.array(HORIZONS), n_panels=2)
    fine, _ = expected_survival(futures, fit.maximum.theta, 21)
    np.testing.assert_allclose(fine.ravel(), predicted.frame["survival"], rtol=0, atol=QUADRATURE)


def test_measurements_after_the_landmark_are_not_used(fit, tables, predicted) -> None:
    visits = tables[0].copy()
    late = visits["year"] > LANDMARK
    visits.loc[late, "marker"] = 1e3
    other = predict_survival(fit, visits, landmark=LANDMARK, horizons=HORIZONS, seed=3, n_draws=60)
    pd.testing.assert_frame_equal(other.frame, predicted.frame)
    counted = {e.reason: e.n for e in other.exclusions}
    assert counted["measured after the landmark 2: not used"] == int(late.sum())


def test_a_subject_alone_is_predicted_alike(fit, tables, predicted) -> None:
    subject = at_risk(tables, 7)
    visits = tables[0][tables[0]["subject_id"] == subject].sample(frac=1, random_state=1)
    alone = predict_survival(fit, visits, landmark=LANDMARK, horizons=HORIZONS, seed=3, n_draws=0)
    mine = predicted.frame[predicted.frame["subject_id"] == subject]
    np.testing.assert_allclose(alone.frame["survival"], mine["survival"], rtol=SAME)


def test_a_higher_marker_means_less_survival(fit, tables) -> None:
    visits = tables[0]
    more = visits.assign(marker=visits["marker"] + 0.5)
    low, high = (
        predict_survival(fit, v, landmark=LANDMARK, horizons=[4.0], seed=1, n_draws=0)
        for v in (visits, more)
    )
    assert (high.frame["survival"] < low.frame["survival"]).all()


def test_same_seed_same_interval_other_seed_another(fit, tables, predicted) -> None:
    again, other = (
        predict_survival(fit, tables[0], landmark=LANDMARK, horizons=HORIZONS, seed=s, n_draws=60)
        for s in (3, 4)
    )
    pd.testing.assert_frame_equal(again.frame, predicted.frame)
    np.testing.assert_array_equal(other.frame["survival"], predicted.frame["survival"])
    assert not np.allclose(other.frame["conf_low"], predicted.frame["conf_low"])


def test_result_honours_the_contract(fit, tables, predicted) -> None:
    assert_result_contract(predicted)
    subject = at_risk(tables, 2)
    one = predict_survival(
        fit, tables[0][tables[0]["subject_id"] == subject], landmark=2, horizons=[3, 4], seed=1,
        n_draws=20,
    )  # fmt: skip
    assert_result_contract(one)
    assert one.headline().startswith("Without event at 2, this subject is so at 4 with a prob")
    assert "Of 1" not in one.headline()


def test_plot_shows_history_forecast_and_survival(predicted, tables) -> None:
    subject = at_risk(tables, 3)
    _, ax = plt.subplots()
    predicted.plot(ax=ax, subject=subject)
    drawn = {line.get_gid(): line for axes in ax.figure.axes for line in axes.lines}
    mine, _ = history_of(tables, subject)
    np.testing.assert_allclose(drawn["seen"].get_ydata(), mine["marker"])
    assert drawn["survival"].get_xdata().tolist() == list(HORIZONS)
    assert drawn["survival"].get_ydata()[0] == 1
    assert max(drawn["fitted"].get_xdata()) == LANDMARK == min(drawn["forecast"].get_xdata())
    plt.close("all")


def test_subjects_who_left_before_the_landmark_are_counted(predicted, tables) -> None:
    gone = int((tables[1]["duration"] <= LANDMARK).sum())
    counted = {e.reason: e for e in predicted.exclusions}
    assert counted["not at risk after the landmark 2"].n == gone
    assert predicted.n_subjects == len(tables[1]) - gone


BAD = [
    ({"horizons": [1.0]}, "must not lie before the landmark"),
    ({"horizons": [4.0, 3.0]}, "must be ascending"),
    ({"horizons": [50.0]}, "beyond the follow-up of the fit"),
    ({"horizons": []}, "must be one finite time"),
    ({"landmark": -1.0}, "must be a time from 0 on"),
    ({"n_draws": -1}, "`n_draws` must be a whole number"),
    ({"conf_level": 95}, "`conf_level` must lie between 0 and 1"),
]


@pytest.mark.parametrize(("change", "words"), BAD)
def test_bad_requests_say_why(fit, tables, change, words) -> None:
    request = {"landmark": LANDMARK, "horizons": [3.0], "seed": 1, "n_draws": 0} | change
    with pytest.raises(DesignError, match=words):
        predict_survival(fit, tables[0], **request)


def test_nobody_at_risk_is_said(fit, tables) -> None:
    end = float(tables[1]["duration"].max())
    with pytest.raises(DesignError, match=r"Nobody is at risk after landmark 7\.9"):
        predict_survival(fit, tables[0], landmark=end, horizons=[end], seed=1)


def test_new_subjects_need_known_covariates(fit, tables) -> None:
    visits = tables[0].head(3).assign(subject_id="new")
    ask = {"landmark": LANDMARK, "horizons": [3.0], "seed": 1, "n_draws": 0}
    with pytest.raises(DesignError, match="are not among those of the fit, and the hazard needs"):
        predict_survival(fit, visits, **ask)
    strange = pd.DataFrame({"subject_id": ["new"], "arm": ["other"]})
    with pytest.raises(DesignError, match="other"):
        predict_survival(fit, visits, survival=strange, **ask)
    with pytest.raises(DesignError, match="needs the column 'arm'"):
        predict_survival(fit, visits, survival=strange[["subject_id"]], **ask)
    known = pd.DataFrame({"subject_id": ["new"], "arm": ["treated"]})
    assert predict_survival(fit, visits, survival=known, **ask).n_subjects == 1


def test_a_missing_covariate_is_counted(fit, tables) -> None:
    visits, survival = tables
    holed = survival.assign(arm=survival["arm"].where(survival.index != at_risk(tables, 0)))
    found = predict_survival(
        fit, visits, survival=holed, landmark=LANDMARK, horizons=[3.0], seed=1, n_draws=0
    )
    assert {e.reason: e.n for e in found.exclusions}["a covariate is missing"] == 1


def test_weighted_quantiles_with_equal_weights_are_hazens() -> None:
    """Witness: numpy's quantile, method "hazen"."""
    draws = np.random.default_rng(1).normal(size=(37, 3, 2))
    found = weighted_quantiles(draws, np.full((37, 3), 1 / 37), (0.025, 0.4, 0.9))
    expected = np.quantile(draws, (0.025, 0.4, 0.9), axis=0, method="hazen")
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_weighted_quantiles_count_a_weight_as_repeats() -> None:
    draws = np.array([1.0, 2.0, 5.0])[:, None]
    found = weighted_quantiles(draws, np.array([0.2, 0.7, 0.1])[:, None], (0.55,))
    assert found.item() == pytest.approx(2.0)
