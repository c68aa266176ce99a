"""Every key that ODCS v2.2 knows, in the form of `kring.contracts.odcs_keys`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

OLD_VERSIONS: Final = ("v2.2.0", "v2.2.1", "v2.2.2")

_texts: Final = dict.fromkeys

OLD_SHAPES: Final[Mapping[str, Mapping[str, str]]] = {
    "contract 2": {
        **_texts(("version!", "kind!", "uuid!", "type!", "status!", "datasetName!", "quantumName!"), "text"),
        **_texts(("apiVersion", "datasetKind", "userConsumptionMode", "tenant", "datasetDomain"), "text"),
        **_texts(("sourceSystem", "sourcePlatform", "server", "driver", "driverVersion", "project"), "text"),
        **_texts(("database", "username", "password", "schedulerAppName", "contractCreatedTs"), "text"),
        **_texts(("productSlackChannel", "productFeedbackUrl", "productDl", "slaDefaultColumn"), "text"),
        "tags": "[text]",
        "description": "purpose",
        "dataset!": "[dataset 2]",
        "price": "price 2",
        "stakeholders": "[stakeholder 2]",
        "roles": "[role]",
        "slaProperties": "[sla 2]",
        "authoritativeDefinitions": "[definition]",
        "systemInstance": "text",
        "customProperties": "[custom]",
    },
    "dataset 2": {
        "table!": "text",
        **_texts(("physicalName", "priorTableName", "dataGranularity", "description"), "text"),
        "authoritativeDefinitions": "[definition]",
        "columns": "[column 2]",
        "quality": "[quality 2]",
        "tags": "[text]",
        "customProperties": "[custom]",
    },
    "column 2": {
        **_texts(("column!", "logicalType!", "physicalType!"), "text"),
        **_texts(("businessName", "description", "classification", "encryptedColumnName"), "text"),
        **_texts(("transformLogic", "transformDescription"), "text"),
        **_texts(("isNullable", "isUnique", "partitionStatus", "clusterStatus"), "flag"),
        "isPrimaryKey": "scalar",
        "criticalDataElementStatus": "flag",
        **_texts(("primaryKeyPosition", "partitionKeyPosition", "clusterKeyPosition"), "integer"),
        "authoritativeDefinitions": "[definition]",
        "transformSourceTables": "[text]",
        "sampleValues": "[scalar]",
        "quality": "[quality 2]",
        "tags": "[text]",
        "customProperties": "[custom]",
    },
    "quality 2": {
        **_texts(("templateName!", "toolName!"), "text"),
        **_texts(("code", "toolRuleName", "description", "dimension", "column", "type", "severity"), "text"),
        **_texts(("businessImpact", "scheduleCronExpression"), "text"),
        "columns": "any",
        "customProperties": "[any]",
    },
    "price 2": {"priceAmount": "scalar", "priceCurrency": "text", "priceUnit": "text"},
    "stakeholder 2": _texts(("username", "role", "dateIn", "dateOut", "replacedByUsername", "comment"), "text"),
    "sla 2": {
        "property!": "text",
        "value!": "scalar",
        "valueExt": "scalar",
        **_texts(("unit", "column", "driver"), "text"),
    },
}
"""The shapes that v2.2 writes in another way; roles and definitions are those of v3.1. Scalars are those that
v2.2.1 writes as texts and v2.2.2 does not."""
