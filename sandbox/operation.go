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

// operation is the JSON of an export in the answers of the operations routes.
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

// results is the part of a completed operation that leads to its file.
type results struct {
	ID      string `json:"searchExportId"`
	Expires string `json:"expires"`
}

// microseconds is the layout of the times of operations.
const microseconds = "2006-01-02T15:04:05.000000Z"

// searchExport is the type of every operation here.
const searchExport = "SEARCH_EXPORT"

// operationID returns the id of an export's operation. Like the documented samples
// it is base64 that must be escaped in a path.
func operationID(export string) string {
	return base64.StdEncoding.EncodeToString([]byte(searchExport + ":" + export + ":1"))
}

// oddID returns the id as changed by a fault of the export (nil: unchanged).
func oddID(id string, f *Fault) string {
	if f == nil {
		return id
	}
	switch f.Do {
	case "id_spaces":
		return "export " + id + " "
	case "id_accent":
		return "opération-" + id
	case "id_newline":
		return id + "\n1"
	case "id_long":
		return id + strings.Repeat("A", max(0, 2048-len(id)))
	}
	return id
}

// describe returns the operation of x at now. Assumed: a cancelled export is FAILED,
// because no other state is documented.
func (s *Sandbox) describe(x export, now time.Time) operation {
	o := operation{ID: x.operation, Type: searchExport, State: "PENDING", Created: x.created.UTC().Format(microseconds)}
	done := now
	if now.After(x.ends) {
		done = x.ends
	}
	if ran := done.Sub(x.starts); ran > 0 && x.duration > 0 {
		o.Percent = int(min(99, 100*ran.Seconds()/x.duration.Seconds()))
	}
	if x.hasFault("stuck", now) {
		o.Percent = min(o.Percent, cmp.Or(x.fault.Percent, 60))
	}
	switch {
	case x.isCancelled() && !now.Before(x.cancelled):
		o.State, o.Error = s.cancelledState(), "the export was cancelled"
		o.Finished = x.cancelled.UTC().Format(microseconds)
	case !now.Before(x.ends) && x.fails():
		o.State, o.Percent = "FAILED", max(o.Percent, 1)/2
		o.Error = cmp.Or(x.fault.Message, "export could not be completed")
		o.Finished = x.ends.UTC().Format(microseconds)
	case !now.Before(x.ends) && s.fileError(x) != nil:
		o.State, o.Error = "FAILED", "the sandbox could not write the file: "+s.fileError(x).Error()
		o.Finished = x.ends.UTC().Format(microseconds)
	case !now.Before(x.ends) && !s.ensureFile(x):
		o.Percent, o.Step = 99, "writing the file"
	case !now.Before(x.ends):
		o.State, o.Percent = "COMPLETED", 100
		o.Finished = x.ends.UTC().Format(microseconds)
		o.Results = &results{ID: x.search, Expires: s.expires(x).UTC().Format(microseconds)}
	case now.Before(x.starts):
		o.Step = "waiting for a slot"
	default:
		o.Step = "exporting"
	}
	if x.hasFault("unknown_state", now) && o.State == "PENDING" {
		o.State = "PAUSED_FOR_MAINTENANCE"
	}
	return o
}

// cancelledState returns the state of a cancelled export.
func (s *Sandbox) cancelledState() string {
	if s.config.has(cancelledState) {
		return "CANCELLED"
	}
	return "FAILED"
}

// expires returns the time until which the file of x can be fetched. In the
// documentation's sample it is some days after the end.
func (s *Sandbox) expires(x export) time.Time { return x.ends.Add(s.inClock(s.config.ExportLife)) }

// create accepts an export. Where the documentation gives no order, it checks
// syntax, required fields, enums, times, segment and fields, in this order.
func (s *Sandbox) create(w http.ResponseWriter, r *http.Request, _ caller) {
	id, err := s.accept(r.Body)
	if err != nil {
		s.stats.createsRejected.Add(1)
		s.failWith(w, err)
		return
	}
	if delay := time.Duration(s.faults.get().CreateDelay); delay > 0 && !wait(r, delay) {
		return
	}
	reply(w, struct {
		OperationID string `json:"operationId"`
	}{id})
}

// accept reads a request, records it in the journal as an export, starts to write
// its file, and returns the id of its operation.
func (s *Sandbox) accept(from io.Reader) (string, error) {
	b, err := readBody(from)
	if err != nil {
		return "", err
	}
	request, err := readRequest(b, s.config, s.Now())
	if err != nil {
		return "", err
	}
	segment := s.segment(request.Segment)
	if segment == nil {
		return "", &rejection{http.StatusNotFound, "resource_not_found", "There is no such segment."}
	}
	if err := request.readFields(s.config); err != nil {
		return "", err
	}
	random := make([]byte, 32)
	rand.Read(random)
	id := base64.RawURLEncoding.EncodeToString(random)
	duration, err := s.duration(id, s.config.query(request, segment, s.Now()))
	if err != nil {
		return "", err
	}
	e := entry{Export: id, Request: request, Duration: duration, Fault: s.faults.at(onOperation, segment)}
	if e.Fault != nil {
		e.FaultLasts = e.Fault.remaining
	}
	if err := s.journal.add(e, s.Now); err != nil {
		return "", err
	}
	if x, ok, err := s.journal.get(id); err == nil && ok {
		s.ensureFile(x)
	}
	return oddID(operationID(id), e.Fault), nil
}

// duration returns how long an export takes. It depends on the seed, the export's id
// and, with a rate of rows, on the number of rows, which it counts by writing them
// to nowhere.
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
	return s.inClock(s.config.OpTime.of(rows, mathrand.New(mathrand.NewPCG(s.config.Seed, h.Sum64())))), nil
}

// segment returns the segment with this id, or nil.
func (s *Sandbox) segment(id string) *segment {
	for _, each := range s.data.segments() {
		if each.id == id {
			return each
		}
	}
	return nil
}

// getOperation answers with one operation, or with the fault of reading it.
func (s *Sandbox) getOperation(w http.ResponseWriter, r *http.Request, _ caller) {
	x, ok, err := s.journal.ofOperation(r.PathValue("id"))
	switch {
	case err != nil:
		s.failWith(w, err)
	case !ok:
		fail(w, http.StatusNotFound, "resource_not_found", "There is no such operation.")
	case x.hasFault("status_500", s.Now()) || x.hasFault("status_500_unlisted", s.Now()):
		w.Header().Set("Sandbox-Fault", x.fault.Do)
		s.answerInstead(x.fault, "500", w, r)
	default:
		reply(w, s.describe(x, s.Now()))
	}
}

// cancel stops a pending export. Assumed: a finished one cannot be cancelled.
func (s *Sandbox) cancel(w http.ResponseWriter, r *http.Request, _ caller) {
	s.cancelling.Lock()
	defer s.cancelling.Unlock()
	x, ok, err := s.journal.ofOperation(r.PathValue("id"))
	now := s.Now()
	switch {
	case err != nil:
		s.failWith(w, err)
	case !ok:
		fail(w, http.StatusNotFound, "resource_not_found", "There is no such operation.")
	case !now.Before(x.ends) || x.isCancelled():
		fail(w, http.StatusBadRequest, "operation_finished", "The operation has finished and cannot be cancelled.")
	default:
		if err := s.journal.add(entry{Export: x.id}, s.Now); err != nil {
			s.failWith(w, err)
			return
		}
		s.stats.cancels.Add(1)
		s.stats.ofSegment(s.segment(x.request.Segment)).cancels.Add(1)
		reply(w, struct{}{})
	}
}

// failWith answers with err: a *rejection with its status, any other error with 500.
func (s *Sandbox) failWith(w http.ResponseWriter, err error) {
	if r, ok := err.(*rejection); ok {
		fail(w, r.status, r.code, r.message)
		return
	}
	fail(w, http.StatusInternalServerError, "server_error", "The sandbox failed: "+err.Error())
}
