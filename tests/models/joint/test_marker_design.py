"""Value, slope and area of a marker's columns at any time, against calculus."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from joint_tables import simulate

from pmsstats.models.joint.data import JointData, prepare_joint
from pmsstats.models.joint.marker_design import MarkerDesign, build_marker_design
from pmsstats.models.joint.spec import JointSpec

ROUNDING = 1e-8  # relative: differences over 1e-5 of the follow-up
ACROSS_KNOTS = 1e-6  # relative: splines bend within a difference or a cell

POLYNOMIAL = "nfl ~ year + {year**2} + {year**3}:arm + (year | subject_id)"
SPLINE = "nfl ~ ns(year, df=3) * arm + (ns(year, df=2) | subject_id)"


@cache
def designed(formula: str) -> tuple[MarkerDesign, JointData]:
    """Build the design of a marker whose slope and area are asked for."""
    visits, subjects = simulate(80, seed=4)
    spec = JointSpec(longitudinal=formula, association="slope + area")
    data = prepare_joint(visits, subjects, spec)
    return build_marker_design(spec, 0, data, end=float(data.events.end.max())), data


def test_columns_of_polynomials_and_their_calculus() -> None:
    design, data = designed(POLYNOMIAL)
    t = np.array([0.0, 1e-4, 0.3, 2.0, 4.9])
    who = np.array([0, 1, 1, 0, 1])
    active = (data.covariates["arm"].iloc[who] == "active").to_numpy()
    value = design.value(data.covariates, who, t).fixed
    slope = design.slope(data.covariates, who, t).fixed
    area = design.area(data.covariates, who, t).fixed
    names = design.mixed.fixed_names
    cubic = next(j for j, name in enumerate(names) if "active" in name)
    for power, j in ((0, 0), (1, names.index("year")), (3, cubic)):
        on = active if power == 3 else np.ones(5)
        np.testing.assert_allclose(value[:, j], on * t**power, rtol=ROUNDING)
        derivative = on * power * t ** max(power - 1, 0)
        np.testing.assert_allclose(slope[:, j], derivative, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(area[:, j], on * t ** (power + 1) / (power + 1), rtol=ROUNDING)
    assert design.n_area_cells == 1


@pytest.mark.parametrize("part", ["fixed", "random"])
def test_slopes_and_areas_of_splines_belong_to_their_values(part: str) -> None:
    design, data = designed(SPLINE)
    stop = np.linspace(0.1, 4.8, 40)
    who = np.resize([0, 3, 5], 40)
    x, w = np.polynomial.legendre.leggauss(400)
    inside = (stop[:, None] * (x + 1) / 2).ravel()
    many = np.repeat(who, len(x))
    area = getattr(design.value(data.covariates, many, inside), part).reshape(40, len(x), -1)
    area = np.einsum("k,nkc->nc", w / 2, area) * stop[:, None]
    found = getattr(design.area(data.covariates, who, stop), part)
    np.testing.assert_allclose(found, area, atol=ACROSS_KNOTS * np.abs(area).max())
    slopes = getattr(design.slope(data.covariates, many, inside), part).reshape(40, len(x), -1)
    rise = np.einsum("k,nkc->nc", w / 2, slopes) * stop[:, None]
    ends = getattr(design.value(data.covariates, who, stop), part)
    starts = getattr(design.value(data.covariates, who, 0 * stop), part)
    np.testing.assert_allclose(rise, ends - starts, atol=1e-4 * np.abs(ends).max())
