"""Which price holds."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from gateway.patterns import wildcard
from gateway.pricing.book import PriceBook, PriceRule
from gateway.pricing.price import Price, Rates, Tokens

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def price(rate) -> Price:
    return Price(Rates(Decimal(rate), Decimal(rate)), source=str(rate))


def rule(rate, model="gpt-x", **fields) -> PriceRule:
    return PriceRule(price(rate), model, regex=wildcard(model) if "*" in model else None, **fields)


class Known:
    """A catalogue that knows one model of one provider."""

    def price(self, base_url, model, at, tier=""):
        return price("9") if (base_url, model) == ("https://api.example", "gpt-x") else None


def source(book, provider="main", model="gpt-x", at=NOON):
    found = book.price(provider, model, at)
    return found and found.source


def test_a_model_that_nobody_knows_has_no_price_and_no_cost():
    book = PriceBook((rule(1, "other"),))
    assert source(book) is None
    assert book.cost(Tokens(1, 1), "main", "gpt-x", NOON) is None


def test_the_catalogue_is_asked_by_the_providers_address_after_the_admins_prices():
    known = {"addresses": {"main": "https://api.example"}, "catalogue": Known()}
    assert source(PriceBook(**known)) == "9"
    assert source(PriceBook(**known), provider="gone") is None
    assert source(PriceBook((rule(1),), **known)) == "1"


def test_a_price_for_the_provider_beats_one_for_all_and_a_name_beats_a_pattern():
    rules = (rule(1, "*"), rule(2), rule(3, "gpt-*", provider="main"), rule(4, provider="main"))
    assert source(PriceBook(rules)) == "4"
    assert source(PriceBook(rules[:3])) == "3"
    assert source(PriceBook(rules[:2])) == "2"
    assert source(PriceBook(rules), provider="other") == "2"


def test_names_are_compared_without_case():
    assert source(PriceBook((rule(1, "GPT-X"),))) == "1"
    assert source(PriceBook((rule(1, "GPT-*"),))) == "1"


def test_a_price_holds_from_its_beginning_until_before_its_end():
    book = PriceBook((rule(1, since=NOON, until=NOON + DAY),))
    times = (NOON - DAY, NOON, NOON + DAY - timedelta(seconds=1), NOON + DAY)
    assert [source(book, at=at) for at in times] == [None, "1", "1", None]


def test_of_several_that_hold_the_one_that_began_last_wins():
    book = PriceBook((rule(1), rule(2, since=NOON), rule(3, since=NOON - DAY)))
    assert source(book, at=NOON) == "2"
    assert source(book, at=NOON - timedelta(hours=1)) == "3"
    assert source(book, at=NOON - 2 * DAY) == "1"


def test_a_cost_tells_the_price_it_was_computed_from():
    cost = PriceBook((rule(2),)).cost(Tokens(500_000, 500_000), "main", "gpt-x", NOON)
    assert cost == (Decimal(2), "2")
