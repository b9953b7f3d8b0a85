"""What stands beside the page: results.json and one CSV per table, in full precision."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pmsstats.provenance import package_version
from pmsstats.report.study_view import StudyView, result_parts
from pmsstats.results import to_plain

__all__ = ["RESULTS_SCHEMA", "study_tables", "write_page", "write_results", "write_tables"]

RESULTS_SCHEMA = "report_results/1"


def write_results(study: StudyView, folder: Path) -> Path:
    """Write ``results.json``.

    Parameters
    ----------
    study : StudyView
        A finished study.
    folder : pathlib.Path
        An existing folder.

    Returns
    -------
    pathlib.Path
        The file. Its keys are ``schema package origin title headline results``, and ``results``
        is the study's own dictionary.
    """
    content = {
        "schema": RESULTS_SCHEMA,
        "package": {"name": "pmsstats", "version": package_version()},
        "origin": study.cohort.origin,
        "title": study.spec.title,
        "headline": study.headline(),
        "results": to_plain(study.to_dict()),
    }
    path = folder / "results.json"
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path


def write_page(
    html: str,
    folder: str | Path,
    *,
    schema: str,
    run: Iterable[tuple[str, str]],
    results: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
) -> list[Path]:
    """Write a page with its results beside it: ``index.html``, ``results.json``, CSV tables.

    Parameters
    ----------
    html : str
        The page.
    folder : str or pathlib.Path
        Made where it does not exist; files of the same names are replaced.
    schema : str
        Layout of ``results.json``.
    run : iterable of (str, str)
        What was asked for, in words.
    results : mapping of str to Result
        By name.
    tables : mapping of str to pandas.DataFrame
        By name of the file.

    Returns
    -------
    list of pathlib.Path
        What was written. The same arguments give the same bytes.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page, content = folder / "index.html", folder / "results.json"
    page.write_text(html, encoding="utf-8", newline="\n")
    values = {
        "schema": schema,
        "package": {"name": "pmsstats", "version": package_version()},
        "run": dict(run),
        **{name: to_plain(result.to_dict()) for name, result in results.items()},
    }
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
    content.write_text(text + "\n", encoding="utf-8", newline="\n")
    paths = [page, content]
    for name, frame in tables.items():
        paths.append(folder / f"{name}.csv")
        frame.to_csv(paths[-1], index=False, lineterminator="\n", encoding="utf-8")
    return paths


def study_tables(study: StudyView) -> dict[str, pd.DataFrame]:
    """Collect the tables that are written as CSV.

    Parameters
    ----------
    study : StudyView
        A finished study.

    Returns
    -------
    dict of str to pandas.DataFrame
        File name (without its ending) to table, in full precision.
    """
    names = {
        "summary": "table1",
        "endpoint": "events",
        "trajectory": "fixed_effects",
        "slopes": "slopes",
        "progression": "progression",
        "association": "association",
    }
    found = {names[name]: part.table() for name, part in result_parts(study).items()}
    found |= {
        "flow": study.flow(),
        "exclusions": _exclusions(study),
        "validation_warnings": study.cohort.issues,
        "fitted_trajectories": study.trajectory.means(by=study.spec.analysis.group),
        "slope_differences": study.slopes.differences(),
        "variance_components": study.trajectory.variance_components,
        "individual_slopes": study.trajectory.individual_slopes(),
        "progression_curves": study.progression.curves(),
    }
    return found | _association_tables(study.association)


def _association_tables(association: Any | None) -> dict[str, pd.DataFrame]:
    """Collect what stands behind the association's estimates."""
    if association is None:
        return {}
    found = {f"cox_{method}": model.table() for method, model in association.models.items()}
    found |= {method: model.table() for method, model in association.joint_models.items()}
    if association.pair is not None:
        found["slope_correlation"] = association.pair.table()
    found["association_slopes"] = association.slopes
    if association.tertiles is not None:
        found["tertiles"] = association.tertiles.table()
        found["tertile_curves"] = association.tertiles.curves()
    return found


def _exclusions(study: StudyView) -> pd.DataFrame:
    """List every exclusion with all of its subjects."""
    rows = [
        (e.stage, e.unit, e.reason, e.n, len(e.subject_ids), " ".join(e.subject_ids))
        for e in study.exclusions
    ]
    columns = ["stage", "unit", "reason", "n", "n_subjects", "subject_ids"]
    return pd.DataFrame(rows, columns=columns)


def write_tables(study: StudyView, folder: Path) -> list[Path]:
    """Write every table as CSV.

    Parameters
    ----------
    study : StudyView
        A finished study.
    folder : pathlib.Path
        Made where it does not exist.

    Returns
    -------
    list of pathlib.Path
        The files: UTF-8, comma-separated, shortest decimals that read back to the same number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, frame in study_tables(study).items():
        path = folder / f"{name}.csv"
        frame.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
        paths.append(path)
    return paths
