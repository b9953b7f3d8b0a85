"""Arrays of repeated measures: order of visits, what is dropped, what is refused and why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.errors import DesignError, FormulaError
from pmsstats.models.repeated.mmrm import MMRMSpec, fit_mmrm
from pmsstats.models.repeated.mmrm_checks import covariance_problem
from pmsstats.models.repeated.mmrm_covariance import COVARIANCES
from pmsstats.models.repeated.mmrm_design import RepeatedDesign, build_repeated_design
from pmsstats.models.repeated.visit_order import order_in_time

VISITS = ["W4", "W12", "W24"]
MODEL = "sdmt ~ arm * visit + us(visit | subject_id)"
BY_VISIT = tuple(name for name in COVARIANCES if name != "sp_exp")


def trial(n_subjects: int = 24, visits: tuple[str, ...] = tuple(VISITS)) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    n = len(visits)
    subject = np.repeat(np.arange(n_subjects), n)
    return pd.DataFrame(
        {
            "subject_id": [f"S{i:02d}" for i in subject],
            "arm": np.where(subject % 2, "placebo", "active"),
            "visit": pd.Categorical(list(visits) * n_subjects, categories=visits, ordered=True),
            "year": np.tile(np.arange(n) / 4, n_subjects),
            "age_years": np.round(rng.normal(50, 8, n_subjects), 1)[subject],
            "sdmt": 50 + rng.normal(0, 6, n_subjects)[subject] + rng.normal(0, 3, n * n_subjects),
        }
    )


def design(data: pd.DataFrame | None = None, formula: str = MODEL, **options) -> RepeatedDesign:
    return build_repeated_design(
        trial() if data is None else data, MMRMSpec.from_formula(formula, **options)
    )


def problem(data: pd.DataFrame, covariance: str, formula: str = MODEL) -> str | None:
    spec = MMRMSpec.from_formula(formula.replace("us(", f"{covariance}("))
    return covariance_problem(build_repeated_design(data, spec), spec, covariance)


# --- visits -----------------------------------------------------------------------------------


def test_visits_keep_the_order_of_the_categorical():
    made = design(trial().sample(frac=1.0, random_state=3))
    assert made.visits == tuple(VISITS)
    assert [made.visits[i] for i in made.arrays.visit] == made.rows["visit"].tolist()
    assert [made.subject_ids[i] for i in made.arrays.subject] == made.rows["subject_id"].tolist()
    assert made.notes == ()


def test_numbered_visits_are_sorted_as_numbers():
    data = trial().assign(visit=lambda f: f["visit"].str[1:].astype(int))
    assert design(data, "sdmt ~ arm + us(visit | subject_id)").visits == (4, 12, 24)


def test_text_is_taken_in_the_order_of_its_numbers_and_that_is_said():
    data = trial().assign(visit=lambda f: f["visit"].astype(str))
    made = design(data)
    assert made.visits == tuple(VISITS)
    assert made.fixed.levels["visit"] == tuple(VISITS)  # W4 is the reference of the mean too
    note = "visit is text, taken in the order that its labels tell: W4, W12, W24; for another"
    assert made.notes[0].startswith(note)
    assert [made.visits[i] for i in made.arrays.visit] == data["visit"].tolist()


MONTHS = ("Baseline", "Month 6", "Month 12", "Month 18")


@pytest.mark.parametrize("covariance", ["toep", "toeph", "ar1", "ar1h", "ad", "adh"])
@pytest.mark.parametrize("dtype", ["object", "category"])
def test_text_gives_the_fit_of_the_ordered_categorical(covariance, dtype):
    ordered = trial(40, MONTHS)
    formula = MODEL.replace("us(", f"{covariance}(")
    expected = fit_mmrm(ordered, formula)
    text = ordered.assign(visit=lambda f: f["visit"].astype(str).astype(dtype))
    found = fit_mmrm(text, formula)
    np.testing.assert_allclose(found.table()["estimate"], expected.table()["estimate"], rtol=1e-9)
    assert found.fit_log.log_likelihood == expected.fit_log.log_likelihood
    assert "at Month 18 " in found.headline()
    assert found.differences()["visit"].tolist() == list(MONTHS)


ORDERS = [
    (["Baseline", "Month 12", "Month 6"], ["Baseline", "Month 6", "Month 12"]),
    (["W12", "W24", "W4"], ["W4", "W12", "W24"]),
    (["1", "10", "2"], ["1", "2", "10"]),
    (["End of study", "M3", "M12", "BL"], ["BL", "M3", "M12", "End of study"]),
    (["screening", "baseline", "W4"], ["screening", "baseline", "W4"]),
    (["Week 12", "Month 6", "Year 1", "Day 1"], ["Day 1", "Week 12", "Month 6", "Year 1"]),
    (["Week -2", "Week 0", "Week 12"], ["Week -2", "Week 0", "Week 12"]),
    (["12 months", "6 months"], ["6 months", "12 months"]),
    (["V-2", "V-10"], ["V-2", "V-10"]),
    (["Week 1.5", "Week 1"], ["Week 1", "Week 1.5"]),
    (["early", "late"], None),  # no number, no known word
    (["Week 12", "Early termination"], None),
    (["V1", "W12"], None),  # numbers of different things
    (["Visit 1 (W0)", "Visit 2 (W12)"], None),  # two numbers
    (["Baseline", "Week 0", "Week 4"], None),  # one place for two
    (["Screening", "Week -2", "Week 0"], None),
    (["W-2", "W2", "W4"], None),  # a sign, or a dash?
    (["Week -2", "Week -4"], None),
    (["2026-01-05", "2026-02-05"], None),
    (["M6", "M6b"], None),
]  # fmt: skip


@pytest.mark.parametrize(("labels", "expected"), ORDERS)
def test_order_that_labels_tell(labels, expected):
    for given_as in (labels, labels[::-1], sorted(labels)):
        found = order_in_time(given_as)
        assert found == (expected if expected is None else tuple(expected))


UNTOLD = {"W4": "early", "W12": "middle", "W24": "late"}


def untold() -> pd.DataFrame:
    return trial().assign(visit=lambda f: f["visit"].astype(str).map(UNTOLD))


@pytest.mark.parametrize("covariance", ["toep", "toeph", "ar1", "ar1h", "ad", "adh"])
def test_text_that_tells_no_order_is_refused_where_the_order_matters(covariance):
    with pytest.raises(DesignError, match=f"{covariance} depends on the order of visits"):
        design(untold(), MODEL.replace("us(", f"{covariance}("))
    with pytest.raises(DesignError, match="ordered categorical"):
        design(untold(), fallback=(covariance,))


def test_text_that_tells_no_order_has_no_last_visit():
    fit = fit_mmrm(untold(), MODEL)
    assert not fit.design.has_order
    words = fit.headline()
    assert words.startswith("Symbol digit modalities test (mean over visit) did not clearly")
    assert "visit is text that does not tell the order of visits (early, late, middle)" in words
    assert set(fit.differences()["visit"]) == set(UNTOLD.values())
    alone = fit_mmrm(untold(), "sdmt ~ visit + us(visit | subject_id)").headline()
    assert alone.startswith(
        "A model for repeated measures of Symbol digit modalities test was fitted"
    )


def test_numbers_as_visits_are_a_line_in_the_mean_and_that_is_said():
    data = trial().assign(visitn=lambda f: f["visit"].cat.codes)
    note = (
        "visitn is a number: the mean is a straight line over it, while the covariance takes its 3"
    )
    line = fit_mmrm(data, "sdmt ~ arm * visitn + us(visitn | subject_id)")
    assert line.notes[0].startswith(note)
    assert "write C(visitn)" in line.headline()
    assert " at visitn = 2 " in line.headline()
    assert len(line.differences()) == 3
    bent = design(data, "sdmt ~ arm * poly(visitn, 2) + us(visitn | subject_id)")
    assert "the mean is a curve over it" in bent.notes[0]
    assert design(data, "sdmt ~ arm * C(visitn) + us(visitn | subject_id)").notes == ()
    assert design(data, "sdmt ~ arm * visitn + sp_exp(visitn | subject_id)").notes == ()


def test_text_in_order_of_its_numbers_needs_no_word():
    data = trial().assign(visit=lambda f: f["visit"].map({"W4": "M1", "W12": "M3", "W24": "M6"}))
    assert design(data.assign(visit=data["visit"].astype(str)), fallback=("ar1",)).notes == ()


def test_visits_without_rows_are_no_levels():
    data = trial().assign(visit=lambda f: f["visit"].cat.add_categories(["W96"]))
    made = design(data)
    assert made.visits == tuple(VISITS)
    assert made.notes == ("no row has visit = W96, so that is no level of the model",)
    without = design(data, "sdmt ~ arm + us(visit | subject_id)")
    assert without.notes == made.notes


def test_visits_that_are_lost_with_their_rows_are_said():
    data = trial()
    data.loc[data["visit"] == "W24", "sdmt"] = np.nan
    made = design(data)
    assert made.visits == ("W4", "W12")
    assert made.notes == ("no row has visit = W24, so that is no level of the model",)
    assert [(e.reason, e.n) for e in made.exclusions] == [("no sdmt", 24)]


def test_dates_are_no_visits():
    data = trial().assign(visit=pd.Timestamp("2026-01-01"))
    with pytest.raises(DesignError, match="holds dates"):
        design(data, "sdmt ~ arm + us(visit | subject_id)")


def test_spatial_covariance_needs_numbers():
    made = design(formula="sdmt ~ arm + sp_exp(year | subject_id)")
    np.testing.assert_array_equal(made.arrays.coordinate, made.rows["year"])
    with pytest.raises(DesignError, match="must hold numbers such as years"):
        design(formula="sdmt ~ arm + sp_exp(visit | subject_id)")


def test_two_rows_at_one_visit_are_refused_by_name():
    data = trial()
    data.loc[[1, 4], "visit"] = "W4"
    with pytest.raises(DesignError, match=r"2 subject\(s\) repeat one \(S00 at W4, S01 at W4\)"):
        design(data)
    data = trial().assign(year=0.5)
    with pytest.raises(DesignError, match=r"S00 at 0\.5, S01 at 0\.5"):
        design(data, "sdmt ~ arm + sp_exp(year | subject_id)")


# --- rows, columns, groups --------------------------------------------------------------------


def test_subjects_with_one_visit_are_kept():
    made = design(trial().drop(index=[1, 2]))
    assert made.arrays.n_subjects == 24
    assert (np.bincount(made.arrays.subject) == 1).sum() == 1


def test_rows_without_weight_are_counted():
    data = trial().assign(w=1.0)
    data.loc[0, "w"] = 0.0
    data.loc[1, "w"] = np.nan
    made = design(data, weights="w")
    assert [(e.reason, e.n) for e in made.exclusions] == [("no w", 1), ("w is zero", 1)]
    assert (made.arrays.weights == 1).all()


@pytest.mark.parametrize("weight", [-1.0, "high"])
def test_weights_that_are_none_are_refused(weight):
    with pytest.raises(DesignError, match="must be a column of numbers above zero"):
        design(trial().assign(w=weight), weights="w")


def test_rows_where_a_transform_fails_are_counted():
    data = trial()
    data.loc[0, "sdmt"] = -1.0
    made = design(data, MODEL.replace("sdmt", "log(sdmt)"))
    assert [(e.reason, e.n) for e in made.exclusions] == [("log(sdmt) is not finite", 1)]


def test_columns_that_repeat_others_are_dropped_and_named():
    data = trial().assign(age_days=lambda f: f["age_years"] * 365.25)
    made = design(data, "sdmt ~ age_years + age_days + us(visit | subject_id)")
    assert made.fixed_names == ("Intercept", "age_years")
    expected = "dropped from the fixed effects, as combinations of earlier ones: age_days"
    assert made.notes == (expected,)


def test_groups_of_the_covariance_are_those_of_subjects():
    made = design(formula="sdmt ~ arm * visit + us(visit | arm / subject_id)")
    assert made.groups == ("active", "placebo")
    of_row = [made.groups[g] for g in made.arrays.groups[made.arrays.subject]]
    assert of_row == made.rows["arm"].tolist()


def test_one_group_is_said():
    data = trial().query("arm == 'placebo'")
    made = design(data, "sdmt ~ visit + us(visit | arm / subject_id)")
    assert made.notes == ("every row has arm = placebo, so there is one covariance",)
    one_level = design(data).notes[0]
    assert one_level.startswith("every row has arm = placebo, so arm has no effect")


def test_subjects_who_change_group_are_refused():
    data = trial()
    data.loc[1, "arm"] = "placebo"
    with pytest.raises(DesignError, match=r"1 subject\(s\) change it \(S00\)"):
        design(data, "sdmt ~ visit + us(visit | arm / subject_id)")


# --- what cannot be estimated -----------------------------------------------------------------


def constant(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(sdmt=50.0)


def carried_forward(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(sdmt=data.groupby("subject_id")["sdmt"].transform("first"))


def exact(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(sdmt=data["age_years"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (trial().iloc[:0], "no rows"),
        (trial().assign(sdmt=np.nan), "No row is left .*no sdmt: 72"),
        (trial().iloc[:3], "one subject|have one"),
        (trial().drop_duplicates("subject_id"), "Every subject has one visit"),
        (trial(1).iloc[:3], r"have one \(S00\)"),
        (constant(trial()), "sdmt is 50 in all 72 rows"),
        (carried_forward(trial()), "never changes within a subject"),
        (trial(2), "6 rows cannot determine 6 fixed effects"),
        (trial().assign(sdmt="high"), "must be a column of numbers"),
        ([1, 2], "must be a pandas DataFrame"),
    ],
)
def test_data_that_determine_no_model_are_refused(data, message):
    with pytest.raises(DesignError, match=message):
        design(data)


def test_exact_fits_are_refused():
    with pytest.raises(DesignError, match="describe sdmt exactly"):
        design(exact(trial()), "sdmt ~ age_years + us(visit | subject_id)")


def test_unknown_columns_are_refused_with_the_nearest():
    with pytest.raises(FormulaError, match="Did you mean 'subject_id'"):
        design(formula="sdmt ~ arm + us(visit | subject)")


@pytest.mark.parametrize("covariance", BY_VISIT)
def test_complete_data_can_tell_every_covariance(covariance):
    assert problem(trial(), covariance) is None


def without_pair(first: str, second: str) -> pd.DataFrame:
    """Leave each subject only one of two visits."""
    data = trial(40)
    odd = data["subject_id"].str[1:].astype(int) % 4 < 2
    return data[~((data["visit"] == first) & odd) & ~((data["visit"] == second) & ~odd)]


CANNOT = [
    ("us", "W4", "W24", "No subject has both W4 and W24"),
    ("us", "W4", "W12", "No subject has both W4 and W12"),
    ("toep", "W4", "W24", "two visits that lie 2 apart"),
    ("toeph", "W4", "W24", "two visits that lie 2 apart"),
    ("ad", "W4", "W12", None),
    ("adh", "W4", "W12", None),
    ("ar1", "W4", "W12", None),
    ("csh", "W4", "W24", None),
]


@pytest.mark.parametrize(("covariance", "first", "second", "message"), CANNOT)
def test_visits_never_seen_together_are_named_where_that_matters(
    covariance, first, second, message
):
    found = problem(without_pair(first, second), covariance)
    assert (found is None) == (message is None)
    assert (message or "") in (found or "")


def test_visits_that_nothing_links_are_no_chain():
    data = trial(40, ("W4", "W12", "W24", "W48"))
    early = data["subject_id"].str[1:].astype(int) % 2 == 0
    data = data[data["visit"].isin(["W4", "W12"]) == early]
    assert "do not link every visit" in (problem(data, "ad") or "")
    with pytest.raises(DesignError, match=r"has both W4 and W24; or W4 and W48; or W12 and W24"):
        fit_mmrm(data, MODEL)


def test_absent_visit_of_a_group_is_named():
    data = trial()
    data = data[~((data["arm"] == "active") & (data["visit"] == "W24"))]
    formula = "sdmt ~ arm + visit + us(visit | arm / subject_id)"
    for covariance in ("us", "csh", "ar1h", "adh", "toeph"):
        found = problem(data, covariance, formula) or ""
        assert found.startswith("Nobody in arm = active was seen at W24.")
    assert problem(data, "cs", formula) is None
    assert "arm = active" in (problem(data, "toep", formula) or "")
    with pytest.raises(DesignError, match=r"Nobody in arm = active.*Try one covariance for all"):
        fit_mmrm(data, formula)


def test_group_without_second_visits_is_named():
    data = trial()
    data = data[~((data["arm"] == "active") & (data["visit"] != "W4"))]
    found = problem(data, "cs", "sdmt ~ arm + us(visit | arm / subject_id)")
    assert found.startswith("No subject has two visits in arm = active.")
    spatial = "sdmt ~ arm + us(year | arm / subject_id)"
    assert "No subject has two visits in arm = active" in problem(data, "sp_exp", spatial)


def change_from_baseline() -> pd.DataFrame:
    data = trial()
    baseline = data.groupby("subject_id")["sdmt"].transform("first")
    return data.assign(change=data["sdmt"] - baseline, baseline=baseline)


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("fixed", ["arm * visit", "arm"])
def test_visit_without_variation_is_refused_whatever_the_covariance(covariance, fixed):
    visit = "year" if covariance == "sp_exp" else "visit"
    with pytest.raises(DesignError, match="change is 0 in all 24 rows at ") as caught:
        fit_mmrm(change_from_baseline(), f"change ~ {fixed} + {covariance}({visit} | subject_id)")
    assert "Leave out the rows with" in str(caught.value)
    assert "fallback" not in str(caught.value)
    with pytest.raises(DesignError, match="change is 0 in all 24 rows at W4"):
        fit_mmrm(
            change_from_baseline(),
            "change ~ arm * visit + us(visit | subject_id)",
            fallback=("cs",),
        )


@pytest.mark.parametrize("covariance", ["us", "cs"])
def test_visit_that_the_mean_describes_exactly_is_refused(covariance):
    formula = f"sdmt ~ baseline * visit + {covariance}(visit | subject_id)"
    with pytest.raises(DesignError, match="fixed effects describe sdmt at W4 exactly"):
        fit_mmrm(change_from_baseline(), formula)


def test_few_equal_scores_are_chance():
    data = trial().assign(sdmt=lambda f: f["sdmt"].round())
    late = data["visit"] == "W24"
    data = data[~late | (data["subject_id"] < "S03")]
    data.loc[data["visit"] == "W24", "sdmt"] = 45.0
    assert fit_mmrm(data, MODEL.replace("us(", "cs(")).fit_log.converged


def test_visits_that_repeat_others_are_named():
    data = trial()
    before = data.groupby("subject_id")["sdmt"].shift()
    data["sdmt"] = data["sdmt"].where(data["visit"] != "W24", before)
    with pytest.raises(DesignError, match="sdmt at W24 repeats W12 in all 24 subjects"):
        fit_mmrm(data, MODEL)


def test_fewer_rows_than_parameters_are_refused():
    data = trial(4).iloc[:11]
    with pytest.raises(DesignError, match="11 rows cannot determine 6 fixed effects and 6"):
        fit_mmrm(data, MODEL)
