"""EDSS bands: hand-worked patients, and errors of rating in a synthetic trial with known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.cohort import Cohort
from pmsstats.errors import ConvergenceWarning, DesignError
from pmsstats.models.states.edss_bands import MILESTONES, derive_edss_bands
from pmsstats.models.states.multistate import MultistateSpec, fit_multistate
from synthetic import generate_cohort

N_ERRORS = 4.0  # standard errors from the truth that are allowed
BANDS = ("EDSS 0-3.5", "EDSS 4-5.5", "EDSS 6-6.5", "EDSS 7-9.5")


def cohort(*visits: tuple[str, int, float], died: dict[str, int] | None = None) -> Cohort:
    """Return a cohort of some visits, and of those who died."""
    ids = sorted({subject for subject, _, _ in visits})
    exits = pd.DataFrame(
        [(i, day, "death") for i, day in (died or {}).items()],
        columns=["subject_id", "day", "reason"],
    )
    return Cohort(
        pd.DataFrame({"subject_id": ids, "phenotype": "SPMS", "sex": "F"}),
        pd.DataFrame(visits, columns=["subject_id", "day", "edss"]),
        exits=exits if died else None,
    )


def test_scores_fall_into_their_bands() -> None:
    """Hand-worked: the first score of a band belongs to it, the half step below does not."""
    scores = [0.0, 3.5, 4.0, 5.5, 6.0, 6.5, 7.0, 9.5]
    bands = derive_edss_bands(cohort(*(("A", 90 * i, s) for i, s in enumerate(scores))))
    expected = [BANDS[0]] * 2 + [BANDS[1]] * 2 + [BANDS[2]] * 2 + [BANDS[3]] * 2
    assert bands.frame["state"].tolist() == expected
    assert bands.states == BANDS
    assert bands.death is None
    assert bands.exclusions == ()
    assert (bands.frame["sex"] == "F").all()
    np.testing.assert_allclose(bands.frame["year"], np.arange(8) * 90 / 365.25)


def test_death_is_a_row_on_its_day() -> None:
    """Hand-worked: death at an exit, death as EDSS 10, a visit after death, one without EDSS."""
    bands = derive_edss_bands(
        cohort(
            ("A", 0, 5.0), ("A", 90, np.nan), ("B", 0, 6.0), ("B", 180, 10.0), ("C", 0, 2.0),
            died={"A": 200},
        )
    )  # fmt: skip
    rows = list(bands.frame[["subject_id", "day", "state"]].itertuples(index=False, name=None))
    assert rows == [
        ("A", 0, BANDS[1]),
        ("A", 200, "dead"),
        ("B", 0, BANDS[2]),
        ("B", 180, "dead"),
        ("C", 0, BANDS[0]),
    ]
    assert bands.death == "dead"
    assert [(e.reason, e.n, e.subject_ids) for e in bands.exclusions] == [("no edss", 1, ("A",))]


def test_other_cuts_make_other_bands() -> None:
    """A band of one score is named by it."""
    bands = derive_edss_bands(cohort(("A", 0, 6.0), ("A", 90, 6.5)), cuts=(6.0, 6.5))
    assert bands.states == ("EDSS 0-5.5", "EDSS 6", "EDSS 6.5-9.5")
    assert bands.frame["state"].tolist() == ["EDSS 6", "EDSS 6.5-9.5"]


@pytest.mark.parametrize("cuts", [(), (6.0, 4.0), (4.2,), (0.0, 4.0), (10.0,)])
def test_cuts_that_are_no_scores_are_refused(cuts: tuple[float, ...]) -> None:
    with pytest.raises(DesignError, match="`cuts` must be ascending scores of the EDSS"):
        derive_edss_bands(cohort(("A", 0, 3.0)), cuts=cuts)


def test_cohort_without_edss_is_refused() -> None:
    visits = pd.DataFrame({"subject_id": ["A"], "day": [0], "sdmt": [40]})
    plain = Cohort(pd.DataFrame({"subject_id": ["A"], "phenotype": ["SPMS"]}), visits)
    with pytest.raises(DesignError, match="no visits column 'edss'"):
        derive_edss_bands(plain)


@pytest.mark.filterwarnings("ignore::pmsstats.errors.EvidenceUncheckedWarning")
def test_rater_noise_is_not_taken_for_improvement() -> None:
    """Truth: true EDSS never falls in this trial; steps to a worse band per year in a band.

    Rated without misclassification, people seem to improve at over 0.2 per year from every band,
    and worsening is overrated; with it, improvement is below 0.02 and worsening as it is.
    """
    trial = generate_cohort("ppms_trial", seed=1, n_subjects=600)
    bands = derive_edss_bands(trial)
    visits = bands.frame[bands.frame["state"] != "dead"]
    naive = fit_multistate(visits, MultistateSpec(states=BANDS)).intensities()
    options = {"states": BANDS, "misclassification": "neighbours"}
    with pytest.warns(ConvergenceWarning, match="-> EDSS .* cannot be estimated"):
        free = fit_multistate(visits, MultistateSpec(**options), on_failure="warn").intensities()
    rated = fit_multistate(visits, MultistateSpec(**options, transitions="progressive"))
    is_back = naive["from_state"] > naive["to_state"]
    assert (naive.loc[is_back, "estimate"] > 0.2).all()
    assert (free.loc[is_back, "estimate"] < 0.02).all()
    found, true = rated.intensities(), true_worsening(trial)
    assert ((found["estimate"] - true).abs() < N_ERRORS * found["std_error"]).all()
    overrated = naive.loc[~is_back, "estimate"].to_numpy() - true
    assert (overrated > N_ERRORS * naive.loc[~is_back, "std_error"].to_numpy())[:2].all()


def true_worsening(trial) -> np.ndarray:
    """Count true steps to the next band per true year in a band."""
    truth = trial.truth.visits.sort_values(["subject_id", "year"])
    band = np.searchsorted(MILESTONES, truth["true_edss"], side="right")
    same = truth["subject_id"].eq(truth["subject_id"].shift(-1)).to_numpy()
    length = (truth["year"].shift(-1) - truth["year"]).to_numpy()[same]
    before, after = band[same], np.append(band[1:], 0)[same]
    assert (after >= before).all()
    half = np.where(after > before, 0.5, 1.0)  # a step falls in the middle of its interval
    years = np.bincount(before, half * length, minlength=4)
    return np.bincount(before, after > before, minlength=4)[:3] / years[:3]
