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
# # How fast do thalamus, cord and MTR change, and in whom?
#
# Three imaging markers, one model each, on a **synthetic** cohort whose truth we know:
#
# 1. Fit a trajectory per phenotype and look at it.
# 2. Compare the rates, on one scale.
# 3. Ask other programs for a second opinion, digit by digit.
# 4. Look for what could be wrong: residuals, and subjects who decide the answer.
# 5. Do the same question with visits as categories: the MMRM of a trial.
# 6. Ask which marker a trial should use.
# 7. Check the rates against the truth.

# %%
import matplotlib.pyplot as plt
import pandas as pd

import pmsstats as pms
from pmsstats.imaging import compare_responsiveness
from pmsstats.plots import plot_forest, theme
from synthetic import generate_cohort

# %% [markdown]
# ## 1. A trajectory per phenotype
#
# The formula is lme4's: change over time differs by phenotype, and each person has an own level
# and an own rate. Degrees of freedom are Satterthwaite's, as lmerTest gives them.

# %%
cohort = generate_cohort("progressive", seed=2018)
visits = cohort.visits.merge(cohort.subjects[["subject_id", "phenotype"]], on="subject_id")
measures = {
    "thalamus_ml": "Thalamus",
    "cord_area_c2c3_mm2": "Cord area, C2-C3",
    "nawm_mtr_pu": "NAWM MTR",
}
fits = {
    name: pms.fit_lmm(
        visits, f"{name} ~ year * phenotype + (year | subject_id)", origin=cohort.origin
    )
    for name in measures
}
fits["thalamus_ml"]

# %%
with theme():
    fig, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    for ax, name in zip(axes, measures, strict=True):
        fits[name].plot(ax=ax, max_lines=60)

# %% [markdown]
# Do the phenotypes differ in their rate at all? One F test per term, as SAS's "Type 3 Tests of
# Fixed Effects":

# %%
fits["thalamus_ml"].anova()

# %% [markdown]
# ## 2. Rates on one scale
#
# Millilitres, square millimetres and percent units cannot be compared; percent of each group's own
# baseline can.

# %%
slopes = {name: fit.slopes(by="phenotype") for name, fit in fits.items()}
slopes["cord_area_c2c3_mm2"]

# %%
rates = pd.concat(
    [
        found.table().assign(
            label=lambda f, label=measures[name]: label + ", " + f["term"], measure=name
        )
        for name, found in slopes.items()
    ],
    ignore_index=True,
)
columns = {f"percent_{c}": c for c in ("estimate", "conf_low", "conf_high")}
drawn = rates[["label", *columns]].rename(columns=columns)
drawn["n"] = "n = " + rates["n_subjects"].astype(str)
with theme():
    fig, ax = plt.subplots(figsize=(8, 5))
    plot_forest(
        drawn, reference=0.0, x_label="Change, % of baseline per year", origin="synthetic", ax=ax
    )

# %% [markdown]
# ## 3. A second opinion
#
# `cross_check` fits the same model with every other engine that is installed and counts the digits
# on which they agree. Without R it asks statsmodels alone, and says so.

# %%
checks = {name: pms.cross_check(fit) for name, fit in fits.items()}
for check in checks.values():
    print(check.headline())

# %%
with theme():
    fig, ax = plt.subplots(figsize=(7, 3.6))
    checks["thalamus_ml"].plot(ax=ax)

# %% [markdown]
# ## 4. What could be wrong
#
# Residuals and random effects against what the model assumes, and the subjects without whom the
# answer would change most.

# %%
fits["thalamus_ml"].diagnose()

# %%
influence = fits["thalamus_ml"].influence()
influence.table().head()  # each subject's Cook's distance

# %% [markdown]
# ## 5. The same question in a trial
#
# A trial has fixed visits and compares arms at the last one. The mixed model for repeated measures
# makes no line of it: a mean per visit and arm, an unstructured covariance, Kenward-Roger's
# degrees of freedom. Visits that were missed are simply absent.

# %%
trial = generate_cohort("ppms_trial", seed=2018)
arms = trial.visits.merge(trial.subjects[["subject_id", "arm"]], on="subject_id")
scanned = arms[arms["pbvc_pct"].notna() & (arms["day"] > 0)]
mmrm = pms.fit_mmrm(scanned, "pbvc_pct ~ arm * visit + us(visit | subject_id)", origin=trial.origin)
mmrm

# %%
means = mmrm.means()
differences = means.differences(of="arm", within="visit")
differences

# %%
with theme():
    fig, ax = plt.subplots(figsize=(7, 4.2))
    mmrm.plot(ax=ax)

# %% [markdown]
# The straight-line model of the same trial gives one number: by how much treatment slows atrophy,
# with Fieller's interval, because it is a ratio. Change from baseline starts at zero by definition,
# so its lines go through the origin.

# %%
line = pms.fit_lmm(
    scanned, "pbvc_pct ~ 0 + year + year:arm + (0 + year | subject_id)", origin=trial.origin
)
slowing = line.slowing(by="arm")
slowing

# %% [markdown]
# ## 6. Which marker should my trial use?
#
# The standardised response mean is mean change over its standard deviation: the larger, the fewer
# patients. All markers are resampled together, so that their differences have intervals, too.

# %%
progressive = visits[visits["phenotype"].isin(["SPMS", "PPMS"])]
responsiveness = compare_responsiveness(
    progressive,
    list(measures),
    method="slope",
    time="year",
    seed=2018,
    origin=cohort.origin,
)
responsiveness

# %%
with theme():
    fig, ax = plt.subplots(figsize=(7, 2.8))
    responsiveness.plot(ax=ax)

# %% [markdown]
# ## 7. Against the truth
#
# Only an evaluation may look at `cohort.truth`: are the true mean rates of these subjects within
# the intervals?

# %%
truth = cohort.truth.subjects.merge(cohort.subjects[["subject_id", "phenotype"]], on="subject_id")
true_rates = pd.concat(
    [
        truth.groupby("phenotype", observed=True)[f"{name}_slope"]
        .mean()
        .rename("truth")
        .rename_axis("term")
        .reset_index()
        .assign(measure=name)
        for name in measures
    ]
)
compared = rates.merge(true_rates, on=["measure", "term"])
compared["standard_errors_off"] = (compared["estimate"] - compared["truth"]) / compared["std_error"]
compared[["measure", "term", "estimate", "std_error", "truth", "standard_errors_off"]].round(3)

# %% [markdown]
# The last cell checks every statement that the text relies on.

# %%
assert all(fit.fit_log.converged for fit in fits.values())
assert all(check.agrees for check in checks.values())
assert len(compared) == 12
assert (compared["standard_errors_off"].abs() < 3).all()
assert set(differences.columns) >= {"estimate", "std_error", "df", "p_value"}
assert mmrm.fit_log.converged
