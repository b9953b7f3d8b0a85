"""Write a cohort of any size as a partitioned Parquet data set, piece by piece."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from joblib import Parallel, delayed

from pmsstats.errors import DesignError
from pmsstats.seeds import Seed, as_seed_sequence
from synthetic.config import CohortConfig
from synthetic.draws import BLOCK
from synthetic.generate import SyntheticTables, resolve, tables_between
from synthetic.truth import Truth, true_parameters

__all__ = ["PARTITION", "write_cohort"]

PARTITION = 4 * BLOCK
"""Subjects per file."""

_TABLES = ("subjects", "visits", "relapses", "exits", "truth_subjects", "truth_visits")


def write_cohort(
    config: CohortConfig | str, seed: Seed, folder: Path | str, n_subjects: int | None = None, *,
    n_jobs: int = 1,
) -> Path:  # fmt: skip
    """Write a cohort that need not fit into memory.

    Parameters
    ----------
    config : CohortConfig or str
        A description, or the name of a preset.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        As for :func:`synthetic.generate_tables`, which gives the same cohort.
    folder : pathlib.Path or str
        Where: ``subjects/part-00000.parquet`` and so on, likewise ``visits``, ``relapses``,
        ``exits``, ``truth_subjects``, ``truth_visits``, and ``truth.json``. Made if needed.
    n_subjects : int, optional
        Instead of the config's own.
    n_jobs : int, default 1
        Processes, each of which writes its parts; the bytes are the same whatever it is.

    Returns
    -------
    pathlib.Path
        The folder. Every table is read with :func:`pandas.read_parquet` of its folder.

    Raises
    ------
    DesignError
        If there is no such preset, the description is impossible, or the folder already holds
        parts of another cohort.
    """
    config, folder = resolve(config, n_subjects), Path(folder)
    root = as_seed_sequence(seed)
    for name in _TABLES:
        _make_empty(folder / name)
    starts = range(0, config.n_subjects, PARTITION)
    work = (delayed(_write_part)(config, root, folder, k, first) for k, first in enumerate(starts))
    counts = Parallel(n_jobs=n_jobs)(work)
    _write_truth(config, root, folder, pd.concat(counts))
    return folder


def _make_empty(folder: Path) -> None:
    """Make a folder for parts, and refuse one that has some."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("*.parquet")):
        raise DesignError(
            f"`folder` must hold no cohort yet, but there are parts in {str(folder)!r}. "
            "Give another folder, or remove them."
        )


def _write_part(
    config: CohortConfig, root: np.random.SeedSequence, folder: Path, k: int, first: int
) -> pd.DataFrame:
    """Write one part of every table, and return what it lost to what."""
    last = min(first + PARTITION, config.n_subjects)
    tables = tables_between(config, root, first, last)
    for name, frame in zip(_TABLES, _frames(tables), strict=True):
        table = pa.Table.from_pandas(_plain(frame), preserve_index=False, nthreads=1)
        pq.write_table(table, folder / name / f"part-{k:05d}.parquet", compression="zstd")
    return tables.truth.attrition


def _frames(tables: SyntheticTables) -> tuple[pd.DataFrame, ...]:
    """Return the frames in the order of the tables' names."""
    raw = (tables.subjects, tables.visits, tables.relapses, tables.exits)
    return (*raw, tables.truth.subjects, tables.truth.visits)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Give text columns a type of their own, so that every part has the same schema."""
    text = [name for name in frame if frame[name].dtype == object]
    return frame.astype(dict.fromkeys(text, pd.StringDtype("pyarrow"))) if text else frame


def _write_truth(
    config: CohortConfig, root: np.random.SeedSequence, folder: Path, counts: pd.DataFrame
) -> None:
    """Write what is known of the whole cohort."""
    total = counts.groupby("what", sort=False)["n"].sum().reset_index()
    entropy = root.entropy if isinstance(root.entropy, list | tuple) else (root.entropy,)
    truth = Truth(
        config=config,
        seed=tuple(int(v) for v in (*entropy, *root.spawn_key) if v is not None),
        parameters=true_parameters(config),
        subjects=pd.DataFrame(),
        visits=pd.DataFrame(),
        attrition=total,
    )
    text = json.dumps(truth.to_dict(), indent=2, ensure_ascii=False)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8")
