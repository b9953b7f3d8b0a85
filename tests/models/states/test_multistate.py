"""Multi-state models: R's msm, closed forms, known truth, properties, and bad input."""

from __future__ import annotations

import dataclasses
import math
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from properties import assert_covariance_matrix, assert_result_contract
from reference_cases import load_case
from scipy.linalg import expm

from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError
from pmsstats.models.states.multistate import MultistateSpec, fit_multistate
from pmsstats.models.states.multistate_data import prepare_states
from pmsstats.models.states.multistate_layout import complex_step, lay_out_parameters

CLOSED = 1e-7  # relative: the maximum is found to 1e-7 standard errors
SAME = 1e-6  # relative: the same likelihood maximised from other numbers
EXACT = 1e-9  # relative: second derivatives by two routes, each exact to rounding
Z = 1.959963984540054  # normal quantile of 95 % intervals
N_ERRORS = 4.0  # standard errors from the truth that are allowed

MSM = {"states": (1, 2, 3, 4), "death": 4}
RATED = {"misclassification": "neighbours", "initial": (0.6, 0.3, 0.1, 0.0)}
WITH = {"covariates": "treated"}
MODELS = {
    "panel": WITH,
    "common": WITH | {"effects": "common"},
    "not_exact": WITH | {"exact_death": False},
    "censored": WITH | {"censored": ((99, (1, 2, 3)),)},
    "uncertain": {"censored": ((98, (1, 2)),)},
    "hidden_plain": RATED,
    "hidden": RATED | WITH,
    "rating_covariate": RATED | {"misclassification_covariates": "treated"},
    "initial": RATED | {"initial": "estimate"},
}
UNTREATED = {"treated": 0}
TREATED = {"treated": 1}


def rows_of(case, model: str) -> pd.DataFrame:
    """Return the visits that a model of the reference case was fitted to."""
    data = case.input.copy()
    last = ~data["subject_id"].duplicated(keep="last")
    lost = last & (data["state"] != 4) & (data["treated"] == 1)
    third = (data.groupby("subject_id").cumcount() == 2) & (data["state"] < 3)
    replaced = {"censored": (lost, 99), "uncertain": (third, 98)}
    where, value = replaced.get(model, (data["state"] < 0, 0))
    return data.assign(state=data["state"].mask(where, value))


def fit_reference(model: str):
    """Fit one model of the reference case."""
    case = load_case("states_msm")
    return case, fit_multistate(rows_of(case, model), MultistateSpec(**MSM, **MODELS[model]))


def by_pair(frame: pd.DataFrame) -> pd.DataFrame:
    """Index a frame of pairs of states by their words."""
    return frame.set_index(frame.iloc[:, 0] + " -> " + frame.iloc[:, 1])


def found(fit, model: str) -> dict[str, pd.Series]:
    """Return our values under the names of the reference case."""
    intensities = by_pair(fit.intensities(UNTREATED if "covariates" in MODELS[model] else None))
    effects = fit.table().query("kind == 'effect'")
    effects = effects.set_index(effects["term"].str.removeprefix("treated: "))
    if model == "common":
        effects = effects.loc[["all transitions"] * 7].set_axis(intensities.index)
    at = UNTREATED if "misclassification_covariates" in MODELS[model] else None
    return {
        "log_likelihood": pd.Series({"model": fit.log_likelihood}),
        "intensity": intensities["estimate"],
        "log_intensity_std_error": intensities["std_error"] / intensities["estimate"],
        "hazard_ratio": effects["value"],
        "log_hazard_ratio_std_error": effects["std_error"],
        "misclassification": by_pair(fit.misclassification(at))["estimate"],
    }


@pytest.mark.parametrize("model", MODELS)
def test_agrees_with_msm(model: str) -> None:
    """Witness: R's msm (stored)."""
    case, fit = fit_reference(model)
    ours, n_compared = found(fit, model), 0
    for quantity, values in ours.items():
        rows = case.expected[case.expected["quantity"] == f"{model}.{quantity}"]
        for row in rows.itertuples():
            assert values[row.term] == pytest.approx(row.value, rel=row.rtol), (quantity, row.term)
            n_compared += 1
    assert n_compared >= 15


def test_probabilities_and_sojourn_times_agree_with_msm() -> None:
    """Witness: pmatrix.msm and sojourn.msm (stored)."""
    case, fit = fit_reference("panel")
    stay = fit.sojourn_times(TREATED).set_index("state")
    ours = {
        "probability": by_pair(fit.transition_probabilities(2, TREATED).drop(columns="time"))[
            "estimate"
        ],
        "sojourn": stay["estimate"],
        "sojourn_std_error": stay["std_error"],
    }
    for quantity, values in ours.items():
        for row in case.rows(f"panel.{quantity}").itertuples():
            assert values[row.term] == pytest.approx(row.value, rel=row.rtol), (quantity, row.term)


def test_initial_probabilities_agree_with_msm() -> None:
    """Witness: est.initprobs of R's msm (stored)."""
    case, fit = fit_reference("initial")
    ours = fit.initial_probabilities().set_index("state")["estimate"]
    for row in case.rows("initial.initial").itertuples():
        assert ours[row.term] == pytest.approx(row.value, rel=row.rtol)


def test_decoding_agrees_with_msm() -> None:
    """Witness: viterbi.msm, with its posterior probabilities (stored)."""
    case, fit = fit_reference("hidden_plain")
    decoded = fit.decode()
    decoded.index = decoded["subject"] + "@" + decoded["time"].map("{:g}".format)
    for row in case.rows("hidden_plain.viterbi").itertuples():
        assert int(decoded.loc[row.term, "on_likeliest_course"]) == row.value
    for state in "123":
        for row in case.rows(f"hidden_plain.posterior.{state}").itertuples():
            value = decoded.loc[row.term, f"probability {state}"]
            assert value == pytest.approx(row.value, rel=row.rtol, abs=1e-9)


def two_states(n_stay: int, n_go: int, length: float = 0.5) -> pd.DataFrame:
    """Return subjects who were seen twice, some of whom have moved from 1 to 2."""
    n = n_stay + n_go
    later = [1] * n_stay + [2] * n_go
    return pd.DataFrame(
        {
            "subject_id": np.tile(np.arange(n), 2),
            "year": np.repeat([0.0, length], n),
            "state": [1] * n + later,
        }
    )


def test_two_states_in_closed_form() -> None:
    """Closed form: exp(-q t) is the share that stayed; the information is t^2 n p / (1 - p) q^2."""
    fit = fit_multistate(
        two_states(70, 30), MultistateSpec(states=(1, 2), transitions="progressive")
    )
    q, p = -math.log(0.7) / 0.5, 0.7
    row = fit.intensities().iloc[0]
    assert row["estimate"] == pytest.approx(q, rel=CLOSED)
    assert row["std_error"] == pytest.approx(math.sqrt((1 - p) / (100 * p)) / 0.5, rel=CLOSED)
    assert fit.log_likelihood == pytest.approx(70 * math.log(0.7) + 30 * math.log(0.3), rel=CLOSED)


def test_intervals_are_symmetric_on_their_scales() -> None:
    """Closed form: a share of 70 in 100 on the log odds scale, its rate on the log scale."""
    fit = fit_multistate(
        two_states(70, 30), MultistateSpec(states=(1, 2), transitions="progressive")
    )
    stay = fit.transition_probabilities(0.5).iloc[0]
    odds = math.log(0.7 / 0.3) + np.array([-1, 1]) * Z / math.sqrt(100 * 0.7 * 0.3)
    assert stay["std_error"] == pytest.approx(math.sqrt(0.7 * 0.3 / 100), rel=CLOSED)
    found = stay[["conf_low", "conf_high"]].astype(float)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-odds)), rtol=CLOSED)
    rate = fit.intensities().iloc[0]
    half = Z * rate["std_error"] / rate["estimate"]
    found = rate[["conf_low", "conf_high"]].astype(float)
    expected = rate["estimate"] * np.exp([-half, half])
    np.testing.assert_allclose(found, expected, rtol=CLOSED)
    lasts = fit.sojourn_times().iloc[0]
    np.testing.assert_allclose(
        lasts[["conf_low", "conf_high"]].astype(float), 1 / expected[::-1], rtol=CLOSED
    )


def test_exact_deaths_in_closed_form() -> None:
    """Closed form: deaths over person-years, with standard error 1 / sqrt(deaths) of its log."""
    years = np.array([0.4, 1.7, 2.2, 0.9, 3.0])
    died = np.array([True, False, True, True, False])
    data = pd.DataFrame(
        {
            "subject_id": np.tile(np.arange(5), 2),
            "year": np.concatenate([np.zeros(5), years]),
            "state": np.concatenate([["alive"] * 5, np.where(died, "dead", "alive")]),
        }
    )
    fit = fit_multistate(data, MultistateSpec(states=("alive", "dead"), death="dead"))
    table = fit.table().iloc[0]
    assert table["value"] == pytest.approx(3 / years.sum(), rel=CLOSED)
    assert table["std_error"] == pytest.approx(1 / math.sqrt(3), rel=CLOSED)


def test_common_hazard_of_death_is_pooled() -> None:
    """Closed form: exact deaths over all person-years, where nothing else tells of death."""
    data = load_case("states_msm").input
    died = data.groupby("subject_id")["state"].max().eq(4).sum()
    followed = data.groupby("subject_id")["year"].agg(np.ptp).sum()
    fit = fit_multistate(data, MultistateSpec(**MSM, death_hazard="common"))
    row = fit.table().set_index("term").loc["any -> 4"]
    assert row["value"] == pytest.approx(died / followed, rel=CLOSED)
    of_death = fit.intensities().query("to_state == '4'")["estimate"]
    assert of_death.tolist() == [row["value"]] * 3


TRUE_Q = np.array(
    [[-0.32, 0.3, 0, 0.02], [0.1, -0.38, 0.25, 0.03], [0, 0.1, -0.2, 0.1], [0, 0, 0, 0.0]]
)
TRUE_ERRORS = np.array([[0.88, 0.12, 0, 0], [0.1, 0.8, 0.1, 0], [0, 0.12, 0.88, 0], [0, 0, 0, 1]])
TRUE_EFFECT = -0.5  # of treatment, on the log intensity of worsening


def draw(n: int, seed: int, years: float = 5.0, step: float = 0.5) -> pd.DataFrame:
    """Draw rated visits of people who move between four states; death seen at the next visit."""
    rng = np.random.default_rng(seed)
    treated = np.arange(n) % 2
    matrices = []
    for arm in (0, 1):
        Q = TRUE_Q.copy()
        Q[[0, 1], [1, 2]] *= np.exp(TRUE_EFFECT * arm)
        np.fill_diagonal(Q, 0)
        matrices.append(expm((Q - np.diag(Q.sum(axis=1))) * step))
    cumulative = np.array(matrices).cumsum(axis=2)
    true = [rng.choice(3, n, p=[0.5, 0.3, 0.2])]
    for _ in range(int(years / step)):
        reach = cumulative[treated, true[-1]]
        true.append(np.minimum((rng.random((n, 1)) > reach).sum(axis=1), 3))
    true = np.array(true).T
    seen = np.minimum((rng.random((*true.shape, 1)) > TRUE_ERRORS.cumsum(axis=1)[true]).sum(-1), 3)
    frame = pd.DataFrame(
        {
            "subject_id": np.repeat([f"S{i:05d}" for i in range(n)], true.shape[1]),
            "year": np.tile(np.arange(true.shape[1]) * step, n),
            "state": seen.ravel() + 1,
            "treated": np.repeat(treated, true.shape[1]),
            "true": true.ravel() + 1,
        }
    )
    dead_before = frame.groupby("subject_id")["true"].shift() == 4
    return frame[~dead_before]


def drawn_spec(**options) -> MultistateSpec:
    """Return the spec of drawn visits."""
    return MultistateSpec(
        **MSM, exact_death=False, covariates="treated", effects="direction", **options
    )


def test_truth_is_recovered_behind_errors_of_rating() -> None:
    """Truth: intensities, errors, effect and initial probabilities from which visits were drawn."""
    data = draw(4000, seed=11)
    fit = fit_multistate(data, drawn_spec(misclassification="neighbours"))
    q = fit.intensities(UNTREATED)
    pairs = [(int(a) - 1, int(b) - 1) for a, b in zip(q["from_state"], q["to_state"], strict=True)]
    z = (np.log(q["estimate"]) - np.log([TRUE_Q[p] for p in pairs])) / (
        q["std_error"] / q["estimate"]
    )
    errors = fit.misclassification()
    cells = [(int(a) - 1, int(b) - 1) for a, b in errors.iloc[:, :2].itertuples(index=False)]
    z_errors = (errors["estimate"] - [TRUE_ERRORS[c] for c in cells]) / errors["std_error"]
    initial = fit.initial_probabilities().iloc[:3]
    z_initial = (initial["estimate"] - [0.5, 0.3, 0.2]) / initial["std_error"]
    worsening = fit.table().set_index("term").loc["treated: worsening"]
    z_effect = (worsening["estimate"] - TRUE_EFFECT) / worsening["std_error"]
    assert np.abs([*z, *z_errors, *z_initial, z_effect]).max() < N_ERRORS
    assert worsening["std_error"] < 0.1


def test_errors_of_rating_taken_as_true_inflate_improvement_and_dilute_effects() -> None:
    """Truth: improvement at 0.1 per year; ratings taken as true show three times that."""
    data = draw(4000, seed=12)
    naive = fit_multistate(data, drawn_spec())
    rated = fit_multistate(data, drawn_spec(misclassification="neighbours"))
    back = [
        by_pair(f.intensities(UNTREATED)).loc[["2 -> 1", "3 -> 2"], "estimate"]
        for f in (naive, rated)
    ]
    assert (back[0] > 0.3).all()
    np.testing.assert_allclose(back[1], 0.1, atol=0.03)
    effects = [
        f.table().set_index("term").loc["treated: worsening", "estimate"] for f in (naive, rated)
    ]
    assert effects[0] > 0.7 * TRUE_EFFECT > effects[1]


def test_second_derivatives_by_pattern_are_those_of_all_parameters() -> None:
    """Witness: complex steps in every parameter, with and without patterns that change in time."""
    data = draw(40, seed=2).assign(age=lambda f: 40 + f["year"])
    for covariates, separable in (("treated", True), ("treated + age", False)):
        spec = dataclasses.replace(
            drawn_spec(misclassification="neighbours", misclassification_covariates="treated"),
            covariates=covariates,
        )
        layout = lay_out_parameters(prepare_states(data, spec), spec)
        assert layout.is_separable is separable
        theta = np.random.default_rng(1).normal(-1, 0.3, len(layout.parameters))
        H = layout.hessian(theta)
        by_step = complex_step(layout.gradient, theta)
        np.testing.assert_allclose(H, by_step, atol=EXACT * np.abs(by_step).max())


SMALL = draw(60, seed=5)
SMALL_SPEC = MultistateSpec(
    **MSM, exact_death=False, death_hazard="common", covariates="treated", effects="common"
)


def estimates(fit) -> pd.DataFrame:
    """Return the numbers of the table."""
    return fit.table().set_index("term")[["estimate", "std_error"]]


def test_order_of_rows_and_names_of_subjects_change_nothing() -> None:
    shuffled = SMALL.sample(frac=1, random_state=3)
    shuffled["subject_id"] = "X" + shuffled["subject_id"].str[::-1]
    expected = estimates(fit_multistate(SMALL, SMALL_SPEC))
    got = estimates(fit_multistate(shuffled, SMALL_SPEC))
    pd.testing.assert_frame_equal(got, expected, rtol=SAME)


def test_unit_of_time_scales_intensities_and_leaves_effects() -> None:
    in_days = SMALL.assign(day=SMALL["year"] * 365.25)
    spec = dataclasses.replace(SMALL_SPEC, time="day", time_unit="day")
    years, days = fit_multistate(SMALL, SMALL_SPEC).table(), fit_multistate(in_days, spec).table()
    is_effect = years["kind"] == "effect"
    factor = np.where(is_effect, 1.0, 365.25)
    np.testing.assert_allclose(years["value"], days["value"] * factor, rtol=SAME)
    np.testing.assert_allclose(years["std_error"], days["std_error"], rtol=SAME)


def test_unit_of_a_covariate_scales_its_effect_and_leaves_its_p_value() -> None:
    shifted = SMALL.assign(treated=100 + 1e4 * SMALL["treated"])
    a, b = (fit_multistate(d, SMALL_SPEC).table().iloc[-1] for d in (SMALL, shifted))
    assert b["estimate"] == pytest.approx(a["estimate"] / 1e4, rel=SAME)
    assert b["p_value"] == pytest.approx(a["p_value"], rel=SAME)


def test_labels_of_states_may_be_words_or_categories() -> None:
    words = {1: "mild", 2: "moderate", 3: "severe", 4: "dead"}
    data = SMALL.assign(state=pd.Categorical(SMALL["state"].map(words), categories=words.values()))
    spec = dataclasses.replace(SMALL_SPEC, states=tuple(words.values()), death="dead")
    np.testing.assert_allclose(
        fit_multistate(data, spec).table()["estimate"],
        fit_multistate(SMALL, SMALL_SPEC).table()["estimate"],
        rtol=SAME,
    )


def test_numbers_of_states_may_come_as_floats() -> None:
    fit = fit_multistate(SMALL.astype({"state": float}), SMALL_SPEC)
    assert fit.log_likelihood == pytest.approx(fit_multistate(SMALL, SMALL_SPEC).log_likelihood)


@pytest.mark.parametrize("rated", [False, True], ids=["as seen", "rated"])
def test_honours_the_contract(rated: bool) -> None:
    """The result tabulates, plots, serialises; its covariance is one."""
    options = {"misclassification": "neighbours"} if rated else {}
    data = load_case("states_msm").input
    fit = fit_multistate(data, MultistateSpec(**MSM, **WITH, **options), origin="synthetic")
    assert_result_contract(fit)
    assert_covariance_matrix(fit.covariance)
    assert fit.fit_log.converged
    assert fit.newton_decrement < 1e-8
    assert re.search(r"of 100 people in state 2, after 2 years \d+ \(\d+ to \d+\)", fit.headline())
    probabilities = fit.transition_probabilities([0.0, 1.0, 4.0])
    np.testing.assert_allclose(probabilities.groupby(["time", "from_state"])["estimate"].sum(), 1.0)
    inside = probabilities["estimate"].between(
        probabilities["conf_low"], probabilities["conf_high"]
    )
    assert inside.all()
    fit.plot_diagram()
    plt.close("all")


def test_prevalence_starts_at_what_is_seen_and_follows_it() -> None:
    """Closed form at time 0; later the model, which is true here, is close to the observed."""
    data = draw(600, seed=31)
    data = data.assign(state=data["true"])
    fit = fit_multistate(data, MultistateSpec(**MSM, exact_death=False))
    table = fit.prevalence([0.0, 2.0])
    first = data.drop_duplicates("subject_id")["state"].value_counts(normalize=True)
    start = table[table["time"] == 0].set_index("state")
    np.testing.assert_allclose(start["observed_share"][["1", "2", "3"]], first[[1, 2, 3]])
    np.testing.assert_allclose(start["expected_share"], start["observed_share"])
    later = table[table["time"] == 2]
    assert later["observed_share"].sum() == pytest.approx(1.0)
    error = np.sqrt(later["expected_share"] * (1 - later["expected_share"]) / 600)
    assert ((later["observed_share"] - later["expected_share"]).abs() < N_ERRORS * error).all()
    alive = data[(data["year"] == 2) & (data["state"] != 4)]
    assert later["n_at_risk"].eq(len(alive)).all()


def test_observed_share_of_death_allows_for_those_lost() -> None:
    """Hand-worked Kaplan-Meier: 1 of 4 dies at 1, one is lost at 2, 1 of 2 dies at 3."""
    data = pd.DataFrame(
        {
            "subject_id": np.tile(list("ABCD"), 2),
            "year": [0.0] * 4 + [1.0, 2.0, 3.0, 5.0],
            "state": ["alive"] * 4 + ["dead", "alive", "dead", "alive"],
        }
    )
    fit = fit_multistate(data, MultistateSpec(states=("alive", "dead"), death="dead"))
    table = fit.prevalence([4.0]).set_index("state")
    assert table["observed_share"].to_dict() == pytest.approx({"alive": 0.375, "dead": 0.625})
    alive = math.exp(-2 / 11 * 4)  # two deaths in 1 + 2 + 3 + 5 years
    assert table["expected_share"].to_dict() == pytest.approx({"alive": alive, "dead": 1 - alive})
    assert table["n_at_risk"].tolist() == [1, 1]


def test_decoded_courses_are_closer_to_the_truth_than_ratings() -> None:
    data = draw(400, seed=21)
    fit = fit_multistate(data, drawn_spec(misclassification="neighbours"))
    decoded = fit.decode()
    true = data["true"].astype(str).to_numpy()
    right = {c: (decoded[c].to_numpy() == true).mean() for c in ("state", "most_probable")}
    assert right["most_probable"] > right["state"] + 0.03


def test_rows_left_out_are_counted() -> None:
    """Hand-worked: no state, no time, no covariate; a last row needs none; one is seen once."""
    extra = pd.DataFrame(
        {
            "subject_id": ["Z1", "Z1", "Z1", "Z1", "Z2", "Z3", "Z3", None],
            "year": [0.0, 1.0, 2.0, np.nan, 0.0, 0.0, 1.0, 0.0],
            "state": [1, np.nan, 2, 2, 1, 1, 1, 1],
            "treated": [1, 1, np.nan, 1, 1, np.nan, 0, 0],
        }
    )
    fit = fit_multistate(pd.concat([SMALL, extra]), SMALL_SPEC)
    counted = [(e.unit, e.reason, e.n) for e in fit.exclusions]
    assert counted == [
        ("row", "no subject_id", 1),
        ("row", "no state", 1),
        ("row", "year missing", 1),
        ("row", "no treated", 1),
        ("subject", "seen once: no movement", 2),
    ]
    assert fit.n_subjects == 61


def test_first_state_that_is_not_known_is_left_out() -> None:
    data = two_states(20, 9)
    data.loc[0, "state"] = 9
    spec = MultistateSpec(states=(1, 2), transitions="progressive", censored=((9, (1, 2)),))
    fit = fit_multistate(data, spec)
    assert [e.reason for e in fit.exclusions] == ["first state not known", "seen once: no movement"]


def changed(**columns) -> pd.DataFrame:
    """Return the small visits with other columns."""
    return SMALL.assign(**columns)


PROGRESSIVE = MultistateSpec(**MSM, transitions="progressive", exact_death=False)
WITH_FIVE = MultistateSpec(states=(1, 2, 3, 4, 5))
BAD_DATA = {
    "movement back": (SMALL, PROGRESSIVE, r"`transitions` do not lead .* \d+ row\(s\) of \d+ subj"),
    "never seen": (SMALL, WITH_FIVE, r"declares '5', which none of \d+ rows"),
    "not declared": (
        changed(state=SMALL["state"].replace(3, 7)),
        SMALL_SPEC,
        r"'7', which is none of `states`, in \d+ row",
    ),
    "same time": (
        pd.concat([SMALL, SMALL.iloc[[4]]]),
        SMALL_SPEC,
        r"Two rows at the same `year` in 2 row\(s\) of 1 subject",
    ),
    "no column": (SMALL.drop(columns="year"), SMALL_SPEC, r"`time` names 'year', which is no col"),
    "no covariate": (
        SMALL,
        dataclasses.replace(SMALL_SPEC, covariates="treaded"),
        r"`covariates` names 'treaded'.*'treated'",
    ),
    "constant covariate": (changed(treated=1), SMALL_SPEC, r"treated.* same value in all rows"),
    "life after death": (
        pd.concat([SMALL, SMALL[SMALL["state"] == 4].head(1).assign(year=99.0, state=1)]),
        SMALL_SPEC,
        r"A row after '4' in 1 row",
    ),
    "dead at first": (
        pd.concat([SMALL, SMALL.head(1).assign(subject_id="Z", state=4)]),
        SMALL_SPEC,
        r"'4' at the first row",
    ),
    "once each": (SMALL.drop_duplicates("subject_id"), SMALL_SPEC, "two times or more, found none"),
    "idle transition": (
        pd.concat([two_states(9, 3), two_states(1, 0).assign(subject_id=99, state=3)]),
        MultistateSpec(states=(1, 2, 3), transitions=((1, 2), (3, 2))),
        r"allow 3 -> 2, but no movement",
    ),
    "infinite time": (
        changed(year=SMALL["year"].replace(0.5, np.inf)),
        SMALL_SPEC,
        "Infinite `year`",
    ),
    "impossible": (
        SMALL,
        dataclasses.replace(SMALL_SPEC, misclassification=((1, 2),), initial=(1.0, 0, 0, 0)),
        r"What was seen of \d+ subject\(s\) .* is impossible",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("data", "spec", "message"), BAD_DATA.values(), ids=BAD_DATA)
def test_bad_data_are_refused(data: pd.DataFrame, spec: MultistateSpec, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        fit_multistate(data, spec)


BAD_SPECS = {
    "one state": ({"states": (1,)}, "at least two different states"),
    "twice": ({"states": (1, 1.0)}, "at least two different states"),
    "death first": ({"death": 1}, "`death` must be the last"),
    "unknown death": ({"death": "ded", "states": (1, 2, "dead")}, "Did you mean 'dead'"),
    "no transitions": ({"transitions": ()}, "at least one"),
    "unknown preset": ({"transitions": "any"}, "'neighbours' or 'progressive'"),
    "to itself": ({"transitions": ((1, 1),)}, "two different states"),
    "out of death": ({"transitions": ((1, 2), (4, 1))}, "lead out of `death`"),
    "death in error": ({"misclassification": ((3, 4),)}, "other than death"),
    "no errors": ({"misclassification": ()}, "other than death"),
    "initial": ({"misclassification": "neighbours", "initial": (0.5, 0.4, 0, 0)}, "sum to 1"),
    "initially dead": ({"misclassification": "neighbours", "initial": (0.5, 0, 0, 0.5)}, "death 0"),
    "effects": ({"effects": "all"}, "`effects` must be one of each, direction, common"),
    "unit": ({"time_unit": "week"}, "`time_unit` must be one of"),
    "rating": ({"misclassification_covariates": "x"}, "need `misclassification`"),
    "censored": ({"censored": ((3, (1, 2)),)}, "a label that is no state"),
    "level": ({"conf_level": 95}, "conf_level"),
}


@pytest.mark.parametrize(("options", "message"), BAD_SPECS.values(), ids=BAD_SPECS)
def test_bad_specs_are_refused(options: dict, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        MultistateSpec(**(MSM | options))


def test_bad_questions_are_refused() -> None:
    fit = fit_multistate(SMALL, SMALL_SPEC)
    with pytest.raises(DesignError, match="every covariate of the model; treated missing"):
        fit.intensities({"age": 3})
    with pytest.raises(DesignError, match="finite and not negative"):
        fit.transition_probabilities([-1.0])
    with pytest.raises(DesignError, match="reach too far"):
        fit.transition_probabilities(1e6)
    with pytest.raises(DesignError, match="belong to a model with `misclassification`"):
        fit.initial_probabilities()
    with pytest.raises(DesignError, match="`start` must be one of 1, 2, 3, 4, got 8"):
        fit.plot(start=8)
    plain = fit_multistate(
        two_states(5, 5), MultistateSpec(states=(1, 2), transitions="progressive")
    )
    with pytest.raises(DesignError, match="the model has none"):
        plain.intensities({"treated": 1})


def test_intensity_with_its_maximum_at_zero_is_no_fit() -> None:
    """No way back in the data; errors of rating allowed, so that only the fit can find out."""
    clean = SMALL[SMALL.groupby("subject_id")["state"].cummax() == SMALL["state"]]
    spec = MultistateSpec(**MSM, exact_death=False, misclassification="neighbours")
    with pytest.raises(ConvergenceError, match=r"the intensity of \d -> \d.* cannot be estimated"):
        fit_multistate(clean, spec)
    with pytest.warns(ConvergenceWarning, match="cannot be estimated"):
        fit = fit_multistate(clean, spec, on_failure="warn")
    assert not fit.fit_log.converged
    assert fit.headline().endswith("The fit did NOT converge.")
    assert fit.table()["std_error"].isna().all()
    assert_result_contract(fit)


def test_covariates_that_cannot_be_told_apart_are_named() -> None:
    """One is the other's complement."""
    data = two_states(30, 30)
    data["a"] = (data["subject_id"] % 2).astype(float)
    spec = MultistateSpec(states=(1, 2), transitions="progressive", covariates="a + b")
    with pytest.raises(DesignError, match="a, b are collinear"):
        fit_multistate(data.assign(b=1 - data["a"]), spec)


def test_two_visits_cannot_tell_errors_from_movements() -> None:
    """Not identified: one movement table of 4 cells, 5 parameters."""
    data = two_states(40, 20)
    back = data.assign(subject_id=data["subject_id"] + 100, state=3 - data["state"])
    spec = MultistateSpec(states=(1, 2), misclassification="neighbours")
    with pytest.raises(ConvergenceError, match=r"not identified|cannot be estimated"):
        fit_multistate(pd.concat([data, back]), spec)


def test_ways_there_and_back_that_cannot_be_told_apart_are_named() -> None:
    """Not identified: one share, of those who went, for two intensities."""
    with pytest.raises(
        ConvergenceError, match="intensity of 1 -> 2, the intensity of 2 -> 1 cannot"
    ):
        fit_multistate(two_states(9, 3), MultistateSpec(states=(1, 2)))
