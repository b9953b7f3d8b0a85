"""The whole cohort: determinism, stability, validity, speed, and what the demonstration needs."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter
from scipy.stats import binomtest

import synthetic
from pmsstats import evidence
from pmsstats.cohort import Cohort
from pmsstats.errors import DesignError, EvidenceUncheckedWarning
from synthetic import (
    FACTORS,
    CohortConfig,
    SyntheticCohort,
    defaults,
    generate_cohort,
    generate_tables,
    iter_tables,
    preset,
)
from synthetic.draws import BLOCK, SubjectStreams
from synthetic.population import draw_population

TABLES = ("subjects", "visits", "relapses", "exits")
quiet = pytest.mark.filterwarnings("ignore::pmsstats.errors.EvidenceUncheckedWarning")


def _digest(tables):
    texts = [getattr(tables, name).to_csv(index=False) for name in TABLES]
    texts += [tables.truth.subjects.to_csv(index=False), tables.truth.visits.to_csv(index=False)]
    return hashlib.sha256("".join(texts).encode()).hexdigest()


def test_same_seed_same_bytes():
    assert _digest(generate_tables("progressive", 1)) == _digest(generate_tables("progressive", 1))
    assert _digest(generate_tables("progressive", 1)) != _digest(generate_tables("progressive", 2))


@pytest.mark.parametrize(
    "seed", [5, np.random.SeedSequence(5), np.int64(5)], ids=["int", "sequence", "numpy int"]
)
def test_accepted_seeds_agree(seed):
    assert _digest(generate_tables("progressive", seed, n_subjects=20)) == _digest(
        generate_tables("progressive", 5, n_subjects=20)
    )


def test_a_generator_as_seed_moves_on():
    rng = np.random.default_rng(1)
    one, two = (generate_tables("progressive", rng, n_subjects=5) for _ in range(2))
    assert _digest(one) != _digest(two)


@pytest.mark.parametrize("n", [1, 7, 50])
@pytest.mark.parametrize("table", [*TABLES, "true subjects", "true visits"])
def test_a_subject_is_the_same_in_any_cohort(n, table):
    def pick(tables):
        latent = {"true subjects": tables.truth.subjects, "true visits": tables.truth.visits}
        frame = latent[table] if table in latent else getattr(tables, table)
        return frame[frame["subject_id"] <= f"S{n:06d}"].reset_index(drop=True)

    small = generate_tables("progressive", 3, n_subjects=n)
    large = generate_tables("progressive", 3, n_subjects=500)
    pd.testing.assert_frame_equal(pick(small), pick(large))


def test_fifty_subjects_are_the_first_of_fifty_thousand():
    config = preset("progressive").for_study(weeks=(0, 48), measures=("edss", "thalamus_ml"))
    small = generate_tables(config, 3, n_subjects=50)
    large = generate_tables(config, 3, n_subjects=50_000)
    for table in TABLES:
        few, many = getattr(small, table), getattr(large, table)
        same = many[many["subject_id"] <= "S000050"].reset_index(drop=True)
        pd.testing.assert_frame_equal(few, same)


def test_the_last_subject_of_a_small_cohort_beyond_one_block_of_streams():
    small = generate_tables("progressive", 3, n_subjects=4100)
    large = generate_tables("progressive", 3, n_subjects=4200)
    last = small.visits[small.visits["subject_id"] > "S004095"].reset_index(drop=True)
    same = large.visits["subject_id"].between("S004096", "S004100")
    pd.testing.assert_frame_equal(last, large.visits[same].reset_index(drop=True))


def test_later_blocks_are_no_copies_of_the_first():
    """Subject 4,097 has the numbers of its own place, not those of subject 1."""
    tables = generate_tables("progressive", 3, n_subjects=2 * BLOCK)
    latent = tables.truth.subjects[list(FACTORS)].to_numpy()
    assert (latent[BLOCK:] != latent[:BLOCK]).all()
    population = draw_population(
        preset("progressive"), SubjectStreams(np.random.SeedSequence(3), 2 * BLOCK)
    )
    np.testing.assert_array_equal(latent, population.factors.T)
    pieces = list(iter_tables("progressive", 3, n_subjects=BLOCK + 10, chunk=BLOCK))
    last = pieces[1].truth.subjects[list(FACTORS)].to_numpy()
    np.testing.assert_array_equal(last, latent[BLOCK : BLOCK + 10])


@pytest.mark.parametrize("n_jobs", [0, 1.5, True, None])
def test_impossible_numbers_of_processes_are_refused(n_jobs):
    with pytest.raises(DesignError, match="`n_jobs` must be a number of processes from 1, or -1"):
        generate_tables("progressive", 1, n_subjects=5, n_jobs=n_jobs)


def test_leaving_measures_out_changes_nothing_else():
    full = generate_tables("progressive", 3)
    every = generate_tables(CohortConfig(), 3)
    pd.testing.assert_frame_equal(every.visits[list(full.visits)], full.visits)
    part = generate_tables(CohortConfig(measures=("edss", "thalamus_ml")), 3)
    columns = ["subject_id", "visit", "day", "edss", "thalamus_ml"]
    assert list(part.visits) == columns
    pd.testing.assert_frame_equal(part.visits, full.visits[columns])


def test_lesions_and_hands_change_nothing_else():
    trial = preset("ppms_trial")
    full = generate_tables(trial, 3)
    extra = {"nhpt_dominant_s", "nhpt_nondominant_s", "new_t2_count", "gd_lesion_count"}
    measures = tuple(m for m in trial.measures if m not in extra)
    plain = dataclasses.replace(trial, lesions=None, hands=None, measures=measures)
    plain = generate_tables(plain, 3)
    assert set(full.visits) - set(plain.visits) == extra
    for table in TABLES:
        old, new = getattr(plain, table), getattr(full, table)
        assert old.to_csv() == new[list(old)].to_csv()
    for old, new in (
        (plain.truth.subjects, full.truth.subjects),
        (plain.truth.visits, full.truth.visits),
    ):
        assert old.to_csv() == new[list(old)].to_csv()


@pytest.mark.parametrize("n", [1, 7])
def test_lesions_and_hands_of_a_subject_are_the_same_in_any_trial(n):
    small = generate_tables("ppms_trial", 3, n_subjects=n).visits
    large = generate_tables("ppms_trial", 3, n_subjects=200).visits
    same = large["subject_id"] <= f"S{n:06d}"
    pd.testing.assert_frame_equal(small, large[same].reset_index(drop=True))


def test_a_longer_study_extends_the_shorter_one():
    weeks = tuple(range(0, 193, 12))
    longer = dataclasses.replace(defaults.SCHEDULE, weeks=weeks)
    short = generate_tables(CohortConfig().complete(), 3)
    long = generate_tables(dataclasses.replace(CohortConfig().complete(), schedule=longer), 3)
    first = long.visits[long.visits["visit"].isin(short.visits["visit"].cat.categories)]
    columns = ["subject_id", "day", "edss", "t25fw_s", "thalamus_ml", "sdmt"]
    pd.testing.assert_frame_equal(
        first[columns].reset_index(drop=True), short.visits[columns], check_dtype=True
    )


@quiet
@pytest.mark.parametrize("name", synthetic.PRESETS)
def test_cohorts_pass_validation_with_hardly_a_warning(name):
    cohort = generate_cohort(name, 31, n_subjects=3000)
    implausible = cohort.issues[cohort.issues["rule"] == "implausible_value"]
    assert len(implausible) < 0.0002 * cohort.n_visits * len(cohort.measures)
    # early dropout leaves some with one visit; some values near 0 are a tenth of the others by
    # chance (susceptibilities, volumes of enhancing lesions); nothing else may be found
    assert set(cohort.issues["rule"]) <= {"implausible_value", "one_visit", "decimal_slip"}
    slips = cohort.issues[cohort.issues["rule"] == "decimal_slip"]
    assert len(slips) < 0.002 * cohort.n_subjects
    assert cohort.origin == "synthetic"
    assert [m.name for m in cohort.measures] == list(cohort.truth.config.emitted)


@quiet
def test_one_subject_works():
    cohort = generate_cohort("progressive", 1, n_subjects=1)
    assert cohort.n_subjects == 1


@quiet
def test_a_selection_is_an_ordinary_cohort_without_the_truth():
    cohort = generate_cohort("progressive", 1)
    part = cohort.select(where={"phenotype": "SPMS"})
    assert type(part) is Cohort
    assert part.origin == "synthetic"
    assert not hasattr(part, "truth")


def test_generating_warns_once_about_unchecked_evidence(monkeypatch):
    monkeypatch.setattr("pmsstats.evidence.registry._WARNED", set())
    with pytest.warns(EvidenceUncheckedWarning, match="not yet entered twice") as caught:
        cohort = generate_cohort("progressive", 1, n_subjects=10)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert isinstance(cohort, SyntheticCohort)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: generate_cohort("progresive", 1), DesignError, "Did you mean 'progressive'"),
        (lambda: generate_cohort(42, 1), DesignError, "CohortConfig or the name of a preset"),
        (lambda: generate_cohort("progressive"), TypeError, "`seed` must be"),
        (lambda: generate_cohort("progressive", -1), ValueError, "at least 0"),
        (lambda: generate_cohort("progressive", 1, n_subjects=0), DesignError, "at least 1, got 0"),
    ],
)
def test_impossible_requests_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def _python_calls(n_subjects):
    """Count calls of Python functions while a cohort is generated."""
    calls = 0

    def count(frame, event, arg):
        nonlocal calls
        calls += event == "call"

    generate_tables("progressive", 1, n_subjects=2)
    sys.setprofile(count)
    try:
        generate_tables("progressive", 1, n_subjects=n_subjects)
    finally:
        sys.setprofile(None)
    return calls


def test_work_is_vectorised_over_subjects():
    """Forty times the subjects, in one block of streams: the rarest events need some more calls."""
    assert _python_calls(4000) < 1.5 * _python_calls(100)


def test_it_imports_nothing_of_the_estimators():
    allowed = {"cohort", "evidence", "provenance", "seeds", "errors"}
    found = set()
    for path in Path(synthetic.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = {
                ast.ImportFrom: lambda n: [n.module, *(f"{n.module}.{a.name}" for a in n.names)],
                ast.Import: lambda n: [a.name for a in n.names],
            }.get(type(node), lambda n: [])(node)
            found |= {m.split(".")[1] for m in modules if m.startswith("pmsstats.")}
    assert found >= {"cohort", "evidence"}
    assert found <= allowed


def _confirmed_progression(visits, weeks):
    """Derive confirmed EDSS progression afresh, subject by subject, from its definition."""
    rows = []
    for subject_id, group in visits.dropna(subset=["edss"]).groupby("subject_id"):
        edss, day = group["edss"].to_numpy(), group["day"].to_numpy()
        threshold = edss[0] + (1.0 if edss[0] <= 5.5 else 0.5)
        onset = None
        for i in np.flatnonzero(edss >= threshold):
            later = np.flatnonzero(day >= day[i] + 7 * weeks - 14)
            confirmed = len(later) > 0 and (edss[i : later[0] + 1] >= threshold).all()
            onset = day[i] if confirmed and onset is None else onset
        rows.append((subject_id, day[-1] if onset is None else onset, onset is not None))
    return pd.DataFrame(rows, columns=["subject_id", "duration", "event"])


@pytest.fixture(scope="module")
def large():
    return generate_tables("progressive", 77, n_subjects=4000)


@pytest.fixture(scope="module")
def progression(large):
    return _confirmed_progression(large.visits, 12).merge(large.subjects, on="subject_id")


def test_the_demonstration_has_enough_progression(large, progression):
    assert 0.25 < progression["event"].mean() < 0.40
    confirmed_24 = _confirmed_progression(large.visits, 24)
    assert 0.18 < confirmed_24["event"].mean() < progression["event"].mean()
    shares = progression.groupby("phenotype")["event"].mean()
    assert shares["SPMS"] > shares["RRMS"]
    assert shares["PPMS"] > shares["RRMS"]


def test_progression_in_spms_is_near_the_published_one(progression):
    """PROMESS, methylprednisolone arm: 21 of 66 worsened within two years."""
    spms = progression[progression["phenotype"] == "SPMS"]
    fit = KaplanMeierFitter().fit(spms["duration"], spms["event"])
    record = evidence.record("brochet2017_progression_spms")
    interval = binomtest(round(record.n * record.value / 100), record.n).proportion_ci()
    assert interval.low < 1 - fit.predict(730) < interval.high


def test_thalamic_loss_differs_by_phenotype(large):
    """Least squares within subjects, against the mean baseline of the phenotype."""
    scans = large.visits.dropna(subset=["thalamus_ml"]).merge(large.subjects, on="subject_id")
    scans["year"] = scans["day"] / 365.25
    columns = ["year", "thalamus_ml"]
    within = scans[columns] - scans.groupby("subject_id")[columns].transform("mean")
    products = (
        pd.DataFrame({"xy": within["year"] * within["thalamus_ml"], "xx": within["year"] ** 2})
        .groupby(scans["phenotype"])
        .sum()
    )
    baseline = scans[scans["visit"] == "Baseline"].groupby("phenotype")["thalamus_ml"].mean()
    rates = 100 * products["xy"] / products["xx"] / baseline
    assert rates["HC"] > rates["RRMS"] > rates["SPMS"]
    assert rates["RRMS"] > rates["PPMS"]
    assert -1.5 < rates["PPMS"] < -1.0


def test_faster_thalamic_loss_goes_with_progression(large, progression):
    """Attenuated by rating error and confirmation, but there: the truth is 0.6 at the start."""
    data = progression.merge(large.truth.subjects, on="subject_id")
    slope = data.groupby("phenotype")["thalamus_ml_slope"]
    data["z"] = -(data["thalamus_ml_slope"] - slope.transform("mean")) / slope.transform("std")
    fit = CoxPHFitter().fit(
        data[["duration", "event", "z", "phenotype"]], "duration", "event", strata="phenotype"
    )
    error = fit.standard_errors_["z"]
    assert fit.params_["z"] - 4 * error > 0.2
    assert fit.params_["z"] + 4 * error < 0.75


# --- pieces and processes --------------------------------------------------------------------

SMALL = preset("ppms_trial").for_study(
    weeks=(0, 24, 48), treatments=("placebo", "siponimod"), sites=7, complete=False,
    measures=("edss", "thalamus_ml", "new_t2_count"), n_subjects=9000,
)  # fmt: skip


@pytest.fixture(scope="module")
def whole():
    return generate_tables(SMALL, 5)


@pytest.mark.parametrize("chunk", [1, 5000])
def test_pieces_put_together_are_the_cohort(whole, chunk):
    pieces = list(iter_tables(SMALL, 5, chunk=chunk))
    assert len(pieces) == {1: 3, 5000: 2}[chunk]  # of one block of 4096, or of two
    for table in TABLES:
        joined = pd.concat([getattr(piece, table) for piece in pieces], ignore_index=True)
        pd.testing.assert_frame_equal(joined, getattr(whole, table))
    latent = pd.concat([piece.truth.subjects for piece in pieces], ignore_index=True)
    pd.testing.assert_frame_equal(latent, whole.truth.subjects)
    counts = sum(piece.truth.attrition["n"] for piece in pieces)
    assert list(counts) == list(whole.truth.attrition["n"])


def test_the_number_of_processes_changes_nothing(whole):
    again = generate_tables(SMALL, 5, n_jobs=2)
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(again, table), getattr(whole, table))


def test_subject_7_is_the_same_in_50_and_50_000():
    config = CohortConfig(measures=("edss", "thalamus_ml", "nawm_fa", "t2_lesion_ml"))
    small = generate_tables(config, 9, n_subjects=50)
    large = next(iter(iter_tables(config, 9, n_subjects=50_000)))
    for one, other in (
        (small.visits, large.visits),
        (small.subjects, large.subjects),
        (small.truth.subjects, large.truth.subjects),
    ):
        row, same = (frame[frame["subject_id"] == "S000007"] for frame in (one, other))
        assert row.to_csv(index=False) == same.to_csv(index=False)


def test_another_dropout_model_changes_no_measurement_that_is_seen():
    config = dataclasses.replace(preset("progressive"), n_subjects=500)
    kinds = [
        dataclasses.replace(
            config,
            missingness=dataclasses.replace(
                config.missingness, dropout=kind, dropout_rate=0.3, missed_visit=0.2
            ),
        )
        for kind in ("mcar", "mar", "mnar")
    ]
    full = generate_tables(config.complete(), 4).visits.set_index(["subject_id", "visit"])
    lost = set()
    for kind in kinds:
        seen = generate_tables(kind, 4).visits.set_index(["subject_id", "visit"])
        same = full.loc[seen.index]
        scanned = seen["thalamus_ml"].notna()
        pd.testing.assert_frame_equal(seen[scanned], same[scanned])
        pd.testing.assert_series_equal(seen["edss"], same["edss"])
        lost.add(len(seen))
    assert len(lost) == 3


def test_pieces_must_hold_somebody():
    with pytest.raises(DesignError, match="`chunk` must be at least 1, got 0"):
        iter_tables("progressive", 1, chunk=0)
