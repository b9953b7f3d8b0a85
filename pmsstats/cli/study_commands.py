"""Commands on a whole study: report on it, check its tables, show it on a synthetic one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pmsstats.cli.shared import Steps, data_option, explained, folder, out_option, verbose_option
from pmsstats.provenance import remove_outputs, write_manifest

if TYPE_CHECKING:
    from pmsstats.study import StudySpec

MOST_ISSUES = 5


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@out_option("report")
@data_option
@verbose_option
def report(study: Path, out: Path, data_dir: Path | None, verbose: bool) -> None:
    """Analyse the tables that STUDY (a study.toml) names, and write the report."""
    with explained(verbose=verbose):
        from pmsstats.study import read_study

        command = ["pmsstats", "report", study.name, *(["--data", "DIR"] if data_dir else [])]
        _write_report(read_study(study), out, data_dir=data_dir, command=command)


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@data_option
@verbose_option
def check(study: Path, data_dir: Path | None, verbose: bool) -> None:
    """Check the tables of STUDY (a study.toml or a folder of tables) and list every problem."""
    with explained(verbose=verbose):
        from pmsstats.cohort import read_cohort
        from pmsstats.endpoints import derive_endpoint
        from pmsstats.errors import SchemaError
        from pmsstats.study import check_questions, read_study

        most = None if verbose else MOST_ISSUES
        try:
            spec = None if study.is_dir() else read_study(study)
            cohort = read_cohort(study if spec is None else spec.mapping, data_dir=data_dir)
        except SchemaError as exc:
            _echo_issues(exc.failures, most=most)
            raise
        _echo_issues(cohort.issues, most=most)
        if spec is not None:
            check_questions(cohort, spec)
            click.echo(derive_endpoint(cohort, spec.analysis.outcome).headline())
        click.echo(cohort.summary().headline())
        click.echo(f"{study.name}: usable, with {len(cohort.issues)} thing(s) to look at.")


def _echo_issues(issues: Any, *, most: int | None) -> None:
    """List issues rule by rule with their rows, the first few of each unless `most` is None."""
    if issues is None:
        return
    for rule, found in issues.groupby("rule", sort=False):
        severity = found["severity"].iloc[0]
        click.echo(f"{severity}: {str(rule).replace('_', ' ')} ({len(found)})")
        for row in found.head(len(found) if most is None else most).to_dict("records"):
            place = [str(row["table"]), *([f"row {row['row']}"] if row["row"] else [])]
            who = [str(row["subject_id"])] if row["subject_id"] else []
            click.echo(f"  {', '.join(place + who)}: {row['message']}")
        if most is not None and len(found) > most:
            click.echo(f"  ... and {len(found) - most} more (--verbose lists all)")


@click.command()
@out_option("demo")
@click.option("--seed", type=click.IntRange(min=0), default=2018, show_default=True)
@verbose_option
def demo(out: Path, seed: int, verbose: bool) -> None:
    """Make a synthetic cohort, write its tables and study.toml, and report on it."""
    with explained(verbose=verbose):
        from pmsstats.study import read_study, write_demo_study
        from synthetic import generate_cohort, write_truth

        cohort = generate_cohort("progressive", seed=seed)
        study = write_demo_study(cohort, out / "study")
        write_truth(cohort, out / "truth")
        command = ["pmsstats", "demo", "--seed", str(seed)]
        _write_report(read_study(study), out, command=command, seed=seed)
        click.echo(f"The tables and study.toml behind it: {study.parent}")


def _write_report(
    spec: StudySpec,
    out: Path,
    *,
    command: list[str],
    data_dir: Path | None = None,
    seed: int | None = None,
) -> None:
    """Run the main job, write the report and its manifest, and say where it is."""
    from pmsstats.report import render_report
    from pmsstats.study import STEPS, run_study

    steps = Steps(len(STEPS) + 1)
    with folder(out):
        study = run_study(spec, data_dir=data_dir, seed=seed, command=command, progress=steps)
    steps("Writing the report")
    remove_outputs(out)
    write_manifest(study.manifest, out, render_report(study, out))
    for rule, n_found in study.cohort.issues["rule"].value_counts(sort=False).items():
        what = str(rule).replace("_", " ")
        click.echo(f"Note: {what} ({n_found}): see 'Data checks' in the report", err=True)
    for section, reason in study.not_estimable:
        click.echo(f"Note: {section}: not estimable, {reason}", err=True)
    click.echo(study.headline())
    click.echo(f"\nReport: {out / 'report.html'}")
