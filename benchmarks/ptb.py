"""Counts and perplexity on the Penn Treebank: 82,430 predicted tokens, 4,794 of them <other>.

python benchmarks/ptb.py PTB_FOLDER --time 5m

The folder holds train.txt, valid.txt and test.txt as Mikolov prepared them; further arguments go to
`charlm train`. Prints the exact measures of the test part.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Train a word model in a temporary folder and measure the test part."""
    folder, *rest = sys.argv[1:]
    train, valid, test = (str(Path(folder) / f"{part}.txt") for part in ("train", "valid", "test"))
    words = ["--level", "word", "--vocab-size", "10000", "--pretokenized"]
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = str(Path(temporary) / "ptb")
        command = ["charlm", "train", train, "--valid", valid, "--test", test, *words, *rest]
        subprocess.run([*command, "-o", checkpoint], check=True)
        evaluate = ["charlm", "eval", checkpoint, "--json"]
        result = json.loads(subprocess.run(evaluate, check=True, capture_output=True).stdout)
    print(json.dumps(result, indent=2))
    assert (result["num_tokens"], result["num_other"]) == (82_430, 4_794)


if __name__ == "__main__":
    main()
