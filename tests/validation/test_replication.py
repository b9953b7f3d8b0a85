"""How often studies of the cited size find what they reported: against known power."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fake_studies import THALAMUS_MEAN, THALAMUS_SD, FakeConfig, fake_cohort
from matplotlib.figure import Figure
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.validation import Check, Claim, StudyDesign, replicate_studies
from pmsstats.validation.analyses import Difference, Prediction, TreatmentEffect

N_REPLICATES = 400


@pytest.fixture(scope="module")
def result(checks):
    return replicate_studies(
        fake_cohort, FakeConfig(), 8, n_replicates=N_REPLICATES, checks=checks, n=1000
    )


def _power(n, m, d):
    """Return the power of a two-sided t test for a standardised difference."""
    df, shift = n + m - 2, d / np.sqrt(1 / n + 1 / m)
    critical = stats.t.ppf(0.975, df)
    return stats.nct.sf(critical, df, shift)


def test_probability_is_the_power_of_the_t_test():
    plain = Difference(measure="thalamus_ml", groups=("PPMS",), versus=("HC",), adjust=())
    check = Check(
        finding="t-test",
        claims=(Claim(analysis=plain, expect="lower"),),
        design=StudyDesign(groups=(("PPMS", 14), ("HC", 11)), years=(0.0,)),
    )
    found = replicate_studies(
        fake_cohort, FakeConfig(), 8, n_replicates=1000, checks=[check], n=200
    ).findings.iloc[0]
    d = (THALAMUS_MEAN["HC"] - THALAMUS_MEAN["PPMS"]) / np.hypot(THALAMUS_SD, 0.1)
    assert abs(found["probability"] - _power(14, 11, d)) < 4 * found["mcse"]


def test_what_a_study_did_not_test_is_found_by_its_sign():
    plain = Difference(measure="thalamus_ml", groups=("PPMS",), versus=("HC",), adjust=())
    design = StudyDesign(groups=(("PPMS", 8), ("HC", 7)), years=(0.0,))
    claims = {
        "sign": Claim(analysis=plain, expect="lower", tested=False),
        "margin": Claim(analysis=plain, expect="none", margin=0.5, tested=False),
    }
    found = replicate_studies(
        fake_cohort, FakeConfig(effect=0.0), 8, n_replicates=1000, n=200,
        checks=[Check(finding=f, claims=(c,), design=design) for f, c in claims.items()],
    ).findings.set_index("finding")  # fmt: skip
    scale = np.sqrt(1 / 8 + 1 / 7)  # of the standardised difference, which is t times it
    expected = {"sign": 0.5, "margin": 1 - 2 * stats.t.sf(0.5 / scale, 13)}
    for finding, probability in expected.items():
        row = found.loc[finding]
        assert abs(row["probability"] - probability) < 4 * row["mcse"]


def test_under_no_effect_tests_keep_their_level(checks):
    null = replicate_studies(
        fake_cohort, FakeConfig(effect=0.0), 8, n_replicates=N_REPLICATES, checks=checks, n=200
    ).findings.set_index("finding")
    mcse = np.sqrt(0.025 * 0.975 / N_REPLICATES)
    for finding in ("thalamus-atrophy-early-ppms", "trial"):
        assert abs(null.loc[finding, "probability"] - 0.025) < 4 * mcse  # one side of the 5 %
    kept = null.loc["no-difference", "probability"]
    assert abs(kept - 0.95) < 4 * np.sqrt(0.95 * 0.05 / N_REPLICATES)


def test_more_than_100_replicates_are_not_the_first_100_again():
    plain = Difference(measure="thalamus_ml", groups=("PPMS",), versus=("HC",), adjust=())
    check = Check(
        finding="t-test",
        claims=(Claim(analysis=plain, expect="lower"),),
        design=StudyDesign(groups=(("PPMS", 14), ("HC", 11)), years=(0.0,)),
    )
    found = [
        replicate_studies(fake_cohort, FakeConfig(), 8, n_replicates=n, checks=[check], n=200)
        .findings["probability"]
        .item()
        * n
        for n in (100, 200, 300)
    ]
    parts = np.diff(found, prepend=0.0)  # found in each hundred: random, hence not all the same
    assert len(set(parts.round(6))) > 1


def test_claims_that_exclude_each_other_are_never_both_found(result):
    assert result.findings.set_index("finding").loc["contradicted", "probability"] == 0.0


def test_arms_have_equal_shares(checks):
    analysis = checks[-1].claims[0].analysis
    assert isinstance(analysis, TreatmentEffect)
    row = replicate_studies(
        fake_cohort, FakeConfig(), 8, n_replicates=10, checks=checks[-1:], n=200
    ).findings.iloc[0]
    assert row["design"] == "40 PPMS; 1 year"
    assert row["n_failed"] == 0


def test_studies_without_an_estimate_count_as_not_finding_and_are_counted():
    check = Check(
        finding="nobody-worsens",
        claims=(
            Claim(
                analysis=Prediction(measure="thalamus_ml", outcome="cdp12", groups=("HC",)),
                expect="higher",
            ),
        ),
        design=StudyDesign(groups=(("HC", 12),), years=(0.0, 1.0)),
    )
    row = replicate_studies(
        fake_cohort, FakeConfig(), 8, n_replicates=10, checks=[check], n=200
    ).findings.iloc[0]
    assert (row["probability"], row["n_failed"]) == (0.0, 10)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_result_depends_neither_on_jobs_nor_on_selection(checks, result, n_jobs):
    alone = replicate_studies(
        fake_cohort, FakeConfig(), 8, n_replicates=N_REPLICATES, checks=checks, n=1000,
        findings=["trial", "no-difference"], n_jobs=n_jobs,
    )  # fmt: skip
    whole = result.table().set_index("finding")
    chosen = alone.table().set_index("finding")
    assert chosen["sentence"].tolist() == whole.loc[chosen.index, "sentence"].tolist()


def test_sentences_say_size_probability_and_truth(result):
    table = result.table().set_index("finding")
    words = table.loc["thalamus-atrophy-early-ppms", "sentence"]
    assert words.startswith("A study of 26 PPMS, 20 HC; 1 year would find the reported effect in ")
    assert "(reproduced)" in words
    assert "could not be simulated: `measures` names" in table.loc["not-offered", "sentence"]


def test_plain_types_and_figure(result):
    assert json.loads(json.dumps(result.to_dict()))["findings"][3]["probability"] is None
    ax = result.plot(ax=Figure().subplots())
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert len(labels) == 5  # without the one that could not be simulated
    shares = result.findings["probability"].dropna().sort_values(ascending=False)
    drawn = sorted((x, y) for line in ax.lines[:-1] for x, y in zip(*line.get_data(), strict=True))
    assert [x for x, _ in drawn] == pytest.approx(sorted(100 * shares))
    written = [" ".join(text.get_text().split()) for text in ax.texts]
    assert written[-2:] == ["26 PPMS, 20 HC; 1 year", "synthetic data"]


def test_too_few_replicates_are_refused(checks):
    with pytest.raises(DesignError, match="`n_replicates` must be a whole number of at least 10"):
        replicate_studies(fake_cohort, FakeConfig(), 8, n_replicates=1, checks=checks)
