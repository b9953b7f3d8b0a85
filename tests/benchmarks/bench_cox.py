"""Cox models: ours beside bare lifelines, and parametric models likewise.

Simulated trials with three covariates; the strata are ten centres; the time-varying data have two
rows per subject. Ours is the default engine, in which lifelines confirms the maximum of Newton's
method; "native" is Newton's method alone. Runs of the two alternate; each time is the least of
several, since other work on the machine only adds. lifelines' CoxTimeVaryingFitter is timed up to
3,000 subjects only. The ratio of the default must stay below 1.10.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter, CoxTimeVaryingFitter, WeibullAFTFitter
from timing import machine

from pmsstats.models.events.survival import CoxSpec, fit_cox
from pmsstats.models.parametric.aft import AFTSpec, fit_aft
from pmsstats.models.parametric.flexible import FlexibleSpec, fit_flexible

COLUMNS = ("x0", "x1", "x2")
SIZES = {300: 15, 3000: 7, 30000: 4}
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


def seconds(call: Callable[[], object]) -> float:
    """Run once."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def report(
    what: str, n: int, peer: Callable[[], object], *ours: tuple[str, Callable[[], object]]
) -> None:
    """Print one line for each of ours."""
    calls = [peer, *(call for _, call in ours)]
    best = np.min([[seconds(call) for call in calls] for _ in range(SIZES[n])], axis=0)
    for (engine, _), mine in zip(ours, best[1:], strict=True):
        name = f"{what}, {engine}" if engine else what
        print(f"{name:28s} {n:6d} {1e3 * mine:10.1f} {1e3 * best[0]:10.1f} {mine / best[0]:8.2f}")


def compare_cox(
    what: str, data: pd.DataFrame, n: int, spec: CoxSpec, peer: Callable[[], object]
) -> None:
    """Time both engines of one Cox model."""
    report(
        what, n, peer,
        ("", lambda: fit_cox(data, spec)),
        ("native", lambda: fit_cox(data, spec, engine="native")),
    )  # fmt: skip


def compare(n: int) -> None:
    """Time all models of one size."""
    data = trial(n)
    plain = [*COLUMNS, "duration", "event"]
    compare_cox(
        "Cox", data, n, CoxSpec(covariates=COLUMNS),
        lambda: CoxPHFitter().fit(data[plain], "duration", "event"),
    )  # fmt: skip
    compare_cox(
        "Cox, strata", data, n, CoxSpec(covariates=COLUMNS, strata="centre"),
        lambda: CoxPHFitter().fit(data[[*plain, "centre"]], "duration", "event", strata=["centre"]),
    )  # fmt: skip
    if n <= MOST_ROWS_OF_TIME_VARYING:
        halves = in_halves(data)
        columns = [*COLUMNS, "start", "stop", "event", "subject_id"]
        compare_cox(
            "Cox, time-varying", halves, n,
            CoxSpec(covariates=COLUMNS, start="start", stop="stop"),
            lambda: CoxTimeVaryingFitter().fit(
                halves[columns], "event", "start", "stop", id_col="subject_id"
            ),
        )  # fmt: skip
    compare_parametric(data[plain], n)


def compare_parametric(data: pd.DataFrame, n: int) -> None:
    """Time a Weibull model and a spline."""
    weibull = AFTSpec(covariates=COLUMNS)
    report(
        "Weibull", n, lambda: WeibullAFTFitter().fit(data, "duration", "event"),
        ("", lambda: fit_aft(data, weibull)),
        ("lifelines", lambda: fit_aft(data, weibull, engine="lifelines")),
    )  # fmt: skip
    report(
        "spline, 3 df", n,
        lambda: CoxPHFitter(baseline_estimation_method="spline", n_baseline_knots=4).fit(
            data, "duration", "event"
        ),
        ("", lambda: fit_flexible(data, FlexibleSpec(covariates=COLUMNS))),
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    print(machine())
    print(f"{'model':28s} {'n':>6s} {'ours ms':>10s} {'theirs ms':>10s} {'ratio':>8s}")
    for n in SIZES:
        compare(n)


if __name__ == "__main__":
    main()
