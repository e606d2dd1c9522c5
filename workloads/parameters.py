"""What the analysis is asked for: one class from the stack's config to checkpoints, shards and
digests.

Components write its variables, a rank of the analysis reads them, and what is stored goes by
`identity`. A parameter that is added here, under the name that it has in the config
(`config.jobs.AnalysisJob`), reaches all of them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal, Self, get_args

from workloads.contract import ContractError
from workloads.variables import (
    ENV_ANOMALY_METRIC,
    ENV_ANOMALY_MODE,
    ENV_ANOMALY_NEIGHBOURS,
    ENV_ANOMALY_SCALING,
    ENV_ANOMALY_TOP,
    ENV_EXACT_QUANTILES,
)

Auto = Literal["auto"]
Mode = Literal["off", "top", "full"]
ScalingName = Literal["robust", "standard"]
Metric = Literal["euclidean", "mahalanobis", "cosine"]

FEWEST_AUTO_NEIGHBOURS: Final = 10
MOST_AUTO_NEIGHBOURS: Final = 200
MOST_NEIGHBOURS: Final = 256
"""A row's candidates on a GPU; the kernels have the same figure."""
_FLAGS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_ALLOWED: Final = "allowed"


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """The environment variable of a parameter, and the values that it may have."""

    variable: str
    words: Mapping[str, Any] = field(default_factory=dict)
    """Spelling in the environment -> value."""
    whole: tuple[int, int] | None = None
    """Smallest and largest whole number; None where no number is allowed."""

    def read(self, text: str) -> Any:
        """The value of a text. Raises ContractError with one sentence."""
        if text in self.words:
            return self.words[text]
        if self.whole and text.isascii() and text.isdecimal():
            low, high = self.whole
            if low <= int(text) <= high:
                return int(text)
        raise ContractError(
            f"environment variable {self.variable} is {text!r}; expected {self._expected()}"
        )

    def _expected(self) -> str:
        spellings: dict[Any, str] = {}
        for text, value in self.words.items():
            spellings.setdefault(value, repr(text))
        options = list(spellings.values())
        if self.whole:
            options.append(f"a whole number from {self.whole[0]} to {self.whole[1]}")
        return " or ".join(options)


def _in(variable: str, words: Any = None, whole: tuple[int, int] | None = None) -> dict[str, Any]:
    """The metadata of a parameter; `words` are a Literal's, or a mapping from spelling to value."""
    spelled = words if isinstance(words, Mapping) else {word: word for word in get_args(words)}
    return {_ALLOWED: Allowed(variable=variable, words=spelled, whole=whole)}


@dataclass(frozen=True, kw_only=True)
class AnalysisParameters:
    """What results are functions of, besides the table and the code.

    Defaults are those of a job without variables.
    """

    exact_quantiles: bool = field(default=False, metadata=_in(ENV_EXACT_QUANTILES, _FLAGS))
    """Whether quantiles have no error, at the cost of two more reads of the table."""
    anomaly_mode: Mode = field(default="off", metadata=_in(ENV_ANOMALY_MODE, Mode))
    """The search for remote rows; a job that is started by hand without this variable only
    profiles.
    """
    anomaly_neighbours: int | Auto = field(
        default="auto", metadata=_in(ENV_ANOMALY_NEIGHBOURS, Auto, (1, MOST_NEIGHBOURS))
    )
    """The number k of the neighbour whose distance is a row's score."""
    anomaly_top: int = field(default=100, metadata=_in(ENV_ANOMALY_TOP, whole=(1, 10_000)))
    """The number N of most remote rows that are reported."""
    anomaly_scaling: ScalingName = field(
        default="robust", metadata=_in(ENV_ANOMALY_SCALING, ScalingName)
    )
    """The units of the columns."""
    anomaly_metric: Metric = field(default="euclidean", metadata=_in(ENV_ANOMALY_METRIC, Metric))
    """The distance of rows."""

    @classmethod
    def allowed(cls) -> dict[str, Allowed]:
        """Parameter -> what it may be."""
        return {one.name: one.metadata[_ALLOWED] for one in fields(cls)}

    @classmethod
    def of(cls, config: object) -> Self:
        """The parameters among the attributes of a section of the config."""
        return cls(**{one.name: getattr(config, one.name) for one in fields(cls)})

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """What a job's environment asks for; an empty variable counts as none.

        Raises ContractError.
        """
        found = {name: environ.get(one.variable, "").strip() for name, one in cls.allowed().items()}
        return cls(**{name: cls.allowed()[name].read(text) for name, text in found.items() if text})

    def to_env(self) -> dict[str, str]:
        """What `from_env` reads."""
        texts = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in asdict(self).items()
        }
        return {one.variable: texts[name] for name, one in self.allowed().items()}

    def neighbours(self, rows: int) -> int:
        """The number k for a table of so many rows: with `auto` the root of them, rounded down,
        from 10 to 200.

        A score is an estimate of the density around a row: with few neighbours it is noisy, and a
        handful of rows that are odd in the same way hide one another; with many it is blurred. k
        that grows as the root of the number of rows is the usual compromise (Loftsgaarden and
        Quesenberry, 1965), and had the best mean AUROC on labelled tables (`bench/labelled.py`).
        """
        if self.anomaly_neighbours == "auto":
            return min(max(math.isqrt(rows), FEWEST_AUTO_NEIGHBOURS), MOST_AUTO_NEIGHBOURS)
        return self.anomaly_neighbours

    def identity(self, rows: int) -> dict[str, Any]:
        """What checkpoints and results of a table of so many rows are bound to, as JSON values.

        `auto` and the number that it comes to are the same work, and have the same identity.
        """
        return {name.removeprefix("anomaly_"): value for name, value in asdict(self).items()} | {
            "neighbours": self.neighbours(rows)
        }
