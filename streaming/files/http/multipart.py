"""Forms: the file in a `multipart/form-data` body, while it arrives. `python-multipart` takes the body apart."""

from __future__ import annotations

from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from streaming.core.errors import StreamError

MOST_TEXT = 8 * 1024
"""Bytes of the headers of a part, and of the field `path`."""


class FormFile:
    """The field `file` of a form; `path` is the field of that name or, without one, the name of the file."""

    def __init__(self, content_type: str, chunks: AsyncIterator[bytes]) -> None:
        """`StreamError("bad_request")` for a body without a boundary."""
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise StreamError("bad_request", "the form has no boundary")
        self._chunks = chunks
        self._named = self._file_name = ""
        self._field = ""
        self._text = bytearray()
        self._header: tuple[bytes, bytes] = (b"", b"")
        self._arrived = bytearray()
        self._found = self._ended = False
        callbacks = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._add_header(data[start:end], b""),
            "on_header_value": lambda data, start, end: self._add_header(b"", data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._take(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._end_form,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]
        except FormParserError as error:
            raise StreamError("bad_request", f"the form cannot be read: {error}") from None

    @property
    def path(self) -> str:
        """Where the form wants the file to be."""
        return self._named or self._file_name

    async def content(self) -> AsyncIterator[bytes]:
        """The bytes of the file."""
        async for chunk in self._chunks:
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise StreamError("bad_request", f"the form cannot be read: {error}") from None
            if self._arrived:
                yield bytes(self._arrived)
                self._arrived.clear()

    async def finish(self) -> None:
        """`StreamError("bad_request")` if the form ended early, or had no file."""
        if not self._ended:
            raise StreamError("bad_request", "the form ends early")
        if not self._found:
            raise StreamError("bad_request", "the form has no field 'file'")

    def _begin(self) -> None:
        self._field, self._header = "", (b"", b"")
        self._text.clear()

    def _add_header(self, name: bytes, value: bytes) -> None:
        self._header = self._header[0] + name, self._header[1] + value
        if sum(map(len, self._header)) > MOST_TEXT:
            raise StreamError("bad_request", "a header of the form is too long")

    def _end_header(self) -> None:
        name, value = self._header
        self._header = b"", b""
        if name.lower() != b"content-disposition":
            return
        _, options = parse_options_header(value)
        self._field = options.get(b"name", b"").decode(errors="replace")
        if self._field == "file":
            if self._found:
                raise StreamError("bad_request", "the form has more than one file")
            self._found = True
            self._file_name = options.get(b"filename", b"").decode(errors="surrogateescape")

    def _take(self, data: bytes) -> None:
        if self._field == "file":
            self._arrived += data
        elif self._field == "path":
            self._text += data
            if len(self._text) > MOST_TEXT:
                raise StreamError("bad_request", "the field 'path' is too long")

    def _end(self) -> None:
        if self._field == "path":
            self._named = self._text.decode(errors="surrogateescape")

    def _end_form(self) -> None:
        self._ended = True
