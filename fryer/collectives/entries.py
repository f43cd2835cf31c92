"""Where the processes of a node begin. Loads torch only in them: a worker starts them by these names."""

from multiprocessing.connection import Connection

from fryer.collectives.notes import Meeting, RankTask


def watch_group(connection: Connection, meeting: Meeting) -> None:
    """The process that meets the group and watches it: `fryer.collectives.warden`."""
    from fryer.collectives.warden import watch  # noqa: PLC0415 - heavy

    watch(connection, meeting)


def take_part(connection: Connection, task: RankTask) -> None:
    """The process of one rank: `fryer.collectives.rank`."""
    from fryer.collectives.rank import work  # noqa: PLC0415 - heavy

    work(connection, task)
