"""Formats without a trainer of their own: safetensors (whole, sharded, of other element types), numpy, the HDF5 of the
LCA paper's code, and the network itself exported at each step."""

import os

import h5py
import huggingface_hub
import numpy as np
import onnx
import safetensors
import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import load_file, save_file

from common import COUNTER, EPOCHS, FLOATS, STEPS, check_same, data, folder, narrowed, register, weights
from network import initializers, network, plain, state_dict

WRITER = f"safetensors {safetensors.__version__}"
NARROW = {
    "f16": torch.float16, "bf16": torch.bfloat16, "f8-e4m3": torch.float8_e4m3fn, "f8-e5m2": torch.float8_e5m2,
}


def arrays(state):
    return {name: tensor.numpy() for name, tensor in state.items()}


def safetensors_files():
    path = folder("safetensors")
    for step in STEPS:
        save_file(state_dict(step), f"{path}/step-{step:06d}.safetensors", metadata={"step": str(step)})
        check_same(arrays(load_file(f"{path}/step-{step:06d}.safetensors")), weights(step), path)
    register("safetensors", "safetensors", WRITER, "step", STEPS, "conv1.weight")

    path = folder("pythia-safetensors")
    for step in STEPS:
        os.mkdir(f"{path}/step{step}")
        save_file(state_dict(step), f"{path}/step{step}/model.safetensors", metadata={"format": "pt"})
    register("pythia-safetensors", "pythia-safetensors", f"{WRITER}, after Pythia's revisions", "step", STEPS, "conv1.weight")

    path = folder("hf-safetensors-sharded")
    for step in STEPS:
        os.mkdir(f"{path}/checkpoint-{step}")
        save_torch_state_dict(state_dict(step), f"{path}/checkpoint-{step}", max_shard_size=500)
        state = {}
        files = [name for name in os.listdir(f"{path}/checkpoint-{step}") if name.endswith(".safetensors")]
        assert len(files) > 1
        for name in files:
            state |= load_file(f"{path}/checkpoint-{step}/{name}")
        check_same(arrays(state), weights(step), path)
    register("hf-safetensors-sharded", "hf-safetensors-sharded", f"huggingface_hub {huggingface_hub.__version__} and {WRITER}",
             "step", STEPS, "conv1.weight")


def typed_safetensors():
    for name, dtype in {"f64": torch.float64, **NARROW}.items():
        id = f"safetensors-{name}"
        path = folder(id)
        read = {}
        for step in STEPS:
            state = {key: tensor.to(dtype) if key in FLOATS else tensor for key, tensor in state_dict(step).items()}
            save_file(state, f"{path}/step-{step:06d}.safetensors", metadata={"step": str(step)})
            back = load_file(f"{path}/step-{step:06d}.safetensors")
            read[step] = {key: back[key].double().numpy() for key in FLOATS}
            if name == "f64":
                check_same({key: array.astype(np.float32) for key, array in read[step].items()}, weights(step), path)
        if name == "f64":
            register(id, id, WRITER, "step", STEPS, "conv1.weight")
        else:
            narrowed(id, read)
            register(id, id, WRITER, "step", STEPS, "conv1.weight", values="narrowed")


def numpy_files():
    path = folder("npz")
    for step in STEPS:
        np.savez(f"{path}/step_{step}.npz", **arrays(state_dict(step)))
        with np.load(f"{path}/step_{step}.npz") as file:
            check_same(dict(file), weights(step), path)
    register("npz", "npz", f"numpy {np.__version__}", "step", STEPS, "conv1.weight")

    path = folder("npz-compressed")
    for epoch, step in zip(EPOCHS, STEPS):
        np.savez_compressed(f"{path}/epoch{epoch:02d}.npz", **weights(step))
    register("npz-compressed", "npz-compressed", f"numpy {np.__version__}", "epoch", EPOCHS, "conv1.weight")

    path = folder("npy")
    for step in STEPS:
        os.mkdir(f"{path}/step_{step}")
        for name, array in weights(step).items():
            # Two of them as Fortran arrays, which numpy keeps when it saves a transposed one.
            np.save(f"{path}/step_{step}/{name}.npy", np.asfortranarray(array) if name.startswith("fc") else array)
        check_same({name: np.load(f"{path}/step_{step}/{name}.npy") for name in FLOATS}, weights(step), path)
    register("npy", "npy", f"numpy {np.__version__}", "step", STEPS, "conv1.weight")


def paper_hdf5():
    path = folder("lca-hdf5")
    first = weights(STEPS[0])
    rows = [np.concatenate([array.ravel() for array in weights(step).values()]).astype(np.float64) for step in STEPS]
    with h5py.File(f"{path}/weights.h5", "w") as file:
        file.create_dataset("all_weights", data=np.stack(rows))
        file.attrs["var_names"] = np.bytes_(";".join(first))
        file.attrs["var_shapes"] = np.bytes_(";".join(str(array.shape) for array in first.values()))
    register("lca-hdf5", "lca-hdf5/weights.h5", f"h5py {h5py.__version__}", "save", range(len(STEPS)), "conv1.weight")


def onnx_files():
    x = torch.from_numpy(data()[0])
    options = {
        "dynamo": True, "optimize": False, "verbose": False, "input_names": ["x"], "output_names": ["logits"],
        "dynamic_shapes": ({0: torch.export.Dim("batch")},),
    }
    inside, outside, all_outside = folder("onnx"), folder("onnx-external"), folder("onnx-external-all")
    for step in STEPS:
        torch.onnx.export(network(step), (x,), f"{inside}/step-{step}.onnx", external_data=False, **options)
        plain(f"{inside}/step-{step}.onnx")
        # The exporter keeps small tensors inside; onnx's own function moves all of them out when told to.
        os.mkdir(f"{outside}/step-{step}")
        torch.onnx.export(network(step), (x,), f"{outside}/step-{step}/model.onnx", external_data=True, **options)
        plain(f"{outside}/step-{step}/model.onnx")
        os.mkdir(f"{all_outside}/step-{step}")
        onnx.save(onnx.load(f"{inside}/step-{step}.onnx"), f"{all_outside}/step-{step}/model.onnx", size_threshold=0,
                  save_as_external_data=True, location="model.onnx.data")
        for path in (f"{inside}/step-{step}.onnx", f"{outside}/step-{step}/model.onnx", f"{all_outside}/step-{step}/model.onnx"):
            check_same(initializers(path), weights(step), path)
    writer = f"torch {torch.__version__.split('+')[0]}"
    register("onnx", "onnx", writer, "step", STEPS, "conv1.weight")
    register("onnx-external", "onnx-external", writer, "step", STEPS, "conv1.weight")
    register("onnx-external-all", "onnx-external-all", f"{writer}, moved out by onnx {onnx.__version__}", "step", STEPS,
             "conv1.weight")


if __name__ == "__main__":
    assert set(state_dict(0)) == {*FLOATS, COUNTER}
    safetensors_files()
    typed_safetensors()
    numpy_files()
    paper_hdf5()
    onnx_files()
