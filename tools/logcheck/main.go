// Logcheck follows a log in the layout of C2SP tlog-tiles, without any code of the log's operator.
//
// It numbers its steps as it prints them:
//
//  1. fetch the checkpoint; verify the log's signature and the witnesses' cosignatures
//  2. fetch every bundle of entries and every tile; check each tile against the signed root, and each entry against its tile
//  3. prove that the checkpoint kept from the last run is a beginning of this log; then keep the new one
//  4. prove that one entry is in the log
//
// The proofs and tiles are those of golang.org/x/mod/sumdb/tlog. Sources, read on 2026-11-30: https://c2sp.org/tlog-tiles,
// https://c2sp.org/tlog-checkpoint and https://c2sp.org/tlog-cosignature.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	bytesMax   = 32 << 20
)

// keys collects the values of an option that may be repeated.
type keys []string

func (k *keys) String() string         { return strings.Join(*k, " ") }
func (k *keys) Set(value string) error { *k = append(*k, value); return nil }

type options struct {
	prefix, vkey, keyFile, seen string
	witnesses                   keys
	quorum                      int
	entry                       int64
}

func main() {
	var o options
	flag.StringVar(&o.prefix, "prefix", "", "the address of the log, before /checkpoint")
	flag.StringVar(&o.vkey, "vkey", "", "the verifier key of the log")
	flag.StringVar(&o.keyFile, "key-file", "", "a file with an API key of scope audit")
	flag.StringVar(&o.seen, "seen", "", "the file that keeps the checkpoint of the last run")
	flag.Var(&o.witnesses, "witness", "the verifier key of a witness; may be repeated")
	flag.IntVar(&o.quorum, "quorum", 0, "the number of these witnesses that must have cosigned")
	flag.Int64Var(&o.entry, "entry", -1, "the index of the entry to prove (default: the last)")
	flag.Parse()
	if o.prefix == "" || o.vkey == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := check(o); err != nil {
		fmt.Fprintln(os.Stderr, "logcheck:", err)
		os.Exit(1)
	}
}

func check(o options) error {
	log, err := newLog(o)
	if err != nil {
		return err
	}
	text, err := log.fetch("checkpoint")
	if err != nil {
		return err
	}
	head, cosigned, err := o.open(text)
	if err != nil {
		return err
	}
	if cosigned < o.quorum {
		return fmt.Errorf("%d witnesses have cosigned the checkpoint, and %d must", cosigned, o.quorum)
	}
	fmt.Printf("1 checkpoint: %d entries, signed by the log and %d witnesses\n", head.N, cosigned)
	if head.N == 0 {
		return errors.New("the log is empty")
	}
	// It checks each tile against the signed root before it passes it to SaveTiles.
	log.hashes = tlog.TileHashReader(head, log)
	if err := log.checkAll(head.N); err != nil {
		return err
	}
	fmt.Printf("2 tiles: %d tiles and %d entries are the signed ones\n", len(log.verified), head.N)
	if o.seen != "" {
		if err := log.checkGrowth(o, head, text); err != nil {
			return err
		}
	}
	if o.entry < 0 {
		o.entry = head.N - 1
	}
	if err := log.checkEntry(o.entry, head); err != nil {
		return err
	}
	fmt.Printf("4 inclusion: entry %d is in the log\n", o.entry)
	return nil
}

// open verifies a checkpoint. It returns the tree, and the number of witnesses that have cosigned it.
func (o options) open(text []byte) (tlog.Tree, int, error) {
	verifier, err := note.NewVerifier(o.vkey)
	if err != nil {
		return tlog.Tree{}, 0, fmt.Errorf("-vkey: %w", err)
	}
	known := []note.Verifier{verifier}
	for _, key := range o.witnesses {
		witness, err := newCosignatureVerifier(key)
		if err != nil {
			return tlog.Tree{}, 0, fmt.Errorf("-witness: %w", err)
		}
		known = append(known, witness)
	}
	signed, err := note.Open(text, note.VerifierList(known...))
	if err != nil {
		return tlog.Tree{}, 0, fmt.Errorf("the checkpoint cannot be verified: %w", err)
	}
	found, byLog := map[string]bool{}, false
	for _, signature := range signed.Sigs {
		if signature.Name == verifier.Name() && signature.Hash == verifier.KeyHash() {
			byLog = true
		} else {
			found[fmt.Sprintf("%s+%08x", signature.Name, signature.Hash)] = true
		}
	}
	if !byLog {
		return tlog.Tree{}, 0, errors.New("the log has not signed the checkpoint")
	}
	tree, err := parseCheckpoint(signed.Text, verifier.Name())
	return tree, len(found), err
}

func parseCheckpoint(text, origin string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] != origin {
		return tlog.Tree{}, errors.New("the checkpoint is another log's, or none")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, errors.New("the checkpoint has no size")
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, errors.New("the checkpoint has no root")
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}, nil
}

// remoteLog reads a log over HTTP. It is the tlog.TileReader of its own hashes.
type remoteLog struct {
	prefix, key string
	client      *http.Client
	hashes      tlog.HashReader
	verified    map[string][]byte
}

func newLog(o options) (*remoteLog, error) {
	log := &remoteLog{
		prefix:   strings.TrimRight(o.prefix, "/"),
		client:   &http.Client{Timeout: time.Minute},
		verified: map[string][]byte{},
	}
	if o.keyFile != "" {
		key, err := os.ReadFile(o.keyFile)
		if err != nil {
			return nil, err
		}
		log.key = strings.TrimSpace(string(key))
	}
	return log, nil
}

func (l *remoteLog) fetch(path string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, l.prefix+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	if l.key != "" {
		request.Header.Set("Authorization", "Bearer "+l.key)
	}
	for attempt := 1; ; attempt++ {
		answer, err := l.client.Do(request)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be fetched: %w", path, err)
		}
		data, err := io.ReadAll(io.LimitReader(answer.Body, bytesMax))
		answer.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("%s cannot be read: %w", path, err)
		}
		busy := answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= 500
		if busy && attempt < 5 {
			time.Sleep(time.Duration(attempt) * time.Second)
			continue
		}
		if answer.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s is answered with %s", path, answer.Status)
		}
		return data, nil
	}
}

// path returns the path of a tile. The checksum database of Go has the height in it, and C2SP has not.
func path(tile tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
}

// Height is part of tlog.TileReader.
func (l *remoteLog) Height() int { return tileHeight }

// ReadTiles is part of tlog.TileReader.
func (l *remoteLog) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		data, kept := l.verified[path(tile)]
		if !kept {
			var err error
			if data, err = l.fetch(path(tile)); err != nil {
				return nil, err
			}
			if len(data) != tile.W*tlog.HashSize {
				return nil, fmt.Errorf("%s has another length than its width", path(tile))
			}
		}
		found = append(found, data)
	}
	return found, nil
}

// SaveTiles is part of tlog.TileReader. It gets the tiles that lead to the signed root.
func (l *remoteLog) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	for i, tile := range tiles {
		l.verified[path(tile)] = data[i]
	}
}

// bundle fetches the entries of one tile, and checks each against its hash in the tree.
func (l *remoteLog) bundle(index int64, width int) ([][]byte, error) {
	where := strings.Replace(path(tlog.Tile{H: tileHeight, L: 0, N: index, W: width}), "tile/0/", "tile/entries/", 1)
	data, err := l.fetch(where)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("%s ends within an entry", where)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries, data = append(entries, data[2:end]), data[end:]
	}
	if len(entries) != width {
		return nil, fmt.Errorf("%s has %d entries instead of %d", where, len(entries), width)
	}
	indexes := make([]int64, width)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, index*tileWidth+int64(i))
	}
	hashes, err := l.hashes.ReadHashes(indexes)
	if err != nil {
		return nil, err
	}
	for i, entry := range entries {
		if tlog.RecordHash(entry) != hashes[i] {
			return nil, fmt.Errorf("entry %d is not the one in the tree", index*tileWidth+int64(i))
		}
	}
	return entries, nil
}

// checkAll checks all entries of a log and all its tiles.
func (l *remoteLog) checkAll(size int64) error {
	for index := int64(0); index*tileWidth < size; index++ {
		if _, err := l.bundle(index, int(min(tileWidth, size-index*tileWidth))); err != nil {
			return err
		}
	}
	for _, tile := range tlog.NewTiles(tileHeight, 0, size) {
		if _, found := l.verified[path(tile)]; !found {
			return fmt.Errorf("%s was not checked", path(tile))
		}
	}
	return nil
}

// checkGrowth checks that the checkpoint of the last run is a beginning of the log, and keeps the new one.
func (l *remoteLog) checkGrowth(o options, head tlog.Tree, text []byte) error {
	kept, err := os.ReadFile(o.seen)
	if errors.Is(err, os.ErrNotExist) {
		fmt.Println("3 consistency: this is the first checkpoint seen")
		return os.WriteFile(o.seen, text, 0o600)
	}
	if err != nil {
		return err
	}
	before, _, err := o.open(kept)
	if err != nil {
		return fmt.Errorf("%s: %w", o.seen, err)
	}
	if before.N > head.N {
		return fmt.Errorf("the log has fewer entries than the %d that were seen", before.N)
	}
	if before.N == head.N && before.Hash != head.Hash {
		return errors.New("the log has another root than the one that was seen")
	}
	if 0 < before.N && before.N < head.N {
		proof, err := tlog.ProveTree(head.N, before.N, l.hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, head.N, head.Hash, before.N, before.Hash); err != nil {
			return fmt.Errorf("the log does not continue the checkpoint that was seen: %w", err)
		}
	}
	fmt.Printf("3 consistency: the log continues the %d entries that were seen\n", before.N)
	return os.WriteFile(o.seen, text, 0o600)
}

// checkEntry proves that one entry is in the log.
func (l *remoteLog) checkEntry(index int64, head tlog.Tree) error {
	if index >= head.N {
		return fmt.Errorf("the log has no entry %d", index)
	}
	first := index / tileWidth
	entries, err := l.bundle(first, int(min(tileWidth, head.N-first*tileWidth)))
	if err != nil {
		return err
	}
	proof, err := tlog.ProveRecord(head.N, index, l.hashes)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, head.N, head.Hash, index, tlog.RecordHash(entries[index%tileWidth]))
}

// keyID returns the first four bytes of the hash of a name and a key with its algorithm.
func keyID(name string, key []byte) uint32 {
	digest := sha256.Sum256(append([]byte(name+"\n"), key...))
	return binary.BigEndian.Uint32(digest[:4])
}
