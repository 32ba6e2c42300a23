"""Who does something, and what is written down of it."""

from dataclasses import replace

import pytest

from domain.actors import SYSTEM, Actor, ActorKind
from domain.errors import Forbidden, NotFound
from tests.fakes import START

MINA = Actor(kind=ActorKind.OPERATOR, id="opr_1", name="Mina", permissions=frozenset({"merchants.suspend"}))


def test_an_actor_may_do_what_he_holds_and_nothing_else() -> None:
    MINA.require("merchants.suspend")
    with pytest.raises(Forbidden) as refused:
        MINA.require("merchants.create")
    assert refused.value.code == "permission_missing"
    assert not SYSTEM.holds("merchants.suspend")


def test_who_acts_for_one_merchant_finds_no_other() -> None:
    MINA.within("mch_1")
    theirs = replace(MINA, kind=ActorKind.MERCHANT_USER, merchant_id="mch_1")
    theirs.within("mch_1")
    with pytest.raises(NotFound):
        theirs.within("mch_2")


def test_what_a_service_token_does_is_done_by_the_operator_behind_it() -> None:
    assert MINA.person == "opr_1"
    assert replace(MINA, kind=ActorKind.SERVICE, id="svc_1", behind="opr_1").person == "opr_1"


def test_a_record_says_who_did_what_to_which_object_of_whom() -> None:
    record = MINA.did("merchant.suspended", "mch_1", id="aud_1", at=START, after={"active": False})
    assert (record.actor, record.object_type, record.object_id, record.merchant_id) == (MINA, "merchant", "mch_1", None)
    own = replace(MINA, merchant_id="mch_1").did("user.invited", "usr_1", id="aud_2", at=START)
    assert own.merchant_id == "mch_1"
