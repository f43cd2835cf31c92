"""What a detector remembers, as plain JSON: a checkpoint carries it, and the detector goes on as if never stopped."""

from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar


class Kept:
    """An object whose whole memory is the attributes named in `KEPT`: numbers, words, deques, or `Kept` themselves."""

    KEPT: ClassVar[tuple[str, ...]] = ()

    def state(self) -> dict[str, object]:
        """Ready for JSON; a copy."""
        return {name: _written(getattr(self, name)) for name in self.KEPT}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` wrote; ValueError where it is another version's."""
        if set(state) != set(self.KEPT):
            odd = sorted(set(state) ^ set(self.KEPT))
            raise ValueError(f"this state of {type(self).__name__} is of another version: {', '.join(odd)} differ")
        for name in self.KEPT:
            setattr(self, name, _read(getattr(self, name), state[name]))


def _written(value: object) -> object:
    if isinstance(value, Kept):
        return value.state()
    if isinstance(value, deque | list | tuple):
        return [_written(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _written(item) for key, item in value.items()}
    return value


def _read(now: object, value: Any) -> object:
    if isinstance(now, Kept):
        now.restore(value)
        return now
    if isinstance(now, deque):
        return deque((_tupled(item) for item in value), maxlen=now.maxlen)
    if isinstance(now, tuple):
        return _tupled(value)
    return _written(value)


def _tupled(value: object) -> object:
    return tuple(_tupled(item) for item in value) if isinstance(value, list) else value
