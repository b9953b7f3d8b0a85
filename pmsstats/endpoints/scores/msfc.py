"""The Multiple Sclerosis Functional Composite: z-scores of leg, arm, cognition and vision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.endpoints.scores.reference_population import (
    REFERENCE_POPULATIONS,
    ReferencePopulation,
    reference_from_baseline,
    reference_from_table,
)
from pmsstats.endpoints.scores.timed_test_spec import HandMean
from pmsstats.endpoints.scores.timed_tests import failed_column, mean_of_hands
from pmsstats.endpoints.scores.visit_columns import number_column, require_visits
from pmsstats.errors import DesignError, first_ids, nearest
from pmsstats.plots.trajectories import plot_trajectories
from pmsstats.results import Exclusion, Result, exclude, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin

__all__ = ["MSFC_VARIANTS", "MSFCResult", "derive_msfc"]

_STAGE = "MSFC"
_DIMENSIONS: Mapping[str, str] = MappingProxyType(
    {
        "t25fw_s": "leg_z", "nhpt_per_s": "arm_z", "pasat3": "cognition_z", "sdmt": "cognition_z",
        "lcla_letters": "vision_z",
    }
)  # fmt: skip
_LOWER_IS_BETTER = frozenset({"t25fw_s"})
_HANDS = ("nhpt_dominant_s", "nhpt_nondominant_s")

MSFC_VARIANTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "msfc3": ("t25fw_s", "nhpt_per_s", "pasat3"),
        "msfc3_sdmt": ("t25fw_s", "nhpt_per_s", "sdmt"),
        "msfc4": ("t25fw_s", "nhpt_per_s", "pasat3", "lcla_letters"),
        "msfc4_sdmt": ("t25fw_s", "nhpt_per_s", "sdmt", "lcla_letters"),
    }
)
"""Components of each variant.

SDMT in place of PASAT: Drake AS, et al. Psychometrics and normative data for the Multiple
Sclerosis Functional Composite: replacing the PASAT with the Symbol Digit Modalities Test. Mult
Scler 2010;16:228-237. doi:10.1177/1352458509354552. Contrast letter acuity as fourth component:
Balcer LJ, et al. Contrast letter acuity as a visual component for the Multiple Sclerosis
Functional Composite. Neurology 2003;61:1367-1373. doi:10.1212/01.WNL.0000094315.19931.90
"""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MSFCResult(Result):
    """MSFC z-scores of visits.

    Parameters
    ----------
    visits : pandas.DataFrame
        The visits with ``leg_z arm_z cognition_z`` (and ``vision_z``) and ``msfc_z``: higher is
        better.
    variant : str
        Key in :data:`MSFC_VARIANTS`.
    reference : ReferencePopulation
        Means and SDs that were used.
    hands : {"mean_of_reciprocals", "mean_of_times"}
        How the two hands became one.
    missing : {"missing", "available"}
        What happened where a component is missing.
    components : tuple of str
        The z columns that make the score.
    n_subjects : int
        Subjects with a score.
    n_visits : int
        Visits with a score.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Visits without a score and subjects without a place in the reference, with reasons.
    """

    visits: pd.DataFrame
    variant: str
    reference: ReferencePopulation
    hands: HandMean
    missing: Literal["missing", "available"]
    components: tuple[str, ...]
    n_subjects: int
    n_visits: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how many visits have a score, against which reference, and their mean."""
        where = "In synthetic data, " if self.origin == "synthetic" else ""
        n = self.reference.n_subjects
        who = f"{self.reference.name} (n = {n})" if n is not None else self.reference.name
        mean = format_number(float(self.visits["msfc_z"].mean()), 3)
        return (
            f"{where}{self.variant} z-scores of {self.n_visits} of {len(self.visits)} visits of "
            f"{self.n_subjects} subjects, against the reference {who}; mean {mean}."
        )

    def table(self) -> pd.DataFrame:
        """Return the scores, one row per visit that has one.

        Returns
        -------
        pandas.DataFrame
            Columns ``subject_id day``, one per component, and ``msfc_z``.
        """
        columns = ["subject_id", "day", *self.components, "msfc_z"]
        return self.visits.loc[self.visits["msfc_z"].notna(), columns].reset_index(drop=True)

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the course of each subject; ``measure=`` draws a component instead."""
        measure = kws.pop("measure", "msfc_z")
        frame = self.visits[["subject_id"]].assign(
            year=self.visits["day"].to_numpy(dtype=float) / 365.25,
            value=self.visits[measure].to_numpy(dtype=float),
        )
        options = {"y_label": f"{measure} (higher is better)", "origin": self.origin}
        return plot_trajectories(frame.dropna(), ax=ax, **{**options, **kws})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "msfc_result/1",
            "headline": self.headline(),
            "variant": self.variant,
            "reference": to_plain(self.reference),
            "hands": self.hands,
            "missing": self.missing,
            "scores": to_plain(self.table()),
            "n_subjects": self.n_subjects,
            "n_visits": self.n_visits,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def derive_msfc(
    visits: pd.DataFrame,
    reference: str | ReferencePopulation | pd.DataFrame = "baseline",
    *,
    variant: str = "msfc3",
    hands: HandMean = "mean_of_reciprocals",
    missing: Literal["missing", "available"] = "missing",
    failure_z: Mapping[str, float] | None = None,
    baseline_window_days: int = 0,
    complete_reference: bool = False,
    origin: Origin = "real",
) -> MSFCResult:
    """Derive the Multiple Sclerosis Functional Composite.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per visit: ``subject_id``, ``day``, ``t25fw_s`` (seconds, mean of the trials),
        ``nhpt_dominant_s`` and ``nhpt_nondominant_s`` (seconds, means of the trials), and
        ``pasat3`` or ``sdmt`` and ``lcla_letters``, as the variant needs; see
        :func:`~pmsstats.endpoints.scores.timed_tests.derive_timed_tests`.
    reference : str, ReferencePopulation or pandas.DataFrame, default "baseline"
        ``"baseline"`` (the data themselves, see :func:`~pmsstats.endpoints.scores.
        reference_population.reference_from_baseline`), ``"task_force"`` (National MS Society
        Task Force), a population of your own, or its table ``component mean sd``.
    variant : str, default "msfc3"
        Key in :data:`MSFC_VARIANTS`.
    hands : {"mean_of_reciprocals", "mean_of_times"}, default "mean_of_reciprocals"
        Whether the arm is the mean of ``1 / time`` of both hands, as in the manual, or
        ``1 / mean time``. A published reference is of the first kind.
    missing : {"missing", "available"}, default "missing"
        Whether a visit without one of the components has no score, or the mean of the others.
    failure_z : mapping of str to float, optional
        z-scores of tests that could not be done, for example ``{"leg_z": -13.7}``, where the
        visits say so (``t25fw_failed`` and so on; for the arm, of both hands). By default the
        values in the visits count.
    baseline_window_days : int, default 0
        For ``"baseline"``: a first assessment up to so many days after day 0 serves a subject
        who has none before.
    complete_reference : bool, default False
        For ``"baseline"``: whether only subjects with every component belong to the reference.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; synthetic ones are labelled.

    Returns
    -------
    MSFCResult
        The visits with z-scores, the reference, and what is left out.

    Raises
    ------
    DesignError
        If a column is absent or holds no numbers, a time is not above 0, an option is unknown,
        the reference lacks a component, `failure_z` names none, or the visits have z-scores.

    Notes
    -----
    With mean ``m`` and SD ``s`` of the reference [1]_,

    ``leg_z = -(t25fw_s - m) / s``,
    ``arm_z = ((1 / nhpt_dominant_s + 1 / nhpt_nondominant_s) / 2 - m) / s``,
    ``cognition_z = (pasat3 - m) / s``, ``vision_z = (lcla_letters - m) / s``,

    and ``msfc_z`` is the mean of them. Higher is better: 1 is one SD better than the reference,
    on average. Scores against different references cannot be compared, and the mean of what is
    available is not the score that a patient would have had.

    References
    ----------
    .. [1] Fischer JS, Rudick RA, Cutter GR, Reingold SC. The Multiple Sclerosis Functional
       Composite measure (MSFC): an integrated approach to MS clinical outcome assessment. Mult
       Scler 1999;5:244-250.

    Examples
    --------
    >>> visits = pd.DataFrame(
    ...     {
    ...         "subject_id": ["S1"],
    ...         "day": [0],
    ...         "t25fw_s": [9.5353],
    ...         "nhpt_dominant_s": [1 / 0.0439],
    ...         "nhpt_nondominant_s": [1 / 0.0439],
    ...         "pasat3": [45.0311 + 12.0771],
    ...     }
    ... )
    >>> derive_msfc(visits, "task_force").visits["msfc_z"].round(6).tolist()
    [0.333333]
    """
    components = _variant(variant)
    _check_options(hands, missing)
    prepared = _components(visits, components, hands)
    chosen, lost = _reference(
        visits, prepared, reference, baseline_window_days, complete=complete_reference
    )
    z = _standardised(visits, prepared, chosen, dict(failure_z or {}))
    names = list(z.columns)
    score = z.mean(axis=1, skipna=missing == "available").to_numpy()
    _refuse_overwriting(visits, [*names, "msfc_z"])
    frame = visits.assign(**{name: z[name].to_numpy() for name in names}, msfc_z=score)
    return MSFCResult(
        visits=frame,
        variant=variant,
        reference=chosen,
        hands=hands,
        missing=missing,
        components=tuple(names),
        n_subjects=int(visits["subject_id"][~np.isnan(score)].nunique()),
        n_visits=int((~np.isnan(score)).sum()),
        origin=origin,
        exclusions=(*lost, *_left_out(visits["subject_id"], prepared, score)),
    )


def _variant(variant: str) -> tuple[str, ...]:
    """Return the components of a variant."""
    if variant not in MSFC_VARIANTS:
        raise DesignError(
            f"`variant` must be one of {', '.join(MSFC_VARIANTS)}, got {variant!r}."
            f"{nearest(str(variant), MSFC_VARIANTS)}"
        )
    return MSFC_VARIANTS[variant]


def _check_options(hands: str, missing: str) -> None:
    """Refuse unknown options."""
    for name, value, options in (
        ("hands", hands, ("mean_of_reciprocals", "mean_of_times")),
        ("missing", missing, ("missing", "available")),
    ):
        if value not in options:
            raise DesignError(
                f"`{name}` must be {' or '.join(map(repr, options))}, got {value!r}."
                f"{nearest(str(value), options)}"
            )


def _components(visits: pd.DataFrame, components: tuple[str, ...], hands: HandMean) -> pd.DataFrame:
    """Return the components as they are standardised, one column each."""
    needed = [name for name in components if name != "nhpt_per_s"]
    require_visits(visits, [*needed, *_HANDS])
    columns = {name: number_column(visits, name) for name in (*needed, *_HANDS)}
    for name in ("t25fw_s", *_HANDS):
        wrong = columns[name] <= 0
        if wrong.any():
            raise DesignError(
                f"{name} must be a time above 0, but is {columns[name][wrong][0]:g} at "
                f"{int(wrong.sum())} visit(s), of {first_ids(visits['subject_id'][wrong])}."
            )
    columns["nhpt_per_s"] = 1 / mean_of_hands(*(columns[hand] for hand in _HANDS), hands=hands)
    return pd.DataFrame({name: columns[name] for name in components})


def _reference(
    visits: pd.DataFrame,
    prepared: pd.DataFrame,
    reference: str | ReferencePopulation | pd.DataFrame,
    window_days: int,
    *,
    complete: bool,
) -> tuple[ReferencePopulation, tuple[Exclusion, ...]]:
    """Return the reference that is asked for."""
    if isinstance(reference, ReferencePopulation):
        return reference, ()
    if isinstance(reference, pd.DataFrame):
        return reference_from_table(reference), ()
    if reference == "baseline":
        keys = visits[["subject_id", "day"]].reset_index(drop=True)
        found = reference_from_baseline(
            keys.join(prepared), list(prepared.columns), window_days=window_days, complete=complete
        )
        return found.reference, found.exclusions
    options = ("baseline", *REFERENCE_POPULATIONS)
    if reference not in REFERENCE_POPULATIONS:
        raise DesignError(
            f"`reference` must be one of {', '.join(options)}, a ReferencePopulation or a table, "
            f"got {reference!r}.{nearest(str(reference), options)}"
        )
    return REFERENCE_POPULATIONS[reference], ()


def _standardised(
    visits: pd.DataFrame,
    prepared: pd.DataFrame,
    reference: ReferencePopulation,
    failure_z: dict[str, float],
) -> pd.DataFrame:
    """Return the z-scores, higher better, in columns named by dimension."""
    unknown = [name for name in failure_z if name not in {_DIMENSIONS[c] for c in prepared}]
    if unknown:
        options = [_DIMENSIONS[c] for c in prepared]
        raise DesignError(
            f"`failure_z` names {unknown[0]!r}, which is none of {', '.join(options)}."
            f"{nearest(unknown[0], options)}"
        )
    z = {}
    for component in prepared.columns:
        name = _DIMENSIONS[component]
        sign = -1.0 if component in _LOWER_IS_BETTER else 1.0
        deviation = prepared[component].to_numpy() - reference.mean(component)
        z[name] = sign * deviation / reference.sd(component)
        if name in failure_z:
            z[name] = np.where(_failed(visits, component), failure_z[name], z[name])
    return pd.DataFrame(z)


def _failed(visits: pd.DataFrame, component: str) -> NDArray[np.bool_]:
    """Say where the visits tell that a test could not be done."""
    tests = _HANDS if component == "nhpt_per_s" else (component.removesuffix("_letters"),)
    columns = [failed_column(test) for test in tests]
    require_visits(visits, columns)
    flags = visits[columns].astype("boolean").fillna(value=False)
    return flags.all(axis=1).to_numpy(dtype=bool)


def _refuse_overwriting(visits: pd.DataFrame, names: list[str]) -> None:
    """Refuse z columns that stand in the data already."""
    there = [name for name in names if name in visits.columns]
    if there:
        raise DesignError(
            f"`visits` already has the column {there[0]!r}, which is derived here. Drop it, or "
            "give it another name."
        )


def _left_out(
    ids: pd.Series, prepared: pd.DataFrame, score: NDArray[np.float64]
) -> tuple[Exclusion, ...]:
    """Count visits without a score by what they lack, each once."""
    lacking = prepared.isna().to_numpy() & np.isnan(score)[:, None]
    pattern = lacking @ (1 << np.arange(lacking.shape[1]))
    found: tuple[Exclusion, ...] = ()
    for code in np.unique(pattern[pattern > 0]):
        here = pattern == code
        names = prepared.columns[lacking[here.argmax()]]
        found += exclude(_STAGE, "visit", f"no {' and no '.join(names)}", ids[here])
    return found
