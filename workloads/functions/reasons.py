"""Why a Batch job failed, in a sentence for people.

Batch says it in up to three places: `statusReason` of the job (what Batch itself did),
`container.reason` of the last attempt (what the container agent met), and the exit code. Sources:
AWS Batch user guide (troubleshooting, job state time limits, job queue blocked events), Amazon ECS
developer guide (stopped task error messages). Exit codes up to 75 and 143 are those of
workloads/runtime/errors.py, 80 to 91 those of workloads/analysis/launch/exit_codes.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from workloads import contract


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One sentence on what happened, one on what to do."""

    error: str
    hint: str


AGAIN: Final = "batchref retry KEY"
"""Begins the run again where it broke off; `for_run` names its key and its stack, as in the two
below.
"""
STOP: Final = "batchref cancel KEY"
"""Stops what of the run is still there."""
EXAMINE: Final = "batchref doctor"
"""Says what of the stack does not work."""
_AGAIN: Final = f"begin the run again ({AGAIN})"
_IMAGE_ACTIONS: Final = (
    "ecr:GetAuthorizationToken, ecr:BatchCheckLayerAvailability, ecr:BatchGetImage and"
    " ecr:GetDownloadUrlForLayer"
)

_NOT_AUTHORIZED: Final = (
    r"User: \S*?(?P<who>[\w+=,.@-]+)(?:/[\w+=,.@-]+)? is not authorized to perform:"
    r" (?P<what>[\w-]+:\w+)(?: on resource: (?P<on>\S+))?"
)

_BATCH_REASONS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        r"Host EC2 \(instance (?P<what>[\w-]+)\) terminated",
        "the machine {what} went away under the job (Spot reclaim or host fault)",
        "the retries are used up: " + _AGAIN + ", or raise the stage's attempts",
    ),
    (
        r"attempt duration exceeded timeout",
        "the job ran longer than its timeout and was stopped",
        "look in the log for where the time went; raise the stage's timeout if the file has grown",
    ),
    (
        r"CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
        "AWS had no machine of the instance type that the job needs",
        _AGAIN + " later, or allow other instance types or zones, or reserve capacity",
    ),
    (
        r"MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
        "the job needs more vCPUs than its compute environment may ever have",
        "raise max_vcpus of the environment; a multi-node job needs all its nodes at once",
    ),
    (
        r"MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        (
            "the job asks for more vCPUs, memory or GPUs than any machine of its compute"
            " environment has"
        ),
        (
            "lower what the stage asks for or allow larger instance types; of the nominal memory"
            f" about {contract.USABLE_MEMORY_SHARE:.0%} can be had"
        ),
    ),
    (
        r"MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS",
        "the service role of AWS Batch lacks a permission",
        "compare the role with the AWS managed policy AWSBatchServiceRole",
    ),
    (
        r"MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED",
        "EC2 does not offer this combination of instance type, image and placement",
        "check the environment's instance types against its zones, image and placement group",
    ),
    (
        r"ACTION_REQUIRED",
        "the compute environments of the job's queue are invalid",
        f"{EXAMINE} shows what AWS says of them",
    ),
)

_VOLUME: Final = "the container could not be started, because its volume was not mounted: "
_CONTAINER_REASONS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        # what the mount helper of EFS says (Amazon EFS user guide, "Troubleshooting mount issues")
        r"mount\.nfs4: access denied",
        _VOLUME + "the policy of the job's role or of the file system refuses it",
        "pulumi up puts both back; a job mounts by the access point of its own volume alone",
    ),
    (
        r"mount\.nfs4: Connection (?:timed out|reset)",
        _VOLUME + "the mount target of EFS did not answer",
        (
            "the security group of the mount targets has to let TCP 2049 in from the jobs (pulumi"
            f" up puts it back); {_AGAIN}"
        ),
    ),
    (
        r'Failed to resolve "fs-',
        _VOLUME + "EFS has no such file system, or no mount target in the zone of the job",
        "check the id in storage.efs; pulumi up makes a mount target in every zone",
    ),
    (
        r"mount\.nfs4: .*No such file or directory",
        _VOLUME + "EFS has no such directory",
        "an access point of the stack makes its directory; make others by hand",
    ),
    (
        r"mkdir /lustre: not a directory",
        _VOLUME + "the instance could not mount FSx for Lustre when it booted",
        (
            "its console output says why (lustre: ...); the file system's security group has to let"
            " TCP 988 in from the instances, and the AMI needs the client"
        ),
    ),
    (
        # what keeps a call back that the role's own policies allow (IAM user guide, "Troubleshoot
        # access denied error messages")
        (
            rf"{_NOT_AUTHORIZED} (?:because no|with an explicit deny in an?)"
            r" (?P<policy>VPC endpoint policy|service control policy|resource control policy"
            r"|resource-based policy|permissions boundary|session policy)"
        ),
        "the container could not be started, because a {policy} keeps {who} from {what}{on}",
        "let that {policy} allow {what}; the role's own policy may stay as it is",
    ),
    (
        # whatever was to be prepared: image, secrets, log stream
        _NOT_AUTHORIZED,
        "the container could not be started, because {who} may not {what}{on}",
        "allow {what} in that role's policy; pulumi up restores it where somebody took it away",
    ),
    (
        # how Go's HTTP client, and with it agent, Docker and containerd, tell that nobody answers
        (
            r"https://(?P<host>[\w.-]+)\S*: (?:dial tcp\b[^:]*(?::\d+)?: \S|net/http: request"
            r" canceled|net/http: TLS handshake timeout|context deadline exceeded|EOF\b)"
        ),
        "the container could not be started, because its network does not reach {host}",
        (
            "look at the way there: NAT, or the service's VPC endpoint with private DNS and a"
            " security group that lets the jobs in on TCP 443; pulumi up restores what the stack"
            " owns"
        ),
    ),
    (
        # CloudWatch Logs API reference, CreateLogStream
        r"specified log group does not exist",
        "the container could not be started, because the log group of its job does not exist",
        "pulumi up --refresh makes the stack's log groups again; then " + _AGAIN,
    ),
    (
        # what Docker and containerd say of a name that the registry does not know
        r"CannotPull\w*Error.*(?:repository does not exist|manifest unknown|: not found\b)",
        "the container image could not be pulled, because the registry has none of that name",
        "check that the image exists in ECR: make push STACK=<stack> puts it there; then pulumi up,"
        " and " + _AGAIN,
    ),
    (
        r"CannotPull\w*Error.*(?:403 Forbidden|AccessDenied|access denied)",
        "the container image could not be pulled, because the registry denied it",
        (
            f"the execution role has to allow {_IMAGE_ACTIONS}, and the repository has to be of"
            " this account or let it in"
        ),
    ),
    (
        r"no space left on device",
        "the container could not be started, because the machine's disk is full",
        (
            "raise root_volume_gib of the environment, or on Fargate ephemeral_storage_gib of the"
            " job; large images and leftovers of other jobs fill it"
        ),
    ),
    (
        r"OutOfMemory",
        "the container used more memory than the job asks for and was killed",
        (
            "raise memory_mib of the stage, or let the run ask for more by itself"
            " (memory_growth_mib); its memory need should not grow with the file, so look in the"
            " log for what was being read"
        ),
    ),
    (
        r"CannotPullContainerError",
        "the container image could not be pulled",
        (
            "check that the image exists in ECR, and that the subnets reach ECR and S3 (NAT or"
            " endpoints)"
        ),
    ),
    (
        r"ResourceInitializationError|unable to pull secrets|unable to retrieve secret",
        "the container's secrets or log group could not be prepared",
        (
            "check that the secret has a value, that the execution role may read it, and that the"
            " subnets reach Secrets Manager"
        ),
    ),
    (
        r"DockerTimeoutError",
        "the container runtime of the machine did not answer in time",
        _AGAIN + "; if it happens often, the root disk is too slow or too full",
    ),
    (
        r"CannotStartContainerError|CannotCreateContainerError",
        "the container could not be started",
        (
            "check command, devices and mounts of the job definition against the image and the"
            " instance type"
        ),
    ),
)

_EXIT_CODES: Final[dict[int, tuple[str, str]]] = {
    2: (
        "the stage found an environment variable missing or wrong",
        "the log names it; check the job definition and the submit request",
    ),
    69: (
        "an AWS service refused a call of the stage or could not be reached",
        "the log names the call; check the job role and the endpoints",
    ),
    70: ("the stage met an internal error", "this is a bug: its log holds the traceback"),
    72: (
        "the stage had no more memory, on its machine or its GPU",
        "raise memory_mib of the stage, or take a larger GPU",
    ),
    74: (
        "the stage found its disk full",
        (
            "the log says which path, and what is free there; raise scratch.size_gib or"
            " root_volume_gib of the environment, or on Fargate ephemeral_storage_gib of the job"
        ),
    ),
    90: (
        "not all nodes of the job came together before the deadline",
        "check that the security group lets the nodes reach each other and that all of them could"
        " start; then " + _AGAIN,
    ),
    91: (
        "a node of the job was lost while the analysis ran",
        "the retries are used up: " + _AGAIN + "; finished parts are kept",
    ),
    contract.RECLAIMED_EXIT: (
        "AWS took the machine back, and the stage left after it had stored what there was",
        "the retries are used up: " + _AGAIN + "; finished parts are kept",
    ),
    80: ("the node lost its connection to the main node", "the main node's log says why it ended"),
    81: (
        "the main node refused the node",
        "check that all nodes get the launch token from the same secret version",
    ),
    82: (
        "the analysis could not be launched on the main node",
        "check that the image holds Open MPI; the log names what is missing",
    ),
    126: (
        "the container's command cannot be executed",
        "check the image's entry point and its file modes",
    ),
    127: (
        "the container's command does not exist in the image",
        "check that the image is the one that belongs to the job definition",
    ),
    134: ("the process aborted itself", "the last lines of the log say where"),
    137: (
        (
            "the process was killed from outside (SIGKILL): out of memory, or a stop that it did"
            " not heed"
        ),
        "raise memory_mib of the stage",
    ),
    139: ("the process crashed (segmentation fault)", "the last lines of the log say where"),
    143: ("the container was stopped (SIGTERM) before it was done", _AGAIN),
}


def is_cascade(detail: Mapping[str, Any]) -> bool:
    """Whether the job failed only because the job that it depends on did: that one has an event of
    its own.
    """
    return (
        re.match(r"dependent job\b", str(detail.get("statusReason") or ""), re.IGNORECASE)
        is not None
    )


def for_run(cause: Cause, *, key: str, stack: str) -> Cause:
    """The same with commands ready to paste: the upload's key and the stack's name.

    Args:
        cause: of a run's end.
        key: of its upload; empty where it is not known, as of a run submitted by hand.
        stack: empty in the rehearsal, which the command line finds by itself.
    """
    hint = cause.hint
    for command in (AGAIN, STOP, EXAMINE):
        whole = command.replace("KEY", key or "KEY") + (f" --stack {stack}" if stack else "")
        hint = hint.replace(command, whole)
    return Cause(error=cause.error, hint=hint)


def explain(detail: Mapping[str, Any]) -> Cause:
    """The cause that an event's `detail` (a JobDetail) tells of; AWS's own words where they are not
    known here.
    """
    status_reason = str(detail.get("statusReason") or "").strip()
    attempts = detail.get("attempts") or []
    last = attempts[-1] if attempts else {}
    container = last.get("container") or detail.get("container") or {}
    reasons = " ".join(
        str(part)
        for part in (container.get("reason"), last.get("statusReason"), status_reason)
        if part
    )
    tries = f", in the last of {len(attempts)} attempts" if len(attempts) > 1 else ""

    for table, text in (
        (_BATCH_REASONS, status_reason),
        (_CONTAINER_REASONS, reasons),
        (_BATCH_REASONS, reasons),
    ):
        for pattern, error, hint in table:
            match = re.search(pattern, text, re.IGNORECASE)
            if match:
                found = {name: text or "" for name, text in match.groupdict().items()}
                found["on"] = f" on {found['on']}" if found.get("on") else ""
                return Cause(error=error.format(**found) + tries, hint=hint.format(**found))
    if status_reason and (
        detail.get("isTerminated")
        or detail.get("isCancelled")
        or status_reason.startswith(contract.OWN_STOP)
    ):
        return Cause(
            error=f"somebody ended the job: {status_reason}{tries}",
            hint="if that was not meant, " + _AGAIN,
        )
    exit_code = container.get("exitCode")
    if isinstance(exit_code, int) and exit_code in _EXIT_CODES:
        error, hint = _EXIT_CODES[exit_code]
        return Cause(error=f"{error} (exit code {exit_code}){tries}", hint=hint)
    if isinstance(exit_code, int) and exit_code != 0:
        return Cause(
            error=f"the container ended with exit code {exit_code}{tries}",
            hint="the last lines of the log say why",
        )
    if not attempts and status_reason:
        return Cause(
            error=f"the job was ended before it ran: {status_reason}",
            hint="if that was not meant, " + _AGAIN,
        )
    return Cause(
        error=f"AWS Batch gives this reason: {status_reason or 'none'}{tries}",
        hint="the job's page in the console shows its attempts",
    )
