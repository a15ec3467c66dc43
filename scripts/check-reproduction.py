"""Recomputes results of docs/reproduction.md in PyTorch, in float64, and prints how far they are apart.

    python scripts/check-reproduction.py RESULTS RUN fc|conv [--every N] [--intervals 0,5,...]

RUN is what record-reproduction.py wrote, RESULTS what `retrograd run` made of it. Compared are the loss at every N-th
checkpoint, and LCA by layer in some intervals, by Simpson's rule at the points that the replay took, with the number of
parameters that help. Needs torch, numpy, pandas, pyarrow and safetensors. Exit status 1 when something is off by more
than float32 explains.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Callable

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

reproduction = importlib.import_module("record-reproduction")

Weights = dict[str, torch.Tensor]

LOSS, LAYER = 1e-6, 1e-4
"""Limits: of a loss; of a layer's LCA in an interval, as a share of the sum of all layers' |LCA| in it."""
PIECE = 10_000
"""Samples that are computed at once where BatchNorm does not tie them together."""


class Reference:
    """The loss of one split and its gradient, in float64. BatchNorm as in training: statistics of each micro-batch."""

    def __init__(self, name: str, run: Path, split: str, batch: int):
        with np.load(run / f"{split}.npz") as arrays:
            x, y = reproduction.recorder.tensors((arrays["images"], arrays["labels"]))
        self.x, self.y, self.batch, self.run = x.double(), y, batch, run
        self.model = reproduction.RUNS[name].network().double().train()

    def weights(self, step: int) -> Weights:
        """The trained weights of a checkpoint: running statistics are of no account to the loss."""
        stored = load_file(self.run / "checkpoints" / f"step-{step:06d}.safetensors")
        return {name: stored[name].double() for name, _ in self.model.named_parameters()}

    def load(self, weights: Weights) -> None:
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(weights[name])

    def sums(self, after: Callable[[torch.Tensor], None]) -> float:
        total = 0.0
        for first in range(0, len(self.x), self.batch):
            piece = slice(first, first + self.batch)
            loss = F.cross_entropy(self.model(self.x[piece]), self.y[piece], reduction="sum")
            after(loss)
            total += loss.item()
        return total / len(self.x)

    def loss(self, weights: Weights) -> float:
        self.load(weights)
        with torch.no_grad():
            return self.sums(lambda loss: None)

    def gradient(self, weights: Weights) -> Weights:
        self.load(weights)
        self.model.zero_grad()
        self.sums(lambda loss: loss.backward())
        return {name: parameter.grad / len(self.x) for name, parameter in self.model.named_parameters()}

    def lca(self, step_from: int, step_to: int, splits: int) -> Weights:
        """LCA of each parameter by composite Simpson over `splits` equal parts of the straight segment."""
        start, end = self.weights(step_from), self.weights(step_to)
        integral = {name: torch.zeros_like(value) for name, value in start.items()}
        for point in range(splits + 1):
            weight = 1 if point in (0, splits) else 4 if point % 2 else 2
            at = point / splits
            gradient = self.gradient({name: start[name] + at * (end[name] - start[name]) for name in start})
            for name, value in gradient.items():
                integral[name] += weight / (3 * splits) * value
        return {name: (end[name] - start[name]) * integral[name] for name in start}


def check_losses(reference: Reference, steps: pd.DataFrame, every: int) -> float:
    """The largest distance of a loss."""
    chosen = steps.iloc[::every]
    off = [abs(reference.loss(reference.weights(row.step_from)) - row.loss_from) for row in chosen.itertuples()]
    last = steps.iloc[-1]
    off.append(abs(reference.loss(reference.weights(last.step_to)) - last.loss_to))
    return max(off)


def check_interval(reference: Reference, row: object, tensors: pd.DataFrame) -> tuple[float, float, int]:
    """Largest distance of a layer's LCA; sum of layers' |LCA|; distance of the number of parameters that help."""
    found = tensors.groupby("layer").lca.sum()
    exact: dict[str, float] = {}
    helping = 0
    for name, values in reference.lca(row.step_from, row.step_to, row.splits).items():
        layer = name.rpartition(".")[0]
        exact[layer] = exact.get(layer, 0.0) + values.sum().item()
        helping += int((values < 0).sum())
    expected = pd.Series(exact)
    return (found - expected).abs().max(), expected.abs().sum(), abs(helping - row.helping)


def spread(steps: pd.DataFrame) -> list[int]:
    """First, last and three intervals between, and the one with the largest residual."""
    evenly = np.linspace(0, len(steps) - 1, 5).astype(int)
    return sorted({*evenly.tolist(), int(steps.residual.abs().to_numpy().argmax())})


def parse() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description="Holds results against PyTorch in float64.")
    arguments.add_argument("results", type=Path, help="folder that retrograd run wrote")
    arguments.add_argument("run", type=Path, help="folder that record-reproduction.py wrote")
    arguments.add_argument("name", choices=[*reproduction.RUNS])
    arguments.add_argument("--every", type=int, default=10, help="compare the loss at every N-th checkpoint [10]")
    arguments.add_argument("--intervals", help="intervals, by commas [five evenly spread, and the largest residual]")
    return arguments.parse_args()


def main() -> None:
    chosen = parse()
    torch.set_num_threads(1)
    options = json.loads((chosen.results / "manifest.json").read_text())["options"]
    batch = options["batch_size"] if options["batchnorm"] == "batch" else PIECE
    steps, tensors = (pd.read_parquet(chosen.results / table) for table in ("steps", "tensors"))
    wrong = False
    for split in steps["split"].unique():
        reference = Reference(chosen.name, chosen.run, split, batch)
        rows = steps[steps.split == split].sort_values("interval").reset_index(drop=True)
        worst = check_losses(reference, rows, chosen.every)
        wrong |= worst > LOSS
        print(f"{split}: the loss at every {chosen.every}. checkpoint is PyTorch's within {worst:.1e}\n")
        print("| interval | splits | layers' \\|LCA\\| | a layer's LCA off by at most | of that | helping off by |")
        print("|---|---|---|---|---|---|")
        trained = tensors[(tensors.split == split) & (tensors.role != "buffer")]
        intervals = [int(text) for text in chosen.intervals.split(",")] if chosen.intervals else spread(rows)
        for interval in intervals:
            row = rows.loc[interval]
            distance, scale, helping = check_interval(reference, row, trained[trained.interval == interval])
            wrong |= distance > LAYER * scale
            share = f"{distance:.1e} | {distance / scale:.1e} | {helping:,} of {row.parameters:,} |"
            print(f"| {row.step_from} to {row.step_to} | {row.splits} | {scale:.4f} | {share}", flush=True)
        print()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
