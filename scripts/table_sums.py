"""Sums of lca by group in pandas, polars, DuckDB and pyarrow, each computed by the tool itself in two ways.

Exact: every value times 2^100 is an integer (rounded where the value is below 2^-47, about 1e-14), and a sum of integers
does not depend on its order. docs/dataframes.md shows the same. And by the tool's own sum of floating point numbers, whose
last digits do depend on the order.
"""

import math
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

BITS = 100
SCALE = 2.0**BITS
UNIT_ROUNDOFF = 2.0**-53
GROUPS = {
    "steps": ["split"],
    "tensors": ["split", "layer"],
    "units": ["split", "tensor"],
    "parameters": ["split", "tensor"],
    "totals": ["split", "tensor"],
}


class Sums(NamedTuple):
    """By group: integers in units of 2^-100, and floating point numbers."""

    exact: dict[tuple[str, ...], int]
    own: dict[tuple[str, ...], float]


def pandas_values(folder: Path, table: str) -> pd.DataFrame:
    """A row for each value; those of lists one after the other."""
    frame = pd.read_parquet(folder, columns=[*GROUPS[table], "lca"])
    return frame.explode("lca").astype({"lca": np.float64}) if table == "parameters" else frame


def pandas_sums(folder: Path, table: str) -> Sums:
    keys = GROUPS[table]
    groups = pandas_values(folder, table).groupby(as_key(keys)).lca
    exact = {key: sum(round(value * SCALE) for value in lca.tolist()) for key, lca in groups}
    return Sums({as_tuple(key): total for key, total in exact.items()}, {as_tuple(k): v for k, v in groups.sum().items()})


def polars_sums(folder: Path, table: str) -> Sums:
    frame = pl.scan_parquet(f"{folder}/part-*.parquet")
    frame = frame.explode("lca") if table == "parameters" else frame
    lca = pl.col("lca").cast(pl.Float64)
    sums = frame.group_by(GROUPS[table]).agg((lca * SCALE).round().cast(pl.Int128).sum().alias("exact"), lca.sum().alias("own"))
    return by_key(sums.collect().rows())


def duckdb_sums(folder: Path, table: str) -> Sums:
    lca = "unnest(lca)::double" if table == "parameters" else "lca"
    names = ", ".join(GROUPS[table])
    rows = duckdb.sql(
        f"with t as (select {names}, {lca} as lca from read_parquet('{folder}/part-*.parquet')) "
        f"select {names}, sum((lca * 2^{BITS})::hugeint), sum(lca) from t group by {names}"
    ).fetchall()
    return by_key(rows)


def pyarrow_sums(folder: Path, table: str) -> Sums:
    keys = GROUPS[table]
    rows = ds.dataset(folder, format="parquet").to_table(columns=[*keys, "lca"])
    if table == "parameters":
        values = pc.list_flatten(rows["lca"]).cast(pa.float64())
        rows = rows.select(keys).take(pc.list_parent_indices(rows["lca"])).append_column("lca", values)
    exact = pc.round(pc.multiply(rows["lca"], SCALE)).cast(pa.decimal256(76, 0))
    sums = rows.append_column("exact", exact).group_by(keys).aggregate([("exact", "sum"), ("lca", "sum")])
    columns = [sums[name].to_pylist() for name in (*keys, "exact_sum", "lca_sum")]
    return by_key(list(zip(*columns)))


TOOLS = {"pandas": pandas_sums, "polars": polars_sums, "duckdb": duckdb_sums, "pyarrow": pyarrow_sums}


def as_key(keys: list[str]) -> str | list[str]:
    return keys[0] if len(keys) == 1 else keys


def as_tuple(key: object) -> tuple[str, ...]:
    return key if isinstance(key, tuple) else (str(key),)


def by_key(rows: list[tuple]) -> Sums:
    return Sums({row[:-2]: int(row[-2]) for row in rows}, {row[:-2]: row[-1] for row in rows})


def rounded(total: int) -> float:
    """The float that is nearest to an exact sum."""
    return float(Fraction(total, 2**BITS))


def claims(folder: Path, table: str) -> list[tuple[bool, str]]:
    """What must hold of the sums of a table, each with whether it does."""
    sums = {tool: of(folder, table) for tool, of in TOOLS.items()}
    groups = pandas_values(folder, table).groupby(as_key(GROUPS[table])).lca
    fsums = {as_tuple(key): math.fsum(lca) for key, lca in groups}
    by = f"{table}: sums of lca by {', '.join(GROUPS[table])}"
    found = [(one.exact == sums["pandas"].exact, f"{by}, exact, are {tool}'s and pandas's") for tool, one in sums.items()][1:]
    same = {key: rounded(total) for key, total in sums["pandas"].exact.items()} == fsums
    found.append((same, f"{by}, exact, rounded to a float, are those of math.fsum in all {len(fsums)} groups"))
    return found + [own_claim(tool, one.own, fsums, groups, by) for tool, one in sums.items()]


def own_claim(tool: str, own: dict, fsums: dict, groups, by: str) -> tuple[bool, str]:
    """A tool's own sum is off by no more than sums of n values can be in any order: n roundings of the sum of absolute values."""
    distances, limits = [], []
    for key, lca in groups:
        scale = math.fsum(lca.abs()) or 1.0
        distances.append(abs(own[as_tuple(key)] - fsums[as_tuple(key)]) / scale)
        limits.append(len(lca) * UNIT_ROUNDOFF)
    within = own.keys() == fsums.keys() and all(one <= limit for one, limit in zip(distances, limits))
    equal = sum(own[key] == total for key, total in fsums.items())
    return within, (
        f"{by}, {tool}'s own: {equal} of {len(fsums)} to the last digit, "
        f"the others within {max(distances):.1e} of the sum of absolute values"
    )
