"""What a random effect says of the hazard together with the effects that go along with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models.joint.estimates import estimate_quantities

if TYPE_CHECKING:
    from pmsstats.models.joint.result import JointResult

__all__ = ["estimate_total_association"]


def estimate_total_association(result: JointResult) -> pd.DataFrame:
    """Estimate the log hazard ratio per SD of each random effect, the others going along with it.

    Parameters
    ----------
    result : JointResult
        Of a model with ``association="random_effects"`` and without interaction.

    Returns
    -------
    pandas.DataFrame
        ``cause marker term sd estimate std_error conf_low conf_high``: one row per cause and random
        effect; the estimate is a log hazard ratio per SD of that effect.

    Raises
    ------
    DesignError
        If the hazard depends on anything but the random effects.

    Notes
    -----
    The hazard is ``h_0(t) exp(alpha'b)`` with ``b ~ N(0, D)``. Subjects whose effect j is one SD
    higher have, on average, other effects that are higher by ``D_kj / sd_j``, so that the
    expectation of ``alpha'b`` rises by ``(D alpha)_j / sd_j``: the total association, where
    ``alpha_j sd_j`` is that at equal values of the other effects. It is what a Cox model on the
    true effect j alone aims at, as far as the hazard ratio averages over the others (for rare
    events exactly). Standard errors by the delta method, with the error of D in them.

    A model whose hazard depends on the slope alone estimates something else where the level is
    prognostic too: it lets the slope stand for the level, beyond their correlation.
    """
    design = result.design
    terms = {term for marker in result.spec.association for term in marker}
    if result.spec.interaction is not None or terms != {"random_effects"}:
        raise DesignError(
            "A total association needs a model with association='random_effects' and no "
            f"`interaction`; this one has association={' and '.join(sorted(terms))!r}, "
            f"interaction={result.spec.interaction!r}. Fit that one."
        )

    def per_sd(theta: np.ndarray) -> np.ndarray:
        natural = design.scale.natural(theta)
        return np.asarray((natural.alpha @ natural.D / np.sqrt(np.diag(natural.D))).ravel())

    found = estimate_quantities(per_sd, result.maximum.theta, result.maximum.covariance)
    z = stats.norm.isf((1 - result.spec.conf_level) / 2)
    labels = result.association_table()
    return pd.DataFrame(
        {
            "cause": labels["cause"],
            "marker": labels["marker"],
            "term": labels["term"],
            "sd": labels["sd"],
            "estimate": found.estimate,
            "std_error": found.std_error,
            "conf_low": found.estimate - z * found.std_error,
            "conf_high": found.estimate + z * found.std_error,
        }
    )
