"""Comparisons of predictions: R as witness, brute force, known truth, properties, bad input."""

from __future__ import annotations

import re
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from dynamic_draws import draw_joint
from properties import assert_result_contract
from reference_cases import load_case

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.joint.spec import JointSpec
from pmsstats.models.prediction.accuracy import MEASURES, estimate_measures
from pmsstats.models.prediction.compare import compare_predictions, estimate_accuracy
from pmsstats.models.prediction.inverse_censoring import censoring_weights
from pmsstats.models.prediction.joint_prediction import JointPredictor
from pmsstats.models.prediction.optimism import bootstrap_optimism, fit_predictors, predict_risks
from pmsstats.models.prediction.prediction_data import prepare_tables
from pmsstats.models.prediction.predictors import CoxPredictor, LandmarkPredictor
from pmsstats.models.prediction.spec import PredictionSpec
from pmsstats.models.prediction.two_stage import TwoStagePredictor

SPEC = PredictionSpec(landmarks=(1.0, 2.0), windows=(1.5, 2.0))
FORMULA = "marker ~ year + (year | subject_id)"
MODELS = {
    "baseline": CoxPredictor(covariates="arm"),
    "last value": LandmarkPredictor(measure="marker", covariates="arm"),
    "two-stage": TwoStagePredictor(longitudinal=FORMULA, covariates="arm"),
}
PBC = {
    "baseline": CoxPredictor(covariates="age + drug"),
    "landmark": LandmarkPredictor(measure="log(serBilir)", covariates="age + drug"),
    "twostage": TwoStagePredictor(
        longitudinal="log(serBilir) ~ year * drug + (year | id)", covariates="age + drug"
    ),
}


@dataclass(frozen=True)
class Constant:
    """Predict the same survival for everyone; fitted to nothing."""

    value: float

    def fit(self, data):
        return self

    def predict(self, at, horizons):
        return np.full((len(at.subjects), len(horizons)), self.value)


@dataclass(frozen=True)
class Spy:
    """Keep what a predictor is shown."""

    shown: list

    def fit(self, data):
        return self

    def predict(self, at, horizons):
        self.shown.append(at)
        return np.linspace(0.1, 0.9, len(at.subjects))[:, None] + 0 * horizons


@pytest.fixture(scope="module")
def tables():
    return draw_joint(np.random.default_rng(7), 200)


@pytest.fixture(scope="module")
def compared(tables):
    return compare_predictions(*tables, SPEC, models=MODELS)


@pytest.fixture(scope="module")
def pbc():
    case = load_case("prediction_pbc2")
    survival = case.input.drop_duplicates("id")[["id", "years", "status2", "age", "drug"]]
    visits = case.input[["id", "year", "serBilir", "drug"]]
    spec = PredictionSpec(
        landmarks=3, windows=2, duration="years", event="status2", subject="id", n_groups=4
    )
    return case, compare_predictions(visits, survival, spec, models=PBC)


@pytest.mark.parametrize("model", PBC)
def test_predictions_agree_with_r(pbc, model: str) -> None:
    """Witness: survfit of coxph after lme, conditional on being at risk (stored)."""
    case, result = pbc
    mine = result.predictions[result.predictions["model"] == model].set_index("id")["survival"]
    rows = case.rows(f"{model}.survival")
    for row in rows.itertuples():
        assert mine.loc[int(row.term)] == pytest.approx(row.value, rel=row.rtol), row.term


@pytest.mark.parametrize("quantity", ["auc", "auc_std_error", "brier"])
def test_accuracy_agrees_with_r(pbc, quantity: str) -> None:
    """Witness: riskRegression::Score of R's own predictions (stored)."""
    case, result = pbc
    table = result.table().set_index(["model", "measure"])
    column = "std_error" if quantity.endswith("std_error") else "estimate"
    for row in case.rows(quantity).itertuples():
        value = table.loc[(row.term, quantity.removesuffix("_std_error")), column]
        assert value == pytest.approx(row.value, rel=row.rtol), row.term
    assert (table["n_subjects"] == case.rows("n")["value"].item()).all()


def test_predictors_see_the_past_only(tables) -> None:
    visits, survival = tables
    spy = Spy([])
    compare_predictions(visits, survival, SPEC, models={"spy": spy})
    assert [at.landmark for at in spy.shown] == [1.0, 2.0]
    for at in spy.shown:
        assert (at.history["year"] <= at.landmark).all()
        assert not {"duration", "event"} & set(at.subjects.columns)
        alive = survival.loc[survival["duration"] > at.landmark, "subject_id"]
        assert at.subjects["subject_id"].tolist() == alive.tolist()
        assert (at.subjects["subject_id"].to_numpy()[at.code] == at.history["subject_id"]).all()


def test_later_measurements_change_nothing_in_models_of_the_past(tables, compared) -> None:
    visits, survival = tables
    late = visits["year"] > 2.0
    visits = visits.assign(marker=visits["marker"].where(~late, -50.0))
    again = compare_predictions(visits, survival, SPEC, models=MODELS)
    pd.testing.assert_frame_equal(again.predictions, compared.predictions)


def test_order_and_names_of_subjects_change_nothing(tables, compared) -> None:
    visits, survival = tables
    rename = {i: f"P{(i * 37) % 1000:03d}" for i in survival["subject_id"]}
    other = compare_predictions(
        visits.sample(frac=1, random_state=1).assign(
            subject_id=lambda d: d["subject_id"].map(rename)
        ),
        survival.sample(frac=1, random_state=2).assign(
            subject_id=lambda d: d["subject_id"].map(rename)
        ),
        SPEC,
        models=MODELS,
    )
    # the mixed model's maximum is reached to about 1e-6 of a probability
    np.testing.assert_allclose(other.measures["estimate"], compared.measures["estimate"], rtol=1e-4)


def test_models_are_judged_on_the_same_subjects(tables) -> None:
    visits, survival = tables
    holed = survival.assign(arm=survival["arm"].where(survival["subject_id"] % 10 != 0))
    found = compare_predictions(visits, holed, SPEC, models=MODELS)
    sizes = found.predictions.groupby(["landmark", "horizon", "model"])["subject_id"].agg(tuple)
    for _, same in sizes.groupby(["landmark", "horizon"]):
        assert len(same) == len(MODELS)
        assert len(set(same)) == 1
    lost = [e for e in found.exclusions if "no prediction by baseline" in e.reason]
    at_risk = (survival["duration"] > 1.0) & (survival["subject_id"] % 10 == 0)
    assert lost[0].n == int(at_risk.sum())


def test_estimate_accuracy_gives_the_same_from_a_frame(tables, compared) -> None:
    found = estimate_accuracy(compared.predictions, tables[1], SPEC)
    pd.testing.assert_frame_equal(found.measures, compared.measures)
    pd.testing.assert_frame_equal(found.differences, compared.differences)
    pd.testing.assert_frame_equal(found.calibration, compared.calibration)


def test_competing_risks_from_a_frame() -> None:
    """Witness: the reference case of riskRegression::Score, shifted to a landmark (stored)."""
    case = load_case("prediction_accuracy")
    shifted = case.input.assign(duration=case.input["duration"] + 1.0)
    parts = [
        pd.DataFrame({"subject_id": shifted["subject_id"], "landmark": 1.0, "horizon": 4.25,
                      "model": model, "survival": 1 - shifted[model]})
        for model in ("good", "poor")
    ]  # fmt: skip
    spec = PredictionSpec(landmarks=1, windows=3.25, cause="cause", of="progression")
    table = estimate_accuracy(pd.concat(parts), shifted, spec).table()
    table = table.set_index(["model", "measure"])
    for measure in ("auc", "brier", "scaled_brier", "observed_expected"):
        rows = case.rows(f"competing.{measure}")
        for row in rows[rows["term"].str.endswith("@3.25")].itertuples():
            value = table.loc[(row.term.split("@")[0], measure), "estimate"]
            assert value == pytest.approx(row.value, rel=max(row.rtol, 1e-8))


def test_differences_are_differences(compared) -> None:
    table = compared.table().set_index(["landmark", "horizon", "measure", "model"])["estimate"]
    assert len(compared.differences) == 4 * 3 * 3
    for row in compared.differences.itertuples():
        key = (row.landmark, row.horizon, row.measure)
        assert row.estimate == pytest.approx(
            table[(*key, row.model)] - table[(*key, row.reference)]
        )
    turned = compared.compare("two-stage", "auc")
    assert (turned["reference"] == "two-stage").all()
    assert (turned["conf_low"] <= turned["estimate"]).all()
    assert (turned["estimate"] <= turned["conf_high"]).all()
    for row in turned.itertuples():
        key = (row.landmark, row.horizon, "auc")
        assert row.estimate == pytest.approx(table[(*key, row.model)] - table[(*key, "two-stage")])


def test_knowing_the_marker_helps(compared) -> None:
    """The truth: the hazard follows the marker, so that its models must beat the arm alone."""
    gain = compared.compare("baseline", "auc")
    assert (gain["conf_low"] > 0).all()
    brier = compared.compare("baseline", "brier")
    assert (brier["estimate"] < 0).all()


def test_joint_model_joins_the_comparison(tables) -> None:
    """The truth: the true model cannot be far behind, and is calibrated."""
    spec = PredictionSpec(landmarks=2.0, windows=2.0)
    joint = JointPredictor(spec=JointSpec(longitudinal=FORMULA, hazard="arm", baseline="weibull"))
    found = compare_predictions(*tables, spec, models={**MODELS, "joint": joint})
    table = found.table().set_index(["model", "measure"])
    ratio = table.loc[("joint", "observed_expected")]
    assert ratio["conf_low"] < 1 < ratio["conf_high"]
    slope = table.loc[("joint", "calibration_slope")]
    assert slope["conf_low"] < 1 < slope["conf_high"]
    against = found.compare("baseline", "auc").set_index("model").loc["joint"]
    assert against["conf_low"] > 0
    assert found.compare("last value", "auc").set_index("model").loc["joint", "conf_high"] > 0


def test_joint_predictor_needs_the_same_columns(tables) -> None:
    joint = JointPredictor(spec=JointSpec(longitudinal=FORMULA, duration="years"))
    with pytest.raises(DesignError, match="The joint model has duration 'years'"):
        compare_predictions(*tables, SPEC, models={"joint": joint})


# ------------------------------------------------------------------------------- optimism


def noise_trial(seed: int, n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw subjects with one covariate that matters and five that do not."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    time, censored = rng.exponential(4 / np.exp(0.6 * x[:, 0])), rng.uniform(1, 9, n)
    survival = pd.DataFrame(x, columns=[f"x{i}" for i in range(6)]).assign(
        subject_id=np.arange(n), duration=np.minimum(time, censored), event=time <= censored
    )
    return pd.DataFrame({"subject_id": np.arange(n), "year": 0.0}), survival


NOISE = {"noise": CoxPredictor(covariates=" + ".join(f"x{i}" for i in range(6)))}
NOISE_SPEC = PredictionSpec(landmarks=0.5, windows=2.0)


@pytest.mark.slow
def test_correction_takes_the_optimism_away() -> None:
    """Witness: accuracy of the same fitted models in 20,000 new subjects, by simulation."""
    n_replicates = 30
    new = prepare_tables(*noise_trial(999, 20_000), NOISE_SPEC)
    at = new.at(0.5)
    weights = censoring_weights(new.duration[at.position] - 0.5, new.cause[at.position], 2.0)
    apparent, corrected = [], []
    for seed in range(n_replicates):
        visits, survival = noise_trial(seed, 90)
        found = compare_predictions(
            visits, survival, NOISE_SPEC, models=NOISE, n_bootstrap=15, seed=seed
        ).measures
        fitted = NOISE["noise"].fit(prepare_tables(visits, survival, NOISE_SPEC))
        risk = 1 - fitted.predict(at, np.array([2.5])).T
        truth = estimate_measures(risk, weights).estimate[0]
        apparent.append(found["estimate"] - truth)
        corrected.append(found["corrected"] - truth)
    apparent, corrected = np.array(apparent), np.array(corrected)
    error = corrected.std(axis=0, ddof=1) / np.sqrt(n_replicates)
    assert (np.abs(corrected.mean(axis=0)) < 4 * error).all()
    for measure, sign in (("auc", 1), ("brier", -1), ("scaled_brier", 1), ("calibration_slope", 1)):
        k = MEASURES.index(measure)
        assert sign * apparent[:, k].mean() > 4 * apparent[:, k].std() / np.sqrt(n_replicates)


def test_optimism_is_the_mean_gap_of_refitted_models(tables) -> None:
    """Witness: the loop of Harrell's algorithm, written here for one model."""
    visits, survival = tables
    models = {"last value": MODELS["last value"]}
    spec = PredictionSpec(landmarks=1.0, windows=2.0)
    found = compare_predictions(visits, survival, spec, models=models, n_bootstrap=4, seed=11)
    data = prepare_tables(visits, survival, spec)
    gaps = []
    from pmsstats.seeds import stream

    for b in range(4):
        draw = np.sort(stream(11, "prediction bootstrap", b).integers(0, 200, 200))
        resampled = survival.iloc[draw].reset_index(drop=True).assign(subject_id=np.arange(200))
        parts = [
            visits[visits["subject_id"] == survival["subject_id"].iloc[i]].assign(subject_id=k)
            for k, i in enumerate(draw)
        ]
        sample = prepare_tables(pd.concat(parts), resampled, spec)
        fitted = fit_predictors(models, sample)
        judged = []
        for where in (sample, data):
            ((_, position, risk),) = predict_risks(fitted, where)
            weights = censoring_weights(where.duration[position] - 1, where.cause[position], 2.0)
            judged.append(estimate_measures(risk[:, :, 0], weights).estimate[0])
        gaps.append(judged[0] - judged[1])
    np.testing.assert_allclose(found.measures["optimism"], np.mean(gaps, axis=0), rtol=1e-6)
    mcse = np.std(gaps, axis=0, ddof=1) / 2
    np.testing.assert_allclose(found.measures["optimism_mcse"], mcse, rtol=1e-6)
    np.testing.assert_allclose(
        found.measures["corrected"], found.measures["estimate"] - found.measures["optimism"]
    )


def test_a_model_that_learns_nothing_has_no_optimism_on_average(tables) -> None:
    found = compare_predictions(
        *tables, SPEC, models={"a": Constant(0.7), "b": Constant(0.4)}, n_bootstrap=40, seed=5
    )
    # resample less original data: zero mean, judged by its own Monte Carlo error
    z = found.measures["optimism"] / found.measures["optimism_mcse"]
    assert (z[found.measures["measure"].isin(["brier", "observed_expected"])].abs() < 4).all()
    assert (found.measures.query("measure == 'auc'")["optimism"].abs() < 1e-12).all()


def test_resamples_do_not_depend_on_their_number(tables) -> None:
    data = prepare_tables(*tables, SPEC)
    models = {"last value": MODELS["last value"]}
    few, more = (bootstrap_optimism(models, data, n_bootstrap=n, seed=3) for n in (2, 3))
    np.testing.assert_array_equal(few.apparent, more.apparent[:2])
    np.testing.assert_array_equal(few.test, more.test[:2])


def test_resampled_tables_hold_each_subject_as_often_as_it_was_drawn(tables) -> None:
    data = prepare_tables(*tables, SPEC)
    sample = data.take(np.array([5, 5, 9]))
    assert sample.survival["subject_id"].tolist() == [1, 2, 3]
    own = data.longitudinal[data.code == 5]["marker"].tolist()
    for k in (1, 2):
        assert sample.longitudinal.query(f"subject_id == {k}")["marker"].tolist() == own
    last = data.longitudinal[data.code == 9]["marker"].tolist()
    assert sample.longitudinal.query("subject_id == 3")["marker"].tolist() == last


@dataclass(frozen=True)
class Fragile:
    """Fail in every resample, whose subjects are renamed from 1 on."""

    def fit(self, data):
        if data.survival["subject_id"].min() == 1:
            raise ConvergenceError("it went astray")
        return Constant(0.5)


def test_failed_resamples_are_never_passed_over(tables) -> None:
    with pytest.raises(
        ConvergenceError, match=r"4 of 4 bootstrap resamples gave no answer.*astray"
    ):
        compare_predictions(*tables, SPEC, models={"x": Fragile()}, n_bootstrap=4, seed=1)


# ------------------------------------------------------------------------------- contract


def test_result_honours_the_contract(tables, compared) -> None:
    assert_result_contract(compared)
    assert_result_contract(
        compare_predictions(
            *tables, SPEC, models={"arm": MODELS["baseline"]}, n_bootstrap=2, seed=1,
            origin="synthetic",
        )
    )  # fmt: skip


def test_headline_says_who_won_by_how_much(compared) -> None:
    text = compared.headline()
    assert re.match(r"From 1 to 2.5 among \d+ subjects at risk \(\d+ events\), ", text)
    assert re.search(r"discriminated best: AUC 0\.\d{3} \(0\.\d{3} to 0\.\d{3}\), 0\.\d{3}", text)
    assert text.endswith("more than baseline (95 % CI).")


def test_figures_draw_the_tables(compared) -> None:
    _, ax = plt.subplots()
    compared.plot(ax=ax, measure="brier", window=2.0)
    lines = {line.get_gid(): line for line in ax.lines}
    table = compared.table()
    for model in MODELS:
        rows = table[(table["measure"] == "brier") & (table["model"] == model)]
        rows = rows[rows["horizon"] - rows["landmark"] == 2.0]
        np.testing.assert_allclose(lines[model].get_ydata(), rows["estimate"])
    assert ax.get_ylabel() == "Brier score"
    _, ax = plt.subplots()
    compared.plot_calibration(ax=ax, landmark=2.0, window=1.5)
    rows = compared.calibration[
        (compared.calibration["landmark"] == 2.0) & (compared.calibration["horizon"] == 3.5)
    ]
    lines = {line.get_gid(): line for line in ax.lines}
    for model in MODELS:
        mine = rows[rows["model"] == model]
        np.testing.assert_allclose(lines[model].get_xdata(), mine["predicted"])
        np.testing.assert_allclose(lines[model].get_ydata(), mine["observed"])
    plt.close("all")


def test_unknown_choices_are_refused(compared) -> None:
    with pytest.raises(DesignError, match=r"`measure` must be one of auc.*got 'aucc'. Did you"):
        compared.plot(measure="aucc")
    with pytest.raises(DesignError, match=r"`window` must be one of 1\.5, 2\.0, got 3\.0"):
        compared.plot_calibration(window=3)
    with pytest.raises(DesignError, match="`reference` must be one of baseline"):
        compared.compare("nobody")


# ------------------------------------------------------------------------------ bad input

BAD_SPECS = [
    ({"landmarks": -1.0}, "`landmarks` must be a non-negative finite time"),
    ({"landmarks": (2.0, 1.0)}, "`landmarks` must be .* ascending"),
    ({"landmarks": ()}, "`landmarks` must be"),
    ({"landmarks": True}, "`landmarks` must be"),
    ({"windows": 0.0}, "`windows` must be a positive finite time"),
    ({"windows": float("inf")}, "`windows` must be a positive finite time"),
    ({"n_groups": 0}, "`n_groups` must be a whole number from 1"),
    ({"conf_level": 1.5}, "`conf_level` must lie between 0 and 1"),
    ({"cause": "why"}, "`cause` and `of` go together"),
]


@pytest.mark.parametrize(("change", "words"), BAD_SPECS)
def test_bad_specs_say_why(change, words) -> None:
    with pytest.raises(DesignError, match=words):
        PredictionSpec(**{"landmarks": 1.0, "windows": 1.0, **change})


BAD_REQUESTS = [
    ({"models": {}}, "`models` must map names to predictors"),
    ({"models": {"x": "cox"}}, r"`models\['x'\]` must be a predictor"),
    ({"n_bootstrap": 1, "seed": 1}, "`n_bootstrap` must be 0, or at least 2"),
    ({"n_bootstrap": 5}, "`n_bootstrap` needs a `seed`"),
    (
        {"spec": PredictionSpec(landmarks=9.0, windows=1.0)},
        r"0 subject\(s\) with a measurement are at risk at landmark 9",
    ),
    (
        {"spec": PredictionSpec(landmarks=1.0, windows=30.0)},
        "Nobody is followed beyond the horizon 31",
    ),
    (
        {"spec": PredictionSpec(landmarks=1.0, windows=1e-6)},
        "No event happens between landmark 1 and horizon 1",
    ),
    ({"spec": PredictionSpec(landmarks=1.0, windows=1.0, event="evnt")}, "`event` names 'evnt'"),
    ({"spec": PredictionSpec(landmarks=1.0, windows=1.0, time="day")}, "`time` names 'day'"),
    (
        {"models": {"x": LandmarkPredictor(measure="nfl")}},
        "Model 'x' could not be fitted. 'nfl' is a column of neither table",
    ),
    (
        {"models": {"x": TwoStagePredictor(longitudinal="nfl ~ year + (year | subject_id)")}},
        "Model 'x' could not be fitted. The mixed model names 'nfl'",
    ),
    (
        {"models": {"x": TwoStagePredictor(longitudinal="marker ~ year + (year | centre)")}},
        "groups by 'centre', but the subject of the comparison is 'subject_id'",
    ),
]


@pytest.mark.parametrize(("change", "words"), BAD_REQUESTS)
def test_bad_requests_say_why(tables, change, words) -> None:
    request = {"spec": SPEC, "models": MODELS} | change
    with pytest.raises(DesignError, match=words):
        compare_predictions(*tables, request.pop("spec"), **request)


def test_quantity_of_two_stage_is_checked() -> None:
    with pytest.raises(DesignError, match="`quantity` must be 'value', 'slope' or"):
        TwoStagePredictor(longitudinal=FORMULA, quantity="area")


def test_ids_of_another_kind_are_noticed(tables) -> None:
    visits = tables[0].assign(subject_id=tables[0]["subject_id"].astype(str))
    with pytest.raises(DesignError, match="Are the ids of the same kind"):
        compare_predictions(visits, tables[1], SPEC, models=MODELS)


def test_what_is_left_out_is_counted(tables) -> None:
    visits, survival = tables
    alive = survival.loc[survival["duration"] > 2, "subject_id"].iloc[:3]
    visits = pd.concat(
        [
            visits[~visits["subject_id"].isin(alive)],
            pd.DataFrame({"subject_id": [9999, survival["subject_id"].iloc[5]],
                          "year": [0.0, 99.0], "marker": [1.0, 1.0]}),
        ]
    )  # fmt: skip
    found = compare_predictions(visits, survival, SPEC, models=MODELS)
    counted = {(e.stage, e.reason): e.n for e in found.exclusions}
    assert counted["prediction", "subject has no follow-up"] == 1
    assert counted["prediction", "measured after the event or the end of follow-up"] == 1
    assert counted["prediction at 1", "at risk, but not measured by then"] == 3
    assert counted["prediction at 2", "at risk, but not measured by then"] == 3


BAD_FRAMES = [
    (lambda p: p.assign(survival=p["survival"] * 100), "must be a probability from 0 to 1"),
    (lambda p: p.assign(horizon=2.0, landmark=2.0), "A horizon must lie after its landmark"),
    (lambda p: pd.concat([p, p.head(1)]), "rows of `predictions` repeat a subject"),
    (lambda p: p.drop(columns="survival"), "`survival` names 'survival', which is no column"),
    (lambda p: p[p["landmark"] == 1.0], "have no row for landmark 2 and horizon 3.5"),
    (lambda p: p.assign(survival=p["survival"].astype(str)), "must hold numbers"),
]


@pytest.mark.parametrize(("change", "words"), BAD_FRAMES)
def test_bad_frames_say_why(tables, compared, change, words) -> None:
    with pytest.raises(DesignError, match=words):
        estimate_accuracy(change(compared.predictions), tables[1], SPEC)


def test_predictions_of_subjects_not_at_risk_are_counted(tables, compared) -> None:
    gone = tables[1].loc[tables[1]["duration"] <= 1.0, "subject_id"].iloc[0]
    extra = compared.predictions.drop_duplicates(["landmark", "horizon", "model"])
    more = pd.concat([compared.predictions, extra.assign(subject_id=gone)])
    found = estimate_accuracy(more, tables[1], SPEC)
    pd.testing.assert_frame_equal(found.measures, compared.measures)
    counted = [e.n for e in found.exclusions if "not at risk at the landmark" in e.reason]
    assert counted == [1, 1, 1, 1]
