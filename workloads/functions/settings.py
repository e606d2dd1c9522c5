"""Settings of a function that grow with the stack: in its environment where they are short, else in
a file beside its code.

Lambda takes 4 KB of environment variables in all, and a region's queues and environments with their
ARNs, or a hundred data sets, are more. components/function.py decides which it is.
"""

from __future__ import annotations

from pathlib import Path

from workloads import contract
from workloads.contract import ContractError


def read(variable: str) -> str:
    """The text of a setting.

    Raises ContractError where the variable is missing, or names a file that is not there.
    """
    text = contract.require_env(variable)
    if not text.startswith(contract.SETTING_FILE_MARK):
        return text
    path = Path(__file__).with_name(contract.setting_file(variable))
    if text != contract.SETTING_FILE_MARK + path.name or not path.is_file():
        raise ContractError(
            f"environment variable {variable} is {text}, and the function has no such file; deploy"
            " the stack again"
        )
    return path.read_text(encoding="utf-8")
