"""Access keys: which there are, whose they are, and whether a call carries the signature that its
key's secret gives.

A key is the deployer's, a session's of a role that was assumed, or a user's of IAM. Every other
key, and every call without one, is refused in the words of the service that it speaks to.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from localcloud.http import shortcomings
from localcloud.iam.access import Principal
from localcloud.moto.state import AwsState
from localcloud.protocol.signature_errors import Problem, refusal
from localcloud.protocol.signatures import (
    UNSIGNED_PAYLOAD,
    Claim,
    is_policy_signed_by,
    is_signed_by,
)
from localcloud.protocol.wire import Call
from localcloud.services.s3.bodies import CARRY_OBJECTS
from localcloud.services.s3.forms import Form

_SKEW: Final = timedelta(minutes=15)
_WITHOUT_SIGNATURE: Final = ("AssumeRoleWithSAML", "AssumeRoleWithWebIdentity")
"""Operations of STS that need no signature: no identity provider vouches for anybody here."""
_HASH_DIGITS: Final = 64
_UPPER: Final = string.ascii_uppercase + "234567"
_SECRET: Final = string.ascii_letters + string.digits


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


@dataclass(frozen=True, kw_only=True)
class Deployer:
    """The key of the one who may do everything, new with each start."""

    access_key: str = field(default_factory=lambda: f"LKIA{_random(_UPPER, 16)}")
    """Access key id, not `AKIA...`, so that no scanner and no AWS takes it for a real one."""
    secret: str = field(default_factory=lambda: _random(_SECRET, 40), repr=False)

    @property
    def credentials(self) -> dict[str, str]:
        """As boto3's sessions and clients take them."""
        return {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret}


@dataclass(frozen=True, kw_only=True)
class Key:
    """A known access key."""

    secret: str
    principal: Principal | None
    """Principal of the key, None for the deployer."""
    token: str | None = None
    expires: datetime | None = None


class Keys:
    """The keys of one cloud. Thread safe."""

    def __init__(self, state: AwsState, deployer: Deployer) -> None:
        self._state = state
        self._deployer = deployer
        self._sessions: dict[str, Key] = {}

    def authenticate(self, call: Call) -> Principal | None:
        """Whose call it is; None is the deployer.

        Raises WireError, in the words of the service, where the key is unknown, the signature
        wrong, or its time is over.
        """
        found = call.claim
        if call.malformed:
            raise refusal(call, Problem.MALFORMED, call.malformed)
        if found is None and call.operation in _WITHOUT_SIGNATURE:
            raise shortcomings.missing(call)
        if found is None:
            raise refusal(call, Problem.MISSING)
        key = self._checked_key(call, found)
        self._check_time(call, found)
        if not is_signed_by(call.signed_request, found, key.secret, _payload_hash(call, found)):
            raise refusal(call, Problem.WRONG_SIGNATURE)
        if found.version == 4:
            call.secret = key.secret
        return key.principal

    def authenticate_form(self, call: Call, form: Form) -> Principal | None:
        """Whose form it is, as `authenticate` has it; until when it holds stands in its policy."""
        if form.malformed:
            raise refusal(call, Problem.MALFORMED, form.malformed)
        if form.claim is None:
            raise refusal(call, Problem.MISSING)
        key = self._checked_key(call, form.claim)
        if not is_policy_signed_by(form.policy, form.claim, key.secret):
            raise refusal(call, Problem.WRONG_SIGNATURE)
        return key.principal

    def _checked_key(self, call: Call, found: Claim) -> Key:
        """The key of a claim, where it holds now."""
        key = self._key(found.access_key)
        if key is None:
            raise refusal(call, Problem.UNKNOWN_KEY, found.access_key)
        if key.expires is not None and datetime.now(UTC) >= key.expires:
            raise refusal(call, Problem.EXPIRED_TOKEN)
        if key.token is not None and found.token != key.token:
            raise refusal(call, Problem.WRONG_TOKEN)
        return key

    def _key(self, access_key: str) -> Key | None:
        if secrets.compare_digest(access_key.encode(), self._deployer.access_key.encode()):
            return Key(secret=self._deployer.secret, principal=None)
        if access_key in self._sessions:
            return self._sessions[access_key]
        session = self._state.assumed_role(access_key)
        if session is not None:
            # a session never changes and is looked for with every call of a job
            principal = Principal(role_arn=session.role_arn, arn=session.arn)
            key = Key(
                secret=session.secret,
                principal=principal,
                token=session.token,
                expires=session.expires,
            )
            self._sessions[access_key] = key
            return key
        user = self._state.user_of_key(access_key)
        return (
            None
            if user is None
            else Key(secret=user[1], principal=Principal(role_arn=user[0], arn=user[0]))
        )

    def _check_time(self, call: Call, found: Claim) -> None:
        now = datetime.now(UTC)
        if found.presigned:
            until = found.signed_at + timedelta(seconds=found.expires_seconds or 0)
            if now > until:
                raise refusal(call, Problem.EXPIRED_URL)
            if found.version == 4 and found.signed_at - now > _SKEW:
                raise refusal(call, Problem.EXPIRED_URL)
        elif abs(now - found.signed_at) > _SKEW:
            raise refusal(
                call,
                Problem.SKEWED,
                f"{found.signed_at:%Y%m%dT%H%M%SZ} beside {now:%Y%m%dT%H%M%SZ}",
            )


def _payload_hash(call: Call, found: Claim) -> str:
    stated = str(call.environ.get("HTTP_X_AMZ_CONTENT_SHA256", ""))
    if len(stated) == _HASH_DIGITS and not (
        call.service == "s3" and call.operation in CARRY_OBJECTS
    ):
        if hashlib.sha256(call.read_body()).hexdigest() != stated.lower():
            raise refusal(call, Problem.WRONG_BODY)
        return stated
    if stated:
        return stated
    if found.presigned and found.service == "s3":
        return UNSIGNED_PAYLOAD
    if found.version == 2:
        return ""
    return hashlib.sha256(call.read_body()).hexdigest()
