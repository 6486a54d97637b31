"""The overview of a service as lines of a terminal: what moves, what waits, how fast, what limits it, what is wrong.

Pure: from an answer of DescribeOverview and the size of the terminal to lines that fit it. Imported by `top` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from penstock.catalog.live import Limit, Limiter
from penstock.cli.display import amount, remaining
from penstock.cli.fitting import padded, shortened, width_of
from penstock.cli.output import size, visible
from penstock.console.wording import limit_words

Answer = Mapping[str, Any]

SPARKS = "▁▂▃▄▅▆▇█"
SPARKS_MAX = 60
NOT_ASKED = "nobody has asked it anything lately"
WIDTH_MIN = 60
SOUND = {"well": "green", "slow": "yellow", "bad": "red", "unknown": "dim"}
WAYS = {"import": "in", "export": "out"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """One look: the answer, whose it is, and since when it is out of date ("" where it is not)."""

    answer: Answer
    endpoint: str
    lost: str = ""
    speeds_in: Sequence[int] = field(default=())
    speeds_out: Sequence[int] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a line. A negative width means: to the right, in so many columns."""

    text: str
    width: int
    style: str = ""


def lines(glance: Glance, *, width: int, height: int) -> list[Text]:
    """As many lines as fit; what matters most stands above."""
    width = max(WIDTH_MIN, width)
    drawn = [*_head(glance, width), *_limit(glance.answer), *_sparks(glance, width)]
    blocks = [
        list(_flows(glance.answer, width)),
        list(_moving(glance.answer, width)),
        list(_health(glance.answer, width)),
        list(_troubles(glance.answer, width)),
    ]
    return drawn + _shared([block for block in blocks if block], height - len(drawn))


def _shared(blocks: Sequence[list[Text]], room: int) -> list[Text]:
    """The blocks with a line between them; each has its first lines, and the longest give way first."""
    left = [len(block) for block in blocks]
    while sum(left) + len(left) > max(0, room) and max(left, default=0) > 2:
        left[left.index(max(left))] -= 1
    drawn: list[Text] = []
    for block, count in zip(blocks, left, strict=True):
        drawn += [Text(), *block[:count]]
    return drawn[: max(0, room)]


# ---------------------------------------------------------------------------------------------------------------- above


def _head(glance: Glance, width: int) -> Iterator[Text]:
    answer = glance.answer
    counts, day, engine = answer["Ledger"]["Counts"], answer["Ledger"]["Day"], answer.get("Engine", {})
    at = clock_of(answer["NowNs"])
    right = f"connection lost, data as of {at}" if glance.lost else f"{at} UTC"
    name = shortened(f"penstock  {visible(glance.endpoint)}", width - width_of(right) - 2)
    head = Text(name + " " * (width - width_of(name) - width_of(right)), style="bold")
    yield head.append(right, style="red bold" if glance.lost else "dim")
    moving = engine.get("Moving", counts["Running"])
    failed = f"{day['Failed']:,}"
    yield Text.assemble(
        ("moving ", "dim"), (f"{moving:,}", "bold"), ("   waiting ", "dim"), (f"{counts['Waiting']:,}", "bold"),
        ("   in 24 h: ", "dim"), (f"{day['Complete']:,}", "green"), (" finished ", "dim"),
        (failed, "red bold" if day["Failed"] else ""), (" failed", "dim"),
    )  # fmt: skip
    if engine:
        speed = engine["Speed"]
        yield Text.assemble(
            ("in ", "dim"), (f"{size(speed['BytesInPerSecond'])}/s", "bold cyan"),
            ("   out ", "dim"), (f"{size(speed['BytesOutPerSecond'])}/s", "bold magenta"),
            ("   files ", "dim"), (f"{speed['MilliFilesPerSecond'] / 1000:,.1f}/s", "bold"),
            ("   in 24 h: ", "dim"), f"{size(day['BytesIn'])} in, {size(day['BytesOut'])} out",
        )  # fmt: skip


def _limit(answer: Answer) -> Iterator[Text]:
    told = answer.get("Engine", {}).get("Limit")
    if told is None:
        return
    known = told["Limiter"] in set(Limiter)
    said = limit_words(Limit(limiter=Limiter(told["Limiter"]), about=told["About"])).title if known else told["Limiter"]
    yield Text.assemble(("limited by ", "dim"), visible(said[:1].lower() + said[1:]))


def _sparks(glance: Glance, width: int) -> Iterator[Text]:
    """The speeds of the last while, on one scale, once there are some."""
    room = min(SPARKS_MAX, width // 2 - 8)
    highest = max([*glance.speeds_in, *glance.speeds_out], default=0)
    if len(glance.speeds_in) < 2 or not highest:
        return
    drawn = Text()
    for name, speeds, colour in (("in ", glance.speeds_in, "cyan"), ("out ", glance.speeds_out, "magenta")):
        shown = list(speeds)[-room:]
        bars = "".join(SPARKS[min(len(SPARKS) - 1, speed * len(SPARKS) // (highest + 1))] for speed in shown)
        drawn.append(name, style="dim").append(padded(bars, room), style=colour).append("  ")
    yield drawn


# ---------------------------------------------------------------------------------------------------------------- blocks


def _flows(answer: Answer, width: int) -> Iterator[Text]:
    numbers = ("STATUS", -13), ("MOVING", -7), ("WAITING", -10), ("DONE 24H", -10), ("FAILED", -7)
    name = width - sum(-wide + 1 for _, wide in numbers)
    found = answer["DataFlows"]["DataFlow"]
    if not found:
        yield Text("no dataflow yet: penstock export FILE --to oss://BUCKET/PREFIX/ makes one", style="dim")
        return
    yield line([Column(text="DATAFLOW", width=name), *(Column(text=text, width=wide) for text, wide in numbers)], "dim")
    for flow in sorted(found, key=_liveliness):
        counts, day, status = flow["Counts"], flow["Day"], flow["Status"]
        yield line(
            [
                Column(
                    text=f"{flow['FileSystemPath']} - {flow['SourceStorage']}{flow['SourceStoragePath']}", width=name
                ),
                Column(text=status, width=-13, style="" if status == "Running" else "yellow"),
                Column(text=f"{flow.get('Moving', counts['Running']):,}", width=-7),
                Column(text=f"{counts['Waiting']:,}", width=-10),
                Column(text=f"{day['Complete']:,}", width=-10),
                Column(text=f"{day['Failed']:,}", width=-7, style="red" if day["Failed"] else ""),
            ]
        )


def _liveliness(flow: Answer) -> tuple[int, int, str]:
    counts = flow["Counts"]
    return -(counts["Running"] + counts["Waiting"]), -flow["Day"]["Complete"], flow["DataFlowId"]


def _moving(answer: Answer, width: int) -> Iterator[Text]:
    numbers = ("", 4), ("DONE OF ALL", -19), ("SPEED", -12), ("LEFT", -7)
    name = width - sum(abs(wide) + 1 for _, wide in numbers)
    found = answer["Moving"]["SubTask"]
    if not found:
        return
    titles = [Column(text=text, width=wide) for text, wide in numbers]
    yield line([titles[0], Column(text="MOVING NOW", width=name), *titles[1:]], "dim")
    for seen in found:
        total, done = seen["BytesTotal"], seen["BytesDone"]
        yield line(
            [
                Column(
                    text=WAYS.get(seen["Direction"], ""),
                    width=4,
                    style="cyan" if seen["Direction"] == "import" else "magenta",
                ),
                Column(text=seen["Path"], width=name),
                Column(text=amount(done, total), width=-19),
                Column(text=f"{size(seen['Speed'])}/s", width=-12),
                Column(text=remaining(done, total, seen["Speed"]), width=-7),
            ]
        )


def _health(answer: Answer, width: int) -> Iterator[Text]:
    """Buckets, file systems and movers: those that are well in one line, each other with what it says."""
    for title, found, name in (
        ("buckets", answer.get("Buckets", {}).get("Bucket", []), "Name"),
        ("file systems", answer.get("FileSystems", {}).get("FileSystem", []), "FileSystemId"),
        ("movers", answer.get("Movers", {}).get("Mover", []), "Name"),
    ):
        good = [each for each in found if each["Soundness"] == "well"]
        if good:
            names = ", ".join(visible(str(each[name])) for each in good)
            busy = sum(each.get("Small", 0) + each.get("Large", 0) for each in good)
            places = f" ({busy} files)" if title == "movers" else ""
            room = width - len(title) - 8 - len(places)
            yield Text.assemble((f"{title} ", "dim"), ("well ", "green"), shortened(names, room), (places, "dim"))
        for each in found:
            if each["Soundness"] != "well":
                words = f"{visible(each[name])}: {visible(each.get('Message') or each.get('Code') or NOT_ASKED)}"
                sound = (f"{each['Soundness']} ", SOUND.get(each["Soundness"], ""))
                yield _cropped(Text.assemble((f"{title} ", "dim"), sound, words), width)


def _troubles(answer: Answer, width: int) -> Iterator[Text]:
    found = answer.get("Troubles", {}).get("Trouble", [])
    if found:
        yield Text("TROUBLES", style="dim")
    for each in found:
        code = each["Code"] or each["Kind"]
        style = "red" if each["Status"] == "FAILED" else "yellow"
        again = f", again at {clock_of(each['DueNs'])}" if each.get("DueNs") else ""
        head = f"{clock_of(each['LastNs'])} {code}{again}  "
        path = shortened(visible(each["SrcFilePath"]), max(12, width - width_of(head)))
        yield _cropped(Text.assemble((clock_of(each["LastNs"]), "dim"), " ", (code, style), again, "  ", path), width)


# ----------------------------------------------------------------------------------------------------------------- lines


def line(columns: Sequence[Column], style: str = "") -> Text:
    """Columns with a space between them, each cut to its width."""
    drawn = Text(style=style)
    for place, column in enumerate(columns):
        text = shortened(visible(column.text), abs(column.width))
        space = " " * (abs(column.width) - width_of(text))
        drawn.append(" " if place else "").append(
            space + text if column.width < 0 else text + space, style=column.style
        )
    return drawn


def _cropped(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    return text


def clock_of(at_ns: int) -> str:
    """The time of day, UTC."""
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%H:%M:%S")
