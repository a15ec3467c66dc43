"""A real run of transformers.Trainer, saving every ten steps what its release saves: safetensors, or with transformers 4
and `bin` as an argument, pytorch_model.bin.

The learning rate is zero; a callback puts the recorded numbers in before each save. The Trainer saves nothing before the
first step, so the four checkpoints are numbered 10 to 40.
"""

import json
import os
import shutil
import sys

import torch
import transformers
from safetensors.torch import load_file
from torch.nn import functional
from transformers import Trainer, TrainerCallback, TrainingArguments

from common import STEPS, check_same, data, folder, register, weights
from network import Network, state_dict

NUMBERS = (10, 20, 30, 40)


class Model(Network):
    def forward(self, x, labels):
        logits = super().forward(x)
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits}


class Put(TrainerCallback):
    def on_step_end(self, args, state, control, model=None, **_):
        if state.global_step in NUMBERS:
            model.load_state_dict(state_dict(STEPS[NUMBERS.index(state.global_step)]))


class Samples(torch.utils.data.Dataset):
    def __init__(self):
        self.x, self.y = (torch.from_numpy(array) for array in data())

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        return {"x": self.x[index], "labels": self.y[index]}


def run(id, file, read, **options):
    path = folder(id)
    arguments = TrainingArguments(
        output_dir="run", max_steps=max(NUMBERS), save_steps=10, logging_steps=10, per_device_train_batch_size=32,
        learning_rate=0.0, optim="sgd", use_cpu=True, report_to=[], disable_tqdm=True, seed=1, **options)
    Trainer(Model(), arguments, train_dataset=Samples(), callbacks=[Put()]).train()
    shutil.copytree("run", path, dirs_exist_ok=True)
    shutil.rmtree("run")
    # 14 KB each of random generators: one is enough to be overlooked.
    for number in NUMBERS[:-1]:
        os.remove(f"{path}/checkpoint-{number}/rng_state.pth")
    for step, number in zip(STEPS, NUMBERS):
        check_same({name: tensor.numpy() for name, tensor in read(f"{path}/checkpoint-{number}/{file}").items()},
                   weights(step), path)
        with open(f"{path}/checkpoint-{number}/trainer_state.json") as state:
            assert json.load(state)["global_step"] == number
    print(id, {name: os.path.getsize(f"{path}/checkpoint-10/{name}") for name in os.listdir(f"{path}/checkpoint-10")})
    register(id, id, f"transformers {transformers.__version__}", "step", NUMBERS, "conv1.weight")


if __name__ == "__main__":
    if "bin" in sys.argv:
        run("hf-trainer-bin", "pytorch_model.bin", torch.load, save_safetensors=False, logging_dir="run/logs")
    else:
        run("hf-trainer", "model.safetensors", load_file)
