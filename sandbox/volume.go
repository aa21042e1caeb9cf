package sandbox

import "time"

// volumeProfile is the volume of each hour of the week, in UTC from Monday 00:00,
// relative to an average hour: the 168 weights average 1.
type volumeProfile [7 * 24]float64

// newVolumeProfile returns the shop's profile, normalised to an average of 1.
func newVolumeProfile() *volumeProfile {
	// Nights are quiet, noon and the evening are busy, and weekends a little quieter.
	hours := [24]float64{3, 2, 1, 1, 2, 4, 8, 14, 22, 28, 31, 32, 30, 29, 29, 28, 27, 27, 29, 32, 33, 27, 15, 7}
	days := [7]float64{100, 98, 99, 101, 96, 72, 80}
	var week volumeProfile
	var sum float64
	for i := range week {
		week[i] = days[i/24] * hours[i%24]
		sum += week[i]
	}
	for i := range week {
		week[i] *= float64(len(week)) / sum
	}
	return &week
}

// at returns the weight of an hour, counted from the Unix epoch, including the
// season.
func (w *volumeProfile) at(hour int64) float64 {
	const thursday = 3 * 24 // the weekday of 1970-01-01
	return w[(hour+thursday)%(7*24)] * season(time.Unix(hour*3600, 0).UTC())
}

// season returns the volume of a day relative to other days: it is higher on Black
// Friday (with the three days after it) and before Christmas, and lower on holidays.
func season(day time.Time) float64 {
	year := day.YearDay()
	blackFriday := time.Date(day.Year(), time.November, 1, 0, 0, 0, 0, time.UTC)
	blackFriday = blackFriday.AddDate(0, 0, (int(time.Friday-blackFriday.Weekday())+7)%7+21)
	switch month, date := day.Month(), day.Day(); {
	case year >= blackFriday.YearDay() && year <= blackFriday.YearDay()+3:
		return 1.9
	case month == time.December && date >= 24 && date <= 26, month == time.January && date == 1:
		return 0.45
	case month == time.December && date < 20:
		return 1.35
	}
	return 1
}

const (
	minuteMs = int64(time.Minute / time.Millisecond)
	hourMs   = 60 * minuteMs
	dayMs    = 24 * hourMs
)
