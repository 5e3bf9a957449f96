"""Dates of leases as an iCalendar file (RFC 5545), for whoever must not miss them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

LINE = 75  # octets, by the standard; what is longer goes on in the next line after a space


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happens. uid: the same for the same thing, so that a calendar replaces it. alarms_h: hours before.

    at: seconds since 1970.
    """

    uid: str
    at: int
    summary: str
    description: str = ""
    alarms_h: tuple[int, ...] = ()


def calendar(moments: Sequence[Moment], now: int) -> str:
    """The file's text, with the line ends that the standard asks for."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tandem//leases//EN"]
    lines += [line for moment in moments for line in _event(moment, now)]
    return "".join(f"{part}\r\n" for line in (*lines, "END:VCALENDAR") for part in _folded(line))


def _event(moment: Moment, now: int) -> Iterator[str]:
    yield from ("BEGIN:VEVENT", f"UID:{moment.uid}@tandem", f"DTSTAMP:{_utc(now)}", f"DTSTART:{_utc(moment.at)}")
    yield from ("DURATION:PT15M", f"SUMMARY:{_escaped(moment.summary)}")
    if moment.description:
        yield f"DESCRIPTION:{_escaped(moment.description)}"
    for hours in moment.alarms_h:
        yield from ("BEGIN:VALARM", "ACTION:DISPLAY", f"TRIGGER:-PT{hours}H")
        yield from (f"DESCRIPTION:{_escaped(moment.summary)}", "END:VALARM")
    yield "END:VEVENT"


def _utc(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y%m%dT%H%M%SZ")


def _escaped(text: str) -> str:
    for plain, escaped in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n")):
        text = text.replace(plain, escaped)
    return text


def _folded(line: str) -> Iterator[str]:
    """Cut between characters, never inside one."""
    part, limit = "", LINE
    for character in line:
        if len((part + character).encode()) > limit:
            yield part
            part, limit = " ", LINE
        part += character
    yield part
