"""Preflight against the deployed `local` stack in the in-memory AWS, with the quotas, which that
lacks, from a stub.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from rich.console import Console

from cli import account_checks, preflight
from cli.deployer_checks import state_machine_validation
from cli.errors import CliError, ExitCode
from cli.questions import Finding, Questions
from config.quotas import family_of
from config.stack import StackConfig
from localcloud.cloud import LocalCloud
from localcloud.deployment.deploy import deploy
from tests.config.stacks import Changes, changed, load, sections
from tests.support.documents import validated

ROOT = Path(__file__).parents[2]
QUOTAS = {"L-1216C47A": 500.0, "L-34B43A08": 500.0, "L-417A185B": 768.0}
AMPLE: dict[str, Any] = {"slack-webhook-url": {"secure": "AAAB"}}


class _Denied:
    """A client that may do nothing; also one whose paginators and waiters may do nothing."""

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> Any:
            raise ClientError(
                {"Error": {"Code": "AccessDenied", "Message": "explicit deny"}}, operation
            )

        return refuse


def quotas(values: dict[str, float]) -> Any:
    """A service-quotas client that knows these, checked against the API's model by botocore."""
    client = boto3.client(
        "service-quotas", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )

    class Known:
        def get_service_quota(self, *, ServiceCode: str, QuotaCode: str) -> Any:  # noqa: N803
            with Stubber(client) as stub:
                if QuotaCode in values:
                    quota = {
                        "ServiceCode": ServiceCode,
                        "QuotaCode": QuotaCode,
                        "Value": values[QuotaCode],
                    }
                    stub.add_response(
                        "get_service_quota",
                        {"Quota": quota},
                        {"ServiceCode": ServiceCode, "QuotaCode": QuotaCode},
                    )
                else:
                    stub.add_client_error(
                        "get_service_quota", "NoSuchResourceException", "no such quota", 400
                    )
                return client.get_service_quota(ServiceCode=ServiceCode, QuotaCode=QuotaCode)

    return Known()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), images={}) as running:
        deploy(
            ROOT,
            "local",
            running.client,
            secrets={"batch-reference:slack-webhook-url": running.slack.url},
        )
        iam = running.client("iam")
        for name in (
            "AWSServiceRoleForBatch",
            "AWSServiceRoleForECS",
        ):  # moto gives a service-linked role another name
            iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
        yield running


def asked(cloud: LocalCloud, config: StackConfig, **others: Any) -> Questions:
    clients = {"service-quotas": quotas(QUOTAS), **others}
    return Questions(
        config, "us-east-1", lambda service: clients.get(service) or cloud.client(service)
    )


def prod(edits: Changes) -> StackConfig:
    return load({**changed(edits), **AMPLE}, "prod")[0]


def local() -> StackConfig:
    return load({**sections("local"), **AMPLE}, "local")[0]


def levels(found: list[Finding]) -> dict[str, set[str]]:
    return {
        level: {finding.check for finding in found if finding.level == level}
        for level in ("ok", "warning", "error")
    }


def test_a_deployed_stack_is_ready_but_for_what_it_lacks(cloud: LocalCloud) -> None:
    found = preflight.examine(asked(cloud, local()))
    by_level = levels(found)
    assert by_level["error"] == set()
    assert by_level["ok"] == {
        "region",
        "quota",
        "batch",
        "offerings",
        "efa",
        "secrets",
        "roles",
        "addresses",
        "logs",
    }
    assert by_level["warning"] == {"images", "roles"}
    texts = [finding.what for finding in found]
    assert "0 environments of others and 3 of this stack, of 50 in the account" in texts
    (addresses,) = [finding.what for finding in found if finding.check == "addresses"]
    assert addresses.endswith("2 nodes of nodes take 4")


@pytest.mark.parametrize(
    ("quota", "level"),
    [(768.0, "ok"), (767.0, "error"), (1536.0, "ok")],
    ids=["as many", "one too few", "more than enough"],
)
def test_the_quota_must_hold_all_nodes(cloud: LocalCloud, quota: float, level: str) -> None:
    questions = asked(
        cloud, prod({}), **{"service-quotas": quotas({**QUOTAS, "L-417A185B": quota})}
    )
    (found,) = [
        finding
        for finding in account_checks.vcpu_quotas(questions)
        if "on-demand P " in finding.what
    ]
    assert found.level == level
    if level == "error":
        assert (
            "767 vCPUs of on-demand P (L-417A185B); environment gpu may start 768, and one job"
            " needs 768" in found.what
        )
        assert found.fix.endswith("--service-code ec2 --quota-code L-417A185B --desired-value 768")


def test_a_quota_below_the_ceilings_is_a_warning_and_an_unknown_one_too(cloud: LocalCloud) -> None:
    questions = asked(
        cloud, prod({}), **{"service-quotas": quotas({"L-1216C47A": 31.0, "L-417A185B": 768.0})}
    )
    found = {
        finding.what.partition(";")[0]: finding for finding in account_checks.vcpu_quotas(questions)
    }
    assert found["31 vCPUs of on-demand standard (L-1216C47A)"].level == "warning"
    unknown = found[
        "spot standard (L-34B43A08) is not known: NoSuchResourceException: no such quota"
    ]
    assert unknown.level == "warning"
    assert len(found) == 3


@pytest.mark.parametrize(
    ("name", "purchase", "family"),
    [
        ("c6i.xlarge", "spot", "standard"),
        ("im4gn.large", "on-demand", "standard"),
        ("g5.8xlarge", "on-demand", "G and VT"),
        ("gr6.4xlarge", "spot", "G and VT"),
        ("p5en.48xlarge", "on-demand", "P"),
        ("p5.48xlarge", "spot", "P5"),
        ("p4d.24xlarge", "spot", "P2, P3, P4"),
        ("p6-b200.48xlarge", "spot", "p6"),
        ("hpc7a.96xlarge", "on-demand", "HPC"),
        ("trn1.32xlarge", "on-demand", "trn"),
        ("inf2.xlarge", "on-demand", "inf"),
        ("mac2.metal", "on-demand", "mac"),
    ],
)
def test_families_are_those_of_the_quotas(name: str, purchase: str, family: str) -> None:
    assert family_of(name, purchase) == family


def test_types_that_a_zone_does_not_sell(cloud: LocalCloud) -> None:
    """hpc7a.96xlarge is sold in one zone of us-east-2 and nowhere in us-east-1."""
    edits: Changes = {
        "environments.gpu.instance_type": "hpc7a.96xlarge",
        "environments.on-demand-cpu.instance_types": ["c6i.xlarge", "hpc7a.96xlarge"],
        "environments.spot-cpu.kind": "on-demand",
        "network.az_count": 6,
    }
    config = StackConfig.model_construct(**{**dict(prod({})), **dict(_unchecked(edits))})
    found = {
        finding.what: finding for finding in account_checks.instance_offerings(asked(cloud, config))
    }
    assert found["environment gpu: hpc7a.96xlarge not sold in us-east-1a"].level == "error"
    partly = next(
        finding
        for what, finding in found.items()
        if what.startswith("environment on-demand-cpu: hpc7a.96xlarge not sold")
    )
    assert partly.level == "warning"
    assert (
        next(
            finding
            for what, finding in found.items()
            if what.startswith("environment spot-cpu: all types")
        ).level
        == "ok"
    )


def _unchecked(edits: Changes) -> dict[str, Any]:
    from config import SECTIONS

    found = changed(edits)
    return {
        name: adapter.validate_python(found.get(name, {})) for name, adapter in SECTIONS.items()
    }


def test_efa_is_what_aws_says(cloud: LocalCloud) -> None:
    config = StackConfig.model_construct(
        **_unchecked({"environments.gpu.instance_type": "g5.xlarge"})
    )
    (found,) = account_checks.efa(asked(cloud, config))
    assert (found.level, found.what) == ("error", "environment gpu: g5.xlarge has no EFA")


def test_images_are_looked_up_by_digest(cloud: LocalCloud) -> None:
    ecr = cloud.client("ecr")
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "layers": [],
        }
    )
    pushed = ecr.put_image(
        repositoryName="batch-reference-local/cpu", imageManifest=manifest, imageTag="1"
    )["image"]["imageId"]["imageDigest"]
    images = {"cpu_digest": pushed, "gpu_digest": f"sha256:{'0' * 64}"}
    config = load({**sections("local"), **AMPLE, "images": images}, "local")[0]
    cpu, gpu = account_checks.images(asked(cloud, config))
    assert (cpu.level, gpu.level, gpu.fix) == ("ok", "error", "make push STACK=local")
    elsewhere = list(account_checks.images(asked(cloud, prod({"images": images}))))
    assert [finding.level for finding in elsewhere] == [
        "error",
        "error",
    ], "the repositories of prod do not exist"


def test_a_full_account_is_an_error(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_checks, "_BATCH_LIMIT", 5)
    mine = [finding.level for finding in account_checks.batch_limits(asked(cloud, local()))]
    assert mine == ["ok", "ok"]
    environments, queues = account_checks.batch_limits(asked(cloud, prod({})))
    assert (environments.level, queues.level) == ("error", "ok")
    assert environments.what == "3 environments of others and 3 of this stack, of 5 in the account"


def test_a_secret_on_its_way_out_of_a_stack_that_was_destroyed_is_no_error(
    cloud: LocalCloud,
) -> None:
    client = cloud.client("secretsmanager")
    tags = [{"Key": "project", "Value": "batch-reference"}, {"Key": "stack", "Value": "prod"}]
    client.create_secret(Name="going", SecretString="x", Tags=tags)
    client.delete_secret(SecretId="going", RecoveryWindowInDays=7)
    (found,) = account_checks.secrets(asked(cloud, prod({})))
    assert (found.level, found.what) == (
        "ok",
        (
            "1 secrets of an earlier deployment of this stack are about to be deleted; the next one"
            " makes new ones"
        ),
    )
    client.create_secret(Name="new", SecretString="x", Tags=tags)
    (found,) = account_checks.secrets(asked(cloud, prod({})))
    assert (found.level, found.what) == ("ok", "1 secrets of the stack exist")


def test_no_rights_are_warnings_and_never_errors() -> None:
    found = preflight.examine(Questions(prod({}), "us-east-1", lambda _service: _Denied()))
    assert len(found) >= len(account_checks.CHECKS)
    assert {finding.level for finding in found} == {"warning"}
    assert (
        sum("AccessDenied: explicit deny" in finding.what for finding in found)
        >= len(account_checks.CHECKS) - 1
    )


def show(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, region: str = "", **how: Any
) -> tuple[ExitCode, str]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", cloud.deployer.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", cloud.deployer.secret)
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    source = str(ROOT / "Pulumi.local.yaml")
    arguments: dict[str, Any] = {"endpoint_url": cloud.endpoint_url, "as_json": False, **how}
    return preflight.show(console, console, source, **arguments), out.getvalue()


def test_the_screen_fits_and_the_exit_code_tells(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = show(cloud, monkeypatch)
    assert code == ExitCode.OK
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[-1].endswith("warnings")
    monkeypatch.setattr(
        preflight,
        "CHECKS",
        (lambda _asked: iter([Finding(level="error", check="x", what="y", fix="z")]),),
    )
    code, text = show(cloud, monkeypatch)
    assert (code, text.splitlines()[-1]) == (ExitCode.NOT_READY, "1 error")
    show(cloud, monkeypatch, as_json=True)
    findings = validated("preflight", capsys.readouterr().out)["findings"]
    assert findings == [{"level": "error", "check": "x", "what": "y", "fix": "z"}]


def test_without_credentials_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    console = Console(file=io.StringIO())
    with pytest.raises(CliError, match="there are no AWS credentials; log in"):
        preflight.show(console, console, "prod", endpoint_url="http://127.0.0.1:9", as_json=False)


def definitions(stub: Any, **config: Any) -> list[Finding]:
    """What is said of the validation of definitions; `stub` prepares the answer of Step
    Functions.
    """
    client = boto3.client(
        "stepfunctions", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stubber:
        stub(stubber)
        asked = Questions(load(changed(config))[0], "us-east-1", lambda _service: client)
        return list(state_machine_validation(asked))


def test_definitions_of_state_machines_may_be_validated() -> None:
    machine = {"pipeline.orchestrator": "step-functions"}
    operation = "validate_state_machine_definition"

    def denied(stub: Any) -> None:
        stub.add_client_error(operation, "AccessDeniedException", "not authorized", 400)

    def allowed(stub: Any) -> None:
        stub.add_response(operation, {"result": "OK", "diagnostics": []})

    (refused,) = definitions(denied, **machine)
    assert (refused.level, refused.check) == ("warning", "deployer")
    assert "states:ValidateStateMachineDefinition" in refused.fix
    assert [f.level for f in definitions(allowed, **machine)] == ["ok"]
    assert definitions(denied, **{"pipeline.orchestrator": "batch", "pipeline.daily": None}) == []
