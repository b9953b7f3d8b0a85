"""The page as a whole: self-contained, escaped, complete, the same every time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from report.fake_study import LONG_NAMES, MARKUP, make_study

from pmsstats.report import render_report
from pmsstats.results import format_interval, format_number, format_p_value

SECTIONS = [
    "flow", "checks", "cohort", "trajectories", "progression", "association", "methods",
    "provenance", "citing",
]  # fmt: skip
LOADING = ("src", "srcset", "poster", "action", "formaction", "data", "background", "xlink:href")
JUNK = re.compile(r"\b(nan|NaN|None|undefined|inf|NaT|Undefined)\b|<NA>|\{\{|\{%")
TESTS = Path(__file__).parents[1]


def test_every_section_is_there_in_order(any_case):
    _, page = any_case
    assert [attrs["id"] for attrs in page.tags("section")] == SECTIONS


def test_contents_lead_to_every_section(any_case):
    _, page = any_case
    targets = [attrs["href"] for attrs in page.tags("a")]
    assert [t for t in targets if t[1:] in SECTIONS] == [f"#{s}" for s in SECTIONS]


def test_every_link_within_the_page_leads_somewhere(any_case):
    _, page = any_case
    ids = page.attributes("id")
    inside = {href[1:] for href in page.attributes("href") if href.startswith("#")}
    clips = set(re.findall(r"url\(#([^)]+)\)", page.html))
    assert inside | clips <= set(ids)
    assert len(ids) == len(set(ids))


def test_tags_balance(any_case):
    _, page = any_case
    assert page.open == []


def test_nothing_is_loaded_and_nothing_runs(any_case):
    _, page = any_case
    assert [name for name in LOADING if page.attributes(name)] == []
    assert page.tags("script") + page.tags("iframe") + page.tags("object") + page.tags("img") == []
    assert [a for _, attrs in page.elements for a in attrs if a.startswith("on")] == []
    assert re.findall(r"@import|url\((?!#)", page.html) == []
    policy = next(a["content"] for a in page.tags("meta") if "http-equiv" in a)
    assert "default-src 'none'" in policy


def test_the_only_addresses_are_dois_in_plain_links(any_case):
    _, page = any_case
    outside = [h for _, a in page.elements for h in [a.get("href", "#")] if h[:1] != "#"]
    assert [h for h in outside if not h.startswith(("https://doi.org/10.", "data:,"))] == []
    anchors = {a["href"] for a in page.tags("a")}
    assert {h for h in outside if h.startswith("http")} <= anchors


def test_no_junk_in_the_text(any_case):
    _, page = any_case
    text = page.text().replace("{{ 7 * 7 }}", "")  # the hostile title
    assert JUNK.findall(text) == []
    assert [label for label in page.attributes("aria-label") if JUNK.search(label)] == []


def test_labels_are_text_wherever_they_stand(cases):
    study, page = cases("hostile")
    assert MARKUP not in page.html
    assert "<img" not in page.html
    assert page.text("progression").count(LONG_NAMES[3]) > 0
    assert study.spec.title in page.text("summary")
    assert any(LONG_NAMES[0] in label for label in page.attributes("aria-label"))


def test_a_template_in_a_title_is_not_run(cases):
    _, page = cases("hostile")
    assert "{{ 7 * 7 }}" in page.text("summary")


@pytest.mark.parametrize("name", ["synthetic", "hostile"])
def test_synthetic_data_say_so_at_the_top_and_in_every_caption(cases, name):
    _, page = cases(name)
    assert page.text("summary").startswith("Skip to the summary Synthetic data.")
    assert page.html.count("</b> ") > 0
    captions = re.findall(r"<figcaption><b>Figure.*?</figcaption>", page.html)
    assert len(captions) == 4
    assert [c for c in captions if "Synthetic data." not in c] == []


def test_real_data_are_not_called_synthetic(cases):
    _, page = cases("real")
    assert "ynthetic data" not in page.text()


def test_figures_have_a_text_alternative_and_two_sizes(any_case):
    study, page = any_case
    images = [a for a in page.tags("div") if a.get("role") == "img"]
    assert len(images) == 2 + 2 * (study.association is not None)
    assert min(len(a["aria-label"]) for a in images) > 40
    drawings = [a for a in page.tags("svg") if a["class"].startswith("figure-")]
    assert len(drawings) == 2 * len(images)
    assert [a for a in drawings if "viewbox" not in a or "width" in a] == []


def test_tables_and_figures_are_numbered_in_order(any_case):
    _, page = any_case
    for kind in ("Table", "Figure"):
        numbers = [int(n) for n in re.findall(rf"<b>{kind} (\d+)\.</b>", page.html)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= 2


def test_headlines_are_the_summary(any_case):
    study, page = any_case
    summary = page.text("summary")
    said = [study.summary, study.slopes, study.endpoint]
    said += [study.association] * (study.association is not None)
    assert [result.headline() for result in said if result.headline() not in summary] == []
    assert [why for _, why in study.not_estimable if why not in summary] == []


def test_slopes_are_the_results_numbers(cases):
    study, page = cases("synthetic")
    text = page.text("trajectories")
    table = study.slopes.table()
    for prefix, decimals in (("", 4), ("percent_", 3)):
        for row in table.to_dict("records"):
            values = (row[f"{prefix}{c}"] for c in ("estimate", "conf_low", "conf_high"))
            assert format_interval(*values, decimals=decimals) in text
    assert all(format_p_value(p) in text for p in table["p_value"])
    assert study.slopes.headline() in text


def test_hazard_ratios_are_the_results_numbers(cases):
    study, page = cases("real")
    text = page.text("association")
    for row in study.association.table().to_dict("records"):
        names = ("hazard_ratio", "hazard_ratio_low", "hazard_ratio_high")
        assert format_interval(*(row[c] for c in names)) in text
        assert format_number(row["n_events"]) in text
    assert all(caveat in text for caveat in study.association.caveats)


def test_few_events_are_named(cases):
    _, page = cases("real")
    assert "17 events for 2 coefficients" in page.text("association")


def test_the_definition_stands_beside_the_curves(cases):
    study, page = cases("real")
    assert study.endpoint.definition in page.text("progression")
    assert "chi-square 7.31 on 2 df, p = 0.026" in page.text("progression")


def test_what_was_left_out_is_counted_with_its_reason(cases):
    study, page = cases("real")
    text = page.text("flow")
    for row in study.flow().to_dict("records"):
        assert " ".join(row["reason"].split()) in text
    assert "12 subjects: group is not asked for" in text
    assert "98 subjects of 108" in text


def test_without_an_association_the_reason_is_given(cases):
    study, page = cases("no_association")
    assert study.not_estimable[0][1] in page.text("association")
    assert "No association model could be fitted" in page.text("methods")


def test_a_failed_fit_is_not_to_be_missed(cases):
    _, page = cases("not_converged")
    assert "The model did not converge." in page.text("trajectories")
    assert "did not converge" not in cases("real")[1].text("trajectories")


def test_methods_follow_the_specs(cases):
    study, page = cases("real")
    text = page.text("methods")
    assert study.trajectory.spec.formula() in text
    assert "restricted maximum likelihood" in text
    assert "statsmodels 0.14.6" in text
    assert "normal distribution" in text
    assert "age_years" in text
    assert "Efron" in text


def test_provenance_holds_hashes_versions_and_no_path(cases):
    study, page = cases("real")
    text = page.text("provenance")
    assert study.manifest["inputs"][0]["sha256"] in text
    assert study.manifest["versions"]["pandas"] in text
    assert "pmsstats report study.toml" in text
    assert str(Path.cwd()) not in page.html
    assert re.findall(r"\b20\d\d-\d\d-\d\d\b", page.html) == []


def test_acknowledgement_stands_at_the_top_and_under_citing(cases):
    study, page = cases("real")
    assert study.spec.acknowledgement in page.text("summary")
    assert study.spec.acknowledgement in page.text("citing")


def test_files_are_complete(tmp_path):
    study = make_study()
    paths = render_report(study, tmp_path / "new" / "folder")
    assert len(paths) == len(set(paths))
    assert sorted(p for p in (tmp_path / "new").rglob("*") if p.is_file()) == sorted(paths)
    names = {p.name for p in paths}
    assert {"report.html", "results.json", "slopes.csv", "exclusions.csv"} <= names


def test_results_are_plain_json_with_a_schema(tmp_path):
    study = make_study()
    render_report(study, tmp_path)
    content = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert content["schema"] == "report_results/1"
    assert content["headline"] == study.headline()
    assert content["results"]["slopes"]["schema"] == "slopes_result/1"
    assert content["results"]["slopes"]["table"][0]["estimate"] == study.slopes.frame["estimate"][0]


def test_tables_read_back_to_the_same_numbers(tmp_path):
    study = make_study()
    render_report(study, tmp_path)
    slopes = pd.read_csv(tmp_path / "tables" / "slopes.csv", float_precision="round_trip")
    pd.testing.assert_frame_equal(slopes, study.slopes.table(), check_exact=True)
    left_out = pd.read_csv(tmp_path / "tables" / "exclusions.csv")
    assert left_out.loc[0, "subject_ids"] == "S0 S1"


SCRIPT = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
import matplotlib; matplotlib.use("Agg")
from report.fake_study import make_study
from pmsstats.report import render_report
render_report(make_study(("<b>a</b>", "b", "c", "d"), n_per_group=9), sys.argv[2])
"""


def digests(folder: Path) -> dict[str, str]:
    """Return the hash of every file."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in files}  # fmt: skip


def test_the_same_study_gives_the_same_bytes_in_any_process(tmp_path):
    runs = []
    for seed in ("0", "4711"):
        folder = tmp_path / seed
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SCRIPT, str(TESTS), str(folder)]
        subprocess.run(command, check=True, env=environment, timeout=120)
        runs.append(digests(folder))
    assert len(runs[0]) > 10
    assert runs[0] == runs[1]
