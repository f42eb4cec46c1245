package strategies

import "time"

// crowd says how long an append is to wait for others to join it. Without, those who were woken together do not come
// together: the first of them is appended alone, all others wait for that append, and so on by turns. As many are expected as
// came to the last append and during it; they are waited for up to a share of what an append takes, which falls when
// few of them came, and rises when many did.
type crowd struct {
	want  int
	took  time.Duration // by an append, smoothed
	share time.Duration // one shareUnit-th of took
}

const (
	shareUnit = 32
	maxShare  = shareUnit / 2
)

// landed notes that an append of n commits has ended, during which others joined the next.
func (c *crowd) landed(n, others int, took time.Duration) {
	c.want = n + others
	if c.share == 0 {
		c.took, c.share = took, maxShare
	}
	c.took += (took - c.took) / 8
}

// expected returns how many are expected, and how long to wait for them.
func (c *crowd) expected() (n int, patience time.Duration) {
	return c.want, c.took * c.share / shareUnit
}

// came notes how many of those who were missing came.
func (c *crowd) came(n, missing int) {
	if 4*n >= missing {
		c.share = min(2*c.share, maxShare)
	} else {
		c.share = max(c.share/2, 1)
	}
}
