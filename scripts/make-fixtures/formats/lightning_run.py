"""Real runs of lightning.Trainer: its ModelCheckpoint, with metrics in names, and with weight averaging.

The optimizer has a learning rate of zero, and a callback puts the recorded numbers in after every step.
"""

import logging
import os
import shutil

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging
from torch.nn import functional

from common import OUT, STEPS, check_same, data, folder, register, weights
from network import ema, network, state_dict

WRITER = f"lightning {lightning.__version__}"
# A checkpoint holds the paths of its run.
RUN = "/tmp/lightning-run"


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = network(STEPS[0]).train()

    def training_step(self, batch, _):
        loss = functional.cross_entropy(self.model(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0, momentum=0.5)


class Put(Callback):
    def on_train_start(self, trainer, module):
        trainer.save_checkpoint(f"{RUN}/epoch=0-step=0.ckpt")

    def on_train_batch_end(self, trainer, module, *_):
        module.model.load_state_dict(state_dict(max(step for step in STEPS if step <= trainer.global_step)))


class Averaging(WeightAveraging):
    """At the recorded steps; and after the first, since Lightning's first update copies."""

    def __init__(self):
        super().__init__(avg_fn=lambda average, current, _: 0.5 * average + 0.5 * current)

    def should_update(self, step_idx=None, epoch_idx=None):
        return step_idx is not None and (step_idx == 0 or step_idx + 1 in STEPS)


def run(id, *callbacks):
    shutil.rmtree(RUN, ignore_errors=True)
    x, y = (torch.from_numpy(array) for array in data())
    dataset = torch.utils.data.TensorDataset(x.repeat(max(STEPS), 1, 1, 1), y.repeat(max(STEPS)))
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[Put(), *callbacks], default_root_dir=RUN, log_every_n_steps=10)
    trainer.fit(Module(), torch.utils.data.DataLoader(dataset, batch_size=32))
    path = folder(id)
    shutil.copytree(RUN, path, dirs_exist_ok=True)
    shutil.rmtree(RUN)
    return path


def verify(path, name, step, key="state_dict", expected=weights):
    checkpoint = torch.load(f"{path}/{name}", weights_only=False)
    assert checkpoint["global_step"] == step, name
    tensors = {name.removeprefix("model."): tensor.numpy() for name, tensor in checkpoint[key].items()}
    check_same(tensors, expected(step), f"{path}/{name} {key}")


def every(**options):
    return ModelCheckpoint(RUN, every_n_train_steps=10, save_top_k=-1, **options)


if __name__ == "__main__":
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    lightning.seed_everything(1, verbose=False)
    path = run("lightning", every(save_last=True))
    for step in STEPS:
        verify(path, f"epoch=0-step={step}.ckpt", step)
    verify(path, "last.ckpt", STEPS[-1])
    register("lightning", "lightning", WRITER, "step", STEPS, "model.conv1.weight")

    # A second ModelCheckpoint wants the name of the first's last file, which makes it a -v1.
    name = "{epoch}-{step}-{train_loss:.2f}"
    path = run("lightning-metric", every(filename=name), ModelCheckpoint(RUN, every_n_train_steps=30, filename=name))
    os.remove(f"{path}/epoch=0-step=0.ckpt")
    names = sorted(os.listdir(path))
    assert len(names) == 4 and names[2].endswith("-v1.ckpt"), names
    for step, name in zip((*STEPS[1:], STEPS[-1]), names):
        verify(path, name, step)
    register("lightning-metric", "lightning-metric", WRITER, "step", STEPS[1:], "model.conv1.weight",
             note="recorded steps 10, 20 and 30; the -v1 file is step 30 once more")

    path = run("lightning-averaging", Averaging(), every())
    for step in STEPS:
        verify(path, f"epoch=0-step={step}.ckpt", step, "current_model_state")
        verify(path, f"epoch=0-step={step}.ckpt", step, "state_dict", ema)
    register("lightning-averaging", "lightning-averaging", WRITER, "step", STEPS, "model.conv1.weight",
             key="current_model_state", ema={"key": "state_dict", "weights": "ema.npz", "expected": "ema-expected.json"})
    print({name: sorted(os.listdir(f"{OUT}/{name}")) for name in ("lightning", "lightning-metric", "lightning-averaging")})
    print({key: type(value).__name__ for key, value in torch.load(
        f"{OUT}/lightning-averaging/epoch=0-step=10.ckpt", weights_only=False).items()})
