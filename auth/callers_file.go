package auth

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gofrs/flock"

	"fullstory-export-mcp/local"
)

const (
	// mostCallers bounds the file of callers, in bytes: about ten thousand of them.
	mostCallers = 4 << 20
	// lockLimit is how long NewToken waits for another process that writes the file,
	// lockPause the time between two tries.
	lockLimit = 10 * time.Second
	lockPause = 10 * time.Millisecond
)

// lookAt returns what is at path. It fails if that is not a file which only its owner and
// perhaps its group can change.
func lookAt(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("callers: %w", err)
	}
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		return nil, fmt.Errorf("callers: %s is a symbolic link; give the path of the file itself", path)
	case !mode.IsRegular():
		return nil, fmt.Errorf("callers: %s is not a file", path)
	case isOpen(mode):
		return nil, fmt.Errorf("callers: every user of this machine can change %s; remove that right (chmod o-w)", path)
	}
	return info, checkFolder(path)
}

// checkFolder fails if every user of this machine can replace the file at path.
func checkFolder(path string) error {
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	if err != nil {
		return fmt.Errorf("callers: %w", err)
	}
	if isOpen(info.Mode()) && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("callers: every user of this machine can change the folder %s; remove that right (chmod o-w)",
			folder)
	}
	return nil
}

// isOpen reports whether every user may write. Windows has no such mode.
func isOpen(mode fs.FileMode) bool { return mode.Perm()&0o002 != 0 && runtime.GOOS != "windows" }

// readCallers returns the entries of the file at path.
func readCallers(path string) ([]entry, error) {
	raw, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return entriesOf(path, raw)
}

// readFile returns the content of the file at path, at most mostCallers bytes.
func readFile(path string) ([]byte, error) {
	seen, err := lookAt(path)
	if err != nil {
		return nil, err
	}
	f, err := local.Open(path)
	if err != nil {
		return nil, fmt.Errorf("callers: %w", err)
	}
	defer f.Close()
	if opened, err := f.Stat(); err != nil || !os.SameFile(seen, opened) {
		return nil, fmt.Errorf("callers: %s was replaced while it was opened", path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, mostCallers+1))
	if err != nil {
		return nil, fmt.Errorf("callers: %w", err)
	}
	if len(raw) > mostCallers {
		return nil, fmt.Errorf("callers: %s is larger than %d bytes", path, mostCallers)
	}
	return raw, nil
}

// entriesOf returns the entries of the file at path, whose content is raw.
func entriesOf(path string, raw []byte) ([]entry, error) {
	entries, err := parseCallers(raw)
	if err != nil {
		return nil, fmt.Errorf("callers: %s: %w", path, err)
	}
	return entries, nil
}

func parseCallers(raw []byte) ([]entry, error) {
	var file struct {
		Callers []entry `json:"callers"`
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the end of the JSON object")
	}
	return file.Callers, checkCallers(file.Callers)
}

// tokenPrefix lets scanners for leaked secrets recognise a token.
const tokenPrefix = "fsx_"

// NewToken gives the caller c a new token and writes its hash into the file at
// path, which it creates if missing. If c is in the file already, NewToken
// changes only the token and the fields that c sets. The token itself is not
// stored. Processes that call it at the same time wait for each other.
func NewToken(path string, c Caller) (token string, replaced bool, err error) {
	unlock, err := lockCallers(path)
	if err != nil {
		return "", false, err
	}
	defer unlock()
	entries, err := readCallers(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	var secret [32]byte
	rand.Read(secret[:])
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	for i, e := range entries {
		if e.Name == c.Name {
			replaced = true
			entries[i] = entry{e.changed(c), hashOf(token)}
		}
	}
	if !replaced {
		entries = append(entries, entry{c, hashOf(token)})
	}
	if err := checkCallers(entries); err != nil {
		return "", false, err
	}
	return token, replaced, writeCallers(path, entries)
}

// changed returns c with the fields that by sets. A caller that becomes one for metrics
// keeps nothing that such a caller cannot have.
func (c Caller) changed(by Caller) Caller {
	if by.Metrics {
		c.Account, c.Links = "", false
	}
	c.Account = cmp.Or(by.Account, c.Account)
	c.ReadOnly = by.ReadOnly || c.ReadOnly
	c.Links = by.Links || c.Links
	c.Metrics = by.Metrics || c.Metrics
	return c
}

// lockCallers locks the file at path for writing, by a file beside it that stays.
func lockCallers(path string) (unlock func(), err error) {
	if err := checkFolder(path); err != nil {
		return nil, err
	}
	beside := path + ".lock"
	f, err := local.Create(beside, 0)
	if err != nil {
		return nil, fmt.Errorf("callers: %w", err)
	}
	f.Close()
	l := flock.New(beside)
	ctx, cancel := context.WithTimeout(context.Background(), lockLimit)
	defer cancel()
	_, err = l.TryLockContext(ctx, lockPause)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("callers: another process has locked %s for %s; end it and try again", path, lockLimit)
	case err != nil:
		return nil, fmt.Errorf("callers: %s cannot be locked: %w", path, err)
	}
	return func() { l.Close() }, nil
}

// writeCallers replaces the file atomically. Only its owner can read the new one.
func writeCallers(path string, entries []entry) error {
	raw, err := json.MarshalIndent(map[string][]entry{"callers": entries}, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".callers-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(raw, '\n'))
	err = errors.Join(err, f.Chmod(0o600), keepOwner(f, path), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
