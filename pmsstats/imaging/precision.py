"""How precisely a marker is measured: from scan-rescan data, or from visits around a trend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.errors import DesignError, first_ids
from pmsstats.imaging.limits_of_agreement import limits_of_agreement
from pmsstats.imaging.precision_result import PrecisionResult
from pmsstats.imaging.reliability import (
    Estimate,
    icc_absolute,
    icc_consistency,
    icc_one_way,
    one_way,
    sd_interval,
    two_way,
)
from pmsstats.imaging.spec_options import as_spec
from pmsstats.models.formulas.columns import sum_by_subject, within_subjects
from pmsstats.models.formulas.design import complete_rows, require_columns
from pmsstats.results import Exclusion

if TYPE_CHECKING:
    from pmsstats.provenance import Origin

__all__ = ["PrecisionResult", "PrecisionSpec", "estimate_precision"]


@dataclass(frozen=True, kw_only=True)
class PrecisionSpec:
    """Which repeated measurements are looked at, and how.

    Parameters
    ----------
    measures : tuple of str
        Columns of measurements.
    subject : str, default "subject_id"
        Column that tells subjects apart.
    replicate : str, optional
        Column that tells a subject's measurements apart (first and second scan; scanner; rater)
        and means the same in every subject. Without one they are taken as exchangeable.
    time : str, optional
        Column of time: variation is taken around each subject's own straight line, so that real
        change over follow-up does not count as error.
    coverage : float, default 0.95
        Share of differences between two measurements that the minimal detectable change and the
        limits of agreement cover.
    conf_level : float, default 0.95
        Of every interval.

    Raises
    ------
    DesignError
        If a field is outside of its range, or `replicate` and `time` are both given.
    """

    measures: tuple[str, ...]
    subject: str = "subject_id"
    replicate: str | None = None
    time: str | None = None
    coverage: float = 0.95
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check every field."""
        if not isinstance(self.measures, tuple) or not self.measures:
            raise DesignError(f"`measures` must be a tuple of columns, got {self.measures!r}.")
        if len(set(self.measures)) < len(self.measures):
            raise DesignError(f"`measures` names a column twice: {', '.join(self.measures)}.")
        if self.replicate is not None and self.time is not None:
            raise DesignError(
                "Give `replicate` (repeats of one occasion) or `time` (visits along a trend), "
                "not both."
            )
        for name in ("coverage", "conf_level"):
            value = getattr(self, name)
            if not isinstance(value, float) or not 0.5 <= value < 1:
                raise DesignError(f"`{name}` must be at least 0.5 and below 1, got {value!r}.")


def estimate_precision(
    data: pd.DataFrame,
    measures: PrecisionSpec | str | Sequence[str],
    *,
    dictionary: Mapping[str, Measure] | None = None,
    origin: Origin = "real",
    prior_exclusions: Sequence[Exclusion] = (),
    **options: Any,
) -> PrecisionResult:
    """Estimate measurement error, reliability and the smallest change that can be detected.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per measurement occasion, with several rows per subject.
    measures : PrecisionSpec or str or sequence of str
        What is asked, or one or several columns (each is looked at on its own rows).
    dictionary : mapping of str to Measure, optional
        For labels, units and scales; the package's own by default.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from.
    prior_exclusions : sequence of Exclusion
        What earlier steps left out.
    **options
        With columns: the other fields of :class:`PrecisionSpec` (`subject`, `replicate`, `time`,
        `coverage`, `conf_level`). Not with a spec, which has them.

    Returns
    -------
    PrecisionResult
        One row per measure and quantity.

    Raises
    ------
    DesignError
        If `options` are given beside a spec, a column is absent or holds no numbers, no subject
        has enough measurements, or a subject has two rows of one replicate.

    Notes
    -----
    Quantities, per measure (normal errors of the same size in everybody):

    - ``within_sd``: pooled SD of a subject's measurements around their mean (a shift between
      sessions counts as error) or, with `time`, around their line; chi-squared interval, exact.
      With `time` in balanced data it is the residual SD of the random-slope model (R:
      ``sigma(lme4::lmer(y ~ t + (t | id)))``), and does not need slopes to be normal.
    - ``mdc``: minimal detectable change ``z sqrt(2) within_sd``: the repeatability coefficient
      [1]_. A change of one person by less is within measurement error.
    - ``cv_rms_pct``: root mean square of subjects' coefficients of variation, weighted by their
      degrees of freedom [2]_, with a chi-squared interval; ``cv_log_pct``: ``100 (exp(s) - 1)``
      with ``s`` the within-subject SD of the logarithms, exact interval. Both only for measures
      above zero on a scale with a true zero (as the data dictionary says; of measures that it
      does not know, values above zero are taken for a sign of one).
    - ``between_sd``, ``icc_1_1``, ``icc_a_1``, ``icc_c_1``: see
      :mod:`pmsstats.imaging.reliability`. The two-way ones need `replicate`, and subjects with
      all of them.
    - ``bias``, ``loa_lower``, ``loa_upper``, with two replicates: second less first, see
      :mod:`pmsstats.imaging.limits_of_agreement`.

    Subjects may have different numbers of measurements: the one-way quantities use all of them.

    References
    ----------
    .. [1] Bland JM, Altman DG. Measuring agreement in method comparison studies. Stat Methods Med
       Res 1999;8:135-160. doi:10.1177/096228029900800204.
    .. [2] Gluer CC, Blake G, Lu Y, et al. Accurate assessment of precision errors: how to measure
       the reproducibility of bone densitometry techniques. Osteoporos Int 1995;5:262-270.
       doi:10.1007/BF01774016.

    Examples
    --------
    >>> scans = pd.DataFrame(
    ...     {
    ...         "subject_id": ["a", "a", "b", "b", "c", "c"],
    ...         "scan": [1, 2] * 3,
    ...         "thalamus_ml": [14.0, 14.2, 15.1, 15.0, 12.9, 13.1],
    ...     }
    ... )
    >>> found = estimate_precision(scans, "thalamus_ml", replicate="scan")
    >>> round(found.value("thalamus_ml", "within_sd"), 4)
    0.1225
    """
    spec = as_spec(PrecisionSpec, measures, options)
    known = default_dictionary() if dictionary is None else dictionary
    parts = [_Part.of(data, name, spec, known.get(name)) for name in spec.measures]
    return PrecisionResult(
        spec=spec,
        estimates=pd.concat([part.table(spec) for part in parts], ignore_index=True),
        pairs=pd.concat([part.pairs(spec) for part in parts], ignore_index=True),
        labels={p.name: p.measure.label if p.measure else p.name for p in parts},
        units={p.name: p.measure.unit if p.measure else "" for p in parts},
        n_subjects=len({s for part in parts for s in part.ids}),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes(spec))),
        origin=origin,
        exclusions=(*prior_exclusions, *(e for part in parts for e in part.exclusions)),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Part:
    """The measurements of one measure."""

    name: str
    measure: Measure | None
    rows: pd.DataFrame
    values: np.ndarray
    subject: np.ndarray
    ids: tuple[object, ...]
    exclusions: tuple[Exclusion, ...]

    @classmethod
    def of(
        cls, data: pd.DataFrame, name: str, spec: PrecisionSpec, measure: Measure | None
    ) -> _Part:
        """Take the complete rows of one measure, and check them."""
        others = [c for c in (spec.replicate, spec.time) if c is not None]
        require_columns(data, [name, spec.subject, *others])
        for column in [name, *([spec.time] if spec.time else [])]:
            kind = data[column].dtype
            if not pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
                raise DesignError(f"{column!r} must be a column of numbers.")
        rows, lost = complete_rows(
            data, [name, *others], stage=f"precision of {name}", subject=spec.subject
        )
        codes, ids = pd.factorize(rows[spec.subject], sort=False)
        part = cls(
            name=name, measure=measure, rows=rows, values=rows[name].to_numpy(dtype=float),
            subject=codes, ids=tuple(ids), exclusions=lost,
        )  # fmt: skip
        part.check(spec)
        return part

    def check(self, spec: PrecisionSpec) -> None:
        """Refuse what holds no repeated measurement, or no variation."""
        if len(self.values) > 1 and np.ptp(self.values) == 0:
            raise DesignError(f"{self.name!r} is {self.values[0]:g} in every row.")
        if self.df(spec) < 1:
            enough = "three visits at different times" if spec.time else "two measurements"
            raise DesignError(
                f"The precision of {self.name!r} needs subjects with at least {enough}; none of "
                f"{len(self.ids)} subjects has that many ({len(self.rows)} rows)."
            )
        if spec.replicate is None:
            return
        twice = self.rows.duplicated([spec.subject, spec.replicate])
        if twice.any():
            raise DesignError(
                f"Each subject needs one row per {spec.replicate}, but {int(twice.sum())} row(s) "
                f"of {self.name!r} repeat one, of {first_ids(self.rows.loc[twice, spec.subject])}."
            )

    def residuals(self, values: np.ndarray, spec: PrecisionSpec) -> np.ndarray:
        """Return what is left of each value within its subject."""
        return within_subjects(
            (values - values.mean())[:, None], self.columns(spec), self.subject, len(self.ids)
        )[:, 0]

    def columns(self, spec: PrecisionSpec) -> np.ndarray:
        """Return what each subject has of their own: a mean, or a line over time."""
        ones = np.ones(len(self.values))
        if spec.time is None:
            return ones[:, None]
        time = self.rows[spec.time].to_numpy(dtype=float)
        sizes = np.bincount(self.subject)
        time = time - (np.bincount(self.subject, weights=time) / sizes)[self.subject]
        return np.column_stack([ones, time / max(float(np.abs(time).max(initial=0.0)), 1e-300)])

    def subject_df(self, spec: PrecisionSpec) -> np.ndarray:
        """Return each subject's degrees of freedom within."""
        sizes = np.bincount(self.subject)
        if spec.time is None:
            return sizes - 1
        Z = self.columns(spec)
        spread = sum_by_subject(Z[:, 1] ** 2, self.subject, len(self.ids)).ravel()
        return np.asarray(sizes - 1 - (spread > 1e-20))

    def df(self, spec: PrecisionSpec) -> int:
        """Return the degrees of freedom within subjects."""
        return int(self.subject_df(spec).sum())

    @property
    def has_cv(self) -> bool:
        """Return whether a coefficient of variation makes sense."""
        ratio = self.measure is None or (
            self.measure.scale == "ratio" and self.measure.kind == "level"
        )
        return bool(ratio and (self.values > 0).all())

    def notes(self, spec: PrecisionSpec) -> tuple[str, ...]:
        """Say what is missing, and why."""
        said = []
        if not self.has_cv:
            said.append(
                f"no coefficient of variation of {self.name}: its zero is a convention, or some "
                "values are not above it"
            )
        left = len(self.ids) - len(self.complete(spec))
        if spec.replicate is not None and left:
            said.append(f"{left} subject(s) lack some {spec.replicate} of {self.name}")
        return tuple(said)

    def complete(self, spec: PrecisionSpec) -> np.ndarray:
        """Return the complete table of subjects by replicates."""
        if spec.replicate is None:
            return np.empty((0, 0))
        wide = self.rows.pivot_table(
            index=spec.subject, columns=spec.replicate, values=self.name, aggfunc="first",
            observed=True,
        )  # fmt: skip
        return wide.dropna().to_numpy(dtype=float)

    def pairs(self, spec: PrecisionSpec) -> pd.DataFrame:
        """Return mean and difference of the two replicates of each subject, where there are two."""
        table = self.complete(spec)
        if table.ndim != 2 or table.shape[1] != 2:
            table = np.empty((0, 2))
        return pd.DataFrame(
            {
                "term": [self.name] * len(table),
                "mean": table.mean(axis=1),
                "difference": table[:, 1] - table[:, 0],
            }
        )

    def quantities(self, spec: PrecisionSpec) -> list[tuple[str, Estimate, int]]:
        """Return every quantity with the subjects behind it."""
        level, df = spec.conf_level, self.subject_df(spec)
        n_repeated = int((df > 0).sum())
        residuals = self.residuals(self.values, spec)
        sd = sd_interval(float(residuals @ residuals) / df.sum(), df.sum(), level)
        reach = float(stats.norm.ppf(0.5 + spec.coverage / 2)) * np.sqrt(2)
        out = [("within_sd", sd, n_repeated), ("mdc", _times(sd, reach), n_repeated)]
        out += [(name, e, n_repeated) for name, e in self.variations(residuals, df, spec)]
        if spec.time is None:
            out += self.reliability(level)
        if spec.replicate is not None:
            out += self.across_replicates(spec)
        return out

    def variations(
        self, residuals: np.ndarray, df: np.ndarray, spec: PrecisionSpec
    ) -> list[tuple[str, Estimate]]:
        """Return the two coefficients of variation in percent."""
        if not self.has_cv:
            none = Estimate(value=np.nan)
            return [("cv_rms_pct", none), ("cv_log_pct", none)]
        means = np.bincount(self.subject, weights=self.values) / np.bincount(self.subject)
        relative = residuals / means[self.subject]
        rms = sd_interval(float(relative @ relative) / df.sum(), df.sum(), spec.conf_level)
        logs = self.residuals(np.log(self.values), spec)
        log_sd = sd_interval(float(logs @ logs) / df.sum(), df.sum(), spec.conf_level)
        log_cv = Estimate(
            value=100 * float(np.expm1(log_sd.value)),
            low=100 * float(np.expm1(log_sd.low)),
            high=100 * float(np.expm1(log_sd.high)),
            df=log_sd.df,
        )
        return [("cv_rms_pct", _times(rms, 100.0)), ("cv_log_pct", log_cv)]

    def reliability(self, level: float) -> list[tuple[str, Estimate, int]]:
        """Return the one-way quantities that need variation between subjects."""
        anova = one_way(self.values, self.subject)
        if anova.df_between < 1:
            return []
        variance = (anova.ms_between - anova.ms_within) / anova.size
        between = Estimate(value=float(np.sqrt(max(variance, 0.0))))
        n = len(self.ids)
        return [("between_sd", between, n), ("icc_1_1", icc_one_way(anova, level), n)]

    def across_replicates(self, spec: PrecisionSpec) -> list[tuple[str, Estimate, int]]:
        """Return what needs replicates with the same meaning in every subject."""
        table = self.complete(spec)
        n, level = len(table), spec.conf_level
        if n < 2 or table.shape[1] < 2:
            return []
        anova = two_way(table)
        out = [
            ("icc_a_1", icc_absolute(anova, level), n),
            ("icc_c_1", icc_consistency(anova, level), n),
        ]
        if table.shape[1] == 2:
            found = limits_of_agreement(
                table[:, 1] - table[:, 0], np.arange(n), coverage=spec.coverage, conf_level=level
            )
            out += [
                ("bias", found.bias, n),
                ("loa_lower", found.lower, n),
                ("loa_upper", found.upper, n),
            ]
        return out

    def table(self, spec: PrecisionSpec) -> pd.DataFrame:
        """Return the quantities as rows."""
        unit = self.measure.unit if self.measure else ""
        rows = [
            {
                "term": self.name,
                "quantity": name,
                "unit": "%" if name.endswith("_pct") else "" if name.startswith("icc") else unit,
                "estimate": e.value,
                "df": e.df,
                "conf_low": e.low,
                "conf_high": e.high,
                "n_subjects": n,
                "n_obs": len(self.values),
            }
            for name, e, n in self.quantities(spec)
        ]
        return pd.DataFrame(rows)


def _times(e: Estimate, factor: float) -> Estimate:
    """Return an estimate in another unit."""
    return Estimate(value=e.value * factor, low=e.low * factor, high=e.high * factor, df=e.df)
