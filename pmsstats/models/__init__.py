"""Models: trajectories (mixed and marginal models), other responses, survival of events."""

from __future__ import annotations

from pmsstats.models.curves.cumulative_incidence import (
    CumulativeIncidenceSpec,
    fit_cumulative_incidence,
)
from pmsstats.models.curves.cumulative_incidence_result import CumulativeIncidenceResult
from pmsstats.models.curves.kaplan_meier import KMResult, KMSpec, fit_km
from pmsstats.models.curves.log_rank import LogRankSpec, compare_survival
from pmsstats.models.curves.log_rank_result import LogRankResult
from pmsstats.models.curves.rmst import RMSTSpec, rmst
from pmsstats.models.curves.rmst_result import RMSTResult
from pmsstats.models.curves.turnbull import TurnbullSpec, fit_turnbull
from pmsstats.models.curves.turnbull_result import TurnbullResult
from pmsstats.models.events.fine_gray import FineGraySpec, fit_fine_gray
from pmsstats.models.events.fine_gray_result import FineGrayResult
from pmsstats.models.events.landmark import LandmarkResult, fit_landmark
from pmsstats.models.events.landmark_rows import LandmarkSpec
from pmsstats.models.events.survival import CoxResult, CoxSpec, fit_cox
from pmsstats.models.fixed_effects.anova import AnovaResult, anova
from pmsstats.models.fixed_effects.marginal_means import estimate_means
from pmsstats.models.fixed_effects.margins import SlopesResult, estimate_slopes
from pmsstats.models.fixed_effects.means_result import MeansResult
from pmsstats.models.fixed_effects.slope_ratio import SlowingResult, estimate_slowing
from pmsstats.models.joint.joint import fit_joint
from pmsstats.models.joint.result import JointResult
from pmsstats.models.joint.spec import JointSpec
from pmsstats.models.joint.total_association import estimate_total_association
from pmsstats.models.kernels.cox_batch import CoxBatch, cox_batch
from pmsstats.models.kernels.log_rank_batch import (
    CoxScoreBatch,
    LogRankBatch,
    cox_score_batch,
    log_rank_batch,
)
from pmsstats.models.missing import (
    DeltaAdjustment,
    EstimandStrategy,
    Imputation,
    ImputationResult,
    ImputedBatch,
    MissingSpec,
    TippingPointResult,
    estimate_with_missing,
    impute,
    impute_batch,
    tipping_point,
)
from pmsstats.models.mixed.bootstrap_result import BootstrapResult
from pmsstats.models.mixed.cross_check import CrossCheckResult, cross_check
from pmsstats.models.mixed.diagnostics_result import DiagnosticsResult
from pmsstats.models.mixed.influence import estimate_influence
from pmsstats.models.mixed.influence_result import InfluenceResult
from pmsstats.models.mixed.likelihood_ratio_result import LikelihoodRatioResult
from pmsstats.models.mixed.lmm import LMMResult, LMMSpec, RandomTerm, fit_lmm
from pmsstats.models.mixed.lmm_batch import LMMBatchResult, fit_lmm_batch
from pmsstats.models.mixed.lmm_bootstrap import bootstrap_lmm, bootstrap_variance_test
from pmsstats.models.mixed.lmm_diagnostics import diagnose
from pmsstats.models.mixed.lmm_prediction import (
    BlupsResult,
    estimate_blups,
    predict_marginal,
    predict_subjects,
)
from pmsstats.models.mixed.variance_tests import compare_fixed, compare_variances
from pmsstats.models.pairs import PairResult, PairSpec, fit_pair
from pmsstats.models.parametric.aft import AFTSpec, fit_aft
from pmsstats.models.parametric.aft_result import AFTResult
from pmsstats.models.parametric.flexible import FlexibleSpec, fit_flexible
from pmsstats.models.parametric.flexible_result import FlexibleResult
from pmsstats.models.prediction.accuracy_result import PredictionAccuracyResult
from pmsstats.models.prediction.compare import compare_predictions, estimate_accuracy
from pmsstats.models.prediction.joint_prediction import JointPredictor
from pmsstats.models.prediction.predictors import CoxPredictor, LandmarkPredictor
from pmsstats.models.prediction.spec import PredictionSpec
from pmsstats.models.prediction.survival_prediction import SurvivalPredictionResult
from pmsstats.models.prediction.two_stage import TwoStagePredictor
from pmsstats.models.recurrent.intervals import recurrent_intervals
from pmsstats.models.recurrent.mean_function import (
    MeanFunctionResult,
    MeanFunctionSpec,
    estimate_mean_function,
)
from pmsstats.models.recurrent.recurrent import RecurrentResult, RecurrentSpec, fit_recurrent
from pmsstats.models.repeated.mmrm import FALLBACKS, MMRMResult, MMRMSpec, fit_mmrm
from pmsstats.models.repeated.mmrm_batch import MMRMBatchResult, fit_mmrm_batch
from pmsstats.models.responses.counts import CountsResult, CountsSpec, fit_counts
from pmsstats.models.responses.gee import GEEResult, GEESpec, fit_gee
from pmsstats.models.responses.ordinal import OrdinalResult, OrdinalSpec, fit_ordinal
from pmsstats.models.responses.ordinal_mixed import OrdinalMixedSpec, fit_ordinal_mixed
from pmsstats.models.responses.ordinal_mixed_result import OrdinalMixedResult
from pmsstats.models.states.edss_bands import EDSSBands, derive_edss_bands
from pmsstats.models.states.multistate import fit_multistate
from pmsstats.models.states.multistate_result import MultistateResult
from pmsstats.models.states.multistate_spec import MultistateSpec

__all__ = [
    "FALLBACKS",
    "AFTResult",
    "AFTSpec",
    "AnovaResult",
    "BlupsResult",
    "BootstrapResult",
    "CountsResult",
    "CountsSpec",
    "CoxBatch",
    "CoxPredictor",
    "CoxResult",
    "CoxScoreBatch",
    "CoxSpec",
    "CrossCheckResult",
    "CumulativeIncidenceResult",
    "CumulativeIncidenceSpec",
    "DeltaAdjustment",
    "DiagnosticsResult",
    "EDSSBands",
    "EstimandStrategy",
    "FineGrayResult",
    "FineGraySpec",
    "FlexibleResult",
    "FlexibleSpec",
    "GEEResult",
    "GEESpec",
    "Imputation",
    "ImputationResult",
    "ImputedBatch",
    "InfluenceResult",
    "JointPredictor",
    "JointResult",
    "JointSpec",
    "KMResult",
    "KMSpec",
    "LMMBatchResult",
    "LMMResult",
    "LMMSpec",
    "LandmarkPredictor",
    "LandmarkResult",
    "LandmarkSpec",
    "LikelihoodRatioResult",
    "LogRankBatch",
    "LogRankResult",
    "LogRankSpec",
    "MMRMBatchResult",
    "MMRMResult",
    "MMRMSpec",
    "MeanFunctionResult",
    "MeanFunctionSpec",
    "MeansResult",
    "MissingSpec",
    "MultistateResult",
    "MultistateSpec",
    "OrdinalMixedResult",
    "OrdinalMixedSpec",
    "OrdinalResult",
    "OrdinalSpec",
    "PairResult",
    "PairSpec",
    "PredictionAccuracyResult",
    "PredictionSpec",
    "RMSTResult",
    "RMSTSpec",
    "RandomTerm",
    "RecurrentResult",
    "RecurrentSpec",
    "SlopesResult",
    "SlowingResult",
    "SurvivalPredictionResult",
    "TippingPointResult",
    "TurnbullResult",
    "TurnbullSpec",
    "TwoStagePredictor",
    "anova",
    "bootstrap_lmm",
    "bootstrap_variance_test",
    "compare_fixed",
    "compare_predictions",
    "compare_survival",
    "compare_variances",
    "cox_batch",
    "cox_score_batch",
    "cross_check",
    "derive_edss_bands",
    "diagnose",
    "estimate_accuracy",
    "estimate_blups",
    "estimate_influence",
    "estimate_mean_function",
    "estimate_means",
    "estimate_slopes",
    "estimate_slowing",
    "estimate_total_association",
    "estimate_with_missing",
    "fit_aft",
    "fit_counts",
    "fit_cox",
    "fit_cumulative_incidence",
    "fit_fine_gray",
    "fit_flexible",
    "fit_gee",
    "fit_joint",
    "fit_km",
    "fit_landmark",
    "fit_lmm",
    "fit_lmm_batch",
    "fit_mmrm",
    "fit_mmrm_batch",
    "fit_multistate",
    "fit_ordinal",
    "fit_ordinal_mixed",
    "fit_pair",
    "fit_recurrent",
    "fit_turnbull",
    "impute",
    "impute_batch",
    "log_rank_batch",
    "predict_marginal",
    "predict_subjects",
    "recurrent_intervals",
    "rmst",
    "tipping_point",
]
