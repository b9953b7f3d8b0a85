"""Margins and magnitudes that are used by more than one check, each with its reason."""

from __future__ import annotations

import math

__all__ = [
    "GOOD_ICC",
    "STABLE_FOCI_PER_YEAR",
    "STABLE_PREVALENCE_PER_YEAR",
    "STABLE_TISSUE_PCT_PER_YEAR",
    "THREEFOLD_TO_TENFOLD",
    "TWOFOLD_OR_MORE",
    "WEAK_CORRELATION",
]

WEAK_CORRELATION = 0.3
"""Correlation called weak or poor. Cohen's medium correlation: nine percent of variance."""

STABLE_TISSUE_PCT_PER_YEAR = 0.5
"""Percent a year of a spectroscopic or magnetisation-transfer measure called unchanged, or of its
difference between arms. Scan and rescan differ by one percent (magnetisation transfer) to several
percent (spectroscopy), so that the cited studies, of ten to sixty patients, could not have seen
less. Brain MTR falls by more than that in SPMS, NAWM and lesion MTR by somewhat more; NAA hardly
moves, and only a drug that raised or lowered it outright could break its margin."""

STABLE_PREVALENCE_PER_YEAR = 0.02
"""Share of patients with leptomeningeal enhancement gained or lost in a year while it is called
stable. Over the longest reported follow-up of 5.5 years that is 11 points, less than the 14 points
between the phenotypes (Absinta 2015)."""

STABLE_FOCI_PER_YEAR = 0.05
"""Leptomeningeal foci gained or lost in a year while they are called stable. Over 5.5 years less
than a third of one focus, the smallest change that can be counted being one."""

GOOD_ICC = 0.75
"""Intraclass correlation above which a measure is called reproducible: good by the usual reading
(below 0.5 poor, to 0.75 moderate, to 0.9 good)."""

THREEFOLD_TO_TENFOLD = (math.log(3), math.log(10))
"""Log ratio where "over threefold" is printed; more than tenfold would have been said so."""

TWOFOLD_OR_MORE = (math.log(2), math.log(1000))
"""Log ratio of sample sizes called widely different: at least twofold. The upper end stands for
none."""
