"""Associations: which linear functions of which trajectories enter the hazard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.models.joint.marker_design import Columns

if TYPE_CHECKING:
    import pandas as pd

    from pmsstats.models.joint.marker_design import MarkerDesign
    from pmsstats.models.joint.spec import JointSpec

__all__ = ["Link", "link_columns", "list_links"]


@dataclass(frozen=True, kw_only=True)
class Link:
    """One association.

    Parameters
    ----------
    marker : int
        Whose trajectory.
    term : str
        What of it: ``"value"``, ``"slope"``, ``"area"``, ``"lagged"`` or ``"random_effects"``.
    effect : int
        Which random effect; -1 for the other terms.
    interaction : int
        Column by which it is multiplied; 0 for none.
    name : str
        As the tables show it: ``"slope(CD4):drug[T.ddI]"``.
    is_multiplied : bool
        Whether the same association also enters multiplied by other columns.
    """

    marker: int
    term: str
    effect: int
    interaction: int
    name: str
    is_multiplied: bool

    @property
    def moves_with_level(self) -> bool:
        """Return whether a constant added to the marker adds the same to it."""
        return self.term in {"value", "lagged"} and self.interaction == 0

    @property
    def allows_centre(self) -> bool:
        """Return whether a constant added to the marker is made up for by the baseline hazard."""
        if self.term in {"slope", "random_effects"}:
            return True
        return self.term in {"value", "lagged"} and not self.is_multiplied


def list_links(
    spec: JointSpec, markers: Sequence[MarkerDesign], interactions: Sequence[str]
) -> tuple[Link, ...]:
    """List the associations of a model, in the order of their coefficients.

    Parameters
    ----------
    spec : JointSpec
        The request.
    markers : sequence of MarkerDesign
        Its markers.
    interactions : sequence of str
        Names of the columns by which associations are multiplied; the first is empty.

    Returns
    -------
    tuple of Link
        By marker, term, random effect and interaction.
    """
    made = []
    for k, (marker, terms) in enumerate(zip(markers, spec.terms, strict=True)):
        for term, effect, name in _terms(marker, terms, spec.lag):
            for g, column in enumerate(interactions):
                made.append(
                    Link(
                        marker=k,
                        term=term,
                        effect=effect,
                        interaction=g,
                        name=f"{name}:{column}" if column else name,
                        is_multiplied=len(interactions) > 1,
                    )
                )
    return tuple(made)


def _terms(
    marker: MarkerDesign, terms: Sequence[str], lag: float | None
) -> list[tuple[str, int, str]]:
    """List term, random effect and name of the associations of one marker."""
    made = []
    for term in terms:
        if term == "random_effects":
            names = marker.mixed.random_names
            made += [(term, j, f"random {name}({marker.name})") for j, name in enumerate(names)]
        elif term == "lagged":
            made.append((term, -1, f"value {lag:g} before({marker.name})"))
        elif term != "none":
            made.append((term, -1, f"{term}({marker.name})"))
    return made


def link_columns(
    link: Link,
    marker: MarkerDesign,
    covariates: pd.DataFrame,
    subject: np.ndarray,
    time: np.ndarray,
    *,
    lag: float | None,
) -> Columns:
    """Make what one association takes of the effects of its marker.

    Parameters
    ----------
    link : Link
        Which; its interaction is left aside.
    marker : MarkerDesign
        Its marker.
    covariates : pandas.DataFrame
        One row per subject.
    subject : ndarray of int, shape (n,)
        Row of `covariates` of each point.
    time : ndarray, shape (n,)
        When.
    lag : float, optional
        Of lagged values.

    Returns
    -------
    Columns
        One row per point.
    """
    if link.term == "random_effects":
        n_fixed = len(marker.mixed.fixed_names)
        random = np.zeros((len(time), len(marker.mixed.random_names)))
        random[:, link.effect] = 1.0
        return Columns(fixed=np.zeros((len(time), n_fixed)), random=random)
    if link.term == "lagged":
        return marker.value(covariates, subject, np.maximum(time - float(lag or 0.0), 0.0))
    made: Columns = getattr(marker, link.term)(covariates, subject, time)
    return made
