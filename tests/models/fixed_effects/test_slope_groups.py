"""Over which time slopes are taken, which group is the reference, and how groups are written."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from dense_mixed import postfit_data
from properties import assert_result_contract

from pmsstats.errors import DesignError
from pmsstats.models import LMMResult, fit_lmm

DAYS = 365.25
ROUNDING = 1e-7  # relative: two fits of the same data in other units


def data() -> pd.DataFrame:
    rows = postfit_data()
    return rows.assign(
        day=rows["year"] * DAYS, visit_time=rows["year"], text=rows["arm"].astype(str)
    )


def fit(mean: str, random: str = "1", **columns) -> LMMResult:
    return fit_lmm(data().assign(**columns), f"thalamus_ml ~ {mean} + ({random} | subject_id)")


TIMES = {
    "year": "year * arm",
    "day": "day * arm",
    "visit_time": "visit_time * arm",
}


@pytest.mark.parametrize("time", TIMES)
def test_time_is_found(time):
    made = fit(TIMES[time])
    slopes = made.slopes("arm")
    assert slopes.time == time
    wanted = fit("year * arm").slopes("arm", time="year").table()["estimate"]
    np.testing.assert_allclose(slopes.table()["estimate"], wanted, rtol=ROUNDING)
    assert made.slowing("arm").time == time
    assert time in made.means("arm").columns
    assert np.isfinite(made.individual_slopes()["slope"]).all()


def test_a_random_slope_tells_which_of_two_times_it_is():
    rng = np.random.default_rng(2)
    made = fit("visit_time + dose", "visit_time", dose=rng.normal(size=len(data())))
    assert made.slopes().time == "visit_time"
    with pytest.raises(DesignError, match=r"no column that is plainly time.*dose, visit_time"):
        fit("visit_time + dose", dose=rng.normal(size=len(data()))).slopes()


def test_a_model_without_time_says_so():
    with pytest.raises(DesignError, match="no column that is plainly time"):
        fit("arm").slopes("arm")


def test_another_reference_turns_differences_round():
    made = fit("year * arm")
    first, other = made.slopes("arm"), made.slopes("arm", reference="active")
    assert other.table()["term"].tolist() == ["active", "placebo"]
    a, b = first.differences().iloc[0], other.differences().iloc[0]
    assert b["term"] == "placebo - active"
    np.testing.assert_allclose(b["estimate"], -a["estimate"], rtol=1e-12)
    np.testing.assert_allclose(b["p_value"], a["p_value"], rtol=1e-9)


def test_slowing_against_another_reference_is_that_of_the_inverse_ratio():
    made = fit("year * arm")
    one = made.slowing("arm").table().iloc[0]
    two = made.slowing("arm", reference="active")
    assert (two.reference, two.table()["term"].tolist()) == ("active", ["placebo"])
    ratio = 1 - one["estimate"] / 100
    np.testing.assert_allclose(two.table().iloc[0]["estimate"], 100 * (1 - 1 / ratio), rtol=1e-9)


def test_an_unknown_reference_is_refused():
    made = fit("year * arm")
    with pytest.raises(DesignError, match=r"placebo, active; got 'activ'. Did you mean 'active'"):
        made.slopes("arm", reference="activ")
    with pytest.raises(DesignError, match="give `by`"):
        made.slopes(reference="active")


def test_a_reference_that_is_merely_the_first_in_the_alphabet_is_noted():
    made = fit("year * text")
    for result in (made.slopes("text"), made.slowing("text")):
        (note,) = result.notes
        assert note.startswith("active is the reference of text only because it comes first")
        assert result.to_dict()["notes"] == [note]
        assert note in result.headline()
        assert_result_contract(result)
    assert made.slopes("text", reference="placebo").notes == ()
    assert made.slopes().notes == ()
    assert fit("year * arm").slopes("arm").notes == ()


def test_notes_of_the_fit_go_along():
    dose = np.random.default_rng(2).normal(size=len(data()))
    made = fit("year * arm + dose + double", dose=dose, double=2 * dose)
    assert made.notes
    assert made.slopes("arm").notes == made.notes
    assert made.slowing("arm").notes == made.notes


@pytest.mark.parametrize("kind", [float, int])
def test_groups_that_are_numbers_are_written_without_a_point(kind):
    made = fit("year * active", active=(data()["arm"] == "active").astype(kind))
    assert made.slopes("active").table()["term"].tolist() == ["0", "1"]
    assert made.slopes("active").differences()["term"].tolist() == ["1 - 0"]
    assert set(made.means("active")["group"]) == {"0", "1"}
    ax = made.plot(by="active")
    assert {"0", "1"} <= {text.get_text().split()[0] for text in ax.figure.findobj(plt.Text)
                          if text.get_text()}  # fmt: skip
    plt.close("all")


def test_the_figure_says_what_the_number_is():
    slopes = fit("year * arm").slopes("arm")
    written = {text.get_text() for text in slopes.plot().texts}
    assert {f"n = {n}" for n in slopes.table()["n_subjects"]} <= written
    plt.close("all")
