"""Threads, SIMD targets and the report about them.

The process has one number of threads and one SIMD target. Neither changes any result: every output is bitwise the same
for every number of threads.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Final

import numpy as np

from . import _core
from . import _validate as check

# What `threads` has set in this context; 0: nothing. A context variable, so that Python threads and asyncio tasks
# have their own, and a task that awaits inside the block does not hand its number to the others.
_override: Final[ContextVar[int]] = _core.num_threads_override

_ENVIRONMENT: Final = (
    "FASTNORM_NUM_THREADS",
    "FASTNORM_SIMD_TARGET",
    "FASTNORM_POOL_MB",
    "FASTNORM_STREAM_MB",
    "OMP_NUM_THREADS",
)


def warn_of_environment() -> None:
    """Warn, in the name of the program that imports the package, of settings that could not be understood."""
    settings: dict[str, tuple[str, Callable[[], int | str]]] = {
        "FASTNORM_NUM_THREADS": ("a number from 1 to 1024", _core.default_num_threads),
        "FASTNORM_SIMD_TARGET": (f"one of {', '.join(_core.simd_targets())}", _core.simd_target),
        "FASTNORM_POOL_MB": ("a number from 0 to 1048576", lambda: _core.pool_limit() >> 20),
        "FASTNORM_STREAM_MB": ("a number from 0 to 1048576", lambda: _core.caches()["stream"] >> 20),
    }
    for name, (expected, in_use) in settings.items():
        text = os.environ.get(name, "").strip()
        given = (text.lstrip("0") or "0") if text.isdecimal() else text
        if given and given.lower() != str(in_use()).lower():
            warnings.warn(f"{name} must be {expected}, got {text!r}: {in_use()} is used", RuntimeWarning, stacklevel=3)


def get_num_threads() -> int:
    """Return how many threads a call from here may use.

    Returns
    -------
    int
        The number of :func:`threads` in such a block, else that of the process.

    See Also
    --------
    set_num_threads : For the process.
    threads : For a block of code.

    Examples
    --------
    >>> import fastnorm as fn
    >>> with fn.threads(3):
    ...     fn.get_num_threads()
    3
    """
    return _override.get() or _core.get_num_threads()


def set_num_threads(n: int) -> None:
    """Set how many threads a call may use, for the whole process.

    At the start it is ``FASTNORM_NUM_THREADS``, or else the least of the processors that the process may run on, its
    cgroup's quota, and ``OMP_NUM_THREADS``. Small arrays are done by the calling thread alone.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    Raises
    ------
    TypeError, ValueError
        If `n` is not such an integer.

    See Also
    --------
    get_num_threads : What it is.
    threads : For a block of code.

    Examples
    --------
    >>> import fastnorm as fn
    >>> before = fn.get_num_threads()
    >>> fn.set_num_threads(1)
    >>> fn.get_num_threads()
    1
    >>> fn.set_num_threads(before)
    """
    _core.set_num_threads(check.num_threads(n))


def threads(n: int) -> AbstractContextManager[None]:
    """Let the calls inside a ``with`` block use `n` threads.

    It holds in this context alone, as :mod:`contextvars` has it: blocks nest, an exception ends one as well, other
    Python threads and asyncio tasks go on with their own number. Inside, :func:`set_num_threads` has no effect.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    Returns
    -------
    context manager
        To be entered once.

    See Also
    --------
    set_num_threads : For the process.
    get_num_threads : What it is.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> with fn.threads(1):
    ...     fn.layer_norm(np.array([[1.0, 3.0]]), eps=0.0)
    array([[-1.,  1.]])
    """
    return _threads(check.num_threads(n))


@contextmanager
def _threads(n: int) -> Iterator[None]:
    token = _override.set(n)
    try:
        yield
    finally:
        _override.reset(token)


def run(kernel: Callable[..., None], *arguments: object) -> None:
    """Call an entry of the core with the number of threads of this context."""
    n = _override.get()
    if not n:
        kernel(*arguments)
        return
    previous = _core.set_local_num_threads(n)
    try:
        kernel(*arguments)
    finally:
        _core.set_local_num_threads(previous)


def simd_targets() -> list[str]:
    """Return the names of the SIMD targets that are compiled in and run on this machine, best first.

    Returns
    -------
    list of str
        Names that :func:`set_simd_target` takes.

    See Also
    --------
    simd_target : The one in use.
    set_simd_target : Choose one.

    Examples
    --------
    >>> import fastnorm as fn
    >>> fn.simd_target() in fn.simd_targets()
    True
    """
    return _core.simd_targets()


def simd_target() -> str:
    """Return the name of the SIMD target in use.

    Returns
    -------
    str
        One of :func:`simd_targets`.

    See Also
    --------
    simd_targets : All that run here.
    set_simd_target : Choose one.

    Examples
    --------
    >>> import fastnorm as fn
    >>> fn.simd_target() in fn.simd_targets()
    True
    """
    return _core.simd_target()


def set_simd_target(name: str) -> None:
    """Choose the SIMD target for the whole process; at the start it is ``FASTNORM_SIMD_TARGET`` or the best.

    Parameters
    ----------
    name : str
        One of :func:`simd_targets`, in upper or lower case.

    Raises
    ------
    TypeError, ValueError
        If `name` is not one of them.

    See Also
    --------
    simd_targets : All that run here.
    simd_target : The one in use.

    Examples
    --------
    >>> import fastnorm as fn
    >>> fn.set_simd_target(fn.simd_targets()[0])
    """
    targets = _core.simd_targets()
    same = [target for target in targets if target.lower() == str(name).lower()]
    _core.set_simd_target(check.choice("name", same[0] if same else name, targets))


def get_pool_limit() -> int:
    """Return how many megabytes of dead results are kept at most, see :func:`set_pool_limit`.

    Returns
    -------
    int
        Megabytes.

    See Also
    --------
    set_pool_limit : Set it, and what it is.

    Examples
    --------
    >>> import fastnorm as fn
    >>> fn.get_pool_limit() >= 0
    True
    """
    return _core.pool_limit() >> 20


def set_pool_limit(megabytes: int) -> None:
    """Set how much memory of results that are no longer used is kept for the next ones.

    Filling fresh memory takes longer than normalizing, so results of 1 MB and more take over the memory of earlier
    ones. At the start the limit is ``FASTNORM_POOL_MB``, or else 256; the memory above it goes back to the system at
    once. Arrays from the pool do not own their memory (``y.flags.owndata`` is False, ``y.resize`` raises
    ValueError, `tracemalloc` does not count it), but nothing else has it as long as they or views of them are alive.

    Parameters
    ----------
    megabytes : int
        The limit for the whole process, from 0, which keeps nothing, to 1048576.

    Raises
    ------
    TypeError, ValueError
        If `megabytes` is something else.

    See Also
    --------
    get_pool_limit : What it is.

    Examples
    --------
    >>> import fastnorm as fn
    >>> fn.set_pool_limit(256)
    >>> fn.get_pool_limit()
    256
    """
    _core.set_pool_limit(check.megabytes(megabytes) << 20)


def show_config(mode: str = "stdout") -> dict[str, dict[str, Any]] | None:
    """Print what the library was built with and how it runs here.

    Parameters
    ----------
    mode : {'stdout', 'dicts'}, optional
        ``'dicts'`` returns the report in place of printing it.

    Returns
    -------
    dict or None
        Sections by name, each a dictionary.

    Raises
    ------
    TypeError, ValueError
        If `mode` is something else.

    See Also
    --------
    get_num_threads : How many threads a call may use.
    simd_target : The SIMD target in use.

    Examples
    --------
    >>> import fastnorm as fn
    >>> sorted(fn.show_config(mode="dicts"))
    ['build', 'caches', 'environment', 'memory', 'simd', 'threads', 'versions']
    """
    check.choice("mode", mode, ("stdout", "dicts"))
    report = _report()
    if mode == "dicts":
        return report
    width = max(len(key) for section in report.values() for key in section)
    for title, section in report.items():
        print(f"{title}:")
        for key, value in section.items():
            print(f"  {key:<{width}}  {', '.join(value) if isinstance(value, list) else value}")
    return None


def _report() -> dict[str, dict[str, Any]]:
    import platform  # not at the top: only this report needs it

    from . import __version__

    versions = {"fastnorm": __version__, "numpy": np.__version__, "python": platform.python_version()}
    return {
        "versions": {**versions, "platform": f"{sys.platform} {platform.machine()}"},
        "simd": {"target": simd_target(), "targets": simd_targets()},
        "threads": {"in use": get_num_threads(), "default": _core.default_num_threads(), "processors": os.cpu_count()},
        "caches": _caches(),
        "memory": {"limit of the pool": f"{get_pool_limit()} MB", "kept in it": f"{_core.pool_held() >> 20} MB"},
        "environment": {name: os.environ.get(name, "not set") for name in _ENVIRONMENT},
        "build": dict(_core.build_info()),
    }


def _caches() -> dict[str, str]:
    """Sizes that the limits follow from, and the size of outputs from which on they are written past the caches."""

    def text(size: int) -> str:
        return f"{size / 2**20:g} MB" if size else "not known"

    sizes = _core.caches()
    return {
        "second level": text(sizes["l2"]),
        "third level": text(sizes["l3"]),
        "written past from": text(sizes["stream"]),
    }
