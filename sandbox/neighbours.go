package sandbox

import "net/http"

// The routes of users and sessions are not simulated. They answer with an empty page
// in the API's form, so that clients that read them before an export can be set up.

// listUsers answers GET /v2/users.
func listUsers(w http.ResponseWriter, _ *http.Request, _ caller) {
	reply(w, struct {
		Results []struct{} `json:"results"`
		Total   string     `json:"total_records"`
	}{[]struct{}{}, "0"})
}

// listSessions answers GET /v2/sessions.
func listSessions(w http.ResponseWriter, _ *http.Request, _ caller) {
	reply(w, struct {
		Results []struct{} `json:"results"`
	}{[]struct{}{}})
}

// listSessionsV1 answers GET /sessions/v2, which belongs to version 1 of the API.
func listSessionsV1(w http.ResponseWriter, _ *http.Request, _ caller) {
	reply(w, struct {
		Sessions []struct{} `json:"sessions"`
	}{[]struct{}{}})
}
