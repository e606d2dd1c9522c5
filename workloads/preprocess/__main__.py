"""`python -m workloads.preprocess`: the container's command."""

import sys

from workloads.runtime.loading import loading

with loading():
    from workloads.preprocess.stage import main
    from workloads.runtime.stage import run_stage

sys.exit(run_stage("preprocess", main))
