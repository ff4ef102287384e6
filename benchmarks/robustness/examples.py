"""What is attacked: texts of all kinds, small checkpoints, and the commands that read them."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from faults import failing
from sandbox import TEMPORARY, run_command

ROOT = Path(__file__).resolve().parents[2]
TALES = (ROOT / "corpora" / "tales.txt").read_text(encoding="utf-8")
SMALL = ["--hidden-size", "8", "--batch-size", "2", "--bptt", "8", "--valid-every", "4"]
INTERRUPTED = 130
RUN = Path("checkpoints/run")  # where an attack finds the checkpoint, in its own folder
WRITING = ("--max-new-tokens", "5", "--seed", "1")
TRAINED = {  # by kind of checkpoint: what it is trained with; `unfinished` is stopped half-way
    "plain": "text.txt --num-layers 2 --steps 8",
    "unfinished": "text.txt --level bpe --vocab-size 280 --cell gru --averaging ema --steps 16",
    "words": "text.txt --level word --vocab-size 50 --softmax adaptive --softmax-cutoffs 20 "
    "--direction both --steps 8",
    "labelled": "labels.tsv --label both --direction both --steps 8",
}
TRAINING = (*SMALL, "--steps", "2", "-o", "new")
TEXT_COMMANDS = {  # by text: the commands that read it; `run` is the plain checkpoint
    "text.txt": (
        ("train", "text.txt", *TRAINING),
        ("train", "text.txt", "--level", "word", *TRAINING),
        ("eval", "run", "text.txt", "--json"),
        ("score", "run", "text.txt"),
        ("generate", "run", "--prompts", "text.txt", *WRITING),
        ("vocab", "build", "text.txt", "--level", "bpe", "--vocab-size", "300", "-o", "t.json"),
    ),
    "labels.tsv": (("train", "labels.tsv", "--label", "both", *TRAINING),),
    "labels.jsonl": (("train", "labels.jsonl", "--label", "state", *TRAINING),),
    "nbest.txt": (("rescore", "run", "nbest.txt"),),
    "model.arpa": (("eval", "run", "text.txt", "--mix", "model.arpa", "--json"),),
    "pairs.tsv": (("score", "run", "--pairs", "pairs.tsv", "--json"),),
    "vectors.txt": (
        ("train", "text.txt", "--level", "word", "--embeddings", "vectors.txt", *TRAINING),
    ),
}


def exact_commands(kind: str) -> list[tuple[str, ...]]:
    """Commands whose output depends on nothing but the checkpoint: no clock, no chance."""
    if kind == "labelled":
        label = ("--label", "a")
        return [
            ("eval", "run", "--json"),
            ("eval", "run", "labels.tsv", "--json"),
            ("score", "run", "text.txt", *label),
            ("generate", "run", *label, *WRITING),
            ("classify", "run", "The end", "--json"),
            ("fill", "run", "The ___ end", *label, "--json"),
        ]
    both = [("fill", "run", "The ___ end", "--json"), ("eval", "run", "--context", "both")]
    return [
        ("eval", "run", "--json"),
        ("eval", "run", "text.txt", "--json"),
        ("eval", "run", "text.txt", "--cache", "--json"),
        ("eval", "run", "text.txt", "--dynamic", "--json"),
        ("score", "run", "text.txt"),
        ("generate", "run", *WRITING),
        ("generate", "run", "--beam", "3", "--max-new-tokens", "5"),
        ("export", "run", "--arpa", "out.arpa"),
        *(both if kind == "words" else []),
    ]


def all_commands(kind: str) -> list[tuple[str, ...]]:
    """All commands that read a checkpoint."""
    return [
        *exact_commands(kind),
        ("info", "run"),
        ("info", "run", "--json"),
        ("list",),
        ("list", "--json"),
        ("vocab", "show", f"{RUN}/tokenizer.json"),
        ("vocab", "encode", "-t", f"{RUN}/tokenizer.json", "The end"),
        ("plot", "run"),
        ("train", "--resume", "-o", str(RUN), "--steps", "18"),
        ("train", "--recipe", f"{RUN}/recipe.toml", "--steps", "1", "-o", "again"),
    ]


def make_examples(folder: Path) -> None:
    """Write the texts, and train a checkpoint of each kind."""
    write_texts(folder)
    for kind, arguments in TRAINED.items():
        if kind != "unfinished":
            make(["train", *arguments.split(), *SMALL, "-o", kind], folder)
    make_unfinished(folder)
    make(["export", "plain", "--arpa", "model.arpa"], folder)
    shutil.rmtree(folder / TEMPORARY)


def write_texts(folder: Path) -> None:
    """Write a text of each kind that charlm reads."""
    lines = [line for line in TALES[:6000].splitlines() if line]
    rows = [("ab"[number % 2], line) for number, line in enumerate(lines)]
    (folder / "text.txt").write_text(TALES[:4000], encoding="utf-8")
    (folder / "labels.tsv").write_text("".join(f"{label}\t{line}\n" for label, line in rows))
    (folder / "labels.jsonl").write_text(
        "".join(json.dumps({"label": label, "text": line}) + "\n" for label, line in rows)
    )
    (folder / "nbest.txt").write_text("a\t-1.5\tthe end\na\t-2\tthe and\nb\t-1\ta fox\n")
    (folder / "pairs.tsv").write_text("the end\tend the\na fox\tfox a\n")
    words = sorted(set(TALES[:4000].split()))
    (folder / "vectors.txt").write_text(
        "".join(f"{word} {' '.join(['0.1'] * 8)}\n" for word in words)
    )


def make(arguments: list[str], folder: Path) -> None:
    """Run a command that must succeed."""
    done = run_command(arguments, folder)
    assert done.status == 0, done.said


def make_unfinished(folder: Path) -> None:
    """Train the run that stops half-way: its process is told to end after half of its writes."""
    arguments = ["train", *TRAINED["unfinished"].split(), *SMALL, "-o", "unfinished"]
    half = count_operations(arguments, folder) // 2
    shutil.rmtree(folder / "unfinished")
    stopped = run_command(
        arguments, folder, around=partial(failing, half, within=folder, action=end_this_process)
    )
    assert stopped.status == INTERRUPTED, stopped.said


def end_this_process() -> None:
    """Tell this process to end, as `kill` does; a run in it saves first."""
    os.kill(os.getpid(), signal.SIGTERM)


def count_operations(arguments: list[str], folder: Path) -> int:
    """Run a command that must succeed; return how often it wrote, synchronised or renamed."""
    counted = folder / "operations"

    @contextmanager
    def counting() -> Iterator[None]:
        with failing(within=folder) as found:
            try:
                yield
            finally:
                counted.write_text(str(len(found.log)))

    done = run_command(arguments, folder, around=counting)
    assert done.status == 0, done.said
    operations = int(counted.read_text())
    counted.unlink()
    return operations
