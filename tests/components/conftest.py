"""Fixtures of the component tests."""

from __future__ import annotations

import pytest

from components.context import StackContext
from tests.components import mocks


@pytest.fixture
def context() -> StackContext:
    """The stack that tests deploy."""
    return StackContext(
        project=mocks.PROJECT,
        stack="test",
        region=mocks.REGION,
        account_id=mocks.ACCOUNT,
        partition="aws",
        tags={"project": mocks.PROJECT, "stack": "test", "cost-center": "tests"},
    )
