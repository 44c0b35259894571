"""From a telephone number to the country that it was assigned in, by its longest known prefix.

A number tells where it was assigned, and nothing of where its holder lives: what follows from it is inferred, never verified.
Each row is a country, or several that share a range which nobody can split, and its prefixes. What is in no row is
unknown: codes of no country (+800, +882 …), free and special numbers within +1, area codes assigned since. Kosovo (+383) has
no code in ISO 3166-1, hence no row. Ranges shared by a state and a part of it (Åland, Svalbard's mobiles, the Australian
islands) are the state's; +212 and Italian mobiles are those of the country that the ITU assigned the code to. +76 and +77 are
Kazakhstan's, every other +7 is Russia's.

Source: country codes by ITU-T E.164 (list of assigned country codes); how shared codes are split (+1, +44, +61, +262, +290,
+358, +590, +599 …) by the ranges in the metadata of libphonenumber 9.0.43 (Apache-2.0),
https://github.com/google/libphonenumber/tree/v9.0.43/resources (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

PREFIX_MAX = 8
"""The longest prefix of a row, in digits."""
_ROWS = """
    AD 376; AE 971; AF 93; AG 1268; AI 1264; AL 355; AM 374; AO 244; AR 54; AS 1684; AT 43; AU 61; AW 297; AZ 994;
    BA 387; BB 1246; BD 880; BE 32; BF 226; BG 359; BH 973; BI 257; BJ 229; BL/GP 59059028; BL/GP/MF 5905903 5905987
    59069 5907090 59080; BL/MF 59059027 59059029 59059051 59059052 59059087; BM 1441; BN 673; BO 591; BQ 5993 5994
    5997; BR 55; BS 1242; BT 975; BW 267; BY 375; BZ 501; CA 1204 1226 1236 1249 1250 1257 1263 1273 1289 1306 1343
    1354 1365 1367 1368 1382 1403 1416 1418 1428 1431 1437 1438 1450 1468 1474 1506 1514 1519 1548 1579 1581 1584
    1587 1604 1613 1639 1647 1672 1683 1705 1709 1742 1753 1778 1780 1782 1807 1819 1825 1867 1873 1879 1902 1905
    1942; CD 243; CF 236; CG 242; CH 41; CI 225; CK 682; CL 56; CM 237; CN 86; CO 57; CR 506; CU 53; CV 238; CW 599;
    CY 357; CZ 420; DE 49; DJ 253; DK 45; DM 1767; DO 1809 1829 1849; DZ 213; EC 593; EE 372; EG 20; ER 291; ES 34;
    ET 251; FI 358; FJ 679; FK 500; FM 691; FO 298; FR 33; GA 241; GB 44 4477000 4477001; GB/IM 447924; GD 1473; GE
    995; GF 594; GG 441481 447781 447839 4479111 4479117; GH 233; GI 350; GL 299; GM 220; GN 224; GP 590590 59059031
    59059032 59059038 59059039; GQ 240; GR 30; GT 502; GU 1671; GW 245; GY 592; HK 852; HN 504; HR 385; HT 509; HU
    36; ID 62; IE 353; IL 972; IM 441624 4474576 447524 4476; IN 91; IO 246; IQ 964; IR 98; IS 354; IT 39; JE 441534
    447509 447700 447797 447829 447937; JM 1658 1876; JO 962; JP 81; KE 254; KG 996; KH 855; KI 686; KM 269; KN
    1869; KP 850; KR 82; KW 965; KY 1345; KZ 76 77; LA 856; LB 961; LC 1758; LI 423; LK 94; LR 231; LS 266; LT 370;
    LU 352; LV 371; LY 218; MA 212; MC 377; MD 373; ME 382; MF 59059000 59059007 59059009 59059013 59059030 59059043
    59059050 59059056 59059058 59059077 59059079; MG 261; MH 692; MK 389; ML 223; MM 95; MN 976; MO 853; MP 1670; MQ
    596; MR 222; MS 1664; MT 356; MU 230; MV 960; MW 265; MX 52; MY 60; MZ 258; NA 264; NC 687; NE 227; NF 672; NG
    234; NI 505; NL 31; NO 47; NP 977; NR 674; NU 683; NZ 64; OM 968; PA 507; PE 51; PF 689; PG 675; PH 63; PK 92;
    PL 48; PM 508; PR 1787 1939; PS 970; PT 351; PW 680; PY 595; QA 974; RE 262 26269; RO 40; RS 381; RU 7; RW 250;
    SA 966; SB 677; SC 248; SD 249; SE 46; SG 65; SH 247 290; SI 386; SK 421; SL 232; SM 378; SN 221; SO 252; SR
    597; SS 211; ST 239; SV 503; SX 1721; SY 963; SZ 268; TC 1649; TD 235; TG 228; TH 66; TJ 992; TK 690; TL 670; TM
    993; TN 216; TO 676; TR 90; TT 1868; TV 688; TW 886; TZ 255; UA 380; UG 256; US 1201 1202 1203 1205 1206 1207
    1208 1209 121 1220 1223 1224 1225 1227 1228 1229 1231 1234 1235 1239 1240 1248 1251 1252 1253 1254 1256 1260
    1262 1267 1269 1270 1272 1274 1276 1279 1281 1283 1301 1302 1303 1304 1305 1307 1308 1309 131 132 133 1341 1346
    1347 1350 1351 1352 1353 1360 1361 1363 1364 1369 1380 1385 1386 1401 1402 1404 1405 1406 1407 1408 1409 1410
    1412 1413 1414 1415 1417 1419 1423 1424 1425 1430 1432 1434 1435 1440 1442 1443 1445 1447 1448 1458 1463 1464
    1469 1470 1472 1475 1478 1479 148 1501 1502 1503 1504 1505 1507 1508 1509 1510 1512 1513 1515 1516 1517 1518 152
    153 1540 1541 155 156 1570 1571 1572 1573 1574 1575 1580 1582 1585 1586 1601 1602 1603 1605 1606 1607 1608 1609
    1610 1612 1614 1615 1616 1617 1618 1619 162 1630 1631 1636 1640 1641 1645 1646 1650 1651 1656 1657 1659 1660
    1661 1662 1667 1669 1678 1680 1681 1682 1686 1689 1701 1702 1703 1704 1706 1707 1708 171 1720 1724 1725 1726
    1727 1728 173 1740 1743 1747 1748 1754 1757 1760 1762 1763 1765 1769 1770 1771 1772 1773 1774 1775 1779 1781
    1785 1786 1801 1802 1803 1804 1805 1806 1808 1810 1812 1813 1814 1815 1816 1817 1818 1820 1821 1826 1828 183
    1840 1843 1845 1847 1848 185 1860 1862 1863 1864 1865 1870 1872 1878 1901 1903 1904 1906 1907 1908 1909 191 192
    1930 1931 1934 1936 1937 1938 1940 1941 1943 1945 1947 1948 1949 195 197 198; UY 598; UZ 998; VC 1784; VE 58; VG
    1284; VI 1340; VN 84; VU 678; WF 681; WS 685; YE 967; YT 2622689 262269 2626 2627093; ZA 27; ZM 260; ZW 263
"""


@cache
def _prefixes() -> Mapping[str, tuple[str, ...]]:
    rows = (row.split() for row in _ROWS.split(";"))
    return {prefix: tuple(countries.split("/")) for countries, *prefixes in rows for prefix in prefixes}


def countries_of(number: str) -> tuple[str, ...]:
    """Return the country that a number was assigned in, several where its range is shared, none where it is unknown.

    Args:
        number: E.164, ``+`` and 7 to 15 digits.
    """
    rows, digits = _prefixes(), number.removeprefix("+")
    for length in range(min(PREFIX_MAX, len(digits)), 0, -1):
        if digits[:length] in rows:
            return rows[digits[:length]]
    return ()
