"""SQS queues and SNS topics. Both keep their settings as attributes, which are texts by name."""

from __future__ import annotations

from typing import Any, Final

from localcloud.deployment.provider.calls import Call, Naming, handles, names

names(
    {
        "sqs/queue:Queue": Naming(
            longest=80, suffix_input="fifoQueue", characters=r"[A-Za-z0-9_.-]"
        ),
        "sns/topic:Topic": Naming(
            longest=80, suffix_input="fifoTopic", characters=r"[A-Za-z0-9_.-]"
        ),
    }
)

QUEUE_ATTRIBUTES: Final = {
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "deduplicationScope": "DeduplicationScope",
    "delaySeconds": "DelaySeconds",
    "fifoQueue": "FifoQueue",
    "fifoThroughputLimit": "FifoThroughputLimit",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "policy": "Policy",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redriveAllowPolicy": "RedriveAllowPolicy",
    "redrivePolicy": "RedrivePolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}
TOPIC_ATTRIBUTES: Final = {
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "deliveryPolicy": "DeliveryPolicy",
    "displayName": "DisplayName",
    "fifoTopic": "FifoTopic",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "policy": "Policy",
    "signatureVersion": "SignatureVersion",
    "tracingConfig": "TracingConfig",
}
_OF_CREATION: Final = ("FifoTopic",)
"""Attributes that CreateTopic has to be given; all others are set after it."""
SUBSCRIPTION_ATTRIBUTES: Final = {
    "deliveryPolicy": "DeliveryPolicy",
    "filterPolicy": "FilterPolicy",
    "filterPolicyScope": "FilterPolicyScope",
    "rawMessageDelivery": "RawMessageDelivery",
    "redrivePolicy": "RedrivePolicy",
    "replayPolicy": "ReplayPolicy",
    "subscriptionRoleArn": "SubscriptionRoleArn",
}


def _attributes(call: Call, table: dict[str, str]) -> dict[str, str] | None:
    given = {member: call.take(name) for name, member in table.items()}
    # AWS wants FifoQueue and its like to be true or absent
    return {
        member: attribute_text(value)
        for member, value in given.items()
        if value not in (None, "", False)
    } or None


def attribute_text(value: Any) -> str:
    """An attribute as the API takes it: nothing is an empty text, by which an attribute that is set
    already goes.
    """
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


@handles("sqs/queue:Queue")
def queue(call: Call) -> None:
    """Queue."""
    name = call.take("name")
    attributes = _attributes(call, QUEUE_ATTRIBUTES) or {}
    # the real provider sends the default of its schema, which is no longer that of AWS
    attributes.setdefault("MaximumMessageSize", "262144")
    url = call.send(
        "sqs",
        "CreateQueue",
        QueueName=name,
        Attributes=attributes,
        tags=dict(call.tags) or None,
    )["QueueUrl"]
    call.id = url
    call.outputs |= {
        "arn": call.aws.arn("sqs", name),
        "url": url,
        "visibilityTimeoutSeconds": call.values.get("visibilityTimeoutSeconds", 30),
    }


@handles("sqs/queuePolicy:QueuePolicy")
def queue_policy(call: Call) -> None:
    """Policy of a queue."""
    call.id = call.take("queueUrl")
    call.send(
        "sqs", "SetQueueAttributes", QueueUrl=call.id, Attributes={"Policy": call.take("policy")}
    )


@handles("sns/topic:Topic")
def topic(call: Call) -> None:
    """Topic."""
    name = call.take("name")
    tags = call.aws.tags("sns", "CreateTopic", call.tags, "")
    attributes = _attributes(call, TOPIC_ATTRIBUTES) or {}
    # as the real provider does: AWS answers the creation of a topic that is there with its ARN
    first = {member: attributes.pop(member) for member in _OF_CREATION if member in attributes}
    call.id = call.send("sns", "CreateTopic", Name=name, Attributes=first or None, **tags)[
        "TopicArn"
    ]
    for member, value in attributes.items():
        call.send(
            "sns",
            "SetTopicAttributes",
            TopicArn=call.id,
            AttributeName=member,
            AttributeValue=value,
        )
    call.outputs |= {"arn": call.id, "owner": call.aws.account}


@handles("sns/topicPolicy:TopicPolicy")
def topic_policy(call: Call) -> None:
    """Policy of a topic."""
    call.id = call.take("arn")
    call.send(
        "sns",
        "SetTopicAttributes",
        TopicArn=call.id,
        AttributeName="Policy",
        AttributeValue=call.take("policy"),
    )
    call.outputs["owner"] = call.aws.account


@handles("sns/topicSubscription:TopicSubscription")
def subscription(call: Call) -> None:
    """Subscription to a topic; waiting for a confirmation is the subscriber's part and not
    modelled.
    """
    call.ignore("confirmationTimeoutInMinutes", "endpointAutoConfirms")
    protocol, request = (
        call.take("protocol"),
        {"TopicArn": call.take("topic"), "Endpoint": call.take("endpoint")},
    )
    attributes = _attributes(call, SUBSCRIPTION_ATTRIBUTES)
    created = call.send(
        "sns",
        "Subscribe",
        Protocol=protocol,
        Attributes=attributes,
        ReturnSubscriptionArn=True,
        **request,
    )
    call.id = created["SubscriptionArn"]
    call.outputs |= {
        "arn": call.id,
        "ownerId": call.aws.account,
        "pendingConfirmation": protocol in ("email", "email-json", "http", "https"),
    }
