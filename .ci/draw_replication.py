"""Draw .github/replication.png: how often each cited study would find again what it reported.

Called by `make figures`. The same code and seed give the same numbers; takes about four minutes.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from pmsstats.errors import EvidenceUncheckedWarning
from pmsstats.plots import theme
from pmsstats.plots.replication_overview import plot_replication_overview
from pmsstats.validation import replicate_studies
from synthetic import generate_tables, preset

SEED = 2018
N_REPLICATES = 500
TARGET = Path(__file__).resolve().parent.parent / ".github" / "replication.png"
NAMED = {
    "cord-csa-1y-no-difference-spms-hc": "cord loss in 18 SPMS no faster than in controls",
    "nawm-mtr-predicts-disability-1y-ppms": "NAWM MTR predicts one-year worsening in PPMS",
    "natalizumab-raises-nawm-fa-spms": "NAWM FA rises on natalizumab, 17 patients",
}
"""Findings that the figure points at, and what it says of them."""

if __name__ == "__main__":
    warnings.simplefilter("ignore", EvidenceUncheckedWarning)
    result = replicate_studies(
        generate_tables, preset("review"), SEED, n_replicates=N_REPLICATES, n_jobs=os.cpu_count()
    )
    with theme():
        fig, ax = plt.subplots(figsize=(8.4, 5.2), layout="constrained")
        plot_replication_overview(result.findings, named=NAMED, origin="synthetic", ax=ax)
        fig.savefig(TARGET, dpi=110, metadata={"Software": None})
    print(result.headline())
    shown = result.table().set_index("finding").loc[list(NAMED), "sentence"]
    for finding, sentence in shown.items():
        print(f"{finding}: {sentence}")
    if len(sys.argv) > 1:
        result.table().to_csv(sys.argv[1], index=False, lineterminator="\n")
    print(TARGET)
