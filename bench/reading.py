"""How right polluted files are read: this reader, DuckDB's, and CleverCSV's where it is installed,
each told nothing.

    python -m bench.reading [--every N]

The files are those of tests/workloads/preprocess/pollutions.py, every N-th of those that touch one
row (11 if not told; 1 takes some minutes). Points are those of the Pollock benchmark, of ten, by
value.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import duckdb

from tests.workloads.preprocess import pollutions
from tests.workloads.preprocess.pollutions import Polluted, Table
from tests.workloads.preprocess.reading import read


def this_reader(text: str) -> Table:
    reading = read(text)
    return [reading.names if reading.dialect.header else [], *reading.rows]


def duckdb_reader(text: str) -> Table:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        source = Path(folder) / "polluted.csv"
        source.write_text(text, newline="")
        found = connection.read_csv(
            str(source), all_varchar=True, ignore_errors=True, null_padding=True
        )
        return [found.columns, *([cell or "" for cell in row] for row in found.fetchall())]


def clevercsv_reader(text: str) -> Table:
    clevercsv = import_module("clevercsv")  # no dependency of this project
    dialect = clevercsv.Sniffer().sniff(text)
    return list(clevercsv.reader(io.StringIO(text, newline=""), dialect))


def points(reader: Callable[[str], Table], polluted: Polluted) -> float:
    try:
        header, *rows = reader(polluted.text)
    except Exception:  # noqa: BLE001 - a file that a reader refuses counts nothing, whatever it raises
        return 0.0
    return pollutions.score(polluted, header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=11)
    every = parser.parse_args().every
    readers = {"this reader": this_reader, "DuckDB": duckdb_reader}
    if find_spec("clevercsv"):
        readers["CleverCSV"] = clevercsv_reader
    print("| table | files | " + " | ".join(readers) + " |")
    print("|---|---:|" + "---:|" * len(readers))
    for name, make in {"shop": pollutions.shop, "sensors": pollutions.sensors}.items():
        table, how = make()
        files = [
            *pollutions.whole_file(table, how),
            *list(pollutions.one_per_cell(table, how))[::every],
        ]
        means = [
            sum(points(reader, polluted) for polluted in files) / len(files)
            for reader in readers.values()
        ]
        print(f"| {name} | {len(files)} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")


if __name__ == "__main__":
    main()
