"""A training step of each cell beside nn.LSTM's, 1 x 256 on characters, in float32.

    python benchmarks/networks/cells.py [--hidden-size 256] [--device cuda]

The windows are random tokens; contestants take turns, and each time is the median of many.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from charlm.cells import CELLS
from charlm.device import choose_device, synchronize
from charlm.model import LanguageModel, ModelConfig
from charlm.training import Learner, TrainingConfig

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from random_text import random_windows

VOCAB_SIZE = 68


def plain_lstm(size: int, training: TrainingConfig, device: torch.device) -> Callable[[], object]:
    """What everyone writes: an embedding, nn.LSTM, a tied linear layer, AdamW."""
    embedding, lstm = nn.Embedding(VOCAB_SIZE, size), nn.LSTM(size, size, batch_first=True)
    head = nn.Linear(size, VOCAB_SIZE)
    head.weight = embedding.weight
    modules = nn.ModuleList([embedding, lstm, head]).to(device)
    optimizer = torch.optim.AdamW(modules.parameters(), lr=1e-3)
    shape = training.batch_size, training.bptt
    tokens = torch.randint(VOCAB_SIZE, shape, device=device)

    def step() -> None:
        optimizer.zero_grad()
        logits = head(lstm(embedding(tokens))[0])
        nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
        nn.utils.clip_grad_norm_(modules.parameters(), 1.0)
        optimizer.step()

    return step


def main() -> None:
    """Take turns and print a row each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device, size = choose_device(options.device), options.hidden_size
    training = TrainingConfig(steps=10**6, batch_size=32, bptt=64)
    steps = {"nn.LSTM": plain_lstm(size, training, device)}
    for cell in CELLS:
        shape = ModelConfig(
            vocab_size=VOCAB_SIZE, cell=cell, hidden_size=size, embedding_size=size, dropout=0
        )
        learner = Learner(
            LanguageModel(shape).to(device), random_windows(shape, training), training
        )
        steps[cell] = learner.advance
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(options.rounds + 2):
        for name, step in steps.items():
            synchronize(device)
            start = time.perf_counter()
            step()
            synchronize(device)
            if round_ >= 2:  # the first ones warm up
                seconds[name].append(time.perf_counter() - start)
    plain = statistics.median(seconds["nn.LSTM"])
    print("| cell | ms a step | times nn.LSTM |\n| --- | --- | --- |")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"| {name} | {1000 * median:.1f} | {median / plain:.2f} |")


if __name__ == "__main__":
    main()
