"""Draws input.csv: python simulate.py, in the folder of this case."""

from __future__ import annotations

import numpy as np
import pandas as pd

INTENSITIES = {
    (0, 1): 0.35, (1, 0): 0.10, (1, 2): 0.25, (2, 1): 0.06, (0, 3): 0.01, (1, 3): 0.02, (2, 3): 0.09
}  # fmt: skip
EFFECTS = {(0, 1): -0.4, (1, 2): -0.4, (1, 0): 0.3, (2, 1): 0.3}
ERRORS = np.array([[0.9, 0.1, 0], [0.08, 0.84, 0.08], [0, 0.1, 0.9]])


def main() -> None:
    """Draw 300 subjects, seen about every half year for 3 to 6 years."""
    rng = np.random.default_rng(20261)
    rows = []
    for i in range(300):
        Q = np.zeros((4, 4))
        for pair, rate in INTENSITIES.items():
            Q[pair] = rate * np.exp(EFFECTS.get(pair, 0) * (i % 2))
        np.fill_diagonal(Q, -Q.sum(axis=1))
        state, time = rng.choice(3, p=[0.6, 0.3, 0.1]), 0.0
        path = [(0.0, state)]
        while state != 3 and time < 8:
            time += rng.exponential(1 / -Q[state, state])
            state = rng.choice(4, p=np.where(np.arange(4) == state, 0, Q[state]) / -Q[state, state])
            path.append((time, state))
        death = path[-1][0] if path[-1][1] == 3 else np.inf
        end = rng.choice([3.0, 4, 5, 6])
        jitter = np.round(rng.normal(0, 0.04, int(2 * end)), 3)
        for visit in np.r_[0, np.arange(0.5, end + 0.01, 0.5) + jitter]:
            if visit >= death:
                break
            true = [s for t, s in path if t <= visit][-1]
            rows.append((f"S{i:03d}", round(visit, 3), rng.choice(3, p=ERRORS[true]) + 1, i % 2))
        if death <= end:
            rows.append((f"S{i:03d}", round(death, 4), 4, i % 2))
    frame = pd.DataFrame(rows, columns=["subject_id", "year", "state", "treated"])
    frame.to_csv("input.csv", index=False)


if __name__ == "__main__":
    main()
