"""Draw .github/association.png: one question by every method of `associate`, beside the truth.

Called by `make figures`. The same code and seed give the same numbers; takes some minutes.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from pmsstats.association.spec import METHODS
from pmsstats.errors import EvidenceUncheckedWarning
from pmsstats.plots import theme
from pmsstats.validation import check_association
from synthetic import generate_cohort, preset

SEED = 12
N_SUBJECTS, N_REPLICATES, N_TRUTH = 400, 100, 20_000
TARGET = Path(__file__).resolve().parent.parent / ".github" / "association.png"

if __name__ == "__main__":
    warnings.simplefilter("ignore", EvidenceUncheckedWarning)
    result = check_association(
        generate_cohort,
        preset("progressive"),
        "thalamus_ml",
        "cdp12",
        SEED,
        methods=tuple(METHODS),
        n_subjects=N_SUBJECTS,
        n_replicates=N_REPLICATES,
        n_truth=N_TRUTH,
        n_jobs=os.cpu_count(),
    )
    with theme():
        fig, ax = plt.subplots(figsize=(6.8, 4.7), layout="constrained")
        result.plot(ax=ax)
        fig.savefig(TARGET, dpi=136, metadata={"Software": None})
    print(result.headline())
    print(result.table().round(3).to_string(index=False))
    if len(sys.argv) > 1:
        result.table().to_csv(sys.argv[1], index=False, lineterminator="\n")
    print(TARGET)
