"""Where the definitions come from: one citation each, and caveats that several of them share."""

from __future__ import annotations

__all__ = ["cite"]

OLYMPUS = "Hawker K, et al. (OLYMPUS). Ann Neurol 2009;66:460-471. doi:10.1002/ana.21867"
ORATORIO = (
    "Montalban X, et al. (ORATORIO). N Engl J Med 2017;376:209-220. doi:10.1056/NEJMoa1606468"
)
NEPAD = "Wolinsky JS, et al. (ORATORIO). Ann Neurol 2018;84:527-536. doi:10.1002/ana.25313"
ORATORIO_EXTENSION = (
    "Wolinsky JS, et al. (ORATORIO). Lancet Neurol 2020;19:998-1009. "
    "doi:10.1016/S1474-4422(20)30342-2"
)
EXPAND = "Kappos L, et al. (EXPAND). Lancet 2018;391:1263-1273. doi:10.1016/S0140-6736(18)30475-6"
HERCULES = "Fox RJ, et al. (HERCULES). N Engl J Med 2025;392:1883-1892. doi:10.1056/NEJMoa2415988"
AFFIRM = (
    "Polman CH, et al. (AFFIRM). N Engl J Med 2006;354:899-910; the steps are stated in "
    "doi:10.1155/2011/195831"
)
CARE_MS = (
    "Coles AJ, et al. (CARE-MS II). Neurology 2017;89:1117-1126. doi:10.1212/WNL.0000000000004354"
)
ENSEMBLE = "ENSEMBLE (ocrelizumab), ClinicalTrials.gov NCT03085810"
FENHANCE = "FENhance (fenebrutinib), ClinicalTrials.gov NCT04586010"
ASCEND = (
    "Kapoor R, et al. (ASCEND). Lancet Neurol 2018;17:405-415. doi:10.1016/S1474-4422(18)30069-3"
)
EDSS_PLUS = (
    "Cadavid D, et al. The EDSS-Plus, an improved endpoint for disability progression in "
    "secondary progressive multiple sclerosis (placebo arm of IMPACT). 2017"
)
SDMT_EXPAND = "EXPAND, post hoc analysis of active SPMS, eScholarship 80s5904x"
SDMT_RELIABLE = "Weinstock Z, et al. Mult Scler 2022;28:1101-1111. doi:10.1177/13524585211049397"
MILESTONES = (
    "Trojano M, et al. (TOP). Mult Scler Relat Disord 2018;24:11-19. "
    "doi:10.1016/j.msard.2018.04.020"
)
WALKING_AID = "OPERA I and II, risk of requiring a walking aid. doi:10.1111/ene.14823"
WHEELCHAIR = (
    "Butzkueven H, et al. (ORATORIO). Eur J Neurol 2022;29:1082-1090. doi:10.1111/ene.14824"
)
IMPROVEMENT = "OPERA I and II, open-label extension: CMSC 2018, abstract DX64"
MSBASE_IMPROVEMENT = "Kalincik T, et al. Brain 2015;138:3287-3298. doi:10.1093/brain/awv258"
NEDA = (
    "Havrdova E, et al. (OPERA I and II). Mult Scler J Exp Transl Clin 2018. "
    "doi:10.1177/2055217318760642"
)
NEDA_4 = "Guevara C, et al. Front Neurol 2019;10:788. doi:10.3389/fneur.2019.00788"
KAPPOS = "Kappos L, et al. (OPERA). JAMA Neurol 2020;77:1132-1140. doi:10.1001/jamaneurol.2020.1568"
MUELLER_2023 = "Mueller J, et al. JAMA Neurol 2023;80:1232-1245. doi:10.1001/jamaneurol.2023.3331"
MUELLER_2025 = "Mueller J, et al. JAMA Neurol 2025;82:614-625. doi:10.1001/jamaneurol.2025.0495"
PORTACCIO = (
    "Portaccio E, et al. Toward a unified definition of progression independent of relapse "
    "activity in multiple sclerosis. Neurology 2025;105"
)
LORSCHEIDER = "Lorscheider J, et al. Brain 2016;139:2395-2405. doi:10.1093/brain/aww173"

THREE_MONTHS = "The source says 3 months, taken here as 12 weeks."
SIX_MONTHS = "The source says 6 months, taken here as 24 weeks."
SCHEDULED = (
    "Where only regularly scheduled visits may confirm, as in OLYMPUS, EXPAND and FENhance, name "
    "them by `confirmation_visits`."
)


def cite(*sources: str) -> str:
    """Join citations to one text that ends with a full stop.

    Parameters
    ----------
    *sources : str
        Citations, without a full stop.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> cite("One 2001", "Two 2002")
    'One 2001; Two 2002.'
    """
    return f"{'; '.join(sources)}."
