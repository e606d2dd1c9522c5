"""Lambda functions and Step Functions state machines."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from localcloud.deployment.provider.archive import archive_zip
from localcloud.deployment.provider.calls import (
    Aws,
    Call,
    Naming,
    ProviderError,
    Row,
    handles,
    names,
    rows,
)

names(
    {
        "lambda/function:Function": Naming(longest=64, characters=r"[A-Za-z0-9_-]"),
        "sfn/stateMachine:StateMachine": Naming(longest=80, characters=r"[A-Za-z0-9_-]"),
    }
)
rows(
    {
        "lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Row(
            "lambda", "PutFunctionEventInvokeConfig", "{functionName}", tagged=None
        ),
    }
)


@handles("lambda/function:Function")
def function(call: Call) -> None:
    """Function from a zip that is made here, or an image."""
    call.ignore(
        "skipDestroy",
        "sourceCodeHash",
        "replaceSecurityGroupsOnDestroy",
        "replacementSecurityGroupIds",
        "useResourceTimeoutForPropagation",
    )
    archive, image = call.take("code"), call.take("imageUri")
    bucket, key, version = (call.take(name) for name in ("s3Bucket", "s3Key", "s3ObjectVersion"))
    concurrency, name = call.take("reservedConcurrentExecutions"), call.take("name")
    package = archive_zip(archive) if archive is not None else None
    given = {
        "ZipFile": package,
        "ImageUri": image,
        "S3Bucket": bucket,
        "S3Key": key,
        "S3ObjectVersion": version,
    }
    code: dict[str, Any] = {member: value for member, value in given.items() if value is not None}
    if not code:
        raise ProviderError("the function has no code; give code, imageUri or s3Bucket with s3Key")
    rename = {"kmsKeyArn": "KMSKeyArn", "sourceKmsKeyArn": "SourceKMSKeyArn"}
    created = call.create("lambda", "CreateFunction", rename=rename, FunctionName=name, Code=code)
    call.id = name
    if concurrency is not None and int(concurrency) >= 0:
        call.send(
            "lambda",
            "PutFunctionConcurrency",
            FunctionName=name,
            ReservedConcurrentExecutions=int(concurrency),
        )
    arn = created["FunctionArn"]
    call.outputs |= {
        "arn": arn,
        "qualifiedArn": f"{arn}:{created['Version']}",
        "version": created["Version"],
        "invokeArn": invoke_arn(call.aws, arn),
        "lastModified": created["LastModified"],
        "codeSha256": created["CodeSha256"],
        "sourceCodeSize": created["CodeSize"],
        "sourceCodeHash": (
            base64.b64encode(hashlib.sha256(package).digest()).decode()
            if package
            else created["CodeSha256"]
        ),
    }


def invoke_arn(aws: Aws, arn: str) -> str:
    """The ARN by which API Gateway invokes a function."""
    gateway = f"arn:{aws.partition}:apigateway:{aws.region}"
    return f"{gateway}:lambda:path/2015-03-31/functions/{arn}/invocations"


@handles(
    "lambda/permission:Permission",
    Naming(
        property="statementId",
        prefix_property="statementIdPrefix",
        longest=100,
        characters=r"[0-9A-Za-z_-]",
        late=True,
    ),
)
def permission(call: Call) -> None:
    """A statement of a function's resource policy."""
    call.ignore("statementIdPrefix")
    statement = call.take("statementId")
    rename = {"function": "FunctionName"}
    call.create("lambda", "AddPermission", tagged=None, rename=rename, StatementId=statement)
    call.id = statement
    call.outputs["statementId"] = statement


@handles("lambda/eventSourceMapping:EventSourceMapping")
def event_source_mapping(call: Call) -> None:
    """A queue or stream that a function reads from."""
    call.ignore("useResourceTimeoutForPropagation")
    created = call.create("lambda", "CreateEventSourceMapping", rename={"kmsKeyArn": "KMSKeyArn"})
    call.id = created["UUID"]
    call.outputs |= {
        "uuid": created["UUID"],
        "functionArn": created["FunctionArn"],
        "arn": call.aws.arn("lambda", f"event-source-mapping:{created['UUID']}"),
        "state": created.get("State"),
    }


@handles("lambda/layerVersion:LayerVersion")
def layer_version(call: Call) -> None:
    """One version of a layer."""
    call.ignore("skipDestroy", "sourceCodeHash")
    archive = call.take("code")
    bucket, key, version = (call.take(name) for name in ("s3Bucket", "s3Key", "s3ObjectVersion"))
    given = {
        "ZipFile": archive_zip(archive) if archive is not None else None,
        "S3Bucket": bucket,
        "S3Key": key,
        "S3ObjectVersion": version,
    }
    content = {member: value for member, value in given.items() if value is not None}
    created = call.create("lambda", "PublishLayerVersion", tagged=None, Content=content)
    call.id = created["LayerVersionArn"]
    call.outputs |= {
        "arn": created["LayerVersionArn"],
        "layerArn": created["LayerArn"],
        "version": str(created["Version"]),
        "createdDate": created.get("CreatedDate"),
        "codeSha256": created["Content"].get("CodeSha256"),
        "sourceCodeSize": created["Content"].get("CodeSize"),
    }


@handles("sfn/stateMachine:StateMachine")
def state_machine(call: Call) -> None:
    """State machine; the API takes its log group as an ARN with `:*` at the end."""
    created = call.create(
        "stepfunctions", "CreateStateMachine", loggingConfiguration=logging_document(call)
    )
    call.id = created["stateMachineArn"]
    call.outputs |= {
        "arn": created["stateMachineArn"],
        "creationDate": created["creationDate"].isoformat(),
        "status": "ACTIVE",
        "type": call.values.get("type", "STANDARD"),
        "stateMachineVersionArn": created.get("stateMachineVersionArn"),
    }


def logging_document(call: Call) -> dict[str, Any] | None:
    """Where a state machine logs, as the API takes it; None where it does not."""
    logs = dict(call.take("loggingConfiguration") or {})
    destination = logs.pop("logDestination", None)
    if destination and not destination.endswith(":*"):
        raise ProviderError(
            f"loggingConfiguration.logDestination is {destination}; it has to end with `:*`"
        )
    if destination:
        logs["destinations"] = [{"cloudWatchLogsLogGroup": {"logGroupArn": destination}}]
    document: dict[str, Any] | None = (
        call.aws.part("stepfunctions", "LoggingConfiguration", logs) if logs else None
    )
    return document
