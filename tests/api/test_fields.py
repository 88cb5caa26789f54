from decimal import Decimal

import pytest
from pydantic import TypeAdapter, ValidationError

from tokenpace.api.fields import DecimalString, DnsLabel, Integer, PercentString

PERCENT = TypeAdapter(PercentString)
DECIMAL = TypeAdapter(DecimalString)


@pytest.mark.parametrize("text", ["0", "100", "100.000", "99.5", "0.001"])
def test_a_percent_is_read_and_written_as_it_was(text: str) -> None:
    assert PERCENT.dump_python(PERCENT.validate_python(text)) == text


@pytest.mark.parametrize(
    "text", ["100.001", "101", "-1", "1e1", "NaN", "Infinity", "007", "5.", ".5", "99.5%", "", "5\n"]
)
def test_what_is_no_percent_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValidationError, match=r'for example "99\.5"'):
        PERCENT.validate_python(text)


@pytest.mark.parametrize("number", [2.5, 3, True])
def test_a_number_for_a_decimal_is_told_to_be_quoted(number: object) -> None:
    with pytest.raises(ValidationError) as refusal:
        DECIMAL.validate_python(number)
    assert refusal.value.errors()[0]["msg"] == f'must be a string, put quotes around it: "{number}"'


def test_a_decimal_of_our_own_making_is_taken() -> None:
    assert DECIMAL.validate_python(Decimal("2.50")) == Decimal("2.5")


def test_a_decimal_is_written_without_an_exponent() -> None:
    assert DECIMAL.dump_python(Decimal("1.2E+3")) == "1200"


@pytest.mark.parametrize("value", ["8", True, 8.5])
def test_an_integer_is_nothing_that_only_looks_like_one(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Integer).validate_python(value)


@pytest.mark.parametrize("name", ["-a", "a-", "A", "a.b", "a b", "a" * 64])
def test_what_kubernetes_calls_no_label_is_none_here(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(DnsLabel).validate_python(name)
