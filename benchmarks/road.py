"""The whole road on one text: `charlm train`, then exact `charlm eval`, as a user types them.

    python benchmarks/road.py tinyshakespeare.txt --split 90/10/0 --time 5m

All arguments go to `charlm train`. Prints seconds and exact nats per character of the validation
part, and beside them those of the mean character (a model that knows only frequencies).
"""

import json
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path


def main() -> None:
    """Train in a temporary folder and report."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = str(Path(folder) / "model")
        start = time.perf_counter()
        subprocess.run(["charlm", "train", *sys.argv[1:], "-o", checkpoint], check=True)
        seconds = time.perf_counter() - start
        command = ["charlm", "eval", checkpoint, "--split", "valid", "--json"]
        start = time.perf_counter()
        result = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        eval_seconds = time.perf_counter() - start
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    entropy = sum(-n / len(text) * math.log(n / len(text)) for n in Counter(text).values())
    print(
        json.dumps(
            {
                "train_seconds": round(seconds, 1),
                "eval_seconds": round(eval_seconds, 1),
                "nats_per_char": result["bits_per_char"] * math.log(2),
                "nats_per_token": result["nats_per_token"],
                "perplexity": result["perplexity"],
                "nats_per_char_of_frequencies_alone": entropy,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
