"""Numbers that know their source. Witness: the definitions, by hand."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from pmsstats import evidence
from pmsstats.errors import DesignError, SchemaError
from synthetic.values import PerPhenotype, Sourced, assumed, derived, published, worked_out


def test_a_sourced_number_is_a_float_with_a_source():
    number = published("azevedo2018_thalamus_rate_hc")
    assert number == -0.28
    assert number * 2 == -0.56
    assert number.record_ids == ("azevedo2018_thalamus_rate_hc",)
    assert type(number * 2) is float


def _through_pickle(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301 (our own bytes; workers do the same)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, _through_pickle])
def test_source_survives_copies(duplicate):
    number = Sourced(1.5, "azevedo2018_thalamus_rate_hc", "why not")
    twin = duplicate(number)
    assert (float(twin), twin.source, twin.why) == (1.5, number.source, "why not")


def test_an_assumption_rests_on_no_record():
    assert assumed(3.0).record_ids == ()


def test_a_derived_number_lists_all_its_records():
    number = derived(1.0, "ratio", "azevedo2018_thalamus_rate_hc", "azevedo2018_thalamus_rate_ms")
    assert number.record_ids == ("azevedo2018_thalamus_rate_hc", "azevedo2018_thalamus_rate_ms")


def test_unknown_records_are_refused_with_a_suggestion():
    with pytest.raises(SchemaError, match="Did you mean 'azevedo2018_thalamus_rate_hc'"):
        derived(1.0, "", "azevedo2018_thalamus_rate_h")


def test_a_record_without_the_number_cannot_anchor():
    assert evidence.record("azevedo2018_thalamus_rate_hc").sd is None
    with pytest.raises(DesignError, match="cannot anchor"):
        published("azevedo2018_thalamus_rate_hc", "sd")


NO_ANCHORS = [
    ("koch2017_cdp12_96w_ppms_placebo", "secondary"),
    ("eshaghi2018_dgm_rate_ppms", "memory"),
]
"""Records that nobody has read at their source, and how they were."""


@pytest.mark.parametrize(("record_id", "verified"), NO_ANCHORS)
def test_a_record_not_read_at_its_source_cannot_anchor(record_id, verified):
    found = evidence.record(record_id)
    assert found.value is not None
    assert found.verified == verified
    for take in (published, worked_out, lambda name: derived(1.0, "half of it", name)):
        with pytest.raises(DesignError, match=f"cannot anchor.*verified by '{verified}'"):
            take(record_id)


def test_a_value_that_is_not_printed_is_worked_out():
    """3.9 % of 943 had a relapse in 1904 patient-years."""
    number = worked_out("wolinsky2004_relapses_ppms")
    assert number == pytest.approx(0.039 * 943 / 1904, abs=5e-5)
    assert number.record_ids == ("wolinsky2004_relapses_ppms",)
    assert "1904 patient-years" in number.why
    with pytest.raises(DesignError, match=r"not printed but worked out.*worked_out\('wolinsky2004"):
        published("wolinsky2004_relapses_ppms")
    with pytest.raises(DesignError, match=r"printed as it is.*published\('azevedo2018"):
        worked_out("azevedo2018_thalamus_rate_hc")


def test_table_by_phenotype_is_hashable_and_ordered():
    one, two = PerPhenotype(SPMS=2.0, HC=1.0), PerPhenotype(HC=1.0, SPMS=2.0)
    assert one == two
    assert hash(one) == hash(two)
    assert list(one) == ["HC", "SPMS"]
    assert repr(one) == "PerPhenotype(HC=1.0, SPMS=2.0)"


def test_take_looks_up_by_position_and_leaves_gaps():
    values = PerPhenotype(HC=1.0, PPMS=6.0).take(np.array([0, 5, 4]))
    np.testing.assert_array_equal(values, [1.0, 6.0, np.nan])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"SPSM": 1.0}, "Did you mean 'SPMS'"),
        ({"SPMS": float("nan")}, "must be finite"),
        ({"SPMS": True}, "must be finite"),
    ],
)
def test_broken_tables_are_refused(values, message):
    with pytest.raises(DesignError, match=message):
        PerPhenotype(**values)
