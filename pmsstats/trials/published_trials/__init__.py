"""Published trials of progressive MS as scenarios, and what they found."""

from __future__ import annotations

from pmsstats.trials.published_trials.entries import (
    LibraryTrial,
    PublishedFinding,
    library_trial,
    trial_library,
)

__all__ = ["LibraryTrial", "PublishedFinding", "library_trial", "trial_library"]
