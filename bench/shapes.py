"""An operation somewhere in a network, and the problem that it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from problems import Problem, normalization, weights


@dataclass(frozen=True)
class Shape:
    """One operation somewhere in a network.

    Attributes
    ----------
    place : str
        Where it comes from.
    op, direction : str
        As in `problems.Problem`.
    shape : tuple of ints
        Shape of the data.
    layout : str
        Names of the axes; the channels are the axis C, for layer and RMS norm the last axis is normalized. Filters are
        the axis O, the first or the last.
    groups : int
        Number of groups of group norm.
    """

    place: str
    op: str
    direction: str
    shape: tuple[int, ...]
    layout: str
    groups: int = 0

    @property
    def name(self) -> str:
        """All of it in one word without spaces."""
        where = self.place.replace(" ", "-").replace(",", "")
        return f"{where}:{self.op}:{self.direction}:{'x'.join(map(str, self.shape))}:{self.layout}"

    def problem(self, dtype: npt.DTypeLike = np.float32) -> Problem:
        """Return the problem on random data, mean 0.5 and deviation 2."""
        rng = np.random.default_rng(7)
        x = (2 * rng.standard_normal(self.shape, dtype=np.float32) + np.float32(0.5)).astype(dtype)
        if self.op.startswith("weight_"):
            return weights(self.op, self.direction, self.layout, x, axis=0 if self.layout[0] == "O" else -1)
        options: dict[str, Any] = {"num_groups": self.groups} if self.groups else {}
        axis = -1 if self.op in ("layer_norm", "rms_norm") else self.layout.index("C")
        return normalization(self.op, self.direction, self.layout, x, axis=axis, **options)
