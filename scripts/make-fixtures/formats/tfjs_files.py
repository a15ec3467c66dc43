"""TensorFlow.js: the converter's layouts (shards, groups, quantised weights), and checks of what tfjs.mjs wrote."""

import json
import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflowjs
from tensorflowjs.read_weights import read_weights

from common import EPOCHS, KERAS, OUT, STEPS, channels_last, check_same, folder, narrowed, register, weights

CONVERTER = f"tensorflowjs_converter {tensorflowjs.__version__}"
VARIABLES = {f"{layer}/{key}": name for layer, names in KERAS.items() for key, name in names.items()}


def expected(step):
    return {name: channels_last(weights(step)[source]) for name, source in VARIABLES.items()}


def read(path):
    """The weights that a model.json names, as the converter's own reader gives them."""
    with open(path) as file:
        manifest = json.load(file)["weightsManifest"]
    groups = read_weights(manifest, os.path.dirname(path))
    return {entry["name"]: entry["data"] for group in groups for entry in group}, manifest


def from_node():
    for id, file in (("tfjs-node", "step-{}/model.json"), ("tfjs-browser", "step-{}/model.json"), ("tfjs-downloads", "step-{}.json")):
        for step in STEPS:
            tensors, manifest = read(f"{OUT}/{id}/{file.format(step)}")
            check_same(tensors, expected(step), f"{id} {step}")
            if step == STEPS[0]:
                print(id, manifest[0]["paths"], *[(one["name"], one.get("group")) for one in manifest[0]["weights"]])
        register(id, id, "@tensorflow/tfjs 4.22.0", "step", STEPS, "conv1/kernel", model="tf-keras-unfused.onnx")


def converted(id, *options, quantized=False):
    path = folder(id)
    back = {}
    converter = os.path.join(os.path.dirname(sys.executable), "tensorflowjs_converter")
    for epoch, step in zip(EPOCHS, STEPS):
        target = f"{path}/step-{step}"
        subprocess.run([converter, "--input_format=keras", *options, f"{OUT}/tf-keras-h5/model.{epoch:02d}.h5", target],
                       check=True, stderr=subprocess.DEVNULL)
        tensors, manifest = read(f"{target}/model.json")
        if quantized:
            back[step] = {name: tensors[name] for name in VARIABLES}
            assert all(tensor.dtype == np.float32 for tensor in back[step].values())
        else:
            check_same(tensors, expected(step), target)
    print(id, [one["paths"] for one in manifest], manifest[0]["weights"][0])
    values = {}
    if quantized:
        narrowed(id, back)
        values = {"values": "narrowed"}
    register(id, id, CONVERTER, "step", STEPS, "conv1/kernel", model="tf-keras-unfused.onnx", **values)


if __name__ == "__main__":
    from_node()
    converted("tfjs-converter")
    converted("tfjs-shards", "--weight_shard_size_bytes=400")
    converted("tfjs-groups", "--split_weights_by_layer")
    for kind in ("uint8", "uint16", "float16"):
        converted(f"tfjs-{kind}", f"--quantize_{kind}=*", quantized=True)
