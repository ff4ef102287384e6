"""What each regulariser, optimiser, schedule and average is worth in so many seconds.

    python benchmarks/training/ablation.py TEXT [--time 60s] [--words] [NAME...]

Each run has the same time, text and shape and differs in the named settings alone; exact nats per
token of the validation part. The first run has none of them.
"""

import argparse

from runs import run

SETTINGS = {
    "none of them": "",
    "dropout 0.2": "--dropout 0.2",
    "dropout 0.5": "--dropout 0.5",
    "input dropout 0.2": "--input-dropout 0.2",
    "embedding dropout 0.1": "--embedding-dropout 0.1",
    "weight dropout 0.3": "--weight-dropout 0.3",
    "activation penalties 2 and 1": "--activation-penalty 2 --temporal-activation-penalty 1",
    "weight decay 0.1": "--weight-decay 0.1",
    "weight decay 0": "--weight-decay 0",
    "variable bptt": "--variable-bptt",
    "partial shuffle": "--partial-shuffle",
    "not tied": "--no-tie-embeddings",
    "mogrifier, 2 rounds": "--mogrifier-steps 2",
    "muon": "--optimizer muon",
    "sgd": "--optimizer sgd",
    "NT-ASGD": "--optimizer sgd --decay-share 0 --averaging triggered --valid-every 100",
    "cosine": "--schedule cosine",
    "plateau": "--schedule plateau",
    "ema": "--averaging ema",
    "never down, ema": "--decay-share 0 --averaging ema",
    "tail average": "--averaging tail",
    "never down, tail average": "--decay-share 0 --averaging tail",
    "accumulation of 2": "--accumulation-steps 2",
    "batch of 16": "--batch-size 16",
    "batch of 64": "--batch-size 64",
    "learning rate 2e-3": "--learning-rate 2e-3",
    "learning rate 1e-2": "--learning-rate 1e-2",
    "float32": "--precision float32",
}


def main() -> None:
    """Run the named settings, or all, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SETTINGS))
    parser.add_argument("--time", default="60s")
    parser.add_argument("--hidden-size", default="512")
    parser.add_argument("--words", action="store_true")
    parser.add_argument("--split", default="90/10/0")
    options = parser.parse_args()
    common = [options.text, "--split", options.split, "--time", options.time]
    common += ["--hidden-size", options.hidden_size]
    common += ["--level", "word"] if options.words else []
    print("| settings | nats per token | steps | tokens/s |\n| --- | --- | --- | --- |")
    for name in options.names or SETTINGS:
        settings = SETTINGS[name].split()
        if "--dropout" not in settings:
            settings += ["--dropout", "0"]
        outcome = run([*common, *settings])
        print(
            f"| {name} | {outcome.nats:.3f} | {outcome.steps:,} "
            f"| {outcome.tokens_per_second:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
