"""Small tables to upload."""

from __future__ import annotations

import numpy as np
import pandas as pd


def table(rows: int = 3000, seed: int = 7) -> bytes:
    """A CSV file with an id and two columns of numbers."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(rows)],
            "height": generator.normal(170, 9, rows),
            "weight": generator.gamma(9, 8, rows),
        }
    )
    text: str = frame.to_csv(index=False)
    return text.encode()
