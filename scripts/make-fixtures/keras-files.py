"""Files as Keras 3 and tf-keras (Keras 2) write them, with what Keras says they hold. Writes fixtures/keras.

  pip install tensorflow-cpu==2.21.0 keras==3.15.1 tf-keras==2.21.0 h5py==3.14.0
  python scripts/make-fixtures/keras-files.py

expected.json: file -> tensor -> shape and values. Names are those that a reader is to give; the numbers are the
model's own (`variable.numpy()`).
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import pathlib

import h5py
import keras
import numpy as np
import tf_keras
from keras import layers

OUT = pathlib.Path("fixtures/keras")
OUT.mkdir(parents=True, exist_ok=True)
EXPECTED = {}


def expect(file, named):
    EXPECTED[file] = {
        name: {"shape": list(v.shape), "values": np.asarray(v, dtype=np.float64).ravel().tolist()}
        for name, v in named.items()
    }


def variables(prefix, layer, names):
    assert [v.name.split("/")[-1].split(":")[0] for v in layer.weights] == names, [v.name for v in layer.weights]
    return {f"{prefix}/{name}": v.numpy() for name, v in zip(names, layer.weights)}


KERNEL_BIAS = ["kernel", "bias"]
BATCH_NORM = ["gamma", "beta", "moving_mean", "moving_variance"]


def fit(model, inputs, outputs, epochs):
    rng = np.random.default_rng(7)
    model.fit(rng.random((8, *inputs), dtype="f4"), rng.random((8, *outputs), dtype="f4"),
              epochs=epochs, batch_size=4, verbose=0)


def functional():
    """A model in a model, a layer that is used twice, names of one's own and Keras' own."""
    encoder = keras.Sequential([layers.Dense(3, name="squeeze"), layers.BatchNormalization(scale=False)], name="encoder")
    shared, last = layers.Dense(3), layers.Dense(1, use_bias=False, name="last")
    x = keras.Input((4,))
    model = keras.Model(x, last(layers.Dropout(0.1)(shared(shared(encoder(x))))), name="functional")
    model.compile(keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
    fit(model, (4,), (1,), epochs=3)
    for name in ["functional.keras", "functional.h5"]:
        model.save(OUT / name)
    model.save_weights(OUT / "functional.weights.h5")
    # Sizes are in GB.
    model.optimizer = None
    model.save_weights(OUT / "sharded.weights.json", max_shard_size=70e-9)
    squeeze, norm = encoder.layers
    own = {**variables("encoder/squeeze", squeeze, KERNEL_BIAS), **variables("last", last, ["kernel"])}
    statistics = ["beta", "moving_mean", "moving_variance"]
    named = {**own, **variables("dense", shared, KERNEL_BIAS),
             **variables("encoder/batch_normalization", norm, statistics)}
    expect("functional.keras", named)
    # Without the configuration nobody knows whether the first of three is gamma or beta.
    unsure = {("encoder/batch_normalization/vars/0" if n.endswith("/beta") else n): v for n, v in named.items()}
    expect("functional.weights.h5", unsure)
    expect("sharded.weights.json", unsure)
    expect("functional.h5", {**own, **variables(shared.name, shared, KERNEL_BIAS),
                             **variables(f"encoder/{norm.name}", norm, statistics)})


@keras.saving.register_keras_serializable(package="mine", name="Dense")
class Dense(layers.Layer):
    """A layer of one's own, named like one of Keras."""

    def build(self, shape):
        self.tilt = self.add_weight(shape=(shape[-1], 2), name="tilt")

    def call(self, x):
        return x @ self.tilt


def zoo():
    """One layer of many classes, each on inputs of its own."""
    image, series, words = keras.Input((4, 4, 2)), keras.Input((3, 2)), keras.Input((3,), dtype="int32")
    cases = [
        (layers.Conv2D(2, 3, use_bias=False, name="a"), image, ["kernel"]),
        (layers.Conv2DTranspose(2, 3, name="b"), image, KERNEL_BIAS),
        (layers.DepthwiseConv2D(3, name="c"), image, KERNEL_BIAS),
        (layers.SeparableConv2D(2, 3, name="d"), image, ["depthwise_kernel", "pointwise_kernel", "bias"]),
        (layers.BatchNormalization(name="e"), image, BATCH_NORM),
        (layers.BatchNormalization(center=False, name="f"), image, ["gamma", "moving_mean", "moving_variance"]),
        (layers.BatchNormalization(center=False, scale=False, name="g"), image, ["moving_mean", "moving_variance"]),
        (layers.LayerNormalization(scale=False, name="h"), image, ["beta"]),
        (layers.GroupNormalization(2, name="i"), image, ["gamma", "beta"]),
        (layers.RMSNormalization(name="j"), image, ["scale"]),
        (layers.PReLU(name="k"), series, ["alpha"]),
        (layers.Conv1D(2, 2, name="l"), series, KERNEL_BIAS),
        (layers.EinsumDense("abc,cd->abd", output_shape=(None, 2), bias_axes="d", name="m"), series, KERNEL_BIAS),
        (layers.Embedding(3, 2, name="n"), words, ["embeddings"]),
        (Dense(name="o"), series, ["vars/0"]),
    ]
    lstm, gru = layers.LSTM(2, name="p"), layers.Bidirectional(layers.GRU(1), name="q")
    inner = layers.TimeDistributed(layers.Dense(2, name="anything"), name="r")
    attention = layers.MultiHeadAttention(1, 2, name="s")
    outputs = [layer(x) for layer, x, _ in cases]
    outputs += [lstm(series), gru(series), inner(series), attention(series, series)]
    model = keras.Model([image, series, words], outputs)
    rng = np.random.default_rng(3)
    model.set_weights([rng.random(w.shape).astype(w.dtype) for w in model.get_weights()])
    model.save(OUT / "zoo.keras")
    recurrent = ["kernel", "recurrent_kernel", "bias"]
    named = variables("p/cell", lstm.cell, recurrent) | variables("r/layer", inner.layer, KERNEL_BIAS)
    for layer, _, names in cases:
        if names == ["vars/0"]:
            named[f"{layer.name}/vars/0"] = layer.tilt.numpy()
        else:
            named |= variables(layer.name, layer, names)
    for part in ["forward_layer", "backward_layer"]:
        named |= variables(f"q/{part}/cell", getattr(gru, part).cell, recurrent)
    for part in ["query", "key", "value", "output"]:
        named |= variables(f"s/{part}_dense", getattr(attention, f"_{part}_dense"), KERNEL_BIAS)
    expect("zoo.keras", named)


class Subclassed(keras.Model):
    """Layers in attributes and lists, a weight of the model's own, a second optimizer."""

    def __init__(self):
        super().__init__()
        self.first = layers.Conv2D(2, 3)
        self.early = layers.BatchNormalization(name="own")
        # What comes after "layers" in the alphabet is saved in that list of the model's.
        self.norm = layers.BatchNormalization(name="chosen")
        self.blocks = [layers.Dense(2), layers.Dense(2), keras.Sequential([layers.Dense(2), layers.Dropout(0.5)])]
        self.head = layers.Dense(2)
        self.flat = layers.Flatten()
        self.temperature = self.add_weight(shape=(), name="temperature")
        self.inner_loop = keras.optimizers.SGD(0.1)

    def call(self, x):
        x = self.flat(self.norm(self.early(self.first(x))))
        for block in self.blocks:
            x = block(x)
        return self.head(x) * self.temperature


def subclassed():
    model = Subclassed()
    model.compile("sgd", loss="mse")
    fit(model, (3, 3, 1), (2,), epochs=2)
    model.inner_loop.build(model.trainable_variables)
    model.save_weights(OUT / "subclassed.weights.h5")
    b = model.blocks
    named = {f"early/vars/{i}": v.numpy() for i, v in enumerate(model.early.weights)}
    named |= variables("chosen", model.norm, BATCH_NORM)
    for prefix, layer in [("first", model.first), ("blocks/dense", b[0]), ("blocks/dense_1", b[1]),
                          ("blocks/sequential/dense", b[2].layers[0]), ("head", model.head)]:
        named |= variables(prefix, layer, KERNEL_BIAS)
    expect("subclassed.weights.h5", named | {"vars/0": model.temperature.numpy()})


def dtypes():
    kinds = ["bfloat16", "float16", "float64"]
    model = keras.Sequential([keras.Input((2,)), *[layers.Dense(2, name=kind, dtype=kind) for kind in kinds]], name="dtypes")
    model.save_weights(OUT / "dtypes.weights.h5")
    model.save(OUT / "dtypes.h5")
    named = {}
    for layer in model.layers:
        named |= variables(layer.name, layer, KERNEL_BIAS)
    expect("dtypes.weights.h5", {n: np.asarray(v, dtype="f8") for n, v in named.items()})


def loss_scaled():
    """An optimizer within an optimizer, which counts the updates."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, name="only")])
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=2.0), loss="mse")
    fit(model, (2,), (1,), epochs=2)
    model.save_weights(OUT / "loss-scaled.weights.h5")
    expect("loss-scaled.weights.h5", variables("only", model.layers[0], KERNEL_BIAS))


def keras_2():
    k = tf_keras.layers
    model = tf_keras.Sequential([tf_keras.Input((3, 3, 1)), k.Conv2D(2, 3, name="conv"), k.BatchNormalization(name="bn"),
                                 k.Flatten(), k.Dropout(0.1), k.Dense(2)])
    model.compile("adam", loss="mse", metrics=["mae"])
    fit(model, (3, 3, 1), (2,), epochs=2)
    model.save(OUT / "keras-2.h5")
    model.save(OUT / "keras-2.keras")
    model.save_weights(OUT / "keras-2-weights.h5")
    model.save_weights(OUT / "keras-2.weights.h5")
    conv, norm, dense = (model.layers[i] for i in [0, 1, 4])
    named = {**variables("conv", conv, KERNEL_BIAS), **variables("bn", norm, BATCH_NORM), **variables("dense", dense, KERNEL_BIAS)}
    expect("keras-2.keras", named)
    groups = {"conv": "conv2d", "bn": "batch_normalization", "dense": "dense"}
    expect("keras-2.weights.h5", {f"{groups[n.split('/')[0]]}/{n.split('/')[1]}": v for n, v in named.items()})
    for name in ["keras-2.h5", "keras-2-weights.h5"]:
        expect(name, {f"{n}:0": v for n, v in named.items()})


def links():
    """Ways out of a file, beside one weight: a soft and an external link, a virtual dataset, external storage; and a circle."""
    (OUT / "outside.bin").write_bytes(bytes(8))
    with h5py.File(OUT / "links.weights.h5", "w") as f:
        f.create_dataset("layers/dense/vars/0", data=np.ones((2, 2), "f4"))
        f["layers/dense_1/vars/0"] = h5py.SoftLink("/layers/dense/vars/0")
        f["layers/dense_2"] = h5py.ExternalLink("functional.weights.h5", "/layers/dense")
        f["layers/dense_3"] = h5py.ExternalLink("nowhere.h5", "/layers/dense")
    with h5py.File(OUT / "circle.weights.h5", "w") as f:
        f.create_dataset("layers/dense/vars/0", data=np.ones((2, 2), "f4"))
        f["layers/circle"] = f["layers"]
    with h5py.File(OUT / "virtual.weights.h5", "w") as f:
        layout = h5py.VirtualLayout((3, 1), "f4")
        layout[:] = h5py.VirtualSource("functional.weights.h5", "layers/dense_1/vars/0", (3, 1))
        f.create_virtual_dataset("layers/dense/vars/0", layout)
    with h5py.File(OUT / "external.weights.h5", "w") as f:
        f.create_dataset("layers/dense/vars/0", (1, 2), "f4", external=[("outside.bin", 0, 8)])


if __name__ == "__main__":
    keras.utils.set_random_seed(1)
    for make in [functional, zoo, subclassed, dtypes, loss_scaled, keras_2, links]:
        make()
    (OUT / "expected.json").write_text(json.dumps(EXPECTED, indent=1) + "\n")
