"""Files of Flax in forms that a whole run does not show: every element type, averages, states within other things.

    python scripts/make-fixtures/flax-forms.py

writes fixtures/trajectory/flax/ and, as Flax reads them back, expected.json in it.
Made with Python 3.11, Flax 0.12.8 and numpy 2.4.
"""

import json
import os
import shutil

import ml_dtypes
import numpy as np
from flax import serialization

OUT = "fixtures/trajectory/flax"
expected = {}


def save(id, tree, **weights):
    """`weights` are the places of the arrays that are weights, by their names with __ for /."""
    data = serialization.msgpack_serialize(tree)
    with open(f"{OUT}/{id}.msgpack", "wb") as file:
        file.write(data)
    back = serialization.msgpack_restore(data)
    expected[id] = {}
    for name, place in weights.items():
        value = back
        for key in place:
            value = value[key]
        expected[id][name.replace("__", "/")] = np.asarray(value, np.float64).ravel().tolist()


def types():
    values = [-1.5, 0.1, 3.0]
    floats = {name: np.asarray(values, name) for name in ("float64", "float32", "float16")}
    floats["bfloat16"] = np.asarray(values, ml_dtypes.bfloat16)
    floats |= {"scalar": np.float32(2.5), "fortran": np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]),
               "empty": np.zeros((0, 3), np.float32)}
    others = {name: np.asarray([1, 2], name) for name in ("int64", "int8", "uint8", "uint64", "bool", "complex64")}
    plain = {"number": 0.5, "text": "a" * 5000, "none": None, "complex": 1 + 2j, "bytes": b"abc", "long": 2**40, "small": -5}
    pair = {"tuple": [np.float32([1.0]), np.float32([2.0])]}
    save("types", floats | others | plain | pair, **{name: (name,) for name in floats},
         tuple__0=("tuple", 0), tuple__1=("tuple", 1))


def states():
    params = {"dense": {"kernel": np.float32([[1, 2]]), "bias": np.float32([3])}}
    average = {"dense": {"kernel": np.float32([[4, 5]]), "bias": np.float32([6])}}
    state = {"step": np.int32(40), "params": params, "ema_params": average, "batch_stats": {"bn": {"mean": np.float32([7])}},
             "opt_state": {"0": {"mu": params, "count": np.int32(5)}}, "dynamic_scale": {"scale": np.float32(65536)}}
    within = {"model": state, "config": {"layers": 3}, "data": [np.float32([1, 2])]}
    for id, key in (("state", "params"), ("state.ema", "ema_params")):
        save(id, within, params__dense__kernel=("model", key, "dense", "kernel"),
             params__dense__bias=("model", key, "dense", "bias"), batch_stats__bn__mean=("model", "batch_stats", "bn", "mean"))
    os.remove(f"{OUT}/state.ema.msgpack")  # the same file
    old = {"optimizer": {"target": params, "state": {"step": np.int32(9), "param_states": params}}, "epoch": 2}
    save("optimizer", old, params__dense__kernel=("optimizer", "target", "dense", "kernel"),
         params__dense__bias=("optimizer", "target", "dense", "bias"))


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    types()
    states()
    with open(f"{OUT}/expected.json", "w") as file:
        json.dump(expected, file, indent=1)
        file.write("\n")
