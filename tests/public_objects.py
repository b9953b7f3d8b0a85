"""Discovery of what the packages make public, for tests that hold for all of it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = ("pmsstats", "synthetic")
ROOT = Path(__file__).resolve().parent.parent


def module_names() -> list[str]:
    """Return the dotted name of every module, packages included."""
    return sorted(name for package in PACKAGES for name in (package, *_inside(package)))


def _inside(package: str) -> Iterator[str]:
    """Yield the modules below a package without importing them."""
    for info in pkgutil.iter_modules([str(ROOT / package.replace(".", "/"))], f"{package}."):
        yield info.name
        yield from _inside(info.name) if info.ispkg else ()


def importable_modules() -> list[ModuleType]:
    """Import what can be imported; that everything can is a test of its own."""
    found = []
    for name in module_names():
        try:
            found.append(importlib.import_module(name))
        except ImportError:
            continue
    return found


def packages() -> list[ModuleType]:
    """Return the modules that are packages, and so have a list of public names."""
    return [module for module in importable_modules() if hasattr(module, "__path__")]


def public_definitions() -> dict[str, Any]:
    """Return classes and functions in some ``__all__``, by the name of where they are defined."""
    found: dict[str, Any] = {}
    for module in importable_modules():
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name, None)
            if is_ours(value):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return dict(sorted(found.items()))


def is_ours(value: Any) -> bool:
    """Say whether a value is a class or function that one of our packages defines."""
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return False
    return getattr(value, "__module__", "").split(".")[0] in PACKAGES


def public_members(owner: type) -> dict[str, Any]:
    """Return the methods and properties that a class itself defines, private ones left out."""
    kinds = (property, classmethod, staticmethod)
    return {
        name: value
        for name, value in vars(owner).items()
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, kinds))
    }


def subclasses(base: type) -> list[type]:
    """Return every class below another, at any depth, in order of name."""
    importable_modules()
    found: set[type] = set()
    waiting = [base]
    while waiting:
        below = set(waiting.pop().__subclasses__()) - found
        found |= below
        waiting += below
    return sorted((cls for cls in found if is_ours(cls)), key=lambda cls: cls.__qualname__)
