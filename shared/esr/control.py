"""What a profile lays down about the traffic of files: counts, order, windows, answers.

The file language acts on ``trailer_count`` and ``interface_versions``; the rest is for whoever puts files in order and
answers them. What is not supported is refused when the profile is loaded, so no setting is without effect.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from shared.errors import ConfigurationError
from shared.esr.layout import Kind
from shared.esr.yaml_source import Section

TrailerCount = Literal["data_records", "all_lines", "ignore"]
Gap = Literal["hold", "accept"]
WindowCheck = Literal["previous_run_equals_last_current_run", "none"]
OnBreak = Literal["hold_and_offer_full", "hold_and_request_full"]
ConfirmDetail = Literal["exceptions_only", "every_record", "file_only"]

#: Settings that exist to say how things are; the product knows this one way.
_FIXED = {"structural_error": "quarantine_whole_file", "record_error": "reject_record_continue"}
_SETTINGS = (*_FIXED, "interface_versions", "trailer_count", "sequence", "window", "confirm_detail")


@dataclass(frozen=True, slots=True)
class Sequence:
    """The numbers of a counter's files.

    ``start``: number of the first file. ``gap``: whether a file waits for those missing before it. ``reset_on_full``:
    a full file may begin the count anew, with a number at or below the last one.
    """

    start: int
    gap: Gap
    reset_on_full: bool


@dataclass(frozen=True, slots=True)
class Window:
    """The span of time a changes file covers.

    ``check``: whether it must begin where the last file's ended. ``on_break``: whether, when it does not, the held file
    offers to request a full one, or the request is made at once.
    """

    check: WindowCheck
    on_break: OnBreak


@dataclass(frozen=True, slots=True)
class Control:
    """The ``control`` section of a profile.

    ``trailer_count``: what the trailer's number counts: data records, all lines with header and trailer, or nothing
    that is checked. ``confirm_detail`` says for each confirming kind which records it lists: only those with something
    to say, every one, or none.
    """

    interface_versions: tuple[str, ...]
    trailer_count: TrailerCount
    sequence: Sequence
    window: Window
    confirm_detail: Mapping[str, ConfirmDetail]


def read_control(section: Section, kinds: Mapping[str, Kind]) -> Control:
    """Read the ``control`` section. Raises ConfigurationError for a mistake or for what is not supported."""
    section.only(_SETTINGS)
    for setting, supported in _FIXED.items():
        section.one_of(setting, (supported,))
    versions = section.texts("interface_versions")
    if not versions:
        raise ConfigurationError(f"{section.place}: interface_versions must name at least one version.")
    return Control(
        interface_versions=versions,
        trailer_count=cast("TrailerCount", section.one_of("trailer_count", get_args(TrailerCount))),
        sequence=_sequence(section.section("sequence")),
        window=_window(section.section("window")),
        confirm_detail=_confirm_detail(section.section("confirm_detail"), kinds),
    )


def _sequence(section: Section) -> Sequence:
    section.only(("start", "gap", "duplicate", "reset_on_full"))
    section.one_of("duplicate", ("ignore_with_warning",))
    return Sequence(
        start=section.number("start", 0, 99_999_999),
        gap=cast("Gap", section.one_of("gap", get_args(Gap))),
        reset_on_full=section.flag("reset_on_full", default=False),
    )


def _window(section: Section) -> Window:
    section.only(("check", "on_break"))
    return Window(
        check=cast("WindowCheck", section.one_of("check", get_args(WindowCheck))),
        on_break=cast("OnBreak", section.one_of("on_break", get_args(OnBreak))),
    )


def _confirm_detail(section: Section, kinds: Mapping[str, Kind]) -> dict[str, ConfirmDetail]:
    confirming = {code for code, kind in kinds.items() if kind.confirms}
    if set(section) != confirming:
        wanted = ", ".join(sorted(confirming)) or "none, as no kind confirms another"
        raise ConfigurationError(f"{section.place} must name the confirming kinds: {wanted}.")
    # What ESR confirms is taken record by record: a record it does not name stays open.
    allowed = {"lms_to_esr": get_args(ConfirmDetail), "esr_to_lms": ("every_record",)}
    return {kind: cast("ConfirmDetail", section.one_of(kind, allowed[kinds[kind].flow])) for kind in section}
