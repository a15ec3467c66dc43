"""Makes fixtures/trajectory/float8.json: what each of the 256 patterns of every 8-bit float means, by ml_dtypes.

Numbers are exact; what JSON has no number for is text as JavaScript prints it.

Run from the project's root: python scripts/make-fixtures/float8.py   (ml_dtypes 0.6.0, numpy)
"""

import json
import math

import ml_dtypes
import numpy as np

TYPES = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"]
PATTERNS = np.arange(256, dtype=np.uint8)


def as_json(value):
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


table = {
    name: [as_json(float(value)) for value in PATTERNS.view(getattr(ml_dtypes, name)).astype(np.float64)]
    for name in TYPES
}
with open("fixtures/trajectory/float8.json", "w") as file:
    json.dump(table, file)
