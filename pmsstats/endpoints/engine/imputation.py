"""For whom a change at the last visit, which no visit could confirm, is taken as confirmed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.errors import DesignError
from pmsstats.seeds import Seed, stream

__all__ = ["imputes_last_visit", "uniforms_by_id"]


def imputes_last_visit(
    rule: ProgressionRule,
    subject_ids: NDArray[np.object_],
    seed: Seed | None = None,
    *,
    exit_reason: NDArray[np.object_] | None = None,
) -> NDArray[np.bool_]:
    """Draw for whom a change at the last visit is taken as confirmed.

    Parameters
    ----------
    rule : ProgressionRule
        With the probability, `impute_last_visit`.
    subject_ids : ndarray of object, shape (n_subjects,)
        Texts.
    seed : int, SeedSequence, Generator or None
        Needed for a probability between 0 and 1.
    exit_reason : ndarray of object, shape (n_subjects,), optional
        Why each subject left the study, empty for those who did not; needed for a rule with
        `impute_reasons`.

    Returns
    -------
    ndarray of bool, shape (n_subjects,)
        The higher the probability, the more; with one seed, those of a lower one remain.

    Raises
    ------
    DesignError
        If a seed or exits are needed and there are none.
    """
    concerned = np.ones(len(subject_ids), dtype=bool)
    if rule.impute_reasons:
        if exit_reason is None:
            raise DesignError(
                f"`impute_reasons` of rule {rule.name!r} asks why subjects left the study, but "
                "there are no exits here. Derive it from a cohort, or leave `impute_reasons` out."
            )
        wanted = {reason.strip().casefold() for reason in rule.impute_reasons}
        concerned = np.array([str(r).strip().casefold() in wanted for r in exit_reason], bool)
    chance = rule.impute_last_visit
    if chance in (0, 1):
        return concerned & (chance == 1)
    if seed is None:
        raise DesignError(
            f"`impute_last_visit` of rule {rule.name!r} is {chance}, so that it is drawn which "
            "changes at a last visit are taken as confirmed. Give a `seed`."
        )
    return concerned & (uniforms_by_id(subject_ids, seed) < chance)


def uniforms_by_id(subject_ids: NDArray[np.object_], seed: Seed) -> NDArray[np.float64]:
    """Draw one number from 0 to 1 for each subject, from its id and the seed alone.

    Parameters
    ----------
    subject_ids : ndarray of object, shape (n_subjects,)
        Texts.
    seed : int, SeedSequence or Generator
        The root.

    Returns
    -------
    ndarray of float, shape (n_subjects,)
        At least 0 and below 1.

    Notes
    -----
    The upper 53 bits of the keyed hash SipHash [1]_ of the id, whose key comes from the seed:
    without the key its values cannot be told from uniform ones, and no subject's depends on the
    others, as a generator for each subject would give at many times the cost.

    References
    ----------
    .. [1] Aumasson JP, Bernstein DJ. SipHash: a fast short-input PRF. INDOCRYPT 2012. LNCS
       7668:489-508. doi:10.1007/978-3-642-34931-7_28
    """
    key = stream(seed, "change at the last visit").bytes(8).hex()
    texts = np.asarray(subject_ids, dtype=object)
    hashed = pd.util.hash_array(texts, hash_key=key)
    return (hashed >> np.uint64(11)).astype(float) * 2.0**-53
