"""Run manifest: versions, seed, input and output hashes, spec, origin of the data."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import json
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pmsstats.errors import SchemaError
from pmsstats.results import to_plain

__all__ = [
    "MANIFEST_SCHEMA",
    "Origin",
    "Source",
    "build_manifest",
    "hash_file",
    "library_versions",
    "package_version",
    "remove_outputs",
    "verify_outputs",
    "write_manifest",
]

MANIFEST_SCHEMA = "manifest/1"
Origin = Literal["real", "synthetic"]
_LIBRARIES = (
    "numpy", "numba", "scipy", "pandas", "statsmodels", "lifelines", "formulaic", "matplotlib",
    "seaborn", "jinja2", "pyreadstat", "pymer4", "rpy2",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Source:
    """One input file.

    Parameters
    ----------
    name : str
        File name, without its folder.
    sha256 : str
        Of its bytes.
    n_rows : int
        Data rows read.
    role : str
        The table it became: ``"visits"``, ...
    """

    name: str
    sha256: str
    n_rows: int
    role: str


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Parameters
    ----------
    path : pathlib.Path
        An existing file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def package_version() -> str:
    """Return the installed version of pmsstats."""
    try:
        return importlib.metadata.version("pmsstats")
    except importlib.metadata.PackageNotFoundError:
        return "0+source"


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that numbers depend on.

    Returns
    -------
    dict of str to str
        Name to version; libraries that are not installed are left out.
    """
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def build_manifest(
    *,
    command: Sequence[str],
    spec: Any,
    origin: Origin,
    sources: Iterable[Source],
    seed: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Describe a run, all but its outputs and its time of day.

    Parameters
    ----------
    command : sequence of str
        What was asked, without paths of this machine.
    spec : dataclass or mapping
        The frozen request.
    origin : {"real", "synthetic"}
        Where the data come from.
    sources : iterable of Source
        Input files with their hashes.
    seed : int, optional
        Root seed, where the run is random.
    extra : mapping, optional
        More entries.

    Returns
    -------
    dict
        Plain JSON types; the same for the same inputs on the same installation.
    """
    return {
        "schema": MANIFEST_SCHEMA,
        "package": {"name": "pmsstats", "version": package_version()},
        "platform": {"system": platform.system(), "machine": platform.machine()},
        "versions": library_versions(),
        "command": list(command),
        "origin": origin,
        "seed": seed,
        "spec": to_plain(spec),
        "inputs": [to_plain(source) for source in sources],
        **to_plain(extra or {}),
    }


def write_manifest(manifest: Mapping[str, Any], folder: Path, outputs: Iterable[Path]) -> Path:
    """Write ``manifest.json`` with the hashes of the outputs and the time of the run.

    Parameters
    ----------
    manifest : mapping
        From :func:`build_manifest`.
    folder : pathlib.Path
        Where the outputs are.
    outputs : iterable of pathlib.Path
        Files inside `folder`.

    Returns
    -------
    pathlib.Path
        The written file. It is the only output that holds a date.
    """
    hashes = {path.relative_to(folder).as_posix(): hash_file(path) for path in sorted(outputs)}
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    full = {**manifest, "outputs": hashes, "written": now, "executable": Path(sys.executable).name}
    path = folder / "manifest.json"
    path.write_text(json.dumps(full, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def remove_outputs(folder: Path) -> list[Path]:
    """Remove what an earlier run wrote to a folder, as its ``manifest.json`` lists it.

    Parameters
    ----------
    folder : pathlib.Path
        Where a run is about to write; may not exist yet.

    Returns
    -------
    list of pathlib.Path
        What was removed, subfolders that it empties with it. Files that no manifest lists stay, and
        so do those outside of `folder`.

    Raises
    ------
    SchemaError
        If the folder holds a ``manifest.json`` that is not ours.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        return []
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        names = list(manifest["outputs"])
    except (ValueError, KeyError, TypeError) as exc:
        raise SchemaError(
            f"{str(folder)!r} holds a manifest.json that no run of pmsstats wrote. Choose another "
            "folder."
        ) from exc
    inside = [
        p for p in (folder / name for name in names) if folder.resolve() in p.resolve().parents
    ]
    old = [p for p in (*inside, path) if p.is_file()]
    for file in old:
        file.unlink()
    for emptied in sorted({file.parent for file in old if file.parent != folder}, reverse=True):
        if not any(emptied.iterdir()):
            emptied.rmdir()
    return old


def verify_outputs(folder: Path) -> dict[str, Any]:
    """Read ``manifest.json`` and check every output against its hash.

    Parameters
    ----------
    folder : pathlib.Path
        Where a run wrote.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    SchemaError
        If the manifest is missing, or an output is missing or was changed since.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise SchemaError(f"Expected a manifest.json in {folder}, found none. Run the report anew.")
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    changed = [
        name
        for name, expected in manifest["outputs"].items()
        if not (folder / name).is_file() or hash_file(folder / name) != expected
    ]
    if changed:
        raise SchemaError(
            f"{len(changed)} output(s) in {folder} are missing or differ from what the run wrote: "
            f"{', '.join(changed[:3])}. Run the report anew."
        )
    return manifest
