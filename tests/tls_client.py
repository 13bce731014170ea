"""A gRPC client over TLS that shares no code with the server: gRPC's C core, whose TLS
is BoringSSL, with certificates that OpenSSL made.

    tls_client.py PROTO_DIR ADDRESS CUSTODY_ADDRESS DIRECTORY SHARE_ID WALLET_ID

`DIRECTORY` has what docs/callers.md makes. Prints the signature, in hexadecimal.
"""

import sys
from pathlib import Path

import grpc

from grpc_client import PAYLOAD, stubs


def main(proto_dir, address, custody_address, directory, share_id, wallet_id):
    pb, rpc = stubs(proto_dir)
    from countersign.v1 import custody_pb2, custody_pb2_grpc

    names = ("ca.pem", "payments.key", "payments.pem", "server.key", "server.pem")
    pem = {name: (Path(directory) / name).read_bytes() for name in names}
    request = pb.SignRequest(
        share_id=share_id, wallet_id=wallet_id, payload=pb.Payload(message=PAYLOAD)
    )

    def sign(*identity):
        credentials = grpc.ssl_channel_credentials(pem["ca.pem"], *identity)
        with grpc.secure_channel(address, credentials) as channel:
            return rpc.SigningEnclaveStub(channel).Sign(request, timeout=5)

    def shares(*identity):
        credentials = grpc.ssl_channel_credentials(pem["ca.pem"], *identity)
        with grpc.secure_channel(custody_address, credentials) as channel:
            custody = custody_pb2_grpc.ShareCustodyStub(channel)
            listed = custody.ListShares(custody_pb2.ListSharesRequest(), timeout=5)
            return [share.public_key.share_id for share in listed.shares]

    # Without a certificate there is no connection, and with one that names no
    # workload there is no caller.
    for call in (sign, shares):
        for identity, code in (
            ((), grpc.StatusCode.UNAVAILABLE),
            ((pem["server.key"], pem["server.pem"]), grpc.StatusCode.UNAUTHENTICATED),
        ):
            try:
                call(*identity)
                sys.exit("must be refused")
            except grpc.RpcError as error:
                assert error.code() == code, error
    assert shares(pem["payments.key"], pem["payments.pem"]) == [share_id]
    print(sign(pem["payments.key"], pem["payments.pem"]).signature.value.hex())


if __name__ == "__main__":
    main(*sys.argv[1:])
