"""Carries a plan out over many nodes: they say hello, qualify by themselves, then measure the network round by round.

It measures nothing itself. A node that does not answer in its time is left out and named; it holds up nobody. However a
run ends, what was found until then is judged.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from fryer.collectives.cases import CollectiveCase, CollectiveRow
from fryer.collectives.swept import BETWEEN, INSIDE, Swept
from fryer.collectives.witnesses import agree_on_missing
from fryer.evidence import NodeEvidence
from fryer.fleet.hosts import Hosts
from fryer.fleet.journal import Piece
from fryer.fleet.merge import Gathered, merge, own_verdicts
from fryer.fleet.network_plan import NetworkPlan
from fryer.fleet.orders import (
    PROTOCOL,
    Collect,
    Collected,
    Contact,
    Ended,
    Hello,
    Message,
    Progress,
    Qualified,
    Qualify,
    Stop,
)
from fryer.fleet.sweeps import Planned, conclude, healthy, plan_between, plan_inside
from fryer.localise import Localisation, Round, Settings, Trial, localise, next_round
from fryer.outputs.fleet import FleetOutput
from fryer.platform import versions
from fryer.result import Network, RunInfo, RunResult
from fryer.stopper import Stopper
from watchdog.vocabulary.verdicts import Verdict

LISTEN_SECONDS = 0.2
QUALIFY_SLACK_SECONDS = 180.0
"""How much longer than its burns a node may take: first contexts, the fork server, burns that overrun (see crew)."""
PORT = 29_600
"""Of the first group's rendezvous: below the range of ports that kernels hand out (32768)."""
_POOL = (Verdict.PASS, Verdict.WARN, Verdict.INCONCLUSIVE)
"""Verdicts with which a node takes part in the network's measurement: a slow GPU is not to be blamed on it."""


SWEEP_SLACK = 3.0
"""How many times its estimated time a sweep may take."""
MOST_SUSPECTS = 8
"""Slow nodes whose rails are measured one by one: where there are more, it is no single NIC that is to be found."""


Past = Callable[[Sequence[NodeEvidence]], Sequence[NodeEvidence]]
"""Adds to evidence what the store knows of the same devices."""


def conduct(  # noqa: PLR0913 - one argument a part
    info: RunInfo,
    hosts: Hosts,
    output: FleetOutput,
    stopper: Stopper,
    *,
    past: Past,
    network: NetworkPlan | None,
    contact: Contact | None = None,
    known: Gathered | None = None,
    keep: Callable[[Piece], None] = lambda _: None,
) -> RunResult:
    """Qualify all nodes of the plan. `network` None: each by itself only. `known`: what an earlier, unfinished run of
    this id has; `keep` is given each new piece, for a later one."""
    start = time.monotonic()
    output.start(info)
    conductor = _Conductor(
        info, hosts, output, stopper, contact or Contact(), known or Gathered(), keep, network or NetworkPlan()
    )
    hosts.start([node for node in info.plan.nodes if node not in conductor.evidence or network is not None])
    try:
        conductor.gather()
        conductor.qualify()
        conductor.evidence = {each.node: each for each in past(tuple(conductor.evidence.values()))}
        own = own_verdicts(conductor.evidence)
        found = None
        if network is not None:
            pool = [node for node, verdict in own.items() if verdict.verdict in _POOL]
            pool = conductor.sweep_inside(pool)
            found = conductor.measure_network(pool)
            conductor.sweep_between(pool, found)
    finally:
        hosts.send(Stop(reason=stopper.reason or "the run is over"))
        hosts.close()
    return merge(info, time.monotonic() - start, conductor.gathered(found), own)


class _Conductor:
    def __init__(
        self,
        info: RunInfo,
        hosts: Hosts,
        output: FleetOutput,
        stopper: Stopper,
        contact: Contact,
        known: Gathered,
        keep: Callable[[Piece], None],
        network: NetworkPlan,
    ) -> None:
        self._plan = info.plan
        self._known = frozenset(info.plan.nodes)
        self._version = versions().get("fryer", "?")
        self._hosts = hosts
        self._output = output
        self._stopper = stopper
        self._contact = contact
        self._keep = keep
        self._network = network
        self._hellos: dict[str, Hello] = {}
        self._ended: dict[str, Ended] = {}
        self._heard: dict[str, float] = {}
        """When each node last said something, on the hosts' clock."""
        self._collected: dict[str, Collected] = {}
        self._order = ""
        self.evidence: dict[str, NodeEvidence] = dict(known.evidence)
        self._trials: list[Trial] = list(known.network.trials) if known.network else []
        self._rounds: list[Round] = list(known.network.rounds) if known.network else []
        self._rows: list[CollectiveRow] = []
        self._sweeps: list[Swept] = list(known.network.sweeps) if known.network else []

    @property
    def _alive(self) -> list[str]:
        return [node for node in self._hellos if node not in self._ended]

    def gather(self) -> None:
        """Wait for each worker's Hello."""
        seconds = self._contact.connect_seconds + self._contact.hello_seconds
        self._wait(lambda: [n for n in self._plan.nodes if n not in self._hellos], seconds, "did not say hello")

    def qualify(self) -> None:
        """All nodes at the same time, each for itself."""
        waiting = [node for node in self._alive if node not in self.evidence]
        if not waiting or self._stopper.reason:
            return
        self._order = "qualify"
        self._hosts.send(Qualify(id=self._order, plan=self._plan))
        for node in waiting:
            self._output.state(node, "burning")
        seconds = self._plan.seconds + QUALIFY_SLACK_SECONDS
        self._wait(lambda: [n for n in waiting if n not in self.evidence], seconds, "did not end its burns")

    def measure_network(self, pool: Sequence[str]) -> Localisation | None:
        """Rounds that localisation asks for, until it asks for none."""
        network = self._network
        if len(pool) < 2:
            return None
        case = network.gpu_case if all(self._has_gpus(node) for node in pool) else network.cpu_case
        settings = self._with_expected(network.settings, pool, case)
        self._measure_rounds(pool, case, settings)
        found = localise(pool, self._trials, settings)
        suspects = [each.node for each in found.nodes if each.verdict is Verdict.FAIL and each.node in self._alive]
        if case is not network.gpu_case or not suspects or self._stopper.reason:
            return found
        blamed = {each.node for each in found.nodes}
        partners = [node for node in pool if node in self._alive and node not in blamed]
        suspects = suspects[:MOST_SUSPECTS]
        self._measure_rails([*suspects, *partners[: 2 * len(suspects)]], case)
        told = localise(pool, self._trials, settings)
        # one rail's path to a node that failed says nothing that the node's own finding does not
        links = tuple(link for link in told.links if link in found.links or not blamed & set(link.nodes))
        return replace(told, links=links)

    def _with_expected(self, settings: Settings, pool: Sequence[str], case: CollectiveCase) -> Settings:
        """What the platform should give, where it is known and nobody has said it."""
        hellos = [self._hellos[node] for node in pool if node in self._hellos]
        pair, group = (healthy(hellos, number, case) for number in (2, settings.group_size))
        if settings.expected_bytes_per_second is not None or pair is None or group is None:
            return settings
        return replace(settings, expected_bytes_per_second=pair.typical, expected_group_bytes_per_second=group.typical)

    def sweep_inside(self, pool: Sequence[str]) -> list[str]:
        """GPUs of each node among themselves, before the network is blamed; the nodes that may go on."""
        done = {node for each in self._sweeps if each.scope == INSIDE for node in each.nodes}
        able = [node for node in self._fit(pool) if node not in done]
        if able and not self._stopper.reason:
            self._sweep(plan_inside(self._plan.collectives, able, self._hellos, self.evidence))
        bad = {n for s in self._sweeps if s.scope == INSIDE and s.verdict is Verdict.FAIL for n in s.nodes}
        return [node for node in pool if node not in bad]

    def sweep_between(self, pool: Sequence[str], found: Localisation | None) -> None:
        """All that are fit as one group, over sizes and operations."""
        is_done = any(each.scope == BETWEEN for each in self._sweeps)
        able = self._fit(pool)
        if not is_done and len(self._plan.nodes) > 1 and not self._stopper.reason:
            self._sweep(plan_between(self._plan.collectives, able, found, self._hellos, self.evidence))

    def _fit(self, pool: Sequence[str]) -> list[str]:
        """Those of `pool` that are there, in the plan's order: so ranks lie as people expect them."""
        there = set(pool) & set(self._alive)
        return [node for node in self._plan.nodes if node in there]

    def _sweep(self, planned: Planned | Swept | None) -> None:
        if isinstance(planned, Planned):
            seconds = max(self._network.order_seconds, SWEEP_SLACK * planned.sweep.seconds)
            self._output.sweep(planned.scope, planned.groups, planned.what)
            cases, repeats = planned.sweep.cases, planned.repeats
            told = self._collect(f"sweep {planned.scope}", planned.groups, cases, repeats, seconds)
            if self._stopper.reason:
                return
            found = [conclude(planned, group, told, self._missing(group)) for group in planned.groups]
        else:
            found = [planned] if planned else []
        for swept in found:
            self._sweeps.append(swept)
            self._keep(swept)

    def _measure_rounds(self, nodes: Sequence[str], case: CollectiveCase, settings: Settings) -> None:
        while not self._stopper.reason:
            able = [node for node in nodes if node in self._alive]
            wanted = next_round(able, self._trials, settings)
            if wanted is None:
                return
            self._measure(wanted, case)

    def _measure_rails(self, nodes: Sequence[str], case: CollectiveCase) -> None:
        """Each GPU with the NIC beside it alone: which of them holds a slow node."""
        num_rails = min((self._hellos[node].num_gpus for node in nodes), default=0)
        for rail in range(num_rails if num_rails > 1 else 0):
            self._measure_rounds(nodes, case, replace(self._network.settings, rail=rail))

    def gathered(self, found: Localisation | None) -> Gathered:
        """All that was seen."""
        network = Network(
            rounds=tuple(self._rounds),
            trials=tuple(self._trials),
            rows=tuple(self._rows),
            expected_bytes_per_second=found.expected_bytes_per_second if found else None,
            sweeps=tuple(self._sweeps),
        )
        return Gathered(
            evidence=self.evidence,
            ended={node: ended for node, ended in self._ended.items() if ended.code != "done"},
            localisation=found,
            network=network if found or self._sweeps else None,
            stopped=self._stopper.reason,
        )

    def _has_gpus(self, node: str) -> bool:
        hello = self._hellos.get(node)
        return hello is not None and hello.num_gpus > 0

    def _measure(self, wanted: Round, case: CollectiveCase) -> None:
        name = f"round{wanted.number}" + ("" if wanted.rail is None else f"rail{wanted.rail}")
        self._output.round(wanted)
        seconds = self._network.order_seconds
        self._collect(name, wanted.groups, (case,), wanted.repeats, seconds, rail=wanted.rail)
        if self._stopper.reason:
            return
        self._rounds.append(wanted)
        self._keep(wanted)
        for group in wanted.groups:
            trial = self._trial(wanted, group)
            self._trials.append(trial)
            self._keep(trial)

    def _collect(
        self,
        name: str,
        groups: tuple[tuple[str, ...], ...],
        cases: tuple[CollectiveCase, ...],
        repeats: int,
        seconds: float,
        *,
        rail: int | None = None,
    ) -> Mapping[str, Collected]:
        """Measure in all groups at the same time: what each member said that said something in time."""
        self._order = name
        self._collected = {}
        members = [node for group in groups for node in group]
        for node in members:
            self._output.state(node, "collecting")
        self._hosts.send(
            Collect(
                id=name,
                groups=groups,
                cases=cases,
                repeats=repeats,
                ranks_per_node=0 if rail is None else 1,
                rail=rail,
                addresses={node: self._hellos[node].addresses[0] for node in members if self._hellos[node].addresses},
                port=PORT,
                join_seconds=self._network.join_seconds,
                seconds=seconds,
            )
        )
        waited = seconds + self._network.join_seconds
        self._wait(lambda: [n for n in members if n not in self._collected], waited, "did not end its collective")
        return self._collected

    def _missing(self, group: tuple[str, ...]) -> set[str]:
        gone = {node for node in group if node in self._ended}
        told = {node: self._collected[node].missing for node in group if node in self._collected}
        return gone or set(agree_on_missing(told))

    def _trial(self, wanted: Round, group: tuple[str, ...]) -> Trial:
        told = [self._collected[node] for node in group if node in self._collected]
        rows = [row for collected in told for row in collected.rows]
        missing = self._missing(group)
        problem = next((collected.problem for collected in told if collected.problem), "")
        if not rows and not problem:
            problem = "nobody answered"
        self._rows += rows
        return Trial(
            round=wanted.number,
            nodes=group,
            values=tuple(row.busbw_bytes_per_second for row in rows),
            problem=problem,
            missing=tuple(node for node in group if node in missing),
            num_wrong=sum(row.num_wrong for row in rows),
            rail=wanted.rail,
        )

    def _wait(self, missing: Callable[[], Sequence[str]], seconds: float, what: str) -> None:
        """Hear messages until no node is missing; those that still are at the deadline, or silent, are left out."""
        begun = self._hosts.now()
        self._heard |= dict.fromkeys(missing(), begun)
        while not self._stopper.reason:
            for message in self._hosts.receive(LISTEN_SECONDS):
                self._take(message)
            waiting = [node for node in missing() if node not in self._ended]
            if not waiting:
                return
            now = self._hosts.now()
            for node in waiting:
                silent = now - self._heard.get(node, begun)
                if now - begun > seconds:
                    self._leave_out(node, f"{node} {what} within {seconds:.0f} s")
                elif node in self._hellos and silent > self._contact.silence_seconds:
                    self._leave_out(node, f"{node} said nothing for {silent:.0f} s: it {what}")

    def _take(self, message: Message) -> None:
        if message.node not in self._known or message.node in self._ended:
            return
        self._heard[message.node] = self._hosts.now()
        self._output.message(message)
        match message:
            case Hello():
                self._meet(message)
            case Qualified() if message.node not in self.evidence:
                self.evidence[message.node] = message.evidence
                self._keep(message.evidence)
                self._output.state(message.node, "qualified")
            case Collected() if message.order == self._order:
                self._collected[message.node] = message
            case Ended():
                self._ended[message.node] = message
                self._output.state(message.node, "left out", message.message)
            case Progress() | Qualified() | Collected():
                return

    def _meet(self, hello: Hello) -> None:
        theirs = hello.versions.get("fryer", "?")
        if hello.protocol != PROTOCOL or theirs != self._version:
            self._leave_out(
                hello.node,
                f"{hello.node} has Fryer {theirs} (protocol {hello.protocol}), the controller {self._version} "
                f"(protocol {PROTOCOL})",
                code="version_skew",
            )
            return
        self._hellos[hello.node] = hello
        self._output.state(hello.node, "connected")

    def _leave_out(self, node: str, why: str, code: str = "deadline") -> None:
        self._ended[node] = Ended(node=node, code=code, message=why)
        self._output.state(node, "left out", why)


def nothing_past(evidence: Sequence[NodeEvidence]) -> Sequence[NodeEvidence]:
    """No store: there is nothing to compare with."""
    return evidence
