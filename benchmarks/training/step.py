"""Training steps beside a plain PyTorch loop: time, share of the matrix rate, and equal losses.

    python benchmarks/training/step.py FOLDER [--steps 300] [--device cuda]

FOLDER holds tinyshakespeare.txt and ptb/train.txt. The plain loop is what everyone writes:
nn.Embedding, nn.LSTM, nn.Linear (tied), cross_entropy, AdamW, float32; then the same under autocast
to bfloat16. All begin with the same weights and read the same windows of the text.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from charlm.data import Epochs, make_epochs
from charlm.device import choose_device, synchronize
from charlm.model import LanguageModel, ModelConfig
from charlm.text import TextConfig, build_tokenizer
from charlm.training import Learner, TrainingConfig

RATE = 2e-3
STEPS = 10**9  # far away: a constant learning rate


@dataclass(frozen=True, slots=True)
class Problem:
    """A text and a shape."""

    name: str
    model: ModelConfig
    windows: Epochs
    batch_size: int
    bptt: int

    @property
    def products(self) -> int:
        """Operations of a step's products, as the plain loop has to do them, forwards and back."""
        model, below = self.model, self.model.embedding_size
        weights = model.vocab_size * model.output_size
        for size in model.layer_sizes:
            weights += 4 * size * (below + size)
            below = size
        return 6 * weights * self.batch_size * self.bptt


def make_problem(
    name: str, path: Path, level: str, batch_size: int, bptt: int, **shape: int
) -> Problem:
    """Encode a text and cut it into windows."""
    config = TextConfig(level=level, vocab_size=10_000 if level == "word" else None)
    text = path.read_text(encoding="utf-8")
    tokenizer = build_tokenizer(config, [text])
    tokens = torch.tensor(tokenizer.encode(text)).numpy().astype("uint32")
    windows = make_epochs(
        tokens,
        batch_size=batch_size,
        bptt=bptt,
        start_id=tokenizer.start_id,
        independent_frames=False,
    )
    size = shape["hidden_size"]
    model = ModelConfig(vocab_size=tokenizer.vocab_size, embedding_size=size, dropout=0, **shape)
    return Problem(name, model, windows, batch_size, bptt)


class PlainLoop:
    """What everyone writes."""

    def __init__(
        self, problem: Problem, weights: LanguageModel, bfloat16: bool, device: torch.device
    ) -> None:
        config = problem.model
        self.windows, self.bfloat16, self.step = problem.windows, bfloat16, 0
        self.device = device
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.lstm = nn.LSTM(
            config.embedding_size, config.hidden_size, config.num_layers, batch_first=True
        )
        self.output = nn.Linear(config.hidden_size, config.vocab_size)
        self.output.weight = self.embedding.weight
        with torch.no_grad():
            self.embedding.weight.copy_(weights.body.embedding.weight)
            self.output.bias.copy_(weights.head.projection.bias)
            for index, layer in enumerate(weights.body.stack.recurrent_layers()):
                for name, weight in layer.cell.named_parameters():
                    getattr(self.lstm, f"{name}_l{index}").copy_(weight)
        self.modules = nn.ModuleList([self.embedding, self.lstm, self.output]).to(device)
        self.optimizer = torch.optim.AdamW(self.modules.parameters(), lr=RATE, weight_decay=0)
        self.state: tuple[Tensor, ...] | None = None

    def advance(self) -> float:
        """One step; its loss."""
        window = self.windows.window(self.step)
        inputs = torch.from_numpy(window.inputs).to(self.device)
        targets = torch.from_numpy(window.targets).to(self.device)
        if window.fresh.any():
            self.state = None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            hidden, state = self.lstm(self.embedding(inputs), self.state)
            logits = self.output(hidden).float()
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.modules.parameters(), 1.0)
        self.optimizer.step()
        self.state = tuple(s.detach() for s in state)
        self.step += 1
        return loss.item()


def charlm_loop(
    problem: Problem, weights: LanguageModel, precision: str, device: torch.device
) -> Callable[[], float]:
    """charlm's step, from the same weights."""
    model = LanguageModel(problem.model)
    model.load_state_dict(weights.state_dict())
    training = TrainingConfig(
        steps=STEPS,
        batch_size=problem.batch_size,
        bptt=problem.bptt,
        learning_rate=RATE,
        weight_decay=0,
        warmup_steps=0,
        precision=precision,
    )
    learner = Learner(model.to(device), problem.windows, training)
    return lambda: learner.advance().loss


def matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """The device's operations a second, by torch, on large matrices."""
    a, b = (torch.randn(2048, 2048, dtype=dtype, device=device) for _ in range(2))
    times = []
    for _ in range(12):
        synchronize(device)
        start = time.perf_counter()
        torch.mm(a, b)
        synchronize(device)
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(times)


def compare(problem: Problem, steps: int, device: torch.device) -> None:
    """Take the steps in turn, some at a time, and print medians, ratios and last losses."""
    torch.manual_seed(0)
    weights = LanguageModel(problem.model)
    loops = {
        "plain float32": PlainLoop(problem, weights, bfloat16=False, device=device).advance,
        "plain bfloat16": PlainLoop(problem, weights, bfloat16=True, device=device).advance,
        "charlm float32": charlm_loop(problem, weights, "float32", device),
        "charlm bfloat16": charlm_loop(problem, weights, "bfloat16", device),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    losses: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(steps // 10):
        for name, advance in loops.items():
            for _ in range(10):
                start = time.perf_counter()
                losses[name].append(advance())
                seconds[name].append(time.perf_counter() - start)
    rates = {name: matrix_rate(getattr(torch, name), device) for name in ("float32", "bfloat16")}
    tokens = problem.batch_size * problem.bptt
    plain = statistics.median(seconds["plain float32"])
    last = statistics.mean(losses["plain float32"][-50:])
    print(
        f"\n{problem.name}: GEMM "
        + ", ".join(f"{n} {r / 1e9:,.0f}" for n, r in rates.items())
        + " GFLOP/s"
    )
    print("| loop | ms a step | tokens/s | times plain | share of GEMM | loss, last 50 steps |")
    print("| --- " * 6 + "|")
    for name, times in seconds.items():
        median = statistics.median(times)
        loss = statistics.mean(losses[name][-50:])
        share = problem.products / median / rates[name.split()[1]]
        print(
            f"| {name} | {1000 * median:.1f} | {tokens / median:,.0f} | {plain / median:.2f} "
            f"| {share:.0%} | {loss:.4f} ({loss / last - 1:+.2%}) |",
            flush=True,
        )


def main() -> None:
    """1x512 characters and 2x650 words, then a row of sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--sizes", action="store_true", help="1x128 to 1x1024 characters too")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device = choose_device(options.device)
    shakespeare = options.folder / "tinyshakespeare.txt"
    sizes = (128, 256, 1024) if options.sizes else ()
    for size in (512, *sizes):
        name = f"1x{size} characters, 32 x 64"
        compare(
            make_problem(name, shakespeare, "char", 32, 64, hidden_size=size), options.steps, device
        )
    words = options.folder / "ptb" / "train.txt"
    shape = {"hidden_size": 650, "num_layers": 2}
    compare(
        make_problem("2x650 words, 32 x 35", words, "word", 32, 35, **shape), options.steps, device
    )


if __name__ == "__main__":
    main()
