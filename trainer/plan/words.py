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
    """Transformer layers; a multiple of `parallel.pipeline`."""
    hidden: int
    """Width of the residual stream; a multiple of 2 x heads."""
    heads: int
    """Of queries; a multiple of kv_heads and of `parallel.tensor`."""
    kv_heads: int
    """Of keys and values: grouped-query attention where there are fewer than heads."""
    mlp_hidden: int
    """Width of the gated MLP (SwiGLU)."""
    vocabulary: int
    """Rows of the embedding; at least the tokenizer's, a multiple of 128 x `parallel.tensor`."""
    tied_embeddings: bool = True
    """The output's matrix is the embedding."""
    norm_epsilon: float = 1e-6
    """Of RMSNorm."""
    init_std: float = 0.02
    """Standard deviation of fresh weights; those that write to the residual stream have it over sqrt(2 x layers)."""
    nope_every: int = 4
    """Each Nth layer has no rotary embedding; 0: all have it."""
    qk_norm: bool = False
    """RMSNorm of each head's queries and keys."""
    document_masking: bool = True
    """A token attends to its own document only."""
    dropout: float = 0.0
    """After attention and MLP, and in attention."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelPlan:
    """``[parallel]``: how the model is laid out. Data parallel size is what the world leaves over."""

    tensor: int = 1
    """Ranks that share each layer; best within a node."""
    pipeline: int = 1
    """Ranks that have the layers one after the other."""
    context: int = 1
    """Ranks that share each sequence; its length must be a multiple of 2 x context."""
    sequence: bool = False
    """Megatron's sequence parallelism: tensor parallel ranks share norms and the residual stream too."""
    micro_batch: int = 1
    """Sequences of one forward pass of one rank."""
    recompute: str = "none"
    """What is computed again in the backward pass instead of kept: ``none``, ``selective`` (attention), ``full``."""
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
    """Decay of the mean of gradients."""
    beta2: float = 0.95
    """Decay of the mean of their squares."""
    epsilon: float = 1e-8
    """Added to the root of the latter."""
    weight_decay: float = 0.1
    """Times the learning rate, off each weight at each step; never off norms."""
    decay_embeddings: bool = False
    """Off the embedding too."""
    clip: float = 1.0
    """Of the global gradient norm; 0: none."""
    z_loss: float = 0.0
    """Coefficient of the mean of log(Z)^2, which keeps logits small; 0: none."""
    dtype: str = "bf16"
    """Of weights and activations: ``bf16`` (with fp32 master weights and gradients) or ``fp32``."""
    distributed: bool = True
    """States sharded over data parallel ranks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """``[tokenizer]``: ``bytes``, or ``bpe`` trained on the sources, or the ``file`` of one (tokenizers' JSON)."""

    kind: str = "bytes"
    """``bytes``, or ``bpe``: trained on the text of the first stage's sources, or read from `file`."""
    vocabulary: int = 257
    """Of one that is trained, end of document included."""
    file: Path | None = None
    """A tokenizer as tokenizers' JSON."""
    end_of_document: str = "<|endoftext|>"
    """The token that ends each document; one that `file` has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """``[sources.NAME]``: documents, as text to be tokenised or as a Megatron indexed dataset that exists."""

    name: str
    dataset: Path | None = None
    """Prefix of a Megatron indexed dataset's ``.bin`` and ``.idx``. This or text."""
    text: str | None = None
    """Glob of UTF-8 text files, a document each; ``{stdlib}`` stands for Python's standard library. This or dataset."""
    tokens: int | None = None
    """How many it has, as ``"4T"`` or a whole number: for --plan-only to say how often it is gone through."""
    held_out: float = 0.01
    """Share of its documents, the last ones, that is never trained on: for evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """``[[stage]]``: some steps with one mixture, sequence length and phase of the learning rate."""

    name: str
    """What checkpoints, metrics and the order of its data know it by: no other stage has it, and it stays."""
    steps: int
    """Given as ``steps`` or as ``tokens`` (rounded up to whole steps)."""
    sequence_length: int
    """Tokens of one sequence."""
    batch: int
    """Sequences of one step over all ranks."""
    mixture: Mapping[str, float]
    """Weights of sources; they sum to 1."""
    lr: float
    """Highest learning rate: after the warm-up, before the decay."""
    warmup_steps: int = 0
    """Of the stage's begin: linear from `lr_start` to `lr`, which the last of them has."""
    lr_start: float = 0.0
    """Where the warm-up begins; no step is taken with it."""
    decay_steps: int = 0
    """Of the stage's end: from `lr` to `lr_end`, which the last of them has."""
    lr_end: float = 0.0
    """Learning rate of the stage's last step, where it has a decay."""
    decay: Decay = Decay.LINEAR
    """Its shape: ``linear``, ``cosine``, or ``minus_sqrt``: 1 - sqrt(share)."""
    rope_theta: float = 50_000.0
    """Base of the rotary embedding's wave lengths."""
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
    """Between durable ones; there is one at each stage's end, too, and at the end; 0: those alone."""
    is_async: bool = True
    """Written in the background, by a snapshot. Key ``async``."""
    keep_last: int = 2
    """The newest ones, kept whatever they are."""
    keep_every_steps: int = 0
    """Also keep each that lies on this grid; 0: none. The last of each stage, pinned ones and the newest good one are
    always kept."""
    good_after_steps: int = 500
    """Healthy steps after which one is believed to be good."""
    local_directory: Path | None = None
    """Of node-local ones, best in shared memory (/dev/shm): survive a process, not a node."""
    local_every_steps: int = 0
    """Between node-local ones; 0: none."""
    local_keep: int = 2
    """The newest ones that stay."""
    memory_every_steps: int = 0
    """In each rank's own memory, for going back within seconds."""
    memory_keep: int = 2
    """The newest ones that stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """``[evaluation]``: loss on held-out documents, per source; also at each stage's end."""

    every_steps: int = 0
    """Between evaluations; 0: none, not at stages' ends either."""
    batches: int = 4
    """Batches of the stage's size, of each source."""
    command: str = ""
    """Run for each durable checkpoint that is verified, split as a shell would, without a shell; ``{checkpoint}`` and
    ``{step}`` are put in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsPlan:
    """``[metrics]``: where figures go beside the run's metrics.jsonl and the daemon."""

    tensorboard: bool = False
    """Write events for TensorBoard into the run's directory too."""
    peak_flops: float = 0.0
    """Of one device, per second, for MFU; 0: from its data sheet, and none on a CPU."""


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
