"""Requests for joint models: what is accepted, in which spelling, and what is refused."""

from __future__ import annotations

import re

import pytest

from pmsstats.errors import DesignError, FormulaError
from pmsstats.models.joint.spec import JointSpec

FORMULA = "nfl ~ year * arm + (year | subject_id)"
SECOND = "cord ~ year + (1 | subject_id)"

BAD = {
    "no formula": ({"longitudinal": ()}, "`longitudinal` must be a formula"),
    "two groups": (
        {"longitudinal": (FORMULA, "cord ~ year + (1 | site)")},
        "one grouping column",
    ),
    "nested groups": ({"longitudinal": "nfl ~ year + (1 | site:subject_id)"}, "one grouping"),
    "marker twice": ({"longitudinal": (FORMULA, FORMULA)}, "models 'nfl' more than once"),
    "unknown association": ({"association": "current value"}, "Did you mean 'value'?"),
    "association twice": ({"association": "value + value"}, "each term once"),
    "none and more": ({"association": "none + value"}, "'none' alone"),
    "wrong number": ({"association": ("value", "slope")}, "one such text per marker (1)"),
    "no time": (
        {"longitudinal": "nfl ~ arm + (1 | subject_id)", "association": "slope"},
        "does not change with `time` ('year')",
    ),
    "lag without lagged": ({"lag": 1.0}, "go together"),
    "lagged without lag": ({"association": "lagged"}, "go together"),
    "negative lag": ({"association": "lagged", "lag": -1.0}, "`lag` must be a positive time"),
    "interaction of nothing": (
        {"association": "none", "interaction": "arm"},
        "needs an association",
    ),
    "half an interval": ({"lower": "lower"}, "`lower` and `upper` go together"),
    "interval and cause": (
        {"lower": "lower", "upper": "upper", "cause": "cause"},
        "`cause` is not supported together with `lower`",
    ),
    "time in hazard": ({"hazard": "arm + year"}, "`hazard` names 'year'"),
    "baseline": ({"baseline": "splines"}, "must be one of weibull, piecewise, bspline"),
    "n_intervals": ({"n_intervals": 0}, "`n_intervals` must be"),
    "cuts of a Weibull": ({"baseline": "weibull", "cuts": (1.0,)}, "not a Weibull"),
    "descending cuts": ({"cuts": (2.0, 1.0)}, "ascending times"),
    "cut at 0": ({"cuts": (0.0, 1.0)}, "positive, ascending"),
    "n_nodes": ({"n_nodes": 1}, "`n_nodes` must be a whole number from 2"),
    "conf_level": ({"conf_level": 95.0}, "`conf_level` must be"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_are_refused(name: str) -> None:
    options, message = BAD[name]
    with pytest.raises(DesignError, match=re.escape(message)):
        JointSpec(**({"longitudinal": FORMULA} | options))


def test_uncorrelated_random_effects_are_refused() -> None:
    for random in ("(year || subject_id)", "(1 | subject_id) + (0 + year | subject_id)"):
        with pytest.raises(FormulaError, match="all correlated"):
            JointSpec(longitudinal=f"nfl ~ year + {random}")


def test_spellings_of_associations_mean_the_same() -> None:
    one = JointSpec(longitudinal=(FORMULA, SECOND), association="Value+ random effects")
    each = JointSpec(
        longitudinal=(FORMULA, SECOND),
        association=(("value", "random_effects"), "value + random_effects"),
    )
    assert one == each
    assert hash(one) == hash(each)
    assert one.terms == (("value", "random_effects"),) * 2


def test_what_a_request_knows_of_itself() -> None:
    spec = JointSpec(
        longitudinal=(FORMULA, SECOND), hazard="log(age)", interaction="arm", strata="site"
    )
    assert spec.subject == "subject_id"
    assert spec.hazard_variables == ("age", "arm", "site")
    assert [marker.outcome for marker in spec.markers] == ["nfl", "cord"]
    assert "[value; value]" in spec.formula()
    assert not spec.is_interval_censored
