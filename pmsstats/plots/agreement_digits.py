"""Digits on which several engines agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import seaborn as sns

from pmsstats.plots.theme import PALETTE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_agreement_digits"]

_WORDS = {
    "estimate": "Fixed effects",
    "std_error": "Standard errors",
    "df": "Degrees of freedom",
    "log_likelihood": "Log-likelihood",
    "residual_sd": "Residual SD",
    "variance": "Variance components",
    "blup": "Predicted effects",
}


def plot_agreement_digits(data: pd.DataFrame, *, ax: Axes | None = None, **kws: Any) -> Axes:
    """Draw how many digits engines agree on, and how many they must.

    Parameters
    ----------
    data : pandas.DataFrame
        ``engine quantity digits required``.
    ax : matplotlib.axes.Axes, optional
        The current axes by default.
    **kws : object
        For :func:`seaborn.stripplot`.

    Returns
    -------
    matplotlib.axes.Axes
        One point per quantity and engine; a short line at the digits that are required.
    """
    ax = plt.gca() if ax is None else ax
    words = {name: _WORDS.get(name, name) for name in dict.fromkeys(data["quantity"])}
    frame = data.assign(quantity=data["quantity"].map(words))
    options = {"size": 8, "jitter": False, "dodge": True, **kws}
    options.setdefault("palette", list(PALETTE[: frame["engine"].nunique()]))
    sns.stripplot(frame, x="digits", y="quantity", hue="engine", order=list(words.values()),
                  ax=ax, **options)  # fmt: skip
    required = frame.drop_duplicates("quantity").set_index("quantity")["required"]
    ax.vlines(
        [required[name] for name in words.values()],
        [i - 0.35 for i in range(len(words))],
        [i + 0.35 for i in range(len(words))],
        color="0.45",
        linewidth=1.5,
        label="required",
    )
    ax.set(xlabel="Digits of agreement", ylabel="", xlim=(0, 16))
    ax.legend(title="", frameon=False, loc="lower right")
    return ax
