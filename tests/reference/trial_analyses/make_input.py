"""Make input.csv: three replicates of a trial with three arms. Artificial; run once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(20261123)
weeks = np.array([0, 24, 48, 96])
frames = []
for replicate in range(3):
    arm = rng.permutation(np.repeat([0, 1, 2], [24, 22, 20]))
    n, year = len(arm), weeks * 7 / 365.25
    latent = rng.multivariate_normal(
        np.zeros(4),
        [[1.5, 0.2, 0.4, 0.0], [0.2, 0.3, 0.1, 0.15], [0.4, 0.1, 2.0, 0.1], [0.0, 0.15, 0.1, 0.4]],
        size=n,
    )
    gain = np.array([0.0, 0.4, 0.1])[arm]
    volume = 20 + latent[:, :1] + (-1 + gain + latent[:, 1])[:, None] * year
    walk = 8 + latent[:, 2:3] + (0.6 - 0.5 * gain + latent[:, 3])[:, None] * year
    volume = volume + rng.normal(0, 0.5, volume.shape)
    walk = walk + rng.normal(0, 0.8, walk.shape)
    t2 = rng.poisson(rng.gamma(1.2, 1.0, n)[:, None] * np.exp(-0.5 * (arm == 1))[:, None], (n, 4))
    t2 = t2.astype(float)
    gone = np.maximum.accumulate(rng.random((n, 4)) < [0, 0.08, 0.08, 0.08], axis=1)
    volume[gone | (rng.random((n, 4)) < 0.05)] = np.nan
    walk[gone | (rng.random((n, 4)) < 0.05)] = np.nan
    t2[gone] = np.nan
    t2[:, 0] = np.nan
    frames.append(
        pd.DataFrame(
            {
                "replicate": replicate,
                "subject": np.repeat(np.arange(n), 4),
                "arm": np.repeat(arm, 4),
                "sex": np.repeat(rng.integers(0, 2, n), 4),
                "age": np.repeat(rng.integers(30, 61, n), 4),
                "week": np.tile(weeks, n),
                "volume": volume.ravel().round(4),
                "walk": walk.ravel().round(4),
                "t2": t2.ravel(),
            }
        )
    )
pd.concat(frames).to_csv(Path(__file__).with_name("input.csv"), index=False)
