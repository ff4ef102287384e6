"""SIGKILL at random moments of a run: after each, `charlm eval` must work and resuming must too.

python benchmarks/kill.py corpora/tales.txt --moments 20
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHARLM = [sys.executable, "-m", "charlm"]
SMALL = ["--hidden-size", "64", "--steps", "15000", "--valid-every", "20", "--seed", "1"]


def run(*arguments: str) -> str:
    """Run charlm to its end; its output."""
    done = subprocess.run([*CHARLM, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def main() -> None:
    """Kill and evaluate; at the end compare with a run that was never killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("--moments", type=int, default=20)
    options = parser.parse_args()
    moments = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        killed, whole = Path(folder) / "killed", Path(folder) / "whole"
        for number in range(options.moments):
            exists = killed.exists()
            arguments = ["--resume"] if exists else [options.corpus, *SMALL]
            running = subprocess.Popen(
                [*CHARLM, "train", *arguments, "-o", str(killed)], stderr=subprocess.DEVNULL
            )
            while not killed.exists():  # from here on there must always be a whole checkpoint
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 2) if not exists else moments.uniform(2, 4.5))
            running.send_signal(signal.SIGKILL)
            status = running.wait()
            perplexity = float(run("eval", str(killed), "--perplexity"))
            print(f"{number + 1:3}  status {status}  perplexity {perplexity:.3f}", flush=True)
            if status == 0:
                break
        if status != 0:
            run("train", "--resume", "-o", str(killed))
        run("train", options.corpus, *SMALL, "-o", str(whole))
        same = (killed / "model.safetensors").read_bytes() == (
            whole / "model.safetensors"
        ).read_bytes()
        print(f"model.safetensors of the killed run and of a whole one: {same and 'identical'}")


if __name__ == "__main__":
    main()
