"""Effects as differences and as slowing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.errors import DesignError
from pmsstats.power.effects import resolve_effect

CASES = [  # effect, slowing, rate, ageing, expected difference, why
    (0.3, None, None, None, 0.3, "given as it is"),
    (None, 0.5, -0.6, None, 0.3, "half of a loss of 0.6 is 0.3 less loss"),
    (None, 0.5, -0.6, -0.2, 0.2, "half of the excess of 0.4"),
    (None, 1.0, -0.6, -0.2, 0.4, "no disease, but ageing"),
    (None, 0.25, 2.0, 0.5, -0.375, "a rising measure rises less"),
    (None, 0.0, -0.6, None, 0.0, "no treatment effect"),
]
BAD = [
    ({}, "either `effect`"),
    ({"effect": 1.0, "slowing": 0.5, "rate": 1.0}, "either `effect`"),
    ({"slowing": 50, "rate": -0.6}, "write 0.5"),
    ({"slowing": -0.1, "rate": -0.6}, "hastens"),
    ({"slowing": 0.5}, "`rate` was not given"),
    ({"slowing": 0.5, "rate": 0.0}, "nothing can be slowed"),
    ({"slowing": 0.5, "rate": -0.2, "ageing_rate": -0.3}, "no excess"),
    ({"slowing": 0.5, "rate": -0.2, "ageing_rate": -0.2}, "no excess"),
    ({"effect": 0.1, "ageing_rate": -0.2}, "needs `rate`"),
    ({"effect": float("nan")}, "`effect`"),
]


@pytest.mark.parametrize(("effect", "slowing", "rate", "ageing", "expected", "why"), CASES)
def test_difference(effect, slowing, rate, ageing, expected, why):
    found = resolve_effect(effect, slowing, rate, ageing)
    assert found.value == pytest.approx(expected, abs=1e-15), why


@pytest.mark.parametrize(("arguments", "words"), BAD)
def test_refused(arguments, words):
    with pytest.raises(DesignError, match=words):
        resolve_effect(**arguments)


def test_words_name_what_is_slowed():
    assert resolve_effect(None, 0.5, -0.6).words == "50 % slowing of the total change"
    excess = resolve_effect(None, 0.3, -0.6, -0.2)
    assert excess.words == "30 % slowing of the excess over healthy ageing"


@given(slowing=st.floats(0, 1), rate=st.floats(-5, -0.1), share=st.floats(0, 0.9))
def test_slowing_comes_back(slowing, rate, share):
    found = resolve_effect(None, slowing, rate, share * rate)
    assert found.slowing_of(found.value) == pytest.approx(slowing, abs=1e-12)
