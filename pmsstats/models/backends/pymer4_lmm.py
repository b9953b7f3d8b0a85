"""Linear mixed models through R's lme4 and lmerTest, by way of pymer4.

Both lines of pymer4 are served: 0.8 (class ``Lmer``, pandas) and 0.9 (function ``lmer``, polars).
All that is asked of either is to call ``lmerTest::lmer`` with a formula and a frame, and to hand
over R's model object; everything else is read from that object.

The model is fitted on the columns of our own design matrix, on the common scale, under names such
as ``x1`` and ``z1``: so the parametrisation is that of the other engines, whatever R would make of
the factors, and no name of the user's reaches R.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import io
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.errors import BackendUnavailableError, ConvergenceError
from pmsstats.models.backends import EngineFit
from pmsstats.models.backends.lmer_columns import (
    r_frame,
    random_formula,
    sort_covariances,
    sort_modes,
)
from pmsstats.models.fixed_effects.degrees_of_freedom import Satterthwaite
from pmsstats.models.mixed.grouped_fit import certify_any
from pmsstats.models.mixed.grouped_likelihood import GroupedLikelihood
from pmsstats.models.mixed.mixed_design import MixedArrays
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.results import FitLog

__all__ = ["LmerCall", "choose_caller", "fit", "own_answer", "random_formula"]

_GOOD_ENOUGH = 1e-6  # log-likelihood units that could still be gained
_SAME_LIKELIHOOD = 1e-6  # relative; both programs evaluate the same formula in double precision
_CONTROLS = tuple(
    f'check.scaleX = "ignore", optimizer = "{optimizer}", optCtrl = list({options})'
    for optimizer, options in (
        ("nloptwrap", "xtol_abs = 1e-10, xtol_rel = 1e-10, ftol_abs = 1e-12, ftol_rel = 1e-15"),
        ("bobyqa", "rhoend = 1e-9"),
        ("Nelder_Mead", "FtolRel = 1e-15, XtolRel = 1e-9"),
    )
)
_R_PACKAGES = ("lme4", "lmerTest", "emmeans")
_R_PACKAGES_09 = (
    "report", "parameters", "performance", "insight", "broom", "broom.mixed", "tibble", "boot",
)  # fmt: skip
_HOW = (
    "Install R with its packages (Debian, Ubuntu: apt-get install r-base-core r-cran-lme4 "
    "r-cran-lmertest r-cran-emmeans; elsewhere in R: install.packages(c('lme4', 'lmerTest', "
    "'emmeans'))) and the bridge to it: pip install 'pmsstats[r]'. Or use engine='statsmodels'."
)
_EXTRACT = """
function(model) {
  variances <- lme4::VarCorr(model)
  modes <- lapply(lme4::ranef(model, condVar = FALSE), as.matrix)
  is_tested <- is(model, "lmerModLmerTest")
  conv <- model@optinfo$conv
  list(
    fixed = as.numeric(lme4::fixef(model)),
    fixed_covariance = as.matrix(stats::vcov(model)),
    sigma = stats::sigma(model),
    log_likelihood = as.numeric(stats::logLik(model)),
    block_names = unlist(lapply(variances, rownames), use.names = FALSE),
    block_sizes = as.integer(lapply(variances, nrow)),
    versions = c(as.character(packageVersion("lme4")), as.character(packageVersion("lmerTest")),
                 paste(R.version$major, R.version$minor, sep = ".")),
    block_values = as.numeric(unlist(lapply(variances, function(b) as.numeric(as.matrix(b))))),
    mode_names = unlist(lapply(modes, colnames), use.names = FALSE),
    mode_widths = as.integer(lapply(modes, ncol)),
    mode_levels = as.integer(unlist(lapply(modes, rownames))),
    mode_sizes = as.integer(lapply(modes, nrow)),
    mode_values = as.numeric(unlist(lapply(modes, as.numeric))),
    jacobian = if (is_tested) as.numeric(unlist(model@Jac_list)) else numeric(0),
    parameter_covariance = if (is_tested) as.matrix(model@vcov_varpar) else matrix(0, 0, 0),
    optimiser = as.character(model@optinfo$optimizer),
    code = as.integer(conv$opt),
    n_evaluations = as.integer(model@optinfo$feval),
    ended = as.character(model@optinfo$message),
    said = as.character(c(unlist(conv$lme4$messages), unlist(model@optinfo$warnings)))
  )
}
"""
_NOISE = re.compile(
    r"^(In addition: ?)?(Warning messages?:)?$|^(\d+: ?)?(In \(function \(package, help.*)?$"
    r"|contains no packages$"
)
_CANNOT_LOAD = (ImportError, OSError, ValueError, RuntimeError)
_LOCK = threading.RLock()  # there is one R per process


@dataclass(frozen=True, kw_only=True)
class LmerCall:
    """How one line of pymer4 is asked for R's model object.

    Parameters
    ----------
    version : str
        pymer4's version.
    module : str
        What of pymer4 is imported.
    r_packages : tuple of str
        R packages that it loads.
    call : callable
        Takes formula, pandas frame, REML or not, and the arguments of ``lmerControl``; returns R's
        model object.
    """

    version: str
    module: str
    r_packages: tuple[str, ...]
    call: Callable[[str, pd.DataFrame, bool, str], Any]


def fit(likelihood: MixedLikelihood | GroupedLikelihood) -> EngineFit:
    """Maximise the likelihood with lme4.

    Parameters
    ----------
    likelihood : MixedLikelihood or GroupedLikelihood
        The model and its data, on the common scale.

    Returns
    -------
    EngineFit
        Estimates, covariances, predictions (of each grouping factor, where there are several) and
        Satterthwaite parts as R gives them.

    Raises
    ------
    BackendUnavailableError
        If R, rpy2, pymer4 or an R package is not installed.
    ConvergenceError
        If R stops with an error, or its log-likelihood is not that of the same covariance here.
    """
    found = own_answer(likelihood)
    here = likelihood.solve(found.psi).log_likelihood
    if abs(here - found.log_likelihood) > _SAME_LIKELIHOOD * max(1.0, abs(found.log_likelihood)):
        raise ConvergenceError(
            f"lme4 reports a log-likelihood of {found.log_likelihood!r} on the common scale, but "
            f"its covariance gives {here!r}. Please report this."
        )
    return found


def own_answer(likelihood: MixedLikelihood | GroupedLikelihood) -> EngineFit:
    """Maximise the likelihood with lme4, and report what R says even if it contradicts us.

    Parameters
    ----------
    likelihood : MixedLikelihood or GroupedLikelihood
        The model and its data, on the common scale.

    Returns
    -------
    EngineFit
        R's ``fixef``, ``vcov``, ``sigma``, ``logLik``, ``VarCorr``, ``ranef``, and lmerTest's
        parts of Satterthwaite's method; this package only judges which optimiser to believe.

    Raises
    ------
    BackendUnavailableError
        If R, rpy2, pymer4 or an R package is not installed.
    ConvergenceError
        If R stops with an error.
    """
    with _LOCK, _kept_library_path(), _captured_console() as messages:
        caller = _load()
        _flush()
        attempts: list[tuple[EngineFit, float]] = []
        for control in _CONTROLS:
            attempts.append(_attempt(likelihood, caller, control, messages))
            if attempts[-1][1] < _GOOD_ENOUGH:
                break
    best, _ = max(attempts, key=lambda attempt: attempt[0].log_likelihood)
    words = tuple(f"{f.fit_log.optimiser}: {f.fit_log.message}" for f, _ in attempts)
    said = tuple(dict.fromkeys(line for f, _ in attempts for line in f.fit_log.r_messages))
    return replace(best, fit_log=replace(best.fit_log, attempts=words, r_messages=said))


@contextlib.contextmanager
def _kept_library_path() -> Iterator[None]:
    """Undo what starting R does to the search path of libraries that child processes inherit.

    With R's path in place, a Python started from this process may load another libpython.
    """
    before = os.environ.get("LD_LIBRARY_PATH")
    try:
        yield
    finally:
        if before is not None:
            os.environ["LD_LIBRARY_PATH"] = before
        else:
            os.environ.pop("LD_LIBRARY_PATH", None)


def _attempt(
    likelihood: MixedLikelihood | GroupedLikelihood,
    caller: LmerCall,
    control: str,
    messages: list[str],
) -> tuple[EngineFit, float]:
    """Fit with one optimiser of R's; return the fit, and what could still be gained."""
    from rpy2.rinterface_lib.embedded import RRuntimeError

    arrays = likelihood.arrays
    others = tuple(other.blocks for other in arrays.others)
    formula = random_formula(arrays.blocks, arrays.X.shape[1], others)
    messages.clear()
    try:
        with _captured_python(messages), _own_conversion():
            parts = _read(caller.call(formula, r_frame(arrays), likelihood.reml, control))
    except RRuntimeError as exc:
        raise ConvergenceError(
            f"lme4 stopped with an error: {str(exc).strip()[:300]}. Use fewer random effects, or "
            "engine='statsmodels'."
        ) from exc
    said = [*"".join(messages).splitlines(), *parts["said"]]
    found = _engine_fit(arrays, parts, caller, said)
    solution = likelihood.solve(found.psi)
    certificate = certify_any(likelihood, solution)
    words = f"log-likelihood could rise by {certificate.gain:.1e}; {found.fit_log.message}"
    log = replace(
        found.fit_log,
        converged=certificate.gain < _GOOD_ENOUGH,
        singular=certificate.singular,
        message=words,
    )
    return replace(found, fit_log=log), certificate.gain


def _engine_fit(
    arrays: MixedArrays, parts: dict[str, Any], caller: LmerCall, said: list[str]
) -> EngineFit:
    """Sort what R gave into our order."""
    p = arrays.X.shape[1]
    sigma2 = float(parts["sigma"][0]) ** 2
    psis, modes = sort_covariances(arrays, parts), sort_modes(arrays, parts)
    jacobian = np.asarray(parts["jacobian"]).reshape(-1, p, p)
    lines = _without_noise(said)
    return EngineFit(
        psi=tuple(psi / sigma2 for psi in psis) if arrays.others else psis[0] / sigma2,
        fixed=np.asarray(parts["fixed"]),
        fixed_covariance=np.asarray(parts["fixed_covariance"]),
        sigma2=sigma2,
        log_likelihood=float(parts["log_likelihood"][0]),
        modes=tuple(modes) if arrays.others else modes[0],
        inference=(
            Satterthwaite(
                covariance=np.asarray(parts["fixed_covariance"]),
                jacobian=jacobian,
                parameter_covariance=np.asarray(parts["parameter_covariance"]),
            )
            if len(jacobian)
            else None
        ),
        fit_log=FitLog(
            engine="lme4",
            engine_version=(
                "lme4 {}, lmerTest {}, R {}".format(*parts["versions"])
                + f", pymer4 {caller.version}"
            ),
            optimiser=str(parts["optimiser"][0]),
            converged=int(parts["code"][0]) == 0,
            message="; ".join([*map(str, parts["ended"]), *lines]),
            n_evaluations=int(parts["n_evaluations"][0]),
            r_messages=lines,
        ),
    )


def _without_noise(lines: Iterable[str]) -> tuple[str, ...]:
    """Keep each line once, without R's headings and its remarks on empty libraries."""
    stripped = (line.strip() for line in lines)
    return tuple(dict.fromkeys(line for line in stripped if line and not _NOISE.search(line)))


def _own_conversion() -> AbstractContextManager[Any]:
    """Set rpy2's rules for turning values to Python and back, whatever thread this is."""
    robjects = importlib.import_module("rpy2.robjects")
    conversion = importlib.import_module("rpy2.robjects.conversion")
    context: AbstractContextManager[Any] = conversion.localconverter(robjects.default_converter)
    return context


def _read(model: Any) -> dict[str, Any]:
    """Copy the numbers out of R's model object; nothing of R is kept."""
    robjects = importlib.import_module("rpy2.robjects")
    answer = robjects.r(_EXTRACT)(model)
    return {
        name: list(value) if isinstance(value, robjects.StrVector) else np.array(value)
        for name, value in zip(answer.names, answer, strict=True)
    }


def _load() -> LmerCall:
    """Load R and pymer4, or say precisely what is missing."""
    try:
        caller = choose_caller(importlib.metadata.version("pymer4"))
        packages = importlib.import_module("rpy2.robjects.packages")
        missing = [name for name in caller.r_packages if not packages.isinstalled(name)]
        if not missing:
            importlib.import_module(caller.module)
    except _CANNOT_LOAD as exc:
        raise BackendUnavailableError(
            f"engine='lme4' needs R and the Python packages rpy2 and pymer4, but loading them gave "
            f"{type(exc).__name__}: {str(exc).rstrip('.')}. {_HOW}"
        ) from exc
    if missing:
        raise BackendUnavailableError(
            f"engine='lme4' through pymer4 {caller.version} needs the R package(s) "
            f"{', '.join(missing)}. {_HOW}"
        )
    return caller


def choose_caller(version: str) -> LmerCall:
    """Choose how to call a version of pymer4.

    Parameters
    ----------
    version : str
        For example ``"0.8.2"``.

    Returns
    -------
    LmerCall
        For the 0.8 line or for 0.9 and later.
    """
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) >= (0, 9):
        packages = (*_R_PACKAGES, *_R_PACKAGES_09)
        module = "pymer4.tidystats.lmerTest"
        return LmerCall(version=version, module=module, r_packages=packages, call=_call_09)
    return LmerCall(version=version, module="pymer4.models", r_packages=_R_PACKAGES, call=_call_08)


def _call_08(formula: str, frame: pd.DataFrame, reml: bool, control: str) -> Any:
    """Fit with pymer4 0.8: a class that fits itself."""
    models = importlib.import_module("pymer4.models")
    model = models.Lmer(formula, data=frame)
    # It would put away R's messages; the console is ours already.
    model._set_R_stdout = lambda verbose: None  # noqa: ARG005, SLF001
    model.fit(REML=reml, summarize=False, no_warnings=True, control=control)
    return model.model_obj


def _call_09(formula: str, frame: pd.DataFrame, reml: bool, control: str) -> Any:
    """Fit with pymer4 0.9: its class knows REML only, the function under it knows both."""
    polars = importlib.import_module("polars")
    lmer_test = importlib.import_module("pymer4.tidystats.lmerTest")
    robjects = importlib.import_module("rpy2.robjects")
    return lmer_test.lmer(
        formula,
        polars.from_pandas(frame),
        REML=reml,
        control=robjects.r(f"lme4::lmerControl({control})"),
    )


@contextlib.contextmanager
def _captured_console() -> Iterator[list[str]]:
    """Collect what R says instead of printing it, and put R's console back afterwards."""
    lines: list[str] = []

    def collect(text: str) -> None:
        lines.append(text)

    with contextlib.redirect_stderr(io.StringIO()):
        callbacks = _callbacks()
        hooks = ("consolewrite_print", "consolewrite_warnerror") if callbacks else ()
        before = {hook: getattr(callbacks, hook) for hook in hooks}
        for hook in hooks:
            setattr(callbacks, hook, collect)
        try:
            yield lines
        finally:
            _flush()
            for hook, original in before.items():
                setattr(callbacks, hook, original)
            _clean_pymer4(collect, before)


def _flush() -> None:
    """Let R say now what it held back, rather than after its console is given back."""
    robjects = sys.modules.get("rpy2.robjects")
    if robjects is not None:
        robjects.r("invisible(NULL)")


def _clean_pymer4(ours: Callable[[str], None], before: Mapping[str, Any]) -> None:
    """Give pymer4 0.8, which copies R's hooks when it is imported, the real ones."""
    module = sys.modules.get("pymer4.models.Lmer")
    for hook, name in (
        ("consolewrite_print", "consolewrite_print_backup"),
        ("consolewrite_warnerror", "consolewrite_warning_backup"),
    ):
        if getattr(module, name, None) is ours:
            setattr(module, name, before[hook])


def _callbacks() -> ModuleType | None:
    """Return rpy2's console hooks; None where it cannot be loaded."""
    try:
        return importlib.import_module("rpy2.rinterface_lib.callbacks")
    except _CANNOT_LOAD:
        return None


@contextlib.contextmanager
def _captured_python(messages: list[str]) -> Iterator[None]:
    """Collect what pymer4 prints and warns; what it merely will change one day is left out."""
    printed = io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        yield
    messages.append(printed.getvalue())
    messages.extend(
        f"\n{w.message}\n"
        for w in caught
        if not issubclass(w.category, FutureWarning | DeprecationWarning)
    )
