"""One run names all that is wrong: in the template of the article, and in a file with ten
mistakes.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from config import ConfigError
from tests.config.stacks import REMOVED, ROOT, changed, load, problems_of

ARTICLE = {
    key.removeprefix("batch-reference:"): value
    for key, value in yaml.safe_load((ROOT / "tests/config/article.yaml").read_text())[
        "config"
    ].items()
    if key != "aws:region"
}
DEFECTS = [
    # what the template says, how it is named, what is said of it
    ("images by the tag latest", "SHAPE-UNKNOWN-FIELD", "images.cpu_tag", "by digest"),
    ("images by the tag latest", "SHAPE-UNKNOWN-FIELD", "images.gpu_tag", "by digest"),
    ("fixed names", "SHAPE-UNKNOWN-FIELD", "environments.on-demand.name", "collides"),
    ("fixed names", "SHAPE-UNKNOWN-FIELD", "environments.spot.name", "collides"),
    ("fixed names", "SHAPE-UNKNOWN-FIELD", "environments.hpc.name", "collides"),
    (
        "a service role of its own",
        "SHAPE-UNKNOWN-FIELD",
        "environments.on-demand.service_role",
        "change in place",
    ),
    (
        "a service role of its own",
        "SHAPE-UNKNOWN-FIELD",
        "environments.spot.service_role",
        "change in place",
    ),
    (
        "a service role of its own",
        "SHAPE-UNKNOWN-FIELD",
        "environments.hpc.service_role",
        "change in place",
    ),
    ("desired vCPUs", "SHAPE-UNKNOWN-FIELD", "environments.on-demand.desired_vcpus", "itself"),
    ("desired vCPUs", "SHAPE-UNKNOWN-FIELD", "environments.spot.desired_vcpus", "itself"),
    ("desired vCPUs", "SHAPE-UNKNOWN-FIELD", "environments.hpc.desired_vcpus", "itself"),
    (
        "a Spot strategy on On-Demand instances",
        "SHAPE-VALUE",
        "environments.spot.allocation_strategy",
        "expected one of BEST_FIT_PROGRESSIVE",
    ),
    (
        "a Spot fleet role on On-Demand instances",
        "SHAPE-UNKNOWN-FIELD",
        "environments.spot.spot_iam_fleet_role",
        "BEST_FIT",
    ),
    ("a closed node range", "SHAPE-UNKNOWN-FIELD", "jobs.analysis.target_nodes", "open"),
    (
        "ephemeral storage for a job on EC2",
        "FARGATE-STORAGE",
        "jobs.analysis.ephemeral_storage_gib",
        "has instances",
    ),
    (
        "four machines of 192 vCPUs in an environment of 64",
        "MNP-CAPACITY",
        "environments.hpc.max_vcpus",
        "768",
    ),
    ("a GPU job without a GPU request", "GPU-IMAGE", "jobs.analysis.gpus", "ask for gpus"),
    (
        "a GPU job without a GPU request",
        "GPU-UNREQUESTED",
        "jobs.analysis.queue",
        "GPU instances only",
    ),
    ("32 of 192 vCPUs", "MNP-WHOLE-NODE", "jobs.analysis.vcpus", "192"),
    ("no EFA", "MNP-EFA", "environments.hpc.efa", "p5.48xlarge"),
    (
        "no placement group",
        "MNP-PLACEMENT",
        "environments.hpc.placement_group",
        "turn placement_group on",
    ),
    ("no limit on the wait", "RUNNABLE-NONE", "queues.hpc.runnable_limits", "for ever"),
    ("4096 MiB on a c5.large", "JOB-TYPES", "environments.spot.instance_types", "c5.large"),
    ("one private subnet", "NETWORK-ZONES", "network.az_count", "several zones"),
]


def test_the_template_of_the_article_is_refused_with_every_defect_that_a_stack_file_can_have() -> (
    None
):
    with pytest.raises(ConfigError) as caught:
        load(ARTICLE)
    problems = {(p.code, p.path): str(p) for p in caught.value.problems}
    assert problems.keys() == {(code, path) for _, code, path, _ in DEFECTS}
    for defect, code, path, says in DEFECTS:
        assert says in problems[code, path], defect


def test_as_spot_its_spot_environment_has_further_defects() -> None:
    spot = {"kind": "spot", "instance_types": ["c5.large", "m5.large", "r5.large"], "max_vcpus": 64}
    found = problems_of({**ARTICLE, "environments": {**ARTICLE["environments"], "spot": spot}})
    assert {
        ("QUEUE-ORDER", "queues.main.environments"),
        ("SPOT-DIVERSITY", "environments.spot.instance_types"),
    } <= {(p.code, p.path) for p in found}


TEN = {
    "network.nat": "one",
    "network.cidr_block": "10.20.0.0/25",
    "environments.gpu.max_vcpus": 64,
    "environments.gpu.zone_index": 4,
    "environments.gpu.placement_group": False,
    "queues.main.environments": ["spot-cpu", "gpu-cheap"],
    "jobs.preprocess.queue": "mian",
    "jobs.analysis.join_deadline_minutes": 400,
    "jobs.analysis.join_deadline_minute": 15,
    "tags.Cost-Center": "x",
}


def test_ten_mistakes_are_ten_problems_with_path_value_limit_and_fix() -> None:
    # join_deadline_minutes 400 is beyond the range of its field, which the shape says before any
    # rule
    errors = [p for p in problems_of(changed(TEN)) if p.level == "error"]
    assert {p.path.removesuffix(".1") for p in errors} == TEN.keys()
    assert len(errors) == 10
    assert len({p.code for p in errors}) >= 7
    for problem in errors:
        assert problem.message
        assert problem.fix
        assert f"at {problem.path}: found " in str(problem)


def test_a_rule_is_silent_about_a_value_that_cannot_be_read_and_the_others_are_heard() -> None:
    # az_count has a default, with which zone 2 would be none of the network's
    found = problems_of(
        changed(
            {
                "network.az_count": "three",
                "environments.gpu.zone_index": 2,
                "environments.gpu.max_vcpus": 64,
            }
        )
    )
    assert [(p.code, p.path) for p in found] == [
        ("SHAPE-TYPE", "network.az_count"),
        ("MNP-CAPACITY", "environments.gpu.max_vcpus"),
    ]
    # a misspelt name was meant for a field, so the default of that is no value to judge
    assert [
        p.code
        for p in problems_of(changed({"jobs.analysis.gpus": REMOVED, "jobs.analysis.gpu": 8}))
    ] == ["SHAPE-UNKNOWN-FIELD"]
    # an entry that is no environment at all is one that queues may still name
    assert [
        p.code for p in problems_of(changed({"environments.gpu": "hpc", "tags.Stack": "x"}))
    ] == ["SHAPE-TYPE", "TAG-OWN"]


def test_checking_loads_neither_pulumi_nor_an_aws_sdk() -> None:
    """What makes a check take a fraction of a second: nothing heavy is imported for it."""
    code = (
        "import sys, config.rules; print([m for m in ('pulumi', 'pulumi_aws', 'boto3', 'botocore',"
        " 'moto', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[]"
