"""A first call: signs with an Ed25519 share and verifies the signature.

    python first_call.py SOCKET SHARE_ID WALLET_ID

README.md beside this file says how to get there.
"""

import os
import sys

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from countersign.v1 import enclave_pb2, enclave_pb2_grpc, share_pb2

MESSAGE = b"a first call"


def reason(error: grpc.RpcError) -> str:
    """The stable name of a refusal: what programs compare. See docs/errors.md."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return "NO_REASON"


def main(socket: str, share_id: str, wallet_id: str) -> None:
    target = f"unix:{os.path.abspath(socket)}"
    with grpc.insecure_channel(target) as channel:
        enclave = enclave_pb2_grpc.SigningEnclaveStub(channel)

        # As recorded in the database: a program that must not trust it keeps the
        # key that it got when the share was made.
        public = enclave.GetPublicKey(
            enclave_pb2.GetPublicKeyRequest(share_id=share_id, wallet_id=wallet_id),
            timeout=5,
        ).public_key
        if public.algorithm != share_pb2.ALGORITHM_ED25519:
            sys.exit("this example verifies Ed25519: name a share of that algorithm")

        answer = enclave.Sign(
            enclave_pb2.SignRequest(
                share_id=share_id,
                wallet_id=wallet_id,
                payload=enclave_pb2.Payload(message=MESSAGE),
            ),
            timeout=5,
        )

    # Raises InvalidSignature when the signature is not the key's.
    Ed25519PublicKey.from_public_bytes(public.key).verify(
        answer.signature.value, MESSAGE
    )
    print(f"public key {public.key.hex()}")
    print(f"signature  {answer.signature.value.hex()}")
    print("verified")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as error:
        sys.exit(f"refused: {error.code().name} {reason(error)}: {error.details()}")
