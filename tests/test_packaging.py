"""The locks pin every package by version and hash, name no host, and satisfy pyproject.toml."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
RUNTIME = "requirements.lock"
WANTED = {
    RUNTIME: PROJECT["project"]["dependencies"],
    ".ci/requirements-r.lock": EXTRAS["r"],
    ".ci/requirements-test.lock": EXTRAS["test"] + EXTRAS["lint"],
    ".ci/requirements-build.lock": PROJECT["build-system"]["requires"],
    ".ci/requirements-pymsprog.lock": ["pymsprog==1.0.7"],
}
TOGETHER = [name for name in WANTED if "pymsprog" not in name]  # that is an environment of its own
PIN = re.compile(r"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)==(?P<version>[0-9][0-9a-z.+]*)(?: ; .+)?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
ELSEWHERE = re.compile(r"://|\bindex-url|\bfind-links|\btrusted-host|\bfile:/|@ |(?<![\w.])/\w")

each_lock = pytest.mark.parametrize("lock", list(WANTED))


def read_lock(name: str) -> list[str]:
    """Return the entries of a lock, continuation lines joined, comments dropped."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def pins(name: str) -> dict[str, Version]:
    """Return name and version of each entry of a lock."""
    found = [PIN.match(entry) for entry in read_lock(name)]
    return {match["name"]: Version(match["version"]) for match in found if match}


@each_lock
def test_every_entry_is_pinned_and_hashed(lock: str) -> None:
    entries = read_lock(lock)
    assert entries
    for entry in entries:
        pin, *hashes = re.split(r"\s+(?=--hash)", entry)
        assert PIN.fullmatch(pin), entry
        assert hashes, entry
        assert all(HASH.fullmatch(value) for value in hashes), entry


@each_lock
def test_lock_names_no_host_and_no_path(lock: str) -> None:
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if ELSEWHERE.search(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://registry.example/simple",
        "--find-links /srv/wheels",
        "numpy @ file:///tmp/numpy.whl",
        "# from /home/someone/project",
    ],
)
def test_host_or_path_would_be_noticed(line: str) -> None:
    assert ELSEWHERE.search(line)


@pytest.mark.parametrize(
    ("lock", "requirement"), [(lock, text) for lock, texts in WANTED.items() for text in texts]
)
def test_requirement_of_pyproject_is_locked_at_a_version_it_allows(
    lock: str, requirement: str
) -> None:
    wanted = Requirement(requirement)
    assert wanted.specifier.contains(pins(lock)[canonicalize_name(wanted.name)])


def test_locks_agree_where_they_overlap() -> None:
    versions: dict[str, set[Version]] = {}
    for lock in TOGETHER:
        for name, version in pins(lock).items():
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", [RUNTIME, "LICENSE", "README.md", "Makefile", ".ci/run"])
def test_file_is_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 0


@pytest.mark.parametrize("name", ["run", "setup", "test", "lock", "reference"])
def test_script_can_be_executed(name: str) -> None:
    assert (ROOT / ".ci" / name).stat().st_mode & 0o111


def test_makefile_explains_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY:(.*)$", text, flags=re.MULTILINE)[0].split())
    explained = set(re.findall(r"^([a-z]+):.*## \w", text, flags=re.MULTILINE))
    assert targets == explained


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Build a wheel from a copy of the sources, offline, and list what it holds."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pmsstats", "synthetic"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    target = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir"]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(target), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    with zipfile.ZipFile(next(target.glob("pmsstats-*.whl"))) as archive:
        return archive.namelist()


@pytest.mark.parametrize("package", ["pmsstats", "synthetic"])
def test_wheel_holds_every_file_of_a_package(wheel: list[str], package: str) -> None:
    files = [path for path in (ROOT / package).rglob("*") if path.is_file()]
    wanted = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert wanted
    assert wanted - set(wheel) == set()


def test_wheel_holds_nothing_else(wheel: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert tops - {"pmsstats", "synthetic"} == {
        top for top in tops if re.fullmatch(r"pmsstats-[\d.]+\.dist-info", top)
    }


def test_pictures_and_paths_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    files = re.findall(r"`((?:tests|notebooks|pmsstats)/[\w./]+)`", text)
    assert pictures
    assert files
    assert [name for name in (*pictures, *files) if not (ROOT / name).exists()] == []
