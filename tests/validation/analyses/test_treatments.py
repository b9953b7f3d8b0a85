"""Effects of treatment, study by study, beside analysis of covariance and Poisson models."""

from __future__ import annotations

import numpy as np
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats
from studies_by_hand import EXACT, slopes, third

from pmsstats.validation.analyses import TreatmentEffect


def test_effect_on_rate_and_on_change(trial):
    studies, _, long = trial
    rate = TreatmentEffect(measure="thalamus_ml", groups=("PPMS",), percent=False)
    on = set(long.loc[long["arm"] == "active", "subject_id"])
    slope = slopes(long, "thalamus_ml", "PPMS")
    is_active = slope.index.isin(on)
    expected = stats.ttest_ind(slope[is_active], slope[~is_active], equal_var=False).pvalue
    np.testing.assert_allclose(third(rate.estimate(studies))[2], expected, rtol=1e-6)
    first, last = (long[long["day"] == d].set_index("subject_id") for d in (0, long["day"].max()))
    data = first.assign(change=last["thalamus_ml"] - first["thalamus_ml"])
    fit = smf.ols("change ~ I(arm == 'active') + thalamus_ml", data).fit()
    change = TreatmentEffect(
        measure="thalamus_ml", groups=("PPMS",), kind="change", percent=False
    ).estimate(studies)
    expected = [fit.params.iloc[1], fit.bse.iloc[1], fit.pvalues.iloc[1]]
    np.testing.assert_allclose(third(change), expected, rtol=EXACT)


def test_effect_on_counts_is_quasi_poisson_by_arm(trial):
    studies, _, long = trial
    found = TreatmentEffect(measure="new_t2_count", groups=("PPMS",), kind="count").estimate(
        studies
    )
    total = long[long["day"] > 0].groupby(["arm", "subject_id"])["new_t2_count"].sum().reset_index()
    active = (total["arm"] == "active").astype(float)
    fit = sm.GLM(total["new_t2_count"], sm.add_constant(active), sm.families.Poisson()).fit(
        cov_type="HC0"
    )
    np.testing.assert_allclose(third(found)[0], fit.params.iloc[1], rtol=1e-7)
    small_sample = 30 / 29  # n / (n - 1) in each arm, against the sandwich
    np.testing.assert_allclose(third(found)[1] ** 2, fit.bse.iloc[1] ** 2 * small_sample, rtol=1e-6)
