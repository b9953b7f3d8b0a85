"""Whether scanner effects can be told from time and from groups at all; refusal where not."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.imaging.confounding_result import ScannerConfounding
from pmsstats.imaging.harmonisation_spec import HarmonisationSpec, with_scanner_labels
from pmsstats.imaging.slope_inflation import slope_inflation
from pmsstats.models.fixed_effects.margins import DAYS_PER_YEAR
from pmsstats.models.formulas.columns import independent_columns, sum_by_subject
from pmsstats.models.formulas.design import complete_rows, design_matrices
from pmsstats.models.mixed.lmm import LMMResult, fit_lmm
from pmsstats.results import display_frame, format_number

__all__ = ["ScannerConfounding", "check_scanner_confounding"]

_PLANNED_VISITS = 24  # more distinct times than this are no schedule, and are grouped by quarter
_QUARTER = 0.25  # years
_WORDS = {"time": "time", "group": "the groups", "both": "time within groups"}
_COMMON = (
    " (a shift common to the groups cancels from the difference of their slopes, which raw values "
    "give without harmonisation)"
)
_ONE_SCANNER = "Analyse the values as they are; or name another column as `scanner`."
_FEW_SCANS = (
    "Drop the scans of such a scanner, or merge it with one of the same model and protocol (give "
    "both one label in the column of scanners)."
)
_WHAT_TO_DO = (
    "No harmonisation can separate what the design has tied together. Analyse each scanner by "
    "itself, or the scans of one scanner only; scan people twice around an upgrade; or, knowing "
    "the risk, relax the limit in the HarmonisationSpec."
)


def check_scanner_confounding(
    data: pd.DataFrame,
    spec: HarmonisationSpec,
    *,
    on_problem: Literal["raise", "report"] = "raise",
    engine: str = "native",
) -> ScannerConfounding:
    """Check whether scanner effects can be told from time and from groups.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per scan, with the columns that `spec` names.
    spec : HarmonisationSpec
        Features, model, scanner column and limits.
    on_problem : {"raise", "report"}, default "raise"
        Refuse with an explanation, or return it.
    engine : str, default "native"
        Of the mixed models; see :func:`~pmsstats.models.mixed.lmm.fit_lmm`.

    Returns
    -------
    ScannerConfounding
        Per scanner, per term, and the reasons to refuse.

    Raises
    ------
    DesignError
        If there is a reason to refuse, and `on_problem` is ``"raise"``: one scanner only; a
        scanner with fewer than ``min_scans`` scans of a feature, or with those of one subject;
        a scanner whose use follows from time, from `by` or from both; a scanner effect that is a
        combination of other terms; or standard errors that it widens too much.

    Notes
    -----
    *Share explained.* The adjusted R2 of the indicator of a scanner on the cells of a table of
    times, of groups, or of both (times as planned where there are at most 24 of them, else in
    quarters of a year). It is 1 where everybody changed scanner at the same visit, although a
    step can then still be estimated beside a straight line: that estimate would rest on the
    straight line alone, and pseudo-atrophy or any true change of pace would be taken out as a
    scanner effect.

    *Inflation.* With ``V`` from the mixed model with scanner effects, the square root of the ratio
    of ``(X' V^-1 X)^-1`` with and without the scanner's columns: what it costs to estimate these
    effects from the same data, whatever the outcome. Only a design in which people move between
    scanners at different times, or in which scanners run side by side, keeps it near 1.

    That scanners differ between subjects only (each site its own) is no reason to refuse: their
    level cancels from slopes. It is noted, because the shift then rests on the subjects of the
    sites being alike.

    No R or SAS statement gives this. Nearest in R: the share is ``summary(lm(scanner == "B" ~
    factor(visit) * arm))$adj.r.squared``; the inflation compares
    ``solve(crossprod(X, solve(V, X)))`` with and without the scanner's columns, ``X`` and ``V``
    from ``lme4::lmer(y ~ year * arm + scanner + (year | id))``.
    """
    frame = with_scanner_labels(data, spec.scanner)
    named = [spec.scanner, spec.time, *([spec.by] if spec.by else [])]
    rows, exclusions = complete_rows(
        frame, named, stage="scanner harmonisation", subject=spec.subject
    )
    rows = rows[rows[list(spec.features)].notna().any(axis=1)].reset_index(drop=True)
    if rows.empty:
        raise DesignError("No row has a feature, a scanner and a time.")
    scanners = _describe_scanners(rows, spec)
    too_few = _too_few(rows, scanners, spec)
    problems = [*too_few, *_explained(scanners, spec)]
    problems += [] if problems else _aliased(rows, spec)
    fits: dict[str, LMMResult] = {}
    inflation = pd.DataFrame(columns=["feature", "term", "std_error_without", "std_error"])
    if not problems:
        fits = {f: fit_lmm(frame, spec.lmm(f), engine=engine) for f in spec.features}
        inflation = pd.concat(
            [slope_inflation(fit, spec).assign(feature=f) for f, fit in fits.items()],
            ignore_index=True,
        )[["feature", "term", "std_error_without", "std_error", "inflation"]]
        problems += _too_wide(inflation, spec)
    if problems and on_problem == "raise":
        raise DesignError(_refusal(problems, scanners, n_too_few=len(too_few)))
    return ScannerConfounding(
        spec=spec,
        scanners=scanners,
        inflation=inflation,
        problems=tuple(problems),
        notes=_notes(scanners),
        fits=fits,
        scans=pd.DataFrame(
            {
                "scanner": rows[spec.scanner],
                "time": rows[spec.time],
                "group": rows[spec.by] if spec.by else "All scans",
            }
        ),
        n_subjects=int(rows[spec.subject].nunique()),
        n_obs=len(rows),
        exclusions=exclusions,
    )


def _refusal(problems: list[str], scanners: pd.DataFrame, *, n_too_few: int) -> str:
    """Say why, show the scanners, say what to do."""
    reasons = "\n".join(f"- {problem}" for problem in problems)
    shown = display_frame(scanners).to_string(index=False)
    if len(scanners) < 2:
        return f"Scanners cannot be harmonised:\n{reasons}\n{shown}\n{_ONE_SCANNER}"
    if n_too_few == len(problems):
        return f"Scanner effects cannot be estimated:\n{reasons}\n{shown}\n{_FEW_SCANS}"
    few = f"{_FEW_SCANS} " if n_too_few else ""
    return (
        f"Scanner effects cannot be told apart from what is to be estimated:\n{reasons}\n{shown}\n"
        f"{few}{_WHAT_TO_DO}"
    )


def _describe_scanners(rows: pd.DataFrame, spec: HarmonisationSpec) -> pd.DataFrame:
    """Tabulate scans, subjects, times and what explains the use of each scanner."""
    scanner = rows[spec.scanner]
    levels = list(scanner.cat.categories)
    n_scanners = rows.groupby(spec.subject)[spec.scanner].transform("nunique")
    shared = rows[n_scanners > 1]
    grouped = rows.groupby(spec.scanner, observed=True)
    time, group = _time_cells(rows, spec), _cells(rows[spec.by]) if spec.by else None
    both = time if group is None else time * (group.max() + 1) + group
    used = np.equal.outer(scanner.cat.codes.to_numpy(), np.arange(len(levels))).astype(float)
    frame = pd.DataFrame(
        {
            "scanner": levels,
            "n_scans": grouped.size().reindex(levels).to_numpy(),
            "n_subjects": grouped[spec.subject].nunique().reindex(levels).to_numpy(),
            "n_subjects_shared": shared.groupby(spec.scanner, observed=True)[spec.subject]
            .nunique().reindex(levels, fill_value=0).to_numpy(),
            "first": grouped[spec.time].min().reindex(levels).to_numpy(),
            "last": grouped[spec.time].max().reindex(levels).to_numpy(),
            "explained_by_time": share_explained(used, time),
        }
    )  # fmt: skip
    frame["explained_by_group"] = np.nan if group is None else share_explained(used, group)
    frame["explained_by_both"] = share_explained(used, both)
    return frame


def _cells(column: pd.Series) -> np.ndarray:
    """Give each value of a column a number."""
    return pd.factorize(column, sort=False)[0]


def _time_cells(rows: pd.DataFrame, spec: HarmonisationSpec) -> np.ndarray:
    """Give each visit a number: planned times, else quarters of a year."""
    times = rows[spec.time].to_numpy(dtype=float)
    if len(np.unique(times)) > _PLANNED_VISITS:
        width = _QUARTER * (DAYS_PER_YEAR if spec.time == "day" else 1.0)
        times = np.round(times / width)
    return np.unique(times, return_inverse=True)[1]


def share_explained(used: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Tell how much of the use of each scanner follows from the cell of a table.

    Parameters
    ----------
    used : ndarray, shape (n, n_scanners)
        1 where a scan was made on a scanner, else 0.
    cells : ndarray of int, shape (n,)
        Cell of each scan.

    Returns
    -------
    ndarray, shape (n_scanners,)
        Adjusted R2, at least 0; 0 for a scanner that is always used.
    """
    n, n_cells = len(cells), len(np.unique(cells))
    sums = sum_by_subject(used, cells, int(cells.max()) + 1)
    counts = np.bincount(cells)[:, None]
    within = (used - (sums / np.maximum(counts, 1))[cells]) ** 2
    total = ((used - used.mean(axis=0)) ** 2).sum(axis=0)
    unexplained = np.divide(within.sum(axis=0), total, out=np.ones(used.shape[1]), where=total > 0)
    factor = (n - 1) / (n - n_cells) if n > n_cells else 1.0
    return np.clip(1.0 - unexplained * factor, 0.0, 1.0)


def _too_few(rows: pd.DataFrame, scanners: pd.DataFrame, spec: HarmonisationSpec) -> list[str]:
    """Name scanners that have too little to be estimated from."""
    if len(scanners) < 2:
        only = scanners["scanner"].iloc[0]
        return [f"all scans are from one scanner ({only}), so there is nothing to harmonise"]
    found = []
    for feature in spec.features:
        have = rows[rows[feature].notna()]
        for scanner, mine in have.groupby(spec.scanner, observed=False):
            if len(mine) < spec.min_scans:
                found.append(
                    f"scanner {scanner} has {len(mine)} scan(s) of {feature}, fewer than "
                    f"{spec.min_scans} (`min_scans`)"
                )
            elif mine[spec.subject].nunique() < 2:
                found.append(
                    f"all {len(mine)} scans of {feature} on scanner {scanner} are of one subject "
                    f"({mine[spec.subject].iloc[0]})"
                )
    return found


def _explained(scanners: pd.DataFrame, spec: HarmonisationSpec) -> list[str]:
    """Name scanners whose use follows from time, group, or both."""
    found = []
    rows = scanners.sort_values("first", kind="stable").to_dict("records")
    for row in rows[-1:] if len(rows) == 2 else rows:  # of two, each tells the other
        causes = (
            ("time", f"its time ({spec.time})"),
            ("group", f"the group ({spec.by})"),
            ("both", f"time and group together ({spec.time}, {spec.by})"),
        )
        for key, words in causes:
            share = row[f"explained_by_{key}"]
            if share >= spec.max_explained:
                found.append(
                    f"scanner {row['scanner']} is confounded with {_WORDS[key]}: "
                    f"{100 * share:.0f} % of whether a scan was made on it follows from {words}, "
                    f"used from {format_number(row['first'], 3)} to "
                    f"{format_number(row['last'], 3)}{_COMMON if key == 'time' and spec.by else ''}"
                )
                break
    return found


def _aliased(rows: pd.DataFrame, spec: HarmonisationSpec) -> list[str]:
    """Name scanner effects that are combinations of other terms of the mean."""
    found = []
    for feature in spec.features:
        model = spec.lmm(feature)
        have, _ = complete_rows(rows, model.variables, stage="", subject=spec.subject)
        X, _ = design_matrices(model.fixed, have)
        mine = [i for i, name in enumerate(X.columns) if name.startswith(f"{spec.scanner}[")]
        order = [*(i for i in range(X.shape[1]) if i not in mine), *mine]
        _, dropped = independent_columns(X.to_numpy()[:, order])
        names = [str(X.columns[order[i]]) for i in dropped if order[i] in mine]
        if names:
            found.append(
                f"in the model of {feature} the effect of {', '.join(names)} is a combination of "
                f"other terms ({spec.lmm(feature, scanner='none').fixed})"
            )
    return found


def _too_wide(inflation: pd.DataFrame, spec: HarmonisationSpec) -> list[str]:
    """Name terms whose standard error the scanner effects widen too much."""
    wide = inflation[inflation["inflation"] > spec.max_inflation]
    return [
        f"in the model of {row['feature']} the scanner effects widen the standard error of "
        f"{row['term']} by a factor of {row['inflation']:.2f}, more than {spec.max_inflation:g} "
        "(`max_inflation`)"
        for row in wide.to_dict("records")
    ]


def _notes(scanners: pd.DataFrame) -> tuple[str, ...]:
    """Say which scanners share no subject with another one."""
    alone = scanners.loc[scanners["n_subjects_shared"] == 0, "scanner"].tolist()
    if not alone:
        return ()
    return (
        (
            f"no subject of scanner {', '.join(map(str, alone))} was scanned on another one, so "
            "that its shift rests on its subjects being like the others"
        ),
    )
