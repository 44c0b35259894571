"""Provisions that no law file holds, because the evaluator or the tenant's kill switch raises them."""

from __future__ import annotations

from .rules import Provision


def _raised(id: str, ref: str, title: str, title_ru: str) -> Provision:
    return Provision(id, ref, id.partition(".")[0], title=title, title_ru=title_ru)


LAW_UNKNOWN = _raised("ANY.law-unknown", "GDPR art. 44", "No law file speaks for a country", "Нет файла права страны")
EVIDENCE = _raised(
    "ANY.evidence", "GDPR art. 5(2), 32; 152-FZ art. 19",
    "The tenant must hold valid evidence of this kind", "Нужно действующее подтверждение этого вида",
)  # fmt: skip
CLASSES = _raised(
    "ANY.classes", "GDPR art. 5(1)(c)",
    "Only the kinds of data that the recipient may have are sent", "Передаются только данные, разрешённые получателю",
)  # fmt: skip
ROUTE_REDACT = _raised(
    "ANY.route-redact", "GDPR art. 5(1)(c), 25", "The route removes data", "Маршрут удаляет часть данных"
)
RESTRICT = _raised(
    "ANY.restrict", "GDPR art. 5(1)(c), 25",
    "Only a link is sent, and no personal data", "Передаётся только ссылка, без персональных данных",
)  # fmt: skip
UNSETTLED = _raised(
    "ANY.unsettled", "GDPR art. 5(2)", "The permit is of unsure standing", "Допустимость не подтверждена"
)
FACTS = _raised("ANY.facts", "GDPR art. 5(2)", "The facts cannot be read", "Сведения не читаются")
SWITCH = _raised(
    "TENANT.switch", "tenant's own switch", "The tenant's own switch stops it", "Остановлено переключателем"
)
RAISED = (LAW_UNKNOWN, EVIDENCE, CLASSES, ROUTE_REDACT, RESTRICT, UNSETTLED, FACTS, SWITCH)
