"""The floating-point environment of the calling thread, by way of the C library."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

_MACHINE = platform.machine()

# Where fenv_t has the control bits, which of them flush subnormal numbers to zero, which round down.
_LAYOUT = {"x86_64": (28, 0x8040, 0x2000), "aarch64": (0, 1 << 24, 2 << 22)}

available = platform.libc_ver()[0] == "glibc" and _MACHINE in _LAYOUT

MODES = ("flush-to-zero", "downward")


@contextmanager
def float_mode(mode: str) -> Iterator[None]:
    """Subnormal numbers are zero, or results are rounded down, until the end of the block."""
    libm = ctypes.CDLL("libm.so.6")
    at, flush, down = _LAYOUT[_MACHINE]
    before = ctypes.create_string_buffer(32)
    libm.fegetenv(before)
    changed = ctypes.create_string_buffer(before.raw, 32)
    control = ctypes.c_uint32.from_buffer(changed, at)
    control.value |= flush if mode == "flush-to-zero" else down
    libm.fesetenv(changed)
    try:
        yield
    finally:
        libm.fesetenv(before)
