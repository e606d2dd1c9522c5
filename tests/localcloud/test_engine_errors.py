"""Every mistake that a program can make is told as one sentence with the program's own line."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from tests.localcloud.conftest import PATIENCE
from tests.localcloud.deploying import FIRST_LINE, failure, no_aws, run

ROLE = 'role = aws.iam.Role("role", assume_role_policy=trust("batch.amazonaws.com"))'
GROUP = 'group = aws.cloudwatch.LogGroup("group")'
NETWORK = """\
vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
subnet = aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24")
security_group = aws.ec2.SecurityGroup("security-group", vpc_id=vpc.id)
profile = aws.iam.InstanceProfile("profile", role=role.name)
"""


def environment(**changes: object) -> str:
    resources = {
        "type": "EC2",
        "allocation_strategy": "BEST_FIT_PROGRESSIVE",
        "min_vcpus": 0,
        "max_vcpus": 4,
        "instance_types": ["m5.large"],
    }
    written = ", ".join(
        f"{name!r}: {value!r}"
        for name, value in {**resources, **changes}.items()
        if value is not None
    )
    names = (
        "'subnets': [subnet.id], 'security_group_ids': [security_group.id], 'instance_role':"
        " profile.arn"
    )
    resources_text = f"compute_resources={{{written}, {names}}}"
    return (
        f'{ROLE}\n{NETWORK}aws.batch.ComputeEnvironment("nodes", type="MANAGED",'
        f" service_role=role.arn, {resources_text})"
    )


def job(properties: str) -> str:
    return (
        f'{ROLE}\naws.batch.JobDefinition("job", type="container",'
        f" container_properties=json.dumps({properties}))"
    )


CONTAINER = (
    '"image": "x", "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY",'
    ' "value": "512"}]'
)

MISTAKES = {
    "misspelt nested property": (
        environment(max_vcpu=5),
        r"computeResources\.max_vcpu is not a property here; did you mean maxVcpus\?",
    ),
    "missing nested property": (
        environment(max_vcpus=None),
        r"computeResources\.maxVcpus is required",
    ),
    "nested property of the wrong type": (
        environment(max_vcpus="many"),
        r"computeResources\.maxVcpus is 'many', expected an integer",
    ),
    "value that AWS does not know": (
        environment(allocation_strategy="BEST_FITT"),
        (
            r"computeResources\.allocationStrategy is 'BEST_FITT', allowed are BEST_FIT,"
            r" BEST_FIT_PROGRESSIVE"
        ),
    ),
    "value in JSON that AWS does not know": (
        job('{"image": "x", "resourceRequirements": [{"type": "CPU", "value": "1"}]}'),
        (
            r"containerProperties\.resourceRequirements\[0\]\.type is 'CPU', allowed are GPU, VCPU,"
            r" MEMORY"
        ),
    ),
    "member in JSON that AWS does not know": (
        job(f"{{{CONTAINER}, 'jobRole': role.name}}".replace("role.name", "'x'")),
        r'"jobRole"',
    ),
    "role in JSON that does not exist": (
        job(f"{{{CONTAINER}, 'jobRoleArn': 'arn:aws:iam::123456789012:role/nobody'}}"),
        (
            r"containerProperties\.jobRoleArn is arn:aws:iam::123456789012:role/nobody, which does"
            r" not exist"
        ),
    ),
    "log group in JSON that does not exist": (
        job(
            f"{{{CONTAINER}, 'logConfiguration': {{'logDriver': 'awslogs', 'options':"
            " {'awslogs-group': '/no/where'}}}"
        ),
        (
            r"containerProperties\.logConfiguration\.options\.awslogs-group is /no/where, which"
            r" does not exist"
        ),
    ),
    "queue that does not exist": (
        (
            'aws.cloudwatch.MetricAlarm("alarm", comparison_operator="GreaterThanThreshold",'
            ' evaluation_periods=1, namespace="N",\n    metric_name="M", period=60,'
            ' statistic="Sum", threshold=1,'
            ' alarm_actions=["arn:aws:sns:us-east-1:123456789012:nobody"])'
        ),
        r"alarmActions\[0\] is arn:aws:sns:us-east-1:123456789012:nobody, which does not exist",
    ),
    "subnet that does not exist": (
        f"""{ROLE}\n{NETWORK}aws.ec2.RouteTableAssociation("a", route_table_id="rtb-00000000000000000", subnet_id=subnet.id)""",
        r"rtb-00000000000000000",
    ),
    "duplicate name": (
        f"{GROUP}\n{GROUP}",
        rf"a resource of this type and name was already made at __main__\.py:{FIRST_LINE}",
    ),
    "text that is not JSON": ('aws.iam.Policy("policy", policy="{,}")', r"policy is not JSON"),
    "unmodelled output as an input": (
        (
            'group = aws.ec2.DefaultSecurityGroup("g", vpc_id=aws.ec2.Vpc("v",'
            ' cidr_block="10.0.0.0/16").id)\naws.ssm.Parameter("p", type="String",'
            " value=group.name_prefix)"
        ),
        r"value uses g\.namePrefix, an output that the local provider does not model",
    ),
    "unmodelled number as an input": (
        (
            'function = aws.cloudwatch.LogGroup("g")\naws.ssm.Parameter("p", type="String",'
            " value=function.deletion_protection_enabled.apply(str))"
        ),
        (
            r"value is not known although all it depends on exists: it comes from an output of 'g'"
            r" that the local provider does not model"
        ),
    ),
    "unmodelled type": (
        'aws.xray.Group("group", group_name="x", filter_expression="x")',
        r"aws:xray/group:Group is not modelled",
    ),
    "unmodelled data source": (
        'aws.ec2.get_ami(most_recent=True, owners=["amazon"])',
        r"getAmi:getAmi is not modelled",
    ),
    "input of a modelled type that is not modelled": (
        'aws.s3.Bucket("b", acl="private")',
        r"acl of aws:s3/bucket:Bucket is not modelled",
    ),
    "automatic name that is too long": (
        f'aws.iam.Role("{"r" * 60}", assume_role_policy=trust("x"))',
        r"has 68 characters, AWS allows 64",
    ),
    "foreign region": (
        'aws.sns.Topic("t", region="eu-west-1")',
        r"region is eu-west-1, but the stack's aws:region is us-east-1",
    ),
    "reading what is not of this deployment": (
        'aws.sns.Topic.get("t", "x")',
        r"aws:sns/topic:Topic 't': `get` is not served",
    ),
    "transform": (
        'aws.sns.Topic("t", opts=pulumi.ResourceOptions(transforms=[lambda args: None]))',
        r"resource transforms are not served by the local engine",
    ),
    "import": (
        'aws.sns.Topic("t", opts=pulumi.ResourceOptions(import_="x"))',
        r"import is not served",
    ),
    "refused by AWS": (
        (
            'aws.iam.RolePolicyAttachment("a", role="nobody",'
            ' policy_arn="arn:aws:iam::123456789012:policy/p")'
        ),
        r"iam:AttachRolePolicy answered NoSuchEntity",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    body, expected = MISTAKES[name]
    error = failure(tmp_path, body)
    assert len(error.failures) == 1, str(error)
    assert re.search(expected, str(error)), str(error)
    last = FIRST_LINE + body.count("\n")
    statement = max(
        n
        for n, text in enumerate((tmp_path / "__main__.py").read_text().splitlines(), 1)
        if re.match(r"(\w+ = )?aws", text)
    )
    assert f"[__main__.py:{statement}]" in str(error), str(error)
    assert statement <= last
    assert "Traceback" not in str(error)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('aws.sns.Topic("t", nmae="x")', r"TypeError: .*'nmae' \[__main__\.py:12\]$"),
        (
            'raise ValueError("max_vcpus is 3, at least 4 is needed")',
            r"^max_vcpus is 3, at least 4 is needed \[__main__\.py:12\]$",
        ),
        ('import sys\nsys.exit("two problems")', r"^two problems \[__main__\.py:13\]$"),
        (
            "import sys\nsys.exit(3)",
            r"^the program ended itself with exit code 3 \[__main__\.py:13\]$",
        ),
        ('raise pulumi.RunError("stop")', r"^stop \[__main__\.py:12\]$"),
        ('pulumi.log.error("told by the program")', r"^told by the program$"),
        ("{}['key']", r"^KeyError: 'key' \[__main__\.py:12\]$"),
        (
            "pulumi.Config().require('absent')",
            r"^Missing required configuration variable 'demo:absent'",
        ),
        (
            'aws.sns.Topic("t").arn.apply(lambda arn: arn.nothing)',
            r"^AttributeError: 'str' object has no attribute 'nothing' \[__main__\.py:12\]$",
        ),
    ],
)
def test_an_error_of_the_program_is_its_message(tmp_path: Path, body: str, expected: str) -> None:
    assert FIRST_LINE == 12
    error = failure(tmp_path, body)
    assert len(error.failures) == 1, str(error)
    assert re.search(expected, str(error)), str(error)


def test_all_failures_are_told_and_what_depends_on_them_is_skipped(tmp_path: Path) -> None:
    body = """
        topic = aws.sns.Topic("topic")
        lost = aws.iam.RolePolicyAttachment("lost", role="nobody", policy_arn="x")
        also_lost = aws.iam.RolePolicyAttachment("also-lost", role="nobody", policy_arn="y")
        after = aws.sns.Topic("after", display_name=lost.id)
        aws.ssm.Parameter("later", type="String", value=after.arn)
        aws.ssm.Parameter("explicit", type="String", value="x", opts=pulumi.ResourceOptions(depends_on=[also_lost]))
        aws.ssm.Parameter("fine", type="String", value=topic.arn)
        pulumi.export("later", after.arn)
    """
    error = failure(tmp_path, body)
    assert sorted(f.name for f in error.failures) == ["also-lost", "lost"]
    assert sorted(urn.rpartition("::")[2] for urn in error.skipped) == [
        "after",
        "explicit",
        "later",
    ]
    assert (
        str(error).splitlines()[-1]
        == "left as they were, because of these: Parameter 'explicit', Parameter 'later', Topic"
        " 'after'"
    )


def test_a_component_is_told_with_its_own_line_and_type(tmp_path: Path) -> None:
    files = {
        "parts/__init__.py": "",
        "parts/store.py": (
            """\
            import pulumi
            import pulumi_aws as aws


            class Store(pulumi.ComponentResource):
                def __init__(self, name, opts=None):
                    super().__init__("demo:parts:Store", name, None, opts)
                    aws.iam.RolePolicyAttachment(f"{name}-lost", role="nobody", policy_arn="x", opts=pulumi.ResourceOptions(parent=self))
                    self.register_outputs({})
        """
        ),
    }
    error = failure(tmp_path, "from parts.store import Store\n\nStore('store')", files=files)
    (only,) = error.failures
    assert only.location == "parts/store.py:8"
    assert (
        only.urn
        == "urn:pulumi:dev::demo::demo:parts:Store$aws:iam/rolePolicyAttachment:RolePolicyAttachment::store-lost"
    )


def test_an_unmodelled_output_cannot_be_exported(tmp_path: Path) -> None:
    body = """
        group = aws.ec2.DefaultSecurityGroup("g", vpc_id=aws.ec2.Vpc("v", cidr_block="10.0.0.0/16").id)
        pulumi.export("text", pulumi.Output.concat("prefix ", group.name_prefix))
        pulumi.export("flag", {"nested": aws.cloudwatch.LogGroup("l").deletion_protection_enabled})
        pulumi.export("fine", group.arn)
    """
    error = failure(tmp_path, body)
    assert sorted(str(f).split(" uses ")[0] for f in error.failures) == [
        "export 'flag.nested'",
        "export 'text'",
    ]
    assert "g.namePrefix" in str(error)


def test_an_interrupted_deployment_ends_and_what_uses_the_sdk_next_is_fresh(tmp_path: Path) -> None:
    """Ctrl-C is handled by the main thread, whichever the kernel gives it to."""
    body = """
    import asyncio, signal, threading
    aws.sqs.Queue("queue")
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    pulumi.export("never", asyncio.ensure_future(asyncio.sleep(3600)))
    """
    began = time.monotonic()
    # a shell starts what runs in the background with the signal ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "interrupted", body, client=no_aws, preview=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < PATIENCE
    again = run(tmp_path / "again", 'aws.sqs.Queue("queue")', client=no_aws, preview=True)
    assert [step.operation for step in again.steps if step.name == "queue"] == ["create"]
