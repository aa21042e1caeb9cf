package hosts

import "strings"

// System is where the files of a user are.
type System struct {
	OS     string              // as runtime.GOOS
	Home   string              // the user's home
	Getenv func(string) string // the environment
}

// join joins the parts of a path as the system writes it.
func (s System) join(parts ...string) string {
	if s.OS == "windows" {
		return strings.Join(parts, `\`)
	}
	return strings.Join(parts, "/")
}

// settings returns the folder in which programs keep the settings of a user.
func (s System) settings() string {
	switch s.OS {
	case "windows":
		if folder := s.Getenv("APPDATA"); folder != "" {
			return folder
		}
		return s.join(s.Home, "AppData", "Roaming")
	case "darwin":
		return s.join(s.Home, "Library", "Application Support")
	}
	return s.xdg()
}

// xdg returns the folder of settings that Linux has, and some programs on macOS.
func (s System) xdg() string {
	if folder := s.Getenv("XDG_CONFIG_HOME"); strings.HasPrefix(folder, "/") {
		return folder
	}
	return s.join(s.Home, ".config")
}

// below returns a place in a folder of the user's home. A variable may name another
// folder in its place.
func below(variable, folder string, parts ...string) func(System) string {
	return func(s System) string {
		if variable != "" && s.Getenv(variable) != "" {
			return s.join(append([]string{s.Getenv(variable)}, parts...)...)
		}
		return s.join(append([]string{s.Home, folder}, parts...)...)
	}
}

func claudeDesktop(s System) string {
	return s.join(s.settings(), "Claude", "claude_desktop_config.json")
}

func claudeCode(s System) string {
	if folder := s.Getenv("CLAUDE_CONFIG_DIR"); folder != "" {
		return s.join(folder, ".claude.json")
	}
	return s.join(s.Home, ".claude.json")
}

func visualStudioCode(s System) string { return s.join(s.settings(), "Code", "User", "mcp.json") }

// zed returns Zed's file, which on macOS is where Linux has it.
func zed(s System) string {
	switch s.OS {
	case "windows":
		return s.join(s.settings(), "Zed", "settings.json")
	case "darwin":
		return s.join(s.Home, ".config", "zed", "settings.json")
	}
	return s.join(s.xdg(), "zed", "settings.json")
}

// goose returns Goose's file, which on macOS is where Linux has it.
func goose(s System) string {
	if s.OS == "windows" {
		return s.join(s.settings(), "Block", "goose", "config", "config.yaml")
	}
	return s.join(s.xdg(), "goose", "config.yaml")
}
