"""Dataclasses that are kept as JSON."""

import dataclasses
import typing

_Record = typing.TypeVar("_Record", bound="JsonRecord")


class JsonRecord:
    """Base of dataclasses that become a JSON object, a key per field.

    Nested records become objects; all other values must be JSON-ready.
    """

    # What every dataclass has.
    __dataclass_fields__: typing.ClassVar[dict[str, dataclasses.Field]]

    def to_json(self) -> dict[str, typing.Any]:
        """JSON-ready dictionary; lists and dictionaries are not copied."""
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
        }
        return {
            name: value.to_json() if isinstance(value, JsonRecord) else value
            for name, value in values.items()
        }

    @classmethod
    def from_json(cls: type[_Record], data: dict[str, typing.Any]) -> _Record:
        """The record of a dictionary; keys that are missing get defaults."""
        return cls(**data)


def from_optional(
    kind: type[_Record], data: dict[str, typing.Any] | None
) -> _Record | None:
    """A record of a kind from its dictionary, and None from None."""
    return None if data is None else kind.from_json(data)
