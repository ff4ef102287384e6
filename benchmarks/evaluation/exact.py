"""Is evaluation exact, and how long does it take?

python benchmarks/evaluation/exact.py CHECKPOINT

CHECKPOINT is a word model of the Penn Treebank. Prints the total surprisal of its test part by
charlm, by a loop over single tokens and with other windows and batches; seconds of frames read
together and one by one; and seconds with an untrained LSTM of 2 x 650.
"""

import sys
import time
from dataclasses import replace
from itertools import pairwise

import torch

import charlm
from charlm.api import Evaluator
from charlm.checkpoint import Checkpoint
from charlm.evaluation import NetworkPredictor, reading
from charlm.model import LanguageModel, ModelConfig


class OneByOne(NetworkPredictor):
    """The same network, which takes one row at a time."""

    max_rows = 1


def main() -> None:
    """Measure, and print as it goes."""
    checkpoint = charlm.load(sys.argv[1], "cpu").checkpoint
    stream = Evaluator(checkpoint, context="stream")
    tokens = stream.split("test")
    found, seconds = timed(lambda: stream.measure("test", tokens).evaluation)
    print(f"{found.num_tokens:,} tokens, {found.num_other:,} <other>")
    print(f"perplexity {found.perplexity:.4f}")
    print(f"charlm            {found.total_nats:.3f} nats  {seconds:.1f} s")
    nats, seconds = timed(lambda: loop(checkpoint, tokens.tokens))
    print(f"single tokens     {nats:.3f} nats  {seconds:.1f} s")
    for window in (64, 2048):
        reading.WINDOW = window
        again, seconds = timed(lambda: stream.measure("test", tokens).evaluation)
        print(f"window {window:<10} {again.total_nats:.3f} nats  {seconds:.1f} s")
    reading.WINDOW = 512

    frames = Evaluator(checkpoint, context="frame")
    together, fast = timed(lambda: frames.measure("test", tokens).evaluation)
    single = frames.with_predictor(OneByOne(checkpoint.model))
    apart, slow = timed(lambda: single.measure("test", tokens).evaluation)
    print(f"frames, batched   {together.total_nats:.3f} nats  {fast:.1f} s")
    print(f"frames, singly    {apart.total_nats:.3f} nats  {slow:.1f} s")
    print(f"                  {slow / fast:.1f} times as long")

    sizes = ModelConfig(
        vocab_size=checkpoint.tokenizer.vocab_size,
        hidden_size=650,
        embedding_size=650,
        num_layers=2,
    )
    large = Evaluator(replace(checkpoint, model=LanguageModel(sizes)), context="stream")
    _, seconds = timed(lambda: large.measure("test", tokens))
    print(f"2 x 650           {len(tokens):,} tokens in {seconds:.1f} s")


def timed(work):
    """Its result, and how long it took."""
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


@torch.no_grad()
def loop(checkpoint: Checkpoint, tokens) -> float:
    """Total nats, one token at a time."""
    model, start = checkpoint.model, checkpoint.tokenizer.start_id
    state, total = model.initial_state(1), 0.0
    for token, target in pairwise(tokens.tolist()):
        logits, state = model.step(torch.tensor([token]), state)
        if target != start:
            total -= float(logits.double().log_softmax(-1)[0, target])
    return total


if __name__ == "__main__":
    main()
