"""The same training in plain PyTorch: a model, AdamW and a loop in a hundred lines, for telling that ours learns.

It shares with ours the plan's numbers and the samples on disk, and nothing of model, optimizer, loss or loop. Run as
``plain_training.py PLAN DATA SEED...``: prints the loss of each step for each seed as a JSON line.
"""

import json
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from trainer.data.stage_data import StageData
from trainer.plan import ModelPlan, Plan, load_plan
from trainer.plan.position import lr_at


def turned(x: Tensor, theta: float) -> Tensor:
    """(B, heads, T, dim)."""
    half = x.shape[-1] // 2
    angles = torch.arange(x.shape[2])[:, None] * theta ** (-torch.arange(half) / half)
    first, second = x[..., :half], x[..., half:]
    return torch.cat(
        [first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], dim=-1
    )


class Layer(nn.Module):
    def __init__(self, plan: ModelPlan, has_rotary: bool) -> None:
        super().__init__()
        self.heads, self.groups, self.has_rotary = plan.heads, plan.kv_heads, has_rotary
        self.dim = plan.hidden // plan.heads
        self.before = nn.RMSNorm(plan.hidden, plan.norm_epsilon)
        self.between = nn.RMSNorm(plan.hidden, plan.norm_epsilon)
        self.q = nn.Linear(plan.hidden, plan.hidden, bias=False)
        self.kv = nn.Linear(plan.hidden, 2 * self.groups * self.dim, bias=False)
        self.out = nn.Linear(plan.hidden, plan.hidden, bias=False)
        self.up = nn.Linear(plan.hidden, 2 * plan.mlp_hidden, bias=False)
        self.down = nn.Linear(plan.mlp_hidden, plan.hidden, bias=False)
        for each in (self.q, self.kv, self.up):
            nn.init.normal_(each.weight, std=plan.init_std)
        for each in (self.out, self.down):
            nn.init.normal_(each.weight, std=plan.init_std / (2 * plan.layers) ** 0.5)

    def forward(self, x: Tensor, mask: Tensor, theta: float) -> Tensor:
        size, length, _ = x.shape
        normed = self.before(x)
        q = self.q(normed).view(size, length, self.heads, self.dim).transpose(1, 2)
        kv = self.kv(normed).view(size, length, 2 * self.groups, self.dim).transpose(1, 2)
        k, v = kv.chunk(2, dim=1)
        if self.has_rotary:
            q, k = turned(q, theta), turned(k, theta)
        each = self.heads // self.groups
        k, v = k.repeat_interleave(each, dim=1), v.repeat_interleave(each, dim=1)
        scores = (q @ k.transpose(-1, -2) / self.dim**0.5).masked_fill(~mask, float("-inf"))
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(size, length, -1))
        gate, up = self.up(self.between(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class Model(nn.Module):
    def __init__(self, plan: ModelPlan) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(plan.vocabulary, plan.hidden))
        nn.init.normal_(self.table, std=plan.init_std)
        self.layers = nn.ModuleList(
            Layer(plan, not (plan.nope_every and (index + 1) % plan.nope_every == 0)) for index in range(plan.layers)
        )
        self.last = nn.RMSNorm(plan.hidden, plan.norm_epsilon)

    def forward(self, tokens: Tensor, mask: Tensor, theta: float) -> Tensor:
        x = self.table[tokens]
        for layer in self.layers:
            x = layer(x, mask, theta)
        return self.last(x) @ self.table.T


def batch_of(data: StageData, first: int, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Tokens, labels, which labels count, who sees whom."""
    rows = torch.stack([torch.as_tensor(data.sample(first + index).tokens) for index in range(count)])
    tokens, labels = rows[:, :-1], rows[:, 1:]
    ends = tokens == data.end_of_document
    ids = ends.int().cumsum(1) - ends.int()
    length = tokens.shape[1]
    mask = torch.ones(length, length, dtype=torch.bool).tril() & (ids[:, :, None] == ids[:, None, :])
    return tokens, labels, ~ends, mask[:, None]


def train(plan: Plan, directory: Path, seed: int) -> list[float]:
    torch.manual_seed(seed)
    model = Model(plan.model)
    wd = plan.optimizer.weight_decay
    decayed = [each for name, each in model.named_parameters() if each.dim() > 1 and name != "table"]
    others = [each for name, each in model.named_parameters() if each.dim() == 1 or name == "table"]
    betas = (plan.optimizer.beta1, plan.optimizer.beta2)
    groups = [{"params": decayed, "weight_decay": wd}, {"params": others, "weight_decay": 0.0}]
    found: list[float] = []
    step = 0
    for index, stage in enumerate(plan.stages):
        data = StageData.open(plan, index, directory, is_builder=True)
        if index == 0 or stage.fresh_optimizer:
            optimizer = torch.optim.AdamW(groups, betas=betas, eps=plan.optimizer.epsilon)
        for number in range(stage.steps):
            step += 1
            tokens, labels, counts, mask = batch_of(data, number * stage.batch, stage.batch)
            logits = model(tokens, mask, stage.rope_theta)
            each = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
            loss = each[counts].mean()
            total = loss + plan.optimizer.z_loss * (logits.logsumexp(-1)[counts] ** 2).mean()
            optimizer.zero_grad()
            total.backward()
            nn.utils.clip_grad_norm_(model.parameters(), plan.optimizer.clip)
            for group in optimizer.param_groups:
                group["lr"] = lr_at(plan, step)
            optimizer.step()
            found.append(loss.item())
    return found


if __name__ == "__main__":
    torch.set_num_threads(2)
    for given in sys.argv[3:]:
        print(json.dumps(train(load_plan(Path(sys.argv[1])), Path(sys.argv[2]), int(given))), flush=True)  # noqa: T201
