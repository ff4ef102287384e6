"""Attack charlm: mutated inputs, kills, failing writes, loads during saves. Prints a table.

    make soak                                                     (an hour or more)
    python benchmarks/robustness/soak.py --mutations 200 --kills 20 --loads 50      (a few minutes)

Each command runs in a fork of this process that reports connections, code that is run, and changes
to files outside of its folder; it must end in time, within 300 MB plus 3 times the size of its
files beyond what it takes on files that are whole, with a result or with one line of error. After
each kill and each failing write the run must load, and resume or say why not. Ends with status 1 if
there was any fault; the first of each kind are printed.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]
os.environ["OMP_NUM_THREADS"] = "1"  # a process with more threads cannot be forked soundly

import faults  # noqa: E402
import mutation  # noqa: E402
from sandbox import Outcome, kill, run_command, start_command  # noqa: E402

TALES = (ROOT / "corpora" / "tales.txt").read_text(encoding="utf-8")
SMALL = ["--hidden-size", "8", "--batch-size", "2", "--bptt", "8", "--valid-every", "4"]
MORE_BYTES, TIMES = 300 << 20, 3
COMMANDS = (
    ("info", "run"),
    ("list",),
    ("eval", "run", "--perplexity"),
    ("eval", "run", "text.txt", "--json"),
    ("eval", "run", "text.txt", "--cache", "--dynamic"),
    ("score", "run", "text.txt"),
    ("generate", "run", "--max-new-tokens", "5", "--seed", "1"),
    ("generate", "run", "--beam", "3", "--max-new-tokens", "5"),
    ("fill", "run", "The ___ end"),
    ("classify", "run", "The end"),
    ("vocab", "show", "run/tokenizer.json"),
    ("plot", "run"),
    ("train", "--resume", "-o", "run"),
    ("export", "run", "--arpa", "out.arpa"),
    ("train", "--recipe", "run/recipe.toml", "--steps", "1", "-o", "again"),
)
TEXT_COMMANDS = {
    "text.txt": ("train", "text.txt", *SMALL, "--steps", "2", "-o", "new"),
    "labels.tsv": ("train", "labels.tsv", *SMALL, "--label", "both", "--steps", "2", "-o", "new"),
    "labels.jsonl": ("train", "labels.jsonl", *SMALL, "--label", "state", "--steps", "2"),
    "nbest.txt": ("rescore", "run", "nbest.txt"),
    "model.arpa": ("eval", "run", "text.txt", "--mix", "model.arpa"),
    "pairs.tsv": ("score", "run", "pairs.tsv", "--pairs"),
}


class Report:
    """Faults by attack and kind, and an example of each."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.faults: Counter[tuple[str, str]] = Counter()
        self.examples: dict[tuple[str, str], str] = {}

    def add(self, attack: str, fault: str | None, example: str) -> None:
        """Count an attempt, and its fault if it has one."""
        self.tried[attack] += 1
        if fault is not None:
            self.faults[attack, fault] += 1
            self.examples.setdefault((attack, fault), example)

    def show(self, seconds: dict[str, float]) -> None:
        """Print the table and the examples."""
        kinds = sorted({kind for _, kind in self.faults})
        print(f"| attack | tried | seconds | {' | '.join([*kinds, 'faults'])} |")
        print("| --- " * (len(kinds) + 4) + "|")
        for attack, tried in self.tried.items():
            counts = [self.faults[attack, kind] for kind in kinds]
            cells = " | ".join(map(str, [*counts, sum(counts)]))
            took = f"{seconds[attack]:,.0f}" if attack in seconds else ""
            print(f"| {attack} | {tried:,} | {took} | {cells} |")
        for (attack, fault), example in self.examples.items():
            print(f"\n{attack}, {fault}: {example}")


def make_examples(folder: Path) -> None:
    """Write a checkpoint of labels in both directions, a plain one, and texts of all kinds."""
    lines = [line for line in TALES[:6000].splitlines() if line]
    (folder / "text.txt").write_text(TALES[:4000], encoding="utf-8")
    (folder / "labels.tsv").write_text(
        "".join(f"{'ab'[i % 2]}\t{line}\n" for i, line in enumerate(lines))
    )
    (folder / "labels.jsonl").write_text(
        "".join(f"{json.dumps({'label': 'ab'[i % 2], 'text': x})}\n" for i, x in enumerate(lines))
    )
    (folder / "nbest.txt").write_text("a\t-1.5\tthe end\na\t-2\tthe and\nb\t-1\ta fox\n")
    (folder / "pairs.tsv").write_text("the end\tend the\na fox\tfox a\n")
    more = ["--steps", "8", "--direction", "both"]
    for name, arguments in {
        "plain": ["text.txt", *SMALL, "--steps", "8"],
        "labelled": ["labels.tsv", *SMALL, *more, "--label", "both", "--level", "word"],
        "words": ["text.txt", *SMALL, *more, "--level", "word", "--vocab-size", "50"],
    }.items():
        done = run_command(["train", *arguments, "-o", name], folder)
        assert done.status == 0, done.output
    done = run_command(["export", "plain", "--arpa", "model.arpa"], folder)
    assert done.status == 0, done.output


def folder_bytes(folder: Path) -> int:
    """Add up the sizes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def attack_inputs(examples: Path, count: int, draw: random.Random, report: Report) -> None:
    """Mutate a checkpoint behind its seals, or a text, and run a command on it."""
    usual: dict[tuple[str, ...], int] = {}
    for number in range(count):
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            for path in examples.iterdir():
                if path.is_file():
                    shutil.copy(path, work)
            kind = draw.choice(["plain", "labelled", "words"])
            shutil.copytree(examples / kind, work / "run")
            if draw.random() < 0.75:
                command = draw.choice(COMMANDS)
                if (kind, *command) not in usual:
                    usual[kind, *command] = run_command(command, work).peak_bytes
                    shutil.rmtree(work / "run")
                    shutil.copytree(examples / kind, work / "run")
                said = mutation.mutate_checkpoint(work / "run", draw)
                least = usual[kind, *command]
            else:
                text, command = draw.choice(list(TEXT_COMMANDS.items()))
                if (kind, *command) not in usual:
                    usual[kind, *command] = run_command(command, work).peak_bytes
                    for made in ("new", "checkpoints"):
                        shutil.rmtree(work / made, ignore_errors=True)
                said = f"{text}: {mutate_bytes(work / text, draw)}"
                least = usual[kind, *command]
            outcome = run_command(command, work)
            fault = outcome.fault or memory_fault(outcome, least, folder_bytes(work))
            example = f"charlm {' '.join(command)} ({kind}, {said}, number {number})\n"
            report.add("mutated inputs", fault, example + outcome.output[-1500:])


def memory_fault(outcome: Outcome, usual: int, size: int) -> str | None:
    """Say so if a command took more memory than its files justify."""
    most = usual + MORE_BYTES + TIMES * size
    return "memory" if outcome.peak_bytes > most else None


def mutate_bytes(path: Path, draw: random.Random) -> str:
    """Change a text file in one of many ways; describe it."""
    content = bytearray(path.read_bytes())
    at = draw.randrange(len(content))
    pieces = {
        "bad UTF-8": b"\xff\xfe",
        "NUL": b"\0",
        "escape": b"\x1b]0;title\x07\x1b[31m",
        "long line": b"x" * 200_000,
        "nesting": b"[" * 10_000,
        "numbers": b"1e999 -inf nan 99999999999999999999",
        "separators": b"\t\t\n\r\r\n\t\xe2\x80\xa8",
        "braces": b'{"label": [1], "text": null}\n',
    }
    how = draw.choice(["flip", "cut", "empty", "twice", *pieces])
    match how:
        case "flip":
            content[at] ^= 1 << draw.randrange(8)
        case "cut":
            del content[at:]
        case "empty":
            content.clear()
        case "twice":
            content[at:at] = content
        case _:
            content[at:at] = pieces[how]
    path.write_bytes(content)
    return f"{how} at {at}"


def attack_with_kills(examples: Path, count: int, draw: random.Random, report: Report) -> None:
    """Send SIGKILL at random moments; each time the run must load, and resume to the same bytes."""
    arguments = ["train", "text.txt", *SMALL, "--steps", "400", "--seed", "1"]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        shutil.copy(examples / "text.txt", work)
        expected = weights_of(arguments, work, "straight")
        run = work / "run"
        for number in range(count):
            begins = (
                ["train", "--resume", "-o", "run"] if run.exists() else [*arguments, "-o", "run"]
            )
            child = start_command(begins, work)
            time.sleep(draw.uniform(0.0, 1.5))
            kill(child)
            report.add("kills", *verdict(work, None))
            if number % 20 == 19 and run.exists():
                report.add("kills, then to the end", *verdict(work, expected))
                shutil.rmtree(run)


def attack_with_faults(examples: Path, report: Report) -> None:
    """Let the n-th write, fsync, rename or new folder fail, for every n, once and lastingly."""
    arguments = ["train", "text.txt", *SMALL, "--steps", "8", "--seed", "1", "-o", "run"]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        shutil.copy(examples / "text.txt", work)
        expected = weights_of(arguments[:-2], work, "straight")
        shutil.rmtree(work / "straight")

        @contextmanager
        def counted() -> Iterator[None]:
            with faults.failing(at=None, within=work) as found:
                try:
                    yield
                finally:
                    (Path(name + ".count")).write_text(str(len(found.log)))

        run_command(arguments, work, around=counted)
        operations = int(Path(name + ".count").read_text())
        Path(name + ".count").unlink()
        shutil.rmtree(work / "run")
        for at in range(1, operations + 1):
            for lasting in (False, True):
                outcome = run_command(
                    arguments,
                    work,
                    around=partial(faults.failing, at, within=work, lasting=lasting),
                )
                example = f"operation {at} of {operations}, lasting: {lasting}\n{outcome.output}"
                report.add("failing writes", fault_of(outcome, {0, 1}), example)
                if not (work / "run").exists():
                    again = run_command(arguments, work)
                    report.add("failing writes", fault_of(again, {0}), example + again.output)
                fault, said = verdict(work, expected)
                report.add("failing writes, then to the end", fault, example + said)
                left = [
                    path.name for path in work.iterdir() if path.name not in ("run", "text.txt")
                ]
                report.add("failing writes", f"left {left}" if left else None, example)
                shutil.rmtree(work / "run", ignore_errors=True)


def attack_loads(examples: Path, count: int, report: Report) -> None:
    """Load a model over and over while its run saves after every step."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        shutil.copy(examples / "text.txt", work)
        settings = [*SMALL[:-1], "1", "--steps", "1000000"]
        child = start_command(["train", "text.txt", *settings, "-o", "run"], work)
        while not (work / "run").exists():
            time.sleep(0.05)
        for number in range(count):
            outcome = run_command(["info", "run"], work)
            report.add("loads during saves", fault_of(outcome, {0}), f"{number}\n{outcome.output}")
        kill(child)


def weights_of(arguments: list[str], work: Path, name: str) -> bytes:
    """Train without any attack; return the weights."""
    done = run_command([*arguments, "-o", name], work)
    assert done.status == 0, done.output
    return (work / name / "model.safetensors").read_bytes()


def verdict(work: Path, expected: bytes | None) -> tuple[str | None, str]:
    """Load the run, and resume it to its end if `expected` weights are given: fault and output."""
    if not (work / "run").exists():
        return None, ""
    loads = run_command(["eval", "run", "text.txt", "--perplexity"], work)
    if expected is None or (fault := fault_of(loads, {0})) is not None:
        return fault_of(loads, {0}), loads.output
    ended = run_command(["train", "--resume", "-o", "run"], work, seconds=120)
    if "is finished" not in ended.output and (fault := fault_of(ended, {0})) is not None:
        return fault, ended.output
    same = (work / "run" / "model.safetensors").read_bytes() == expected
    return None if same else "other bytes", ended.output


def fault_of(outcome: Outcome, allowed: set[int]) -> str | None:
    """Return the outcome's fault; a status that is not allowed is one."""
    return outcome.fault or (None if outcome.status in allowed else f"status {outcome.status}")


def main() -> None:
    """Run all attacks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--loads", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    import torch  # noqa: F401

    import charlm.api
    import charlm.cli.app  # noqa: F401

    report, seconds = Report(), {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        os.environ["CHARLM_CACHE"] = str(work / "cache")
        examples = work / "examples"
        examples.mkdir()
        make_examples(examples)
        attacks: dict[str, Callable[[], None]] = {
            "mutated inputs": lambda: attack_inputs(
                examples, options.mutations, random.Random(options.seed), report
            ),
            "kills": lambda: attack_with_kills(
                examples, options.kills, random.Random(options.seed), report
            ),
            "failing writes": lambda: attack_with_faults(examples, report),
            "loads during saves": lambda: attack_loads(examples, options.loads, report),
        }
        for attack, run in attacks.items():
            began = time.monotonic()
            run()
            seconds[attack] = time.monotonic() - began
    report.show(seconds)
    sys.exit(bool(report.faults))


if __name__ == "__main__":
    main()
