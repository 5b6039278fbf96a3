"""Which encoding a text is in, and its lines."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path

from stages.running.errors import DataError

# The marks that stand before a text, the longer first: one begins as another does.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
UTF8 = "utf-8-sig"
# What Russian texts were saved in before UTF-8: Windows first, which wins where nothing tells them apart.
LEGACY = ("cp1251", "cp866", "koi8_r", "mac_cyrillic", "iso8859_5")
# Bytes of a text that tell its encoding.
SAMPLE = 2**16
# So many characters beyond ASCII that are right in UTF-8 are no accident: a wrong byte after them is damage.
NO_ACCIDENT = 3
# No review is as long, and a missing line end must not fill the memory.
MAX_LINE = 2**26


def detect(blocks: Iterable[bytes], name: str) -> str:
    """The encoding, as Python calls it, of a text that comes in `blocks`; `name` is what an error calls it.

    UTF-8 wherever that is right to the end; else UTF-16, or what Russian texts were saved in.

    Raises:
        DataError: none of these.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    beyond_ascii = 0
    for number, block in enumerate(blocks):
        if number == 0:
            for mark, encoding in _MARKS.items():
                if block.startswith(mark):
                    return encoding
            if found := _utf16(block[:SAMPLE]):
                return found
        try:
            text = decoder.decode(block)
        except UnicodeDecodeError as error:
            right = error.object[: error.start].decode("utf-8")
            if beyond_ascii + _beyond_ascii(right) >= NO_ACCIDENT:
                # Whoever decodes it comes upon the fault and names its line.
                return UTF8
            return _legacy(error.object[max(0, error.start - SAMPLE // 2) :][:SAMPLE], name)
        beyond_ascii += _beyond_ascii(text)
    return UTF8


def decode(data: bytes, name: str) -> tuple[str, str]:
    """A text that is held whole, and its encoding.

    Raises:
        DataError: as `detect`; or it is damaged.
    """
    encoding = detect([data], name)
    return "".join(decoded([data], encoding, name)), encoding


def decoded(blocks: Iterable[bytes], encoding: str, name: str) -> Iterator[str]:
    """The text of `blocks`.

    Raises:
        DataError: they are no text in `encoding`; the message names the line.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    for block, final in _with_end(blocks):
        try:
            text = decoder.decode(block, final)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            raise DataError(
                f"{name}, line {line}: not {spelled(encoding)}; mend that line, or save the file anew in UTF-8"
            ) from error
        if "\0" in text:
            line += text[: text.index("\0")].count("\n")
            raise DataError(f"{name}, line {line}: a NUL byte; this is not a text file")
        line += text.count("\n")
        yield text


def lines(texts: Iterable[str], name: str) -> Iterator[str]:
    """The lines of a text, ends and all.

    They end as the first one does: in a file of `\\n` a lone `\\r` is part of its line.

    Raises:
        DataError: a line has more than `MAX_LINE` characters.
    """
    end, rest, number = "", "", 0
    for text in texts:
        rest += text
        end = end or _line_end(rest)
        if end:
            *whole, rest = rest.split(end)
            number += len(whole)
            for line in whole:
                yield line + end
        if len(rest) > MAX_LINE:
            raise DataError(f"{name}, line {number + 1}: longer than {MAX_LINE:,} characters; a line end is missing")
    if rest:
        yield rest


def path_lines(path: Path, encoding: str, blocks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a file whose bytes come in `blocks`; errors as of `decoded` and `lines`."""
    return lines(decoded(blocks, encoding, str(path)), str(path))


def spelled(encoding: str) -> str:
    """The name of an encoding as people write it."""
    return encoding.removesuffix("-sig").replace("_", "-").upper()


def _line_end(text: str) -> str:
    """How the first line of `text` ends; "" where that cannot be told yet."""
    newline, carriage = text.find("\n"), text.find("\r")
    if newline >= 0 and (carriage < 0 or carriage >= newline - 1):
        return "\n"
    # The last character may be one half of `\r\n`.
    return "\r" if 0 <= carriage < len(text) - 1 else ""


def _with_end(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    for block in blocks:
        yield block, False
    yield b"", True


def _beyond_ascii(text: str) -> int:
    return 0 if text.isascii() else sum(character > "\x7f" for character in text)


def _utf16(start: bytes) -> str | None:
    """UTF-16 without a mark: the halves of its ASCII characters that are zero stand on one side."""
    start = start[: len(start) // 2 * 2]
    zeros = {"utf-16-be": start[::2].count(0), "utf-16-le": start[1::2].count(0)}
    encoding = max(zeros, key=zeros.__getitem__)
    if min(zeros.values()) > zeros[encoding] / 20 or not zeros[encoding]:
        return None
    text = start.decode(encoding, "replace")
    usual = sum(character < "\x7f" or "\u0400" <= character < "\u0500" for character in text)
    return encoding if usual >= 0.8 * len(text) and "\0" not in text else None


def _legacy(sample: bytes, name: str) -> str:
    """The encoding in which what lies beyond ASCII is most like Russian.

    Libraries that guess among all encodings take a text of a few words for something else.
    """
    high = bytes(byte for byte in sample if byte > 0x7F)
    likeness = {encoding: _likeness(high.decode(encoding, "replace")) for encoding in LEGACY}
    best = max(likeness, key=likeness.__getitem__)
    if likeness[best] < 0:
        raise DataError(f"{name} is in no encoding that is known here; save it anew in UTF-8")
    return best


# Points of a letter: the more common, the more. One less for a capital: a text in capitals in one encoding is one
# in small letters in another. Anything else beyond ASCII is a sign that the encoding is another.
_BY_FREQUENCY, _USUAL, _STRANGE = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё", "«»—–…“”„’№ \xa0", -50
_POINTS = (
    dict.fromkeys(_USUAL, 10)
    | {letter: 35 - rank for rank, letter in enumerate(_BY_FREQUENCY)}
    | {letter.upper(): 34 - rank for rank, letter in enumerate(_BY_FREQUENCY)}
)


def _likeness(text: str) -> float:
    """Mean points of the characters of `text`."""
    return sum(_POINTS.get(character, _STRANGE) for character in text) / len(text)
