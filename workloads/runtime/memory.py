"""Memory of this process."""

from __future__ import annotations

import resource
from pathlib import Path


def peak_rss_mib() -> int:
    """Largest resident set of the process so far, in MiB (2^20 bytes).

    Linux keeps it in /proc as VmHWM; getrusage, the fall-back, also counts what the parent held
    when it started the process.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM:"))
