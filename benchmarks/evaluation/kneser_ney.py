"""Kneser-Ney n-grams on the Penn Treebank: test perplexity, beside KenLM's 148.3 and 141.2.

python benchmarks/evaluation/kneser_ney.py PTB_FOLDER

The folder holds train.txt and test.txt as Mikolov prepared them; `<unk>` is a word as any other.
"""

import sys
import time
from pathlib import Path

import numpy as np

from charlm.data import Framing, frame_pieces, join_frames
from charlm.ngram import build_kneser_ney
from charlm.text import TextConfig, build_tokenizer


def main() -> None:
    """Learn the training part at orders 3 and 5 and measure the test part."""
    folder = Path(sys.argv[1])
    train, test = ((folder / f"{part}.txt").read_text() for part in ("train", "test"))
    config = TextConfig(level="word", vocab_size=10_000, pretokenized=True)
    tokenizer = build_tokenizer(config, [train])
    tokens, unseen = (
        join_frames(frame_pieces([text], Framing(frame="line")), tokenizer)
        for text in (train, test)
    )
    predicted = unseen != tokenizer.start_id
    for order in (3, 5):
        start = time.perf_counter()
        model = build_kneser_ney(
            tokens, order=order, vocab_size=tokenizer.vocab_size, start_id=tokenizer.start_id
        )
        built = time.perf_counter()
        log_probs = model.log_probs(unseen)[predicted]
        scored = time.perf_counter()
        print(
            f"order {order}: perplexity {np.exp(-log_probs.mean()):.3f}, "
            f"{len(log_probs):,} tokens predicted, "
            f"{sum(map(len, model.tables)):,} n-grams, built in {built - start:.2f} s, "
            f"scored in {scored - built:.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
