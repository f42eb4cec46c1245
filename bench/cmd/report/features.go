package main

// features are what can be switched on, by the names of the benchmark.
var features = []struct{ name, title string }{
	{"nothing", "nothing"},
	{"stale-windows", "StaleWhileRevalidate and StaleIfError"},
	{"refresh-after", "RefreshAfter"},
	{"xfetch", "EarlyRefresh (XFetch)"},
	{"timeouts", "these windows, WithSoftTimeout and WithStoreTimeout"},
	{"count-reads", "memory.Options.CountReads"},
	{"observer", "an Observer that counts"},
	{"answer", "Answer in place of Get"},
	{"untagged", "WithTags, of an entry without"},
	{"tagged", "WithTags, of an entry with three"},
}

// featuresTable says what a feature costs a hit.
func featuresTable(r *runs) string {
	var t table
	t.head("with", "ns", "by that with nothing", "allocs")
	of := func(name, unit string) (float64, bool) {
		return r.median(what{"Feature/with=" + name, processors, unit})
	}
	plain, ok := of("nothing", "ns/op")
	if !ok {
		return ""
	}
	for _, f := range features {
		ns, ok := of(f.name, "ns/op")
		if !ok {
			continue
		}
		allocs, _ := of(f.name, "allocs/op")
		t.row(f.title, number(ns), number(ns/plain), number(allocs))
	}
	return t.String()
}
