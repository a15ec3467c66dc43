"""Checkpoints as torch.save writes them: bare, old, wrapped, prefixed, and in the layouts of well-known trainers.

timm, MMEngine, Lightning and the HF Trainer write theirs themselves (timm_run.py and others). Composer, fairseq,
nanoGPT, DeepSpeed, OLMo and Pythia are imitated here after their source, with the entries that they put beside the
weights: they ask for other releases of torch, or for a GPU.
"""

import argparse
import collections
import datetime
import os

import numpy as np
import torch
from huggingface_hub import save_torch_state_dict

from common import EPOCHS, STEPS, check_same, folder, register, weights
from network import Network, ema, network, state_dict

WRITER = f"torch {torch.__version__.split('+')[0]}"


def prefixed(state, prefix):
    return collections.OrderedDict((prefix + name, tensor) for name, tensor in state.items())


def optimizer_state(step, kind=torch.optim.SGD, **options):
    """A real optimizer's state after one update: tensors of the same shapes as the weights."""
    module = network(step)
    optimizer = kind(module.parameters(), lr=0.1, **(options or {"momentum": 0.5}))
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, 0.25)
    optimizer.step()
    return optimizer.state_dict()


def save(path, value, **options):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    torch.save(value, path, **options)


def verify(path, step, find, prefix=""):
    """What torch.load gives at `find` must be the recording."""
    state = find(torch.load(path, map_location="cpu", weights_only=False))
    assert all(name.startswith(prefix) for name in state), path
    check_same({name[len(prefix):]: tensor.numpy() for name, tensor in state.items()}, weights(step), path)


def write(id, file, wrap, find, steps=STEPS, unit="step", prefix="", imitates=None, legacy=False, **more):
    """One file a step. `file(number)` is its name, `wrap(state, step, number)` its content, `find` its state_dict."""
    path = folder(id)
    for step, number in zip(STEPS, steps):
        name = f"{path}/{file(number)}"
        options = {"_use_new_zipfile_serialization": False} if legacy else {}
        save(name, wrap(prefixed(state_dict(step), prefix), step, number), **options)
        verify(name, step, find, prefix)
    writer = f"{WRITER}, after {imitates}" if imitates else WRITER
    register(id, id, writer, unit, steps, f"{prefix}conv1.weight", **more)


def itself(value, *_):
    return value


def bare():
    write("torch-zip", lambda n: f"step_{n}.pt", itself, itself)
    write("torch-legacy", lambda n: f"step_{n}.pt", itself, itself, legacy=True)
    write("torch-pth", lambda n: f"model_{n:04d}.pth", itself, itself)
    write("torch-ddp", lambda n: f"step_{n}.pt", itself, itself, prefix="module.")
    write("torch-compiled-ddp", lambda n: f"step_{n}.pt", itself, itself, prefix="module._orig_mod.")
    write("torch-fsdp", lambda n: f"step_{n}.pt", itself, itself, prefix="_fsdp_wrapped_module.")
    write("torch-parameters", lambda n: f"step_{n}.pt",
          lambda state, step, n: {**state, **dict(network(step).named_parameters())},
          lambda value: {name: tensor.detach() for name, tensor in value.items()})


def wrapped():
    losses = (1.25, 1.0, 0.75, 0.5)
    write("torch-model-state-dict", lambda n: f"checkpoint_{n}.pt", lambda state, step, n: {
        "epoch": n, "model_state_dict": state, "optimizer_state_dict": optimizer_state(step, torch.optim.Adam, weight_decay=0),
        "loss": losses[n - 1]}, lambda value: value["model_state_dict"], EPOCHS, "epoch")
    write("torch-tar", lambda n: f"model_{n}.tar", lambda state, step, n: {
        "epoch": n, "model_state_dict": state, "loss": losses[n - 1]}, lambda value: value["model_state_dict"], EPOCHS,
        "epoch", legacy=True)
    # Names that tell nothing of the order: the counter inside does.
    names = dict(zip(STEPS, ("d", "b", "c", "a")))
    write("torch-step-tensor", lambda n: f"{names[n]}.pt", lambda state, step, n: {
        "model": state, "step": torch.tensor(step), "ema_decay": torch.tensor(0.5)}, lambda value: value["model"])
    write("torch-model-ema", lambda n: f"step-{n}.pt", lambda state, step, n: {
        "model_ema": {**state, **{name: torch.from_numpy(array) for name, array in ema(step).items()}}, "model": state,
        "optimizer": optimizer_state(step), "step": step}, lambda value: value["model"],
        ema={"key": "model_ema", "weights": "ema.npz", "expected": "ema-expected.json"})


def trainers():
    write("nanogpt", lambda n: f"ckpt_{n:04d}.pt", lambda state, step, n: {
        "model": state, "optimizer": optimizer_state(step), "model_args": {"n_layer": 1, "bias": False, "dropout": 0.0},
        "iter_num": step, "best_val_loss": torch.tensor(1.5), "config": {"out_dir": "out", "always_save_checkpoint": True},
    }, lambda value: value["model"], unit="iteration", prefix="_orig_mod.", imitates="nanoGPT's train.py")
    composer()
    fairseq()
    write("deepspeed-stage0", lambda n: f"global_step{n}/mp_rank_00_model_states.pt", lambda state, step, n: {
        "module": state, "buffer_names": ["bn.running_mean", "bn.running_var", "bn.num_batches_tracked"],
        "optimizer": optimizer_state(step), "param_shapes": None, "frozen_param_shapes": None, "shared_params": [],
        "lr_scheduler": None, "data_sampler": None, "random_ltd": None, "sparse_tensor_module_names": set(),
        "skipped_steps": 0, "global_steps": step, "global_samples": 32 * step, "dp_world_size": 1, "mp_world_size": 1,
        "ds_config": {"train_batch_size": 32, "zero_optimization": {"stage": 0}}, "ds_version": "0.19.8",
    }, lambda value: value["module"], imitates="DeepSpeed 0.19 without ZeRO")
    with open("fixtures/formats/deepspeed-stage0/latest", "w") as file:
        file.write(f"global_step{STEPS[-1]}")
    write("olmo-unsharded", lambda n: f"step{n}-unsharded/model.pt", itself, itself, imitates="OLMo")
    write("pythia-bin", lambda n: f"step{n}/pytorch_model.bin", itself, itself, imitates="Pythia's revisions")


def composer():
    def content(state, step, n):
        wct = datetime.timedelta(seconds=step)
        timestamp = {
            "iteration": 0, "epoch": 0, "batch": step, "sample": 32 * step, "token": 0, "epoch_in_iteration": 0,
            "token_in_iteration": 0, "batch_in_epoch": step, "sample_in_epoch": 32 * step, "token_in_epoch": 0,
            "total_wct": wct, "iteration_wct": wct, "epoch_wct": wct, "batch_wct": datetime.timedelta(seconds=1),
        }
        return {
            "state": {
                "model": state, "optimizers": {"SGD": optimizer_state(step)}, "schedulers": {}, "algorithms": [],
                "callbacks": [], "scaler": None, "timestamp": timestamp, "run_name": "run", "rank_zero_seed": 17,
                "train_metrics": {}, "eval_metrics": {},
                "dataset_state": {"train": None, "eval": {}}, "integrations": {},
                "metadata": {"composer_env_info": {"composer_version": "0.32.1", "node_world_size": 1}},
            },
            "rng": [{
                "python": (3, (1, 2, 3, 624), None), "numpy": ("MT19937", np.arange(4, dtype=np.uint32), 0, 0, 0.0),
                "torch": torch.zeros(8, dtype=torch.uint8)}],
        }
    write("composer", lambda n: f"ep0-ba{n}-rank0.pt", content, lambda value: value["state"]["model"],
          imitates="Composer 0.32.1")
    path = "fixtures/formats/composer/latest-rank0.pt"
    os.symlink(f"ep0-ba{STEPS[-1]}-rank0.pt", path)


def fairseq():
    def content(state, step, updates, epoch, at_end):
        return {
            "args": argparse.Namespace(arch="network", lr=[0.2], save_interval=1, data="data", no_epoch_checkpoints=False),
            "cfg": None, "model": state, "criterion": {},
            "optimizer_history": [{
                "criterion_name": "CrossEntropyCriterion", "optimizer_name": "FairseqSGD", "num_updates": updates,
                "lr_scheduler_state": {"best": None}}],
            "task_state": {},
            # At an epoch's end fairseq's iterator already counts the next one.
            "extra_state": {
                "metrics": collections.OrderedDict(),
                "train_iterator": {
                    "version": 2, "epoch": epoch + 1 if at_end else epoch,
                    "iterations_in_epoch": 0 if at_end else updates % 20, "shuffle": True},
                "val_loss": 3.456, "best": 3.456, "previous_training_time": 1.5},
            "last_optimizer_state": optimizer_state(step),
        }
    epochs = dict(zip((10, 20, 30, 40), EPOCHS))
    write("fairseq-epochs", lambda n: f"checkpoint{epochs[n]}.pt",
          lambda state, step, n: content(state, step, n, epochs[n], True), lambda value: value["model"], tuple(epochs),
          imitates="fairseq 0.12", counters={"epoch": EPOCHS, "train_iterator.epoch": [2, 3, 4, 5]})
    path = "fixtures/formats/fairseq-epochs"
    for name, step, n in (("last", STEPS[3], 40), ("best", STEPS[2], 30), (".best_loss_3.456", STEPS[2], 30)):
        name = f"checkpoint{name}" if name.startswith(".") else f"checkpoint_{name}"
        torch.save(content(state_dict(step), step, n, epochs[n], True), f"{path}/{name}.pt")
    updates = {0: 1, 10: 1, 20: 2, 30: 2}
    write("fairseq-updates", lambda n: f"checkpoint_{updates[n]}_{n}.pt",
          lambda state, step, n: content(state, step, n, updates[n], False), lambda value: value["model"],
          imitates="fairseq 0.12", counters={"epoch": list(updates.values())})
    torch.save(content(state_dict(STEPS[3]), STEPS[3], 30, 2, False), "fixtures/formats/fairseq-updates/checkpoint_last.pt")


def hugging_face():
    """Sharded and whole .bin folders by huggingface_hub, as transformers 4 wrote them."""
    import huggingface_hub
    for id, size in (("hf-bin", 10**6), ("hf-bin-sharded", 500)):
        path = folder(id)
        for step in STEPS:
            os.mkdir(f"{path}/checkpoint-{step}")
            save_torch_state_dict(state_dict(step), f"{path}/checkpoint-{step}", max_shard_size=size, safe_serialization=False)
            state = {}
            files = [name for name in os.listdir(f"{path}/checkpoint-{step}") if name.endswith(".bin")]
            assert (len(files) > 1) == (id == "hf-bin-sharded"), files
            for name in files:
                state |= torch.load(f"{path}/checkpoint-{step}/{name}")
            check_same({name: tensor.numpy() for name, tensor in state.items()}, weights(step), path)
        register(id, id, f"huggingface_hub {huggingface_hub.__version__} and {WRITER}", "step", STEPS, "conv1.weight")


if __name__ == "__main__":
    assert list(Network().state_dict()) == list(state_dict(0))
    bare()
    wrapped()
    trainers()
    hugging_face()
