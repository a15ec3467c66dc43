"""Opens a results folder with pandas, polars, DuckDB and pyarrow and holds it against the schema and its own identities.

    python scripts/check-tables.py DIR          (numpy, pandas, polars, duckdb, pyarrow)

DIR may be a tree of many runs (retrograd batch): then every run is checked, and that the readers take the tree for one
table with a column `run`.

Prints a line for each check. Exit status 1 when one fails.
"""

import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

import table_sums

KEY = [("split", "string"), ("interval", "int32"), ("step_from", "int64"), ("step_to", "int64")]
SCHEMA = {
    "steps": KEY
    + [(name, "double") for name in ("loss_from", "loss_to", "loss_change", "lca", "residual", "rest", "first_order")]
    + [("splits", "int32"), ("evaluations", "int32"), ("converged", "bool")]
    + [(name, "int64") for name in ("parameters", "helping", "hurting", "still")]
    + [(name, "double") for name in ("update_norm", "gradient_norm", "cosine", "cosine_movement")]
    + [(name, "double") for name in ("lca_se", "loss_change_se")]
    + [("step_unit", "string")],
    "tensors": KEY
    + [("tensor", "string"), ("layer", "string"), ("role", "string"), ("parameters", "int64")]
    + [(name, "double") for name in ("lca", "lca_helping", "lca_hurting")]
    + [(name, "int64") for name in ("helping", "hurting", "still")]
    + [(name, "double") for name in ("first_order", "update_norm", "gradient_norm", "cosine", "cosine_previous")]
    + [(name, "double") for name in ("cosine_movement", "weight_norm", "lca_se")],
    "units": KEY
    + [("tensor", "string"), ("unit", "int32"), ("lca", "double"), ("helping", "int64"), ("hurting", "int64")]
    + [("first_order", "double")],
    "parameters": KEY + [("tensor", "string"), ("shape", "list<int32>"), ("lca", "list<float>")],
    "totals": [("split", "string"), ("tensor", "string"), ("index", "int32"), ("unit", "int32"), ("lca", "double")]
    + [(name, "int32") for name in ("helped", "hurt", "lca_flips", "movement_flips", "gradient_flips")]
    + [(name, "double") for name in ("undone", "movement", "path_length", "fisher")],
}
ORDER = {
    "steps": ["split", "interval"],
    "tensors": ["split", "interval", "tensor"],
    "units": ["split", "interval", "tensor", "unit"],
    "parameters": ["split", "interval", "tensor"],
    "totals": ["split", "tensor", "index"],
}
ALWAYS = ("steps", "tensors", "totals")
MANIFEST_KEYS = (
    "schema status created finished retrograd options model data checkpoints tensors result tables".split()
)

SUM_TOLERANCE = 1e-9
"""Of the sum of absolute values: float64 sums taken in another order."""
FLOAT32_TOLERANCE = 1e-6
"""The same for sums of the parameters table, which stores float32."""

failures = 0


def check(holds: bool, claim: str) -> None:
    global failures
    failures += not holds
    print("ok   " if holds else "WRONG", claim)


def type_name(arrow: pa.DataType) -> str:
    """Arrow's name of a type; a list by its elements' type, whatever the elements are called."""
    return f"list<{arrow.value_type}>" if pa.types.is_list(arrow) else str(arrow)


def check_schema(folder: Path, table: str) -> None:
    for path in sorted(folder.glob("part-*.parquet")):
        schema = pq.read_schema(path)
        found = [(field.name, type_name(field.type)) for field in schema]
        check(found == SCHEMA[table], f"{table}/{path.name}: names and types of the {len(SCHEMA[table])} columns")
        check(not any(field.nullable for field in schema), f"{table}/{path.name}: no column is nullable")
        metadata = schema.metadata or {}
        facts = json.loads(metadata.get(b"retrograd", b"null"))
        named = metadata.get(b"retrograd.table", b"").decode()
        check(isinstance(facts, dict) and named == table, f"{table}/{path.name}: metadata hold the run's facts")


def sorted_lca(frame: pd.DataFrame, table: str) -> np.ndarray:
    """The column lca in the table's order; a table of lists flattened."""
    frame = frame.sort_values(ORDER[table], kind="stable")
    lca = frame["lca"].to_list() if table == "parameters" else None
    if lca is None:
        return frame["lca"].to_numpy(np.float64)
    return np.concatenate([np.asarray(row, np.float32) for row in lca]) if lca else np.empty(0, np.float32)


def read_all(folder: Path, table: str) -> pd.DataFrame:
    """The table by pyarrow, after holding the other readers' lca against it bit for bit."""
    columns, files = [*ORDER[table], "lca"], f"{folder}/part-*.parquet"
    arrow = ds.dataset(folder, format="parquet").to_table().to_pandas()
    readers = {
        "pandas": lambda: pd.read_parquet(folder, columns=columns),
        "polars": lambda: pd.DataFrame({s.name: s.to_numpy() for s in pl.read_parquet(files, columns=columns)}),
        "duckdb": lambda: duckdb.sql(f"SELECT {', '.join(columns)} FROM read_parquet('{files}')").df(),
    }
    expected = sorted_lca(arrow, table)
    for name, read in readers.items():
        found = sorted_lca(read(), table)
        same = found.dtype == expected.dtype and found.tobytes() == expected.tobytes()
        check(same, f"{table}: {name} and pyarrow read the same {len(expected)} values of lca, bit for bit")
    return arrow


def check_close(found: pd.Series, expected: pd.Series, scale: pd.Series, tolerance: float, claim: str) -> None:
    """Sums by key: equal within `tolerance` times the sum of absolute values. A key without rows counts as zero."""
    table = pd.DataFrame({"found": found, "expected": expected, "scale": scale}).fillna(0.0)
    distance = ((table.found - table.expected).abs() / table.scale.where(table.scale > 0, 1.0)).max()
    check(bool(distance <= tolerance), f"{claim} (off by {distance:.1e} of the sum of absolute values)")


def check_sums(tables: dict[str, pd.DataFrame]) -> None:
    steps, tensors = tables["steps"], tables["tensors"]
    interval, tensor = ["split", "interval"], ["split", "interval", "tensor"]
    by_interval = tensors.groupby(interval).lca
    absolute = tensors.lca_hurting.sub(tensors.lca_helping).groupby([tensors.split, tensors.interval]).sum()
    check_close(
        by_interval.sum(), steps.set_index(interval).lca, absolute, SUM_TOLERANCE, "steps.lca is the sum over tensors"
    )
    keyed = tensors.set_index(tensor)
    scale = keyed.lca_hurting - keyed.lca_helping
    halves = keyed.lca_hurting + keyed.lca_helping
    check_close(halves, keyed.lca, scale, SUM_TOLERANCE, "tensors.lca is lca_helping plus lca_hurting")
    if "units" in tables:
        units = tables["units"].groupby(tensor).lca.sum()
        check_close(units, keyed.lca, scale, SUM_TOLERANCE, "tensors.lca is the sum over units")
    if "parameters" in tables:
        rows = tables["parameters"].set_index(tensor)
        sums = rows.lca.map(lambda row: float(np.sum(row, dtype=np.float64)))
        check_close(sums, keyed.lca, scale, FLOAT32_TOLERANCE, "tensors.lca is the sum over parameters")
        whole = all(len(row) == np.prod(shape) for row, shape in zip(rows.lca, rows["shape"]))
        check(whole, "parameters.lca holds a value for each element of shape")
    totals = tables["totals"].groupby("split").lca.sum()
    check_close(
        totals,
        steps.groupby("split").lca.sum(),
        absolute.groupby("split").sum(),
        SUM_TOLERANCE,
        "the sum of totals is the sum of steps",
    )


def check_identities(tables: dict[str, pd.DataFrame]) -> None:
    for name in ("steps", "tensors"):
        table = tables[name]
        counted = table.helping + table.hurting + table.still
        check(bool((counted == table.parameters).all()), f"{name}: helping + hurting + still is parameters")
    steps = tables["steps"]
    scale = steps[["loss_from", "loss_to"]].abs().max(axis=1).clip(lower=1.0)
    for left, right, claim in (
        (steps.residual, steps.lca - steps.loss_change, "residual is lca - loss_change"),
        (steps.loss_change, steps.loss_to - steps.loss_from, "loss_change is loss_to - loss_from"),
    ):
        check(bool(((left - right).abs() <= 1e-12 * scale).all()), f"steps: {claim}")


def check_manifest(path: Path, folders: dict[str, Path], tables: dict[str, pd.DataFrame]) -> None:
    manifest = json.loads(path.read_text())
    check(manifest.get("schema") == 3, "manifest.json: schema 3")
    check(all(key in manifest for key in MANIFEST_KEYS), "manifest.json: all keys are there")
    check({entry["name"] for entry in manifest["tables"]} == set(tables), "manifest.json: names the tables there are")
    for entry in manifest["tables"]:
        files = list(folders[entry["name"]].glob("part-*.parquet"))
        found = (len(tables[entry["name"]]), len(files), sum(file.stat().st_size for file in files))
        check(found == (entry["rows"], entry["parts"], entry["bytes"]), f"manifest.json: size of {entry['name']}")


def check_run(folders: dict[str, Path], manifest: Path) -> dict[str, pd.DataFrame]:
    """One run by the folders of its tables; returns the tables."""
    check(all(name in folders for name in ALWAYS), f"tables: {', '.join(folders)}")
    for name, folder in folders.items():
        check_schema(folder, name)
    tables = {name: read_all(folder, name) for name, folder in folders.items()}
    for name, folder in folders.items():
        for holds, claim in table_sums.claims(folder, name) if name in table_sums.GROUPS else ():
            check(holds, claim)
    if failures == 0:
        check_sums(tables)
        check_identities(tables)
        check_manifest(manifest, folders, tables)
    return tables


def plain(run: object) -> str:
    """A run's name as it can be compared: readers take 007 for the number 7, or for text."""
    return str(int(str(run))) if str(run).isdecimal() else str(run)


def by_run(frame: pd.DataFrame, table: str) -> dict[str, bytes]:
    """The bytes of lca by run."""
    return {plain(run): sorted_lca(rows, table).tobytes() for run, rows in frame.groupby("run", observed=True)}


def check_tree_table(folder: Path, table: str, runs: dict[str, pd.DataFrame]) -> None:
    """All runs of a table read as one, by each reader: the rows of each run are those of its own files."""
    columns, files = [*ORDER[table], "lca", "run"], f"{folder}/**/*.parquet"
    expected = {plain(run): sorted_lca(frame, table).tobytes() for run, frame in runs.items()}
    polars = lambda: pl.scan_parquet(files, hive_partitioning=True).select(columns).collect()
    readers = {
        "pyarrow": lambda: ds.dataset(folder, format="parquet", partitioning="hive").to_table(columns=columns).to_pandas(),
        "pandas": lambda: pd.read_parquet(folder, columns=columns),
        "polars": lambda: pd.DataFrame({s.name: s.to_numpy() for s in polars()}),
        "duckdb": lambda: duckdb.sql(
            f"SELECT {', '.join(columns)} FROM read_parquet('{files}', hive_partitioning = true)"
        ).df(),
    }
    for name, read in readers.items():
        check(by_run(read(), table) == expected, f"{table}: {name} reads {len(runs)} runs as one table, bit for bit")


def check_tree(root: Path) -> None:
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    for manifest in sorted(root.glob("runs/*/manifest.json")):
        run = manifest.parent.name
        print(f"run {run}")
        folders = {name: root / name / f"run={run}" for name in SCHEMA}
        found = check_run({name: folder for name, folder in folders.items() if folder.is_dir()}, manifest)
        for name, frame in found.items():
            tables.setdefault(name, {})[run] = frame
    for name, runs in tables.items():
        check({path.name for path in (root / name).iterdir()} == {f"run={run}" for run in runs}, f"{name}: runs of manifests")
        check_tree_table(root / name, name, runs)


def main() -> None:
    root = Path(sys.argv[1])
    if (root / "manifest.json").exists():
        check_run({name: root / name for name in SCHEMA if (root / name).is_dir()}, root / "manifest.json")
    else:
        check((root / "runs").is_dir(), "a results folder, or a tree of runs")
        check_tree(root)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
