"""The columns of a contract: types, limits and Kring's own properties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from kring.contracts.expression import nearest
from kring.contracts.faults import Faults
from kring.contracts.moments import moment_pattern, read_date, read_timestamp
from kring.contracts.odcs_keys import OPTIONS, walk_keys
from kring.contracts.patterns import pattern
from kring.contracts.yaml_lines import Node
from kring.contracts.zones import is_zone
from kring.errors import ExpressionError
from kring.record.contract import Field, LogicalType, Scalar

TYPES: Final[Mapping[str, LogicalType]] = {
    "string": "string",
    "date": "date",
    "timestamp": "timestamp",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
}
ROLES: Final = ("target", "time", "subject", "outcome_time", "supplier")
FLAGS: Final = ("identifier", "personal", "protected")
PREFIX: Final = "kring."

_BITS: Final = {"i8": 8, "i16": 16, "i32": 32, "i64": 64, "u8": 8, "u16": 16, "u32": 32}
_UNENFORCED: Final = ("encryptedName",)


class Draft(msgspec.Struct):
    """What is collected while one table is read."""

    faults: Faults
    fields: dict[str, Field] = {}
    roles: dict[str, str] = {}
    positions: dict[str, int] = {}
    notes: list[str] = []

    @property
    def types(self) -> dict[str, LogicalType]:
        """The type of every column so far."""
        return {name: field.type for name, field in self.fields.items()}

    def note(self, what: str, *, line: int) -> None:
        """Tell people that `what`, which stands at `line`, is not enforced."""
        self.notes.append(f"not enforced: {what} (line {line})")


def custom_properties(node: Node, *, path: str, known: tuple[str, ...], faults: Faults) -> dict[str, tuple[Node, str]]:
    """The `kring.` properties of `node` by their name without the prefix: value and path."""
    found: dict[str, tuple[Node, str]] = {}
    for index, item in enumerate(node.list("customProperties")):
        full = item.text("property")
        value = (item.keys or {}).get("value")
        if not full.startswith(PREFIX) or value is None:
            continue
        name, place = full.removeprefix(PREFIX), f"{path}customProperties[{index}]"
        if name not in known:
            names = [PREFIX + one for one in known]
            faults.unknown(full, known=names, line=item.line, key=f"{place}.property", what="property")
        elif name in found:
            faults.add("a property that stands twice", line=item.line, key=place, got=full)
        else:
            found[name] = (value, f"{place}.value")
    return found


def read_field(node: Node, *, path: str, draft: Draft) -> Field | None:
    """One column; None when its name or its type is not usable. Faults and notes go to `draft`."""
    name = node.text("name")
    kind = _type(node, path, draft)
    if not _named(name, node, path, draft) or kind is None:
        return None
    own = custom_properties(node, path=f"{path}.", known=("role", "timezone", "decimal", *FLAGS), faults=draft.faults)
    options = node.get("logicalTypeOptions") or Node(line=node.line, keys={})
    place = f"{path}.logicalTypeOptions"
    walk_keys(options, OPTIONS[kind], path=place, faults=draft.faults)
    field = Field(
        name=name,
        type=kind,
        required=node.flag("required") or node.flag("primaryKey"),
        unique=node.flag("unique"),
        primary_key=node.flag("primaryKey"),
        timezone=_timezone(options, own, kind, place, draft),
        decimal="," if _comma(own, kind, draft) else ".",
        description=node.text("description"),
        business_name=node.text("businessName"),
        identifier=_flag(own, "identifier", draft),
        personal=_flag(own, "personal", draft),
        protected=_flag(own, "protected", draft),
        line=node.line,
    )
    _role(own, name, draft)
    _position(node, path, draft)
    _notes(node, name, draft)
    return _limited(field, options, place, draft)


def _type(node: Node, path: str, draft: Draft) -> LogicalType | None:
    found = node.get("logicalType")
    allowed = ", ".join(TYPES)
    if found is None:
        physical = node.text("physicalType")
        draft.faults.add(
            "a column without a logicalType",
            line=node.line,
            key=f"{path}.logicalType",
            got=f"physicalType {physical}" if physical else "",
            allowed=allowed,
            next="add logicalType: the physical type alone is not enforced",
        )
        return None
    word = str(found.value)
    if word in TYPES:
        return TYPES[word]
    if word in OPTIONS and not any(one.text("property").startswith(PREFIX) for one in node.list("customProperties")):
        draft.note(f"{node.text('name')}, a column of logicalType {word}: it is left out", line=found.line)
    elif word in OPTIONS:
        draft.faults.refuse(
            f"a column of logicalType {word} is not read, so it can't have a role",
            line=found.line,
            key=f"{path}.logicalType",
            got=word,
            allowed=allowed,
            next="take its kring properties away, or give it in one of these types",
        )
    else:
        key = f"{path}.logicalType"
        draft.faults.unknown(word, known=OPTIONS, line=found.line, key=key, what="logicalType")
    return None


def _named(name: str, node: Node, path: str, draft: Draft) -> bool:
    key = f"{path}.name"
    if not name:
        return False  # the walk over the keys said so
    if not name.isprintable() or not name.strip():
        draft.faults.add("a name with signs that can't be seen", line=node.line, key=key, got=repr(name))
        return False
    if name in draft.fields:
        first = draft.fields[name].line
        draft.faults.add("two columns of one name", line=node.line, key=key, got=name, next=f"see line {first}")
        return False
    return True


def _flag(own: Mapping[str, tuple[Node, str]], name: str, draft: Draft) -> bool:
    node, path = own.get(name, (None, ""))
    if node is not None and not isinstance(node.value, bool):
        key = PREFIX + name
        draft.faults.add(f"{key} is not a flag", line=node.line, key=path, got=node.shown, allowed="true or false")
    return node is not None and node.value is True


def _role(own: Mapping[str, tuple[Node, str]], name: str, draft: Draft) -> None:
    node, path = own.get("role", (None, ""))
    if node is None:
        return
    role = str(node.value)
    if role not in ROLES:
        draft.faults.unknown(role, known=ROLES, line=node.line, key=path, what="role")
    elif role in draft.roles:
        first = draft.roles[role]
        draft.faults.add(f"two columns with the role {role}", line=node.line, key=path, got=f"{first} and {name}")
    else:
        draft.roles[role] = name


def _timezone(options: Node, own: Mapping[str, tuple[Node, str]], kind: LogicalType, path: str, draft: Draft) -> str:
    """The zone of timestamps that name none: `kring.timezone`, else `defaultTimezone`, else UTC."""
    default = options.get("defaultTimezone")
    node, place = own.get("timezone", (default, f"{path}.defaultTimezone"))
    if options.flag("timezone"):
        draft.note(
            "logicalTypeOptions.timezone; a timestamp without a zone is read in the default one", line=options.line
        )
    if node is None:
        return "UTC"
    zone = "UTC" if node.value == "Etc/UTC" else str(node.value)
    if kind != "timestamp":
        draft.faults.add("a timezone for a column without clock time", line=node.line, key=place, got=kind)
    elif not is_zone(zone):
        allowed = "UTC or a Region/City of the IANA database, such as Europe/Amsterdam"
        draft.faults.add("an unknown timezone", line=node.line, key=place, got=zone, allowed=allowed)
    elif default is not None and node is not default and default.value != node.value:
        got = f"{default.value} and {node.value}"
        draft.faults.add("defaultTimezone and kring.timezone differ", line=node.line, key=place, got=got)
    else:
        return zone
    return "UTC"


def _comma(own: Mapping[str, tuple[Node, str]], kind: LogicalType, draft: Draft) -> bool:
    """Whether texts write numbers with a comma before the fraction."""
    node, path = own.get("decimal", (None, ""))
    if node is not None and (kind != "number" or node.value not in (".", ",")):
        allowed = '"." or ",", for a column of the type number'
        draft.faults.add(
            "not a decimal sign", line=node.line, key=path, got=f"{node.shown} for {kind}", allowed=allowed
        )
    return node is not None and node.value == ","


def _position(node: Node, path: str, draft: Draft) -> None:
    found = node.get("primaryKeyPosition")
    if not node.flag("primaryKey"):
        return
    position = found.value if found is not None and isinstance(found.value, int) else -1
    if position > 0 and position in draft.positions.values():
        line = found.line if found else node.line
        draft.faults.add(
            "two columns at one primaryKeyPosition", line=line, key=f"{path}.primaryKeyPosition", got=position
        )
    draft.positions[node.text("name")] = position


def _notes(node: Node, name: str, draft: Draft) -> None:
    physical = node.text("physicalName")
    if physical and physical != name:
        draft.note(f"physicalName {physical}; the column is looked for as {name}", line=node.line)
    for key in _UNENFORCED:
        if node.get(key) is not None:
            draft.note(f"{key} of {name}", line=node.line)


def _limited(field: Field, options: Node, path: str, draft: Draft) -> Field:
    """`field` with the limits of its `logicalTypeOptions`."""
    multiple = options.get("multipleOf")
    if multiple is not None:
        draft.faults.refuse(
            "multipleOf is not enforced",
            line=multiple.line,
            key=f"{path}.multipleOf",
            next=f"write a rule: engine kring, implementation: {{expression: '{field.name} % {multiple.value} == 0'}}",
        )
    if field.type == "string":
        return _limited_text(field, options, path, draft)
    field = _formatted(field, options, path, draft)
    low, open_low = _bound(field, options, side="minimum", path=path, draft=draft)
    high, open_high = _bound(field, options, side="maximum", path=path, draft=draft)
    if low is not None and high is not None and (low > high or (low == high and (open_low or open_high))):
        got = f"{shown(options, 'minimum', 'exclusiveMinimum')} and {shown(options, 'maximum', 'exclusiveMaximum')}"
        draft.faults.add("no value lies between these limits", line=options.line, key=path, got=got)
    return msgspec.structs.replace(
        field, minimum=low, maximum=high, exclusive_minimum=open_low, exclusive_maximum=open_high
    )


def shown(options: Node, *keys: str) -> str:
    """The first of `keys` that is there, as written."""
    return next((str(node.value) for key in keys if (node := options.get(key)) is not None), "no limit")


def _limited_text(field: Field, options: Node, path: str, draft: Draft) -> Field:
    low, high = (_length(options, key, path, draft) for key in ("minLength", "maxLength"))
    if low is not None and high is not None and low > high:
        draft.faults.add("no text is that long", line=options.line, key=path, got=f"minLength {low}, maxLength {high}")
    text_format = options.text("format")
    if text_format:
        draft.note(f"format {text_format} of {field.name}; a pattern is enforced", line=options.line)
    text = options.text("pattern")
    node = options.get("pattern")
    if node is not None:
        check_pattern(text, line=node.line, key=f"{path}.pattern", faults=draft.faults)
    return msgspec.structs.replace(field, min_length=low, max_length=high, pattern=text)


def check_pattern(text: str, *, line: int, key: str, faults: Faults) -> None:
    """Note a pattern that does not compile."""
    try:
        pattern(text)
    except ExpressionError as error:
        faults.add(error.message, line=line, key=key, got=error.got, allowed=error.allowed, next=error.next)


def _length(options: Node, key: str, path: str, draft: Draft) -> int | None:
    node = options.get(key)
    if node is None or not isinstance(node.value, int) or isinstance(node.value, bool):
        return None
    if node.value < 0:
        draft.faults.add("a negative length", line=node.line, key=f"{path}.{key}", got=node.value, allowed="0 or more")
    return node.value


def _formatted(field: Field, options: Node, path: str, draft: Draft) -> Field:
    """`field` with the format of its texts, or with the range of a sized integer."""
    node = options.get("format")
    if node is None or not isinstance(node.value, str):
        return field
    key, word = f"{path}.format", node.value
    if field.type in ("date", "timestamp"):
        if moment_pattern(word, "date" if field.type == "date" else "timestamp") is None:
            draft.faults.add(
                "a format that can't be read",
                line=node.line,
                key=key,
                got=word,
                allowed="yyyy MM M dd d HH H mm ss S XXX, each once, signs and 'quoted text'; nothing means ISO 8601",
            )
        return msgspec.structs.replace(field, format=word)
    if field.type == "integer" and word in _BITS:
        bits = _BITS[word]
        low, high = (0, (1 << bits) - 1) if word[0] == "u" else (-(1 << bits - 1), (1 << bits - 1) - 1)
        return msgspec.structs.replace(field, minimum=low, maximum=high)
    if field.type == "integer" and word in ("u64", "i128", "u128"):
        remedy = "leave the format out; what does not fit into 64 bits is found by the check"
        draft.faults.refuse(f"integers are 64 bits with sign; {word} is not", line=node.line, key=key, next=remedy)
    elif field.type == "number" and word in ("f32", "f64"):
        if word == "f32":
            draft.note(f"format f32 of {field.name}; numbers are 64 bits", line=node.line)
    else:
        known = (*_BITS, "u64") if field.type == "integer" else ("f32", "f64")
        draft.faults.unknown(word, known=known, line=node.line, key=key, what="format")
    return field


def _bound(field: Field, options: Node, *, side: str, path: str, draft: Draft) -> tuple[int | float | None, bool]:
    """The stronger of the closed and the open limit on one side, and whether it is open."""
    sign = 1 if side == "minimum" else -1
    sized = field.minimum if side == "minimum" else field.maximum
    found: list[tuple[int | float, bool]] = [] if sized is None else [(sized, False)]
    for key, is_open in ((side, False), (f"exclusive{side.capitalize()}", True)):
        node = options.get(key)
        value = None if node is None else typed_value(node, field, key=f"{path}.{key}", faults=draft.faults)
        if isinstance(value, int | float):
            found.append((value, is_open))
    return max(found, key=lambda limit: (sign * limit[0], limit[1]), default=(None, False))


def typed_value(node: Node, field: Field, *, key: str, faults: Faults) -> Scalar:
    """A value of the contract as `field` holds it: days, microseconds, numbers, texts; None when it can't."""
    value, kind = node.value, field.type
    found: Scalar = None
    if kind in ("date", "timestamp"):
        found = _moment(value, field) if isinstance(value, str) else None
    elif kind in ("number", "integer"):
        found = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    else:
        found = value if isinstance(value, str if kind == "string" else bool) else None
    if found is None:
        allowed = f"a {kind} in ISO 8601" if kind in ("date", "timestamp") else f"a {kind}"
        faults.add(f"not a value of {field.name}", line=node.line, key=key, got=node.shown, allowed=allowed)
    return found


def _moment(text: str, field: Field) -> int | None:
    for written in ("", field.format):
        if field.type == "date":
            found = read_date(text, moment_pattern(written, "date") or "")
        else:
            found = read_timestamp(text, moment_pattern(written, "timestamp") or "", zone=field.timezone)
        if found is not None:
            return found
    return None


def known_column(name: str, *, line: int, key: str, draft: Draft) -> bool:
    """Whether the table has the column `name`; a fault with the nearest one when it has not."""
    if name in draft.fields:
        return True
    names = ", ".join(draft.fields)
    draft.faults.add(
        "there is no such column", line=line, key=key, got=name, allowed=names, next=nearest(name, draft.fields)
    )
    return False
