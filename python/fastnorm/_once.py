"""A property that is worked out once."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

Value = TypeVar("Value")


class once(Generic[Value]):
    """Like `functools.cached_property`, without the lock that it has before Python 3.12.

    A fork while another thread holds that lock leaves it taken in the child for ever. Two threads that ask at the same
    time may both work it out here, to the same value.
    """

    def __init__(self, function: Callable[[Any], Value]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "once[Value]": ...

    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...

    def __get__(self, instance: object | None, owner: type) -> "Value | once[Value]":
        if instance is None:
            return self
        value = self._function(instance)
        # A value that another thread was faster with stays.
        found: Value = instance.__dict__.setdefault(self._name, value)
        return found
