"""Predictions, study by study, beside lifelines' Cox model and regression."""

from __future__ import annotations

import numpy as np
from lifelines import CoxPHFitter
from scipy import stats
from studies_by_hand import CONVERGED, EXACT, make, survival, third

from pmsstats.validation.analyses import ConversionPrediction, Prediction


def test_prediction_of_an_event_is_lifelines_cox_model(rated):
    studies, _, long = rated
    found = Prediction(
        measure="thalamus_ml", outcome="cdp12", groups=("SPMS", "PPMS"), adjust=("age",)
    ).estimate(studies)
    data = survival(studies, long, "cdp12").dropna(subset=["duration"])
    within = data["thalamus_ml"] - data.groupby("phenotype")["thalamus_ml"].transform("mean")
    data = data.assign(score=-within / within.std())
    fit = CoxPHFitter().fit(
        data[["score", "age_years", "phenotype", "duration", "event"]],
        "duration", "event", strata=["phenotype"], fit_options=CONVERGED,
    )  # fmt: skip
    assert data["event"].sum() > 10
    row = fit.summary.loc["score"]
    np.testing.assert_allclose(third(found), [row["coef"], row["se(coef)"], row["p"]], rtol=1e-6)


def test_prediction_of_conversion_is_lifelines_cox_model(rated):
    studies, _, long = rated
    found = ConversionPrediction(
        measure="thalamus_ml", groups=("SPMS",), to="SPMS", horizon=1.5
    ).estimate(studies)
    data = survival(studies.select(("SPMS",)), long[long["phenotype"] == "SPMS"], "conversion")
    end = 1.5 * 365.25
    data["event"] &= data["duration"] <= end
    data["duration"] = data["duration"].clip(upper=end)
    data["score"] = -(data["thalamus_ml"] - data["thalamus_ml"].mean()) / data["thalamus_ml"].std()
    fit = CoxPHFitter().fit(
        data[["score", "duration", "event"]], "duration", "event", fit_options=CONVERGED
    )
    row = fit.summary.loc["score"]
    np.testing.assert_allclose(third(found)[:2], [row["coef"], row["se(coef)"]], rtol=1e-6)


def test_cox_model_without_maximum_has_no_estimate():
    studies, _, _ = make(groups=(("HC", 12),))
    found = Prediction(measure="thalamus_ml", outcome="cdp12", groups=("HC",)).estimate(studies)
    assert np.isnan(found.estimate).all()  # nobody worsens from EDSS 0


def test_prediction_of_change_is_a_standardised_regression(rated):
    studies, _, long = rated
    found = Prediction(
        measure="thalamus_ml", outcome="edss_change", groups=("PPMS",), horizon=2.0
    ).estimate(studies)
    first, last = (
        long[(long["day"] == day) & (long["phenotype"] == "PPMS")]
        .set_index("subject_id")
        .sort_index()
        for day in (0, long["day"].max())
    )
    change = last["edss"] - first["edss"]
    expected = stats.linregress(-first["thalamus_ml"], change)
    np.testing.assert_allclose(third(found)[0], expected.rvalue, rtol=EXACT)
    np.testing.assert_allclose(third(found)[2], expected.pvalue, rtol=1e-7)
