"""Rows that models use, whatever their labels; text that holds numbers; rows that repeat."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.errors import DesignError
from pmsstats.imaging import (
    ConstrainedBaselineSpec,
    HarmonisationSpec,
    estimate_precision,
    fit_constrained_baseline,
    harmonise,
)
from pmsstats.models import fit_lmm, fit_mmrm
from pmsstats.models.formulas.design import complete_rows, design_matrices
from pmsstats.models.formulas.text_numbers import refuse_numbers_as_text
from pmsstats.models.mixed.lmm_prediction import predict_subjects
from pmsstats.models.responses.counts import fit_counts
from pmsstats.models.responses.gee import GEESpec, fit_gee
from pmsstats.models.responses.ordinal import fit_ordinal


def visits(n: int = 30, k: int = 4, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n), k)
    visit = np.tile(np.arange(k), n)
    score = np.clip(np.round(rng.normal(3, 1, n)[subject] + 0.2 * visit), 0, 6)
    frame = pd.DataFrame(
        {
            "subject_id": [f"S{i:02d}" for i in subject],
            "visit": pd.Categorical([f"V{j}" for j in visit], [f"V{j}" for j in range(k)]),
            "year": visit / 2,
            "arm": pd.Categorical(
                np.where(subject % 2, "active", "placebo"), ["placebo", "active"]
            ),
            "scanner_id": np.where(rng.random(n * k) < 0.5, "A", "B"),
            "age": np.round(rng.normal(50, 9, n), 1)[subject],
            "y": rng.normal(10, 1, n)[subject] - 0.2 * visit + rng.normal(0, 0.3, n * k),
            "score": score,
            "events": rng.poisson(1.0, n * k).astype(float),
        }
    )
    frame["feature"] = frame["y"]
    return frame


def _harmonised(d: pd.DataFrame) -> pd.DataFrame:
    spec = HarmonisationSpec(features=("y", "feature"), model="year * arm + (1 | subject_id)")
    return harmonise(d.assign(feature=d["feature"] ** 2), spec).table()


ENTRIES = {
    "lmm": lambda d: fit_lmm(d, "y ~ year + (1 | subject_id)").table(),
    "mmrm": lambda d: fit_mmrm(d, "y ~ visit * arm + us(visit | subject_id)").table(),
    "ordinal": lambda d: fit_ordinal(
        d.assign(score=d["score"] + 0 * d["y"]), "score ~ year"
    ).table(),
    "counts": lambda d: fit_counts(
        d.assign(events=d["events"] + 0 * d["y"]), "events ~ arm"
    ).table(),
    "gee": lambda d: fit_gee(d, "y ~ year").table(),
    "harmonise": _harmonised,
    "constrained baseline": lambda d: fit_constrained_baseline(
        d, ConstrainedBaselineSpec(outcome="y")
    ).table(),
    "precision": lambda d: estimate_precision(d, "y").table(),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_labels_of_rows_may_repeat(entry):
    data = visits()
    data.loc[0, "y"] = np.nan
    plain = ENTRIES[entry](data)
    data.index = [0] * len(data)
    pd.testing.assert_frame_equal(ENTRIES[entry](data), plain)


def test_every_excluded_row_is_counted_once_under_repeated_labels():
    data = visits().iloc[:8]
    data.loc[[0, 5], "y"] = [np.nan, np.inf]
    data.loc[1, "subject_id"] = None
    data.index = [7] * 8
    rows, lost = complete_rows(data, ["y"], stage="test", subject="subject_id")
    assert len(rows) == 5
    assert [(e.reason, e.n, e.subject_ids) for e in lost] == [
        ("no subject_id", 1, ("no id",)),
        ("no y", 1, ("S00",)),
        ("y is infinite", 1, ("S01",)),
    ]


AS_NUMBERS = {
    "ages": [f"{a:.1f}" for a in np.linspace(31, 60, 30)],
    "whole ages": [str(a) for a in range(31, 61)],
    "ages with a word for missing": ["41", "nan", "38", "57", "60"] * 6,
    "few numbers with a decimal point": ["0.0", "0.5", "1.0"] * 10,
    "numbers and a word in one column": [41.5, 38, "n/a", 57, 60] * 6,
    "one typing error": [*(str(a) for a in range(31, 60)), "sixty"],
}
AS_LABELS = {
    "two codes": ["0", "1"] * 15,
    "two codes that were numbers": ["0.0", "1.0"] * 15,
    "stages": ["1", "2", "3"] * 10,
    "padded": [f"{i:03d}" for i in range(30)],
    "names": ["W12", "W24", "W36"] * 10,
    "one name": ["PPMS"] * 30,
    "some numbers": ["1", "2", "control"] * 10,
    "a word for missing among names": ["PPMS", "nan", "SPMS"] * 10,
}


@pytest.mark.parametrize("case", AS_NUMBERS)
def test_text_that_holds_numbers_is_refused_with_what_to_do(case):
    with pytest.raises(DesignError, match=r"stored as text.*pd\.to_numeric.*C\(x\)"):
        design_matrices("x", pd.DataFrame({"x": AS_NUMBERS[case]}))


@pytest.mark.parametrize("case", AS_NUMBERS)
def test_text_that_holds_numbers_is_a_factor_on_purpose(case):
    data = pd.DataFrame({"x": AS_NUMBERS[case]})
    n_levels = data["x"].nunique()
    assert design_matrices("C(x)", data)[0].shape[1] == n_levels
    assert design_matrices("x", data.astype("category"))[0].shape[1] == n_levels


@pytest.mark.parametrize("case", AS_LABELS)
def test_text_that_holds_labels_is_a_factor(case):
    data = pd.DataFrame({"x": AS_LABELS[case]})
    assert design_matrices("x", data)[1].levels["x"] == tuple(sorted(set(AS_LABELS[case])))


def test_time_is_never_a_code_and_an_id_always():
    with pytest.raises(DesignError, match="'year' holds numbers stored as text"):
        refuse_numbers_as_text(pd.Series(["0", "1", "2"] * 10), "year")
    with pytest.raises(DesignError, match="among them stands 'n/a'"):
        refuse_numbers_as_text(pd.Series(["0", "1", "2", "n/a"] * 10), "year")
    refuse_numbers_as_text(pd.Series([str(i) for i in range(101, 131)]), "site_id")
    refuse_numbers_as_text(pd.Series([str(4 * i) for i in range(30)]), "visit")


@pytest.mark.parametrize("column", ["age", "year", "y"])
def test_a_mixed_model_refuses_numbers_stored_as_text(column):
    data = visits()
    data[column] = data[column].astype(str)
    with pytest.raises(DesignError, match=f"'{column}' holds numbers stored as text"):
        fit_lmm(data, "y ~ year + age + (1 | subject_id)")


def test_rows_that_repeat_others_in_all_columns_are_noted():
    data = visits()
    formula = "y ~ year + (1 | subject_id)"
    doubled = pd.concat([data, data.iloc[[0, 9]]])
    (note,) = fit_lmm(doubled, formula).notes
    assert note.startswith(
        "2 row(s) repeat another one in all columns and count twice (of S00, S02)"
    )
    other = doubled.assign(rater=np.arange(len(doubled)))
    assert fit_lmm(other, formula).notes == ()
    assert fit_lmm(data, formula).notes == ()


def test_a_subject_is_not_predicted_in_another_arm():
    data = visits()
    fit = fit_lmm(data, "y ~ year * arm + (year | subject_id)")
    rows = data.iloc[[0, 5]].copy()
    given = rows.assign(arm=["placebo", "active"])
    np.testing.assert_array_equal(
        predict_subjects(fit, rows)["estimate"], predict_subjects(fit, given)["estimate"]
    )
    with pytest.raises(DesignError, match="S01 has 'active' there and 'placebo' here"):
        fit.predict_subjects(rows.assign(arm="placebo"))
    new = rows.assign(arm="placebo", subject_id=["new", "newer"])
    assert len(fit.predict_subjects(new)) == 2


def test_a_level_that_changes_over_time_may_change():
    data = visits()
    fit = fit_lmm(data, "y ~ year + scanner_id + (1 | subject_id)")
    assert len(fit.predict_subjects(data.iloc[[0, 0]].assign(scanner_id=["A", "B"]))) == 2


ORIGINS = {
    "lmm": lambda d: fit_lmm(d, "y ~ year + (1 | subject_id)", origin="fake"),
    "mmrm": lambda d: fit_mmrm(d, "y ~ visit + us(visit | subject_id)", origin="fake"),
    "gee": lambda d: fit_gee(d, "y ~ year", origin="fake"),
    "counts": lambda d: fit_counts(d, "events ~ arm", origin="fake"),
    "ordinal": lambda d: fit_ordinal(d, "score ~ year", origin="fake"),
    "precision": lambda d: estimate_precision(d, "y", origin="fake"),
}


@pytest.mark.parametrize("entry", ORIGINS)
def test_data_are_real_or_synthetic(entry):
    with pytest.raises(DesignError, match=r"`origin` must be 'real' or 'synthetic'.*got 'fake'"):
        ORIGINS[entry](visits())


def test_gee_spec_reads_a_formula():
    spec = GEESpec.from_formula("events ~ year", family="poisson", exposure="years")
    assert spec == GEESpec(outcome="events", fixed="year", family="poisson", exposure="years")
