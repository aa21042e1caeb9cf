package plan

import (
	"math"
	"slices"
	"time"
)

// Sample is what an exported window held: a measurement from which the sizes
// of other windows are estimated.
type Sample struct {
	Range             // both sides are set
	Rows, Bytes int64 // of the file; bytes as stored, compressed
	// ByHour counts the rows of each hour of UTC from the one that FirstHour
	// begins; other hours of the window have none. Nil: only the sum is known.
	ByHour     []int64
	FirstHour  time.Time
	ExportedAt time.Time
	Took       time.Duration // that Fullstory worked on it; 0: not known
}

const (
	// recentWeeks is how many of the latest weeks count for an hour of the week.
	recentWeeks = 8
	// prior is how many measurements of an hour of the week the expectation from
	// the hour of the day and from the weekday weighs as much as.
	prior = 1.0
	// dayPrior is how many hours of a weekday are taken to be as on other days
	// beside those that were measured.
	dayPrior = 2.0
	// assumedSpread is by how much days differ from what is expected of them,
	// as a share, until so many days of the same weekday were measured that it
	// is known; leastSpread is the least that is believed.
	assumedSpread = 0.2
	leastSpread   = 0.05
	spreadDays    = 5
	// likely is how many standard deviations hold 90 of 100 cases.
	likely = 1.645
)

// Rhythm is how many rows to expect in each hour of the week of a zone, as it
// was measured. It does not change and is safe for concurrent use.
type Rhythm struct {
	Hours   int       // of measurement it rests on
	Files   int       // that were measured
	From    time.Time // the first and the end of the last of these hours
	To      time.Time
	RowSize float64 // bytes of a row as stored

	zone   *time.Location
	hourly [7 * 24]float64 // rows, from Sunday at 0
	spread float64         // of days, as a share
	clumps float64         // variance of counts, as a multiple of their mean
}

// Estimate is a number of rows, and between which two it is in about 90 of 100
// cases.
type Estimate struct{ Rows, Low, High float64 }

// hourSeen is one hour of measurement.
type hourSeen struct {
	at   time.Time
	cell int // hour of the week
	rows float64
}

// Measure returns the rhythm of the samples in zone, or nil when they hold not
// one full hour. Of samples that overlap, the one exported last counts.
func Measure(samples []Sample, zone *time.Location) *Rhythm {
	samples = disjoint(samples)
	seen := hoursSeen(samples, zone)
	if len(seen) == 0 {
		return nil
	}
	r := &Rhythm{Hours: len(seen), Files: len(samples), From: seen[0].at, To: seen[len(seen)-1].at.Add(time.Hour), zone: zone}
	r.hourly = weekOf(seen)
	var rows, bytes float64
	for _, s := range samples {
		rows, bytes = rows+float64(s.Rows), bytes+float64(s.Bytes)
	}
	r.RowSize = bytes / max(rows, 1)
	r.clumps = clumpsOf(seen, &r.hourly)
	r.spread = spreadOf(seen)
	return r
}

// disjoint leaves out of each two samples that overlap the one exported
// earlier, and returns the others in order.
func disjoint(samples []Sample) []Sample {
	samples = slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool { return s.Start.IsZero() || !s.Start.Before(s.End) })
	slices.SortStableFunc(samples, func(a, b Sample) int { return a.Start.Compare(b.Start) })
	var kept []Sample
	for _, s := range samples {
		if last := len(kept) - 1; last >= 0 && s.Start.Before(kept[last].End) {
			if s.ExportedAt.After(kept[last].ExportedAt) {
				kept[last] = s
			}
			continue
		}
		kept = append(kept, s)
	}
	return kept
}

// hoursSeen returns the hours of UTC that the samples cover in full, in order.
// Samples of which only the sum is known are spread evenly, and used only if
// there are no others.
func hoursSeen(samples []Sample, zone *time.Location) []hourSeen {
	counted := slices.ContainsFunc(samples, func(s Sample) bool { return s.ByHour != nil || s.Rows == 0 })
	type part struct {
		rows float64
		time time.Duration
	}
	hours := map[int64]part{}
	for _, s := range samples {
		if counted && s.ByHour == nil && s.Rows > 0 {
			continue
		}
		offset := s.FirstHour.Unix() / 3600
		for at := s.Start.Truncate(time.Hour); at.Before(s.End); at = at.Add(time.Hour) {
			n := at.Unix() / 3600
			p := hours[n]
			inside := minTime(s.End, at.Add(time.Hour)).Sub(maxTime(s.Start, at))
			p.time += inside
			if i := n - offset; s.ByHour != nil && i >= 0 && i < int64(len(s.ByHour)) {
				p.rows += float64(s.ByHour[i])
			} else if s.ByHour == nil {
				p.rows += float64(s.Rows) * inside.Seconds() / s.End.Sub(s.Start).Seconds()
			}
			hours[n] = p
		}
	}
	var seen []hourSeen
	for n, p := range hours {
		if p.time == time.Hour {
			at := time.Unix(n*3600, 0)
			seen = append(seen, hourSeen{at, cell(at, zone), p.rows})
		}
	}
	slices.SortFunc(seen, func(a, b hourSeen) int { return a.at.Compare(b.at) })
	return seen
}

// cell returns the hour of the week that a clock in zone shows.
func cell(at time.Time, zone *time.Location) int {
	local := at.In(zone)
	return int(local.Weekday())*24 + local.Hour()
}

// weekOf returns how many rows each hour of the week is expected to have. What
// was seen of it is drawn towards what the hour of the day and the weekday let
// expect, the more so the less was seen.
func weekOf(seen []hourSeen) (week [7 * 24]float64) {
	var sums, counts [7 * 24]float64
	for _, h := range slices.Backward(seen) {
		if counts[h.cell] < recentWeeks {
			sums[h.cell] += h.rows
			counts[h.cell]++
		}
	}
	var all, number float64
	for i := range sums {
		all, number = all+sums[i], number+counts[i]
	}
	mean := all / number
	var days [7]float64
	var hours [24]float64
	for d := range days {
		days[d] = 1
	}
	for range 4 { // hours and weekdays settle against one another
		var got, expected [24]float64
		for i := range sums {
			got[i%24] += sums[i]
			expected[i%24] += counts[i] * days[i/24]
		}
		for h := range hours {
			if hours[h] = mean; expected[h] > 0 {
				hours[h] = got[h] / expected[h]
			}
		}
		for d := range days {
			seen, expected := 0.0, 0.0
			for h := range hours {
				seen += sums[d*24+h]
				expected += counts[d*24+h] * hours[h]
			}
			if days[d] = 1; mean > 0 {
				days[d] = (seen + dayPrior*mean) / (expected + dayPrior*mean)
			}
		}
	}
	for i := range week {
		week[i] = (sums[i] + prior*hours[i%24]*days[i/24]) / (counts[i] + prior)
	}
	return week
}

// clumpsOf returns how much more than by chance the counts of hours differ from
// what is expected: rows come in sessions.
func clumpsOf(seen []hourSeen, week *[7 * 24]float64) float64 {
	var sum, number float64
	for _, h := range seen {
		if e := week[h.cell]; e > 0 {
			sum += (h.rows - e) * (h.rows - e) / e
			number++
		}
	}
	// Half of what an hour of the week is expected to have may be that hour
	// itself.
	return max(1, 2*sum/max(number, 1))
}

// spreadOf returns by how much whole days differ, as a share, from others of
// their weekday.
func spreadOf(seen []hourSeen) float64 {
	byDay := map[[2]int]float64{} // weekday and number of the week
	hours := map[[2]int]int{}
	for _, h := range seen {
		day := [2]int{h.cell / 24, int((h.at.Unix() - int64(h.cell%24)*3600) / (7 * 86400))}
		byDay[day] += h.rows
		hours[day]++
	}
	var sums, numbers [7]float64
	for day, rows := range byDay {
		if hours[day] >= 23 {
			sums[day[0]] += rows
			numbers[day[0]]++
		}
	}
	var squares, number float64
	for day, rows := range byDay {
		if n := numbers[day[0]]; hours[day] >= 23 && n > 1 && sums[day[0]] > 0 {
			others := (sums[day[0]] - rows) / (n - 1)
			ratio := math.Log((rows + 1) / (others + 1))
			squares += ratio * ratio * (n - 1) / n
			number++
		}
	}
	if number < spreadDays {
		return assumedSpread
	}
	return max(leastSpread, math.Sqrt(squares/number))
}

// Rows returns how many rows to expect in w, both of whose sides are set.
func (r *Rhythm) Rows(w Range) Estimate {
	weeks := int((w.End.Unix() - w.Start.Unix()) / (7 * 86400))
	var rows, ofWeek float64
	for _, hour := range r.hourly {
		ofWeek += hour
	}
	w.Start = w.Start.UTC().AddDate(0, 0, 7*weeks)
	r.walk(w, time.Hour, func(_, _ time.Time, more float64) { rows += more })
	return r.around(rows + float64(weeks)*ofWeek)
}

// around returns the interval about an expected number of rows.
func (r *Rhythm) around(rows float64) Estimate {
	if rows <= 0 {
		return Estimate{}
	}
	s := likely * math.Sqrt(r.clumps/rows+r.spread*r.spread)
	return Estimate{Rows: rows, Low: rows * math.Exp(-s), High: rows * math.Exp(s)}
}

// walk goes through w in steps that end on multiples of step in UTC, at most an
// hour, with the rows to expect in each.
func (r *Rhythm) walk(w Range, step time.Duration, visit func(from, to time.Time, rows float64)) {
	for at := w.Start; at.Before(w.End); {
		next := minTime(at.Truncate(step).Add(step), w.End)
		visit(at, next, r.hourly[cell(at.Truncate(time.Hour), r.zone)]*next.Sub(at).Hours())
		at = next
	}
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
