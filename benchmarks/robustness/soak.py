"""Attack charlm: mutated and damaged files, kills, failing writes, loads during saves.

    make soak                                                     (more than an hour on two cores)
    python benchmarks/robustness/soak.py --mutations 200 --damages 50 --swellings 9 --kills 20 \\
        --writes 10 --loads 50                                    (some minutes)
    python benchmarks/robustness/soak.py --only mutate 1234       (one attempt again)

Each command runs in a fork of this process that reports connections, code that is run, and changes
to files outside of its folder. It must end in time and within its memory, with a result or with
one line of error. Faults are printed as they are found, and a table of all attempts at the end;
status 1 if there was any fault.
"""

import argparse
import gc
import importlib
import math
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]
os.environ["OMP_NUM_THREADS"] = "1"  # a process with more threads cannot be forked soundly

from attacks import Attacks, Attempt, count_writes, measure_usual  # noqa: E402

from examples import make_examples  # noqa: E402

Job = tuple[str, *tuple[int, ...]]  # a method of Attacks, and what it is given
KILLS, LOADS = 20, 50  # in a job
SHOWN = 3  # faults of a kind that are printed
attacks: Attacks  # what the workers inherit by being forked


class Report:
    """Attempts and faults by attack and kind."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.faults: Counter[tuple[str, str]] = Counter()

    def add(self, attempt: Attempt) -> None:
        """Count an attempt; print its fault, unless there were some of its kind."""
        self.tried[attempt.attack] += 1
        if attempt.fault is not None:
            kind = attempt.attack, attempt.fault
            self.faults[kind] += 1
            if self.faults[kind] <= SHOWN:
                print(f"FAULT {', '.join(kind)}: {attempt.example}\n", flush=True)

    def show(self) -> None:
        """Print the table."""
        kinds = sorted({kind for _, kind in self.faults})
        print(f"| {' | '.join(['attack', 'tried', *kinds, 'faults'])} |")
        print("| --- " * (len(kinds) + 3) + "|")
        for attack, tried in sorted(self.tried.items()):
            counts = [self.faults[attack, kind] for kind in kinds]
            cells = map(str, [*counts, sum(counts)])
            print(f"| {attack} | {tried:,} | {' | '.join(cells)} |")


def run_job(job: Job) -> list[Attempt]:
    """Make the attempts of a job, in a worker."""
    attack, *numbers = job
    method: Callable[..., list[Attempt]] = getattr(attacks, attack)
    return list(method(*numbers))


def list_jobs(options: argparse.Namespace) -> list[Job]:
    """What is to be done."""
    if options.only:
        attack, *numbers = options.only
        return [(attack, *map(int, numbers))]
    writes = count_writes(attacks)
    if options.writes is not None:
        writes = min(writes, options.writes)
    return [
        *(("mutate", number) for number in range(options.mutations)),
        *(("damage", number) for number in range(options.damages)),
        *(("swell", number) for number in range(options.swellings)),
        *(("kill_chain", number) for number in range(math.ceil(options.kills / KILLS))),
        *(("fail", at, lasting) for at in range(1, writes + 1) for lasting in (0, 1)),
        *(("load_during_saves", LOADS) for _ in range(math.ceil(options.loads / LOADS))),
    ]


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--damages", type=int, default=2_000)
    parser.add_argument("--swellings", type=int, default=100)
    parser.add_argument("--kills", type=int, default=1_000, help=f"rounded up to {KILLS} a job")
    parser.add_argument("--writes", type=int, help="the first of them that fail (default: all)")
    parser.add_argument("--loads", type=int, default=1_000, help=f"rounded up to {LOADS} a job")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="+", metavar="ATTACK NUMBER", help="one attempt")
    return parser.parse_args()


def import_modules() -> None:
    """Import all of charlm, and torch with it, so that no forked command has to."""
    for path in sorted((ROOT / "charlm").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        importlib.import_module(name.removesuffix(".__init__"))
    gc.freeze()  # so that no collection in a fork copies what they share


def main() -> None:
    """Run all attacks."""
    global attacks
    options = read_options()
    import_modules()
    began, report = time.monotonic(), Report()
    with tempfile.TemporaryDirectory() as name:
        examples = Path(name) / "examples"
        examples.mkdir()
        make_examples(examples)
        attacks = measure_usual(examples)
        jobs = list_jobs(options)
        print(f"{len(jobs):,} jobs after {time.monotonic() - began:.0f} s", flush=True)
        with ProcessPoolExecutor(options.workers, multiprocessing.get_context("fork")) as pool:
            running = {pool.submit(run_job, job) for job in jobs}
            for number, done in enumerate(as_completed(running), 1):
                for attempt in done.result():
                    report.add(attempt)
                if number % 500 == 0:
                    seconds = time.monotonic() - began
                    print(f"{number:,} of {len(jobs):,} jobs, {seconds:,.0f} s", flush=True)
    report.show()
    print(f"{time.monotonic() - began:,.0f} s, {options.workers} workers")
    sys.exit(bool(report.faults))


if __name__ == "__main__":
    main()
