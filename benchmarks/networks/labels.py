"""Two texts, one model: does each predict itself better under its own label?

python benchmarks/networks/labels.py tinyshakespeare.txt warandpeace.txt [--time 2m]

As many characters of each, in paragraphs. For each way in which a label can enter: bits per
character of the held-out paragraphs under their own label and under the other, and how many of
them are given their own by `charlm classify`.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import charlm
from charlm.api import Classifier


def main() -> None:
    """Train, measure and print a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs=2, type=Path)
    parser.add_argument("--time", default="2m")
    options = parser.parse_args()
    read = {path.stem: path.read_text(encoding="utf-8") for path in options.texts}
    size = min(map(len, read.values()))
    print("| label as | text | own label | other label | worse by | accuracy | chance |")
    print("| --- " * 7 + "|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for label, text in read.items():
            (folder / "texts" / label).mkdir(parents=True)
            (folder / "texts" / label / "text.txt").write_text(text[:size], encoding="utf-8")
        for way in ("state", "input", "both"):
            checkpoint = folder / way
            settings = ["--label", way, "--time", options.time, "-o", str(checkpoint)]
            command = ["charlm", "train", str(folder / "texts"), *settings]
            subprocess.run(command, check=True, capture_output=True)
            report(charlm.load(checkpoint), way)


def report(lm: charlm.LoadedModel, way: str) -> None:
    """A row for each text."""
    classifier = Classifier(lm.checkpoint)
    test = classifier.split("test")
    confusion = classifier.confusion(test)
    for own in lm.labels:
        (other,) = set(lm.labels) - {own}
        bits = [
            lm.with_label(label).evaluator().measure(own, test[own]).evaluation.bits_per_char
            for label in (own, other)
        ]
        print(
            f"| {way} | {own} | {bits[0]:.4f} | {bits[1]:.4f} | {bits[1] / bits[0] - 1:+.1%} "
            f"| {confusion.accuracy:.1%} of {confusion.num_frames:,} | {confusion.chance:.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
