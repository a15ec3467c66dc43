"""Holds a file of `retrograd gradient` against PyTorch, away from retrograd: python scripts/check-gradient.py GRAD NPZ

GRAD must pass onnx.checker (full_check: strict shape inference too). NPZ holds a batch x, y, the weights param/NAME, and
PyTorch's loss and grad/NAME in float64; ONNX's own reference implementation in Python runs GRAD on it. Needs onnx, numpy.
Of onnx 1.23 that implementation gives wrong Indices for MaxPool with padding and has no Scan that runs backwards: networks
with those pass the checker here and are compared in ONNX Runtime only (test/cli/gradient.test.ts, reference.test.ts).
"""
import sys

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

LOSS, GRADIENT = 1e-5, 1e-4  # float32 against float64; gradients relative to a tensor's largest entry

path, data = sys.argv[1], np.load(sys.argv[2])
model = onnx.load(path)
onnx.checker.check_model(model, full_check=True)
facts = {p.key: p.value for p in model.metadata_props}
print(f"{path}: valid, {model.producer_name} {model.producer_version}, {facts}")

names = [value.name for value in model.graph.input]
kinds = {v.name: onnx.helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type) for v in model.graph.input}
weights = {name: data[f"param/{name}"] for name in names if f"param/{name}" in data}
[network] = [name for name in names if name not in weights and name != "target"]
feeds = {**weights, network: data["x"], "target": data["y"]}
outputs = [value.name for value in model.graph.output]
results = dict(zip(outputs, ReferenceEvaluator(model).run(None, {k: v.astype(kinds[k]) for k, v in feeds.items()})))

assert results["loss"].shape == () and abs(results["loss"] - data["loss"]) <= LOSS, (results["loss"], data["loss"])
assert results["losses"].shape == (len(data["y"]),) and abs(results["losses"].mean() - data["loss"]) <= LOSS
# a gradient that is 0 (a bias before InstanceNorm) is rounding: entries count from a share of the network's largest
smallest = 1e-3 * max(np.abs(data[key]).max() for key in data if key.startswith("grad/"))
compared = 0
for name in weights:
    if f"grad/{name}" not in data:  # a running statistic, which PyTorch does not differentiate by
        continue
    expected, got = data[f"grad/{name}"], results[f"gradient/{name}"]
    assert got.shape == expected.shape, (name, got.shape, expected.shape)
    worst = np.abs(got - expected).max() / max(np.abs(expected).max(), smallest)
    assert worst <= GRADIENT, (name, worst)
    compared += 1
assert compared == sum(key.startswith("grad/") for key in data), "a gradient is missing"
print(f"  loss {float(results['loss']):.6f} and {compared} gradients are PyTorch's")
