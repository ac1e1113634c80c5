"""An ordinary parcel, as the engine hands one to a channel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from syndicator.channels import Parcel
from syndicator.domain.stories import EventType
from tests.render.strategies import BASE, NOON, TERMS, entry, feed

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def parcel(**changes: Any) -> Parcel:
    story = entry()
    return replace(
        Parcel(
            delivery_id=7,
            subscription_id=3,
            uid="dlv_abc_41",
            channel="webhook",
            endpoint="https://partner.example/hook?k=1",
            options={},
            secrets=(SECRET,),
            seq=41,
            sequence=5,
            event=EventType.CORRECTED,
            at=NOON,
            feeds=("latest",),
            entry=story,
            terms=TERMS,
            feed=feed((story,)),
            topic=f"{BASE}/feeds/latest.atom",
        ),
        **changes,
    )
