"""Calls with arguments that nobody should give: every one must raise ValueError or TypeError, or give what it should.

A call is made from a seed: a function, arguments that it takes, and a few of them replaced or laid out badly. After an
error every array is what it was. After a result only `out` and the running statistics have changed, within their own
elements, and the same call with plain copies of the arrays gives the same.

    python tests/hostile.py 1000000 [first seed]     in a process that may crash: the seed of the last call is printed
"""

import copy
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastnorm as fn
from hostile_arguments import make_call
from operations import METHODS, WRITTEN, Arguments, layer_backward


def _arrays(value: Any) -> Iterator[np.ndarray]:
    """All arrays that something consists of."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, fn.Whitening):
        yield from (np.array(value._comoments.samples), value.mean)
        try:
            yield value.matrix
        except ValueError:  # of fewer samples than it needs
            yield np.zeros(0)
    elif hasattr(value, "state_dict"):
        yield from value.state_dict().values()
    elif isinstance(value, (tuple, list)) and len(value) < 100:
        for each in value:
            yield from _arrays(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _arrays(each)


def _memory(a: np.ndarray) -> np.ndarray:
    """The bytes that `a` lies in, also those between its elements."""
    while isinstance(a.base, np.ndarray):
        a = a.base
    flat = a.ravel(order="K")
    return flat if a.dtype.hasobject else flat.view(np.uint8)


def _bytes(arguments: Arguments) -> dict[str, list[bytes]]:
    return {name: [_memory(a).tobytes() for a in _arrays(value)] for name, value in arguments.items()}


def _plain(value: Any) -> Any:
    """A copy in plain memory."""
    if isinstance(value, np.ndarray):
        return np.array(value, order="C")
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if type(value) in (tuple, list):
        return type(value)(map(_plain, value))
    return value


def _same(a: Any, b: Any) -> bool:
    """Whether two results are the same, but for rounding."""
    ours, others = list(_arrays(a)), list(_arrays(b))
    if [(x.shape, x.dtype) for x in ours] != [(x.shape, x.dtype) for x in others]:
        return False
    for x, y in zip(ours, others, strict=True):
        if x.dtype.kind in "fV":
            near = 2.0**-6 if x.dtype.itemsize == 2 else 1e-4
            with np.errstate(all="ignore"):
                x, y = x.astype(np.float64), y.astype(np.float64)
                if not np.allclose(x, y, rtol=near, atol=near, equal_nan=True):
                    return False
        elif not np.array_equal(x, y):
            return False
    return True


def check_call(seed: int) -> bool:
    """Make the call of a seed and look at what it did; whether it had a result."""
    name, function, arguments = make_call(seed)
    before, plain = _bytes(arguments), {key: _plain(value) for key, value in arguments.items()}
    if function in METHODS and function is not layer_backward:  # which goes back twice
        plain["self"] = copy.deepcopy(arguments["self"])
    place = f"call {seed}: {name}"
    try:
        result = function(**arguments)
    except Exception as error:
        if isinstance(error, MemoryError) and any(2**40 in a.shape for a in _arrays(arguments)):
            return False  # statistics of so many samples would need it
        if not isinstance(error, (ValueError, TypeError)) or not str(error):
            raise AssertionError(f"{place} raised {error!r}") from error
        if _bytes(arguments) != before:
            raise AssertionError(f"{place} has written, and then raised {error!r}") from error
        return False
    _only_its_own_elements(arguments, before, place, stateful=function in METHODS)
    expected = function(**plain)
    assert _same(result, expected), f"{place}: {result} with plain arrays is {expected}"
    for key in WRITTEN if name.endswith("_forward") else ("out",):
        assert _same(arguments.get(key), plain.get(key)), f"{place}: another {key}"
    return True


def _only_its_own_elements(arguments: Arguments, before: dict[str, list[bytes]], place: str, *, stateful: bool) -> None:
    """What was written lies in arrays that may be written to."""
    written = [a for key in WRITTEN for a in _arrays(arguments.get(key))]
    for name, value in arguments.items():
        if stateful and name == "self":
            continue
        for a, old in zip(_arrays(value), before[name], strict=True):
            memory = _memory(a)
            restored, original = memory.copy(), np.frombuffer(old, np.uint8)
            for w in written:
                if np.may_share_memory(w, memory) and w.size:
                    offset = w.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
                    there: Any = (w.shape, w.dtype)
                    np.ndarray(*there, restored, offset, w.strides)[...] = np.ndarray(
                        *there, original, offset, w.strides
                    )
            assert restored.tobytes() == old, f"{place} has written to {name}"


def main(count: int, first: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        last = Path(folder, "last")
        code = f"import hostile; hostile.run({count}, {first}, {str(last)!r})"
        child = subprocess.run([sys.executable, "-X", "faulthandler", "-c", code], cwd=Path(__file__).parent)
        if child.returncode:
            print(f"exit status {child.returncode} in call {last.read_text() if last.exists() else first}")
    return child.returncode


def run(count: int, first: int, last: str) -> None:
    """Check so many calls; the file `last` has the seed of the one that is being made."""
    results = failures = 0
    warnings.simplefilter("ignore")
    with open(last, "r+b" if Path(last).exists() else "w+b", buffering=0) as file:
        for seed in range(first, first + count):
            file.seek(0)
            file.write(b"%020d" % seed)
            try:
                results += check_call(seed)
            except AssertionError as error:
                failures += 1
                print(str(error)[:2000], flush=True)
    print(f"{count} calls, {results} with a result, {count - results - failures} refused, {failures} wrong")
    sys.exit(bool(failures))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
