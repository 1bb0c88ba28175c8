"""The kernels as a library of custom operators of ONNX Runtime."""

from typing import Any

from .. import _core
from .._peers import needs


def library_path() -> str:
    """Return the path of the library of custom operators, for programs that register it themselves.

    It is fastnorm's extension module, so that a process has one pool of threads. In Python use :func:`register`.

    Returns
    -------
    str
        For ``SessionOptions.register_custom_ops_library`` and its like in other languages. A session that registers it
        overrides the standard operators; a C program that wants the domain ``fastnorm`` alone calls the library's
        function ``RegisterFastnormOps`` instead.

    See Also
    --------
    register : Register it with options of a session.

    Examples
    --------
    >>> import fastnorm.onnx
    >>> "_core" in fastnorm.onnx.library_path()
    True
    """
    return str(_core.__file__)


def register(session_options: Any, *, override: bool = True) -> None:
    """Give the sessions of ONNX Runtime that are made with these options fastnorm's kernels.

    The standard operators GroupNormalization, InstanceNormalization, LayerNormalization and RMSNormalization run on
    them, and the operators of the domain ``fastnorm``: the same four with an attribute `activation`, and
    SkipLayerNormalization and SkipSimplifiedLayerNormalization.

    Parameters
    ----------
    session_options : onnxruntime.SessionOptions
        Changed. Register once for each.
    override : bool
        False: the standard operators stay ONNX Runtime's own.

    Raises
    ------
    ImportError
        If onnxruntime is not installed.
    TypeError
        If `session_options` is something else.

    See Also
    --------
    library_path : The library that it registers.
    convert : Fuse norms with what stands around them.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> from onnx import parser
    >>> import fastnorm.onnx
    >>> model = parser.parse_model('''<ir_version: 8, opset_import: ["": 17]>
    ... layer (float[N, 4] x, float[4] scale) => (float[N, 4] y) {
    ...     y = LayerNormalization <epsilon = 0.0> (x, scale)
    ... }''')
    >>> options = onnxruntime.SessionOptions()
    >>> fastnorm.onnx.register(options)
    >>> session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    >>> x = np.array([[1, 3, 1, 3]], np.float32)
    >>> session.run(None, {"x": x, "scale": np.ones(4, np.float32)})
    [array([[-1.,  1., -1.,  1.]], dtype=float32)]
    """
    with needs("onnxruntime", extra="onnx"):
        import onnxruntime
    if not isinstance(session_options, onnxruntime.SessionOptions):
        raise TypeError(f"session_options must be an onnxruntime.SessionOptions, got {type(session_options).__name__}")
    before = _core.set_onnxruntime_override(bool(override))
    try:
        session_options.register_custom_ops_library(library_path())
    finally:
        _core.set_onnxruntime_override(before)
