"""Rows of two outcomes: which can be used, whose they are, and which share a visit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.kernels.pair_sums import OutcomeRows, PairSums, pair_sums
from pmsstats.models.mixed.mixed_checks import repeated_rows
from pmsstats.models.mixed.mixed_design import MixedArrays, MixedDesign, build_mixed_design
from pmsstats.models.mixed.mixed_scale import StandardScale, standardise
from pmsstats.models.pairs.pair_spec import PairSpec
from pmsstats.results import Exclusion, exclude

__all__ = ["PairDesign", "build_pair_design"]

_ROW = "row number of the pair model"


@dataclass(frozen=True, eq=False, kw_only=True)
class PairDesign:
    """The rows and columns of both outcomes.

    Parameters
    ----------
    designs : tuple of MixedDesign
        Of each outcome, with the rows that have it.
    standard : tuple of MixedArrays
        The same numbers on the common scale.
    scales : tuple of StandardScale
        The way back of each.
    sums : PairSums
        All that the likelihood needs.
    subject_ids : tuple
        Subject id of each subject number.
    has : ndarray of bool, shape (2, n_subjects)
        Who has each outcome.
    exclusions : tuple of Exclusion
        Rows that were left out, by outcome, and subjects that have neither.
    notes : tuple of str
        What a reader should know.
    """

    designs: tuple[MixedDesign, MixedDesign]
    standard: tuple[MixedArrays, MixedArrays]
    scales: tuple[StandardScale, StandardScale]
    sums: PairSums
    subject_ids: tuple[Any, ...]
    has: np.ndarray
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]

    @property
    def n_subjects(self) -> int:
        """Return the number of subjects with at least one outcome."""
        return len(self.subject_ids)

    @property
    def n_both(self) -> int:
        """Return the number of subjects with both outcomes."""
        return int(self.has.all(axis=0).sum())

    @property
    def n_obs(self) -> tuple[int, int]:
        """Return the number of rows of each outcome."""
        return self.designs[0].arrays.n_obs, self.designs[1].arrays.n_obs

    @property
    def random_names(self) -> tuple[tuple[int, str], ...]:
        """Return outcome number and name of each random effect."""
        return tuple(
            (k, name) for k, design in enumerate(self.designs) for name in design.random_names
        )

    def random_map(self) -> np.ndarray:
        """Return the map of random effects from the common scale to the user's units: (q, q)."""
        sizes = self.sums.sizes
        B = np.zeros((sum(sizes),) * 2)
        start = 0
        for size, scale in zip(sizes, self.scales, strict=True):
            part = slice(start, start + size)
            B[part, part] = scale.random(np.eye(size)).T
            start += size
        return B

    def fixed_map(self) -> tuple[np.ndarray, np.ndarray]:
        """Return offset (p,) and linear map (p, p) of fixed effects to the user's units."""
        sizes = [len(scale.offset) for scale in self.scales]
        T = np.zeros((sum(sizes),) * 2)
        start = 0
        for size, scale in zip(sizes, self.scales, strict=True):
            part = slice(start, start + size)
            T[part, part] = scale.scale * np.linalg.solve(scale.R, np.eye(size))
            start += size
        return np.concatenate([scale.offset for scale in self.scales]), T

    def residual_scale(self) -> np.ndarray:
        """Return what residual variances (and their covariance) are multiplied by: (2,) or (3,)."""
        a, b = (scale.scale for scale in self.scales)
        return np.array([a * a, b * b, a * b])[: self.sums.n_residual]

    def log_likelihood(self, value: float) -> float:
        """Return a log-likelihood of the outcomes in the user's units.

        Parameters
        ----------
        value : float
            On the common scale.
        """
        for scale, n_obs in zip(self.scales, self.n_obs, strict=True):
            value = scale.log_likelihood(value, n_obs=n_obs, reml=self.sums.is_reml)
        return value


def build_pair_design(data: pd.DataFrame, spec: PairSpec) -> PairDesign:
    """Make the rows and columns of both outcomes, and refuse what cannot be estimated.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per visit.
    spec : PairSpec
        The request.

    Returns
    -------
    PairDesign
        Each outcome with the rows that have it.

    Raises
    ------
    DesignError
        If one outcome cannot be modelled alone, too few subjects have both, or correlated
        residuals are asked for and no visit has both.
    """
    if not isinstance(data, pd.DataFrame):
        raise DesignError(
            "`data` must be a pandas DataFrame with one row per visit, such as cohort.visits, got "
            f"{type(data).__name__}."
        )
    numbered = data.assign(**{_ROW: np.arange(len(data))})
    first, second = (build_mixed_design(numbered, model) for model in spec.models())
    designs = (_without_row_number(first), _without_row_number(second))
    ids = tuple(dict.fromkeys([*first.subject_ids, *second.subject_ids]))
    number = {value: i for i, value in enumerate(ids)}
    codes = [np.array([number[i] for i in d.subject_ids])[d.arrays.subject] for d in designs]
    has = np.zeros((2, len(ids)), dtype=bool)
    for k in (0, 1):
        has[k, codes[k]] = True
    standard, scales = zip(*(standardise(d.arrays) for d in designs), strict=True)
    rows = [
        OutcomeRows(
            y=a.y, X=a.X, Z=a.Z, subject=code, visit=d.rows[_ROW].to_numpy()
        )
        for a, code, d in zip(standard, codes, (first, second), strict=True)
    ]  # fmt: skip
    _check_both(spec, has, sum(a.Z.shape[1] for a in standard))
    _check_shared(spec, rows)
    return PairDesign(
        designs=designs,
        standard=standard,
        scales=scales,
        sums=pair_sums(
            *rows,
            n_subjects=len(ids),
            residual_correlation=spec.residual_correlation,
            is_reml=spec.method == "REML",
        ),
        subject_ids=ids,
        has=has,
        exclusions=_exclusions(spec, designs, set(ids)),
        notes=_notes(spec, designs, has),
    )


def _without_row_number(design: MixedDesign) -> MixedDesign:
    """Take the row number out of the rows, and look for repeated rows without it."""
    rows = design.rows.drop(columns=_ROW)
    notes = (*design.notes, *repeated_rows(rows, design.arrays, design.group))
    return replace(design, rows=rows, notes=notes)


def _check_both(spec: PairSpec, has: np.ndarray, q: int) -> None:
    """Refuse too few subjects with both outcomes."""
    n_both = int(has.all(axis=0).sum())
    if n_both <= q:
        first, second = spec.outcomes
        raise DesignError(
            f"{n_both} subject(s) have both {first} and {second} ({int(has[0].sum())} the first, "
            f"{int(has[1].sum())} the second), which cannot determine how {q} random effects go "
            "together. More subjects must have both outcomes, or leave out random effects."
        )


def _check_shared(spec: PairSpec, rows: list[OutcomeRows]) -> None:
    """Refuse correlated residuals without visits that have both outcomes."""
    if not spec.residual_correlation:
        return
    shared = int(np.isin(rows[0].visit, rows[1].visit).sum())
    if shared < 3:
        raise DesignError(
            f"`residual_correlation` needs visits (rows) with both outcomes, and {shared} have "
            "them. Put both outcomes of a visit into one row, or leave it out."
        )


def _exclusions(
    spec: PairSpec, designs: tuple[MixedDesign, MixedDesign], kept: set[Any]
) -> tuple[Exclusion, ...]:
    """List rows left out of each outcome; a subject is left out only without either outcome."""
    rows, lost = [], []
    kept_text = {str(i) for i in kept}
    for name, design in zip(spec.outcomes, designs, strict=True):
        for e in design.exclusions:
            if e.unit == "subject":
                lost += [i for i in e.subject_ids if i not in kept_text]
            else:
                rows.append(replace(e, stage=f"pair model, {name}"))
    stage = f"pair model of {' and '.join(spec.outcomes)}"
    return (*rows, *exclude(stage, "subject", "no complete row", dict.fromkeys(lost)))


def _notes(
    spec: PairSpec, designs: tuple[MixedDesign, MixedDesign], has: np.ndarray
) -> tuple[str, ...]:
    """Say who has one outcome only, and what each model dropped."""
    notes = []
    for k, name in enumerate(spec.outcomes):
        alone = int((has[k] & ~has[1 - k]).sum())
        if alone:
            notes.append(f"{alone} subject(s) have {name} only")
    for name, design in zip(spec.outcomes, designs, strict=True):
        notes += [f"{name}: {note}" for note in design.notes]
    return tuple(notes)
