package sandbox

import (
	"net/http"
	"sync"
	"sync/atomic"
)

// stats counts the requests that this process received. It is safe for concurrent
// use.
type stats struct {
	requests, createsRejected, cancels, downloads, throttled atomic.Int64

	segments sync.Map // *segmentStats by the id of the segment
}

// segmentStats counts the requests that this process received for one segment.
type segmentStats struct{ creates, cancels, downloads atomic.Int64 }

// noSegment is the id under which requests without a known segment are counted.
const noSegment = "unknown"

// ofSegment returns the counts of a segment, or of requests without one (nil).
func (s *stats) ofSegment(of *segment) *segmentStats {
	id := noSegment
	if of != nil {
		id = of.id
	}
	counts, _ := s.segments.LoadOrStore(id, &segmentStats{})
	return counts.(*segmentStats)
}

// received counts a request to the API for a segment, or for none (nil), before it
// is known whether it will be accepted.
func (s *stats) received(place, method string, of *segment) {
	if place == onCreate && method == http.MethodPost {
		s.ofSegment(of).creates.Add(1)
	}
}

// report is the answer of /sandbox/stats without the counts by segment. Accepted
// exports are counted over all processes that share the state, everything else by
// this process alone.
type report struct {
	Requests        int64 `json:"requests"` // to routes of the API, including rejected ones
	CreatesAccepted int   `json:"creates_accepted"`
	CreatesRejected int64 `json:"creates_refused"`
	Windows         int   `json:"windows"` // distinct segment and time range among the accepted
	Cancels         int64 `json:"cancels"`
	Downloads       int64 `json:"downloads"`
	Throttled       int64 `json:"refused_429"`
	RunningMax      int   `json:"running_max"` // the most exports that run at once
}

// segmentReport is the counts of one segment in /sandbox/stats.
type segmentReport struct {
	Creates         int64 `json:"creates"` // every POST that was received, whatever the answer
	CreatesAccepted int   `json:"creates_accepted"`
	Windows         int   `json:"windows"` // distinct time ranges among the accepted
	Cancels         int64 `json:"cancels"`
	Downloads       int64 `json:"downloads"`
}

// fullReport is the answer of /sandbox/stats.
type fullReport struct {
	report
	BySegment map[string]segmentReport `json:"by_segment"` // by the segment's id
}

// requestedWindow is a segment with a requested time range.
type requestedWindow struct {
	segment string
	exports requestRange
}

// fullReport returns the current counts. It panics if the journal cannot be read;
// ServeHTTP answers that with 500.
func (s *Sandbox) fullReport() fullReport {
	exports, most, err := s.journal.all()
	if err != nil {
		panic(err)
	}
	windows, segments := map[requestedWindow]bool{}, map[string]segmentReport{}
	s.stats.segments.Range(func(id, counted any) bool {
		c := counted.(*segmentStats)
		segments[id.(string)] = segmentReport{
			Creates: c.creates.Load(), Cancels: c.cancels.Load(), Downloads: c.downloads.Load(),
		}
		return true
	})
	for _, x := range exports {
		of, asked := segments[x.request.Segment], requestedWindow{x.request.Segment, x.request.Exports}
		of.CreatesAccepted++
		if !windows[asked] {
			windows[asked] = true
			of.Windows++
		}
		segments[x.request.Segment] = of
	}
	return fullReport{BySegment: segments, report: report{
		Requests:        s.stats.requests.Load(),
		CreatesAccepted: len(exports),
		CreatesRejected: s.stats.createsRejected.Load(),
		Windows:         len(windows),
		Cancels:         s.stats.cancels.Load(),
		Downloads:       s.stats.downloads.Load(),
		Throttled:       s.stats.throttled.Load(),
		RunningMax:      most,
	}}
}
