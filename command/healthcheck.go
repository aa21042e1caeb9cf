package command

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// healthcheckCommand is `healthcheck`, for containers that have no other program to
// send a request.
type healthcheckCommand struct {
	URL string `arg:"" optional:"" default:"http://127.0.0.1:8931/healthz" help:"Address to send the request to."`
}

// Run fails if the server does not answer 200 within three seconds.
func (h *healthcheckCommand) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
	if err != nil {
		return &exitError{statusUsage, err}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", h.URL, answer.Status)
	}
	return nil
}
