package exports

import (
	"context"
	"errors"
	"testing"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/landing"
)

// slowConversion is a conversion that lasts until end has its error.
type slowConversion struct {
	began chan string
	end   chan error
}

func (s slowConversion) of(folder string) converter {
	return func(ctx context.Context, report func(landing.Progress)) (landing.Result, error) {
		report(landing.Progress{Bytes: 30, AllBytes: 100})
		s.began <- folder
		select {
		case err := <-s.end:
			return landing.Result{Converted: 1}, err
		case <-ctx.Done():
			return landing.Result{}, ctx.Err()
		}
	}
}

// TestLandings has calls that give up before their files are converted, and calls that wait.
func TestLandings(t *testing.T) {
	var l landings
	defer l.close()
	s := slowConversion{make(chan string, 8), make(chan error)}
	files := []archive.File{{Name: "a", SHA256: "1"}}
	impatient, stop := context.WithCancel(t.Context())
	stop()
	r, ended := l.get(impatient, "one", files, s.of("one"))
	if ended {
		t.Fatal("a call that does not wait has a result")
	}
	if began := <-s.began; began != "one" || r.percent() != 30 {
		t.Errorf("the conversion of %s is at %d %%", began, r.percent())
	}
	// Another folder waits for its turn; the same folder shares the conversion.
	second, ended := l.get(impatient, "two", files, s.of("two"))
	if ended {
		t.Error("the second folder did not wait")
	}
	if again, _ := l.get(impatient, "one", files, s.of("one")); again != r {
		t.Error("the same folder is converted twice")
	}
	s.end <- nil
	if r, ended := l.get(t.Context(), "one", files, s.of("one")); !ended || r.err != nil {
		t.Errorf("the first folder ended: %v, %v", ended, r.err)
	}
	if began := <-s.began; began != "two" {
		t.Errorf("%s is next", began)
	}
	s.end <- errors.New("the disk is full")
	<-second.done
	if r, ended := l.get(t.Context(), "one", files, s.of("one")); !ended || r.err != nil {
		t.Errorf("known files: %v, %v", ended, r.err)
	}

	// Files that failed, that changed or that somebody removed are converted again.
	for _, next := range []struct {
		folder string
		files  []archive.File
	}{{"two", files}, {"one", []archive.File{{Name: "a", SHA256: "2"}}}} {
		if _, ended := l.get(impatient, next.folder, next.files, s.of(next.folder)); ended {
			t.Errorf("%s is not converted again", next.folder)
		}
		<-s.began
		s.end <- nil
		if r, ended := l.get(t.Context(), next.folder, next.files, s.of(next.folder)); !ended || r.err != nil {
			t.Errorf("%s ended: %v, %v", next.folder, ended, r.err)
		}
	}
	l.forget("one")
	if _, ended := l.get(impatient, "one", files, s.of("one")); ended {
		t.Error("a forgotten folder is not converted again")
	}
	<-s.began
	l.close() // ends the conversion under way
	if len(l.runs) > 0 {
		t.Errorf("%d conversions are left", len(l.runs))
	}
}
