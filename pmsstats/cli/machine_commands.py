"""Commands that tell what is there: the machine's tools, the measures of the data dictionary."""

from __future__ import annotations

import click

from pmsstats.cli.shared import explained


@click.command()
def doctor() -> None:
    """Say what this machine has, and what is missing for what."""
    with explained(verbose=False):
        from pmsstats.models.backends.availability import examine_machine

        click.echo(str(examine_machine()))


@click.command()
@click.argument("pattern", default="")
def measures(pattern: str) -> None:
    """List the measures of the data dictionary whose name, label or compartment holds PATTERN."""
    with explained(verbose=False):
        from pmsstats.cohort import default_dictionary

        table = default_dictionary().table()
        text = table[["name", "label", "technique", "compartment"]].agg(" ".join, axis=1)
        shown = table[text.str.contains(pattern, case=False, regex=False)]
        click.echo(shown.to_string(index=False) if len(shown) else f"No measure holds {pattern!r}.")
