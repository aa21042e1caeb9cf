package client

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
)

// echoes returns the forms in which a server may echo a secret. text is what the secret
// stands in.
func echoes(text string) map[string]string {
	all := map[string]string{
		"plain": text, "URL": url.QueryEscape(text), "URL twice": url.QueryEscape(url.QueryEscape(text)),
		"HTML": html.EscapeString(text), "hex": hex.EncodeToString([]byte(text)),
		"HEX": strings.ToUpper(hex.EncodeToString([]byte(text))),
	}
	each := func(name, format string) {
		var b strings.Builder
		for _, c := range []byte(text) {
			fmt.Fprintf(&b, format, c)
		}
		all[name] = b.String()
	}
	each("JSON", `\u%04x`)
	each("JSON twice", `\\u%04X`)
	each("percent", "%%%02x")
	each("HTML decimal", "&#%d;")
	each("HTML hexadecimal", "&#x%X;")
	each("backslash", `\x%02x`)
	each("zero width", "%c\u200b")
	each("spaces", "%c ")
	all["JSON slash"] = strings.ReplaceAll(text, "/", `\/`)
	for _, e := range []struct {
		name     string
		encoding *base64.Encoding
	}{
		{"base64", base64.StdEncoding}, {"base64 URL", base64.URLEncoding}, {"base64 raw", base64.RawStdEncoding},
		{"base64 raw URL", base64.RawURLEncoding},
	} {
		for _, before := range []string{"", "x", "xy", "Basic ", "Authorization: Basic "} {
			for _, after := range []string{"", "x", "xy"} {
				encoded := e.encoding.EncodeToString([]byte(before + text + after))
				all[e.name+" of "+before+"KEY"+after] = encoded
				all[e.name+" in a URL of "+before+"KEY"+after] = url.QueryEscape(encoded)
				quoted, _ := json.Marshal(encoded)
				all[e.name+" in JSON of "+before+"KEY"+after] = strings.ReplaceAll(string(quoted), "/", `\/`)
				all[e.name+" in lines of "+before+"KEY"+after] = encoded[:20] + "\r\n" + encoded[20:]
			}
		}
	}
	return all
}

// TestEchoesAreScrubbed has a server that echoes the key in every form. Nothing is left
// from which the key, or most of it, can be read.
func TestEchoesAreScrubbed(t *testing.T) {
	for _, key := range []string{canary, `na1.c4n4ry+d0/n0t=l34k/CNRY`, "c4n4ryd0n0tl34k"} {
		scrub := newCredential(Key(key)).scrub
		for name, echo := range echoes(key) {
			text := "before " + echo + " after"
			got := scrub(text)
			if !strings.Contains(got, "[key]") || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
				t.Errorf("%s: %s became %s", name, text, got)
			}
			if len(got) > len("before [key] after")+len(echo)-len(key)+4 {
				t.Errorf("%s: %s is left", name, got)
			}
		}
		for _, text := range []string{"", "no key", "c4n4r", `100 % & more \`, `"\u00e9"`} {
			if got := scrub(text); got != text {
				t.Errorf("%q became %q", text, got)
			}
		}
	}
	if got := newCredential("A-1").scrub("QS0x A-1 412d31"); got != "QS0x [key] 412d31" {
		t.Errorf("with a short key: %q", got)
	}
	inner := "the part c4n4ry-d0-n0t-l34k alone"
	if got := newCredential(canary).scrub(inner); got != "the part [key] alone" {
		t.Errorf("%q became %q", inner, got)
	}
}

// TestErrorsDoNotEchoTheKey has an API whose errors and answers echo the key in every form.
func TestErrorsDoNotEchoTheKey(t *testing.T) {
	for name, echo := range echoes(canary) {
		for _, status := range []int{200, 400, 403, 500} {
			quoted, _ := json.Marshal(echo)
			if strings.HasPrefix(name, "JSON") {
				quoted = []byte(`"` + echo + `"`)
			}
			body := fmt.Sprintf(`{"id":%[1]s,"state":"FAILED","errorDetails":%[1]s,"step":%[1]s,"code":%[1]s,"message":%[1]s}`,
				quoted)
			op, err := answers(t, nil, status, body).Operation(t.Context(), "op")
			text := fmt.Sprintf("%+v %v", op, err)
			for _, form := range []string{canary, innerKey(canary), hex.EncodeToString([]byte(canary)), echo} {
				if strings.Contains(text, form) {
					t.Errorf("%s, %d: %s", name, status, text)
				}
			}
			if !strings.Contains(text, "[key]") {
				t.Errorf("%s, %d: the key was not found: %s", name, status, text)
			}
		}
	}
}
