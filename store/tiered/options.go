package tiered

import (
	"fmt"
	"time"
)

// Option is an option of [New].
type Option func(*options)

type options struct {
	life      time.Duration
	unwatched bool
}

// MaxLife bounds how long a copy is answered from near before it is read from the far store again. It is for a far
// store that is changed behind its own back too, by somebody who does not tell, such as an operator's redis-cli. Left
// out, a copy lives as long as the entry it was made of. It panics if life is not positive.
//
// An entry that outlives its copy is answered from near with the Fresh of the far store's, or without one, and with an
// Expires that is not later.
func MaxLife(life time.Duration) Option {
	if life <= 0 {
		panic(fmt.Sprintf("tiered: MaxLife: not positive: %v", life))
	}
	return func(o *options) { o.life = life }
}

// Unwatched keeps copies without listening to the far store, each for at most life. It is for a far store that nobody
// else writes, or that cannot tell of changes. It gives up that a read in another process than the writer's returns
// what was acknowledged: for up to life, it may return an older value. It panics if life is not positive.
func Unwatched(life time.Duration) Option {
	if life <= 0 {
		panic(fmt.Sprintf("tiered: Unwatched: not positive: %v", life))
	}
	return func(o *options) { o.life, o.unwatched = life, true }
}
