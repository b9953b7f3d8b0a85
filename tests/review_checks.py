"""A generator without any effect, and runs of the declared checks that several tests share."""

from __future__ import annotations

import dataclasses
import functools
from unittest import mock

import pandas as pd
from scipy import stats

from pmsstats.validation import check_evidence
from synthetic import CohortConfig, generate_tables, preset
from synthetic.observation import worse_sign
from synthetic.parameters import Arm
from synthetic.values import PerPhenotype

SEED = 20180622
"""Of all large runs."""

N_LARGE = 20_000
"""Subjects of each group, as the verdicts are defined."""

N_NULL = 4_000
"""Subjects of each group of the generator without effects: an effect of 0.1 SD, or a correlation
of 0.1, would lie four standard errors from none."""

FOUR_ERRORS = 2 * stats.norm.cdf(4.0) - 1
"""Level of the intervals without effects. With 95 % one direction in forty would come out by
chance, two of all claims; beyond four standard errors none does."""

TWINS = {
    "lesion_mtr_pu": "nawm_mtr_pu",
    "lesion_fa": "nawm_fa",
    "lesion_md_um2_ms": "nawm_md_um2_ms",
    "cortical_lesion_dir_count": "cortical_lesion_psir_count",
}
"""Measures that checks compare within persons, and the one whose levels they take on without
effects."""

NOISE = 10.0
"""Error of a measure that is not reproducible, in SDs between persons."""


def flat(table: PerPhenotype) -> PerPhenotype:
    """Give every phenotype the value of RRMS."""
    return PerPhenotype(**dict.fromkeys(table, table["RRMS"]))


def zero(table: PerPhenotype) -> PerPhenotype:
    """Give every phenotype 0."""
    return PerPhenotype(**dict.fromkeys(table, 0.0))


def null_imaging(config: CohortConfig, noise: float) -> tuple:
    """Measures with one mean, no change, and no relation with anything."""
    models = {model.measure: model for model in config.imaging}
    twins = [models[TWINS.get(name, name)] for name in models]
    return tuple(
        dataclasses.replace(
            model,
            mean=flat(twin.mean) if twin.mean else twin.mean,
            sd=twin.sd,
            rate_pct=zero(model.rate_pct),
            level_loadings=(),
            rate_loadings=(),
            process="",
            error_sd=model.error_sd if not noise else noise * max(float(twin.sd), 0.1),
        )
        for model, twin in zip(models.values(), twins, strict=True)
    )


def null_config(base: CohortConfig, *, noise: float = 0.0) -> CohortConfig:
    """Take every effect out of a generator.

    All phenotypes have the means of RRMS, nothing changes, nothing loads on anything. `noise`
    above 0 also makes the error of each measure so many SDs.
    """
    replace = dataclasses.replace
    disability = replace(
        base.disability,
        **{f: flat(getattr(base.disability, f)) for f in
           ("edss_mean", "edss_sd", "edss_low", "edss_high", "worsening_rate")},
        level_loadings=(),
        loadings=(),
    )  # fmt: skip
    return replace(
        base,
        imaging=null_imaging(base, noise),
        disability=disability,
        relapses=replace(base.relapses, rate=flat(base.relapses.rate), loadings=()),
        lesions=replace(
            base.lesions, rate=flat(base.lesions.rate), duration_decline=0.0, baseline_ratio=1.0
        ),
        instruments=tuple(
            replace(model, level_loadings=(), rate_loadings=(), drift=0.0)
            for model in base.instruments
        ),
        conversion=replace(base.conversion, ris_loadings=(), rrms_loadings=()),
    )


LOUD_RATE = 5.0
"""Worsening a year without treatment, percent; a tenth of it, in SDs, for presence."""

LOUD_HAZARD = 1.2
"""Log hazard ratio of worsening per SD of each inflammation factor."""

LOUD_ARM = Arm(name="loud", share=1.0, atrophy_slowing=0.8, lesion_rate_ratio=0.2)
"""What every treatment does but placebo."""


def loud_imaging(model):
    """One measure on which the phenotypes differ, which changes fast and follows one process."""
    worse = worse_sign(model.measure)
    hundredths = 10 * LOUD_RATE if model.scale == "presence" else worse * LOUD_RATE
    mean = model.mean
    if model.scale == "linear":
        shift = {"SPMS": 2 * float(model.sd), "PPMS": 0.0}
        mean = PerPhenotype(**{k: mean["RRMS"] + shift.get(k, 0.0) for k in mean})
    return dataclasses.replace(
        model,
        mean=mean,
        rate_pct=PerPhenotype(**{k: 0.0 if k == "HC" else hundredths for k in model.rate_pct}),
        rate_sd_pct=abs(hundredths),
        level_loadings=(("inflammation_level", 0.95),),
        rate_loadings=(("inflammation_rate", 0.95),),
        drivers=(),
        process="",
        pseudo_atrophy=0.0,
    )


def loud_config(base: CohortConfig) -> CohortConfig:
    """Put an effect wherever a finding says there is none: one process drives everything."""
    replace = dataclasses.replace
    driven = (("inflammation_level", LOUD_HAZARD), ("inflammation_rate", LOUD_HAZARD))
    return replace(
        base,
        imaging=tuple(loud_imaging(model) for model in base.imaging),
        disability=replace(
            base.disability, level_loadings=(("inflammation_level", 0.95),), loadings=driven
        ),
        relapses=replace(base.relapses, loadings=(("inflammation_level", 0.95),)),
        lesions=replace(base.lesions, rate=flat(base.lesions.rate), relapse_loading=1.0),
    )


def loud_treatment(name: str) -> Arm:
    """Stand in for the lookup of treatments."""
    kept = LOUD_ARM if name != "placebo" else Arm(name="placebo", share=1.0)
    return dataclasses.replace(kept, name=name)


@functools.cache
def loud_run(findings: tuple[str, ...]):
    """Verdicts of some findings on a generator in which nothing is without effect."""
    config = loud_config(preset("review"))
    with mock.patch("synthetic.study.treatment", loud_treatment):
        return check_evidence(generate_tables, config, SEED, n=N_NULL, findings=findings).table()


@functools.cache
def large_run(findings: tuple[str, ...]):
    """Verdicts of some findings on the review preset."""
    return check_evidence(
        generate_tables, preset("review"), SEED, n=N_LARGE, findings=findings
    ).table()


@functools.cache
def null_run(findings: tuple[str, ...], noise: float = 0.0):
    """Verdicts of some findings on the generator without effects."""
    return check_evidence(
        generate_tables, null_config(preset("review"), noise=noise), SEED, n=N_NULL,
        findings=findings, conf_level=FOUR_ERRORS,
    ).table()  # fmt: skip


DIRECTIONAL = ("lower", "higher", "positive_corr", "negative_corr", "predicts_worse")
"""Directions of the registry that say which way."""


def simulable_ids(path, sections: tuple[str, ...], techniques: tuple[str, ...] = ()) -> list[str]:
    """Ids of the simulable rows of the shared list of findings, by section and technique."""
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    chosen = rows["section"].isin(sections) & rows["simulable"].str.startswith("yes")
    if techniques:
        chosen &= rows["technique"].isin(techniques)
    return rows.loc[chosen, "id"].tolist()


def expectations(check) -> set[str]:
    """Expectations of the claims of a check."""
    return {claim.expect for claim in check.claims}


def verdict_of(table: pd.DataFrame, finding: str) -> list[str]:
    """Verdicts of the claims of one finding."""
    return table.loc[table["finding"] == finding, "verdict"].tolist()


def review_verdicts(findings: tuple[str, ...], name: str) -> set[str]:
    """Verdicts of the claims of one finding on the review preset."""
    return set(verdict_of(large_run(findings), name))


def directional(checks, but: tuple[str, ...] = ()) -> list[tuple[str, int]]:
    """Claims with a direction: finding, and place among its claims."""
    return [
        (check.finding, place)
        for check in checks
        for place, claim in enumerate(check.claims)
        if claim.expect != "none" and check.finding not in but
    ]


def null_verdict(findings: tuple[str, ...], name: str, claim: int, *, noise: bool = False) -> str:
    """Verdict of one claim on the generator without effects."""
    table = null_run(findings, NOISE if noise else 0.0)
    return verdict_of(table, name)[claim]


def equivalent(checks) -> list[tuple[str, int]]:
    """Claims of no effect: finding, and place among its claims."""
    return [
        (check.finding, place)
        for check in checks
        for place, claim in enumerate(check.claims)
        if claim.expect == "none"
    ]


def loud_verdict(findings: tuple[str, ...], name: str, claim: int) -> str:
    """Verdict of one claim on the generator in which nothing is without effect."""
    return verdict_of(loud_run(findings), name)[claim]
