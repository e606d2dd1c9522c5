"""`check` from the outside: the process, what it prints, how it ends, what it loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli import stack_files
from cli.errors import CliError

ROOT = Path(__file__).parents[2]
MISTAKES = {  # text of Pulumi.prod.yaml -> mistake: path, value found, limit
    ("max_vcpus: 32", "max_vcpus: 0"): ("environments.on-demand-cpu.max_vcpus", "0", "1 or more"),
    ("nat: per-zone", "nat: per_zone"): ("network.nat", '"per_zone"', "none, single, per-zone"),
    ("nodes: 4", "nodes: four"): ("jobs.analysis.nodes", '"four"', "a whole number"),
    ("memory_mib: 1048576", "memory_mib: 128"): ("jobs.analysis.memory_mib", "128", "256 or more"),
    ("protect: true", "protekt: true"): ("storage.protekt", "true", "protect"),
    ("zone_index: 0", "zone_index: 6"): ("environments.gpu.zone_index", "6", "5 or less"),
    ("log_retention_days: 90", "log_retention_days: 91"): (
        "monitoring.log_retention_days",
        "91",
        "90, 120",
    ),
    ("monthly_usd: 25000", "monthly_usd: -1"): ("budget.monthly_usd", "-1", "more than 0"),
    ("cost-center: analytics", "cost-center: 42"): ("tags.cost-center", "42", "text"),
    ("batch-reference:tags", "batch-reference:tasg"): ("tasg", '"tasg"', "tags"),
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", "check", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = (ROOT / "Pulumi.prod.yaml").read_text()
    for old, new in MISTAKES:
        assert old in text, old
        text = text.replace(old, new, 1)
    file = tmp_path_factory.mktemp("stacks") / "Pulumi.broken.yaml"
    file.write_text(text)
    return file


def test_the_stack_files_of_the_repository_are_valid() -> None:
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"Pulumi.{stack}.yaml: valid" for stack in stack_files.all_stacks()
    ]
    assert {"dev", "local", "prod"} <= set(stack_files.all_stacks())


def test_ten_mistakes_are_told_in_one_run(broken: Path) -> None:
    done = run(str(broken))
    expected = [
        told for (old, _), told in MISTAKES.items() if not old.startswith("cost-center")
    ]  # below the misspelt section
    assert done.returncode == 2
    assert done.stdout.splitlines()[0] == f"{broken}: {len(expected)} errors"
    told = done.stdout.split("\n  error ")[1:]
    assert len(told) == len(expected) == 9
    for path, found, limit in expected:
        (block,) = [block for block in told if f"  {path}  line " in block]
        _, found_line, but, fix = block.rstrip("\n").splitlines()
        assert found_line.split() == ["found", found]
        assert limit in but
        assert len(fix.split()) > 2


def test_json_names_the_line_of_every_problem(broken: Path) -> None:
    done = run(str(broken), "prod", "--json")
    assert done.returncode == 2
    first, second = json.loads(done.stdout)["files"]
    assert (first["errors"], second) == (
        9,
        {"file": "Pulumi.prod.yaml", "stack": "prod", "errors": 0, "warnings": 0, "problems": []},
    )
    lines = broken.read_text().splitlines()
    for problem in first["problems"]:
        assert (
            lines[problem["line"] - 1]
            .strip()
            .startswith(
                (problem["path"].rpartition(".")[2] + ":", f"batch-reference:{problem['path']}:")
            )
        )


def test_a_missing_field_is_shown_where_it_would_stand(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text((ROOT / "Pulumi.prod.yaml").read_text().replace("      nodes: 4\n", ""))
    found = stack_files.read(str(file))
    assert found.line("jobs.analysis.nodes") == 1 + file.read_text().splitlines().index(
        "    analysis:"
    )
    assert found.line("nowhere.at.all") is None


def test_files_of_a_commit_are_read_as_they_were() -> None:
    then = stack_files.read("git:HEAD:Pulumi.dev.yaml")
    assert (then.stack, then.region) == ("dev", "us-east-1")
    assert then.values["jobs"]["analysis"]["nodes"] == 2


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nix", r"there is no Pulumi\.nix\.yaml; stack files stand here for: dev, "),
        ("/nowhere/Pulumi.x.yaml", "there is no /nowhere/Pulumi.x.yaml"),
        ("git:HEAD", "write git:<revision>:<path>"),
        ("git:HEAD:nowhere.yaml", "git has no nowhere.yaml at HEAD"),
        ("git:--output=x:Pulumi.dev.yaml", "names no file of a commit"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(source: str, says: str) -> None:
    with pytest.raises(CliError, match=says):
        stack_files.read(source)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "is not YAML that Pulumi takes: line 1: "),
        ("- 1", "holds a list, expected a map with the key `config`"),
        ("config: 1", "line 1: `config` is `1`, expected a map"),
    ],
)
def test_what_is_no_stack_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(text)
    with pytest.raises(CliError, match=says):
        stack_files.read(str(file))


def test_an_encrypted_webhook_is_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    secret = "  batch-reference:slack-webhook-url:\n    secure: AAABANf0\n"
    file.write_text(
        (ROOT / "Pulumi.prod.yaml").read_text().replace("config:\n", f"config:\n{secret}", 1)
    )
    assert stack_files.read(str(file)).load()[1] == []
    plain = "  batch-reference:slack-webhook-url: https://hooks.slack.com/services/T0/B0/x\n"
    file.write_text(
        (ROOT / "Pulumi.prod.yaml").read_text().replace("config:\n", f"config:\n{plain}", 1)
    )
    done = run(str(file))
    assert done.returncode == 2
    assert "slack-webhook-url  line 4" in done.stdout
    assert "hooks.slack.com" not in done.stdout


def test_checking_loads_neither_the_cloud_nor_pulumi() -> None:
    """What keeps it under a second: of the imports, boto3, moto and pulumi are those that take
    long.
    """
    code = (
        "import sys; from cli.app import app; app(['check', 'prod'], standalone_mode=False);"
        " print(sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {
        name.strip("'[] ").partition(".")[0] for name in done.stdout.splitlines()[-1].split(",")
    }
    assert {"config", "rich", "yaml"} <= loaded
    assert (
        loaded & {"boto3", "botocore", "moto", "pulumi", "pulumi_aws", "numpy", "pyarrow"} == set()
    )
