package transport

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The content types of answers.
const (
	jsonType   = "application/json"
	streamType = "text/event-stream"
)

// accepts reports whether a request names one of the content types, which may be
// ranges such as text/*, among those it accepts.
func accepts(r *http.Request, contentTypes ...string) bool {
	for _, header := range r.Header.Values("Accept") {
		for item := range strings.SplitSeq(header, ",") {
			t, parameters, err := mime.ParseMediaType(item)
			if err != nil || !slices.Contains(contentTypes, t) {
				continue
			}
			if weight, err := strconv.ParseFloat(parameters["q"], 64); err != nil || weight > 0 {
				return true
			}
		}
	}
	return false
}

// onlyType returns the type of all answers to a client that accepts only one of the
// two: jsonType or streamType. It returns "" for other clients.
func onlyType(r *http.Request) string {
	plain := accepts(r, jsonType, "application/*", "*/*")
	streams := accepts(r, streamType, "text/*", "*/*")
	switch {
	case plain && !streams:
		return jsonType
	case streams && !plain:
		return streamType
	}
	return ""
}

// mayStream reports whether the answer to a request can be a stream, for the sake of
// the notifications before it.
func mayStream(r *http.Request) bool {
	return accepts(r, streamType) || onlyType(r) == streamType
}

// answer writes an answer, or an empty one if data is nil: as JSON, or as the only
// event of a stream if the client accepts nothing else. A client that does not read
// it within writeTime is disconnected.
func answer(w http.ResponseWriter, r *http.Request, status int, data []byte) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
	switch {
	case data == nil:
	case onlyType(r) == streamType:
		setStreamHeaders(w.Header())
		data = encodeEvent("", data)
	default:
		w.Header().Set("Content-Type", jsonType)
	}
	w.WriteHeader(status)
	w.Write(data)
}

// fail answers a request that could not be accepted with a text. A client that
// accepts only one type gets the text in a JSON-RPC error of that type.
func fail(w http.ResponseWriter, r *http.Request, status int, text string) {
	if onlyType(r) == "" {
		http.Error(w, text, status)
		return
	}
	answer(w, r, status, message{}.reject(&rejection{codeRejected, text}))
}
