"""Rules of the EDSS as data: combinations of grades, ambulation scores, conversions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pmsstats.endpoints.scores.edss import EDSS_SCORES
from pmsstats.errors import DesignError, nearest

__all__ = [
    "CONVERTED_GRADES",
    "EDSS_CONVENTIONS",
    "FS_COLUMNS",
    "FS_COMBINATIONS",
    "EDSSConvention",
    "FSCombination",
    "FSConversion",
    "edss_convention",
]

FSConversion = Literal["neurostatus", "none"]

FS_COLUMNS: Mapping[str, int] = MappingProxyType(
    {
        "fs_visual": 6, "fs_brainstem": 5, "fs_pyramidal": 6, "fs_cerebellar": 5, "fs_sensory": 6,
        "fs_bowel_bladder": 6, "fs_cerebral": 5,
    }
)  # fmt: skip
"""The functional systems and the highest grade of each, as they are recorded."""

CONVERTED_GRADES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"fs_visual": (0, 1, 2, 2, 3, 3, 4), "fs_bowel_bladder": (0, 1, 2, 3, 3, 4, 5)}
)
"""What recorded grades 0, 1, ... count as when the EDSS is determined.

Neurostatus definitions 04/10.2; the same in ``adobrasinovic/edss: README.md``,
``atiweb/edss-in-php: src/EdssCalculator.php`` and ``jirimotyl/edss: R/edss_calculator.R``.
"""


@dataclass(frozen=True, kw_only=True)
class FSCombination:
    """Grades of functional systems that give a step.

    Parameters
    ----------
    step : float
        The EDSS step.
    counts : tuple of int
        How many systems must at least have grade 1, 2, 3, 4 and 5 (or 6).
    printed : bool
        Whether the scoring table prints it; if not, it follows from the definitions of the steps
        ("combinations of lesser grades exceeding limits of previous steps").
    """

    step: float
    counts: tuple[int, int, int, int, int]
    printed: bool = True


FS_COMBINATIONS: tuple[FSCombination, ...] = (
    FSCombination(step=5.0, counts=(0, 0, 0, 0, 1)),
    FSCombination(step=5.0, counts=(0, 0, 0, 2, 0)),
    FSCombination(step=5.0, counts=(0, 0, 3, 1, 0), printed=False),
    FSCombination(step=5.0, counts=(0, 0, 6, 0, 0)),
    FSCombination(step=4.5, counts=(0, 0, 1, 1, 0)),
    FSCombination(step=4.5, counts=(0, 1, 0, 1, 0), printed=False),
    FSCombination(step=4.5, counts=(0, 0, 5, 0, 0)),
    FSCombination(step=4.0, counts=(0, 0, 0, 1, 0)),
    FSCombination(step=4.0, counts=(0, 0, 3, 0, 0)),
    FSCombination(step=4.0, counts=(0, 1, 2, 0, 0)),
    FSCombination(step=4.0, counts=(0, 3, 1, 0, 0), printed=False),
    FSCombination(step=4.0, counts=(0, 6, 0, 0, 0)),
    FSCombination(step=3.5, counts=(0, 0, 2, 0, 0)),
    FSCombination(step=3.5, counts=(0, 1, 1, 0, 0)),
    FSCombination(step=3.5, counts=(0, 5, 0, 0, 0)),
    FSCombination(step=3.0, counts=(0, 0, 1, 0, 0)),
    FSCombination(step=3.0, counts=(0, 3, 0, 0, 0)),
    FSCombination(step=2.5, counts=(0, 2, 0, 0, 0)),
    FSCombination(step=2.0, counts=(0, 1, 0, 0, 0)),
    FSCombination(step=1.5, counts=(2, 0, 0, 0, 0)),
    FSCombination(step=1.0, counts=(1, 0, 0, 0, 0)),
    FSCombination(step=0.0, counts=(0, 0, 0, 0, 0)),
)
"""Combinations of (converted) grades, worst step first: the first one that fits gives the step.

The rows are those of the Neurostatus scoring table 04/10.3. They were compared with Kurtzke's
definitions of the steps, and with two public programs, which agree with them throughout:
``atiweb/edss-in-php: src/EdssCalculator.php``, and the calculator whose table
``FS_STEP_ROWS`` marks the rows that the table does not print. Other programs differ where the
table is silent: ``jirimotyl/edss: R/edss_calculator.R`` gives 4.0 for one grade 4 with grades 2
(here 4.5, as Kurtzke's 4.0 asks for "others 0 or 1") and 4.5 for one grade 4 with three or four
grades 3 (here 5.0).
"""


@dataclass(frozen=True, kw_only=True)
class EDSSConvention:
    """How ambulation and mild cerebral signs enter the EDSS.

    Parameters
    ----------
    name : str
        Key in :data:`EDSS_CONVENTIONS`.
    ambulation : tuple of float
        Lowest EDSS step for each ambulation score from 0 on.
    cerebral_one_counts : bool
        Whether cerebral grade 1 counts towards steps 1.0 and 1.5.
    citation : str
        Where it comes from.
    note : str
        What to know.
    """

    name: str
    ambulation: tuple[float, ...]
    cerebral_one_counts: bool
    citation: str
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse steps that are none, or that fall."""
        steps = self.ambulation
        rising = all(a <= b for a, b in itertools.pairwise(steps))
        if not steps or not set(steps) <= set(EDSS_SCORES) or not rising or steps[0] != 0:
            raise DesignError(
                "`ambulation` must list EDSS steps that start at 0.0 and never fall, one per "
                f"ambulation score from 0 on, got {steps!r}."
            )


EDSS_CONVENTIONS: Mapping[str, EDSSConvention] = MappingProxyType(
    {
        "neurostatus": EDSSConvention(
            name="neurostatus",
            ambulation=(
                0.0, 2.0, 4.5, 5.0, 5.5, 6.0, 6.0, 6.0, 6.5, 6.5, 7.0, 7.5, 8.0, 8.5, 9.0, 9.5,
                10.0,
            ),
            cerebral_one_counts=True,
            citation="Kappos L. Neurostatus definitions 04/10.2 and scoring table 04/10.3.",
            note=(
                "Ambulation scores 0 to 16; 1 is fully ambulatory (500 m or more) but not "
                "unrestricted, and implies at least 2.0."
            ),
        ),
        "kurtzke": EDSSConvention(
            name="kurtzke",
            ambulation=(0.0, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5, 8.0, 8.5, 9.0, 9.5, 10.0),
            cerebral_one_counts=False,
            citation="Kurtzke JF. Neurology 1983;33:1444-1452. doi:10.1212/WNL.33.11.1444",
            note=(
                "Ambulation scores 0 to 13 of older forms and registries, one per step from 4.0 "
                "on; 1 is a walk of some 500 m, and implies at least 4.0."
            ),
        ),
    }
)  # fmt: skip
"""The two ways in which ambulation is scored; from 6 on the same number means different things.

"neurostatus" agrees with ``adobrasinovic/edss: README.md`` and ``atiweb/edss-in-php``; "kurtzke"
with method ``"kurtzke"`` of ``jirimotyl/edss: R/edss_calculator.R``. Programs differ on cerebral
grade 1 (mild fatigue, signs only): Kurtzke leaves it out of steps 1.0 and 1.5, and so does
``jirimotyl/edss``; the others count it.
"""


def edss_convention(convention: str | EDSSConvention) -> EDSSConvention:
    """Return a convention by name.

    Parameters
    ----------
    convention : str or EDSSConvention
        Key in :data:`EDSS_CONVENTIONS`, or the convention itself.

    Returns
    -------
    EDSSConvention
        It.

    Raises
    ------
    DesignError
        If there is none of that name.
    """
    if isinstance(convention, EDSSConvention):
        return convention
    if convention not in EDSS_CONVENTIONS:
        raise DesignError(
            f"`convention` must be one of {', '.join(EDSS_CONVENTIONS)}, or an EDSSConvention, got "
            f"{convention!r}.{nearest(str(convention), EDSS_CONVENTIONS)}"
        )
    return EDSS_CONVENTIONS[convention]
