"""timm's own CheckpointSaver: numbered epochs, last and best files, an EMA beside the weights.

timm needs torchvision, whose builds follow those of torch; the two modules used here need nothing of it but a class's
name, so they are loaded without the rest of the package.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import sys
import types

import torch

from common import STEPS, check_same, folder, register, weights
from network import ema, network, state_dict
from pytorch_files import optimizer_state


def checkpoint_saver():
    root = os.path.dirname(importlib.util.find_spec("timm").origin)
    for name, path in (("timm", root), ("timm.utils", f"{root}/utils")):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [path]
    vision, layers = types.ModuleType("torchvision.ops.misc"), types.ModuleType("timm.layers")
    vision.FrozenBatchNorm2d = torch.nn.Identity
    for name in ("BatchNormAct2d", "SyncBatchNormAct", "FrozenBatchNormAct2d", "freeze_batch_norm_2d", "unfreeze_batch_norm_2d"):
        setattr(layers, name, torch.nn.Identity)
    sys.modules |= {"torchvision.ops.misc": vision, "timm.layers": layers, "torchvision": vision, "torchvision.ops": vision}
    from timm.utils.checkpoint_saver import CheckpointSaver
    from timm.utils.model_ema import ModelEmaV3

    return CheckpointSaver, ModelEmaV3


if __name__ == "__main__":
    CheckpointSaver, ModelEma = checkpoint_saver()
    path = folder("timm")
    model = network(STEPS[0])
    average = ModelEma(model, decay=0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    arguments = argparse.Namespace(model="network", lr=0.1, opt="sgd", data_dir="data", amp=False, epochs=4)
    saver = CheckpointSaver(model, optimizer, args=arguments, model_ema=average, checkpoint_dir=path, recovery_dir=path)
    for epoch, step in enumerate(STEPS):
        model.load_state_dict(state_dict(step))
        optimizer.load_state_dict(optimizer_state(step))
        average.module.load_state_dict(state_dict(step) | {name: torch.from_numpy(array) for name, array in ema(step).items()})
        saver.save_checkpoint(epoch, metric=(10.0, 30.0, 50.0, 40.0)[epoch])
    for epoch, step in enumerate(STEPS):
        checkpoint = torch.load(f"{path}/checkpoint-{epoch}.pth.tar", weights_only=False)
        assert checkpoint["epoch"] == epoch
        for key, expected in (("state_dict", weights), ("state_dict_ema", ema)):
            check_same({name: tensor.numpy() for name, tensor in checkpoint[key].items()}, expected(step), f"{path} {key}")
    print(sorted(os.listdir(path)), {key: type(value).__name__ for key, value in checkpoint.items()})
    register("timm", "timm", f"timm {importlib.metadata.version('timm')}", "epoch", range(len(STEPS)), "conv1.weight",
             ema={"key": "state_dict_ema", "weights": "ema.npz", "expected": "ema-expected.json"})
