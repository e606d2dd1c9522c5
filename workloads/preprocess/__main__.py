"""`python -m workloads.preprocess`: the container's command."""

import gc
import sys

from workloads.preprocess.stage import main
from workloads.runtime.stage import run_stage

gc.freeze()  # what is loaded lives as long as the process, and need not be looked at again
sys.exit(run_stage("preprocess", main))
