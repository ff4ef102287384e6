"""A trained network that adapts to what it reads: the settings it remembers, and their tuning."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from charlm.checkpoint import (
    Checkpoint,
    read_adaptations,
    read_gradients,
    save_adaptation,
    save_gradients,
)
from charlm.data import TokenFile, make_windows
from charlm.errors import CheckpointError, ConfigError, StorageError, TextError
from charlm.evaluation import (
    CACHE_FACTORS,
    DYNAMIC_FACTORS,
    CacheConfig,
    CachedPredictor,
    Context,
    DynamicConfig,
    DynamicNetwork,
    GradientSizes,
    HiddenReader,
    NetworkPredictor,
    Predictor,
    Reading,
    Trial,
    evaluate,
    measure_gradients,
    read_text,
    tune,
)
from charlm.settings import pick
from charlm.training import find_part, lengths_from

TUNING_TOKENS = 20_000  # of the validation part, its first
GRADIENT_STREAMS, GRADIENT_BPTT = 32, 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Adaptation:
    """How a network adapts to a text; None: not in this way."""

    dynamic: DynamicConfig | None = None
    cache: CacheConfig | None = None

    @property
    def name(self) -> str:
        """What it is remembered as: `dynamic`, `cache` or `dynamic+cache`."""
        return "+".join(kind for kind in ("dynamic", "cache") if getattr(self, kind) is not None)


def remembered(
    checkpoint: Checkpoint,
    dynamic: Mapping[str, Any] | None,
    cache: Mapping[str, Any] | None,
    context: Context,
) -> Adaptation:
    """The settings that were tuned for a checkpoint, or the default ones, under those given.

    Args:
        checkpoint: remembers what was tuned.
        dynamic: settings of dynamic evaluation that are given; None: there is to be none.
        cache: the same of the cache.
        context: in which texts are read; what was tuned in another does not count.

    Raises:
        ConfigError: a setting is out of range.
    """
    kinds = {"dynamic": dynamic, "cache": cache}
    name = "+".join(kind for kind, given in kinds.items() if given is not None)
    tuned = read_adaptations(checkpoint.folder).get(f"{name} {context}", {})
    return Adaptation(
        dynamic=None if dynamic is None else settle(DynamicConfig, tuned.get("dynamic"), dynamic),
        cache=None if cache is None else settle(CacheConfig, tuned.get("cache"), cache),
    )


def settle(kind: Callable[..., Any], tuned: Any, given: Mapping[str, Any]) -> Any:
    """Settings: those given, else the tuned, else the default ones."""
    try:
        kept = pick(kind, tuned) if isinstance(tuned, dict) else {}  # type: ignore[arg-type]
        kind(**kept)
    except ConfigError:  # changed by hand
        kept = {}
    return kind(**{**kept, **given})


def adapt(checkpoint: Checkpoint, adaptation: Adaptation) -> Predictor:
    """The network of a checkpoint, adapting.

    Raises:
        CheckpointError: dynamic evaluation needs the training text, and it is gone.
        ConfigError: the model foretells lengths, of which a cache knows nothing.
    """
    if adaptation.cache is not None:
        check_cache(checkpoint)
    network: HiddenReader = NetworkPredictor(checkpoint.model)
    if adaptation.dynamic is not None:
        sizes = gradient_sizes(checkpoint)
        network = DynamicNetwork(checkpoint.model, sizes, adaptation.dynamic)
    return network if adaptation.cache is None else CachedPredictor(network, adaptation.cache)


def check_cache(checkpoint: Checkpoint) -> None:
    """A cache goes by hidden vectors alone.

    Raises:
        ConfigError: the model foretells lengths.
    """
    if checkpoint.config.model.stop_by == "length":
        raise ConfigError("a cache remembers words, not lengths; leave out --cache.")


def gradient_sizes(checkpoint: Checkpoint) -> GradientSizes:
    """The size of each weight's gradient, measured once and then kept in the checkpoint.

    Raises:
        CheckpointError: they are not there yet, and the training text has changed or is gone; or
            they are there and do not fit the weights.
    """
    shapes = {name: weight.shape for name, weight in checkpoint.model.named_parameters()}
    if (kept := read_gradients(checkpoint.folder, shapes)) is not None:
        return kept
    tokenizer, config = checkpoint.tokenizer, checkpoint.config
    try:
        text = find_part(checkpoint, "train")
    except (CheckpointError, TextError) as error:
        raise CheckpointError(f"dynamic evaluation is not possible yet: {error}") from error
    windows = make_windows(
        text.tokens,
        batch_size=max(1, min(GRADIENT_STREAMS, len(text) // (2 * GRADIENT_BPTT))),
        bptt=GRADIENT_BPTT,
        start_id=tokenizer.start_id,
        independent_frames=config.corpus.independent_frames,
        lengths_from=lengths_from(config.model.stop_by, tokenizer),
    )
    sizes = measure_gradients(checkpoint.model, windows)
    with suppress(StorageError):  # someone else's folder: then they are measured each time
        save_gradients(checkpoint.folder, sizes)
    return sizes


def tune_adaptation(
    checkpoint: Checkpoint,
    dynamic: Mapping[str, Any] | None,
    cache: Mapping[str, Any] | None,
    text: TokenFile,
    reading: Reading,
) -> Iterator[tuple[Adaptation, float]]:
    """Find settings that predict a text best, and have the checkpoint remember them.

    First those of dynamic evaluation by itself, then those of the cache on top of it. It begins at
    the default ones.

    Args:
        checkpoint: whose network adapts.
        dynamic: settings of dynamic evaluation that are given, and stay; None: there is to be none.
        cache: the same of the cache.
        text: of which the first tokens are read; of the validation part.
        reading: how it is read.

    Yields:
        Each trial with its nats per token. The settings that were best come last, once more.

    Raises:
        ConfigError: a setting is out of range, none is left to tune, or none that was tried works.
        StorageError: the settings cannot be written; after all has been given.
    """
    tokens = text.tokens[:TUNING_TOKENS]

    def measure(adaptation: Adaptation) -> float:
        scores = read_text(adapt(checkpoint, adaptation), tokens, reading)
        return evaluate(scores, text.counts, checkpoint.tokenizer).nats_per_token

    dynamic_factors, cache_factors = free(DYNAMIC_FACTORS, dynamic), free(CACHE_FACTORS, cache)
    if not dynamic_factors and not cache_factors:
        raise ConfigError("--tune has nothing to tune: all settings are given; leave one out.")
    best = Adaptation()
    nats = float("inf")
    if dynamic is not None:
        dynamic_trials = list[Trial[DynamicConfig]]()
        for trial in tune(
            lambda config: measure(Adaptation(dynamic=config)),
            DynamicConfig(**dynamic),
            dynamic_factors,
        ):
            dynamic_trials.append(trial)
            yield Adaptation(dynamic=trial.config), trial.nats
        chosen = min(dynamic_trials, key=lambda trial: trial.nats)
        best, nats = Adaptation(dynamic=chosen.config), chosen.nats
    if cache is not None:
        cache_trials = list[Trial[CacheConfig]]()
        settled = best.dynamic
        for tried in tune(
            lambda config: measure(Adaptation(dynamic=settled, cache=config)),
            CacheConfig(**cache),
            cache_factors,
        ):
            cache_trials.append(tried)
            yield Adaptation(dynamic=settled, cache=tried.config), tried.nats
        found = min(cache_trials, key=lambda trial: trial.nats)
        best, nats = Adaptation(dynamic=settled, cache=found.config), found.nats
    if nats == float("inf"):
        raise ConfigError("no settings of dynamic evaluation work for this model and text.")
    yield best, nats
    save_adaptation(checkpoint.folder, f"{best.name} {reading.context}", asdict(best))


def free(factors: Mapping[str, float], given: Mapping[str, Any] | None) -> dict[str, float]:
    """The settings that may change: of a way to adapt that is asked for, those not given."""
    return {name: factors[name] for name in factors if given is not None and name not in given}
