"""Stack files, each with one thing that readers of YAML disagree about."""

from __future__ import annotations

from typing import Final

PLAIN: Final = "name: batch-reference\nruntime: python\n"
TYPED: Final = (
    PLAIN
    + "config:\n  network: { type: object, default: {} }\n  tags: { type: object, default: {} }\n "
    " zones: { type: integer, default: 2 }\n  names: { type: array, items: { type: string },"
    " default: [a] }\n  loud: { type: boolean, default: false }\n  aws:region: { value:"
    " eu-west-1 }\n"
)
PROJECTS: Final = {"plain": PLAIN, "typed": TYPED}


def _tags(flow: str) -> str:
    return f"config:\n  batch-reference:tags: {flow}\n"


_TEXTS: Final = {
    "plain": _tags("{az_count: 2}"),
    "section without a value": _tags(""),
    "section of a tilde": _tags("~"),
    "field without a value": "config:\n  batch-reference:tags:\n    a:\n    b: single\n",
    "key twice": _tags("{a: 2, a: 3}"),
    "key twice, in block style": "config:\n  batch-reference:tags:\n    a: 2\n    a: 3\n",
    "section twice": "config:\n  batch-reference:tags: {a: 1}\n  batch-reference:tags: {a: 2}\n",
    "section twice, once without namespace": (
        "config:\n  batch-reference:tags: {a: 1}\n  tags: {a: 2}\n"
    ),
    "config twice": (
        "config:\n  batch-reference:tags: {a: 1}\nconfig:\n  batch-reference:tags: {b: 2}\n"
    ),
    "key twice as text and number": _tags("{1: a, '1': b}"),
    "key twice in two notations": _tags("{1: a, 1.0: b}"),
    "yes and no": _tags("{a: yes, b: no, c: on, d: off, e: y, f: True, g: TRUE, h: true, i: tRUE}"),
    "notations of integers": _tags(
        "{a: 010, b: 0o10, c: 0x10, d: 0b11, e: 1_000, f: '010', g: 08}"
    ),
    "signs": _tags("{a: -0x10, b: +010, c: -0b11, d: -0o17, e: 0b-11, f: +-1, g: '+5', h: -0}"),
    "large integers": _tags(
        "{a: 12345678901234567890, b: 9007199254740993, c: 18446744073709551616, d:"
        " -9223372036854775808}"
    ),
    "large integer as a value": "config:\n  batch-reference:big: 12345678901234567890\n",
    "account with a leading zero": _tags("{a: 012345678901, b: 012345670001}"),
    "floats": _tags(
        "{a: 1.0, b: 1e3, c: 1.5e-7, d: .5, e: 5., h: 0.1, i: 100000000.0, j: 1e21, k: 1e20, l:"
        " 1e400}"
    ),
    "long fractions": _tags("{a: 3.14159265358979323846, b: 0.30000000000000004, c: 1.10}"),
    "infinity": _tags("{a: .inf}"),
    "not a number": _tags("{a: .nan}"),
    "dates": _tags("{a: 2026-01-01, b: 2026-01-01T10:00:00Z, c: 10:30, d: 1:30:00, e: 2026-02-30}"),
    "times": _tags("{a: 2026-1-1 1:2:3.50, b: '2026-01-01', c: 2026-01-01t10:00:00-05:30}"),
    "date as a key": _tags("{2026-01-01: a}"),
    "date as a secret": "config:\n  batch-reference:a: {secure: 2026-01-01}\n",
    "anchors": "config:\n  batch-reference:network: &n {a: 1}\n  batch-reference:tags: *n\n",
    "alias before its anchor": (
        "config:\n  batch-reference:network: *n\n  batch-reference:tags: &n {a: 1}\n"
    ),
    "alias of itself": "config: &c\n  batch-reference:tags: *c\n",
    "merge": (
        "config:\n  batch-reference:network: &n {a: 1, b: 2}\n  batch-reference:tags:\n    <<: *n\n"
        "    b: 3\n"
    ),
    "merge of numbers": (
        "config:\n  batch-reference:network: &n {0x10: a}\n  batch-reference:tags: {<<: *n, b: 3}\n"
    ),
    "merge of two": (
        "x: &x {a: 1}\ny: &y {a: 2, b: 2}\nconfig:\n  batch-reference:tags: {<<: [*x, *y], c: 3}\n"
    ),
    "merge of a text": _tags("{<<: text}"),
    "quoted merge": _tags("{'<<': {a: 1}}"),
    "numbers as keys": _tags("{1: a, 0x2: b, 1_0: c, 1.5: d, 1e3: e}"),
    "booleans as keys": _tags("{true: a, yes: b}"),
    "null as a key": _tags("{~: a}"),
    "a list as a key": _tags("{[a]: b}"),
    "number as a key of config": "config:\n  1: a\n",
    "null as a key of config": "config:\n  ~: a\n",
    "text for a map": _tags("hello"),
    "number for a map": _tags("3"),
    "list for a map": _tags("[a]"),
    "json for a map": _tags("'{\"a\": 2}'"),
    "text": (
        "config:\n  batch-reference:a: hello\n  batch-reference:b: 1.50\n  batch-reference:c: yes\n"
    ),
    "an integer as text": "config:\n  zones: '3'\n",
    "an integer as a float": "config:\n  zones: 3.0\n",
    "no integer": "config:\n  zones: 3.5\n",
    "a list of texts": "config:\n  names: [a, 'b']\n",
    "a list of numbers for texts": "config:\n  names: [a, 1]\n",
    "a boolean as text": "config:\n  loud: 'true'\n",
    "no boolean": "config:\n  loud: yes\n",
    "only a region": "config:\n  aws:region: us-east-1\n",
    "a number as region": "config:\n  aws:region: 5\n",
    "no namespace": "config:\n  tags: {a: 1}\n",
    "another namespace": "config:\n  other:tags: {a: 1}\n",
    "namespace in the form of old": "config:\n  batch-reference:config:tags: {a: 1}\n",
    "three parts": "config:\n  batch-reference:other:tags: {a: 1}\n",
    "four parts": "config:\n  a:config:b:c: 1\n",
    "empty file": "",
    "only a comment": "# nothing\n",
    "no config": "other: v1:x\n",
    "config without a value": "config:\n",
    "config is a list": "config: [a]\n",
    "config is a text": "config: a\n",
    "a list": "- a\n",
    "a text": "a\n",
    "unknown key at the top": "config: {}\nfoo: bar\n",
    "byte order mark": "\ufeff" + _tags("{a: 1}"),
    "two byte order marks": "\ufeff\ufeff" + _tags("{a: 1}"),
    "carriage returns": "config:\r\n  batch-reference:tags:\r\n    a: 1\r\n",
    "carriage returns only": "config:\r  batch-reference:tags:\r    a: 1\r",
    "tab for indentation": "config:\n\tbatch-reference:tags: {a: 1}\n",
    "tab before a value": "config:\n  batch-reference:tags:\t{a: 1}\n",
    "two documents": _tags("{a: 1}") + "---\n" + _tags("{a: 2}"),
    "a broken second document": _tags("{a: 1}") + "---\na: [\n",
    "a document after its end": _tags("{a: 1}") + "...\n",
    "version 1.1": "%YAML 1.1\n---\n" + _tags("{a: 1}"),
    "version 1.2": "%YAML 1.2\n---\n" + _tags("{a: 1}"),
    "empty map": _tags("{}"),
    "empty list": _tags("[]"),
    "lists in lists": (
        "config:\n  batch-reference:queues: {main: {environments: [a, [b, 1], {c: null}]}}\n"
    ),
    "block scalars": (
        "config:\n  batch-reference:tags:\n    a: |\n      x\n      y\n    b: >\n      x\n      y\n"
    ),
    "block scalars that keep": (
        "config:\n  batch-reference:tags:\n    a: |+\n      x\n\n    b: >-\n      x\n\n      y\n"
    ),
    "an empty line first": _tags('{a: "\\nx"}'),
    "a tab first": _tags('{a: "\\tx\\ny"}'),
    "tags of types": _tags(
        "{a: !!str 5, b: !!int '5', c: !!float 5, d: !!null '', e: !!bool true}"
    ),
    "a tag that does not fit": _tags("{a: !!int x}"),
    "a tag that does not fit a boolean": _tags("{a: !!bool yes}"),
    "tags of one's own": _tags("{a: !x 5, b: !x [1], c: ! 5}"),
    "binary": _tags("{a: !!binary aGVsbG8=}"),
    "binary that is none": _tags("{a: !!binary '*'}"),
    "escapes": _tags(r"""{a: "\x41\u00e9\U0001F600\n\t\\\_\N\L\P\0\e\'", b: 'it''s'}"""),
    "an escaped slash": _tags(r'{a: "x\/y"}'),
    "an escape that is none": _tags(r'{a: "\q"}'),
    "unicode": _tags('{a: "caf\\u00e9 \\U0001F600", b: "<&>", c: "\\u2028", d: "\\x7f"}'),
    "half a character": _tags('{a: "\\uD83D\\uDE00"}'),
    "control character": _tags("{a: '\x01'}"),
    "two fields beside secure": "config:\n  batch-reference:jobs: {a: {secure: x, b: 1}}\n",
    "a number as secure": "config:\n  batch-reference:jobs: {a: {secure: 5}}\n",
    "a path as a key": "config:\n  batch-reference:network.az_count: 3\n",
    "an index as a key": "config:\n  batch-reference:network[0]: 3\n",
    "a space in a key": "config:\n  'batch-reference: network': 3\n",
    "nulls": _tags("{a: '~', b: 'null', c: null, d: Null, e: NULL, f: nULL}"),
    "powers": _tags("{a: +.5, b: -0, c: 0.0, d: 1e-3, e: 1E5, f: 1e+5, g: 1e-7, h: 0.000001}"),
    "colon without a space": _tags("{a:1, b: 2}"),
    "colon before a bracket": _tags("{a:[1]}"),
    "colon before a comma": _tags("{a:, b: 1}"),
    "quoted key without a space": _tags('{"a":[1], "b":2}'),
    "explicit key": "config:\n  ? batch-reference:tags\n  : {a: 1}\n",
    "hash in a text": _tags("{a: b#c, d: 'e #f'}"),
    "hash after a space": "config:\n  batch-reference:tags:\n    a: b #c\n",
    "trailing comma": _tags("{a: 1, b: [1, 2,],}"),
    "text over two lines": "config:\n  batch-reference:tags:\n    a: x\n      y\n",
    "bad indentation": "config:\n  batch-reference:tags:\n    a: 1\n   b: 2\n",
    "open bracket": _tags("{a: [1"),
    "open quote": _tags('{a: "x'),
    "reserved character": _tags("{a: @b}"),
    "percent": _tags("{a: %b}"),
}
_BYTES: Final = {
    "utf-16": _tags("{a: é}").encode("utf-16"),
    "utf-16, big end first": b"\xfe\xff" + _tags("{a: 1}").encode("utf-16-be"),
    "utf-16 without a mark": _tags("{a: 1}").encode("utf-16-le"),
    "latin-1": _tags("{a: é}").encode("latin-1"),
    "half of a character at the end": _tags("{a: é}").encode()[:-3],
    "aliases that multiply": (
        b"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n"
        b"c: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\n"
        b"config: {batch-reference:tags: {a: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]}}\n"
    ),
    "brackets without end": b"config: " + b"[" * 12_000,
    "nothing but zeros": b"\x00" * 20,
}
CASES: Final[dict[str, bytes]] = {
    **{name: text.encode() for name, text in _TEXTS.items()},
    **_BYTES,
}
"""What the file shows -> the file; read with the project `typed`."""
STRICTER: Final = frozenset(
    {
        "an empty line first",
        "colon before a comma",
        "explicit key",
        "null as a key of config",
        "quoted merge",
        "section twice, once without namespace",
        "tab before a value",
    }
)
"""Cases that the CLI takes and this project refuses with a sentence."""
