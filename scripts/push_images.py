"""Builds both images, pushes them to the repositories of a stack, and writes their digests into its
stack file.

Run as `make push STACK=<stack>`; needs docker with buildx, aws and pulumi on PATH, each logged in
as usual. The tag is the commit that last changed what goes into an image, so an image that the
repository has already is not built again, and what was pushed can be found in git.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
IMAGE_INPUTS: Final = ("workloads", "docker", ".dockerignore", "requirements")
IMAGES: Final = ("cpu", "gpu")
CONFIG_KEY: Final = "batch-reference:images.{image}_digest"
REPOSITORY_OUTPUT: Final = "{image}_repository_url"
_REPOSITORY_URL: Final = re.compile(
    r"(?P<registry>\d{12}\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?)/(?P<name>\S+)"
)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_EFA_VERSION: Final = "EFA_INSTALLER_VERSION"
_EFA_SHA256: Final = "EFA_INSTALLER_SHA256"


class PushError(Exception):
    """One sentence for whoever runs the command."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """One ECR repository of the stack."""

    registry: str
    region: str
    name: str

    @classmethod
    def of_stack(cls, stack: str, outputs: Mapping[str, object], image: str) -> Repository:
        """The repository for `image`, from the stack's outputs.

        Raises PushError where the outputs do not name one.
        """
        output = REPOSITORY_OUTPUT.format(image=image)
        if output not in outputs:
            found = ", ".join(sorted(outputs)) or "none"
            raise PushError(
                f"stack {stack} has no output {output} (it has: {found}); run `pulumi up --stack"
                f" {stack}` first"
            )
        match = _REPOSITORY_URL.fullmatch(str(outputs[output]))
        if match is None:
            raise PushError(
                f"output {output} of stack {stack} is {outputs[output]!r}, which is not the URL of"
                " an ECR repository"
            )
        return cls(**match.groupdict())


def run(*command: str, stdin: str | None = None, may_fail_with: str | None = None) -> str:
    """The standard output of a command without the blank end; its errors are collected.

    An exit code other than 0 raises PushError with what the command wrote to standard error; where
    that holds `may_fail_with`, the answer is the empty string instead.
    """
    try:
        done = subprocess.run(
            command, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise PushError(
            f"`{command[0]}` is not on PATH; this command needs docker with buildx, aws, pulumi"
            " and git"
        ) from None
    if done.returncode == 0:
        return done.stdout.rstrip()
    if may_fail_with and may_fail_with in done.stderr:
        return ""
    raise PushError(
        f"`{' '.join(command[:4])} ...` ended with exit code {done.returncode}:"
        f" {done.stderr.strip()[-2000:]}"
    )


def inputs_commit() -> str:
    """The commit that last changed an input of the images.

    Raises PushError where a change of one is not committed.
    """
    changed = run("git", "status", "--porcelain", "--", *IMAGE_INPUTS)
    if changed:
        raise PushError(
            f"uncommitted changes would go into the images; commit them first:\n{changed}"
        )
    return run("git", "log", "-1", "--format=%H", "--", *IMAGE_INPUTS)


def efa_arguments() -> tuple[str, ...]:
    """Build arguments of the EFA userspace, from the environment; none where no version is set."""
    version, checksum = os.environ.get(_EFA_VERSION, ""), os.environ.get(_EFA_SHA256, "")
    if not version:
        return ()
    if not re.fullmatch(r"[0-9a-f]{64}", checksum):
        raise PushError(
            f"{_EFA_VERSION} is {version}, but {_EFA_SHA256} is {checksum!r}; give the 64 hex"
            " digits that AWS publishes for that version"
        )
    return ("--build-arg", f"{_EFA_VERSION}={version}", "--build-arg", f"{_EFA_SHA256}={checksum}")


def pushed_digest(repository: Repository, tag: str) -> str:
    """Digest of the image that the repository has under `tag`, or the empty string."""
    return run(
        *(
            "aws",
            "ecr",
            "describe-images",
            "--region",
            repository.region,
            "--repository-name",
            repository.name,
        ),
        *(
            "--image-ids",
            f"imageTag={tag}",
            "--query",
            "imageDetails[0].imageDigest",
            "--output",
            "text",
        ),
        may_fail_with="ImageNotFoundException",
    )


def build_and_push(
    image: str, repository: Repository, tag: str, commit: str, arguments: tuple[str, ...]
) -> str:
    """The digest of the image as pushed.

    Provenance would make it an index over image and attestation; the job names the image itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        metadata = Path(folder) / "metadata.json"
        run(
            *(
                "docker",
                "buildx",
                "build",
                "--push",
                "--provenance=false",
                "--platform",
                "linux/amd64",
                "--metadata-file",
                str(metadata),
            ),
            *(
                "--build-arg",
                f"GIT_COMMIT={commit}",
                *arguments,
                "--file",
                f"docker/{image}.Dockerfile",
            ),
            *("--tag", f"{repository.registry}/{repository.name}:{tag}", "."),
        )
        digest = json.loads(metadata.read_text(encoding="utf-8")).get("containerimage.digest", "")
    if not _DIGEST.fullmatch(digest):
        raise PushError(
            f"docker pushed the {image} image but reported {digest!r} for its digest; nothing was"
            " written to the stack file"
        )
    return str(digest)


def login(repository: Repository) -> None:
    """Logs docker in to the registry for 12 hours, with the password on standard input only."""
    password = run("aws", "ecr", "get-login-password", "--region", repository.region)
    run(
        "docker",
        "login",
        "--username",
        "AWS",
        "--password-stdin",
        repository.registry,
        stdin=password,
    )


def push(stack: str) -> dict[str, str]:
    """Publishes the images of `stack`; the digest by image.

    The stack file changes only when all of them are in the registry.
    """
    commit, efa = inputs_commit(), efa_arguments()
    outputs = json.loads(run("pulumi", "stack", "output", "--json", "--stack", stack))
    repositories = {image: Repository.of_stack(stack, outputs, image) for image in IMAGES}
    for repository in {
        repository.registry: repository for repository in repositories.values()
    }.values():
        login(repository)
    digests: dict[str, str] = {}
    for image, repository in repositories.items():
        arguments = efa if image == "gpu" else ()
        tag = f"{commit}-efa{os.environ[_EFA_VERSION]}" if arguments else commit
        digest = pushed_digest(repository, tag)
        print(
            f"{image}: {'already pushed' if digest else 'building'} {repository.name}:{tag}",
            flush=True,
        )
        digests[image] = digest or build_and_push(image, repository, tag, commit, arguments)
    for image, digest in digests.items():
        run(
            "pulumi",
            "config",
            "set",
            "--stack",
            stack,
            "--path",
            CONFIG_KEY.format(image=image),
            digest,
        )
    return digests


def main() -> int:
    """The command line; 0 when every image is published and named in the stack file, else 1 and one
    sentence.
    """
    parser = argparse.ArgumentParser(
        description=(
            "Build and push the images of a stack, and write their digests into its stack file."
        )
    )
    parser.add_argument("--stack", required=True)
    stack: str = parser.parse_args().stack
    try:
        digests = push(stack)
    except PushError as error:
        print(f"push: {error}", file=sys.stderr)
        return 1
    for image, digest in digests.items():
        print(f"{image}: {digest}")
    print(
        f"Pulumi.{stack}.yaml names them now; `pulumi up --stack {stack}` brings them into the job"
        " definitions"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
