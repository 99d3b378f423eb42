"""Free text as interviewers and physicians write it, with the person's own data in it, spelled many ways.

What a mask for free text has to find: the name whole, as last syllables, in capitals, without
diacritics or decomposed (NFD); numbers plain, in groups, with points or with the country's prefix.
"""

import unicodedata
from collections.abc import Callable, Iterable

import numpy as np

HOUSEHOLD_NOTES = (
    "Chủ hộ {name}, CCCD {id}, liên hệ qua số {phone}.",
    "Gặp anh/chị {name} tại {address}; hẹn phỏng vấn lại vào tuần sau.",
    "{name} cho biết thu nhập gần đây giảm, cần gọi lại {phone}.",
    "Địa chỉ ghi trong sổ: {address}. Người trả lời: {name}.",
    "Số định danh {id} đã đối chiếu với giấy tờ gốc.",
    "Zalo {phone}, nhờ gọi buổi tối.",
    "Hộ kinh doanh của {name}, mã số thuế {tax}, không có sổ sách.",
    "Đã xác minh thông tin, không có gì bất thường.",
    "Nhà đi vắng, hàng xóm cho biết {name} làm ăn xa.",
    "Trẻ em trong hộ đi học đầy đủ.",
    "Người trả lời sinh ngày {birth}, thường trú tại {address}.",
    "Nước sinh hoạt lấy từ giếng khoan; mái nhà mới sửa năm ngoái.",
)
VISIT_NOTES = (
    "BN {name}, sinh {birth}, tái khám theo hẹn.",
    "Bệnh nhân {name} có thẻ BHYT {insurance}, đau đầu hai ngày nay.",
    "Người nhà để lại số {phone}, dặn báo kết quả cho {name}.",
    "CCCD {id}; tiền sử tăng huyết áp, dùng thuốc đều.",
    "Khám tổng quát, chưa thấy bất thường, hẹn sau ba tháng.",
    "{name} dị ứng penicillin, đã ghi vào hồ sơ.",
    "Chuyển tuyến từ trạm y tế, thẻ {insurance}, CCCD {id}.",
    "Sốt, ho, họng đỏ; kê thuốc năm ngày.",
    "Gọi lại {phone} khi có kết quả xét nghiệm.",
    "Đã tư vấn chế độ ăn cho bệnh nhân và gia đình.",
)


def write_notes(
    rng: np.random.Generator, templates: tuple[str, ...], people: Iterable[dict[str, str]], count: int
) -> list[str | None]:
    """Return a note or None for each of ``count`` people; each gives the values that templates name."""
    template = rng.integers(len(templates), size=count).tolist()
    name_style = rng.integers(len(NAME_STYLES), size=count).tolist()
    number_style = rng.integers(len(NUMBER_STYLES), size=count).tolist()
    has_note = (rng.random(count) < 0.7).tolist()  # noqa: PLR2004 (a share of people)
    notes: list[str | None] = []
    for person, at, name, number, present in zip(
        people, template, name_style, number_style, has_note, strict=True
    ):
        if not present:
            notes.append(None)
            continue
        spelled = {key: NUMBER_STYLES[number](value) for key, value in person.items() if key in NUMBERS}
        spelled["name"] = NAME_STYLES[name](person["name"])
        notes.append(templates[at].format(**(person | spelled)))
    return notes


NUMBERS = frozenset({"id", "phone", "tax", "insurance"})


def without_diacritics(text: str) -> str:
    """Return Vietnamese text in plain letters."""
    decomposed = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _grouped(separator: str) -> Callable[[str], str]:
    def spell(number: str) -> str:
        head = len(number) % 3 or 3
        parts = [number[:head], *(number[at : at + 3] for at in range(head, len(number), 3))]
        return separator.join(parts)

    return spell


def _international(number: str) -> str:
    is_phone = len(number) == 10 and number.startswith("0")  # noqa: PLR2004 (digits of a phone number)
    return f"+84 {number[1:]}" if is_phone else number


NAME_STYLES: tuple[Callable[[str], str], ...] = (
    str,
    str,
    str,
    without_diacritics,
    str.upper,
    lambda name: without_diacritics(name).upper(),
    lambda name: " ".join(name.split()[-2:]),
    lambda name: unicodedata.normalize("NFD", name),
)
NUMBER_STYLES: tuple[Callable[[str], str], ...] = (
    str,
    str,
    _grouped(" "),
    _grouped("."),
    _grouped("-"),
    _international,
)
