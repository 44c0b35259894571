"""Decode text by the name of a charset, as mail programs do.

The names are the labels of the WHATWG Encoding Standard, and some more that only e-mail has. The table lists only charsets
that Python decodes in linear time: its codecs ``punycode`` and ``idna`` take quadratic time.

Source: https://encoding.spec.whatwg.org/#names-and-labels, RFC 1468 and 2152 (read 2026-12-01).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .fields import clean

_CODECS: Mapping[str, str] = {
    "utf-8": "utf8 unicode11utf8 unicode20utf8 xunicode20utf8",
    "cp866": "866 cp866 csibm866 ibm866",
    "iso8859-2": "csisolatin2 iso88592 isoir101 iso885921987 l2 latin2",
    "iso8859-3": "csisolatin3 iso88593 isoir109 iso885931988 l3 latin3",
    "iso8859-4": "csisolatin4 iso88594 isoir110 iso885941988 l4 latin4",
    "iso8859-5": "csisolatincyrillic cyrillic iso88595 isoir144 iso885951988",
    "iso8859-6": "arabic asmo708 csiso88596e csiso88596i csisolatinarabic ecma114 iso88596 iso88596e iso88596i isoir127"
    " iso885961987",
    "iso8859-7": "csisolatingreek ecma118 elot928 greek greek8 iso88597 isoir126 iso885971987 suneugreek",
    "iso8859-8": "csiso88598e csisolatinhebrew hebrew iso88598 iso88598e isoir138 iso885981988 visual csiso88598i iso88598i"
    " logical",
    "iso8859-10": "csisolatin6 iso885910 isoir157 l6 latin6",
    "iso8859-13": "iso885913",
    "iso8859-14": "iso885914",
    "iso8859-15": "csisolatin9 iso885915 l9 latin9",
    "iso8859-16": "iso885916",
    "koi8-r": "cskoi8r koi koi8 koi8r",
    "koi8-u": "koi8ru koi8u",
    "koi8-t": "koi8t",
    "mac_roman": "csmacintosh mac macintosh xmacroman",
    "mac_cyrillic": "xmaccyrillic xmacukrainian",
    "cp874": "dos874 iso885911 tis620 windows874 cp874 xwindows874",
    "cp1250": "cp1250 windows1250 xcp1250",
    "cp1251": "cp1251 windows1251 xcp1251",
    "cp1252": "cp1252 cp819 csisolatin1 ibm819 iso88591 isoir100 iso885911987 l1 latin1 windows1252 xcp1252",
    "cp1253": "cp1253 windows1253 xcp1253",
    "cp1254": "cp1254 csisolatin5 iso88599 isoir148 iso885991989 l5 latin5 windows1254 xcp1254",
    "cp1255": "cp1255 windows1255 xcp1255",
    "cp1256": "cp1256 windows1256 xcp1256",
    "cp1257": "cp1257 windows1257 xcp1257",
    "cp1258": "cp1258 windows1258 xcp1258",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb231280 gbk isoir58 xgbk gb18030 cp936 ms936 windows936",
    "hz": "hzgb2312",
    "big5hkscs": "big5 big5hkscs cnbig5 csbig5 xxbig5",
    "cp950": "cp950 ms950 windows950 xwindows950",
    "euc_jp": "cseucpkdfmtjapanese eucjp xeucjp",
    "iso2022_jp": "csiso2022jp iso2022jp iso2022jpms cp50220 cp50221 cp50222",
    "iso2022_jp_2": "iso2022jp1 iso2022jp2",
    "cp932": "csshiftjis ms932 mskanji shiftjis sjis windows31j xsjis cp932 windows932 xmscp932",
    "cp949": "cseuckr csksc56011987 euckr isoir149 korean ksc56011987 ksc56011989 ksc5601 windows949 cp949 ms949 uhc",
    "iso2022_kr": "csiso2022kr iso2022kr",
    "utf-16-be": "utf16be unicodefffe",
    "utf-16-le": "utf16 utf16le csunicode iso10646ucs2 ucs2 unicode unicodefeff",
    "utf-32": "utf32",
    "utf-32-be": "utf32be",
    "utf-32-le": "utf32le",
    "utf-7": "utf7 unicode11utf7 csunicode11utf7 xunicode20utf7",
    "x-user-defined": "xuserdefined",
    **{
        f"cp{page}": f"cp{page} ibm{page}"
        for page in (437, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 865, 869)
    },
}
"""From a codec to its labels in small letters, without the characters that are neither letters nor digits."""

_BY_LABEL = {label: codec for codec, labels in _CODECS.items() for label in labels.split()}
_NOT_OF_LABELS = re.compile(r"[^a-z0-9]+")
MAX_LABEL_CHARACTERS = 64

# An escape sequence says in which set the bytes behind it are: JIS X 0208, katakana, or ASCII.
_ESCAPES = re.compile(rb"\x1b(?:\$[@B]((?:[\x21-\x7e]{2})*)|\(I([\x21-\x7e]*)|\([A-Z])")
_HIGH = bytes(byte | 0x80 for byte in range(256))


def decode(value: bytes, label: str | None) -> str:
    """Decode a text of a named charset. An undecodable byte becomes U+FFFD, a mark of byte order is left out.

    A text without a charset is UTF-8 or else windows-1252. So is one of an unknown charset or of ASCII.
    """
    codec = _codec(label)
    text = _DECODERS[codec](value) if codec in _DECODERS else value.decode(codec or "utf-8", "replace")
    return clean(text.removeprefix("\ufeff"))


def fallback(value: bytes, label: str | None) -> str:
    """Decode a text whose charset is only likely, as that of the body for a header: it is in UTF-8, else in that one."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return decode(value, None if _codec(label) == "utf-8" else label)


def _codec(label: str | None) -> str | None:
    if label is None or len(label) > MAX_LABEL_CHARACTERS:
        return None
    return _BY_LABEL.get(_NOT_OF_LABELS.sub("", label.lower()))


def _undeclared(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")


def _utf_16(value: bytes) -> str:
    order = "utf-16-be" if value.startswith(b"\xfe\xff") else "utf-16-le"
    return value.decode(order, "replace")


def _user_defined(value: bytes) -> str:
    # WHATWG: the upper half goes to the private use area, so that no byte is lost.
    return value.decode("latin-1").translate({byte: 0xF700 + byte for byte in range(0x80, 0x100)})


def _iso_2022_jp(value: bytes) -> str:
    # Python's codec has neither half-width katakana nor the additions of NEC and IBM, which Japanese mail programs send.
    return _ESCAPES.sub(_unescaped, value).decode("cp932", "replace")


def _unescaped(found: re.Match[bytes]) -> bytes:
    pairs, katakana = found.groups()
    if not pairs:
        return katakana.translate(_HIGH) if katakana else b""
    shifted = bytearray()
    for lead, trail in zip(pairs[::2], pairs[1::2], strict=True):
        shifted.append((lead + 1 >> 1) + (0x70 if lead < 0x5F else 0xB0))
        shifted.append(trail + (0x1F + (trail > 0x5F) if lead & 1 else 0x7E))
    return bytes(shifted)


_DECODERS: Mapping[str | None, Callable[[bytes], str]] = {
    None: _undeclared,
    "utf-16-le": _utf_16,
    "x-user-defined": _user_defined,
    "iso2022_jp": _iso_2022_jp,
}
