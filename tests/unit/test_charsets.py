"""Charsets by the labels of the WHATWG Encoding Standard."""

from __future__ import annotations

import pytest

from chalicelib.channels.charsets import decode, fallback

LABELS = {
    "cp866": "866 cp866 csibm866 ibm866",
    "iso8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso8859-3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    "iso8859-4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    "iso8859-5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
    "iso8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e iso-8859-6-i"
    " iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    "iso8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7"
    " iso_8859-7:1987 sun_eu_greek",
    "iso8859-8": "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8"
    " iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
    "iso8859-10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso8859-13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859-14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
    "iso8859-16": "iso-8859-16",
    "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8-u": "koi8-ru koi8-u",
    "mac_roman": "csmacintosh mac macintosh x-mac-roman",
    "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "cp1250": "cp1250 windows-1250 x-cp1250",
    "cp1251": "cp1251 windows-1251 x-cp1251",
    "cp1252": "cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1"
    " windows-1252 x-cp1252",
    "cp1253": "cp1253 windows-1253 x-cp1253",
    "cp1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 windows-1254",
    "cp1255": "cp1255 windows-1255 x-cp1255",
    "cp1256": "cp1256 windows-1256 x-cp1256",
    "cp1257": "cp1257 windows-1257 x-cp1257",
    "cp1258": "cp1258 windows-1258 x-cp1258",
    "gbk": "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk",
    "gb18030": "gb18030",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc_jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
    "iso2022_jp": "csiso2022jp iso-2022-jp iso-2022-jp-ms",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949",
    "utf-16-be": "unicodefffe utf-16be",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
    # Of e-mail alone: browsers no longer decode these.
    "hz": "hz-gb-2312",
    "iso2022_kr": "csiso2022kr iso-2022-kr",
    "utf-7": "utf-7 unicode-1-1-utf-7",
    "cp437": "ibm437 cp437",
}
SAMPLES = ("Сад", "שלום", "سلام", "Ωμέγα", "สวน", "Größe", "ağaç", "žluť", "植物园", "植物園", "梅の木", "자두", "plum")


@pytest.mark.parametrize(
    ("codec", "label"), [(codec, label) for codec, labels in LABELS.items() for label in labels.split()]
)
def test_text_is_decoded_when_the_label_is_one_of_the_standard(codec: str, label: str) -> None:
    text = next(sample for sample in SAMPLES if encodable(sample, codec))

    assert decode(text.encode(codec), label) == text
    assert decode(text.encode(codec), f" {label.upper()} ") == text


def encodable(text: str, codec: str) -> bool:
    try:
        return text.encode(codec) != text.encode("ascii", "replace") or codec in ("hz", "iso2022_kr", "cp437")
    except UnicodeEncodeError:
        return False


@pytest.mark.parametrize(
    ("value", "label", "text"),
    [
        ("Größe".encode(), None, "Größe"),
        ("Größe".encode("cp1252"), None, "Größe"),
        ("Größe".encode("cp1252"), "us-ascii", "Größe"),
        ("Größe".encode(), "us-ascii", "Größe"),
        ("Größe".encode("cp1252"), "x-unknown", "Größe"),
        ("Größe".encode("cp1252"), "punycode", "Größe"),
        ("Größe".encode("cp1252"), "a" * 1000, "Größe"),
        ("“Größe”".encode("cp1252"), "iso-8859-1", "“Größe”"),
        (b"\xff", "utf-8", "\ufffd"),
        (b"\xef\xbb\xbfplum", "utf-8", "plum"),
        (b"\xfe\xff\x00p", "utf-16", "p"),
        (b"\xff\xfep\x00", "utf-16", "p"),
        (b"p\xe9", "x-user-defined", "p\uf7e9"),
        # NEC's row 13 and half-width katakana, as Japanese mail programs send them
        (b"\x1b$B-!\x1b(B 1 \x1b(I12\x1b(B", "iso-2022-jp", "① 1 ｱｲ"),
        (b"\x1b$B$\x1b(B", "iso-2022-jp", "$"),
        (b'\x1b$B$"\r\n$"', "iso-2022-jp", 'あ\r\n$"'),
        (b"+2AA-", "utf-7", "\ufffd"),
        (b"\x1b", "iso-2022-kr", "\ufffd"),
    ],
)
def test_text_is_readable_when_the_charset_is_odd(value: bytes, label: str | None, text: str) -> None:
    assert decode(value, label) == text


@pytest.mark.parametrize(
    ("value", "label", "text"),
    [
        ("Größe".encode(), "windows-1251", "Größe"),
        ("Сад".encode("cp1251"), "windows-1251", "Сад"),
        ("Größe".encode("cp1252"), "utf-8", "Größe"),
        ("Größe".encode("cp1252"), None, "Größe"),
    ],
)
def test_header_is_in_the_charset_of_the_body_when_it_is_not_in_utf_8(
    value: bytes, label: str | None, text: str
) -> None:
    assert fallback(value, label) == text
