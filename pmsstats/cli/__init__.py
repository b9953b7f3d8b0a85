"""Command line: parse, build a spec, call, write. No statistics here."""

from __future__ import annotations

import click

from pmsstats.cli.endpoint_commands import endpoints
from pmsstats.cli.evidence_commands import evidence
from pmsstats.cli.generate_commands import generate
from pmsstats.cli.machine_commands import doctor, measures
from pmsstats.cli.power_commands import power
from pmsstats.cli.study_commands import check, demo, report
from pmsstats.cli.trial_commands import simulate
from pmsstats.provenance import package_version

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_version(), prog_name="pmsstats")
def main() -> None:
    """Longitudinal biomarker statistics for progressive multiple sclerosis.

    Start with `pmsstats demo`, then write a study.toml for your own tables and run
    `pmsstats report study.toml`.
    """


for _command in (
    report,
    check,
    demo,
    power,
    simulate,
    generate,
    endpoints,
    evidence,
    measures,
    doctor,
):
    main.add_command(_command)
