"""What a column's name and shapes say about people, and what a rule should then do with it.

A name is read without case, diacritics and separators, in Vietnamese and English: `HoTen`, `họ_tên` and
`ho ten` are one. The first cue that fits counts. A cue is a proposal to a steward, never a rule:
nothing is opened or closed by it. The words are our own list after common Vietnamese and English
column names; which kinds are sensitive is a cautious choice, not a reading of the law.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from gateway.terms.dataset import ColumnType, Personal
from gateway.terms.source_facts import ColumnFacts, Shape

SHARE_AT_LEAST: Final = 0.2
"""Share of a column's cells with a shape that makes the column look like that."""


class Kind(StrEnum):
    """What a column seems to hold; the value is how a sentence names it."""

    NUMBER_OF_PERSON = "an identification number of a person"
    DOCUMENT = "the number of a passport or licence"
    TAX = "a tax number"
    INSURANCE = "an insurance number"
    ACCOUNT = "a bank account or card"
    PLATE = "a vehicle's plate"
    DEVICE = "a device or network address"
    EMAIL = "an e-mail address"
    PHONE = "a phone number"
    ADDRESS = "an address"
    LOCATION = "a position on the map"
    BIRTH = "a date of birth"
    TEXT = "free text, which may say anything about anybody"
    SENSITIVE = "health, belief, origin or another sensitive trait"
    NAME = "a person's name"
    RECORD = "a number that stands for one person or record"
    AGE = "an age"
    TRAIT = "a trait of a person"


@dataclass(frozen=True, slots=True)
class Cue:
    """Why a column looks personal."""

    kind: Kind
    because: str

    @property
    def personal(self) -> Personal:
        """The class to propose."""
        return Personal.SENSITIVE if self.kind in _SENSITIVE else Personal.BASIC

    @property
    def identifies(self) -> bool:
        """Whether the column by itself can lead to a person."""
        return self.kind not in _TRAITS

    @property
    def tells_persons_apart(self) -> bool:
        """Whether the column may be the one that says whose row it is."""
        return self.kind in {Kind.NUMBER_OF_PERSON, Kind.INSURANCE, Kind.RECORD}


_SENSITIVE: Final = frozenset({Kind.ACCOUNT, Kind.LOCATION, Kind.TEXT, Kind.SENSITIVE})
_TRAITS: Final = frozenset({Kind.AGE, Kind.TRAIT, Kind.SENSITIVE})
TOKENISED: Final = frozenset(
    {Kind.NUMBER_OF_PERSON, Kind.DOCUMENT, Kind.TAX, Kind.INSURANCE, Kind.ACCOUNT, Kind.PLATE}
    | {Kind.DEVICE, Kind.RECORD}
)
_REDACTED: Final = frozenset({Kind.NAME, Kind.ADDRESS, Kind.EMAIL})

_WORDS: Final[dict[Kind, str]] = {
    Kind.NUMBER_OF_PERSON: "cccd, cmnd, cmt, so dinh danh, sodinhdanh, dinh danh, ddcn, can cuoc, "
    "chung minh, citizen id, citizen, national id, identity, id number, id card, ssn, person id, personal "
    "id, pid, nin",
    Kind.DOCUMENT: "passport, ho chieu, hochieu, gplx, giay phep lai xe, bang lai, driving licence, "
    "license no",
    Kind.TAX: "mst, ma so thue, masothue, tax id, tax number, tax code, tin",
    Kind.INSURANCE: "bhyt, bhxh, bao hiem y te, bao hiem xa hoi, the bao hiem, so bao hiem, ma bao "
    "hiem, insurance no, insurance id, insurance number, insurance code, social security",
    Kind.ACCOUNT: "stk, so tai khoan, tai khoan, account, iban, card number, so the, credit card, bank no",
    Kind.PLATE: "bien so, bienso, bks, plate, license plate, bien kiem soat",
    Kind.DEVICE: "imei, imsi, ip, ip address, mac address, device id",
    Kind.EMAIL: "email, e mail, mail, thu dien tu",
    Kind.PHONE: "phone, sdt, so dt, dien thoai, dienthoai, mobile, telephone, tel, di dong, zalo, fax",
    Kind.ADDRESS: "dia chi, diachi, address, addr, street, so nha, thuong tru, tam tru, noi o, residence",
    Kind.LOCATION: "lat, lon, lng, latitude, longitude, gps, toa do, geo",
    Kind.BIRTH: "ngay sinh, ngaysinh, nam sinh, namsinh, sinh nhat, dob, birth, birthday, birthdate, born",
    Kind.TEXT: "note, notes, ghi chu, ghichu, comment, comments, remark, remarks, description, mo "
    "ta, noi dung, dien bien, free text, ly do, reason",
    Kind.SENSITIVE: "race, ethnic, ethnicity, dan toc, dantoc, religion, ton giao, tongiao, "
    "diagnosis, chan doan, benh, icd, icd10, disease, hiv, disability, khuyet tat, health, suc khoe, "
    "politic, dang vien, union, sexual, tien an, criminal, conviction, biometric, fingerprint, van tay, "
    "genetic, blood type, nhom mau",
    Kind.NAME: "ho ten, hoten, ho va ten, hovaten, ho, ten, full name, fullname, first name, last "
    "name, surname, given name, middle name, name, nguoi, mother, father, cha, me, spouse, owner, contact",
    Kind.RECORD: "id, uuid, guid, ma ho, ma bn, mabn, ma benh nhan, ma khach hang, makh, ma nv, ma "
    "hs, household id, patient, customer, employee, student, user, username, member, cust, serial",
    Kind.AGE: "age, tuoi",
    Kind.TRAIT: "sex, gender, gioi tinh, gioitinh, married, marital, hon nhan, income, thu nhap, "
    "salary, luong, wage, educ, education, hoc van, trinh do, occupation, nghe nghiep, job, workclass, "
    "nationality, quoc tich, native, children, household size, family",
}
_NOT_PEOPLE: Final = frozenset(
    {
        "airport", "carrier", "city", "commune", "company", "cong", "country", "department",
        "district", "file", "hospital", "huyen", "item", "khoa", "phuong", "product", "province",
        "provinces", "quan", "region", "school", "station", "table", "thanh", "tinh", "truong",
        "ty", "vien", "vung", "ward", "xa",
    }
)  # fmt: skip
"""A name or number of one of these is no person's."""
_HARMLESS: Final = frozenset({Kind.RECORD})

_OF_SHAPES: Final = {
    Shape.TWELVE_DIGITS: Kind.NUMBER_OF_PERSON,
    Shape.NINE_DIGITS: Kind.NUMBER_OF_PERSON,
    Shape.TEN_DIGITS: Kind.INSURANCE,
    Shape.INSURANCE_CARD: Kind.INSURANCE,
    Shape.PASSPORT: Kind.DOCUMENT,
    Shape.PHONE: Kind.PHONE,
    Shape.EMAIL: Kind.EMAIL,
    Shape.PLATE: Kind.PLATE,
    Shape.LONG_TEXT: Kind.TEXT,
    Shape.CAPITALISED_WORDS: Kind.NAME,
}


def folded(name: str) -> tuple[str, ...]:
    """Return a name's words in lower-case ASCII letters and digits, without diacritics."""
    bare = unicodedata.normalize("NFD", name.replace("đ", "d").replace("Đ", "D"))
    plain = "".join(character for character in bare if not unicodedata.combining(character))
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", plain)
    return tuple(re.findall(r"[a-z0-9]+", apart.lower()))


def cue_of_name(name: str) -> Cue | None:
    """Return what a column's name alone says."""
    return next(iter(_cues(name)), None)


def cues_of_names(*names: str | None) -> tuple[Cue, ...]:
    """Return all that a column's names say, such as its own and the one in the source.

    SECURITY: no word hides another (`ID` not `citizen_id`): what is only a number of a record comes last.
    """
    found = (cue for name in names if name is not None for cue in _cues(name))
    return tuple(sorted(dict.fromkeys(found), key=lambda cue: cue.kind in _HARMLESS))


def says_few_values(*names: str | None) -> bool:
    """Return whether a name of a column is that of a trait, an age or a place: of these there are few."""
    for name in names:
        if name is None:
            continue
        cues = [cue for cue in _cues(name) if cue.kind not in _HARMLESS]
        if _NOT_PEOPLE & set(folded(name)) or (cues and not cues[0].identifies):
            return True
    return False


@lru_cache(maxsize=4096)
def _cues(name: str) -> tuple[Cue, ...]:
    words = folded(name)
    is_of_thing = bool(_NOT_PEOPLE & set(words))
    return tuple(
        Cue(kind, f"the name says {kind}")
        for kind, phrases in _PHRASES.items()
        if not (is_of_thing and kind in _OF_THINGS_TOO)
        and any(_contains(words, phrase) for phrase in phrases)
    )


def cue_of(column: ColumnFacts) -> Cue | None:
    """Return why a column looks personal: its name first, then what its cells look like."""
    if cue := cue_of_name(column.name):
        return cue
    for shape, share in column.shapes.items():
        if shape not in _OF_SHAPES or share < SHARE_AT_LEAST:
            continue
        kind = _OF_SHAPES[shape]
        if kind is Kind.NAME and _NOT_PEOPLE & set(folded(column.name)):
            continue
        return Cue(kind, f"{share:.0%} of the cells examined have {_noun(shape)}")
    return None


def proposed_treatment(cue: Cue, kind: ColumnType) -> str:
    """Return the treatment to propose for rows, as a document spells it."""
    if cue.kind in TOKENISED and kind in {ColumnType.TEXT, ColumnType.INTEGER}:
        return "tokenise"
    if cue.kind in _REDACTED:
        return "redact"
    if cue.kind is Kind.PHONE:
        return "{partial: {first: 0, last: 3}}" if kind is ColumnType.TEXT else "redact"
    if cue.kind is Kind.BIRTH:
        return _of_birth(kind)
    if cue.kind is Kind.AGE and kind is ColumnType.INTEGER:
        return "{generalise: {band: 10}}"
    return "drop"


def _of_birth(kind: ColumnType) -> str:
    match kind:
        case ColumnType.DATE:
            return "{generalise: {date: year}}"
        case ColumnType.INTEGER:
            return "{generalise: {band: 10}}"
        case _:
            return "redact"


def _noun(shape: Shape) -> str:
    return shape if shape.startswith("the ") else f"the look of {shape}"


def _contains(words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    length = len(phrase)
    return any(words[at : at + length] == phrase for at in range(len(words) - length + 1))


_PHRASES: Final = {
    kind: tuple(tuple(phrase.split()) for phrase in text.split(", ")) for kind, text in _WORDS.items()
}
_OF_THINGS_TOO: Final = frozenset({Kind.NAME, Kind.RECORD})
