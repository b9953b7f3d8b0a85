"""Generator: 100,000 patients x 8 visits x all measures, against drawing as many normals.

Run: ``python tests/benchmarks/bench_generator.py [n_subjects]``. The target is at most 5 times the
time of the same count of standard normals, drawn in pieces of the same size, under 2 GB.
"""

from __future__ import annotations

import dataclasses
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from synthetic import CohortConfig, iter_tables, preset, write_cohort
from synthetic.draws import BLOCK
from synthetic.generate import CHUNK

WEEKS = tuple(range(0, 8 * 24, 24))


def config(n_subjects: int) -> CohortConfig:
    review = preset("review")
    patients = {"RRMS": 1, "SPMS": 1, "PPMS": 1}
    described = review.for_study(n_subjects=n_subjects, mix=patients, weeks=WEEKS)
    return dataclasses.replace(described, measures=())


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def normals(count: int, size: int) -> None:
    generator = np.random.default_rng(1)
    out = np.empty(size)
    for _ in range(count // size):
        generator.standard_normal(out=out)


def generate(described: CohortConfig) -> None:
    for _ in iter_tables(described, 1, chunk=CHUNK):
        pass


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    if sys.argv[1:2] == ["write"]:
        write(int(sys.argv[2]))
    else:
        compare(int(sys.argv[1]) if sys.argv[1:] else 100_000)


def compare(n_subjects: int) -> None:
    described = config(n_subjects)
    count = n_subjects * len(WEEKS) * len(described.emitted)
    generate(config(BLOCK))  # imports and caches
    took = seconds(lambda: generate(described))
    print(f"{n_subjects:,} patients x {len(WEEKS)} visits x {len(described.emitted)} measures")
    print(f"  tables, in pieces of {CHUNK:,}: {took:.2f} s, {1e9 * took / count:.1f} ns a value")
    for name, size in (("pieces of one block", BLOCK), ("pieces of the same size", CHUNK * 8)):
        base = seconds(lambda size=size: normals(count, size))
        print(f"  as many normals, {name}: {base:.2f} s; ratio {took / base:.2f}")
    print(f"  largest memory so far: {megabytes():,.0f} MB")
    big = seconds(lambda: np.random.default_rng(1).standard_normal(min(count, 100_000_000)))
    big *= count / min(count, 100_000_000)
    print(f"  as many normals in one big draw: {big:.2f} s; ratio {took / big:.2f}")


def write(n_subjects: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        took = seconds(lambda: write_cohort(config(n_subjects), 1, Path(folder) / "cohort"))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
    print(f"  written: {n_subjects:,} in {took:.1f} s, {size / 1e6:,.0f} MB of Parquet; "
          f"largest memory so far: {megabytes():,.0f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
