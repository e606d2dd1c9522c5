"""What an AWS account has to have before a stack can run in it: one function for each question,
which asks AWS and judges the answer.

A question that AWS does not answer, for want of rights or otherwise, is a warning: only what is
known to be wrong is an error.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from botocore.exceptions import ClientError

from cli.log_checks import of_functions, of_machines, of_stages
from cli.questions import Finding, Questions
from components.context import STACK_TAG
from config.environments import Environment, FargateEnvironment, HpcEnvironment, SpotEnvironment
from config.facts import instance_type
from config.quotas import VCPU_QUOTAS, family_of, increase_command
from config.stack import NAMESPACE, StackConfig
from config.topology import environments_of, instance_types_of, known_types_of

_BATCH_LIMIT: Final = 50
"""Compute environments, and job queues, of an account in a region (AWS Batch user guide,
service_limits).
"""
_SERVICE_ROLES: Final = {
    "batch": "AWSServiceRoleForBatch",
    "ecs": "AWSServiceRoleForECS",
    "spot": "AWSServiceRoleForEC2Spot",
    "spotfleet": "AWSServiceRoleForEC2SpotFleet",
}


def unsure(check: str, what: str, error: Exception) -> Finding:
    """The answer to a question that AWS does not take."""
    details = getattr(error, "response", {}).get("Error", {})
    why = f"{details.get('Code')}: {details.get('Message')}" if details else str(error)
    return Finding(level="warning", check=check, what=f"{what} is not known: {why}")


def region(asked: Questions) -> Iterator[Finding]:
    """The account may use the region."""
    found = asked.client("ec2").describe_regions(AllRegions=True)["Regions"]
    status = {each["RegionName"]: each.get("OptInStatus", "") for each in found}
    if asked.region not in status:
        yield Finding(
            level="error",
            check="region",
            what=f"AWS knows no region {asked.region}",
            fix="correct aws:region",
        )
    elif status[asked.region] == "not-opted-in":
        what = f"the account has not opted into {asked.region}"
        yield Finding(
            level="error",
            check="region",
            what=what,
            fix=f"aws account enable-region --region-name {asked.region}",
        )
    else:
        yield Finding(level="ok", check="region", what=f"{asked.region} is open to the account")


def vcpu_quotas(asked: Questions) -> Iterator[Finding]:
    """The quotas on vCPUs hold what one job needs (else an error), and all that the environments
    may start (else a warning).
    """
    ceiling, least, users = (
        defaultdict[str, int](int),
        defaultdict[str, int](int),
        defaultdict[str, list[str]](list),
    )
    for name, environment in asked.config.environments.items():
        families = _families(environment)
        for family in families:
            ceiling[family] += environment.max_vcpus
            users[family].append(name)
        if len(families) == 1:
            (family,) = families
            least[family] = max(least[family], _least_vcpus(asked.config, name, environment))
    for family, names in users.items():
        where = f"environment{'s' if len(names) > 1 else ''} {', '.join(names)}"
        if family not in VCPU_QUOTAS:
            yield Finding(
                level="warning",
                check="quota",
                what=f"no quota is known for the family {family} of {where}",
                fix="look it up",
            )
            continue
        known = VCPU_QUOTAS[family]
        try:
            answer = asked.client("service-quotas").get_service_quota(
                ServiceCode=known.service, QuotaCode=known.code
            )
        except ClientError as error:
            yield unsure("quota", f"{family} ({known.code})", error)
            continue
        quota = float(answer["Quota"]["Value"])
        text = f"{quota:g} vCPUs of {family} ({known.code}); {where} may start {ceiling[family]}"
        if quota < least[family]:
            what = f"{text}, and one job needs {least[family]}: it would stay in RUNNABLE"
            yield Finding(
                level="error",
                check="quota",
                what=what,
                fix=increase_command(known, max(least[family], ceiling[family])),
            )
        elif quota < ceiling[family]:
            yield Finding(
                level="warning",
                check="quota",
                what=text,
                fix=increase_command(known, ceiling[family]),
            )
        else:
            yield Finding(level="ok", check="quota", what=text)


def _families(environment: Environment) -> set[str]:
    if isinstance(environment, FargateEnvironment):
        return {environment.kind}
    purchase = "spot" if isinstance(environment, SpotEnvironment) else "on-demand"
    return {f"{purchase} {family_of(name, purchase)}" for name in instance_types_of(environment)}


def _least_vcpus(config: StackConfig, name: str, environment: Environment) -> int:
    """VCPUs below which a job of the pipeline cannot start in the environment: all nodes of the
    analysis, or the smallest type.
    """
    smallest = min((facts.vcpus for facts in known_types_of(environment).values()), default=1)
    analysis = config.jobs.analysis
    return (
        analysis.nodes * smallest
        if name in environments_of(config, analysis.queue) and analysis.nodes > 1
        else smallest
    )


def batch_limits(asked: Questions) -> Iterator[Finding]:
    """The account has room for the stack's environments and queues."""
    batch = asked.client("batch")
    counted = (
        (
            "environment",
            "describe_compute_environments",
            "computeEnvironments",
            len(asked.config.environments),
        ),
        ("queue", "describe_job_queues", "jobQueues", len(asked.config.queues)),
    )
    for what, operation, member, needed in counted:
        found = [
            each for page in batch.get_paginator(operation).paginate() for each in page[member]
        ]
        others = sum(not asked.tags.items() <= each.get("tags", {}).items() for each in found)
        text = (
            f"{others} {what}s of others and {needed} of this stack, of {_BATCH_LIMIT} in the"
            " account"
        )
        full = others + needed > _BATCH_LIMIT
        fix = "delete what nobody uses, or take another region" if full else ""
        yield Finding(level="error" if full else "ok", check="batch", what=text, fix=fix)


def instance_offerings(asked: Questions) -> Iterator[Finding]:
    """The instance types are sold in the zones where they are to start."""
    wanted = sorted(
        {
            name
            for environment in asked.config.environments.values()
            for name in instance_types_of(environment)
        }
    )
    if len(asked.zones) < asked.config.network.az_count:
        what = (
            f"network.az_count is {asked.config.network.az_count}, and the region offers"
            f" {len(asked.zones)} zones"
        )
        yield Finding(level="error", check="zones", what=what, fix="lower az_count")
        return
    if not wanted:
        return
    pages = asked.client("ec2").get_paginator("describe_instance_type_offerings")
    filters = [{"Name": "instance-type", "Values": wanted}]
    offered = {
        (offer["InstanceType"], offer["Location"])
        for page in pages.paginate(LocationType="availability-zone", Filters=filters)
        for offer in page["InstanceTypeOfferings"]
    }
    for name, environment in asked.config.environments.items():
        types = instance_types_of(environment)
        zones = (
            [asked.zones[environment.zone_index]]
            if isinstance(environment, HpcEnvironment)
            else asked.zones
        )
        missing = [each for each in types if not any((each, zone) in offered for zone in zones)]
        where = ", ".join(zones)
        if missing and len(missing) == len(types):
            elsewhere = sorted({zone for each, zone in offered if each in types})
            fix = (
                f"they are sold in {', '.join(elsewhere)}: choose zone_index or az_count so"
                if elsewhere
                else "take other types or another region"
            )
            what = f"environment {name}: {', '.join(missing)} not sold in {where}"
            yield Finding(level="error", check="offerings", what=what, fix=fix)
        elif missing:
            what = f"environment {name}: {', '.join(missing)} not sold in {where}"
            yield Finding(level="warning", check="offerings", what=what, fix="remove them")
        elif types:
            yield Finding(
                level="ok",
                check="offerings",
                what=f"environment {name}: all types are sold in {where}",
            )


def efa(asked: Questions) -> Iterator[Finding]:
    """Types with efa have it, with as many interfaces as the launch template will ask for."""
    for name, environment in asked.hpc.items():
        if not environment.efa:
            continue
        (found,) = asked.client("ec2").describe_instance_types(
            InstanceTypes=[environment.instance_type]
        )["InstanceTypes"]
        network = found["NetworkInfo"]
        has = (
            network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 0)
            if network.get("EfaSupported")
            else 0
        )
        facts = instance_type(environment.instance_type)
        if not has:
            what = f"environment {name}: {environment.instance_type} has no EFA"
            yield Finding(
                level="error", check="efa", what=what, fix="turn efa off, or take another type"
            )
        elif facts is not None and facts.efa_interfaces != has:
            what = (
                f"environment {name}: {environment.instance_type} has {has} EFA interfaces, and the"
                f" facts file says {facts.efa_interfaces}"
            )
            yield Finding(
                level="error", check="efa", what=what, fix="python scripts/refresh_ec2_facts.py"
            )
        else:
            yield Finding(
                level="ok",
                check="efa",
                what=f"environment {name}: {environment.instance_type} has {has} EFA interfaces",
            )


def images(asked: Questions) -> Iterator[Finding]:
    """The images that the config names by digest are in the stack's repositories."""
    section = asked.config.images
    for kind, digest in (("cpu", section.cpu_digest), ("gpu", section.gpu_digest)):
        repository = f"{NAMESPACE}-{asked.config.name}/{kind}"
        fix = f"make push STACK={asked.config.name}"
        if digest is None:
            what = f"images.{kind}_digest is not set: jobs that need the image fail"
            yield Finding(
                level="warning", check="images", what=what, fix=f"deploy once, then {fix}"
            )
            continue
        try:
            asked.client("ecr").describe_images(
                repositoryName=repository, imageIds=[{"imageDigest": digest}]
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in {
                "ImageNotFoundException",
                "RepositoryNotFoundException",
            }:
                raise
            yield Finding(
                level="error", check="images", what=f"{repository} has no image {digest}", fix=fix
            )
        else:
            yield Finding(level="ok", check="images", what=f"{repository} has {digest[:19]}…")


def secrets(asked: Questions) -> Iterator[Finding]:
    """The webhook is set, and the stack's secrets exist; those of an earlier one of its name may be
    on their way out.
    """
    if not asked.config.secrets:
        what = "no slack-webhook-url: nobody hears of findings and failures on Slack"
        yield Finding(
            level="warning",
            check="secrets",
            what=what,
            fix="pulumi config set --secret slack-webhook-url",
        )
    pages = asked.client("secretsmanager").get_paginator("list_secrets")
    filters = [{"Key": "tag-key", "Values": [STACK_TAG]}]
    found = [
        s
        for page in pages.paginate(Filters=filters, IncludePlannedDeletion=True)
        for s in page["SecretList"]
    ]
    own = [
        s
        for s in found
        if asked.tags.items() <= {tag["Key"]: tag["Value"] for tag in s.get("Tags", [])}.items()
    ]
    # names are automatic and a deleted secret keeps its own for 30 days, so that one of an earlier
    # deployment stands in nobody's way
    alive = [secret for secret in own if not secret.get("DeletedDate")]
    if alive:
        yield Finding(level="ok", check="secrets", what=f"{len(alive)} secrets of the stack exist")
    elif own:
        what = (
            f"{len(own)} secrets of an earlier deployment of this stack are about to be deleted;"
            " the next one makes new ones"
        )
        yield Finding(level="ok", check="secrets", what=what)


def service_roles(asked: Questions) -> Iterator[Finding]:
    """The service-linked roles exist, which AWS makes by itself only for somebody who may make
    them.
    """
    spot = any(
        isinstance(environment, SpotEnvironment)
        for environment in asked.config.environments.values()
    )
    for service in ("batch", "ecs", *(("spot", "spotfleet") if spot else ())):
        name = _SERVICE_ROLES[service]
        try:
            asked.client("iam").get_role(RoleName=name)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "NoSuchEntity":
                raise
            fix = f"aws iam create-service-linked-role --aws-service-name {service}.amazonaws.com"
            yield Finding(
                level="warning", check="roles", what=f"{name} does not exist yet", fix=fix
            )
        else:
            yield Finding(level="ok", check="roles", what=f"{name} exists")


def subnet_addresses(asked: Questions) -> Iterator[Finding]:
    """The subnet of a multi-node analysis, where there is one already, has an address for every
    interface.
    """
    analysis = asked.config.jobs.analysis
    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in asked.tags.items()]
    subnets = asked.client("ec2").describe_subnets(Filters=filters)["Subnets"]
    for name, environment in asked.hpc.items():
        if (
            analysis.nodes == 1
            or name not in environments_of(asked.config, analysis.queue)
            or not subnets
        ):
            continue
        facts = instance_type(environment.instance_type)
        zone = asked.zones[environment.zone_index]
        there = [subnet for subnet in subnets if subnet["AvailabilityZone"] == zone]
        if facts is None or not there:
            continue
        private = max(
            there, key=lambda subnet: int(subnet["AvailableIpAddressCount"])
        )  # the public one is a fraction of it
        free = int(private["AvailableIpAddressCount"])
        need = analysis.nodes * ((facts.network_cards if environment.efa else 1) + 1)
        what = (
            f"{private['SubnetId']} in {zone} has {free} free addresses, and {analysis.nodes} nodes"
            f" of {name} take {need}"
        )
        fix = "" if free >= need else "find out what holds the addresses, or take fewer nodes"
        yield Finding(
            level="ok" if free >= need else "error", check="addresses", what=what, fix=fix
        )


def logs(asked: Questions) -> Iterator[Finding]:
    """What functions, state machines and stages say is written: see cli/log_checks.py."""
    for what, said, fix in (*of_functions(asked), *of_machines(asked), *of_stages(asked)):
        yield Finding(level="error" if fix else "ok", check="logs", what=f"{what}: {said}", fix=fix)


CHECKS: Final = (
    region,
    vcpu_quotas,
    batch_limits,
    instance_offerings,
    efa,
    images,
    secrets,
    service_roles,
    subnet_addresses,
    logs,
)
