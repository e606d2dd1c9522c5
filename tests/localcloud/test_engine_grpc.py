"""The same engine behind gRPC, with the program in a process of its own: what the Pulumi CLI's
language host does.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from pulumi.runtime.proto import engine_pb2_grpc, resource_pb2_grpc

from localcloud.deployment.engine import Engine
from localcloud.deployment.provider import Provider
from tests.localcloud.deploying import REGION, aws_client, run, write_program

HOST = """\
import asyncio, runpy, sys
import pulumi.runtime
from pulumi.runtime import run_in_stack, set_all_config, settings

address, program = sys.argv[1:]
settings.reset_options(
    project="demo", stack="dev", root_directory=program, parallel=8, engine_address=address, monitor_address=address, preview=False
)
set_all_config({"aws:region": "us-east-1", "demo:hook": "quiet"}, ["demo:hook"])


async def body():
    runpy.run_path(program + "/__main__.py", run_name="__main__")


asyncio.new_event_loop().run_until_complete(run_in_stack(body))
"""
BODY = """
    class Pair(pulumi.ComponentResource):
        def __init__(self, name):
            super().__init__("demo:index:Pair", name)
            inner = pulumi.ResourceOptions(parent=self)
            self.dead = aws.sqs.Queue(f"{name}-dead", opts=inner)
            redrive = pulumi.Output.json_dumps({"deadLetterTargetArn": self.dead.arn, "maxReceiveCount": 3})
            self.live = aws.sqs.Queue(f"{name}-live", redrive_policy=redrive, opts=inner)
            self.register_outputs({"url": self.live.url})


    zones = aws.get_availability_zones(state="available").names
    pair = Pair("pair")
    lost = aws.iam.RolePolicyAttachment("lost", role="nobody", policy_arn="arn:aws:iam::123456789012:policy/p")
    aws.ssm.Parameter("after", type="String", value=lost.id)
    pulumi.export("zones", zones)
    pulumi.export("hook", pulumi.Config().require_secret("hook"))
"""


class Served(Engine, resource_pb2_grpc.ResourceMonitorServicer, engine_pb2_grpc.EngineServicer):
    """The engine, with gRPC's own refusal of the calls that it does not know."""


def test_a_program_in_another_process_is_served_alike(tmp_path: Path) -> None:
    program = write_program(tmp_path, BODY)
    provider = Provider(client=aws_client(), config={"aws:region": REGION}, preview=False)
    engine = Served(project="demo", stack="dev", program=program, provider=provider, preview=False)
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(engine, server)
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        command = [sys.executable, "-c", HOST, f"127.0.0.1:{port}", str(program)]
        done = subprocess.run(
            command, cwd=program, capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        server.stop(None)
    assert done.returncode == 0, done.stderr
    assert [(f.name, f.location) for f in engine.failures] == [("lost", "__main__.py:24")]
    assert [urn.rpartition("::")[2] for urn in engine.skipped] == ["after"]
    assert repr(engine.exports["hook"]) == "[secret]"
    alike = BODY.replace("lost =", "# lost =").replace("aws.ssm", "# aws.ssm")
    here = run(tmp_path / "here", alike, secrets={"demo:hook": "quiet"})
    assert engine.exports["zones"] == here.outputs["zones"]
    assert set(engine.resources) == {r.urn for r in here.resources}
    assert len(here.resources) == 4
