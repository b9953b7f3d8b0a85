"""Mixed models by formula: what the formula sees."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from trial_cases import analysis_of, measured, slope_trials

from pmsstats.models.mixed.lmm import fit_lmm
from tests.trials.analyses.small_trials import FITTED, run


def test_a_formula_sees_planned_weeks_and_years_from_the_start_of_the_window():
    rng = np.random.default_rng(54)
    data = slope_trials(55, 2, (20, 20), slopes=(-1.0, -0.4))
    moved = data.day + np.where(np.arange(5) > 0, rng.integers(-20, 21, (2, 40, 5)), 0)
    data = data.replace(day=moved)
    formula = "volume ~ year + year:arm + week + baseline + (1 | subject_id)"
    batch = run(analysis_of("model", formula=formula, from_week=24), data)
    value = measured(data, "volume")[1]
    table = pd.DataFrame(
        {
            "subject_id": np.repeat(np.arange(40), 4),
            "year": ((moved[1][:, 1:] - 168) / 365.25).ravel(),
            "week": np.tile([24.0, 48.0, 72.0, 96.0], 40),
            "arm": pd.Categorical(np.repeat(data.arm[1], 4)),
            "volume": value[:, 1:].ravel(),
            "baseline": np.repeat(value[:, 1], 4),
        }
    ).dropna()
    fit = fit_lmm(table.reset_index(drop=True), formula, df_method="satterthwaite")
    line = fit.table().set_index("term").loc["year:arm[T.1]"]
    assert batch.estimate[1, 0] == pytest.approx(line["estimate"], rel=FITTED)
    assert batch.std_error[1, 0] == pytest.approx(line["std_error"], rel=FITTED)
