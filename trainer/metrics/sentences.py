"""Records in words, for a person. Pure."""

from trainer.metrics.record import (
    CheckpointChanged,
    CommandEnded,
    Evaluated,
    Record,
    RunBegins,
    RunEnds,
    StageBegins,
    StepDone,
)
from watchdog.vocabulary.units import show_duration, show_quantity


def figures(record: StepDone) -> str:
    """``loss 2.3142  grad 0.41  13,820 tokens/s  MFU 31.2 %``; what is not known is left out."""
    if record.skipped:
        return f"skipped: {record.skipped}"
    parts = [
        "" if record.loss is None else f"loss {record.loss:.4f}",
        "" if record.grad_norm is None else f"grad {record.grad_norm:.3g}",
        "" if record.tokens_per_second is None else f"{record.tokens_per_second:,.0f} tokens/s",
        "" if record.mfu is None else f"MFU {100 * record.mfu:.1f} %",
        f"no update: {record.vetoed}" if record.vetoed else "",
    ]
    return "  ".join(part for part in parts if part)


def sentence(record: Record) -> str:
    """Of all but steps; empty for what nobody waits for."""
    match record:
        case RunBegins():
            return _of_begin(record)
        case StageBegins():
            return (
                f"stage {record.stage} from step {record.step}: {record.batch} sequences of {record.sequence_length} "
                f"tokens a step"
            )
        case RunEnds():
            return f"ended at step {record.step}: {record.reason}"
        case CheckpointChanged():
            return _of_checkpoint(record)
        case Evaluated() | CommandEnded():
            return _of_evaluation(record)
        case StepDone():
            return ""


def _of_begin(record: RunBegins) -> str:
    lines = [*record.passed_over, *record.version_changes]
    origin = f"goes on from {record.resumed_from}" if record.resumed_from else "begins"
    lines.append(f"run {record.run} {origin}, {record.num_parameters:,} parameters")
    if record.peak_flops:
        peak = show_quantity(record.peak_flops, "FLOP/s")
        lines.append(f"MFU: {record.flops_formula} FLOP a token, of {peak}")
    return "\n".join(lines)


def _of_checkpoint(record: CheckpointChanged) -> str:
    if record.problem:
        return f"checkpoint of step {record.step} {record.state}: {record.problem}"
    return f"checkpoint of step {record.step} is {record.state}" if record.tier == "durable" else ""


def _of_evaluation(record: Evaluated | CommandEnded) -> str:
    if isinstance(record, Evaluated):
        losses = ", ".join(f"{source} {loss:.4f}" for source, loss in record.losses.items())
        return f"held out at step {record.step}: {losses or 'no source has held-out text'}"
    name = f"evaluation command of step {record.step}"
    if record.problem:
        return f"{name}: {record.problem}"
    said = f"; see {record.log}" if record.code else ""
    return f"{name} ended with {record.code} after {show_duration(record.seconds)}{said}"
