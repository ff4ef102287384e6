"""The attacks. Each is a function of numbers that yields what became of every attempt.

The same number makes the same attempt, but for what depends on the moment of a kill or a load.
"""

import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import damage
import mutation
from faults import failing
from sandbox import Outcome, kill, run_command, start_command

from examples import (
    RUN,
    SMALL,
    TEXT_COMMANDS,
    TRAINED,
    all_commands,
    count_operations,
    exact_commands,
)

Command = tuple[str, ...]
MODEST_BYTES, FEW_BYTES, TIMES = 300 << 20, 50 << 20, 3
LONG_RUN = ["train", "text.txt", *SMALL, "--steps", "1500", "--seed", "1"]
SHORT_RUN = ["train", "text.txt", *SMALL, "--steps", "8", "--seed", "1"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one attempt."""

    attack: str
    fault: str | None
    example: str


@dataclass(frozen=True, slots=True)
class Attacks:
    """Attacks on copies of the examples, given what commands do with them as they are."""

    examples: Path
    usual: dict[tuple[str, Command], Outcome]  # by kind of checkpoint or text, and command
    weights: dict[str, bytes]  # of runs that nothing happened to: "long" and "short"

    def mutate(self, number: int) -> Iterator[Attempt]:
        """Change one thing in a checkpoint behind its seals, or a text, and run a command on it."""
        draw = random.Random(f"mutate {number}")
        if draw.random() < 0.75:
            kind = draw.choice(list(TRAINED))
            command = draw.choice(all_commands(kind))
            change = mutation.mutate_checkpoint
            target = RUN
        else:
            kind = draw.choice(list(TEXT_COMMANDS))
            command = draw.choice(TEXT_COMMANDS[kind])
            change, target = damage.damage_text, Path(kind)
        with self.copies(kind) as work:
            said = change(work / target, draw)
            outcome = run_command(command, work)
            fault = outcome.fault or self.memory_fault(outcome, kind, command, work)
        yield Attempt("mutated inputs", fault, describe(number, kind, said, command, outcome))

    def damage(self, number: int) -> Iterator[Attempt]:
        """Damage a file of a checkpoint or of the cache; a result must be the one without."""
        draw = random.Random(f"damage {number}")
        kind = draw.choice(list(TRAINED))
        command = draw.choice(exact_commands(kind))
        with self.copies(kind) as work:
            if draw.random() < 0.3:
                run_command(command, work)  # leaves token files in the cache
                files = damage.files_in(work / "tmp") or damage.files_in(work / RUN)
            else:
                files = damage.files_in(work / RUN)
            path = draw.choice(files)
            said = f"{path.relative_to(work)}: {damage.damage_file(path, draw)}"
            outcome = run_command(command, work)
            fault = outcome.fault or self.memory_fault(outcome, kind, command, work)
            if outcome.status == 0 and outcome.output != self.usual[kind, command].output:
                fault = fault or "another result"
        yield Attempt("damaged files", fault, describe(number, kind, said, command, outcome))

    def swell(self, number: int) -> Iterator[Attempt]:
        """Make a file as large as charlm reads it, full of what takes the most memory."""
        draw = random.Random(f"swell {number}")
        change = damage.SWELLINGS[number % len(damage.SWELLINGS)]
        kind = draw.choice(list(TRAINED))
        command = draw.choice(all_commands(kind))
        with self.copies(kind) as work:
            change(work / RUN)
            outcome = run_command(command, work, seconds=120)
            fault = outcome.fault or self.memory_fault(outcome, kind, command, work)
        said = change.__name__.replace("_", " ")
        yield Attempt("swollen files", fault, describe(number, kind, said, command, outcome))

    def kill_chain(self, number: int) -> Iterator[Attempt]:
        """Send SIGKILL 20 times; each time the run must load, at last resume to the same bytes."""
        draw = random.Random(f"kill {number}")
        with self.copies() as work:
            run = work / "run"
            for _ in range(20):
                arguments = ["train", "--resume", "-o", "run"] if run.exists() else begin(LONG_RUN)
                child = start_command(arguments, work)
                time.sleep(draw.uniform(0.0, 1.0))
                kill(child)
                yield Attempt("kills", *loads(work))
            if run.exists():
                yield Attempt("kills, then to the end", *self.ends(work, "long"))

    def fail(self, at: int, lasting: bool) -> Iterator[Attempt]:
        """Let the `at`-th write, fsync, rename or new folder fail, or all from then on."""
        attack = "writes that fail for good" if lasting else "a write that fails"
        with self.copies() as work:
            outcome = run_command(
                begin(SHORT_RUN), work, around=partial(failing, at, within=work, lasting=lasting)
            )
            example = f"operation {at}\n{outcome.said}"
            yield Attempt(attack, fault_of(outcome, {0, 1}), example)
            known = {"run", "tmp", *(path.name for path in self.examples.iterdir())}
            left = [path.name for path in work.iterdir() if path.name not in known]
            yield Attempt(attack, f"left {left}" if left else None, example)
            if not (work / "run").exists():
                again = run_command(begin(SHORT_RUN), work)
                yield Attempt(attack, fault_of(again, {0}), f"{example}\n{again.said}")
            fault, said = self.ends(work, "short")
            yield Attempt(f"{attack}, then to the end", fault, f"{example}\n{said}")

    def load_during_saves(self, count: int) -> Iterator[Attempt]:
        """Load a model over and over while its run saves after every step."""
        settings = [*SMALL[:-1], "1", "--steps", "1000000", "--seed", "1"]
        with self.copies() as work:
            child = start_command(["train", "text.txt", *settings, "-o", "run"], work)
            while not (work / "run").exists():
                assert os.waitpid(child, os.WNOHANG) == (0, 0), "the run has ended"
                time.sleep(0.05)
            for _ in range(count):
                outcome = run_command(["eval", "run", "text.txt", "--perplexity"], work)
                yield Attempt("loads during saves", fault_of(outcome, {0}), outcome.said)
            kill(child)

    @contextmanager
    def copies(self, kind: str | None = None) -> Iterator[Path]:
        """Give a folder with copies of the texts, and a checkpoint of that kind as `run`."""
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            for path in self.examples.iterdir():
                if path.is_file():
                    shutil.copy(path, work)
            if kind is not None:
                kind = kind if kind in TRAINED else "plain"
                shutil.copytree(self.examples / kind, work / RUN)
            yield work

    def memory_fault(self, outcome: Outcome, kind: str, command: Command, work: Path) -> str | None:
        """Say so if a command took more memory than its files justify."""
        size = sum(path.stat().st_size for path in damage.files_in(work))
        usual = self.usual[kind, command].peak_bytes
        most = max(usual + FEW_BYTES, MODEST_BYTES) + TIMES * size
        return "memory" if outcome.peak_bytes > most else None

    def ends(self, work: Path, length: str) -> tuple[str | None, str]:
        """Load the run and resume it to its end, where it must have the expected weights."""
        fault, said = loads(work)
        if fault is not None:
            return fault, said
        ended = run_command(["train", "--resume", "-o", "run"], work, seconds=120)
        if "is finished" not in ended.messages and (fault := fault_of(ended, {0})) is not None:
            return fault, ended.said
        same = (work / "run" / "model.safetensors").read_bytes() == self.weights[length]
        return None if same else "other bytes", ended.said


def measure_usual(examples: Path) -> Attacks:
    """Run every command on what nothing was done to; each must succeed and break no rule."""
    attacks = Attacks(examples, {}, {})
    commands = {kind: all_commands(kind) for kind in TRAINED} | TEXT_COMMANDS
    for kind, each in commands.items():
        for command in each:
            with attacks.copies(kind) as work:
                done = run_command(command, work)
                assert done.status == 0 and done.fault is None, (kind, command, done.said)
                attacks.usual[kind, command] = done
    for length, arguments in {"long": LONG_RUN, "short": SHORT_RUN}.items():
        with attacks.copies() as work:
            done = run_command(begin(arguments), work, seconds=120)
            assert done.status == 0, done.said
            attacks.weights[length] = (work / "run" / "model.safetensors").read_bytes()
    return attacks


def count_writes(attacks: Attacks) -> int:
    """Return how many operations of `fail` there are."""
    with attacks.copies() as work:
        return count_operations(begin(SHORT_RUN), work)


def begin(arguments: list[str]) -> list[str]:
    """The command that begins a run, as `run`."""
    return [*arguments, "-o", "run"]


def loads(work: Path) -> tuple[str | None, str]:
    """Load the run, if there is one: fault and output."""
    if not (work / "run").exists():
        return None, ""
    outcome = run_command(["eval", "run", "text.txt", "--perplexity"], work)
    return fault_of(outcome, {0}), outcome.said


def fault_of(outcome: Outcome, allowed: set[int]) -> str | None:
    """Return the outcome's fault; a status that is not allowed is one."""
    return outcome.fault or (None if outcome.status in allowed else f"status {outcome.status}")


def describe(number: int, kind: str, said: str, command: Command, outcome: Outcome) -> str:
    """What was done, to be read where it went wrong."""
    return f"number {number}: {kind}: {said}: charlm {' '.join(command)}\n{outcome.said}"
