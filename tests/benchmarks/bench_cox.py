"""Cox models: ours beside bare lifelines, and accelerated failure times likewise.

Simulated trials with three covariates; the strata are ten centres; the time-varying data have two
rows per subject. Each time is a median. lifelines' CoxTimeVaryingFitter is timed up to 3,000
subjects only. The ratio must stay below 1.10.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter, CoxTimeVaryingFitter, WeibullAFTFitter
from timing import machine, median_seconds

from pmsstats.models.events.survival import CoxSpec, fit_cox
from pmsstats.models.parametric.aft import AFTSpec, fit_aft
from pmsstats.models.parametric.flexible import FlexibleSpec, fit_flexible

COLUMNS = ("x0", "x1", "x2")
SIZES = {300: 9, 3000: 5, 30000: 3}
MOST_ROWS_OF_TIME_VARYING = 3000


def trial(n: int) -> pd.DataFrame:
    """Draw exponential times with uniform censoring."""
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, len(COLUMNS)))
    time = rng.exponential(1 / (0.3 * np.exp(0.3 * X.sum(axis=1))))
    end = rng.uniform(1, 6, n)
    frame = pd.DataFrame(X, columns=list(COLUMNS))
    return frame.assign(
        duration=np.minimum(time, end), event=time <= end,
        subject_id=np.arange(n).astype(str), centre=rng.integers(0, 10, n),
    )  # fmt: skip


def in_halves(data: pd.DataFrame) -> pd.DataFrame:
    """Cut each follow-up in two, with a covariate that changes."""
    half = data["duration"] / 2
    first = data.assign(start=0.0, stop=half, event=False)
    last = data.assign(start=half, stop=data["duration"], x0=data["x0"] + 0.1)
    return pd.concat([first, last], ignore_index=True).drop(columns="duration")


def report(what: str, n: int, ours: Callable[[], object], peer: Callable[[], object]) -> None:
    """Print one line."""
    mine, theirs = (median_seconds(call, SIZES[n]) for call in (ours, peer))
    print(f"{what:28s} {n:6d} {1e3 * mine:10.1f} {1e3 * theirs:10.1f} {mine / theirs:8.2f}")


def compare(n: int) -> None:
    """Time all models of one size."""
    data = trial(n)
    plain = [*COLUMNS, "duration", "event"]
    spec = CoxSpec(covariates=COLUMNS)

    def peer() -> object:
        return CoxPHFitter().fit(data[plain], "duration", "event")

    report("Cox", n, lambda: fit_cox(data, spec), peer)
    report("Cox, engine='lifelines'", n, lambda: fit_cox(data, spec, engine="lifelines"), peer)
    report(
        "Cox, strata", n,
        lambda: fit_cox(data, CoxSpec(covariates=COLUMNS, strata="centre")),
        lambda: CoxPHFitter().fit(data[[*plain, "centre"]], "duration", "event", strata=["centre"]),
    )  # fmt: skip
    if n <= MOST_ROWS_OF_TIME_VARYING:
        halves = in_halves(data)
        columns = [*COLUMNS, "start", "stop", "event", "subject_id"]
        report(
            "Cox, time-varying", n,
            lambda: fit_cox(halves, CoxSpec(covariates=COLUMNS, start="start", stop="stop")),
            lambda: CoxTimeVaryingFitter().fit(
                halves[columns], "event", "start", "stop", id_col="subject_id"
            ),
        )  # fmt: skip
    report(
        "Weibull", n,
        lambda: fit_aft(data, AFTSpec(covariates=COLUMNS)),
        lambda: WeibullAFTFitter().fit(data[plain], "duration", "event"),
    )  # fmt: skip
    report(
        "spline, 3 df", n,
        lambda: fit_flexible(data, FlexibleSpec(covariates=COLUMNS)),
        lambda: CoxPHFitter(baseline_estimation_method="spline", n_baseline_knots=4).fit(
            data[plain], "duration", "event"
        ),
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    print(machine())
    print(f"{'model':28s} {'n':>6s} {'ours ms':>10s} {'theirs ms':>10s} {'ratio':>8s}")
    for n in SIZES:
        compare(n)


if __name__ == "__main__":
    main()
