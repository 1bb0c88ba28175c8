"""What numpydoc misses in the docstrings of a module."""

import importlib
import inspect
from types import FunctionType
from typing import Any

from numpydoc.validate import validate

import fastnorm

# What numpydoc would also have. A type, for arguments that are "As in" another function; an order, for these stand
# together; a second paragraph; a verb at the beginning ("Gradients of").
NOT_ASKED = {"PR04", "PR03", "ES01", "SS05"}
# Results are described as attributes, and made by functions that have the example.
OF_RESULTS = {"PR01", "EX01"}
# Methods are described and shown with their class.
OF_METHODS = {"SA01", "EX01", "RT01"}
# Subclasses of others' classes: what they take is said there.
OF_SUBCLASSES = {"PR01", "EX01"}


def missing_parts(module: str, *, subclasses: bool = False) -> list[str]:
    """Say what lacks, of functions, classes and their own methods; `subclasses` if the classes are of others."""
    missing = []
    found = importlib.import_module(module)
    for name in found.__all__:
        value = getattr(found, name)
        if not inspect.isfunction(value) and not inspect.isclass(value):
            continue
        left_out = NOT_ASKED | (_of_class(value, subclasses) if inspect.isclass(value) else set())
        missing += _errors(f"{module}.{name}", left_out)
        if inspect.isclass(value) and not issubclass(value, tuple) and not subclasses:
            own = [method for method, code in vars(value).items() if isinstance(code, FunctionType)]
            for method in own:
                if not method.startswith("_"):
                    missing += _errors(f"{module}.{name}.{method}", NOT_ASKED | OF_METHODS)
    return missing


def _of_class(value: Any, subclasses: bool) -> set[str]:
    if issubclass(value, tuple):
        return OF_RESULTS
    if subclasses:
        return OF_SUBCLASSES
    return {"PR01"} if value is fastnorm.Whitening else set()  # which is made by functions


def _errors(name: str, left_out: set[str]) -> list[str]:
    return [f"{name}: {code} {text}" for code, text in validate(name)["errors"] if code not in left_out]
