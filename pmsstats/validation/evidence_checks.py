"""Check a generator against the findings of the review: the truth at large n."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import joblib
import pandas as pd

from pmsstats.errors import DesignError, PMSStatsError
from pmsstats.seeds import Seed, as_seed_sequence
from pmsstats.validation.check import Check
from pmsstats.validation.claim import Claim
from pmsstats.validation.cohorts import (
    CohortPlan,
    check_generator,
    emitted_measures,
    generate_cohorts,
    plan_of,
    problem_with,
)
from pmsstats.validation.evidence_result import CLAIM_COLUMNS, EvidenceChecksResult
from pmsstats.validation.protocol import CohortGenerator
from pmsstats.validation.selection import Selection, select_checks
from pmsstats.validation.studies import Studies, whole_cohort
from pmsstats.validation.verdicts import NOT_POSSIBLE, claim_verdict, worst_verdict

__all__ = ["check_evidence", "count_argument", "plans_of"]

_FEWEST = 100
_PURPOSE = ("evidence", "large n")


def check_evidence(
    generator: CohortGenerator,
    config: Any,
    seed: Seed,
    *,
    n: int = 20_000,
    findings: str | Iterable[str] | None = None,
    checks: Mapping[str, Check] | Sequence[Check] | None = None,
    conf_level: float = 0.95,
    n_jobs: int = 1,
) -> EvidenceChecksResult:
    """Run the declared check of each finding on very large cohorts.

    Parameters
    ----------
    generator : CohortGenerator
        Called as ``generator(config, seed)``.
    config : StudyConfig
        The generator's population; each check sees it through the design of the cited study.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Root of all random numbers.
    n : int, default 20000
        Subjects of the largest group of each check, the others in the proportions of the cited
        study; with sampling error that small the estimate is the truth.
    findings : str or iterable of str, optional
        Ids; all by default.
    checks : mapping of str to Check, or sequence of Check, optional
        Instead of the declared ones.
    conf_level : float, default 0.95
        Of the intervals that verdicts rest on.
    n_jobs : int, default 1
        Processes; the result does not depend on them, nor on which findings are chosen.

    Returns
    -------
    EvidenceChecksResult
        One row for each claim; findings without a check are listed with the reason.

    Raises
    ------
    DesignError
        If generator or config are of another kind, a finding is unknown, or a number is too
        small.
    """
    check_generator(generator, config)
    count_argument("n", n, _FEWEST)
    count_argument("n_jobs", n_jobs, 1)
    if not 0 < conf_level < 1:
        raise DesignError(f"`conf_level` must lie between 0 and 1, got {conf_level!r}.")
    chosen = select_checks(findings, checks)
    root = as_seed_sequence(seed)
    parts = joblib.Parallel(n_jobs=n_jobs)(
        joblib.delayed(_check_plan)(
            generator, config, plan, group, n=n, root=root, conf_level=conf_level
        )
        for plan, group in plans_of(chosen.checks).items()
    )
    rows = {name: found for part in parts for name, found in part.items()}
    return EvidenceChecksResult(
        claims=_claims_frame(chosen, rows),
        verdicts=_verdicts_frame(chosen, rows),
        n_subjects=n,
        conf_level=conf_level,
        entropy=str(root.entropy),
    )


def count_argument(name: str, value: Any, least: int) -> None:
    """Refuse what is no whole number, or too small a one.

    Parameters
    ----------
    name : str
        Argument, for the message.
    value : object
        What was given.
    least : int
        Smallest value.

    Raises
    ------
    DesignError
        If so.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise DesignError(f"`{name}` must be a whole number of at least {least}, got {value!r}.")


def plans_of(checks: Iterable[Check]) -> dict[CohortPlan, list[Check]]:
    """Gather the checks that can share subjects.

    Parameters
    ----------
    checks : iterable of Check
        The checks.

    Returns
    -------
    dict of CohortPlan to list of Check
        In order of first use.
    """
    plans: dict[CohortPlan, list[Check]] = {}
    for check in checks:
        plans.setdefault(plan_of(check), []).append(check)
    return plans


def possible_checks(
    config: Any, plan: CohortPlan, checks: Sequence[Check]
) -> tuple[list[Check], dict[str, str]]:
    """Separate the checks that a generator can serve from those that it cannot.

    Parameters
    ----------
    config : StudyConfig
        The generator's description.
    plan : CohortPlan
        Of the checks.
    checks : sequence of Check
        The checks.

    Returns
    -------
    tuple of list of Check and dict of str to str
        Possible ones, and why the others are not.
    """
    problems = {check.finding: problem_with(config, plan, check) for check in checks}
    possible = [check for check in checks if not problems[check.finding]]
    return possible, {name: text for name, text in problems.items() if text}


def largest_groups(checks: Iterable[Check]) -> dict[str, int]:
    """Return the phenotypes of some designs with the largest number of each.

    Parameters
    ----------
    checks : iterable of Check
        The checks.

    Returns
    -------
    dict of str to int
        In order of first use.
    """
    sizes: dict[str, int] = {}
    for check in checks:
        for phenotype, size in check.design.groups:
            sizes[phenotype] = max(size, sizes.get(phenotype, 0))
    return sizes


def _check_plan(
    generator: CohortGenerator, config: Any, plan: CohortPlan, checks: Sequence[Check], *, n: int,
    root: Any, conf_level: float,
) -> dict[str, list[dict[str, Any]]]:  # fmt: skip
    """Run the checks that share subjects."""
    possible, problems = possible_checks(config, plan, checks)
    rows = {
        check.finding: [_failed(claim, problems[check.finding]) for claim in check.claims]
        for check in checks
        if check.finding in problems
    }
    if not possible:
        return rows
    sizes = dict.fromkeys(largest_groups(possible), n)
    try:
        cohorts = generate_cohorts(
            generator, config, plan, sizes=sizes, measures=emitted_measures(possible), seed=root,
            purpose=_PURPOSE,
        )  # fmt: skip
    except PMSStatsError as exc:
        return rows | {
            c.finding: [_failed(claim, str(exc)) for claim in c.claims] for c in possible
        }
    for check in possible:
        studies = whole_cohort(cohorts, check.design.groups, n)
        rows[check.finding] = [_claim_row(claim, studies, conf_level) for claim in check.claims]
    return rows


def _expectation(claim: Claim) -> dict[str, Any]:
    """Return the columns that say what was expected."""
    low, high = claim.published or (math.nan, math.nan)
    return {
        "claim": claim.words,
        "units": claim.analysis.units,
        "expected": claim.expect,
        "margin": math.nan if claim.margin is None else claim.margin,
        "published_low": low,
        "published_high": high,
        "record": claim.record,
    }


def _failed(claim: Claim, reason: str) -> dict[str, Any]:
    """Return the row of a claim that could not be estimated."""
    missing = dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), math.nan)
    return {
        **_expectation(claim), **missing, "verdict": NOT_POSSIBLE, "n_subjects": 0,
        "reason": reason,
    }  # fmt: skip


def _claim_row(claim: Claim, studies: Studies, conf_level: float) -> dict[str, Any]:
    """Estimate one claim in one large study, and judge it."""
    try:
        found = claim.analysis.estimate(studies)
    except PMSStatsError as exc:
        return _failed(claim, str(exc))
    low, high = (float(end[0]) for end in found.interval(conf_level))
    verdict = claim_verdict(claim, low, high)
    return {
        **_expectation(claim),
        "estimate": float(found.estimate[0]),
        "std_error": float(found.std_error[0]),
        "conf_low": low,
        "conf_high": high,
        "verdict": verdict,
        "n_subjects": found.n,
        "reason": "the estimate does not exist" if verdict == NOT_POSSIBLE else "",
    }


def _claims_frame(chosen: Selection, rows: Mapping[str, list[dict[str, Any]]]) -> pd.DataFrame:
    """Tabulate all claims, in the order of the findings."""
    listed = [{"finding": f, **row} for f in chosen.findings["finding"] for row in rows.get(f, ())]
    return pd.DataFrame(listed, columns=list(CLAIM_COLUMNS))


def _verdicts_frame(chosen: Selection, rows: Mapping[str, list[dict[str, Any]]]) -> pd.DataFrame:
    """Tabulate the verdict of each finding."""
    frame = chosen.findings.copy()
    found = [rows.get(name, []) for name in frame["finding"]]
    frame.insert(3, "verdict", [worst_verdict(row["verdict"] for row in r) for r in found])
    frame.insert(4, "n_claims", [len(r) for r in found])
    reasons = ["; ".join(dict.fromkeys(x["reason"] for x in r if x["reason"])) for r in found]
    frame["reason"] = [own or new for own, new in zip(frame["reason"], reasons, strict=True)]
    return frame
