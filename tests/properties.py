"""Asserts that many tests share: the result contract, survival curves, covariance matrices."""

from __future__ import annotations

import dataclasses
import json
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pmsstats.results import Result

SYMMETRY_TOLERANCE = 1e-10  # relative to the largest entry: rounding of one matrix product
DEFINITENESS_TOLERANCE = 1e-8  # relative to the largest eigenvalue: rounding of an eigensolver
CURVE_TOLERANCE = 1e-12  # products of at most a few thousand factors below one


def assert_result_contract(result: Result) -> None:
    """Assert what style.md promises of every result."""
    assert dataclasses.is_dataclass(result)
    field = dataclasses.fields(result)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(result, field, None)
    assert isinstance(result.exclusions, tuple)
    _assert_words(result)
    _assert_fresh_table(result)
    _assert_plain(result)
    _assert_axes(result)


def _assert_words(result: Result) -> None:
    """Assert that the headline is one sentence, and that the displays carry it."""
    headline = result.headline()
    assert headline == headline.strip()
    assert "\n" not in headline
    assert headline.endswith(".")
    assert "nan" not in re.findall(r"[a-z]+", headline.lower())
    assert headline in repr(result)
    assert str(result).startswith(headline)
    assert "<table" in result._repr_html_()


def _assert_fresh_table(result: Result) -> None:
    """Assert that changing a table changes nothing in the result."""
    first = result.table()
    assert isinstance(first, pd.DataFrame)
    assert first.columns.is_unique
    untouched = first.copy(deep=True)
    for column in first.columns:
        first.loc[:, column] = first[column].to_numpy()[::-1]
    first.insert(0, "scribble", 1)
    pd.testing.assert_frame_equal(result.table(), untouched)


def _assert_plain(result: Result) -> None:
    """Assert that the dictionary is plain JSON of a named schema, and the same every time."""
    plain = result.to_dict()
    assert re.fullmatch(r"[a-z0-9_]+/\d+", plain["schema"])
    text = json.dumps(plain, allow_nan=False)
    assert json.loads(text) == json.loads(json.dumps(result.to_dict(), allow_nan=False))


def _assert_axes(result: Result) -> None:
    """Assert that a plot lands on the axes that were given, and leaves global settings alone."""
    settings = dict(mpl.rcParams)
    figure, ax = plt.subplots()
    try:
        assert result.plot(ax=ax) is ax
        assert ax.has_data()
        assert ax.get_xlabel() or ax.get_ylabel()
        assert dict(mpl.rcParams) == settings
    finally:
        plt.close(figure)


def assert_survival_curve(curves: pd.DataFrame) -> None:
    """Assert that curves fall from at most one, never rise, and lie within their intervals."""
    assert {"group", "duration", "survival", "conf_low", "conf_high"} <= set(curves.columns)
    assert len(curves)
    for _, curve in curves.groupby("group", observed=True, sort=False):
        survival = curve["survival"].to_numpy(dtype=float)
        assert (np.diff(curve["duration"].to_numpy(dtype=float)) >= 0).all()
        assert (np.diff(survival) <= CURVE_TOLERANCE).all()
        assert ((survival >= -CURVE_TOLERANCE) & (survival <= 1 + CURVE_TOLERANCE)).all()
        bounded = curve.dropna(subset=["conf_low", "conf_high"])
        assert (bounded["conf_low"] <= bounded["survival"] + CURVE_TOLERANCE).all()
        assert (bounded["conf_high"] >= bounded["survival"] - CURVE_TOLERANCE).all()


def assert_covariance_matrix(covariance: np.ndarray) -> None:
    """Assert that a matrix is square, finite, symmetric and positive semidefinite."""
    matrix = np.asarray(covariance, dtype=float)
    assert matrix.ndim == 2
    assert matrix.shape[0] == matrix.shape[1]
    assert np.isfinite(matrix).all()
    scale = max(float(np.abs(matrix).max(initial=0.0)), np.finfo(float).tiny)
    assert np.abs(matrix - matrix.T).max(initial=0.0) <= SYMMETRY_TOLERANCE * scale
    eigenvalues = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    assert eigenvalues.min(initial=0.0) >= -DEFINITENESS_TOLERANCE * scale * len(matrix)
