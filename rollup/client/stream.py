"""Server-sent events, pure: bytes in, events out (WHATWG HTML, section 9.2). A line and an event are bounded."""

from __future__ import annotations

from dataclasses import dataclass, field

from rollup.errors import BadAnswer

EVENT_BYTES = 64 * 1024


@dataclass(frozen=True)
class Message:
    """One event as it came. ``id`` is the last one given, also if this event had none."""

    event: str
    data: str
    id: str


@dataclass
class EventReader:
    """Cuts a stream into messages, whatever its chunks are. ``id``: of the last message, to resume after it."""

    id: str = ""
    _rest: bytes = b""
    _event: str = ""
    _data: list[str] = field(default_factory=list)
    _size: int = 0
    _next: str = ""

    def begin(self) -> None:
        """A new connection: what was half read is forgotten, what was read is not."""
        self._rest, self._event, self._data, self._size, self._next = b"", "", [], 0, self.id

    def feed(self, chunk: bytes) -> list[Message]:
        """Messages that are complete now; raises BadAnswer for a line or an event that is too long."""
        *lines, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        if len(self._rest) > EVENT_BYTES:
            raise BadAnswer(f"a line of the event stream has more than {EVENT_BYTES} bytes; check the URL")
        found = [self._line(line.decode("utf-8", "replace")) for line in lines]
        return [message for message in found if message is not None]

    def _line(self, line: str) -> Message | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        self._size += len(line)
        if self._size > EVENT_BYTES:
            raise BadAnswer(f"an event has more than {EVENT_BYTES} bytes; check the URL")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._next = value
        elif not name:
            self._size -= len(line)
        return None

    def _dispatch(self) -> Message | None:
        self.id = self._next
        message = Message(self._event or "message", "\n".join(self._data), self.id) if self._data else None
        self._event, self._data, self._size = "", [], 0
        return message
