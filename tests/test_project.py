"""What holds the project together outside its code: folders, locks, Makefile, containers,
workflows.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
LOCKS = {
    "requirements/bootstrap.lock": {"bootstrap"},
    "requirements/dev.lock": {"infra", "workloads", "analysis", "local", "dev"},
    "requirements/cpu.lock": {"workloads"},
    "requirements/gpu.lock": {"workloads", "analysis", "gpu"},
    "requirements.txt": {"infra"},
}
"""Each lock with the extras of pyproject.toml that it resolves, as in scripts/lock.sh."""
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))


def tracked() -> list[str]:
    """Files of the repository: those in git, and new ones that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@cache
def pins(lock: str) -> tuple[Requirement, ...]:
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [
        line.split(" --hash")[0]
        for line in text.splitlines()
        if line and not line.lstrip().startswith("#")
    ]
    return tuple(Requirement(line) for line in lines)


def pinned_versions(lock: str, python: str) -> dict[str, Version]:
    """Version by name, as it is installed on 64-bit Linux."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    chosen = [pin for pin in pins(lock) if pin.marker is None or pin.marker.evaluate(environment)]
    return {
        canonicalize_name(pin.name): Version(str(pin.specifier).removeprefix("=="))
        for pin in chosen
    }


def test_the_folders_of_the_design_are_there() -> None:
    folders = [
        "bench",
        "cli",
        "components",
        "config",
        "docker",
        "docs",
        "localcloud",
        "requirements",
        "scripts",
        "tests",
        "workloads",
    ]
    files = [
        "__main__.py",
        "Pulumi.yaml",
        "Pulumi.dev.yaml",
        "Pulumi.prod.yaml",
        "Pulumi.local.yaml",
    ]
    files += [
        "Makefile",
        "README.md",
        "LICENSE",
        ".ci/run",
        ".editorconfig",
        ".pre-commit-config.yaml",
    ]
    assert [name for name in folders if not (ROOT / name).is_dir()] == []
    assert [name for name in files if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_are_current_and_hashed(lock: str) -> None:
    extras: dict[str, list[str]] = tomllib.loads(
        (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    )["project"]["optional-dependencies"]
    wanted = [Requirement(line) for extra in LOCKS[lock] for line in extras[extra]]
    assert wanted
    for python in PYTHONS:
        versions = pinned_versions(lock, python)
        for requirement in wanted:
            version = versions.get(canonicalize_name(requirement.name))
            assert version is not None, f"{lock} lacks {requirement.name}; run `make lock`"
            assert version in requirement.specifier, (
                f"{lock} has {requirement.name} {version}, pyproject.toml wants {requirement}; run"
                " `make lock`"
            )
        if lock != "requirements/bootstrap.lock":
            tested = pinned_versions("requirements/dev.lock", python)
            assert {
                name: (version, tested[name])
                for name, version in versions.items()
                if tested.get(name, version) != version
            } == {}
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert text.count("--hash=sha256:") >= len(pins(lock))
    assert not re.search(r"^\s*--(?!hash)", text, re.MULTILINE), (
        f"{lock} carries options; run `make lock`"
    )


def _outside(*packages: str) -> set[str]:
    """What these packages import, directly or through the repository, from outside the repository
    and the standard library.
    """
    own = ("components", "config", "workloads")
    graph = grimp.build_graph(
        *own, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )
    upstream = set[str]().union(
        *(graph.find_upstream_modules(package, as_package=True) for package in packages)
    )
    return {
        name for name in upstream if name.partition(".")[0] not in {*own, *sys.stdlib_module_names}
    }


@pytest.mark.parametrize(
    ("packages", "lock", "expected"),
    [
        (["config", "components"], "requirements.txt", {"pulumi", "pulumi_aws", "pydantic"}),
        (
            ["workloads.preprocess", "workloads.postprocess"],
            "requirements/cpu.lock",
            {"boto3", "numpy", "pyarrow"},
        ),
        (["workloads.analysis"], "requirements/gpu.lock", {"botocore", "numpy", "mpi4py", "cupy"}),
    ],
)
def test_what_the_code_imports_is_in_the_lock_it_runs_with(
    packages: list[str], lock: str, expected: set[str]
) -> None:
    imported = _outside(*packages)
    assert expected <= imported, "the scan found fewer imports than there must be"
    distributions = {
        **packages_distributions(),
        "cupy": ["cupy-cuda13x"],
        "cupyx": ["cupy-cuda13x"],
    }  # no GPU packages where tests run
    locked = {canonicalize_name(pin.name) for pin in pins(lock)}
    providers = {
        name: {canonicalize_name(found) for found in distributions.get(name, [name])}
        for name in imported
    }
    assert {name: found for name, found in providers.items() if not found & locked} == {}


def test_the_gpu_image_has_of_cuda_what_it_loads_and_no_more() -> None:
    """The other libraries that CuPy links are 960 MB, of which nothing is loaded."""
    names = {canonicalize_name(pin.name) for pin in pins("requirements/gpu.lock")}
    assert {name for name in names if name.startswith("nvidia-")} == {
        "nvidia-cublas",
        "nvidia-cuda-nvrtc",
        "nvidia-cuda-runtime",
        "nvidia-nccl-cu13",
    }
    check = (ROOT / "docker/gpu.Dockerfile").read_text()
    for module in ("cublas", "nccl", "nvrtc"):
        assert re.search(rf"cuda\.libs import .*\b{module}\b", check)
    users = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "workloads").rglob("*.py")
        if re.search(r"^import cupy$", path.read_text(), re.MULTILINE)
    ]
    assert users
    assert [name for name in users if name not in check] == []


def test_functions_import_what_the_lambda_runtime_brings() -> None:
    # boto3, and what it cannot do without
    assert (
        {"boto3"} <= _outside("workloads.functions") <= {"boto3", "botocore", "dateutil", "urllib3"}
    )


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert {line.split()[0] for line in listed} == phony >= {"setup", "demo", "up", "down", "test"}
    assert phony == set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))


def test_no_file_names_a_package_registry() -> None:
    """Whoever installs decides where packages come from; an address in a file would decide for
    them.
    """
    hosts = [
        ".".join(parts)
        for parts in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("npmjs", "org"),
            ("npmjs", "com"),
            ("yarnpkg", "com"),
        )
    ]
    hosts += [
        ".".join(parts)
        for parts in (
            ("deb", "debian", "org"),
            ("archive", "ubuntu", "com"),
            ("registry-1", "docker", "io"),
        )
    ]
    files = tracked()
    assert len(files) > 50
    found = {
        (name, host)
        for name in files
        for host in hosts
        if host in (ROOT / name).read_bytes().decode("utf-8", errors="replace").lower()
    }
    assert found == set()


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_images_copy_what_exists_and_what_the_context_allows(dockerfile: Path) -> None:
    text = dockerfile.read_text(encoding="utf-8")
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert "workloads" in copied
    allowed = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    assert [
        source for source in copied if not (ROOT / source).exists() or source not in allowed
    ] == []
    stages = re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE)
    bases = [
        base
        for base in re.findall(r"^FROM (\S+)", text, re.MULTILINE)
        if re.split(r"[$]", base)[0] not in {*stages, "scratch"}
    ]
    assert len(bases) == 1
    assert re.fullmatch(r"\S+:\S+@sha256:[0-9a-f]{64}", bases[0])
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]


def test_both_images_have_one_base() -> None:
    assert len(DOCKERFILES) == 2
    assert (
        len(
            {
                re.findall(r"^FROM (\S+@\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)[0]
                for path in DOCKERFILES
            }
        )
        == 1
    )


def _workflow(path: Path) -> dict[str, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    loaded["on"] = loaded.pop(True)  # YAML 1.1 reads the key `on` as a truth value
    return loaded


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_name_what_exists_and_pin_what_they_run(path: Path) -> None:
    workflow, text = _workflow(path), path.read_text(encoding="utf-8")
    assert workflow["permissions"] == {}, "each job states its own permissions"
    uses = re.findall(r"uses: (\S+)(.*)", text)
    assert uses
    for action, comment in uses:
        if action.startswith("./"):
            assert (ROOT / action).is_file()
        else:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
    # the CLI that deploys has the SDK's version, the one that tests compare with that of the build,
    # and once a week whatever is the newest
    built = re.search(r"pulumi/pkg/v3 v(\S+)", (ROOT / "scripts/pulumi/cli/go.mod").read_text())
    assert built is not None
    pinned = {str(pinned_versions("requirements.txt", "3.13")["pulumi"]), built[1]}
    newest = {"latest"} if path.name == "weekly.yml" else set()
    assert set(re.findall(r"pulumi-version: (\S+)", text)) <= pinned | newest
    stacks = {
        stack for found in re.findall(r"stack: \[(.+)\]", text) for stack in found.split(", ")
    } | set(re.findall(r"stack: (\w+),", text))
    assert [stack for stack in stacks if not (ROOT / f"Pulumi.{stack}.yaml").is_file()] == []
    files = tracked()
    patterns = [
        pattern
        for event in workflow["on"].values()
        if isinstance(event, dict)
        for pattern in event.get("paths", [])
    ]
    assert [
        pattern
        for pattern in patterns
        if not any(fnmatch(name, pattern.replace("**", "*")) for name in files)
    ] == []


def test_there_is_a_workflow_for_each_step_from_pull_request_to_prod() -> None:
    steps = {"checks.yml", "images.yml", "preview.yml", "stack.yml", "up.yml"}
    assert {path.name for path in WORKFLOWS} == steps | {
        "drift.yml",
        "release.yml",
        "weekly.yml",
    }
    jobs = _workflow(ROOT / ".github/workflows/up.yml")["jobs"]
    assert jobs["prod"]["needs"] == "dev"
    assert jobs["prod"]["with"]["environment"] == "prod"
