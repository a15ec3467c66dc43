"""Opens figures in Altair, which checks them against the schema of Vega-Lite: python scripts/check-figures.py FOLDER

Writes nothing. Fails where a specification (*.vl.json) is not one that Altair takes, or where there is none.
"""

import json
import sys
from pathlib import Path

import altair


def check(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    chart = altair.Chart.from_json(text)
    again = chart.to_dict()
    wanted = json.loads(text)
    for part in ("params", "transform", "encoding", "mark", "layer"):
        if part in wanted and part not in again:
            raise SystemExit(f"{path}: Altair lost {part}")
    print(f"{path.name}: {type(chart).__name__}")


paths = sorted(Path(sys.argv[1]).glob("*.vl.json"))
if not paths:
    raise SystemExit(f"{sys.argv[1]} holds no *.vl.json")
for path in paths:
    check(path)
