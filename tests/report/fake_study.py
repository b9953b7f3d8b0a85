"""Made-up finished studies: results of the right shape whose numbers nobody estimated.

They let the report be tested on what real data seldom show together: markup in labels, seven
groups with long names, an association that is not estimable. Nothing here is a statistic: frames
are drawn from a seeded generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.cohort import Cohort, Measure, default_dictionary
from pmsstats.plots import plot_forest
from pmsstats.provenance import Source, build_manifest
from pmsstats.results import Exclusion, FitLog, Result, exclude, format_interval, to_plain

DAYS = 365.25
MARKUP = '<script>alert("x")</script>'
LONG_NAMES = tuple(
    f"Group {i} of secondary progressive disease with superimposed activity & {MARKUP} $x_{i}$"
    for i in range(1, 8)
)


CORRELATION = "slope_correlation_corrected"
LABELS = {
    CORRELATION: "Correlation of slopes",
    "two_stage": "Two-stage Cox",
    "time_varying": "Time-varying Cox",
}


@dataclass(frozen=True, kw_only=True)
class FakeAnalysisSpec:
    measure: str
    outcome: str
    group: str | None
    groups: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    engine: str = "statsmodels"
    conf_level: float = 0.95


@dataclass(frozen=True, kw_only=True)
class FakeStudySpec:
    title: str
    acknowledgement: str
    analysis: FakeAnalysisSpec
    source: str = "study.toml"


@dataclass(frozen=True, kw_only=True)
class FakeModelSpec:
    text: str
    method: str = "REML"
    conf_level: float = 0.95

    def formula(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True)
class FakeAssociationSpec:
    slope_visits: str = "until_event"
    covariates: tuple[str, ...] = ("age_years",)
    strata: tuple[str, ...] = ()
    slope_model: str = "common"

    def adjustment(self) -> str:
        return " + ".join(f"`{c}`" for c in self.covariates)

    def strata_columns(self) -> tuple[str, ...]:
        return self.strata


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FakeResult(Result):
    """A result that says what it was given."""

    schema: str
    sentence: str
    frame: pd.DataFrame
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        return self.sentence

    def table(self) -> pd.DataFrame:
        return self.frame.copy()

    def plot(self, *, ax=None, **kws: Any) -> Any:
        return plot_forest(self.frame, x_label="", ax=ax, **kws)

    def to_dict(self) -> dict[str, Any]:
        return {"schema": self.schema, "table": to_plain(self.frame)}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FakeEndpoint(FakeResult):
    label: str
    definition: str
    n_subjects: int
    n_events: int


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FakeSummary(FakeResult):
    display_frame: pd.DataFrame

    def display(self) -> pd.DataFrame:
        return self.display_frame.copy()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FakeTrajectory(FakeResult):
    spec: FakeModelSpec
    fit_log: FitLog
    data: pd.DataFrame
    variance_components: pd.DataFrame
    residual_sd: float
    n_subjects: int
    n_obs: int
    mean_frame: pd.DataFrame
    notes: tuple[str, ...] = ("1 column was dropped",)

    def means(self, by: str | None = None) -> pd.DataFrame:
        return self.mean_frame.copy() if by else self.mean_frame.drop(columns="group")

    def individual_slopes(self) -> pd.DataFrame:
        first = self.data.groupby("subject_id", as_index=False).first()
        return first[["subject_id"]].assign(intercept=first["year"], slope=first["year"])


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FakeSlopes(FakeResult):
    difference_frame: pd.DataFrame

    def differences(self) -> pd.DataFrame:
        return self.difference_frame.copy()


@dataclass(frozen=True, kw_only=True)
class FakeLogRank:
    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FakeKM(FakeResult):
    curve_frame: pd.DataFrame
    log_rank: FakeLogRank | None

    def curves(self) -> pd.DataFrame:
        return self.curve_frame.copy()

    def at_risk(self, times: Any) -> pd.DataFrame:
        """Count from the curve frame: subjects whose last step is at or after each time."""
        rows = [
            (group, time, int(part.loc[part["duration"] <= time, "n_at_risk"].iloc[-1]))
            for group, part in self.curve_frame.groupby("group", observed=True)
            for time in times
        ]
        return pd.DataFrame(rows, columns=["group", "duration", "n_at_risk"])


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FakeCox(FakeResult):
    n_events: int


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FakeAssociation(FakeResult):
    spec: FakeAssociationSpec
    models: Mapping[str, FakeCox]
    slopes: pd.DataFrame
    tertiles: FakeKM | None
    trajectory: FakeTrajectory | None
    caveats: tuple[str, ...]
    joint_models: Mapping[str, FakeResult]
    pair: FakeResult | None
    outcome_measure: Measure | None

    def check_proportional_hazards(self) -> pd.DataFrame:
        rows = [(method, LABELS[method], "global", 1.234, 1, 0.267) for method in self.models]
        columns = ["method", "label", "term", "statistic", "df", "p_value"]
        return pd.DataFrame(rows, columns=columns)

    def forest_frame(self) -> pd.DataFrame:
        frame = self.frame
        return pd.DataFrame(
            {
                "label": frame["label"],
                "estimate": frame["hazard_ratio"],
                "conf_low": frame["hazard_ratio_low"],
                "conf_high": frame["hazard_ratio_high"],
                "n": "108 subjects, 17 events",
                "instead": ["r = 0.41 (0.12 to 0.63)", "", ""],
            }
        )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FakeStudy(Result):
    spec: FakeStudySpec
    cohort: Cohort
    summary: FakeSummary
    endpoint: FakeEndpoint
    trajectory: FakeTrajectory
    slopes: FakeSlopes
    progression: FakeKM
    association: FakeAssociation | None
    manifest: Mapping[str, Any]
    not_estimable: tuple[tuple[str, str], ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    flow_frame: pd.DataFrame = field(default_factory=pd.DataFrame)

    def headline(self) -> str:
        said = [self.slopes.headline(), self.endpoint.headline()]
        said += [self.association.headline()] if self.association else []
        said += [f"{section}: not estimable, {why}" for section, why in self.not_estimable]
        return " ".join(said)

    def table(self) -> pd.DataFrame:
        return self.slopes.table()

    def plot(self, *, ax=None, **kws: Any) -> Any:
        return self.slopes.plot(ax=ax, **kws)

    def flow(self) -> pd.DataFrame:
        return self.flow_frame.copy()

    def to_dict(self) -> dict[str, Any]:
        parts = ("summary", "endpoint", "trajectory", "slopes", "progression")
        return {"schema": "study_result/1"} | {p: getattr(self, p).to_dict() for p in parts}


def make_study(
    groups: tuple[str, ...] = ("HC", "SPMS", "PPMS"),
    *,
    origin: str = "real",
    title: str = "Thalamic atrophy and confirmed progression",
    acknowledgement: str = "Data were provided by the Example Registry (example.org, CC-BY 4.0).",
    associated: bool = True,
    converged: bool = True,
    n_per_group: int = 36,
    seed: int = 7,
) -> FakeStudy:
    """Build a study with these groups; no group at all gives an ungrouped one."""
    rng = np.random.default_rng(seed)
    names = groups or ("all",)
    visits = _visits(rng, names, n_per_group)
    cohort = _cohort(visits, grouped=bool(groups), origin=origin)
    data = visits.assign(group=pd.Categorical(visits["group"], categories=names, ordered=True))
    slopes = _slopes(rng, names, n_per_group)
    progression = _km(rng, names, n_per_group, log_rank=len(names) > 1)
    n_events = int(progression.frame["n_events"].sum())
    n_subjects = int(progression.frame["n_subjects"].sum())
    trajectory = _trajectory(data, means=_means(names, slopes.frame), converged=converged)
    left_out = exclude(
        "endpoint cdp12", "subject", f"no EDSS at baseline {names[-1]}", ["S0", "S1"]
    )
    spec = FakeStudySpec(
        title=title,
        acknowledgement=acknowledgement,
        analysis=FakeAnalysisSpec(
            measure="thalamus_ml",
            outcome="cdp12",
            group="group" if groups else None,
            covariates=("age_years",),
        ),
    )
    return FakeStudy(
        spec=spec,
        cohort=cohort,
        summary=_summary(groups, n_per_group * len(names), len(visits)),
        endpoint=FakeEndpoint(
            schema="endpoint_result/1",
            sentence=f"{n_events} of {n_subjects} subjects reached 12-week confirmed progression.",
            frame=pd.DataFrame({"subject_id": ["S0"], "duration": [10], "event": [True]}),
            label="12-week confirmed worsening of EDSS",
            definition="An increase of at least 1.0 from a baseline of at most 5.5 (0.5 above it), "
            "still present 12 weeks later. Source: a made-up citation.",
            n_subjects=n_subjects,
            n_events=n_events,
            exclusions=left_out,
        ),
        trajectory=trajectory,
        slopes=slopes,
        progression=progression,
        association=_association(rng, n_per_group, trajectory) if associated else None,
        manifest=build_manifest(
            command=["pmsstats", "report", "study.toml"],
            spec=spec,
            origin=cohort.origin,
            sources=cohort.sources,
            seed=7 if origin == "synthetic" else None,
        ),
        not_estimable=()
        if associated
        else (("Association", "no event among 108 subjects: nothing to relate."),),
        exclusions=left_out,
        flow_frame=_flow(len(visits), n_per_group * len(names)),
    )


def hostile_study() -> FakeStudy:
    """Seven groups whose long names are markup, in synthetic data, with a title to match."""
    return make_study(
        LONG_NAMES,
        origin="synthetic",
        title=f'Atrophy {MARKUP} & "quotes" {{{{ 7 * 7 }}}}',
        acknowledgement=f"Thanks to {MARKUP} <img src=http://example.org/x.png>",
        n_per_group=12,
        converged=False,
    )


def _visits(rng: np.random.Generator, names: tuple[str, ...], n_per_group: int) -> pd.DataFrame:
    """Draw declining volumes at about yearly visits, one visit for a few."""
    rows = []
    for g, name in enumerate(names):
        for i in range(n_per_group):
            level, slope = rng.normal(8 - 0.2 * g, 0.6), rng.normal(-0.05 - 0.05 * g, 0.04)
            for k in range(int(rng.integers(1, 6))):
                day = int(k * 365 + (k > 0) * rng.integers(-30, 31))
                value = level + slope * day / DAYS + rng.normal(0, 0.06)
                rows.append((f"G{g}-{i:03d}", day, round(value, 3), name))
    frame = pd.DataFrame(rows, columns=["subject_id", "day", "thalamus_ml", "group"])
    return frame.assign(year=frame["day"] / DAYS)


def _cohort(visits: pd.DataFrame, *, grouped: bool, origin: str) -> Cohort:
    """Make a validated cohort of the visits."""
    subjects = visits.groupby("subject_id", sort=False, as_index=False)["group"].first()
    subjects["age_years"] = 40.0 + np.arange(len(subjects)) % 25
    own = Measure(
        name="thalamus_ml",
        label="Thalamus volume",
        unit="ml",
        worsening="lower",
        plausible=(5.5, 9.5),
    )
    return Cohort(
        subjects if grouped else subjects.drop(columns="group"),
        visits[["subject_id", "day", "thalamus_ml"]],
        dictionary=default_dictionary().extend(own),
        origin=origin,
        sources=[Source(name="visits.csv", sha256="ab" * 32, n_rows=len(visits), role="visits")],
    )


def _summary(groups: tuple[str, ...], n_subjects: int, n_visits: int) -> FakeSummary:
    """Write a Table 1 with a column per group."""
    rows = [
        ("Subjects", "n"),
        ("Age (years)", "mean (SD)"),
        ("Sex", "n (%)"),
        ("  female", "n (%)"),
        ("Baseline thalamus volume (ml)", "median [quartiles]"),
        ("Follow-up (years)", "median [range]"),
    ]
    frame = pd.DataFrame(rows, columns=["Characteristic", "Statistic"])
    cells = ["36", "51.3 (9.8)", "", "21 (58 %)", "7.83 [7.4, 8.21]", "2.1 [0.0, 4.2]"]
    for name in (*groups, "Total"):
        frame[name] = cells
    return FakeSummary(
        schema="cohort_summary/1",
        sentence=f"{n_subjects} subjects with {n_visits} visits were analysed.",
        frame=pd.DataFrame({"statistic": ["n"], "value": [float(n_subjects)]}),
        display_frame=frame,
    )


def _estimates(rng: np.random.Generator, centre: np.ndarray, width: float) -> dict[str, Any]:
    """Draw estimates with symmetric intervals."""
    estimate = centre + rng.normal(0, width / 4, len(centre))
    half = 1.96 * width
    return {
        "estimate": estimate,
        "std_error": np.full(len(centre), width),
        "statistic": estimate / width,
        "p_value": rng.uniform(1e-5, 0.2, len(centre)),
        "conf_low": estimate - half,
        "conf_high": estimate + half,
    }


def _slopes(rng: np.random.Generator, names: tuple[str, ...], n: int) -> FakeSlopes:
    """Draw slopes and their differences from the first group."""
    table = pd.DataFrame(
        {"term": names, **_estimates(rng, -0.05 - 0.05 * np.arange(len(names)), 0.01)}
    )
    table["baseline"] = 8 - 0.2 * np.arange(len(names))
    table["n_subjects"] = n
    for column in ("estimate", "conf_low", "conf_high"):
        table[f"percent_{column}"] = 100 * table[column] / table["baseline"]
    others = [f"{name} - {names[0]}" for name in names[1:]]
    differences = pd.DataFrame(
        {"term": others, **_estimates(rng, np.full(len(others), -0.05), 0.015)}
    )
    first = table.iloc[0]
    said = format_interval(first["estimate"], first["conf_low"], first["conf_high"])
    return FakeSlopes(
        schema="slopes_result/1",
        sentence=f"Thalamus volume changed by {said} ml per year in {names[0]}.",
        frame=table,
        difference_frame=differences,
    )


def _trajectory(data: pd.DataFrame, *, means: pd.DataFrame, converged: bool) -> FakeTrajectory:
    """Wrap the rows as if a model had been fitted to them."""
    coefficients = pd.DataFrame(
        {
            "term": ["Intercept", "year", "age_years"],
            **_estimates(np.random.default_rng(3), np.array([8.0, -0.1, 0.002]), 0.02),
        }
    )
    components = pd.DataFrame(
        [
            ("subject_id", "Intercept", "Intercept", 0.36, "variance"),
            ("subject_id", "Intercept", "year", -0.003, "covariance"),
            ("subject_id", "Intercept", "year", -0.12, "correlation"),
            ("subject_id", "year", "year", 0.0016, "variance"),
        ],
        columns=["group", "term1", "term2", "estimate", "kind"],
    )
    return FakeTrajectory(
        schema="lmm_result/1",
        sentence="A mixed model.",
        frame=coefficients,
        spec=FakeModelSpec(text="thalamus_ml ~ year * group + age_years + (year | subject_id)"),
        fit_log=FitLog(
            engine="statsmodels",
            engine_version="0.14.6",
            optimiser="lbfgs",
            converged=converged,
            message="" if converged else "maximum number of iterations reached",
            log_likelihood=-1234.5678,
        ),
        data=data,
        variance_components=components,
        residual_sd=0.06,
        mean_frame=means,
        n_subjects=data["subject_id"].nunique(),
        n_obs=len(data),
    )


def _means(names: tuple[str, ...], slopes: pd.DataFrame) -> pd.DataFrame:
    """Draw straight means with bands that widen."""
    year = np.linspace(0, 4.2, 15)
    parts = []
    for row in slopes.itertuples():
        mean = row.baseline + row.estimate * year
        half = 0.12 + 0.03 * year
        parts.append(
            pd.DataFrame(
                {
                    "group": row.term,
                    "year": year,
                    "estimate": mean,
                    "conf_low": mean - half,
                    "conf_high": mean + half,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _km(rng: np.random.Generator, names: tuple[str, ...], n: int, *, log_rank: bool) -> FakeKM:
    """Draw falling step curves: one subject leaves at each step, some with an event."""
    curves, table = [], []
    for g, name in enumerate(names):
        duration = np.sort(rng.integers(60, 1700, n))
        event = rng.uniform(size=n) < 0.2 + 0.06 * g
        n_at_risk = n - np.arange(n)
        survival = np.cumprod(1 - event / n_at_risk)
        spread = 0.02 + 0.1 * (1 - survival)
        curves.append(
            pd.DataFrame(
                {
                    "group": name,
                    "duration": [0, *duration],
                    "survival": [1, *survival],
                    "conf_low": [1, *np.clip(survival - spread, 0, 1)],
                    "conf_high": [1, *np.clip(survival + spread, 0, 1)],
                    "n_at_risk": [n, *n_at_risk],
                }
            )
        )
        reached = survival.min() <= 0.5
        median = duration[np.argmax(survival <= 0.5)] if reached else np.nan
        table.append((name, n, int(event.sum()), median, median * 0.8, np.nan))
    frame = pd.concat(curves, ignore_index=True)
    frame["group"] = pd.Categorical(frame["group"], categories=names, ordered=True)
    columns = ["group", "n_subjects", "n_events", "median", "conf_low", "conf_high"]
    return FakeKM(
        schema="km_result/1",
        sentence=f"Median time to event in {names[0]}: not reached.",
        frame=pd.DataFrame(table, columns=columns),
        curve_frame=frame,
        log_rank=FakeLogRank(statistic=7.31, df=len(names) - 1, p_value=0.0259)
        if log_rank
        else None,
    )


def _association(rng: np.random.Generator, n: int, trajectory: FakeTrajectory) -> FakeAssociation:
    """Draw a correlation, two hazard ratios and curves by third."""
    estimates = _estimates(rng, np.log([1.8, 1.35]), 0.18)
    correlation = {"estimate": 0.41, "conf_low": 0.12, "conf_high": 0.63}
    estimates = {
        name: np.insert(np.asarray(values, dtype=float), 0, correlation.get(name, 0.1))
        for name, values in estimates.items()
    }
    table = pd.DataFrame(
        {
            "method": list(LABELS),
            "label": list(LABELS.values()),
            "quantity": ["correlation", "log hazard ratio", "log hazard ratio"],
            "term": [
                "Thalamus volume: faster decline with faster increase of EDSS",
                "Thalamus volume: per SD faster decline",
                "Thalamus volume: per SD lower value",
            ],
            **estimates,
        }
    )
    for new, old in (("", "estimate"), ("_low", "conf_low"), ("_high", "conf_high")):
        table[f"hazard_ratio{new}"] = np.exp(table[old]).where(table["method"] != CORRELATION)
    table = table.assign(
        sd=[np.nan, 0.041, 0.62],
        sd_unit=["", "ml/year", "ml"],
        n_subjects=108,
        n_events=[0, 17, 17],
        note="",
    )
    ratio = table.loc[1, ["hazard_ratio", "hazard_ratio_low", "hazard_ratio_high"]]
    cox = pd.DataFrame({"term": ["marker", "age_years"], "estimate": [0.5, 0.01]})
    models = {
        method: FakeCox(schema="cox_result/1", sentence="A Cox model.", frame=cox, n_events=17)
        for method in table["method"]
        if method != CORRELATION
    }
    return FakeAssociation(
        schema="association_result/1",
        sentence=f"Hazard ratio per SD of faster atrophy: {format_interval(*ratio)}.",
        frame=table,
        spec=FakeAssociationSpec(),
        models=models,
        slopes=trajectory.individual_slopes(),
        tertiles=_km(rng, ("slowest decline", "middle third", "fastest decline"), n, log_rank=True),
        trajectory=trajectory,
        caveats=("Two-stage: the error of the slopes is ignored.",),
        joint_models={},
        pair=None,
        outcome_measure=Measure(name="edss", label="EDSS", worsening="higher"),
    )


def _flow(n_visits: int, n_subjects: int) -> pd.DataFrame:
    """Count two steps down."""
    rows = [
        (
            "Reading and selection",
            "subject",
            n_subjects + 12,
            12,
            "group is not asked for",
            n_subjects,
        ),
        ("Reading and selection", "visit", n_visits, 0, "", n_visits),
        ("Endpoint", "subject", n_subjects, 7, "no EDSS at baseline", n_subjects - 7),
        ("Endpoint", "subject", n_subjects - 7, 3, f"no visit after it {MARKUP}", n_subjects - 10),
        ("Trajectory", "visit", n_visits, 0, "", n_visits),
    ]
    return pd.DataFrame(rows, columns=["stage", "unit", "n_in", "n_excluded", "reason", "n_out"])
