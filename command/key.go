package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/keys"
	"fullstory-export-mcp/local"
)

const (
	// keyFileMaxAge is how long the content of a key file is used before the file is
	// read again.
	keyFileMaxAge = time.Second
	// keyPipeTime is how long the program waits for a key from a pipe, whose writer may ask
	// a person for a password.
	keyPipeTime = time.Minute
	// maxKeyFile is how much of a key file is read, in bytes. A key has about 100.
	maxKeyFile = 64 << 10
)

// keySource is where the API key of an account is configured: an environment
// variable, a file that a variable names, or where login kept it. It is safe for
// concurrent use.
type keySource struct {
	variable string                     // "" if login kept the key
	account  string                     // if login kept it
	value    client.Key                 // value of the variable, or what the keychain has; empty if path is set
	path     string                     // file that the variable names, or that of login, or ""
	kept     func() (client.Key, error) // reads the file of login; nil if a variable names path
	form     bool                       // variable has what the user entered in a form of the host
	done     <-chan struct{}            // closed when the program is to end

	mu   sync.Mutex // guards what follows, and is held while the file is read
	read time.Time  // when the file was last read
	last client.Key // result of that reading
	err  error
}

// keySource returns the source of an account's key, or nil if none is configured. The
// variable with the key wins over the one with a file, and both win over login, of whose
// places the file is first. A source that is returned with an error is one that could not
// be looked at.
func (e *environment) keySource(account string) (*keySource, error) {
	if source := e.variableSource(account); source != nil || e.keys == nil {
		return source, nil
	}
	if path := e.keys.Path(account); path != "" {
		if _, err := os.Lstat(path); err == nil {
			read := func() (client.Key, error) { return e.keys.FromFile(account) }
			return &keySource{account: account, path: path, kept: read}, nil
		}
	}
	if found, ok := e.inKeychain.Load(account); ok {
		return found.(*keySource), nil
	}
	switch key, err := e.keys.FromKeychain(account); {
	case errors.Is(err, keys.ErrNone):
		return nil, nil
	case err != nil:
		return nil, err
	default:
		source := &keySource{account: account, value: key}
		e.inKeychain.Store(account, source)
		return source, nil
	}
}

// variableSource returns the source of an account's key among the variables; nil if none
// is set.
func (e *environment) variableSource(account string) *keySource {
	variable := keyVariable(account)
	if key := strings.TrimSpace(e.get(variable)); key != "" {
		return &keySource{variable: variable, value: client.Key(key), form: e.inBundle()}
	}
	if path := e.get(variable + "_FILE"); path != "" {
		return &keySource{variable: variable + "_FILE", path: path, done: e.done}
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

// String returns the variable, and the file that it names, or where login kept the key, or
// where a form has it; never the key.
func (s *keySource) String() string {
	switch {
	case s.form:
		return "the settings of this extension"
	case s.variable == "":
		return exports.SourceOfLogin(s.account, keys.Kept{Path: s.path}.String())
	case s.path == "":
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

// readFile returns the content of the file, without surrounding space. Its owner is not
// checked: a secret that Docker or Kubernetes puts into a container may have any.
func (s *keySource) readFile() (client.Key, error) {
	if s.kept != nil {
		return s.kept()
	}
	var content []byte
	var err error
	if isDescriptor(s.path) {
		content, err = s.readDescriptor()
	} else {
		content, err = local.ReadFile(s.path, maxKeyFile)
	}
	if err != nil {
		return "", fmt.Errorf("the file that %s names cannot be read: %w", s.variable, err)
	}
	key := strings.TrimSpace(string(content))
	if key == "" {
		return "", fmt.Errorf("the file %s, which %s names, is empty", s.path, s.variable)
	}
	return client.Key(key), nil
}

// isDescriptor reports whether path is a file that the process inherited, such as the pipe
// of a command whose output is the key: FULLSTORY_API_KEY_FILE=<(command).
func isDescriptor(path string) bool {
	return strings.HasPrefix(path, "/dev/fd/") || strings.HasPrefix(path, "/proc/self/fd/")
}

// readDescriptor reads a key from an inherited file, which may be a pipe. It waits up to
// keyPipeTime for the whole key, and no longer than the program is to run.
func (s *keySource) readDescriptor() ([]byte, error) {
	file, err := local.OpenPipe(s.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if file.SetReadDeadline(time.Now().Add(keyPipeTime)) == nil { // it is a pipe
		finished := make(chan struct{})
		defer close(finished)
		go func() {
			select {
			case <-s.done:
				file.SetReadDeadline(time.Now())
			case <-finished:
			}
		}()
	}
	content, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("no key arrived in time from %s", s.path)
	}
	return content, err
}

// requiredKey returns the source of an account's key. It reads the key once, and returns
// an error that says how to set one if that fails.
func (e *environment) requiredKey(account string) (*keySource, error) {
	missing := exports.MissingKey{
		Variable: keyVariable(account), Account: account, Program: shownProgram(), Form: e.inBundle(),
	}
	source, err := e.keySource(account)
	if err == nil && source != nil {
		if _, err = source.key(); err == nil {
			return source, nil
		}
	}
	message := "No Fullstory API key is set"
	if account != "" {
		message += " for the account " + account
	}
	keychain, ok := errors.AsType[*keys.KeychainError](err)
	switch {
	case ok && keychain.Silent:
		return nil, missing.Locked(keychain)
	case ok:
		return nil, missing.Because(message + ", and " + keychain.Reason)
	case err != nil:
		return nil, missing.Because(err.Error())
	}
	if variable := keyVariable(account); !missing.Form && (e.isUnfilled(variable) || e.isUnfilled(variable+"_FILE")) {
		message += ": the host left a placeholder such as ${...} in its place"
	}
	return nil, missing.Because(message)
}

// shownProgram returns the path of this program for a shell: absolute, because a host may have
// brought the program; "" if the path is gone when the program ends.
func shownProgram() string {
	path, err := programPath()
	if err != nil {
		return ""
	}
	return shellWord(path)
}
