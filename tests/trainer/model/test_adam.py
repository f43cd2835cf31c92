from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.model.adam import GroupStepAdamW, in_portions


def twins(sizes):
    generator = torch.Generator().manual_seed(1)
    ours = [torch.randn(size, generator=generator).requires_grad_() for size in sizes]
    return ours, [each.detach().clone().requires_grad_() for each in ours]


def grads(params, seed):
    generator = torch.Generator().manual_seed(seed)
    for param in params:
        param.grad = torch.randn(param.shape, generator=generator)


def test_it_is_torchs_adamw_to_the_bit():
    ours, theirs = twins([3, 70, 1])
    own = GroupStepAdamW(ours, lr=1e-2, weight_decay=0.3)
    torchs = torch.optim.AdamW(theirs, lr=1e-2, betas=(0.9, 0.95), weight_decay=0.3, fused=True)
    for seed in range(4):
        grads(ours, seed)
        grads(theirs, seed)
        own.step()
        torchs.step()
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_the_count_of_steps_is_the_groups_and_the_state_is_two_moments():
    """As Apex and Transformer Engine have it: what Megatron can save."""
    ours, _ = twins([4])
    own = GroupStepAdamW(ours)
    grads(ours, 0)
    own.step()
    assert own.param_groups[0]["step"] == 1
    assert sorted(own.state[ours[0]]) == ["exp_avg", "exp_avg_sq"]


def test_a_parameter_without_a_gradient_stays():
    ours, theirs = twins([4, 4])
    own = GroupStepAdamW(ours)
    grads(ours[:1], 0)
    own.step()
    assert not torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])


def test_the_change_is_measured_over_those_that_count():
    ours, before = twins([50, 60])
    own = GroupStepAdamW(ours, lr=0.1)
    own.counted = {ours[1]}
    grads(ours, 0)
    own.step()
    assert own.update_squared == (before[1] - ours[1]).detach().square().sum(dtype=torch.float64).item()


def test_forgotten_moments_are_those_of_a_new_optimizer():
    ours, _ = twins([5])
    own = GroupStepAdamW(ours)
    grads(ours, 0)
    own.step()
    own.forget()
    new_param = ours[0].detach().clone().requires_grad_()
    new = GroupStepAdamW([new_param])
    grads([ours[0]], 9)
    grads([new_param], 9)
    own.step()
    new.step()
    assert torch.equal(ours[0], new_param)


@given(st.lists(st.integers(1, 20), max_size=12), st.integers(1, 40))
def test_portions_keep_the_order_and_the_limit(sizes, most):
    params = [torch.empty(size) for size in sizes]
    portions = list(in_portions(params, most))
    assert [id(each) for portion in portions for each in portion] == [id(each) for each in params]
    for portion in portions:
        assert portion
        assert len(portion) == 1 or sum(each.numel() for each in portion) <= most


@given(st.lists(st.integers(1, 20), min_size=2, max_size=12), st.integers(1, 40))
def test_portions_are_as_few_as_the_order_allows(sizes, most):
    portions = list(in_portions([torch.empty(size) for size in sizes], most))
    for before, after in pairwise(portions):
        assert sum(each.numel() for each in before) + after[0].numel() > most
