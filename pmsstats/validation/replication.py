"""How often would a study of the cited size have found what it reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, PMSStatsError
from pmsstats.seeds import Seed, as_seed_sequence
from pmsstats.validation.analyses.base import Estimates
from pmsstats.validation.check import Check
from pmsstats.validation.claim import Claim
from pmsstats.validation.cohorts import (
    CohortPlan,
    check_generator,
    describe_design,
    emitted_measures,
    generate_cohorts,
)
from pmsstats.validation.evidence_checks import (
    check_evidence,
    count_argument,
    largest_groups,
    plans_of,
    possible_checks,
)
from pmsstats.validation.evidence_result import EvidenceChecksResult
from pmsstats.validation.protocol import CohortGenerator
from pmsstats.validation.replication_result import REPLICATION_COLUMNS, ReplicationResult
from pmsstats.validation.selection import Selection, select_checks
from pmsstats.validation.studies import Studies, cut_studies

__all__ = ["replicate_studies"]

_AT_ONCE = 100
"""Studies made together. Fixed: the subjects of a study must not depend on the request."""
_PURPOSE = ("evidence", "replication")
_FEWEST = 10


def replicate_studies(
    generator: CohortGenerator,
    config: Any,
    seed: Seed,
    *,
    n_replicates: int = 500,
    findings: str | Iterable[str] | None = None,
    checks: Mapping[str, Check] | Sequence[Check] | None = None,
    alpha: float = 0.05,
    truth: EvidenceChecksResult | None = None,
    n: int = 20_000,
    n_jobs: int = 1,
) -> ReplicationResult:
    """Repeat the cited study of each finding, at its own size, and count what it would report.

    Parameters
    ----------
    generator : CohortGenerator
        Called as ``generator(config, seed)``.
    config : StudyConfig
        The generator's population.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Root of all random numbers.
    n_replicates : int, default 500
        Studies simulated for each finding.
    findings : str or iterable of str, optional
        Ids; all by default.
    checks : mapping of str to Check, or sequence of Check, optional
        Instead of the declared ones.
    alpha : float, default 0.05
        Two-sided level of the tests.
    truth : EvidenceChecksResult, optional
        Verdicts at large n, to stand beside; computed by default.
    n : int, default 20000
        Subjects of each phenotype for the truth, where it is computed.
    n_jobs : int, default 1
        Processes; the result does not depend on them, nor on which findings are chosen.

    Returns
    -------
    ReplicationResult
        One row per finding with a check.

    Raises
    ------
    DesignError
        If generator or config are of another kind, a finding is unknown, or a number is too
        small.

    Notes
    -----
    A replicate finds what was reported if every claim does: a directional one has p below `alpha`
    and the expected sign, one of no difference has p of at least `alpha`; where the cited study
    tested nothing, the sign alone, or an estimate inside the margin, counts. A replicate without an
    estimate (nobody had an event, say) counts as not finding it, and is counted apart. Replicates
    of one finding share no subject; findings of one design are tried on the same subjects. Where
    a design has several sites, 100 replicates at a time share them, and so the scanners' offsets:
    there the Monte Carlo error is too small.
    """
    check_generator(generator, config)
    _check_numbers(n_replicates, n_jobs, alpha)
    root = as_seed_sequence(seed)
    chosen = select_checks(findings, checks)
    if truth is None:
        truth = check_evidence(
            generator, config, root, n=n, findings=findings, checks=checks, n_jobs=n_jobs
        )
    jobs, problems = _jobs(config, chosen.checks, n_replicates)
    parts = joblib.Parallel(n_jobs=n_jobs)(
        joblib.delayed(_replicate_plan)(
            generator,
            config,
            plan,
            group,
            root=root,
            chunk=chunk,
            n_studies=min(_AT_ONCE, n_replicates - chunk * _AT_ONCE),
            alpha=alpha,
        )
        for plan, group, chunk in jobs
    )
    parts = [problems, *parts]
    return ReplicationResult(
        findings=_frame(chosen, truth, parts, n_replicates),
        n_replicates=n_replicates,
        alpha=alpha,
        entropy=str(root.entropy),
    )


def _check_numbers(n_replicates: int, n_jobs: int, alpha: float) -> None:
    """Refuse impossible numbers."""
    count_argument("n_replicates", n_replicates, _FEWEST)
    count_argument("n_jobs", n_jobs, 1)
    if not 0 < alpha < 1:
        raise DesignError(f"`alpha` must lie between 0 and 1, got {alpha!r}.")


@dataclass(frozen=True, kw_only=True)
class _Count:
    """Studies of one chunk that found what was reported, that had no estimate, and why."""

    n_found: int = 0
    n_failed: int = 0
    reason: str = ""


def _jobs(
    config: Any, checks: Sequence[Check], n_replicates: int
) -> tuple[list[tuple[CohortPlan, list[Check], int]], dict[str, _Count]]:
    """Share the studies out, and say of which checks there can be none."""
    jobs, problems = [], {}
    for plan, group in plans_of(checks).items():
        possible, reasons = possible_checks(config, plan, group)
        problems |= {name: _Count(reason=text) for name, text in reasons.items()}
        chunks = range(-(-n_replicates // _AT_ONCE)) if possible else ()
        jobs += [(plan, possible, chunk) for chunk in chunks]
    return jobs, problems


def _replicate_plan(
    generator: CohortGenerator,
    config: Any,
    plan: CohortPlan,
    checks: Sequence[Check],
    *,
    root: Any,
    chunk: int,
    n_studies: int,
    alpha: float,
) -> dict[str, _Count]:
    """Simulate one chunk of the studies of the checks that share subjects."""
    sizes = {name: size * _AT_ONCE for name, size in largest_groups(checks).items()}
    try:
        cohorts = generate_cohorts(
            generator,
            config,
            plan,
            sizes=sizes,
            measures=emitted_measures(checks),
            seed=root,
            purpose=(*_PURPOSE, chunk),
        )
    except PMSStatsError as exc:
        return {check.finding: _Count(reason=str(exc)) for check in checks}
    counts = {}
    for check in checks:
        try:
            studies = cut_studies(cohorts, check.design.groups, n_studies)
            counts[check.finding] = _count(check, studies, alpha)
        except PMSStatsError as exc:
            counts[check.finding] = _Count(reason=str(exc))
    return counts


def _count(check: Check, studies: Studies, alpha: float) -> _Count:
    """Count the studies in which every claim is found."""
    found = np.ones(studies.shape[0], dtype=bool)
    failed = np.zeros(studies.shape[0], dtype=bool)
    for claim in check.claims:
        estimates = claim.analysis.estimate(studies)
        found &= is_found(claim, estimates, alpha)
        failed |= np.isnan(estimates.p_value())
    return _Count(n_found=int(found.sum()), n_failed=int(failed.sum()))


def is_found(claim: Claim, estimates: Estimates, alpha: float) -> np.ndarray:
    """Say in which studies a claim would have been reported.

    Parameters
    ----------
    claim : Claim
        What was reported.
    estimates : Estimates
        Of many studies.
    alpha : float
        Two-sided level.

    Returns
    -------
    ndarray of bool, shape (n_studies,)
        False where there is no estimate.
    """
    p, estimate = estimates.p_value(), estimates.estimate
    if claim.expect == "none":
        return p >= alpha if claim.tested else np.abs(estimate) < claim.margin
    signed = estimate if claim.expect == "higher" else -estimate
    return (signed > 0) & ((p < alpha) | (not claim.tested))


def _frame(
    chosen: Selection, truth: EvidenceChecksResult, parts: Iterable[Mapping[str, _Count]],
    n_replicates: int,
) -> pd.DataFrame:  # fmt: skip
    """Tabulate the probabilities, in the order of the findings."""
    parts = list(parts)
    described = chosen.findings.set_index("finding")
    verdicts = truth.verdicts.set_index("finding")["verdict"]
    rows = []
    for check in chosen.checks:
        counts = [part[check.finding] for part in parts if check.finding in part]
        reason = next((c.reason for c in counts if c.reason), "")
        share = np.nan if reason else sum(c.n_found for c in counts) / n_replicates
        expected = {claim.expect == "none" for claim in check.claims}
        rows.append(
            {
                "finding": check.finding,
                "section": described.loc[check.finding, "section"],
                "statement": described.loc[check.finding, "statement"],
                "design": describe_design(check.design),
                "n_subjects": check.design.n_subjects,
                "followup_years": check.design.followup_years,
                "source": check.design.source,
                "expected": "both" if len(expected) > 1 else _EXPECTED[expected.pop()],
                "probability": share,
                "mcse": np.sqrt(share * (1 - share) / n_replicates),
                "n_failed": sum(c.n_failed for c in counts),
                "truth": _truth_text(truth.claims, check.finding),
                "verdict": verdicts.get(check.finding, ""),
                "reason": reason,
            }
        )
    return pd.DataFrame(rows, columns=list(REPLICATION_COLUMNS))


_EXPECTED = {True: "no effect", False: "effect"}


def _truth_text(claims: pd.DataFrame, finding: str) -> str:
    """Say what the estimates are at large n."""
    own = claims[claims["finding"] == finding]
    return "; ".join(f"{row.estimate:.3g} {row.units}" for row in own.itertuples())
