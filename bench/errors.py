"""How far the profile's figures are from the truth, beside two passes in float64.

`python -m bench.errors [--rows 60000 --seed 3]` prints one Markdown table: for each awkward table
the largest error of four columns (of their six pairs for correlation), in units in the last place
of the figure with 80 digits, ours first. 0.5 is what rounding the truth costs.
"""

from __future__ import annotations

import argparse

from tests.workloads.analysis.test_errors import FIGURES, TABLES, errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000, help="all in one unit")
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    names = (*FIGURES, "correlation")
    print(f"| {options.rows:,} rows | {' | '.join(names)} |")
    print(f"|---|{'---|' * len(names)}")
    for table in TABLES:
        found = errors(table, options.rows, options.rows, options.seed)
        cells = (f"{found[name].ours:.2f} / {found[name].two_passes:.3g}" for name in names)
        print(f"| {table} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
