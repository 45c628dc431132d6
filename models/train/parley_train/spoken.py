"""Numbers as a voice says them. Text keeps digits (`8:30`, `2.50 euros`); voices get words, and each word knows its owner."""
import re

ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen").split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()


def two_digits(n: int) -> list[str]:
    if n < 20:
        return [ONES[n]]
    return [TENS[n // 10]] + ([ONES[n % 10]] if n % 10 else [])


def integer(digits: str) -> list[str]:
    """`8` eight, `125` one hundred twenty five, `1984` nineteen eighty four, longer ones digit pair by digit pair."""
    n = int(digits)
    if len(digits) <= 2:
        return ([ONES[0]] + two_digits(n) if digits[0] == "0" and len(digits) == 2 else two_digits(n))
    if len(digits) == 3:
        rest = n % 100
        return [ONES[n // 100], "hundred"] + (two_digits(rest) if rest else [])
    if len(digits) == 4:
        if n % 1000 == 0:
            return [ONES[n // 1000], "thousand"]
        head, rest = n // 100, n % 100
        return two_digits(head) + (["hundred"] if rest == 0 else (["oh"] if rest < 10 else []) + two_digits(rest))
    return [w for d in digits for w in two_digits(int(d))]


def number(token: str) -> list[str]:
    """One written number: integer, time `h:mm`, price or decimal `x.y`."""
    if ":" in token:
        hours, minutes = token.split(":")[:2]
        m = int(minutes)
        tail = ["o'clock"] if m == 0 else (["oh"] if m < 10 else []) + two_digits(m)
        return two_digits(int(hours) % 100) + tail
    if "." in token:
        whole, part = token.split(".")[:2]
        if len(part) == 2:
            return integer(whole) + (two_digits(int(part)) if int(part) >= 10 else ["oh"] + two_digits(int(part)))
        return integer(whole) + ["point"] + [w for d in part for w in two_digits(int(d))]
    return integer(token)


NUMBER = re.compile(r"^\d+([:.]\d+)?$")


def spoken(text: str) -> tuple[list[str], list[int]]:
    """Words to be spoken and, for each, the index of the written word that it belongs to."""
    words, owners = [], []
    for index, token in enumerate(text.split()):
        for word in number(token) if NUMBER.match(token) else [token]:
            words.append(word)
            owners.append(index)
    return words, owners
