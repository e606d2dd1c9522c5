"""Where jobs are placed, and what is said when they cannot be: pure rules, then the same through
the API.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.batch.launches import NO_CAPACITY, Launches
from localcloud.batch.node_ranges import check_ranges, range_of
from localcloud.batch.placement import MAX_RESOURCE, REQUIREMENT, Capacity, Need, Refusal, release
from localcloud.batch.records import ComputeEnvironment, Instance, Store
from localcloud.moto.ec2 import InstanceShape
from localcloud.moto.state import AwsState
from localcloud.protocol.wire import WireError
from tests.localcloud.conftest import Stage, until

SHAPES = {
    shape.name: shape
    for shape in (
        InstanceShape(name="c5.large", vcpus=2, memory_mib=3900, gpus=0, architecture="x86_64"),
        InstanceShape(name="c5.xlarge", vcpus=4, memory_mib=7900, gpus=0, architecture="x86_64"),
        InstanceShape(name="r5.xlarge", vcpus=4, memory_mib=31000, gpus=0, architecture="x86_64"),
        InstanceShape(
            name="p5.48xlarge", vcpus=192, memory_mib=2_000_000, gpus=8, architecture="x86_64"
        ),
    )
}


def environment(
    kind: str = "EC2", *, maximum: int, types: list[str] | None = None, **more: object
) -> ComputeEnvironment:
    resources = {
        "type": kind,
        "maxvCpus": maximum,
        "instanceTypes": types or list(SHAPES),
        "allocationStrategy": "BEST_FIT_PROGRESSIVE",
        **more,
    }
    return ComputeEnvironment(
        name="ce",
        arn="arn:ce",
        type="MANAGED",
        state="ENABLED",
        resources=resources,
        service_role="",
        tags={},
    )


def need(vcpus: float = 1, memory: int = 512, gpus: int = 0, kind: str | None = None) -> Need:
    return Need(vcpus=vcpus, memory_mib=memory, gpus=gpus, instance_type=kind)


PLACES = [
    # (environment, needs, multinode) -> instance types, or reason
    (environment(maximum=16), [need()], False, ["c5.large"]),
    (environment(maximum=16), [need(memory=3901)], False, ["c5.xlarge"]),
    (environment(maximum=16), [need(vcpus=3, memory=20000)], False, ["r5.xlarge"]),
    (
        environment(maximum=16),
        [need(gpus=1)],
        False,
        ["p5.48xlarge"],
    ),  # beyond maxvCpus by one instance
    (environment(maximum=16, allocationStrategy="BEST_FIT"), [need(gpus=1)], False, MAX_RESOURCE),
    (environment(maximum=16, types=["c5.large"]), [need(vcpus=3)], False, REQUIREMENT),
    (
        environment(maximum=16, types=["c5.large"]),
        [need(memory=4096)],
        False,
        REQUIREMENT,
    ),  # nominal size: the agent takes its part
    (environment(maximum=2), [need(vcpus=3)], False, MAX_RESOURCE),
    (environment(maximum=64), [need(32, gpus=8)] * 4, True, MAX_RESOURCE),
    (environment(maximum=767), [need(32, gpus=8)] * 4, True, MAX_RESOURCE),
    (environment(maximum=768), [need(32, gpus=8)] * 4, True, ["p5.48xlarge"] * 4),
    (environment("SPOT", maximum=768), [need()] * 2, True, REQUIREMENT),
    (environment(maximum=16), [need(kind="c5.xlarge")] * 3, True, ["c5.xlarge"] * 3),
    (environment("FARGATE", maximum=4), [need(0.25)], False, ["fargate"]),
    (
        environment(
            maximum=16,
            allocationStrategy="BEST_FIT_PROGRESSIVE_ORDERED",
            types=["r5.xlarge", "c5.large"],
        ),
        [need()],
        False,
        ["r5.xlarge"],
    ),
]


@pytest.mark.parametrize(("where", "needs", "multinode", "expected"), PLACES)
def test_placement(
    where: ComputeEnvironment, needs: list[Need], multinode: bool, expected: object
) -> None:
    placed = Capacity(shapes=SHAPES).place(where, needs, multinode=multinode)
    found = placed.reason if isinstance(placed, Refusal) else [instance.type for instance in placed]
    assert found == expected


def test_withheld_capacity_takes_the_next_type_or_says_so() -> None:
    where = environment(maximum=16, types=["c5.large", "c5.xlarge"])
    assert [i.type for i in placed(short_of("c5.large"), where, [need()])] == ["c5.xlarge"]
    refusal = short_of("*").place(environment(maximum=16), [need()], multinode=False)
    assert isinstance(refusal, Refusal)
    assert (
        refusal.text
        == f"{NO_CAPACITY} - Service cannot fulfill the capacity requested for instance type"
        " [c5.large]"
    )


def short_of(*types: str) -> Capacity:
    launches = Launches(Store(AwsState("us-east-1")), lambda: 0.0)
    launches.withheld = set(types)
    return Capacity(shapes=SHAPES, launches=launches)


def placed(capacity: Capacity, where: ComputeEnvironment, needs: list[Need]) -> list[Instance]:
    found = capacity.place(where, needs, multinode=False)
    assert isinstance(found, list)
    return found


@settings(max_examples=60, deadline=None)
@given(
    jobs=st.lists(
        st.tuples(st.integers(1, 4), st.integers(4, 30000), st.booleans()), min_size=1, max_size=25
    ),
    maximum=st.integers(4, 24),
    minimum=st.integers(0, 4),
)
def test_capacity_is_never_oversold_and_comes_back(
    jobs: list[tuple[int, int, bool]], maximum: int, minimum: int
) -> None:
    capacity = Capacity(shapes=SHAPES)
    where = environment(
        maximum=maximum, types=["c5.large", "c5.xlarge", "r5.xlarge"], minvCpus=minimum
    )
    capacity.keep_minimum(where)
    assert where.vcpus >= minimum
    live: list[tuple[Instance, Need]] = []
    for vcpus, memory, finish_one in jobs:
        if finish_one and live:
            instance, done = live.pop(0)
            release(instance, done, multinode=False)
            capacity.keep_minimum(where)
        wanted = need(vcpus, memory)
        found = capacity.place(where, [wanted], multinode=False)
        if isinstance(found, list):
            live.append((found[0], wanted))
        for instance in where.instances.values():
            mine = [n for i, n in live if i is instance]
            shape = SHAPES[instance.type]
            assert sum(n.vcpus for n in mine) + instance.free_vcpus == shape.vcpus
            assert sum(n.memory_mib for n in mine) + instance.free_memory_mib == shape.memory_mib
            assert min(instance.free_vcpus, instance.free_memory_mib, instance.free_gpus) >= 0
        assert (
            where.vcpus < maximum + max(SHAPES[i.type].vcpus for i in where.instances.values())
            if where.instances
            else True
        )
    for instance, done in live:
        release(instance, done, multinode=False)
    capacity.keep_minimum(where)
    assert minimum <= where.vcpus < minimum + 4


@pytest.mark.parametrize(
    "targets", [["0:"], ["0:3"], ["0", "1:"], ["0:1", "2:3"], ["0:", "2:3"], [":"]]
)
def test_node_ranges_that_cover(targets: list[str]) -> None:
    check_ranges(targets, 4)
    assert {range_of(node, targets, 4) for node in range(4)} == set(targets)


@pytest.mark.parametrize(
    "targets", [["0:2"], ["1:"], ["0:4"], ["0:2", "1:3"], ["0:1", "3"], ["a:b"], ["0:", "0:"]]
)
def test_node_ranges_that_do_not(targets: list[str]) -> None:
    with pytest.raises(WireError):
        check_ranges(targets, 4)


# ---- through the API -----------------------------------------------------------------------------


def test_spill_over_only_when_the_first_environment_is_full(stage: Stage) -> None:
    on_demand, spot = stage.environment(max_vcpus=4), stage.environment("SPOT", max_vcpus=8)
    queue = stage.queue(on_demand, spot)
    sleeper = stage.python(
        "import os, time; print(os.environ['AWS_BATCH_CE_NAME'], flush=True); time.sleep(60)",
        vcpus="4",
    )
    jobs = [stage.submit(queue, sleeper) for _ in range(2)]
    streams = [stage.wait(job, "RUNNING")["container"]["logStreamName"] for job in jobs]
    for stream in streams:
        until(functools.partial(stage.log, stream))
    names = [stage.log(stream)[0] for stream in streams]
    assert names == [arn.rsplit("/", 1)[-1] for arn in (on_demand, spot)]
    described = stage.batch.describe_compute_environments(computeEnvironments=[on_demand])[
        "computeEnvironments"
    ][0]
    assert (described["computeResources"]["desiredvCpus"], described["status"]) == (4, "VALID")
    for job in jobs:
        stage.batch.terminate_job(jobId=job, reason="done")
        stage.wait(job)


def test_blocked_head_says_why_and_is_cancelled_in_time(stage: Stage) -> None:
    limits = [
        {"reason": MAX_RESOURCE, "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
    ]
    queue = stage.queue(stage.environment(max_vcpus=4), jobStateTimeLimitActions=limits)
    head, behind = (
        stage.submit(queue, stage.definition(["true"], vcpus="8")),
        stage.submit(queue, stage.definition(["true"])),
    )
    until(lambda: MAX_RESOURCE in stage.job(head).get("statusReason", ""))
    snapshot = stage.batch.get_job_queue_snapshot(jobQueue=queue)
    assert [each["jobArn"].rsplit("/", 1)[-1] for each in snapshot["frontOfQueue"]["jobs"]] == [
        head,
        behind,
    ]
    assert stage.job(behind)["status"] == "RUNNABLE"
    stage.cloud.batch.advance(601)
    assert (
        stage.wait(head)["statusReason"]
        == f"Canceled by JobStateTimeLimit action due to reason: {MAX_RESOURCE}"
    )
    assert stage.wait(behind)["status"] == "SUCCEEDED"


def test_shortage_of_instances(stage: Stage) -> None:
    queue = stage.queue(stage.environment(max_vcpus=8))
    stage.cloud.batch.withhold_capacity("*")
    job = stage.submit(queue, stage.definition(["true"]))
    until(
        lambda: f"{NO_CAPACITY} - Service cannot fulfill" in stage.job(job).get("statusReason", "")
    )
    stage.cloud.batch.withhold_capacity()
    assert stage.wait(job)["status"] == "SUCCEEDED"


def invalid(stage: Stage, arn: str) -> Any:
    described = stage.batch.describe_compute_environments(computeEnvironments=[arn])[
        "computeEnvironments"
    ][0]
    return described["status"] == "INVALID" and described


def test_instances_that_cannot_join(stage: Stage) -> None:
    ec2 = stage.client("ec2")
    lonely = ec2.create_subnet(
        VpcId=stage.vpc, CidrBlock="10.9.2.0/24", AvailabilityZone="us-east-1a"
    )["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=stage.vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=lonely)
    mute = ec2.create_security_group(
        GroupName=stage.name("mute"), Description="no egress", VpcId=stage.vpc
    )["GroupId"]
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    door = ec2.create_security_group(
        GroupName=stage.name("door"), Description="endpoints", VpcId=stage.vpc
    )["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=door, IpPermissions=everything)
    ec2.revoke_security_group_egress(GroupId=mute, IpPermissions=everything)
    profile = stage.instance_profile(
        managed=("AmazonEC2ContainerRegistryReadOnly", "CloudWatchAgentServerPolicy")
    )
    broken = {
        "ecs:RegisterContainerInstance": stage.environment(instanceRole=profile),
        "no route to the internet": stage.environment(subnets=[lonely]),
        "let nothing out": stage.environment(securityGroupIds=[mute]),
    }
    jobs = {
        found: stage.submit(stage.queue(arn), stage.definition(["true"]))
        for found, arn in broken.items()
    }
    for found, arn in broken.items():
        described = until(functools.partial(invalid, stage, arn), what=found)
        assert (
            "none of the instances joined the underlying ECS Cluster" in described["statusReason"]
        )
        assert found in described["statusReason"]
        assert stage.job(jobs[found])["status"] == "RUNNABLE"
        assert stage.job(jobs[found])["statusReason"].startswith("ACTION_REQUIRED")
    # what was missing arrives, and the jobs go on by themselves
    ec2.authorize_security_group_egress(GroupId=mute, IpPermissions=everything)
    assert stage.wait(jobs["let nothing out"])["status"] == "SUCCEEDED"
    for service in ("logs", "ecs", "ecs-agent", "ecs-telemetry"):
        assert stage.job(jobs["no route to the internet"])["status"] == "RUNNABLE"
        ec2.create_vpc_endpoint(
            VpcId=stage.vpc,
            ServiceName=f"com.amazonaws.us-east-1.{service}",
            VpcEndpointType="Interface",
            SubnetIds=[lonely],
            SecurityGroupIds=[door],
            PrivateDnsEnabled=True,
        )
    assert stage.wait(jobs["no route to the internet"])["status"] == "SUCCEEDED"


def test_real_instance_types_leave_room_for_the_agent(stage: Stage) -> None:
    shapes = AwsState("us-east-1").instance_shapes()
    assert shapes["p5.48xlarge"].vcpus == 192
    assert shapes["p5.48xlarge"].gpus == 8
    assert 3700 < shapes["c5.large"].memory_mib < 4096
    assert len(shapes) > 1000
