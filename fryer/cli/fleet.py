"""A run over many nodes, from the command line: which hosts and output, and what the store adds. Not a command."""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fryer.launchers.slurm_cluster import SlurmOptions
from watchdog.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fryer.evidence import NodeEvidence, PastMeasurement
    from fryer.fleet.conductor import Past
    from fryer.fleet.hosts import Hosts
    from fryer.fleet.merge import Gathered
    from fryer.outputs.fleet import FleetOutput
    from fryer.outputs.fleet_guarded import FleetGuarded
    from fryer.result import RunInfo, RunResult
    from fryer.stopper import Stopper
    from watchdog.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """What only concerns many nodes."""

    nodes: tuple[str, ...]
    scenario: str | None
    has_network: bool = True
    launcher: str = "auto"
    ssh_options: str = ""
    remote_command: str | None = None
    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    known: Gathered | None = None
    """What an earlier, unfinished run of this id has."""


def open_fleet(
    options: FleetOptions, store: Store | None, stopper: Stopper, *, as_json: bool
) -> tuple[FleetGuarded, Callable[[RunInfo], RunResult]]:
    """The output, and what carries a run out. Raises `UsageError`."""
    from fryer.fleet.conductor import conduct
    from fryer.fleet.journal import Journal
    from fryer.fleet.network_plan import NetworkPlan
    from fryer.outputs.fleet_guarded import FleetGuarded

    hosts = _hosts(options)
    output = FleetGuarded(_output(as_json=as_json), lambda: stopper.stop("nobody reads the output any more"))

    def carry_out(info: RunInfo) -> RunResult:
        journal = Journal(store.path.parent, info, options.known) if store else None
        try:
            return conduct(
                info,
                hosts,
                output,
                stopper,
                past=_past(store, is_simulated=options.scenario is not None),
                network=NetworkPlan() if options.has_network else None,
                known=options.known,
                keep=journal.keep if journal else lambda _: None,
            )
        finally:
            if journal:
                journal.close()

    return output, carry_out


def _hosts(options: FleetOptions) -> Hosts:
    if options.scenario is not None:
        from fryer.fleet.simulated import SimulatedHosts
        from watchdog.simulator.scenario import load

        return SimulatedHosts(load(options.scenario))
    from fryer.launchers import choose
    from fryer.launchers.local import local_hosts
    from fryer.launchers.ssh import ssh_hosts
    from fryer.platform import versions

    choice = choose(options.launcher, options.nodes)
    print(f"launcher: {choice.launcher}, {choice.why}", file=sys.stderr)
    fryer = versions()["fryer"]
    if choice.launcher == "local":
        return local_hosts(fryer=fryer)
    if choice.launcher == "ssh":
        return ssh_hosts(fryer=fryer, ssh_options=options.ssh_options, remote_command=options.remote_command)
    from fryer.launchers.slurm import SlurmHosts

    return SlurmHosts(
        fryer=fryer,
        options=options.slurm,
        say=lambda text: print(text, file=sys.stderr),
    )


def _output(*, as_json: bool) -> FleetOutput:
    if sys.stdout is None or sys.stderr is None:
        raise UsageError("stdout or stderr is closed; redirect it to /dev/null instead")
    if as_json:
        from fryer.outputs.fleet_ndjson import FleetJson

        return FleetJson(sys.stdout)
    if sys.stderr.isatty() and sys.stdout.isatty():
        import time

        from rich.console import Console

        from fryer.outputs.fleet_live import FleetLive

        return FleetLive(Console(stderr=True), sys.stdout, time.monotonic)
    from fryer.outputs.fleet_table import FleetTable

    return FleetTable(sys.stdout, sys.stderr)


def _past(store: Store | None, *, is_simulated: bool) -> Past:
    """Each device's own last qualification. What others of its part reach, this run itself tells best."""
    from fryer import archive
    from fryer.fleet.conductor import nothing_past

    if store is None:
        return nothing_past

    def ask(fleet: Sequence[NodeEvidence]) -> Sequence[NodeEvidence]:
        uuids = {device.uuid for evidence in fleet for device in evidence.devices}
        by_uuid: defaultdict[str, list[PastMeasurement]] = defaultdict(list)
        for past in archive.own_past(store, uuids, is_simulated=is_simulated):
            by_uuid[past.uuid].append(past)
        return [
            replace(evidence, own_past=tuple(p for device in evidence.devices for p in by_uuid[device.uuid]))
            for evidence in fleet
        ]

    return ask
