"""Writes fixtures/onnx/: models as the onnx package writes them.

dtypes.onnx              one tensor of every element type, as raw bytes and in the typed field of TensorProto
external.onnx, .weights  a network whose weights are kept beside it, each at its own offset
Needs onnx. Run from the project's root: python scripts/make-fixtures/onnx-models.py
"""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

os.makedirs("fixtures/onnx", exist_ok=True)
VALUES = {"float": [-2, 0.5, 1, 3], "int": [-2, 0, 1, 3], "uint": [2, 0, 1, 3], "bool": [1, 0, 1, 1]}
KINDS = {
    "FLOAT": "float", "DOUBLE": "float", "FLOAT16": "float", "BFLOAT16": "float", "INT64": "int", "INT32": "int",
    "INT16": "int", "INT8": "int", "UINT64": "uint", "UINT32": "uint", "UINT16": "uint", "UINT8": "uint", "BOOL": "bool",
}


def model(nodes, inputs, outputs, initializers):
    graph = helper.make_graph(nodes, "fixture", inputs, outputs, initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


tensors = []
for name, kind in KINDS.items():
    typed = helper.make_tensor(f"{name}/typed", getattr(TensorProto, name), [2, 2], VALUES[kind])
    raw = helper.make_tensor(f"{name}/raw", getattr(TensorProto, name), [2, 2], numpy_helper.to_array(typed).tobytes(), raw=True)
    tensors += [typed, raw]
identity = helper.make_node("Identity", ["x"], ["y"])
onnx.save(model([identity], [value("x", ["batch"])], [value("y", ["batch"])], tensors), "fixtures/onnx/dtypes.onnx")

rng = np.random.default_rng(3)
weights = {"w": rng.normal(size=(3, 2)).astype(np.float32), "b": np.array([0.25, -1.5], np.float32)}
gemm = helper.make_node("Gemm", ["x", "w", "b"], ["y"])
external = model([gemm], [value("x", ["batch", 3])], [value("y", ["batch", 2])],
                 [numpy_helper.from_array(array, name) for name, array in weights.items()])
if os.path.exists("fixtures/onnx/external.weights"):
    os.remove("fixtures/onnx/external.weights")
onnx.save(external, "fixtures/onnx/external.onnx", save_as_external_data=True, location="external.weights", size_threshold=0)
print({name: array.flatten().tolist() for name, array in weights.items()})
