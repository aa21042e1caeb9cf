package auth

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// disguise replaces the content of a file in place, so that its size, mode, inode and time
// of modification stay as they were.
func disguise(t *testing.T, path string, content []byte) {
	t.Helper()
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, before.Mode().Perm()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil || after.Size() != before.Size() ||
		!after.ModTime().Equal(before.ModTime()) || !os.SameFile(before, after) {
		t.Fatalf("the file shows that it was changed: %v, %v, %v", before, after, err)
	}
}

// TestChangeThatTheTimesHide revokes a token in a file of the same size and time.
func TestChangeThatTheTimesHide(t *testing.T) {
	t.Parallel()
	c, token, _ := newCallers(t)
	gate := Gate{Callers: c}
	raw, err := os.ReadFile(c.path)
	if err != nil {
		t.Fatal(err)
	}
	hash := hashOf(token)
	other := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '9' - r + '0'
		}
		return r
	}, hash)
	disguise(t, c.path, bytes.Replace(raw, []byte(hash), []byte(other), 1))
	if changed, err := c.Refresh(); !changed || err != nil {
		t.Errorf("reported %v, %v", changed, err)
	}
	if _, err := gate.Caller(t.Context(), "Bearer "+token); err == nil {
		t.Error("the revoked token is accepted")
	}
	if changed, err := c.Refresh(); changed || err != nil {
		t.Errorf("without a change, reported %v, %v", changed, err)
	}
}

// TestCertificateThatTheTimesHide renews a certificate in files with the times of the old ones.
func TestCertificateThatTheTimesHide(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	c := &certificate{certFile: cert, keyFile: key}
	old := selfSigned(t, cert, key)
	before, err := os.Stat(cert)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	renewed := selfSigned(t, cert, key)
	for _, path := range []string{cert, key} {
		if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
			t.Fatal(err)
		}
	}
	c.checked = c.checked.Add(-2 * certificatePause)
	if got := c.get().Certificate[0]; bytes.Equal(got, old) || !bytes.Equal(got, renewed) {
		t.Error("the old certificate is used")
	}
}
