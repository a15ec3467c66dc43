"""Layouts that need their own framework to put together, and are refused with a word on how to convert them.

torch.distributed and TorchScript save these themselves; DeepSpeed's and Megatron's, which need several processes or a
GPU, are imitated after their source.
"""

import argparse
import os

import torch
import torch.distributed.checkpoint as distributed

from common import OUT, check_same, folder, refuse, weights
from network import network, state_dict
from pytorch_files import optimizer_state

WRITER = f"torch {torch.__version__.split('+')[0]}"


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def torch_distributed():
    path = folder("refused", "torch-distributed")
    for step in (10, 20):
        distributed.save({"model": state_dict(step)}, checkpoint_id=f"{path}/step-{step}", no_dist=True)
        back = {"model": {name: torch.zeros_like(tensor) for name, tensor in state_dict(step).items()}}
        distributed.load(back, checkpoint_id=f"{path}/step-{step}", no_dist=True)
        check_same({name: tensor.numpy() for name, tensor in back["model"].items()}, weights(step), path)
    refuse("torch-distributed", "refused/torch-distributed", f"{WRITER}, torch.distributed.checkpoint",
           "python -m torch.distributed.checkpoint.format_utils dcp_to_torch step-10 step-10.pt")


def deepspeed():
    """ZeRO's third stage: the module's own tensors are empty, all numbers are in one flat vector of the optimizer's."""
    path = folder("refused", "deepspeed-zero", "checkpoint-10", "global_step10")
    state = state_dict(10)
    parameters = [name for name, _ in network(10).named_parameters()]
    flat = torch.cat([state[name].flatten() for name in parameters])
    module = {name: torch.empty(0) if name in parameters else tensor for name, tensor in state.items()}
    shapes = [{name: state[name].shape for name in parameters}]
    rank = "zero_pp_rank_0_mp_rank_00"
    torch.save({
        "module": module, "buffer_names": [name for name in state if name not in parameters], "optimizer": None,
        "param_shapes": shapes, "frozen_param_shapes": None, "frozen_param_fragments": None, "shared_params": {},
        "ds_config": {"zero_optimization": {"stage": 3}}, "ds_version": "0.19.8", "global_steps": 10, "dp_world_size": 1,
        "mp_world_size": 1,
    }, f"{path}/{rank}_model_states.pt")
    torch.save({
        "optimizer_state_dict": {"zero_stage": 3, "partition_count": 1, "fp32_flat_groups": [flat], "optimizer_state_dict": {}},
        "ds_config": {"zero_optimization": {"stage": 3}}, "ds_version": "0.19.8",
    }, f"{path}/{rank}_optim_states.pt")
    write(f"{os.path.dirname(path)}/latest", "global_step10")
    write(f"{os.path.dirname(path)}/zero_to_fp32.py", "# DeepSpeed puts its converter here: python zero_to_fp32.py . out\n")
    refuse("deepspeed-zero", "refused/deepspeed-zero", f"{WRITER}, after DeepSpeed 0.19, ZeRO stage 3",
           "python zero_to_fp32.py checkpoint-10 OUT")


def megatron():
    path = folder("refused", "megatron", "iter_0000010", "mp_rank_00")
    state = state_dict(10)
    torch.save({
        "args": argparse.Namespace(tensor_model_parallel_size=1, pipeline_model_parallel_size=1, iteration=10),
        "checkpoint_version": 3.0, "iteration": 10, "model": state, "optimizer": {"optimizer": optimizer_state(10)},
        "opt_param_scheduler": {"num_steps": 320}, "num_floating_point_operations_so_far": 0,
        "rng_state": [{"np_rng_state": None, "torch_rng_state": None}],
    }, f"{path}/model_optim_rng.pt")
    write(f"{OUT}/refused/megatron/latest_checkpointed_iteration.txt", "10")
    refuse("megatron", "refused/megatron", f"{WRITER}, after Megatron-LM", "Megatron's tools/checkpoint/convert.py")


def torchscript():
    path = folder("refused", "torchscript")
    torch.jit.trace(network(10), torch.zeros(1, 1, 6, 6), check_trace=False).save(f"{path}/step-10.pt")
    refuse("torchscript", "refused/torchscript", f"{WRITER}, torch.jit.save",
           "a program with its weights: torch.save(torch.jit.load(FILE).state_dict(), OUT)")


if __name__ == "__main__":
    torch_distributed()
    deepspeed()
    megatron()
    torchscript()
