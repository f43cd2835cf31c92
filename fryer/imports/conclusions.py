"""How a judge of imports says what it found. Pure."""

from collections.abc import Mapping

from fryer.evidence import Reason
from fryer.imports.facts import NODE
from fryer.judges.conclusion import Conclusion
from watchdog.vocabulary.verdicts import Verdict


def conclude(
    code: str,
    verdict: Verdict,
    message: str,
    *,
    device: str = NODE,
    remedy: str = "",
    figures: Mapping[str, object] | None = None,
) -> Conclusion:
    """A conclusion on `device` (or on the file), with the figures behind it; what is None in them is left out."""
    known = {name: value for name, value in (figures or {}).items() if value is not None}
    return Conclusion(
        device=device, reason=Reason(code=code, verdict=verdict, message=message, evidence=known, remedy=remedy)
    )
