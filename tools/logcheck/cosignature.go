package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// algorithmCosignature is the type of a witness' Ed25519 key in a verifier key.
const algorithmCosignature = 0x04

// cosignatureVerifier verifies cosignatures: a time in eight bytes, and a signature over the time and the checkpoint.
type cosignatureVerifier struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func newCosignatureVerifier(vkey string) (*cosignatureVerifier, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	id, encoded, found := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !found || err != nil || name == "" || len(key) != 1+ed25519.PublicKeySize || key[0] != algorithmCosignature {
		return nil, errors.New("it is no verifier key of a witness")
	}
	hash, err := strconv.ParseUint(id, 16, 32)
	if err != nil || keyID(name, key) != uint32(hash) {
		return nil, errors.New("its id is not that of its name and key")
	}
	return &cosignatureVerifier{name, uint32(hash), key[1:]}, nil
}

func (v *cosignatureVerifier) Name() string    { return v.name }
func (v *cosignatureVerifier) KeyHash() uint32 { return v.hash }

// Verify is part of note.Verifier.
func (v *cosignatureVerifier) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(signature[:8])
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", at, text)
	return ed25519.Verify(v.key, []byte(signed), signature[8:])
}
