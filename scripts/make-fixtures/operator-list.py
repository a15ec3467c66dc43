"""Writes fixtures/onnx/operators.json: every operator of ai.onnx in opsets 11 to 26, as the onnx package knows it.

For each: the versions that were or became valid in those opsets, whether ONNX defines it by a graph of others, and
its attributes, inputs (? optional, * variadic) and outputs in the newest version with what they hold ("real" where
real numbers are allowed). Operators that were deprecated by then are listed with the opset that did so.
Needs onnx. Run from the project's root: python scripts/make-fixtures/operator-list.py
"""
import json
import os

import onnx
from onnx.defs import OpSchema

OLDEST, NEWEST = 11, 26
REAL = {"tensor(float16)", "tensor(float)", "tensor(double)", "tensor(bfloat16)"}


def kind_of(value):
    """What a formal input or output holds: real, number, bool, string, sequence, optional."""
    types = set(value.types)
    if types & REAL:
        return "real"
    if any(name.startswith("seq(") for name in types):
        return "sequence"
    if any(name.startswith("optional(") for name in types):
        return "optional"
    if types == {"tensor(bool)"}:
        return "bool"
    if types == {"tensor(string)"}:
        return "string"
    return "number"


def described(schema):
    option = lambda value: {"optional": "?", "variadic": "*"}.get(value.option.name.lower(), "")
    side = lambda values: [f"{value.name}{option(value)}: {kind_of(value)}" for value in values]
    return {"inputs": side(schema.inputs), "outputs": side(schema.outputs), "attributes": sorted(schema.attributes)}


versions = {}
for schema in onnx.defs.get_all_schemas_with_history():
    if schema.domain == "" and schema.since_version <= NEWEST:
        versions.setdefault(schema.name, []).append(schema)

operators, deprecated = {}, {}
for name, schemas in sorted(versions.items()):
    schemas.sort(key=lambda schema: schema.since_version)
    before = [schema for schema in schemas if schema.since_version <= OLDEST][-1:]
    known = before + [schema for schema in schemas if schema.since_version > OLDEST]
    newest = known[-1]
    if newest.deprecated:
        deprecated[name] = newest.since_version
        continue
    operators[name] = {
        "versions": [schema.since_version for schema in known],
        "function": bool(newest.has_function or newest.has_context_dependent_function),
        **described(newest),
    }

os.makedirs("fixtures/onnx", exist_ok=True)
with open("fixtures/onnx/operators.json", "w") as file:
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(facts)}" for name, facts in operators.items())
    file.write(f'{{"onnx": "{onnx.__version__}", "opsets": [{OLDEST}, {NEWEST}], "deprecated": {json.dumps(deprecated)}, "operators": {{\n{lines}\n}}}}\n')
print(f"{len(operators)} operators, {len(deprecated)} deprecated ones")
