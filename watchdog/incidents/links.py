"""Whether one fault brought about another: time, topology (the node and its parts) and the order of causes."""

from watchdog.incidents.book import Tally
from watchdog.vocabulary.families import Family, brings_about, is_one_fault_on
from watchdog.vocabulary.findings import Severity


def precedence(tally: Tally) -> tuple[int, float, str]:
    """Order of causes, strict: the kind of fault first, since log lines of one moment come in any order."""
    return (tally.family, tally.first_at, tally.key)


def nearness(cause: Tally, effect: Tally) -> tuple[bool, int, float, str]:
    """Of several causes the least is taken: the same part first, then by `precedence`."""
    return (cause.subject != effect.subject, *precedence(cause))


def links(cause: Tally, effect: Tally, window_seconds: float) -> bool:
    """Whether `effect` belongs under `cause`."""
    if cause.subject.node != effect.subject.node or precedence(cause) >= precedence(effect):
        return False
    if effect.first_at < cause.first_at - window_seconds:
        return False
    if effect.names == cause.code:
        return True  # "caused by previous Xid N": the driver says so, whenever it prints it
    is_same_part = cause.subject == effect.subject and is_one_fault_on(cause.subject.kind, cause.family, effect.family)
    if effect.first_at > max(cause.first_at, cause.last_at) + window_seconds:
        # a part that failed and was not repaired goes on to show it in other ways
        return is_same_part and cause.severity is Severity.FAIL and effect.family is not Family.APPLICATION
    if effect.family is Family.BUS and effect.subject.kind == "nic":
        return is_same_part
    return is_same_part or brings_about(cause.family, effect.family)
