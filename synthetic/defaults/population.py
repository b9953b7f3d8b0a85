"""Who is in a cohort, how the latent processes hang together, and when subjects are seen."""

from __future__ import annotations

from synthetic.defaults.assumptions import by_phenotype
from synthetic.observation import ScheduleModel
from synthetic.parameters import PopulationModel
from synthetic.values import PerPhenotype, assumed, published

__all__ = ["CORRELATIONS", "POPULATION", "SCHEDULE"]

_TOGETHER = "processes that damage the same tissue go together, and can still be told apart"
_DRIVEN = "one process speeds another up; how strongly is not published"
_PAST = "what is lost by now was lost at past rates, which last in part"
_MIX = "progressive MS for the most part, with relapsing MS and controls to compare"
_WOMEN = "about two in three with relapse onset, as many men as women with primary progression"
_AGES = "typical of cohorts of the phenotype: progression begins about ten years after relapses do"
_AGE_SPREAD = "typical of cohorts of the phenotype; those of trials are narrower"
_DURATIONS = "typical of cohorts of the phenotype"
_ATTACK = "seen within about a year of the first attack"
_RIS = "since the first abnormal scan"

CORRELATIONS = (
    ("neurodegeneration_level", "demyelination_level", assumed(0.4, _TOGETHER)),
    ("neurodegeneration_level", "inflammation_level", assumed(0.2, _TOGETHER)),
    ("neurodegeneration_level", "meningeal_level", assumed(0.4, _TOGETHER)),
    ("neurodegeneration_level", "cord_level", assumed(0.2, _TOGETHER)),
    ("neurodegeneration_level", "iron_level", assumed(0.3, _TOGETHER)),
    ("demyelination_level", "inflammation_level", assumed(0.35, _TOGETHER)),
    ("demyelination_level", "meningeal_level", assumed(0.3, _TOGETHER)),
    ("demyelination_level", "cord_level", assumed(0.2, _TOGETHER)),
    ("inflammation_level", "meningeal_level", assumed(0.2, _TOGETHER)),
    ("inflammation_level", "iron_level", assumed(0.1, _TOGETHER)),
    ("meningeal_level", "cord_level", assumed(0.1, _TOGETHER)),
    ("meningeal_level", "iron_level", assumed(0.2, _TOGETHER)),
    ("neurodegeneration_rate", "meningeal_rate", assumed(0.4, _DRIVEN)),
    ("neurodegeneration_rate", "cord_rate", assumed(0.3, _DRIVEN)),
    ("neurodegeneration_rate", "iron_rate", assumed(0.2, _DRIVEN)),
    ("demyelination_rate", "cord_rate", assumed(0.2, _DRIVEN)),
    ("demyelination_rate", "meningeal_rate", assumed(0.2, _DRIVEN)),
    ("neurodegeneration_level", "neurodegeneration_rate", assumed(0.3, _PAST)),
    ("demyelination_level", "demyelination_rate", assumed(0.3, _PAST)),
    ("inflammation_level", "inflammation_rate", assumed(0.4, _PAST)),
    ("meningeal_level", "meningeal_rate", assumed(0.3, _PAST)),
    ("cord_level", "cord_rate", assumed(0.3, _PAST)),
    ("iron_level", "iron_rate", assumed(0.3, _PAST)),
)
"""Between the person factors; pairs that are not named are uncorrelated. Among the rates those of
demyelination and of focal inflammation go their own way: lesions and tissue loss come apart."""

POPULATION = PopulationModel(
    mix=by_phenotype(_MIX, HC=0.20, RRMS=0.15, SPMS=0.35, PPMS=0.30),
    female=by_phenotype(_WOMEN, HC=0.60, RIS=0.70, CIS=0.70, RRMS=0.70, SPMS=0.60, PPMS=0.50),
    age_mean=by_phenotype(_AGES, HC=46, RIS=38, CIS=34, RRMS=38, SPMS=48, PPMS=47),
    age_sd=by_phenotype(_AGE_SPREAD, HC=10, RIS=11, CIS=9, RRMS=9, SPMS=8, PPMS=8),
    age_range=(18.0, 70.0),
    duration_mean=PerPhenotype(
        RIS=assumed(2, _RIS),
        CIS=assumed(0.5, _ATTACK),
        RRMS=assumed(8, _DURATIONS),
        SPMS=published("kappos2018_duration_spms"),
        PPMS=assumed(7, _DURATIONS),
    ),
    duration_sd=PerPhenotype(
        RIS=assumed(2, _RIS),
        CIS=assumed(0.3, _ATTACK),
        RRMS=assumed(6, _DURATIONS),
        SPMS=published("kappos2018_duration_spms", "sd"),
        PPMS=assumed(5, _DURATIONS),
    ),
    correlations=CORRELATIONS,
    head_size_mean=assumed(1560.0, "intracranial volume of men, about 10 % above that of women"),
    head_size_sd=assumed(120.0, "about 8 % of the mean, between persons of one sex"),
    head_size_ratio=assumed(0.9, "women's is about a tenth smaller"),
)

SCHEDULE = ScheduleModel(
    weeks=tuple(range(0, 145, 12)),
    imaging_weeks=(0, 24, 48, 96, 144),
    cognition_weeks=tuple(range(0, 145, 24)),
    window_days=assumed(7, "a week either side is usual in trials"),
    window_sd=assumed(3, "two in three visits within three days of the planned one"),
)
