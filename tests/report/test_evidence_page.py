"""The evidence page on results written by hand. Witness: the frames below."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pandas as pd
import pytest

from pmsstats.report.claim_picture import WIDTH, claim_picture
from pmsstats.report.evidence_page import (
    EvidenceView,
    render_evidence,
    render_evidence_html,
)
from pmsstats.validation import EvidenceChecksResult, ReplicationResult
from pmsstats.validation.calibration import CalibrationResult

NAN = math.nan
LOW, DIFFERENT = "nawm-mtr-below-hc-ppms", "cord-csa-1y-no-difference-spms-hc"
PAPER_ONLY, FOREIGN = "pet-absent-from-large-trials", "a-finding-of-ones-own"


def claim(finding, verdict, label, **numbers):
    row = {
        "finding": finding, "claim": label, "estimate": NAN, "std_error": NAN, "conf_low": NAN,
        "conf_high": NAN, "units": "SD", "expected": "lower", "margin": NAN,
        "published_low": NAN, "published_high": NAN, "record": "", "verdict": verdict,
        "n_subjects": 20000, "reason": "",
    }  # fmt: skip
    return row | numbers


CLAIMS = pd.DataFrame(
    [
        claim(LOW, "reproduced", "NAWM <MTR>", estimate=-0.61, conf_low=-0.63, conf_high=-0.59),
        claim(
            DIFFERENT, "contradicted", "cord area", estimate=-0.9, conf_low=-1.0, conf_high=-0.8,
            margin=0.2, expected="none", published_low=-0.5, published_high=0.5,
        ),
        claim(FOREIGN, "not possible", "own"),
    ]
)  # fmt: skip
VERDICTS = pd.DataFrame(
    [
        (LOW, "wm", "NAWM MTR is low.", "reproduced", 1, "", ""),
        (DIFFERENT, "cord", "Cord loss is alike.", "contradicted", 1, "small study", ""),
        (PAPER_ONLY, "trials", "No PET.", "not checked", 0, "", "says that no trial uses it"),
        (FOREIGN, "", "Own <b>claim</b>.", "not possible", 1, "", ""),
    ],
    columns=["finding", "section", "statement", "verdict", "n_claims", "note", "reason"],
)
CHECKS = EvidenceChecksResult(
    claims=CLAIMS, verdicts=VERDICTS, n_subjects=20000, conf_level=0.95, entropy="1"
)
REPLICATION = ReplicationResult(
    findings=pd.DataFrame(
        {
            "finding": [LOW, DIFFERENT],
            "section": ["wm", "cord"],
            "statement": ["NAWM MTR is low.", "Cord loss is alike."],
            "design": ["26 PPMS, 20 HC", "18 SPMS, 20 HC"],
            "n_subjects": [46, 38],
            "followup_years": [0.0, 1.0],
            "source": ["Leary 1999: 26 PPMS, 20 HC", "Cawley 2018: 18 SPMS; 20 HC assumed"],
            "expected": ["effect", "no effect"],
            "probability": [0.9, 0.4],
            "mcse": [0.01, 0.02],
            "n_failed": [0, 0],
            "truth": ["-0.61 SD", "-0.9 SD"],
            "verdict": ["reproduced", "contradicted"],
            "reason": ["", ""],
        }
    ),
    n_replicates=500,
    alpha=0.05,
    entropy="1",
)


CALIBRATION = CalibrationResult(
    moments=pd.DataFrame(
        {
            "record": ["azevedo2018_thalamus_rate_hc", "x"],
            "moment": ["thalamus, annual change", "own"],
            "population": ["HC", "PPMS"],
            "source": ["Azevedo 2018", "Own 2020"],
            "verified": ["abstract", "memory"],
            "units": ["%/yr", "%"],
            "n_persons": [81, 10],
            "published": [-0.28, 1.0],
            "published_low": [-0.58, 0.5],
            "published_high": [0.02, 1.5],
            "basis": ["printed interval", "binomial"],
            "value": [-0.3, 2.5],
            "std_error": [0.01, 0.1],
            "inside": [True, False],
            "reason": ["", "other inclusion criteria"],
        }
    ),
    left_out=pd.DataFrame({"record": ["bermel2021_x"], "reason": ["no retina here"]}),
    n=400,
)
RUN = (("Preset", "review"), ("Literature", "thalamus_rate=common"))
VIEW = EvidenceView(checks=CHECKS, replication=REPLICATION, calibration=CALIBRATION, run=RUN)


@pytest.fixture(scope="module")
def page():
    return render_evidence_html(VIEW)


def test_calibration_says_what_is_inside_and_what_is_left_out(page):
    assert "<td>other inclusion criteria</td>" in page
    assert "<code>bermel2021_x</code>: no retina here" in page
    assert page.count("Azevedo 2018 (abstract)") == 1


def test_what_was_asked_for_is_stated(page):
    assert "<dt>Literature</dt><dd>thalamus_rate=common</dd>" in page


@pytest.mark.parametrize("finding", [LOW, DIFFERENT, PAPER_ONLY, FOREIGN])
def test_every_finding_stands_on_the_page_once(page, finding):
    assert page.count(f'id="finding-{finding}"') == 1


def test_summary_counts_each_verdict(page):
    for verdict, n in CHECKS.counts.items():
        assert f"<dt>{verdict}</dt><dd>{n}</dd>" in page
    assert CHECKS.headline().split(" findings")[0] in page


def test_numbers_reason_note_and_replication_are_written(page):
    assert "-0.610 (-0.630 to -0.590)" in page.replace("\N{MINUS SIGN}", "-")
    assert "says that no trial uses it" in page
    assert "small study" in page
    assert "would report no effect in 40 % of repetitions" in page


def test_what_is_assumed_of_a_study_is_said_and_counted(page):
    assert "Design: Cawley 2018: 18 SPMS; 20 HC assumed." in page
    assert "Design: Leary 1999: 26 PPMS, 20 HC." in page
    assert "in part or in all: 1 of 2;" in page


def test_findings_that_differ_are_listed_with_their_reason(page):
    listed = page[page.index("does not agree with the review") : page.index('id="replication"')]
    assert f'href="#finding-{DIFFERENT}"' in listed
    assert f'href="#finding-{LOW}"' not in listed


def test_registry_gives_population_and_references(page):
    assert "PPMS vs HC" in page
    assert "references 22, 23" in page


def test_labels_cannot_become_markup(page):
    assert "NAWM &lt;MTR&gt;" in page
    assert "<b>claim</b>" not in page


def test_page_loads_and_runs_nothing(page):
    assert "<script" not in page
    assert "src=" not in page
    assert 'role="note"><strong>Synthetic data.</strong>' in page


def test_sections_follow_the_review_and_others_come_last(page):
    places = [page.index(f'<section id="{key}"') for key in ("wm", "cord", "trials", "other")]
    assert places == sorted(places)


def test_without_replication_there_is_no_such_section():
    page = render_evidence_html(EvidenceView(checks=CHECKS))
    assert 'id="replication"' not in page
    assert 'id="calibration"' not in page
    assert "repetitions" not in page


def test_files_are_the_same_bytes_again(tmp_path):
    once = render_evidence(VIEW, tmp_path / "a")
    again = render_evidence(VIEW, tmp_path / "b")
    assert [p.name for p in once] == [
        "index.html", "results.json", "checks.csv", "replication.csv", "calibration.csv",
        "verdicts.csv",
    ]  # fmt: skip
    assert [p.read_bytes() for p in once] == [p.read_bytes() for p in again]
    results = json.loads((tmp_path / "a" / "results.json").read_text("utf-8"))
    assert results["checks"]["counts"] == CHECKS.counts
    assert results["replication"]["n_replicates"] == 500
    assert results["run"] == dict(RUN)


def _numbers(**numbers):
    names = ("estimate", "conf_low", "conf_high", "margin", "published_low", "published_high")
    return SimpleNamespace(**dict.fromkeys(names, NAN) | numbers)


def _parsed(picture):
    return ET.fromstring(str(picture))  # noqa: S314 - written by the code under test


def _x(root, css_class, attribute):
    (found,) = (e for e in root if e.get("class") == css_class)
    return float(found.get(attribute))


def test_picture_places_estimate_between_zero_and_the_ends():
    picture = claim_picture(_numbers(estimate=1.0, conf_low=0.5, conf_high=2.0, margin=0.25))
    root = _parsed(picture)
    # From -0.25 to 2, with 6 at either edge: (1 + 0.25) / 2.25 of the way.
    assert _x(root, "estimate", "cx") == pytest.approx(6 + (1.25 / 2.25) * (WIDTH - 12), abs=0.01)
    assert _x(root, "margin", "width") == pytest.approx((0.5 / 2.25) * (WIDTH - 12), abs=0.01)
    assert {e.get("class") for e in root} == {"margin", "zero", "interval", "estimate"}


@pytest.mark.parametrize(
    ("numbers", "classes"),
    [
        ({"estimate": 0.0}, {"zero", "estimate"}),
        ({"estimate": 1.0, "published_low": 0.9, "published_high": 1.1},
         {"zero", "estimate", "published"}),
    ],
)  # fmt: skip
def test_picture_leaves_out_what_is_not_known(numbers, classes):
    root = _parsed(claim_picture(_numbers(**numbers)))
    assert {e.get("class") for e in root} == classes


def test_no_estimate_no_picture():
    assert claim_picture(_numbers(conf_low=1.0)) == ""
