"""A gRPC client that shares no code with the server: gRPC's C core, stubs made from
the .proto files, signatures checked with OpenSSL.

    grpc_client.py PROTO_DIR SOCKET < keys

`keys` is the JSON document of `countersign demo --json`. The channel is the plainest
one can write: the C core then names the server by its socket's escaped path.
"""

import json
import sys
import tempfile

import grpc
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from grpc_tools import protoc

PAYLOAD = bytes(range(32))


def stubs(proto_dir):
    """Compiles the contract and imports it."""
    out = tempfile.mkdtemp()
    files = [f"countersign/v1/{name}.proto" for name in ("share", "enclave", "custody")]
    arguments = [f"-I{proto_dir}", f"--python_out={out}", f"--grpc_python_out={out}"]
    include = protoc.__file__.replace("protoc.py", "_proto").replace("__init__.py", "_proto")
    if protoc.main(["protoc", f"-I{include}", *arguments, *files]) != 0:
        sys.exit("the contract does not compile")
    sys.path.insert(0, out)
    from countersign.v1 import enclave_pb2, enclave_pb2_grpc

    return enclave_pb2, enclave_pb2_grpc


def check(algorithm, key, payload, signature):
    """Raises unless the signature is the key's. BIP-340 is not in OpenSSL."""
    if algorithm == "ed25519":
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, payload)
    elif algorithm.startswith("ecdsa"):
        curve = ec.SECP256K1() if algorithm.endswith("secp256k1") else ec.SECP256R1()
        public = ec.EllipticCurvePublicKey.from_encoded_point(curve, key)
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        digest = hashes.SHA256() if algorithm == "ecdsa-p256" else Prehashed(hashes.SHA256())
        public.verify(encode_dss_signature(r, s), payload, ec.ECDSA(digest))
    assert len(signature) == 64


def main(proto_dir, socket):
    pb, rpc = stubs(proto_dir)
    keys = json.load(sys.stdin)["keys"]
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        enclave = rpc.SigningEnclaveStub(channel)
        for key in keys:
            name = {"share_id": key["share_id"], "wallet_id": key["wallet_id"]}
            digest = key["algorithm"] == "ecdsa-secp256k1"
            payload = pb.Payload(digest=PAYLOAD) if digest else pb.Payload(message=PAYLOAD)
            public = enclave.GetPublicKey(pb.GetPublicKeyRequest(**name), timeout=5).public_key
            assert public.key.hex() == key["public_key"]
            signed = enclave.Sign(pb.SignRequest(**name, payload=payload), timeout=5)
            check(key["algorithm"], public.key, PAYLOAD, signed.signature.value)

            frames = [pb.UseShareRequest(open=pb.OpenFrame(**name))]
            for number in range(100):
                sign = pb.SignFrame(id=number, payload=payload)
                frames.append(pb.UseShareRequest(sign=sign))
            answers = list(enclave.UseShare(iter(frames), timeout=10))
            assert answers[0].HasField("opened")
            assert [answer.signed.id for answer in answers[1:]] == list(range(100))
            for answer in answers[1:]:
                check(key["algorithm"], public.key, PAYLOAD, answer.signed.signature.value)

        try:
            enclave.Sign(pb.SignRequest(share_id="x"), timeout=5)
            sys.exit("must be refused")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
            details = dict(error.trailing_metadata())["grpc-status-details-bin"]
            assert b"INVALID_REQUEST" in details and b"share_id" in details
    print(f"{len(keys)} keys")


if __name__ == "__main__":
    main(*sys.argv[1:])
