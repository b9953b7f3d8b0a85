"""Designs, claims and verdicts: what is refused, and hand-worked intervals."""

from __future__ import annotations

import pytest

from pmsstats.errors import DesignError
from pmsstats.validation import Check, Claim, StudyDesign
from pmsstats.validation.analyses import Difference, Rate, TreatmentEffect
from pmsstats.validation.verdicts import claim_verdict, worst_verdict

ANALYSIS = Difference(measure="thalamus_ml", groups=("PPMS",), versus=("HC",))
DESIGN = StudyDesign(groups=(("PPMS", 26), ("HC", 20)))

JUDGED = [
    ("lower", None, None, (-0.5, -0.1), "reproduced"),
    ("lower", None, None, (-0.5, 0.1), "not reproduced"),
    ("lower", None, None, (0.1, 0.5), "contradicted"),
    ("higher", None, None, (0.1, 0.5), "reproduced"),
    ("higher", None, None, (-0.5, -0.1), "contradicted"),
    ("lower", None, (-1.0, -0.6), (-0.5, -0.1), "not reproduced"),  # right sign, too small
    ("lower", None, (-1.0, -0.4), (-0.5, -0.1), "reproduced"),  # the intervals meet
    ("higher", None, (0.4, 1.0), (0.1, 0.5), "reproduced"),
    ("higher", None, (0.0, 0.05), (0.1, 0.5), "not reproduced"),
    ("none", 0.2, None, (-0.1, 0.1), "reproduced"),
    ("none", 0.2, None, (-0.1, 0.3), "not reproduced"),  # may lie beyond the margin
    ("none", 0.2, None, (0.3, 0.5), "contradicted"),
    ("none", 0.2, None, (-0.5, -0.3), "contradicted"),
    ("lower", None, None, (float("nan"), float("nan")), "not possible"),
]


@pytest.mark.parametrize(("expect", "margin", "published", "interval", "verdict"), JUDGED)
def test_verdict_of_an_interval(expect, margin, published, interval, verdict):
    claim = Claim(analysis=ANALYSIS, expect=expect, margin=margin, published=published)
    assert claim_verdict(claim, *interval) == verdict


def test_finding_has_the_worst_verdict_of_its_claims():
    assert worst_verdict(["not reproduced", "reproduced"]) == "not reproduced"
    assert worst_verdict([]) == "not checked"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"groups": (("PPMSS", 26),)}, "Did you mean 'PPMS'"),
        ({"groups": (("PPMS", 1),)}, "at least 2 subjects"),
        ({"groups": (("PPMS", 5), ("PPMS", 5))}, "twice"),
        ({"groups": ()}, "at least one phenotype"),
        ({"groups": (("PPMS", 5),), "years": (0.0, 1.0, 0.5)}, "ascend from 0"),
        ({"groups": (("PPMS", 5),), "years": (0.5, 1.0)}, "ascend from 0"),
        ({"groups": (("PPMS", 5),), "age": (50.0, 20.0)}, "`age` must be"),
        ({"groups": (("PPMS", 5),), "sites": 0}, "`sites` must be"),
    ],
)
def test_impossible_designs_are_refused(fields, message):
    with pytest.raises(DesignError, match=message):
        StudyDesign(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"expect": "none"}, "`margin` says which truths"),
        ({"expect": "lower", "margin": 0.1}, "`margin` says which truths"),
        ({"expect": "none", "margin": -0.1}, "above 0"),
        ({"expect": "lowr"}, "Did you mean 'lower'"),
        ({"expect": "lower", "published": (1.0, 0.0)}, "`published` must be"),
    ],
)
def test_claims_that_cannot_be_judged_are_refused(fields, message):
    with pytest.raises(DesignError, match=message):
        Claim(analysis=ANALYSIS, **fields)


@pytest.mark.parametrize(
    ("analysis", "message"),
    [
        (Difference(measure="edss", groups=("SPMS",), versus=("HC",)), "no group SPMS"),
        (Rate(measure="edss", groups=("PPMS",)), "reads follow-up"),
        (TreatmentEffect(measure="edss", groups=("PPMS",)), "reads follow-up"),
    ],
)
def test_designs_must_carry_their_claims(analysis, message):
    with pytest.raises(DesignError, match=message):
        Check(finding="x", claims=(Claim(analysis=analysis, expect="lower"),), design=DESIGN)


def test_trials_need_arms():
    design = StudyDesign(groups=(("PPMS", 26),), years=(0.0, 1.0))
    analysis = TreatmentEffect(measure="edss", groups=("PPMS",))
    with pytest.raises(DesignError, match="needs 2 arm"):
        Check(finding="x", claims=(Claim(analysis=analysis, expect="lower"),), design=design)


def test_check_without_claims_is_refused():
    with pytest.raises(DesignError, match="has no claim"):
        Check(finding="x", claims=(), design=DESIGN)
