"""A network of linear layers, for binding weights that an exporter renamed or transposed.

embed (6 to 5) and mix (5 to 5) work on [N, 4, 6], which exporters write as MatMul with a transposed weight; then the
mean over the four positions, fc1 (5 to 7), ReLU, fc2 (7 to 7), ReLU, fc3 (7 to 3).

  mlp.npz                  x float32 [32, 4, 6], y int64 [32]
  mlp/step-*.safetensors   four checkpoints, steps 0, 10, 20 and 30
  mlp-expected.json        losses and LCA, as expected.json has them
  mlp.onnx                 optimize=False, weights of step 30
  mlp-optimized.onnx       the exporter's default
  mlp-script.onnx          the exporter before it (TorchScript), with constants folded: onnx::MatMul_N
"""

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from common import OUT, STEPS, describe, folder, write_json
from network import expectation, export, initializers


class Mlp(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Linear(6, 5)
        self.mix = torch.nn.Linear(5, 5)
        self.fc1 = torch.nn.Linear(5, 7)
        self.fc2 = torch.nn.Linear(7, 7)
        self.fc3 = torch.nn.Linear(7, 3)

    def forward(self, x):
        x = self.mix(self.embed(x).tanh()).tanh().mean(dim=1)
        return self.fc3(self.fc2(self.fc1(x).relu()).relu())


def make_data():
    random = np.random.RandomState(12)
    y = (np.arange(32) % 3).astype(np.int64)
    x = (random.randn(3, 4, 6)[y] + 0.5 * random.randn(32, 4, 6)).astype(np.float32)
    np.savez(f"{OUT}/mlp.npz", x=x, y=y)
    return torch.from_numpy(x), torch.from_numpy(y)


def train(x, y):
    torch.manual_seed(6)
    module = Mlp()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.2, momentum=0.5)
    path = folder("mlp")
    saved = {}
    for step in range(max(STEPS) + 1):
        if step in STEPS:
            saved[step] = {name: tensor.clone() for name, tensor in module.state_dict().items()}
            save_file(saved[step], f"{path}/step-{step:06d}.safetensors", metadata={"step": str(step)})
            if step == STEPS[-1]:
                return module.eval(), saved
        optimizer.zero_grad()
        functional.cross_entropy(module(x), y).backward()
        optimizer.step()


if __name__ == "__main__":
    torch.set_num_threads(1)
    x, y = make_data()
    module, saved = train(x, y)
    doubles = {step: {name: tensor.double() for name, tensor in tensors.items()} for step, tensors in saved.items()}
    loss = lambda tensors: functional.cross_entropy(torch.func.functional_call(module, tensors, (x.double(),)), y)
    write_json("mlp-expected.json", expectation(loss, doubles, STEPS))
    export(module, x, f"{OUT}/mlp.onnx", optimize=False)
    export(module, x, f"{OUT}/mlp-optimized.onnx", optimize=True)
    torch.onnx.export(
        module, (x,), f"{OUT}/mlp-script.onnx", dynamo=False, do_constant_folding=True, input_names=["x"],
        output_names=["logits"], dynamic_axes={"x": {0: "batch"}})
    writer = f"torch {torch.__version__.split('+')[0]}"
    describe("mlp.onnx", f"{writer}, optimize=False", "mlp.npz")
    describe("mlp-optimized.onnx", writer, "mlp.npz")
    describe("mlp-script.onnx", f"{writer}, dynamo=False", "mlp.npz")
    have = initializers(f"{OUT}/mlp.onnx")
    assert all(have[name].tobytes() == tensor.numpy().tobytes() for name, tensor in saved[STEPS[-1]].items())
    for step in STEPS:
        assert all(torch.equal(tensor, saved[step][name]) for name, tensor in
                   load_file(f"{OUT}/mlp/step-{step:06d}.safetensors").items())
    for name in ("mlp", "mlp-optimized", "mlp-script"):
        print(name, {key: value.shape for key, value in initializers(f"{OUT}/{name}.onnx").items()})
    print("model-optimized", {key: value.shape for key, value in initializers(f"{OUT}/model-optimized.onnx").items()})
