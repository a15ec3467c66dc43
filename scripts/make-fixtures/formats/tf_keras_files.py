"""Checkpoints by tf-keras (Keras 2): the HDF5 files, SavedModel and TensorFlow checkpoints of the years before Keras 3.

  tf-keras.onnx          tf2onnx's export of step 30: batch normalization is folded into the convolution
  tf-keras-unfused.onnx  the same without that pass of tf2onnx
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_USE_LEGACY_KERAS"] = "1"

import tensorflow
import tf_keras

from common import EPOCHS, OUT, STEPS, check_loss, check_same, describe, folder, register
from keras_network import build, channels_last_data, compiled, expected, fit, put, recorded
from keras_onnx import check_logits, without

WRITER = f"tf-keras {tf_keras.__version__}"


def checkpoint_files(id, template, weights_only, momentum=0.5, **more):
    path = folder(id)
    model = compiled(tf_keras, tf_keras.optimizers.legacy.SGD(0.01, momentum=momentum))
    fit(tf_keras, model, [tf_keras.callbacks.ModelCheckpoint(f"{path}/{template}", save_weights_only=weights_only)])
    for epoch, step in zip(EPOCHS, STEPS):
        file = f"{path}/{template.format(epoch=epoch)}"
        if weights_only:
            back = build(tf_keras)
            status = back.load_weights(file)
            if status is not None:
                status.expect_partial()
        else:
            back = tf_keras.models.load_model(file, compile=False)
        check_same(recorded(back), expected(step), file)
    # only whole models keep the optimizer's count of iterations, one an epoch here
    register(id, id, WRITER, "epoch" if weights_only else "step", EPOCHS, model="tf-keras-unfused.onnx", **more)


def saved_model():
    """Without traces of its functions, which would be forty times as large as the weights."""
    path = folder("tf-saved-model")
    for epoch, step in zip(EPOCHS, STEPS):
        model = put(build(tf_keras), step)
        model.save(f"{path}/epoch-{epoch:02d}", save_format="tf", save_traces=False, signatures={})
        back = tf_keras.models.load_model(f"{path}/epoch-{epoch:02d}", compile=False)
        check_same(recorded(back), expected(step), path)
    register("tf-saved-model", "tf-saved-model", WRITER, "epoch", EPOCHS,
             "layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE", model="tf-keras-unfused.onnx")


def export():
    import tf2onnx

    x, _ = channels_last_data()
    model = put(build(tf_keras), STEPS[-1])
    logits = model(x).numpy()
    check_loss(logits, STEPS[-1])
    signature = [tensorflow.TensorSpec((None, 6, 6, 1), name="x")]
    tf2onnx.convert.from_keras(model, signature, output_path=f"{OUT}/tf-keras.onnx")
    check_logits("tf-keras.onnx", x, logits)
    describe("tf-keras.onnx", f"{WRITER} with tf2onnx {tf2onnx.__version__}", "train-nhwc.npz", [
        "conv2.weight", "conv2.bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"],
        "batch normalization folded into conv2, whose weights get names ending in _fused_bn")
    with without("remove_back_to_back"):
        tf2onnx.convert.from_keras(model, signature, output_path=f"{OUT}/tf-keras-unfused.onnx")
    check_logits("tf-keras-unfused.onnx", x, logits)
    describe("tf-keras-unfused.onnx", f"{WRITER} with tf2onnx {tf2onnx.__version__} less one pass", "train-nhwc.npz")


if __name__ == "__main__":
    tf_keras.utils.set_random_seed(1)
    checkpoint_files("tf-keras-h5", "model.{epoch:02d}.h5", False, 0, names="model_weights/conv1/conv1/kernel:0")
    checkpoint_files("tf-keras-weights-h5", "weights.{epoch:02d}.h5", True, names="conv1/conv1/kernel:0")
    checkpoint_files("tf-keras-checkpoint", "cp-{epoch:04d}.ckpt", True,
                     names="layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE")
    saved_model()
    export()
