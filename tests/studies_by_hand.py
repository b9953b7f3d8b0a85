"""Studies of a fake cohort, one of them as frames too: each analysis beside another program's."""

from __future__ import annotations

import numpy as np
from fake_studies import FakeConfig, fake_cohort

from pmsstats.validation.cohort_arrays import cohort_arrays
from pmsstats.validation.studies import cut_studies

EXACT = 1e-9  # the same arithmetic, another order
OPTIMISED = 1e-5  # optimisers stop at tolerances of their own
CONVERGED = {"precision": 1e-13, "r_precision": 1e-15}
"""lifelines stops at a relative change of 1e-9 in the likelihood: four digits of the estimate."""
N_STUDIES = 3
YEARS = (0.0, 0.5, 1.0, 2.0)
WEEKS = (0, 26, 52, 104)
CONTROLS = (("HC", 30), ("SPMS", 35), ("PPMS", 40))
THIRD = 2
"""The study that is computed by hand."""


def make(groups=CONTROLS, weeks=WEEKS, years=YEARS, treatments=(), conversion=False, seed=5):
    """Cut studies from a fake cohort; return them, with one of them as frames."""
    total = sum(n for _, n in groups)
    config = FakeConfig(
        n_subjects=total * N_STUDIES * 3,
        mix=tuple((name, n / total) for name, n in groups),
        weeks=weeks,
        imaging_weeks=weeks,
        treatments=treatments,
        conversion=conversion,
    )
    tables = fake_cohort(config, seed)
    cohort = cohort_arrays(tables, years=years, planned_weeks=weeks, arm_names=treatments)
    studies = cut_studies([cohort], groups, N_STUDIES)
    ids = tables.subjects["subject_id"].to_numpy()[studies.rows[THIRD]]
    subjects = tables.subjects.set_index("subject_id").loc[ids].reset_index()
    visits = tables.visits[tables.visits["subject_id"].isin(ids)]
    long = visits.merge(subjects, on="subject_id")
    long["year"] = long["day"] / 365.25
    return studies, subjects, long


def baseline(long, *groups):
    """Return the baseline rows of some phenotypes."""
    return long[(long["day"] == 0) & long["phenotype"].isin(groups)]


def slopes(long, measure, *groups):
    """Return the least-squares slope of every subject, by numpy.polyfit."""
    chosen = long[long["phenotype"].isin(groups)]
    return chosen.groupby("subject_id", sort=True).apply(
        lambda one: np.polyfit(one["year"], one[measure], 1)[0], include_groups=False
    )


def third(found):
    """Return estimate, standard error and p value of the third study."""
    return found.estimate[THIRD], found.std_error[THIRD], found.p_value()[THIRD]


def survival(studies, long, outcome):
    """Return duration and event of the third study, in table order."""
    events = studies.event(outcome)
    frame = long[long["day"] == 0].sort_values("subject_id")
    order = np.argsort(
        studies.cohorts[0].tables.subjects["subject_id"].to_numpy()[studies.rows[THIRD]]
    )
    return frame.assign(duration=events.duration[THIRD][order], event=events.happened[THIRD][order])
