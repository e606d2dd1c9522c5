"""What EC2 says to a launch, in its own words (EC2 Auto Scaling user guide, "Troubleshoot EC2
instance launch failures"; EC2 API, error codes): the cause, and the setting that mends it.
"""

from __future__ import annotations

import pytest

from tests.cli.why.conftest import FOREVER, Asking

SAID = {
    "AMI": ("The image id '[ami-0123456789abcdef0]' does not exist.", "image_id"),
    "KMS": (
        (
            "Instance became unhealthy while waiting for instance to be in InService state. Termination"
            " Reason: Client.InternalError: Client error on launch"
        ),
        "default EBS key",
    ),
    "SECURITY-GROUP": ("The security group 'sg-0123456789abcdef0' does not exist.", "pulumi up"),
    "PLACEMENT-GROUP": (
        "Placement groups may not be used with instances of type 'c5.xlarge'.",
        "placement_group: false",
    ),
    "SPOT-PRICE": (
        (
            "Your Spot request price of 0.015 is lower than the minimum required Spot request"
            " fulfillment price of 0.0735."
        ),
        "bid_percent",
    ),
    "PERMISSION": (
        (
            "You are not authorized to perform this operation. Encoded authorization failure message:"
            " AbCd."
        ),
        "preflight",
    ),
    "QUOTA": (
        (
            "You have exceeded your maximum gp3 storage limit of 50 TiB in this region. Please contact"
            " AWS Support to request an Elastic Block Store service limit increase."
        ),
        "scratch.size_gib",
    ),
    "LAUNCH": ("User data is limited to 16384 bytes.", "the sentence is EC2's own"),
}


@pytest.mark.parametrize("code", SAID)
def test_what_ec2_says_to_a_launch(asking: Asking, code: str) -> None:
    stage, (said, fix) = asking.stage, SAID[code]
    stage.cloud.batch.refuse_launches(said)
    job = stage.submit(stage.queue(stage.environment()), stage.python(FOREVER))
    cause = asking.cause(job, code)
    assert said in cause.found
    assert fix in cause.fix
    stage.cloud.batch.refuse_launches("")
    stage.wait(job, "RUNNING")
