"""Checkpoints by Keras 3 on TensorFlow, and the network as Keras exports it to ONNX.

  keras.onnx       model.export(format="onnx") (tf2onnx) with the weights of step 30: names and layouts of its own; batch
                   normalization is folded into a factor and an addend
  train-nhwc.npz   train.npz with the channels last, as keras.onnx takes it
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import glob

import keras
import numpy as np

from common import EPOCHS, OUT, STEPS, check_loss, check_same, describe, folder, register
from keras_onnx import check_logits
from keras_network import build, channels_last_data, compiled, expected, fit, put, recorded

WRITER = f"keras {keras.__version__}"


def checkpoint_files(id, template, weights_only, optimizer):
    path = folder(id)
    model = compiled(keras, optimizer)
    fit(keras, model, [keras.callbacks.ModelCheckpoint(f"{path}/{template}", save_weights_only=weights_only)])
    files = sorted(os.listdir(path))
    assert len(files) == len(EPOCHS), files
    for step, name in zip(STEPS, files):
        if weights_only:
            back = build(keras)
            back.compile(optimizer=type(optimizer)())
            back.load_weights(f"{path}/{name}")
        else:
            back = keras.models.load_model(f"{path}/{name}", compile=False)
        check_same(recorded(back), expected(step), f"{path}/{name}")


def sharded():
    path = folder("keras-sharded")
    model = build(keras)
    for epoch, step in zip(EPOCHS, STEPS):
        # Sizes are in GB.
        put(model, step).save_weights(f"{path}/{epoch:02d}.weights.json", max_shard_size=700e-9)
        back = build(keras)
        back.load_weights(f"{path}/{epoch:02d}.weights.json")
        check_same(recorded(back), expected(step), path)
    assert len(glob.glob(f"{path}/01*.h5")) > 1, os.listdir(path)
    register("keras-sharded", "keras-sharded", WRITER, "epoch", EPOCHS, "see 01.weights.json", model="tf-keras-unfused.onnx")


def nested():
    """The same layers in a model within a model, which makes the paths longer."""
    path = folder("keras-nested")
    for epoch, step in zip(EPOCHS, STEPS):
        inner = put(build(keras), step)
        inputs = keras.Input((6, 6, 1))
        outer = keras.Model(inputs, inner(inputs), name="outer")
        outer.save_weights(f"{path}/epoch-{epoch}.weights.h5")
    register("keras-nested", "keras-nested", WRITER, "epoch", EPOCHS, "layers/sequential/layers/conv2d/vars/0", model="tf-keras-unfused.onnx")


def export():
    x, y = channels_last_data()
    np.savez(f"{OUT}/train-nhwc.npz", x=x, y=y)
    model = put(build(keras), STEPS[-1])
    logits = model(x).numpy()
    check_loss(logits, STEPS[-1])
    model.export(f"{OUT}/keras.onnx", format="onnx", verbose=False)
    check_logits("keras.onnx", x, logits)
    describe("keras.onnx", f"{WRITER} on TensorFlow with tf2onnx 1.17.0", "train-nhwc.npz", [f"bn.{name}" for name in (
        "weight", "bias", "running_mean", "running_var")], "batch normalization folded into a factor and an addend")


if __name__ == "__main__":
    keras.utils.set_random_seed(1)
    checkpoint_files("keras-weights-h5", "{epoch:02d}-{val_loss:.2f}.weights.h5", True, keras.optimizers.SGD(0.01))
    register("keras-weights-h5", "keras-weights-h5", WRITER, "step", EPOCHS, "layers/conv2d/vars/0", model="tf-keras-unfused.onnx")
    checkpoint_files("keras", "{epoch:02d}-{val_loss:.2f}.keras", False, keras.optimizers.Adam(0.01))
    register("keras", "keras", WRITER, "step", EPOCHS, "layers/conv2d/vars/0", model="tf-keras-unfused.onnx")
    checkpoint_files("keras-legacy-h5", "model-{epoch:02d}.h5", False, keras.optimizers.SGD(0.01))
    register("keras-legacy-h5", "keras-legacy-h5", WRITER, "step", EPOCHS, "model_weights/conv1/network/conv1/kernel",
             model="tf-keras-unfused.onnx")
    sharded()
    nested()
    export()
