package keys

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
)

// absent returns the reason why there is no keychain, or "". It keeps the D-Bus library from
// starting a bus of its own, which nobody would end.
func absent(getenv func(string) string) string {
	if address := getenv("DBUS_SESSION_BUS_ADDRESS"); address != "" && address != "autolaunch:" {
		return ""
	}
	folder := "/run/user/" + strconv.Itoa(os.Getuid())
	for _, name := range []string{"/bus", "/dbus-session"} { // where the library looks
		if _, err := os.Stat(folder + name); err == nil {
			return ""
		}
	}
	return "this system has no keychain (no D-Bus session)"
}

// isAbsent reports whether an error of D-Bus says that nothing on this machine keeps secrets.
func isAbsent(err error) bool {
	if e, ok := errors.AsType[dbus.Error](err); ok {
		return e.Name == "org.freedesktop.DBus.Error.ServiceUnknown" ||
			e.Name == "org.freedesktop.DBus.Error.NameHasNoOwner" ||
			strings.HasPrefix(e.Name, "org.freedesktop.DBus.Error.Spawn.")
	}
	if strings.Contains(err.Error(), "failed to unlock correct collection '/org/freedesktop/secrets/aliases/default'") {
		return true // there is a service without a collection, as on machines without a desktop
	}
	_, unreachable := errors.AsType[*net.OpError](err)
	return unreachable || errors.Is(err, fs.ErrNotExist)
}
