"""The bounds of the node's own requests: importing this module registers one for every field of node.proto's."""

from __future__ import annotations

from cordee.runtime.bounds import Binary, Flag, Message, Number, Repeated, Text, Time, register
from cordee.summary import REASON_TEXT_LIMIT
from cordee.v1 import node_pb2
from node.rpc.wire import PIECE

__all__ = ["ACT_SIZE", "CASE_SIZE"]

CASE_SIZE = 8 << 20  # bytes of JSON: what the content of a transfer may hold in sections (protocol §7)
ACT_SIZE = 256 << 10

_SIZE = 2**63 - 1  # what a database holds
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_CODE = r"[a-z][a-z0-9_]*"
_MANY = 64


def _uuid(*, empty: bool = False) -> Text:
    return Text(36, empty=empty, pattern=_UUID)


def _code(*, empty: bool = False) -> Text:
    return Text(64, empty=empty, pattern=_CODE)


def _name(*, empty: bool = False) -> Text:
    return Text(100, empty=empty)


def _team(*, empty: bool = False) -> Text:
    return Text(60, empty=empty)


def _password() -> Text:
    return Text(1_024)


def _departement(*, empty: bool = False) -> Text:
    return Text(7, empty=empty, pattern=r"[0-9A-Za-z]+")


def _content() -> Message:
    return Message(
        case_id=_uuid(),
        recipient=Binary.exactly(16),
        purpose=_code(),
        act_id=_uuid(),
        ticked=Repeated(_code(), _MANY),
        unticked=Repeated(_code(), _MANY),
        attachments=Repeated(_uuid(), 1_000),
    )


def _of_transfer() -> Message:
    return Message(transfer_id=Binary.exactly(16))


def _update() -> Message:
    return Message(
        transfer_id=Binary.exactly(16), sections=Repeated(_code(), _MANY), attachments=Repeated(_uuid(), 1_000)
    )


_DESCRIPTION = Message(
    case_id=_uuid(),
    attachment_id=_uuid(empty=True),
    file_name=Text(300),
    media_type=Text(300),
    size=Number(_SIZE),
    sha256=Binary.exactly(32, empty=True),
    kind=_code(),
    section=_code(),
    may_be_sent=Flag(),
    third_party_data=Flag(),
)

# ---- Sessions, Accounts ----

register(node_pb2.SignInRequest, Message(name=_name(), password=_password()))
register(node_pb2.SignOutRequest, Message())
register(node_pb2.WhoAmIRequest, Message())
register(
    node_pb2.AddAccountRequest,
    Message(name=_name(), password=_password(), roles=Repeated(_code(), 8), bound_by_secrecy=Flag()),
)
register(node_pb2.ListAccountsRequest, Message())
register(
    node_pb2.DisableAccountRequest,
    Message(name=_name(), cases_to_team=_team(empty=True), cases_to_account=_name(empty=True), leave_cases=Flag()),
)
register(node_pb2.GiveSecondFactorRequest, Message(name=_name()))

# ---- Teams ----

register(node_pb2.AddTeamRequest, Message(name=_team()))
register(node_pb2.ListTeamsRequest, Message())
register(
    node_pb2.ChangeTeamRequest,
    Message(
        team=_team(), new_name=_team(empty=True), joining=Repeated(_name(), _MANY), leaving=Repeated(_name(), _MANY)
    ),
)
register(node_pb2.DissolveTeamRequest, Message(team=_team()))
register(node_pb2.ListOrphansRequest, Message())
register(
    node_pb2.GiveOrphansRequest,
    Message(case_ids=Repeated(_uuid(), 1_000), to_team=_team(empty=True), to_account=_name(empty=True)),
)

# ---- Cases ----

register(node_pb2.CreateCaseRequest, Message(body=Binary(CASE_SIZE), team=_team(empty=True)))
register(node_pb2.ReadCaseRequest, Message(case_id=_uuid()))
register(node_pb2.ListCasesRequest, Message(named=Text(100, empty=True)))
register(node_pb2.OpenCaseRequest, Message(case_id=_uuid(), reason=Text(1_000, lines=True)))
register(
    node_pb2.UpdateCaseRequest,
    Message(case_id=_uuid(), expected_version=Number(_SIZE, minimum=1), body=Binary(CASE_SIZE)),
)
register(node_pb2.ListVersionsRequest, Message(case_id=_uuid()))
register(node_pb2.CloseCaseRequest, Message(case_id=_uuid(), expected_version=Number(_SIZE, minimum=1)))
register(node_pb2.EraseCaseRequest, Message(case_id=_uuid()))
register(node_pb2.AttachFileRequest, Message(description=_DESCRIPTION, data=Binary(PIECE)))
register(node_pb2.ReadAttachmentRequest, Message(case_id=_uuid(), attachment_id=_uuid()))

# ---- Consents ----

register(node_pb2.RecordActRequest, Message(case_id=_uuid(), body=Binary(ACT_SIZE)))
register(node_pb2.ReadActRequest, Message(act_id=_uuid()))
register(node_pb2.ListActsRequest, Message(case_id=_uuid()))
register(
    node_pb2.WithdrawActRequest,
    Message(act_id=_uuid(), by_role=_code(), reason=Text(REASON_TEXT_LIMIT, empty=True, lines=True)),
)

# ---- Members ----

register(node_pb2.ListMembersRequest, Message())
register(
    node_pb2.FindMembersRequest,
    Message(
        speciality=_code(empty=True),
        departement=_departement(empty=True),
        far_from=Repeated(_departement(), _MANY),
        age=Number(25),
        gender=_code(empty=True),
        language=Text(35, empty=True, pattern=r"[A-Za-z0-9-]+"),
        tonight=Flag(),
        runaways=Flag(),
        free_places=Flag(),
        authority_type=_code(empty=True),
    ),
)
register(node_pb2.ShowMemberRequest, Message(member=Binary.exactly(16)))

# ---- Transfers ----

register(node_pb2.PreviewTransferRequest, _content())
register(
    node_pb2.OfferTransferRequest,
    Message(content=_content(), kind=Text(8, pattern="transfer|referral"), expires_in=Time(absent=True), hold=Flag()),
)
register(node_pb2.ListTransfersRequest, Message(direction=Text(3, empty=True, pattern="in|out")))
register(node_pb2.ReadTransferRequest, _of_transfer())
register(node_pb2.WatchTransfersRequest, Message(transfer_id=Binary.exactly(16, empty=True)))
register(node_pb2.ReadSummaryRequest, _of_transfer())
register(node_pb2.AcceptTransferRequest, Message(transfer_id=Binary.exactly(16), sections=Repeated(_code(), _MANY)))
register(
    node_pb2.DeclineTransferRequest,
    Message(transfer_id=Binary.exactly(16), code=_code(), text=Text(REASON_TEXT_LIMIT, empty=True, lines=True)),
)
register(node_pb2.UpdateTransferRequest, _update())
register(node_pb2.PreviewUpdateRequest, Message(update=_update()))
register(node_pb2.ShipTransferRequest, _of_transfer())
register(node_pb2.WithdrawTransferRequest, _of_transfer())
register(
    node_pb2.ReturnTransferRequest,
    Message(transfer_id=Binary.exactly(16), code=_code(), text=Text(REASON_TEXT_LIMIT, empty=True, lines=True)),
)
register(
    node_pb2.AnswerErasureRequest,
    Message(
        transfer_id=Binary.exactly(16),
        erase=Flag(),
        code=_code(empty=True),
        text=Text(REASON_TEXT_LIMIT, empty=True, lines=True),
    ),
)
register(node_pb2.ExportProofRequest, Message(transfer_id=Binary.exactly(16), erasure=Flag()))

# ---- Audit, NodeInfo ----

register(
    node_pb2.ListJournalRequest,
    Message(after=Number(_SIZE), about=Text(36, empty=True, pattern=r"[0-9a-f-]+")),
)
register(node_pb2.VerifyJournalRequest, Message())
register(node_pb2.ExportJournalRequest, Message())
register(node_pb2.ListEvidenceRequest, Message())
register(node_pb2.ExportEvidenceRequest, Message(evidence=Number(_SIZE)))
register(
    node_pb2.MakeReportRequest,
    Message(year=Number(9999), form=Text(16, pattern=r"[a-z]+"), language=Text(2, pattern=r"[a-z]{2}")),
)
register(node_pb2.GetStatusRequest, Message())
register(node_pb2.ExamineRequest, Message(thorough=Flag()))
register(node_pb2.ListLeftToDoRequest, Message())
register(node_pb2.ListKeysRequest, Message())
register(node_pb2.RotateKeyRequest, Message(kind=_code(), despite_transfers=Flag()))
register(node_pb2.ObjectToRecoveryRequest, Message())
