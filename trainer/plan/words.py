"""The sections of a plan as frozen dataclasses. Field names are the keys of plan.toml."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Decay(StrEnum):
    """Shape of the fall of the learning rate at a stage's end."""

    LINEAR = "linear"
    COSINE = "cosine"
    MINUS_SQRT = "minus_sqrt"
    """1 - sqrt(share): what WSD papers found best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """``[model]``: a decoder-only transformer of SmolLM3's family."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    """Grouped-query attention: heads % kv_heads == 0."""
    mlp_hidden: int
    vocabulary: int
    """Rows of the embedding; at least the tokenizer's, a multiple of 128 x tensor parallel size."""
    tied_embeddings: bool = True
    norm_epsilon: float = 1e-6
    init_std: float = 0.02
    nope_every: int = 4
    """Each Nth layer has no rotary embedding; 0: all have it."""
    qk_norm: bool = False
    document_masking: bool = True
    """A token attends to its own document only."""
    dropout: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelPlan:
    """``[parallel]``: how the model is laid out. Data parallel size is what the world leaves over."""

    tensor: int = 1
    pipeline: int = 1
    context: int = 1
    sequence: bool = False
    """Megatron's sequence parallelism; needs tensor > 1."""
    micro_batch: int = 1
    """Sequences of one forward pass of one rank."""
    recompute: str = "none"
    """``none``, ``selective`` (attention), ``full``."""
    world: int = 1
    """Ranks that the plan is made for: what --plan-only prints figures for. A run may have others."""
    part: str = ""
    """GPU that it is made for, as ``H100-SXM5-80GB``: what --plan-only compares memory with; empty: none."""
    rank_tokens_per_second: float = 0.0
    """Of one rank in the first stage, measured or hoped for: what --plan-only counts days with; 0: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerPlan:
    """``[optimizer]``: AdamW, decoupled weight decay."""

    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.1
    decay_embeddings: bool = False
    clip: float = 1.0
    """Of the global gradient norm; 0: none."""
    z_loss: float = 0.0
    """Coefficient of the mean of log(Z)^2."""
    dtype: str = "bf16"
    """``bf16`` (with fp32 master weights and gradients) or ``fp32``."""
    distributed: bool = True
    """States sharded over data parallel ranks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """``[tokenizer]``: ``bytes``, or ``bpe`` trained on the sources, or the ``file`` of one (tokenizers' JSON)."""

    kind: str = "bytes"
    vocabulary: int = 257
    """Of a trained one, end of document included."""
    file: Path | None = None
    end_of_document: str = "<|endoftext|>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """``[sources.NAME]``: documents, as text to be tokenised or as a Megatron indexed dataset that exists."""

    name: str
    dataset: Path | None = None
    """Prefix of ``.bin`` and ``.idx``."""
    text: str | None = None
    """Glob of UTF-8 text files, a document each; ``{stdlib}`` stands for Python's standard library."""
    tokens: int | None = None
    """How many it has, where it is not on this machine: for --plan-only's figures."""
    held_out: float = 0.01
    """Share of its documents, the last ones, that is never trained on: for evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """``[[stage]]``: some steps with one mixture, sequence length and phase of the learning rate."""

    name: str
    steps: int
    """Given as ``steps`` or as ``tokens`` (rounded up to whole steps)."""
    sequence_length: int
    batch: int
    """Sequences of one step over all ranks."""
    mixture: Mapping[str, float]
    """Weights of sources; they sum to 1."""
    lr: float
    warmup_steps: int = 0
    """Linear from `lr_start` to `lr`."""
    lr_start: float = 0.0
    decay_steps: int = 0
    """Of the stage's end: from `lr` to `lr_end`."""
    lr_end: float = 0.0
    decay: Decay = Decay.LINEAR
    rope_theta: float = 50_000.0
    fresh_optimizer: bool = False
    """Begin with empty moments, as for a context extension."""

    @property
    def num_samples(self) -> int:
        """Sequences."""
        return self.steps * self.batch

    @property
    def num_tokens(self) -> int:
        """Tokens that are predicted."""
        return self.num_samples * self.sequence_length


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPlan:
    """``[checkpoints]``: three tiers. An interval of 0 turns a tier off."""

    directory: Path = Path("checkpoints")
    """Of durable ones; relative to the run's directory."""
    every_steps: int = 1000
    is_async: bool = True
    """Written in the background, by a snapshot. Key ``async``."""
    keep_last: int = 2
    keep_every_steps: int = 0
    """Also keep each that lies on this grid; 0: none. The last of each stage, pinned ones and the newest good one are
    always kept."""
    good_after_steps: int = 500
    """Healthy steps after which one is believed to be good."""
    local_directory: Path | None = None
    """Of node-local ones, best in shared memory (/dev/shm): survive a process, not a node."""
    local_every_steps: int = 0
    local_keep: int = 2
    memory_every_steps: int = 0
    """In each rank's own memory, for going back within seconds."""
    memory_keep: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """``[evaluation]``: loss on held-out documents, per source; also at each stage's end."""

    every_steps: int = 0
    batches: int = 4
    command: str = ""
    """Run for each durable checkpoint that is verified, split as a shell would, without a shell; ``{checkpoint}`` and
    ``{step}`` are put in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsPlan:
    """``[metrics]``: where figures go beside the run's metrics.jsonl and the daemon."""

    tensorboard: bool = False
    peak_flops: float = 0.0
    """Of one device, per second, for MFU; 0: from the part's datasheet, and none on a CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole training."""

    name: str
    seed: int
    model: ModelPlan
    optimizer: OptimizerPlan
    parallel: ParallelPlan
    tokenizer: Tokenizer
    sources: Mapping[str, Source]
    stages: tuple[Stage, ...]
    checkpoints: CheckpointPlan = field(default_factory=CheckpointPlan)
    evaluation: EvaluationPlan = field(default_factory=EvaluationPlan)
    metrics: MetricsPlan = field(default_factory=MetricsPlan)

    @property
    def num_steps(self) -> int:
        """Of all stages."""
        return sum(stage.steps for stage in self.stages)
