"""The same network reading a text forwards and backwards: total bits of the test part.

python benchmarks/networks/directions.py warandpeace.txt [--steps 4000] [OPTIONS OF TRAIN...]
"""

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from runs import run


def main() -> None:
    """Train both and print a row each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("--steps", default="4000")
    options, others = parser.parse_known_args()
    bits: list[float] = []
    print(
        "| direction | bits of the test part | nats per token | tokens |\n| --- | --- | --- | --- |"
    )
    for direction in ("forward", "backward"):
        settings = ["--split", "80/10/10", "--steps", options.steps, "--direction", direction]
        outcome = run([options.text, *settings, *others], "test")
        bits.append(outcome.nats * outcome.num_tokens / math.log(2))
        print(
            f"| {direction} | {bits[-1]:,.0f} | {outcome.nats:.4f} | {outcome.num_tokens:,} |",
            flush=True,
        )
    print(f"backward {bits[1] / bits[0] - 1:+.2%}")


if __name__ == "__main__":
    main()
