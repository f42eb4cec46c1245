package clienttest

import "testing"

func sentinel(t *testing.T, dial Dial) {}
func cluster(t *testing.T, dial Dial)  {}
func secure(t *testing.T, dial Dial)   {}
func limited(t *testing.T, dial Dial)  {}
