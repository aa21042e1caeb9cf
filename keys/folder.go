package keys

import "path/filepath"

// Folder returns the folder of this program's configuration for a user with that home, on
// the operating system goos: below XDG_CONFIG_HOME or ~/.config, on macOS below
// ~/Library/Application Support, on Windows below %AppData%. It returns "" if neither the
// variable nor the home is known.
func Folder(goos, home string, getenv func(string) string) string {
	const name = "fullstory-export-mcp"
	variable, below := "XDG_CONFIG_HOME", []string{".config"}
	switch goos {
	case "windows":
		variable, below = "AppData", []string{"AppData", "Roaming"}
	case "darwin":
		variable, below = "", []string{"Library", "Application Support"}
	}
	if variable != "" {
		if set := getenv(variable); filepath.IsAbs(set) {
			return filepath.Join(set, name)
		}
	}
	if home == "" {
		return ""
	}
	return filepath.Join(append(append([]string{home}, below...), name)...)
}
