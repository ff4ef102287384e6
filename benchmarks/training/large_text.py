"""Memory that training takes on a large text, beside the same steps on a small one.

    python benchmarks/training/large_text.py TEXT [--megabytes 1000] [CHARLM TRAIN'S OPTIONS...]

TEXT is repeated, with a number before each line, until it is so large. The memory is what belongs
to the process alone (RssAnon, the most of twenty looks a second; Linux only): pages of a mapped
file belong to the system, which takes them back when it needs them. They are shown beside it.
"""

import argparse
import itertools
import os
import subprocess
import tempfile
import time
from pathlib import Path

LOOKS = 0.05  # seconds between two


def main() -> None:
    """Train on the small text and on the large one, the same number of steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--megabytes", type=int, default=1000)
    options, others = parser.parse_known_args()
    settings = others or ["--steps", "50", "--hidden-size", "512"]
    print("| text | options | seconds | own memory | pages of files |")
    print("| --- " * 5 + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.txt"
        write_large(options.text, large, options.megabytes)
        for path in (options.text, large):
            size = f"{path.stat().st_size / 1e6:,.0f} MB"
            seconds, own, files = watch([str(path), *settings, "-o", f"{folder}/{path.stem}"])
            row = (size, f"`{' '.join(settings)}`", f"{seconds:.0f}", f"{own} MB", f"{files} MB")
            print(f"| {' | '.join(row)} |", flush=True)


def write_large(text: Path, path: Path, megabytes: int) -> None:
    """Lines of the text over and over, no two alike."""
    lines = text.read_text(encoding="utf-8").splitlines()
    with path.open("w", encoding="utf-8") as file:
        for number, line in enumerate(itertools.cycle(lines)):
            file.write(f"{number} {line}\n")
            if number % 1000 == 0 and file.tell() >= megabytes * 1_000_000:
                return


def watch(arguments: list[str]) -> tuple[float, int, int]:
    """Seconds, and the most megabytes of its own and of mapped files that the command had."""
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        process = subprocess.Popen(
            ["charlm", "train", *arguments],
            env={**os.environ, "CHARLM_CACHE": cache},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        own = files = 0
        while process.poll() is None:
            own = max(own, megabytes(process.pid, "RssAnon"))
            files = max(files, megabytes(process.pid, "RssFile"))
            time.sleep(LOOKS)
        assert process.returncode == 0, arguments
        return time.perf_counter() - start, own, files


def megabytes(pid: int, field: str) -> int:
    """A line of /proc/PID/status; 0 when the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    found = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(next(found, "0")) // 1000


if __name__ == "__main__":
    main()
