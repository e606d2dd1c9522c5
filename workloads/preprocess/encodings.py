"""Which encoding a text has that is not Unicode: always a guess, and told as one.

Encodings of one byte for a character are told apart by the letters of languages: Polish in
Windows-1250 has all its letters in the Polish alphabet, and read as Windows-1252 letters of several
languages and signs inside words. In tables of names this is right more often than
charset-normalizer, which tells those of several bytes apart, and those in which the letters of one
language fit alike.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

_LATIN: Final = (
    "cp1252",
    "iso8859_15",
    "cp1250",
    "cp1254",
    "cp1257",
    "iso8859_2",
    "mac_roman",
    "cp850",
    "cp437",
)
"""Encodings of western languages: of several that fit alike, the first is taken."""
_OTHER_ALPHABETS: Final = (
    "cp1251",
    "koi8_r",
    "cp866",
    "iso8859_5",
    "mac_cyrillic",
    "cp1253",
    "iso8859_7",
    "cp1255",
    "cp1256",
)
ONE_BYTE: Final = (*_LATIN, *_OTHER_ALPHABETS)
"""Those that are told apart by letters."""
OTHERS: Final = ("cp874", "cp932", "euc_jp", "gb18030", "big5", "cp949", "iso2022_jp")
_TIE: Final = 0.005
_LATIN_FIRST: Final = 0.03
"""Margin by which another alphabet has to explain a text better: of a few signs among English words
it may.
"""
_NAMES: Final = {
    "cp932": "shift_jis",
    "cp949": "euc-kr",
    "iso2022_jp": "iso-2022-jp",
    "mac_roman": "mac-roman",
    "mac_cyrillic": "mac-cyrillic",
    "koi8_r": "koi8-r",
    "euc_jp": "euc-jp",
    "cp874": "windows-874",
}
_LANGUAGES: Final = tuple(
    map(
        frozenset,
        (
            *(
                "äöüß",
                "àâæçéèêëîïôœùûüÿ",
                "áéíñóúü",
                "àáâãçéêíóôõúü",
                "àèéìíîòóùú",
                "áéèëïíóöúü",
                "åäöé",
                "æøåéóòâô",
                "áéíóúýþæöð",
            ),
            *(
                "àçéèíïòóúü",
                "äöõüšž",
                "ąćęłńóśźż",
                "áčďéěíňóřšťúůýž",
                "áäčďéíĺľňóôŕšťúýž",
                "áéíóöőúüű",
                "čćđšž",
                "ăâîşţșț",
                "çë",
            ),
            *("çğıİöşüâîû", "ąčęėįšųūž", "āčēģīķļņšūž"),
            *(
                "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
                "абвгдежзийклмнопрстуфхцчшщьюяіїєґ",
                "абвгдежзийклмнопрстуфхцчшђјљњћџѓќѕ",
            ),
            *(
                "αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώϊϋΐΰ",
                "אבגדהוזחטיכךלמםנןסעפףצץקרשת",
                "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيـپچژگ",
            ),
        ),
    )
)
"""Letters beside a to z: German, French, Spanish, Portuguese, Italian, Dutch, Swedish and Finnish,
Danish and Norwegian, Icelandic; Catalan, Estonian, Polish, Czech, Slovak, Hungarian, Croatian and
Slovene, Romanian, Albanian; Turkish, Lithuanian, Latvian; Russian and Bulgarian, Ukrainian, Serbian
and Macedonian; Greek, Hebrew, Arabic.
"""
_WESTERN: Final = frozenset("àáâãäåæçèéêëìíîïñòóôõöøœùúûüýÿß")
_MIXED: Final = 0.95
"""What several western languages in one file count, against one language that explains as much."""
_QUOTES: Final = frozenset(
    "\u201c\u201d\u201e\u2018\u2019\u201a«»\u2039\u203a\u2026\u2013\u2014•·©®™°µ\u00a0¿¡"
)
_CURRENCIES: Final = frozenset("€£¥¢")
_OTHER_SIGNS: Final = frozenset("§²³¹½¼¾ºª\u00d7÷±\u2030")
_BETWEEN_LETTERS: Final = frozenset("\u2018\u2019·\u2013\u2014\u00a0")
_SIGN: Final = 0.9
"""What a sign counts, against a letter."""
_ENOUGH: Final = 0.89
_AFTER_LATIN: Final = "\u0370"
_RUN: Final = 5
"""Letters beyond ASCII on end that words of the Latin alphabet do not have."""
_LOOK_BYTES: Final = 32 << 10
_JAPANESE_SHIFT: Final = re.compile(rb"\x1b\$[@B]")


def _c1_control(error: UnicodeError) -> tuple[str, int]:
    """Windows-1252 leaves five bytes undefined; browsers and spreadsheets read them as the control
    characters of Latin-1, so do we.
    """
    if isinstance(error, UnicodeDecodeError):
        return error.object[error.start : error.end].decode("latin-1"), error.end
    raise error


codecs.register_error("c1-control", _c1_control)


def escaped(beginning: bytes) -> str:
    """ISO-2022-JP, which is written in ASCII with escape sequences; else nothing."""
    return "iso2022_jp" if _JAPANESE_SHIFT.search(beginning) else ""


def guess(beginning: bytes) -> str:
    """Python's name of the encoding of a text that is neither ASCII nor Unicode; Windows-1252 where
    nothing speaks for another.
    """
    lines = dict.fromkeys(
        line for line in re.split(rb"[\r\n]+", beginning)[:-1] or [beginning] if not line.isascii()
    )
    look = b"\n".join(lines)
    if len(look) > _LOOK_BYTES:
        look = look[: max(look.rfind(b"\n", 0, _LOOK_BYTES), 0) or _LOOK_BYTES]
    fits = {
        encoding: _explained(text)
        for encoding in ONE_BYTE
        if (text := _decoded(look, encoding)) is not None
    }
    best = max(fits, key=lambda encoding: fits[encoding] + _LATIN_FIRST * (encoding in _LATIN))
    alike = [encoding for encoding in fits if fits[encoding] >= fits[best] - _TIE]
    if fits[best] < _ENOUGH:
        among = [*_OTHER_ALPHABETS, *OTHERS]
        found = _by_frequency(look, among) or _by_frequency(_without_torn(look.split(b"\n")), among)
        # an alphabet that explains less than the best one, such as a letter of it within a Latin
        # word, is no answer
        return found if found and fits.get(found, fits[best]) >= fits[best] else "cp1252"
    return best if best in _LATIN or len(alike) == 1 else _by_frequency(look, alike) or best


def _without_torn(lines: list[bytes]) -> bytes:
    """The lines that are valid in all encodings of several bytes in which most are: a single torn
    character must not decide.
    """
    most = [
        encoding
        for encoding in OTHERS
        if sum(_decoded(line, encoding) is not None for line in lines) >= _ENOUGH * len(lines)
    ]
    return b"\n".join(
        line for line in lines if all(_decoded(line, encoding) is not None for encoding in most)
    )


def _by_frequency(look: bytes, among: list[str]) -> str:
    from charset_normalizer import from_bytes  # few files need it, and it takes a while to load

    found = from_bytes(look, cp_isolation=among, enable_fallback=False).best()
    return "" if found is None else found.encoding


def name(encoding: str) -> str:
    """As people write it."""
    return _NAMES.get(
        encoding, re.sub("^cp125", "windows-125", encoding).replace("iso8859_", "iso-8859-")
    )


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding, "c1-control" if encoding == "cp1252" else "strict")
    except UnicodeDecodeError:
        return None


def _explained(text: str) -> float:
    """Share of the characters beyond ASCII that are letters of one language, or signs where signs
    may stand.
    """
    letters: list[str] = []
    signs = bad = 0
    for place, character in enumerate(text):
        if character.isascii():
            continue
        before, after = text[place - 1 : place], text[place + 1 : place + 2]
        if character.isalpha():
            around = text[max(0, place - 2) : place + 3]
            foreign = (
                len(around) == _RUN
                and around.isalpha()
                and all("\x7f" < one < _AFTER_LATIN for one in around)
            )
            foreign |= character >= _AFTER_LATIN and any(
                one.isascii() and one.isalpha() for one in (before, after)
            )
            if (
                foreign
                or (before.islower() and character.isupper())
                or (character.islower() and after.isupper())
            ):
                bad += 1
            else:
                letters.append(character)
        elif character in _BETWEEN_LETTERS or (
            character in _QUOTES | _CURRENCIES | _OTHER_SIGNS
            and not (before.isalpha() and after.isalpha())
            and not (character in _CURRENCIES and after.isalpha())
        ):
            signs += 1
        else:
            bad += 1

    def explained(alphabet: frozenset[str]) -> int:
        return sum(letter in alphabet or letter.lower() in alphabet for letter in letters)

    one = max(map(explained, _LANGUAGES))
    return (_SIGN * signs + max(one, _MIXED * explained(_WESTERN))) / max(
        1, signs + bad + len(letters)
    )
