package policy

// Used tells the policy of a use of an entry that it watches.
func (p *Policy) Used(hash uint32, at Place) {}
