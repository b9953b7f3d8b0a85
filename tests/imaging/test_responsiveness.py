"""Responsiveness: closed forms, an explicit slow bootstrap, coverage, properties, bad input."""

from __future__ import annotations

from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import assert_result_contract
from scipy import stats

from pmsstats.errors import DesignError, FormulaError
from pmsstats.imaging.paired_bootstrap import (
    STATISTICS,
    ChangeData,
    acceleration,
    bca_interval,
    change_statistics,
    draw_counts,
    jackknife,
    percentile_interval,
    resample,
)
from pmsstats.imaging.responsiveness import (
    ResponsivenessResult,
    ResponsivenessSpec,
    compare_responsiveness,
)
from pmsstats.seeds import stream

MEASURES = ["thalamus_ml", "sdmt", "edss"]
SIGNS = {"thalamus_ml": -1, "sdmt": -1, "edss": 1}
ROUNDING = 1e-10


def visits(n: int = 80, seed: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"subject_id": np.repeat(np.arange(n), 3), "year": [0.0, 1.0, 2.0] * n})
    ill = np.repeat(np.arange(n) % 4 > 0, 3)
    year = frame["year"].to_numpy()
    return frame.assign(
        phenotype=np.where(ill, "SPMS", "HC"),
        thalamus_ml=np.repeat(rng.normal(15, 1, n), 3)
        - 0.2 * year * ill
        + rng.normal(0, 0.2, 3 * n),
        sdmt=np.repeat(rng.normal(45, 9, n), 3) - 1.0 * year * ill + rng.normal(0, 3, 3 * n),
        edss=np.repeat(rng.normal(5, 1, n), 3) + 0.2 * year * ill + rng.normal(0, 0.6, 3 * n),
    )


@cache
def compared() -> ResponsivenessResult:
    return compare_responsiveness(visits(), MEASURES, time="year", between=(0, 2), seed=1)


def wide(frame: pd.DataFrame, when: float) -> pd.DataFrame:
    return frame[frame["year"] == when].set_index("subject_id")


def random_changes(n: int = 25, seed: int = 0, missing: float = 0.1) -> ChangeData:
    rng = np.random.default_rng(seed)
    change, baseline = rng.normal(0.4, 1, (n, 3)), rng.normal(0, 2, (n, 3))
    gone = rng.random((n, 3)) < missing
    return ChangeData(
        change=np.where(gone, np.nan, change),
        baseline=np.where(gone, np.nan, baseline),
        stable=np.arange(n) % 3 == 0,
    )


# --- closed forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", MEASURES)
def test_statistics_are_means_over_sds(measure):
    frame = visits()
    change = SIGNS[measure] * (wide(frame, 2)[measure] - wide(frame, 0)[measure])
    row = compared().table().set_index("term").loc[measure]
    assert row["srm"] == pytest.approx(change.mean() / change.std())
    assert row["effect_size"] == pytest.approx(change.mean() / wide(frame, 0)[measure].std())
    assert row["mean_change"] == pytest.approx(SIGNS[measure] * change.mean())
    assert row["sd_change"] == pytest.approx(change.std())


@pytest.mark.parametrize("measure", MEASURES)
def test_statistics_against_a_stable_group(measure):
    frame = visits()
    found = compare_responsiveness(
        frame, MEASURES, time="year", between=(0, 2), group="phenotype", stable="HC", seed=1,
        rank_by="standardised_difference",
    ).table().set_index("term")  # fmt: skip
    change = SIGNS[measure] * (wide(frame, 2)[measure] - wide(frame, 0)[measure])
    group = wide(frame, 0)["phenotype"]
    ill, well = change[group == "SPMS"], change[group == "HC"]
    assert found.loc[measure, "srm"] == pytest.approx(ill.mean() / ill.std())
    assert found.loc[measure, "guyatt"] == pytest.approx(ill.mean() / well.std())
    t = stats.ttest_ind(ill, well).statistic
    expected = t * np.sqrt(1 / len(ill) + 1 / len(well))
    assert found.loc[measure, "standardised_difference"] == pytest.approx(expected)


def test_slopes_are_least_squares_lines():
    frame = visits().drop(index=[1, 5, 6, 7, 8])
    found = compare_responsiveness(frame, ["sdmt"], time="year", method="slope", seed=1)
    slopes = [
        -np.polyfit(rows["year"], rows["sdmt"], 1)[0] for _, rows in frame.groupby("subject_id")
    ]
    assert found.table()["srm"].iloc[0] == pytest.approx(np.mean(slopes) / np.std(slopes, ddof=1))
    assert found.n_subjects == len(slopes) == 79


def test_measures_that_are_changes_already():
    frame = visits().assign(pbvc_pct=lambda f: np.where(f["year"] == 0, np.nan, -0.3 * f["year"]))
    rng = np.random.default_rng(1)
    frame["pbvc_pct"] += rng.normal(0, 0.5, len(frame))
    found = compare_responsiveness(frame, ["pbvc_pct"], time="year", between=(0, 2), seed=1)
    values = -wide(frame, 2)["pbvc_pct"]
    assert found.table()["srm"].iloc[0] == pytest.approx(values.mean() / values.std())
    assert np.isnan(found.table()["effect_size"].iloc[0])
    slope = compare_responsiveness(frame, ["pbvc_pct"], time="year", method="slope", seed=1)
    one, two = (-wide(frame, when)["pbvc_pct"] for when in (1, 2))
    through_origin = (one + 2 * two) / 5  # sum t y over sum t squared, at one and two years
    assert slope.table()["srm"].iloc[0] == pytest.approx(
        through_origin.mean() / through_origin.std()
    )


def test_large_samples_agree_with_the_delta_method():
    n, srm = 4000, 0.8
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"subject_id": np.repeat(np.arange(n), 2), "year": [0, 1] * n})
    change = srm + rng.normal(size=n)
    frame["edss"] = np.column_stack([np.zeros(n) + rng.normal(size=n), np.zeros(n)]).ravel()
    frame.loc[frame["year"] == 1, "edss"] = (
        frame.loc[frame["year"] == 0, "edss"].to_numpy() + change
    )
    found = compare_responsiveness(frame, ["edss"], time="year", between=(0, 1), seed=5)
    error = np.sqrt((1 + srm**2 / 2) / n)
    assert found.table()["srm_std_error"].iloc[0] == pytest.approx(
        error, rel=0.08
    )  # 2,000 replicates


# --- an explicit bootstrap ------------------------------------------------------------------------


def slow_statistics(change: np.ndarray, baseline: np.ndarray, stable: np.ndarray) -> np.ndarray:
    """The four statistics of one sample of one measure, by numpy's own mean and SD."""
    seen = ~np.isnan(change)
    ill, well = change[seen & ~stable], change[seen & stable]
    pooled = ((len(ill) - 1) * ill.var(ddof=1) + (len(well) - 1) * well.var(ddof=1)) / (
        len(ill) + len(well) - 2
    )
    return np.array(
        [
            ill.mean() / ill.std(ddof=1),
            ill.mean() / baseline[seen & ~stable].std(ddof=1),
            ill.mean() / well.std(ddof=1),
            (ill.mean() - well.mean()) / np.sqrt(pooled),
        ]
    )


def test_replicates_equal_an_explicit_loop_over_the_same_draws():
    data, replicates = random_changes(30), 300
    fast = resample(data, np.random.default_rng(7), replicates)
    rng, groups = np.random.default_rng(7), data.strata
    slow = np.empty((4, replicates, 3))
    for start in range(0, replicates, 250):
        size = min(250, replicates - start)
        drawn = [rng.integers(0, len(g), size=(size, len(g))) for g in groups]
        for b in range(size):
            rows = np.concatenate([g[i[b]] for g, i in zip(groups, drawn, strict=True)])
            for j in range(3):
                slow[:, start + b, j] = slow_statistics(
                    data.change[rows, j], data.baseline[rows, j], data.stable[rows]
                )
    assert np.allclose(fast, slow, rtol=ROUNDING, atol=ROUNDING)


def test_percentile_intervals_of_paired_differences():
    frame, n = visits(), 80
    found = compare_responsiveness(
        frame,
        MEASURES,
        time="year",
        between=(0, 2),
        interval="percentile",
        n_replicates=400,
        seed=9,
    )
    rng = stream(9, "responsiveness")
    drawn = np.concatenate([rng.integers(0, n, size=(size, n)) for size in (250, 150)])
    srm = {}
    for name in MEASURES:
        change = SIGNS[name] * (wide(frame, 2)[name] - wide(frame, 0)[name]).to_numpy()
        srm[name] = np.array([change[i].mean() / change[i].std(ddof=1) for i in drawn])
    for row in found.differences().to_dict("records"):
        a, b = row["term"].split(" - ")
        low, high = np.quantile(srm[a] - srm[b], [0.025, 0.975])
        assert [row["conf_low"], row["conf_high"]] == pytest.approx([low, high], rel=1e-8)
        assert row["std_error"] == pytest.approx((srm[a] - srm[b]).std(ddof=1), rel=1e-8)
    first = np.argmax(np.column_stack([srm[m] for m in MEASURES]), axis=1)
    shares = dict(zip(MEASURES, np.bincount(first, minlength=3) / 400, strict=True))
    assert found.table().set_index("term")["p_best"].to_dict() == pytest.approx(shares)


def test_jackknife_leaves_one_subject_out():
    data = random_changes(12, missing=0.0)
    fast = jackknife(data)
    for i in range(12):
        keep = np.arange(12) != i
        for j in range(3):
            expected = slow_statistics(
                data.change[keep, j], data.baseline[keep, j], data.stable[keep]
            )
            assert fast[:, i, j] == pytest.approx(expected)


def test_bca_interval_equals_that_of_scipy():
    rng = np.random.default_rng(11)
    values = rng.exponential(size=40)
    data = ChangeData(
        change=values[:, None], baseline=values[:, None], stable=np.zeros(40, dtype=bool)
    )
    drawn = rng.integers(0, 40, size=(999, 40))
    replicates = np.array([values[i].mean() / values[i].std(ddof=1) for i in drawn])
    theta = values.mean() / values.std(ddof=1)
    left = np.array([np.delete(values, i) for i in range(40)])
    u = left.mean(axis=1) / left.std(axis=1, ddof=1)
    u = u.mean() - u
    a = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
    assert acceleration(jackknife(data)[0], data)[0] == pytest.approx(a)
    z0 = stats.norm.ppf(np.mean(replicates < theta))
    z = stats.norm.ppf([0.025, 0.975])
    shares = stats.norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z)))
    found = bca_interval(replicates[:, None], np.array([theta]), np.array([a]), 0.95)
    assert [found[0][0], found[1][0]] == pytest.approx(np.quantile(replicates, shares).tolist())


def test_missing_replicates_are_left_out_of_quantiles():
    values = np.array([[1.0], [np.nan], [2.0], [3.0]])
    low, high = percentile_interval(values, 0.5)
    assert [low[0], high[0]] == pytest.approx([1.5, 2.5])


def test_counts_stay_within_groups():
    data = random_changes(20)
    counts = draw_counts(data, np.random.default_rng(0), 50)
    assert (counts[:, data.stable].sum(axis=1) == data.stable.sum()).all()
    assert (counts.sum(axis=1) == 20).all()


def test_constant_changes_have_no_statistic():
    data = ChangeData(
        change=np.full((9, 1), 0.3), baseline=np.ones((9, 1)), stable=np.zeros(9, dtype=bool)
    )
    assert np.isnan(change_statistics(np.ones((1, 9)), data)).all()


# --- coverage -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_intervals_cover():
    rng, n, replicates = np.random.default_rng(6), 60, 500
    truth, covered = np.array([0.8, 0.5]), np.zeros(3)
    none = np.zeros(n, dtype=bool)
    for b in range(replicates):
        shared = rng.normal(size=n)
        noise = 0.6 * shared[:, None] + 0.8 * rng.normal(size=(n, 2))
        data = ChangeData(change=truth + noise, baseline=noise, stable=none)
        made = resample(data, np.random.default_rng(b), 999)[0]
        left, theta = jackknife(data)[0], change_statistics(np.ones((1, n)), data)[0, 0]
        weights = np.array([[1, 0], [0, 1], [1, -1]]).T
        low, high = bca_interval(
            made @ weights, theta @ weights, acceleration(left @ weights, data), 0.95
        )
        covered += (low <= truth @ weights) & (truth @ weights <= high)
    assert (np.abs(covered / replicates - 0.95) < 4 * np.sqrt(0.95 * 0.05 / replicates)).all()


# --- properties -----------------------------------------------------------------------------------


def test_result_contract():
    assert_result_contract(compared())
    table = compared().table()
    assert table["srm"].is_monotonic_decreasing
    assert table["p_best"].sum() == pytest.approx(1)
    assert table["relative_efficiency"].iloc[1] == pytest.approx(
        (table["srm"].iloc[1] / table["srm"].iloc[0]) ** 2
    )
    assert table["difference"].iloc[0] == 0


@pytest.mark.parametrize("rank_by", ["srm", "effect_size", "guyatt", "standardised_difference"])
def test_relative_efficiency_is_of_numbers_of_patients_whatever_ranks(rank_by):
    """Patients needed: 1 / srm^2 in one group, 1 / d^2 in two, up to one factor for all."""
    frame = visits()
    table = compare_responsiveness(
        frame, MEASURES, time="year", between=(0, 2), group="phenotype", stable="HC", seed=1,
        rank_by=rank_by, n_replicates=100,
    ).table().set_index("term")  # fmt: skip
    well = wide(frame, 0)["phenotype"] == "HC"
    needed = {}
    for name in MEASURES:
        change = wide(frame, 2)[name] - wide(frame, 0)[name]
        mean, variance = change[~well].mean(), change[~well].var()
        test = stats.ttest_ind(change[~well], change[well])
        sizes = 1 / (~well).sum() + 1 / well.sum()
        needed[name] = {
            "srm": variance / mean**2,
            "standardised_difference": 1 / (test.statistic**2 * sizes),
        }
    by = {"standardised_difference": "standardised_difference"}.get(rank_by, "srm")
    best = table.index[0]
    for name in MEASURES:
        expected = needed[best][by] / needed[name][by]
        assert table.loc[name, "relative_efficiency"] == pytest.approx(expected)


def test_relative_efficiency_is_missing_where_change_goes_the_other_way():
    found = compare_responsiveness(
        visits(), MEASURES, time="year", between=(0, 2), direction="improvement", seed=1,
        n_replicates=100,
    )  # fmt: skip
    assert found.table()["relative_efficiency"].isna().all()


def test_same_seed_same_answer_and_others_differ():
    frame = visits()
    again = compare_responsiveness(frame, MEASURES, time="year", between=(0, 2), seed=1)
    pd.testing.assert_frame_equal(again.table(), compared().table())
    other = compare_responsiveness(frame, MEASURES, time="year", between=(0, 2), seed=2)
    assert other.table()["srm_low"].tolist() != compared().table()["srm_low"].tolist()


@settings(max_examples=15)
@given(st.floats(0.001, 1000), st.floats(-50, 50))
def test_units_and_origins_of_measures_change_nothing(factor, shift):
    frame = visits().assign(sdmt=lambda f: factor * f["sdmt"] + shift)
    found = compare_responsiveness(frame, MEASURES, time="year", between=(0, 2), seed=1).table()
    columns = ["srm", "srm_low", "srm_high", "effect_size", "difference_low", "p_best"]
    expected = compared().table()
    assert found["term"].tolist() == expected["term"].tolist()
    for column in columns:
        assert found[column].to_numpy() == pytest.approx(
            expected[column].to_numpy(), rel=1e-6, abs=1e-9, nan_ok=True
        )


def test_rows_in_another_order_give_the_same_estimates():
    frame = visits().sample(frac=1, random_state=3)
    found = compare_responsiveness(frame, MEASURES, time="year", between=(0, 2), seed=1).table()
    assert found["srm"].to_numpy() == pytest.approx(compared().table()["srm"].to_numpy())


def test_direction_turns_signs():
    found = compare_responsiveness(
        visits(), MEASURES, time="year", between=(0, 2), direction="improvement", seed=1
    )
    assert found.table()["srm"].to_numpy()[::-1] == pytest.approx(
        -compared().table()["srm"].to_numpy()
    )


def test_common_and_pairwise_subjects_are_counted():
    frame = visits()
    frame.loc[(frame["year"] == 2) & (frame["subject_id"] < 10), "sdmt"] = np.nan
    common = compare_responsiveness(frame, MEASURES, time="year", between=(0, 2), seed=1)
    assert set(common.table()["n_subjects"]) == {70}
    assert common.excluded().set_index("reason").loc["lacks the change of some measure", "n"] == 10
    pairwise = compare_responsiveness(
        frame, MEASURES, time="year", between=(0, 2), missing="pairwise", seed=1
    ).table().set_index("term")  # fmt: skip
    assert pairwise.loc["sdmt", ["n_subjects", "n_missing"]].tolist() == [70, 10]
    assert pairwise.loc["edss", ["n_subjects", "n_missing"]].tolist() == [80, 0]
    expected = compared().table().set_index("term")["srm"]
    assert pairwise.loc["edss", "srm"] == pytest.approx(expected["edss"])


def test_figure_shows_the_table():
    _, ax = plt.subplots()
    compared().plot(ax=ax)
    dots = [line.get_xdata()[0] for line in ax.get_lines() if line.get_gid() == "estimate"]
    assert dots == pytest.approx(compared().table()["srm"].tolist())
    plt.close("all")


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "options", "match"),
    [
        ({}, {"between": (0, 5)}, "names 5"),
        ({}, {"between": None}, "first and the last"),
        ({}, {"between": (0, 0)}, "two different"),
        ({"sdmt": "a"}, {}, "column of numbers"),
        ({"sdmt": np.nan}, {}, "at least 5 subjects"),
        ({"year": 0.0}, {"between": (0.0, 2.0)}, "one row at year 0.0|never is that"),
        ({}, {"group": "phenotype"}, "go together"),
        ({}, {"group": "phenotype", "stable": "RRMS"}, "must be a value"),
        ({}, {"rank_by": "guyatt"}, "compares with a group"),
        ({}, {"n_replicates": 10}, "at least 100"),
        ({}, {"missing": "all"}, "missing"),
        ({}, {"time": "yeer"}, "year"),
    ],
)
def test_bad_requests_are_refused(change, options, match):
    given_options = {"time": "year", "between": (0, 2), "seed": 1, **options}
    with pytest.raises((DesignError, FormulaError), match=match):
        compare_responsiveness(visits().assign(**change), MEASURES, **given_options)


SPEC = ResponsivenessSpec(measures=("sdmt",), time="year", between=(0, 2), n_replicates=100)


@pytest.mark.parametrize(
    ("asked", "options", "match"),
    [
        (SPEC, {"rank_by": "effect_size"}, "`rank_by` cannot be given beside the Responsiveness"),
        (SPEC, {"conf_level": 0.95}, "`conf_level` cannot"),
        (SPEC, {"time": "year", "between": (0, 1)}, "`time`, `between` cannot"),
        (["sdmt"], {"rankby": "srm"}, "`rankby` is no option.*'rank_by'"),
    ],
)
def test_options_that_would_be_ignored_are_refused(asked, options, match):
    with pytest.raises(DesignError, match=match):
        compare_responsiveness(visits(), asked, seed=1, **options)


def test_a_spec_and_its_columns_and_options_ask_the_same():
    options = {"time": "year", "between": (0, 2), "n_replicates": 100, "seed": 1}
    spec = compare_responsiveness(visits(), SPEC, seed=1)
    assert compare_responsiveness(visits(), "sdmt", **options).spec == spec.spec == SPEC


def test_unknown_directions_are_refused_and_can_be_given():
    frame = visits().rename(columns={"sdmt": "my_marker"})
    options = {"time": "year", "between": (0, 2), "seed": 1}
    with pytest.raises(DesignError, match="which direction of 'my_marker'"):
        compare_responsiveness(frame, ["my_marker"], **options)
    found = compare_responsiveness(
        frame, ["my_marker"], worsening={"my_marker": "lower"}, **options
    )
    expected = compared().table().set_index("term")["srm"]
    assert found.table()["srm"].iloc[0] == pytest.approx(expected["sdmt"])


def test_subjects_in_two_groups_are_refused():
    frame = visits()
    frame.loc[0, "phenotype"] = "SPMS"
    with pytest.raises(DesignError, match="belongs to one phenotype"):
        compare_responsiveness(
            frame, MEASURES, time="year", between=(0, 2), group="phenotype", stable="HC", seed=1
        )


def test_seed_is_required_and_specs_are_frozen():
    with pytest.raises(TypeError, match="seed"):
        compare_responsiveness(visits(), MEASURES, time="year", between=(0, 2))
    spec = ResponsivenessSpec(measures=("sdmt",), time="year", between=(0, 2))
    assert hash(spec) == hash(ResponsivenessSpec(measures=("sdmt",), time="year", between=(0, 2)))
    assert STATISTICS[0] == spec.rank_by
