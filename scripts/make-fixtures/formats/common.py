"""What the scripts of this folder share: the recorded numbers, where files go, and the list of formats.

numpy only, so that every framework's environment can import it. Run everything from the project's root with
scripts/make-fixtures/formats.sh.
"""

import json
import os
import shutil

import numpy as np

OUT = "fixtures/formats"
STEPS = (0, 10, 20, 30)
EPOCHS = (1, 2, 3, 4)
FLOATS = (
    "conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "bn.weight", "bn.bias", "bn.running_mean",
    "bn.running_var", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias",
)
COUNTER = "bn.num_batches_tracked"
# Keras' own names and order of a layer's variables, for the tensors of a state_dict.
KERAS = {
    "conv1": {"kernel": "conv1.weight", "bias": "conv1.bias"},
    "conv2": {"kernel": "conv2.weight", "bias": "conv2.bias"},
    "bn": {"gamma": "bn.weight", "beta": "bn.bias", "moving_mean": "bn.running_mean", "moving_variance": "bn.running_var"},
    "fc1": {"kernel": "fc1.weight", "bias": "fc1.bias"},
    "fc2": {"kernel": "fc2.weight", "bias": "fc2.bias"},
}


def weights(step):
    """The recorded float32 tensors of one step, under the names of PyTorch's state_dict."""
    with np.load(f"{OUT}/weights.npz") as file:
        return {name: file[f"{name}@{step}"] for name in FLOATS}


def channels_last(array):
    """A convolution's OIHW kernel as HWIO, a linear weight [out, in] as [in, out], vectors as they are."""
    if array.ndim == 4:
        array = array.transpose(2, 3, 1, 0)
    elif array.ndim == 2:
        array = array.T
    return np.ascontiguousarray(array)


def keras_weights(step):
    """Each layer's arrays in the order of Keras' get_weights."""
    recorded = weights(step)
    return {layer: [channels_last(recorded[name]) for name in names.values()] for layer, names in KERAS.items()}


def data():
    with np.load(f"{OUT}/train.npz") as file:
        return file["x"], file["y"]


def folder(*parts):
    """A new, empty folder under fixtures/formats."""
    path = os.path.join(OUT, *parts)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def check_same(found, expected, where):
    """Stops unless the arrays are the recorded ones, bit for bit."""
    missing = set(expected) - set(found)
    assert not missing, f"{where}: no {sorted(missing)}"
    for name, array in expected.items():
        have = np.asarray(found[name])
        assert have.shape == array.shape and have.dtype == array.dtype, f"{where}: {name} is {have.dtype} {have.shape}"
        assert have.tobytes() == array.tobytes(), f"{where}: {name} has other numbers"


def check_steps(read, steps=STEPS, where=""):
    """Reads every step back by `read(step)` and compares it with the recording."""
    for step in steps:
        check_same(read(step), weights(step), f"{where} step {step}")


def check_loss(logits, step):
    """Stops unless a framework's own forward pass gives the loss of expected.json."""
    logits = np.asarray(logits, np.float64)
    _, y = data()
    loss = np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y])
    with open(f"{OUT}/expected.json") as file:
        expected = json.load(file)["loss"][STEPS.index(step)]
    assert abs(loss - expected) < 1e-5, f"step {step}: loss {loss}, not {expected}"


def register(id, path, writer, unit, steps, names, model="model.onnx", values="exact", refused=False, **more):
    """Puts one format into formats.json, in place of an entry of the same id.

    path    what is handed to retrograd, relative to fixtures/formats
    unit    what the number of a checkpoint counts: step, epoch, iteration or save
    steps   the numbers that a reader should report
    names   how conv1's kernel is called in the file
    values  'exact' (the recorded float32 numbers) or 'narrowed' (those of narrowed.json under the same id)
    """
    entry = {"id": id, "path": path, "writer": writer}
    if not refused:
        entry |= {"unit": unit, "steps": list(steps), "names": names, "model": model, "values": values}
    entry |= more
    list_under("refused" if refused else "formats", entry)


def describe(path, writer, data, lacks=(), reason=None):
    """Puts one exported network into formats.json: what it is run on, and the tensors that are not in it and why."""
    entry = {"id": path.removesuffix(".onnx"), "path": path, "writer": writer, "data": data, "lacks": list(lacks)}
    list_under("models", entry | ({"reason": reason} if reason else {}))


def list_under(key, entry):
    listing = {"models": [], "formats": [], "refused": []} | read_json("formats.json", {})
    listing[key] = sorted([other for other in listing[key] if other["id"] != entry["id"]] + [entry], key=lambda one: one["id"])
    write_json("formats.json", listing)


def refuse(id, path, writer, reason, **more):
    """Puts one format that is to be refused into formats.json."""
    register(id, path, writer, None, (), None, refused=True, reason=reason, **more)


def narrowed(id, steps):
    """Puts into narrowed.json what the library itself reads back: {step: {name: array}}, in the names of `id`."""
    listing = read_json("narrowed.json", {})
    listing[id] = {
        str(step): {
            name: {"shape": list(array.shape), "values": [float(value) for value in np.asarray(array, np.float64).ravel()]}
            for name, array in tensors.items()
        }
        for step, tensors in steps.items()
    }
    write_json("narrowed.json", dict(sorted(listing.items())))


def read_json(name, default):
    path = f"{OUT}/{name}"
    if not os.path.exists(path):
        return default
    with open(path) as file:
        return json.load(file)


def write_json(name, value):
    with open(f"{OUT}/{name}", "w") as file:
        json.dump(value, file, separators=(",", ":")) if name == "narrowed.json" else json.dump(value, file, indent=1)
        file.write("\n")
