package goredisclient

import "time"

// SetSilence makes subscriptions ask after another time than that of users' whether the server is there.
func (c *Client) SetSilence(d time.Duration) { c.silence = d }
