"""The data dictionary: covers the review, is consistent in itself, and can be extended."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pmsstats.cohort.schema import (
    COMPARTMENTS,
    PHENOTYPES,
    TECHNIQUES,
    DataDictionary,
    Measure,
    default_dictionary,
    measure_from_dict,
)
from pmsstats.errors import SchemaError

DICTIONARY = default_dictionary()

# What the review calls a measure, and the columns that carry it.
REVIEW_MEASURES: dict[str, tuple[str, ...]] = {
    "onset_syndrome": ("spinal_onset",),
    "edss": ("edss",),
    "cortical_lesion_count": (
        "cortical_lesion_dir_count", "cortical_lesion_psir_count", "cortical_lesion_7t_count",
    ),
    "cortical_lesion_count_and_atrophy": ("cortical_lesion_count", "cortical_gm_ml"),
    "dti_metrics": ("nawm_fa", "nawm_md_um2_ms", "nawm_ad_um2_ms", "nawm_rd_um2_ms"),
    "lesion_ad_rd": ("lesion_ad_um2_ms", "lesion_rd_um2_ms"),
    "lesion_fa_md": ("lesion_fa", "lesion_md_um2_ms"),
    "nawm_fa": ("nawm_fa",),
    "nawm_fa_md": ("nawm_fa", "nawm_md_um2_ms"),
    "nawm_md_fa": ("nawm_md_um2_ms", "nawm_fa"),
    "nawm_md_rd_ad_fa": ("nawm_md_um2_ms", "nawm_rd_um2_ms", "nawm_ad_um2_ms", "nawm_fa"),
    "mcp_fa_rd": ("mcp_fa", "mcp_rd_um2_ms"),
    "nagm_md": ("nagm_md_um2_ms",),
    "nagm_md_fa": ("nagm_md_um2_ms", "nagm_fa"),
    "cord_dti": ("cord_fa", "cord_md_um2_ms"),
    "cord_fa": ("cord_fa",),
    "cord_fa_md": ("cord_fa", "cord_md_um2_ms"),
    "cord_gm_fa_md_rd": ("cord_gm_fa", "cord_gm_md_um2_ms", "cord_gm_rd_um2_ms"),
    "cord_gm_rd": ("cord_gm_rd_um2_ms",),
    "cord_posterior_md_rd": ("cord_posterior_md_um2_ms", "cord_posterior_rd_um2_ms"),
    "nawm_lesion_naa": ("nawm_naa_mmol_l", "lesion_naa_mmol_l"),
    "nawm_lesion_naa_ratio": ("nawm_naa_cr", "lesion_naa_cr"),
    "nawm_naa": ("nawm_naa_mmol_l",),
    "cortical_naa": ("cortical_naa_mmol_l",),
    "lesion_mtr": ("lesion_mtr_pu",),
    "lesion_nawm_mtr": ("lesion_mtr_pu", "nawm_mtr_pu"),
    "lesion_or_nawm_mtr": ("lesion_mtr_pu", "nawm_mtr_pu"),
    "mtr_multicompartment": ("nawm_mtr_pu", "nagm_mtr_pu", "cord_mtr_pu"),
    "nawm_mtr": ("nawm_mtr_pu",),
    "nagm_mtr": ("nagm_mtr_pu", "cortex_mtr_pu"),
    "cord_mtr": ("cord_mtr_pu",),
    "cord_pial_mtr": ("cord_pial_mtr_pu",),
    "brain_mtr": ("brain_mtr_pu",),
    "cord_signal": ("cord_diffuse_signal",),
    "nawm_tspo": ("nawm_tspo_dvr",),
    "tspo": ("nawm_tspo_dvr",),
    "cortical_tspo": ("cortical_tspo_dvr",),
    "leptomeningeal_enhancement": ("leptomeningeal_foci_count", "leptomeningeal_presence"),
    "gd_lesion_presence": ("gd_lesion_presence", "gd_lesion_count"),
    "gd_new_t2_lesions": ("active_lesion_count", "gd_lesion_count", "new_t2_count"),
    "cortical_lesion_t2star": ("cortical_lesion_t2star_ms",),
    "laminar_t2star": (
        "cortical_t2star_depth25_ms", "cortical_t2star_depth50_ms", "cortical_t2star_depth75_ms",
    ),
    "dgm_iron": ("dgm_susceptibility_ppb", "dgm_r2star_per_s"),
    "dgm_r2star": ("caudate_r2star_per_s", "putamen_r2star_per_s", "pallidum_r2star_per_s"),
    "putamen_iron": ("putamen_susceptibility_ppb", "putamen_r2star_per_s"),
    "thalamus_susceptibility": ("thalamus_susceptibility_ppb", "pulvinar_susceptibility_ppb"),
    "cerebellar_cortex_volume": ("cerebellar_cortex_ml",),
    "cerebellar_gm_volume": ("cerebellar_gm_ml",),
    "cerebellar_lobule_volume": ("lobule_vi_ml", "lobule_crus1_ml", "lobule_viiia_ml"),
    "cerebellar_volume": ("cerebellum_ml",),
    "cortical_thickness": ("cortical_thickness_mm",),
    "cortical_volume": ("cortical_gm_ml",),
    "gm_volume": ("gm_ml", "wm_ml", "cortical_gm_ml"),
    "regional_cortical_volume": ("frontal_gm_ml", "parietal_gm_ml", "occipital_gm_ml"),
    "temporal_gm_volume": ("temporal_gm_ml",),
    "dgm_volume": ("dgm_ml",),
    "thalamus_volume": ("thalamus_ml",),
    "dgm_cerebellar_volume": ("dgm_cerebellum_ml",),
    "c7_area": ("cord_area_c7_mm2",),
    "cervical_csa": ("cord_area_c2c3_mm2", "cord_area_cervical_mm2"),
    "cervical_csa_and_lesions": ("cord_area_c2c3_mm2", "cord_lesion_count"),
    "cervical_thoracic_csa": ("cord_area_cervical_mm2", "cord_area_thoracic_mm2"),
    "cord_gm_area": ("cord_gm_area_mm2",),
    "cord_volume_c2c5": ("cord_c2c3_ml", "cord_c2c5_ml"),
    "brain_gm_volume": ("gm_ml",),
    "brain_volume": ("brain_ml", "pbvc_pct"),
    "regional_volume": ("lateral_ventricle_ml", "brainstem_ml", "central_brain_ml"),
    "t1_lesion_volume": ("t1_lesion_ml",),
    "t2_lesion_count": ("t2_lesion_count",),
    "t2_lesion_volume": ("t2_lesion_ml",),
    "cord_lesion_count": ("cord_lesion_count", "cord_lesion_cervical_count"),
    "cord_lesion_load": ("cord_lesion_mm3", "cord_lesion_area_mm2"),
}  # fmt: skip

CLINICAL = ("edss", "t25fw_s", "nhpt_s", "nhpt_dominant_s", "pasat3", "sdmt", "msfc_z")
FLUID = ("snfl_pg_ml", "sgfap_pg_ml")

# How a name ends, by unit. The diffusivity unit of the field, 10^-3 mm2/s, is 1 um2/ms.
SUFFIXES = {
    "s": "_s", "ml": "_ml", "mm": "_mm", "mm2": "_mm2", "mm3": "_mm3", "m": "_m", "ms": "_ms",
    "1/s": "_per_s", "pu": "_pu", "%": "_pct", "pg/ml": "_pg_ml", "mmol/l": "_mmol_l",
    "ppb": "_ppb", "10^-3 mm2/s": "_um2_ms", "lesions": "_count", "foci": "_count",
    "letters": "_letters",
}  # fmt: skip


@pytest.fixture(scope="module")
def findings(shared_file: Callable[[str], Path]) -> pd.DataFrame:
    return pd.read_csv(shared_file("evidence/review_findings.csv"))


def test_every_measure_of_the_review_has_a_column(findings: pd.DataFrame) -> None:
    assert set(findings["measure"]) == set(REVIEW_MEASURES)


def test_every_technique_and_compartment_of_the_review_has_a_measure(
    findings: pd.DataFrame,
) -> None:
    covered = {(m.technique, m.compartment) for m in DICTIONARY.values()}
    wanted = set(findings[["technique", "compartment"]].itertuples(index=False, name=None))
    assert wanted <= covered
    assert set(findings["technique"]) <= set(TECHNIQUES)
    assert set(findings["compartment"]) <= set(COMPARTMENTS)


def test_a_finding_is_carried_in_its_own_technique_and_compartment(findings: pd.DataFrame) -> None:
    for finding in findings.itertuples():
        pairs = {
            (DICTIONARY[name].technique, DICTIONARY[name].compartment)
            for name in REVIEW_MEASURES[finding.measure]
        }
        assert (finding.technique, finding.compartment) in pairs, finding.id


@pytest.mark.parametrize("name", [*CLINICAL, *FLUID])
def test_clinical_and_fluid_measures_are_there(name: str) -> None:
    assert name in DICTIONARY


@pytest.mark.parametrize("measure", DICTIONARY.values(), ids=lambda m: m.name)
def test_a_measure_is_consistent(measure: Measure) -> None:
    low, high = measure.plausible
    assert measure.possible[0] <= low < high <= measure.possible[1]
    assert math.isfinite(low)
    assert math.isfinite(high)
    steps = measure.values  # noqa: PD011 (a field of Measure)
    assert all(low <= step <= high for step in steps)
    assert list(steps) == sorted(set(steps))
    assert measure.name == measure.name.lower()
    assert measure.label[0] == measure.label[0].upper()
    assert not measure.label.endswith(".")
    assert measure.name.endswith(SUFFIXES.get(measure.unit, ""))


def test_units_are_spelled_one_way() -> None:
    assert {m.unit for m in DICTIONARY.values()} - {""} == set(SUFFIXES)


def test_a_name_without_unit_does_not_end_like_one_with_a_unit() -> None:
    plain = [m.name for m in DICTIONARY.values() if not m.unit]
    assert len(plain) > 20
    endings = tuple(SUFFIXES.values())
    assert not [name for name in plain if name.endswith(endings)]


# Which direction of change is worse for the patient, from the field's common usage.
@pytest.mark.parametrize(
    ("ending", "worsening"),
    [
        ("_mtr_pu", "lower"),
        ("_naa_mmol_l", "lower"),
        ("_naa_cr", "lower"),
        ("_tspo_dvr", "higher"),
        ("_md_um2_ms", "higher"),
        ("_rd_um2_ms", "higher"),
        ("_count", "higher"),
        ("_thickness_mm", "lower"),
        ("_gm_ml", "lower"),
        ("_area_mm2", "lower"),
    ],
)
def test_direction_of_worsening_by_kind(ending: str, worsening: str) -> None:
    measures = [m for m in DICTIONARY.values() if m.name.endswith(ending)]
    measures = [m for m in measures if "lesion_area" not in m.name]  # an area of damage, not tissue
    assert measures
    assert {m.worsening for m in measures} == {worsening}


@pytest.mark.parametrize(
    ("name", "worsening"),
    [
        ("edss", "higher"),
        ("t25fw_s", "higher"),
        ("nhpt_s", "higher"),
        ("sdmt", "lower"),
        ("pasat3", "lower"),
        ("msfc_z", "lower"),
        ("snfl_pg_ml", "higher"),
        ("nawm_fa", "lower"),
        ("lateral_ventricle_ml", "higher"),
        ("t2_lesion_ml", "higher"),
        ("thalamus_ml", "lower"),
        ("thalamus_susceptibility_ppb", "lower"),
        ("putamen_susceptibility_ppb", "higher"),
        ("pbvc_pct", "lower"),
    ],
)
def test_direction_of_worsening(name: str, worsening: str) -> None:
    assert DICTIONARY[name].worsening == worsening


def test_edss_has_twenty_steps_and_no_half() -> None:
    steps = DICTIONARY["edss"].values  # noqa: PD011 (a field of Measure)
    assert steps == (0.0, *(k / 2 for k in range(2, 21)))


def test_which_measures_are_no_levels() -> None:
    """Neither change from baseline nor what is new since the last scan has a baseline."""
    kinds = {m.name: m.kind for m in DICTIONARY.values() if m.kind != "level"}
    new = "since_last"
    assert kinds == {"new_t2_count": new, "active_lesion_count": new, "pbvc_pct": "change"}


# Means of published cohorts must be plausible: (measure, mean, SD), the source beside it.
PUBLISHED = [
    ("cord_area_c2c3_mm2", 68.55, 12.3),  # SPMS: pooled mean; SD of a trial at month 0
    ("brain_ml", 1423.0, 84.0),  # PPMS, SIENAX-normalised, order of size
    ("thalamus_ml", 14.4, 1.5),  # bilateral
    ("t2_lesion_ml", 10.0, 12.0),  # PPMS placebo arm
]


@pytest.mark.parametrize(("name", "mean", "sd"), PUBLISHED)
def test_published_means_are_plausible(name: str, mean: float, sd: float) -> None:
    low, high = DICTIONARY[name].plausible
    assert low <= mean - min(2 * sd, mean) <= mean + 3 * sd <= high


def test_extending_replaces_by_name_and_leaves_the_old_one() -> None:
    own = Measure(name="edss", label="Own EDSS")
    extended = DICTIONARY.extend(own, Measure(name="nwbv", label="Whole-brain volume ratio"))
    assert extended["edss"].label == "Own EDSS"
    assert DICTIONARY["edss"].label == "EDSS"
    assert len(extended) == len(DICTIONARY) + 1
    assert list(extended)[:1] == ["edss"]


def test_requiring_an_unknown_measure_suggests_one() -> None:
    with pytest.raises(SchemaError, match=r"No measure 'thalamus_mL'.* Did you mean 'thalamus_ml'"):
        DICTIONARY.require("thalamus_mL")
    assert DICTIONARY.require("edss").name == "edss"


def test_the_table_has_one_row_per_measure() -> None:
    table = DICTIONARY.table()
    assert table["name"].tolist() == list(DICTIONARY)
    assert table["plausible_high"].notna().all()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"worsens": "lower"}, r"no field 'worsens'. Did you mean 'worsening'"),
        ({"worsening": "down"}, r"`worsening` .* must be one of lower, higher, unspecified"),
        ({"technique": "dtii"}, r"`technique` .* Did you mean 'dti'"),
        ({"compartment": "brain"}, r"`compartment` .* got 'brain'"),
        ({"kind": "delta"}, r"`kind` .* must be one of level, change, since_last"),
        ({"plausible": [1]}, r"must be lists of numbers"),
        ({"plausible": "high"}, r"must be lists of numbers"),
        ({"plausible": [2, 1]}, r"`plausible` .* low < high, got \[2.0, 1.0\]"),
        ({"values": 3}, r"must be lists of numbers"),
        ({"unit": 3}, r"`unit` .* must be text in quotes, got 3"),
        ({"label": ["x"]}, r"`label` .* must be text in quotes"),
    ],
)
def test_a_wrong_entry_is_refused_in_words(entry: dict, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        measure_from_dict("nwbv", entry)


@pytest.mark.parametrize("name", ["9hpt", "brain volume", "thal\u00e4mus", ""])
def test_names_are_ascii_identifiers(name: str) -> None:
    with pytest.raises(SchemaError, match="must be an ASCII identifier"):
        Measure(name=name, label="x")


def test_a_label_defaults_to_the_name_and_carries_the_unit_on_axes() -> None:
    assert measure_from_dict("nwbv", {}).axis_label == "nwbv"
    assert DICTIONARY["thalamus_ml"].axis_label == "Thalamic volume (ml)"


def test_a_dictionary_shows_its_size() -> None:
    assert repr(DataDictionary([])) == "<DataDictionary: 0 measures>"


def test_phenotypes_start_with_healthy_controls() -> None:
    assert PHENOTYPES[0] == "HC"
    assert {"SPMS", "PPMS"} < set(PHENOTYPES)
