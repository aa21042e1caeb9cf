//go:build unix

package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestQuery asks about a bulk export, in every form of answer.
func TestQuery(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs(t, t.Context(), dir, fourChunks...).says(t, "run", 0, "✓ day is complete")
	program := build(t)
	ask := func(args ...string) ran { // in a process: it starts itself as its child
		var out, errs buffer
		c := exec.Command(program, append([]string{"query", "--dir", dir}, args...)...)
		c.Stdout, c.Stderr = &out, &errs
		_ = c.Run() // its status says it
		return ran{c.ProcessState.ExitCode(), out.String(), out.String() + errs.String()}
	}
	const count = "SELECT count(*) AS n FROM rows"
	ask("day", count).says(t, "a table", 0, "n\n", "1141", "1 row in ")
	if made, err := filepath.Glob(filepath.Join(dir, "day", "parquet", "*", "*.parquet")); err != nil || len(made) != 4 {
		t.Errorf("it made %v, %v", made, err)
	}
	var answer queryAnswer
	ask("day", "SELECT EventType, UserId FROM rows WHERE day = '2026-09-01' ORDER BY EventStart LIMIT "+
		"3", "--json").lineOf(t, &answer)
	if len(answer.Rows) != 3 || len(answer.Columns) != 2 || answer.Truncated {
		t.Errorf("--json prints %+v", answer)
	}
	if got := ask("day,"+filepath.Join(dir, "day"), "SELECT 1.0 AS a, NULL AS b, 'x,\"y' AS c, count(*) AS d FROM "+
		"rows", "--csv"); got.
		stdout != "a,b,c,d\n1.0,,\"x,\"\"y\",2282\n" {
		t.Errorf("--csv prints %q", got.stdout)
	}
	ask("day", "SELECT EventType FROM rows", "--limit", "2").says(t, "a limit", 0, "2 rows in", "There are more "+
		"rows than 2")
	ask("day", "SELECT UserEmail FROM rows WHERE UserEmail LIKE '%@%' LIMIT 1").says(t, "no mask", 0, "@")
	ask("day", "SELECT count(*) FROM rows WHERE UserEmail LIKE '%@%'", "--mask", "--csv").says(t, "a mask", 0, "\n0\n")
	ask("day", "SELECT * FROM rows LIMIT 1").says(t, "many columns", 0, "row 1", "EventType")
	ask("day", "SELECT EventTyp FROM rows").says(t, "a misspelt column", 2, "Did you mean EventType?")
	ask("day", "DELETE FROM rows").says(t, "not a SELECT", 2, "Begin it with SELECT")
	ask("day", count, "--limit", "0").says(t, "no limit", 2, "--limit: got 0; give a whole number of 1 or more")
	ask("nothing", count).says(t, "an unknown name", 2, "nothing is neither a folder")
	lost, err := filepath.Glob(filepath.Join(dir, "day", "parquet", "*", "*.parquet"))
	if err != nil || os.Remove(lost[0]) != nil {
		t.Fatal(err)
	}
	source := filepath.Join(dir, "day", strings.TrimSuffix(filepath.Base(lost[0]), ".parquet")+".ndjson.gz")
	if err := os.Remove(source); err != nil {
		t.Fatal(err)
	}
	ask("day", count).says(t, "a lost file", 3, "is missing", "1 row in", "1 file could not be converted")
}
