"""The bounds of the network's requests: directory.proto, mailbox.proto, health, reflection."""

from __future__ import annotations

from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from cordee.runtime.bounds import Binary, Flag, Message, Number, Repeated, Text, register
from cordee.v1 import directory_pb2, mailbox_pb2

__all__ = ["BEGINNING", "CHUNK", "PROFILE_SIZE", "STATEMENT_SIZE", "entry", "signed"]

_KIB = 1024
STATEMENT_SIZE = 64 * _KIB
PROFILE_SIZE = 256 * _KIB
CHUNK = 1024 * _KIB
BEGINNING = 56
"""Bytes of a ciphertext's header, its salt and key commitment: those of no two packings are alike."""

_SIZE = 2**63 - 1  # what a database holds
_SIGNERS = 16


def signed(body: int = STATEMENT_SIZE) -> Message:
    """A Signed whose body has at most this many bytes."""
    return Message(
        type=Text(64, pattern=r"cordee\.v1\.[A-Za-z]+"),
        body=Binary(body),
        signer=Binary.exactly(16),
        ed25519_signature=Binary.exactly(64),
        mldsa65_signature=Binary.exactly(3309),
    )


def entry() -> Message:
    """An entry of the roster log, perhaps not yet with all its signatures."""
    signature = Message(
        signer=Binary.exactly(16), ed25519_signature=Binary.exactly(64), mldsa65_signature=Binary.exactly(3309)
    )
    return Message(
        type=Text(64, pattern=r"cordee\.v1\.[A-Za-z]+"),
        body=Binary(STATEMENT_SIZE),
        signatures=Repeated(signature, _SIGNERS),
    )


def _transfer_id(*, empty: bool = False) -> Binary:
    return Binary.exactly(16, empty=empty)


# ---- directory.proto ----

# A join request holds the applicant's profile and card.
register(directory_pb2.EnrolmentRequest, Message(join_request=signed(PROFILE_SIZE + STATEMENT_SIZE)))
register(directory_pb2.GetEnrolmentStatusRequest, Message(query=signed()))
register(directory_pb2.EnrolmentReadLogRequest, Message(query=signed(), start=Number(_SIZE)))
register(directory_pb2.ObjectRequest, Message(entry=entry()))
register(directory_pb2.RejoinEnrolmentRequest, Message(request=signed(PROFILE_SIZE + STATEMENT_SIZE)))
register(directory_pb2.ListAuthoritiesRequest, Message())
register(directory_pb2.EnrolmentListAuthoritiesRequest, Message())
register(directory_pb2.FoundRequest, Message(genesis=entry()))
register(directory_pb2.CreateInvitationRequest, Message(command=signed()))
register(directory_pb2.ListJoinRequestsRequest, Message(command=signed()))
register(directory_pb2.RefuseJoinRequestRequest, Message(command=signed()))
register(directory_pb2.ReadCardRequest, Message(command=signed()))
register(directory_pb2.RefuseCardRequest, Message(command=signed()))
register(directory_pb2.SignEntryRequest, Message(entry=entry()))
register(directory_pb2.ListPendingEntriesRequest, Message(command=signed()))
register(directory_pb2.ReadLogRequest, Message(command=signed()))
register(directory_pb2.ListStandingsRequest, Message(command=signed()))
register(directory_pb2.ListHeldCheckpointsRequest, Message(command=signed()))
register(directory_pb2.TellHeldCheckpointRequest, Message(held=signed()))
register(directory_pb2.ReadFiguresRequest, Message(command=signed()))
register(directory_pb2.RenewCertificateRequest, Message(certificate_request=Binary(4 * _KIB)))
register(directory_pb2.GetCheckpointRequest, Message())
register(directory_pb2.ListEntriesRequest, Message(start=Number(_SIZE)))
register(directory_pb2.AppendEntryRequest, Message(entry=entry()))
register(directory_pb2.PublishCardRequest, Message(card=signed(), profile=Binary(PROFILE_SIZE, empty=True)))
register(directory_pb2.ListCardsRequest, Message(after_revision=Number(_SIZE)))
register(directory_pb2.SubmitRequest, Message(statement=signed()))
register(directory_pb2.ListOwnTransfersRequest, Message())
register(directory_pb2.GetTransferRequest, Message(transfer_id=_transfer_id()))
register(
    directory_pb2.GiveBackTransferRequest,
    Message(statements=Repeated(signed(), 8)),
)
register(
    directory_pb2.GiveBackRequest,
    Message(
        start=Message(checkpoint=Text(16 * _KIB, lines=True), first=Number(_SIZE)),
        entry=entry(),
        card=Message(card=signed(), profile=Binary(PROFILE_SIZE)),
    ),
)
register(directory_pb2.WatchRequest, Message(cursor=Number(_SIZE)))

# ---- mailbox.proto ----

register(
    mailbox_pb2.PutRequest,
    Message(
        transfer_id=_transfer_id(empty=True),
        offset=Number(_SIZE),
        data=Binary(CHUNK, empty=True),
        anew=Flag(),
        begins=Binary(BEGINNING, empty=True),
    ),
)
register(mailbox_pb2.GetRequest, Message(transfer_id=_transfer_id(), offset=Number(_SIZE)))
register(mailbox_pb2.StatRequest, Message(transfer_id=_transfer_id()))

# ---- grpc.health.v1 ----

register(health_pb2.HealthCheckRequest, Message(service=Text(128, empty=True)))
register(health_pb2.HealthListRequest, Message())

# ---- grpc.reflection.v1alpha ----

_SYMBOL = Text(256)

register(
    reflection_pb2.ServerReflectionRequest,
    Message(
        host=Text(256, empty=True),
        file_by_filename=_SYMBOL,
        file_containing_symbol=_SYMBOL,
        file_containing_extension=Message(containing_type=_SYMBOL, extension_number=Number(2**29)),
        all_extension_numbers_of_type=_SYMBOL,
        list_services=Text(256, empty=True),
    ),
)
