"""Fixtures that run a test on every norm in every layout, every dtype, SIMD target, and number of threads."""

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import settings

import fastnorm as fn
import scaled_error

# The same examples every time: a failure is of the change, not of the day. --hypothesis-profile=default explores.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

# Groups of n values are the rows of an array (groups, n). A pattern says which axes groups and values split into, how
# these lie in memory, and, after a second arrow, the order that the norm sees them in: `g` and `c` before the bar are
# three, what is left of the groups goes to the axis before.
NORMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "layer": ("layer_norm", "m | d -> m d", {}),
    "layer-several-axes": ("layer_norm", "m | a b -> a m b", {"axis": (0, 2)}),
    "layer-columns": ("layer_norm", "m | d -> d m", {"axis": 0}),
    "layer-transposed": ("layer_norm", "m | d -> d m -> m d", {"axis": -1}),
    "rms": ("rms_norm", "m | d -> m d", {}),
    "rms-columns": ("rms_norm", "m | a b -> a b m", {"axis": (0, 1), "offset": 1.0}),
    "batch-first": ("batch_norm", "c | n s -> n c s", {"axis": 1}),
    "batch-flat": ("batch_norm", "c | n -> n c", {}),
    "batch-last": ("batch_norm", "c | n s -> n s c", {"axis": -1}),
    "batch-moved": ("batch_norm", "c | n s -> n s c -> n c s", {"axis": 1}),
    "evaluation-first": ("batch_norm", "c | n s -> n c s", {"axis": 1, "running": True}),
    "evaluation-last": ("batch_norm", "c | n s -> n s c", {"axis": -1, "running": True}),
    "group-first": ("group_norm", "n g | c s -> n (g c) s", {"num_groups": 3}),
    "group-flat": ("group_norm", "n g | c -> n (g c)", {"num_groups": 3}),
    "group-last": ("group_norm", "n g | c s -> n s (g c)", {"num_groups": 3, "axis": -1}),
    "group-moved": ("group_norm", "n g | c s -> n s (g c) -> n (g c) s", {"num_groups": 3}),
    "group-one": ("group_norm", "n | c s -> n s c", {"num_groups": 1, "axis": 2}),
    "instance-first": ("instance_norm", "n c | s -> n c s", {}),
    "instance-last": ("instance_norm", "n c | h w -> n h w c", {"axis": -1}),
    "instance-moved": ("instance_norm", "n c | s -> n c s -> n s c", {"axis": -1}),
}


class Norm(NamedTuple):
    """A norm in a layout, see above."""

    name: str
    op: str
    pattern: str
    fixed: dict[str, Any]

    @property
    def evaluates(self) -> bool:
        return "running" in self.fixed

    @property
    def centred(self) -> bool:
        return self.op != "rms_norm"

    def put(self, rows: Any) -> np.ndarray:
        """Data whose groups are the rows."""
        axes, order, memory, seen = self._axes()
        laid = rows.reshape([n for _, n in self._sizes(rows.shape)]).transpose([axes.index(a) for a in order])
        sizes = dict(zip(order, laid.shape, strict=True))
        joined = laid.reshape([math.prod(sizes[a] for a in one) for one in memory])
        return np.ascontiguousarray(joined).transpose([memory.index(one) for one in seen])

    def groups(self, x: Any, shape: tuple[int, int]) -> np.ndarray:
        """The rows, of this shape, that are the groups of data."""
        axes, order, memory, seen = self._axes()
        sizes = dict(self._sizes(shape))
        split = x.transpose([seen.index(one) for one in memory]).reshape([sizes[a] for a in order])
        return split.transpose([order.index(a) for a in axes]).reshape(shape)

    def _axes(self) -> tuple[str, list[str], list[str], list[str]]:
        left, *orders = self.pattern.split(" -> ")
        memory, seen = (re.findall(r"\(.*?\)|\w", order) for order in (orders[0], orders[-1]))
        memory, seen = ([one.strip("()").replace(" ", "") for one in order] for order in (memory, seen))
        return re.sub(r"\W", "", left), list("".join(memory)), memory, seen

    def _sizes(self, shape: tuple[int, int]) -> Iterator[tuple[str, int]]:
        for names, n, last in zip(self.pattern.split(" -> ")[0].split(" | "), shape, (True, False), strict=True):
            a, *b = names.split()
            some = n // 3 if last else next((k for k in (2, 3) if n % k == 0), 1)
            yield from [(a, some), (b[0], n // some)] if b else [(a, n)]

    def _varies(self, x: Any) -> set[int]:
        axis = self.fixed.get("axis", -1 if self.op in ("layer_norm", "rms_norm") else 1)
        return {a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))}

    @property
    def batch_axis(self) -> int:
        """The axis of samples, which an evaluation and all but batch norm treat one by one."""
        return self._axes()[3].index("m" if "m" in self.pattern else "n")

    def parameters(self, x: Any) -> tuple[int, ...]:
        """The shape of weight and bias."""
        return tuple(x.shape[a] for a in sorted(self._varies(x)))

    def spread(self, parameter: Any, x: Any) -> np.ndarray:
        """Weight or bias in the shape of data."""
        varies = self._varies(x)
        return np.broadcast_to(parameter.reshape([n if a in varies else 1 for a, n in enumerate(x.shape)]), x.shape)

    def options(self, x: Any) -> dict[str, Any]:
        """Keywords for data, `running` among them if it evaluates."""
        if not self.evaluates:
            return self.fixed
        (n,) = self.parameters(x)
        return self.fixed | {"running": (np.linspace(-1, 1, n), np.linspace(0.5, 2, n))}

    def forward(self, x: Any, weight: Any = None, bias: Any = None, **more: Any) -> Any:
        """What the training forward returns, or the result of the evaluation."""
        options = self.options(x) | more
        running = options.pop("running", None)
        if running is not None:
            return fn.batch_norm(x, *running, weight, bias, **options)
        return getattr(fn, f"{self.op}_forward")(x, weight=weight, bias=bias, **options)

    def output(self, x: Any, weight: Any = None, bias: Any = None, **more: Any) -> np.ndarray:
        """The y of that."""
        result = self.forward(x, weight, bias, **more)
        return result if self.evaluates else result.y

    def backward(self, dy: Any, x: Any, weight: Any, result: Any, eps: float = 1e-5, **more: Any) -> fn.Gradients:
        """Gradients after that forward; eps counts for an evaluation."""
        options = self.options(x) | more
        running = options.pop("running", None)
        if running is None:
            options |= dict(zip(result._fields[1:], result[1:], strict=True))
        else:
            with np.errstate(divide="ignore"):
                options |= {"mean": running[0], "rstd": 1 / np.sqrt(running[1] + eps), "training": False}
        return getattr(fn, f"{self.op}_backward")(dy=dy, x=x, weight=weight, **options)

    def outputs(self, dy: Any, x: Any, weight: Any = None, bias: Any = None, **more: Any) -> dict[str, np.ndarray]:
        """All results of forward and backward by name."""
        result = self.forward(x, weight, bias, **more)
        forward = {"y": result} if self.evaluates else result._asdict()
        return forward | self.backward(dy, x, weight, result, **more)._asdict()

    def forward_errors(self, x: Any, weight: Any = None, bias: Any = None, **more: Any) -> dict[str, float]:
        """Scaled errors of y, mean, rstd."""
        result = self.forward(x, weight, bias, **more)
        return scaled_error.forward_errors(self.op, result, x, weight, bias, **self.options(x), **more)

    def backward_errors(self, dy: Any, x: Any, weight: Any = None, **more: Any) -> dict[str, float]:
        """Scaled errors of dx, dweight, dbias. The one saved mean of float64 data is rounded, which may cost."""
        forward = {key: value for key, value in more.items() if key in ("eps", "where")}
        gradients = self.backward(dy, x, weight, self.forward(x, weight, **forward), **more)
        more |= {"recentred": x.dtype != np.float64 or not self.centred}
        return scaled_error.backward_errors(self.op, gradients, dy, x, weight, **self.options(x), **more)


@pytest.fixture(params=NORMS, scope="module")
def norm(request: pytest.FixtureRequest) -> Norm:
    """Every norm in every layout."""
    op, pattern, options = NORMS[request.param]
    return Norm(request.param, op, pattern, options)


@pytest.fixture(params=["float32", "float64"], scope="module")
def dtype(request: pytest.FixtureRequest) -> str:
    """The dtypes of data. The reference of float64 must be better than that."""
    if request.param == "float64" and np.finfo(np.longdouble).nmant < 63:
        pytest.skip("no long double here")
    return request.param


@pytest.fixture(params=fn.simd_targets())
def simd_target(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every SIMD target of this machine."""
    before = fn.simd_target()
    fn.set_simd_target(request.param)
    yield request.param
    fn.set_simd_target(before)


@pytest.fixture(params=[1, 2, 3, 8])
def num_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Several numbers of threads, more than there are processors too."""
    with fn.threads(request.param):
        yield request.param
