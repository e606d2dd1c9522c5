"""Calls that moto would answer wrongly: put right before it sees them, or refused in the service's
own words.

`docs/moto.md` has the smallest reproduction of each fault.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any, Final

from localcloud.http import shortcomings
from localcloud.moto.state import AwsState
from localcloud.moto.tags import BORN_WITHOUT_TAGS
from localcloud.protocol.wire import Call, WireError
from localcloud.services.log_keys import LogKeys

_NOT_OF_MOTOS_S3: Final = """
    CreateBucketMetadataConfiguration CreateBucketMetadataTableConfiguration CreateSession DeleteBucketAnalyticsConfiguration
    DeleteBucketIntelligentTieringConfiguration DeleteBucketInventoryConfiguration DeleteBucketMetadataConfiguration
    DeleteBucketMetadataTableConfiguration DeleteBucketMetricsConfiguration DeleteObjectAnnotation GetBucketAbac
    GetBucketAnalyticsConfiguration GetBucketIntelligentTieringConfiguration GetBucketMetadataConfiguration
    GetBucketMetadataTableConfiguration GetBucketMetricsConfiguration GetObjectAnnotation GetObjectRetention GetObjectTorrent
    ListBucketAnalyticsConfigurations ListBucketIntelligentTieringConfigurations ListBucketMetricsConfigurations ListDirectoryBuckets
    ListObjectAnnotations PutBucketAbac PutBucketAnalyticsConfiguration PutBucketIntelligentTieringConfiguration
    PutBucketMetricsConfiguration PutBucketRequestPayment PutObjectAnnotation RenameObject SelectObjectContent
    UpdateBucketMetadataAnnotationTableConfiguration UpdateBucketMetadataInventoryTableConfiguration
    UpdateBucketMetadataJournalTableConfiguration UpdateObjectEncryption WriteGetObjectResponse
""".split()  # noqa: SIM905 - as a list it fills a page
"""moto's S3 looks for the query parameters that it knows: to any of these it would answer as to a
GET or PUT of the bucket or object.
"""


_KEYS_BY_ID: Final = ("CancelKeyDeletion", "DisableKey", "EnableKey", "ScheduleKeyDeletion")
"""KMS's operations for which moto knows keys by their ids alone."""


class Amendments:
    """What is done with each such call; looked at after it has been allowed, before moto."""

    def __init__(self, state: AwsState) -> None:
        self._state = state
        self.log_keys = LogKeys(state)
        self._rules: dict[tuple[str, str], Callable[[Call], None]] = {
            ("stepfunctions", "StartExecution"): _name_execution,
            ("stepfunctions", "StartSyncExecution"): _name_execution,
            ("stepfunctions", "StopExecution"): self._keep_reason,
            ("logs", "GetLogEvents"): self._log_stream_exists,
            **{("kms", operation): _key_by_id for operation in _KEYS_BY_ID},
            **dict.fromkeys(BORN_WITHOUT_TAGS, self._born_without_tags),
            ("ec2", "DeleteNatGateway"): self._free_addresses,
            ("ec2", "DeleteVpcEndpoints"): self._keep_routed_tables,
            ("ec2", "DetachInternetGateway"): self._nothing_is_mapped,
            ("sts", "GetSessionToken"): _refuse,  # moto hands out keys that nobody has
            ("sts", "GetFederationToken"): _refuse,
            ("dynamodb", "ExecuteStatement"): _refuse,
            ("dynamodb", "BatchExecuteStatement"): _refuse,
            ("dynamodb", "ExecuteTransaction"): _refuse,
            **{("s3", operation): _refuse for operation in _NOT_OF_MOTOS_S3},
        }

    def apply(self, call: Call) -> None:
        """Changes the call, or raises WireError."""
        if call.service == "logs":
            self.log_keys.check(call)
        rule = self._rules.get((call.service, call.operation))
        if rule is not None:
            rule(call)

    def _keep_reason(self, call: Call) -> None:
        """Moto drops the error and the cause with which an execution is stopped."""
        for execution in self._state.running_executions():
            if execution.exec_arn == call.params.get("executionArn"):
                execution.error, execution.cause = (
                    call.params.get("error"),
                    call.params.get("cause"),
                )

    def _free_addresses(self, call: Call) -> None:
        """Moto keeps an Elastic IP address associated with a NAT gateway that is gone."""
        for gateway in self._state.nat_gateways():
            if gateway.id == call.params.get("NatGatewayId"):
                self._state.free_addresses(gateway)

    def _keep_routed_tables(self, call: Call) -> None:
        """Moto does not delete an endpoint where a route table has no route by it, as those have
        none that came by ModifyVpcEndpoint.
        """
        for endpoint in call.params.get("VpcEndpointIds") or ():
            self._state.keep_routed_tables(str(endpoint))

    def _born_without_tags(self, call: Call) -> None:
        """Moto gives what is made the tags of a namesake that was deleted."""
        parameter = BORN_WITHOUT_TAGS[call.service, call.operation]
        self._state.forget_tags_of_namesake(call.service, str(call.params.get(parameter)))

    def _nothing_is_mapped(self, call: Call) -> None:
        """AWS keeps an internet gateway at its VPC while public addresses there go by it (EC2 API,
        DetachInternetGateway).
        """
        vpc = call.params.get("VpcId")
        if any(
            each.vpc_id == vpc and each.state != "deleted" for each in self._state.nat_gateways()
        ):
            raise WireError(
                "DependencyViolation",
                f"Network {vpc} has some mapped public address(es). "
                "Please unmap those public address(es) before detaching the gateway.",
            )

    def _log_stream_exists(self, call: Call) -> None:
        group, stream = (
            str(call.params.get("logGroupName") or ""),
            str(call.params.get("logStreamName") or ""),
        )
        if self._state.has_log_group(group) and not self._state.has_log_stream(group, stream):
            raise WireError("ResourceNotFoundException", "The specified log stream does not exist.")


def _refuse(call: Call) -> None:
    raise shortcomings.missing(call)


def _key_by_id(call: Call) -> None:
    """KMS takes a key's ARN too (API reference, KeyId)."""
    members: Any = json.loads(call.read_body() or b"{}")
    if isinstance(members, dict) and ":key/" in str(members.get("KeyId")):
        short = str(members["KeyId"]).rpartition("/")[2]
        call.replace_body(json.dumps({**members, "KeyId": short}).encode())


def _name_execution(call: Call) -> None:
    """Without a name AWS gives a UUID; moto calls every such execution `None`, and runs the first
    alone.
    """
    members: Any = json.loads(call.read_body() or b"{}")
    if isinstance(members, dict) and not members.get("name"):
        call.replace_body(json.dumps({**members, "name": str(uuid.uuid4())}).encode())
