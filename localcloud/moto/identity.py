"""Roles, users, sessions and their policies, as far as the other parts need to know of moto's IAM
and STS.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from localcloud.moto.backends import Backends

_SERVICE_SECONDS: Final = 10 * 365 * 86_400


@dataclass(frozen=True, kw_only=True)
class Session:
    """What AssumeRole handed out."""

    role_arn: str
    arn: str
    secret: str
    token: str
    expires: datetime


class Identities(Backends):
    """The part of `AwsState` about identities."""

    def role(self, name_or_arn: str) -> Any | None:
        """Moto's role object, or None."""
        name = name_or_arn.rsplit("/", 1)[-1]
        return next(
            (
                role
                for role in list(self._global("iam").roles.values())
                if name_or_arn in (role.arn, role.name) or role.name == name
            ),
            None,
        )

    def role_documents(self, role_arn: str) -> list[dict[str, Any]]:
        """Policy documents of a role or user, inline first, then attached; those of a user's groups
        after them.
        """
        if ":user/" in role_arn:
            return self._user_documents(role_arn)
        role = self.role(role_arn)
        if role is None:
            return []
        inline = [document(text) for text in list(role.policies.values())]
        return inline + [_managed(policy) for policy in list(role.managed_policies.values())]

    def _user_documents(self, user_arn: str) -> list[dict[str, Any]]:
        iam = self._global("iam")
        user = next((each for each in list(iam.users.values()) if each.arn == user_arn), None)
        if user is None:
            return []
        holders = [user, *(group for group in list(iam.groups.values()) if user in group.users)]
        found = []
        for holder in holders:
            found += [document(text) for text in list(holder.policies.values())]
            found += [_managed(policy) for policy in list(holder.managed_policies.values())]
        return found

    def permissions_boundary(self, role_arn: str) -> dict[str, Any] | None:
        """The boundary's document, where the role has one."""
        role = None if ":user/" in role_arn else self.role(role_arn)
        if role is None or not role.permissions_boundary_arn:
            return None
        policy = self.managed_policy(role.permissions_boundary_arn)
        return {"Version": "2012-10-17", "Statement": []} if policy is None else _managed(policy)

    def managed_policy(self, arn: str) -> Any | None:
        """Moto's policy object, or None."""
        return self._global("iam").managed_policies.get(arn)

    def trust_policy(self, role_arn: str) -> dict[str, Any] | None:
        """Who may assume the role, or None where there is no such role."""
        role = self.role(role_arn)
        return None if role is None else document(role.assume_role_policy_document)

    def instance_profile_role(self, name_or_arn: str) -> str | None:
        """ARN of the role in an instance profile; None where the profile does not exist or is
        empty.
        """
        name = name_or_arn.rsplit("/", 1)[-1]
        for profile in list(self._global("iam").instance_profiles.values()):
            if profile.name == name:
                return next((role.arn for role in profile.roles), None)
        return None

    def assume_role(self, role_arn: str, session_name: str) -> dict[str, str]:
        """New credentials of a role as environment variables; the caller has checked the trust
        policy.

        They hold as long as the cloud: on AWS a service renews those that it has handed out.
        """
        session = self._global("sts").assume_role(
            region_name=self.region,
            role_session_name=session_name,
            role_arn=role_arn,
            policy="",
            duration=_SERVICE_SECONDS,
            external_id="",
        )
        return {
            "AWS_ACCESS_KEY_ID": session.access_key_id,
            "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
            "AWS_SESSION_TOKEN": session.session_token,
        }

    def assumed_role(self, access_key: str) -> Session | None:
        """The session behind an access key that AssumeRole handed out."""
        found = self._global("sts").get_assumed_role_from_access_key(access_key)
        if found is None:
            return None
        return Session(
            role_arn=found.role_arn,
            arn=found.arn,
            secret=found.secret_access_key,
            token=found.session_token,
            expires=found.expiration.replace(tzinfo=UTC),
        )

    def user_of_key(self, access_key: str) -> tuple[str, str] | None:
        """(ARN of the user, secret) of an active access key of IAM."""
        for user in list(self._global("iam").users.values()):
            for key in user.access_keys:
                if key.access_key_id == access_key and key.status == "Active":
                    return str(user.arn), str(key.secret_access_key)
        return None


def document(policy: Any) -> dict[str, Any]:
    """A policy document, whether as text or not; one that allows nothing where there is none."""
    document = json.loads(policy) if isinstance(policy, str) else policy
    return dict(document or {"Statement": []})


def _managed(policy: Any) -> dict[str, Any]:
    version = next(each for each in policy.versions if each.version_id == policy.default_version_id)
    return document(version.document)
