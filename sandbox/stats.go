package sandbox

import "sync/atomic"

// stats count what this process received.
type stats struct {
	requests, createsRefused, cancels, downloads, refused429 atomic.Int64
}

// report is the answer of /sandbox/stats. What was accepted is counted over
// all processes that share the state.
type report struct {
	Requests        int64 `json:"requests"` // to routes of the API, refused ones included
	CreatesAccepted int   `json:"creates_accepted"`
	CreatesRefused  int64 `json:"creates_refused"`
	Windows         int   `json:"windows"` // distinct segment and time range among the accepted
	Cancels         int64 `json:"cancels"`
	Downloads       int64 `json:"downloads"`
	Refused429      int64 `json:"refused_429"`
	RunningMax      int   `json:"running_max"` // exports that ran at once
}

func (s *Sandbox) report() report {
	exports, most, err := s.journal.all()
	if err != nil {
		panic(err)
	}
	type asked struct {
		segment string
		exports requestRange
	}
	windows := map[asked]bool{}
	for _, x := range exports {
		windows[asked{x.request.Segment, x.request.Exports}] = true
	}
	return report{
		Requests: s.stats.requests.Load(), CreatesAccepted: len(exports), CreatesRefused: s.stats.createsRefused.Load(),
		Windows: len(windows), Cancels: s.stats.cancels.Load(), Downloads: s.stats.downloads.Load(),
		Refused429: s.stats.refused429.Load(), RunningMax: most,
	}
}
