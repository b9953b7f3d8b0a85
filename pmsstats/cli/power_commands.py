"""Commands on closed forms: sample size, power, and whatever else is solved for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click

from pmsstats.cli.shared import explained, verbose_option


class Numbers(click.ParamType):
    """One number, or several with commas between them."""

    name = "number"

    def __init__(self, kind: type = float) -> None:
        self.kind = kind

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Read text; one number stays a number, several are a tuple."""
        if not isinstance(value, str):
            return value
        try:
            numbers = tuple(self.kind(part) for part in value.split(","))
        except ValueError:
            number = "whole number" if self.kind is int else "number"
            self.fail(f"{value!r} is no {number}, and no list such as 1,2.", param, ctx)
        return numbers[0] if len(numbers) == 1 else numbers


FIGURE_KINDS = (".svg", ".png", ".pdf")
FLOATS, WHOLE = Numbers(), Numbers(int)


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


def _slopes(slope_sd: Any, residual_sd: Any, intercept_sd: Any) -> Any:
    """Make the variances of slopes, one per arm where there are two of any."""
    from pmsstats.power import SlopeModel

    def model(i: int) -> Any:
        given = {"slope_sd": slope_sd, "residual_sd": residual_sd, "intercept_sd": intercept_sd}
        picked = {k: v[i] if isinstance(v, tuple) else v for k, v in given.items()}
        return SlopeModel(**{k: v for k, v in picked.items() if v is not None})

    several = any(isinstance(v, tuple) for v in (slope_sd, residual_sd, intercept_sd))
    return (model(0), model(1)) if several else model(0)


def _covariance(sd: Any, visit_correlation: Any, structure: Any) -> Any:
    """Make the covariance of visits from standard deviations and a correlation."""
    from pmsstats.power import VisitCovariance

    make = getattr(VisitCovariance, structure or "cs")
    return make(sd=sd if isinstance(sd, tuple) else (sd,), correlation=visit_correlation or 0.0)


SCHEDULE = Parts(
    "schedule", (("years", FLOATS, "Visits in years, from 0: 0,0.5,1,1.5,2."),), _visits
)
SLOPES = Parts(
    "model",
    (
        ("slope_sd", FLOATS, "SD of slopes between subjects, per year; two for two arms."),
        ("residual_sd", FLOATS, "SD of a scan about its subject's line; two for two arms."),
        ("intercept_sd", FLOATS, "SD of baseline values [default: large]."),
    ),
    _slopes,
)
COVARIANCE = Parts(
    "covariance",
    (
        ("sd", FLOATS, "SD at each visit after baseline: 1.0,1.2,1.5."),
        ("visit_correlation", float, "Correlation between visits, or between neighbours."),
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

_KINDS = {
    "float": FLOATS, "int": WHOLE, "str": click.STRING, "bool": click.BOOL, "tuple": FLOATS,
    "Sequence": FLOATS, "Retention": FLOATS,
}  # fmt: skip


@click.group()
def power() -> None:
    """Answer by a closed form: how many patients, which power, how small an effect, how long.

    With --n the power is found; without it, what --solve names (the number of patients by
    default) for the power asked for by --power.
    """


def _kind(annotation: str, aliases: dict[str, Any]) -> Any:
    """Return the kind of an option from the annotation of its argument; None: not offered."""
    first = annotation.split("|", maxsplit=1)[0].split("[", maxsplit=1)[0].strip()
    if get_origin(aliases.get(first)) is Literal:
        return click.Choice(get_args(aliases[first]))
    return _KINDS.get(first)


def _options(function: Callable[..., Any], parts: tuple[Parts, ...]) -> dict[str, Any]:
    """Return the options of a design: name, and kind."""
    made = {part.argument for part in parts}
    kinds = {name: kind for part in parts for name, kind, _ in part.options}
    for name, parameter in inspect.signature(function).parameters.items():
        kind = _kind(str(parameter.annotation), function.__globals__)
        if name not in made and kind is not None:
            kinds.setdefault(name, kind)
    return kinds


def _choices(function: Callable[..., Any]) -> dict[str, click.Choice[str]]:
    """Return the words that an argument may be, where its docstring lists them."""
    listed = re.findall(r"^(\w+) : \{(.*?)\}", inspect.cleandoc(function.__doc__ or ""), re.M)
    words = {name: re.findall(r'"(\w+)"', text) for name, text in listed}
    return {name: click.Choice(options) for name, options in words.items() if options}


def _help(function: Callable[..., Any], offered: Collection[str]) -> dict[str, str]:
    """Return the first sentence that a function's docstring gives to each argument."""
    texts: dict[str, str] = {}
    section = inspect.cleandoc(function.__doc__ or "").partition("Parameters\n----------\n")[2]
    names: list[str] = []
    for line in section.splitlines():
        if line.startswith("---") or not line.strip():
            break
        if not line.startswith(" "):
            names = [name.strip() for name in line.partition(" : ")[0].split(",")]
            continue
        for name in names:
            texts.setdefault(name, "")
            texts[name] = f"{texts[name]} {line.strip()}".strip()
    return {
        name: re.sub(r" ?\[\d+\]_", "", _named(text, offered)).partition(". ")[0].rstrip(".") + "."
        for name, text in texts.items()
        if not text.startswith("See ") and ":func:" not in text.partition(";")[0]
    }


def _named(text: str, arguments: Collection[str]) -> str:
    """Write arguments in a docstring, with or without a value, as the options that they are."""

    def option(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name not in arguments:
            return found.group()
        return f"--{name.replace('_', '-')}" + (f" {value}" if value else "")

    return re.sub(r"`+(\w+)(?:=\"(\w+)\")?`+", option, text).replace("`", "")


def _add(name: str, design: str, what: str, parts: tuple[Parts, ...]) -> None:
    """Add the command of a design; its options are read when it is asked for."""

    class Lazy(click.Command):
        """A command whose options are those of the functions behind it."""

        def get_params(self, ctx: click.Context) -> list[click.Parameter]:
            """Return the options, which are made on first use."""
            if not getattr(self, "is_complete", False):
                self.params = [*_parameters(design, parts), *self.params]
                self.is_complete = True
            return super().get_params(ctx)

    @power.command(name, cls=Lazy, help=f"Compare {what}.", short_help=f"Compare {what}.")
    @click.option(
        "--figure", type=click.Path(dir_okay=False, path_type=Path),
        help="File for the power curve (.svg, .png or .pdf).",
    )  # fmt: skip
    @verbose_option
    def command(*, figure: Path | None, verbose: bool, **given: Any) -> None:
        with explained(verbose=verbose):
            if figure is not None:
                _check_figure(figure)
            result = _solved(design, parts, given)
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
    kinds = _options(sample_size, parts)
    texts = _help(sample_size, kinds) | _help(power_of, kinds) | HELP
    texts |= {name: text for part in parts for name, _, text in part.options}
    words = _choices(sample_size) | _choices(power_of)
    arguments = inspect.signature(sample_size).parameters
    return [
        click.Option(
            [f"--{name.replace('_', '-')}", name],
            type=words.get(name, kind),
            help=f"{texts.get(name, '')}{_default(arguments.get(name))}",
        )
        for name, kind in kinds.items()
    ]


def _default(parameter: inspect.Parameter | None) -> str:
    """Return a remark on the value that an argument has if it is not given."""
    value = None if parameter is None else parameter.default
    if value in (None, "", inspect.Parameter.empty):
        return ""
    words = {False: "no", True: "yes"}.get(value, value) if isinstance(value, bool) else value
    if isinstance(words, tuple):
        words = ",".join(f"{part:g}" for part in words)
    return f"  [default: {words:g}]" if isinstance(words, float) else f"  [default: {words}]"


def _solved(design: str, parts: tuple[Parts, ...], given: dict[str, Any]) -> Any:
    """Call the function that answers: the power for a given n, else what is solved for."""
    from pmsstats.errors import DesignError

    arguments = {name: value for name, value in given.items() if value is not None}
    for part in parts:
        values = {name: arguments.pop(name, None) for name, _, _ in part.options}
        if next(iter(values.values())) is None:
            first = part.options[0]
            raise DesignError(f"`--{first[0].replace('_', '-')}` is needed: {first[2]}")
        arguments[part.argument] = part.make(**values)
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
    try:
        return function(**arguments)
    except DesignError as exc:
        raise DesignError(_as_options(str(exc), given)) from exc


def _as_options(message: str, given: dict[str, Any]) -> str:
    """Write the names of arguments in a message as the options that they are here."""

    def option(found: re.Match[str]) -> str:
        name, tail = found.groups()
        return f"`--{name.replace('_', '-')}{tail}`" if name in given else found.group()

    return re.sub(r"`(\w+)((?:=[^`]*)?)`", option, message)


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
    _add(_name, _design, _what, _parts)
