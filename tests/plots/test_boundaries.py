"""Figure of group-sequential bounds."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pmsstats.plots.boundaries import plot_boundaries

LOOKS = pd.DataFrame(
    {
        "information": [0.5, 0.8, 1.0],
        "efficacy_z": [2.96, 2.3, 2.0],
        "futility_z": [-np.inf, 0.9, 2.0],
    }
)


@pytest.mark.parametrize(("futility", "n_lines"), [(True, 3), (False, 2)])
def test_bounds_are_drawn_where_there_are_some(futility: bool, n_lines: int) -> None:
    data = LOOKS if futility else LOOKS.assign(futility_z=-np.inf)
    _, ax = plt.subplots()
    assert plot_boundaries(data, ax=ax) is ax
    assert len(ax.lines) == n_lines  # zero counts as one
    upper = ax.lines[0].get_xydata()
    np.testing.assert_allclose(upper, LOOKS[["information", "efficacy_z"]])
    lower = [line.get_xydata() for line in ax.lines if line.get_marker() == "s"]
    assert [len(points) for points in lower] == ([2] if futility else [])
    assert "Information" in ax.get_xlabel()
    plt.close(ax.figure)
