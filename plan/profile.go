package plan

import (
	"math"
	"slices"
	"time"
)

// Sample is what one exported window held. Sizes of other windows are estimated
// from samples.
type Sample struct {
	Range             // the window; both sides are set
	Rows, Bytes int64 // of the file; bytes as stored, compressed
	// ByHour counts the rows of each hour of UTC, from the hour that begins at
	// FirstHour. Hours of the window outside of it have no rows. Nil: only the
	// total is known.
	ByHour     []int64
	FirstHour  time.Time
	ExportedAt time.Time
	Took       time.Duration // how long Fullstory worked on the export; 0: not known
}

const (
	// recentWeeks is how many of the latest measurements of an hour of the week
	// count, so that the profile follows growth.
	recentWeeks = 8
	// priorWeight is the weight of the expectation for an hour of the week, which
	// follows from its hour of the day and its weekday, in measurements of that
	// hour.
	priorWeight = 1.0
	// dayPriorHours is the weight, in hours, of the assumption that a weekday is
	// like the average day.
	dayPriorHours = 2.0
	// assumedSpread is the assumed standard deviation of a day's rows from the
	// expectation, as a share, until spreadDays days can be compared with others
	// of their weekday. leastSpread is the least value that is used afterwards.
	assumedSpread = 0.2
	leastSpread   = 0.05
	spreadDays    = 5
	// z90 is how many standard deviations on either side of the mean contain 90 %
	// of a normal distribution.
	z90 = 1.645
)

// Profile is the expected number of rows in each hour of the week in a zone,
// learned from samples. A Profile is immutable and safe for concurrent use.
type Profile struct {
	Hours   int       // how many full hours were measured
	Files   int       // how many samples were used
	From    time.Time // start of the first measured hour; To is the end of the last
	To      time.Time
	RowSize float64 // average bytes of a row as stored, compressed

	zone       *time.Location
	hourly     [7 * 24]float64 // expected rows, from Sunday at 0:00
	spread     float64         // standard deviation of days, as a share
	dispersion float64         // variance of an hour's rows divided by their mean
}

// Estimate is an expected number of rows. In about 90 % of cases the actual
// number is between Low and High.
type Estimate struct{ Rows, Low, High float64 }

// measuredHour is one full hour that samples cover.
type measuredHour struct {
	at   time.Time
	cell int // hour of the week, see cell
	rows float64
}

// Measure returns the profile of the samples in zone, or nil if they do not cover
// one full hour of UTC. If samples overlap, the one exported last counts.
func Measure(samples []Sample, zone *time.Location) *Profile {
	samples = disjoint(samples)
	seen := measuredHours(samples, zone)
	if len(seen) == 0 {
		return nil
	}
	p := &Profile{Hours: len(seen), Files: len(samples), From: seen[0].at, To: seen[len(seen)-1].at.Add(time.Hour),
		zone: zone}
	p.hourly = expectedWeek(seen)
	var rows, bytes float64
	for _, s := range samples {
		rows, bytes = rows+float64(s.Rows), bytes+float64(s.Bytes)
	}
	p.RowSize = bytes / max(rows, 1)
	p.dispersion = dispersionOf(seen, &p.hourly)
	p.spread = spreadOf(seen)
	return p
}

// disjoint returns the samples in ascending order without invalid and
// overlapping ones: of two that overlap it keeps the one exported later.
func disjoint(samples []Sample) []Sample {
	samples = slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool {
		return s.Start.IsZero() || !s.Start.Before(s.End)
	})
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

// measuredHours returns the hours of UTC that the samples cover in full, in
// ascending order. A sample with a total only is spread evenly over its window,
// and is used only if every sample is of that kind.
func measuredHours(samples []Sample, zone *time.Location) []measuredHour {
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
			inside := earlier(s.End, at.Add(time.Hour)).Sub(Later(s.Start, at))
			p.time += inside
			if i := n - offset; s.ByHour != nil && i >= 0 && i < int64(len(s.ByHour)) {
				p.rows += float64(s.ByHour[i])
			} else if s.ByHour == nil {
				p.rows += float64(s.Rows) * inside.Seconds() / s.End.Sub(s.Start).Seconds()
			}
			hours[n] = p
		}
	}
	var seen []measuredHour
	for n, p := range hours {
		if p.time == time.Hour {
			at := time.Unix(n*3600, 0)
			seen = append(seen, measuredHour{at, cell(at, zone), p.rows})
		}
	}
	slices.SortFunc(seen, func(a, b measuredHour) int { return a.at.Compare(b.at) })
	return seen
}

// cell returns the hour of the week that a clock in zone shows at the instant at,
// from 0, which is Sunday from 0:00 to 1:00.
func cell(at time.Time, zone *time.Location) int {
	local := at.In(zone)
	return int(local.Weekday())*24 + local.Hour()
}

// expectedWeek returns the expected rows of each hour of the week. It combines
// the measurements of that hour with the expectation from its hour of the day and
// its weekday; the fewer measurements there are, the more the latter counts.
func expectedWeek(seen []measuredHour) (week [7 * 24]float64) {
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
	hours, days := factors(&sums, &counts, all/number)
	for i := range week {
		week[i] = (sums[i] + priorWeight*hours[i%24]*days[i/24]) / (counts[i] + priorWeight)
	}
	return week
}

// factors fits rows = hours[hour of the day] × days[weekday] to the sums and counts
// of the measurements of each hour of the week. mean is the average rows of an
// hour. An hour of the day without measurements gets mean, a weekday without any
// gets 1.
func factors(sums, counts *[7 * 24]float64, mean float64) (hours [24]float64, days [7]float64) {
	for d := range days {
		days[d] = 1
	}
	for range 4 { // alternate until hours and weekdays converge; four rounds suffice
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
				days[d] = (seen + dayPriorHours*mean) / (expected + dayPriorHours*mean)
			}
		}
	}
	return hours, days
}

// dispersionOf returns the variance of an hour's rows divided by their mean. It is
// 1 for independent rows, the least that is returned, and higher in practice,
// because rows come in sessions.
func dispersionOf(seen []measuredHour, week *[7 * 24]float64) float64 {
	var sum, number float64
	for _, h := range seen {
		if e := week[h.cell]; e > 0 {
			sum += (h.rows - e) * (h.rows - e) / e
			number++
		}
	}
	// Measurements also determine the expectation, with up to half of its weight
	// from a single one, so the squared differences come out too small: double
	// them.
	return max(1, 2*sum/max(number, 1))
}

// spreadOf returns the standard deviation, as a share, of the rows of whole days
// from those of the other days of the same weekday. Days with at least 23
// measured hours count as whole.
func spreadOf(seen []measuredHour) float64 {
	byDay := map[[2]int]float64{} // rows, by weekday and number of the week
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

// Rows returns the expected rows of w, both of whose sides are set. Whole weeks
// are multiplied instead of walked, so its time does not depend on w's length.
func (p *Profile) Rows(w Range) Estimate {
	weeks := int((w.End.Unix() - w.Start.Unix()) / (7 * 86400))
	var rows, week float64
	for _, hour := range p.hourly {
		week += hour
	}
	w.Start = w.Start.UTC().AddDate(0, 0, 7*weeks)
	p.walk(w, time.Hour, func(_, _ time.Time, more float64) { rows += more })
	return p.interval(rows + float64(weeks)*week)
}

// interval returns the estimate for an expected number of rows. Its width depends
// on the dispersion of hours if rows is small, and on the spread of days if it is
// large.
func (p *Profile) interval(rows float64) Estimate {
	if rows <= 0 {
		return Estimate{}
	}
	s := z90 * math.Sqrt(p.dispersion/rows+p.spread*p.spread)
	return Estimate{Rows: rows, Low: rows * math.Exp(-s), High: rows * math.Exp(s)}
}

// walk calls visit with each step of w and its expected rows, in ascending order.
// Steps end on multiples of step in UTC; step is at most an hour and divides it.
func (p *Profile) walk(w Range, step time.Duration, visit func(from, to time.Time, rows float64)) {
	for at := w.Start; at.Before(w.End); {
		next, rows := p.step(at, w.End, step)
		visit(at, next, rows)
		at = next
	}
}

// step returns the end of the step of walk that begins at at, and its expected rows.
func (p *Profile) step(at, end time.Time, step time.Duration) (next time.Time, rows float64) {
	next = earlier(at.Truncate(step).Add(step), end)
	return next, p.hourly[cell(at.Truncate(time.Hour), p.zone)] * next.Sub(at).Hours()
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Later returns the later one of two instants.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
