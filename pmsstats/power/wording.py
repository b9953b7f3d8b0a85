"""The clauses that every statement of assumptions shares."""

from __future__ import annotations

__all__ = ["arms_words", "dropout_words", "level_words", "sd_words"]


def arms_words(ratio: float, arms: tuple[float, float]) -> str:
    """Say how subjects are divided.

    Parameters
    ----------
    ratio : float
        Treated per reference subject, as planned.
    arms : pair of float
        Subjects of the reference and the treated arm. Where they were given one by one, and not in
        that ratio as far as whole subjects can be, their numbers are said.

    Returns
    -------
    str
        For example ``"Two arms of equal size"``.

    Examples
    --------
    >>> arms_words(1.0, (40, 41)), arms_words(1.0, (30, 50))
    ('Two arms of equal size', 'Two arms of 30 reference and 50 treated subjects')
    """
    reference, treated = arms
    if abs(treated - ratio * reference) > max(1.0, (1 + ratio) / 2):
        return f"Two arms of {reference:g} reference and {treated:g} treated subjects"
    if ratio == 1:
        return "Two arms of equal size"
    return f"Two arms with {ratio:g} treated per reference subject"


def level_words(alpha: float, sides: int, test: str) -> str:
    """Name a test with its level.

    Parameters
    ----------
    alpha : float
        Type I error.
    sides : int
        1 or 2.
    test : str
        For example ``"t-test of the change"``.

    Returns
    -------
    str
        For example ``"two-sided 5 % t-test of the change"``.

    Examples
    --------
    >>> level_words(0.025, 1, "log-rank test")
    'one-sided 2.5 % log-rank test'
    """
    return f"{'one' if sides == 1 else 'two'}-sided {100 * alpha:g} % {test}"


def dropout_words(dropout: tuple[float, float], what: str = "a final measurement") -> str:
    """Say how many subjects are lost, and what becomes of them.

    Parameters
    ----------
    dropout : pair of float
        Share per arm, reference first.
    what : str
        What they lack.

    Returns
    -------
    str
        For example ``"10 % of each arm without a final measurement and not analysed"``.
    """
    reference, treated = (f"{100 * share:.3g} %" for share in dropout)
    if dropout == (0, 0):
        return "nobody lost"
    if dropout[0] == dropout[1]:
        return f"{reference} of each arm without {what} and not analysed"
    return (
        f"{reference} of the reference and {treated} of the treated arm without {what} and not "
        "analysed"
    )


def sd_words(sd: tuple[float, float], unit: str) -> str:
    """Say the standard deviation of both arms.

    Parameters
    ----------
    sd : pair of float
        Reference first.
    unit : str
        Theirs; may be empty.

    Returns
    -------
    str
        For example ``"SD 1.2 % in both arms"``.
    """
    shown = [f"{value:.4g} {unit}".strip() for value in sd]
    if sd[0] == sd[1]:
        return f"SD {shown[0]} in both arms"
    return f"SD {shown[0]} in the reference and {shown[1]} in the treated arm"
