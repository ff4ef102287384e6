"""A random word of each sentence blanked: how often the true one is among the first five.

    charlm train ptb/train.txt --valid ptb/valid.txt --test ptb/test.txt --recipe ptb-10m-cpu \\
        --direction both --time 10m -o ptb
    python benchmarks/networks/fill.py ptb ptb/valid.txt [--sentences 500]

Three ways: the forward half by what it expects after the words before the blank; the forward half
by the probability of the whole sentence, of the 50 words it expects most; and both halves, as
`charlm fill` does it.
"""

import argparse
import random
from pathlib import Path

import torch

import charlm
from charlm.decoding import read_prompts

FIRST, CANDIDATES = 5, 50
Ids = tuple[int, ...]


class Ways:
    """The places of a true word in what each way finds; None: not found."""

    def __init__(self, lm: charlm.LoadedModel) -> None:
        self.lm, self.forward = lm, lm.evaluator()
        tokenizer = lm.tokenizer
        self.marks = [tokenizer.start_id, tokenizer.stop_id, tokenizer.other_id]

    def places(self, words: list[str], blank: int) -> dict[str, int | None]:
        """Of each way."""
        tokenizer, true = self.lm.tokenizer, words[blank]
        left, right = (tokenizer.encode(" ".join(w)) for w in (words[:blank], words[blank + 1 :]))
        with torch.no_grad():
            logits, _ = read_prompts(self.lm.model, [(*self.forward.beginning, *left)])
        logits[0, self.marks] = float("-inf")
        expected = logits[0].topk(CANDIDATES).indices.tolist()
        whole = self.forward.log_probs_of([(*left, word, *right) for word in expected])
        ranked = [expected[at] for at in (-whole).argsort()]
        blanked = " ".join([*words[:blank], "___", *words[blank + 1 :]])
        both = [f.fillings[0] for f in self.lm.fill(blanked, num_fillings=FIRST)]
        (wanted,) = tokenizer.encode(true)
        return {
            "forward, words before": place(expected, wanted),
            "forward, whole sentence": place(ranked, wanted),
            "both directions": place(both, true),
        }


def place(found: list, wanted: object) -> int | None:
    """Where it is, from 0."""
    return found.index(wanted) if wanted in found else None


def main() -> None:
    """Blank, ask and count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("text", type=Path)
    parser.add_argument("--sentences", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    lm, draw = charlm.load(options.checkpoint), random.Random(options.seed)
    ways, other = Ways(lm), lm.tokenizer.other_id
    lines = [line.split() for line in options.text.read_text().splitlines() if line.strip()]
    found: dict[str, list[int | None]] = {}
    for words in draw.sample(lines, options.sentences):
        known = [at for at, word in enumerate(words) if lm.tokenizer.encode(word) != [other]]
        if known:
            for way, where in ways.places(words, draw.choice(known)).items():
                found.setdefault(way, []).append(where)
    print(f"| {len(next(iter(found.values())))} sentences | first | among the first {FIRST} |")
    print("| --- | --- | --- |")
    for way, places in found.items():
        first = sum(where == 0 for where in places) / len(places)
        among = sum(where is not None and where < FIRST for where in places) / len(places)
        error = (among * (1 - among) / len(places)) ** 0.5
        print(f"| {way} | {first:.1%} | {among:.1%} (+- {error:.1%}) |")


if __name__ == "__main__":
    main()
