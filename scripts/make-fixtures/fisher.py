"""Writes fixtures/mnist-lenet/fisher.safetensors: the diagonal of the empirical Fisher information of the recorded network.

    python scripts/make-fixtures/fisher.py          (torch, safetensors, numpy; from the project's root)

At the last checkpoint, on all 300 samples of val.npz: the mean over samples of the squared gradient of that sample's
cross-entropy, by PyTorch in float64, one sample at a time; stored in float32, one array per tensor.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

RUN = Path("fixtures/mnist-lenet")


def lenet() -> torch.nn.Module:
    """The network as the script that recorded it defines it, with the weights of the last checkpoint."""
    spec = importlib.util.spec_from_file_location("record", "scripts/record-mnist.py")
    record = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(record)
    model = record.LeNet()
    model.load_state_dict(load_file(RUN / "checkpoints/step-000060.safetensors"))
    return model.double().eval()


def main() -> None:
    torch.set_num_threads(1)
    model = lenet()
    data = np.load(RUN / "val.npz")
    # bytes are divided in float32, as data files are read
    x = torch.from_numpy(data["images"].astype(np.float32) / 255).double()
    y = torch.from_numpy(data["labels"].astype(np.int64))
    fisher = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    for sample in range(len(x)):
        loss = F.cross_entropy(model(x[sample : sample + 1]), y[sample : sample + 1])
        for (name, _), gradient in zip(model.named_parameters(), torch.autograd.grad(loss, list(model.parameters()))):
            fisher[name] += gradient**2 / len(x)
    save_file({name: values.float() for name, values in fisher.items()}, RUN / "fisher.safetensors")
    print({name: f"{values.sum().item():.6g}" for name, values in fisher.items()})


if __name__ == "__main__":
    main()
