"""A gRPC client over TLS that shares no code with the server: gRPC's C core, whose TLS
is BoringSSL, with certificates that OpenSSL made.

    tls_client.py PROTO_DIR ADDRESS DIRECTORY SHARE_ID WALLET_ID

`DIRECTORY` has what docs/callers.md makes. Prints the signature, in hexadecimal.
"""

import sys
from pathlib import Path

import grpc

from grpc_client import PAYLOAD, stubs


def main(proto_dir, address, directory, share_id, wallet_id):
    pb, rpc = stubs(proto_dir)
    names = ("ca.pem", "payments.key", "payments.pem", "server.key", "server.pem")
    pem = {name: (Path(directory) / name).read_bytes() for name in names}
    request = pb.SignRequest(
        share_id=share_id, wallet_id=wallet_id, payload=pb.Payload(message=PAYLOAD)
    )

    def sign(*identity):
        credentials = grpc.ssl_channel_credentials(pem["ca.pem"], *identity)
        with grpc.secure_channel(address, credentials) as channel:
            return rpc.SigningEnclaveStub(channel).Sign(request, timeout=5)

    # Without a certificate there is no connection, and with one that names no
    # workload there is no caller.
    for identity, code in (
        ((), grpc.StatusCode.UNAVAILABLE),
        ((pem["server.key"], pem["server.pem"]), grpc.StatusCode.UNAUTHENTICATED),
    ):
        try:
            sign(*identity)
            sys.exit("must be refused")
        except grpc.RpcError as error:
            assert error.code() == code, error
    print(sign(pem["payments.key"], pem["payments.pem"]).signature.value.hex())


if __name__ == "__main__":
    main(*sys.argv[1:])
