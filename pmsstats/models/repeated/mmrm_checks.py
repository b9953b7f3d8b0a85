"""What data can tell about the covariance of repeated measures, and what they cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pmsstats.errors import DesignError, first_ids
from pmsstats.models.formulas.columns import within_subjects
from pmsstats.models.repeated.mmrm_covariance import COVARIANCES

if TYPE_CHECKING:
    from pmsstats.models.repeated.mmrm_design import RepeatedDesign
    from pmsstats.models.repeated.mmrm_likelihood import MarginalFit
    from pmsstats.models.repeated.mmrm_spec import MMRMSpec

__all__ = ["check_estimable", "covariance_problem", "range_problem"]

_ZERO = 1e-10  # share of the outcome's spread that counts as none
_NO_CORRELATION = 1e-3  # of the two closest visits
_FULL_CORRELATION = 0.99  # of the two farthest visits
_BY_CHANCE = 5  # rows: fewer may have the same score by chance


def check_estimable(design: RepeatedDesign, spec: MMRMSpec) -> None:
    """Refuse designs that no covariance could be estimated from.

    Parameters
    ----------
    design : RepeatedDesign
        The data.
    spec : MMRMSpec
        The model.

    Raises
    ------
    DesignError
        If there are too few subjects, visits or rows, or nothing varies.
    """
    arrays = design.arrays
    p = arrays.X.shape[1]
    if arrays.n_subjects < 2:
        raise DesignError(
            f"The model of {spec.outcome} needs several subjects to tell variation between them "
            f"from the mean, but the data have one ({design.subject_ids[0]})."
        )
    if arrays.n_obs == arrays.n_subjects:
        raise DesignError(
            f"Every subject has one visit with {spec.outcome}, so no correlation between visits "
            f"can be estimated ({arrays.n_subjects} subjects). This model needs repeated visits."
        )
    if p == 0:
        raise DesignError("The model has no fixed effect left. Keep at least an intercept.")
    if arrays.n_obs <= p:
        raise DesignError(
            f"{arrays.n_obs} rows cannot determine {p} fixed effects. Use fewer terms."
        )
    _check_variation(design, spec)


def _check_variation(design: RepeatedDesign, spec: MMRMSpec) -> None:
    """Refuse outcomes that leave no variance to estimate."""
    y, X = design.arrays.y, design.arrays.X
    if np.ptp(y) == 0:
        raise DesignError(
            f"{spec.outcome} is {y[0]:g} in all {len(y)} rows, so there is nothing to model."
        )
    size = float(np.linalg.norm(y - y.mean()))
    if np.linalg.norm(_residuals(y, X)) <= _ZERO * size:
        raise DesignError(
            f"The fixed effects describe {spec.outcome} exactly, so no variance can be estimated."
        )
    ones = np.ones((len(y), 1))
    parts = within_subjects(
        np.column_stack([y, X]), ones, design.arrays.subject, design.arrays.n_subjects
    )
    if np.linalg.norm(_residuals(parts[:, 0], parts[:, 1:])) <= _ZERO * size:
        raise DesignError(
            f"Apart from the fixed effects {spec.outcome} never changes within a subject, so "
            "visits are perfectly correlated and the likelihood has no maximum. Check whether "
            "values were carried forward."
        )
    _check_each_visit(design, spec)


def _check_each_visit(design: RepeatedDesign, spec: MMRMSpec) -> None:
    """Refuse visits at which nothing varies: no covariance, common variance or not, holds there."""
    y, X = design.arrays.y, design.arrays.X
    left = np.abs(_residuals(y, X))
    size = np.abs(y - y.mean()).max()
    for j, name in enumerate(design.visits):
        here = design.arrays.visit == j
        n = int(here.sum())
        if n < min(_BY_CHANCE, design.arrays.n_subjects):
            continue
        what = ""
        if np.ptp(y[here]) <= _ZERO * size:
            what = f"{spec.outcome} is {y[here][0]:g} in all {n} rows at {name}"
        elif left[here].max() <= _ZERO * size and n > np.linalg.matrix_rank(X[here]):
            what = f"The fixed effects describe {spec.outcome} at {name} exactly ({n} rows)"
        if what:
            raise DesignError(
                f"{what}, so nothing varies there, which no covariance can describe. Leave out "
                f"the rows with {spec.visit} = {name}: a change from baseline, say, is zero at "
                "baseline by definition."
            )


def _residuals(y: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Return what least squares leave."""
    left: np.ndarray = y - X @ np.linalg.lstsq(X, y, rcond=1e-9)[0]
    return left


def covariance_problem(design: RepeatedDesign, spec: MMRMSpec, covariance: str) -> str | None:
    """Say why the data cannot determine a covariance, if they cannot.

    Parameters
    ----------
    design : RepeatedDesign
        The data.
    spec : MMRMSpec
        The model.
    covariance : str
        One of its covariance and fall-backs.

    Returns
    -------
    str or None
        A sentence that names visits and groups.

    Notes
    -----
    Every variance needs a visit that was seen and has residuals. Unstructured: every two visits
    need a subject with both. Toeplitz: every lag does. Ante-dependence: the correlation of visits
    j < k is the product of those of neighbours in between, so the intervals [j, k) that were seen
    must determine each one: their incidence matrix has full rank.
    """
    structure = COVARIANCES[covariance]
    arrays = design.arrays
    n_parameters = arrays.n_groups * structure.n_parameters(arrays.n_visits)
    if arrays.n_obs <= arrays.X.shape[1] + n_parameters:
        return (
            f"{arrays.n_obs} rows cannot determine {arrays.X.shape[1]} fixed effects and "
            f"{n_parameters} parameters of the covariance {covariance}."
        )
    if structure.spatial:
        return _lone_subjects(design, spec)
    has_own_variances = covariance == "us" or covariance.endswith("h")
    for g, together in enumerate(design.seen_together()):
        where = "" if spec.group is None else f" in {spec.group} = {design.groups[g]}"
        problem = _lone_problem(together, where) or (
            _absent_problem(design, together, where) if has_own_variances else None
        )
        problem = problem or _pairs_problem(design, covariance, together, where)
        if problem:
            return f"{problem} With covariance {covariance} that cannot be estimated."
    return _silent_problem(design, spec, covariance) if has_own_variances else None


def _lone_problem(together: np.ndarray, where: str) -> str | None:
    """Say that no subject was seen twice."""
    off = together - np.diag(np.diag(together))
    return None if off.any() else f"No subject has two visits{where}."


def _lone_subjects(design: RepeatedDesign, spec: MMRMSpec) -> str | None:
    """Say in which group no subject was seen twice, where there are no common visits."""
    arrays = design.arrays
    twice = np.bincount(arrays.subject, minlength=arrays.n_subjects) > 1
    for g, name in enumerate(design.groups):
        if not twice[arrays.groups == g].any():
            where = "" if spec.group is None else f" in {spec.group} = {name}"
            return f"No subject has two visits{where}, so no correlation can be estimated."
    return None


def _absent_problem(design: RepeatedDesign, together: np.ndarray, where: str) -> str | None:
    """Say at which visits nobody was seen."""
    absent = [design.visits[j] for j in np.flatnonzero(np.diag(together) == 0)]
    return f"Nobody{where} was seen at {first_ids(absent, show=6)}." if absent else None


def _pairs_problem(
    design: RepeatedDesign, covariance: str, together: np.ndarray, where: str
) -> str | None:
    """Say which correlations nothing tells about."""
    visits = design.visits
    T = len(visits)
    pairs = [(j, k) for j in range(T) for k in range(j + 1, T)]
    if covariance == "us":
        apart = [f"{visits[j]} and {visits[k]}" for j, k in pairs if not together[j, k]]
        return (
            f"No subject{where} has both {first_ids(apart, show=6).replace(', ', '; or ')}."
            if apart
            else None
        )
    if covariance in {"toep", "toeph"}:
        lags = [str(lag) for lag in range(1, T) if not np.diag(together, lag).any()]
        steps = first_ids(lags, show=6)
        return f"No subject{where} has two visits that lie {steps} apart." if lags else None
    if covariance in {"ad", "adh"}:
        seen = [[j <= m < k for m in range(T - 1)] for j, k in pairs if together[j, k]]
        if np.linalg.matrix_rank(np.array(seen, dtype=float)) < T - 1:
            return f"The visits seen together{where} do not link every visit with the next."
    return None


def _silent_problem(design: RepeatedDesign, spec: MMRMSpec, covariance: str) -> str | None:
    """Say at which visits nothing is left to have a variance, or which visits repeat others."""
    arrays = design.arrays
    left = np.abs(_residuals(arrays.y, arrays.X))
    silent = np.zeros((arrays.n_groups, arrays.n_visits))
    np.maximum.at(silent, (arrays.groups[arrays.subject], arrays.visit), left)
    size = np.abs(arrays.y - arrays.y.mean()).max()
    cells = np.argwhere(silent <= _ZERO * size)
    if len(cells):
        names = [str(design.visits[j]) for _, j in cells]
        return (
            f"At {first_ids(names, show=6)} the fixed effects describe {spec.outcome} exactly, so "
            f"the variance there is zero, which covariance {covariance} cannot have. Join or leave "
            "out such a visit."
        )
    return _repeats_problem(design, spec) if covariance == "us" else None


def _repeats_problem(design: RepeatedDesign, spec: MMRMSpec) -> str | None:
    """Say which visits have the same values in everybody."""
    arrays = design.arrays
    wide = np.full((arrays.n_subjects, arrays.n_visits), np.nan)
    wide[arrays.subject, arrays.visit] = arrays.y
    has_visit_effects = spec.visit in design.fixed.levels
    for j in range(arrays.n_visits):
        for k in range(j + 1, arrays.n_visits):
            change = wide[:, k] - wide[:, j]
            change = change[np.isfinite(change)]
            spread = np.ptp(change) if has_visit_effects else np.abs(change).max()
            if len(change) > 1 and spread <= _ZERO * np.ptp(arrays.y):
                return (
                    f"{spec.outcome} at {design.visits[k]} repeats {design.visits[j]} in all "
                    f"{len(change)} subjects who have both, so the unstructured covariance is "
                    "singular. Check whether values were carried forward."
                )
    return None


def range_problem(design: RepeatedDesign, fit: MarginalFit) -> str | None:
    """Say that the range of a spatial covariance lies on its boundary, zero or infinite.

    Parameters
    ----------
    design : RepeatedDesign
        The data.
    fit : MarginalFit
        Of any covariance.

    Returns
    -------
    str or None
        What that means, in words.

    Notes
    -----
    On the boundary is a range at which the two closest visits of any subject have a correlation
    below 0.001: there the likelihood is flat in the range, whose standard error then means nothing.
    So it is where the two farthest ones have a correlation above 0.99 and the range is smaller
    than its standard error; a high correlation alone may be well determined.
    """
    structure = COVARIANCES[fit.covariance]
    if not structure.spatial or not fit.converged:
        return None
    closest, farthest = _distances(design)
    each = np.reshape(fit.theta, (len(design.groups), -1))[:, 1]
    errors = np.sqrt(np.diag(fit.theta_covariance)).reshape(len(design.groups), -1)[:, 1]
    words = []
    for group, distance, error in zip(design.groups, each, errors, strict=True):
        where = f" in {group}" if len(design.groups) > 1 else ""
        if np.exp(-closest / distance) < _NO_CORRELATION:
            words.append(
                f"no correlation between visits can be seen{where}: the range of {fit.covariance} "
                "lies at its boundary, zero, so visits count as if independent"
            )
        elif np.exp(-farthest / distance) > _FULL_CORRELATION and not error < distance:
            words.append(
                f"no fall of the correlation with time can be seen{where}: the range of "
                f"{fit.covariance} lies at its boundary, infinity, and its variance with it"
            )
    return "; ".join(words) or None


def _distances(design: RepeatedDesign) -> tuple[float, float]:
    """Return the smallest and the largest time between two visits of one subject."""
    arrays = design.arrays
    assert arrays.coordinate is not None  # noqa: S101  (the structure is spatial)
    order = np.lexsort([arrays.coordinate, arrays.subject])
    subject, when = arrays.subject[order], arrays.coordinate[order]
    steps = np.diff(when)[np.diff(subject) == 0]
    first = np.flatnonzero(np.r_[True, np.diff(subject) != 0])
    last = np.r_[first[1:], len(when)] - 1
    return float(steps.min()), float((when[last] - when[first]).max())
