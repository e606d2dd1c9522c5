"""One cloud for the planted causes, and what asks it as `why` does: through the AWS API alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from cli.why.account import Account
from cli.why.command import diagnose
from cli.why.model import Cause, Diagnosis
from localcloud.cloud import LocalCloud
from tests.localcloud.conftest import Stage, on, until
from workloads.contract import Run

FOREVER = "import time; time.sleep(120)"


@dataclass
class Asking:
    """Asks `why` of a stage."""

    stage: Stage
    denied: frozenset[str] = frozenset()
    """Operations, as boto3 spells them, that the caller may not call."""

    def why(self, word: str, **outputs: Any) -> Diagnosis:
        account = Account(client=self._client, outputs=outputs, now=self.stage.cloud.now)
        return diagnose(account, word, Run)

    def cause(self, word: str, code: str, **outputs: Any) -> Cause:
        """The first cause, once it is of that code."""
        return cast(
            Cause,
            until(
                lambda: (
                    (found := self.why(word, **outputs)).causes
                    and found.causes[0].code == code
                    and found.causes[0]
                ),
                what=lambda: self.why(word, **outputs),
                seconds=30,
            ),
        )

    def _client(self, service: str) -> Any:
        return Denying(self.stage.client(service), self.denied)


class Denying:
    """A client that may not do some things."""

    def __init__(self, client: Any, denied: frozenset[str]) -> None:
        self._client, self._denied = client, denied

    def __getattr__(self, name: str) -> Any:
        return self._refusal(name) if name in self._denied else getattr(self._client, name)

    def get_paginator(self, name: str) -> Any:
        if name in self._denied:
            self._refusal(name)()
        return self._client.get_paginator(name)

    @staticmethod
    def _refusal(name: str) -> Callable[..., Any]:
        def refuse(**_: Any) -> Any:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, name)

        return refuse


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A cloud with a network, and nothing else."""
    directory, image = tmp_path_factory.mktemp("cloud"), tmp_path_factory.mktemp("image")
    with LocalCloud(directory, images={"repo/*": image}) as cloud:
        yield on(cloud, directory)


@pytest.fixture
def asking(bare: Stage) -> Iterator[Asking]:
    """Leaves no job behind, and EC2 as it was."""
    yield Asking(bare)
    for job in bare.jobs:
        bare.batch.terminate_job(jobId=job, reason="the test is over")
    bare.jobs.clear()
    bare.cloud.batch.withhold_capacity()
    bare.cloud.batch.refuse_launches("")
    bare.cloud.batch.launches.quotas.clear()
