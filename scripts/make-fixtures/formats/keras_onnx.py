"""tf2onnx with one of its passes left out, and a check of what it wrote."""

import contextlib

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from common import OUT

# tf2onnx 1.17 still asks for names that numpy 2 dropped.
for name, kind in (("object", object), ("bool", np.bool_)):
    if name not in np.__dict__:
        setattr(np, name, kind)


@contextlib.contextmanager
def without(name):
    """Runs its body with tf2onnx's pass `name` taken out."""
    from tf2onnx import optimizer

    passes = optimizer._optimizers
    kept = dict(passes)
    del passes[name]
    yield
    passes.clear()
    passes.update(kept)


def check_logits(file, x, logits):
    model = onnx.load(f"{OUT}/{file}")
    have = ReferenceEvaluator(model).run(None, {model.graph.input[0].name: x})[0]
    assert np.abs(have - logits).max() < 1e-5, file
    print(file, {tensor.name: list(tensor.dims) for tensor in model.graph.initializer})
