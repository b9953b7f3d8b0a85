"""Analyses as a user would write them, for method "function": importable by name."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pmsstats.errors import ConvergenceError
from pmsstats.models.joint.joint import fit_joint
from pmsstats.models.parametric.aft import AFTSpec, fit_aft

HERE = "tests.trials.analyses.user_functions"


def difference_of_means(visits, subjects, *, measure="volume", week=96):
    """Two-sample t tests of the change at a week, with the variance of all arms."""
    wide = visits.pivot_table(index="subject_id", columns="week", values=measure)
    change = (wide[week] - wide[0]).dropna()
    arm = subjects.set_index("subject_id").loc[change.index, "arm"]
    groups = [change[arm == name].to_numpy() for name in arm.cat.categories]
    df = len(change) - len(groups)
    variance = sum(((g - g.mean()) ** 2).sum() for g in groups) / df
    parts = [1 / len(g) + 1 / len(groups[0]) for g in groups[1:]]
    return pd.DataFrame(
        {
            "comparison": arm.cat.categories[1:],
            "estimate": [g.mean() - groups[0].mean() for g in groups[1:]],
            "std_error": np.sqrt(variance * np.array(parts)),
            "df": float(df),
        }
    )


def _rows(fit, term):
    """One row per treated arm, from a fitted model's table."""
    table = fit.table()
    rows = table[table["term"].str.contains(term, regex=False)]
    names = rows["term"].str.extract(r"\[T?\.?([^\]]+)\]")[0]
    return [
        {"comparison": name, "estimate": row.estimate, "std_error": row.std_error}
        for name, row in zip(names, rows.itertuples(), strict=True)
    ]


def joint_hazard(visits, subjects, **options):
    """Log hazard ratio given a marker: of the part ``hazard`` of a joint model."""
    fit = fit_joint(visits, subjects, "walk ~ year + (1 | subject_id)", hazard="arm", **options)
    return _rows(fit, "arm[")


def time_ratio(visits, subjects, *, distribution):
    """Log ratio of times by a parametric model of the durations."""
    return _rows(fit_aft(subjects, AFTSpec(covariates="arm", distribution=distribution)), "arm[")


def tells(visits, subjects):
    """Estimate nothing; tell what there is to see."""
    raise ConvergenceError(f"{list(visits)} {list(subjects)}. Nothing to do about it.")


def returns(visits, subjects, *, what):
    """Return whatever the options say."""
    return what


def changes_its_frames(visits, subjects):
    """Spoil what was handed over, and answer nothing new."""
    answer = difference_of_means(visits, subjects)
    visits.loc[:, "volume"] = 0.0
    subjects.loc[:, "subject_id"] = -1
    return answer


def fails_in_some(visits, subjects):
    """Have no answer where the first subject is treated."""
    if subjects["arm"].iloc[0] == "active":
        raise np.linalg.LinAlgError("Singular matrix")
    return [{"comparison": "active", "estimate": 0.5, "std_error": 0.25}]


def crashes(visits, subjects):
    """Have a mistake."""
    return visits["no such column"]


NOT_A_FUNCTION = 3
