"""The run's input: a JSON object whose fields are the job's keyword arguments, converted and checked by annotation
before anything runs.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from resumable.sdk import codec
from resumable.sdk.annotations import Unresolved, parameters, readable_type
from resumable.sdk.errors import InvalidInput, JobDefinitionError, UnstorableResult
from resumable.state.record import Encoded

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Inputs:
    """A job's parameters, without the first, which is the `Job`."""

    def __init__(self, job: str, function: Callable[..., Any]) -> None:
        self._job = job
        self._types: dict[str, Any] = {}
        self._required: list[str] = []
        self._open = False  # **kwargs: takes any name
        for parameter, annotation in parameters(function)[1:]:
            if isinstance(annotation, Unresolved):
                raise JobDefinitionError(
                    f"job {job!r}: the annotation {annotation.text!r} of its parameter {parameter.name!r}"
                    " can't be found at run time"
                )
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                self._open = True
            elif parameter.kind in _BY_NAME:
                self._types[parameter.name] = annotation
                if parameter.default is inspect.Parameter.empty:
                    self._required.append(parameter.name)
            else:
                raise JobDefinitionError(
                    f"job {job!r}: its parameter {parameter.name!r} can't be given by name, as input is"
                )

    def bind(self, stored: Encoded | None) -> dict[str, Any]:
        """The keyword arguments. Raises `InvalidInput` with one sentence that names the field,
        `EncryptionKeyError`.
        """
        fields = self._fields(codec.json_of(stored, of=f"job {self._job!r}: the input") if stored else b"{}")
        self._check_names(fields)
        return {name: self._convert(name, raw) for name, raw in fields.items()}

    def encode(self, values: Mapping[str, Any]) -> Encoded:
        """Python values as input, checked as they will be when they are read. Raises `InvalidInput`."""
        self._check_names(values)
        try:
            encoded = codec.encode(dict(values), dict[str, Any], of=f"job {self._job!r}: the input")
        except UnstorableResult as error:
            raise InvalidInput(str(error)) from error
        self.bind(encoded)
        return encoded

    def parse(self, text: str, settings: Mapping[str, str]) -> Encoded:
        """Input from a command line: a JSON object, and single fields as text that override it. Raises
        `InvalidInput`.
        """
        fields = self._fields(text.encode())
        for name, value in settings.items():
            self._check_names({name: value}, complete=False)
            fields[name] = msgspec.Raw(self._from_text(name, value))
        encoded = codec.seal(codec.JSON, msgspec.json.encode(fields))
        self.bind(encoded)
        return encoded

    def _fields(self, data: bytes) -> dict[str, msgspec.Raw]:
        try:
            return msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        except msgspec.MsgspecError as error:
            raise InvalidInput(
                f"job {self._job!r}: the input must be a JSON object of its arguments: {error}"
            ) from None

    def _check_names(self, given: Mapping[str, Any], *, complete: bool = True) -> None:
        takes = ", ".join(self._types) or "none"
        unknown = [] if self._open else [name for name in given if name not in self._types]
        if unknown:
            raise InvalidInput(f"job {self._job!r} has no parameter {unknown[0]!r}; it takes: {takes}")
        missing = [name for name in self._required if name not in given] if complete else []
        if missing:
            raise InvalidInput(f"job {self._job!r} needs the input {', '.join(map(repr, missing))}; it takes: {takes}")

    def _convert(self, name: str, raw: msgspec.Raw) -> Any:
        annotation = self._types.get(name, Any)
        try:
            return msgspec.json.decode(raw, type=annotation, dec_hook=codec.decode_hook)
        except Exception as error:  # noqa: BLE001 - a pydantic model raises what it likes
            raise InvalidInput(
                f"job {self._job!r}: the input {name!r} must be {readable_type(annotation)},"
                f" not {bytes(raw).decode()[:80]}: {' '.join(str(error).split())}"
            ) from None

    def _from_text(self, name: str, text: str) -> bytes:
        """JSON where it fits the annotation, else the text itself: `--set id=0815` for a str, `--set ids=[1,2]` for a
        list.
        """
        annotation = self._types.get(name, Any)
        try:
            msgspec.json.decode(text, type=annotation, dec_hook=codec.decode_hook)
        except Exception:  # noqa: BLE001 - a pydantic model raises what it likes
            return msgspec.json.encode(text)
        return text.encode()
