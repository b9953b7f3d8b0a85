"""Histories of subjects, of the fit or new, as a joint model reads them at a landmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids
from pmsstats.models.formulas.formula import formula_variables
from pmsstats.models.joint.data import JointData, marker_variables, subject_covariates
from pmsstats.models.joint.event_data import EventData
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.models.joint.result import JointResult
    from pmsstats.models.joint.spec import JointSpec
    from pmsstats.models.mixed.lmm import LMMSpec

__all__ = ["prepare_history"]

_STAGE = "joint prediction"


def prepare_history(
    fit: JointResult,
    longitudinal: pd.DataFrame,
    survival: pd.DataFrame | None,
    *,
    landmark: float,
) -> JointData:
    """Check histories, and cut them at a landmark.

    Parameters
    ----------
    fit : JointResult
        The model.
    longitudinal : pandas.DataFrame
        Measurements.
    survival : pandas.DataFrame or None
        One row per subject to predict, with the baseline covariates of the hazard. By default the
        subjects of `longitudinal`, with the covariates that they have in the data of the fit.
    landmark : float
        Measurements after it are not used, and counted.

    Returns
    -------
    JointData
        Subjects who are at risk after the landmark as far as the tables tell, without event.

    Raises
    ------
    DesignError
        If a column is missing, a subject stands twice in `survival`, a new subject has no
        covariates, or nobody is left.
    """
    spec = fit.spec
    rows, exclusions = _measurements(longitudinal, survival, spec, landmark)
    subjects, lost = _subjects(fit, longitudinal, survival, landmark)
    exclusions += lost
    own = rows[rows[spec.subject].isin(subjects[spec.subject])]
    strange = rows.loc[~rows.index.isin(own.index), spec.subject]
    exclusions += exclude(_STAGE, "row", "subject is not to be predicted", strange)
    covariates = _covariates(own, subjects, spec)
    needed = subjects[list(spec.hazard_variables)]
    complete = covariates.notna().all(axis=1).to_numpy() & needed.notna().all(axis=1).to_numpy()
    ids = subjects[spec.subject]
    exclusions += exclude(_STAGE, "subject", "a covariate is missing", ids[~complete])
    if not complete.any():
        raise DesignError(
            f"Nobody to predict at landmark {landmark:g}: of {len(ids)} subject(s) every one lacks "
            f"a covariate ({', '.join([*covariates.columns, *needed.columns])})."
        )
    kept = subjects[complete].reset_index(drop=True)
    made = [_of_marker(own, marker, kept[spec.subject], spec) for marker in spec.markers]
    n = len(kept)
    return JointData(
        events=EventData(
            ids=tuple(kept[spec.subject].tolist()),
            frame=kept,
            lower=np.full(n, float(landmark)),
            upper=np.full(n, np.inf),
            cause=np.full(n, -1),
            causes=fit.design.causes,
            entry=np.zeros(n),
        ),
        covariates=covariates[complete].reset_index(drop=True),
        rows=tuple(frame for frame, _, _ in made),
        codes=tuple(code for _, code, _ in made),
        exclusions=exclusions + tuple(e for _, _, lost in made for e in lost),
        notes=(),
    )


def _measurements(
    longitudinal: pd.DataFrame, survival: pd.DataFrame | None, spec: JointSpec, landmark: float
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Take the columns that the markers need, up to the landmark."""
    for name in (spec.subject, spec.time):
        if name not in longitudinal.columns:
            raise DesignError(
                f"`longitudinal` needs the column {name!r}. It has: "
                f"{', '.join(map(str, longitudinal.columns[:12]))}."
            )
    needed = dict.fromkeys([spec.subject, spec.time])
    for marker in spec.markers:
        needed |= dict.fromkeys(formula_variables(marker.outcome))
        needed |= dict.fromkeys(marker_variables(marker, time=spec.time))
    here = [name for name in needed if name in longitudinal.columns]
    rows = longitudinal[here].reset_index(drop=True)
    elsewhere = [n for n in needed if n not in here and survival is not None and n in survival]
    absent = [n for n in needed if n not in here and n not in elsewhere]
    if absent:
        raise DesignError(
            f"The marker's model needs the column {absent[0]!r}, which is in neither table."
        )
    if elsewhere and survival is not None:
        once = survival.drop_duplicates(spec.subject).set_index(spec.subject)[elsewhere]
        rows = rows.join(once, on=spec.subject)
    time = pd.to_numeric(rows[spec.time], errors="coerce").to_numpy(dtype=float)
    unknown = np.isnan(time) | rows[spec.subject].isna().to_numpy()
    late = time > landmark
    exclusions = exclude(
        _STAGE, "row", f"no {spec.time} or no {spec.subject}", rows.loc[unknown, spec.subject]
    )
    exclusions += exclude(
        _STAGE,
        "row",
        f"measured after the landmark {landmark:g}: not used",
        rows.loc[late & ~unknown, spec.subject],
    )
    return rows[~late & ~unknown], exclusions


def _subjects(
    fit: JointResult, longitudinal: pd.DataFrame, survival: pd.DataFrame | None, landmark: float
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """List who is to be predicted, with covariates of the hazard."""
    spec = fit.spec
    if survival is None:
        survival = _known_subjects(fit, longitudinal)
    for name in (spec.subject, *spec.hazard_variables):
        if name not in survival.columns:
            raise DesignError(
                f"`survival` needs the column {name!r}, which the hazard uses. It has: "
                f"{', '.join(map(str, survival.columns[:12]))}."
            )
    ids = survival[spec.subject]
    if ids.duplicated().any():
        twice = ids[ids.duplicated()]
        raise DesignError(
            f"`survival` must hold one row per subject, but {twice.nunique()} stand there more "
            f"than once ({first_ids(twice)})."
        )
    end = spec.lower if spec.is_interval_censored else spec.duration
    if end not in survival.columns:
        return survival.reset_index(drop=True), ()
    gone = survival[end].to_numpy(dtype=float) <= landmark
    if landmark == 0:
        gone &= False
    reason = f"not at risk after the landmark {landmark:g}"
    lost = exclude(_STAGE, "subject", reason, ids[gone])
    if gone.all():
        raise DesignError(
            f"Nobody is at risk after landmark {landmark:g}: the longest `{end}` is "
            f"{survival[end].max():g}. Choose an earlier landmark, in the unit of the durations."
        )
    return survival[~gone].reset_index(drop=True), lost


def _known_subjects(fit: JointResult, longitudinal: pd.DataFrame) -> pd.DataFrame:
    """Take the rows that subjects have in the survival table of the fit."""
    spec = fit.spec
    ids = longitudinal[spec.subject].dropna().drop_duplicates()
    known = fit.data.events.frame
    is_new = ~ids.isin(known[spec.subject])
    if is_new.any() and spec.hazard_variables:
        raise DesignError(
            f"{int(is_new.sum())} subject(s) ({first_ids(ids[is_new])}) are not among those of the "
            f"fit, and the hazard needs their {', '.join(spec.hazard_variables)}: give `survival`, "
            "a table with one row per subject."
        )
    if is_new.any():
        return pd.DataFrame({spec.subject: ids})
    place = pd.Index(known[spec.subject]).get_indexer(ids)
    return known.iloc[place].reset_index(drop=True)


def _covariates(rows: pd.DataFrame, subjects: pd.DataFrame, spec: JointSpec) -> pd.DataFrame:
    """Take each subject's covariates of the markers: from its rows, else from its own."""
    ids = subjects[spec.subject].tolist()
    found = subject_covariates(rows, ids, spec).reset_index(drop=True)
    for name in found.columns:
        if name in subjects.columns:
            own = subjects[name].reset_index(drop=True)
            found[name] = found[name].where(found[name].notna(), own)
    return found


def _of_marker(
    rows: pd.DataFrame, marker: LMMSpec, ids: pd.Series, spec: JointSpec
) -> tuple[pd.DataFrame, np.ndarray, tuple[Exclusion, ...]]:
    """Take the complete measurements of one marker, sorted by subject."""
    known = rows[rows[spec.subject].isin(ids)]
    names = [*formula_variables(marker.outcome), *marker_variables(marker, time=spec.time)]
    complete = known[names].notna().all(axis=1)
    lost = exclude(_STAGE, "row", f"no {marker.outcome}", known.loc[~complete, spec.subject])
    known = known[complete]
    code: Any = pd.Index(ids).get_indexer(known[spec.subject])
    order = np.argsort(code, kind="stable")
    return known.iloc[order].reset_index(drop=True), code[order].astype(int), lost
