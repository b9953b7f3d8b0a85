"""Designs side by side."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
from properties import assert_result_contract
from toy_trials import ENGINE, GENERATOR, toy_scenario

import pmsstats.trials.simulate as module
from pmsstats.errors import DesignError
from pmsstats.trials.comparison import DesignComparison, named_scenarios
from pmsstats.trials.scenario import Accrual
from pmsstats.trials.simulate import compare_designs

DESIGNS = {
    "small": toy_scenario(0.8),
    "large": toy_scenario(0.8, accrual=Accrual(n_subjects=120)),
    "no effect": toy_scenario(0.0),
    "two doses": toy_scenario(0.8, 0.4),
}


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> DesignComparison:
    monkeypatch.setattr(module, "_engine", lambda: ENGINE)
    return compare_designs(DESIGNS, GENERATOR, 300, 7, truth=2000)


def test_contract(compared: DesignComparison) -> None:
    assert_result_contract(compared)


def test_table_holds_what_each_result_says(compared: DesignComparison) -> None:
    table = compared.table()
    assert table["design"].tolist() == ["small", "large", "no effect", "two doses", "two doses"]
    assert table["comparison"].tolist() == ["dose1"] * 4 + ["dose2"]
    rows = table.set_index("design")
    small = compared["small"]
    assert (rows.loc["small", "power"], rows.loc["small", "power_mcse"]) == small.value("power")
    assert rows["type1_error"].notna().tolist() == [False, False, True, False, False]
    assert rows.loc["no effect", "type1_error"] == compared["no effect"].value("type1_error")[0]
    assert rows.loc["large", "power"] > rows.loc["small", "power"]  # more subjects


def test_shown_table_fits_a_page(compared: DesignComparison) -> None:
    shown = compared.display()
    assert shown.columns.tolist() == [
        "Design", "Comparison", "Power", "Type I error", "Succeeds", "Patients", "Years"
    ]  # fmt: skip
    value, error = compared["large"].value("power")
    row = shown.set_index("Design").loc["large"]
    assert row["Power"] == f"{100 * value:.1f} % ({100 * error:.2f})"
    assert row["Type I error"] == ""
    assert (row["Patients"], row["Years"]) == ("40", "1.0")  # the toy trial enrols as many as ever
    two = shown[shown["Design"] == "two doses"]  # the trial once, then its comparisons
    assert two["Comparison"].tolist() == ["whole trial", "dose1", "dose2"]
    assert [bool(cell) for cell in two["Power"]] == [False, True, True]
    assert [bool(cell) for cell in two["Succeeds"]] == [True, False, False]
    assert two["Patients"].tolist() == ["40", "", ""]
    assert max(map(len, str(compared).splitlines()[2:])) <= 100


def test_one_comparison_per_design_needs_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_engine", lambda: ENGINE)
    pair = {name: DESIGNS[name] for name in ("small", "no effect")}
    shown = compare_designs(pair, GENERATOR, 100, 7, truth=2000).display()
    assert shown.columns.tolist() == ["Design", "Power", "Type I error", "Patients", "Years"]


def test_figure_has_a_row_per_design(compared: DesignComparison) -> None:
    figure, ax = plt.subplots()
    try:
        compared.plot(ax=ax)
        labels = [t.get_text() for t in ax.get_yticklabels()]
        values = [100 * compared[name].value("success")[0] for name in DESIGNS]
        assert labels == list(DESIGNS)
        assert ax.lines[0].get_xdata().tolist() == pytest.approx(values)
        assert ax.get_xlabel() == "Success (%)"
        with pytest.raises(DesignError, match="`quantity` 'cost' is none"):
            compared.plot(ax=ax, quantity="cost")
    finally:
        plt.close(figure)


def test_unknown_design_and_no_design_are_refused(compared: DesignComparison) -> None:
    with pytest.raises(DesignError, match="no design 'tiny'; there are small"):
        compared["tiny"]
    with pytest.raises(DesignError, match="one scenario or more"):
        named_scenarios({})
