"""Fixed effects of any model: degrees of freedom, tests, least-squares means, slopes."""

from __future__ import annotations

__all__: list[str] = []
