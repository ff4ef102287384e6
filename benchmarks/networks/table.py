"""Every cell and connection after the same time with as many weights: how good, how fast.

    python benchmarks/networks/table.py tinyshakespeare.txt [--time 60s] [--parameters 1000000]

Widths are chosen so that all have about the same number of weights; nothing else is given. Exact
nats per character of the last tenth of the text.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from charlm.cells import CELLS
from charlm.model import NUM_SPECIALS, count_parameters
from charlm.training import model_shape

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from runs import run

DEEP: dict[str, dict[str, Any]] = {
    "lstm, 3 layers": {"num_layers": 3},
    "lstm, 3 layers, residual": {"num_layers": 3, "connect": "residual"},
    "lstm, 3 layers, highway": {"num_layers": 3, "connect": "highway"},
    "lstm, 3 layers, skip": {"num_layers": 3, "connect": "skip"},
    "lstm, transitions 2 deep": {"transition_depth": 2},
    "rnn, transitions 3 deep": {"cell": "rnn", "transition_depth": 3},
    "lstm, one-hot": {"embedding": "one-hot"},
    "lstm, 2 mogrifier rounds": {"mogrifier_steps": 2},
}
NETWORKS = {**{cell: {"cell": cell} for cell in CELLS}, **DEEP}


def width(settings: dict[str, Any], num_symbols: int, parameters: int) -> int:
    """The hidden size whose number of weights comes nearest; a multiple of 8."""
    return min(
        range(16, 4096, 8),
        key=lambda size: abs(count(settings, num_symbols, size) - parameters),
    )


def count(settings: dict[str, Any], num_symbols: int, size: int) -> int:
    """The weights of a model so wide."""
    shape = model_shape(settings, num_symbols + NUM_SPECIALS, size)
    return sum(part.count for part in count_parameters(shape))


def main() -> None:
    """Train each network, or those named, and print a row as it ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NETWORKS))
    parser.add_argument("--time", default="60s")
    parser.add_argument("--parameters", type=int, default=1_000_000)
    options = parser.parse_args()
    num_symbols = len(set(options.text.read_text(encoding="utf-8")))
    print("| network | units | weights | nats per character | steps | tokens/s |")
    print("| --- " * 6 + "|", flush=True)
    for name in options.names or NETWORKS:
        settings = NETWORKS[name]
        size = width(settings, num_symbols, options.parameters)
        flags = [str(options.text), "--split", "90/10/0", "--time", options.time]
        for setting, value in {**settings, "hidden_size": size}.items():
            flags += [f"--{setting.replace('_', '-')}", str(value)]
        outcome = run(flags)
        print(
            f"| {name} | {size} | {outcome.parameters:,} | {outcome.nats:.3f} | {outcome.steps:,} "
            f"| {outcome.tokens_per_second:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
