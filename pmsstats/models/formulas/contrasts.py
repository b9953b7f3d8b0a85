"""Combinations of fixed effects, however they are given, as rows of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pmsstats.errors import DesignError, nearest

__all__ = ["contrast_weights"]


def contrast_weights(
    contrasts: np.ndarray | Sequence[Any] | Mapping[str, Any],
    terms: Sequence[str],
    *,
    labels: Sequence[str] | None = None,
) -> tuple[list[str], np.ndarray]:
    """Turn any form of contrasts to names and weights.

    Parameters
    ----------
    contrasts : array_like, shape (p,) or (m, p), or mapping
        Weights in the order of the terms; or ``{term: weight}`` for one combination; or
        ``{label: {term: weight}}`` for several.
    terms : sequence of str
        Names of the fixed effects.
    labels : sequence of str, optional
        Names of the rows, where `contrasts` is an array.

    Returns
    -------
    names : list of str
        One per combination.
    weights : ndarray, shape (m, p)
        In the order of the terms.

    Raises
    ------
    DesignError
        If a term is unknown, or the shape does not fit.

    Examples
    --------
    >>> contrast_weights({"year": 2.0}, ["Intercept", "year"])
    (['year'], array([[0., 2.]]))
    """
    if isinstance(contrasts, Mapping):
        several = all(isinstance(value, Mapping) for value in contrasts.values())
        named = contrasts if several else {" ".join(map(str, contrasts)): contrasts}
        rows = np.array([_in_order(entry, terms) for entry in named.values()])
        return [str(name) for name in named], rows.reshape(len(named), len(terms))
    weights = np.atleast_2d(np.asarray(contrasts, dtype=float))
    if weights.shape[1] != len(terms) or not np.isfinite(weights).all():
        raise DesignError(
            f"`contrasts` must have {len(terms)} finite weights per row, one for each of "
            f"{', '.join(terms)}; got shape {weights.shape}."
        )
    names = list(labels) if labels is not None else [f"C{i + 1}" for i in range(len(weights))]
    if len(names) != len(weights):
        raise DesignError(f"`labels` has {len(names)} name(s) for {len(weights)} contrast(s).")
    return names, weights


def _in_order(entry: Mapping[str, float], terms: Sequence[str]) -> list[float]:
    """Put named weights into the order of the terms."""
    for name in entry:
        if name not in terms:
            raise DesignError(
                f"The model has no term {name!r}.{nearest(str(name), terms)} It has: "
                f"{', '.join(terms)}."
            )
    return [float(entry.get(term, 0.0)) for term in terms]
