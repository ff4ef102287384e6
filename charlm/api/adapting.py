"""Adaptation to the text being read: dynamic evaluation, neural cache and their tuning."""

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

TUNING_TOKENS = 20_000  # first tokens of the validation split
GRADIENT_STREAMS, GRADIENT_BPTT = 32, 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Adaptation:
    """Settings for adapting a network to a text; None turns a method off."""

    dynamic: DynamicConfig | None = None
    cache: CacheConfig | None = None

    @property
    def name(self) -> str:
        """Name under which the checkpoint stores it: `dynamic`, `cache` or `dynamic+cache`."""
        return "+".join(kind for kind in ("dynamic", "cache") if getattr(self, kind) is not None)


def remembered(
    checkpoint: Checkpoint,
    dynamic: Mapping[str, Any] | None,
    cache: Mapping[str, Any] | None,
    context: Context,
) -> Adaptation:
    """Return the given settings, completed by those tuned for a checkpoint or by the defaults.

    Args:
        checkpoint: its folder stores the tuned settings.
        dynamic: explicit settings of dynamic evaluation; None turns it off.
        cache: explicit settings of the cache; None turns it off.
        context: context in which texts are read; settings tuned in the other context are ignored.

    Raises:
        CheckpointError: the file of tuned settings cannot be read.
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
    """Return settings of one kind: given values first, then tuned values, then defaults.

    Tuned values that are invalid are ignored.

    Raises:
        ConfigError: a given setting is out of range.
    """
    try:
        kept = pick(kind, tuned) if isinstance(tuned, dict) else {}  # type: ignore[arg-type]
        kind(**kept)
    except ConfigError:  # edited by hand
        kept = {}
    return kind(**{**kept, **given})


def adapt(checkpoint: Checkpoint, adaptation: Adaptation) -> Predictor:
    """Return a predictor: the network of a checkpoint, with the adaptation applied.

    Raises:
        CheckpointError: the gradient sizes that dynamic evaluation needs are damaged, or they
            cannot be measured because the training text has changed or is missing.
        ConfigError: a cache is requested, but the model predicts lengths.
    """
    if adaptation.cache is not None:
        check_cache(checkpoint)
    network: HiddenReader = NetworkPredictor(checkpoint.model)
    if adaptation.dynamic is not None:
        sizes = gradient_sizes(checkpoint)
        network = DynamicNetwork(checkpoint.model, sizes, adaptation.dynamic)
    return network if adaptation.cache is None else CachedPredictor(network, adaptation.cache)


def check_cache(checkpoint: Checkpoint) -> None:
    """Check that the model can use a cache, which stores tokens and no lengths.

    Raises:
        ConfigError: the model predicts lengths.
    """
    if checkpoint.config.model.stop_by == "length":
        raise ConfigError("a cache remembers words, not lengths; leave out --cache.")


def gradient_sizes(checkpoint: Checkpoint) -> GradientSizes:
    """Return the gradient size of each weight, measured once and then stored in the checkpoint.

    Raises:
        CheckpointError: the sizes are not stored yet and the training text has changed or is
            missing, or the stored sizes do not fit the weights.
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
    with suppress(StorageError):  # a read-only folder: measure again each time
        save_gradients(checkpoint.folder, sizes)
    return sizes


def tune_adaptation(
    checkpoint: Checkpoint,
    dynamic: Mapping[str, Any] | None,
    cache: Mapping[str, Any] | None,
    text: TokenFile,
    reading: Reading,
) -> Iterator[tuple[Adaptation, float]]:
    """Find the settings that predict a text best, and store them in the checkpoint.

    Dynamic evaluation is tuned first, without the cache; then the cache is tuned on top of it. The
    search starts from the given settings, and from the defaults for the rest.

    Args:
        checkpoint: provides the network and stores the result.
        dynamic: fixed settings of dynamic evaluation; None turns it off.
        cache: fixed settings of the cache; None turns it off.
        text: the validation split; its first `TUNING_TOKENS` tokens are read.
        reading: how the text is read.

    Yields:
        Each trial with its nats per token. The best settings are repeated at the end.

    Raises:
        CheckpointError: dynamic evaluation is not possible; see `gradient_sizes`.
        ConfigError: a setting is out of range, no setting is left to tune, or no trial works.
        StorageError: the settings cannot be written; raised after the last trial was yielded.
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
    """Return the factors of the settings to tune: none if `given` is None, else those not given."""
    return {name: factors[name] for name in factors if given is not None and name not in given}
