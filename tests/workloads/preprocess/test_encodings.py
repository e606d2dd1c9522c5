"""Files in encodings from before Unicode: read right, and said to be a guess."""

from __future__ import annotations

import pytest

from tests.workloads.preprocess.cleaning import run
from tests.workloads.preprocess.reading import read

NAMES = {
    "Polish": (
        ["Łukasz Żak", "Małgorzata Wiśniewska", "Paweł Dąbrowski", "Zofia ąęśź"],
        ["cp1250", "iso8859_2"],
    ),
    "Czech": (["Jiří Dvořák", "Tomáš Černý", "Žofie Růžičková"], ["cp1250", "iso8859_2"]),
    "Turkish": (["Ayşe Öztürk", "Çağla Güneş", "Gökçe Şahin"], ["cp1254"]),
    "German": (
        ["Jörg Müller", "Käthe Weiß", "Günther Groß"],
        ["cp1252", "mac_roman", "cp437", "cp850"],
    ),
    "French": (
        ["Hélène Dupré", "François Léger", "Zoé Châtelain"],
        ["cp1252", "mac_roman", "cp850"],
    ),
    "English": (
        ["it\u2019s \u201cfine\u201d \u2013 really", "5 € each", "don\u2019t know\u2026"],
        ["cp1252"],
    ),
    "Russian": (
        ["Иван Петров", "Мария Щербакова", "Дмитрий Юрьев"],
        ["cp1251", "koi8_r", "cp866", "mac_cyrillic"],
    ),
    "Greek": (["Γιώργος Παπαδόπουλος", "Ελένη Ξανθοπούλου"], ["cp1253", "iso8859_7"]),
    "Hebrew": (["דוד כהן ירושלים", "רחל פרץ באר שבע"], ["cp1255"]),
    "Arabic": (["محمد علي القاهرة", "أحمد إبراهيم بغداد"], ["cp1256"]),
    "Japanese": (
        ["東京都港区", "山田太郎の表", "カタカナ商品"],
        ["shift_jis", "euc_jp", "iso2022_jp"],
    ),
    "Chinese": (["王小明北京市", "韩梅梅广州市", "张伟深圳市"], ["gb18030", "gbk"]),
    "Chinese of Taiwan": (["林志豪臺中市", "張雅婷臺南市"], ["big5"]),
    "Korean": (["김철수 서울특별시", "이영희 부산광역시"], ["euc_kr"]),
}


@pytest.mark.parametrize(
    ("language", "encoding"),
    [(name, one) for name, (_, encodings) in NAMES.items() for one in encodings],
)
def test_read_right_and_said(language, encoding):
    texts = NAMES[language][0]
    rows = [[str(number), texts[number % len(texts)], f"{number}.5"] for number in range(30)]
    text = "id,name,v\n" + "".join(",".join(row) + "\n" for row in rows)
    reading = read(text.encode(encoding), piece_bytes=7)  # cuts characters of two bytes
    assert reading.rows == rows
    [remark] = [remark for remark in reading.remarks if remark.code == "encoding"]
    assert not remark.sure


def test_a_torn_character_costs_its_row_alone():
    rows = [f"{number},東京都港区,{number}.5".encode("shift_jis") for number in range(30)]
    rows[7] = b"7,\x82,7.5"
    outcome = run(b"id,name,v\n" + b"\n".join(rows) + b"\n")
    assert outcome.table["name"].to_pylist() == ["東京都港区"] * 29
    assert outcome.reasons == {9: "not valid text"}
