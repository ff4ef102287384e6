"""What dynamic evaluation, the cache and n-grams are worth on a trained model.

python benchmarks/evaluation/adapting.py CHECKPOINT

Tunes on the validation part, measures on the test part, each in a run of `charlm eval`; prints
perplexity, its ratio to the network's alone, and the seconds of the evaluation.
"""

import subprocess
import sys
import time

WAYS = (
    [],
    ["--cache"],
    ["--dynamic"],
    ["--dynamic", "--cache"],
    ["--mix", "ngram"],
    ["--dynamic", "--cache", "--mix", "ngram"],
)


def main() -> None:
    """One way after the other."""
    checkpoint = sys.argv[1]
    for way in WAYS:
        if way and "--mix" not in way:
            run([checkpoint, *way, "--tune", "--split", "valid"])
    alone = None
    for way in WAYS:
        began = time.perf_counter()
        perplexity = run([checkpoint, *way])
        alone = alone or perplexity
        seconds = time.perf_counter() - began
        name = " ".join(way) or "network"
        print(f"{name:35} {perplexity:8.2f} {perplexity / alone:6.3f} {seconds:6.0f} s", flush=True)


def run(arguments: list[str]) -> float:
    """The perplexity that `charlm eval` prints."""
    command = ["charlm", "eval", *arguments, "--perplexity"]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


if __name__ == "__main__":
    main()
