"""Products of columns of several outcomes, summed over subjects with the same visits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.errors import DesignError

__all__ = ["JointSums", "joint_sums"]

_MOST_BITS = 62  # of the number that says which values of a subject are there


@dataclass(frozen=True, eq=False)
class JointSums:
    """Sums of some replicates, slot by slot: subjects with the same visits share a slot.

    Parameters
    ----------
    count : ndarray, shape (n, n_slots, n_arms)
        Subjects.
    square : ndarray, shape (n, n_slots, 2K, 2K)
        Products of the columns (1 and time) of each outcome, for one subject of the slot.
    score : ndarray, shape (n, n_slots, n_arms, 2K)
        Columns times outcomes, summed over subjects.
    product : ndarray, shape (n, n_slots, 2K, 2K)
        Products of these, summed over subjects of all arms.
    squares : ndarray, shape (n, K)
        Squares of the outcomes.
    n_values : ndarray, shape (n, K)
        Values.
    n_subjects : ndarray, shape (n,)
        Subjects.
    """

    count: np.ndarray
    square: np.ndarray
    score: np.ndarray
    product: np.ndarray
    squares: np.ndarray
    n_values: np.ndarray
    n_subjects: np.ndarray

    def of(self, rows: np.ndarray) -> JointSums:
        """Return some of the replicates.

        Parameters
        ----------
        rows : ndarray of int, shape (n_rows,)
            Which.
        """
        if len(rows) == len(self.count):
            return self
        return JointSums(
            self.count[rows],
            self.square[rows],
            self.score[rows],
            self.product[rows],
            self.squares[rows],
            self.n_values[rows],
            self.n_subjects[rows],
        )


def joint_sums(
    values: list[np.ndarray], time: np.ndarray, code: np.ndarray, n_arms: int
) -> JointSums:
    """Sum the products of columns of several outcomes.

    Parameters
    ----------
    values : list of ndarray, each of shape (n, n_subjects, n_visits)
        One per outcome; not a number where missing.
    time : ndarray, shape (n_visits,)
        Of the visits.
    code : ndarray of int, shape (n, n_subjects)
        Arm; -1 for those who are not analysed.
    n_arms : int
        How many arms there are.

    Returns
    -------
    JointSums
        The numbers of a replicate do not depend on the others.

    Raises
    ------
    DesignError
        If there are too many outcomes times visits.
    """
    n_outcomes, n_visits = len(values), len(time)
    if n_outcomes * n_visits > _MOST_BITS:
        raise DesignError(
            f"{n_outcomes} outcomes at {n_visits} visits are more than {_MOST_BITS} values per "
            "subject, which a multivariate analysis cannot take. Narrow `from_week` and `to_week`."
        )
    seen = [~np.isnan(value) & (code >= 0)[..., None] for value in values]
    filled = [np.where(there, value, 0.0) for there, value in zip(seen, values, strict=True)]
    key = np.zeros(code.shape, dtype=np.int64)
    for bit in range(n_outcomes * n_visits):
        key |= seen[bit // n_visits][..., bit % n_visits].astype(np.int64) << bit
    slot, keys = _slots(key)
    columns = np.stack([np.ones(n_visits), time])
    score = np.stack([(f * c).sum(axis=-1) for f in filled for c in columns], axis=-1)
    n_slots = keys.shape[1]
    place = np.arange(len(code))[:, None] * n_slots + slot
    arm = np.where(key > 0, code, 0)
    by_arm = (place * n_arms + arm).ravel()
    shape = (len(code), n_slots, n_arms)
    count = _sum(by_arm, (key > 0).astype(float), shape)
    parts = [_sum(by_arm, score[..., a], shape) for a in range(score.shape[-1])]
    square = _squares(keys, columns, n_outcomes)
    return JointSums(
        count=count,
        square=square,
        score=np.stack(parts, axis=-1),
        product=_products(place.ravel(), score, (len(code), n_slots)),
        squares=np.stack([(f**2).sum(axis=-1).sum(axis=1) for f in filled], axis=1),
        n_values=np.stack([s.sum(axis=(1, 2)) for s in seen], axis=1).astype(float),
        n_subjects=(key > 0).sum(axis=1).astype(float),
    )


def _slots(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give each kind of subject of a replicate a number; return also their keys, 0 if none."""
    order = np.argsort(key, axis=1, kind="stable")
    ascending = np.take_along_axis(key, order, axis=1)
    new = np.ones(key.shape, dtype=bool)
    new[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
    number = np.cumsum(new, axis=1) - 1
    slot = np.empty_like(number)
    np.put_along_axis(slot, order, number, axis=1)
    keys = np.zeros((len(key), int(number.max()) + 1), dtype=np.int64)
    rows = np.broadcast_to(np.arange(len(key))[:, None], key.shape)
    keys[rows[new], number[new]] = ascending[new]
    return slot, keys


def _sum(place: np.ndarray, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum values by place."""
    return np.bincount(place, values.ravel(), minlength=int(np.prod(shape))).reshape(shape)


def _squares(keys: np.ndarray, columns: np.ndarray, n_outcomes: int) -> np.ndarray:
    """Return products of columns of a subject with these visits."""
    n_visits = columns.shape[1]
    square = np.zeros((*keys.shape, 2 * n_outcomes, 2 * n_outcomes))
    products = (columns[:, None] * columns[None]).reshape(4, n_visits)
    for k in range(n_outcomes):
        bits = keys[..., None] >> (k * n_visits + np.arange(n_visits)) & 1
        block = np.stack([(bits * p).sum(axis=-1) for p in products], axis=-1)
        square[..., 2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = block.reshape(*keys.shape, 2, 2)
    return square


def _products(place: np.ndarray, score: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Sum products of scores by slot."""
    size = score.shape[-1]
    product = np.empty((*shape, size, size))
    for a in range(size):
        for b in range(a + 1):
            product[..., a, b] = _sum(place, score[..., a] * score[..., b], shape)
            product[..., b, a] = product[..., a, b]
    return product
