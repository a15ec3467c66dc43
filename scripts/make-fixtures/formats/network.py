"""Trains the small network of the formats, and writes what all of them are made from and held against.

  train.npz             x float32 [32, 1, 6, 6], y int64 [32]
  weights.npz           NAME@STEP: the float32 tensors at steps 0, 10, 20 and 30
  expected.json         loss at each checkpoint and LCA of each interval and tensor, by PyTorch in float64: evaluation
                        mode (running statistics), mean cross-entropy, one Simpson panel (0, 1/2, 1) an interval
  ema.npz               averages of the weights in the same form, for formats that keep them beside the weights
  ema-expected.json     what expected.json is, of these
  model.onnx            the exporter's graph with optimize=False, weights of step 30, names of the state_dict
  model-optimized.onnx  the exporter's default: batch normalization folded into a convolution that keeps its name
"""

import json

import numpy as np
import onnx
import torch
from torch.nn import functional

from common import COUNTER, FLOATS, OUT, STEPS, data, describe, weights, write_json


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 3, 3)
        self.conv2 = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.bn = torch.nn.BatchNorm2d(4)
        self.fc1 = torch.nn.Linear(4, 4)
        self.fc2 = torch.nn.Linear(4, 3)

    def forward(self, x):
        x = self.conv1(x).relu()
        x = self.bn(self.conv2(x)).relu()
        x = x.mean(dim=(2, 3))
        return self.fc2(self.fc1(x).relu())


def state_dict(step):
    """The recorded state_dict, in PyTorch's order and with its counter of batches."""
    tensors = {name: torch.from_numpy(array.copy()) for name, array in weights(step).items()}
    state = Network().state_dict()
    for name in state:
        state[name] = tensors[name] if name != COUNTER else torch.tensor(step)
    return state


def ema(step):
    """Average weights, as EMA keeps them: half of the average before, half of the weights of now."""
    average = weights(STEPS[0])
    for later in STEPS[1 : STEPS.index(step) + 1]:
        average = {name: np.float32(0.5) * average[name] + np.float32(0.5) * array for name, array in weights(later).items()}
    return average


def network(step):
    module = Network()
    module.load_state_dict(state_dict(step))
    return module.eval()


def make_data():
    random = np.random.RandomState(11)
    y = (np.arange(32) % 3).astype(np.int64)
    patterns = random.randn(3, 1, 6, 6)
    x = (patterns[y] + 0.7 * random.randn(32, 1, 6, 6)).astype(np.float32)
    np.savez(f"{OUT}/train.npz", x=x, y=y)
    return torch.from_numpy(x), torch.from_numpy(y)


def train(x, y):
    torch.manual_seed(4)
    module = Network()
    with torch.no_grad():
        module.bn.weight.uniform_(0.5, 1.5)
        module.bn.bias.uniform_(-0.5, 0.5)
    # The decay moves conv2.bias too, whose gradient the normalization behind it takes away.
    optimizer = torch.optim.SGD(module.parameters(), lr=0.2, momentum=0.5, weight_decay=1e-2)
    saved = {}
    for step in range(max(STEPS) + 1):
        if step in STEPS:
            saved |= {f"{name}@{step}": module.state_dict()[name].numpy().copy() for name in FLOATS}
        optimizer.zero_grad()
        functional.cross_entropy(module(x), y).backward()
        optimizer.step()
    np.savez(f"{OUT}/weights.npz", **saved)


def losses(tensors, x, y):
    h = functional.conv2d(x, tensors["conv1.weight"], tensors["conv1.bias"]).relu()
    h = functional.conv2d(h, tensors["conv2.weight"], tensors["conv2.bias"], padding=1)
    # Written out, since PyTorch's batch_norm takes no gradient of running statistics.
    mean, variance, weight, bias = (
        tensors[f"bn.{name}"].view(1, -1, 1, 1) for name in ("running_mean", "running_var", "weight", "bias"))
    h = (h - mean) / (variance + 1e-5).sqrt() * weight + bias
    h = h.relu().mean(dim=(2, 3))
    h = functional.linear(h, tensors["fc1.weight"], tensors["fc1.bias"]).relu()
    return functional.cross_entropy(functional.linear(h, tensors["fc2.weight"], tensors["fc2.bias"]), y)


def lca(losses, start, end):
    """One Simpson panel: sum over the points of weight * movement * gradient, for every tensor; and the end's loss."""
    sums = dict.fromkeys(start, 0.0)
    values = []
    for point, weight in ((0.0, 1 / 6), (0.5, 4 / 6), (1.0, 1 / 6)):
        tensors = {name: (start[name] + point * (end[name] - start[name])).requires_grad_() for name in start}
        loss = losses(tensors)
        values.append(loss.item())
        for name, gradient in zip(tensors, torch.autograd.grad(loss, list(tensors.values()))):
            sums[name] += weight * ((end[name] - start[name]) * gradient).sum().item()
    return sums, values


def expectation(losses, checkpoints, steps):
    """Losses and LCA of a trajectory of float64 tensors, as expected.json holds them."""
    intervals = []
    for start, end in zip(steps, steps[1:]):
        sums, values = lca(losses, checkpoints[start], checkpoints[end])
        total = sum(sums.values())
        change = values[-1] - values[0]
        intervals.append({"from": start, "to": end, "lca": sums, "sum": total, "change": change})
    with torch.no_grad():
        loss = [losses(checkpoints[step]).item() for step in steps]
    shapes = {name: list(tensor.shape) for name, tensor in checkpoints[steps[0]].items()}
    return {
        "steps": list(steps), "tensors": shapes, "loss": loss, "intervals": intervals,
        "total": sum(interval["sum"] for interval in intervals),
    }


def export(module, x, path, optimize):
    torch.onnx.export(
        module, (x,), path, dynamo=True, optimize=optimize, external_data=False, verbose=False,
        input_names=["x"], output_names=["logits"], dynamic_shapes=({0: torch.export.Dim("batch")},))
    plain(path)


def plain(path):
    """Takes the exporter's notes (source lines and paths) out of the file."""
    model = onnx.load(path, load_external_data=False)
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for value in [*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output,
                  *model.graph.initializer]:
        del value.metadata_props[:]
    onnx.save(model, path)


def initializers(path):
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(*make_data())
    x, y = (torch.from_numpy(array) for array in data())
    np.savez(f"{OUT}/ema.npz", **{f"{name}@{step}": array for step in STEPS for name, array in ema(step).items()})
    averages = {step: {name: torch.from_numpy(array).double() for name, array in ema(step).items()} for step in STEPS}
    doubles = {step: {name: torch.from_numpy(array).double() for name, array in weights(step).items()} for step in STEPS}
    expected = expectation(lambda tensors: losses(tensors, x.double(), y), doubles, STEPS)
    write_json("expected.json", expected)
    write_json("ema-expected.json", expectation(lambda tensors: losses(tensors, x.double(), y), averages, STEPS))
    with torch.no_grad():
        for step, loss in zip(STEPS, expected["loss"]):
            assert abs(functional.cross_entropy(network(step).double()(x.double()), y).item() - loss) < 1e-12
    for name in FLOATS:
        for start, end in zip(STEPS, STEPS[1:]):
            assert (weights(start)[name] != weights(end)[name]).all(), f"{name} stands still in {start} to {end}"
    export(network(STEPS[-1]), x, f"{OUT}/model.onnx", optimize=False)
    export(network(STEPS[-1]), x, f"{OUT}/model-optimized.onnx", optimize=True)
    writer = f"torch {torch.__version__.split('+')[0]}"
    describe("model.onnx", f"{writer}, optimize=False", "train.npz")
    describe("model-optimized.onnx", writer, "train.npz", [
        "conv2.weight", "conv2.bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"],
        "batch normalization folded into conv2, which keeps its name and shape")
    have = initializers(f"{OUT}/model.onnx")
    for name, array in weights(STEPS[-1]).items():
        assert have[name].tobytes() == array.tobytes(), name
    print(json.dumps(expected["loss"]), [(i["sum"], i["change"]) for i in expected["intervals"]])
