"""Command line: parse, build a spec, call, write. No statistics here."""

from __future__ import annotations

import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pmsstats.errors import PMSStatsError, PMSStatsWarning
from pmsstats.provenance import (
    build_manifest,
    package_version,
    remove_outputs,
    write_manifest,
)
from pmsstats.results import exclusions_table

if TYPE_CHECKING:
    from pmsstats.study import StudySpec

__all__ = ["main"]

BAD_INPUT = 2
DEFECT = 1
MOST_ISSUES = 5


class _Steps:
    """Print each step as it begins, on standard error, with the time since the start."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.start = time.monotonic()

    def __call__(self, label: str) -> None:
        """Announce a step."""
        self.done += 1
        seconds = time.monotonic() - self.start
        click.echo(f"[{self.done}/{self.total}] {seconds:5.1f} s  {label}", err=True)


@contextmanager
def _explained(*, verbose: bool) -> Iterator[None]:
    """Turn errors into one message and an exit code, and warnings into notes."""

    def note(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if verbose or issubclass(category, PMSStatsWarning):
            click.echo(f"Note: {message}", err=True)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always" if verbose else "default")
            warnings.showwarning = note
            yield
    except BrokenPipeError:
        raise
    except (PMSStatsError, OSError) as exc:
        _fail(exc, f"Error: {exc}", BAD_INPUT, verbose=verbose)
    except click.exceptions.ClickException:
        raise
    except Exception as exc:  # noqa: BLE001 - the last line of defence: no traceback unasked
        what = f"{type(exc).__name__}: {exc}"
        told = f"Error: this is a defect in pmsstats, not in your input: {what}"
        _fail(exc, f"{told}\nRun again with --verbose and report it.", DEFECT, verbose=verbose)


def _fail(exc: Exception, message: str, code: int, *, verbose: bool) -> None:
    """Print a message (after the traceback, if asked for) and leave."""
    if verbose:
        traceback.print_exception(exc, file=sys.stderr)
    click.echo(message, err=True)
    sys.exit(code)


def _verbose_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--verbose``."""
    text = "Show every warning, and the traceback of an error."
    return click.option("--verbose", is_flag=True, help=text)(command)


def _data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data``."""
    kind = click.Path(exists=True, file_okay=False, path_type=Path)
    text = "Folder that the tables' paths are relative to [default: that of the study file]."
    return click.option("--data", "data_dir", type=kind, help=text)(command)


def _out_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--out`` with a default folder."""
    kind = click.Path(file_okay=False, path_type=Path)
    return click.option(
        "--out", "out", type=kind, default=default, show_default=True, help="Folder to write to."
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_version(), prog_name="pmsstats")
def main() -> None:
    """Longitudinal biomarker statistics for progressive multiple sclerosis.

    Start with `pmsstats demo`, then write a study.toml for your own tables and run
    `pmsstats report study.toml`.
    """


@main.command()
@click.argument("study", type=click.Path(path_type=Path))
@_out_option("report")
@_data_option
@_verbose_option
def report(study: Path, out: Path, data_dir: Path | None, verbose: bool) -> None:
    """Analyse the tables that STUDY (a study.toml) names, and write the report."""
    with _explained(verbose=verbose):
        from pmsstats.study import read_study

        command = ["pmsstats", "report", study.name, *(["--data", "DIR"] if data_dir else [])]
        _write_report(read_study(study), out, data_dir=data_dir, command=command)


@main.command()
@click.argument("study", type=click.Path(path_type=Path))
@_data_option
@_verbose_option
def check(study: Path, data_dir: Path | None, verbose: bool) -> None:
    """Check the tables of STUDY (a study.toml or a folder of tables) and list every problem."""
    with _explained(verbose=verbose):
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


@main.command()
@_out_option("demo")
@click.option("--seed", type=click.IntRange(min=0), default=2018, show_default=True)
@_verbose_option
def demo(out: Path, seed: int, verbose: bool) -> None:
    """Make a synthetic cohort, write its tables and study.toml, and report on it."""
    with _explained(verbose=verbose):
        from pmsstats.study import read_study, write_demo_study
        from synthetic import generate_cohort, write_truth

        cohort = generate_cohort("progressive", seed=seed)
        study = write_demo_study(cohort, out / "study")
        write_truth(cohort, out / "truth")
        command = ["pmsstats", "demo", "--seed", str(seed)]
        _write_report(read_study(study), out, command=command, seed=seed)
        click.echo(f"The tables and study.toml behind it: {study.parent}")


@main.command()
def doctor() -> None:
    """Say what this machine has, and what is missing for what."""
    with _explained(verbose=False):
        from pmsstats.models.backends.availability import examine_machine

        click.echo(str(examine_machine()))


@main.command()
@click.argument("pattern", default="")
def measures(pattern: str) -> None:
    """List the measures of the data dictionary whose name, label or compartment holds PATTERN."""
    with _explained(verbose=False):
        from pmsstats.cohort import default_dictionary

        table = default_dictionary().table()
        text = table[["name", "label", "technique", "compartment"]].agg(" ".join, axis=1)
        shown = table[text.str.contains(pattern, case=False, regex=False)]
        click.echo(shown.to_string(index=False) if len(shown) else f"No measure holds {pattern!r}.")


@main.group()
def endpoints() -> None:
    """Definitions of clinical endpoints: list them, read them, derive them from tables."""


@endpoints.command("list")
@click.argument("pattern", default="")
def list_endpoints(pattern: str) -> None:
    """List the named definitions, or those whose name, event or source holds PATTERN."""
    with _explained(verbose=False):
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
    with _explained(verbose=False):
        from pmsstats.endpoints import preset

        click.echo(click.wrap_text(preset(name).describe(), width=88))


@endpoints.command("derive")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--rule", "names", multiple=True, help="Name of a definition; may be repeated.")
@click.option("--adtte", is_flag=True, help="Write adtte.csv as well, as CDISC ADaM has it.")
@_out_option("endpoints")
@_data_option
@_verbose_option
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
    with _explained(verbose=verbose):
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
        with _folder(out):
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


@contextmanager
def _folder(out: Path) -> Iterator[None]:
    """Make a folder before the work for it, so that it cannot fail late; leave none if it fails."""
    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if is_new:
            out.rmdir()
        raise


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

    steps = _Steps(len(STEPS) + 1)
    with _folder(out):
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


if __name__ == "__main__":
    main()
