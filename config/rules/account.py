"""What AWS asks of names, tags and counts, and where secrets may stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Final

from config.problems import Problem
from config.rules.base import Rule
from config.stack import StackConfig

OWN_TAGS: Final = ("Name", "project", "stack", "pipeline-stage", "pipeline-run-id")
"""Tags that the program sets itself; a job of a run has all but the first, an instance the first
three.
"""
_MOST_TAGS: Final = 50
_MOST_PER_REGION: Final = 50
_MOST_COLUMNS_BYTES: Final = 20 * 1024
"""Most bytes of `columns`, of 24 KiB; all else in the definition of the preprocess job stays below
4 KiB (tests/components/test_jobs.py).
"""
_LONGEST_STACK: Final = 12
"""So that <project>-<stack>-<logical name>-<random digits> fits the 64 characters of roles,
functions and rules (Pulumi.yaml, pulumi:autonaming; tests/localcloud/test_names.py). Neither the
CLI nor the provider cuts a name that is too long.
"""
_LONGEST_NAME: Final = 100
"""Characters of a stack's name that Pulumi takes (sdk/go/common/tokens, stackName)."""
_STACK: Final = "${stack}"
_PART_OF_NAMES: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class StackNameFitsNames(Rule):
    """The name of the stack can be part of the names of repositories, buckets, queues, roles and
    functions.
    """

    code = "STACK-NAME"
    reason = "AWS refuses the bucket, the job queue or the role that is named after it."
    source = (
        "ECR API, CreateRepository; S3 bucket naming rules; Batch API, CreateJobQueue; IAM quotas"
    )
    reads = frozenset({"name", "naming"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A name with capitals, dots or underscores, with hyphens side by side or at an end; and a
        long one, where automatic names hold all of it.
        """
        whole = not config.naming or _STACK in config.naming
        longest = _LONGEST_STACK if whole else _LONGEST_NAME
        if _PART_OF_NAMES.fullmatch(config.name) is None:
            message = (
                f"resources are named after it: at most {longest} lower-case letters and digits,"
                " with single hyphens between them"
            )
            yield self.problem(
                "stack", config.name, message, f"name the stack {_plain(config.name, longest)}"
            )
        elif len(config.name) > longest:
            short = _plain(config.name, longest)
            message = (
                f"it has {len(config.name)} characters, and automatic names have room for"
                f" {longest} of them"
            )
            pattern = f"${{project}}-{short}-${{name}}-${{hex(4)}}"
            fix = (
                f"name the stack {short}; one that exists keeps its name with `pulumi:autonaming:"
                f' {{pattern: "{pattern}"}}` in its file (docs/runbook.md)'
            )
            yield self.problem("stack", config.name, message, fix)


def _plain(name: str, longest: int) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:longest].rstrip("-") or "dev"


class RegionIsNotInChina(Rule):
    """The region is one whose names the program knows."""

    code = "REGION-CHINA"
    reason = (
        "There some service principals and endpoint names are others, so that roles would trust"
        " nobody and endpoints lead nowhere."
    )
    source = "Amazon Web Services in China, getting started: endpoints and ARNs"
    reads = frozenset({"region"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """A region of the partition aws-cn."""
        if config.region.startswith("cn-"):
            yield self.problem(
                "aws:region",
                config.region,
                "this program is made for regions outside of China",
                "take another region",
            )


class SecretsAreEncrypted(Rule):
    """Secrets do not stand in the stack file as they are."""

    code = "SECRET-PLAIN"
    reason = "Whoever reads the repository, or the state of the stack, can post to the channel."
    source = "Pulumi documentation, secrets"
    reads = frozenset({"secrets"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each secret in plain text; its value is not shown."""
        for key, how in config.secrets.items():
            if how == "plain":
                fix = f"revoke it, and set a new one with `pulumi config set --secret {key}`"
                yield self.problem(
                    key, "plain text", "a secret stands encrypted in the stack file", fix
                )


class QuotasHold(Rule):
    """One stack stays within the quotas of AWS Batch."""

    code = "QUOTA"
    reason = (
        "CreateComputeEnvironment and CreateJobQueue refuse the 51st of a region, and no request"
        " raises that."
    )
    source = "AWS Batch user guide, service_limits"
    reads = frozenset({"environments", "queues"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Too many environments or queues."""
        for section, count in {
            "environments": len(config.environments),
            "queues": len(config.queues),
        }.items():
            if count > _MOST_PER_REGION:
                message = f"AWS Batch allows {_MOST_PER_REGION} in a region, all stacks together"
                yield self.problem(
                    section,
                    count,
                    message,
                    "share them, or split the stack over regions or accounts",
                )


class ColumnsFitTheDefinition(Rule):
    """What is said of columns has room in the job definition that carries it."""

    code = "COLUMNS-SIZE"
    reason = "RegisterJobDefinition refuses definitions of more than 24 KiB."
    source = "AWS Batch user guide, service_limits"
    reads = frozenset({"jobs"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Columns whose JSON, as text within JSON, is too long."""
        size = len(json.dumps(config.jobs.preprocess.columns_text))
        if size > _MOST_COLUMNS_BYTES:
            message = (
                f"AWS Batch takes job definitions of 24 KiB, in which {_MOST_COLUMNS_BYTES} bytes"
                " are left for them"
            )
            fix = (
                "keep the columns of which the cells alone tell too little, or lay data sets on"
                " stacks of their own"
            )
            yield self.problem("jobs.preprocess.columns", f"{size} bytes", message, fix)


class TagsAreFew(Rule):
    """Resources have room for all tags."""

    code = "TAG-COUNT"
    reason = (
        "A resource takes 50 tags, and a job with more, its own and its definition's together,"
        " fails."
    )
    source = "AWS Batch API, SubmitJob propagateTags; tagging best practices"
    reads = frozenset({"tags"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """More than the program leaves free."""
        room = _MOST_TAGS - (len(OWN_TAGS) - 1)
        if len(config.tags) > room:
            message = (
                f"AWS allows {_MOST_TAGS}, and the program sets up to {len(OWN_TAGS) - 1} of"
                " its own"
            )
            yield self.problem("tags", len(config.tags), message, f"keep {room} or fewer")


class TagsAreNotTheProgramsOwn(Rule):
    """No tag is one that the program sets itself."""

    code = "TAG-OWN"
    reason = (
        "The program's value wins: budget, clean-up and reports tell the stack's resources by it."
    )
    source = "this program's context and job definitions"
    reads = frozenset({"tags"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each such key, in any case: IAM knows none."""
        own = {key.lower(): key for key in OWN_TAGS}
        for key, value in config.tags.items():
            if key.lower() in own:
                yield self.problem(
                    f"tags.{key}",
                    value,
                    f"the program sets the tag {own[key.lower()]} itself",
                    "use another key",
                )


class TagsDifferInMoreThanCase(Rule):
    """Keys of tags differ in more than capitals."""

    code = "TAG-CASE"
    reason = "IAM takes keys that differ in case alone for one, and refuses roles with both."
    source = "IAM user guide, id_tags: tag keys are not case-sensitive"
    reads = frozenset({"tags"})

    def check(self, config: StackConfig) -> Iterator[Problem]:
        """Each such pair."""
        for a, b in combinations(config.tags, 2):
            if a.lower() == b.lower():
                yield self.problem(
                    f"tags.{b}",
                    config.tags[b],
                    f"it differs from {a} in case alone",
                    "keep one of them",
                )
