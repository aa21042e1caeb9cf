package profile

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// numbers are texts of JSON numbers, many of them close to each other.
func numbers() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		digits := rapid.SampledFrom([]string{
			"0", "1", "9", "10", "4", "9007199254740992", "9007199254740993", "999999999999999999", "1000000000000000000",
			"9223372036854775807", "9223372036854775808", "18446744073709551616", strings.Repeat("7", 60),
		}).Draw(t, "digits")
		text := rapid.SampledFrom([]string{"", "-"}).Draw(t, "sign") + digits
		if rapid.Bool().Draw(t, "point") {
			text += "." + rapid.StringMatching(`(0{0,3}[0-9]{1,18})`).Draw(t, "fraction")
		}
		if rapid.IntRange(0, 4).Draw(t, "exponent") == 0 {
			text += fmt.Sprintf("e%+d", rapid.IntRange(-40, 40).Draw(t, "power"))
		}
		return text
	})
}

// TestNumbers compares the order of numbers with that of package big.
func TestNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := numbers().Draw(t, "a"), numbers().Draw(t, "b")
		x, integer := parseNumber([]byte(a))
		y, _ := parseNumber([]byte(b))
		p, _ := new(big.Rat).SetString(a)
		q, _ := new(big.Rat).SetString(b)
		want := p.Cmp(q)
		if want == 0 {
			want = strings.Compare(a, b)
		}
		if got := x.compare(y); got != want {
			t.Errorf("%s and %s compare as %d, want %d", a, b, got, want)
		}
		if integer == strings.ContainsAny(a, ".e") {
			t.Errorf("%s is an integer: %v", a, integer)
		}
		if f, _ := p.Float64(); x.near != f {
			t.Errorf("%s is near %v, want %v", a, x.near, f)
		}
	})
}

// TestIsNumber compares isNumber with the grammar of encoding/json.
func TestIsNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(numbers(), rapid.StringMatching(`[-+0-9.eENa]{0,8}`)).Draw(t, "text")
		var n json.Number
		want := json.Unmarshal([]byte(text), &n) == nil && text == n.String() && text != ""
		if got := isNumber(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	})
}

// TestHugeExponents compares numbers whose exponents no float has.
func TestHugeExponents(t *testing.T) {
	order := []string{
		"-1e99999999999999999999", "-1e400", "-1", "-1e-400", "-1e-99999999999999999999", "0", "1e-99999999999999999999",
		"1e-401", "0.9e-400", "1e-400", "1e400", "1.1e400", "1e401", "1e99999999999999999999",
	}
	for i, a := range order {
		for j, b := range order {
			x, _ := parseNumber([]byte(a))
			y, _ := parseNumber([]byte(b))
			if got := x.compare(y); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s and %s compare as %d", a, b, got)
			}
		}
	}
}
