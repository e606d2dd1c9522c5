"""Where the command line finds the program and keeps what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
"""The checkout: the directory of Pulumi.yaml."""
STATE: Final = ROOT / ".local"
"""Everything that a rehearsal writes; ignored by git."""
SAMPLE: Final = ROOT / "workloads" / "samples"
