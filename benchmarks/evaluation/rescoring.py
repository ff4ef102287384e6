"""Rescoring and tuning 1,000 n-best lists of 100 hypotheses, beside a loop over single texts.

python benchmarks/evaluation/rescoring.py TEXT      TEXT, words in lines, is what was really said
"""

import argparse
import random
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from charlm.api import LoadedModel
from charlm.checkpoint import Checkpoint, CheckpointConfig
from charlm.data import CorpusConfig, NbestEntry
from charlm.evaluation import (
    FIRST_PASS,
    RescoringConfig,
    count_errors,
    count_units,
    make_lists,
    measure_rankings,
    minimize_errors,
)
from charlm.model import LanguageModel, ModelConfig
from charlm.text import TextConfig
from charlm.text.words import WordTokenizer

NUM_UTTERANCES = 1000
NUM_HYPOTHESES = 100
NUM_WORDS = 10  # of an utterance
VOCAB_SIZE = 10_000
MAX_EDITS = 5
SAMPLE = 200  # hypotheses that the loop is timed on


def make_hypotheses(words: list[str]) -> tuple[list[NbestEntry], list[str]]:
    """Entries in lists, and what each should have been: the more edits, the lower its score."""
    draw = random.Random(1)
    vocabulary = sorted(set(words))
    entries, meant = [], []
    for number in range(NUM_UTTERANCES):
        begin = draw.randrange(len(words) - NUM_WORDS)
        reference = words[begin : begin + NUM_WORDS]
        for _ in range(NUM_HYPOTHESES):
            num_edits = draw.randint(0, MAX_EDITS)
            hypothesis = list(reference)
            for _ in range(num_edits):
                place = draw.randrange(len(hypothesis))
                # One word less, one more, or another one.
                hypothesis[place : place + draw.randint(0, 1)] = draw.choice(
                    [[], [draw.choice(vocabulary)]]
                )
            score = -0.5 * num_edits - 0.5 * len(hypothesis) + draw.gauss(0, 1.5)
            entries.append(NbestEntry(f"u{number}", score, " ".join(hypothesis), len(entries) + 1))
            meant.append(" ".join(reference))
    return entries, meant


def untrained(words: list[str]) -> LoadedModel:
    """One LSTM layer of 512 units and 10,000 words: speed does not depend on the weights."""
    torch.manual_seed(1)
    others = [f"<{number}>" for number in range(VOCAB_SIZE)]  # in case the text has fewer
    text = TextConfig(level="word", pretokenized=True)
    tokenizer = WordTokenizer.build([" ".join(words + others)], VOCAB_SIZE, pretokenized=True)
    shape = ModelConfig(vocab_size=tokenizer.vocab_size, hidden_size=512, embedding_size=512)
    corpus = CorpusConfig(paths=("-",), frame="line")
    config = CheckpointConfig(
        text=text, corpus=corpus, corpus_sha256="", tokenizer_sha256="", model=shape
    )
    return LoadedModel(Checkpoint(Path("-"), config, tokenizer, LanguageModel(shape).eval()))


def loop_log_probs(lm: LoadedModel, texts: list[str]) -> list[float]:
    """nn.LSTM called once a text under no_grad, log_softmax, sum; the model's own weights."""
    config = lm.model.config
    embedding = nn.Embedding.from_pretrained(lm.model.body.embedding.weight.detach())
    lstm = nn.LSTM(config.embedding_size, config.hidden_size, batch_first=True)
    (layer,) = lm.model.body.stack.recurrent_layers()
    for name, weight in layer.fused.named_parameters():
        getattr(lstm, name).data.copy_(weight)
    log_probs = []
    for text in texts:
        ids = [lm.tokenizer.start_id, *lm.tokenizer.encode(text), lm.tokenizer.stop_id]
        tokens = torch.tensor([ids])
        with torch.no_grad():
            hidden, _ = lstm(embedding(tokens[:, :-1]))
            rows = lm.model.head.projection(hidden).log_softmax(-1)
            log_probs.append(rows.gather(-1, tokens[:, 1:, None]).sum().item())
    return log_probs


def tune(name: str, entries: list[NbestEntry], meant: list[str], log_probs: np.ndarray) -> None:
    """Errors, then the search; what it does for them."""
    texts = [entry.text for entry in entries]
    start = time.perf_counter()
    errors = count_errors(texts, meant, "word")
    counted = time.perf_counter()
    lists = make_lists(entries, log_probs, count_units(texts, "word"))
    tuned = minimize_errors(lists, errors, RescoringConfig())
    done = time.perf_counter()
    configs = {"first pass": FIRST_PASS, "rescored": RescoringConfig(), "tuned": tuned}
    num_units = int(count_units([meant[index] for index in lists.first], "word").sum())
    measured = measure_rankings(lists, errors, configs, "word", num_units)
    rates = ", ".join(f"{r.name} {measured.rate(r):.2%}" for r in measured.rankings)
    print(f"{name}")
    print(f"  {'errors counted':30} {counted - start:8.2f} s")
    print(f"  {'tuned':30} {done - counted:8.2f} s   {tuned}")
    print(f"  WER: {rates}", flush=True)


def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    words = parser.parse_args().text.read_text(encoding="utf-8").split()
    entries, meant = make_hypotheses(words)
    texts = [entry.text for entry in entries]
    lm = untrained(words)
    num_tokens = sum(len(text.split()) + 1 for text in texts)
    print(f"{len(texts):,} hypotheses, {len(set(texts)):,} of them distinct, {num_tokens:,} tokens")

    sample = random.Random(2).sample(texts, SAMPLE)
    lm.log_probs(sample), loop_log_probs(lm, sample[:20])  # warm up
    start = time.perf_counter()
    plain = loop_log_probs(lm, sample)
    loop_seconds = (time.perf_counter() - start) / SAMPLE * len(texts)
    start = time.perf_counter()
    log_probs = lm.log_probs(texts)
    seconds = time.perf_counter() - start
    found = dict(zip(texts, log_probs, strict=True))
    difference = max(abs(found[text] - value) for text, value in zip(sample, plain, strict=True))
    for name, each in (("log_probs", seconds), (f"one by one, from {SAMPLE}", loop_seconds)):
        print(f"  {name:30} {each:8.2f} s {num_tokens / each:12,.0f} tokens/s")
    print(
        f"  ratio {loop_seconds / seconds:.2f}, largest difference {difference:.1e} nats",
        flush=True,
    )

    tune("tuned by the untrained model", entries, meant, log_probs)
    errors = count_errors(texts, meant, "word")
    noise = np.random.default_rng(3).normal(0, 4, len(texts))
    liked = -6.0 * count_units(texts, "word") - 2.0 * errors + noise
    tune("tuned by a model that likes what is right, 6 nats a word", entries, meant, liked)


if __name__ == "__main__":
    main()
