"""Short ways to write numbers by phenotype and loadings that rest on one stated reason."""

from __future__ import annotations

from synthetic.values import PerPhenotype, Sourced, assumed

__all__ = ["by_phenotype", "loadings"]


def by_phenotype(why: str, **values: float) -> PerPhenotype:
    """Collect numbers by phenotype; those without a source of their own are assumed.

    Parameters
    ----------
    why : str
        What speaks for the assumed ones.
    **values : float
        By phenotype; numbers that know their source keep it.

    Returns
    -------
    PerPhenotype
        All of them sourced.

    Examples
    --------
    >>> by_phenotype("seen in one study", HC=1.0)["HC"].why
    'seen in one study'
    """
    return PerPhenotype(
        **{
            name: value if isinstance(value, Sourced) else assumed(value, why)
            for name, value in values.items()
        }
    )


def loadings(why: str, **weights: float) -> tuple[tuple[str, float], ...]:
    """Collect assumed loadings.

    Parameters
    ----------
    why : str
        What speaks for them.
    **weights : float
        By driver.

    Returns
    -------
    tuple of (str, float)
        As :class:`synthetic.ImagingModel` takes them.

    Examples
    --------
    >>> loadings("few neurons, little NAA", neurodegeneration_level=0.6)
    (('neurodegeneration_level', 0.6),)
    """
    return tuple((name, assumed(weight, why)) for name, weight in weights.items())
