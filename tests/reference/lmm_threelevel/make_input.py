"""Visits of subjects in sites; subjects are numbered anew in every site. Stored in input.csv."""

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(20261122)
n_sites, per_site, n_visits = 9, 5, 5
site = np.repeat(np.arange(n_sites), per_site * n_visits)
subject = np.tile(np.repeat(np.arange(per_site), n_visits), n_sites)
number = site * per_site + subject
year = np.tile(np.arange(n_visits) * 0.5, n_sites * per_site) + rng.uniform(-0.05, 0.05, len(site))
active = (number % 2).astype(float)
level = rng.multivariate_normal([0, 0], [[0.81, -0.05], [-0.05, 0.04]], n_sites * per_site)
volume = (
    14.0
    + rng.normal(0, 0.6, n_sites)[site]
    + level[number, 0]
    + (-0.25 + 0.08 * active + level[number, 1]) * year
    + rng.normal(0, 0.15, len(site))
)
frame = pd.DataFrame(
    {
        "site_id": [f"S{i + 1}" for i in site],
        "subject_no": subject + 1,
        "year": year.round(3),
        "arm": np.where(active > 0, "active", "placebo"),
        "thalamus_ml": volume.round(4),
    }
)
stays = rng.uniform(size=len(frame)) > 0.12 * (frame["year"] > 0.4)
frame[stays].to_csv(Path(__file__).with_name("input.csv"), index=False)
