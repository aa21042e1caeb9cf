package keys

import (
	"errors"

	"golang.org/x/sys/windows"
)

// absent returns "": Windows always has its Credential Manager.
func absent(func(string) string) string { return "" }

// isAbsent reports whether the process has no session of a user, as some services.
func isAbsent(err error) bool { return errors.Is(err, windows.ERROR_NO_SUCH_LOGON_SESSION) }
