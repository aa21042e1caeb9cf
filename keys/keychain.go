package keys

import (
	"errors"
	"fmt"
	"time"

	"github.com/zalando/go-keyring"

	"fullstory-export-mcp/client"
)

// service is the name under which the keychain has the keys.
const service = "fullstory-export-mcp"

// KeychainError reports that the keychain could not be used. Its text has no key.
type KeychainError struct {
	Missing bool // there is no keychain
	Silent  bool // it did not answer in time, or the program is to end
	Reason  string
}

func (e *KeychainError) Error() string { return e.Reason }

// read returns the key of an account. It returns ErrNone if the keychain has none.
func (s *Store) read(account string, limit time.Duration) (client.Key, error) {
	key, err := s.call("read "+account, limit, func() (string, error) { return keyring.Get(service, nameOf(account)) })
	return client.Key(key), err
}

// write writes the key of an account and reads it back, because not every keychain reports
// that it rejected a change.
func (s *Store) write(account string, key client.Key) error {
	_, err := s.call("write "+account, WriteLimit, func() (string, error) {
		return "", keyring.Set(service, nameOf(account), string(key))
	})
	if err != nil {
		return err
	}
	if there, err := s.read(account, WriteLimit); err != nil || there != key {
		return &KeychainError{Reason: "the system's keychain did not keep the key"}
	}
	return nil
}

// erase removes the key of an account. It returns ErrNone if the keychain has none.
func (s *Store) erase(account string) error {
	_, err := s.call("erase "+account, WriteLimit, func() (string, error) {
		return "", keyring.Delete(service, nameOf(account))
	})
	return err
}

// call uses the keychain for at most limit. A call that takes longer continues, and a later
// one of the same name gets its result.
func (s *Store) call(name string, limit time.Duration, use func() (string, error)) (string, error) {
	if reason := absent(s.Getenv); reason != "" {
		return "", &KeychainError{Missing: true, Reason: reason}
	}
	answer := s.calls.DoChan(name, func() (result any, err error) {
		defer func() {
			if v := recover(); v != nil { // the module trusts the types of answers
				err = fmt.Errorf("its answer cannot be read (%T)", v)
			}
		}()
		return use()
	})
	if _, silent := s.silent.Load(name); silent {
		limit = silentLimit
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case r := <-answer:
		s.silent.Delete(name)
		if r.Err != nil {
			return "", explained(r.Err)
		}
		return r.Val.(string), nil
	case <-s.Done:
		return "", &KeychainError{Silent: true, Reason: "interrupted while the system's keychain was asked"}
	case <-timer.C:
		s.silent.Store(name, true)
		return "", &KeychainError{Silent: true, Reason: fmt.Sprintf(
			"the system's keychain did not answer within %v; it may be showing a window that asks for a password", limit)}
	}
}

// explained returns ErrNone or a *KeychainError for an error of the keychain.
func explained(err error) error {
	if errors.Is(err, keyring.ErrNotFound) {
		return ErrNone
	}
	if errors.Is(err, keyring.ErrUnsupportedPlatform) || isAbsent(err) {
		return &KeychainError{Missing: true, Reason: "this system has no keychain that can be used"}
	}
	return &KeychainError{Reason: "the system's keychain cannot be used: " + client.Clean(err.Error(), 200)}
}
