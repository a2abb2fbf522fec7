"""The parts of SARIF 2.1.0 that we write, as strict as its schema: any other field is an error.

The whole schema is not ours to copy; reports of all kinds were held against it by hand.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec


class Strict(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Nothing but these fields."""


class Message(Strict):
    text: Annotated[str, msgspec.Meta(min_length=1)]


class ArtifactLocation(Strict):
    uri: Annotated[str, msgspec.Meta(pattern=r"^(file://)?([A-Za-z0-9._~/-]|%[0-9A-F]{2})+\Z")]
    description: Message | None = None


class Region(Strict):
    start_line: Annotated[int, msgspec.Meta(ge=1)]


class PhysicalLocation(Strict):
    artifact_location: ArtifactLocation
    region: Region


class LogicalLocation(Strict):
    name: str
    fully_qualified_name: str
    kind: Literal["resource"]


class Location(Strict):
    logical_locations: Annotated[list[LogicalLocation], msgspec.Meta(min_length=1)]
    physical_location: PhysicalLocation | None = None
    id: Annotated[int, msgspec.Meta(ge=1)] | None = None
    message: Message | None = None


Level = Literal["none", "note", "warning", "error"]


class Configuration(Strict):
    level: Level


class Help(Strict):
    text: str
    markdown: str


class Rule(Strict):
    id: str
    short_description: Message
    name: str = ""
    full_description: Message | None = None
    help: Help | None = None
    default_configuration: Configuration | None = None
    properties: dict[str, Any] | None = None


class Driver(Strict):
    name: Literal["gwdoctor"]
    version: str
    rules: list[Rule]


class Tool(Strict):
    driver: Driver


class Reference(Strict):
    id: str


class Notification(Strict):
    level: Level
    message: Message
    associated_rule: Reference | None = None
    locations: list[Location] = []
    properties: dict[str, Any] | None = None


class Invocation(Strict):
    execution_successful: bool
    exit_code: int
    exit_code_description: str
    end_time_utc: datetime | None = None
    tool_execution_notifications: list[Notification] = []


class Result(Strict):
    rule_id: str
    rule_index: Annotated[int, msgspec.Meta(ge=0)]
    kind: Literal["fail"]
    level: Level
    message: Message
    locations: list[Location]
    partial_fingerprints: dict[str, str]
    properties: dict[str, Any]
    related_locations: list[Location] = []


class Run(Strict):
    tool: Tool
    automation_details: Reference
    column_kind: Literal["unicodeCodePoints"]
    invocations: list[Invocation]
    results: list[Result]


class Sarif(Strict):
    version: Literal["2.1.0"]
    runs: list[Run]
    schema: str = msgspec.field(name="$schema")
