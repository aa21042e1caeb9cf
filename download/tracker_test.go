package download

import "testing"

func TestTracker(t *testing.T) {
	var tracker Tracker
	progress, end := tracker.Track("a")
	if _, _, ok := tracker.Arrived("a"); ok {
		t.Error("something arrived before the first byte")
	}
	progress(5, -1)
	if done, total, ok := tracker.Arrived("a"); done != 5 || total != -1 || !ok {
		t.Errorf("got %d of %d, %t", done, total, ok)
	}
	end()
	if _, _, ok := tracker.Arrived("a"); ok {
		t.Error("the key is tracked after its end")
	}
}
