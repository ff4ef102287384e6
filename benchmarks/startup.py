"""How long `charlm --help` and `charlm vocab` take, beside Python itself and `import torch`.

python benchmarks/startup.py
"""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "charlm --help": ["charlm", "--help"],
    "charlm train --help": ["charlm", "train", "--help"],
    "charlm vocab --help": ["charlm", "vocab", "--help"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
}


def main() -> None:
    """Eleven rounds of all commands in turn; the median of the last ten."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(11):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
    for name, times in seconds.items():
        print(f"{name:26} {statistics.median(times[1:]):.3f} s")


if __name__ == "__main__":
    main()
