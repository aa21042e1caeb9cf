package plan

import (
	"archive/zip"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestZones(t *testing.T) {
	for name, says := range map[string]string{
		"": "name a zone", "Local": "name a zone", "local": "name a zone", "localtime": "name a zone",
		"Factory":         "name a zone",
		"Europe/Atlantis": "no zone", "CEST": "abbreviation", "../etc/passwd": "no zone", "/etc/passwd": "no zone",
		"berlin": "did you mean Europe/Berlin?", "Europe/Berlim": "did you mean Europe/Berlin?",
		"America/Berlin": "Europe/Berlin",
		"new york":       "America/New_York", "Sao Paolo": "America/Sao_Paulo", "gmt+5": "abbreviation", "+02:00": "offset",
		"EST": "America/New_York", "right/Europe/Berlin": "Europe/Berlin", strings.Repeat("x", 1<<20): "name a zone",
	} {
		var rejected *Error
		if z, err := Zone(name); !errors.As(err, &rejected) || rejected.Field != "timezone" ||
			!strings.Contains(rejected.Message, says) || len(err.Error()) > 300 {
			t.Errorf("%.50q: got %v, %.300v, want %s", name, z, err, says)
		}
	}
	for name, want := range map[string]string{"UTC": "UTC", "utc": "UTC", "Europe/Berlin": "Europe/Berlin",
		"europe/BERLIN": "Europe/Berlin", "america/new york": "America/New_York",
		"america/port-au-prince": "America/Port-au-Prince", "gmt": "GMT", " Asia/Kolkata ": "Asia/Kolkata",
		"EST5EDT": "EST5EDT"} {
		if z, err := Zone(name); err != nil || z.String() != want {
			t.Errorf("%q: got %v, %v", name, z, err)
		}
	}
}

var update = flag.Bool("update", false, "rewrite zones.txt from the Go distribution")

// TestZoneList compares zones.txt with the zones of the Go distribution that runs
// the test. It is skipped if the distribution has no zoneinfo.zip.
func TestZoneList(t *testing.T) {
	root, _ := exec.Command("go", "env", "GOROOT").Output()
	files, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Skipf("the Go distribution has no zoneinfo.zip: %v", err)
	}
	defer files.Close()
	var names []string
	for _, f := range files.File {
		if !strings.HasSuffix(f.Name, "/") {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	want := strings.Join(names, "\n") + "\n"
	if *update {
		if err := os.WriteFile("zones.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if zoneNames != want {
		t.Error("zones.txt differs from the Go distribution; run: go test ./plan -run ZoneList -update")
	}
	for _, name := range names {
		if z, err := Zone(strings.ToUpper(name)); unfit[name] == "" && (err != nil || z.String() != name && z != time.UTC) {
			t.Errorf("%s in capitals: %v, %v", name, z, err)
		}
	}
}
