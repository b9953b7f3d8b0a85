"""Names of the random effects of two outcomes, and the weights that pick them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.errors import DesignError, nearest

__all__ = ["PairEffects"]

_INTERCEPT = "intercept"


@dataclass(frozen=True, kw_only=True)
class PairEffects:
    """The random effects of both outcomes, in the order of their covariance.

    Parameters
    ----------
    outcomes : tuple of str
        What is modelled.
    labels : tuple of str
        The same in words.
    names : tuple of tuple
        Outcome number and name of each effect; the level is ``"intercept"``.
    group : str
        Column that tells subjects apart.
    """

    outcomes: tuple[str, str]
    labels: tuple[str, str]
    names: tuple[tuple[int, str], ...]
    group: str

    def name(self, effect: int) -> str:
        """Return an effect's name with its outcome: ``"msfc_z: year"``.

        Parameters
        ----------
        effect : int
            Its place.
        """
        outcome, name = self.names[effect]
        return f"{self.outcomes[outcome]}: {name}"

    def kind(self, effect: int) -> str:
        """Return what an effect is: ``"level"``, ``"slope"``, or its own name.

        Parameters
        ----------
        effect : int
            Its place.
        """
        outcome, name = self.names[effect]
        if name == _INTERCEPT:
            return "level"
        return "slope" if self.slopes(outcome) == [name] else name

    def pairs(self) -> list[tuple[int, int]]:
        """Return pairs of effects: those between outcomes first, slopes before levels."""
        pairs = [(i, j) for j in range(len(self.names)) for i in range(j)]
        across = [(i, j) for i, j in pairs if self.names[i][0] != self.names[j][0]]
        across.sort(key=lambda pair: sum(self.names[k][1] == _INTERCEPT for k in pair))
        return across + [pair for pair in pairs if pair not in across]

    def slopes(self, outcome: int) -> list[str]:
        """Return the effects of an outcome that are not its level.

        Parameters
        ----------
        outcome : {0, 1}
            Which outcome.
        """
        return [name for k, name in self.names if k == outcome and name != _INTERCEPT]

    def slope(self, outcome: int) -> str:
        """Return the one slope of an outcome.

        Parameters
        ----------
        outcome : {0, 1}
            Which outcome.

        Raises
        ------
        DesignError
            If it has none, or several.
        """
        slopes = self.slopes(outcome)
        if len(slopes) != 1:
            found = f"has {', '.join(slopes)}" if slopes else "varies in level only"
            raise DesignError(
                f"The slope of {self.outcomes[outcome]} is asked for, but its random part {found}. "
                f"Give one slope over time, (year | {self.group}), or name effects in "
                "correlation()."
            )
        return slopes[0]

    def weights(self, outcome: int, effect: str) -> np.ndarray:
        """Return the weights that pick one effect: shape (q,).

        Parameters
        ----------
        outcome : {0, 1}
            Which outcome.
        effect : str
            Its name.

        Raises
        ------
        DesignError
            If the outcome has no such effect.
        """
        if (outcome, effect) not in self.names:
            options = [name for k, name in self.names if k == outcome]
            raise DesignError(
                f"{self.outcomes[outcome]} has the random effects {', '.join(options)}, not "
                f"{effect!r}.{nearest(str(effect), options)}"
            )
        made: np.ndarray = np.eye(len(self.names))[self.names.index((outcome, effect))]
        return made

    def slope_weights(self, outcome: int) -> np.ndarray:
        """Return the weights that pick the slope of an outcome: shape (q,).

        Parameters
        ----------
        outcome : {0, 1}
            Which outcome.
        """
        return self.weights(outcome, self.slope(outcome))

    def label(self, a: np.ndarray, b: np.ndarray) -> str:
        """Name a correlation in words.

        Parameters
        ----------
        a, b : ndarray, shape (q,)
            Weights that pick an effect each.

        Returns
        -------
        str
            For example ``"slope of Thalamic volume with slope of MSFC z-score"``.
        """
        places = (int(np.argmax(weights)) for weights in (a, b))
        words = [f"{self.kind(i)} of {self.labels[self.names[i][0]]}" for i in places]
        return " with ".join(words)
