"""The oracle of joint models: lifelines and closed forms get its parameters back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, CoxTimeVaryingFitter, WeibullFitter

from pmsstats.errors import DesignError
from synthetic import SharedEffectsConfig, generate_shared_effects

MCSE = 4.0  # estimates may lie this many standard errors from the truth
N = 6000


def large(**fields) -> SharedEffectsConfig:
    return replace(SharedEffectsConfig(), n_subjects=N, **fields)


def test_lines_have_their_moments():
    config = large(arm_slope=0.3)
    truth = generate_shared_effects(config, seed=3).truth
    treated = np.arange(N) % 2 == 1
    slopes = truth["slope"] - 0.3 * treated
    error = MCSE / np.sqrt(N)
    assert abs(truth["level"].mean() - config.level_mean) < error * config.level_sd
    assert abs(slopes.mean() - config.slope_mean) < error * config.slope_sd
    assert abs(slopes.std() / config.slope_sd - 1) < error
    assert abs(np.corrcoef(truth["level"], slopes)[0, 1] - config.correlation) < error


def test_cox_on_the_true_slope_finds_the_log_hazards():
    config = large(association="slope", log_hazard=-0.7, arm_log_hazard=-0.4, arm_slope=0.2)
    data = generate_shared_effects(config, seed=4)
    frame = data.survival[["subject_id", "arm", "duration", "event"]].merge(
        data.truth[["subject_id", "slope"]], on="subject_id"
    )
    frame = frame.assign(arm=frame["arm"].cat.codes).drop(columns="subject_id")
    found = CoxPHFitter().fit(frame, "duration", "event").summary
    for name, truth in (("slope", -0.7), ("arm", -0.4)):
        assert abs(found.loc[name, "coef"] - truth) < MCSE * found.loc[name, "se(coef)"]


def test_cox_on_the_true_current_value_finds_the_log_hazard():
    config = large(log_hazard=-0.6)
    data = generate_shared_effects(config, seed=5)
    people = data.survival.merge(data.truth, on="subject_id")
    step = 0.05  # years: the value changes by 0.03 SD within
    n_steps = np.ceil(people["duration"] / step - 1e-9).astype(int)
    rows = people.loc[people.index.repeat(n_steps)].reset_index(drop=True)
    start = rows.groupby("subject_id").cumcount() * step
    stop = np.minimum(start + step, rows["duration"])
    frame = pd.DataFrame(
        {
            "id": rows["subject_id"],
            "start": start,
            "stop": stop,
            "event": rows["event"] & (stop == rows["duration"]),
            "value": rows["level"] + rows["slope"] * (start + stop) / 2,
        }
    )
    fit = CoxTimeVaryingFitter().fit(frame, event_col="event", id_col="id")
    found = fit.summary.loc["value"]
    assert abs(found["coef"] + 0.6) < MCSE * found["se(coef)"]


def test_without_association_times_are_weibull():
    config = large(log_hazard=0.0, dropout_rate=0.3, shape=1.4, log_rate=-1.0)
    survival = generate_shared_effects(config, seed=6).survival
    fit = WeibullFitter().fit(survival["duration"], survival["event"])
    found = fit.summary
    # lifelines: S(t) = exp(-(t / lambda)^rho), so log_rate = -rho log(lambda)
    assert abs(found.loc["rho_", "coef"] - 1.4) < MCSE * found.loc["rho_", "se(coef)"]
    scale = np.exp(1.0 / 1.4)
    assert abs(found.loc["lambda_", "coef"] - scale) < MCSE * found.loc["lambda_", "se(coef)"]


def test_intervals_hold_the_event_and_end_at_attended_visits():
    data = generate_shared_effects(large(dropout_rate=0.2), seed=7)
    survival, visits = data.survival, data.config.visit_years
    event_year = data.truth["event_year"].to_numpy()
    seen = np.isfinite(survival["upper"].to_numpy())
    assert 0.4 < seen.mean() < 0.9
    assert (survival["lower"] < event_year).all()
    assert (event_year[seen] <= survival["upper"].to_numpy()[seen]).all()
    assert survival["lower"].isin(visits).all()
    assert survival.loc[seen, "upper"].isin(visits).all()
    # never seen without having happened; happened but not seen only after the last visit attended
    assert survival.loc[seen, "event"].all()


def test_measurements_end_with_follow_up_and_have_their_error():
    data = generate_shared_effects(large(), seed=8)
    rows = data.longitudinal.merge(data.survival[["subject_id", "duration"]], on="subject_id")
    assert (rows["year"] <= rows["duration"]).all()
    rows = rows.merge(data.truth, on="subject_id")
    error = rows["marker"] - rows["level"] - rows["slope"] * rows["year"]
    assert abs(error.mean()) < MCSE * 0.4 / np.sqrt(len(rows))
    assert abs(error.std() / 0.4 - 1) < MCSE / np.sqrt(2 * len(rows))
    assert rows.groupby("subject_id").size().max() == len(data.config.visit_years)


def test_same_seed_same_data_and_streams_apart():
    one = generate_shared_effects(SharedEffectsConfig(n_subjects=40), seed=1)
    same = generate_shared_effects(SharedEffectsConfig(n_subjects=40), seed=1)
    pd.testing.assert_frame_equal(one.longitudinal, same.longitudinal)
    pd.testing.assert_frame_equal(one.survival, same.survival)
    other = generate_shared_effects(SharedEffectsConfig(n_subjects=40, dropout_rate=2.0), seed=1)
    pd.testing.assert_frame_equal(one.truth, other.truth)
    assert other.survival["event"].sum() < one.survival["event"].sum()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"association": "area"}, "`association` must be"),
        ({"slope_sd": 0.0}, "`slope_sd` must be above 0"),
        ({"correlation": 1.0}, "`correlation` must lie"),
        ({"visit_years": (0.0, 0.0)}, "`visit_years` must ascend"),
        ({"dropout_rate": -1.0}, "`dropout_rate` must be"),
    ],
)
def test_impossible_parameters_are_refused(fields, message):
    with pytest.raises(DesignError, match=message):
        SharedEffectsConfig(**fields)


def test_a_seed_is_required():
    with pytest.raises(TypeError, match="`seed` must be given"):
        generate_shared_effects(SharedEffectsConfig())
