"""The command line: exit codes, messages, outputs; never a traceback."""

from __future__ import annotations

import json
import sys

import pandas as pd
import pytest
from click.testing import CliRunner

from pmsstats.cli import main
from pmsstats.provenance import verify_outputs

STUDY = """
title = "Two groups"
[tables]
subjects = "subjects.csv"
visits = "visits.csv"
[analysis]
measure = "thalamus_ml"
outcome = { measure = "edss", change = 1.0 }
group = "diagnosis"
"""
N_SUBJECTS = 24


@pytest.fixture
def invoke():
    def run(*args):
        return CliRunner().invoke(main, [str(a) for a in args], catch_exceptions=False)

    return run


def tables():
    """Two groups of subjects, five visits; whoever's number is odd and above 4 gets worse."""
    ids = [f"S{i:02d}" for i in range(N_SUBJECTS)]
    subjects = pd.DataFrame(
        {
            "subject_id": ids,
            "diagnosis": ["case" if i % 2 else "control" for i in range(N_SUBJECTS)],
        }
    )
    rows = [
        {
            "subject_id": ids[i],
            "day": 182 * visit,
            "thalamus_ml": round(
                15 + 0.1 * (i % 5) - visit * (0.05 + 0.1 * (i % 2) + 0.01 * (i % 7))
                + 0.02 * ((i * 7 + visit * 3) % 5 - 2), 4
            ),
            "edss": 3.0 + (visit >= 1 + i % 4) * (i % 2) * (i > 4) + (visit == 4) * (i % 6 == 0),
        }
        for i in range(N_SUBJECTS)
        for visit in range(5)
    ]  # fmt: skip
    return subjects, pd.DataFrame(rows)


@pytest.fixture
def study(tmp_path):
    subjects, visits = tables()
    subjects.to_csv(tmp_path / "subjects.csv", index=False)
    visits.to_csv(tmp_path / "visits.csv", index=False)
    path = tmp_path / "study.toml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def outputs(folder):
    """Every output but the manifest, as bytes."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_report_writes_everything_and_says_where(invoke, study, tmp_path):
    done = invoke("report", study, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert str(tmp_path / "out" / "report.html") in done.output
    written = outputs(tmp_path / "out")
    assert {"report.html", "results.json"} <= set(written)
    assert any(name.startswith("tables/") for name in written)
    assert json.loads(written["results.json"])["schema"] == "report_results/1"
    assert verify_outputs(tmp_path / "out")["origin"] == "real"


def test_steps_are_told_on_standard_error(invoke, study, tmp_path):
    done = invoke("report", study, "--out", tmp_path / "out")
    steps = [line for line in done.stderr.splitlines() if line.startswith("[")]
    assert [line.split()[0] for line in steps] == [
        f"[{i}/{len(steps)}]" for i in range(1, len(steps) + 1)
    ]


def test_same_inputs_give_the_same_bytes(invoke, study, tmp_path):
    invoke("report", study, "--out", tmp_path / "one")
    invoke("report", study, "--out", tmp_path / "another-folder")
    assert outputs(tmp_path / "one") == outputs(tmp_path / "another-folder")


def test_check_of_good_tables_describes_them(invoke, study):
    done = invoke("check", study)
    assert done.exit_code == 0, done.output
    assert "usable" in done.output


def test_check_of_a_folder_of_tables(invoke, study):
    assert invoke("check", study.parent).exit_code == 0


def spoil_edss(visits):
    visits.loc[3, "edss"] = 4.3
    return visits


def repeat_a_visit(visits):
    return pd.concat([visits, visits.iloc[[7]]])


def visit_of_a_stranger(visits):
    visits.loc[0, "subject_id"] = "X99"
    return visits


def infinite_volume(visits):
    return visits.assign(
        thalamus_ml=visits["thalamus_ml"].replace(visits.loc[5, "thalamus_ml"], float("inf"))
    )


def empty_measure(visits):
    return visits.assign(thalamus_ml=float("nan"))


def one_visit_each(visits):
    return visits[visits["day"] == 0]


def no_rows(visits):
    return visits.head(0)


# Tables that are wrong, or cannot answer the question: both commands refuse them.
WRONG = [
    (spoil_edss, ["4.3", "S00"]),
    (repeat_a_visit, ["S01"]),
    (visit_of_a_stranger, ["X99"]),
    (infinite_volume, ["inf", "S01"]),
    (no_rows, ["visits"]),
    (empty_measure, ["thalamus_ml", "no value"]),
    (one_visit_each, ["more than one visit"]),
]


@pytest.mark.parametrize("command", ["check", "report"])
@pytest.mark.parametrize(("spoil", "words"), WRONG)
def test_wrong_tables_end_with_code_2_and_a_message(invoke, study, command, spoil, words):
    spoil(tables()[1]).to_csv(study.parent / "visits.csv", index=False)
    done = invoke(command, study)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert [word for word in words if word not in done.output] == []


@pytest.mark.parametrize("command", ["check", "report"])
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"thalamus_ml"', '"thalamus"', ["thalamus_ml"]),
        ('"diagnosis"', '"subject_id"', ["'subject_id'", "needs for itself"]),
        ('"diagnosis"', '"event"', ["'event'", "needs for itself"]),
        ('"diagnosis"', '"year"', ["'year'", "needs for itself"]),
        ("change = 1.0", "change = 1.0, label = 3", ["`label`", "text"]),
        ("change = 1.0", 'change = 1.0, citation = ["x"]', ["`citation`", "text"]),
        ("change = 1.0", "relative = 0.2, change = 1.0", ["`change` and `relative`"]),
        ('"diagnosis"', '"diagnosys"', ["Did you mean 'diagnosis'?"]),
        ('"visits.csv"', '"visit.csv"', ["visit.csv", "visits.csv"]),
        ('"edss"', '"edsss"', ["Did you mean 'edss'?"]),
        (
            '"visits.csv"',
            '{ path = "visits.csv", delimiter = ";" }',
            ['"," would give 4 columns', "leave `delimiter` out"],
        ),
        ("[analysis]", "[analyses]", ["Did you mean 'analysis'?"]),
        (
            'group = "diagnosis"',
            'group = "diagnosis"\ncovariates = [\'__import__("os").system("true")\']',
            ["no column"],
        ),
    ],
)
def test_bad_study_ends_with_code_2_and_the_nearest_name(invoke, study, command, old, new, words):
    assert old in STUDY
    study.write_text(STUDY.replace(old, new), encoding="utf-8")
    done = invoke(command, study)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert [word for word in words if word not in done.output] == []


def test_a_refused_study_leaves_no_folder(invoke, study):
    one_visit_each(tables()[1]).to_csv(study.parent / "visits.csv", index=False)
    assert invoke("report", study, "--out", study.parent / "out").exit_code == 2
    assert not (study.parent / "out").exists()


def test_a_folder_that_cannot_be_made_is_told_at_once(invoke, study):
    (study.parent / "file").write_text("in the way")
    done = invoke("report", study, "--out", study.parent / "file" / "out")
    assert done.exit_code == 2
    assert "file" in done.output
    assert "[1/" not in done.output
    assert "Traceback" not in done.output


def test_groups_are_kept_and_ordered_everywhere(invoke, study, tmp_path):
    subjects, _ = tables()
    subjects.loc[:3, "diagnosis"] = "other"
    subjects.to_csv(study.parent / "subjects.csv", index=False)
    study.write_text(STUDY + 'groups = ["control", "case"]\n', encoding="utf-8")
    done = invoke("report", study, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    written = tmp_path / "out" / "tables"
    slopes = pd.read_csv(written / "slopes.csv")
    assert slopes["term"].tolist() == ["control", "case"]
    table1 = pd.read_csv(written / "table1.csv")
    assert table1["group"].drop_duplicates().tolist() == ["control", "case", "Total"]
    left_out = pd.read_csv(written / "exclusions.csv")
    assert left_out["reason"].str.contains("diagnosis is not one of control, case").any()


def test_one_subject_is_explained(invoke, study):
    subjects, visits = tables()
    subjects.head(1).to_csv(study.parent / "subjects.csv", index=False)
    visits.head(5).to_csv(study.parent / "visits.csv", index=False)
    done = invoke("report", study, "--out", study.parent / "out")
    assert done.exit_code == 2
    assert "subject" in done.output
    assert "Traceback" not in done.output


def test_one_group_is_reported_on_and_said(invoke, study):
    subjects, _ = tables()
    subjects.assign(diagnosis="case").to_csv(study.parent / "subjects.csv", index=False)
    done = invoke("report", study, "--out", study.parent / "out")
    assert done.exit_code == 0, done.output
    assert "there is only one group: diagnosis is 'case'" in done.output


def test_no_event_leaves_the_rest_of_the_report(invoke, study):
    _, visits = tables()
    visits.assign(edss=3.0 + 0.5 * (visits["day"] > 900)).to_csv(
        study.parent / "visits.csv", index=False
    )
    done = invoke("report", study, "--out", study.parent / "out")
    assert done.exit_code == 0, done.output
    assert "not estimable" in done.output
    assert "Not estimable" in (study.parent / "out" / "report.html").read_text(encoding="utf-8")


def test_hostile_labels_stay_text(invoke, study):
    subjects, _ = tables()
    hostile = subjects.replace({"diagnosis": {"case": "<script>alert(1)</script>"}})
    hostile.to_csv(study.parent / "subjects.csv", index=False)
    done = invoke("report", study, "--out", study.parent / "out")
    assert done.exit_code == 0, done.output
    page = (study.parent / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_verbose_shows_the_traceback(invoke, study):
    study.write_text("title =", encoding="utf-8")
    assert "Traceback" in invoke("report", study, "--verbose").output
    assert "Traceback" not in invoke("report", study).output


def test_a_defect_is_called_one(invoke, study, monkeypatch):
    def broken(_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("pmsstats.study.read_study", broken)
    done = invoke("report", study)
    assert done.exit_code == 1
    assert "defect in pmsstats" in done.output
    assert "Traceback" not in done.output


def test_measures_are_listed_and_searched(invoke):
    assert "thalamus_ml" in invoke("measures", "thalam").output
    assert "edss" not in invoke("measures", "thalam").output
    assert "No measure holds" in invoke("measures", "zzz").output


def test_doctor_says_what_is_there(invoke):
    done = invoke("doctor")
    assert done.exit_code == 0
    assert "lme4" in done.output
    assert "R" in done.output


def test_help_needs_no_heavy_import():
    before = {name for name in sys.modules if name.startswith(("statsmodels", "rpy2", "lifelines"))}
    done = CliRunner().invoke(main, ["--help"])
    assert done.exit_code == 0
    after = {name for name in sys.modules if name.startswith(("statsmodels", "rpy2", "lifelines"))}
    assert before == after


def test_results_of_an_earlier_study_do_not_survive(invoke, study, tmp_path):
    out = tmp_path / "out"
    assert invoke("report", study, "--out", out).exit_code == 0
    (out / "notes.txt").write_text("mine")
    assert (out / "tables" / "cox_two_stage.csv").is_file()
    text = STUDY.replace("change = 1.0", "change = 6.5")
    study.write_text(text, encoding="utf-8")
    done = invoke("report", study, "--out", out)
    assert done.exit_code == 0, done.output
    assert not (out / "tables" / "cox_two_stage.csv").exists()
    assert (out / "notes.txt").read_text() == "mine"
    verify_outputs(out)


def test_a_foreign_manifest_is_not_overwritten(invoke, study, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text("[1, 2]")
    done = invoke("report", study, "--out", out)
    assert done.exit_code == 2
    assert "no run of pmsstats wrote" in done.output
    assert (out / "manifest.json").read_text() == "[1, 2]"


def test_two_scans_per_subject_are_told_what_to_ask(invoke, study):
    _, visits = tables()
    visits.assign(thalamus_ml=visits["thalamus_ml"].where(visits["day"].isin([0, 728]))).to_csv(
        study.parent / "visits.csv", index=False
    )
    done = invoke("report", study, "--out", study.parent / "out")
    assert done.exit_code == 2
    assert 'random = "intercept"' in done.output
    study.write_text(STUDY + 'random = "intercept"\n', encoding="utf-8")
    done = invoke("report", study, "--out", study.parent / "out")
    assert done.exit_code == 0, done.output


def test_manifest_states_what_was_run(invoke, study, tmp_path):
    invoke("report", study, "--data", study.parent, "--out", tmp_path / "out")
    manifest = verify_outputs(tmp_path / "out")
    assert manifest["command"] == ["pmsstats", "report", "study.toml", "--data", "DIR"]
    assert manifest["engine"]["name"] == "native"
    assert manifest["engine"]["version"] == manifest["package"]["version"]


def test_verbose_check_lists_every_row(invoke, study):
    _, visits = tables()
    visits.assign(edss=4.3).to_csv(study.parent / "visits.csv", index=False)
    assert "and 115 more" in invoke("check", study).output
    listed = invoke("check", study, "--verbose").output
    assert listed.count("visits, row") >= len(visits)


def csv(frame, **options):
    """Write a frame as the bytes of a CSV file."""
    return frame.to_csv(index=False, **options).encode()


def dated(formats):
    """Give the visits dates in some formats, in turn, instead of days."""
    _, visits = tables()
    dates = pd.Timestamp("2020-01-31") + pd.to_timedelta(visits.pop("day"), unit="D")
    visits["date"] = [d.strftime(formats[i % len(formats)]) for i, d in enumerate(dates)]
    return csv(visits)


VISITS = tables()[1]
# The bytes of visits.csv, and the words that must be told.
BAD_FILES = [
    ("empty", b"", ["visits.csv", "empty"]),
    ("header only", csv(VISITS.head(0)), ["visits.csv", "no rows"]),
    (
        "one column",
        b"subject_id#day#edss\nS00#0#3.0\n",
        ["visits.csv", "It has: subject_id#day#edss"],
    ),
    (
        "duplicate columns",
        csv(VISITS.set_axis(["subject_id", "day", "edss", "edss"], axis=1)),
        ["edss", "more than once"],
    ),
    ("no ids", csv(VISITS.rename(columns={"subject_id": "person"})), ["subject_id", "person"]),
    (
        "lost zeros",
        csv(VISITS.assign(subject_id=VISITS["subject_id"].str[1:].astype(int))),
        ["subject_id", "0"],
    ),
    ("three date formats", dated(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y"]), ["date", "format"]),
]


@pytest.mark.parametrize("command", ["check", "report"])
@pytest.mark.parametrize(
    ("content", "words"), [bad[1:] for bad in BAD_FILES], ids=[bad[0] for bad in BAD_FILES]
)
def test_bad_files_end_with_code_2_and_a_message(invoke, study, command, content, words):
    (study.parent / "visits.csv").write_bytes(content)
    done = invoke(command, study)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert [word for word in words if word not in done.output] == []


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + csv(VISITS, lineterminator="\r\n"),
        csv(VISITS, sep=";", decimal=","),
        csv(VISITS, sep="\t"),
        csv(VISITS.assign(rater="M\u00fcller")).decode().encode("latin-1"),
    ],
    ids=["BOM and CRLF", "semicolon and comma", "tab", "Latin-1"],
)
def test_harmless_differences_lose_nothing(invoke, study, content):
    plain = invoke("check", study).output
    (study.parent / "visits.csv").write_bytes(content)
    done = invoke("check", study)
    assert done.exit_code == 0, done.output
    events = [line for line in plain.splitlines() if "subject-years" in line]
    assert events
    assert events[0] in done.output
    assert "120 visits" in done.output
