"""Movement times gradient along the segments between checkpoints, per tensor, by PyTorch in float64: all that quadrature
rules need to know of a network.

    python scripts/quadrature/projections.py REFERENCE OUT [--parts 32] [--only CASE ...] [--trained]   (torch, numpy, safetensors)

REFERENCE is the folder of reference cases with its make_reference.py. OUT gets one CASE.json each:
  tensors           names
  splits.S.loss     [T + 1]            mean loss at every checkpoint
  splits.S.exact    [T, P]             per-tensor LCA: the case's own expected.npz; of trained runs composite Simpson with 16 parts
  splits.S.doubt    [T]                how far the sum of `exact` is from the change of the loss
  splits.S.along    [T, P, parts + 1]  sum over the tensor of (theta' - theta) dL/dtheta at theta + a (theta' - theta),
                                       a = 0, 1 / parts, ..., 1
--trained trains longer runs of the same networks on the same data instead of reading the recorded ones (16 parts).
"""

import argparse
import glob
import importlib.util
import json
import os
import re

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

SPLITS = ("train", "val")

TRAINED = {
    "fc-sgd": dict(case="mnist-fc", steps=80, batch=250, seed=21, optimizer=lambda p: torch.optim.SGD(p, 0.5)),
    "fc-momentum": dict(case="mnist-fc", steps=64, batch=64, seed=22, optimizer=lambda p: torch.optim.SGD(p, 0.05, momentum=0.9)),
    "fc-adam": dict(case="mnist-fc", steps=64, batch=64, seed=23, optimizer=lambda p: torch.optim.Adam(p, 1e-3)),
    "gpt-early": dict(case="gpt", steps=40, batch=32, seed=24, optimizer=lambda p: torch.optim.AdamW(p, 3e-3)),
    "lenet-momentum": dict(case="lenet", steps=40, batch=50, seed=25, optimizer=lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
    "resnet-momentum": dict(case="resnet-bn", steps=24, batch=32, seed=26, optimizer=lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
    "gpt-late": dict(case="gpt", steps=40, batch=32, seed=27, optimizer=lambda p: torch.optim.AdamW(p, 1e-3), after=300),
}


def reference_module(folder):
    spec = importlib.util.spec_from_file_location("make_reference", f"{folder}/make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def last_number(path):
    return int(re.findall(r"\d+", os.path.basename(path))[-1])


def recorded(folder):
    """The weights of every checkpoint, in the formats that make_reference.py writes."""
    from safetensors.torch import load_file

    for path in sorted(glob.glob(f"{folder}/checkpoints/*"), key=last_number):
        if os.path.isdir(path):
            yield {k: v for part in sorted(glob.glob(f"{path}/*.safetensors")) for k, v in load_file(part).items()}
        elif path.endswith(".safetensors"):
            yield load_file(path)
        elif path.endswith(".pt"):
            yield torch.load(path, weights_only=False)["model_state_dict"]
        else:
            state = torch.load(path, weights_only=False)["state_dict"]
            yield {k.removeprefix("model."): v for k, v in state.items()}


def trained(reference, run, data):
    """Weights after each of `steps` steps, the first `after` steps left out."""
    torch.manual_seed(run["seed"])
    model = reference.CASES[run["case"]]["net"]().train()
    optimizer = run["optimizer"](model.parameters())
    draw = np.random.RandomState(run["seed"])
    x, y = (torch.from_numpy(array) for array in data["train"])
    after = run.get("after", 0)
    for step in range(after + run["steps"] + 1):
        if step >= after:
            yield {k: v.detach().clone() for k, v in model.state_dict().items()}
        batch = draw.randint(0, len(y), run["batch"])
        optimizer.zero_grad()
        reference.ce(model(x[batch]), y[batch]).backward()
        optimizer.step()


def network(reference, case, mode):
    """The case's network in float64, BatchNorm on running statistics or on those of the batch."""
    model = reference.CASES[case]["net"]().double()
    model.train(mode == "batch")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and mode == "running":
            module.__class__ = reference.RunningBN
        if isinstance(module, nn.BatchNorm2d) and mode == "batch":
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
    return model


def in_float64(state, mode):
    left_out = ("running", "num_batches") if mode == "batch" else ()
    return {k: v.double() if v.is_floating_point() else v for k, v in state.items() if not any(part in k for part in left_out)}


def along(loss_of, start, end, names, parts):
    """Movement times gradient [P, parts + 1], and the losses at both ends."""
    columns, losses = [], []
    for k in range(parts + 1):
        point = {n: (start[n] + k / parts * (end[n] - start[n])).requires_grad_(True) for n in names}
        loss = loss_of({**start, **point})
        gradients = torch.autograd.grad(loss, [point[n] for n in names], allow_unused=True)
        columns.append([0.0 if g is None else float((g * (end[n] - start[n])).sum()) for g, n in zip(gradients, names)])
        losses.append(float(loss))
    return np.array(columns).T, losses[0], losses[-1]


def project(reference, case, mode, states, data, names, parts):
    model = network(reference, case, mode)
    states = [in_float64(state, mode) for state in states]
    result = {}
    for split, (x, y) in data.items():
        inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
        inputs = inputs.double() if inputs.is_floating_point() else inputs
        loss_of = lambda state: reference.ce(functional_call(model, state, (inputs,)), targets)
        rows = [along(loss_of, start, end, names, parts) for start, end in zip(states, states[1:])]
        result[split] = {"loss": [row[1] for row in rows] + [rows[-1][2]], "along": np.array([row[0] for row in rows])}
    return result


def write(out, name, tensors, splits):
    for split in splits.values():
        split["doubt"] = np.abs(split["exact"].sum(1) - np.diff(split["loss"]))
    digits = lambda value: [digits(v) for v in value] if np.ndim(value) else float(f"{value:.12g}")
    splits = {split: {key: digits(values) for key, values in of.items()} for split, of in splits.items()}
    with open(f"{out}/{name}.json", "w") as file:
        json.dump({"tensors": tensors, "splits": splits}, file, separators=(",", ":"))
        file.write("\n")


def data_of(folder, at_most=None):
    arrays = {split: np.load(f"{folder}/{split}.npz") for split in SPLITS}
    return {split: (held["x"][:at_most], held["y"][:at_most]) for split, held in arrays.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference")
    parser.add_argument("out")
    parser.add_argument("--parts", type=int, default=32)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--trained", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.makedirs(options.out, exist_ok=True)
    reference = reference_module(options.reference)
    chosen = lambda names: [name for name in names if options.only is None or name in options.only]
    if options.trained:
        simpson = np.array([1] + [4, 2] * 7 + [4, 1]) / 48
        for name in chosen(TRAINED):
            run = TRAINED[name]
            folder = f"{options.reference}/{run['case']}"
            states = list(trained(reference, run, data_of(folder)))
            names = [k for k, v in states[0].items() if v.is_floating_point()]
            mode = "running" if run["case"] == "resnet-bn" else ""
            splits = project(reference, run["case"], mode, states, data_of(folder, 400), names, 16)
            for split in splits.values():
                split["exact"] = split["along"] @ simpson
            write(options.out, name, names, splits)
        return
    for case in chosen(["mnist-fc", "lenet", "gpt", "resnet-bn"]):
        folder = f"{options.reference}/{case}"
        for mode in ("running", "batch") if case == "resnet-bn" else ("",):
            suffix = f".{mode}" if mode else ""
            names = json.load(open(f"{folder}/expected{suffix}.json"))["tensors"]
            expected = np.load(f"{folder}/expected{suffix}.npz")
            splits = project(reference, case, mode, list(recorded(folder)), data_of(folder), names, options.parts)
            for split, of in splits.items():
                of["exact"] = expected[f"exact/{split}"]
            write(options.out, case + suffix, names, splits)


if __name__ == "__main__":
    main()
