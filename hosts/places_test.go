package hosts

import "testing"

// TestPlaces compares the files of all hosts on three systems with what their manuals say.
func TestPlaces(t *testing.T) {
	none := map[string]string{}
	for _, test := range []struct {
		os, home string
		env      map[string]string
		want     map[string]string
	}{
		{"darwin", "/Users/ann", none, map[string]string{
			"claude-desktop": "/Users/ann/Library/Application Support/Claude/claude_desktop_config.json",
			"claude-code":    "/Users/ann/.claude.json",
			"vscode":         "/Users/ann/Library/Application Support/Code/User/mcp.json",
			"cursor":         "/Users/ann/.cursor/mcp.json",
			"windsurf":       "/Users/ann/.codeium/windsurf/mcp_config.json",
			"zed":            "/Users/ann/.config/zed/settings.json",
			"codex":          "/Users/ann/.codex/config.toml",
			"gemini":         "/Users/ann/.gemini/settings.json",
			"goose":          "/Users/ann/.config/goose/config.yaml",
		}},
		{"linux", "/home/ann", none, map[string]string{
			"claude-desktop": "/home/ann/.config/Claude/claude_desktop_config.json",
			"claude-code":    "/home/ann/.claude.json",
			"vscode":         "/home/ann/.config/Code/User/mcp.json",
			"cursor":         "/home/ann/.cursor/mcp.json",
			"windsurf":       "/home/ann/.codeium/windsurf/mcp_config.json",
			"zed":            "/home/ann/.config/zed/settings.json",
			"codex":          "/home/ann/.codex/config.toml",
			"gemini":         "/home/ann/.gemini/settings.json",
			"goose":          "/home/ann/.config/goose/config.yaml",
		}},
		{"windows", `C:\Users\Ann B`, map[string]string{"APPDATA": `D:\Roaming`}, map[string]string{
			"claude-desktop": `D:\Roaming\Claude\claude_desktop_config.json`,
			"claude-code":    `C:\Users\Ann B\.claude.json`,
			"vscode":         `D:\Roaming\Code\User\mcp.json`,
			"cursor":         `C:\Users\Ann B\.cursor\mcp.json`,
			"windsurf":       `C:\Users\Ann B\.codeium\windsurf\mcp_config.json`,
			"zed":            `D:\Roaming\Zed\settings.json`,
			"codex":          `C:\Users\Ann B\.codex\config.toml`,
			"gemini":         `C:\Users\Ann B\.gemini\settings.json`,
			"goose":          `D:\Roaming\Block\goose\config\config.yaml`,
		}},
		{"windows", `C:\Users\Ann`, none, map[string]string{
			"vscode": `C:\Users\Ann\AppData\Roaming\Code\User\mcp.json`,
		}},
		{"linux", "/home/ann", map[string]string{
			"XDG_CONFIG_HOME": "/x/config", "CODEX_HOME": "/x/codex", "CLAUDE_CONFIG_DIR": "/x/claude",
		}, map[string]string{
			"claude-desktop": "/x/config/Claude/claude_desktop_config.json", "claude-code": "/x/claude/.claude.json",
			"vscode": "/x/config/Code/User/mcp.json", "zed": "/x/config/zed/settings.json",
			"codex": "/x/codex/config.toml", "goose": "/x/config/goose/config.yaml", "cursor": "/home/ann/.cursor/mcp.json",
		}},
		{"darwin", "/Users/ann", map[string]string{"XDG_CONFIG_HOME": "relative", "APPDATA": "/no"}, map[string]string{
			"goose":  "/Users/ann/.config/goose/config.yaml",
			"vscode": "/Users/ann/Library/Application Support/Code/User/mcp.json",
		}},
	} {
		s := System{OS: test.os, Home: test.home, Getenv: func(name string) string { return test.env[name] }}
		for id, want := range test.want {
			h, ok := ByID(id)
			if got := h.File(s); !ok || got != want {
				t.Errorf("%s on %s with %v: got %s, want %s", id, test.os, test.env, got, want)
			}
		}
	}
	if _, ok := ByID("emacs"); ok {
		t.Error("emacs is a host")
	}
}
