"""Commands on definitions of clinical endpoints: list, read, derive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pmsstats.cli.shared import data_option, explained, folder, out_option, verbose_option
from pmsstats.provenance import build_manifest, remove_outputs, write_manifest
from pmsstats.results import exclusions_table


@click.group()
def endpoints() -> None:
    """Definitions of clinical endpoints: list them, read them, derive them from tables."""


@endpoints.command("list")
@click.argument("pattern", default="")
def list_endpoints(pattern: str) -> None:
    """List the named definitions, or those whose name, event or source holds PATTERN."""
    with explained(verbose=False):
        from pmsstats.endpoints import presets_table

        table = presets_table()
        text = table[["name", "event", "outcome", "citation"]].agg(" ".join, axis=1)
        shown = table[text.str.contains(pattern, case=False, regex=False)]
        width = shown["name"].str.len().max() if len(shown) else 0
        for row in shown.itertuples():
            click.echo(f"{row.name:<{width}}  {row.event}")
        if shown.empty:
            click.echo(f"No endpoint holds {pattern!r}. `pmsstats endpoints list` lists all.")


@endpoints.command("show")
@click.argument("name")
def show_endpoint(name: str) -> None:
    """Write the definition NAME as a paragraph for a protocol or a paper."""
    with explained(verbose=False):
        from pmsstats.endpoints import preset

        click.echo(click.wrap_text(preset(name).describe(), width=88))


@endpoints.command("derive")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--rule", "names", multiple=True, help="Name of a definition; may be repeated.")
@click.option("--adtte", is_flag=True, help="Write adtte.csv as well, as CDISC ADaM has it.")
@out_option("endpoints")
@data_option
@verbose_option
def derive_endpoints(
    *,
    study: Path,
    names: tuple[str, ...],
    adtte: bool,
    out: Path,
    data_dir: Path | None,
    verbose: bool,
) -> None:
    """Derive endpoints from the tables of STUDY (a study.toml or a folder of tables).

    Without --rule it is the endpoint of the study file. Writes a table of events for each
    definition, and one of all that was left out.
    """
    with explained(verbose=verbose):
        from pmsstats.cohort import read_cohort
        from pmsstats.endpoints import derive_endpoint
        from pmsstats.errors import DesignError
        from pmsstats.study import read_study

        spec = None if study.is_dir() else read_study(study)
        if spec is None and not names:
            raise DesignError(
                "A folder of tables names no endpoint. Give one or more with --rule, for example "
                "--rule cdp24; `pmsstats endpoints list` lists them."
            )
        cohort = read_cohort(study if spec is None else spec.mapping, data_dir=data_dir)
        rules = names or ([] if spec is None else [spec.analysis.outcome])
        results = [derive_endpoint(cohort, rule) for rule in rules]
        with folder(out):
            _write_endpoints(cohort, results, out, study=study, adtte=adtte)
        for result in results:
            click.echo(result.headline())
        click.echo(f"\nTables: {out}")


def _write_endpoints(
    cohort: Any, results: list[Any], out: Path, *, study: Path, adtte: bool
) -> None:
    """Write the tables of endpoints with their manifest."""
    from pmsstats.endpoints import to_adtte

    tables = {f"{r.rule.name}_events.csv": r.table() for r in results}
    tables |= {f"{r.rule.name}_episodes.csv": r.episodes for r in results if len(r.episodes)}
    tables["left_out.csv"] = exclusions_table(e for r in results for e in r.exclusions)
    if adtte:
        tables["adtte.csv"] = to_adtte(results, cohort, study_id=study.stem)
    remove_outputs(out)
    for name, table in tables.items():
        table.to_csv(out / name, index=False)
    manifest = build_manifest(
        command=["pmsstats", "endpoints", "derive", study.name],
        spec={r.rule.name: r.definition for r in results},
        origin=cohort.origin,
        sources=cohort.sources,
    )
    write_manifest(manifest, out, [out / name for name in tables])
