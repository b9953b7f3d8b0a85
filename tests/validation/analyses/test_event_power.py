"""Power of a trial on events, study by study, beside Schoenfeld's formula."""

from __future__ import annotations

import numpy as np
from scipy import stats
from studies_by_hand import survival, third

from pmsstats.validation.analyses import OutcomeSensitivity


def test_power_of_a_trial_on_events_is_schoenfelds(rated):
    studies, _, long = rated
    found = OutcomeSensitivity(outcome="cdp12", groups=("PPMS",), n_per_arm=50).estimate(studies)
    data = survival(studies.select(("PPMS",)), long[long["phenotype"] == "PPMS"], "cdp12")
    share = data["event"].mean()
    events = 50 * share + 50 * (1 - (1 - share) ** 0.7)
    power = stats.norm.cdf(abs(np.log(0.7)) * np.sqrt(events / 4) - 1.959963984540054)
    np.testing.assert_allclose(third(found)[0], 100 * (power - 0.8), rtol=1e-7)
