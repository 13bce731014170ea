// Tlog is an independent verifier of the audit log, its checkpoints and its
// receipts. Tree and proof are those of the packages that Go's own transparency
// log is checked with, and so are signed notes: that they accept what the enclave
// wrote shows that the format is the one it is said to be.
//
//	tlog log DIR                            chain, sequence, tree, heads of files
//	tlog receipt VKEY FILE [--log DIR]      signature and path; the log's record
//	tlog checkpoint VKEY FILE [--log DIR]   signature; the log's tree of that size
//
// What was verified is printed as one JSON object. The first thing that is wrong
// goes to standard error, with where it is, and the exit code is 1.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var (
	fileName = regexp.MustCompile(`^[0-9]{20}\.log(\.gz)?$`)
	lineForm = regexp.MustCompile(`(?s-m)^([0-9a-f]{64}) (.*)\n$`)
	uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	decimal  = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
)

// --- receipts and checkpoints ------------------------------------------------

type checkpoint struct {
	origin string
	tree   tlog.Tree
}

func openCheckpoint(vkey string, message []byte) (checkpoint, error) {
	var none checkpoint
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return none, fmt.Errorf("the verifier key: %w", err)
	}
	opened, err := note.Open(message, note.VerifierList(verifier))
	if err != nil {
		return none, fmt.Errorf("the checkpoint: %w", err)
	}
	// Open decodes what is not quite base64 too.
	if _, err := unbase64(opened.Sigs[0].Base64, 4+64); err != nil {
		return none, fmt.Errorf("the checkpoint's signature: %w", err)
	}
	// tlog.ParseTree is for the first line of Go's own log only.
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return none, errors.New("the checkpoint does not have three lines of text")
	}
	if lines[0] != verifier.Name() {
		return none, errors.New("the checkpoint's origin is not the key's name")
	}
	size, err := count(lines[1])
	if err != nil {
		return none, fmt.Errorf("the checkpoint's size: %w", err)
	}
	root, err := hash(lines[2])
	if err != nil {
		return none, fmt.Errorf("the checkpoint's root: %w", err)
	}
	return checkpoint{lines[0], tlog.Tree{N: size, Hash: root}}, nil
}

// proved is what a receipt says of one record.
type proved struct {
	sequence   int64
	leaf       tlog.Hash
	checkpoint checkpoint
}

func openReceipt(vkey string, message []byte) (proved, error) {
	var none proved
	// A map, since names of a struct's fields match in any case.
	receipt := map[string]json.RawMessage{"sequence": []byte("0"), "path": []byte("[]")}
	if err := json.Unmarshal(message, &receipt); err != nil {
		return none, fmt.Errorf("the receipt: %w", err)
	}
	signed, _ := text(receipt["checkpoint"])
	checkpoint, err := openCheckpoint(vkey, []byte(signed))
	if err != nil {
		return none, err
	}
	// A string, since it has 64 bits; who reads proto3's JSON takes a number too.
	digits, ok := text(receipt["sequence"])
	if !ok {
		digits = string(receipt["sequence"])
	}
	sequence, err := count(digits)
	if err != nil {
		return none, fmt.Errorf("the sequence: %w", err)
	}
	record, _ := text(receipt["recordHash"])
	leaf, err := hash(record)
	if err != nil {
		return none, fmt.Errorf("the record's hash: %w", err)
	}
	var siblings []string
	if err := json.Unmarshal(receipt["path"], &siblings); err != nil {
		return none, fmt.Errorf("the path: %w", err)
	}
	var path tlog.RecordProof
	for _, item := range siblings {
		sibling, err := hash(item)
		if err != nil {
			return none, fmt.Errorf("the path: %w", err)
		}
		path = append(path, sibling)
	}
	tree := checkpoint.tree
	if err := tlog.CheckRecord(path, tree.N, tree.Hash, sequence, leaf); err != nil {
		return none, fmt.Errorf("the path: %w", err)
	}
	return proved{sequence, leaf, checkpoint}, nil
}

func count(text string) (int64, error) {
	if !decimal.MatchString(text) {
		return 0, fmt.Errorf("%q is not a count", text)
	}
	return strconv.ParseInt(text, 10, 64)
}

func hash(text string) (hash tlog.Hash, err error) {
	data, err := unbase64(text, tlog.HashSize)
	copy(hash[:], data)
	return hash, err
}

// unbase64 takes only what encoding gives: decoding passes over line feeds, and over
// bits of a last digit.
func unbase64(text string, length int) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(data) != length || base64.StdEncoding.EncodeToString(data) != text {
		return nil, fmt.Errorf("%q is not %d bytes in base64", text, length)
	}
	return data, nil
}

// --- the log -----------------------------------------------------------------

// hashes are the tree's, each at its tlog.StoredHashIndex.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	read := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(h)) {
			return nil, fmt.Errorf("the tree has no hash %d", index)
		}
		read[i] = h[index]
	}
	return read, nil
}

// subtrees are the roots of the complete subtrees over the first n records, largest first.
func (h hashes) subtrees(n int64) []string {
	roots := []string{}
	for level, before := 62, int64(0); level >= 0; level-- {
		if n>>level&1 == 1 {
			root := h[tlog.StoredHashIndex(level, before>>level)]
			roots = append(roots, hex.EncodeToString(root[:]))
			before += 1 << level
		}
	}
	return roots
}

type auditLog struct {
	size     int64
	stored   hashes
	link     [sha256.Size]byte
	instance string
}

func readLog(directory string) (*auditLog, error) {
	entries, err := os.ReadDir(directory) // by name, hence by number
	if err != nil {
		return nil, err
	}
	log := &auditLog{}
	read := ""
	for _, entry := range entries {
		// A file that was compressed stands beside its plain one, which comes first, for a moment.
		if !fileName.MatchString(entry.Name()) || entry.Name() == read+".gz" {
			continue
		}
		read = entry.Name()
		if err := log.readFile(filepath.Join(directory, entry.Name())); err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
	}
	if log.size == 0 {
		return nil, fmt.Errorf("%s: there is no log", directory)
	}
	return log, nil
}

func (l *auditLog) readFile(path string) error {
	start := l.size
	if strings.TrimSuffix(filepath.Base(path), ".gz") != fmt.Sprintf("%020d.log", start) {
		return fmt.Errorf("record %d is where it has to begin", start)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewReader(file)
	if strings.HasSuffix(path, ".gz") {
		plain, err := gzip.NewReader(lines)
		if err != nil {
			return err
		}
		lines = bufio.NewReader(plain)
	}
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		if err == io.EOF {
			err = errors.New("no line feed ends it")
		}
		if err == nil {
			err = l.add(line, l.size == start)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", l.size-start+1, err)
		}
	}
	if l.size == start {
		return errors.New("it has no record")
	}
	return nil
}

func (l *auditLog) add(line []byte, begins bool) error {
	parts := lineForm.FindSubmatch(line)
	if parts == nil {
		return errors.New("it is not a link, a space and a record")
	}
	data := parts[2]
	link := sha256.Sum256(slices.Concat(l.link[:], data))
	if hex.EncodeToString(link[:]) != string(parts[1]) {
		return errors.New("the link does not follow from the one before")
	}
	if err := l.check(data, begins); err != nil {
		return err
	}
	stored, err := tlog.StoredHashesForRecordHash(l.size, tlog.RecordHash(data), l.stored)
	if err != nil {
		return err
	}
	l.size, l.stored, l.link = l.size+1, append(l.stored, stored...), link
	return nil
}

func (l *auditLog) check(data []byte, begins bool) error {
	var record map[string]json.RawMessage
	if !utf8.Valid(data) {
		return errors.New("it is not UTF-8")
	}
	if err := json.Unmarshal(data, &record); err != nil {
		return err
	}
	if record == nil {
		return errors.New("it is not a JSON object")
	}
	if found := string(record["seq"]); found != strconv.FormatInt(l.size, 10) {
		return fmt.Errorf("seq is %q, not %d", found, l.size)
	}
	event, ok := text(record["event"])
	if !ok {
		return errors.New("it has no event")
	}
	instance, _ := text(record["instance"])
	if l.size == 0 {
		if !uuidForm.MatchString(instance) {
			return errors.New("the first record names no instance")
		}
		l.instance = instance
		return nil
	}
	if begins && event != "segment" {
		return errors.New("the file does not begin with a segment record")
	}
	if event != "segment" {
		return nil
	}
	if instance != l.instance {
		return errors.New("the segment is of another instance")
	}
	if after, _ := text(record["after"]); after != hex.EncodeToString(l.link[:]) {
		return errors.New("the segment follows another link")
	}
	var tree []string
	if err := json.Unmarshal(record["tree"], &tree); err != nil || !slices.Equal(tree, l.stored.subtrees(l.size)) {
		return errors.New("the segment follows another tree")
	}
	if _, ok := record["open"]; !ok {
		return errors.New("the segment does not say what is open")
	}
	return nil
}

// text is the string that a field is, if it is one.
func text(field json.RawMessage) (string, bool) {
	var value string
	if !bytes.HasPrefix(field, []byte(`"`)) || json.Unmarshal(field, &value) != nil {
		return "", false
	}
	return value, true
}

// of checks that the log is the checkpoint's. It may end before the checkpoint.
func (l *auditLog) of(checkpoint checkpoint) error {
	if !strings.HasSuffix(checkpoint.origin, "/"+l.instance) {
		return fmt.Errorf("the log is of instance %s", l.instance)
	}
	if l.size < checkpoint.tree.N {
		return nil
	}
	root, err := tlog.TreeHash(checkpoint.tree.N, l.stored)
	if err == nil && root != checkpoint.tree.Hash {
		err = fmt.Errorf("the log's tree of size %d has another root", checkpoint.tree.N)
	}
	return err
}

func (l *auditLog) has(record proved) error {
	if record.sequence >= l.size {
		return fmt.Errorf("the log ends before record %d", record.sequence)
	}
	if l.stored[tlog.StoredHashIndex(0, record.sequence)] != record.leaf {
		return fmt.Errorf("record %d has another leaf hash", record.sequence)
	}
	return nil
}

// --- the commands ------------------------------------------------------------

type verified struct {
	Sequence *int64 `json:"sequence,omitempty"`
	Size     int64  `json:"size"`
	Root     string `json:"root"`
	Instance string `json:"instance,omitempty"`
}

func verifyLog(directory string) (*verified, error) {
	log, err := readLog(directory)
	if err != nil {
		return nil, err
	}
	root, err := tlog.TreeHash(log.size, log.stored)
	if err != nil {
		return nil, err
	}
	return &verified{Size: log.size, Root: hex.EncodeToString(root[:]), Instance: log.instance}, nil
}

func verifyReceipt(vkey, file, directory string) (*verified, error) {
	message, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	record, err := openReceipt(vkey, message)
	if err != nil {
		return nil, err
	}
	if directory != "" {
		log, err := readLog(directory)
		if err != nil {
			return nil, err
		}
		if err = log.has(record); err == nil {
			err = log.of(record.checkpoint)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", directory, err)
		}
	}
	tree := record.checkpoint.tree
	return &verified{Sequence: &record.sequence, Size: tree.N, Root: hex.EncodeToString(tree.Hash[:])}, nil
}

func verifyCheckpoint(vkey, file, directory string) (*verified, error) {
	message, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	checkpoint, err := openCheckpoint(vkey, message)
	if err != nil {
		return nil, err
	}
	tree := checkpoint.tree
	if directory != "" {
		log, err := readLog(directory)
		if err != nil {
			return nil, err
		}
		if err := log.of(checkpoint); err != nil {
			return nil, fmt.Errorf("%s: %w", directory, err)
		}
		if log.size < tree.N {
			return nil, fmt.Errorf("%s: the log has %d records, the checkpoint %d", directory, log.size, tree.N)
		}
	}
	return &verified{Size: tree.N, Root: hex.EncodeToString(tree.Hash[:])}, nil
}

const usage = "tlog log DIR | tlog receipt|checkpoint VKEY FILE [--log DIR]"

func run(arguments []string) (*verified, error) {
	if len(arguments) == 2 && arguments[0] == "log" {
		return verifyLog(arguments[1])
	}
	directory := ""
	if len(arguments) == 5 && arguments[3] == "--log" && arguments[4] != "" {
		directory, arguments = arguments[4], arguments[:3]
	}
	if len(arguments) == 3 && arguments[0] == "receipt" {
		return verifyReceipt(arguments[1], arguments[2], directory)
	}
	if len(arguments) == 3 && arguments[0] == "checkpoint" {
		return verifyCheckpoint(arguments[1], arguments[2], directory)
	}
	return nil, errors.New(usage)
}

func main() {
	found, err := run(os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(found)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
