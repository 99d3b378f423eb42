"""The 34 provinces since 1 July 2025: codes, names, rough weights, and the old codes inside them.

Facts, rounded: codes as in Decision 19/2025/QD-TTg, population in ten thousands, the 63 province
codes of before that personal numbers keep (Circular 59/2021/TT-BCA), number and code range of wards.
``wealth`` is a made-up index from -1 to 1 that income, education and work follow. Ward codes are
invented inside the range, so that a code looks like one and none belongs to two provinces.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Province:
    """One province or centrally-run city."""

    code: str
    name: str
    ascii_name: str
    population: int
    wealth: float
    legacy_codes: tuple[str, ...]
    wards: tuple[int, int, int]
    """How many, lowest code, highest code."""
    minorities: tuple[tuple[str, float], ...]
    """Share of households by ethnic group; the rest is kinh, but for one or two in a hundred."""


TABLE = """
01 | Hà Nội | Hanoi | 881 | 0.9 | 001 | 126 4 10489 | muong 0.01
04 | Cao Bằng | Cao Bang | 57 | -0.9 | 004 | 56 1273 1822 | tay 0.7 hmong 0.11
08 | Tuyên Quang | Tuyen Quang | 187 | -0.8 | 008 002 | 124 691 2623 | tay 0.25 hmong 0.22
11 | Điện Biên | Dien Bien | 67 | -1.0 | 011 | 45 3127 3385 | hmong 0.38 thai 0.36
12 | Lai Châu | Lai Chau | 51 | -1.0 | 012 | 38 3388 3640 | thai 0.31 hmong 0.24
14 | Sơn La | Son La | 140 | -0.9 | 014 | 75 3646 4246 | thai 0.53 hmong 0.16 muong 0.07
15 | Lào Cai | Lao Cai | 178 | -0.7 | 015 010 | 99 2647 4750 | hmong 0.19 tay 0.17 thai 0.06
19 | Thái Nguyên | Thai Nguyen | 180 | 0.1 | 019 006 | 92 1840 5953 | tay 0.2
20 | Lạng Sơn | Lang Son | 81 | -0.6 | 020 | 65 5977 6637 | tay 0.36 other 0.44
22 | Quảng Ninh | Quang Ninh | 143 | 0.6 | 022 | 54 6652 7192 | tay 0.03
24 | Bắc Ninh | Bac Ninh | 362 | 0.5 | 024 027 | 99 7210 9529 | tay 0.03
25 | Phú Thọ | Phu Tho | 402 | 0.0 | 025 026 017 | 148 4792 9154 | muong 0.2
31 | Hải Phòng | Haiphong | 466 | 0.7 | 031 030 | 114 10507 11948 |
33 | Hưng Yên | Hung Yen | 357 | 0.2 | 033 034 | 104 11953 13279 |
37 | Ninh Bình | Ninh Binh | 441 | 0.1 | 037 036 035 | 129 13285 14746 | muong 0.01
38 | Thanh Hoá | Thanh Hoa | 432 | -0.2 | 038 | 166 14758 16654 | muong 0.1 thai 0.06
40 | Nghệ An | Nghe An | 383 | -0.3 | 040 | 130 16681 18040 | thai 0.1 hmong 0.01
42 | Hà Tĩnh | Ha Tinh | 162 | -0.2 | 042 | 69 18073 18844 |
44 | Quảng Trị | Quang Tri | 187 | -0.3 | 044 045 | 78 18859 19742 | other 0.07
46 | Huế | Hue | 143 | 0.2 | 046 | 40 19753 20182 | other 0.04
48 | Đà Nẵng | Da Nang | 307 | 0.6 | 048 049 | 94 20194 21004 | other 0.05
51 | Quảng Ngãi | Quang Ngai | 216 | -0.4 | 051 062 | 96 21025 23548 | other 0.28
52 | Gia Lai | Gia Lai | 358 | -0.4 | 052 064 | 135 21553 24112 | other 0.26
56 | Khánh Hoà | Khanh Hoa | 224 | 0.2 | 056 058 | 65 22333 22909 | other 0.13
66 | Đắk Lắk | Dak Lak | 335 | -0.4 | 066 054 | 102 22015 24607 | other 0.2 tay 0.03 hmong 0.02
68 | Lâm Đồng | Lam Dong | 387 | -0.1 | 068 067 060 | 124 22918 25180 | other 0.17 tay 0.02
75 | Đồng Nai | Dong Nai | 449 | 0.6 | 075 070 | 95 25195 26503 | other 0.09
79 | Hồ Chí Minh | Ho Chi Minh | 1402 | 1.0 | 079 074 077 | 168 25747 27676 | other 0.05 khmer 0.01
80 | Tây Ninh | Tay Ninh | 325 | 0.2 | 080 072 | 96 25459 28243 | khmer 0.01
82 | Đồng Tháp | Dong Thap | 437 | -0.2 | 082 087 | 102 28249 30259 |
86 | Vĩnh Long | Vinh Long | 425 | -0.3 | 086 083 084 | 124 28756 29857 | khmer 0.09
91 | An Giang | An Giang | 495 | -0.2 | 091 089 | 102 30292 31108 | khmer 0.07
92 | Cần Thơ | Can Tho | 420 | 0.1 | 092 093 094 | 103 31120 31810 | khmer 0.1
96 | Cà Mau | Ca Mau | 261 | -0.3 | 096 095 | 64 31825 32248 | khmer 0.05
"""
"""Code, name, plain name, population, wealth, old codes, wards, minorities."""


def _province(line: str) -> Province:
    code, name, ascii_name, population, wealth, legacy, wards, minorities = line.split("|")
    count, lowest, highest = wards.split()
    words = minorities.split()
    return Province(
        code=code.strip(),
        name=name.strip(),
        ascii_name=ascii_name.strip(),
        population=int(population),
        wealth=float(wealth),
        legacy_codes=tuple(legacy.split()),
        wards=(int(count), int(lowest), int(highest)),
        minorities=tuple(zip(words[::2], map(float, words[1::2]), strict=True)),
    )


PROVINCES = tuple(_province(line) for line in TABLE.strip().splitlines())

STREETS = (
    "Trần Hưng Đạo", "Lê Lợi", "Nguyễn Huệ", "Hai Bà Trưng", "Quang Trung", "Lý Thường Kiệt", "Ngô Quyền",
    "Phan Bội Châu", "Phan Chu Trinh", "Nguyễn Trãi", "Lê Thánh Tông", "Hùng Vương", "Điện Biên Phủ",
    "Cách Mạng Tháng Tám", "Nguyễn Văn Cừ", "Hoàng Hoa Thám", "Trường Chinh", "Nguyễn Du", "Bà Triệu",
    "Lê Hồng Phong", "Võ Thị Sáu", "Tôn Đức Thắng", "Phạm Văn Đồng", "Võ Văn Kiệt",
)  # fmt: skip
HAMLETS = ("Đông", "Đoài", "Thượng", "Hạ", "Trung", "Tân Lập", "Hoà Bình", "Phú Thịnh", "An Lạc", "Bình Minh")
WARD_FIRST = ("An", "Bình", "Đông", "Hoà", "Hưng", "Long", "Minh", "Phú", "Tân", "Thạnh", "Vĩnh", "Xuân")
WARD_SECOND = ("Châu", "Định", "Hải", "Khánh", "Lộc", "Mỹ", "Ninh", "Phong", "Quang", "Sơn", "Thành", "Thịnh")


@cache
def ward_codes() -> tuple[tuple[str, ...], ...]:
    """Return the ward codes of each province, in the order of ``PROVINCES``; no code twice."""
    taken: set[int] = set()
    codes = []
    for province in PROVINCES:
        count, lowest, highest = province.wards
        own = []
        for spread in np.linspace(lowest, highest, count).astype(int).tolist():
            code = next(code for code in range(spread, 100_000) if code not in taken)
            taken.add(code)
            own.append(f"{code:05d}")
        codes.append(tuple(own))
    return tuple(codes)


def ward_name(code: str) -> str:
    """Return the invented name of a ward."""
    number = int(code)
    return f"{WARD_FIRST[number % 12]} {WARD_SECOND[number // 12 % 12]}"
