"""Names of things, one type a kind, so that no two kinds can be mixed up."""

from typing import NewType

AgreementId = NewType("AgreementId", str)
ClientId = NewType("ClientId", str)
ColumnName = NewType("ColumnName", str)
DatasetId = NewType("DatasetId", str)
LineageId = NewType("LineageId", str)
OperatorId = NewType("OperatorId", str)
OrgId = NewType("OrgId", str)
PurposeId = NewType("PurposeId", str)
RequestId = NewType("RequestId", str)
"""A UUID in text; the one id that links token, charge, entry, receipt and trace of a request."""
RuleId = NewType("RuleId", str)
"""The id of a permit or a forbid inside its document."""
Thumbprint = NewType("Thumbprint", str)
"""RFC 7638 SHA-256 thumbprint of a public key, base64url without padding."""
