"""What must hold between the values of a plan. Pure; complains, never raises."""

from collections import Counter
from decimal import Decimal

from trainer.plan.words import ModelPlan, OptimizerPlan, ParallelPlan, Plan, Source, Stage
from watchdog.vocabulary.complaints import Complaints
from watchdog.vocabulary.errors import nearest

VOCABULARY_MULTIPLE = 128
"""Rows of the embedding on each tensor parallel rank: tensor cores want multiples (playbook: of 128)."""
RECOMPUTES = ("none", "selective", "full")
DTYPES = ("bf16", "fp32")
TOKENIZERS = ("bytes", "bpe")
BYTE_VOCABULARY = 257
"""Bytes, and the end of a document."""


def check(plan: Plan, complaints: Complaints) -> None:
    """Complain of all that doesn't hold."""
    _model(plan.model, complaints)
    _parallel(plan.parallel, plan.model, complaints)
    _optimizer(plan.optimizer, complaints)
    _tokenizer(plan, complaints)
    for source in plan.sources.values():
        _source(source, complaints)
    names = Counter(stage.name for stage in plan.stages)
    for name, count in names.items():
        if count > 1:
            complaints.found.append(f"stage.name {name!r} is given {count} times; stages are known by their names")
    for number, stage in enumerate(plan.stages, 1):
        _stage(stage, f"stage[{number}]", plan, complaints)
    _checkpoints(plan, complaints)


def _at_least(complaints: Complaints, least: float, **values: float) -> None:
    for key, value in values.items():
        if value < least:
            complaints.add(key.replace("__", "."), value, f"at least {least:g}")


def _model(model: ModelPlan, complaints: Complaints) -> None:
    _at_least(
        complaints,
        1,
        model__layers=model.layers,
        model__hidden=model.hidden,
        model__heads=model.heads,
        model__kv_heads=model.kv_heads,
        model__mlp_hidden=model.mlp_hidden,
        model__vocabulary=model.vocabulary,
    )
    _at_least(complaints, 0, model__nope_every=model.nope_every)
    if model.heads > 0 and model.hidden % (2 * model.heads):
        complaints.add("model.hidden", model.hidden, f"a multiple of 2 x {model.heads} heads: rotary pairs fill a head")
    if model.kv_heads > 0 and model.heads % model.kv_heads:
        complaints.add("model.kv_heads", model.kv_heads, f"a divisor of heads, {model.heads}")
    if not 0 <= model.dropout < 1:
        complaints.add("model.dropout", model.dropout, "at least 0 and below 1")
    for key, value in (("norm_epsilon", model.norm_epsilon), ("init_std", model.init_std)):
        if value <= 0:
            complaints.add(f"model.{key}", value, "above 0")


def _parallel(parallel: ParallelPlan, model: ModelPlan, complaints: Complaints) -> None:
    sizes = {
        "tensor": parallel.tensor,
        "pipeline": parallel.pipeline,
        "context": parallel.context,
        "micro_batch": parallel.micro_batch,
        "world": parallel.world,
    }
    _at_least(complaints, 1, **{f"parallel__{key}": value for key, value in sizes.items()})
    if min(sizes.values()) < 1:
        return
    if model.heads % parallel.tensor or model.kv_heads % parallel.tensor:
        complaints.add(
            "parallel.tensor", parallel.tensor, f"a divisor of heads, {model.heads}, and kv_heads, {model.kv_heads}"
        )
    if model.layers % parallel.pipeline:
        complaints.add("parallel.pipeline", parallel.pipeline, f"a divisor of layers, {model.layers}")
    rows = VOCABULARY_MULTIPLE * parallel.tensor
    if model.vocabulary % rows:
        complaints.add(
            "model.vocabulary",
            model.vocabulary,
            f"a multiple of 128 x parallel.tensor: {-(-model.vocabulary // rows) * rows}",
        )
    if parallel.sequence and parallel.tensor == 1:
        complaints.add("parallel.sequence", True, "true only with tensor above 1")
    if parallel.recompute not in RECOMPUTES:
        complaints.add("parallel.recompute", parallel.recompute, ", ".join(RECOMPUTES))
    copy = parallel.tensor * parallel.pipeline * parallel.context
    if parallel.world % copy:
        complaints.add("parallel.world", parallel.world, f"a multiple of tensor x pipeline x context: {copy}")


def _optimizer(optimizer: OptimizerPlan, complaints: Complaints) -> None:
    for key, value in (("beta1", optimizer.beta1), ("beta2", optimizer.beta2)):
        if not 0 <= value < 1:
            complaints.add(f"optimizer.{key}", value, "at least 0 and below 1")
    _at_least(
        complaints,
        0,
        optimizer__weight_decay=optimizer.weight_decay,
        optimizer__clip=optimizer.clip,
        optimizer__z_loss=optimizer.z_loss,
    )
    if optimizer.epsilon <= 0:
        complaints.add("optimizer.epsilon", optimizer.epsilon, "above 0")
    if optimizer.dtype not in DTYPES:
        complaints.add("optimizer.dtype", optimizer.dtype, ", ".join(DTYPES))


def _tokenizer(plan: Plan, complaints: Complaints) -> None:
    tokenizer = plan.tokenizer
    if tokenizer.kind not in TOKENIZERS:
        complaints.add("tokenizer.kind", tokenizer.kind, ", ".join(TOKENIZERS))
    if tokenizer.kind == "bytes" and tokenizer.file is not None:
        complaints.add("tokenizer.file", str(tokenizer.file), 'a file only with kind = "bpe"')
    least = BYTE_VOCABULARY if tokenizer.kind == "bytes" else tokenizer.vocabulary
    if tokenizer.kind == "bpe" and tokenizer.vocabulary < BYTE_VOCABULARY:
        complaints.add(
            "tokenizer.vocabulary", tokenizer.vocabulary, f"at least {BYTE_VOCABULARY}: every byte is a token"
        )
    if plan.model.vocabulary < least:
        complaints.add("model.vocabulary", plan.model.vocabulary, f"at least the tokenizer's {least}")


def _source(source: Source, complaints: Complaints) -> None:
    where = f"sources.{source.name}"
    if (source.dataset is None) == (source.text is None):
        complaints.found.append(f"{where} needs dataset or text, one of them")
    if not 0 <= source.held_out < 1:
        complaints.add(f"{where}.held_out", source.held_out, "at least 0 and below 1")


def _stage(stage: Stage, where: str, plan: Plan, complaints: Complaints) -> None:
    _at_least(
        complaints,
        1,
        **{f"{where}__{key}": getattr(stage, key) for key in ("steps", "sequence_length", "batch")},
    )
    _at_least(
        complaints,
        0,
        **{f"{where}__{key}": getattr(stage, key) for key in ("warmup_steps", "decay_steps", "lr_start", "lr_end")},
    )
    if stage.lr <= 0:
        complaints.add(f"{where}.lr", stage.lr, "above 0")
    if stage.rope_theta <= 1:
        complaints.add(f"{where}.rope_theta", stage.rope_theta, "above 1")
    if stage.warmup_steps + stage.decay_steps > stage.steps:
        complaints.found.append(
            f"{where}: warmup_steps {stage.warmup_steps} and decay_steps {stage.decay_steps} are more than its "
            f"{stage.steps} steps"
        )
    _mixture(stage, f"{where}.mixture", plan, complaints)
    _layout(stage, where, plan.parallel, complaints)


def _mixture(stage: Stage, where: str, plan: Plan, complaints: Complaints) -> None:
    for name, weight in stage.mixture.items():
        if name not in plan.sources:
            complaints.found.append(f"{where} names {name!r}, which is no source{nearest(name, plan.sources)}")
        if weight < 0:
            complaints.add(f"{where}.{name}", weight, "at least 0")
    total = sum((Decimal(str(weight)) for weight in stage.mixture.values()), Decimal(0))
    if total != 1:
        complaints.found.append(f"{where}: the weights sum to {total}; they must sum to 1")


def _layout(stage: Stage, where: str, parallel: ParallelPlan, complaints: Complaints) -> None:
    copy = parallel.tensor * parallel.pipeline * parallel.context
    if copy < 1 or parallel.world % max(copy, 1) or parallel.micro_batch < 1:
        return  # complained of already
    round_size = parallel.world // copy * parallel.micro_batch
    if round_size and stage.batch % round_size:
        complaints.add(
            f"{where}.batch",
            stage.batch,
            f"a multiple of data parallel size x micro_batch: {parallel.world // copy} x {parallel.micro_batch}",
        )
    if parallel.context > 1 and stage.sequence_length % (2 * parallel.context):
        complaints.add(f"{where}.sequence_length", stage.sequence_length, f"a multiple of {2 * parallel.context}")
    if parallel.sequence and stage.sequence_length // max(1, parallel.context) % parallel.tensor:
        complaints.add(f"{where}.sequence_length", stage.sequence_length, f"a multiple of tensor, {parallel.tensor}")


def _checkpoints(plan: Plan, complaints: Complaints) -> None:
    found = plan.checkpoints
    _at_least(
        complaints,
        0,
        **{
            f"checkpoints__{key}": getattr(found, key)
            for key in (
                "every_steps",
                "keep_every_steps",
                "good_after_steps",
                "local_every_steps",
                "memory_every_steps",
            )
        },
        evaluation__every_steps=plan.evaluation.every_steps,
        metrics__peak_flops=plan.metrics.peak_flops,
    )
    _at_least(
        complaints,
        1,
        checkpoints__keep_last=found.keep_last,
        checkpoints__local_keep=found.local_keep,
        checkpoints__memory_keep=found.memory_keep,
        evaluation__batches=plan.evaluation.batches,
    )
    if found.local_every_steps and found.local_directory is None:
        complaints.missing(
            "checkpoints.local_directory", "a directory, best in /dev/shm, or leave out local_every_steps"
        )
