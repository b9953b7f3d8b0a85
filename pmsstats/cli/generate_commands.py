"""Command that writes a synthetic cohort with its truth."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from pmsstats.cli.shared import explained, folder, out_option, verbose_option
from pmsstats.provenance import build_manifest, remove_outputs, write_manifest


@click.command()
@click.option("--list", "listing", is_flag=True, help="List the presets and leave.")
@click.option("--preset", "name", default="progressive", show_default=True, help="Description.")
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
    out: Path,
    verbose: bool,
) -> None:
    """Write a synthetic cohort: its tables, its truth, and a manifest."""  # fmt: skip
    with explained(verbose=verbose):
        from pmsstats.cohort.io import write_cohort
        from synthetic import PRESETS, generate_cohort, preset, write_truth

        if listing:
            for each in PRESETS:
                config = preset(each)
                kinds = f"{len(config.measures) or 'all'} measures"
                click.echo(f"{each}: {config.n_subjects} subjects, {kinds}")
            return
        config = preset(name)
        if measures:
            chosen = tuple(part.strip() for part in measures.split(",") if part.strip())
            config = dataclasses.replace(config, measures=chosen)
        with folder(out):
            cohort = generate_cohort(config, seed, n_subjects=n)
        remove_outputs(out)
        paths = write_cohort(cohort, out, format=table_format)
        paths += write_truth(cohort, out / "truth", format=table_format)
        manifest = build_manifest(
            command=["pmsstats", "generate", "--preset", name],
            spec={"preset": name, "n": n, "measures": measures, "format": table_format},
            origin="synthetic",
            sources=(),
            seed=seed,
        )
        write_manifest(manifest, out, paths)
        click.echo(cohort.summary().headline())
        click.echo(f"\nTables: {out}")
