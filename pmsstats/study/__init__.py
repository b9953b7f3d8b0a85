"""The main job: a study file in, everything that its report shows out."""

from __future__ import annotations

from pmsstats.study.demo import write_demo_study
from pmsstats.study.questions import check_questions
from pmsstats.study.run import STEPS, StudyResult, run_study
from pmsstats.study.spec import AnalysisSpec, StudySpec, read_study

__all__ = [
    "STEPS",
    "AnalysisSpec",
    "StudyResult",
    "StudySpec",
    "check_questions",
    "read_study",
    "run_study",
    "write_demo_study",
]
