"""Verdicts at large n: right, in words, and the same bytes however they are computed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fake_studies import THALAMUS_MEAN, THALAMUS_SD, FakeConfig, fake_cohort
from matplotlib.figure import Figure

from pmsstats import evidence
from pmsstats.errors import DesignError
from pmsstats.validation import check_evidence

N = 4000


@pytest.fixture(scope="module")
def result(checks):
    return check_evidence(fake_cohort, FakeConfig(), 3, n=N, checks=checks)


def test_verdicts_are_those_of_the_known_population(result):
    found = result.verdicts.set_index("finding")["verdict"].to_dict()
    assert found == {
        "thalamus-atrophy-early-ppms": "reproduced",
        "contradicted": "contradicted",  # one claim holds, its opposite does not
        "no-difference": "reproduced",
        "not-offered": "not possible",
        "rate-of-published-size": "reproduced",
        "trial": "reproduced",
    }


def test_estimate_is_the_truth_within_its_error(result):
    row = result.claims.iloc[0]
    measured_sd = np.hypot(THALAMUS_SD, 0.1)  # between persons, and of one scan
    truth = (THALAMUS_MEAN["PPMS"] - THALAMUS_MEAN["HC"]) / measured_sd
    assert abs(row["estimate"] - truth) < 4 * row["std_error"]
    assert row["n_subjects"] == N + N * 20 // 26  # groups keep the proportions of the study


def test_population_without_effects_reproduces_no_effect(checks):
    null = check_evidence(fake_cohort, FakeConfig(effect=0.0), 3, n=N, checks=checks)
    found = null.verdicts.set_index("finding")["verdict"]
    assert set(found[["contradicted", "rate-of-published-size", "trial"]]) == {"not reproduced"}
    assert found["no-difference"] == "reproduced"


def test_measure_that_is_not_offered_is_reported_in_the_generators_words(result):
    row = result.table().set_index("finding").loc["not-offered"]
    assert "'nawm_mtr_pu', which no model makes" in row["reason"]
    assert np.isnan(row["estimate"])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_result_depends_neither_on_jobs_nor_on_selection(checks, result, n_jobs):
    alone = check_evidence(
        fake_cohort, FakeConfig(), 3, n=N, checks=checks, findings=["trial", "no-difference"],
        n_jobs=n_jobs,
    )  # fmt: skip
    whole = result.claims.set_index("finding")
    chosen = alone.claims.set_index("finding")
    assert list(chosen.index) == ["trial", "no-difference"]
    assert chosen["estimate"].tolist() == whole.loc[chosen.index, "estimate"].tolist()


def test_findings_of_the_registry_without_a_check_keep_their_reason(checks):
    methods = next(f for f in evidence.findings() if f.status == "method_only")
    chosen = check_evidence(
        fake_cohort, FakeConfig(), 3, n=200, checks=checks, findings=[methods.id, "trial"]
    )
    table = chosen.table().set_index("finding")
    assert table.loc[methods.id, "verdict"] == "not checked"
    assert table.loc[methods.id, "reason"] == methods.reason
    assert "1 more are not checked" in chosen.headline()


def test_headline_counts_findings(result):
    assert result.headline().startswith("4 of 6 checked findings are reproduced (1 contradicted")


def test_plain_types_and_figure(result):
    assert json.loads(json.dumps(result.to_dict()))["counts"]["reproduced"] == 4
    ax = result.plot(ax=Figure().subplots())
    widths = sum(p.get_width() for p in ax.patches)
    assert widths == 6
    assert ax.get_title("right") == "synthetic data"
    assert "thalamus-atrophy-early-ppms" in result.display()["finding"].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"findings": "contradictd"}, "Did you mean 'contradicted'"),
        ({"findings": []}, "`findings` is empty"),
        ({"n": 20}, "`n` must be a whole number of at least 100"),
        ({"n_jobs": 0}, "`n_jobs` must be"),
        ({"config": "progressive"}, "must have a method `for_study`"),
        ({"generator": None}, "`generator` must be callable"),
        ({"conf_level": 95}, "`conf_level` must lie"),
    ],
)
def test_bad_requests_say_what_is_wrong(checks, change, message):
    request = {"generator": fake_cohort, "config": FakeConfig(), "seed": 3, "checks": checks}
    with pytest.raises(DesignError, match=message):
        check_evidence(**(request | change))


def test_seed_is_required_to_be_a_number(checks):
    with pytest.raises(TypeError, match="`seed` must be an int"):
        check_evidence(fake_cohort, FakeConfig(), None, checks=checks)


def test_two_checks_of_one_finding_are_refused(checks):
    with pytest.raises(DesignError, match="Two checks for one finding: trial"):
        check_evidence(fake_cohort, FakeConfig(), 3, checks=[*checks, checks[-1]])
