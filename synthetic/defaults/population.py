"""Who is in a cohort, how the latent processes hang together, and when subjects are seen."""

from __future__ import annotations

from synthetic.observation import ScheduleModel
from synthetic.parameters import PopulationModel
from synthetic.values import PerPhenotype, assumed, published

__all__ = ["CORRELATIONS", "POPULATION", "SCHEDULE"]

CORRELATIONS = (
    ("neurodegeneration_level", "demyelination_level", assumed(0.4)),
    ("neurodegeneration_level", "inflammation_level", assumed(0.2)),
    ("neurodegeneration_level", "meningeal_level", assumed(0.4)),
    ("neurodegeneration_level", "cord_level", assumed(0.2)),
    ("neurodegeneration_level", "iron_level", assumed(0.3)),
    ("demyelination_level", "inflammation_level", assumed(0.35)),
    ("demyelination_level", "meningeal_level", assumed(0.3)),
    ("demyelination_level", "cord_level", assumed(0.2)),
    ("inflammation_level", "meningeal_level", assumed(0.2)),
    ("inflammation_level", "iron_level", assumed(0.1)),
    ("meningeal_level", "cord_level", assumed(0.1)),
    ("meningeal_level", "iron_level", assumed(0.2)),
    ("neurodegeneration_rate", "meningeal_rate", assumed(0.4)),
    ("neurodegeneration_rate", "cord_rate", assumed(0.3)),
    ("neurodegeneration_rate", "iron_rate", assumed(0.2)),
    ("demyelination_rate", "cord_rate", assumed(0.2)),
    ("demyelination_rate", "meningeal_rate", assumed(0.2)),
    ("neurodegeneration_level", "neurodegeneration_rate", assumed(0.3)),
    ("demyelination_level", "demyelination_rate", assumed(0.3)),
    ("inflammation_level", "inflammation_rate", assumed(0.4)),
    ("meningeal_level", "meningeal_rate", assumed(0.3)),
    ("cord_level", "cord_rate", assumed(0.3)),
    ("iron_level", "iron_rate", assumed(0.3)),
)
"""Between the person factors; pairs that are not named are uncorrelated. Among the rates those of
demyelination and of focal inflammation go their own way: lesions and tissue loss come apart."""

POPULATION = PopulationModel(
    mix=PerPhenotype(HC=assumed(0.20), RRMS=assumed(0.15), SPMS=assumed(0.35), PPMS=assumed(0.30)),
    female=PerPhenotype(
        HC=assumed(0.60),
        RIS=assumed(0.70),
        CIS=assumed(0.70),
        RRMS=assumed(0.70),
        SPMS=assumed(0.60),
        PPMS=assumed(0.50),
    ),
    age_mean=PerPhenotype(
        HC=assumed(46),
        RIS=assumed(38),
        CIS=assumed(34),
        RRMS=assumed(38),
        SPMS=assumed(48),
        PPMS=assumed(47),
    ),
    age_sd=PerPhenotype(
        HC=assumed(10),
        RIS=assumed(11),
        CIS=assumed(9),
        RRMS=assumed(9),
        SPMS=assumed(8),
        PPMS=assumed(8),
    ),
    age_range=(18.0, 70.0),
    duration_mean=PerPhenotype(
        RIS=assumed(2, "since the first abnormal scan"),
        CIS=assumed(0.5),
        RRMS=assumed(8),
        SPMS=published("kappos2018_duration_spms"),
        PPMS=assumed(7),
    ),
    duration_sd=PerPhenotype(
        RIS=assumed(2, "since the first abnormal scan"),
        CIS=assumed(0.3),
        RRMS=assumed(6),
        SPMS=published("kappos2018_duration_spms", "sd"),
        PPMS=assumed(5),
    ),
    correlations=CORRELATIONS,
    head_size_mean=assumed(1560.0, "intracranial volume of men, about 10 % above that of women"),
    head_size_sd=assumed(120.0),
    head_size_ratio=assumed(0.9),
)

SCHEDULE = ScheduleModel(
    weeks=tuple(range(0, 145, 12)),
    imaging_weeks=(0, 24, 48, 96, 144),
    cognition_weeks=tuple(range(0, 145, 24)),
    window_days=assumed(7),
    window_sd=assumed(3),
)
