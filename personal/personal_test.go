package personal

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestRedacted has texts of people that must not be seen, and texts that must stay.
func TestRedacted(t *testing.T) {
	for text, want := range map[string]string{
		"write to ana.maria+x@example.co.uk now":      "write to [email] now",
		"?email=ana%40example.com&x=1":                "?email=[email]&x=1",
		"ünal@exämple.de":                             "[email]",
		"card 4111 1111 1111 1111.":                   "card [card].",
		"card 4111-1111-1111-1111":                    "card [card]",
		"order 4111 1111 1111 1112":                   "order 4111 1111 1111 1112",
		"call +49 (0)30 1234567":                      "call [phone]",
		"call (415) 555-2671":                         "call [phone]",
		"call 030 / 123 45 67":                        "call [phone]",
		"0049301234567":                               "[phone]",
		"from 192.0.2.17, today":                      "from [ip], today",
		"2001:db8::1 asked":                           "[ip] asked",
		"at 52.5200,13.4050":                          "at [coordinates]",
		"DE89 3704 0044 0532 0130 00":                 "[iban]",
		"version 6.2.1":                               "version 6.2.1",
		"2026-10-01T12:00:00.123Z":                    "2026-10-01T12:00:00.123Z",
		"2026-10-01 12:00":                            "2026-10-01 12:00",
		"9217751799264840536":                         "9217751799264840536",
		"price 1,299.00":                              "price 1,299.00",
		"https://shop.example.com/p/AUD-3007?size=42": "https://shop.example.com/p/AUD-3007?size=42",
		"no digits at all":                            "no digits at all",
		"12:30:45":                                    "12:30:45",
		"sku 1234-5678":                               "sku 1234-5678",
	} {
		if got := Redacted(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// TestColumn has columns that identify people, and columns that do not.
func TestColumn(t *testing.T) {
	for column, want := range map[string]bool{
		"UserEmail": true, "useremail": true, "PageIp": true, "Uid": true, "UserVars": true, "EventVars": true,
		"user_plan_str": true, "user_anything_int": true, "evt_email_str": true, "evt_billing.phone_str": true,
		"page_product.name_str": false, "evt_first_name_str": true,
		"evt_order.total_real": false, "PageUrl": false, "EventType": false,
		"UserId": false, "IndvId": false, "page_category_str": false, "EventTargetText": false, "LastPage": false,
	} {
		if got := Column(column); got != want {
			t.Errorf("%s is personal: %v, want %v", column, got, want)
		}
	}
}

// TestPossible compares random texts, redacted with and without the look at their characters.
func TestPossible(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	parts := []string{
		"ana@x.de", "a%40b.org", "@", ".", "4111 1111 1111 1111", "4111111111111111", "+49301234567", "0049", "00", "(030)",
		"1234", "12", "5", "555-2671", "/", "-", " ", ":", "::", "2001:db8", "ff", "192.0.2.17", "10.", "52.520", "13.405",
		",", ";", "DE89", "3704", "AB12", "Z", "x", "ü", "%", "1299", "6.2.1",
	}
	changed := 0
	for range 50_000 {
		var b strings.Builder
		for range 1 + r.IntN(8) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		text, want := b.String(), b.String()
		for _, p := range pieces() {
			want = p.redact(want)
		}
		if got := Redacted(text); got != want {
			t.Fatalf("%q becomes %q, want %q", text, got, want)
		}
		if want != text {
			changed++
		}
	}
	if changed < 1000 {
		t.Errorf("only %d texts have personal data", changed)
	}
}

// BenchmarkRedacted redacts addresses of pages as rows have them.
func BenchmarkRedacted(b *testing.B) {
	texts := []string{
		"https://shop.example.com/p/AUD-3007?size=42", "https://shop.example.com/checkout?order=20261003-88121",
		"https://shop.example.com/account/settings", "https://shop.example.com/search?q=red%20shoes&page=2",
	}
	for b.Loop() {
		for _, text := range texts {
			Redacted(text)
		}
	}
}
