"""Cohorts: the data dictionary, validated tables, readers."""

from __future__ import annotations

from pmsstats.cohort.cohort import Cohort
from pmsstats.cohort.io import read_cohort
from pmsstats.cohort.schema import DataDictionary, Measure, default_dictionary

__all__ = ["Cohort", "DataDictionary", "Measure", "default_dictionary", "read_cohort"]
