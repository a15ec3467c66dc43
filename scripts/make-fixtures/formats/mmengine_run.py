"""Real runs of MMEngine's Runner and CheckpointHook, by epochs (of ten iterations) and by iterations."""

import contextlib
import os
import shutil

import mmengine
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.nn import functional

from common import EPOCHS, STEPS, check_same, data, folder, register, weights
from network import Network, state_dict

ITERATIONS = (10, 20, 30, 40)
# A checkpoint holds the path of its run, and MMEngine's version with the commit of the current folder.
RUN = "/tmp/mmengine-run"
RECORDED = {iterations: state_dict(step) for iterations, step in zip(ITERATIONS, STEPS)}


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        for name, child in Network().named_children():
            setattr(self, name, child)

    def forward(self, x, y, mode="loss"):
        return {"loss": functional.cross_entropy(Network.forward(self, x), y)}


class Put(Hook):
    priority = "HIGHEST"

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 in RECORDED:
            runner.model.load_state_dict(RECORDED[runner.iter + 1])


def train(id, by_epoch, loader, loop):
    runner = Runner(
        Model(), work_dir=RUN, train_dataloader=loader, train_cfg=loop,
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.0, "momentum": 0.5}}, custom_hooks=[Put()],
        default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 1 if by_epoch else 10, "by_epoch": by_epoch}},
        log_level="ERROR", experiment_name=id, randomness={"seed": 1})
    runner.train()


def run(id, by_epoch, template, numbers):
    shutil.rmtree(RUN, ignore_errors=True)
    os.mkdir(RUN)
    x, y = (torch.from_numpy(array) for array in data())
    dataset = torch.utils.data.TensorDataset(x.repeat(10, 1, 1, 1), y.repeat(10))
    loop = {"by_epoch": True, "max_epochs": 4} if by_epoch else {"by_epoch": False, "max_iters": 40}
    with contextlib.chdir(RUN):
        train(id, by_epoch, torch.utils.data.DataLoader(dataset, batch_size=32), loop)
    path = folder(id)
    for name in os.listdir(RUN):
        if name.endswith(".pth") or name == "last_checkpoint":
            shutil.copy(f"{RUN}/{name}", f"{path}/{name}")
    shutil.rmtree(RUN)
    for step, number, iterations in zip(STEPS, numbers, ITERATIONS):
        checkpoint = torch.load(f"{path}/{template.format(number)}", weights_only=False)
        assert checkpoint["meta"]["iter"] == iterations, checkpoint["meta"]["iter"]
        check_same({name: tensor.numpy() for name, tensor in checkpoint["state_dict"].items()}, weights(step), path)
    print(sorted(os.listdir(path)), {key: type(value).__name__ for key, value in checkpoint.items()},
          {key: value for key, value in checkpoint["meta"].items() if key != "cfg"})
    register(id, id, f"mmengine {mmengine.__version__}", "iteration", ITERATIONS, "conv1.weight",
             **({"counters": {"epoch": EPOCHS}} if by_epoch else {}))


if __name__ == "__main__":
    run("mmengine-epochs", True, "epoch_{}.pth", EPOCHS)
    run("mmengine-iterations", False, "iter_{}.pth", ITERATIONS)
