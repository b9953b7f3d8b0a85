"""Published shares with confirmed progression, seen through each trial's inclusion criteria.

One parameter set for all of them: a trial differs by whom it includes and when it looks. The
endpoints are those of `pmsstats.endpoints`, which share no code with the generator; the expected
values are evidence records, with the exact binomial interval of the trial's own size.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest
from lifelines import KaplanMeierFitter
from scipy.stats import binomtest

from pmsstats import evidence
from pmsstats.endpoints import derive_composite, derive_progression, preset
from synthetic import CohortConfig, MissingnessModel, PerPhenotype, defaults, generate_cohort

N = 4000
CLINICAL = ("edss", "t25fw_s", "nhpt_s", "nhpt_dominant_s", "nhpt_nondominant_s")
SIZE_NOT_KNOWN = 5.0
"""Percentage points around shares of a stratum or subset whose size is not printed; about the
half width of a 95 % interval for 20 % of 250."""
LATE = 14  # days that a visit may come after its planned one, twice the window

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pmsstats.errors.EvidenceUncheckedWarning"),
]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Inclusion criteria, schedule and endpoint of a published placebo arm (or cohort)."""

    record: str
    phenotype: str
    edss: tuple[float, float]
    age: tuple[float, float]
    weeks: int
    last_visit: int
    relapse_free_years: float = 0.0
    rule: str = "cdp12"


TRIALS = [
    Trial(
        record="hawker2009_progression_ppms", phenotype="PPMS", edss=(2.0, 6.5),
        age=(18, 65), weeks=96, last_visit=120,
    ),
    Trial(
        record="wolinsky2004_progression_ppms", phenotype="PPMS", edss=(3.0, 5.0),
        age=(30, 65), weeks=52, last_visit=72,
    ),
    Trial(
        record="brochet2017_progression_spms", phenotype="SPMS", edss=(4.0, 6.5),
        age=(18, 65), weeks=104, last_visit=132,
    ),
    Trial(
        record="radue2017_cdp12_108w_rrms_placebo", phenotype="RRMS", edss=(0.0, 5.5),
        age=(18, 55), weeks=108, last_visit=132,
    ),
    Trial(
        record="steiner2016_composite_96w_spms_placebo", phenotype="SPMS", edss=(3.0, 6.5),
        age=(18, 58), weeks=96, last_visit=96, relapse_free_years=0.25, rule="edss_plus_ascend",
    ),
]  # fmt: skip


def _cohort(trial, missingness=None):
    """Generate the cohort that a trial would have included."""
    weeks = tuple(range(0, trial.last_visit + 1, 12))
    phenotype = trial.phenotype
    population = dataclasses.replace(
        defaults.POPULATION,
        mix=PerPhenotype(**{phenotype: 1.0}),
        age_included=tuple(map(float, trial.age)),
        relapse_free_years=trial.relapse_free_years,
    )
    disability = dataclasses.replace(
        defaults.DISABILITY,
        edss_low=PerPhenotype(**{phenotype: trial.edss[0]}),
        edss_high=PerPhenotype(**{phenotype: trial.edss[1]}),
    )
    config = CohortConfig(
        n_subjects=N,
        population=population,
        disability=disability,
        schedule=dataclasses.replace(
            defaults.SCHEDULE, weeks=weeks, imaging_weeks=(0,), cognition_weeks=(0,)
        ),
        missingness=missingness or MissingnessModel(),
        hands=defaults.HANDS,
        measures=CLINICAL,
    )
    return generate_cohort(config, seed=17)


def _interval(record_id):
    """Exact binomial interval of a published percentage, or a band where its n is not printed."""
    record = evidence.record(record_id)
    if record.n is None:
        return record.value - SIZE_NOT_KNOWN, record.value + SIZE_NOT_KNOWN
    interval = binomtest(round(record.n * record.value / 100), record.n).proportion_ci()
    return 100 * interval.low, 100 * interval.high


def _share(result, weeks):
    """Return the percentage with an event by a planned week (Kaplan-Meier)."""
    table = result.table()
    fit = KaplanMeierFitter().fit(table["duration"], table["event"])
    return 100 * (1 - float(fit.predict(7 * weeks + LATE)))


def _derive(cohort, rule):
    """Derive one measure's progression, or a composite."""
    chosen = preset(rule)
    derive = derive_composite if hasattr(chosen, "parts") else derive_progression
    return derive(cohort, chosen)


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.record)
def test_progression_is_inside_the_published_interval(trial):
    low, high = _interval(trial.record)
    assert low < _share(_derive(_cohort(trial), trial.rule), trial.weeks) < high


def test_walking_worsens_in_more_people_than_edss_and_edss_than_the_hand():
    """The order in two SPMS trials (Koch 2020)."""
    assert evidence.record("koch2020_t25fw20_rank_order_spms_placebo").quantity == "rank_order"
    cohort = _cohort(TRIALS[-1])
    walk, edss, hand = (
        _share(_derive(cohort, rule), 96) for rule in ("t25fw20_24", "cdp24", "nhpt20_24")
    )
    assert walk > edss > hand


def test_non_completion_of_olympus():
    """Of 147 in the placebo arm 31 did not complete 96 weeks."""
    low, high = _interval("olympus_noncompletion_ppms")
    trial = dataclasses.replace(TRIALS[0], last_visit=96)
    exits = _cohort(trial, defaults.MISSINGNESS).exits
    assert low < 100 * (exits["reason"] != "completed").mean() < high


def test_a_year_without_relapse_lowers_the_share_in_rrms():
    """Nothing but the relapses differs: who had fewer before has fewer after."""
    plain = next(trial for trial in TRIALS if trial.phenotype == "RRMS")
    calm = dataclasses.replace(plain, relapse_free_years=2.0)
    plain, calm = (_share(_derive(_cohort(t), t.rule), t.weeks) for t in (plain, calm))
    assert calm < plain - 1.0
