"""Enforces the deployed IAM policies on every call of a job or function.

Modelled: identity policies (inline and attached, customer and AWS managed), permissions boundaries,
trust policies, the resource policies of functions, topics and queues for service principals, and
explicit denies of bucket policies. Not modelled: iam:PassRole, session policies, service control
policies, key policies. Whose a call is `keys.py` says; the deployer may do everything.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from localcloud.iam.authorization import requirements
from localcloud.iam.policy_evaluation import (
    Context,
    Decision,
    decide,
    resource_policy_allows,
    resource_policy_decision,
)
from localcloud.iam.refusal_codes import refusal_code
from localcloud.iam.requirement import Requirement
from localcloud.moto.state import ACCOUNT_ID, AwsState
from localcloud.protocol.wire import Call, WireError

_MOST_DECISIONS: Final = 10_000
_READS: Final = ("Get", "List", "Describe", "Head")


@dataclass(frozen=True, kw_only=True)
class Denial:
    """A call that the policies refused."""

    principal: str
    action: str
    resource: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A permission that somebody needed, and what the policies said."""

    role_arn: str
    action: str
    resource: str
    context: Context
    decision: Decision


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A role session, or a user of IAM."""

    role_arn: str
    """ARN of the principal whose policies count: the role's, or the user's."""
    arn: str
    """ARN of the session: `arn:aws:sts::<account>:assumed-role/<role>/<session>`; of a user, its
    own.
    """


class AssumeRoleError(Exception):
    """A service may not assume a role; the message says why."""


class Access:
    """Principals, their permissions, and the record of refused calls. Thread safe."""

    def __init__(self, state: AwsState) -> None:
        self._state = state
        self._documents: dict[str, tuple[list[dict[str, Any]], dict[str, Any] | None]] = {}
        self._decisions: dict[str, Asked] = {}
        self._asked: list[Asked] = []
        self._lock = threading.Lock()
        self.denials: list[Denial] = []

    # ---- calls over the wire ---------------------------------------------------------------------

    def check(self, call: Call, principal: Principal) -> None:
        """Raises WireError, in the words of the service, where the principal's policies do not
        allow the call.
        """
        for requirement in requirements(call, self._state):
            self._require(call.service, principal, requirement)
        if call.service == "sts" and call.operation == "AssumeRole":
            role = call.params.get("RoleArn", "")
            trust = self._state.trust_policy(role) or {}
            if not resource_policy_allows(
                trust, {"AWS": principal.role_arn}, "sts:AssumeRole", role, self._context(principal)
            ):
                requirement = Requirement(action="sts:AssumeRole", resource=role)
                raise self._denied(
                    "sts",
                    principal,
                    requirement,
                    "because no resource-based policy allows the sts:AssumeRole action",
                )

    def check_absence(self, call: Call, principal: Principal) -> None:
        """Raises WireError, which records the denial, where S3 would not tell that an object is not
        there.

        Only those learn it who may list the bucket (API reference, GetObject); the others get 403
        in the words of a refused ListBucket (user guide, "Troubleshoot access denied (403
        Forbidden) errors"). The question has no prefix, so that a condition on it does not hold.
        """
        if call.operation in ("GetObject", "HeadObject"):
            bucket = f"arn:aws:s3:::{call.uri_params.get('Bucket')}"
            self._require("s3", principal, Requirement(action="s3:ListBucket", resource=bucket))

    def asked(self) -> list[Asked]:
        """What was needed, in order, each once between two changes of IAM; the newest some
        thousands.
        """
        return list(self._asked)

    def may(
        self, role_arn: str, action: str, resource: str, context: Context | None = None
    ) -> bool:
        """Whether a role has one permission; no denial is recorded."""
        requirement = Requirement(action=action, resource=resource, context=dict(context or {}))
        return self.decision(role_arn, requirement) == "allowed"

    def decision(self, role_arn: str, requirement: Requirement) -> Decision:
        """What the policies of a role say to one permission; no denial is recorded."""
        principal = Principal(role_arn=role_arn, arn=_session_arn(role_arn, "check"))
        return self._decision(principal, requirement)

    def refused(self, denial: Denial) -> None:
        """Records what a service refused by a policy of its own."""
        with self._lock:
            self.denials.append(denial)

    def simulate(self, params: dict[str, Any]) -> dict[str, Any]:
        """IAM's SimulatePrincipalPolicy: what the policies of a role or user say to some actions.

        Raises WireError (NoSuchEntity) where there is no such role or user.
        """
        source = str(params["PolicySourceArn"])
        if ":user/" not in source and self._state.role(source) is None:
            raise WireError(
                "NoSuchEntity",
                f"The role with name {source.rsplit('/', 1)[-1]} cannot be found.",
                status=404,
            )
        resources = params.get("ResourceArns") or ["*"]
        context = {
            str(entry["ContextKeyName"]).lower(): list(entry.get("ContextKeyValues") or [])
            for entry in params.get("ContextEntries") or []
        }
        words = {"allowed": "allowed", "explicit deny": "explicitDeny"}
        principal = Principal(role_arn=source, arn=_session_arn(source, "simulation"))
        results = [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": words.get(
                    self._decision(
                        principal,
                        Requirement(action=action, resource=resource, context=dict(context)),
                    ),
                    "implicitDeny",
                ),
            }
            for action in params.get("ActionNames") or []
            for resource in resources
        ]
        return {"EvaluationResults": results, "IsTruncated": False}

    def require(self, role_arn: str, session: str, action: str, resource: str) -> None:
        """Raises WireError and records the denial where a role lacks a permission that a service
        needs on its behalf.
        """
        principal = Principal(role_arn=role_arn, arn=_session_arn(role_arn, session))
        self._require(
            action.partition(":")[0], principal, Requirement(action=action, resource=resource)
        )

    def refused_by_endpoint(
        self, role_arn: str, session: str, action: str, resource: str
    ) -> WireError:
        """The refusal of a call by the policy of a VPC endpoint on its way, recorded (IAM user
        guide, "Troubleshoot access denied error messages").
        """
        return self._denied(
            action.partition(":")[0],
            Principal(role_arn=role_arn, arn=_session_arn(role_arn, session)),
            Requirement(action=action, resource=resource),
            f"because no VPC endpoint policy allows the {action} action",
        )

    def _require(self, service: str, principal: Principal, requirement: Requirement) -> None:
        decision = self._decision(principal, requirement)
        if decision == "allowed":
            return
        if decision == "explicit deny":
            why = "with an explicit deny in an identity-based policy"
        else:
            why = f"because no identity-based policy allows the {requirement.action} action"
        raise self._denied(service, principal, requirement, why)

    def _decision(self, principal: Principal, requirement: Requirement) -> Decision:
        context = {**self._context(principal), **requirement.context}
        decisions = self._decisions  # a change of IAM puts a new one in its place
        documents, boundary = self._policies(principal.role_arn)
        if requirement.action.startswith("s3:") and requirement.resource.startswith(
            "arn:aws:s3:::"
        ):
            bucket = self._state.bucket(
                requirement.resource.removeprefix("arn:aws:s3:::").partition("/")[0]
            )
            policy = getattr(bucket, "policy", None)
            principals = {"AWS": principal.role_arn}
            if (
                policy
                and resource_policy_decision(
                    _parsed(policy), principals, requirement.action, requirement.resource, context
                )
                == "explicit deny"
            ):
                return "explicit deny"
        # the same few questions come with every call; what was decided holds until IAM changes
        question = f"{principal.role_arn} {requirement.action} {requirement.resource} {context}"
        known = decisions.get(question)
        if known is not None:
            return known.decision
        decision = decide(documents, requirement.action, requirement.resource, context)
        if decision == "allowed" and boundary is not None:
            decision = decide([boundary], requirement.action, requirement.resource, context)
        if len(decisions) >= _MOST_DECISIONS:
            decisions.clear()
        asked = decisions[question] = Asked(
            role_arn=principal.role_arn,
            action=requirement.action,
            resource=requirement.resource,
            context=context,
            decision=decision,
        )
        with self._lock:
            self._asked.append(asked)
            del self._asked[: -2 * _MOST_DECISIONS]
        return decision

    def _denied(
        self, service: str, principal: Principal, requirement: Requirement, why: str
    ) -> WireError:
        subject = "" if requirement.resource == "*" else f" on resource: {requirement.resource}"
        sentence = (
            f"User: {principal.arn} is not authorized to perform: {requirement.action}{subject}"
            f" {why}"
        )
        with self._lock:
            self.denials.append(
                Denial(
                    principal=principal.arn,
                    action=requirement.action,
                    resource=requirement.resource,
                    sentence=sentence,
                )
            )
        code, status = refusal_code(service)
        return WireError(code, sentence, status=status)

    def _policies(self, role_arn: str) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        documents = self._documents
        cached = documents.get(role_arn)
        if cached is None:
            cached = (
                self._state.role_documents(role_arn),
                self._state.permissions_boundary(role_arn),
            )
            documents[role_arn] = cached
        return cached

    def _context(self, principal: Principal) -> dict[str, str | list[str]]:
        return {
            "aws:principalarn": principal.role_arn,
            "aws:principalaccount": ACCOUNT_ID,
            "aws:resourceaccount": ACCOUNT_ID,
            "aws:principaltype": "User" if ":user/" in principal.arn else "AssumedRole",
            "aws:userid": f"AROA:{principal.arn.rsplit('/', 1)[-1]}",
            "aws:requestedregion": self._state.region,
            "aws:securetransport": "true",  # the loopback stands for the TLS endpoint
        }

    def forget_policies(self) -> None:
        """After any change to IAM."""
        self._documents, self._decisions = {}, {}

    # ---- services that act for a role ------------------------------------------------------------

    def assume_role(
        self, role_arn: str, *, service: str, session: str, context: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Credentials, as environment variables, of a role that an AWS service assumes.

        Args:
            role_arn: The role.
            service: Service principal, for example `ecs-tasks.amazonaws.com`.
            session: Session name.
            context: More condition keys, in lower case (`aws:sourcearn`); `aws:sourceaccount` is
                always there.

        Raises AssumeRoleError where there is no such role or its trust policy does not name the
        service.
        """
        self.trusts(role_arn, service, context)
        return self._state.assume_role(role_arn, session)

    def trusts(self, role_arn: str, service: str, context: Mapping[str, str] | None = None) -> None:
        """Raises AssumeRoleError where the role does not exist or does not trust the service."""
        trust = self._state.trust_policy(role_arn)
        if trust is None:
            raise AssumeRoleError(f"role {role_arn} does not exist")
        if not resource_policy_allows(
            trust, {"Service": service}, "sts:AssumeRole", role_arn, _service_context(context)
        ):
            raise AssumeRoleError(
                f"{service} is unable to assume the role {role_arn}: no statement of "
                "its trust policy allows this service sts:AssumeRole"
            )

    def service_may(
        self,
        policy: Mapping[str, Any],
        *,
        service: str,
        action: str,
        resource: str,
        source_arn: str,
    ) -> bool:
        """Whether a resource policy lets an AWS service act for a source (a rule, bucket or topic).

        A refusal is recorded.
        """
        if resource_policy_allows(
            policy,
            {"Service": service},
            action,
            resource,
            _service_context({"aws:sourcearn": source_arn}),
        ):
            return True
        sentence = (
            f"{service} is not authorized to perform: {action} on resource: {resource} for"
            f" {source_arn}: no resource-based policy allows it"
        )
        with self._lock:
            self.denials.append(
                Denial(principal=service, action=action, resource=resource, sentence=sentence)
            )
        return False


def changes_iam(call: Call) -> bool:
    """Whether a call may change what somebody is allowed to do."""
    return call.service == "iam" and not call.operation.startswith(_READS)


def _session_arn(role_arn: str, session: str) -> str:
    return f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role_arn.rsplit('/', 1)[-1]}/{session}"


def _service_context(context: Mapping[str, str] | None) -> dict[str, str | list[str]]:
    return {"aws:sourceaccount": ACCOUNT_ID, "aws:securetransport": "true", **(context or {})}


def _parsed(policy: Any) -> dict[str, Any]:
    import json

    return dict(json.loads(policy)) if isinstance(policy, str | bytes) else dict(policy)
