"""The HTTP endpoint before moto: tells calls apart, enforces IAM, applies faults, and answers what
moto lacks.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from moto.moto_server.werkzeug_app import DomainDispatcherApplication

from localcloud.batch.api import BatchApi
from localcloud.batch.plane import DataPlane
from localcloud.http import shortcomings
from localcloud.http.amendments import Amendments
from localcloud.http.keys import Keys
from localcloud.http.refusals import Refusals
from localcloud.http.requests import object_content, open_call, send, unreadable
from localcloud.http.server import MalformedBodyError
from localcloud.iam.access import Access, Principal, changes_iam
from localcloud.moto.speed import backend_app
from localcloud.moto.turns import Turns
from localcloud.protocol import cbor
from localcloud.protocol.wire import Call, Reply, WireError
from localcloud.services import slack
from localcloud.services.budgets import BudgetActions
from localcloud.services.cloudwatch_alarms import Alarms
from localcloud.services.efs import EfsSettings
from localcloud.services.eventbridge import EventBus
from localcloud.services.fsx import Fsx
from localcloud.services.functions import Functions
from localcloud.services.image_builder import ImageBuilder
from localcloud.services.instance_metadata import InstanceMetadata
from localcloud.services.logs_insights.saved import Queries
from localcloud.services.metric_reads import MetricReads
from localcloud.services.placement_groups import PlacementGroups
from localcloud.services.s3.blobs import Passing
from localcloud.services.s3.bodies import CARRY_OBJECTS, receive
from localcloud.services.s3.disk import PASS_CONTENTS_ON
from localcloud.services.s3.forms import Form
from localcloud.services.s3_events import StorageEvents
from localcloud.services.scheduler import Schedules
from localcloud.services.sqs_polling import Polls

_log = logging.getLogger(__name__)
METADATA_PATH: Final = "/_localcloud/ecs/v4/"
INSTANCE_PATH: Final = "/_localcloud/imds/"
_INVOCATIONS: Final = ("Invoke", "InvokeAsync")
_FUNCTION_CHANGES: Final = ("CreateFunction", "UpdateFunctionConfiguration")
_FUNCTION_READS: Final = (
    "CreateFunction",
    "UpdateFunctionConfiguration",
    "GetFunction",
    "GetFunctionConfiguration",
    "ListFunctions",
)
_NETWORK_CHANGES: Final = (
    "Create",
    "Delete",
    "Modify",
    "Authorize",
    "Revoke",
    "Associate",
    "Disassociate",
    "Replace",
    "Attach",
    "Detach",
)

Fault = Callable[[Call, Principal | None], Reply | None]
"""Called before each call is answered: None lets it pass, a Reply or a WireError replaces the
answer, a ConnectionError cuts the line; it may also sleep.
"""


class _Moto(DomainDispatcherApplication):
    """Remembers which backend belongs to a host: moto lists its own folder and tries hundreds of
    patterns for every request.
    """

    @functools.cache  # noqa: B019 - one for the process, and hosts are few
    def get_backend_for_host(self, host: str | None) -> Any:
        found = super().get_backend_for_host(host)
        if found is None and host is not None:
            raise NotImplementedError(host)
        return found


class Front:
    """A WSGI application."""

    def __init__(
        self,
        *,
        turns: Turns,
        access: Access,
        keys: Keys,
        batch: BatchApi,
        plane: DataPlane,
        bus: EventBus,
        functions: Functions,
        storage_events: StorageEvents,
        placement_groups: PlacementGroups,
        budget_actions: BudgetActions,
        refusals: Refusals,
        instance_metadata: InstanceMetadata,
        alarms: Alarms,
        metric_reads: MetricReads,
        queries: Queries,
        schedules: Schedules,
        polls: Polls,
        slack_sink: slack.SlackSink,
        objects: Path,
        amendments: Amendments,
        efs: EfsSettings,
        fsx: Fsx,
        image_builder: ImageBuilder,
    ) -> None:
        self._moto = _Moto(backend_app)
        self._turns = turns
        self._access = access
        self._keys = keys
        self._batch = batch
        self._plane = plane
        self._functions = functions
        self._storage_events = storage_events
        self._placement_groups = placement_groups
        self._refusals = refusals
        self._instance_metadata = instance_metadata
        self._schedules = schedules
        self._slack = slack_sink
        self._polls = polls
        self._objects = objects
        self._amendments = amendments
        launches = plane.launches
        self._own: dict[str, Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
            "autoscaling": {
                "DescribeAutoScalingGroups": launches.describe_groups,
                "DescribeScalingActivities": launches.describe_activities,
            },
            "budgets": budget_actions.operations,
            "cloudwatch": {
                "PutCompositeAlarm": alarms.put_composite,
                **metric_reads.operations,
            },
            "ecs": {"DescribeClusters": batch.clusters},
            "efs": efs.operations,
            "fsx": fsx.operations,
            "imagebuilder": image_builder.operations,
            "events": {"PutEvents": bus.put_events},
            "iam": {"SimulatePrincipalPolicy": access.simulate},
            "logs": {**queries.operations, **amendments.log_keys.operations},
            "service-quotas": {
                "GetServiceQuota": launches.get_quota,
                "ListServiceQuotas": launches.list_quotas,
                "RequestServiceQuotaIncrease": launches.increase_quota,
            },
            "s3": {"GetBucketRequestPayment": lambda _: {"Payer": "BucketOwner"}},
        }
        self.faults: list[Fault] = []

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answers one request."""
        path = environ.get("PATH_INFO", "")
        if path.startswith("/_localcloud/"):
            return send(self._own_path(path, environ), start_response)
        environ.pop("HTTP_X_MOTO_ACCOUNT_ID", None)  # moto would answer for another account
        opened = open_call(environ)
        if isinstance(opened, Reply):
            return send(opened, start_response)
        call, form = opened
        if call.in_cbor:
            return send(self._answer_in_cbor(call), start_response)
        return self._answer_call(call, form, start_response)

    def _answer_call(
        self, call: Call, form: Form | None, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        try:
            if form is not None:
                return send(self._upload(call, form), start_response)
            return self._answer(call, self._keys.authenticate(call), start_response)
        except WireError as error:
            return send(call.error(error), start_response)
        except MalformedBodyError as error:
            return send(unreadable(error), start_response)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - logged; the caller gets an answer that no SDK repeats
            return send(call.error(shortcomings.of_exception(call, error)), start_response)

    def _answer_in_cbor(self, call: Call) -> Reply:
        answer: dict[str, Any] = {}

        def capture(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            answer.update(status=int(status.partition(" ")[0]), headers=headers)

        body = b"".join(self._answer_call(call, None, capture))
        headers = {name.lower(): value for name, value in answer["headers"]}
        return cbor.from_json(call, answer["status"], headers, body)

    def _upload(self, call: Call, form: Form) -> Reply:
        """Puts the object of a form, under the rights of whoever has signed it."""
        call.by_form = True
        principal = self._keys.authenticate_form(call, form)
        form.check()
        answer: dict[str, Any] = {}

        def capture(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            answer.update(status=int(status.partition(" ")[0]), headers=headers)

        with form.file(self._objects) as file:
            call.environ["wsgi.input"] = file
            body = b"".join(self._answer(call, principal, capture))
        if answer["status"] != HTTPStatus.OK:
            return Reply(status=answer["status"], headers=tuple(answer["headers"]), body=body)
        return form.answer(answer["headers"])

    def _answer(
        self, call: Call, principal: Principal | None, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        call.inflate()
        if call.in_cbor:
            cbor.to_json(call)
        for fault in list(self.faults):
            reply = fault(call, principal)
            if reply is not None:
                return send(reply, start_response)
        if principal is not None:
            self._access.check(call, principal)
        self._refusals.check(call)
        reply = self._owned(call)
        if reply is not None:
            return send(reply, start_response)
        return self._forward(call, principal, start_response)

    def _own_path(self, path: str, environ: dict[str, Any]) -> Reply:
        if path == self._slack.path and environ["REQUEST_METHOD"] == "POST":
            return self._slack.receive(environ["wsgi.input"].read())
        task_id, _, part = (
            path.removeprefix(METADATA_PATH).removeprefix(INSTANCE_PATH).partition("/")
        )
        task = self._plane.task(task_id)
        if path.startswith(METADATA_PATH) and task is not None:
            container = task[0].metadata(task[1])
            body = (
                container
                if part == ""
                else {
                    "TaskARN": task_id,
                    "DesiredStatus": "RUNNING",
                    # nothing is pulled here
                    "PullStartedAt": container["CreatedAt"],
                    "PullStoppedAt": container["CreatedAt"],
                    "Containers": [container],
                }
            )
            return Reply(
                headers=(("Content-Type", "application/json"),), body=json.dumps(body).encode()
            )
        if path.startswith(INSTANCE_PATH) and task is not None:
            return self._instance_metadata.answer(*task, part, environ)
        return Reply(status=404, body=b"no such path")

    @property
    def own(self) -> dict[str, list[str]]:
        """The operations that are answered without moto, by service."""
        found = {service: sorted(operations) for service, operations in self._own.items()}
        found["batch"], found["ec2"] = (
            sorted(self._batch.operations),
            sorted(self._placement_groups.operations),
        )
        return found | {"lambda": sorted(_INVOCATIONS)}

    def _owned(self, call: Call) -> Reply | None:
        if call.service == "batch":
            return call.result(self._batch.answer(call.operation, call.params))
        if call.service == "ec2" and call.operation.endswith(
            ("PlacementGroup", "PlacementGroups", "Tags")
        ):
            found = self._placement_groups.answer(call.operation, call.params)
            if found is not None:
                return call.result(found)
        if (
            call.service == "sqs"
            and call.operation == "ReceiveMessage"
            and self._polls.misses(call.params)
        ):
            return call.result({})
        if call.service == "lambda" and call.operation in _INVOCATIONS:
            return self._functions.answer(call.params, call.read_body())
        operation = self._own.get(call.service, {}).get(call.operation)
        if operation is None:
            return None
        shortcomings.hold_to_model(call)
        return call.result(operation(call.params))

    # ---- moto ------------------------------------------------------------------------------------

    def _forward(
        self, call: Call, principal: Principal | None, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        self._prepare(call)
        answer: dict[str, Any] = {}

        def capture(
            status: str, headers: list[tuple[str, str]], _: Any = None
        ) -> Callable[[bytes], None]:
            answer.update(status=status, headers=headers)
            return lambda _: None

        with (
            (
                Passing()
                if call.service == "s3" and call.operation in PASS_CONTENTS_ON
                else nullcontext()
            ),
            self._turns.of(call),
        ):
            body: Iterable[bytes] = self._moto(call.environ, capture)
            if call.operation == "GetObject":
                body = object_content(answer["headers"], body)
        code = int(answer["status"].split(" ")[0])
        if code >= HTTPStatus.BAD_REQUEST:
            body = [b"".join(body)]
        shortcoming = shortcomings.of_answer(call, code, answer["headers"], body)
        if shortcoming is not None:
            raise shortcoming
        if code == HTTPStatus.NOT_FOUND and call.service == "s3" and principal is not None:
            self._access.check_absence(call, principal)
        if code < HTTPStatus.MULTIPLE_CHOICES:
            body = self._after(call, answer["headers"], body)
        start_response(answer["status"], answer["headers"])
        return body

    def _prepare(self, call: Call) -> None:
        """Puts a call right, and reads what is needed of it, before moto does."""
        self._amendments.apply(call)
        if call.service == "lambda" and call.operation in _FUNCTION_CHANGES:
            call.params  # noqa: B018 - parsed now, while the body is still here
        if call.service == "s3" and call.operation in CARRY_OBJECTS:
            receive(call, self._objects)
        if call.body is not None:
            call.read_body()

    def _after(
        self, call: Call, headers: list[tuple[str, str]], body: Iterable[bytes]
    ) -> Iterable[bytes]:
        if call.service == "s3":
            self._storage_events.after(call, headers)
        elif changes_iam(call):
            self._access.forget_policies()
            self._plane.wake()
        elif call.service == "resourcegroupstaggingapi" and call.operation == "GetResources":
            return [self._batch.tagged(call.params, b"".join(body))]
        elif call.service == "scheduler":
            self._schedules.notice()
        elif call.service == "ec2" and call.operation.startswith(_NETWORK_CHANGES):
            self._plane.wake()
        elif call.service == "lambda" and call.operation in _FUNCTION_READS:
            if call.operation in _FUNCTION_CHANGES:
                self._functions.remember(call.params)
            return [self._functions.completed(b"".join(body))]
        return body
