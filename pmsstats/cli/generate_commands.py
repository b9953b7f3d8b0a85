"""Command that writes a synthetic cohort with its truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pmsstats.cli.shared import explained, folder, out_option, verbose_option
from pmsstats.provenance import build_manifest, remove_outputs, write_manifest

if TYPE_CHECKING:
    from synthetic import CohortConfig


@click.command()
@click.option("--list", "listing", is_flag=True, help="List the presets and leave.")
@click.option(
    "--preset", "name", default="progressive", show_default=True, help="Which cohort; see --list."
)
@click.option("--n", "n", type=click.IntRange(min=1), help="Subjects [default: the preset's].")
@click.option("--seed", type=click.IntRange(min=0), default=2018, show_default=True)
@click.option("--measures", default="", help="Names joined by commas [default: the preset's].")
@click.option(
    "--format",
    "table_format",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    show_default=True,
)
@click.option(
    "--partitioned",
    is_flag=True,
    help="Write folders of Parquet files, part by part: for cohorts that do not fit into memory.",
)
@click.option("--jobs", type=click.IntRange(min=1), default=1, help="Processes of --partitioned.")
@out_option("cohort")
@verbose_option
def generate(
    *,
    listing: bool,
    name: str,
    n: int | None,
    seed: int,
    measures: str,
    table_format: str,
    partitioned: bool,
    jobs: int,
    out: Path,
    verbose: bool,
) -> None:
    """Write a synthetic cohort: its tables, its truth, and a manifest."""  # fmt: skip
    with explained(verbose=verbose):
        from synthetic import preset

        if listing:
            _list_presets()
            return
        config = preset(name)
        if measures:
            chosen = tuple(part.strip() for part in measures.split(",") if part.strip())
            config = dataclasses.replace(config, measures=chosen)
        if partitioned:
            headline, paths = _write_parts(config, out, n=n, seed=seed, jobs=jobs)
        else:
            headline, paths = _write_tables(config, out, n=n, seed=seed, table_format=table_format)
        manifest = build_manifest(
            command=["pmsstats", "generate", "--preset", name],
            spec={
                "preset": name,
                "n": n,
                "measures": measures,
                "format": "parquet" if partitioned else table_format,
                "partitioned": partitioned,
            },
            origin="synthetic",
            sources=(),
            seed=seed,
        )
        write_manifest(manifest, out, paths)
        click.echo(headline)
        click.echo(f"\nTables: {out}")


def _list_presets() -> None:
    """Name the presets with their size."""
    from synthetic import PRESETS, preset

    for each in PRESETS:
        config = preset(each)
        kinds = f"{len(config.measures) or 'all'} measures"
        click.echo(f"{each}: {config.n_subjects} subjects, {kinds}")


def _write_tables(
    config: CohortConfig, out: Path, *, n: int | None, seed: int, table_format: str
) -> tuple[str, Iterable[Path]]:
    """Write a checked cohort that fits into memory."""
    from pmsstats.cohort.io import write_cohort
    from synthetic import generate_cohort, write_truth

    with folder(out):
        cohort = generate_cohort(config, seed, n_subjects=n)
    remove_outputs(out)
    paths = write_cohort(cohort, out, format=table_format)
    paths += write_truth(cohort, out / "truth", format=table_format)
    return cohort.summary().headline(), paths


def _write_parts(
    config: CohortConfig, out: Path, *, n: int | None, seed: int, jobs: int
) -> tuple[str, Iterable[Path]]:
    """Write a cohort part by part."""
    from synthetic import write_cohort

    with folder(out):
        remove_outputs(out)
        write_cohort(config, seed, out, n, n_jobs=jobs)
    paths = sorted(path for path in out.rglob("*") if path.is_file())
    size = config.n_subjects if n is None else n
    return f"Synthetic cohort of {size:,} subjects in {len(paths)} files.", paths
