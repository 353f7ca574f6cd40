"""Organisations and positions as ``org.csv`` and ``pos.csv``, of which one bad row refuses the whole file."""

from collections.abc import Sequence
from typing import Final

from services.outbound.lms import hr_import_rows as rows
from services.outbound.lms.hr_import_plan import LATER_PARENT, plan_items
from services.outbound.lms.hr_import_ship import Shipper
from services.outbound.lms.port import Answer, HierarchyItem
from services.outbound.lms.totara_rules import item_fault, tidy_item
from shared.lms_settings import HrImportSettings

_ELEMENTS: Final = {"organisation": "org", "position": "pos"}


class HierarchyFiles:
    """Writes hierarchies whose frameworks the settings name."""

    def __init__(self, ship: Shipper, settings: HrImportSettings) -> None:
        self._ship = ship
        self._settings = settings
        self._frameworks = {"org": settings.organisation_framework, "pos": settings.position_framework}

    async def put(self, items: Sequence[HierarchyItem]) -> list[Answer]:
        """Write what can be written. Raises LmsBusyError, and writes nothing, while one of the files waits."""
        answers: dict[tuple[str, str], Answer] = {}
        files = {element: self._planned(element, items, answers) for element in _ELEMENTS.values()}
        for element, made in files.items():
            if made:
                await self._ship.free(element)
        for element, made in files.items():
            await self._ship.place(element, rows.ITEM_COLUMNS, made)
        return [answers[_ELEMENTS[item.kind], item.idnumber] for item in items]

    def _planned(
        self, element: str, items: Sequence[HierarchyItem], answers: dict[tuple[str, str], Answer]
    ) -> list[rows.Row]:
        framework = self._frameworks[element]
        wanted: dict[str, HierarchyItem] = {}
        for item in map(tidy_item, items):
            if _ELEMENTS[item.kind] == element:
                fault = item_fault(item) or self._fault(item, framework)
                if fault:
                    answers[element, item.idnumber] = Answer("rejected", fault)
                else:
                    wanted[item.idnumber] = item
        known = {
            key.partition(":")[2]: there for key, there in self._ship.items.items() if key.startswith(f"{element}:")
        }
        plan = plan_items(wanted, known)
        for key in wanted:
            if key in plan.refused:
                answers[element, key] = Answer("rejected", plan.refused[key])
            else:
                later = key in plan.later
                answers[element, key] = Answer("unknown", LATER_PARENT) if later else Answer("accepted")
        return [rows.item_row(item, framework) for item in plan.order]

    def _fault(self, item: HierarchyItem, framework: str) -> str:
        if not framework:
            return "framework-missing"
        return "" if rows.encodable(rows.item_row(item, framework), self._settings) else "encoding"
