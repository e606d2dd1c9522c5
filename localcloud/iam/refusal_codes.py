"""With which code each service refuses a call."""

from __future__ import annotations

from typing import Final

_CODES: Final = {
    "s3": ("AccessDenied", 403),
    "sqs": ("AccessDeniedException", 403),
    "sns": ("AuthorizationError", 403),
    "ec2": ("UnauthorizedOperation", 403),
    "sts": ("AccessDenied", 403),
    "iam": ("AccessDenied", 403),
}
_JSON_SERVICES: Final = frozenset(
    {
        "dynamodb",
        "logs",
        "events",
        "stepfunctions",
        "secretsmanager",
        "kms",
        "ecr",
        "ssm",
        "cloudwatch",
    }
)


def refusal_code(service: str) -> tuple[str, int]:
    """Error code and HTTP status."""
    return _CODES.get(service) or (
        "AccessDeniedException",
        400 if service in _JSON_SERVICES else 403,
    )
