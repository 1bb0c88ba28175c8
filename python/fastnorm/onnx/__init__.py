"""ONNX models: operators for its reference evaluator, kernels for ONNX Runtime.

Importing this needs no other package; each function tells what it needs.
"""

from typing import Any

from .._peers import needs
from ._runtime import library_path, register

__all__ = ["library_path", "reference_ops", "register"]


def reference_ops() -> list[type[Any]]:
    """Return operators for ``onnx.reference.ReferenceEvaluator(model, new_ops=...)``.

    They take the place of the evaluator's own normalizations, for every opset: BatchNormalization,
    GroupNormalization, InstanceNormalization, LayerNormalization, LpNormalization, MeanVarianceNormalization and
    RMSNormalization. Besides there are ONNX Runtime's SimplifiedLayerNormalization, and in its domain
    ``com.microsoft`` EmbedLayerNormalization, SkipLayerNormalization and SkipSimplifiedLayerNormalization; and the
    operators of the domain ``fastnorm``.

    Returns
    -------
    list of subclasses of onnx.reference.op_run.OpRun
        A new list in each call, since the evaluator adds to the one it is given.

    Raises
    ------
    ImportError
        If onnx is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from onnx import parser
    >>> from onnx.reference import ReferenceEvaluator
    >>> import fastnorm.onnx
    >>> model = parser.parse_model('''<ir_version: 8, opset_import: ["": 17]>
    ... layer (float[N, 4] x, float[4] scale) => (float[N, 4] y) {
    ...     y = LayerNormalization <epsilon = 0.0> (x, scale)
    ... }''')
    >>> session = ReferenceEvaluator(model, new_ops=fastnorm.onnx.reference_ops())
    >>> x = np.array([[1, 3, 1, 3]], np.float32)
    >>> session.run(None, {"x": x, "scale": np.ones(4, np.float32)})
    [array([[-1.,  1., -1.,  1.]], dtype=float32)]
    """
    with needs("onnx", extra="onnx"):
        from . import _reference
    return list(_reference.OPERATORS)
