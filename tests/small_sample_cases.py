"""The reference cases of small-sample inference: how each is asked of us, and what R answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from reference_cases import REFERENCE, load_case

from pmsstats.models import LMMSpec
from pmsstats.models.fixed_effects.degrees_of_freedom import Inference
from pmsstats.models.mixed.mixed_design import MixedDesign, build_mixed_design
from pmsstats.models.mixed.mixed_inference import mixed_inference
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.models.mixed.mixed_scale import standardise

CASE = "lmm_small_sample"
METHODS = {"kr": "kenward-roger", "sat": "satterthwaite"}


@dataclass(frozen=True, kw_only=True)
class Small:
    """One model of the case, and where its data are."""

    name: str
    formula: str
    rows: Callable[[], pd.DataFrame]
    method: str = "REML"

    @property
    def spec(self) -> LMMSpec:
        return LMMSpec.from_formula(self.formula, method=self.method)

    @property
    def methods(self) -> tuple[str, ...]:
        return ("kr", "sat") if self.method == "REML" else ("sat",)


def _own(data_set: str) -> Callable[[], pd.DataFrame]:
    def rows() -> pd.DataFrame:
        data = load_case(CASE).input
        data = data[data["data_set"] == data_set]
        arms = pd.Categorical(data["arm"], categories=["placebo", "low", "high"], ordered=True)
        return data.assign(arm=arms.remove_unused_categories())

    return rows


def _empty() -> pd.DataFrame:
    data = _own("visits")()
    return data[(data["arm"] != "high") | (data["visit"] != "V4")]


def _trial() -> pd.DataFrame:
    data = load_case("lmm_trial").input
    arms = pd.Categorical(data["arm"], categories=["placebo", "low", "high"], ordered=True)
    return data.assign(arm=arms)


def _other(case: str) -> Callable[[], pd.DataFrame]:
    return lambda: load_case(case).input


CROSSED = "thalamus_ml ~ arm * visit + sex + age_years + (1 | subject_id)"
SMALL = (
    Small(name="small", formula="thalamus_ml ~ year * arm + (year | subject_id)",
          rows=_own("small")),
    Small(name="intercept", formula="thalamus_ml ~ year * arm + (1 | subject_id)",
          rows=_own("small")),
    Small(name="visits", formula=CROSSED, rows=_own("visits")),
    Small(name="visits_ml", formula=CROSSED, rows=_own("visits"), method="ML"),
    Small(
        name="slopes", rows=_own("visits"),
        formula="thalamus_ml ~ year * arm + sex * arm + age_years + (year || subject_id)",
    ),
    Small(
        name="spline", rows=_own("visits"),
        formula="thalamus_ml ~ bs(year, df=4) + arm + poly(age_years, 2) + (1 | subject_id)",
    ),
    Small(name="means", formula="thalamus_ml ~ 0 + arm + arm:year + (1 | subject_id)",
          rows=_own("visits")),
    Small(name="empty", formula="thalamus_ml ~ arm * visit + (1 | subject_id)", rows=_empty),
    Small(name="orthodont", formula="distance ~ age * Sex + (age | Subject)",
          rows=_other("lmm_orthodont")),
    Small(name="sleepstudy", formula="Reaction ~ Days + (Days | Subject)",
          rows=_other("lmm_sleepstudy")),
    Small(name="singular", formula="score ~ year + (year | subject_id)",
          rows=_other("lmm_singular")),
    Small(name="singular_uncorrelated", formula="score ~ year + (year || subject_id)",
          rows=_other("lmm_singular")),
    Small(
        name="trial", rows=_trial,
        formula="thalamus_ml ~ year * arm + sex + age_years + (year | subject_id)",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A maximum, in the user's units."""

    design: MixedDesign
    fixed: np.ndarray
    inference: Inference


@cache
def fitted(model: Small, method: str) -> Fitted:
    """Climb to the maximum and hand it to the method, without any engine."""
    design = build_mixed_design(model.rows(), model.spec)
    standard, back = standardise(design.arrays)
    likelihood = MixedLikelihood(standard, reml=model.method == "REML")
    solution = likelihood.solve(likelihood.improve(likelihood.starts()[0]))
    inference = mixed_inference(likelihood, solution, method, columns=design.arrays.X)
    return Fitted(
        design=design,
        fixed=back.fixed(solution.fixed),
        inference=inference.mapped(back.fixed_covariance),
    )


@cache
def stored_contrasts() -> pd.DataFrame:
    """Return the combinations that R tested: ``model test row term weight``."""
    return pd.read_csv(REFERENCE / CASE / "contrasts.csv")


def contrasts(model: Small, test: str, names: tuple[str, ...]) -> np.ndarray:
    """Put one test of R's into our order of the coefficients."""
    stored = stored_contrasts()
    cells = stored[(stored["model"] == model.name) & (stored["test"] == test)]
    L = np.zeros((cells["row"].max(), len(names)))
    L[cells["row"] - 1, [names.index(term) for term in cells["term"]]] = cells["weight"]
    return L
