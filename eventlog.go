package tarn

import "log/slog"

// LogValue returns the event as a group of attributes for log/slog: event, keys, and where they are known took, age,
// attempt and error. The Key is never among them, whether or not the event has one.
func (e Event) LogValue() slog.Value {
	attrs := append(make([]slog.Attr, 0, 7), slog.String("event", e.Kind.String()), slog.Int("keys", e.N))
	if e.Duration > 0 {
		attrs = append(attrs, slog.Duration("took", e.Duration))
	}
	if e.Age > 0 {
		attrs = append(attrs, slog.Duration("age", e.Age))
	}
	if e.Attempt > 0 {
		attrs = append(attrs, slog.Int("attempt", e.Attempt))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	return slog.GroupValue(attrs...)
}
