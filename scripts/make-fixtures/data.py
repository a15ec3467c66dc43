"""Makes fixtures/data: small arrays as numpy and h5py write them. In all of them x[i, j] = i + j / 8 - 2 and
y[i] = i % 3, for 4 samples of 6 values, so that tests know every value by formula.

  NAME.npy              one array; NAME is its type and layout (float32, float64-big-endian, float16-fortran, ...)
  pair.npz, pair-deflated.npz   x float32, y int64, stored and compressed
  objects.npz           x float32, y pickled Python objects, z complex
  images.h5             images uint8 [4, 3, 2, 1] = 10 times the position, labels uint8, beside a group and text
  links.h5              images that is an external link into images.h5

Run from the project's root: python scripts/make-fixtures/data.py   (numpy, h5py)
"""

import os

import h5py
import numpy as np
from numpy.lib import format as npy_format

OUT = "fixtures/data"


def x(dtype):
    return (np.arange(4)[:, None] + np.arange(6)[None, :] / 8 - 2).astype(dtype)


def write_npy(name, array, version=None):
    with open(f"{OUT}/{name}.npy", "wb") as file:
        npy_format.write_array(file, array, version=version)


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    y = np.arange(4) % 3
    write_npy("float32", x("<f4"))
    write_npy("float32-fortran", np.asfortranarray(x("<f4").reshape(4, 3, 2)))
    write_npy("float64-big-endian", x(">f8"))
    write_npy("float16-fortran", np.asfortranarray(x("<f2")))
    write_npy("float32-version2", x("<f4"), (2, 0))
    write_npy("float32-version3", x("<f4"), (3, 0))
    for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
        write_npy(f"labels-{kind}", y.astype(kind))
    write_npy("labels-i4-big-endian", y.astype(">i4"))
    write_npy("bool", (y > 0))
    np.savez(f"{OUT}/pair.npz", x=x("<f4"), y=y)
    np.savez_compressed(f"{OUT}/pair-deflated.npz", x=x("<f4"), y=y)
    np.savez(f"{OUT}/objects.npz", x=x("<f4"), y=np.array([{}, 1, "a", None], dtype=object), z=x("<f4") * 1j)
    with h5py.File(f"{OUT}/images.h5", "w") as file:
        file.create_dataset("images", data=(10 * np.arange(24)).reshape(4, 3, 2, 1).astype(np.uint8), chunks=(1, 3, 2, 1), compression="gzip")
        file.create_dataset("labels", data=y.astype(np.uint8))
        file.create_dataset("half", data=x("<f2"))
        file.create_dataset("big", data=x(">f4"))
        file.create_dataset("mask", data=y > 0)
        file.create_dataset("names", data=np.array([b"a", b"b"]))
        file.create_group("group").create_dataset("inside", data=y)
    with h5py.File(f"{OUT}/links.h5", "w") as file:
        file["images"] = h5py.ExternalLink("images.h5", "images")
        file.create_dataset("labels", data=y)
