package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzAnswers gives every call an answer, and checks every string and time of the result
// and of the error: see checkValue.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		`{"orgId":"ORG","email":"ana@example.com","role":"ARCHITECT"}`,
		`{"segments":[{"id":"a b","name":"[x](http://y)","creator":"\u202e",` +
			`"created":"2026-10-01T00:00:00Z","url":"https://y/"}],` +
			`"nextPaginationToken":"{\"a\":1}"}`,
		`{"operations":[{"id":"a","state":"odd","type":"T","step":"<img src=x>","errorDetails":"\u3164",` +
			`"createdAt":"9999-01-01T00:00:00Z",` +
			`"results":{"searchExportId":"![x](y)","expires":"0001-01-01T00:00:00Z"}}]}`,
		`{"id":"` + strings.Repeat("x", 501) + `","state":"COMPLETED","results":{"searchExportId":"x"}}`,
		`{"operationId":"www.evil.example","error":"` + canary + `"}`,
		`{"location":"https://x/![a](b)\u200b ","expires":"2026-10-01T00:00:00Z"}`,
		`{"code":"other_organization","message":"&#x202e;","errors":[{"message":"a"}],"error":{"message":"b"}}`,
		`<html>` + canary, `bmExLmM0bjRyeS1kMC1uMHQtbDM0ay9DTlJZ`, `{"a":[[[[`, ``, `null`,
	} {
		f.Add(uint16(200), []byte(body))
		f.Add(uint16(400), []byte(body))
	}
	f.Add(uint16(503), []byte("\xff\u0301\u0301\u0301\u0301\u0301\u0301"))
	calls := callsOf()
	f.Fuzz(func(t *testing.T, status uint16, body []byte) {
		api := &recorder{script: []answer{{status: 200 + int(status%400), body: string(body)}}}
		for name, call := range calls {
			c := newClient(t, Options{BaseURL: "http://127.0.0.1:1", Transport: api, Tries: 1})
			result, err := call(t.Context(), c)
			checkValue(t, name, "", reflect.ValueOf(result))
			var failed *Error
			if err == nil {
				continue
			}
			if !errors.As(err, &failed) {
				t.Fatalf("%s failed with %T: %v", name, err, err)
			}
			for _, text := range []string{failed.Code, failed.Message, failed.Words(), failed.Error()} {
				checkText(t, name+": error", text, textLimit+100)
			}
		}
	})
}

// callsOf returns every call of the API by its name.
func callsOf() map[string]func(context.Context, *Client) (any, error) {
	return map[string]func(context.Context, *Client) (any, error){
		"me":        func(ctx context.Context, c *Client) (any, error) { return c.Me(ctx) },
		"segment":   func(ctx context.Context, c *Client) (any, error) { return c.Segment(ctx, "a") },
		"operation": func(ctx context.Context, c *Client) (any, error) { return c.Operation(ctx, "a") },
		"results":   func(ctx context.Context, c *Client) (any, error) { return c.ExportResults(ctx, "a") },
		"cancel":    func(ctx context.Context, c *Client) (any, error) { return nil, c.CancelOperation(ctx, "a") },
		"segments": func(ctx context.Context, c *Client) (any, error) {
			p, err := c.Segments(ctx, SegmentQuery{Limit: 2})
			return p, atMost(len(p.Segments), 2, err)
		},
		"operations": func(ctx context.Context, c *Client) (any, error) {
			p, err := c.Operations(ctx, OperationQuery{Limit: 2})
			return p, atMost(len(p.Operations), 2, err)
		},
		"create": func(ctx context.Context, c *Client) (any, error) {
			return c.CreateSegmentExport(ctx, ExportRequest{SegmentID: "a", Type: TypeEvent})
		},
	}
}

func atMost(n, most int, err error) error {
	if n > most {
		return fmt.Errorf("%d items, want at most %d", n, most)
	}
	return err
}

// checkValue checks every string and time in a result. field is the name of the one that
// v is in.
func checkValue(t *testing.T, name, field string, v reflect.Value) {
	t.Helper()
	switch at, isTime := timeOf(v); {
	case isTime && !at.IsZero() && (at.Year() < 2000 || at.Year() > 2199):
		t.Errorf("%s: %s is %v", name, field, at)
	case isTime || !v.IsValid():
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			checkValue(t, name, v.Type().Field(i).Name, v.Field(i))
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			checkValue(t, name, field, v.Index(i))
		}
	case v.Kind() == reflect.String:
		checkField(t, name, field, v.String())
	}
}

func timeOf(v reflect.Value) (time.Time, bool) {
	if !v.IsValid() || !v.CanInterface() {
		return time.Time{}, false
	}
	at, ok := v.Interface().(time.Time)
	return at, ok
}

// checkField checks a string by the field that it is in; "" is the id of an operation.
func checkField(t *testing.T, name, field, s string) {
	t.Helper()
	where := name + ": " + field
	switch field {
	case "", "ID", "ExportID", "OrgID", "Next":
		if s != "" && !isToken(s, cursorLimit) || len(s) > idLimit && field != "Next" {
			t.Errorf("%s is not a token: %q", where, s)
		}
	case "State", "Type", "Role":
		if known := " " + Unknown + " PENDING COMPLETED FAILED " + strings.Join(append(roles, operationTypes...), " ") +
			" "; s != "" && !strings.Contains(known, " "+s+" ") {
			t.Errorf("%s is %q", where, s)
		}
	case "URL":
		checkURL(t, where, s, name != "results")
	case "KeyHash":
	default:
		checkText(t, where, s, textLimit)
	}
}

// checkURL checks a link, and that it leads to a web page if it has to.
func checkURL(t *testing.T, where, s string, web bool) {
	t.Helper()
	u, err := url.Parse(s)
	if web && s != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		t.Errorf("%s is %q", where, s)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) || strings.Contains(s, "](") ||
		strings.Contains(s, canary) || len(s) > 3*fileLimit {
		t.Errorf("%s is %q", where, s)
	}
}

func checkText(t *testing.T, where, s string, limit int) {
	t.Helper()
	if wrong := dangerous(s); wrong != "" || strings.Contains(s, canary) || utf8.RuneCountInString(s) > limit {
		t.Errorf("%s %s: %q", where, wrong, s)
	}
}
