"""Cost of reproducible matrix products: training and writing under several values of MKL_CBWR.

    python benchmarks/reproducibility.py [--rounds 12]

One process for each value, all alive at once; they work in turn, a few steps at a time, so that a
machine whose speed drifts is the same for all. Ratios are of medians, to the first value: MKL's
default.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

MODES = ("", "AUTO", "AVX2", "AUTO,STRICT")  # the first is MKL's default
TALES = Path(__file__).parents[1] / "corpora" / "tales.txt"
STEPS, TOKENS = 4, 400  # in each turn


def workloads() -> dict[str, Callable[[], object]]:
    """Name and one turn of each workload."""
    import torch

    from charlm.data import make_epochs
    from charlm.model import LanguageModel, ModelConfig, fastest_steps
    from charlm.text import TextConfig, build_tokenizer
    from charlm.training import Learner, TrainingConfig

    text = TALES.read_text(encoding="utf-8")
    found: dict[str, Callable[[], object]] = {}
    for level, size, layers, bptt in (("char", 512, 1, 64), ("word", 650, 2, 35)):
        tokenizer = build_tokenizer(TextConfig(level=level), [text])
        model = LanguageModel(
            ModelConfig(
                vocab_size=tokenizer.vocab_size,
                embedding_size=size,
                hidden_size=size,
                num_layers=layers,
            )
        )
        windows = make_epochs(
            torch.tensor(tokenizer.encode(text)).numpy().astype("uint32"),
            batch_size=32,
            bptt=bptt,
            start_id=tokenizer.start_id,
            independent_frames=False,
        )
        training = TrainingConfig(steps=10**6, batch_size=32, bptt=bptt)
        learner = Learner(model, windows, training)
        name = f"{layers}x{size} {level}s"
        found[f"train {name}"] = lambda learner=learner: learner.take_steps(STEPS)
        steps = fastest_steps(model.eval(), torch.get_num_threads())

        def write(steps=steps, vocab_size=tokenizer.vocab_size) -> None:
            state, token = steps.initial_state(1), torch.zeros(1, dtype=torch.long)
            with torch.inference_mode():
                for number in range(TOKENS):
                    logits, state = steps.step(token, state)
                    token = logits.argmax(-1) if number % 2 else token

        found[f"write {name}"] = write
    return found


def work() -> None:
    """Do one turn of the workload named on each line of standard input; answer with its seconds."""
    turns = workloads()
    print(*turns, sep="\t", flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        turns[line.strip()]()
        print(time.perf_counter() - began, flush=True)


def start_worker(mode: str) -> subprocess.Popen[str]:
    """A process of its own for a value; a worker's idle threads must not spin beside the others."""
    environment = os.environ | {"MKL_CBWR": mode, "OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, __file__, "--work"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return
    workers = {mode: start_worker(mode) for mode in MODES}
    for worker in workers.values():  # each says what it can do when it is ready
        names = worker.stdout.readline().strip().split("\t")
    print(f"| workload | {' | '.join(mode or 'not set' for mode in MODES)} |")
    print("| --- " * (len(MODES) + 1) + "|")
    for name in names:
        seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
        for number in range(options.rounds + 1):
            for mode, worker in workers.items():
                worker.stdin.write(f"{name}\n")
                worker.stdin.flush()
                taken = float(worker.stdout.readline())
                if number:  # the first round warms up
                    seconds[mode].append(taken)
        medians = {mode: statistics.median(taken) for mode, taken in seconds.items()}
        ratios = {
            mode: statistics.median(a / b for a, b in zip(taken, seconds[MODES[0]], strict=True))
            for mode, taken in seconds.items()
        }
        per = STEPS if name.startswith("train") else TOKENS
        cells = [f"{1000 * medians[m] / per:.2f} ms, {ratios[m]:.3f}" for m in MODES]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()


if __name__ == "__main__":
    main()
