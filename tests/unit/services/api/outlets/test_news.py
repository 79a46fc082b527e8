from __future__ import annotations

import pytest

from dyncal.domain.errors import MalformedMessage
from services.api.outlets.news import News, read
from services.api.schemas.alarms import AlarmChangeOut, AlarmOut
from tests.unit.services.api.outlets.alarms import change, picture


def test_news_have_the_fields_of_the_http_interface() -> None:
    known = set(AlarmChangeOut.model_fields)
    assert set(News.__struct_fields__) - {"document"} <= known
    needed = {
        name
        for name, default in zip(
            News.__struct_fields__[-len(News.__struct_defaults__) :], News.__struct_defaults__, strict=True
        )
    }
    assert set(News.__struct_fields__) - needed <= set(AlarmOut.model_fields)


def test_a_change_and_a_picture_are_read() -> None:
    told, stands = change(7, event="acknowledged"), picture(7)
    assert (told.event, told.event_id, told.told_ns) == ("acknowledged", f"plant-7-{told.at_ns}", told.at_ns)
    assert (stands.event, stands.event_id, stands.told_ns) == (
        "standing",
        f"plant-7-{stands.changed_ns}",
        stands.changed_ns,
    )


@pytest.mark.parametrize("document", [b"", b"{}", b"[1]", b"\xff", b'{"id": 3}', b"null"])
def test_what_is_no_change_is_malformed(document: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read(document)
