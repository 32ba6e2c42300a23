"""Prices: which one was in force when."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.channels import Method
from domain.errors import Conflict, InvalidRequest
from domain.limits import Limit
from domain.merchants import Merchant
from domain.money import FeePlan, Money, Rate
from domain.products import Binding, Pricing, Product, ProductVersion, RateOverride, Standing, in_force, valid_from

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
QR, NATIVE = Method.ALIPAY_QR, Method.WECHAT_NATIVE
DAY = timedelta(days=1)


def plan(ppm: int) -> FeePlan:
    return FeePlan(Rate(ppm))


def version(n: int, start: datetime, **plans: int) -> ProductVersion:
    prices = {Method(method): plan(ppm) for method, ppm in plans.items()}
    return ProductVersion(product_id="prd", n=n, plans=prices, valid_from=start, created_at=NOW)


def binding(start: datetime, product_id: str = "prd") -> Binding:
    return Binding(id="bnd", merchant_id="mch", product_id=product_id, valid_from=start, created_at=NOW)


def override(start: datetime, ppm: int | None, method: Method = QR) -> RateOverride:
    price = None if ppm is None else plan(ppm)
    return RateOverride(id="rov", merchant_id="mch", method=method, plan=price, valid_from=start, created_at=NOW)


@given(st.lists(st.integers(0, 5)), st.integers(-1, 6))
def test_in_force_is_what_began_last_and_of_those_what_was_written_last(starts: list[int], hour: int) -> None:
    rows = [version(n, NOW + timedelta(hours=start)) for n, start in enumerate(starts)]
    found = in_force(rows, NOW + timedelta(hours=hour))
    begun = [(start, n) for n, start in enumerate(starts) if start <= hour]
    assert (found and found.n) == (max(begun)[1] if begun else None)


@given(st.lists(st.integers(0, 5), min_size=1), st.integers(6, 9), st.integers(0, 5))
def test_what_is_agreed_for_later_changes_nothing_before(starts: list[int], later: int, hour: int) -> None:
    rows = [version(n, NOW + timedelta(hours=start)) for n, start in enumerate(starts)]
    more = [*rows, version(len(rows), NOW + timedelta(hours=later))]
    assert in_force(rows, NOW + timedelta(hours=hour)) == in_force(more, NOW + timedelta(hours=hour))


def test_without_a_product_nothing_is_offered() -> None:
    assert Pricing(versions=[version(1, NOW, alipay_qr=1)]).plans(NOW) == {}
    assert Pricing(bindings=[binding(NOW)]).plans(NOW) == {}
    assert Pricing(bindings=[binding(NOW + DAY)], versions=[version(1, NOW, alipay_qr=1)]).plans(NOW) == {}


def test_a_merchant_moves_to_another_product_at_its_time() -> None:
    other = ProductVersion(product_id="new", n=1, plans={NATIVE: plan(2)}, valid_from=NOW, created_at=NOW)
    pricing = Pricing(
        bindings=[binding(NOW), binding(NOW + DAY, "new")], versions=[version(1, NOW, alipay_qr=1), other]
    )
    assert pricing.plans(NOW + DAY - timedelta(microseconds=1)) == {QR: plan(1)}
    assert pricing.plans(NOW + DAY) == {NATIVE: plan(2)}


def test_an_override_changes_one_price_and_ends_with_another_that_says_so() -> None:
    pricing = Pricing(
        bindings=[binding(NOW)],
        versions=[version(1, NOW, alipay_qr=6_000, wechat_native=6_000)],
        overrides=[override(NOW + DAY, 3_800), override(NOW + 2 * DAY, None)],
    )
    days = [pricing.plans(NOW + n * DAY) for n in range(3)]
    assert [each[QR] for each in days] == [plan(6_000), plan(3_800), plan(6_000)]
    assert {each[NATIVE] for each in days} == {plan(6_000)}


def test_an_override_does_not_add_a_method_that_the_product_has_not() -> None:
    pricing = Pricing(
        bindings=[binding(NOW)],
        versions=[version(1, NOW, alipay_qr=6_000)],
        overrides=[override(NOW, 1, method=NATIVE)],
    )
    assert pricing.plans(NOW) == {QR: plan(6_000)}


def test_a_method_outside_the_product_is_not_available() -> None:
    standing = Standing(merchant=Merchant(id="mch", name="m", created_at=NOW), plans={QR: plan(1)})
    assert standing.plan(QR) == plan(1)
    with pytest.raises(Conflict) as caught:
        standing.plan(NATIVE)
    assert caught.value.code == "method_unavailable"


def test_a_price_begins_now_or_later_and_never_in_the_past() -> None:
    assert valid_from(None, NOW) == NOW
    assert valid_from(NOW + DAY, NOW) == NOW + DAY
    with pytest.raises(InvalidRequest) as caught:
        valid_from(NOW - timedelta(microseconds=1), NOW)
    assert caught.value.code == "valid_from_past"


def test_only_a_product_with_methods_goes_on_the_shelf() -> None:
    product = Product(id="prd", name="p", created_at=NOW)
    with pytest.raises(Conflict, match="without a method"):
        product.on_shelf([])
    listed = product.on_shelf([version(1, NOW, alipay_qr=1)])
    listed.must_be_listed()
    with pytest.raises(Conflict) as caught:
        listed.off_shelf().must_be_listed()
    assert caught.value.code == "product_unlisted"


def test_a_single_payment_may_have_the_limit_and_not_a_fen_more() -> None:
    limit = Limit(QR, single=10_000)
    limit.admits(Money(10_000))
    with pytest.raises(InvalidRequest) as caught:
        limit.admits(Money(10_001))
    assert caught.value.code == "amount_limit"
    Limit(QR).admits(Money(10**12))


@pytest.mark.parametrize("most", [0, -1])
def test_a_limit_of_nothing_is_refused(most: int) -> None:
    for limits in ({"single": most}, {"daily": most}):
        with pytest.raises(InvalidRequest) as caught:
            Limit(QR, **limits)
        assert caught.value.code == "limit_invalid"
