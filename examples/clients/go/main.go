// A first call: signs with an Ed25519 share and verifies the signature.
//
//	go run . SOCKET SHARE_ID WALLET_ID
//
// README.md beside this file says how to get there.
package main

//go:generate npx --yes @bufbuild/buf@1.74.0 generate

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "example.com/first-call/countersignv1"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: go run . SOCKET SHARE_ID WALLET_ID")
	}
	if err := call(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatalf("%s: %v", reason(err), err)
	}
}

func call(socket, shareID, walletID string) error {
	absolute, err := filepath.Abs(socket)
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient("unix://"+absolute,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	enclave := pb.NewSigningEnclaveClient(conn)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	// As recorded in the database: a program that must not trust it keeps the
	// key that it got when the share was made.
	found, err := enclave.GetPublicKey(ctx, &pb.GetPublicKeyRequest{
		ShareId:  shareID,
		WalletId: walletID,
	})
	if err != nil {
		return err
	}
	public := found.GetPublicKey()
	if public.GetAlgorithm() != pb.Algorithm_ALGORITHM_ED25519 {
		return fmt.Errorf("this example verifies Ed25519, the share is %v", public.GetAlgorithm())
	}

	message := []byte("a first call")
	answer, err := enclave.Sign(ctx, &pb.SignRequest{
		ShareId:  shareID,
		WalletId: walletID,
		Payload:  &pb.Payload{Kind: &pb.Payload_Message{Message: message}},
	})
	if err != nil {
		return err
	}

	signature := answer.GetSignature().GetValue()
	if !ed25519.Verify(ed25519.PublicKey(public.GetKey()), message, signature) {
		return fmt.Errorf("the signature does not verify")
	}
	fmt.Printf("public key %x\n", public.GetKey())
	fmt.Printf("signature  %x\n", signature)
	fmt.Println("verified")
	return nil
}

// reason is the stable name of a refusal: what programs compare. See
// docs/errors.md.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return "failed"
}
