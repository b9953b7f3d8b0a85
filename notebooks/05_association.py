# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does faster atrophy mean earlier disability progression? One question, eight answers, the truth
#
# A marker is measured once a year and with error; the event, confirmed disability progression,
# happens in between, and ends what can be seen of many patients. There are many ways to relate the
# two, and they do not give the same number. Here all are tried on the same cohort, then on a
# hundred cohorts whose truth is known.
#
# 1. The question.
# 2. Eight answers on one cohort.
# 3. Why they differ: error, dropout, and level.
# 4. The truth: bias and coverage of each method.
# 5. Inside the joint model: what it assumes, and what certifies its maximum.
# 6. One patient: a forecast.
# 7. What to use when.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import pmsstats as pms
from pmsstats.errors import EvidenceUncheckedWarning
from pmsstats.models import estimate_total_association, fit_joint
from pmsstats.plots import PALETTE, theme
from pmsstats.validation import check_association
from synthetic import generate_cohort, preset

# %% [markdown]
# ## 1. The question
#
# Six hundred patients with progressive MS: thalamic volume once a year, EDSS every twelve weeks,
# progression confirmed after twelve weeks.

# %%
warnings.simplefilter("ignore", EvidenceUncheckedWarning)  # notebook 04 counts them
cohort = generate_cohort("progressive", seed=5, n_subjects=600)
endpoint = pms.derive_progression(cohort, "cdp12")
print(endpoint.headline())

# %% [markdown]
# ## 2. Eight answers on one cohort
#
# Two questions are mixed in "does atrophy matter": does a fast *decline* go with progression (the
# slope), and does a low *volume* go with it (the current value)? Every hazard ratio is per standard
# deviation (SD) of true slopes, or of values, towards worse. Two methods give a correlation of
# slopes, of thalamic volume and of EDSS, instead.

# %%
answers = pms.associate(cohort, "thalamus_ml", endpoint)
columns = ["label", "quantity", "estimate", "hazard_ratio", "hazard_ratio_low", "hazard_ratio_high"]
answers.table()[columns].round(2)

# %%
with theme():
    fig, ax = plt.subplots(figsize=(7.5, 5.6))
    answers.plot(ax=ax)
    plt.show()
print(answers.headline())

# %% [markdown]
# The methods on the slope do not agree. Which one is right cannot be read off this figure, and a
# narrow interval is no argument: the narrowest belongs to the method that takes each slope as
# known.
#
# ## 3. Why they differ
#
# Three scans lie on a line only roughly. A slope fitted to one patient's scans varies far more than
# true slopes do; one predicted by a mixed model is pulled to the mean, and varies less. In
# synthetic patients the true slopes are known.

# %%
true = cohort.truth.subjects.set_index("subject_id")["thalamus_ml_slope"]
predicted = answers.slopes.set_index("subject_id")["slope"]
visits = cohort.visits[cohort.visits["thalamus_ml"].notna()]


def line(part: pd.DataFrame) -> float:
    """Fit a straight line to one patient's volumes."""
    return np.polyfit(part["year"], part["thalamus_ml"], 1)[0] if len(part) > 1 else np.nan


own = visits.groupby("subject_id")[["year", "thalamus_ml"]].apply(line)
slopes = pd.DataFrame({"true": true, "own line": own, "predicted": predicted}).dropna()
spread = slopes.std().rename("SD, ml per year").to_frame()
spread["correlation with the true slope"] = slopes.corr()["true"]
spread.round(3)

# %%
with theme():
    fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), sharex=True, sharey=True)
    for ax, name in zip(axes, ("own line", "predicted"), strict=True):
        ax.plot(slopes["true"], slopes[name], ".", color=PALETTE[0], alpha=0.4)
        ax.axline((0, 0), slope=1, color=PALETTE[1], lw=1.2)
        ax.set_title(f"Slope: {name}")
        ax.set_xlabel("True slope, ml per year")
    axes[0].set_ylabel("Slope as analysed, ml per year")
    plt.show()

# %% [markdown]
# Both kinds of slope stand for the truth with an error, which pulls the hazard ratio towards 1. Two
# things pull the other way. Predicted slopes **borrow from levels**: who has a small thalamus is
# predicted to lose more, and a small thalamus goes with progression for reasons of its own. And
# those who worsen **leave earlier**, so that few scans remain of the very patients the question is
# about.
#
# ## 4. The truth
#
# Thirty cohorts of 400 patients, each analysed by every method. The truth is what a Cox model finds
# on the *true* slopes (or true current volumes) of 8,000 patients with the same visits, dropout
# and definition of progression.

# %%
recovery = check_association(
    generate_cohort, preset("progressive"), "thalamus_ml", "cdp12", seed=12, n_subjects=400,
    n_replicates=30, n_truth=8_000, n_jobs=2,
)  # fmt: skip
shown = ["method", "n_failed", "truth", "mean_estimate", "bias", "bias_mcse", "empirical_se",
         "model_se", "coverage"]  # fmt: skip
recovery.table()[shown].round(2)

# %%
with theme():
    fig, ax = plt.subplots(figsize=(7.5, 4.8))
    recovery.plot(ax=ax)
    plt.show()
print(recovery.headline())

# %% [markdown]
# - **Least-squares slopes** find half of the association, and their narrow intervals miss the truth
#   in most cohorts.
# - **Landmark**: two scans by the landmark tell next to nothing of a slope; estimates are all over
#   the place.
# - **Predicted slopes** from all visits come near, and so does the **joint model** of slope and
#   level, whose interval is wider: it allows for the error of every slope, the other does not.
# - For the **current value** the joint model and the time-varying Cox model hardly differ here,
#   because a thalamus is measured with an error that is small beside the differences between
#   patients.
#
# Is the two-stage method then good enough? It used scans made *after* progression. A trial that
# stops at the event has none, and with scans up to the event alone the two errors no longer cancel:

# %%
stopped = check_association(
    generate_cohort, preset("progressive"), "thalamus_ml", "cdp12", seed=12, n_subjects=400,
    n_replicates=30, n_truth=8_000, n_jobs=2, methods=("two_stage",), slope_visits="until_event",
)  # fmt: skip
stopped.table()[shown].round(2)

# %% [markdown]
# The joint model never uses them. It needs its assumptions instead: straight courses, normal levels
# and slopes, a hazard that depends on them and on nothing else that goes with them.
#
# ## 5. Inside the joint model
#
# Two models at once, which share each patient's level and slope: a mixed model for the volumes up
# to the event, and a hazard that depends on the true level and slope. Both are fitted in one
# likelihood by integrating over what is not seen. The same can be asked for by hand.

# %%
events = endpoint.table()
people = events[events["duration"] > 0].assign(duration=lambda d: d["duration"] / 365.25)
scans = visits.merge(people[["subject_id", "day_baseline"]], on="subject_id")
scans["year"] = (scans["day"] - scans["day_baseline"]) / 365.25
formula = "thalamus_ml ~ year + (year | subject_id)"
joint = fit_joint(scans, people, formula, association="random_effects", origin=cohort.origin)
print(joint.headline())
estimate_total_association(joint).round(3)

# %% [markdown]
# The *total* association of the slope is that of patients whose slopes differ by one SD, and whose
# levels differ as they then do on average: what the other methods on slopes aim at, too. A model
# whose hazard depends on the slope alone looks simpler and is badly off, because it lets the slope
# stand for the level as well:

# %%
alone = fit_joint(scans, people, formula, association="slope", origin=cohort.origin)
sd_slope = joint.association_table()["sd"].iloc[-1]
per_sd = alone.association_table().loc[0, "estimate_per_sd"]
total = estimate_total_association(joint)["estimate"].iloc[-1]
print(f"log hazard ratio per SD slower: slope and level {total:.2f}, slope alone {per_sd:.2f}")
print(f"log-likelihood: {joint.log_likelihood:.1f}, {alone.log_likelihood:.1f}")

# %% [markdown]
# No fit is returned without a certificate: the next Newton step would move no estimate by more than
# a millionth of a standard error, the information has full rank, and twice the quadrature nodes
# would change next to nothing.

# %%
certificate = joint.certificate
pd.Series(
    {
        "Newton step, in standard errors": certificate.decrement,
        "rank of the information, of": f"{certificate.rank} of {certificate.n_theta}",
        "twice the nodes over random effects: change, in SE": certificate.nodes.estimates,
        "twice the points over time: change, in SE": certificate.time.estimates,
    }
).to_frame("value")

# %% [markdown]
# Progression is only seen at visits. Said so (the event lies between the last visit without and the
# first visit with it), the baseline hazard is that of the event and not of the visit that found it.

# %%
seen = people.assign(
    lower=people["interval_left"] / 365.25, upper=people["interval_right"] / 365.25
)
between = fit_joint(
    scans, seen, formula, association="random_effects", lower="lower", upper="upper",
    origin=cohort.origin,
)  # fmt: skip
print(f"dated to visits: {total:.2f}, between visits: "
      f"{estimate_total_association(between)['estimate'].iloc[-1]:.2f}")  # fmt: skip

# %% [markdown]
# ## 6. One patient: a forecast
#
# A patient without progression after a year and a half: the volumes so far, and the probability of
# staying without progression.

# %%
landmark = 1.5
at_risk = people[people["duration"] > landmark]
loss = predicted.reindex(at_risk["subject_id"]).dropna()
patient = loss.index[loss.argmin()]  # the fastest predicted loss among those still at risk
history = scans[scans["subject_id"] == patient]
forecast = joint.predict_survival(
    history,
    landmark=landmark,
    horizons=(1.75, 2.0, 2.25, 2.5, 2.75),
    survival=at_risk[at_risk["subject_id"] == patient],
    seed=6,
)
with theme():
    forecast.plot()
    plt.show()
print(forecast.headline())

# %% [markdown]
# ## 7. What to use when
#
# - **Does the rate go with the outcome?** The joint model with level and slope (`joint_slope`), or,
#   where the outcome is a score of its own, the corrected correlation of slopes.
# - **Does the level go with it?** `joint_value`; the time-varying Cox model if the measurement
#   error is small.
# - **Can it be predicted?** A landmark model or a joint model's forecast, judged on patients who
#   were not in the fit (`pms.compare_predictions`).
# - **Never**: a Cox model on each patient's own least-squares slope, and any narrow interval that
#   comes from taking an estimate for the truth.
#
# That the joint model does well here does not prove it right elsewhere: courses that bend, or a
# hazard that depends on something else, are its risk. The last cell checks every statement that the
# text relies on.

# %%
rows = answers.table().set_index("method")
assert not rows["note"].any()
assert len(rows) == 8
narrowest = rows[rows["quantity"] == "log hazard ratio"].drop(["time_varying", "joint_value"])
assert narrowest["std_error"].idxmin() == "two_stage_raw"
assert spread.loc["own line", "SD, ml per year"] > spread.loc["true", "SD, ml per year"]
assert spread.loc["predicted", "SD, ml per year"] < spread.loc["true", "SD, ml per year"]
found = recovery.table().set_index("method")
assert found["n_failed"].drop("landmark").max() <= 2
truth = found.loc["two_stage", "truth"]
assert 0.35 < found.loc["two_stage_raw", "mean_estimate"] / truth < 0.65
assert found.loc["two_stage_raw", "coverage"] < 0.5
assert found.loc["landmark", "empirical_se"] > 2 * found.loc["joint_slope", "empirical_se"]
near = found.loc[["two_stage", "joint_slope"]]
assert (near["bias"].abs() < 0.3 * truth).all()
assert (near["coverage"] > 0.85).all()
assert near["model_se"].idxmax() == "joint_slope"
assert stopped.table().loc[0, "bias"] < -4 * stopped.table().loc[0, "bias_mcse"]
values = found.loc[["time_varying", "joint_value"], "mean_estimate"]
assert abs(values.iloc[0] - values.iloc[1]) < 0.05
assert per_sd < 1.3 * total < 0  # both are per SD slower: negative
assert joint.log_likelihood > alone.log_likelihood + 2
assert certificate.decrement < 1e-6
assert certificate.nodes.estimates < 0.05
assert len(history[history["year"] <= landmark]) >= 2
assert forecast.table()["survival"].is_monotonic_decreasing
