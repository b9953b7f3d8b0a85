"""``pmsstats power``: answers of the public functions. Witness: normal formulas worked by hand."""

from __future__ import annotations

import inspect
import math
import re

import pytest
from click.testing import CliRunner, Result
from scipy import special

from pmsstats import power
from pmsstats.cli import main
from pmsstats.cli.power_commands import DESIGNS

Z_BOTH = float(special.ndtri(0.975) + special.ndtri(0.8))
"""Of a two-sided 5 % test with 80 % power."""


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["power", *args], catch_exceptions=False)


def answer(*args: str) -> dict[str, float]:
    """Return the quantities of the table that a command prints."""
    result = run(*args)
    assert result.exit_code == 0, result.output
    rows = re.findall(r"^ *([a-z][a-z ]*?) +(-?[\d.]+)\b", result.output, re.M)
    return {name: float(value) for name, value in rows}


def test_change_is_the_textbook_number():
    """Effect 0.5 SD: 64 per arm, the number in every table of the t-test."""
    found = answer("change", "--effect", "0.5", "--sd", "1")
    assert (found["n reference"], found["n treated"]) == (64, 64)


def test_proportion_is_the_normal_formula():
    found = answer("proportion", "--reference", "0.4", "--treated", "0.25", "--method", "pooled")
    pooled, apart = 2 * 0.325 * 0.675, 0.4 * 0.6 + 0.25 * 0.75
    root = special.ndtri(0.975) * math.sqrt(pooled) + special.ndtri(0.8) * math.sqrt(apart)
    assert found["n reference"] == math.ceil((root / 0.15) ** 2)


def test_slope_is_diggles_formula():
    """Known covariance, complete data: variance of a least-squares slope plus that of slopes."""
    given = ("--years", "0,1,2", "--slope-sd", "1.0", "--residual-sd", "0.8", "--effect", "0.5")
    found = answer("slope", *given, "--method", "diggle")
    variance = 1.0 + 0.8**2 / 2  # spread of 0, 1, 2 about their mean: 2
    assert found["n reference"] == math.ceil(2 * Z_BOTH**2 * variance / 0.5**2)


def test_log_rank_is_schoenfelds_number_of_events():
    given = ("--hazard", "0.2", "--hazard-ratio", "0.7", "--follow-up", "2")
    found = answer("log-rank", *given, "--method", "schoenfeld")
    events = 4 * (Z_BOTH / math.log(0.7)) ** 2
    share = 1 - (math.exp(-0.4) + math.exp(-0.28)) / 2
    assert found["n"] == pytest.approx(events / share, abs=3)


@pytest.mark.parametrize(
    ("option", "words"),
    [("--dropout=20", "20 % is 0.2."), ("--power=90", "90 % is 0.9.")],
)
def test_per_cent_given_as_a_share_is_explained(option: str, words: str):
    given = ("--years", "0,1,2", "--slope-sd", "1.0", "--residual-sd", "0.8", "--effect", "0.5")
    result = run("slope", *given, option)
    assert result.exit_code != 0
    assert words in " ".join(result.output.split())


def test_help_has_no_marks_of_docstrings():
    shown = "".join(run(name, "--help").output for name in (*DESIGNS, "bounds"))
    assert not re.search(r"\[\d+\]_|`", shown)


@pytest.mark.parametrize("design", DESIGNS)
def test_help_says_what_holds_unless_given(design):
    blocks = re.split(r"\n  (?=-)", run(design, "--help").output)
    texts = [" ".join(block.split()) for block in blocks]
    said = dict(
        found.groups()
        for text in texts
        if (found := re.match(r"--([\w-]+).*\[default: (.+)\]$", text))
    )
    functions = inspect.signature(getattr(power, f"sample_size_{design.replace('-', '_')}"))
    default = {
        name.replace("_", "-"): parameter.default
        for name, parameter in functions.parameters.items()
    }
    assert said["alpha"] == "0.05" == str(default["alpha"])
    assert said["solve"] == "n" == default["solve"]
    assert {name: said[name] for name in ("power", "ratio", "sides")} == {
        name: f"{default[name]:g}" for name in ("power", "ratio", "sides")
    }
    named = {"method", "analysis", "exposure", "baseline", "working"} & set(default)
    assert {name: said[name] for name in named} == {name: default[name] for name in named}


def test_words_to_choose_from_are_listed_and_checked():
    assert (
        "[gls|hu_mackey_thomas|edland|two_scans|diggle|liu_liang]" in run("slope", "--help").output
    )
    wrong = run("slope", "--years=0,1", "--slope-sd=1", "--residual-sd=1", "--method=ols")
    assert wrong.exit_code == 2
    assert "'ols' is not one of 'gls'" in wrong.output


@pytest.mark.parametrize(
    ("design", "options", "call"),
    [
        (
            "slope",
            ("--years=0,1,2", "--slope-sd=1", "--residual-sd=0.8", "--retention=1,0.9,0.7"),
            lambda: power.power_slope(
                n=120, effect=0.5, schedule=power.VisitSchedule(years=(0, 1, 2)),
                model=power.SlopeModel(slope_sd=1.0, residual_sd=0.8), retention=(1, 0.9, 0.7),
            ),
        ),
        (
            "mmrm",
            ("--sd=1,1.2,1.5", "--correlation=0.6", "--retention=1,0.9,0.7"),
            lambda: power.power_mmrm(
                n=120, effect=0.5, retention=(1, 0.9, 0.7),
                covariance=power.VisitCovariance.cs(sd=(1, 1.2, 1.5), correlation=0.6),
            ),
        ),
    ],
)  # fmt: skip
def test_shares_still_seen_are_read(design, options, call):
    assert run(design, "--n=120", "--effect=0.5", *options).output.strip() == str(call()).strip()


# Name of the design, options, function, arguments.
PAIRS = [
    (
        "change",
        ("--n", "120", "--effect", "0.5", "--sd", "1", "--dropout", "0.1"),
        lambda: power.power_change(n=120, effect=0.5, sd=1.0, dropout=0.1),
    ),
    (
        "slope",
        (
            "--n", "60,80", "--years", "0,0.5,1,2", "--slope-sd", "1,1.2", "--residual-sd", "0.8",
            "--intercept-sd", "3", "--correlation", "0.2", "--serial-correlation", "0.1",
            "--effect", "0.5",
        ),
        lambda: power.power_slope(
            n=(60, 80), effect=0.5, schedule=power.VisitSchedule(years=(0, 0.5, 1, 2)),
            model=(
                power.SlopeModel(
                    slope_sd=1.0, residual_sd=0.8, intercept_sd=3.0, correlation=0.2,
                    serial_correlation=0.1,
                ),
                power.SlopeModel(
                    slope_sd=1.2, residual_sd=0.8, intercept_sd=3.0, correlation=0.2,
                    serial_correlation=0.1,
                ),
            ),
        ),
    ),
    (
        "mmrm",
        ("--n", "120", "--sd", "1,1.2,1.5", "--correlation", "0.6", "--effect", "0.7"),
        lambda: power.power_mmrm(
            n=120,
            effect=0.7,
            covariance=power.VisitCovariance.cs(sd=(1, 1.2, 1.5), correlation=0.6),
        ),
    ),
    (
        "log-rank",
        ("--n", "600", "--hazard", "0.18", "--hazard-ratio", "0.7", "--follow-up", "2.5"),
        lambda: power.power_log_rank(n=600, hazard=0.18, hazard_ratio=0.7, follow_up=2.5),
    ),
    (
        "counts",
        (
            "--n", "200", "--rate", "1.5", "--rate-ratio", "0.6", "--dispersion", "1.2",
            "--follow-up", "1",
        ),
        lambda: power.power_counts(
            n=200, rate=1.5, rate_ratio=0.6, dispersion=1.2, follow_up=1.0
        ),
    ),
    (
        "proportion",
        ("--n", "300", "--reference", "0.4", "--treated", "0.25"),
        lambda: power.power_proportion(n=300, reference=0.4, treated=0.25),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("design", "options", "call"), PAIRS, ids=[p[0] for p in PAIRS])
def test_options_reach_the_function(design, options, call):
    assert run(design, *options).output.strip() == str(call()).strip()


def test_every_design_is_tested():
    assert {design for design, _, _ in PAIRS} == set(DESIGNS)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (("--looks=0.5,1",), {"looks": (0.5, 1)}),
        (("--looks=1",), {"looks": (1,)}),
        (
            (
                "--looks=0.4,0.7,1", "--spending=hwang_shih_decani", "--spending-parameter=-4",
                "--futility=ld_pocock", "--binding=yes", "--alpha=0.05", "--power=0.9",
            ),
            {
                "looks": (0.4, 0.7, 1), "spending": "hwang_shih_decani", "spending_parameter": -4.0,
                "futility": "ld_pocock", "binding": True, "alpha": 0.05, "power": 0.9,
            },
        ),
        (
            ("--looks=0.5,1", "--futility=z", "--futility-z=0.3"),
            {"looks": (0.5, 1), "futility": "z", "futility_z": (0.3,)},
        ),
        (
            (
                "--looks=0.5,1", "--futility=conditional_power", "--futility-parameter=0.2",
                "--futility-trend=observed",
            ),
            {
                "looks": (0.5, 1), "futility": "conditional_power", "futility_parameter": 0.2,
                "futility_trend": "observed",
            },
        ),
    ],
)  # fmt: skip
def test_bounds_are_those_of_the_function(options, asked):
    expected = power.boundaries(power.GroupSequentialDesign(**asked))
    assert run("bounds", *options).output.strip() == str(expected).strip()


def test_another_quantity_is_solved_for():
    found = run("change", "--n", "128", "--sd", "1", "--solve", "effect", "--power", "0.8")
    assert found.exit_code == 0
    assert "the effect found with 80.0 % power is 0.49" in found.output


@pytest.mark.parametrize("design", DESIGNS)
def test_help_explains_every_option(design):
    shown = run(design, "--help").output
    options = re.findall(r"^  --([a-z-]+)", shown, re.M)
    assert {"n", "alpha", "power", "figure"} <= set(options)
    assert re.findall(r"^  --[a-z-]+ [A-Z]+$\n(?=  --)", shown, re.M) == []


WRONG = [
    (("change", "--effect", "0", "--sd", "1"), "no number of subjects will do"),
    (("change", "--effect", "0.5"), "Give either `--sd`"),
    (("change", "--effect", "0.5", "--sd=-1"), "`--sd` must be a number above 0, got -1.0"),
    (("change", "--effect", "0.5", "--sd", "1", "--power", "0.01"), "`--power=0.01` is not above"),
    (("change", "--effect", "0.5", "--sd", "1", "--dropout", "1.2"), "`--dropout` must be"),
    (
        ("change", "--effect", "0.5", "--sd", "1", "--n", "99", "--power", "0.8"),
        "`--n` and `--power` together leave nothing to find",
    ),
    (("change", "--effect", "0.5", "--sd", "1", "--n", "10.5"), "is no whole number"),
    (("change", "--effect", "half", "--sd", "1"), "'half' is no number"),
    (("change", "--effect", "0.5", "--sd", "1", "--solve", "duration"), "'duration' is not one"),
    (("slope", "--n", "100"), "`--years` is needed: Visits in years"),
    (("slope", "--n", "100", "--years", "0,1"), "`--slope-sd` is needed"),
    (
        ("slope", "--n", "9", "--years", "0,2,1", "--slope-sd", "1", "--residual-sd", "1"),
        "years",
    ),
    (
        ("slope", "--n=9", "--years=0,1", "--slope-sd=1,2,3", "--residual-sd=1"),
        "`--slope-sd` is one number, or two",
    ),
    (("slope", "--n=9", "--years=0,-1", "--slope-sd=1", "--residual-sd=1"), "`--years` must"),
    (
        ("slope", "--n=9", "--years=0,1", "--slope-sd=1", "--residual-sd=1", "--correlation=1.4"),
        "`--correlation` must",
    ),
    (("mmrm", "--n", "9", "--sd", "1,1", "--correlation", "1.4"), "`--correlation`"),
    (("log-rank", "--hazard", "0.2", "--hazard-ratio", "0.7"), "`--follow-up` is needed"),
    (("proportion", "--n", "200"), "`--reference` must be given"),
    (("mmrm", "--n", "100", "--sd", "1"), "Give either `--effect`"),
    (("bounds",), "`--looks` is needed"),
    (("bounds", "--looks=0.5,0.4,1"), "`--looks` must rise from above 0 to 1"),
    (("bounds", "--looks=0.5,1.2"), "No look can come after the end"),
    (("bounds", "--looks=0.5,1", "--spending=pcock"), "Did you mean 'pocock'?"),
    (("bounds", "--looks=0.5,1", "--alpha=2.5"), "`--alpha` is one-sided and must lie between"),
    (("bounds", "--looks=0.5,1", "--futility-trend=none"), "'none' is not one of 'design'"),
    (("chnge", "--n", "3"), "No such command 'chnge'"),
    (("change", "--effect", "1", "--sd", "1", "--figure", "x.xyz"), "must end in .svg, .png, .pdf"),
    (("change", "--effect", "1", "--sd", "1", "--figure", "no/such/x.svg"), "'no/such' is not"),
]


@pytest.mark.parametrize(("args", "told"), WRONG)
def test_wrong_options_are_explained(args, told):
    result = run(*args)
    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output
    assert "defect" not in result.output


def test_figure_is_drawn(tmp_path):
    path = tmp_path / "power.svg"
    result = run("change", "--effect", "0.5", "--sd", "1", "--figure", str(path))
    assert result.exit_code == 0
    assert f"Figure: {path}" in result.output
    assert path.read_text(encoding="utf-8").startswith("<?xml")
