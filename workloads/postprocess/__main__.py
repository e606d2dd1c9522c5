"""`python -m workloads.postprocess`: the command of the postprocess job."""

import sys

from workloads.runtime.loading import loading

with loading():
    from workloads.postprocess.stage import Postprocess
    from workloads.runtime.stage import run_stage

if __name__ == "__main__":
    stage = Postprocess()
    sys.exit(run_stage("postprocess", stage.prepare, then=stage.finish))
