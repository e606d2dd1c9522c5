"""`leftovers`: what an account still holds of a stack that was destroyed, and what AWS keeps by
design.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from cli.check import hanging
from cli.errors import CliError, ExitCode
from cli.frame import print_json
from cli.leftover_going import GOING
from cli.leftover_kinds import FREE, KINDS, OTHER, SERVICE_ROLES
from cli.leftover_ties import TIES, ties_of_role
from cli.preflight import account_of, clients
from cli.stack_files import read
from components.context import PROJECT_TAG, STACK_TAG
from components.state_machines.machine import VENDED_LOGS
from config.stack import NAMESPACE

_SHOWN: Final = 20
"""Most things of one kind that are printed; `--json` has all of them."""


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A thing that is still there."""

    kind: str
    name: str
    why: str
    """Why it is still there, as a sentence without its subject."""
    costs: str
    remove: str
    """Command that removes it, or what to do in its place."""


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """A kind of thing that could not be looked for."""

    kind: str
    because: str


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account and the names by which the stack's things are known in it."""

    client: Callable[[str], Any]
    project: str
    stack: str

    @property
    def prefix(self) -> str:
        """How names that carry project and stack begin."""
        return f"{self.project}-{self.stack}"

    @property
    def tags(self) -> dict[str, str]:
        """Tags of every resource of the stack."""
        return {PROJECT_TAG: self.project, STACK_TAG: self.stack}

    def owns(self, tags: Iterable[Mapping[str, str]]) -> bool:
        """Whether the tags of a thing, as most services list them, are those of the stack."""
        return set(self.tags.items()) <= {(tag["Key"], tag["Value"]) for tag in tags}

    def pages(self, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
        """All items of a list operation. Raises botocore's errors."""
        paginator = self.client(service).get_paginator(operation)
        yield from chain.from_iterable(
            page.get(key, []) for page in paginator.paginate(**arguments)
        )


Look = Callable[[Account], Iterator[Leftover]]


def show(console: Console, source: str, *, endpoint_url: str, as_json: bool) -> ExitCode:
    """Looks and prints.

    Returns OK where nothing is left but what AWS keeps free of charge, NOT_READY where something
    costs money or could not be looked for. Raises CliError where the file names no region, or where
    there are no credentials.
    """
    file = read(source)
    if file.region is None:
        raise CliError(f"{file.label} names no region; add aws:region", ExitCode.USAGE)
    client = clients(file.region, endpoint_url)
    number = account_of(client)
    found, unseen = examine(Account(client=client, project=NAMESPACE, stack=file.stack))
    if as_json:
        document = {
            "stack": file.stack,
            "account": number,
            "region": file.region,
            "leftovers": [asdict(one) for one in found],
            "unseen": [asdict(one) for one in unseen],
        }
        print_json(document)
    else:
        _print(console, f"{file.stack}, account {number}, {file.region}", found, unseen)
    return ExitCode.NOT_READY if unseen or any(map(_costly, found)) else ExitCode.OK


def examine(account: Account) -> tuple[list[Leftover], list[Unseen]]:
    """All that is left, and the kinds that could not be looked for."""
    found: list[Leftover] = []
    unseen: list[Unseen] = []
    for kind, look in LOOKS.items():
        try:
            found.extend(look(account))
        except (BotoCoreError, ClientError) as error:
            unseen.append(Unseen(kind=kind, because=str(error)))
    return found, unseen


def _costly(leftover: Leftover) -> bool:
    return not leftover.costs.startswith(FREE)


_ALIVE: Final = "was not deleted: protected, retained, or the deletion failed"


def _tagged(account: Account) -> Iterator[Leftover]:
    """Resources with the stack's tags, as the Resource Groups Tagging API knows them."""
    filters = [{"Key": key, "Values": [value]} for key, value in account.tags.items()]
    items = account.pages(
        "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=filters
    )
    order = [*KINDS, None]
    found = [(_key(item["ResourceARN"]), item["ResourceARN"]) for item in items]
    for key, arn in sorted(found, key=lambda each: order.index(each[0])):
        going = GOING.get(key or "")
        if not _looked_for(arn) and not (going and going(account.client, arn)):
            yield _of_arn(account, key, arn)


def _looked_for(arn: str) -> bool:
    """Whether it is of a kind that is looked for by itself."""
    service, kind, _ = _parts(arn)
    return (service, kind) in {("logs", "log-group"), ("ec2", "image")}


def _parts(arn: str) -> tuple[str, str, list[str]]:
    """Service, type of resource, and all parts of the resource's name, its type among them."""
    _, _, service, _, _, resource = arn.split(":", 5)
    parts = resource.replace(":", "/").split("/")
    return service, parts[0], parts


def _key(arn: str) -> str | None:
    """The kind of a resource as KINDS has it; None where that has none."""
    service, kind, _ = _parts(arn)
    return next((key for key in (f"{service}:{kind}", service) if key in KINDS), None)


def _of_arn(account: Account, key: str | None, arn: str) -> Leftover:
    known, parts = KINDS[key] if key else OTHER, _parts(arn)[2]
    ties = TIES[key](account.client, arn) if key in TIES else ()
    remove = known.remove.format(name=parts[-1], path="/".join(parts[1:]), arn=arn)
    return Leftover(
        kind=known.kind,
        name=arn,
        why=_ALIVE,
        costs=known.costs,
        remove=" && ".join((*ties, remove)),
    )


def _log_groups(account: Account) -> Iterator[Leftover]:
    """Log groups by name: one that a late writer made again has no tags."""
    owned = f"/{account.project}/{account.stack}/"
    vended = f"{VENDED_LOGS}{owned}"
    lambdas = f"/aws/lambda/{account.prefix}"
    for prefix in (owned, vended, lambdas):
        for group in account.pages(
            "logs", "describe_log_groups", "logGroups", logGroupNamePrefix=prefix
        ):
            yield Leftover(
                kind="log group",
                name=group["logGroupName"],
                why="was written to, and so made again, after its deletion; or was not deleted",
                costs=f"its text, {group.get('storedBytes', 0):,} bytes at $0.03 a GB a month",
                remove=f"aws logs delete-log-group --log-group-name {group['logGroupName']}",
            )


def _secrets(account: Account) -> Iterator[Leftover]:
    """Secrets that wait for their deletion (Secrets Manager user guide, 7 to 30 days)."""
    for secret in account.pages(
        "secretsmanager", "list_secrets", "SecretList", IncludePlannedDeletion=True
    ):
        owned = account.owns(secret.get("Tags", []))
        if owned and (moment := secret.get("DeletedDate")) is not None:
            yield Leftover(
                kind="secret",
                name=secret["Name"],
                why=f"waits for its deletion (DeletedDate {moment:%Y-%m-%d}), 7 to 30 days in all",
                costs=f"{FREE} while it waits; its name cannot be used again until then",
                remove=(
                    "aws secretsmanager delete-secret --force-delete-without-recovery"
                    f" --secret-id {secret['Name']}"
                ),
            )


def _backups(account: Account) -> Iterator[Leftover]:
    """Backups of the metrics table: one is made by AWS when a table with recovery is deleted, for
    35 days.
    """
    summaries = account.pages("dynamodb", "list_backups", "BackupSummaries", BackupType="ALL")
    for backup in summaries:
        if backup["TableName"].startswith((account.prefix, _TABLE_NAME)):
            system = backup.get("BackupType") == "SYSTEM"
            yield Leftover(
                kind="table backup",
                name=backup["BackupArn"],
                why=(
                    "was made by DynamoDB when the table was deleted, and goes after 35 days"
                    if system
                    else "was made by somebody"
                ),
                costs=f"{FREE}" if system else "about $0.10 a GB a month",
                remove=f"aws dynamodb delete-backup --backup-arn {backup['BackupArn']}",
            )


_TABLE_NAME: Final = "storage-metrics-"
"""How the table's name begins in stacks that are older than names with project and stack."""


def _clusters(account: Account) -> Iterator[Leftover]:
    """ECS clusters that AWS Batch made for compute environments and did not take away."""
    for arn in account.pages("ecs", "list_clusters", "clusterArns"):
        name = arn.rsplit("/", 1)[-1]
        if name.startswith((f"AWSBatch-{account.prefix}", "AWSBatch-environments-")):
            yield Leftover(
                kind="ECS cluster",
                name=name,
                why="was made by AWS Batch, whose compute environment ended badly",
                costs=f"{FREE} without instances",
                remove=f"aws ecs delete-cluster --cluster {name}",
            )


def _images(account: Account) -> Iterator[Leftover]:
    """AMIs of the account with the stack's tags; deregistering one leaves its snapshots."""
    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in account.tags.items()]
    for image in account.pages(
        "ec2", "describe_images", "Images", Owners=["self"], Filters=filters
    ):
        yield Leftover(
            kind="AMI",
            name=image["ImageId"],
            why="was baked for the stack, and is no resource of it",
            costs="its snapshots, about $0.05 a GB a month",
            remove=(
                "aws ec2 deregister-image --delete-associated-snapshots --image-id"
                f" {image['ImageId']}"
            ),
        )


def _roles(account: Account) -> Iterator[Leftover]:
    """Roles by name and tags: the tagging API has none (its guide, "Supported services", IAM)."""
    for role in account.pages("iam", "list_roles", "Roles", PathPrefix="/"):
        name = role["RoleName"]
        if not name.startswith(f"{account.prefix}-"):
            continue
        tags = account.client("iam").list_role_tags(RoleName=name)["Tags"]
        if account.owns(tags):
            yield Leftover(
                kind="role",
                name=role["Arn"],
                why=_ALIVE,
                costs=FREE,
                remove=" && ".join(
                    (
                        *ties_of_role(account.client, name),
                        f"aws iam delete-role --role-name {name}",
                    )
                ),
            )


def _queries(account: Account) -> Iterator[Leftover]:
    """Saved queries by name: they have no tags, and two may have one name."""
    owned: dict[str, str] = {"queryDefinitionNamePrefix": f"{account.project}/{account.stack}/"}
    while True:
        answer = account.client("logs").describe_query_definitions(**owned)
        for query in answer["queryDefinitions"]:
            identity = query["queryDefinitionId"]
            yield Leftover(
                kind="saved query",
                name=identity,
                why=f"{_ALIVE} ({query['name']})",
                costs=FREE,
                remove=f"aws logs delete-query-definition --query-definition-id {identity}",
            )
        if "nextToken" not in answer:
            return
        owned["nextToken"] = answer["nextToken"]


def _service_roles(account: Account) -> Iterator[Leftover]:
    """Service-linked roles, which belong to the account."""
    for role in account.pages("iam", "list_roles", "Roles", PathPrefix="/aws-service-role/"):
        if role["RoleName"].partition("_")[0] in SERVICE_ROLES:
            yield Leftover(
                kind="service-linked role",
                name=role["RoleName"],
                why=(
                    "belongs to the account: AWS made it at the first use, and other stacks need it"
                ),
                costs=FREE,
                remove=f"aws iam delete-service-linked-role --role-name {role['RoleName']}",
            )


LOOKS: Final[dict[str, Look]] = {
    "resources with the stack's tags": _tagged,
    "log groups": _log_groups,
    "secrets": _secrets,
    "backups of tables": _backups,
    "ECS clusters of AWS Batch": _clusters,
    "AMIs": _images,
    "roles": _roles,
    "saved queries": _queries,
    "service-linked roles": _service_roles,
}
"""What is looked for -> how."""
KEPT_BY_AWS: Final = (
    "job descriptions 7 days and INACTIVE job definitions 180 days (AWS Batch)",
    "metrics 15 months (CloudWatch)",
    "the bill's cost data by tag (Cost Explorer)",
)
"""Things that AWS keeps for a time by itself, free of charge, and that nobody can remove."""


def _print(
    console: Console, title: str, found: Sequence[Leftover], unseen: Sequence[Unseen]
) -> None:
    console.print(Text(f"what is left of {title}", "bold"), soft_wrap=True)
    kinds = list(dict.fromkeys(one.kind for one in found))
    for kind in kinds:
        members = [one for one in found if one.kind == kind]
        for one in members[:_SHOWN]:
            mark = Text("!", "yellow") if _costly(one) else Text("·")
            hanging(console, kind, f"{one.name}: {one.why}; costs {one.costs}", mark=mark)
            hanging(console, "remove", one.remove)
        if len(members) > _SHOWN:
            hanging(console, kind, f"and {len(members) - _SHOWN} more: --json has all of them")
    for missing in unseen:
        hanging(console, missing.kind, f"not looked for: {missing.because}", mark=Text("?", "red"))
    console.print(f"kept by AWS for a time, free: {'; '.join(KEPT_BY_AWS)}")
    costly = sum(map(_costly, found))
    console.print(
        Text(
            f"{len(found)} left, {costly} of them cost something" if found else "nothing is left",
            "bold",
        )
    )
