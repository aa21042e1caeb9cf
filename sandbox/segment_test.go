package sandbox

import (
	"regexp"
	"testing"
	"time"
)

func TestSegments(t *testing.T) {
	d := shop(t, 600)
	shape := regexp.MustCompile(`^([0-9A-Za-z]{12}|everyone|rageClicks)$`)
	ids := map[string]bool{}
	last := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, s := range d.segments() {
		if !shape.MatchString(s.id) || ids[s.id] {
			t.Errorf("id %q", s.id)
		}
		ids[s.id] = true
		if !s.created.Before(last) && !s.created.IsZero() {
			t.Errorf("%s is not older than the one before it", s.name)
		}
		last = s.created
	}
	everyone := segmentNamed(t, d, "Everyone").ownWindow(clock)
	if everyone.to != clock || everyone.from != clock.AddDate(0, 0, -30) {
		t.Errorf("everyone's window is %v", everyone)
	}
	if w := segmentNamed(t, d, "Big baskets").ownWindow(clock); w != (window{}) {
		t.Errorf("Big baskets has %v, want all time", w)
	}
}

func TestAbandonedCart(t *testing.T) {
	for _, test := range []struct {
		events []string
		want   bool
	}{
		{nil, false},
		{[]string{"Product Viewed"}, false},
		{[]string{"Product Viewed", "Add to Cart"}, true},
		{[]string{"Product Added"}, true},
		{[]string{"Add to Cart", "Order Completed"}, false},
		{[]string{"Order Completed", "Add to Cart"}, false},
		{[]string{"Add to Cart", "Order Completed", "Add to Cart"}, false},
	} {
		var s session
		for _, name := range test.events {
			s.events = append(s.events, event{custom: name})
		}
		if got := abandonedCart(&s); got != test.want {
			t.Errorf("%q: %v", test.events, got)
		}
	}
}
