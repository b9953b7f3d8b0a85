"""What a group-sequential design asks for: when to look, and how to spend the error rates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import ndtri

from pmsstats.errors import DesignError
from pmsstats.power.spending import CLASSICAL, SPENDING_FAMILIES, check_family

__all__ = ["GroupSequentialDesign"]

_EFFICACY = (*CLASSICAL, *SPENDING_FAMILIES)
_FUTILITY = (*SPENDING_FAMILIES, "z", "conditional_power")


@dataclass(frozen=True, kw_only=True)
class GroupSequentialDesign:
    """Looks at accumulating data, and what may be claimed at each.

    Parameters
    ----------
    looks : tuple of float
        Information fractions of the analyses, rising; the last is 1.
    alpha : float, default 0.025
        Type I error, one-sided: 0.025 is what a two-sided 5 % test allows in the direction of
        benefit.
    spending : str, default "ld_obrien_fleming"
        Bounds with constants ("obrien_fleming" [1]_, "pocock" [2]_, "wang_tsiatis" [3]_) or from a
        spending function ("ld_obrien_fleming", "ld_pocock", "kim_demets", "hwang_shih_decani").
    spending_parameter : float, optional
        Delta of "wang_tsiatis" (0 is O'Brien-Fleming, 0.5 Pocock), gamma of the last two.
    futility : str, optional
        Lower bounds: a spending function of the type II error; "z" with `futility_z`; or
        "conditional_power", which stops where that falls below `futility_parameter`. None has none.
    futility_parameter : float, optional
        Gamma of the spending function, or the conditional power.
    futility_z : tuple of float, optional
        Bounds of the statistic at each look but the last, for ``futility="z"``.
    futility_trend : {"design", "observed"}
        Effect that conditional power supposes for the rest of the trial.
    binding : bool, default False
        Whether the type I error may rely on stopping for futility. If not, it holds whether one
        stops or goes on.
    power : float, default 0.8
        That fixes the drift: the mean of the final statistic under the alternative.

    Raises
    ------
    DesignError
        If looks are not rising or not within 0 and 1 with 1 as last, error rates are not between 0
        and 1, `power` is not above `alpha`, or options contradict one another.

    References
    ----------
    .. [1] O'Brien PC, Fleming TR. A multiple testing procedure for clinical trials. Biometrics
       1979;35:549-556. doi:10.2307/2530245
    .. [2] Pocock SJ. Group sequential methods in the design and analysis of clinical trials.
       Biometrika 1977;64:191-199. doi:10.1093/biomet/64.2.191
    .. [3] Wang SK, Tsiatis AA. Approximately optimal one-parameter boundaries for group sequential
       trials. Biometrics 1987;43:193-199. doi:10.2307/2531959
    """

    looks: tuple[float, ...]
    alpha: float = 0.025
    spending: str = "ld_obrien_fleming"
    spending_parameter: float | None = None
    futility: str | None = None
    futility_parameter: float | None = None
    futility_z: tuple[float, ...] | None = None
    futility_trend: Literal["design", "observed"] = "design"
    binding: bool = False
    power: float = 0.8

    def __post_init__(self) -> None:
        """Refuse what cannot be carried out."""
        object.__setattr__(self, "looks", tuple(float(t) for t in self.looks))
        self._check_looks()
        if not 0.0 < self.alpha < 0.5:
            raise DesignError(
                f"`alpha` is one-sided and must lie between 0 and 0.5, got {self.alpha!r}."
            )
        if not self.alpha < self.power < 1.0:
            raise DesignError(
                f"`power` must lie between `alpha` ({self.alpha!r}) and 1, got {self.power!r}."
            )
        check_family("spending", self.spending, self.spending_parameter, _EFFICACY)
        self._check_futility()

    @classmethod
    def equally_spaced(cls, n_looks: int, **options: Any) -> GroupSequentialDesign:
        """Return a design whose looks bring equal shares of the information.

        Parameters
        ----------
        n_looks : int
            Analyses, the last included.
        **options : object
            Other parameters of the design.
        """
        if n_looks < 1:
            raise DesignError(f"`n_looks` must be at least 1, got {n_looks!r}.")
        looks = tuple((k + 1) / n_looks for k in range(n_looks))
        return cls(looks=looks, **options)

    def _check_looks(self) -> None:
        """Refuse looks that do not rise to 1."""
        if not self.looks or not math.isclose(self.looks[-1], 1.0, abs_tol=1e-12):
            later = [t for t in self.looks if t > 1.0]
            raise DesignError(
                f"`looks` must end with 1, the planned end of the trial, got {self.looks!r}."
                + (f" No look can come after the end ({later[0]!r})." if later else "")
            )
        if self.looks[0] <= 0 or any(np.diff(self.looks) <= 0):
            raise DesignError(f"`looks` must rise from above 0 to 1, got {self.looks!r}.")

    def _check_futility(self) -> None:
        """Refuse lower bounds that contradict themselves."""
        if (self.futility == "z") != (self.futility_z is not None):
            raise DesignError(
                f"`futility_z` goes with `futility='z'`, got futility={self.futility!r} and "
                f"futility_z={self.futility_z!r}."
            )
        if self.futility is None:
            self._check_no_futility()
        elif self.futility == "z":
            self._check_futility_z()
        elif self.futility == "conditional_power":
            self._check_conditional_power()
        else:
            check_family("futility", self.futility, self.futility_parameter, _FUTILITY)
        if self.binding and self.spending in CLASSICAL:
            raise DesignError(
                f"`binding=True` needs a spending function of {SPENDING_FAMILIES}, got "
                f"`spending={self.spending!r}`."
            )

    def _check_no_futility(self) -> None:
        """Refuse options of bounds that are not there."""
        if self.futility_parameter is not None or self.binding:
            raise DesignError(
                "`futility_parameter` and `binding` need lower bounds, but `futility` is None. "
                f"Give one of {_FUTILITY}."
            )

    def _check_futility_z(self) -> None:
        """Refuse a wrong number of fixed bounds."""
        bounds = tuple(float(z) for z in self.futility_z or ())
        object.__setattr__(self, "futility_z", bounds)
        if len(bounds) != len(self.looks) - 1 or any(math.isnan(z) for z in bounds):
            raise DesignError(
                f"`futility_z` needs one number for each of the {len(self.looks) - 1} look(s) "
                f"before the last, got {self.futility_z!r}."
            )
        if self.futility_parameter is not None:
            raise DesignError("`futility='z'` has no `futility_parameter`. Leave it out.")

    def _check_conditional_power(self) -> None:
        """Refuse a limit that is no probability."""
        limit = self.futility_parameter
        if limit is None or not 0.0 < limit < 1.0:
            raise DesignError(
                "`futility='conditional_power'` needs the limit as `futility_parameter`, between "
                f"0 and 1, got {limit!r}."
            )
        if self.futility_trend not in {"design", "observed"}:
            raise DesignError(
                f"`futility_trend` must be 'design' or 'observed', got {self.futility_trend!r}."
            )
        if self.binding:
            raise DesignError(
                "`binding=True` cannot go with `futility='conditional_power'`, whose bounds rest "
                "on the efficacy bounds. Use a spending function."
            )

    @property
    def fixed_drift(self) -> float:
        """Mean of the statistic that gives a trial without interim looks the power."""
        return float(ndtri(1.0 - self.alpha) + ndtri(self.power))
