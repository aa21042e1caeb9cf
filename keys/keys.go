// Package keys keeps the API keys of `login` on this machine: in the system's keychain, or
// where there is none in files that only their owner can read.
package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/local"
)

// ErrNone reports that no key is kept.
var ErrNone = errors.New("no key is kept")

const (
	// ReadLimit is how long a reading waits for the keychain, which may show a window that
	// asks for a password. It is well below the 20 s of a call of a tool.
	ReadLimit = 8 * time.Second
	// silentLimit is how long later readings wait, until the keychain has answered.
	silentLimit = time.Second
	// WriteLimit is the same for Keep and Remove, for which somebody waits at a terminal.
	WriteLimit = time.Minute
	// maxFile is how much of a file is read, in bytes. A key has about 100.
	maxFile = 64 << 10
)

// Options configure a Store.
type Options struct {
	Folder     string              // of the files; "": there is none
	NoKeychain bool                // only files are used
	Getenv     func(string) string // by which the keychain is found
	Done       <-chan struct{}     // ends what waits for the keychain; nil: only time does
}

// Store keeps one key for each account; "" is the account without a name. The names must
// fit auth.CheckAccount. It is safe for concurrent use.
type Store struct {
	Options
	calls  singleflight.Group // of the keychain
	silent sync.Map           // names of calls that were not answered in time
}

// New returns a store. It opens nothing.
func New(o Options) *Store { return &Store{Options: o} }

// Kept is where a key is.
type Kept struct {
	Path    string // of the file; "": in the keychain
	Because string // why it is not in the keychain, if Keep was not told to use files only
}

// String names the place for people.
func (k Kept) String() string {
	if k.Path == "" {
		return "the system's keychain"
	}
	return "the file " + local.Shown(k.Path)
}

// nameOf returns the name of an account's file, and of its item in the keychain. Names of
// accounts have no hyphen.
func nameOf(account string) string {
	if account == "" {
		return "key"
	}
	return "key-" + account
}

// Path returns the path of the file of an account, "" without a folder. The file exists only
// if the key is kept there.
func (s *Store) Path(account string) string {
	if s.Folder == "" {
		return ""
	}
	return filepath.Join(s.Folder, nameOf(account))
}

// FromFile returns the key in the file of an account. It returns ErrNone without a file, and
// fails if others can read or change the file.
func (s *Store) FromFile(account string) (client.Key, error) {
	path := s.Path(account)
	if path == "" {
		return "", ErrNone
	}
	raw, err := local.ReadSecret(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNone
	}
	if err != nil {
		return "", fmt.Errorf("the key that login kept cannot be read: %w", err)
	}
	key := client.Key(bytes.TrimSpace(raw))
	if key == "" {
		return "", fmt.Errorf("the file %s, in which login kept the key, is empty", local.Shown(path))
	}
	return key, nil
}

// FromKeychain returns the key of an account in the keychain. It returns ErrNone if there is
// no key or no keychain, and a *KeychainError if the keychain does not give it within
// ReadLimit. A later call gets the answer to a password that was typed after that; until
// then it waits a second.
func (s *Store) FromKeychain(account string) (client.Key, error) {
	if s.NoKeychain {
		return "", ErrNone
	}
	key, err := s.read(account, ReadLimit)
	if e, ok := errors.AsType[*KeychainError](err); ok && e.Missing {
		return "", ErrNone
	}
	return key, err
}

// Keep keeps the key of an account, in place of the one before: in the keychain, or in a file
// if there is no keychain or that does not keep it. It fails with a *KeychainError, and keeps
// nothing, if the keychain does not answer within WriteLimit.
func (s *Store) Keep(account string, key client.Key) (Kept, error) {
	because := ""
	if !s.NoKeychain {
		err := s.write(account, key)
		if err == nil { // a file would be read before the keychain
			_, err = s.removeFile(account)
			return Kept{}, err
		}
		if e, ok := errors.AsType[*KeychainError](err); ok && e.Silent {
			return Kept{}, err
		}
		because = err.Error()
	}
	if err := s.writeFile(account, key); err != nil {
		if because != "" {
			err = fmt.Errorf("%s; and %w", because, err)
		}
		return Kept{}, err
	}
	return Kept{Path: s.Path(account), Because: because}, nil
}

// Remove removes the key of an account from wherever it is kept, and returns those places;
// none if no key was kept. It fails if the key may still be somewhere.
func (s *Store) Remove(account string) (from []Kept, err error) {
	removed, fileErr := s.removeFile(account)
	if removed {
		from = append(from, Kept{Path: s.Path(account)})
	}
	if s.NoKeychain {
		return from, fileErr
	}
	err = s.erase(account)
	missing := false
	if e, ok := errors.AsType[*KeychainError](err); ok {
		missing = e.Missing
	}
	switch {
	case err == nil:
		from = append(from, Kept{})
	case missing || errors.Is(err, ErrNone):
		err = nil
	}
	return from, errors.Join(fileErr, err)
}

// removeFile removes the file of an account, and reports whether there was one.
func (s *Store) removeFile(account string) (removed bool, err error) {
	path := s.Path(account)
	if path == "" {
		return false, nil
	}
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("the key cannot be removed: %w", err)
	}
	return true, nil
}

// writeFile writes the file of an account, whole or not at all.
func (s *Store) writeFile(account string, key client.Key) error {
	if s.Folder == "" {
		return errors.New("the folder for the key is unknown, because HOME is not set and this user has no home")
	}
	if err := s.writeIn(nameOf(account), []byte(string(key)+"\n")); err != nil {
		return fmt.Errorf("the key cannot be kept in %s: %w", local.Shown(s.Folder), err)
	}
	return nil
}

// writeIn replaces the file of a name in the folder, which it creates.
func (s *Store) writeIn(name string, content []byte) error {
	if err := local.MkdirAll(s.Folder); err != nil {
		return err
	}
	root, err := local.OpenFolder(s.Folder)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := local.CheckFolder(root, s.Folder); err != nil {
		return err
	}
	fresh := name + ".new"
	if err := root.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) { // it may be readable by others
		return err
	}
	f, err := local.CreateIn(root, fresh, os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = root.Rename(fresh, name)
	}
	if err != nil {
		_ = root.Remove(fresh)
		return err
	}
	return local.SyncIn(root, ".")
}
