"""What is true of a tiny model in one rank, two and four: a fact is a function of a meeting, and has a test."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import plain_gpt
import torch
from model_lab import BATCH, BORDERS, LENGTH, MODEL, Lab, Meeting, micro_batch, plan_of, sample

LAYOUTS: dict[str, dict[str, Any]] = {
    "one": {},
    "dp2": {},
    "tp2": {"tensor": 2},
    "tp2 sp": {"tensor": 2, "sequence": True},
    "pp2": {"pipeline": 2},
    "cp2": {"context": 2},
    "tp2 pp2": {"tensor": 2, "pipeline": 2},
    "tp2 cp2 sp": {"tensor": 2, "context": 2, "sequence": True},
    "pp2 dp2": {"pipeline": 2},
}


def alone(place: dict[str, Any], directory: str, kind: str = "cpu") -> dict[str, Any]:
    """One rank; leaves a checkpoint that all layouts go on from."""
    meeting = Meeting(place, kind)
    with meeting.lab(plan_of()) as lab:
        begun = lab.steps(2)
        lab.save(Path(directory))
        gone_on = lab.steps(3)
    found: dict[str, Any] = {"from the seed": [*begun, *gone_on], "one": gone_on}
    facts: dict[str, Callable[[Meeting], Any]] = {
        "plain tied": partial(plain, model={"qk_norm": False}),
        "plain untied": partial(
            plain, model={"tied_embeddings": False, "nope_every": 0}, optimizer={"decay_embeddings": True}
        ),
        "masking": masking,
        "masking off": partial(masking, model={"document_masking": False}),
        "parameters": parameters,
        "theta": theta,
        "veto": veto,
        "fresh moments": fresh_moments,
        "local": local,
        "other model": other_model,
        "saved": partial(saved, directory=Path(directory).with_name("saved")),
        "saved bf16": partial(saved, directory=Path(directory).with_name("saved-bf16"), optimizer={"dtype": "bf16"}),
        "recompute": recompute,
        "bf16": bf16,
        "dropout": dropout,
        "update norm": update_norm,
        "forward only": forward_only,
        "loss": split_loss,
        "blocks": blocks,
        "kernel": kernel,
    }
    return found | {name: fact(meeting) for name, fact in facts.items()}


def pair(place: dict[str, Any], start: str, kind: str = "cpu") -> dict[str, Any]:
    """Two ranks."""
    meeting = Meeting(place, kind)
    names = ("dp2", "tp2", "tp2 sp", "pp2", "cp2")
    found: dict[str, Any] = {name: going_on(meeting, name, start) for name in names}
    return found | {
        "masking tp2": masking(meeting, tensor=2),
        "masking cp2": masking(meeting, context=2),
        "veto": veto(meeting),
        "local": local(meeting),
        "local bf16": local(meeting, optimizer={"dtype": "bf16"}),
        "saved": saved(meeting, directory=Path(start).with_name("saved-dp2")),
        "saved whole": saved(
            meeting, directory=Path(start).with_name("saved-dp2-whole"), optimizer={"distributed": False}
        ),
        "from the seed": from_the_seed(meeting),
        "stale": stale(meeting),
        "update norm": update_norm(meeting),
        "loss": split_loss(meeting, tensor=2),
    }


def four(place: dict[str, Any], start: str, kind: str = "cpu") -> dict[str, Any]:
    """Four ranks."""
    meeting = Meeting(place, kind)
    return {name: going_on(meeting, name, start) for name in ("tp2 pp2", "tp2 cp2 sp", "pp2 dp2")}


def going_on(meeting: Meeting, layout: str, start: str) -> Any:
    """Three steps from the state that one rank left."""
    with meeting.lab(plan_of(**LAYOUTS[layout])) as lab:
        lab.load(Path(start))
        lab.steps_taken = 2
        return lab.steps(3)


def from_the_seed(meeting: Meeting) -> Any:
    """Five steps from fresh weights, with moments whole on each rank."""
    with meeting.lab(plan_of(optimizer={"distributed": False})) as lab:
        return lab.steps(5)


def plain(meeting: Meeting, model: dict[str, Any], optimizer: dict[str, Any] | None = None) -> Any:
    """Differences from plain torch: of logits, and of three steps of AdamW on the same batches."""
    with meeting.lab(plan_of(model, optimizer)) as lab:
        weights = {name: each.requires_grad_() for name, each in lab.weights().items()}
        wanted = lab.plan.model
        shape = plain_gpt.Shape(
            layers=wanted.layers,
            heads=wanted.heads,
            groups=wanted.kv_heads,
            theta=lab.stage.rope_theta,
            nope_every=wanted.nope_every,
            epsilon=wanted.norm_epsilon,
        )
        tokens, ids = sample(0)
        with torch.no_grad():
            difference = (lab.logits(tokens[:-1], ids) - plain_gpt.logits(weights, tokens[:-1], ids, shape)).abs().max()
        plain_optimizer = _plain_adamw(lab, weights)
        theirs = [_plain_step(lab, weights, shape, plain_optimizer, seed) for seed in range(3)]
        ours = lab.steps(3)
        after = lab.weights()
        return {
            "logits": difference.item(),
            "losses": [[each["loss"], each["z_loss"], each["grad_norm"]] for each in ours],
            "plain losses": theirs,
            "weights": max((after[name] - each).abs().max().item() for name, each in weights.items()),
            "moved": max(
                (each - weights[name]).abs().max().item() for name, each in Lab(lab.plan, lab.device).weights().items()
            ),
            "num_tensors": [len(after), len(weights)],
        }


def _plain_adamw(lab: Lab, weights: dict[str, torch.Tensor]) -> torch.optim.AdamW:
    wanted = lab.plan.optimizer
    tables = ("embedding.word_embeddings.weight", "output_layer.weight")
    bare = [name for name in weights if "norm" in name]
    # an output matrix of its own is a matrix like others
    bare += [] if wanted.decay_embeddings else [tables[0]]
    groups = [
        {"params": [each for name, each in weights.items() if name not in bare], "weight_decay": wanted.weight_decay},
        {"params": [weights[name] for name in bare], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lab.stage.lr, betas=(wanted.beta1, wanted.beta2), eps=wanted.epsilon)


def _plain_step(
    lab: Lab, weights: dict[str, torch.Tensor], shape: plain_gpt.Shape, optimizer: torch.optim.AdamW, seed: int
) -> list[float]:
    batch = micro_batch(list(range(BATCH)), seed)
    losses, squares, count = torch.zeros(()), torch.zeros(()), 0
    for row in range(BATCH):
        counted = batch.loss_mask[row] > 0
        found = plain_gpt.logits(weights, batch.tokens[row], batch.document_ids[row], shape)[counted]
        losses = losses + torch.nn.functional.cross_entropy(found, batch.labels[row][counted], reduction="sum")
        squares = squares + (found.logsumexp(-1) ** 2).sum()
        count += int(counted.sum())
    optimizer.zero_grad()
    ((losses + lab.plan.optimizer.z_loss * squares) / count).backward()
    norm = torch.nn.utils.clip_grad_norm_(weights.values(), lab.plan.optimizer.clip)
    optimizer.step()
    return [losses.item() / count, squares.item() / count, norm.item()]


def masking(meeting: Meeting, model: dict[str, Any] | None = None, **parallel: Any) -> Any:
    """How much each document's logits change on this rank with a token of the first one."""
    with meeting.lab(plan_of(model, **parallel)) as lab:
        tokens, ids = sample(0)
        changed = tokens.clone()
        changed[BORDERS[0] // 2] = (changed[BORDERS[0] // 2] + 1) % MODEL.vocabulary
        before, after = lab.logits(tokens[:-1], ids), lab.logits(changed[:-1], ids)
        difference = (after - before).abs().amax(-1)
        own = ids[_own_places(lab)]
        return {
            "first": difference[own == 0].max().item(),
            "second": difference[own == 1].max().item(),
            "num_second": int((own == 1).sum()),
        }


def _own_places(lab: Lab) -> torch.Tensor:
    from megatron.core import parallel_state

    from trainer.model.context import own_positions

    size = lab.plan.parallel.context
    if size == 1:
        return torch.arange(LENGTH)
    return own_positions(LENGTH, parallel_state.get_context_parallel_rank(), size, torch.device("cpu"))


def parameters(meeting: Meeting) -> Any:
    """Of three models: as they are, and as the plan counts them."""
    from trainer.plan.parameters import num_parameters

    found = []
    for model in ({}, {"tied_embeddings": False}, {"qk_norm": False, "kv_heads": 4}):
        with meeting.lab(plan_of(model)) as lab:
            found.append([sum(each.numel() for each in lab.model.parameters()), num_parameters(lab.plan.model)])
    return found


def theta(meeting: Meeting) -> Any:
    """Logits after a change of theta, against a model that was built with it."""
    from trainer.model.stage import set_stage

    tokens, ids = sample(3)
    plan = plan_of()
    far = replace(plan.stages[0], rope_theta=2e6)
    with meeting.lab(replace(plan, stages=(far,))) as lab:
        wanted = lab.logits(tokens[:-1], ids)
    with meeting.lab(plan) as lab:
        before = lab.logits(tokens[:-1], ids)
        set_stage(lab.built, far)
        changed = lab.logits(tokens[:-1], ids)
        longer = lab.logits(torch.cat([tokens[:-1], tokens[:-1]]), torch.cat([ids, ids + 2]))
        set_stage(lab.built, plan.stages[0])
        back = lab.logits(tokens[:-1], ids)
    return {
        "as built": bool(torch.equal(changed, wanted)),
        "difference": (changed - before).abs().max().item(),
        "back": bool(torch.equal(back, before)),
        "longer": (longer[:LENGTH] - changed).abs().max().item(),
    }


def veto(meeting: Meeting) -> Any:
    """A step whose gradients hold a NaN on one rank only, then three that are taken; and the same without it."""
    import torch.distributed as dist

    from trainer.model.apply import discard, gradients_ready

    with meeting.lab(plan_of()) as lab:
        undisturbed = [*lab.steps(1), *lab.steps(2)]
        end = lab.digest()
    with meeting.lab(plan_of()) as lab:
        first = lab.steps(1)
        before = lab.digest()
        lab.pass_over(77)
        poison = next(iter(lab.model.parameters())).main_grad.view(-1)
        if dist.get_rank() == dist.get_world_size() - 1:
            poison[-1] = float("nan")
            poison[0] = float("nan")
        norm = gradients_ready(lab.built)
        discard(lab.built)
        after = lab.digest()
        left = max(each.main_grad.abs().max().item() for each in lab.model.parameters())
        rest = lab.steps(2)
        return {
            "norm": repr(norm),
            "untouched": after == before,
            "gradients left": left,
            "same": [*first, *rest] == undisturbed and lab.digest() == end,
        }


def fresh_moments(meeting: Meeting) -> Any:
    """Largest number of the moments, counts of steps, and whether the weights stayed."""
    from trainer.model.stage import fresh_moments as forget
    from trainer.model.state import local_tensors

    with meeting.lab(plan_of()) as lab:
        lab.steps(2)
        before = lab.digest()
        forget(lab.built)
        tensors = local_tensors(lab.built)
        largest = max(each.abs().max().item() for name, each in tensors.items() if name.startswith("optimizer."))
        kept, empty = lab.digest(), {name: each.clone() for name, each in tensors.items()}
        lab.step()
        counts = [int(each) for name, each in local_tensors(lab.built).items() if name.endswith(".step")]
        return {
            "largest": largest,
            "weights kept": kept[0] == before[0],
            "optimizer changed": kept[1] != before[1],
            "steps then": counts,
            "num_moments": sum(name.endswith("exp_avg") for name in empty),
        }


def local(meeting: Meeting, optimizer: dict[str, Any] | None = None) -> Any:
    """Back to copies of this rank's tensors, and on from there; also into another process' model."""
    from trainer.model.state import force_param_sync, local_tensors, restore_local

    with meeting.lab(plan_of(optimizer=optimizer)) as lab:
        lab.steps(2)
        force_param_sync(lab.built)
        copies = {name: each.clone() for name, each in local_tensors(lab.built).items()}
        at = lab.digest()
        ahead = lab.steps(2)
        end = lab.digest()
        restore_local(lab.built, copies)
        back = lab.digest()
        lab.steps_taken = 2
        again = lab.steps(2)
        same = again == ahead and lab.digest() == end
    with meeting.lab(replace(plan_of(optimizer=optimizer), seed=99)) as lab:
        other = lab.digest()
        restore_local(lab.built, copies)
        lab.steps_taken = 2
        return {
            "restored": back == at,
            "changed meanwhile": end[0] != at[0] and end[1] != at[1],
            "same": same,
            "other seed differs": other[0] != at[0],
            "into a new model": lab.digest()[:2] == at[:2] and lab.steps(2) == ahead,
        }


def other_model(meeting: Meeting) -> Any:
    """What is said of tensors that don't fit."""
    from trainer.model.state import local_tensors, restore_local

    with meeting.lab(plan_of({"layers": 2})) as lab:
        tensors = {name: each.clone() for name, each in local_tensors(lab.built).items()}
    with meeting.lab(plan_of()) as lab:
        before = lab.digest()
        try:
            restore_local(lab.built, tensors)
        except KeyError as error:
            return {"said": str(error), "untouched": lab.digest() == before}
    return {"said": "", "untouched": False}


def saved(meeting: Meeting, directory: Path, optimizer: dict[str, Any] | None = None) -> Any:
    """A new model, from Megatron's checkpoint of two steps."""
    with meeting.lab(plan_of(optimizer=optimizer)) as lab:
        lab.steps(2)
        lab.save(directory)
        at = lab.digest()
        ahead, end = lab.steps(2), lab.digest()
    with meeting.lab(replace(plan_of(optimizer=optimizer), seed=99)) as lab:
        lab.load(directory)
        lab.steps_taken = 2
        loaded = lab.digest()
        return {"loaded": loaded[:2] == at[:2], "same": lab.steps(2) == ahead and lab.digest()[:2] == end[:2]}


def recompute(meeting: Meeting) -> Any:
    """Two steps of each kind."""
    found = {}
    for kind in ("none", "selective", "full"):
        with meeting.lab(plan_of({"dropout": 0.1}, recompute=kind)) as lab:
            found[kind] = lab.steps(2)
    return found


def bf16(meeting: Meeting) -> Any:
    """Losses of twenty steps over the same samples, and what is kept in which precision."""
    from trainer.model.state import local_tensors

    with meeting.lab(plan_of(optimizer={"dtype": "bf16"})) as lab:
        losses = []
        for _ in range(20):
            lab.steps_taken = 0
            losses.append(lab.step()["loss"])
        tensors = local_tensors(lab.built)
        main = [each for name, each in tensors.items() if name.endswith(".main")]
        return {
            "losses": losses,
            "weights": sorted({str(each.dtype) for name, each in tensors.items() if name.startswith("weight.")}),
            "main": sorted({str(each.dtype) for each in main}),
            "moments": sorted({str(each.dtype) for name, each in tensors.items() if "exp_avg" in name}),
            "gradients": str(next(lab.model.parameters()).main_grad.dtype),
        }


def dropout(meeting: Meeting) -> Any:
    """One batch thrice: twice from the same state of the generators, and from the next one."""
    with meeting.lab(plan_of({"dropout": 0.2})) as lab:
        state = lab.device.rng_state()
        first = lab.pass_over(0, forward_only=True).loss
        following = lab.pass_over(0, forward_only=True).loss
        lab.device.set_rng_state(state)
        again = lab.pass_over(0, forward_only=True).loss
        tokens, ids = sample(0)
        is_still = torch.equal(lab.logits(tokens[:-1], ids), lab.logits(tokens[:-1], ids))
        return {"first": first, "again": again, "following": following, "still in evaluation": is_still}


def update_norm(meeting: Meeting) -> Any:
    """As told, and measured on the weights."""
    with meeting.lab(plan_of()) as lab:
        lab.steps(1)
        before = lab.weights()
        told = lab.step()["update_norm"]
        after = lab.weights()
        squares = sum((after[name] - each).double().square().sum().item() for name, each in before.items())
        return {"told": told, "measured": squares**0.5}


def forward_only(meeting: Meeting) -> Any:
    """A look at the loss changes nothing."""
    with meeting.lab(plan_of()) as lab:
        lab.steps(1)
        before = lab.digest()
        looked = lab.pass_over(1, forward_only=True)
        return {"same": lab.digest() == before, "looked": looked.loss, "trained": lab.step()["loss"]}


def stale(meeting: Meeting) -> Any:
    """The weights right after a step, where gathering waits for the next pass; and once they are forced to be whole."""
    from trainer.model.built import digest_of

    with meeting.lab(plan_of()) as lab:
        lab.steps(2)
        raw = digest_of({name: each.data for name, each in lab.model.named_parameters()})
        whole = digest_of(lab.weights())
        return {"raw": raw, "whole": whole}


def split_loss(meeting: Meeting, **parallel: Any) -> Any:
    """Cross-entropy, log Z and their gradients on this rank's share, against torch's on the whole."""
    from megatron.core import parallel_state

    from trainer.model.loss import vocabulary_loss

    with meeting.lab(plan_of(**parallel)):
        group = parallel_state.get_tensor_model_parallel_group()
        rank, size = group.rank(), group.size()
        generator = torch.Generator().manual_seed(5)
        whole = (torch.randn(2, 7, 64, generator=generator) * 3).requires_grad_()
        labels = torch.randint(0, 64, (2, 7), generator=generator)
        share = whole.detach().chunk(size, dim=-1)[rank].clone().requires_grad_()
        kept = share.detach().clone()
        loss, log_z = vocabulary_loss(share, labels, group)
        (loss.sum() + 0.3 * (log_z**2).sum()).backward()
        wanted_z = whole.logsumexp(-1)
        wanted = torch.nn.functional.cross_entropy(whole.transpose(1, 2), labels, reduction="none")
        (wanted.sum() + 0.3 * (wanted_z**2).sum()).backward()
        assert whole.grad is not None
        assert share.grad is not None
        return {
            "loss": (loss - wanted).abs().max().item(),
            "log_z": (log_z - wanted_z).abs().max().item(),
            "gradient": (share.grad - whole.grad.chunk(size, dim=-1)[rank]).abs().max().item(),
            "logits kept": bool(torch.equal(share.detach(), kept)),
        }


def blocks(meeting: Meeting) -> Any:
    """FlexAttention over blocks against the dense mask, for a whole sequence and for one share of a split one."""
    from trainer.model.attention import attend, attend_by_blocks
    from trainer.model.context import own_positions
    from trainer.model.visible import Visible

    generator = torch.Generator().manual_seed(2)
    k, v = (torch.randn(2, 2, 256, 16, generator=generator) for _ in range(2))
    ids = torch.stack([(torch.arange(256) >= border).int() for border in (100, 177)])
    found = {}
    with meeting.lab(plan_of()):
        for name, places in (
            ("whole", torch.arange(256)),
            ("share", own_positions(256, 1, 2, torch.device("cpu"))),
        ):
            for masked in (True, False):
                visible = Visible(
                    query_ids_bq=ids[:, places] if masked else None,
                    key_ids_bk=ids if masked else None,
                    positions_q=places,
                    num_keys=256,
                    is_whole=name == "whole",
                )
                q = torch.randn(2, 4, len(places), 16, generator=generator)
                difference = attend(q, k, v, visible) - attend_by_blocks(q, k, v, visible)
                found[f"{name}, {'documents' if masked else 'one document'}"] = difference.abs().max().item()
    return found


def kernel(meeting: Meeting) -> Any:
    """Where attention goes by blocks: device, size of a head, dropout."""
    from trainer.model.attention import is_for_flex

    del meeting
    cases = [("cuda", 64, 0.0), ("cpu", 64, 0.0), ("cuda", 8, 0.0), ("cuda", 64, 0.1)]
    return [is_for_flex(*case) for case in cases]
