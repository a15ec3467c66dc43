"""Writes fixtures/onnx-node-tests/: ONNX's own backend tests of single operators, with inputs and expected outputs.

cases.json.gz  one entry per case: its model and its arrays as places in cases.bin.gz, and those that were left out
cases.bin.gz   the bytes of models and arrays, equal ones once (an expanded variant shares the arrays of its operator)
Needs onnx. Run from the project's root: python scripts/make-fixtures/node-tests.py
"""
import gzip
import json
import os
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

LARGEST = 64 * 1024
FOLDER = "fixtures/onnx-node-tests"

warnings.simplefilter("ignore")
content, places = bytearray(), {}


def place(data):
    """[offset, length] of bytes in cases.bin."""
    if data not in places:
        places[data] = [len(content), len(data)]
        content.extend(data)
    return places[data]


def tensor_of(value):
    return value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(np.asarray(value))


def described(value):
    """A tensor as element type, shape and place; strings as they are; a list for a sequence, None for no value."""
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return [described(one) for one in value]
    tensor = tensor_of(value)
    entry = {"type": tensor.data_type, "shape": list(tensor.dims)}
    if tensor.data_type == onnx.TensorProto.STRING:
        return {**entry, "strings": [text.decode("utf-8") for text in tensor.string_data]}
    return {**entry, "at": place(raw(tensor))}


def raw(tensor):
    """The elements as little-endian bytes, those of four bits packed by two."""
    if tensor.HasField("raw_data"):
        return tensor.raw_data
    array = numpy_helper.to_array(tensor)
    return numpy_helper.from_array(array).raw_data


def size(value):
    if value is None:
        return 0
    if isinstance(value, (list, tuple)):
        return sum(size(one) for one in value)
    return tensor_of(value).ByteSize()


cases, left_out = [], []
for case in sorted(collect_testcases(None), key=lambda case: case.name):
    (inputs, outputs), = case.data_sets
    model = case.model.SerializeToString(deterministic=True)
    total = len(model) + size(list(inputs)) + size(list(outputs))
    if total > LARGEST:
        left_out.append({"name": case.name, "bytes": total})
        continue
    cases.append({
        "name": case.name.removeprefix("test_"), "rtol": case.rtol, "atol": case.atol, "model": place(model),
        "inputs": [described(value) for value in inputs], "outputs": [described(value) for value in outputs],
    })

os.makedirs(FOLDER, exist_ok=True)
index = {"onnx": onnx.__version__, "leftOut": left_out, "cases": cases}
for name, data in {"cases.json.gz": json.dumps(index, separators=(",", ":")).encode(), "cases.bin.gz": bytes(content)}.items():
    with open(f"{FOLDER}/{name}", "wb") as file:
        file.write(gzip.compress(data, 9, mtime=0))
print(f"{len(cases)} cases, {len(left_out)} left out, {len(content)} bytes of models and arrays")
