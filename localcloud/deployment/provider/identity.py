"""IAM, KMS, Secrets Manager and Systems Manager parameters."""

from __future__ import annotations

from typing import Final

from localcloud.deployment.provider.calls import Call, Naming, handles, names
from localcloud.deployment.provider.lifecycle import Update

_IAM: Final = r"[A-Za-z0-9_+=,.@-]"

names(
    {
        "iam/role:Role": Naming(longest=64, characters=_IAM),
        "iam/rolePolicy:RolePolicy": Naming(longest=128, characters=_IAM),
        "iam/policy:Policy": Naming(longest=128, characters=_IAM),
        "iam/instanceProfile:InstanceProfile": Naming(longest=128, characters=_IAM),
        "secretsmanager/secret:Secret": Naming(longest=512),
        "ssm/parameter:Parameter": Naming(longest=1011),
    }
)


@handles("iam/role:Role")
def role(call: Call) -> None:
    """Role with its inline policies and attachments."""
    call.ignore("forceDetachPolicies")
    name, managed, inline = (
        call.take("name"),
        call.take("managedPolicyArns") or [],
        call.take("inlinePolicies") or [],
    )
    rename = {"assumeRolePolicy": "AssumeRolePolicyDocument"}
    created = call.create("iam", "CreateRole", rename=rename, RoleName=name)["Role"]
    call.id = name
    for policy in inline:
        if policy.get("name") and policy.get("policy"):
            call.send(
                "iam",
                "PutRolePolicy",
                RoleName=name,
                PolicyName=policy["name"],
                PolicyDocument=policy["policy"],
            )
    for arn in managed:
        call.send("iam", "AttachRolePolicy", RoleName=name, PolicyArn=arn)
    call.outputs |= {
        "arn": created["Arn"],
        "uniqueId": created["RoleId"],
        "createDate": created["CreateDate"].isoformat(),
        "path": created["Path"],
    }


@handles("iam/rolePolicy:RolePolicy")
def role_policy(call: Call) -> None:
    """Inline policy of a role."""
    owner, name, policy = call.take("role"), call.take("name"), call.take("policy")
    call.send("iam", "PutRolePolicy", RoleName=owner, PolicyName=name, PolicyDocument=policy)
    call.id = f"{owner}:{name}"


@handles("iam/policy:Policy")
def policy(call: Call) -> None:
    """Managed policy of this account."""
    call.ignore("delayAfterPolicyCreationInMs")
    name, document = call.take("name"), call.take("policy")
    created = call.create("iam", "CreatePolicy", PolicyName=name, PolicyDocument=document)["Policy"]
    call.id = created["Arn"]
    call.outputs |= {
        "arn": created["Arn"],
        "policyId": created["PolicyId"],
        "attachmentCount": 0,
        "path": created["Path"],
    }


@handles("iam/rolePolicyAttachment:RolePolicyAttachment")
def attachment(call: Call) -> None:
    """A managed policy on a role."""
    owner, arn = call.take("role"), call.take("policyArn")
    call.send("iam", "AttachRolePolicy", RoleName=owner, PolicyArn=arn)
    call.id = f"{owner}/{arn}"


@handles("iam/instanceProfile:InstanceProfile")
def instance_profile(call: Call) -> None:
    """Instance profile with its role."""
    name, owner = call.take("name"), call.take("role")
    created = call.create("iam", "CreateInstanceProfile", InstanceProfileName=name)[
        "InstanceProfile"
    ]
    call.id = name
    if owner:
        call.send("iam", "AddRoleToInstanceProfile", InstanceProfileName=name, RoleName=owner)
    call.outputs |= {
        "arn": created["Arn"],
        "uniqueId": created["InstanceProfileId"],
        "createDate": created["CreateDate"].isoformat(),
    }


@handles("iam/serviceLinkedRole:ServiceLinkedRole")
def service_linked_role(call: Call) -> None:
    """Service-linked role; AWS names it."""
    call.ignore("tags")
    created = call.create(
        "iam", "CreateServiceLinkedRole", tagged=None, rename={"awsServiceName": "AWSServiceName"}
    )["Role"]
    call.id = created["Arn"]
    if call.tags:
        call.send(
            "iam",
            "TagRole",
            RoleName=created["RoleName"],
            Tags=[{"Key": k, "Value": v} for k, v in sorted(call.tags.items())],
        )
    call.outputs |= {
        "arn": created["Arn"],
        "name": created["RoleName"],
        "path": created["Path"],
        "uniqueId": created["RoleId"],
        "createDate": created["CreateDate"].isoformat(),
    }


@handles("kms/key:Key")
def key(call: Call) -> None:
    """KMS key; rotation and the disabled state are set afterwards."""
    call.ignore("deletionWindowInDays")
    rotate, period, enabled = (
        call.take("enableKeyRotation"),
        call.take("rotationPeriodInDays"),
        call.take("isEnabled", default=True),
    )
    rename = {"customerMasterKeySpec": "KeySpec"}
    created = call.create("kms", "CreateKey", rename=rename)["KeyMetadata"]
    call.id = created["KeyId"]
    if rotate:
        call.send("kms", "EnableKeyRotation", KeyId=call.id, RotationPeriodInDays=period)
    if enabled is False:
        call.send("kms", "DisableKey", KeyId=call.id)
    call.outputs |= {"arn": created["Arn"], "keyId": created["KeyId"]}


@handles("kms/alias:Alias", Naming(longest=256, stem="alias/"))
def alias(call: Call) -> None:
    """Alias of a KMS key."""
    name, target = call.take("name"), call.take("targetKeyId")
    call.send("kms", "CreateAlias", AliasName=name, TargetKeyId=target)
    call.id = name
    metadata = call.send("kms", "DescribeKey", KeyId=target)["KeyMetadata"]
    call.outputs |= {"arn": call.aws.arn("kms", name), "targetKeyArn": metadata["Arn"]}


@handles("secretsmanager/secret:Secret")
def secret(call: Call) -> None:
    """Secret without a value."""
    call.ignore("recoveryWindowInDays", "forceOverwriteReplicaSecret")
    policy_text, replicas = call.take("policy"), call.take("replicas")
    rename = {"replicas": "AddReplicaRegions"}
    created = call.create(
        "secretsmanager", "CreateSecret", rename=rename, AddReplicaRegions=replicas or None
    )
    call.id = created["ARN"]
    if policy_text:
        call.send(
            "secretsmanager", "PutResourcePolicy", SecretId=call.id, ResourcePolicy=policy_text
        )
    call.outputs |= {"arn": created["ARN"], "name": created["Name"]}


@handles("secretsmanager/secretVersion:SecretVersion")
def secret_version(call: Call) -> None:
    """The value of a secret; the write-only form is taken as well."""
    call.ignore("secretStringWoVersion")
    write_only, text = call.take("secretStringWo"), call.take("secretString")
    value = text if text is not None else write_only
    created = call.create("secretsmanager", "PutSecretValue", tagged=None, SecretString=value)
    call.id = f"{created['ARN']}|{created['VersionId']}"
    call.outputs |= {
        "arn": created["ARN"],
        "secretArn": created["ARN"],
        "versionId": created["VersionId"],
        "versionStages": created.get("VersionStages", ["AWSCURRENT"]),
        "hasSecretStringWo": write_only is not None,
    }


@handles("ssm/parameter:Parameter")
def parameter(call: Call) -> None:
    """Systems Manager parameter."""
    call.ignore("arn", "valueWoVersion")
    values = [call.take(name) for name in ("value", "insecureValue", "valueWo")]
    text = next((value for value in values if value is not None), None)
    created = call.create("ssm", "PutParameter", Value=text)
    name = str(call.values["name"])
    call.id = name
    call.outputs |= {
        "arn": call.aws.arn("ssm", f"parameter/{name.lstrip('/')}"),
        "version": created["Version"],
        "value": text,
        "hasValueWo": values[2] is not None,
    }


def change_parameter(update: Update) -> None:
    """A parameter is put anew, over the old one."""
    update.ignore("arn", "region", "tags")
    values = [update.take(name) for name in ("value", "insecureValue", "valueWo")]
    body = update.aws.request("ssm", "PutParameter", update.rest())
    update.sent_whole()
    text = next((value for value in values if value is not None), None)
    put = update.send("ssm", "PutParameter", **{**body, "Value": text, "Overwrite": True})
    update.outputs |= {"value": text, "version": put["Version"]}
