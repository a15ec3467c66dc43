"""Makes fixtures/data/formats: small data sets as the libraries that people use write them, and `expected.npz` with the
arrays that these libraries read back.

  digits-*              12 images uint8 [12, 6, 5] and labels (MNIST's idx, plain and gzipped; Parquet; Arrow; CSV; safetensors)
  numbers.*             columns and nested lists of every element type
  photos.*, gray.*      HF datasets' image columns of PNG and JPEG; what PIL decodes them to
  hf/, hf-dict/         datasets.save_to_disk; shards/ are datasets' Parquet shards
  cifar-*               records of CIFAR-10 and CIFAR-100
  tokens.bin, gpt2.bin  nanoGPT's and llm.c's token files

Run from the project's root: python scripts/make-fixtures/data-formats.py
(made with numpy 2.4.6, pyarrow 26.0.1, pandas 3.1.1, pillow 13.0.0, safetensors 0.8.0, datasets 5.2.0)
"""

import gzip
import io
import os
import shutil
import struct
import zlib

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
from PIL import Image
from safetensors.numpy import save_file

OUT = "fixtures/data/formats"
random = np.random.default_rng(7)
expected = {}


def path(name):
    full = f"{OUT}/{name}"
    os.makedirs(os.path.dirname(full), exist_ok=True)
    return full


def write(name, data):
    with open(path(name), "wb") as file:
        file.write(data)


def idx(array):
    codes = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
    kind = array.dtype.str[1:]
    head = struct.pack(">HBB", 0, codes[kind], array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(f">{kind}").tobytes()


def gz(data):
    return gzip.compress(data, mtime=0)


def make_idx(images, labels):
    write("mnist/train-images-idx3-ubyte.gz", gz(idx(images)))
    write("mnist/train-labels-idx1-ubyte", idx(labels))
    write("mnist/t10k-images-idx3-ubyte", idx(images[:4]))
    write("mnist/t10k-labels-idx1-ubyte.gz", gz(idx(labels[:4])))
    write("emnist/emnist-train-images.idx3-ubyte", idx(images))
    write("emnist/emnist-train-labels.idx1-ubyte", idx(labels))
    for kind in ("i1", "i2", "i4", "f4", "f8"):
        write(f"idx/x-{kind}.idx", idx((np.arange(24).reshape(4, 6) - 2).astype(kind)))
    expected["idx"] = (np.arange(24).reshape(4, 6) - 2).astype(np.float64)


def make_tables(images, labels):
    flat = images.reshape(len(images), -1)
    # Every element type, in a column of numbers and one of lists.
    columns = {}
    for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"):
        wide = [np.iinfo(kind).max - i for i in range(12)] if "int" in kind else (np.arange(12) / 8 - 1)
        values = np.array(wide, kind)
        columns[kind] = pa.array(values)
        columns[f"list_{kind}"] = pa.array([list(row) for row in np.stack([values, values[::-1]], 1)], pa.list_(columns[kind].type))
        expected[f"numbers/{kind}"] = values
        expected[f"numbers/list_{kind}"] = np.stack([values, values[::-1]], 1)
    flags = np.arange(12) % 3 == 0
    columns["bool"] = pa.array(flags)
    expected["numbers/bool"] = flags
    columns["dictionary"] = pa.array(labels.astype(np.int64)).dictionary_encode()
    expected["numbers/dictionary"] = labels.astype(np.int64)
    columns["fixed"] = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])
    expected["numbers/fixed"] = flat
    columns["nested"] = pa.array(images.tolist(), pa.list_(pa.list_(pa.uint8())))
    columns["large"] = pa.array(images.tolist(), pa.large_list(pa.large_list(pa.uint8())))
    expected["numbers/nested"] = images
    expected["numbers/large"] = images
    # Columns that make no array, each for its own reason.
    columns["text"] = pa.array(["a"] * 12)
    columns["time"] = pa.array(np.arange(12), pa.timestamp("us"))
    columns["decimal"] = pa.array([1] * 12, pa.decimal128(10, 2))
    columns["null"] = pa.array([1, None] * 6, pa.int64())
    columns["null_list"] = pa.array([[1, 2]] * 7 + [[1, None]] * 5, pa.list_(pa.int64()))
    columns["ragged"] = pa.array([[1, 2]] * 5 + [[1, 2, 3]] * 7, pa.list_(pa.int64()))
    columns["short"] = pa.array([[1, 2]] * 5 + [[1]] * 7, pa.list_(pa.int64()))
    columns["ragged_nested"] = pa.array([[[1, 2], [3, 4]]] * 3 + [[[1, 2, 3], [4]]] * 9, pa.list_(pa.list_(pa.int64())))
    table = pa.table(columns)
    for codec in ("none", "snappy", "gzip", "brotli", "zstd", "lz4"):
        pq.write_table(table.select([c for c in columns if codec == "snappy" or c in ("nested", "float32", "int64", "bool", "uint8")]),
                       path(f"numbers-{codec}.parquet"), compression=codec, row_group_size=5, write_page_checksum=codec == "none")
    plain = [c for c in columns if c not in ("dictionary", "decimal", "time")]
    pq.write_table(table.select(plain), path("numbers-v2.parquet"), data_page_version="2.0", use_dictionary=False, data_page_size=64, write_page_checksum=True)
    pq.write_table(table.select(["float32", "float64", "int32", "int64", "list_float32", "list_int64"]), path("numbers-encoded.parquet"), use_dictionary=False,
                   column_encoding={"float32": "BYTE_STREAM_SPLIT", "float64": "BYTE_STREAM_SPLIT", "int32": "DELTA_BINARY_PACKED", "int64": "DELTA_BINARY_PACKED",
                                    "list_float32.list.element": "BYTE_STREAM_SPLIT", "list_int64.list.element": "DELTA_BINARY_PACKED"})
    for codec in ("uncompressed", "lz4", "zstd"):
        some = table if codec == "uncompressed" else table.select(["int16", "list_float64", "bool", "dictionary", "nested", "large", "fixed"])
        feather.write_feather(some, path(f"numbers-{codec}.arrow"), compression=codec, chunksize=5)
    stream_of = table.select(["int64", "list_float32", "bool", "dictionary", "nested", "large", "fixed"])
    with pa.ipc.new_stream(path("numbers-stream.arrow"), stream_of.schema) as stream:
        stream.write_table(stream_of.slice(3), max_chunksize=4)
    big = pa.table({"x": pa.array(np.repeat(np.arange(3, dtype=np.float32), 50000).reshape(-1, 1000).tolist(), pa.list_(pa.float32()))})
    feather.write_feather(big, path("repeats-lz4.arrow"), compression="lz4")
    expected["repeats"] = np.repeat(np.arange(3, dtype=np.float32), 50000).reshape(-1, 1000)


def make_digits(images, labels):
    flat = images.reshape(len(images), -1)
    frame = pd.DataFrame(flat, columns=[f"pixel{i}" for i in range(flat.shape[1])])
    frame.insert(0, "label", labels)
    frame.to_csv(path("digits.csv"), index=False)
    frame.to_csv(path("digits-indexed.tsv"), sep="\t")
    frame.to_csv(path("digits-bare.csv"), index=False, header=False)
    frame.set_index(pd.Index(np.arange(12) ** 2)).to_parquet(path("digits-indexed.parquet"))
    measures = pd.DataFrame({"width": np.arange(12) / 3, "height": 1e-7 * np.arange(12) - 2, "target": np.arange(12) * 0.1})
    measures.to_csv(path("measures.csv"), index=False)
    expected["measures"] = np.ascontiguousarray(measures[["width", "height"]])
    expected["measures/target"] = measures["target"].to_numpy()
    save_file({"x": images, "y": labels.astype(np.int64)}, path("digits.safetensors"))
    np.savez(path("digits.npz"), x=images, y=labels)


def photo(height, width):
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([columns * 9 % 256, rows * 7 % 256, rows * columns % 256], -1).astype(np.uint8)
    image[3:6, 2:9] = [255, 0, 10]
    image[7:11, 5:15] = random.integers(0, 256, (4, 10, 3))
    return Image.fromarray(image)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def interlaced(array):
    """A PNG in Adam7, which PIL reads and does not write."""
    rows = b""
    for row, column, down, right in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)):
        part = array[row::down, column::right]
        if part.size:
            rows += b"".join(b"\0" + line.tobytes() for line in part)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 8, 2, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def make_images(images, labels):
    colour = photo(13, 18)
    files = {
        "png": encoded(colour, "PNG"),
        "png-palette": encoded(colour.quantize(5), "PNG"),
        "png-palette-256": encoded(colour.quantize(256), "PNG"),
        "png-alpha": encoded(colour.convert("RGBA"), "PNG"),
        "png-interlaced": interlaced(np.asarray(colour)),
        "jpeg-420": encoded(colour, "JPEG", quality=75),
        "jpeg-422": encoded(colour, "JPEG", quality=90, subsampling=1),
        "jpeg-444": encoded(colour, "JPEG", quality=95, subsampling=0),
        "jpeg-progressive": encoded(colour, "JPEG", quality=80, progressive=True),
        "jpeg-optimized": encoded(colour, "JPEG", quality=50, optimize=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"),
    }
    gray = {
        "png": encoded(colour.convert("L"), "PNG"),
        "png-1": encoded(colour.convert("1"), "PNG"),
        "png-alpha": encoded(colour.convert("LA"), "PNG"),
        "jpeg": encoded(colour.convert("L"), "JPEG", quality=75),
    }
    for name, kinds, mode in (("photos", files, "RGB"), ("gray", gray, "L")):
        column = pa.array([{"bytes": data, "path": None} for data in kinds.values()], pa.struct({"bytes": pa.binary(), "path": pa.string()}))
        table = pa.table({"image": column, "label": pa.array(np.arange(len(kinds)) % 3)})
        pq.write_table(table, path(f"{name}.parquet"), row_group_size=3)
        feather.write_feather(table, path(f"{name}.arrow"), compression="zstd")
        expected[name] = np.stack([np.asarray(Image.open(io.BytesIO(data)).convert(mode)) for data in kinds.values()])
    refused = {
        "png-16": encoded(Image.fromarray(np.arange(234, dtype=np.uint16).reshape(13, 18)), "PNG"),
        "jpeg-cmyk": encoded(colour.convert("CMYK"), "JPEG"),
        "webp": encoded(colour, "WEBP"),
    }
    for name, data in {**files, **refused}.items():
        if name in refused or name in ("png", "jpeg-420"):
            write(f"images/{name}", data)
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(num_classes=10)})
    rows = {"img": [Image.fromarray(image) for image in images], "label": labels.tolist()}
    data = datasets.Dataset.from_dict(rows, features=features)
    data.save_to_disk(path("hf"), num_shards=2)
    datasets.DatasetDict({"train": data, "test": data.select(range(4))}).save_to_disk(path("hf-dict"))
    os.makedirs(path("shards"), exist_ok=True)
    for split, chosen in (("train", data), ("test", data.select(range(4)))):
        for part in range(2):
            chosen.shard(2, part, contiguous=True).to_parquet(path(f"shards/{split}-{part:05}-of-00002.parquet"))
    arrays = datasets.Features({"pixel_values": datasets.Array3D((1, 6, 5), "float32"), "labels": datasets.Value("int64")})
    values = (images[:, None] / np.float32(255)).astype(np.float32)
    datasets.Dataset.from_dict({"pixel_values": values, "labels": labels.tolist()}, features=arrays).save_to_disk(path("hf-arrays"))
    expected["hf-arrays"] = values


def make_cifar():
    """One record in each file."""
    batches, labels = [], []
    for batch in range(1, 6):
        image = random.integers(0, 256, (1, 3072), dtype=np.uint8)
        image[:, 64:] = image[:, 64:] // 64  # most of it small numbers, so that the folder packs well
        label = np.array([3 * batch % 10], np.uint8)
        write(f"cifar-10-batches-bin/data_batch_{batch}.bin", np.concatenate([label[:, None], image], 1).tobytes())
        batches.append(image)
        labels.append(label)
    write("cifar-10-batches-bin/test_batch.bin", np.concatenate([labels[0][:, None], batches[0]], 1).tobytes())
    expected["cifar10"] = np.concatenate(batches).reshape(-1, 3, 32, 32)
    expected["cifar10/y"] = np.concatenate(labels)
    fine = np.array([99], np.uint8)
    coarse = np.array([19], np.uint8)
    record = np.concatenate([coarse[:, None], fine[:, None], batches[1]], 1)
    write("cifar-100-binary/train.bin", record.tobytes())
    write("cifar-100-binary/test.bin", record.tobytes())
    expected["cifar100"] = batches[1].reshape(-1, 3, 32, 32)
    expected["cifar100/y"] = fine
    expected["cifar100/coarse"] = coarse


def make_tokens():
    tokens = random.integers(0, 50257, 103)
    tokens.astype(np.uint16).tofile(path("tokens.bin"))
    header = np.zeros(256, np.int32)
    header[:3] = [20240520, 1, len(tokens)]
    write("gpt2.bin", header.tobytes() + tokens.astype(np.uint16).tobytes())
    header[:3] = [20240801, 7, len(tokens)]
    write("llama3.bin", header.tobytes() + tokens.astype(np.uint32).tobytes())
    np.save(path("tokens.npy"), tokens)
    expected["tokens"] = tokens


def make_transforms(images):
    """torchvision's Normalize after ToTensor, step by step in float32 (functional._functional_tensor.normalize)."""
    scaled = images.astype(np.float32) / np.float32(255)
    expected["transform/gray"] = (scaled - np.float32(0.1307)) / np.float32(0.3081)
    colour = expected["cifar10"].astype(np.float32) / np.float32(255)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in ([0.4914, 0.4822, 0.4465], [0.247, 0.243, 0.261]))
    expected["transform/colour"] = (colour - mean) / std


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    images = random.integers(0, 256, (12, 6, 5), dtype=np.uint8)
    labels = random.integers(0, 10, 12).astype(np.uint8)
    make_idx(images, labels)
    make_tables(images, labels)
    make_digits(images, labels)
    make_images(images, labels)
    make_cifar()
    make_tokens()
    make_transforms(images)
    np.savez_compressed(path("expected.npz"), **expected)
