"""The same generator seen through another study. Witness: what was asked for."""

from __future__ import annotations

import dataclasses
import re

import pytest

from pmsstats.errors import DesignError
from synthetic import PRESETS, TREATMENTS, defaults, generate_tables, literature_table, preset
from synthetic.treatments import treatment

REVIEW = preset("review")


def test_a_study_sees_whom_and_when_it_asks_for():
    config = REVIEW.for_study(
        n_subjects=300, mix={"PPMS": 26, "HC": 20}, weeks=(0, 26, 52), imaging_weeks=(0, 52),
        measures=("edss", "cord_area_c2c3_mm2"), age=(30, 50), edss=(3.0, 5.0), duration=(1, 9),
    )  # fmt: skip
    tables = generate_tables(config, 1)
    shares = tables.subjects["phenotype"].value_counts(normalize=True)
    assert set(shares.index) == {"PPMS", "HC"}
    assert config.population.mix["PPMS"] == pytest.approx(26 / 46)
    patients = tables.subjects[tables.subjects["phenotype"] == "PPMS"]
    assert tables.subjects["age_years"].between(30, 50).all()
    assert patients["disease_duration_years"].between(1, 9).all()
    latent = tables.truth.subjects.merge(patients, on="subject_id")
    assert latent["baseline_edss"].between(3.0, 5.0).all()
    assert list(tables.visits)[3:] == ["edss", "cord_area_c2c3_mm2"]
    assert len(tables.visits) == 900
    scanned = tables.visits.dropna(subset=["cord_area_c2c3_mm2"])["visit"].unique()
    assert list(scanned) == ["Baseline", "W52"]


def test_nothing_asked_is_nothing_changed():
    study = REVIEW.for_study()
    assert study == REVIEW
    kept = preset("progressive").for_study(complete=False)
    assert kept == preset("progressive")


def test_missing_data_are_the_default_where_the_description_has_none():
    """The complete preset, seen with missing data, loses subjects and visits as the default."""
    config = REVIEW.for_study(complete=False)
    assert REVIEW.missingness != defaults.MISSINGNESS
    assert config.missingness == defaults.MISSINGNESS
    tables = generate_tables(
        config.for_study(
            complete=False, n_subjects=500, mix={"PPMS": 1}, weeks=(0, 52, 104), measures=("edss",)
        ),
        1,
    )
    reasons = set(tables.exits["reason"])
    assert "completed" in reasons
    assert len(reasons) > 1
    assert len(tables.visits) < 3 * 500


def test_missing_data_of_the_description_are_kept():
    own = dataclasses.replace(defaults.MISSINGNESS, missed_visit=0.5)
    config = dataclasses.replace(REVIEW, missingness=own)
    assert config.for_study(complete=False).missingness == own
    assert config.for_study().missingness == REVIEW.missingness


def test_who_had_no_relapse_for_years_has_fewer():
    """Of a gamma rate of mean m and shape 1, t years without an event leave m / (1 + m t)."""
    config = REVIEW.for_study(n_subjects=5000, mix={"RRMS": 1}, weeks=(0, 52), measures=("edss",))
    asked = config.for_study(relapse_free_years=2.0)
    assert asked.population.relapse_free_years == 2.0
    rate = generate_tables(asked, 1).truth.subjects["relapse_rate"]
    mean = config.relapses.rate["RRMS"]
    assert config.relapses.dispersion == 1.0
    error = rate.std() / len(rate) ** 0.5
    assert abs(rate.mean() - mean / (1 + 2.0 * mean)) < 4 * error


def test_arms_are_named_treatments_in_equal_shares():
    names = ("placebo", "siponimod", "simvastatin")
    config = REVIEW.for_study(mix={"SPMS": 1}, treatments=names)
    assert [arm.name for arm in config.arms] == list(names)
    assert all(arm.share == pytest.approx(1 / 3) for arm in config.arms)
    assert config.arms[1].worsening_hazard_ratio == TREATMENTS["siponimod"].worsening_hazard_ratio


def test_close_visits_narrow_their_windows():
    """A week apart: 3 days before or after, so that they cannot meet."""
    config = REVIEW.for_study(weeks=(0, 1), n_subjects=200, measures=("edss", "thalamus_ml"))
    day = generate_tables(config, 1).visits.query("visit == 'W1'")["day"]
    assert day.between(4, 10).all()


def test_lesions_and_hands_are_added_where_they_are_asked_for():
    plain = preset("progressive")
    config = plain.for_study(measures=("edss", "new_t2_count", "nhpt_dominant_s"))
    assert config.emitted == ("edss", "nhpt_dominant_s", "new_t2_count")
    assert plain.for_study(measures=("edss",)).lesions is None


def test_conversion_is_switched_on_and_off():
    config = REVIEW.for_study(mix={"RRMS": 1}, weeks=(0, 520), n_subjects=400, conversion=True)
    converts = generate_tables(config, 2).subjects["converted_to"].eq("SPMS").mean()
    assert 0.1 < converts < 0.5
    assert config.for_study(conversion=False).conversion.rrms_to_spms == 0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"mix": {"SPSM": 1}}, "Did you mean 'SPMS'"),
        ({"mix": {"SPMS": -1}}, "at least 0, got -1"),
        ({"mix": {"SPMS": 0}}, "positive share"),
        ({"mix": {"SPMS": float("inf")}}, "finite shares of at least 0, got inf for SPMS"),
        ({"weeks": (0, 26.5, 52)}, r"`weeks` of the schedule must be whole numbers, got 26\.5"),
        ({"weeks": (0, 52), "imaging_weeks": (0, 52.0)}, "`imaging_weeks`.*whole numbers"),
        ({"treatments": ("siponimd",)}, "Did you mean 'siponimod'"),
        ({"treatments": ("placebo",)}, "not randomised"),
        ({"measures": ("thalamus_m",)}, "Did you mean 'thalamus_ml'"),
        ({"weeks": (0, 24, 12)}, "must ascend"),
        ({"weeks": (0, 24), "imaging_weeks": (0, 12)}, "some of `weeks`"),
        ({"age": (50, 40)}, r"`age` must be \(low, high\)"),
        ({"edss": (6.0, 3.0)}, r"`edss` must be \(low, high\)"),
        ({"n_subjects": 0}, "at least 1"),
        ({"sites": 0}, "`n_sites`"),
    ],
)
def test_impossible_studies_are_refused(asked, message):
    with pytest.raises(DesignError, match=message):
        REVIEW.for_study(**asked)


def test_the_review_preset_sees_everything():
    assert REVIEW.population.phenotypes == ("HC", "RIS", "CIS", "RRMS", "SPMS", "PPMS")
    assert REVIEW.schedule.weeks == REVIEW.schedule.imaging_weeks
    assert len(REVIEW.schedule.weeks) == 5
    assert REVIEW.missingness == REVIEW.complete().missingness
    assert {m.measure for m in defaults.IMAGING} <= set(REVIEW.emitted)


def test_presets_share_one_set_of_parameters():
    for name in PRESETS:
        config = preset(name)
        assert config.imaging == REVIEW.imaging
        assert config.disability == REVIEW.disability
        assert config.relapses == REVIEW.relapses


@pytest.mark.parametrize("name", TREATMENTS)
def test_every_effect_of_a_treatment_names_its_source(name):
    config = REVIEW.for_study(mix={"SPMS": 1}, treatments=(name,))
    sources = config.sources()
    rows = sources[sources["parameter"].str.startswith(f"arms.{name}.")]
    assert len(rows) >= 1
    assert not (rows["source"] == "user").any()


def test_lipoic_acid_prevents_the_published_share_of_loss():
    """Spain 2017 prints 68 %: -0.21 against -0.65 % a year."""
    assert treatment("lipoic_acid").atrophy_slowing == pytest.approx(0.68, abs=0.005)


def test_disagreements_name_who_claims_what():
    table = literature_table()
    assert table.groupby("switch")["is_default"].sum().eq(1).all()
    assert table.groupby("switch").size().min() == 2
    assert (table["who"].str.len() > 5).all()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"treatments": "placebo"}, "`treatments` must be a tuple, such as ('placebo',), got"),
        ({"measures": "thalamus_ml"}, "`measures` must be a tuple, such as ('thalamus_ml',), got"),
        ({"weeks": 52}, "`weeks` must be a tuple, such as (52,), got 52"),
        ({"edss": (6.0, 3.0)}, "`edss` must be (low, high) with low < high, got (6.0, 3.0)"),
        ({"age": 40.0}, "`age` must be (low, high) with low < high, got 40.0"),
        ({"duration": (1.0, 2.0, 3.0)}, "`duration` must be (low, high) with low < high, got"),
    ],
)
def test_single_values_and_turned_ranges_are_explained(asked, message):
    with pytest.raises(DesignError, match=re.escape(message)):
        preset("review").for_study(**asked)
