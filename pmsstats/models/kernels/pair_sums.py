"""Sums of products within subjects, all that two outcomes' likelihood needs of the data.

Rows fall into classes with one residual precision each: those of the first outcome, those of the
second; and, where residuals of the same visit may be correlated, also the visits with both, whose
two rows share a 2 x 2 precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.models.formulas.columns import sum_by_subject

__all__ = ["OutcomeRows", "PairSums", "pair_sums"]


@dataclass(frozen=True, eq=False, kw_only=True)
class OutcomeRows:
    """The rows of one outcome, on a scale on which its numbers are about one.

    Parameters
    ----------
    y : ndarray, shape (n_obs,)
        Outcome.
    X : ndarray, shape (n_obs, p)
        Fixed effects, of full rank.
    Z : ndarray, shape (n_obs, q)
        Random effects.
    subject : ndarray of int, shape (n_obs,)
        Subject number of each row, the same numbers for both outcomes.
    visit : ndarray of int, shape (n_obs,)
        Visit number of each row, each at most once; rows of two outcomes with the same number
        were taken at the same visit.
    """

    y: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    subject: np.ndarray
    visit: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class PairSums:
    """Sums over each class of rows: their precisions are the weights of these.

    Parameters
    ----------
    S : ndarray, shape (n_classes, n_subjects, q, q)
        ``Z'Z``; q counts the random effects of both outcomes.
    H : ndarray, shape (n_classes, n_subjects, q, P)
        ``Z'C`` with the columns ``C = [X1, X2, y]``; P - 1 fixed effects of both.
    T : ndarray, shape (n_classes, P, P)
        ``C'C`` over all subjects.
    n_single : tuple of int
        Rows of the first and second outcome with a precision of their own.
    n_paired : int
        Visits with both outcomes whose residuals may be correlated; zero if they may not.
    sizes : tuple of int
        Random effects of the first and second outcome.
    is_reml : bool
        Whether the restricted likelihood is asked for.

    Notes
    -----
    Classes: rows of the first outcome, of the second; where residuals may be correlated also
    those of the first at shared visits, of the second at shared visits, and the products of the
    two there.
    """

    S: np.ndarray
    H: np.ndarray
    T: np.ndarray
    n_single: tuple[int, int]
    n_paired: int
    sizes: tuple[int, int]
    is_reml: bool

    @property
    def n_obs(self) -> int:
        """Return the number of rows of both outcomes."""
        return sum(self.n_single) + 2 * self.n_paired

    @property
    def n_fixed(self) -> int:
        """Return the number of fixed effects of both outcomes."""
        return self.T.shape[1] - 1

    @property
    def n_residual(self) -> int:
        """Return the number of parameters of the residuals: two variances, one covariance."""
        return 3 if len(self.T) > 2 else 2


def pair_sums(
    first: OutcomeRows,
    second: OutcomeRows,
    *,
    n_subjects: int,
    residual_correlation: bool,
    is_reml: bool,
) -> PairSums:
    """Sum products of the columns within subjects.

    Parameters
    ----------
    first, second : OutcomeRows
        Rows of the two outcomes.
    n_subjects : int
        How many subjects.
    residual_correlation : bool
        Whether residuals of the same visit may be correlated.
    is_reml : bool
        Whether the restricted likelihood is asked for.

    Returns
    -------
    PairSums
        Two classes of rows, or five.
    """
    wide = _widened(first, second)
    shared = [np.zeros(len(rows.y), dtype=bool) for rows in (first, second)]
    if residual_correlation:
        shared = [np.isin(a.visit, b.visit) for a, b in ((first, second), (second, first))]
    single = [
        columns.pick(np.flatnonzero(~mask)) for columns, mask in zip(wide, shared, strict=True)
    ]
    made = [_products(columns, columns, n_subjects) for columns in single]
    if residual_correlation:
        order = [
            np.flatnonzero(mask)[np.argsort(rows.visit[mask])]
            for rows, mask in zip((first, second), shared, strict=True)
        ]
        one, other = (columns.pick(rows) for columns, rows in zip(wide, order, strict=True))
        made += [_products(one, one, n_subjects), _products(other, other, n_subjects)]
        made.append(_both_ways(one, other, n_subjects))
    S, H, T = (np.stack([sums[j] for sums in made]) for j in range(3))
    return PairSums(
        S=S,
        H=H,
        T=T,
        n_single=(len(single[0].subject), len(single[1].subject)),
        n_paired=int(shared[0].sum()),
        sizes=(first.Z.shape[1], second.Z.shape[1]),
        is_reml=is_reml,
    )


@dataclass(frozen=True, eq=False)
class _Columns:
    """Columns of some rows of one outcome, with zeros in the place of the other's."""

    Z: np.ndarray
    C: np.ndarray
    subject: np.ndarray

    def pick(self, rows: np.ndarray) -> _Columns:
        """Return some of the rows."""
        return _Columns(self.Z[rows], self.C[rows], self.subject[rows])


def _widened(first: OutcomeRows, second: OutcomeRows) -> tuple[_Columns, _Columns]:
    """Put both outcomes' columns side by side, with zeros for those of the other."""
    n = len(first.y), len(second.y)
    p = first.X.shape[1], second.X.shape[1]
    q = first.Z.shape[1], second.Z.shape[1]
    C1 = np.column_stack([first.X, np.zeros((n[0], p[1])), first.y])
    C2 = np.column_stack([np.zeros((n[1], p[0])), second.X, second.y])
    Z1 = np.column_stack([first.Z, np.zeros((n[0], q[1]))])
    Z2 = np.column_stack([np.zeros((n[1], q[0])), second.Z])
    return _Columns(Z1, C1, first.subject), _Columns(Z2, C2, second.subject)


def _products(
    left: _Columns, right: _Columns, n_subjects: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum the products of rows' columns with those of the rows beside them."""
    q, P = left.Z.shape[1], left.C.shape[1]
    if len(left.subject) == 0:  # every visit has both outcomes, say
        return np.zeros((n_subjects, q, q)), np.zeros((n_subjects, q, P)), np.zeros((P, P))
    S = sum_by_subject(left.Z[:, :, None] * right.Z[:, None, :], left.subject, n_subjects)
    H = sum_by_subject(left.Z[:, :, None] * right.C[:, None, :], left.subject, n_subjects)
    return S, H, left.C.T @ right.C


def _both_ways(
    one: _Columns, other: _Columns, n_subjects: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum the products of the first outcome's rows with the second's, and the other way round."""
    S, H, T = _products(one, other, n_subjects)
    _, turned, _ = _products(other, one, n_subjects)
    return S + S.transpose(0, 2, 1), H + turned, T + T.T
