"""Straight against killed and resumed training: every cell, depth and width, in fresh processes.

    python benchmarks/resume.py [--threads 1] [--workers 2] [--steps 12]

Every cell with 1, 2 and 3 layers of 8, 72 and 130 units; tokenizers and directions come by turns.
One process trains to the end; another is killed one step after its first validation, which saved
it, and so loses that step; the next goes on from there. A run in both directions is killed so in
each half. The weights must be the same bytes. Prints a table by cell, and each run that differs.
"""

import argparse
import itertools
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charlm.training import TrainingRun

TALES = Path(__file__).parents[1] / "corpora" / "tales.txt"
LAYERS, SIZES = (1, 2, 3), (8, 72, 130)
LEVELS, DIRECTIONS = ("char", "word", "byte", "bpe"), ("forward", "backward", "both")
VALID_EVERY = 4
LOST_STEP = VALID_EVERY + 1  # after which a run is killed
WEIGHTS = ("model.safetensors", "backward/model.safetensors")


@dataclass(frozen=True, slots=True)
class Network:
    """What is trained."""

    cell: str
    num_layers: int
    hidden_size: int
    level: str
    direction: str

    @property
    def settings(self) -> dict[str, Any]:
        """As `prepare_run` takes them."""
        more = {"vocab_size": 300} if self.level in ("word", "bpe") else {}
        return {
            "cell": self.cell,
            "num_layers": self.num_layers,
            "hidden_size": self.hidden_size,
            "level": self.level,
            "direction": self.direction,
            "batch_size": 8,
            "bptt": 16,
            "valid_every": VALID_EVERY,
            "dropout": 0.2,
            **more,
        }


def networks() -> list[Network]:
    """All cells, depths and widths; the pairs of tokenizer and direction come by turns."""
    from charlm.cells import CELLS

    pairs = itertools.cycle(itertools.product(LEVELS, DIRECTIONS))
    shapes = itertools.product(CELLS, LAYERS, SIZES)
    found = [Network(*shape, *pair) for shape, pair in zip(shapes, pairs, strict=False)]
    return [n for n in found if "jordan" not in n.cell or n.num_layers == 1]


def train(network: Network, folder: Path, corpus: Path, steps: int, killed: str) -> None:
    """Train in this process; be killed in the half named `killed`, if it is one."""
    import torch

    from charlm.training import prepare_run, resume_backward, resume_run

    cpu = torch.device("cpu")
    if folder.exists():
        prepared = resume_run(folder, cpu)
        assert prepared.run.progress.step == VALID_EVERY
    else:
        given = {**network.settings, "paths": (str(corpus),), "steps": steps}
        prepared = prepare_run(given, folder, cpu)
    if prepared.run.folder == folder:
        train_half(prepared.run, killed == "first half")
        if network.direction != "both":
            return
        backward = resume_backward(folder, cpu)
        assert backward is not None
        prepared = backward
    train_half(prepared.run, killed == "second half")


def train_half(run: "TrainingRun", is_killed: bool) -> None:
    """Train to the end, or be killed."""
    from charlm.training import Step

    for event in run.events():
        if is_killed and isinstance(event, Step) and event.step == LOST_STEP:
            os.kill(os.getpid(), signal.SIGKILL)


def compare(network: Network, options: argparse.Namespace) -> bool:
    """Train straight, and killed and resumed; return whether all weights are the same bytes."""
    with tempfile.TemporaryDirectory() as work:
        corpus = Path(work, "tales.txt")
        corpus.write_text(TALES.read_text(encoding="utf-8")[:20_000], encoding="utf-8")
        environment = os.environ | {
            "CHARLM_CACHE": f"{work}/cache",
            "OMP_NUM_THREADS": str(options.threads),
        }
        kills = ["first half"] + ["second half"] * (network.direction == "both")
        runs = [("straight", "none"), *(("resumed", half) for half in kills), ("resumed", "none")]
        for name, killed in runs:
            fields = map(str, network_fields(network))
            child = [name, killed, str(options.steps), *fields]
            done = subprocess.run(
                [sys.executable, __file__, "--child", *child],
                cwd=work,
                env=environment,
                capture_output=True,
                text=True,
            )
            expected = 0 if killed == "none" else -signal.SIGKILL
            assert done.returncode == expected, (network, killed, done.stderr)
        straight, resumed = Path(work, "straight"), Path(work, "resumed")
        own = [name for name in WEIGHTS if (straight / name).exists()]
        assert len(own) == (2 if network.direction == "both" else 1)
        return all((straight / n).read_bytes() == (resumed / n).read_bytes() for n in own)


def network_fields(network: Network) -> tuple[Any, ...]:
    """Return the values that make a `Network`, in order."""
    return tuple(getattr(network, name) for name in Network.__slots__)


def main() -> None:
    """Compare all, several at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, killed, steps, cell, layers, size, level, direction = options.child
        network = Network(cell, int(layers), int(size), level, direction)
        train(network, Path(name), Path("tales.txt"), int(steps), killed)
        return
    all_networks = networks()
    with ThreadPoolExecutor(options.workers) as pool:
        same = list(pool.map(lambda network: compare(network, options), all_networks))
    print("| cell | compared | same bytes |\n| --- | --- | --- |")
    for cell in dict.fromkeys(network.cell for network in all_networks):
        own = [s for s, network in zip(same, all_networks, strict=True) if network.cell == cell]
        print(f"| {cell} | {len(own)} | {sum(own)} |")
    print(f"| all | {len(same)} | {sum(same)} |")
    for equal, network in zip(same, all_networks, strict=True):
        if not equal:
            print(f"differs: {network}")
    sys.exit(not all(same))


if __name__ == "__main__":
    main()
