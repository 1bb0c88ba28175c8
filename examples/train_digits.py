"""Train a small convolutional network on handwritten digits, without normalization and with each of eight.

The network is plain NumPy (examples/digits), the normalizations are fastnorm.nn. All begin with the same weights and
get the same batches. Prints a table and writes a picture.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from threadpoolctl import threadpool_limits

import fastnorm as fn
from digits.figure import Runs, correlations, draw, off_diagonal
from digits.network import METHODS
from digits.training import Data, Run, load, train

RATES = (0.05, 0.7)  # a moderate and a high learning rate
GOAL = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("train-digits.png"), metavar="FILE.png")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3, help="how many initializations")
    parser.add_argument("--quick", action="store_true", help="two epochs of one seed")
    options = parser.parse_args()
    epochs, seeds = (2, 1) if options.quick else (options.epochs, options.seeds)

    console = Console(width=110)
    data = load()
    # Matrices this small are no work for two threads, of NumPy's BLAS in particular.
    with fn.threads(1), threadpool_limits(1), Progress(console=console, transient=True) as bar:
        task = bar.add_task("training", total=1.0)
        runs = train(data, RATES, range(seeds), epochs, lambda done: bar.update(task, completed=done))
    console.print(make_table(runs, epochs, seeds))
    print_looks_inside(console, runs, data)
    draw(runs, RATES, data).savefig(options.output)
    console.print(f"picture: {options.output}", highlight=False, soft_wrap=True)


def make_table(runs: Runs, epochs: int, seeds: int) -> Table:
    title = f"{epochs} epochs, {seeds} initialization{'s' * (seeds > 1)}, one thread"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("normalization")
    for rate in RATES:
        table.add_column(f"learning rate {rate:g}:\ntest accuracy", justify="right")
        table.add_column(f"epochs\nto {GOAL:.0%}", justify="right")
    table.add_column("processor time\nof a step", justify="right")
    for method in METHODS:
        both = [runs[method.title, rate] for rate in RATES]
        cells = [cell for group in both for cell in (accuracy(group), epochs_to_goal(group))]
        seconds = np.median([second for group in both for run in group for second in run.seconds])
        table.add_row(method.title, *cells, f"{1e3 * seconds:.1f} ms")
    return table


def accuracy(group: list[Run]) -> str:
    """Median of the final accuracies, and their range."""
    final = [100 * run.accuracies[-1] for run in group]
    spread = f" ({min(final):.1f} to {max(final):.1f})" if len(final) > 1 else ""
    return f"{np.median(final):.1f} %{spread}"


def epochs_to_goal(group: list[Run]) -> str:
    """After which epoch the median of the accuracies has come to the goal."""
    medians = np.median([run.accuracies for run in group], axis=0)
    return str(int(np.argmax(medians >= GOAL)) + 1) if (medians >= GOAL).any() else "-"


def print_looks_inside(console: Console, runs: Runs, data: Data) -> None:
    growth = [np.median([run.growth[-1] for run in runs["weight norm", rate]]) for rate in RATES]
    console.print(f"weight norm: ‖v‖ has grown to {growth[0]:.3f} and {growth[1]:.3f} of its first value")
    off = {
        title: np.median([off_diagonal(correlations(run, data)) for run in runs[title, RATES[0]]])
        for title in ("none", "batch norm", "batch whitening")
    }
    sizes = ", ".join(f"{title} {size:.3f}" for title, size in off.items())
    console.print(f"mean |correlation| of different channels at learning rate {RATES[0]:g}: {sizes}")


if __name__ == "__main__":
    main()
