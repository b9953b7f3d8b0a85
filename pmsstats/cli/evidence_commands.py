"""Commands on the registry of published findings and figures: list, read, check a generator."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pmsstats.cli.shared import Steps, explained, folder, out_option, verbose_option
from pmsstats.provenance import build_manifest, remove_outputs, write_manifest

if TYPE_CHECKING:
    from pmsstats.evidence import Citation, EvidenceRecord, Finding
    from pmsstats.report.evidence_page import EvidenceView

PRESET = "review"
"""The generator's population for checks: all phenotypes, every measure."""
WIDTH = 88
LABEL = 14
"""Columns that the labels of an entry take."""

_FEWEST_REPLICATES = 10


@click.group()
def evidence() -> None:
    """Registry of published findings and figures: list them, read them with their source."""


@evidence.command("list")
@click.argument("pattern", default="")
@click.option("--findings", "kind", flag_value="findings", help="The findings of the review only.")
@click.option("--figures", "kind", flag_value="figures", help="The published figures only.")
def list_evidence(pattern: str, kind: str | None) -> None:
    """List findings of the review and published figures, or those that hold PATTERN.

    PATTERN is looked for in ids, statements, measures, populations and sources.
    """
    with explained(verbose=False):
        from pmsstats import evidence as registry

        finding_lines = {f.id: f.statement for f in registry.findings()}
        figure_lines = {
            r.id: f"{r.population}, {r.quantity}: {r.shown}" for r in registry.catalog().values()
        }
        texts = {f.id: _finding_text(f) for f in registry.findings()}
        texts |= {r.id: _record_text(r) for r in registry.catalog().values()}
        wanted = {key for key, text in texts.items() if pattern.casefold() in text.casefold()}
        shown = 0
        if kind != "figures":
            shown += _echo_lines("findings of the review", finding_lines, wanted)
        if kind != "findings":
            shown += _echo_lines("published figures", figure_lines, wanted)
        if not shown:
            click.echo(f"Nothing holds {pattern!r}. `pmsstats evidence list` lists all.")


def _finding_text(found: Finding) -> str:
    """Join what a pattern may be looked for in."""
    parts = (found.id, found.statement, found.technique, found.population, *found.measures)
    return " ".join(parts)


def _record_text(found: EvidenceRecord) -> str:
    """Join what a pattern may be looked for in."""
    source = f"{found.citation.text()} {found.citation.note}"
    return f"{found.id} {found.measure} {found.population} {found.quantity} {source}"


def _echo_lines(title: str, lines: Mapping[str, str], wanted: set[str]) -> int:
    """Print the wanted entries under a title with their number, each on one or two lines."""
    chosen = {key: line for key, line in lines.items() if key in wanted}
    if chosen:
        click.echo(f"{len(chosen)} {title}:")
    for key, line in chosen.items():
        click.echo(f"{key}\n{_wrapped(line, indent=4)}")
    return len(chosen)


def _enough_replicates(_context: click.Context, _option: click.Parameter, value: int) -> int:
    """Refuse so few that they say nothing, before anything is computed."""
    if 0 < value < _FEWEST_REPLICATES:
        raise click.BadParameter(f"must be 0 or at least {_FEWEST_REPLICATES}, got {value}.")
    return value


@evidence.command("check")
@out_option("report")
@click.option("--preset", "preset_name", default=PRESET, show_default=True, help="Population.")
@click.option(
    "--switch",
    "switches",
    multiple=True,
    metavar="NAME=VALUE",
    help="Side to take where studies contradict each other; may be repeated.",
)
@click.option("--finding", "chosen", multiple=True, help="Id of a finding; may be repeated.")
@click.option("--seed", type=click.IntRange(min=0), default=2018, show_default=True)
@click.option(
    "--n",
    "n",
    type=click.IntRange(min=100),
    default=20_000,
    show_default=True,
    help="Subjects in the largest group of each design, for the verdicts.",
)
@click.option(
    "--replicates",
    type=click.IntRange(min=0),
    default=500,
    show_default=True,
    callback=_enough_replicates,
    help="Simulated studies of each cited study's size, at least 10; 0 leaves them out.",
)
@click.option("--calibration/--no-calibration", default=True, show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True)
@verbose_option
def check_generator(*, out: Path, verbose: bool, **asked: Any) -> None:
    """Check the synthetic generator against the findings of the review, and write a report.

    Every finding gets a verdict at large n, and the probability that a study of the cited size
    finds it again; published moments are compared with the generator's. The results do not
    depend on --jobs.
    """  # fmt: skip
    with explained(verbose=verbose):
        from pmsstats.report.evidence_page import render_evidence

        with folder(out):
            view, steps = _checked(**asked)
        steps("Writing the report")
        remove_outputs(out)
        paths = render_evidence(view, out)
        manifest = build_manifest(
            command=["pmsstats", "evidence", "check"],
            spec={name: value for name, value in asked.items() if name not in {"jobs", "seed"}},
            origin="synthetic",
            sources=(),
            seed=asked["seed"],
        )
        write_manifest(manifest, out, paths)
        for result in view.results.values():
            click.echo(result.headline())
        click.echo(f"\nReport: {out / 'index.html'}")


def _checked(
    *,
    preset_name: str,
    switches: tuple[str, ...],
    chosen: tuple[str, ...],
    seed: int,
    n: int,
    replicates: int,
    calibration: bool,
    jobs: int,
) -> tuple[EvidenceView, Steps]:
    """Run what was asked for."""
    from pmsstats.report.evidence_page import EvidenceView
    from pmsstats.validation import check_evidence, replicate_studies
    from pmsstats.validation.calibration import calibrate
    from synthetic import generate_cohort, preset

    literature = tuple(_switch(text) for text in switches)
    config = preset(preset_name)
    if literature:
        config = dataclasses.replace(config, literature=literature)
    only = {"findings": chosen or None, "n_jobs": jobs}
    steps = Steps(2 + bool(replicates) + calibration)
    steps(f"Checking findings, {n:,} subjects in the largest group of each")
    results = {"checks": check_evidence(generate_cohort, config, seed, n=n, **only)}
    if replicates:
        steps(f"Repeating each study {replicates} times")
        results["replication"] = replicate_studies(
            generate_cohort, config, seed, n_replicates=replicates, truth=results["checks"], **only
        )
    if calibration:
        steps("Comparing moments with published ones")
        results["calibration"] = calibrate(generate_cohort, config, seed, n=n)
    run = (("Preset", preset_name), ("Seed", str(seed)))
    stated = ", ".join(switches) or "defaults"
    return EvidenceView(**results, run=(*run, ("Literature", stated))), steps


def _switch(text: str) -> tuple[str, str]:
    """Read ``NAME=VALUE``."""
    from pmsstats.errors import DesignError

    name, found, value = text.partition("=")
    if not (found and name and value):
        raise DesignError(
            f"`--switch` must be NAME=VALUE, for example thalamus_rate=common, got {text!r}."
        )
    return name, value


@evidence.command("show")
@click.argument("entry_id", metavar="ID")
def show_evidence(entry_id: str) -> None:
    """Show the finding or published figure ID, with its source and how far it was checked."""
    with explained(verbose=False):
        from pmsstats import evidence as registry
        from pmsstats.errors import SchemaError, nearest

        findings = {f.id: f for f in registry.findings()}
        figures = registry.catalog()
        if entry_id in findings:
            return _echo_fields(entry_id, _finding_fields(findings[entry_id]))
        if entry_id in figures:
            return _echo_fields(entry_id, _record_fields(figures[entry_id]))
        raise SchemaError(
            f"No finding and no published figure {entry_id!r}."
            f"{nearest(entry_id, [*findings, *figures])} `pmsstats evidence list` lists all."
        )


def _finding_fields(found: Finding) -> dict[str, str]:
    """Label what is known of a finding."""
    numbers = ", ".join(str(n) for n in found.references)
    return {
        "Finding": found.statement,
        "Population": found.population,
        "Compared with": found.comparator,
        "Measures": ", ".join(found.measures),
        "Kind": f"{found.kind}, {found.direction}".replace("_", " "),
        "Magnitude": found.magnitude,
        "Source": "review, Neurol Ther 2018;7:265-285"
        + (
            f", reference{'s' * (len(found.references) > 1)} {numbers}"
            if numbers
            else ", without a reference"
        ),
        "Can be shown": "by simulation" if found.is_simulable else f"no: {found.reason}",
        "Entered": _entered(twice=found.entered_twice),
        "Note": found.note,
    }


def _record_fields(found: EvidenceRecord) -> dict[str, str]:
    """Label what is known of a figure."""
    return {
        "Figure": f"{found.measure}, {found.quantity}".replace("_", " "),
        "Population": found.population,
        "Value": found.shown,
        "Participants": str(found.n) if found.n is not None else found.n_text,
        "Follow-up": found.followup,
        "Source": _source(found.citation),
        "Read in": f"{found.verified}{f', {found.where}' if found.where else ''}",
        "Derived": found.derivation,
        "Can anchor": "a generator" if found.is_anchor else "nothing: no number read at its source",
        "Entered": _entered(twice=found.entered_twice),
        "Note": found.note,
    }


def _source(citation: Citation) -> str:
    """Write a citation with its link and its note."""
    link = "" if citation.doi else citation.link
    return ". ".join(part for part in (citation.text(), link, citation.note) if part)


def _entered(*, twice: bool) -> str:
    """Say how often an entry was made."""
    return "twice, the second time blind" if twice else "once, not yet a second time"


def _echo_fields(title: str, fields: Mapping[str, str]) -> None:
    """Print labelled fields in a column, those without content left out."""
    click.echo(title)
    for label, text in fields.items():
        if text:
            click.echo(f"  {label:<{LABEL}}{_wrapped(text, indent=LABEL + 2).lstrip()}")


def _wrapped(text: str, *, indent: int) -> str:
    """Wrap a text with every line indented."""
    pad = " " * indent
    return click.wrap_text(text, width=WIDTH, initial_indent=pad, subsequent_indent=pad)
