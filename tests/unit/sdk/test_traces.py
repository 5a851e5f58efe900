from resumable.sdk.traces import author_trace, one_line


def fails() -> None:
    raise ValueError("bad row 7")


def caught() -> Exception:
    try:
        fails()
    except ValueError as error:
        return error
    raise AssertionError


def test_one_line_says_what_and_where() -> None:
    assert one_line(caught()) == "ValueError: bad row 7 (test_traces.py:5 in fails)"


def test_an_error_without_a_place_is_still_a_line() -> None:
    assert one_line(ValueError("a\nb")) == "ValueError: a b"


def test_a_trace_shows_the_authors_frames() -> None:
    trace = author_trace(caught())
    assert trace.startswith("Traceback (most recent call last)")
    assert trace.endswith("ValueError: bad row 7")
    assert "in fails" in trace
