"""Names of people: surnames by weight and ethnic group, middle and given names by sex.

Weights of the common surnames follow census counts as commonly quoted (Nguyễn near 38 per cent).
Names are written family name first, as people write them.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Texts = NDArray[np.object_]
Flags = NDArray[np.bool_]
Weights = Mapping[str, float]


def _weights(text: str) -> Weights:
    """Return words with their weights, as they stand in a list of `word weight`."""
    parts = (part.rsplit(" ", 1) for part in text.split(", "))
    return {word: float(weight) for word, weight in parts}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SURNAMES = {
    "kinh": _weights(
        "Nguyễn 41, Trần 11.8, Lê 10, Phạm 7.2, Hoàng 3.4, Huỳnh 2.6, Phan 3.2, Vũ 3, Võ 2.2, Đặng "
        "2.2, Bùi 2.1, Đỗ 1.9, Hồ 1.4, Ngô 1.4, Dương 1.2, Lý 0.7, Đinh 0.8, Đoàn 0.6, Trịnh 0.6, "
        "Mai 0.6, Trương 0.9, Lâm 0.4, Đào 0.5, Cao 0.5, Hà 0.4, Tạ 0.2"
    ),
    "tay": _weights("Hoàng 22, Nông 20, Lương 8, Bế 7, Triệu 7, Hà 7, Ma 6, Đàm 5, Chu 5, Nguyễn 12"),
    "thai": _weights("Lò 30, Quàng 15, Cà 12, Lường 12, Hà 8, Vi 8, Lương 6, Tòng 5, Bạc 4"),
    "muong": _weights("Bùi 42, Đinh 14, Quách 12, Hà 8, Phạm 8, Trương 8, Nguyễn 8"),
    "khmer": _weights("Thạch 24, Sơn 15, Kim 13, Danh 12, Lâm 9, Châu 9, Lý 8, Trần 5, Kiên 5"),
    "hmong": _weights("Giàng 20, Vàng 16, Sùng 15, Lý 12, Thào 12, Mùa 8, Hờ 6, Cứ 5, Tráng 6"),
    "other": _weights("Nguyễn 14, Triệu 12, Hoàng 10, Y 8, Ksor 6, Rơ Châm 6, Lâm 10, Trần 9, Siu 6"),
}
FEMALE_MIDDLE = _weights(
    "Thị 40, Ngọc 10, Thu 6, Thanh 6, Kim 5, Mỹ 4, Minh 4, Phương 4, Bích 3, Hồng 4, Thuỳ 3, Bảo 3, "
    "Khánh 3, Diệu 2, Quỳnh 3, Gia 2"
)
MALE_MIDDLE = _weights(
    "Văn 34, Đức 8, Minh 8, Hữu 6, Quang 5, Xuân 4, Thanh 5, Đình 4, Công 4, Quốc 5, Ngọc 4, Gia 4, "
    "Anh 3, Hoàng 4, Trọng 3, Bá 2, Tiến 3"
)
FEMALE_GIVEN = _words(
    "Lan Hoa Hương Hằng Hạnh Hiền Hoà Hồng Huệ Huyền Hà Hân Hoài Hường Liên Linh Loan Ly Lý Lệ Mai My "
    "Mỹ Minh Na Nga Ngà Ngân Ngọc Nguyệt Nhàn Nhi Nhung Như Nhã Oanh Phúc Phương Phượng Quyên Quỳnh Quế "
    "Sen Sương Tâm Thanh Thảo Thắm Thoa Thơ Thơm Thu Thuý Thuỳ Thuỷ Thư Thương Tiên Trà Trang Trâm Trân "
    "Trinh Trúc Tuyền Tuyết Tươi Uyên Vân Vy Xuân Yên Yến Yểng Ánh Ân An Anh Ái Bích Bình Châu Chi Cúc "
    "Dung Diễm Diệp Diệu Duyên Dương Đào Đoan Giang Gấm Hảo Hậu Khánh Khuê Kiều Kim Lam Lâm Liễu Lài "
    "Lành Mây Mận Miên Mến Mơ Ngoan Nhiên Nương Nụ Phấn Sáng Thêu Thục Tình Tố Tú Vui Viên Xoan Xinh Ý "
    "Đẹp"
)
MALE_GIVEN = _words(
    "Hùng Dũng Cường Tuấn Sơn Hải Long Nam Minh Đức Thắng Quân Trung Kiên Khánh Khoa Khôi Lâm Lộc Lợi "
    "Luân Mạnh Nghĩa Nguyên Nhân Nhật Ninh Phong Phú Phúc Phước Quang Quốc Quý Quyết Sang Sáng Sinh Sỹ "
    "Tài Tâm Tân Thái Thanh Thành Thạch Thế Thiện Thịnh Thọ Thông Thuận Tiến Tiệp Tín Tình Toàn Trí "
    "Triết Trọng Trường Tú Tùng Tường Vinh Việt Vũ Vương Vượng An Ân Anh Bách Bảo Bắc Bình Ca Cảnh "
    "Chiến Chính Chung Chương Công Cương Danh Doanh Duy Dương Đại Đạt Đăng Điền Định Đoàn Đông Giang "
    "Giáp Hà Hào Hậu Hiếu Hiệp Hiển Hoà Hoan Hoàng Hoạt Huân Huấn Huy Hưng Hữu Khải Khang Khiêm Kha Kỳ "
    "Lực Lương Lưu Nghị Phát Văn"
)


def surnames(rng: np.random.Generator, ethnicities: Texts) -> Texts:
    """Return one surname for each family, by its ethnic group."""
    found = np.empty(len(ethnicities), dtype=object)
    for ethnicity, weights in SURNAMES.items():
        chosen = ethnicities == ethnicity
        found[chosen] = weighted(rng, weights, int(chosen.sum()))
    return found


def given_names(rng: np.random.Generator, female: Flags) -> Texts:
    """Return middle and given names, by sex; a few people have no middle name."""
    count = len(female)
    middle = np.where(female, weighted(rng, FEMALE_MIDDLE, count), weighted(rng, MALE_MIDDLE, count))
    given = np.where(female, _skewed(rng, FEMALE_GIVEN, count), _skewed(rng, MALE_GIVEN, count))
    has_middle = rng.random(count) < 0.97  # noqa: PLR2004 (a share of people)
    parts = zip(middle.tolist(), given.tolist(), has_middle.tolist(), strict=True)
    names = np.empty(count, dtype=object)
    names[:] = [f"{first} {last}" if both and first != last else last for first, last, both in parts]
    return names


def weighted(rng: np.random.Generator, weights: Weights, count: int) -> Texts:
    """Return words drawn by weight."""
    shares = np.array(list(weights.values()), dtype=float)
    words = np.array(list(weights), dtype=object)
    return words[rng.choice(len(words), size=count, p=shares / shares.sum())]


def _skewed(rng: np.random.Generator, words: tuple[str, ...], count: int) -> Texts:
    """Return words drawn so that the first of the list is some six times as common as the last."""
    shares = 1 / (np.arange(len(words)) + len(words) / 5)
    return np.array(words, dtype=object)[rng.choice(len(words), size=count, p=shares / shares.sum())]
