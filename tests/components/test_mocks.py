"""The harness itself: each planted fault has to be seen."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws
import pytest

from localcloud.deployment.deploy import DeploymentError
from localcloud.deployment.provider.values import UNKNOWN
from tests.components import mocks

BUCKET = "aws:s3/bucket:Bucket"


def test_a_fresh_sdk_each_time_and_everything_awaited() -> None:
    applied: list[str] = []

    def program() -> str:
        bucket = aws.s3.Bucket("box")
        bucket.arn.apply(applied.append)
        pulumi.export("arn", bucket.arn)
        return "plain"

    for _ in range(2):
        recording = mocks.deploy(program)
        assert recording.one(BUCKET).name == "box"
        assert recording.returned == "plain"
        assert recording.exports == {"arn": applied[-1]}
    assert applied[0].startswith("arn:aws:s3:::box-")
    assert len(applied) == 2


def misspelt_nested_property() -> None:
    aws.ec2.SecurityGroup(
        "g",
        egress=[{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidr_blcks": ["0.0.0.0/0"]}],  # type: ignore[list-item]
    )


def unmodelled_output_in_an_input() -> None:
    aws.s3.Bucket("b", tags={"key": aws.ec2.Vpc("v").main_route_table_id})


def error_in_apply() -> None:
    aws.s3.Bucket("b").arn.apply(lambda arn: dict[str, str]()[arn])


def error_in_the_program() -> None:
    raise KeyError("key")


def name_made_twice() -> None:
    aws.s3.Bucket("b")
    aws.s3.Bucket("b")


def deprecated_output() -> None:
    pulumi.export(
        "arn", aws.secretsmanager.SecretVersion("v", secret_id="s", secret_string="x").arn
    )


def data_source_without_answer() -> None:
    aws.ec2.get_ami(owners=["self"])


@pytest.mark.filterwarnings("ignore:arn is deprecated:UserWarning")
@pytest.mark.parametrize(
    ("program", "error", "text"),
    [
        (misspelt_nested_property, DeploymentError, "cidr"),
        (unmodelled_output_in_an_input, DeploymentError, "mainRouteTableId"),
        (error_in_apply, KeyError, "arn:aws:s3"),
        (error_in_the_program, KeyError, "key"),
        (name_made_twice, DeploymentError, "already made"),
        (deprecated_output, AssertionError, "arn is deprecated"),
        (data_source_without_answer, Exception, "getAmi"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_planted_faults_are_red(program, error, text) -> None:
    with pytest.raises(error, match=text):
        mocks.deploy(program)


def test_look_ups_fail_on_nothing() -> None:
    recording = mocks.deploy(lambda: aws.s3.Bucket("b"))
    with pytest.raises(AssertionError, match="at least once"):
        recording.all("aws:ec2/vpc:Vpc")
    with pytest.raises(AssertionError, match="2 times"):
        recording.all(BUCKET, count=2)
    with pytest.raises(AssertionError):
        recording.none(BUCKET)
    with pytest.raises(AssertionError, match="not a type"):
        recording.none("aws:ec2/vpx:Vpx")


def test_a_preview_knows_no_ids_and_still_evaluates() -> None:
    recording = mocks.deploy(
        lambda: aws.ec2.Subnet("s", vpc_id=aws.ec2.Vpc("v", cidr_block="10.0.0.0/16").id),
        preview=True,
    )
    assert recording.one("aws:ec2/subnet:Subnet").inputs["vpcId"] is UNKNOWN
