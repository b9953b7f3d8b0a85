"""Switches of the literature. Witness: what each side says, in moments of a large cohort."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pmsstats import evidence
from synthetic import generate_tables, preset

N = 20_000
PATIENTS = ("CIS", "RRMS", "SPMS", "PPMS")


def _with(switch, value, measures):
    config = dataclasses.replace(preset("review"), literature=((switch, value),))
    return config.for_study(n_subjects=N, mix=dict.fromkeys(PATIENTS, 1), measures=measures)


@pytest.mark.parametrize("phenotype", ["CIS", "RRMS", "SPMS", "PPMS"])
def test_the_common_thalamic_rate_is_that_of_azevedo(phenotype):
    config = _with("thalamus_rate", "common", ("thalamus_ml",))
    found = config.imaging_models
    model = next(m for m in found if m.measure == "thalamus_ml")
    assert model.rate_pct[phenotype] == evidence.record("azevedo2018_thalamus_rate_ms").value


def test_adjusted_brain_rates_agree_at_equal_volume_and_not_before():
    """Regression of the true rate on phenotype, without and with the true volume."""
    truth = generate_tables(_with("brain_rate", "adjusted", ("brain_ml", "pbvc_pct")), 3)
    data = truth.truth.subjects.merge(truth.subjects, on="subject_id")
    rate, volume = data["pbvc_pct_slope"].to_numpy(), data["brain_ml_baseline"].to_numpy()
    dummies = np.column_stack([data["phenotype"] == name for name in PATIENTS]).astype(float)
    adjusted = np.column_stack([dummies, volume - volume.mean()])
    found, _, _, _ = np.linalg.lstsq(adjusted, rate, rcond=None)
    residual = rate - adjusted @ found
    cov = residual.var() * np.linalg.inv(adjusted.T @ adjusted)
    for k in range(1, len(PATIENTS)):
        error = np.sqrt(cov[0, 0] + cov[k, k] - 2 * cov[0, k])
        assert abs(found[k] - found[0]) < 4 * error
    means = data.groupby("phenotype")["brain_ml_baseline"].mean()
    raw = data.groupby("phenotype")["pbvc_pct_slope"].mean()
    assert np.corrcoef(means, raw)[0, 1] > 0


@pytest.mark.parametrize("switch", ["thalamus_rate", "brain_rate"])
def test_the_default_value_changes_nothing(switch):
    config = preset("review")
    same = dataclasses.replace(config, literature=((switch, "by_phenotype"),))
    assert same.imaging_models == config.imaging_models
