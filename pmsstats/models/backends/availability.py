"""What this machine has, and what is missing for what: Python parts, R, and the bridge to it.

R and rpy2 are asked in processes of their own, so that looking changes nothing in this one.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmsstats.plots.inventory import plot_inventory
from pmsstats.results import Exclusion, Result, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Component", "MachineResult", "examine_machine"]

_PYTHON_PARTS = (
    ("statsmodels", "mixed models, engine='statsmodels'", "pip install pmsstats"),
    ("lifelines", "Cox models, Kaplan-Meier curves", "pip install pmsstats"),
    ("pyreadstat", "reading SAS, SPSS and Stata files", "pip install pmsstats"),
    ("openpyxl", "reading Excel files", "pip install pmsstats"),
    ("pyarrow", "reading and writing Parquet files", "pip install pmsstats"),
    ("rpy2", "mixed models, engine='lme4'", "pip install 'pmsstats[r]'"),
    ("pymer4", "mixed models, engine='lme4'", "pip install 'pmsstats[r]'"),
    ("numba", "speed of every batch: without it plain numpy does the same", "pip install pmsstats"),
    ("joblib", "simulated trials on the cores of this machine", "pip install pmsstats"),
    ("dask", "simulated trials on a cluster", "pip install 'pmsstats[dask]'"),
    ("distributed", "simulated trials on a cluster", "pip install 'pmsstats[dask]'"),
)
_R_PARTS = (
    ("lme4", "mixed models, engine='lme4'"),
    ("lmerTest", "mixed models, engine='lme4': degrees of freedom, p values"),
    ("emmeans", "mixed models, engine='lme4': pymer4 loads it"),
    ("pbkrtest", "Kenward-Roger degrees of freedom from R"),
    ("nlme", "making reference values anew"),
    ("survival", "making reference values anew"),
    ("rpact", "making reference values anew"),
)
_R_PART_OF_NEW_PYMER4 = ("report", "mixed models, engine='lme4': pymer4 0.9 loads it")
_MARK = "pmsstats-answer"
_ASK_R = f"""
say <- function(key, value) cat("{_MARK}", key, value, sep = "\\t", fill = FALSE)
line <- function(key, value) {{ say(key, value); cat("\\n") }}
line("R", paste(R.version$major, R.version$minor, sep = "."))
line("home", R.home())
for (name in commandArgs(TRUE))
  if (nzchar(system.file(package = name))) line(name, packageDescription(name)$Version)
"""
_ASK_BRIDGE = f"""
import rpy2.rinterface as rinterface
rinterface.initr()
home = rinterface.baseenv["R.home"]()[0]
print("{_MARK}", "home", home, sep="\\t")
"""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One thing that the package can use.

    Parameters
    ----------
    component : str
        Its name, for example ``"R package lme4"``.
    found : bool
        Whether it is here and answers.
    version : str
        Its version, or what is wrong with it; empty where it is absent.
    needed_for : str
        What does not work without it.
    install : str
        How to get it; empty where it is there.
    """

    component: str
    found: bool
    version: str
    needed_for: str
    install: str


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MachineResult(Result):
    """What this machine has, and what is missing for what.

    Parameters
    ----------
    components : tuple of Component
        Python first, then R.
    exclusions : tuple of Exclusion
        Always empty: nothing is left out.
    """

    components: tuple[Component, ...]
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how much is there, and name what is missing."""
        missing = [c.component for c in self.components if not c.found]
        n_found = len(self.components) - len(missing)
        found = f"{n_found} of {len(self.components)} components found"
        return f"{found}; missing: {', '.join(missing)}." if missing else f"{found}."

    def table(self) -> pd.DataFrame:
        """Return one row per component: ``component found version needed_for install``."""
        columns = ["component", "found", "version", "needed_for", "install"]
        return pd.DataFrame([to_plain(c) for c in self.components], columns=columns)

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw what is there and what is missing; see :func:`pmsstats.plots.plot_inventory`."""
        return plot_inventory(self.table(), ax=ax, **kws)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"schema": "machine_result/1", "components": to_plain(self.components)}


def examine_machine(*, timeout: float = 60.0) -> MachineResult:
    """Look for the engines and the parts of each.

    Parameters
    ----------
    timeout : float, default 60
        Seconds that R, and the bridge to it, may take to answer.

    Returns
    -------
    MachineResult
        One component per row, found or not.

    Notes
    -----
    R is the ``Rscript`` on the search path. The bridge counts as found if rpy2 loads in a fresh
    Python, and the R that it loads is that one.
    """
    names = [name for name, _ in _r_parts()]
    rscript = shutil.which("Rscript")
    answer = _ask([rscript, "--no-restore", "-e", _ASK_R, *names], timeout) if rscript else {}
    return MachineResult(
        components=(
            _this_python(),
            *(_python_component(*part) for part in _PYTHON_PARTS),
            _r_component(answer),
            *(_r_package_component(*part, answer) for part in _r_parts()),
            _bridge_component(answer, timeout),
        )
    )


def _version(distribution: str) -> str:
    """Return the installed version of a Python package, or the empty string."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _r_parts() -> tuple[tuple[str, str], ...]:
    """Return the R packages of interest; pymer4 from 0.9 on needs one more."""
    is_new = _version("pymer4") and tuple(map(int, _version("pymer4").split(".")[:2])) >= (0, 9)
    return (*_R_PARTS, _R_PART_OF_NEW_PYMER4) if is_new else _R_PARTS


def _ask(command: Sequence[str], timeout: float) -> dict[str, str]:
    """Run a program and return the keys and values among its output; none if it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, no shell, no input of the user's
            command, capture_output=True, text=True, timeout=timeout, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return {line[1]: line[2] for line in lines if line[0] == _MARK and len(line) == 3}


def _this_python() -> Component:
    """Describe the running Python."""
    return Component(
        component="Python",
        found=True,
        version=platform.python_version(),
        needed_for="everything",
        install="",
    )


def _python_component(name: str, needed_for: str, install: str) -> Component:
    """Describe a Python package."""
    version = _version(name)
    return Component(
        component=name,
        found=bool(version),
        version=version,
        needed_for=needed_for,
        install="" if version else install,
    )


def _r_component(answer: dict[str, str]) -> Component:
    """Describe R itself."""
    return Component(
        component="R",
        found="R" in answer,
        version=answer.get("R", ""),
        needed_for="mixed models, engine='lme4'",
        install="" if "R" in answer else "Debian, Ubuntu: apt-get install r-base-core",
    )


def _r_package_component(name: str, needed_for: str, answer: dict[str, str]) -> Component:
    """Describe an R package."""
    debian = f"Debian, Ubuntu: apt-get install r-cran-{name.lower()}"
    return Component(
        component=f"R package {name}",
        found=name in answer,
        version=answer.get(name, ""),
        needed_for=needed_for,
        install="" if name in answer else f"{debian}; in R: install.packages('{name}')",
    )


def _bridge_component(answer: dict[str, str], timeout: float) -> Component:
    """Describe the bridge: whether rpy2 loads, and whether what it loads is the R asked before."""
    bridge = _ask([sys.executable, "-W", "ignore", "-c", _ASK_BRIDGE], timeout)
    is_same = bool(bridge) and _same_folder(bridge["home"], answer.get("home", ""))
    install = "pip install --force-reinstall --no-binary rpy2 'pmsstats[r]'"
    return Component(
        component="bridge to R",
        found=is_same,
        version=bridge["home"] if is_same else _trouble(bridge, answer),
        needed_for="mixed models, engine='lme4'",
        install="" if is_same else install,
    )


def _same_folder(first: str, second: str) -> bool:
    """Say whether two paths lead to one folder."""
    return bool(first and second) and os.path.realpath(first) == os.path.realpath(second)


def _trouble(bridge: dict[str, str], answer: dict[str, str]) -> str:
    """Say what is wrong with the bridge."""
    if bridge:
        return f"loads {bridge['home']}, but R is {answer.get('home', 'not there')}"
    return "rpy2 does not load R" if _version("rpy2") and "R" in answer else ""
