package command

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
)

const (
	// keyFileMaxAge is how long the content of a key file is used before the file is
	// read again.
	keyFileMaxAge = time.Second
	// maxKeyFile is how much of a key file is read, in bytes. A key has about 100.
	maxKeyFile = 64 << 10
)

// keySource is where the API key of an account is configured: an environment
// variable, or a file that a variable names. It is safe for concurrent use.
type keySource struct {
	variable string
	value    client.Key // value of the variable; empty if path is set
	path     string     // file that the variable names, or ""

	mu   sync.Mutex // guards what follows, and is held while the file is read
	read time.Time  // when the file was last read
	last client.Key // result of that reading
	err  error
}

// keySourceOf returns the source of an account's key, or nil if none is
// configured. The variable with the key wins over the one with a file.
func keySourceOf(getenv func(string) string, account string) *keySource {
	variable := keyVariable(account)
	if key := strings.TrimSpace(getenv(variable)); key != "" {
		return &keySource{variable: variable, value: client.Key(key)}
	}
	if path := getenv(variable + "_FILE"); path != "" {
		return &keySource{variable: variable + "_FILE", path: path}
	}
	return nil
}

// keyVariable returns the name of the environment variable with the key of an account.
// The same name with _FILE at its end is the variable that names a file with the key.
func keyVariable(account string) string {
	if account == "" {
		return "FULLSTORY_API_KEY"
	}
	return "FULLSTORY_API_KEY_" + strings.ToUpper(account)
}

// String returns the variable, and the file that it names; never the key.
func (s *keySource) String() string {
	if s.path == "" {
		return s.variable
	}
	return s.variable + "=" + s.path
}

// key returns the key, or the error of the last reading. It reads a regular file again
// after keyFileMaxAge, so that a replaced key is used without a restart.
func (s *keySource) key() (client.Key, error) {
	if s.path == "" {
		return s.value, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.read.IsZero()
	if !first && time.Since(s.read) < keyFileMaxAge {
		return s.last, s.err
	}
	s.read = time.Now()
	if first || s.regular() {
		s.last, s.err = s.readFile()
	}
	return s.last, s.err
}

// regular reports whether the file can be read more than once, which is not true of a
// pipe. It is true of a missing file: reading that returns the error.
func (s *keySource) regular() bool {
	info, err := os.Stat(s.path)
	return err != nil || info.Mode().IsRegular()
}

// readFile returns the content of the file, without surrounding space.
func (s *keySource) readFile() (client.Key, error) {
	file, err := os.Open(s.path)
	if err != nil {
		return "", fmt.Errorf("the file that %s names cannot be read: %w", s.variable, err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return "", fmt.Errorf("the file that %s names cannot be read: %w", s.variable, err)
	}
	key := strings.TrimSpace(string(content))
	if key == "" {
		return "", fmt.Errorf("the file %s, which %s names, is empty", s.path, s.variable)
	}
	return client.Key(key), nil
}

// requiredKey returns the source of an account's key. It reads the key once, and returns
// an error that says how to set one if that fails.
func (e *environment) requiredKey(account string) (*keySource, error) {
	source := keySourceOf(e.get, account)
	message := "No Fullstory API key is set"
	if account != "" {
		message += " for the account " + account
	}
	if source != nil {
		_, err := source.key()
		if err == nil {
			return source, nil
		}
		message = err.Error()
	} else if variable := keyVariable(account); e.isUnfilled(variable) || e.isUnfilled(variable+"_FILE") {
		message += ": the host left a placeholder such as ${...} in its place"
	}
	return nil, exports.NoKey(message, keyVariable(account))
}
