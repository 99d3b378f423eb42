// A verifier made of Go's own checksum-database code: notes, tiles, entries, inclusion, consistency.
//
// Standard input: one JSON object a line, a log each. Standard output: a line each, "ok" or what is wrong.
package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type log struct {
	Vkey, Checkpoint, Older string
	Cosigner                string // a witness that must have cosigned, or none
	Tiles                   map[string][]byte
	Entries                 [][]byte
	Index                   int64
	Entry                   []byte
	Path, Consistency       [][]byte
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		if err = verifyLine(line); err != nil {
			fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println("ok")
		}
	}
}

func verifyLine(line []byte) error {
	var l log
	if err := json.Unmarshal(line, &l); err != nil {
		return err
	}
	return verify(l)
}

func verify(l log) error {
	tree, err := open(l.Checkpoint, l.Vkey)
	if err != nil {
		return err
	}
	if l.Cosigner != "" {
		witness, err := newCosigner(l.Cosigner)
		if err != nil {
			return err
		}
		if _, err := note.Open([]byte(l.Checkpoint), note.VerifierList(witness)); err != nil {
			return err
		}
	}
	older, err := open(l.Older, l.Vkey)
	if err != nil {
		return err
	}
	if err := verifyTiles(l, tree); err != nil {
		return err
	}
	path := hashes(l.Path)
	if err := tlog.CheckRecord(path, tree.N, tree.Hash, l.Index, tlog.RecordHash(l.Entry)); err != nil {
		return err
	}
	return tlog.CheckTree(hashes(l.Consistency), tree.N, tree.Hash, older.N, older.Hash)
}

// open verifies a note and reads its three lines; sumdb's own ParseTree wants sumdb's own first line.
func open(text, vkey string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// cosigner verifies cosignatures (c2sp.org/tlog-cosignature) inside sumdb's notes.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func newCosigner(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("not a verifier key")
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 33 || raw[0] != 4 {
		return nil, errors.New("not a witness's key")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), raw...))
	return &cosigner{parts[0], binary.BigEndian.Uint32(sum[:]), raw[1:]}, nil
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(sig))
	return ed25519.Verify(c.key, append([]byte(head), msg...), sig[8:])
}

// verifyTiles hashes every entry, makes every tile of it, and holds the given ones against them; then lets
// sumdb read the given tiles by itself and compute the root.
func verifyTiles(l log, tree tlog.Tree) error {
	if int64(len(l.Entries)) != tree.N {
		return errors.New("the entries are not as many as were signed")
	}
	var stored []tlog.Hash
	made := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			found[i] = stored[index]
		}
		return found, nil
	})
	for n, entry := range l.Entries {
		more, err := tlog.StoredHashes(int64(n), entry, made)
		if err != nil {
			return err
		}
		stored = append(stored, more...)
	}
	tiles := tlog.NewTiles(height, 0, tree.N)
	if len(tiles) != len(l.Tiles) {
		return errors.New("the tiles are not as many as the tree has")
	}
	for _, tile := range tiles {
		data, err := tlog.ReadTileData(tile, made)
		if err != nil {
			return err
		}
		if !bytes.Equal(data, l.Tiles[path(tile)]) {
			return fmt.Errorf("%s is not that of the entries", path(tile))
		}
	}
	root, err := tlog.TreeHash(tree.N, tlog.TileHashReader(tree, given(l.Tiles)))
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return errors.New("the root is not the one that was signed")
	}
	return nil
}

// path is C2SP's: sumdb's without the height.
func path(tile tlog.Tile) string {
	return "/tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
}

type given map[string][]byte

func (g given) Height() int { return height }

func (g given) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data[i] = g[path(tile)]
	}
	return data, nil
}

func (g given) SaveTiles([]tlog.Tile, [][]byte) {}

func hashes(all [][]byte) []tlog.Hash {
	found := make([]tlog.Hash, len(all))
	for i, data := range all {
		if h, err := tlog.ParseHash(base64.StdEncoding.EncodeToString(data)); err == nil {
			found[i] = h
		}
	}
	return found
}
