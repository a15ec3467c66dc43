"""Makes fixtures/trajectory: small checkpoints as PyTorch, safetensors and h5py write them, and what they hold.

  dtypes.pt, dtypes.protocol4.pt, dtypes.protocol5.pt
                        a state_dict of every element type, of views (transposed, sliced, expanded) and of tensors that
                        share a storage
  parameters.pt         nn.Parameter objects under 'model' beside an optimizer state, sets, bytes and large numbers
  module.pt             a whole pickled nn.Module: refused
  evil.pt               a pickle that would call os.system: refused
  legacy.pt             PyTorch's format from before 1.6
  big-endian.pt         a byteorder entry 'big': refused
  sparse.pt             a sparse tensor: refused
  float8.pt             8-bit floats beside float32
  deflated.pt           dtypes.pt packed again by a zip tool, with compression
  dtypes.safetensors    the same tensors (without the views), and 8-bit floats
  lca.h5                three saves in the layout of the LCA paper's code
  expected.json         the values of all of these as Python reads them (float32 and narrower widened to float64),
                        and facts about all float16 and bfloat16 bit patterns

Run from the project's root: python scripts/make-fixtures/trajectory.py   (PyTorch 2.13, safetensors, h5py, numpy)
"""

import collections
import json
import os
import zipfile

import h5py
import numpy as np
import torch
from safetensors.torch import save_file

OUT = "fixtures/trajectory"
EXPECTED = {}


def values(tensor):
    tensor = tensor.detach()
    if tensor.dtype.is_floating_point:
        return {"shape": list(tensor.shape), "values": tensor.double().flatten().tolist()}
    return {"shape": list(tensor.shape), "values": None}


def expect(name, tensors):
    EXPECTED[name] = {key: values(tensor) for key, tensor in tensors.items()}


def plain_tensors():
    torch.manual_seed(3)
    base = torch.randn(2, 3)
    return {
        "double": base.double() / 3,
        "float": base.clone(),
        "half": base.half(),
        "bfloat": base.bfloat16(),
        "long": torch.tensor([[1, -2**62]]),
        "int": torch.tensor([7], dtype=torch.int32),
        "short": torch.tensor([-7], dtype=torch.int16),
        "char": torch.tensor([-7], dtype=torch.int8),
        "byte": torch.tensor([7], dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
    }


def views():
    storage = torch.arange(24, dtype=torch.float32)
    cube = storage.view(2, 3, 4)
    return {
        "whole": storage,
        "transposed": torch.arange(6, dtype=torch.float64).view(2, 3).t(),
        "permuted": cube.permute(2, 0, 1),
        "sliced": cube[:, 1:, ::2],
        "tail": storage[20:],
        "expanded": torch.tensor([[1.0], [2.0]]).expand(2, 3),
        "channels_last": torch.arange(16, dtype=torch.float32).view(1, 4, 2, 2).contiguous(memory_format=torch.channels_last),
    }


class Evil:
    def __reduce__(self):
        return os.system, ("echo run",)


def save_torch():
    state = collections.OrderedDict({**plain_tensors(), **views()})
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    for name, protocol in (("dtypes", 2), ("dtypes.protocol4", 4), ("dtypes.protocol5", 5)):
        torch.save({"step": 5, "state_dict": state}, f"{OUT}/{name}.pt", pickle_protocol=protocol)
        expect(f"{name}.pt", state)
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    extras = {
        "optimizer": optimizer.state_dict(), "epoch": 12, "big": 2**200, "negative": -5, "bytes": b"\x00\xff",
        "set": {1, 2}, "frozen": frozenset({"a"}), "device": torch.device("cpu"), "size": torch.Size([1, 2]),
        "dtype": torch.float32, "default": collections.defaultdict(list, {"a": [1]}), "none": None, "loss": 0.25,
    }
    torch.save({"model": dict(network.named_parameters()), **extras}, f"{OUT}/parameters.pt")
    expect("parameters.pt", dict(network.named_parameters()))
    torch.save(network, f"{OUT}/module.pt")
    torch.save({"state_dict": state, "hook": Evil()}, f"{OUT}/evil.pt")
    torch.save({"a": torch.ones(2)}, f"{OUT}/legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"a": torch.eye(2).to_sparse()}, f"{OUT}/sparse.pt")
    torch.save({"a": torch.ones(2).to(torch.float8_e4m3fn), "b": torch.ones(2)}, f"{OUT}/float8.pt")
    repack("dtypes.pt", "big-endian.pt", zipfile.ZIP_STORED, {"byteorder": b"big"})
    repack("dtypes.pt", "deflated.pt", zipfile.ZIP_DEFLATED, {})
    expect("deflated.pt", state)


def repack(source, target, method, replaced):
    with zipfile.ZipFile(f"{OUT}/{source}") as old, zipfile.ZipFile(f"{OUT}/{target}", "w", method) as new:
        for name in old.namelist():
            data = replaced.get(name.split("/")[-1], old.read(name))
            new.writestr(zipfile.ZipInfo(name), data, method)


def save_safetensors():
    tensors = {**plain_tensors(), "float8": torch.ones(2).to(torch.float8_e5m2)}
    save_file(tensors, f"{OUT}/dtypes.safetensors", metadata={"global_step": "17", "format": "pt"})
    expect("dtypes.safetensors", {key: tensor for key, tensor in tensors.items() if key != "float8"})
    bits = torch.from_numpy(np.arange(65536, dtype=np.uint16).view(np.int16))
    for name, dtype in (("half", torch.float16), ("bfloat", torch.bfloat16)):
        wide = bits.view(dtype).float().numpy()
        # Sums over finite values by class of exponent are enough to tell any wrong pattern.
        finite = wide[np.isfinite(wide)].astype(np.float64)
        EXPECTED.setdefault("float16", {})[name] = {
            "nan": int(np.isnan(wide).sum()), "infinite": int(np.isinf(wide).sum()),
            "smallest": float(finite[finite > 0].min()), "largest": float(finite.max()),
            "at": {str(i): float(wide[i]) for i in (0, 1, 2, 0x03FF, 0x0400, 0x3C01, 0x7BFF, 0x8001, 0xFBFF, 0x3F80, 0x0080)},
            "sum_of_float32_bits": int(wide[~np.isnan(wide)].view(np.uint32).astype(np.uint64).sum()),
        }


def save_lca():
    random = np.random.RandomState(5)
    weights = random.randn(3, 2 * 3 + 3)
    with h5py.File(f"{OUT}/lca.h5", "w") as file:
        file.create_dataset("all_weights", data=weights, chunks=(1, 4), compression="gzip")
        file.attrs["var_names"] = np.bytes_("net/fc_1/kernel:0;net/fc_1/bias:0")
        file.attrs["var_shapes"] = np.bytes_("(2, 3);(3,)")
    EXPECTED["lca.h5"] = [
        {"net/fc_1/kernel:0": row[:6].tolist(), "net/fc_1/bias:0": row[6:].tolist()} for row in weights
    ]


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    save_torch()
    save_safetensors()
    save_lca()
    with open(f"{OUT}/expected.json", "w") as file:
        json.dump(EXPECTED, file, indent=1)
        file.write("\n")
