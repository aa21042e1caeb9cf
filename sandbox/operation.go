package sandbox

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"hash/fnv"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// operation is an export as the operations routes tell of it.
type operation struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Details  *string  `json:"details"` // always null for exports
	Results  *results `json:"results"`
	State    string   `json:"state"`
	Error    string   `json:"errorDetails"`
	Step     string   `json:"step,omitempty"`
	Created  string   `json:"createdAt"`
	Finished string   `json:"finishedAt,omitempty"`
	Percent  int      `json:"estimatePctComplete"`
}

type results struct {
	ID      string `json:"searchExportId"`
	Expires string `json:"expires"`
}

// microseconds is the precision of the times of operations.
const microseconds = "2006-01-02T15:04:05.000000Z"

// searchExport is the type of every operation here.
const searchExport = "SEARCH_EXPORT"

// operationID makes the operation's id of an export's, in the manner of the
// documented samples: base64 that has to be escaped in a path.
func operationID(export string) string {
	return base64.StdEncoding.EncodeToString([]byte(searchExport + ":" + export + ":1"))
}

func exportID(operation string) string {
	raw, err := base64.StdEncoding.DecodeString(operation)
	id, ok := strings.CutPrefix(string(raw), searchExport+":")
	id, whole := strings.CutSuffix(id, ":1")
	if err != nil || !ok || !whole {
		return ""
	}
	return id
}

// describe tells how x stands at now. That a cancelled export is FAILED is
// assumed: there is no state of its own.
func (s *Sandbox) describe(x export, now time.Time) operation {
	o := operation{ID: operationID(x.id), Type: searchExport, State: "PENDING", Created: x.created.UTC().Format(microseconds)}
	done := now
	if now.After(x.ends) {
		done = x.ends
	}
	if ran := done.Sub(x.starts); ran > 0 && x.duration > 0 {
		o.Percent = int(min(99, 100*ran.Seconds()/x.duration.Seconds()))
	}
	if x.does("stuck") {
		o.Percent = min(o.Percent, cmp.Or(x.fault.Percent, 60))
	}
	switch {
	case x.stopped() && !now.Before(x.cancelled):
		o.State, o.Error = "FAILED", "the export was cancelled"
		o.Finished = x.cancelled.UTC().Format(microseconds)
	case !now.Before(x.ends) && x.does("failed"):
		o.State, o.Percent = "FAILED", max(o.Percent, 1)/2
		o.Error = cmp.Or(x.fault.Message, "export could not be completed")
		o.Finished = x.ends.UTC().Format(microseconds)
	case !now.Before(x.ends) && s.failedToMake(x) != nil:
		o.State, o.Error = "FAILED", "the sandbox could not write the file: "+s.failedToMake(x).Error()
		o.Finished = x.ends.UTC().Format(microseconds)
	case !now.Before(x.ends) && !s.made(x):
		o.Percent, o.Step = 99, "writing the file"
	case !now.Before(x.ends):
		o.State, o.Percent = "COMPLETED", 100
		o.Finished = x.ends.UTC().Format(microseconds)
		o.Results = &results{ID: x.id, Expires: s.expires(x).UTC().Format(microseconds)}
	case now.Before(x.starts):
		o.Step = "waiting for a slot"
	default:
		o.Step = "exporting"
	}
	if x.does("unknown_state") && o.State == "PENDING" {
		o.State = "PAUSED_FOR_MAINTENANCE"
	}
	return o
}

// expires returns until when x can be fetched. The documentation's sample says
// some days after it finished.
func (s *Sandbox) expires(x export) time.Time { return x.ends.Add(s.config.ExportLife) }

// create accepts an export. What the documentation does not order is checked in
// the order: syntax, required fields, enums, times, segment, fields.
func (s *Sandbox) create(w http.ResponseWriter, r *http.Request, _ caller) {
	id, err := s.accept(r.Body)
	if err != nil {
		s.stats.createsRefused.Add(1)
		s.failWith(w, err)
		return
	}
	if delay := time.Duration(s.faults.get().CreateDelay); delay > 0 && !wait(r, delay) {
		return
	}
	reply(w, struct {
		OperationID string `json:"operationId"`
	}{operationID(id)})
}

func (s *Sandbox) accept(from io.Reader) (id string, err error) {
	b, err := readBody(from)
	if err != nil {
		return "", err
	}
	request, err := readRequest(b, s.config.has("strict_keys"))
	if err != nil {
		return "", err
	}
	segment := s.segment(request.Segment)
	if segment == nil {
		return "", &refusal{http.StatusNotFound, "resource_not_found", "There is no such segment."}
	}
	if err := request.checkFields(s.config.has("any_field")); err != nil {
		return "", err
	}
	random := make([]byte, 32)
	rand.Read(random)
	id = base64.RawURLEncoding.EncodeToString(random)
	duration, err := s.duration(id, request.query(segment, s.Now()))
	if err != nil {
		return "", err
	}
	e := entry{Export: id, Request: request, Duration: duration, Fault: s.faults.at(onOperation)}
	if err := s.journal.add(e, s.Now); err != nil {
		return "", err
	}
	if x, ok, err := s.journal.get(id); err == nil && ok {
		s.made(x)
	}
	return id, nil
}

// duration draws how long an export takes from the seed and its id.
func (s *Sandbox) duration(id string, q query) (time.Duration, error) {
	var rows int64
	if s.config.OpTime.rowsPerSecond > 0 {
		var err error
		if rows, err = s.data.write(s.files.ctx, io.Discard, q); err != nil {
			return 0, err
		}
	}
	h := fnv.New64a()
	h.Write([]byte(id))
	return s.config.OpTime.of(rows, mathrand.New(mathrand.NewPCG(s.config.Seed, h.Sum64()))), nil
}

func (s *Sandbox) segment(id string) *segment {
	for _, each := range s.data.segments() {
		if each.id == id {
			return each
		}
	}
	return nil
}

func (s *Sandbox) getOperation(w http.ResponseWriter, r *http.Request, _ caller) {
	x, ok, err := s.journal.get(exportID(r.PathValue("id")))
	switch {
	case err != nil:
		s.failWith(w, err)
	case !ok:
		fail(w, http.StatusNotFound, "resource_not_found", "There is no such operation.")
	default:
		reply(w, s.describe(x, s.Now()))
	}
}

// cancel stops a pending export. That a finished one cannot be cancelled is
// assumed.
func (s *Sandbox) cancel(w http.ResponseWriter, r *http.Request, _ caller) {
	s.cancelling.Lock()
	defer s.cancelling.Unlock()
	x, ok, err := s.journal.get(exportID(r.PathValue("id")))
	now := s.Now()
	switch {
	case err != nil:
		s.failWith(w, err)
	case !ok:
		fail(w, http.StatusNotFound, "resource_not_found", "There is no such operation.")
	case !now.Before(x.ends) || x.stopped():
		fail(w, http.StatusBadRequest, "operation_finished", "The operation has finished and cannot be cancelled.")
	default:
		if err := s.journal.add(entry{Export: x.id}, s.Now); err != nil {
			s.failWith(w, err)
			return
		}
		s.stats.cancels.Add(1)
		reply(w, struct{}{})
	}
}

// failWith answers with err: a refusal, or a fault of the sandbox's own.
func (s *Sandbox) failWith(w http.ResponseWriter, err error) {
	if r, ok := err.(*refusal); ok {
		fail(w, r.status, r.code, r.message)
		return
	}
	fail(w, http.StatusInternalServerError, "server_error", "The sandbox failed: "+err.Error())
}
