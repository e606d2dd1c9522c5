"""What AWS refuses for the sake of something else, or because of a limit, is refused here in the same words."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.conftest import Stage, until


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_a_placement_group_stays_while_its_instances_shut_down(stage: Stage) -> None:
    ec2, name = stage.client("ec2"), stage.name("group")
    ec2.create_placement_group(GroupName=name, Strategy="cluster")
    environment = stage.environment(minvCpus=4, placementGroup=name)
    until(lambda: stage.cloud.batch.store.environments[environment.rsplit("/", 1)[-1]].instances, what="an instance")
    with pytest.raises(ClientError, match="is in use and may not be deleted") as refusal:
        ec2.delete_placement_group(GroupName=name)
    assert code(refusal) == "InvalidPlacementGroup.InUse"
    stage.batch.update_compute_environment(computeEnvironment=environment, state="DISABLED")
    stage.batch.delete_compute_environment(computeEnvironment=environment)
    with pytest.raises(ClientError, match="is in use and may not be deleted"):
        ec2.delete_placement_group(GroupName=name)
    stage.cloud.batch.store.placements_busy.clear()  # they are gone
    ec2.delete_placement_group(GroupName=name)
