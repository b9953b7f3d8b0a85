"""The literature that the methods text cites, numbered in the order of citation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from pmsstats.errors import nearest

__all__ = ["REFERENCES", "Citations", "Reference"]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One published source.

    Parameters
    ----------
    text : str
        Authors, title, journal, year, pages.
    doi : str
        Without its resolver; empty where there is none.
    """

    text: str
    doi: str = ""


def _reference(text: str, doi: str = "") -> Reference:
    """Build a reference from its two parts."""
    return Reference(text=text, doi=doi)


REFERENCES: Mapping[str, Reference] = {
    "laird1982": _reference(
        "Laird NM, Ware JH. Random-effects models for longitudinal data. "
        "Biometrics 1982;38:963-974.",
        "10.2307/2529876",
    ),
    "patterson1971": _reference(
        "Patterson HD, Thompson R. Recovery of inter-block information when block sizes are "
        "unequal. Biometrika 1971;58:545-554.",
        "10.1093/biomet/58.3.545",
    ),
    "robinson1991": _reference(
        "Robinson GK. That BLUP is a good thing: the estimation of random effects. "
        "Stat Sci 1991;6:15-32.",
        "10.1214/ss/1177011926",
    ),
    "searle1980": _reference(
        "Searle SR, Speed FM, Milliken GA. Population marginal means in the linear model: an "
        "alternative to least squares means. Am Stat 1980;34:216-221.",
        "10.1080/00031305.1980.10483031",
    ),
    "satterthwaite1946": _reference(
        "Satterthwaite FE. An approximate distribution of estimates of variance components. "
        "Biometrics Bull 1946;2:110-114.",
        "10.2307/3002019",
    ),
    "kaplan1958": _reference(
        "Kaplan EL, Meier P. Nonparametric estimation from incomplete observations. "
        "J Am Stat Assoc 1958;53:457-481.",
        "10.1080/01621459.1958.10501452",
    ),
    "brookmeyer1982": _reference(
        "Brookmeyer R, Crowley J. A confidence interval for the median survival time. "
        "Biometrics 1982;38:29-41.",
        "10.2307/2530286",
    ),
    "cox1972": _reference(
        "Cox DR. Regression models and life-tables. J R Stat Soc B 1972;34:187-220.",
        "10.1111/j.2517-6161.1972.tb00899.x",
    ),
    "andersen1982": _reference(
        "Andersen PK, Gill RD. Cox's regression model for counting processes: a large sample "
        "study. Ann Stat 1982;10:1100-1120.",
        "10.1214/aos/1176345976",
    ),
    "efron1977": _reference(
        "Efron B. The efficiency of Cox's likelihood function for censored data. "
        "J Am Stat Assoc 1977;72:557-565.",
        "10.1080/01621459.1977.10480613",
    ),
    "grambsch1994": _reference(
        "Grambsch PM, Therneau TM. Proportional hazards tests and diagnostics based on weighted "
        "residuals. Biometrika 1994;81:515-526.",
        "10.1093/biomet/81.3.515",
    ),
    "tsiatis2004": _reference(
        "Tsiatis AA, Davidian M. Joint modeling of longitudinal and time-to-event data: an "
        "overview. Stat Sin 2004;14:809-834."
    ),
    "shah1997": _reference(
        "Shah A, Laird N, Schoenfeld D. A random-effects model for multiple characteristics with "
        "possibly missing data. J Am Stat Assoc 1997;92:775-779.",
        "10.1080/01621459.1997.10474030",
    ),
    "prentice1982": _reference(
        "Prentice RL. Covariate measurement errors and parameter estimation in a failure time "
        "regression model. Biometrika 1982;69:331-342.",
        "10.1093/biomet/69.2.331",
    ),
    "xie2001": _reference(
        "Xie SX, Wang CY, Prentice RL. A risk set calibration method for failure time regression "
        "by using a covariate reliability sample. J R Stat Soc B 2001;63:855-870.",
        "10.1111/1467-9868.00317",
    ),
    "houwelingen2007": _reference(
        "van Houwelingen HC. Dynamic prediction by landmarking in event history analysis. "
        "Scand J Stat 2007;34:70-85.",
        "10.1111/j.1467-9469.2006.00529.x",
    ),
    "wulfsohn1997": _reference(
        "Wulfsohn MS, Tsiatis AA. A joint model for survival and longitudinal data measured with "
        "error. Biometrics 1997;53:330-339.",
        "10.2307/2533118",
    ),
    "peduzzi1995": _reference(
        "Peduzzi P, Concato J, Feinstein AR, Holford TR. Importance of events per independent "
        "variable in proportional hazards regression analysis. II. J Clin Epidemiol "
        "1995;48:1503-1510.",
        "10.1016/0895-4356(95)00048-8",
    ),
    "anderson1983": _reference(
        "Anderson JR, Cain KC, Gelber RD. Analysis of survival by tumor response. "
        "J Clin Oncol 1983;1:710-719.",
        "10.1200/JCO.1983.1.11.710",
    ),
    "statsmodels": _reference(
        "Seabold S, Perktold J. statsmodels: econometric and statistical modeling with Python. "
        "Proc 9th Python in Science Conf 2010:92-96.",
        "10.25080/Majora-92bf1922-011",
    ),
    "lme4": _reference(
        "Bates D, Maechler M, Bolker B, Walker S. Fitting linear mixed-effects models using lme4. "
        "J Stat Softw 2015;67(1).",
        "10.18637/jss.v067.i01",
    ),
    "lifelines": _reference(
        "Davidson-Pilon C. lifelines: survival analysis in Python. J Open Source Softw "
        "2019;4:1317.",
        "10.21105/joss.01317",
    ),
}
"""By a short key: author and year, or program."""


class Citations:
    """Numbers references in the order in which a text cites them.

    Parameters
    ----------
    references : mapping of str to Reference
        What may be cited.
    """

    def __init__(self, references: Mapping[str, Reference] = REFERENCES) -> None:
        self._references = references
        self._order: list[str] = []

    def __call__(self, *keys: str) -> Markup:
        """Cite references and return their numbers as links.

        Parameters
        ----------
        *keys : str
            Keys of the references.

        Returns
        -------
        markupsafe.Markup
            For example ``[1, 3]``, linked to the list.

        Raises
        ------
        KeyError
            If there is no such reference.
        """
        for key in keys:
            if key not in self._references:
                raise KeyError(f"No reference {key!r}.{nearest(key, self._references)}")
            if key not in self._order:
                self._order.append(key)
        link = Markup('<a href="#reference-{0}">{0}</a>')
        numbers = sorted(self._order.index(key) + 1 for key in keys)
        return Markup("\u00a0[{}]").format(Markup(", ").join(link.format(n) for n in numbers))

    def cited(self) -> list[tuple[int, Reference]]:
        """Return the cited references with their numbers.

        Returns
        -------
        list of tuple of int and Reference
            In the order of citation.
        """
        return [(i, self._references[key]) for i, key in enumerate(self._order, start=1)]
