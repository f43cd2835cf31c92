"""What localisation may spend and what it calls slow: each number with its arithmetic.

Noise. A measurement of a healthy group is taken to scatter with a relative standard deviation s = 2 %, as in the
simulated fleet (`noise`). A slow node counts from 10 % down. The limit lies half way, at 0.95 of the healthy figure,
which is 2.5 s.

Repeats. The median of r normal values has a standard deviation of 0.536 s at r = 5 (order statistics). At r = 5 the
limit is 2.5 / 0.536 = 4.7 standard deviations from a healthy value: 1.5e-6 of them fall below by chance, and fewer of
those 10 % slow rise above. A run at 2,048 nodes makes about 2,500 trials: 0.004 false alarms a run.

Sequence. A false alarm only makes a suspect. A node FAILs when it fails with three partners that pass with others, and
passes with nobody: three alarms by chance are 3e-18. Recall is lost when one trial of a slow node passes by chance; it
is then re-measured with its partners, and all values of one pair are judged together, so a second chance is needed.

Busy machines. Where others use a machine or the network for a while, a whole trial is slow while its repeats agree, so
no noise is seen. A fault that stands still lets no trial pass: a pair of which one trial passes has passed, and a
mildly slow convict meets two of its witnesses up to twice more. With 5 % lost a trial on average (four nodes, one slow)
that takes false FAILs from 12 % of runs to under 1 %; it costs four rounds where a node is slow by less than half, none
else.

Paths. A node is told from its paths as long as at most two of its paths to proven partners are bad. Three proven
partners that all fail with a node convict it: to a job it makes no difference.

Single repeats. One repeat below 0.88 = 1 - 6 s (1e-9 by chance) beside one above 0.975 = 1 - 1.25 s (a 10 % slow group
gets there in 2e-5 of repeats) is no noise: the pair is unsteady. Milder wobble is not told from noise.

Where repeats scatter by clearly more than the assumed noise (`limits`), all limits widen in proportion: 2.5, 6 and 1.25
x what was seen.
"""

from dataclasses import dataclass
from math import floor, log2

from watchdog.vocabulary.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits and costs of localisation; raises `UsageError` where a number makes no sense."""

    expected_bytes_per_second: float | None = None
    """Bus bandwidth of a healthy group of two, by the platform; None: the fleet's own upper figure is all there is."""
    expected_group_bytes_per_second: float | None = None
    """The same of a group of `group_size`."""
    noise_ratio: float = 0.02
    """Relative standard deviation of one healthy measurement (see the module)."""
    least_ratio: float = 0.95
    """A healthy group's median, of the healthy figure (see the module); lower where the noise is larger."""
    repeats: int = 5
    """Of each measurement of the first matchings and of groups."""
    confirm_repeats: int = 10
    """Of a re-test. A node that drops three repeats in ten shows in 97 % of re-tests (1 - 0.7^10)."""
    partners_to_convict: int = 3
    """Proven partners that a node must fail with; fewer where there are fewer, never fewer than two."""
    partners_to_clear: int = 3
    """Other partners that an end of a bad path must pass with, so that an unsteady node is not taken for a path."""
    group_size: int = 8
    """Of the larger groups (burnin.md §5e, step 5)."""
    least_nodes_for_groups: int = 17
    """Smaller fleets are not measured in groups (the same step)."""
    most_rounds: int | None = None
    """None: 4 + 2 log2(nodes), rounded down."""
    rail: int | None = None
    """Plan and read measurements of one rail alone; None: of all GPUs of a node together."""

    def __post_init__(self) -> None:
        if not 0 < self.least_ratio < 1 or not 0 <= self.noise_ratio < 0.5:
            raise UsageError(
                f"localisation: least_ratio {self.least_ratio} must lie between 0 and 1, noise_ratio "
                f"{self.noise_ratio} between 0 and 0.5"
            )
        if self.repeats < 3 or self.confirm_repeats < 3:
            raise UsageError(
                f"localisation: repeats {self.repeats} and confirm_repeats {self.confirm_repeats} must be 3 or more; "
                "with fewer the median does not outvote one odd value"
            )
        if self.group_size < 4 or self.partners_to_convict < 2 or self.partners_to_clear < 1:
            raise UsageError(
                f"localisation: group_size {self.group_size} must be 4 or more, partners_to_convict "
                f"{self.partners_to_convict} 2 or more, partners_to_clear {self.partners_to_clear} 1 or more"
            )

    def most_rounds_of(self, num_nodes: int) -> int:
        """The last round's number in a fleet of `num_nodes`."""
        if self.most_rounds is not None:
            return self.most_rounds
        return floor(4 + 2 * log2(num_nodes)) if num_nodes > 1 else 0
