"""AdamW with the layout of state that Megatron's distributed optimizer can save and load.

With torch's own AdamW a resume fails or is silently wrong: it keeps a step a parameter, Megatron one a group.
This is the layout of Apex and Transformer Engine, so checkpoints fit theirs.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch.optim.adamw import adamw


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
        """One update of every parameter that has a gradient."""
        assert closure is None
        squares: list[torch.Tensor] = []
        for group in self.param_groups:
            group["step"] += 1
            for param in group["params"]:
                if param.grad is None:
                    continue
                before = param.clone() if param in self.counted else None
                self._update(group, param)
                if before is not None:
                    squares.append(before.sub_(param).square_().sum(dtype=torch.float32))
        self.update_squared = float(torch.stack(squares).sum()) if squares else 0.0

    def _update(self, group: dict[str, Any], param: torch.Tensor) -> None:
        state = self.state[param]
        if not state:
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(param), torch.zeros_like(param)
        beta1, beta2 = group["betas"]
        assert param.grad is not None
        adamw(
            [param],
            [param.grad],
            [state["exp_avg"]],
            [state["exp_avg_sq"]],
            [],
            # the kernel adds one before it uses it
            [torch.tensor(float(group["step"] - 1), device=param.device)],
            fused=True,
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def install() -> None:
    """Megatron's optimizers use it from now on, as if it were Apex's."""
    from megatron.core import optimizer  # noqa: PLC0415 - after the device is open
    from megatron.core.optimizer import distrib_optimizer  # noqa: PLC0415

    optimizer.Adam, optimizer.USING_PYTORCH_OPTIMIZER = GroupStepAdamW, False
    distrib_optimizer.Adam = GroupStepAdamW
    distrib_optimizer.HAVE_APEX_OR_TE, distrib_optimizer.USING_APEX_OPTIMIZER = True, True
