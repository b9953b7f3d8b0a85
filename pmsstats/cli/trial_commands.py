"""Commands on trial designs: simulate a scenario, on this machine or on many."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pmsstats.cli.shared import explained, folder, out_option, verbose_option
from pmsstats.provenance import build_manifest, remove_outputs, write_manifest

if TYPE_CHECKING:
    from pmsstats.report.design_page import DesignedTrial
    from pmsstats.trials import Scenario, SimulationResult

FIGURES = {
    "power": (
        "Share of simulated trials that reject, with its Monte Carlo interval",
        "How often each comparison rejects (95 % Monte Carlo intervals).",
    ),
    "estimates": (
        "Distribution of the estimates over the simulated trials, with the true value",
        "Estimates of the primary analysis at the end of each simulated trial.",
    ),
    "stopping": (
        "Share of simulated trials that end at each look, and why",
        "At which look the trials end, and why.",
    ),
}
"""Figures of a design: text alternative and caption."""


@click.command()
@click.argument("scenarios", nargs=-1, metavar="SCENARIO...")
@out_option("design")
@click.option("--list", "listing", is_flag=True, help="List the published trials of the library.")
@click.option("--template", is_flag=True, help="Print a scenario file that shows every key.")
@click.option(
    "--replicates", type=click.IntRange(min=1), default=10_000, show_default=True,
    help="Trials to simulate, at most.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=2018, show_default=True)
@click.option(
    "--target-mcse", type=float,
    help="Stop when the Monte Carlo standard error of the power is this small.",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes on this machine [default: 1]."
)
@click.option(
    "--backend", type=click.Choice(["serial", "processes", "dask"]),
    help="Where to run [default: what --workers and --scheduler imply].",
)  # fmt: skip
@click.option("--scheduler", help="Address of a Dask scheduler, as tcp://host:8786.")
@click.option("--block-size", type=click.IntRange(min=1), help="Replicates per task.")
@click.option(
    "--checkpoint", type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps finished blocks: the same call goes on from there.",
)  # fmt: skip
@click.option(
    "--truth/--no-truth", default=True, show_default=True,
    help="Find the true values, for bias and coverage.",
)  # fmt: skip
@verbose_option
def simulate(
    scenarios: tuple[str, ...],
    *,
    out: Path,
    listing: bool,
    template: bool,
    verbose: bool,
    **asked: Any,
) -> None:
    """Simulate the trial of each SCENARIO (a scenario.toml, or a published trial's name).

    Writes the design report, the operating characteristics, and every simulated estimate as
    Parquet. Several scenarios are put side by side. The numbers do not depend on --workers,
    --backend, --scheduler or --block-size.
    """
    with explained(verbose=verbose):
        from pmsstats.errors import DesignError

        if listing or template:
            _print(template=template)
            return
        if not scenarios:
            raise DesignError(
                "Name a scenario file or a published trial, for example `pmsstats simulate "
                "scenario.toml` or `pmsstats simulate ms_stat`; `--list` shows the published ones, "
                "`--template` prints a file to start from."
            )
        _check_address(asked["scheduler"])
        with folder(out):
            opened = [_opened(name) for name in scenarios]
            result = _simulated(opened, **asked)
        _write(out, opened, result, asked)


def _print(*, template: bool) -> None:
    """Print a scenario file to start from, or the published trials."""
    from pmsstats.trials import scenario_template, trial_library

    if template:
        click.echo(scenario_template(), nl=False)
        return
    for name, trial in trial_library().items():
        click.echo(f"{name:26s} {trial.scenario.name}")


def _check_address(scheduler: str | None) -> None:
    """Refuse what is no address, before anything tries to connect to it."""
    from pmsstats.errors import DesignError

    if scheduler is not None and not re.fullmatch(r"[a-z]+://.+:\d+", scheduler):
        raise DesignError(
            f"`--scheduler` must be an address as tcp://host:8786, got {scheduler!r}. Leave it "
            "out and say `--backend dask` for workers on this machine."
        )


def _opened(name: str) -> tuple[str, Scenario]:
    """Read a scenario file, or look up a published trial."""
    from pmsstats.errors import DesignError, nearest
    from pmsstats.trials import read_scenario, trial_library

    library = trial_library()
    if name in library:
        return name, library[name].scenario
    path = Path(name)
    if not path.is_file():
        raise DesignError(
            f"There is no file {name!r}, and no published trial of this name."
            f"{nearest(name, library)} `pmsstats simulate --list` shows the published ones."
        )
    return "", read_scenario(path)


def _simulated(opened: list[tuple[str, Scenario]], **asked: Any) -> Any:
    """Run the simulation: one result, or a comparison of several."""
    from pmsstats.trials import simulate_trials
    from synthetic import generate_trials

    chosen = [scenario for _, scenario in opened]
    return simulate_trials(
        chosen[0] if len(chosen) == 1 else chosen,
        generate_trials,
        asked["replicates"],
        asked["seed"],
        backend=asked["backend"],
        n_workers=asked["workers"],
        scheduler=asked["scheduler"],
        block_size=asked["block_size"],
        checkpoint=asked["checkpoint"],
        target_mcse=asked["target_mcse"],
        progress=True,
        truth=asked["truth"],
    )


def _write(
    out: Path, opened: list[tuple[str, Scenario]], result: Any, asked: dict[str, Any]
) -> None:
    """Write report, Parquet files and manifest, and say where they are."""
    from pmsstats.report.design_page import DesignView, render_design
    from pmsstats.trials import compare_with_published

    results: tuple[SimulationResult, ...] = getattr(result, "results", (result,))
    named = zip(opened, results, strict=True)
    published = [compare_with_published(name, found) for (name, _), found in named if name]
    title = results[0].scenario.name if len(results) == 1 else f"{len(results)} designs compared"
    view = DesignView(
        title=title,
        trials=tuple(_designed(found) for found in results),
        comparison=None if len(results) == 1 else result,
        published=tuple(published),
        run=(*_replicates(results), ("Seed", str(asked["seed"]))),
    )
    remove_outputs(out)
    paths = render_design(view, out)
    for i, found in enumerate(results, start=1):
        place = out / "trials" if len(results) == 1 else out / "trials" / f"{i:02d}"
        paths += found.write(place)
    manifest = build_manifest(
        command=["pmsstats", "simulate"],
        spec={"scenarios": [found.scenario.to_dict() for found in results]},
        origin="synthetic",
        sources=(),
        seed=asked["seed"],
        extra={"replicates": asked["replicates"], "target_mcse": asked["target_mcse"]},
    )
    write_manifest(manifest, out, paths)
    for entry in (*results, *view.published):
        click.echo(entry.headline())
    click.echo(f"\nReport: {out / 'index.html'}")


def _replicates(results: tuple[SimulationResult, ...]) -> tuple[tuple[str, str], ...]:
    """Say how many trials were simulated; of each design, where they differ."""
    counts = [f"{found.n_replicates:,}" for found in results]
    if len(set(counts)) == 1:
        return (("Simulated trials", counts[0]),)
    named = zip(results, counts, strict=True)
    return tuple((f"Simulated trials: {found.scenario.name}", count) for found, count in named)


def _designed(result: SimulationResult) -> DesignedTrial:
    """Lay out one design for the page."""
    from pmsstats.report.design_page import DesignedTrial
    from pmsstats.trials import describe_scenario, scenario_to_toml
    from pmsstats.trials.closed_form import closed_form_power
    from pmsstats.trials.description import describe_estimate, describe_ratio
    from pmsstats.trials.trial_course import describe_course

    scenario = result.scenario
    scales = {
        analysis.name: describe_estimate(analysis, scenario.endpoint(analysis.endpoint))
        for analysis in scenario.analyses
    }
    rejections = result.operating["quantity"].isin(["power", "type1_error"]).sum()
    shown = {"power": rejections > 1, "estimates": True, "stopping": bool(scenario.interims)}
    return DesignedTrial(
        name=scenario.name,
        facts=describe_scenario(scenario),
        source=scenario_to_toml(scenario),
        simulation=result,
        course=describe_course(result),
        figures=tuple((kind, *FIGURES[kind]) for kind in FIGURES if shown[kind]),
        closed_form=closed_form_power(scenario),
        scales=scales,
        ratios={analysis.name: describe_ratio(analysis) for analysis in scenario.analyses},
        generator=result.generator,
    )
