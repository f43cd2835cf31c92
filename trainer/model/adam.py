"""AdamW with the layout of state that Megatron's distributed optimizer can save and load.

With torch's own AdamW a resume fails or is silently wrong: it keeps a step a parameter, Megatron one a group.
This is the layout of Apex and Transformer Engine, so checkpoints fit theirs.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.optim.adamw import adamw

ELEMENTS_AT_ONCE = 2**26
"""Of parameters updated by one call. Copies of that many are held meanwhile, to measure the change: 256 MiB."""


class GroupStepAdamW(torch.optim.Optimizer):
    """Decoupled weight decay; ``step`` lives in the group, ``exp_avg`` and ``exp_avg_sq`` in the state."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.1,
        *,
        adam_w_mode: bool = True,
    ) -> None:
        """As Apex's FusedAdam."""
        assert adam_w_mode, "only decoupled weight decay"
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "step": 0})
        self.update_squared = 0.0
        """Sum of squares of the last step's changes, over `counted` parameters."""
        self.counted: set[torch.Tensor] = set()
        """Those whose changes this rank answers for; others have a twin elsewhere."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient. Waits for the device."""
        assert closure is None
        squares: list[torch.Tensor] = []
        for group in self.param_groups:
            group["step"] += 1
            for params in in_portions([each for each in group["params"] if each.grad is not None]):
                before = {param: param.clone() for param in params if param in self.counted}
                self._update(group, params)
                squares += [old.sub_(param).square_().sum(dtype=torch.float64) for param, old in before.items()]
        self.update_squared = float(torch.stack(squares).sum()) if squares else 0.0

    def _update(self, group: dict[str, Any], params: list[torch.Tensor]) -> None:
        states = [self._moments(param) for param in params]
        # the kernel adds one to each before it uses it
        steps = torch.full((len(params),), float(group["step"] - 1), device=params[0].device)
        beta1, beta2 = group["betas"]
        adamw(
            params,
            [param.grad for param in params if param.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            list(steps.unbind()),
            fused=True,
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )

    def _moments(self, param: torch.Tensor) -> dict[str, torch.Tensor]:
        state: dict[str, torch.Tensor] = self.state[param]
        if not state:
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(param), torch.zeros_like(param)
        return state

    def begin_moments(self) -> None:
        """Zeros, where no step has made any yet."""
        for group in self.param_groups:
            for param in group["params"]:
                self._moments(param)

    def forget(self) -> None:
        """Moments and count of steps are as before the first step; parameters stay."""
        for group in self.param_groups:
            group["step"] = 0
            for param in group["params"]:
                for moment in self._moments(param).values():
                    moment.zero_()


def in_portions(params: list[torch.Tensor], most: int = ELEMENTS_AT_ONCE) -> Iterator[list[torch.Tensor]]:
    """In their order, as many at a time as have at most `most` elements together; at least one."""
    portion: list[torch.Tensor] = []
    total = 0
    for param in params:
        if portion and total + param.numel() > most:
            yield portion
            portion, total = [], 0
        portion.append(param)
        total += param.numel()
    if portion:
        yield portion


def install() -> None:
    """Megatron's optimizers use it from now on, as if it were Apex's."""
    from megatron.core import optimizer  # noqa: PLC0415 - after the device is open
    from megatron.core.optimizer import distrib_optimizer  # noqa: PLC0415

    optimizer.Adam, optimizer.USING_PYTORCH_OPTIMIZER = GroupStepAdamW, False
    distrib_optimizer.Adam = GroupStepAdamW
    distrib_optimizer.HAVE_APEX_OR_TE, distrib_optimizer.USING_APEX_OPTIMIZER = True, True
