"""The dtypes of the library: one table, read by validation and layout."""

from typing import Any, Final, NamedTuple

import numpy as np

FLOAT32: Final[np.dtype[Any]] = np.dtype(np.float32)
FLOAT64: Final[np.dtype[Any]] = np.dtype(np.float64)


class Support(NamedTuple):
    """What goes with a data dtype: the type of the arithmetic, and what parameters and running buffers may have."""

    compute: np.dtype[Any]
    parameters: tuple[np.dtype[Any], ...]


# Native byte order only: np.dtype(">f4") is another key. Parameters have the data's dtype or a wider one.
DATA: Final[dict[np.dtype[Any], Support]] = {
    FLOAT32: Support(FLOAT32, (FLOAT32, FLOAT64)),
    FLOAT64: Support(FLOAT64, (FLOAT64,)),
}

# What a backward takes for saved statistics. They are made in float64.
STATISTICS: Final[tuple[np.dtype[Any], ...]] = (FLOAT32, FLOAT64)
