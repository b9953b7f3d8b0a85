"""Sites: what they do to the variance of a treatment effect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pmsstats.errors import DesignError
from pmsstats.power.solving import check_choice, check_real

__all__ = ["ClusterDesign", "design_effect"]

RANDOMISED = ("within_sites", "by_site")


def design_effect(
    *,
    site_size: float,
    icc: float,
    randomised: str = "by_site",
    size_cv: float = 0.0,
    effect_sd: float = 0.0,
    ratio: float = 1.0,
) -> float:
    """Return by how much sites multiply the variance of the difference between two arms.

    Parameters
    ----------
    site_size : float
        Mean number of subjects per site who are analysed.
    icc : float
        Correlation of two subjects of one site: the share of the variance that lies between
        sites, from 0 to 1.
    randomised : {"by_site", "within_sites"}
        Whether a site is randomised as a whole, or its subjects are, balanced in each site and
        analysed with the site in the model.
    size_cv : float, default 0
        Coefficient of variation of the number of subjects per site.
    effect_sd : float, default 0
        How much the treatment effect varies between sites: its standard deviation, divided by the
        standard deviation of the outcome. Only for ``randomised="within_sites"``.
    ratio : float, default 1
        Treated per reference subject.

    Returns
    -------
    float
        Variance relative to that of as many independent subjects with the same total variance.
        Divide a number of subjects by it for the effective number.

    Raises
    ------
    DesignError
        If an argument is out of range, or the effect varies between sites that have one arm only.

    Notes
    -----
    By site, ``1 + ((1 + size_cv^2) site_size - 1) icc`` [1]_. Within sites, the variance between
    sites cancels and ``1 - icc`` is left [2]_; an effect that varies between sites adds
    ``effect_sd^2 site_size (1 + size_cv^2) ratio / (1 + ratio)^2``, because the mean effect is
    that of so many sites only.

    References
    ----------
    .. [1] Eldridge SM, Ashby D, Kerry S. Int J Epidemiol 2006;35:1292-1300.
       doi:10.1093/ije/dyl129
    .. [2] Vierron E, Giraudeau B. Contemp Clin Trials 2007;28:451-458.

    Examples
    --------
    >>> round(design_effect(site_size=20, icc=0.05), 3)
    1.95
    >>> round(design_effect(site_size=20, icc=0.05, randomised="within_sites"), 3)
    0.95
    """
    check_choice("randomised", randomised, RANDOMISED)
    check_real("site_size", site_size, low=0.0, unit="subjects")
    check_real("icc", icc, low=0.0, high=1.0, ends="[)")
    check_real("size_cv", size_cv, low=0.0, ends="[)")
    check_real("effect_sd", effect_sd, low=0.0, ends="[)")
    check_real("ratio", ratio, low=0.0)
    spread = (1 + size_cv**2) * site_size
    if randomised == "within_sites":
        return 1 - icc + effect_sd**2 * spread * ratio / (1 + ratio) ** 2
    if effect_sd > 0:
        raise DesignError(
            f"`effect_sd={effect_sd!r}` needs both arms in each site, but sites are randomised as "
            "a whole. Use randomised='within_sites', or count that variance in `icc`."
        )
    return 1 + (max(spread, 1.0) - 1) * icc


@dataclass(frozen=True, kw_only=True)
class ClusterDesign:
    """Subjects in sites, for the argument `cluster` of the closed forms.

    Parameters
    ----------
    site_size : float
        Mean number of subjects randomised per site.
    icc : float
        Correlation of two subjects of one site, from 0 to 1.
    randomised : {"within_sites", "by_site"}
        See :func:`design_effect`.
    size_cv : float, default 0
        Coefficient of variation of the number of subjects per site.
    effect_sd : float, default 0
        Standard deviation between sites of the treatment effect, divided by that of the outcome.

    Raises
    ------
    DesignError
        If a value is out of range.
    """

    site_size: float
    icc: float
    randomised: Literal["within_sites", "by_site"] = "within_sites"
    size_cv: float = 0.0
    effect_sd: float = 0.0

    def __post_init__(self) -> None:
        """Check the values."""
        self.variance_factor()

    def variance_factor(self, *, ratio: float = 1.0, retained: float = 1.0) -> float:
        """Return the design effect.

        Parameters
        ----------
        ratio : float
            Treated per reference subject.
        retained : float
            Share of the subjects who are analysed.

        Returns
        -------
        float
            See :func:`design_effect`.
        """
        return design_effect(
            site_size=self.site_size * retained,
            icc=self.icc,
            randomised=self.randomised,
            size_cv=self.size_cv,
            effect_sd=self.effect_sd,
            ratio=ratio,
        )

    def n_effective(self, n: float, *, ratio: float = 1.0) -> float:
        """Return how many independent subjects weigh as much.

        Parameters
        ----------
        n : float
            Subjects who are analysed, in all arms.
        ratio : float
            Treated per reference subject.

        Returns
        -------
        float
            Subjects.
        """
        return n / self.variance_factor(ratio=ratio)

    def n_sites(self, n: float) -> int:
        """Return how many sites it takes to randomise some subjects.

        Parameters
        ----------
        n : float
            Subjects randomised, in all arms.

        Returns
        -------
        int
            Whole sites.
        """
        return math.ceil(n / self.site_size - 1e-9)

    def degrees_of_freedom(self, n: float, *, retained: float = 1.0) -> float:
        """Return those of the test of the difference.

        Parameters
        ----------
        n : float
            Subjects randomised, in all arms.
        retained : float
            Share of them who are analysed.

        Returns
        -------
        float
            Sites less 2 if they are randomised as a whole; sites less 1 if the effect varies
            between them; else subjects analysed less sites less 1.
        """
        sites = n / self.site_size
        if self.randomised == "by_site":
            return sites - 2
        if self.effect_sd > 0:
            return sites - 1
        return n * retained - sites - 1

    def words(self) -> str:
        """Return the assumptions as a clause."""
        varying = f" (coefficient of variation {self.size_cv:g})" if self.size_cv else ""
        how = "randomised as a whole" if self.randomised == "by_site" else "with both arms in each"
        effect = f", an effect that varies by {self.effect_sd:g} SD" if self.effect_sd else ""
        return (
            f"sites of {self.site_size:g} subjects{varying} {how}, intraclass correlation "
            f"{self.icc:g}{effect}"
        )
