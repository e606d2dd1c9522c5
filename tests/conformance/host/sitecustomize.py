"""Read by Python at its start, in the programs that the CLI runs in these tests: a third of their
time goes into what nobody looks at.
"""

from __future__ import annotations

import gc
import sys

if any(each.endswith("pulumi-language-python-exec") for each in sys.orig_argv):
    import pulumi.log

    # what is imported lives as long as the program, which ends in seconds (tests/conftest.py)
    gc.set_threshold(200_000, 50, 1000)
    # the SDK sends four messages for each resource, and waits for each; the CLI drops them all
    pulumi.log.debug = lambda *_, **__: None
