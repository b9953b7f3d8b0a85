"""Which findings are checked, by which declared checks, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.evidence import findings as registered_findings
from pmsstats.validation.check import Check

__all__ = ["Selection", "select_checks"]

_NO_CHECK = "no check is declared for it"


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """Findings in the order of the registry, and the checks of those that have one.

    Parameters
    ----------
    findings : pandas.DataFrame
        Columns ``finding section statement note``, and ``reason`` for those without a check.
    checks : tuple of Check
        In the order of the findings.
    """

    findings: pd.DataFrame
    checks: tuple[Check, ...]


def select_checks(
    findings: str | Iterable[str] | None, checks: Mapping[str, Check] | Sequence[Check] | None
) -> Selection:
    """Choose findings, and look up their checks.

    Parameters
    ----------
    findings : str or iterable of str, optional
        Ids; all of the registry (or, with `checks`, all of these) by default.
    checks : mapping of str to Check, or sequence of Check, optional
        Instead of the declared ones.

    Returns
    -------
    Selection
        Every finding chosen, with its check or the reason why it has none.

    Raises
    ------
    DesignError
        If an id is unknown, or a finding has two checks.
    """
    by_id = _by_id(checks)
    registry = {finding.id: finding for finding in registered_findings()}
    known = list(by_id) if checks is not None else list(dict.fromkeys([*registry, *by_id]))
    wanted = known if findings is None else _wanted(findings, [*registry, *by_id])
    rows = []
    for name in wanted:
        entry, check = registry.get(name), by_id.get(name)
        rows.append(
            {
                "finding": name,
                "section": entry.section if entry else "",
                "statement": entry.statement if entry else name.replace("-", " "),
                "note": check.note if check else "",
                "reason": "" if check else (entry.reason if entry else "") or _NO_CHECK,
            }
        )
    columns = ["finding", "section", "statement", "note", "reason"]
    return Selection(
        findings=pd.DataFrame(rows, columns=columns),
        checks=tuple(by_id[name] for name in wanted if name in by_id),
    )


def _by_id(checks: Mapping[str, Check] | Sequence[Check] | None) -> dict[str, Check]:
    """Return checks by finding."""
    if checks is None:
        from pmsstats.validation.checks import CHECKS

        checks = CHECKS
    listed = list(checks.values()) if isinstance(checks, Mapping) else list(checks)
    for check in listed:
        if not isinstance(check, Check):
            raise DesignError(f"`checks` must hold objects of class Check, got {check!r}.")
    by_id = {check.finding: check for check in listed}
    if len(by_id) < len(listed):
        names = [check.finding for check in listed]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DesignError(f"Two checks for one finding: {', '.join(twice)}. Join their claims.")
    return by_id


def _wanted(findings: str | Iterable[str], known: Sequence[str]) -> list[str]:
    """Return ids in the order given, or refuse unknown ones."""
    wanted = [findings] if isinstance(findings, str) else list(dict.fromkeys(findings))
    for name in wanted:
        if name not in known:
            raise DesignError(
                f"No finding {name!r}.{nearest(str(name), known)} List them with `pmsstats "
                "evidence list`."
            )
    if not wanted:
        raise DesignError("`findings` is empty: name at least one finding, or leave it out.")
    return wanted
