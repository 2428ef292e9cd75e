"""Makes the values of generators: what Postman documents as dynamic variables (`$guid`, `$timestamp`, …).

Pure, and of the same seed and moment always the same: a call that is made again sends what it sent before.
Words are plain ones of our own; nothing that is made belongs to anybody (`example.com`, RFC 5737 addresses).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

_FIRST: Final = ("Ada", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Iris", "Jonas")
_LAST: Final = (
    "Archer",
    "Baker",
    "Carter",
    "Fisher",
    "Mason",
    "Miller",
    "Porter",
    "Smith",
    "Turner",
    "Weaver",
)
_WORDS: Final = (
    "amber",
    "bridge",
    "cloud",
    "harbour",
    "lantern",
    "meadow",
    "orchard",
    "river",
    "signal",
    "window",
)
_LATIN: Final = ("alias", "autem", "dolor", "enim", "facere", "ipsam", "nemo", "quia", "rerum", "velit")
_COLORS: Final = ("azure", "black", "blue", "gold", "green", "grey", "orange", "red", "violet", "white")
_CITIES: Final = ("Bergen", "Cork", "Ghent", "Lyon", "Malmö", "Porto", "Siena", "Tampere", "Utrecht", "Zadar")
_COUNTRIES: Final = ("Austria", "Belgium", "Canada", "Denmark", "Estonia", "Finland", "Ghana", "Ireland")
_CODES: Final = ("AT", "BE", "CA", "DK", "EE", "FI", "GH", "IE")
_GOODS: Final = ("Bag", "Ball", "Chair", "Clock", "Cup", "Hat", "Lamp", "Pen", "Shoe", "Table")
_STUFFS: Final = ("Cotton", "Glass", "Granite", "Paper", "Rubber", "Steel", "Wood")
_QUALITIES: Final = (
    "calm",
    "durable",
    "elegant",
    "fresh",
    "handy",
    "light",
    "modern",
    "quiet",
    "solid",
    "warm",
)
_VERBS: Final = ("build", "carry", "connect", "count", "copy", "index", "open", "parse", "send", "store")
_AREAS: Final = ("Accounts", "Brand", "Data", "Design", "Quality", "Research", "Sales", "Security")
_JOBS: Final = ("Administrator", "Analyst", "Architect", "Designer", "Engineer", "Manager", "Planner")
_DEPARTMENTS: Final = ("Books", "Clothing", "Garden", "Grocery", "Health", "Home", "Music", "Sports", "Tools")
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_ENDINGS: Final = ("csv", "gif", "html", "jpg", "json", "pdf", "png", "txt", "xml", "zip")
_TYPES: Final = ("audio", "font", "image", "text", "video")
_MIMES: Final = ("application/json", "application/pdf", "image/png", "text/csv", "text/html", "text/plain")
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"


class _Draw:
    """Draws from a seed; `now` is the moment of the call."""

    def __init__(self, seed: bytes, now: datetime) -> None:
        self._seed = seed
        self._count = 0
        self.now = now

    def below(self, limit: int) -> int:
        """Return a number from 0 on."""
        self._count += 1
        made = hashlib.blake2b(self._count.to_bytes(4, "big") + self._seed, digest_size=8).digest()
        return int.from_bytes(made, "big") % limit

    def of(self, words: Sequence[str]) -> str:
        """Return one of these."""
        return words[self.below(len(words))]

    def text(self, signs: str, length: int) -> str:
        """Return that many of these signs."""
        return "".join(self.of(signs) for _ in range(length))

    def digits(self, length: int) -> str:
        """Return that many digits, the first not 0."""
        return self.of("123456789") + self.text("0123456789", length - 1)

    def several(self, words: Sequence[str], count: int) -> str:
        """Return that many words, parted by blanks."""
        return " ".join(self.of(words) for _ in range(count))

    def sentence(self) -> str:
        """Return a sentence that says nothing."""
        return self.several(_LATIN, 4 + self.below(5)).capitalize() + "."

    def uuid(self) -> str:
        """Return a UUID of version 4."""
        digits = self.text("0123456789abcdef", 30)
        return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-{self.of('89ab')}{digits[15:18]}-{digits[18:]}"

    def moment(self, days: int) -> str:
        """Return a moment within so many days, before now when negative."""
        seconds = 1 + self.below(abs(days) * 86_400)
        return _iso(self.now + timedelta(seconds=seconds if days > 0 else -seconds))

    def name(self) -> str:
        """Return a name of somebody."""
        return f"{self.of(_FIRST)} {self.of(_LAST)}"

    def user(self) -> str:
        """Return a name to log in by."""
        return f"{self.of(_FIRST)}.{self.of(_LAST)}{self.below(100)}".lower()

    def host(self) -> str:
        """Return a host of nobody's."""
        return f"{self.of(_WORDS)}.example.{self.of(('com', 'net', 'org'))}"

    def file(self, ending: str = "") -> str:
        """Return the name of a file."""
        return f"{self.of(_WORDS)}_{self.of(_LATIN)}.{ending or self.of(_ENDINGS)}"


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_MAKERS: Final[Mapping[str, Callable[[_Draw], str]]] = {
    "guid": _Draw.uuid,
    "randomUUID": _Draw.uuid,
    "timestamp": lambda draw: str(int(draw.now.timestamp())),
    "isoTimestamp": lambda draw: _iso(draw.now),
    # Text, numbers, colours
    "randomAlphaNumeric": lambda draw: draw.of(_LETTERS),
    "randomBoolean": lambda draw: draw.of(("true", "false")),
    "randomInt": lambda draw: str(draw.below(1_001)),
    "randomColor": lambda draw: draw.of(_COLORS),
    "randomHexColor": lambda draw: "#" + draw.text("0123456789abcdef", 6),
    "randomAbbreviation": lambda draw: draw.of(("API", "CSS", "HTTP", "JSON", "SQL", "TCP", "XML")),
    # The Internet
    "randomIP": lambda draw: f"{draw.of(('192.0.2', '198.51.100', '203.0.113'))}.{draw.below(256)}",
    "randomIPV6": lambda draw: "2001:db8:" + ":".join(draw.text("123456789abcdef", 4) for _ in range(6)),
    "randomMACAddress": lambda draw: ":".join(draw.text("0123456789abcdef", 2) for _ in range(6)),
    "randomPassword": lambda draw: draw.text(_LETTERS + _LETTERS.upper(), 15),
    "randomLocale": lambda draw: draw.of(("de", "en", "es", "fr", "it", "nl", "pt", "sv")),
    "randomUserAgent": lambda draw: f"Mozilla/5.0 (X11; Linux x86_64; rv:{90 + draw.below(40)}.0)",
    "randomProtocol": lambda draw: draw.of(("http", "https")),
    "randomSemver": lambda draw: f"{draw.below(10)}.{draw.below(10)}.{draw.below(10)}",
    "randomDomainName": _Draw.host,
    "randomDomainSuffix": lambda draw: draw.of(("com", "net", "org")),
    "randomDomainWord": lambda draw: draw.of(_WORDS),
    "randomEmail": lambda draw: f"{draw.user()}@{draw.host()}",
    "randomExampleEmail": lambda draw: f"{draw.user()}@example.com",
    "randomUserName": _Draw.user,
    "randomUrl": lambda draw: f"https://{draw.host()}",
    # People and their work
    "randomFirstName": lambda draw: draw.of(_FIRST),
    "randomLastName": lambda draw: draw.of(_LAST),
    "randomFullName": _Draw.name,
    "randomNamePrefix": lambda draw: draw.of(("Dr.", "Mr.", "Ms.", "Mrs.")),
    "randomNameSuffix": lambda draw: draw.of(("I", "II", "III", "Jr.", "PhD", "Sr.")),
    "randomJobArea": lambda draw: draw.of(_AREAS),
    "randomJobDescriptor": lambda draw: draw.of(("Chief", "Junior", "Lead", "Principal", "Senior")),
    "randomJobTitle": lambda draw: f"{draw.of(_AREAS)} {draw.of(_JOBS)}",
    "randomJobType": lambda draw: draw.of(_JOBS),
    # Places
    "randomPhoneNumber": lambda draw: f"555-01{draw.text('0123456789', 2)}-{draw.digits(4)}",
    "randomPhoneNumberExt": lambda draw: f"{draw.digits(2)}-555-01{draw.digits(2)}-{draw.digits(4)}",
    "randomCity": lambda draw: draw.of(_CITIES),
    "randomStreetName": lambda draw: f"{draw.of(_WORDS).capitalize()} Street",
    "randomStreetAddress": lambda draw: f"{1 + draw.below(999)} {draw.of(_WORDS).capitalize()} Street",
    "randomCountry": lambda draw: draw.of(_COUNTRIES),
    "randomCountryCode": lambda draw: draw.of(_CODES),
    "randomLatitude": lambda draw: f"{draw.below(180) - 90 or 1}.{draw.digits(4)}",
    "randomLongitude": lambda draw: f"{draw.below(360) - 180 or 1}.{draw.digits(4)}",
    # Pictures
    "randomAvatarImage": lambda draw: f"https://example.com/avatars/{draw.below(1_000)}.jpg",
    "randomImageUrl": lambda draw: f"https://example.com/images/{draw.below(1_000)}.jpg",
    "randomImageDataUri": lambda _draw: (
        "data:image/svg+xml;charset=UTF-8,%3Csvg%20xmlns%3D%22http%3A%2F%2Fwww.w3.org%2F2000%2Fsvg%22%2F%3E"
    ),
    **{
        f"random{kind}Image": lambda draw: f"https://example.com/images/{draw.below(1_000)}.jpg"
        for kind in (
            "Abstract", "Animals", "Business", "Cats", "City", "Fashion", "Food", "Nature", "Nightlife",
            "People", "Sports", "Transport",
        )
    },
    # Money
    "randomBankAccount": lambda draw: draw.digits(8),
    "randomBankAccountName": lambda draw: f"{draw.of(('Checking', 'Home Loan', 'Savings'))} Account",
    "randomCreditCardMask": lambda draw: draw.digits(4),
    "randomBankAccountBic": lambda draw: draw.text("ABCDEFGHKLMNPRST", 4) + draw.of(_CODES) + "2LXXX",
    "randomBankAccountIban": lambda draw: f"{draw.of(_CODES)}{draw.digits(20)}",
    "randomTransactionType": lambda draw: draw.of(("deposit", "invoice", "payment", "withdrawal")),
    "randomCurrencyCode": lambda draw: draw.of(("CAD", "CHF", "EUR", "GBP", "JPY", "SEK", "USD")),
    "randomCurrencyName": lambda draw: draw.of(("Euro", "Pound Sterling", "Swiss Franc", "US Dollar", "Yen")),
    "randomCurrencySymbol": lambda draw: draw.of(("$", "£", "¥", "€")),
    "randomBitcoin": lambda draw: "1" + draw.text("abcdefghijkmnopqrstuvwxyz123456789", 33),
    # Business
    "randomCompanyName": lambda draw: f"{draw.of(_LAST)} {draw.of(('Group', 'Inc', 'LLC', 'and Sons'))}",
    "randomCompanySuffix": lambda draw: draw.of(("Group", "Inc", "LLC", "and Sons")),
    "randomBs": lambda draw: f"{draw.of(_VERBS)} {draw.of(_QUALITIES)} {draw.of(_WORDS)}s",
    "randomBsAdjective": lambda draw: draw.of(_QUALITIES),
    "randomBsBuzz": lambda draw: draw.of(_VERBS),
    "randomBsNoun": lambda draw: draw.of(_WORDS),
    "randomCatchPhrase": lambda draw: f"{draw.several(_QUALITIES, 2)} {draw.of(_WORDS)}".capitalize(),
    "randomCatchPhraseAdjective": lambda draw: draw.of(_QUALITIES).capitalize(),
    "randomCatchPhraseDescriptor": lambda draw: draw.of(_QUALITIES),
    "randomCatchPhraseNoun": lambda draw: draw.of(_WORDS),
    # Databases, dates, files
    "randomDatabaseColumn": lambda draw: draw.of(("createdAt", "email", "id", "name", "status", "title")),
    "randomDatabaseType": lambda draw: draw.of(("bigint", "blob", "date", "int", "text", "varchar")),
    "randomDatabaseCollation": lambda draw: draw.of(("ascii_bin", "utf8_bin", "utf8_general_ci")),
    "randomDatabaseEngine": lambda draw: draw.of(("ARCHIVE", "InnoDB", "MEMORY", "MyISAM")),
    "randomDateFuture": lambda draw: draw.moment(365),
    "randomDatePast": lambda draw: draw.moment(-365),
    "randomDateRecent": lambda draw: draw.moment(-1),
    "randomWeekday": lambda draw: draw.of(_DAYS),
    "randomMonth": lambda draw: draw.of(_MONTHS),
    "randomFileName": _Draw.file,
    "randomFileType": lambda draw: draw.of(_TYPES),
    "randomFileExt": lambda draw: draw.of(_ENDINGS),
    "randomCommonFileName": _Draw.file,
    "randomCommonFileType": lambda draw: draw.of(_TYPES),
    "randomCommonFileExt": lambda draw: draw.of(_ENDINGS),
    "randomFilePath": lambda draw: f"/{draw.of(_WORDS)}/{draw.file()}",
    "randomDirectoryPath": lambda draw: f"/{draw.of(_WORDS)}/{draw.of(_WORDS)}",
    "randomMimeType": lambda draw: draw.of(_MIMES),
    # Shops
    "randomPrice": lambda draw: f"{draw.below(1_000)}.{draw.text('0123456789', 2)}",
    "randomProduct": lambda draw: draw.of(_GOODS),
    "randomProductAdjective": lambda draw: draw.of(_QUALITIES).capitalize(),
    "randomProductMaterial": lambda draw: draw.of(_STUFFS),
    "randomProductName": lambda draw: f"{draw.of(_STUFFS)} {draw.of(_GOODS)}",
    "randomDepartment": lambda draw: draw.of(_DEPARTMENTS),
    # Words
    "randomNoun": lambda draw: draw.of(_WORDS),
    "randomVerb": lambda draw: draw.of(_VERBS),
    "randomIngverb": lambda draw: draw.of(("building", "carrying", "copying", "parsing", "sending")),
    "randomAdjective": lambda draw: draw.of(_QUALITIES),
    "randomWord": lambda draw: draw.of(_WORDS),
    "randomWords": lambda draw: draw.several(_WORDS, 3),
    "randomPhrase": lambda draw: f"{draw.of(_VERBS).capitalize()} the {draw.of(_WORDS)}.",
    "randomLoremWord": lambda draw: draw.of(_LATIN),
    "randomLoremWords": lambda draw: draw.several(_LATIN, 3),
    "randomLoremSentence": _Draw.sentence,
    "randomLoremSentences": lambda draw: " ".join(draw.sentence() for _ in range(3)),
    "randomLoremParagraph": lambda draw: " ".join(draw.sentence() for _ in range(4)),
    "randomLoremParagraphs": lambda draw: "\n".join(draw.sentence() for _ in range(3)),
    "randomLoremText": lambda draw: " ".join(draw.sentence() for _ in range(2)),
    "randomLoremSlug": lambda draw: draw.several(_LATIN, 3).replace(" ", "-"),
    "randomLoremLines": lambda draw: "\n".join(draw.sentence() for _ in range(3)),
}  # fmt: skip

NAMES: Final = frozenset(f"${name}" for name in _MAKERS)
"""What can be made, as it stands in a description."""


def is_made(name: str) -> bool:
    """Say whether there is a generator of this name, which begins with `$`."""
    return name in NAMES


def make(name: str, seed: bytes, at: float) -> str:
    """Return the value of a generator as text; `at` is the moment of the call in wall-clock seconds.

    Raise KeyError for a name that is none of NAMES.
    """
    return _MAKERS[name[1:]](_Draw(seed, datetime.fromtimestamp(at, UTC)))
