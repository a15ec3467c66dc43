"""Checkpoints by Flax (linen): msgpack files, and Orbax folders to be refused."""

import contextlib
import os
import shutil
import tempfile

import flax
import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint
from flax import serialization
from flax.training import checkpoints, train_state

from common import FLOATS, STEPS, channels_last, check_loss, check_same, data, folder, narrowed, refuse, register, weights

WRITER = f"flax {flax.__version__}"
# {the name in a state_dict: (collection, layer, key)}
NAMES = {name: ("params", *name.replace(".weight", ".kernel").split(".")) for name in FLOATS}
NAMES |= {
    "bn.weight": ("params", "bn", "scale"), "bn.running_mean": ("batch_stats", "bn", "mean"),
    "bn.running_var": ("batch_stats", "bn", "var"),
}


class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(3, (3, 3), padding="VALID", name="conv1")(x))
        x = nn.Conv(4, (3, 3), padding=1, name="conv2")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=True, epsilon=1e-5, name="bn")(x))
        x = x.mean(axis=(1, 2))
        x = nn.relu(nn.Dense(4, name="fc1")(x))
        return nn.Dense(3, name="fc2")(x)


class TrainState(train_state.TrainState):
    batch_stats: dict


def variables(step, dtype=np.float32):
    tree = {"params": {}, "batch_stats": {}}
    for name, array in weights(step).items():
        collection, layer, key = NAMES[name]
        tree[collection].setdefault(layer, {})[key] = jnp.asarray(channels_last(array), dtype)
    return tree


def flat(tree):
    return {"/".join(place): np.asarray(tree[place[0]][place[1]][place[2]]) for place in NAMES.values()}


def state(step):
    tree = variables(step)
    network = Network()
    x = data()[0].transpose(0, 2, 3, 1)
    check_loss(network.apply(tree, x), step)
    # The optimizer keeps a trace of every parameter, of its shape.
    made = TrainState.create(apply_fn=network.apply, params=tree["params"], tx=optax.sgd(0.1, momentum=0.5),
                             batch_stats=tree["batch_stats"])
    return made.replace(step=step)


def expected(step):
    return {"/".join(place): channels_last(weights(step)[name]) for name, place in NAMES.items()}


def check_file(path, step):
    with open(path, "rb") as file:
        check_same(flat(serialization.msgpack_restore(file.read())), expected(step), path)


def train_states():
    path = folder("flax-checkpoint")
    # Flax has called Orbax from here since 0.7 unless told not to; before that, the files were msgpack.
    flax.config.update("flax_use_orbax_checkpointing", False)
    for step in STEPS:
        checkpoints.save_checkpoint(os.path.abspath(path), state(step), step, keep=len(STEPS))
        check_file(f"{path}/checkpoint_{step}", step)
    register("flax-checkpoint", "flax-checkpoint", WRITER, "step", STEPS, "params/conv1/kernel", model="tf-keras-unfused.onnx")


@contextlib.contextmanager
def neutral(path):
    """A folder to save in that is moved to `path`: Orbax writes where it saves into commit_success.txt."""
    with tempfile.TemporaryDirectory() as scratch:
        run = f"{scratch}/run"
        os.mkdir(run)
        yield run
        for parent, _, names in os.walk(run):
            if "commit_success.txt" in names:
                with open(f"{parent}/commit_success.txt", "r+") as file:
                    text = file.read().replace(scratch, "")
                    file.seek(0)
                    file.truncate()
                    file.write(text)
        shutil.copytree(run, path, dirs_exist_ok=True)


def orbax_train_state():
    path = folder("refused", "flax-orbax")
    flax.config.update("flax_use_orbax_checkpointing", True)
    with neutral(path) as run:
        checkpoints.save_checkpoint(run, state(10), 10)
    refuse("flax-orbax", "refused/flax-orbax", f"{WRITER}, flax.training.checkpoints",
           "Orbax (OCDBT) under the name that Flax's own files had: checkpoint_10 is a folder")


def bytes_files():
    path = folder("flax-msgpack")
    for step in STEPS:
        with open(f"{path}/step_{step}.msgpack", "wb") as file:
            file.write(serialization.to_bytes(variables(step)))
        check_file(f"{path}/step_{step}.msgpack", step)
    register("flax-msgpack", "flax-msgpack", WRITER, "step", STEPS, "params/conv1/kernel", model="tf-keras-unfused.onnx")

    path = folder("flax-hf")
    for step in STEPS:
        os.mkdir(f"{path}/checkpoint-{step}")
        with open(f"{path}/checkpoint-{step}/flax_model.msgpack", "wb") as file:
            file.write(serialization.to_bytes(variables(step)))
        check_file(f"{path}/checkpoint-{step}/flax_model.msgpack", step)
    register("flax-hf", "flax-hf", f"{WRITER}, named as transformers 4 did", "step", STEPS, "params/conv1/kernel",
             model="tf-keras-unfused.onnx")

    # Arrays of more than a GiB are cut into pieces; here, those of more than 60 bytes.
    path = folder("flax-chunked")
    limit, serialization.MAX_CHUNK_SIZE = serialization.MAX_CHUNK_SIZE, 60
    for step in STEPS:
        with open(f"{path}/step_{step}.msgpack", "wb") as file:
            file.write(serialization.to_bytes(variables(step)))
        check_file(f"{path}/step_{step}.msgpack", step)
    serialization.MAX_CHUNK_SIZE = limit
    register("flax-chunked", "flax-chunked", WRITER, "step", STEPS, "params/conv1/kernel", model="tf-keras-unfused.onnx")

    path = folder("flax-bf16")
    read = {}
    for step in STEPS:
        with open(f"{path}/step_{step}.msgpack", "wb") as file:
            file.write(serialization.to_bytes(variables(step, jnp.bfloat16)))
        with open(f"{path}/step_{step}.msgpack", "rb") as file:
            read[step] = {name: array.astype(np.float64) for name, array in
                          flat(serialization.msgpack_restore(file.read())).items()}
    narrowed("flax-bf16", read)
    register("flax-bf16", "flax-bf16", WRITER, "step", STEPS, "params/conv1/kernel", model="tf-keras-unfused.onnx",
             values="narrowed")


def orbax_folders():
    path = folder("refused", "orbax")
    options = orbax.checkpoint.CheckpointManagerOptions(max_to_keep=None, enable_async_checkpointing=False)
    with neutral(path) as run, orbax.checkpoint.CheckpointManager(run, options=options) as manager:
        manager.save(10, args=orbax.checkpoint.args.StandardSave(variables(10)))
        manager.wait_until_finished()
    writer = f"orbax-checkpoint {orbax.checkpoint.__version__}"
    refuse("orbax", "refused/orbax", writer, "Orbax (OCDBT) is a database of its own")
    unfinished = folder("refused", "orbax-unfinished")
    shutil.copytree(f"{path}/10", f"{unfinished}/10.orbax-checkpoint-tmp-1700000000000000")
    for name in os.listdir(f"{unfinished}/10.orbax-checkpoint-tmp-1700000000000000"):
        if name.startswith("_CHECKPOINT_METADATA"):
            os.remove(f"{unfinished}/10.orbax-checkpoint-tmp-1700000000000000/{name}")
    refuse("orbax-unfinished", "refused/orbax-unfinished", f"{writer}, renamed to what a save in progress is called",
           "a save that was never finished")


if __name__ == "__main__":
    train_states()
    orbax_train_state()
    bytes_files()
    orbax_folders()
