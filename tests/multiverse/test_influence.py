"""Which option moves the result, against loops over all pairs and an analysis of variance."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.multiverse.influence import option_influence, single_changes, variance_shares
from pmsstats.seeds import stream

ROUNDING = 1e-9


def pairs_by_loop(codes: np.ndarray, option: int) -> set[tuple[int, int]]:
    """Definitions that differ in one option alone, the earlier choice first."""
    found = set()
    for i, j in itertools.permutations(range(len(codes)), 2):
        different = np.flatnonzero(codes[i] != codes[j]).tolist()
        if different == [option] and codes[i, option] < codes[j, option]:
            found.add((i, j))
    return found


@st.composite
def grids(draw: st.DrawFn) -> np.ndarray:
    """Some of the combinations of two or three options, in any order."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    every = list(itertools.product(*map(range, sizes)))
    some = draw(st.lists(st.sampled_from(every), min_size=1, unique=True))
    return np.array(some, dtype=np.int64)


@given(grids(), st.integers(0, 2**32 - 1))
def test_pairs_and_changes_are_those_of_a_loop(codes, seed):
    values = stream(seed, "values").normal(size=len(codes))
    values[:: len(codes) + 1] = np.nan
    for option in range(codes.shape[1]):
        found = single_changes(codes, option, values)
        pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
        assert len(pairs) == len(set(pairs))
        assert set(pairs) == pairs_by_loop(codes, option)
        changes = np.array([values[j] - values[i] for i, j in pairs])
        np.testing.assert_array_equal(found.change, changes)
        known = np.abs(changes[~np.isnan(changes)])
        expected = known.mean() if len(known) else np.nan
        assert found.mean() == pytest.approx(expected, nan_ok=True)


def balanced() -> tuple[np.ndarray, np.ndarray]:
    codes = np.array(list(itertools.product(range(3), range(2), range(4))), dtype=np.int64)
    noise = stream(2, "noise").normal(0, 0.3, len(codes))
    return codes, 0.5 * codes[:, 0] - 0.2 * codes[:, 1] + noise


def test_in_a_balanced_grid_variance_is_that_between_choices():
    codes, values = balanced()
    total = ((values - values.mean()) ** 2).sum()
    expected = []
    for k in range(codes.shape[1]):
        means = [values[codes[:, k] == c].mean() for c in codes[:, k]]
        expected.append(((np.array(means) - values.mean()) ** 2).sum() / total)
    np.testing.assert_allclose(variance_shares(codes, values), expected, rtol=ROUNDING)
    assert sum(expected) < 1


def test_additive_effects_explain_everything():
    codes, _ = balanced()
    values = codes @ np.array([1.0, 2.0, 0.0])
    shares = variance_shares(codes, values)
    # Sums of squares about the mean: 24 x 2/3, and 24 x 1/4 x 4.
    np.testing.assert_allclose(shares, [16 / 40, 24 / 40, 0], atol=ROUNDING)


def test_in_an_unbalanced_grid_it_is_what_the_option_adds():
    codes, values = balanced()
    keep = np.arange(len(codes)) % 5 != 0
    codes, values = codes[keep], values[keep]
    frame = pd.DataFrame(codes, columns=list("abc")).astype(str)
    y = values - values.mean()

    def unexplained(columns: list[str]) -> float:
        X = np.column_stack([np.ones(len(y)), pd.get_dummies(frame[columns]).to_numpy(float)])
        return float(((y - X @ (np.linalg.pinv(X) @ y)) ** 2).sum())

    full = unexplained(list("abc"))
    expected = [
        (unexplained([c for c in "abc" if c != left_out]) - full) / (y @ y) for left_out in "abc"
    ]
    np.testing.assert_allclose(variance_shares(codes, values), expected, rtol=1e-6)


def test_missing_values_are_left_out():
    codes, values = balanced()
    values[::7] = np.nan
    known = ~np.isnan(values)
    np.testing.assert_allclose(
        variance_shares(codes, values), variance_shares(codes[known], values[known])
    )


@pytest.mark.parametrize("values", [np.full(24, 0.3), np.full(24, np.nan)])
def test_without_variance_there_is_nothing_to_share(values):
    codes, _ = balanced()
    assert np.isnan(variance_shares(codes, values)).all()


def options_frame(codes: np.ndarray) -> pd.DataFrame:
    columns = {
        f"option_{k}": pd.Categorical.from_codes(
            codes[:, k], categories=[f"choice {c}" for c in range(codes[:, k].max() + 1)]
        )
        for k in range(codes.shape[1])
    }
    return pd.DataFrame({"rule": [f"r{i}" for i in range(len(codes))], **columns})


def test_options_are_ranked_by_mean_absolute_change():
    codes, values = balanced()
    table = option_influence(options_frame(codes), values, np.zeros(len(values)))
    assert table["option"].iloc[0] == "option_0"
    assert table["mean_change_log_hr"].is_monotonic_decreasing
    assert table["n_pairs"].tolist() == [
        len(pairs_by_loop(codes, int(name[-1]))) for name in table["option"]
    ]
    worst = table.set_index("option").loc["option_0"]
    i, j = int(worst["largest_from"][1:]), int(worst["largest_to"][1:])
    assert (i, j) in pairs_by_loop(codes, 0)
    assert worst["largest_change_log_hr"] == values[j] - values[i]
    largest = max(abs(values[b] - values[a]) for a, b in pairs_by_loop(codes, 0))
    assert abs(worst["largest_change_log_hr"]) == largest
    assert (table["note"] == "").all()


def test_missing_combinations_are_said():
    codes, values = balanced()
    values[3] = np.nan
    table = option_influence(options_frame(codes), values, np.zeros(len(values)))
    assert table["note"].unique().tolist() == [
        "unbalanced: 23 of 24 combinations, so variance shares do not add up"
    ]


def test_one_definition_has_no_option():
    table = option_influence(pd.DataFrame({"rule": ["only"]}), np.zeros(1), np.zeros(1))
    assert table.empty


# --- definitions that are no grid ----------------------------------------------------------------


def test_options_with_few_pairs_say_nothing_where_there_is_no_grid():
    # 0 and 1 differ in the first option alone; nobody differs in the second or third alone.
    codes = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 1], [1, 2, 2], [2, 3, 1]])
    log_hr, share = np.array([0.1, 0.4, 0.2, 0.3, 0.0]), np.linspace(0.1, 0.5, 5)
    table = option_influence(options_frame(codes), log_hr, share, is_grid=False)
    assert table["option"].tolist() == ["option_0", "option_1", "option_2"]
    assert table["n_pairs"].tolist() == [1, 0, 0]
    moved = table.filter(regex="change|variance")
    assert moved.shape == (3, 6)
    assert moved.isna().all(axis=None)
    assert (table["largest_from"] == "").all()
    assert table["note"].tolist() == [
        "only 2 of 5 definitions are in a pair that differs in this option alone",
        "no two definitions differ in this option alone",
        "no two definitions differ in this option alone",
    ]
    of_grid = option_influence(options_frame(codes), log_hr, share).iloc[0]
    assert of_grid["mean_change_log_hr"] == pytest.approx(0.3)


@pytest.mark.parametrize(("n_others", "expected"), [(2, 0.3), (3, np.nan)])
def test_half_of_the_definitions_must_be_in_a_pair(n_others, expected):
    others = [[k + 2, k + 1] for k in range(n_others)]
    codes = np.array([[0, 0], [1, 0], *others])
    log_hr = np.concatenate([[0.1, 0.4], np.zeros(n_others)])
    table = option_influence(options_frame(codes), log_hr, log_hr, is_grid=False)
    mean = table.set_index("option").loc["option_0", "mean_change_log_hr"]
    assert mean == pytest.approx(expected, nan_ok=True)


def test_definitions_in_several_pairs_are_counted_once():
    codes = np.array([[0, 0], [1, 0], [2, 0], [0, 1]])
    found = single_changes(codes, 0, np.array([0.0, 1.0, 3.0, 9.0]))
    assert (len(found.change), found.n_paired()) == (3, 3)
    assert single_changes(codes, 0, np.array([0.0, np.nan, 3.0, 9.0])).n_paired() == 2
