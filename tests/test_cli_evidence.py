"""``pmsstats evidence``: what it lists and shows. Witness: the catalogue, and entries by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from pmsstats import evidence
from pmsstats.cli import main
from pmsstats.errors import DesignError
from pmsstats.provenance import verify_outputs
from pmsstats.validation import EvidenceChecksResult
from pmsstats.validation.evidence_result import CLAIM_COLUMNS

WIDEST_LINE = 100
"""A terminal; texts are wrapped before it, ids and addresses are not broken."""


FINDING_IDS = [f.id for f in evidence.findings()]


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["evidence", *args], catch_exceptions=False)


def ids_listed(*args: str) -> set[str]:
    """Return the lines that are neither titles nor indented."""
    lines = run("list", *args).output.splitlines()
    return {line for line in lines if not line.startswith(" ") and not line.endswith(":")}


def test_list_has_every_finding_and_every_figure():
    assert ids_listed() == set(FINDING_IDS) | set(evidence.catalog())
    assert ids_listed("--findings") == set(FINDING_IDS)
    assert ids_listed("--figures") == set(evidence.catalog())


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("cord_area_c7", {"c7-area-best-separates-spms-rrms"}),
        ("Martola", {"martola2007_cc_area_rate_ms"}),
        ("OLYMPUS-nothing", set()),
    ],
)
def test_list_keeps_what_holds_the_pattern(pattern, expected):
    result = run("list", pattern)
    assert result.exit_code == 0
    assert {line for line in result.output.splitlines() if line in expected} == expected
    assert (f"Nothing holds {pattern!r}" in result.output) == (not expected)


def test_pattern_ignores_case():
    assert ids_listed("ORATORIO") == ids_listed("oratorio") != set()


def test_show_a_finding():
    shown = run("show", "lme-prevalence-progressive-vs-rrms").output
    assert "33 % vs 19 %" in shown
    assert "references 58, 59, 60" in shown
    assert "39 of 118" in shown


def test_show_a_finding_that_cannot_be_simulated_says_why():
    shown = run("show", "pet-absent-from-large-trials").output
    assert "no: says that no trial uses the measure" in shown
    assert "without a reference" in shown


def test_show_a_figure():
    shown = " ".join(run("show", "chataway2014_brain_rate_spms_placebo").output.split())
    assert "-0.584 %/yr (SD 0.498)" in shown
    assert "doi:10.1016/S0140-6736(13)62242-4" in shown
    assert "twice, the second time blind" in shown


def test_show_a_figure_from_memory_says_that_nothing_may_rest_on_it():
    shown = run("show", "eshaghi2018_dgm_rate_ppms").output
    assert "nothing: no number read at its source" in shown
    assert "once, not yet a second time" in shown


def test_every_entry_can_be_shown_within_the_terminal():
    entries = [*FINDING_IDS, *evidence.catalog()]
    assert len(entries) > 400
    for entry_id in entries:
        lines = run("show", entry_id).output.splitlines()
        assert lines[0] == entry_id
        assert [x for x in lines if len(x) > WIDEST_LINE and "://" not in x] == [], entry_id


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("azevedo2018_thalamus_rate_m", "azevedo2018_thalamus_rate_ms"),
        ("nawm-mtr-below-hc-pmps", "nawm-mtr-below-hc-ppms"),
    ],
)
def test_an_unknown_id_suggests_the_nearest(wrong, right):
    result = run("show", wrong)
    assert result.exit_code == 2
    assert f"Did you mean '{right}'?" in result.output


def _verdicts(*rows):
    columns = ["finding", "section", "statement", "verdict", "n_claims", "note", "reason"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def checked(monkeypatch):
    """Put a finished check in the place of the long run, and note what was asked for."""
    asked = []

    def check(generator, config, seed, **options):
        asked.append((seed, options))
        return EvidenceChecksResult(
            claims=pd.DataFrame(columns=list(CLAIM_COLUMNS)),
            verdicts=_verdicts(
                ("pet-absent-from-large-trials", "trials", "No PET.", "not checked", 0, "", "why")
            ),
            n_subjects=options["n"],
            conf_level=0.95,
            entropy=str(seed),
        )

    monkeypatch.setattr("pmsstats.validation.check_evidence", check)
    monkeypatch.setattr("synthetic.preset", lambda name: name)
    return asked


def test_check_writes_a_report_whose_files_are_listed_in_the_manifest(checked, tmp_path):
    out = tmp_path / "report"
    few = ("--n", "500", "--replicates", "0", "--no-calibration", "--seed", "7")
    result = run("check", "--out", str(out), *few, "--finding", "x")
    assert result.exit_code == 0, result.output
    assert checked == [(7, {"n": 500, "findings": ("x",), "n_jobs": 1})]
    assert "Report:" in result.output
    assert "No PET." in (out / "index.html").read_text("utf-8")
    manifest = verify_outputs(out)
    assert (manifest["seed"], manifest["spec"]["n"]) == (7, 500)


@pytest.mark.parametrize("switch", ["thalamus_rate", "=common", "thalamus_rate="])
def test_check_explains_a_broken_switch(checked, tmp_path, switch):
    result = run("check", "--out", str(tmp_path / "new"), "--switch", switch)
    assert result.exit_code == 2
    assert "must be NAME=VALUE" in result.output
    assert checked == []


def test_check_explains_an_unknown_finding_and_leaves_no_folder(monkeypatch, tmp_path):
    def refuse(*_args, **_options):
        raise DesignError("No finding 'nawm'.")

    monkeypatch.setattr("pmsstats.validation.check_evidence", refuse)
    monkeypatch.setattr("synthetic.preset", lambda name: name)
    result = run("check", "--out", str(tmp_path / "new"), "--finding", "nawm")
    assert result.exit_code == 2
    assert "No finding 'nawm'." in result.output
    assert not (tmp_path / "new").exists()


def test_too_few_replicates_are_refused_before_anything_is_computed(tmp_path):
    result = run("check", "--replicates", "5", "--out", str(tmp_path / "r"))
    assert result.exit_code == 2
    assert "must be 0 or at least 10, got 5" in result.output
    assert not (tmp_path / "r").exists()
