"""keras-torch.onnx: the network of step 30 as Keras 3 exports it on PyTorch: kernels as PyTorch has them, biases as
[1, 1, 1, C], numbered names, batch normalization folded in part."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import torch

from common import OUT, STEPS, describe
from keras_network import build, channels_last_data, put
from keras_onnx import check_logits

if __name__ == "__main__":
    x, _ = channels_last_data()
    model = put(build(keras), STEPS[-1])
    logits = model(x).detach().numpy()
    model.export(f"{OUT}/keras-torch.onnx", format="onnx", verbose=False)
    check_logits("keras-torch.onnx", x, logits)
    describe("keras-torch.onnx", f"keras {keras.__version__} on torch {torch.__version__.split('+')[0]}", "train-nhwc.npz",
             ["bn.weight", "bn.running_var"], "gamma / sqrt(variance + epsilon) folded into one factor")
