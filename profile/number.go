package profile

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"
)

// number is a JSON number. whole is its value if it is an integer of at most 18 digits;
// otherwise near is the nearest float64.
type number struct {
	text  []byte
	exact bool
	whole int64
	near  float64
}

// mostDigits is the most digits of a number whose value is exact in an int64.
const mostDigits = 18

// parseNumber reads a number, which is valid JSON. integer reports whether it has neither
// a point nor an exponent.
func parseNumber(text []byte) (n number, integer bool) {
	n.text = text
	digits, negative, mantissa, point := text, false, int64(0), -1
	if text[0] == '-' {
		digits, negative = text[1:], true
	}
	for i, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			if len(digits) <= mostDigits+1 {
				mantissa = 10*mantissa + int64(c-'0')
			}
		case c == '.':
			point = i
		default: // an exponent
			n.near, _ = strconv.ParseFloat(string(text), 64)
			return n, false
		}
	}
	if negative {
		mantissa = -mantissa
	}
	const exactFloat = 15 // digits that a float64 holds exactly
	switch integer = point < 0; {
	case integer && len(digits) <= mostDigits:
		n.exact, n.whole, n.near = true, mantissa, float64(mantissa)
	case !integer && len(digits)-1 <= exactFloat:
		n.near = float64(mantissa) / powers[len(digits)-1-point]
	default:
		n.near, _ = strconv.ParseFloat(string(text), 64)
	}
	return n, integer
}

var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// compare orders numbers by their exact value, and equal ones by their spelling.
func (n number) compare(o number) int {
	c := 0
	switch {
	case n.exact && o.exact:
		c = cmp.Compare(n.whole, o.whole)
	case n.near != o.near: // rounding keeps the order
		c = cmp.Compare(n.near, o.near)
	default:
		c = compareDecimals(n.text, o.text)
	}
	return cmp.Or(c, bytes.Compare(n.text, o.text))
}

// compareDecimals orders JSON numbers of any length by their exact value.
func compareDecimals(a, b []byte) int {
	x, y := decimalOf(a), decimalOf(b)
	if x.sign != y.sign || x.sign == 0 {
		return cmp.Compare(x.sign, y.sign)
	}
	return x.sign * cmp.Or(cmp.Compare(x.point, y.point), bytes.Compare(x.digits, y.digits))
}

// decimal is the number sign × 0.digits × 10^point. digits neither begin nor end with 0.
type decimal struct {
	sign   int // 0 for zero
	point  int64
	digits []byte
}

// mostExponent bounds exponents. Those beyond it count as it.
const mostExponent = 1e15

func decimalOf(text []byte) decimal {
	d := decimal{sign: 1}
	if text[0] == '-' {
		d.sign, text = -1, text[1:]
	}
	if at := bytes.IndexAny(text, "eE"); at >= 0 {
		exponent, err := strconv.ParseInt(string(text[at+1:]), 10, 64)
		if err != nil && text[at+1] == '-' {
			exponent = -mostExponent
		} else if err != nil {
			exponent = mostExponent
		}
		d.point, text = max(-mostExponent, min(mostExponent, exponent)), text[:at]
	}
	whole, fraction, _ := bytes.Cut(text, []byte{'.'})
	d.point += int64(len(whole))
	d.digits = append(bytes.Clone(whole), fraction...)
	trimmed := bytes.TrimLeft(d.digits, "0")
	d.point -= int64(len(d.digits) - len(trimmed))
	if d.digits = bytes.TrimRight(trimmed, "0"); len(d.digits) == 0 {
		return decimal{}
	}
	return d
}

// isNumber reports whether text is a JSON number.
func isNumber(text string) bool {
	text = strings.TrimPrefix(text, "-")
	whole := leadingDigits(text)
	if whole == 0 || whole > 1 && text[0] == '0' {
		return false
	}
	text = text[whole:]
	if strings.HasPrefix(text, ".") {
		n := leadingDigits(text[1:])
		if n == 0 {
			return false
		}
		text = text[1+n:]
	}
	if text == "" || text[0] != 'e' && text[0] != 'E' {
		return text == ""
	}
	if text = text[1:]; text != "" && (text[0] == '+' || text[0] == '-') {
		text = text[1:]
	}
	return text != "" && leadingDigits(text) == len(text)
}

// leadingDigits returns how many digits a text begins with.
func leadingDigits(text string) (n int) {
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n
}

// fitsInt64 reports whether an integer fits into 64 bits with a sign.
func fitsInt64(text []byte) bool {
	_, err := strconv.ParseInt(string(text), 10, 64)
	return err == nil
}
