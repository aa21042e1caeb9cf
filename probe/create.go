package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"time"

	"fullstory-export-mcp/client"
)

// Lengths and times of the exports. fewRows is the length of the one with all columns.
const (
	anHour  = time.Hour
	fewRows = 5 * time.Minute
)

// emptyHour is the start of an hour without rows: Fullstory was founded later.
func emptyHour() time.Time { return time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC) }

// body is the body of a create.
type body map[string]any

// eventsOf returns the create of an export of all events of a window.
func eventsOf(format string, start, end time.Time, fields ...string) body {
	window := map[string]string{"start": start.UTC().Format(time.RFC3339Nano), "end": end.UTC().Format(time.RFC3339Nano)}
	b := body{
		"segmentId": "everyone", "type": "TYPE_EVENT", "format": format, "timeRange": window, "segmentTimeRange": window,
	}
	if len(fields) > 0 {
		b["fields"] = fields
	}
	return b
}

// with returns a copy of the body with a member set, or without it if value is nil.
func (b body) with(key string, value any) body {
	b = maps.Clone(b)
	b[key] = value
	if value == nil {
		delete(b, key)
	}
	return b
}

// made are the operations of the exports; one is empty if its create was rejected.
type made struct{ ndjson, csvVars, individuals, cancelled string }

// makeExports sends the creates that do not depend on the rows of another one, and cancels
// those that are made only to see whether they are accepted.
func (p *prober) makeExports(ctx context.Context) error {
	hour := eventsOf("FORMAT_NDJSON", p.Hour, p.Hour.Add(anHour), "EventStart", "EventType", "UserId")
	var m made
	var err error
	if m.ndjson, _, err = p.create(ctx, "", hour); err != nil {
		return err
	}
	if err := p.checkListed(ctx, m.ndjson); err != nil {
		return err
	}
	if m.cancelled, err = p.try(ctx, "strict_keys", true, hour.with("probeUnknownKey", true)); err != nil {
		return err
	}
	if err := p.cancel(ctx, m.cancelled); err != nil {
		return err
	}
	unknown := hour.with("fields", []string{"EventStart", "ProbeUnknownField"})
	if err := p.tryAndCancel(ctx, "any_field", unknown); err != nil {
		return err
	}
	if err := p.tryAndCancel(ctx, "optional_range", hour.with("timeRange", nil)); err != nil {
		return err
	}
	people := hour.with("type", "TYPE_INDIVIDUAL").with("format", "FORMAT_JSON").with("fields", nil).
		with("eventDetails", map[string]string{"scope": "SCOPE_EVENTS"})
	if m.individuals, err = p.try(ctx, "strict_individuals", true, people); err != nil {
		return err
	}
	m.csvVars, _, err = p.create(ctx, "", eventsOf("FORMAT_CSV", p.Hour, p.Hour.Add(fewRows)))
	p.made = m
	return err
}

// try sends a create and checks whether it is accepted. It returns the id of its operation.
func (p *prober) try(ctx context.Context, id string, accepted bool, b body) (operation string, err error) {
	operation, a, err := p.create(ctx, id, b)
	if err == nil {
		p.check(id, (operation != "") == accepted, "the create is answered %d", a.Status)
	}
	return operation, err
}

// tryAndCancel checks that a create is rejected, and cancels its export if it is not.
func (p *prober) tryAndCancel(ctx context.Context, id string, b body) error {
	operation, err := p.try(ctx, id, false, b)
	if err != nil || operation == "" {
		return err
	}
	a, err := p.ask(ctx, cancelRequest(operation))
	if a.Status/100 == 2 {
		p.running = slices.DeleteFunc(p.running, func(id string) bool { return id == operation })
	}
	return err
}

// create sends one of MaxCreates creates. The operation is empty if it was rejected. what is
// the assumption that it checks, if it checks one.
func (p *prober) create(ctx context.Context, what string, b body) (operation string, a answer, err error) {
	if p.creates == MaxCreates {
		return "", answer{}, fmt.Errorf("%d creates are sent", MaxCreates)
	}
	p.creates++
	a, err = p.ask(ctx, client.RawRequest{
		Op: "probe a create", Method: http.MethodPost, Path: []string{"segments", "v1", "exports"}, Body: b,
	})
	if err != nil {
		return "", a, err
	}
	operation = a.text("operationId")
	if a.Status/100 != 2 || operation == "" {
		p.Progress(fmt.Sprintf("A create was rejected with %d%s", a.Status, asExpected(what)))
		return "", a, nil
	}
	p.running = append(p.running, operation)
	request, err := json.Marshal(b)
	if err == nil {
		err = p.Created(ctx, operation, request)
	}
	if err != nil {
		return "", a, &createdError{err}
	}
	alone := a.Status == http.StatusOK && len(a.members) == 1
	p.check("create_answer", alone, "%d, %d keys in all", a.Status, len(a.members))
	p.check("operation_id", base64ID.MatchString(operation), "%d characters", len(operation))
	return operation, a, nil
}

// asExpected says that a rejection is what the probe looks for, if it is.
func asExpected(what string) string {
	if what == "any_field" || what == "optional_range" {
		return ", as expected"
	}
	return ""
}

var base64ID = regexp.MustCompile(`^[A-Za-z0-9+/_-]+={0,2}$`)

// checkListed looks for a new operation in the list, and at the order of that.
func (p *prober) checkListed(ctx context.Context, operation string) error {
	if operation == "" {
		return nil
	}
	operations, more, err := p.listOperations(ctx)
	if err != nil {
		return err
	}
	listed := slices.ContainsFunc(operations, func(o map[string]json.RawMessage) bool {
		return textOf(o["id"]) == operation
	})
	if !listed && more { // an older one may be on the first page
		p.skip("it is not on the first page", "listed_at_once")
		return nil
	}
	p.check("listed_at_once", listed, "")
	return nil
}
