"""Commands on closed forms: sample size, power, and whatever else is solved for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from pmsstats.cli.function_options import (
    FLOATS,
    as_options,
    option_kinds,
    option_texts,
    options_of,
)
from pmsstats.cli.shared import explained, verbose_option

FIGURE_KINDS = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Parts:
    """Options that together make one argument.

    Parameters
    ----------
    argument : str
        Name of the argument.
    options : tuple of (str, click.ParamType, str)
        Name, kind and help of each option.
    make : callable
        Makes the argument of the options' values.
    """

    argument: str
    options: tuple[tuple[str, Any, str], ...]
    make: Callable[..., Any]


def _visits(years: Any) -> Any:
    """Make a schedule."""
    from pmsstats.power import VisitSchedule

    return VisitSchedule(years=years if isinstance(years, tuple) else (years,))


def _slopes(**given: Any) -> Any:
    """Make the variances of slopes, one per arm where there are two of any."""
    from pmsstats.errors import DesignError
    from pmsstats.power import SlopeModel

    given = {name: value for name, value in given.items() if value is not None}
    pairs = {name: value for name, value in given.items() if isinstance(value, tuple)}
    for name, value in pairs.items():
        if len(value) != 2:
            raise DesignError(
                f"`{name}` is one number, or two (reference arm, treated arm), got {value!r}."
            )

    def model(i: int) -> Any:
        return SlopeModel(**given | {name: value[i] for name, value in pairs.items()})

    return (model(0), model(1)) if pairs else model(0)


def _covariance(sd: Any, correlation: Any, structure: Any) -> Any:
    """Make the covariance of visits from standard deviations and a correlation."""
    from pmsstats.power import VisitCovariance

    make = getattr(VisitCovariance, structure or "cs")
    return make(sd=sd if isinstance(sd, tuple) else (sd,), correlation=correlation or 0.0)


SCHEDULE = Parts(
    "schedule", (("years", FLOATS, "Visits in years, from 0: 0,0.5,1,1.5,2."),), _visits
)
SLOPES = Parts(
    "model",
    (
        ("slope_sd", FLOATS, "SD of slopes between subjects, per year; two for two arms."),
        ("residual_sd", FLOATS, "SD of a scan about its subject's line; two for two arms."),
        ("intercept_sd", FLOATS, "SD of baseline values [default: large]."),
        ("correlation", FLOATS, "Of baseline values with slopes [default: 0]."),
        ("serial_correlation", FLOATS, "Of scans a year apart about the line [default: 0]."),
    ),
    _slopes,
)
COVARIANCE = Parts(
    "covariance",
    (
        ("sd", FLOATS, "SD at each visit after baseline: 1.0,1.2,1.5."),
        ("correlation", float, "Correlation between visits, or between neighbours."),
        (
            "structure",
            click.Choice(["cs", "ar1"]),
            "How visits correlate: all alike, or the less the further apart [default: cs].",
        ),
    ),
    _covariance,
)

DESIGNS: dict[str, tuple[str, str, tuple[Parts, ...]]] = {
    "change": ("change", "a mean, or a mean change, between two arms", ()),
    "slope": ("slope", "slopes of a marker over repeated scans", (SCHEDULE, SLOPES)),
    "mmrm": ("mmrm", "means at the last of several visits", (COVARIANCE,)),
    "log-rank": ("log_rank", "times to progression", ()),
    "counts": ("counts", "rates of lesions or relapses", ()),
    "proportion": ("proportion", "shares of patients with progression", ()),
}
"""Name of the command: design as the functions call it, what is compared, and made arguments."""

HELP = {"retention": "Share still seen at each visit, the same in both arms: 1,0.95,0.9."}
"""Help on options that take less than the argument of their name."""


@click.group()
def power() -> None:
    """Answer by a closed form: how many patients, which power, how small an effect, how long.

    With --n the power is found; without it, what --solve names (the number of patients by
    default) for the power asked for by --power. `bounds` is on looks before the end.
    """


def _add(
    name: str,
    what: str,
    parameters: Callable[[], list[click.Option]],
    answer: Callable[[dict[str, Any]], Any],
) -> None:
    """Add a command; its options are made when it is asked for."""

    class Lazy(click.Command):
        """A command whose options are those of the functions behind it."""

        def get_params(self, ctx: click.Context) -> list[click.Parameter]:
            """Return the options, which are made on first use."""
            if not getattr(self, "is_complete", False):
                self.params = [*parameters(), *self.params]
                self.is_complete = True
            return super().get_params(ctx)

    @power.command(name, cls=Lazy, help=what, short_help=what)
    @click.option(
        "--figure", type=click.Path(dir_okay=False, path_type=Path),
        help="File for the figure (.svg, .png or .pdf).",
    )  # fmt: skip
    @verbose_option
    def command(*, figure: Path | None, verbose: bool, **given: Any) -> None:
        with explained(verbose=verbose):
            if figure is not None:
                _check_figure(figure)
            result = answer(given)
            click.echo(str(result))
            if figure is not None:
                _draw(result, figure)
                click.echo(f"\nFigure: {figure}")


def _functions(design: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the pair of functions of a design."""
    import pmsstats.power as room

    return getattr(room, f"power_{design}"), getattr(room, f"sample_size_{design}")


def _parameters(design: str, parts: tuple[Parts, ...]) -> list[click.Option]:
    """Make the options of a design."""
    power_of, sample_size = _functions(design)
    made = {part.argument for part in parts}
    offered = option_kinds(power_of) | option_kinds(sample_size)
    kinds = {name: kind for part in parts for name, kind, _ in part.options}
    kinds = kinds | {name: offered[name] for name in offered if name not in made | kinds.keys()}
    texts = option_texts(sample_size, kinds) | option_texts(power_of, kinds) | HELP
    texts |= {name: text for part in parts for name, _, text in part.options}
    return options_of(sample_size, kinds, texts)


def _solved(design: str, parts: tuple[Parts, ...], given: dict[str, Any]) -> Any:
    """Call the function that answers: the power for a given n, else what is solved for."""
    from pmsstats.errors import DesignError

    arguments = {name: value for name, value in given.items() if value is not None}
    for part in parts:
        values = {name: arguments.pop(name, None) for name, _, _ in part.options}
        if next(iter(values.values())) is None:
            first = part.options[0]
            raise DesignError(f"`--{first[0].replace('_', '-')}` is needed: {first[2]}")
        arguments[part.argument] = _called(part.make, values, given)
    power_of, sample_size = _functions(design)
    finds_power = "n" in arguments and arguments.get("solve", "n") == "n"
    if finds_power:
        if "power" in arguments:
            raise DesignError(
                "`--n` and `--power` together leave nothing to find. Leave one out, or say with "
                "`--solve` what else to find."
            )
        arguments.pop("solve", None)
    function = power_of if finds_power else sample_size
    needed = inspect.signature(function).parameters
    missing = [
        f"`--{name.replace('_', '-')}`"
        for name, parameter in needed.items()
        if parameter.default is inspect.Parameter.empty and name not in arguments
    ]
    if missing:
        raise DesignError(f"{', '.join(missing)} must be given. `--help` says what each is.")
    return _called(function, arguments, given)


def _called(function: Callable[..., Any], arguments: dict[str, Any], given: dict[str, Any]) -> Any:
    """Call a function; an error names options, not arguments."""
    from pmsstats.errors import DesignError

    try:
        return function(**arguments)
    except DesignError as exc:
        raise DesignError(as_options(str(exc), given)) from exc


def _bound_parameters() -> list[click.Option]:
    """Make the options of a group-sequential design."""
    from pmsstats.power import GroupSequentialDesign

    kinds = option_kinds(GroupSequentialDesign)
    return options_of(GroupSequentialDesign, kinds, option_texts(GroupSequentialDesign, kinds))


def _bounds(given: dict[str, Any]) -> Any:
    """Work out the bounds of a group-sequential design."""
    from pmsstats.errors import DesignError
    from pmsstats.power import GroupSequentialDesign, boundaries

    arguments = {name: value for name, value in given.items() if value is not None}
    if "looks" not in arguments:
        raise DesignError("`--looks` is needed: shares of the information, as 0.5,1.")
    return boundaries(_called(GroupSequentialDesign, arguments, given))


def _check_figure(path: Path) -> None:
    """Refuse, before anything is worked out, a file that cannot be written or drawn."""
    from pmsstats.errors import DesignError

    if path.suffix.lower() not in FIGURE_KINDS:
        raise DesignError(f"`--figure` must end in {', '.join(FIGURE_KINDS)}, got {path.name!r}.")
    if not path.parent.is_dir():
        raise DesignError(f"`--figure` needs a folder that is there; {str(path.parent)!r} is not.")


def _draw(result: Any, path: Path) -> None:
    """Draw the power curve."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from pmsstats.plots import theme

    with theme():
        figure = Figure(figsize=(7.4, 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        result.plot(ax=figure.subplots())
        figure.savefig(path, dpi=150)


for _name, (_design, _what, _parts) in DESIGNS.items():
    _add(
        _name,
        f"Compare {_what}.",
        partial(_parameters, _design, _parts),
        partial(_solved, _design, _parts),
    )
_add("bounds", "Bounds of interim looks, and what they cost.", _bound_parameters, _bounds)
