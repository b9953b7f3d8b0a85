"""The reference cases of linear mixed models: how each is asked of us, and where its values are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from reference_cases import ReferenceCase, load_case

from pmsstats.models import LMMResult, LMMSpec, fit_lmm

ARMS = ["placebo", "low", "high"]
GROUPS = ["Nondemented", "Converted", "Demented"]
TRIAL = "thalamus_ml ~ year * arm + sex + age_years + (year | subject_id)"


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model of one case."""

    case: str
    name: str
    formula: str
    method: str = "REML"
    by: str | None = None
    time: str | None = None

    @property
    def id(self) -> str:
        return f"{self.case}-{self.name}"

    def fit(self, case: ReferenceCase, engine: str) -> LMMResult:
        spec = LMMSpec.from_formula(self.formula, method=self.method)
        return fit_lmm(PREPARE.get(self.case, as_stored)(case.input), spec, engine=engine)

    def load(self) -> ReferenceCase:
        return load_case(self.case)


def as_stored(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


def ordered_arms(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(arm=pd.Categorical(frame["arm"], categories=ARMS, ordered=True))


def oasis(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.rename(columns={"Subject ID": "subject_id"}).assign(
        year=frame["MR Delay"] / 365.25,
        Group=pd.Categorical(frame["Group"], categories=GROUPS, ordered=True),
    )


PREPARE: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "lmm_trial": ordered_arms,
    "lmm_oasis2": oasis,
}

MODELS = (
    Model(
        case="lmm_sleepstudy", name="reml", formula="Reaction ~ Days + (Days | Subject)",
        time="Days",
    ),
    Model(
        case="lmm_sleepstudy", name="ml", formula="Reaction ~ Days + (Days | Subject)",
        method="ML", time="Days",
    ),
    Model(
        case="lmm_sleepstudy", name="uncorrelated", formula="Reaction ~ Days + (Days || Subject)"
    ),
    Model(case="lmm_sleepstudy", name="intercept", formula="Reaction ~ Days + (1 | Subject)"),
    Model(case="lmm_sleepstudy", name="slope", formula="Reaction ~ Days + (0 + Days | Subject)"),
    Model(
        case="lmm_orthodont", name="reml", formula="distance ~ age * Sex + (age | Subject)",
        by="Sex", time="age",
    ),
    Model(
        case="lmm_orthodont", name="ml", formula="distance ~ age * Sex + (age | Subject)",
        method="ML", by="Sex", time="age",
    ),
    Model(case="lmm_trial", name="reml", formula=TRIAL, by="arm", time="year"),
    Model(case="lmm_trial", name="ml", formula=TRIAL, method="ML", by="arm", time="year"),
    Model(
        case="lmm_trial", name="common", formula="thalamus_ml ~ year + arm + (year | subject_id)",
        time="year",
    ),
    Model(
        case="lmm_trial", name="log",
        formula="log(thalamus_ml) ~ year * arm + (year | subject_id)",
    ),
    Model(
        case="lmm_trial", name="square",
        formula="thalamus_ml ~ year + {year**2} + log(age_years) + (1 | subject_id)",
    ),
    Model(
        case="lmm_singular", name="correlated", formula="score ~ year + (year | subject_id)"
    ),
    Model(
        case="lmm_singular", name="uncorrelated", formula="score ~ year + (year || subject_id)"
    ),
    Model(case="lmm_scales", name="reml", formula="mtr ~ day + (day | subject_id)"),
    Model(
        case="lmm_oasis2", name="reml", formula="nWBV ~ year * Group + (year | subject_id)",
        by="Group", time="year",
    ),
)  # fmt: skip

# Compared relative to the largest value of the same kind, because some are zero or close to it.
SCALED = ("vcov", "variance", "blup")
BASIC = ("estimate", "std_error", "vcov", "variance", "residual_sd", "log_likelihood", "blup", "n")
SLOPES = (
    "slope", "slope_std_error", "baseline", "percent", "percent_std_error", "difference",
    "difference_std_error",
)  # fmt: skip
DEGREES = ("df", "slope_df", "difference_df", "difference_p_value")


def values(fit: LMMResult, model: Model, quantity: str) -> dict[str, float]:
    """Look up one quantity of a fit, by term."""
    return (_basic(fit, quantity) if quantity in _BASIC else _slopes(fit, model, quantity)).copy()


def _basic(fit: LMMResult, quantity: str) -> dict[str, float]:
    return _BASIC[quantity](fit)


def _table(column: str) -> Callable[[LMMResult], dict[str, float]]:
    return lambda fit: fit.table().set_index("term")[column].to_dict()


def _vcov(fit: LMMResult) -> dict[str, float]:
    terms = fit.table()["term"].tolist()
    return {
        f"{row} | {column}": fit.covariance[i, j]
        for i, row in enumerate(terms)
        for j, column in enumerate(terms)
    }


def _variances(fit: LMMResult) -> dict[str, float]:
    parts = fit.variance_components
    parts = parts[parts["kind"] != "correlation"]
    names = parts["term1"] + " | " + parts["term2"]
    return dict(zip(names, parts["estimate"], strict=True))


def _blups(fit: LMMResult) -> dict[str, float]:
    wide = fit.blups().set_index(fit.group)
    return {f"{i} | {c}": wide.loc[i, c] for i in wide.index for c in wide.columns}


_BASIC: dict[str, Callable[[LMMResult], dict[str, float]]] = {
    "estimate": _table("estimate"),
    "std_error": _table("std_error"),
    "df": _table("df"),
    "vcov": _vcov,
    "variance": _variances,
    "blup": _blups,
    "residual_sd": lambda fit: {"residual": fit.residual_sd},
    "log_likelihood": lambda fit: {"model": fit.fit_log.log_likelihood},
    "n": lambda fit: {"rows": float(fit.n_obs)},
}
_COLUMNS = {
    "slope": "estimate",
    "slope_std_error": "std_error",
    "slope_df": "df",
    "baseline": "baseline",
    "percent": "percent_estimate",
    "percent_std_error": "percent_std_error",
    "difference": "estimate",
    "difference_std_error": "std_error",
    "difference_df": "df",
    "difference_p_value": "p_value",
}


def _slopes(fit: LMMResult, model: Model, quantity: str) -> dict[str, float]:
    slopes = fit.slopes(model.by, time=model.time)
    table = slopes.differences() if quantity.startswith("difference") else slopes.table()
    return table.set_index("term")[_COLUMNS[quantity]].to_dict()


def compare(fit: LMMResult, model: Model, case: ReferenceCase, quantity: str) -> pd.DataFrame:
    """Put found and expected values beside each other, with the error that is allowed."""
    expected = case.rows(f"{model.name}.{quantity}")
    found = values(fit, model, quantity)
    size = expected["value"].abs()
    if quantity in SCALED:
        kind = expected["term"].str.rpartition(" | ")[2] if quantity == "blup" else quantity
        size = size.groupby(kind if quantity == "blup" else np.zeros(len(size))).transform("max")
    return expected.assign(
        found=[found[term] for term in expected["term"]], allowed=size * expected["rtol"]
    ).assign(error=lambda f: (f["found"] - f["value"]).abs())
