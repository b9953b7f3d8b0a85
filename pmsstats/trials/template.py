"""A scenario file with every key, to start from."""

from __future__ import annotations

from importlib import resources

__all__ = ["scenario_template"]


def scenario_template() -> str:
    """Return a scenario file that runs, with every key, its default and what it means.

    Returns
    -------
    str
        TOML: save it as ``scenario.toml``. Keys that the example does not need are commented.

    Examples
    --------
    >>> scenario_template().splitlines()[0]
    '# A trial scenario with every key. Run it with `pmsstats simulate scenario.toml --out design`.'
    """
    file = resources.files("pmsstats.trials").joinpath("scenario_template.toml")
    return file.read_text(encoding="utf-8")
