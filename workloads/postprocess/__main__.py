"""`python -m workloads.postprocess`: the command of the postprocess job."""

import sys

from workloads.postprocess.stage import main
from workloads.runtime.stage import run_stage

if __name__ == "__main__":
    sys.exit(run_stage("postprocess", main))
