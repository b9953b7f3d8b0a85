"""Scenarios as files: ``scenario.toml`` in, a checked :class:`Scenario` out, and back."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pmsstats.cohort.toml_types import check_toml, raise_problems
from pmsstats.errors import SchemaError
from pmsstats.trials.scenario import Scenario

__all__ = ["read_scenario", "scenario_from_dict", "scenario_to_toml", "write_scenario"]


def read_scenario(path: str | Path) -> Scenario:
    """Read a scenario from a TOML file.

    Parameters
    ----------
    path : str or Path
        The file. Its keys are the fields of :class:`Scenario` and its parts: ``name``,
        ``[population]``, ``[[arms]]`` (the reference first), ``[accrual]``, ``[schedule]``,
        ``[dropout]``, ``[[intercurrent]]``, ``[[endpoints]]``, ``[[analyses]]``, ``[[interims]]``,
        ``[decision]``.

    Returns
    -------
    Scenario
        Checked.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SchemaError
        If it is no text, or no TOML, or a key is unknown or missing, or a value is of the wrong
        kind; all problems at once.

    Examples
    --------
    >>> read_scenario("trial.toml")  # doctest: +SKIP
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as exc:
        raise SchemaError(
            f"{path.name} is no text file (TOML): its byte {exc.start + 1} is no UTF-8. Give a "
            "scenario.toml, saved as UTF-8."
        ) from exc
    except tomllib.TOMLDecodeError as exc:
        raise SchemaError(f"{path.name} is no valid TOML: {exc}.") from exc
    return scenario_from_dict(content, source=path.name)


def scenario_from_dict(content: Mapping[str, Any], *, source: str = "the scenario") -> Scenario:
    """Build a scenario from plain types, as TOML or :meth:`Scenario.to_dict` give them.

    Parameters
    ----------
    content : mapping
        Fields by name.
    source : str
        Where it comes from, for messages.

    Returns
    -------
    Scenario
        Checked.

    Raises
    ------
    SchemaError
        If anything does not fit; all problems at once.
    """
    scenario, problems = check_toml(Scenario, content, source=source)
    raise_problems(problems, source)
    return scenario  # type: ignore[return-value]


def write_scenario(scenario: Scenario, path: str | Path) -> Path:
    """Write a scenario as TOML; reading it gives the same scenario.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    path : str or Path
        The file, which is replaced.

    Returns
    -------
    Path
        The file.
    """
    path = Path(path)
    path.write_text(scenario_to_toml(scenario), encoding="utf-8")
    return path


def scenario_to_toml(scenario: Scenario) -> str:
    """Return a scenario in the words of ``scenario.toml``, without what is as by default.

    Parameters
    ----------
    scenario : Scenario
        The trial.

    Returns
    -------
    str
        TOML.
    """
    content = scenario.to_dict()
    lines = [f"{k} = {_value(v)}" for k, v in content.items() if not _is_section(v)]
    for key, value in content.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{key}]", *_entries(value)]
        elif _is_section(value):
            lines += [line for part in value for line in ("", f"[[{key}]]", *_entries(part))]
    return "\n".join(lines) + "\n"


def _is_section(value: Any) -> bool:
    """Say whether a value is a table, or a list of tables."""
    return isinstance(value, Mapping) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)
    )


def _entries(table: Mapping[str, Any]) -> list[str]:
    """Write the entries of a table, one per line."""
    return [f"{key} = {_value(value)}" for key, value in table.items()]


def _value(value: Any) -> str:
    """Write a value; JSON's texts, numbers and truths are TOML's."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {_value(entry)}" for key, entry in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return value if value in {"inf", "-inf"} else json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    """Write a key, in quotes where TOML asks for them."""
    is_bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if is_bare else json.dumps(key, ensure_ascii=False)
