"""The page on trial designs. Witness: frames and sentences written by hand."""

from __future__ import annotations

import functools
import json
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pandas as pd
import pytest
from toy_trials import ENGINE, GENERATOR, FailingBlock, toy_scenario, with_interim

from pmsstats.power import power_change
from pmsstats.report.design_page import (
    DesignedTrial,
    DesignView,
    render_design,
    render_design_html,
)
from pmsstats.report.operating_tables import (
    designs_table,
    operating_tables,
    plain_sentence,
    with_error,
)
from pmsstats.trials.blocks import TrialEngine
from pmsstats.trials.comparison import DesignComparison
from pmsstats.trials.description import describe_scenario
from pmsstats.trials.simulate import SimulationRequest, simulate_with
from pmsstats.trials.trial_course import describe_course

NAN = math.nan
FIGURES = (
    ("power", "Rejections & more", "How often."),
    ("estimates", "Estimates", "Of the primary analysis."),
)
STOPPING = ("stopping", "Ends", "Where trials end.")
FORMULA = power_change(n=40, effect=0.8, sd=1.0, alpha=0.025, sides=1)


def simulate(*effects, scenario=None, engine=ENGINE):
    request = SimulationRequest(n_replicates=100, truth=2000)
    return simulate_with(engine, scenario or toy_scenario(*effects), GENERATOR, 7, request)


def designed(simulation, **changes) -> DesignedTrial:
    parts = {
        "name": simulation.scenario.name,
        "facts": describe_scenario(simulation.scenario),
        "source": 'name = "<toy>"',
        "simulation": simulation,
        "course": describe_course(simulation),
        "figures": FIGURES,
        "scales": {"test": "difference of means"},
        "generator": "toy 1",
    }
    return DesignedTrial(**(parts | changes))


PLAIN = simulate(0.8)
FAILED_NONE = designed(PLAIN)
VIEW = DesignView(
    title="Trial <1>",
    trials=(designed(PLAIN, closed_form=FORMULA),),
    run=(("Simulated trials", "100"), ("Seed", "7")),
)
SEVERAL = simulate(0.0, 0.8)
FAILING = simulate(0.8, engine=TrialEngine(run_block=FailingBlock(100), analyse=ENGINE.analyse))
COMPARED = DesignView(
    title="2 designs",
    trials=(designed(PLAIN), designed(SEVERAL)),
    comparison=DesignComparison(names=("a", "b"), results=(PLAIN, SEVERAL)),
)
VIEWS = {
    "one": VIEW,
    "arms": DesignView(title="Arms", trials=(designed(SEVERAL),)),
    "failures": DesignView(title="Failures", trials=(designed(FAILING),)),
    "compared": COMPARED,
}
each = pytest.mark.parametrize("name", VIEWS)


def row(quantity, value, mcse=0.01, analysis="test", comparison="dose1", look=0, n=100):
    return {
        "quantity": quantity, "analysis": analysis, "comparison": comparison, "look": look,
        "value": value, "mcse": mcse, "n_replicates": n,
    }  # fmt: skip


CELLS = [
    (("power", 0.765, 0.0042), "76.5 % (0.42)"),
    (("power", 0.9164, 0.00089), "91.64 % (0.089)"),
    (("coverage", 0.95, 0.021), "95.0 % (2.1)"),
    (("failed", 0.0, 0.0), "in none of 100"),
    (("success", 1.0, 0.0), "in all of 100"),
    (("closed_form", 0.91339, NAN), "91.3 %"),
    (("relative_bias", 0.0657, 0.012), "+6.6 % (1.2)"),
    (("relative_bias", -0.0203, 0.021), "\N{MINUS SIGN}2.0 % (2.1)"),
    (("bias", 0.03154, 0.0057), "0.0315 (0.0057)"),
    (("bias", -0.00012, 0.0046), "\N{MINUS SIGN}0.0001 (0.0046)"),
    (("model_se", 0.143899, 0.0002), "0.1439 (0.0002)"),
    (("expected_years", 2.990872, 0.000052), "2.991 (below 0.001)"),
    (("expected_n", 300.0, 0.0), "300"),
    (("expected_n", 1284.37, 12.3), "1,284 (12)"),
    (("truth", 0.48, 0.0), "0.4800"),
    (("mean_estimate", NAN, NAN), "no answer"),
    (("missed_look", 0.21, 0.02), "21.0 % (2.0)"),
]


@pytest.mark.parametrize(("numbers", "text"), CELLS)
def test_numbers_are_rounded_to_their_errors(numbers, text):
    assert with_error(row(*numbers)) == text


@functools.cache
def page_of(name: str) -> str:
    """Return a rendered page; drawing takes a second."""
    return render_design_html(VIEWS[name])


@each
def test_page_is_well_formed_and_loads_nothing(name):
    page = page_of(name)
    body = page[page.index("<body>") : page.index("</html>")]
    ET.fromstring(re.sub(r"<br>|<hr>", "", body))  # noqa: S314 - our own page
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?!#|data:)', page) == []
    assert "default-src 'none'" in page


@each
def test_every_figure_has_a_text_alternative(name):
    page = page_of(name)
    figures = re.findall(r'<div role="img" aria-label="([^"]*)"', page)
    assert len(figures) == page.count('<figure class="plot"') >= 2
    assert all(figures)


@each
def test_links_lead_somewhere(name):
    page = page_of(name)
    targets = set(re.findall(r'href="#([^"]+)"', page)) - {"summary"}
    assert targets
    assert targets <= set(re.findall(r'id="([^"]+)"', page))


def test_labels_are_escaped():
    page = page_of("one")
    assert "Trial &lt;1&gt;" in page
    assert "name = &#34;&lt;toy&gt;&#34;" in page
    assert "Rejections &amp; more" in page
    assert "<toy>" not in page


@each
def test_every_quantity_is_shown(name):
    """Nothing is hidden: as many cells as operating characteristics, but for repeats in notes."""
    page = page_of(name)
    for trial in VIEWS[name].trials:
        rows = trial.simulation.table()
        shown = rows[~rows["quantity"].str.endswith("_given_answer")]
        for record in shown.to_dict("records"):
            assert with_error(record) in page, record


def test_same_bytes_twice():
    assert render_design_html(VIEW) == page_of("one")


def test_formula_stands_beside_the_simulation():
    page = page_of("one")
    power = f"{100 * FORMULA.power:.1f} %"
    assert f"A formula gives {power} power for the same trial." in page
    assert f'data-label="Result">{power}<' in page
    assert "The same by a formula" in page
    without = render_design_html(replace(VIEW, trials=(designed(PLAIN),)))
    assert "formula" not in without[without.index("<body>") :].lower()


def test_failures_are_said_at_the_top_and_counted_below():
    page = page_of("failures")
    assert page.index("Without an answer:") < page.index('id="trial-1"')
    assert "1 of 100 trials (1.0 %) had no final answer" in page
    assert "1 had no final answer" in page
    assert "among trials whose analysis had an answer" in page
    assert "Without an answer" not in page_of("one")


def test_silent_analyses_of_trials_with_an_answer_are_no_failed_trials():
    """At look 1 an analysis had no answer in 2 trials, which ended with one."""
    silent = pd.DataFrame(
        [("test", 1, "no event", 2, 0, 0, 1, 1, "3, 8")], columns=FAILED_NONE.course.silent.columns
    )
    course = replace(FAILED_NONE.course, silent=silent)
    page = render_design_html(
        DesignView(title="Silent", trials=(replace(FAILED_NONE, course=course),))
    )
    assert "had no answer at look 1 in 2 of 100 trials (2.0 %): no event." in page
    assert "No trial was left without a final answer." in page
    assert "1 stopped early, futile; 1 had a final answer at the end" in page
    assert "Without an answer:" not in page


def test_course_of_the_trial_stands_on_the_page():
    page = page_of("arms")
    assert "Arms and looks" in page
    assert 'data-label="Allocation ratio">1<' in page
    assert 'data-label="Takes place in">all 100 trials<' in page


class Drawn:
    """A simulation that keeps the labels of what it draws: pages hold text as paths."""

    def __init__(self, simulation):
        self.simulation, self.labels = simulation, []

    def __getattr__(self, name):
        return getattr(self.simulation, name)

    def plot(self, *, ax, kind, **kws):
        ax = self.simulation.plot(ax=ax, kind=kind, **kws)
        self.labels.append((kind, ax.get_xlabel()))
        return ax


def test_estimates_are_drawn_on_their_scale():
    drawn = Drawn(PLAIN)
    trial = designed(drawn, scales={"test": "log hazard ratio"}, ratios={"test": "hazard ratio"})
    page = render_design_html(DesignView(title="Ratio", trials=(trial,)))
    label = "Estimated difference of mean changes; dashes: mean, line: truth"
    assert ("estimates", label) in drawn.labels
    assert "True value, as hazard ratio" in page


def test_where_trials_end_is_drawn():
    simulation = simulate(scenario=with_interim(toy_scenario(0.8)))
    trial = designed(simulation, figures=(*FIGURES, STOPPING))
    page = render_design_html(DesignView(title="Looks", trials=(trial,)))
    assert page.index("and where does it end?") < page.index('aria-label="Ends"')
    assert "Stops early: effect shown" in page


def test_files(tmp_path):
    paths = render_design(VIEW, tmp_path)
    names = ["index.html", "results.json", "simulation.csv", "closed_form.csv"]
    assert [p.name for p in paths] == names
    content = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert content["schema"] == "design_report/1"
    assert content["simulation"]["n_replicates"] == 100
    written = pd.read_csv(tmp_path / "simulation.csv", keep_default_na=False)
    assert written["quantity"].tolist() == PLAIN.operating["quantity"].tolist()
    compared = {p.name for p in render_design(COMPARED, tmp_path / "two")}
    assert {"comparison.csv", "simulation_1.csv", "simulation_2.csv"} <= compared


ROWS = pd.DataFrame(
    [
        row("power", 0.8),
        row("power_given_answer", 0.8),
        row("bias", 0.1),
        row("success", 0.8, comparison=""),
        row("expected_n", 120.0, analysis="", comparison=""),
        row("expected_years", 2.5, analysis="", comparison=""),
        row("stopped_for_futility", 0.3, comparison=""),
        row("stopped_for_futility", 0.3, comparison="", look=1),
        row("a_new_one", 0.2),
    ]
)


def test_tables_answer_one_question_each():
    blocks = dict(operating_tables(ROWS, scales={"test": "log hazard ratio"}, closed_form=0.81))
    assert list(blocks) == [
        "Does it find what there is?",
        "Is the estimate right?",
        "How large, how long, and where does it end?",
        "What else was counted",
    ]
    finds, estimates, course, others = (tables[0] for tables in blocks.values())
    assert finds.rows == (
        ("The trial ends in success", "test", "80.0 % (1.0)"),
        ("Finds the effect (power)", "dose1", "80.0 % (1.0)"),
        ("Finds the effect (power), by the closed form", "dose1", "81.0 %"),
    )
    assert "no trial is missing" in finds.notes[0]
    assert estimates.columns == ("What", "dose1")
    assert "log hazard ratio" in estimates.caption
    assert course.rows[-1] == ("Stops early: futile", "look 1", "30.0 % (1.0)")
    assert others.rows == (("a new one", "dose1", "0.200 (0.010)"),)


def test_logarithms_of_ratios_are_given_as_ratios():
    """exp(-0.5) = 0.607, exp(0.2) = 1.221, by hand."""
    rows = pd.DataFrame(
        [
            row("success", 0.8, comparison=""),
            row("truth", -0.5, mcse=0.0),
            row("mean_estimate", 0.2),
            row("bias", 0.7),
        ]
    )
    blocks = dict(
        operating_tables(rows, scales={"test": "log hazard ratio"}, ratios={"test": "hazard ratio"})
    )
    assert blocks["Is the estimate right?"][0].rows == (
        ("True value", "\N{MINUS SIGN}0.5000"),
        ("True value, as hazard ratio", "0.61"),
        ("Mean estimate", "0.200 (0.010)"),
        ("Mean estimate, as hazard ratio", "1.22"),
        ("Bias (mean estimate less true value)", "0.700 (0.010)"),
    )


def test_analysis_without_any_answer_is_said_to_have_none():
    """An analysis that failed in every trial has a mean estimate of nothing, from no trial."""
    rows = pd.DataFrame([row("success", 0.8, comparison=""), row("mean_estimate", NAN, NAN, n=0)])
    blocks = dict(
        operating_tables(rows, scales={"test": "log hazard ratio"}, ratios={"test": "hazard ratio"})
    )
    assert blocks["Is the estimate right?"][0].rows == (
        ("Trials that it rests on", "0 of 100"),
        ("Mean estimate", "no answer"),
        ("Mean estimate, as hazard ratio", "\N{EN DASH}"),
    )


SAME = [
    ("disjunctive_power", 0.8, 1),
    ("familywise_error", 0.8, 1),
    ("disjunctive_power", 0.7, 0),
]


@pytest.mark.parametrize(("quantity", "value", "n_notes"), SAME)
def test_what_is_success_by_definition_is_said_once(quantity, value, n_notes):
    rows = pd.DataFrame([row("success", 0.8, comparison=""), row(quantity, value, comparison="")])
    finds = operating_tables(rows, scales={})[0][1][0]
    assert len(finds.rows) == 2 - n_notes
    assert [note.split(" where ")[0] for note in finds.notes] == (
        ["The trial ends in success"] * n_notes
    )


MISSED = [(0.0, []), (0.25, [("An interim look never came", "25.0 % (1.0)")])]


@pytest.mark.parametrize(("value", "lines"), MISSED)
def test_looks_that_never_came_are_told_if_there_are_any(value, lines):
    rows = pd.DataFrame(
        [ROWS.iloc[4].to_dict(), row("missed_look", value, analysis="", comparison="")]
    )
    course = operating_tables(rows, scales={})[0][1][0]
    assert list(course.rows[1:]) == lines


def test_shares_among_answers_are_shown_where_some_are_missing():
    rows = ROWS.copy()
    rows.loc[1, ["value", "n_replicates"]] = [0.9, 89]
    finds = operating_tables(rows, scales={})[0][1][0]
    assert ("Power, among trials whose analysis had an answer", "dose1", "90.0 % (1.0)") in (
        finds.rows
    )
    assert finds.notes == ()


def test_estimates_say_when_and_on_how_many_trials_they_rest():
    late = [
        row("mean_estimate", 0.1, comparison=c, n=n) for c, n in (("dose1", 100), ("dose2", 43))
    ]
    early = [row("mean_estimate", 0.1, analysis="early"), row("passed_interim", 0.4, 0.05, "early")]
    early[1]["look"] = 1
    others = [row("success", 0.8, comparison=""), row("dropped", 0.57, comparison="dose2")]
    blocks = dict(operating_tables(pd.DataFrame([*early, *late, *others]), scales={}))
    first, second = blocks["Is the estimate right?"]
    assert first.caption.startswith("Estimates of early at the interim look. ")
    assert "in which the arm was still there" in second.caption
    assert second.rows[0] == ("Trials that it rests on", "100 of 100", "43 of 100")
    assert first.rows[0][0] == "Mean estimate"


SENTENCES = [
    (ROWS, "about 80 of 100 such trials would show that the treatment works"),
    (
        pd.concat([ROWS, pd.DataFrame([row("power", 0.5, comparison="dose2")])]),
        "about 80 of 100 such trials would show that a treatment works",
    ),
    (
        ROWS.replace({"quantity": {"power": "type1_error"}}).replace({"value": {0.8: 0.026}}),
        "about 3 of 100 such trials would nevertheless claim that it does",
    ),
    (ROWS.replace({"value": {0.8: 1.0}}), "all of 100 such trials"),
    (ROWS.replace({"value": {0.8: 0.99}}), "about 99 of 100 such trials"),
    (ROWS.replace({"value": {0.8: 0.996}}), "more than 99 of 100 such trials"),
    (ROWS.replace({"value": {0.8: 0.004}}), "fewer than 1 of 100 such trials"),
]


@pytest.mark.parametrize(("rows", "words"), SENTENCES)
def test_plain_sentence(rows, words):
    sentence = plain_sentence(rows)
    assert words in sentence
    assert "takes 120 patients and 2.5 years" in sentence


def test_designs_stand_in_columns():
    frame = pd.DataFrame(
        {
            "design": ["a", "b"], "comparison": ["x", "x"], "n_replicates": [100, 100],
            "success": [0.8, 0.9], "success_mcse": [0.04, 0.03],
            "stopped_for_futility": [NAN, 0.2], "stopped_for_futility_mcse": [NAN, 0.04],
        }
    )  # fmt: skip
    table = designs_table(frame)
    assert table.columns == ("What", "a", "b")
    assert table.rows == (
        ("The trial ends in success", "80.0 % (4.0)", "90.0 % (3.0)"),
        ("Stops early: futile", "\N{EN DASH}", "20.0 % (4.0)"),
    )
    twice = designs_table(frame.assign(design="a", comparison=["x", "y"]))
    assert twice.columns == ("What", "a")
    assert twice.rows[0] == ("The trial ends in success", "80.0 % (4.0)")


def test_comparisons_of_a_design_have_rows_of_their_own():
    frame = pd.DataFrame(
        {
            "design": ["a", "b", "b"], "comparison": ["x", "x", "y"], "n_replicates": 100,
            "success": [0.8, 0.9, 0.9], "success_mcse": 0.03,
            "power": [0.8, 0.7, 0.6], "power_mcse": 0.04,
            "disjunctive_power": [NAN, 0.9, 0.9], "disjunctive_power_mcse": [NAN, 0.03, 0.03],
            "missed_look": [0.0, 0.0, 0.0], "missed_look_mcse": 0.0,
        }
    )  # fmt: skip
    dash = "\N{EN DASH}"
    assert designs_table(frame).rows == (
        ("The trial ends in success", "80.0 % (3.0)", "90.0 % (3.0)"),
        ("Finds the effect (power)", "80.0 % (4.0)", dash),
        ("Finds the effect (power): x", dash, "70.0 % (4.0)"),
        ("Finds the effect (power): y", dash, "60.0 % (4.0)"),
    )
    late = frame.assign(missed_look=[0.0, 0.2, 0.2], missed_look_mcse=[0.0, 0.04, 0.04])
    assert designs_table(late).rows[-1] == (
        "An interim look never came", "in none of 100", "20.0 % (4.0)"
    )  # fmt: skip
