"""``python -m pmsstats.cli`` is the command ``pmsstats``."""

from __future__ import annotations

from pmsstats.cli import main

if __name__ == "__main__":
    main()
