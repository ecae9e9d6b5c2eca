"""Records as tests generate them."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from guidkeep.record import LAST_EXPIRE, Record

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    values = draw(st.dictionaries(st.text(), json_values, max_size=5))
    spaced = draw(st.sampled_from([None, 2]))
    text = json.dumps(values, ensure_ascii=draw(st.booleans()), indent=spaced)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "{}"
    return Record(
        draw(st.binary(min_size=16, max_size=16)).hex().upper(),
        draw(st.integers(0, LAST_EXPIRE)),
        draw(st.integers(0, 2**53)),
        text if values else "{}",
    )
