"""How fast the preprocess stage turns CSV into Parquet, and how much memory that takes, beside bare
polars, pandas and DuckDB.

    python -m bench.preprocess [--small]

All read the same local files and write Parquet to the same disk, each in a process of its own, in
turn; a figure is the median of three runs. The clock starts after the imports. CPU seconds are
those of all threads; where others use the machine too, they tell more than wall seconds. The peers
only convert; the stage also checks every row, lists the rejected ones with line and reason, and
writes units with checksums. The second file is ten times the first: seconds should grow tenfold,
the stage's memory not at all. `--small` takes files of 10 and 100 MB instead of 100 MB and 1 GB.
The limit to compare with is reading the file and counting its lines.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROUNDS = 3
COLUMNS = 10
ROW_BYTES = 110
DIRTY_PERCENT = 1.0


def stage(source: Path, target: Path) -> Callable[[], int]:
    from workloads.preprocess.clean import Settings, clean
    from workloads.preprocess.files import Files

    def work() -> int:
        folder = target.with_suffix(".cleaned")
        cleaned = clean(
            lambda: source.open("rb", buffering=0), lambda: Files(folder).written(), Settings()
        )
        shutil.move(folder / "table" / "table.parquet", target)
        shutil.rmtree(folder)
        return cleaned.rows_read

    return work


def with_polars(source: Path, target: Path) -> Callable[[], int]:
    import polars as pl

    def work() -> int:
        pl.scan_csv(source).sink_parquet(target)
        return int(pl.scan_parquet(target).select(pl.len()).collect().item())

    return work


def with_pandas(source: Path, target: Path) -> Callable[[], int]:
    import pandas as pd

    def work() -> int:
        frame = pd.read_csv(source)
        frame.to_parquet(target)
        return len(frame)

    return work


def with_duckdb(source: Path, target: Path) -> Callable[[], int]:
    import duckdb

    def work() -> int:
        return int(
            duckdb.execute(
                f"COPY (SELECT * FROM read_csv('{source}')) TO '{target}' (FORMAT parquet)"  # noqa: S608
            ).fetchall()[0][0]
        )

    return work


def reading_only(source: Path, target: Path) -> Callable[[], int]:
    def work() -> int:
        buffer = bytearray(4 << 20)
        rows = 0
        with source.open("rb", buffering=0) as stream:
            while count := stream.readinto(buffer):
                rows += buffer.count(b"\n", 0, count)
        target.touch()
        return rows - 1

    return work


CONTENDERS: dict[str, Callable[[Path, Path], Callable[[], int]]] = {
    "this stage": stage,
    "polars": with_polars,
    "DuckDB": with_duckdb,
    "pandas": with_pandas,
    "reading and counting lines only": reading_only,
}


def one(name: str, source: Path, target: Path) -> None:
    """A process of its own: prints seconds, rows and peak memory as JSON."""
    from workloads.runtime.memory import peak_rss_mib

    work = CONTENDERS[name](source, target)
    started, cpu = time.perf_counter(), time.process_time()
    rows = work()
    figures = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "rows": rows,
        "peak_mib": peak_rss_mib(),
    }
    print(json.dumps(figures))


def generate(target: Path, size: int, *, dirty_percent: float) -> int:
    """Writes a table of about `size` bytes and returns its rows; beyond 100 MB they repeat, or
    making the file would take minutes.
    """
    from workloads.samples.generate import Table

    table = Table(
        rows=max(1, min(size, 100_000_000) // ROW_BYTES),
        columns=COLUMNS,
        seed=1,
        dirty_percent=dirty_percent,
    )
    header, *chunks = table.chunks()
    times = max(1, round(size / (ROW_BYTES * table.rows)))
    with target.open("wb") as out:
        out.write(header)
        for _ in range(times):
            out.writelines(chunks)
    return table.rows * times


def compare(source: Path, rows: int, names: list[str], folder: Path) -> dict[str, dict[str, float]]:
    """Medians of each contender on one file."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            target = folder / "out.parquet"
            command = [
                sys.executable,
                "-m",
                "bench.preprocess",
                "--one",
                name,
                str(source),
                str(target),
            ]
            found = json.loads(
                subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
            )
            assert found["rows"] == rows, (name, found, rows)
            runs[name].append(found)
            target.unlink()
    return {
        name: {key: statistics.median(run[key] for run in done) for key in done[0]}
        for name, done in runs.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--small", action="store_true", help="10 and 100 MB instead of 100 MB and 1 GB"
    )
    parser.add_argument(
        "--one", nargs=3, metavar=("NAME", "SOURCE", "TARGET"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.one:
        one(options.one[0], Path(options.one[1]), Path(options.one[2]))
        return

    sizes = (10_000_000, 100_000_000) if options.small else (100_000_000, 1_000_000_000)
    print(
        f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} processors,"
        f" Python {platform.python_version()}\n"
    )
    print("| file | program | seconds | CPU seconds | MB/s | rows/s | peak memory, MiB |")
    print("|---|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in sizes:
            for dirty_percent in (0.0, DIRTY_PERCENT):
                source = folder / "table.csv"
                rows = generate(source, size, dirty_percent=dirty_percent)
                contenders = ["this stage"] if dirty_percent else list(CONTENDERS)
                label = f"{source.stat().st_size / 1e6:,.0f} MB" + (
                    f", {dirty_percent:g} % of rows dirty" if dirty_percent else ""
                )
                for contender, figures in compare(source, rows, contenders, folder).items():
                    seconds = figures["seconds"]
                    cells = (
                        label,
                        contender,
                        f"{seconds:.2f}",
                        f"{figures['cpu']:.2f}",
                        f"{source.stat().st_size / 1e6 / seconds:,.0f}",
                        f"{rows / seconds:,.0f}",
                        f"{figures['peak_mib']:,.0f}",
                    )
                    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
