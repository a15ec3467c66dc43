"""Makes fixtures/torch: what torch.save writes in its older forms and with all that trainers put beside the weights.

  legacy.pt, legacy.protocol4.pt   the format from before 1.6: views, shared storages, all element types
  legacy-trainer.pt                the same, weights and counter beside an optimizer's state
  legacy-quantized.pt              a quantized tensor in it: refused
  legacy-big-endian.pt             its facts about the machine say big-endian: refused
  no-checksums.pt                  torch.serialization.set_crc32_options(False)
  objects.pt                       argparse, omegaconf, NumPy, pathlib, datetime, enum, classes, a scheduler, attributes
  attributes.pt, subclass.pt       a parameter with attributes of its own; a tensor of a subclass: refused
  quantized.pt, meta.pt            tensors that are not read: refused
  tar.pt                           an archive as PyTorch 0.1 wrote it: refused
  expected.json                    the values as torch.load gives them

Run from the project's root: python scripts/make-fixtures/torch-files.py   (PyTorch 2.13, NumPy 2.4, omegaconf 2.4)
"""

import argparse
import collections
import datetime
import enum
import functools
import io
import json
import os
import pathlib
import random
import tarfile
import types

import numpy as np
import torch
from omegaconf import OmegaConf

OUT = "fixtures/torch"
EXPECTED = {}


class Colour(enum.Enum):
    RED = 1


class AttributeDict(dict):
    """As Lightning's: a dictionary whose items are attributes."""


class Slotted:
    __slots__ = ("a",)

    def __init__(self):
        self.a = [1]


class Callback:
    def __init__(self):
        self.history = [{"loss": float("nan")}]
        self.method = self.step

    def step(self):
        return None


class Marked(torch.Tensor):
    pass


def expect(name, tensors):
    EXPECTED[name] = {
        key: {"shape": list(value.shape), "values": value.detach().double().flatten().tolist() if value.is_floating_point() else None}
        for key, value in tensors.items()
    }


def state():
    torch.manual_seed(7)
    base = torch.randn(3, 4)
    shared = torch.arange(12, dtype=torch.float32)
    return collections.OrderedDict(
        weight=base, transposed=base.t(), row=base[1], shared=shared, tail=shared[5:9].view(2, 2), scalar=torch.tensor(0.5),
        double=base.double() / 3, half=base.half(), bfloat=base.bfloat16(), count=torch.tensor(3),
        empty=torch.zeros(0, 2), expanded=torch.ones(1).expand(3), channels_last=torch.arange(16.0).view(1, 4, 2, 2).contiguous(memory_format=torch.channels_last))


def objects():
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, functools.partial(min, 1.0))
    attributes = AttributeDict(width=3)
    attributes.note = "set as an attribute"
    random.seed(0)
    return network, {
        "state_dict": network.state_dict(), "global_step": np.int64(70), "epoch": np.int32(2), "pytorch-lightning_version": "2.6.6",
        "args": argparse.Namespace(lr=0.1, data=pathlib.PurePosixPath("data"), dtype=torch.bfloat16, device=torch.device("cpu")),
        "hyper_parameters": attributes, "cfg": OmegaConf.create({"model": {"width": 3, "name": "${model.width}"}}),
        "numpy": [np.float32(1.5), np.arange(6).reshape(2, 3), np.dtype("float64"), np.bool_(True), np.random.default_rng(0)],
        "rng": {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()},
        "times": [datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), datetime.timedelta(seconds=1)],
        "enum": Colour.RED, "slots": Slotted(), "callbacks": {"a": Callback()}, "namespace": types.SimpleNamespace(a=1),
        "optimizer": optimizer.state_dict(), "optimizer_object": optimizer, "lr_scheduler": schedule, "complex": 1 + 2j,
        "range": range(5), "slice": slice(1, 2), "type": int, "function": torch.nn.functional.relu, "set": {1}, "bytes": b"\0",
    }


def save(name, value, expected, **options):
    torch.save(value, f"{OUT}/{name}", **options)
    if expected is not None:
        expect(name, expected)


def main():
    os.makedirs(OUT, exist_ok=True)
    old = {"_use_new_zipfile_serialization": False}
    save("legacy.pt", state(), state(), **old)
    save("legacy.protocol4.pt", state(), state(), pickle_protocol=4, **old)
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    save("legacy-trainer.pt", {"optimizer": optimizer.state_dict(), "model": network.state_dict(), "iteration": torch.tensor(9)},
         network.state_dict(), **old)
    with open(f"{OUT}/legacy.pt", "rb") as file:
        data = file.read()
    little = b"little_endianq\x02\x88"
    assert data.count(little) == 1
    with open(f"{OUT}/legacy-big-endian.pt", "wb") as file:
        file.write(data.replace(little, little[:-1] + b"\x89"))

    torch.serialization.set_crc32_options(False)
    save("no-checksums.pt", state(), state())
    torch.serialization.set_crc32_options(True)

    trained, value = objects()
    save("objects.pt", value, trained.state_dict())
    parameter = torch.nn.Parameter(torch.arange(3.0))
    parameter.sharded = False
    save("attributes.pt", {"w": parameter}, {"w": parameter})
    save("subclass.pt", {"w": torch.ones(2).as_subclass(Marked)}, None)
    save("quantized.pt", {"w": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}, None)
    save("legacy-quantized.pt", {"w": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}, None, **old)
    save("meta.pt", {"w": torch.empty(2, device="meta")}, None)
    with tarfile.open(f"{OUT}/tar.pt", "w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            entry = tarfile.TarInfo(name)
            entry.size = 4
            archive.addfile(entry, io.BytesIO(b"\x80\x02N."))
    with open(f"{OUT}/expected.json", "w") as file:
        json.dump(EXPECTED, file)
        file.write("\n")


if __name__ == "__main__":
    main()
