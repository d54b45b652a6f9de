"""The rules of docs/schedules.md once more, in another language and by another way.

Reads requests from standard input, one to a line, tab-separated:
    zone  expression  first-day  last-day          (days as 2016-01-01, both included, local)
and prints, for each, a line `> zone<TAB>expression`, then one line per fire:
    milliseconds-since-the-epoch  occurrence

Nothing here is taken from the Rust side: the time zones are those of Python's `zoneinfo`, and a
gap's end is found by walking through the instants, minute by minute, not by asking for transitions.
"""

import calendar
import sys
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

UTC = timezone.utc
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
DAYS = "sun mon tue wed thu fri sat".split()
NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * sun",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}


def number(word, names, first):
    word = word.lower()
    return names.index(word) + first if word in names else int(word)


def plain(field, low, high, names=(), first=0):
    """The values of a field without L, W and #."""
    values = set()
    for item in field.split(","):
        body, _, step = item.partition("/")
        if body == "*":
            start, end = low, high
        elif "-" in body:
            start, end = (number(w, names, first) for w in body.split("-"))
            if end < start and names == DAYS:
                end = 7
        else:
            start = end = number(body, names, first)
        values.update(range(start, end + 1, int(step or 1)))
    return values


def month_days(field, year, month):
    """The days of one month that the day-of-month field names."""
    last = calendar.monthrange(year, month)[1]
    days = set()
    for item in field.upper().split(","):
        if item == "L":
            days.add(last)
        elif item == "LW":
            day = last
            while date(year, month, day).isoweekday() > 5:
                day -= 1
            days.add(day)
        elif item.endswith("W"):
            want = int(item[:-1])
            if want <= last:
                # The nearest working day of the same month; Friday before a Saturday.
                near = [
                    d
                    for d in range(1, last + 1)
                    if date(year, month, d).isoweekday() <= 5
                ]
                days.add(min(near, key=lambda d: abs(d - want)))
        else:
            days |= plain(item, 1, 31)
    return days


def week_days(field, year, month):
    """The days of one month that the day-of-week field names."""
    last = calendar.monthrange(year, month)[1]
    days = set()
    for item in field.split(","):
        nth = None
        if "#" in item:
            item, nth = item.split("#")
        elif item.upper().endswith("L"):
            item, nth = item[:-1], "L"
        wanted = {v % 7 for v in plain(item, 0, 7, DAYS, 0)}
        hits = [
            d
            for d in range(1, last + 1)
            if date(year, month, d).isoweekday() % 7 in wanted
        ]
        if nth == "L":
            hits = hits[-1:]
        elif nth:
            hits = hits[int(nth) - 1 : int(nth)]
        days.update(hits)
    return days


def local_times(expression, first, last):
    """Every wall-clock time that matches, in order."""
    fields = NICKNAMES.get(expression, expression).split()
    minute, hour, dom, month, dow = fields
    minutes = sorted(plain(minute, 0, 59))
    hours = sorted(plain(hour, 0, 23))
    months = plain(month, 1, 12, MONTHS, 1)
    for year in range(first.year, last.year + 1):
        for m in sorted(months):
            by_month, by_week = month_days(dom, year, m), week_days(dow, year, m)
            if dom.startswith("*") or dow.startswith("*"):
                days = by_month & by_week
            else:
                days = by_month | by_week
            for d in sorted(days):
                if d > calendar.monthrange(year, m)[1]:
                    continue
                if first <= date(year, m, d) <= last:
                    for h in hours:
                        for mi in minutes:
                            yield datetime(year, m, d, h, mi)


def instant(local, zone):
    """The first instant whose wall clock shows `local` or, if none does, the end of the gap."""
    aware = local.replace(tzinfo=zone, fold=0)
    at = aware.astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) == local:
        return at
    # Skipped. `fold=1` reads the time with the offset after the gap: that instant lies before the
    # gap. Walk on until the wall clock is past the skipped time.
    at = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while at.astimezone(zone).replace(tzinfo=None) < local:
        at += timedelta(minutes=1)
    return at


def main():
    out = []
    for request in sys.stdin:
        name, expression, first, last = request.rstrip("\n").split("\t")
        zone = ZoneInfo(name)
        out.append(f"> {name}\t{expression}")
        previous = None
        for local in local_times(
            expression, date.fromisoformat(first), date.fromisoformat(last)
        ):
            at = instant(local, zone)
            if at == previous:
                continue
            previous = at
            shown = at.astimezone(zone)
            text = shown.isoformat(timespec="minutes")
            out.append(f"{round(at.timestamp() * 1000)} {text}")
    sys.stdout.write("\n".join(out) + "\n")


main()
