"""Agreement of two methods that measure the same: bias and limits of agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.errors import DesignError
from pmsstats.imaging.limits_of_agreement import limits_of_agreement
from pmsstats.imaging.spec_options import as_spec
from pmsstats.models.formulas.design import complete_rows, require_columns
from pmsstats.plots.agreement import plot_bland_altman
from pmsstats.results import Exclusion, Result, format_interval, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin

__all__ = ["AgreementResult", "AgreementSpec", "estimate_agreement"]


@dataclass(frozen=True, kw_only=True)
class AgreementSpec:
    """Which two methods are compared.

    Parameters
    ----------
    first, second : str
        Columns; differences are `first` less `second`.
    subject : str, default "subject_id"
        Column that tells subjects apart.
    coverage : float, default 0.95
        Share of differences between the limits.
    conf_level : float, default 0.95
        Of every interval.

    Raises
    ------
    DesignError
        If a field is outside of its range.
    """

    first: str
    second: str
    subject: str = "subject_id"
    coverage: float = 0.95
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check every field."""
        if self.first == self.second:
            raise DesignError(f"`first` and `second` are the same column, {self.first!r}.")
        for name in ("coverage", "conf_level"):
            value = getattr(self, name)
            if not isinstance(value, float) or not 0.5 <= value < 1:
                raise DesignError(f"`{name}` must be at least 0.5 and below 1, got {value!r}.")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AgreementResult(Result):
    """Agreement of two methods.

    Parameters
    ----------
    spec : AgreementSpec
        What was asked.
    limits : pandas.DataFrame
        ``term estimate conf_low conf_high`` with the terms ``lower bias upper``.
    sd : float
        SD of single differences.
    pairs : pandas.DataFrame
        ``subject_id mean difference``.
    labels : tuple of str
        Of the two methods.
    unit : str
        Of the differences.
    n_subjects, n_obs : int
        Subjects and pairs.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out.
    """

    spec: AgreementSpec
    limits: pd.DataFrame
    sd: float
    pairs: pd.DataFrame
    labels: tuple[str, str]
    unit: str
    n_subjects: int
    n_obs: int
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how far apart two measurements of one person by the two methods may be."""
        rows = self.limits.set_index("term")
        low, high = (format_number(float(rows.loc[t, "estimate"]), 3) for t in ("lower", "upper"))
        bias = format_interval(*(float(rows.loc["bias", c]) for c in rows.columns))
        unit = f" {self.unit}" if self.unit else ""
        origin = "synthetic " if self.origin == "synthetic" else ""
        return (
            f"{self.labels[0]} less {self.labels[1]}: {100 * self.spec.coverage:g} % of "
            f"differences lie between {low} and {high}{unit}, bias {bias}, in {self.n_subjects} "
            f"{origin}subjects ({self.n_obs} pairs)."
        )

    def table(self) -> pd.DataFrame:
        """Return ``term estimate conf_low conf_high``."""
        return self.limits.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw differences against means, with bias and limits."""
        unit = f" ({self.unit})" if self.unit else ""
        options = {
            "x_label": f"Mean of both{unit}",
            "y_label": f"{self.labels[0]} less {self.labels[1]}{unit}",
            "origin": self.origin,
            **kws,
        }
        return plot_bland_altman(self.pairs, self.limits, ax=ax, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "agreement_result/1",
            "spec": to_plain(self.spec),
            "headline": self.headline(),
            "limits": to_plain(self.limits),
            "sd": to_plain(self.sd),
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def estimate_agreement(
    data: pd.DataFrame,
    first: AgreementSpec | str,
    second: str | None = None,
    *,
    dictionary: Mapping[str, Measure] | None = None,
    origin: Origin = "real",
    prior_exclusions: Sequence[Exclusion] = (),
    **options: Any,
) -> AgreementResult:
    """Estimate bias and limits of agreement of two methods.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per pair; one or several pairs per subject.
    first : AgreementSpec or str
        What is asked, or the column of the first method.
    second : str, optional
        Column of the second method.
    dictionary : mapping of str to Measure, optional
        For labels and unit; the package's own by default.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from.
    prior_exclusions : sequence of Exclusion
        What earlier steps left out.
    **options
        With columns: the other fields of :class:`AgreementSpec` (`subject`, `coverage`,
        `conf_level`). Not with a spec, which has them.

    Returns
    -------
    AgreementResult
        Bias, limits, their intervals, and the pairs for a Bland-Altman plot.

    Raises
    ------
    DesignError
        If `second` or `options` are given beside a spec, a column is absent or holds no numbers, or
        there are fewer than three subjects.

    Notes
    -----
    See :func:`pmsstats.imaging.limits_of_agreement.limits_of_agreement` for the intervals: exact
    for one pair per subject, by combination of those of the parts for several. R:
    ``SimplyAgree::agreement_limit``, ``blandr::blandr.statistics`` (there approximate).
    """
    if second is not None:
        options["second"] = second
    spec = as_spec(AgreementSpec, first, options)
    columns = [spec.first, spec.second]
    require_columns(data, [*columns, spec.subject])
    for column in columns:
        if not pd.api.types.is_numeric_dtype(data[column].dtype):
            raise DesignError(f"{column!r} must be a column of numbers.")
    stage = f"agreement of {spec.first} and {spec.second}"
    rows, lost = complete_rows(data, columns, stage=stage, subject=spec.subject)
    codes, ids = pd.factorize(rows[spec.subject], sort=False)
    if len(ids) < 3:
        raise DesignError(
            f"Limits of agreement need at least three subjects with both {spec.first} and "
            f"{spec.second}; there are {len(ids)}."
        )
    x, y = (rows[c].to_numpy(dtype=float) for c in columns)
    found = limits_of_agreement(x - y, codes, coverage=spec.coverage, conf_level=spec.conf_level)
    parts = (("lower", found.lower), ("bias", found.bias), ("upper", found.upper))
    known = default_dictionary() if dictionary is None else dictionary
    measures = [known.get(c) for c in columns]
    return AgreementResult(
        spec=spec,
        limits=pd.DataFrame(
            [
                {"term": t, "estimate": e.value, "conf_low": e.low, "conf_high": e.high}
                for t, e in parts
            ]
        ),
        sd=found.sd,
        pairs=pd.DataFrame(
            {spec.subject: rows[spec.subject], "mean": (x + y) / 2, "difference": x - y}
        ),
        labels=(
            measures[0].label if measures[0] else spec.first,
            measures[1].label if measures[1] else spec.second,
        ),
        unit=next((m.unit for m in measures if m), ""),
        n_subjects=len(ids),
        n_obs=len(rows),
        origin=origin,
        exclusions=(*prior_exclusions, *lost),
    )
